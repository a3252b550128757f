"""What a policy sees of the job shop: machines and jobs as nodes, the operations to come as edges.

A work node is a job seen through its next operation and a resource node a machine; the rest of the route sits on the
assignment edges, so that n + m nodes and n * m edges carry all that the operation graph knows. Times are relative to
the decision time ``t`` and scaled by the mean processing time ``p`` of the instance or by ``L = max(bound - t, p)``,
the time that is left at least. This bound is sharper than the one behind the reward: it uses the operations that are
still to come.
"""

import warp as wp

from ..core.features import clear_graph, clip, hide_edge
from ..core.graph import Feature
from .observe_costs import show_candidate_costs, show_context_costs, show_job_costs
from .observe_limits import show_job_setup, show_limits
from .observe_wait import show_wait
from .simulator_limits import soonest
from .simulator_state import ARRIVAL, BOUND, LATEST, TAIL, WAITING, WAITING_WORK
from .simulator_state import Struct as State

JOB = (
    Feature("remaining_work", "processing time to come / L"),
    Feature("remaining_operations", "operations to come / machines", 0, 4),
    Feature("ready", "(arrival at the next machine - t) / p / 2", -2.5, 2.5),
    Feature("processing_time", "of the next operation / p / 2", 0, 4),
    Feature("candidate", "1 if it may be chosen now"),
    Feature("slack", "(bound - earliest start - remaining work) / L"),
    Feature("completed", "share of the job's work that is done"),
    Feature("progress", "share of the job's work done after the next operation"),
    Feature("tail", "work after the next operation / L"),
    Feature("second_duration", "processing time of the operation after the next / p / 2", 0, 4),
    Feature("needs_focus", "1 if the job still visits the focus machine"),
    Feature("focus_duration", "processing time of that visit / p / 2", 0, 4),
    Feature("focus_distance", "work before that visit / p / 4", 0, 2),
    Feature("focus_steps", "operations before that visit / machines", 0, 2),
    Feature("unfinished", "1 while operations are left"),
)
MACHINE = (
    Feature("free", "(free from - t) / p / 2", 0, 2.5),
    Feature("load", "work to come / L"),
    Feature("operations", "operations to come / jobs", 0, 4),
    Feature("waiting", "3 * jobs waiting / jobs", 0, 3),
    Feature("waiting_work", "their work / p / 4", 0, 2),
    Feature("slack", "(bound - bound through this machine) / L"),
    Feature("focus", "1 for the machine the candidates compete for"),
    Feature("relative_load", "work to come / the largest of any machine"),
    Feature("tail", "smallest work left after an operation to come / L"),
    Feature("earliest_arrival", "(first arrival - t) / p / 2", 0, 2.5),
    Feature("exists", "1, or 0 for padding"),
)
OPERATION_EDGE = (
    Feature("processing_time", "/ p / 2", 0, 4),
    Feature("steps", "operations of the job before it / machines", 0, 2),
    Feature("head", "work of the job before it / L"),
    Feature("tail", "work of the job after it / L"),
    Feature("next", "1 if it is the job's next operation"),
    Feature("arrival", "(earliest arrival - machine free) / p / 5", -1, 1),
)
CANDIDATE = (
    Feature("processing_time", "/ p / 2", 0, 4),
    Feature("start_delay", "(start - t) / p / 2", 0, 2.5),
    Feature("bound_increase", "(t + processing time + largest remaining work of another candidate - bound) / L", -3, 3),
    Feature("lead", "(remaining work - longest candidate) / L", -2, 2),
    Feature("next_free", "(next machine free - t) / p / 2", 0, 2.5),
    Feature("next_load", "work to come on the next machine / largest"),
    Feature("next_waiting", "work waiting at the next machine / p / 4", 0, 2),
    Feature("last", "1 if it is the job's last operation"),
)
CONTEXT = (
    Feature("unfinished", "share of the jobs that are unfinished"),
    Feature("candidates", "candidates / jobs"),
    Feature("choice", "candidates / 8", 0, 4),
    Feature("bottleneck", "largest load of a machine / L"),
    Feature("utilisation", "work to come / (machines * L)"),
    Feature("shape", "jobs / machines / 3", 0, 4),
)


@wp.func
def clear(s: State, i: int):
    """Blank the observation: another instance was shown before."""
    clear_graph(s, i)
    for j in range(s.shown.shape[1]):
        s.shown[i, j] = 0
    s.stale[i] = 0


