"""Macros for FR-64: the moves that empty a host until one more VM of 64 cores fits, half of it on either node."""

import warp as wp

from .simulator_cluster import allowed, left, wide_slots_of
from .simulator_macro import blend, draft_code, is_new, measure, offer_draft, remember
from .simulator_sinks import double_sink, is_sink, move_draft, take_back, tightest_sink
from .simulator_state import HALF, LATEST, PARTS, State

DOUBLES = wp.constant(4)  # sent away first: none, the largest, the two largest, and so on
ROOM = wp.constant(16)  # cores that are lacking at most where a VM is to make room for another
NOT_LARGEST, PASSED_OVER, FAILED = (wp.constant(k) for k in (1, 2, 4))  # what drafting a macro came to


@wp.func
def pick_double(s: State, i: int, h: int, least: int):
    """The movable double VM of host h with the most cores, with ``least`` 1 the fewest; -1 for none.

    One that takes a half of 64 cores of either node would only take the room elsewhere that it makes here.
    """
    b = s.instance[i]
    best = int(-1)
    v = int(s.node_vm[i, 2 * h])
    while v >= 0:
        if s.doubled[b, v] == 1 and s.place[i, v] == 2 * h and s.need_cores[b, v] < HALF:
            better = best < 0
            if not better:
                better = s.need_cores[b, v] > s.need_cores[b, best]
                if least == 1:
                    better = s.need_cores[b, v] < s.need_cores[b, best]
            if better:
                best = v
        v = s.vm_next[i, v]
    return best


@wp.func
def pick_single(s: State, i: int, n: int, missing: int, most: int, wide: int):
    """The smallest movable single VM of node n that frees what is missing, else the largest; -1 for none.

    Of at most ``most`` cores; with ``wide`` 1 always the largest.
    """
    b = s.instance[i]
    enough = int(-1)
    largest = int(-1)
    v = int(s.node_vm[i, n])
    while v >= 0:
        cores = s.need_cores[b, v]
        if s.doubled[b, v] == 0 and s.place[i, v] == n and cores <= most:
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
def any_sink(s: State, i: int, v: int, h: int):
    """The sink of a VM, single or double, with the least loss; -1 for none."""
    result = int(-1)
    if s.doubled[s.instance[i], v] == 1:
        result = double_sink(s, i, v, h)
    else:
        result = tightest_sink(s, i, v, h)
    return result


@wp.func
def displace(s: State, i: int, v: int, n: int, gap: int, h: int):
    """Move a smaller VM from node n, which lacks so many cores for VM v, and v there; whether it could be done.

    For a double VM v node n is the first of its host, and the gap that of both nodes.
    """
    b = s.instance[i]
    kept = s.draft_length[i]
    done = bool(False)
    for side in range(1 + s.doubled[b, v]):
        u = int(s.node_vm[i, n + side])
        while u >= 0 and not done:
            size = s.need_cores[b, u]
            if size >= gap and size < s.need_cores[b, v] and s.place[i, u] // 2 == n // 2:
                m = any_sink(s, i, u, h)
                if m >= 0 and m // 2 != n // 2:
                    move_draft(s, i, u, m)
                    done = is_sink(s, i, v, n, h)
                    if done:
                        move_draft(s, i, v, n)
                    else:
                        take_back(s, i, kept)
            u = s.vm_next[i, u]
    return done


@wp.func
def displace_for_single(s: State, i: int, v: int, h: int):
    """Move a smaller VM from the fullest node where that leaves room for single VM v, and v there."""
    cores = s.need_cores[s.instance[i], v]
    done = bool(False)
    gap = int(1)
    while gap < wp.min(cores, ROOM + 1) and not done:
        at = int(s.level_first[i, cores - gap])
        while at < s.level_first[i, cores - gap + 1] and not done:
            n = s.by_level[i, at]
            if n // 2 != h and s.free_cores[i, n] == cores - gap:
                if allowed(s, i, v, n):
                    done = displace(s, i, v, n, gap, h)
            at += 1
        gap += 1
    return done


