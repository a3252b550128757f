"""Random clusters: virtual machines go where the rule says, and the result is fragmented as real clusters are."""

import numpy as np
import pytest

from dispatchgym.envs.vm.flavors import COMPUTE, GENERAL, NODE_CORES, NODE_MEMORY
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.snapshot import Cluster, draw_cluster

BEST_FIT, SCATTERED = 0.0, 1.0


def cluster(free, scatter=BEST_FIT, seed=0):
    """A cluster with so many free cores on its nodes, (hosts, 2), and nothing else known of it."""
    made = Cluster(len(free), COMPUTE, scatter, np.random.default_rng(seed))
    made.free[:] = free
    return made


@pytest.mark.parametrize("flavors", [COMPUTE, GENERAL])
def test_flavors(flavors):
    assert flavors.share.sum() == pytest.approx(1)
    assert (flavors.cores % flavors.numas == 0).all() and (flavors.cores // flavors.numas <= NODE_CORES).all()
    # A node never runs out of memory before its cores, so that placing by cores alone is enough.
    assert (flavors.memory * NODE_CORES <= NODE_MEMORY * flavors.cores).all()


def test_counts_of_the_real_mappings():
    assert (COMPUTE.share * 2089).round().astype(int).tolist() == [337, 906, 3, 311, 57, 184, 46, 61, 50, 130, 4]
    assert (GENERAL.share * 3000).round().astype(int).tolist() == [604, 359, 390, 871, 267, 394, 104, 11]


def test_best_fit():
    made = cluster([[9, 8], [44, 7], [30, 8]])
    assert made._single(8) == 1  # the lowest of two nodes with 8
    assert made._single(9) == 0 and made._single(31) == 2 and made._single(45) == -1
    assert made._double(14) == 0  # 17 free cores in all; the second host has 51 and the third 38
    assert made._double(16) == 0 and made._double(18) == -1
    assert cluster([[20, 20], [44, 7], [10, 29]])._double(20) == 4


def test_scattered():
    made = cluster([[9, 8], [44, 7], [7, 7], [8, 30]], SCATTERED)
    assert {made._single(8) for _ in range(200)} == {1, 2, 6}  # of each host with room, the fuller node that has it
    assert {made._single(9) for _ in range(200)} == {0, 2, 7}
    assert {made._double(14) for _ in range(200)} == {0, 2, 4, 6} and {made._double(16) for _ in range(200)} == {0, 6}
    assert made._single(45) == made._double(88) == -1
    hosts = np.bincount([made._double(14) // 2 for _ in range(4000)])
    assert hosts.min() > 900  # 1000 expected of each, 4 standard deviations are 110


def test_adding_and_removing_keep_count():
    made = Cluster(5, COMPUTE, 0.5, np.random.default_rng(1))
    made.fill(0.7)
    taken = made.taken
    assert 0.7 * 440 <= taken < 0.7 * 440 + 88 and made.free.sum() == 440 - taken
    made.replace(30)
    assert made.taken == sum(made.sizes[flavor][0] for flavor, _ in made.vms) == 440 - made.free.sum()
    while made.vms:
        made.remove(0)
    assert made.taken == 0 and (made.free == NODE_CORES).all()
    made.replace(1)
    assert len(made.vms) == 1
    made.fill(1.0)
    assert made.free.min() >= 0


def fractions(preset, seeds):
    """Means over instances: fragment rate, nodes without free cores, loads of hosts, VMs, cores taken."""
    rows = []
    for seed in seeds:
        instance = preset_instance(preset, seed)
        free = instance.free_cores
        load = 1 - free.sum(axis=1) / instance.node_cores.sum(axis=1)
        below = [(load < edge - 1e-9).mean() for edge in (0.2, 0.6, 0.8, 0.9)]
        used = 1 - free.sum() / instance.node_cores.sum()
        rows.append(
            [(free % 16).sum() / free.sum(), (free == 0).mean(), (load > 0.8).mean(), instance.vms, used, *below]
        )
    names = ("rate", "full", "above_80", "vms", "used", "below_20", "below_60", "below_80", "below_90")
    return dict(zip(names, np.mean(rows, axis=0), strict=True))


def test_medium_is_like_the_real_mapping():
    found = fractions("medium", range(32))  # the rate of one has a standard deviation of 0.055
    assert found["rate"] == pytest.approx(0.572, abs=0.03)
    assert found["full"] == pytest.approx(0.734, abs=0.05)
    assert found["above_80"] == pytest.approx(0.894, abs=0.05)
    assert found["vms"] == pytest.approx(2255, rel=0.05)
    assert found["used"] == pytest.approx(0.943, abs=0.005)


@pytest.mark.parametrize(
    ("preset", "loads"),
    [
        ("medium-low", {"below_20": 0.35, "below_60": 0.75}),
        ("medium-mid", {"below_20": 0.08, "below_60": 0.42, "below_90": 0.70}),
        ("medium-high", {"below_80": 0.19, "below_90": 0.32}),
    ],
)
def test_loads_are_like_those_of_the_workloads(preset, loads):
    found = fractions(preset, range(8))
    assert {name: found[name] for name in loads} == pytest.approx(loads, abs=0.04)


def test_multi_is_like_the_real_mapping():
    found = fractions("multi", range(8))
    assert found["rate"] == pytest.approx(0.490, abs=0.03)
    assert found["vms"] == pytest.approx(3000 * 280 / 1264, rel=0.05)
    assert found["used"] == pytest.approx(0.568, abs=0.03)


def test_scatter_makes_fragments():
    def rate(scatter):
        rng = np.random.default_rng(0)
        free = [VMInstance("x", **draw_cluster(100, COMPUTE, 0.943, scatter, rng)).free_cores for _ in range(5)]
        return np.mean([(f % 16).sum() / f.sum() for f in free])

    assert rate(0.0) < 0.45 < rate(0.6) < 0.75 < rate(1.0)
