"""Judges flexible job shop schedules from the problem statement alone; shares no code with any simulator."""

import numpy as np

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.checking import Routes, report
from ..core.schedule import Schedule, Violation
from .instance import FlexibleJobShopInstance


def check(instance: FlexibleJobShopInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule.

    The rules, each reported under its own name:

    - ``completeness``: every operation appears exactly once, and nothing else does.
    - ``assignment``: an operation runs on one of the machines that can run it.
    - ``duration``: end minus start is the processing time on that machine.
    - ``release``: nothing starts before its job's release, nor before time 0.
    - ``precedence``: an operation starts no earlier than the one before it in its job ends; where operations between
      them are missing, the closest one that is there counts.
    - ``capacity``: a machine runs one operation at a time. An operation of length 0 occupies nothing.

    Not checked: whether the schedule could be better, and whether ``schedule.instance`` is the instance given. Entries
    may hold any integers.

    Args:
        instance: the problem.
        schedule: the claim to be judged; rows in any order.

    Returns:
        Every violation, in words; empty when the schedule is feasible. At most ``MAX_MESSAGES`` are listed for each
        rule, and one more then counts the rest.
    """
    routes = Routes(instance, schedule, instance.route)
    # What the row's operation takes on the row's machine; -1 where it cannot run there or either is unknown.
    needed = np.full(len(schedule), -1, np.int64)
    rows = routes.known & routes.on_machine
    needed[rows] = instance.duration[routes.job[rows], routes.step[rows], routes.machine[rows]]
    return [
        *routes.completeness(),
        *_assignment(instance, routes, needed),
        *_duration(routes, needed),
        *routes.release(),
        *routes.precedence(),
        *routes.capacity(),
    ]


def metrics(instance: FlexibleJobShopInstance, schedule: Schedule) -> dict[str, float | int]:
    """Read the objective and statistics off a schedule.

    Nothing is checked: of an infeasible schedule the figures mean little, and of an incomplete one they describe the
    part that is there.

    Args:
        instance: the problem.
        schedule: what ran where and when.

    Returns:
        ``makespan``, the latest end, in time units (0 when nothing ran).
        ``total_flow_time``, the sum over jobs of latest end minus release, in time units.
        ``machine_utilisation``, busy time over machines times makespan (0 when nothing ran).
        ``total_idle_time``, machines times makespan minus busy time, in time units.
        ``busiest_machine``, the longest busy time of a machine, in time units.
        ``excess_work``, busy time minus the shortest processing times of the same operations, in time units.
    """
    # Python integers: sums of hostile 64-bit numbers must not wrap around
    busy, completion, excess = [0] * instance.machines, {}, 0
    for job, step, machine, start, end in schedule.entries.tolist():
        if 0 <= machine < instance.machines:
            busy[machine] += end - start
        if 0 <= job < instance.jobs:
            completion[job] = max(end, completion.get(job, end))
            if 0 <= step < instance.route:
                excess += end - start - int(instance.shortest[job, step])
    makespan = max(schedule.column("end").tolist(), default=0)
    available = instance.machines * makespan
    return {
        "makespan": makespan,
        "total_flow_time": sum(end - int(instance.release[job]) for job, end in completion.items()),
        "machine_utilisation": sum(busy) / available if available > 0 else 0.0,
        "total_idle_time": available - sum(busy),
        "busiest_machine": max(busy),
        "excess_work": excess,
    }


def _assignment(instance: FlexibleJobShopInstance, routes: Routes, needed: np.ndarray) -> list[Violation]:
    def message(row: int) -> str:
        text = f"{routes.name(row)} is on machine {routes.machine[row]}"
        if not routes.on_machine[row]:
            return f"{text} (machines run from 0 to {instance.machines - 1})"
        can = np.flatnonzero(instance.compatible[routes.job[row], routes.step[row]]).tolist()
        return f"{text} but can run on {', '.join(map(str, can))}"

    return report("assignment", np.flatnonzero(~routes.on_machine | (routes.known & (needed < 0))), message)


def _duration(routes: Routes, needed: np.ndarray) -> list[Violation]:
    # a difference of 64-bit numbers may wrap around, but never onto a duration while end >= start
    wrong = (routes.end < routes.start) | (routes.end - routes.start != needed)

    def message(row: int) -> str:
        took = int(routes.end[row]) - int(routes.start[row])
        return (
            f"{routes.name(row)} runs from {routes.start[row]} to {routes.end[row]}, that is {took} instead of "
            f"{needed[row]} on machine {routes.machine[row]}"
        )

    return report("duration", np.flatnonzero((needed >= 0) & wrong), message)
