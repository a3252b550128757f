"""The SoC instance refuses nonsense, knows its sizes, and its text reads back."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.core.instance import Instance
from dispatchgym.envs.soc import instance as module
from dispatchgym.envs.soc.instance import JobGraph, SoCInstance, format, parse, read
from dispatchgym.envs.soc.job_graph import MAX_TIME

A = JobGraph("a", [[3, 5], [-1, 2]], [[0, 1]], [10])
B = JobGraph("b", [[4, 4], [1, 2], [6, 1]], [[0, 2], [1, 2]], [7, 0])


def small(**changes):
    fields = {"name": "small", "graphs": (A,), "latency": [[9, 1], [2, 9]], "bandwidth": [[0, 4], [3, 0]]}
    return SoCInstance(**(fields | changes))


def stream(**changes):
    return small(**({"graphs": (A, B), "arrival_time": [0, 5, 5], "arrival_graph": [1, 0, 1]} | changes))


@st.composite
def instances(draw):
    elements = draw(st.integers(1, 3))
    number = st.integers(0, 2**12)
    matrix = st.lists(st.lists(number, min_size=elements, max_size=elements), min_size=elements, max_size=elements)
    graphs = []
    for index in range(draw(st.integers(1, 3))):
        tasks = draw(st.integers(1, 4))
        row = st.lists(number | st.just(-1), min_size=elements, max_size=elements).filter(lambda r: max(r) >= 0)
        times = draw(st.lists(row, min_size=tasks, max_size=tasks))
        pairs = [(a, b) for a in range(tasks) for b in range(a + 1, tasks)]
        edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=4)) if pairs else []
        graphs.append(JobGraph(f"graph {index}", times, edges, [draw(number) for _ in edges]))
    jobs = draw(st.integers(1, 4))
    time = np.sort([draw(number) for _ in range(jobs)])
    return SoCInstance(
        "drawn",
        tuple(graphs),
        draw(matrix),
        np.array(draw(matrix)) + 1,
        draw(st.none() | st.lists(st.sampled_from(["cpu", "gpu", "dsp"]), min_size=elements, max_size=elements)),
        time,
        [draw(st.integers(0, len(graphs) - 1)) for _ in range(jobs)],
        draw(st.integers(0, int(time[-1]))),
        draw(st.integers(0, 2**31 - 1)),
    )


class TestInstance:
    def test_one_job(self):
        instance = small()
        assert isinstance(instance, Instance)
        assert (instance.elements, instance.jobs, instance.tasks, instance.widest) == (2, 1, 2, 2)
        assert instance.static and instance.objective == "makespan"
        assert instance.kinds == ("cpu", "cpu") and (instance.warmup, instance.world) == (0, 0)
        assert instance.size == "2 tasks x 2 PEs"
        assert small(graphs=(JobGraph("one", [[1]], [], []),), latency=[[0]], bandwidth=[[1]]).size == "1 task x 1 PE"

    def test_stream(self):
        instance = stream(kinds=["cpu", "gpu"], warmup=5, world=7)
        assert (instance.jobs, instance.tasks, instance.widest) == (3, 8, 3)
        assert not instance.static and instance.objective == "mean_latency"
        assert (instance.kinds, instance.warmup, instance.world) == (("cpu", "gpu"), 5, 7)
        assert instance.size == "3 jobs x 2 PEs"
        late = small(arrival_time=[3])
        assert not late.static and late.arrival_graph.tolist() == [0] and late.size == "1 job x 2 PEs"

    def test_diagonals_are_ignored(self):
        instance = small()
        assert instance.latency.tolist() == [[0, 1], [2, 0]]
        assert instance.bandwidth.tolist() == [[1, 4], [3, 1]]
        assert small(latency=[[5, 1], [2, 0]]).digest == instance.digest

    def test_arrays_are_read_only_int32_copies(self):
        latency = np.array([[0, 1], [2, 0]], dtype=np.int32)
        instance = small(latency=latency)
        latency[0, 1] = 99
        assert instance.latency[0, 1] == 1
        for array in (instance.latency, instance.bandwidth, instance.arrival_time, instance.arrival_graph):
            assert array.dtype == np.int32
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1

    def test_digest_depends_on_every_number_and_kind_and_not_on_names(self):
        digest = stream().digest
        assert re.fullmatch("[0-9a-f]{16}", digest)
        renamed = JobGraph("other", A.execution_time, A.edges, A.volume)
        assert stream(name="other", graphs=(renamed, B)).digest == digest
        assert stream(kinds=("cpu", "cpu")).digest == digest
        changed = [
            {"graphs": (JobGraph("a", [[3, 5], [-1, 3]], [[0, 1]], [10]), B)},
            {"graphs": (JobGraph("a", [[3, 5], [-1, 2]], [[0, 1]], [11]), B)},
            {"graphs": (JobGraph("a", [[3, 5], [-1, 2]], [], []), B)},
            {"graphs": (A, B, B)},
            {"latency": [[0, 1], [3, 0]]},
            {"bandwidth": [[1, 5], [3, 1]]},
            {"kinds": ("cpu", "gpu")},
            {"arrival_time": [0, 5, 6]},
            {"arrival_graph": [1, 1, 1]},
            {"warmup": 1},
            {"world": 1},
        ]
        assert len({stream(**change).digest for change in changed} | {digest}) == len(changed) + 1

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"name": ""}, "a name is one line"),
            ({"graphs": ()}, "graphs must be one JobGraph or more"),
            ({"graphs": A}, "graphs must be one JobGraph or more"),
            ({"graphs": (A, "b")}, "graphs must be one JobGraph or more"),
            ({"graphs": (A, JobGraph("c", [[1]], [], []))}, r"graphs\[1\] has execution times on 1 PEs"),
            ({"graphs": (JobGraph("c", np.ones((1, 1025), int), [], []),)}, "1025 PEs, limit 1024"),
            ({"latency": [[0, -1], [0, 0]]}, r"latency\[0\]\[1\]: -1 is not 0 to"),
            ({"latency": 3}, "latency must hold"),
            ({"latency": [[0]]}, r"latency has shape \(1, 1\)"),
            ({"latency": [[0, 0.5], [0, 0]]}, "latency must hold .* got float64"),
            ({"bandwidth": [[1, 1], [0, 1]]}, r"bandwidth\[1\]\[0\]: 0 is not 1 to"),
            ({"kinds": ("cpu",)}, "kinds must be 2 words"),
            ({"kinds": "ab"}, "kinds must be 2 words"),
            ({"kinds": ("cpu", "")}, r"kinds\[1\]: expected a word"),
            ({"kinds": ("cpu", 3)}, r"kinds\[1\]: expected a word"),
            ({"arrival_time": []}, "arrival_time has 0 jobs"),
            ({"arrival_time": [0, 1], "arrival_graph": [0]}, "arrival_time has 2 jobs and arrival_graph 1"),
            ({"arrival_time": [4, 3]}, r"arrival_time\[1\]: 3 is before the arrival of job 0 at 4"),
            ({"arrival_time": [-1]}, r"arrival_time\[0\]: -1 is not"),
            ({"arrival_graph": [1]}, r"arrival_graph\[0\]: 1 is not one of the graphs 0 to 0"),
            ({"arrival_graph": [-1]}, r"arrival_graph\[0\]: -1 is not"),
            ({"warmup": 1}, r"warmup must be 0 to 0 \(the last arrival"),
            ({"warmup": -1}, "warmup must be 0 to 0"),
            ({"warmup": True}, "warmup must be an integer"),
            ({"world": 2**31}, "world must be 0 to 2147483647"),
            ({"world": 1.0}, "world must be an integer"),
            ({"arrival_time": [MAX_TIME - 10]}, "sum to"),
        ],
    )
    def test_nonsense_is_refused(self, changes, message):
        with pytest.raises(InstanceError, match=message):
            small(**changes)

    def test_too_many_draws_are_refused(self):
        wide = JobGraph("wide", np.zeros((1000, 100), np.int8), [], [])
        flat = np.ones((100, 100), int)
        with pytest.raises(InstanceError, match="the product must stay below"):
            SoCInstance("many", (wide,), flat, flat, None, np.zeros(10_738, int))

    def test_too_many_transfers_are_refused(self):
        chain = np.stack([np.arange(200), np.arange(1, 201)], axis=1)
        graph = JobGraph("chain", np.ones((201, 900), int), chain, [0] * 200)
        flat = np.ones((900, 900), int)
        with pytest.raises(InstanceError, match="edges x PEs x PEs is 162000000, limit 134217728"):
            SoCInstance("many", (graph,), flat, flat)

    @settings(deadline=None)
    @given(instances())
    def test_the_longest_makespan_counts_every_job_by_its_slowest_choice(self, instance):
        total = int(instance.arrival_time[-1])
        for graph in instance.arrival_graph.tolist():
            total += sum(max(row) for row in instance.graphs[graph].execution_time.tolist())
            total += sum(times.max() for times in instance.transfer_time(graph))
        assert instance.longest_makespan == total

    def test_the_longest_makespan_has_a_limit(self):
        # Two jobs of 5 + 2 and a transfer of 2 + ceil(10 / 3) = 6, the second one arriving last.
        most = small(arrival_time=[0, MAX_TIME - 27])
        assert most.longest_makespan == MAX_TIME - 1
        with pytest.raises(InstanceError, match=f"sum to {MAX_TIME}, limit {MAX_TIME - 1}"):
            small(arrival_time=[0, MAX_TIME - 26])


class TestTransferTime:
    def test_latency_and_rounding(self):
        instance = small()
        assert instance.transfer_time(0).tolist() == [[[0, 1 + 3], [2 + 4, 0]]]
        assert instance.transfer_time(0, "down").tolist() == [[[0, 1 + 2], [2 + 3, 0]]]
        assert instance.transfer_time(0).dtype == np.int64

    def test_no_data_still_takes_the_latency(self):
        assert stream().transfer_time(1)[1].tolist() == [[0, 1], [2, 0]]

    def test_no_edges(self):
        assert small(graphs=(JobGraph("c", [[1, 1]], [], []),)).transfer_time(0).shape == (0, 2, 2)

    def test_unknown_arguments_are_refused(self):
        with pytest.raises(UnknownNameError, match="known: down, up"):
            small().transfer_time(0, "nearest")
        for graph in (-1, 1):
            with pytest.raises(OptionError, match="graph must be 0 to 0"):
                small().transfer_time(graph)


class TestFormat:
    @settings(deadline=None)
    @given(instances())
    def test_what_is_written_reads_back(self, instance):
        copy = parse(format(instance), "somewhere.json")
        assert copy.digest == instance.digest
        assert copy.name == instance.name
        assert (copy.kinds, copy.warmup, copy.world) == (instance.kinds, instance.warmup, instance.world)

    def test_one_job_is_written_without_a_stream(self):
        data = json.loads(format(small()))
        assert data == {
            "family": "soc",
            "name": "small",
            "execution_time": [[3, 5], [None, 2]],
            "edges": [[0, 1, 10]],
            "latency": [[0, 1], [2, 0]],
            "bandwidth": [[1, 4], [3, 1]],
        }

    def test_a_stream_keeps_the_names_of_its_jobs(self):
        copy = parse(format(stream(world=3, warmup=2)))
        assert [graph.name for graph in copy.graphs] == ["a", "b"]

    def test_names(self, tmp_path):
        text = format(small())
        assert parse(text, "file.json", "given").name == "given"
        assert parse(text, "file.json").name == "small"
        unnamed = json.dumps({key: value for key, value in json.loads(text).items() if key != "name"})
        assert parse(unnamed, "folder/file.json").name == "file"
        path = tmp_path / "mine.json"
        path.write_text(unnamed)
        assert read(path).name == "mine" and read(path).digest == small().digest

    def test_errors_name_the_file(self, tmp_path):
        path = tmp_path / "broken.json"
        path.write_text(format(stream()).replace('"arrivals": [[0, 1], [5, 0]', '"arrivals": [[9, 1], [5, 0]'))
        with pytest.raises(InstanceError, match=r"broken.json: arrival_time\[1\]: 5 is before"):
            read(path)
        with pytest.raises(InstanceError, match="missing.json: no such file"):
            read(tmp_path / "missing.json")

    def test_large_files_are_not_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
        path = tmp_path / "large.json"
        path.write_text(format(small()))
        with pytest.raises(InstanceError, match="more than the limit of 10"):
            read(path)
