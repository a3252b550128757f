"""What a policy sees of whole task graphs: a node per task of every job, its edges with their data, and all elements.

Jobs that have not arrived yet are not shown, and a task is gone from the graph once it is done. Elements, candidates,
context, ``t``, ``p`` and ``L`` are those of observe.py.
"""

import warp as wp

from ..core.features import clip, hide_edge
from ..core.graph import Feature
from .observe import clear, show_choice, survey
from .simulator_state import DONE, QUEUED, READY, RUNNING
from .simulator_state import Struct as State

TASK = (
    Feature("waiting", "1 while predecessors are not committed or done"),
    Feature("ready", "1 if it can be bound"),
    Feature("offered", "1 if it is offered now"),
    Feature("queued", "1 if it is in an element's queue"),
    Feature("running", "1 while it runs"),
    Feature("mean_execution", "mean execution time / p / 2", 0, 4),
    Feature("least_execution", "least execution time / p / 2", 0, 4),
    Feature("rank", "upward rank / L", 0, 4),
    Feature("waits_for", "predecessors not committed or done / 4", 0, 4),
    Feature("successors", "number of successors / 4", 0, 4),
    Feature("remaining", "running: (estimated finish - t) / p / 2", 0, 4),
    Feature("best_finish", "offered: (least earliest finish - t) / L", 0, 2),
    Feature("tasks_left", "tasks of its job to come / 16", 0, 4),
    Feature("exists", "1, or 0 for padding and for tasks that are done or unknown"),
)
EXECUTION = (
    Feature("execution_time", "/ p / 2", 0, 4),
    Feature("ratio", "(execution time / least - 1) / 4", 0, 4),
    Feature("bound", "1 if the task is bound to this element or runs on it"),
    Feature("arrival", "ready: (when its data can be there - t) / p / 2", 0, 4),
)
EDGE = (Feature("transfer", "mean time of its data between two elements / p / 2", 0, 4),)


@wp.func
def hide_task(s: State, i: int, v: int):
    """Make node v and its assignment edges padding."""
    for f in range(s.work.shape[2]):
        s.work[i, v, f] = 0.0
    for p in range(s.resource.shape[1]):
        hide_edge(s, i, v * s.resource.shape[1] + p)


@wp.func
def show_node(s: State, i: int, v: int, t: int, by_p: float, by_left: float):
    """Features of node v but for what is known of offered tasks only."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    task = v - j * width
    g = s.arrival_graph[b, j]
    status = s.status[i, v]
    s.work[i, v, 0] = float(status < READY)
    s.work[i, v, 1] = float(status == READY)
    s.work[i, v, 2] = 0.0
    s.work[i, v, 3] = float(status == QUEUED)
    s.work[i, v, 4] = float(status == RUNNING)
    s.work[i, v, 5] = clip(s.mean_execution[b, g, task] * by_p * 0.5, 0.0, 4.0)
    s.work[i, v, 6] = clip(float(s.least_execution[b, g, task]) * by_p * 0.5, 0.0, 4.0)
    s.work[i, v, 7] = clip(s.rank[b, g, task] * by_left, 0.0, 4.0)
    s.work[i, v, 8] = clip(float(s.waits_for[i, v]) * 0.25, 0.0, 4.0)
    s.work[i, v, 9] = clip(float(s.first_after[b, g, task + 1] - s.first_after[b, g, task]) * 0.25, 0.0, 4.0)
    s.work[i, v, 10] = 0.0
    if status == RUNNING:
        expected = s.expected[i, s.on[i, v]]
        s.work[i, v, 10] = clip(float(wp.max(expected - t, 0)) * by_p * 0.5, 0.0, 4.0)
    s.work[i, v, 11] = 0.0
    s.work[i, v, 12] = clip(float(s.job_left[i, j]) / 16.0, 0.0, 4.0)
    s.work[i, v, 13] = 1.0


@wp.func
def show_execution(s: State, i: int, v: int, t: int, by_p: float):
    """The edges of node v to the elements."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    task = v - j * width
    g = s.arrival_graph[b, j]
    status = s.status[i, v]
    least = float(wp.max(s.least_execution[b, g, task], 1))
    for p in range(s.elements[b]):
        e = v * s.resource.shape[1] + p
        length = s.execution[b, g, task, p]
        if length < 0:
            hide_edge(s, i, e)
        else:
            s.assignment[i, 0, e] = wp.int64(v)
            s.assignment[i, 1, e] = wp.int64(p)
            s.assignment_attr[i, e, 0] = clip(float(length) * by_p * 0.5, 0.0, 4.0)
            s.assignment_attr[i, e, 1] = clip((float(length) / least - 1.0) * 0.25, 0.0, 4.0)
            s.assignment_attr[i, e, 2] = float((status == QUEUED or status == RUNNING) and s.on[i, v] == p)
            s.assignment_attr[i, e, 3] = 0.0
            if status == READY:
                late = float(wp.max(s.data_ready[i, s.slot[i, v], p] - t, 0))
                s.assignment_attr[i, e, 3] = clip(late * by_p * 0.5, 0.0, 4.0)


