"""One machine that may be taken away from a job at any event, as scalar functions about one environment.

A job is a chain of operations on the machine. A decision is taken whenever a job is released or an operation ends,
and with a ``quantum`` also when a job has run for that long since it was picked; it says which job runs until the next
time. The machine never idles while a released job is not complete. What a job has done stays done. Lengths of
operations behind the one at hand may be unknown, as may jobs before their release: that changes what is shown, and
nothing of the dynamics.

The reward is the decrease of a lower bound of the objective, that of the jobs going on at once, each as if alone; of
total flow time a step thus costs the time that passed for each other job that was waiting.
"""

import warp as wp

from .simulator_preemptive_state import END, JOB, START, STEP, State
from .simulator_state import DUE, FLOW, LATE, LATEST, TARDY, WEIGHT


@wp.func
def next_release(s: State, i: int):
    """The next time a job is released; LATEST if all are there."""
    b = s.instance[i]
    found = int(LATEST)
    j = int(0)
    while j < s.jobs[b]:
        if s.release[b, j] > s.now[i]:
            found = wp.min(found, s.release[b, j])
        j += 1
    return found


@wp.func
def record(s: State, i: int, j: int, start: int, end: int):
    """Note that job j ran; what goes on without a break is one piece."""
    step = s.next_operation[i, j]
    last = s.pieces[i] - 1
    joined = int(0)
    if last >= 0:
        if s.piece[i, last, JOB] == j and s.piece[i, last, STEP] == step and s.piece[i, last, END] == start:
            joined = int(1)
    if joined == 0:
        last += 1
        if last < s.piece.shape[1]:
            s.piece[i, last, JOB] = j
            s.piece[i, last, STEP] = step
            s.piece[i, last, START] = start
            s.pieces[i] = last + 1
    if last < s.piece.shape[1]:
        s.piece[i, last, END] = end


@wp.func
def run(s: State, i: int, j: int):
    """Let job j run until the next decision."""
    b = s.instance[i]
    now = s.now[i]
    time = wp.min(s.operation_left[i, j], next_release(s, i) - now)
    if s.quantum > 0:
        if j != s.current[i] or s.used[i] >= s.quantum:
            s.used[i] = 0
        time = wp.min(time, s.quantum - s.used[i])
        s.used[i] = s.used[i] + time
    record(s, i, j, now, now + time)
    s.current[i] = j
    s.now[i] = now + time
    s.ran[i, j] = now + time
    s.completed_work[i, j] = s.completed_work[i, j] + time
    s.work_left[i, j] = s.work_left[i, j] - time
    s.operation_left[i, j] = s.operation_left[i, j] - time
    if s.operation_left[i, j] == 0:
        o = s.next_operation[i, j] + 1
        s.next_operation[i, j] = o
        if o < s.operations[b, j]:
            s.operation_left[i, j] = s.duration[b, j, o]
        else:
            s.completion[i, j] = s.now[i]
            s.left[i] = s.left[i] - 1


@wp.func
def candidates(s: State, i: int):
    """Find the jobs that may run now; returns their number."""
    b = s.instance[i]
    count = int(0)
    j = int(0)
    while j < s.jobs[b]:
        s.action_mask[i, j] = wp.int8(0)
        if s.release[b, j] <= s.now[i] and s.next_operation[i, j] < s.operations[b, j]:
            s.action_mask[i, j] = wp.int8(1)
            if count == 0:
                s.only[i] = j
            count += 1
        j += 1
    return count


@wp.func
def settle(s: State, i: int):
    """Pass the time until there is a choice, or the end."""
    count = candidates(s, i)
    while s.left[i] > 0 and (count == 0 or (s.forced_moves == 1 and count == 1)):
        if count == 0:
            s.now[i] = next_release(s, i)
        else:
            run(s, i, s.only[i])
        count = candidates(s, i)
    if s.left[i] == 0:
        s.terminated[i] = wp.int8(1)
        if s.steps[i] == 0:
            # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
            s.action_mask[i, 0] = wp.int8(1)


@wp.func
def is_known(s: State, i: int, j: int):
    """Whether anybody knows of job j."""
    return s.revealed == 0 or s.release[s.instance[i], j] <= s.now[i]


