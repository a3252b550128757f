"""Draws LLM requests: how many ran on each server over time, what went wrong, and the way of the first ones."""

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import OptionError
from ..core.gantt import DPI
from ..core.schedule import Schedule
from .view import View, seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

TEXT_LANES = 12  # requests in text
TEXT_SERVERS = 16


def gantt(schedule: Schedule, title: str | None = None, figure: "Figure | SubFigure | None" = None) -> "Figure":
    """Draw a schedule: a panel for each server and the way of the first requests.

    A panel shows how many requests run, those that prefill on top of those that decode; ticks above mark when
    requests finish that miss a target, and when some are preempted. Below, each of the first requests to arrive has a
    lane: it waits, prefills and decodes, in the colours of its server.

    The schedule may be empty, partial or infeasible: it is drawn as the rows say, and what they do not say is left out.

    Args:
        schedule: what ran where and when.
        title: the title; the instance's name and size when left out.
        figure: the figure or subfigure to draw into; a new one, unknown to pyplot, when left out.

    Returns:
        The figure, to be shown or saved with ``savefig``.
    """
    from . import draw

    view = View(schedule)
    if figure is None:
        figure = _new_figure(10.0, 4.6 + 0.9 * min(len(view.instance.servers), draw.MOST_PANELS))
    draw.page(figure, view, title)
    return figure


def gantt_rgb(schedule: Schedule, size: tuple[int, int] = (960, 600)) -> np.ndarray:
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
    figure = gantt(schedule, figure=_new_figure(size[0] / DPI, size[1] / DPI))
    figure.canvas.draw()
    # the canvas may round a size down by one pixel; what is asked for is what is returned
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    image = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    rows, columns = min(size[1], pixels.shape[0]), min(size[0], pixels.shape[1])
    image[:rows, :columns] = pixels[:rows, :columns]
    return image


def gantt_ansi(schedule: Schedule, width: int = 80) -> str:
    """Draw a schedule as text: how many requests run on each server, and the way of the first ones.

    A digit says how many run in the middle of its column, in tenths of the most that ever run on a server at once,
    rounded up and no more than 9; a dot says that the server is idle. Below it ``!`` marks columns in which a
    request finishes that misses a target, and ``p`` those with a preemption alone. A lane shows waiting as ``-``,
    prefilling as ``=``, decoding as ``#``, and ends in ``!`` where a target is missed or ``x`` where the request is
    rejected.

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
    view = View(schedule)
    lines = [view.caption, *_panels(view, width)]
    chosen = view.early(TEXT_LANES)
    if chosen:
        lines += [f"the first {len(chosen)} requests, - waiting = prefilling # decoding", *_lanes(view, chosen, width)]
    return "\n".join(line[:width] for line in lines)


def _panels(view: View, width: int) -> list[str]:
    servers = range(min(len(view.instance.servers), TEXT_SERVERS))
    label = len(str(servers[-1])) + 1
    columns = width - label
    middles = (np.arange(columns) + 0.5) * view.until / columns
    counts = []
    for server in servers:
        times, numbers = view.running(server)
        counts.append(numbers.sum(axis=0)[np.searchsorted(times, middles, side="right") - 1])
    most = max(1, max(int(view.running(server)[1].sum(axis=0).max()) for server in servers))
    lines = [f"running requests in tenths of {most}, from 0 to {seconds(view.until)} s"]
    for server, count in zip(servers, counts, strict=True):
        digits = np.clip(-(-10 * count // most), 0, 9)
        row = "".join("." if number <= 0 else str(digit) for number, digit in zip(count, digits, strict=True))
        lines.append(str(server).ljust(label) + row)
        marks = np.full(columns, " ")
        events = [(stay.end, stay.server, "p") for stay in view.stays if stay.preempted]
        for time, where, symbol in events + [(time, where, "!") for time, where, _ in view.missed]:
            if where == server:
                marks[min(_column(time, view.until, columns), columns - 1)] = symbol
        if (marks != " ").any():
            lines.append(" " * label + "".join(marks).rstrip())
    left_out = len(view.instance.servers) - len(servers)
    return [*lines, *([f"and {left_out} more servers"] if left_out else [])]


def _lanes(view: View, chosen: list[int], width: int) -> list[str]:
    label = len(str(max(chosen))) + 1
    columns = width - label - 1
    until = view.horizon(chosen)
    lanes = {request: np.full(columns, " ") for request in chosen}

    def fill(request: int, start: float, end: float, symbol: str) -> None:
        first, beyond = min(_column(start, until, columns), columns - 1), _column(end, until, columns)
        lanes[request][first : max(first + 1, beyond)] = symbol

    over = {stay.request: stay.end for stay in view.stays} | {request: time for time, request in view.rejected}
    for request in chosen:
        fill(request, view.arrival[request], over.get(request, until), "-")
    for stay in view.stays:
        if stay.request in lanes:
            for start, end, symbol in ((stay.start, stay.middle, "="), (stay.middle, stay.end, "#")):
                if end > start:
                    fill(stay.request, start, end, symbol)
    ends = {request: "!" for *_, request in view.missed} | {request: "x" for _, request in view.rejected}
    lines = [
        str(request).ljust(label) + "".join(lane).rstrip() + ends.get(request, "") for request, lane in lanes.items()
    ]
    return [*lines, " " * label + f"0 to {seconds(until)} s"]


def _column(time: float, until: int, columns: int) -> int:
    """The column that a time lies in, 0 to ``columns``; the last one is the end."""
    return min(max(int(time * columns / until), 0), columns)


def _new_figure(width: float, height: float) -> "Figure":
    """A figure on its own canvas, in inches: pyplot would keep it alive and pick a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure
