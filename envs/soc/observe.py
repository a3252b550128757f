"""What a policy sees of the tasks that are offered: a node per ready task, a node per element, and every pair of them.

Times are relative to ``t`` (online: now; planning: the smallest earliest start of a candidate) and scaled by ``p``, the
mean execution time of the instance, or by ``L = max(bound - t, p)``, the time that is left at least. The bound is the
largest of what is reached and of every offered task's least earliest finish plus optimistic cost. Regrets, the distance
of a pair to the best pair of its task, and pilot makespans carry most of what there is to know.
"""

import warp as wp

from ..core.features import clear_graph, clip, hide_candidate, hide_edge
from ..core.graph import Feature
from .simulator_state import LATEST, PULL, PUSH
from .simulator_state import Struct as State

READY_TASK = (
    Feature("mean_execution", "mean execution time / p / 2", 0, 4),
    Feature("least_execution", "least execution time / p / 2", 0, 4),
    Feature("rank", "upward rank / L", 0, 4),
    Feature("rank_lead", "(upward rank - largest offered) / p / 4", -4, 0),
    Feature("best_finish", "(least earliest finish - t) / L", 0, 2),
    Feature("path", "(least earliest finish plus optimistic cost - t) / L", 0, 2),
    Feature("slack", "(bound - that) / L", 0, 2),
    Feature("sufferage", "(second least earliest finish - least) / p / 2; 4 if there is none", 0, 4),
    Feature("successors", "number of successors / 4", 0, 4),
    Feature("tasks_left", "tasks of its job to come / 16", 0, 4),
    Feature("job_age", "(t - admission of its job) / p / 8", 0, 4),
    Feature("exists", "1, or 0 for padding"),
)
ELEMENT = (
    Feature("free", "(free from - t) / p / 2, by the estimates", 0, 4),
    Feature("idle", "1 if nothing occupies it"),
    Feature("focus", "1 for the element that is asked"),
    Feature("slowdown", "(mean of execution time / least over its tasks - 1) / 4", 0, 4),
    Feature("favoured", "share of the offered tasks that would finish first on it"),
    Feature("demand", "their execution times / p / 4", 0, 4),
    Feature("exists", "1, or 0 for padding"),
)
PAIR = (
    Feature("execution_time", "/ p / 2", 0, 4),
    Feature("ratio", "(execution time / least - 1) / 4", 0, 4),
    Feature("start_delay", "(earliest start - t) / p / 2", 0, 4),
    Feature("regret", "(earliest finish - least of the task) / p / 2", 0, 4),
    Feature("path_regret", "(earliest finish plus optimistic cost - least of the task) / p / 2", 0, 4),
    Feature("path_slack", "(earliest finish plus optimistic cost - bound) / L", -2, 2),
    Feature("best", "1 if no element finishes the task earlier"),
    Feature("path_best", "1 if no element has a smaller earliest finish plus optimistic cost"),
)
CANDIDATE = (
    *PAIR,
    Feature("finish_lead", "(earliest finish - least of any candidate) / p / 2", 0, 4),
    Feature("pilot_regret", "(pilot makespan - least of any candidate) / p / 2", 0, 4),
    Feature("pilot_share", "(pilot makespan - least of any candidate) / L", 0, 1),
    Feature("planned", "1 if the plan wants this now; waiting, if it wants nothing that is offered"),
    Feature("wait", "1 for waiting"),
    Feature("next_release", "waiting: (estimate of when the next element becomes free - t) / p / 2", 0, 4),
)
CONTEXT = (
    Feature("left", "share of the tasks that are left"),
    Feature("ready", "ready tasks / elements / 2", 0, 4),
    Feature("offered", "offered tasks / ready tasks"),
    Feature("idle", "share of the elements that are idle"),
    Feature("in_system", "jobs in the system / 8", 0, 4),
    Feature("elements", "number of elements / 8", 0, 4),
    Feature("may_wait", "1 if waiting is legal"),
    Feature("time_left", "L / p / 16", 0, 4),
    Feature("backlog", "sum of (free from - t) / elements / p / 2", 0, 4),
)
PAIRS = wp.constant(len(PAIR))


@wp.func
def clear(s: State, i: int):
    """Blank the observation: another instance was shown before."""
    clear_graph(s, i)
    s.shown[i] = 0
    s.stale[i] = 0


