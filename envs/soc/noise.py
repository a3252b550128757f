"""Actual execution times: the estimates times noise, drawn from integer quantile tables.

What is drawn for a job's task on a processing element is a pure function of the key in the conditions and of the three
numbers, so every scheduler that meets the same key meets the same times. The kinds of noise:

- ``none``: the estimate.
- ``gaussian``: times a normal variable of mean 1 and standard deviation sigma, clipped to 0.1 .. 8.
- ``lognormal``, ``gamma``: times a variable of mean 1 and coefficient of variation sigma, capped at 8.
- ``ds3``: as in DS3 (Arda et al., 2020) and SoCRATES (Sung and Ryu, 2022), a normal variable around the estimate with
  standard deviation sigma times the estimate, at least 1; here also at most 8 times the estimate.
- ``readys``: as in READYS (Grinsztajn et al., 2021), a normal variable of standard deviation sigma time units, at least
  -2, is added on every processing element that is not a CPU; the result is at least 1.

A task whose estimate is 0 takes no time under any of them.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import OptionError
from .conditions import MAX_SIGMA, MAX_SIGMA_READYS, NOISES, Conditions

if TYPE_CHECKING:
    from .instance import SoCInstance

KINDS = NOISES
QUANTILES = 4096
ONE = 65536  # the factor 1 in the tables of the multiplicative kinds
HIGHEST = 8  # no task takes longer than this many times its estimate under them
QUANTILE_SHIFT = 31 - 12  # of 31 random bits the highest 12 choose one of 4096 quantiles


def table(kind: str, sigma: float) -> np.ndarray:
    """Tabulate the quantiles of a kind of noise.

    Args:
        kind: one of ``KINDS``.
        sigma: its spread, see the module.

    Returns:
        (QUANTILES,) int32, read-only; entry k is the quantile of (k + 1/2) / QUANTILES. Multiplicative kinds count in
        units of 1 / ``ONE``; ``"readys"`` counts in time units; ``"none"`` is ``ONE`` throughout.

    Raises:
        OptionError: if the kind is not known, or sigma is outside of its range.

    >>> table("gaussian", 0.1)[[0, 2048, 4095]].tolist()
    [41495, 65538, 89577]
    """
    if kind not in KINDS:
        raise OptionError(f"noise must be one of {', '.join(KINDS)}, got {kind!r}")
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
        draw: integers from 0 to 2**31 - 1, of any shape.

    Returns:
        int64 from 0 to 2**31 - 1, in the shape of ``draw``.
    """
    # a NumPy scalar would warn where it wraps around, an array of one element does not
    key = np.array([seed & 0xFFFFFFFF], dtype=np.uint32)
    key = _mix(key + np.uint32(0x9E3779B9))
    key = _mix(key ^ np.uint32(world & 0xFFFFFFFF))
    key = _mix(key + np.uint32(episode & 0xFFFFFFFF))
    return (_mix(key ^ np.atleast_1d(draw).astype(np.uint32)) >> np.uint32(1)).astype(np.int64).reshape(np.shape(draw))


def _mix(x: np.ndarray) -> np.ndarray:
    """Chris Wellons' "lowbias32" (2018), elementwise on uint32."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def actual_time(instance: "SoCInstance", conditions: Mapping | Conditions, job, task, element) -> np.ndarray:
    """How long tasks really take, one answer for each triple of a job, its task and a processing element.

    Args:
        instance: the problem, with the estimates.
        conditions: the noise and its key, as in ``Schedule.conditions``; what is missing has its default.
        job, task, element: integer arrays of shapes that broadcast; each must exist in the instance.

    Returns:
        int64 of the broadcast shape, in time units; -1 where the task cannot run on the processing element.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """
    conditions = Conditions.read(conditions)
    job, task, element = np.broadcast_arrays(*(np.asarray(part, dtype=np.int64) for part in (job, task, element)))
    cells = [graph.execution_time.ravel() for graph in instance.graphs]
    begin = np.cumsum([0] + [len(part) for part in cells[:-1]])
    place = begin[np.asarray(instance.arrival_graph)[job]] + task * instance.elements + element
    estimate = np.concatenate(cells).astype(np.int64)[place]
    if conditions.noise == "none":
        return estimate
    draw = (job * instance.widest + task) * instance.elements + element
    bits = random_bits(conditions.seed, conditions.world, conditions.episode, draw)
    noise = table(conditions.noise, conditions.sigma)[bits >> QUANTILE_SHIFT].astype(np.int64)
    if conditions.noise == "readys":
        accelerated = np.array([kind != "cpu" for kind in instance.kinds])[element]
        actual = np.where(accelerated, np.maximum(estimate + noise, 1), estimate)
    else:
        actual = np.maximum((estimate * noise + ONE // 2) // ONE, 1)
    return np.where(estimate > 0, actual, estimate)


def actual_times(instance: "SoCInstance", conditions: Mapping | Conditions) -> np.ndarray:
    """How long every task of every job really takes on every processing element.

    Args:
        instance: the problem, with the estimates.
        conditions: the noise and its key, as in ``Schedule.conditions``; what is missing has its default.

    Returns:
        (jobs, widest, elements) int64, in time units; -1 where a task cannot run, and for tasks that a job has not.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """
    conditions = Conditions.read(conditions)
    tasks = np.array([graph.tasks for graph in instance.graphs])[np.asarray(instance.arrival_graph)]
    job, task = np.nonzero(np.arange(instance.widest) < tasks[:, None])
    result = np.full((len(tasks), instance.widest, instance.elements), -1, dtype=np.int64)
    result[job, task] = actual_time(instance, conditions, job[:, None], task[:, None], np.arange(instance.elements))
    return result
