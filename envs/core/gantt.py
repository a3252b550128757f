"""Gantt charts of any family: as a figure, as pixels, or as text."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEGEND_ITEMS = 12  # more items than this make a legend that nobody can use
DPI = 100
INK, GRID, BAND = "#262626", "#e2e2e2", "#f5f5f5"
# Tableau's twenty: strong and calm enough to stand side by side, then their pale halves
STRONG = "4e79a7 f28e2b 59a14f e15759 b07aa1 9d7660 499894 d37295 b6992d 79706e".split()
PALE = "a0cbe8 ffbe7d 8cd17d ff9d9a d4a6c8 d7b5a6 86bcb6 fabfd2 f1ce63 bab0ac".split()


@dataclass(frozen=True, eq=False)
class Chart:
    """What is to be drawn: bars in lanes, coloured and numbered by the item that they belong to.

    Attributes:
        bars: (N, 4) int64: item, lane, start and end; a bar may have length 0 but not run backwards.
        items: how many items there are; they are numbered from 0.
        item: what an item is called, such as ``"job"``.
        lanes: the name of each lane, as it stands beside a figure.
        short: the same for text, a few letters each.
        lane: what a lane is called, such as ``"machine"``.
        time: the label of the time axis, with its unit.
        unit: of time, one and many, such as ``("us", "us")``.
        until: the time axis of a figure reaches at least to here.
        end: the latest end of the schedule; None while it is empty.
        caption: what there is to say of the schedule, such as its makespan.
        names: of the instance, the longest first; the first one that fits is shown.
        marks: (M, 2) int64, item and time of small marks above the lanes, such as arrivals.
        closed: (K, 3) int64: lane, start and end of the times in which a lane is out of service.
    """

    bars: np.ndarray
    items: int
    item: str
    lanes: list[str]
    short: list[str]
    lane: str
    time: str
    unit: tuple[str, str]
    until: int
    end: int | None
    caption: str
    names: tuple[str, ...]
    marks: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    closed: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))


def drawable(entries: np.ndarray, lanes: int) -> np.ndarray:
    """The entries of a schedule that name one of the lanes and do not run backwards, (N,) bool."""
    lane, start, end = entries[:, 2], entries[:, 3], entries[:, 4]
    return (lane >= 0) & (lane < lanes) & (end >= start)


def draw(chart: Chart, title: str | None = None, ax: "Axes | None" = None) -> "Figure":
    """Draw a chart.

    Args:
        chart: what is to be drawn.
        title: the title; the instance's name when left out.
        ax: the axes to draw into; a new figure, unknown to pyplot, when left out.

    Returns:
        The figure, to be shown or saved with ``savefig``.
    """
    if ax is None:
        _, ax = _new_figure(10.0, min(max(1.5 + 0.36 * len(chart.lanes), 2.8), 16.0))
    _draw(chart, title, ax)
    return ax.figure


def draw_rgb(chart: Chart, size: tuple[int, int]) -> np.ndarray:
    """Draw a chart into pixels.

    Args:
        chart: what is to be drawn.
        size: width and height in pixels, from 64 to 8192 each.

    Returns:
        (height, width, 3) uint8.

    Raises:
        OptionError: if the size is not two integers in that range.
    """
    if len(size) != 2 or not all(isinstance(side, (int, np.integer)) and 64 <= side <= 8192 for side in size):
        raise OptionError(f"size must be a width and a height from 64 to 8192 pixels, got {size!r}")
    figure, ax = _new_figure(size[0] / DPI, size[1] / DPI)
    _draw(chart, None, ax)
    figure.canvas.draw()
    # the canvas may round a size down by one pixel; what is asked for is what is returned
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    image = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    rows, columns = min(size[1], pixels.shape[0]), min(size[0], pixels.shape[1])
    image[:rows, :columns] = pixels[:rows, :columns]
    return image


def draw_ansi(chart: Chart, width: int) -> str:
    """Draw a chart as text: a line for each lane, a symbol for each item, a dot where nothing runs.

    Where a lane is closed it shows #. A column stands for a whole number of time units and shows what runs at its
    middle, so bars shorter than a column may not show. With more than 62 items symbols repeat.

    Args:
        chart: what is to be drawn.
        width: the longest line, at least 20 characters.

    Returns:
        The chart, lines parted by newlines, without colour codes.

    Raises:
        OptionError: if the width is below 20.
    """
    if not isinstance(width, (int, np.integer)) or width < 20:
        raise OptionError(f"width must be an integer of at least 20, got {width!r}")
    label = min(max(map(len, chart.short)) + 1, width // 2)
    until = max(chart.end or 0, 1)
    unit = -(-until // (width - label))
    columns = -(-until // unit)
    picture = np.full((len(chart.lanes), columns), ".")
    shown = [("#", *row) for row in chart.closed.tolist()]
    shown += [(SYMBOLS[item % len(SYMBOLS)], *row) for item, *row in chart.bars.tolist()]
    for symbol, lane, start, end in shown:
        # the middle of column c is (c + 1/2) * unit; this keeps those with start <= middle < end
        first, beyond = (max(0, -((unit - 2 * time) // (2 * unit))) for time in (start, end))
        picture[lane, first:beyond] = symbol
    lines = [f"{chart.caption}; a column is {unit} {chart.unit[unit > 1]}; {_key(chart.items, chart.item)}"]
    lines += [name[: label - 1].ljust(label) + "".join(row) for name, row in zip(chart.short, picture, strict=True)]
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


def _draw(chart: Chart, title: str | None, ax: "Axes") -> None:
    width, height = (side / ax.figure.dpi for side in ax.get_window_extent().size)
    font = float(np.clip(min(4.8 + 0.6 * width, 3.0 + 2.4 * height), 4.5, 9.5))
    _lanes(ax, chart, height, font)
    until = max(chart.end or 0, chart.until, 1)
    first = int(chart.bars[:, 2].min()) if len(chart.bars) else 0
    ax.set_xlim(min(0, first), until * 1.012)
    if len(chart.closed):
        _closed(ax, chart.closed)
    if len(chart.bars):
        _bars(ax, chart.bars, chart.items, font)
    if len(chart.marks):
        _marks(ax, chart.marks, chart.items, font)
    if chart.end is not None:
        ax.axvline(chart.end, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
    _headings(ax, chart, title, font)
    if chart.items <= LEGEND_ITEMS and width > 1:
        _legend(ax, chart, font)


def _lanes(ax: "Axes", chart: Chart, height: float, font: float) -> None:
    """Axes, labels and a band for every other lane; lane 0 on top."""
    from matplotlib.ticker import MaxNLocator

    count = len(chart.lanes)
    every = max(1, int(np.ceil(1.25 * font / 72 * count / height)))  # names must not overlap
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_yticks(range(0, count, every), chart.lanes[::every])
    for lane in range(0, count, 2):
        ax.axhspan(lane - 0.5, lane + 0.5, color=BAND, linewidth=0, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))
    ax.grid(axis="x", color=GRID, linewidth=0.8, zorder=0.5)
    ax.set_axisbelow(True)
    ax.set_xlabel(chart.time, fontsize=font, color=INK)
    ax.set_ylabel(chart.lane if 0.6 * len(chart.lane) * font / 72 < height else "", fontsize=font, color=INK)
    ax.tick_params(labelsize=font * 0.9, colors=INK, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#9a9a9a")


def _corners(lane: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Of a rectangle in each of these lanes, (N, 4, 2)."""
    top, bottom = lane - 0.41, lane + 0.41
    return np.stack([start, top, end, top, end, bottom, start, bottom], axis=1).reshape(-1, 4, 2)


