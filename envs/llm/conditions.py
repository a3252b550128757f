"""The conditions a schedule was made under: what servers do with their memory, and what it claims of their work."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np

from ..core.errors import ScheduleError
from .fields import MAX_SERVERS
from .profiles import profiles

VICTIMS = ("last", "least", "priority")
HIGHEST = {"watermark": 100, "swap_rate": 2**30}
TOTALS = ("iterations", "busy", "block_time", "preemptions")
MAX_TOTAL = 2**63 - 1


@dataclass(frozen=True)
class Conditions:
    """What must be known, besides the instance, to replay a schedule, and what the schedule claims of each server.

    Attributes:
        profile: the name of the profile that every server has, or its TOML file; ``""`` for those of the instance.
        watermark: how much of the memory stays free at an admission while something runs, in percent.
        victim: who is preempted when the memory is full: ``"last"`` admitted, ``"least"`` tokens held, or the largest
            class number (``"priority"``); of equals the last admitted.
        swap_rate: tokens per ms that are moved out at a preemption and back in later; 0 where they are computed again.
        prefix_cache: whether servers keep the beginnings of prompts.
        iterations: how many each server went through.
        busy: us that each server spent in iterations.
        block_time: of each server, blocks of running requests at the start of an iteration times its us, summed.
        preemptions: of each server, stays that ended before their request had finished.

    Raises:
        ScheduleError: when a value is outside of what it accepts, naming it.
    """

    profile: str = ""
    watermark: int = 1
    victim: str = "last"
    swap_rate: int = 0
    prefix_cache: bool = True
    iterations: tuple[int, ...] = ()
    busy: tuple[int, ...] = ()
    block_time: tuple[int, ...] = ()
    preemptions: tuple[int, ...] = ()

    def __post_init__(self):
        if not (isinstance(self.profile, str) and self.profile.endswith(".toml")):
            _known("profile", self.profile, ("", *profiles()))
        _known("victim", self.victim, VICTIMS)
        for key, highest in HIGHEST.items():
            object.__setattr__(self, key, _integer(key, getattr(self, key), highest))
        if not isinstance(self.prefix_cache, bool | np.bool_):
            raise ScheduleError(f"condition 'prefix_cache' must be True or False, got {_short(self.prefix_cache)}")
        object.__setattr__(self, "prefix_cache", bool(self.prefix_cache))
        for key in TOTALS:
            object.__setattr__(self, key, _integers(key, getattr(self, key)))

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
                raise ScheduleError(f"unknown condition {_short(key)}; known: {', '.join(known)}")
        return cls(**conditions)

    def as_dict(self) -> dict[str, object]:
        """The same as plain Python values, for ``Schedule.conditions`` and for JSON; totals are lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def _known(key: str, value, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        names = ", ".join(name or "''" for name in known)
        raise ScheduleError(f"condition {key!r} must be one of {names}, got {_short(value)}")


def _integer(key: str, value, highest: int) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 0 <= value <= highest:
        raise ScheduleError(f"condition {key!r} must be an integer from 0 to {highest}, got {_short(value)}")
    return int(value)


def _integers(key: str, values) -> tuple[int, ...]:
    if isinstance(values, np.ndarray) and values.ndim == 1 and len(values) <= MAX_SERVERS:
        values = values.tolist()
    if not isinstance(values, list | tuple) or len(values) > MAX_SERVERS:
        raise ScheduleError(
            f"condition {key!r} must be a list of at most {MAX_SERVERS} integers, one for each server, "
            f"got {type(values).__name__}"
        )
    return tuple(_integer(key, value, MAX_TOTAL) for value in values)


def _short(value) -> str:
    # to print an integer of more than 4300 digits is an error in itself
    return "a huge number" if isinstance(value, int) and abs(value) >= 2**64 else f"{value!r:.80}"
