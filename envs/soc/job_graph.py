"""One kind of job: a directed acyclic graph of tasks, with execution times and volumes of data."""

import heapq
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..core.errors import InstanceError

MAX_TASKS = 100_000  # of one graph
MAX_CELLS = 1_000_000  # tasks x processing elements of one graph
MAX_EDGES = 1_000_000  # of one graph
MAX_TIME = 2**28  # sums of all times of an instance stay below, so int32 cannot overflow


@dataclass(frozen=True, eq=False)
class JobGraph:
    """The tasks of a job, their execution times on each processing element (PE) and the data they pass on.

    Arrays are copies and read-only.

    Attributes:
        name: what the job is called, one line of printable text.
        execution_time: (tasks, PEs) int32, estimated execution times in us, at least 0; -1 where the task
            cannot run. Every task can run somewhere.
        edges: (edges, 2) int32, source and target task of each precedence.
        volume: (edges,) int32, the data that the source sends to the target, at least 0.

    Raises:
        InstanceError: when the numbers do not make an acyclic graph, naming the field and its place.
    """

    name: str
    execution_time: np.ndarray = field(repr=False)  # (tasks, PEs) int32
    edges: np.ndarray = field(repr=False)  # (edges, 2) int32
    volume: np.ndarray = field(repr=False)  # (edges,) int32

    def __post_init__(self):
        check_name(self.name, "job graph")
        times = integers(self.execution_time, "execution_time", 2, MAX_CELLS, self.name)
        edges = integers(self.edges, "edges", 2, 2 * MAX_EDGES, self.name)
        volume = integers(self.volume, "volume", 1, MAX_EDGES, self.name)
        problem = first_problem(times, edges, volume)
        if problem:
            raise InstanceError(problem, self.name)
        freeze(self, execution_time=times, edges=edges, volume=volume)

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.execution_time)

    @cached_property
    def order(self) -> np.ndarray:
        """A topological order, (tasks,) int32: the lowest of the tasks whose predecessors are all placed comes next."""
        order, _ = _sort(self.tasks, self.edges)
        order.setflags(write=False)
        return order

    @cached_property
    def longest_work(self) -> int:
        """Sum over the tasks of the longest execution time, in us."""
        return int(self.execution_time.max(axis=1).sum(dtype=np.int64))


def check_name(name: object, what: str) -> None:
    """Refuse names that would break a table.

    Raises:
        InstanceError: if it is not one line of printable text.
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise InstanceError(f"a name is one line of printable text, got {name!r}", what)


def freeze(thing, **arrays: np.ndarray) -> None:
    """Set fields of a frozen dataclass to read-only int32 copies of arrays."""
    for what, values in arrays.items():
        array = np.array(values, dtype=np.int32, order="C")
        array.setflags(write=False)
        object.__setattr__(thing, what, array)


def integers(values, what: str, dimensions: int, limit: int, where: str) -> np.ndarray:
    """An int64 array of the right rank and of bounded size.

    Raises:
        InstanceError: if it is ragged, of another rank or dtype, or has more than ``limit`` entries.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InstanceError(f"{what} is not a rectangular array: {error}", where) from error
    if array.shape == (0,):  # an empty list has neither a second dimension nor integers
        array = np.zeros((0, 2)[:dimensions], dtype=np.int64)
    if array.ndim != dimensions or array.size > limit or array.dtype.kind not in "iu":
        wanted = f"must hold at most {limit} integers in {dimensions} dimension{'s' if dimensions > 1 else ''}"
        raise InstanceError(f"{what} {wanted}, got {array.dtype} of shape {array.shape}", where)
    if array.dtype.kind == "u":
        array = np.minimum(array, 2**62)  # values that int64 cannot hold must not come out negative
    return array.astype(np.int64)


