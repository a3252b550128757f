"""The dynamics of task graphs on heterogeneous processing elements, as scalar functions about one environment.

Planning: one graph, no noise; a decision commits one ready task (its predecessors are committed) to one element, in the
first gap that fits (insertion) or after the element's last task. This is the world of HEFT. The reward is the decrease
of a lower bound of the makespan, divided by the bound at the start: committed completions plus the least execution time
that must follow them. It only grows, and ends as the makespan.

Online: jobs arrive, tasks become ready as their predecessors really finish, and a decision is asked for whenever
something can be bound to an element:

- PULL: one idle element at a time takes a ready task or waits (READYS, Grinsztajn et al. 2021), as long as something
  will happen by itself or another element is still to be asked. An element that waits is asked again when another task
  has become ready, or when nothing else will happen.
- MATCH: the same, all idle elements side by side.
- PUSH: any ready task joins the queue of any element, for good (DeepSoCS, SoCRATES; Sung et al. 2020). An idle element
  starts the task of its queue whose data came first.
- LATE: as PUSH, but what has not started is taken back at each event and bound anew.
- IDLE: as LATE, on idle elements only: what cannot start before the next event is not asked for.

The reward is minus the time that measured jobs spend in the system, so the return is minus the sum of their latencies,
exactly in integers, divided by a lower bound of that sum.
"""

import warp as wp

from .simulator_choice import offer_nothing, offer_online, offer_pairs
from .simulator_online import admit_arrived, bind, leave_slot, make_plan, pass_time, release_successors, unlist_ready
from .simulator_plan import arrival_over_bus, gap_start, take_gap
from .simulator_state import DONE, LATE, LATEST, PULL, PUSH, WAITING, State


@wp.func
def offer(s: State, i: int):
    """Find the candidates, letting time pass until there are any; returns their number, 0 at the end."""
    if s.planning == 1:
        if s.left[i] == 0:
            return 0
        return offer_pairs(s, i, 0)
    count = int(0)
    while count == 0 and s.jobs_left[i] > 0:
        count = offer_online(s, i)
        if count == 0:
            pass_time(s, i)
    return count


