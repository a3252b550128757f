"""The live job shop as the core sees it: what its model adds to, and changes of, that of the classic one."""

import math

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.noise import ONE, QUANTILES, exponential_table, table
from ..core.schedule import Schedule
from . import observe_costs, observe_live, observe_wait, simulator_live, simulator_live_state
from . import observe_live_features as features
from .conditions import BUFFERS, Conditions
from .instance import JobShopInstance
from .model import Model, job_kinds
from .objective import cost
from .simulator_live_state import BITS, STATES
from .simulator_state import COST_KINDS, LEAST_TAIL, MACHINE_KINDS, MEAN_KINDS, SURVEY_KINDS
from .world import actual_times, mean_processing_time, shutdowns

PROGRAM = Program(
    name="job_shop_live",
    fields=simulator_live_state.FIELDS,
    state=simulator_live_state.Struct,
    reset=simulator_live.reset,
    step=simulator_live.step,
    observe=observe_live.observe,
)
MOST_TRIES = 4  # an operation that begins anew may take so many times the mean time between shutdowns
LATEST = 2**30  # nothing ends as late as this
MOST_MEAN = 2**33  # of shutdowns, so that no product with a quantile is too large
MOST_COST = 2**62


class LiveModel(Model):
    """Job shops in which time passes, of at most the given sizes.

    Args:
        instances: what must fit; the sizes are their maxima. They have one objective.
        options: the world, the construction, and forced moves.

    Raises:
        OptionError: if the objectives of the instances differ, or nothing could be completed in this world.
    """

    clock = "time"
    schedule_fields = ("start", "next_operation", "world", "episode")
    bank_shapes = {f.name: f.shape[1:] for f in simulator_live_state.FIELDS if f.shape[:1] == ("bank",)}

    def _finish(self, instances: list[JobShopInstance]) -> None:
        """Sizes, settings and program; see Model."""
        options = self.options
        if self.limits.setups or self.limits.calendars:
            raise OptionError("a live shop knows no setup times and no windows: leave the live options out")
        for instance in instances:
            mean = mean_processing_time(instance) * max(options.uptime, options.repair) // 100
            if mean > MOST_MEAN:
                raise OptionError(f"{instance.name}: a mean time between or of shutdowns of {mean} is over {MOST_MEAN}")
        self.repeatable = options.noise == "none" and options.uptime == 0 and not options.reveal
        self.outcome = self.outcome | {"deadlock": "deadlock"}
        self.actions = self.jobs + self.machines * (options.buffers == "swap") + options.waits
        self.decisions = max(int(instance.operations.sum()) for instance in instances)
        self.horizon = max(int(instance.operations.sum()) + self._most_waits(instance) for instance in instances)
        self.program = PROGRAM

    def _most_waits(self, instance: JobShopInstance) -> int:
        """Every wait ends with an operation or a release, or, where there are shutdowns, with one of these."""
        waits = int(instance.operations.sum()) + instance.jobs
        return waits * (1 + (self.options.uptime > 0)) * self.options.waits

    def _spec(self) -> GraphSpec:
        costs, options = self.costs, self.options
        return GraphSpec(
            works=self.jobs, resources=self.machines, actions=self.actions, complete=self.complete,
            edges=self.jobs * (self.machines if self.complete else self.route),
            work=features.JOB + observe_costs.JOB_COSTS * costs, resource=features.MACHINE,
            assignment=features.OPERATION_EDGE,
            context=features.CONTEXT + observe_costs.CONTEXT_COSTS * costs,
            candidate=features.CANDIDATE + observe_costs.CANDIDATE_COSTS * costs
            + observe_wait.WAITING * options.waits,
        )  # fmt: skip

    def _sizes(self) -> dict[str, int]:
        spec = self.spec
        return {
            "job": self.jobs, "operation": self.route, "machine": self.machines, "action": self.actions,
            "job_cost": self.jobs if self.costs else 0, "action_cost": self.actions if self.costs else 0,
            "cost_pair": 2, "cost_kind": COST_KINDS, "mean_kind": MEAN_KINDS,
            "machine_kind": MACHINE_KINDS, "survey_kind": SURVEY_KINDS,
            "state": STATES if self.options.buffers == "none" else 0,
            "ahead": self.route if self.options.buffers == "none" else 0,
            "quantile": QUANTILES if self.options.noise != "none" else 0,
            "exponential": QUANTILES if self.options.uptime > 0 else 0,
            "work": spec.works, "resource": spec.resources, "edge": spec.edges, "arc": spec.precedences,
            "work_feature": len(spec.work), "resource_feature": len(spec.resource),
            "context_feature": len(spec.context), "edge_feature": len(spec.assignment),
            "candidate_feature": len(spec.candidate),
        }  # fmt: skip

    def _settings(self, terms: dict[str, int]) -> dict[str, int]:
        options = self.options
        return {
            "forced_moves": int(options.forced_moves),
            "waits": int(options.waits),
            "focused": int(options.buffers == "unlimited" and not options.waits),
            "buffers": BUFFERS.index(options.buffers),
            "safety": int(options.safety),
            "restart": int(options.interrupted == "restart"),
            "noise": int(options.noise != "none"),
            "shutdowns": int(options.uptime > 0),
            "reveal": int(options.reveal),
            "costs": int(self.costs),
            "makespan_cost": terms.get("makespan", 0),
            "lateness_cost": terms.get("max_lateness", 0),
        }

    def pack(self, instances) -> dict[str, np.ndarray]:
        """See Model.pack; and the quantiles of what is drawn."""
        bank = super().pack(instances)
        if self.options.noise != "none":
            bank["quantile"] = table(self.options.noise, self.options.sigma).copy()
        if self.options.uptime > 0:
            bank["exponential"] = exponential_table().copy()
        return bank

    def _row(self, instance: JobShopInstance) -> dict[str, np.ndarray]:
        row, hidden = super()._row(instance), self.options.reveal
        worst = self._worst(instance)
        worst_cost = cost(instance, np.full(instance.jobs, worst))
        if worst_cost >= MOST_COST:
            raise OptionError(f"the objective of {instance.name} may reach {worst_cost} in this world")
        unit, options = mean_processing_time(instance), self.options
        if hidden:
            row["of_machine"][:, LEAST_TAIL] = 0
        if options.buffers == "none":
            row["ahead"] = self._ahead(instance)
        return row | {
            "widest": np.int32(instance.duration.shape[1]),
            "mean_time": np.array([unit * options.uptime, unit * options.repair], np.int64),
            "most_waits": np.int32(self._most_waits(instance)),
            "initial_bound": np.int32(0) if hidden else row["initial_bound"],
            "worst_makespan": np.int32(worst),
            "cost_scale": np.array([instance.scale, worst_cost], np.int64),
        }

    def _ahead(self, instance: JobShopInstance) -> np.ndarray:
        """The machines of each operation and those after it, as bits, (jobs, route) int64; see the safety rule."""
        bits = np.where(instance.machine >= 0, 1 << (instance.machine.astype(np.int64) % BITS), 0)
        ahead = np.zeros((self.jobs, self.route), np.int64)
        ahead[: bits.shape[0], : bits.shape[1]] = np.bitwise_or.accumulate(bits[:, ::-1], axis=1)[:, ::-1]
        return ahead

    def _cost_arrays(self, instance: JobShopInstance) -> dict[str, np.ndarray]:
        """See Model; here every objective is a sum over jobs and the makespan."""
        return super()._cost_arrays(instance) | {"job_costs": job_kinds(instance)}

    def _worst(self, instance: JobShopInstance) -> int:
        """What counts as the makespan of a failed episode: all work one after the other under the worst of the noise.

        With shutdowns there is no latest end. Then it is the time all this takes on average, twice.

        Raises:
            OptionError: if an operation could hardly ever be completed, or times are larger than can be counted.
        """
        options, work, longest = self.options, instance.total_work, int(instance.duration.max())
        if options.noise != "none":
            highest = max(int(table(options.noise, options.sigma)[-1]), ONE)
            # each is rounded up by less than one
            work, longest = work * highest // ONE + int(instance.operations.sum()), longest * highest // ONE + 1
        if options.uptime > 0:
            unit = mean_processing_time(instance)
            up, ratio = unit * options.uptime / 100, options.repair / options.uptime
            tries = 1.0
            if options.interrupted == "restart" and longest > MOST_TRIES * up:
                raise OptionError(
                    f"an operation of {instance.name} may last {longest}, and begins anew after {up:g} on average: "
                    f"it could hardly ever be completed; give a larger uptime, or interrupted resume"
                )
            if options.interrupted == "restart":
                tries = math.expm1(longest / up) / (longest / up) if longest else 1.0
            work = math.ceil(2 * work * tries * (1 + ratio) + 2 * unit * options.repair / 100)
        worst = int(instance.release.max()) + work
        if worst >= LATEST // 2:
            raise OptionError(f"{instance.name} could last {worst} in this world, limit {LATEST // 2 - 1}")
        return max(worst, 1)

    def schedule(self, instance: JobShopInstance, row: dict[str, np.ndarray]) -> Schedule:
        """The operations that have started, a row for each piece; ``next_operation`` counts them."""
        options = self.options
        key = {name: int(row[name]) for name in ("seed", "world", "episode")}
        actual = actual_times(instance, options.noise, options.sigma, **key)
        route = np.arange(instance.duration.shape[1])
        job, step = np.nonzero(route < row["next_operation"][: instance.jobs, None])
        machine, start = instance.machine[job, step], row["start"][job, step]
        columns = np.stack([job, step, machine, start, start + actual[job, step]], axis=1).astype(np.int64)
        if options.uptime > 0:
            columns = self._pieces(instance, columns, key)
        return Schedule(instance, columns, self._conditions(key))

    def _pieces(self, instance: JobShopInstance, columns: np.ndarray, key: dict[str, int]) -> np.ndarray:
        """What is left of these rows, and of the time after them, when machines shut down."""
        options = self.options
        machines = shutdowns(instance, options.uptime, options.repair, key)
        rows = [
            (job, step, machine, *piece)
            for job, step, machine, start, end in columns.tolist()
            for piece in machines[machine].pieces(start, end - start, options.interrupted == "restart")
        ]
        return np.array(rows, np.int64).reshape(-1, columns.shape[1])

    def _conditions(self, key: dict[str, int]) -> dict[str, object]:
        names = ("buffers", "uptime", "repair", "interrupted", "noise", "sigma")
        return Conditions(**{name: getattr(self.options, name) for name in names}, **key).as_dict()
