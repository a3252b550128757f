"""Conditions have plain defaults, keep to their ranges, and come back from a dictionary as they were."""

import json

import numpy as np
import pytest

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.llm.conditions import MAX_TOTAL, TOTALS, VICTIMS, Conditions
from dispatchgym.envs.llm.fields import MAX_SERVERS

HUGE = pytest.param(10**5000, id="huge")  # cannot even be printed
PLAIN = {"profile": "", "watermark": 1, "victim": "last", "swap_rate": 0, "prefix_cache": True}
PLAIN |= {"iterations": [], "busy": [], "block_time": [], "preemptions": []}


@pytest.mark.parametrize("nothing", [None, {}, Conditions()])
def test_what_is_not_said_has_its_default(nothing):
    assert Conditions.read(nothing).as_dict() == PLAIN


def test_they_come_back_as_they_were():
    given = PLAIN | {"profile": "serial", "watermark": 3, "victim": "least", "swap_rate": 7, "prefix_cache": False}
    given |= {"iterations": [3, 0], "busy": [MAX_TOTAL, 1], "block_time": [5], "preemptions": [0, 0, 0]}
    assert Conditions.read(json.loads(json.dumps(given))).as_dict() == given
    assert Conditions.read(Conditions.read(given)) == Conditions(**given)


def test_numpy_values_become_plain_ones():
    found = Conditions(
        watermark=np.int32(2), swap_rate=np.int64(9), prefix_cache=np.False_, iterations=np.array([4, 5]),
        busy=(np.int64(6), 7), block_time=[np.uint64(8)],
    ).as_dict()  # fmt: skip
    assert found == PLAIN | {"watermark": 2, "swap_rate": 9, "prefix_cache": False} | {
        "iterations": [4, 5], "busy": [6, 7], "block_time": [8]
    }  # fmt: skip
    assert {type(value) for value in found.values()} == {str, int, bool, list}
    assert {type(value) for name in TOTALS for value in found[name]} == {int}


@pytest.mark.parametrize(("key", "highest"), [("watermark", 100), ("swap_rate", 2**30)])
def test_integers_are_bounded(key, highest):
    for value in (0, highest):
        assert getattr(Conditions(**{key: value}), key) == value
    for value in (-1, highest + 1, 10**5000, 1.0, True, "1", None, [1]):
        with pytest.raises(ScheduleError, match=f"'{key}' must be an integer from 0 to {highest}"):
            Conditions(**{key: value})


@pytest.mark.parametrize("key", TOTALS)
def test_totals_are_lists_of_integers(key):
    assert getattr(Conditions(**{key: [0] * MAX_SERVERS}), key) == (0,) * MAX_SERVERS
    for value in ([0] * (MAX_SERVERS + 1), np.zeros((1, 1), int), np.zeros(10**6, int), 3, "12", {1: 2}, None):
        with pytest.raises(ScheduleError, match=f"'{key}' must be a list of at most {MAX_SERVERS} integers"):
            Conditions(**{key: value})
    for value in ([-1], [MAX_TOTAL + 1], [0.5], [True], [10**5000], np.array([np.nan]), [[1]]):
        with pytest.raises(ScheduleError, match=f"'{key}' must be an integer from 0 to {MAX_TOTAL}"):
            Conditions(**{key: value})


@pytest.mark.parametrize("value", ["first", "", None, 1, ["last"], HUGE])
def test_a_victim_is_known(value):
    for known in VICTIMS:
        assert Conditions(victim=known).victim == known
    with pytest.raises(ScheduleError, match="'victim' must be one of last, least, priority"):
        Conditions(victim=value)


@pytest.mark.parametrize("value", ["../serial", None, 1, ["serial"]])
def test_a_profile_is_a_known_name(value):
    assert Conditions(profile="llama-3-8b-h100-hinge").profile == "llama-3-8b-h100-hinge"
    with pytest.raises(ScheduleError, match="'profile' must be one of '', llama-3-8b-h100, .*serial-preemptive"):
        Conditions(profile=value)


@pytest.mark.parametrize("value", [1, "yes", None, HUGE])
def test_the_cache_is_on_or_off(value):
    with pytest.raises(ScheduleError, match="'prefix_cache' must be True or False"):
        Conditions(prefix_cache=value)


@pytest.mark.parametrize("strange", ["colour", 7, HUGE])
def test_an_unknown_condition_lists_the_known_ones(strange):
    with pytest.raises(ScheduleError, match="unknown condition .*; known: profile, watermark.*preemptions"):
        Conditions.read({strange: "red"})


@pytest.mark.parametrize("strange", [7, "last", [1], (("victim", "last"),)])
def test_conditions_are_a_dictionary(strange):
    with pytest.raises(ScheduleError, match="conditions must be a dictionary, got"):
        Conditions.read(strange)


def test_a_profile_may_be_a_file():
    assert Conditions(profile="server.toml").profile == "server.toml"
