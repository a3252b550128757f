"""The LLM instance refuses nonsense, knows its sessions and groups, and its text reads back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.core.instance import Instance
from dispatchgym.envs.llm.fields import MAX_REQUESTS, MAX_TIME
from dispatchgym.envs.llm.instance import COLUMNS, LLMInstance, format, parse, read
from dispatchgym.envs.llm.profiles import MAX_TOKENS, Profile, profile

SERVER = Profile(10**12, kv_tokens=1600, max_num_seqs=8, token_budget=64)


def small(**changes):
    """Two sessions of a group, the first with a follow-up, and a request on its own."""
    given = {
        "name": "small",
        "servers": (SERVER,),
        "arrival": [0, 500, 0, 9],
        "prompt": [100, 140, 90, 5],
        "output": [20, 7, 3, 1],
        "parent": [-1, 0, -1, -1],
        "group": [1, 1, 1, -1],
        "shared": [64, 64, 64, 0],
    }
    return LLMInstance(**(given | changes))


@st.composite
def instances(draw):
    """Up to eight requests, in sessions and groups, on up to three servers."""
    few = st.integers(0, 3)
    shared = draw(st.lists(st.integers(0, 40), min_size=1, max_size=3))
    rows, clock, open_ends = [], 0, []
    for index in range(draw(st.integers(1, 8))):
        answer = draw(st.integers(1, 50))
        if open_ends and draw(st.booleans()):
            parent = open_ends.pop(draw(st.integers(0, len(open_ends) - 1)))
            row = {"parent": parent, "arrival": draw(st.integers(0, 99)), "group": rows[parent]["group"]}
            row |= {"prompt": rows[parent]["prompt"] + rows[parent]["output"] + draw(st.integers(1, 30))}
        else:
            clock += draw(st.integers(0, 99))
            row = {"parent": -1, "arrival": clock, "group": draw(st.integers(-1, len(shared) - 1))}
            row |= {"prompt": draw(st.integers(41, 90))}
        row |= {"output": answer, "shared": shared[row["group"]] if row["group"] >= 0 else 0}
        row |= {"predicted": draw(st.sampled_from([answer, 33])), "client": draw(few), "priority": draw(few)}
        row |= {f"{what}_target": draw(st.sampled_from([0, 7, 10**9])) for what in ("ttft", "tbt", "e2e")}
        rows.append(row)
        open_ends.append(index)
    servers = draw(st.lists(st.sampled_from([SERVER, profile("serial"), profile("llama-3-8b-h100")]), min_size=1))
    return LLMInstance(
        "drawn",
        tuple(servers[:3]),
        **{what: [row[what] for row in rows] for what in COLUMNS},
        objective=draw(st.sampled_from(["miss_rate", "e2e_mean"])),
        server_names=[f"server no. {k}" for k in range(len(servers[:3]))] if draw(st.booleans()) else (),
    )


class TestInstance:
    def test_what_is_left_out(self):
        instance = LLMInstance("two", (SERVER, profile("serial")), [0, 0], [5, 6], [2, 1])
        assert isinstance(instance, Instance)
        assert (instance.requests, instance.size, instance.objective) == (2, "2x2", "miss_rate")
        assert instance.server_names == ("server 0", "serial")
        assert instance.predicted.tolist() == [2, 1] and instance.parent.tolist() == [-1, -1]
        assert (instance.groups, instance.clients, instance.sessions) == (0, 1, False)
        for what in ("client", "priority", "ttft_target", "tbt_target", "e2e_target", "shared"):
            assert not getattr(instance, what).any()
        assert small(server_names=["a"]).server_names == ("a",)

    def test_sessions(self):
        instance = small()
        assert instance.sessions and instance.groups == 2
        assert instance.follow_up.tolist() == [1, -1, -1, -1] and instance.root.tolist() == [0, 0, 2, 3]
        chain = small(
            arrival=[0] * 4, prompt=[9, 19, 29, 39], output=[1] * 4, parent=[-1, 0, 1, 2], group=None, shared=None
        )
        assert chain.root.tolist() == [0] * 4 and chain.follow_up.tolist() == [1, 2, 3, -1]

    def test_arrays_are_copies_of_the_right_kind_that_cannot_be_written_to(self):
        prompt = np.array([100, 140, 90, 5], dtype=np.uint8)
        instance = small(prompt=prompt)
        prompt[0] = 9
        assert instance.prompt.tolist() == [100, 140, 90, 5]
        for what in (*COLUMNS, "follow_up", "root"):
            wide = what == "arrival" or what.endswith("_target")
            assert getattr(instance, what).dtype == (np.int64 if wide else np.int32)
            with pytest.raises(ValueError):
                getattr(instance, what)[0] = 1

    def test_the_digest_depends_on_every_number_and_on_no_name(self):
        changes = [{}] + [
            {what: getattr(small(), what) + np.array(step)}
            for what, step in {
                "arrival": [0, 0, 0, 1], "prompt": [0, 0, 0, 1], "output": [0, 1, 0, 0], "predicted": [0, 0, 0, 1],
                "client": [0, 0, 0, 1], "priority": [1, 0, 0, 0], "ttft_target": [0, 0, 0, 1],
                "tbt_target": [0, 0, 0, 1], "e2e_target": [0, 0, 0, 1], "shared": [1, 1, 1, 0], "group": [1, 1, 1, 0],
                "parent": [0, 0, 2, 0],
            }.items()
            if what != "parent"
        ]  # fmt: skip
        changes += [
            {"parent": [-1, -1, -1, -1], "arrival": [0, 500, 500, 500]}, {"arrival": [0, 500, 500, 500]},
            {"objective": "e2e_mean"}, {"servers": (SERVER, SERVER)}, {"servers": (replace(SERVER, knee=1),)},
            {"servers": (replace(SERVER, max_num_seqs=1),)},
            {"servers": (replace(SERVER, max_num_seqs=1, preemptive=True),)},
        ]  # fmt: skip
        digests = [small(**change).digest for change in changes]
        assert len(set(digests)) == len(changes) and len(digests[0]) == 16
        assert small(name="other", server_names=["x"]).digest == digests[0]

    def test_a_request_may_fill_a_server_to_its_last_block(self):
        whole = small(prompt=[100, 140, 90, 1592], output=[20, 7, 3, 8])
        assert whole.servers[0].blocks == 100
        with pytest.raises(InstanceError, match=r"request 3 of 1601 tokens does not fit the 1600 tokens of server 0"):
            small(prompt=[100, 140, 90, 1593], output=[20, 7, 3, 8])
        with pytest.raises(InstanceError, match=r"server 1 \(tiny\)"):
            small(servers=(SERVER, replace(SERVER, kv_tokens=48)), server_names=["large", "tiny"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name: expected one line"),
        ({"objective": "makespan"}, "objective must be miss_rate or e2e_mean, got 'makespan'"),
        ({"objective": None}, "objective must be"),
        ({"servers": ()}, "servers must be 1 to 256, got 0"),
        ({"servers": (SERVER,) * 257}, "servers must be 1 to 256, got 257"),
        ({"servers": SERVER}, "servers must be a tuple of Profile"),
        ({"servers": ("llama-3-8b-h100",)}, "servers must be a tuple of Profile"),
        ({"server_names": ["a", "b"]}, "server_names must be 1 names or none"),
        ({"server_names": "a"}, "server_names must be 1 names or none"),
        ({"server_names": ["a\n"]}, r"server_names\[0\]: expected one line"),
        ({"arrival": []}, "arrival must have 1 to 1000000 entries, got 0"),
        ({"arrival": 5}, "arrival must be a list"),
        ({"arrival": [0, 500, 0]}, "prompt must have 3 entries, got 4"),
        ({"arrival": [0, 500, -1, 9]}, r"arrival\[2\]: -1 is not 0 to"),
        ({"arrival": [0, 500, 0, MAX_TIME + 1]}, r"arrival\[3\]: .* is not 0 to"),
        ({"arrival": [5, 0, 4, 9]}, r"arrival\[2\]: 4 is before that of request 0 at 5"),
        ({"prompt": [100, 140, 0, 5]}, r"prompt\[2\]: 0 is not 1 to"),
        ({"prompt": [100, 140, 90, MAX_TOKENS + 1]}, r"prompt\[3\]"),
        ({"prompt": [100.0, 140.0, 90.0, 5.0]}, "prompt must be 4 integers"),
        ({"prompt": [100, 120, 90, 5]}, r"prompt\[1\]: 120 is not more than prompt and output of its parent 0, 120"),
        ({"output": [20, 0, 3, 1]}, r"output\[1\]: 0 is not 1 to"),
        ({"output": None}, "predicted|output"),
        ({"predicted": [1, 2, 3, 0]}, r"predicted\[3\]"),
        ({"predicted": [1, 2, 3]}, "predicted must have 4 entries"),
        ({"parent": [-1, 0, -1, -2]}, r"parent\[3\]: -2"),
        ({"parent": [-1, 1, -1, -1]}, r"parent\[1\]: expected an earlier request or -1, got 1"),
        ({"parent": [-1, 2, -1, -1]}, r"parent\[1\]: expected an earlier request or -1, got 2"),
        (
            {"parent": [-1, 0, 0, -1], "prompt": [100, 140, 190, 5]},
            r"parent\[2\]: request 0 already has a follow-up",
        ),
        ({"client": [0, 0, 0, 65_536]}, r"client\[3\]"),
        ({"priority": [0, 0, 0, 100]}, r"priority\[3\]: 100 is not 0 to 99"),
        ({"ttft_target": [0, 0, 0, -1]}, r"ttft_target\[3\]"),
        ({"tbt_target": [0, 0, 0, 0.5]}, "tbt_target must be 4 integers"),
        ({"e2e_target": [0, 0, 0, 2**60]}, r"e2e_target\[3\]"),
        ({"group": [1, 1, 1, -2]}, r"group\[3\]: -2"),
        ({"group": [1, 2, 1, -1]}, r"group\[1\]: 2 is not that of its parent 0"),
        ({"group": None}, r"shared\[0\]: expected 0 without a group, got 64"),
        ({"shared": [64, 64, 63, 0]}, r"shared\[\d\]: expected one number for group 1, got 64"),
        ({"shared": [90, 90, 90, 0]}, r"shared\[2\]: 90 is not less than the prompt of 90"),
        ({"shared": [64, 64, 64, 1]}, r"shared\[3\]: expected 0 without a group, got 1"),
    ],
)
def test_nonsense_is_refused(changes, message):
    with pytest.raises(InstanceError, match=message):
        small(**changes)


def test_sizes_are_capped_before_memory_is_taken():
    huge = np.broadcast_to(np.int64(1), (10**9,))  # a billion requests in eight bytes
    with pytest.raises(InstanceError, match=f"arrival must have 1 to {MAX_REQUESTS} entries, got 1000000000"):
        small(arrival=huge)
    with pytest.raises(InstanceError, match="prompt must have 4 entries, got 1000000000"):
        small(prompt=huge)


def test_times_to_think_are_capped_together():
    rows = {"arrival": [0, MAX_TIME, MAX_TIME], "prompt": [1, 3, 5], "output": [1, 1, 1], "parent": [-1, 0, 1]}
    with pytest.raises(InstanceError, match="times to think sum to more than"):
        LLMInstance("long", (SERVER,), **rows)
    LLMInstance("long", (SERVER,), **(rows | {"arrival": [MAX_TIME, MAX_TIME, 0]}))


@given(instances())
def test_texts_read_back(instance):
    text = format(instance)
    again = parse(text)
    assert again.digest == instance.digest and again.name == instance.name
    assert (again.servers, again.server_names, again.objective) == (
        instance.servers, instance.server_names, instance.objective,
    )  # fmt: skip
    assert format(again) == text


@given(instances())
def test_every_request_is_in_one_session(instance):
    for request, (parent, root) in enumerate(zip(instance.parent.tolist(), instance.root.tolist(), strict=True)):
        assert (root == request) == (parent < 0)
        if parent >= 0:
            assert root == instance.root[parent] and instance.follow_up[parent] == request
    assert (instance.follow_up >= 0).sum() == (instance.parent >= 0).sum()


class TestFiles:
    def test_a_file_names_an_instance_that_does_not_name_itself(self, tmp_path):
        data = json.loads(format(small()))
        path = tmp_path / "requests.json"
        path.write_text(json.dumps(data))
        assert read(path).name == "small" and read(str(path)).digest == small().digest
        del data["name"]
        path.write_text(json.dumps(data))
        assert read(path).name == "requests"
        assert parse(path.read_text(), "x.json").name == "x" and parse(path.read_text(), "x", "y").name == "y"

    def test_errors_name_the_file(self, tmp_path):
        path = tmp_path / "requests.json"
        data = json.loads(format(small()))
        data["prompt"][3] = 5000
        path.write_text(json.dumps(data))
        with pytest.raises(InstanceError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: request 3 of 5001 tokens") and caught.value.where == str(path)
        with pytest.raises(InstanceError, match="no such file"):
            read(tmp_path / "none.json")
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(InstanceError, match="requests.json: not UTF-8"):
            read(path)

    def test_large_files_are_not_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr("dispatchgym.envs.llm.instance.MAX_FILE_BYTES", 100)
        (tmp_path / "large.json").write_text(format(small()))
        with pytest.raises(InstanceError, match="more than the limit of 100"):
            read(tmp_path / "large.json")

    def test_traces_are_told_by_their_suffix(self, tmp_path):
        (tmp_path / "trace.CSV").write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,10,3\n")
        (tmp_path / "trace.jsonl").write_text('{"timestamp": 5, "input_length": 10, "output_length": 3}\n')
        assert read(tmp_path / "trace.CSV").digest == read(str(tmp_path / "trace.jsonl")).digest
        assert read(tmp_path / "trace.jsonl").name == "trace"
