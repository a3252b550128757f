"""Benchmarks are scripts, no part of the package: they are imported as the interpreter does that runs one of them."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def script():
    """Imports a benchmark, or a script for other environments, by its name: ``script("report")``."""
    folders = [str(FOLDER), str(FOLDER / "peers")]
    sys.path[:0] = folders
    yield importlib.import_module
    for folder in folders:
        sys.path.remove(folder)
