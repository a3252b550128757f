"""The job shop as the core sees it: options, padded sizes, the bank, and schedules read off the state."""

import importlib

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.schedule import Schedule
from . import observe, observe_costs, observe_limits, observe_operations, observe_wait, simulator
from .instance import JobShopInstance
from .limits import Limits
from .model_preemptive import PreemptiveModel
from .objective import costs_of, machine_bounds, makespan_bound, parse_objective
from .options import Options
from .simulator_state import (
    COST_KINDS,
    DISTANT,
    FIELDS,
    MACHINE_KINDS,
    MEAN_KINDS,
    SURVEY_KINDS,
    TIMELINE_KINDS,
    Struct,
)


def _program(name: str, observe_function) -> Program:
    return Program(
        name=f"job_shop_{name}",
        fields=FIELDS,
        state=Struct,
        reset=simulator.reset,
        step=simulator.step,
        observe=observe_function,
    )


PROGRAMS = {"jobs": _program("jobs", observe.observe), "operations": _program("operations", observe_operations.observe)}


COLUMNS = (
    "next_machine",
    "processing_time",
    "remaining_work",
    "remaining_operations",
    "completed_work",
    "arrival",
    "earliest_start",
)
COST_COLUMNS = ("due_date", "operation_due_date", "slack", "weight")


