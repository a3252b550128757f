"""Integer quantile tables, and the random bits that draw from them: what is uncertain in several families' worlds.

Kinds of noise on processing times:

- ``none``: the estimate.
- ``gaussian``: times a normal variable of mean 1 and standard deviation sigma, clipped to 0.1 .. 8.
- ``lognormal``, ``gamma``: times a variable of mean 1 and coefficient of variation sigma, capped at 8.
- ``ds3``: times a normal variable of mean 1 and standard deviation sigma, at most 8 (Arda et al., 2020).
- ``readys``: a normal variable of standard deviation sigma time units, at least -2, is added (Grinsztajn et al., 2021).

What is drawn is a pure function of a key, so everybody who meets the same key meets the same world.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from .errors import OptionError

NOISES = ("none", "gaussian", "lognormal", "gamma", "ds3", "readys")
MAX_SIGMA = 4.0  # of the multiplicative kinds, which are capped at 8 times the estimate anyway
MAX_SIGMA_READYS = 1000.0  # of the additive kind, in time units
QUANTILES = 4096
ONE = 65536  # the factor 1 in the tables of the multiplicative kinds
HIGHEST = 8  # nothing takes longer than this many times its estimate under them
QUANTILE_SHIFT = 31 - 12  # of 31 random bits the highest 12 choose one of 4096 quantiles


def table(kind: str, sigma: float) -> np.ndarray:
    """Tabulate the quantiles of a kind of noise.

    Args:
        kind: one of ``NOISES``.
        sigma: its spread, see the module.

    Returns:
        (QUANTILES,) int32, read-only; entry k is the quantile of (k + 1/2) / QUANTILES. Multiplicative kinds count in
        units of 1 / ``ONE``; ``"readys"`` counts in time units; ``"none"`` is ``ONE`` throughout.

    Raises:
        OptionError: if the kind is not known, or sigma is outside of its range.

    >>> table("gaussian", 0.1)[[0, 2048, 4095]].tolist()
    [41495, 65538, 89577]
    """
    if kind not in NOISES:
        raise OptionError(f"noise must be one of {', '.join(NOISES)}, got {kind!r}")
    highest = MAX_SIGMA_READYS if kind == "readys" else MAX_SIGMA
    if isinstance(sigma, bool) or not isinstance(sigma, int | float | np.number) or not 0 <= sigma <= highest:
        raise OptionError(f"sigma must be a number from 0 to {highest:g} for {kind!r} noise, got {sigma!r}")
    return _table(kind, float(sigma))


@lru_cache(maxsize=64)
def _table(kind: str, sigma: float) -> np.ndarray:
    z = _normal_quantiles()
    if kind == "readys":
        values = np.maximum(sigma * z, -2)
    elif kind == "none" or sigma == 0:
        values = np.full(QUANTILES, float(ONE))
    else:
        if kind == "gaussian":
            factor = np.maximum(1 + sigma * z, 0.1)
        elif kind == "ds3":
            factor = 1 + sigma * z
        elif kind == "lognormal":
            spread = math.sqrt(math.log1p(sigma**2))
            factor = np.exp(spread * z - spread**2 / 2)
        else:
            factor = _gamma_quantiles(sigma)
        values = ONE * np.minimum(factor, HIGHEST)
    result = np.rint(values).astype(np.int32)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=1)
def _normal_quantiles() -> np.ndarray:
    inverse = NormalDist().inv_cdf
    return np.array([inverse((k + 0.5) / QUANTILES) for k in range(QUANTILES)])


@lru_cache(maxsize=1)
def exponential_table() -> np.ndarray:
    """Tabulate the quantiles of the exponential distribution of mean 1.

    Returns:
        (QUANTILES,) int32, read-only, in units of 1 / ``ONE``; entry k is the quantile of (k + 1/2) / QUANTILES.

    >>> exponential_table()[[0, 2048, 4095]].tolist()
    [8, 45442, 590539]
    """
    share = (np.arange(QUANTILES) + 0.5) / QUANTILES
    result = np.rint(ONE * -np.log1p(-share)).astype(np.int32)
    result.setflags(write=False)
    return result


def _gamma_quantiles(sigma: float) -> np.ndarray:
    """Quantiles of the gamma distribution of mean 1 and coefficient of variation sigma, (QUANTILES,) float64."""
    if sigma < 1e-4:
        return 1 + sigma * _normal_quantiles()  # the same to within the table's resolution
    # with y = exp(t) the density of t is smooth and falls off fast on both sides, for any shape
    shape = sigma**-2
    reach = 9 * math.sqrt(math.log1p(sigma**2))
    t = np.linspace(-max(reach, 26.0 / shape), max(min(reach, 5.0), 1e-3), 2**18 + 1)
    density = np.exp(shape * (t - np.expm1(t)))
    share = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.exp(np.interp((np.arange(QUANTILES) + 0.5) / QUANTILES, share / share[-1], t))


def random_bits(seed: int, world: int, episode: int, draw: np.ndarray) -> np.ndarray:
    """31 uniform bits for each draw: the function of the same name of the engine, in NumPy.

    Args:
        seed, world, episode: the key, int32 each.
        draw: int32 integers, of any shape.

    Returns:
        int64 from 0 to 2**31 - 1, in the shape of ``draw``.
    """
    # a NumPy scalar would warn where it wraps around, an array of one element does not
    key = np.array([seed & 0xFFFFFFFF], dtype=np.uint32)
    key = _mix(key + np.uint32(0x9E3779B9))
    key = _mix(key ^ np.uint32(world & 0xFFFFFFFF))
    key = _mix(key + np.uint32(episode & 0xFFFFFFFF))
    wrapped = (np.atleast_1d(draw).astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)
    return (_mix(key ^ wrapped) >> np.uint32(1)).astype(np.int64).reshape(np.shape(draw))


def _mix(x: np.ndarray) -> np.ndarray:
    """Chris Wellons' "lowbias32" (2018), elementwise on uint32."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
