"""A SoC instance as one flat list of tasks, for solvers that look at all jobs at once."""

from bisect import insort
from typing import NamedTuple

import numpy as np

from ..envs.soc.conditions import Conditions
from ..envs.soc.instance import SoCInstance
from ..envs.soc.noise import actual_times

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
    """All tasks of all jobs, what they wait for, and how early and how late they can run.

    Tasks are numbered job by job in topological order, so every edge leads to a higher number. Transfers do not wait for
    each other, and the number of jobs in the system is not limited, whatever the conditions say.

    Args:
        instance: the problem.
        conditions: the noise and the rounding of transfer times.

    Attributes:
        instance, elements, tasks: what it was made from, the number of processing elements (PEs) and of tasks.
        name: (tasks, 2) int64, job and task in the instance.
        time: (tasks, PEs) int64, actual execution times in us, -1 where a task cannot run.
        before: for each task its predecessors, each with the (PEs, PEs) transfer times to the task in us.
        head: (tasks, PEs) int64, a task that runs there starts no earlier than this, in us.
        tail: (tasks, PEs) int64, from the end of a task that runs there to its job's end it is no less than this.
        measured: the jobs that count in the cost.
        lower_bound: no schedule costs less, in us.
    """

    def __init__(self, instance: SoCInstance, conditions: Conditions):
        self.instance, self.elements = instance, instance.elements
        transfer = [instance.transfer_time(graph, conditions.rounding) for graph in range(len(instance.graphs))]
        name: list[tuple[int, int]] = []
        self.before: list[list[tuple[int, np.ndarray]]] = []
        for job, index in enumerate(instance.arrival_graph.tolist()):
            graph, order = instance.graphs[index], instance.graphs[index].order.tolist()
            place = {task: len(name) + at for at, task in enumerate(order)}
            name += [(job, task) for task in order]
            self.before += [[] for _ in order]
            for edge, (source, target) in enumerate(graph.edges.tolist()):
                self.before[place[target]].append((place[source], transfer[index][edge]))
        self.name, self.tasks = np.array(name, dtype=np.int64), len(name)
        self.time = actual_times(instance, conditions)[self.name[:, 0], self.name[:, 1]]
        self.measured = np.flatnonzero(instance.arrival_time >= instance.warmup).tolist()
        self.head, self.tail = self._reach()
        self.lower_bound = self._lower_bound()

    def _reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Longest paths from the job's arrival and to its end, each task on the PE that suits the path best."""
        time = np.where(self.time < 0, _NEVER, self.time)
        head = np.repeat(self.instance.arrival_time[self.name[:, :1]].astype(np.int64), self.elements, axis=1)
        tail = np.zeros_like(head)
        for task, before in enumerate(self.before):
            for source, transfer in before:
                arrives = ((head[source] + time[source])[:, None] + transfer).min(axis=0)
                head[task] = np.maximum(head[task], arrives)
        for task in reversed(range(self.tasks)):
            for source, transfer in self.before[task]:
                tail[source] = np.maximum(tail[source], (transfer + time[task] + tail[task]).min(axis=1))
        return head, tail

    def _lower_bound(self) -> int:
        through = np.where(self.time < 0, _NEVER, self.head + self.time + self.tail).min(axis=1)
        ends = np.zeros(self.instance.jobs, dtype=np.int64)
        np.maximum.at(ends, self.name[:, 0], through)
        if not self.instance.static:
            return int((ends - self.instance.arrival_time)[self.measured].sum())
        work = np.where(self.time < 0, _NEVER, self.time).min(axis=1).sum()
        return max(int(ends[0]), -(-int(work) // self.elements))

    def ends(self, places: list[Place]) -> dict[int, int]:
        """When each job ends, in us."""
        ends: dict[int, int] = {}
        for task, element, start in places:
            job = int(self.name[task, 0])
            ends[job] = max(ends.get(job, 0), start + int(self.time[task, element]))
        return ends

    def cost(self, places: list[Place]) -> int:
        """What is minimised: of a static instance the makespan, else the total latency of measured jobs, in us."""
        ends, arrival = self.ends(places), self.instance.arrival_time
        return sum(ends[job] - int(arrival[job]) for job in self.measured)

    def horizon(self, places: list[Place]) -> int:
        """A time by which some optimal schedule has ended, in us.

        Args:
            places: any feasible schedule.
        """
        if self.instance.static:
            return self.cost(places)
        # at any time before the end of a schedule that is shifted left a job is still to come, a task runs, or data
        # that a task waits for is on its way
        transfers = sum(int(transfer.max()) for before in self.before for _, transfer in before)
        return int(self.instance.arrival_time[-1]) + int(self.time.max(axis=1).sum()) + transfers

    def entries(self, places: list[Place]) -> np.ndarray:
        """The rows of a schedule, (tasks, 5) int64, in order of job and task."""
        task, element, start = np.array(places, dtype=np.int64).T
        rows = np.column_stack([self.name[task], element, start, start + self.time[task, element]])
        return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def greedy(problem: FlatProblem) -> list[Place]:
    """A good schedule in no time: the better one of two list schedules with insertion.

    Jobs come in order of arrival and their tasks by upward rank, as in HEFT (Topcuoglu et al., 2002); each task goes to
    the PE where it ends first, or, as in PEFT (Arabnejad and Barbosa, 2014), where the rest of its job may end first.

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
    return min((_insert(problem, order, ahead) for ahead in (False, True)), key=problem.cost)


def _insert(problem: FlatProblem, order: list[int], ahead: bool) -> list[Place]:
    """Put each task into the first gap on the PE where it ends first, with its tail if one looks ahead."""
    busy: list[list[tuple[int, int]]] = [[] for _ in range(problem.elements)]
    places: dict[int, Place] = {}
    for task in order:
        best = (_NEVER, 0, 0)
        for element in np.flatnonzero(problem.time[task] >= 0).tolist():
            length = int(problem.time[task, element])
            start = _gap(busy[element], _ready(problem, places, task, element), length)
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


def _ready(problem: FlatProblem, places: dict[int, Place], task: int, element: int) -> int:
    """When a task's job and its data are there."""
    ready = int(problem.instance.arrival_time[problem.name[task, 0]])
    for source, transfer in problem.before[task]:
        _, other, start = places[source]
        ready = max(ready, start + int(problem.time[source, other]) + int(transfer[other, element]))
    return ready


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
        start, length = _ready(problem, moved, task, element), int(problem.time[task, element])
        if length > 0:  # a task of length 0 neither waits for its PE nor holds it
            start = max(start, free[element])
            free[element] = start + length
        moved[task] = Place(task, element, start)
    return [moved[task] for task in range(problem.tasks)]
