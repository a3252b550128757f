"""Exact job shop schedules by constraint programming, with OR-Tools' CP-SAT."""

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.job_shop.calendars import fit, of_machine
from ..envs.job_shop.instance import JobShopInstance
from ..envs.job_shop.objective import cost, makespan_bound
from ..envs.job_shop.setups import setup_times
from .cp_sat_limits import add_limits
from .cp_sat_objective import cost_bound, minimise_cost

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

STATUSES = ("optimal", "feasible", "infeasible", "unknown")


@dataclass(frozen=True)
class CpSatAnswer:
    """What the solver found and what it proved.

    Attributes:
        schedule: the best schedule found; None when none was found within the time limit.
        objective: the instance's objective of it, the makespan in time units for one; None without a schedule.
        bound: no schedule has a smaller objective.
        status: one of ``STATUSES``; ``"optimal"`` when the objective equals the bound.
        runtime_s: wall-clock time of building and solving the model, in seconds.
    """

    schedule: Schedule | None
    objective: int | None
    bound: int
    status: str
    runtime_s: float


@dataclass
class JobShopModel:
    """The constraints of a job shop, waiting for an objective.

    Attributes:
        model: the CP-SAT model.
        starts: starts[j][k] is the start variable of operation k of job j, in time units.
        horizon: some optimal schedule of any regular objective ends by this time.
        makespan: the variable to minimise, once ``minimise_makespan`` has been called.
    """

    model: "cp_model.CpModel"
    horizon: int
    starts: list[list[Any]] = field(default_factory=list)
    makespan: Any = None


def solve_job_shop(
    instance: JobShopInstance,
    time_limit: float = 60.0,
    seed: int = 0,
    workers: int = 1,
    hint: Schedule | None = None,
) -> CpSatAnswer:
    """Minimise the objective of a job shop.

    Operations are interval variables, machines are no-overlap constraints, as in OR-Tools' job shop
    examples. The answer is shifted left (each operation as early as its order on the machines lets
    it), so that other measures read off it are not worse than need be. With one worker a run that
    ends by its proof gives the same schedule for the same seed; one that ends by its time limit, or
    uses more workers, need not.

    Args:
        instance: the problem.
        time_limit: seconds the solver may search; building the model (well under a second for
            1000 operations) is not part of it, and presolving a large model may overrun it.
        seed: the solver's random seed, 0 to 2**31 - 1.
        workers: number of solver threads, at least 1. They run different strategies rather than share
            one, so a few of them may prove an optimum later than a single one.
        hint: a schedule to start from, complete or not; it need not be feasible.

    Returns:
        The answer; its schedule is None if none was found in time, never a substitute.

    Raises:
        OptionError: if ``time_limit``, ``seed`` or ``workers`` is outside of what it accepts.
    """
    check_options(time_limit, seed, workers)
    began = time.perf_counter()
    problem, alone = build_job_shop(instance), instance.objective == "makespan"
    bound = lower_bound(instance)
    if alone:
        minimise_makespan(problem, instance)
    else:
        ends = [row[-1] + length for row, length in zip(problem.starts, _last_durations(instance), strict=True)]
        minimise_cost(problem.model, instance, ends, problem.horizon, bound)
        bound = cost_bound(instance, bound)
    if hint is not None:
        _add_hint(problem, instance, hint)
    solver = new_solver(time_limit, seed, workers)
    # The makespan has a weak linear relaxation: without it ft10 is proven in a tenth of the time; sums over jobs have
    # no bound to speak of without theirs.
    solver.parameters.linearization_level = 0 if alone else 2
    status, bound = minimise(solver, problem.model, instance.name, bound)
    if status not in ("optimal", "feasible"):
        return CpSatAnswer(None, None, bound, status, time.perf_counter() - began)
    starts = [[solver.value(start) for start in row] for row in problem.starts]
    schedule = _shift_left(instance, starts)
    completion = np.zeros(instance.jobs, np.int64)
    np.maximum.at(completion, schedule.column("work"), schedule.column("end"))
    objective = cost(instance, completion)
    status = "optimal" if objective == bound else status
    return CpSatAnswer(schedule, objective, bound, status, time.perf_counter() - began)


def new_solver(time_limit: float, seed: int, workers: int) -> "cp_model.CpSolver":
    """A solver that may search for so many seconds."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = float(time_limit)
    solver.parameters.random_seed = int(seed)
    solver.parameters.num_workers = int(workers)
    return solver


def minimise(solver: "cp_model.CpSolver", model: "cp_model.CpModel", name: str, bound: int) -> tuple[str, int]:
    """Solve a model with an objective of integers.

    Args:
        solver: with its parameters.
        model: what is to be solved.
        name: of the instance, for messages.
        bound: of the objective, known beforehand.

    Returns:
        One of ``STATUSES``, and the best bound that is known now.
    """
    from ortools.sat.python import cp_model

    status = solver.solve(model)
    if status == cp_model.MODEL_INVALID:
        raise RuntimeError(f"CP-SAT refuses the model of {name}: {model.validate()}")
    if status == cp_model.INFEASIBLE:
        return "infeasible", bound
    if math.isfinite(solver.best_objective_bound):
        # the objective is an integer; the tolerance keeps 54.9999999 from becoming a bound of 54
        bound = max(bound, math.ceil(solver.best_objective_bound - 1e-6))
    return {cp_model.OPTIMAL: "optimal", cp_model.FEASIBLE: "feasible"}.get(status, "unknown"), bound


def build_job_shop(instance: JobShopInstance) -> JobShopModel:
    """Model releases, routes and machines, without an objective.

    Operations of length 0 occupy no machine, so they meet no machine's constraint.

    Args:
        instance: the problem.

    Returns:
        The model and its start variables.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    heads, tails = _heads_and_tails(instance)
    # a semi-active schedule that starts when all jobs are there never waits with every machine idle, but for setups
    horizon = instance.latest_end
    problem = JobShopModel(model, horizon)
    on_machine: list[list[cp_model.IntervalVar]] = [[] for _ in range(instance.machines)]
    for job, operations in enumerate(instance.operations.tolist()):
        row: list[cp_model.IntVar] = []
        for step in range(operations):
            length = int(instance.duration[job, step])
            latest = horizon - length - int(tails[job, step])
            start = model.new_int_var(int(heads[job, step]), latest, f"start_{job}_{step}")
            if row:
                model.add(start >= row[-1] + int(instance.duration[job, step - 1]))
            if length > 0:
                interval = model.new_fixed_size_interval_var(start, length, f"operation_{job}_{step}")
                on_machine[instance.machine[job, step]].append(interval)
            row.append(start)
        problem.starts.append(row)
    add_limits(model, instance, problem.starts, on_machine)
    for intervals in on_machine:
        if len(intervals) > 1:
            model.add_no_overlap(intervals)
    return problem


