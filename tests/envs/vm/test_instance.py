"""The VM instance refuses nonsense, knows what is free, and its text reads back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.core.instance import Instance
from dispatchgym.envs.vm import fields
from dispatchgym.envs.vm.fields import MAX_HOSTS, MAX_VMS, NEVER
from dispatchgym.envs.vm.instance import VMInstance, format, parse, read

COLUMNS = ("node_cores", "node_memory", "cores", "memory", "numas", "node", "priority", "arrival", "departure", "rack")


def small(**changes):
    """Two hosts; a single on each node of the first, a double on the second."""
    given = {
        "name": "small",
        "node_cores": [[44, 40], [32, 32]],
        "node_memory": [[1000, 900], [800, 801]],
        "cores": [8, 16, 20],
        "memory": [100, 0, 301],
        "numas": [1, 1, 2],
        "node": [0, 1, 2],
    }
    return VMInstance(**(given | changes))


@st.composite
def instances(draw):
    hosts, vms = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    numas = [draw(st.integers(1, 2)) for _ in range(vms)]
    kind = draw(st.sampled_from(["snapshot", "pack", "dynamic"]))
    placed = [kind == "snapshot" or draw(st.booleans()) for _ in range(vms)]
    node = [draw(st.integers(0, hosts - 1)) * 2 + (draw(st.integers(0, 1)) if n == 1 else 0) for n in numas]
    arrival = [0 if kind != "dynamic" or there else draw(st.integers(1, 50)) for there in placed]
    leaves = [kind == "dynamic" and draw(st.booleans()) for _ in range(vms)]
    group = st.lists(st.integers(0, vms - 1), min_size=2, unique=True).map(tuple)
    scoped = st.tuples(st.sampled_from(["host", "rack"]), group)
    return VMInstance(
        "drawn",
        [[draw(st.integers(80, 100)) for _ in range(2)] for _ in range(hosts)],
        [[draw(st.integers(800, 1000)) for _ in range(2)] for _ in range(hosts)],
        [draw(st.integers(1, 5)) * n for n in numas],
        [draw(st.integers(0, 100)) for _ in range(vms)],
        numas,
        [n if there else -1 for n, there in zip(node, placed, strict=True)],
        movable=[draw(st.booleans()) for _ in range(vms)],
        priority=[draw(st.integers(0, 3)) for _ in range(vms)],
        arrival=arrival,
        departure=[t + draw(st.integers(1, 99)) if out else NEVER for t, out in zip(arrival, leaves, strict=True)],
        rack=[draw(st.integers(0, 2)) for _ in range(hosts)],
        drained=[draw(st.booleans()) for _ in range(hosts)],
        groups=draw(st.lists(scoped, max_size=3)) if vms > 1 else (),
        horizon=draw(st.integers(1, 100)) if kind == "dynamic" else 0,
        world=draw(st.integers(0, 2**31 - 1)),
        host_names=[f"host {k}" for k in range(hosts)] if draw(st.booleans()) else (),
        vm_names=[f"vm {k}" for k in range(vms)] if draw(st.booleans()) else (),
    )


class TestInstance:
    def test_a_snapshot(self):
        instance = small()
        assert isinstance(instance, Instance)
        assert (instance.hosts, instance.nodes, instance.vms, instance.size) == (2, 4, 3, "2x3")
        assert (instance.dynamic, instance.pack, instance.objective) == (False, False, "fragment_rate")
        assert instance.free_cores.tolist() == [[36, 24], [22, 22]]
        assert instance.free_memory.tolist() == [[900, 900], [649, 650]]  # half of 301, rounded up, from either node
        assert instance.movable.tolist() == [True] * 3 and instance.drained.tolist() == [False] * 2
        assert instance.departure.tolist() == [NEVER] * 3
        assert not (instance.priority.any() or instance.arrival.any() or instance.rack.any())
        assert (instance.groups, instance.world, instance.host_names) == ((), 0, ())

    def test_kinds(self):
        pack = small(node=[0, -1, 2])
        assert (pack.pack, pack.dynamic, pack.objective) == (True, False, "penalty")
        assert pack.free_cores.tolist() == [[36, 40], [22, 22]]
        dynamic = small(node=[0, -1, 2], arrival=[0, 5, 0], departure=[9, NEVER, 1], horizon=7)
        assert (dynamic.pack, dynamic.dynamic, dynamic.objective) == (False, True, "mean_fragment_rate")
        assert dynamic.free_cores.tolist() == [[36, 40], [22, 22]]

    def test_arrays_are_copies_of_the_right_kind_that_cannot_be_written_to(self):
        cores = np.array([8, 16, 20], dtype=np.uint8)
        instance = small(cores=cores, movable=[1, 0, 1])
        cores[0] = 9
        assert instance.cores.tolist() == [8, 16, 20] and instance.movable.tolist() == [True, False, True]
        for what in (*COLUMNS, "free_cores", "free_memory"):
            assert getattr(instance, what).dtype == np.int32
            with pytest.raises(ValueError):
                getattr(instance, what)[0] = 1
        for what in ("movable", "drained"):
            assert getattr(instance, what).dtype == bool
            with pytest.raises(ValueError):
                getattr(instance, what)[0] = True

    def test_nodes_may_be_full_to_the_last_core_and_mb(self):
        instance = small(cores=[44, 40, 64], memory=[1000, 900, 1600])
        assert not instance.free_cores.any()
        assert instance.free_memory.tolist() == [[0, 0], [0, 1]]

    def test_a_start_may_violate_groups(self):
        groups = [("rack", [2, 0]), ("host", (1, 0))]
        assert small(groups=groups).groups == (("rack", (0, 2)), ("host", (0, 1)))

    def test_the_digest_depends_on_every_number_and_on_no_name(self):
        base = dict(arrival=[0, 5, 0], node=[0, -1, 2], horizon=70)
        changes = [
            {}, dict(node_cores=[[44, 40], [32, 33]]), dict(node_memory=[[1000, 900], [800, 802]]),
            dict(cores=[8, 17, 20]), dict(memory=[100, 0, 300]), dict(numas=[1, 2, 2]), dict(node=[1, -1, 2]),
            dict(movable=[True, False, True]), dict(priority=[0, 0, 1]), dict(arrival=[0, 6, 0]),
            dict(departure=[NEVER, 9, NEVER]), dict(rack=[0, 1]), dict(drained=[True, False]), dict(horizon=71),
            dict(world=1), dict(groups=[("host", (0, 1))]), dict(groups=[("rack", (0, 1))]),
            dict(groups=[("host", (0, 1, 2))]), dict(groups=[("host", (0, 1)), ("host", (1, 2))]),
        ]  # fmt: skip
        digests = [small(**(base | change)).digest for change in changes]
        assert len(set(digests)) == len(changes)
        named = small(**base, host_names=["a", "b"], vm_names=("x", "y", "z"))
        assert named.digest == digests[0] and len(digests[0]) == 16
        assert named.host_names == ("a", "b") and named.vm_names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "VM instance: name: expected one line"),
        ({"node_cores": [[44, 40]]}, "node_memory must have 1 entries, got 2"),
        ({"node_cores": [[44, 40], [32]]}, "node_cores is not a rectangular array"),
        ({"node_cores": [44, 40]}, "node_cores must be two integers for each of 2 hosts"),
        ({"node_cores": 5}, "node_cores must be a list"),
        ({"node_cores": []}, "node_cores must have 1 to 10000 entries, got 0"),
        ({"node_cores": [[44, 1025], [32, 32]]}, r"node_cores\[0\]\[1\]: 1025 is not 0 to 1024"),
        ({"node_cores": [[44, -1], [32, 32]]}, r"node_cores\[0\]\[1\]: -1 is not"),
        ({"node_cores": [[44.0, 40.0], [32.0, 32.0]]}, "node_cores must be two integers .* float64"),
        ({"node_memory": [[1000, 900], [800, 2**30 + 1]]}, r"node_memory\[1\]\[1\]"),
        ({"node_memory": [[1000, 900]]}, "node_memory must have 2 entries, got 1"),
        ({"cores": []}, "cores must have 1 to 100000 entries"),
        ({"cores": [8, 16]}, "memory must have 2 entries, got 3"),
        ({"cores": [0, 16, 20]}, r"cores\[0\]: 0 is not 1 to 2048"),
        ({"cores": [8, 16, 21]}, r"cores\[2\]: a double VM has an even number of cores, got 21"),
        ({"cores": [2**70, 16, 20]}, "cores must be 3 integers"),
        ({"cores": np.array([2**63, 16, 20], dtype=np.uint64)}, r"cores\[0\]: 9223372036854775808 is not"),
        ({"cores": ["8", "16", "20"]}, "cores must be 3 integers"),
        ({"cores": [True, True, True]}, "cores must be 3 integers"),
        ({"memory": [-1, 0, 0]}, r"memory\[0\]: -1 is not"),
        ({"memory": [float("nan"), 0, 0]}, "memory must be 3 integers"),
        ({"numas": [1, 1, 3]}, r"numas\[2\]: 3 is not 1 to 2"),
        ({"node": [0, 1, 4]}, r"node\[2\]: 4 is not -1 to 3"),
        ({"node": [0, 1, 3]}, r"node\[2\]: a double VM is at node 2 \* host, got 3"),
        ({"node": [-2, 1, 2]}, r"node\[0\]: -2"),
        ({"node": np.array([0, 1, 2**64 - 1], dtype=np.uint64)}, r"node\[2\]: 18446744073709551615 is not -1 to 3"),
        ({"priority": [0, 0, -1]}, r"priority\[2\]"),
        ({"priority": None, "movable": [0, 1, 2]}, "movable must be 3 truth values"),
        ({"drained": [True]}, "drained must have 2 entries, got 1"),
        ({"rack": [0, 10_000]}, r"rack\[1\]: 10000 is not 0 to 9999"),
        ({"cores": [45, 16, 20]}, r"node_cores\[0\]\[0\]: NUMA node 0 of host 0 has 44 and its VMs take 45"),
        ({"cores": [8, 16, 66]}, r"node_cores\[1\]\[0\]: .* has 32 and its VMs take 33"),
        ({"memory": [100, 901, 301]}, r"node_memory\[0\]\[1\]: .* has 900 and its VMs take 901"),
        ({"memory": [100, 0, 1601]}, r"node_memory\[1\]\[0\]: .* has 800 and its VMs take 801"),
        ({"node": [1, 1, 2], "cores": [30, 16, 20]}, r"node_cores\[0\]\[1\]: .* has 40 and its VMs take 46"),
        ({"movable": [True, True, False], "cores": [8, 16, 66]}, "its VMs take 33"),  # pinned ones take as well
        ({"horizon": -1}, "horizon must be 0 to"),
        ({"horizon": 2**30 + 1}, "horizon must be 0 to"),
        ({"horizon": 1.0}, "horizon must be an integer, got 1.0"),
        ({"world": True}, "world must be an integer"),
        ({"world": 2**31}, "world must be 0 to 2147483647"),
        ({"arrival": [0, 0, 3]}, "VM 2 arrives or departs, so horizon"),
        ({"departure": [5, NEVER, NEVER]}, "VM 0 arrives or departs, so horizon"),
        ({"horizon": 9, "arrival": [0, 0, 3]}, r"node\[2\]: VM 2 arrives at 3, so it is at -1, got 2"),
        ({"horizon": 9, "node": [0, -1, 2]}, r"node\[1\]: not placed, but there from the start"),
        (
            {"horizon": 9, "node": [0, -1, 2], "arrival": [0, 4, 0], "departure": [NEVER, 4, NEVER]},
            r"departure\[1\]: 4 is not after the arrival of VM 1 at 4",
        ),
        ({"departure": [0, NEVER, NEVER]}, r"departure\[0\]: 0 is not 1"),
        ({"groups": 5}, "groups must be pairs"),
        ({"groups": [("host",)]}, r"groups\[0\]: expected a scope"),
        ({"groups": [("host", (0, 1)), ("zone", (0, 1))]}, r"groups\[1\].scope: expected host or rack, got 'zone'"),
        ({"groups": [("host", (0,))]}, r"groups\[0\].vms: expected at least two VMs"),
        ({"groups": [("host", (0, 0))]}, r"groups\[0\].vms: .* none of them twice"),
        ({"groups": [("host", (0, 3))]}, r"groups\[0\].vms\[1\]: expected a VM, 0 to 2, got 3"),
        ({"groups": [("host", (0, True))]}, r"groups\[0\].vms\[1\]: expected a VM"),
        ({"groups": [("host", (0, 10**5000))]}, r"groups\[0\].vms\[1\]: .* got a huge number"),
        ({"host_names": ["a"]}, "host_names must be 2 names or none, got 1"),
        ({"vm_names": ["a", "b", "c\n"]}, r"vm_names\[2\]: expected one line"),
        ({"vm_names": "abc"}, "vm_names must be 3 names or none, got 'abc'"),
    ],
)
def test_nonsense_is_refused(changes, message):
    with pytest.raises(InstanceError, match=message):
        small(**changes)


def test_sizes_are_capped_before_memory_is_taken():
    huge = np.broadcast_to(np.int64(1), (10**9, 2))  # a billion hosts in sixteen bytes
    with pytest.raises(InstanceError, match=f"node_cores must have 1 to {MAX_HOSTS} entries, got 1000000000"):
        small(node_cores=huge)
    with pytest.raises(InstanceError, match="node_memory"):
        small(node_memory=huge)
    with pytest.raises(InstanceError, match=f"cores must have 1 to {MAX_VMS} entries, got 1000000000"):
        small(cores=huge[:, 0])
    with pytest.raises(InstanceError, match="node must have 3 entries, got 1000000000"):
        small(node=range(10**9))
    with pytest.raises(InstanceError, match=r"groups\[0\]: members x members of all groups is more than 1000000"):
        small(groups=[("host", tuple(range(1001)))])
    with pytest.raises(InstanceError, match=r"groups\[250000\]"):
        small(groups=[("host", (0, 1))] * 250_001)


@given(instances())
def test_texts_read_back(instance):
    text = format(instance)
    again = parse(text)
    assert again.digest == instance.digest and again.name == instance.name
    assert (again.host_names, again.vm_names, again.groups) == (instance.host_names, instance.vm_names, instance.groups)
    assert format(again) == text


@given(instances())
def test_what_is_free_is_what_nobody_takes(instance):
    cores, memory = instance.node_cores.tolist(), instance.node_memory.tolist()
    columns = zip(*(getattr(instance, what).tolist() for what in ("node", "numas", "cores", "memory")), strict=True)
    for node, numas, need, size in columns:
        for place in range(node, node + numas) if node >= 0 else ():
            cores[place // 2][place % 2] -= need // numas
            memory[place // 2][place % 2] -= -(-size // numas)
    assert instance.free_cores.tolist() == cores and instance.free_memory.tolist() == memory


class TestFiles:
    def test_a_file_names_an_instance_that_does_not_name_itself(self, tmp_path):
        data = json.loads(format(small()))
        path = tmp_path / "cluster.json"
        path.write_text(json.dumps(data))
        assert read(path).name == "small" and read(str(path)).digest == small().digest
        del data["name"]
        path.write_text(json.dumps(data))
        assert read(path).name == "cluster"
        assert parse(path.read_text(), "x.json").name == "x" and parse(path.read_text(), "x", "y").name == "y"

    def test_errors_name_the_file(self, tmp_path):
        path = tmp_path / "cluster.json"
        data = json.loads(format(small()))
        data["vms"][0]["cores"] = 45
        path.write_text(json.dumps(data))
        with pytest.raises(InstanceError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: node_cores[0][0]: ") and caught.value.where == str(path)
        with pytest.raises(InstanceError, match="no such file"):
            read(tmp_path / "none.json")
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(InstanceError, match="cluster.json: not UTF-8"):
            read(path)

    def test_large_files_are_not_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr("dispatchgym.envs.vm.instance.MAX_FILE_BYTES", 100)
        (tmp_path / "large.json").write_text(format(small()))
        with pytest.raises(InstanceError, match="more than the limit of 100"):
            read(tmp_path / "large.json")


def test_limits_fit_the_integers_they_are_kept_in():
    assert fields.MAX_HOSTS * 2 * fields.MAX_CORES < 2**31 and fields.MAX_VMS * 2 * fields.MAX_CORES < 2**31
    assert fields.MAX_HOSTS * 2 * fields.MAX_MEMORY < 2**53 and fields.MAX_VMS * fields.MAX_MEMORY < 2**53
