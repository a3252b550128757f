"""Plans of all that is left, which rules follow: the same on paper, and those of the planners at the start."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.list_scheduling import heft, peft, rank_oct
from dispatchgym.baselines.soc import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import play
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.soc import ranks, simulator_online, simulator_plan
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load_many

PLANNERS = {"heft": heft, "peft": peft, "rank-oct": rank_oct}
RUNNING, DONE = 3, 4
make_plan, find_planned = twin(simulator_online.make_plan), twin(simulator_plan.find_planned)


@pytest.mark.parametrize("insertion", [True, False])
@pytest.mark.parametrize("planner", PLANNERS)
def test_the_first_plan_is_the_planners(planner, insertion):
    """Before anything has happened, task by task; links are alike, so optimistic costs are whole."""
    names = ["topcuoglu", "arabnejad", "insertion", "random-12:0-9", "random-30:0-4", "cholesky-4-2g2c:0"]
    for instance in load_many(names, "soc"):
        options = Options(mode="online", binding="late", planner=planner, insertion=insertion, forced_moves=False)
        simulation = Simulation(Model([instance], options), [instance], 1)
        simulation.reset()
        planned = [simulation.engine.tensors[name][0].tolist() for name in ("plan_on", "plan_begin", "plan_finish")]
        expected = PLANNERS[planner](instance, insertion).entries
        assert planned == expected[:, 2:].T.tolist()


class Paper:
    """A plan of what is left in one environment, worked out from where it stands."""

    def __init__(self, state, instance, options):
        self.s, self.instance, self.options = state, instance, options
        self.width = state.execution.shape[2]
        self.graphs = [instance.graphs[g] for g in instance.arrival_graph]
        self.transfer = [instance.transfer_time(g, options.rounding) for g in instance.arrival_graph.tolist()]
        by = ranks.oct_rank if options.planner == "peft" else ranks.upward_rank
        self.value = [by(instance, g, options.rounding) for g in range(len(instance.graphs))]
        self.place = {}
        self.busy = [[] for _ in range(instance.elements)]
        for p in range(instance.elements):
            if state.running[0, p] >= 0:
                self.busy[p].append((0, int(state.free[0, p])))

    def node(self, v) -> int:
        return v[0] * self.width + v[1]

    def left(self) -> list[tuple[int, int]]:
        """Tasks of the jobs in the system that have not begun and are not planned."""
        jobs = [job for job in range(int(self.s.admitted[0])) if self.s.job_left[0, job] > 0]
        tasks = [(job, task) for job in jobs for task in range(self.graphs[job].tasks)]
        return [v for v in tasks if self.s.status[0, self.node(v)] < RUNNING and v not in self.place]

    def before(self, v) -> list[tuple[int, int]]:
        edges = self.graphs[v[0]].edges.tolist()
        return [(e, source) for e, (source, target) in enumerate(edges) if target == v[1]]

    def next(self) -> tuple[int, int]:
        """By the option priority among jobs, by the planner's rank within one; what waits for nothing unplanned."""
        left = self.left()
        able = [v for v in left if not any((v[0], u) in left for _, u in self.before(v))]

        def rank(v):
            g = int(self.instance.arrival_graph[v[0]])
            return -self.value[g][v[1]], int(ranks.positions(self.graphs[v[0]])[v[1]]), g

        kind = self.options.priority
        if kind == "auto":
            kind = "srpt"
        first = {"rank": rank, "fifo": lambda v: v[0], "srpt": lambda v: int(self.s.job_left[0, v[0]])}[kind]
        return min(able, key=lambda v: (first(v), v[0], rank(v)))

    def arrival(self, v, p: int) -> int:
        result = max(int(self.s.admission[0, v[0]]), int(self.s.now[0]))
        for e, source in self.before(v):
            u = self.node((v[0], source))
            on, finish = int(self.s.on[0, u]), int(self.s.finish[0, u])
            if self.s.status[0, u] == RUNNING:
                finish = int(self.s.expected[0, on])
            elif self.s.status[0, u] != DONE:
                on, _, finish = self.place[v[0], source]
            result = max(result, finish + int(self.transfer[v[0]][e, on, p]))
        return result

    def start(self, arrival: int, length: int, p: int) -> int:
        if not self.options.insertion:
            return max([arrival, *(end for _, end in self.busy[p])])
        for begin, end in sorted(self.busy[p]):
            if arrival + length <= begin:
                break
            arrival = max(arrival, end)
        return arrival

    def commit(self, v) -> None:
        g, rows = int(self.instance.arrival_graph[v[0]]), []
        table, unit = ranks.optimistic_cost_units(self.instance, g, self.options.rounding)
        for p, length in enumerate(self.graphs[v[0]].execution_time[v[1]].tolist()):
            if length >= 0:
                start = self.start(self.arrival(v, p), length, p)
                cost = 0 if self.options.planner == "heft" else round(Fraction(int(table[v[1], p]), unit))
                rows.append((start + length + cost, p, start, start + length))
        _, *self.place[v] = min(rows)
        p, start, end = self.place[v]
        self.busy[p].append((start, end))

    def plan(self) -> dict:
        while self.left():
            self.commit(self.next())
        return self.place


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_plans_on_the_way_are_those_on_paper(random_system, random_soc_options, legal, seed):
    """Of several jobs, under noise, with tasks running late and queues, at any decision."""
    rng = np.random.default_rng(seed)
    instance = random_system(rng, 4)
    planner, priority = str(rng.choice(list(PLANNERS))), str(rng.choice(["rank", "srpt", "fifo"]))
    fixed = dict(mode="online", planner=planner, replan=True, forced_moves=False, shared_bus=False, priority=priority)
    options = random_soc_options(rng, False, **fixed)
    simulation = Simulation(Model([instance], options), [instance], 1, seed=seed % 100)
    simulation.reset()
    while not simulation.terminated[0]:
        state = simulation.engine.twin().state
        make_plan(state, 0)
        paper = Paper(state, instance, options)
        for v, (p, start, end) in paper.plan().items():
            k = paper.node(v)
            assert (state.plan_on[0, k], state.plan_begin[0, k], state.plan_finish[0, k]) == (p, start, end)
        for _ in range(int(rng.integers(1, 4))):
            if not simulation.terminated[0]:
                check_planned(simulation, instance)
                simulation.step(legal(simulation.mask, rng))