def _closed(ax: "Axes", closed: np.ndarray) -> None:
    """Hatched rectangles, behind the bars."""
    from matplotlib.collections import PolyCollection

    style = {"facecolors": "none", "edgecolors": "#b4b4b4", "linewidths": 0.0, "hatch": "////", "zorder": 1}
    ax.add_collection(PolyCollection(_corners(*closed.T), **style))


def _bars(ax: "Axes", bars: np.ndarray, items: int, font: float) -> None:
    """One polygon for each bar in a single collection, and the items' numbers where they fit."""
    from matplotlib.collections import PolyCollection

    colours = _palette(items)
    item, lane, start, end = bars.T
    corners = _corners(lane, start, end)
    face = colours[item % len(colours)]
    low, high = ax.get_xlim()
    pixels = ax.get_window_extent().width / (high - low)
    # bars are parted by white, which would swallow the narrow ones: those are outlined in their own colour
    edge = np.where((end - start)[:, None] * pixels > 3, 1.0, face)
    ax.add_collection(PolyCollection(corners, facecolors=face, edgecolors=edge, linewidths=0.7, zorder=2))
    _numbers(ax, bars, face, pixels, font)


def _numbers(ax: "Axes", bars: np.ndarray, face: np.ndarray, pixels: float, font: float) -> None:
    point = ax.figure.dpi / 72
    lane = ax.get_window_extent().height / abs(np.diff(ax.get_ylim())[0])
    size = min(font * 0.95, 0.62 * lane / point)
    if size < 4.5:
        return
    rows = bars.tolist()
    # a digit is about 0.62 of the font size wide
    fits = [(end - start) * pixels > (0.62 * len(str(item)) + 0.35) * size * point for item, _, start, end in rows]
    if sum(fits) < 0.2 * len(rows):
        return  # a few numbers among hundreds of bars look like a mistake
    style = {"fontsize": size, "ha": "center", "va": "center", "zorder": 3, "clip_on": True}
    for (item, lane, start, end), colour, room in zip(rows, face, fits, strict=True):
        if room:
            dark = colour @ (0.299, 0.587, 0.114) < 0.6
            ax.text((start + end) / 2, lane + 0.02, str(item), color="white" if dark else INK, **style)


