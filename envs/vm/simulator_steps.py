"""Moves in two steps, as published with VMR2L (Ding et al. 2025): which VM, and then which node it goes to.

Actions are the VMs, for the first step, then the nodes, for the second one, then eviction, then stopping. What is
known of a VM as a candidate is found anew only where something has changed.
"""

import warp as wp

from .simulator_class import both_gains, leaving_gain, write
from .simulator_cluster import fits, left, may_go
from .simulator_events import may_evict
from .simulator_start import clear_actions
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
def note_room(s: State, i: int, f: int, was: bool, now: bool):
    """Count that a place had room for VMs of flavor f, and whether it has it now."""
    if was != now:
        before = s.flavor_rooms[i, f]
        after = before + int(now) - int(was)
        s.flavor_rooms[i, f] = after
        if wp.min(before, after) < 2:
            s.flavor_news[i, f] = 1


@wp.func
def had_room(s: State, i: int, n: int, cores: int, memory: int):
    """Whether so much was free on node n when its places were counted."""
    return s.counted_cores[i, n] >= cores and s.counted_memory[i, n] >= memory


@wp.func
def has_room(s: State, i: int, n: int, cores: int, memory: int):
    """Whether so much is free on node n."""
    return s.free_cores[i, n] >= cores and s.free_memory[i, n] >= memory


@wp.func
def count_rooms(s: State, i: int, h: int):
    """Count anew which flavors host h has room for."""
    b = s.instance[i]
    n = 2 * h
    f = int(0)
    flavors = s.flavors[b]
    while f < flavors:
        v = s.flavor_vm[b, f]
        cores = s.need_cores[b, v]
        memory = s.need_memory[b, v]
        was = had_room(s, i, n, cores, memory)
        now = has_room(s, i, n, cores, memory)
        other_was = had_room(s, i, n + 1, cores, memory)
        other_now = has_room(s, i, n + 1, cores, memory)
        if s.doubled[b, v] == 1:
            note_room(s, i, f, was and other_was, now and other_now)
        else:
            note_room(s, i, f, was, now)
            note_room(s, i, f, other_was, other_now)
        f += 1
    for side in range(2):
        s.counted_cores[i, n + side] = s.free_cores[i, n + side]
        s.counted_memory[i, n + side] = s.free_memory[i, n + side]


@wp.func
def find_room(s: State, i: int, f: int):
    """The first place that has room for VMs of flavor f."""
    b = s.instance[i]
    v = s.flavor_vm[b, f]
    found = int(-1)
    n = int(0)
    stride = 1 + s.doubled[b, v]
    last = 2 * s.hosts[b]
    while n < last and found < 0:
        if fits(s, i, v, n) and (s.constraints == 0 or s.drained[b, n // 2] == 0):
            found = n
        n += stride
    return found


@wp.func
def may_be_chosen(s: State, i: int, v: int):
    """Whether there is anything to choose for VM v."""
    b = s.instance[i]
    good = bool(False)
    if is_free_to_go(s, i, v):
        f = s.flavor[b, v]
        good = s.flavor_rooms[i, f] > 1
        if s.flavor_rooms[i, f] == 1:
            good = s.flavor_room[i, f] != s.place[i, v]
        if good and s.constraints == 1 and s.conflict_first[b, v + 1] > s.conflict_first[b, v]:
            good = has_place(s, i, v)
        if not good and s.task == PACK:
            good = may_evict(s, i, v)
    return good


@wp.func
def refresh_vm(s: State, i: int, v: int):
    """What may have changed of VM v as an action, and whether it is one."""
    n = s.place[i, v]
    may = wp.int8(may_be_chosen(s, i, v))
    s.may_count[i] = s.may_count[i] + int(may) - int(s.may[i, v])
    s.may[i, v] = may
    s.source[i, v] = n
    s.kind[i, v] = int(n < 0)
    s.source_gain[i, v] = leaving_gain(s, i, v)


@wp.func
def refresh_node(s: State, i: int, n: int):
    """The movable VMs of node n as actions."""
    v = int(s.node_vm[i, n])
    while v >= 0:
        refresh_vm(s, i, v)
        v = s.vm_next[i, v]


@wp.func
def refresh_flavors(s: State, i: int, all: bool):
    """Find the only rooms of flavors, and refresh VMs where there was news of their room; with ``all`` not the VMs."""
    b = s.instance[i]
    f = int(0)
    flavors = s.flavors[b]
    while f < flavors:
        if s.flavor_news[i, f] == 1:
            s.flavor_news[i, f] = 0
            if s.flavor_rooms[i, f] == 1:
                s.flavor_room[i, f] = find_room(s, i, f)
            k = int(s.member_first[b, f])
            last = s.member_first[b, f + 1]
            while k < last and not all:
                refresh_vm(s, i, s.member[b, k])
                k += 1
        f += 1


@wp.func
def refresh_vms(s: State, i: int):
    """Bring what is known of VMs as actions up to date: where hosts, and the rooms of flavors, have changed."""
    b = s.instance[i]
    all = s.changed_count[i] == s.hosts[b] or s.task == PACK
    all = all or (s.weight_memory > 0 and s.task == DYNAMIC)  # gains depend on all free memory, which then changes
    all = all or (s.constraints == 1 and s.conflict_first[b, s.vms[b]] > 0)
    k = int(0)
    while k < s.changed_count[i]:
        h = s.changed[i, k]
        if s.constraints == 0 or s.drained[b, h] == 0:
            count_rooms(s, i, h)
        k += 1
    refresh_flavors(s, i, all)
    k = int(0)
    while k < s.changed_count[i]:
        h = s.changed[i, k]
        s.key_of_node[i, 2 * h] = 0
        s.key_of_node[i, 2 * h + 1] = 0
        if not all:
            refresh_node(s, i, 2 * h)
            refresh_node(s, i, 2 * h + 1)
        k += 1
    s.changed_count[i] = 0
    v = int(0)
    vms = s.vms[b]
    while v < vms and all:
        refresh_vm(s, i, v)
        v += 1


@wp.func
def offer_vms(s: State, i: int):
    """The first step: offer every VM that may go somewhere."""
    b = s.instance[i]
    refresh_vms(s, i)
    vms = s.vms[b]
    mask = s.action_mask[i, 0:vms]
    may = s.may[i, 0:vms]
    v = int(0)
    while v < vms:
        mask[v] = may[v]
        v += 1
    s.offered[i] = s.may_count[i]
    if s.may_count[i] > 0:
        v -= 1
        while s.may[i, v] == wp.int8(0):
            v -= 1
        s.only[i] = v
    first = s.place.shape[1]
    clear_actions(s, i, first, first + 2 * s.hosts[b])
    s.action_mask[i, s.action_mask.shape[1] - 2] = wp.int8(0)


@wp.func
def offer_nodes(s: State, i: int):
    """The second step: offer every node that the chosen VM may go to."""
    b = s.instance[i]
    v = s.chosen[i]
    clear_actions(s, i, 0, s.vms[b])
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