def slowest_pairs(latency: np.ndarray, bandwidth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latency and bandwidth of the pairs of PEs that no other pair is slower than in both."""
    apart = ~np.eye(len(latency), dtype=bool)
    latency, bandwidth = latency[apart].astype(np.int64), bandwidth[apart].astype(np.int64)
    place = bandwidth.argsort(kind="stable")
    latency, bandwidth = latency[place], bandwidth[place]
    best = np.maximum.accumulate(latency)
    keep = np.r_[True, best[1:] > best[:-1]] if len(latency) else []
    return latency[keep], bandwidth[keep]


def longest_transfers(volume: np.ndarray, latency: np.ndarray, bandwidth: np.ndarray) -> int:
    """Sum over the edges of the longest transfer over any of the pairs of PEs."""
    if not len(latency):
        return 0
    total, rows = 0, max(1, 2**20 // len(latency))
    for first in range(0, len(volume), rows):
        part = volume[first : first + rows, None].astype(np.int64)
        total += int((latency - (-part // bandwidth)).max(axis=1).sum())
    return total


def first_problem(times: np.ndarray, edges: np.ndarray, volume: np.ndarray) -> str | None:
    """The first thing wrong with the int64 arrays of a graph, beginning with the field and its place, or None."""
    tasks, elements = times.shape
    if not 1 <= tasks <= MAX_TASKS or elements < 1:
        return f"execution_time: {tasks} tasks on {elements} PEs, expected 1 to {MAX_TASKS} tasks on at least one"
    wrong = (times < -1) | (times > MAX_TIME)
    if wrong.any():
        task, element = np.argwhere(wrong)[0]
        value = times[task, element]
        return f"execution_time[{task}][{element}]: {value} is not 0 to {MAX_TIME}, or -1 where infeasible"
    nowhere = (times < 0).all(axis=1)
    if nowhere.any():
        return f"execution_time[{nowhere.argmax()}]: the task can run on no PE"
    if edges.shape[1] != 2 or len(edges) != len(volume):
        return f"edges: shape {edges.shape} does not go with volume {volume.shape}, expected (edges, 2) and (edges,)"
    wrong = ((edges < 0) | (edges >= tasks)).any(axis=1)
    if wrong.any():
        source, target = edges[wrong.argmax()]
        return f"edges[{wrong.argmax()}]: {source} -> {target} leaves the tasks 0 to {tasks - 1}"
    return _edge_problem(tasks, edges, volume)


def _edge_problem(tasks: int, edges: np.ndarray, volume: np.ndarray) -> str | None:
    wrong = edges[:, 0] == edges[:, 1]
    if wrong.any():
        return f"edges[{wrong.argmax()}]: task {edges[wrong.argmax(), 0]} cannot precede itself"
    key = edges[:, 0] * tasks + edges[:, 1]
    place = key.argsort(kind="stable")
    same = key[place[1:]] == key[place[:-1]]
    if same.any():
        again = place[1:][same].min()
        return f"edges[{again}]: {edges[again, 0]} -> {edges[again, 1]} is there already"
    wrong = (volume < 0) | (volume > MAX_TIME)
    if wrong.any():
        return f"volume[{wrong.argmax()}]: {volume[wrong.argmax()]} is not 0 to {MAX_TIME}"
    _, cycle = _sort(tasks, edges)
    return f"edges: the tasks {' -> '.join(map(str, cycle))} wait for each other" if cycle else None


def _sort(tasks: int, edges: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Kahn's (1962) topological order, lowest index first, and a cycle, closed, if there is one."""
    if (edges[:, 0] < edges[:, 1]).all():
        return np.arange(tasks, dtype=np.int32), []
    successors: list[list[int]] = [[] for _ in range(tasks)]
    for source, target in edges.tolist():
        successors[source].append(target)
    waiting = np.bincount(edges[:, 1], minlength=tasks).tolist()
    ready = [task for task in range(tasks) if not waiting[task]]
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for target in successors[order[-1]]:
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, target)
    cycle = [] if len(order) == tasks else _cycle(edges, np.array(waiting) > 0)
    return np.array(order, dtype=np.int32), cycle


def _cycle(edges: np.ndarray, left: np.ndarray) -> list[int]:
    """A cycle among the tasks that Kahn's order left over; each of them has a predecessor that is left over too."""
    inner = edges[left[edges].all(axis=1)]
    before = dict(zip(inner[:, 1].tolist(), inner[:, 0].tolist(), strict=True))
    task, seen = int(left.argmax()), []
    visited: dict[int, int] = {}
    while task not in visited:
        visited[task] = len(seen)
        seen.append(task)
        task = before[task]
    ring = seen[visited[task] :][::-1]
    first = ring.index(min(ring))
    ring = ring[first:] + ring[:first]
    return [*ring, ring[0]]
