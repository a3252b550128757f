"""Ranks against published numbers, and against their definitions in exact fractions on random graphs."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import UnknownNameError
from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.links import Links

ROUNDINGS = ("up", "down")


def build(times, edges, latency=0, bandwidth=1) -> SoCInstance:
    """One job; edges are (source, target, volume); latency and bandwidth may be one number."""
    times, edges = np.array(times), np.array(edges, dtype=int).reshape(-1, 3)
    square = (times.shape[1], times.shape[1])
    graph = JobGraph("job", times, edges[:, :2], edges[:, 2])
    return SoCInstance("test", (graph,), np.broadcast_to(latency, square), np.broadcast_to(bandwidth, square))


@pytest.fixture(scope="module")
def topcuoglu() -> SoCInstance:
    """The ten tasks of Topcuoglu, Hariri and Wu (2002), figure 1."""
    times = [
        (14, 16, 9), (13, 19, 18), (11, 13, 19), (13, 8, 17), (12, 13, 10),
        (13, 16, 9), (7, 15, 11), (5, 11, 14), (18, 12, 20), (21, 7, 16),
    ]  # fmt: skip
    edges = [
        (0, 1, 18), (0, 2, 12), (0, 3, 9), (0, 4, 11), (0, 5, 14), (1, 7, 19), (1, 8, 16), (2, 6, 23),
        (3, 7, 27), (3, 8, 23), (4, 8, 13), (5, 7, 15), (6, 9, 17), (7, 9, 11), (8, 9, 13),
    ]  # fmt: skip
    return build(times, edges)


@pytest.fixture(scope="module")
def arabnejad() -> SoCInstance:
    """The ten tasks of Arabnejad and Barbosa (2014), figure 2."""
    times = [
        (22, 21, 36), (22, 18, 18), (32, 27, 43), (7, 10, 4), (29, 27, 35),
        (26, 17, 24), (14, 25, 30), (29, 23, 36), (15, 21, 8), (13, 16, 33),
    ]  # fmt: skip
    edges = [
        (0, 1, 17), (0, 2, 31), (0, 3, 29), (0, 4, 13), (0, 5, 7), (1, 7, 3), (1, 8, 30), (2, 6, 16),
        (3, 7, 11), (3, 8, 7), (4, 8, 57), (5, 7, 5), (6, 9, 9), (7, 9, 42), (8, 9, 7),
    ]  # fmt: skip
    return build(times, edges)


@st.composite
def instances(draw, highest: int = 12) -> SoCInstance:
    """Small graphs in any numbering, with infeasible PEs, times and volumes of 0, and links that differ."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tasks, elements = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    times = rng.integers(0, highest, (tasks, elements))
    times[rng.random(times.shape) < draw(st.sampled_from([0, 0.4]))] = -1
    times[np.arange(tasks), rng.integers(0, elements, tasks)] = rng.integers(0, highest, tasks)
    name = rng.permutation(tasks)
    pairs = [(i, j) for i in range(tasks) for j in range(i + 1, tasks) if rng.random() < 0.3]
    edges = [(name[i], name[j], rng.integers(0, highest)) for i, j in pairs]
    rng.shuffle(edges)
    shape = (elements, elements)
    return build(times, edges, rng.integers(0, draw(st.sampled_from([1, 5])), shape), rng.integers(1, 5, shape))


