"""Small LLM instances with known optima, presets, and files; what the small ones show is in ``data/llm/SOURCES.md``."""

from ..envs.llm.generator import PRESETS, preset_instance
from ..envs.llm.instance import parse
from ..envs.llm.instance import read as read
from .shelf import Shelf

SHELF = Shelf("llm", parse, float)  # bounds of seconds, or of a share of the requests
names, groups, load, bounds, find = SHELF.names, SHELF.examples, SHELF.load, SHELF.bounds, SHELF.find
preset = preset_instance


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS
