"""Exact schedules of task graphs on processing elements by constraint programming, with OR-Tools' CP-SAT."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.soc.conditions import Conditions
from ..envs.soc.instance import SoCInstance
from .soc_problem import FlatProblem, Place, greedy, shift_left

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

STATUSES = ("optimal", "feasible")


@dataclass(frozen=True)
class SoCAnswer:
    """What the solver found and what it proved.

    Attributes:
        schedule: the best schedule found, under the conditions that were asked for.
        objective: its makespan in us, of a static instance; else the mean latency of its measured jobs in us.
        bound: no schedule under these conditions has a smaller objective, in us.
        status: one of ``STATUSES``; ``"optimal"`` when the objective equals the bound.
        runtime_s: wall-clock time of building and solving the model, in seconds.
    """

    schedule: Schedule
    objective: int | float
    bound: int | float
    status: str
    runtime_s: float


def solve_soc(
    instance: SoCInstance, *, time_limit: float = 60.0, seed: int = 0, conditions: Mapping | None = None
) -> SoCAnswer:
    """Minimise the makespan of a static instance, or the total latency of the measured jobs of a stream.

    A task is an optional interval on each processing element (PE) that can run it, a PE is a no-overlap constraint,
    and a successor waits for its data, for each pair of PEs as long as it takes. The search starts from a greedy
    schedule, so there always is an answer. It is shifted left: each task starts as early as its place in the order
    of its PE lets it, so that other measures are not worse than need be.

    Under noise the solver knows every actual execution time beforehand, and of a stream every arrival. Its bound is
    that of a clairvoyant: no scheduler undercuts it, and one that goes by estimates may have no way to reach it.

    With its single worker, a run that ends by its proof gives the same schedule for the same seed; one that ends
    by its time limit need not.

    Args:
        instance: the problem.
        time_limit: seconds that the solver may search; building a large model is not part of it, and
            presolving one may overrun it.
        seed: the solver's random seed, 0 to 2**31 - 1.
        conditions: noise and rounding as in ``Schedule.conditions``; without any the estimates hold.

    Returns:
        The answer.

    Raises:
        OptionError: if an option is outside of what it accepts, or the conditions have a shared bus or a cap on the
            jobs in the system, which are not modelled.
        ScheduleError: if a condition is not known or out of range, naming it.
    """
    _check_options(time_limit, seed)
    known = Conditions.read(conditions)
    for name in ("shared_bus", "wip_cap"):
        if getattr(known, name):
            raise OptionError(f"CP-SAT does not model {name} of SoC scheduling, got {getattr(known, name)!r}")
    began = time.perf_counter()
    problem = FlatProblem(instance, known)
    places = greedy(problem)
    bound = problem.lower_bound
    if problem.cost(places) > bound:
        places, bound = _search(problem, places, float(time_limit), int(seed))
    schedule = Schedule(instance, problem.entries(places), known.as_dict())
    cost = problem.cost(places)
    status = "optimal" if cost == bound else "feasible"
    objective, bound = (
        (cost, bound) if instance.static else (cost / len(problem.measured), bound / len(problem.measured))
    )
    return SoCAnswer(schedule, objective, bound, status, time.perf_counter() - began)


def _search(problem: FlatProblem, start: list[Place], time_limit: float, seed: int) -> tuple[list[Place], int]:
    """Improve a schedule until the proof or the time limit; the better of both and the bound of the cost."""
    from ortools.sat.python import cp_model

    model = build_model(problem, start)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = 1
    # the linear relaxation of a sequence is weak, and its upkeep may overrun the time limit by far
    solver.parameters.linearization_level = 0
    status = solver.solve(model.model)
    if status in (cp_model.MODEL_INVALID, cp_model.INFEASIBLE):
        raise RuntimeError(f"CP-SAT refuses the model of {problem.instance.name}: {model.model.validate()}")
    bound = problem.lower_bound
    if math.isfinite(solver.best_objective_bound):
        # the objective is an integer; the tolerance keeps 54.9999999 from becoming a bound of 54
        bound = max(bound, math.ceil(solver.best_objective_bound - 1e-6))
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return start, bound
    found = [
        Place(task, next(p for p, here in on.items() if solver.boolean_value(here)), solver.value(begin))
        for task, (on, begin) in enumerate(zip(model.on, model.starts, strict=True))
    ]
    found = shift_left(problem, found)
    return min(found, start, key=problem.cost), bound


@dataclass
class SoCModel:
    """The CP-SAT model of a problem.

    Attributes:
        model: with the objective: the makespan, or the sum of the completion times of the measured jobs.
        starts: the start variable of each task, in us.
        on: for each task, whether it runs on a PE, by the PEs that can run it.
    """

    model: "cp_model.CpModel"
    starts: list[Any]
    on: list[dict[int, Any]]


def build_model(problem: FlatProblem, start: list[Place]) -> SoCModel:
    """Model a problem, with a schedule to start from.

    Args:
        problem: tasks, edges and bounds.
        start: a feasible schedule; the model leaves out what is worse.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    horizon = problem.horizon(start)
    elements = range(problem.elements)
    on_element: list[list[cp_model.IntervalVar]] = [[] for _ in elements]
    result = SoCModel(model, [], [])
    ends = []
    for task in range(problem.tasks):
        able = [p for p in elements if problem.time[task, p] >= 0]
        on = {p: model.new_bool_var(f"task_{task}_on_{p}") for p in able}
        model.add_exactly_one(on.values())
        begin = model.new_int_var(int(problem.head[task, able].min()), horizon, f"start_{task}")
        # no task starts before its data can be there, wherever its predecessors run
        model.add(begin >= sum(int(problem.head[task, p]) * here for p, here in on.items()))
        for p, here in on.items():
            length = int(problem.time[task, p])
            if length > 0:  # a task of length 0 occupies nothing
                on_element[p].append(model.new_optional_fixed_size_interval_var(begin, length, here, f"{task}_{p}"))
        result.starts.append(begin)
        result.on.append(on)
        ends.append(begin + sum(int(problem.time[task, p]) * here for p, here in on.items()))
    for intervals in on_element:
        model.add_no_overlap(intervals)
    _add_edges(problem, result)
    _add_objective(problem, result, ends, problem.cost(start), horizon)
    for place in start:
        model.add_hint(result.starts[place.task], place.start)
        for p, here in result.on[place.task].items():
            model.add_hint(here, p == place.element)
    return result


