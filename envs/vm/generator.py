"""Presets: clusters to be rescheduled, clusters with churn and pods to be packed, made from a name and a seed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .churn import draw_churn
from .conflicts import draw_conflicts
from .fields import MAX_HOSTS, MAX_PAIRS
from .flavors import COMPUTE, GENERAL, Flavors
from .instance import VMInstance
from .pods import draw_pods
from .snapshot import draw_cluster

PRESETS = (
    "hosts-30",
    "hosts-100",
    "small",
    "medium",
    "multi",
    "medium-low",
    "medium-mid",
    "medium-high",
    "affinity-50-15",
    "affinity-280-5",
    "churn-50-5",
    "churn-280-12",
    "churn-280-40",
    "pods-8x4",
    "pods-16x4",
)
MAX_SEED = 2**30 - 1  # of held-out instances, whose world is the seed
MAX_TRAINING_SEED = 2**32 - 1
TRAINING_WORLDS = (2**30, 2**31)  # above all seeds
MAX_PERCENT = 50
MAX_RATE = 1000  # VMs a minute
MAX_PODS = 4000  # of one instance; with four priorities and 50 migrations the penalty still fits 62 bits
MAX_PODS_PER_NODE = 64
HORIZON = 600_000  # ms, of churn

# Words of the seed sequences. All parts are 32-bit words in fixed places, so no two streams can be spelt alike.
FAMILY_TAG = 0x766D2121
HELD_OUT_TAG = 1
TRAINING_TAG = 2

# Utilisation and scatter, see ``draw_cluster``.
FULL = (0.943, 0.6)
# Loads of hosts as of the workloads of VMR2L: 35 % of them are below 20 % of their cores and 75 % below 60 %;
# 8 % below 20 %, 42 % below 60 %, 70 % below 90 %; 19 % below 80 %, 32 % below 90 %.
LOW, MIDDLE, HIGH = (0.38, 0.9), (0.66, 0.7), (0.9, 0.6)
MULTI = (0.568, 0.6)  # the utilisation of the mapping that the flavors are of
PAIRS_FOR_SHARE = 5  # pairs / hosts**2 for a share of 1 - 1 / e; in clusters that are FULL about 4.1

Make = Callable[[np.random.Generator, str, int], VMInstance]  # from a stream, a name and a world


@dataclass(frozen=True)
class _Preset:
    """A preset taken apart.

    Attributes:
        words: number of its form and its parameters, three words.
        make: draws an instance.
    """

    words: tuple[int, ...]
    make: Make


def preset_instance(preset: str, seed: int) -> VMInstance:
    """The held-out instance of a preset and seed, named ``"PRESET:SEED"``; the same on every machine.

    It is drawn from a stream of its own, which is none of the streams of ``training_instances``, and its
    world is the seed.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        seed: 0 to ``MAX_SEED``.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if the seed or a number of the preset is out of range.

    >>> preset_instance("pods-4x3", 0).size
    '4x12'
    """
    parsed = _parse(preset)
    _check("seed", seed, 0, MAX_SEED)
    return parsed.make(_stream(parsed, HELD_OUT_TAG, seed), f"{preset}:{seed}", int(seed))


def training_instances(preset: str, count: int, seed: int, part: int) -> list[VMInstance]:
    """Fresh instances to train on; the same for the same arguments, and never a held-out one.

    Numbers of virtual machines may differ within the list.

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
    _check("seed", seed, 0, MAX_TRAINING_SEED)
    _check("part", part, 0, MAX_TRAINING_SEED)
    rng = _stream(parsed, TRAINING_TAG, seed, part)
    worlds = rng.integers(*TRAINING_WORLDS, size=count).tolist()
    return [parsed.make(rng, preset, world) for world in worlds]


def draw_instance(preset: str, rng: np.random.Generator) -> VMInstance:
    """A fresh instance of a preset from a generator of the caller's.

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


def _check(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise OptionError(f"{what} must be {least} to {most}, got {value}")


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
            return _Preset((index, *values, *(0,) * (2 - len(values))), take_apart(*values))
    raise UnknownNameError("VM preset", preset, FORMS)


def _cluster(flavors: Flavors, load: tuple[float, float], hosts: int) -> Make:
    _check("HOSTS", hosts, 1, MAX_HOSTS)

    def make(rng: np.random.Generator, name: str, world: int) -> VMInstance:
        return VMInstance(name, **draw_cluster(hosts, flavors, *load, rng), world=world)

    return make


def _affinity(hosts: int, percent: int) -> Make:
    _check("HOSTS", hosts, 1, MAX_HOSTS)
    _check("PERCENT", percent, 0, MAX_PERCENT)
    share = percent / 100
    expected = -np.log1p(-share) * PAIRS_FOR_SHARE * hosts**2
    if 4 * expected > MAX_PAIRS:
        raise OptionError(f"{percent} % of {hosts} hosts need more than {MAX_PAIRS // 4} pairs, take less of either")

    def make(rng: np.random.Generator, name: str, world: int) -> VMInstance:
        cluster = draw_cluster(hosts, COMPUTE, *FULL, rng)
        return VMInstance(name, **cluster, groups=draw_conflicts(cluster["node"], hosts, share, rng), world=world)

    return make


def _churn(hosts: int, rate: int) -> Make:
    _check("HOSTS", hosts, 1, MAX_HOSTS)
    _check("RATE", rate, 1, MAX_RATE)

    def make(rng: np.random.Generator, name: str, world: int) -> VMInstance:
        cluster = draw_churn(draw_cluster(hosts, COMPUTE, *FULL, rng), rate, HORIZON, rng)
        return VMInstance(name, **cluster, horizon=HORIZON, world=world)

    return make


def _pods(nodes: int, pods: int) -> Make:
    _check("PODS", pods, 2, MAX_PODS_PER_NODE)
    _check("NODES", nodes, 2, MAX_PODS // pods)

    def make(rng: np.random.Generator, name: str, world: int) -> VMInstance:
        return VMInstance(name, **draw_pods(nodes, pods, rng), world=world)

    return make


# The place of a form is a word of its streams: new ones go to the end.
_FORMS: dict[str, Callable[..., Make]] = {
    "hosts-HOSTS": partial(_cluster, COMPUTE, FULL),
    "small": partial(_cluster, COMPUTE, (0.85, 0.6), 10),
    "medium": partial(_cluster, COMPUTE, FULL, 280),
    "multi": partial(_cluster, GENERAL, MULTI, 280),
    "medium-low": partial(_cluster, COMPUTE, LOW, 280),
    "medium-mid": partial(_cluster, COMPUTE, MIDDLE, 280),
    "medium-high": partial(_cluster, COMPUTE, HIGH, 280),
    "affinity-HOSTS-PERCENT": _affinity,
    "churn-HOSTS-RATE": _churn,
    "pods-NODESxPODS": _pods,
}
FORMS = tuple(_FORMS)
