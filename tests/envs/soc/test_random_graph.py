"""Random graphs are acyclic, layered, and have the shape, degrees and costs asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.soc import random_graph
from dispatchgym.envs.soc.random_graph import draw_costs, draw_structure, generate, random_edges


def rng(seed=0):
    return np.random.default_rng(seed)


def levels(tasks, edges):
    """Longest path from a source to each task."""
    level = np.zeros(tasks, int)
    for source, target in sorted(edges.tolist(), key=lambda edge: edge[1]):
        level[target] = max(level[target], level[source] + 1)
    return level


@settings(deadline=None)
@given(st.integers(1, 60), st.sampled_from([0.1, 0.5, 1.0, 2.0, 50.0]), st.integers(1, 70), st.integers(0, 2**32))
def test_edges_lead_to_higher_numbers_once(tasks, shape, out_degree, seed):
    edges = random_edges(tasks, rng(seed), shape, out_degree)
    assert edges.shape[1] == 2 and ((edges >= 0) & (edges < tasks)).all()
    assert (edges[:, 0] < edges[:, 1]).all() and len(np.unique(edges, axis=0)) == len(edges)
    level = levels(tasks, edges)
    assert (np.diff(level) >= 0).all()  # tasks are numbered level by level
    assert level.max() >= min(tasks - 1, 1)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0])
def test_shape_sets_the_number_of_levels(shape):
    one = rng(1)
    heights = [levels(100, random_edges(100, one, shape)).max() + 1 for _ in range(1000)]
    mean = 10 / shape
    assert abs(np.mean(heights) - mean) < 0.08 * mean  # a deviation of 0.57 x mean / sqrt(1000) at most
    assert min(heights) == 2 and np.ptp(heights) > 1.2 * mean


@pytest.mark.parametrize("out_degree", [2, 3, 5])
def test_out_degree(out_degree):
    one = rng(1)
    found = np.mean([len(random_edges(200, one, 1.0, out_degree)) / 200 for _ in range(200)])
    assert 0.8 * out_degree < found < 1.1 * out_degree  # short of it for the last tasks and those drawn twice


def test_costs():
    instance = generate(1000, 8, rng(), ccr=2.0, heterogeneity=0.5)
    (graph,) = instance.graphs
    assert (instance.elements, graph.tasks, instance.static) == (8, 1000, True)
    times = graph.execution_time
    assert times.min() >= 1 and abs(times.mean() - 100) < 8
    long = times[times.mean(axis=1) > 50]
    ratio = long.max(axis=1) / long.min(axis=1)
    assert ratio.max() < 1.25 / 0.75 * 1.05 and ratio.max() > 1.5
    assert abs(graph.volume.mean() / times.mean() - 2.0) < 0.1
    assert graph.volume.max() <= 4.0 * times.mean() + 1
    assert (instance.bandwidth == 1).all() and not instance.latency.any()


def test_no_communication_and_no_heterogeneity():
    (graph,) = generate(40, 3, rng(), ccr=0, heterogeneity=0).graphs
    assert not graph.volume.any()
    assert (graph.execution_time == graph.execution_time[:, :1]).all()


def test_the_generator_is_the_only_source_of_randomness():
    assert generate(20, 4, rng(3)).digest == generate(20, 4, rng(3)).digest
    one = rng(3)
    assert generate(20, 4, one).digest != generate(20, 4, one).digest
    assert generate(20, 4, rng(3), world=5).world == 5


def test_every_parameter_is_drawn():
    structures = {tuple(draw_structure(rng(seed)).values()) for seed in range(300)}
    assert structures == {(a, d) for a in random_graph.SHAPES for d in random_graph.OUT_DEGREES}
    costs = {tuple(draw_costs(rng(seed)).values()) for seed in range(1000)}
    assert costs == {
        (p, c, b)
        for p in random_graph.ELEMENTS
        for c in random_graph.CCRS
        for b in random_graph.HETEROGENEITIES
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        {"tasks": 0},
        {"tasks": 100_001},
        {"elements": 0},
        {"elements": 1025},
        {"tasks": 2000, "elements": 1000},
        {"shape": 0},
        {"shape": float("nan")},
        {"out_degree": 0},
        {"ccr": -1},
        {"ccr": float("nan")},
        {"heterogeneity": 2.5},
        {"world": 2**31},
    ],
)
def test_absurd_arguments_are_refused(arguments):
    with pytest.raises(OptionError):
        generate(**({"tasks": 5, "elements": 2, "rng": rng()} | arguments))
