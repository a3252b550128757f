"""What a policy sees besides, where there are due dates, weights or another objective than the makespan.

Further features of jobs (or, in the operation graph, of the operations to come), of candidates and of the context;
makespan problems do not have them. The price of a job is what a unit of time costs it, ``w`` the mean over jobs of the
largest price, with ``p`` and ``t`` as in observe.py. Without a due date a job is far from it.
"""

from typing import Any

import warp as wp

from ..core.features import clip
from ..core.graph import Feature
from .simulator_cost import cost_at
from .simulator_state import DUE, FLOW, LATE, TARDY

JOB_COSTS = (
    Feature("due", "(due date - t) / p / 16", -2, 2),
    Feature("due_slack", "(due date - earliest start - remaining work) / p / 4", -2, 2),
    Feature("late", "1 if it can be on time no more"),
    Feature("price", "of a unit of time if it is as late as it must be / w", 0, 4),
    Feature("late_price", "of a unit of time once it is late / w", 0, 4),
    Feature("stake", "cost of being late at all, while it need not be / mean over jobs", 0, 4),
)
CANDIDATE_COSTS = (
    Feature("due_slack", "as of its job", -2, 2),
    Feature("late_price", "as of its job", 0, 4),
    Feature("price_per_time", "late price * p / processing time / 4", 0, 2),
    Feature("modified_due", "modified due date, minus the earliest of a candidate / p / 4", 0, 2),
    Feature("modified_operation_due", "the same of the operation", 0, 2),
    Feature("urgency", "price per time, less with slack (COVERT) / the largest of a candidate"),
    Feature(
        "delay_cost", "what others pay if it goes first, minus the least of a candidate / w / p (or stake) / 4", 0, 2
    ),
)
CONTEXT_COSTS = (
    Feature("late", "share of the jobs that can be on time no more"),
    Feature("cost", "bound of the objective / its scale", -1, 4),
)


@wp.func
def price_when_late(s: Any, b: int, j: int):
    """What a unit of time costs job j once it is late."""
    shared = s.makespan_cost + s.lateness_cost
    return (float(shared) + float(s.job_costs[b, j, FLOW]) + float(s.job_costs[b, j, TARDY])) * s.means[b, 1]


@wp.func
def completion_at(s: Any, i: int, j: int):
    """When job j is complete at the earliest."""
    return s.earliest_start[i, j] + s.remaining_work[i, j]


@wp.func
def show_job_costs(s: Any, i: int, j: int, row: int, first: int, by_p: float):
    """Features of unfinished job j from column ``first`` of work node ``row`` on."""
    b = s.instance[i]
    slack = s.job_costs[b, j, DUE] - completion_at(s, i, j)
    price = float(s.makespan_cost + s.lateness_cost + s.job_costs[b, j, FLOW]) * s.means[b, 1]
    s.work[i, row, first] = clip(float(s.job_costs[b, j, DUE] - s.time[i]) * by_p * 0.0625, -2.0, 2.0)
    s.work[i, row, first + 1] = clip(float(slack) * by_p * 0.25, -2.0, 2.0)
    s.work[i, row, first + 2] = 0.0
    s.work[i, row, first + 3] = clip(price, 0.0, 4.0)
    s.work[i, row, first + 4] = clip(price_when_late(s, b, j), 0.0, 4.0)
    s.work[i, row, first + 5] = clip(float(s.job_costs[b, j, LATE]) * s.means[b, 2], 0.0, 4.0)
    if slack < 0:
        s.work[i, row, first + 2] = 1.0
        s.work[i, row, first + 3] = s.work[i, row, first + 4]
        s.work[i, row, first + 5] = 0.0


@wp.func
def modified_due(s: Any, i: int, j: int):
    """Modified due date of job j."""
    return wp.max(s.job_costs[s.instance[i], j, DUE], completion_at(s, i, j))


@wp.func
def modified_operation_due(s: Any, i: int, j: int):
    """Modified due date of job j's next operation."""
    due = s.operation_due[s.instance[i], j, s.next_operation[i, j]]
    return wp.max(due, s.earliest_start[i, j] + s.processing_time[i, j])


