"""What the simulator wants to know of an instance's graphs, worked out on the host: ranks, sequences, edge lists."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from . import ranks
from .instance import SoCInstance
from .job_graph import JobGraph
from .links import Links

REMEMBERED = 128  # platforms with their graphs
FAR = 2**30


@dataclass(frozen=True)
class Tables:
    """Arrays of an instance's graphs, padded to the widest; fields are named as in the simulator's state.

    Attributes:
        arrays: those of the bank that hang on graph and task.
        shortest: (graphs,) longest path of least execution times, which no job can beat.
        mean_duration: mean feasible execution time.
        slowdown: (PEs,) mean over feasible tasks of execution time / least one; 1 where nothing is feasible.
    """

    arrays: dict[str, np.ndarray]
    shortest: np.ndarray
    mean_duration: float
    slowdown: np.ndarray


_remembered: OrderedDict[tuple, Tables] = OrderedDict()


def tables(instance: SoCInstance, rounding: str) -> Tables:
    """The tables of an instance; streams and noisy worlds on the same graphs share them."""
    key = (
        rounding, instance.latency.tobytes(), instance.bandwidth.tobytes(),
        *((g.execution_time.tobytes(), g.edges.tobytes(), g.volume.tobytes()) for g in instance.graphs),
    )  # fmt: skip
    key = tuple(map(hash, key)) + (len(instance.graphs), instance.elements)
    if key not in _remembered:
        _remembered[key] = _make(instance, rounding)
        if len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[key]


def _make(instance: SoCInstance, rounding: str) -> Tables:
    graphs, widest, elements = instance.graphs, instance.widest, instance.elements
    arrays: dict[str, np.ndarray] = {}
    rank, oct_rank, both = [], [], []
    shortest = []
    for number in range(len(graphs)):
        rows = _of_graph(instance, number, rounding)
        rank.append(rows.pop("rank"))
        oct_rank.append(rows.pop("oct_rank"))
        both.append(rows.pop("both"))
        shortest.append(int((rows["tail"] + rows["least_execution"]).max()))
        for name, row in rows.items():
            shape = (len(graphs), widest, *row.shape[1:])
            if name not in arrays:
                arrays[name] = np.full(shape, -1 if name in ("execution", "critical") else 0, row.dtype)
            arrays[name][number, : len(row)] = row
    arrays["rank"] = _padded([row.astype(np.float32) for row in rank], widest)
    for name, values in (("rank_position", rank), ("oct_position", oct_rank), ("cpop_position", both)):
        arrays[name] = _padded(_positions(instance, values), widest)
    arrays |= _edges(instance, rounding)
    times = np.concatenate([g.execution_time for g in graphs]).astype(np.float64)
    feasible = times >= 0
    least = np.where(feasible, times, np.inf).min(axis=1, keepdims=True)
    ratio = np.where(feasible, np.maximum(times, 1) / np.maximum(least, 1), 0)
    count = feasible.sum(axis=0)
    return Tables(
        arrays=arrays,
        shortest=np.array(shortest),
        mean_duration=float(max(1.0, times[feasible].mean())),
        slowdown=np.where(count > 0, ratio.sum(axis=0) / np.maximum(count, 1), 1.0) if elements else np.ones(0),
    )


def _of_graph(instance: SoCInstance, number: int, rounding: str) -> dict[str, np.ndarray]:
    graph = instance.graphs[number]
    rank = ranks.upward_rank(instance, number, rounding)
    cost = ranks.optimistic_cost_table(instance, number, rounding)
    oct_rank = ranks.oct_rank(instance, number, rounding)
    both = ranks.path_priority(instance, number, rounding)
    path, element = ranks.critical_path(instance, number, rounding)
    critical = np.full(graph.tasks, -1, np.int32)
    critical[path] = element
    least = np.where(graph.execution_time >= 0, graph.execution_time, FAR).min(axis=1)
    return {
        "rank": rank,
        "oct_rank": oct_rank,
        "both": both,
        "execution": graph.execution_time.astype(np.int32),
        "rank_sequence": np.argsort(ranks.priority_order(rank, graph)).astype(np.int32),
        "oct_sequence": np.argsort(ranks.priority_order(oct_rank, graph)).astype(np.int32),
        "critical": critical,
        "optimistic": np.where(np.isfinite(cost), np.rint(np.where(np.isfinite(cost), cost, 0)), FAR).astype(np.int32),
        "tail": ranks.least_tail(instance, number, rounding).astype(np.int32),
        "mean_execution": ranks.mean_execution(instance, number, rounding).astype(np.float32),
        "least_execution": least.astype(np.int32),
    }


def _positions(instance: SoCInstance, values: list[np.ndarray]) -> list[np.ndarray]:
    """Place of each task by falling value over all graphs; ties to the lower topological position, then graph."""
    graph = np.concatenate([np.full(len(row), g) for g, row in enumerate(values)])
    topological = np.concatenate([ranks.positions(g) for g in instance.graphs])
    order = np.lexsort((graph, topological, -np.concatenate(values)))
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return np.split(place, np.cumsum([len(row) for row in values])[:-1])


def is_uniform(instance: SoCInstance) -> bool:
    """Whether a transfer takes the same time between any two different elements."""
    apart = ~np.eye(instance.elements, dtype=bool)
    links = instance.latency[apart], instance.bandwidth[apart]
    return all((link == link[:1]).all() for link in links)


def _edges(instance: SoCInstance, rounding: str) -> dict[str, np.ndarray]:
    """Predecessors and successors of every task, one after the other."""
    graphs, widest = instance.graphs, instance.widest
    most = max(len(graph.edges) for graph in graphs)
    arrays = {
        name: np.zeros((len(graphs), most), np.int32)
        for name in ("before", "before_volume", "before_time", "before_edge", "after")
    }
    arrays["mean_transfer"] = np.zeros((len(graphs), most), np.float32)
    for name in ("first_before", "first_after"):
        arrays[name] = np.zeros((len(graphs), widest + 1), np.int32)
    for g, graph in enumerate(graphs):
        first_pe = np.zeros(len(graph.edges), np.int64)
        index, first = ranks.edges_by(graph, 1)
        arrays["before"][g, : len(index)] = graph.edges[index, 0]
        arrays["before_volume"][g, : len(index)] = graph.volume[index]
        if is_uniform(instance):
            arrays["before_time"][g, : len(index)] = Links(instance, rounding).times(graph.volume, first_pe)[index, -1]
        arrays["before_edge"][g, : len(index)] = index
        arrays["mean_transfer"][g, : len(index)] = ranks.mean_transfer(instance, g, rounding)[index]
        arrays["first_before"][g] = [*first, *[first[-1]] * (widest + 1 - len(first))]
        index, first = ranks.edges_by(graph, 0)
        arrays["after"][g, : len(index)] = graph.edges[index, 1]
        arrays["first_after"][g] = [*first, *[first[-1]] * (widest + 1 - len(first))]
    return arrays


def longest_chain(graph: JobGraph) -> int:
    """Number of tasks on the longest path."""
    depth = [1] * graph.tasks
    index = np.argsort(ranks.positions(graph)[graph.edges[:, 0]], kind="stable")
    for source, target in graph.edges[index].tolist():
        depth[target] = max(depth[target], depth[source] + 1)
    return max(depth)


def _padded(rows: list[np.ndarray], width: int) -> np.ndarray:
    result = np.zeros((len(rows), width), rows[0].dtype)
    for number, row in enumerate(rows):
        result[number, : len(row)] = row
    return result
