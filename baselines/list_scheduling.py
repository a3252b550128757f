"""List scheduling of one job on heterogeneous processing elements (PEs): HEFT, CPOP, PEFT and lookahead, as planners.

A planner sees a static instance, takes the tasks one by one and fixes PE and time of each. With ``insertion`` a task
goes into the first gap on its PE that is long enough, otherwise behind everything there. A task of no length needs a
place between other tasks like any other. Ties: of tasks with the same priority the one earlier in the topological order
comes first, of PEs that are as good as each other the lowest is taken. Transfers do not wait for each other.
"""

import heapq
from bisect import bisect_left

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.soc import ranks
from ..envs.soc.instance import SoCInstance
from ..envs.soc.links import Links


def heft(instance: SoCInstance, insertion: bool = True, rounding: str = "up") -> Schedule:
    """Heterogeneous earliest finish time: by upward rank, to the PE that finishes first (Topcuoglu et al. 2002).

    Args:
        instance: one job that arrives at time 0.
        insertion: use gaps between tasks that are already placed, as published; otherwise append.
        rounding: of transfer times, ``"up"`` or ``"down"``.

    Returns:
        The schedule.

    Raises:
        OptionError: if the instance is not static.
        UnknownNameError: if ``rounding`` is not known.
    """
    plan = _Plan(instance, insertion, rounding)
    for task in plan.sequence(ranks.upward_rank(instance, plan.index, rounding)):
        finishes = plan.finishes(task)
        plan.place(task, _least(finishes), finishes)
    return plan.schedule()


def cpop(instance: SoCInstance, insertion: bool = True, rounding: str = "up") -> Schedule:
    """Critical path on a processor: the ready task on the longest path first (Topcuoglu et al. 2002).

    All tasks of the critical path (``ranks.critical_path``) go to its PE, where that can run them; every other task
    goes to the PE that finishes it first.

    Args:
        instance, insertion, rounding: as for ``heft``.

    Returns:
        The schedule.

    Raises:
        OptionError, UnknownNameError: as ``heft``.
    """
    plan = _Plan(instance, insertion, rounding)
    path, element = ranks.critical_path(instance, plan.index, rounding)
    critical = set(path.tolist())
    for task in plan.sequence(ranks.path_priority(instance, plan.index, rounding)):
        finishes = plan.finishes(task)
        tied = task in critical and finishes[element] is not None
        plan.place(task, element if tied else _least(finishes), finishes)
    return plan.schedule()


def peft(instance: SoCInstance, insertion: bool = True, rounding: str = "up") -> Schedule:
    """Predict earliest finish time: by mean optimistic cost, least finish plus cost (Arabnejad and Barbosa 2014).

    The ready task with the highest ``ranks.oct_rank`` goes to the PE with the smallest sum of its finish and the
    optimistic cost of what comes after it.

    Args:
        instance, insertion, rounding: as for ``heft``.

    Returns:
        The schedule.

    Raises:
        OptionError, UnknownNameError: as ``heft``.
    """
    return _optimistic(instance, insertion, rounding, ranks.oct_rank)


def rank_oct(instance: SoCInstance, insertion: bool = True, rounding: str = "up") -> Schedule:
    """The order of HEFT with the PEs of PEFT: by upward rank, to the PE with the least finish plus optimistic cost.

    Args:
        instance, insertion, rounding: as for ``heft``.

    Returns:
        The schedule.

    Raises:
        OptionError, UnknownNameError: as ``heft``.
    """
    return _optimistic(instance, insertion, rounding, ranks.upward_rank)


def _optimistic(instance: SoCInstance, insertion: bool, rounding: str, rank) -> Schedule:
    """Tasks by a rank, PEs by finish plus optimistic cost, compared in whole numbers."""
    plan = _Plan(instance, insertion, rounding)
    table, unit = ranks.optimistic_cost_units(instance, plan.index, rounding)
    for task in plan.sequence(rank(instance, plan.index, rounding)):
        finishes, costs = plan.finishes(task), table[task].tolist()
        sums = [None if f is None else f * unit + c for f, c in zip(finishes, costs, strict=True)]
        plan.place(task, _least(sums), finishes)
    return plan.schedule()


def lookahead_heft(instance: SoCInstance, insertion: bool = True, rounding: str = "up") -> Schedule:
    """HEFT that tries the children of a task before it decides (Bittencourt, Sakellariou and Madeira 2010).

    The task is put on each PE in turn, and after it its children by falling upward rank, each on the PE that finishes
    it first; data of parents that have no place yet is left out. The PE is taken on which the last of the children
    finishes first; without children, the task itself. This is the variant that keeps the order of HEFT and judges by
    the maximum over the children; its makespan is 76 on the graph of Topcuoglu et al. (2002) and 127 on that
    of Arabnejad and Barbosa (2014). The time it takes grows with the square of the number of PEs.

    Args:
        instance, insertion, rounding: as for ``heft``.

    Returns:
        The schedule.

    Raises:
        OptionError, UnknownNameError: as ``heft``.
    """
    plan = _Plan(instance, insertion, rounding)
    sequence = plan.sequence(ranks.upward_rank(instance, plan.index, rounding))
    turn = {task: k for k, task in enumerate(sequence)}
    outgoing, first = ranks.edges_by(plan.graph, 0)
    target = plan.graph.edges[outgoing, 1].tolist()
    for task in sequence:
        children = sorted(target[first[task] : first[task + 1]], key=turn.__getitem__)
        finishes = plan.finishes(task)
        ends = [None if f is None else plan.outlook(task, p, finishes, children) for p, f in enumerate(finishes)]
        plan.place(task, _least(ends), finishes)
    return plan.schedule()


