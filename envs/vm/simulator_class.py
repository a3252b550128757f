"""Class moves: of each kind of interchangeable moves, the first one."""

import warp as wp

from .simulator_cluster import harm_at, left, may_go
from .simulator_events import may_evict
from .simulator_state import HALF, HOSTS_FROM, MEMORY_SLOT, NOWHERE, PACK, SLOT, State
from .simulator_survey import survey

MANY_SLOTS = wp.constant(1024 * 16)  # more than any node has cores: keeps what is divided from being negative


@wp.func
def node_gain(s: State, i: int, n: int, cores: int):
    """How many fragments of FR-16 node n loses when it gets so many cores back."""
    free = s.free_cores[i, n]
    return free % SLOT - (free + cores + MANY_SLOTS) % SLOT


@wp.func
def wide_gain(s: State, i: int, h: int, at_0: int, at_1: int):
    """How many slots of 64 cores host h gains when its nodes get so many cores back."""
    free_0 = s.free_cores[i, 2 * h]
    free_1 = s.free_cores[i, 2 * h + 1]
    after = wp.min(wp.max(free_0 + at_0, 0) // HALF, wp.max(free_1 + at_1, 0) // HALF)
    return after - wp.min(free_0 // HALF, free_1 // HALF)


@wp.func
def memory_gain(s: State, i: int, n: int, memory: int):
    """Fragments of memory, in hundredths of cores weighted, that node n loses when it gets so much memory back."""
    result = int(0)
    if s.weight_memory > 0 and s.free_memory_total[i] > wp.int64(0):
        free = s.free_memory[i, n]
        scraps = free % MEMORY_SLOT - wp.max(free + memory, 0) % MEMORY_SLOT  # too little memory: offered to nobody
        size = wp.int64(wp.max(scraps, -scraps)) * wp.int64(s.weight_memory) * wp.int64(s.free_total[i])
        # Where next to no memory is free a share of it can be anything: four of these still fit a number.
        result = int(wp.min(size // s.free_memory_total[i], wp.int64(268_435_456)))
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
        alone += wide_gain(s, i, at // 2, wp.min(cores, 0), wp.min(-cores, 0))
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
def both_gains(s: State, i: int, v: int, n: int, source_gain: int):
    """Decrease of the weighted fragments when VM v moves to node n, of which one side is known."""
    result = int(0)
    if n >= 0 and s.place[i, v] >= 0:
        result = source_gain + side_gain(s, i, v, n, -1)
        if s.weight_64 > 0 and s.place[i, v] // 2 == n // 2:
            result = move_gain(s, i, v, n)
    return result


@wp.func
def write(s: State, i: int, a: int, v: int, n: int, kind: int, source_gain: int, gain: int):
    """The columns of action a: VM v goes to node n."""
    b = s.instance[i]
    s.vm[i, a] = v
    s.node[i, a] = n
    s.source[i, a] = s.place[i, v]
    s.cores[i, a] = s.need_cores[b, v]
    s.gain[i, a] = gain
    s.source_gain[i, a] = source_gain
    s.length[i, a] = 1
    s.megabytes[i, a] = s.memory[b, v]
    s.waste[i, a] = 0
    s.importance[i, a] = s.level[b, v]
    s.kind[i, a] = kind
    room = int(0)
    if n >= 0:
        room = s.free_cores[i, n]
        if s.doubled[b, v] == 1:
            room += s.free_cores[i, n + 1]
    s.room[i, a] = room
    s.harm[i, a] = 0
    if n >= 0:
        s.harm[i, a] = harm_at(s, i, v, n)
    s.action_mask[i, a] = wp.int8(1)
    s.only[i] = a
    s.offered[i] = s.offered[i] + 1


@wp.func
def leaving_gain(s: State, i: int, v: int):
    """Decrease of the weighted fragments where VM v is when it leaves."""
    result = int(0)
    if s.place[i, v] >= 0:
        result = side_gain(s, i, v, s.place[i, v], 1)
    return result


@wp.func
def first_of(s: State, i: int, v: int, key: int):
    """The first node of a key that VM v may go to; -1 for none."""
    n = int(s.first_node[i, key])
    while n >= 0 and not may_go(s, i, v, n):
        if key >= HOSTS_FROM:
            n = s.next_host[i, n]
        else:
            n = s.next_node[i, n]
    return n


@wp.func
def suits(s: State, i: int, c: int, row: int):
    """Whether VMs of class c should go to this row's places: of their kind, and no slot is taken there in vain."""
    v = s.class_vm[i, c]
    key = s.key_list[i, row]
    result = bool(False)
    if (key >= HOSTS_FROM) == (s.doubled[s.instance[i], v] == 1):
        result = s.task == PACK
        if not result:
            result = spares(s, i, v, s.first_node[i, key])
    return result


@wp.func
def band(s: State, i: int, v: int, n: int, gain: int):
    """Which moves are offered first: 0 for those that free something, 1 for those that come closest, 2 for others.

    It is the same for all moves of VM v's class to places like node n.
    """
    result = int(0)
    at = s.place[i, v]
    if s.task != PACK and at >= 0 and gain <= 0:
        result = 2
        whole = (s.free_cores[i, n] - s.need_cores[s.instance[i], v] + MANY_SLOTS) % SLOT == 0
        if whole or s.touched[i, at] == 1 or s.need[i, at] <= 2:
            result = 1
    return result


@wp.func
def offer_pair(s: State, i: int, c: int, row: int, a: int, source_gain: int, counting: bool):
    """Offer class c to this row's key as action a, if any VM and place can be found; returns the next action.

    Args:
        counting: True to write nothing.
    """
    v = s.class_vm[i, c]
    n = first_of(s, i, v, s.key_list[i, row])
    next = int(a)
    if n >= 0:
        next += 1
        if not counting:
            write(s, i, a, v, n, int(s.place[i, v] < 0), source_gain, both_gains(s, i, v, n, source_gain))
            s.action_class[i, a] = c
            s.action_key[i, a] = row
    return next


@wp.func
def is_by_residue(s: State):
    """Whether the residue of a place says whether VMs of a class should go there."""
    return s.weight_64 == 0 and s.weight_16 > 0 and s.task != PACK


@wp.func
def least_level(s: State, i: int, v: int):
    """The least level, see list_place, of places that VM v should go to; they are below the next multiple of 32."""
    b = s.instance[i]
    result = 32 * s.doubled[b, v]
    if is_by_residue(s):
        result += s.need_cores[b, v] % SLOT
    return result


@wp.func
def bound_pairs(s: State, i: int, most: int):
    """How many pairs of a class and a key there are at most; counts no further than beyond ``most``."""
    count = int(0)
    keys = s.key_count[i]
    levels = s.key_level[i, 0:keys]
    c = int(0)
    classes = s.class_count[i]
    while c < classes and count <= most:
        least = least_level(s, i, s.class_vm[i, c])
        most_level = least // 32 * 32 + 31
        row = int(0)
        while row < keys:
            count += int(levels[row] >= least and levels[row] <= most_level)
            row += 1
        c += 1
    return count


@wp.func
def may_have(s: State, i: int, c: int, wanted: int, source_gain: int):
    """Whether there can be moves of this band in class c: of FR-16 alone, all of a class free the same."""
    result = bool(True)
    if wanted >= 0 and s.weight_16 == 100 and s.task != PACK:
        v = s.class_vm[i, c]
        b = s.instance[i]
        gain = source_gain + 100 * (1 + s.doubled[b, v]) * (s.need_cores[b, v] % SLOT)
        result = (gain > 0) == (wanted == 0)
    return result


@wp.func
def visit_class(s: State, i: int, c: int, wanted: int, first: int, counting: bool):
    """Offer class c at every key, from action ``first`` on; returns the next one, beyond the last if not all had room.

    Args:
        wanted: the band to be offered alone; -1 for all.
        counting: True to write nothing.
    """
    v = s.class_vm[i, c]
    last = s.action_mask.shape[1] - 1
    source_gain = leaving_gain(s, i, v)
    a = int(first)
    keys = int(0)
    if may_have(s, i, c, wanted, source_gain):
        keys = s.key_count[i]
    least = least_level(s, i, v)
    most = least // 32 * 32 + 31
    by_residue = is_by_residue(s)
    row = int(0)
    while row < keys and a <= last:
        level = s.key_level[i, row]
        if level >= least and level <= most:
            good = by_residue
            if not good:
                good = suits(s, i, c, row)
            if good and (wanted > 0 or (wanted == 0 and s.weight_16 < 100)):
                n = s.first_node[i, s.key_list[i, row]]
                good = band(s, i, v, n, source_gain + side_gain(s, i, v, n, -1)) == wanted
            if good and a >= last:
                a = last + 1
            elif good:
                a = offer_pair(s, i, c, row, a, source_gain, counting)
        row += 1
    return a


@wp.func
def visit_pairs(s: State, i: int, wanted: int, first: int, counting: bool):
    """Offer the pairs of all classes, see visit_class; returns the next action."""
    a = int(first)
    budget = left(s, i)
    last = s.action_mask.shape[1] - 1
    c = int(0)
    classes = s.class_count[i]
    while c < classes and a <= last:
        if budget > 0 or s.class_key[i, c] == NOWHERE:
            a = visit_class(s, i, c, wanted, a, counting)
        c += 1
    return a


@wp.func
def offer_pairs(s: State, i: int):
    """Offer the pairs of a class and a key; returns the next action. If there are too many, band after band."""
    last = s.action_mask.shape[1] - 1
    many = s.task != PACK
    if many:
        many = bound_pairs(s, i, last) > last
    if many:
        many = visit_pairs(s, i, -1, 0, True) > last
    a = int(0)
    if many:
        wanted = int(0)
        while wanted < 3 and a < last:
            a = visit_pairs(s, i, wanted, a, False)
            wanted += 1
    else:
        a = visit_pairs(s, i, -1, 0, False)
    return wp.min(a, last)


@wp.func
def offer_evictions(s: State, i: int, a: int):
    """Pack: offer to evict a VM of each class, from action a on; returns the next one."""
    next = int(a)
    for c in range(s.class_count[i]):
        v = s.class_vm[i, c]
        if s.class_key[i, c] != NOWHERE and next < s.action_mask.shape[1] - 1:
            if may_evict(s, i, v):
                write(s, i, next, v, -1, 2, 0, 0)
                s.action_class[i, next] = c
                s.action_key[i, next] = -1
                next += 1
    return next


@wp.func
def offer_classes(s: State, i: int):
    """Offer class moves; returns the next action."""
    survey(s, i)
    a = offer_pairs(s, i)
    if s.task == PACK:
        a = offer_evictions(s, i, a)
    return a
