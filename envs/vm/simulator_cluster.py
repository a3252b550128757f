"""Hosts and the VMs on them: what fits where, and the fragments that are left."""

import warp as wp

from .simulator_state import DYNAMIC, HALF, HARD, MEMORY_SLOT, PACK, SLOT, State


@wp.func
def need_of(s: State, i: int, n: int, residue: int, without: int):
    """Fewest small VMs that leave a node of so many free cores modulo a slot complete, one VM less of a size on it."""
    missing = SLOT - residue
    count = int(0)
    size = int(SLOT - 1)
    while size > 0 and missing > 0:
        there = int(s.small[i, n, size])
        if size == without:
            there -= 1
        if there > 0:
            taken = wp.min(there, (missing + size - 1) // size)
            missing -= taken * size
            count += taken
        size -= 1
    if missing > 0:
        count = HARD
    return wp.min(count, HARD)


@wp.func
def wide_slots_of(s: State, i: int, h: int):
    """VMs of 64 cores that host h has room for."""
    return wp.min(s.free_cores[i, 2 * h] // HALF, s.free_cores[i, 2 * h + 1] // HALF)


@wp.func
def harm_at(s: State, i: int, v: int, n: int):
    """How near to a whole slot the nodes are that VM v would fill at node n: HARD less their need, summed."""
    result = HARD - s.need[i, n]
    if s.doubled[s.instance[i], v] == 1:
        result += HARD - s.need[i, n + 1]
    return result


@wp.func
def note_change(s: State, i: int, h: int):
    """Something has changed on host h: its keys are out of date."""
    if s.key_of_node[i, 2 * h] >= 0:
        s.key_of_node[i, 2 * h] = -1
        s.key_of_node[i, 2 * h + 1] = -1
        s.changed[i, s.changed_count[i]] = h
        s.changed_count[i] = s.changed_count[i] + 1


@wp.func
def give(s: State, i: int, n: int, cores: int, memory: int):
    """Give cores and memory back to node n, or take them where negative."""
    h = n // 2
    free = s.free_cores[i, n]
    memory_free = s.free_memory[i, n]
    wide = wide_slots_of(s, i, h)
    s.free_cores[i, n] = free + cores
    s.free_memory[i, n] = memory_free + memory
    s.fragments[i] = s.fragments[i] + (free + cores) % SLOT - free % SLOT
    s.wide_slots[i] = s.wide_slots[i] + wide_slots_of(s, i, h) - wide
    scraps = (memory_free + memory) % MEMORY_SLOT - memory_free % MEMORY_SLOT
    s.memory_fragments[i] = s.memory_fragments[i] + wp.int64(scraps)
    s.free_total[i] = s.free_total[i] + cores
    s.free_memory_total[i] = s.free_memory_total[i] + wp.int64(memory)
    note_change(s, i, h)  # keys of a node may depend on the other one


@wp.func
def update_need(s: State, i: int, n: int):
    """Find anew how hard node n is to complete."""
    s.need[i, n] = need_of(s, i, n, s.free_cores[i, n] % SLOT, 0)


@wp.func
def exchange(s: State, i: int, v: int, n: int, sign: int):
    """Give what VM v needs back to node n (sign 1), or take it from there (sign -1)."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    give(s, i, n, sign * cores, sign * s.need_memory[b, v])
    if s.doubled[b, v] == 1:
        give(s, i, n + 1, sign * cores, sign * s.need_memory[b, v])
    elif cores < SLOT and s.movable[b, v] == 1:
        s.small[i, n, cores] = s.small[i, n, cores] - sign


@wp.func
def occupy(s: State, i: int, v: int, n: int):
    """Take what VM v needs at node n."""
    exchange(s, i, v, n, -1)
    update_need(s, i, n)
    if s.doubled[s.instance[i], v] == 1:
        update_need(s, i, n + 1)


@wp.func
def vacate(s: State, i: int, v: int, n: int):
    """Give back what VM v has at node n."""
    exchange(s, i, v, n, 1)
    update_need(s, i, n)
    if s.doubled[s.instance[i], v] == 1:
        update_need(s, i, n + 1)


@wp.func
def list_at(s: State, i: int, v: int, n: int):
    """VM v is at node n from now on."""
    b = s.instance[i]
    s.place[i, v] = n
    if s.movable[b, v] == 1:
        f = s.flavor[b, v]
        s.flavor_count[i, n, f] = s.flavor_count[i, n, f] + 1
        last = int(-1)
        u = int(s.node_vm[i, n])
        while u >= 0 and u < v:
            last = u
            u = s.vm_next[i, u]
        s.vm_next[i, v] = u
        if last < 0:
            s.node_vm[i, n] = v
        else:
            s.vm_next[i, last] = v


@wp.func
def unlist(s: State, i: int, v: int):
    """VM v is no longer where it was."""
    b = s.instance[i]
    n = s.place[i, v]
    s.place[i, v] = -1
    if s.movable[b, v] == 1:
        f = s.flavor[b, v]
        s.flavor_count[i, n, f] = s.flavor_count[i, n, f] - 1
        if s.may.shape[1] > 0:
            s.may_count[i] = s.may_count[i] - int(s.may[i, v])
            s.may[i, v] = wp.int8(0)
        last = int(-1)
        u = int(s.node_vm[i, n])
        while u != v:
            last = u
            u = s.vm_next[i, u]
        if last < 0:
            s.node_vm[i, n] = s.vm_next[i, v]
        else:
            s.vm_next[i, last] = s.vm_next[i, v]


@wp.func
def fits(s: State, i: int, v: int, n: int):
    """Whether there is room for VM v at node n."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    memory = s.need_memory[b, v]
    result = s.free_cores[i, n] >= cores and s.free_memory[i, n] >= memory
    if s.doubled[b, v] == 1:
        result = result and s.free_cores[i, n + 1] >= cores and s.free_memory[i, n + 1] >= memory
    return result


@wp.func
def shares(s: State, i: int, code: int, at: int, n: int):
    """Whether node ``at`` is too close to node n for a conflict of this code: the same host, or the same rack."""
    b = s.instance[i]
    result = bool(False)
    if at >= 0:
        result = at // 2 == n // 2
        if code % 2 == 1:
            result = s.rack[b, at // 2] == s.rack[b, n // 2]
    return result


@wp.func
def allowed(s: State, i: int, v: int, n: int):
    """Whether no constraint keeps VM v from node n."""
    b = s.instance[i]
    result = bool(True)
    if s.constraints == 1:
        if s.drained[b, n // 2] == 1:
            result = bool(False)
        k = int(s.conflict_first[b, v])
        last = s.conflict_first[b, v + 1]
        while result and k < last:
            code = s.conflict[b, k]
            if shares(s, i, code, s.place[i, code // 2], n):
                result = bool(False)
            if s.copied[i] == code // 2 and shares(s, i, code, s.copied_to[i], n):
                result = bool(False)
            k += 1
    return result


@wp.func
def is_elsewhere(s: State, i: int, v: int, n: int):
    """Whether node n is not where VM v is already; for a double VM, a host's first node that is not."""
    b = s.instance[i]
    result = s.place[i, v] != n
    if s.doubled[b, v] == 1:
        result = result and n % 2 == 0
    return result


@wp.func
def may_go(s: State, i: int, v: int, n: int):
    """Whether VM v may be put at node n."""
    result = bool(False)
    if is_elsewhere(s, i, v, n):
        if fits(s, i, v, n):
            result = allowed(s, i, v, n)
    return result


@wp.func
def weighted(s: State, i: int):
    """Fragments of cores in hundredths, weighted; their share of the free cores is what is minimised."""
    return s.weight_16 * s.fragments[i] + s.weight_64 * (s.free_total[i] - 2 * HALF * s.wide_slots[i])


@wp.func
def rate(s: State, i: int):
    """The fragment rate in billionths."""
    result = wp.int64(0)
    if s.free_total[i] > 0:
        result = wp.int64(weighted(s, i)) * wp.int64(10_000_000) // wp.int64(s.free_total[i])
    if s.weight_memory > 0 and s.free_memory_total[i] > wp.int64(0):
        share = s.memory_fragments[i] * wp.int64(s.weight_memory) * wp.int64(10_000_000)
        result = result + share // s.free_memory_total[i]
    return result


@wp.func
def penalty(s: State, i: int):
    """Pack: VMs that are not placed, the most important first, then what was moved."""
    b = s.instance[i]
    result = wp.int64(s.migrations[i] + s.evictions[i])
    for k in range(s.unplaced.shape[1]):
        result = result + s.level_weight[b, k] * wp.int64(s.unplaced[i, k])
    return result


@wp.func
def evaluate(s: State, i: int):
    """The objective as things stand."""
    b = s.instance[i]
    result = wp.int64(0)
    if s.task == PACK:
        result = penalty(s, i)
    else:
        result = rate(s, i)
        if s.task == DYNAMIC:
            result = s.integral[i] // wp.int64(wp.max(s.horizon[b], 1))
        result = result + wp.int64(s.cost) * wp.int64(s.migrations[i])
    return result


@wp.func
def left(s: State, i: int):
    """Migrations that the limit still allows."""
    return s.mnl - s.migrations[i] - s.evictions[i] - s.stale_moves[i]
