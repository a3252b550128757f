"""The choices that make a flexible job shop environment; imports nothing heavy, for a command line to list them."""

from dataclasses import dataclass
from typing import ClassVar

from ..core.options import as_bool, as_delta, option

CONSTRUCTIONS = {"non-delay": 0.0, "active": 1.0, "wait": 0.0}


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts.
    """

    world: ClassVar[frozenset[str]] = frozenset()

    construction: str | float = option(
        "non-delay",
        "which pairs may be chosen: non-delay, active, wait, or a number from 0 (non-delay) to 1 (active)",
    )
    forced_moves: bool = option(
        True, "the simulator applies moves that have no alternative; False shows every operation to the policy"
    )

    def __post_init__(self):
        object.__setattr__(self, "forced_moves", as_bool("forced_moves", self.forced_moves))
        as_delta(self.construction, CONSTRUCTIONS)

    @property
    def delta(self) -> float:
        """Width of the choice set from 0 to 1."""
        return as_delta(self.construction, CONSTRUCTIONS)

    @property
    def waits(self) -> bool:
        """Whether waiting is an action."""
        return self.construction == "wait"
