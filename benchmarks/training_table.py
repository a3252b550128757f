"""The table of ``training.py``."""

import datetime
import os
import platform
from importlib.metadata import version

import torch

import dispatchgym
from dispatchgym.envs.core.machine import machine


def markdown(rows: list, rounds: int, load: str, minibatches: int, device: str = "cpu") -> str:
    """The tables with what a reader needs to judge them.

    Args:
        rows: what ``training.py`` measured, see ``Case`` there.
        rounds: of the measurement.
        load: load average at its start.
        minibatches: of an update that were carried out.
        device: of the networks.
    """
    on = "one torch thread" if device == "cpu" else f"networks on {torch.cuda.get_device_name(device)}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "stable-baselines3", "warp-lang"))
    lines = [
        "# Training: decisions per second",
        "",
        f"- {datetime.date.today()}, {machine()}, load average {load} at the start,"
        f" {os.getloadavg()[0]:.1f} at the end",
        f"- {platform.system()} {platform.machine()}, Python {platform.python_version()}, dispatchgym"
        f" {dispatchgym.__version__}, {packages}; {on}",
        f"- decisions with an alternative only; of the minibatches {minibatches} are carried out; best of {rounds}"
        f" round{'s' if rounds > 1 else ''}, trainers in turn",
        "- update: decisions in one pass of gradient steps; both: a rollout and all passes",
        "- a core's: decisions per second of processor time, workers included, which other work on the"
        " machine changes by some 10 %; by clock: per second on the machine as it was; ratio: a core's, both, to the"
        " row of the same batch that is `dispatchgym, GAE and value loss`, which has a value loss as stock PPO does",
    ]
    for task in dict.fromkeys(row.task.title for row in rows):
        lines += table([row for row in rows if row.task.title == task])
    return "\n".join(lines) + "\n"


def table(rows: list) -> list[str]:
    """The table of a task."""
    task = rows[0].task
    lines = [
        "",
        f"## {task.title[0].upper()}{task.title[1:]}",
        "",
        f"Network of width {task.network['width']} with {task.network.get('layers', 2)} layers, minibatches of"
        f" {task.minibatch}, {task.epochs} passes.",
        "",
        "| trainer | batch | rollout, a core's | update, a core's | both, a core's | ratio | both, by clock |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    same = {row.batch: row.processor["both"] for row in rows if row.title.endswith("value loss") and not row.failed}
    for row in rows:
        if row.failed:
            lines.append(f"| {row.title} | {row.batch} | failed: {row.failed} | | | | |")
            continue
        rates = [f"{1 / row.processor[part]:,.0f}" for part in ("rollout", "update", "both")]
        base = same.get(row.batch, next(iter(same.values()), None))
        ratio = f"{base / row.processor['both']:.2f}" if base else "-"
        lines.append(f"| {row.title} | {row.batch} | {' | '.join(rates)} | {ratio} | {1 / row.best['both']:,.0f} |")
    ratios = [_ratio(rows, measured) for measured in ("processor", "best")]
    if all(ratios):
        lines += [
            "",
            f"Each at its best batch, dispatchgym makes {ratios[0]:.1f} times the decisions of SubprocVecEnv on a core,"
            f" and {ratios[1]:.1f} times by clock.",
        ]
    return lines


def _ratio(rows: list, measured: str) -> float:
    """Decisions of dispatchgym by those of SubprocVecEnv, the best row of each; 0 if either failed."""
    ours, stock = (
        max((1 / getattr(row, measured)["both"] for row in rows if kind in row.title and not row.failed), default=0.0)
        for kind in ("dispatchgym", "SubprocVecEnv")
    )
    return ours / stock if stock else 0.0
