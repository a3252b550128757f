"""Exact schedules of job shops without room between machines (blocking), by constraint programming with CP-SAT.

A job that has finished keeps its machine until its next operation starts, so an operation holds its machine from its
own start to that of the next one, and a machine is a no-overlap constraint over these intervals (alternative graph:
Mascis and Pacciarelli 2002). What may happen within one moment is a question of order, so operations have ranks too: a
job that takes over a machine ranks behind the move by which the one before it left. Without swaps strictly, which rules
out every cycle of jobs that wait for each other's machines, and no other schedule.
"""

import math
import time
from dataclasses import dataclass
from itertools import chain, combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.job_shop.conditions import BUFFERS
from ..envs.job_shop.instance import JobShopInstance
from ..envs.job_shop.objective import cost
from .cp_sat import CpSatAnswer, check_options, lower_bound, minimise, new_solver
from .cp_sat_objective import cost_bound, minimise_cost

if TYPE_CHECKING:
    from ortools.sat.python import cp_model


@dataclass(frozen=True)
class Standing:
    """How a shop stands at time 0, where it is not empty.

    Attributes:
        inside: (jobs,) bool, True for a job whose first operation is on its machine already;
            its duration is what is left of it, which may be 0 for one that has finished there.
        free_from: (machines,) integers, nothing else starts on a machine before that time.
    """

    inside: np.ndarray
    free_from: np.ndarray

    @classmethod
    def empty(cls, instance: JobShopInstance) -> "Standing":
        """Nobody inside, every machine up."""
        return cls(np.zeros(instance.jobs, bool), np.zeros(instance.machines, np.int64))


@dataclass(frozen=True)
class BlockingAnswer(CpSatAnswer):
    """What the solver found and what it proved.

    Attributes:
        order: every (job, step) in an order in which they may start one by one, but for swaps; None without a schedule.
    """

    order: list[tuple[int, int]] | None = None


@dataclass
class _Model:
    """Start variables in time units, ranks where the order of one moment matters, the constraints on them."""

    model: "cp_model.CpModel"
    horizon: int  # some optimal schedule ends by this time
    starts: list[list[Any]]
    ranks: list[list[Any]]  # empty where starts say it all


def solve_blocking(
    instance: JobShopInstance,
    buffers: str,
    time_limit: float = 60.0,
    seed: int = 0,
    workers: int = 1,
    standing: Standing | None = None,
    hint: list[tuple[int, int]] | None = None,
    repeatable: bool = False,
) -> BlockingAnswer:
    """Minimise the objective of a job shop whose machines have no room between them.

    The answer is shifted left: each operation starts as early as the order on the machines lets it.

    Args:
        instance: the problem; every objective is taken.
        buffers: between machines: ``"none"``; ``"swap"``, where jobs in a cycle may exchange their machines at one
            moment; or ``"unlimited"``, the classic shop, which ``solve_job_shop`` answers as well.
        time_limit: seconds the solver may search.
        seed: the solver's random seed, 0 to 2**31 - 1.
        workers: number of solver threads, at least 1.
        standing: who is where at time 0; an empty shop when left out. From there it may be that no schedule exists.
        hint: every (job, step) in an order of starts to begin with; from an empty shop the jobs one after another when
            left out. Of one that cannot be kept nothing is made.
        repeatable: the limit is on the solver's deterministic time, which roughly counts seconds, so that with one
            worker the answer does not depend on how busy the machine is.

    Returns:
        The answer. Where there was something to begin with there is one however short the time; else its schedule is
        None if none was found in time, or if there is none (status ``"infeasible"``).

    Raises:
        OptionError: for an argument outside of what it accepts.
    """
    if buffers not in BUFFERS:
        raise OptionError(f"buffers must be one of {', '.join(BUFFERS)}, got {buffers!r}")
    check_options(time_limit, seed, workers)

    began = time.perf_counter()
    whole, standing = standing is None, standing or Standing.empty(instance)
    problem = _build(instance, buffers, standing)
    shortest = lower_bound(instance)
    ends = [row[-1] + length for row, length in zip(problem.starts, _last(instance), strict=True)]
    minimise_cost(problem.model, instance, ends, problem.horizon, shortest)
    bound = cost_bound(instance, shortest)
    order = _one_after_another(instance) if whole and hint is None else hint
    starts = None if order is None else _shift_left(instance, buffers, standing, order)
    if starts is not None:
        _add_hint(problem, starts, order)
    solver = new_solver(math.inf if repeatable else time_limit, seed, workers)
    if repeatable:
        solver.parameters.max_deterministic_time = float(time_limit)
    solver.parameters.linearization_level = 0 if instance.objective == "makespan" else 2  # as for the classic shop
    status, bound = minimise(solver, problem.model, instance.name, bound)
    if status in ("optimal", "feasible"):
        order = _order(solver, problem)
        starts = _shift_left(instance, buffers, standing, order)
    elif starts is None or status == "infeasible":
        return BlockingAnswer(None, None, bound, status, time.perf_counter() - began)
    completion = np.array([row[-1] for row in starts]) + np.array(_last(instance))
    objective = cost(instance, completion)
    status = "optimal" if status == "optimal" or objective == bound else "feasible"
    schedule = _schedule(instance, buffers, starts)
    return BlockingAnswer(schedule, objective, bound, status, time.perf_counter() - began, order)


