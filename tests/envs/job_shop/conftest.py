"""Modules beside this file that several tests of the family use; tests are in no package."""

import importlib.util
from pathlib import Path

import pytest


def module_beside(name: str):
    spec = importlib.util.spec_from_file_location(f"job_shop_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def clockwork():
    """A slow player of live shops, see the file of this name."""
    return module_beside("clockwork")


@pytest.fixture(scope="session")
def live_shop():
    """What the simulator of live shops is compared with, see the file of this name."""
    return module_beside("live_shop")
