"""Draws flexible job shop schedules: a Gantt chart as a figure, as pixels, or as text."""

from typing import TYPE_CHECKING

import numpy as np

from ..core import gantt as charts
from ..core.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def gantt(schedule: Schedule, title: str | None = None, ax: "Axes | None" = None) -> "Figure":
    """Draw a schedule with a lane for each machine and a colour for each job.

    The schedule may be empty, partial or infeasible: bars are drawn where the entries say, and rows that name no
    machine of the instance are left out. The time axis reaches at least to the shortest that could be, so the pictures
    of an episode share it until the schedule outgrows that.

    Args:
        schedule: what ran where and when.
        title: the title; the instance's name and size when left out.
        ax: the axes to draw into; a new figure, unknown to pyplot, when left out.

    Returns:
        The figure, to be shown or saved with ``savefig``.
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
    """
    return charts.draw_rgb(_chart(schedule), size)


def gantt_ansi(schedule: Schedule, width: int = 80) -> str:
    """Draw a schedule as text: a line for each machine, a symbol for each job, a dot where it is idle.

    Args:
        schedule: what ran where and when; may be empty or partial.
        width: the longest line, at least 20 characters.

    Returns:
        The chart, lines parted by newlines, without colour codes.

    Raises:
        OptionError: if the width is below 20.
    """
    return charts.draw_ansi(_chart(schedule), width)


def _chart(schedule: Schedule) -> charts.Chart:
    instance = schedule.instance
    entries = schedule.entries[charts.drawable(schedule.entries, instance.machines)]
    end = max(0, int(schedule.column("end").max(initial=0)))
    total = int(instance.operations.sum())
    done = len(schedule) >= total
    return charts.Chart(
        bars=entries[:, [0, 2, 3, 4]],
        items=instance.jobs,
        item="job",
        lanes=[str(machine) for machine in range(instance.machines)],
        short=[f"M{machine}" for machine in range(instance.machines)],
        lane="machine",
        time="time (units)",
        unit=("time unit", "time units"),
        until=_shortest_possible(instance),
        end=end if len(schedule) else None,
        caption=f"makespan {end}" if done else f"{len(schedule)} of {total} operations, until {end}",
        names=(f"{instance.name}  ({instance.jobs} jobs, {instance.machines} machines)", instance.name),
    )


def _shortest_possible(instance) -> int:
    """The longest job, or all work shared out evenly, in time units: no complete schedule is shorter."""
    work = instance.shortest.sum(axis=1, dtype=np.int64)
    return int(max((instance.release + work).max(), -(-work.sum() // instance.machines)))
