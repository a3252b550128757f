"""Completion macros: for one host, the few moves that complete a free slot there, as one action.

Where FR-16 counts, a macro empties one NUMA node, or after a double VM has left both of them, until their free cores
are whole slots: a least set of small VMs by size, and for each a sink by one of three rules, largest VM first: the
tightest (0), the one that would itself be hardest to complete (1), or, where there is none, one that a smaller VM has
to leave first (2). Of macros that are alike, the same sizes from the same residue by the same rule, the first is
offered. Where FR-64 counts, a macro empties a host until a VM of 64 cores fits (simulator_evacuate.py).
"""

import warp as wp

from ..core.rng import mix
from .simulator_cluster import allowed, left, weighted
from .simulator_sinks import (
    double_sink,
    hardest_sink,
    is_sink,
    level_of,
    move_draft,
    take_back,
    tightest_sink,
)  # fmt: skip
from .simulator_state import LATEST, SLOT, State

FEW = wp.constant(5)  # moves of a macro at most where only FR-16 counts
SETS = wp.constant(24)  # sets of VMs tried for one node


@wp.func
def blend(code: int, value: int):
    """Fold a number into a hash."""
    return int(mix(wp.uint32(code) ^ wp.uint32(value + 1)) >> wp.uint32(1))


@wp.func
def is_new(s: State, i: int, code: int):
    """Whether no macro like this has been offered yet."""
    width = s.seen.shape[1]
    at = code % width
    looked = int(0)
    result = bool(True)
    while looked < width and s.seen_stamp[i, at] == s.stamp[i] and result:
        if s.seen[i, at] == code:
            result = bool(False)
        at = (at + 1) % width
        looked += 1
    return result


@wp.func
def remember(s: State, i: int, code: int):
    """Note that a macro like this is offered."""
    width = s.seen.shape[1]
    at = code % width
    looked = int(0)
    while looked < width and s.seen_stamp[i, at] == s.stamp[i]:
        at = (at + 1) % width
        looked += 1
    s.seen[i, at] = code
    s.seen_stamp[i, at] = s.stamp[i]


@wp.func
def draft_code(s: State, i: int):
    """A hash of the moves of the draft."""
    code = int(11)
    for part in range(s.draft_length[i]):
        code = blend(blend(code, s.draft_vm[i, part]), s.draft_node[i, part])
    return code