@wp.func
def least_total(s: State, i: int, k: int):
    """Least earliest finish plus optimistic cost of row k."""
    b = s.instance[i]
    width = s.execution.shape[2]
    v = s.row_node[i, k]
    j = v // width
    g = s.arrival_graph[b, j]
    least = int(2147483647)
    for p in range(s.elements[b]):
        if s.pair_finish[i, k, p] < LATEST:
            least = wp.min(least, s.pair_finish[i, k, p] + s.optimistic[b, g, v - j * width, p])
    return least


@wp.func
def survey(s: State, i: int):
    """Decision time, bound, least finish and least pilot makespan of all candidates, and the largest rank offered."""
    b = s.instance[i]
    width = s.execution.shape[2]
    time = int(s.now[i])
    bound = int(s.now[i])
    if s.planning == 1:
        time = LATEST
        bound = s.bound[i]
    first = int(LATEST)
    pilot = int(LATEST)
    largest = float(0.0)
    for k in range(s.rows[i]):
        v = s.row_node[i, k]
        j = v // width
        largest = wp.max(largest, s.rank[b, s.arrival_graph[b, j], v - j * width])
        s.row_total[i, k] = least_total(s, i, k)
        bound = wp.max(bound, s.row_total[i, k])
        first = wp.min(first, s.row_best[i, k])
        if s.planning == 1:
            for p in range(s.elements[b]):
                time = wp.min(time, s.pair_start[i, k, p])
    if s.pilot > 0:
        for a in range(s.rows[i] * s.execution.shape[3]):
            if s.action_mask[i, a] == wp.int8(1):
                pilot = wp.min(pilot, s.pilot_makespan[i, a])
    return time, bound, first, pilot, largest


@wp.func
def show_task(s: State, i: int, k: int, t: int, bound: int, largest: float, by_p: float, by_left: float):
    """Features of row k."""
    b = s.instance[i]
    width = s.execution.shape[2]
    v = s.row_node[i, k]
    j = v // width
    task = v - j * width
    g = s.arrival_graph[b, j]
    rank = s.rank[b, g, task]
    total = s.row_total[i, k]
    sufferage = float(8.0)
    if s.row_second[i, k] < LATEST:
        sufferage = float(s.row_second[i, k] - s.row_best[i, k]) * by_p
    s.work[i, k, 0] = clip(s.mean_execution[b, g, task] * by_p * 0.5, 0.0, 4.0)
    s.work[i, k, 1] = clip(float(s.least_execution[b, g, task]) * by_p * 0.5, 0.0, 4.0)
    s.work[i, k, 2] = clip(rank * by_left, 0.0, 4.0)
    s.work[i, k, 3] = clip((rank - largest) * by_p * 0.25, -4.0, 0.0)
    s.work[i, k, 4] = clip(float(s.row_best[i, k] - t) * by_left, 0.0, 2.0)
    s.work[i, k, 5] = clip(float(total - t) * by_left, 0.0, 2.0)
    s.work[i, k, 6] = clip(float(bound - total) * by_left, 0.0, 2.0)
    s.work[i, k, 7] = clip(sufferage * 0.5, 0.0, 4.0)
    s.work[i, k, 8] = clip(float(s.first_after[b, g, task + 1] - s.first_after[b, g, task]) * 0.25, 0.0, 4.0)
    s.work[i, k, 9] = clip(float(s.job_left[i, j]) / 16.0, 0.0, 4.0)
    s.work[i, k, 10] = clip(float(t - s.admission[i, j]) * by_p * 0.125, 0.0, 4.0)
    s.work[i, k, 11] = 1.0


