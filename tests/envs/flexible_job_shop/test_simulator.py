"""The dynamics against dispatching in plain Python and exhaustive search."""

from functools import cache

import numpy as np
import pytest
import torch

from dispatchgym.baselines.flexible_job_shop import POLICIES
from dispatchgym.baselines.flexible_job_shop_cp_sat import solve_flexible_job_shop
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import play
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.flexible_job_shop import simulator
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance
from dispatchgym.envs.flexible_job_shop.model import Model
from dispatchgym.envs.flexible_job_shop.options import Options
from dispatchgym.envs.flexible_job_shop.validator import check
from dispatchgym.instances.catalogue import load

ALL = ("active", "non-delay", 0.3, "wait")


class Textbook:
    """Dispatching in plain Python: the state of a shop, who may be chosen, and what a choice does."""

    def __init__(self, instance: FlexibleJobShopInstance):
        self.instance = instance
        self.step = [0] * instance.jobs
        self.ready = instance.release.tolist()
        self.free = [0] * instance.machines
        self.rows = []

    def pairs(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Earliest start and finish of every (job, machine) that the next operations can take."""
        found = {}
        for job, step in enumerate(self.step):
            if step < self.instance.operations[job]:
                for machine, time in enumerate(self.instance.duration[job, step].tolist()):
                    if time >= 0:
                        start = max(self.ready[job], self.free[machine])
                        found[job, machine] = start, start + time
        return found

    def candidates(self, construction) -> set[tuple[int, int]]:
        pairs = self.pairs()
        first = min((start for start, _ in pairs.values()), default=0)
        finish = min((end for _, end in pairs.values()), default=0)
        width = Options(construction).delta * (finish - first)
        return {
            pair
            for pair, (start, end) in pairs.items()
            if start == first or ((start < finish or end == finish) and start - first <= width + 1e-9)
        }

    def commit(self, job: int, machine: int) -> None:
        start, end = self.pairs()[job, machine]
        self.rows.append([job, self.step[job], machine, start, end])
        self.step[job] += 1
        self.ready[job] = self.free[machine] = end

    def wait(self) -> None:
        """Nothing starts until another pair could."""
        starts = sorted({start for start, _ in self.pairs().values()})
        self.free = [max(free, starts[1]) for free in self.free]

    def bound(self) -> int:
        """What the state alone says the makespan is at least; the least work of jobs, the mean over machines."""
        shortest = self.instance.shortest
        rest = [int(shortest[job, step:].sum()) for job, step in enumerate(self.step)]
        return max(*map(sum, zip(self.ready, rest, strict=True)), -(-(sum(self.free) + sum(rest)) // len(self.free)))


def fresh(instance, construction, forced_moves=False, **more) -> Simulation:
    simulation = Simulation(Model([instance], Options(construction, forced_moves)), [instance], 1, **more)
    simulation.reset()
    return simulation


def offered(simulation) -> set[tuple[int, int]]:
    """The candidates as (job, machine); None stands for waiting."""
    machines = simulation.model.machines
    chosen = simulation.mask[0].nonzero().flatten().tolist()
    return {divmod(a, machines) if a < simulation.model.jobs * machines else None for a in chosen}


@pytest.mark.parametrize("construction", ALL)
def test_choices_and_schedules_are_those_of_plain_dispatching(random_flexible_shop, legal, construction):
    rng, waits = np.random.default_rng(1), 0
    for _ in range(60):
        shop = random_flexible_shop(rng)
        simulation, book = fresh(shop, construction), Textbook(shop)
        while not simulation.terminated[0]:
            expected = book.candidates(construction)
            if construction == "wait" and len({start for start, _ in book.pairs().values()}) > 1:
                expected.add(None)
            assert offered(simulation) == expected
            assert int(simulation.engine.tensors["time"][0]) == min(start for start, _ in book.pairs().values())
            action = int(legal(simulation.mask, rng))
            if action == shop.jobs * shop.machines:
                book.wait()
                waits += 1
            else:
                book.commit(*divmod(action, shop.machines))
            simulation.step(torch.tensor([action]))
        assert simulation.schedule().entries.tolist() == sorted(book.rows)
        assert book.pairs() == {}
    assert (waits > 20) == (construction == "wait")


@pytest.mark.parametrize("construction", ALL)
def test_columns_say_what_is_known_of_a_pair(random_flexible_shop, legal, construction):
    rng = np.random.default_rng(2)
    for _ in range(30):
        shop = random_flexible_shop(rng)
        simulation, book = fresh(shop, construction), Textbook(shop)
        while not simulation.terminated[0]:
            columns = {name: column[0].numpy() for name, column in simulation.columns.items()}
            assert (columns["next_machine"][shop.jobs * shop.machines :] == -1).all()
            for (job, machine), (start, end) in book.pairs().items():
                step, times = book.step[job], shop.duration[job, book.step[job]]
                expected = {
                    "next_machine": machine, "processing_time": times[machine], "earliest_start": start,
                    "earliest_finish": end, "arrival": book.ready[job], "free": book.free[machine],
                    "shortest_time": times[times >= 0].min(), "alternatives": (times >= 0).sum(),
                    "least_work": shop.shortest[job, step:].sum(), "remaining_operations": shop.operations[job] - step,
                    "remaining_work": np.rint(shop.mean[job, step:].sum()),
                }  # fmt: skip
                assert expected == {name: column[job * shop.machines + machine] for name, column in columns.items()}
            real = {divmod(a, shop.machines) for a in np.flatnonzero(columns["next_machine"] >= 0).tolist()}
            assert real == book.pairs().keys()
            action = int(legal(simulation.mask, rng))
            book.wait() if action == shop.jobs * shop.machines else book.commit(*divmod(action, shop.machines))
            simulation.step(torch.tensor([action]))


def test_a_narrower_delta_offers_a_subset(random_flexible_shop, legal):
    choose = twin(simulator.choose)
    rng, sizes = np.random.default_rng(8), {}
    for _ in range(40):
        simulation = fresh(random_flexible_shop(rng), 0.5)
        while not simulation.terminated[0]:
            state, smaller = simulation.engine.twin().state, set()
            for delta in (0, 1, 250_000, 500_000, 1_000_000):
                state.delta = delta
                count = choose(state, 0)
                found = set(np.flatnonzero(state.action_mask[0]).tolist())
                assert count == len(found) >= 1 and smaller <= found and state.only[0] == min(found)
                smaller = found
                sizes[delta] = sizes.get(delta, 0) + count
            simulation.step(legal(simulation.mask, rng))
    assert sizes[0] < sizes[500_000] < sizes[1_000_000]


@pytest.mark.parametrize("construction", ALL)
@pytest.mark.parametrize("rule", ["mwkr/eft", "mopnr/free", "spt"])
def test_forced_moves_do_not_change_the_schedule_of_a_rule(random_flexible_shop, construction, rule):
    rng = np.random.default_rng(3)
    shops = [random_flexible_shop(rng, shortest=1) for _ in range(80)]
    found, decisions = [], []
    for forced_moves in (True, False):
        simulation = Simulation(Model(shops, Options(construction, forced_moves)), shops, 80, observe=False)
        play(POLICIES[rule], simulation, torch.Generator(), torch.zeros(80, dtype=torch.bool))
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        decisions.append(simulation.outcome()["decisions"])
    assert found[0] == found[1]
    assert decisions[1].tolist() == [int(shop.operations.sum()) for shop in shops]
    assert (decisions[0] <= decisions[1]).all() and decisions[0].sum() < decisions[1].sum()


@pytest.mark.parametrize("construction", ALL)
def test_forced_moves_leave_real_choices(random_flexible_shop, legal, construction):
    """Of non-delay schedules no candidate is alone with its job and its machine."""
    rng = np.random.default_rng(4)
    shops = [random_flexible_shop(rng) for _ in range(50)]
    simulation = Simulation(Model(shops, Options(construction)), shops, 50, observe=False)
    simulation.reset()
    while not simulation.terminated.all():
        for mask, over in zip(simulation.mask.numpy(), simulation.terminated.tolist(), strict=True):
            if over:
                continue
            assert mask.sum() > 1
            if construction == "non-delay":
                grid = mask.reshape(simulation.model.jobs, -1)
                alone = (grid == 1) & (grid.sum(axis=1, keepdims=True) == 1) & (grid.sum(axis=0) == 1)
                assert not alone.any()
        simulation.step(legal(simulation.mask, rng))
    assert not simulation.illegal.any()


@pytest.mark.parametrize("construction", ALL)
def test_random_schedules_are_feasible_and_bounds_hold(random_flexible_shop, legal, construction):
    """The bound only grows, is never below what the state says, and ends as the makespan."""
    rng = np.random.default_rng(5)
    shops = [random_flexible_shop(rng) for _ in range(100)]
    options = Options(construction, bool(rng.integers(2)))
    simulation = Simulation(Model(shops, options), shops, 500, group=5, observe=False)
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
        assert schedule.column("end").max() == makespan


@pytest.mark.parametrize("construction", ["active", "wait"])
def test_the_bound_is_at_least_what_the_state_says(random_flexible_shop, legal, construction):
    rng, larger = np.random.default_rng(6), 0
    for _ in range(40):
        shop = random_flexible_shop(rng, releases=False)
        simulation, book = fresh(shop, construction, observe=False), Textbook(shop)
        while True:
            bound = int(simulation.outcome()["makespan"][0])
            assert bound >= book.bound()
            larger += bound > book.bound()  # where machines that are needed by name say more, or the past did
            if simulation.terminated[0]:
                break
            action = int(legal(simulation.mask, rng))
            book.wait() if action == shop.jobs * shop.machines else book.commit(*divmod(action, shop.machines))
            simulation.step(torch.tensor([action]))
    assert larger > 10


def best_of_all(instance: FlexibleJobShopInstance, construction) -> int:
    """The smallest makespan over every sequence of legal actions; equal states are visited once."""
    simulation = fresh(instance, construction, True, observe=False)
    best, tensors = 10**9, simulation.engine.tensors
    names = ("next_operation", "available", "arrival", "bound")
    seen, prefixes = set(), [[]]
    while prefixes:
        prefix = prefixes.pop()
        simulation.reset()
        for action in prefix:
            simulation.step(torch.tensor([action]))
        state = tuple(tensors[name].numpy().tobytes() for name in names)
        if state in seen:
            continue
        seen.add(state)
        bound = int(tensors["bound"][0])
        if simulation.terminated[0]:
            best = min(best, bound)
        elif bound < best:  # the bound only grows
            prefixes += [[*prefix, action] for action in simulation.mask[0].nonzero().flatten().tolist()]
    return best


def brute_force(instance: FlexibleJobShopInstance) -> int:
    """The least makespan over every order and every assignment, appended; from the statement of the problem alone."""
    times = instance.duration.tolist()
    length = instance.operations.tolist()

    @cache
    def best(step: tuple[int, ...], ready: tuple[int, ...], free: tuple[int, ...]) -> int:
        found = [max(ready)] if list(step) == length else []
        for job in range(instance.jobs):
            for machine, time in enumerate(times[job][step[job]] if step[job] < length[job] else ()):
                if time < 0:
                    continue
                end = (max(ready[job], free[machine]) if time else ready[job]) + time
                other = [*free[:machine], end if time else free[machine], *free[machine + 1 :]]
                steps = (*step[:job], step[job] + 1, *step[job + 1 :])
                found.append(best(steps, (*ready[:job], end, *ready[job + 1 :]), tuple(other)))
        return min(found)

    return best((0,) * instance.jobs, tuple(instance.release.tolist()), (0,) * instance.machines)


def test_exhaustive_search_meets_brute_force_and_constraint_programming(random_flexible_shop):
    rng, tried, excluded = np.random.default_rng(7), 0, 0
    while tried < 20:
        shop = random_flexible_shop(rng, shortest=1)
        if not 3 <= shop.operations.sum() <= 7 or shop.jobs < 2 or shop.machines < 2:
            continue
        tried += 1
        optimum = brute_force(shop)
        answer = solve_flexible_job_shop(shop, time_limit=20.0)
        assert (answer.status, answer.objective) == ("optimal", optimum)
        assert best_of_all(shop, "active") == best_of_all(shop, "wait") == optimum
        excluded += best_of_all(shop, "non-delay") > optimum
    assert excluded > 0


def test_non_delay_can_exclude_every_optimum():
    """The fast machine is worth waiting for."""
    shop = load("fast-machine", "flexible_job_shop")
    assert best_of_all(shop, "active") == best_of_all(shop, "wait") == brute_force(shop) == 4
    assert best_of_all(shop, "non-delay") == 10


def test_operations_without_length():
    shop = FlexibleJobShopInstance("zero", np.array([[[0, -1], [5, 3]], [[4, 4], [0, 0]], [[0, 0], [-1, -1]]]))
    nothing = FlexibleJobShopInstance("nothing", np.zeros((3, 2, 2), int))
    for construction in ALL:
        assert best_of_all(shop, construction) == brute_force(shop) == 4
        simulation = fresh(nothing, construction)
        play(POLICIES["spt"], simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
        assert simulation.outcome()["makespan"].tolist() == [0] and simulation.reward.isfinite().all()
        assert simulation.schedule().violations() == []


def test_the_longest_times_an_instance_may_have():
    """Nothing overflows just below the limit on the sum of all times."""
    big = 2**26 - 1
    shop = FlexibleJobShopInstance("long", np.full((2, 1, 3), big), np.array([0, big]))
    for construction in ALL:
        simulation = fresh(shop, construction)
        play(POLICIES["spt"], simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
        assert simulation.schedule().violations() == []
        assert all(tensor.isfinite().all() for tensor in simulation.observation.values())


def test_an_illegal_action_counts_as_the_worst_schedule(random_flexible_shop):
    rng = np.random.default_rng(9)
    shops = [random_flexible_shop(rng) for _ in range(40)]
    simulation = Simulation(Model(shops, Options(forced_moves=False)), shops, 40, observe=False)
    simulation.reset()
    simulation.step(torch.full((40,), -1))
    for shop, figure in zip(shops, simulation.outcome()["makespan"].tolist(), strict=True):
        assert figure == shop.release.max() + np.maximum(shop.duration, 0).max(axis=2).sum()
    assert simulation.terminated.all() and simulation.illegal.all() and not simulation.mask.any()


@pytest.mark.parametrize("construction", ALL)
def test_single_job_and_single_machine(construction):
    chain = FlexibleJobShopInstance("chain", np.array([[[3, 9], [4, -1], [8, 5]]]), np.array([7]))
    queue = FlexibleJobShopInstance("queue", np.array([[[3]], [[4]], [[5]]]))
    for shop, makespan in ((chain, 19), (queue, 12)):
        simulation = fresh(shop, construction)
        play(POLICIES["spt"], simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
        assert simulation.outcome()["makespan"].tolist() == [makespan]