@wp.func
def lay_out(s: State, i: int):
    """Write the ends of all operation edges; they stay until their operation is committed."""
    b = s.instance[i]
    per_job = s.assignment.shape[2] // s.shown.shape[1]
    for j in range(s.jobs[b]):
        for o in range(s.operations[b, j]):
            e = j * per_job + s.slot[b, j, o]
            s.assignment[i, 0, e] = wp.int64(j)
            s.assignment[i, 1, e] = wp.int64(s.machine[b, j, o])


@wp.func
def survey_machines(s: State, i: int):
    """Fill first arrival, smallest tail and queue of every machine; returns the total work to come."""
    b = s.instance[i]
    for k in range(s.machines[b]):
        s.machine_survey[i, k, ARRIVAL] = LATEST
        s.machine_survey[i, k, TAIL] = LATEST
        s.machine_survey[i, k, WAITING] = 0
        s.machine_survey[i, k, WAITING_WORK] = 0
    total = int(0)
    for j in range(s.jobs[b]):
        next = s.next_machine[i, j]
        if next >= 0:
            remaining = s.remaining_work[i, j]
            total += remaining
            if s.arrival[i, j] <= s.time[i]:
                s.machine_survey[i, next, WAITING] = s.machine_survey[i, next, WAITING] + 1
                s.machine_survey[i, next, WAITING_WORK] = (
                    s.machine_survey[i, next, WAITING_WORK] + s.processing_time[i, j]
                )
            arrival = s.earliest_start[i, j]
            if s.setups == 1:
                arrival = soonest(s, i, j)
            for o in range(s.next_operation[i, j], s.operations[b, j]):
                k = s.machine[b, j, o]
                duration = s.duration[b, j, o]
                s.machine_survey[i, k, ARRIVAL] = wp.min(s.machine_survey[i, k, ARRIVAL], arrival)
                remaining -= duration
                s.machine_survey[i, k, TAIL] = wp.min(s.machine_survey[i, k, TAIL], remaining)
                arrival += duration
    return total


@wp.func
def sharp_bound(s: State, i: int):
    """Lower bound of the makespan from the operations to come."""
    b = s.instance[i]
    bound = int(0)
    for j in range(s.jobs[b]):
        if s.next_machine[i, j] >= 0:
            start = s.earliest_start[i, j]
            if s.setups == 1:
                start = soonest(s, i, j)
            bound = wp.max(bound, start + s.remaining_work[i, j])
        else:
            bound = wp.max(bound, s.arrival[i, j])
    for k in range(s.machines[b]):
        through = s.free[i, k]
        if s.queue[i, k] > 0:
            begin = s.machine_survey[i, k, ARRIVAL]
            if s.insertion == 0:
                begin = wp.max(begin, s.free[i, k])
            through = wp.max(through, begin + s.load[i, k] + s.machine_survey[i, k, TAIL])
        s.machine_survey[i, k, BOUND] = through
        bound = wp.max(bound, through)
    return bound