@wp.func
def commit(s: State, i: int, v: int, p: int):
    """Planning: put node v on element p where it fits first."""
    b = s.instance[i]
    width = s.execution.shape[2]
    g = s.arrival_graph[b, v // width]
    t = v - (v // width) * width
    length = s.execution[b, g, t, p]
    arrival = s.data_ready[i, s.slot[i, v], p]
    if s.bus == 1:
        arrival = arrival_over_bus(s, i, v, p, 1)
    start = gap_start(s, i, p, arrival, length)
    take_gap(s, i, p, start, start + length)
    unlist_ready(s, i, v)
    leave_slot(s, i, v)
    s.status[i, v] = DONE
    s.on[i, v] = p
    s.start[i, v] = start
    s.finish[i, v] = start + length
    s.bound[i] = wp.max(s.bound[i], start + length + s.tail[b, g, t])
    release_successors(s, i, v)


@wp.func
def wait(s: State, i: int):
    """Bind nothing more until something has happened."""
    if s.binding >= LATE:
        s.closed[i] = 1
    elif s.binding == PULL:
        s.declined[i, s.focus[i]] = s.became_ready[i]
    else:
        for p in range(s.elements[s.instance[i]]):
            if s.running[i, p] < 0:
                s.declined[i, p] = s.became_ready[i]


@wp.func
def apply(s: State, i: int, a: int):
    """Do what legal action a says."""
    wide = s.execution.shape[3]
    if s.planning == 1:
        commit(s, i, s.row_node[i, a // wide], a % wide)
    elif s.binding != PUSH and a == s.action_mask.shape[1] - 1:
        wait(s, i)
    elif s.binding == PULL:
        bind(s, i, s.row_node[i, a], s.focus[i])
    else:
        bind(s, i, s.row_node[i, a // wide], a % wide)


@wp.func
def settle(s: State, i: int):
    """Find the candidates; apply moves without an alternative until there is a choice or the end."""
    count = offer(s, i)
    while s.forced_moves == 1 and count == 1:
        apply(s, i, s.only[i])
        count = offer(s, i)
    if count == 0:
        s.terminated[i] = wp.int8(1)
        offer_nothing(s, i)
        if s.steps[i] == 0:
            # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
            s.action_mask[i, 0] = wp.int8(1)


@wp.func
def show_waiting(s: State, i: int):
    """The columns of the action to wait, which never change."""
    a = s.action_mask.shape[1] - 1
    s.job[i, a] = -1
    s.task[i, a] = -1
    s.element[i, a] = -1
    s.execution_time[i, a] = 0
    s.data_arrival[i, a] = LATEST
    s.earliest_start[i, a] = LATEST
    s.earliest_finish[i, a] = LATEST
    s.best_finish[i, a] = LATEST
    s.second_finish[i, a] = LATEST
    s.optimistic_cost[i, a] = 0
    s.upward_rank[i, a] = LATEST
    s.optimistic_rank[i, a] = LATEST
    s.cpop_rank[i, a] = LATEST
    s.critical_element[i, a] = -1
    s.tasks_left[i, a] = LATEST
    s.ready_order[i, a] = LATEST
    s.planned[i, a] = 0
    s.pilot_makespan[i, a] = LATEST


@wp.func
def clear_state(s: State, i: int):
    """Forget the last episode."""
    b = s.instance[i]
    for a in range(s.action_mask.shape[1]):
        s.action_mask[i, a] = wp.int8(0)
    for v in range(s.jobs[b] * s.execution.shape[2]):
        s.status[i, v] = WAITING
    for j in range(s.jobs[b]):
        s.admission[i, j] = -1
        s.shown_job[i, j] = 0
    left = int(0)
    for j in range(s.jobs[b]):
        left += s.tasks[b, s.arrival_graph[b, j]]
    for p in range(s.elements[b]):
        s.running[i, p] = -1
        s.queue_first[i, p] = -1
        s.unsure[i, p] = 1
        s.declined[i, p] = -1
        s.free[i, p] = 0
        s.timeline_count[i, p] = 0
        if s.planner > 0 or s.pilot > 0:
            s.plan_count[i, p] = 0
            s.plan_first[i, p] = -1
    for k in range(s.free_slot.shape[1]):
        s.free_slot[i, k] = k
    s.slots_taken[i] = 0
    s.left[i] = left
    s.jobs_left[i] = s.jobs[b]
    s.now[i] = 0
    s.admitted[i] = 0
    s.in_system[i] = 0
    s.measured[i] = 0
    s.ready_count[i] = 0
    s.became_ready[i] = 0
    s.queued_count[i] = 0
    s.closed[i] = 0
    s.bus_free[i] = 0
    s.cleared[i] = 0
    s.rows[i] = 0
    s.focus[i] = -1
    s.may_wait[i] = 0
    s.total_latency[i] = wp.int64(0)


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    b = s.instance[i]
    clear_state(s, i)
    if s.planning == 0 and s.binding != PUSH:
        show_waiting(s, i)
    s.bound[i] = 0
    s.rewarded[i] = wp.int64(0)
    if s.planning == 1:
        s.bound[i] = int(s.initial_bound[b])
        s.rewarded[i] = s.initial_bound[b]
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)
    s.stale[i] = 1
    admit_arrived(s, i)
    if s.planner > 0 and s.ready_count[i] > 0:
        make_plan(s, i)
    settle(s, i)


@wp.func
def fail(s: State, i: int):
    """An illegal action: the episode is over, and counts as if everything had run one after the other."""
    b = s.instance[i]
    s.illegal[i] = wp.int8(1)
    s.terminated[i] = wp.int8(1)
    s.bound[i] = s.worst_makespan[b]
    s.total_latency[i] = wp.int64(s.worst_makespan[b]) * wp.int64(s.jobs[b] - s.first_measured[b])
    offer_nothing(s, i)


@wp.func
def step(s: State, i: int, action: int):
    """Apply action ``action``; an illegal one counts as the worst schedule."""
    b = s.instance[i]
    if s.terminated[i] == wp.int8(0):
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            apply(s, i, action)
            settle(s, i)
        else:
            fail(s, i)
    # Moves forced at the reset count with the first step, so that the whole episode is accounted for.
    reached = s.total_latency[i]
    if s.planning == 1:
        reached = wp.int64(s.bound[i])
    s.reward[i] = float(s.rewarded[i] - reached) / float(wp.max(s.initial_bound[b], wp.int64(1)))
    s.rewarded[i] = reached
