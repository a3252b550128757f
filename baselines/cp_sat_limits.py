"""Setup times and windows for the constraint model of job shops."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.job_shop.calendars import of_machine
from ..envs.job_shop.instance import JobShopInstance
from ..envs.job_shop.setups import setup_times

if TYPE_CHECKING:
    from ortools.sat.python import cp_model


def add_limits(
    model: "cp_model.CpModel", instance: JobShopInstance, starts: list[list[Any]], on_machine: list[list[Any]]
) -> None:
    """Add setup times and windows to a model.

    Windows are fixed intervals among the operations of their machine. Setup times hold between neighbours only, so the
    order on each machine is a circuit through its operations and the initial state, whose arcs carry them; without the
    triangle inequality it would not do to ask for them between any two.

    Args:
        model: releases and routes; changed in place.
        instance: what it was built from.
        starts: the start variable of each operation of each job.
        on_machine: the interval variables of each machine; windows are added.
    """
    for k in range(instance.machines):
        for begin, end in of_machine(instance.windows, k):
            on_machine[k].append(model.new_fixed_size_interval_var(begin, end - begin, f"window_{k}_{begin}"))
        if instance.setup is not None:
            _add_circuit(model, instance, k, starts)


def _add_circuit(model: "cp_model.CpModel", instance: JobShopInstance, k: int, starts: list[list[Any]]) -> None:
    """The order of machine k's operations: node 0 is the initial state, 1 + i its i-th operation."""
    here = np.argwhere(instance.machine == k).tolist()
    change, arcs = setup_times(instance, k), []
    for after, (job, step) in enumerate(here):
        start = starts[job][step]
        first, last = (model.new_bool_var(f"{what}_{k}_{job}_{step}") for what in ("first", "last"))
        model.add(start >= change[0][job]).only_enforce_if(first)
        arcs += [(0, 1 + after, first), (1 + after, 0, last)]
        for before, (other, place) in enumerate(here):
            if before != after:
                end = starts[other][place] + int(instance.duration[other, place])
                arc = model.new_bool_var(f"arc_{k}_{other}_{place}_{job}_{step}")
                model.add(start >= end + change[1 + other][job]).only_enforce_if(arc)
                arcs.append((1 + before, 1 + after, arc))
    if arcs:
        model.add_circuit(arcs)
