"""The job shop instance refuses nonsense, and its text formats round-trip and survive damage."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.core.instance import Instance
from dispatchgym.envs.job_shop.instance import (
    MAX_OPERATIONS,
    MAX_TIME,
    MAX_WEIGHT,
    JobShopInstance,
    format,
    parse,
    read,
)
from dispatchgym.envs.job_shop.objective import MEASURES, NEED_DUE_DATES, name_of

STANDARD = "# two jobs\n2 3\n0 5 1 6 2 7\n\n2 1 0 2 1 3\n"
TAILLARD = """Nb of jobs, Nb of Machines, Time seed, Machine seed, Upper bound, Lower bound
          2           3   840612802  398197754        1231        1005
Times
 5  6  7
 1  2  3
Machines
 1  2  3
 3  1  2
"""
GENERAL = "2 3 general\n0 5 0 6 0 7 2 1\n1 4\nrelease 3 0\n"
DATED = "2 1\n0 5\n0 6\ndue -3 9\nweight 2 1\nobjective makespan + 3 total_weighted_tardiness\nrelease 0 1\n"


def small(**changes):
    fields = {"name": "small", "machines": 2, "duration": [[3, 4], [5, 0]], "machine": [[0, 1], [1, -1]]}
    return JobShopInstance(**(fields | changes))


@st.composite
def instances(draw):
    jobs, machines = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    square = draw(st.booleans())
    lengths = [machines if square else draw(st.integers(1, 6)) for _ in range(jobs)]
    duration = np.zeros((jobs, max(lengths)), dtype=np.int64)
    machine = np.full((jobs, max(lengths)), -1)
    for job, length in enumerate(lengths):
        duration[job, :length] = draw(st.lists(st.integers(0, 2**20), min_size=length, max_size=length))
        machine[job, :length] = draw(st.lists(st.integers(0, machines - 1), min_size=length, max_size=length))
    release = draw(st.none() | st.lists(st.integers(0, 2**20), min_size=jobs, max_size=jobs))
    due = draw(st.none() | st.lists(st.integers(-(2**20), 2**20), min_size=jobs, max_size=jobs))
    weight = draw(st.none() | st.lists(st.integers(1, 9), min_size=jobs, max_size=jobs))
    known = [name for name in MEASURES if due is not None or name not in NEED_DUE_DATES]
    terms = draw(st.none() | st.dictionaries(st.sampled_from(known), st.integers(1, 20), min_size=1))
    objective = terms and name_of(terms)
    return JobShopInstance("drawn", machines, duration, machine, release, due, weight, objective)


class TestInstance:
    def test_properties(self):
        instance = small(release=[7, 0])
        assert isinstance(instance, Instance)
        assert (instance.jobs, instance.machines, instance.size, instance.total_work) == (2, 2, "2x2", 12)
        assert instance.operations.tolist() == [2, 1] and instance.operations.dtype == np.int32
        assert instance.release.tolist() == [7, 0]
        assert small().release.tolist() == [0, 0]
        assert {instance.duration.dtype, instance.machine.dtype, instance.release.dtype} == {np.dtype(np.int32)}

    def test_arrays_are_read_only_copies(self):
        duration = np.array([[3, 4], [5, 0]], dtype=np.int32)
        instance = small(duration=duration)
        duration[0, 0] = 99
        assert instance.duration[0, 0] == 3
        for array in (instance.duration, instance.machine, instance.release, instance.operations):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1

    def test_columns_that_pad_every_job_are_dropped(self):
        wide = small(duration=[[3, 4, 0], [5, 0, 0]], machine=[[0, 1, -1], [1, -1, -1]])
        assert wide.duration.shape == (2, 2)
        assert wide.digest == small().digest

    def test_digest_depends_on_every_number_and_not_on_the_name(self):
        digest = small().digest
        assert re.fullmatch("[0-9a-f]{16}", digest)
        assert small(name="other").digest == digest
        for change in (
            {"machines": 3},
            {"duration": [[3, 5], [5, 0]]},
            {"machine": [[1, 1], [1, -1]]},
            {"release": [0, 1]},
        ):
            assert small(**change).digest != digest

    def test_objectives_are_chosen_by_what_jobs_have(self):
        assert small().objective == small(weight=[1, 2]).objective == "makespan"
        assert small(due=[5, 5]).objective == "total_tardiness"
        assert small(due=[5, 5], weight=[1, 2]).objective == "total_weighted_tardiness"
        assert small(due=[5, 5], objective="makespan").objective == "makespan"
        assert small(objective="2 TOTAL_FLOW_TIME+makespan").objective == "makespan + 2 total_flow_time"

    def test_what_is_classic_and_how_gaps_are_measured(self):
        assert small().classic and small(release=[7, 0]).classic and small().gap_scale is None
        assert not small(weight=[1, 2]).classic and not small(due=[5, 5], objective="makespan").classic
        assert small(objective="total_flow_time").gap_scale is None
        dated = small(due=[5, 5])
        assert dated.gap_scale == dated.scale == 2 * 9  # two jobs, each tardy for the nine units of machine 1

    def test_weights_of_one_and_due_dates_in_the_digest(self):
        assert small(weight=[1, 1]).digest == small().digest and small(weight=[1, 1]).weight.tolist() == [1, 1]
        different = [small(), small(due=[5, 5]), small(due=[5, 6]), small(weight=[1, 2]), small(weight=[5, 5])]
        different += [small(objective="total_flow_time"), small(due=[5, 5], objective="makespan")]
        assert len({instance.digest for instance in different}) == len(different)
        assert small().digest == "20b32524c894822d"  # what was published before there were due dates keeps its digest

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"due": [5]}, "due .* do not agree"),
            ({"weight": [5]}, "weight .* do not agree"),
            ({"due": [5, MAX_TIME + 1]}, "job 1: due"),
            ({"due": [5, 0.5]}, "due must hold .* got float64"),
            ({"weight": [0, 1]}, "job 0: weight 0 is not 1 to"),
            ({"weight": [1, MAX_WEIGHT + 1]}, "job 1: weight"),
            ({"objective": "total_tardiness"}, "objective total_tardiness needs due dates"),
            ({"objective": "beauty"}, "unknown measure 'beauty'"),
            ({"objective": "-1 makespan"}, "plus signs"),
            (
                {
                    "duration": [[3, 4], [MAX_TIME - 8, 0]],
                    "weight": [MAX_WEIGHT] * 2,
                    "objective": "1000 total_weighted_flow_time",
                },
                "the objective may reach",
            ),
            ({"duration": [[3, -4], [5, 0]]}, "job 0, operation 1: duration -4"),
            ({"duration": [[3, 4], [MAX_TIME + 1, 0]]}, "job 1, operation 0: duration"),
            ({"duration": [[3, 4], [5, 6]]}, "job 1, operation 1: duration 6 belongs to no operation"),
            ({"machine": [[0, 2], [1, -1]]}, "job 0, operation 1: machine 2 is not"),
            ({"machine": [[0, 1], [-2, -1]]}, "job 1, operation 0: machine -2 is not"),
            ({"machine": [[0, 1], [-1, 1]], "duration": [[3, 4], [0, 5]]}, "job 1, operation 1: machine 1 follows"),
            ({"machine": [[0, 1], [-1, -1]], "duration": [[3, 4], [0, 0]]}, "job 1, operation 0: .* without any"),
            ({"duration": [[3, 4], [MAX_TIME - 7, 0]]}, "job 1: durations"),
            ({"release": [0, MAX_TIME - 12]}, "job 1: durations and latest release"),
            ({"release": [0, -1]}, "job 1: release -1"),
            ({"release": [0]}, "do not agree"),
            ({"machine": [[0, 1]]}, "do not agree"),
            ({"duration": [[3, 4], [5]]}, "duration is not a rectangular array"),
            ({"duration": [[3, 4.5], [5, 0]]}, "duration must hold .* got float64"),
            ({"duration": [[3, 2**70], [5, 0]]}, "duration must hold .* got object"),
            ({"duration": [[True, True], [True, False]]}, "duration must hold .* got bool"),
            ({"duration": [3, 4]}, "duration must hold"),
            ({"duration": np.zeros((0, 3), int)}, "duration must hold"),
            ({"machines": 0}, "number of machines"),
            ({"machines": 2.0}, "machines must be an integer"),
            ({"machines": True}, "machines must be an integer"),
            ({"name": ""}, "a name is"),
            ({"name": "a\nb"}, "a name is"),
            ({"duration": np.broadcast_to(np.int8(0), (2, MAX_OPERATIONS))}, "duration must hold"),
        ],
    )
    def test_nonsense_is_refused(self, changes, message):
        with pytest.raises(InstanceError, match=message):
            small(**changes)

    def test_unsigned_values_that_int64_cannot_hold_do_not_pass_for_padding(self):
        with pytest.raises(InstanceError, match="job 1, operation 1: machine"):
            small(machine=np.array([[0, 1], [1, 2**64 - 1]], dtype=np.uint64))

    def test_the_largest_total_is_accepted(self):
        assert small(duration=[[3, 4], [MAX_TIME - 8, 0]]).total_work == MAX_TIME - 1


class TestFormats:
    def test_both_formats_say_the_same(self):
        standard, taillard = parse(STANDARD, "two.txt"), parse(TAILLARD, "two.txt")
        assert standard.duration.tolist() == [[5, 6, 7], [1, 2, 3]]
        assert standard.machine.tolist() == [[0, 1, 2], [2, 0, 1]]
        assert standard.name == "two"
        assert standard.digest == taillard.digest
        plain = TAILLARD.split("\n", 2)[2]
        assert parse("2 3\n" + plain).digest == parse("2 3 1 2 3 4\n" + plain.upper()).digest == standard.digest

    def test_general_routes_and_release_dates(self):
        instance = parse(GENERAL, name="general")
        assert instance.machine.tolist() == [[0, 0, 0, 2], [1, -1, -1, -1]]
        assert instance.duration.tolist() == [[5, 6, 7, 1], [4, 0, 0, 0]]
        assert instance.release.tolist() == [3, 0] and instance.name == "general"

    def test_due_dates_weights_and_an_objective_in_any_order(self):
        instance = parse(DATED)
        assert instance.due.tolist() == [-3, 9] and instance.weight.tolist() == [2, 1]
        assert instance.release.tolist() == [0, 1]
        assert instance.objective == "makespan + 3 total_weighted_tardiness"
        assert parse(format(instance)).digest == instance.digest
        assert parse("2 1\n0 5\n0 6\nDue 3\t9\n").objective == "total_tardiness"
        assert "due" not in format(small()) and format(small(due=[1, 2])).endswith(
            "due 1 2\nobjective total_tardiness\n"
        )

    def test_line_endings_and_a_byte_order_mark_do_not_matter(self):
        for text in (STANDARD.replace("\n", "\r\n"), STANDARD.replace("\n", "\r"), "\ufeff" + STANDARD):
            assert parse(text).digest == parse(STANDARD).digest

    @settings(deadline=None)
    @given(instances())
    def test_every_instance_round_trips(self, instance):
        assert parse(format(instance)).digest == instance.digest
        if (instance.operations == instance.machines).all():
            assert parse(format(instance, "taillard")).digest == instance.digest
        else:
            with pytest.raises(OptionError, match="taillard"):
                format(instance, "taillard")

    def test_an_unknown_style_lists_the_known_ones(self):
        with pytest.raises(UnknownNameError, match="standard, taillard"):
            format(small(), "json")

    @pytest.mark.parametrize(
        ("text", "line", "message"),
        [
            ("", 1, "the text ends where a first line"),
            ("# nothing\n\n", 2, "the text ends where a first line"),
            ("2", 1, "found 1 number"),
            ("2 3", 1, "ends where the line of job 0"),
            ("0 3\n", 1, "0 jobs on 3 machines"),
            ("3 0\n", 1, "3 jobs on 0 machines"),
            ("1000000000 1000000000\n0 1", 1, "1000000000 jobs"),
            ("1000001 1 general\n0 1", 1, "1000001 jobs"),
            ("99999999999 2\n", 1, "at most 10 digits"),
            ("-1 2\n", 1, "found '-1'"),
            ("two three\n", 1, "found 'two'"),
            ("1 2 3 4 5 6 7\n", 1, "at most 6 numbers"),
            ("2 2 2\n0 1 1 1\n0 1 1 1\n", 2, "expected the word Times"),
            ("2 2\n0 1 1 1\n0 1\n", 3, "job 1: expected 2 pairs of machine and duration, found 2 numbers"),
            ("2 2\n0 1 1 1\n0 1 1\n", 3, "job 1: expected 2 pairs"),
            ("2 2\n0 1 1 1 0 1\n", 2, "at most 4 numbers"),
            ("2 2\n0 1 1 1\n", 2, "ends where the line of job 1 of 2"),
            ("2 2\n0 1 1 1\n\n0 1 2 1\n", 4, "job 1, operation 1: machine 2 is not"),
            ("2 2\n0 1 1 1\n0 1 1 x\n", 3, "found 'x'"),
            ("2 2\n0 1 1 1\n0 1 1 9999999999\n", 3, "job 1, operation 1: duration"),
            (f"2 2\n0 1 1 1\n0 1 1 {MAX_TIME - 1}\n", 3, "job 1: durations"),
            ("1 2\n0 1 1 1\n0 1 1 1\n", 3, "found another line"),
            ("1 2\n0 1 1 1\nrelease\n", 3, "expected 1 release dates, found 0"),
            ("1 2\n0 1 1 1\nrelease 1 2\n", 3, "at most 1 numbers"),
            (f"1 2\n0 1 1 1\nrelease {MAX_TIME + 1}\n", 3, "job 0: release"),
            ("1 2\n0 1 1 1\nrelease 1\n7\n", 4, "expected the end"),
            ("1 2\n0 1 1 1\nrelease 1\nrelease 1\n", 4, "expected the end or 'due', 'weight', 'objective'"),
            ("1 2\n0 1 1 1\ndue\n", 3, "expected 1 due dates, found 0"),
            ("1 2\n0 1 1 1\ndue -\n", 3, "found '-'"),
            ("1 2\n0 1 1 1\ndue --5\n", 3, "found '-5'"),
            ("1 2\n0 1 1 1\ndue 1 -2\n", 3, "at most 1 numbers"),
            ("1 2\n0 1 1 1\nrelease -1\n", 3, "found '-1'"),
            (f"1 2\n0 1 1 1\ndue -{MAX_TIME + 1}\n", 3, "job 0: due"),
            ("1 2\n0 1 1 1\nweight 0\n", 3, "job 0: weight 0"),
            ("1 2\n0 1 1 1\nweight 2 3\n", 3, "at most 1 numbers"),
            ("1 2\n0 1 1 1\nobjective beauty\n", 3, "unknown measure 'beauty'"),
            ("1 2\n0 1 1 1\nobjective\n", 3, "plus signs"),
            ("1 2\n0 1 1 1\nobjective number_tardy\nweight 1\n", 3, "this objective needs due dates"),
            (
                f"1 1\n0 {MAX_TIME - 1}\nobjective 1000 total_weighted_flow_time\nweight {MAX_WEIGHT}\n",
                4,
                "the objective may reach",
            ),
            ("1 2 general\n0 1 1\n", 2, "expected pairs"),
            ("1 2 generally\n0 1 1 1\n", 1, "found 'generally'"),
            ("Nb of jobs, Nb of Machines\n2 2\n0 1 1 1\n", 3, "expected the word Times"),
            ("2 2\nTimes\n1 2\n3 4\n1 2\n2 1\n", 5, "expected the word Machines"),
            ("2 2\nTimes\n1 2\n3 4\nMachines\n1 2\n2 0\n", 7, "numbered from 1 in this format, found 0"),
            ("2 2\nTimes\n1 2\n3 4\nMachines\n1 2\n2 3\n", 7, "job 1, operation 1: machine 2 is not"),
            ("2 2\nTimes\n1 2\n3\n", 4, "job 1: expected 2 numbers, found 1"),
            ("2 2\nTimes\n1 2\n3 9999999999\nMachines\n1 2\n2 1\n", 4, "job 1, operation 1: duration"),
            ("2 2\n0 1 1 1\n0 1 1 １\n", 3, "expected ASCII"),
        ],
    )
    def test_malformed_text_names_the_line(self, text, line, message):
        with pytest.raises(InstanceError, match=f"^file.txt:{line}: .*{re.escape(message)}"):
            parse(text, "file.txt")

    def test_a_general_route_cannot_make_the_padded_array_huge(self):
        jobs = 1000
        long = " ".join(["0 1"] * (MAX_OPERATIONS // jobs + 1))
        with pytest.raises(InstanceError, match="^text:2: expected at most 2000 numbers"):
            parse(f"{jobs} 1 general\n{long}\n" + "0 1\n" * (jobs - 1))

    @settings(deadline=None, max_examples=300)
    @given(
        st.sampled_from([STANDARD, TAILLARD, GENERAL, DATED]),
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.integers(0, 255)), min_size=1, max_size=4),
    )
    def test_damaged_bytes_give_an_instance_or_a_located_error(self, text, changes):
        data = bytearray(text.encode())
        for place, kind, byte in changes:
            place %= len(data) + 1
            if kind == 0:
                data[place : place + 1] = bytes([byte])
            elif kind == 1:
                data.insert(place, byte)
            elif kind == 2:
                del data[place : place + 1]
            else:
                del data[place:]
        damaged = data.decode("utf-8", errors="replace")
        try:
            assert isinstance(parse(damaged, "fuzz"), JobShopInstance)
        except InstanceError as error:
            assert error.where == "fuzz" and error.line is not None
            assert 1 <= error.line <= len(re.findall(r"\r\n|\r|\n", damaged)) + 1


class TestRead:
    def test_a_file_is_named_after_itself(self, tmp_path):
        path = tmp_path / "mine.txt"
        path.write_text(STANDARD)
        assert read(path).name == "mine"
        assert read(str(path)).digest == parse(STANDARD).digest

    def test_errors_carry_the_path_and_line(self, tmp_path):
        path = tmp_path / "cut.txt"
        path.write_text(STANDARD[:-4])
        with pytest.raises(InstanceError) as caught:
            read(path)
        assert (caught.value.where, caught.value.line) == (str(path), 5)

    def test_missing_files_folders_and_binary_files_are_refused(self, tmp_path):
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        for path in (tmp_path / "missing", tmp_path, tmp_path / "binary"):
            with pytest.raises(InstanceError, match=re.escape(str(path))):
                read(path)
