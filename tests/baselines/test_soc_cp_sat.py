"""CP-SAT reaches the published optima, agrees with brute force, and says what it did not prove."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.soc_cp_sat import STATUSES, SoCAnswer, solve_soc
from dispatchgym.envs.core.errors import OptionError, ScheduleError
from dispatchgym.envs.core.noise import NOISES
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.noise import actual_times
from dispatchgym.envs.soc.validator import check, metrics

# Topcuoglu, Hariri and Wu (2002), figure 2 and table 1: execution times, then edges with volumes
TOPCUOGLU = """14 16 9  13 19 18  11 13 19  13 8 17  12 13 10  13 16 9  7 15 11  5 11 14  18 12 20  21 7 16
0 1 18  0 2 12  0 3 9  0 4 11  0 5 14  1 7 19  1 8 16  2 6 23  3 7 27  3 8 23  4 8 13  5 7 15  6 9 17  7 9 11  8 9 13"""
# Arabnejad and Barbosa (2014), figure 1
ARABNEJAD = """22 21 36  22 18 18  32 27 43  7 10 4  29 27 35  26 17 24  14 25 30  29 23 36  15 21 8  13 16 33
0 1 17  0 2 31  0 3 29  0 4 13  0 5 7  1 7 3  1 8 30  2 6 16  3 7 11  3 8 7  4 8 57  5 7 5  6 9 9  7 9 42  8 9 7"""
# five tasks on two processing elements where a gap must be used
INSERTION = """4 5  6 4  8 5  7 7  4 3
0 1 3  0 2 7  0 3 7  0 4 3  3 4 9"""


def published(text: str, elements: int, arrivals=(0,), warmup: int = 0) -> SoCInstance:
    times, edges = (np.array(line.split(), dtype=int) for line in text.splitlines())
    edges, square = edges.reshape(-1, 3), (elements, elements)
    graph = JobGraph("published", times.reshape(-1, elements), edges[:, :2], edges[:, 2])
    return SoCInstance(
        "published", (graph,), np.zeros(square, int), np.ones(square, int), None, np.array(arrivals),
        np.zeros(len(arrivals), int), warmup,
    )  # fmt: skip


def random_instance(rng: np.random.Generator, tasks: int, elements: int, jobs: int = 1, density=0.4) -> SoCInstance:
    """Some tasks take no time, some cannot run everywhere; latencies and bandwidths differ by direction."""
    times = rng.integers(0, 12, (tasks, elements))
    times[rng.random(times.shape) < 0.15] = -1
    times[(times < 0).all(axis=1), 0] = 4
    order = rng.permutation(tasks)
    edges = [(order[a], order[b]) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < density]
    graph = JobGraph("random", times, np.array(edges, dtype=int).reshape(-1, 2), rng.integers(0, 12, len(edges)))
    square, arrivals = (elements, elements), np.sort(rng.integers(0, 12, jobs)) * (jobs > 1)
    return SoCInstance(
        "random", (graph,), rng.integers(0, 3, square), rng.integers(1, 4, square),
        tuple(rng.choice(["cpu", "gpu"], elements).tolist()), arrivals, np.zeros(jobs, int),
        int(rng.choice(arrivals)),
    )  # fmt: skip


def brute_force(instance: SoCInstance, conditions: dict) -> int:
    """The least total latency of measured jobs over all semi-active schedules: tasks appended in every order."""
    times = actual_times(instance, conditions).tolist()
    transfer = [
        instance.transfer_time(g, conditions.get("rounding", "up")).tolist() for g in range(len(instance.graphs))
    ]
    kinds, arrival = instance.arrival_graph.tolist(), instance.arrival_time.tolist()
    before = {
        (job, task): [(e, int(u)) for e, (u, v) in enumerate(instance.graphs[kind].edges) if v == task]
        for job, kind in enumerate(kinds)
        for task in range(instance.graphs[kind].tasks)
    }
    least = math.inf

    def extend(done: dict, free: tuple) -> None:
        nonlocal least
        ends = [arrival[job] for job in range(instance.jobs)]
        for (job, _), (_, end) in done.items():
            ends[job] = max(ends[job], end)
        cost = sum(ends[job] - arrival[job] for job in range(instance.jobs) if arrival[job] >= instance.warmup)
        if cost >= least:
            return
        if len(done) == len(before):
            least = cost
        for (job, task), sources in before.items():
            if (job, task) in done or any((job, u) not in done for _, u in sources):
                continue
            for p, length in enumerate(times[job][task]):
                if length >= 0:
                    data = [done[job, u][1] + transfer[kinds[job]][e][done[job, u][0]][p] for e, u in sources]
                    start = max([arrival[job], *data, free[p] if length > 0 else 0])
                    busy = start + length if length > 0 else free[p]
                    extend(done | {(job, task): (p, start + length)}, (*free[:p], busy, *free[p + 1 :]))

    extend({}, (0,) * instance.elements)
    return least


def is_sound(instance: SoCInstance, answer: SoCAnswer) -> bool:
    """The schedule is feasible under its conditions and costs what the answer says, not less than the bound."""
    found = metrics(instance, answer.schedule)[instance.objective]
    return (
        check(instance, answer.schedule) == []
        and math.isclose(found, answer.objective)
        and answer.bound <= answer.objective
        and (answer.status == "optimal") == (answer.bound == answer.objective)
        and answer.status in STATUSES
        and answer.runtime_s >= 0
    )


@pytest.mark.parametrize(("text", "elements", "optimum"), [(TOPCUOGLU, 3, 73), (ARABNEJAD, 3, 113), (INSERTION, 2, 16)])
def test_published_examples_are_solved(text, elements, optimum):
    instance = published(text, elements)
    answer = solve_soc(instance, time_limit=60)
    assert (answer.objective, answer.bound, answer.status) == (optimum, optimum, "optimal")
    assert is_sound(instance, answer) and isinstance(answer.objective, int) and isinstance(answer.bound, int)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([(4, 3, 1), (5, 2, 1), (2, 2, 2), (1, 3, 4), (3, 2, 2)]))
def test_optima_agree_with_brute_force(number, shape):
    rng = np.random.default_rng(number)
    instance = random_instance(rng, *shape)
    conditions = {
        "rounding": str(rng.choice(["up", "down"])),
        "noise": str(rng.choice(NOISES)),
        "sigma": 0.5,
        "seed": 1,
    }
    answer = solve_soc(instance, conditions=conditions, time_limit=60)
    measured = int((instance.arrival_time >= instance.warmup).sum())
    assert is_sound(instance, answer) and answer.status == "optimal"
    assert math.isclose(answer.objective * (1 if instance.static else measured), brute_force(instance, conditions))


@pytest.mark.parametrize("number", range(20))
def test_random_graphs_of_a_dozen_tasks_are_proven(number):
    rng = np.random.default_rng(number)
    density = [0.0, 0.1, 0.2, 0.4][number % 4]
    instance = random_instance(rng, int(rng.integers(10, 13)), int(rng.integers(3, 9)), density=density)
    answer = solve_soc(instance, time_limit=60)
    assert answer.status == "optimal" and is_sound(instance, answer)


def test_a_job_alone_bounds_it_among_others():
    instance = published(TOPCUOGLU, 3, arrivals=[0, 10, 200, 1000])
    answer = solve_soc(instance, time_limit=60)
    assert answer.status == "optimal" and is_sound(instance, answer)
    assert isinstance(answer.objective, float) and answer.objective >= 73
    alone = solve_soc(published(TOPCUOGLU, 3, arrivals=[0, 500, 1000]), time_limit=60)
    assert alone.objective == alone.bound == 73.0


def test_only_measured_jobs_count():
    instance = published(TOPCUOGLU, 3, arrivals=[0, 0, 5], warmup=5)
    answer = solve_soc(instance, time_limit=60)
    assert answer.objective == 73.0 and is_sound(instance, answer)  # the others make way


def test_hindsight_uses_the_actual_times():
    instance = published(TOPCUOGLU, 3)
    conditions = {"noise": "lognormal", "sigma": 0.5, "seed": 3, "world": 2, "episode": 1}
    answer = solve_soc(instance, conditions=conditions, time_limit=60)
    assert is_sound(instance, answer) and answer.status == "optimal"
    assert answer.schedule.conditions.items() >= conditions.items()
    other = solve_soc(instance, conditions=conditions | {"world": 3}, time_limit=60)
    assert other.objective != answer.objective


@pytest.mark.parametrize("arrivals", [(0,), (0, 20, 40, 60, 80, 100)])
def test_there_is_a_schedule_in_no_time(arrivals):
    instance = published(TOPCUOGLU, 3, arrivals)
    answer = solve_soc(instance, time_limit=1e-6)
    assert is_sound(instance, answer) and answer.bound > 0


def test_an_unfinished_search_says_so():
    instance = published(TOPCUOGLU, 3, range(0, 500, 20))
    answer = solve_soc(instance, time_limit=1)
    assert answer.status == "feasible" and 73 <= answer.bound < answer.objective and is_sound(instance, answer)


def test_the_same_seed_gives_the_same_schedule():
    instance = published(TOPCUOGLU, 3)
    first, second = (solve_soc(instance, seed=5).schedule.entries for _ in range(2))
    assert np.array_equal(first, second)


def test_tasks_of_no_length_are_no_trouble():
    square = np.ones((2, 2), int)
    graph = JobGraph("none", np.zeros((3, 2), int), np.array([[2, 1], [1, 0]]), np.array([5, 5]))
    answer = solve_soc(SoCInstance("none", (graph,), square, square))
    assert (answer.objective, answer.bound, answer.status) == (0, 0, "optimal")
    assert check(answer.schedule.instance, answer.schedule) == []


@pytest.mark.parametrize(
    ("options", "error", "names"),
    [
        ({"time_limit": 0}, OptionError, "time_limit"),
        ({"time_limit": math.nan}, OptionError, "time_limit"),
        ({"time_limit": "long"}, OptionError, "time_limit"),
        ({"seed": -1}, OptionError, "seed"),
        ({"seed": 0.5}, OptionError, "seed"),
        ({"conditions": {"shared_bus": True}}, OptionError, "shared_bus"),
        ({"conditions": {"wip_cap": 3}}, OptionError, "wip_cap"),
        ({"conditions": {"noise": "loud"}}, ScheduleError, "noise"),
        ({"conditions": {"bus": True}}, ScheduleError, "bus"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, names):
    with pytest.raises(error, match=names):
        solve_soc(published(TOPCUOGLU, 3), **options)


def test_the_module_is_light_until_it_solves():
    code = "import sys, dispatchgym.baselines.soc_cp_sat; print(*({'ortools', 'torch', 'warp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