def minimise_makespan(problem: JobShopModel, instance: JobShopInstance) -> None:
    """Give the model the makespan as its objective.

    Args:
        problem: a model from ``build_job_shop`` without an objective; changed in place.
        instance: the instance it was built from.
    """
    problem.makespan = problem.model.new_int_var(lower_bound(instance), problem.horizon, "makespan")
    for row, length in zip(problem.starts, _last_durations(instance), strict=True):
        problem.model.add(problem.makespan >= row[-1] + length)
    problem.model.minimize(problem.makespan)


def lower_bound(instance: JobShopInstance) -> int:
    """The bound that needs no search: the longest job, or the busiest machine between its heads and tails.

    Args:
        instance: the problem.

    Returns:
        A makespan that no schedule undercuts, in time units.
    """
    heads, tails = _heads_and_tails(instance)
    bound = int((heads + instance.duration + tails).max())
    for machine in range(instance.machines):
        here = (instance.machine == machine) & (instance.duration > 0)
        if here.any():
            load = int(instance.duration[here].sum(dtype=np.int64))
            bound = max(bound, int(heads[here].min()) + load + int(tails[here].min()))
    return max(bound, makespan_bound(instance)) if instance.limited else bound


def _heads_and_tails(instance: JobShopInstance) -> tuple[np.ndarray, np.ndarray]:
    """Earliest starts, and the work left in the job after each operation, both (jobs, longest route) int64."""
    done = np.cumsum(instance.duration, axis=1, dtype=np.int64)
    heads = instance.release[:, None] + done - instance.duration
    return heads, done[:, -1:] - done


def _last_durations(instance: JobShopInstance) -> list[int]:
    jobs = np.arange(len(instance.operations))
    return instance.duration[jobs, instance.operations - 1].tolist()


def _add_hint(problem: JobShopModel, instance: JobShopInstance, hint: Schedule) -> None:
    """Hint the start of every operation that the schedule names; CP-SAT refuses a variable hinted twice."""
    hinted: set[tuple[int, int]] = set()
    for job, step, _, start, _ in hint.entries.tolist():
        known = 0 <= job < len(problem.starts) and 0 <= step < len(problem.starts[job])
        if known and (job, step) not in hinted:
            hinted.add((job, step))
            problem.model.add_hint(problem.starts[job][step], min(max(start, 0), problem.horizon))
    if problem.makespan is not None and len(hinted) == int(instance.operations.sum()):
        makespan = int(hint.column("end").max())
        problem.model.add_hint(problem.makespan, min(max(makespan, 0), problem.horizon))


def _shift_left(instance: JobShopInstance, starts: list[list[int]]) -> Schedule:
    """Keep the order on every machine and start each operation as early as that order, setups and windows allow."""
    order = sorted((start, job, step) for job, row in enumerate(starts) for step, start in enumerate(row))
    job_free = instance.release.tolist()
    machine_free, last = [0] * instance.machines, [0] * instance.machines
    change = [setup_times(instance, k) for k in range(instance.machines)]
    windows = [of_machine(instance.windows, k) for k in range(instance.machines)]
    entries = []
    for _, job, step in order:
        machine, length = int(instance.machine[job, step]), int(instance.duration[job, step])
        # an operation of length 0 neither waits for its machine nor holds it
        start = job_free[job]
        if length > 0:
            start = max(start, machine_free[machine] + change[machine][last[machine]][job])
            start = fit(windows[machine], start, length)
        job_free[job] = start + length
        if length > 0:
            machine_free[machine], last[machine] = start + length, 1 + job
        entries.append((job, step, machine, start, start + length))
    entries.sort()
    return Schedule(instance, np.array(entries, dtype=np.int64))


def check_options(time_limit: float, seed: int, workers: int) -> None:
    """Refuse what the solver does not accept.

    Raises:
        OptionError: naming the argument.
    """
    if isinstance(time_limit, bool) or not isinstance(time_limit, (int, float, np.number)) or not time_limit > 0:
        raise OptionError(f"time_limit must be a number of seconds above 0, got {time_limit!r}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise OptionError(f"seed must be an integer from 0 to {2**31 - 1}, got {seed!r}")
    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 1:
        raise OptionError(f"workers must be an integer of at least 1, got {workers!r}")
