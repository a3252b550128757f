"""The table of families and what it accepts as instances; the contract suite covers the families themselves."""

import dataclasses

import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.core.registry import family, instances, register
from dispatchgym.instances.catalogue import load


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="job_shop"):
        register(dataclasses.replace(family("job_shop"), naive="other"))


def test_dashes_and_underscores():
    assert family("job-shop") is family("job_shop") and family("job_shop").command == "job-shop"


def test_instances_from_everything(tmp_path):
    path = tmp_path / "shop.txt"
    path.write_text("1 1\n0 3\n", "utf-8")
    shop = load("ft06")
    found = instances(["4x3:0-1", shop, path, [str(path), ("la01",)]], "job_shop")
    assert [one.name for one in found] == ["4x3:0", "4x3:1", "ft06", "shop", "shop", "la01"]
    assert instances(shop, "job_shop")[0] is shop


@pytest.mark.parametrize("source", [None, 3, [], [[]], {"a": 1}, object()])
def test_anything_else_is_refused(source):
    with pytest.raises(OptionError, match="expected a job_shop instance"):
        instances(source, "job_shop")


def test_an_instance_of_another_family_is_refused():
    class Other:
        family, name = "flow_shop", "f"

    with pytest.raises(OptionError, match="job_shop"):
        instances(Other(), "job_shop")
    with pytest.raises(UnknownNameError, match="ta01-80"):
        instances("nowhere", "job_shop")


def test_unknown_options_list_the_known_ones():
    with pytest.raises(OptionError, match="'colour' of job_shop; known: construction, forced_moves, observation"):
        family("job_shop").make_options(colour=1)
    assert family("job_shop").make_options(construction="insertion").construction == "insertion"
