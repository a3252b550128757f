"""Presets: random graphs, graphs of known programs and streams of jobs, made from a name and a seed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from . import radio, random_graph, socrates
from .instance import MAX_ELEMENTS, MAX_TRANSFERS, SoCInstance
from .job_graph import MAX_CELLS, JobGraph
from .structured import FACTORISATIONS, factorisation, fft, fork_join, gauss

PRESETS = (
    "random-12",
    "random-30",
    "random-50",
    "cholesky-4-2g2c",
    "cholesky-8-1g3c",
    "lu-8-2g2c",
    "qr-6-1g3c",
    "fft-8",
    "gauss-6",
    "forkjoin-6x4",
    "socrates-25",  # more jobs than the PEs can do (they can do one in 31 us): meant with a limit of jobs in the system
    "socrates-50",
    "socrates-mix-50",
    "radio-25",
    "radio-50",
    "radio-100",
    "radio-small-15",
    "radio-small-50",
)
MAX_SEED = 2**30 - 1  # of held-out instances, whose world is the seed
MAX_TRAINING_SEED = 2**32 - 1
TRAINING_WORLDS = (2**30, 2**31)  # above all seeds, so the noise of training is none of the held-out ones either
MAX_RANDOM = 2000  # tasks
MAX_GAP = 1_000_000  # us, mean time between arrivals
MAX_STREAM = 10_000  # jobs

# Words of the seed sequences. All parts are 32-bit words in fixed places, so no two streams can be spelt alike.
FAMILY_TAG = 0x736F6321
HELD_OUT_TAG = 1
TRAINING_TAG = 2

TASKS = {12: (10, 12), 30: (25, 35), 50: (45, 50)}  # of random-N; others lie within 15 % of N

Make = Callable[[np.random.Generator, str, int], SoCInstance]  # from a stream, a name and a world


@dataclass(frozen=True)
class _Preset:
    """A preset taken apart.

    Attributes:
        words: number of its form and its parameters, four words.
        make: draws an instance.
        tasks: the most tasks that one of its graphs has.
        elements: the most processing elements (PEs) that it has.
    """

    words: tuple[int, ...]
    make: Make
    tasks: int
    elements: int


def preset_size(preset: str) -> tuple[int, int]:
    """The most tasks of one job and the most PEs that instances of a preset have.

    Raises:
        UnknownNameError: if it has none of ``FORMS``.
        OptionError: if its numbers are out of range.

    >>> preset_size("cholesky-4-2g2c")
    (20, 4)
    """
    parsed = _parse(preset)
    return parsed.tasks, parsed.elements


def preset_instance(preset: str, seed: int) -> SoCInstance:
    """The held-out instance of a preset and seed, named ``"PRESET:SEED"``; the same on every machine.

    It is drawn from a stream of its own, which is none of the streams of ``training_instances``, and its
    world is the seed. Presets without anything random (the factorisations) differ by that alone.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        seed: 0 to ``MAX_SEED``.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if the seed or a number of the preset is out of range.
    """
    parsed = _parse(preset)
    _check_seed("seed", seed, MAX_SEED)
    return parsed.make(_stream(parsed, HELD_OUT_TAG, seed), f"{preset}:{seed}", seed)


def training_instances(preset: str, count: int, seed: int, part: int) -> list[SoCInstance]:
    """Fresh instances to train on; the same for the same arguments, and never a held-out one.

    Numbers of tasks, PEs and jobs may differ within the list.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        count: how many.
        seed: of the training run, 0 to ``MAX_TRAINING_SEED``.
        part: which part of the run's stream, counted from 0.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if a number is out of range.
    """
    parsed = _parse(preset)
    if count < 1:
        raise OptionError(f"count must be at least 1, got {count}")
    _check_seed("seed", seed, MAX_TRAINING_SEED)
    _check_seed("part", part, MAX_TRAINING_SEED)
    rng = _stream(parsed, TRAINING_TAG, seed, part)
    worlds = rng.integers(*TRAINING_WORLDS, size=count).tolist()
    return [parsed.make(rng, preset, world) for world in worlds]


def draw_instance(preset: str, rng: np.random.Generator) -> SoCInstance:
    """A fresh instance of a preset from a generator of the caller's; its noise is that of training.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        rng: the source of randomness.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if a number of it is out of range.
    """
    parsed = _parse(preset)
    world = int(rng.integers(*TRAINING_WORLDS))
    return parsed.make(rng, preset, world)


def _stream(preset: _Preset, purpose: int, *seeds: int) -> np.random.Generator:
    words = [FAMILY_TAG, *preset.words, purpose, *map(int, seeds)]
    return np.random.default_rng(np.random.SeedSequence(words))


def _check_seed(what: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise OptionError(f"{what} must be 0 to {most}, got {value}")


def _parse(preset: str) -> _Preset:
    """Take a preset's name apart.

    Raises:
        UnknownNameError: if it has none of the forms.
        OptionError: if it is no name, or its numbers are out of range.
    """
    if not isinstance(preset, str):
        raise OptionError(f"a preset is a name such as {PRESETS[0]!r}, got {preset!r:.80}")
    for index, (form, take_apart) in enumerate(_FORMS.items()):
        match = re.fullmatch(re.sub("[A-Z]+", "(0|[1-9][0-9]{0,8})", form), preset)
        if match:
            values = tuple(map(int, match.groups()))
            make, tasks, elements = take_apart(*values)
            return _Preset((index, *values, *(0,) * (3 - len(values))), make, tasks, elements)
    raise UnknownNameError("SoC preset", preset, FORMS)


def _random(tasks: int):
    if not 2 <= tasks <= MAX_RANDOM:
        raise OptionError(f"tasks must be 2 to {MAX_RANDOM}, got {tasks}")
    low, high = TASKS.get(tasks, (max(2, round(0.85 * tasks)), round(1.15 * tasks)))

    def make(rng: np.random.Generator, name: str, world: int) -> SoCInstance:
        size = int(rng.integers(low, high, endpoint=True))
        edges = random_graph.random_edges(size, rng, **random_graph.draw_structure(rng))
        return random_graph.with_costs(size, edges, rng=rng, name=name, world=world, **random_graph.draw_costs(rng))

    return make, high, max(random_graph.ELEMENTS)


def _program(edges_of: Callable[..., tuple[int, np.ndarray]], *parameters: int):
    """A graph of ``structured`` with random costs."""
    tasks, edges = edges_of(*parameters)

    def make(rng: np.random.Generator, name: str, world: int) -> SoCInstance:
        return random_graph.with_costs(tasks, edges, rng=rng, name=name, world=world, **random_graph.draw_costs(rng))

    return make, tasks, max(random_graph.ELEMENTS)


def _factorisation(kind: str, tiles: int, gpus: int, cpus: int):
    """A factorisation on GPUs, which come first, and CPUs, without communication.

    Earliest finish times of a CPU and a GPU can tie, and the lowest PE then wins. With GPUs first, HEFT
    gives the makespans that are known for these graphs; the other order changes them by at most 2 %.
    """
    graph, elements = _factorisation_graph(kind, tiles, gpus, cpus), gpus + cpus
    kinds = ("gpu",) * gpus + ("cpu",) * cpus
    latency, bandwidth = np.zeros((elements, elements), int), np.ones((elements, elements), int)

    def make(rng: np.random.Generator, name: str, world: int) -> SoCInstance:
        return SoCInstance(name, (graph,), latency, bandwidth, kinds, world=world)

    return make, graph.tasks, elements


@lru_cache(maxsize=16)
def _factorisation_graph(kind: str, tiles: int, gpus: int, cpus: int) -> JobGraph:
    if not 1 <= gpus + cpus <= MAX_ELEMENTS:
        raise OptionError(f"GPUs and CPUs must be 1 to {MAX_ELEMENTS} in all, got {gpus} and {cpus}")
    kernels, edges = factorisation(kind, tiles)
    if len(kernels) * (gpus + cpus) > MAX_CELLS or len(edges) * (gpus + cpus) ** 2 > MAX_TRANSFERS:
        raise OptionError(f"{kind} of {tiles} tiles has {len(kernels)} tasks, too many for {gpus + cpus} PEs")
    times = [[FACTORISATIONS[kind][kernel][1]] * gpus + [FACTORISATIONS[kind][kernel][0]] * cpus for kernel in kernels]
    return JobGraph(kind, np.array(times), edges, np.zeros(len(edges), int))


def _socrates(mixed: bool, scale: int, jobs: int | None = None):
    def make(rng: np.random.Generator, name: str, world: int) -> SoCInstance:
        return socrates.generate(scale, mixed, rng, name, world, jobs)

    _check_gap("SCALE", scale)
    _check_jobs(jobs)
    return make, socrates.graphs()[0].tasks, socrates.ELEMENTS


def _radio(small: bool, gap: int, jobs: int = radio.JOBS):
    def make(rng: np.random.Generator, name: str, world: int) -> SoCInstance:
        return radio.generate(gap, small, rng, name, world, jobs)

    _check_gap("GAP", gap)
    _check_jobs(jobs)
    return make, radio.SMALL if small else max(graph.tasks for graph in radio.graphs()), len(radio.KINDS)


def _check_gap(what: str, gap: int) -> None:
    if not 1 <= gap <= MAX_GAP:
        raise OptionError(f"{what} must be 1 to {MAX_GAP} us, got {gap}")


def _check_jobs(jobs: int | None) -> None:
    if jobs is not None and not 1 <= jobs <= MAX_STREAM:
        raise OptionError(f"JOBS must be 1 to {MAX_STREAM}, got {jobs}")


# The place of a form is a word of its streams: new ones go to the end.
_FORMS: dict[str, Callable[..., tuple[Make, int, int]]] = {
    "random-TASKS": _random,
    "cholesky-TILES-GgCc": partial(_factorisation, "cholesky"),
    "lu-TILES-GgCc": partial(_factorisation, "lu"),
    "qr-TILES-GgCc": partial(_factorisation, "qr"),
    "fft-POINTS": partial(_program, fft),
    "gauss-COLUMNS": partial(_program, gauss),
    "forkjoin-WIDTHxSTAGES": partial(_program, fork_join),
    "socrates-SCALE": partial(_socrates, False),
    "socrates-mix-SCALE": partial(_socrates, True),
    "radio-GAP": partial(_radio, False),
    "radio-small-GAP": partial(_radio, True),
    "socrates-SCALExJOBS": partial(_socrates, False),
    "socrates-mix-SCALExJOBS": partial(_socrates, True),
    "radio-GAPxJOBS": partial(_radio, False),
    "radio-small-GAPxJOBS": partial(_radio, True),
}
FORMS = tuple(_FORMS)
