"""Planning, side by side with the planners and with a plan in plain Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.list_scheduling import cpop, heft, peft, rank_oct
from dispatchgym.baselines.soc import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Limits, play, solve
from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load, load_many

PLANNERS = {"heft": heft, "cpop": cpop, "peft": peft, "rank-oct": rank_oct}
LOOKING_AHEAD = ("peft", "rank-oct")


def random_plan(rng: np.random.Generator, uniform: bool) -> SoCInstance:
    """One graph of 2 to 25 tasks at time 0, with ties, tasks without length and infeasible pairs."""
    tasks, elements, most = int(rng.integers(2, 26)), int(rng.integers(1, 5)), int(rng.choice([3, 12, 100]))
    times = rng.integers(rng.integers(2), most, (tasks, elements))
    times[rng.random(times.shape) < rng.choice([0.0, 0.2])] = -1
    times[(times < 0).all(axis=1), rng.integers(elements)] = 5
    order, density = rng.permutation(tasks), rng.choice([0.05, 0.2, 0.6])
    edges = [(order[a], order[b]) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < density]
    graph = JobGraph("job", times, np.array(edges, dtype=int).reshape(-1, 2), rng.integers(0, most, len(edges)))
    shape = (1, 1) if uniform else (elements, elements)
    links = [np.broadcast_to(rng.integers(*row, shape), (elements, elements)) for row in ((0, 4), (1, 4))]
    return SoCInstance("plan", (graph,), *links)


def follow(instances, rule, options) -> Simulation:
    """Let a rule make every plan."""
    simulation = Simulation(Model(instances, options), instances, len(instances), observe=False)
    play(rule, simulation, torch.Generator(), torch.zeros(len(instances), dtype=torch.bool))
    assert simulation.terminated.all() and not simulation.illegal.any()
    return simulation


@pytest.mark.parametrize("insertion", [True, False])
@pytest.mark.parametrize("name", PLANNERS)
def test_rules_make_the_plans_of_the_planners(name, insertion):
    """To the start of every task. The optimistic cost is in whole microseconds only where links are alike."""
    rng = np.random.default_rng(3)
    instances = [random_plan(rng, name in LOOKING_AHEAD or k % 2 == 0) for k in range(200)]
    for rounding in ("up", "down"):
        options = Options(mode="plan", choice=0, insertion=insertion, rounding=rounding)
        for schedule in follow(instances, POLICIES[name], options).schedules():
            plan = PLANNERS[name](schedule.instance, insertion, rounding)
            assert schedule.entries.tolist() == plan.entries.tolist()
            assert schedule.conditions["rounding"] == rounding


@pytest.mark.parametrize(
    "instance, policy, insertion, makespan",
    [
        ("topcuoglu", "heft", True, 80),
        ("topcuoglu", "cpop", True, 86),
        ("topcuoglu", "peft", True, 85),
        ("topcuoglu", "heft", False, 80),
        ("arabnejad", "heft", True, 133),
        ("arabnejad", "peft", True, 122),
        ("insertion", "heft", True, 16),
        ("insertion", "heft", False, 21),
    ],
)
def test_published_makespans(instance, policy, insertion, makespan):
    """Topcuoglu, Hariri and Wu (2002), Arabnejad and Barbosa (2014), and a graph in which a gap pays."""
    (answer,) = solve(POLICIES[policy], [load(instance, "soc")], Limits(options={"insertion": insertion}))
    assert answer.schedule.metrics()["makespan"] == makespan


@pytest.mark.parametrize("insertion", [True, False])
@pytest.mark.parametrize("planner, static", [(heft, "heft-static"), (peft, "peft-static")])
def test_a_plan_that_is_carried_out_takes_as_long_as_planned(planner, static, insertion):
    """Without noise a static plan ends when it says, tasks without length among others; under noise it does not."""
    rng = np.random.default_rng(0)
    instances = [random_plan(rng, True) for _ in range(250)] + load_many(["topcuoglu", "arabnejad"], "soc")
    planned = [planner(instance, insertion).metrics()["makespan"] for instance in instances]

    def carried_out(**world):
        answers = solve(POLICIES[static], instances, Limits(options={"insertion": insertion, **world}))
        return [answer.schedule.metrics()["makespan"] for answer in answers]

    assert carried_out() == planned != carried_out(noise="gaussian", sigma=0.3)


class Paper:
    """A plan in the making, in plain Python."""

    def __init__(self, instance, options):
        self.instance, self.options, self.graph = instance, options, instance.graphs[instance.arrival_graph[0]]
        self.transfer = instance.transfer_time(int(instance.arrival_graph[0]), options.rounding)
        self.place, self.since, self.transfers, self.bus_free = {}, {}, [], 0
        self.arrive()

    def before(self, task: int) -> list[tuple[int, int]]:
        edges = self.graph.edges.tolist()
        return [(e, source) for e, (source, target) in enumerate(edges) if target == task]

    def arrive(self, after: int | None = None) -> None:
        """Number the tasks that can be committed now, successors in the order of their edges."""
        edges = self.graph.edges.tolist()
        fresh = range(self.graph.tasks) if after is None else [v for u, v in edges if u == after]
        for task in fresh:
            if task not in self.since and all(u in self.place for _, u in self.before(task)):
                self.since[task] = len(self.since)

    def ready(self) -> list[int]:
        found = [task for task in self.since if task not in self.place]
        if self.options.priority == "fifo":
            return sorted(found, key=self.since.get)
        order = ranks.priority_order(
            ranks.upward_rank(self.instance, int(self.instance.arrival_graph[0]), self.options.rounding), self.graph
        )
        return sorted(found, key=lambda task: order[task])

    def arrival(self, task: int, p: int, book: bool = False) -> int:
        result, free = 0, self.bus_free
        for e, source in self.before(task):
            on, _, end = self.place[source]
            length = int(self.transfer[e, on, p])
            if self.options.shared_bus and length:
                begin = max(free, end)
                free = end = begin + length
                if book:
                    self.transfers.append([0, self.graph.tasks + e, self.instance.elements, begin, end])
                    self.bus_free = end
            else:
                end += length
            result = max(result, end)
        return result

    def start(self, task: int, p: int, book: bool = False) -> int:
        """The first gap that is long enough, or after everything."""
        length, start = int(self.graph.execution_time[task, p]), self.arrival(task, p, book)
        busy = sorted((begin, end) for on, begin, end in self.place.values() if on == p)
        if not self.options.insertion:
            return max([start, *(end for _, end in busy)])
        for begin, end in busy:
            if start + length <= begin:
                break
            start = max(start, end)
        return start

    def offers(self) -> list[tuple[int, ...]]:
        """Task, element, data, start, finish, and the task's two least finishes, of every candidate."""
        found = []
        for task in self.ready()[: self.options.choice or None]:
            able = [p for p in range(self.instance.elements) if self.graph.execution_time[task, p] >= 0]
            rows = [(p, self.arrival(task, p), self.start(task, p)) for p in able]
            ends = [start + int(self.graph.execution_time[task, p]) for p, _, start in rows]
            least, second = sorted([*ends, 2**30])[:2]
            found += [(task, *row, end, least, second) for row, end in zip(rows, ends, strict=True)]
        return found

    def commit(self, task: int, p: int) -> None:
        start = self.start(task, p, book=True)
        self.place[task] = p, start, start + int(self.graph.execution_time[task, p])
        self.arrive(task)


