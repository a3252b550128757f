"""The conditions a live schedule was made under: buffers, shutdowns, noise, and the key of all that is drawn."""

from dataclasses import dataclass

from ..core.conditions import Readable, choice, integer, number
from ..core.errors import ScheduleError
from ..core.noise import MAX_SIGMA

BUFFERS = ("unlimited", "none", "swap")  # in the order of the simulator's constants
INTERRUPTED = ("resume", "restart")
NOISES = ("none", "gaussian", "lognormal", "gamma")
MAX_PERCENT = 100_000  # of uptime and repair: a thousand times the mean processing time


@dataclass(frozen=True)
class Conditions(Readable):
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
            choice(key, getattr(self, key), known)
        self.settle("sigma", number("sigma", self.sigma, MAX_SIGMA))
        self.settle("seed", integer("seed", self.seed, -(2**31)))
        for key in ("world", "episode"):
            self.settle(key, integer(key, getattr(self, key), 0))
        for key in ("uptime", "repair"):
            self.settle(key, integer(key, getattr(self, key), 0, MAX_PERCENT))
        if (self.uptime > 0) != (self.repair > 0):
            both = f"got uptime {self.uptime} and repair {self.repair}"
            raise ScheduleError(f"conditions 'uptime' and 'repair' must both be 0 or both be at least 1, {both}")

    @property
    def blocking(self) -> bool:
        """Whether a job that has finished keeps its machine until it can move on."""
        return self.buffers != "unlimited"
