"""The conditions a schedule was made under: how many moves, what counts as a fragment, and how long copies take."""

from dataclasses import dataclass

from ..core.conditions import Readable, flag, integer, number
from ..core.errors import ScheduleError

HIGHEST = {
    "mnl": 10_000,
    "weight_64": 100,
    "weight_memory": 100,
    "latency": 2**30,
    "copy_rate": 2**30,
}


@dataclass(frozen=True)
class Conditions(Readable):
    """What must be known, besides the instance, to judge moves and to say what they are worth.

    Attributes:
        mnl: the migration number limit: no more migrations and evictions than this, 0 to 10,000.
        weight_64: how much of the fragment rate is FR-64, in percent.
        weight_memory: how much of it is the fragments of memory, in percent. What is left to 100 is FR-16.
        migration_cost: added to the objective for each migration, 0 to 1.
        constraints: whether pins, drained hosts and anti-affinity groups count; capacities always do.
        latency: from a decision to when it is carried out, in ms; where time runs.
        copy_rate: how much memory a migration copies, in MB/s, where time runs; 0 for copies that take no time.

    Raises:
        ScheduleError: when a value is outside of what it accepts, naming it.
    """

    mnl: int = 50
    weight_64: int = 0
    weight_memory: int = 0
    migration_cost: float = 0.0
    constraints: bool = True
    latency: int = 0
    copy_rate: int = 0

    def __post_init__(self):
        for key, highest in HIGHEST.items():
            self.settle(key, integer(key, getattr(self, key), 0, highest))
        if self.weight_64 + self.weight_memory > 100:
            raise ScheduleError(
                f"conditions 'weight_64' and 'weight_memory' are shares of 100 percent, "
                f"got {self.weight_64} and {self.weight_memory}"
            )
        self.settle("migration_cost", number("migration_cost", self.migration_cost, 1))
        self.settle("constraints", flag("constraints", self.constraints))
