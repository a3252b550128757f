"""The jobs of SoCRATES are ten graphs of ten tasks, the first of them the canonical one."""

import numpy as np

from dispatchgym.envs.soc import socrates
from dispatchgym.instances import soc


def test_the_first_graph_is_the_published_example():
    (example,) = soc.load("topcuoglu").graphs
    first = socrates.graphs()[0]
    assert (first.execution_time == example.execution_time).all()
    assert (first.edges == example.edges).all() and (first.volume == example.volume).all()


def test_the_variants():
    graphs = socrates.graphs()
    assert [graph.name for graph in graphs] == [f"top{number}" for number in range(1, 11)]
    assert [len(graph.edges) for graph in graphs] == [15, 14, 12, 13, 14, 15, 14, 14, 14, 15]
    assert len({graph.edges.tobytes() for graph in graphs}) == 10
    for graph in graphs:
        sources = set(range(10)) - set(graph.edges[:, 1].tolist())
        sinks = set(range(10)) - set(graph.edges[:, 0].tolist())
        assert (sources, sinks) == ({0}, {9})
        assert graph.volume.min() >= 9 and graph.volume.max() <= 27


def test_streams():
    single = socrates.generate(25, False, np.random.default_rng(0))
    assert len(single.graphs) == 1 and single.objective == "mean_latency"
    assert 150 < single.jobs < 260 and single.arrival_time[0] == 0 and 4800 < single.arrival_time[-1] < 5000
    mixed = socrates.generate(25, True, np.random.default_rng(0), "mine", 9)
    assert set(mixed.arrival_graph.tolist()) == set(range(10))
    assert (mixed.name, mixed.world, mixed.elements) == ("mine", 9, 3)
    assert np.bincount(mixed.arrival_graph).max() < 50
