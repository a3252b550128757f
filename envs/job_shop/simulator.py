"""The dynamics of the job shop, as scalar functions about one environment.

A decision commits the next operation of one job. Which jobs may be chosen is the *construction*:

- ``delta`` in [0, 1] (Giffler and Thompson 1960; the hybrid of Storer, Wu and Vaccari 1992): the focus machine is that
  of the operation with the smallest earliest completion ect*; its operations with earliest start es < ect* and es <= t
  + delta * (ect* - t) are candidates, t being the smallest earliest start there. ``delta = 0`` gives non-delay
  schedules, ``delta = 1`` active ones. A committed operation is appended to its machine. Operations of length zero wait
  for their machine like any other, although a schedule may let them overlap.
- insertion (Zhang et al. 2020, L2D): the next operation of any job, placed in the first gap of its machine that fits.
- wait (Tassel et al. 2023): the jobs that could start first, on any machine, or none of them yet; see simulator_wait.

Ties between operations with the same earliest completion go to the lowest job. The reward of a step is the decrease of
a lower bound of the makespan divided by the bound at the start, so that an episode's return is 1 - makespan / initial
bound, exactly in integers. The bound is Taillard's (1993): the longest job, and for each machine the smallest head, its
load and the smallest tail; with operations committed it only grows, and when all are committed it is the makespan.
"""

import warp as wp

from .simulator_cost import account, begin_costs, reward_of_cost
from .simulator_limits import begin_limits, bound_through, choose_limited, set_up, when_open
from .simulator_state import COUNT, END, LATEST, LEAST_TAIL, LOAD, NODE, START, State
from .simulator_wait import choose_now, put_off


@wp.func
def first_gap(s: State, i: int, k: int, arrival: int, duration: int):
    """Position on machine k's timeline of the first gap that takes ``duration`` from ``arrival`` on."""
    position = int(0)
    idle_from = int(0)
    while position < s.of_machine[s.instance[i], k, COUNT] - s.queue[i, k]:
        begin = wp.max(arrival, idle_from)
        if s.limited == 1:
            begin = when_open(s, i, k, begin, duration)
        if begin + duration <= s.timeline[i, k, position, START]:
            return position
        idle_from = s.timeline[i, k, position, END]
        position += 1
    return position


@wp.func
def gap_start(s: State, i: int, k: int, position: int, arrival: int, duration: int):
    """Start of an operation that takes a position found by ``first_gap``."""
    begin = int(arrival)
    if position > 0:
        begin = wp.max(arrival, s.timeline[i, k, position - 1, END])
    if s.limited == 1:
        begin = when_open(s, i, k, begin, duration)
    return begin


@wp.func
def start_of_next(s: State, i: int, j: int, k: int):
    """Insertion: earliest start of job j's next operation, on machine k."""
    arrival = s.arrival[i, j]
    duration = s.processing_time[i, j]
    return gap_start(s, i, k, first_gap(s, i, k, arrival, duration), arrival, duration)


@wp.func
def look_at(s: State, i: int, j: int):
    """Fill job j's columns for its next operation."""
    b = s.instance[i]
    o = s.next_operation[i, j]
    if o < s.operations[b, j]:
        s.next_machine[i, j] = s.machine[b, j, o]
        s.processing_time[i, j] = s.duration[b, j, o]
    else:
        s.next_machine[i, j] = -1
        s.processing_time[i, j] = 0


@wp.func
def choose_any(s: State, i: int):
    """Insertion: every unfinished job is a candidate; returns their number."""
    count = int(0)
    time = int(LATEST)
    for j in range(s.jobs[s.instance[i]]):
        if s.next_machine[i, j] >= 0:
            s.action_mask[i, j] = wp.int8(1)
            time = wp.min(time, s.earliest_start[i, j])
            if count == 0:
                s.only[i] = j
            count += 1
        else:
            s.action_mask[i, j] = wp.int8(0)
    s.focus[i] = -1
    s.time[i] = time
    return count


