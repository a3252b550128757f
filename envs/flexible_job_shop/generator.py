"""Random flexible job shops: the two sets of the literature on learning to dispatch them, SD1 and SD2."""

import re

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .instance import MAX_CELLS, FlexibleJobShopInstance

SIZES = ("10x5", "20x5", "15x10", "20x10", "30x10", "40x10")
PRESETS = tuple(f"{kind}-{size}" for kind in ("sd1", "sd2") for size in SIZES)
MAX_SEED = 2**32 - 1

# Words of the seed sequences. All parts are 32-bit words in fixed places, so no two streams can be spelt alike.
FAMILY_TAG = 0x666A7370
HELD_OUT_TAG = 1
TRAINING_TAG = 2


def sd1(jobs: int, machines: int, rng: np.random.Generator, name: str = "sd1") -> FlexibleJobShopInstance:
    """Draw an instance in the manner of Song et al. (2023), whose numbers are those of Brandimarte (1993).

    A job has from four fifths to six fifths as many operations as there are machines, an operation runs on any number
    of machines; its times lie within a fifth of a mean from 1 to 20. All draws are uniform.

    Args:
        jobs: number of jobs.
        machines: number of machines.
        rng: the source of randomness.
        name: the name of the instance.

    Raises:
        OptionError: if the sizes are out of range.
    """
    least, most = max(1, 4 * machines // 5), max(1, 6 * machines // 5)
    _check_size(jobs, machines, most)
    there = np.arange(most) < rng.integers(least, most, (jobs, 1), endpoint=True)
    mean = rng.integers(1, 20, (jobs, most, 1), endpoint=True)
    # 0.8 and 1.2 of the mean, rounded; neither is ever half way between two whole numbers
    low, high = np.maximum(1, (8 * mean + 5) // 10), np.minimum(20, (12 * mean + 5) // 10)
    time = rng.integers(low, high, (jobs, most, machines), endpoint=True)
    return FlexibleJobShopInstance(name, _on_some_machines(time, there, rng))


def sd2(jobs: int, machines: int, rng: np.random.Generator, name: str = "sd2") -> FlexibleJobShopInstance:
    """Draw an instance in the manner of Wang et al. (2023), ``SD2`` of DANIEL in its mixed form.

    A job has as many operations as there are machines, an operation runs on any number of machines; every time is from
    1 to 99, so that machines differ much. All draws are uniform.

    Args:
        jobs: number of jobs.
        machines: number of machines.
        rng: the source of randomness.
        name: the name of the instance.

    Raises:
        OptionError: if the sizes are out of range.
    """
    _check_size(jobs, machines, machines)
    time = rng.integers(1, 99, (jobs, machines, machines), endpoint=True)
    return FlexibleJobShopInstance(name, _on_some_machines(time, np.ones((jobs, machines), bool), rng))


def _on_some_machines(time: np.ndarray, there: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep the times on 1 to all machines of each operation, drawn uniformly; -1 elsewhere and for padding."""
    count = rng.integers(1, time.shape[2], time.shape[:2], endpoint=True)
    order = rng.permuted(np.broadcast_to(np.arange(time.shape[2]), time.shape), axis=2)
    return np.where((order < count[:, :, None]) & there[:, :, None], time, -1)


KINDS = {"sd1": sd1, "sd2": sd2}


def preset_size(preset: str) -> tuple[str, int, int]:
    """Kind, jobs and machines of a preset such as ``"sd1-10x5"``; any size of this form is accepted.

    Raises:
        UnknownNameError: if it is not of that form.
        OptionError: if it is too large.

    >>> preset_size("sd2-15x10")
    ('sd2', 15, 10)
    """
    match = re.fullmatch(r"(sd[12])-([1-9][0-9]{0,6})x([1-9][0-9]{0,6})", preset, re.ASCII)
    if not match:
        raise UnknownNameError("flexible job shop preset", preset, [*PRESETS, "sd1-JOBSxMACHINES", "sd2-JOBSxMACHINES"])
    kind, jobs, machines = match[1], int(match[2]), int(match[3])
    _check_size(jobs, machines, max(1, 6 * machines // 5))
    return kind, jobs, machines


def preset_instance(preset: str, seed: int) -> FlexibleJobShopInstance:
    """The held-out instance of a preset and seed, named ``"PRESET:SEED"``; the same on every machine.

    It is drawn from a stream of its own, which is none of the streams of training. Of a few operations equal instances
    may still turn up in both by chance. These are not the files that the authors of SD1 and SD2 published, which
    followed from the generators of their libraries; they have the same distribution.

    Args:
        preset: kind and size, such as ``"sd1-10x5"``.
        seed: 0 to ``MAX_SEED``.

    Raises:
        UnknownNameError: if the preset is not known.
        OptionError: if the seed or the size is out of range.
    """
    kind, jobs, machines = preset_size(preset)
    return KINDS[kind](jobs, machines, _stream(kind, jobs, machines, HELD_OUT_TAG, seed), f"{preset}:{seed}")


def draw_instance(preset: str, rng: np.random.Generator) -> FlexibleJobShopInstance:
    """An instance of a preset from any source of randomness.

    Args:
        preset: as for ``preset_instance``.
        rng: the source of randomness.
    """
    kind, jobs, machines = preset_size(preset)
    return KINDS[kind](jobs, machines, rng, preset)


def training_instances(preset: str, count: int, seed: int, part: int) -> list[FlexibleJobShopInstance]:
    """Fresh instances to train on; the same for the same arguments, and never a held-out one.

    Args:
        preset: as for ``preset_instance``.
        count: how many.
        seed: of the training run, 0 to ``MAX_SEED``.
        part: which part of the run's stream, counted from 0.
    """
    kind, jobs, machines = preset_size(preset)
    rng = _stream(kind, jobs, machines, TRAINING_TAG, seed, part)
    return [KINDS[kind](jobs, machines, rng, preset) for _ in range(count)]


def _check_size(jobs: int, machines: int, operations: int) -> None:
    if jobs < 1 or machines < 1 or jobs * machines * operations > MAX_CELLS:
        raise OptionError(f"jobs x operations x machines must be 1 to {MAX_CELLS}, got {jobs}x{operations}x{machines}")


def _stream(kind: str, jobs: int, machines: int, purpose: int, *seeds: int) -> np.random.Generator:
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise OptionError(f"seed must be 0 to {MAX_SEED}, got {seed}")
    words = [FAMILY_TAG, list(KINDS).index(kind), jobs, machines, purpose, *map(int, seeds)]
    return np.random.default_rng(np.random.SeedSequence(words))
