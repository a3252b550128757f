"""Conditions have plain defaults, keep to their ranges, and come back from a dictionary as they were."""

import json

import numpy as np
import pytest

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.vm.conditions import Conditions
from dispatchgym.envs.vm.options import Options

PLAIN = {
    "mnl": 50, "weight_64": 0, "weight_memory": 0, "migration_cost": 0.0, "constraints": True, "latency": 0,
    "copy_rate": 0,
}  # fmt: skip


@pytest.mark.parametrize("nothing", [None, {}, Conditions()])
def test_what_is_not_said_has_its_default(nothing):
    assert Conditions.read(nothing).as_dict() == PLAIN


def test_they_are_the_options_of_the_world():
    options = Options()
    assert set(PLAIN) == Options.world
    assert PLAIN == {name: getattr(options, name) for name in PLAIN}


def test_they_come_back_as_they_were():
    given = PLAIN | {"mnl": 3, "weight_64": 60, "weight_memory": 40, "migration_cost": 0.3, "constraints": False}
    given |= {"latency": 5000, "copy_rate": 1250}
    assert Conditions.read(json.loads(json.dumps(given))).as_dict() == given
    assert Conditions.read(Conditions.read(given)) == Conditions(**given)


def test_numpy_values_become_plain_ones():
    found = Conditions(mnl=np.int32(3), migration_cost=np.float32(0.5), constraints=np.False_).as_dict()
    assert found == PLAIN | {"mnl": 3, "migration_cost": 0.5, "constraints": False}
    assert {type(value) for value in found.values()} == {int, float, bool}
    whole = Conditions(migration_cost=1).migration_cost
    assert whole == 1 and type(whole) is float


@pytest.mark.parametrize(
    ("key", "highest"),
    [("mnl", 10_000), ("weight_64", 100), ("weight_memory", 100), ("latency", 2**30), ("copy_rate", 2**30)],
)
def test_integers_are_bounded(key, highest):
    for value in (0, highest):
        assert getattr(Conditions(**{key: value}), key) == value
    for value in (-1, highest + 1, 10**30, 10**5000, 1.0, True, "1", None, float("nan")):
        with pytest.raises(ScheduleError, match=f"'{key}' must be an integer from 0 to {highest}, got"):
            Conditions(**{key: value})


def test_weights_are_shares():
    assert Conditions(weight_64=30, weight_memory=70).weight_64 == 30
    with pytest.raises(ScheduleError, match="'weight_64' and 'weight_memory' .* got 31 and 70"):
        Conditions(weight_64=31, weight_memory=70)


@pytest.mark.parametrize("cost", [-0.001, 1.001, float("nan"), float("inf"), 10**400, "0", True, None])
def test_the_cost_is_bounded(cost):
    with pytest.raises(ScheduleError, match="'migration_cost' must be a number from 0 to 1"):
        Conditions(migration_cost=cost)


@pytest.mark.parametrize("flag", [0, 1, "True", None])
def test_constraints_are_there_or_not(flag):
    with pytest.raises(ScheduleError, match="'constraints' must be True or False"):
        Conditions(constraints=flag)


def test_an_unknown_condition_lists_the_known_ones():
    with pytest.raises(ScheduleError, match="'colour'; known: mnl, weight_64.*copy_rate"):
        Conditions.read({"colour": "red"})
    with pytest.raises(ScheduleError, match="must be a dictionary, got list"):
        Conditions.read([1])