COLUMNS = ("task", "element", "data_arrival", "earliest_start", "earliest_finish", "best_finish", "second_finish")


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1))
def test_plans_are_those_on_paper(random_system, random_soc_options, seed):
    """Candidates with their columns, the first gap of each, transfers on a bus, a bound that ends as the makespan."""
    rng = np.random.default_rng(seed)
    instance = random_plan(rng, False) if rng.random() < 0.5 else random_system(rng, 1)
    options = random_soc_options(rng, True, mode="plan", pilot="none", forced_moves=False)
    simulation = Simulation(Model([instance], options), [instance], 1)
    simulation.reset()
    paper, bounds, reward = Paper(instance, options), [int(simulation.outcome()["makespan"])], 0.0
    while offers := paper.offers():
        legal = simulation.mask[0].nonzero().flatten()
        shown = torch.stack([simulation.columns[name][0, legal] for name in COLUMNS], dim=1).tolist()
        assert [tuple(row) for row in shown] == offers
        k = int(rng.integers(len(offers)))
        paper.commit(*offers[k][:2])
        simulation.step(legal[k : k + 1])
        bounds.append(int(simulation.outcome()["makespan"]))
        reward += float(simulation.reward)
    assert simulation.terminated[0] and not simulation.illegal[0]
    schedule = simulation.schedule()
    widest = instance.widest - paper.graph.tasks
    transfers = [[job, step + widest, *rest] for job, step, *rest in paper.transfers]
    assert sorted(schedule.entries.tolist()) == sorted([[0, t, *at] for t, at in paper.place.items()] + transfers)
    assert schedule.violations() == [] and bounds == sorted(bounds)
    assert bounds[-1] == schedule.metrics()["makespan"]
    assert reward == pytest.approx((bounds[0] - bounds[-1]) / max(bounds[0], 1), abs=1e-4)


