"""The dynamics of a live job shop, as scalar functions about one environment.

Time passes from event to event, and at each of them jobs may start: those that are released, finished with what came
before, and whose next machine is up and empty. Machines may shut down, processing times may differ from the estimates,
jobs may be unknown before their release, and without buffers between machines a finished job keeps its machine until
the next one takes it. See simulator_live_time for what happens by itself and simulator_live_choice for who may start.

The constructions: non-delay, in which no time passes while somebody may start, and wait, with one action more that lets
time pass until other jobs may start than before.

The reward of a step is the decrease of the objective by the estimates, divided by the instance's scale, so that an
episode's return is (initial - objective) / scale, exactly in integers. ``initial`` is the objective if nobody waits,
of the makespan Taillard's bound (1993); of jobs that are unknown at first it counts the sums alone.
"""

import warp as wp

from .simulator_cost import cost_at
from .simulator_live_choice import has_future, is_stuck, offer, offers_something_new
from .simulator_live_state import INTERRUPTED, RUNNING, SWAP, WAITING, State
from .simulator_live_time import begin, begin_spans, learn_of, least_cost, pass_time, release_jobs
from .simulator_state import DUE, LATEST, LEAST_TAIL, WEIGHT


@wp.func
def swap(s: State, i: int, k: int):
    """All jobs of the cycle through machine k move at this moment."""
    mover = s.holder[i, k]
    target = int(-1)
    while target != k:
        target = s.next_machine[i, mover]
        displaced = s.holder[i, target]  # of machine k it has left already, and nobody else is to move
        begin(s, i, mover)
        mover = displaced


@wp.func
def wait(s: State, i: int):
    """Let time pass until others may start than now, or nothing is left to wait for."""
    s.waits_left[i] = s.waits_left[i] - 1
    a = int(0)
    while a < s.action_mask.shape[1]:
        s.offered[i, a] = s.action_mask[i, a]
        a += 1
    waiting = int(1)
    while waiting == 1:
        pass_time(s, i)
        offer(s, i)
        if offers_something_new(s, i) or not has_future(s, i):
            waiting = int(0)


@wp.func
def apply(s: State, i: int, a: int):
    """Do what legal action a says."""
    jobs = s.next_operation.shape[1]
    if a < jobs:
        begin(s, i, a)
    elif s.waits == 1 and a == s.action_mask.shape[1] - 1:
        wait(s, i)
    else:
        swap(s, i, a - jobs)


@wp.func
def advance(s: State, i: int):
    """Find the candidates, letting time pass until there are any; returns their number, 0 at the end."""
    count = offer(s, i)
    while count == 0 and s.unfinished[i] > 0 and s.deadlock[i] == 0:
        if is_stuck(s, i):
            s.deadlock[i] = 1
        else:
            pass_time(s, i)
            count = offer(s, i)
    return count


@wp.func
def offer_nothing(s: State, i: int):
    """No action is legal."""
    a = int(0)
    while a < s.action_mask.shape[1]:
        s.action_mask[i, a] = wp.int8(0)
        a += 1


@wp.func
def settle(s: State, i: int):
    """Find the candidates; apply moves without an alternative until there is a choice or the end."""
    count = advance(s, i)
    while s.forced_moves == 1 and count == 1:
        apply(s, i, s.only[i])
        count = advance(s, i)
    if count == 0:
        s.terminated[i] = wp.int8(1)
        offer_nothing(s, i)
        if s.steps[i] == 0:
            # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
            s.action_mask[i, 0] = wp.int8(1)


@wp.func
def estimate_times(s: State, i: int):
    """When machines are empty, jobs arrive and operations may start, by the estimates."""
    b = s.instance[i]
    now = s.time[i]
    k = int(0)
    while k < s.machines[b]:
        s.free[i, k] = now
        k += 1
    j = int(0)
    while j < s.jobs[b]:
        if s.status[i, j] == RUNNING:
            s.arrival[i, j] = wp.max(now, s.expected[i, j])
            s.free[i, s.at[i, j]] = s.arrival[i, j]
        elif s.status[i, j] == INTERRUPTED:
            s.arrival[i, j] = now + s.expected[i, j]
            s.free[i, s.at[i, j]] = s.arrival[i, j]
        j += 1
    j = int(0)
    while j < s.jobs[b]:
        k = s.next_machine[i, j]
        if k >= 0:
            s.earliest_start[i, j] = wp.max(wp.max(s.arrival[i, j], s.free[i, k]), now)
        else:
            s.earliest_start[i, j] = s.arrival[i, j]
        j += 1


@wp.func
def is_known(s: State, i: int, j: int):
    """Whether the policy knows of job j."""
    return s.reveal == 0 or s.released[i, j] == 1


@wp.func
def estimate_cost(s: State, i: int):
    """Bring the bounds of makespan and objective up to date, of the jobs that are known."""
    b = s.instance[i]
    total = wp.int64(0)
    latest = int(0)
    lateness = int(-1073741824)
    known = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if is_known(s, i, j):
            known = int(1)
            completion = s.arrival[i, j]
            if s.next_machine[i, j] >= 0:
                completion = s.earliest_start[i, j] + s.remaining_work[i, j]
            total += cost_at(s, b, j, s.release[b, j], completion)
            latest = wp.max(latest, completion)
            lateness = wp.max(lateness, completion - s.job_costs[b, j, DUE])
        j += 1
    if s.unfinished[i] > 0:
        latest = wp.max(latest, s.initial_bound[b])
        k = int(0)
        while k < s.machines[b]:
            if s.queue[i, k] > 0:
                latest = wp.max(latest, s.free[i, k] + s.load[i, k] + s.of_machine[b, k, LEAST_TAIL])
            k += 1
    if known == 0:
        lateness = int(0)
    s.bound[i] = latest
    total += wp.int64(s.makespan_cost) * wp.int64(latest)
    s.cost[i] = total + wp.int64(s.lateness_cost) * wp.int64(lateness)


