"""The judge of live schedules says in words what is wrong, case by case by hand."""

import ast
from pathlib import Path

import numpy as np
import pytest

import dispatchgym.envs.job_shop.validator as validator
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check


def test_a_condition_out_of_range_is_named():
    instance = JobShopInstance("one", 1, [[2]], [[0]])
    for conditions, words in (({"buffers": "some"}, "'buffers' must be one of"), ({"colour": 1}, "unknown condition")):
        with pytest.raises(ScheduleError, match=words):
            check(instance, Schedule(instance, [[0, 0, 0, 0, 2]], conditions))


def shop(*routes: list[tuple[int, int]], machines: int = 3) -> JobShopInstance:
    """A shop from the (machine, duration) pairs of its jobs."""
    longest = max(map(len, routes))
    machine = [[*(k for k, _ in route), *[-1] * (longest - len(route))] for route in routes]
    duration = [[*(p for _, p in route), *[0] * (longest - len(route))] for route in routes]
    return JobShopInstance("shop", machines, np.array(duration), np.array(machine))


CROSS = shop([(0, 2), (1, 2)], [(1, 2), (0, 2)])
ROUND = [[0, 0, 0, 0, 2], [1, 0, 1, 0, 2], [0, 1, 1, 2, 4], [1, 1, 0, 2, 4]]
FLOW = shop([(0, 2), (1, 5)], [(0, 2), (1, 1)])
QUEUE = [[0, 0, 0, 0, 2], [0, 1, 1, 2, 7], [1, 0, 0, 2, 4], [1, 1, 1, 7, 8]]


@pytest.mark.parametrize(
    ("instance", "conditions", "rows", "expected"),
    [
        (CROSS, {"buffers": "swap"}, ROUND, []),
        (
            CROSS,
            {"buffers": "none"},
            ROUND,
            ["swap: at 2 jobs 0, 1 move in no order in which every machine is empty when it is entered"],
        ),
        # the one behind follows the one ahead at the same moment
        (FLOW, {"buffers": "none"}, QUEUE, []),
        (
            shop([(0, 2), (1, 5)], [(0, 2), (1, 1)], [(0, 1)]),
            {"buffers": "none"},
            [*QUEUE, [2, 0, 0, 6, 7]],
            ["blocking: operation 0 of job 2 starts on machine 0 at 6, where job 1 is from 2 to 7"],
        ),
        (shop([(0, 2), (1, 5)], [(0, 2), (1, 1)], [(0, 1)]), {"buffers": "none"}, [*QUEUE, [2, 0, 0, 7, 8]], []),
        # also if it takes no time
        (
            shop([(0, 2), (1, 5)], [(0, 2), (1, 1)], [(0, 0)]),
            {"buffers": "none"},
            [*QUEUE, [2, 0, 0, 6, 6]],
            ["blocking: operation 0 of job 2 starts on machine 0 at 6, where job 1 is from 2 to 7"],
        ),
        # a job whose next operation is missing stays
        (
            shop([(0, 2), (1, 5)], [(0, 2)]),
            {"buffers": "none"},
            [[0, 0, 0, 0, 2], [1, 0, 0, 5, 7]],
            [
                "completeness: operation 1 of job 0 is missing",
                "blocking: operation 0 of job 1 starts on machine 0 at 5, where job 0 is from 0 for good",
            ],
        ),
        # the next operation on the same machine
        (shop([(0, 2), (0, 3), (1, 1)]), {"buffers": "none"}, [[0, 0, 0, 0, 2], [0, 1, 0, 4, 7], [0, 2, 1, 7, 8]], []),
        # through an operation that takes no time, and out of the way of another one
        (
            shop([(0, 1), (1, 0), (2, 1)], [(2, 1), (0, 1)]),
            {"buffers": "none"},
            [[0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 2, 2, 1, 2], [1, 0, 2, 0, 1], [1, 1, 0, 1, 2]],
            [],
        ),
        (
            shop([(0, 1), (1, 0), (2, 1)], [(2, 1), (1, 0), (0, 1)]),
            {"buffers": "swap"},
            [[0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 2, 2, 1, 2], [1, 0, 2, 0, 1], [1, 1, 1, 1, 1], [1, 2, 0, 1, 2]],
            [],
        ),
        (
            shop([(0, 1), (1, 0), (2, 1)], [(2, 1), (1, 0), (0, 1)]),
            {"buffers": "none"},
            [[0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 2, 2, 1, 2], [1, 0, 2, 0, 1], [1, 1, 1, 1, 1], [1, 2, 0, 1, 2]],
            ["swap: at 1 jobs 0, 1 move in no order in which every machine is empty when it is entered"],
        ),
    ],
)
def test_words_of_blocking(instance, conditions, rows, expected):
    found = check(instance, Schedule(instance, np.array(rows), conditions))
    assert [str(violation) for violation in found] == expected


