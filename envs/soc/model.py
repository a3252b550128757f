"""The SoC as the core sees it: options, padded sizes, the bank, and schedules read off the state."""

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.noise import ONE, QUANTILES, table
from ..core.schedule import Schedule
from ..core.sizes import rounded
from . import observe, observe_tasks, simulator, simulator_state
from .conditions import Conditions
from .instance import SoCInstance
from .options import BINDINGS, PLANNERS, PRIORITIES, Options
from .tables import FAR, is_uniform, longest_chain, tables


def _program(name: str, observe_function) -> Program:
    return Program(
        name=f"soc_{name}",
        fields=simulator_state.FIELDS,
        state=simulator_state.Struct,
        reset=simulator.reset,
        step=simulator.step,
        observe=observe_function,
    )


PROGRAMS = {"ready": _program("ready", observe.observe), "tasks": _program("tasks", observe_tasks.observe)}
_BANK_SHAPES = {field.name: field.shape[1:] for field in simulator_state.FIELDS if field.shape[:1] == ("bank",)}


class Model:
    """SoC instances of at most the given sizes, padded to them.

    Args:
        instances: what must fit; the sizes are their maxima.
        options: how decisions are made, and the observation.

    Raises:
        OptionError: if the options do not go with the instances.
    """

    columns = (
        "job", "task", "element", "execution_time", "data_arrival", "earliest_start", "earliest_finish", "best_finish",
        "second_finish", "optimistic_cost", "upward_rank", "optimistic_rank", "cpop_rank", "critical_element",
        "tasks_left", "ready_order", "planned", "pilot_makespan",
    )  # fmt: skip
    outcome = {"makespan": "bound", "total_latency": "total_latency", "decisions": "steps"}
    schedule_fields = ("status", "on", "start", "finish", "transfer_start", "world", "episode")

    def __init__(self, instances: list[SoCInstance], options: Options | None = None):
        self.options = options or Options()
        static = all(instance.static for instance in instances)
        self.planning = self.repeatable = self.options.plans(static)
        self.clock = None if self.planning else "now"
        if self.planning and not static:
            stream = next(instance for instance in instances if not instance.static)
            raise OptionError(f"mode plan takes one graph at time 0, and {stream.name} is a stream; use mode online")
        if self.options.pilot != "none" and not self.planning:
            raise OptionError("pilot completes a plan: it needs graphs at time 0, not streams")
        self.objective = "makespan" if static else "total_latency"
        self._measure(instances)
        self.program = PROGRAMS[self.options.observation]
        self.spec = self._spec()
        self.sizes = self._sizes()
        self.settings = self._settings(static)

    def _measure(self, instances: list[SoCInstance]) -> None:
        """The padded sizes."""
        self.jobs = max(instance.jobs for instance in instances)
        self.graphs = max(len(instance.graphs) for instance in instances)
        self.widest = max(instance.widest for instance in instances)
        self.elements = max(instance.elements for instance in instances)
        self.links = max(len(graph.edges) for instance in instances for graph in instance.graphs)
        self.most_tasks = max(instance.tasks for instance in instances)
        cap = self.options.wip_cap
        self.in_system = min(self.jobs, cap) if cap else self.jobs
        # No more tasks of a graph can be ready side by side than there are beside its longest chain.
        breadth = [_breadth(instance) for instance in instances]
        self.ready = self.in_system * max(breadth)
        self.rows = min(self.ready, self.options.choice or self.ready)
        # Every task is bound once; online, an event may ask every element again, or take back what has not started.
        self.horizon = self.decisions = self.most_tasks
        if not self.planning:
            self.horizon = (self.most_tasks * 3 + self.jobs) * (self.ready + self.elements + 2)
            if self.options.binding in ("late", "idle"):  # and data may come to every element, each time an event
                events = self.most_tasks * (self.elements + 1) + self.jobs + 1
                self.horizon = events * (self.ready + 1)

    @staticmethod
    def size_key(instance: SoCInstance) -> tuple:
        """Instances with equal keys share one simulation with little padding."""
        return instance.static, rounded(instance.jobs), rounded(instance.widest), rounded(instance.elements)

    @property
    def actions(self) -> int:
        """Candidates of a decision at most: a row and an element, or waiting."""
        if not self.planning and self.options.binding == "pull":
            return self.rows + 1
        waits = not self.planning and self.options.binding != "push"
        return self.rows * self.elements + int(waits)

    def _spec(self) -> GraphSpec:
        shared = dict(resources=self.elements, actions=self.actions, resource=observe.ELEMENT, context=observe.CONTEXT,
                      candidate=observe.CANDIDATE, complete=True)  # fmt: skip
        if self.options.observation == "ready":
            return GraphSpec(
                works=self.rows, edges=self.rows * self.elements, work=observe.READY_TASK, assignment=observe.PAIR,
                **shared,
            )  # fmt: skip
        nodes = self.jobs * self.widest
        return GraphSpec(
            works=nodes, edges=nodes * self.elements, work=observe_tasks.TASK, assignment=observe_tasks.EXECUTION,
            precedences=self.jobs * self.links, precedence=observe_tasks.EDGE, **shared,
        )  # fmt: skip

    def _sizes(self) -> dict[str, int]:
        spec, options, nodes = self.spec, self.options, self.jobs * self.widest
        plans = options.pilot != "none" or options.planner != "none"
        lasting = options.planner != "none" and not options.replan
        return {
            "job": self.jobs, "graph": self.graphs, "task": self.widest, "element": self.elements,
            "element_to": self.elements, "link": self.links, "offset": self.widest + 1, "node": nodes,
            "place": self.ready, "row": self.rows, "action": self.actions,
            "span": self.widest if self.planning else 0,
            "plan": (nodes if lasting else self.in_system * self.widest + 1) if plans else 0,
            "plan_node": nodes if plans else 0,
            "quantile": QUANTILES if options.noise != "none" else 0,
            "work": spec.works, "resource": spec.resources, "edge": spec.edges, "arc": spec.precedences,
            "work_feature": len(spec.work), "resource_feature": len(spec.resource),
            "context_feature": len(spec.context), "edge_feature": len(spec.assignment),
            "candidate_feature": len(spec.candidate), "arc_feature": len(spec.precedence),
        }  # fmt: skip

    def _settings(self, static: bool) -> dict[str, int]:
        options = self.options
        priority = options.priority if options.priority != "auto" else ("rank" if static else "srpt")
        return {
            "planning": int(self.planning),
            "binding": BINDINGS.index(options.binding),
            "insertion": int(options.insertion),
            "noise": {"none": 0, "readys": 2}.get(options.noise, 1),
            "priority": PRIORITIES.index(priority),
            "wip_cap": options.wip_cap,
            "round_up": int(options.rounding == "up"),
            "bus": int(options.shared_bus),
            "planner": PLANNERS.index(options.planner),
            "replan": int(options.replan),
            "pilot": {"none": 0, "rank-oct": 3, "both": 2}[options.pilot],
            "forced_moves": int(options.forced_moves),
        }

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank arrays of some instances, padded to this model's sizes, and the quantiles of the noise.

        Raises:
            OptionError: if an instance is larger than the model.
        """
        bank = {
            name: np.full([len(instances), *(self.sizes[axis] for axis in shape)], _padding(name), _dtype(name))
            for name, shape in _BANK_SHAPES.items()
        }
        for number, instance in enumerate(instances):
            if not self.fits(instance):
                words = "jobs, graphs, tasks, elements, edges"
                most = (self.jobs, self.graphs, self.widest, self.elements, self.links)
                size = _size(instance)
                raise OptionError(f"instance {instance.name} ({words}: {size}) does not fit one made for {most}")
            for name, array in self._row(instance).items():
                bank[name][(number, *(slice(0, length) for length in np.shape(array)))] = array
        if self.options.noise != "none":
            bank["quantile"] = table(self.options.noise, self.options.sigma).copy()
        return bank

    def fits(self, instance: SoCInstance) -> bool:
        """Whether an instance is within the padded sizes, and a plan if that is what is made."""
        most = (self.jobs, self.graphs, self.widest, self.elements, self.links)
        fits = all(a <= b for a, b in zip(_size(instance), most, strict=True))
        fits = fits and self.in_system * _breadth(instance) <= self.ready
        return fits and (self.objective != "makespan" or instance.static)

    def _row(self, instance: SoCInstance) -> dict[str, np.ndarray]:
        made = tables(instance, self.options.rounding)
        first = int((instance.arrival_time < instance.warmup).sum())
        shortest = made.shortest[instance.arrival_graph]
        bound = shortest.max() if self.planning else shortest[first:].sum()
        if not self.planning and self.options.noise != "none":
            bound = max(bound, 1)  # a scale, not a bound: tasks may be faster than estimated
        return made.arrays | {
            "elements": instance.elements,
            "jobs": instance.jobs,
            "first_measured": first,
            "widest": instance.widest,
            "arrival_time": instance.arrival_time,
            "arrival_graph": instance.arrival_graph,
            "all_tasks": instance.tasks,
            "tasks": [graph.tasks for graph in instance.graphs],
            "speed_order": np.argsort(made.slowdown, kind="stable"),
            "latency": instance.latency,
            "bandwidth": instance.bandwidth,
            "accelerator": [kind != "cpu" for kind in instance.kinds],
            "uniform": is_uniform(instance),
            "initial_bound": bound,
            "worst_makespan": self._worst(instance),
            "mean_duration": made.mean_duration,
            "slowdown": made.slowdown,
        }

    def _worst(self, instance: SoCInstance) -> int:
        """No schedule is longer: everything one after the other where it is slowest, under the worst of the noise.

        Raises:
            OptionError: if that is later than the simulator can count.
        """
        options, last = self.options, int(instance.arrival_time[-1])
        work = instance.longest_makespan - last
        if options.noise != "none":
            highest = int(table(options.noise, options.sigma)[-1])
            if options.noise == "readys":  # an offset on every task; a factor rounds every task up, by less than one
                work += instance.tasks * max(highest, 1)
            else:
                work = work * max(highest, ONE) // ONE + instance.tasks
        worst = last + work
        if worst >= FAR:
            noise = f"{options.noise} noise of sigma {options.sigma:g}"
            raise OptionError(f"under {noise} {instance.name} could last {worst} us, limit {FAR - 1}")
        return worst

    def schedule(self, instance: SoCInstance, row: dict[str, np.ndarray]) -> Schedule:
        """The tasks committed or started so far, and with a shared bus the transfers."""
        jobs, widest = instance.jobs, instance.widest
        status, on, start, finish = (
            row[name].reshape(self.jobs, self.widest)[:jobs, :widest] for name in ("status", "on", "start", "finish")
        )
        job, task = np.nonzero(status >= simulator_state.RUNNING)
        entries = [np.stack([job, task, on[job, task], start[job, task], finish[job, task]], axis=1)]
        if self.options.shared_bus:
            entries.append(self._transfers(instance, row["transfer_start"], status, on))
        return Schedule(instance, np.concatenate(entries).astype(np.int64), self._conditions(row))

    def _transfers(self, instance, begin, status, on) -> np.ndarray:
        """Rows of the bus: one for each edge that took it."""
        rows = []
        for j, g in enumerate(instance.arrival_graph.tolist()):
            graph, times = instance.graphs[g], instance.transfer_time(g, self.options.rounding)
            source, target = graph.edges[:, 0], graph.edges[:, 1]
            took = (status[j, target] >= simulator_state.QUEUED) & (begin[j, : len(source)] >= 0)
            e = np.flatnonzero(took)
            length = times[e, on[j, source[e]], on[j, target[e]]]
            first = begin[j, e]
            lane = np.full(len(e), instance.elements)
            rows.append(np.stack([np.full(len(e), j), instance.widest + e, lane, first, first + length], axis=1))
        return np.concatenate(rows)

    def _conditions(self, row: dict[str, np.ndarray]) -> dict[str, object]:
        options = self.options
        return Conditions(
            noise=options.noise, sigma=options.sigma, seed=int(row["seed"]), world=int(row["world"]),
            episode=int(row["episode"]), rounding=options.rounding, shared_bus=options.shared_bus,
            wip_cap=0 if self.planning else options.wip_cap,
        ).as_dict()  # fmt: skip


def _size(instance: SoCInstance) -> tuple[int, ...]:
    """Jobs, graphs, tasks, elements and edges."""
    links = max(len(graph.edges) for graph in instance.graphs)
    return instance.jobs, len(instance.graphs), instance.widest, instance.elements, links


def _breadth(instance: SoCInstance) -> int:
    """No more tasks of one of its graphs can be ready at a time."""
    return max(graph.tasks - longest_chain(graph) + 1 for graph in instance.graphs)


def _padding(name: str) -> int:
    return {"execution": -1, "critical": -1, "bandwidth": 1}.get(name, 0)


def _dtype(name: str) -> str:
    return {field.name: field.dtype for field in simulator_state.FIELDS}[name]
