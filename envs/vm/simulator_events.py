"""What happens to VMs: they are moved, placed and evicted, and in dynamic clusters they come and go as time passes.

At equal times departures come first, then the end of a copy, then arrivals; each by the number of the VM.
"""

import warp as wp

from .simulator_cluster import left, list_at, may_go, occupy, rate, unlist, vacate
from .simulator_state import DYNAMIC, LATEST, SLOT, State


@wp.func
def note(s: State, i: int, v: int, n: int, start: int, end: wp.int64):
    """Enter what is done in the schedule."""
    k = s.log_count[i]
    s.log_vm[i, k] = v
    s.log_node[i, k] = n
    s.log_start[i, k] = start
    s.log_end[i, k] = end
    s.log_count[i] = k + 1


@wp.func
def begin_work(s: State, i: int, n: int):
    """Remember that a slot is being freed on a node that a VM has left, unless it is complete."""
    s.touched[i, n] = int(s.free_cores[i, n] % SLOT != 0)


@wp.func
def leave(s: State, i: int, v: int, n: int):
    """VM v leaves node n by a migration."""
    vacate(s, i, v, n)
    begin_work(s, i, n)
    if s.doubled[s.instance[i], v] == 1:
        begin_work(s, i, n + 1)


@wp.func
def arrive(s: State, i: int, v: int, n: int):
    """VM v gets node n."""
    occupy(s, i, v, n)
    s.touched[i, n] = 0
    if s.doubled[s.instance[i], v] == 1:
        s.touched[i, n + 1] = 0


@wp.func
def let_time_pass(s: State, i: int, t: int):
    """Nothing happens until t."""
    if t > s.now[i]:
        s.integral[i] = s.integral[i] + rate(s, i) * wp.int64(t - s.now[i])
        s.now[i] = t


@wp.func
def end_copy(s: State, i: int):
    """The VM that is being copied is now where it goes to, and no longer where it was."""
    v = s.copied[i]
    leave(s, i, v, s.place[i, v])
    unlist(s, i, v)
    list_at(s, i, v, s.copied_to[i])
    s.copied[i] = -1


@wp.func
def end_work(s: State, i: int, v: int, n: int):
    """Where VM v was, work that its end has completed is over."""
    for side in range(1 + s.doubled[s.instance[i], v]):
        if s.free_cores[i, n + side] % SLOT == 0:
            s.touched[i, n + side] = 0


@wp.func
def depart(s: State, i: int, v: int):
    """VM v ends, also while it is being copied; one that was rejected is not there."""
    if s.place[i, v] >= 0:
        n = s.place[i, v]
        vacate(s, i, v, n)
        end_work(s, i, v, n)
        unlist(s, i, v)
        if s.copied[i] == v:
            vacate(s, i, v, s.copied_to[i])
            end_work(s, i, v, s.copied_to[i])
            s.copied[i] = -1


@wp.func
def admit(s: State, i: int, v: int):
    """VM v arrives and is placed best-fit: where the fewest free cores are, of both nodes for a double VM."""
    b = s.instance[i]
    best = int(-1)
    least = int(LATEST)
    n = int(0)
    n_end = 2 * s.hosts[b]
    while n < n_end:
        room = s.free_cores[i, n]
        if s.doubled[b, v] == 1:
            room = LATEST
            if n % 2 == 0:
                room = s.free_cores[i, n] + s.free_cores[i, n + 1]
        if room < least:
            if may_go(s, i, v, n):
                best = n
                least = room
        n += 1
    if best >= 0:
        arrive(s, i, v, best)
        list_at(s, i, v, best)
    else:
        s.rejected[i] = s.rejected[i] + 1


@wp.func
def next_time(s: State, i: int):
    """When something happens next."""
    b = s.instance[i]
    result = int(LATEST)
    if s.next_event[i] < s.events[b]:
        result = s.event_time[b, s.next_event[i]]
    if s.copied[i] >= 0:
        result = wp.min(result, s.copied_at[i])
    return result


