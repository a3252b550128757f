"""Lays out the figure of a schedule: headings, the cluster before and after, and the curve below them."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..core.gantt import GRID, INK
from . import draw_cluster
from .view import View

CURVE, STALE, REJECTED = "#2f5d8a", "#c1272d", "#7b3294"
POINT = 1 / 72  # inches
MOST_LEVELS = 8  # priorities that are told apart by colour
SMALL = 3.2, 2.4  # inches; below that there is no room for words


def page(figure: Figure | SubFigure, view: View, title: str | None) -> None:
    """Draw a schedule into an empty figure.

    Args:
        figure: where.
        view: what.
        title: the title; the instance's name and size when left out.
    """
    width, height = (side / figure.dpi for side in (figure.bbox.width, figure.bbox.height))
    font = float(np.clip(min(4.8 + 0.45 * width, 4.0 + 0.8 * height), 4.5, 9.5))
    words = width >= SMALL[0] and height >= SMALL[1]
    line = font * POINT if words else 0.02
    bars = draw_cluster.fits_bars(view.instance, 0.5 * width * 72)
    left, right, gap = (5.0 if words else 1.0) * line, 1.5 * line, (2.5 if words else 1.5) * line
    top, below = (6.2 if words else 1.0) * line, (3.6 if words else 1.0) * line
    between = ((5.6 if bars else 3.4) if words else 2.0) * line
    curve = 0.27 * (height - top - below - between)
    panel = height - top - below - between - curve
    half = (width - left - right - gap) / 2

    def axes(x: float, y: float, wide: float, high: float) -> Axes:
        return figure.add_axes((x / width, y / height, max(wide, 0.1) / width, max(high, 0.1) / height))

    for after in (False, True):
        ax = axes(left + after * (half + gap), below + curve + between, half, panel)
        draw_cluster.draw(ax, view, after, font, bars, words)
    _curve(axes(left, below, width - left - right, curve), view, font, words)
    if words:
        _headings(figure, view, title, font, (left / width, 1 - 0.6 * line / height, 1 - right / width))
        row = 1 - 2.4 * line / height
        handles = draw_cluster.legend(view, bars)
        figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(left / width, row), ncols=len(handles), frameon=False,
            fontsize=0.9 * font, handlelength=1.1, handleheight=1.0, columnspacing=1.3, handletextpad=0.5,
            borderaxespad=0.0, borderpad=0.0, labelcolor=INK,
        )  # fmt: skip


def _headings(figure, view: View, title: str | None, font: float, place: tuple[float, float, float]) -> None:
    """The name on the left and the caption on the right; where both do not fit, the caption stays."""
    left, top, right = place
    name = f"{view.instance.name}  ({view.instance.size})" if title is None else title
    room = figure.bbox.width / figure.dpi / (0.55 * font * POINT) - len(view.caption) - 12
    if len(name) * 1.3 > room and title is None:
        name = view.instance.name if len(view.instance.name) * 1.3 < room else ""
    style = {"va": "top", "color": INK}
    figure.text(left, top, name, fontsize=1.15 * font, fontweight="bold", ha="left", **style)
    figure.text(right, top, view.caption, fontsize=font, ha="right", **style)


def _curve(ax: Axes, view: View, font: float, words: bool) -> None:
    x, size = np.array([*view.times, view.until], dtype=float), view.scale[0]
    y = np.column_stack([view.heights, view.heights[:, -1]])
    total = y.sum(axis=0)
    if view.levels:
        _layers(ax, x / size, y, view.levels, font, words)
    else:
        ax.fill_between(x / size, total, step="post", color=CURVE, alpha=0.12, linewidth=0, zorder=1)
        ax.plot(x / size, total, drawstyle="steps-post", color=CURVE, linewidth=1.3, zorder=2)
    ax.set_xlim(0, view.until / size)
    ax.set_ylim(0, max(total.max() * 1.15, 1.0))
    if not view.instance.pack:
        _events(ax, view, x, total, font, words)
    _axis(ax, view, font, words)


def _axis(ax: Axes, view: View, font: float, words: bool) -> None:
    whole = view.instance.pack
    ax.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=not view.instance.dynamic))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=whole))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" + "%" * (not whole)))
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=0.9 * font, colors=INK, length=0, labelbottom=words, labelleft=words)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#9a9a9a")
    if words:
        ax.set_title(view.curve_name, fontsize=font, color=INK, loc="left", pad=0.45 * font)
        ax.set_xlabel(view.axis_name, fontsize=font, color=INK, labelpad=0.3 * font)


def _events(ax: Axes, view: View, x: np.ndarray, total: np.ndarray, font: float, words: bool) -> None:
    """A dot on the curve for each move, a cross for each stale one, a triangle below for each rejected arrival."""
    record, size = view.record, view.scale[0]

    def height(times) -> np.ndarray:
        return total[np.clip(np.searchsorted(x, times, side="right") - 1, 0, len(total) - 1)]

    shown = []
    for stale, marker, colour, label in ((False, "o", CURVE, "migration"), (True, "x", STALE, "stale migration")):
        times = np.array([move.time + (not view.instance.dynamic) for move in record.moves if move.stale == stale])
        if len(times):
            dot = (0.42 if len(times) < 100 else 0.3) * font
            style = {"marker": marker, "color": colour, "linestyle": "none", "markersize": dot, "label": label}
            ax.plot(times / size, height(times), zorder=3, clip_on=False, **style)
            shown.append(Line2D([], [], **style))
    if record.rejected:
        times = np.array([time for time, _ in record.rejected])
        style = {"marker": "^", "color": REJECTED, "linestyle": "none", "markersize": 0.5 * font}
        style |= {"label": "rejected arrival"}
        ax.plot(times / size, np.zeros(len(times)), zorder=4, clip_on=False, **style)
        shown.append(Line2D([], [], **style))
    if words and shown:
        _key(ax, shown, font)


def _layers(ax: Axes, x: np.ndarray, y: np.ndarray, levels: list[int], font: float, words: bool) -> None:
    """VMs of each priority that are not placed, the highest at the bottom and dark."""
    groups = [[level] for level in range(len(levels))][::-1]
    if len(groups) > MOST_LEVELS:
        groups = [*groups[: MOST_LEVELS - 1], [level for group in groups[MOST_LEVELS - 1 :] for level in group]]
    colours = colormaps["PuBu"](np.linspace(1.0, 0.35, len(groups)))
    floor = np.zeros(y.shape[1])
    handles = []
    for number, group in enumerate(groups):
        roof = floor + y[group].sum(axis=0)
        name = f"priority {levels[group[0]]}" + " and less" * (len(group) > 1)
        style = {"step": "post", "color": colours[number], "linewidth": 0, "label": name}
        handles.append(ax.fill_between(x, floor, roof, **style))
        floor = roof
    if words:
        _key(ax, handles, font)


def _key(ax: Axes, handles: list, font: float) -> None:
    ax.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(handles), frameon=False,
        fontsize=0.9 * font, handlelength=1.1, columnspacing=1.3, handletextpad=0.5, borderaxespad=0.15, borderpad=0.0,
        labelcolor=INK,
    )  # fmt: skip
