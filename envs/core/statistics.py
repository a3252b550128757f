"""Means with intervals: seeded bootstraps over instances, paired where two policies met the same ones."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
FEWEST = 5  # instances below which no interval is stated
MOST_NUMBERS = 2**22  # drawn at a time


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def bootstrap(values, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean (Efron 1979).

    Args:
        values: (N,) numbers, one for each instance; paired differences to compare two policies.
        seed: of the resampling.

    >>> bootstrap([1.0, 1.0, 1.0])
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"a bootstrap needs a row of at least one number, got shape {values.shape}")
    generator = np.random.default_rng(seed)
    part = max(1, MOST_NUMBERS // len(values))
    means = [
        values[generator.integers(len(values), size=(min(part, RESAMPLES - begin), len(values)))].mean(axis=1)
        for begin in range(0, RESAMPLES, part)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))
