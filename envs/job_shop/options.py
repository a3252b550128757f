"""The choices that make a job shop environment; imports nothing heavy, so that a command line can list them at once."""

from dataclasses import dataclass, field

from ..core.errors import OptionError

CONSTRUCTIONS = {"non-delay": 0.0, "active": 1.0, "insertion": None}
OBSERVATIONS = ("jobs", "operations")


def _option(default, text: str):
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts.
    """

    construction: str | float = _option(
        "active", "which jobs may be chosen: non-delay, active, insertion, or a number from 0 (non-delay) to 1 (active)"
    )
    forced_moves: bool = _option(
        True, "the simulator applies moves that have no alternative; False shows every operation to the policy"
    )
    observation: str = _option(
        "jobs", "the graph: jobs (a node per job, its route on the edges) or operations (the disjunctive graph)"
    )

    def __post_init__(self):
        object.__setattr__(self, "forced_moves", _as_bool(self.forced_moves))
        _as_delta(self.construction)
        if self.observation not in OBSERVATIONS:
            raise OptionError(f"observation must be one of {', '.join(OBSERVATIONS)}, got {self.observation!r}")

    @property
    def delta(self) -> float | None:
        """Width of the choice set from 0 to 1, or None for insertion."""
        return _as_delta(self.construction)


def _as_bool(value) -> bool:
    """A flag as it may come from a command line."""
    if str(value) not in ("True", "False"):
        raise OptionError(f"forced_moves must be True or False, got {value!r}")
    return str(value) == "True"


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
