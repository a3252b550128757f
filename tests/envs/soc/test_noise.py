"""Actual execution times are drawn as the engine draws them, and are the same for everybody who meets their key."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core import rng
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.noise import NOISES, table
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.noise import actual_time, actual_times

engine_bits = twin(rng.random_bits)
int32 = st.integers(-(2**31), 2**31 - 1)
MULTIPLICATIVE = ("gaussian", "lognormal", "gamma", "ds3")


def stream(rng_: np.random.Generator) -> SoCInstance:
    """A few jobs of two graphs; some tasks take no time, some cannot run everywhere."""
    elements, jobs = int(rng_.integers(1, 5)), int(rng_.integers(1, 6))
    graphs = []
    for name in "ab":
        times = rng_.integers(0, 50, (rng_.integers(1, 5), elements))
        times[rng_.random(times.shape) < 0.2] = -1
        times[(times < 0).all(axis=1), 0] = 3
        graphs.append(JobGraph(name, times, np.zeros((0, 2), int), np.zeros(0, int)))
    return SoCInstance(
        "stream", tuple(graphs), np.zeros((elements, elements), int), np.ones((elements, elements), int),
        kinds=tuple(rng_.choice(["cpu", "gpu"], elements).tolist()),
        arrival_time=np.sort(rng_.integers(0, 50, jobs)), arrival_graph=rng_.integers(0, 2, jobs),
    )  # fmt: skip


def by_definition(instance: SoCInstance, kind: str, sigma: float, key: tuple, job: int, task: int, pe: int) -> int:
    """One actual execution time, in exact integers and with the engine's bits."""
    graph = instance.graphs[instance.arrival_graph[job]]
    if task >= graph.tasks:
        return -1
    estimate = int(graph.execution_time[task, pe])
    with np.errstate(over="ignore"):
        bits = engine_bits(*key, (job * instance.widest + task) * instance.elements + pe)
    drawn = int(table(kind, sigma)[int(bits) >> 19])
    if kind == "none" or estimate <= 0 or (kind == "readys" and instance.kinds[pe] == "cpu"):
        return estimate
    return max(1, estimate + drawn if kind == "readys" else (estimate * drawn + 32768) >> 16)


@given(st.integers(0, 2**32), st.sampled_from(NOISES), st.floats(0, 4), int32, st.integers(0, 9), st.integers(0, 9))
def test_actual_times_follow_their_definition(number, kind, sigma, seed, world, episode):
    instance = stream(np.random.default_rng(number))
    conditions = {"noise": kind, "sigma": sigma, "seed": seed, "world": world, "episode": episode}
    times = actual_times(instance, conditions)
    assert times.shape == (instance.jobs, instance.widest, instance.elements) and times.dtype == np.int64
    for place in np.ndindex(times.shape):
        assert times[place] == by_definition(instance, kind, sigma, (seed, world, episode), *place)
        if times[place] >= 0:
            assert actual_time(instance, conditions, *place) == times[place]


def test_without_noise_actual_times_are_the_estimates():
    instance = stream(np.random.default_rng(3))
    expected = actual_times(instance, {})
    for job, graph in enumerate(instance.arrival_graph):
        own = instance.graphs[graph].execution_time
        assert np.array_equal(expected[job, : len(own)], own) and (expected[job, len(own) :] == -1).all()
    for kind in NOISES:
        assert np.array_equal(actual_times(instance, {"noise": kind, "sigma": 0, "seed": 9}), expected)
    # the world of the noise is that of the conditions, not that of the instance
    assert np.array_equal(actual_times(instance, {"noise": "none", "sigma": 2.0, "world": 5}), expected)


def long_stream(estimate: int, kinds: tuple[str, ...], jobs: int = 20_000) -> SoCInstance:
    graph = JobGraph("one", np.full((1, len(kinds)), estimate), np.zeros((0, 2), int), np.zeros(0, int))
    square = np.ones((len(kinds), len(kinds)), int)
    return SoCInstance("long", (graph,), square, square, kinds, np.zeros(jobs, int), np.zeros(jobs, int))


