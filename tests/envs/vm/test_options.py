"""The options of VM rescheduling: what each accepts, and what goes together."""

import dataclasses
import math

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.vm.conditions import HIGHEST, Conditions
from dispatchgym.envs.vm.options import MOVES, SHAPED_BY, Options

NUMBERS = {
    "mnl": 10_000,
    "choice": 100_000,
    "weight_64": 100,
    "weight_memory": 100,
    "latency": 2**30,
    "copy_rate": 2**30,
}
FLAGS = ("constraints", "forced_moves")


def test_these_are_all():
    names = {field.name for field in dataclasses.fields(Options)}
    assert names == {*NUMBERS, *FLAGS, "moves", "migration_cost"} and SHAPED_BY in names
    assert Options.world == {field.name for field in dataclasses.fields(Conditions)}
    assert all(field.metadata for field in dataclasses.fields(Options))


@pytest.mark.parametrize("value", ["", "None", "Class", " vm", "vm\n", None, True, 0, ["vm"], b"vm", "ｖm"])
def test_unknown_moves_are_refused(value):
    with pytest.raises(OptionError, match="moves must be one of class, macro, vm"):
        Options(moves=value)


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [1, 0, "yes", None, "", [], "true"])
def test_flags_are_true_or_false(name, value):
    with pytest.raises(OptionError, match=f"{name} must be True or False"):
        Options(**{name: value})
    assert getattr(Options(**{name: "False"}), name) is False and getattr(Options(**{name: np.True_}), name) is True


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_whole_and_bounded(name):
    least, most = int(name == "choice"), NUMBERS[name]
    for value in (least, most, str(most), np.int32(most)):
        assert getattr(Options(**{name: value}), name) == int(value)
    for value in (least - 1, most + 1, 2.5, "2.5", "many", None, True, math.nan, math.inf, 10**30, [3], {}):
        with pytest.raises(OptionError, match=f"{name} must be a (whole )?number from {least} to "):
            Options(**{name: value})


def test_they_are_as_wide_as_the_conditions():
    """What the environments take the validator takes as well."""
    assert {name: NUMBERS[name] for name in HIGHEST} == HIGHEST


@pytest.mark.parametrize("value", [-0.001, 1.001, "-1", math.nan, math.inf, None, True, 10**400, "1e999", "dear"])
def test_the_cost_is_a_share(value):
    with pytest.raises(OptionError, match="migration_cost must be a number from 0 to 1"):
        Options(migration_cost=value)
    assert Options(migration_cost="0.25").migration_cost == 0.25 and Options(migration_cost=1).migration_cost == 1.0


def test_weights_are_shares_of_a_hundred():
    assert Options(weight_64=30, weight_memory=70).weight_memory == 70
    with pytest.raises(OptionError, match="shares of 100 %, got 31 and 70"):
        Options(weight_64=31, weight_memory=70)


def test_moves_stand_in_the_order_of_the_simulator():
    from dispatchgym.envs.vm import simulator_state

    assert [getattr(simulator_state, name.upper()) for name in MOVES] == list(range(len(MOVES)))
