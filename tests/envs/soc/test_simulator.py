"""What the simulator promises in every mode: rewards, worlds, waiting, caps, and figures known in closed form."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.soc import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.soc.arrivals import draw_arrivals
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.noise import actual_times
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load_many

BINDINGS = ("pull", "match", "push", "late", "idle")


def system(times, edges=(), arrival=(0,), kinds=None, **more) -> SoCInstance:
    """Jobs of one graph; edges are (source, target, volume), links carry one unit in a microsecond."""
    times, edges = np.array(times), np.array(edges, int).reshape(-1, 3)
    square = (times.shape[1], times.shape[1])
    graph = JobGraph("job", times, edges[:, :2], edges[:, 2])
    jobs = np.zeros(len(arrival), int)
    return SoCInstance("hand", (graph,), np.zeros(square, int), np.ones(square, int), kinds, arrival, jobs, **more)


def begin(instances, num_envs=None, seed=0, **options) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    more = {name: options.pop(name) for name in ("group", "worlds") if name in options}
    model = Model(instances, Options(**options))
    simulation = Simulation(model, instances, num_envs or len(instances), seed=seed, **more)
    simulation.reset()
    return simulation


def random_end(simulation, legal, rng) -> Simulation:
    """Random legal actions to the end."""
    for _ in range(simulation.model.horizon + 1):
        if simulation.terminated.all():
            break
        simulation.step(legal(simulation.mask, rng))
    assert simulation.terminated.all() and not simulation.illegal.any()
    return simulation


def candidates(simulation, place=0) -> list[tuple[int, int, int]]:
    """(job, task, element) of every legal action in order; waiting names none of them."""
    legal = simulation.mask[place] == 1
    return list(
        zip(*(simulation.columns[name][place, legal].tolist() for name in ("job", "task", "element")), strict=True)
    )


WAIT = (-1, -1, -1)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_rewards_sum_to_what_is_minimised(random_system, random_soc_options, legal, seed):
    """Exactly, in the integers that rewards are made of: minus the total latency, or the loss against the bound."""
    rng = np.random.default_rng(seed)
    static = bool(rng.random() < 0.3)
    instances = [random_system(rng, 1 if static else None) for _ in range(4)]
    static = all(instance.static for instance in instances)
    model = Model(instances, random_soc_options(rng, static))
    simulation = Simulation(model, instances, 4, seed=seed % 1000)
    simulation.reset()
    scale = simulation.engine.tensors["initial_bound"].clamp_min(1)
    before = simulation.engine.tensors["rewarded"].clone()
    first, total = before.clone(), torch.zeros(4, dtype=torch.float64)
    while not simulation.terminated.all():
        simulation.step(legal(simulation.mask, rng))
        rewarded = simulation.engine.tensors["rewarded"]
        assert torch.equal(simulation.reward, (before - rewarded).float() / scale.float())
        assert (rewarded >= before).all()
        before, total = rewarded.clone(), total + simulation.reward
    simulation.step(torch.zeros(4, dtype=torch.int64))  # what was forced at the reset, where nothing was left to choose
    before, total = simulation.engine.tensors["rewarded"].clone(), total + simulation.reward
    for place, schedule in enumerate(simulation.schedules()):
        metrics = schedule.metrics()
        assert schedule.violations() == []
        assert int(before[place]) == metrics["makespan" if model.planning else "total_latency"]
        assert int(first[place]) == (int(scale[place]) if model.planning and int(before[place]) else int(first[place]))
    assert torch.allclose(total, (first - before).double() / scale.double(), atol=1e-4)


def test_ten_thousand_random_schedules_begin_with_these(random_system, random_soc_options, legal):
    """A fast part of what was run once: schedules of random policies under random options are feasible."""
    rng, count = np.random.default_rng(0), 0
    for _ in range(25):
        static = bool(rng.random() < 0.4)
        instances = [random_system(rng, 1 if static else None) for _ in range(8)]
        options = random_soc_options(rng, all(instance.static for instance in instances))
        simulation = Simulation(Model(instances, options), instances, 16, seed=int(rng.integers(99)), observe=False)
        simulation.reset()
        for schedule in random_end(simulation, legal, rng).schedules():
            assert schedule.violations() == []
            count += 1
    assert count == 400


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("noise, sigma", [("none", 0.0), ("gamma", 0.7), ("readys", 3.0)])
def test_one_queue_waits_as_lindley_says(binding, noise, sigma):
    """One element, one task per job, first come first served: W' = max(0, W + S - gap) (Lindley 1952)."""
    for kind, gap in (("fixed", 11), ("fixed", 9), ("poisson", 12)):
        time, _ = draw_arrivals(kind, np.random.default_rng(1), gap, jobs=60)
        queue = system([[10]], arrival=time, kinds=("gpu",))
        simulation = begin(queue, binding=binding, noise=noise, sigma=sigma, seed=3)
        while not simulation.terminated[0]:
            simulation.step(simulation.mask.argmax(dim=1))  # the first ready task, never to wait
        schedule = simulation.schedule()
        service = actual_times(queue, schedule.conditions)[:, 0, 0].tolist()
        assert (len(set(service)) == 1) == (noise == "none")
        waited, latencies = 0, []
        for job, length in enumerate(service):
            if job:
                waited = max(0, waited + service[job - 1] - int(time[job] - time[job - 1]))
            latencies.append(waited + length)
        assert int(simulation.outcome()["total_latency"]) == sum(latencies)
        assert (schedule.entries[:, 4] - time).tolist() == latencies


