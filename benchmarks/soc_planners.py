"""HEFT of dispatchgym and of anrg-saga side by side: the same plans, and how long each takes to make one.

    python benchmarks/soc_planners.py --seconds 2 --out soc_planners.md

The plans are compared on random task graphs whose weights are drawn from many numbers, so that ties hardly occur. All
times are whole numbers, exact in both libraries. Both run on one core, in turn, in processes of their own; the other
library is installed first, into a virtual environment.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tyro
from job_shop_speed import ONE_THREAD, load_average, read_rows
from peers.environments import HERE, PLANNERS, InstallError, default_folder, ensure, error_line
from peers.measure import one_core
from peers.table import number, times_text

from dispatchgym.envs.core.machine import machine

DIVISORS = (1, 2, 3, 4, 6)  # speeds and bandwidths; every cost and volume is a multiple of 12, so times are whole
ELEMENTS = 4
LARGEST_SUM = 2**26  # of all times of a problem, in microseconds


@dataclass(frozen=True)
class Options:
    """Compare HEFT planners."""

    problems: int = 200
    """Random task graphs of 30 tasks on 4 processing elements of each kind whose plans are compared."""
    sizes: tuple[int, ...] = (50, 200, 1000)
    """Numbers of tasks of the graphs that are timed, on 4 processing elements."""
    seconds: float = 2.0
    """Time for each measurement, in seconds; at least one plan is made after a first one."""
    rounds: int = 3
    """How often both planners have their turn."""
    timeout: float = 900.0
    """How long one planner may take in one round, in seconds."""
    out: Path = Path("soc_planners.md")
    """The table."""
    venvs: Path | None = None
    """Folder of the virtual environments; by default one in the user's cache folder."""

    def __post_init__(self):
        for name in ("problems", "seconds", "rounds", "timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} must be above 0, got {getattr(self, name)}")
        if not self.sizes or min(self.sizes) < 3:
            raise ValueError(f"--sizes must be numbers of at least 3 tasks, got {self.sizes}")


def random_problem(rng: np.random.Generator, tasks: int, related: bool) -> dict:
    """A task graph with one entry and one exit on ``ELEMENTS`` processing elements.

    Every task but the entry has one to four predecessors among the 20 tasks before it, and the exit has all tasks
    that would otherwise be exits.

    Args:
        rng: the source of randomness.
        tasks: their number, at least 3.
        related: execution times are a cost divided by a speed, all speeds being different; otherwise they are drawn
            one by one.

    Returns:
        ``execution_time`` (tasks, elements), ``edges`` (source, target, volume), ``bandwidth`` (elements, elements),
        and where machines are related ``cost`` and ``speed``: lists of whole numbers.
    """
    pairs = set()
    for target in range(1, tasks):
        earlier = np.arange(max(0, target - 20), target)
        count = min(len(earlier), int(rng.integers(1, 5)))
        pairs |= {(int(source), target) for source in rng.choice(earlier, count, replace=False)}
    sources = {source for source, _ in pairs}
    pairs |= {(task, tasks - 1) for task in range(tasks - 1) if task not in sources}
    most = LARGEST_SUM // (12 * (tasks + len(pairs)))
    link = rng.choice(DIVISORS, (ELEMENTS, ELEMENTS))
    problem = {
        "edges": [[*pair, 12 * int(rng.integers(1, most))] for pair in sorted(pairs)],
        "bandwidth": np.triu(link, 1) + np.triu(link, 1).T + np.eye(ELEMENTS, dtype=int),
    }
    if related:
        problem["speed"] = rng.choice(DIVISORS, ELEMENTS, replace=False)
        problem["cost"] = 12 * rng.integers(1, most, tasks)
        problem["execution_time"] = problem["cost"][:, None] // problem["speed"]
    else:
        problem["execution_time"] = rng.integers(1, 12 * most, (tasks, ELEMENTS))
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in problem.items()}


