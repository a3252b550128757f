"""How a server admits by itself, where only the routing is decided."""

import warp as wp

from .simulator_choice import may_join
from .simulator_estimate import (
    free_thousandths,
    is_late,
    log2_of,
    measure_peaks,
    predicted_peak,
    prefill_left,
    service_time,
    slack_of,
)
from .simulator_queue import in_queue
from .simulator_server import admit, could_take, fits
from .simulator_state import FCFS, LOCAL_DEFER, LOCAL_PATIENCE, LOCAL_PEAK, NEVER, State

LOG2_E = wp.constant(wp.int64(1477))  # 1024 times the logarithm of e


@wp.func
def within_peak(s: State, i: int, r: int, q: int):
    """Whether the predicted peak of the memory stays within what local admission heeds."""
    peak = predicted_peak(s, i, r, q)
    return wp.int64(100) * wp.int64(peak) <= wp.int64(LOCAL_PEAK) * wp.int64(s.kv_tokens[s.instance[i], r])


@wp.func
def urgency(s: State, i: int, r: int, q: int):
    """The key that ATC takes the smallest of (Vepsalainen and Morton 1987): log2(service) + max(slack, 0) / patience.

    In 1024ths, so that it is exact; late requests come after all others, the smallest first.
    """
    prefill = prefill_left(s, i, r, q)
    slack = slack_of(s, i, r, q, prefill)
    service = service_time(s, i, r, q, prefill)
    result = log2_of(service)
    if is_late(s, i, q, slack):
        result = NEVER // wp.int64(2) + service
    elif slack < NEVER:
        result = result + slack * LOG2_E // LOCAL_PATIENCE
    return result


@wp.func
def choose_locally(s: State, i: int, r: int):
    """The waiting request that server r admits next by itself; -1 for none."""
    best = int(-1)
    least = NEVER
    for k in range(s.queued[i]):
        q = in_queue(s, i, k)
        if may_join(s, i, r, q) and fits(s, i, r, q):
            s.watched[i, r] = 1
            if s.running[i, r] == 0 or within_peak(s, i, r, q):
                if s.local == FCFS:
                    return q
                key = urgency(s, i, r, q)
                late = key >= NEVER // wp.int64(2)
                if not late or s.running[i, r] == 0 or free_thousandths(s, i, r) >= 10 * LOCAL_DEFER:
                    if key < least:
                        least = key
                        best = q
    return best


@wp.func
def admit_locally(s: State, i: int, r: int):
    """Admit to server r until nobody may join any more."""
    s.watched[i, r] = 0
    if s.closed[i, r] == 1:
        s.watched[i, r] = 1
        return
    going = bool(True)
    while going and s.waiting_here[i, r] > 0 and could_take(s, i, r):
        s.watched[i, r] = 0
        measure_peaks(s, i, r)
        q = choose_locally(s, i, r)
        going = q >= 0
        if going:
            admit(s, i, r, q)