class Definitions:
    """The definitions as they stand in the papers, in fractions and by recursion."""

    def __init__(self, instance: SoCInstance, rounding: str):
        graph, elements = instance.graphs[0], range(instance.elements)
        self.times = graph.execution_time.tolist()
        self.execution = [Fraction(sum(w for w in row if w >= 0), sum(w >= 0 for w in row)) for row in self.times]
        self.transfer, self.after, self.before = {}, {}, {}
        for (source, target), volume in zip(graph.edges.tolist(), graph.volume.tolist(), strict=True):
            cost = []
            for p, q in ((p, q) for p in elements for q in elements if p != q):
                whole, part = divmod(volume, int(instance.bandwidth[p, q]))
                cost.append(int(instance.latency[p, q]) + whole + (part > 0 and rounding == "up"))
            self.transfer[source, target] = Fraction(sum(cost), len(cost)) if cost else Fraction(0)
            self.after.setdefault(source, []).append(target)
            self.before.setdefault(target, []).append(source)

    def upward(self, t: int) -> Fraction:
        return self.execution[t] + max((self.transfer[t, s] + self.upward(s) for s in self.after.get(t, [])), default=0)

    def downward(self, t: int) -> Fraction:
        before = self.before.get(t, [])
        return max((self.downward(s) + self.execution[s] + self.transfer[s, t] for s in before), default=Fraction(0))

    def cost(self, t: int, p: int) -> Fraction:
        return max((self.through(t, s, p) for s in self.after.get(t, [])), default=Fraction(0))

    def through(self, t: int, s: int, p: int) -> Fraction:
        feasible = [w for w, time in enumerate(self.times[s]) if time >= 0]
        return min(self.cost(s, w) + self.times[s][w] + (0 if w == p else self.transfer[t, s]) for w in feasible)

    def tail(self, t: int) -> int:
        after = self.after.get(t, [])
        return max((min(w for w in self.times[s] if w >= 0) + self.tail(s) for s in after), default=0)


def test_published_ranks_of_topcuoglu(topcuoglu):
    upward = [108, 77, 80, 80, 69, 63.333, 42.667, 35.667, 44.333, 14.667]
    downward = [0, 31, 25, 22, 24, 27, 62.333, 66.667, 63.667, 93.333]
    assert ranks.upward_rank(topcuoglu, 0).round(3).tolist() == upward
    assert ranks.downward_rank(topcuoglu, 0).round(3).tolist() == downward
    # Tasks 2 and 3 tie at 80 although one sum is of thirds and the other is not.
    assert ranks.priority_order(ranks.upward_rank(topcuoglu, 0), topcuoglu.graphs[0]).tolist() == [
        0, 3, 1, 2, 4, 5, 7, 8, 6, 9
    ]  # fmt: skip


def test_published_critical_path_of_topcuoglu(topcuoglu):
    path, element = ranks.critical_path(topcuoglu, 0)
    assert (path.tolist(), path.dtype, element) == ([0, 1, 8, 9], np.int32, 1)
    assert set(ranks.path_priority(topcuoglu, 0)[path].tolist()) == {108.0}


def test_published_optimistic_costs_of_arabnejad(arabnejad):
    table = [
        (64, 68, 86), (42, 39, 42), (27, 41, 43), (42, 39, 50), (28, 37, 28),
        (42, 39, 44), (13, 16, 22), (13, 16, 33), (13, 16, 20), (0, 0, 0),
    ]  # fmt: skip
    assert ranks.optimistic_cost_table(arabnejad, 0).tolist() == [list(map(float, row)) for row in table]
    assert ranks.oct_rank(arabnejad, 0).round(1).tolist() == [72.7, 41, 37, 43.7, 31, 41.7, 17, 20.7, 16.3, 0]


@settings(max_examples=150)
@given(instances(), st.sampled_from(ROUNDINGS))
def test_ranks_are_what_the_papers_define(instance, rounding):
    paper, tasks = Definitions(instance, rounding), range(instance.tasks)
    edges = map(tuple, instance.graphs[0].edges.tolist())
    both = [paper.upward(t) + paper.downward(t) for t in tasks]
    # Equal to the last bit: a fraction that is rounded once.
    assert ranks.mean_execution(instance, 0, rounding).tolist() == list(map(float, paper.execution))
    assert ranks.mean_transfer(instance, 0, rounding).tolist() == [float(paper.transfer[e]) for e in edges]
    assert ranks.upward_rank(instance, 0, rounding).tolist() == [float(paper.upward(t)) for t in tasks]
    assert ranks.downward_rank(instance, 0, rounding).tolist() == [float(paper.downward(t)) for t in tasks]
    assert ranks.path_priority(instance, 0, rounding).tolist() == list(map(float, both))
    assert ranks.least_tail(instance, 0, rounding).tolist() == [paper.tail(t) for t in tasks]