@wp.func
def show_costs(s: State, i: int):
    """The columns about due dates and weights."""
    b = s.instance[i]
    j = int(0)
    while j < s.jobs[b]:
        s.due_date[i, j] = 0
        s.weight[i, j] = 0
        s.slack[i, j] = 0
        s.operation_due_date[i, j] = 0
        if is_known(s, i, j):
            s.due_date[i, j] = s.job_costs[b, j, DUE]
            s.weight[i, j] = s.job_costs[b, j, WEIGHT]
            s.operation_due_date[i, j] = s.job_costs[b, j, DUE]
            if s.next_machine[i, j] >= 0:
                s.slack[i, j] = s.job_costs[b, j, DUE] - s.time[i] - s.remaining_work[i, j]
                s.operation_due_date[i, j] = s.operation_due[b, j, s.next_operation[i, j]]
        j += 1


@wp.func
def show_swap(s: State, i: int, k: int):
    """The columns of the swap through machine k: those of the job there, or nothing."""
    row = s.next_operation.shape[1] + k
    j = s.holder[i, k]
    s.next_machine[i, row] = -1
    s.remaining_operations[i, row] = 0
    if j >= 0 and s.action_mask[i, row] == wp.int8(1):
        s.next_machine[i, row] = s.next_machine[i, j]
        s.processing_time[i, row] = s.processing_time[i, j]
        s.remaining_work[i, row] = s.remaining_work[i, j]
        s.remaining_operations[i, row] = s.remaining_operations[i, j]
        s.completed_work[i, row] = s.completed_work[i, j]
        s.arrival[i, row] = s.arrival[i, j]
        s.earliest_start[i, row] = s.earliest_start[i, j]
        if s.costs == 1:
            s.due_date[i, row] = s.due_date[i, j]
            s.operation_due_date[i, row] = s.operation_due_date[i, j]
            s.slack[i, row] = s.slack[i, j]
            s.weight[i, row] = s.weight[i, j]


@wp.func
def account(s: State, i: int):
    """Bring columns and bounds up to date after a decision and all that followed from it."""
    b = s.instance[i]
    if s.illegal[i] == wp.int8(1) or s.deadlock[i] == 1:
        s.bound[i] = wp.max(s.bound[i], s.worst_makespan[b])
        s.cost[i] = wp.max(s.cost[i], s.cost_scale[b, 1])
        s.hidden_cost[i] = wp.int64(0)
        return
    estimate_times(s, i)
    estimate_cost(s, i)
    if s.costs == 1:
        show_costs(s, i)
    if s.buffers == SWAP:
        k = int(0)
        while k < s.machines[b]:
            show_swap(s, i, k)
            k += 1


@wp.func
def clear_state(s: State, i: int):
    """Forget the last episode."""
    b = s.instance[i]
    a = int(0)
    while a < s.action_mask.shape[1]:
        s.action_mask[i, a] = wp.int8(0)
        s.next_machine[i, a] = -1
        s.processing_time[i, a] = 0
        s.remaining_work[i, a] = 0
        s.remaining_operations[i, a] = 0
        s.completed_work[i, a] = 0
        s.arrival[i, a] = 0
        s.earliest_start[i, a] = 0
        if s.costs == 1:
            s.due_date[i, a] = 0
            s.operation_due_date[i, a] = 0
            s.slack[i, a] = 0
            s.weight[i, a] = 0
        a += 1
    k = int(0)
    while k < s.machines[b]:
        s.holder[i, k] = -1
        s.load[i, k] = 0
        s.queue[i, k] = 0
        k += 1
    left = int(0)
    j = int(0)
    while j < s.jobs[b]:
        s.next_operation[i, j] = 0
        s.status[i, j] = WAITING
        s.released[i, j] = 0
        s.at[i, j] = -1
        left += s.operations[b, j]
        j += 1
    s.left[i] = left
    s.unfinished[i] = s.jobs[b]
    s.time[i] = 0
    s.waits_left[i] = s.most_waits[b]
    s.deadlock[i] = 0
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)
    s.stale[i] = 1


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    clear_state(s, i)
    begin_spans(s, i)
    s.hidden_cost[i] = wp.int64(0)
    j = int(0)
    while j < s.jobs[s.instance[i]]:
        if s.reveal == 0:
            learn_of(s, i, j)
        else:
            s.hidden_cost[i] = s.hidden_cost[i] + least_cost(s, i, j)
        j += 1
    s.next_release[i] = LATEST
    release_jobs(s, i)
    estimate_times(s, i)
    estimate_cost(s, i)
    s.rewarded[i] = s.cost[i] + s.hidden_cost[i]
    settle(s, i)
    account(s, i)


@wp.func
def step(s: State, i: int, action: int):
    """Apply action ``action``; an illegal one, and a deadlock, count as the worst schedule."""
    if s.terminated[i] == wp.int8(0):
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            apply(s, i, action)
            settle(s, i)
        else:
            s.illegal[i] = wp.int8(1)
            s.terminated[i] = wp.int8(1)
            offer_nothing(s, i)
        account(s, i)
    # Moves forced at the reset count with the first step, so that the whole episode is accounted for.
    reached = s.cost[i] + s.hidden_cost[i]
    s.reward[i] = float(s.rewarded[i] - reached) / float(s.cost_scale[s.instance[i], 0])
    s.rewarded[i] = reached
