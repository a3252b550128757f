"""Small VM instances with known optima, presets, and files; what the small ones show is in ``data/vm/SOURCES.md``."""

from ..envs.vm.generator import PRESETS, preset_instance
from ..envs.vm.instance import parse
from ..envs.vm.instance import read as read
from .shelf import Shelf

SHELF = Shelf("vm", parse, float)  # bounds of the fragment rate that 50 migrations can reach
names, groups, load, bounds, find = SHELF.names, SHELF.examples, SHELF.load, SHELF.bounds, SHELF.find
preset = preset_instance


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS
