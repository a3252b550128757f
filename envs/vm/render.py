"""Draws VM rescheduling: what is free on every node before and after, and how the fragments went away."""

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import OptionError
from ..core.gantt import DPI
from ..core.schedule import Schedule
from .view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

HEIGHT = 6  # lines of the curve in text


def gantt(schedule: Schedule, title: str | None = None, figure: "Figure | SubFigure | None" = None) -> "Figure":
    """Draw a schedule: the cluster before and after it, and the curve between the two.

    Of few hosts every NUMA node is a bar of its VMs, with what is free on top in slots of 16 cores and the fragment
    that is left; VMs that were moved have a colour and, where it fits, their number. Of many hosts every node is a
    cell of a grid, two cells for each host, coloured by its fragment. The curve is the fragment rate after each
    action or over time; of a packing, how many VMs of each priority are not placed.

    The schedule may be empty, partial or infeasible: actions are carried out as ``check`` does. Where time runs, the
    cluster is drawn as it is at the horizon if nothing else is moved.

    Args:
        schedule: which VM went where, and when.
        title: the title; the instance's name and size when left out.
        figure: the figure or subfigure to draw into; a new one, unknown to pyplot, when left out.

    Returns:
        The figure, to be shown or saved with ``savefig``.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    from . import draw

    figure = _new_figure(10.0, 6.2) if figure is None else figure
    draw.page(figure, View(schedule), title)
    return figure


def gantt_rgb(schedule: Schedule, size: tuple[int, int] = (960, 600)) -> np.ndarray:
    """Draw a schedule into pixels, for ``render_mode="rgb_array"``.

    Args:
        schedule: which VM went where, and when; may be empty or partial.
        size: width and height in pixels, from 64 to 8192 each.

    Returns:
        (height, width, 3) uint8.

    Raises:
        OptionError: if the size is not two integers in that range.
        ScheduleError: as ``gantt``.
    """
    if len(size) != 2 or not all(isinstance(side, (int, np.integer)) and 64 <= side <= 8192 for side in size):
        raise OptionError(f"size must be a width and a height from 64 to 8192 pixels, got {size!r}")
    figure = gantt(schedule, figure=_new_figure(size[0] / DPI, size[1] / DPI))
    figure.canvas.draw()
    # the canvas may round a size down by one pixel; what is asked for is what is returned
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    image = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    rows, columns = min(size[1], pixels.shape[0]), min(size[0], pixels.shape[1])
    image[:rows, :columns] = pixels[:rows, :columns]
    return image


def gantt_ansi(schedule: Schedule, width: int = 80) -> str:
    """Draw a schedule as text: the fragments of every node before and after, and the curve between the two.

    A host is two symbols, one for each node: a dot where nothing is free, ``o`` where what is free is a multiple of
    16 cores, else the 1 to 15 cores of the fragment as a digit or a letter, and ``!`` where more is taken than there
    is.

    Args:
        schedule: which VM went where, and when; may be empty or partial.
        width: the longest line, at least 20 characters.

    Returns:
        The chart, lines parted by newlines, without colour codes.

    Raises:
        OptionError: if the width is below 20.
        ScheduleError: as ``gantt``.
    """
    if not isinstance(width, (int, np.integer)) or width < 20:
        raise OptionError(f"width must be an integer of at least 20, got {width!r}")
    view = View(schedule)
    lines = [view.caption, "a host is two nodes: . full, o free in 16s, 1-f fragment"]
    for when, free in zip(view.moments, (view.before, view.after), strict=True):
        lines += [f"{when}:", *_grid(free, width)]
    lines += [f"{view.curve_name}, by {view.axis_name}:", *_curve(view, width)]
    return "\n".join(line[:width] for line in lines)


def _grid(free: np.ndarray, width: int) -> list[str]:
    """The nodes as symbols, as many hosts in a line as fit; each line begins with its first host."""
    label = len(str(len(free) - 1)) + 1
    each = (width - label + 1) // 3
    hosts = ["".join(map(_symbol, pair)) for pair in free.tolist()]
    return [str(at).ljust(label) + " ".join(hosts[at : at + each]) for at in range(0, len(hosts), each)]


def _symbol(free: int) -> str:
    if free <= 0:
        return "." if free == 0 else "!"
    return f"{free % 16:x}" if free % 16 else "o"


def _curve(view: View, width: int) -> list[str]:
    """The curve as a few lines of dots, each column at its middle."""
    label = 7
    x, y = np.array(view.times, dtype=float), np.array(view.totals, dtype=float)
    columns = max(min(width - label - 1, max(len(x), 30)), 1)
    middles = (np.arange(columns) + 0.5) * view.until / columns
    values = y[np.maximum(np.searchsorted(x, middles, side="right") - 1, 0)]
    top = max(y.max(), 1e-9)
    level = np.round(values / top * (HEIGHT - 1)).astype(int)
    picture = np.where(level == np.arange(HEIGHT)[::-1, None], "*", " ")
    labels = [view.number(top * at / (HEIGHT - 1)) for at in range(HEIGHT)][::-1]
    lines = [f"{name.rjust(label - 1)} |{''.join(row).rstrip()}" for name, row in zip(labels, picture, strict=True)]
    return [*lines, " " * label + "+" + "-" * columns, " " * (label + 1) + f"0 to {view.until_text}"]


def _new_figure(width: float, height: float) -> "Figure":
    """A figure on its own canvas, in inches: pyplot would keep it alive and pick a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure
