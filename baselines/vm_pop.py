"""Plans of VM rescheduling by POP: the cluster is split at random and each part solved on its own."""

import time
from collections.abc import Mapping

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.vm.instance import VMInstance
from .vm_mip import Rescheduling, check_options
from .vm_problem import Cluster, Plan


def solve_pop(
    instance: VMInstance,
    conditions: Mapping | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
    parts: int = 16,
) -> Plan:
    """Split the hosts at random into parts of equal size, give each its share of the migrations, and join the plans.

    POP (Narayanan et al., 2021, "Solving large-scale granular resource allocation problems efficiently with POP"),
    with the integer program for each part. No VM leaves its part, and what a part does not use of its share is lost;
    so nothing is proven. The parts are solved one after the other, and each meets what those before have done.

    Args:
        instance: the snapshot, in which all VMs are placed.
        conditions: as in ``Schedule.conditions``.
        time_limit: seconds in all, which HiGHS may overrun; what a part leaves of its share is for the others.
        seed: of the split and of the solver, from 0 to 2**31 - 1.
        parts: how many, at least 1; no more than there are hosts.

    Returns:
        The plan, without a bound.

    Raises:
        OptionError: if VMs are not placed, time runs, or an option is outside of what it accepts.
        ScheduleError: if a condition is not known or out of range.
    """
    check_options(time_limit, seed)
    if isinstance(parts, bool) or not isinstance(parts, int | np.integer) or parts < 1:
        raise OptionError(f"parts must be an integer of at least 1, got {parts!r}")
    cluster = Cluster(instance, conditions)
    if instance.pack:
        raise OptionError(f"{instance.name} has VMs that are not placed; see the solver for packing")
    end, moves, optima = time.perf_counter() + time_limit, [], 0
    split = [
        part for part in np.array_split(np.random.default_rng(seed).permutation(instance.hosts), parts) if len(part)
    ]
    for index, part in enumerate(split):
        left = (end - time.perf_counter()) / (len(split) - index)
        share = len(range(index, cluster.conditions.mnl, len(split)))
        plan = Rescheduling(cluster, part.tolist(), share, max(left, 0.01), seed).solve()
        cluster.play(plan.moves)
        moves += plan.moves
        optima += plan.status == "optimal"
    return Plan(tuple(moves), None, "feasible", f"{optima} of {len(split)} parts optimal")
