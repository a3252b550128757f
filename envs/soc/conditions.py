"""The conditions a schedule was made under: the noise, how transfers are timed, and what they share."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np

from ..core.errors import ScheduleError
from ..core.noise import MAX_SIGMA, MAX_SIGMA_READYS, NOISES

ROUNDINGS = ("up", "down")


@dataclass(frozen=True)
class Conditions:
    """What must be known, besides the instance, to say how long tasks and transfers take.

    Attributes:
        noise: distribution of the actual execution times, one of ``NOISES``; see ``noise.py``.
        sigma: its spread: a share of the estimate, from 0 to ``MAX_SIGMA``; of ``"readys"`` time units, from 0 to
            ``MAX_SIGMA_READYS``.
        seed, world, episode: the key of the noise: what was drawn is a function of these, the job, the task and the
            processing element. int32 each, and not negative but for the seed.
        rounding: a fraction of a time unit of a transfer counts as one (``"up"``) or is dropped (``"down"``).
        shared_bus: transfers between different processing elements take turns on one bus.
        wip_cap: no more jobs than this are in the system at a time; 0 for no limit.

    Raises:
        ScheduleError: when a value is outside of what it accepts, naming it.
    """

    noise: str = "none"
    sigma: float = 0.0
    seed: int = 0
    world: int = 0
    episode: int = 0
    rounding: str = "up"
    shared_bus: bool = False
    wip_cap: int = 0

    def __post_init__(self):
        for key, known in (("noise", NOISES), ("rounding", ROUNDINGS)):
            value = getattr(self, key)
            if not isinstance(value, str) or value not in known:
                raise ScheduleError(f"condition {key!r} must be one of {', '.join(known)}, got {value!r}")
        object.__setattr__(self, "sigma", _sigma(self.sigma, self.noise))
        object.__setattr__(self, "seed", _integer("seed", self.seed, -(2**31)))
        for key in ("world", "episode", "wip_cap"):
            object.__setattr__(self, key, _integer(key, getattr(self, key), 0))
        if not isinstance(self.shared_bus, bool | np.bool_):
            raise ScheduleError(f"condition 'shared_bus' must be True or False, got {self.shared_bus!r}")
        object.__setattr__(self, "shared_bus", bool(self.shared_bus))

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


def _sigma(value, noise: str) -> float:
    highest = MAX_SIGMA_READYS if noise == "readys" else MAX_SIGMA
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    # a huge Python integer has no float, so the range is asked for first
    if not number or not 0 <= value <= highest or not math.isfinite(value):
        raise ScheduleError(f"condition 'sigma' must be a number from 0 to {highest:g} for {noise!r}, got {value!r}")
    return float(value)


def _integer(key: str, value, lowest: int) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not lowest <= value < 2**31:
        raise ScheduleError(f"condition {key!r} must be an integer from {lowest} to {2**31 - 1}, got {value!r}")
    return int(value)
