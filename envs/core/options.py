"""What the options of all families are made of; imports nothing heavy, so that a command line can list them at once."""

import math
from collections.abc import Iterable
from dataclasses import field

from .errors import OptionError


def option(default, text: str):
    """A field of a family's options, with its help."""
    return field(default=default, metadata={"help": text})


def as_bool(name: str, value) -> bool:
    """A flag as it may come from a command line.

    Raises:
        OptionError: for anything but True and False, also spelt out.
    """
    if str(value) not in ("True", "False"):
        raise OptionError(f"{name} must be True or False, got {value!r}")
    return str(value) == "True"


def as_integer(name: str, value, least: int, most: int) -> int:
    """A whole number as it may come from a command line.

    Raises:
        OptionError: for anything else, and outside of ``least`` to ``most``.
    """
    number = as_number(name, value, least, most)
    if number != int(number):
        raise OptionError(f"{name} must be a whole number from {least} to {most}, got {value!r}")
    return int(number)


def as_number(name: str, value, least: float, most: float) -> float:
    """A number as it may come from a command line.

    Raises:
        OptionError: for anything else, and outside of ``least`` to ``most``.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not least <= number <= most:
        raise OptionError(f"{name} must be a number from {_shown(least)} to {_shown(most)}, got {value!r}")
    return number


def _shown(number: float) -> str:
    """A bound in full, without an exponent where it is a whole number."""
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def one_of(name: str, value, known: Iterable[str]) -> None:
    """Check a choice.

    Raises:
        OptionError: listing what is known.
    """
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def as_delta(value, named: dict[str, float | None]) -> float | None:
    """Width of a choice set of schedules, from 0 (non-delay) to 1 (active), or that of a construction by its name.

    Args:
        value: a name, or a number as it may come from a command line.
        named: widths by name; None where a construction has none.

    Raises:
        OptionError: for anything else, listing the names.
    """
    if isinstance(value, str) and value in named:
        return named[value]
    try:
        width = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        width = math.nan
    if not 0.0 <= width <= 1.0:
        raise OptionError(f"construction must be {', '.join(named)} or a number from 0 to 1, got {value!r}")
    return width