@wp.func
def show_columns(s: State, i: int, j: int):
    """Bring job j's columns up to date; of what is not known they say nothing."""
    b = s.instance[i]
    o = s.next_operation[i, j]
    s.next_machine[i, j] = -1
    s.processing_time[i, j] = 0
    s.remaining_work[i, j] = 0
    s.remaining_operations[i, j] = 0
    s.quantum_left[i, j] = 0
    s.earliest_start[i, j] = 0
    s.arrival[i, j] = 0
    s.last_run[i, j] = 0
    s.operation_remaining[i, j] = 0
    if is_known(s, i, j):
        s.arrival[i, j] = s.release[b, j]
        s.last_run[i, j] = s.ran[i, j]
    if is_known(s, i, j) and o < s.operations[b, j]:
        s.next_machine[i, j] = 0
        s.processing_time[i, j] = s.duration[b, j, o]
        s.operation_remaining[i, j] = s.operation_left[i, j]
        s.remaining_work[i, j] = s.operation_left[i, j]
        s.remaining_operations[i, j] = 1
        s.earliest_start[i, j] = wp.max(s.now[i], s.release[b, j])
        if s.all_known == 1:
            s.remaining_work[i, j] = s.work_left[i, j]
            s.remaining_operations[i, j] = s.operations[b, j] - o
        if j == s.current[i] and s.quantum > 0:
            s.quantum_left[i, j] = s.quantum - s.used[i]
    if s.costs == 1:
        s.slack[i, j] = 0
        s.due_date[i, j] = 0
        s.operation_due_date[i, j] = 0
        s.weight[i, j] = 0
        if is_known(s, i, j):
            s.due_date[i, j] = s.job_costs[b, j, DUE]
            s.operation_due_date[i, j] = s.job_costs[b, j, DUE]
            s.weight[i, j] = s.job_costs[b, j, WEIGHT]
            if o < s.operations[b, j]:
                s.slack[i, j] = s.job_costs[b, j, DUE] - s.now[i] - s.remaining_work[i, j]


@wp.func
def account(s: State, i: int):
    """Bounds of makespan and objective, and the columns, after a decision and all that it forced."""
    b = s.instance[i]
    if s.illegal[i] == wp.int8(1):
        s.bound[i] = s.worst_makespan[b]
        s.cost[i] = s.cost_scale[b, 1]
        return
    total = wp.int64(0)
    latest = int(0)
    lateness = int(-1073741824)
    j = int(0)
    while j < s.jobs[b]:
        end = s.completion[i, j]
        if s.next_operation[i, j] < s.operations[b, j]:
            end = wp.max(s.now[i], s.release[b, j]) + s.work_left[i, j]
        total += wp.int64(s.job_costs[b, j, FLOW]) * wp.int64(end - s.release[b, j])
        late = end - s.job_costs[b, j, DUE]
        if late > 0:
            total += wp.int64(s.job_costs[b, j, TARDY]) * wp.int64(late) + wp.int64(s.job_costs[b, j, LATE])
        latest = wp.max(latest, end)
        lateness = wp.max(lateness, late)
        show_columns(s, i, j)
        j += 1
    s.bound[i] = latest
    total += wp.int64(s.makespan_cost) * wp.int64(latest)
    s.cost[i] = total + wp.int64(s.lateness_cost) * wp.int64(lateness)


@wp.func
def blank(s: State, i: int, j: int):
    """Row j of the columns is padding."""
    s.action_mask[i, j] = wp.int8(0)
    s.next_machine[i, j] = -1
    s.processing_time[i, j] = 0
    s.operation_remaining[i, j] = 0
    s.remaining_work[i, j] = 0
    s.remaining_operations[i, j] = 0
    s.completed_work[i, j] = 0
    s.arrival[i, j] = 0
    s.earliest_start[i, j] = 0
    s.last_run[i, j] = 0
    s.quantum_left[i, j] = 0
    if s.costs == 1:
        s.due_date[i, j] = 0
        s.operation_due_date[i, j] = 0
        s.slack[i, j] = 0
        s.weight[i, j] = 0


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    b = s.instance[i]
    j = int(0)
    while j < s.action_mask.shape[1]:
        blank(s, i, j)
        if j < s.jobs[b]:
            work = int(0)
            o = int(0)
            while o < s.operations[b, j]:
                work += s.duration[b, j, o]
                o += 1
            s.next_operation[i, j] = 0
            s.work_left[i, j] = work
            s.operation_left[i, j] = s.duration[b, j, 0]
            s.ran[i, j] = s.release[b, j]
            s.completion[i, j] = 0
        j += 1
    s.now[i] = 0
    s.left[i] = s.jobs[b]
    s.current[i] = -1
    s.used[i] = 0
    s.pieces[i] = 0
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)
    account(s, i)
    s.rewarded[i] = s.cost[i]
    settle(s, i)
    account(s, i)


@wp.func
def step(s: State, i: int, action: int):
    """Let job ``action`` run; an illegal action counts as the worst schedule."""
    b = s.instance[i]
    if s.terminated[i] == wp.int8(0):
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            run(s, i, action)
            settle(s, i)
        else:
            s.illegal[i] = wp.int8(1)
            s.terminated[i] = wp.int8(1)
            j = int(0)
            while j < s.action_mask.shape[1]:
                s.action_mask[i, j] = wp.int8(0)
                j += 1
        account(s, i)
    # Moves forced at the reset count with the first step, so that the whole episode is accounted for.
    s.reward[i] = float(s.rewarded[i] - s.cost[i]) / float(s.cost_scale[b, 0])
    s.rewarded[i] = s.cost[i]
