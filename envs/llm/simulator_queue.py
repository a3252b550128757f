"""Requests as they come and go: arrivals, the queue, when they are due, what is promised to them, flow time."""

import warp as wp

from .simulator_state import AHEAD, FINISHED, NEVER, REJECTED, WAITING, State


@wp.func
def comes_before(s: State, i: int, q: int, p: int):
    """Whether request q stands before p in order of arrival."""
    return s.arrived[i, q] < s.arrived[i, p] or (s.arrived[i, q] == s.arrived[i, p] and q < p)


@wp.func
def is_due_before(s: State, i: int, q: int, p: int):
    """Whether q is due before p; ties in order of arrival."""
    return s.due[i, q] < s.due[i, p] or (s.due[i, q] == s.due[i, p] and comes_before(s, i, q, p))


@wp.func
def in_queue(s: State, i: int, k: int):
    """The k-th of the waiting requests in order of arrival."""
    return s.queue[i, s.queue_first[i] + k]


@wp.func
def in_due(s: State, i: int, k: int):
    """The k-th of the waiting requests by when they are due."""
    return s.by_due[i, s.due_first[i] + k]


@wp.func
def make_room(s: State, i: int):
    """Move both lists to the beginning of their arrays where the end is reached."""
    size = s.queue.shape[1]
    if s.queue_first[i] + s.queued[i] == size:
        for k in range(s.queued[i]):
            s.queue[i, k] = in_queue(s, i, k)
        s.queue_first[i] = 0
    if s.due_first[i] + s.queued[i] == size:
        for k in range(s.queued[i]):
            s.by_due[i, k] = in_due(s, i, k)
        s.due_first[i] = 0


@wp.func
def enqueue(s: State, i: int, q: int):
    """Put a request into the queue, in its places."""
    make_room(s, i)
    begin = s.queue_first[i]
    k = int(begin + s.queued[i])
    while k > begin and comes_before(s, i, q, s.queue[i, wp.max(k - 1, 0)]):
        s.queue[i, k] = s.queue[i, k - 1]
        k -= 1
    s.queue[i, k] = q
    begin = s.due_first[i]
    k = int(begin + s.queued[i])
    while k > begin and is_due_before(s, i, q, s.by_due[i, wp.max(k - 1, 0)]):
        s.by_due[i, k] = s.by_due[i, k - 1]
        k -= 1
    s.by_due[i, k] = q
    s.queued[i] = s.queued[i] + 1
    s.status[i, q] = WAITING


@wp.func
def dequeue(s: State, i: int, q: int):
    """Take a request out of the queue; those before it, which are few as a rule, move up."""
    k = int(s.queue_first[i])
    while s.queue[i, k] != q:
        k += 1
    while k > s.queue_first[i]:
        s.queue[i, k] = s.queue[i, k - 1]
        k -= 1
    s.queue_first[i] = s.queue_first[i] + 1
    k = int(s.due_first[i])
    while s.by_due[i, k] != q:
        k += 1
    while k > s.due_first[i]:
        s.by_due[i, k] = s.by_due[i, k - 1]
        k -= 1
    s.due_first[i] = s.due_first[i] + 1
    s.queued[i] = s.queued[i] - 1


@wp.func
def update_flow(s: State, i: int):
    """Flow time up to now."""
    s.flow[i] = s.flow_done[i] + wp.int64(s.in_system[i]) * s.now[i] - s.arrival_sum[i]


@wp.func
def arrive(s: State, i: int, q: int, time: wp.int64):
    """A request is there."""
    b = s.instance[i]
    s.arrived[i, q] = time
    s.due[i, q] = NEVER
    if s.ttft_target[b, q] > wp.int64(0):
        s.due[i, q] = time + s.ttft_target[b, q]
    elif s.e2e_target[b, q] > wp.int64(0):
        s.due[i, q] = time + s.e2e_target[b, q]
    s.in_system[i] = s.in_system[i] + 1
    s.arrival_sum[i] = s.arrival_sum[i] + time
    c = s.client_of[b, q]
    if s.waits_of[i, c] == 0:  # a client that comes back starts level with those that are there
        least = NEVER
        for other in range(s.waits_of.shape[1]):
            if s.waits_of[i, other] > 0 and s.lifted[i, other] < least:
                least = s.lifted[i, other]
        if least < NEVER and s.lifted[i, c] < least:
            s.lifted[i, c] = least
    s.waits_of[i, c] = s.waits_of[i, c] + 1
    for r in range(s.servers[b]):
        s.asked[i, r] = 0


@wp.func
def miss(s: State, i: int, q: int):
    """A promise to a request is broken; counted once."""
    if s.missed_one[i, q] == 0:
        s.missed_one[i, q] = 1
        s.missed[i] = s.missed[i] + 1


