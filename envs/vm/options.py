"""The choices that make a VM environment; imports nothing heavy, so that a command line can list them at once."""

from dataclasses import dataclass
from typing import ClassVar

from ..core.errors import OptionError
from ..core.options import as_bool, as_integer, as_number, one_of, option

MOVES = ("class", "macro", "vm")  # in the order of the simulator's constants
SHAPED_BY = "moves"  # the option that decides on the form of the observation
MOST_MOVES = 10_000
MOST_CHOICES = 100_000
MOST_MS = 2**30


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts, or options that contradict each other.
    """

    world: ClassVar[frozenset[str]] = frozenset(
        {"mnl", "weight_64", "weight_memory", "migration_cost", "constraints", "latency", "copy_rate"}
    )

    mnl: int = option(50, "migration number limit")
    moves: str = option(
        "class",
        "what an action is: class (one of each kind of interchangeable moves), macro (up to 5 moves that complete a "
        "free slot on a host), vm (two steps: any VM, then any host and NUMA node)",
    )
    choice: int = option(512, "class and macro: candidates offered at most, those that free most first")
    weight_64: int = option(0, "percent that FR-64 has in the fragment rate; the rest is FR-16")
    weight_memory: int = option(0, "percent that the fragments of memory have in it")
    migration_cost: float = option(0.0, "added to the objective for each migration, in fragment rate")
    constraints: bool = option(True, "False ignores pins, drained hosts and anti-affinity; capacities always hold")
    latency: int = option(0, "dynamic: ms from a decision to its execution")
    copy_rate: int = option(0, "dynamic: MB a migration copies in a second; 0: no time at all")
    forced_moves: bool = option(True, "the simulator applies moves that have no alternative; False shows all")

    def __post_init__(self):
        one_of("moves", self.moves, MOVES)
        for name in ("constraints", "forced_moves"):
            object.__setattr__(self, name, as_bool(name, getattr(self, name)))
        for name, least, most in (
            ("mnl", 0, MOST_MOVES), ("choice", 1, MOST_CHOICES), ("weight_64", 0, 100), ("weight_memory", 0, 100),
            ("latency", 0, MOST_MS), ("copy_rate", 0, MOST_MS),
        ):  # fmt: skip
            object.__setattr__(self, name, as_integer(name, getattr(self, name), least, most))
        object.__setattr__(self, "migration_cost", as_number("migration_cost", self.migration_cost, 0, 1))
        if self.weight_64 + self.weight_memory > 100:
            raise OptionError(
                f"weight_64 and weight_memory are shares of 100 %, got {self.weight_64} and {self.weight_memory}"
            )
