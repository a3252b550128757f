"""The job graph refuses what is no acyclic graph, and orders its tasks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.soc.job_graph import (
    MAX_CELLS,
    MAX_TASKS,
    MAX_TIME,
    JobGraph,
    longest_transfers,
    slowest_pairs,
)


def small(**changes):
    fields = {
        "name": "small",
        "execution_time": [[3, 5], [-1, 2], [0, 1]],
        "edges": [[0, 1], [0, 2]],
        "volume": [10, 0],
    }
    return JobGraph(**(fields | changes))


@st.composite
def digraphs(draw):
    tasks = draw(st.integers(1, 8))
    pairs = [(a, b) for a in range(tasks) for b in range(tasks) if a != b]
    return tasks, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=12)) if pairs else []


def test_fields():
    graph = small()
    assert (graph.tasks, graph.longest_work, graph.order.tolist()) == (3, 8, [0, 1, 2])
    for array in (graph.execution_time, graph.edges, graph.volume, graph.order):
        assert array.dtype == np.int32
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_graph_may_have_no_edges():
    for edges in ([], np.zeros((0, 2), int)):
        graph = small(edges=edges, volume=[])
        assert graph.edges.shape == (0, 2) and graph.volume.shape == (0,)
        assert graph.order.tolist() == [0, 1, 2]


def test_arrays_are_copies():
    times = np.array([[3, 5], [-1, 2], [0, 1]], dtype=np.int32)
    graph = small(execution_time=times)
    times[:] = 9
    assert graph.execution_time.tolist() == [[3, 5], [-1, 2], [0, 1]]


@settings(deadline=None, max_examples=300)
@given(digraphs())
def test_order_or_cycle(drawn):
    tasks, edges = drawn
    times = np.ones((tasks, 1), int)
    try:
        order = JobGraph("drawn", times, edges, [0] * len(edges)).order.tolist()
    except InstanceError as error:
        words = str(error).rpartition("the tasks ")[2].removesuffix(" wait for each other").split(" -> ")
        cycle = list(map(int, words))
        assert cycle[0] == cycle[-1] == min(cycle) and len(set(cycle)) == len(cycle) - 1 >= 2
        assert set(zip(cycle, cycle[1:], strict=False)) <= set(edges)
        return
    left, expected = set(range(tasks)), []
    while left:
        expected.append(min(t for t in left if not any(b == t and a in left for a, b in edges)))
        left.remove(expected[-1])
    assert order == expected


def test_the_message_of_a_cycle():
    edges = [[0, 3], [3, 5], [5, 0], [1, 0], [5, 2], [4, 1]]
    with pytest.raises(InstanceError, match="edges: the tasks 0 -> 3 -> 5 -> 0 wait for each other"):
        JobGraph("ring", np.ones((6, 1), int), edges, [0] * 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "a name is one line"),
        ({"name": "a\nb"}, "a name is one line"),
        ({"execution_time": [[3, 5], [-1, -1], [0, 1]]}, r"execution_time\[1\]: the task can run on no PE"),
        ({"execution_time": [[3, 5], [-1, -2], [0, 1]]}, r"execution_time\[1\]\[1\]: -2"),
        ({"execution_time": [[3, MAX_TIME + 1], [-1, 2], [0, 1]]}, r"execution_time\[0\]\[1\]: 268435457"),
        ({"execution_time": [[3, 5], [2], [0, 1]]}, "execution_time is not a rectangular array"),
        ({"execution_time": [[3, 5.5], [1, 2], [0, 1]]}, "execution_time must hold .* got float64"),
        ({"execution_time": [[True, True]] * 3}, "execution_time must hold .* got bool"),
        ({"execution_time": np.ones((3, 0), int)}, "3 tasks on 0 PEs"),
        ({"execution_time": np.ones((0, 2), int)}, "0 tasks on 2 PEs"),
        ({"execution_time": np.broadcast_to(np.int8(1), (2, MAX_CELLS))}, "execution_time must hold at most"),
        ({"execution_time": np.broadcast_to(np.int8(1), (MAX_TASKS + 1, 1))}, "100001 tasks"),
        ({"edges": [[0, 1], [0, 3]]}, r"edges\[1\]: 0 -> 3 leaves the tasks 0 to 2"),
        ({"edges": [[-1, 1], [0, 2]]}, r"edges\[0\]: -1 -> 1 leaves"),
        ({"edges": [[0, 1], [2, 2]]}, r"edges\[1\]: task 2 cannot precede itself"),
        ({"edges": [[0, 1], [0, 1]]}, r"edges\[1\]: 0 -> 1 is there already"),
        ({"edges": [[0, 1]]}, r"edges: shape \(1, 2\) does not go with volume \(2,\)"),
        ({"edges": [[0, 1, 2], [0, 2, 3]]}, "edges: shape"),
        ({"volume": [1, -1]}, r"volume\[1\]: -1 is not"),
        ({"volume": [1, 2**70]}, "volume must hold"),
        ({"edges": np.array([[0, 1], [0, 2**63 + 1]], dtype=np.uint64)}, r"edges\[1\]: 0 -> .* leaves"),
    ],
)
def test_nonsense_is_refused(changes, message):
    with pytest.raises(InstanceError, match=message):
        small(**changes)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32), st.integers(1, 30))
def test_the_slowest_pairs_decide_every_longest_transfer(elements, seed, most):
    rng = np.random.default_rng(seed)
    latency = rng.integers(0, most, (elements, elements))
    bandwidth = rng.integers(1, most + 1, (elements, elements))
    volume = rng.integers(0, 100, 5)
    pairs = [(p, q) for p in range(elements) for q in range(elements) if p != q]
    expected = [max([latency[pq] + -(-v // bandwidth[pq]) for pq in pairs], default=0) for v in volume]
    assert longest_transfers(volume, *slowest_pairs(latency, bandwidth)) == sum(expected)