@settings(max_examples=150)
@given(instances(), st.sampled_from(ROUNDINGS))
def test_optimistic_costs_are_what_the_paper_defines(instance, rounding):
    paper, table = Definitions(instance, rounding), ranks.optimistic_cost_table(instance, 0, rounding)
    units, unit = ranks.optimistic_cost_units(instance, 0, rounding)
    for task, row in enumerate(paper.times):
        cost = {p: paper.cost(task, p) for p, time in enumerate(row) if time >= 0}
        assert table[task].tolist() == [float(cost.get(p, np.inf)) for p in range(len(row))]
        assert ranks.oct_rank(instance, 0, rounding)[task] == float(sum(cost.values()) / len(cost))
        assert all(Fraction(int(units[task, p]), unit) == exact for p, exact in cost.items())


@settings(max_examples=150)
@given(instances(), st.sampled_from(ROUNDINGS))
def test_the_critical_path_is_a_longest_path(instance, rounding):
    paper, graph = Definitions(instance, rounding), instance.graphs[0]
    path, element = ranks.critical_path(instance, 0, rounding)
    steps = list(zip(path.tolist(), path[1:].tolist(), strict=False))
    length = sum(paper.execution[t] for t in path.tolist()) + sum(paper.transfer[step] for step in steps)
    assert length == max(map(paper.upward, range(graph.tasks)))
    assert path[0] not in graph.edges[:, 1] and path[-1] not in graph.edges[:, 0]

    def burden(p):
        column = graph.execution_time[path, p].tolist()
        return sum(time < 0 for time in column), sum(time for time in column if time >= 0), p

    assert min(map(burden, range(instance.elements)))[2] == element


def test_critical_path_takes_the_first_of_equal_ways():
    instance = build([[5, 5], [5, 5], [5, 5], [5, 5]], [(0, 2, 0), (0, 1, 0), (2, 3, 0), (1, 3, 0)])
    assert ranks.critical_path(instance, 0)[0].tolist() == [0, 1, 3]


def test_critical_path_skips_no_task_of_the_longest_path():
    # 2 is a successor of 0 with the same priority, but only by way of 1, which stands behind it in the list of edges.
    instance = build([[1], [1], [1]], [(0, 2, 0), (0, 1, 0), (1, 2, 0)])
    assert ranks.critical_path(instance, 0)[0].tolist() == [0, 1, 2]


def test_critical_path_begins_at_the_entry_with_the_longest_one():
    instance = build([[3, 9], [4, 9], [3, 9], [2, 9]], [(0, 3, 0), (2, 1, 0)])
    assert ranks.critical_path(instance, 0)[0].tolist() == [2, 1]


@given(instances(highest=2), st.sampled_from(ROUNDINGS))
def test_upward_rank_puts_no_task_before_its_predecessor(instance, rounding):
    """Half of the times are 0, so that many ranks are equal along edges."""
    graph = instance.graphs[0]
    place = ranks.priority_order(ranks.upward_rank(instance, 0, rounding), graph)
    assert sorted(place.tolist()) == list(range(graph.tasks)) and place.dtype == np.int32
    assert (place[graph.edges[:, 0]] < place[graph.edges[:, 1]]).all()


def test_all_ties_leave_the_topological_order():
    graph = build([[0], [0], [0], [0]], [(3, 0, 0), (0, 2, 0)]).graphs[0]
    assert graph.order.tolist() == [1, 3, 0, 2]
    assert ranks.priority_order(np.zeros(4), graph).tolist() == [2, 0, 3, 1]
    assert ranks.positions(graph).tolist() == [2, 0, 3, 1]


@given(instances(), st.sampled_from(ROUNDINGS), st.randoms(use_true_random=False))
def test_numbering_of_tasks_and_elements_does_not_matter(instance, rounding, random):
    graph = instance.graphs[0]
    task, element = list(range(graph.tasks)), list(range(instance.elements))
    random.shuffle(task)
    random.shuffle(element)
    new = np.argsort(task)  # task t of the new graph is task[t] of the old one
    edges = np.column_stack([new[graph.edges], graph.volume])
    swap = np.ix_(element, element)
    other = build(graph.execution_time[np.ix_(task, element)], edges, instance.latency[swap], instance.bandwidth[swap])
    for rank in (ranks.upward_rank, ranks.downward_rank, ranks.path_priority, ranks.oct_rank, ranks.least_tail):
        assert rank(other, 0, rounding).tolist() == rank(instance, 0, rounding)[task].tolist()
    table = ranks.optimistic_cost_table(instance, 0, rounding)
    assert (ranks.optimistic_cost_table(other, 0, rounding) == table[np.ix_(task, element)]).all()