# ---------------------------------------------------------------------- worlds


def lengths(schedule) -> dict[tuple[int, int, int], int]:
    """How long each (job, task, element) took."""
    tasks = schedule.entries[schedule.entries[:, 2] < schedule.instance.elements].tolist()
    return {(job, task, p): end - start for job, task, p, start, end in tasks}


@pytest.mark.parametrize("binding", BINDINGS)
def test_every_policy_meets_the_same_times(legal, binding):
    """Whatever is done, in whatever batch, a task takes the same time on an element; they are those of noise.py."""
    (instance,) = load_many("radio-small-50x4:0", "soc")
    seen, shared = {}, 0
    for width, seed in ((1, 0), (4, 1), (4, 2), (9, 3)):
        simulation = begin(
            [instance], width, seed=5, worlds=[6] * width, binding=binding, noise="lognormal", sigma=0.6, choice=0
        )
        for schedule in random_end(simulation, legal, np.random.default_rng(seed)).schedules():
            assert schedule.conditions["seed"] == 5 and schedule.conditions["world"] == 6
            actual = actual_times(instance, schedule.conditions)
            for key, length in lengths(schedule).items():
                assert seen.setdefault(key, length) == length == actual[key]
                shared += 1
    assert shared > 1.3 * len(seen)


def test_environments_live_in_worlds_of_their_own_unless_they_are_grouped(legal):
    instance = system([[100]] * 6, arrival=(0, 1))
    for arguments, worlds in (
        ({}, [0, 1, 2, 3]),
        ({"group": 2}, [0, 0, 1, 1]),
        ({"worlds": [7, 3, 7, 7]}, [7, 3, 7, 7]),
    ):
        simulation = begin([instance], 4, noise="gaussian", sigma=0.5, **arguments)
        schedules = random_end(simulation, legal, np.random.default_rng(0)).schedules()
        assert [schedule.conditions["world"] for schedule in schedules] == worlds
        for a in range(4):
            for b in range(4):
                assert (lengths(schedules[a]) == lengths(schedules[b])) == (worlds[a] == worlds[b])


