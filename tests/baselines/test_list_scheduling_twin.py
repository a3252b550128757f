"""List schedulers against a slow and literal twin, and against what must hold for every job."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.list_scheduling import cpop, heft, lookahead_heft, peft, rank_oct
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph

PLANNERS = (heft, cpop, peft, rank_oct, lookahead_heft)
ROUNDINGS = ("up", "down")


def build(times, edges, latency=0, bandwidth=1) -> SoCInstance:
    """One job; edges are (source, target, volume); latency and bandwidth may be one number."""
    times, edges = np.array(times), np.array(edges, dtype=int).reshape(-1, 3)
    square = (times.shape[1], times.shape[1])
    graph = JobGraph("job", times, edges[:, :2], edges[:, 2])
    return SoCInstance("test", (graph,), np.broadcast_to(latency, square), np.broadcast_to(bandwidth, square))


def random_job(rng: np.random.Generator, tasks: int, elements: int, highest: int, infeasible: float) -> SoCInstance:
    """A graph in any numbering, with links that differ and, where ``highest`` is small, times and volumes of 0."""
    times = rng.integers(0, highest, (tasks, elements))
    times[rng.random(times.shape) < infeasible] = -1
    times[np.arange(tasks), rng.integers(0, elements, tasks)] = rng.integers(0, highest, tasks)
    name, density = rng.permutation(tasks), rng.random()
    pairs = [(i, j) for i in range(tasks) for j in range(i + 1, tasks) if rng.random() < density]
    edges = [(name[i], name[j], rng.integers(0, highest)) for i, j in pairs]
    shape = (elements, elements)
    return build(times, edges, rng.integers(0, rng.choice([1, 5]), shape), rng.integers(1, 4, shape))


@st.composite
def jobs(draw, highest: int = 12) -> SoCInstance:
    """See random_job."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    infeasible = draw(st.sampled_from([0, 0.5]))
    return random_job(rng, draw(st.integers(1, 14)), draw(st.integers(1, 4)), highest, infeasible)


def makespan(schedule: Schedule) -> int:
    return int(schedule.column("end").max())


def mistakes(schedule: Schedule, rounding: str) -> list[str]:
    """What is wrong with a plan, from the statement of the problem."""
    instance, rows = schedule.instance, sorted(schedule.entries.tolist(), key=lambda row: row[1])
    graph, transfer, found = instance.graphs[0], instance.transfer_time(0, rounding), []
    if [row[:2] for row in rows] != [[0, task] for task in range(graph.tasks)]:
        return ["not every task once"]
    for _, task, element, start, end in rows:
        if start < 0 or graph.execution_time[task, element] < 0 or end - start != graph.execution_time[task, element]:
            found.append(f"task {task} on {element} from {start} to {end}")
    for edge, (source, target) in enumerate(graph.edges.tolist()):
        if rows[source][4] + transfer[edge, rows[source][2], rows[target][2]] > rows[target][3]:
            found.append(f"{source} -> {target} too early")
    lines = [[(start, end) for _, _, p, start, end in rows if p == element] for element in range(instance.elements)]
    found += [
        f"overlap on {p}" for p, line in enumerate(lines) if not all(apart(a, line, i) for i, a in enumerate(line))
    ]
    return found


def apart(span: tuple[int, int], line: list[tuple[int, int]], index: int) -> bool:
    """Whether a span meets no other of a line."""
    return all(span[1] <= start or span[0] >= end for k, (start, end) in enumerate(line) if k != index)


