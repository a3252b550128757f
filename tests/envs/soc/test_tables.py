"""What the simulator is told about graphs: the ranks of ranks.py, in the order it uses them, and edge lists."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.tables import is_uniform, longest_chain, tables

seeds = st.integers(0, 2**32 - 1)


def by_value(instance, function, rounding) -> list[tuple[int, int]]:
    """All (graph, task) by falling value; ties to the lower topological position, then to the first graph."""
    rows = []
    for g, graph in enumerate(instance.graphs):
        values, position = function(instance, g, rounding), ranks.positions(graph)
        rows += [(-values[task], position[task], g, task) for task in range(graph.tasks)]
    return [(g, task) for _, _, g, task in sorted(rows)]


@settings(max_examples=60)
@given(seeds, st.sampled_from(["up", "down"]))
def test_places_and_sequences_go_by_the_ranks(random_system, seed, rounding):
    instance = random_system(np.random.default_rng(seed))
    arrays = tables(instance, rounding).arrays
    for name, function in (
        ("rank_position", ranks.upward_rank), ("oct_position", ranks.oct_rank), ("cpop_position", ranks.path_priority),
    ):  # fmt: skip
        order = by_value(instance, function, rounding)
        assert [arrays[name][g, task] for g, task in order] == list(range(len(order)))
        if name != "cpop_position":
            sequence = arrays[name.replace("position", "sequence")]
            for g, graph in enumerate(instance.graphs):
                assert sequence[g, : graph.tasks].tolist() == [task for h, task in order if h == g]


@settings(max_examples=60)
@given(seeds, st.sampled_from(["up", "down"]))
def test_times_and_costs(random_system, seed, rounding):
    instance = random_system(np.random.default_rng(seed))
    made, shortest = tables(instance, rounding), []
    arrays = made.arrays
    for g, graph in enumerate(instance.graphs):
        n, times = graph.tasks, graph.execution_time
        assert (arrays["execution"][g, :n] == times).all() and (arrays["execution"][g, n:] == -1).all()
        able = np.where(times >= 0, times, np.inf)
        assert (arrays["least_execution"][g, :n] == able.min(axis=1)).all()
        assert np.allclose(arrays["mean_execution"][g, :n], ranks.mean_execution(instance, g))
        tail = ranks.least_tail(instance, g, rounding)
        assert (arrays["tail"][g, :n] == tail).all()
        shortest.append((tail + able.min(axis=1)).max())
        table, unit = ranks.optimistic_cost_units(instance, g, rounding)
        for task in range(n):
            for p in range(instance.elements):
                if times[task, p] >= 0:
                    assert arrays["optimistic"][g, task, p] == round(Fraction(int(table[task, p]), unit))
        path, element = ranks.critical_path(instance, g, rounding)
        assert {t for t in range(n) if arrays["critical"][g, t] >= 0} == set(path.tolist())
        assert (arrays["critical"][g, path] == element).all() and (arrays["critical"][g, n:] == -1).all()
    assert made.shortest.tolist() == shortest
    every = np.concatenate([graph.execution_time for graph in instance.graphs]).tolist()
    feasible = [time for row in every for time in row if time >= 0]
    assert made.mean_duration == pytest.approx(max(1, sum(feasible) / len(feasible)))
    for p in range(instance.elements):
        ratios = [max(row[p], 1) / max(min(t for t in row if t >= 0), 1) for row in every if row[p] >= 0]
        assert made.slowdown[p] == pytest.approx(sum(ratios) / len(ratios) if ratios else 1)


@settings(max_examples=60)
@given(seeds, st.sampled_from(["up", "down"]))
def test_edge_lists(random_system, seed, rounding):
    """Of each task its predecessors with their data, and its successors, in the order of the graph's edges."""
    instance = random_system(np.random.default_rng(seed))
    arrays, uniform = tables(instance, rounding).arrays, is_uniform(instance)
    for g, graph in enumerate(instance.graphs):
        mean = ranks.mean_transfer(instance, g, rounding)
        between = instance.transfer_time(g, rounding)[:, 0, -1]
        for task in range(instance.widest):
            here = slice(*arrays["first_before"][g, task : task + 2])
            edges = np.flatnonzero(graph.edges[:, 1] == task)
            assert arrays["before_edge"][g, here].tolist() == edges.tolist()
            assert arrays["before"][g, here].tolist() == graph.edges[edges, 0].tolist()
            assert arrays["before_volume"][g, here].tolist() == graph.volume[edges].tolist()
            assert np.allclose(arrays["mean_transfer"][g, here], mean[edges])
            if uniform:
                assert arrays["before_time"][g, here].tolist() == between[edges].tolist()
            here = slice(*arrays["first_after"][g, task : task + 2])
            assert arrays["after"][g, here].tolist() == graph.edges[graph.edges[:, 0] == task, 1].tolist()


@given(seeds)
def test_links_are_alike_when_every_pair_of_elements_is(random_system, seed):
    instance = random_system(np.random.default_rng(seed))
    pairs = [(p, q) for p in range(instance.elements) for q in range(instance.elements) if p != q]
    links = {(int(instance.latency[pair]), int(instance.bandwidth[pair])) for pair in pairs}
    assert is_uniform(instance) == (len(links) <= 1)


@settings(max_examples=40)
@given(seeds)
def test_the_longest_chain(random_system, seed):
    for graph in random_system(np.random.default_rng(seed)).graphs:
        after = {task: graph.edges[graph.edges[:, 0] == task, 1].tolist() for task in range(graph.tasks)}

        def chain(task, after=after):
            return 1 + max(map(chain, after[task]), default=0)

        assert longest_chain(graph) == max(map(chain, after))


def test_tables_are_remembered_by_their_numbers():
    """Streams and worlds on the same graphs share them; anything that changes a number does not."""
    square, graph = np.ones((2, 2), int), JobGraph("a", np.array([[3, 5], [2, 2]]), np.array([[0, 1]]), np.array([4]))

    def instance(graph=graph, latency=0, bandwidth=1, arrival=(0,), world=0):
        stream = None, arrival, [0] * len(arrival), 0, world
        return SoCInstance("x", (graph,), latency * square, bandwidth * square, *stream)

    first = tables(instance(), "up")
    assert tables(instance(arrival=(0, 9), world=3), "up") is first
    others = [
        tables(instance(), "down"),
        tables(instance(latency=1), "up"),
        tables(instance(bandwidth=2), "up"),
        tables(instance(JobGraph("a", np.array([[3, 5], [2, 3]]), graph.edges, graph.volume)), "up"),
        tables(instance(JobGraph("a", graph.execution_time, np.array([[1, 0]]), graph.volume)), "up"),
        tables(instance(JobGraph("a", graph.execution_time, graph.edges, np.array([5]))), "up"),
    ]
    assert len({id(one) for one in [first, *others]}) == 7