@wp.func
def price_per_time(s: Any, i: int, j: int):
    """Price of job j when late, for a unit of its next operation's length."""
    return price_when_late(s, s.instance[i], j) / float(wp.max(s.processing_time[i, j], 1))


@wp.func
def urgency(s: Any, i: int, j: int):
    """Index of COVERT (Carroll 1965): all of the price without slack, none with four times the remaining work."""
    slack = wp.max(s.job_costs[s.instance[i], j, DUE] - completion_at(s, i, j), 0)
    waiting = 4.0 * float(wp.max(s.remaining_work[i, j], 1))
    return price_per_time(s, i, j) * clip(1.0 - float(slack) / waiting, 0.0, 1.0)


@wp.func
def delay_cost(s: Any, i: int, j: int):
    """What the other candidates on its machine cost more when they start after candidate j."""
    b = s.instance[i]
    end = s.earliest_start[i, j] + s.processing_time[i, j]
    total = wp.int64(0)
    worst = int(0)
    for k in range(s.jobs[b]):
        if k != j and s.action_mask[i, k] == wp.int8(1) and s.next_machine[i, k] == s.next_machine[i, j]:
            delay = end - s.earliest_start[i, k]
            if delay > 0:
                before = completion_at(s, i, k)
                total += cost_at(s, b, k, 0, before + delay) - cost_at(s, b, k, 0, before)
                worst = wp.max(worst, delay)
    return float(total) + float(s.makespan_cost + s.lateness_cost) * float(worst)


@wp.func
def show_candidate_costs(s: Any, i: int, first: int, by_p: float):
    """Features of the candidates from column ``first`` on."""
    b = s.instance[i]
    due = int(1073741824)
    operation_due = int(1073741824)
    urgent = float(0.0)
    least = float(0.0)
    count = int(0)
    for j in range(s.jobs[b]):
        if s.action_mask[i, j] == wp.int8(1):
            due = wp.min(due, modified_due(s, i, j))
            operation_due = wp.min(operation_due, modified_operation_due(s, i, j))
            urgent = wp.max(urgent, urgency(s, i, j))
            cost = delay_cost(s, i, j)
            s.candidate_attr[i, j, first + 6] = cost
            if count == 0 or cost < least:
                least = cost
            count += 1
    by_cost = s.means[b, 1] * by_p * 0.25
    if by_cost == 0.0:
        by_cost = s.means[b, 2] * 0.25
    by_urgent = float(0.0)
    if urgent > 0.0:
        by_urgent = 1.0 / urgent
    for j in range(s.jobs[b]):
        if s.action_mask[i, j] == wp.int8(1):
            slack = s.job_costs[b, j, DUE] - completion_at(s, i, j)
            s.candidate_attr[i, j, first] = clip(float(slack) * by_p * 0.25, -2.0, 2.0)
            s.candidate_attr[i, j, first + 1] = clip(price_when_late(s, b, j), 0.0, 4.0)
            s.candidate_attr[i, j, first + 2] = clip(price_per_time(s, i, j) / by_p * 0.25, 0.0, 2.0)
            s.candidate_attr[i, j, first + 3] = clip(float(modified_due(s, i, j) - due) * by_p * 0.25, 0.0, 2.0)
            lead = modified_operation_due(s, i, j) - operation_due
            s.candidate_attr[i, j, first + 4] = clip(float(lead) * by_p * 0.25, 0.0, 2.0)
            s.candidate_attr[i, j, first + 5] = clip(urgency(s, i, j) * by_urgent, 0.0, 1.0)
            more = s.candidate_attr[i, j, first + 6] - least
            s.candidate_attr[i, j, first + 6] = clip(more * by_cost, 0.0, 2.0)


@wp.func
def show_context_costs(s: Any, i: int, first: int):
    """Global features from column ``first`` on."""
    b = s.instance[i]
    late = int(0)
    for j in range(s.jobs[b]):
        completion = s.arrival[i, j]
        if s.next_machine[i, j] >= 0:
            completion = completion_at(s, i, j)
        if completion > s.job_costs[b, j, DUE]:
            late += 1
    s.context[i, first] = float(late) / float(s.jobs[b])
    s.context[i, first + 1] = clip(float(s.cost[i]) / float(s.cost_scale[b, 0]), -1.0, 4.0)
