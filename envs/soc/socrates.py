"""The synthetic jobs of SoCRATES (Sung and Ryu, 2021): ten small graphs on three processing elements.

The first graph and all execution times are the example of Topcuoglu, Hariri and Wu (2002); the nine others
are variants of it. The figures are those of github.com/EpiSci/SoCRATES (MIT licence).
"""

from functools import cache

import numpy as np

from .arrivals import draw_arrivals
from .instance import SoCInstance
from .job_graph import JobGraph

ELEMENTS = 3
DURATION = 5000  # us, jobs arrive before this time

EXECUTION_TIME = (
    (14, 16, 9),
    (13, 19, 18),
    (11, 13, 19),
    (13, 8, 17),
    (12, 13, 10),
    (13, 16, 9),
    (7, 15, 11),
    (5, 11, 14),
    (18, 12, 20),
    (21, 7, 16),
)

# source-target:volume of every edge
EDGES = (
    "0-1:18 0-2:12 0-3:9 0-4:11 0-5:14 1-7:19 1-8:16 2-6:23 3-7:27 3-8:23 4-8:13 5-7:15 6-9:17 7-9:11 8-9:13",
    "0-1:18 0-2:12 0-3:9 0-4:11 1-5:14 1-6:19 2-5:16 3-6:23 3-7:27 4-7:23 5-8:13 6-8:15 7-9:11 8-9:13",
    "0-1:18 0-2:12 0-3:9 0-4:11 1-5:14 2-6:19 3-5:16 4-6:23 5-7:27 6-8:23 7-9:13 8-9:15",
    "0-1:18 0-2:12 1-4:9 1-6:11 2-3:14 2-5:19 2-6:16 3-7:23 4-7:27 5-8:13 6-7:23 7-9:15 8-9:17",
    "0-1:18 0-2:12 0-3:9 2-4:11 1-5:14 3-5:19 2-6:16 1-7:23 3-7:27 4-8:23 5-8:13 6-9:15 7-9:17 8-9:11",
    "0-1:18 0-2:12 1-3:9 2-4:11 1-5:14 2-5:19 2-6:16 2-7:23 2-8:27 3-9:23 4-9:19 5-9:16 6-9:23 7-9:27 8-9:23",
    "0-1:18 0-2:12 0-3:9 0-4:11 1-5:14 3-6:19 1-7:16 2-7:23 2-8:27 4-8:23 5-9:17 6-9:11 7-9:13 8-9:18",
    "0-1:18 0-2:12 0-3:9 0-4:11 0-5:14 0-6:19 2-7:16 1-8:23 3-8:27 4-9:23 5-9:13 6-9:15 7-9:17 8-9:11",
    "0-1:18 0-2:12 0-3:9 0-4:11 0-5:14 3-6:19 1-7:16 3-7:23 2-8:27 5-8:23 4-9:13 6-9:15 7-9:17 8-9:11",
    "0-1:18 0-2:12 0-3:9 0-4:11 1-5:14 2-5:19 1-6:16 4-6:23 3-7:27 4-7:23 4-8:13 5-9:15 6-9:17 7-9:11 8-9:13",
)


@cache
def graphs() -> tuple[JobGraph, ...]:
    """The ten graphs, named ``"top1"``, the canonical one, to ``"top10"``."""
    return tuple(_graph(f"top{number}", text) for number, text in enumerate(EDGES, 1))


def generate(
    scale: int,
    mixed: bool,
    rng: np.random.Generator,
    name: str = "socrates",
    world: int = 0,
    jobs: int | None = None,
) -> SoCInstance:
    """Draw a stream of jobs, those that arrive in 5000 us unless their number is given.

    Args:
        scale: mean time between arrivals before rounding down, in us.
        mixed: draw each job from all ten graphs instead of taking the canonical one.
        rng: the source of randomness.
        name: the name of the instance.
        world: number of the realisation of the noise.
        jobs: how many arrive, however long that takes; those of ``DURATION`` when left out.

    Raises:
        OptionError: if the scale or the number of jobs is out of range.
    """
    kinds = graphs() if mixed else graphs()[:1]
    until = DURATION if jobs is None else None
    time, graph = draw_arrivals("poisson", rng, scale, jobs, until, graphs=len(kinds))
    latency, bandwidth = np.zeros((ELEMENTS, ELEMENTS), int), np.ones((ELEMENTS, ELEMENTS), int)
    return SoCInstance(name, kinds, latency, bandwidth, None, time, graph, world=world)


def _graph(name: str, text: str) -> JobGraph:
    edges = np.array([link.replace("-", ":").split(":") for link in text.split()]).astype(np.int64)
    return JobGraph(name, np.array(EXECUTION_TIME), edges[:, :2], edges[:, 2])
