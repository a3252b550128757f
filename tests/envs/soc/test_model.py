"""The SoC as the core sees it: sizes, the bank, what fits, and schedules read off the state."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.noise import actual_times
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load_many


def chain(times=((2, 9), (4, 3)), edges=((0, 1, 6),), name="chain", **stream) -> SoCInstance:
    times, edges = np.array(times), np.array(edges, int).reshape(-1, 3)
    square = np.ones((times.shape[1],) * 2, int)
    return SoCInstance(name, (JobGraph(name, times, edges[:, :2], edges[:, 2]),), 0 * square, square, **stream)


def stream(*times, **more) -> SoCInstance:
    return chain(name="stream", arrival_time=times, arrival_graph=[0] * len(times), **more)


def test_sizes_are_the_largest_of_the_instances():
    instances = load_many(["radio-small-50x3:0", "socrates-mix-50x4:0", "topcuoglu"], "soc")
    model = Model(instances)
    assert (model.jobs, model.widest, model.elements, model.links) == (4, 10, 16, 15)
    assert model.graphs == 10 and model.most_tasks == 40 and model.in_system == 4
    assert Model(instances, Options(wip_cap=2)).in_system == 2
    assert (model.spec.works, model.spec.resources, model.spec.edges) == (40, 16, 640) and model.spec.complete
    assert model.spec.precedences == 4 * 15
    ready = Model(instances, Options(observation="ready", choice=3)).spec
    assert (ready.works, ready.edges, ready.precedences) == (3, 48, 0)


@pytest.mark.parametrize(
    "options, actions",
    [
        (dict(mode="plan"), 7 * 3), (dict(mode="plan", choice=2), 2 * 3), (dict(binding="pull", mode="online"), 7 + 1),
        (dict(binding="pull", mode="online", choice=1), 2), (dict(binding="match", mode="online", choice=2), 7),
        (dict(binding="push", mode="online", choice=2), 6), (dict(binding="late", mode="online", choice=2), 7),
        (dict(binding="idle", mode="online", choice=2), 7), (dict(mode="plan", choice=100), 7 * 3),
    ],
)  # fmt: skip
def test_an_action_is_a_task_and_an_element_or_to_wait(options, actions):
    """No more than 7 of the 10 tasks of the example can be ready at a time: 4 of them stand in a chain."""
    model = Model(load_many("topcuoglu", "soc"), Options(**options))
    assert model.ready == 7 and model.actions == actions == model.spec.actions


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_places_suffice_for_all_that_can_be_ready(random_system, legal, seed):
    """And episodes end within the horizon."""
    rng = np.random.default_rng(seed)
    instances = [random_system(rng) for _ in range(4)]
    for binding in ("pull", "late", "idle"):
        options = Options(mode="online", binding=binding, wip_cap=int(rng.integers(3)), forced_moves=False)
        model = Model(instances, options)
        simulation, steps = Simulation(model, instances, 4, observe=False), 0
        simulation.reset()
        while not simulation.terminated.all():
            assert int(simulation.engine.tensors["ready_count"].max()) <= model.ready
            assert int(simulation.engine.tensors["slots_taken"].max()) <= model.ready
            simulation.step(legal(simulation.mask, rng))
            steps += 1
        assert steps <= model.horizon


@pytest.mark.parametrize("binding", ["late", "idle"])
def test_whoever_dawdles_ends_within_the_horizon(binding):
    """A policy that always binds where data are still on their way is asked again whenever some arrive."""
    tasks, elements, rng = 10, 30, np.random.default_rng(0)
    times = np.full((tasks + 1, elements), 5000)
    times[0, 1:] = -1
    edges = [(0, k, volume * (elements + 1) + 1) for k, volume in enumerate(rng.permutation(tasks), 1)]
    source, target, volume = np.array(edges).T
    graph = JobGraph("fan", times, np.stack([source, target], axis=1), volume)
    links = np.tile(np.arange(elements), (elements, 1)), np.ones((elements, elements), int)
    fan = SoCInstance("fan", (graph,), *links)
    model = Model([fan], Options(mode="online", binding=binding, choice=0, forced_moves=False))
    simulation, steps = Simulation(model, [fan], 1, observe=False), 0
    simulation.reset()
    while not simulation.terminated[0]:
        late = simulation.columns["data_arrival"] - simulation.clock[:, None]
        key = torch.where(late > 0, late, 2**30 + 1).masked_fill(simulation.mask == 0, 2**31 - 1)
        simulation.step(key.argmin(dim=1))
        steps += 1
    assert 3 * tasks * elements < steps <= model.horizon


def test_the_bank_by_hand():
    graph = stream(0, 7, 9, kinds=("cpu", "gpu"), warmup=5)
    row = {name: array[0] for name, array in Model([graph]).pack([graph]).items()}
    assert row["jobs"] == 3 and row["elements"] == 2 and row["widest"] == 2 and row["all_tasks"] == 6
    assert row["first_measured"] == 1 and row["arrival_time"].tolist() == [0, 7, 9]
    assert row["initial_bound"] == 2 * (2 + 3)  # the least times of the two jobs that are measured
    assert row["worst_makespan"] == 9 + 3 * (9 + 4 + 6)
    assert row["accelerator"].tolist() == [0, 1] and row["uniform"] == 1
    assert row["mean_duration"] == 4.5 and row["speed_order"].tolist() == [0, 1]  # (1 + 4/3) / 2 against (9/2 + 1) / 2
    assert row["tail"][0].tolist() == [3, 0] and row["execution"][0].tolist() == [[2, 9], [4, 3]]


def test_padding_of_the_bank():
    small, large = chain(), load_many("random-12:0", "soc")[0]
    alone, padded = (Model(instances).pack([small]) for instances in ([small], [small, large]))
    assert padded["execution"].shape[2:] == (large.widest, large.elements)
    assert (padded["execution"][0, 0, 2:] == -1).all() and (padded["execution"][0, 0, :, 2:] == -1).all()
    assert (padded["bandwidth"][0, 2:] == 1).all() and padded["bandwidth"].min() == 1
    for name in ("tasks", "before_volume", "rank", "tail", "arrival_time", "latency", "elements", "initial_bound"):
        assert padded[name].sum() == alone[name].sum()


@pytest.mark.parametrize(
    "other",
    [
        stream(0, 5, 9),  # more jobs
        chain([[2, 9]] * 3, [(0, 1, 1), (1, 2, 1)], arrival_time=[0, 1], arrival_graph=[0, 0]),  # more tasks
        chain([[2, 9, 9]] * 2, arrival_time=[0, 1], arrival_graph=[0, 0]),  # more elements
        chain([[2, 9]] * 2, [], arrival_time=[0, 1], arrival_graph=[0, 0]),  # more that can be ready together
    ],
    ids=["jobs", "tasks", "elements", "breadth"],
)
def test_instances_that_do_not_fit_are_refused(other):
    model = Model([stream(0, 5)])
    assert model.fits(stream(3, 4)) and model.fits(chain()) and not model.fits(other)
    with pytest.raises(OptionError, match="does not fit one made for"):
        model.pack([other])
    more_edges = SoCInstance("edges", (chain().graphs[0],) * 2, np.zeros((2, 2), int), np.ones((2, 2), int))
    assert not model.fits(more_edges)  # more graphs


def test_a_plan_takes_no_stream():
    model = Model([chain()], Options(mode="online"))
    assert model.objective == "makespan" and not model.fits(stream(1))  # one job, but not at time 0
    with pytest.raises(OptionError, match="one graph at time 0, and stream is a stream; use mode online"):
        Model([chain(), stream(0, 5)], Options(mode="plan"))
    with pytest.raises(OptionError, match="pilot .*not streams"):
        Model([stream(0, 5)], Options(pilot="both"))


@pytest.mark.parametrize(
    "instances, options, planning, objective",
    [
        ([chain()], {}, True, "makespan"),
        ([chain()], dict(noise="gamma", sigma=0.1), False, "makespan"),
        ([chain()], dict(mode="online"), False, "makespan"),
        ([chain(), stream(0, 5)], {}, False, "total_latency"),
        ([stream(5)], {}, False, "total_latency"),
    ],
)
def test_what_is_planned_and_what_is_minimised(instances, options, planning, objective):
    model = Model(instances, Options(**options))
    assert (model.planning, model.objective, model.repeatable) == (planning, objective, planning)
    assert model.settings["priority"] == (0 if objective == "makespan" else 1)  # rank, srpt
    assert model.clock == (None if planning else "now")


@pytest.mark.parametrize("noise, sigma", [("gaussian", 4.0), ("lognormal", 2.0), ("readys", 500.0), ("ds3", 0.1)])
def test_nothing_lasts_longer_than_the_worst(random_system, noise, sigma):
    rng = np.random.default_rng(0)
    for _ in range(30):
        instance = random_system(rng)
        worst = int(Model([instance], Options(noise=noise, sigma=sigma)).pack([instance])["worst_makespan"][0])
        graphs = [instance.graphs[g] for g in instance.arrival_graph]
        for world in range(5):
            times = actual_times(instance, {"noise": noise, "sigma": sigma, "world": world})
            work = sum(int(times[job, task].max()) for job, graph in enumerate(graphs) for task in range(graph.tasks))
            transfers = [instance.transfer_time(g).max(axis=(1, 2)).sum() for g in instance.arrival_graph.tolist()]
            assert int(instance.arrival_time[-1]) + work + sum(transfers) <= worst


def test_times_that_noise_makes_too_long_to_count_are_refused():
    slow = chain([[2**26, 2**26]] * 3, [])
    assert Model([slow]).pack([slow])["worst_makespan"][0] == 3 * 2**26
    with pytest.raises(OptionError, match="under gaussian noise of sigma 4 chain could last .* us, limit 1073741823"):
        Model([slow], Options(noise="gaussian", sigma=4)).pack([slow])


def test_schedules_are_read_off_the_state():
    graph = stream(0, 3)
    options = Options(mode="online", binding="match", forced_moves=False, wip_cap=1, shared_bus=True, choice=0)
    simulation = Simulation(Model([graph, load_many("random-12:0", "soc")[0]], options), [graph], 1, seed=9, worlds=[4])
    simulation.reset()
    assert simulation.schedule().entries.shape == (0, 5)
    row = {name: simulation.columns[name][0] for name in ("job", "task", "element")}

    def bind(job, task, element):
        wanted = (row["job"] == job) & (row["task"] == task) & (row["element"] == element) & (simulation.mask[0] == 1)
        simulation.step(wanted.nonzero()[0])

    bind(0, 0, 0)
    assert simulation.schedule().entries.tolist() == [[0, 0, 0, 0, 2]]
    bind(0, 1, 1)  # its data take the bus, which stands after the elements of this instance
    assert simulation.schedule().entries.tolist() == [[0, 0, 0, 0, 2], [0, 1, 1, 8, 11], [0, 2, 2, 2, 8]]
    bind(1, 0, 0)
    bind(1, 1, 0)
    schedule = simulation.schedule()
    assert sorted(schedule.entries.tolist())[3:] == [[1, 0, 0, 11, 13], [1, 1, 0, 13, 17]]
    assert schedule.violations() == [] and simulation.terminated[0]
    assert schedule.conditions == {
        "noise": "none", "sigma": 0.0, "seed": 9, "world": 4, "episode": 0, "rounding": "up", "shared_bus": True,
        "wip_cap": 1,
    }  # fmt: skip
    assert schedule.metrics()["mean_blocked"] == 4


def test_a_plan_has_no_cap():
    simulation = Simulation(Model([chain()], Options(wip_cap=3)), [chain()], 1)
    simulation.reset()
    assert simulation.schedule().conditions["wip_cap"] == 0
    assert simulation.outcome().keys() == {"makespan", "total_latency", "decisions"}
    assert torch.equal(simulation.clock, simulation.engine.tensors["steps"])


def test_instances_of_a_key_share_a_simulation_with_little_padding():
    key = Model.size_key
    assert key(chain()) != key(stream(5)) and key(stream(0, 5)) == key(stream(1, 2))
    assert key(stream(*range(5))) == key(stream(*range(6))) != key(stream(*range(7)))
