"""Streams of jobs of a software-defined radio and radar on a chip of sixteen unlike processing elements (PEs).

The chip and its jobs are of the kind that DS3 (Arda et al., 2020) simulates: little and big cores that
run everything, and accelerators for matrix products, Fourier transforms and Viterbi decoding that run one
operation fast but are reached by slow transfers. All numbers are our own round ones.
"""

from functools import cache

import numpy as np

from .arrivals import draw_arrivals
from .instance import SoCInstance
from .job_graph import JobGraph

KINDS = ("little",) * 4 + ("big",) * 4 + ("matrix",) * 2 + ("fft",) * 4 + ("viterbi",) * 2
CORES = ("little", "big")
JOBS = 25
SMALL = 10  # tasks at most of a job of the small streams
SYMBOLS = 6  # of a WiFi frame, each treated on its own
BETWEEN_CORES, TO_ACCELERATORS = 1000, 10  # bandwidth in bytes per us

# Execution times in us on a little and a big core, and on the accelerator that has the operation.
OPERATIONS = {
    "check": (6, 3, {}),
    "scramble": (8, 4, {}),
    "encode": (30, 12, {}),
    "puncture": (6, 3, {}),
    "interleave": (12, 5, {}),
    "modulate": (20, 8, {}),
    "pilot": (6, 4, {}),
    "prefix": (6, 3, {}),
    "frame": (10, 5, {}),
    "synchronise": (40, 20, {}),
    "equalise": (10, 5, {}),
    "demodulate": (100, 50, {}),
    "depuncture": (6, 3, {}),
    "decode": (1800, 740, {"viterbi": 20}),
    "upsample": (40, 10, {}),
    "filter": (60, 25, {}),
    "pulse": (90, 60, {}),
    "sample": (10, 5, {}),
    "window": (5, 3, {}),
    "conjugate": (20, 8, {}),
    "multiply": (75, 10, {}),
    "detect": (25, 20, {}),
    "invert": (30, 10, {}),
    "subtract": (70, 16, {}),
    "product": (240, 55, {"matrix": 20}),
    "fft": (300, 120, {"fft": 15}),
    "long fft": (160, 60, {"fft": 30}),
}

CHAINS = {
    "single-carrier transmitter": "check scramble encode puncture interleave modulate upsample filter".split(),
    "single-carrier receiver": "filter synchronise demodulate interleave depuncture decode scramble check".split(),
}
CHAIN_VOLUME = 50


@cache
def graphs() -> tuple[JobGraph, ...]:
    """The six kinds of jobs; the first two are the WiFi transmitter and receiver, of more than ``SMALL`` tasks."""
    chains = [_graph(name, steps, _chain(0, len(steps), CHAIN_VOLUME)) for name, steps in CHAINS.items()]
    return (_wifi_transmitter(), _wifi_receiver(), _range_detection(), *chains, _temporal_mitigation())


def generate(
    gap: int, small: bool, rng: np.random.Generator, name: str = "radio", world: int = 0, jobs: int = JOBS
) -> SoCInstance:
    """Draw a stream of jobs, all kinds alike, with Poisson arrivals.

    Args:
        gap: mean time between arrivals, in us.
        small: only the kinds of at most ``SMALL`` tasks.
        rng: the source of randomness.
        name: the name of the instance.
        world: number of the realisation of the noise.
        jobs: how many arrive.

    Raises:
        OptionError: if the gap or the number of jobs is out of range.
    """
    kinds = graphs()[2:] if small else graphs()
    time, graph = draw_arrivals("poisson", rng, gap, jobs, graphs=len(kinds))
    core = np.isin(KINDS, CORES)
    bandwidth = np.where(core[:, None] & core, BETWEEN_CORES, TO_ACCELERATORS)
    return SoCInstance(name, kinds, np.zeros_like(bandwidth), bandwidth, KINDS, time, graph, world=world)


def _graph(name: str, operations: list[str], links: list[tuple[int, int, int]]) -> JobGraph:
    table = np.array(links)
    return JobGraph(name, np.array([_times(one) for one in operations]), table[:, :2], table[:, 2])


def _times(operation: str) -> list[int]:
    """Execution times of an operation on each PE, -1 where there is none."""
    little, big, accelerators = OPERATIONS[operation]
    times = {"little": little, "big": big} | accelerators
    return [times.get(kind, -1) for kind in KINDS]


def _chain(first: int, count: int, volume: int) -> list[tuple[int, int, int]]:
    return [(task, task + 1, volume) for task in range(first, first + count - 1)]


def _wifi_transmitter() -> JobGraph:
    """Bits are scrambled and encoded, each symbol goes its own way, and the frame is put together: 27 tasks."""
    symbol = ["interleave", "modulate", "fft", "prefix"]
    operations, links = ["scramble", "encode"], [(0, 1, 200)]
    for _ in range(SYMBOLS):
        first = len(operations)
        operations += symbol
        links += [(1, first, 50), *_chain(first, len(symbol), 100), (first + 3, 2 + 4 * SYMBOLS, 100)]
    return _graph("wifi transmitter", [*operations, "frame"], links)


def _wifi_receiver() -> JobGraph:
    """Each symbol is transformed and demodulated, and the frame is decoded as a whole: 34 tasks."""
    symbol = ["fft", "equalise", "pilot", "demodulate", "interleave"]
    operations, links, last = ["synchronise"], [], 1 + 5 * SYMBOLS
    for _ in range(SYMBOLS):
        first = len(operations)
        operations += symbol
        links += [(0, first, 100), *_chain(first, len(symbol), 100), (first + 4, last, 50)]
    return _graph("wifi receiver", [*operations, "decode", "scramble", "check"], links + _chain(last, 3, 200))


def _range_detection() -> JobGraph:
    """Echo and pulse are correlated in the frequency domain."""
    operations = ["pulse", "long fft", "sample", "long fft", "multiply", "long fft", "detect"]
    links = [(0, 1, 250), (1, 4, 250), (2, 3, 250), (3, 4, 250), (4, 5, 250), (5, 6, 250)]
    return _graph("range detection", operations, links)


def _temporal_mitigation() -> JobGraph:
    """The interference is projected out of the received signal by least squares."""
    operations = ["sample", "window", "window", "conjugate", "product", "product", "invert", "product", "product"]
    links = [(0, 1, 400), (0, 2, 400), (2, 3, 200), (1, 4, 200), (3, 4, 200), (2, 5, 200), (3, 5, 200), (5, 6, 100)]
    links += [(4, 7, 100), (6, 7, 100), (7, 8, 100), (2, 8, 200), (1, 9, 200), (8, 9, 200)]
    return _graph("temporal mitigation", [*operations, "subtract"], links)
