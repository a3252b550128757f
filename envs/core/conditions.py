"""What conditions of schedules have in common: they are read from a dictionary that anybody may have written."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Self

import numpy as np

from .errors import ScheduleError


class Readable:
    """Base of the frozen dataclasses that say what must be known, besides the instance, to judge a schedule."""

    @classmethod
    def read(cls, conditions: "Mapping[str, object] | Self | None") -> Self:
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
                raise ScheduleError(f"unknown condition {short(key)}; known: {', '.join(known)}")
        return cls(**conditions)

    def as_dict(self) -> dict[str, object]:
        """The same as plain Python values, for ``Schedule.conditions`` and for JSON."""
        return asdict(self)

    def settle(self, key: str, value: object) -> None:
        """Give a field its value while the instance is made."""
        object.__setattr__(self, key, value)


def short(value) -> str:
    """A value for a message, which must not be long: to print an integer of over 4300 digits is an error in itself."""
    return "a huge number" if isinstance(value, int) and abs(value) >= 2**64 else f"{value!r:.80}"


def choice(key: str, value, known: tuple[str, ...]) -> str:
    """One of the names that are known.

    Raises:
        ScheduleError: for anything else.
    """
    if not isinstance(value, str) or value not in known:
        names = ", ".join(name or "''" for name in known)
        raise ScheduleError(f"condition {key!r} must be one of {names}, got {short(value)}")
    return value


def flag(key: str, value) -> bool:
    """True or False.

    Raises:
        ScheduleError: for anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise ScheduleError(f"condition {key!r} must be True or False, got {short(value)}")
    return bool(value)


def integer(key: str, value, lowest: int, highest: int = 2**31 - 1) -> int:
    """A whole number in a range.

    Raises:
        ScheduleError: for anything else.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        raise ScheduleError(f"condition {key!r} must be an integer from {lowest} to {highest}, got {short(value)}")
    return int(value)


def number(key: str, value, highest: float, of: str = "") -> float:
    """A number from 0 to ``highest``.

    Args:
        key, value: the condition.
        highest: that it may be.
        of: what that depends on, for the message.

    Raises:
        ScheduleError: for anything else.
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    # a huge Python integer has no float, so the range is asked for first
    if not real or not 0 <= value <= highest or not math.isfinite(value):
        raise ScheduleError(f"condition {key!r} must be a number from 0 to {highest:g}{of}, got {short(value)}")
    return float(value)
