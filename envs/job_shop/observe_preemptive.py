"""What a policy sees of a machine that may be taken away from a job: jobs and the machine as nodes.

Times are relative to now and scaled by ``p``, the mean length of the operations that are known, at least 1. Under
``known="operations"`` remaining work is that of the operation at hand; under ``reveal`` jobs before their release are
not there. Nothing shown depends on what is not known.
"""

import warp as wp

from ..core.features import clear_graph, clip
from ..core.graph import Feature
from .simulator_preemptive import is_known, next_release
from .simulator_preemptive_state import State
from .simulator_state import DUE, WEIGHT

JOB = (
    Feature("operation_remaining", "what is left of the operation at hand / p / 2", 0, 4),
    Feature("remaining_work", "what is left of all known operations / p / 8", 0, 4),
    Feature("completed", "how long it has run / p / 8", 0, 4),
    Feature("progress", "share of the operation at hand that is done"),
    Feature("steps", "operations done / 4", 0, 4),
    Feature("waiting", "(now - release) / p / 32; less than 0 before the release", -2, 4),
    Feature("running", "1 if it ran last"),
    Feature("candidate", "1 if it may run now"),
    Feature("unfinished", "1 while it is known and operations are left"),
)
JOB_COSTS = (
    Feature("due_slack", "(due date - now - remaining work) / p / 8", -4, 4),
    Feature("weight", "/ 8", 0, 4),
)
MACHINE = (
    Feature("waiting", "candidates / 8", 0, 4),
    Feature("work", "what is left of them, as far as it is known / p / 32", 0, 4),
    Feature("exists", "1"),
)
EDGE = (Feature("remaining_work", "as of its job", 0, 4),)
CANDIDATE = (
    Feature("operation_remaining", "as of its job", 0, 4),
    Feature("remaining_work", "as of its job", 0, 4),
    Feature("lead", "(remaining work - the least of a candidate) / p / 4", 0, 4),
    Feature("operation_lead", "the same of the operation at hand / p / 2", 0, 4),
    Feature("service_lead", "(how long it has run - the least of a candidate) / p / 4", 0, 4),
    Feature("running", "1 if it ran last"),
)
CONTEXT = (
    Feature("unfinished", "share of the known jobs that are unfinished"),
    Feature("candidates", "candidates / 8", 0, 4),
    Feature("next_release", "(next known release - now) / p / 8; 2 without one", 0, 2),
)


@wp.func
def mean_known(s: State, i: int):
    """Mean length of the operations that are known, at least 1."""
    b = s.instance[i]
    total = int(0)
    count = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if is_known(s, i, j):
            last = s.operations[b, j]
            if s.all_known == 0:
                last = wp.min(s.next_operation[i, j] + 1, last)
            o = int(0)
            while o < last:
                total += s.duration[b, j, o]
                count += 1
                o += 1
        j += 1
    return wp.max(float(total) / float(wp.max(count, 1)), 1.0)


@wp.func
def show_job(s: State, i: int, j: int, by_p: float):
    """Features of job j, which is known and not complete."""
    b = s.instance[i]
    left = float(s.operation_remaining[i, j])
    remaining = clip(float(s.remaining_work[i, j]) * by_p * 0.125, 0.0, 4.0)
    s.work[i, j, 0] = clip(left * by_p * 0.5, 0.0, 4.0)
    s.work[i, j, 1] = remaining
    s.work[i, j, 2] = clip(float(s.completed_work[i, j]) * by_p * 0.125, 0.0, 4.0)
    s.work[i, j, 3] = clip(1.0 - left / float(wp.max(s.processing_time[i, j], 1)), 0.0, 1.0)
    s.work[i, j, 4] = clip(float(s.next_operation[i, j]) * 0.25, 0.0, 4.0)
    s.work[i, j, 5] = clip(float(s.now[i] - s.release[b, j]) * by_p * 0.03125, -2.0, 4.0)
    s.work[i, j, 6] = float(int(j == s.current[i]))
    s.work[i, j, 7] = float(int(s.action_mask[i, j]))
    s.work[i, j, 8] = 1.0
    if s.costs == 1:
        slack = s.job_costs[b, j, DUE] - s.now[i] - s.remaining_work[i, j]
        s.work[i, j, 9] = clip(float(slack) * by_p * 0.125, -4.0, 4.0)
        s.work[i, j, 10] = clip(float(s.job_costs[b, j, WEIGHT]) * 0.125, 0.0, 4.0)
    s.assignment[i, 0, j] = wp.int64(j)
    s.assignment[i, 1, j] = wp.int64(0)
    s.assignment_attr[i, j, 0] = remaining


@wp.func
def show_candidates(s: State, i: int, by_p: float):
    """Index and features of every job that may run, the machine and what the context says of them; their number."""
    least = int(1073741824)
    least_operation = int(1073741824)
    least_service = int(1073741824)
    total = int(0)
    count = int(0)
    b = s.instance[i]
    j = int(0)
    while j < s.jobs[b]:
        if s.action_mask[i, j] == wp.int8(1):
            least = wp.min(least, s.remaining_work[i, j])
            least_operation = wp.min(least_operation, s.operation_remaining[i, j])
            least_service = wp.min(least_service, s.completed_work[i, j])
            total += s.remaining_work[i, j]
            count += 1
        j += 1
    j = int(0)
    while j < s.jobs[b]:
        if s.action_mask[i, j] == wp.int8(1):
            s.candidate[i, j, 0] = wp.int64(j)
            s.candidate[i, j, 1] = wp.int64(0)
            s.candidate_attr[i, j, 0] = s.work[i, j, 0]
            s.candidate_attr[i, j, 1] = s.work[i, j, 1]
            s.candidate_attr[i, j, 2] = clip(float(s.remaining_work[i, j] - least) * by_p * 0.25, 0.0, 4.0)
            lead = s.operation_remaining[i, j] - least_operation
            s.candidate_attr[i, j, 3] = clip(float(lead) * by_p * 0.5, 0.0, 4.0)
            s.candidate_attr[i, j, 4] = clip(float(s.completed_work[i, j] - least_service) * by_p * 0.25, 0.0, 4.0)
            s.candidate_attr[i, j, 5] = s.work[i, j, 6]
        j += 1
    s.resource[i, 0, 0] = clip(float(count) * 0.125, 0.0, 4.0)
    s.resource[i, 0, 1] = clip(float(total) * by_p * 0.03125, 0.0, 4.0)
    s.resource[i, 0, 2] = 1.0
    return count


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation."""
    clear_graph(s, i)
    if s.terminated[i] == wp.int8(1):
        return
    b = s.instance[i]
    by_p = 1.0 / mean_known(s, i)
    known = int(0)
    unfinished = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if is_known(s, i, j):
            known += 1
            if s.next_operation[i, j] < s.operations[b, j]:
                unfinished += 1
                show_job(s, i, j, by_p)
        j += 1
    count = show_candidates(s, i, by_p)
    s.context[i, 0] = float(unfinished) / float(wp.max(known, 1))
    s.context[i, 1] = clip(float(count) * 0.125, 0.0, 4.0)
    s.context[i, 2] = 2.0
    if s.revealed == 0:
        s.context[i, 2] = clip(float(next_release(s, i) - s.now[i]) * by_p * 0.125, 0.0, 2.0)