def write_problems(options: Options, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Write the problems both planners are given.

    Args:
        options: how many and how large.
        folder: where the files go.

    Returns:
        Name to file, of those that are compared and of those that are timed.
    """
    rng = np.random.default_rng(0)
    compared = {
        f"30x{ELEMENTS} {kind}": [random_problem(rng, 30, kind == "related") for _ in range(options.problems)]
        for kind in ("related", "unrelated")
    }
    timed = {f"{tasks}x{ELEMENTS}": [random_problem(rng, tasks, True)] for tasks in options.sizes}
    files = {name: folder / f"{name.replace(' ', '-')}.json" for name in compared | timed}
    for name, problems in (compared | timed).items():
        files[name].write_text(json.dumps(problems))
    return {name: files[name] for name in compared}, {name: files[name] for name in timed}


def run_planner(name: str, python: Path, files: dict[str, Path], options: Options) -> list[dict]:
    """Let one planner plan and be timed, in a process of its own.

    Args:
        name: a key of ``PLANNERS``.
        python: its interpreter.
        files: name to file of problems.
        options: time and time-out.

    Returns:
        The rows it printed; where it failed, a row with ``failed`` comes last.
    """
    command = [str(python), str(HERE / PLANNERS[name].script), "--seconds", str(options.seconds), "--instances"]
    command += [f"{problem}={file}" for problem, file in files.items()]
    # Sets of nodes are iterated in the order of their hashes.
    environment = os.environ | ONE_THREAD | {"PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=options.timeout, env=environment, check=False
        )
        reason = f"exit status {done.returncode}: {error_line(done.stderr)}" if done.returncode else None
        return read_rows(name, done.stdout, reason)
    except (subprocess.TimeoutExpired, OSError) as error:
        return [{"peer": name, "failed": str(error)}]


def compare(rows: list[dict]) -> list[dict]:
    """How the other planner's plans compare with ours, problem by problem.

    Args:
        rows: with ``plans``: for each problem, for each task its element, start and end.

    Returns:
        For each set of problems and each mode of saga: ``problems``, how many have the ``same_plan``, how many the
        ``same_makespan``, and the ``least``, ``mean`` and ``greatest`` ratio of its makespan to ours.
    """
    plans = {(row["peer"], row["mode"], row["instance"]): row["plans"] for row in rows if "plans" in row}
    found = []
    for (peer, mode, instance), theirs in plans.items():
        ours = plans.get(("dispatchgym", "insertion", instance))
        if peer != "saga" or ours is None:
            continue
        ratio = [_makespan(their) / _makespan(our) for their, our in zip(theirs, ours, strict=True)]
        found.append({
            "instance": instance, "mode": mode, "problems": len(ours),
            "same_plan": sum(their == our for their, our in zip(theirs, ours, strict=True)),
            "same_makespan": ratio.count(1.0), "least": min(ratio), "mean": sum(ratio) / len(ratio),
            "greatest": max(ratio),
        })  # fmt: skip
    return found


def _makespan(plan: list[list[float]]) -> float:
    return max(end for _, _, end in plan)


def times(rows: list[dict]) -> list[dict]:
    """Time of a plan over the rounds.

    Args:
        rows: with ``steps_per_s``, plans per second.

    Returns:
        For each problem that was timed and each planner ``seconds``, the median of the rounds, ``best`` and
        ``spread``, and ``times``, the median divided by ours.
    """
    measured: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if "steps_per_s" in row:
            measured.setdefault((row["instance"], row["peer"]), []).append(1 / row["steps_per_s"])
    found = []
    for (instance, peer), rounds in sorted(measured.items(), key=lambda item: int(item[0][0].split("x")[0])):
        ours = measured.get((instance, "dispatchgym"))
        found.append({
            "instance": instance, "peer": peer, "seconds": median(rounds), "best": min(rounds),
            "spread": max(rounds) / min(rounds), "times": median(rounds) / median(ours) if ours else None,
        })  # fmt: skip
    return found


def report(options: Options, rows: list[dict], pinned: str, load: str) -> str:
    """The whole table as Markdown.

    Args:
        options: how it was measured.
        rows: all rows of all rounds.
        pinned: what ``one_core`` said.
        load: load average at the start.
    """
    versions = {row["peer"]: ", ".join(map(" ".join, row["versions"].items())) for row in rows if "versions" in row}
    lines = [
        "# HEFT planners: the same plans, and their time",
        "",
        f"- {datetime.datetime.now():%Y-%m-%d}, {machine()}, {pinned}, one thread,"
        f" load average {load} at the start, {load_average()} at the end",
        f"- {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        *(f"- {name}: {found}" for name, found in versions.items()),
        "",
        "Plans on random task graphs, with insertion; ratios are saga's makespan divided by dispatchgym's. `textbook"
        " rank`: its mean transfer time is taken over different nodes, as in the paper; `as released` it counts the"
        " link of a node to itself, which takes no time.",
        "",
        "| tasks x PEs | saga | problems | same plan | same makespan | least ratio | mean ratio | greatest ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in compare(rows):
        counts = f"{row['problems']} | {row['same_plan']} | {row['same_makespan']}"
        ratios = f"{row['least']:.3f} | {row['mean']:.3f} | {row['greatest']:.3f}"
        lines.append(f"| {row['instance']} | {row['mode']} | {counts} | {ratios} |")
    lines += [
        "",
        "Time of one plan, ranks included, instances built beforehand, on related machines and with saga's textbook"
        f" rank: {options.rounds} rounds of {options.seconds:g} s or one plan after a first one, both planners in turn;"
        " medians, the best round, and the slowest divided by the fastest.",
        "",
        "| tasks x PEs | planner | ms / plan | best | spread | times ours |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in times(rows):
        measured = f"{number(1e3 * row['seconds'])} | {number(1e3 * row['best'])}"
        ratios = f"{times_text(row['spread'])} | {times_text(row['times'])}"
        lines.append(f"| {row['instance']} | {row['peer']} | {measured} | {ratios} |")
    failed = [f"- {row['peer']} failed: {' '.join(row['failed'].split())}" for row in rows if "failed" in row]
    return "\n".join(lines + ([""] + failed if failed else [])) + "\n"


def main(options: Options) -> None:
    load, rows, pythons = load_average(), [], {}
    for name in PLANNERS:
        print(f"preparing {name}", file=sys.stderr)
        try:
            pythons[name] = ensure(name, options.venvs or default_folder())
        except InstallError as error:
            rows.append({"peer": name, "failed": str(error)})
    pinned = one_core()  # after the installation, which may use all cores
    with tempfile.TemporaryDirectory() as folder:
        compared, timed = write_problems(options, Path(folder))
        for turn in range(options.rounds):
            for name, python in pythons.items():
                print(f"round {turn + 1} of {options.rounds}: {name}", file=sys.stderr)
                rows += run_planner(name, python, timed | (compared if turn == 0 else {}), options)
    text = report(options, rows, pinned, load)
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
