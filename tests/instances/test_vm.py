"""The VM instances that come with the package show what is said of them, and their bounds are true."""

from itertools import pairwise

import pytest

from dispatchgym.envs.core.errors import InstanceError, UnknownNameError
from dispatchgym.instances import vm

NAMES = ("plateau", "uphill", "remainder")


def moves(instance, free, node):
    """All legal migrations: (VM, destination)."""
    for v, (cores, numas) in enumerate(zip(instance.cores.tolist(), instance.numas.tolist(), strict=True)):
        for d in range(0, len(free), numas):
            if d != node[v] and all(free[d + side] >= cores // numas for side in range(numas)):
                yield v, d


def after(instance, free, node, move):
    (v, d), free, node = move, list(free), list(node)
    numas = int(instance.numas[v])
    for side in range(numas):
        free[node[v] + side] += int(instance.cores[v]) // numas
        free[d + side] -= int(instance.cores[v]) // numas
    node[v] = d
    return tuple(free), tuple(node)


def fragments(free):
    return sum(cores % 16 for cores in free)


def paths(instance, length):
    """The fragments along every sequence of so many migrations; memory never binds in these instances."""
    start = tuple(instance.free_cores.ravel().tolist()), tuple(instance.node.tolist())
    found = [((fragments(start[0]),), start)]
    for _ in range(length):
        steps = ((way, state, move) for way, state in found for move in moves(instance, *state))
        found = [
            ((*way, fragments(new[0])), new) for way, state, move in steps for new in [after(instance, *state, move)]
        ]
    return [way for way, _ in found]


def test_names_and_numbers_agree_with_the_manifest():
    assert vm.names() == NAMES == vm.groups()["examples"]
    for name in vm.names():
        row, instance = vm.SHELF.manifest[name], vm.load(name)
        assert (instance.name, instance.objective) == (name, "fragment_rate")
        assert instance.digest == row["digest"]
        assert (instance.hosts, instance.vms) == (int(row["hosts"]), int(row["vms"]))
        assert vm.find(instance.digest) == name
        assert (instance.memory == 2048 * instance.cores).all() and (instance.node_memory >= 44 * 4096).all()
    assert vm.find("0" * 16) is None


@pytest.mark.parametrize("name", NAMES)
def test_bounds_are_proven(name):
    bounds, instance = vm.bounds(name), vm.load(name)
    total = int(instance.free_cores.sum())
    assert bounds.proven and bounds.date == "2026"
    assert bounds.lower == total % 16 / total  # fragments are counted modulo 16
    length = 3 if name == "remainder" else 2
    assert min(way[-1] for way in paths(instance, length)) == bounds.upper * total


@pytest.mark.parametrize("name", NAMES)
def test_no_single_migration_is_a_gain(name):
    instance = vm.load(name)
    assert min(last for _, last in paths(instance, 1)) >= fragments(instance.free_cores.ravel().tolist())


def test_what_each_one_shows():
    start = {name: fragments(vm.load(name).free_cores.ravel().tolist()) for name in NAMES}
    assert start == {"plateau": 16, "uphill": 16, "remainder": 40}
    best = [way for way in paths(vm.load("plateau"), 2) if way[-1] == 0]
    assert set(best) == {(16, 16, 0)}
    best = [way for way in paths(vm.load("uphill"), 2) if way[-1] == 0]
    assert set(best) == {(16, 32, 0)}
    assert vm.load("uphill").free_cores.sum() == 48
    assert min(way[-1] for way in paths(vm.load("remainder"), 2)) > 8
    assert all(a >= b for way in paths(vm.load("remainder"), 3) if way[-1] == 8 for a, b in pairwise(way))


def test_presets():
    assert "medium" in vm.presets()
    assert vm.preset("small", 5).name == "small:5"
    assert vm.find(vm.preset("small", 5).digest) is None
    with pytest.raises(UnknownNameError, match="hosts-HOSTS"):
        vm.preset("ta01", 0)


def test_files(tmp_path):
    path = tmp_path / "copy.json"
    path.write_text(vm.SHELF.text("plateau.json"))
    copy = vm.read(str(path))
    assert copy.digest == vm.load("plateau").digest and vm.find(copy.digest) == "plateau"


def test_a_changed_number_is_noticed(monkeypatch):
    text = vm.SHELF.text("plateau.json")
    monkeypatch.setattr(vm.SHELF, "text", lambda file: text.replace("8192", "8193", 1))
    with pytest.raises(InstanceError, match="plateau.json was changed"):
        vm.SHELF.make("plateau")
