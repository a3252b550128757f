"""The conditions a schedule was made under: the noise, how transfers are timed, and what they share."""

from dataclasses import dataclass

from ..core.conditions import Readable, choice, flag, integer, number
from ..core.noise import MAX_SIGMA, MAX_SIGMA_READYS, NOISES

ROUNDINGS = ("up", "down")


@dataclass(frozen=True)
class Conditions(Readable):
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
            choice(key, getattr(self, key), known)
        highest = MAX_SIGMA_READYS if self.noise == "readys" else MAX_SIGMA
        self.settle("sigma", number("sigma", self.sigma, highest, f" for {self.noise!r}"))
        self.settle("seed", integer("seed", self.seed, -(2**31)))
        for key in ("world", "episode", "wip_cap"):
            self.settle(key, integer(key, getattr(self, key), 0))
        self.settle("shared_bus", flag("shared_bus", self.shared_bus))