@wp.func
def displace_for_double(s: State, i: int, v: int, h: int):
    """The same for a double VM: the host that lacks least on the node that lacks more."""
    cores = s.need_cores[s.instance[i], v]
    done = bool(False)
    gap = int(1)
    while gap < wp.min(cores, ROOM + 1) and not done:
        g = int(0)
        while g < s.hosts[s.instance[i]] and not done:
            lacking = cores - wp.min(s.free_cores[i, 2 * g], s.free_cores[i, 2 * g + 1])
            if g != h and lacking == gap:
                if allowed(s, i, v, 2 * g):
                    done = displace(s, i, v, 2 * g, gap, h)
            g += 1
        gap += 1
    return done


@wp.func
def dismiss(s: State, i: int, v: int, h: int, most: int, rule: int):
    """Send VM v away from host h within so many moves of the draft; whether it could be done."""
    done = bool(False)
    if s.draft_length[i] < most:
        m = any_sink(s, i, v, h)
        done = m >= 0
        if done:
            move_draft(s, i, v, m)
        elif rule == 1 and s.draft_length[i] + 2 <= most:
            if s.doubled[s.instance[i], v] == 1:
                done = displace_for_double(s, i, v, h)
            else:
                done = displace_for_single(s, i, v, h)
    return done


@wp.func
def clear_node(s: State, i: int, n: int, wanted: int, most: int, wide: int, rule: int):
    """Send single VMs of node n away until so many cores are free; where one finds no room, smaller ones instead.

    Returns:
        A sum: FAILED if it could not be done in time, PASSED_OVER if a VM stayed for want of room, NOT_LARGEST if one
        went that was not the largest.
    """
    b = s.instance[i]
    result = int(0)
    largest = int(LATEST)
    while result < FAILED and s.free_cores[i, n] < wanted:
        v = pick_single(s, i, n, wanted - s.free_cores[i, n], largest, wide)
        if v >= 0:
            if wide == 0 and pick_single(s, i, n, 0, largest, 1) != v:
                result = result | NOT_LARGEST
            if not dismiss(s, i, v, n // 2, most, rule):
                result = result | PASSED_OVER
                largest = s.need_cores[b, v] - 1
        else:
            result = result | FAILED
    return result


@wp.func
def draft_evacuation(s: State, i: int, h: int, doubles: int, wide: int, rule: int, most: int):
    """Draft the moves that make room for one more VM of 64 cores on host h; returns a sum as ``clear_node`` does."""
    b = s.instance[i]
    result = int(0)
    wanted = (wide_slots_of(s, i, h) + 1) * HALF
    if wanted > wp.min(s.node_cores[b, 2 * h], s.node_cores[b, 2 * h + 1]):
        result = FAILED
    count = int(0)
    least = int(doubles == DOUBLES)
    while result < FAILED and count < doubles - (DOUBLES - 1) * least:
        v = int(-1)
        if s.free_cores[i, 2 * h] < wanted or s.free_cores[i, 2 * h + 1] < wanted:
            v = pick_double(s, i, h, least)
        if v < 0:
            result = FAILED
        elif not dismiss(s, i, v, h, most, rule):
            result = FAILED | PASSED_OVER
        count += 1
    if result < FAILED:
        result = result | clear_node(s, i, 2 * h, wanted, most, wide, rule)
    if result < FAILED:
        result = result | clear_node(s, i, 2 * h + 1, wanted, most, wide, rule)
    return result


@wp.func
def offer_evacuation(s: State, i: int, a: int, h: int):
    """Offer the draft, which makes room on host h, as action a, unless it is known; returns the next action."""
    next = int(a)
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
    return next


@wp.func
def offer_evacuations(s: State, i: int, a: int):
    """Offer the macros that make room for VMs of 64 cores, from action a on; returns the next one."""
    next = int(a)
    most = wp.min(PARTS, left(s, i))
    for h in range(s.hosts[s.instance[i]]):
        for doubles in range(DOUBLES + 1):
            wide = int(0)
            while wide < 2:
                rule = int(0)
                differs = int(0)
                while rule < 2:
                    result = FAILED
                    if next < s.action_mask.shape[1] - 1:
                        result = draft_evacuation(s, i, h, doubles, wide, rule, most)
                    if result < FAILED and s.draft_length[i] > 0:
                        next = offer_evacuation(s, i, next, h)
                    take_back(s, i, 0)
                    differs = differs | (result & NOT_LARGEST)
                    rule += 1
                    if result & PASSED_OVER == 0:
                        rule = 2  # nobody lacked room: the same again
                wide += 1
                if differs == 0:
                    wide = 2
    return next
