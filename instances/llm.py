"""Small LLM instances with known optima, presets, and files; what the small ones show is in ``data/llm/SOURCES.md``."""

import csv
from functools import cache
from importlib import resources

from ..envs.core.errors import InstanceError
from ..envs.llm.generator import PRESETS, preset_instance
from ..envs.llm.instance import LLMInstance, parse
from ..envs.llm.instance import read as read_file
from .catalogue import Bounds


def names() -> tuple[str, ...]:
    """Names of the instances that come with the package, all of this project."""
    return tuple(manifest())


def groups() -> dict[str, tuple[str, ...]]:
    """All of them are small ones that can be worked through by hand: ``"examples"``."""
    return {"examples": names()}


@cache
def load(name: str) -> LLMInstance:
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


def read(path: str) -> LLMInstance:
    """The instance of a JSON file of this package, or of a trace in a CSV or JSON lines file."""
    return read_file(path)


def presets() -> tuple[str, ...]:
    """Presets worth listing; ``preset`` takes any of their forms."""
    return PRESETS


def preset(preset: str, seed: int) -> LLMInstance:
    """The held-out instance of a preset and seed."""
    return preset_instance(preset, seed)


def bounds(name: str) -> Bounds:
    """Bounds of the objective: seconds, or a share of the requests."""
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
    return resources.files(__package__).joinpath("data", "llm", file).read_text("utf-8")
