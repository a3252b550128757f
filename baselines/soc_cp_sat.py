"""Exact schedules of task graphs on processing elements by constraint programming, with OR-Tools' CP-SAT."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.soc.conditions import Conditions
from ..envs.soc.instance import SoCInstance
from .soc_problem import FlatProblem, Place, greedy, shift_left

STATUSES = ("optimal", "feasible")
# How to search, each until this share of the time has passed: what one complete search has not proven is improved in
# neighbourhoods, and bounded from below by unsatisfiable cores, which find few schedules but bounds that come closer.
MANNERS = (("complete", 0.5), ("neighbourhoods", 0.7), ("cores", 1.0))
MANNERS_ALONE = (("complete", 0.5), ("cores", 1.0))  # for a single job, where neighbourhoods improve little


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
    places, left = greedy(problem), float(time_limit)
    if problem.cost(places) > problem.lower_bound and instance.jobs > 1:
        left -= _bound_jobs(problem, left / 4, int(seed))
    places, bound = _search(problem, places, left, int(seed))
    schedule, cost = Schedule(instance, problem.entries(places), known.as_dict()), problem.cost(places)
    status = "optimal" if cost == bound else "feasible"
    count = len(problem.least)
    objective, bound = (cost, bound) if instance.static else (cost / count, bound / count)
    return SoCAnswer(schedule, objective, bound, status, time.perf_counter() - began)


def _bound_jobs(problem: FlatProblem, time_limit: float, seed: int) -> float:
    """Solve the jobs one by one, since among others none is faster than alone.

    Improves ``problem.least`` and returns the seconds that it took, not more than the limit.
    """
    alike: dict[tuple[int, bytes], list[int]] = {}
    for job in problem.least:
        own = problem.time[problem.name[:, 0] == job]
        alike.setdefault((int(problem.instance.arrival_graph[job]), own.tobytes()), []).append(job)
    began = time.perf_counter()
    for at, jobs in enumerate(alike.values()):
        share = (began + time_limit - time.perf_counter()) / (len(alike) - at)
        if share > 0:
            alone = FlatProblem(problem.instance, problem.conditions, jobs[:1])
            _, bound = _search(alone, greedy(alone), share, seed)
            problem.least |= dict.fromkeys(jobs, bound)
    return min(time.perf_counter() - began, time_limit)


def _search(problem: FlatProblem, best: list[Place], time_limit: float, seed: int) -> tuple[list[Place], int]:
    """Improve a schedule until the proof or the time limit; returns the best schedule and the bound of its cost."""
    bound = problem.lower_bound
    if problem.cost(best) == bound:
        return best, bound
    model = SoCModel(problem, problem.horizon(best))
    began = time.perf_counter()
    for manner, until in MANNERS if len(problem.jobs) > 1 else MANNERS_ALONE:
        left = until * time_limit - (time.perf_counter() - began)
        if problem.cost(best) > bound and left > 0:
            model.restrict(best, bound)
            found, proven = model.solve(manner, left, seed)
            best, bound = min([best, *found], key=problem.cost), max(bound, proven)
    return best, bound


class SoCModel:
    """The CP-SAT model of a problem: who runs where, one at a time, and who waits for whom.

    Args:
        problem: tasks, edges and bounds.
        horizon: every task ends by this time, in us.

    Attributes:
        model: the CP-SAT model.
        starts: the start variable of each task, in us.
        on: for each task, whether it runs on a processing element (PE), by the PEs that can run it.
        cost: the total latency of the measured jobs, in us.
    """

    def __init__(self, problem: FlatProblem, horizon: int):
        from ortools.sat.python import cp_model

        self.problem, self.model = problem, cp_model.CpModel()
        self.starts: list[cp_model.IntVar] = []
        self.on: list[dict[int, cp_model.IntVar]] = []
        ends = [self._add_task(task, horizon) for task in range(problem.tasks)]
        for element in range(problem.elements):
            self._add_element(element)
        for task, before in enumerate(problem.before):
            for source, transfer in before:
                self._add_edge(source, task, transfer)
        self.cost = sum(self._add_job(job, ends, horizon) for job in problem.least)
        self.model.minimize(self.cost)

    def _add_task(self, task: int, horizon: int) -> Any:
        """A task runs on one of its PEs, no earlier there than its data can be; returns its end."""
        head, time = self.problem.head[task].tolist(), self.problem.time[task].tolist()
        on = {p: self.model.new_bool_var(f"task_{task}_on_{p}") for p, length in enumerate(time) if length >= 0}
        start = self.model.new_int_var(min(head[p] for p in on), horizon, f"start_{task}")
        self.model.add_exactly_one(on.values())
        self.model.add(start >= sum(head[p] * here for p, here in on.items()))
        self.starts.append(start)
        self.on.append(on)
        return start + sum(time[p] * here for p, here in on.items())

    def _add_element(self, element: int) -> None:
        """A PE runs one task at a time; tasks of length 0 occupy nothing."""
        lengths = self.problem.time[:, element].tolist()
        busy = [task for task, length in enumerate(lengths) if length > 0]
        self.model.add_no_overlap(
            self.model.new_optional_fixed_size_interval_var(
                self.starts[task], lengths[task], self.on[task][element], f"task_{task}_{element}"
            )
            for task in busy
        )

    def _add_edge(self, source: int, target: int, transfer: np.ndarray) -> None:
        """For each PE of the source, the target waits for its data as long as its own PE makes that."""
        time = self.problem.time[source].tolist()
        for p, there in self.on[source].items():
            delay = transfer[p].tolist()
            arrival = self.starts[source] + time[p] + sum(delay[q] * here for q, here in self.on[target].items())
            self.model.add(self.starts[target] >= arrival).only_enforce_if(there)

    def _add_job(self, job: int, ends: list, horizon: int) -> Any:
        """A measured job lasts until the tails of its tasks are over; returns its latency."""
        problem, arrival = self.problem, int(self.problem.arrival(job))
        latency = self.model.new_int_var(problem.least[job], horizon - arrival, f"latency_{job}")
        own = np.flatnonzero(problem.name[:, 0] == job).tolist()
        for task in own:
            tail = problem.tail[task].tolist()
            self.model.add(arrival + latency >= ends[task] + sum(tail[p] * here for p, here in self.on[task].items()))
        if len(problem.jobs) == 1:  # no PE works for longer than the job lasts; of several jobs this slows the search
            for element in range(problem.elements):
                time = problem.time[:, element].tolist()
                self.model.add(latency >= sum(time[task] * self.on[task][element] for task in own if time[task] > 0))
        return latency

    def restrict(self, best: list[Place], bound: int) -> None:
        """Ask for no more than what is known already, and hint it.

        Args:
            best: the best schedule so far.
            bound: no schedule costs less, in us.
        """
        self.model.add(self.cost <= self.problem.cost(best))
        self.model.add(self.cost >= bound)
        self.model.clear_hints()
        for task, element, start in best:
            self.model.add_hint(self.starts[task], start)
            for p, here in self.on[task].items():
                self.model.add_hint(here, p == element)

    def solve(self, manner: str, time_limit: float, seed: int) -> tuple[list[list[Place]], int]:
        """Search.

        Args:
            manner: one of those in ``MANNERS``.
            time_limit: in seconds.
            seed: the solver's.

        Returns:
            The schedule that was found, shifted left, if any, and a bound of the cost, in us.
        """
        from ortools.sat.python import cp_model

        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = time_limit
        solver.parameters.random_seed = seed
        solver.parameters.num_workers = 1
        solver.parameters.optimize_with_core = manner == "cores"
        if manner == "neighbourhoods":
            solver.parameters.interleave_search = solver.parameters.use_lns = True
            solver.parameters.subsolvers.extend(["quick_restart_no_lp"])
        # linear relaxations of sequences are weak, and their upkeep may overrun the time limit by far
        solver.parameters.linearization_level = 0
        status = solver.solve(self.model)
        if status in (cp_model.MODEL_INVALID, cp_model.INFEASIBLE):
            raise RuntimeError(f"CP-SAT refuses the model of {self.problem.instance.name}: {self.model.validate()}")
        bound = solver.best_objective_bound
        # the objective is an integer; the tolerance keeps 54.9999999 from becoming a bound of 54
        bound = math.ceil(bound - 1e-6) if math.isfinite(bound) else 0
        if status == cp_model.UNKNOWN:
            return [], bound
        places = [
            Place(task, next(p for p, here in on.items() if solver.boolean_value(here)), solver.value(start))
            for task, (start, on) in enumerate(zip(self.starts, self.on, strict=True))
        ]
        return [shift_left(self.problem, places)], bound


def _check_options(time_limit: float, seed: int) -> None:
    if isinstance(time_limit, bool) or not isinstance(time_limit, (int, float, np.number)) or not time_limit > 0:
        raise OptionError(f"time_limit must be a number of seconds above 0, got {time_limit!r}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise OptionError(f"seed must be an integer from 0 to {2**31 - 1}, got {seed!r}")
