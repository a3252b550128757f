"""A live schedule from its rows to its operations: their pieces, and how long each holds its machine."""

from itertools import pairwise

import numpy as np

from ..core.schedule import Schedule
from .conditions import Conditions
from .instance import JobShopInstance

FOREVER = 2**63 - 1


class Claim:
    """What a live schedule claims, operation by operation; of rows that name none nothing is kept.

    Attributes:
        rows: numbers of the rows that name an operation of the instance.
        strangers: numbers of the others.
        job, step: (M,) int64, the operations that are there, by job and step.
        machine: (M,) int64, where the first piece runs; -1 where that is no machine, or pieces are on different ones.
        first, last: (M,) int64, the earliest start and the latest end of its pieces.
        lead: (M,) int64, the row of the first piece.
        pieces: of each operation its (start, end) in order of start, Python integers.
        actual: (M,) int64, how long each operation really takes.
        leave: (M,) int64, when each leaves its machine: at its end, or under blocking when the next one of its job that
            is there starts, unless it is the last of the route; ``FOREVER`` where that is missing.

    Args:
        instance: the problem.
        schedule: its rows.
        conditions: what it was made under.
        actual: (jobs, longest route), actual processing times.
    """

    def __init__(self, instance: JobShopInstance, schedule: Schedule, conditions: Conditions, actual: np.ndarray):
        self.instance, self.schedule, self.conditions = instance, schedule, conditions
        job, step, resource = (schedule.column(name) for name in ("work", "step", "resource"))
        start, end = schedule.column("start"), schedule.column("end")
        known = (job >= 0) & (job < instance.jobs)
        known[known] = (step[known] >= 0) & (step[known] < instance.operations[job[known]])
        self.rows, self.strangers = np.flatnonzero(known), np.flatnonzero(~known)
        rows = self.rows[np.lexsort((end[self.rows], start[self.rows], step[self.rows], job[self.rows]))]
        longest = instance.duration.shape[1]
        key, begin, of = np.unique(job[rows] * longest + step[rows], return_index=True, return_inverse=True)
        self.job, self.step = key // longest, key % longest
        self.lead = rows[begin]
        self.first = start[self.lead]
        self.last = np.full(len(key), -(2**63), np.int64)
        np.maximum.at(self.last, of, end[rows])
        self.machine = resource[self.lead].copy()
        self.machine[(self.machine < 0) | (self.machine >= instance.machines)] = -1
        np.minimum.at(self.machine, of[resource[rows] != resource[self.lead][of]], -1)
        both = np.stack([start[rows], end[rows]], axis=1).tolist()
        self.pieces = [both[a:b] for a, b in pairwise([*begin.tolist(), len(rows)])]
        self.actual = actual[self.job, self.step]
        self.leave = self._leave()

    def _leave(self) -> np.ndarray:
        leave = self.last.copy()
        if self.conditions.blocking and len(leave):
            waits = self.step < self.instance.operations[self.job] - 1
            follower = np.append(self.job[1:] == self.job[:-1], False)
            after = np.append(self.first[1:], FOREVER)
            leave = np.where(waits, np.maximum(np.where(follower, after, FOREVER), leave), leave)
        return leave

    def name(self, operation: int) -> str:
        """An operation in words."""
        return f"operation {self.step[operation]} of job {self.job[operation]}"
