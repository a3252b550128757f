"""Judges job shop schedules from the problem statement alone; shares no code with any simulator."""

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.checking import Routes, report
from ..core.schedule import Schedule, Violation
from .instance import JobShopInstance
from .objective import parse_objective
from .validator_limits import check_setups, check_windows, total_setup_time
from .validator_live import check_live
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
        return check_live(instance, schedule)
    routes = Routes(instance, schedule, instance.duration.shape[1])
    return [
        *routes.completeness(),
        *routes.assignment(instance.machine),
        *_duration(instance, routes),
        *routes.release(),
        *routes.precedence(),
        *routes.capacity(),
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


def _duration(instance: JobShopInstance, routes: Routes) -> list[Violation]:
    rows, start, end = routes.rows, routes.start, routes.end
    needed = instance.duration[routes.job[rows], routes.step[rows]]
    # a difference of 64-bit numbers may wrap around, but never onto a duration while end >= start
    wrong = (end[rows] < start[rows]) | (end[rows] - start[rows] != needed)

    def message(row: int) -> str:
        took, should = int(end[row]) - int(start[row]), instance.duration[routes.job[row], routes.step[row]]
        return f"{routes.name(row)} runs from {start[row]} to {end[row]}, that is {took} instead of {should}"

    return report("duration", rows[wrong], message)
