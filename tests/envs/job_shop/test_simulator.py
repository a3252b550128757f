"""The dynamics against textbook algorithms and exhaustive search."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.cp_sat import lower_bound, solve_job_shop
from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import play
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.job_shop import simulator
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.envs.job_shop.validator import check

ALL = ("active", "non-delay", "insertion", 0.3)


def random_play(instances, options, num_envs, legal, seed=0, group=1) -> Simulation:
    """Every environment plays one episode of random legal actions."""
    simulation = Simulation(Model(instances, options), instances, num_envs, group=group)
    rng = np.random.default_rng(seed)
    simulation.reset()
    while not simulation.terminated.all():
        simulation.step(legal(simulation.mask, rng))
    assert not simulation.illegal.any()
    return simulation


class Textbook:
    """Dispatching in plain Python: the state of a shop, and the rules as functions of a job."""

    def __init__(self, instance: JobShopInstance):
        self.instance = instance
        self.routes = [
            list(zip(machine[:n], duration[:n], strict=True))
            for machine, duration, n in zip(
                instance.machine.tolist(), instance.duration.tolist(), instance.operations.tolist(), strict=True
            )
        ]
        self.step = [0] * instance.jobs
        self.ready = instance.release.tolist()
        self.free = [0] * instance.machines
        self.rules = {
            "spt": lambda j: self.routes[j][self.step[j]][1],
            "lpt": lambda j: -self.routes[j][self.step[j]][1],
            "mwkr": lambda j: -self.rest(j),
            "lwkr": lambda j: self.rest(j),
            "mopnr": lambda j: self.step[j] - len(self.routes[j]),
            "fifo": lambda j: self.ready[j],
            "lifo": lambda j: -self.ready[j],
            "fdd/mwkr": lambda j: sum(p for _, p in self.routes[j][: self.step[j] + 1]) / self.rest(j),
        }

    def rest(self, job: int) -> int:
        return sum(duration for _, duration in self.routes[job][self.step[job] :])

    def waiting(self) -> list[tuple[int, int, int, int]]:
        """(earliest start, earliest completion, machine, job) of every job's next operation."""
        rows = []
        for job, route in enumerate(self.routes):
            if self.step[job] < len(route):
                machine, duration = route[self.step[job]]
                start = max(self.ready[job], self.free[machine])
                rows.append((start, start + duration, machine, job))
        return rows

    def run(self, rule: str, conflict) -> int:
        """Dispatch until all is done; the makespan. ``conflict`` picks the jobs that compete from ``waiting``."""
        while rows := self.waiting():
            job = min(conflict(rows), key=lambda j: (self.rules[rule](j), j))
            (start, end, machine, _) = next(row for row in rows if row[3] == job)
            self.ready[job] = self.free[machine] = end
            self.step[job] += 1
        return max(self.ready[job] for job, route in enumerate(self.routes) if route)


def non_delay(rows):
    """Whatever can start first, where it can."""
    start = min(row[0] for row in rows)
    machine = next(row[2] for row in rows if row[0] == start)
    return [job for s, _, m, job in rows if m == machine and s == start]


def giffler_thompson(rows):
    """On the machine where something completes first, whatever could start before that."""
    end = min(row[1] for row in rows)
    machine = next(row[2] for row in rows if row[1] == end)
    return [job for s, _, m, job in rows if m == machine and s < end]


@pytest.mark.parametrize("construction, conflict", [("non-delay", non_delay), ("active", giffler_thompson)])
def test_textbook_dispatching_gives_the_same_makespans(random_shop, construction, conflict):
    rng = np.random.default_rng(12)
    instances = [random_shop(rng, general=k % 2 == 0, shortest=1) for k in range(200)]
    simulation = Simulation(Model(instances, Options(construction)), instances, 200, observe=False)
    for rule in ("spt", "lpt", "mwkr", "lwkr", "mopnr", "fifo", "lifo", "fdd/mwkr"):
        play(POLICIES[rule], simulation, torch.Generator(), torch.zeros(200, dtype=torch.bool))
        expected = [Textbook(instance).run(rule, conflict) for instance in instances]
        assert simulation.outcome()["makespan"].tolist() == expected


def first_gap(busy: list[tuple[int, int]], arrival: int, duration: int) -> int:
    """Start of an operation in the first idle gap of a machine that takes it, from the list of busy intervals."""
    start = arrival
    for begin, end in sorted(busy):
        if start + duration <= begin:
            return start
        start = max(start, end)
    return start


