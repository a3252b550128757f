"""Moves in two steps, as published with VMR2L (Ding et al. 2025): which VM, and then which node it goes to.

Actions are the VMs, for the first step, then the nodes, for the second one, then eviction, then stopping. What is
known of a VM as a candidate is found anew only where something has changed.
"""

import warp as wp

from .simulator_class import both_gains, leaving_gain, write
from .simulator_cluster import fits, left, may_go
from .simulator_events import may_evict
from .simulator_state import DYNAMIC, PACK, State


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
def may_be_chosen(s: State, i: int, v: int):
    """Whether there is anything to choose for VM v."""
    b = s.instance[i]
    good = bool(False)
    if is_free_to_go(s, i, v):
        rooms_of_flavor = s.flavor_rooms[i, s.flavor[b, v]]
        good = rooms_of_flavor > 1
        if rooms_of_flavor == 1 or (s.constraints == 1 and s.conflict_first[b, v + 1] > s.conflict_first[b, v]):
            good = has_place(s, i, v)  # the only room may be where it is
        if not good and s.task == PACK:
            good = may_evict(s, i, v)
    return good


@wp.func
def refresh_vm(s: State, i: int, v: int):
    """The columns of VM v as an action, and whether it is one."""
    b = s.instance[i]
    n = s.place[i, v]
    s.may[i, v] = wp.int8(may_be_chosen(s, i, v))
    s.vm[i, v] = v
    s.node[i, v] = -1
    s.source[i, v] = n
    s.cores[i, v] = s.need_cores[b, v]
    s.gain[i, v] = 0
    s.room[i, v] = 0
    s.length[i, v] = 1
    s.megabytes[i, v] = s.memory[b, v]
    s.waste[i, v] = 0
    s.harm[i, v] = 0
    s.importance[i, v] = s.level[b, v]
    s.kind[i, v] = int(n < 0)
    s.source_gain[i, v] = leaving_gain(s, i, v)


@wp.func
def refresh_flavor(s: State, i: int, f: int):
    """The VMs of flavor f as actions."""
    b = s.instance[i]
    for k in range(s.member_first[b, f], s.member_first[b, f + 1]):
        refresh_vm(s, i, s.member[b, k])


@wp.func
def count_rooms(s: State, i: int):
    """Count the places of each flavor, and refresh its VMs where that has become another matter."""
    for f in range(s.flavors[s.instance[i]]):
        count = rooms(s, i, f)
        changed = count != s.flavor_rooms[i, f] or count == 1  # with one room it matters where it is
        s.flavor_rooms[i, f] = count
        if changed:
            refresh_flavor(s, i, f)


@wp.func
def refresh_node(s: State, i: int, n: int):
    """The movable VMs of node n as actions."""
    v = int(s.node_vm[i, n])
    while v >= 0:
        refresh_vm(s, i, v)
        v = s.vm_next[i, v]


@wp.func
def offer_vms(s: State, i: int):
    """The first step: offer every VM that may go somewhere."""
    b = s.instance[i]
    count_rooms(s, i)
    all = s.log_count[i] == 0 or s.task == PACK
    all = all or (s.weight_memory > 0 and s.task == DYNAMIC)  # gains depend on all free memory, which then changes
    all = all or (s.constraints == 1 and s.conflict_first[b, s.vms[b]] > 0)
    if all:
        for v in range(s.vms[b]):
            refresh_vm(s, i, v)
    for h in range(s.hosts[b]):
        if s.key_of_node[i, 2 * h] < 0 or s.key_of_node[i, 2 * h + 1] < 0:
            if not all:
                refresh_node(s, i, 2 * h)
                refresh_node(s, i, 2 * h + 1)
            s.key_of_node[i, 2 * h] = 0
            s.key_of_node[i, 2 * h + 1] = 0
    count = int(0)
    for v in range(s.vms[b]):
        may = s.may[i, v]
        s.action_mask[i, v] = may
        if may == wp.int8(1):
            count += 1
            s.only[i] = v
    s.offered[i] = count
    first = s.place.shape[1]
    for a in range(first, first + 2 * s.hosts[b]):
        s.action_mask[i, a] = wp.int8(0)
    s.action_mask[i, s.action_mask.shape[1] - 2] = wp.int8(0)


@wp.func
def offer_nodes(s: State, i: int):
    """The second step: offer every node that the chosen VM may go to."""
    b = s.instance[i]
    v = s.chosen[i]
    for u in range(s.vms[b]):
        s.action_mask[i, u] = wp.int8(0)
    cores = s.need_cores[b, v]
    memory = s.need_memory[b, v]
    stride = 1 + s.doubled[b, v]
    source_gain = leaving_gain(s, i, v)
    first = s.place.shape[1]
    last = 2 * s.hosts[b]
    n = int(0)
    while n < last:
        if s.free_cores[i, n] >= cores and s.free_memory[i, n] >= memory:
            if may_go(s, i, v, n):
                gain = both_gains(s, i, v, n, source_gain)
                write(s, i, first + n, v, n, int(s.place[i, v] < 0), source_gain, gain)
        n += stride
    if s.task == PACK:
        if may_evict(s, i, v):
            write(s, i, s.action_mask.shape[1] - 2, v, -1, 2, 0, 0)
