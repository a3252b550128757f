"""Conditions of live schedules have the classic shop for their default, keep to their ranges and come back as given."""

import json

import numpy as np
import pytest

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.noise import MAX_SIGMA
from dispatchgym.envs.job_shop.conditions import MAX_PERCENT, Conditions

PLAIN = {
    "buffers": "unlimited", "uptime": 0, "repair": 0, "interrupted": "resume",
    "noise": "none", "sigma": 0.0, "seed": 0, "world": 0, "episode": 0,
}  # fmt: skip


@pytest.mark.parametrize("nothing", [None, {}, Conditions()], ids=["none", "empty", "default"])
def test_what_is_not_said_has_its_default(nothing):
    assert Conditions.read(nothing).as_dict() == PLAIN


def test_they_come_back_as_they_were():
    given = PLAIN | {"buffers": "swap", "uptime": 200, "repair": 50, "interrupted": "restart", "noise": "gamma"}
    given |= {"sigma": 0.3, "seed": -5, "world": 7, "episode": 2}
    assert Conditions.read(json.loads(json.dumps(given))).as_dict() == given
    assert Conditions.read(Conditions.read(given)) == Conditions(**given)


def test_numpy_values_become_plain_ones():
    found = Conditions(sigma=np.float32(0.5), seed=np.int32(3), uptime=np.int64(2), repair=np.int16(1)).as_dict()
    assert found == PLAIN | {"sigma": 0.5, "seed": 3, "uptime": 2, "repair": 1}
    assert {type(value) for value in found.values()} == {str, float, int}


@pytest.mark.parametrize(("buffers", "blocking"), [("unlimited", False), ("none", True), ("swap", True)])
def test_jobs_block_where_there_is_no_room(buffers, blocking):
    assert Conditions(buffers=buffers).blocking == blocking


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"buffers": "some"}, "'buffers' must be one of unlimited, none, swap, got 'some'"),
        ({"interrupted": None}, "'interrupted' must be one of resume, restart"),
        ({"noise": "readys"}, "'noise' must be one of none, gaussian, lognormal, gamma"),
        ({"sigma": MAX_SIGMA + 0.1}, "'sigma' must be a number from 0 to 4"),
        ({"sigma": True}, "'sigma'"),
        ({"sigma": float("nan")}, "'sigma'"),
        ({"sigma": 10**400}, "'sigma'"),
        ({"seed": 2**31}, "'seed' must be an integer from -2147483648 to 2147483647"),
        ({"world": -1}, "'world' must be an integer from 0"),
        ({"episode": 1.0}, "'episode' must be an integer"),
        ({"uptime": MAX_PERCENT + 1, "repair": 1}, "'uptime' must be an integer from 0 to 100000"),
        ({"uptime": 5}, "must both be 0 or both be at least 1, got uptime 5 and repair 0"),
        ({"repair": 5}, "must both be 0"),
        ({"colour": 1}, "unknown condition 'colour'; known: buffers, uptime.*episode"),
    ],
)
def test_what_is_wrong_is_named(given, words):
    with pytest.raises(ScheduleError, match=words):
        Conditions.read(given)


def test_conditions_are_a_dictionary():
    with pytest.raises(ScheduleError, match="must be a dictionary, got list"):
        Conditions.read([("seed", 1)])
