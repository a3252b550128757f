"""Reads the objectives of task graph scheduling off a schedule."""

import heapq
from collections.abc import Iterable

import numpy as np

from ..core.schedule import Schedule
from .conditions import Conditions
from .instance import SoCInstance


def metrics(instance: SoCInstance, schedule: Schedule) -> dict[str, float | int]:
    """Read the objectives off a schedule.

    Nothing is checked: of an infeasible schedule the figures mean little, and of an incomplete one they
    describe the part that is there (a job's completion is then the latest end of its tasks, and jobs without
    any are left out). Latencies are those of measured jobs, which arrive at ``instance.warmup`` or later. With a
    cap on the jobs in the system they count from a job's admission, and the time before that is blocked time.

    Args:
        instance: the problem.
        schedule: what ran where and when.

    Returns:
        ``makespan``, the latest end of a task, in us (0 when nothing ran).
        ``mean_latency``, ``max_latency``, ``total_latency``, from a job's admission to its completion, in us (0 when
        no measured job ran).
        ``mean_blocked``, from arrival to admission, in us.
        ``pe_utilisation``, busy time over processing elements times makespan (0 when nothing ran).
        Of static instances moreover, with estimates as costs (Topcuoglu et al., 2002):
        ``speedup``, the cost of running all tasks on the one processing element that is fastest at it, over the
        makespan (0 when nothing ran); where none can run them all, every task counts with its least cost.
        ``slr``, the schedule length ratio: the makespan over the critical path of least costs without
        communication, which counts as 1 us if it is shorter.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    conditions = Conditions.read(schedule.conditions)
    job, step, resource, start, end = schedule.entries.T
    tasks = (job >= 0) & (job < instance.jobs) & (step >= 0) & (step < instance.widest)
    # Python integers: sums of hostile 64-bit numbers must not wrap around
    makespan = max(end[tasks].tolist(), default=0)
    busy = sum(end[tasks].tolist()) - sum(start[tasks].tolist())
    completion = completions(instance, job, step, end)
    admission = admissions(instance, completion, conditions.wip_cap)
    arrival = instance.arrival_time.tolist()
    measured = [job for job in completion if arrival[job] >= instance.warmup]
    latency = [completion[job] - admission[job] for job in measured]
    blocked = sum(admission[job] - arrival[job] for job in measured)
    available = instance.elements * makespan
    result = {
        "makespan": makespan,
        "mean_latency": sum(latency) / max(len(measured), 1),
        "max_latency": max(latency, default=0),
        "total_latency": sum(latency),
        "mean_blocked": blocked / max(len(measured), 1),
        "pe_utilisation": busy / available if available > 0 else 0.0,
    }
    if instance.static:
        sequential, critical = _references(instance)
        result["speedup"] = sequential / makespan if makespan > 0 else 0.0
        result["slr"] = makespan / max(critical, 1)
    return result


def completions(instance: SoCInstance, job: np.ndarray, step: np.ndarray, end: np.ndarray) -> dict[int, int]:
    """The latest end of each job's tasks, in us, for the jobs that have any, in order.

    Args:
        instance: the problem.
        job, step, end: (N,) int64, columns of a schedule; rows that name no job and transfers are passed over.
    """
    rows = np.flatnonzero((job >= 0) & (job < instance.jobs) & (step >= 0) & (step < instance.widest))
    rows = rows[np.lexsort((end[rows], job[rows]))]
    return dict(zip(job[rows].tolist(), end[rows].tolist(), strict=True))  # the last one of a job stays


def admissions(instance: SoCInstance, completion: dict[int, int], wip_cap: int) -> dict[int, int]:
    """When each job enters the system: when it arrives, or in its turn when there is room.

    Args:
        instance: the problem.
        completion: when each job leaves, in us, in order of arrival; jobs that are not there take no place.
        wip_cap: no more jobs than this are in the system; 0 for no limit.

    Returns:
        The time of admission of the same jobs, in us.
    """
    admitted: dict[int, int] = {}
    inside: list[int] = []  # a heap of the times at which places become free
    earliest = 0
    for job, time in zip(completion, instance.arrival_time[list(completion)].tolist(), strict=True):
        earliest = max(earliest, time)
        if wip_cap > 0:
            if len(inside) == wip_cap:
                earliest = max(earliest, heapq.heappop(inside))
            heapq.heappush(inside, completion[job])
        admitted[job] = earliest
    return admitted


def _references(instance: SoCInstance) -> tuple[int, int]:
    """The sequential time and the critical path of a static instance, from its estimates, in us."""
    graph = instance.graphs[instance.arrival_graph[0]]
    cost = graph.execution_time.astype(np.int64)
    least = np.where(cost < 0, cost.max(), cost).min(axis=1)
    able = (cost >= 0).all(axis=0)
    sequential = cost.sum(axis=0)[able].min() if able.any() else least.sum()
    return int(sequential), longest_path(graph.order.tolist(), graph.edges.tolist(), least.tolist())


def longest_path(order: Iterable[int], edges: Iterable[list[int]], cost: list[int]) -> int:
    """The largest sum of costs along a path.

    Args:
        order: the tasks in topological order.
        edges: pairs of source and target.
        cost: of each task.
    """
    after: list[list[int]] = [[] for _ in cost]
    for source, target in edges:
        after[source].append(target)
    ready = [0] * len(cost)
    longest = 0
    for task in order:
        done = ready[task] + cost[task]
        longest = max(longest, done)
        for target in after[task]:
            ready[target] = max(ready[target], done)
    return longest