def test_the_bound_by_hand():
    """The longest path of least times at first, later what is committed and the least that must follow."""
    graph = JobGraph("chain", np.array([[2, 9], [4, 3], [5, 8]]), np.array([[0, 1], [1, 2]]), np.array([10, 10]))
    chain = SoCInstance("chain", (graph,), np.zeros((2, 2), int), np.ones((2, 2), int))
    simulation = Simulation(Model([chain], Options()), [chain], 1)
    simulation.reset()
    seen = [int(simulation.outcome()["makespan"])]
    for action in (1, 0, 1):  # elements 1, 0 and 1
        simulation.step(torch.tensor([action]))
        seen.append(int(simulation.outcome()["makespan"]))
    assert seen == [2 + 3 + 5, 9 + 3 + 5, 9 + 10 + 4 + 5, 9 + 10 + 4 + 10 + 8]
    assert simulation.reward.item() == pytest.approx((28 - 41) / 10)


@pytest.mark.parametrize("insertion", [True, False])
@pytest.mark.parametrize("pilot, rules", [("rank-oct", ["rank-oct"]), ("both", ["rank-oct", "peft"])])
def test_the_pilot_knows_what_the_rule_would_make_of_it(pilot, rules, insertion):
    """Every candidate's pilot makespan is the one that the rule reaches when it goes on from there."""
    rng = np.random.default_rng(6)
    for _ in range(3):
        instance = random_plan(rng, True)
        options = Options(mode="plan", choice=0, insertion=insertion, pilot=pilot, forced_moves=False)
        model = Model([instance], options)
        simulation = Simulation(model, [instance], 1, observe=False)
        simulation.reset()
        while not simulation.terminated[0]:
            legal = simulation.mask[0].nonzero().flatten()
            told = simulation.columns["pilot_makespan"][0, legal].tolist()
            assert told == [least_from(model, simulation, action, rules) for action in legal]
            simulation.step(legal[int(rng.integers(len(legal)))][None])


def least_from(model, simulation, action, rules) -> int:
    """Least makespan over rules that go on after an action."""
    found = []
    for rule in rules:
        other = Simulation(model, simulation.instances, 1, observe=False)
        other.engine.load_state_dict(simulation.engine.state_dict())
        other.step(action[None])
        while not other.terminated[0]:
            other.step(POLICIES[rule].act(other, torch.Generator(), torch.zeros(1, dtype=torch.bool)))
        found.append(int(other.outcome()["makespan"]))
    return min(found)


@pytest.mark.parametrize("name", ["heft", "peft", "min-min"])
@pytest.mark.parametrize("choice", [0, 2])
def test_forced_moves_do_not_change_the_plan(name, choice):
    rng = np.random.default_rng(2)
    instances, decisions, found = [random_plan(rng, False) for _ in range(60)], [], []
    for forced_moves in (True, False):
        simulation = follow(instances, POLICIES[name], Options(choice=choice, forced_moves=forced_moves))
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        decisions.append(simulation.outcome()["decisions"].tolist())
    assert found[0] == found[1]
    assert decisions[1] == [instance.tasks for instance in instances]
    assert all(a <= b for a, b in zip(*decisions, strict=True)) and sum(decisions[0]) < sum(decisions[1])