class Model:
    """Job shops of at most the given sizes, padded to them.

    Args:
        instances: what must fit; the sizes are their maxima. They have one objective.
        options: the construction, forced moves and the observation.

    Raises:
        OptionError: if the objectives of the instances differ, or for setup times with insertion.
    """

    repeatable = True
    clock = None
    schedule_fields = ("start", "next_operation")
    bank_shapes = {field.name: field.shape[1:] for field in FIELDS if field.shape[:1] == ("bank",)}

    def __new__(cls, instances: list[JobShopInstance], options: Options | None = None):
        """The model of another program where the options ask for one; what live shops share is here."""
        if options is not None and options.preemptive:
            return PreemptiveModel(instances, options)
        if cls is Model and options is not None and options.live:
            cls = importlib.import_module(f"{__package__}.model_live").LiveModel
        return super().__new__(cls)

    def __init__(self, instances: list[JobShopInstance], options: Options | None = None):
        self.options = options or Options()
        self.objective = _one_objective(instances)
        self.costs = not all(instance.classic for instance in instances)
        self.limits = Limits(instances, self.options)
        self.columns = COLUMNS + COST_COLUMNS * self.costs + ("setup_time",) * self.limits.setups
        self.columns += ("action_mask",) * (self.costs or self.limits.setups)
        value = {self.objective: "cost"} if self.objective != "makespan" else {}
        self.outcome = {"makespan": "bound", **value, "decisions": "steps"}
        self.jobs = max(instance.jobs for instance in instances)
        self.machines = max(instance.machines for instance in instances)
        self.route = max(instance.duration.shape[1] for instance in instances)
        self.longest_queue = max(int(_count(instance).max()) for instance in instances)
        self.complete = all(_visits_once(instance) for instance in instances)
        self._finish(instances)
        self.spec = self._spec()
        self.sizes = self._sizes()
        self.settings = self._settings(parse_objective(self.objective))

    def _finish(self, instances: list[JobShopInstance]) -> None:
        """What depends on how time passes: actions, horizon and program."""
        self.actions = self.jobs + self.options.waits
        self.horizon = self.decisions = max(int(instance.operations.sum()) for instance in instances)
        if self.options.waits:  # each time for longer, until an operation ends or a job is released
            self.horizon += self.decisions + self.jobs
            if self.limits.setups or self.limits.calendars:
                self.horizon += self.limits.waits(self.jobs, self.decisions)
        self.program = PROGRAMS[self.options.observation]

    def _settings(self, terms: dict[str, int]) -> dict[str, int]:
        """The option fields of the program, given the terms of the objective."""
        delta = self.options.delta
        return {
            "delta": round((delta or 0.0) * 1_000_000),
            "insertion": int(delta is None),
            "waits": int(self.options.waits),
            "forced_moves": int(self.options.forced_moves),
            "arcs": int(self.options.observation == "operations"),
            "costs": int(self.costs),
            "makespan_cost": terms.get("makespan", 0),
            "lateness_cost": terms.get("max_lateness", 0),
        } | self.limits.settings()

    @staticmethod
    def size_key(instance: JobShopInstance) -> tuple:
        """Instances with equal keys share one simulation without padding."""
        sizes = instance.jobs, instance.machines, instance.duration.shape[1]
        return *sizes, _visits_once(instance), instance.objective, instance.classic, *Limits.key(instance)

    def _spec(self) -> GraphSpec:
        costs, waits = self.costs, self.options.waits
        setups, calendars = self.limits.setups, self.limits.calendars
        more = observe_costs.JOB_COSTS * costs + observe_limits.JOB_SETUP * setups
        candidate = observe.CANDIDATE + observe_costs.CANDIDATE_COSTS * costs + observe_limits.CANDIDATE_SETUP * setups
        shared = dict(
            resources=self.machines, actions=self.actions,
            resource=observe.MACHINE + observe_limits.MACHINE_WINDOWS * calendars,
            context=observe.CONTEXT + observe_costs.CONTEXT_COSTS * costs,
            candidate=candidate + observe_limits.CANDIDATE_WINDOWS * calendars + observe_wait.WAITING * waits,
        )  # fmt: skip
        if self.options.observation == "jobs":
            edges = self.jobs * (self.machines if self.complete else self.route)
            return GraphSpec(
                works=self.jobs, edges=edges, work=observe.JOB + more, assignment=observe.OPERATION_EDGE,
                complete=self.complete, **shared,
            )  # fmt: skip
        nodes = self.jobs * self.route
        return GraphSpec(
            works=nodes, edges=nodes, work=observe_operations.OPERATION + more,
            assignment=observe_operations.MACHINE_EDGE,
            precedences=2 * nodes, precedence=observe_operations.ARC, static=("assignment", "assignment_attr"),
            **shared,
        )  # fmt: skip

    def _sizes(self) -> dict[str, int]:
        spec, nodes = self.spec, self.jobs * self.route
        keep_order = self.options.delta is None or self.options.observation == "operations"
        return {
            "job": self.jobs, "operation": self.route, "machine": self.machines, "action": self.actions,
            "action_cost": self.actions if self.costs else 0, "held": self.jobs if self.options.waits else 0,
            "place": self.longest_queue if keep_order else 0,
            "machine_kind": MACHINE_KINDS, "mean_kind": MEAN_KINDS,
            "timeline_kind": TIMELINE_KINDS, "survey_kind": SURVEY_KINDS,
            "cost_kind": COST_KINDS, "cost_pair": 2, "job_cost": self.jobs if self.costs else 0,
            "node": nodes if self.options.observation == "operations" else 0,
            "work": spec.works, "resource": spec.resources, "edge": spec.edges, "arc": spec.precedences,
            "work_feature": len(spec.work), "resource_feature": len(spec.resource),
            "context_feature": len(spec.context), "edge_feature": len(spec.assignment),
            "candidate_feature": len(spec.candidate), "arc_feature": len(spec.precedence),
            **self.limits.sizes(self.jobs, self.machines, self.actions),
        }  # fmt: skip

    def fits(self, instance: JobShopInstance) -> bool:
        """Whether an instance is within the padded sizes, and is about the same objective."""
        if instance.objective != self.objective or not (self.costs or instance.classic):
            return False
        if not self.limits.fits(instance):
            return False
        fits = instance.jobs <= self.jobs and instance.machines <= self.machines
        fits = fits and instance.duration.shape[1] <= self.route and _count(instance).max() <= self.longest_queue
        return bool(fits and (not self.complete or _visits_once(instance)))

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank arrays of some instances, padded to this model's sizes.

        Raises:
            OptionError: if an instance is larger than the model.
        """
        rows = [self._row(instance) for instance in instances]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, instance: JobShopInstance) -> dict[str, np.ndarray]:
        n, route, m = instance.jobs, instance.duration.shape[1], instance.machines
        if not self.fits(instance):
            without = "" if self.costs else ", without due dates or weights"
            without += (
                f", {self.limits.families} families with setup times and {self.limits.windows} windows of a machine"
            )
            raise OptionError(
                f"instance {instance.name} ({n} jobs, {m} machines, routes of up to {route}, {instance.objective}) "
                f"does not fit one made for {self.jobs} jobs, {self.machines} machines, routes of up to {self.route}, "
                f"{self.objective}{without}"
            )
        real = instance.machine >= 0
        content = instance.duration.sum(axis=1, dtype=np.int64)
        head, load, tail = machine_bounds(instance)
        bound = makespan_bound(instance)
        slots = instance.machine if self.complete else np.broadcast_to(np.arange(route), real.shape)
        one = dict(
            jobs=n, machines=m, initial_bound=bound,
            worst_makespan=max(instance.latest_end, bound),
        )  # fmt: skip
        arrays = dict(
            operations=instance.operations, duration=instance.duration, machine=instance.machine,
            slot=np.where(real, slots, 0), release=instance.release, work_content=content,
            of_machine=np.stack([load, _count(instance), head, tail], axis=1),
        )  # fmt: skip
        row = {name: np.asarray(value, np.int32) for name, value in one.items()}
        arrays |= self._cost_arrays(instance) | self.limits.arrays(instance)
        for name in arrays.keys() & self.bank_shapes.keys():  # a program has no fields for what it cannot do
            row[name] = self._pad(name, np.asarray(arrays[name], np.int32))
        row["cost_scale"] = np.asarray([instance.scale, instance.worst_cost], np.int64)
        row["means"] = _means(instance)
        return row

    def _cost_arrays(self, instance: JobShopInstance) -> dict[str, np.ndarray]:
        """What the objective is made of, and due dates; empty where no instance has any."""
        jobs, operation_due = instance.jobs if self.costs else 0, np.full(instance.duration.shape, DISTANT)
        if instance.due is not None:
            operation_due = _operation_due(instance)
        return dict(job_costs=job_kinds(instance)[:jobs], operation_due=operation_due[:jobs])

    def _pad(self, name: str, array: np.ndarray) -> np.ndarray:
        shape = self.bank_shapes[name]
        padded = np.full([self.sizes[axis] for axis in shape], -1 if name in ("machine", "window") else 0, np.int32)
        padded[tuple(slice(0, length) for length in array.shape)] = array
        return padded

    def schedule(self, instance: JobShopInstance, row: dict[str, np.ndarray]) -> Schedule:
        """The operations committed so far, from ``start`` (jobs, route) and ``next_operation`` (jobs,)."""
        route = np.arange(instance.duration.shape[1])
        job, step = np.nonzero(route < row["next_operation"][: instance.jobs, None])
        start = row["start"][job, step]
        end = start + instance.duration[job, step]
        return Schedule(
            instance, np.stack([job, step, instance.machine[job, step], start, end], axis=1).astype(np.int64)
        )


def job_kinds(instance: JobShopInstance) -> np.ndarray:
    """Due date, weight and what time and tardiness cost of each job, (jobs, COST_KINDS) int64."""
    costs, due = costs_of(instance), np.full(instance.jobs, DISTANT) if instance.due is None else instance.due
    return np.stack([due, instance.weight, costs.flow, costs.tardy, costs.late], axis=1)


def _one_objective(instances: list[JobShopInstance]) -> str:
    """The objective that all instances have."""
    found = list(dict.fromkeys(instance.objective for instance in instances))
    if len(found) > 1:
        raise OptionError(f"instances of different objectives cannot share an environment: {', '.join(found)}")
    return found[0]


def _means(instance: JobShopInstance) -> np.ndarray:
    """Mean processing time, 1 / mean price of time, 1 / mean cost of being late at all, or 0; (3,) float32."""
    costs = costs_of(instance)
    price, stake = costs.makespan + costs.lateness + (costs.flow + costs.tardy).mean(), costs.late.mean()
    mean = max(instance.total_work / int(instance.operations.sum()), 1.0)
    return np.array([mean, 1 / price if price else 0.0, 1 / stake if stake else 0.0], np.float32)


def _operation_due(instance: JobShopInstance) -> np.ndarray:
    """Due date of each operation, (jobs, route): the job's time until its due date, shared out by work (Kanet and Hayya
    1982).
    """
    done = np.cumsum(instance.duration, axis=1, dtype=np.int64)
    allowed = instance.due.astype(np.int64) - instance.release
    return instance.release[:, None] + allowed[:, None] * done // np.maximum(done[:, -1:], 1)


def _count(instance: JobShopInstance) -> np.ndarray:
    """Operations on each machine, (machines,)."""
    return np.bincount(instance.machine[instance.machine >= 0], minlength=instance.machines)


def _visits_once(instance: JobShopInstance) -> bool:
    """Whether no job visits a machine again."""
    key = instance.machine + np.arange(instance.jobs)[:, None] * instance.machines
    key = key[instance.machine >= 0]
    return len(np.unique(key)) == len(key)
