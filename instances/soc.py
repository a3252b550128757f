"""The published SoC instances; where their numbers come from stands in ``data/soc/SOURCES.md``."""

import csv
from functools import cache
from importlib import resources

from ..envs.core.errors import InstanceError
from ..envs.soc.generator import PRESETS, preset_instance
from ..envs.soc.instance import SoCInstance, parse
from ..envs.soc.instance import read as read_file
from .catalogue import Bounds


def names() -> tuple[str, ...]:
    """Names of the published instances: the examples of the papers on HEFT and PEFT, and one of our own."""
    return tuple(manifest())


def groups() -> dict[str, tuple[str, ...]]:
    """All published instances are small ones that papers work through: ``"examples"``."""
    return {"examples": names()}


@cache
def load(name: str) -> SoCInstance:
    """A published instance, read from its file.

    Args:
        name: one of ``names()``.

    Raises:
        InstanceError: if its numbers are not the published ones.
    """
    row = manifest()[name]
    instance = parse(_text(row["data"]), row["data"], name)
    if instance.digest != row["digest"]:
        raise InstanceError(f"digest {instance.digest} is not {row['digest']}: {row['data']} was changed", name)
    return instance


def read(path: str) -> SoCInstance:
    """The instance of a JSON file."""
    return read_file(path)


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS


def preset(preset: str, seed: int) -> SoCInstance:
    """The held-out instance of a preset and seed."""
    return preset_instance(preset, seed)


def bounds(name: str) -> Bounds:
    """Bounds of the makespan of a published instance."""
    row = manifest()[name]
    return Bounds(int(row["lower"]), int(row["upper"]), row["bounds_source"], row["bounds_date"])


def find(digest: str) -> str | None:
    """The published name of an instance's digest, or None."""
    return _by_digest().get(digest)


@cache
def manifest() -> dict[str, dict[str, str]]:
    """The rows of ``manifest.csv`` by name."""
    return {row["name"]: row for row in csv.DictReader(_text("manifest.csv").splitlines())}


@cache
def _by_digest() -> dict[str, str]:
    return {row["digest"]: name for name, row in manifest().items()}


def _text(file: str) -> str:
    return resources.files(__package__).joinpath("data", "soc", file).read_text("utf-8")
