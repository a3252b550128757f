"""Other objectives than the makespan for the constraint model of job shops."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.job_shop.instance import JobShopInstance
from ..envs.job_shop.objective import cost, costs_of

if TYPE_CHECKING:
    from ortools.sat.python import cp_model


def cost_bound(instance: JobShopInstance, makespan: int) -> int:
    """The bound that needs no search: every job done without waiting, and a bound of the makespan.

    Args:
        instance: the problem.
        makespan: no schedule is shorter, in time units.
    """
    completion = instance.release + instance.duration.sum(axis=1, dtype=np.int64)
    return cost(instance, completion) + costs_of(instance).makespan * (makespan - int(completion.max()))


def minimise_cost(
    model: "cp_model.CpModel", instance: JobShopInstance, ends: list[Any], horizon: int, makespan: int
) -> None:
    """Give a model the instance's objective.

    Tardiness and lateness are variables from below, so what a solver says of them is right only where it minimises.

    Args:
        model: releases, routes and machines; changed in place.
        instance: what it was built from.
        ends: when each job completes, one expression for each.
        horizon: some optimal schedule ends by this time.
        makespan: a lower bound of the makespan.
    """
    costs, due = costs_of(instance), None if instance.due is None else instance.due.tolist()
    earliest = (instance.release + instance.duration.sum(axis=1, dtype=np.int64)).tolist()
    terms, constant = [], 0
    if costs.makespan:
        latest = model.new_int_var(makespan, horizon, "makespan")
        for end in ends:
            model.add(latest >= end)
        terms.append(costs.makespan * latest)
    if costs.lateness:
        least = max(first - day for first, day in zip(earliest, due, strict=True))
        lateness = model.new_int_var(least, horizon - min(due), "lateness")
        for end, day in zip(ends, due, strict=True):
            model.add(lateness >= end - day)
        terms.append(costs.lateness * lateness)
    for job, end in enumerate(ends):
        if costs.flow[job]:
            terms.append(int(costs.flow[job]) * end)
            constant -= int(costs.flow[job]) * int(instance.release[job])
        if due is None or due[job] >= horizon:
            continue  # never late
        if costs.tardy[job]:
            tardiness = model.new_int_var(max(earliest[job] - due[job], 0), horizon - due[job], f"tardiness_{job}")
            model.add(tardiness >= end - due[job])
            terms.append(int(costs.tardy[job]) * tardiness)
        if costs.late[job]:
            late = model.new_bool_var(f"late_{job}")
            model.add(end <= due[job]).only_enforce_if(~late)
            terms.append(int(costs.late[job]) * late)
    model.minimize(sum(terms) + constant)
