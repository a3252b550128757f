"""The conditions a schedule was made under: how many moves, what counts as a fragment, and how long copies take."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np

from ..core.errors import ScheduleError

HIGHEST = {
    "mnl": 10_000,
    "weight_64": 100,
    "weight_memory": 100,
    "latency": 2**30,
    "copy_rate": 2**30,
}


@dataclass(frozen=True)
class Conditions:
    """What must be known, besides the instance, to judge moves and to say what they are worth.

    Attributes:
        mnl: the migration number limit: no more migrations and evictions than this, 0 to 10,000.
        weight_64: how much of the fragment rate is FR-64, in percent.
        weight_memory: how much of it is the fragments of memory, in percent. What is left to 100 is FR-16.
        migration_cost: added to the objective for each migration, 0 to 1.
        constraints: whether pins, drained hosts and anti-affinity groups count; capacities always do.
        latency: from a decision to when it is carried out, in ms; where time runs.
        copy_rate: how much memory a migration copies, in MB/s, where time runs; 0 for copies that take no time.

    Raises:
        ScheduleError: when a value is outside of what it accepts, naming it.
    """

    mnl: int = 50
    weight_64: int = 0
    weight_memory: int = 0
    migration_cost: float = 0.0
    constraints: bool = True
    latency: int = 0
    copy_rate: int = 0

    def __post_init__(self):
        for key, highest in HIGHEST.items():
            object.__setattr__(self, key, _integer(key, getattr(self, key), highest))
        if self.weight_64 + self.weight_memory > 100:
            raise ScheduleError(
                f"conditions 'weight_64' and 'weight_memory' are shares of 100 percent, "
                f"got {self.weight_64} and {self.weight_memory}"
            )
        object.__setattr__(self, "migration_cost", _share("migration_cost", self.migration_cost))
        if not isinstance(self.constraints, bool | np.bool_):
            raise ScheduleError(f"condition 'constraints' must be True or False, got {self.constraints!r:.80}")
        object.__setattr__(self, "constraints", bool(self.constraints))

    @classmethod
    def read(cls, conditions: "Mapping[str, object] | Conditions | None") -> Self:
        """Read the conditions of a schedule; what is not said has its default.

        Args:
            conditions: values by the names of the attributes, as in ``Schedule.conditions``.

        Raises:
            ScheduleError: when a name is not known or a value is outside of what it accepts, naming it.
        """
        if isinstance(conditions, cls):
            return conditions
        if conditions is None:
            return cls()
        if not isinstance(conditions, Mapping):
            raise ScheduleError(f"conditions must be a dictionary, got {type(conditions).__name__}")
        known = [field.name for field in fields(cls)]
        for key in conditions:
            if key not in known:
                raise ScheduleError(f"unknown condition {key!r}; known: {', '.join(known)}")
        return cls(**conditions)

    def as_dict(self) -> dict[str, object]:
        """The same as plain Python values, for ``Schedule.conditions`` and for JSON."""
        return asdict(self)


def _integer(key: str, value, highest: int) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 0 <= value <= highest:
        raise ScheduleError(f"condition {key!r} must be an integer from 0 to {highest}, got {_short(value)}")
    return int(value)


def _share(key: str, value) -> float:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    # a huge Python integer has no float, so the range is asked for first
    if not number or not 0 <= value <= 1 or not math.isfinite(value):
        raise ScheduleError(f"condition {key!r} must be a number from 0 to 1, got {_short(value)}")
    return float(value)


def _short(value) -> str:
    # to print an integer of more than 4300 digits is an error in itself
    return "a huge number" if isinstance(value, int) and abs(value) >= 2**64 else f"{value!r:.80}"
