"""Modules beside this file that several tests of the family use."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def clockwork():
    """A slow player of live shops, see the file of this name; tests are in no package."""
    spec = importlib.util.spec_from_file_location("job_shop_clockwork", Path(__file__).with_name("clockwork.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