@wp.func
def show_job(s: State, i: int, j: int, bound: int, by_p: float, by_left: float):
    """Features of job j's node and of its operation edges."""
    b = s.instance[i]
    t = s.time[i]
    first = s.next_operation[i, j]
    for o in range(s.shown[i, j], first):
        hide_edge(s, i, j * (s.assignment.shape[2] // s.shown.shape[1]) + s.slot[b, j, o])
    s.shown[i, j] = first
    last = s.operations[b, j]
    if first == last:
        for f in range(s.work.shape[2]):
            s.work[i, j, f] = 0.0
        return
    per_machine = 1.0 / float(s.machines[b])
    remaining = s.remaining_work[i, j]
    duration = s.processing_time[i, j]
    start = s.earliest_start[i, j]
    content = float(wp.max(s.work_content[b, j], 1))
    s.work[i, j, 0] = clip(float(remaining) * by_left, 0.0, 1.0)
    s.work[i, j, 1] = clip(float(s.remaining_operations[i, j]) * per_machine, 0.0, 4.0)
    s.work[i, j, 2] = clip(float(s.arrival[i, j] - t) * by_p * 0.5, -2.5, 2.5)
    s.work[i, j, 3] = clip(float(duration) * by_p * 0.5, 0.0, 4.0)
    s.work[i, j, 4] = float(int(s.action_mask[i, j]))
    s.work[i, j, 5] = clip(float(bound - start - remaining) * by_left, 0.0, 1.0)
    s.work[i, j, 6] = float(s.completed_work[i, j]) / content
    s.work[i, j, 7] = float(s.completed_work[i, j] + duration) / content
    s.work[i, j, 8] = clip(float(remaining - duration) * by_left, 0.0, 1.0)
    second = int(0)
    if first + 1 < last:
        second = s.duration[b, j, first + 1]
    s.work[i, j, 9] = clip(float(second) * by_p * 0.5, 0.0, 4.0)
    for f in range(10, 14):
        s.work[i, j, f] = 0.0
    s.work[i, j, 14] = 1.0
    if s.costs == 1:
        show_job_costs(s, i, j, j, 15, by_p)
    if s.setups == 1:
        show_job_setup(s, i, j, j, 15 + 6 * s.costs, first, by_p)
    before = int(0)
    visits = int(0)
    for o in range(first, last):
        k = s.machine[b, j, o]
        p = s.duration[b, j, o]
        e = j * (s.assignment.shape[2] // s.shown.shape[1]) + s.slot[b, j, o]
        scaled = clip(float(p) * by_p * 0.5, 0.0, 4.0)
        steps = clip(float(o - first) * per_machine, 0.0, 2.0)
        s.assignment_attr[i, e, 0] = scaled
        s.assignment_attr[i, e, 1] = steps
        s.assignment_attr[i, e, 2] = clip(float(before) * by_left, 0.0, 1.0)
        s.assignment_attr[i, e, 3] = clip(float(remaining - before - p) * by_left, 0.0, 1.0)
        s.assignment_attr[i, e, 4] = float(int(o == first))
        s.assignment_attr[i, e, 5] = clip(float(start + before - s.free[i, k]) * by_p * 0.2, -1.0, 1.0)
        if k == s.focus[i] and visits == 0:
            visits = int(1)
            s.work[i, j, 10] = 1.0
            s.work[i, j, 11] = scaled
            s.work[i, j, 12] = clip(float(before) * by_p * 0.25, 0.0, 2.0)
            s.work[i, j, 13] = steps
        before += p


@wp.func
def show_machine(s: State, i: int, k: int, bound: int, largest: int, by_p: float, by_left: float):
    """Features of machine k's node."""
    b = s.instance[i]
    t = s.time[i]
    jobs = float(s.jobs[b])
    tail = int(0)
    arrival = int(t)
    if s.queue[i, k] > 0:
        tail = s.machine_survey[i, k, TAIL]
        arrival = s.machine_survey[i, k, ARRIVAL]
    s.resource[i, k, 0] = clip(float(s.free[i, k] - t) * by_p * 0.5, 0.0, 2.5)
    s.resource[i, k, 1] = clip(float(s.load[i, k]) * by_left, 0.0, 1.0)
    s.resource[i, k, 2] = clip(float(s.queue[i, k]) / jobs, 0.0, 4.0)
    s.resource[i, k, 3] = clip(float(s.machine_survey[i, k, WAITING]) * 3.0 / jobs, 0.0, 3.0)
    s.resource[i, k, 4] = clip(float(s.machine_survey[i, k, WAITING_WORK]) * by_p * 0.25, 0.0, 2.0)
    s.resource[i, k, 5] = clip(float(bound - s.machine_survey[i, k, BOUND]) * by_left, 0.0, 1.0)
    s.resource[i, k, 6] = float(int(k == s.focus[i]))
    s.resource[i, k, 7] = float(s.load[i, k]) / float(largest)
    s.resource[i, k, 8] = clip(float(tail) * by_left, 0.0, 1.0)
    s.resource[i, k, 9] = clip(float(arrival - t) * by_p * 0.5, 0.0, 2.5)
    s.resource[i, k, 10] = 1.0


@wp.func
def show_candidates(s: State, i: int, bound: int, largest: int, by_p: float, by_left: float):
    """Index and features of every action; returns the number of candidates."""
    b = s.instance[i]
    t = s.time[i]
    longest = int(-1)
    second = int(-1)
    count = int(0)
    for j in range(s.jobs[b]):
        if s.action_mask[i, j] == wp.int8(1):
            count += 1
            remaining = s.remaining_work[i, j]
            if remaining > longest:
                second = longest
                longest = remaining
            else:
                second = wp.max(second, remaining)
    for j in range(s.jobs[b]):
        if s.action_mask[i, j] == wp.int8(1):
            duration = s.processing_time[i, j]
            remaining = s.remaining_work[i, j]
            others = int(longest)
            if remaining == longest:
                others = second
            s.candidate[i, j, 0] = wp.int64(node_of(s, i, j))
            s.candidate[i, j, 1] = wp.int64(s.next_machine[i, j])
            s.candidate_attr[i, j, 0] = clip(float(duration) * by_p * 0.5, 0.0, 4.0)
            s.candidate_attr[i, j, 1] = clip(float(s.earliest_start[i, j] - t) * by_p * 0.5, 0.0, 2.5)
            s.candidate_attr[i, j, 2] = clip(float(t + duration + wp.max(others, 0) - bound) * by_left, -3.0, 3.0)
            s.candidate_attr[i, j, 3] = clip(float(remaining - longest) * by_left, -2.0, 2.0)
            for f in range(4, 7):
                s.candidate_attr[i, j, f] = 0.0
            s.candidate_attr[i, j, 7] = 1.0
            o = s.next_operation[i, j] + 1
            if o < s.operations[b, j]:
                k = s.machine[b, j, o]
                s.candidate_attr[i, j, 4] = clip(float(s.free[i, k] - t) * by_p * 0.5, 0.0, 2.5)
                s.candidate_attr[i, j, 5] = float(s.load[i, k]) / float(largest)
                s.candidate_attr[i, j, 6] = clip(float(s.machine_survey[i, k, WAITING_WORK]) * by_p * 0.25, 0.0, 2.0)
                s.candidate_attr[i, j, 7] = 0.0
        else:
            s.candidate[i, j, 0] = wp.int64(s.work.shape[1])
            s.candidate[i, j, 1] = wp.int64(s.resource.shape[1])
            for f in range(s.candidate_attr.shape[2]):
                s.candidate_attr[i, j, f] = 0.0
    return count


@wp.func
def node_of(s: State, i: int, j: int):
    """Work node of job j's next operation: the job itself, or the operation in the operation graph."""
    if s.arcs == 1:
        return j * s.duration.shape[2] + s.next_operation[i, j]
    return j


@wp.func
def show_context(s: State, i: int, total: int, count: int, largest: int, by_left: float):
    """Global features."""
    b = s.instance[i]
    jobs = float(s.jobs[b])
    unfinished = int(0)
    for j in range(s.jobs[b]):
        if s.next_machine[i, j] >= 0:
            unfinished += 1
    s.context[i, 0] = float(unfinished) / jobs
    s.context[i, 1] = float(count) / jobs
    s.context[i, 2] = clip(float(count) * 0.125, 0.0, 4.0)
    s.context[i, 3] = clip(float(largest) * by_left, 0.0, 1.0)
    s.context[i, 4] = clip(float(total) * by_left / float(s.machines[b]), 0.0, 1.0)
    s.context[i, 5] = clip(jobs / float(s.machines[b]) / 3.0, 0.0, 4.0)


@wp.func
def survey(s: State, i: int):
    """What all features are relative to: total work to come, bound, largest load of a machine, 1 / p and 1 / L."""
    b = s.instance[i]
    total = survey_machines(s, i)
    bound = sharp_bound(s, i)
    largest = int(1)
    for k in range(s.machines[b]):
        largest = wp.max(largest, s.load[i, k])
    by_p = 1.0 / s.means[b, 0]
    by_left = 1.0 / wp.max(float(bound - s.time[i]), s.means[b, 0])
    return total, bound, largest, by_p, by_left


@wp.func
def show_rest(s: State, i: int, total: int, bound: int, largest: int, by_p: float, by_left: float):
    """Machines, candidates and context, which both observations share."""
    for k in range(s.machines[s.instance[i]]):
        show_machine(s, i, k, bound, largest, by_p, by_left)
    count = show_candidates(s, i, bound, largest, by_p, by_left)
    show_context(s, i, total, count, largest, by_left)
    if s.waits == 1:
        show_wait(s, i, by_p)
    if s.limited == 1:
        show_limits(s, i, 8 + 7 * s.costs, 11, by_p)
    if s.costs == 1:
        show_candidate_costs(s, i, 8, by_p)
        show_context_costs(s, i, 6)


@wp.func
def clear_ended(s: State, i: int):
    """The observation of an episode that is over: nothing."""
    clear(s, i)
    for f in range(s.context.shape[1]):
        s.context[i, f] = 0.0


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of jobs and machines."""
    if s.terminated[i] == wp.int8(1):
        clear_ended(s, i)
        return
    if s.stale[i] == 1:
        clear(s, i)
        lay_out(s, i)
    total, bound, largest, by_p, by_left = survey(s, i)
    for j in range(s.jobs[s.instance[i]]):
        show_job(s, i, j, bound, by_p, by_left)
    show_rest(s, i, total, bound, largest, by_p, by_left)
