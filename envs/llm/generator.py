"""Presets: workloads for one server and for fleets, made from a name and a seed.

A name is that of a preset and may go on with what differs from it, in this order::

    NAME[-nN][-xLOAD][-sSIGMA][-cvCV][-gGROUPS][-HhAa][-flow][-mix]

N requests; the load in percent, of saturation (see ``saturation``) or, of presets ``route-``, of their own rate; the
spread of predictions in percent; the coefficient of variation of gaps between arrivals; the number of groups; H and A
servers on H100 and A100 (the rate then changes as their saturation does); ``-flow`` has the mean end-to-end time for
its objective in place of missed targets. Instances of ``-mix`` differ among themselves: N / 2 to N requests, 85 to
115 % of the load and, of ``route-`` without a fleet in its name, one of several. Which of these a preset takes
stands in ``FORMS``.
"""

import re
from dataclasses import dataclass

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .instance import LLMInstance
from .presets import MIXED_FLEETS, PRESETS, SUFFIXES, TABLE, Settings
from .workload import draw

__all__ = ["FORMS", "PRESETS", "draw_instance", "preset_instance", "training_instances"]

MAX_SEED = 2**30 - 1  # of held-out instances
MAX_TRAINING_SEED = 2**32 - 1
MAX_COUNT = 100_000

# Words of the seed sequences. All parts are 32-bit words in fixed places, so no two streams can be spelt alike.
FAMILY_TAG = 0x6C6C6D21
HELD_OUT_TAG = 1
TRAINING_TAG = 2
MIX_LOAD = (0.85, 1.15)

FORMS = tuple(name + "".join(f"[{SUFFIXES[key].form}]" for key in TABLE[name].takes) for name in TABLE)


@dataclass(frozen=True)
class _Preset:
    """A preset taken apart.

    Attributes:
        name: the one in the table.
        settings: what was said and what is usual.
    """

    name: str
    settings: Settings

    @property
    def words(self) -> list[int]:
        """Its place in the table and its settings."""
        return [list(TABLE).index(self.name), *self.settings.words]

    def make(self, rng: np.random.Generator, name: str) -> LLMInstance:
        """Draw an instance, of a mix after what differs."""
        settings = self.settings
        if settings.mix:
            n = int(rng.integers(-(-settings.n // 2), settings.n + 1))
            settings = settings.changed(n=n, scale=float(rng.uniform(*MIX_LOAD)))
        if settings.mix == 2:
            settings = settings.changed(fleet=MIXED_FLEETS[int(rng.integers(len(MIXED_FLEETS)))])
        return draw(TABLE[self.name].recipe(settings), rng, name)


def preset_instance(preset: str, seed: int) -> LLMInstance:
    """The held-out instance of a preset and seed, named ``"PRESET:SEED"``; the same on every machine.

    It is drawn from a stream of its own, which is none of the streams of ``training_instances``.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        seed: 0 to ``MAX_SEED``.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if the seed or a number of the preset is out of range.

    >>> preset_instance("steady-n20", 0).size
    '20x1'
    """
    parsed = _parse(preset)
    _check("seed", seed, 0, MAX_SEED)
    return parsed.make(_stream(parsed, HELD_OUT_TAG, seed), f"{preset}:{seed}")


def training_instances(preset: str, count: int, seed: int, part: int) -> list[LLMInstance]:
    """Fresh instances to train on; the same for the same arguments, and never a held-out one.

    Numbers of requests and servers differ within the list of a ``-mix``.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        count: how many, 1 to ``MAX_COUNT``.
        seed: of the training run, 0 to ``MAX_TRAINING_SEED``.
        part: which part of the run's stream, counted from 0.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if a number is out of range.
    """
    parsed = _parse(preset)
    _check("count", count, 1, MAX_COUNT)
    _check("seed", seed, 0, MAX_TRAINING_SEED)
    _check("part", part, 0, MAX_TRAINING_SEED)
    rng = _stream(parsed, TRAINING_TAG, seed, part)
    return [parsed.make(rng, preset) for _ in range(count)]


def draw_instance(preset: str, rng: np.random.Generator) -> LLMInstance:
    """A fresh instance of a preset from a generator of the caller's.

    Args:
        preset: one of ``PRESETS`` or any other of ``FORMS``.
        rng: the source of randomness.

    Raises:
        UnknownNameError: if the preset has none of the forms.
        OptionError: if a number of it is out of range.
    """
    return _parse(preset).make(rng, preset)


def _stream(preset: _Preset, purpose: int, *seeds: int) -> np.random.Generator:
    words = [FAMILY_TAG, *preset.words, purpose, *map(int, seeds)]
    return np.random.default_rng(np.random.SeedSequence(words))


def _check(what: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise OptionError(f"{what} must be a whole number from {least} to {most}, got {value!r:.80}")


def _parse(preset: str) -> _Preset:
    """Take a preset's name apart.

    Raises:
        UnknownNameError: if it has none of the forms.
        OptionError: if it is no name, or its numbers are out of range.
    """
    if not isinstance(preset, str):
        raise OptionError(f"a preset is a name such as {PRESETS[0]!r}, got {preset!r:.80}")
    names = "|".join(sorted(map(re.escape, TABLE), key=len, reverse=True))
    match = re.fullmatch(f"({names})" + "".join(f"(?:-{one.pattern})?" for one in SUFFIXES.values()), preset)
    if not match:
        raise UnknownNameError("LLM preset", preset, FORMS)
    name, groups, said = match[1], iter(match.groups()[1:]), {}
    for key, suffix in SUFFIXES.items():
        values = [next(groups) for _ in range(suffix.numbers)]
        if values[0] is None:
            continue
        if key not in TABLE[name].takes:
            raise UnknownNameError("LLM preset", preset, FORMS)
        said[key] = suffix.read(values)
    if "mix" in said and "fleet" in TABLE[name].takes and "fleet" not in said:
        said["mix"] = 2
    return _Preset(name, TABLE[name].settings.changed(**said))