@wp.func
def choose(s: State, i: int):
    """Find the candidates among the jobs' next operations; returns their number."""
    n = s.jobs[s.instance[i]]
    if s.left[i] == 0:
        s.focus[i] = -1
        for j in range(s.action_mask.shape[1]):
            s.action_mask[i, j] = wp.int8(0)
        return 0
    if s.insertion == 1:
        return choose_any(s, i)
    if s.waits == 1:
        return choose_now(s, i)
    if s.limited == 1:
        return choose_limited(s, i)
    completion = int(LATEST)
    focus = int(-1)
    for j in range(n):
        k = s.next_machine[i, j]
        if k >= 0:
            es = wp.max(s.arrival[i, j], s.free[i, k])
            s.earliest_start[i, j] = es
            if es + s.processing_time[i, j] < completion:
                completion = es + s.processing_time[i, j]
                focus = k
    time = int(LATEST)
    for j in range(n):
        if s.next_machine[i, j] == focus:
            time = wp.min(time, s.earliest_start[i, j])
    reach = wp.int64(completion - time) * wp.int64(s.delta)
    count = int(0)
    for j in range(n):
        s.action_mask[i, j] = wp.int8(0)
        if s.next_machine[i, j] == focus:
            es = s.earliest_start[i, j]
            # With lengths of zero, the operations that start and that complete first may not satisfy es < completion.
            soon = es < completion or es + s.processing_time[i, j] == completion
            if es == time or (soon and wp.int64(es - time) * wp.int64(1_000_000) <= reach):
                s.action_mask[i, j] = wp.int8(1)
                if count == 0:
                    s.only[i] = j
                count += 1
    s.focus[i] = focus
    s.time[i] = time
    return count


@wp.func
def place(s: State, i: int, k: int, position: int, node: int, start: int, end: int):
    """Put an operation at a position of machine k's timeline, moving what stands behind it."""
    last = s.of_machine[s.instance[i], k, COUNT] - s.queue[i, k]
    if s.insertion == 1:
        p = int(last)
        while p > position:
            s.timeline[i, k, p, START] = s.timeline[i, k, p - 1, START]
            s.timeline[i, k, p, END] = s.timeline[i, k, p - 1, END]
            s.timeline[i, k, p, NODE] = s.timeline[i, k, p - 1, NODE]
            p -= 1
        s.timeline[i, k, position, START] = start
        s.timeline[i, k, position, END] = end
    if s.insertion == 1 or s.arcs == 1:
        s.timeline[i, k, position, NODE] = node
    if s.arcs == 1:
        s.predecessor[i, node] = -1
        if position > 0:
            s.predecessor[i, node] = s.timeline[i, k, position - 1, NODE]
        if position < last:
            s.predecessor[i, s.timeline[i, k, position + 1, NODE]] = node


@wp.func
def commit(s: State, i: int, j: int):
    """Schedule job j's next operation at its earliest start and update what follows from it."""
    b = s.instance[i]
    o = s.next_operation[i, j]
    k = s.next_machine[i, j]
    duration = s.processing_time[i, j]
    start = s.earliest_start[i, j]
    end = start + duration
    if s.insertion == 1 or s.arcs == 1:
        position = int(s.of_machine[b, k, COUNT] - s.queue[i, k])
        if s.insertion == 1:
            position = first_gap(s, i, k, s.arrival[i, j], duration)
        place(s, i, k, position, j * s.duration.shape[2] + o, start, end)
    s.start[i, j, o] = start
    s.next_operation[i, j] = o + 1
    s.arrival[i, j] = end
    s.remaining_work[i, j] = s.remaining_work[i, j] - duration
    s.completed_work[i, j] = s.completed_work[i, j] + duration
    s.remaining_operations[i, j] = s.remaining_operations[i, j] - 1
    s.free[i, k] = wp.max(s.free[i, k], end)
    s.load[i, k] = s.load[i, k] - duration
    s.queue[i, k] = s.queue[i, k] - 1
    s.left[i] = s.left[i] - 1
    look_at(s, i, j)
    bound = wp.max(s.bound[i], end + s.remaining_work[i, j])
    if s.insertion == 1:
        # A gap may open or close for everybody who waits for this machine.
        for other in range(s.jobs[b]):
            if s.next_machine[i, other] == k or (other == j and s.next_machine[i, j] >= 0):
                s.earliest_start[i, other] = start_of_next(s, i, other, s.next_machine[i, other])
    else:
        through = s.free[i, k] + s.load[i, k]
        if s.limited == 1:
            set_up(s, i, j, k)
            through = bound_through(s, i, k)
        bound = wp.max(bound, through + s.of_machine[b, k, LEAST_TAIL])
    s.bound[i] = bound


