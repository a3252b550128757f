"""Arrivals: the right number at the right rate, the kinds in the right shares, nonsense refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.soc.arrivals import MAX_ARRIVALS, arrival_times, draw_arrivals, job_kinds
from dispatchgym.envs.soc.job_graph import MAX_TIME


def rng(seed=0):
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(
    st.sampled_from(["poisson", "fixed"]),
    st.integers(1, 100),
    st.integers(1, 50),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_times_do_not_decrease_and_begin_at_zero(process, gap, jobs, graphs, seed):
    time, kind = draw_arrivals(process, rng(seed), gap, jobs, graphs=graphs)
    assert time.shape == kind.shape == (jobs,) and time.dtype == kind.dtype == np.int32
    assert time[0] == 0 and (np.diff(time) >= 0).all()
    assert kind.min() >= 0 and kind.max() < graphs


def test_fixed_and_batch():
    assert arrival_times("fixed", rng(), 4, 3).tolist() == [0, 4, 8]
    assert arrival_times("fixed", rng(), 4, until=8).tolist() == [0, 4]
    assert arrival_times("fixed", rng(), 4, until=9).tolist() == [0, 4, 8]
    assert arrival_times("batch", rng(), jobs=3).tolist() == [0, 0, 0]


def test_poisson_gaps_are_exponential_rounded_down():
    gaps = np.diff(arrival_times("poisson", rng(), 25, 40_001))
    ratio = math.exp(-1 / 25)  # int(Exp) is geometric: P(gap >= k) = ratio ** k
    assert abs(gaps.mean() - ratio / (1 - ratio)) < 0.5  # standard deviation of the mean 0.12
    for k in (1, 10, 50):
        assert abs((gaps >= k).mean() - ratio**k) < 0.01


def test_until_is_an_end_that_no_job_reaches():
    counts = []
    for seed in range(200):
        time = arrival_times("poisson", rng(seed), 25, until=5000)
        assert time[0] == 0 and time[-1] < 5000
        counts.append(len(time))
    # One at 0 and one for each mean gap of 24.5 us: 205 with a deviation of 14 / sqrt(200) of the mean.
    assert abs(np.mean(counts) - 205) < 5
    assert arrival_times("poisson", rng(), 1000, until=1).tolist() == [0] * len(
        arrival_times("poisson", rng(), 1000, until=1)
    )


def test_until_draws_as_many_blocks_as_it_takes():
    # Gaps of int(Exp(1)) are 0.58 us on average, so the first block falls short.
    time = arrival_times("poisson", rng(), 1, until=10_000)
    assert time[-1] > 9_900 and abs(len(time) - 17_200) < 600


def test_a_number_of_jobs_begins_the_same_stream_as_a_larger_one():
    assert arrival_times("poisson", rng(3), 9, 50)[:20].tolist() == arrival_times("poisson", rng(3), 9, 20).tolist()


def test_kinds_follow_the_mix():
    kinds = job_kinds(20_000, rng(), 4, [1, 0, 2.5, 1.5])
    shares = np.bincount(kinds, minlength=4) / 20_000
    assert shares[1] == 0 and abs(shares - [0.2, 0, 0.5, 0.3]).max() < 0.02
    alike = np.bincount(job_kinds(20_000, rng(), 4), minlength=4) / 20_000
    assert abs(alike - 0.25).max() < 0.02
    assert set(job_kinds(100, rng(), 3, [0, 0, 1])) == {2}


@pytest.mark.parametrize("value", [0.0, 1.0])  # 1.0 is what a product rounded up may look like
def test_a_number_at_the_very_end_does_not_fall_on_a_kind_without_weight(value):
    class End:
        def random(self, count):
            return np.full(count, value)

    assert job_kinds(2, End(), 3, [0, 1, 0]).tolist() == [1, 1]


def test_a_single_kind_draws_nothing():
    generator = rng()
    before = generator.bit_generator.state
    assert job_kinds(3, generator).tolist() == [0, 0, 0]
    assert generator.bit_generator.state == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jobs": None}, "either jobs or until"),
        ({"until": 5}, "either jobs or until"),
        ({"jobs": 0}, "jobs must be a whole number from 1"),
        ({"jobs": 2.0}, "jobs must be a whole number"),
        ({"jobs": True}, "jobs must be a whole number"),
        ({"jobs": MAX_ARRIVALS + 1}, "jobs must be a whole number"),
        ({"jobs": None, "until": 0}, "until must be a whole number"),
        ({"jobs": None, "until": MAX_TIME, "gap": 1}, "jobs would arrive"),
        ({"gap": 0}, "gap must be 1"),
        ({"gap": 0.5}, "gap must be 1"),
        ({"gap": -3}, "gap must be 1"),
        ({"gap": math.nan}, "gap must be 1"),
        ({"gap": math.inf}, "gap must be 1"),
        ({"gap": "5"}, "gap must be a number"),
        ({"gap": True}, "gap must be a number"),
        ({"process": "fixed", "gap": 2.5}, "fixed gap must be a whole number"),
        ({"process": "fixed", "gap": MAX_TIME - 1, "jobs": 3}, "the last of 3 jobs arrives at"),
        ({"process": "batch", "gap": 5}, "batch has no gap"),
        ({"process": "batch", "gap": 0, "jobs": None, "until": 5}, "batch takes a number of jobs"),
        ({"graphs": 0}, "graphs must be"),
        ({"mix": [1]}, "mix must hold 2 weights"),
        ({"mix": [1, -1]}, r"mix\[1\]: expected a weight"),
        ({"mix": [1, math.nan]}, r"mix\[1\]: expected a weight"),
        ({"mix": [1, "1"]}, r"mix\[1\]: expected a weight"),
        ({"mix": [0, 0]}, "weights of mix sum to 0"),
        ({"mix": [1e308, 1e308]}, "weights of mix sum to inf"),
    ],
)
def test_absurd_arguments_are_refused(arguments, message):
    given = {"process": "poisson", "rng": rng(), "gap": 5, "jobs": 3, "graphs": 2} | arguments
    with np.errstate(over="ignore"), pytest.raises(OptionError, match=message):
        draw_arrivals(**given)


def test_an_unknown_process_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="known: batch, fixed, poisson"):
        arrival_times("weibull", rng(), 5, 3)
