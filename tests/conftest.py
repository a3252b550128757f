"""Settings of the whole suite, and what several folders of tests share."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from dispatchgym.envs.job_shop.instance import JobShopInstance

torch.set_num_threads(1)  # two threads that wait for each other on a busy machine are far slower than one

settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def _random_shop(rng: np.random.Generator, general: bool = True, shortest: int = 0, name: str = "random"):
    """A small job shop: classic (every machine once, no releases) or with general routes and releases.

    Args:
        rng: the source of randomness.
        general: machines may be skipped and visited again, jobs are released over time.
        shortest: the least processing time.
        name: its name.
    """
    jobs, machines = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    if not general:
        duration = rng.integers(max(shortest, 1), 20, (jobs, machines))
        return JobShopInstance(name, machines, duration, np.argsort(rng.random((jobs, machines)), axis=1))
    longest = int(rng.integers(1, 6))
    there = np.arange(longest) < rng.integers(1, longest + 1, jobs)[:, None]
    duration = np.where(there, rng.integers(shortest, 10, there.shape), 0)
    machine = np.where(there, rng.integers(0, machines, there.shape), -1)
    return JobShopInstance(name, machines, duration, machine, rng.integers(0, 10, jobs))


@pytest.fixture(scope="session")
def random_shop():
    """See _random_shop."""
    return _random_shop


def _legal(mask: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One legal action for each row of a mask, (B,) int64; 0 where there is none."""
    weight = torch.from_numpy(rng.random(tuple(mask.shape))) * (mask.cpu() == 1)
    return weight.argmax(dim=1)


@pytest.fixture(scope="session")
def legal():
    """See _legal."""
    return _legal