@pytest.mark.parametrize("forced_moves", [True, False])
def test_insertion_takes_the_first_gap(random_shop, legal, forced_moves):
    rng, filled = np.random.default_rng(5), 0
    for k in range(80):
        instance = random_shop(rng, general=k % 2 == 0)
        simulation = Simulation(Model([instance], Options("insertion", forced_moves)), [instance], 1)
        simulation.reset()
        position = simulation.engine.tensors["next_operation"][0]
        order = [0] * int(position.sum())  # of a single job every move is forced
        while not simulation.terminated[0]:
            action, before = int(legal(simulation.mask, rng)), position.clone()
            simulation.step(torch.tensor([action]))
            order.append(action)
            before[action] += 1
            order += [
                j for j, count in enumerate((position - before).tolist()) for _ in range(count)
            ]  # of the last job
        start = {(j, o): (s, e) for j, o, _, s, e in simulation.schedule().entries.tolist()}
        filled += replay_insertion(instance, order, start)
    assert filled > 50


def replay_insertion(instance, order: list[int], start: dict) -> int:
    """Check every start against the first gap at the time of the choice; returns how many went before another."""
    busy = [[] for _ in range(instance.machines)]
    ready, step, inside = instance.release.tolist(), [0] * instance.jobs, 0
    for job in order:
        machine, duration = int(instance.machine[job, step[job]]), int(instance.duration[job, step[job]])
        begin = first_gap(busy[machine], ready[job], duration)
        assert start[job, step[job]] == (begin, begin + duration)
        inside += any(begin < other for other, _ in busy[machine])
        busy[machine].append((begin, begin + duration))
        ready[job], step[job] = begin + duration, step[job] + 1
    assert len(order) == len(start) == instance.operations.sum()
    return inside


def test_a_narrower_delta_offers_a_subset(random_shop, legal):
    choose = twin(simulator.choose)
    rng, sizes = np.random.default_rng(8), {}
    for k in range(40):
        instance = random_shop(rng, general=k % 2 == 0)
        simulation = Simulation(Model([instance], Options(0.5, False)), [instance], 1)
        simulation.reset()
        while not simulation.terminated[0]:
            state, smaller = simulation.engine.twin().state, set()
            for delta in (0, 1, 250_000, 500_000, 750_000, 1_000_000):
                state.delta = delta
                count = choose(state, 0)
                offered = set(np.flatnonzero(state.action_mask[0]).tolist())
                assert count == len(offered) >= 1 and smaller <= offered
                assert state.only[0] == min(offered)
                smaller = offered
                sizes[delta] = sizes.get(delta, 0) + count
            simulation.step(legal(simulation.mask, rng))
    assert sizes[0] < sizes[250_000] < sizes[1_000_000]


@pytest.mark.parametrize("construction", ALL)
def test_forced_moves_do_not_change_the_schedule(random_shop, construction):
    rng = np.random.default_rng(2)
    instances = [random_shop(rng, general=k % 2 == 0) for k in range(100)]
    found, decisions = [], []
    for forced_moves in (True, False):
        simulation = Simulation(Model(instances, Options(construction, forced_moves)), instances, 100)
        play(POLICIES["mwkr"], simulation, torch.Generator(), torch.zeros(100, dtype=torch.bool))
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        decisions.append(simulation.outcome()["decisions"])
    assert found[0] == found[1]
    assert decisions[1].tolist() == [int(instance.operations.sum()) for instance in instances]
    assert (decisions[0] <= decisions[1]).all() and decisions[0].sum() < decisions[1].sum()


@pytest.mark.parametrize("construction", ALL)
def test_forced_moves_leave_real_choices(random_shop, legal, construction):
    rng = np.random.default_rng(4)
    instances = [random_shop(rng) for _ in range(50)]
    simulation = Simulation(Model(instances, Options(construction)), instances, 50)
    simulation.reset()
    without = simulation.terminated == 1
    closed = torch.zeros_like(simulation.mask[0])
    closed[0] = 1  # never an empty mask at the start: the first action stands open where nothing is left to choose
    assert 5 < without.sum() < 45 and (simulation.mask[without] == closed).all()
    while not simulation.terminated.all():
        choices, over = simulation.mask.sum(dim=1), simulation.terminated == 1
        assert (choices[~over] > 1).all() and not choices[over & ~without].any()
        simulation.step(legal(simulation.mask, rng))
    assert not simulation.illegal.any()


def idle_before(schedule, instance) -> list[tuple[int, int, int, int, list]]:
    """(arrival at the machine, start, length, end, what else the machine does) of every operation."""
    rows = schedule.entries.tolist()
    ends = {(job, step): end for job, step, _, _, end in rows}
    return [
        (
            ends.get((job, step - 1), int(instance.release[job])), start, end - start, end,
            sorted((s, e) for j, o, m, s, e in rows if m == machine and (j, o) != (job, step)),
        )
        for job, step, machine, start, end in rows
    ]  # fmt: skip


@pytest.mark.parametrize("construction", ["active", "non-delay", 0.3])
def test_schedules_are_active(random_shop, legal, construction):
    """No operation could start earlier without delaying another one."""
    rng = np.random.default_rng(6)
    instances = [random_shop(rng, general=k % 2 == 0, shortest=1) for k in range(150)]
    simulation = random_play(instances, Options(construction), 150, legal)
    for instance, schedule in zip(instances, simulation.schedules(), strict=True):
        for arrival, start, length, _, others in idle_before(schedule, instance):
            assert first_gap(others, arrival, length) == start


def test_non_delay_schedules_are_non_delay(random_shop, legal):
    """No machine is idle while an operation waits for it; of the other constructions some schedules are not so."""
    rng = np.random.default_rng(7)
    instances = [random_shop(rng, general=k % 2 == 0, shortest=1) for k in range(150)]
    waits = {}
    for construction in ("non-delay", "active", "insertion"):
        simulation = random_play(instances, Options(construction), 150, legal)
        waits[construction] = 0
        for instance, schedule in zip(instances, simulation.schedules(), strict=True):
            for arrival, start, _, _, others in idle_before(schedule, instance):
                busy = sum(max(0, min(end, start) - max(begin, arrival)) for begin, end in others)
                waits[construction] += start - arrival - busy
    assert waits["non-delay"] == 0 < min(waits["active"], waits["insertion"])


@pytest.mark.parametrize("construction", ALL)
def test_random_schedules_are_feasible(random_shop, legal, construction):
    """2,500 of each construction, 10,000 in all; the bound ends at the makespan and only ever grows."""
    rng = np.random.default_rng(1)
    instances = [random_shop(rng, general=k % 3 > 0) for k in range(250)]
    simulation = Simulation(Model(instances, Options(construction, bool(rng.integers(2)))), instances, 2500, group=10)
    simulation.reset()
    before = simulation.engine.tensors["initial_bound"][simulation.engine.tensors["instance"].long()]
    while not simulation.terminated.all():
        simulation.step(legal(simulation.mask, rng))
        bound = simulation.outcome()["makespan"].clone()
        assert (bound >= before).all()
        before = bound
    assert not simulation.illegal.any()
    for schedule, makespan in zip(simulation.schedules(), before.tolist(), strict=True):
        assert check(schedule.instance, schedule) == []
        assert schedule.column("end").max() == makespan >= lower_bound(schedule.instance)


@pytest.mark.parametrize("construction", ["active", "non-delay"])
def test_the_bound_by_its_definition(random_shop, legal, construction):
    """It grows to the job's end and rest, and to the machine's end, load to come and smallest tail of all."""
    rng, driven = np.random.default_rng(14), 0
    for k in range(40):
        shop = random_shop(rng, general=k % 2 == 0)
        simulation = Simulation(Model([shop], Options(construction, False)), [shop], 1)
        simulation.reset()
        done = np.cumsum(shop.duration, axis=1)
        after = done[:, -1:] - done
        step, free, load = [0] * shop.jobs, [0] * shop.machines, [0] * shop.machines
        for machine, duration in zip(shop.machine[shop.machine >= 0], shop.duration[shop.machine >= 0], strict=True):
            load[machine] += int(duration)
        expected = lower_bound(shop) if k % 2 else int(simulation.outcome()["makespan"][0])
        while not simulation.terminated[0]:
            assert simulation.outcome()["makespan"].tolist() == [expected]
            job = int(legal(simulation.mask, rng))
            simulation.step(torch.tensor([job]))
            machine, end = int(shop.machine[job, step[job]]), int(simulation.engine.tensors["arrival"][0, job])
            free[machine], load[machine] = end, load[machine] - int(shop.duration[job, step[job]])
            through = free[machine] + load[machine] + int(after[shop.machine == machine].min())
            driven += through > max(expected, end + after[job, step[job]])
            expected = max(expected, end + int(after[job, step[job]]), through)
            step[job] += 1
    assert driven > 10


