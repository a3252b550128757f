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

    def claim(self, other: str) -> str:
        """What may be said of who is better where this is what a policy's gap is above that of the ``other`` kind."""
        if not self.excludes_zero:
            return "no difference can be claimed"
        return "the policy is better" if self.mean < 0 else f"the {other} is better"

    def verdict(self, other: str, name: str, unit: str) -> str:
        """A sentence that says by how much a policy's gap is above that of the strongest of the ``other`` kind."""
        return (
            f"Greedy policy minus the strongest {other} ({name}): {self.mean:+.2f} {unit}, "
            f"paired 95 % interval {self.low:+.2f} .. {self.high:+.2f}: {self.claim(other)}."
        )


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


def interquartile_mean(values, axis=None):
    """Mean of the middle half: what is far off on either side does not count (Agarwal et al. 2021).

    Args:
        values: numbers of any shape.
        axis: over which; all of them when left out.

    >>> float(interquartile_mean([0.0, 1.0, 2.0, 99.0]))
    1.5
    """
    values = np.asarray(values, dtype=float)
    if axis is None:
        values, axis = values.ravel(), 0
    ordered = np.sort(values, axis=axis)
    count = ordered.shape[axis]
    if count == 0:
        raise ValueError("an interquartile mean needs at least one number")
    cut = count // 4
    return np.take(ordered, range(cut, count - cut), axis=axis).mean(axis=axis)


def crossed_bootstrap(values, statistic=np.mean, seed: int = 0, resamples: int = 2000) -> Interval:
    """An interval over training seeds and instances at once: both are drawn anew, each with replacement.

    Every seed met every instance, so the two are crossed (Owen 2007); of one seed it is the bootstrap over instances.

    Args:
        values: (seeds, instances) numbers; one row for what has no seed; paired differences to compare policies.
        statistic: of an array, or of each row with ``axis=1``, such as ``interquartile_mean``.
        seed: of the resampling.
        resamples: how often.

    >>> crossed_bootstrap([[1.0, 1.0], [1.0, 1.0]])
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"a crossed bootstrap needs a table of seeds by instances, got shape {values.shape}")
    generator = np.random.default_rng(seed)
    rows, columns = values.shape
    part = max(1, MOST_NUMBERS // values.size)
    found = []
    for begin in range(0, resamples, part):
        count = min(part, resamples - begin)
        row = generator.integers(rows, size=(count, rows, 1))
        column = generator.integers(columns, size=(count, 1, columns))
        found.append(statistic(values[row, column].reshape(count, -1), axis=1))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return Interval(float(statistic(values)), float(low), float(high))