@wp.func
def mark_overdue(s: State, i: int):
    """Count the requests that wait for what was due before now."""
    for k in range(s.queued[i]):
        q = in_due(s, i, k)
        if s.due[i, q] >= s.now[i]:
            break
        if s.emitted[i, q] == 0 or s.ttft_target[s.instance[i], q] == wp.int64(0):
            miss(s, i, q)


@wp.func
def schedule_follow_up(s: State, i: int, q: int):
    """Request q is over: the next one of its session comes after a while."""
    b = s.instance[i]
    child = s.follow_up[b, q]
    if child >= 0:
        time = s.now[i] + s.start_time[b, child]
        s.arrived[i, child] = time
        k = int(s.pending_count[i])
        while k > 0 and comes_before(s, i, s.pending[i, wp.max(k - 1, 0)], child):
            s.pending[i, k] = s.pending[i, k - 1]
            k -= 1
        s.pending[i, k] = child
        s.pending_count[i] = s.pending_count[i] + 1


@wp.func
def end_request(s: State, i: int, q: int, status: int):
    """A request is finished or rejected."""
    b = s.instance[i]
    s.status[i, q] = status
    s.ended[i, q] = s.now[i]
    s.left[i] = s.left[i] - 1
    s.in_system[i] = s.in_system[i] - 1
    s.arrival_sum[i] = s.arrival_sum[i] - s.arrived[i, q]
    s.flow_done[i] = s.flow_done[i] + s.now[i] - s.arrived[i, q]
    c = s.client_of[b, q]
    s.waits_of[i, c] = s.waits_of[i, c] - 1
    if status == FINISHED:
        s.finished[i] = s.finished[i] + 1
    if status == REJECTED:
        s.rejected[i] = s.rejected[i] + 1
        miss(s, i, q)
    schedule_follow_up(s, i, q)


@wp.func
def next_root_time(s: State, i: int):
    """When the next request arrives that follows no other; NEVER if all have."""
    b = s.instance[i]
    result = NEVER
    if s.next_root[i] < s.roots[b]:
        result = s.start_time[b, s.root[b, s.next_root[i]]]
    return result


@wp.func
def next_arrival(s: State, i: int):
    """When the next request arrives, of those whose time is known; NEVER if there is none."""
    result = next_root_time(s, i)
    if s.pending_count[i] > 0:
        result = wp.min(result, s.arrived[i, s.pending[i, s.pending_count[i] - 1]])
    return result


@wp.func
def take_arrival(s: State, i: int):
    """The next request that has arrived by now, made known; -1 if there is none."""
    b = s.instance[i]
    q = int(-1)
    if s.pending_count[i] > 0:
        follower = s.pending[i, s.pending_count[i] - 1]
        if s.arrived[i, follower] <= s.now[i]:
            q = follower
    if s.next_root[i] < s.roots[b]:
        fresh = s.root[b, s.next_root[i]]
        time = s.start_time[b, fresh]
        if time <= s.now[i]:
            first = q < 0
            if q >= 0:
                first = time < s.arrived[i, q] or (time == s.arrived[i, q] and fresh < q)
            if first:
                s.next_root[i] = s.next_root[i] + 1
                arrive(s, i, fresh, time)
                return fresh
    if q >= 0:
        s.pending_count[i] = s.pending_count[i] - 1
        arrive(s, i, q, s.arrived[i, q])
    return q


@wp.func
def clear_requests(s: State, i: int):
    """Forget what happened to the requests of the last episode."""
    b = s.instance[i]
    for q in range(s.requests[b]):
        s.status[i, q] = AHEAD
        s.arrived[i, q] = NEVER
        s.due[i, q] = NEVER
        s.at_server[i, q] = -1
        s.emitted[i, q] = 0
        s.kept[i, q] = 0
        s.last_token[i, q] = wp.int64(-1)
        s.first_token[i, q] = wp.int64(-1)
        s.pause[i, q] = wp.int64(0)
        s.pause_end[i, q] = wp.int64(-1)
        s.pause_server[i, q] = -1
        s.missed_one[i, q] = 0
        s.ended[i, q] = wp.int64(-1)
    for c in range(s.waits_of.shape[1]):
        s.waits_of[i, c] = 0
        s.lifted[i, c] = wp.int64(0)
    s.now[i] = wp.int64(0)
    s.next_root[i] = 0
    s.pending_count[i] = 0
    s.left[i] = s.requests[b]
    s.queued[i] = 0
    s.queue_first[i] = 0
    s.due_first[i] = 0
    s.in_system[i] = 0
    s.arrival_sum[i] = wp.int64(0)
    s.flow_done[i] = wp.int64(0)
    s.flow[i] = wp.int64(0)
    s.missed[i] = 0
    s.finished[i] = 0
    s.rejected[i] = 0
