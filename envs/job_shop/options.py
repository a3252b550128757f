"""The choices that make a job shop environment; imports nothing heavy, so that a command line can list them at once."""

from dataclasses import dataclass
from typing import ClassVar

from ..core.errors import OptionError
from ..core.noise import MAX_SIGMA
from ..core.options import as_bool, as_delta, as_integer, as_number, one_of, option
from .conditions import BUFFERS, INTERRUPTED, MAX_PERCENT, NOISES

CONSTRUCTIONS = {"non-delay": 0.0, "active": 1.0, "insertion": None, "wait": 0.0}
OBSERVATIONS = ("jobs", "operations")
LIVE_CONSTRUCTIONS = ("non-delay", "wait")
KNOWN = ("all", "operations")
MAX_QUANTUM = 2**28


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts.
    """

    world: ClassVar[frozenset[str]] = frozenset(
        {"buffers", "uptime", "repair", "interrupted", "noise", "sigma", "reveal", "preemptive", "known"}
    )

    construction: str | float = option(
        "active",
        "which jobs may be chosen: non-delay, active, insertion, wait, or a number from 0 (non-delay) to 1 (active); "
        "live: non-delay or wait (what active stands for)",
    )
    forced_moves: bool = option(
        True, "the simulator applies moves that have no alternative; False shows every operation to the policy"
    )
    observation: str = option(
        "jobs", "the graph: jobs (a node per job, its route on the edges) or operations (the disjunctive graph)"
    )
    buffers: str = option(
        "unlimited",
        "between machines: unlimited, none (a finished job keeps its machine), swap (none; cycles may move)",
    )
    uptime: int = option(
        0, "live: mean time between shutdowns of a machine, percent of the mean processing time; 0: never"
    )
    repair: int = option(0, "live: mean time that a shutdown lasts, the same unit")
    interrupted: str = option("resume", "what a shutdown does to the operation that runs: resume, or restart it")
    noise: str = option("none", "on processing times: none, gaussian, lognormal, gamma")
    sigma: float = option(0.0, "spread of the noise, a share of the estimate")
    reveal: bool = option(False, "live and preemptive: jobs are unknown before their release")
    safety: bool = option(True, "buffers none: only moves after which the shop can be emptied; False: deadlocks happen")
    preemptive: bool = option(
        False, "one machine may be taken away from a job at any event; an action says which job runs until the next one"
    )
    quantum: int = option(0, "preemptive: the longest time a job runs until the next decision; 0: until an event")
    known: str = option(
        "all", "preemptive: lengths that are known, all or operations (of each job that of its operation at hand alone)"
    )

    def __post_init__(self):
        for name in ("forced_moves", "reveal", "safety", "preemptive"):
            object.__setattr__(self, name, as_bool(name, getattr(self, name)))
        as_delta(self.construction, CONSTRUCTIONS)
        for name, known in (
            ("observation", OBSERVATIONS), ("buffers", BUFFERS), ("interrupted", INTERRUPTED), ("noise", NOISES),
            ("known", KNOWN),
        ):  # fmt: skip
            one_of(name, getattr(self, name), known)
        for name, most in (("uptime", MAX_PERCENT), ("repair", MAX_PERCENT), ("quantum", MAX_QUANTUM)):
            object.__setattr__(self, name, as_integer(name, getattr(self, name), 0, most))
        object.__setattr__(self, "sigma", as_number("sigma", self.sigma, 0, MAX_SIGMA))
        self._check_live()
        self._check_preemptive()

    def _check_live(self) -> None:
        """Refuse what cannot be had at the same time, or in a live shop."""
        if self.sigma > 0 and self.noise == "none":
            raise OptionError("sigma needs a noise: give --noise gaussian, or another")
        if (self.uptime > 0) != (self.repair > 0):
            raise OptionError(
                f"uptime and repair go together, both 0 or both at least 1, got {self.uptime} and {self.repair}"
            )
        if self.interrupted != "resume" and self.uptime == 0:
            raise OptionError(f"interrupted {self.interrupted} needs shutdowns: give --uptime and --repair")
        if not self.live:
            return
        live = f"a live shop ({', '.join(self._events())})"
        if self.construction not in (*LIVE_CONSTRUCTIONS, "active"):
            raise OptionError(
                f"construction in {live} must be {' or '.join(LIVE_CONSTRUCTIONS)}, got {self.construction!r}"
            )
        if self.observation != "jobs":
            raise OptionError(f"observation in {live} must be jobs, got {self.observation!r}")

    def _check_preemptive(self) -> None:
        """Refuse what says nothing with, or without, preemption."""
        if not self.preemptive:
            given = {"quantum": self.quantum != 0, "known": self.known != "all"}
            for name in (name for name, used in given.items() if used):
                raise OptionError(f"{name} {getattr(self, name)!r} says nothing without preemptive")
            return
        if self.construction not in ("active", "non-delay") or self.observation != "jobs":
            raise OptionError(
                "preemptive builds no schedule by construction and is seen as jobs: leave construction at active or "
                f"non-delay and observation at jobs, got {self.construction!r} and {self.observation!r}"
            )
        others = [name for name in self._events() if name != "reveal"]
        if others:
            raise OptionError(f"preemptive knows no {others[0]}: leave it out")

    def _events(self) -> list[str]:
        """What makes it a live shop."""
        named = {
            f"buffers {self.buffers}": self.buffers != "unlimited", f"uptime {self.uptime}": self.uptime > 0,
            f"noise {self.noise}": self.noise != "none", "reveal": self.reveal,
        }  # fmt: skip
        return [name for name, holds in named.items() if holds]

    @property
    def live(self) -> bool:
        """Whether time passes, since something happens that a planner cannot place as it likes."""
        return bool(self._events()) and not self.preemptive

    @property
    def delta(self) -> float | None:
        """Width of the choice set from 0 to 1, or None for insertion."""
        return as_delta(self.construction, CONSTRUCTIONS)

    @property
    def waits(self) -> bool:
        """Whether waiting is an action."""
        return self.construction == "wait" or (self.live and self.construction != "non-delay")
