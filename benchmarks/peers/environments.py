"""The environments that are compared, and the virtual environment that each one lives in."""

import json
import os
import platform
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALL_SECONDS = 1800


@dataclass(frozen=True)
class Peer:
    """One environment of the comparison.

    Attributes:
        script: the file in this folder that measures it.
        requirements: what pip installs for it; empty for the interpreter that runs the benchmark.
    """

    script: str
    requirements: tuple[str, ...] = ()


PEERS = {
    "dispatchgym": Peer("run_dispatchgym.py"),
    "jssenv": Peer("run_jssenv.py", ("JSSEnv==1.1.0",)),
    "job-shop-lib": Peer("run_job_shop_lib.py", ("job-shop-lib==1.7.2",)),
    # The range of torch is this package's own, so that both run on the same one.
    "rl4co": Peer("run_rl4co.py", ("rl4co==0.7.0", "torch>=2.8,<2.14")),
    "jumanji": Peer("run_jumanji.py", ("jumanji==1.1.2",)),
}
# The planners of soc_planners.py.
PLANNERS = {
    "dispatchgym": Peer("run_list_scheduling.py"),
    "saga": Peer("run_saga.py", ("anrg-saga==2.0.2",)),
}


class InstallError(Exception):
    """A peer could not be installed; the message is the last thing the installer said about it."""


def default_folder() -> Path:
    """Where the virtual environments are kept unless another folder is asked for."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "dispatchgym" / "peers"


def ensure(name: str, folder: Path) -> Path:
    """The interpreter of a peer, installed first where it is not there with the right pins.

    Args:
        name: a key of ``PEERS`` or ``PLANNERS``.
        folder: where the virtual environments are kept.

    Returns:
        Path of the interpreter.

    Raises:
        InstallError: if the virtual environment cannot be made or pip fails.
    """
    requirements = (PEERS | PLANNERS)[name].requirements
    if not requirements:
        return Path(sys.executable)
    home = folder / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Written last, so that an installation that was cut off does not pass for a whole one.
    stamp = home / "dispatchgym-peer.json"
    wanted = json.dumps({"python": platform.python_version(), "requirements": requirements})
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    try:
        venv.create(home, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode:
            raise InstallError(f"install: {error_line(done.stderr)}")
        stamp.write_text(wanted)
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError(f"install: {error}") from error
    return python


def error_line(text: str) -> str:
    """The line of a program's messages that says best why it failed: its last error, or else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR") or "Error:" in line]
    return (errors or lines or ["no message"])[-1]
