"""The published job shop instances; where their numbers come from stands in ``data/job_shop/SOURCES.md``."""

import csv
from functools import cache
from importlib import resources

from ..envs.core.errors import InstanceError
from ..envs.job_shop.generator import PRESETS, demirkol, preset_instance, taillard
from ..envs.job_shop.instance import JobShopInstance, parse
from ..envs.job_shop.instance import read as read_file
from .catalogue import Bounds


def names() -> tuple[str, ...]:
    """Names of the published instances: ft, la, abz, orb, swv, yn, ta, dmu."""
    return tuple(manifest())


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """The sets that the instances were published in: ``ta`` to ``ta01`` ... ``ta80``."""
    found: dict[str, list[str]] = {}
    for name in names():
        found.setdefault(name.rstrip("0123456789"), []).append(name)
    return {group: tuple(members) for group, members in found.items()}


@cache
def load(name: str) -> JobShopInstance:
    """A published instance, read from its file or made from its seeds.

    Args:
        name: one of ``names()``.

    Raises:
        InstanceError: if its numbers are not the published ones.
    """
    row = manifest()[name]
    instance = _from_seeds(name) if row["data"] == "seeds.csv" else parse(_text(row["data"]), row["data"], name)
    if instance.digest != row["digest"]:
        raise InstanceError(f"digest {instance.digest} is not {row['digest']}: {row['data']} was changed", name)
    return instance


def read(path: str) -> JobShopInstance:
    """The instance of a file in the standard or Taillard format."""
    return read_file(path)


def presets() -> tuple[str, ...]:
    """The customary sizes; ``preset`` takes any."""
    return PRESETS


def preset(preset: str, seed: int) -> JobShopInstance:
    """The held-out random instance of a size and seed."""
    return preset_instance(preset, seed)


def bounds(name: str) -> Bounds:
    """Best known bounds of the makespan of a published instance."""
    row = manifest()[name]
    return Bounds(int(row["lower"]), int(row["upper"]), row["bounds_source"], row["bounds_date"])


def find(digest: str) -> str | None:
    """The published name of an instance's digest, or None."""
    return _by_digest().get(digest)


@cache
def manifest() -> dict[str, dict[str, str]]:
    """The rows of ``manifest.csv`` by name."""
    return _table("manifest.csv")


@cache
def _seeds() -> dict[str, dict[str, str]]:
    return _table("seeds.csv")


@cache
def _by_digest() -> dict[str, str]:
    return {row["digest"]: name for name, row in manifest().items()}


def _from_seeds(name: str) -> JobShopInstance:
    row = _seeds()[name]
    jobs, machines, seed = int(row["jobs"]), int(row["machines"]), int(row["seed"])
    if row["rule"] == "taillard":
        return taillard(jobs, machines, seed, int(row["machine_seed"]), name)
    return demirkol(jobs, machines, seed, row["rule"] == "demirkol-two-sets", name)


def _table(file: str) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in csv.DictReader(_text(file).splitlines())}


def _text(file: str) -> str:
    return resources.files(__package__).joinpath("data", "job_shop", file).read_text("utf-8")
