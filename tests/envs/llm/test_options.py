"""The options of LLM admission: what each accepts, and what goes together."""

import dataclasses
import math

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.llm import options as room
from dispatchgym.envs.llm.conditions import TOTALS, Conditions
from dispatchgym.envs.llm.options import SHAPED_BY, Options

NUMBERS = {
    "choice": (0, 100_000), "past_future": (0, 200), "defer": (0, 100), "watermark": (0, 50), "swap_rate": (0, 10**9),
}  # fmt: skip
FLAGS = ("stop", "reject", "forced_moves", "leap", "prefix_cache")
WORDS = {
    "control": room.CONTROLS, "order": room.ORDERS, "local": room.LOCALS, "victim": room.VICTIMS,
    "prediction": room.PREDICTIONS, "observation": room.OBSERVATIONS,
}  # fmt: skip


def test_these_are_all():
    names = {field.name for field in dataclasses.fields(Options)}
    assert names == {*NUMBERS, *FLAGS, *WORDS, "profile", "sigma"} and SHAPED_BY in names
    assert all(field.metadata for field in dataclasses.fields(Options))


def test_the_world_is_what_schedules_say_and_what_only_players_see():
    said = {field.name for field in dataclasses.fields(Conditions)} - set(TOTALS)
    assert Options.world == said | {"local", "prediction", "sigma"}


@pytest.mark.parametrize("name", WORDS)
def test_words_are_those_that_are_known(name):
    for word in WORDS[name]:
        assert getattr(Options(**{name: word}), name) == word
    for value in ("", "None", WORDS[name][0].upper(), f" {WORDS[name][0]}", None, True, 0, [WORDS[name][0]], b"x"):
        with pytest.raises(OptionError, match=f"{name} must be one of {', '.join(WORDS[name])}"):
            Options(**{name: value})


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [1, 0, "yes", None, "", [], "true"])
def test_flags_are_true_or_false(name, value):
    with pytest.raises(OptionError, match=f"{name} must be True or False"):
        Options(**{name: value})
    assert getattr(Options(**{name: "False"}), name) is False and getattr(Options(**{name: np.True_}), name) is True


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_whole_and_bounded(name):
    least, most = NUMBERS[name]
    for value in (least, most, str(most), np.int32(most)):
        assert getattr(Options(**{name: value}), name) == int(value)
    for value in (least - 1, most + 1, 2.5, "2.5", "many", None, True, math.nan, math.inf, 10**30, [3], {}):
        with pytest.raises(OptionError, match=f"{name} must be a (whole )?number from {least} to "):
            Options(**{name: value})


@pytest.mark.parametrize("value", [-0.001, 4.001, "-1", math.nan, math.inf, None, True, 10**400, "1e999", "wide"])
def test_sigma_is_a_number(value):
    with pytest.raises(OptionError, match="sigma must be a number from 0 to 4"):
        Options(sigma=value)
    assert Options(sigma="0.25").sigma == 0.25 and Options(sigma=1).sigma == 1.0


@pytest.mark.parametrize("value", [None, 3, ["serial"], b"serial", True])
def test_a_profile_is_a_name(value):
    with pytest.raises(OptionError, match="profile must be a name or a file"):
        Options(profile=value)


def test_what_the_environments_take_the_validator_takes_as_well():
    for name in ("watermark", "swap_rate"):
        for value in NUMBERS[name]:
            assert getattr(Conditions.read({name: value}), name) == value
    for victim in room.VICTIMS:
        assert Conditions.read({"victim": victim}).victim == victim


def test_words_stand_in_the_order_of_the_simulator():
    from dispatchgym.envs.llm import simulator_state

    def numbers(*names):
        return [getattr(simulator_state, name) for name in names]

    assert numbers("ADMISSION", "ROUTING") == list(range(len(room.CONTROLS)))
    assert numbers("BY_DEADLINE", "BY_ARRIVAL", "MOORE_HODGSON") == list(range(len(room.ORDERS)))
    for words in (room.LOCALS, room.VICTIMS):
        assert numbers(*(word.upper() for word in words)) == list(range(len(words)))
