"""Construction in time with a way to wait, as in Tassel, Gebser and Schekotihin (2023).

Candidates are the jobs that could start at the earliest time at which any could, on whatever machine; the last action
puts all of them off until the next time at which another job could start. Every schedule whose operations start at
their release or when another one ends can be made in this way, so optimal ones are among them.
"""

import warp as wp

from .simulator_limits import start_behind
from .simulator_state import LATEST, State


@wp.func
def choose_now(s: State, i: int):
    """Find who could start first, and when others could; returns the number of candidates, waiting included."""
    n = s.jobs[s.instance[i]]
    time = int(LATEST)
    for j in range(n):
        k = s.next_machine[i, j]
        if k >= 0:
            s.earliest_start[i, j] = wp.max(wp.max(s.arrival[i, j], s.free[i, k]), s.hold[i, j])
            if s.limited == 1:
                s.earliest_start[i, j] = start_behind(s, i, j, k, s.hold[i, j])
            time = wp.min(time, s.earliest_start[i, j])
    later = int(0)
    count = int(0)
    for j in range(n):
        s.action_mask[i, j] = wp.int8(0)
        if s.next_machine[i, j] >= 0:
            if s.earliest_start[i, j] == time:
                s.action_mask[i, j] = wp.int8(1)
                if count == 0:
                    s.only[i] = j
                count += 1
            else:
                later = int(1)
    wait = s.action_mask.shape[1] - 1
    s.action_mask[i, wait] = wp.int8(0)
    if later == 1:
        s.action_mask[i, wait] = wp.int8(1)
        count += 1
    s.focus[i] = -1
    s.time[i] = time
    return count


@wp.func
def next_start(s: State, i: int):
    """The earliest time at which a job could start that cannot start now; LATEST if there is none."""
    later = int(LATEST)
    for j in range(s.jobs[s.instance[i]]):
        if s.next_machine[i, j] >= 0 and s.earliest_start[i, j] > s.time[i]:
            later = wp.min(later, s.earliest_start[i, j])
    return later


@wp.func
def put_off(s: State, i: int):
    """Wait: nothing starts before another job could."""
    later = next_start(s, i)
    for j in range(s.jobs[s.instance[i]]):
        if s.action_mask[i, j] == wp.int8(1):
            s.hold[i, j] = later
            s.bound[i] = wp.max(s.bound[i], later + s.remaining_work[i, j])
