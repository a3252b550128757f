"""Greedy schedules are feasible, bounds hold, and shifting left only helps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.soc_problem import FlatProblem, Place, greedy, shift_left
from dispatchgym.envs.core.noise import NOISES
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.soc.conditions import Conditions
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.validator import check, metrics


def random_instance(rng: np.random.Generator) -> SoCInstance:
    elements, graphs = int(rng.integers(1, 5)), []
    for name in "ab":
        tasks = int(rng.integers(1, 8))
        times = rng.integers(0, 20, (tasks, elements))
        times[rng.random(times.shape) < 0.2] = -1
        times[(times < 0).all(axis=1), rng.integers(elements)] = 5
        order = rng.permutation(tasks)
        edges = [(order[a], order[b]) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < 0.3]
        graphs.append(JobGraph(name, times, np.array(edges, dtype=int).reshape(-1, 2), rng.integers(0, 15, len(edges))))
    square, jobs = (elements, elements), int(rng.integers(1, 6))
    arrivals = np.sort(rng.integers(0, 60, jobs))
    return SoCInstance(
        "random", tuple(graphs), rng.integers(0, 4, square), rng.integers(1, 4, square),
        tuple(rng.choice(["cpu", "gpu"], elements).tolist()), arrivals, rng.integers(0, 2, jobs),
        int(rng.choice(arrivals)),
    )  # fmt: skip


def random_problem(number: int) -> tuple[SoCInstance, FlatProblem]:
    rng = np.random.default_rng(number)
    instance = random_instance(rng)
    noise = {"noise": str(rng.choice(NOISES)), "sigma": 0.5, "rounding": str(rng.choice(["up", "down"]))}
    return instance, FlatProblem(instance, Conditions(**noise))


def schedule(problem: FlatProblem, places: list[Place]) -> Schedule:
    return Schedule(problem.instance, problem.entries(places), problem.conditions.as_dict())


@given(st.integers(0, 2**32))
def test_greedy_schedules_are_feasible_and_cost_what_the_metrics_say(number):
    instance, problem = random_problem(number)
    places = greedy(problem)
    assert check(instance, schedule(problem, places)) == []
    assert problem.cost(places) == metrics(instance, schedule(problem, places))["total_latency"]
    assert problem.lower_bound <= problem.cost(places)
    assert max(start for _, _, start in places) <= problem.horizon(places)


@given(st.integers(0, 2**32))
def test_heads_and_tails_hold_in_every_schedule(number):
    instance, problem = random_problem(number)
    places = greedy(problem)
    end = {task: start + int(problem.time[task, element]) for task, element, start in places}
    for task, element, start in places:
        job = problem.name[task, 0]
        last = max(end[other] for other in end if problem.name[other, 0] == job)
        assert start >= problem.head[task, element]
        assert last - end[task] >= problem.tail[task, element]


@given(st.integers(0, 2**32))
def test_shifting_left_keeps_the_order_and_the_elements(number):
    instance, problem = random_problem(number)
    rng = np.random.default_rng(number)
    gaps = np.cumsum(rng.integers(0, 9, 1000)).tolist()  # stretch the schedule: later starts wait longer
    places = greedy(problem)
    by_start = sorted(places, key=lambda place: (place.start, place.task))
    late = [Place(task, p, start + gaps[at]) for at, (task, p, start) in enumerate(by_start)]
    assert check(instance, schedule(problem, late)) == []
    moved = shift_left(problem, late)
    assert check(instance, schedule(problem, moved)) == []
    assert [place.task for place in moved] == list(range(problem.tasks))
    before = {task: (p, start) for task, p, start in late}
    assert all(before[task][0] == p and start <= before[task][1] for task, p, start in moved)
    assert shift_left(problem, moved) == moved


@given(st.integers(0, 2**32))
def test_a_job_alone_is_the_same_as_among_others(number):
    instance, problem = random_problem(number)
    job = instance.jobs - 1
    alone = FlatProblem(instance, problem.conditions, [job])
    own = problem.name[:, 0] == job
    assert np.array_equal(alone.time, problem.time[own]) and np.array_equal(alone.name, problem.name[own])
    assert np.array_equal(alone.head, problem.head[own]) and np.array_equal(alone.tail, problem.tail[own])
    assert alone.least == {job: problem.least[job]}


@pytest.mark.parametrize(("warmup", "measured"), [(0, {0: 3, 1: 3}), (1, {1: 3})])
def test_jobs_before_the_warmup_do_not_count(warmup, measured):
    one = np.ones((1, 1), int)
    graph = JobGraph("one", 3 * one, np.zeros((0, 2), int), np.zeros(0, int))
    instance = SoCInstance("two", (graph,), one, one, None, np.array([0, 1]), np.zeros(2, int), warmup)
    problem = FlatProblem(instance, Conditions())
    assert problem.least == measured
    places = [Place(0, 0, 0), Place(1, 0, 3)]
    assert problem.cost(places) == (8 if warmup == 0 else 5) and greedy(problem) == places


def test_the_load_of_all_elements_bounds_a_job():
    graph = JobGraph("wide", np.full((7, 2), 4), np.zeros((0, 2), int), np.zeros(0, int))
    instance = SoCInstance("wide", (graph,), np.zeros((2, 2), int), np.ones((2, 2), int))
    assert FlatProblem(instance, Conditions()).lower_bound == 14
