"""The exact dynamic program over subsets of jobs for one machine (Held and Karp 1962; Lawler 1964)."""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.job_shop.instance import JobShopInstance
from ..envs.job_shop.objective import Costs, costs_of

MAX_JOBS = 20  # an entry for each subset, and 150 MiB of indices that are kept
MAX_TABLE = 100_000  # time units up to which costs are tabulated


@dataclass(frozen=True)
class SingleMachineAnswer:
    """The optimum of a single machine instance.

    Attributes:
        schedule: an optimal schedule.
        objective: its objective, which no schedule undercuts.
        runtime_s: wall-clock time in seconds.
    """

    schedule: Schedule
    objective: int
    runtime_s: float


def why_not(instance: JobShopInstance) -> str | None:
    """What keeps an instance from being solved by ``solve_single_machine``, in words; None if nothing does."""
    if instance.machines != 1 or int(instance.operations.max()) != 1:
        return "it is for jobs of one operation on one machine"
    if instance.jobs > MAX_JOBS:
        return f"it takes at most {MAX_JOBS} jobs"
    if (instance.release != instance.release[0]).any():
        return "jobs must be released together"
    if instance.limited:
        return "it knows no setup times or windows"
    if costs_of(instance).lateness:
        return "the maximum lateness is no sum over jobs"
    return None


def solve_single_machine(instance: JobShopInstance) -> SingleMachineAnswer:
    """Find an optimal sequence for a sum over jobs of what their completions cost, exactly.

    The cheapest way to do the jobs of a subset first is the least, over the job that ends it, of the cheapest way to do
    the others and of what that job costs at the end of them all. Subsets are handled all those of a size at a time.

    Args:
        instance: jobs of one operation each on one machine, released together, at most ``MAX_JOBS``; any objective
            without the maximum lateness.

    Raises:
        OptionError: for any other instance.
    """
    problem = why_not(instance)
    if problem:
        raise OptionError(f"the dynamic program does not take {instance.name}: {problem}")
    began = time.perf_counter()
    length, begin = instance.duration[:, 0].astype(np.int64), int(instance.release[0])
    end, costs = begin + _subset_sums(length), costs_of(instance)
    best = _cheapest(instance, costs, end)
    sequence, left = [], len(end) - 1
    while left:
        members = [job for job in range(instance.jobs) if left >> job & 1]
        each = [best[left ^ (1 << job)] + _cost(instance, costs, job, end[left]) for job in members]
        sequence.append(members[int(np.argmin(each))])
        left ^= 1 << sequence[-1]
    sequence.reverse()
    ends = begin + np.cumsum(length[sequence])
    rows = np.stack([sequence, np.zeros_like(ends), np.zeros_like(ends), ends - length[sequence], ends], axis=1)
    makespan = costs.makespan * int(end[-1])
    schedule = Schedule(instance, rows[np.argsort(rows[:, 0])])
    return SingleMachineAnswer(schedule, int(best[-1]) + makespan, time.perf_counter() - began)


def _subset_sums(length: np.ndarray) -> np.ndarray:
    """Sum of the lengths of every subset of jobs, (2**jobs,) int64; bit j stands for job j."""
    sums = np.zeros(1, np.int64)
    for one in length:
        sums = np.concatenate([sums, sums + one])
    return sums


def _cost(instance: JobShopInstance, costs: Costs, job, completion):
    """What jobs cost by their completion; indices and times are numbers, or arrays that broadcast."""
    cost = costs.flow[job] * (completion - int(instance.release[0]))
    if instance.due is not None:
        late = completion - instance.due[job].astype(np.int64)
        cost = cost + costs.tardy[job] * np.maximum(late, 0) + costs.late[job] * (late > 0)
    return cost


@cache
def _layers(jobs: int) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
    """Of the subsets of each size, at least 1: (subset, the job that ends it, what is left without that job).

    The arrays are (subsets,), (subsets, size) and (subsets, size).
    """
    size = np.zeros(1, np.int8)
    for _ in range(jobs):
        size = np.concatenate([size, size + 1])
    layers = []
    for members in range(1, jobs + 1):
        subset = np.flatnonzero(size == members).astype(np.int32)
        job = np.empty((len(subset), members), np.int8)
        rest = subset.copy()
        for place in range(members):
            lowest = rest & -rest
            job[:, place] = np.log2(lowest).astype(np.int8)
            rest ^= lowest
        layers.append((subset, job, subset[:, None] ^ (1 << job.astype(np.int32))))
    return tuple(layers)


def _cheapest(instance: JobShopInstance, costs: Costs, end: np.ndarray) -> np.ndarray:
    """Least cost of the jobs of every subset when they are done first, (2**jobs,) int64."""
    best = np.zeros(len(end), np.int64)
    begin, last = int(end[0]), int(end[-1])
    table = None
    if last - begin <= MAX_TABLE:  # looked up, which is several times faster than computed for each subset
        times = np.arange(begin, last + 1)
        table = _cost(instance, costs, np.arange(instance.jobs)[:, None], times).ravel()
    for subset, job, left in _layers(instance.jobs):
        completion = end[subset][:, None]
        if table is None:
            cost = _cost(instance, costs, job, completion)
        else:
            cost = table[job.astype(np.int32) * (last - begin + 1) + (completion - begin).astype(np.int32)]
        best[subset] = (best[left] + cost).min(axis=1)
    return best
