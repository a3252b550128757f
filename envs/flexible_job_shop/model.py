"""The flexible job shop as the core sees it: options, padded sizes, the bank, and schedules read off the state."""

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.schedule import Schedule
from ..core.sizes import rounded
from . import observe, observe_candidates, simulator
from .instance import FlexibleJobShopInstance
from .options import Options
from .simulator_state import AHEAD_KINDS, BOUND_KINDS, FIELDS, Struct

PROGRAM = Program(
    name="flexible_job_shop",
    fields=FIELDS,
    state=Struct,
    reset=simulator.reset,
    step=simulator.step,
    observe=observe_candidates.observe,
)

PROGRAMS = {"pairs": PROGRAM}

COLUMNS = (
    "next_machine",
    "processing_time",
    "shortest_time",
    "alternatives",
    "remaining_work",
    "least_work",
    "remaining_operations",
    "arrival",
    "free",
    "earliest_start",
    "earliest_finish",
)


class Model:
    """Flexible job shops of at most the given sizes, padded to them.

    Args:
        instances: what must fit; jobs and machines are their maxima, routes are rounded up.
        options: the construction and forced moves.
    """

    program = PROGRAM
    columns = COLUMNS
    objective = "makespan"
    outcome = {"makespan": "bound", "decisions": "steps"}
    repeatable = True
    clock = None
    schedule_fields = ("start", "ran_on", "next_operation")

    def __init__(self, instances: list[FlexibleJobShopInstance], options: Options | None = None):
        self.options = options or Options()
        self.jobs = max(instance.jobs for instance in instances)
        self.machines = max(instance.machines for instance in instances)
        self.route = rounded(max(instance.route for instance in instances))
        self.actions = self.jobs * self.machines + self.options.waits
        self.horizon = self.jobs * self.route
        self.decisions = max(int(instance.operations.sum()) for instance in instances)
        if self.options.waits:  # each time for longer, until an operation ends or a job is released
            self.horizon += self.horizon + self.jobs
        waiting = observe.WAITING * self.options.waits
        self.spec = GraphSpec(
            works=self.jobs, resources=self.machines, actions=self.actions, edges=self.jobs * self.machines,
            work=observe.JOB, resource=observe.MACHINE, context=observe.CONTEXT, assignment=observe.PAIR_EDGE,
            candidate=observe.CANDIDATE + waiting, complete=True,
        )  # fmt: skip
        self.sizes = self._sizes()
        self.settings = {
            "delta": round(self.options.delta * 1_000_000),
            "waits": int(self.options.waits),
            "forced_moves": int(self.options.forced_moves),
        }

    @staticmethod
    def size_key(instance: FlexibleJobShopInstance) -> tuple:
        """Instances with equal keys share one simulation; what they show does not depend on how long routes may be."""
        return instance.jobs, instance.machines, rounded(instance.route)

    def _sizes(self) -> dict[str, int]:
        spec = self.spec
        return {
            "job": self.jobs, "operation": self.route, "machine": self.machines, "action": self.actions,
            "ahead_kind": AHEAD_KINDS, "bound_kind": BOUND_KINDS,
            "work": spec.works, "resource": spec.resources, "edge": spec.edges,
            "work_feature": len(spec.work), "resource_feature": len(spec.resource),
            "context_feature": len(spec.context), "edge_feature": len(spec.assignment),
            "candidate_feature": len(spec.candidate),
        }  # fmt: skip

    def fits(self, instance: FlexibleJobShopInstance) -> bool:
        """Whether an instance is within the padded sizes."""
        return instance.jobs <= self.jobs and instance.machines <= self.machines and instance.route <= self.route

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank arrays of some instances, padded to this model's sizes.

        Raises:
            OptionError: if an instance is larger than the model.
        """
        rows = [self._row(instance) for instance in instances]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, instance: FlexibleJobShopInstance) -> dict[str, np.ndarray]:
        if not self.fits(instance):
            raise OptionError(
                f"instance {instance.name} ({instance.jobs} jobs, {instance.machines} machines, routes of up to "
                f"{instance.route}) does not fit one made for {self.jobs} jobs, {self.machines} machines, routes of up "
                f"to {self.route}"
            )
        load, number, least_tail, through = _machines_alone(instance)
        work = int(instance.shortest.sum(dtype=np.int64))
        longest_job = int((instance.release + instance.shortest.sum(axis=1, dtype=np.int64)).max())
        bound = max(longest_job, through, -(-work // instance.machines))
        arrays = dict(
            operations=instance.operations, duration=instance.duration, ahead=_ahead(instance),
            release=instance.release, alone=np.stack([load, number], axis=1), least_tail=least_tail,
        )  # fmt: skip
        row = {name: self._pad(name, np.asarray(array, np.int32)) for name, array in arrays.items()}
        for name, array in zip(("later_count", "later_share"), _later(instance), strict=True):
            row[name] = self._pad(name, array)
        one = dict(
            jobs=instance.jobs, machines=instance.machines, initial_bound=bound,
            worst_makespan=int(instance.release.max()) + instance.longest_work,
        )  # fmt: skip
        row |= {name: np.asarray(value, np.int32) for name, value in one.items()}
        row["initial_energy"] = np.asarray(work, np.int64)
        row["mean_time"] = np.asarray(max(instance.mean.sum() / instance.operations.sum(), 1.0), np.float32)
        return row

    def _pad(self, name: str, array: np.ndarray) -> np.ndarray:
        shape = [self.sizes[axis] for axis in _BANK_SHAPES[name]]
        padded = np.full(shape, -1 if name == "duration" else 0, array.dtype)
        padded[tuple(slice(0, length) for length in array.shape)] = array
        return padded

    def schedule(self, instance: FlexibleJobShopInstance, row: dict[str, np.ndarray]) -> Schedule:
        """The operations committed so far, from ``start``, ``ran_on`` (jobs, route) and ``next_operation`` (jobs,)."""
        job, step = np.nonzero(np.arange(instance.route) < row["next_operation"][: instance.jobs, None])
        start, machine = row["start"][job, step], row["ran_on"][job, step]
        end = start + instance.duration[job, step, machine]
        return Schedule(instance, np.stack([job, step, machine, start, end], axis=1).astype(np.int64))


_BANK_SHAPES = {field.name: field.shape[1:] for field in FIELDS if field.shape[:1] == ("bank",)}


def _from_here(values: np.ndarray) -> np.ndarray:
    """Sums of the values of an operation and of those after it in its job, (jobs, route, ...)."""
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]


def _ahead(instance: FlexibleJobShopInstance) -> np.ndarray:
    """Of every operation the kinds of ``ahead``, (jobs, route, kinds) int32."""
    only = np.where(instance.alternatives == 1, instance.compatible.argmax(axis=2), -1)
    least = _from_here(instance.shortest.astype(np.int64))
    mean = np.rint(_from_here(instance.mean))
    return np.stack([instance.shortest, least, mean, only, instance.alternatives], axis=2).astype(np.int32)


def _later(instance: FlexibleJobShopInstance) -> np.ndarray:
    """``later_count`` and ``later_share``, (2, jobs, route, machines) float32."""
    share = np.maximum(instance.duration, 0) / np.maximum(instance.alternatives, 1)[:, :, None]
    return np.stack([_from_here(of_it) - of_it for of_it in (instance.compatible.astype(int), share)]).astype(
        np.float32
    )


def _machines_alone(instance: FlexibleJobShopInstance) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """What no other machine can run: work, number, least work after one, (machines,) each; a bound of the makespan."""
    ahead = _ahead(instance).astype(np.int64)
    shortest, least, only = ahead[..., 0], ahead[..., 1], ahead[..., 3]
    head = instance.release[:, None] + least[:, :1] - least
    load, number, tail = np.zeros((3, instance.machines), np.int64)
    bound = 0
    for machine in range(instance.machines):
        here = only == machine
        if here.any():
            load[machine], number[machine] = shortest[here].sum(), here.sum()
            tail[machine] = (least - shortest)[here].min()
            bound = max(bound, int(head[here].min() + load[machine] + tail[machine]))
    return load, number, tail, bound
