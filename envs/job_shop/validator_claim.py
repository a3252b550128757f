"""A live schedule from its rows to its operations: their pieces, and how long each holds its machine."""

from itertools import pairwise

import numpy as np

from ..core.checking import Routes
from ..core.schedule import Schedule
from .conditions import Conditions
from .instance import JobShopInstance

FOREVER = 2**63 - 1


class Claim:
    """What a live schedule claims, operation by operation; of rows that name none nothing is kept.

    Attributes:
        routes: the rows, and what holds for them in any shop.
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
        self.instance, self.conditions = instance, conditions
        longest = instance.duration.shape[1]
        self.routes = Routes(instance, schedule, longest)
        job, step, resource, start, end = schedule.entries.T
        rows = self.routes.rows
        rows = rows[np.lexsort((end[rows], start[rows], step[rows], job[rows]))]
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