@wp.func
def happen(s: State, i: int):
    """Let the next thing happen."""
    b = s.instance[i]
    t = next_time(s, i)
    let_time_pass(s, i, t)
    code = int(1)
    if s.next_event[i] < s.events[b]:
        if s.event_time[b, s.next_event[i]] == t:
            code = s.event[b, s.next_event[i]]
        else:
            code = -1
    else:
        code = -1
    if s.copied[i] >= 0 and s.copied_at[i] == t and (code < 0 or code % 2 == 1):
        end_copy(s, i)
    else:
        s.next_event[i] = s.next_event[i] + 1
        if code % 2 == 1:
            admit(s, i, code // 2)
        else:
            depart(s, i, code // 2)


@wp.func
def pass_to(s: State, i: int, t: int):
    """Let everything happen until t, before the horizon."""
    last = wp.min(t, s.horizon[s.instance[i]] - 1)
    while next_time(s, i) <= last:
        happen(s, i)
    let_time_pass(s, i, wp.min(t, s.horizon[s.instance[i]]))


@wp.func
def is_over(s: State, i: int):
    """Whether the horizon is reached."""
    return s.now[i] >= s.horizon[s.instance[i]]


@wp.func
def wait(s: State, i: int):
    """Let time pass until something has happened; at the end of it all, to the horizon."""
    pass_to(s, i, wp.min(next_time(s, i), s.horizon[s.instance[i]]))


@wp.func
def copy(s: State, i: int, v: int, n: int):
    """Begin to migrate VM v to node n, and wait until it is done or the VM has gone."""
    b = s.instance[i]
    t = s.now[i]
    duration = wp.int64(0)
    if s.copy_rate > 0:
        rate_of_copy = wp.int64(s.copy_rate)
        duration = (wp.int64(s.memory[b, v]) * wp.int64(1000) + rate_of_copy - wp.int64(1)) // rate_of_copy
    s.migrations[i] = s.migrations[i] + 1
    note(s, i, v, n, t, wp.int64(t) + duration)
    arrive(s, i, v, n)
    s.copied[i] = v
    s.copied_to[i] = n
    s.copied_at[i] = int(wp.min(wp.int64(t) + duration, wp.int64(LATEST)))  # beyond any horizon is late enough
    if duration == wp.int64(0):
        end_copy(s, i)
    last = s.horizon[b] - 1
    while s.copied[i] >= 0 and next_time(s, i) <= last:
        happen(s, i)
    if s.copied[i] >= 0:
        let_time_pass(s, i, s.horizon[b])
    else:
        pass_to(s, i, s.now[i])  # what else happens at that time


@wp.func
def migrate(s: State, i: int, v: int, n: int):
    """Move VM v to node n: at once, or in a dynamic cluster after the latency, if it still can be."""
    if s.task == DYNAMIC:
        pass_to(s, i, s.now[i] + s.latency)
        if not is_over(s, i):
            there = s.place[i, v] >= 0
            if there:
                there = may_go(s, i, v, n)
            if there:
                copy(s, i, v, n)
            else:
                s.stale_moves[i] = s.stale_moves[i] + 1
                note(s, i, v, n, s.now[i], wp.int64(s.now[i]))
    else:
        note(s, i, v, n, s.log_count[i], wp.int64(s.log_count[i]))
        leave(s, i, v, s.place[i, v])
        unlist(s, i, v)
        arrive(s, i, v, n)
        list_at(s, i, v, n)
        s.migrations[i] = s.migrations[i] + 1


@wp.func
def put(s: State, i: int, v: int, n: int):
    """Pack: place VM v at node n."""
    note(s, i, v, n, s.log_count[i], wp.int64(s.log_count[i]))
    arrive(s, i, v, n)
    list_at(s, i, v, n)
    level = s.level[s.instance[i], v]
    s.unplaced[i, level] = s.unplaced[i, level] - 1


@wp.func
def evict(s: State, i: int, v: int):
    """Pack: take VM v off its node."""
    note(s, i, v, -1, s.log_count[i], wp.int64(s.log_count[i]))
    n = s.place[i, v]
    vacate(s, i, v, n)
    end_work(s, i, v, n)
    unlist(s, i, v)
    s.evicted[i, v] = 1
    level = s.level[s.instance[i], v]
    s.unplaced[i, level] = s.unplaced[i, level] + 1
    s.evictions[i] = s.evictions[i] + 1


@wp.func
def may_evict(s: State, i: int, v: int):
    """Pack: whether VM v may be evicted: something more important is not placed."""
    b = s.instance[i]
    result = bool(False)
    if s.place[i, v] >= 0 and s.movable[b, v] == 1 and s.evicted[i, v] == 0 and left(s, i) > 0:
        for level in range(s.level[b, v] + 1, s.unplaced.shape[1]):
            if s.unplaced[i, level] > 0:
                result = bool(True)
    return result
