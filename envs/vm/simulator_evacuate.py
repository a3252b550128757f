"""Macros for FR-64: the moves that empty a host until one more VM of 64 cores fits, half of it on either node."""

import warp as wp

from .simulator_cluster import left, wide_slots_of
from .simulator_macro import blend, draft_code, is_new, measure, offer_draft, remember
from .simulator_sinks import double_sink, move_draft, take_back, tightest_sink
from .simulator_state import HALF, PARTS, State

DOUBLES = wp.constant(4)  # sent away first: none, the largest, the two largest, and so on


@wp.func
def pick_double(s: State, i: int, h: int):
    """The movable double VM of host h with the most cores; -1 for none."""
    b = s.instance[i]
    best = int(-1)
    v = int(s.node_vm[i, 2 * h])
    while v >= 0:
        if s.doubled[b, v] == 1 and s.place[i, v] == 2 * h:
            if best < 0:
                best = v
            elif s.need_cores[b, v] > s.need_cores[b, best]:
                best = v
        v = s.vm_next[i, v]
    return best


@wp.func
def pick_single(s: State, i: int, n: int, missing: int, wide: int):
    """The smallest movable single VM of node n that frees what is missing, else the largest; -1 for none.

    With ``wide`` 1 always the largest.
    """
    b = s.instance[i]
    enough = int(-1)
    largest = int(-1)
    v = int(s.node_vm[i, n])
    while v >= 0:
        if s.doubled[b, v] == 0 and s.place[i, v] == n:
            cores = s.need_cores[b, v]
            if cores >= missing:
                better = enough < 0
                if not better:
                    better = cores < s.need_cores[b, enough]
                if better:
                    enough = v
            better = largest < 0
            if not better:
                better = cores > s.need_cores[b, largest]
            if better:
                largest = v
        v = s.vm_next[i, v]
    if enough >= 0 and wide == 0:
        largest = enough
    return largest


@wp.func
def clear_node(s: State, i: int, n: int, wanted: int, most: int, wide: int):
    """Send single VMs of node n away until so many cores are free; whether it could be done in time."""
    good = bool(True)
    while good and s.free_cores[i, n] < wanted:
        v = pick_single(s, i, n, wanted - s.free_cores[i, n], wide)
        good = v >= 0 and s.draft_length[i] < most
        if good:
            m = tightest_sink(s, i, v, n // 2)
            good = m >= 0
            if good:
                move_draft(s, i, v, m)
    return good


@wp.func
def draft_evacuation(s: State, i: int, h: int, doubles: int, wide: int, most: int):
    """Draft the moves that make room for one more VM of 64 cores on host h; whether it could be done."""
    b = s.instance[i]
    wanted = (wide_slots_of(s, i, h) + 1) * HALF
    good = wanted <= wp.min(s.node_cores[b, 2 * h], s.node_cores[b, 2 * h + 1])
    count = int(0)
    while good and count < doubles:
        good = s.free_cores[i, 2 * h] < wanted or s.free_cores[i, 2 * h + 1] < wanted
        v = int(-1)
        if good:
            v = pick_double(s, i, h)
            good = v >= 0 and s.draft_length[i] < most
        if good:
            m = double_sink(s, i, v, h)
            good = m >= 0
            if good:
                move_draft(s, i, v, m)
        count += 1
    if good:
        good = clear_node(s, i, 2 * h, wanted, most, wide)
    if good:
        good = clear_node(s, i, 2 * h + 1, wanted, most, wide)
    return good


@wp.func
def offer_evacuations(s: State, i: int, a: int):
    """Offer the macros that make room for VMs of 64 cores, from action a on; returns the next one."""
    next = int(a)
    most = wp.min(PARTS, left(s, i))
    h = int(0)
    h_end = s.hosts[s.instance[i]]
    while h < h_end:
        for way in range(2 * DOUBLES):
            if next < s.action_mask.shape[1] - 1:
                good = draft_evacuation(s, i, h, way // 2, way % 2, most)
                if good and s.draft_length[i] > 0:
                    gain = s.macro_before[i] - measure(s, i)
                    code = blend(7, gain)
                    for part in range(s.draft_length[i]):
                        code = blend(code, s.need_cores[s.instance[i], s.draft_vm[i, part]])
                    if gain > 0 and is_new(s, i, code):
                        remember(s, i, code)
                        remember(s, i, draft_code(s, i))
                        waste = s.free_cores[i, 2 * h] % HALF + s.free_cores[i, 2 * h + 1] % HALF
                        offer_draft(s, i, next, 2 * h, gain, waste)
                        next += 1
                take_back(s, i, 0)
        h += 1
    return next
