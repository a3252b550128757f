"""Class moves: of each kind of interchangeable moves, the first one."""

import warp as wp

from .simulator_cluster import left, may_go
from .simulator_events import may_evict
from .simulator_state import HALF, HOSTS_FROM, MEMORY_SLOT, NOWHERE, PACK, SLOT, State
from .simulator_survey import survey


@wp.func
def node_gain(s: State, i: int, n: int, cores: int):
    """How many fragments of FR-16 node n loses when it gets so many cores back."""
    free = s.free_cores[i, n]
    return free % SLOT - (free + cores) % SLOT


@wp.func
def wide_gain(s: State, i: int, h: int, at_0: int, at_1: int):
    """How many slots of 64 cores host h gains when its nodes get so many cores back."""
    free_0 = s.free_cores[i, 2 * h]
    free_1 = s.free_cores[i, 2 * h + 1]
    after = wp.min((free_0 + at_0) // HALF, (free_1 + at_1) // HALF)
    return after - wp.min(free_0 // HALF, free_1 // HALF)


@wp.func
def memory_gain(s: State, i: int, n: int, memory: int):
    """Fragments of memory, in hundredths of cores weighted, that node n loses when it gets so much memory back."""
    result = int(0)
    if s.weight_memory > 0 and s.free_memory_total[i] > wp.int64(0):
        free = s.free_memory[i, n]
        scraps = free % MEMORY_SLOT - (free + memory) % MEMORY_SLOT
        size = wp.int64(wp.max(scraps, -scraps)) * wp.int64(s.weight_memory) * wp.int64(s.free_total[i])
        result = int(size // s.free_memory_total[i])
        if scraps < 0:
            result = -result
    return result


@wp.func
def side_gain(s: State, i: int, v: int, n: int, sign: int):
    """Decrease of the weighted fragments where VM v leaves (sign 1) or comes (sign -1), that side alone."""
    b = s.instance[i]
    cores = sign * s.need_cores[b, v]
    memory = sign * s.need_memory[b, v]
    result = s.weight_16 * node_gain(s, i, n, cores) + memory_gain(s, i, n, memory)
    at_0 = cores
    at_1 = cores
    if s.doubled[b, v] == 1:
        result += s.weight_16 * node_gain(s, i, n + 1, cores) + memory_gain(s, i, n + 1, memory)
    elif n % 2 == 0:
        at_1 = 0
    else:
        at_0 = 0
    # The free cores themselves grow where it leaves and shrink where it comes: over both sides that cancels out.
    if s.weight_64 > 0:
        result += s.weight_64 * 2 * HALF * wide_gain(s, i, n // 2, at_0, at_1)
    return result


@wp.func
def move_gain(s: State, i: int, v: int, n: int):
    """Decrease of the weighted fragments when VM v moves to node n."""
    b = s.instance[i]
    at = s.place[i, v]
    result = side_gain(s, i, v, at, 1) + side_gain(s, i, v, n, -1)
    if s.weight_64 > 0 and at // 2 == n // 2:  # from one node of a host to the other: both at once
        cores = s.need_cores[b, v]
        if at % 2 == 1:
            cores = -cores
        # each side alone was counted above
        alone = wide_gain(s, i, at // 2, wp.max(cores, 0), wp.max(-cores, 0))
        alone += wide_gain(s, i, at // 2, wp.min(-cores, 0), wp.min(cores, 0))
        result += s.weight_64 * 2 * HALF * (wide_gain(s, i, at // 2, cores, -cores) - alone)
    return result


@wp.func
def spares(s: State, i: int, v: int, n: int):
    """Whether VM v at node n takes no slot that it does not fill."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    result = bool(True)
    if s.weight_16 > 0:
        result = s.free_cores[i, n] % SLOT >= cores % SLOT
        if s.doubled[b, v] == 1:
            result = result and s.free_cores[i, n + 1] % SLOT >= cores % SLOT
    if s.weight_64 > 0 and result:
        at_0 = -cores
        at_1 = -cores
        if s.doubled[b, v] == 0:
            at_0 = -cores * (1 - n % 2)
            at_1 = -cores * (n % 2)
        result = wide_gain(s, i, n // 2, at_0, at_1) == 0
    return result


@wp.func
def write(s: State, i: int, a: int, v: int, n: int, kind: int):
    """The columns of action a: VM v goes to node n."""
    b = s.instance[i]
    s.vm[i, a] = v
    s.node[i, a] = n
    s.source[i, a] = s.place[i, v]
    s.cores[i, a] = s.need_cores[b, v]
    s.gain[i, a] = 0
    s.source_gain[i, a] = 0
    s.room[i, a] = 0
    s.length[i, a] = 1
    s.waste[i, a] = 0
    s.importance[i, a] = s.level[b, v]
    s.kind[i, a] = kind
    if s.place[i, v] >= 0:
        s.source_gain[i, a] = side_gain(s, i, v, s.place[i, v], 1)
    if n >= 0:
        s.room[i, a] = s.free_cores[i, n]
        if s.doubled[b, v] == 1:
            s.room[i, a] = s.room[i, a] + s.free_cores[i, n + 1]
        if s.place[i, v] >= 0:
            s.gain[i, a] = move_gain(s, i, v, n)
    s.action_mask[i, a] = wp.int8(1)
    s.only[i] = a
    s.offered[i] = s.offered[i] + 1


@wp.func
def first_of(s: State, i: int, v: int, key: int):
    """The first node of a key that VM v may go to; -1 for none."""
    n = s.first_node[i, key]
    while n >= 0 and not may_go(s, i, v, n):
        if key >= HOSTS_FROM:
            n = s.next_host[i, n]
        else:
            n = s.next_node[i, n]
    return n


@wp.func
def band(s: State, i: int, v: int, n: int):
    """0 for moves that free something, 1 for those that come closest to it, 2 for the others."""
    result = int(0)
    if s.task != PACK:
        if move_gain(s, i, v, n) <= 0:
            result = 2
            free = s.free_cores[i, n] - s.need_cores[s.instance[i], v]
            if free % SLOT == 0 or s.touched[i, s.place[i, v]] == 1 or s.need[i, s.place[i, v]] <= 2:
                result = 1
    return result


@wp.func
def pair(s: State, i: int, c: int, row: int):
    """Where a VM of class c goes if it goes to the key of this row; -1 if it cannot, or should not."""
    v = s.class_vm[i, c]
    key = s.key_list[i, row]
    n = int(-1)
    if (key >= HOSTS_FROM) == (s.doubled[s.instance[i], v] == 1):
        first = s.first_node[i, key]
        good = s.task == PACK
        if not good:
            good = spares(s, i, v, first)
        if good:
            n = first_of(s, i, v, key)
            if n >= 0 and s.task != PACK and s.weight_64 > 0:
                if not spares(s, i, v, n):
                    n = -1
    return n


@wp.func
def offer_pairs(s: State, i: int, lowest: int, highest: int, a: int):
    """Offer the pairs of a class and a key whose band is within bounds, from action a on; returns the next one.

    Those that no action is left for are counted, not written.
    """
    budget = left(s, i)
    for c in range(s.class_count[i]):
        v = s.class_vm[i, c]
        if budget > 0 or s.class_key[i, c] == NOWHERE:
            for row in range(s.key_count[i]):
                n = pair(s, i, c, row)
                wanted = n >= 0
                if wanted and highest - lowest < 2:
                    wanted = band(s, i, v, n) >= lowest and band(s, i, v, n) <= highest
                if wanted:
                    if a < s.action_mask.shape[1] - 1:
                        write(s, i, a, v, n, int(s.place[i, v] < 0))
                        s.action_class[i, a] = c
                        s.action_key[i, a] = row
                    a += 1
    return a


@wp.func
def offer_evictions(s: State, i: int, a: int):
    """Pack: offer to evict a VM of each class, from action a on; returns the next one."""
    for c in range(s.class_count[i]):
        v = s.class_vm[i, c]
        if s.class_key[i, c] != NOWHERE and a < s.action_mask.shape[1] - 1:
            if may_evict(s, i, v):
                write(s, i, a, v, -1, 2)
                s.action_class[i, a] = c
                s.action_key[i, a] = -1
                a += 1
    return a


@wp.func
def offer_classes(s: State, i: int):
    """Offer class moves; returns the next action. Where there are too many, those that free something come first."""
    survey(s, i)
    last = s.action_mask.shape[1] - 1
    a = offer_pairs(s, i, 0, 2, 0)
    if a > last and s.task != PACK:
        a = int(0)
        for wanted in range(3):
            if a < last:
                a = offer_pairs(s, i, wanted, wanted, a)
    a = wp.min(a, last)
    if s.task == PACK:
        a = offer_evictions(s, i, a)
    return a