def _build(instance: JobShopInstance, buffers: str, standing: Standing) -> _Model:
    """Releases, routes and machines."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    done = np.cumsum(instance.duration, axis=1, dtype=np.int64)
    heads, tails = instance.release[:, None] + done - instance.duration, done[:, -1:] - done
    # on a longest path to a completion every operation lies once, behind a release or the return of a machine
    horizon = int(max(instance.release.max(), standing.free_from.max())) + instance.total_work
    problem = _Model(model, horizon, [], [])
    for job, operations in enumerate(instance.operations.tolist()):
        row: list[Any] = []
        for step in range(operations):
            length, first = int(instance.duration[job, step]), int(heads[job, step])
            latest = horizon - length - int(tails[job, step])
            if step == 0 and standing.inside[job]:
                latest = 0
            else:
                first = max(first, int(standing.free_from[instance.machine[job, step]]))
            row.append(model.new_int_var(first, latest, f"start_{job}_{step}"))
            if step > 0:
                model.add(row[-1] >= row[-2] + int(instance.duration[job, step - 1]))
        problem.starts.append(row)
    for intervals in _holds(problem, instance, buffers):
        if len(intervals) > 1:
            model.add_no_overlap(intervals)
    real = np.arange(instance.duration.shape[1]) < instance.operations[:, None]
    if buffers == "none" or (buffers == "swap" and (real & (instance.duration == 0)).any()):
        _rank(problem, instance, buffers, standing)
    return problem


def _holds(problem: _Model, instance: JobShopInstance, buffers: str) -> "list[list[cp_model.IntervalVar]]":
    """The intervals in which jobs have each machine; one that may be empty is left to the ranks."""
    held: list[list[cp_model.IntervalVar]] = [[] for _ in range(instance.machines)]
    for job, row in enumerate(problem.starts):
        for step, start in enumerate(row):
            length, name = int(instance.duration[job, step]), f"hold_{job}_{step}"
            if length == 0:
                continue
            if buffers == "unlimited" or step == len(row) - 1:
                interval = problem.model.new_fixed_size_interval_var(start, length, name)
            else:
                size = problem.model.new_int_var(length, problem.horizon, f"size_{job}_{step}")
                interval = problem.model.new_interval_var(start, size, row[step + 1], name)
            held[instance.machine[job, step]].append(interval)
    return held


def _rank(problem: _Model, instance: JobShopInstance, buffers: str, standing: Standing) -> None:
    """Order the moves of one moment: of two operations of a machine one starts once the other's job has left."""
    model, count, strict = problem.model, int(instance.operations.sum()), int(buffers == "none")
    users: list[list[tuple[int, int]]] = [[] for _ in range(instance.machines)]
    for job, operations in enumerate(instance.operations.tolist()):
        row = [model.new_int_var(k, count - operations + k, f"rank_{job}_{k}") for k in range(operations)]
        for before, after in pairwise(row):
            model.add(after > before)
        problem.ranks.append(row)
        for step in range(operations):
            users[instance.machine[job, step]].append((job, step))

    def follows(later: tuple[int, int], earlier: tuple[int, int], literal: Any) -> None:
        (job, step), (other, at) = later, earlier
        start, rank = problem.starts[job][step], problem.ranks[job][step]
        if at + 1 < len(problem.starts[other]):
            model.add(start >= problem.starts[other][at + 1]).only_enforce_if(literal)
            model.add(rank >= problem.ranks[other][at + 1] + strict).only_enforce_if(literal)
        else:
            left = problem.starts[other][at] + int(instance.duration[other, at])
            model.add(start >= left).only_enforce_if(literal)
            model.add(rank > problem.ranks[other][at]).only_enforce_if(literal)

    for first, second in chain.from_iterable(combinations(here, 2) for here in users):
        if first[0] == second[0]:
            continue
        order = model.new_bool_var(f"order_{first}_{second}")
        follows(second, first, order)
        follows(first, second, ~order)
        for (job, step), literal in ((first, order), (second, ~order)):
            if step == 0 and standing.inside[job]:
                model.add_bool_or(literal)  # who is there already comes first