FORM = "B"


def _add_edges(problem: FlatProblem, result: SoCModel) -> None:
    """A task waits for the data of its predecessors: for each PE of one, as long as its own PE makes that."""
    for task, before in enumerate(problem.before):
        begin, on = result.starts[task], result.on[task]
        for source, transfer in before:
            if FORM == "B":
                for p, there in result.on[source].items():
                    arrival = result.starts[source] + int(problem.time[source, p])
                    arrival += sum(int(transfer[p, q]) * here for q, here in on.items())
                    result.model.add(begin >= arrival).only_enforce_if(there)
            elif FORM in "AF":
                for p, there in result.on[source].items():
                    end = result.starts[source] + int(problem.time[source, p])
                    if FORM == "F":
                        result.model.add(begin >= end).only_enforce_if(there)
                    for q, here in on.items():
                        if FORM == "F" and transfer[p, q] == 0:
                            continue
                        result.model.add(begin >= end + int(transfer[p, q])).only_enforce_if(there, here)
            elif FORM == "G":
                end = result.starts[source] + sum(
                    int(problem.time[source, p]) * x for p, x in result.on[source].items()
                )
                result.model.add(begin >= end)
                for p, there in result.on[source].items():
                    arrival = result.starts[source] + int(problem.time[source, p])
                    arrival += sum(int(transfer[p, q]) * here for q, here in on.items())
                    result.model.add(begin >= arrival).only_enforce_if(there)


def _add_objective(problem: FlatProblem, result: SoCModel, ends: list, cost: int, horizon: int) -> None:
    """Minimise the cost; no worse ones than what there is already."""
    model, instance = result.model, problem.instance
    completion = {}
    for job in problem.measured:
        completion[job] = model.new_int_var(int(instance.arrival_time[job]), horizon, f"completion_{job}")
    for task, end in enumerate(ends):
        job = int(problem.name[task, 0])
        if job in completion:
            rest = sum(int(problem.tail[task, p]) * here for p, here in result.on[task].items())
            model.add(completion[job] >= end + rest)
    total = sum(completion.values()) - sum(int(instance.arrival_time[job]) for job in completion)
    model.add(total >= problem.lower_bound)
    model.add(total <= cost)
    if instance.static and LOAD:
        for p in range(problem.elements):
            work = sum(int(problem.time[task, p]) * on[p] for task, on in enumerate(result.on) if p in on)
            model.add(work <= completion[0])
    model.minimize(total)


LOAD = True


def _check_options(time_limit: float, seed: int) -> None:
    if isinstance(time_limit, bool) or not isinstance(time_limit, (int, float, np.number)) or not time_limit > 0:
        raise OptionError(f"time_limit must be a number of seconds above 0, got {time_limit!r}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise OptionError(f"seed must be an integer from 0 to {2**31 - 1}, got {seed!r}")
