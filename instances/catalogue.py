"""The catalogue of every family: what a name, a range, a group, a preset or a path stands for.

A family takes part with a module of its own name in this package that has the functions of
``Collection``, named in its entry of the registry. Nothing is read from disk until a name is asked for.
"""

import glob
import importlib
import itertools
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from ..envs.core import registry
from ..envs.core.errors import InstanceError, OptionError, UnknownNameError
from ..envs.core.instance import Instance

MAX_INSTANCES = 100_000  # of one call
MAX_BYTES = 4 * 2**30  # of the arrays of one range of a preset

Loader = Callable[[], Instance]


@dataclass(frozen=True)
class Bounds:
    """Best known bounds of the optimal objective, which is to be minimised.

    Attributes:
        lower: no schedule is better.
        upper: some schedule is this good.
        source: who published them.
        date: when, as year or ISO date.

    Raises:
        OptionError: if the bounds contradict each other.
    """

    lower: int | float
    upper: int | float
    source: str
    date: str

    def __post_init__(self):
        if not self.lower <= self.upper:
            raise OptionError(f"bounds from {self.source}: lower {self.lower} is above upper {self.upper}")

    @property
    def proven(self) -> bool:
        """Whether the optimum is known."""
        return self.lower == self.upper


class Collection(Protocol):
    """What the module of a family in this package offers, as plain functions."""

    def names(self) -> tuple[str, ...]:
        """The published instances, in the order they are listed."""

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of groups to the names in them."""

    def load(self, name: str) -> Instance:
        """The published instance of a name that is in ``names()``."""

    def read(self, path: str) -> Instance:
        """The instance of a file; raises InstanceError."""

    def presets(self) -> tuple[str, ...]:
        """Names of presets worth listing; ``preset`` may know more."""

    def preset(self, preset: str, seed: int) -> Instance:
        """The held-out instance of a preset and seed; raises UnknownNameError, OptionError."""

    def bounds(self, name: str) -> Bounds | None:
        """Best known bounds of a name that is in ``names()``."""

    def find(self, digest: str) -> str | None:
        """The published name of an instance's digest."""


def names(family: str = "job_shop") -> list[str]:
    """The published instances of a family."""
    return list(_collection(family).names())


def presets(family: str = "job_shop") -> list[str]:
    """The presets of a family that instances can be generated from."""
    return list(_collection(family).presets())


def summary(family: str = "job_shop") -> list[str]:
    """Everything that can be asked for, in few words: ranges, single names, presets, files."""
    collection = _collection(family)
    known = _ranges(collection.names())
    for preset in collection.presets()[:1]:
        known.append(f"{preset}:0-99 (PRESET:FIRST-LAST, presets {' '.join(collection.presets())})")
    return [*known, "a file or glob with a path separator or suffix"]


def load(name: str | os.PathLike, family: str = "job_shop") -> Instance:
    """The one instance that a name, ``PRESET:SEED`` or path stands for.

    Args:
        name: as for ``load_many``.
        family: the family.

    Raises:
        UnknownNameError: if the name is not known, listing what is.
        OptionError: if it stands for several instances.
        InstanceError: if it is a path and the file is missing or malformed.
    """
    found = _expand(name, _collection(family), family)
    if len(found) != 1:
        raise OptionError(f"{str(name)!r} stands for {len(found)} instances; load_many takes ranges and groups")
    return found[0]()


def load_many(names: str | os.PathLike | Iterable[str | os.PathLike], family: str = "job_shop") -> list[Instance]:
    """All instances that names stand for, in the order given.

    Each name is looked up as, in this order: a published name (``ta01``); a group (``ta``); a range
    of a group by number (``ta01-10``); ``PRESET:SEED`` or ``PRESET:FIRST-LAST``, instances generated
    from those seeds; an existing file, or anything with a path separator, a suffix or a wildcard.
    A file that is called like a published name is reached as ``./ta01``.

    Args:
        names: one name or several.
        family: the family.

    Raises:
        UnknownNameError: if a name is not known, listing what is.
        OptionError: if a range runs backwards or there are more than ``MAX_INSTANCES`` instances.
        InstanceError: if a file is missing or malformed, or a glob matches nothing.
    """
    loaders: list[Loader] = []
    for name in [names] if isinstance(names, str | os.PathLike) else names:
        loaders += _expand(name, _collection(family), family)
        _check_count(len(loaders))
    return [loader() for loader in loaders]


