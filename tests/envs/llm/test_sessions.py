"""Sessions hang together: prompts take in what was said before, groups begin alike, numbers are as asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.llm.sessions import Sessions, draw_sessions, zipf


def drawn(sessions, count=20_000, seed=0, answer=200):
    return draw_sessions(sessions, np.full(count, answer), np.random.default_rng(seed))


@given(st.integers(0, 2**32), st.sampled_from([1.0, 3.0, 9.0]), st.integers(0, 4), st.integers(5000, 9000))
def test_every_session_hangs_together(seed, turns, groups, longest):
    answers = np.random.default_rng(seed).integers(1, 900, 60)
    sessions = Sessions(turns=turns, groups=groups, longest=longest, prefix=(0, 900))
    found = draw_sessions(sessions, answers, np.random.default_rng(seed))
    assert all(len(values) == 60 for values in found.values()) and found["parent"][0] == -1
    prefix = {}
    for at in range(60):
        parent, group, shared = (int(found[what][at]) for what in ("parent", "group", "shared"))
        said = shared if parent < 0 else int(found["prompt"][parent] + found["output"][parent])
        assert parent in (-1, at - 1) and found["prompt"][at] == said + found["new"][at] and found["new"][at] >= 1
        assert 1 <= found["output"][at] <= answers[at]
        assert found["prompt"][at] + found["output"][at] <= longest
        assert (found["think"][at] == 0) >= (parent < 0) and found["think"][at] >= 0
        if parent >= 0:
            assert group == found["group"][parent]
        assert prefix.setdefault(group, shared) == shared and (-1 <= group < groups if groups else group == -1)


def test_numbers_are_as_asked_for():
    found = drawn(Sessions(turns=4.0, groups=0, longest=10**6, think=2.0, spread=0.5))
    roots = found["parent"] < 0
    assert len(roots) / roots.sum() == pytest.approx(4, rel=0.04)
    assert np.median(found["new"]) == pytest.approx(200, rel=0.02)
    assert np.log(found["new"]).std() == pytest.approx(0.5, rel=0.03)
    assert found["think"][~roots].mean() == pytest.approx(2e6, rel=0.03)
    assert (found["shared"] == 0).all() and (found["output"] == 200).all()


def test_groups_are_popular_by_zipf():
    found = drawn(Sessions(turns=1.0, groups=20, prefix=(500, 700)))
    counts = np.bincount(found["group"], minlength=20)
    weight = 1 / np.arange(1, 21)
    assert np.abs(counts / counts.sum() - weight / weight.sum()).max() < 0.02
    assert found["shared"].min() >= 500 and found["shared"].max() <= 700 and len(set(found["shared"])) > 5


def test_answers_that_are_too_long_become_shorter():
    found = drawn(Sessions(groups=0, longest=5000), count=50, answer=10**6)
    assert (found["prompt"] + found["output"] == 5000).all() and (found["parent"] == -1).all()


def test_zipf_at_its_ends():
    assert zipf(5, 0.0, np.array([0.0, 0.2, 0.99, 1.0])).tolist() == [0, 1, 4, 4]
    assert zipf(1, 3.0, np.array([0.0, 1.0])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turns": 0.5}, "turns must be"), ({"new": 0}, "new must be"), ({"spread": -1}, "spread must be"),
        ({"most_new": 10.5}, "most_new must be a whole number"), ({"think": float("nan")}, "think must be"),
        ({"groups": -1}, "groups must be"), ({"groups": 2.5}, "groups must be a whole number"),
        ({"prefix": (5, 3)}, "prefix must be two numbers of tokens in order"), ({"skew": 11}, "skew must be"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        Sessions(**changes)


def test_there_must_be_room_for_an_answer():
    with pytest.raises(OptionError, match="longest 7072 leaves no room"):
        drawn(Sessions(longest=7072), 5)
    assert (drawn(Sessions(longest=7073), 500)["output"] >= 1).all()
