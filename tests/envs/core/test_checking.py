"""Violations are listed up to a limit and counted beyond it; overlaps are found exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.checking import MAX_MESSAGES, listed, overlaps, report


def test_what_is_listed_is_in_words():
    assert [str(violation) for violation in listed("rule", 2, ["one", "two"])] == ["rule: one", "rule: two"]
    assert [str(violation) for violation in report("rule", np.array([3, 5]), lambda k: f"<{k}>")] == [
        "rule: <3>",
        "rule: <5>",
    ]
    assert listed("rule", 0, []) == []


@pytest.mark.parametrize("more", [0, 1, 7])
def test_no_more_words_are_made_than_are_listed(more):
    made = []
    found = report("rule", np.arange(MAX_MESSAGES + more), lambda k: made.append(k) or str(k))
    assert len(made) == MAX_MESSAGES
    expected = [f"{more} further violations of this rule are not listed"] if more else []
    assert [violation.message for violation in found[MAX_MESSAGES:]] == expected


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 9), st.integers(-2, 6)), max_size=12),
    st.sampled_from([0, 2**63 - 20, -(2**63) + 10]),
)
def test_overlaps_are_those_of_every_pair(intervals, origin):
    lane, start, length = np.array(intervals, dtype=np.int64).reshape(-1, 3).T
    start = start + origin
    end = start + length
    rows = np.flatnonzero(lane < 2)
    total, pairs = overlaps(rows, lane, start, end)
    expected = {
        frozenset((a, b))
        for a in rows.tolist()
        for b in rows.tolist()
        if a < b and lane[a] == lane[b] and min(length[a], length[b]) > 0
        and max(start[a], start[b]) < min(end[a], end[b])
    }  # fmt: skip
    found = list(pairs)
    assert {frozenset(pair) for pair in found} == expected and len(found) == len(expected) == total
    assert all(start[earlier] <= start[later] for earlier, later in found)
