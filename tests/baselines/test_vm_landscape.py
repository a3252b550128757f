"""Gains are what really changes, and the moves offered are the legal ones, the best first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_landscape import Landscape, best_pairs
from dispatchgym.baselines.vm_problem import Cluster

MIXED = {"weight_64": 30, "weight_memory": 30, "mnl": 9}


@given(seed=st.integers(0, 10_000), mixed=st.booleans(), judged=st.booleans())
def test_moves_are_all_that_is_legal_with_what_they_gain(tight_cluster, statement, seed, mixed, judged):
    instance = tight_cluster(np.random.default_rng(seed), memory=True, rules=True)
    conditions = (MIXED if mixed else {"mnl": 9}) | {"constraints": judged}
    cluster, state = Cluster(instance, conditions), Landscape(Cluster(instance, conditions))
    offered = list(state.moves())
    assert [gain for gain, *_ in offered] == sorted((gain for gain, *_ in offered), reverse=True)
    before = cluster.rate()
    for gain, vm, node in offered:
        assert cluster.legal(vm, node) and state.legal(vm, node)
        after = cluster.copy()
        after.put(vm, node)
        assert before - after.rate() == pytest.approx(gain / state.scale, abs=1e-12)
    kinds = {(state.kind[vm], instance.node[vm], node) for _, vm, node in offered}
    assert len(kinds) == len(offered)
    legal = {
        (state.kind[vm], instance.node[vm], node)
        for vm in range(instance.vms)
        for node in statement(instance, conditions).targets(tuple(instance.node.tolist()), vm)
    }
    assert kinds == legal


@given(seed=st.integers(0, 10_000))
def test_a_state_follows_its_moves(tight_cluster, seed):
    rng = np.random.default_rng(seed)
    instance = tight_cluster(rng, memory=True)
    cluster, state = Cluster(instance, MIXED), Landscape(Cluster(instance, MIXED))
    start, rate = state.value(), cluster.rate()
    for _ in range(4):
        offered = list(state.moves())
        if not offered:
            break
        _, vm, node = offered[int(rng.integers(len(offered)))]
        before = state.copy()
        state.move(vm, node)
        cluster.put(vm, node)
        assert before.node[vm] != node and before.free is not state.free
    assert state.free.reshape(-1, 2).T.tolist() == [cluster.free_cores, cluster.free_memory]
    assert state.node.tolist() == cluster.node
    assert (state.value() - start) / state.scale == pytest.approx(rate - cluster.rate(), abs=1e-12)
    fresh = Landscape(cluster)
    assert (fresh.count == state.count).all()
    assert all((a == b).all() for a, b in zip(fresh.gains(), state.gains(), strict=True))


@given(seed=st.integers(0, 10_000))
def test_exchanges_gain_what_they_say(tight_cluster, seed):
    instance = tight_cluster(np.random.default_rng(seed), vms=5)
    cluster = Cluster(instance)
    state = Landscape(cluster)
    for direct in (True, False):
        for gain, (kind, source), (other, node) in state.exchanges(direct):
            one, two = state.present(kind, source)[0], state.present(other, node)[0]
            after = cluster.copy()
            after.put(two, source)
            assert not direct or min(after.free_cores) >= 0  # the second finds room beside the first
            after.put(one, node)
            assert min(after.free_cores) >= 0
            assert cluster.rate() - after.rate() == pytest.approx(gain / state.scale, abs=1e-12)


def test_only_some_hosts_may_be_open(tight_cluster):
    instance = tight_cluster(np.random.default_rng(4))
    offered = list(Landscape(Cluster(instance), hosts=[0, 2]).moves())
    assert offered
    assert all({int(instance.node[vm]) // 2, node // 2} <= {0, 2} for _, vm, node in offered)


def test_pairs_come_by_their_sums():
    first, second = np.array([3.0, -np.inf, 1.0, 2.0]), np.array([0.0, 5.0, -np.inf, 4.0])
    pairs = list(best_pairs(first, second))
    assert pairs == [(7.0, 0, 3), (7.0, 3, 1), (6.0, 2, 1), (2.0, 3, 0), (1.0, 2, 0)]


def test_a_potential_prefers_what_is_nearly_a_slot():
    from dispatchgym.envs.vm.instance import VMInstance

    instance = VMInstance("near", [[20, 26], [30, 20]], np.full((2, 2), 99), [4, 10], [1, 1], [1, 1], [0, 1])
    state = Landscape(Cluster(instance))
    values = state.worth(state.free)
    assert values.tolist() == [16 * 100 * 2, 16 * 100 * 2]  # 16 and 16 cores free; 30 and 20
    assert state.worth(state.free, 0.3)[1] == pytest.approx(1600 * (2 + 0.3 * ((14 / 16) ** 2 + (4 / 16) ** 2)))
