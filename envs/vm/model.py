"""VM rescheduling as the core sees it: options, padded sizes, the bank, and schedules read off the state."""

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.schedule import Schedule
from ..core.sizes import rounded
from . import observe, observe_vms, observe_wide, simulator, simulator_state, tables
from .instance import VMInstance
from .options import MOVES, Options
from .simulator_sinks import RANKS
from .simulator_state import KEYS, LEVELS, PARTS, SLOT

TASKS = ("reschedule", "dynamic", "pack")  # in the order of the simulator's constants
MOST_CLASSES = 256  # of VMs that are told apart, and of places; what is beyond is not offered
BANK_SHAPES = {field.name: field.shape[1:] for field in simulator_state.FIELDS if field.shape[:1] == ("bank",)}
DTYPES = {field.name: field.dtype for field in simulator_state.FIELDS}


def _program(name: str, observe_function) -> Program:
    return Program(
        name=f"vm_{name}",
        fields=simulator_state.FIELDS,
        state=simulator_state.Struct,
        reset=simulator.reset,
        step=simulator.step,
        observe=observe_function,
    )


PROGRAMS = {"classes": _program("classes", observe.observe), "vms": _program("vms", observe_vms.observe)}


def task_of(instance: VMInstance) -> str:
    """What an instance asks for."""
    return "pack" if instance.pack else ("dynamic" if instance.dynamic else "reschedule")


