"""Arrivals: the right number at the right rate, as bursty as is asked for, nonsense refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.llm.arrivals import PROCESSES, Process, number

MANY = 40_000


def gaps(process, rate=20.0, count=MANY, seed=0):
    """Seconds between arrivals."""
    return np.diff(process.times(np.random.default_rng(seed), rate, count)) / 1e6


@given(st.sampled_from(PROCESSES), st.floats(1e-3, 1e5), st.integers(1, 50), st.integers(0, 99))
def test_times_do_not_decrease_and_begin_at_zero(kind, rate, count, seed):
    times = Process(kind, cv=3.0, depth=1.0).times(np.random.default_rng(seed), rate, count)
    assert times.shape == (count,) and times.dtype == np.int64
    assert times[0] == 0 and (np.diff(times) >= 0).all()


def test_poisson():
    found = gaps(Process())
    assert found.mean() == pytest.approx(1 / 20, rel=0.02) and found.std() / found.mean() == pytest.approx(1, abs=0.02)
    assert (found > 0.1).mean() == pytest.approx(math.exp(-2), abs=0.01)


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gamma(cv):
    found = gaps(Process("gamma", cv=cv))
    assert found.mean() == pytest.approx(1 / 20, rel=0.06) and found.std() / found.mean() == pytest.approx(cv, rel=0.06)


def test_on_and_off():
    process = Process("on-off", on=2.0, off=6.0)
    times = process.times(np.random.default_rng(1), 20.0, MANY) / 1e6
    assert MANY / times[-1] == pytest.approx(20, rel=0.15)  # some 250 times on and off
    counts = np.bincount((times / 0.5).astype(int))
    assert (counts == 0).mean() == pytest.approx(0.75, abs=0.08)  # most half seconds of being off are silent
    assert np.median(counts[counts > 20]) == pytest.approx(40, rel=0.1)  # 80 a second while it is on


def test_modulated():
    process = Process("modulated", period=10.0, depth=0.8)
    times = process.times(np.random.default_rng(1), 50.0, MANY) / 1e6
    assert MANY / times[-1] == pytest.approx(50, rel=0.02)
    phase = times % 10.0
    for begin, end in ((0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)):
        share = ((phase >= begin) & (phase < end)).mean()
        swing = 0.8 / math.tau * (math.cos(math.tau * begin / 10) - math.cos(math.tau * end / 10))
        assert share == pytest.approx((end - begin) / 10 + swing, abs=0.01)
    flat = Process("modulated", depth=0.0).times(np.random.default_rng(1), 50.0, 100)
    assert np.abs(flat - Process().times(np.random.default_rng(1), 50.0, 100)).max() <= 1


def test_a_number_of_requests_begins_the_same_stream_as_a_larger_one():
    for kind in ("poisson", "gamma", "modulated"):
        long = Process(kind).times(np.random.default_rng(3), 9.0, 50)
        assert long[:20].tolist() == Process(kind).times(np.random.default_rng(3), 9.0, 20).tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cv": 0.0}, "cv must be a number from 0.001 to 100, got 0.0"),
        ({"cv": math.nan}, "cv must be a number"),
        ({"cv": "3"}, "cv must be a number"),
        ({"on": -1.0}, "on must be a number"),
        ({"off": math.inf}, "off must be a number"),
        ({"period": 0}, "period must be a number"),
        ({"depth": 1.1}, "depth must be a number from 0 to 1"),
        ({"depth": True}, "depth must be a number"),
    ],
)
def test_absurd_processes_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        Process("gamma", **changes)


@pytest.mark.parametrize(
    ("rate", "count", "message"),
    [
        (0.0, 5, "rate must be"), (-1.0, 5, "rate must be"), (math.nan, 5, "rate must be"), (2e6, 5, "rate must be"),
        (1.0, 0, "count must be a whole number from 1"), (1.0, 1_000_001, "count must be"), (1.0, 2.0, "count must be"),
        (1.0, True, "count must be"), (1e-6, 5000, "the last of 5000 requests arrives after"),
    ],
)  # fmt: skip
def test_absurd_arguments_are_refused(rate, count, message):
    with pytest.raises(OptionError, match=message):
        Process().times(np.random.default_rng(0), rate, count)


def test_an_unknown_process_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="known: gamma, modulated, on-off, poisson"):
        Process("weibull")
    number("x", np.int64(3), 3, 3)