class Twin:
    """List scheduling word for word: every time is tried, every choice is made on a copy."""

    def __init__(self, instance: SoCInstance, insertion: bool, rounding: str):
        self.graph, self.insertion = instance.graphs[0], insertion
        self.transfer = instance.transfer_time(0, rounding).tolist()
        self.edges = self.graph.edges.tolist()
        self.placed: dict[int, tuple[int, int, int]] = {}  # task: PE, start, end

    def span(self, task: int, element: int) -> tuple[int, int, int]:
        length, start = int(self.graph.execution_time[task, element]), 0
        for edge, (source, target) in enumerate(self.edges):
            if target == task and source in self.placed:
                there, _, end = self.placed[source]
                start = max(start, end + self.transfer[edge][there][element])
        others = [(s, e) for p, s, e in self.placed.values() if p == element]
        if not self.insertion:
            start = max([start, *(e for _, e in others)])
        while not apart((start, start + length), others, -1):
            start += 1
        return element, start, start + length

    def spans(self, task: int) -> list[tuple[int, int, int]]:
        row = self.graph.execution_time[task].tolist()
        return [self.span(task, p) for p, time in enumerate(row) if time >= 0]

    def put(self, task: int, span: tuple[int, int, int]) -> "Twin":
        copy = object.__new__(Twin)
        copy.__dict__ = self.__dict__ | {"placed": self.placed | {task: span}}
        return copy


def plan_with_twin(instance, insertion, rounding, priority, choose: Callable) -> list[list[int]]:
    """Entries of a schedule: the ready task with the highest priority, on the span that ``choose`` takes."""
    twin, graph = Twin(instance, insertion, rounding), instance.graphs[0]
    first = graph.order.tolist().index
    while len(twin.placed) < graph.tasks:
        waiting = {target for source, target in twin.edges if source not in twin.placed}
        ready = [t for t in range(graph.tasks) if t not in twin.placed and t not in waiting]
        task = max(ready, key=lambda t: (priority[t], -first(t)))
        twin = twin.put(task, choose(twin, task))
    return [[0, task, *twin.placed[task]] for task in range(graph.tasks)]


def soonest(twin: Twin, task: int) -> tuple[int, int, int]:
    return min(twin.spans(task), key=lambda span: (span[2], span[0]))


def children_soonest(instance, rounding) -> Callable:
    """The choice of HEFT with lookahead."""
    graph = instance.graphs[0]
    place = ranks.priority_order(ranks.upward_rank(instance, 0, rounding), graph)

    def latest(twin, task, span):
        children = sorted((target for source, target in twin.edges if source == task), key=lambda t: place[t])
        twin = twin.put(task, span)
        for child in children:
            twin = twin.put(child, soonest(twin, child))
        return max(twin.placed[t][2] for t in [task, *children])

    return lambda twin, task: min(twin.spans(task), key=lambda span: (latest(twin, task, span), span[0]))


def least_sum(instance, rounding) -> Callable:
    """The choice of PEFT."""
    table, unit = ranks.optimistic_cost_units(instance, 0, rounding)
    return lambda twin, task: min(
        twin.spans(task), key=lambda span: (span[2] * unit + int(table[task, span[0]]), span[0])
    )


def critical_first(instance, rounding) -> Callable:
    """The choice of CPOP."""
    path, element = ranks.critical_path(instance, 0, rounding)

    def choose(twin, task):
        tied = task in path and instance.graphs[0].execution_time[task, element] >= 0
        return twin.span(task, element) if tied else soonest(twin, task)

    return choose


TWINS = {
    heft: (ranks.upward_rank, lambda *_: soonest),
    cpop: (ranks.path_priority, critical_first),
    peft: (ranks.oct_rank, least_sum),
    rank_oct: (ranks.upward_rank, least_sum),
    lookahead_heft: (ranks.upward_rank, children_soonest),
}


@pytest.mark.parametrize("planner", PLANNERS)
@settings(max_examples=150)
@given(instance=jobs(), insertion=st.booleans(), rounding=st.sampled_from(ROUNDINGS))
def test_plans_are_those_of_the_twin(planner, instance, insertion, rounding):
    rank, choice = TWINS[planner]
    expected = plan_with_twin(instance, insertion, rounding, rank(instance, 0, rounding), choice(instance, rounding))
    assert planner(instance, insertion, rounding).entries.tolist() == expected


