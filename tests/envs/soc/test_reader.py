"""The JSON format: what is missing, unknown, out of range or torn is refused by the name of its field."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.soc import reader
from dispatchgym.envs.soc.instance import parse
from dispatchgym.envs.soc.reader import read_fields

STATIC = {
    "family": "soc",
    "name": "two tasks",
    "execution_time": [[3, 5], [None, 2]],
    "edges": [[0, 1, 10]],
    "latency": 1,
    "bandwidth": [[1, 4], [4, 1]],
    "kinds": ["cpu", "gpu"],
    "world": 3,
}
STREAM = {
    "family": "soc",
    "jobs": [
        {"name": "a", "execution_time": [[3, 5]], "edges": []},
        {"execution_time": [[1, 1], [2, 2]], "edges": [[0, 1, 5]]},
    ],
    "arrivals": [[0, 1], [4, 0]],
    "latency": 0,
    "bandwidth": 2,
    "warmup": 2,
}
PROCESS = {"process": "poisson", "gap": 25, "jobs": 40, "mix": [3, 1], "seed": 8}


def changed(base, path, value):
    """A copy with one entry replaced, or removed where the value is ``...``."""
    data = json.loads(json.dumps(base))
    *inner, last = path
    place = data
    for key in inner:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(data)


def test_one_job():
    fields = read_fields(json.dumps(STATIC), "text")
    (graph,) = fields["graphs"]
    assert graph.name == fields["name"] == "two tasks"
    assert graph.execution_time.tolist() == [[3, 5], [-1, 2]]
    assert graph.edges.tolist() == [[0, 1]] and graph.volume.tolist() == [10]
    assert fields["latency"].tolist() == [[1, 1], [1, 1]]
    assert fields["bandwidth"].tolist() == [[1, 4], [4, 1]]
    assert (fields["kinds"], fields["world"]) == (("cpu", "gpu"), 3)
    assert "arrival_time" not in fields and parse(json.dumps(STATIC)).static


def test_diagonals_are_not_looked_at():
    assert parse(changed(STATIC, ["bandwidth"], [[0, 4], [4, 0]])).digest == parse(json.dumps(STATIC)).digest


def test_stream():
    fields = read_fields(json.dumps(STREAM), "text")
    assert [graph.name for graph in fields["graphs"]] == ["a", "job1"]
    assert (fields["arrival_time"].tolist(), fields["arrival_graph"].tolist()) == ([0, 4], [1, 0])
    assert fields["warmup"] == 2 and "name" not in fields


def test_processes_are_drawn_by_their_seed():
    def arrivals(**changes):
        fields = read_fields(changed(STREAM, ["arrivals"], PROCESS | changes), "text")
        return fields["arrival_time"].tolist(), fields["arrival_graph"].tolist()

    time, graph = arrivals()
    assert len(time) == len(graph) == 40 and time == sorted(time) and set(graph) == {0, 1}
    assert arrivals() == (time, graph)
    assert arrivals(seed=9) != (time, graph)
    assert set(arrivals(mix=[0, 1])[1]) == {1}
    fixed = changed(STREAM, ["arrivals"], {"process": "fixed", "gap": 7, "jobs": 3})
    assert read_fields(fixed, "text")["arrival_time"].tolist() == [0, 7, 14]
    batch = changed(STREAM, ["arrivals"], {"process": "batch", "jobs": 3})
    assert read_fields(batch, "text")["arrival_time"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["family"], ..., "family: missing; the keys are family, name, latency"),
        (["family"], "job_shop", 'family: expected "soc", found "job_shop"'),
        (["edges"], ..., "edges: missing"),
        (["bandwidth"], ..., "bandwidth: missing"),
        (
            ["edge"],
            [],
            "edge: unknown key; known: family, name, latency, bandwidth, kinds, world, execution_time, edges",
        ),
        (["a b"], [], '"a b": unknown key'),
        (["warmup"], 0, "warmup: unknown key"),
        (["arrivals"], [[0, 0]], "execution_time: unknown key; known: .* jobs, arrivals, warmup"),
        (["name"], "", "name: expected one line"),
        (["name"], "a\nb", "name: expected one line"),
        (["execution_time"], 3, "execution_time: expected a list, found 3"),
        (["execution_time"], [], "execution_time: expected a row for each task"),
        (["execution_time"], [[], []], "execution_time: expected a row for each task"),
        (["execution_time", 1], [2], r"execution_time\[1\]: expected 2 entries, found 1"),
        (["execution_time", 1], None, r"execution_time\[1\]: expected a list, found null"),
        (["execution_time", 1, 1], -1, r"execution_time\[1\]\[1\]: expected a whole number .* or null, found -1"),
        (["execution_time", 1, 1], 2.0, r"execution_time\[1\]\[1\]: .* found 2.0"),
        (["execution_time", 1, 1], True, r"execution_time\[1\]\[1\]: .* found true"),
        (["execution_time", 1, 1], "2", r'execution_time\[1\]\[1\]: .* found "2"'),
        (["execution_time", 1, 1], float("nan"), r"execution_time\[1\]\[1\]: .* found NaN"),
        (["execution_time", 1, 1], float("inf"), r"execution_time\[1\]\[1\]: .* found Infinity"),
        (["execution_time", 1, 1], 10**30, r"execution_time\[1\]\[1\]: .* found a number of more than 19 digits"),
        (["execution_time", 1, 1], None, r"execution_time\[1\]: the task can run on no PE"),
        (["edges", 0], [0, 1], r"edges\[0\]: expected \[source, target, volume\], found a list of 2"),
        (["edges", 0], [0, 2, 1], r"edges\[0\]: 0 -> 2 leaves the tasks 0 to 1"),
        (["edges", 0], [0, 0, 1], r"edges\[0\]: task 0 cannot precede itself"),
        (["edges", 0], [0, 1, -1], r"edges\[0\].volume: expected a whole number"),
        (["edges"], [[0, 1, 1], [1, 0, 1]], "edges: the tasks 0 -> 1 -> 0 wait"),
        (["edges"], {}, "edges: expected a list, found an object of 0"),
        (["latency"], -1, "latency: expected a whole number from 0 .* or a matrix, found -1"),
        (["latency"], [[0, 1]], "latency: expected 2 entries, found 1"),
        (["latency"], [[0, 1], [1]], r"latency\[1\]: expected 2 entries"),
        (["bandwidth"], 0, "bandwidth: expected a whole number from 1"),
        (["bandwidth", 0, 1], 0, r"bandwidth\[0\]\[1\]: expected a whole number from 1"),
        (["kinds"], ["cpu"], "kinds must be 2 words"),
        (["kinds", 1], 5, r"kinds\[1\]: expected one line"),
        (["kinds"], ["cpu"] * 3, "kinds: expected at most 2 entries"),
        (["world"], 2**31, "world: expected a whole number from 0 to 2147483647"),
        (["world"], None, "world: .* found null"),
    ],
)
def test_what_is_wrong_with_one_job_is_named(path, value, message):
    with pytest.raises(InstanceError, match="^a.json: " + message):
        parse(changed(STATIC, path, value), "a.json")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["arrivals"], ..., "arrivals: missing"),
        (["jobs"], ..., "jobs: missing"),
        (["jobs"], [], "jobs: expected at least one"),
        (["jobs", 0], 3, r"jobs\[0\]: expected an object with the keys name, execution_time, edges, found 3"),
        (["jobs", 1, "edges"], ..., r"jobs\[1\].edges: missing"),
        (["jobs", 1, "edge"], [], r"jobs\[1\].edge: unknown key"),
        (["jobs", 1, "name"], "", r"jobs\[1\].name: expected one line"),
        (["jobs", 1, "edges", 0], [0, 7, 1], r"jobs\[1\].edges\[0\]: 0 -> 7 leaves"),
        (["jobs", 1, "execution_time", 1, 0], -4, r"jobs\[1\].execution_time\[1\]\[0\]: expected a whole number"),
        (["jobs", 1, "execution_time"], [[1], [2]], r"graphs\[1\] has execution times on 1 PEs and graphs\[0\] on 2"),
        (["arrivals"], [], "arrival_time has 0 jobs"),
        (["arrivals"], 5, r"arrivals: expected a list of \[time, job\] or an object, found 5"),
        (["arrivals", 1], [4], r"arrivals\[1\]: expected \[time, job\]"),
        (["arrivals", 1, 0], 0.5, r"arrivals\[1\].time: .* found 0.5"),
        (["arrivals", 1, 1], 2, r"arrival_graph\[1\]: 2 is not one of the graphs 0 to 1"),
        (["arrivals", 0, 0], 5, r"arrival_time\[1\]: 4 is before"),
        (["warmup"], 5, "warmup must be 0 to 4"),
        (
            ["arrivals"],
            PROCESS | {"process": "weibull"},
            'arrivals.process: expected one of poisson, fixed, batch, found "w',
        ),
        (["arrivals"], PROCESS | {"gap": 2.5}, "arrivals.gap: .* found 2.5"),
        (["arrivals"], PROCESS | {"gap": 0}, "arrivals: gap must be 1 to"),
        (["arrivals"], PROCESS | {"jobs": 0}, "arrivals.jobs: expected a whole number from 1"),
        (["arrivals"], PROCESS | {"mix": [1]}, "arrivals.mix: expected 2 entries, found 1"),
        (["arrivals"], PROCESS | {"mix": [1, -1]}, r"arrivals.mix\[1\]: expected a whole number"),
        (["arrivals"], PROCESS | {"mix": [0, 0]}, "arrivals: the weights of mix sum to 0"),
        (["arrivals"], PROCESS | {"seed": -1}, "arrivals.seed: expected a whole number"),
        (["arrivals"], PROCESS | {"rate": 1}, "arrivals.rate: unknown key; known: process, gap, jobs, mix, seed"),
        (["arrivals"], {"process": "poisson", "gap": 5}, "arrivals.jobs: missing"),
        (["arrivals"], {"process": "batch", "gap": 5, "jobs": 3}, "arrivals: a batch has no gap"),
    ],
)
def test_what_is_wrong_with_a_stream_is_named(path, value, message):
    with pytest.raises(InstanceError, match="^a.json: " + message):
        parse(changed(STREAM, path, value), "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.json:1: not JSON"),
        ("[1, 2]", "expected a JSON object"),
        ("3", "expected a JSON object"),
        ('{\n"family": "soc",\n}', "a.json:3: not JSON"),
        ('{"family": "soc"} 1', "a.json:1: not JSON"),
        ('{"family": "soc", "family": "soc"}', 'the key "family" stands twice'),
        ("[" * 200_000, "nested too deep"),
        ('{"a": ' * 200_000, "nested too deep"),
        ('{"world": ' + "9" * 5000 + "}", "cannot|can be read"),
    ],
)
def test_what_is_no_instance_at_all(text, message):
    with pytest.raises(InstanceError, match=message):
        read_fields(text, "a.json")


def test_size_is_capped_before_anything_is_taken_apart(monkeypatch):
    def never(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(reader.json, "loads", never)
    with pytest.raises(InstanceError, match="too large"):
        read_fields("[]" * (reader.MAX_LISTS + 1), "text")
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 5)
    with pytest.raises(InstanceError, match="too large"):
        read_fields("123456", "text")


def test_a_table_of_too_many_entries_is_refused(monkeypatch):
    monkeypatch.setattr(reader, "MAX_CELLS", 3)
    with pytest.raises(InstanceError, match="execution_time: .* at most 3 entries"):
        read_fields(json.dumps(STATIC), "text")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([json.dumps(STATIC), json.dumps(STREAM)]), st.data())
def test_damage_is_noticed_or_harmless(text, data):
    place = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(st.sampled_from(["", "0", "-", '"', "[", "]", "{", "}", ",", ":", "null", "1e5", "\x00", "é"]))
    length = data.draw(st.integers(0, 4))
    try:
        instance = parse(text[:place] + piece + text[place + length :], "a.json")
    except InstanceError as error:
        assert str(error).startswith("a.json:")
    else:
        assert instance.longest_makespan < 2**28 and np.all(instance.bandwidth >= 1)