@pytest.mark.parametrize("kind", MULTIPLICATIVE)
def test_many_draws_have_the_mean_and_the_spread(kind):
    times = actual_times(long_stream(1000, ("cpu", "gpu")), {"noise": kind, "sigma": 0.25, "seed": 1})[:, 0] / 1000
    assert np.abs(times.mean(axis=0) - 1).max() < 0.25 * 4 / math.sqrt(20_000)
    assert np.abs(times.std(axis=0) - 0.25).max() < 0.01
    assert abs(np.corrcoef(times.T)[0, 1]) < 4 / math.sqrt(20_000)  # the two processing elements
    assert abs(np.corrcoef(times[1:, 0], times[:-1, 0])[0, 1]) < 4 / math.sqrt(20_000)  # one job and the next


@pytest.mark.parametrize("changed", ["seed", "world", "episode"])
def test_every_part_of_the_key_makes_another_world(changed):
    instance = long_stream(1000, ("cpu",), jobs=5000)
    key = {"noise": "gaussian", "sigma": 0.25, "seed": 3, "world": 4, "episode": 5}
    first, second = (actual_times(instance, key | {changed: number}).ravel() for number in (3, 7))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(5000)
    assert np.array_equal(first, actual_times(instance, key | {changed: 3}).ravel())


def test_readys_noise_leaves_cpus_alone_and_is_floored():
    times = actual_times(long_stream(2, ("cpu", "gpu")), {"noise": "readys", "sigma": 3.0})[:, 0]
    assert set(times[:, 0].tolist()) == {2}
    # at least -2 is added, and at least 1 is left: those below -0.5 standard deviations end there
    assert times[:, 1].min() == 1
    assert abs((times[:, 1] == 1).mean() - NormalDist().cdf(-0.5 / 3)) < 0.02
    assert abs(np.maximum(times[:, 1] - 2, 0).mean() - 3 / math.sqrt(2 * math.pi)) < 0.06


def test_ds3_noise_may_fall_to_one_and_rises_to_eight_times():
    times = actual_times(long_stream(1000, ("cpu",)), {"noise": "ds3", "sigma": 4.0}).ravel()
    assert times.min() == 1 and times.max() == 8000
    gaussian = actual_times(long_stream(1000, ("cpu",)), {"noise": "gaussian", "sigma": 4.0}).ravel()
    assert gaussian.min() == 100 and gaussian.max() == 8000


def test_large_estimates_do_not_overflow():
    graph = JobGraph("one", np.full((1, 1), 2**28 - 1), np.zeros((0, 2), int), np.zeros(0, int))
    one = np.ones((1, 1), int)
    instance = SoCInstance("large", (graph,), one, one)
    for seed in range(50):
        conditions = {"noise": "lognormal", "sigma": 4.0, "seed": seed}
        assert 1 <= actual_times(instance, conditions)[0, 0, 0] <= 8 * (2**28 - 1)


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({"noise": "weibull"}, "'noise'.*lognormal.*'weibull'"),
        ({"noise": None}, "'noise'"),
        ({"noise": ["none"]}, "'noise'"),
        ({"sigma": -1}, "'sigma'"),
        ({"sigma": math.nan}, "'sigma'"),
        ({"sigma": 10**400}, "'sigma'"),
        ({"sigma": "much"}, "'sigma'"),
        ({"sigma": np.ones(2)}, "'sigma'"),
        ({"seed": 2**31}, "'seed'"),
        ({"seed": 1.0}, "'seed'"),
        ({"world": -1}, "'world'"),
        ({"episode": True}, "'episode'"),
        ({"rounding": "nearest"}, "'rounding'.*up, down"),
        ({"shared_bus": 1}, "'shared_bus'"),
        ({"wip_cap": -1}, "'wip_cap'"),
        ({"wip_cap": None}, "'wip_cap'"),
        ({"nose": "none"}, "'nose'.*known: noise"),
        ({3: "none"}, "3"),
        ("none", "dictionary"),
        ([("noise", "none")], "dictionary"),
    ],
)
def test_malformed_conditions_are_refused_by_name(conditions, names):
    with pytest.raises(ScheduleError, match=names):
        actual_times(stream(np.random.default_rng(0)), conditions)
