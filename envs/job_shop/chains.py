"""Jobs that arrive over time at one machine and whose operations come to light one after the other."""

import re

import numpy as np

from ..core.errors import OptionError
from .instance import MAX_OPERATIONS, JobShopInstance

FORM = "revealed-JOBS[-OPERATIONS]"
OPERATIONS = 5  # of a job at most
LONGEST = 20  # processing time
LOAD = 0.9


def chains(
    jobs: int,
    rng: np.random.Generator,
    name: str = "revealed",
    operations: int = OPERATIONS,
    longest: int = LONGEST,
    load: float = LOAD,
) -> JobShopInstance:
    """Draw chains of operations on one machine, to minimise total flow time.

    Jobs have 1 to ``operations`` operations of 1 to ``longest`` time units, uniform both. Releases begin at 0, and the
    times between them are uniform on the whole numbers from 0 to a bound that makes their mean the mean work of a job
    over ``load``.

    Args:
        jobs: number of jobs.
        rng: the source of randomness.
        name: the name of the instance.
        operations: the most of a job.
        longest: the longest processing time.
        load: mean work that arrives in a unit of time, above 0.

    Raises:
        OptionError: if an argument is out of range.
    """
    if jobs < 1 or operations < 1 or jobs * operations > MAX_OPERATIONS:
        raise OptionError(f"jobs x operations must be 1 to {MAX_OPERATIONS}, got {jobs}x{operations}")
    if longest < 1 or not load > 0:
        raise OptionError(f"longest must be at least 1 and load above 0, got {longest} and {load}")
    number = rng.integers(1, operations, jobs, endpoint=True)
    there = np.arange(operations) < number[:, None]
    duration = np.where(there, rng.integers(1, longest, there.shape, endpoint=True), 0)
    between = round((1 + operations) * (1 + longest) / 2 / load)
    release = np.concatenate([[0], rng.integers(0, between, jobs - 1, endpoint=True)]).cumsum()
    return JobShopInstance(
        name, 1, duration, np.where(there, 0, -1), release=release, objective="total_flow_time"
    )  # fmt: skip


def chain_preset(preset: str) -> tuple[int, int] | None:
    """Jobs and most operations of a preset of chains; None if it is not of that form.

    >>> chain_preset("revealed-20"), chain_preset("revealed-20-3")
    ((20, 5), (20, 3))
    """
    match = re.fullmatch(r"revealed-([1-9][0-9]{0,6})(?:-([1-9][0-9]{0,3}))?", preset)
    return match and (int(match[1]), int(match[2] or OPERATIONS))
