"""The preemptive machine as the core sees it: padded sizes, the bank, and schedules of pieces read off the state."""

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.schedule import Schedule
from . import observe_preemptive, simulator_preemptive
from .instance import JobShopInstance
from .objective import costs_of, parse_objective
from .options import Options
from .simulator_preemptive_state import FIELDS, PIECE_KINDS, Struct
from .simulator_state import COST_KINDS, DISTANT

PROGRAM = Program(
    name="job_shop_preemptive",
    fields=FIELDS,
    state=Struct,
    reset=simulator_preemptive.reset,
    step=simulator_preemptive.step,
    observe=observe_preemptive.observe,
)
_BANK_SHAPES = {field.name: field.shape[1:] for field in FIELDS if field.shape[:1] == ("bank",)}
MAX_PIECES = 1_000_000
COLUMNS = (
    "next_machine", "processing_time", "operation_remaining", "remaining_work", "remaining_operations",
    "completed_work", "arrival", "earliest_start", "last_run", "quantum_left",
)  # fmt: skip
COST_COLUMNS = ("due_date", "operation_due_date", "slack", "weight")


class PreemptiveModel:
    """Single machines of at most the given sizes, padded to them.

    Args:
        instances: what must fit; the sizes are their maxima. They have one machine and one objective.
        options: the quantum, and what is known.

    Raises:
        OptionError: for instances that are not of this kind, and a quantum that is too short to keep a record.
    """

    clock = "now"
    schedule_fields = ("piece", "pieces")
    program = PROGRAM

    def __init__(self, instances: list[JobShopInstance], options: Options):
        self.options = options
        for instance in instances:
            _check(instance)
        objectives = list(dict.fromkeys(instance.objective for instance in instances))
        if len(objectives) > 1:
            raise OptionError(f"instances of different objectives cannot share an environment: {', '.join(objectives)}")
        self.objective = objectives[0]
        self.repeatable = options.known == "all" and not options.reveal
        self.costs = any(instance.due is not None or instance.weighted for instance in instances)
        self.columns = COLUMNS + COST_COLUMNS * self.costs + ("action_mask",)
        value = {self.objective: "cost"} if self.objective != "makespan" else {}
        self.outcome = {"makespan": "bound", **value, "decisions": "steps"}
        self.jobs = self.actions = max(instance.jobs for instance in instances)
        self.chain = max(instance.duration.shape[1] for instance in instances)
        self.pieces = self.horizon = max(_most_pieces(instance, options.quantum) for instance in instances)
        self.decisions = max(int(instance.operations.sum()) + instance.jobs for instance in instances)
        if self.pieces > MAX_PIECES:
            raise OptionError(
                f"quantum {options.quantum} may cut the work into {self.pieces} pieces, limit {MAX_PIECES}"
            )
        costs, more = observe_preemptive.JOB_COSTS, ()
        self.spec = GraphSpec(
            works=self.jobs, resources=1, actions=self.actions, edges=self.jobs,
            work=observe_preemptive.JOB + (costs if self.costs else more), resource=observe_preemptive.MACHINE,
            context=observe_preemptive.CONTEXT, assignment=observe_preemptive.EDGE,
            candidate=observe_preemptive.CANDIDATE, complete=True,
        )  # fmt: skip
        terms = parse_objective(self.objective)
        self.settings = {
            "quantum": options.quantum, "all_known": int(options.known == "all"), "revealed": int(options.reveal),
            "forced_moves": int(options.forced_moves), "makespan_cost": terms.get("makespan", 0),
            "lateness_cost": terms.get("max_lateness", 0), "costs": int(self.costs),
        }  # fmt: skip
        self.sizes = {
            "job": self.jobs, "operation": self.chain, "action": self.actions, "piece": self.pieces,
            "action_cost": self.actions if self.costs else 0, "piece_kind": PIECE_KINDS, "cost_kind": COST_KINDS,
            "cost_pair": 2, "work": self.jobs, "resource": 1, "edge": self.jobs, "arc": 0,
            "work_feature": len(self.spec.work), "resource_feature": len(self.spec.resource),
            "context_feature": len(self.spec.context), "edge_feature": len(self.spec.assignment),
            "candidate_feature": len(self.spec.candidate),
        }  # fmt: skip

    def fits(self, instance: JobShopInstance) -> bool:
        """Whether an instance is within the padded sizes, and is about the same objective."""
        if instance.machines != 1 or instance.limited or instance.objective != self.objective:
            return False
        if not self.costs and (instance.due is not None or instance.weighted):
            return False
        small = instance.jobs <= self.jobs and instance.duration.shape[1] <= self.chain
        return small and _most_pieces(instance, self.options.quantum) <= self.pieces

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank arrays of some instances, padded to this model's sizes.

        Raises:
            OptionError: if an instance is larger than the model.
        """
        rows = [self._row(instance) for instance in instances]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, instance: JobShopInstance) -> dict[str, np.ndarray]:
        if not self.fits(instance):
            without = "" if self.costs else ", without due dates or weights"
            raise OptionError(
                f"instance {instance.name} ({instance.jobs} jobs of up to {instance.duration.shape[1]} operations, "
                f"{instance.objective}) does not fit one machine made for {self.jobs} jobs of up to {self.chain}, "
                f"{self.pieces} pieces, {self.objective}{without}"
            )
        costs = costs_of(instance)
        due = np.full(instance.jobs, DISTANT) if instance.due is None else instance.due
        kinds = np.stack([due, instance.weight, costs.flow, costs.tardy, costs.late], axis=1)
        arrays = dict(
            jobs=instance.jobs, operations=instance.operations, duration=instance.duration, release=instance.release,
            job_costs=kinds, worst_makespan=instance.latest_end,
        )  # fmt: skip
        row = {}
        for name, array in arrays.items():
            array = np.asarray(array, np.int32)
            padded = np.zeros([self.sizes[axis] for axis in _BANK_SHAPES[name]], np.int32)
            padded[tuple(slice(0, length) for length in array.shape)] = array
            row[name] = padded
        row["cost_scale"] = np.asarray([instance.scale, instance.worst_cost], np.int64)
        return row

    def schedule(self, instance: JobShopInstance, row: dict[str, np.ndarray]) -> Schedule:
        """The pieces so far, from ``piece`` (pieces, 4) and ``pieces``."""
        job, step, start, end = row["piece"][: int(row["pieces"])].T
        return Schedule(
            instance, np.stack([job, step, np.zeros_like(job), start, end], axis=1).astype(np.int64),
            {"preemptive": True},
        )  # fmt: skip


def _check(instance: JobShopInstance) -> None:
    """Refuse what the program does not know."""
    if instance.machines != 1:
        raise OptionError(f"preemptive is for one machine; {instance.name} has {instance.machines}")
    if instance.limited:
        raise OptionError(f"preemptive knows no setup times or windows, which {instance.name} has")


def _most_pieces(instance: JobShopInstance, quantum: int) -> int:
    """How often a job may be picked at most: until an operation ends, a job is released or a quantum is over."""
    cuts = instance.total_work // quantum if quantum else 0
    return int(instance.operations.sum()) + instance.jobs + cuts
