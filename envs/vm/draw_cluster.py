"""Draws a cluster: few hosts as bars of their VMs, many as a grid of cells coloured by their fragments."""

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator

from ..core.gantt import INK, STRONG
from .instance import VMInstance
from .occupancy import NOWHERE, SLOT
from .view import View

MOST_BARS = 24  # hosts
FULL, WHOLE, OVER = "#dfe3e8", "#9fd4b8", "#7b3294"
USED, PINNED, FRAGMENT = "#c5cedb", "#8793a3", "#f28e2b"
MOVED = [f"#{code}" for code in STRONG if f"#{code}" not in (FRAGMENT, "#59a14f")]  # neither orange nor green
NODE, HOST = 1.0, 2.5  # widths: of a bar or cell, and of a host with the gap to the next


def fits_bars(instance: VMInstance, points: float) -> bool:
    """Whether the hosts are few enough to be drawn as bars in a picture of some points across."""
    return instance.hosts <= min(MOST_BARS, points / 9)


def draw(ax: Axes, view: View, after: bool, font: float, bars: bool, words: bool) -> None:
    """Draw the cluster before or after the schedule.

    Args:
        ax: where.
        view: the schedule.
        after: whether it is after it.
        font: size of words, in points.
        bars: bars of VMs instead of a grid.
        words: whether there is room for labels.
    """
    (_bars if bars else _grid)(ax, view, after, font, words)
    if words:
        room = ax.get_window_extent().width / ax.figure.dpi * 72 / (0.42 * font + 0.7)  # letters
        pairs = zip(view.headings(False), view.headings(True), strict=True)
        fitting = (pair for pair in pairs if max(map(len, pair)) <= room)  # both say the same, or neither does
        ax.set_title(next(fitting, ("", ""))[after], fontsize=font, color=INK, loc="left", pad=0.45 * font)
    ax.tick_params(length=0, labelsize=0.85 * font, colors=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)


def legend(view: View, bars: bool) -> list[Artist]:
    """What the colours mean."""
    handles = [Patch(color=WHOLE, label="16 cores free" if bars else "16 free, 32, ...")]
    if bars:
        handles += [Patch(color=FRAGMENT, label="fragment"), Patch(color=USED, label="VM")]
        if not view.instance.movable.all():
            handles.append(Patch(color=PINNED, label="pinned VM"))
        if view.moved:
            handles.append(Patch(color=MOVED[0], label="VM that is moved"))
    else:
        handles = [Patch(color=FULL, label="full"), *handles]
        shades = _shades()
        handles += [Patch(color=shades[size], label=f"fragment of {size}") for size in (1, 8, 15)]
        if view.moved:
            handles.append(Patch(facecolor="white", edgecolor=INK, linewidth=1, label="left, then reached by moves"))
    if view.instance.drained.any():
        handles.append(Patch(facecolor="white", edgecolor="#9a9a9a", hatch="////", linewidth=0, label="drained"))
    if min(view.before.min(), view.after.min()) < 0:
        handles.append(Patch(color=OVER, label="more than there is"))
    return handles


def _shades() -> np.ndarray:
    """The colour of a fragment of 0 to 15 cores, (16, 4) float."""
    return colormaps["YlOrRd"](np.linspace(0.12, 0.95, SLOT))


