"""Flexible job shops: small ones with known optima, presets and files, and the best known bounds of published files.

The files of Brandimarte and Hurink are not part of the package. They are given by path and recognised by their numbers;
where the bounds come from stands in ``data/flexible_job_shop/SOURCES.md``.
"""

from ..envs.flexible_job_shop.generator import PRESETS, preset_instance
from ..envs.flexible_job_shop.instance import parse
from ..envs.flexible_job_shop.instance import read as read
from .shelf import Shelf

SHELF = Shelf("flexible_job_shop", parse)  # bounds of the makespan
names, groups, load, bounds, find = SHELF.names, SHELF.examples, SHELF.load, SHELF.bounds, SHELF.find
preset = preset_instance


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS
