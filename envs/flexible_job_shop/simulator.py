"""The dynamics of the flexible job shop, as scalar functions about one environment.

A decision commits the next operation of one job to one machine: action ``job * machines + machine``, machines being the
padded number. It is appended to the machine at its earliest start, when the job has arrived and the machine is free.
Which pairs may be chosen is the *construction*. Let t be the smallest earliest start of a pair and c the smallest
earliest finish:

- ``delta`` in [0, 1]: pairs that start before c and no later than t + delta * (c - t). ``delta = 0`` are those that
  could start first, as in Song et al. (2023) and Wang et al. (2023): no operation waits for a machine while another one
  that could run it is idle, which may exclude every optimum. ``delta = 1`` extends Giffler and Thompson (1960) to
  pairs: if nothing of a schedule started before c, the operation that finishes at c could be moved there without harm;
  so some optimal schedule is among them. There is no focus machine: an operation need not run where it finishes first.
- wait (as Tassel et al. 2023): the pairs that could start first, or none of them until another one could.

The reward of a step is the decrease of a lower bound of the makespan divided by the bound at the start, so that an
episode's return is 1 - makespan / initial bound, exactly in integers. It is the largest of three: the end of a job and
the shortest times of what it has to come; the end of a machine, the operations to come that no other machine can run
and the least work after one of them; and the mean over machines of when they are available and what is to come at its
shortest (rounded up). With operations committed it only grows, and when all are committed it is the makespan.
"""

import warp as wp

from .simulator_state import ALTERNATIVES, LATEST, LEAST, LOAD, MEAN, NUMBER, ONLY, SHORTEST, State


@wp.func
def refit(s: State, i: int, first: int, apart: int, count: int):
    """Earliest starts and finishes of ``count`` rows, ``apart`` from each other: those of a job or of a machine.

    It is one loop since a function that is not inlined is handed a copy of the struct.
    """
    a = int(first)
    n = int(0)
    while n < count:
        free = s.available[i, a % s.available.shape[1]]
        s.free[i, a] = free
        s.earliest_start[i, a] = 0
        s.earliest_finish[i, a] = 0
        if s.next_machine[i, a] >= 0:
            start = wp.max(s.arrival[i, a], free)
            s.earliest_start[i, a] = start
            s.earliest_finish[i, a] = start + s.processing_time[i, a]
        a += apart
        n += 1


@wp.func
def look_at(s: State, i: int, j: int, arrival: int):
    """Fill the rows of job j, which is ready at ``arrival``, for its next operation."""
    b = s.instance[i]
    o = s.next_operation[i, j]
    rest = s.operations[b, j] - o
    k = int(0)
    while k < s.machines[b]:
        a = j * s.available.shape[1] + k
        s.next_machine[i, a] = -1
        s.processing_time[i, a] = 0
        s.shortest_time[i, a] = 0
        s.alternatives[i, a] = 0
        s.remaining_work[i, a] = 0
        s.least_work[i, a] = 0
        s.remaining_operations[i, a] = rest
        s.arrival[i, a] = arrival
        if rest > 0:
            s.shortest_time[i, a] = s.ahead[b, j, o, SHORTEST]
            s.alternatives[i, a] = s.ahead[b, j, o, ALTERNATIVES]
            s.remaining_work[i, a] = s.ahead[b, j, o, MEAN]
            s.least_work[i, a] = s.ahead[b, j, o, LEAST]
            if s.duration[b, j, o, k] >= 0:
                s.next_machine[i, a] = k
                s.processing_time[i, a] = s.duration[b, j, o, k]
        k += 1
    refit(s, i, j * s.available.shape[1], 1, s.machines[b])


@wp.func
def find_first(s: State, i: int):
    """Smallest earliest start and smallest earliest finish of a pair."""
    b = s.instance[i]
    time = int(LATEST)
    finish = int(LATEST)
    j = int(0)
    while j < s.jobs[b]:
        if s.next_operation[i, j] < s.operations[b, j]:
            a = int(j * s.available.shape[1])
            last = a + s.machines[b]
            while a < last:
                if s.next_machine[i, a] >= 0:
                    time = wp.min(time, s.earliest_start[i, a])
                    finish = wp.min(finish, s.earliest_finish[i, a])
                a += 1
        j += 1
    return time, finish


@wp.func
def mark(s: State, i: int, time: int, finish: int):
    """Mark the candidates, and count them for each job and machine; returns their number."""
    b = s.instance[i]
    reach = wp.int64(finish - time) * wp.int64(s.delta)
    count = int(0)
    k = int(0)
    while k < s.machines[b]:
        s.rivals[i, k] = 0
        k += 1
    j = int(0)
    while j < s.jobs[b]:
        found = int(0)
        a = int(j * s.available.shape[1])
        k = int(0)
        while k < s.machines[b]:
            s.action_mask[i, a] = wp.int8(0)
            if s.next_machine[i, a] >= 0:
                es = s.earliest_start[i, a]
                # With times of zero, the pairs that start and that finish first may not satisfy es < finish.
                soon = es < finish or s.earliest_finish[i, a] == finish
                if es == time or (soon and wp.int64(es - time) * wp.int64(1_000_000) <= reach):
                    s.action_mask[i, a] = wp.int8(1)
                    if count == 0:
                        s.only[i] = a
                    count += 1
                    found += 1
                    s.rivals[i, k] = s.rivals[i, k] + 1
            a += 1
            k += 1
        s.chances[i, j] = found
        j += 1
    return count


@wp.func
def starts_later(s: State, i: int, time: int):
    """The earliest time after ``time`` at which a pair could start; LATEST if there is none."""
    b = s.instance[i]
    later = int(LATEST)
    j = int(0)
    while j < s.jobs[b]:
        a = int(j * s.available.shape[1])
        last = a + s.machines[b]
        while a < last:
            if s.next_machine[i, a] >= 0 and s.earliest_start[i, a] > time:
                later = wp.min(later, s.earliest_start[i, a])
            a += 1
        j += 1
    return later


@wp.func
def choose(s: State, i: int):
    """Find the candidates; returns their number, waiting included."""
    if s.left[i] == 0:
        a = int(0)
        while a < s.action_mask.shape[1]:
            s.action_mask[i, a] = wp.int8(0)
            a += 1
        return 0
    time, finish = find_first(s, i)
    s.time[i] = time
    count = mark(s, i, time, finish)
    if s.waits == 1:
        wait = s.action_mask.shape[1] - 1
        s.action_mask[i, wait] = wp.int8(0)
        if starts_later(s, i, time) < LATEST:
            s.action_mask[i, wait] = wp.int8(1)
            count += 1
    return count


@wp.func
def alone(s: State, i: int):
    """A candidate that shares neither its job nor its machine with another one; -1 if there is none.

    Of non-delay schedules it must be taken sooner or later, and it does not matter when.
    """
    b = s.instance[i]
    j = int(0)
    while j < s.jobs[b]:
        if s.chances[i, j] == 1:
            k = int(0)
            while k < s.machines[b]:
                a = j * s.available.shape[1] + k
                if s.action_mask[i, a] == wp.int8(1) and s.rivals[i, k] == 1:
                    return a
                k += 1
        j += 1
    return -1


@wp.func
def mean_bound(s: State, i: int):
    """The makespan if all machines ended together, rounded up."""
    m = wp.int64(s.machines[s.instance[i]])
    return int((s.energy[i] + m - wp.int64(1)) // m)


@wp.func
def commit(s: State, i: int, a: int):
    """Append pair a to its machine and update what follows from it."""
    b = s.instance[i]
    j = a // s.available.shape[1]
    k = a % s.available.shape[1]
    o = s.next_operation[i, j]
    end = s.earliest_finish[i, a]
    s.start[i, j, o] = s.earliest_start[i, a]
    s.ran_on[i, j, o] = k
    s.next_operation[i, j] = o + 1
    s.energy[i] = s.energy[i] + wp.int64(end - s.available[i, k] - s.ahead[b, j, o, SHORTEST])
    s.available[i, k] = end
    only = s.ahead[b, j, o, ONLY]
    if only >= 0:
        s.bound_to[i, only, LOAD] = s.bound_to[i, only, LOAD] - s.ahead[b, j, o, SHORTEST]
        s.bound_to[i, only, NUMBER] = s.bound_to[i, only, NUMBER] - 1
    s.left[i] = s.left[i] - 1
    look_at(s, i, j, end)
    refit(s, i, k, s.available.shape[1], s.jobs[b])
    bound = wp.max(s.bound[i], end + s.least_work[i, a])
    if s.bound_to[i, k, NUMBER] > 0:
        bound = wp.max(bound, end + s.bound_to[i, k, LOAD] + s.least_tail[b, k])
    s.bound[i] = wp.max(bound, mean_bound(s, i))


@wp.func
def put_off(s: State, i: int):
    """Wait: all machines are idle until another pair could start."""
    b = s.instance[i]
    later = starts_later(s, i, s.time[i])
    bound = s.bound[i]
    k = int(0)
    while k < s.machines[b]:
        if s.available[i, k] < later:
            s.energy[i] = s.energy[i] + wp.int64(later - s.available[i, k])
            s.available[i, k] = later
            refit(s, i, k, s.available.shape[1], s.jobs[b])
            if s.bound_to[i, k, NUMBER] > 0:
                bound = wp.max(bound, later + s.bound_to[i, k, LOAD] + s.least_tail[b, k])
        k += 1
    j = int(0)
    while j < s.jobs[b]:
        if s.next_operation[i, j] < s.operations[b, j]:
            a = j * s.available.shape[1]
            bound = wp.max(bound, wp.max(s.arrival[i, a], later) + s.least_work[i, a])
        j += 1
    s.bound[i] = wp.max(bound, mean_bound(s, i))


@wp.func
def settle(s: State, i: int):
    """Find the candidates; apply moves without an alternative until there is a choice or the end."""
    count = choose(s, i)
    if s.forced_moves == 1:
        forced = int(0)
        while forced >= 0:
            forced = int(-1)
            if count == 1:
                forced = s.only[i]
            elif count > 1 and s.delta == 0 and s.waits == 0:
                forced = alone(s, i)
            if forced >= 0:
                commit(s, i, forced)
                count = choose(s, i)
    if s.left[i] == 0:
        s.terminated[i] = wp.int8(1)
        if s.steps[i] == 0:
            # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
            s.action_mask[i, 0] = wp.int8(1)


@wp.func
def clear_rows(s: State, i: int):
    """Blank all rows, those of padding and of waiting among them."""
    a = int(0)
    while a < s.action_mask.shape[1]:
        s.next_machine[i, a] = -1
        s.processing_time[i, a] = 0
        s.shortest_time[i, a] = 0
        s.alternatives[i, a] = 0
        s.remaining_work[i, a] = 0
        s.least_work[i, a] = 0
        s.remaining_operations[i, a] = 0
        s.arrival[i, a] = 0
        s.free[i, a] = 0
        s.earliest_start[i, a] = 0
        s.earliest_finish[i, a] = 0
        s.action_mask[i, a] = wp.int8(0)
        a += 1


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    b = s.instance[i]
    clear_rows(s, i)
    k = int(0)
    while k < s.machines[b]:
        s.available[i, k] = 0
        s.bound_to[i, k, LOAD] = s.alone[b, k, LOAD]
        s.bound_to[i, k, NUMBER] = s.alone[b, k, NUMBER]
        k += 1
    left = int(0)
    j = int(0)
    while j < s.jobs[b]:
        s.next_operation[i, j] = 0
        look_at(s, i, j, s.release[b, j])
        left += s.operations[b, j]
        j += 1
    s.left[i] = left
    s.energy[i] = s.initial_energy[b]
    s.bound[i] = s.initial_bound[b]
    s.rewarded[i] = s.initial_bound[b]
    s.time[i] = 0
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)
    s.stale[i] = 1
    settle(s, i)


@wp.func
def step(s: State, i: int, action: int):
    """Commit pair ``action``, or wait; an illegal action counts as the worst schedule."""
    b = s.instance[i]
    if s.terminated[i] == wp.int8(0):
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            if s.next_machine[i, action] >= 0:
                commit(s, i, action)
            else:
                put_off(s, i)
            settle(s, i)
        else:
            s.illegal[i] = wp.int8(1)
            s.terminated[i] = wp.int8(1)
            s.bound[i] = s.worst_makespan[b]
            a = int(0)
            while a < s.action_mask.shape[1]:
                s.action_mask[i, a] = wp.int8(0)
                a += 1
    # Moves forced at the reset count with the first step, so that the whole episode is accounted for.
    s.reward[i] = float(s.rewarded[i] - s.bound[i]) / float(wp.max(s.initial_bound[b], 1))
    s.rewarded[i] = s.bound[i]
