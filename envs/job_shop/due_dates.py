"""Job shops with due dates, by the two rules that published instances are made with."""

import re
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .instance import MAX_OPERATIONS, JobShopInstance

KINDS = {  # the first word of a preset: its objective without and with weights
    "tardiness": ("total_tardiness", "total_weighted_tardiness"),
    "flow": ("total_flow_time", "total_weighted_flow_time"),
    "lateness": ("max_lateness", None),
    "tardy": ("number_tardy", "weighted_number_tardy"),
}
FORMS = ("[weighted-]KIND-JOBSxMACHINES[-TENTHS], KIND one of " + ", ".join(KINDS), "[weighted-]single-JOBS[-TF-RDD]")
TIGHTNESS = 1.5  # of Singer and Pinedo's three: 1.3, 1.5, 1.6
MAX_TIGHTNESS = 100
LONGEST = 100  # processing time on a single machine
TARDINESS_FACTORS = (2, 4, 6, 8)  # in tenths, the published grid
RANGES = (2, 4, 6, 8, 10)


def total_work_content(
    instance: JobShopInstance, tightness: float, weighted: bool = False, objective: str | None = None
) -> JobShopInstance:
    """Give every job the due date ``release + tightness * its total work`` (TWK; Conway 1965), rounded down.

    With weights it is how Singer and Pinedo (1998) turn makespan instances into ones of total weighted tardiness: the
    first fifth of the jobs weighs 4, the last one 1, the others 2; their tightness is 1.3, 1.5 or 1.6.

    Args:
        instance: jobs without due dates.
        tightness: 0 to ``MAX_TIGHTNESS``; of 1 or less every job is late as soon as it waits.
        weighted: give weights as well.
        objective: what is minimised; total tardiness, weighted with weights, when left out.

    Raises:
        OptionError: if the tightness is out of range.
        InstanceError: if a due date is too large, or the objective is not known.
    """
    if not 0 <= tightness <= MAX_TIGHTNESS:
        raise OptionError(f"tightness must be from 0 to {MAX_TIGHTNESS}, got {tightness!r}")
    work = instance.duration.sum(axis=1, dtype=np.int64)
    # 1.3 * 10 is 13.0 and 1.1 * 10 is 11.000000000000002: what is meant is the decimal number
    allowed = work * round(tightness * 1000) // 1000
    weight = None
    if weighted:
        place = np.arange(instance.jobs) * 5
        weight = np.where(place < instance.jobs, 4, np.where(place < 4 * instance.jobs, 2, 1))
    return replace(instance, due=instance.release + allowed, weight=weight, objective=objective)


def potts_van_wassenhove(
    jobs: int,
    tardiness_factor: float,
    due_date_range: float,
    rng: np.random.Generator,
    name: str = "single",
    weighted: bool = False,
) -> JobShopInstance:
    """Draw a single machine instance as Potts and Van Wassenhove (1982) do.

    Processing times are uniform on 1 to 100; with P their sum, due dates are uniform on the whole numbers from
    P (1 - TF - RDD / 2) to P (1 - TF + RDD / 2), which may lie before 0; weights are uniform on 1 to 10 (1985).

    Args:
        jobs: number of jobs.
        tardiness_factor: TF, 0 to 1: how many of the jobs will be late, roughly.
        due_date_range: RDD, 0 to 2: how far due dates lie apart.
        rng: the source of randomness.
        name: the name of the instance.
        weighted: draw weights as well.

    Raises:
        OptionError: if an argument is out of range.
    """
    if not 1 <= jobs <= MAX_OPERATIONS:
        raise OptionError(f"jobs must be from 1 to {MAX_OPERATIONS}, got {jobs}")
    for what, value, most in (("tardiness_factor", tardiness_factor, 1), ("due_date_range", due_date_range, 2)):
        if not 0 <= value <= most:
            raise OptionError(f"{what} must be from 0 to {most}, got {value!r}")
    duration = rng.integers(1, LONGEST, jobs, endpoint=True)
    total = int(duration.sum())
    # a millionth inwards, so that 600 * (1 - 0.8) does not begin at 119.99999999999997
    low = int(np.ceil(total * (1 - tardiness_factor - due_date_range / 2) - 1e-6))
    high = int(np.floor(total * (1 - tardiness_factor + due_date_range / 2) + 1e-6))
    due = rng.integers(low, max(low, high), jobs, endpoint=True)
    weight = rng.integers(1, 10, jobs, endpoint=True) if weighted else None
    objective = "total_weighted_tardiness" if weighted else "total_tardiness"
    return JobShopInstance(
        name, 1, duration[:, None], np.zeros((jobs, 1), np.int64), due=due, weight=weight, objective=objective
    )


@dataclass(frozen=True)
class DatedPreset:
    """What a preset with due dates stands for.

    Attributes:
        kind: of ``KINDS``, or ``"single"``.
        jobs, machines: the size.
        weighted: whether jobs have weights.
        tightness: of due dates by work content.
        grid: (tardiness factor, due date range) in tenths; None takes the published grid, one after the other.
    """

    kind: str
    jobs: int
    machines: int
    weighted: bool
    tightness: float = TIGHTNESS
    grid: tuple[int, int] | None = None

    def finish(self, shop: JobShopInstance) -> JobShopInstance:
        """A job shop with the due dates, weights and objective of this preset."""
        return total_work_content(shop, self.tightness, self.weighted, KINDS[self.kind][self.weighted])

    def single(self, rng: np.random.Generator, name: str, place: int) -> JobShopInstance:
        """A single machine instance; ``place`` counts through the published grid."""
        factor, spread = self.grid or (
            TARDINESS_FACTORS[place // len(RANGES) % len(TARDINESS_FACTORS)],
            RANGES[place % len(RANGES)],
        )
        return potts_van_wassenhove(self.jobs, factor / 10, spread / 10, rng, name, self.weighted)


def dated_preset(preset: str) -> DatedPreset | None:
    """Read the name of a preset with due dates; None if it is not of that form.

    Raises:
        UnknownNameError: for an objective that has no weights.
        OptionError: if a number is out of range.

    >>> dated_preset("weighted-tardiness-10x5-13").tightness
    1.3
    """
    number = "([1-9][0-9]{0,6})"
    match = re.fullmatch(rf"(weighted-)?({'|'.join(KINDS)})-{number}x{number}(?:-([0-9]{{1,4}}))?", preset)
    if match:
        weighted, kind, jobs, machines, tenths = match.groups()
        if weighted and KINDS[kind][1] is None:
            raise UnknownNameError("job shop preset", preset, FORMS)
        tightness = TIGHTNESS if tenths is None else int(tenths) / 10
        if tightness > MAX_TIGHTNESS:
            raise OptionError(f"preset {preset}: the tightness must be at most {10 * MAX_TIGHTNESS} tenths")
        return DatedPreset(kind, int(jobs), int(machines), bool(weighted), tightness)
    match = re.fullmatch(rf"(weighted-)?single-{number}(?:-([0-9]{{1,2}})-([0-9]{{1,2}}))?", preset)
    if not match:
        return None
    weighted, jobs, factor, spread = match.groups()
    grid = None if factor is None else (int(factor), int(spread))
    if grid and (grid[0] > 10 or grid[1] > 20):
        raise OptionError(f"preset {preset}: TF is from 0 to 10 tenths, RDD from 0 to 20")
    return DatedPreset("single", int(jobs), 1, bool(weighted), grid=grid)
