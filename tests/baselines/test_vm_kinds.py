"""What is counted together is alike, and memory is left out only where it cannot run out."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_kinds import kinds_of, memory_nodes, rooms
from dispatchgym.baselines.vm_problem import UNPLACED, Cluster


@given(seed=st.integers(0, 10_000))
def test_memory_cannot_run_out_where_no_row_is_asked_for(tight_cluster, seed):
    cluster = Cluster(tight_cluster(np.random.default_rng(seed), memory=True, rules=True))
    vms = [vm for vm in range(len(cluster.node)) if cluster.movable[vm]]
    binding = memory_nodes(cluster, vms)
    room, memory = rooms(cluster, vms)
    for node in range(len(room)):
        sets = (some for size in range(len(vms) + 1) for some in combinations(vms, size))
        runs_out = any(
            sum(cluster.cores[vm] for vm in some) <= room[node]
            and sum(cluster.memory[vm] for vm in some) > memory[node]
            for some in sets
        )
        assert node in binding or not runs_out


def test_the_flavors_of_the_data_never_run_out_of_memory():
    from dispatchgym.envs.vm.generator import preset_instance

    for preset in ("hosts-30", "affinity-50-15"):
        cluster = Cluster(preset_instance(preset, 0))
        assert memory_nodes(cluster, range(len(cluster.node))) == set()


@given(seed=st.integers(0, 10_000), by_memory=st.booleans())
def test_kinds_are_a_partition_of_vms_that_are_alike(tight_cluster, seed, by_memory):
    rng = np.random.default_rng(seed)
    cluster = Cluster(tight_cluster(rng, vms=9))
    vms = range(len(cluster.node))
    apart = {0}
    kinds = kinds_of(cluster, vms, by_memory, apart)
    assert sorted(vm for kind in kinds for vm in kind.members) == list(vms)
    for kind in kinds:
        assert kind.alone == (kind.members == (0,) and 0 in apart)
        assert {(cluster.cores[vm], cluster.double[vm]) for vm in kind.members} == {(kind.cores, kind.double)}
        assert {cluster.memory[vm] if by_memory else 0 for vm in kind.members} == {kind.memory}
    keys = [(kind.cores, kind.memory, kind.double) for kind in kinds if not kind.alone]
    assert len(keys) == len(set(keys))


def test_rooms_are_what_is_left_when_all_are_gone(tight_cluster):
    cluster = Cluster(tight_cluster(np.random.default_rng(2)))
    vms = range(len(cluster.node))
    room = rooms(cluster, vms)
    for vm in vms:
        cluster.put(vm, UNPLACED)
    assert room == (cluster.free_cores, cluster.free_memory)
