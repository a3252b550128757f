"""The conditions a live schedule was made under: buffers, shutdowns, noise, and the key of all that is drawn."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np

from ..core.errors import ScheduleError
from ..core.noise import MAX_SIGMA

BUFFERS = ("unlimited", "none", "swap")  # in the order of the simulator's constants
INTERRUPTED = ("resume", "restart")
NOISES = ("none", "gaussian", "lognormal", "gamma")
MAX_PERCENT = 100_000  # of uptime and repair: a thousand times the mean processing time


@dataclass(frozen=True)
class Conditions:
    """What must be known, besides the instance, to judge a schedule of a shop in which time passes.

    Attributes:
        buffers: between machines: one of ``BUFFERS``. ``"unlimited"``: a job that has finished leaves its machine;
            ``"none"``: it keeps it until its next operation starts; ``"swap"``: likewise, but jobs that wait for each
            other's machines in a cycle may exchange them at one moment.
        uptime: mean time a machine is up between shutdowns, in percent of the instance's mean processing time (rounded
            down, at least 1); 0 for machines that are never down.
        repair: mean time a shutdown lasts, in the same unit; 0 exactly where ``uptime`` is.
        interrupted: what a shutdown does to the operation that runs, one of ``INTERRUPTED``: afterwards it goes on
            where it was, or begins anew.
        noise: distribution of the actual processing times around the estimates, one of ``NOISES``.
        sigma: its spread, a share of the estimate, from 0 to ``MAX_SIGMA``.
        seed, world, episode: the key of everything that is drawn. int32 each, and not negative but for the seed.

    Raises:
        ScheduleError: when a value is outside of what it accepts, naming it.
    """

    buffers: str = "unlimited"
    uptime: int = 0
    repair: int = 0
    interrupted: str = "resume"
    noise: str = "none"
    sigma: float = 0.0
    seed: int = 0
    world: int = 0
    episode: int = 0

    def __post_init__(self):
        for key, known in (("buffers", BUFFERS), ("interrupted", INTERRUPTED), ("noise", NOISES)):
            value = getattr(self, key)
            if not isinstance(value, str) or value not in known:
                raise ScheduleError(f"condition {key!r} must be one of {', '.join(known)}, got {value!r}")
        object.__setattr__(self, "sigma", _sigma(self.sigma))
        object.__setattr__(self, "seed", _integer("seed", self.seed, -(2**31)))
        for key in ("world", "episode"):
            object.__setattr__(self, key, _integer(key, getattr(self, key), 0))
        for key in ("uptime", "repair"):
            object.__setattr__(self, key, _integer(key, getattr(self, key), 0, MAX_PERCENT))
        if (self.uptime > 0) != (self.repair > 0):
            both = f"got uptime {self.uptime} and repair {self.repair}"
            raise ScheduleError(f"conditions 'uptime' and 'repair' must both be 0 or both be at least 1, {both}")

    @classmethod
    def read(cls, conditions: "Mapping[str, object] | Conditions | None") -> Self:
        """Read the conditions of a schedule; what is not said has its default, which is that of the classic shop.

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

    @property
    def blocking(self) -> bool:
        """Whether a job that has finished keeps its machine until it can move on."""
        return self.buffers != "unlimited"


def _sigma(value) -> float:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    # a huge Python integer has no float, so the range is asked for first
    if not number or not 0 <= value <= MAX_SIGMA or not math.isfinite(value):
        raise ScheduleError(f"condition 'sigma' must be a number from 0 to {MAX_SIGMA:g}, got {value!r}")
    return float(value)


def _integer(key: str, value, lowest: int, highest: int = 2**31 - 1) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        raise ScheduleError(f"condition {key!r} must be an integer from {lowest} to {highest}, got {value!r}")
    return int(value)
