"""A schedule read beside its problem, for the validator: which rows name what, and which tasks depend on which."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.schedule import Schedule
from .conditions import Conditions
from .instance import SoCInstance
from .noise import actual_time

MAX_PAIRS = 2**22  # jobs times edges that are looked up at a time, which caps the memory


class Claim:
    """A schedule and its problem. Rows may hold any 64-bit integers; what they name may not exist.

    Args:
        instance: the problem.
        schedule: the claim.

    Attributes:
        instance, conditions: what the schedule answers, and under which conditions.
        job, step, resource, start, end: (N,) int64, the columns.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """

    def __init__(self, instance: SoCInstance, schedule: Schedule):
        self.instance, self.conditions = instance, Conditions.read(schedule.conditions)
        self.job, self.step, self.resource, self.start, self.end = schedule.entries.T

    def __len__(self) -> int:
        return len(self.job)

    @cached_property
    def graph_tasks(self) -> np.ndarray:
        """(graphs,) int64, number of tasks."""
        return np.array([graph.tasks for graph in self.instance.graphs], dtype=np.int64)

    @cached_property
    def graph_edges(self) -> np.ndarray:
        """(graphs,) int64, number of edges."""
        return np.array([len(graph.edges) for graph in self.instance.graphs], dtype=np.int64)

    @cached_property
    def named(self) -> np.ndarray:
        """(N,) bool: the row names a job that there is."""
        return (self.job >= 0) & (self.job < self.instance.jobs)

    @cached_property
    def graph(self) -> np.ndarray:
        """(N,) int64, the graph of the row's job; 0 where there is no such job."""
        return self.instance.arrival_graph[np.where(self.named, self.job, 0)].astype(np.int64)

    @cached_property
    def tasks(self) -> np.ndarray:
        """The rows that name a task that there is."""
        return np.flatnonzero(self.named & (self.step >= 0) & (self.step < self.graph_tasks[self.graph]))

    @cached_property
    def edge(self) -> np.ndarray:
        """(N,) int64, the edge that a transfer belongs to; -1 of other rows, and without a shared bus."""
        first = self.instance.widest
        there = self.named & (self.step >= first) & (self.step < first + self.graph_edges[self.graph])
        return np.where(there & self.conditions.shared_bus, self.step - first, -1)

    @cached_property
    def on_element(self) -> np.ndarray:
        """(N,) bool: the row's resource is a processing element (PE)."""
        return (self.resource >= 0) & (self.resource < self.instance.elements)

    @cached_property
    def actual(self) -> np.ndarray:
        """(N,) int64, the actual execution time of a task on its PE, in us; -1 where there is none."""
        result = np.full(len(self), -1, dtype=np.int64)
        rows = self.tasks[self.on_element[self.tasks]]
        result[rows] = actual_time(self.instance, self.conditions, self.job[rows], self.step[rows], self.resource[rows])
        return result

    def name(self, row: int) -> str:
        """What a row is about, in words."""
        if self.edge[row] < 0:
            return f"task {self.step[row]} of job {self.job[row]}"
        return self.name_transfer(int(self.job[row]), int(self.edge[row]))

    def name_transfer(self, job: int, edge: int) -> str:
        """A transfer in words."""
        source, target = self.instance.graphs[self.instance.arrival_graph[job]].edges[edge].tolist()
        return f"the transfer of job {job} from task {source} to task {target}"


@dataclass(frozen=True, eq=False)
class Dependencies:
    """The edges whose tasks are both in the schedule, in order of job and edge; (M,) int64 each.

    Of tasks that appear several times the widest claim counts: the latest end and the earliest start.

    Attributes:
        job, edge: which.
        source, target: the rows of its tasks.
        time: how long the data is on its way, in us; 0 on one PE, and where a PE does not exist.
    """

    job: np.ndarray
    edge: np.ndarray
    source: np.ndarray
    target: np.ndarray
    time: np.ndarray


def dependencies(claim: Claim) -> Dependencies:
    """Find the edges whose tasks are both there.

    Args:
        claim: the schedule beside its problem.
    """
    instance, rows = claim.instance, claim.tasks
    key = claim.job[rows] * instance.widest + claim.step[rows]
    by_end = np.lexsort((~claim.end[rows], key))  # the complement reverses the order of any 64-bit numbers
    by_start = np.lexsort((claim.start[rows], key))
    task, first = np.unique(key[by_end], return_index=True)
    latest, earliest = rows[by_end[first]], rows[by_start[first]]
    parts = [np.zeros((5, 0), dtype=np.int64)]
    present = np.unique(claim.job[rows])
    for index in np.unique(instance.arrival_graph[present]).tolist():
        graph = instance.graphs[index]
        jobs = present[instance.arrival_graph[present] == index]
        for some in np.array_split(jobs, len(jobs) * len(graph.edges) // MAX_PAIRS + 1):
            ends = some[:, None, None] * instance.widest + graph.edges  # (jobs, edges, 2)
            place = np.minimum(np.searchsorted(task, ends), len(task) - 1)
            at, edge = np.nonzero((task[place] == ends).all(axis=2))
            source, target = latest[place[at, edge, 0]], earliest[place[at, edge, 1]]
            time = _transfer_time(claim, graph.volume[edge], source, target)
            parts.append(np.stack([some[at], edge, source, target, time]))
    every = np.concatenate(parts, axis=1)
    return Dependencies(*every[:, np.lexsort((every[1], every[0]))])


def _transfer_time(claim: Claim, volume: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    there = claim.on_element[source] & claim.on_element[target]
    p, q = (np.where(there, claim.resource[row], 0) for row in (source, target))
    volume, bandwidth = volume.astype(np.int64), claim.instance.bandwidth[p, q].astype(np.int64)
    share = -(-volume // bandwidth) if claim.conditions.rounding == "up" else volume // bandwidth
    return np.where(p != q, claim.instance.latency[p, q] + share, 0)
