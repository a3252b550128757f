"""The candidates of a decision: requests that may join the batch of a server, or servers a request may go to."""

import warp as wp

from .simulator_batch import charge_everybody, emitted_by, held_by
from .simulator_estimate import (
    clipped,
    due_in,
    free_thousandths,
    hit_tokens,
    is_late,
    measure_peaks,
    predicted_left,
    predicted_peak,
    prefill_left,
    prefill_time,
    service_time,
    slack_of,
)
from .simulator_queue import in_due, in_queue, mark_overdue, next_arrival
from .simulator_server import could_take, fits, prefill_of
from .simulator_state import (
    ADMIT,
    BY_ARRIVAL,
    BY_DEADLINE,
    CONTINUE,
    LARGEST,
    MOORE_HODGSON,
    NEVER,
    REJECT,
    ROUTING,
    STOP,
    State,
)


@wp.func
def offer_nothing(s: State, i: int):
    """Make every candidate illegal."""
    for a in range(s.shown[i]):
        s.action_mask[i, a] = wp.int8(0)
    s.shown[i] = 0
    s.offered[i] = 0


@wp.func
def add_row(s: State, i: int, kind: int, q: int, r: int):
    """Add a candidate; returns its row."""
    a = wp.min(s.shown[i], s.action_mask.shape[1] - 1)
    s.kind[i, a] = kind
    s.request_at[i, a] = q
    s.server[i, a] = r
    s.action_mask[i, a] = wp.int8(1)
    s.shown[i] = a + 1
    s.offered[i] = s.offered[i] + 1
    return a


@wp.func
def may_join(s: State, i: int, r: int, q: int):
    """Whether waiting request q may be on server r at all."""
    bound = s.control == ROUTING or s.kept[i, q] > 0
    return not bound or s.at_server[i, q] == r


