"""Environment steps per second of dispatchgym and of other job shop environments, side by side.

    python benchmarks/job_shop_speed.py --seconds 5 --out job_shop_speed.md

Every environment plays the same instances with random valid actions, on one core and one thread, in turn
over several rounds. Speed is counted in operations started, because a step means different things in
different environments. The others are installed first, each into a virtual environment of its own.
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
from typing import Literal

import tyro
from peers.environments import HERE, PEERS, InstallError, default_folder, ensure, error_line
from peers.measure import one_core
from peers.table import markdown, summarise

from dispatchgym.envs.core.machine import machine

ONE_THREAD = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")},
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
}
Name = Literal["dispatchgym", "jssenv", "job-shop-lib", "rl4co", "jumanji"]


@dataclass(frozen=True)
class Options:
    """Measure job shop environments against each other."""

    peers: tuple[Name, ...] = tuple(PEERS)
    """Which environments; dispatchgym itself is one of them, and without it there are no ratios."""
    instances: tuple[str, ...] = ("ta01", "ta41")
    """Names of instances with as many operations in every job as there are machines."""
    seconds: float = 5.0
    """Time for each measurement, in seconds."""
    rounds: int = 3
    """How often every environment has its turn."""
    timeout: float = 900.0
    """How long one environment may take in one round, in seconds."""
    out: Path = Path("job_shop_speed.md")
    """The table; the measurements go beside it as JSON lines."""
    venvs: Path | None = None
    """Folder of the virtual environments; by default one in the user's cache folder."""

    def __post_init__(self):
        for name in ("seconds", "rounds", "timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} must be above 0, got {getattr(self, name)}")


def write_instances(names: tuple[str, ...], folder: Path) -> dict[str, Path]:
    """Write instances in the standard format, which every environment can be given.

    Args:
        names: catalogue names.
        folder: where the files go.

    Returns:
        Name to file.
    """
    from dispatchgym.envs.job_shop.instance import format  # not for --help, which is to be instant
    from dispatchgym.instances import load

    files = {}
    for name in names:
        instance = load(name)
        if (instance.operations != instance.machines).any() or instance.release.any():
            raise ValueError(f"--instances: {name} is not a job shop that every environment can play")
        files[name] = folder / f"{name}.txt"
        files[name].write_text(format(instance))
    return files


def run_script(name: str, python: Path, files: dict[str, Path], seconds: float, timeout: float) -> list[dict]:
    """Measure one environment once, in a process of its own.

    Args:
        name: which one.
        python: its interpreter.
        files: name to instance file.
        seconds, timeout: as in ``Options``.

    Returns:
        The rows it printed; where it failed or was stopped, a row with ``failed`` comes last.
    """
    command = [str(python), str(HERE / PEERS[name].script), "--seconds", str(seconds), "--instances"]
    command += [f"{instance}={file}" for instance, file in files.items()]
    # Into files, not pipes: what was printed before a time-out is then still there.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as messages:
        try:
            status = subprocess.run(
                command, stdout=output, stderr=messages, timeout=timeout, env=os.environ | ONE_THREAD, check=False
            ).returncode
            messages.seek(0)
            reason = f"exit status {status}: {error_line(messages.read())}" if status else None
        except subprocess.TimeoutExpired:
            reason = f"stopped after {timeout:g} s"
        except OSError as error:
            reason = str(error)
        output.seek(0)
        return read_rows(name, output.read(), reason)


def read_rows(name: str, text: str, reason: str | None) -> list[dict]:
    """What a script printed, as rows.

    Args:
        name: the environment.
        text: its output; lines that are not JSON objects are its library's chatter.
        reason: why it ended early, None when it did not.

    Returns:
        Its rows without the announcements; with a reason, a failed row for the configuration that was
        under way, or for the whole environment when none was.
    """
    rows, under_way = [], {"peer": name}
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or row.get("peer") != name:
            continue
        if row.pop("begun", False):
            under_way = row
        else:
            rows.append(row)
            under_way = {"peer": name}
    return rows if reason is None else [*rows, under_way | {"failed": reason}]


def run_rounds(options: Options, pythons: dict[str, Path], files: dict[str, Path], failed: list[dict]) -> list[dict]:
    """Give every environment its turn, round after round, so that a busy moment of the machine meets all of them.

    Args:
        options: how often and how long.
        pythons: environment to interpreter.
        files: name to instance file.
        failed: rows of what could not be installed.

    Returns:
        All rows, each with its ``round``; they are also in the file of JSON lines.
    """
    rows, pythons = [row | {"round": 0} for row in failed], dict(pythons)
    with open(options.out.with_suffix(".jsonl"), "w") as lines:
        for row in rows:
            lines.write(json.dumps(row) + "\n")
        for turn in range(1, options.rounds + 1):
            for name, python in list(pythons.items()):
                print(f"round {turn} of {options.rounds}: {name}", file=sys.stderr)
                found = run_script(name, python, files, options.seconds, options.timeout)
                if not any("operations_per_s" in row for row in found):
                    del pythons[name]  # it will not do better in the next round
                for row in found:
                    rows.append(row | {"round": turn})
                    lines.write(json.dumps(rows[-1]) + "\n")
                lines.flush()
    return rows


def header(options: Options, rows: list[dict], pinned: str, load: str) -> str:
    """What the numbers depend on: the machine, the date, the versions.

    Args:
        options: how it was measured.
        rows: all rows; those with ``versions`` are used.
        pinned: what ``one_core`` said.
        load: load average at the start.
    """
    versions: dict[str, list[str]] = {}
    for row in rows:
        text = ", ".join(f"{package} {version}" for package, version in row.get("versions", {}).items())
        if text and text not in versions.setdefault(row["peer"], []):
            versions[row["peer"]].append(text)
    lines = [
        "# Job shop environments: operations per second",
        "",
        f"- {datetime.datetime.now():%Y-%m-%d}, {machine()}, {pinned}, one thread,"
        f" load average {load} at the start, {load_average()} at the end",
        f"- {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        f"- {options.rounds} rounds of {options.seconds:g} s a row, every environment in turn; speeds are medians,"
        " `best` is the fastest round, `spread` the fastest divided by the slowest (large: repeat on an idle machine)",
        "- random valid actions, choosing them and beginning new episodes included; steps and operations are summed"
        " over the batch",
        "- `ours batched` and `ours single`: operations/s of dispatchgym on the same instance, divided by those of the"
        " row; non-delay, every operation a decision, with its graph, in a batch of 1024 or as one Gymnasium step",
        *(f"- {name}: {'; CHANGED BETWEEN ROUNDS: '.join(found)}" for name, found in versions.items()),
        "",
    ]
    return "\n".join(lines) + "\n"


def load_average() -> str:
    """Mean number of processes that wanted to run over the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"


def main(options: Options) -> None:
    load, pythons, failed = load_average(), {}, []
    folder = options.venvs or default_folder()
    for name in options.peers:
        print(f"preparing {name}", file=sys.stderr)
        try:
            pythons[name] = ensure(name, folder)
        except InstallError as error:
            failed.append({"peer": name, "failed": str(error)})
    pinned = one_core()  # after the installations, which may use all cores
    with tempfile.TemporaryDirectory() as temporary:
        files = write_instances(options.instances, Path(temporary))
        rows = run_rounds(options, pythons, files, failed)
    text = header(options, rows, pinned, load) + markdown(summarise(rows))
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
