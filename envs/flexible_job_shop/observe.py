"""What a policy sees of the flexible job shop: jobs and machines as nodes, and an edge wherever they may yet meet.

A work node is a job seen through its next operation, a resource node a machine. Edge (job, machine) tells what the next
operation would do there and how much of what comes later may run there too, so n + m nodes and n * m edges carry what a
graph of operations and their alternatives knows. Times are relative to the decision time ``t`` and scaled by the mean
processing time ``p`` of the instance or by ``L = max(bound - t, p)``, the time that is left at least; the bound is
that of the reward.
"""

import warp as wp

from ..core.features import clear_graph, clip, hide_edge
from ..core.graph import Feature
from .simulator_state import LATEST, LOAD
from .simulator_state import Struct as State

JOB = (
    Feature("remaining_work", "mean processing times to come / L", 0, 2),
    Feature("least_work", "shortest processing times to come / L"),
    Feature("remaining_operations", "operations to come / machines", 0, 4),
    Feature("ready", "(arrival - t) / p / 2", -2.5, 2.5),
    Feature("shortest_time", "of the next operation / p / 2", 0, 4),
    Feature("alternatives", "machines that can run the next operation / machines"),
    Feature("candidate", "1 if it may be chosen now"),
    Feature("slack", "(bound - earliest finish - least work after it) / L"),
    Feature("completed", "share of the job's operations that are committed"),
    Feature("start_delay", "(earliest start - t) / p / 2", 0, 2.5),
    Feature("finish", "(earliest finish - t) / p / 2", 0, 4),
    Feature("tail", "shortest processing times after the next operation / L"),
    Feature("unfinished", "1 while operations are left"),
)
MACHINE = (
    Feature("available", "(available from - t) / p / 2", 0, 2.5),
    Feature("load", "work to come if operations chose their machines at random / L", 0, 2),
    Feature("relative_load", "that / the largest of any machine"),
    Feature("bound_load", "work to come that can run nowhere else / L"),
    Feature("rivals", "candidates on it / jobs"),
    Feature("idle", "1 if it is available at t"),
    Feature("slack", "(bound - available from - bound load) / L"),
    Feature("exists", "1, or 0 for padding"),
)
PAIR_EDGE = (
    Feature("can_run", "1 if the next operation can run there"),
    Feature("processing_time", "of the next operation there / p / 2", 0, 4),
    Feature("excess", "(processing time - shortest) / p / 2", 0, 2.5),
    Feature("start_delay", "(earliest start there - t) / p / 2", 0, 2.5),
    Feature("finish_regret", "(earliest finish there - earliest finish anywhere) / p / 2", 0, 2.5),
    Feature("candidate", "1 if the pair may be chosen now"),
    Feature("later", "share of the operations after the next one that can run there"),
    Feature("later_share", "what they put there if they chose at random / L"),
)
CANDIDATE = (
    Feature("processing_time", "/ p / 2", 0, 4),
    Feature("start_delay", "(start - t) / p / 2", 0, 2.5),
    Feature("excess", "(processing time - shortest) / p / 2", 0, 2.5),
    Feature("finish_regret", "(finish - earliest finish of the job on any machine) / p / 2", 0, 2.5),
    Feature("gap", "time for which the machine is left idle before it / p / 2", 0, 2.5),
    Feature("lead", "(remaining work - the largest of a candidate) / L", -2, 0),
    Feature("tail_lead", "(shortest processing times after it - the largest of a candidate) / p / 4", -4, 0),
    Feature("bound_increase", "(finish + shortest processing times after it - bound) / L", -1, 1),
    Feature("machine_load", "relative load of the machine"),
    Feature("rivals", "other candidates on the machine / jobs"),
    Feature("chances", "other candidates of the job / machines"),
    Feature("last", "1 if it is the job's last operation"),
)
WAITING = (Feature("wait", "1 for waiting, whose start delay is that until another pair could start"),)
CONTEXT = (
    Feature("unfinished", "share of the jobs that are unfinished"),
    Feature("candidates", "candidates / jobs", 0, 4),
    Feature("choice", "candidates / 8", 0, 4),
    Feature("bottleneck", "largest load of a machine, as of machines / L", 0, 2),
    Feature("utilisation", "shortest processing times to come / (machines * L)"),
    Feature("shape", "jobs / machines / 3", 0, 4),
    Feature("flexibility", "machines that can run a next operation, mean over jobs / machines"),
    Feature("idle", "share of the machines that are available at t"),
)


@wp.func
def clear(s: State, i: int):
    """Blank the observation: another instance was shown before, or the episode is over."""
    clear_graph(s, i)
    s.stale[i] = 0


@wp.func
def survey(s: State, i: int):
    """Fill the load of every machine, not yet scaled; the largest of them, and the least work to come of all jobs."""
    b = s.instance[i]
    k = int(0)
    while k < s.machines[b]:
        s.resource[i, k, 1] = 0.0
        k += 1
    total = int(0)
    j = int(0)
    while j < s.jobs[b]:
        o = s.next_operation[i, j]
        if o < s.operations[b, j]:
            a = j * s.available.shape[1]
            total += s.least_work[i, a]
            by = 1.0 / float(wp.max(s.alternatives[i, a], 1))
            k = int(0)
            while k < s.machines[b]:
                share = s.later_share[b, j, o, k]
                if s.next_machine[i, a + k] >= 0:
                    share += float(s.processing_time[i, a + k]) * by
                s.resource[i, k, 1] = s.resource[i, k, 1] + share
                k += 1
        j += 1
    largest = float(0.0)
    k = int(0)
    while k < s.machines[b]:
        largest = wp.max(largest, s.resource[i, k, 1])
        k += 1
    return largest, total


