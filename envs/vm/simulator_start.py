"""The start of an episode: every VM where the instance says, and all that is counted from it.

What moves later change step by step is counted here from who is where. Loops count for themselves, here and wherever
many turns are made: those over a range are compiled to far slower code on the CPU.
"""

import warp as wp

from .simulator_cluster import note_change, update_need, wide_slots_of
from .simulator_state import MEMORY_SLOT, PACK, SLOT, VM, State


@wp.func
def clear_actions(s: State, i: int, first: int, last: int):
    """Make actions from ``first`` to before ``last`` illegal."""
    mask = s.action_mask[i, first:last]
    count = last - first
    a = int(0)
    while a < count:
        mask[a] = wp.int8(0)
        a += 1


@wp.func
def clear_episode(s: State, i: int):
    """Forget the last episode."""
    s.now[i] = 0
    s.next_event[i] = 0
    s.copied[i] = -1
    s.copied_to[i] = -1
    s.migrations[i] = 0
    s.evictions[i] = 0
    s.stale_moves[i] = 0
    s.rejected[i] = 0
    s.integral[i] = wp.int64(0)
    s.log_count[i] = 0
    s.chosen[i] = -1
    s.stamp[i] = 0
    k = int(0)
    keys = s.mark.shape[1]
    while k < keys:
        s.mark[i, k] = 0
        k += 1
    k = int(0)
    hashes = s.seen_stamp.shape[1]
    while k < hashes:
        s.seen_stamp[i, k] = 0
        k += 1
    clear_actions(s, i, 0, s.action_mask.shape[1])
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)


@wp.func
def clear_hosts(s: State, i: int):
    """Empty hosts."""
    b = s.instance[i]
    nodes = 2 * s.hosts[b]
    n = int(0)
    while n < nodes:
        s.free_cores[i, n] = s.node_cores[b, n]
        s.free_memory[i, n] = s.node_memory[b, n]
        s.touched[i, n] = 0
        s.node_vm[i, n] = -1
        flavors = s.flavor_count.shape[2]
        counts = s.flavor_count[i, n, 0:flavors]
        f = int(0)
        while f < flavors:
            counts[f] = 0
            f += 1
        small = s.small[i, n, 0:SLOT]
        size = int(0)
        while size < SLOT:
            small[size] = 0
            size += 1
        n += 1


@wp.func
def start_at(s: State, i: int, v: int, n: int):
    """VM v is at node n from the start."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    memory = s.need_memory[b, v]
    s.free_cores[i, n] = s.free_cores[i, n] - cores
    s.free_memory[i, n] = s.free_memory[i, n] - memory
    if s.doubled[b, v] == 1:
        s.free_cores[i, n + 1] = s.free_cores[i, n + 1] - cores
        s.free_memory[i, n + 1] = s.free_memory[i, n + 1] - memory
    if s.movable[b, v] == 1:
        f = s.flavor[b, v]
        s.flavor_count[i, n, f] = s.flavor_count[i, n, f] + 1
        s.vm_next[i, v] = s.node_vm[i, n]
        s.node_vm[i, n] = v
        if s.doubled[b, v] == 0 and cores < SLOT:
            s.small[i, n, cores] = s.small[i, n, cores] + 1


@wp.func
def place_all(s: State, i: int):
    """Put every VM where it is at the start, from the last to the first: each one is put before those listed."""
    b = s.instance[i]
    k = int(0)
    levels = s.unplaced.shape[1]
    while k < levels:
        s.unplaced[i, k] = 0
        k += 1
    v = s.vms[b] - 1
    while v >= 0:
        n = s.start_node[b, v]
        s.place[i, v] = n
        s.evicted[i, v] = 0
        if n >= 0:
            start_at(s, i, v, n)
        elif s.task == PACK:
            level = s.level[b, v]
            s.unplaced[i, level] = s.unplaced[i, level] + 1
        v -= 1


@wp.func
def count_all(s: State, i: int):
    """Count what is free, and the fragments of it; all hosts are news."""
    hosts = s.hosts[s.instance[i]]
    fragments = int(0)
    wide = int(0)
    free = int(0)
    scraps = wp.int64(0)
    memory = wp.int64(0)
    n = int(0)
    while n < 2 * hosts:
        fragments += s.free_cores[i, n] % SLOT
        free += s.free_cores[i, n]
        scraps += wp.int64(s.free_memory[i, n] % MEMORY_SLOT)
        memory += wp.int64(s.free_memory[i, n])
        update_need(s, i, n)
        s.key_of_node[i, n] = 0
        n += 1
    s.changed_count[i] = 0
    h = int(0)
    while h < hosts:
        wide += wide_slots_of(s, i, h)
        note_change(s, i, h)
        h += 1
    s.fragments[i] = fragments
    s.wide_slots[i] = wide
    s.memory_fragments[i] = scraps
    s.free_total[i] = free
    s.free_memory_total[i] = memory


@wp.func
def show_stopping(s: State, i: int):
    """The columns of the action to stop, which never change."""
    a = s.action_mask.shape[1] - 1
    s.vm[i, a] = -1
    s.node[i, a] = -1
    s.source[i, a] = -1
    s.cores[i, a] = 0
    s.gain[i, a] = 0
    s.source_gain[i, a] = 0
    s.room[i, a] = 0
    s.length[i, a] = 1
    s.megabytes[i, a] = 0
    s.harm[i, a] = 0
    s.waste[i, a] = 0
    s.importance[i, a] = -1
    s.kind[i, a] = 3
    s.action_class[i, a] = -1
    s.action_key[i, a] = -1


@wp.func
def show_vms(s: State, i: int):
    """Moves in two steps: the columns of VMs as actions that never change; how many places have room is not known."""
    b = s.instance[i]
    v = int(0)
    vms = s.vms[b]
    while v < vms:
        s.may[i, v] = wp.int8(0)
        s.vm[i, v] = v
        s.node[i, v] = -1
        s.source[i, v] = s.place[i, v]
        s.cores[i, v] = s.need_cores[b, v]
        s.megabytes[i, v] = s.memory[b, v]
        s.importance[i, v] = s.level[b, v]
        s.gain[i, v] = 0
        s.room[i, v] = 0
        s.length[i, v] = 1
        s.waste[i, v] = 0
        s.harm[i, v] = 0
        v += 1
    s.may_count[i] = 0
    f = int(0)
    while f < s.flavors[b]:
        s.flavor_rooms[i, f] = 0
        s.flavor_news[i, f] = 0
        f += 1
    n = int(0)
    while n < 2 * s.hosts[b]:
        s.counted_cores[i, n] = -1
        s.counted_memory[i, n] = -1
        n += 1


@wp.func
def start(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    clear_episode(s, i)
    clear_hosts(s, i)
    place_all(s, i)
    count_all(s, i)
    s.free_at_start[i] = s.free_total[i]
    show_stopping(s, i)
    if s.moves == VM:
        show_vms(s, i)
