"""Actual execution times: the estimates under noise, drawn from the integer quantile tables of the core.

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

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..core.noise import ONE, QUANTILE_SHIFT, random_bits, table
from .conditions import Conditions

if TYPE_CHECKING:
    from .instance import SoCInstance


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
