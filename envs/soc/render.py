"""Draws SoC schedules: a Gantt chart as a figure, as pixels, or as text."""

from typing import TYPE_CHECKING

import numpy as np

from ..core import gantt as charts
from ..core.schedule import Schedule
from .conditions import Conditions
from .metrics import longest_path, metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def gantt(schedule: Schedule, title: str | None = None, ax: "Axes | None" = None) -> "Figure":
    """Draw a schedule with a lane for each processing element (PE), and one for the bus where it is shared.

    Of a single job at time 0 each task has its colour and number, else each job has; a transfer has those of the
    task that it is for. Triangles at the top of a stream's chart mark when jobs arrive. The schedule may be empty,
    partial or infeasible: bars are drawn where the entries say, and rows that name no PE of the instance are left
    out. Tasks of length 0 are thin lines. The time axis reaches at least to where each job would end if it had all
    PEs for itself and its data took no time, so the pictures of an episode share it until the schedule outgrows that.

    Args:
        schedule: what ran where and when.
        title: the title; the instance's name and size when left out.
        ax: the axes to draw into; a new figure, unknown to pyplot, when left out.

    Returns:
        The figure, to be shown or saved with ``savefig``.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    return charts.draw(_chart(schedule), title, ax)


def gantt_rgb(schedule: Schedule, size: tuple[int, int] = (960, 540)) -> np.ndarray:
    """Draw a schedule into pixels, for ``render_mode="rgb_array"``.

    Args:
        schedule: what ran where and when; may be empty or partial.
        size: width and height in pixels, from 64 to 8192 each.

    Returns:
        (height, width, 3) uint8.

    Raises:
        OptionError: if the size is not two integers in that range.
        ScheduleError: as ``gantt``.
    """
    return charts.draw_rgb(_chart(schedule), size)


def gantt_ansi(schedule: Schedule, width: int = 80) -> str:
    """Draw a schedule as text: a line for each PE, a symbol for each task or job, a dot where a PE is idle.

    A column stands for a whole number of microseconds and shows what runs at its middle, so tasks shorter
    than a column may not show. With more than 62 tasks or jobs symbols repeat.

    Args:
        schedule: what ran where and when; may be empty or partial.
        width: the longest line, at least 20 characters.

    Returns:
        The chart, lines parted by newlines, without colour codes.

    Raises:
        OptionError: if the width is below 20.
        ScheduleError: as ``gantt``.
    """
    return charts.draw_ansi(_chart(schedule), width)


def _chart(schedule: Schedule) -> charts.Chart:
    instance = schedule.instance
    bus = Conditions.read(schedule.conditions).shared_bus
    lanes = [f"{kind} {element}" for element, kind in enumerate(instance.kinds)] + ["bus"] * bus
    entries = schedule.entries[charts.drawable(schedule.entries, len(lanes))]
    end = max(0, int(schedule.column("end").max(initial=0)))
    return charts.Chart(
        bars=np.column_stack([_items(instance, entries), entries[:, 2:]]),
        items=instance.tasks if instance.static else instance.jobs,
        item="task" if instance.static else "job",
        lanes=lanes,
        short=[name.replace(" ", "") for name in lanes],
        lane="processing element",
        time="time (us)",
        unit=("us", "us"),
        until=_shortest_possible(instance),
        end=end if len(schedule) else None,
        caption=_caption(schedule, end),
        names=(f"{instance.name}  ({instance.size})", instance.name),
        marks=np.column_stack([range(instance.jobs), instance.arrival_time])[: 0 if instance.static else None],
    )


def _items(instance, entries: np.ndarray) -> np.ndarray:
    """The task of each entry of a static instance, of a transfer the one that it is for; else the job, (N,)."""
    if not instance.static:
        return entries[:, 0]
    step, edges = entries[:, 1].copy(), instance.graphs[instance.arrival_graph[0]].edges
    moved = (step >= instance.widest) & (step < instance.widest + len(edges))
    step[moved] = edges[step[moved] - instance.widest, 1]
    return step


def _shortest_possible(instance) -> int:
    """When the last job ends at the earliest, in us: each one alone, on the best PEs and without transfers."""
    last = 0
    for index in np.unique(instance.arrival_graph).tolist():
        graph = instance.graphs[index]
        cost = np.where(graph.execution_time < 0, graph.execution_time.max(), graph.execution_time).min(axis=1)
        path = longest_path(graph.order.tolist(), graph.edges.tolist(), cost.tolist())
        last = max(last, int(instance.arrival_time[instance.arrival_graph == index].max()) + path)
    return last


def _caption(schedule: Schedule, end: int) -> str:
    instance, step = schedule.instance, schedule.column("step")
    placed = int(((step >= 0) & (step < instance.widest)).sum())
    if placed < instance.tasks:
        return f"{placed} of {instance.tasks} tasks, until {end}"
    if instance.static:
        return f"makespan {end}"
    return f"mean latency {metrics(instance, schedule)['mean_latency']:.1f}, until {end}"
