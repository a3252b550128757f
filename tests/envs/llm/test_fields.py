"""Checks of arrays name what is wrong, and look at lengths before they allocate."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.llm import fields
from dispatchgym.envs.llm.fields import check_word, column, count


def test_columns_are_copies():
    values = np.array([1, 2, 3], dtype=np.uint8)
    found = column(values, "x", 3, 0, 9, np.int64, "here")
    values[0] = 9
    assert found.tolist() == [1, 2, 3] and found.dtype == np.int64
    assert column(range(3), "x", 3, 0, 2, np.int32, "here").dtype == np.int32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], "x must have 3 entries, got 2"),
        (5, "x must be a list of integers, got 5"),
        (range(10**9), "x must have 3 entries, got 1000000000"),
        ([1, 2, 10], r"x\[2\]: 10 is not 0 to 9"),
        ([1, -1, 2], r"x\[1\]: -1 is not 0 to 9"),
        ([1.0, 2.0, 3.0], "x must be 3 integers, got float64"),
        ([True, False, True], "x must be 3 integers, got bool"),
        (["1", "2", "3"], "x must be 3 integers"),
        ([[1], [2], [3]], r"x must be 3 integers, got int64 of shape \(3, 1\)"),
        ([[1], [2, 3], [4]], "x is not an array of integers"),
        ([1, 2, 2**70], "x must be 3 integers, got object"),
        (np.array([1, 2, 2**63], dtype=np.uint64), r"x\[2\]: 9223372036854775808 is not"),
        ([1, float("nan"), 2], "x must be 3 integers"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(InstanceError, match="^here: " + message):
        column(values, "x", 3, 0, 9, np.int32, "here")


def test_counts_and_words():
    assert count([1, 2], "x", 2, "here") == 2
    for values in ([], [1, 2, 3]):
        with pytest.raises(InstanceError, match="x must have 1 to 2 entries"):
            count(values, "x", 2, "here")
    for word in ("", "a\nb", 3, None):
        with pytest.raises(InstanceError, match="x: expected one line"):
            check_word(word, "x", "here")


def test_limits_fit_the_integers_they_are_kept_in():
    assert fields.MAX_REQUESTS < 2**31 and 2 * fields.MAX_TIME + 2**60 < 2**63
