"""The validator accepts every feasible schedule and names the rule that each broken one breaks."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dispatchgym.envs.flexible_job_shop.validator as validator
from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance
from dispatchgym.envs.flexible_job_shop.validator import MAX_MESSAGES, check, metrics

INSTANCES, SCHEDULES_EACH = 120, 16
WORK, STEP, MACHINE, START, END = range(5)
RULES = {"completeness", "assignment", "duration", "release", "precedence", "capacity"}


def random_schedule(shop: FlexibleJobShopInstance, rng: np.random.Generator) -> np.ndarray:
    """A feasible schedule: operations appended in a random order to random machines, rows shuffled."""
    turns = rng.permutation(np.repeat(np.arange(shop.jobs), shop.operations)).tolist()
    ready, free, step, rows = shop.release.tolist(), [0] * shop.machines, [0] * shop.jobs, []
    for job in turns:
        machine = int(rng.choice(np.flatnonzero(shop.compatible[job, step[job]])))
        start = max(ready[job], free[machine]) + int(rng.random() < 0.2)
        end = start + int(shop.duration[job, step[job], machine])
        rows.append((job, step[job], machine, start, end))
        ready[job] = free[machine] = end
        step[job] += 1
    return rng.permutation(np.array(rows, dtype=np.int64))


def rules(shop, entries) -> set[str]:
    return {violation.rule for violation in check(shop, Schedule(shop, entries))}


# Each mutation breaks the rule it is listed under, or returns None where the schedule has no room for it.


def drop(rows, shop, rng):
    return np.delete(rows, rng.integers(len(rows)), axis=0)


def duplicate(rows, shop, rng):
    return np.vstack([rows, rows[rng.integers(len(rows))]])


def rename_job(rows, shop, rng):
    rows[rng.integers(len(rows)), WORK] += rng.choice([1, 2, -1, 2**40])
    return rows


def rename_step(rows, shop, rng):
    rows[rng.integers(len(rows)), STEP] += rng.choice([-1, 1, 3, 2**40])
    return rows


def onto_a_machine_that_cannot(rows, shop, rng):
    pairs = [
        (row, machine)
        for row in range(len(rows))
        for machine in np.flatnonzero(~shop.compatible[rows[row, WORK], rows[row, STEP]])
    ]
    if not pairs:
        return None
    row, machine = pairs[rng.integers(len(pairs))]
    rows[row, MACHINE] = machine
    return rows


def onto_no_machine(rows, shop, rng):
    rows[rng.integers(len(rows)), MACHINE] = rng.choice([-1, shop.machines, 2**63 - 1])
    return rows


def change_end(rows, shop, rng):
    rows[rng.integers(len(rows)), END] += rng.choice([-3, -1, 1, 2, 2**40])
    return rows


def time_of_another_machine(rows, shop, rng):
    """The machine changes and the time stays, which the other machine does not take."""
    found = [
        (row, machine)
        for row in range(len(rows))
        for machine in np.flatnonzero(shop.compatible[rows[row, WORK], rows[row, STEP]])
        if shop.duration[rows[row, WORK], rows[row, STEP], machine] != rows[row, END] - rows[row, START]
    ]
    if not found:
        return None
    row, machine = found[rng.integers(len(found))]
    rows[row, MACHINE] = machine
    return rows


def wrap_around(rows, shop, rng):
    """The difference of start and end is right in 64 bits and wrong in truth."""
    row = rng.integers(len(rows))
    length = rows[row, END] - rows[row, START]
    if length == 0:
        return None
    rows[row, START:] = 2**63 - 1, -(2**63) + length - 1
    return rows


def before_release(rows, shop, rng):
    row = rng.integers(len(rows))
    rows[row, START:] -= rows[row, START] - shop.release[rows[row, WORK]] + rng.integers(1, 4)
    return rows


def into_predecessor(rows, shop, rng):
    place = {(row[WORK], row[STEP]): at for at, row in enumerate(rows.tolist())}
    later = [at for at, row in enumerate(rows.tolist()) if row[STEP] > 0]
    if not later:
        return None
    row = rng.choice(later)
    rows[row, START:] -= rows[row, START] - rows[place[rows[row, WORK], rows[row, STEP] - 1], END] + 1
    return rows


def overlap(rows, shop, rng):
    busy = np.flatnonzero(rows[:, END] > rows[:, START])
    pairs = [(a, b) for a in busy for b in busy if a != b and rows[a, MACHINE] == rows[b, MACHINE]]
    if not pairs:
        return None
    moved, still = pairs[rng.integers(len(pairs))]
    length = rows[moved, END] - rows[moved, START]
    start = rng.integers(rows[still, START] - length + 1, rows[still, END])
    rows[moved, START:] = start, start + length
    return rows


MUTATIONS = [
    (drop, "completeness"), (duplicate, "completeness"), (rename_job, "completeness"), (rename_step, "completeness"),
    (onto_a_machine_that_cannot, "assignment"), (onto_no_machine, "assignment"), (change_end, "duration"),
    (time_of_another_machine, "duration"), (wrap_around, "duration"), (before_release, "release"),
    (into_predecessor, "precedence"), (overlap, "capacity"),
]  # fmt: skip


def test_every_mutant_is_caught_and_every_original_accepted(random_flexible_shop):
    rng, turn = np.random.default_rng(20240), 0
    caught = dict.fromkeys((mutation.__name__ for mutation, _ in MUTATIONS), 0)
    for _ in range(INSTANCES):
        shop = random_flexible_shop(rng)
        for _ in range(SCHEDULES_EACH):
            rows, mutant = random_schedule(shop, rng), None
            assert check(shop, Schedule(shop, rows)) == []
            while mutant is None:  # kinds that this schedule has no room for are passed over; dropping always works
                mutation, rule = MUTATIONS[turn % len(MUTATIONS)]
                mutant, turn = mutation(rows.copy(), shop, rng), turn + 1
            assert rule in rules(shop, mutant), (mutation.__name__, rows, mutant)
            caught[mutation.__name__] += 1
    assert min(caught.values()) > 60, caught
    assert {rule for _, rule in MUTATIONS} == RULES


@given(st.integers(0, 2**32 - 1), st.data())
def test_nonsense_is_reported_without_an_exception(random_flexible_shop, seed, data):
    shop = random_flexible_shop(np.random.default_rng(seed))
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    rows = data.draw(st.lists(st.tuples(*[number] * 5), max_size=8))
    schedule = Schedule(shop, np.array(rows, dtype=np.int64).reshape(-1, 5))
    violations = check(shop, schedule)
    assert all(isinstance(violation, Violation) and violation.rule in RULES for violation in violations)
    assert isinstance(metrics(shop, schedule)["makespan"], int)
    assert violations or len(rows) == shop.operations.sum()


TWO = FlexibleJobShopInstance("two", np.array([[[2, 5], [3, -1]], [[-1, 4], [-1, -1]]]), np.array([0, 1]))
GOOD = [[0, 0, 0, 0, 2], [0, 1, 0, 2, 5], [1, 0, 1, 1, 5]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({0: [0, 0, 1, 5, 10], 1: [0, 1, 0, 10, 13]}, []),
        ({0: [0, 0, 0, 0, 5]}, [
            "duration: operation 0 of job 0 runs from 0 to 5, that is 5 instead of 2 on machine 0",
            "precedence: operation 1 of job 0 starts at 2, before its operation 0 ends at 5",
            "capacity: machine 0 runs operation 0 of job 0 from 0 to 5 and operation 1 of job 0 from 2 to 5",
        ]),
        ({1: [0, 1, 1, 5, 8]}, ["assignment: operation 1 of job 0 is on machine 1 but can run on 0"]),
        ({1: [0, 1, 7, 5, 8]}, ["assignment: operation 1 of job 0 is on machine 7 (machines run from 0 to 1)"]),
        ({2: [1, 0, 1, 0, 4]}, ["release: operation 0 of job 1 starts at 0, before the release of the job at 1"]),
        ({0: [0, 0, 0, -2, 0]}, ["release: operation 0 of job 0 starts at -2, before time 0"]),
        ({2: [1, 1, 1, 1, 5]}, [
            "completeness: row 2 names operation 1 of job 1, whose operations run from 0 to 0",
            "completeness: operation 0 of job 1 is missing",
        ]),
        ({2: [4, 0, 1, 9, 13]}, [
            "completeness: row 2 names job 4, but jobs run from 0 to 1",
            "completeness: operation 0 of job 1 is missing",
        ]),
        ({2: [0, 0, 0, 9, 11]}, [
            "completeness: operation 0 of job 0 appears 2 times",
            "completeness: operation 0 of job 1 is missing",
            "precedence: operation 1 of job 0 starts at 2, before its operation 0 ends at 11",
        ]),
    ],
)  # fmt: skip
def test_words_are_exact(changes, expected):
    rows = [changes.get(at, row) for at, row in enumerate(GOOD)]
    assert [str(violation) for violation in check(TWO, Schedule(TWO, np.array(rows)))] == expected


def test_messages_are_capped_and_the_rest_is_counted():
    crowd = FlexibleJobShopInstance("crowd", np.ones((MAX_MESSAGES + 5, 1, 1), int))
    violations = check(crowd, Schedule(crowd, np.zeros((0, 5), np.int64)))
    assert len(violations) == MAX_MESSAGES + 1
    assert str(violations[-1]) == "completeness: 5 further violations of this rule are not listed"


def test_metrics_by_hand():
    found = metrics(TWO, Schedule(TWO, np.array([[0, 0, 1, 5, 10], [0, 1, 0, 10, 13], [1, 0, 1, 1, 5]])))
    assert found == {
        "makespan": 13, "total_flow_time": 13 + 4, "machine_utilisation": 12 / 26, "total_idle_time": 14,
        "busiest_machine": 9, "excess_work": 3,
    }  # fmt: skip
    nothing = metrics(TWO, Schedule(TWO, np.zeros((0, 5), np.int64)))
    assert set(nothing.values()) == {0}
    huge = Schedule(TWO, np.array([[0, 0, 0, 0, 2**63 - 1], [1, 0, 1, 0, 2**63 - 1]]))
    assert metrics(TWO, huge)["total_flow_time"] == 2**64 - 3


def test_it_imports_no_simulator():
    tree = ast.parse(Path(validator.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"numpy", "core.checking", "core.schedule", "instance"}
