"""What the validator says of schedules written by hand, word for word, and what it refuses."""

import ast
from pathlib import Path

import numpy as np
import pytest

import dispatchgym.envs.soc.validator as validator
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.validator import MAX_MESSAGES, check

RULES = {"completeness", "assignment", "duration", "arrival", "precedence", "capacity", "limit", "bus"}


def one(*times: int, edges=(), volume=(), elements: int = 1, arrivals=(0,), **more) -> SoCInstance:
    """Jobs of one graph whose tasks take the same time everywhere; latency 1, bandwidth 2."""
    cost = np.repeat(np.array(times)[:, None], elements, axis=1)
    graph = JobGraph("one", cost, np.array(edges, dtype=int).reshape(-1, 2), np.array(volume, dtype=int))
    square = np.ones((elements, elements), dtype=int)
    return SoCInstance(
        "one", (graph,), square, 2 * square, None, np.array(arrivals), np.zeros(len(arrivals), int), **more
    )


def words(instance: SoCInstance, rows: list, **conditions) -> list[str]:
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
    return [str(violation) for violation in check(instance, schedule)]


PAIR = one(3, 4, edges=[(0, 1)], volume=[5], elements=2)
TWO = one(3, arrivals=(0, 1))


@pytest.mark.parametrize(
    ("instance", "rows", "expected"),
    [
        (one(2), [[0, 0, 0, 1, 3]], []),
        (one(2), [], ["completeness: task 0 of job 0 is missing"]),
        (one(2), [[0, 0, 0, 0, 2], [0, 0, 0, 2, 4]], ["completeness: task 0 of job 0 appears 2 times"]),
        (one(2), [[0, 0, 0, 0, 2], [1, 0, 0, 2, 4]], ["completeness: row 1 names job 1, but jobs run from 0 to 0"]),
        (one(2), [[0, 0, 0, 0, 2], [-1, 0, 0, 0, 0]], ["completeness: row 1 names job -1, but jobs run from 0 to 0"]),
        (
            one(1, 1, arrivals=(0, 0)),
            [[0, 0, 0, 0, 1], [0, 1, 0, 1, 2], [1, 0, 0, 2, 3], [1, 1, 0, 3, 4], [1, 1, 0, 4, 5]],
            ["completeness: task 1 of job 1 appears 2 times"],
        ),
        (one(0), [[0, 0, 0, 0, 1]], ["duration: task 0 of job 0 runs from 0 to 1, that is 1 instead of 0"]),
        (
            one(2),
            [[0, 0, 0, 0, 2], [0, 7, 0, 2, 4]],
            ["completeness: row 1 names step 7 of job 0, whose tasks run from 0 to 0"],
        ),
        (one(2), [[0, 0, 1, 0, 2]], ["assignment: task 0 of job 0 is on PE 1 (PEs run from 0 to 0)"]),
        (one(2), [[0, 0, 0, 1, 4]], ["duration: task 0 of job 0 runs from 1 to 4, that is 3 instead of 2"]),
        (one(2), [[0, 0, 0, -1, 1]], ["arrival: task 0 of job 0 starts at -1, before time 0"]),
        (
            one(2, arrivals=(5,)),
            [[0, 0, 0, 4, 6]],
            ["arrival: task 0 of job 0 starts at 4, before the arrival of the job at 5"],
        ),
        (
            one(2, arrivals=(1,)),
            [[0, 0, 0, 0, 2]],
            ["arrival: task 0 of job 0 starts at 0, before the arrival of the job at 1"],
        ),
        (
            one(1, 1, 1, arrivals=(0, 0)),
            [[0, 0, 0, 0, 1], [1, 1, 0, 1, 2], [0, 2, 0, 2, 3]],
            [f"completeness: task {task} of job {job} is missing" for job, task in ((0, 1), (1, 0), (1, 2))],
        ),
        # 5 units of data at 2 per us take 3 us, and the latency is 1 us
        (PAIR, [[0, 0, 0, 0, 3], [0, 1, 1, 7, 11]], []),
        (PAIR, [[0, 0, 0, 0, 3], [0, 1, 0, 3, 7]], []),
        (
            PAIR,
            [[0, 0, 0, 0, 3], [0, 1, 1, 6, 10]],
            ["precedence: task 1 of job 0 starts at 6, before its task 0 ends at 3 and its data arrives 4 later"],
        ),
        (PAIR, [[0, 0, 0, 0, 3], [0, 1, 0, 2, 6]], [
            "precedence: task 1 of job 0 starts at 2, before its task 0 ends at 3",
            "capacity: PE 0 runs task 0 of job 0 from 0 to 3 and task 1 of job 0 from 2 to 6",
        ]),
        # touching is no overlap, and neither is a task of length 0 in the middle of another
        (TWO, [[0, 0, 0, 4, 7], [1, 0, 0, 1, 4]], []),
        (one(3, 0), [[0, 0, 0, 0, 3], [0, 1, 0, 1, 1]], []),
        (
            TWO,
            [[0, 0, 0, 3, 6], [1, 0, 0, 1, 4]],
            ["capacity: PE 0 runs task 0 of job 1 from 1 to 4 and task 0 of job 0 from 3 to 6"],
        ),
    ],
)  # fmt: skip
def test_words_are_exact(instance, rows, expected):
    assert words(instance, rows) == expected


