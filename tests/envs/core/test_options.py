"""What options are read from: values of Python and words of a command line."""

import dataclasses
import math

import numpy as np
import pytest

import dispatchgym  # noqa: F401  (registers the families)
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.options import as_bool, as_integer, as_number, one_of, option
from dispatchgym.envs.core.registry import families

NONSENSE = [None, "", "many", [], [1], {}, ..., 1j, b"one", math.nan, "nan", math.inf, "-inf", 10**400, np.ones(2)]


@pytest.mark.parametrize("value", [True, "True", np.True_, False, "False", np.False_])
def test_flags(value):
    assert as_bool("loud", value) is (str(value) == "True")


@pytest.mark.parametrize("value", [1, 0, "true", "yes", "1", "", None, [], 1.0, "True ", np.array([True])])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(OptionError, match="loud must be True or False, got"):
        as_bool("loud", value)


@pytest.mark.parametrize("value", [3, "3", 3.0, "3.0", np.int8(3), np.float32(3), " 3 ", "3e0"])
def test_whole_numbers(value):
    found = as_integer("count", value, 0, 5)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("value", [*NONSENSE, 2.5, "2.5", -1, 6, True, False, "0x3"], ids=repr)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(OptionError, match="count must be a (whole )?number from 0 to 5, got"):
        as_integer("count", value, 0, 5)


@pytest.mark.parametrize("value, found", [(0, 0.0), ("0.5", 0.5), (1, 1.0), (np.float64(0.25), 0.25), ("1e-3", 0.001)])
def test_numbers(value, found):
    assert as_number("share", value, 0, 1) == found and type(as_number("share", value, 0, 1)) is float


@pytest.mark.parametrize("value", [*NONSENSE, -1e-9, 1.0000001, True, "half"], ids=repr)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(OptionError, match="share must be a number from 0 to 1, got"):
        as_number("share", value, 0, 1)


@pytest.mark.parametrize("value", [*NONSENSE, "Left", "left ", 0, True, ("left",)], ids=repr)
def test_what_is_no_choice_is_refused_with_the_choices(value):
    one_of("side", "left", ("left", "right"))
    with pytest.raises(OptionError, match="side must be one of left, right, got"):
        one_of("side", value, ("left", "right"))


def test_options_are_fields_with_a_help():
    Made = dataclasses.make_dataclass("Made", [("loud", bool, option(True, "makes noise"))])
    (field,) = dataclasses.fields(Made)
    assert Made().loud is True and field.metadata["help"] == "makes noise"


def test_every_option_has_a_help_and_a_default_that_it_accepts():
    for entry in families():
        default = entry.make_options()
        for field in dataclasses.fields(entry.options):
            assert field.metadata["help"] and field.metadata["help"][-1] != "."
            again = entry.make_options(**{field.name: str(getattr(default, field.name))})  # as a command line says it
            assert again == default
        assert entry.options.world <= {field.name for field in dataclasses.fields(entry.options)}


def test_options_are_values():
    for entry in families():
        one, other = entry.make_options(), entry.make_options()
        assert one == other and hash(one) == hash(other)
        last = dataclasses.fields(one)[-1].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, last, "none")
        with pytest.raises(OptionError, match=f"unknown option 'colour' of .*; known: .*{last}"):
            entry.make_options(colour="red")
