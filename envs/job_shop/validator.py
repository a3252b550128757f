"""Judges job shop schedules from the problem statement alone; shares no code with any simulator."""

import numpy as np

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.checking import listed, overlaps, report
from ..core.schedule import Schedule, Violation
from .instance import JobShopInstance
from .objective import parse_objective
from .validator_limits import check_setups, check_windows, total_setup_time
from .validator_preemptive import check_pieces


def check(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule.

    The rules, each reported under its own name:

    - ``completeness``: every operation appears exactly once, and nothing else does.
    - ``assignment``: an operation runs on the machine that its route names.
    - ``duration``: end minus start is the processing time.
    - ``release``: nothing starts before its job's release, nor before time 0.
    - ``precedence``: an operation starts no earlier than the one before it in its job ends; where
      operations between them are missing, the closest one that is there counts.
    - ``capacity``: a machine runs one operation at a time. An operation of length 0 (or less, which
      breaks ``duration``) occupies nothing and overlaps nothing.
    - ``setup``, ``window``: where there are setup times or windows, see ``validator_limits.py``.

    A schedule whose conditions say that it is preemptive is judged by ``check_pieces`` instead.

    Not checked: whether the schedule could be better, whether it is non-delay or active, whether jobs
    keep their due dates, which they need not, and whether ``schedule.instance`` is the instance given.
    Entries may hold any integers. A schedule with conditions is judged by ``validator_live.check_live``.

    Args:
        instance: the problem.
        schedule: the claim to be judged; rows in any order.

    Returns:
        Every violation, in words; empty when the schedule is feasible. At most ``MAX_MESSAGES`` are
        listed for each rule, and one more then counts the rest.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    if schedule.conditions.get("preemptive"):
        return check_pieces(instance, schedule)
    if schedule.conditions:
        from .validator_live import check_live  # which needs the rules below

        return check_live(instance, schedule)
    job, step = schedule.column("work"), schedule.column("step")
    known = (job >= 0) & (job < instance.jobs)
    known[known] = (step[known] >= 0) & (step[known] < instance.operations[job[known]])
    rows = np.flatnonzero(known)
    return [
        *_completeness(instance, schedule, rows, np.flatnonzero(~known)),
        *_assignment(instance, schedule, rows),
        *_duration(instance, schedule, rows),
        *_release(instance, schedule),
        *_precedence(instance, schedule, rows),
        *_capacity(instance, schedule),
        *(check_setups(instance, schedule) if instance.setup is not None else []),
        *(check_windows(instance, schedule) if instance.windows is not None else []),
    ]


def metrics(instance: JobShopInstance, schedule: Schedule) -> dict[str, float | int]:
    """Read the objectives off a schedule.

    Nothing is checked: of an infeasible schedule the figures mean little, and of an incomplete one
    they describe the part that is there (a job's completion is then the latest end of its entries,
    and jobs without any are left out).

    Args:
        instance: the problem.
        schedule: what ran where and when.

    Returns:
        ``makespan``, the latest end, in time units (0 when nothing ran).
        ``total_flow_time``, the sum over jobs of completion minus release, in time units.
        ``machine_utilisation``, busy time over machines times makespan (0 when nothing ran).
        ``total_idle_time``, machines times makespan minus busy time, in time units.
        Of jobs with due dates moreover ``total_tardiness``, the sum over jobs of what they complete after their due
        date, in time units; ``number_tardy``, how many do; and ``max_lateness``, the largest difference of completion
        and due date, in time units, which may be negative (0 when no job is there).
        Of jobs with weights moreover ``total_weighted_flow_time``, ``total_weighted_tardiness`` and
        ``weighted_number_tardy``, in which each job counts as often as its weight says.
        Of shops with setup times moreover ``total_setup_time``, over all machines, in time units.
        Of a mix of these as the objective, its value under its own name.
    """
    # Python integers: sums of hostile 64-bit numbers must not wrap around
    makespan = max(schedule.column("end").tolist(), default=0)
    busy = sum(schedule.column("end").tolist()) - sum(schedule.column("start").tolist())
    completion: dict[int, int] = {}
    for job, end in zip(schedule.column("work").tolist(), schedule.column("end").tolist(), strict=True):
        if 0 <= job < instance.jobs:
            completion[job] = max(end, completion.get(job, end))
    available = instance.machines * makespan
    result = {
        "makespan": makespan,
        "machine_utilisation": busy / available if available > 0 else 0.0,
        "total_idle_time": available - busy,
        **_sums_over_jobs(instance, completion),
    }
    terms = parse_objective(instance.objective)
    value = sum(coefficient * result[name] for name, coefficient in terms.items())
    shown = {n: v for n, v in result.items() if instance.weighted or "weighted" not in n or n in terms}
    if instance.setup is not None:
        shown["total_setup_time"] = total_setup_time(instance, schedule)
    return shown | {instance.objective: value}


def _sums_over_jobs(instance: JobShopInstance, completion: dict[int, int]) -> dict[str, int]:
    """What is read off the completion times of the jobs that have one."""
    release, weight = instance.release.tolist(), instance.weight.tolist()
    flow = {job: end - release[job] for job, end in completion.items()}
    result = {
        "total_flow_time": sum(flow.values()),
        "total_weighted_flow_time": sum(weight[job] * time for job, time in flow.items()),
    }
    if instance.due is not None:
        due = instance.due.tolist()
        lateness = {job: end - due[job] for job, end in completion.items()}
        tardy = {job: time for job, time in lateness.items() if time > 0}
        result["total_tardiness"] = sum(tardy.values())
        result["total_weighted_tardiness"] = sum(weight[job] * time for job, time in tardy.items())
        result["max_lateness"] = max(lateness.values(), default=0)
        result["number_tardy"] = len(tardy)
        result["weighted_number_tardy"] = sum(weight[job] for job in tardy)
    return result


def _completeness(
    instance: JobShopInstance, schedule: Schedule, rows: np.ndarray, unknown: np.ndarray
) -> list[Violation]:
    job, step = schedule.column("work"), schedule.column("step")
    longest = instance.duration.shape[1]
    times = np.bincount(job[rows] * longest + step[rows], minlength=instance.jobs * longest)
    expected = (np.arange(longest) < instance.operations[:, None]).ravel()

    def stranger(row: int) -> str:
        if not 0 <= job[row] < instance.jobs:
            return f"row {row} names job {job[row]}, but jobs run from 0 to {instance.jobs - 1}"
        last = instance.operations[job[row]] - 1
        return f"row {row} names operation {step[row]} of job {job[row]}, whose operations run from 0 to {last}"

    def miscounted(index: int) -> str:
        name = f"operation {index % longest} of job {index // longest}"
        return f"{name} is missing" if times[index] == 0 else f"{name} appears {times[index]} times"

    # strangers first, in one count with the rest: the limit holds for the rule as a whole
    wrong = np.flatnonzero(expected & (times != 1))
    both = np.concatenate([unknown, wrong + len(schedule)])
    return report(
        "completeness", both, lambda at: stranger(at) if at < len(schedule) else miscounted(at - len(schedule))
    )


def _assignment(instance: JobShopInstance, schedule: Schedule, rows: np.ndarray) -> list[Violation]:
    job, step, resource = (schedule.column(name) for name in ("work", "step", "resource"))
    wrong = (resource < 0) | (resource >= instance.machines)
    required = np.full(len(schedule), -1, dtype=np.int64)
    required[rows] = instance.machine[job[rows], step[rows]]
    wrong[rows] = resource[rows] != required[rows]

    def message(row: int) -> str:
        text = f"operation {step[row]} of job {job[row]} is on machine {resource[row]}"
        if required[row] >= 0:
            text += f" but belongs on machine {required[row]}"
        if not 0 <= resource[row] < instance.machines:
            text += f" (machines run from 0 to {instance.machines - 1})"
        return text

    return report("assignment", np.flatnonzero(wrong), message)


def _duration(instance: JobShopInstance, schedule: Schedule, rows: np.ndarray) -> list[Violation]:
    job, step, start, end = (schedule.column(name) for name in ("work", "step", "start", "end"))
    needed = instance.duration[job[rows], step[rows]]
    # a difference of 64-bit numbers may wrap around, but never onto a duration while end >= start
    wrong = (end[rows] < start[rows]) | (end[rows] - start[rows] != needed)

    def message(row: int) -> str:
        took, should = int(end[row]) - int(start[row]), instance.duration[job[row], step[row]]
        return (
            f"operation {step[row]} of job {job[row]} runs from {start[row]} to {end[row]}, "
            f"that is {took} instead of {should}"
        )

    return report("duration", rows[wrong], message)


def _release(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    job, step, start = (schedule.column(name) for name in ("work", "step", "start"))
    named = (job >= 0) & (job < instance.jobs)
    earliest = np.zeros(len(schedule), dtype=np.int64)
    earliest[named] = np.maximum(instance.release[job[named]], 0)

    def message(row: int) -> str:
        limit = f"the release of the job at {earliest[row]}" if earliest[row] > 0 else "time 0"
        return f"operation {step[row]} of job {job[row]} starts at {start[row]}, before {limit}"

    return report("release", np.flatnonzero(start < earliest), message)


def _precedence(instance: JobShopInstance, schedule: Schedule, rows: np.ndarray) -> list[Violation]:
    job, step, start, end = (schedule.column(name) for name in ("work", "step", "start", "end"))
    longest = instance.duration.shape[1]
    # one entry for each operation that is there; of duplicates the widest claim counts
    operation, place = np.unique(job[rows] * longest + step[rows], return_inverse=True)
    first_start = np.full(len(operation), np.iinfo(np.int64).max)
    last_end = np.full(len(operation), np.iinfo(np.int64).min)
    np.minimum.at(first_start, place, start[rows])
    np.maximum.at(last_end, place, end[rows])
    same_job = operation[1:] // longest == operation[:-1] // longest
    early = same_job & (first_start[1:] < last_end[:-1])

    def message(index: int) -> str:
        (of_job, before), after = divmod(operation[index], longest), operation[index + 1] % longest
        return (
            f"operation {after} of job {of_job} starts at {first_start[index + 1]}, "
            f"before its operation {before} ends at {last_end[index]}"
        )

    return report("precedence", np.flatnonzero(early), message)


def _capacity(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    resource = schedule.column("resource")
    rows = np.flatnonzero((resource >= 0) & (resource < instance.machines))
    total, pairs = overlaps(rows, resource, schedule.column("start"), schedule.column("end"))
    return listed("capacity", total, (_overlap(schedule, earlier, later) for earlier, later in pairs))


def _overlap(schedule: Schedule, earlier: int, later: int) -> str:
    job, step, machine, start, end = schedule.entries[earlier].tolist()
    other_job, other_step, _, other_start, other_end = schedule.entries[later].tolist()
    return (
        f"machine {machine} runs operation {step} of job {job} from {start} to {end} "
        f"and operation {other_step} of job {other_job} from {other_start} to {other_end}"
    )