def _least(values: list[int | None]) -> int:
    """Index of the smallest value, the first of several; None stands for a PE that cannot run the task."""
    return min((value, index) for index, value in enumerate(values) if value is not None)[1]


class _Plan:
    """A schedule in the making: which PE runs which task when.

    Args:
        instance: one job that arrives at time 0.
        insertion: use gaps, otherwise append.
        rounding: of transfer times.

    Raises:
        OptionError: if the instance is not static.
        UnknownNameError: if ``rounding`` is not known.
    """

    def __init__(self, instance: SoCInstance, insertion: bool, rounding: str):
        if not instance.static:
            raise OptionError(f"list scheduling plans one job that arrives at time 0; {instance.name} is a stream")
        self.instance, self.insertion, self.rounding = instance, insertion, rounding
        self.links = Links(instance, rounding)
        self.index = int(instance.arrival_graph[0])
        self.graph = instance.graphs[self.index]
        self.execution = self.graph.execution_time.tolist()
        incoming, self.first = ranks.edges_by(self.graph, 1)
        self.source, self.volume = self.graph.edges[incoming, 0], self.graph.volume[incoming].astype(np.int64)
        self.element = np.full(self.graph.tasks, -1)  # the PE of each placed task
        self.finish = np.zeros(self.graph.tasks, dtype=np.int64)
        # Of each PE, the starts and the ends of its tasks in their order.
        self.starts = [[] for _ in range(instance.elements)]
        self.ends = [[] for _ in range(instance.elements)]

    def sequence(self, priority: np.ndarray) -> list[int]:
        """The order in which tasks are taken: always the ready one with the highest priority."""
        place = ranks.priority_order(priority, self.graph).tolist()
        task_at = np.argsort(place).tolist()
        outgoing, first = ranks.edges_by(self.graph, 0)
        target = self.graph.edges[outgoing, 1].tolist()
        waiting = [end - begin for begin, end in zip(self.first, self.first[1:], strict=False)]
        ready = sorted(place[task] for task, count in enumerate(waiting) if count == 0)
        sequence = []
        while ready:
            task = task_at[heapq.heappop(ready)]
            sequence.append(task)
            for successor in target[first[task] : first[task + 1]]:
                waiting[successor] -= 1
                if waiting[successor] == 0:
                    heapq.heappush(ready, place[successor])
        return sequence

    def arrivals(self, task: int) -> list[int]:
        """When the data of a task's placed predecessors would be on each PE."""
        edges = slice(self.first[task], self.first[task + 1])
        source, volume = self.source[edges], self.volume[edges]
        element = self.element[source]
        if element.size and element.min() < 0:  # only in an outlook, on children of which not all parents are placed
            source, volume, element = source[element >= 0], volume[element >= 0], element[element >= 0]
        if not element.size:
            return [0] * len(self.starts)
        return (self.finish[source][:, None] + self.links.times(volume, element)).max(axis=0).tolist()

    def position(self, element: int, arrival: int, length: int) -> int:
        """Where a task would stand among those of a PE."""
        starts, ends = self.starts[element], self.ends[element]
        if not self.insertion:
            return len(starts)
        at = bisect_left(starts, arrival + length)  # gaps before that end too early
        while at < len(starts) and at and ends[at - 1] + length > starts[at]:
            at += 1
        return at

    def finishes(self, task: int) -> list[int | None]:
        """Earliest finish of a task on each PE, None where it cannot run."""
        found = []
        for element, (arrival, length) in enumerate(zip(self.arrivals(task), self.execution[task], strict=True)):
            if length < 0:
                found.append(None)
                continue
            position = self.position(element, arrival, length)
            found.append((max(arrival, self.ends[element][position - 1]) if position else arrival) + length)
        return found

    def place(self, task: int, element: int, finishes: list[int | None]) -> int:
        """Let a task finish on a PE when ``finishes`` says so; returns its position there."""
        length, finish = self.execution[task][element], finishes[element]
        position = self.position(element, finish - length, length)
        self.starts[element].insert(position, finish - length)
        self.ends[element].insert(position, finish)
        self.element[task], self.finish[task] = element, finish
        return position

    def outlook(self, task: int, element: int, finishes: list[int | None], children: list[int]) -> int:
        """Latest finish among a task on a PE and its children, each put on the PE that finishes it first."""
        placed = [(task, element, self.place(task, element, finishes))]
        latest = finishes[element]
        for child in children:
            finishes = self.finishes(child)
            where = _least(finishes)
            placed.append((child, where, self.place(child, where, finishes)))
            latest = max(latest, finishes[where])
        for each, where, position in reversed(placed):
            del self.starts[where][position], self.ends[where][position]
            self.element[each] = -1
        return latest

    def schedule(self) -> Schedule:
        """What was planned."""
        tasks = np.arange(self.graph.tasks)
        length = self.graph.execution_time[tasks, self.element]
        columns = (np.zeros_like(tasks), tasks, self.element, self.finish - length, self.finish)
        return Schedule(self.instance, np.stack(columns, axis=1), {"rounding": self.rounding})