@wp.func
def scraps_of_memory(s: State, i: int):
    """Fragments of memory in hundredths of cores weighted, rounded down."""
    result = int(0)
    if s.weight_memory > 0 and s.free_memory_total[i] > wp.int64(0):
        share = s.memory_fragments[i] * wp.int64(s.weight_memory) * wp.int64(s.free_total[i])
        result = int(share // s.free_memory_total[i])
    return result


@wp.func
def measure(s: State, i: int):
    """What a macro is to decrease: all fragments, weighted, in hundredths of cores."""
    return weighted(s, i) + scraps_of_memory(s, i)


@wp.func
def offer_draft(s: State, i: int, a: int, n: int, gain: int, waste: int):
    """Offer the draft, which empties node n, as action a."""
    b = s.instance[i]
    copied = int(0)
    for part in range(s.draft_length[i]):
        v = s.draft_vm[i, part]
        s.part_vm[i, a, part] = v
        s.part_node[i, a, part] = s.draft_node[i, part]
        copied = wp.min(copied + wp.min(s.memory[b, v], LATEST - copied), LATEST)
    s.megabytes[i, a] = copied
    s.vm[i, a] = s.draft_vm[i, 0]
    s.node[i, a] = s.draft_node[i, 0]
    s.source[i, a] = n
    s.cores[i, a] = s.need_cores[b, s.draft_vm[i, 0]]
    s.gain[i, a] = gain
    s.source_gain[i, a] = gain
    s.room[i, a] = s.draft_room[i]
    s.length[i, a] = s.draft_length[i]
    s.waste[i, a] = waste
    s.harm[i, a] = s.draft_harm[i]
    s.importance[i, a] = 0
    s.kind[i, a] = 0
    s.action_class[i, a] = -1
    s.action_key[i, a] = -1
    s.action_mask[i, a] = wp.int8(1)
    s.only[i] = a
    s.offered[i] = s.offered[i] + 1


@wp.func
def make_room(s: State, i: int, v: int, h: int):
    """Move a smaller VM from the fullest node where that leaves room for VM v, and v there; whether it could be."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    kept = s.draft_length[i]
    done = bool(False)
    gap = int(1)
    while gap < cores and not done:
        at = int(s.level_first[i, cores - gap])
        while at < s.level_first[i, cores - gap + 1] and not done:
            n = s.by_level[i, at]
            u = int(s.node_vm[i, n])
            while u >= 0 and not done:
                size = s.need_cores[b, u]
                small = s.doubled[b, u] == 0 and size >= gap and size < cores and s.place[i, u] == n
                if small and n // 2 != h and level_of(s, i, n) == cores - gap:
                    if allowed(s, i, v, n):
                        m = tightest_sink(s, i, u, h)
                        if m >= 0 and m != n:
                            move_draft(s, i, u, m)
                            done = is_sink(s, i, v, n, h)
                            if done:
                                move_draft(s, i, v, n)
                            else:
                                take_back(s, i, kept)
                u = s.vm_next[i, u]
            at += 1
        gap += 1
    return done


@wp.func
def send_away(s: State, i: int, most: int, n: int, size: int, rule: int):
    """Move a single VM of this size from node n to a sink, within so many moves of the draft; whether it could be."""
    b = s.instance[i]
    done = bool(False)
    v = int(s.node_vm[i, n])
    while v >= 0 and not done:
        if s.place[i, v] == n and s.doubled[b, v] == 0 and s.need_cores[b, v] == size and s.draft_length[i] < most:
            m = int(-1)
            if rule == 1:
                m = hardest_sink(s, i, v, n // 2)
            if m < 0:
                m = tightest_sink(s, i, v, n // 2)
            if m >= 0:
                move_draft(s, i, v, m)
                done = bool(True)
            elif rule == 2 and s.draft_length[i] + 2 <= most:
                done = make_room(s, i, v, n // 2)
        v = s.vm_next[i, v]
    return done


@wp.func
def draft_set(s: State, i: int, most: int, n: int, lowest: int, rule: int):
    """Send the counted VMs of node n away, down to size ``lowest``; whether all could be."""
    good = bool(True)
    back = int(0)
    back_end = SLOT - lowest
    while back < back_end:
        size = SLOT - 1 - back
        count = int(0)
        while count < s.set_count[i, size] and good:
            good = send_away(s, i, most, n, size, rule)
            count += 1
        back += 1
    return good


@wp.func
def try_set(s: State, i: int, a: int, most: int, n: int, lowest: int, code: int):
    """Offer the counted set of node n's VMs by every rule that finds sinks; returns the next action."""
    kept = s.draft_length[i]
    next = int(a)
    mine = int(code)
    back = int(0)
    back_end = SLOT - lowest
    while back < back_end:
        mine = blend(mine, s.set_count[i, SLOT - 1 - back])
        back += 1
    for rule in range(3):
        by_rule = blend(mine, rule)
        if next < s.action_mask.shape[1] - 1 and is_new(s, i, by_rule):
            if draft_set(s, i, most, n, lowest, rule) and s.draft_length[i] > 0:
                gain = s.macro_before[i] - measure(s, i)
                moves = draft_code(s, i)
                if gain > 0 and is_new(s, i, moves):  # other rules may come to the same
                    remember(s, i, moves)
                    offer_draft(s, i, next, n, gain, s.free_cores[i, n] % SLOT)
                    next += 1
                if gain > 0:
                    remember(s, i, by_rule)
            take_back(s, i, kept)
    return next


@wp.func
def most_of_size(s: State, i: int, n: int, size: int, missing: int, most: int):
    """How many VMs of this size may leave node n at most, where so many cores are missing."""
    result = int(0)
    if missing > 0:
        result = wp.min(wp.min(s.small[i, n, size], (missing + size - 1) // size), most)
    return result


@wp.func
def try_node(s: State, i: int, a: int, n: int, code: int):
    """Offer every least set of small VMs whose leaving completes node n; returns the next action.

    A depth-first walk over how many VMs of each size leave, the largest first.
    """
    next = int(a)
    most = wp.min(FEW, left(s, i))
    used = int(s.draft_length[i])
    residue = s.free_cores[i, n] % SLOT
    mine = blend(code, residue)
    rest = int(SLOT - residue)
    if used > 0 and residue == 0:
        rest = 0  # the double VM alone completes it
    missing = rest
    size = int(SLOT - 1)
    s.set_count[i, size] = most_of_size(s, i, n, size, rest, most - used)
    tried = int(0)
    walking = bool(True)
    while walking and tried < SETS:
        here = rest - s.set_count[i, size] * size
        if here <= 0:
            tried += 1
            next = try_set(s, i, next, most, n, size, mine)
            if missing == 0:
                walking = bool(False)
        if here > 0 and size > 1:
            used += s.set_count[i, size]
            rest = here
            size -= 1
            s.set_count[i, size] = most_of_size(s, i, n, size, rest, most - used)
        else:
            while size < SLOT and s.set_count[i, wp.min(size, SLOT - 1)] == 0:
                size += 1
                if size < SLOT:
                    rest += s.set_count[i, size] * size
                    used -= s.set_count[i, size]
            if size >= SLOT:
                walking = bool(False)
            else:
                s.set_count[i, size] = s.set_count[i, size] - 1
    return next


@wp.func
def is_first_of_size(s: State, i: int, v: int, h: int):
    """Whether no earlier double VM of host h is as large."""
    b = s.instance[i]
    u = int(s.node_vm[i, 2 * h])
    result = bool(True)
    while u >= 0 and u < v:
        if s.doubled[b, u] == 1 and s.need_cores[b, u] == s.need_cores[b, v]:
            result = bool(False)
        u = s.vm_next[i, u]
    return result


@wp.func
def offer_completions(s: State, i: int, a: int):
    """Offer the macros that complete slots of 16 cores, from action a on; returns the next one."""
    b = s.instance[i]
    next = int(a)
    h = int(0)
    h_end = s.hosts[b]
    while h < h_end:
        for side in range(2):
            next = try_node(s, i, next, 2 * h + side, 0)
        v = int(s.node_vm[i, 2 * h])
        while v >= 0:
            if s.doubled[b, v] == 1 and s.need_cores[b, v] % SLOT > 0 and left(s, i) > 0:
                if is_first_of_size(s, i, v, h):
                    m = double_sink(s, i, v, h)
                    if m >= 0:
                        move_draft(s, i, v, m)
                        for side in range(2):
                            code = blend(s.need_cores[b, v], s.free_cores[i, 2 * h + 1 - side] % SLOT)
                            next = try_node(s, i, next, 2 * h + side, code)
                        take_back(s, i, 0)
            v = s.vm_next[i, v]
        h += 1
    return next
