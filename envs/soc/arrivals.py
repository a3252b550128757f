"""When jobs arrive and of which kind they are, drawn from a process into concrete numbers."""

import math

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .job_graph import MAX_TIME

PROCESSES = ("poisson", "fixed", "batch")
MAX_ARRIVALS = 1_000_000


def draw_arrivals(
    process: str,
    rng: np.random.Generator,
    gap: float = 0,
    jobs: int | None = None,
    until: int | None = None,
    graphs: int = 1,
    mix=None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw arrival times and kinds of jobs, as ``arrival_times`` and ``job_kinds`` do.

    Args:
        process: ``"poisson"``, ``"fixed"`` or ``"batch"``.
        rng: the source of randomness; times are drawn first, then kinds.
        gap: mean time between two arrivals, in us.
        jobs: how many arrive; left out when ``until`` is given.
        until: all that arrive before this time, in us; left out when ``jobs`` is given.
        graphs: number of kinds of jobs.
        mix: a weight for each kind; all alike when left out.

    Returns:
        Arrival times, not decreasing, and kinds, both (jobs,) int32.

    Raises:
        UnknownNameError: if the process is not known.
        OptionError: if a number is out of range.

    >>> time, kind = draw_arrivals("fixed", np.random.default_rng(0), gap=5, jobs=3)
    >>> time.tolist(), kind.tolist()
    ([0, 5, 10], [0, 0, 0])
    """
    time = arrival_times(process, rng, gap, jobs, until)
    return time, job_kinds(len(time), rng, graphs, mix)


def arrival_times(
    process: str, rng: np.random.Generator, gap: float = 0, jobs: int | None = None, until: int | None = None
) -> np.ndarray:
    """Draw arrival times; the first job arrives at 0.

    ``"poisson"`` has gaps of int(Exp(gap)) us, rounded down as in SoCRATES (Sung and Ryu, 2021), so two
    jobs may arrive together; ``"fixed"`` has equal gaps; in a ``"batch"`` all arrive at 0.

    Args:
        process: ``"poisson"``, ``"fixed"`` or ``"batch"``.
        rng: the source of randomness; only ``"poisson"`` draws from it.
        gap: mean time between two arrivals in us, at least 1; whole for ``"fixed"``, 0 for ``"batch"``.
        jobs: how many arrive; left out when ``until`` is given.
        until: all that arrive before this time, in us; left out when ``jobs`` is given.

    Returns:
        (jobs,) int32, not decreasing.

    Raises:
        UnknownNameError: if the process is not known.
        OptionError: if a number is out of range.
    """
    if process not in PROCESSES:
        raise UnknownNameError("arrival process", process, PROCESSES)
    if (jobs is None) == (until is None):
        raise OptionError(f"arrivals take either jobs or until, got jobs {jobs!r} and until {until!r}")
    _check_count("jobs", jobs, MAX_ARRIVALS)
    _check_count("until", until, MAX_TIME)
    _check_gap(process, gap)
    if process == "batch":
        if jobs is None:
            raise OptionError("a batch takes a number of jobs, not until: all of its jobs arrive at 0")
        return np.zeros(jobs, dtype=np.int32)
    if jobs is not None:
        time = np.zeros(jobs, dtype=np.int64)
        time[1:] = _gaps(process, rng, gap, jobs - 1).cumsum()
    else:
        time = _times_until(process, rng, gap, until)
    if time[-1] >= MAX_TIME:
        raise OptionError(f"the last of {len(time)} jobs arrives at {time[-1]}, limit {MAX_TIME - 1}; gap is {gap}")
    return time.astype(np.int32)


def job_kinds(jobs: int, rng: np.random.Generator, graphs: int = 1, mix=None) -> np.ndarray:
    """Draw the kind of each job independently.

    Args:
        jobs: number of jobs.
        rng: the source of randomness; a single kind draws nothing from it.
        graphs: number of kinds.
        mix: (graphs,) weights, at least 0 and not all 0; all alike when left out.

    Returns:
        (jobs,) int32, 0 to ``graphs`` - 1.

    Raises:
        OptionError: if there is no weight for some kind, or one that is negative or not finite.
    """
    _check_count("graphs", graphs, MAX_ARRIVALS)
    weights = [1.0] * graphs if mix is None else list(mix)
    if len(weights) != graphs:
        raise OptionError(f"mix must hold {graphs} weights, one for each kind of job, got {len(weights)}")
    for index, weight in enumerate(weights):
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.number) or not 0 <= weight < math.inf:
            raise OptionError(f"mix[{index}]: expected a weight of at least 0, got {weight!r}")
    ends = np.cumsum(np.array(weights, dtype=float))
    if not 0 < ends[-1] < math.inf:
        raise OptionError(f"the weights of mix sum to {ends[-1]}, expected a positive number")
    if graphs == 1:
        return np.zeros(jobs, dtype=np.int32)
    kinds = ends.searchsorted(rng.random(jobs) * ends[-1], side="right")
    last = int(np.flatnonzero(np.diff(ends, prepend=0.0))[-1])  # a product rounded up must not fall off the end
    return np.minimum(kinds, last).astype(np.int32)


def _times_until(process: str, rng: np.random.Generator, gap: float, until: int) -> np.ndarray:
    if until / gap > MAX_ARRIVALS / 2:  # rounding down makes gaps of 1 us shorter, by less than half on average
        raise OptionError(f"more than {MAX_ARRIVALS // 2} jobs would arrive every {gap} us until {until}")
    block = int(until / gap) + 16
    parts, last = [np.zeros(1, dtype=np.int64)], 0
    while last < until:
        parts.append(last + _gaps(process, rng, gap, block).cumsum())
        last = int(parts[-1][-1])
    time = np.concatenate(parts)
    return time[time < until]


def _gaps(process: str, rng: np.random.Generator, gap: float, count: int) -> np.ndarray:
    if process == "fixed":
        return np.full(count, int(gap), dtype=np.int64)
    return rng.exponential(gap, count).astype(np.int64)


def _check_gap(process: str, gap: float) -> None:
    if isinstance(gap, bool) or not isinstance(gap, int | float | np.number):
        raise OptionError(f"gap must be a number, got {gap!r}")
    if process == "batch":
        if gap != 0:
            raise OptionError(f"a batch has no gap between its jobs, got gap {gap}")
    elif not 1 <= gap < MAX_TIME:
        raise OptionError(f"gap must be 1 to {MAX_TIME - 1} us, got {gap}")
    elif process == "fixed" and gap != int(gap):
        raise OptionError(f"a fixed gap must be a whole number of us, got {gap}")


def _check_count(what: str, value: int | None, most: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
        raise OptionError(f"{what} must be a whole number from 1 to {most}, got {value!r}")
