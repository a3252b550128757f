"""Fresh instances for environments that generate their own, all of a size that the environment can hold."""

from collections.abc import Callable

import numpy as np

from .errors import OptionError
from .instance import Instance

ATTEMPTS = 1000

Draw = Callable[[np.random.Generator], Instance]


def probe(draw: Draw, count: int) -> list[Instance]:
    """Some draws, the same for everybody, that show how large instances get: shapes of observations follow from them.

    Args:
        draw: from a generator to a fresh instance.
        count: how many; one is enough where all are of one size.
    """
    return [draw(np.random.default_rng(number)) for number in range(count)]


def draw_fitting(draw: Draw, generator: np.random.Generator, model) -> Instance:
    """Draw until an instance fits.

    Args:
        draw: from a generator to a fresh instance.
        generator: the source of randomness.
        model: what it must fit.

    Raises:
        OptionError: if nothing does.
    """
    for _ in range(ATTEMPTS):
        instance = draw(generator)
        if model.fits(instance):
            return instance
    raise OptionError(f"none of {ATTEMPTS} instances drawn fits the sizes of the environment")