def _marks(ax: "Axes", marks: np.ndarray, items: int, font: float) -> None:
    """Small triangles on the upper edge that point at their time."""
    colours = _palette(items)
    item, time = marks.T
    style = {"marker": "v", "s": (0.7 * font) ** 2, "linewidths": 0, "zorder": 5, "clip_on": False}
    ax.scatter(time, np.full(len(time), -0.5), c=colours[item % len(colours)], **style)


def _headings(ax: "Axes", chart: Chart, title: str | None, font: float) -> None:
    """The name on the left and the caption on the right; where both do not fit, the caption stays."""
    caption = chart.caption if chart.end is not None else ""
    room = ax.get_window_extent().width / (0.6 * font * ax.figure.dpi / 72) - len(caption)
    fitting = (text for text in chart.names if len(text) < room / 1.3)
    heading = title if title is not None else next(fitting, "")
    ax.set_title(heading, fontsize=font * 1.15, color=INK, loc="left", fontweight="bold")
    ax.set_title(caption, fontsize=font, color=INK, loc="right")


def _legend(ax: "Axes", chart: Chart, font: float) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=str(item)) for item, colour in enumerate(_palette(chart.items))]
    ax.legend(
        handles=handles,
        title=chart.item,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=font * 0.9,
        title_fontsize=font * 0.9,
        frameon=False,
        handlelength=0.9,
        handleheight=0.9,
        borderaxespad=0.2,
    )


def _palette(items: int) -> np.ndarray:
    """Colours for the items, (items or fewer, 3) float; beyond 56 items they come round again."""
    from matplotlib import colormaps

    colours = [[int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for code in STRONG + PALE]
    if items > len(colours):
        colours += [*colormaps["tab20b"].colors, *colormaps["Dark2"].colors, *colormaps["Set2"].colors]
    return np.array(colours[:items])


def _key(items: int, item: str) -> str:
    """Which symbols stand for which items."""
    if items <= 10:
        return f"{item}s 0-{items - 1}" if items > 1 else f"{item} 0"
    last = min(items, len(SYMBOLS)) - 1
    return f"{item}s 0-9, then a = 10 to {SYMBOLS[last]} = {last}"
