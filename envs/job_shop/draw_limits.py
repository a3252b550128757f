"""Random setup times and maintenance windows for any job shop."""

import re
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import OptionError
from .instance import JobShopInstance
from .objective import makespan_bound

FAMILIES = 5  # of jobs, as in the instances of Brucker and Thiele (1996); fewer where there are fewer jobs
FORM = "[setup-][maintenance-] before any of these"


def with_setups(instance: JobShopInstance, rng: np.random.Generator, families: int = FAMILIES) -> JobShopInstance:
    """Give a job shop setup times between families of jobs.

    Jobs are dealt to the families in turn, in a random order. With P the longest processing time, setup times between
    families, and from the initial state, are uniform on the whole numbers from P / 4 to P / 2, so that they keep the
    triangle inequality; within a family there is none to do.

    Args:
        instance: jobs whose operations all take at least one time unit.
        rng: the source of randomness.
        families: how many; at most as many as there are jobs are used.

    Raises:
        OptionError: if there is not at least one family.
        InstanceError: for operations of length 0.
    """
    if families < 1:
        raise OptionError(f"families must be at least 1, got {families}")
    families = min(families, instance.jobs)
    low = max(-(-int(instance.duration.max()) // 4), 1)
    setup = rng.integers(low, 2 * low, (instance.machines, families + 1, families), endpoint=True)
    setup[:, np.arange(families) + 1, np.arange(families)] = 0
    family = rng.permutation(np.arange(instance.jobs) % families)
    return replace(instance, setup=setup, setup_family=family)


def with_windows(instance: JobShopInstance, rng: np.random.Generator) -> JobShopInstance:
    """Give every machine of a job shop maintenance windows, a fifth of the time until well behind the makespan.

    With P the longest processing time, a machine is up for P to 3 P (the first time for up to 3 P), so that every
    operation fits, and closed for P / 4 to 3 P / 4, both uniform, until 1.5 times the bound of the makespan.

    Args:
        instance: the shop.
        rng: the source of randomness.
    """
    longest, until = max(int(instance.duration.max()), 4), makespan_bound(instance) * 3 // 2
    windows = []
    for _ in range(instance.machines):
        time, row = int(rng.integers(0, 3 * longest, endpoint=True)), []
        while time < until:
            length = int(rng.integers(longest // 4, 3 * longest // 4, endpoint=True))
            row.append((time, time + length))
            time += length + int(rng.integers(longest, 3 * longest, endpoint=True))
        windows.append(row)
    return replace(instance, windows=windows)


@dataclass(frozen=True)
class Dress:
    """What the first words of a preset add to its instances.

    Attributes:
        setups, windows: whether setup times, and maintenance windows.
    """

    setups: bool
    windows: bool

    def __bool__(self) -> bool:
        return self.setups or self.windows

    def __call__(self, instance: JobShopInstance, rng: np.random.Generator) -> JobShopInstance:
        instance = with_setups(instance, rng) if self.setups else instance
        return with_windows(instance, rng) if self.windows else instance


def undressed(preset: str) -> tuple[Dress, str]:
    """The first words of a preset, and the rest.

    >>> undressed("setup-tardiness-10x5")
    (Dress(setups=True, windows=False), 'tardiness-10x5')
    """
    match = re.fullmatch(r"(setup-)?(maintenance-)?(.*)", preset, re.DOTALL)
    return Dress(bool(match[1]), bool(match[2])), match[3]