@wp.func
def describe_pair(
    out: wp.array3d(dtype=wp.float32), s: State, i: int, at: int, k: int, p: int, t: int, bound: int, by_p: float,
    by_left: float,
):  # fmt: skip
    """Write the features of row k on element p to ``out[i, at]``."""
    b = s.instance[i]
    width = s.execution.shape[2]
    v = s.row_node[i, k]
    j = v // width
    task = v - j * width
    g = s.arrival_graph[b, j]
    finish = s.pair_finish[i, k, p]
    length = float(s.execution[b, g, task, p])
    least = float(wp.max(s.least_execution[b, g, task], 1))
    total = finish + s.optimistic[b, g, task, p]
    out[i, at, 0] = clip(length * by_p * 0.5, 0.0, 4.0)
    out[i, at, 1] = clip((length / least - 1.0) * 0.25, 0.0, 4.0)
    out[i, at, 2] = clip(float(s.pair_start[i, k, p] - t) * by_p * 0.5, 0.0, 4.0)
    out[i, at, 3] = clip(float(finish - s.row_best[i, k]) * by_p * 0.5, 0.0, 4.0)
    out[i, at, 4] = clip(float(total - s.row_total[i, k]) * by_p * 0.5, 0.0, 4.0)
    out[i, at, 5] = clip(float(total - bound) * by_left, -2.0, 2.0)
    out[i, at, 6] = float(finish == s.row_best[i, k])
    out[i, at, 7] = float(total == s.row_total[i, k])


@wp.func
def show_edge(s: State, i: int, k: int, p: int, t: int, bound: int, by_p: float, by_left: float):
    """Features of row k on element p."""
    e = k * s.resource.shape[1] + p
    if s.pair_finish[i, k, p] >= LATEST:
        hide_edge(s, i, e)
    else:
        s.assignment[i, 0, e] = wp.int64(k)
        s.assignment[i, 1, e] = wp.int64(p)
        describe_pair(s.assignment_attr, s, i, e, k, p, t, bound, by_p, by_left)


@wp.func
def ask_element(s: State, i: int, k: int, p: int, by_p: float):
    """Count row k among those that element p would finish first."""
    if s.pair_finish[i, k, p] == s.row_best[i, k]:
        s.resource[i, p, 4] = s.resource[i, p, 4] + 1.0
        asked = float(s.pair_finish[i, k, p] - s.pair_start[i, k, p]) * by_p * 0.25
        s.resource[i, p, 5] = wp.min(s.resource[i, p, 5] + asked, 4.0)


@wp.func
def show_elements(s: State, i: int, t: int, by_p: float):
    """Features of the elements but for what is asked of them; returns how many are idle, and the backlog."""
    b = s.instance[i]
    idle = float(0.0)
    backlog = float(0.0)
    for p in range(s.elements[b]):
        free = int(s.free[i, p])
        occupied = s.running[i, p] >= 0
        if s.planning == 1:
            free = 0
            if s.timeline_count[i, p] > 0:
                free = s.timeline_end[i, p, s.timeline_count[i, p] - 1]
            occupied = free > t
        delay = float(wp.max(free - t, 0)) * by_p
        if not occupied:
            idle += 1.0
        backlog += delay
        s.resource[i, p, 0] = clip(delay * 0.5, 0.0, 4.0)
        s.resource[i, p, 1] = float(not occupied)
        s.resource[i, p, 2] = float(s.focus[i] == p)
        s.resource[i, p, 3] = clip((s.slowdown[b, p] - 1.0) * 0.25, 0.0, 4.0)
        s.resource[i, p, 4] = 0.0
        s.resource[i, p, 5] = 0.0
        s.resource[i, p, 6] = 1.0
    return idle, backlog


@wp.func
def show_wait(s: State, i: int, a: int, t: int, by_p: float, planned: int):
    """The candidate to wait; ``planned`` says whether the plan wants something that is offered."""
    hide_candidate(s, i, a)
    soonest = int(LATEST)
    for p in range(s.elements[s.instance[i]]):
        if s.running[i, p] >= 0:
            soonest = wp.min(soonest, s.free[i, p])
    s.candidate_attr[i, a, PAIRS + 3] = float(s.planner > 0 and planned == 0)
    s.candidate_attr[i, a, PAIRS + 4] = 1.0
    s.candidate_attr[i, a, PAIRS + 5] = clip(float(wp.max(soonest - t, 0)) * by_p * 0.5, 0.0, 4.0)


