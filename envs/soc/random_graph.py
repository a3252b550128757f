"""Random task graphs and random costs in the manner of Topcuoglu, Hariri and Wu (2002)."""

import numpy as np

from ..core.errors import InstanceError, OptionError
from .instance import MAX_ELEMENTS, SoCInstance
from .job_graph import MAX_TASKS, JobGraph

MEAN_TIME = 100  # us, the mean of the mean execution times of tasks

# What presets choose from for each instance, all alike.
SHAPES = (0.5, 1.0, 2.0)
OUT_DEGREES = (2, 3, 4, 5)
CCRS = (0.5, 1.0, 2.0)
HETEROGENEITIES = (0.25, 0.5, 1.0)
ELEMENTS = (3, 4, 5, 6, 7, 8)


def generate(
    tasks: int,
    elements: int,
    rng: np.random.Generator,
    name: str = "random",
    shape: float = 1.0,
    out_degree: int = 3,
    ccr: float = 1.0,
    heterogeneity: float = 0.5,
    world: int = 0,
) -> SoCInstance:
    """Draw one job of random structure and costs; see ``random_edges`` and ``with_costs``.

    Args:
        tasks: number of tasks.
        elements: number of processing elements (PEs).
        rng: the source of randomness.
        name: the name of the instance.
        shape: wide and flat above 1, long and thin below (alpha).
        out_degree: successors that a task is meant to have.
        ccr: ratio of mean communication to mean computation.
        heterogeneity: range of the times of one task over the PEs, 0 (all alike) to 2 (beta).
        world: number of the realisation of the noise.

    Raises:
        OptionError: if an argument is out of range, or the instance would be too large.
    """
    edges = random_edges(tasks, rng, shape, out_degree)
    return with_costs(tasks, edges, elements, rng, name, ccr, heterogeneity, world)


def random_edges(tasks: int, rng: np.random.Generator, shape: float = 1.0, out_degree: int = 3) -> np.ndarray:
    """Draw the edges of a layered graph.

    The number of levels is uniform with mean sqrt(tasks) / shape, and levels are unequal: each gets one
    task, and the others fall on it with a random weight. A task has one predecessor at least on the level
    before its own; then each task that has fewer than ``out_degree`` successors draws the missing ones
    from all later levels, where drawing the same again adds none.

    Args:
        tasks: number of tasks, at least 1.
        rng: the source of randomness.
        shape: above 0.
        out_degree: at least 1.

    Returns:
        (edges, 2) int64, without duplicates, all to higher numbers.

    Raises:
        OptionError: if an argument is out of range.
    """
    if not 1 <= tasks <= MAX_TASKS:
        raise OptionError(f"tasks must be 1 to {MAX_TASKS}, got {tasks}")
    if not 0 < shape < np.inf or not 1 <= out_degree <= 1000:
        raise OptionError(f"expected shape > 0 and out_degree 1 to 1000, got shape {shape} and out_degree {out_degree}")
    mean = tasks**0.5 / shape
    height = min(tasks, max(2, round(1 + rng.random() * 2 * (mean - 1))))
    weight = rng.random(height).cumsum()
    others = weight.searchsorted(rng.random(tasks - height) * weight[-1])
    level = np.sort(np.concatenate([np.arange(height), np.minimum(others, height - 1)]))
    first = level.searchsorted(np.arange(height + 1))  # of each level, and the end

    child = np.arange(first[1], tasks)
    low, high = first[level[child] - 1], first[level[child]]
    parent = low + (rng.random(len(child)) * (high - low)).astype(np.int64)
    missing = np.maximum(out_degree - np.bincount(parent, minlength=tasks), 0)
    missing[first[height - 1] :] = 0
    source = np.arange(tasks).repeat(missing)
    low = first[level[source] + 1]
    target = low + (rng.random(len(source)) * (tasks - low)).astype(np.int64)
    key = np.unique(np.concatenate([parent * tasks + child, source * tasks + target]))
    return np.stack([key // tasks, key % tasks], axis=1)


def with_costs(
    tasks: int,
    edges: np.ndarray,
    elements: int,
    rng: np.random.Generator,
    name: str = "random",
    ccr: float = 1.0,
    heterogeneity: float = 0.5,
    world: int = 0,
) -> SoCInstance:
    """Draw execution times and volumes for a graph; one job at time 0, bandwidth 1, latency 0.

    The mean time w of a task is uniform on 0 to 200 us, its time on each PE uniform on
    w (1 - heterogeneity / 2) to w (1 + heterogeneity / 2), at least 1 us; a volume is uniform on 0 to
    2 x ccr x the mean of all execution times.

    Args:
        tasks: number of tasks.
        edges: (edges, 2).
        elements: number of PEs.
        rng: the source of randomness.
        name: the name of the instance.
        ccr: ratio of mean communication to mean computation, 0 to 1000.
        heterogeneity: 0 to 2.
        world: number of the realisation of the noise.

    Raises:
        OptionError: if an argument is out of range, or the instance would be too large.
    """
    if not 1 <= elements <= MAX_ELEMENTS:
        raise OptionError(f"the number of processing elements must be 1 to {MAX_ELEMENTS}, got {elements}")
    if not 0 <= ccr <= 1000 or not 0 <= heterogeneity <= 2:
        raise OptionError(f"expected ccr 0 to 1000, heterogeneity 0 to 2, got {ccr} and {heterogeneity}")
    mean = rng.uniform(0, 2 * MEAN_TIME, (tasks, 1))
    spread = rng.uniform(1 - heterogeneity / 2, 1 + heterogeneity / 2, (tasks, elements))
    times = np.maximum(np.rint(mean * spread), 1).astype(np.int64)
    volume = np.rint(rng.uniform(0, 2 * ccr * times.mean(), len(edges))).astype(np.int64)
    no_latency, bandwidth = np.zeros((elements, elements), int), np.ones((elements, elements), int)
    try:
        return SoCInstance(name, (JobGraph("job", times, edges, volume),), no_latency, bandwidth, world=world)
    except InstanceError as error:
        raise OptionError(f"{tasks} tasks on {elements} processing elements: {error}") from error


def draw_structure(rng: np.random.Generator) -> dict[str, float]:
    """One of each of ``SHAPES`` and ``OUT_DEGREES``, as arguments of ``random_edges``."""
    return {"shape": _one_of(SHAPES, rng), "out_degree": _one_of(OUT_DEGREES, rng)}


def draw_costs(rng: np.random.Generator) -> dict[str, float]:
    """One of each of ``ELEMENTS``, ``CCRS`` and ``HETEROGENEITIES``, as arguments of ``with_costs``."""
    elements, ccr = _one_of(ELEMENTS, rng), _one_of(CCRS, rng)
    return {"elements": elements, "ccr": ccr, "heterogeneity": _one_of(HETEROGENEITIES, rng)}


def _one_of(values: tuple, rng: np.random.Generator):
    return values[rng.integers(len(values))]