BUSES = one(3, 4, 1, edges=[(0, 1), (0, 2)], volume=[5, 0], elements=2)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0, 1, 1, 7, 11], [0, 3, 2, 3, 7], [0, 2, 0, 3, 4]], []),
        ([[0, 1, 1, 12, 16], [0, 3, 2, 8, 12], [0, 2, 1, 4, 5], [0, 4, 2, 3, 4]], []),
        ([[0, 1, 1, 7, 11], [0, 2, 0, 3, 4]], ["bus: the transfer of job 0 from task 0 to task 1 is missing"]),
        (
            [[0, 1, 1, 11, 15], [0, 3, 2, 3, 7], [0, 3, 2, 7, 11], [0, 2, 0, 3, 4]],
            ["bus: the transfer of job 0 from task 0 to task 1 appears 2 times"],
        ),
        (  # whatever a transfer does that is not needed, that it is there is all that is wrong with it
            [[0, 1, 1, 7, 11], [0, 3, 2, 3, 7], [0, 2, 0, 3, 4], [0, 4, 2, 1, 3]],
            ["bus: the transfer of job 0 from task 0 to task 2 takes no time between their PEs and needs no bus"],
        ),
        (
            [[0, 1, 1, 8, 12], [0, 3, 2, 3, 8], [0, 2, 0, 3, 4]],
            ["bus: the transfer of job 0 from task 0 to task 1 runs from 3 to 8, that is 5 instead of 4"],
        ),
        (
            [[0, 1, 1, 7, 11], [0, 3, 2, 2, 6], [0, 2, 0, 3, 4]],
            ["bus: the transfer of job 0 from task 0 to task 1 starts at 2, before that task ends at 3"],
        ),
        (
            [[0, 1, 1, 7, 11], [0, 3, 2, 3, 7], [0, 2, 1, 4, 5], [0, 4, 2, 3, 4]],
            [
                "bus: the bus carries the transfer of job 0 from task 0 to task 1 from 3 to 7 "
                "and the transfer of job 0 from task 0 to task 2 from 3 to 4"
            ],
        ),
        (
            [[0, 1, 1, 6, 10], [0, 3, 2, 3, 7], [0, 2, 0, 3, 4]],
            ["precedence: task 1 of job 0 starts at 6, before the transfer of job 0 from task 0 to task 1 ends at 7"],
        ),
        (
            [[0, 1, 1, 7, 11], [0, 3, 1, 3, 7], [0, 2, 0, 3, 4]],
            ["assignment: the transfer of job 0 from task 0 to task 1 is on resource 1 but belongs on the bus, 2"],
        ),
        (
            [[0, 1, 1, 7, 11], [0, 3, 2, 3, 7], [0, 2, 0, 3, 4], [0, 5, 2, 20, 21]],
            [
                "completeness: row 4 names step 5 of job 0, whose tasks run from 0 to 2 and transfers from 3 to 4",
                "assignment: task 5 of job 0 is on PE 2 (PEs run from 0 to 1)",
            ],
        ),
    ],
)
def test_words_about_the_bus_are_exact(rows, expected):
    assert words(BUSES, [[0, 0, 0, 0, 3], *rows], shared_bus=True) == expected


def test_transfers_are_strangers_without_a_bus():
    found = words(PAIR, [[0, 0, 0, 0, 3], [0, 1, 1, 7, 11], [0, 2, 2, 3, 7]])
    assert found[0] == "completeness: row 2 names step 2 of job 0, whose tasks run from 0 to 1"
    found = words(one(2), [[0, 0, 0, 0, 2], [0, 1, 1, 3, 7]], shared_bus=True)  # without edges there is nothing to move
    assert found[0] == "completeness: row 1 names step 1 of job 0, whose tasks run from 0 to 0"


def test_data_may_arrive_one_us_later():
    assert words(BUSES, [[0, 0, 0, 0, 3], [0, 1, 0, 3, 7], [0, 2, 1, 3, 4]]) == [
        "precedence: task 2 of job 0 starts at 3, before its task 0 ends at 3 and its data arrives 1 later"
    ]