@wp.func
def show_candidate(s: State, i: int, a: int, t: int, bound: int, first: int, pilot: int, by_p: float, by_left: float):
    """The candidate to bind a row to an element, or nothing where action a is illegal."""
    wide = s.execution.shape[3]
    k = a // wide
    p = a - k * wide
    if s.planning == 0 and s.binding == PULL:
        k = a
        p = s.focus[i]
    if k >= s.rows[i] or s.action_mask[i, a] == wp.int8(0):
        hide_candidate(s, i, a)
    else:
        s.candidate[i, a, 0] = wp.int64(s.row_work[i, k])
        s.candidate[i, a, 1] = wp.int64(p)
        describe_pair(s.candidate_attr, s, i, a, k, p, t, bound, by_p, by_left)
        s.candidate_attr[i, a, PAIRS] = clip(float(s.pair_finish[i, k, p] - first) * by_p * 0.5, 0.0, 4.0)
        s.candidate_attr[i, a, PAIRS + 1] = 0.0
        s.candidate_attr[i, a, PAIRS + 2] = 0.0
        if s.pilot > 0:
            above = float(s.pilot_makespan[i, a] - pilot)
            s.candidate_attr[i, a, PAIRS + 1] = clip(above * by_p * 0.5, 0.0, 4.0)
            s.candidate_attr[i, a, PAIRS + 2] = clip(above * by_left, 0.0, 1.0)
        s.candidate_attr[i, a, PAIRS + 3] = 0.0
        if s.planner > 0:
            s.candidate_attr[i, a, PAIRS + 3] = float(s.planned[i, a])
        s.candidate_attr[i, a, PAIRS + 4] = 0.0
        s.candidate_attr[i, a, PAIRS + 5] = 0.0


@wp.func
def show_choice(s: State, i: int, t: int, bound: int, first: int, pilot: int, by_p: float, by_left: float):
    """Elements, candidates and context, which both forms of the observation share."""
    b = s.instance[i]
    idle, backlog = show_elements(s, i, t, by_p)
    for p in range(s.elements[b]):
        for k in range(s.rows[i]):
            ask_element(s, i, k, p, by_p)
        s.resource[i, p, 4] = s.resource[i, p, 4] / float(wp.max(s.rows[i], 1))  # a sum of shares may exceed 1
    waits = s.planning == 0 and s.binding != PUSH
    last = s.action_mask.shape[1]
    if waits:
        last = last - 1
    planned = int(0)
    for a in range(last):
        show_candidate(s, i, a, t, bound, first, pilot, by_p, by_left)
        if s.planner > 0 and s.action_mask[i, a] == wp.int8(1):
            planned += s.planned[i, a]
    if waits:
        if s.may_wait[i] == 1:
            show_wait(s, i, last, t, by_p, planned)
        else:
            hide_candidate(s, i, last)
    elements = float(s.elements[b])
    s.context[i, 0] = float(s.left[i]) / float(wp.max(s.all_tasks[b], 1))
    s.context[i, 1] = clip(float(s.ready_count[i]) / elements * 0.5, 0.0, 4.0)
    s.context[i, 2] = float(s.rows[i]) / float(wp.max(s.ready_count[i], 1))
    s.context[i, 3] = idle / elements
    s.context[i, 4] = clip(float(s.in_system[i]) * 0.125, 0.0, 4.0)
    s.context[i, 5] = clip(elements * 0.125, 0.0, 4.0)
    s.context[i, 6] = float(s.may_wait[i])
    s.context[i, 7] = clip(by_p / by_left / 16.0, 0.0, 4.0)
    s.context[i, 8] = clip(backlog / elements * 0.5, 0.0, 4.0)


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of the offered tasks."""
    if s.stale[i] == 1 or s.terminated[i] == wp.int8(1):
        clear(s, i)
        if s.terminated[i] == wp.int8(1):
            s.stale[i] = 1  # blank again should it be looked at again
            return
    b = s.instance[i]
    t, bound, first, pilot, largest = survey(s, i)
    by_p = 1.0 / s.mean_duration[b]
    by_left = 1.0 / wp.max(float(bound - t), s.mean_duration[b])
    for k in range(s.rows[i]):
        s.row_work[i, k] = k
        show_task(s, i, k, t, bound, largest, by_p, by_left)
        for p in range(s.elements[b]):
            show_edge(s, i, k, p, t, bound, by_p, by_left)
    for k in range(s.rows[i], s.shown[i]):
        for f in range(s.work.shape[2]):
            s.work[i, k, f] = 0.0
        for p in range(s.elements[b]):
            hide_edge(s, i, k * s.resource.shape[1] + p)
    s.shown[i] = s.rows[i]
    show_choice(s, i, t, bound, first, pilot, by_p, by_left)