def check_planned(simulation, instance) -> None:
    """Candidates that the plan wants: on each element what it has there first among all that has not begun.

    Of what begins together, that is of tasks without length, what ends first, then what comes first by upward rank.
    """
    t, width = simulation.engine.tensors, simulation.model.widest
    first = {}
    for k in range(instance.jobs * width):
        job = k // width
        there = job < int(t["admitted"][0]) and int(t["job_left"][0, job]) > 0
        task_exists = k % width < instance.graphs[instance.arrival_graph[job]].tasks
        if there and task_exists and t["status"][0, k] < RUNNING and t["plan_on"][0, k] >= 0:
            p, rank = int(t["plan_on"][0, k]), int(t["rank_position"][0, instance.arrival_graph[job], k % width])
            when = int(t["plan_begin"][0, k]), int(t["plan_finish"][0, k])
            first[p] = min(first.get(p, (2**30,)), (*when, job, rank, k))
    seen = set()
    for a in simulation.mask[0].nonzero().flatten().tolist():
        job, task, p, wanted = (int(simulation.columns[name][0, a]) for name in ("job", "task", "element", "planned"))
        if wanted:
            assert t["running"][0, p] < 0  # what is busy cannot take it now
            assert p not in seen and first[p][-1] == job * width + task
            seen.add(p)


def test_what_is_planned_once_is_kept():
    """Without replanning a task stays where its job's plan had it, however late the others are."""
    instances = load_many(["radio-small-15x12:0-3"], "soc")
    for name in ("heft-static", "peft-static"):
        options = Options(**POLICIES[name].options | {"noise": "gamma", "sigma": 0.8, "forced_moves": False})
        simulation = Simulation(Model(instances, options), instances, 4, observe=False)
        simulation.reset()
        planned, never = {}, torch.zeros(4, dtype=torch.bool)
        while not simulation.terminated.all():
            on, admitted = (simulation.engine.tensors[name] for name in ("plan_on", "admitted"))
            there = torch.arange(on.shape[1]) < admitted[:, None] * simulation.model.widest
            for place, k in ((on >= 0) & there).nonzero().tolist():
                assert planned.setdefault((place, k), int(on[place, k])) == int(on[place, k])
            simulation.step(POLICIES[name].act(simulation, torch.Generator(), never))
        for place, schedule in enumerate(simulation.schedules()):
            assert schedule.violations() == []
            width = simulation.model.widest
            assert all(planned[place, job * width + t] == p for job, t, p, _, _ in schedule.entries.tolist())


@pytest.mark.parametrize("planner", ["heft", "peft"])
def test_replanning_pays_under_noise(planner):
    """Not on every instance, but over a few dozen of them by far."""
    instances = load_many(["random-30:0-29"], "soc")
    means = []
    for policy in (f"{planner}-replan", f"{planner}-static"):
        options = Options(**POLICIES[policy].options | {"noise": "gaussian", "sigma": 0.5})
        simulation = Simulation(Model(instances, options), instances, 30, observe=False)
        play(POLICIES[policy], simulation, torch.Generator(), torch.zeros(30, dtype=torch.bool))
        means.append(float(simulation.outcome()["makespan"].double().mean()))
    assert means[0] < 0.96 * means[1]
