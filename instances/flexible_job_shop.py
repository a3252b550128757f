"""Flexible job shops: small ones with known optima, presets and files, and the best known bounds of published files.

The files of Brandimarte and Hurink are not part of the package. They are given by path and recognised by their numbers;
where the bounds come from stands in ``data/flexible_job_shop/SOURCES.md``.
"""

import csv
from functools import cache
from importlib import resources

from ..envs.core.errors import InstanceError
from ..envs.flexible_job_shop.generator import PRESETS, preset_instance
from ..envs.flexible_job_shop.instance import FlexibleJobShopInstance, parse
from ..envs.flexible_job_shop.instance import read as read_file
from .catalogue import Bounds


def names() -> tuple[str, ...]:
    """Names of the instances that come with the package, all of this project."""
    return tuple(name for name, row in manifest().items() if row["data"])


def groups() -> dict[str, tuple[str, ...]]:
    """All of them are small ones that can be worked through by hand: ``"examples"``."""
    return {"examples": names()}


@cache
def load(name: str) -> FlexibleJobShopInstance:
    """An instance that comes with the package, read from its file.

    Args:
        name: one of ``names()``.

    Raises:
        InstanceError: if its numbers are not those of the manifest.
    """
    row = manifest()[name]
    instance = parse(_text(row["data"]), row["data"], name)
    if instance.digest != row["digest"]:
        raise InstanceError(f"digest {instance.digest} is not {row['digest']}: {row['data']} was changed", name)
    return instance


def read(path: str) -> FlexibleJobShopInstance:
    """The instance of an ``.fjs`` file, whatever its suffix."""
    return read_file(path)


def presets() -> tuple[str, ...]:
    """The customary sizes; ``preset`` takes any."""
    return PRESETS


def preset(preset: str, seed: int) -> FlexibleJobShopInstance:
    """The held-out instance of a preset and seed."""
    return preset_instance(preset, seed)


def bounds(name: str) -> Bounds:
    """Best known bounds of the makespan, of instances of the package and of published files by their name there."""
    row = manifest()[name]
    return Bounds(int(row["lower"]), int(row["upper"]), row["bounds_source"], row["bounds_date"])


def find(digest: str) -> str | None:
    """The name of an instance's digest, such as ``"mk01"`` or ``"la01_edata"``, or None."""
    return _by_digest().get(digest)


@cache
def manifest() -> dict[str, dict[str, str]]:
    """The rows of ``manifest.csv`` by name."""
    return {row["name"]: row for row in csv.DictReader(_text("manifest.csv").splitlines())}


@cache
def _by_digest() -> dict[str, str]:
    return {row["digest"]: name for name, row in manifest().items()}


def _text(file: str) -> str:
    return resources.files(__package__).joinpath("data", "flexible_job_shop", file).read_text("utf-8")
