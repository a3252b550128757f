"""Preemptive rules: optimal where they are said to be, by exhaustive search, and what they are by their names."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.baselines.preemptive_rules import best_preemptive
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.solvers import Limits, applies, solve
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.instances.catalogue import load_many

PREEMPTIVE = {"preemptive": True}


def tiny(rng: np.random.Generator) -> JobShopInstance:
    """Up to four jobs of one or two operations and up to five time units, with releases and due dates."""
    jobs = int(rng.integers(2, 5))
    there = np.array([[True, rng.random() < 0.5] for _ in range(jobs)])
    duration = np.where(there, rng.integers(1, 3, there.shape), 0)
    release = rng.integers(0, 7, jobs)
    due = rng.integers(0, 14, jobs)
    return JobShopInstance("tiny", 1, duration, np.where(there, 0, -1), release, due=due, objective="total_flow_time")


def least(shop: JobShopInstance) -> int:
    """The least objective over all schedules that hand out each time unit to a released job, or to nobody."""
    work, release, due = shop.duration.sum(axis=1).tolist(), shop.release.tolist(), shop.due.tolist()
    horizon, lateness = max(release) + sum(work), shop.objective == "max_lateness"

    @cache
    def best(now: int, left: tuple[int, ...]) -> float:
        if not any(left):
            return -(2**31) if lateness else 0
        if now == horizon:
            return float("inf")
        found = best(now + 1, left)  # nobody
        for job, time in enumerate(left):
            if time and release[job] <= now:
                after = best(now + 1, (*left[:job], time - 1, *left[job + 1 :]))
                if time > 1:
                    found = min(found, after)
                elif lateness:
                    found = min(found, max(after, now + 1 - due[job]))
                else:
                    found = min(found, after + now + 1 - release[job])
        return found

    return int(best(0, tuple(work)))


def value(rule: str, shop: JobShopInstance, **options) -> int:
    (answer,) = solve(POLICIES[rule], [shop], Limits(options=PREEMPTIVE | options))
    assert answer.schedule.violations() == []
    return answer.schedule.metrics()[shop.objective]


def test_srpt_and_the_earliest_due_date_are_optimal():
    """Schrage (1968) and Horn (1974), over every schedule in whole time units of 40 small instances each."""
    rng, others = np.random.default_rng(0), {"fifo": 0, "srpt/op": 0}
    for _ in range(40):
        shop = tiny(rng)
        late = replace(shop, objective="max_lateness")
        optimum = least(shop)
        assert value("srpt", shop) == value("clairvoyant", shop) == optimum
        assert value("edd", late) == value("clairvoyant", late) == least(late)
        for rule in others:
            found = value(rule, shop)
            assert found >= optimum
            others[rule] += found > optimum
    assert min(others.values()) >= 3


def test_the_planner_and_the_rule_make_the_same_schedules():
    for shop in load_many(["revealed-20:0-4", "revealed-12-1:0-4"], "job_shop"):
        (rule,) = solve(POLICIES["srpt"], [shop], Limits(options=PREEMPTIVE))
        planned = best_preemptive(shop)
        assert planned.violations() == [] and planned.metrics() == rule.schedule.metrics()
        (proved,) = solve(POLICIES["clairvoyant"], [shop], Limits(options=PREEMPTIVE))
        assert proved.lower_bound == planned.metrics()["total_flow_time"] and proved.status == "optimal"


def test_round_robin_by_hand():
    """A quantum of 2: whoever has run goes to the end of the queue; who comes does not cut a quantum short."""
    shop = JobShopInstance("hand", 1, [[5], [3], [1]], [[0]] * 3, [0, 0, 3], objective="total_flow_time")
    (answer,) = solve(POLICIES["rr"], [shop], Limits(options=PREEMPTIVE | {"quantum": 2}))
    # job 0 has run until 2 and is before job 2, which comes at 3, and this before job 1, which has run until 4
    pieces = [(0, 0, 2), (1, 2, 4), (0, 4, 6), (2, 6, 7), (1, 7, 8), (0, 8, 9)]
    assert [tuple(row) for row in answer.schedule.entries[:, [0, 3, 4]].tolist()] == pieces


def test_shortest_elapsed_time_shares_the_machine():
    """Of jobs that are there together each runs a quantum, then each a second one."""
    shop = JobShopInstance("hand", 1, [[4], [4]], [[0]] * 2, [0, 0], objective="total_flow_time")
    (answer,) = solve(POLICIES["setf"], [shop], Limits(options=PREEMPTIVE | {"quantum": 2}))
    assert answer.schedule.entries[:, 0].tolist() == [0, 1, 0, 1]
    late = replace(shop, release=[0, 3])
    (answer,) = solve(POLICIES["setf"], [late], Limits(options=PREEMPTIVE | {"quantum": 1}))
    rows = [tuple(row) for row in answer.schedule.entries[:, [0, 3, 4]].tolist()]
    assert rows[:2] == [(0, 0, 3), (1, 3, 6)], "who comes catches up first"


def test_operations_at_hand_are_all_that_counts_where_no_more_is_known():
    shops = load_many("revealed-8:0-4", "job_shop")
    known, unknown = (
        solve(POLICIES["srpt/op"], shops, Limits(options=PREEMPTIVE | {"known": known}))
        for known in ("all", "operations")
    )
    for one, other in zip(known, unknown, strict=True):
        assert (one.schedule.entries == other.schedule.entries).all()


@pytest.mark.parametrize(
    "rule, options, words",
    [
        ("srpt", {}, "for preemptive machines: use preemptive True"),
        ("srpt", PREEMPTIVE | {"known": "operations"}, "must know every length"),
        ("rr", PREEMPTIVE, "use a quantum above 0"),
        ("setf", PREEMPTIVE, "use a quantum above 0"),
        ("cp-sat", PREEMPTIVE, "knows no preemption"),
        ("dp", {"preemptive": "True"}, "knows no preemption"),
    ],
)
def test_what_cannot_be_is_refused(rule, options, words):
    shops, limits = load_many("revealed-9:0" if options else "single-6:0", "job_shop"), Limits(options=options)
    assert not applies(POLICIES[rule], shops, limits)
    with pytest.raises(OptionError, match=words):
        solve(POLICIES[rule], shops, limits)


def test_the_planner_refuses_other_problems():
    for name in ("4x3:0", "weighted-single-4:0", "setup-flow-4x1:0"):
        (shop,) = load_many([name], "job_shop")
        with pytest.raises(OptionError, match="expected one machine and one of the objectives"):
            best_preemptive(shop)
