"""Modules beside this file that several tests of the family use."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def naive(load_module):
    """The whole statement played slowly, see the file of this name."""
    return load_module(HERE / "naive.py")


@pytest.fixture(scope="session")
def cases(load_module):
    """Random small worlds, see the file of this name."""
    return load_module(HERE / "cases.py")


@pytest.fixture(scope="session")
def plain_play(load_module):
    """A slow player in plain Python, see the file of this name."""
    return load_module(HERE / "plain_play.py")


@pytest.fixture(scope="session")
def recount(load_module):
    """What is kept, counted anew, see the file of this name."""
    return load_module(HERE / "recount.py")


@pytest.fixture(scope="session")
def expected(load_module):
    """What is to be shown, see the file of this name."""
    return load_module(HERE / "expected.py")
