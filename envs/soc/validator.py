"""Judges schedules of task graphs from the problem statement alone; shares no code with any simulator."""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.checking import listed, overlaps, report
from ..core.schedule import Schedule, Violation
from .claim import Claim, Dependencies, dependencies
from .instance import SoCInstance
from .metrics import admissions, completions
from .metrics import metrics as metrics


def check(instance: SoCInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule.

    The rules, each reported under its own name:

    - ``completeness``: every task of every job appears exactly once, and nothing else does, except for
      transfers where there is a shared bus.
    - ``assignment``: a task runs on a processing element (PE) that can run it, a transfer on the bus.
    - ``duration``: end minus start is the actual execution time under ``schedule.conditions``.
    - ``arrival``: nothing starts before its job arrives, nor before time 0.
    - ``precedence``: a task starts no earlier than each of its predecessors ends plus the time that the data
      takes between their PEs; with a shared bus, no earlier than the transfer ends.
    - ``capacity``: a PE runs one task at a time. A task of length 0 (or less, which breaks ``duration``)
      occupies nothing and overlaps nothing.
    - ``limit``: with a cap on the jobs in the system, nothing starts before its job is admitted. Jobs are
      admitted in order of arrival, when they arrive or when another one's last task ends; a job of which
      nothing is there takes no place.
    - ``bus``: with a shared bus there is exactly one transfer for each edge that takes time between the PEs of
      its tasks, and none for the others. It starts no earlier than its source ends and takes the edge's time.
      The bus carries one transfer at a time.

    Of tasks that appear several times the widest claim counts for the others: the latest end and the earliest
    start. What depends on a task that is missing, or on a PE that there is not, is not judged. Also not checked:
    whether the schedule could be better, whether a scheduler could have known what it is good for, and whether
    ``schedule.instance`` is the instance given. Entries may hold any integers.

    Args:
        instance: the problem.
        schedule: the claim to be judged; rows in any order.

    Returns:
        Every violation, in words; empty when the schedule is feasible. At most ``MAX_MESSAGES`` are
        listed for each rule, and one more then counts the rest.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    claim = Claim(instance, schedule)
    edges = dependencies(claim)
    place, carried = _carried(claim, edges)
    return [
        *_completeness(claim),
        *_assignment(claim),
        *_duration(claim),
        *_arrival(claim),
        *_precedence(claim, edges, carried),
        *_capacity(claim),
        *_limit(claim),
        *_bus(claim, edges, place, carried),
    ]


def _completeness(claim: Claim) -> list[Violation]:
    instance, widest = claim.instance, claim.instance.widest
    strange = claim.edge < 0
    strange[claim.tasks] = False
    strangers = np.flatnonzero(strange)
    task, times = np.unique(claim.job[claim.tasks] * widest + claim.step[claim.tasks], return_counts=True)
    repeated = np.flatnonzero(times > 1)
    tasks = claim.graph_tasks[instance.arrival_graph]
    # counted job by job: to list all tasks of all jobs may take far more memory than the schedule does
    missing = tasks - np.bincount(task // widest, minlength=instance.jobs)

    def absent() -> Iterator[str]:
        for job in np.flatnonzero(missing).tolist():
            there = task[np.searchsorted(task, job * widest) : np.searchsorted(task, (job + 1) * widest)] - job * widest
            for step in np.setdiff1d(np.arange(tasks[job]), there).tolist():
                yield f"task {step} of job {job} is missing"

    again = (f"task {task[at] % widest} of job {task[at] // widest} appears {times[at]} times" for at in repeated)
    total = len(strangers) + len(repeated) + int(missing.sum())
    return listed("completeness", total, chain((_stranger(claim, row) for row in strangers), again, absent()))


def _stranger(claim: Claim, row: int) -> str:
    job, step, first = claim.job[row], claim.step[row], claim.instance.widest
    if not claim.named[row]:
        return f"row {row} names job {job}, but jobs run from 0 to {claim.instance.jobs - 1}"
    text = (
        f"row {row} names step {step} of job {job}, whose tasks run from 0 to {claim.graph_tasks[claim.graph[row]] - 1}"
    )
    edges = claim.graph_edges[claim.graph[row]]
    if claim.conditions.shared_bus and edges > 0:
        text += f" and transfers from {first} to {first + edges - 1}"
    return text


def _assignment(claim: Claim) -> list[Violation]:
    elements = claim.instance.elements
    wrong = ~claim.on_element
    wrong[claim.tasks] = claim.actual[claim.tasks] < 0
    wrong = np.where(claim.edge >= 0, claim.resource != elements, wrong)

    def message(row: int) -> str:
        if claim.edge[row] >= 0:
            return f"{claim.name(row)} is on resource {claim.resource[row]} but belongs on the bus, {elements}"
        text = f"{claim.name(row)} is on PE {claim.resource[row]}"
        return f"{text}, which cannot run it" if claim.on_element[row] else f"{text} (PEs run from 0 to {elements - 1})"

    return report("assignment", np.flatnonzero(wrong), message)


def _lasts(claim: Claim, rows: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """Whether rows take what is needed; where that is below 0 it is enough that they do not run backwards."""
    start, end = claim.start[rows], claim.end[rows]
    # a difference of 64-bit numbers may wrap around, but never onto a time while end >= start
    return (end >= start) & ((needed < 0) | (end - start == needed))


def _took(claim: Claim, row: int, needed: int) -> str:
    start, end = int(claim.start[row]), int(claim.end[row])
    text = f"{claim.name(row)} runs from {start} to {end}, that is {end - start}"
    return f"{text} instead of {needed}" if needed >= 0 else text


def _duration(claim: Claim) -> list[Violation]:
    rows = claim.tasks[~_lasts(claim, claim.tasks, claim.actual[claim.tasks])]
    return report("duration", rows, lambda row: _took(claim, row, claim.actual[row]))


def _arrival(claim: Claim) -> list[Violation]:
    arrival = claim.instance.arrival_time[np.where(claim.named, claim.job, 0)]
    earliest = np.where(claim.named, arrival, 0)

    def message(row: int) -> str:
        limit = f"the arrival of the job at {earliest[row]}" if earliest[row] > 0 else "time 0"
        return f"{claim.name(row)} starts at {claim.start[row]}, before {limit}"

    return report("arrival", np.flatnonzero(claim.start < earliest), message)


def _carried(claim: Claim, edges: Dependencies) -> tuple[np.ndarray, np.ndarray]:
    """Match transfers with edges: the edge of each row, (N,), -1 for none; the last transfer of each edge, (M,)."""
    most = int(claim.graph_edges.max()) or 1
    rows = np.flatnonzero(claim.edge >= 0)
    key = edges.job * most + edges.edge
    wanted = claim.job[rows] * most + claim.edge[rows]
    at = np.searchsorted(key, wanted)
    found = np.append(key, -1)[at] == wanted
    place = np.full(len(claim), -1, dtype=np.int64)
    place[rows[found]] = at[found]
    carried = np.full(len(key), -1, dtype=np.int64)
    rows = rows[found][np.argsort(claim.end[rows[found]], kind="stable")]
    carried[place[rows]] = rows  # of several the one that ends last is written last
    return place, carried


def _precedence(claim: Claim, edges: Dependencies, carried: np.ndarray) -> list[Violation]:
    end, start = claim.end[edges.source], claim.start[edges.target]
    by_bus = np.flatnonzero((carried >= 0) & (edges.time > 0))
    by_bus = by_bus[claim.end[carried[by_bus]] >= end[by_bus]]
    end[by_bus] = claim.end[carried[by_bus]]
    time = np.where(carried >= 0, 0, edges.time)
    # where start >= end the unsigned difference is exact; elsewhere it does not matter
    room = start.astype(np.uint64) - end.astype(np.uint64)
    early = (start < end) | (room < time.astype(np.uint64))
    carrying = set(by_bus.tolist())

    def message(at: int) -> str:
        text = f"{claim.name(edges.target[at])} starts at {start[at]}, before"
        if at in carrying:
            return f"{text} {claim.name(carried[at])} ends at {end[at]}"
        text += f" its task {claim.step[edges.source[at]]} ends at {end[at]}"
        return f"{text} and its data arrives {time[at]} later" if time[at] > 0 else text

    return report("precedence", np.flatnonzero(early), message)


def _capacity(claim: Claim) -> list[Violation]:
    total, pairs = overlaps(np.flatnonzero(claim.on_element), claim.resource, claim.start, claim.end)
    return listed("capacity", total, (f"PE {claim.resource[a]} {_both(claim, 'runs', a, b)}" for a, b in pairs))


def _both(claim: Claim, verb: str, earlier: int, later: int) -> str:
    first, second = (f"{claim.name(row)} from {claim.start[row]} to {claim.end[row]}" for row in (earlier, later))
    return f"{verb} {first} and {second}"


def _limit(claim: Claim) -> list[Violation]:
    cap = claim.conditions.wip_cap
    if cap == 0:
        return []
    rows = np.flatnonzero(claim.named)
    admitted = admissions(claim.instance, completions(claim.instance, claim.job, claim.step, claim.end), cap)
    late = [admitted.get(job, 0) for job in claim.job[rows].tolist()]
    arrival = claim.instance.arrival_time[claim.job[rows]].tolist()
    start = claim.start[rows].tolist()
    wrong = [at for at, begin in enumerate(start) if late[at] > arrival[at] and begin < late[at]]

    def message(at: int) -> str:
        reason = f"with at most {cap} job{'s' if cap > 1 else ''} in the system"
        return f"{claim.name(rows[at])} starts at {start[at]}, before its job is admitted at {late[at]} {reason}"

    return report("limit", np.array(wrong, dtype=np.int64), message)


def _bus(claim: Claim, edges: Dependencies, place: np.ndarray, carried: np.ndarray) -> list[Violation]:
    if not claim.conditions.shared_bus:
        return []
    rows = np.flatnonzero(place >= 0)
    at = place[rows]
    times = np.bincount(at, minlength=len(carried))
    needed, source = edges.time[at], edges.source[at]
    useless = rows[needed == 0]
    wrong = rows[(needed > 0) & ~_lasts(claim, rows, needed)]
    early = rows[(needed > 0) & (claim.start[rows] < claim.end[source])]
    missing, repeated = np.flatnonzero((edges.time > 0) & (times == 0)), np.flatnonzero(times > 1)
    total, pairs = overlaps(
        np.flatnonzero(claim.resource == claim.instance.elements), claim.resource, claim.start, claim.end
    )

    def messages() -> Iterator[str]:
        name = claim.name_transfer
        yield from (f"{name(edges.job[at], edges.edge[at])} is missing" for at in missing)
        yield from (f"{name(edges.job[at], edges.edge[at])} appears {times[at]} times" for at in repeated)
        yield from (f"{claim.name(row)} takes no time between their PEs and needs no bus" for row in useless)
        yield from (_took(claim, row, edges.time[place[row]]) for row in wrong)
        for row in early:
            end = claim.end[edges.source[place[row]]]
            yield f"{claim.name(row)} starts at {claim.start[row]}, before that task ends at {end}"
        yield from (f"the bus {_both(claim, 'carries', earlier, later)}" for earlier, later in pairs)

    found = len(missing) + len(repeated) + len(useless) + len(wrong) + len(early) + total
    return listed("bus", found, messages())
