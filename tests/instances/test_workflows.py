"""Workflows become instances: run times over speeds, shared files as volumes."""

import math
from types import SimpleNamespace as Some

import pytest

from dispatchgym.envs.core.errors import InstanceError, OptionError
from dispatchgym.instances.workflows import workflow


def file(name, size):
    return Some(file_id=name, size=size)


def task(runtime, reads=(), writes=()):
    return Some(runtime=runtime, input_files=list(reads), output_files=list(writes))


def diamond(**changes):
    a, b, c = file("a", 1000), file("b", 1), file("c", 505)
    tasks = {
        "end": task(0.0, [b, file("outside", 10**12)]),
        "split": task(2.0, writes=[a, b, c]),
        "left": task(1.5, [a, c], [b]),
        "right": task(0.0001, [c]),
    } | changes
    return Some(
        name="diamond", tasks=tasks, edges=[("split", "left"), ("split", "right"), ("left", "end"), ("right", "end")]
    )


def test_times_and_volumes():
    instance = workflow(diamond(), [1, 2, 0.5], bandwidth=2000, latency=0.0101, ticks_per_second=100)
    (graph,) = instance.graphs
    assert instance.name == graph.name == "diamond" and instance.static and instance.elements == 3
    assert graph.execution_time.tolist() == [[0, 0, 0], [200, 100, 400], [150, 75, 300], [1, 1, 1]]
    assert graph.edges.tolist() == [[1, 2], [1, 3], [2, 0], [3, 0]]
    assert graph.volume.tolist() == [76, 26, 1, 0]  # 20 bytes a tick, rounded up
    assert instance.transfer_time(0)[:, 0, 1].tolist() == [78, 28, 3, 2]


def test_names():
    assert workflow(diamond(), [1], name="mine").name == "mine"
    assert workflow(Some(tasks={"a": task(1)}, edges=[]), [1]).name == "workflow"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speeds": []}, "at least one processor"),
        ({"speeds": [1, 0]}, r"speeds\[1\] must be above 0"),
        ({"speeds": [math.nan]}, r"speeds\[0\] must be a number"),
        ({"bandwidth": 0}, "bandwidth must be above 0"),
        ({"latency": -1}, "latency must be a number of at least 0"),
        ({"ticks_per_second": "1"}, "ticks_per_second must be a number"),
    ],
)
def test_absurd_platforms_are_refused(arguments, message):
    with pytest.raises(OptionError, match=message):
        workflow(diamond(), **({"speeds": [1]} | arguments))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (diamond(left=task(-1.0)), r"tasks\['left'\].runtime: expected a number of at least 0"),
        (diamond(left=task(math.nan)), r"tasks\['left'\].runtime: expected a number"),
        (diamond(left=task(1e9)), r"tasks\['left'\].runtime: .* lower ticks_per_second"),
        (diamond(left=task(1.0, [file("a", None)])), None),
        (diamond(split=task(1.0, writes=[file("a", -5)]), left=task(1.0, [file("a", -5)])), "files of 'split'"),
        (Some(name="none", tasks={}, edges=[]), "expected 1 to 100000 tasks"),
        (Some(name="lost", tasks={"a": task(1)}, edges=[("a", "b")]), "edge 'a' -> 'b': no such task"),
        (Some(name="ring", tasks={"a": task(1), "b": task(1)}, edges=[("a", "b"), ("b", "a")]), "0 -> 1 -> 0"),
        (Some(name="long", tasks={k: task(2e5) for k in "ab"}, edges=[]), "sum to"),
    ],
)
def test_broken_workflows_are_refused(given, message):
    if message is None:  # the size is that of the file as written
        workflow(given, [1])
        return
    with pytest.raises(InstanceError, match=message):
        workflow(given, [1])


def test_a_workflow_of_wfcommons():
    generators = pytest.importorskip("wfcommons")
    recipes = pytest.importorskip("wfcommons.wfchef.recipes")
    made = generators.WorkflowGenerator(recipes.EpigenomicsRecipe.from_num_tasks(50)).build_workflow()
    instance = workflow(made, [1, 1, 2, 0.5])
    (graph,) = instance.graphs
    assert graph.tasks == len(made.tasks) > 40 and len(graph.edges) == made.number_of_edges()
    assert graph.volume.max() > 0 and graph.execution_time[:, 2].sum() < graph.execution_time[:, 0].sum()
