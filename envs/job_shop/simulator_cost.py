"""What other objectives than the makespan add to the dynamics: their bound, their rewards and the columns about them.

Every objective grows with the completion times of the jobs, so the objective of the earliest completions that are still
possible is a bound; it only grows, and when all operations are committed it is the objective.
"""

from typing import Any

import warp as wp

from .simulator_limits import soonest
from .simulator_state import DUE, FLOW, LATE, TARDY, WEIGHT, State


@wp.func
def earliest_completion(s: State, i: int, j: int):
    """When job j is complete at the earliest, its route after the next operation taken without waiting."""
    if s.next_machine[i, j] >= 0:
        start = s.earliest_start[i, j]
        if s.setups == 1:
            start = soonest(s, i, j)
        return start + s.remaining_work[i, j]
    return s.arrival[i, j]


@wp.func
def cost_at(s: Any, b: int, j: int, release: int, completion: int):
    """What job j's completion at a time costs, but for the makespan and the maximum lateness."""
    cost = wp.int64(s.job_costs[b, j, FLOW]) * wp.int64(completion - release)
    tardiness = completion - s.job_costs[b, j, DUE]
    if tardiness > 0:
        cost += wp.int64(s.job_costs[b, j, TARDY]) * wp.int64(tardiness) + wp.int64(s.job_costs[b, j, LATE])
    return cost


@wp.func
def bound_of_cost(s: State, i: int):
    """Lower bound of the objective."""
    b = s.instance[i]
    total = wp.int64(0)
    latest = int(0)
    lateness = int(-1073741824)
    for j in range(s.jobs[b]):
        completion = earliest_completion(s, i, j)
        total += cost_at(s, b, j, s.release[b, j], completion)
        latest = wp.max(latest, completion)
        lateness = wp.max(lateness, completion - s.job_costs[b, j, DUE])
    total += wp.int64(s.makespan_cost) * wp.int64(wp.max(latest, s.bound[i]))
    return total + wp.int64(s.lateness_cost) * wp.int64(lateness)


@wp.func
def begin_costs(s: State, i: int):
    """The columns that stay in an episode, and the bound before anything is decided."""
    b = s.instance[i]
    for j in range(s.jobs[b]):
        s.due_date[i, j] = s.job_costs[b, j, DUE]
        s.weight[i, j] = s.job_costs[b, j, WEIGHT]
    for j in range(s.jobs[b], s.due_date.shape[1]):  # padding
        s.due_date[i, j] = 0
        s.weight[i, j] = 0
        s.slack[i, j] = 0
        s.operation_due_date[i, j] = 0
    s.rewarded[i] = bound_of_cost(s, i)


@wp.func
def show_costs(s: State, i: int):
    """The columns that change, once the decision time is known."""
    b = s.instance[i]
    for j in range(s.jobs[b]):
        s.slack[i, j] = 0
        s.operation_due_date[i, j] = s.job_costs[b, j, DUE]
        if s.next_machine[i, j] >= 0:
            s.slack[i, j] = s.job_costs[b, j, DUE] - s.time[i] - s.remaining_work[i, j]
            s.operation_due_date[i, j] = s.operation_due[b, j, s.next_operation[i, j]]


@wp.func
def account(s: State, i: int):
    """Bring bound and columns up to date after a decision and all that it forced."""
    if s.illegal[i] == wp.int8(1):
        s.cost[i] = s.cost_scale[s.instance[i], 1]
    else:
        s.cost[i] = bound_of_cost(s, i)
        show_costs(s, i)


@wp.func
def reward_of_cost(s: State, i: int):
    """What the bound grew by since the last reward, as a share of the objective's scale, negative."""
    reward = float(s.rewarded[i] - s.cost[i]) / float(s.cost_scale[s.instance[i], 0])
    s.rewarded[i] = s.cost[i]
    return reward
