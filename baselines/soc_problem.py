"""A task graph problem as one flat list of tasks, for solvers that look at all jobs at once."""

from typing import NamedTuple

import numpy as np

from ..envs.soc.conditions import Conditions
from ..envs.soc.instance import SoCInstance
from ..envs.soc.noise import actual_times


class Place(NamedTuple):
    """Where and when a task runs; start in us."""

    task: int
    element: int
    start: int


class FlatProblem:
    """All tasks of all jobs, their edges, and how early and how late they can be.

    Tasks are numbered job by job in topological order, so an edge leads to a higher number.

    Args:
        instance: the problem.
        conditions: under which it is to be solved; a shared bus and a cap on the jobs are passed over.

    Attributes:
        names: (tasks, 2) int64, job and task of the instance.
        time: (tasks, elements) int64, actual execution times in us, -1 where a task cannot run.
        release: (tasks,) int64, arrival of the job.
        before: for each task its predecessors, with the (elements, elements) transfer times from them to it.
        head: (tasks, elements) int64, no task can start earlier there; of those that cannot run there not less.
        tail: (tasks, elements) int64, no job can end earlier after the task's end there.
        weight: (jobs,) of each job's completion in the cost.
    """

    def __init__(self, instance: SoCInstance, conditions: Conditions):
        self.instance = instance
        self.elements, self.jobs = instance.elements, instance.jobs
        actual = actual_times(instance, conditions)
        transfer = [instance.transfer_time(graph, conditions.rounding) for graph in range(len(instance.graphs))]
        names, self.before = [], []
        for job, index in enumerate(instance.arrival_graph.tolist()):
            graph, first = instance.graphs[index], len(names)
            place = {task: first + at for at, task in enumerate(graph.order.tolist())}
            names += [(job, task) for task in graph.order.tolist()]
            self.before += [[] for _ in range(graph.tasks)]
            for edge, (source, target) in enumerate(graph.edges.tolist()):
                self.before[place[target]].append((place[source], transfer[index][edge]))
        self.names = np.array(names)
        self.time = actual[self.names[:, 0], self.names[:, 1]]
        self.release = instance.arrival_time.astype(np.int64)[self.names[:, 0]]
