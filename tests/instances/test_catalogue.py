"""Names, ranges, groups, presets and paths lead to the instances they say, or to an error that helps."""

import subprocess
import sys

import pytest

import dispatchgym.instances.catalogue as catalogue
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.job_shop.generator import preset_instance
from dispatchgym.envs.job_shop.instance import format
from dispatchgym.instances import Bounds, bounds, load, load_many, names, presets, summary


def loaded(*arguments):
    return [instance.name for instance in load_many(arguments)]


def test_single_names():
    assert load("ta01").name == "ta01"
    assert loaded("ft06", "yn4", "ft06") == ["ft06", "yn4", "ft06"]
    assert [instance.name for instance in load_many("ft06")] == ["ft06"]


def test_groups_and_ranges():
    assert len(loaded("ta")) == 80
    assert loaded("ft") == ["ft06", "ft10", "ft20"]
    assert loaded("ta09-11") == loaded("ta9-ta11") == ["ta09", "ta10", "ta11"]
    assert loaded("ft06-20") == ["ft06", "ft10", "ft20"]
    assert loaded("yn1-2", "la01") == ["yn1", "yn2", "la01"]


def test_presets_are_held_out_instances():
    assert loaded("6x6:3-5") == ["6x6:3", "6x6:4", "6x6:5"]
    assert load("7x5:2").digest == preset_instance("7x5", 2).digest
    assert len(loaded("6x6:0-99", "ft06")) == 101


def test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ta01", "b.txt", "a.txt"):
        (tmp_path / name).write_text(format(load("ft06")))
    (tmp_path / "c.txt").mkdir()
    assert load("a.txt").digest == load("ft06").digest
    assert load(tmp_path / "a.txt").name == "a"
    assert loaded("*.txt") == ["a", "b"]
    assert load("ta01").size == "15x15" and load("./ta01").size == "6x6"
    (tmp_path / "set").write_text(format(load("ft10")))
    assert load("set").size == "10x10"


@pytest.mark.parametrize(
    "path", ["missing.txt", "no/such/folder", "../../no-etc/passwd", "./ta01", "*.nothing", "\0/x"]
)
def test_paths_that_do_not_exist(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InstanceError):
        load_many(path)


@pytest.mark.parametrize("where", ["../{}", "../../{}", "data/job_shop/../../{}"])
def test_catalogue_names_are_never_made_into_paths(where):
    with pytest.raises(InstanceError, match="no such file"):
        load(where.format("manifest.csv"))


def test_files_that_are_no_instance_are_refused(tmp_path):
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0:root:/root:/bin/sh\n")
    with pytest.raises(InstanceError) as caught:
        load(str(path))
    assert (caught.value.where, caught.value.line) == (str(path), 1)
    with pytest.raises(InstanceError, match="regular file"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    "name", ["ta81", "ta", "nothing", "ta75-85", "ta00-05", "la01-ta05", "TA01", "", "ta01 ", "\0"]
)
def test_unknown_names_list_what_is_known(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "ta":
        name = "tb"
    with pytest.raises(UnknownNameError) as caught:
        load_many(name)
    for known in ("ta01-80", "la01-40", "ft06", "abz5-9", "PRESET:FIRST-LAST", "15x15"):
        assert known in str(caught.value)
    assert len(str(caught.value)) < 500


def test_unknown_presets_and_families():
    with pytest.raises(UnknownNameError, match="15x15"):
        load_many("tiny:0-4")
    with pytest.raises(UnknownNameError, match="job_shop"):
        load("ta01", "flow_shop")
    with pytest.raises(UnknownNameError, match="job_shop"):
        names("../job_shop")


def test_a_family_may_be_named_as_on_the_command_line(tmp_path):
    path = tmp_path / "shop.txt"
    path.write_text(format(load("ft06")))
    for name in ("ta01", "6x6:3", path):
        assert load(name, "job-shop").digest == load(name, "job_shop").digest
    assert load("ta01", "job-shop").family == "job_shop"
    assert names("job-shop") == names() and presets("job-shop") == presets() and summary("job-shop") == summary()
    assert bounds("ta01", "job-shop") == bounds("ta01")


def test_load_wants_exactly_one():
    with pytest.raises(OptionError, match="'ta' stands for 80 instances"):
        load("ta")
    with pytest.raises(OptionError, match="stands for 3 instances"):
        load("6x6:0-2")


@pytest.mark.parametrize("name", ["ta10-01", "6x6:9-0"])
def test_backward_ranges(name):
    with pytest.raises(OptionError, match="runs backwards"):
        load_many(name)


def test_counts_and_memory_are_capped(monkeypatch):
    with pytest.raises(OptionError, match="more than 100000"):
        load_many("6x6:0-4000000000")
    with pytest.raises(OptionError, match="GiB"):
        load_many("1000x1000:0-99999")
    with pytest.raises(OptionError, match="operations"):
        load_many("9999999x9999999:0")
    monkeypatch.setattr(catalogue, "MAX_INSTANCES", 100)
    assert len(load_many(["ta", "6x6:0-19"])) == 100
    with pytest.raises(OptionError, match="more than 100"):
        load_many(["ta", "6x6:0-20"])


def test_bounds_by_name_and_by_numbers(tmp_path):
    assert (bounds("ft06").lower, bounds("ft06").upper) == (55, 55)
    path = tmp_path / "copy.txt"
    path.write_text(format(load("ta01"), "taillard"))
    assert bounds(load(path)) == bounds("ta01")
    imposter = tmp_path / "ta01.txt"
    imposter.write_text(format(load("6x6:0")))
    assert load(imposter).name == "ta01" and bounds(load(imposter)) is None
    with pytest.raises(UnknownNameError, match="ta01-80"):
        bounds("ta81")


def test_bounds_contradicting_each_other_are_refused():
    assert Bounds(3, 3, "somebody", "2026").proven
    assert not Bounds(3, 4, "somebody", "2026").proven
    for upper in (2, float("nan")):
        with pytest.raises(OptionError, match="above upper"):
            Bounds(3, upper, "somebody", "2026")


def test_listings():
    assert len(names()) == 242 and names()[0] == "ft06"
    assert "15x15" in presets()
    assert summary()[:4] == ["ft06", "ft10", "ft20", "la01-40"]


def test_every_listed_range_loads():
    ranges = [entry for entry in summary() if " " not in entry]
    assert sorted(loaded(*ranges)) == sorted(names())


@pytest.mark.parametrize("family", [entry.name for entry in registry.families()])
def test_every_family_has_the_whole_interface(family):
    module = catalogue._collection(family)
    wanted = [name for name in vars(catalogue.Collection) if not name.startswith("_")]
    assert wanted and all(callable(getattr(module, name, None)) for name in wanted)


def test_import_reads_no_data_and_loads_no_framework():
    code = """
import sys
opened = []
sys.addaudithook(lambda event, data: opened.append(str(data[0])) if event == "open" else None)
import dispatchgym.instances
assert not [path for path in opened if path.endswith((".csv", ".txt"))], opened
assert not {"torch", "warp", "dispatchgym.instances.job_shop"} & set(sys.modules)
dispatchgym.instances.load("ft06")
assert [path for path in opened if path.endswith("ft06.txt")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
