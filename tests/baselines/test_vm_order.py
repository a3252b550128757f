"""An order is found wherever there is one, and what it gives is legal move by move."""

from collections import Counter
from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_order import Stream, order_moves, order_streams
from dispatchgym.baselines.vm_problem import Cluster
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.vm.instance import VMInstance


def singles(capacity: list[int], vms: list[tuple[int, int]]) -> Cluster:
    """Single VMs, given by cores and node, on nodes with so many cores."""
    cores, node = np.array(vms).T
    memory = np.full((len(capacity) // 2, 2), 1000)
    hosts = np.array(capacity).reshape(-1, 2)
    return Cluster(VMInstance("singles", hosts, memory, cores, np.zeros_like(cores), np.ones_like(cores), node))


def playable(cluster: Cluster, moves) -> bool:
    try:
        cluster.copy().play(moves)
    except ScheduleError:
        return False
    return True


@given(seed=st.integers(0, 10_000), rules=st.booleans())
def test_there_is_an_order_where_some_permutation_is_one(tight_cluster, seed, rules):
    rng = np.random.default_rng(seed)
    cluster = Cluster(tight_cluster(rng, hosts=2, rules=rules))
    vms = [vm for vm in range(len(cluster.node)) if cluster.movable[vm]]
    chosen = rng.permutation(vms)[:4].tolist()
    targets = {vm: int(rng.integers(len(cluster.free_cores))) // 2 * 2 for vm in chosen}
    order, left = order_moves(cluster, targets)
    real = [(vm, node) for vm, node in targets.items() if node != cluster.node[vm]]
    assert playable(cluster, order.moves)
    assert order.complete == any(playable(cluster, moves) for moves in permutations(real)) == (not left)
    assert sorted([*order.moves, *left.items()]) == sorted(real)
    assert order.complete != order.exhausted


def test_what_frees_room_goes_first():
    cluster = singles([8, 8, 8, 8], [(8, 0), (8, 1), (8, 2)])
    order, left = order_moves(cluster, {0: 1, 1: 2, 2: 3})
    assert order.moves == ((2, 3), (1, 2), (0, 1)) and not left


def test_a_circle_is_reported():
    cluster = singles([8, 8, 8, 8], [(8, 0), (8, 1), (2, 2)])
    order, left = order_moves(cluster, {0: 1, 1: 0, 2: 3})
    assert order.moves == ((2, 3),) and order.exhausted and left == {0: 1, 1: 0}


def test_a_move_that_comes_too_early_may_spoil_the_order():
    # node 0 has room for 4: if VM 0 goes there first, VM 1 cannot, and nobody leaves
    cluster = singles([8, 4, 4, 4, 6, 6], [(4, 1), (4, 2), (4, 0), (6, 4)])
    order, _ = order_moves(cluster, {0: 0, 1: 0, 2: 2})
    assert order.complete and order.moves[0] == (1, 0)


def test_vms_that_are_alike_share_their_targets():
    # VM 0 cannot go to node 3 before VM 1 has left node 2, and the other way round; but either may go to node 4
    cluster = singles([8, 0, 8, 0, 8, 8], [(8, 0), (8, 2)])
    stream = Stream({0: [0], 2: [1]}, Counter([0, 2]), Counter([2, 4]))
    order = order_streams(cluster, [stream])
    assert order.complete and playable(cluster, order.moves)
    assert sorted(node for _, node in order.moves) == [2, 4]


def test_it_gives_up_after_some_steps_with_what_it_has():
    # sixteen VMs that would need a seventeenth place, and one that can go
    capacity, vms = [4] * 18, [(4, node) for node in range(16)] + [(2, 16)]
    cluster = singles(capacity, vms)
    targets = {vm: (vm + 1) % 16 for vm in range(16)} | {16: 17}
    order, left = order_moves(cluster, targets, steps=3)
    assert order.moves == ((16, 17),) and len(left) == 16
    assert cluster.node == [node for _, node in vms]
