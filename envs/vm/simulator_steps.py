"""Moves in two steps, as published with VMR2L (Ding et al. 2025): which VM, and then which node it goes to.

The first A - 1 actions are VMs in the first step and nodes in the second one; where VMs can be evicted, the action
after the nodes does it.
"""

import warp as wp

from .simulator_class import write
from .simulator_cluster import fits, left, may_go
from .simulator_events import may_evict
from .simulator_state import PACK, State


@wp.func
def has_place(s: State, i: int, v: int):
    """Whether VM v may go anywhere."""
    found = bool(False)
    n = int(0)
    last = 2 * s.hosts[s.instance[i]]
    while n < last and not found:
        if may_go(s, i, v, n):
            found = bool(True)
        n += 1
    return found


@wp.func
def is_free_to_go(s: State, i: int, v: int):
    """Whether VM v may be chosen, wherever it may go."""
    b = s.instance[i]
    result = s.movable[b, v] == 1 and s.place[i, v] >= 0 and left(s, i) > 0
    if s.task == PACK and s.place[i, v] < 0:
        result = bool(True)
    return result


@wp.func
def rooms(s: State, i: int, f: int):
    """At how many places a VM of flavor f fits, constraints aside; the first few are enough to know."""
    b = s.instance[i]
    v = s.flavor_vm[b, f]
    count = int(0)
    n = int(0)
    stride = 1 + s.doubled[b, v]
    last = 2 * s.hosts[b]
    while n < last and count < 2:
        count += int(fits(s, i, v, n) and (s.constraints == 0 or s.drained[b, n // 2] == 0))
        n += stride
    return count


@wp.func
def offer_vms(s: State, i: int):
    """The first step: offer every VM that may go somewhere."""
    b = s.instance[i]
    for f in range(s.flavors[b]):
        s.flavor_rooms[i, f] = rooms(s, i, f)
    for v in range(s.vms[b]):
        if is_free_to_go(s, i, v):
            f = s.flavor[b, v]
            good = s.flavor_rooms[i, f] > 1
            if not good and s.flavor_rooms[i, f] == 1:
                good = has_place(s, i, v)  # the only room may be where it is
            if good and s.constraints == 1 and s.conflict_first[b, v + 1] > s.conflict_first[b, v]:
                good = has_place(s, i, v)
            if not good and s.task == PACK:
                good = may_evict(s, i, v)
            if good:
                write(s, i, v, v, -1, int(s.place[i, v] < 0))


@wp.func
def offer_nodes(s: State, i: int):
    """The second step: offer every node that the chosen VM may go to."""
    b = s.instance[i]
    v = s.chosen[i]
    stride = 1 + s.doubled[b, v]
    n = int(0)
    while n < 2 * s.hosts[b]:
        if may_go(s, i, v, n):
            write(s, i, n, v, n, int(s.place[i, v] < 0))
        n += stride
    if s.task == PACK:
        if may_evict(s, i, v):
            write(s, i, s.node_cores.shape[1], v, -1, 2)
