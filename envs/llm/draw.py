"""Lays out the figure of a schedule: headings, a panel for each server, and the lanes of the first requests."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..core.gantt import BAND, GRID, INK, PALE, STRONG
from .view import SECOND, View

MISSED, PREEMPTED, REJECTED, WAITING = "#c1272d", "#262626", "#7b3294", "#b8b8b8"
GREYS = "#6b6b6b", "#cfcfcf"  # of whichever server
POINT = 1 / 72  # inches
MOST_PANELS = 8
LANES = 60  # requests
MARGIN = 1.006  # so that what ends last is seen to end
SMALL = 3.2, 2.4  # inches; below that there is no room for words
LANE_SHARE = 0.5  # of the height, with one server


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
    panels = min(len(view.instance.servers), MOST_PANELS)
    left, right = (4.6 if words else 1.0) * line, 1.5 * line
    top, below = (5.2 if words else 1.0) * line, (3.2 if words else 1.0) * line
    gap, between = (1.8 if words else 1.0) * line, (5.0 if words else 2.0) * line
    room = max(height - top - below - between - gap * (panels - 1), 0.1)
    lanes = room * LANE_SHARE / (1 + 0.12 * (panels - 1))
    each = (room - lanes) / panels

    def axes(y: float, high: float) -> Axes:
        return figure.add_axes((left / width, y / height, max(width - left - right, 0.1) / width, high / height))

    for server in range(panels):
        ax = axes(height - top - each - server * (each + gap), each)
        _panel(ax, view, server, font, words, last=server == panels - 1)
    _lanes(axes(below, lanes), view, font, words)
    if words:
        _headings(figure, view, title, font, (left / width, 1 - 0.6 * line / height, 1 - right / width))
        handles = _legend(view)
        figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(left / width, 1 - 2.4 * line / height),
            ncols=len(handles), frameon=False, fontsize=0.9 * font, handlelength=1.1, handleheight=1.0,
            columnspacing=1.3, handletextpad=0.5, borderaxespad=0.0, borderpad=0.0, labelcolor=INK,
        )  # fmt: skip


def _colours(server: int) -> tuple[str, str]:
    """Of requests that prefill and of those that decode."""
    return f"#{STRONG[server % len(STRONG)]}", f"#{PALE[server % len(PALE)]}"


def _headings(figure, view: View, title: str | None, font: float, place: tuple[float, float, float]) -> None:
    """The name on the left and the caption on the right; where both do not fit, the caption stays."""
    left, top, right = place
    name = f"{view.instance.name}  ({view.instance.size})" if title is None else title
    room = figure.bbox.width / figure.dpi / (0.55 * font * POINT) - len(view.caption) - 8
    if len(name) * 1.3 > room and title is None:
        name = view.instance.name if len(view.instance.name) * 1.3 < room else ""
    style = {"va": "top", "color": INK}
    figure.text(left, top, name, fontsize=1.15 * font, fontweight="bold", ha="left", **style)
    figure.text(right, top, view.caption, fontsize=font, ha="right", **style)


def _legend(view: View) -> list:
    strong, pale = _colours(0) if len(view.instance.servers) == 1 else GREYS
    found = [Patch(color=strong, label="prefilling"), Patch(color=pale, label="decoding")]
    found.append(Line2D([], [], color=WAITING, linewidth=1.5, label="waiting"))
    marks = (
        (view.missed, MISSED, "missed a target"),
        (any(stay.preempted for stay in view.stays), PREEMPTED, "preempted"),
    )
    for there, colour, label in (*marks, (view.rejected, REJECTED, "rejected")):
        if there:
            style = {"marker": "|", "linestyle": "none", "markeredgewidth": 1.5, "markersize": 7}
            found.append(Line2D([], [], color=colour, label=label, **style))
    return found


def _panel(ax: Axes, view: View, server: int, font: float, words: bool, last: bool) -> None:
    """Requests that run on a server over time; marks stand in two rows above them."""
    columns = max(int(ax.get_window_extent().width / 2), 1)
    times, numbers = view.averages(server, columns)
    x = times / SECOND
    prefilling, decoding = (np.append(values, values[-1]) for values in numbers)
    total = prefilling + decoding
    strong, pale = _colours(server)
    ax.fill_between(x, decoding, step="post", color=pale, linewidth=0, zorder=1)
    ax.fill_between(x, decoding, total, step="post", color=strong, linewidth=0, zorder=2)
    most = max(float(total.max()), 1.0)
    ax.set_xlim(0, MARGIN * view.until / SECOND)
    ax.set_ylim(0, 1.3 * most)
    missed = [time for time, where, _ in view.missed if where == server]
    preempted = [stay.end for stay in view.stays if stay.server == server and stay.preempted]
    for row, (marks, colour) in enumerate(((preempted, PREEMPTED), (missed, MISSED))):
        low, high = (1.06 + 0.12 * row) * most, (1.16 + 0.12 * row) * most
        lines = [[(time / SECOND, low), (time / SECOND, high)] for time in marks]
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=0.8, alpha=0.8, zorder=3))
    _axis(ax, font, words and last)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10], integer=True))
    ax.tick_params(labelleft=words)
    if words:
        name = view.instance.server_names[server]
        more = len(view.instance.servers) - MOST_PANELS
        note = f" (and {more} more servers)" if last and more > 0 else ""
        shown = f"running on {name}" if len(view.instance.servers) == 1 else f"running on {server}, {name}{note}"
        ax.set_title(shown, fontsize=font, color=INK, loc="left", pad=0.25 * font)


def _lanes(ax: Axes, view: View, font: float, words: bool) -> None:
    """The first requests to arrive, from the top: waiting, prefilling and decoding in the colours of the server."""
    chosen = view.early(LANES)
    lane = {request: place for place, request in enumerate(chosen)}
    until = view.horizon(chosen) if chosen else view.until
    ax.set_xlim(0, MARGIN * until / SECOND)
    ax.set_ylim(max(len(chosen), 1) - 0.5, -0.5)
    over = {stay.request: stay.end for stay in view.stays} | {request: time for time, request in view.rejected}
    waits = [[(view.arrival[r] / SECOND, y), (over.get(r, until) / SECOND, y)] for r, y in lane.items()]
    ax.add_collection(LineCollection(waits, colors=WAITING, linewidths=0.8, zorder=1))
    boxes, faces = [], []
    for stay in view.stays:
        if stay.request in lane:
            low, high = lane[stay.request] - 0.4, lane[stay.request] + 0.4
            spans = ((stay.start, stay.middle), (stay.middle, stay.end))
            for (start, end), colour in zip(spans, _colours(stay.server), strict=True):
                if end > start:
                    boxes.append([(x / SECOND, y) for x, y in ((start, low), (end, low), (end, high), (start, high))])
                    faces.append(colour)
    ax.add_collection(PolyCollection(boxes, facecolors=faces, linewidths=0, zorder=2))
    marks = [(stay.end, stay.request, PREEMPTED) for stay in view.stays if stay.preempted]
    marks += [(time, request, MISSED) for time, _, request in view.missed]
    marks += [(time, request, REJECTED) for time, request in view.rejected]
    marks = [(time / SECOND, lane[request], colour) for time, request, colour in marks if request in lane]
    lines = [[(x, y - 0.48), (x, y + 0.48)] for x, y, _ in marks]
    ax.add_collection(LineCollection(lines, colors=[colour for *_, colour in marks], linewidths=1.6, zorder=3))
    for place in range(0, len(chosen), 2):
        ax.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
    _axis(ax, font, words)
    ax.set_yticks([])
    if words:
        ax.set_title(f"the first {len(chosen)} requests", fontsize=font, color=INK, loc="left", pad=0.25 * font)


def _axis(ax: Axes, font: float, words: bool) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10]))
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=0.9 * font, colors=INK, length=0, labelbottom=words)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#9a9a9a")
    if words:
        ax.set_xlabel("time (s)", fontsize=font, color=INK, labelpad=0.2 * font)
