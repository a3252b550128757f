"""Construction in time with waiting, against plain Python and every sequence of choices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.cp_sat import solve_job_shop
from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import play
from dispatchgym.envs.job_shop import observe, observe_costs
from dispatchgym.envs.job_shop.due_dates import total_work_content
from dispatchgym.envs.job_shop.generator import generate
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.options import Options

seeds = st.integers(0, 2**32 - 1)


class Clock:
    """The same in plain Python: jobs, machines, and how long each next operation is put off."""

    def __init__(self, shop: JobShopInstance):
        self.shop, self.step = shop, [0] * shop.jobs
        self.ready, self.free, self.hold = shop.release.tolist(), [0] * shop.machines, [0] * shop.jobs
        self.rows = []

    def starts(self) -> dict[int, int]:
        """Earliest start of every job that is not complete."""
        return {
            j: max(self.ready[j], self.free[int(self.shop.machine[j, o])], self.hold[j])
            for j, o in enumerate(self.step)
            if o < self.shop.operations[j]
        }

    def choices(self) -> tuple[list[int], int | None]:
        """The jobs that may start, and when others could; None if no other."""
        starts = self.starts()
        now = min(starts.values(), default=None)
        later = sorted({start for start in starts.values() if start > now}) if starts else []
        return [j for j, start in starts.items() if start == now], later[0] if later else None

    def act(self, action: int) -> None:
        jobs, later = self.choices()
        if action == self.shop.jobs:
            for job in jobs:
                self.hold[job] = later
            return
        assert action in jobs
        start, o = self.starts()[action], self.step[action]
        machine = int(self.shop.machine[action, o])
        self.ready[action] = self.free[machine] = start + int(self.shop.duration[action, o])
        self.step[action] += 1
        self.rows.append([action, o, machine, start, self.ready[action]])


@settings(max_examples=60)
@given(st.booleans(), st.booleans(), st.sampled_from(["jobs", "operations"]), seeds)
def test_choices_and_times_are_those_of_the_clock(random_shop, dated, legal, late, forced, kind, seed):
    rng = np.random.default_rng(seed)
    shop = random_shop(rng, general=seed % 2 == 0)
    shop = dated(shop, rng) if late else shop
    simulation, clock = Simulation(Model([shop], Options("wait", forced, kind)), [shop], 1), Clock(shop)
    simulation.reset()
    extra = len(observe_costs.CANDIDATE_COSTS) if late else 0
    while True:
        while forced and len(clock.choices()[0]) == 1 and clock.choices()[1] is None:
            clock.act(clock.choices()[0][0])
        jobs, later = clock.choices()
        if simulation.terminated[0]:
            assert not jobs
            break
        assert simulation.mask[0].nonzero().flatten().tolist() == jobs + [shop.jobs] * (later is not None)
        time, attr = clock.starts()[jobs[0]], simulation.observation["candidate_attr"][0]
        assert int(simulation.engine.tensors["time"][0]) == time
        mean = max(shop.total_work / int(shop.operations.sum()), 1.0)
        delay = 0.0 if later is None else min((later - time) / mean / 2, 2.5)
        expected = [0.0, delay] + [0.0] * (len(observe.CANDIDATE) - 2 + extra) + [float(later is not None)]
        assert attr[shop.jobs].tolist() == pytest.approx(expected, abs=1e-5)
        assert not attr[: shop.jobs, -1].any()
        before = int(simulation.outcome()["makespan"][0])
        action = int(legal(simulation.mask, rng))
        simulation.step(torch.tensor([action]))
        clock.act(action)
        assert int(simulation.outcome()["makespan"][0]) >= before
    assert sorted(clock.rows) == simulation.schedule().entries.tolist()
    assert simulation.schedule().violations() == []
    assert int(simulation.outcome()["decisions"][0]) <= simulation.model.horizon


def best_of_all(shop: JobShopInstance, construction: str) -> int:
    """The least objective over every sequence of legal actions, played through the simulator side by side."""
    model, prefixes, best = Model([shop], Options(construction)), [[]], None
    while prefixes:
        simulation = Simulation(model, [shop], len(prefixes), group=len(prefixes), observe=False)
        simulation.reset()
        for step in range(len(prefixes[0])):
            simulation.step(torch.tensor([prefix[step] for prefix in prefixes]))
        assert not simulation.illegal.any()
        value, over = simulation.outcome()[model.objective], simulation.terminated == 1
        if over.any():
            least = int(value[over].min())
            best = least if best is None else min(best, least)
        # what cannot get better than the best is dropped, and of equal states all but one
        tensors, states, further = simulation.engine.tensors, set(), []
        for place, prefix in enumerate(prefixes):
            names = ("next_operation", "arrival", "free") + (("hold",) if construction == "wait" else ())
            state = tuple(tuple(tensors[name][place].tolist()) for name in names)
            if over[place] or (best is not None and value[place] >= best) or state in states:
                continue
            states.add(state)
            further += [[*prefix, action] for action in simulation.mask[place].nonzero().flatten().tolist()]
        prefixes = further
    return best


@pytest.mark.parametrize("objective", ["makespan", "total_tardiness"])
def test_waiting_reaches_the_optimum_where_non_delay_cannot(objective):
    """Of random 3x3 shops waiting misses no optimum; non-delay schedules miss some."""
    rng, missed = np.random.default_rng(0), 0
    for _ in range(20):
        shop = generate(3, 3, rng, high=20)
        if objective != "makespan":
            shop = total_work_content(shop, 1.2)
        optimum = solve_job_shop(shop).objective
        assert best_of_all(shop, "wait") == optimum
        missed += best_of_all(shop, "non-delay") > optimum
    assert missed >= 1


def test_rules_do_not_wait(random_shop):
    rng = np.random.default_rng(0)
    shops = [random_shop(rng, general=k % 2 == 0, shortest=1) for k in range(60)]
    simulation = Simulation(Model(shops, Options("wait")), shops, 60, observe=False)
    for rule in ("spt", "mwkr", "fifo", "lpt", "fdd/mwkr"):
        play(POLICIES[rule], simulation, torch.Generator(), torch.zeros(60, dtype=torch.bool))
        assert not simulation.engine.tensors["hold"].any()
    explore = torch.ones(60, dtype=torch.bool)
    play(POLICIES["random"], simulation, torch.Generator().manual_seed(0), explore)
    assert simulation.engine.tensors["hold"].any() and simulation.terminated.all() and not simulation.illegal.any()


def test_waiting_where_nothing_else_could_start_is_illegal():
    shop = JobShopInstance("pair", 1, [[3], [4]], [[0], [0]])
    simulation = Simulation(Model([shop], Options("wait", False)), [shop], 1)
    simulation.reset()
    assert simulation.mask.tolist() == [[1, 1, 0]]
    simulation.step(torch.tensor([2]))
    assert simulation.illegal[0] and simulation.terminated[0] and not simulation.mask.any()