@wp.func
def show_precedence(s: State, i: int, j: int, by_p: float):
    """The edges of job j between tasks that are both still in the graph; the others are padding."""
    b = s.instance[i]
    width = s.execution.shape[2]
    links = s.before.shape[2]
    g = s.arrival_graph[b, j]
    for t in range(s.tasks[b, g]):
        v = j * width + t
        for k in range(s.first_before[b, g, t], s.first_before[b, g, t + 1]):
            arc = j * links + k
            u = j * width + s.before[b, g, k]
            if s.status[i, v] == DONE or s.status[i, u] == DONE:
                s.precedence[i, 0, arc] = wp.int64(s.work.shape[1])
                s.precedence[i, 1, arc] = wp.int64(s.work.shape[1])
                s.precedence_attr[i, arc, 0] = 0.0
            else:
                s.precedence[i, 0, arc] = wp.int64(u)
                s.precedence[i, 1, arc] = wp.int64(v)
                s.precedence_attr[i, arc, 0] = clip(s.mean_transfer[b, g, k] * by_p * 0.5, 0.0, 4.0)


@wp.func
def clear_arcs(s: State, i: int):
    """Make all precedence edges padding."""
    for arc in range(s.precedence.shape[2]):
        for end in range(2):
            s.precedence[i, end, arc] = wp.int64(s.work.shape[1])
        for f in range(s.precedence_attr.shape[2]):
            s.precedence_attr[i, arc, f] = 0.0


@wp.func
def show_job(s: State, i: int, j: int, t: int, by_p: float, by_left: float):
    """The tasks of an admitted job that are not done, and the edges between them."""
    b = s.instance[i]
    width = s.execution.shape[2]
    for task in range(s.tasks[b, s.arrival_graph[b, j]]):
        v = j * width + task
        if s.status[i, v] == DONE:
            hide_task(s, i, v)
        else:
            show_node(s, i, v, t, by_p, by_left)
            show_execution(s, i, v, t, by_p)
    show_precedence(s, i, j, by_p)


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of all tasks."""
    if s.stale[i] == 1 or s.terminated[i] == wp.int8(1):
        clear(s, i)
        clear_arcs(s, i)
        if s.terminated[i] == wp.int8(1):
            s.stale[i] = 1  # blank again should it be looked at again
            return
    b = s.instance[i]
    t, bound, first, pilot, largest = survey(s, i)
    by_p = 1.0 / s.mean_duration[b]
    by_left = 1.0 / wp.max(float(bound - t), s.mean_duration[b])
    for j in range(s.admitted[i]):
        if s.job_left[i, j] > 0 or s.shown_job[i, j] == 1:
            show_job(s, i, j, t, by_p, by_left)
            s.shown_job[i, j] = int(s.job_left[i, j] > 0)
    for k in range(s.rows[i]):
        v = s.row_node[i, k]
        s.row_work[i, k] = v
        s.work[i, v, 2] = 1.0
        s.work[i, v, 11] = clip(float(s.row_best[i, k] - t) * by_left, 0.0, 2.0)
    show_choice(s, i, t, bound, first, pilot, by_p, by_left)