# machine 0 is down from 5 to 7, from 19 to 20, and later
RESUME = {"uptime": 100, "repair": 60, "seed": 1}
RESTART = RESUME | {"interrupted": "restart"}


@pytest.mark.parametrize(
    ("conditions", "rows", "expected"),
    [
        (RESUME, [[0, 0, 0, 3, 5], [0, 0, 0, 7, 10], [1, 0, 0, 10, 15]], []),
        (RESTART, [[0, 0, 0, 3, 5], [0, 0, 0, 7, 12], [1, 0, 0, 12, 17]], []),
        # what ends as the shutdown begins is not touched by it
        (RESUME, [[0, 0, 0, 0, 5], [1, 0, 0, 7, 12]], []),
        (
            RESUME,
            [[0, 0, 0, 0, 5], [1, 0, 0, 5, 10]],
            ["shutdown: operation 0 of job 1 starts at 5, while machine 0 is down from 5 to 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 8], [1, 0, 0, 8, 13]],
            ["shutdown: operation 0 of job 0 runs from 3 to 8, but machine 0 is down from 5 to 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 6, 9], [1, 0, 0, 9, 14]],
            [
                "shutdown: operation 0 of job 0 goes on at 6, while machine 0 is down from 5 to 7",
                "interruption: operation 0 of job 0 pauses from 5 to 6, but machine 0 is down from 5 to 7",
            ],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 8, 11], [1, 0, 0, 11, 16]],
            ["interruption: operation 0 of job 0 pauses from 5 to 8, but machine 0 is down from 5 to 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 7, 9], [0, 0, 0, 10, 13], [1, 0, 0, 0, 5]],
            ["interruption: operation 0 of job 0 pauses from 9 to 10, but no shutdown of machine 0 begins at 9"],
        ),
        (
            RESUME,
            [[0, 0, 0, 0, 5], [0, 0, 0, 7, 7], [1, 0, 0, 7, 12]],
            ["interruption: operation 0 of job 0 has a piece of length 0 at 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 7, 11], [1, 0, 0, 11, 16]],
            ["duration: operation 0 of job 0 runs for 6 in 2 pieces, instead of 5"],
        ),
        (
            RESTART,
            [[0, 0, 0, 3, 5], [0, 0, 0, 7, 10], [1, 0, 0, 10, 15]],
            ["duration: operation 0 of job 0 runs for 3 in its last piece, instead of 5"],
        ),
        (
            RESTART,
            [[0, 0, 0, 0, 5], [0, 0, 0, 7, 12], [1, 0, 0, 12, 17]],
            ["duration: operation 0 of job 0 runs for 5 before its last piece, but 5 completes it"],
        ),
        # what is interrupted keeps its machine
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 7, 10], [1, 0, 0, 7, 12]],
            ["capacity: machine 0 has operation 0 of job 0 from 3 to 10 and operation 0 of job 1 from 7 to 12"],
        ),
    ],
)
def test_words_of_shutdowns(conditions, rows, expected):
    pair = JobShopInstance("pair", 1, np.array([[5], [5]]), np.array([[0], [0]]))
    found = check(pair, Schedule(pair, np.array(rows), conditions))
    assert [str(violation) for violation in found] == expected


def test_what_is_later_than_all_known_shutdowns_is_said():
    single = JobShopInstance("single", 1, np.array([[1]]), np.array([[0]]))
    late = Schedule(single, [[0, 0, 0, 2**29, 2**29 + 1]], {"uptime": 1, "repair": 1})
    assert [str(v).split(",")[0] for v in check(single, late)] == ["shutdown: operation 0 of job 0 ends at 536870913"]
    assert "are not known after" in str(check(single, late)[0])


@pytest.mark.parametrize("room", ["live", "claim", "order", "world"])
def test_it_imports_no_simulator(room):
    tree = ast.parse(Path(validator.__file__).with_name(f"validator_{room}.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
    allowed = {"core.checking", "core.schedule", "core.noise", "conditions", "instance"}
    assert all(name is None or name in allowed or name.startswith("validator") for name in imported)
