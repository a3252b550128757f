"""What a policy sees of a live job shop: machines and jobs as nodes, the operations to come as edges.

As in observe.py, times are relative to the decision time ``t`` and scaled by the mean processing time ``p`` of the
instance or by ``L = max(bound - t, p)``. Nothing is told that nobody could know: processing times are estimates until
an operation has ended, how long a shutdown lasts is open, and jobs that are hidden look like padding. The edge of an
operation stays until its job leaves the machine.
"""

import warp as wp

from ..core.features import clear_graph, clip, hide_edge
from .observe_costs import show_context_costs, show_job_costs
from .observe_live_choice import show_candidates
from .simulator_live import is_known
from .simulator_live_state import DONE, INTERRUPTED, RUNNING, WAITING
from .simulator_live_state import Struct as State
from .simulator_state import ARRIVAL, BOUND, LATEST, TAIL, WAITING_WORK
from .simulator_state import WAITING as WAITING_JOBS


@wp.func
def clear(s: State, i: int):
    """Blank the observation."""
    clear_graph(s, i)
    j = int(0)
    while j < s.shown.shape[1]:
        s.shown[i, j] = -1
        j += 1
    s.stale[i] = 0


@wp.func
def edge_of(s: State, i: int, j: int, o: int):
    """The edge of operation o of job j."""
    return j * (s.assignment.shape[2] // s.shown.shape[1]) + s.slot[s.instance[i], j, o]


@wp.func
def first_shown(s: State, i: int, j: int):
    """The first operation of job j with an edge: the one whose machine it is on, or the next one."""
    if s.at[i, j] >= 0:
        return s.next_operation[i, j] - 1
    return s.next_operation[i, j]


@wp.func
def survey_machines(s: State, i: int):
    """Fill first arrival, smallest tail, queue and bound of every machine; returns the total work to come."""
    b = s.instance[i]
    k = int(0)
    while k < s.machines[b]:
        s.machine_survey[i, k, ARRIVAL] = LATEST
        s.machine_survey[i, k, TAIL] = LATEST
        s.machine_survey[i, k, WAITING_JOBS] = 0
        s.machine_survey[i, k, WAITING_WORK] = 0
        k += 1
    total = int(0)
    j = int(0)
    while j < s.jobs[b]:
        next = s.next_machine[i, j]
        if next >= 0:
            remaining = s.remaining_work[i, j]
            total += remaining
            if s.status[i, j] == WAITING and s.released[i, j] == 1:
                s.machine_survey[i, next, WAITING_JOBS] = s.machine_survey[i, next, WAITING_JOBS] + 1
                s.machine_survey[i, next, WAITING_WORK] = (
                    s.machine_survey[i, next, WAITING_WORK] + s.processing_time[i, j]
                )
            arrival = s.earliest_start[i, j]
            o = s.next_operation[i, j]
            while o < s.operations[b, j]:
                k = s.machine[b, j, o]
                duration = s.duration[b, j, o]
                s.machine_survey[i, k, ARRIVAL] = wp.min(s.machine_survey[i, k, ARRIVAL], arrival)
                remaining -= duration
                s.machine_survey[i, k, TAIL] = wp.min(s.machine_survey[i, k, TAIL], remaining)
                arrival += duration
                o += 1
        j += 1
    return total


@wp.func
def sharp_bound(s: State, i: int):
    """The makespan of the known jobs at the least, by the estimates, from the operations to come."""
    b = s.instance[i]
    bound = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if s.next_machine[i, j] >= 0:
            bound = wp.max(bound, s.earliest_start[i, j] + s.remaining_work[i, j])
        elif is_known(s, i, j):
            bound = wp.max(bound, s.arrival[i, j])
        j += 1
    k = int(0)
    while k < s.machines[b]:
        through = s.free[i, k]
        if s.queue[i, k] > 0:
            begin = wp.max(s.machine_survey[i, k, ARRIVAL], s.free[i, k])
            through = wp.max(through, begin + s.load[i, k] + s.machine_survey[i, k, TAIL])
        s.machine_survey[i, k, BOUND] = through
        bound = wp.max(bound, through)
        k += 1
    return bound


@wp.func
def show_place(s: State, i: int, j: int, by_p: float):
    """Where job j is: features 10 to 15 of its node."""
    f = int(10)
    while f < 16:
        s.work[i, j, f] = 0.0
        f += 1
    if s.status[i, j] == RUNNING or s.status[i, j] == INTERRUPTED:
        s.work[i, j, 10] = 1.0
        s.work[i, j, 11] = clip(float(s.time[i] - s.begun[i, j]) * by_p * 0.5, 0.0, 4.0)
    if s.status[i, j] == INTERRUPTED:
        s.work[i, j, 10] = 0.0
        s.work[i, j, 12] = 1.0
    if s.status[i, j] == WAITING and s.at[i, j] >= 0:
        s.work[i, j, 13] = 1.0
    k = s.next_machine[i, j]
    if k >= 0:
        if s.holder[i, k] >= 0 and s.holder[i, k] != j:
            s.work[i, j, 14] = 1.0
        s.work[i, j, 15] = float(s.down[i, k])


@wp.func
def show_edges(s: State, i: int, j: int, by_p: float, by_left: float):
    """The edges of job j: of the operation whose machine it is on, and of those to come."""
    b = s.instance[i]
    first = first_shown(s, i, j)
    o = s.shown[i, j]
    if o < 0:  # it was not known
        o = int(0)
        while o < s.operations[b, j]:
            e = edge_of(s, i, j, o)
            s.assignment[i, 0, e] = wp.int64(j)
            s.assignment[i, 1, e] = wp.int64(s.machine[b, j, o])
            o += 1
        o = int(0)
    while o < first:
        hide_edge(s, i, edge_of(s, i, j, o))
        o += 1
    s.shown[i, j] = first
    per_machine = 1.0 / float(s.machines[b])
    remaining = s.remaining_work[i, j]
    start = s.arrival[i, j]
    if s.next_machine[i, j] >= 0:
        start = s.earliest_start[i, j]
    before = int(0)
    o = first
    while o < s.operations[b, j]:
        k = s.machine[b, j, o]
        p = s.duration[b, j, o]
        e = edge_of(s, i, j, o)
        s.assignment_attr[i, e, 0] = clip(float(p) * by_p * 0.5, 0.0, 4.0)
        s.assignment_attr[i, e, 4] = 0.0
        if o < s.next_operation[i, j]:
            s.assignment_attr[i, e, 1] = 0.0
            s.assignment_attr[i, e, 2] = 0.0
            s.assignment_attr[i, e, 3] = clip(float(remaining) * by_left, 0.0, 1.0)
            s.assignment_attr[i, e, 5] = 0.0
            s.assignment_attr[i, e, 6] = 1.0
        else:
            s.assignment_attr[i, e, 1] = clip(float(o - s.next_operation[i, j]) * per_machine, 0.0, 2.0)
            s.assignment_attr[i, e, 2] = clip(float(before) * by_left, 0.0, 1.0)
            s.assignment_attr[i, e, 3] = clip(float(remaining - before - p) * by_left, 0.0, 1.0)
            if o == s.next_operation[i, j]:
                s.assignment_attr[i, e, 4] = 1.0
            s.assignment_attr[i, e, 5] = clip(float(start + before - s.free[i, k]) * by_p * 0.2, -1.0, 1.0)
            s.assignment_attr[i, e, 6] = 0.0
            before += p
        o += 1


@wp.func
def show_job(s: State, i: int, j: int, bound: int, by_p: float, by_left: float):
    """Features of job j's node and of its operation edges."""
    b = s.instance[i]
    if not is_known(s, i, j):
        return
    show_edges(s, i, j, by_p, by_left)
    if s.status[i, j] == DONE:
        f = int(0)
        while f < s.work.shape[2]:
            s.work[i, j, f] = 0.0
            f += 1
        return
    remaining = s.remaining_work[i, j]
    duration = s.processing_time[i, j]
    content = float(wp.max(s.work_content[b, j], 1))
    second = int(0)
    start = s.arrival[i, j]
    if s.next_machine[i, j] >= 0:
        start = s.earliest_start[i, j]
        if s.next_operation[i, j] + 1 < s.operations[b, j]:
            second = s.duration[b, j, s.next_operation[i, j] + 1]
    s.work[i, j, 0] = clip(float(remaining) * by_left, 0.0, 1.0)
    s.work[i, j, 1] = clip(float(s.remaining_operations[i, j]) / float(s.machines[b]), 0.0, 4.0)
    s.work[i, j, 2] = clip(float(s.arrival[i, j] - s.time[i]) * by_p * 0.5, -2.5, 2.5)
    s.work[i, j, 3] = clip(float(duration) * by_p * 0.5, 0.0, 4.0)
    s.work[i, j, 4] = float(int(s.action_mask[i, j]))
    s.work[i, j, 5] = clip(float(bound - start - remaining) * by_left, 0.0, 1.0)
    s.work[i, j, 6] = float(s.completed_work[i, j]) / content
    s.work[i, j, 7] = float(s.completed_work[i, j] + duration) / content
    s.work[i, j, 8] = clip(float(remaining - duration) * by_left, 0.0, 1.0)
    s.work[i, j, 9] = clip(float(second) * by_p * 0.5, 0.0, 4.0)
    show_place(s, i, j, by_p)
    s.work[i, j, 16] = 1.0
    if s.costs == 1:
        show_job_costs(s, i, j, j, 17, by_p)


@wp.func
def show_machine(s: State, i: int, k: int, bound: int, largest: int, by_p: float, by_left: float):
    """Features of machine k's node."""
    t = s.time[i]
    jobs = float(s.jobs[s.instance[i]])
    tail = int(0)
    arrival = int(t)
    if s.queue[i, k] > 0:
        tail = s.machine_survey[i, k, TAIL]
        arrival = s.machine_survey[i, k, ARRIVAL]
    s.resource[i, k, 0] = clip(float(s.free[i, k] - t) * by_p * 0.5, 0.0, 2.5)
    s.resource[i, k, 1] = clip(float(s.load[i, k]) * by_left, 0.0, 1.0)
    s.resource[i, k, 2] = clip(float(s.queue[i, k]) / jobs, 0.0, 4.0)
    s.resource[i, k, 3] = clip(float(s.machine_survey[i, k, WAITING_JOBS]) * 3.0 / jobs, 0.0, 3.0)
    s.resource[i, k, 4] = clip(float(s.machine_survey[i, k, WAITING_WORK]) * by_p * 0.25, 0.0, 2.0)
    s.resource[i, k, 5] = clip(float(bound - s.machine_survey[i, k, BOUND]) * by_left, 0.0, 1.0)
    s.resource[i, k, 6] = float(s.load[i, k]) / float(largest)
    s.resource[i, k, 7] = clip(float(tail) * by_left, 0.0, 1.0)
    s.resource[i, k, 8] = clip(float(arrival - t) * by_p * 0.5, 0.0, 2.5)
    s.resource[i, k, 9] = 0.0
    s.resource[i, k, 10] = 0.0
    j = s.holder[i, k]
    if j >= 0:
        if s.status[i, j] == RUNNING:
            s.resource[i, k, 9] = 1.0
        if s.status[i, j] == WAITING:
            s.resource[i, k, 10] = 1.0
    s.resource[i, k, 11] = float(s.down[i, k])
    s.resource[i, k, 12] = clip(float(t - s.since[i, k]) * by_p * 0.125, 0.0, 4.0)
    s.resource[i, k, 13] = 1.0


@wp.func
def show_context(s: State, i: int, total: int, count: int, largest: int, by_left: float):
    """Global features."""
    b = s.instance[i]
    unfinished = int(0)
    known = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if is_known(s, i, j):
            known += 1
            if s.status[i, j] != DONE:
                unfinished += 1
        j += 1
    by_machine = 1.0 / float(s.machines[b])
    s.context[i, 0] = float(unfinished) / float(wp.max(known, 1))
    s.context[i, 1] = clip(float(count) / float(s.jobs[b]), 0.0, 1.0)
    s.context[i, 2] = clip(float(count) * 0.125, 0.0, 4.0)
    s.context[i, 3] = clip(float(largest) * by_left, 0.0, 1.0)
    s.context[i, 4] = clip(float(total) * by_left * by_machine, 0.0, 1.0)
    s.context[i, 5] = clip(float(unfinished) * by_machine / 3.0, 0.0, 4.0)
    f = int(0)
    while f < 3:
        s.context[i, 6 + f] = 0.0
        k = int(0)
        while k < s.machines[b]:
            s.context[i, 6 + f] = s.context[i, 6 + f] + s.resource[i, k, 9 + f] * by_machine
            k += 1
        s.context[i, 6 + f] = clip(s.context[i, 6 + f], 0.0, 1.0)
        f += 1
    if s.costs == 1:
        show_context_costs(s, i, 9)


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of jobs and machines."""
    if s.terminated[i] == wp.int8(1):
        clear(s, i)
        return
    if s.stale[i] == 1:
        clear(s, i)
    b = s.instance[i]
    total = survey_machines(s, i)
    bound = sharp_bound(s, i)
    largest = int(1)
    k = int(0)
    while k < s.machines[b]:
        largest = wp.max(largest, s.load[i, k])
        k += 1
    by_p = 1.0 / s.means[b, 0]
    by_left = 1.0 / wp.max(float(bound - s.time[i]), s.means[b, 0])
    j = int(0)
    while j < s.jobs[b]:
        show_job(s, i, j, bound, by_p, by_left)
        j += 1
    k = int(0)
    while k < s.machines[b]:
        show_machine(s, i, k, bound, largest, by_p, by_left)
        k += 1
    count = show_candidates(s, i, bound, largest, by_p, by_left)
    show_context(s, i, total, count, largest, by_left)
