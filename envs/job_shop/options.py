"""The choices that make a job shop environment; imports nothing heavy, so that a command line can list them at once."""

from dataclasses import dataclass
from typing import ClassVar

from ..core.errors import OptionError
from ..core.options import as_bool, as_integer, one_of, option

CONSTRUCTIONS = {"non-delay": 0.0, "active": 1.0, "insertion": None, "wait": 0.0}
OBSERVATIONS = ("jobs", "operations")
KNOWN = ("all", "operations")
MAX_QUANTUM = 2**28


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts.
    """

    world: ClassVar[frozenset[str]] = frozenset({"preemptive", "known", "reveal"})

    construction: str | float = option(
        "active",
        "which jobs may be chosen: non-delay, active, insertion, wait, or a number from 0 (non-delay) to 1 (active)",
    )
    forced_moves: bool = option(
        True, "the simulator applies moves that have no alternative; False shows every operation to the policy"
    )
    observation: str = option(
        "jobs", "the graph: jobs (a node per job, its route on the edges) or operations (the disjunctive graph)"
    )

    preemptive: bool = option(
        False, "one machine may be taken away from a job at any event; an action says which job runs until the next one"
    )
    quantum: int = option(0, "preemptive: the longest time a job runs until the next decision; 0: until an event")
    known: str = option(
        "all", "preemptive: lengths that are known, all or operations (of each job that of its operation at hand alone)"
    )
    reveal: bool = option(False, "jobs are unknown before their release")

    def __post_init__(self):
        for name in ("forced_moves", "preemptive", "reveal"):
            object.__setattr__(self, name, as_bool(name, getattr(self, name)))
        object.__setattr__(self, "quantum", as_integer("quantum", self.quantum, 0, MAX_QUANTUM))
        _as_delta(self.construction)
        one_of("observation", self.observation, OBSERVATIONS)
        one_of("known", self.known, KNOWN)
        self._check_preemptive()

    def _check_preemptive(self) -> None:
        """Refuse what says nothing with, or without, preemption."""
        if not self.preemptive:
            given = {"quantum": self.quantum != 0, "known": self.known != "all", "reveal": self.reveal}
            for name in (name for name, used in given.items() if used):
                raise OptionError(f"{name} {getattr(self, name)!r} says nothing without preemptive")
        elif self.construction not in ("active", "non-delay") or self.observation != "jobs":
            raise OptionError(
                "preemptive builds no schedule by construction and is seen as jobs: leave construction at active or "
                f"non-delay and observation at jobs, got {self.construction!r} and {self.observation!r}"
            )

    @property
    def delta(self) -> float | None:
        """Width of the choice set from 0 to 1, or None for insertion."""
        return _as_delta(self.construction)

    @property
    def waits(self) -> bool:
        """Whether waiting is an action."""
        return self.construction == "wait"


def _as_delta(construction) -> float | None:
    """The construction as a number, None for insertion."""
    if isinstance(construction, str) and construction in CONSTRUCTIONS:
        return CONSTRUCTIONS[construction]
    try:
        value = float(construction)
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(construction, bool) or not 0.0 <= value <= 1.0:
        known = ", ".join(CONSTRUCTIONS)
        raise OptionError(f"construction must be {known} or a number from 0 to 1, got {construction!r}")
    return value