def best_of_all(instance: JobShopInstance, construction) -> int:
    """The smallest makespan over every sequence of legal actions."""
    simulation = Simulation(Model([instance], Options(construction)), [instance], 1, observe=False)
    best, open_prefixes = 10**9, [[]]
    while open_prefixes:
        prefix = open_prefixes.pop()
        simulation.reset()
        for action in prefix:
            simulation.step(torch.tensor([action]))
        if simulation.terminated[0]:
            best = min(best, int(simulation.outcome()["makespan"][0]))
        elif int(simulation.outcome()["makespan"][0]) < best:  # the bound only grows
            open_prefixes += [[*prefix, action] for action in simulation.mask[0].nonzero().flatten().tolist()]
    return best


def test_exhaustive_search_meets_constraint_programming(random_shop):
    rng, small = np.random.default_rng(3), []
    while len(small) < 25:
        instance = random_shop(rng, general=len(small) % 2 == 0, shortest=1)
        small += [instance] if 3 <= instance.operations.sum() <= 10 and instance.jobs > 1 else []
    for instance in small:
        optimum = solve_job_shop(instance, time_limit=20.0)
        assert optimum.status == "optimal"
        assert best_of_all(instance, "active") == best_of_all(instance, "insertion") == optimum.objective
        for construction in ("non-delay", 0.3):
            assert best_of_all(instance, construction) >= optimum.objective


def test_non_delay_can_exclude_every_optimum():
    """Machine 0 does best to stay idle for one unit until the urgent job arrives."""
    instance = JobShopInstance("wait", 2, np.array([[5, 0], [2, 10]]), np.array([[0, -1], [0, 1]]), np.array([0, 1]))
    assert best_of_all(instance, "active") == solve_job_shop(instance).objective == 13
    assert best_of_all(instance, "non-delay") == 17


def test_active_keeps_an_operation_without_length():
    """An operation of length 0 that completes first is a candidate although another one could start earlier."""
    instance = JobShopInstance("zero", 2, np.array([[0, 100], [10, 0]]), np.array([[0, 1], [0, -1]]), np.array([5, 2]))
    assert best_of_all(instance, "active") == solve_job_shop(instance).objective == 105


def test_an_instance_without_work():
    instance = JobShopInstance("nothing", 2, np.zeros((3, 2), int), np.array([[0, 1], [1, 0], [0, 1]]))
    for construction in ALL:
        simulation = Simulation(Model([instance], Options(construction, False)), [instance], 1)
        play(POLICIES["spt"], simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
        assert simulation.outcome()["makespan"].tolist() == [0] and simulation.reward.isfinite().all()
        assert simulation.schedule().metrics()["makespan"] == 0 and simulation.schedule().violations() == []


def test_the_longest_times_an_instance_may_have():
    """Nothing overflows just below the limit on the sum of all times."""
    big = 2**26 - 1
    instance = JobShopInstance("long", 2, np.full((2, 1), big), np.zeros((2, 1), int), np.array([0, big]))
    for construction in ALL:
        simulation = Simulation(Model([instance], Options(construction, False)), [instance], 1)
        play(POLICIES["spt"], simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
        assert simulation.outcome()["makespan"].tolist() == [2 * big] and simulation.schedule().violations() == []
        assert all(tensor.isfinite().all() for tensor in simulation.observation.values())


def test_an_illegal_action_counts_as_the_worst_schedule(random_shop):
    rng = np.random.default_rng(9)
    instances = [random_shop(rng) for _ in range(60)]
    simulation = Simulation(Model(instances, Options(forced_moves=False)), instances, 60)
    simulation.reset()
    simulation.step(torch.full((60,), -1))
    for instance, figure in zip(instances, simulation.outcome()["makespan"].tolist(), strict=True):
        assert figure == max(instance.release.max() + instance.total_work, lower_bound(instance))
    assert simulation.terminated.all() and simulation.illegal.all() and not simulation.mask.any()


@pytest.mark.parametrize("construction", ALL)
def test_single_job_and_single_machine(construction):
    one_job = JobShopInstance("chain", 3, np.array([[3, 4, 5, 6]]), np.array([[0, 1, 0, 2]]), np.array([7]))
    one_machine = JobShopInstance("queue", 1, np.array([[3], [4], [5]]), np.zeros((3, 1), int))
    for instance, makespan in ((one_job, 25), (one_machine, 12)):
        for forced_moves in (True, False):
            simulation = Simulation(Model([instance], Options(construction, forced_moves)), [instance], 1)
            play(POLICIES["spt"], simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
            assert simulation.outcome()["makespan"].tolist() == [makespan]
            if instance is one_job and forced_moves:  # over before the first decision
                assert simulation.outcome()["decisions"].tolist() == [0]
