"""The conditions a schedule was made under: what servers do with their memory, and what it claims of their work."""

from dataclasses import dataclass

import numpy as np

from ..core.conditions import Readable, choice, flag, integer
from ..core.errors import ScheduleError
from .fields import MAX_SERVERS
from .profiles import profiles

VICTIMS = ("last", "least", "priority")
HIGHEST = {"watermark": 100, "swap_rate": 2**30}
TOTALS = ("iterations", "busy", "block_time", "preemptions")
MAX_TOTAL = 2**63 - 1


@dataclass(frozen=True)
class Conditions(Readable):
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
            choice("profile", self.profile, ("", *profiles()))
        choice("victim", self.victim, VICTIMS)
        for key, highest in HIGHEST.items():
            self.settle(key, integer(key, getattr(self, key), 0, highest))
        self.settle("prefix_cache", flag("prefix_cache", self.prefix_cache))
        for key in TOTALS:
            self.settle(key, _integers(key, getattr(self, key)))

    def as_dict(self) -> dict[str, object]:
        """The same as plain Python values, for ``Schedule.conditions`` and for JSON; totals are lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in super().as_dict().items()}


def _integers(key: str, values) -> tuple[int, ...]:
    if isinstance(values, np.ndarray) and values.ndim == 1 and len(values) <= MAX_SERVERS:
        values = values.tolist()
    if not isinstance(values, list | tuple) or len(values) > MAX_SERVERS:
        raise ScheduleError(
            f"condition {key!r} must be a list of at most {MAX_SERVERS} integers, one for each server, "
            f"got {type(values).__name__}"
        )
    return tuple(integer(key, value, 0, MAX_TOTAL) for value in values)
