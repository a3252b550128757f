"""The table of families: where each one keeps its rooms, as names that are imported on first use.

Nothing here imports Gymnasium, torch or Warp, so that ``import dispatchgym`` stays light.
"""

import importlib
import os
from dataclasses import dataclass, field, fields
from functools import cached_property

from .errors import OptionError, UnknownNameError


@dataclass(frozen=True)
class Family:
    """One problem family and where its parts are.

    Attributes:
        name: as in ``Instance.family``, with underscores.
        naive: the rule of those who have thought of nothing, for comparisons.
        package: dotted name of the folder that holds its rooms.
        instances: dotted name of the module with its catalogue.
        baselines: dotted name of the module with its rules and solvers.
        environments: Gymnasium ids, each with the keyword arguments that set it apart.
        differences: objectives are rates that may be 0, so gaps are differences of them, in points; else they are
            relative.
    """

    name: str
    naive: str
    package: str
    instances: str
    baselines: str
    environments: dict[str, dict] = field(default_factory=dict)
    differences: bool = False

    def gap(self, value: float, reference: float, scale: float | None = None) -> float | None:
        """How far a value is above a reference: 0.18 is 18 %, or 18 points; None where the reference says nothing.

        Args:
            value, reference: of the objective.
            scale: of an instance whose objective may be 0: gaps are differences as a share of it.
        """
        if scale is not None:
            return (value - reference) / scale
        if self.differences:
            return value - reference
        return value / reference - 1 if reference else None

    def room(self, name: str):
        """Import one room, such as ``"simulator"``."""
        return importlib.import_module(f"{self.package}.{name}")

    @property
    def command(self) -> str:
        """How the command lines spell the family."""
        return self.name.replace("_", "-")

    @cached_property
    def model(self):
        """The class that turns instances and options into a simulation."""
        return self.room("model").Model

    @cached_property
    def options(self):
        """The dataclass of the family's options."""
        return self.room("options").Options

    def make_options(self, **given):
        """The family's options from keyword arguments.

        Raises:
            OptionError: for an unknown option, listing the known ones, or a value outside of what it accepts.
        """
        known = [entry.name for entry in fields(self.options)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise OptionError(f"unknown option {unknown[0]!r} of {self.name}; known: {', '.join(known)}")
        return self.options(**given)

    def nominal(self, **given) -> bool:
        """Whether the instance is what it says under these options, so that its published bounds hold."""
        options, default = self.make_options(**given), self.make_options()
        return all(getattr(options, name) == getattr(default, name) for name in self.options.world)

    def check(self, instance, schedule):
        """All violations of a schedule, see the family's validator."""
        return self.room("validator").check(instance, schedule)

    def metrics(self, instance, schedule):
        """The objectives and statistics of a schedule, see the family's validator."""
        return self.room("validator").metrics(instance, schedule)

    @cached_property
    def policies(self):
        """Everything that can be named after ``--policies``: rules and solvers by name."""
        return importlib.import_module(self.baselines).POLICIES


_FAMILIES: dict[str, Family] = {}


def register(entry: Family) -> None:
    """Add a family; a name can be taken once."""
    if entry.name in _FAMILIES:
        raise ValueError(f"family {entry.name!r} is registered already")
    _FAMILIES[entry.name] = entry


def family(name: str) -> Family:
    """Look a family up by its name, with underscores or dashes.

    Raises:
        UnknownNameError: naming the families there are.
    """
    try:
        return _FAMILIES[name.replace("-", "_")]
    except KeyError:
        raise UnknownNameError("family", name, _FAMILIES) from None


def families() -> list[Family]:
    """All families, in the order of registration."""
    return list(_FAMILIES.values())


def instances(source, family_name: str) -> list:
    """Turn a name, a file, an instance, or a sequence of these into instances.

    The catalogue stands above the families, so it is found by its name here and not imported.

    Raises:
        UnknownNameError: if a name is not in the catalogue.
        InstanceError: if a file is malformed.
        OptionError: if it is something else, or belongs to another family.
    """
    if isinstance(source, (str, os.PathLike)):
        catalogue = importlib.import_module("dispatchgym.instances.catalogue")
        return catalogue.load_many([os.fspath(source)], family_name)
    if getattr(source, "family", None) == family_name:
        return [source]
    if isinstance(source, (list, tuple)) and source:
        return [instance for part in source for instance in instances(part, family_name)]
    raise OptionError(f"expected a {family_name} instance, its name, a file or a sequence of these, got {source!r}")


def bounds(instance):
    """Best known bounds of a published instance, with ``lower`` and ``upper``; None for any other."""
    return importlib.import_module("dispatchgym.instances.catalogue").bounds(instance, instance.family)
