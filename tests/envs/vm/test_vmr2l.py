"""Mappings of VMR2L: clusters become one instance, and what is wrong with one is named."""

import json
from pathlib import Path

import pytest

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.vm.instance import format, parse, read

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "vm"


def host(name, rack, status="ACTIVE", cores=44):
    numa = [{"node": n, "total_cpu": cores, "free_cpu": 0, "memory_huge_total_mb": 9000.0} for n in (0, 1)]
    return {"node_id": name, "status": status, "node_cpu": 2 * cores, "numa": numa, "rack_id": rack}


def vm(name, where, *sides, movable=1):
    """A VM from (NUMA node, cores, MB) of each of its sides."""
    numa = [{"node": node, "cpu": cores, "mem_mb": memory} for node, cores, memory in sides]
    return {"instance_id": name, "instance_type": "t", "host_id": where, "numa": numa, "allow_migration": movable}


def mapping():
    sets = [
        {"granularity": "host", "data": ["v1", "v3"]},
        {"granularity": "host", "data": ["v1", "lost"]},  # only one of them is left
        {"granularity": "rack", "data": ["v2", "v1", "lost"]},
    ]
    clusters = [
        {
            "cluster_name": "one",
            "host_info": [host("a", 7), host("down", 7, "OUTAGE"), host("b", "r")],
            "vm_instance": [
                vm("v1", "b", (1, 8, 100.0), movable=0),
                vm("lost", "down", (0, 8, 100)),
                vm("v2", "a", (1, 16, 50), (0, 16, 50), movable=True),
            ],
            "other_requirement": {"deployment_set": sets},
        },
        {
            "cluster_name": "two",
            "host_info": [host("c", 7, cores=40)],
            "vm_instance": [vm("v3", "c", (0, 4.0, 30))],
            "other_requirement": {"deployment_set": sets},
        },
    ]
    return {"cluster_list": clusters, "vm_type_list": "not looked at", "general_requirement": {}}


def test_a_mapping():
    instance = parse(json.dumps(mapping()), "m.json")
    assert (instance.name, instance.size, instance.objective) == ("m", "3x3", "fragment_rate")
    assert instance.host_names == ("a", "b", "c") and instance.vm_names == ("v1", "v2", "v3")
    assert instance.node_cores.tolist() == [[44, 44], [44, 44], [40, 40]]
    assert instance.node_memory.tolist() == [[9000, 9000]] * 3
    assert instance.rack.tolist() == [0, 1, 2]  # 7 of the second cluster is another rack
    assert instance.cores.tolist() == [8, 32, 4] and instance.memory.tolist() == [100, 100, 30]
    assert instance.numas.tolist() == [1, 2, 1] and instance.node.tolist() == [3, 0, 4]
    assert instance.movable.tolist() == [False, True, True]
    assert instance.groups == (("host", (0, 2)), ("rack", (0, 1)))
    assert parse(format(instance)).digest == instance.digest


def test_what_may_be_left_out():
    data = mapping()
    for cluster in data["cluster_list"]:
        del cluster["other_requirement"]
        for entry in cluster["host_info"]:
            del entry["rack_id"]
        for entry in cluster["vm_instance"]:
            del entry["allow_migration"]
    instance = parse(json.dumps(data))
    assert instance.groups == () and instance.movable.all() and instance.rack.tolist() == [0, 0, 1]


