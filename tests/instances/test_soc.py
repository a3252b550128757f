"""The published SoC instances have the figures that papers give for them, and bounds that can be true."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError, UnknownNameError
from dispatchgym.instances import soc


def predecessors_and_successors(graph):
    """For each task the (task, volume) that precede and follow it."""
    links = [*zip(graph.edges.tolist(), graph.volume.tolist(), strict=True)]
    before = [[(a, v) for (a, b), v in links if b == task] for task in range(graph.tasks)]
    after = [[(b, v) for (a, b), v in links if a == task] for task in range(graph.tasks)]
    return before, after


def upward_ranks(graph):
    """Topcuoglu et al. (2002), equation 8, for a mean bandwidth of 1."""
    _, after = predecessors_and_successors(graph)
    rank = [0.0] * graph.tasks
    for task in graph.order[::-1]:
        rank[task] = graph.execution_time[task].mean() + max([v + rank[t] for t, v in after[task]], default=0)
    return rank


def downward_ranks(graph):
    before, _ = predecessors_and_successors(graph)
    rank = [0.0] * graph.tasks
    for task in graph.order:
        rank[task] = max([rank[t] + graph.execution_time[t].mean() + v for t, v in before[task]], default=0)
    return rank


def optimistic_costs(graph):
    """Arabnejad and Barbosa (2014), equation 7."""
    _, after = predecessors_and_successors(graph)
    elements = graph.execution_time.shape[1]
    table = np.zeros(graph.execution_time.shape)
    for task in graph.order[::-1]:
        for p in range(elements):
            table[task, p] = max(
                [min(table[t, q] + graph.execution_time[t, q] + (p != q) * v for q in range(elements))
                 for t, v in after[task]],
                default=0,
            )  # fmt: skip
    return table


def test_topcuoglu_has_the_published_ranks():
    (graph,) = soc.load("topcuoglu").graphs
    upward = [108, 77, 80, 80, 69, 63.333, 42.667, 35.667, 44.333, 14.667]
    assert upward_ranks(graph) == pytest.approx(upward, abs=1e-3)
    assert downward_ranks(graph) == pytest.approx([0, 31, 25, 22, 24, 27, 62.333, 66.667, 63.667, 93.333], abs=1e-3)


def test_arabnejad_has_the_published_table_of_optimistic_costs():
    (graph,) = soc.load("arabnejad").graphs
    assert optimistic_costs(graph).tolist() == [
        [64, 68, 86],
        [42, 39, 42],
        [27, 41, 43],
        [42, 39, 50],
        [28, 37, 28],
        [42, 39, 44],
        [13, 16, 22],
        [13, 16, 33],
        [13, 16, 20],
        [0, 0, 0],
    ]


def test_insertion_has_the_ranks_that_make_a_gap():
    (graph,) = soc.load("insertion").graphs
    assert upward_ranks(graph) == pytest.approx([31, 5, 6.5, 19.5, 3.5])


def test_names_and_numbers_agree_with_the_manifest():
    assert soc.names() == ("topcuoglu", "arabnejad", "insertion") == soc.groups()["examples"]
    for name in soc.names():
        row, instance = soc.SHELF.manifest[name], soc.load(name)
        assert instance.name == name and instance.static
        assert instance.digest == row["digest"]
        assert (instance.tasks, instance.elements) == (int(row["tasks"]), int(row["elements"]))
        assert soc.find(instance.digest) == name
    assert soc.find("0" * 16) is None


@pytest.mark.parametrize(("name", "optimum"), [("topcuoglu", 73), ("arabnejad", 113), ("insertion", 16)])
def test_known_optima(name, optimum):
    bounds, (graph,) = soc.bounds(name), soc.load(name).graphs
    assert (bounds.lower, bounds.upper, bounds.proven, bounds.date) == (optimum, optimum, True, "2026")
    fastest = graph.execution_time.min(axis=1)
    path = [0] * graph.tasks
    for task in graph.order:
        path[task] = fastest[task] + max([path[a] for a, b in graph.edges if b == task], default=0)
    assert max(path) <= optimum < graph.execution_time.sum(axis=0).min()


def test_presets():
    assert "cholesky-4-2g2c" in soc.presets()
    assert soc.preset("cholesky-4-2g2c", 5).name == "cholesky-4-2g2c:5"
    assert soc.find(soc.preset("cholesky-4-2g2c", 5).digest) is None
    with pytest.raises(UnknownNameError, match="random-TASKS"):
        soc.preset("ta01", 0)


def test_files(tmp_path):
    path = tmp_path / "copy.json"
    path.write_text(soc.SHELF.text("insertion.json"))
    copy = soc.read(str(path))
    assert copy.digest == soc.load("insertion").digest and soc.find(copy.digest) == "insertion"


def test_a_changed_number_is_noticed(monkeypatch):
    text = soc.SHELF.text("insertion.json")
    monkeypatch.setattr(soc.SHELF, "text", lambda file: text.replace("[4, 5]", "[4, 6]", 1))
    with pytest.raises(InstanceError, match="insertion.json was changed"):
        soc.SHELF.make("insertion")