def test_every_episode_and_seed_is_another_world(legal):
    instance, seen = system([[100]] * 6, arrival=(0, 1)), []
    for seed in (0, 1, 0):
        simulation = begin([instance], 1, seed=seed, noise="gaussian", sigma=0.5)
        for episode in range(2):
            random_end(simulation, legal, np.random.default_rng(0))
            schedule = simulation.schedule()
            assert schedule.violations() == [] and schedule.conditions["episode"] == episode
            seen.append(tuple(lengths(schedule).values()))
            simulation.restart()
    assert seen[:2] == seen[4:] and len(set(seen)) == 4


# ---------------------------------------------------------------------- what is legal


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("mode", ["plan", "online"])
def test_nothing_goes_where_it_cannot_run(random_system, legal, binding, mode):
    rng, refused = np.random.default_rng(2), 0
    instances = [random_system(rng, 1 if mode == "plan" else None) for _ in range(30)]
    simulation = begin(instances, mode=mode, binding=binding, choice=0, forced_moves=False)
    while not simulation.terminated.all():
        for place, instance in enumerate(instances):
            offered = candidates(simulation, place)
            assert len(set(offered)) == len(offered) and (offered or simulation.terminated[place])
            for job, task, p in offered:
                if job >= 0:
                    graph = instance.graphs[instance.arrival_graph[job]]
                    assert graph.execution_time[task, p] >= 0
                    refused += int((graph.execution_time[task] < 0).sum())
        simulation.step(legal(simulation.mask, rng))
    assert refused > 100


def test_waiting_is_offered_once_for_each_element_and_what_is_ready():
    """Element 0 declines while 1 works; it is asked again when another task is ready, or when nothing else happens."""
    graph = system([[5, 5], [5, 5], [9, 9], [5, -1]], edges=[(2, 3, 0)])
    simulation = begin(graph, mode="online", binding="pull", choice=0, forced_moves=False)
    asked = []

    def act(task):
        asked.append((int(simulation.engine.tensors["now"]), int(simulation.engine.tensors["focus"])))
        rows = candidates(simulation)
        simulation.step((simulation.mask[0] == 1).nonzero()[[row[1] for row in rows].index(task)])

    assert candidates(simulation)[-1] == WAIT  # nothing happens yet, but element 1 is still to be asked
    act(-1)
    assert WAIT not in candidates(simulation)  # there is nobody left
    act(2)
    act_at_nine = candidates(simulation)
    assert asked == [(0, 0), (0, 1)] and int(simulation.engine.tensors["now"]) == 9
    assert act_at_nine[-1] == WAIT and {row[1] for row in act_at_nine} == {0, 1, 3, -1}  # task 3 is new
    act(-1)
    assert candidates(simulation) == [(0, 0, 1), (0, 1, 1)]  # of 1 alone, which cannot run task 3 nor leave the rest
    act(0)
    assert int(simulation.engine.tensors["now"]) == 14 and int(simulation.engine.tensors["focus"]) == 1
    act(1)
    assert asked[2:] == [(9, 0), (9, 1), (14, 1)]
    assert int(simulation.engine.tensors["now"]) == 19 and candidates(simulation) == [(0, 3, 0)]
    act(3)
    assert simulation.terminated[0] and simulation.schedule().metrics()["makespan"] == 24


@pytest.mark.parametrize("binding", ["match", "late", "idle"])
def test_waiting_is_legal_while_something_will_happen(binding):
    graph = system([[5, 5], [5, 5], [5, 5]], arrival=(0, 50))
    simulation = begin(graph, binding=binding, choice=0)
    assert WAIT in candidates(simulation)  # another job is to come
    simulation.step(torch.tensor([simulation.model.actions - 1]))
    assert int(simulation.engine.tensors["now"]) == 50
    assert {row[0] for row in candidates(simulation)} == {0, 1} and WAIT not in candidates(simulation)
    simulation.step(simulation.mask.argmax(dim=1))
    assert WAIT in candidates(simulation)


