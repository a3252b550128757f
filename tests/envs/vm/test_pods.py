"""Pod packing: the requests fill the nodes, the scheduler spreads them, and some are left over."""

import numpy as np
import pytest

from dispatchgym.envs.vm import pods
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance


@pytest.mark.parametrize(("nodes", "each"), [(2, 2), (4, 4), (16, 8), (40, 3)])
def test_requests_fill_the_nodes(nodes, each):
    for seed in range(5):
        instance = preset_instance(f"pods-{nodes}x{each}", seed)
        assert (instance.hosts, instance.vms, instance.objective) == (nodes, nodes * each, "penalty")
        assert (instance.numas == 2).all() and not (instance.memory % 2).any()
        assert len(set(map(tuple, instance.node_cores.tolist()))) == 1  # all nodes and both halves are alike
        capacity = instance.node_cores.sum()
        assert instance.cores.sum() <= capacity < instance.cores.sum() + 2 * nodes
        size = instance.node_memory.sum()
        assert instance.memory.sum() <= size < instance.memory.sum() + 2 * nodes * pods.CHUNK
        assert (instance.node < 0).any() and (instance.node >= 0).any()


def test_priorities_and_replicas():
    instance = preset_instance("pods-50x8", 0)
    assert sorted(set(instance.priority.tolist())) == [0, 1, 2, 3]
    assert set((instance.cores // 2).tolist()) == set(range(2, 21))
    kinds = list(zip(instance.cores.tolist(), instance.memory.tolist(), instance.priority.tolist(), strict=True))
    runs = np.diff(np.flatnonzero([True, *(a != b for a, b in zip(kinds, kinds[1:], strict=False)), True]))
    assert set(runs.tolist()) == {1, 2, 3, 4}


def test_pods_go_where_most_is_left():
    free = np.array([[10, 10], [10, 10], [8, 20]])
    request = np.array([[4, 2], [1, 1], [6, 6], [6, 6], [6, 6], [4, 4], [2, 1]])
    # The first would leave as much of node 0 as of node 1, the second 0.9 of node 1 and 0.9125 of node 2, and so on.
    assert pods._spread(request, free.copy()).tolist() == [0, 4, 2, 4, 0, 2, -1]


def test_a_pod_that_fits_in_one_resource_only_is_left_over():
    assert pods._spread(np.array([[1, 9]]), np.array([[9, 8], [9, 9]])).tolist() == [2]
    assert pods._spread(np.array([[9, 1], [1, 1]]), np.array([[8, 9], [8, 9]])).tolist() == [-1, 0]


def test_someone_is_left_over_even_if_all_fit(monkeypatch):
    monkeypatch.setattr(pods, "_spread", lambda request, free: np.zeros(len(request), int))
    drawn = pods.draw_pods(2, 2, np.random.default_rng(0))
    assert drawn["node"].tolist() == [0, 0, 0, -1]
    drawn["node"][:] = -1
    assert VMInstance("x", **drawn).pack
