"""The options of the SoC: what each accepts, what goes together, and when an environment plans."""

import dataclasses
import math

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.noise import NOISES, table
from dispatchgym.envs.soc.options import BINDINGS, Options

FLAGS = ("insertion", "shared_bus", "replan", "forced_moves")
WORDS = ("mode", "binding", "priority", "noise", "rounding", "planner", "pilot", "observation")
NUMBERS = ("choice", "wip_cap", "sigma")


def test_these_are_all():
    assert {field.name for field in dataclasses.fields(Options)} == {*FLAGS, *WORDS, *NUMBERS} == Options.names()
    assert Options.world == {"noise", "sigma", "rounding", "shared_bus", "wip_cap"}


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("value", ["", "None", "Pull", " late", "plan\n", None, True, 0, ["plan"], b"plan", "ｐlan"])
def test_unknown_words_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} must be one of "):
        Options(**{name: value})


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [1, 0, "yes", None, "", [], "true"])
def test_flags_are_true_or_false(name, value):
    with pytest.raises(OptionError, match=f"{name} must be True or False"):
        Options(**{name: value})
    assert getattr(Options(**{name: "False"}), name) is False and getattr(Options(**{name: np.True_}), name) is True


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, "-1", "many", None, True, math.nan, math.inf, 10**9, "1e999", [3], {}, 2**63])
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} must be a (whole )?number from 0 to "):
        Options(**{name: value, **({"noise": "gamma"} if name == "sigma" else {})})


@pytest.mark.parametrize("name", ["choice", "wip_cap"])
def test_counts_are_whole(name):
    assert getattr(Options(**{name: "3"}), name) == 3 == getattr(Options(**{name: np.int16(3)}), name)
    with pytest.raises(OptionError, match=f"{name} must be a whole number"):
        Options(**{name: 2.5})


@pytest.mark.parametrize("noise", NOISES[1:])
def test_the_spread_reaches_as_far_as_the_tables(noise):
    highest = 1000 if noise == "readys" else 4
    table(noise, Options(noise=noise, sigma=highest).sigma)
    with pytest.raises(OptionError, match=f"sigma must be a number from 0 to {highest}"):
        Options(noise=noise, sigma=highest + 0.001)


@pytest.mark.parametrize(
    "together, words",
    [
        (dict(sigma=0.5), "sigma needs a noise"),
        (dict(shared_bus=True, binding="late"), "binding late.*shared_bus"),
        (dict(shared_bus=True, binding="idle"), "binding idle.*shared_bus"),
        (dict(mode="plan", noise="gamma"), "noise gamma needs mode online"),
        (dict(mode="plan", planner="heft"), "planner heft needs mode online"),
        (dict(mode="online", pilot="both"), "pilot .*needs mode plan"),
        (dict(noise="ds3", pilot="rank-oct"), "pilot .*without noise"),
        (dict(shared_bus=True, pilot="both"), "pilot .*shared_bus"),
        (dict(shared_bus=True, planner="peft"), "planner .*shared_bus"),
    ],
)
def test_what_does_not_go_together_is_refused(together, words):
    with pytest.raises(OptionError, match=words):
        Options(**together)


@pytest.mark.parametrize("mode", ["auto", "plan", "online"])
@pytest.mark.parametrize("static", [True, False])
def test_one_graph_at_time_0_is_planned_unless_something_moves(mode, static):
    assert Options(mode=mode).plans(static) == (mode == "plan" or (mode == "auto" and static))
    if mode != "plan":
        assert not Options(mode=mode, noise="gamma").plans(static)
        assert not Options(mode=mode, planner="heft").plans(static)


def test_bindings_stand_in_the_order_of_the_simulator():
    from dispatchgym.envs.soc import simulator_state

    assert [getattr(simulator_state, name.upper()) for name in BINDINGS] == list(range(len(BINDINGS)))
