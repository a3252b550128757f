"""The SoC instance: jobs that are graphs of tasks, arriving at a system of unlike processing elements."""

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..core.errors import InstanceError, OptionError, UnknownNameError
from ..core.files import read_text
from ..core.instance import digest
from .job_graph import MAX_TIME, JobGraph, check_name, freeze, integers, longest_transfers, slowest_pairs
from .reader import MAX_FILE_BYTES, read_fields

MAX_ELEMENTS = 1024
MAX_JOBS = 1_000_000
MAX_SCHEDULE = 2**30  # jobs x tasks of the largest graph x PEs: numbers of draws of noise are int32
MAX_TRANSFERS = 2**27  # edges x PEs x PEs of one graph, so it caps what transfer_time returns
MAX_WORLD = 2**31 - 1
ROUNDINGS = ("up", "down")


@dataclass(frozen=True, eq=False)
class SoCInstance:
    """Jobs, each a graph of tasks, arriving over time at processing elements (PEs) that are not alike.

    A task runs on one PE, without interruption, one at a time on each. Data over an edge takes no time
    on the same PE, else the latency plus volume / bandwidth, from the end of its source. Arrays are
    copies and read-only; times are in us.

    Attributes:
        name: what it is called in tables, one line of printable text.
        graphs: the kinds of jobs; all have a column of execution times for each PE.
        latency: (PEs, PEs) int32, what every transfer between two PEs takes; the diagonal becomes 0.
        bandwidth: (PEs, PEs) int32, volume per us between two PEs, at least 1; the diagonal becomes 1.
        kinds: the kind of each PE, such as ``"cpu"`` and ``"gpu"``; all ``"cpu"`` when left out.
        arrival_time: (jobs,) int32, when each job arrives, not decreasing; one job at 0 when left out.
        arrival_graph: (jobs,) int32, the graph of each job as an index of ``graphs``; all 0 when left out.
        warmup: jobs that arrive before this time are not measured.
        world: number of the realisation of the noise, 0 to 2**31 - 1.

    Raises:
        InstanceError: when the numbers contradict each other or are too large.
    """

    name: str
    graphs: tuple[JobGraph, ...] = field(repr=False)
    latency: np.ndarray = field(repr=False)  # (PEs, PEs) int32
    bandwidth: np.ndarray = field(repr=False)  # (PEs, PEs) int32
    kinds: tuple[str, ...] | None = field(default=None, repr=False)
    arrival_time: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32
    arrival_graph: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32
    warmup: int = 0
    world: int = 0

    family: ClassVar[str] = "soc"

    def __post_init__(self):
        check_name(self.name, "SoC instance")
        object.__setattr__(self, "graphs", _graphs(self.graphs, self.name))
        object.__setattr__(self, "kinds", _kinds(self.kinds, self.elements, self.name))
        latency = _matrix(self.latency, "latency", self.elements, 0, self.name)
        bandwidth = _matrix(self.bandwidth, "bandwidth", self.elements, 1, self.name)
        time = [0] if self.arrival_time is None else self.arrival_time
        time = integers(time, "arrival_time", 1, MAX_JOBS, self.name)
        graph = np.zeros(len(time), int) if self.arrival_graph is None else self.arrival_graph
        graph = integers(graph, "arrival_graph", 1, MAX_JOBS, self.name)
        problem = _arrival_problem(time, graph, len(self.graphs))
        if problem:
            raise InstanceError(problem, self.name)
        object.__setattr__(self, "warmup", _number(self.warmup, "warmup", int(time[-1]), self.name))
        object.__setattr__(self, "world", _number(self.world, "world", MAX_WORLD, self.name))
        freeze(self, latency=latency, bandwidth=bandwidth, arrival_time=time, arrival_graph=graph)
        self._check_limits()

    def _check_limits(self) -> None:
        if max(self.jobs, len(self.graphs)) * self.widest * self.elements >= MAX_SCHEDULE:
            sizes = f"{self.jobs} jobs of {len(self.graphs)} graphs of up to {self.widest} tasks on {self.elements} PEs"
            raise InstanceError(f"{sizes}: the product must stay below {MAX_SCHEDULE}", self.name)
        most = max(len(graph.edges) for graph in self.graphs) * self.elements**2
        if most > MAX_TRANSFERS:
            raise InstanceError(f"edges x PEs x PEs is {most}, limit {MAX_TRANSFERS}", self.name)
        if self.longest_makespan >= MAX_TIME:
            raise InstanceError(
                f"last arrival, longest execution times and transfers of all jobs sum to {self.longest_makespan}, "
                f"limit {MAX_TIME - 1}",
                self.name,
            )

    @property
    def elements(self) -> int:
        """Number of processing elements."""
        return self.graphs[0].execution_time.shape[1]

    @property
    def jobs(self) -> int:
        """Number of jobs that arrive."""
        return len(self.arrival_time)

    @cached_property
    def tasks(self) -> int:
        """Number of tasks of all jobs that arrive."""
        return int(np.array([graph.tasks for graph in self.graphs])[self.arrival_graph].sum())

    @cached_property
    def widest(self) -> int:
        """Number of tasks of the largest graph."""
        return max(graph.tasks for graph in self.graphs)

    @property
    def static(self) -> bool:
        """Whether it is one job that is there at time 0."""
        return self.jobs == 1 and self.arrival_time[0] == 0

    @property
    def objective(self) -> str:
        """What is minimised: ``"makespan"`` of one job at time 0, else ``"mean_latency"``."""
        return "makespan" if self.static else "mean_latency"

    @cached_property
    def longest_makespan(self) -> int:
        """Last arrival plus every task's longest execution time and every edge's longest transfer, in us."""
        pairs = slowest_pairs(self.latency, self.bandwidth)
        longest = int(self.arrival_time[-1])
        for index, jobs in Counter(self.arrival_graph.tolist()).items():
            graph = self.graphs[index]
            longest += jobs * (graph.longest_work + longest_transfers(graph.volume, *pairs))
        return longest

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on the numbers and kinds alone, not on names."""
        parts = [part for graph in self.graphs for part in (graph.execution_time, graph.edges, graph.volume)]
        stream = (self.arrival_time, self.arrival_graph, self.warmup, self.world)
        return digest(self.family, len(self.graphs), *parts, self.latency, self.bandwidth, self.kinds, *stream)

    @property
    def size(self) -> str:
        """Tasks, or jobs of a stream, and PEs as in ``"120 tasks x 4 PEs"``."""
        count, unit = (self.tasks, "task") if self.static else (self.jobs, "job")
        words = (f"{count} {unit}", f"{self.elements} PE")
        return " x ".join(text if text.startswith("1 ") else f"{text}s" for text in words)

    def transfer_time(self, graph: int, rounding: str = "up") -> np.ndarray:
        """How long the data of each edge of a graph takes between each pair of PEs.

        Args:
            graph: index of ``graphs``.
            rounding: of volume / bandwidth, ``"up"`` or ``"down"``.

        Returns:
            (edges, PEs, PEs) int64, from the PE of the source to that of the target; 0 on the diagonal.

        Raises:
            OptionError: if there is no such graph.
            UnknownNameError: if the rounding is not known.
        """
        if not 0 <= graph < len(self.graphs):
            raise OptionError(f"graph must be 0 to {len(self.graphs) - 1}, got {graph}")
        if rounding not in ROUNDINGS:
            raise UnknownNameError("rounding", rounding, ROUNDINGS)
        volume = self.graphs[graph].volume.astype(np.int64)[:, None, None]
        time = volume // self.bandwidth if rounding == "down" else -(-volume // self.bandwidth)
        time += self.latency
        time[:, np.arange(self.elements), np.arange(self.elements)] = 0
        return time


def _graphs(graphs, name: str) -> tuple[JobGraph, ...]:
    graphs = tuple(graphs) if isinstance(graphs, tuple | list) else ()
    if not graphs or not all(isinstance(graph, JobGraph) for graph in graphs):
        raise InstanceError("graphs must be one JobGraph or more", name)
    elements = graphs[0].execution_time.shape[1]
    for index, graph in enumerate(graphs):
        if graph.execution_time.shape[1] != elements:
            found = f"has execution times on {graph.execution_time.shape[1]} PEs and graphs[0] on {elements}"
            raise InstanceError(f"graphs[{index}] {found}", name)
    if elements > MAX_ELEMENTS:
        raise InstanceError(f"{elements} PEs, limit {MAX_ELEMENTS}", name)
    return graphs


def _kinds(kinds, elements: int, name: str) -> tuple[str, ...]:
    kinds = ("cpu",) * elements if kinds is None else kinds
    if not isinstance(kinds, tuple | list) or len(kinds) != elements:
        raise InstanceError(f"kinds must be {elements} words, one for each PE, got {kinds!r:.80}", name)
    for index, kind in enumerate(kinds):
        if not isinstance(kind, str) or not kind or not kind.isprintable():
            raise InstanceError(f"kinds[{index}]: expected a word, got {kind!r:.80}", name)
    return tuple(map(str, kinds))


def _matrix(values, what: str, elements: int, least: int, name: str) -> np.ndarray:
    """Latencies or bandwidths, (PEs, PEs), with ``least`` on the diagonal."""
    array = integers(values, what, 2, MAX_ELEMENTS**2, name)
    if array.shape != (elements, elements):
        raise InstanceError(f"{what} has shape {array.shape}, expected one row and column for each PE", name)
    array[np.arange(elements), np.arange(elements)] = least
    wrong = (array < least) | (array > MAX_TIME)
    if wrong.any():
        source, target = np.argwhere(wrong)[0]
        value = array[source, target]
        raise InstanceError(f"{what}[{source}][{target}]: {value} is not {least} to {MAX_TIME}", name)
    return array


def _number(value, what: str, most: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InstanceError(f"{what} must be an integer, got {value!r:.80}", name)
    if not 0 <= value <= most:
        reason = " (the last arrival, or no job is measured)" if what == "warmup" else ""
        raise InstanceError(f"{what} must be 0 to {most}{reason}, got {value}", name)
    return int(value)


def _arrival_problem(time: np.ndarray, graph: np.ndarray, graphs: int) -> str | None:
    if not len(time) or len(time) != len(graph):
        return f"arrival_time has {len(time)} jobs and arrival_graph {len(graph)}, expected as many and at least one"
    wrong = (time < 0) | (time > MAX_TIME)
    if wrong.any():
        return f"arrival_time[{wrong.argmax()}]: {time[wrong.argmax()]} is not 0 to {MAX_TIME}"
    wrong = time[1:] < time[:-1]
    if wrong.any():
        job = int(wrong.argmax()) + 1
        return f"arrival_time[{job}]: {time[job]} is before the arrival of job {job - 1} at {time[job - 1]}"
    wrong = (graph < 0) | (graph >= graphs)
    if wrong.any():
        return f"arrival_graph[{wrong.argmax()}]: {graph[wrong.argmax()]} is not one of the graphs 0 to {graphs - 1}"
    return None


def read(path: str | Path) -> SoCInstance:
    """Read an instance from a JSON file; it is named after the file unless it names itself.

    Raises:
        InstanceError: if the file cannot be read or is malformed, with its path and field.
    """
    return parse(read_text(path, MAX_FILE_BYTES), str(path))


def parse(text: str, where: str = "text", name: str | None = None) -> SoCInstance:
    """Read an instance from JSON, as described in ``reader``.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.
        name: the name of the instance; the one in the text, or else the stem of ``where``, when left out.

    Returns:
        The instance.

    Raises:
        InstanceError: on anything else than the format, with ``where`` and the field.
    """
    fields = read_fields(text, where)
    chosen = name or fields.pop("name", None) or Path(where).stem or "instance"
    fields.pop("name", None)
    try:
        return SoCInstance(chosen, **fields)
    except InstanceError as error:
        raise InstanceError(str(error).removeprefix(f"{error.where}: "), where) from error


def format(instance: SoCInstance) -> str:
    """Write an instance as JSON that ``parse`` reads back to the same digest."""
    kinds = {} if set(instance.kinds) == {"cpu"} else {"kinds": list(instance.kinds)}
    world = {"world": instance.world} if instance.world else {}
    jobs = [
        {
            "name": graph.name,
            "execution_time": [[None if t < 0 else t for t in row] for row in graph.execution_time.tolist()],
            "edges": [[*edge, v] for edge, v in zip(graph.edges.tolist(), graph.volume.tolist(), strict=True)],
        }
        for graph in instance.graphs
    ]
    if instance.static and len(jobs) == 1:
        body = {key: jobs[0][key] for key in ("execution_time", "edges")}
    else:
        arrivals = np.stack([instance.arrival_time, instance.arrival_graph], axis=1).tolist()
        body = {"jobs": jobs, "arrivals": arrivals} | ({"warmup": instance.warmup} if instance.warmup else {})
    matrices = {"latency": instance.latency.tolist(), "bandwidth": instance.bandwidth.tolist()}
    return json.dumps({"family": "soc", "name": instance.name} | body | matrices | kinds | world) + "\n"
