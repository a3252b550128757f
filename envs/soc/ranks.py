"""Priorities of tasks in heterogeneous scheduling: upward and downward rank, critical path, optimistic cost table.

All of them are means of integers over processing elements (PEs), so they are computed as integers over a common
denominator and rounded once, at the end. Tasks whose priorities are equal on paper are then equal here too, whatever
the order of summation, and ties are broken by rule and not by the last bit of a float.
"""

import math

import numpy as np

from .instance import SoCInstance
from .job_graph import JobGraph
from .links import Links

NEVER = 2**60  # cost of an infeasible PE; sums with real costs, which stay below 2**49, do not overflow


def mean_execution(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Mean execution time of each task over the PEs that can run it.

    Args:
        instance, graph, rounding: as for ``mean_transfer``; the rounding makes no difference.

    Returns:
        (n,) float64, in microseconds.
    """
    time = instance.graphs[graph].execution_time.astype(np.int64)
    return np.where(time >= 0, time, 0).sum(axis=1) / (time >= 0).sum(axis=1)


def mean_transfer(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Mean transfer time of each edge over all ordered pairs of different PEs; 0 where there is only one PE.

    Args:
        instance: the problem.
        graph: index into its graphs.
        rounding: of the transfer times that are averaged, ``"up"`` or ``"down"``.

    Returns:
        (E,) float64, in microseconds.

    Raises:
        UnknownNameError: if ``rounding`` is not known.
    """
    return Links(instance, rounding).total(instance.graphs[graph].volume) / _pairs(instance)


def upward_rank(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Length of the longest path from a task to an exit, the task included (Topcuoglu, Hariri and Wu 2002).

    Lengths are mean execution and mean transfer times.

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        (n,) float64, in microseconds.
    """
    means = _Means(instance, graph, rounding)
    return _floats(means.upward(), means.unit)


def downward_rank(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Length of the longest path from an entry to a task, the task excluded (Topcuoglu, Hariri and Wu 2002).

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        (n,) float64, in microseconds.
    """
    means = _Means(instance, graph, rounding)
    return _floats(means.downward(), means.unit)


def path_priority(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Upward plus downward rank, the length of the longest path through each task: the priority in CPOP.

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        (n,) float64, in microseconds; exactly equal for all tasks of critical paths.
    """
    means = _Means(instance, graph, rounding)
    return _floats(map(sum, zip(means.upward(), means.downward(), strict=True)), means.unit)


def critical_path(instance: SoCInstance, graph: int, rounding: str = "up") -> tuple[np.ndarray, int]:
    """The critical path and its PE, as CPOP wants them (Topcuoglu, Hariri and Wu 2002).

    The path begins at the entry with the highest priority and goes on to a successor with the same priority, over an
    edge that the longest path takes, until an exit; the lowest position in the topological order wins a tie. Several
    entries or exits are treated as if tasks of no length, without transfers, stood before and after them.

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        The tasks from entry to exit, (k,) int32, and the PE with the smallest sum of their execution times. Where no
        PE can run them all, it is one that can run the most; the lowest of several that are equal.

    Raises:
        UnknownNameError: if ``rounding`` is not known.
    """
    shape, means = instance.graphs[graph], _Means(instance, graph, rounding)
    upward, order = means.upward(), shape.order.tolist()
    entries = set(order) - set(shape.edges[:, 1].tolist())
    task = max((t for t in order if t in entries), key=upward.__getitem__)  # max keeps the first of several
    path, position = [task], positions(shape)
    outgoing, first = edges_by(shape, 0)
    while (edges := outgoing[first[task] : first[task + 1]]).size:
        rest = upward[task] - means.execution[task]
        longest = [t for t, e in zip(shape.edges[edges, 1].tolist(), edges.tolist(), strict=True)
                   if means.transfer[e] + upward[t] == rest]  # fmt: skip
        task = min(longest, key=position.__getitem__)
        path.append(task)
    time = shape.execution_time[path].astype(np.int64)
    element = np.lexsort((np.where(time >= 0, time, 0).sum(axis=0), (time < 0).sum(axis=0)))[0]
    return np.array(path, dtype=np.int32), int(element)


def optimistic_cost_units(instance: SoCInstance, graph: int, rounding: str = "up") -> tuple[np.ndarray, int]:
    """The optimistic cost table in whole numbers, for comparisons without rounding.

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        The table, (n, P) int64, ``NEVER`` where a task cannot run, and how many of its units a microsecond has.

    Raises:
        UnknownNameError: if ``rounding`` is not known.
    """
    shape, unit = instance.graphs[graph], _pairs(instance)
    transfer = Links(instance, rounding).total(shape.volume)
    execution = shape.execution_time.astype(np.int64) * unit
    feasible = execution >= 0
    outgoing, first = edges_by(shape, 0)
    target = shape.edges[:, 1]
    table = np.zeros(execution.shape, dtype=np.int64)
    through = np.empty_like(table)  # the table plus the task itself on that PE
    least = np.empty(len(table), dtype=np.int64)
    for task in shape.order[::-1].tolist():
        edges = outgoing[first[task] : first[task + 1]]
        if edges.size:
            after = target[edges]
            # Either the successor stays on this PE, or it goes to its best one and pays the mean transfer.
            table[task] = np.minimum(through[after], (least[after] + transfer[edges])[:, None]).max(axis=0)
        through[task] = np.where(feasible[task], table[task] + execution[task], NEVER)
        least[task] = through[task].min()
    return np.where(feasible, table, NEVER), unit


def optimistic_cost_table(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Shortest way to the end of the graph after a task on a PE, if every PE were free (Arabnejad and Barbosa 2014).

    OCT(t, p) is the largest over the successors s of t of the smallest over the PEs w that can run s of
    OCT(s, w) + time(s, w) + (mean transfer time if w is not p). It is 0 for exits.

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        (n, P) float64, in microseconds; infinite where a task cannot run.

    Raises:
        UnknownNameError: if ``rounding`` is not known.
    """
    table, unit = optimistic_cost_units(instance, graph, rounding)
    return np.where(table < NEVER, table / unit, np.inf)


def oct_rank(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Mean of a task's row in the optimistic cost table, over the PEs that can run it (Arabnejad and Barbosa 2014).

    Unlike the upward rank, it may be higher for a task than for one before it, so it orders ready tasks only.

    Args:
        instance, graph, rounding: as for ``mean_transfer``.

    Returns:
        (n,) float64, in microseconds.

    Raises:
        UnknownNameError: if ``rounding`` is not known.
    """
    table, unit = optimistic_cost_units(instance, graph, rounding)
    total, count = np.where(table < NEVER, table, 0).sum(axis=1).tolist(), (table < NEVER).sum(axis=1).tolist()
    return np.array([row / (unit * cells) for row, cells in zip(total, count, strict=True)])


def least_tail(instance: SoCInstance, graph: int, rounding: str = "up") -> np.ndarray:
    """Least time from the end of a task to the end of its job: the longest path after it, without any transfer.

    Args:
        instance, graph, rounding: as for ``mean_transfer``; the rounding makes no difference.

    Returns:
        (n,) int64, in microseconds: least execution times along the path, the task itself excluded.
    """
    shape = instance.graphs[graph]
    time = shape.execution_time.astype(np.int64)
    least = np.where(time >= 0, time, NEVER).min(axis=1).tolist()
    return np.array(_longest_after(shape, least, [0] * len(shape.edges)), dtype=np.int64)


def priority_order(values: np.ndarray, graph: JobGraph) -> np.ndarray:
    """Position of each task when tasks are sorted by falling value; ties go to the lower topological position.

    Sorted by upward rank, no task comes before one that it waits for, even where times of 0 make ranks equal.

    Args:
        values: (n,) priorities, higher comes first.
        graph: whose topological order breaks ties.

    Returns:
        (n,) int32, a permutation of 0 to n - 1.
    """
    place = np.empty(graph.tasks, dtype=np.int32)
    place[np.lexsort((positions(graph), -np.asarray(values)))] = np.arange(graph.tasks, dtype=np.int32)
    return place


def positions(graph: JobGraph) -> np.ndarray:
    """Position of each task in the graph's topological order, (n,) int32: the inverse of ``JobGraph.order``."""
    position = np.empty(graph.tasks, dtype=np.int32)
    position[graph.order] = np.arange(graph.tasks, dtype=np.int32)
    return position


def edges_by(graph: JobGraph, column: int) -> tuple[np.ndarray, list[int]]:
    """Edges grouped by their source (column 0) or target (column 1).

    Returns:
        Edge indices, (E,), and where each task's begin, n + 1 numbers: task t has those from ``first[t]`` up to
        ``first[t + 1]``, in the order they have in the graph.
    """
    end = graph.edges[:, column]
    index = np.argsort(end, kind="stable")
    return index, np.searchsorted(end[index], np.arange(graph.tasks + 1)).tolist()


class _Means:
    """Mean execution and transfer times as whole multiples of one microsecond divided by ``unit``.

    They are Python integers because with many different numbers of feasible PEs the unit may need more than 64 bits.
    """

    def __init__(self, instance: SoCInstance, graph: int, rounding: str):
        self.graph = instance.graphs[graph]
        time = self.graph.execution_time.astype(np.int64)
        count = (time >= 0).sum(axis=1)
        pairs = _pairs(instance)
        self.unit = math.lcm(pairs, *np.unique(count).tolist())
        total = np.where(time >= 0, time, 0).sum(axis=1).tolist()
        self.execution = [t * (self.unit // c) for t, c in zip(total, count.tolist(), strict=True)]
        scale = self.unit // pairs
        self.transfer = [t * scale for t in Links(instance, rounding).total(self.graph.volume).tolist()]

    def upward(self) -> list[int]:
        """Upward ranks in units."""
        after = _longest_after(self.graph, self.execution, self.transfer)
        return [own + rest for own, rest in zip(self.execution, after, strict=True)]

    def downward(self) -> list[int]:
        """Downward ranks in units."""
        source, target = self.graph.edges[:, 0], self.graph.edges[:, 1]
        rank, execution, transfer = [0] * self.graph.tasks, self.execution, self.transfer
        edges = np.argsort(positions(self.graph)[target], kind="stable")
        for e, s, t in zip(edges.tolist(), source[edges].tolist(), target[edges].tolist(), strict=True):
            rank[t] = max(rank[t], rank[s] + execution[s] + transfer[e])
        return rank


def _longest_after(graph: JobGraph, execution: list[int], transfer: list[int]) -> list[int]:
    """Length of the longest path behind each task, the task excluded and the transfers to its successors included."""
    source, target = graph.edges[:, 0], graph.edges[:, 1]
    after = [0] * graph.tasks
    edges = np.argsort(-positions(graph)[source], kind="stable")  # what comes behind a task is ready before it
    for e, s, t in zip(edges.tolist(), source[edges].tolist(), target[edges].tolist(), strict=True):
        after[s] = max(after[s], transfer[e] + execution[t] + after[t])
    return after


def _pairs(instance: SoCInstance) -> int:
    """Number of ordered pairs of different PEs that transfer times are averaged over; 1 where there is only one PE."""
    return max(1, instance.elements * (instance.elements - 1))


def _floats(units, unit: int) -> np.ndarray:
    """Whole numbers of units as microseconds, (n,) float64, each rounded once."""
    return np.array([value / unit for value in units], dtype=np.float64)
