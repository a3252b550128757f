"""The published SoC instances; where their numbers come from stands in ``data/soc/SOURCES.md``."""

from ..envs.soc.generator import PRESETS, preset_instance
from ..envs.soc.instance import parse
from ..envs.soc.instance import read as read
from .shelf import Shelf

SHELF = Shelf("soc", parse)  # bounds of the makespan
names, groups, load, bounds, find = SHELF.names, SHELF.examples, SHELF.load, SHELF.bounds, SHELF.find
preset = preset_instance


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS
