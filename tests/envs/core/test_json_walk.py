"""JSON is taken apart with its size capped, and what is wrong is named by its path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core import json_walk
from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.core.json_walk import Walker, load, shown


def test_objects_are_read():
    assert load('\ufeff{"a": [1, 2.5, null]}', "x") == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x:1: not JSON"), ("[1]", "x: expected a JSON object, found a list of 1"), ('{"a": 1', "x:1: not JSON"),
        ('{"a": 1, "a": 2}', 'x: the key "a" stands twice'), ('{"b": {"a": 1, "a": 2}}', 'the key "a" stands twice'),
        ("[" * 100_000, "nested too deep"), ('{"a": ' + "9" * 5000 + "}", "not JSON that can be read"),
    ],
)  # fmt: skip
def test_torn_texts_are_refused(text, message):
    with pytest.raises(InstanceError, match=message):
        load(text, "x")


def test_sizes_are_capped_before_anything_is_taken_apart(monkeypatch):
    monkeypatch.setattr(json_walk.json, "loads", lambda *_, **__: pytest.fail("it was taken apart"))
    with pytest.raises(InstanceError, match="too large"):
        load("[" * (json_walk.MAX_LISTS + 1), "x")
    monkeypatch.setattr(json_walk, "MAX_FILE_BYTES", 10)
    with pytest.raises(InstanceError, match="too large: more than 10 characters"):
        load(" " * 11, "x")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda walker: walker.record("a", [], ("k",)), "a: expected an object with the keys k, found a list of 0"),
        (lambda walker: walker.record("", {"k": 1, "l": 2}, ("k",)), "l: unknown key; known: k"),
        (lambda walker: walker.record("a", {}, ("k",)), "a.k: missing; the keys are k"),
        (lambda walker: walker.part("a", {}, "k"), "a.k: missing"),
        (lambda walker: walker.rows("a", [1], 2, 3), "a: expected 2 to 3 entries, found 1"),
        (lambda walker: walker.whole("a", True, 0, 1), "a: expected a whole number from 0 to 1, found true"),
        (lambda walker: walker.whole("a", 2, 0, 1, " or null"), "a: .* from 0 to 1 or null, found 2"),
        (lambda walker: walker.amount("a", 1.5, 0, 9), "a: expected a whole number"),
        (lambda walker: walker.amount("a", float("nan"), 0, 9), "a: expected a whole number .* found NaN"),
        (lambda walker: walker.flag("a", 1), "a: expected true or false, found 1"),
        (lambda walker: walker.word("a", "b\n"), "a: expected one line"),
    ],
)
def test_what_is_wrong_is_named(check, message):
    with pytest.raises(InstanceError, match="^x: " + message):
        check(Walker("x"))


def test_what_is_right_is_handed_on():
    walker = Walker("x")
    assert walker.record("", {"k": 1}, ("k", "l"), ("l",)) == {"k": 1} and walker.part("", {"k": 1}, "k") == 1
    assert (
        walker.rows("a", [1], 1, 1) == [1] and walker.amount("a", 3.0, 0, 9) == 3 and walker.flag("a", False) is False
    )


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_anything_is_shown_in_few_characters(value):
    assert 0 < len(shown(value)) <= 43
