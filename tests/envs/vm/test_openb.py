"""The CSV files of openb: nodes and pods become a packing problem, and what is wrong is named by file and line."""

import pytest

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.vm import openb
from dispatchgym.envs.vm.instance import VMInstance, format, parse, read

NODES = """sn,cpu_milli,memory_mib,gpu,model
n0,64000,262144,2,P100
n1,33999,131073,0,
"""
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p0,12000,16384,1,1000,,LS,Running,0,12537496,0
p1,3152,12288,1,460,"V100M16|V100M32",BE,Failed,9965463,9965645,
p2,32001,1000,0,0,,Burstable,Pending,3,4,

p3,0,131073,0,0,,Guaranteed,Running,3,4,5
"""


def write(folder, nodes=NODES, pods=PODS, node_name="openb_node_list.csv", pod_name="openb_pod_list.csv"):
    (folder / node_name).write_text(nodes)
    (folder / pod_name).write_text(pods)


def test_a_folder(tmp_path):
    write(tmp_path)
    instance = read(tmp_path)
    assert (instance.name, instance.size, instance.objective) == (tmp_path.name, "2x4", "penalty")
    assert instance.host_names == ("n0", "n1") and instance.vm_names == ("p0", "p1", "p2", "p3")
    assert instance.node_cores.tolist() == [[32, 32], [16, 16]]  # 33.999 cores are 33 whole ones, two halves of 16
    assert instance.node_memory.tolist() == [[131072, 131072], [65536, 65536]]
    # larger than half a node: 33 cores, rounded up to 34, of both; and by its memory, at least one core of each
    assert instance.cores.tolist() == [12, 4, 34, 2] and instance.numas.tolist() == [1, 1, 2, 2]
    assert instance.memory.tolist() == [16384, 12288, 1000, 131073]
    assert instance.priority.tolist() == [2, 0, 1, 2] and (instance.node == -1).all()
    assert parse(format(instance)).digest == instance.digest


def test_one_of_the_files_finds_the_other(tmp_path):
    write(tmp_path)
    digest = read(tmp_path).digest
    for name in ("openb_node_list.csv", "openb_pod_list.csv"):
        instance = read(tmp_path / name)
        assert instance.digest == digest and instance.name == name.removesuffix(".csv")
    (tmp_path / "openb_pod_list_cpu.csv").write_text(PODS)
    assert read(tmp_path / "openb_pod_list.csv").digest == digest
    with pytest.raises(InstanceError, match="one CSV file with 'pod' in its name .* openb_pod_list.csv, openb_pod_li"):
        read(tmp_path)
    nodes, pods = tmp_path / "openb_node_list.csv", tmp_path / "openb_pod_list_cpu.csv"
    assert VMInstance("pair", **openb.read_fields(nodes, pods)).digest == digest


def test_files_that_cannot_be_found(tmp_path):
    with pytest.raises(InstanceError, match="with 'node' in its name beside it, found none"):
        read(tmp_path)
    write(tmp_path, pod_name="pods_of_a_node.csv")
    with pytest.raises(InstanceError, match="the name has both"):
        read(tmp_path / "pods_of_a_node.csv")
    with pytest.raises(InstanceError, match="one CSV file with 'node' .* found openb_node_list.csv, pods_of"):
        read(tmp_path / "other.csv")
    with pytest.raises(InstanceError, match="pod_none.csv: no such file"):
        (tmp_path / "pods_of_a_node.csv").unlink()
        read(tmp_path / "pod_none.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sn,cpu_milli", "sn,cpu", "nodes:1: expected the column cpu_milli once in the first line, found 0"),
        ("sn,cpu_milli", "cpu_milli,cpu_milli", "nodes:1: expected the column sn once"),
        ("64000", "64000.5", "nodes:2: cpu_milli: expected a whole number from 0 to 2049999, found '64000.5'"),
        ("64000", "-1", "nodes:2: cpu_milli: .* found '-1'"),
        ("64000", "nan", "nodes:2: cpu_milli: .* found 'nan'"),
        ("64000", "", "nodes:2: cpu_milli: .* found ''"),
        ("64000", "６４", "nodes:2: cpu_milli: .* found '６４'"),
        ("64000", "9" * 5000, "nodes:2: cpu_milli: .* found '9999"),
        ("64000", "2050000", "nodes:2: cpu_milli: .* found '2050000'"),
        ("131073,0,", str(2**31 + 1) + ",0,", "nodes:3: memory_mib: expected a whole number from 0 to 2147483648"),
        ("n1,33999,131073,0,", "n1,33999", "nodes:3: expected 5 cells, found 2"),
        ("n1,33999,131073,0,", 'n1,"33999,131073,0,', "nodes:3: not CSV: unexpected end of data"),
        ("qos", "class", "pods:1: expected the column qos once"),
        ("LS", "XL", "pods:2: qos: expected one of BE, Burstable, LS, Guaranteed, found 'XL'"),
        ("16384", "1e9", "pods:2: memory_mib: .* found '1e9'"),
        ("32001", "2048001", "pods:4: cpu_milli: expected a whole number from 0 to 2048000"),
        ("0,131073,0,0", "0,1073741825,0,0", "pods:6: memory_mib"),
    ],
)
def test_what_is_wrong_is_named(old, new, message):
    assert old in NODES + PODS
    with pytest.raises(InstanceError, match="^" + message):
        openb.parse_fields(NODES.replace(old, new), PODS.replace(old, new))


def test_empty_and_large_tables(monkeypatch):
    head = PODS.splitlines()[0]
    for text, message in [("", "pods:1: expected the column name once"), (head, "pods: no rows below the first line")]:
        with pytest.raises(InstanceError, match=message):
            openb.parse_fields(NODES, text)
    with pytest.raises(InstanceError, match=r"pods: vm_names\[0\]: expected one line"):
        fields = openb.parse_fields(NODES, PODS.replace("p0", ""))
        VMInstance("pods", **fields)
    monkeypatch.setattr(openb, "MAX_VMS", 3)
    with pytest.raises(InstanceError, match="pods:6: more than 3 rows"):
        openb.parse_fields(NODES, PODS)
    monkeypatch.setattr(openb, "MAX_HOSTS", 1)
    with pytest.raises(InstanceError, match="nodes:3: more than 1 rows"):
        openb.parse_fields(NODES, PODS)


def test_files_are_capped_before_they_are_read(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(openb, "MAX_FILE_BYTES", 20)
    with pytest.raises(InstanceError, match="openb_node_list.csv: .* more than the limit of 20"):
        read(tmp_path)
