"""Schedules of pieces are judged: feasible ones pass, and each broken one names its rule."""

import re

import numpy as np
import pytest

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check

WORK, STEP, MACHINE, START, END = range(5)
HAND = JobShopInstance("hand", 1, [[4, 2], [3, 0]], [[0, 0], [0, -1]], [0, 1], objective="total_flow_time")
ROWS = [[0, 0, 0, 0, 2], [1, 0, 0, 2, 5], [0, 0, 0, 5, 7], [0, 1, 0, 8, 10]]


def judge(shop, rows):
    return check(shop, Schedule(shop, np.array(rows), {"preemptive": True}))


def changed(row: int, column: int, by: int) -> list[list[int]]:
    rows = [list(values) for values in ROWS]
    rows[row][column] += by
    return rows


def test_a_feasible_schedule_passes_in_any_order():
    assert judge(HAND, ROWS) == [] and judge(HAND, ROWS[::-1]) == []
    assert {v.rule for v in check(HAND, Schedule(HAND, np.array(ROWS)))} == {"completeness", "duration"}


@pytest.mark.parametrize(
    "rows, rule, words",
    [
        (ROWS[:3], "completeness", "operation 1 of job 0 is missing"),
        ([*ROWS, [2, 0, 0, 20, 21]], "completeness", "operation 0 of job 2, which there is not"),
        ([*ROWS, [1, 1, 0, 20, 21]], "completeness", "operation 1 of job 1, which there is not"),
        ([*ROWS, [0, 0, 0, 20, 19], [0, 0, 0, 21, 22]], "duration", "runs from 20 to 19"),
        (changed(0, MACHINE, 1), "assignment", "is on machine 1 but belongs on machine 0"),
        (changed(3, END, 1), "duration", "operation 1 of job 0 last 3 together instead of 2"),
        (changed(0, START, 1), "duration", "operation 0 of job 0 last 3 together instead of 4"),
        ([*ROWS[2:], [1, 0, 0, 0, 3], [0, 0, 0, 3, 5]], "release", "starts at 0, before the release of the job at 1"),
        ([[0, 1, 0, 0, 1], *ROWS[1:3], [0, 0, 0, 7, 9], [0, 1, 0, 9, 10]], "precedence", "starts at 0, .*ends at 9"),
        (
            [[0, 0, 0, 0, 3], [1, 0, 0, 2, 5], [0, 0, 0, 5, 6], ROWS[3]],
            "capacity",
            "from 0 to 3 and operation 0 of job 1",
        ),
    ],
)
def test_every_broken_rule_is_named_in_words(rows, rule, words):
    found = [v for v in judge(HAND, rows) if v.rule == rule]
    assert found and any(re.search(words, v.message) for v in found)


def test_hostile_numbers_are_judged_and_not_an_error():
    big = 2**63 - 1
    rows = [[0, 0, 0, -big, big], [0, 0, 0, -big - 1, -5], [-big, big, -1, big, -big], [1, 0, big, 0, 3]]
    assert {"completeness", "assignment", "duration", "release", "capacity"} <= {v.rule for v in judge(HAND, rows)}


def test_random_mutants_are_caught():
    """Moving one end of a piece, or handing it to another job, breaks something, unless it changes nothing."""
    rng, caught = np.random.default_rng(0), 0
    for _ in range(300):
        rows = np.array(ROWS)
        row, column = int(rng.integers(4)), int(rng.choice([WORK, STEP, START, END]))
        rows[row, column] += int(rng.choice([-1, 1]))
        assert judge(HAND, rows) != []
        caught += 1
    assert caught == 300
