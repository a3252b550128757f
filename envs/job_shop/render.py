"""Draws job shop schedules: a Gantt chart as a figure, as pixels, or as text."""

from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from ..core import gantt as charts
from ..core.schedule import Schedule
from .calendars import of_machine
from .conditions import Conditions
from .world import shutdowns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLOSED = 1000  # times at most that a machine is drawn as shut down


def gantt(schedule: Schedule, title: str | None = None, ax: "Axes | None" = None) -> "Figure":
    """Draw a schedule with a lane for each machine and a colour for each job.

    The schedule may be empty, partial or infeasible: bars are drawn where the entries say, and rows
    that name no machine of the instance are left out. Operations of length 0 are thin lines. The time
    axis reaches at least to the instance's longest job and busiest machine, so the pictures of an
    episode share it until the schedule outgrows that.

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
    """Draw a schedule as text: a line for each machine, a symbol for each job, a dot where idle, # where closed.

    A column stands for a whole number of time units and shows what runs at its middle, so operations
    shorter than a column may not show. With more than 62 jobs symbols repeat.

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
    # Where shutdowns interrupt operations, each of their pieces is an entry.
    there = len(np.unique(schedule.entries[:, :2], axis=0)) if schedule.conditions else len(schedule)
    complete = there >= total
    until = _shortest_possible(instance)
    return charts.Chart(
        bars=entries[:, [0, 2, 3, 4]],
        items=instance.jobs,
        item="job",
        lanes=[str(machine) for machine in range(instance.machines)],
        short=[f"M{machine}" for machine in range(instance.machines)],
        lane="machine",
        time="time (units)",
        unit=("time unit", "time units"),
        until=until,
        end=end if len(schedule) else None,
        caption=f"makespan {end}" if complete else f"{there} of {total} operations, until {end}",
        names=(f"{instance.name}  ({instance.jobs} jobs, {instance.machines} machines)", instance.name),
        closed=_closed(schedule, max(end, until)),
    )


def _closed(schedule: Schedule, until: int) -> np.ndarray:
    """Machine, start and end of the windows and shutdowns that begin before a time, (K, 3) int64."""
    instance = schedule.instance
    windows = [of_machine(instance.windows, machine) for machine in range(instance.machines)]
    if schedule.conditions.get("uptime"):
        world = Conditions.read(schedule.conditions)
        key = {name: getattr(world, name) for name in ("seed", "world", "episode")}
        windows = [
            map(down.window, range(MOST_CLOSED)) for down in shutdowns(instance, world.uptime, world.repair, key)
        ]
    rows = [
        (machine, begin, min(finish, until))
        for machine, found in enumerate(windows)
        for begin, finish in takewhile(lambda window: window[0] < until, found)
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def _shortest_possible(instance) -> int:
    """The longest job or the busiest machine, in time units: no complete schedule is shorter."""
    longest_job = (instance.release + instance.duration.sum(axis=1, dtype=np.int64)).max()
    used = instance.machine >= 0
    load = np.bincount(instance.machine[used], weights=instance.duration[used])
    return int(max(longest_job, load.max()))
