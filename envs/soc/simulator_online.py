"""Time passing: jobs are admitted, tasks become ready, start, and really finish.

At one moment completions come first, element by element, then admissions in order of arrival; then the policy is asked,
and what it binds starts as soon as its element is idle and its data are there.
"""

import warp as wp

from ..core.rng import random_bits
from .simulator_plan import arrival_at, arrival_over_bus, find_planned, forget_plan, plan_rest
from .simulator_state import DONE, FIFO, LATE, LATEST, OVERDUE, QUEUED, READY, RUNNING, SRPT, WAITING, State


@wp.func
def actual_time(s: State, i: int, v: int, p: int, estimate: int):
    """The execution time that nobody is told: the estimate under the noise of (seed, world, job, task, element)."""
    if s.noise == 0 or estimate == 0 or (s.noise == 2 and s.accelerator[s.instance[i], p] == 0):
        return estimate
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    draw = (j * s.widest[b] + v - j * width) * s.elements[b] + p
    bits = random_bits(s.seed[0], s.world[i], s.episode[i], draw)
    value = s.quantile[bits // 524288]  # the upper 12 of 31 bits
    if s.noise == 2:
        return wp.max(estimate + value, 1)
    return wp.max(int((wp.int64(estimate) * wp.int64(value) + wp.int64(32768)) // wp.int64(65536)), 1)


@wp.func
def comes_before(s: State, i: int, v: int, u: int):
    """Whether ready node v is offered before u."""
    width = s.execution.shape[2]
    j = v // width
    k = u // width
    if s.priority == FIFO:
        return s.since[i, v] < s.since[i, u]
    if s.priority == SRPT and j != k:
        mine = s.job_left[i, j]
        other = s.job_left[i, k]
        return mine < other or (mine == other and j < k)
    b = s.instance[i]
    mine = s.rank_position[b, s.arrival_graph[b, j], v - j * width]
    other = s.rank_position[b, s.arrival_graph[b, k], u - k * width]
    return mine < other or (mine == other and j < k)


@wp.func
def list_ready(s: State, i: int, v: int):
    """Put node v into the list of ready nodes, in its place."""
    k = int(s.ready_count[i])
    while k > 0 and comes_before(s, i, v, s.ready[i, wp.max(k - 1, 0)]):
        s.ready[i, k] = s.ready[i, k - 1]
        k -= 1
    s.ready[i, k] = v
    s.ready_count[i] = s.ready_count[i] + 1
    s.status[i, v] = READY


@wp.func
def sort_ready(s: State, i: int):
    """Put the list in order again: jobs may have come closer to their end."""
    for k in range(1, s.ready_count[i]):
        v = s.ready[i, k]
        m = int(k)
        while m > 0 and comes_before(s, i, v, s.ready[i, wp.max(m - 1, 0)]):
            s.ready[i, m] = s.ready[i, m - 1]
            m -= 1
        s.ready[i, m] = v


@wp.func
def unlist_ready(s: State, i: int, v: int):
    """Take node v out of the list of ready nodes."""
    count = s.ready_count[i] - 1
    found = int(0)
    for k in range(count):
        if s.ready[i, k] == v:
            found = 1
        if found == 1:
            s.ready[i, k] = s.ready[i, k + 1]
    s.ready_count[i] = count


@wp.func
def make_ready(s: State, i: int, v: int):
    """The last predecessor of node v is committed or done."""
    s.since[i, v] = s.became_ready[i]
    s.became_ready[i] = s.became_ready[i] + 1
    slot = s.free_slot[i, s.slots_taken[i]]
    s.slots_taken[i] = s.slots_taken[i] + 1
    s.slot[i, v] = slot
    for p in range(s.elements[s.instance[i]]):
        s.data_ready[i, slot, p] = arrival_at(s, i, v, p)
    list_ready(s, i, v)


@wp.func
def leave_slot(s: State, i: int, v: int):
    """Node v will not be offered again."""
    s.slots_taken[i] = s.slots_taken[i] - 1
    s.free_slot[i, s.slots_taken[i]] = s.slot[i, v]


@wp.func
def release_successors(s: State, i: int, v: int):
    """Node v is committed or done: it may have been the last one that others waited for."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    s.job_left[i, j] = s.job_left[i, j] - 1
    s.left[i] = s.left[i] - 1
    for k in range(s.first_after[b, g, t], s.first_after[b, g, t + 1]):
        u = j * width + s.after[b, g, k]
        s.waits_for[i, u] = s.waits_for[i, u] - 1
        if s.waits_for[i, u] == 0:
            make_ready(s, i, u)


@wp.func
def admit(s: State, i: int):
    """Let the next job into the system."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = s.admitted[i]
    g = s.arrival_graph[b, j]
    s.admitted[i] = j + 1
    s.in_system[i] = s.in_system[i] + 1
    if j >= s.first_measured[b]:
        s.measured[i] = s.measured[i] + 1
    s.admission[i, j] = s.now[i]
    s.job_left[i, j] = s.tasks[b, g]
    if s.bus == 1:
        for e in range(s.transfer_start.shape[2]):
            s.transfer_start[i, j, e] = -1
    for t in range(s.tasks[b, g]):
        v = j * width + t
        s.status[i, v] = WAITING
        s.waits_for[i, v] = s.first_before[b, g, t + 1] - s.first_before[b, g, t]
        if s.planner > 0 or s.pilot > 0:
            s.plan_on[i, v] = -1
    for t in range(s.tasks[b, g]):
        if s.waits_for[i, j * width + t] == 0:
            make_ready(s, i, j * width + t)


@wp.func
def may_admit(s: State, i: int):
    """Whether a job is left to come and there is room for it."""
    return s.admitted[i] < s.jobs[s.instance[i]] and (s.wip_cap == 0 or s.in_system[i] < s.wip_cap)


@wp.func
def admit_arrived(s: State, i: int):
    """Let in every job that has arrived, as far as there is room."""
    going = int(1)
    while going == 1:
        going = 0
        if may_admit(s, i):
            if s.arrival_time[s.instance[i], s.admitted[i]] <= s.now[i]:
                admit(s, i)
                going = 1


@wp.func
def begin(s: State, i: int, v: int, p: int, start: int):
    """Element p takes node v."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    estimate = s.execution[b, s.arrival_graph[b, j], v - j * width, p]
    s.status[i, v] = RUNNING
    s.on[i, v] = p
    s.start[i, v] = start
    s.finish[i, v] = start + actual_time(s, i, v, p, estimate)
    s.running[i, p] = v
    s.release[i, p] = s.finish[i, v]
    s.estimate[i, p] = estimate
    s.due[i, p] = start + estimate
    s.expected[i, p] = start + estimate
    s.unsure[i, p] = 1
    leave_slot(s, i, v)


@wp.func
def begin_queued(s: State, i: int, p: int):
    """Idle element p takes the task of its queue whose data came first, if any are there."""
    v = s.queue_first[i, p]
    if v >= 0:
        if s.arrived[i, v] <= s.now[i]:
            s.queue_first[i, p] = s.queue_next[i, v]
            s.queued_count[i] = s.queued_count[i] - 1
            begin(s, i, v, p, s.now[i])


@wp.func
def enqueue(s: State, i: int, v: int, p: int):
    """Put node v into element p's queue, behind those whose data come no later."""
    s.status[i, v] = QUEUED
    s.on[i, v] = p
    s.queued_count[i] = s.queued_count[i] + 1
    s.unsure[i, p] = 1
    before = int(-1)
    after = int(s.queue_first[i, p])
    going = int(after >= 0)
    while going == 1:
        if s.arrived[i, after] <= s.arrived[i, v]:
            before = after
            after = s.queue_next[i, after]
            going = int(after >= 0)
        else:
            going = 0
    s.queue_next[i, v] = after
    if before < 0:
        s.queue_first[i, p] = v
    else:
        s.queue_next[i, before] = v


@wp.func
def take_back(s: State, i: int):
    """Late: whatever has not started is ready again."""
    for p in range(s.elements[s.instance[i]]):
        v = int(s.queue_first[i, p])
        while v >= 0:
            list_ready(s, i, v)
            v = s.queue_next[i, v]
        if s.queue_first[i, p] >= 0:
            s.queue_first[i, p] = -1
            s.unsure[i, p] = 1
    s.queued_count[i] = 0


@wp.func
def bind(s: State, i: int, v: int, p: int):
    """Commit node v to element p: at once where the element waits for it, else in its queue."""
    unlist_ready(s, i, v)
    arrival = s.data_ready[i, s.slot[i, v], p]
    if s.bus == 1:
        arrival = arrival_over_bus(s, i, v, p, 1)
    s.arrived[i, v] = arrival
    if s.binding < 2:  # pull and match: the element is idle, and is kept until the data are there
        begin(s, i, v, p, wp.max(s.now[i], arrival))
    else:
        enqueue(s, i, v, p)
        if s.running[i, p] < 0:
            begin_queued(s, i, p)


@wp.func
def end_task(s: State, i: int, p: int):
    """The node on element p is done."""
    v = s.running[i, p]
    j = v // s.execution.shape[2]
    s.running[i, p] = -1
    s.unsure[i, p] = 1
    s.status[i, v] = DONE
    s.bound[i] = wp.max(s.bound[i], s.finish[i, v])
    release_successors(s, i, v)
    if s.job_left[i, j] == 0:
        s.jobs_left[i] = s.jobs_left[i] - 1
        s.in_system[i] = s.in_system[i] - 1
        if j >= s.first_measured[s.instance[i]]:
            s.measured[i] = s.measured[i] - 1


@wp.func
def next_event(s: State, i: int):
    """The next moment at which anything happens by itself; LATEST if nothing will."""
    b = s.instance[i]
    t = int(LATEST)
    for p in range(s.elements[b]):
        if s.running[i, p] >= 0:
            t = wp.min(t, s.release[i, p])
        elif s.queue_first[i, p] >= 0:
            t = wp.min(t, s.arrived[i, s.queue_first[i, p]])
    if may_admit(s, i):
        t = wp.min(t, wp.max(s.arrival_time[b, s.admitted[i]], s.now[i]))
    return t


@wp.func
def estimate_free(s: State, i: int):
    """Fill in when each element could take another task, by the estimates and with its queue done."""
    b = s.instance[i]
    width = s.execution.shape[2]
    for p in range(s.elements[b]):
        if s.running[i, p] < 0 and s.queue_first[i, p] < 0:
            s.free[i, p] = s.now[i]
        elif s.unsure[i, p] == 1 or (s.running[i, p] >= 0 and s.due[i, p] <= s.now[i]):
            free = int(s.now[i])
            if s.running[i, p] >= 0:
                if s.due[i, p] <= s.now[i]:
                    s.expected[i, p] = s.now[i] + wp.max(s.estimate[i, p] // OVERDUE, 1)
                free = s.expected[i, p]
            v = int(s.queue_first[i, p])
            while v >= 0:
                j = v // width
                length = s.execution[b, s.arrival_graph[b, j], v - j * width, p]
                free = wp.max(free, s.arrived[i, v]) + length
                v = s.queue_next[i, v]
            s.free[i, p] = free
            s.unsure[i, p] = 0


@wp.func
def make_plan(s: State, i: int):
    """Bring the plan up to date with what has happened."""
    estimate_free(s, i)
    if s.replan == 1:
        forget_plan(s, i)
    plan_rest(s, i, s.planner)


@wp.func
def pass_time(s: State, i: int):
    """Go to the next event and let everything happen that happens there."""
    b = s.instance[i]
    t = next_event(s, i)
    s.total_latency[i] = s.total_latency[i] + wp.int64(t - s.now[i]) * wp.int64(s.measured[i])
    s.now[i] = t
    s.closed[i] = 0
    for p in range(s.elements[b]):
        if s.planner > 0:
            s.declined[i, p] = -1  # there is a new plan to go by
        if s.running[i, p] >= 0 and s.release[i, p] == t:
            end_task(s, i, p)
    admit_arrived(s, i)
    if s.binding >= LATE:
        take_back(s, i)
    elif s.queued_count[i] > 0:
        for p in range(s.elements[b]):
            if s.running[i, p] < 0:
                begin_queued(s, i, p)
    if s.priority == SRPT:
        sort_ready(s, i)
    if s.planner > 0 and s.ready_count[i] > 0:
        make_plan(s, i)


@wp.func
def show_plan(s: State, i: int):
    """Find what the plan wants next on every element."""
    if s.planner > 0:
        find_planned(s, i)
