"""Judges setup times and windows of job shop schedules from their statement; shares no code with any simulator."""

import numpy as np

from ..core.checking import listed, report
from ..core.schedule import Schedule, Violation
from .instance import JobShopInstance


def _sequences(instance: JobShopInstance, schedule: Schedule) -> list[list[int]]:
    """For each machine the rows that keep it busy and belong to a known job, in the order of their starts."""
    job, machine, start, end = (schedule.column(name) for name in ("work", "resource", "start", "end"))
    busy = (job >= 0) & (job < instance.jobs) & (end > start)
    found = [np.flatnonzero(busy & (machine == k)) for k in range(instance.machines)]
    return [rows[np.lexsort((end[rows], start[rows]))].tolist() for rows in found]


def _changes(instance: JobShopInstance, schedule: Schedule) -> list[tuple[int, int, int]]:
    """Every change-over: the row before or -1, the row after, and the setup time between them."""
    family, job = instance.setup_family.tolist(), schedule.column("work").tolist()
    found = []
    for machine, rows in enumerate(_sequences(instance, schedule)):
        table, before = instance.setup[machine].tolist(), -1
        for row in rows:
            state = 0 if before < 0 else 1 + family[job[before]]
            found.append((before, row, table[state][family[job[row]]]))
            before = row
    return found


def check_setups(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    """``setup``: between two operations that follow each other on a machine lies the setup time, and before the first.

    Operations that overlap break ``capacity`` and not this rule.

    Args:
        instance: a problem with setup times.
        schedule: the claim to be judged.
    """
    job, step, machine, start, end = (column.tolist() for column in schedule.entries.T)
    wrong = []
    for before, row, setup in _changes(instance, schedule):
        free = end[before] if before >= 0 else 0
        if free <= start[row] < free + setup:
            after = f"operation {step[before]} of job {job[before]} ends at {free}" if before >= 0 else "time 0"
            wrong.append(
                f"operation {step[row]} of job {job[row]} starts on machine {machine[row]} at {start[row]}, "
                f"{start[row] - free} after {after}, but its setup takes {setup}"
            )
    return listed("setup", len(wrong), wrong)


def check_windows(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    """``window``: no operation runs in a window of its machine.

    Args:
        instance: a problem with windows.
        schedule: the claim to be judged.
    """
    job, step, machine, start, end = schedule.entries.T
    known = (machine >= 0) & (machine < instance.machines)
    meets = np.full(len(schedule), -1)
    for k in range(instance.machines):
        for place, (begin, until) in enumerate(instance.windows[k].tolist()):
            here = known & (machine == k) & (start < until) & (end > begin) & (end > start)
            meets[here & (meets < 0)] = place

    def message(row: int) -> str:
        begin, until = instance.windows[machine[row], meets[row]]
        return (
            f"operation {step[row]} of job {job[row]} runs on machine {machine[row]} from {start[row]} to {end[row]}, "
            f"which is closed from {begin} to {until}"
        )

    return report("window", np.flatnonzero(meets >= 0), message)


def total_setup_time(instance: JobShopInstance, schedule: Schedule) -> int:
    """The sum of the setup times between operations that follow each other, and before the first of each machine."""
    return sum(setup for _, _, setup in _changes(instance, schedule))
