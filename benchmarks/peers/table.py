"""From the JSON lines of all rounds to one table: best, median, and how many times faster dispatchgym is."""

from collections.abc import Iterable
from statistics import median

KEY = ("peer", "mode", "instance", "batch")
# The two rows everything is compared with: every operation a decision, dispatching as the peers do it,
# and the whole graph written at every step.
BATCHED = ("dispatchgym", "batch with graph, non-delay, every operation", 1024)
SINGLE = ("dispatchgym", "Gymnasium step, non-delay, every operation", 1)

HEAD = (
    "environment", "way", "instance", "batch", "observation", "steps/s", "operations/s", "best", "spread",
    "ours batched", "ours single",
)  # fmt: skip
REASON_LENGTH = 160


def summarise(rows: Iterable[dict]) -> list[dict]:
    """Put the rounds of each configuration together.

    Args:
        rows: measured rows (``operations_per_s``, ``steps_per_s``) and failed ones (``failed``) of all rounds.

    Returns:
        One row for each configuration, by instance and then in the order met: ``rounds``, the medians
        ``steps_per_s`` and ``operations_per_s``, the largest ``best``, ``spread``, the largest divided by
        the smallest, and ``times_batched`` and ``times_single``, the medians of dispatchgym's two reference
        rows on the same instance divided by this one's, None where a reference was not measured. Then one
        row for each environment and reason of failure (``failed``), which names the configuration where
        only one met it.
    """
    measured: dict[tuple, list[dict]] = {}
    failed: dict[tuple, set[tuple]] = {}
    for row in rows:
        key = tuple(row.get(name) for name in KEY)
        if "failed" in row:
            failed.setdefault((row["peer"], row["failed"]), set()).add(key)
        elif "operations_per_s" in row:
            measured.setdefault(key, []).append(row)
    summary = [_together(key, rounds) for key, rounds in measured.items()]
    speed = {tuple(row[name] for name in KEY): row["operations_per_s"] for row in summary}
    for row in summary:
        for column, (peer, mode, batch) in (("times_batched", BATCHED), ("times_single", SINGLE)):
            ours = speed.get((peer, mode, row["instance"], batch))
            row[column] = None if ours is None else ours / row["operations_per_s"]
    summary.sort(key=lambda row: row["instance"])  # stable, so each instance keeps the order of the rounds
    return summary + [_failure(peer, reason, keys) for (peer, reason), keys in failed.items()]


def _failure(peer: str, reason: str, keys: set[tuple]) -> dict:
    """One row for one reason: with its configuration, or without where it struck several."""
    key = next(iter(keys)) if len(keys) == 1 else (peer, None, None, None)
    return dict(zip(KEY, key, strict=True), failed=reason, times=len(keys))


def _together(key: tuple, rounds: list[dict]) -> dict:
    """One configuration over its rounds."""
    speeds = [row["operations_per_s"] for row in rounds]
    return dict(
        zip(KEY, key, strict=True),
        observation=rounds[0]["observation"],
        rounds=len(rounds),
        steps_per_s=median(row["steps_per_s"] for row in rounds),
        operations_per_s=median(speeds),
        best=max(speeds),
        spread=max(speeds) / min(speeds),
    )


def markdown(summary: list[dict]) -> str:
    """The table as Markdown.

    Args:
        summary: what ``summarise`` gave.

    Returns:
        Lines that end in a newline; failed rows say ``failed: reason`` where the speeds would be.
    """
    lines = [HEAD, ("---",) * 3 + ("---:",) + ("---",) + ("---:",) * 6]
    for row in summary:
        start = [row["peer"], row["mode"], row["instance"], row["batch"]]
        if "failed" in row:
            start[1:] = ["-" if value is None else value for value in start[1:]]
            reason = " ".join(str(row["failed"]).split())[:REASON_LENGTH].replace("|", "\\|")
            several = f" ({row['times']} ways)" if row["times"] > 1 else ""
            lines.append((*start, f"failed: {reason}{several}", *["-"] * 6))
            continue
        speeds = [number(row[name]) for name in ("steps_per_s", "operations_per_s", "best")]
        times = [times_text(row[name]) for name in ("spread", "times_batched", "times_single")]
        lines.append((*start, row["observation"], *speeds, *times))
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def number(value: float) -> str:
    """A speed without digits that do not repeat: three significant ones, thousands separated."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def times_text(value: float | None) -> str:
    """A ratio, such as ``16.6x``."""
    return "-" if value is None else f"{number(value)}x"
