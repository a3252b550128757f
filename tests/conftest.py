"""Settings of the whole suite, and what several folders of tests share."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.soc.conditions import NOISES, ROUNDINGS
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.options import BINDINGS, MODES, OBSERVATIONS, PILOTS, PLANNERS, PRIORITIES, Options

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


def _random_graph(rng: np.random.Generator, elements: int, name: str) -> JobGraph:
    """Tasks in no particular order; some take no time, some cannot run everywhere, some edges carry nothing."""
    tasks = int(rng.integers(1, 7))
    times = rng.integers(0, 12, (tasks, elements))
    times[rng.random(times.shape) < 0.2] = -1
    times[(times < 0).all(axis=1), rng.integers(elements)] = 5
    order = rng.permutation(tasks)
    edges = [(order[a], order[b]) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < 0.4]
    return JobGraph(name, times, np.array(edges, dtype=int).reshape(-1, 2), rng.integers(0, 15, len(edges)))


def _random_system(rng: np.random.Generator, jobs: int | None = None, name: str = "random") -> SoCInstance:
    """A small SoC, or a plan: jobs of one or two graphs on up to four processing elements.

    Args:
        rng: the source of randomness.
        jobs: how many arrive; one is there at time 0; 1, 2 or 5 when left out, at any time.
        name: its name.
    """
    elements, count = int(rng.integers(1, 5)), int(rng.choice([1, 2, 5]))
    graphs = tuple(_random_graph(rng, elements, name) for name in "ab"[: rng.integers(1, 3)])
    square = (elements, elements) if rng.random() < 0.6 else (1, 1)  # links all alike, or not
    links = [np.broadcast_to(rng.integers(*row, square), (elements, elements)) for row in ((0, 3), (1, 4))]
    kinds, count = tuple(rng.choice(["cpu", "gpu"], elements).tolist()), jobs or count
    time = np.sort(rng.integers(0, 30, count)) * (jobs != 1)
    warmup = int(rng.choice([0, time[count // 2]]))
    return SoCInstance(name, graphs, *links, kinds, time, rng.integers(0, len(graphs), count), warmup)


@pytest.fixture(scope="session")
def random_system():
    """See _random_system."""
    return _random_system


def _random_soc_options(rng: np.random.Generator, static: bool, **fixed) -> Options:
    """Options of the SoC that go together.

    Args:
        rng: the source of randomness.
        static: whether all instances are one graph at time 0.
        fixed: what is not left to chance.
    """
    while True:
        noise = str(rng.choice(NOISES))
        every = {
            "mode": str(rng.choice(MODES)), "binding": str(rng.choice(BINDINGS)), "insertion": bool(rng.random() < 0.5),
            "choice": int(rng.choice([0, 1, 3])), "priority": str(rng.choice(PRIORITIES)), "noise": noise,
            "sigma": float(rng.choice([0.2, 1.0, 3.0])) * (noise != "none"), "rounding": str(rng.choice(ROUNDINGS)),
            "shared_bus": bool(rng.random() < 0.3), "wip_cap": int(rng.integers(0, 3)),
            "planner": str(rng.choice(PLANNERS)), "replan": bool(rng.random() < 0.5), "pilot": str(rng.choice(PILOTS)),
            "forced_moves": bool(rng.random() < 0.5), "observation": str(rng.choice(OBSERVATIONS)),
        }  # fmt: skip
        try:
            options = Options(**{name: value for name, value in every.items() if rng.random() < 0.7} | fixed)
        except OptionError:
            continue
        planned = options.plans(static)
        if (planned and static) or (not planned and options.pilot == "none"):
            return options


@pytest.fixture(scope="session")
def random_soc_options():
    """See _random_soc_options."""
    return _random_soc_options


def _legal(mask: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One legal action for each row of a mask, (B,) int64; 0 where there is none."""
    weight = torch.from_numpy(rng.random(tuple(mask.shape))) * (mask.cpu() == 1)
    return weight.argmax(dim=1)


@pytest.fixture(scope="session")
def legal():
    """See _legal."""
    return _legal
