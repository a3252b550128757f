"""Random conflicts keep a virtual machine from as many hosts as asked for."""

import numpy as np
import pytest

from dispatchgym.envs.vm import conflicts
from dispatchgym.envs.vm.conflicts import draw_conflicts, pair_probability
from dispatchgym.envs.vm.generator import preset_instance


def kept_from(instance):
    """Mean share of the other hosts on which a VM has a member of a group of its own."""
    host = instance.node // 2
    table = np.zeros((instance.vms, instance.hosts), dtype=bool)
    for _, (a, b) in instance.groups:
        table[a, host[b]] = table[b, host[a]] = True
    return table.sum() / (instance.vms * (instance.hosts - 1))


@pytest.mark.parametrize("percent", [0, 2, 15, 50])
def test_presets_keep_vms_from_so_many_hosts(percent):
    instances = [preset_instance(f"affinity-60-{percent}", seed) for seed in range(3)]
    assert np.mean([kept_from(instance) for instance in instances]) == pytest.approx(percent / 100, abs=0.01)
    for instance in instances:
        host = instance.node // 2
        pairs = [members for scope, members in instance.groups if scope == "host"]
        assert len(pairs) == len(instance.groups) == len(set(pairs))
        assert all(a < b and host[a] != host[b] for a, b in pairs)


def test_pairs_that_share_a_host_are_dropped():
    rng = np.random.default_rng(0)
    groups = draw_conflicts(np.array([0, 1, 2, 3, -2 + 6]), 3, 0.999, rng)  # hosts 0 0 1 1 2
    assert groups == tuple(("host", pair) for pair in [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4)])


def test_probability():
    assert pair_probability(np.array([1, 1, 1]), 0.0) == pytest.approx(0, abs=1e-8)
    assert pair_probability(np.array([2, 2]), 0.75) == pytest.approx(0.5)
    assert pair_probability(np.array([2, 1, 0]), 0.5) == pytest.approx((3 - 3**0.5) / 2)  # q + q**2 = 0.5
    assert pair_probability(np.array([1, 0]), 0.6) == 1.0  # one of the hosts is empty


def test_pairs_are_numbered_row_by_row():
    class Every:
        """Gaps of one: every pair there is."""

        def geometric(self, probability, count):
            return np.ones(count, dtype=np.int64)

    first, second = conflicts._pairs(5, 0.5, Every())
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [
        (a, b) for a in range(5) for b in range(a + 1, 5)
    ]
    assert [len(part) for part in conflicts._pairs(1, 0.5, Every())] == [0, 0]
    assert [len(part) for part in conflicts._pairs(5, 0.0, Every())] == [0, 0]


def test_each_pair_has_the_same_probability():
    rng = np.random.default_rng(3)
    counts = np.zeros((6, 6), dtype=int)
    for _ in range(4000):
        counts[conflicts._pairs(6, 0.2, rng)] += 1
    drawn = counts[np.triu_indices(6, 1)]
    assert (abs(drawn - 800) < 110).all() and drawn.sum() == counts.sum()  # 4 standard deviations