@wp.func
def settle(s: State, i: int, job: int):
    """Commit a job's next operation, or nothing for -1; find the candidates; apply moves without an alternative until
    there is a choice or the end.
    """
    j = int(job)
    moves = int(1)
    while moves == 1:
        # One place each from which these are called: there they are built in, elsewhere they would copy the state.
        if j >= 0:
            commit(s, i, j)
        moves = int(0)
        if choose(s, i) == 1 and s.forced_moves == 1:
            moves = int(1)
            j = s.only[i]
    if s.left[i] == 0:
        s.terminated[i] = wp.int8(1)
        if s.steps[i] == 0:
            # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
            s.action_mask[i, 0] = wp.int8(1)


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    b = s.instance[i]
    left = int(0)
    for j in range(s.jobs[b]):
        s.next_operation[i, j] = 0
        s.arrival[i, j] = s.release[b, j]
        s.remaining_work[i, j] = s.work_content[b, j]
        s.remaining_operations[i, j] = s.operations[b, j]
        s.completed_work[i, j] = 0
        s.earliest_start[i, j] = s.release[b, j]
        look_at(s, i, j)
        left += s.operations[b, j]
    for j in range(s.jobs[b], s.action_mask.shape[1]):  # padding
        s.action_mask[i, j] = wp.int8(0)
        s.next_machine[i, j] = -1
        s.remaining_operations[i, j] = 0
    for j in range(s.hold.shape[1]):
        s.hold[i, j] = 0
    for k in range(s.machines[b]):
        s.free[i, k] = 0
        s.load[i, k] = s.of_machine[b, k, LOAD]
        s.queue[i, k] = s.of_machine[b, k, COUNT]
    s.left[i] = left
    s.bound[i] = s.initial_bound[b]
    s.rewarded[i] = wp.int64(s.initial_bound[b])
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)
    s.stale[i] = 1
    if s.limited == 1:
        begin_limits(s, i)
    if s.costs == 1:
        begin_costs(s, i)
    settle(s, i, -1)
    if s.costs == 1:
        account(s, i)


@wp.func
def step(s: State, i: int, action: int):
    """Commit the next operation of job ``action``, or wait; an illegal action counts as the worst schedule."""
    b = s.instance[i]
    if s.terminated[i] == wp.int8(0):
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            job = int(action)
            if action >= s.jobs[b]:
                put_off(s, i)
                job = -1
            settle(s, i, job)
        else:
            s.illegal[i] = wp.int8(1)
            s.terminated[i] = wp.int8(1)
            s.bound[i] = s.worst_makespan[b]
            for j in range(s.action_mask.shape[1]):
                s.action_mask[i, j] = wp.int8(0)
        if s.costs == 1:
            account(s, i)
    # Moves forced at the reset count with the first step, so that the whole episode is accounted for.
    if s.costs == 1:
        s.reward[i] = reward_of_cost(s, i)
    else:
        s.reward[i] = float(int(s.rewarded[i]) - s.bound[i]) / float(wp.max(s.initial_bound[b], 1))
        s.rewarded[i] = wp.int64(s.bound[i])
