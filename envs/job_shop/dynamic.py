"""Dynamic job shops: jobs that arrive as time passes, with due dates, some of them in a rush."""

import re
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import OptionError
from .instance import JobShopInstance

FORM = "dynamic-[flow-]JOBSxMACHINES[-LOAD], LOAD in percent"
LOAD = 90  # percent of the time that the bottleneck is busy while jobs arrive
MAX_LOAD = 1000
RUSH = 5  # one job in so many
RUSH_WEIGHT = 4
TIGHTNESS, RUSH_TIGHTNESS = 2.0, 1.3  # due dates are so many times the total work after the release (Conway 1965)


def arrive(
    instance: JobShopInstance, load: float, rng: np.random.Generator, objective: str = "total_weighted_tardiness"
) -> JobShopInstance:
    """Let the jobs of a shop arrive by a Poisson process, with due dates by total work content and weights.

    The first job arrives at 0. The gaps between arrivals are exponential with a mean that keeps the machine with the
    most work busy for ``load`` percent of the time. One job in five, at least one, is in a rush: it weighs 4 and is due
    after RUSH_TIGHTNESS times its work, the others weigh 1 and are due after TIGHTNESS times theirs.

    Args:
        instance: jobs without due dates.
        load: of the bottleneck, in percent, from 1 to ``MAX_LOAD``.
        rng: the source of randomness.
        objective: what is minimised.

    Raises:
        OptionError: if the load is out of range.
        InstanceError: if times become too large.
    """
    if not 1 <= load <= MAX_LOAD:
        raise OptionError(f"load must be from 1 to {MAX_LOAD} percent, got {load!r}")
    used = instance.machine >= 0
    busiest = np.bincount(instance.machine[used], weights=instance.duration[used]).max()
    gaps = rng.exponential(busiest / instance.jobs * 100 / load, instance.jobs)
    rush = rng.permutation(instance.jobs) < max(instance.jobs // RUSH, 1)
    release = np.rint(np.cumsum(gaps) - gaps[0]).astype(np.int64)
    tightness = np.where(rush, RUSH_TIGHTNESS, TIGHTNESS)
    allowed = np.floor(instance.duration.sum(axis=1, dtype=np.int64) * tightness).astype(np.int64)
    weight = np.where(rush, RUSH_WEIGHT, 1)
    return replace(instance, release=release, due=release + allowed, weight=weight, objective=objective)


@dataclass(frozen=True)
class DynamicPreset:
    """What a preset of dynamic shops stands for.

    Attributes:
        jobs, machines: the size.
        load: of the bottleneck, in percent.
        objective: what is minimised.
    """

    jobs: int
    machines: int
    load: int
    objective: str
    kind: str = "dynamic"

    def finish(self, shop: JobShopInstance, rng: np.random.Generator) -> JobShopInstance:
        """A job shop with the arrivals, due dates, weights and objective of this preset."""
        return arrive(shop, self.load, rng, self.objective)


def dynamic_preset(preset: str) -> DynamicPreset | None:
    """Read the name of a preset of dynamic shops; None if it is not of that form.

    Raises:
        OptionError: if the load is out of range.

    >>> dynamic_preset("dynamic-10x5-80").load
    80
    """
    number = "([1-9][0-9]{0,6})"
    match = re.fullmatch(rf"dynamic-(flow-)?{number}x{number}(?:-([0-9]{{1,4}}))?", preset)
    if not match:
        return None
    flow, jobs, machines, percent = match.groups()
    load = LOAD if percent is None else int(percent)
    if not 1 <= load <= MAX_LOAD:
        raise OptionError(f"preset {preset}: the load must be from 1 to {MAX_LOAD} percent")
    objective = "total_flow_time" if flow else "total_weighted_tardiness"
    return DynamicPreset(int(jobs), int(machines), load, objective)
