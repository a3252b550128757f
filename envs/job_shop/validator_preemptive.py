"""Judges schedules of one machine that may be taken away from a job; shares no code with any simulator."""

import numpy as np

from ..core.checking import Routes, listed, report
from ..core.schedule import Schedule, Violation
from .instance import JobShopInstance


def check_pieces(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule whose rows are pieces of operations.

    The rules, each reported under its own name:

    - ``completeness``: pieces belong to operations that there are, and each operation has one at least.
    - ``assignment``: pieces are on the machine that the route names.
    - ``duration``: no piece ends before it starts, and those of an operation add up to its processing time.
    - ``release``: nothing starts before its job's release, nor before time 0.
    - ``precedence``: no piece starts before all pieces of the job's earlier operations have ended.
    - ``capacity``: the machine runs one piece at a time; pieces of length 0 occupy nothing.

    Not checked: whether the machine idles while a job waits, which makes no schedule infeasible.

    Args:
        instance: the problem.
        schedule: the claim to be judged; rows in any order, any integers.

    Returns:
        Every violation, in words, as ``check`` of ``validator.py``.
    """
    routes = Routes(instance, schedule, instance.duration.shape[1])
    return [
        *report(
            "completeness", routes.strangers, lambda row: f"row {row} names {routes.name(row)}, which there is not"
        ),
        *_operations(instance, schedule, routes.rows),
        *_starts(instance, schedule, routes.rows),
        *routes.capacity(),
    ]


def _operations(instance: JobShopInstance, schedule: Schedule, rows: np.ndarray) -> list[Violation]:
    """Missing operations, pieces on another machine, and what pieces add up to."""
    # Python integers: sums of hostile 64-bit numbers must not wrap around
    ran: dict[tuple[int, int], int] = {}
    missing, elsewhere, wrong = [], [], []
    for row in rows.tolist():
        job, step, machine, start, end = schedule.entries[row].tolist()
        ran[job, step] = ran.get((job, step), 0) + end - start
        required = int(instance.machine[job, step])
        if machine != required:
            elsewhere.append(f"operation {step} of job {job} is on machine {machine} but belongs on machine {required}")
        if end < start:
            wrong.append(f"a piece of operation {step} of job {job} runs from {start} to {end}")
    for job, operations in enumerate(instance.operations.tolist()):
        for step in range(operations):
            needed = int(instance.duration[job, step])
            if (job, step) not in ran:
                missing.append(f"operation {step} of job {job} is missing")
            elif ran[job, step] != needed:
                wrong.append(
                    f"the pieces of operation {step} of job {job} last {ran[job, step]} together instead of {needed}"
                )
    found = (("completeness", missing), ("assignment", elsewhere), ("duration", wrong))
    return [violation for rule, words in found for violation in listed(rule, len(words), words)]


def _starts(instance: JobShopInstance, schedule: Schedule, rows: np.ndarray) -> list[Violation]:
    """Releases, and the order of the operations of a job."""
    early, before = [], []
    ends: dict[tuple[int, int], int] = {}
    for row in rows.tolist():
        job, step, _, _, end = schedule.entries[row].tolist()
        ends[job, step] = max(end, ends.get((job, step), end))
    for job, operations in enumerate(instance.operations.tolist()):  # the latest end of all operations before each
        latest = None
        for step in range(operations):
            own = ends.get((job, step))
            ends[job, step] = latest
            latest = own if latest is None else latest if own is None else max(latest, own)
    for row in rows.tolist():
        job, step, _, start, _ = schedule.entries[row].tolist()
        limit = max(int(instance.release[job]), 0)
        if start < limit:
            early.append(f"operation {step} of job {job} starts at {start}, before the release of the job at {limit}")
        if ends[job, step] is not None and start < ends[job, step]:
            before.append(
                f"a piece of operation {step} of job {job} starts at {start}, before what comes before it ends at "
                f"{ends[job, step]}"
            )
    return listed("release", len(early), early) + listed("precedence", len(before), before)
