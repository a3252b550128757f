"""The JSON format: what is missing, unknown, out of range or torn is refused by the name of its field."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core import json_walk
from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.llm.instance import format, parse
from dispatchgym.envs.llm.profiles import profile
from dispatchgym.envs.llm.reader import read_fields

FULL = {
    "family": "llm",
    "name": "a question and another",
    "objective": "miss_rate",
    "servers": [
        {"profile": "llama-3-8b-h100", "kv_tokens": 60000},
        {"name": "own", "base": 10000000000, "decode": 5, "max_num_seqs": 1, "preemptive": True},
    ],
    "arrival": [0, 2000000],
    "parent": [-1, 0],
    "prompt": [500, 640],
    "output": [100, 80],
    "predicted": [90, 90],
    "client": [0, 1],
    "priority": [0, 1],
    "ttft_target": [1500000, 1780000],
    "tbt_target": 100000,
    "e2e_target": 0,
    "group": [3, 3],
    "shared": 200,
}


def changed(path, value):
    """The text of a copy with one entry replaced, or removed where the value is ``...``."""
    data = json.loads(json.dumps(FULL))
    *inner, last = path
    place = data
    for key in inner:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(data)


def test_everything():
    instance = parse(json.dumps(FULL))
    assert (instance.name, instance.objective, instance.size) == (FULL["name"], "miss_rate", "2x2")
    assert instance.servers[0] == replace(profile("llama-3-8b-h100"), kv_tokens=60_000)
    assert (instance.servers[1].base, instance.servers[1].decode, instance.servers[1].preemptive) == (10**10, 5, True)
    assert instance.server_names == ("llama-3-8b-h100", "own")
    for what in ("arrival", "parent", "prompt", "output", "predicted", "client", "priority", "ttft_target", "group"):
        assert getattr(instance, what).tolist() == FULL[what]
    assert instance.tbt_target.tolist() == [100_000] * 2 and instance.shared.tolist() == [200] * 2
    # what is alike for all requests, and what is usual, takes no list
    text = format(instance)
    assert '"tbt_target": 100000' in text and '"shared": 200' in text and "e2e_target" not in text


def test_as_little_as_possible():
    server = {"base": 10**10}
    text = json.dumps({"family": "llm", "servers": [server], "arrival": [0], "prompt": [3], "output": [2]})
    fields = read_fields("\ufeff" + text, "text")
    assert sorted(fields) == ["arrival", "output", "prompt", "server_names", "servers"]
    instance = parse(text, "a.json")
    assert (instance.name, instance.server_names, instance.predicted.tolist()) == ("a", ("server 0",), [2])
    assert json.loads(format(instance)).keys() == {
        "family",
        "name",
        "objective",
        "servers",
        "arrival",
        "prompt",
        "output",
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["family"], ..., "family: missing; the keys are family, name, objective, servers, arrival"),
        (["family"], "vm", 'family: expected "llm", found "vm"'),
        (["servers"], ..., "servers: missing"),
        (["prompt"], ..., "prompt: missing"),
        (["prompts"], [], "prompts: unknown key; known: family"),
        (["name"], "", "name: expected one line"),
        (["objective"], 3, "objective: expected one line"),
        (["objective"], "goodput", "objective must be miss_rate or e2e_mean, got 'goodput'"),
        (["servers"], {}, "servers: expected a list, found an object of 0"),
        (["servers"], [], "servers: expected 1 to 256 entries, found 0"),
        (["servers"], [{}] * 257, "servers: expected 1 to 256 entries, found 257"),
        (["servers", 0], "serial", r'servers\[0\]: expected an object .* found "serial"'),
        (["servers", 0], {}, r"servers\[0\]: expected a profile or the coefficients of one"),
        (
            ["servers", 0, "profile"],
            "serial-2",
            r"servers\[0\].profile: unknown server profile 'serial-2'; known: llama",
        ),
        (["servers", 0, "profile"], 3, r"servers\[0\].profile: expected one line"),
        (["servers", 0, "memory"], 3, r"servers\[0\].memory: unknown key"),
        (["servers", 0, "kv_tokens"], 6e4, r"servers\[0\]: kv_tokens must be a whole number, got 60000.0"),
        (["servers", 0, "kv_tokens"], -1, r"servers\[0\]: kv_tokens must be 1 to"),
        (["servers", 0, "name"], "a\tb", r"servers\[0\].name: expected one line"),
        (["servers", 1, "base"], ..., r"servers\[1\]: expected a profile or the coefficients"),
        (["servers", 1, "max_num_seqs"], 2, r"servers\[1\]: preemptive goes with max_num_seqs 1, got 2"),
        (["servers", 0, "kv_tokens"], 700, r"request 1 of 720 tokens does not fit the 700 tokens of server 0"),
        (["arrival"], 0, "arrival: expected a list, found 0"),
        (["arrival"], [], "arrival: expected 1 to 1000000 entries, found 0"),
        (["arrival"], [0], "prompt: expected 1 entries, found 2"),
        (["arrival", 1], 0.5, r"arrival\[1\]: expected a whole number .* found 0.5"),
        (["arrival", 1], float("nan"), r"arrival\[1\]: .* found NaN"),
        (["arrival", 1], float("inf"), r"arrival\[1\]: .* found Infinity"),
        (["arrival", 1], -5, r"arrival\[1\]: expected a whole number .* found -5"),
        (["arrival", 1], 10**30, r"arrival\[1\]: .* found a number of more than 19 digits"),
        (["arrival", 1], 2**60, r"arrival\[1\]: 1152921504606846976 is not 0 to"),
        (["prompt", 1], None, r"prompt\[1\]: .* found null"),
        (["prompt", 1], True, r"prompt\[1\]: .* found true"),
        (["prompt", 1], 600, r"prompt\[1\]: 600 is not more than prompt and output of its parent 0, 600"),
        (["output"], "80", 'output: expected a list or one whole number, found "80"'),
        (["output"], {}, "output: expected a list or one whole number"),
        (["output", 0], 0, r"output\[0\]: 0 is not 1 to"),
        (["predicted"], [90], "predicted: expected 2 entries, found 1"),
        (["parent", 1], 1, r"parent\[1\]: expected an earlier request"),
        (["tbt_target"], -2, "tbt_target: expected a whole number from -1"),
        (["tbt_target"], -1, r"tbt_target\[0\]: -1 is not 0 to"),
        (["tbt_target"], 1.5, "tbt_target: expected a list or one whole number, found 1.5"),
        (["tbt_target"], True, "tbt_target: expected a list or one whole number, found true"),
        (["group"], [3, 4], r"group\[1\]: 4 is not that of its parent 0"),
        (["shared"], 500, r"shared\[0\]: 500 is not less than the prompt of 500"),
    ],
)
def test_what_is_wrong_is_named(path, value, message):
    with pytest.raises(InstanceError, match="^a.json: " + message):
        parse(changed(path, value), "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.json:1: not JSON"),
        ("[1, 2]", "expected a JSON object, found a list of 2"),
        ('{"family": "llm", "family": "llm"}', 'the key "family" stands twice'),
        ("[" * 200_000, "nested too deep"),
        (json.dumps(FULL)[:-1], "a.json:1: not JSON"),
        (json.dumps(FULL) + "}", "a.json:1: not JSON"),
    ],
)
def test_torn_texts_are_refused(text, message):
    with pytest.raises(InstanceError, match=message):
        parse(text, "a.json")


def test_sizes_are_capped_before_anything_is_taken_apart(monkeypatch):
    monkeypatch.setattr(json_walk.json, "loads", lambda *_, **__: pytest.fail("it was taken apart"))
    with pytest.raises(InstanceError, match="too large"):
        parse("[" * (json_walk.MAX_LISTS + 1))


@st.composite
def damaged(draw):
    """The text of an instance in which something somewhere is another piece of JSON."""
    data = json.loads(json.dumps(FULL))
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    )
    place = data
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = draw(st.sampled_from(list(keys)))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            place[key] = draw(junk)
            return json.dumps(data)
        place = place[key]


@given(damaged())
def test_damage_is_an_instance_error_or_none(text):
    try:
        parse(text, "a.json")
    except InstanceError as error:
        assert str(error).startswith("a.json: ")


@given(st.integers(0, len(json.dumps(FULL))), st.characters())
def test_a_changed_character_is_an_instance_error_or_none(place, character):
    text = json.dumps(FULL)
    try:
        parse(text[:place] + character + text[place + 1 :], "a.json")
    except InstanceError as error:
        assert str(error).startswith("a.json:")
