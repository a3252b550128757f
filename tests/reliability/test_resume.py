"""A run that is killed at any moment goes on to the very weights it would have had."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dispatchgym
from dispatchgym.agents import checkpoint

SCRIPT = Path(dispatchgym.__file__).parent / "train.py"
FLAGS = (
    *("--preset", "smoke", "--timesteps", "3000", "--checkpoint-every", "2", "--evaluate-every", "1000"),
    *("--no-compare", "--device", "cpu"),
)


def start(*words: object) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "job-shop", *map(str, words)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> None:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def kill_when(process: subprocess.Popen, ready, what: str) -> None:
    """SIGKILL as soon as ``ready()``; the process must still be at work then."""
    for _ in range(100_000):
        if ready() or process.poll() is not None:
            break
        time.sleep(0.002)
    assert process.poll() is None, f"it ended before {what}: {process.communicate()[0]}"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def final(run: Path) -> tuple[dict, dict[str, bytes]]:
    header, tensors = checkpoint.read(checkpoint.newest(run))
    counters = {name: header[name] for name in ("iteration", "decisions", "num_timesteps", "n_updates", "config")}
    return counters, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.slow
def test_killed_three_times_it_ends_with_the_same_bits(tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    finish(start(*FLAGS, "--out", straight))

    def whole() -> int:
        return len(list(broken.glob(f"checkpoint-*/{checkpoint.HEADER}")))

    process = start(*FLAGS, "--out", broken)
    kill_when(process, lambda: whole() >= 2, "the second checkpoint")
    reached = [checkpoint.read(checkpoint.newest(broken))[0]["iteration"]]

    process = start("--resume", broken)
    before = set(broken.glob("checkpoint-*"))
    # With luck the folder is there and its files are not.
    kill_when(process, lambda: set(broken.glob("checkpoint-*")) - before, "a checkpoint was begun")
    reached.append(checkpoint.read(checkpoint.newest(broken))[0]["iteration"])

    process = start("--resume", broken)
    present = set(broken.glob("events.*"))
    kill_when(process, lambda: set(broken.glob("events.*")) - present, "training began")
    reached.append(checkpoint.read(checkpoint.newest(broken))[0]["iteration"])

    finish(start("--resume", broken, "--no-compare"))
    total = final(straight)[0]["iteration"]
    assert 0 < reached[0] <= reached[1] <= reached[2] < total
    assert final(broken) == final(straight)
