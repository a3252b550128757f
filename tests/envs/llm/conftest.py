"""Modules beside this file that several tests of the family use."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _module(name: str):
    """A module beside this file; tests are in no package."""
    spec = importlib.util.spec_from_file_location(f"llm_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def naive():
    """The whole statement played slowly, see the file of this name."""
    return _module("naive")


@pytest.fixture(scope="session")
def cases():
    """Random small worlds, see the file of this name."""
    return _module("cases")


@pytest.fixture(scope="session")
def plain_play():
    """A slow player in plain Python, see the file of this name."""
    return _module("plain_play")


@pytest.fixture(scope="session")
def recount():
    """What is kept, counted anew, see the file of this name."""
    return _module("recount")


@pytest.fixture(scope="session")
def expected():
    """What is to be shown, see the file of this name."""
    return _module("expected")