class Model:
    """VM instances of at most the given sizes, padded to them.

    Args:
        instances: what must fit; the sizes are their maxima. All ask for the same: to be rescheduled, packed, or both
            as time runs.
        options: what counts, and what an action is.

    Raises:
        OptionError: if the options do not go with the instances.
    """

    columns = (
        "vm", "node", "source", "cores", "gain", "source_gain", "room", "length", "megabytes", "harm", "waste",
        "importance",
        "kind",
    )  # fmt: skip
    outcome = {
        "objective": "objective", "migrations": "migrations", "stale_moves": "stale_moves", "rejected": "rejected",
        "decisions": "steps",
    }  # fmt: skip
    objective = "objective"
    schedule_fields = ("log_vm", "log_node", "log_start", "log_end", "log_count")

    def __init__(self, instances: list[VMInstance], options: Options | None = None):
        self.options = options or Options()
        kinds = sorted({task_of(instance) for instance in instances})
        if len(kinds) > 1:
            raise OptionError(f"instances to {' and to '.join(kinds)} cannot be played together")
        self.task = kinds[0]
        self.repeatable = self.task != "dynamic"
        self.clock = "now" if self.task == "dynamic" else None
        if self.task == "pack" and self.options.moves == "macro":
            raise OptionError("macros complete free slots; to pack, use moves class or vm")
        self._measure(instances)
        self.program = PROGRAMS["vms" if self.options.moves == "vm" else "classes"]
        self.spec = self._spec()
        self.sizes = self._sizes()
        self.settings = self._settings()

    def _measure(self, instances: list[VMInstance]) -> None:
        """The padded sizes."""
        self.hosts = max(instance.hosts for instance in instances)
        self.vms = max(instance.vms for instance in instances)
        self.flavors = max(len(tables.flavors(instance)[1]) for instance in instances)
        self.levels = max(tables.levels(instance)[1] for instance in instances)
        self.events = max(len(tables.events(instance)[0]) for instance in instances)
        self.conflicts = 0
        if self.options.constraints:
            self.conflicts = max(len(tables.conflicts(instance)[1]) for instance in instances)
        unplaced = max(int((instance.node < 0).sum()) for instance in instances) if self.task == "pack" else 0
        mnl = self.options.mnl
        self.entries = max(1, mnl + (unplaced + mnl if self.task == "pack" else 0))
        self.horizon = self.entries + 1 + (self.events if self.task == "dynamic" else 0)
        self.decisions = max(1, self.entries)
        if self.options.moves == "macro":
            self.decisions = max(1, self.entries * 2 // 5)
        if self.options.moves == "vm":
            self.horizon, self.decisions = 2 * self.horizon, 2 * self.decisions

    @staticmethod
    def size_key(instance: VMInstance) -> tuple:
        """Instances with equal keys share one simulation with little padding."""
        return task_of(instance), rounded(instance.hosts), rounded(instance.vms), tables.levels(instance)[1]

    @property
    def actions(self) -> int:
        """Candidates of a decision at most, stopping included."""
        if self.options.moves == "vm":
            return self.vms + 2 * self.hosts + 2
        if self.options.moves == "macro":
            return self.options.choice + 1
        return min(self.options.choice, self.vms * (2 * self.hosts + 1)) + 1

    def _spec(self) -> GraphSpec:
        shared = dict(actions=self.actions, context=observe.CONTEXT, candidate=observe.CANDIDATE)
        if self.options.weight_64 and self.options.moves != "vm":
            shared["context"] += observe_wide.WIDE_CONTEXT
            shared["candidate"] += observe_wide.WIDE_CANDIDATE
        if self.options.moves == "vm":
            return GraphSpec(
                works=self.vms, resources=2 * self.hosts, edges=2 * self.vms, work=observe_vms.VM_NODE,
                resource=observe_vms.NUMA_NODE, assignment=observe_vms.ON, **shared,
            )  # fmt: skip
        classes = min(self.vms, MOST_CLASSES)
        return GraphSpec(
            works=classes, resources=min(3 * self.hosts, MOST_CLASSES), edges=classes, work=observe.CLASS_OF_VMS,
            resource=observe.CLASS_OF_PLACES, assignment=observe.WHEREABOUTS, **shared,
        )  # fmt: skip

    def _sizes(self) -> dict[str, int]:
        spec, options = self.spec, self.options
        classes, macros = options.moves != "vm", options.moves == "macro"
        nodes = 2 * self.hosts
        return {
            "node": nodes, "host": self.hosts, "vm": self.vms, "vm_offset": self.vms + 1, "flavor": self.flavors,
            "flavor_offset": self.flavors + 1,
            "level": self.levels, "conflict": self.conflicts, "event": self.events, "size": int(SLOT),
            "entry": self.entries, "action": self.actions,
            "key": KEYS if classes else 0, "place": min(3 * self.hosts, MOST_CLASSES) if classes else 0,
            "source": min(self.vms, MOST_CLASSES) if classes else 0,
            "level_of_room": int(LEVELS) + 3 if macros else 0, "list_node": nodes if macros else 0,
            "rank": RANKS if macros else 0,
            "chosen_vm": 0 if classes else self.vms, "chosen_node": 0 if classes else nodes,
            "part": int(PARTS) if macros else 0, "hash": 6 * self.actions + 64 if macros else 0,
            "work": spec.works, "resource": spec.resources, "edge": spec.edges, "arc": spec.precedences,
            "work_feature": len(spec.work), "resource_feature": len(spec.resource),
            "context_feature": len(spec.context), "edge_feature": len(spec.assignment),
            "candidate_feature": len(spec.candidate),
        }  # fmt: skip

    def _settings(self) -> dict[str, int]:
        options = self.options
        return {
            "task": TASKS.index(self.task),
            "moves": MOVES.index(options.moves),
            "mnl": options.mnl,
            "weight_16": 100 - options.weight_64 - options.weight_memory,
            "weight_64": options.weight_64,
            "weight_memory": options.weight_memory,
            "cost": round(options.migration_cost * 1e9),
            "constraints": int(options.constraints),
            "latency": options.latency,
            "copy_rate": options.copy_rate,
            "forced_moves": int(options.forced_moves),
        }

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank arrays of some instances, padded to this model's sizes.

        Raises:
            OptionError: if an instance is larger than the model, or asks for something else.
        """
        bank = {
            name: np.zeros([len(instances), *(self.sizes[axis] for axis in shape)], DTYPES[name])
            for name, shape in BANK_SHAPES.items()
        }
        for number, instance in enumerate(instances):
            if not self.fits(instance):
                most = f"{self.hosts} hosts, {self.vms} VMs, {self.flavors} flavors, {self.levels} priorities"
                raise OptionError(f"instance {instance.name} does not fit an environment to {self.task} of {most}")
            for name, array in self._row(instance).items():
                bank[name][(number, *(slice(0, length) for length in np.shape(array)))] = array
        return bank

    def fits(self, instance: VMInstance) -> bool:
        """Whether an instance asks for the same and is within the padded sizes."""
        if task_of(instance) != self.task or instance.hosts > self.hosts or instance.vms > self.vms:
            return False
        extra = int((instance.node < 0).sum()) + 2 * self.options.mnl if self.task == "pack" else 0
        return (
            extra <= self.entries
            and len(tables.flavors(instance)[1]) <= self.flavors
            and tables.levels(instance)[1] <= self.levels
            and len(tables.events(instance)[0]) <= self.events
            and (not self.options.constraints or len(tables.conflicts(instance)[1]) <= self.conflicts)
        )

    def _row(self, instance: VMInstance) -> dict[str, np.ndarray]:
        cores, memory = tables.needs(instance)
        flavor, flavor_vm = tables.flavors(instance)
        level, levels = tables.levels(instance)
        time, event = tables.events(instance)
        first, conflict = np.zeros(instance.vms + 1, int), np.zeros(0, int)
        if self.options.constraints:
            first, conflict = tables.conflicts(instance)
        skipped = self.levels - levels  # the highest priority is always the last level
        weights = [0] * self.levels
        if self.task == "pack":
            weights[skipped:] = tables.level_weights(instance, levels, self.options.mnl)
        free = not self.options.constraints
        return {
            "hosts": instance.hosts, "vms": instance.vms, "horizon": instance.horizon,
            "node_cores": instance.node_cores.reshape(-1), "node_memory": instance.node_memory.reshape(-1),
            "rack": instance.rack, "drained": instance.drained & self.options.constraints,
            "need_cores": cores, "need_memory": memory, "memory": instance.memory, "doubled": instance.numas == 2,
            "movable": instance.movable | free, "flavor": flavor, "level": level + skipped, "level_weight": weights,
            "start_node": instance.node, "flavors": len(flavor_vm), "flavor_vm": flavor_vm,
            "member_first": np.searchsorted(np.sort(flavor), np.arange(len(flavor_vm) + 1)),
            "member": np.argsort(flavor, kind="stable"),
            "conflict_first": first, "conflict": conflict, "events": len(time), "event_time": time, "event": event,
        }  # fmt: skip

    def schedule(self, instance: VMInstance, row: dict[str, np.ndarray]) -> Schedule:
        """What was done so far."""
        count = int(row["log_count"])
        vm, node, start, end = (row[name][:count] for name in ("log_vm", "log_node", "log_start", "log_end"))
        entries = np.stack([vm, np.arange(count), node, start, end], axis=1).astype(np.int64)
        world = {name: getattr(self.options, name) for name in self.options.world}
        return Schedule(instance, entries, world)