def _one_after_another(instance: JobShopInstance) -> list[tuple[int, int]]:
    """Each job passes through an empty shop, in order of release: the (job, step) in order."""
    jobs = np.lexsort((np.arange(instance.jobs), instance.release)).tolist()
    return [(job, step) for job in jobs for step in range(int(instance.operations[job]))]


def _add_hint(problem: _Model, starts: list[list[int]], order: list[tuple[int, int]]) -> None:
    for rank, (job, step) in enumerate(order):
        problem.model.add_hint(problem.starts[job][step], starts[job][step])
        if problem.ranks:
            problem.model.add_hint(problem.ranks[job][step], rank)


def _order(solver: "cp_model.CpSolver", problem: _Model) -> list[tuple[int, int]]:
    """The (job, step) by start, then by rank."""
    found = [
        (solver.value(start), solver.value(problem.ranks[job][step]) if problem.ranks else 0, job, step)
        for job, row in enumerate(problem.starts)
        for step, start in enumerate(row)
    ]
    return [(job, step) for *_, job, step in sorted(found)]


def _shift_left(
    instance: JobShopInstance, buffers: str, standing: Standing, order: list[tuple[int, int]]
) -> list[list[int]] | None:
    """The least starts that keep the order on every machine, (jobs, steps); None if none do, as jobs would block."""
    length, machine = instance.duration.tolist(), instance.machine.tolist()
    before: dict[tuple[int, int], tuple[int, int]] = {}  # the operation whose machine an operation takes over
    latest: dict[int, tuple[int, int]] = {}
    for job, step in order:
        k = machine[job][step]
        if buffers != "unlimited" or length[job][step] > 0:
            if k in latest:
                before[job, step] = latest[k]
            latest[k] = (job, step)
    starts = [[0] * operations for operations in instance.operations.tolist()]
    rounds, changed = 0, True
    while changed:  # once, and a few times more where a job waits for one that is later in the order
        if rounds > len(order):
            return None
        rounds, changed = rounds + 1, False
        for job, step in order:
            start = int(instance.release[job]) if step == 0 else starts[job][step - 1] + length[job][step - 1]
            if step > 0 or not standing.inside[job]:
                start = max(start, int(standing.free_from[machine[job][step]]))
            if (job, step) in before:
                other, at = before[job, step]
                if other == job and at == step - 1:
                    left = start
                elif buffers != "unlimited" and at + 1 < len(starts[other]):
                    left = starts[other][at + 1]
                else:
                    left = starts[other][at] + length[other][at]
                start = max(start, left)
            if start != starts[job][step]:
                starts[job][step], changed = start, True
    return starts


def _last(instance: JobShopInstance) -> list[int]:
    """Duration of each job's last operation."""
    return instance.duration[np.arange(instance.jobs), instance.operations - 1].tolist()


def _schedule(instance: JobShopInstance, buffers: str, starts: list[list[int]]) -> Schedule:
    rows = [
        (job, step, int(instance.machine[job, step]), start, start + int(instance.duration[job, step]))
        for job, row in enumerate(starts)
        for step, start in enumerate(row)
    ]
    return Schedule(instance, np.array(rows, dtype=np.int64), {} if buffers == "unlimited" else {"buffers": buffers})
