"""What validators of different families share: putting violations into words, and finding what overlaps."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from .schedule import Schedule, Violation

MAX_MESSAGES = 1000  # listed for each rule; one more message then says how many were left out


def listed(rule: str, total: int, messages: Iterable[str]) -> list[Violation]:
    """List the first violations of a rule, and count the rest.

    Args:
        rule: the rule that is broken.
        total: how many violations there are.
        messages: their words; no more are made than are listed.

    Returns:
        At most ``MAX_MESSAGES`` violations, and one more that counts the rest.
    """
    violations = [Violation(rule, message) for message in islice(messages, MAX_MESSAGES)]
    if total > MAX_MESSAGES:
        violations.append(Violation(rule, f"{total - MAX_MESSAGES} further violations of this rule are not listed"))
    return violations


def report(rule: str, found: np.ndarray, message: Callable[[int], str]) -> list[Violation]:
    """List the first of what was found, and count the rest.

    Args:
        rule: the rule that is broken.
        found: (N,) integers, whatever ``message`` understands, one for each violation.
        message: the words for one of them.
    """
    return listed(rule, len(found), map(message, found[:MAX_MESSAGES].tolist()))


def overlaps(
    rows: np.ndarray, lane: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[int, Iterator[tuple[int, int]]]:
    """Find every pair of entries that are in the same lane at the same time.

    Args:
        rows: the entries to look at; those that end no later than they start occupy nothing.
        lane, start, end: (N,) int64, of every entry; any numbers.

    Returns:
        How many pairs there are, and the pairs: the row that starts no later, then the other one.
    """
    rows = rows[end[rows] > start[rows]]
    rows = rows[np.lexsort((start[rows], lane[rows]))]
    lane, start, end = lane[rows], start[rows], end[rows]
    # sweep over each lane's events, ends before starts at equal times: what is open at a start overlaps it
    count = len(rows)
    opens = np.repeat([1, 0], count)
    order = np.lexsort((opens, np.concatenate([start, end]), np.tile(lane, 2)))
    before = np.zeros(2 * count, dtype=np.int64)
    before[order] = np.cumsum(np.where(opens[order] == 1, 1, -1)) - 1
    before = before[:count]
    lane_begin = np.searchsorted(lane, lane)

    def pairs() -> Iterator[tuple[int, int]]:
        for later in np.flatnonzero(before).tolist():
            begin = int(lane_begin[later])
            for earlier in np.flatnonzero(end[begin:later] > start[later]).tolist():
                yield int(rows[begin + earlier]), int(rows[later])

    return int(before.sum()), pairs()


class Routes:
    """What holds for the rows of a schedule wherever jobs have routes: (job, operation of its route) ran on a machine.

    Args:
        instance: the problem; it has ``machines``, the ``operations`` of each job and its ``release``.
        schedule: the claim to be judged; rows in any order, any integers.
        longest: of the routes, padded.

    Attributes:
        job, step, machine, start, end: (N,) int64, the columns of the schedule.
        known: (N,) bool, rows that name an operation that there is.
        on_machine: (N,) bool, rows that name a machine that there is.
        rows, strangers: numbers of the rows that are known, and of the others.
    """

    def __init__(self, instance, schedule: Schedule, longest: int):
        self.instance, self.longest = instance, longest
        self.job, self.step, self.machine, self.start, self.end = schedule.entries.T
        self.named = (self.job >= 0) & (self.job < instance.jobs)
        self.known = self.named & (self.step >= 0)
        self.known[self.known] = self.step[self.known] < instance.operations[self.job[self.known]]
        self.on_machine = (self.machine >= 0) & (self.machine < instance.machines)
        self.rows, self.strangers = np.flatnonzero(self.known), np.flatnonzero(~self.known)

    def name(self, row: int) -> str:
        """A row's operation in words."""
        return f"operation {self.step[row]} of job {self.job[row]}"

    def completeness(self, rows: np.ndarray | None = None) -> list[Violation]:
        """Every operation appears exactly once, and nothing else does.

        Args:
            rows: those that count as appearances; all that are known when left out.
        """
        rows, longest = self.rows if rows is None else rows, self.longest
        times = np.bincount(self.job[rows] * longest + self.step[rows], minlength=self.instance.jobs * longest)
        expected = (np.arange(longest) < self.instance.operations[:, None]).ravel()
        count = len(self.job)

        def message(at: int) -> str:
            if at >= count:
                index = at - count
                name = f"operation {index % longest} of job {index // longest}"
                return f"{name} is missing" if times[index] == 0 else f"{name} appears {times[index]} times"
            if not self.named[at]:
                return f"row {at} names job {self.job[at]}, but jobs run from 0 to {self.instance.jobs - 1}"
            last = self.instance.operations[self.job[at]] - 1
            return f"row {at} names {self.name(at)}, whose operations run from 0 to {last}"

        # strangers first, in one count with the rest: the limit holds for the rule as a whole
        wrong = np.flatnonzero(expected & (times != 1))
        return report("completeness", np.concatenate([self.strangers, wrong + count]), message)

    def assignment(self, required: np.ndarray) -> list[Violation]:
        """An operation runs on the machine that its route names.

        Args:
            required: (jobs, longest) that machine.
        """
        machine = np.full(len(self.job), -1, dtype=np.int64)
        machine[self.rows] = required[self.job[self.rows], self.step[self.rows]]

        def message(row: int) -> str:
            text = f"{self.name(row)} is on machine {self.machine[row]}"
            if machine[row] >= 0:
                text += f" but belongs on machine {machine[row]}"
            if not self.on_machine[row]:
                text += f" (machines run from 0 to {self.instance.machines - 1})"
            return text

        wrong = ~self.on_machine | (self.known & (self.machine != machine))
        return report("assignment", np.flatnonzero(wrong), message)

    def release(self) -> list[Violation]:
        """Nothing starts before its job's release, nor before time 0."""
        earliest = np.zeros(len(self.job), dtype=np.int64)
        earliest[self.named] = np.maximum(self.instance.release[self.job[self.named]], 0)

        def message(row: int) -> str:
            limit = f"the release of the job at {earliest[row]}" if earliest[row] > 0 else "time 0"
            return f"{self.name(row)} starts at {self.start[row]}, before {limit}"

        return report("release", np.flatnonzero(self.start < earliest), message)

    def precedence(self) -> list[Violation]:
        """An operation starts no earlier than the one before it ends, of those of its job that are there."""
        rows, longest = self.rows, self.longest
        # one entry for each operation that is there; of duplicates the widest claim counts
        operation, place = np.unique(self.job[rows] * longest + self.step[rows], return_inverse=True)
        first_start = np.full(len(operation), np.iinfo(np.int64).max)
        last_end = np.full(len(operation), np.iinfo(np.int64).min)
        np.minimum.at(first_start, place, self.start[rows])
        np.maximum.at(last_end, place, self.end[rows])
        same_job = operation[1:] // longest == operation[:-1] // longest

        def message(index: int) -> str:
            (of_job, before), after = divmod(operation[index], longest), operation[index + 1] % longest
            return (
                f"operation {after} of job {of_job} starts at {first_start[index + 1]}, "
                f"before its operation {before} ends at {last_end[index]}"
            )

        return report("precedence", np.flatnonzero(same_job & (first_start[1:] < last_end[:-1])), message)

    def capacity(self) -> list[Violation]:
        """A machine runs one row at a time; one of length 0 (or less) occupies nothing and overlaps nothing."""
        total, pairs = overlaps(np.flatnonzero(self.on_machine), self.machine, self.start, self.end)

        def run(row: int) -> str:
            return f"{self.name(row)} from {self.start[row]} to {self.end[row]}"

        return listed("capacity", total, (f"machine {self.machine[a]} runs {run(a)} and {run(b)}" for a, b in pairs))