def test_there_is_no_waiting_in_plans_and_queues(legal):
    for options in ({"mode": "plan"}, {"mode": "online", "binding": "push"}):
        simulation = begin(load_many("random-12:0", "soc"), **options)
        while not simulation.terminated[0]:
            assert WAIT not in candidates(simulation)
            simulation.step(legal(simulation.mask, np.random.default_rng(0)))


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("cap", [1, 2, 3])
def test_no_more_jobs_than_the_cap_are_in_the_system(legal, binding, cap):
    """The others wait in their order, and what they wait outside is no latency."""
    (stream,) = load_many("socrates-mix-50x9:1", "soc")
    simulation = begin([stream], 3, binding=binding, wip_cap=cap, noise="gaussian", sigma=0.4)
    tensors, most = simulation.engine.tensors, 0
    rng = np.random.default_rng(0)
    while not simulation.terminated.all():
        most = max(most, int(tensors["in_system"].max()))
        assert int(tensors["in_system"].max()) <= cap
        simulation.step(legal(simulation.mask, rng))
    assert most == cap
    for place, schedule in enumerate(simulation.schedules()):
        assert schedule.violations() == [] and schedule.conditions["wip_cap"] == cap
        ends = [schedule.entries[schedule.entries[:, 0] == job, 4].max() for job in range(9)]
        admitted = tensors["admission"][place].tolist()
        for job in range(9):
            room = sorted(ends[:job])[job - cap] if job >= cap else 0
            assert admitted[job] == max(int(stream.arrival_time[job]), room, *admitted[:job], 0)
        assert schedule.metrics()["total_latency"] == sum(ends) - sum(admitted)
        assert schedule.metrics()["mean_blocked"] * 9 == pytest.approx(sum(admitted) - int(stream.arrival_time.sum()))


def test_illegal_actions_are_worth_the_worst_schedule(random_system, random_soc_options, legal):
    """No legal schedule is worth less, however strong the noise is."""
    rng = np.random.default_rng(4)
    for _ in range(40):
        static = bool(rng.random() < 0.3)
        instance = random_system(rng, 1 if static else None)
        model = Model([instance], random_soc_options(rng, instance.static))
        simulation = Simulation(model, [instance], 8, seed=int(rng.integers(99)))
        simulation.reset()
        if simulation.terminated.any():
            continue  # there is no choice
        figure = "makespan" if model.planning else "total_latency"
        wrong = (
            -1,
            model.actions,
            2**31 - 1,
            int((simulation.mask[0] == 0).nonzero()[0]) if 0 in simulation.mask[0] else -7,
        )
        simulation.step(torch.tensor([*wrong, *legal(simulation.mask, rng)[4:].tolist()]))
        assert simulation.illegal.tolist() == [1] * 4 + [0] * 4 and (simulation.terminated[:4] == 1).all()
        assert not simulation.mask[:4].any() and (simulation.reward[:4] <= 0).all()
        for _ in range(model.horizon):
            simulation.step(legal(simulation.mask, rng))
        worst = simulation.outcome()[figure][:4]
        assert (worst >= simulation.outcome()[figure][4:].max()).all() and len(set(worst.tolist())) == 1


# ---------------------------------------------------------------------- corners


@pytest.mark.parametrize("mode", ["plan", "online"])
def test_tasks_without_length_and_data(mode):
    """A graph of nothing: over at 0, in order, wherever it runs; no time passes and nothing divides by it."""
    graph = system([[0, 0], [0, -1], [-1, 0]], edges=[(0, 1, 0), (1, 2, 0)])
    simulation = begin(graph, mode=mode, forced_moves=False)
    seen = [int(simulation.outcome()["makespan"])]
    while not simulation.terminated[0]:
        simulation.step(simulation.mask.argmax(dim=1))
        assert simulation.reward.isfinite().all()
        seen.append(int(simulation.outcome()["makespan"]))
    assert set(seen) == {0} and simulation.schedule().violations() == []
    assert simulation.schedule().entries[:, 3:].tolist() == [[0, 0]] * 3