@wp.func
def first_of(s: State, i: int, j: int):
    """Earliest start and earliest finish of job j's next operation on any machine."""
    start = int(LATEST)
    finish = int(LATEST)
    a = int(j * s.available.shape[1])
    last = a + s.machines[s.instance[i]]
    while a < last:
        if s.next_machine[i, a] >= 0:
            start = wp.min(start, s.earliest_start[i, a])
            finish = wp.min(finish, s.earliest_finish[i, a])
        a += 1
    return start, finish


@wp.func
def show_edges(s: State, i: int, j: int, finish: int, by_p: float, by_left: float):
    """Features of the edges of job j; ``finish`` is the earliest one of its next operation."""
    b = s.instance[i]
    o = s.next_operation[i, j]
    after = wp.max(s.operations[b, j] - o - 1, 1)
    k = int(0)
    while k < s.machines[b]:
        a = j * s.available.shape[1] + k
        can = s.next_machine[i, a] >= 0
        later = s.later_count[b, j, o, k]
        if can or later > 0.0:
            s.assignment[i, 0, a] = wp.int64(j)
            s.assignment[i, 1, a] = wp.int64(k)
            f = int(0)
            while f < 6:
                s.assignment_attr[i, a, f] = 0.0
                f += 1
            if can:
                p = s.processing_time[i, a]
                s.assignment_attr[i, a, 0] = 1.0
                s.assignment_attr[i, a, 1] = clip(float(p) * by_p * 0.5, 0.0, 4.0)
                s.assignment_attr[i, a, 2] = clip(float(p - s.shortest_time[i, a]) * by_p * 0.5, 0.0, 2.5)
                s.assignment_attr[i, a, 3] = clip(float(s.earliest_start[i, a] - s.time[i]) * by_p * 0.5, 0.0, 2.5)
                s.assignment_attr[i, a, 4] = clip(float(s.earliest_finish[i, a] - finish) * by_p * 0.5, 0.0, 2.5)
                s.assignment_attr[i, a, 5] = float(int(s.action_mask[i, a]))
            s.assignment_attr[i, a, 6] = later / float(after)
            s.assignment_attr[i, a, 7] = clip(s.later_share[b, j, o, k] * by_left, 0.0, 1.0)
        else:
            hide_edge(s, i, a)
        k += 1


@wp.func
def show_job(s: State, i: int, j: int, by_p: float, by_left: float):
    """Features of job j's node and of its edges."""
    b = s.instance[i]
    t = s.time[i]
    done = s.next_operation[i, j]
    if done == s.operations[b, j]:
        f = int(0)
        while f < s.work.shape[2]:
            s.work[i, j, f] = 0.0
            f += 1
        k = int(0)
        while k < s.machines[b]:
            hide_edge(s, i, j * s.available.shape[1] + k)
            k += 1
        return
    a = j * s.available.shape[1]
    machines = 1.0 / float(s.machines[b])
    start, finish = first_of(s, i, j)
    tail = s.least_work[i, a] - s.shortest_time[i, a]
    s.work[i, j, 0] = clip(float(s.remaining_work[i, a]) * by_left, 0.0, 2.0)
    s.work[i, j, 1] = clip(float(s.least_work[i, a]) * by_left, 0.0, 1.0)
    s.work[i, j, 2] = clip(float(s.remaining_operations[i, a]) * machines, 0.0, 4.0)
    s.work[i, j, 3] = clip(float(s.arrival[i, a] - t) * by_p * 0.5, -2.5, 2.5)
    s.work[i, j, 4] = clip(float(s.shortest_time[i, a]) * by_p * 0.5, 0.0, 4.0)
    s.work[i, j, 5] = clip(float(s.alternatives[i, a]) * machines, 0.0, 1.0)
    s.work[i, j, 6] = 0.0
    if s.chances[i, j] > 0:
        s.work[i, j, 6] = 1.0
    s.work[i, j, 7] = clip(float(s.bound[i] - finish - tail) * by_left, 0.0, 1.0)
    s.work[i, j, 8] = float(done) / float(s.operations[b, j])
    s.work[i, j, 9] = clip(float(start - t) * by_p * 0.5, 0.0, 2.5)
    s.work[i, j, 10] = clip(float(finish - t) * by_p * 0.5, 0.0, 4.0)
    s.work[i, j, 11] = clip(float(tail) * by_left, 0.0, 1.0)
    s.work[i, j, 12] = 1.0
    show_edges(s, i, j, finish, by_p, by_left)


@wp.func
def show_machine(s: State, i: int, k: int, largest: float, by_p: float, by_left: float):
    """Features of machine k's node, whose load is filled and not yet scaled."""
    b = s.instance[i]
    t = s.time[i]
    load = s.resource[i, k, 1]
    s.resource[i, k, 0] = clip(float(s.available[i, k] - t) * by_p * 0.5, 0.0, 2.5)
    s.resource[i, k, 1] = clip(load * by_left, 0.0, 2.0)
    s.resource[i, k, 2] = clip(load / wp.max(largest, 1.0), 0.0, 1.0)
    s.resource[i, k, 3] = clip(float(s.bound_to[i, k, LOAD]) * by_left, 0.0, 1.0)
    s.resource[i, k, 4] = float(s.rivals[i, k]) / float(s.jobs[b])
    s.resource[i, k, 5] = float(int(s.available[i, k] <= t))
    rest = s.bound[i] - wp.max(s.available[i, k], t) - s.bound_to[i, k, LOAD]
    s.resource[i, k, 6] = clip(float(rest) * by_left, 0.0, 1.0)
    s.resource[i, k, 7] = 1.0
