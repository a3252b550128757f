"""The same seed does the same in every process, and what the environments do changes only on purpose."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def here():
    return runpy.run_path(str(GOLDEN / "trace.py"))["traces"]()


def test_a_fresh_process_with_another_hash_seed_does_the_same(here):
    salt = "4242" if os.environ.get("PYTHONHASHSEED") != "4242" else "0"
    environment = dict(os.environ, PYTHONHASHSEED=salt, OMP_NUM_THREADS="1")
    answer = subprocess.run(
        [sys.executable, str(GOLDEN / "trace.py")], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == here


def test_dynamics_change_only_on_purpose(here):
    kept = json.loads((GOLDEN / "traces.json").read_text("utf-8"))
    changed = [name for name, hashes in here.items() if kept.get(name) != hashes["decisions"]]
    assert not changed and kept.keys() == here.keys(), (
        f"the dynamics of {changed} differ from tests/golden/traces.json; if that is meant, bump the version in the "
        "environment's id, say so in CHANGELOG.md and run: python tests/golden/trace.py write"
    )


def test_traces_tell_the_settings_apart(here):
    assert len({tuple(hashes.values()) for hashes in here.values()}) == len(here)
