"""Draws job shop schedules: a Gantt chart as a figure, as pixels, or as text."""

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import OptionError
from ..core.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEGEND_JOBS = 12  # more jobs than this make a legend that nobody can use
DPI = 100
INK, GRID, BAND = "#262626", "#e2e2e2", "#f5f5f5"
# Tableau's twenty: strong and calm enough to stand side by side, then their pale halves
STRONG = "4e79a7 f28e2b 59a14f e15759 b07aa1 9d7660 499894 d37295 b6992d 79706e".split()
PALE = "a0cbe8 ffbe7d 8cd17d ff9d9a d4a6c8 d7b5a6 86bcb6 fabfd2 f1ce63 bab0ac".split()


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
    if ax is None:
        height = min(max(1.5 + 0.36 * schedule.instance.machines, 2.8), 16.0)
        figure, ax = _new_figure(10.0, height)
    else:
        figure = ax.figure
    _draw(schedule, title, ax)
    return figure


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
    if len(size) != 2 or not all(isinstance(side, (int, np.integer)) and 64 <= side <= 8192 for side in size):
        raise OptionError(f"size must be a width and a height from 64 to 8192 pixels, got {size!r}")
    figure, ax = _new_figure(size[0] / DPI, size[1] / DPI)
    _draw(schedule, None, ax)
    figure.canvas.draw()
    # the canvas may round a size down by one pixel; what is asked for is what is returned
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    image = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    rows, columns = min(size[1], pixels.shape[0]), min(size[0], pixels.shape[1])
    image[:rows, :columns] = pixels[:rows, :columns]
    return image