def test_violations_of_the_bus_beyond_the_limit_are_counted():
    jobs = MAX_MESSAGES + 10
    instance = one(3, 4, 1, edges=[(0, 1), (0, 2)], volume=[5, 0], elements=2, arrivals=np.zeros(jobs, int))
    # of each job the transfer that is needed is missing, or comes twice with one that is not needed
    rows = []
    for job in range(jobs):
        at = 100 * job
        rows += [[job, 0, 0, at, at + 3], [job, 1, 1, at + 11, at + 15], [job, 2, 0, at + 3, at + 4]]
        if job >= 7:
            rows += [[job, 3, 2, at + 3, at + 7], [job, 3, 2, at + 7, at + 11], [job, 4, 2, at + 50, at + 51]]
    found = words(instance, rows, shared_bus=True)
    assert len(found) == MAX_MESSAGES + 1 and {text.split(":")[0] for text in found} == {"bus"}
    assert sum(text.endswith("is missing") for text in found) == 7
    assert sum(text.endswith("appears 2 times") for text in found) == MAX_MESSAGES - 7
    assert found[-1].split()[1] == str(7 + 2 * (jobs - 7) - MAX_MESSAGES)


def test_completeness_beyond_the_limit_is_counted():
    instance = one(1, arrivals=np.zeros(MAX_MESSAGES + 5, int))
    rows = [[job, 0, 0, 0, 0] for job in (3, 3, 4, 4, 4)] + [[-1, 0, 0, 0, 0]] * 6
    found = [text for text in words(instance, rows) if text.startswith("completeness")]
    assert found[5:9] == [
        "completeness: row 10 names job -1, but jobs run from 0 to 1004",
        "completeness: task 0 of job 3 appears 2 times",
        "completeness: task 0 of job 4 appears 3 times",
        "completeness: task 0 of job 0 is missing",
    ]
    assert found[-1].split()[1] == str(6 + 2 + MAX_MESSAGES + 3 - MAX_MESSAGES)


@pytest.mark.parametrize(
    ("starts", "cap", "late"),
    [
        ([0, 3, 6, 9], 1, {}),
        ([0, 3, 5, 9], 1, {2: 6}),
        ([0, 0, 3, 3], 2, {}),
        ([0, 0, 3, 2], 2, {3: 3}),
        ([0, 5, 3, 6], 2, {}),  # the first one left at 3, the third one at 6
        ([0, 5, 3, 5], 2, {3: 6}),
        ([0, 0, 0, 0], 4, {}),
        ([0, 0, 0, 0], 0, {}),
        ([0, 0, 0, 0], 3, {3: 3}),
    ],
)
def test_jobs_beyond_the_cap_wait_for_room(starts, cap, late):
    """Four jobs of 3 us at time 0, each on a processing element of its own."""
    instance = one(3, elements=4, arrivals=(0, 0, 0, 0))
    rows = [[job, 0, job, start, start + 3] for job, start in enumerate(starts)]
    plural = "s" if cap > 1 else ""
    assert words(instance, rows, wip_cap=cap) == [
        f"limit: task 0 of job {job} starts at {starts[job]}, before its job is admitted at {time} "
        f"with at most {cap} job{plural} in the system"
        for job, time in late.items()
    ]


def test_the_cap_says_nothing_of_arrivals_and_strangers():
    late = one(3, elements=2, arrivals=(5, 5))
    assert words(late, [[0, 0, 0, 4, 7], [1, 0, 1, 9, 12]], wip_cap=1) == [
        "arrival: task 0 of job 0 starts at 4, before the arrival of the job at 5"
    ]
    rules = {text.split(":")[0] for text in words(late, [[0, 0, 0, 5, 8], [1, 9, 1, 5, 6]], wip_cap=1)}
    assert rules == {"completeness"}


def test_a_task_cannot_run_everywhere():
    graph = JobGraph("one", np.array([[2, -1]]), np.zeros((0, 2), int), np.zeros(0, int))
    instance = SoCInstance("one", (graph,), np.zeros((2, 2), int), np.ones((2, 2), int))
    assert words(instance, [[0, 0, 1, 0, 2]]) == ["assignment: task 0 of job 0 is on PE 1, which cannot run it"]
    assert words(instance, [[0, 0, 1, 2, 0]])[1] == "duration: task 0 of job 0 runs from 2 to 0, that is -2"


@pytest.mark.parametrize("limit", [1, 3, 2**22])
def test_edges_are_looked_up_in_parts(monkeypatch, limit):
    monkeypatch.setattr("dispatchgym.envs.soc.claim.MAX_PAIRS", limit)
    instance = one(3, 4, 1, edges=[(0, 1), (0, 2)], volume=[5, 0], elements=2, arrivals=[0] * 5)
    rows = [[job, task, 0, 100 * job + 9 * task, 0] for job in range(5) for task in range(3)]
    rows = [[*row[:4], row[3] + [3, 4, 1][row[1]]] for row in rows]
    assert words(instance, rows) == []
    rows[4][3:] = 100, 104  # the second task of the second job starts with the first
    assert words(instance, rows)[0] == "precedence: task 1 of job 1 starts at 100, before its task 0 ends at 103"


