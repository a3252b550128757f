"""Modules beside this file that several tests of the family use; tests are in no package."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def clockwork(load_module):
    """A slow player of live shops, see the file of this name."""
    return load_module(HERE / "clockwork.py")


@pytest.fixture(scope="session")
def live_shop(load_module):
    """What the simulator of live shops is compared with, see the file of this name."""
    return load_module(HERE / "live_shop.py")
