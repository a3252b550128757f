"""The figures of the report."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

MOST_LINES = 8


def profiles(gaps: dict[str, np.ndarray], title: str, unit: str, path: Path) -> None:
    """Performance profiles: the share of instances on which a policy is within a gap (Dolan and More 2002).

    Args:
        gaps: by policy, (instances,), of those to be shown.
        title: of the figure.
        unit: of gaps.
        path: of the PNG.
    """
    best = sorted(gaps, key=lambda name: float(np.mean(gaps[name])))[:MOST_LINES]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name in best:
        ordered = np.sort(gaps[name])
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axes.step(ordered, share, where="post", label=name, linewidth=2.5 if name.startswith("learned") else 1.2)
    axes.set(title=title, xlabel=f"gap, {unit}", ylabel="share of instances within it", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def quality_against_time(points: dict[str, list[tuple[float, float]]], title: str, path: Path) -> None:
    """Mean gap by seconds an instance, a line for each kind of policy.

    Args:
        points: by kind, (seconds, gap in percent) in order of time.
        title: of the figure.
        path: of the PNG.
    """
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, line in points.items():
        seconds, gap = zip(*line, strict=True)
        axes.plot(seconds, gap, "o-", label=name, markersize=4)
    axes.set(title=title, xlabel="seconds an instance", ylabel="mean gap to the best known, %", xscale="log")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