@given(instances(), st.sampled_from(ROUNDINGS))
def test_links_say_what_the_instance_says(instance, rounding):
    volume = instance.graphs[0].volume
    links, table = Links(instance, rounding), instance.transfer_time(0, rounding)
    assert links.total(volume).tolist() == table.sum(axis=(1, 2)).tolist()
    for source in range(instance.elements):
        assert (links.times(volume, np.full(len(volume), source)) == table[:, source]).all()


def test_links_in_small_portions(monkeypatch):
    rng = np.random.default_rng(0)
    edges = [(i, i + 1, int(v)) for i, v in enumerate(rng.integers(0, 1000, 30))]
    instance = build(np.ones((31, 3), int), edges, 2, rng.integers(1, 50, (3, 3)))
    whole = ranks.mean_transfer(instance, 0)
    monkeypatch.setattr("dispatchgym.envs.soc.links._TABLE_CELLS", 7)
    assert (ranks.mean_transfer(instance, 0) == whole).all()


def test_many_feasible_sets_stay_exact():
    """The common denominator of 1 to 40 has more than 50 bits."""
    rng = np.random.default_rng(1)
    times = rng.integers(1, 100_000, (40, 40))
    for task in range(40):
        times[task, task + 1 :] = -1
    instance = build(times, [(i, i + 1, int(v)) for i, v in enumerate(rng.integers(1, 1000, 39))], 3, 7)
    paper = Definitions(instance, "up")
    assert ranks.upward_rank(instance, 0).tolist() == [float(paper.upward(t)) for t in range(40)]


def test_largest_times_on_most_elements_do_not_overflow():
    """1024 PEs make a unit of 2**20 to the microsecond, and the path is nearly as long as an instance allows."""
    times = np.full((2, 1024), 2**26)
    times[1, 1:] = 2**26 + 3
    instance = build(times, [(0, 1, 2**26)])
    stay, go = Fraction(2**26 + 3), Fraction(2**26 + 2**26)
    assert ranks.optimistic_cost_table(instance, 0)[0].tolist() == [2.0**26] + [float(min(stay, go))] * 1023
    mean = Fraction(1023 * (2**26 + 3) + 2**26, 1024)
    assert ranks.upward_rank(instance, 0)[0] == float(2**26 + 2**26 + mean)
    assert ranks.oct_rank(instance, 0)[0] == float(mean)


def test_one_element_transfers_nothing():
    instance = build([[2], [3]], [(0, 1, 100)], 5)
    assert ranks.mean_transfer(instance, 0).tolist() == [0.0]
    assert ranks.upward_rank(instance, 0).tolist() == [5.0, 3.0]
    assert ranks.optimistic_cost_table(instance, 0).tolist() == [[3.0], [0.0]]


def test_tasks_without_edges():
    instance = build([[2, 4], [3, -1]], [])
    assert ranks.upward_rank(instance, 0).tolist() == [3.0, 3.0]
    assert ranks.mean_transfer(instance, 0).tolist() == []
    assert ranks.optimistic_cost_table(instance, 0).tolist() == [[0.0, 0.0], [0.0, np.inf]]
    assert ranks.least_tail(instance, 0).dtype == np.int64


def test_another_graph_of_a_stream_has_its_own_ranks(topcuoglu, arabnejad):
    graphs = (topcuoglu.graphs[0], arabnejad.graphs[0])
    stream = SoCInstance("two", graphs, np.zeros((3, 3), int), np.ones((3, 3), int))
    assert ranks.upward_rank(stream, 0)[0] == 108
    assert ranks.upward_rank(stream, 1)[0] == 169
    assert ranks.critical_path(stream, 1)[0].tolist() == [0, 4, 8, 9]


def test_an_unknown_rounding_is_refused(topcuoglu):
    for rank in (ranks.mean_transfer, ranks.upward_rank, ranks.critical_path, ranks.optimistic_cost_table):
        with pytest.raises(UnknownNameError, match="unknown rounding 'nearest'; known: down, up"):
            rank(topcuoglu, 0, "nearest")
