"""A SoC instance as one flat list of tasks, for solvers that look at all jobs at once."""

from bisect import insort
from typing import NamedTuple

import numpy as np

from ..envs.soc.conditions import Conditions
from ..envs.soc.instance import SoCInstance
from ..envs.soc.noise import actual_time

_NEVER = 2**40  # later than any time of an instance, small enough to add up


class Place(NamedTuple):
    """Where and when a task runs.

    Attributes:
        task: its number in the flat problem.
        element: the processing element.
        start: in us.
    """

    task: int
    element: int
    start: int


class FlatProblem:
    """The tasks of some jobs, what they wait for, and how early and how late they can run.

    Tasks are numbered job by job in topological order, so every edge leads to a higher number. Transfers do not
    wait for each other, and the number of jobs in the system is not limited, whatever the conditions say.

    Args:
        instance: the problem.
        conditions: the noise and the rounding of transfer times.
        jobs: the jobs to look at; all when left out.

    Attributes:
        instance, conditions, elements: what it was made from, and the number of processing elements (PEs).
        jobs: the jobs that are looked at, in order.
        name: (tasks, 2) int64, job and task in the instance.
        time: (tasks, PEs) int64, actual execution times in us, -1 where a task cannot run.
        before: for each task its predecessors, each with the (PEs, PEs) transfer times to the task in us.
        head: (tasks, PEs) int64, a task that runs there starts no earlier than this, in us.
        tail: (tasks, PEs) int64, from the end of a task that runs there to its job's end it is no less than this.
        least: no schedule has a smaller latency, in us, of each job that is measured.
    """

    def __init__(self, instance: SoCInstance, conditions: Conditions, jobs: list[int] | None = None):
        self.instance, self.conditions, self.elements = instance, conditions, instance.elements
        self.jobs = list(range(instance.jobs)) if jobs is None else jobs
        transfer: dict[int, np.ndarray] = {}
        name: list[tuple[int, int]] = []
        self.before: list[list[tuple[int, np.ndarray]]] = []
        for job in self.jobs:
            index = int(instance.arrival_graph[job])
            if index not in transfer:
                transfer[index] = instance.transfer_time(index, conditions.rounding)
            order = instance.graphs[index].order.tolist()
            place = {task: len(name) + at for at, task in enumerate(order)}
            name += [(job, task) for task in order]
            self.before += [[] for _ in order]
            for edge, (source, target) in enumerate(instance.graphs[index].edges.tolist()):
                self.before[place[target]].append((place[source], transfer[index][edge]))
        self.name = np.array(name, dtype=np.int64)
        self.time = actual_time(instance, conditions, self.name[:, :1], self.name[:, 1:], np.arange(self.elements))
        self.head, self.tail = self._reach()
        self.least = self._least()

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.name)

    @property
    def lower_bound(self) -> int:
        """No schedule costs less, in us."""
        return sum(self.least.values())

    def _reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Longest paths from the job's arrival and to its end, with the PEs that suit each path best."""
        time = np.where(self.time < 0, _NEVER, self.time)
        head = np.repeat(self.arrival(self.name[:, :1]), self.elements, axis=1)
        tail = np.zeros_like(head)
        for task, before in enumerate(self.before):
            for source, transfer in before:
                arrives = ((head[source] + time[source])[:, None] + transfer).min(axis=0)
                head[task] = np.maximum(head[task], arrives)
        for task in reversed(range(self.tasks)):
            for source, transfer in self.before[task]:
                tail[source] = np.maximum(tail[source], (transfer + time[task] + tail[task]).min(axis=1))
        return head, tail

    def _least(self) -> dict[int, int]:
        """A job alone takes its longest path, and its work shared by all PEs."""
        time = np.where(self.time < 0, _NEVER, self.time)
        through, work = (self.head + time + self.tail).min(axis=1), time.min(axis=1)
        least = {}
        for job in self.jobs:
            own = self.name[:, 0] == job
            path = int(through[own].max()) - int(self.arrival(job))
            if self.instance.arrival_time[job] >= self.instance.warmup:
                least[job] = max(path, -(-int(work[own].sum()) // self.elements))
        return least

    def arrival(self, job) -> np.ndarray:
        """When jobs arrive, int64, in us."""
        return self.instance.arrival_time[job].astype(np.int64)

    def cost(self, places: list[Place]) -> int:
        """The total latency of the jobs that are measured, in us; of a static instance that is the makespan."""
        ends = dict.fromkeys(self.least, 0)
        for task, element, start in places:
            job = int(self.name[task, 0])
            if job in ends:
                ends[job] = max(ends[job], start + int(self.time[task, element]))
        return sum(end - int(self.arrival(job)) for job, end in ends.items())

    def horizon(self, places: list[Place]) -> int:
        """A time by which some optimal schedule has ended, in us.

        Args:
            places: any feasible schedule.
        """
        if len(self.jobs) == 1:
            return int(self.arrival(self.jobs[0])) + self.cost(places)
        # at any time before the end of a schedule that is shifted left a job is still to come, a task runs, or data
        # that a task waits for is on its way
        transfers = sum(int(transfer.max()) for before in self.before for _, transfer in before)
        return int(self.arrival(self.jobs[-1])) + int(self.time.max(axis=1).sum()) + transfers

    def ready(self, places: dict[int, Place], task: int, element: int) -> int:
        """When a task's job and its data are at a PE, in us.

        Args:
            places: those of its predecessors, and any others.
            task, element: which.
        """
        ready = int(self.arrival(self.name[task, 0]))
        for source, transfer in self.before[task]:
            _, other, start = places[source]
            ready = max(ready, start + int(self.time[source, other]) + int(transfer[other, element]))
        return ready

    def entries(self, places: list[Place]) -> np.ndarray:
        """The rows of a schedule, (tasks, 5) int64, in order of job and task."""
        task, element, start = np.array(places, dtype=np.int64).T
        rows = np.column_stack([self.name[task], element, start, start + self.time[task, element]])
        return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def greedy(problem: FlatProblem) -> list[Place]:
    """A fair schedule in no time: the best one of three list schedules.

    - as HEFT (Topcuoglu et al., 2002), jobs in order of arrival and their tasks by upward rank: each task goes into the
      first gap on the PE where it ends first;
    - as PEFT (Arabnejad and Barbosa, 2014), where the rest of its job may end first;
    - min-min (Ibarra and Kim, 1977): of all tasks that are ready the one that can end first.

    Args:
        problem: tasks and edges.

    Returns:
        The places of all tasks, in their order.
    """
    rank = np.where(problem.time < 0, 0, problem.time).sum(axis=1) / (problem.time >= 0).sum(axis=1)
    after = np.zeros(problem.tasks)
    pairs = max(problem.elements * (problem.elements - 1), 1)
    for task in reversed(range(problem.tasks)):
        rank[task] += after[task]
        for source, transfer in problem.before[task]:
            after[source] = max(after[source], rank[task] + transfer.sum() / pairs)
    order = np.lexsort((np.arange(problem.tasks), -rank, problem.name[:, 0])).tolist()
    candidates = [_insert(problem, order, ahead=False), _insert(problem, order, ahead=True), _min_min(problem)]
    return min(candidates, key=problem.cost)


def _insert(problem: FlatProblem, order: list[int], ahead: bool) -> list[Place]:
    """Put each task into the first gap on the PE where it ends first, with its tail if one looks ahead."""
    busy: list[list[tuple[int, int]]] = [[] for _ in range(problem.elements)]
    places: dict[int, Place] = {}
    for task in order:
        best = (_NEVER, 0, 0)
        for element in np.flatnonzero(problem.time[task] >= 0).tolist():
            length = int(problem.time[task, element])
            start = _gap(busy[element], problem.ready(places, task, element), length)
            rest = int(problem.tail[task, element]) if ahead else 0
            best = min(best, (start + length + rest, element, start))
        _, element, start = best
        if problem.time[task, element] > 0:
            insort(busy[element], (start, start + int(problem.time[task, element])))
        places[task] = Place(task, element, start)
    return [places[task] for task in range(problem.tasks)]


def _gap(busy: list[tuple[int, int]], ready: int, length: int) -> int:
    """The first start from which a PE is free for long enough; what has no length fits anywhere."""
    for begin, end in busy if length > 0 else ():
        if ready + length <= begin:
            break
        ready = max(ready, end)
    return ready


def _min_min(problem: FlatProblem) -> list[Place]:
    """Append the ready task that can end first, again and again."""
    after: list[list[int]] = [[] for _ in range(problem.tasks)]
    waits = [len(before) for before in problem.before]
    for task, before in enumerate(problem.before):
        for source, _ in before:
            after[source].append(task)
    time = np.where(problem.time < 0, _NEVER, problem.time)
    free = np.zeros(problem.elements, dtype=np.int64)
    places: dict[int, Place] = {}
    waiting = [task for task in range(problem.tasks) if waits[task] == 0]
    there = problem.head.copy()  # of a task whose predecessors are placed: when its data is at each PE
    while waiting:
        start = np.where(time[waiting] > 0, np.maximum(there[waiting], free), there[waiting])
        index, element = divmod(int((start + time[waiting]).argmin()), problem.elements)
        task = waiting.pop(index)
        places[task] = Place(task, element, int(start[index, element]))
        if time[task, element] > 0:
            free[element] = start[index, element] + time[task, element]
        for successor in after[task]:
            waits[successor] -= 1
            if waits[successor] == 0:
                there[successor] = [problem.ready(places, successor, p) for p in range(problem.elements)]
                waiting.append(successor)
    return [places[task] for task in range(problem.tasks)]


def shift_left(problem: FlatProblem, places: list[Place]) -> list[Place]:
    """Keep the order on every PE and start each task as early as that order allows.

    Args:
        problem: tasks and edges.
        places: a feasible schedule of all tasks.

    Returns:
        The places of all tasks, in their order.
    """
    free = [0] * problem.elements
    moved: dict[int, Place] = {}
    for task, element, _ in sorted(places, key=lambda place: (place.start, place.task)):
        start, length = problem.ready(moved, task, element), int(problem.time[task, element])
        if length > 0:  # a task of length 0 neither waits for its PE nor holds it
            start = max(start, free[element])
            free[element] = start + length
        moved[task] = Place(task, element, start)
    return [moved[task] for task in range(problem.tasks)]
