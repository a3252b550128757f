"""Reads the objectives of VM rescheduling off a schedule."""

import numpy as np

from ..core.errors import ScheduleError
from ..core.schedule import Schedule
from .instance import VMInstance
from .occupancy import NOWHERE
from .record import Record
from .replay import replay

MAX_PENALTY = 2**62


def metrics(instance: VMInstance, schedule: Schedule) -> dict[str, float | int]:
    """Read the objectives off a schedule.

    Nothing is checked: the schedule is carried out as ``check`` does, and of an infeasible one the figures mean
    little.

    Args:
        instance: the problem.
        schedule: which VM went where, and when.

    Returns:
        Of a snapshot ``fragment_rate``, the rate at the end plus the cost of the migrations; ``fr_initial``,
        ``fr_final``, the rate before and after; ``migrations``; ``fr16``, ``fr64``, ``fr_memory``, its parts after.
        Of a snapshot with VMs that are not placed ``penalty``, see ``penalty``; ``unplaced``, how many are not placed
        at the end, and ``unplaced_<priority>``, how many of each priority; ``migrations``, ``evictions``;
        ``fr_initial``, ``fr_final``.
        Where time runs ``mean_fragment_rate``, the rate averaged over time plus the cost of the migrations;
        ``fr_initial``, ``fr_final``, at time 0 and just before the horizon; ``migrations``, those that were begun;
        ``stale_moves``, those that could not be carried out any more; ``rejected``, arrivals without a place, and
        ``rejected_cores``, what they would have taken.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it, or if the penalty is
            not below 2**62.
    """
    record = replay(instance, schedule)
    cost = record.conditions.migration_cost * record.migrations
    ends = {"fr_initial": record.initial, "fr_final": record.rates[-1]}
    if instance.pack:
        return _pack(record, ends)
    if instance.dynamic:
        return {
            "mean_fragment_rate": record.mean_rate + cost,
            **ends,
            "migrations": record.migrations,
            "stale_moves": record.stale,
            "rejected": len(record.rejected),
            "rejected_cores": sum(int(instance.cores[vm]) for _, vm in record.rejected),
        }
    parts = dict(zip(("fr16", "fr64", "fr_memory"), record.state.parts(), strict=True))
    return {"fragment_rate": record.rates[-1] + cost, **ends, "migrations": record.migrations, **parts}


def unplaced(record: Record) -> dict[int, int]:
    """How many VMs of each priority are nowhere, by ascending priority; also priorities of which all are placed."""
    priority = record.instance.priority
    levels = np.unique(priority)
    missing = np.searchsorted(levels, priority[record.state.node == NOWHERE])
    return dict(zip(levels.tolist(), np.bincount(missing, minlength=len(levels)).tolist(), strict=True))


def penalty(record: Record) -> int:
    """What a packing has left undone, as one number that compares the most important first.

    It counts, from the lowest digit, the migrations and evictions, then the VMs of each priority that are not
    placed, the highest priority last. A digit has room for all VMs and all moves that are allowed.

    Args:
        record: of a schedule that was carried out.

    Raises:
        ScheduleError: if it is 2**62 or more.
    """
    base = record.instance.vms + record.conditions.mnl + 1
    result = record.migrations + record.evictions
    result += sum(count * base ** (level + 1) for level, count in enumerate(unplaced(record).values()))
    if result >= MAX_PENALTY:
        raise ScheduleError(
            f"the penalty is not below 2**62 with {record.instance.vms} VMs, {len(unplaced(record))} priorities "
            f"and mnl {record.conditions.mnl}"
        )
    return result


def _pack(record: Record, ends: dict[str, float]) -> dict[str, float | int]:
    left = unplaced(record)
    return {
        "penalty": penalty(record),
        "unplaced": sum(left.values()),
        **{f"unplaced_{priority}": count for priority, count in left.items()},
        "migrations": record.migrations,
        "evictions": record.evictions,
        **ends,
    }
