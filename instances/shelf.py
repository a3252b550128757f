"""The instances of a family that come with the package: files of its folder in ``data``, listed in ``manifest.csv``."""

import csv
from collections.abc import Callable
from functools import cache, cached_property
from importlib import resources

from ..envs.core.errors import InstanceError
from ..envs.core.instance import Instance
from .catalogue import Bounds

Table = dict[str, dict[str, str]]


class Shelf:
    """What a family's module in this package hands out; see ``catalogue.Collection``.

    Args:
        family: name of the folder.
        parse: reads an instance from (text, where, name).
        number: what bounds are: int, or float.
    """

    def __init__(self, family: str, parse: Callable[[str, str, str], Instance], number: type = int):
        self.family, self.parse, self.number = family, parse, number
        self.load = cache(self.make)

    def names(self) -> tuple[str, ...]:
        """Names of the instances that come with the package; a row without data is about a file of somebody else."""
        return tuple(name for name, row in self.manifest.items() if row["data"])

    def examples(self) -> dict[str, tuple[str, ...]]:
        """All of them as one group, of small ones that can be worked through by hand."""
        return {"examples": self.names()}

    def make(self, name: str) -> Instance:
        """An instance, made from its row of the manifest; ``load`` keeps what it made.

        Args:
            name: one of ``names()``.

        Raises:
            InstanceError: if its numbers are not those of the manifest.
        """
        row = self.manifest[name]
        instance = self.made_from(row, name)
        if instance.digest != row["digest"]:
            raise InstanceError(f"digest {instance.digest} is not {row['digest']}: {row['data']} was changed", name)
        return instance

    def made_from(self, row: dict[str, str], name: str) -> Instance:
        """The instance of a row: what its file says."""
        return self.parse(self.text(row["data"]), row["data"], name)

    def bounds(self, name: str) -> Bounds:
        """Best known bounds of the objective, of every name in the manifest."""
        row = self.manifest[name]
        return Bounds(self.number(row["lower"]), self.number(row["upper"]), row["bounds_source"], row["bounds_date"])

    def find(self, digest: str) -> str | None:
        """The name of an instance's digest, or None."""
        return self._by_digest.get(digest)

    @cached_property
    def manifest(self) -> Table:
        """The rows of ``manifest.csv`` by name."""
        return self.table("manifest.csv")

    @cached_property
    def _by_digest(self) -> dict[str, str]:
        return {row["digest"]: name for name, row in self.manifest.items()}

    def table(self, file: str) -> Table:
        """The rows of a CSV file of the folder by name."""
        return {row["name"]: row for row in csv.DictReader(self.text(file).splitlines())}

    def text(self, file: str) -> str:
        """A file of the folder."""
        return resources.files(__package__).joinpath("data", self.family, file).read_text("utf-8")