@wp.func
def describe(s: State, i: int, a: int, q: int, r: int):
    """The columns about a request, and about it on a server."""
    b = s.instance[i]
    prefill = prefill_left(s, i, r, q)
    slack = slack_of(s, i, r, q, prefill)
    answer = predicted_left(s, i, q)
    whole = prefill_of(s, i, q)
    s.waited[i, a] = clipped(s.now[i] - s.arrived[i, q])
    s.head[i, a] = 0
    s.prompt[i, a] = s.prompt_tokens[b, q]
    s.prefill[i, a] = prefill
    s.hit[i, a] = hit_tokens(s, i, r, q)
    s.predicted[i, a] = answer
    s.output[i, a] = s.output_tokens[b, q] - s.emitted[i, q]
    s.service[i, a] = clipped(service_time(s, i, r, q, prefill))
    s.kv_time[i, a] = clipped(wp.int64(answer) * (wp.int64(whole) + wp.int64(answer // 2)))
    s.due_in[i, a] = clipped(due_in(s, i, q))
    s.slack[i, a] = clipped(slack)
    s.late[i, a] = 0
    if is_late(s, i, q, slack):
        s.late[i, a] = 1
    s.level[i, a] = s.level_of[b, q]
    s.client[i, a] = s.client_of[b, q]
    s.counter[i, a] = clipped(s.lifted[i, s.client_of[b, q]])
    s.attained[i, a] = s.emitted[i, q] + s.kept[i, q]
    s.peak[i, a] = int(wp.int64(1000) * wp.int64(predicted_peak(s, i, r, q)) // wp.int64(s.kv_tokens[b, r]))


@wp.func
def describe_server(s: State, i: int, a: int, r: int):
    """The columns about a server alone."""
    b = s.instance[i]
    fastest = s.speed[b, 0]
    for other in range(1, s.servers[b]):
        fastest = wp.min(fastest, s.speed[b, other])
    s.free[i, a] = free_thousandths(s, i, r)
    s.free_tokens[i, a] = (s.blocks[b, r] - s.owned[i, r] - s.pinned[i, r]) * s.block_size[b, r]
    s.batch[i, a] = s.running[i, r]
    s.backlog[i, a] = s.prefilling[i, r] + s.waiting_prefill[i, r]
    s.in_queue[i, a] = s.waiting_here[i, r]
    s.slowness[i, a] = int(wp.int64(1000) * wp.int64(s.speed[b, r]) // wp.int64(wp.max(fastest, 1)))


@wp.func
def show_stop(s: State, i: int, r: int, kind: int, q: int):
    """Offer to go on without another request; on a preemptive server, with request q that runs."""
    a = add_row(s, i, kind, q, r)
    s.waited[i, a] = 0
    s.head[i, a] = 0
    s.prompt[i, a] = 0
    s.prefill[i, a] = 0
    s.hit[i, a] = 0
    s.predicted[i, a] = 0
    s.output[i, a] = 0
    s.service[i, a] = 0
    s.kv_time[i, a] = 0
    s.due_in[i, a] = LARGEST
    s.slack[i, a] = LARGEST
    s.late[i, a] = 0
    s.level[i, a] = 0
    s.client[i, a] = -1
    s.counter[i, a] = 0
    s.attained[i, a] = 0
    s.peak[i, a] = 0
    if q >= 0:  # it is described as if it were put aside now
        before = s.emitted[i, q]
        s.emitted[i, q] = emitted_by(s, i, r, 0)
        s.kept[i, q] = held_by(s, i, r, 0)
        describe(s, i, a, q, r)
        s.emitted[i, q] = before
        s.kept[i, q] = 0
        b = s.instance[i]
        peak = s.peak_before[i, s.running[i, r]] + s.pinned[i, r] * s.block_size[b, r]  # it is among those that run
        s.peak[i, a] = int(wp.int64(1000) * wp.int64(peak) // wp.int64(s.kv_tokens[b, r]))
    describe_server(s, i, a, r)
    rest_of_row(s, i, a)


@wp.func
def rest_of_row(s: State, i: int, a: int):
    """The columns that only routing fills."""
    s.ttft[i, a] = 0
    s.ect[i, a] = 0
    s.turn[i, a] = 0
    s.hash_rank[i, a] = 0
    s.draw[i, a] = 0
    s.last_here[i, a] = 0


@wp.func
def show_request(s: State, i: int, r: int, q: int, kind: int):
    """Offer a waiting request."""
    a = add_row(s, i, kind, q, r)
    describe(s, i, a, q, r)
    if s.queued[i] > 0:
        s.head[i, a] = int(in_queue(s, i, 0) == q)
    describe_server(s, i, a, r)
    rest_of_row(s, i, a)


@wp.func
def passes(s: State, i: int, r: int, q: int):
    """Whether the predicted peak of the memory with request q is within the limit; an empty server takes anybody."""
    if s.past_future == 0 or s.running[i, r] == 0:
        return True
    peak = predicted_peak(s, i, r, q)
    return wp.int64(100) * wp.int64(peak) <= wp.int64(s.past_future) * wp.int64(s.kv_tokens[s.instance[i], r])


@wp.func
def room(s: State, i: int):
    """Requests that may still be offered, two late ones aside."""
    return s.choice - s.shown[i]


@wp.func
def offer_by_deadline(s: State, i: int, r: int):
    """Those that can still be in time, by when they are due; then the smallest and the oldest of the late ones."""
    smallest = int(-1)
    oldest = int(-1)
    least = NEVER
    k = int(0)
    while k < s.queued[i] and room(s, i) > 0:
        q = in_due(s, i, k)
        k += 1
        if may_join(s, i, r, q) and fits(s, i, r, q):
            s.watched[i, r] = 1
            if passes(s, i, r, q):
                prefill = prefill_left(s, i, r, q)
                if is_late(s, i, q, slack_of(s, i, r, q, prefill)):
                    service = service_time(s, i, r, q, prefill)
                    if service < least:
                        least = service
                        smallest = q
                    if oldest < 0 or s.arrived[i, q] < s.arrived[i, wp.max(oldest, 0)]:
                        oldest = q
                else:
                    show_request(s, i, r, q, ADMIT)
    if smallest >= 0 and (s.running[i, r] == 0 or free_thousandths(s, i, r) >= 10 * s.defer):
        show_request(s, i, r, smallest, ADMIT)
        if oldest != smallest:
            show_request(s, i, r, oldest, ADMIT)


@wp.func
def offer_by_arrival(s: State, i: int, r: int):
    """First come, late or not."""
    k = int(0)
    while k < s.queued[i] and room(s, i) > 0:
        q = in_queue(s, i, k)
        k += 1
        if may_join(s, i, r, q) and fits(s, i, r, q):
            s.watched[i, r] = 1
            if passes(s, i, r, q):
                show_request(s, i, r, q, ADMIT)


@wp.func
def schedule_moore_hodgson(s: State, i: int, r: int):
    """Mark the requests that the schedule with the fewest late ones keeps (Moore 1968).

    By when they are due, each is taken in; whenever one then comes too late, the largest of those taken in is dropped.
    """
    s.moore_stamp[i] = s.moore_stamp[i] + 1
    kept = int(0)
    tokens = s.prefilling[i, r]
    for k in range(s.queued[i]):
        q = in_due(s, i, k)
        if may_join(s, i, r, q) and s.emitted[i, q] == 0:
            s.moore_kept[i, kept] = q
            kept += 1
            tokens += prefill_left(s, i, r, q)
            if s.due[i, q] < NEVER and prefill_time(s, i, r, tokens) > due_in(s, i, q):
                most = wp.int64(-1)
                place = int(0)
                for j in range(kept):
                    other = s.moore_kept[i, j]
                    service = service_time(s, i, r, other, prefill_left(s, i, r, other))
                    if service > most:
                        most = service
                        place = j
                tokens -= prefill_left(s, i, r, s.moore_kept[i, place])
                kept -= 1
                for j in range(place, kept):
                    s.moore_kept[i, j] = s.moore_kept[i, j + 1]
    for j in range(kept):
        s.moore_mark[i, s.moore_kept[i, j]] = s.moore_stamp[i]


@wp.func
def offer_moore_hodgson(s: State, i: int, r: int):
    """Those that the schedule keeps, by when they are due, then the others."""
    schedule_moore_hodgson(s, i, r)
    for part in range(2):
        k = int(0)
        while k < s.queued[i] and room(s, i) > 0:
            q = in_due(s, i, k)
            k += 1
            kept = s.moore_mark[i, q] == s.moore_stamp[i]
            if kept == (part == 0) and may_join(s, i, r, q) and fits(s, i, r, q):
                s.watched[i, r] = 1
                free = s.running[i, r] == 0 or free_thousandths(s, i, r) >= 10 * s.defer
                if (kept or free) and passes(s, i, r, q):
                    show_request(s, i, r, q, ADMIT)
                    s.late[i, s.shown[i] - 1] = part


@wp.func
def offer_rejections(s: State, i: int, r: int):
    """The request that is due first, and the largest of those that wait, may be turned away."""
    largest = int(-1)
    most = wp.int64(-1)
    for k in range(s.queued[i]):
        q = in_queue(s, i, k)
        service = service_time(s, i, r, q, prefill_left(s, i, r, q))
        if service > most:
            most = service
            largest = q
    first = in_due(s, i, 0)
    show_request(s, i, r, first, REJECT)
    if largest != first:
        show_request(s, i, r, largest, REJECT)


@wp.func
def nothing_else_comes(s: State, i: int):
    """Whether nothing will happen any more unless somebody is admitted."""
    result = next_arrival(s, i)
    for r in range(s.servers[s.instance[i]]):
        result = wp.min(result, s.busy_until[i, r])
    return result == NEVER


@wp.func
def offer_requests(s: State, i: int, r: int):
    """Offer the waiting requests to server r; returns how many candidates there are, 0 where there is no decision."""
    b = s.instance[i]
    offer_nothing(s, i)
    s.watched[i, r] = 0
    if s.queued[i] == 0:
        return 0
    if s.closed[i, r] == 1:
        s.watched[i, r] = 1
        return 0
    changes = s.preemptive[b, r] == 1 and s.running[i, r] == 1
    if changes:
        if s.asked[i, r] == 1:
            return 0
    elif not could_take(s, i, r):
        if s.may_reject == 1:
            s.watched[i, r] = 1
        return 0
    mark_overdue(s, i)
    measure_peaks(s, i, r)
    charge_everybody(s, i)
    if s.order == BY_DEADLINE:
        offer_by_deadline(s, i, r)
    elif s.order == BY_ARRIVAL:
        offer_by_arrival(s, i, r)
    elif s.order == MOORE_HODGSON:
        offer_moore_hodgson(s, i, r)
    may_stop = s.may_stop == 1 or s.offered[i] == 0
    if s.running[i, r] == 0 and nothing_else_comes(s, i):
        may_stop = False
    if s.may_reject == 1:
        s.watched[i, r] = 1
        offer_rejections(s, i, r)
    if s.offered[i] > 0:
        if changes:
            show_stop(s, i, r, CONTINUE, s.slot_request[i, r, 0])
        elif may_stop:
            show_stop(s, i, r, STOP, -1)
    return s.offered[i]
