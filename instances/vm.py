"""Small VM instances with known optima, presets, and files; what the small ones show is in ``data/vm/SOURCES.md``."""

import csv
from functools import cache
from importlib import resources

from ..envs.core.errors import InstanceError
from ..envs.vm.generator import PRESETS, preset_instance
from ..envs.vm.instance import VMInstance, parse
from ..envs.vm.instance import read as read_file
from .catalogue import Bounds


def names() -> tuple[str, ...]:
    """Names of the instances that come with the package, all of this project."""
    return tuple(manifest())


def groups() -> dict[str, tuple[str, ...]]:
    """All of them are small ones that can be worked through by hand: ``"examples"``."""
    return {"examples": names()}


@cache
def load(name: str) -> VMInstance:
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


def read(path: str) -> VMInstance:
    """The instance of a JSON file of this package or of VMR2L, or of a folder or CSV file of openb."""
    return read_file(path)


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS


def preset(preset: str, seed: int) -> VMInstance:
    """The held-out instance of a preset and seed."""
    return preset_instance(preset, seed)


def bounds(name: str) -> Bounds:
    """Bounds of the fragment rate that 50 migrations can reach."""
    row = manifest()[name]
    return Bounds(float(row["lower"]), float(row["upper"]), row["bounds_source"], row["bounds_date"])


def find(digest: str) -> str | None:
    """The name of an instance's digest, or None."""
    return _by_digest().get(digest)


@cache
def manifest() -> dict[str, dict[str, str]]:
    """The rows of ``manifest.csv`` by name."""
    return {row["name"]: row for row in csv.DictReader(_text("manifest.csv").splitlines())}


@cache
def _by_digest() -> dict[str, str]:
    return {row["digest"]: name for name, row in manifest().items()}


def _text(file: str) -> str:
    return resources.files(__package__).joinpath("data", "vm", file).read_text("utf-8")
