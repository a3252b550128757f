"""Exact flexible job shop schedules by constraint programming, with OR-Tools' CP-SAT."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.core.schedule import Schedule
from ..envs.flexible_job_shop.instance import FlexibleJobShopInstance
from .cp_sat import CpSatAnswer, check_options, minimise, new_solver

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

PORTFOLIO = 8  # threads, however many cores there are: fewer leave out strategies that some shops need
ALONE = 0.1  # share of the time in which one of them is alone


@dataclass
class FlexibleModel:
    """The constraints of a flexible job shop and its objective.

    Attributes:
        model: the CP-SAT model.
        starts: starts[j][o] is the start variable of operation o of job j, in time units.
        presence: presence[j][o] maps each machine that can run it to the literal that says whether it does.
        horizon: some optimal schedule ends by this time.
    """

    model: "cp_model.CpModel"
    horizon: int
    starts: list[list[Any]] = field(default_factory=list)
    presence: list[list[dict[int, Any]]] = field(default_factory=list)


def solve_flexible_job_shop(
    instance: FlexibleJobShopInstance, time_limit: float = 60.0, seed: int = 0, workers: int | None = None
) -> CpSatAnswer:
    """Minimise the makespan.

    An operation is an interval of variable length, with an optional interval of fixed length on each machine that can
    run it, exactly one of them present; machines are no-overlap constraints. A redundant constraint says that all
    machines together are a resource of as many units, which shows how much work there is. The answer is shifted left.

    Args:
        instance: the problem.
        time_limit: seconds the solver may search; building the model is not part of it.
        seed: the solver's random seed, 0 to 2**31 - 1.
        workers: number of solver threads, at least 1. They run different strategies, and even on one core a portfolio
            of them proves in half a minute what one alone does not in several. When left out one is alone for
            the first tenth of the time, in which it always does the same; then ``PORTFOLIO`` begin anew, because what
            it found, as a hint, keeps them from finding better.

    Returns:
        The answer; its schedule is None if none was found in time, never a substitute.

    Raises:
        OptionError: if ``time_limit``, ``seed`` or ``workers`` is outside of what it accepts.
    """
    check_options(time_limit, seed, 1 if workers is None else workers)
    began = time.perf_counter()
    problem, bound = build_flexible_job_shop(instance), lower_bound(instance)
    best, makespan = None, None
    rounds = [(ALONE, 1), (1 - ALONE, PORTFOLIO)] if workers is None else [(1.0, workers)]
    for share, threads in rounds:
        solver = new_solver(share * time_limit, seed, threads)
        status, bound = minimise(solver, problem.model, instance.name, bound)
        if status in ("optimal", "feasible"):
            schedule = _read(instance, problem, solver)
            end = int(schedule.column("end").max())
            if makespan is None or end < makespan:
                best, makespan = schedule, end
            if makespan == bound:
                break
    if best is None:
        return CpSatAnswer(None, None, bound, status, time.perf_counter() - began)
    status = "optimal" if makespan == bound else "feasible"
    return CpSatAnswer(best, makespan, bound, status, time.perf_counter() - began)


def build_flexible_job_shop(instance: FlexibleJobShopInstance) -> FlexibleModel:
    """Model releases, routes, alternatives and machines, with the makespan as the objective.

    Alternatives of length 0 occupy no machine, so they meet no machine's constraint.

    Args:
        instance: the problem.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    problem = FlexibleModel(model, int(instance.release.max()) + int(instance.shortest.sum(dtype=np.int64)))
    on_machine: list[list[Any]] = [[] for _ in range(instance.machines)]
    makespan = model.new_int_var(lower_bound(instance), problem.horizon, "makespan")
    tasks = []
    for job, operations in enumerate(instance.operations.tolist()):
        ready: Any = int(instance.release[job])
        problem.starts.append([])
        problem.presence.append([])
        for step in range(operations):
            start, end, task = _operation(problem, instance, on_machine, job, step)
            model.add(start >= ready)
            ready = end
            tasks.append(task)
        model.add(makespan >= ready)
    for intervals in on_machine:
        if len(intervals) > 1:
            model.add_no_overlap(intervals)
    if instance.machines > 1:
        model.add_cumulative(tasks, [1] * len(tasks), instance.machines)
    model.minimize(makespan)
    return problem


def _operation(problem: FlexibleModel, instance, on_machine, job: int, step: int):
    """Add an operation with its alternatives; its start, its end and its interval."""
    model, times = problem.model, instance.duration[job, step]
    machines = np.flatnonzero(times >= 0).tolist()
    name = f"{job}_{step}"
    shortest, longest = int(times[machines].min()), int(times[machines].max())
    start = model.new_int_var(0, problem.horizon - shortest, f"start_{name}")
    end, length = start + shortest, shortest
    if longest > shortest:
        length = model.new_int_var(shortest, longest, f"length_{name}")
        end = model.new_int_var(0, problem.horizon, f"end_{name}")
    task = model.new_interval_var(start, length, end, f"operation_{name}")
    presence: dict[int, Any] = {}
    for machine in machines:
        time_there = int(times[machine])
        literal = model.new_bool_var(f"on_{name}_{machine}")
        presence[machine] = literal
        if time_there > 0:
            interval = model.new_optional_fixed_size_interval_var(start, time_there, literal, f"{name}_{machine}")
            on_machine[machine].append(interval)
        if longest > shortest:
            model.add(length == time_there).only_enforce_if(literal)
    model.add_exactly_one(presence.values())
    problem.starts[job].append(start)
    problem.presence[job].append(presence)
    return start, end, task


def lower_bound(instance: FlexibleJobShopInstance) -> int:
    """The bound that needs no search: the longest job, or all work shared out evenly, at the shortest times.

    Args:
        instance: the problem.

    Returns:
        A makespan that no schedule undercuts, in time units.
    """
    work = instance.shortest.sum(axis=1, dtype=np.int64)
    return int(max((instance.release + work).max(), -(-work.sum() // instance.machines)))


def _read(instance: FlexibleJobShopInstance, problem: FlexibleModel, solver) -> Schedule:
    """Keep the machines and the order on each, and start every operation as early as that lets it."""
    order = sorted(
        (solver.value(start), job, step) for job, row in enumerate(problem.starts) for step, start in enumerate(row)
    )
    job_free, machine_free, entries = instance.release.tolist(), [0] * instance.machines, []
    for _, job, step in order:
        machine = next(m for m, literal in problem.presence[job][step].items() if solver.boolean_value(literal))
        length = int(instance.duration[job, step, machine])
        # an operation of length 0 neither waits for its machine nor holds it
        start = max(job_free[job], machine_free[machine]) if length > 0 else job_free[job]
        job_free[job] = start + length
        if length > 0:
            machine_free[machine] = start + length
        entries.append((job, step, machine, start, start + length))
    return Schedule(instance, np.array(sorted(entries), dtype=np.int64))