def _boxes(left: np.ndarray, right: np.ndarray, bottom: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Corners of rectangles, (N, 4, 2) float."""
    return np.stack([left, bottom, right, bottom, right, top, left, top], axis=1).reshape(-1, 4, 2)


# Bars


def _bars(ax: Axes, view: View, after: bool, font: float, words: bool) -> None:
    instance = view.instance
    parts = [*_vms(view, after), *_free(view.after if after else view.before, instance)]
    node, bottom, top = (np.array([part[at] for part in parts], dtype=float) for at in range(3))
    left = node // 2 * HOST + node % 2 * NODE
    capacity = max(int(instance.node_cores.max()), 1)
    ax.set_xlim(-0.3, instance.hosts * HOST - (HOST - 2 * NODE) + 0.3)
    ax.set_ylim(0, max(capacity, top.max(initial=0)) * 1.02)
    boxes = _boxes(left + 0.03, left + NODE - 0.03, bottom, top)
    ax.add_collection(PolyCollection(boxes, facecolors=[part[3] for part in parts], edgecolors="white", linewidths=0.6))
    _drains(ax, instance, view, capacity)
    _labels(ax, parts, left, font)
    every = max(1, int(np.ceil(instance.hosts * 1.4 * font / ax.get_window_extent().width * ax.figure.dpi / 72)))
    ax.set_xticks(np.arange(0, instance.hosts, every) * HOST + NODE, range(0, instance.hosts, every))
    ax.yaxis.set_major_locator(MultipleLocator(SLOT * max(1, round(capacity / SLOT / 6))))
    ax.tick_params(labelbottom=words, labelleft=words and not after, pad=2)
    if words:
        ax.set_xlabel("host", fontsize=font, color=INK, labelpad=1)
        if not after:
            ax.set_ylabel("cores", fontsize=font, color=INK)


def _vms(view: View, after: bool):
    """(node, bottom, top, colour, text) of each VM on each of its nodes; those that are moved on top of the others."""
    instance, state = view.instance, view.record.state
    colours = {vm: MOVED[at % len(MOVED)] for at, vm in enumerate(view.moved)}
    rank = {vm: at for at, vm in enumerate(view.moved)}
    order = np.lexsort((np.arange(instance.vms), -instance.cores)).tolist()
    height = np.zeros(instance.nodes)
    for vm in sorted(order, key=lambda vm: rank.get(vm, -1)):
        for place in (state.node[vm], state.target[vm]) if after else (instance.node[vm],):
            double = state.double(vm)
            for node in () if place == NOWHERE else (place, place + 1) if double else (place,):
                cores = state.share(vm)[0]
                colour = colours.get(vm, USED if instance.movable[vm] else PINNED)
                yield node, height[node], height[node] + cores, colour, str(vm) if vm in rank else ""
                height[node] += cores


def _free(free: np.ndarray, instance: VMInstance):
    """(node, bottom, top, colour, text) of what is free: the fragment above the VMs, and slots above that."""
    for node, cores in enumerate(free.reshape(-1).tolist()):
        top = int(instance.node_cores.flat[node])
        for slot in range(max(cores, 0) // SLOT):
            yield node, top - (slot + 1) * SLOT, top - slot * SLOT, WHOLE, ""
        if cores % SLOT and cores > 0:
            yield node, top - cores, top - cores + cores % SLOT, FRAGMENT, str(cores % SLOT)
        elif cores < 0:
            yield node, top, top - cores, OVER, str(-cores)


def _labels(ax: Axes, parts: list, left: np.ndarray, font: float) -> None:
    """The text of the parts, where it fits."""
    box, point = ax.get_window_extent(), ax.figure.dpi / 72
    across, up = box.width / np.ptp(ax.get_xlim()) / point, box.height / np.ptp(ax.get_ylim()) / point  # points
    for (_, bottom, top, colour, text), x in zip(parts, left, strict=True):
        size = min(0.8 * font, 0.85 * (top - bottom) * up, 0.9 * NODE * across / (0.62 * max(len(text), 1)))
        if text and size >= 5:
            style = {"fontsize": size, "ha": "center", "va": "center_baseline", "clip_on": True}
            ax.text(x + NODE / 2, (bottom + top) / 2, text, color=INK if colour == FRAGMENT else "white", **style)


def _drains(ax: Axes, instance: VMInstance, view: View, height: float) -> None:
    hosts = np.flatnonzero(instance.drained)
    left = hosts * HOST - 0.12
    boxes = _boxes(left, left + 2 * NODE + 0.24, np.zeros(len(hosts)), np.full(len(hosts), height))
    style = {"facecolors": "none", "edgecolors": "#9a9a9a", "hatch": "////", "linewidths": 0}
    ax.add_collection(PolyCollection(boxes, **style))


# The grid


def _grid(ax: Axes, view: View, after: bool, font: float, words: bool) -> None:
    free, hosts = (view.after if after else view.before), view.instance.hosts
    box = ax.get_window_extent()
    columns = int(np.clip(np.ceil(np.sqrt(hosts * box.width / box.height / HOST)), 1, hosts))
    rows = -(-hosts // columns)
    host, numa = np.divmod(np.arange(2 * hosts), 2)
    left, top = host % columns * HOST + numa * NODE, (host // columns).astype(float)
    cells = _boxes(left + 0.02, left + NODE - 0.02, top + 0.06, top + 0.94)
    ax.set_xlim(-0.1, columns * HOST - (HOST - 2 * NODE) + 0.1)
    ax.set_ylim(rows + 0.02, -0.02)
    ax.add_collection(PolyCollection(cells, facecolors=_fills(free.reshape(-1)), linewidths=0))
    touched = view.reached if after else view.left
    ax.add_collection(PolyCollection(cells[touched], facecolors="none", edgecolors=INK, linewidths=0.11 * font))
    drained = np.flatnonzero(np.repeat(view.instance.drained, 2))
    style = {"facecolors": "none", "edgecolors": "#8a8a8a", "hatch": "/////", "linewidths": 0}
    ax.add_collection(PolyCollection(cells[drained], **style))
    _numbers(ax, free.reshape(-1), left, top, font)
    every = max(1, int(np.ceil(rows * 1.3 * font * ax.figure.dpi / 72 / box.height)))
    ax.set_yticks(np.arange(0, rows, every) + 0.5, np.arange(0, rows, every) * columns)
    ax.set_xticks([])
    ax.tick_params(labelleft=words and not after, pad=2)
    if words and not after:
        ax.set_ylabel("first host of a row", fontsize=font, color=INK)


def _fills(free: np.ndarray) -> np.ndarray:
    """The colour of each node, (nodes, 4) float."""
    result = _shades()[free % SLOT]
    result[free % SLOT == 0] = to_rgba(WHOLE)
    result[free == 0] = to_rgba(FULL)
    result[free < 0] = to_rgba(OVER)
    return result


def _numbers(ax: Axes, free: np.ndarray, left: np.ndarray, top: np.ndarray, font: float) -> None:
    """The free cores in each cell, where two digits fit."""
    box, point = ax.get_window_extent(), ax.figure.dpi / 72
    across = box.width / np.ptp(ax.get_xlim()) / point
    up = box.height / abs(np.ptp(ax.get_ylim())) / point
    size = min(0.8 * font, 0.62 * up, 0.9 * across / 1.3)
    if size < 5:
        return
    for cores, x, y in zip(free.tolist(), left, top, strict=True):
        dark = cores < 0 or cores % SLOT >= 9
        style = {"fontsize": size, "ha": "center", "va": "center_baseline", "color": "white" if dark else INK}
        ax.text(x + NODE / 2, y + 0.52, str(cores) if cores else "", **style)