@pytest.mark.parametrize("planner", PLANNERS)
@settings(max_examples=100)
@given(instance=jobs(highest=40), insertion=st.booleans(), rounding=st.sampled_from(ROUNDINGS))
def test_plans_are_feasible(planner, instance, insertion, rounding):
    schedule = planner(instance, insertion, rounding)
    assert mistakes(schedule, rounding) == []
    assert schedule.conditions == {"rounding": rounding}
    # No schedule is shorter than the longest path, nor than the least work shared by all PEs.
    times = instance.graphs[0].execution_time
    least = np.where(times >= 0, times, times.max() + 1).min(axis=1)
    assert makespan(schedule) >= (ranks.least_tail(instance, 0) + least).max()
    assert makespan(schedule) * instance.elements >= least.sum()
    assert makespan(schedule) <= instance.longest_makespan


def test_infeasible_plans_would_be_noticed():
    instance = build([[2, -1], [3, 3], [4, 4]], [(0, 1, 5)])
    rows = [[0, 0, 0, 0, 2], [0, 1, 1, 7, 10], [0, 2, 0, 2, 6]]
    assert mistakes(Schedule(instance, np.array(rows)), "up") == []
    wrong = [(0, 1, 1, "not every task"), (0, 2, 1, "task 0 on 1"), (1, 3, 6, "task 1 on 1 from 6 to 10")]
    for row, column, value, words in [
        *wrong,
        (1, slice(3, 5), (6, 9), "0 -> 1"),
        (2, slice(3, 5), (1, 5), "overlap on 0"),
    ]:
        entries = np.array(rows)
        entries[row, column] = value
        assert any(words in found for found in mistakes(Schedule(instance, entries), "up"))


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("insertion", [True, False])
def test_numbering_of_tasks_and_elements_does_not_matter_without_ties(planner, insertion):
    rng = np.random.default_rng(5)
    for tasks in (5, 12, 30):
        instance = random_job(rng, tasks, 4, 20_000, 0.2)
        graph, task, element = instance.graphs[0], rng.permutation(tasks), rng.permutation(4)
        new_task, new_element, swap = np.argsort(task), np.argsort(element), np.ix_(element, element)
        edges = np.column_stack([new_task[graph.edges], graph.volume])
        times = graph.execution_time[np.ix_(task, element)]
        other = build(times, edges, instance.latency[swap], instance.bandwidth[swap])
        expected = planner(instance, insertion).entries[task]
        expected[:, 1], expected[:, 2] = np.arange(tasks), new_element[expected[:, 2]]
        assert planner(other, insertion).entries.tolist() == expected.tolist()


@pytest.mark.parametrize("planner", PLANNERS)
@given(instance=jobs(), insertion=st.booleans(), scale=st.integers(2, 1000))
def test_the_unit_of_time_does_not_matter(planner, instance, insertion, scale):
    """With volumes that every bandwidth divides; ties stay ties."""
    graph, whole = instance.graphs[0], 6  # divided by 1, 2 and 3
    both = [
        build(
            np.where(graph.execution_time < 0, -1, graph.execution_time * k),
            np.column_stack([graph.edges, graph.volume * whole * k]), instance.latency * k, instance.bandwidth,
        )
        for k in (1, scale)
    ]  # fmt: skip
    expected = planner(both[0], insertion).entries
    expected = np.hstack([expected[:, :3], expected[:, 3:] * scale])
    assert planner(both[1], insertion).entries.tolist() == expected.tolist()


@pytest.mark.parametrize("planner", PLANNERS)
@given(instance=jobs())
def test_one_element_runs_one_task_after_the_other(planner, instance):
    times = np.abs(instance.graphs[0].execution_time[:, :1])
    alone = build(times, np.column_stack([instance.graphs[0].edges, instance.graphs[0].volume]))
    assert makespan(planner(alone)) == times.sum()


@given(instance=jobs(), insertion=st.booleans())
def test_without_edges_looking_ahead_sees_nothing(instance, insertion):
    flat = build(instance.graphs[0].execution_time, [])
    expected = heft(flat, insertion).entries.tolist()
    assert rank_oct(flat, insertion).entries.tolist() == expected
    assert lookahead_heft(flat, insertion).entries.tolist() == expected
