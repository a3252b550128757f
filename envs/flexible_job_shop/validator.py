"""Judges flexible job shop schedules from the problem statement alone; shares no code with any simulator."""

import numpy as np

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.checking import listed, overlaps, report
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
    claim = _Claim(instance, schedule)
    return [
        *claim.completeness(),
        *claim.assignment(),
        *claim.duration(),
        *claim.release(),
        *claim.precedence(),
        *claim.capacity(),
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


class _Claim:
    """A schedule beside its instance: which rows name operations and machines that there are."""

    def __init__(self, instance: FlexibleJobShopInstance, schedule: Schedule):
        self.instance, self.schedule = instance, schedule
        self.job, self.step, self.machine, self.start, self.end = schedule.entries.T
        known = (self.job >= 0) & (self.job < instance.jobs) & (self.step >= 0)
        known[known] = self.step[known] < instance.operations[self.job[known]]
        self.known = known
        self.on_machine = (self.machine >= 0) & (self.machine < instance.machines)
        # What the row's operation takes on the row's machine; -1 where it cannot run there or either is unknown.
        self.needed = np.full(len(schedule), -1, np.int64)
        rows = known & self.on_machine
        self.needed[rows] = instance.duration[self.job[rows], self.step[rows], self.machine[rows]]

    def name(self, row: int) -> str:
        return f"operation {self.step[row]} of job {self.job[row]}"

    def completeness(self) -> list[Violation]:
        instance, route = self.instance, self.instance.route
        index = self.job[self.known] * route + self.step[self.known]
        times = np.bincount(index, minlength=instance.jobs * route)
        due = (np.arange(route) < instance.operations[:, None]).ravel()
        strangers, wrong = np.flatnonzero(~self.known), np.flatnonzero(due & (times != 1))

        def message(at: int) -> str:
            if at < 0:
                index = -at - 1
                name = f"operation {index % route} of job {index // route}"
                return f"{name} is missing" if times[index] == 0 else f"{name} appears {times[index]} times"
            if not 0 <= self.job[at] < instance.jobs:
                return f"row {at} names job {self.job[at]}, but jobs run from 0 to {instance.jobs - 1}"
            last = instance.operations[self.job[at]] - 1
            return f"row {at} names {self.name(at)}, whose operations run from 0 to {last}"

        # in one count: the limit on messages holds for the rule as a whole
        return report("completeness", np.concatenate([strangers, -wrong - 1]), message)

    def assignment(self) -> list[Violation]:
        def message(row: int) -> str:
            text = f"{self.name(row)} is on machine {self.machine[row]}"
            if not self.on_machine[row]:
                return f"{text} (machines run from 0 to {self.instance.machines - 1})"
            can = np.flatnonzero(self.instance.compatible[self.job[row], self.step[row]]).tolist()
            return f"{text} but can run on {', '.join(map(str, can))}"

        return report("assignment", np.flatnonzero(~self.on_machine | (self.known & (self.needed < 0))), message)

    def duration(self) -> list[Violation]:
        # a difference of 64-bit numbers may wrap around, but never onto a duration while end >= start
        wrong = (self.end < self.start) | (self.end - self.start != self.needed)

        def message(row: int) -> str:
            took = int(self.end[row]) - int(self.start[row])
            return (
                f"{self.name(row)} runs from {self.start[row]} to {self.end[row]}, that is {took} instead of "
                f"{self.needed[row]} on machine {self.machine[row]}"
            )

        return report("duration", np.flatnonzero((self.needed >= 0) & wrong), message)

    def release(self) -> list[Violation]:
        earliest = np.zeros(len(self.schedule), np.int64)
        named = (self.job >= 0) & (self.job < self.instance.jobs)
        earliest[named] = self.instance.release[self.job[named]]

        def message(row: int) -> str:
            limit = f"the release of the job at {earliest[row]}" if earliest[row] > 0 else "time 0"
            return f"{self.name(row)} starts at {self.start[row]}, before {limit}"

        return report("release", np.flatnonzero(self.start < earliest), message)

    def precedence(self) -> list[Violation]:
        route, rows = self.instance.route, np.flatnonzero(self.known)
        # one entry for each operation that is there; of duplicates the widest claim counts
        operation, place = np.unique(self.job[rows] * route + self.step[rows], return_inverse=True)
        first_start = np.full(len(operation), np.iinfo(np.int64).max)
        last_end = np.full(len(operation), np.iinfo(np.int64).min)
        np.minimum.at(first_start, place, self.start[rows])
        np.maximum.at(last_end, place, self.end[rows])
        same_job = operation[1:] // route == operation[:-1] // route

        def message(at: int) -> str:
            (job, before), after = divmod(int(operation[at]), route), int(operation[at + 1]) % route
            return (
                f"operation {after} of job {job} starts at {first_start[at + 1]}, before its operation {before} ends "
                f"at {last_end[at]}"
            )

        return report("precedence", np.flatnonzero(same_job & (first_start[1:] < last_end[:-1])), message)

    def capacity(self) -> list[Violation]:
        total, pairs = overlaps(np.flatnonzero(self.on_machine), self.machine, self.start, self.end)

        def run(row: int) -> str:
            return f"{self.name(row)} from {self.start[row]} to {self.end[row]}"

        return listed("capacity", total, (f"machine {self.machine[a]} runs {run(a)} and {run(b)}" for a, b in pairs))
