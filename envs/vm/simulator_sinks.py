"""Where a macro may send VMs: nodes sorted by what is free on them, and the moves it makes for the time being.

Moves are made on the state itself and taken back, so that every later one sees the earlier ones; the sorting is of the
state before them, so nodes that the draft has changed are looked at apart.
"""

import warp as wp

from .simulator_class import side_gain, spares
from .simulator_cluster import allowed, fits, harm_at, occupy, vacate
from .simulator_state import HARD, LATEST, LEVELS, SLOT, State

RANKS = 6  # nodes kept of the hardest to complete, of every size


@wp.func
def level_of(s: State, i: int, n: int):
    """What sinks are sorted by: free cores modulo a slot; where FR-64 counts, the free cores themselves."""
    free = s.free_cores[i, n]
    result = free % SLOT
    if s.weight_64 > 0:
        result = wp.min(free, LEVELS - 1)
    return result


@wp.func
def sort_nodes(s: State, i: int):
    """Sort the nodes that accept VMs by their level."""
    b = s.instance[i]
    for k in range(s.level_first.shape[1]):
        s.level_first[i, k] = 0
    n = int(0)
    n_end = 2 * s.hosts[b]
    while n < n_end:
        if s.constraints == 0 or s.drained[b, n // 2] == 0:
            k = level_of(s, i, n) + 2
            s.level_first[i, k] = s.level_first[i, k] + 1
        n += 1
    k = int(1)
    k_end = s.level_first.shape[1]
    while k < k_end:
        s.level_first[i, k] = s.level_first[i, k] + s.level_first[i, k - 1]
        k += 1
    n = int(0)
    n_end = 2 * s.hosts[b]
    while n < n_end:
        if s.constraints == 0 or s.drained[b, n // 2] == 0:
            k = level_of(s, i, n) + 1
            s.by_level[i, s.level_first[i, k]] = n
            s.level_first[i, k] = s.level_first[i, k] + 1
        n += 1


@wp.func
def rank_sinks(s: State, i: int):
    """For each size, the nodes with room for it that are hardest to complete, the fullest of them first."""
    size = int(1)
    while size < SLOT:
        found = int(0)
        easier = int(0)
        while easier < HARD:
            k = int(size)
            while k < SLOT:
                at = int(s.level_first[i, k])
                while at < s.level_first[i, k + 1] and found < RANKS:
                    n = s.by_level[i, at]
                    if s.need[i, n] == HARD - easier:
                        s.hardest[i, size, found] = n
                        found += 1
                    at += 1
                k += 1
            easier += 1
        rest = int(found)
        while rest < RANKS:
            s.hardest[i, size, rest] = -1
            rest += 1
        size += 1


@wp.func
def is_sink(s: State, i: int, v: int, n: int, h: int):
    """Whether VM v may go to node n, which is not on host h, without taking a slot that it does not fill."""
    result = bool(False)
    if n // 2 != h and s.place[i, v] != n and (s.doubled[s.instance[i], v] == 0 or n % 2 == 0):
        if fits(s, i, v, n):
            if spares(s, i, v, n):
                result = allowed(s, i, v, n)
    return result


@wp.func
def loss(s: State, i: int, v: int, n: int):
    """What makes node n a bad sink of VM v: free cores modulo a slot; where FR-64 counts, the fragments it makes."""
    result = level_of(s, i, n)
    if s.weight_64 > 0:
        result = 64 * (6400 - side_gain(s, i, v, n, -1)) + result
    return result


@wp.func
def tightest_sink(s: State, i: int, v: int, h: int):
    """The sink of a single VM with the least loss; -1 for none."""
    best = int(-1)
    least = int(LATEST)
    k = int(0)
    k_end = 4 * s.draft_length[i]
    while k < k_end:  # what the draft has changed, of double VMs both nodes
        part = k // 4
        n = s.draft_node[i, part]
        if k % 2 == 1:
            n = s.draft_from[i, part]
        n += (k // 2 % 2) * s.doubled[s.instance[i], s.draft_vm[i, part]]
        if is_sink(s, i, v, n, h):
            if loss(s, i, v, n) < least:
                best = n
                least = loss(s, i, v, n)
        k += 1
    k = s.need_cores[s.instance[i], v]
    last = int(LEVELS)
    if s.weight_64 == 0:
        k = k % SLOT
        last = SLOT
    searching = bool(True)
    while k < last and searching:
        at = int(s.level_first[i, k])
        found = bool(False)
        while at < s.level_first[i, k + 1] and not found:
            n = s.by_level[i, at]
            if level_of(s, i, n) == k:
                if is_sink(s, i, v, n, h):
                    found = bool(True)
                    if loss(s, i, v, n) < least:
                        best = n
                        least = loss(s, i, v, n)
            at += 1
        k += 1
        searching = s.weight_64 > 0 or k <= least
        if found and (s.weight_64 == 0 or (s.weight_16 == 0 and s.weight_memory == 0)):
            searching = bool(False)  # from here on the loss only grows
    return best


@wp.func
def hardest_sink(s: State, i: int, v: int, h: int):
    """The sink of a small VM that is hardest to complete; -1 for none."""
    best = int(-1)
    size = s.need_cores[s.instance[i], v]
    k = int(0)
    while k < RANKS:
        n = s.hardest[i, size, k]
        if n >= 0 and best < 0:
            if is_sink(s, i, v, n, h):
                best = n
        k += 1
    return best


@wp.func
def double_sink(s: State, i: int, v: int, h: int):
    """The host that a double VM can go to with the least loss; -1 for none."""
    best = int(-1)
    least = int(LATEST)
    g = int(0)
    g_end = s.hosts[s.instance[i]]
    while g < g_end:
        n = 2 * g
        if g != h and fits(s, i, v, n):
            lost = loss(s, i, v, n) + level_of(s, i, n + 1)
            if lost < least:
                if is_sink(s, i, v, n, h):
                    best = n
                    least = lost
        g += 1
    return best


@wp.func
def move_draft(s: State, i: int, v: int, n: int):
    """Make another move of the draft, for the time being."""
    part = s.draft_length[i]
    s.draft_vm[i, part] = v
    s.draft_node[i, part] = n
    s.draft_from[i, part] = s.place[i, v]
    if part == 0:
        s.draft_harm[i] = 0
        s.draft_room[i] = s.free_cores[i, n]
        if s.doubled[s.instance[i], v] == 1:
            s.draft_room[i] = s.free_cores[i, n] + s.free_cores[i, n + 1]
    harm = harm_at(s, i, v, n)
    s.draft_harm[i] = s.draft_harm[i] + harm
    s.draft_harms[i, part] = harm
    vacate(s, i, v, s.place[i, v])
    occupy(s, i, v, n)
    s.place[i, v] = n
    s.draft_length[i] = part + 1


@wp.func
def take_back(s: State, i: int, kept: int):
    """Take the moves of the draft back, but for the first ``kept``."""
    while s.draft_length[i] > kept:
        part = s.draft_length[i] - 1
        v = s.draft_vm[i, part]
        s.draft_harm[i] = s.draft_harm[i] - s.draft_harms[i, part]
        vacate(s, i, v, s.draft_node[i, part])
        occupy(s, i, v, s.draft_from[i, part])
        s.place[i, v] = s.draft_from[i, part]
        s.draft_length[i] = part
