"""The validator accepts every feasible schedule and names the rule that each broken one breaks."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatchgym.envs.job_shop.validator as validator
from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import cost
from dispatchgym.envs.job_shop.validator import MAX_MESSAGES, check, metrics

INSTANCES, SCHEDULES_EACH = 500, 20  # 10,000 schedules, and 10,000 mutants
WORK, STEP, RESOURCE, START, END = range(5)
RULES = {"completeness", "assignment", "duration", "release", "precedence", "capacity"}


def random_instance(rng: np.random.Generator) -> JobShopInstance:
    """General routes: machines skipped and revisited, lengths of 0, releases."""
    jobs, machines, longest = rng.integers(1, 6), rng.integers(1, 5), rng.integers(1, 6)
    routes = rng.integers(1, longest + 1, jobs)
    routes[rng.integers(jobs)] = longest
    there = np.arange(longest) < routes[:, None]
    duration = np.where(there, rng.integers(0, 9, (jobs, longest)), 0).astype(np.int32)
    machine = np.where(there, rng.integers(0, machines, (jobs, longest)), -1).astype(np.int32)
    release = rng.integers(0, 15, jobs).astype(np.int32) if rng.random() < 0.7 else None
    return JobShopInstance("random", int(machines), duration, machine, release)


def random_schedule(instance: JobShopInstance, rng: np.random.Generator) -> np.ndarray:
    """A feasible schedule in which operations are appended in a random order, rows shuffled."""
    turns = rng.permutation(np.repeat(np.arange(instance.jobs), instance.operations)).tolist()
    free_job, free_machine = instance.release.tolist(), [0] * instance.machines
    step, rows = [0] * instance.jobs, []
    for job in turns:
        machine, length = int(instance.machine[job, step[job]]), int(instance.duration[job, step[job]])
        start = max(free_job[job], free_machine[machine]) + int(rng.random() < 0.2)
        rows.append((job, step[job], machine, start, start + length))
        free_job[job] = free_machine[machine] = start + length
        step[job] += 1
    return rng.permutation(np.array(rows, dtype=np.int64))


def rules(instance: JobShopInstance, entries: np.ndarray) -> set[str]:
    return {violation.rule for violation in check(instance, Schedule(instance, entries))}


# Each mutation breaks the rule it is listed under, or returns None where the schedule has no room for it.


def drop(entries, instance, rng):
    return np.delete(entries, rng.integers(len(entries)), axis=0)


def duplicate(entries, instance, rng):
    return np.vstack([entries, entries[rng.integers(len(entries))]])


def change_job(entries, instance, rng):
    entries[rng.integers(len(entries)), WORK] += rng.integers(1, 3)  # a duplicate or a stranger, and a gap
    return entries


def change_step(entries, instance, rng):
    entries[rng.integers(len(entries)), STEP] -= rng.integers(1, 3)
    return entries


def unknown_job(entries, instance, rng):
    entries[rng.integers(len(entries)), WORK] = rng.choice([-1, instance.jobs, 2**62, -(2**63)])
    return entries


def unknown_step(entries, instance, rng):
    row = rng.integers(len(entries))
    entries[row, STEP] = rng.choice([-1, instance.operations[entries[row, WORK]], 2**62, -(2**63)])
    return entries


def swap_machines(entries, instance, rng):
    others = np.flatnonzero(entries[:, RESOURCE] != entries[0, RESOURCE])
    if not len(others):
        return None
    pair = [0, rng.choice(others)]
    entries[pair, RESOURCE] = entries[pair[::-1], RESOURCE]
    return entries


def unknown_machine(entries, instance, rng):
    entries[rng.integers(len(entries)), RESOURCE] = rng.choice([-1, instance.machines, 2**63 - 1])
    return entries


def change_end(entries, instance, rng):
    entries[rng.integers(len(entries)), END] += rng.choice([-3, -1, 1, 2, 2**40])
    return entries


def wrap_around(entries, instance, rng):
    """The difference of start and end is right in 64 bits and wrong in truth."""
    row = rng.integers(len(entries))
    length = entries[row, END] - entries[row, START]
    if length == 0:
        return None
    entries[row, START:] = 2**63 - 1, -(2**63) + length - 1
    return entries


def negative_start(entries, instance, rng):
    row = rng.integers(len(entries))
    entries[row, START:] -= entries[row, START] + rng.integers(1, 5)
    return entries


def before_release(entries, instance, rng):
    late = np.flatnonzero(instance.release[entries[:, WORK]] > 0)
    if not len(late):
        return None
    row = rng.choice(late)
    entries[row, START:] -= entries[row, START] - instance.release[entries[row, WORK]] + 1
    return entries


def into_predecessor(entries, instance, rng):
    place = {(row[WORK], row[STEP]): at for at, row in enumerate(entries.tolist())}
    later = [at for at, row in enumerate(entries.tolist()) if row[STEP] > 0]
    if not later:
        return None
    row = rng.choice(later)
    before = place[entries[row, WORK], entries[row, STEP] - 1]
    entries[row, START:] -= entries[row, START] - entries[before, END] + 1
    return entries


def swap_in_job(entries, instance, rng):
    """Two operations of a job exchange their places in time."""
    place = {(row[WORK], row[STEP]): at for at, row in enumerate(entries.tolist())}
    pairs = [
        (place[job, step - 1], at)
        for (job, step), at in place.items()
        if step > 0 and entries[at, END] > entries[place[job, step - 1], START]
    ]
    if not pairs:
        return None
    first, second = pairs[rng.integers(len(pairs))]
    begin, length = entries[first, START], entries[first, END] - entries[first, START]
    other = entries[second, END] - entries[second, START]
    entries[first, START:] = begin + other, begin + other + length
    entries[second, START:] = begin, begin + other
    return entries if other + length > 0 else None


def overlap(entries, instance, rng):
    busy = np.flatnonzero(entries[:, END] > entries[:, START])
    pairs = [(a, b) for a in busy for b in busy if a != b and entries[a, RESOURCE] == entries[b, RESOURCE]]
    if not pairs:
        return None
    moved, still = pairs[rng.integers(len(pairs))]
    length = entries[moved, END] - entries[moved, START]
    # any start that shares at least one time unit with the other operation
    start = rng.integers(entries[still, START] - length + 1, entries[still, END])
    entries[moved, START:] = start, start + length
    return entries


def onto_a_busy_machine(entries, instance, rng):
    """The operation keeps its time and goes where another runs then."""
    pairs = [
        (a, b)
        for a in range(len(entries))
        for b in range(len(entries))
        if entries[a, RESOURCE] != entries[b, RESOURCE]
        and max(entries[a, START], entries[b, START]) < min(entries[a, END], entries[b, END])
    ]
    if not pairs:
        return None
    moved, still = pairs[rng.integers(len(pairs))]
    entries[moved, RESOURCE] = entries[still, RESOURCE]
    return entries


MUTATIONS = [
    (drop, "completeness"),
    (duplicate, "completeness"),
    (change_job, "completeness"),
    (change_step, "completeness"),
    (unknown_job, "completeness"),
    (unknown_step, "completeness"),
    (swap_machines, "assignment"),
    (unknown_machine, "assignment"),
    (change_end, "duration"),
    (wrap_around, "duration"),
    (negative_start, "release"),
    (before_release, "release"),
    (into_predecessor, "precedence"),
    (swap_in_job, "precedence"),
    (overlap, "capacity"),
    (onto_a_busy_machine, "capacity"),
]


def test_every_mutant_is_caught_and_every_original_accepted():
    rng = np.random.default_rng(20240)
    caught = dict.fromkeys((mutation.__name__ for mutation, _ in MUTATIONS), 0)
    turn = 0
    for _ in range(INSTANCES):
        instance = random_instance(rng)
        for _ in range(SCHEDULES_EACH):
            entries = random_schedule(instance, rng)
            assert check(instance, Schedule(instance, entries)) == []
            mutant = None
            while mutant is None:  # kinds that this schedule has no room for are passed over; dropping always works
                mutation, rule = MUTATIONS[turn % len(MUTATIONS)]
                mutant, turn = mutation(entries.copy(), instance, rng), turn + 1
            assert rule in rules(instance, mutant), (mutation.__name__, entries, mutant)
            caught[mutation.__name__] += 1
    assert sum(caught.values()) == INSTANCES * SCHEDULES_EACH
    assert min(caught.values()) > 100, caught
    assert {rule for _, rule in MUTATIONS} == RULES


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_nonsense_is_reported_without_an_exception(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance = random_instance(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    rows = data.draw(st.lists(st.tuples(*[number] * 5), max_size=8))
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5))
    violations = check(instance, schedule)
    assert all(isinstance(violation, Violation) and violation.rule in RULES for violation in violations)
    assert isinstance(metrics(instance, schedule)["makespan"], int)
    assert violations or len(rows) == instance.operations.sum()


def chain(*lengths: int, release: int = 0) -> JobShopInstance:
    """One job that visits machine 0 again and again."""
    machine = np.zeros((1, len(lengths)), dtype=np.int32)
    return JobShopInstance("chain", 1, np.array([lengths], np.int32), machine, np.array([release], np.int32))


def pair(first: int, second: int) -> JobShopInstance:
    """Two jobs of one operation each, on the same machine."""
    duration = np.array([[first], [second]], dtype=np.int32)
    return JobShopInstance("pair", 1, duration, np.zeros((2, 1), dtype=np.int32))


def words(instance: JobShopInstance, rows: list) -> list[str]:
    return [str(violation) for violation in check(instance, Schedule(instance, np.array(rows, dtype=np.int64)))]


@pytest.mark.parametrize(
    ("instance", "rows", "expected"),
    [
        (chain(2), [[0, 0, 0, 1, 3]], []),
        (chain(2), [[0, 0, 0, 1, 4]], ["duration: operation 0 of job 0 runs from 1 to 4, that is 3 instead of 2"]),
        (chain(2, release=5), [[0, 0, 0, 5, 7]], []),
        (
            chain(2, release=5),
            [[0, 0, 0, 4, 6]],
            ["release: operation 0 of job 0 starts at 4, before the release of the job at 5"],
        ),
        (chain(2), [[0, 0, 0, -1, 1]], ["release: operation 0 of job 0 starts at -1, before time 0"]),
        (chain(2), np.zeros((0, 5)), ["completeness: operation 0 of job 0 is missing"]),
        (
            chain(2),
            [[0, 0, 0, 0, 2], [0, 0, 0, 2, 4]],
            ["completeness: operation 0 of job 0 appears 2 times"],
        ),
        (
            chain(2),
            [[0, 0, 0, 0, 2], [1, 0, 0, 2, 4]],
            ["completeness: row 1 names job 1, but jobs run from 0 to 0"],
        ),
        (
            chain(2),
            [[0, 0, 0, 0, 2], [0, 7, 0, 2, 4]],
            ["completeness: row 1 names operation 7 of job 0, whose operations run from 0 to 0"],
        ),
        (
            chain(2),
            [[0, 0, 3, 0, 2]],
            ["assignment: operation 0 of job 0 is on machine 3 but belongs on machine 0 (machines run from 0 to 0)"],
        ),
        (
            chain(2),
            [[0, 0, 0, 0, 2], [1, 0, 4, 2, 4]],
            [
                "completeness: row 1 names job 1, but jobs run from 0 to 0",
                "assignment: operation 0 of job 1 is on machine 4 (machines run from 0 to 0)",
            ],
        ),
        # touching is no overlap, and neither is an operation of length 0 in the middle of another
        (pair(3, 4), [[0, 0, 0, 4, 7], [1, 0, 0, 0, 4]], []),
        (pair(3, 0), [[0, 0, 0, 0, 3], [1, 0, 0, 1, 1]], []),
        (
            pair(3, 4),
            [[0, 0, 0, 3, 6], [1, 0, 0, 0, 4]],
            ["capacity: machine 0 runs operation 0 of job 1 from 0 to 4 and operation 0 of job 0 from 3 to 6"],
        ),
        # the same start and end in both is an overlap like any other
        (
            pair(2, 2),
            [[0, 0, 0, 0, 2], [1, 0, 0, 0, 2]],
            ["capacity: machine 0 runs operation 0 of job 0 from 0 to 2 and operation 0 of job 1 from 0 to 2"],
        ),
        # an operation of length 0 still has its place in its job
        (
            chain(0, 2),
            [[0, 0, 0, 1, 1], [0, 1, 0, 0, 2]],
            ["precedence: operation 1 of job 0 starts at 0, before its operation 0 ends at 1"],
        ),
        # where the operation between is missing, the next one there is judged
        (
            chain(1, 0, 1),
            [[0, 0, 0, 5, 6], [0, 2, 0, 2, 3]],
            [
                "completeness: operation 1 of job 0 is missing",
                "precedence: operation 2 of job 0 starts at 2, before its operation 0 ends at 6",
            ],
        ),
    ],
)
def test_words_are_exact(instance, rows, expected):
    assert words(instance, rows) == expected


def crowd(jobs: int, length: int) -> JobShopInstance:
    """Jobs of one operation each, all on the same machine."""
    duration = np.full((jobs, 1), length, dtype=np.int32)
    return JobShopInstance("crowd", 1, duration, np.zeros((jobs, 1), dtype=np.int32))


def test_every_overlapping_pair_is_listed_and_no_touching_one():
    rows = [[job, 0, 0, start, start + 5] for job, start in enumerate([0, 4, 4, 9, 8])]
    found = [message.split(" job ")[1:] for message in words(crowd(5, 5), rows)]
    pairs = sorted(tuple(sorted((int(first[0]), int(second[0])))) for first, second in found)
    assert pairs == [(0, 1), (0, 2), (1, 2), (1, 4), (2, 4), (3, 4)]


def test_overlaps_beyond_the_limit_are_counted_exactly():
    jobs = 200  # half at one time, half right after them
    rows = [[job, 0, 0, job % 2, job % 2 + 1] for job in range(jobs)]
    instance = crowd(jobs, 1)
    violations = check(instance, Schedule(instance, np.array(rows)))
    assert {violation.rule for violation in violations} == {"capacity"}
    assert len(violations) == MAX_MESSAGES + 1
    assert violations[-1].message.startswith(f"{100 * 99 - MAX_MESSAGES} further")


@pytest.mark.parametrize("more", [0, 1, 5])
def test_messages_are_capped_and_the_rest_is_counted(more):
    instance = crowd(MAX_MESSAGES + more, 1)
    violations = check(instance, Schedule(instance, np.zeros((0, 5), dtype=np.int64)))
    listed = [violation for violation in violations if violation.message.endswith("is missing")]
    assert len(listed) == MAX_MESSAGES
    expected = [f"completeness: {more} further violations of this rule are not listed"] if more else []
    assert [str(violation) for violation in violations[MAX_MESSAGES:]] == expected


def test_metrics_of_a_schedule_computed_by_hand():
    duration = np.array([[3, 2], [4, 0]], dtype=np.int32)
    machine = np.array([[0, 1], [1, -1]], dtype=np.int32)
    instance = JobShopInstance("hand", 2, duration, machine, np.array([0, 1], dtype=np.int32))
    schedule = Schedule(instance, np.array([[0, 1, 1, 5, 7], [1, 0, 1, 1, 5], [0, 0, 0, 0, 3]]))
    assert check(instance, schedule) == []
    assert metrics(instance, schedule) == {
        "makespan": 7,
        "total_flow_time": 7 + 4,
        "machine_utilisation": 9 / 14,
        "total_idle_time": 5,
    }


def test_metrics_of_an_empty_and_of_a_partial_schedule():
    instance = pair(3, 4)
    nothing = metrics(instance, Schedule(instance, np.zeros((0, 5), dtype=np.int64)))
    assert nothing == {"makespan": 0, "total_flow_time": 0, "machine_utilisation": 0.0, "total_idle_time": 0}
    part = metrics(instance, Schedule(instance, np.array([[1, 0, 0, 1, 5]])))
    assert part == {"makespan": 5, "total_flow_time": 5, "machine_utilisation": 0.8, "total_idle_time": 1}


def test_metrics_do_not_wrap_around():
    instance = pair(3, 4)
    rows = [[0, 0, 0, 0, 2**63 - 1], [1, 0, 0, 0, 2**63 - 1]]
    assert metrics(instance, Schedule(instance, np.array(rows)))["total_flow_time"] == 2**64 - 2


def test_it_imports_no_simulator():
    tree = ast.parse(Path(validator.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {
        "core.checking",
        "core.schedule",
        "instance",
        "objective",
        "validator_live",
        "validator_limits",
        "validator_preemptive",
    }


def test_metrics_of_due_dates_and_weights_by_hand():
    schedule = np.array([[0, 1, 1, 5, 7], [1, 0, 1, 1, 5], [0, 0, 0, 0, 3]])
    hand = JobShopInstance("hand", 2, [[3, 2], [4, 0]], [[0, 1], [1, -1]], [0, 1], [4, 5], [3, 2])
    found = metrics(hand, Schedule(hand, schedule))
    assert found["total_weighted_flow_time"] == 3 * 7 + 2 * 4
    assert (found["total_tardiness"], found["total_weighted_tardiness"]) == (3, 9)
    assert (found["max_lateness"], found["number_tardy"], found["weighted_number_tardy"]) == (3, 1, 3)
    early = replace(hand, due=[9, 9], weight=None, objective="max_lateness + 2 weighted_number_tardy")
    found = metrics(early, Schedule(early, schedule))
    assert found["max_lateness"] == found["max_lateness + 2 weighted_number_tardy"] == -2
    assert "total_weighted_tardiness" not in found and found["weighted_number_tardy"] == 0
    assert metrics(early, Schedule(early, schedule[:0]))["max_lateness"] == 0


@given(st.integers(0, 2**32 - 1))
def test_the_objective_is_what_the_completions_say(dated, seed):
    """Read off rows in any order, and equal to the formula over completion times."""
    rng = np.random.default_rng(seed)
    instance = dated(random_instance(rng), rng)
    entries = random_schedule(instance, rng)
    completion = [max(row[END] for row in entries.tolist() if row[WORK] == job) for job in range(instance.jobs)]
    assert metrics(instance, Schedule(instance, entries))[instance.objective] == cost(instance, np.array(completion))
