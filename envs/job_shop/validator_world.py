"""What a live shop is like under given conditions: how long operations really take, and when machines are down.

Everything is a pure function of the instance and the conditions, written from the statement for those who judge and for
those who plan with hindsight; simulators have their own.
"""

import numpy as np

from ..core.noise import ONE, QUANTILE_SHIFT, exponential_table, random_bits, table
from .conditions import Conditions
from .instance import JobShopInstance

NEVER = 2**30  # what would happen then or later does not
MAX_SHUTDOWNS = 100_000  # of one machine; what comes after them is not known
STREAM = 0x73687574
FIRST_BLOCK = 32


def actual_times(instance: JobShopInstance, conditions: Conditions) -> np.ndarray:
    """How long operations really take: the estimate times a quantile of the noise, at least 1 if the estimate is.

    Args:
        instance: the problem, with the estimates.
        conditions: the noise and its key.

    Returns:
        (jobs, longest route) int64, in time units; 0 behind the end of a route.
    """
    estimate = instance.duration.astype(np.int64)
    if conditions.noise == "none":
        return estimate
    draw = np.arange(estimate.size).reshape(estimate.shape)
    bits = random_bits(conditions.seed, conditions.world, conditions.episode, draw)
    factor = table(conditions.noise, conditions.sigma)[bits >> QUANTILE_SHIFT].astype(np.int64)
    return np.where(estimate > 0, np.maximum((estimate * factor + ONE // 2) // ONE, 1), 0)


class Shutdowns:
    """When each machine is down, drawn as far as it is asked for.

    Args:
        instance: the problem.
        conditions: mean times up and down, and their key.
    """

    def __init__(self, instance: JobShopInstance, conditions: Conditions):
        self._conditions = conditions
        self._unit = max(instance.total_work // int(instance.operations.sum()), 1)
        self._known: dict[int, tuple[np.ndarray, np.ndarray, bool]] = {}

    def windows(self, machine: int, until: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """The shutdowns of a machine that begin by some time, and perhaps some more.

        Args:
            machine: its number.
            until: time units.

        Returns:
            When they begin and when they end, ascending int64 of one length (down from a begin to before its end), and
            whether these are all that begin by that time; there are at most ``MAX_SHUTDOWNS``.
        """
        none = np.zeros(0, np.int64)
        if self._conditions.uptime == 0:
            return none, none, True
        begin, end, over = self._known.get(machine, (none, none, False))
        count = max(len(begin), FIRST_BLOCK)
        while not over and (len(begin) == 0 or begin[-1] <= until) and len(begin) < MAX_SHUTDOWNS:
            begin, end, over = self._draw(machine, count)
            count = min(4 * count, MAX_SHUTDOWNS)
            self._known[machine] = begin, end, over
        return begin, end, over or bool(begin[-1] > until)

    def _draw(self, machine: int, count: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """The first shutdowns of a machine, and whether no others come."""
        given = self._conditions
        stream = random_bits(given.seed, given.world, given.episode, np.array([-1 - machine]))
        bits = random_bits(int(stream[0]), STREAM, 0, np.arange(2 * count))
        share = exponential_table()[bits >> QUANTILE_SHIFT].astype(np.uint64)
        mean = np.tile(np.array([given.uptime, given.repair], np.uint64), count) * np.uint64(self._unit)
        # below 2**28 * 100000 * 600000 < 2**64
        length = (mean * share + np.uint64(50 * ONE)) // np.uint64(100 * ONE)
        time = np.cumsum(np.maximum(length, 1).astype(np.int64))
        begin, end = time[::2], time[1::2]
        comes = begin < NEVER
        return begin[comes], end[comes], not comes.all()
