"""The preemptive machine, one time unit after the other in plain Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.chains import chains
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.objective import cost
from dispatchgym.envs.job_shop.options import Options
from dispatchgym.envs.job_shop.simulator_state import DISTANT

seeds = st.integers(0, 2**32 - 1)
choices = st.builds(
    Options, forced_moves=st.booleans(), preemptive=st.just(True), quantum=st.sampled_from([0, 1, 3, 20]),
    known=st.sampled_from(["all", "operations"]), reveal=st.booleans(),
)  # fmt: skip


def machine(rng: np.random.Generator, shortest: int = 0) -> JobShopInstance:
    """A few short chains; operations may take no time, and all may be there at once."""
    jobs, longest = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    there = np.arange(longest) < rng.integers(1, longest + 1, jobs)[:, None]
    duration = np.where(there, rng.integers(shortest, 7, there.shape), 0)
    release = rng.integers(0, 15, jobs) * (rng.random() < 0.8)
    return JobShopInstance("few", 1, duration, np.where(there, 0, -1), release, objective="total_flow_time")


class Clock:
    """The machine by the statement: each time unit is handed out on its own."""

    def __init__(self, shop: JobShopInstance, quantum: int):
        self.shop, self.quantum, self.now = shop, quantum, 0
        self.left = [row[:n] for row, n in zip(shop.duration.tolist(), shop.operations.tolist(), strict=True)]
        self.step, self.served = [0] * shop.jobs, [0] * shop.jobs
        self.ran, self.end = shop.release.tolist(), [None] * shop.jobs
        self.current, self.used, self.units = None, 0, []

    def waiting(self) -> list[int]:
        """The jobs that may run."""
        return [j for j in range(self.shop.jobs) if self.shop.release[j] <= self.now and self.end[j] is None]

    def run(self, job: int) -> None:
        """Let a job run until something happens."""
        if job != self.current or (self.quantum and self.used == self.quantum):
            self.current, self.used = job, 0
        while True:
            operation = self.step[job]
            if self.left[job][operation] > 0:
                self.units.append((job, operation, self.now))
                self.left[job][operation] -= 1
                self.now, self.used, self.served[job] = self.now + 1, self.used + 1, self.served[job] + 1
            self.ran[job] = self.now
            if self.left[job][operation] == 0:
                self.step[job] += 1
                self.end[job] = self.now if self.step[job] == len(self.left[job]) else None
                return
            if self.now in self.shop.release or (self.quantum and self.used == self.quantum):
                return

    def settle(self, forced: bool) -> None:
        """Pass the time until there is a choice."""
        while None in self.end:
            waiting = self.waiting()
            if not waiting:
                self.now += 1
            elif forced and len(waiting) == 1:
                self.run(waiting[0])
            else:
                return

    def bound(self) -> np.ndarray:
        """When each job is complete if it goes on at once."""
        rest = [max(self.now, int(self.shop.release[j])) + sum(self.left[j]) for j in range(self.shop.jobs)]
        return np.array([r if e is None else e for r, e in zip(rest, self.end, strict=True)])


def check_columns(clock: Clock, simulation: Simulation, options: Options) -> None:
    """What rules read."""
    shop, now = clock.shop, clock.now
    for job in range(shop.jobs):
        found = {name: int(values[0, job]) for name, values in simulation.columns.items()}
        known = not options.reveal or shop.release[job] <= now
        open_ = known and clock.end[job] is None
        left = clock.left[job][clock.step[job] :] if open_ else [0]
        seen = left if options.known == "all" else left[:1]
        held = options.quantum - clock.used if open_ and job == clock.current and options.quantum else 0
        expected = {
            "next_machine": 0 if open_ else -1, "operation_remaining": left[0], "remaining_work": sum(seen),
            "remaining_operations": len(seen) * open_, "arrival": int(shop.release[job]) * known,
            "earliest_start": max(now, int(shop.release[job])) * open_, "last_run": clock.ran[job] * known,
            "completed_work": clock.served[job], "quantum_left": held,
            "processing_time": int(shop.duration[job, clock.step[job]]) if open_ else 0,
        }  # fmt: skip
        if shop.due is not None:
            expected |= {"due_date": int(shop.due[job]) * known, "operation_due_date": int(shop.due[job]) * known}
            expected |= {"weight": int(shop.weight[job]) * known}
            expected |= {"slack": (int(shop.due[job]) - now - sum(seen)) * open_}
        found.pop("action_mask")
        assert found == expected


@settings(max_examples=120)
@given(choices, st.booleans(), seeds)
def test_time_choices_columns_and_rewards_are_those_of_the_clock(dated, legal, options, late, seed):
    rng = np.random.default_rng(seed)
    shop = machine(rng)
    shop = dated(shop, rng) if late else shop
    simulation, clock = Simulation(Model([shop], options), [shop], 1), Clock(shop, options.quantum)
    first = cost(shop, clock.bound())
    simulation.reset()
    clock.settle(options.forced_moves)
    tensors, total, before = simulation.engine.tensors, 0.0, first
    while not simulation.terminated[0]:
        assert int(tensors["now"][0]) == clock.now
        assert simulation.mask[0].nonzero().flatten().tolist() == clock.waiting()
        check_columns(clock, simulation, options)
        bound = cost(shop, clock.bound())
        assert int(tensors["cost"][0]) == bound >= before
        before = bound
        action = legal(simulation.mask, rng)
        simulation.step(action)
        total += float(simulation.reward[0])
        clock.run(int(action))
        clock.settle(options.forced_moves)
    if simulation.outcome()["decisions"][0] == 0:
        simulation.step(torch.tensor([0]))
        total += float(simulation.reward[0])
    assert None not in clock.end and int(simulation.outcome()["decisions"][0]) <= simulation.model.horizon
    schedule = simulation.schedule()
    assert schedule.violations() == [] and schedule.conditions == {"preemptive": True}
    units = [(j, o, t) for j, o, _, start, end in schedule.entries.tolist() for t in range(start, end)]
    assert units == clock.units
    joined = [(a, b) for a, b in zip(schedule.entries, schedule.entries[1:], strict=False) if (a[:2] == b[:2]).all()]
    assert all(a[4] < b[3] for a, b in joined), "pieces that follow each other without a break are one"
    value = int(tensors["cost"][0])
    assert schedule.metrics()[shop.objective] == cost(shop, np.array(clock.end)) == value <= shop.worst_cost
    assert total == pytest.approx((first - value) / shop.scale, abs=1e-4)


def test_a_step_costs_the_time_that_others_wait():
    shop = JobShopInstance("two", 1, [[5], [3]], [[0], [0]], [0, 2], objective="total_flow_time")
    simulation = Simulation(Model([shop], Options(preemptive=True)), [shop], 1)
    simulation.reset()  # job 0 alone until 2
    assert int(simulation.engine.tensors["now"][0]) == 2 and simulation.mask.tolist() == [[1, 1]]
    simulation.step(torch.tensor([1]))
    assert float(simulation.reward[0]) == pytest.approx(-3 / shop.scale)
    assert simulation.schedule().entries.tolist() == [[0, 0, 0, 0, 2], [1, 0, 0, 2, 5], [0, 0, 0, 5, 8]]
    assert simulation.schedule().metrics()["total_flow_time"] == 8 + 3


@settings(max_examples=20)
@given(choices, seeds)
def test_the_twin_agrees_bit_for_bit(dated, legal, options, seed):
    rng = np.random.default_rng(seed)
    shops = [machine(rng) for _ in range(3)]
    if seed % 2:
        shops = [dated(shop, rng, "makespan + 2 total_weighted_tardiness + max_lateness") for shop in shops]
    simulation = Simulation(Model(shops, options), shops, 4, group=2, shuffled=True)
    simulation.reset()
    twin = simulation.engine.twin()
    twin.reset()
    for step in range(15):
        actions = legal(simulation.mask, rng)
        if step == 9:
            actions[0] = -1
        simulation.step(actions)
        twin.step(actions.numpy())
        simulation.restart()
        twin.restart()
        for name, tensor in simulation.engine.tensors.items():
            assert tensor.numpy().tobytes() == getattr(twin.state, name).tobytes(), name


def test_an_illegal_action_costs_what_the_worst_schedule_does():
    shop = chains(5, np.random.default_rng(0))
    simulation = Simulation(Model([shop], Options(preemptive=True, forced_moves=False)), [shop], 1)
    simulation.reset()
    first = int(simulation.engine.tensors["cost"][0])
    closed = int((simulation.mask[0] == 0).nonzero()[0])
    simulation.step(torch.tensor([closed]))
    assert simulation.illegal[0] and simulation.terminated[0] and not simulation.mask.any()
    assert float(simulation.reward[0]) == pytest.approx((first - shop.worst_cost) / shop.scale)


def test_what_is_hidden_changes_nothing_of_the_dynamics(legal):
    """The same actions lead to the same pieces, whatever is known."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        shop = machine(rng)
        pair = [
            Simulation(Model([shop], Options(preemptive=True, quantum=3, **more)), [shop], 1)
            for more in ({}, {"known": "operations", "reveal": True})
        ]
        for simulation in pair:
            simulation.reset()
        while not pair[0].terminated[0]:
            assert (pair[0].mask == pair[1].mask).all()
            action = legal(pair[0].mask, rng)
            for simulation in pair:
                simulation.step(action)
        assert (pair[0].schedule().entries == pair[1].schedule().entries).all()


def test_models_refuse_what_they_are_not_for(dated):
    rng = np.random.default_rng(0)
    shop, options = chains(4, rng), Options(preemptive=True)
    two = JobShopInstance("two", 2, [[1, 2]], [[0, 1]])
    closed = JobShopInstance("closed", 1, [[1]], [[0]], windows=[[(3, 4)]])
    for other, words in ((two, "one machine; two has 2"), (closed, "no setup times or windows, which closed has")):
        with pytest.raises(OptionError, match=words):
            Model([other], options)
        with pytest.raises(OptionError, match=f"{other.name} .*does not fit one machine made for 4 jobs"):
            Model([shop], options).pack([other])
    with pytest.raises(OptionError, match="without due dates"):
        Model([shop], options).pack([dated(shop, rng, "total_flow_time")])
    with pytest.raises(OptionError, match="total_flow_time, makespan"):
        Model([shop, JobShopInstance("one", 1, [[1]], [[0]])], options)
    long = JobShopInstance("long", 1, [[2_000_000]], [[0]])
    with pytest.raises(OptionError, match="quantum 1 may cut the work into 2000002 pieces"):
        Model([long], Options(preemptive=True, quantum=1))
    assert (
        not Model([shop], options).costs
        and (Model([shop], options).pack([shop])["job_costs"][0, :, 0] == DISTANT).all()
    )
    assert Model([shop], options).repeatable
    for hidden in ({"known": "operations"}, {"reveal": True}):
        assert not Model([shop], Options(preemptive=True, **hidden)).repeatable


@pytest.mark.parametrize(
    "given, words",
    [
        ({"quantum": 3}, "quantum 3 says nothing without preemptive"),
        ({"known": "operations"}, "known 'operations' says nothing without preemptive"),
        ({"preemptive": True, "noise": "gamma", "sigma": 0.3}, "preemptive knows no noise gamma"),
        ({"preemptive": True, "construction": "insertion"}, "leave construction at active or non-delay"),
        ({"preemptive": True, "construction": 0.3}, "got 0.3 and 'jobs'"),
        ({"preemptive": True, "observation": "operations"}, "got 'active' and 'operations'"),
        ({"preemptive": True, "known": "some"}, "known must be one of all, operations"),
        ({"preemptive": True, "quantum": -1}, "quantum must be a number from 0"),
        ({"preemptive": "perhaps"}, "preemptive must be True or False"),
    ],
)
def test_options_that_say_nothing_are_refused(given, words):
    with pytest.raises(OptionError, match=words):
        Options(**given)
    assert Options(preemptive="True", quantum="4", reveal="False").quantum == 4
