"""Scientific workflows of WfCommons (Coleman et al., 2022) as SoC instances.

WfCommons is not needed to import this module: anything with the same attributes will do.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..envs.core.errors import InstanceError, OptionError
from ..envs.soc.instance import SoCInstance
from ..envs.soc.job_graph import MAX_TASKS, MAX_TIME, JobGraph


def workflow(
    workflow,
    speeds: Sequence[float],
    bandwidth: float = 125e6,
    latency: float = 0.0,
    ticks_per_second: float = 1000.0,
    name: str | None = None,
) -> SoCInstance:
    """One job from a workflow, on processors that differ in speed and are joined by one kind of link.

    Workflows take hours where jobs on a chip take microseconds, so the unit of time is chosen here:
    one tick stands where other instances have one microsecond. A task takes its run time over the speed,
    rounded, and at least one tick if it takes any time; the data of an edge are the files that its source
    writes and its target reads. Files from outside of the workflow, cores and memory are not considered.

    Args:
        workflow: a ``wfcommons.common.Workflow``: ``tasks`` by name with ``runtime`` in s, ``input_files`` and
            ``output_files`` with ``file_id`` and ``size`` in bytes, and ``edges``, pairs of names.
        speeds: how fast each processor is; 1 is the machine that the run times were measured on.
        bandwidth: of all links, in bytes per s.
        latency: of all links, in s.
        ticks_per_second: the unit of time.
        name: of the instance; the workflow's own when left out.

    Returns:
        The instance; task t is the t-th of ``workflow.tasks``.

    Raises:
        OptionError: if a number is out of range.
        InstanceError: if the workflow is none, or is too long in the unit of time.

    >>> from types import SimpleNamespace as Some
    >>> data = [Some(file_id="data", size=1000)]
    >>> tasks = {
    ...     "a": Some(runtime=2.0, input_files=[], output_files=data),
    ...     "b": Some(runtime=3.0, input_files=data, output_files=[]),
    ... }
    >>> made = workflow(Some(name="two", tasks=tasks, edges=[("a", "b")]), [1, 2], bandwidth=1000, ticks_per_second=10)
    >>> made.graphs[0].execution_time.tolist(), made.transfer_time(0)[0].tolist()
    ([[20, 10], [30, 15]], [[0, 10], [10, 0]])
    """
    speeds = [_positive(f"speeds[{index}]", speed) for index, speed in enumerate(speeds)]
    if not speeds:
        raise OptionError("speeds must name at least one processor")
    ticks = _positive("ticks_per_second", ticks_per_second)
    bytes_per_tick = _positive("bandwidth", bandwidth) / ticks
    delay = math.ceil(_within("latency", latency) * ticks)
    name = name or str(getattr(workflow, "name", "")) or "workflow"
    if not 1 <= len(workflow.tasks) <= MAX_TASKS:
        raise InstanceError(f"expected 1 to {MAX_TASKS} tasks, found {len(workflow.tasks)}", name)
    number = {task: index for index, task in enumerate(workflow.tasks)}
    times = [
        [_ticks(f"tasks[{task!r}].runtime", found.runtime, ticks / speed, round, name) for speed in speeds]
        for task, found in workflow.tasks.items()
    ]
    edges, volume = [], []
    for source, target in workflow.edges:
        if source not in number or target not in number:
            raise InstanceError(f"edge {source!r} -> {target!r}: no such task", name)
        edges.append((number[source], number[target]))
        size = _shared_bytes(workflow.tasks[source], workflow.tasks[target])
        volume.append(_ticks(f"files of {source!r} -> {target!r}", size, 1 / bytes_per_tick, math.ceil, name))
    links = np.ones((len(speeds), len(speeds)), int)
    graph = JobGraph(name, np.array(times, ndmin=2), np.array(edges, int).reshape(-1, 2), np.array(volume, int))
    return SoCInstance(name, (graph,), delay * links, links)


def _shared_bytes(source, target) -> int:
    read = {file.file_id for file in target.input_files}
    return sum({file.file_id: file.size for file in source.output_files if file.file_id in read}.values())


def _ticks(what: str, amount, factor: float, rounded, name: str) -> int:
    """An amount in ticks, at least one if it is anything."""
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < math.inf:
        raise InstanceError(f"{what}: expected a number of at least 0, found {amount!r}", name)
    if amount * factor >= MAX_TIME:
        raise InstanceError(f"{what}: {amount} is more than {MAX_TIME - 1} ticks; lower ticks_per_second", name)
    return max(1, rounded(amount * factor)) if amount > 0 else 0


def _within(what: str, value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < 1e18:
        raise OptionError(f"{what} must be a number of at least 0, got {value!r}")
    return float(value)


def _positive(what: str, value) -> float:
    if _within(what, value) == 0:
        raise OptionError(f"{what} must be above 0, got {value!r}")
    return float(value)
