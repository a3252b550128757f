"""Time passing, side by side with a clock in plain Python that works out anew at every microsecond what can happen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.noise import actual_times
from dispatchgym.envs.soc.tables import tables

NEVER = 2**30
COLUMNS = (
    "job", "task", "element", "execution_time", "data_arrival", "earliest_start", "earliest_finish", "best_finish",
    "second_finish", "tasks_left", "ready_order",
)  # fmt: skip


class Clock:
    """One episode: what has begun, what is bound and what may be bound."""

    def __init__(self, instance, options, conditions):
        self.instance, self.options = instance, options
        self.actual = actual_times(instance, conditions)
        self.graphs = [instance.graphs[g] for g in instance.arrival_graph]
        self.transfer = [instance.transfer_time(g, options.rounding) for g in instance.arrival_graph.tolist()]
        values = [ranks.upward_rank(instance, g, options.rounding) for g in range(len(instance.graphs))]
        self.rank = [
            (-values[g], ranks.positions(graph), g)
            for g, graph in zip(instance.arrival_graph.tolist(), self.graphs, strict=True)
        ]
        self.order = np.argsort(tables(instance, options.rounding).slowdown, kind="stable").tolist()
        self.now = self.bus_free = 0
        self.place = {}  # what has begun or is done: element, start, end
        self.done, self.since, self.admission, self.declined, self.transfers = set(), {}, {}, {}, []
        self.queue = {p: [] for p in range(instance.elements)}  # (arrival of its data, task)
        self.closed, self.wanted = False, {}
        self.admit()

    # ------------------------------------------------------------------ what is

    def left(self, job: int) -> int:
        return self.graphs[job].tasks - sum(j == job for j, _ in self.done)

    def running(self, p: int):
        return next((v for v, (on, _, _) in self.place.items() if on == p and v not in self.done), None)

    def before(self, v) -> list[tuple[int, int]]:
        """Edges and sources that lead to a task."""
        edges = self.graphs[v[0]].edges.tolist()
        return [(e, source) for e, (source, target) in enumerate(edges) if target == v[1]]

    def ready(self) -> list[tuple[int, int]]:
        """Tasks that can be bound, in the order of the option priority."""
        bound = {v for line in self.queue.values() for _, v in line}
        found = [v for v in self.since if v not in self.place and v not in bound]
        kind = self.options.priority
        if kind == "auto":
            kind = "rank" if self.instance.static else "srpt"

        def key(v):
            value, position, g = self.rank[v[0]]
            by_rank = (value[v[1]], position[v[1]], g, v[0])
            return {"rank": by_rank, "srpt": (self.left(v[0]), v[0], *by_rank), "fifo": (self.since[v],)}[kind]

        return sorted(found, key=key)

    def may_admit(self) -> bool:
        inside = sum(self.left(job) > 0 for job in self.admission)
        return len(self.admission) < self.instance.jobs and inside < (self.options.wip_cap or NEVER)

    def pending(self) -> bool:
        busy = any(self.running(p) is not None or self.queue[p] for p in self.queue)
        return busy or self.may_admit()

    def arrival(self, v, p: int, book: bool = False) -> int:
        """When the data of a task can be on an element; with a bus, transfers follow each other."""
        job, free, result = v[0], self.bus_free, self.admission[v[0]]
        for e, source in self.before(v):
            on, _, end = self.place[job, source]
            length = int(self.transfer[job][e, on, p])
            if self.options.shared_bus and length:
                begin = max(free, end, self.now)
                free = end = begin + length
                if book:
                    self.transfers.append([job, self.instance.widest + e, self.instance.elements, begin, end])
                    self.bus_free = end
            else:
                end += length
            result = max(result, end)
        return result

    def free(self, p: int) -> int:
        """When an element could take another task, as far as one can tell."""
        free, v = self.now, self.running(p)
        if v is not None:
            estimate = int(self.graphs[v[0]].execution_time[v[1], p])
            free = self.place[v][1] + estimate
            if free <= self.now:
                free = self.now + max(estimate // 4, 1)
        for arrived, (job, task) in self.queue[p]:
            free = max(free, arrived) + int(self.graphs[job].execution_time[task, p])
        return free

    # ------------------------------------------------------------------ what happens

    def admit(self) -> None:
        while self.may_admit() and self.instance.arrival_time[len(self.admission)] <= self.now:
            job = len(self.admission)
            self.admission[job] = self.now
            for task in range(self.graphs[job].tasks):
                if not self.before((job, task)):
                    self.since[job, task] = len(self.since)

    def begin(self, v, p: int, start: int) -> None:
        self.place[v] = p, start, start + int(self.actual[v[0], v[1], p])

    def begin_queued(self, p: int) -> None:
        if self.running(p) is None and self.queue[p] and self.queue[p][0][0] <= self.now:
            self.begin(self.queue[p].pop(0)[1], p, self.now)

    def finish(self, p: int) -> None:
        """The task on element p is done, and others may be ready."""
        job, task = self.running(p)
        self.done.add((job, task))
        for source, target in self.graphs[job].edges.tolist():
            if source == task and all((job, other) in self.done for _, other in self.before((job, target))):
                self.since[job, target] = len(self.since)

    def happens(self, t: int) -> bool:
        """Whether anything is due at a moment."""
        for p, line in self.queue.items():
            v = self.running(p)
            if (self.place[v][2] if v is not None else line[0][0] if line else None) == t:
                return True
        return self.may_admit() and max(int(self.instance.arrival_time[len(self.admission)]), self.now) == t

    def tick(self) -> None:
        """Go to the next moment at which something happens, and let it happen."""
        while not self.happens(self.now):
            self.now += 1
        self.closed = False
        if self.options.planner != "none":
            self.declined.clear()
        for p in self.queue:
            v = self.running(p)
            if v is not None and self.place[v][2] == self.now:
                self.finish(p)
        self.admit()
        for p, line in self.queue.items():
            if self.options.binding in ("late", "idle"):
                line.clear()
            self.begin_queued(p)

    # ------------------------------------------------------------------ what may be chosen

    def row(self, v, p: int, finishes: list[int]) -> tuple[int, ...]:
        """The columns of one candidate."""
        length, arrived = int(self.graphs[v[0]].execution_time[v[1], p]), self.arrival(v, p)
        start = max(self.free(p), arrived)
        return *v, p, length, arrived, start, start + length, *finishes, self.left(v[0]), self.since[v]

    def rows(self, tasks, elements) -> list[tuple[int, ...]]:
        found = []
        for v in tasks:
            able = [p for p in self.queue if self.graphs[v[0]].execution_time[v[1], p] >= 0]
            finishes = sorted([self.row(v, p, [0, 0])[6] for p in able] + [NEVER])[:2]
            found += [self.row(v, p, finishes) for p in elements if p in able]
        return found

    def offers(self) -> list[tuple[int, ...]]:
        """Every candidate in order, waiting last; none if time is to pass.

        ``wanted`` holds what a plan has first on each element; on idle ones that comes before all others.
        """
        tasks, most, pending = self.ready(), self.options.choice or NEVER, self.pending()
        if self.options.binding != "pull" and len(tasks) > most:
            tasks.sort(key=lambda v: not any(w == v and self.running(p) is None for p, w in self.wanted.items()))
        if not tasks or (self.closed and pending):
            return []
        if self.options.binding == "pull":
            return self.pull_offers(tasks, most, pending)
        elements = list(self.queue)
        if self.options.binding == "match":
            elements = [p for p in elements if self.running(p) is None and not (pending and self.has_declined(p))]
        if self.options.binding == "idle":
            elements = [p for p in elements if self.running(p) is None and not self.queue[p]]
        found = self.rows(tasks[:most], elements)
        waits = [()] if found and pending and self.options.binding != "push" else []
        return found + waits

    def has_declined(self, p: int) -> bool:
        return self.declined.get(p) == len(self.since)

    def pull_offers(self, tasks, most, pending) -> list[tuple[int, ...]]:
        able = {
            p: [v for v in tasks if self.graphs[v[0]].execution_time[v[1], p] >= 0]
            for p in self.order
            if self.running(p) is None
        }
        able = {p: some for p, some in able.items() if some}
        asked = [p for p in able if not self.has_declined(p)]
        if not asked and not pending:
            self.declined.clear()
            asked = list(able)
        if not asked:
            return []
        self.focus = asked[0]
        able[self.focus].sort(key=lambda v: v != self.wanted.get(self.focus))
        return self.rows(able[self.focus][:most], [self.focus]) + ([()] if pending or len(asked) > 1 else [])

    def choose(self, row: tuple[int, ...]) -> None:
        """Do what a candidate says."""
        if not row:
            self.closed = self.options.binding in ("late", "idle")
            elements = [self.focus] if self.options.binding == "pull" else self.queue
            self.declined |= {p: len(self.since) for p in elements if self.running(p) is None}
            return
        v, p = row[:2], row[2]
        arrived = self.arrival(v, p, book=True)
        if self.options.binding in ("pull", "match"):
            self.begin(v, p, max(self.now, arrived))
        else:
            self.queue[p].append((arrived, v))
            self.queue[p].sort(key=lambda entry: entry[0])
            self.begin_queued(p)

    def settle(self) -> list[tuple[int, ...]]:
        """Let time pass until something is offered; nothing at the end."""
        while len(self.done) < self.instance.tasks:
            offers = self.offers()
            if offers:
                return offers
            self.tick()
        return []


def offered(simulation, place: int) -> list[tuple[int, ...]]:
    """The candidates of an environment with their columns."""
    legal = simulation.mask[place].nonzero().flatten()
    rows = torch.stack([simulation.columns[name][place, legal] for name in COLUMNS], dim=1).tolist()
    return [tuple(row) if row[0] >= 0 else () for row in rows]


def wanted(simulation, place: int) -> dict[int, tuple[int, int]]:
    """What the plan of an environment has first on each element; test_simulator_replan checks that."""
    if not simulation.model.settings["planner"]:
        return {}
    nodes = simulation.engine.tensors["plan_first"][place, : simulation.instance_of(place).elements].tolist()
    return {p: divmod(node, simulation.model.widest) for p, node in enumerate(nodes) if node >= 0}


def compare(simulation, options, rng) -> int:
    """Play episodes in every environment next to the clock; returns the number of decisions."""
    width, decisions = simulation.num_envs, 0
    simulation.reset()
    for _ in range(2):
        schedules = simulation.schedules()
        clocks = [Clock(one.instance, options, one.conditions) for one in schedules]
        while not simulation.terminated.all():
            actions = torch.zeros(width, dtype=torch.int64)
            for place, clock in enumerate(clocks):
                clock.wanted = wanted(simulation, place)
                expected = clock.settle()
                assert (simulation.terminated[place] == 1) == (not expected)
                if expected:
                    assert offered(simulation, place) == expected
                    k = int(rng.integers(len(expected)))
                    actions[place] = simulation.mask[place].nonzero()[k, 0]
                    clock.choose(expected[k])
                    decisions += 1
            simulation.step(actions)
        check_ends(simulation, clocks)
        simulation.restart()
    return decisions


def check_ends(simulation, clocks) -> None:
    """The schedules are the clocks', feasible, and worth what is reported."""
    outcome = simulation.outcome()
    for place, (clock, schedule) in enumerate(zip(clocks, simulation.schedules(), strict=True)):
        clock.settle()
        rows = [[*v, *where] for v, where in clock.place.items()] + clock.transfers
        assert sorted(schedule.entries.tolist()) == sorted(rows)
        assert schedule.violations() == []
        metrics = schedule.metrics()
        assert metrics["makespan"] == int(outcome["makespan"][place])
        assert metrics["total_latency"] == int(outcome["total_latency"][place])
        blocked = [clock.admission[job] - time for job, time in enumerate(clock.instance.arrival_time.tolist())]
        measured = clock.instance.arrival_time >= clock.instance.warmup
        assert metrics["mean_blocked"] == pytest.approx(np.array(blocked)[measured].mean())


@pytest.mark.parametrize("binding", ["pull", "match", "push", "late", "idle"])
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_episodes_are_those_of_the_clock(random_system, random_soc_options, binding, seed):
    rng = np.random.default_rng(seed)
    instances = [random_system(rng) for _ in range(3)]
    fixed = dict(mode="online", binding=binding, forced_moves=False)
    if binding in ("match", "idle"):  # of few tasks on idle elements the plan may decide whether time passes
        fixed |= [{"planner": "none"}, {"choice": 0}][rng.integers(2)]
    options = random_soc_options(rng, False, **fixed)
    simulation = Simulation(
        Model(instances, options), instances, 3, seed=int(rng.integers(99)), worlds=rng.integers(9, size=3)
    )
    assert compare(simulation, options, rng) > 0
