"""Schedules and violations: what ran where and when, in integers, and what is wrong with it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .errors import ScheduleError

if TYPE_CHECKING:
    from .instance import Instance

COLUMNS = ("work", "step", "resource", "start", "end")


@dataclass(frozen=True)
class Violation:
    """One broken rule, in words.

    Attributes:
        rule: the short name of the rule, such as ``"capacity"``.
        message: a sentence with the numbers that break it.
    """

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


@dataclass(frozen=True, eq=False)
class Schedule:
    """What ran where and when.

    A schedule is a claim, not a proof: nothing is checked here beyond its shape. ``validate`` of the
    family says whether it is feasible, and ``metrics`` reads the objectives off it.

    Attributes:
        instance: the problem it answers.
        entries: (N, 5) int64, one row for each piece of work done, columns as in ``COLUMNS``: the work
            item, its step within that item (the operation of a job), the resource, start and end.
        conditions: what the family's validator must know of the world it was made in, such as the noise on
            execution times; empty where the instance says it all.
    """

    instance: "Instance"
    entries: np.ndarray  # (N, 5) int64
    conditions: dict[str, object] = field(default_factory=dict)

    def __post_init__(self):
        entries = np.asarray(self.entries)
        if entries.size == 0:
            entries = entries.reshape(0, len(COLUMNS))
        if entries.ndim != 2 or entries.shape[1] != len(COLUMNS) or entries.dtype.kind not in "iu":
            raise ScheduleError(
                f"schedule entries must be integers of shape (N, {len(COLUMNS)}), "
                f"got {entries.dtype} of shape {entries.shape}"
            )
        entries = entries.astype(np.int64)
        entries.setflags(write=False)
        object.__setattr__(self, "entries", entries)

    def __len__(self) -> int:
        return len(self.entries)

    def column(self, name: str) -> np.ndarray:
        """One column by its name, (N,) int64."""
        return self.entries[:, COLUMNS.index(name)]

    def metrics(self) -> dict[str, float]:
        """The objectives and statistics of the family, read off the entries."""
        from .registry import family

        return family(self.instance.family).metrics(self.instance, self)

    def violations(self) -> list[Violation]:
        """What the family's validator finds wrong; empty when feasible."""
        from .registry import family

        return family(self.instance.family).check(self.instance, self)