def bounds(instance: Instance | str, family: str = "job_shop") -> Bounds | None:
    """Best known bounds, or None where none are published.

    An instance is recognised by its numbers and never by its name, so a copy of ``ta01`` in a file
    has the bounds of ``ta01`` and another file of that name has not.

    Args:
        instance: an instance, or a published name.
        family: the family of a name; an instance has its own.

    Raises:
        UnknownNameError: if the name or the family is not known.
    """
    if isinstance(instance, str):
        collection, name = _collection(family), instance
        if name not in collection.names():
            raise UnknownNameError(f"{family} instance", name, _ranges(collection.names()))
    else:
        collection = _collection(instance.family)
        name = collection.find(instance.digest)
    return None if name is None else collection.bounds(name)


def _collection(family: str) -> Collection:
    return importlib.import_module(registry.family(family).instances)


def _expand(name: str | os.PathLike, collection: Collection, family: str) -> list[Loader]:
    """One function for each instance that a name stands for."""
    name = os.fspath(name)
    published = _published(name, collection)
    if published:
        return [partial(collection.load, one) for one in published]
    preset = re.fullmatch(r"([^:/\\]+):([0-9]{1,10})(?:-([0-9]{1,10}))?", name)
    if preset:
        return _preset_range(name, collection, preset[1], int(preset[2]), int(preset[3] or preset[2]))
    files = _files(name)
    if not files:
        raise UnknownNameError(f"{family} instance", name, summary(family))
    return [partial(collection.read, one) for one in files]


def _check_count(count: int) -> None:
    if count > MAX_INSTANCES:
        raise OptionError(f"more than {MAX_INSTANCES} instances asked for")


def _check_order(name: str, first: int, last: int) -> None:
    if first > last:
        raise OptionError(f"range {name!r} runs backwards")


def _published(name: str, collection: Collection) -> tuple[str, ...]:
    """The published names that a name, a group or a range stands for; empty when it is none of them."""
    groups = collection.groups()
    if name in collection.names():
        return (name,)
    if name in groups:
        return groups[name]
    match = re.fullmatch(r"(.*[^0-9])([0-9]{1,10})-(.*[^0-9])?([0-9]{1,10})", name, re.DOTALL)
    if not match or match[1] not in groups or match[3] not in (None, match[1]):
        return ()
    numbers = {_split(one)[1]: one for one in groups[match[1]]}
    first, last = int(match[2]), int(match[4])
    if first not in numbers or last not in numbers:
        return ()
    _check_order(name, first, last)
    return tuple(numbers[number] for number in sorted(numbers) if first <= number <= last)


def _preset_range(name: str, collection: Collection, preset: str, first: int, last: int) -> list[Loader]:
    """The seeds of a preset; the first one is made to learn whether the preset exists and how large it is."""
    _check_order(name, first, last)
    _check_count(last - first + 1)
    size = sum(getattr(value, "nbytes", 0) for value in vars(collection.preset(preset, first)).values())
    if size * (last - first + 1) > MAX_BYTES:
        raise OptionError(f"range {name!r} needs more than {MAX_BYTES // 2**30} GiB of memory")
    return [partial(collection.preset, preset, seed) for seed in range(first, last + 1)]


def _files(name: str) -> list[str]:
    """The files that a path or a glob stands for; empty when it does not look like either."""
    if os.path.exists(name) or not glob.has_magic(name):
        separators = filter(None, (os.sep, os.altsep))
        is_path = os.path.exists(name) or any(one in name for one in separators) or Path(name).suffix
        return [name] if is_path else []
    if "\0" in name:
        raise InstanceError("no file matches", repr(name))
    found = sorted(itertools.islice(filter(os.path.isfile, glob.iglob(name, recursive=True)), MAX_INSTANCES + 1))
    if not found:
        raise InstanceError("no file matches", name)
    _check_count(len(found))
    return found


def _split(name: str) -> tuple[str, int | None]:
    """A name as its group and number."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :]) if len(stem) < len(name) else None


def _ranges(names: Iterable[str]) -> list[str]:
    """Names with runs of consecutive numbers put together, as in ``la01-40``."""
    runs: list[list[str]] = []
    for name in names:
        stem, number = _split(name)
        if runs and number is not None and _split(runs[-1][-1]) == (stem, number - 1):
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1][len(_split(run[-1])[0]) :]}" for run in runs]
