"""When requests arrive: processes of a mean rate, smooth or in bursts, drawn into concrete times."""

import math
from dataclasses import dataclass

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .fields import MAX_REQUESTS, MAX_TIME

PROCESSES = ("poisson", "gamma", "on-off", "modulated")
MICROSECONDS = 1_000_000  # in a second
MAX_CV = 100.0
MAX_SECONDS = 1e6
LEAST_RATE = 1e-6
BISECTIONS = 60  # halve any bracket down to the precision of a float


@dataclass(frozen=True)
class Process:
    """A process of arrivals with a mean rate that is given later.

    ``"poisson"`` has exponential gaps, ``"gamma"`` gamma gaps of a coefficient of variation. ``"on-off"`` is Poisson
    while it is on and silent while it is off, both for exponential times; it begins when it goes on. ``"modulated"``
    is Poisson with the rate 1 + depth * sin(2 pi t / period) times the mean.

    Attributes:
        kind: one of ``PROCESSES``.
        cv: coefficient of variation of gamma gaps, up to ``MAX_CV``.
        on, off: mean seconds of being on and off.
        period: seconds.
        depth: 0 to 1.

    Raises:
        UnknownNameError: if there is no such kind.
        OptionError: if a number is out of range.
    """

    kind: str = "poisson"
    cv: float = 1.0
    on: float = 5.0
    off: float = 15.0
    period: float = 60.0
    depth: float = 0.5

    def __post_init__(self):
        if self.kind not in PROCESSES:
            raise UnknownNameError("arrival process", self.kind, PROCESSES)
        for what, most in (("cv", MAX_CV), ("on", MAX_SECONDS), ("off", MAX_SECONDS), ("period", MAX_SECONDS)):
            number(what, getattr(self, what), 1e-3, most)
        number("depth", self.depth, 0.0, 1.0)

    def times(self, rng: np.random.Generator, rate: float, count: int) -> np.ndarray:
        """Draw arrival times; the first request arrives at 0.

        Args:
            rng: the source of randomness.
            rate: mean number of arrivals a second.
            count: how many arrive.

        Returns:
            (count,) int64 in us, not decreasing.

        Raises:
            OptionError: if a number is out of range.

        >>> Process("poisson").times(np.random.default_rng(0), 1000.0, 4).tolist()
        [0, 680, 1700, 1719]
        """
        number("rate", rate, LEAST_RATE, MICROSECONDS)
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= MAX_REQUESTS:
            raise OptionError(f"count must be a whole number from 1 to {MAX_REQUESTS}, got {count!r:.80}")
        passed = np.zeros(count)  # seconds; gaps are counted in means before they are made seconds
        if self.kind == "gamma":
            passed[1:] = rng.gamma(self.cv**-2, self.cv**2, count - 1).cumsum() / rate
        else:
            passed[1:] = rng.exponential(1.0, count - 1).cumsum() / rate
        if self.kind == "on-off":
            passed = self._silences(rng, passed)
        if self.kind == "modulated":
            passed = self._stretch(passed)
        if passed[-1] * MICROSECONDS > MAX_TIME:
            raise OptionError(f"the last of {count} requests arrives after {passed[-1]:g} s, too late")
        return np.rint(passed * MICROSECONDS).astype(np.int64)

    def _silences(self, rng: np.random.Generator, passed: np.ndarray) -> np.ndarray:
        """Times that count only while it is on, as many times faster, with the silences put in between."""
        busy = passed * self.on / (self.on + self.off)
        ends, quiet = [], []
        last = 0.0
        while last <= busy[-1]:
            last += rng.exponential(self.on)
            ends.append(last)
            quiet.append(rng.exponential(self.off))
        before = np.concatenate([[0.0], np.cumsum(quiet)])
        return busy + before[np.searchsorted(ends, busy, side="right")]

    def _stretch(self, passed: np.ndarray) -> np.ndarray:
        """Times at which the integral of the modulated rate reaches those of a steady one."""
        lead = self.depth * self.period / math.tau

        def reached(time: np.ndarray) -> np.ndarray:
            return time + lead * (1 - np.cos(math.tau * time / self.period))

        low, high = np.maximum(passed - 2 * lead, 0.0), passed
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            early = reached(middle) < passed
            low, high = np.where(early, middle, low), np.where(early, high, middle)
        return np.maximum.accumulate(high)


def number(what: str, value, least: float, most: float) -> None:
    """Refuse anything but a number within a range.

    Raises:
        OptionError: naming it.
    """
    fine = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not fine or not least <= value <= most:  # NaN is not within
        raise OptionError(f"{what} must be a number from {least:g} to {most:g}, got {value!r:.80}")
