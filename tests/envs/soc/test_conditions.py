"""Conditions have plain defaults, keep to their ranges, and come back from a dictionary as they were."""

import json

import numpy as np
import pytest

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.noise import MAX_SIGMA, MAX_SIGMA_READYS, NOISES
from dispatchgym.envs.soc.conditions import Conditions

PLAIN = {
    "noise": "none", "sigma": 0.0, "seed": 0, "world": 0, "episode": 0,
    "rounding": "up", "shared_bus": False, "wip_cap": 0,
}  # fmt: skip


@pytest.mark.parametrize("nothing", [None, {}, Conditions()])
def test_what_is_not_said_has_its_default(nothing):
    assert Conditions.read(nothing).as_dict() == PLAIN


def test_they_come_back_as_they_were():
    given = PLAIN | {"noise": "gamma", "sigma": 0.3, "seed": -5, "world": 7, "shared_bus": True, "wip_cap": 3}
    assert Conditions.read(json.loads(json.dumps(given))).as_dict() == given
    assert Conditions.read(Conditions.read(given)) == Conditions(**given)


def test_numpy_values_become_plain_ones():
    found = Conditions(sigma=np.float32(0.5), seed=np.int32(3), wip_cap=np.int64(2), shared_bus=np.True_).as_dict()
    assert found == PLAIN | {"sigma": 0.5, "seed": 3, "wip_cap": 2, "shared_bus": True}
    assert {type(value) for value in found.values()} == {str, float, int, bool}


@pytest.mark.parametrize("noise", NOISES)
def test_sigma_is_bounded_for_each_noise(noise):
    highest = MAX_SIGMA_READYS if noise == "readys" else MAX_SIGMA
    assert Conditions(noise=noise, sigma=highest).sigma == highest
    with pytest.raises(ScheduleError, match=f"from 0 to {highest:g}"):
        Conditions(noise=noise, sigma=highest * 1.001)


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [("seed", -(2**31), 2**31 - 1), ("world", 0, 2**31 - 1), ("episode", 0, 2**31 - 1), ("wip_cap", 0, 2**31 - 1)],
)
def test_integers_are_bounded(key, lowest, highest):
    for value in (lowest, highest):
        assert getattr(Conditions(**{key: value}), key) == value
    for value in (lowest - 1, highest + 1, 10**30):
        with pytest.raises(ScheduleError, match=f"'{key}' must be an integer from {lowest} to {highest}"):
            Conditions(**{key: value})


def test_an_unknown_condition_lists_the_known_ones():
    with pytest.raises(ScheduleError, match="'colour'; known: noise, sigma, seed.*wip_cap"):
        Conditions.read({"colour": "red"})