def test_of_repeated_tasks_the_widest_claim_counts():
    rows = [[0, 0, 0, 0, 3], [0, 0, 1, 10, 13], [0, 1, 0, 5, 9]]
    assert words(PAIR, rows)[1:] == [
        "precedence: task 1 of job 0 starts at 5, before its task 0 ends at 13 and its data arrives 4 later"
    ]


@pytest.mark.parametrize("more", [0, 1, 5])
def test_messages_are_capped_and_the_rest_is_counted(more):
    instance = one(1, arrivals=np.zeros(MAX_MESSAGES + more + 2, int))
    found = words(instance, [[job, 0, 0, job, job + 1] for job in (3, 7)])
    assert sum(text.endswith("is missing") for text in found) == MAX_MESSAGES
    expected = [f"completeness: {more} further violations of this rule are not listed"] if more else []
    assert found[MAX_MESSAGES:] == expected


def test_every_rule_is_capped():
    """Many jobs, each broken in every way, make no more than a listing of each rule."""
    jobs = MAX_MESSAGES + 10
    instance = one(3, 4, edges=[(0, 1)], volume=[5], elements=2, arrivals=np.ones(jobs, int))
    # two tasks on their elements, their transfer on the bus and a stranger, all from 0 to 9
    rows = [[job, step, place, 0, 9] for job in range(jobs) for step, place in ((0, 0), (1, 1), (2, 2), (9, 9))]
    schedule = Schedule(instance, np.array(rows), {"shared_bus": True, "wip_cap": 1})
    violations = check(instance, schedule)
    for rule in RULES:
        listed = [violation.message for violation in violations if violation.rule == rule]
        assert len(listed) == MAX_MESSAGES + 1 and listed[-1].endswith("further violations of this rule are not listed")
    pairs = jobs * (jobs - 1) // 2
    counts = {
        violation.rule: int(violation.message.split()[0]) for violation in violations if "further" in str(violation)
    }
    assert counts["capacity"] == 2 * pairs - MAX_MESSAGES
    assert counts["bus"] == pairs + 2 * jobs - MAX_MESSAGES  # the wrong length and the early start of each transfer


@pytest.mark.parametrize("conditions", [{"noise": "loud"}, {"sigma": "much"}, {"bus": True}, {"wip_cap": -1}, 7, [1]])
def test_malformed_conditions_are_an_error(conditions):
    with pytest.raises(ScheduleError, match="condition"):
        check(TWO, Schedule(TWO, np.zeros((0, 5), int), conditions))


# Topcuoglu, Hariri and Wu (2002), figure 2 and table 1: ten tasks on three processors
COST = """14 16 9  13 19 18  11 13 19  13 8 17  12 13 10  13 16 9  7 15 11  5 11 14  18 12 20  21 7 16"""
EDGES = """0 1 18  0 2 12  0 3 9  0 4 11  0 5 14  1 7 19  1 8 16  2 6 23  3 7 27  3 8 23  4 8 13  5 7 15  6 9 17
7 9 11  8 9 13"""
# their figure 4(a), the schedule of HEFT: task, processor, start and end
HEFT = """0 2 0 9  2 2 9 28  3 1 18 26  1 0 27 40  4 2 28 38  5 1 26 42  8 1 56 68  6 2 38 49  7 0 57 62  9 1 73 80"""


def topcuoglu() -> SoCInstance:
    edges = np.array(EDGES.split(), dtype=int).reshape(-1, 3)
    graph = JobGraph("canonical", np.array(COST.split(), dtype=int).reshape(10, 3), edges[:, :2], edges[:, 2])
    return SoCInstance("topcuoglu", (graph,), np.zeros((3, 3), int), np.ones((3, 3), int))


def test_the_published_schedule_is_feasible_and_tight():
    rows = np.array(HEFT.split(), dtype=int).reshape(10, 4)
    entries = np.insert(rows, 0, 0, axis=1)
    instance = topcuoglu()
    assert check(instance, Schedule(instance, entries)) == []
    for row in range(10):  # it is semi-active: no task could start earlier where it is
        earlier = entries - [0, 0, 0, 1, 1] * (np.arange(10) == row)[:, None]
        assert {broken.rule for broken in check(instance, Schedule(instance, earlier))} & {
            "arrival",
            "precedence",
            "capacity",
        }


def test_it_imports_no_simulator():
    folder = Path(validator.__file__).parent
    imported = set()
    for name in ("validator.py", "claim.py", "metrics.py", "noise.py", "conditions.py"):
        tree = ast.parse((folder / name).read_text())
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1}
    assert imported == {"claim", "metrics", "noise", "conditions", "instance"}
