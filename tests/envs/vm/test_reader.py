"""The JSON format: what is missing, unknown, out of range or torn is refused by the name of its field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core import json_walk
from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.vm import reader
from dispatchgym.envs.vm.fields import NEVER
from dispatchgym.envs.vm.instance import parse
from dispatchgym.envs.vm.reader import read_fields

SNAPSHOT = {
    "family": "vm",
    "name": "two hosts",
    "hosts": [
        {"name": "a", "cores": [44, 40], "memory": [9000, 8000], "rack": 3, "drained": True},
        {"cores": [32, 32], "memory": [7000, 7000]},
    ],
    "vms": [
        {"name": "x", "cores": 8, "memory": 500, "numas": 1, "host": 0, "numa": 1, "movable": False, "priority": 2},
        {"cores": 16, "memory": 501, "numas": 2, "host": 1, "numa": 0},
        {"cores": 4, "memory": 0, "numas": 1, "host": None, "numa": None},
    ],
    "groups": [{"scope": "rack", "vms": [2, 0]}],
    "world": 3,
}
DYNAMIC = {
    "family": "vm",
    "hosts": [{"cores": [44, 44], "memory": [9000, 9000]}],
    "vms": [
        {"cores": 8, "memory": 500, "numas": 1, "host": 0, "numa": 1, "arrival": 0, "departure": 700},
        {"cores": 8, "memory": 500, "numas": 1, "arrival": 20, "departure": None},
    ],
    "horizon": 1000,
}


def changed(base, path, value):
    """The text of a copy with one entry replaced, or removed where the value is ``...``."""
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


def test_a_snapshot():
    fields = read_fields(json.dumps(SNAPSHOT), "text")
    assert fields["name"] == "two hosts" and (fields["horizon"], fields["world"]) == (0, 3)
    assert fields["node_cores"].tolist() == [[44, 40], [32, 32]]
    assert fields["node_memory"].tolist() == [[9000, 8000], [7000, 7000]]
    assert fields["rack"].tolist() == [3, 0] and fields["drained"].tolist() == [True, False]
    assert fields["cores"].tolist() == [8, 16, 4] and fields["memory"].tolist() == [500, 501, 0]
    assert fields["numas"].tolist() == [1, 2, 1] and fields["node"].tolist() == [1, 2, -1]
    assert fields["movable"].tolist() == [False, True, True] and fields["priority"].tolist() == [2, 0, 0]
    assert fields["departure"].tolist() == [NEVER] * 3 and not fields["arrival"].any()
    assert fields["groups"] == (("rack", (2, 0)),)
    assert fields["host_names"] == ("a", "host1") and fields["vm_names"] == ("x", "vm1", "vm2")
    assert parse(json.dumps(SNAPSHOT)).pack


def test_a_dynamic_one():
    instance = parse(json.dumps(DYNAMIC), "a.json")
    assert (instance.name, instance.dynamic, instance.horizon) == ("a", True, 1000)
    assert instance.node.tolist() == [1, -1]
    assert instance.arrival.tolist() == [0, 20] and instance.departure.tolist() == [700, NEVER]
    assert (instance.host_names, instance.vm_names, instance.groups) == ((), (), ())


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["family"], ..., "family: missing; the keys are family, name, hosts, vms, groups, horizon, world"),
        (["family"], "soc", 'family: expected "vm", found "soc"'),
        (["hosts"], ..., "hosts: missing"),
        (["vms"], ..., "vms: missing"),
        (["host"], [], "host: unknown key; known: family"),
        (["a b"], [], '"a b": unknown key'),
        (["name"], "", "name: expected one line"),
        (["hosts"], {}, "hosts: expected a list, found an object of 0"),
        (["hosts"], 10**9, "hosts: expected a list, found 1000000000"),
        (["hosts"], [], "hosts: expected 1 to 10000 entries, found 0"),
        (["hosts"], [0] * 10_001, "hosts: expected 1 to 10000 entries, found 10001"),
        (["hosts", 1], None, r"hosts\[1\]: expected an object with the keys name, cores, .* found null"),
        (["hosts", 1, "cores"], ..., r"hosts\[1\].cores: missing"),
        (["hosts", 1, "cpu"], 3, r"hosts\[1\].cpu: unknown key; known: name, cores, memory, rack, drained"),
        (["hosts", 1, "cores"], 64, r"hosts\[1\].cores: expected a list, found 64"),
        (["hosts", 1, "cores"], [1, 2, 3], r"hosts\[1\].cores: expected 2 entries, found 3"),
        (["hosts", 1, "cores", 1], -1, r"hosts\[1\].cores\[1\]: expected a whole number from 0 to 1024, found -1"),
        (["hosts", 1, "memory", 0], 1e9, r"hosts\[1\].memory\[0\]: .* found 1000000000.0"),
        (["hosts", 1, "memory", 0], float("nan"), r"hosts\[1\].memory\[0\]: .* found NaN"),
        (["hosts", 1, "memory", 0], 10**30, r"hosts\[1\].memory\[0\]: .* found a number of more than 19 digits"),
        (["hosts", 0, "rack"], "r1", r'hosts\[0\].rack: .* found "r1"'),
        (["hosts", 0, "rack"], 10_000, r"hosts\[0\].rack: expected a whole number from 0 to 9999"),
        (["hosts", 0, "drained"], 1, r"hosts\[0\].drained: expected true or false, found 1"),
        (["hosts", 0, "name"], 7, r"hosts\[0\].name: expected one line"),
        (["vms"], [], "vms: expected 1 to 100000 entries, found 0"),
        (["vms", 0], [1], r"vms\[0\]: expected an object .* found a list of 1"),
        (["vms", 0, "cores"], ..., r"vms\[0\].cores: missing"),
        (["vms", 0, "numas"], ..., r"vms\[0\].numas: missing"),
        (["vms", 0, "flavor"], "c1", r"vms\[0\].flavor: unknown key"),
        (["vms", 0, "cores"], 0, r"vms\[0\].cores: expected a whole number from 1 to 2048, found 0"),
        (["vms", 0, "cores"], True, r"vms\[0\].cores: .* found true"),
        (["vms", 0, "cores"], "8", r'vms\[0\].cores: .* found "8"'),
        (["vms", 0, "memory"], float("inf"), r"vms\[0\].memory: .* found Infinity"),
        (["vms", 0, "numas"], 0, r"vms\[0\].numas: expected a whole number from 1 to 2, found 0"),
        (["vms", 0, "host"], 2, r"vms\[0\].host: expected a whole number from 0 to 1 or null, found 2"),
        (["vms", 0, "numa"], 2, r"vms\[0\].numa: expected a whole number from 0 to 1, found 2"),
        (["vms", 0, "numa"], ..., r"vms\[0\].numa: .* found null"),
        (["vms", 1, "numa"], 1, r"vms\[1\].numa: expected a whole number from 0 to 0, found 1"),
        (["vms", 2, "numa"], 0, r"vms\[2\].numa: expected null as host is, found 0"),
        (["vms", 0, "movable"], "no", r'vms\[0\].movable: expected true or false, found "no"'),
        (["vms", 0, "movable"], None, r"vms\[0\].movable: expected true or false, found null"),
        (["vms", 0, "priority"], -1, r"vms\[0\].priority: expected a whole number"),
        (["vms", 0, "arrival"], None, r"vms\[0\].arrival: .* found null"),
        (["vms", 0, "arrival"], 2**30 + 1, r"vms\[0\].arrival: expected a whole number from 0 to 1073741824"),
        (["vms", 0, "arrival"], 5, "VM 0 arrives or departs, so horizon must be more than 0"),
        (["vms", 0, "departure"], 0, r"vms\[0\].departure: expected a whole number from 1 to 2147483646 or null"),
        (["vms", 0, "name"], "a\tb", r"vms\[0\].name: expected one line"),
        (["vms", 1, "cores"], 15, r"cores\[1\]: a double VM has an even number of cores"),
        (["vms", 1, "memory"], 14_001, r"node_memory\[1\]\[0\]: .* its VMs take 7001"),
        (["groups"], {"a": 1}, "groups: expected a list"),
        (["groups", 0], [0, 1], r"groups\[0\]: expected an object with the keys scope, vms"),
        (["groups", 0, "scope"], "zone", r'groups\[0\].scope: expected host or rack, found "zone"'),
        (["groups", 0, "scope"], [], r"groups\[0\].scope: expected host or rack, found a list of 0"),
        (["groups", 0, "vms"], [0], r"groups\[0\].vms: expected 2 to 3 entries, found 1"),
        (["groups", 0, "vms"], [0, 3], r"groups\[0\].vms\[1\]: expected a whole number from 0 to 2, found 3"),
        (["groups", 0, "vms"], [1, 1], r"groups\[0\].vms: .* none of them twice"),
        (["horizon"], -5, "horizon: expected a whole number from 0"),
        (["horizon"], 2**30 + 1, "horizon: expected a whole number from 0 to 1073741824"),
        (["horizon"], 50, r"node\[2\]: not placed, but there from the start"),
        (["world"], 2**31, "world: expected a whole number from 0 to 2147483647"),
    ],
)
def test_what_is_wrong_is_named(path, value, message):
    with pytest.raises(InstanceError, match="^a.json: " + message):
        parse(changed(SNAPSHOT, path, value), "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.json:1: not JSON"),
        ("[1, 2]", "expected a JSON object, found a list of 2"),
        ("3", "expected a JSON object"),
        ('{\n"family": "vm",\n}', "a.json:3: not JSON"),
        ('{"family": "vm"} 1', "a.json:1: not JSON"),
        ('{"family": "vm", "family": "vm"}', 'the key "family" stands twice'),
        ('{"family": "vm", "hosts": [{"cores": 1, "memory": 2, "cores": 1}]}', 'the key "cores" stands twice'),
        ("[" * 200_000, "nested too deep"),
        ('{"a": ' * 200_000, "nested too deep"),
        ('{"world": ' + "9" * 5000 + "}", "not JSON that can be read"),
    ],
)
def test_torn_texts_are_refused(text, message):
    with pytest.raises(InstanceError, match=message):
        parse(text, "a.json")


def test_sizes_are_capped_before_anything_is_taken_apart(monkeypatch):
    monkeypatch.setattr(json_walk.json, "loads", lambda *_, **__: pytest.fail("it was taken apart"))
    with pytest.raises(InstanceError, match="too large"):
        parse("[" * (json_walk.MAX_LISTS + 1))
    monkeypatch.setattr(json_walk, "MAX_FILE_BYTES", 100)
    with pytest.raises(InstanceError, match="too large: more than 100 characters"):
        parse(" " * 101)


def test_groups_are_capped_before_they_are_kept(monkeypatch):
    monkeypatch.setattr(reader, "MAX_PAIRS", 12)
    group = {"scope": "host", "vms": [0, 1]}
    assert len(parse(changed(SNAPSHOT, ["groups"], [group] * 3)).groups) == 3
    with pytest.raises(InstanceError, match="groups: expected 0 to 3 entries, found 4"):
        parse(changed(SNAPSHOT, ["groups"], [group] * 4))
    large = {"scope": "host", "vms": [0, 1, 2]}
    with pytest.raises(InstanceError, match=r"groups\[1\]: members x members of all groups is more than 12"):
        parse(changed(SNAPSHOT, ["groups"], [group, large]))


@st.composite
def damaged(draw):
    """The text of an instance in which something somewhere is another piece of JSON."""
    data = json.loads(json.dumps(draw(st.sampled_from([SNAPSHOT, DYNAMIC]))))
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


@given(st.integers(0, len(json.dumps(SNAPSHOT))), st.characters())
def test_a_changed_character_is_an_instance_error_or_none(place, character):
    text = json.dumps(SNAPSHOT)
    try:
        parse(text[:place] + character + text[place + 1 :], "a.json")
    except InstanceError as error:
        assert str(error).startswith("a.json:")
