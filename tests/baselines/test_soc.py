"""The rules of the SoC: what each prefers, where it is at its best, and what others have measured with it."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dispatchgym.baselines.soc import ONE_PASS, POLICIES
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.policies import Rule
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Exact, Limits, applies, play, solve
from dispatchgym.envs.soc import socrates
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load_many

LATEST = 2**30
# Five candidates and to wait: task 0 on elements 0 and 1, task 1 on 0 and 1, task 2 on 1.
COLUMNS = {
    "job": [0, 0, 0, 0, 1, -1],
    "task": [0, 0, 1, 1, 0, -1],
    "element": [0, 1, 0, 1, 1, -1],
    "execution_time": [9, 4, 6, 7, 3, 0],
    "earliest_start": [0, 8, 0, 8, 8, LATEST],
    "earliest_finish": [9, 12, 6, 15, 11, LATEST],
    "best_finish": [9, 9, 6, 6, 11, LATEST],
    "second_finish": [12, 12, 15, 15, LATEST, LATEST],
    "optimistic_cost": [9, 2, 9, 9, 1, 0],
    "upward_rank": [1, 1, 0, 0, 2, LATEST],
    "optimistic_rank": [0, 0, 2, 2, 1, LATEST],
    "cpop_rank": [2, 2, 1, 1, 0, LATEST],
    "critical_element": [-1, -1, 1, 1, 0, -1],
    "ready_order": [0, 0, 2, 2, 1, LATEST],
    "pilot_makespan": [30, 25, 28, 25, 40, LATEST],
    "planned": [0, 0, 0, 1, 0, 0],
}


def choose(name: str, legal=(1, 1, 1, 1, 1, 1), **columns) -> int:
    """What a rule takes of the candidates above."""
    columns = {key: torch.tensor([row], dtype=torch.int32) for key, row in (COLUMNS | columns).items()}
    stand = SimpleNamespace(columns=columns, mask=torch.tensor([legal], dtype=torch.int8))
    return int(POLICIES[name].act(stand, torch.Generator(), torch.zeros(1, dtype=torch.bool)))


@pytest.mark.parametrize(
    "name, choices",
    [
        ("heft", [2, 3, 0]),  # task 1 where it ends first, then on the other, then task 0
        ("cpop", [4, 3, 2]),  # task 2 first, though it cannot go where the path is; task 1 there before elsewhere
        ("peft", [1, 0, 4]),
        ("rank-oct", [2, 3, 1]),
        ("min-min", [2, 0, 4]),
        ("max-min", [4, 0, 1]),
        ("sufferage", [4, 2, 3]),
        ("etf", [2, 0, 3]),  # of those that start at 0, and of those that start at 8, task 1 has the higher rank
        ("mct", [0, 1, 4]),
        ("met", [1, 0, 4]),
        ("olb", [0, 1, 4]),
        ("stf", [4, 1, 2]),
        ("pilot", [1, 3, 2]),
        ("heft-static", [3, 5]),  # what is planned, else to wait
        ("peft-replan", [3, 5]),
    ],
)
def test_what_a_rule_takes_first_and_then(name, choices):
    legal = [1] * 6
    for choice in choices:
        assert choose(name, legal) == choice
        legal[choice] = 0


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if isinstance(policy, Rule)])
def test_nobody_waits_who_can_do_otherwise_but_for_a_plan(name):
    follows = "planner" in POLICIES[name].options
    assert choose(name, (0, 0, 0, 0, 1, 1)) == (5 if follows else 4)
    assert choose(name, (0, 0, 0, 0, 1, 0)) == 4  # where waiting is not legal, whatever is
    assert choose(name, (0, 0, 0, 0, 0, 1)) == 5


def test_rules_run_at_their_best_unless_told_otherwise():
    for name, policy in POLICIES.items():
        if not isinstance(policy, Exact):
            options = Options(**policy.options)
            assert (options.binding, options.choice) == ("late", 0)
            assert (options.planner != "none") == ("static" in name or "replan" in name)
            assert options.replan == ("static" not in name) and (options.pilot != "none") == (name == "pilot")
    assert family("soc").naive in POLICIES and set(ONE_PASS) < set(POLICIES)


def test_planners_are_for_plans_only():
    plan, stream = (load_many(name, "soc") for name in ("topcuoglu", "socrates-50x3:0"))
    for name in ("pilot", "lookahead", "best-rule"):
        assert applies(POLICIES[name], plan, Limits()) and not applies(POLICIES[name], stream, Limits())
        assert not applies(POLICIES[name], plan, Limits(options={"noise": "gamma", "sigma": 0.1}))
        assert not applies(POLICIES[name], plan, Limits(options={"shared_bus": True}))
    with pytest.raises(OptionError, match="pilot"):
        solve(POLICIES["pilot"], stream, Limits())
    late = Limits(options={"shared_bus": True, "binding": "pull"})
    assert not applies(POLICIES["cp-sat"], plan, late) and applies(POLICIES["heft"], plan, late)


def test_published_makespans_of_the_other_planners():
    """76 and 127 by lookahead, and what the pilot finds; the best rule is the best of the rules."""
    instances = load_many(["topcuoglu", "arabnejad"], "soc")

    def makespans(name):
        return [answer.schedule.metrics()["makespan"] for answer in solve(POLICIES[name], instances, Limits())]

    assert makespans("lookahead") == [76, 127]
    assert makespans("pilot")[0] == 73
    assert makespans("best-rule") == [min(row) for row in zip(*map(makespans, ONE_PASS), strict=True)]


# ---------------------------------------------------------------------- SoCRATES

SCALES = (25, 50, 100, 200)
WORLD = {"mode": "online", "binding": "push", "choice": 0, "rounding": "down", "priority": "fifo"}


def test_shortest_execution_in_the_world_of_socrates():
    """Mean latencies of MET there, with at most 3 jobs in the system (measured with the authors' code)."""
    for scale, measured in zip(SCALES, (108.9, 103.4, 97.6, 93.7), strict=True):
        instances = load_many(f"socrates-{scale}:0-15", "soc")
        answers = solve(POLICIES["met"], instances, Limits(options=WORLD | {"wip_cap": 3}))
        total = sum(answer.schedule.metrics()["total_latency"] for answer in answers)
        assert total / sum(instance.jobs for instance in instances) == pytest.approx(measured, rel=0.07)


class Turnstile:
    """The arrivals of SoCRATES: who comes while 3 jobs are in the system goes away, and the next one comes later."""

    def __init__(self, rule: str, scale: int, seeds: int):
        self.rule, self.scale = rule, scale
        self.draws = [random.Random(seed) for seed in range(seeds)]
        self.arrivals = [[0] for _ in range(seeds)]
        self.next = [self.gap(k) for k in range(seeds)]

    def gap(self, k: int) -> int:
        return int(self.draws[k].expovariate(1 / self.scale))

    def ends(self) -> list[np.ndarray]:
        """When the jobs that have arrived so far end; those to come change nothing before they come."""
        nothing, one = np.zeros((3, 3), int), np.ones((3, 3), int)
        instances = [
            SoCInstance("stream", socrates.graphs()[:1], nothing, one, None, times, [0] * len(times))
            for times in self.arrivals
        ]
        simulation = Simulation(Model(instances, Options(**WORLD)), instances, len(instances), observe=False)
        play(POLICIES[self.rule], simulation, torch.Generator(), torch.zeros(len(instances), dtype=torch.bool))
        return [np.array(s.entries)[9::10, 4] for s in simulation.schedules()]  # of every job's last task

    def mean_latency(self) -> float:
        """Of the jobs that end within 5000 us."""
        coming = True
        while coming:
            coming, ends = False, self.ends()
            for k, times in enumerate(self.arrivals):
                while (ends[k] > self.next[k]).sum() >= 3:
                    self.next[k] += 1 + self.gap(k)
                if self.next[k] < socrates.DURATION:
                    times.append(self.next[k])
                    self.next[k] += self.gap(k)
                    coming = True
        pairs = zip(self.ends(), self.arrivals, strict=True)
        return float(np.concatenate([(end - time)[end < socrates.DURATION] for end, time in pairs]).mean())


@pytest.mark.parametrize(
    "rule, scale, measured", [("min-min", 50, 96.0), ("min-min", 200, 87.1), ("met", 50, 103.4), ("met", 200, 93.7)]
)
def test_rules_in_the_world_of_socrates(rule, scale, measured):
    """With its arrivals. What is called ETF there takes the pair that finishes first, which is min-min."""
    assert Turnstile(rule, scale, 3).mean_latency() == pytest.approx(measured, rel=0.07)