def gantt_ansi(schedule: Schedule, width: int = 80) -> str:
    """Draw a schedule as text: a line for each machine, a symbol for each job, a dot where it is idle.

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
    if not isinstance(width, (int, np.integer)) or width < 20:
        raise OptionError(f"width must be an integer of at least 20, got {width!r}")
    instance = schedule.instance
    label = len(str(instance.machines - 1)) + 2
    until = max(_latest_end(schedule), 1)
    unit = -(-until // (width - label))
    columns = -(-until // unit)
    chart = np.full((instance.machines, columns), ".")
    for job, _, machine, start, end in _drawable(schedule).tolist():
        # the middle of column c is (c + 1/2) * unit; this keeps those with start <= middle < end
        first, beyond = (max(0, -((unit - 2 * time) // (2 * unit))) for time in (start, end))
        chart[machine, first:beyond] = SYMBOLS[job % len(SYMBOLS)]
    lines = [f"{_caption(schedule)}; a column is {unit} time unit{'s' if unit > 1 else ''}; {_key(instance.jobs)}"]
    lines += [f"M{machine}".ljust(label) + "".join(row) for machine, row in enumerate(chart)]
    ticks = "".join(str(at * unit).ljust(10) for at in range(0, columns, 10) if at + len(str(at * unit)) <= columns)
    lines.append(" " * label + ticks.rstrip())
    return "\n".join(line[:width] for line in lines)


def _new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure on its own canvas, in inches: pyplot would keep it alive and pick a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _draw(schedule: Schedule, title: str | None, ax: "Axes") -> None:
    instance = schedule.instance
    width, height = (side / ax.figure.dpi for side in ax.get_window_extent().size)
    font = float(np.clip(min(4.8 + 0.6 * width, 3.0 + 2.4 * height), 4.5, 9.5))
    _lanes(ax, instance.machines, height, font)
    until = max(_latest_end(schedule), _shortest_possible(instance), 1)
    entries = _drawable(schedule)
    if len(entries):
        ax.set_xlim(min(0, int(entries[:, 3].min())), until * 1.012)
        _bars(ax, entries, instance.jobs, font)
    else:
        ax.set_xlim(0, until * 1.012)
    if len(schedule):
        ax.axvline(_latest_end(schedule), color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
    _headings(ax, schedule, title, font)
    if instance.jobs <= LEGEND_JOBS:
        _legend(ax, instance.jobs, font)


def _lanes(ax: "Axes", machines: int, height: float, font: float) -> None:
    """Axes, labels and a band for every other machine; machine 0 on top."""
    from matplotlib.ticker import MaxNLocator

    lane = height / machines
    every = max(1, int(np.ceil(1.25 * font / 72 / lane)))  # machine numbers must not overlap
    ax.set_ylim(machines - 0.5, -0.5)
    ax.set_yticks(range(0, machines, every))
    for machine in range(0, machines, 2):
        ax.axhspan(machine - 0.5, machine + 0.5, color=BAND, linewidth=0, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))
    ax.grid(axis="x", color=GRID, linewidth=0.8, zorder=0.5)
    ax.set_axisbelow(True)
    ax.set_xlabel("time (units)", fontsize=font, color=INK)
    ax.set_ylabel("machine", fontsize=font, color=INK)
    ax.tick_params(labelsize=font * 0.9, colors=INK, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#9a9a9a")


def _bars(ax: "Axes", entries: np.ndarray, jobs: int, font: float) -> None:
    """One polygon for each operation in a single collection, and job numbers where they fit."""
    from matplotlib.collections import PolyCollection

    colours = _palette(jobs)
    job, _, machine, start, end = entries.T
    top, bottom = machine - 0.41, machine + 0.41
    corners = np.stack([start, top, end, top, end, bottom, start, bottom], axis=1).reshape(-1, 4, 2)
    face = colours[job % len(colours)]
    low, high = ax.get_xlim()
    pixels = ax.get_window_extent().width / (high - low)
    # bars are parted by white, which would swallow the narrow ones: those are outlined in their own colour
    edge = np.where((end - start)[:, None] * pixels > 3, 1.0, face)
    ax.add_collection(PolyCollection(corners, facecolors=face, edgecolors=edge, linewidths=0.7, zorder=2))
    _numbers(ax, entries, face, pixels, font)


def _numbers(ax: "Axes", entries: np.ndarray, face: np.ndarray, pixels: float, font: float) -> None:
    point = ax.figure.dpi / 72
    lane = ax.get_window_extent().height / abs(np.diff(ax.get_ylim())[0])
    size = min(font * 0.95, 0.62 * lane / point)
    if size < 4.5:
        return
    rows = entries.tolist()
    # a digit is about 0.62 of the font size wide
    fits = [(end - start) * pixels > (0.62 * len(str(job)) + 0.35) * size * point for job, _, _, start, end in rows]
    if sum(fits) < 0.2 * len(rows):
        return  # a few numbers among hundreds of bars look like a mistake
    style = {"fontsize": size, "ha": "center", "va": "center", "zorder": 3, "clip_on": True}
    for (job, _, machine, start, end), colour, room in zip(rows, face, fits, strict=True):
        if room:
            dark = colour @ (0.299, 0.587, 0.114) < 0.6
            ax.text((start + end) / 2, machine + 0.02, str(job), color="white" if dark else INK, **style)


def _headings(ax: "Axes", schedule: Schedule, title: str | None, font: float) -> None:
    """The name on the left and the makespan on the right; where both do not fit, the makespan stays."""
    instance = schedule.instance
    caption = _caption(schedule) if len(schedule) else ""
    full = f"{instance.name}  ({instance.jobs} jobs, {instance.machines} machines)"
    room = ax.get_window_extent().width / (0.6 * font * ax.figure.dpi / 72) - len(caption)
    fitting = (text for text in (full, instance.name) if len(text) < room / 1.3)
    heading = title if title is not None else next(fitting, "")
    ax.set_title(heading, fontsize=font * 1.15, color=INK, loc="left", fontweight="bold")
    ax.set_title(caption, fontsize=font, color=INK, loc="right")


def _legend(ax: "Axes", jobs: int, font: float) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=str(job)) for job, colour in enumerate(_palette(jobs))]
    ax.legend(
        handles=handles,
        title="job",
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=font * 0.9,
        title_fontsize=font * 0.9,
        frameon=False,
        handlelength=0.9,
        handleheight=0.9,
        borderaxespad=0.2,
    )


def _palette(jobs: int) -> np.ndarray:
    """Colours for the jobs, (jobs or fewer, 3) float; beyond 56 jobs they come round again."""
    from matplotlib import colormaps

    colours = [[int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for code in STRONG + PALE]
    if jobs > len(colours):
        colours += [*colormaps["tab20b"].colors, *colormaps["Dark2"].colors, *colormaps["Set2"].colors]
    return np.array(colours[:jobs])


def _drawable(schedule: Schedule) -> np.ndarray:
    """The entries that name a machine of the instance and do not run backwards, (N, 5) int64."""
    machine, start, end = (schedule.column(name) for name in ("resource", "start", "end"))
    return schedule.entries[(machine >= 0) & (machine < schedule.instance.machines) & (end >= start)]


def _latest_end(schedule: Schedule) -> int:
    return max(0, int(schedule.column("end").max(initial=0)))


def _shortest_possible(instance) -> int:
    """The longest job or the busiest machine, in time units: no complete schedule is shorter."""
    longest_job = (instance.release + instance.duration.sum(axis=1, dtype=np.int64)).max()
    used = instance.machine >= 0
    load = np.bincount(instance.machine[used], weights=instance.duration[used])
    return int(max(longest_job, load.max()))


def _caption(schedule: Schedule) -> str:
    total = int(schedule.instance.operations.sum())
    if len(schedule) < total:
        return f"{len(schedule)} of {total} operations, until {_latest_end(schedule)}"
    return f"makespan {_latest_end(schedule)}"


def _key(jobs: int) -> str:
    """Which symbols stand for which jobs."""
    if jobs <= 10:
        return f"jobs 0-{jobs - 1}" if jobs > 1 else "job 0"
    last = min(jobs, len(SYMBOLS)) - 1
    return f"jobs 0-9, then a = 10 to {SYMBOLS[last]} = {last}"
