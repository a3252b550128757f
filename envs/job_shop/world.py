"""What happens by itself in a live job shop: actual processing times and shutdowns, as functions of their key."""

import numpy as np

from ..core.noise import ONE, QUANTILE_SHIFT, exponential_table, random_bits, table
from .instance import JobShopInstance

SHUTDOWN = 0x73687574  # tells the draws of shutdowns from all others
BLOCK = 32  # shutdowns that are drawn at a time
PERCENT = 100 * ONE  # mean times are hundredths, quantiles 65536ths


def mean_processing_time(instance: JobShopInstance) -> int:
    """The unit of shutdowns: mean processing time of an operation, rounded down, at least 1."""
    return max(instance.total_work // int(instance.operations.sum()), 1)


def actual_times(
    instance: JobShopInstance, noise: str, sigma: float, seed: int, world: int, episode: int
) -> np.ndarray:
    """How long every operation really takes.

    Args:
        instance: the problem, with the estimates.
        noise, sigma: a kind of noise of ``core.noise`` that multiplies, and its spread.
        seed, world, episode: the key.

    Returns:
        (jobs, longest route) int64.
    """
    estimate = instance.duration.astype(np.int64)
    if noise == "none":
        return estimate
    draw = np.arange(estimate.size).reshape(estimate.shape)
    factor = table(noise, sigma)[random_bits(seed, world, episode, draw) >> QUANTILE_SHIFT].astype(np.int64)
    return np.where(estimate > 0, np.maximum((estimate * factor + ONE // 2) // ONE, 1), estimate)


def shutdowns(instance: JobShopInstance, uptime: int, repair: int, key: dict[str, int]) -> list["Shutdowns"]:
    """Those of every machine.

    Args:
        instance: the problem, whose mean processing time is the unit.
        uptime, repair: mean times between shutdowns and of one, in percent of it.
        key: seed, world and episode.
    """
    unit = mean_processing_time(instance)
    return [Shutdowns(unit * uptime, unit * repair, machine, **key) for machine in range(instance.machines)]


class Shutdowns:
    """When one machine is down.

    Args:
        up, down: hundred times the mean time between shutdowns and of one.
        machine: its number.
        seed, world, episode: the key.
    """

    def __init__(self, up: int, down: int, machine: int, seed: int, world: int, episode: int):
        self._means = np.array([up, down], np.int64)
        self._stream = int(random_bits(seed, world, episode, np.array([-1 - machine]))[0])
        self._windows: list[tuple[int, int]] = []

    def window(self, q: int) -> tuple[int, int]:
        """Begin and end of the q-th shutdown, counted from 0."""
        while len(self._windows) <= q:
            step = 2 * len(self._windows) + np.arange(2 * BLOCK)
            bits = random_bits(self._stream, SHUTDOWN, 0, step) >> QUANTILE_SHIFT
            spans = np.maximum((self._means[step % 2] * exponential_table()[bits] + PERCENT // 2) // PERCENT, 1)
            times = (self._windows[-1][1] if self._windows else 0) + np.cumsum(spans)
            self._windows += zip(times[::2].tolist(), times[1::2].tolist(), strict=True)
        return self._windows[q]

    def pieces(self, start: int, length: int, restart: bool) -> list[tuple[int, int]]:
        """When an operation runs that starts while the machine is up.

        Args:
            start: its start.
            length: how long it really takes.
            restart: whether it begins anew after a shutdown, or goes on.

        Returns:
            Start and end of each piece; under ``restart`` all but the last one are lost.
        """
        found, q, left = [], 0, length
        while self.window(q)[1] <= start:
            q += 1
        while self.window(q)[0] < start + left:
            begin, end = self.window(q)
            found.append((start, begin))
            left = length if restart else left - (begin - start)
            start, q = end, q + 1
        return [*found, (start, start + left)]
