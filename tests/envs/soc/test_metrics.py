"""Figures are those of the definitions, finite whatever the schedule says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.metrics import admissions, completions, longest_path
from dispatchgym.envs.soc.validator import metrics

COMMON = {"makespan", "mean_latency", "max_latency", "total_latency", "mean_blocked", "pe_utilisation"}


def graph(times, edges=()) -> JobGraph:
    edges = np.array(edges, dtype=int).reshape(-1, 2)
    return JobGraph("graph", np.array(times), edges, np.zeros(len(edges), int))


def stream(times, arrivals, warmup: int = 0, edges=()) -> SoCInstance:
    kind = graph(times, edges)
    square = np.ones((kind.execution_time.shape[1],) * 2, dtype=int)
    return SoCInstance(
        "stream", (kind,), square, square, None, np.array(arrivals), np.zeros(len(arrivals), int), warmup
    )


def figures(instance: SoCInstance, rows, **conditions) -> dict:
    return metrics(instance, Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions))


def test_figures_of_a_stream_by_hand():
    instance = stream([[3, 3]], [0, 0, 1, 4], warmup=1)
    rows = [[0, 0, 0, 0, 3], [1, 0, 1, 0, 3], [2, 0, 0, 3, 6], [3, 0, 1, 4, 7]]
    expected = {"makespan": 7, "mean_latency": 4, "max_latency": 5, "total_latency": 8, "mean_blocked": 0}
    assert figures(instance, rows) == expected | {"pe_utilisation": 12 / 14}
    # with room for two, the third job waits outside until the first two are done
    expected |= {"mean_latency": 3, "max_latency": 3, "total_latency": 6, "mean_blocked": 1}
    assert figures(instance, rows, wip_cap=2) == expected | {"pe_utilisation": 12 / 14}


def test_figures_of_a_static_instance_by_hand():
    """Topcuoglu et al. (2002): the schedule of HEFT for their ten tasks ends at 80."""
    cost = [
        14,
        16,
        9,
        13,
        19,
        18,
        11,
        13,
        19,
        13,
        8,
        17,
        12,
        13,
        10,
        13,
        16,
        9,
        7,
        15,
        11,
        5,
        11,
        14,
        18,
        12,
        20,
        21,
        7,
        16,
    ]
    edges = [(0, k) for k in range(1, 6)]
    edges += [(1, 7), (1, 8), (2, 6), (3, 7), (3, 8), (4, 8), (5, 7), (6, 9), (7, 9), (8, 9)]
    instance = stream(np.reshape(cost, (10, 3)), [0], edges=edges)
    heft = [[2, 0, 9], [0, 27, 40], [2, 9, 28], [1, 18, 26], [2, 28, 38], [1, 26, 42], [2, 38, 49], [0, 57, 62]]
    heft += [[1, 56, 68], [1, 73, 80]]
    found = figures(instance, [[0, task, *place] for task, place in enumerate(heft)])
    assert found["makespan"] == found["total_latency"] == found["max_latency"] == found["mean_latency"] == 80
    assert found["speedup"] == 127 / 80  # all tasks on the first processor take 127
    assert found["slr"] == 80 / 41  # tasks 1, 2, 9 and 10 at their least costs: 9 + 13 + 12 + 7
    assert found["pe_utilisation"] == (9 + 13 + 19 + 8 + 10 + 16 + 11 + 5 + 12 + 7) / 240
    assert found["mean_blocked"] == 0


def test_references_where_no_element_runs_everything():
    instance = stream([[4, -1, 9], [-1, 5, 5]], [0])
    assert figures(instance, [[0, 0, 0, 0, 4], [0, 1, 1, 0, 5]])["speedup"] == 14 / 5
    free = stream([[0, 5], [9, 9]], [0], edges=[(0, 1)])  # a task that takes no time is run like any other
    found = figures(free, [[0, 0, 0, 0, 0], [0, 1, 0, 0, 9]])
    assert (found["speedup"], found["slr"]) == (1, 1)
    short = figures(stream([[1]], [0]), [[0, 0, 0, 0, 1]])
    assert (short["speedup"], short["slr"], short["pe_utilisation"]) == (1, 1, 1)
    alone = stream([[4, -1], [-1, 5]], [0], edges=[(0, 1)])
    found = figures(alone, [[0, 0, 0, 0, 4], [0, 1, 1, 5, 10]])
    assert (found["speedup"], found["slr"]) == (9 / 10, 10 / 9)


def test_empty_and_partial_schedules():
    for instance in (stream([[3], [4]], [0]), stream([[3], [4]], [0, 5])):
        nothing = figures(instance, [])
        assert set(nothing) == COMMON | ({"speedup", "slr"} if instance.static else set())
        assert set(nothing.values()) == {0}
    part = figures(stream([[3], [4]], [2, 5]), [[0, 1, 0, 3, 7]], wip_cap=1)
    assert part == {
        "makespan": 7, "mean_latency": 5, "max_latency": 5, "total_latency": 5, "mean_blocked": 0,
        "pe_utilisation": 4 / 7,
    }  # fmt: skip


def test_tasks_without_length_take_no_time():
    found = figures(stream([[0, 0]], [0]), [[0, 0, 1, 0, 0]])
    assert (found["makespan"], found["speedup"], found["slr"], found["pe_utilisation"]) == (0, 0, 0, 0)
    assert figures(stream([[0, 0]], [0]), [[0, 0, 1, 5, 5]])["slr"] == 5


def test_transfers_and_strangers_do_not_count():
    instance = stream([[3, 3], [4, 4]], [0, 2], edges=[(0, 1)])
    rows = [[0, 0, 0, 0, 3], [0, 2, 2, 3, 50], [2, 0, 0, 0, 90], [0, -1, 0, 0, 70], [1, 0, 1, 3, 6]]
    assert figures(instance, rows, shared_bus=True) == figures(instance, [rows[0], rows[-1]])


@given(st.integers(0, 2**32))
def test_figures_follow_their_definitions(soc, number):
    rng = np.random.default_rng(number)
    instance, conditions = soc.instance(rng), soc.conditions(rng)
    instance = SoCInstance(
        "late", instance.graphs, instance.latency, instance.bandwidth, instance.kinds, instance.arrival_time,
        instance.arrival_graph, int(rng.integers(instance.arrival_time[-1] + 1)),
    )  # fmt: skip
    entries = soc.entries(instance, conditions, rng)
    found = metrics(instance, Schedule(instance, entries, conditions))
    tasks = entries[entries[:, 1] < instance.widest]
    done = [int(tasks[tasks[:, 0] == job, 4].max()) for job in range(instance.jobs)]
    cap, admitted = conditions.get("wip_cap", 0), instance.arrival_time.tolist()
    if cap:
        for job in range(cap, instance.jobs):
            # when so many of the jobs before it are done that fewer than cap are left
            admitted[job] = max(admitted[job], sorted(done[:job])[job - cap])
    measured = [job for job in range(instance.jobs) if instance.arrival_time[job] >= instance.warmup]
    latency = [done[job] - admitted[job] for job in measured]
    blocked = [admitted[job] - int(instance.arrival_time[job]) for job in measured]
    assert found["makespan"] == max(done)
    assert (found["total_latency"], found["max_latency"]) == (sum(latency), max(latency))
    assert math.isclose(found["mean_latency"], np.mean(latency)) and math.isclose(
        found["mean_blocked"], np.mean(blocked)
    )
    busy = (tasks[:, 4] - tasks[:, 3]).sum()
    assert math.isclose(found["pe_utilisation"], busy / max(max(done) * instance.elements, 1)) and busy >= 0
    assert found["pe_utilisation"] <= 1
    if instance.static and not conditions.get("sigma"):
        assert found["slr"] >= 1 or found["makespan"] == 0


def test_hostile_numbers_do_not_wrap_around():
    instance = stream([[3, 3]], [0, 0])
    low, high = -(2**63), 2**63 - 1
    found = figures(instance, [[0, 0, 0, low, high], [1, 0, 1, low, high], [low, high, low, low, high]], wip_cap=1)
    assert found["total_latency"] == high and found["makespan"] == high
    assert found["pe_utilisation"] == 2 * (2**64 - 1) / (2 * high)
    assert all(math.isfinite(value) for value in found.values())
    backwards = figures(instance, [[0, 0, 0, high, low]])
    assert backwards["makespan"] == low and all(math.isfinite(value) for value in backwards.values())


def test_admissions_are_in_order_of_arrival():
    instance = stream([[1]], [0, 0, 0, 10])
    assert admissions(instance, {0: 9, 1: 4, 2: 6, 3: 12}, 2) == {0: 0, 1: 0, 2: 4, 3: 10}
    assert admissions(instance, {0: 9, 1: 4, 2: 6, 3: 12}, 1) == {0: 0, 1: 9, 2: 9, 3: 10}
    assert admissions(instance, {0: 9, 2: 6}, 1) == {0: 0, 2: 9}  # what is not there takes no place
    assert admissions(instance, {}, 1) == {}


def test_completions_are_the_latest_ends():
    instance = stream([[1], [1]], [0, 0])
    job, step, end = np.array([[1, 0, 1, 0, 5, 1], [0, 0, 1, 2, 0, 0], [4, 7, 3, 99, 99, 2]])
    assert completions(instance, job, step, end) == {0: 7, 1: 4}


@pytest.mark.parametrize(
    ("edges", "expected"), [([], 5), ([[0, 1]], 7), ([[0, 1], [1, 2]], 8), ([[2, 0], [0, 1], [2, 1]], 8)]
)
def test_the_longest_path(edges, expected):
    order = [2, 0, 1] if [2, 0] in edges else [0, 1, 2]
    assert longest_path(order, edges, [5, 2, 1]) == expected
    assert longest_path(order, edges, [0, 0, 0]) == 0


def test_malformed_conditions_are_an_error():
    with pytest.raises(ScheduleError, match="'wip_cap'"):
        figures(stream([[1]], [0]), [], wip_cap=1.5)