ONE = ["cluster_list", 0]
HOST, VM = [*ONE, "host_info", 0], [*ONE, "vm_instance", 0]
SET = [*ONE, "other_requirement", "deployment_set"]
AT = r"cluster_list\[0\]."


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["cluster_list"], [], "cluster_list: expected 1 to 10000 entries, found 0"),
        (["cluster_list"], 10**9, "cluster_list: expected a list, found 1000000000"),
        (ONE, 5, r"cluster_list\[0\]: expected an object, found 5"),
        ([*ONE, "host_info"], ..., AT + "host_info: missing"),
        ([*ONE, "host_info"], [0] * 10_001, AT + "host_info: expected 0 to 10000 entries, found 10001"),
        ([*ONE, "vm_instance"], {}, AT + "vm_instance: expected a list"),
        (HOST, [], AT + r"host_info\[0\]: expected an object, found a list of 0"),
        ([*HOST, "node_id"], "b", AT + r'host_info\[2\].node_id: "b" stands twice'),
        ([*HOST, "node_id"], 5, AT + r"host_info\[0\].node_id: expected one line"),
        ([*HOST, "status"], ..., AT + r"host_info\[0\].status: missing"),
        ([*HOST, "status"], [], AT + r"host_info\[0\].status: expected one line"),
        ([*HOST, "numa"], [], AT + r"host_info\[0\].numa: expected 2 entries, found 0"),
        ([*HOST, "numa", 0], 3, AT + r"host_info\[0\].numa\[0\]: expected an object"),
        ([*HOST, "numa", 0, "node"], 1, AT + r"host_info\[0\].numa\[1\].node: NUMA node 1 stands twice"),
        ([*HOST, "numa", 0, "node"], 2, AT + r"host_info\[0\].numa\[0\].node: expected a whole number from 0 to 1"),
        ([*HOST, "numa", 0, "total_cpu"], 44.5, AT + r"host_info\[0\].numa\[0\].total_cpu: .* found 44.5"),
        ([*HOST, "numa", 0, "total_cpu"], 1e300, AT + r".*total_cpu: .* found a number of more than 19 digits"),
        ([*HOST, "numa", 0, "memory_huge_total_mb"], float("nan"), AT + ".*memory_huge_total_mb: .* found NaN"),
        ([*HOST, "rack_id"], [1], AT + r"host_info\[0\].rack_id: expected a number or text, found a list of 1"),
        ([*VM, "instance_id"], "v2", AT + r'vm_instance\[2\].instance_id: "v2" stands twice'),
        ([*VM, "host_id"], "z", AT + r'vm_instance\[0\].host_id: there is no host "z"'),
        ([*VM, "numa"], [], AT + r"vm_instance\[0\].numa: expected 1 to 2 entries, found 0"),
        ([*VM, "numa", 0, "cpu"], 0, AT + r"vm_instance\[0\].numa\[0\].cpu: expected a whole number from 1"),
        ([*VM, "numa", 0, "mem_mb"], -1.0, AT + r"vm_instance\[0\].numa\[0\].mem_mb: .* found -1"),
        ([*VM, "numa", 0, "cpu"], 45, r"node_cores\[1\]\[1\]: .* has 44 and its VMs take 45"),
        ([*VM, "allow_migration"], 2, AT + r"vm_instance\[0\].allow_migration: expected true, false, 0 or 1, found 2"),
        ([*VM, "allow_migration"], "1", AT + r'vm_instance\[0\].allow_migration: .* found "1"'),
        ([*ONE, "vm_instance", 2, "numa", 0, "cpu"], 8, AT + r"vm_instance\[2\].numa: expected as much from both"),
        ([*ONE, "vm_instance", 2, "numa", 1, "mem_mb"], 8, AT + r"vm_instance\[2\].numa: expected as much from both"),
        ([*ONE, "other_requirement"], 3, AT + "other_requirement: expected an object, found 3"),
        (SET, 3, AT + "other_requirement.deployment_set: expected a list"),
        (
            [*SET, 0, "granularity"],
            "switch",
            AT + r'.*deployment_set\[0\].granularity: expected host or rack, found "s',
        ),
        ([*SET, 0, "data", 1], "v9", AT + r'.*deployment_set\[0\].data\[1\]: there is no VM "v9"'),
        ([*SET, 0, "data", 1], ["v1"], AT + r".*deployment_set\[0\].data\[1\]: there is no VM a list of 1"),
    ],
)
def test_what_is_wrong_is_named(path, value, message):
    data = mapping()
    *inner, last = path
    place = data
    for key in inner:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(InstanceError, match="^m.json: " + message):
        parse(json.dumps(data), "m.json")


def test_someone_must_be_there():
    data = mapping()
    for cluster in data["cluster_list"]:
        cluster["host_info"] = [entry | {"status": "OUTAGE"} for entry in cluster["host_info"]]
    with pytest.raises(InstanceError, match="expected 1 to 10000 hosts that are active, found 0"):
        parse(json.dumps(data))
    data = mapping()
    for cluster in data["cluster_list"]:
        cluster["vm_instance"], cluster["other_requirement"] = [], {}
    with pytest.raises(InstanceError, match="expected 1 to 100000 VMs that are active, found 0"):
        parse(json.dumps(data))


def fragment_rate(instance):
    return (instance.free_cores % 16).sum() / instance.free_cores.sum()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real mappings are not here")
class TestRealMappings:
    def test_a_mapping_of_the_size_medium(self):
        instance = read(SHARED / "vmr2l_stream_c1_2022-03-28_32c.json")
        assert (instance.hosts, instance.vms) == (279, 2089)  # one of 280 hosts is out of service
        assert fragment_rate(instance) == pytest.approx(0.977, abs=5e-4)
        assert (~instance.movable).sum() == 134
        # the same 300 sets stand in both clusters; 11 have one member and one has none
        assert len(instance.groups) == 288 and {scope for scope, _ in instance.groups} == {"host"}
        assert (instance.node_cores == 44).all() and (instance.node_memory == 184_388).all()

    def test_a_large_mapping(self):
        instance = read(SHARED / "vmr2l_instance_3000vm.json")
        assert (instance.hosts, instance.vms) == (1264, 3000)
        assert fragment_rate(instance) == pytest.approx(0.4904, abs=5e-5)
        assert len(set(instance.rack.tolist())) == 76 and instance.movable.all()
        assert len(instance.groups) == 330 and {scope for scope, _ in instance.groups} == {"host", "rack"}
