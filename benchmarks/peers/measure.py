"""What the scripts of all environments share: their arguments, the clock, and one JSON line a measurement.

Standard library only, because every script runs in the virtual environment of the library it measures.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

Advance = Callable[[], tuple[int, int]]


def arguments(description: str) -> argparse.Namespace:
    """Read the command line that the benchmark hands to every script.

    Args:
        description: what the script measures, for ``--help``.

    Returns:
        ``instances``, a list of (name, file), and ``seconds``, the time for each measurement.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each measurement, in seconds")
    parser.add_argument("--instances", nargs="+", type=_named_file, required=True, metavar="NAME=FILE")
    return parser.parse_args()


def _named_file(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not (name and separator and file):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, got {text!r}")
    return name, Path(file)


def read_instance(file: Path) -> tuple[list[list[int]], list[list[int]]]:
    """Read a job shop in the standard text format: ``jobs machines``, then ``machine duration`` pairs.

    Args:
        file: the instance; machines are numbered from 0.

    Returns:
        The machine and the duration of each operation, a list of operations for each job.
    """
    rows = [[int(word) for word in line.split()] for line in file.read_text().splitlines()[1:] if line.strip()]
    return [row[::2] for row in rows], [row[1::2] for row in rows]


def announce(peer: str, packages: list[str], **more: str) -> None:
    """Print the versions that are measured.

    Args:
        peer: name of the environment in the table.
        packages: distributions whose versions matter, the measured one first.
        more: what else tells one version from another.
    """
    _print({"peer": peer, "versions": more | {package: metadata.version(package) for package in packages}})


def measure(
    peer: str, mode: str, instance: str, batch: int, observation: str, prepare: Callable[[], Advance], seconds: float
) -> None:
    """Time one way of using an environment and print the result; an error becomes a printed reason.

    Args:
        peer, mode, instance, batch, observation: the row of the table.
        prepare: makes the environment and returns a function that takes some steps with random valid
            actions, starting new episodes as they end, and returns how many environment steps it took
            and how many operations those started, both summed over the batch.
        seconds: how long to go on; the call under way when the time is over is finished and counted.
    """
    row = {"peer": peer, "mode": mode, "instance": instance, "batch": batch}
    _print(row | {"begun": True})
    try:
        advance = prepare()
        advance()  # compilation, caches and first-use imports are not what is measured
        steps, operations, elapsed = 0, 0, 0.0
        start = time.perf_counter()
        while elapsed < seconds:
            more_steps, more_operations = advance()
            steps, operations = steps + more_steps, operations + more_operations
            elapsed = time.perf_counter() - start
    except Exception as error:  # one configuration that cannot run must not hide the others
        _print(row | {"failed": f"{type(error).__name__}: {error}"})
        return
    rates = {"steps_per_s": steps / elapsed, "operations_per_s": operations / elapsed}
    _print(row | {"steps": steps, "operations": operations, "seconds": elapsed} | rates | {"observation": observation})


def _print(row: dict) -> None:
    print(json.dumps(row), flush=True)  # flushed, so that a killed script leaves the lines it had


def one_core() -> str:
    """Keep this process and its children on one core, where the system can do that.

    Returns:
        What was done, in words for the table's header.
    """
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned to a core (this system has no such call)"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"
