"""The choices that make a job shop environment; imports nothing heavy, so that a command line can list them at once."""

from dataclasses import dataclass
from typing import ClassVar

from ..core.errors import OptionError
from ..core.options import as_bool, one_of, option

CONSTRUCTIONS = {"non-delay": 0.0, "active": 1.0, "insertion": None, "wait": 0.0}
OBSERVATIONS = ("jobs", "operations")


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts.
    """

    world: ClassVar[frozenset[str]] = frozenset()

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

    def __post_init__(self):
        object.__setattr__(self, "forced_moves", as_bool("forced_moves", self.forced_moves))
        _as_delta(self.construction)
        one_of("observation", self.observation, OBSERVATIONS)

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