def test_a_task_without_length_stands_before_what_begins_with_it():
    """It finds a place of its own on the timeline, and what is placed later keeps clear of the longer one."""
    graph = system([[10], [0], [3], [20]])
    simulation = begin(graph, mode="plan", choice=0, forced_moves=False)
    for task in (0, 1, 2, 3):
        simulation.step((simulation.columns["task"] == task).logical_and(simulation.mask == 1).nonzero()[:1, 1])
    assert simulation.schedule().entries[:, 3:].tolist() == [[0, 10], [0, 0], [10, 13], [13, 33]]
    assert simulation.schedule().violations() == []


def test_data_of_no_volume_takes_the_latency():
    graph = JobGraph("pair", np.array([[4, 4], [4, 4]]), np.array([[0, 1]]), np.array([0]))
    links = np.array([[0, 7], [2, 0]]), np.ones((2, 2), int)
    instance = SoCInstance("pair", (graph,), *links)
    for mode in ("plan", "online"):
        ends = []
        for first, second in ((0, 1), (1, 0), (0, 0)):
            simulation = begin(instance, mode=mode, binding="push", choice=0, forced_moves=False)
            simulation.step(torch.tensor([first]))
            simulation.step(torch.tensor([second]))
            ends.append(simulation.schedule().metrics()["makespan"])
        assert ends == [4 + 7 + 4, 4 + 2 + 4, 8]


@pytest.mark.parametrize("rounding, makespan", [("up", 4 + 3 + 4), ("down", 4 + 2 + 4)])
def test_transfers_are_rounded_to_whole_microseconds(rounding, makespan):
    graph = JobGraph("pair", np.array([[4, -1, 9], [-1, 4, 9]]), np.array([[0, 1]]), np.array([7]))
    for bandwidth in (np.full((3, 3), 3), np.array([[1, 3, 5], [2, 1, 5], [5, 5, 1]])):  # alike, or not
        instance = SoCInstance("pair", (graph,), np.zeros((3, 3), int), bandwidth)
        for mode in ("plan", "online"):
            simulation = begin(instance, mode=mode, binding="push", rounding=rounding, choice=0, forced_moves=False)
            for element in (0, 1):
                simulation.step(torch.tensor([element]))
            assert simulation.schedule().metrics()["makespan"] == makespan
            assert simulation.schedule().violations() == []


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("name", ["heft", "mct", "etf"])
def test_forced_moves_do_not_change_the_schedule(random_system, binding, name):
    rng, decisions, found = np.random.default_rng(2), [], []
    instances = [random_system(rng, 5) for _ in range(40)]
    for forced_moves in (True, False):
        options = dict(mode="online", binding=binding, noise="gaussian", sigma=0.4, forced_moves=forced_moves)
        simulation = begin(instances, **options)
        never = torch.zeros(40, dtype=torch.bool)
        while not simulation.terminated.all():
            simulation.step(POLICIES[name].act(simulation, torch.Generator(), never))
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        decisions.append(int(simulation.outcome()["decisions"].sum()))
    assert found[0] == found[1] and decisions[0] < decisions[1]


@pytest.mark.parametrize("warmup, measured", [(0, 3), (1, 2), (20, 1)])
def test_jobs_of_the_warmup_are_not_measured(warmup, measured):
    queue = system([[10]], arrival=(0, 5, 20), warmup=warmup)
    simulation, total = begin(queue, binding="push", forced_moves=False), 0.0
    scale = int(simulation.engine.tensors["initial_bound"])
    while not simulation.terminated[0]:
        simulation.step(simulation.mask.argmax(dim=1))
        total += float(simulation.reward)
    latency = sum([10, 15, 10][3 - measured :])
    assert scale == 10 * measured and int(simulation.outcome()["total_latency"]) == latency
    assert total == pytest.approx(-latency / scale) and simulation.schedule().metrics()["total_latency"] == latency
