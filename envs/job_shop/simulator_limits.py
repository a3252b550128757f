"""What setup times and windows add to the dynamics; an environment without them takes none of this.

Operations are appended as before, at the earliest start behind what stands on their machine: after the setup from its
last family, between its windows. With insertion an operation goes into the first gap between operations and windows;
setup times are not known there, since an operation would change that of the one behind it.

The choice is that of Giffler and Thompson with what setups change about it (Ovacik and Uzsoy 1994; Artigues, Lopez and
Ayache 2005): with o the operation that can be complete first, at ect*, an operation j of its machine is a candidate if
it could start before o is complete and the machine is set up from o to j. Otherwise o fits before j, which no schedule
gains by leaving out, provided that no setup is longer than the way by another job (the triangle inequality). What
``delta`` narrows is the time at which the machine turns to the job, its start less its setup, or else only those with
the shortest setup could ever be chosen.

Bounds take the least setup into a family, whatever comes before: without the triangle inequality an operation may
start earlier after another one than without it.
"""

import warp as wp

from .simulator_state import LATEST, LEAST, TURNED, State


@wp.func
def when_open(s: State, i: int, k: int, start: int, duration: int):
    """Earliest start from ``start`` on between the windows of machine k."""
    begin = int(start)
    if s.calendars == 1:
        b = s.instance[i]
        w = int(0)
        while w < s.window.shape[2]:
            if begin < s.window[b, k, w, 1] and begin + duration > s.window[b, k, w, 0]:
                begin = s.window[b, k, w, 1]
            w += 1
    return begin


@wp.func
def work_until(s: State, i: int, k: int, start: int, work: int):
    """When machine k, which works from ``start`` on but in its windows, has done ``work`` at the earliest."""
    begin = int(start)
    left = int(work)
    if s.calendars == 1:
        b = s.instance[i]
        w = int(0)
        while w < s.window.shape[2]:
            if s.window[b, k, w, 1] > begin:
                if begin + left <= s.window[b, k, w, 0]:
                    return begin + left
                left -= wp.max(s.window[b, k, w, 0] - begin, 0)
                begin = s.window[b, k, w, 1]
            w += 1
    return begin + left


@wp.func
def setup_into(s: State, i: int, k: int, before: int, j: int):
    """Setup time of machine k into job j from a row of ``setup``: 0 the initial state, 1 + f family f, last the least
    of these.
    """
    if s.setups == 0:
        return 0
    b = s.instance[i]
    return s.setup[b, k, before, s.setup_family[b, j]]


@wp.func
def start_behind(s: State, i: int, j: int, k: int, not_before: int):
    """Earliest start of job j's next operation behind what stands on machine k; notes its setup time."""
    start = wp.max(wp.max(s.arrival[i, j], s.free[i, k]), not_before)
    if s.setups == 1:
        change = setup_into(s, i, k, s.machine_setup[i, k, TURNED], j)
        s.setup_time[i, j] = change
        start = wp.max(start, s.free[i, k] + change)
    return when_open(s, i, k, start, s.processing_time[i, j])


@wp.func
def soonest(s: State, i: int, j: int):
    """With setup times, no later than job j's next operation can start, whatever is put before it."""
    k = s.next_machine[i, j]
    start = wp.max(s.arrival[i, j], s.free[i, k] + setup_into(s, i, k, s.setup.shape[2] - 1, j))
    if s.waits == 1:
        start = wp.max(start, s.hold[i, j])
    return when_open(s, i, k, start, s.processing_time[i, j])


@wp.func
def choose_limited(s: State, i: int):
    """Find the candidates among the jobs' next operations; returns their number."""
    n = s.jobs[s.instance[i]]
    completion = int(LATEST)
    focus = int(-1)
    first = int(-1)
    j = int(0)
    while j < n:
        k = s.next_machine[i, j]
        if k >= 0:
            es = start_behind(s, i, j, k, 0)
            s.earliest_start[i, j] = es
            if es + s.processing_time[i, j] < completion:
                completion = es + s.processing_time[i, j]
                focus = k
                first = j
        j += 1
    time = int(LATEST)
    j = int(0)
    while j < n:
        if s.next_machine[i, j] == focus:
            time = wp.min(time, turn(s, i, j))
        j += 1
    count = int(0)
    j = int(0)
    while j < n:
        s.action_mask[i, j] = wp.int8(0)
        if s.next_machine[i, j] == focus and reachable(s, i, j, first, completion, time):
            s.action_mask[i, j] = wp.int8(1)
            if count == 0:
                s.only[i] = j
            count += 1
        j += 1
    s.focus[i] = focus
    s.time[i] = time
    return count


@wp.func
def turn(s: State, i: int, j: int):
    """When the machine turns to job j's next operation: its earliest start, less its setup time."""
    if s.setups == 0:
        return s.earliest_start[i, j]
    return s.earliest_start[i, j] - s.setup_time[i, j]


@wp.func
def reachable(s: State, i: int, j: int, first: int, completion: int, time: int):
    """Whether job j is a candidate beside job ``first``, which can be complete first."""
    at = turn(s, i, j)
    if at == time:
        return True
    es = s.earliest_start[i, j]
    before = int(0)
    if s.setups == 1:
        before = 1 + s.setup_family[s.instance[i], first]
    ready = completion + setup_into(s, i, s.next_machine[i, j], before, j)
    # With lengths of zero, the operations that start and that complete first may not satisfy es < ready.
    soon = es < ready or es + s.processing_time[i, j] == completion
    reach = wp.int64(ready - (es - at) - time) * wp.int64(s.delta)
    return soon and wp.int64(at - time) * wp.int64(1_000_000) <= reach


@wp.func
def set_up(s: State, i: int, j: int, k: int):
    """Machine k is set up for job j's operation, which is committed there."""
    if s.setups == 1:
        least = setup_into(s, i, k, s.setup.shape[2] - 1, j)
        s.machine_setup[i, k, TURNED] = 1 + s.setup_family[s.instance[i], j]
        s.machine_setup[i, k, LEAST] = s.machine_setup[i, k, LEAST] - least


@wp.func
def bound_through(s: State, i: int, k: int):
    """When machine k has done what is still to come at the earliest, in its windows and with the least setups."""
    through = work_until(s, i, k, s.free[i, k], s.load[i, k])
    if s.setups == 1:
        through = wp.max(through, s.free[i, k] + s.load[i, k] + s.machine_setup[i, k, LEAST])
    return through


@wp.func
def begin_limits(s: State, i: int):
    """Nothing is set up, all least setups are to come, and first operations start between the windows."""
    b = s.instance[i]
    first = int(0)
    while first < s.jobs[b]:
        k0 = s.next_machine[i, first]
        s.earliest_start[i, first] = when_open(s, i, k0, s.release[b, first], s.processing_time[i, first])
        first += 1
    k = int(0)
    while k < s.machines[b] and s.setups == 1:
        s.machine_setup[i, k, TURNED] = 0
        s.machine_setup[i, k, LEAST] = 0
        k += 1
    j = int(0)
    while j < s.setup_time.shape[1]:
        s.setup_time[i, j] = 0
        j += 1
    j = int(0)
    while j < s.jobs[b] and s.setups == 1:
        o = int(0)
        while o < s.operations[b, j]:
            m = s.machine[b, j, o]
            least = setup_into(s, i, m, s.setup.shape[2] - 1, j)
            s.machine_setup[i, m, LEAST] = s.machine_setup[i, m, LEAST] + least
            o += 1
        j += 1
