"""Intervals: seeded, close to theory, and cheap enough for every instance there is."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.statistics import Interval, bootstrap, crossed_bootstrap, interquartile_mean


def test_it_is_close_to_the_normal_interval():
    values = np.random.default_rng(0).exponential(2.0, 2000)
    found = bootstrap(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = sum(i.low <= 1.0 <= i.high for i in (bootstrap(rng.normal(1.0, 3.0, 40), seed) for seed in range(200)))
    assert 0.88 <= covered / 200 <= 0.99


def test_it_depends_on_the_seed_only():
    values = np.random.default_rng(2).normal(size=30)
    assert bootstrap(values, 3) == bootstrap(values, 3)
    assert bootstrap(values, 3) != bootstrap(values, 4)
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    bootstrap(values)
    assert (np.random.get_state()[1] == state).all()


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_the_mean_lies_inside(values):
    found = bootstrap(values)
    slack = 1e-9 * max(map(abs, values)) + 1e-12
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    assert found.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    if len(set(values)) == 1:
        assert found.low == pytest.approx(found.high)


def test_zero_is_excluded_from_one_side_only():
    assert Interval(1, 0.5, 2).excludes_zero and Interval(-1, -2, -0.5).excludes_zero
    assert not Interval(1, -0.1, 2).excludes_zero and not Interval(0, 0, 0).excludes_zero


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], 3.0], ids=str)
def test_what_is_no_row_of_numbers_is_refused(values):
    with pytest.raises(ValueError, match="row of at least one number"):
        bootstrap(values)


def test_memory_stays_small():
    """A table over thousands of instances must not need gigabytes."""
    values = np.random.default_rng(0).normal(size=6000)
    tracemalloc.start()
    try:
        bootstrap(values)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6


def test_the_middle_half_ignores_what_is_far_off():
    assert interquartile_mean([5.0, 1.0, 2.0, 3.0, 1000.0, -1000.0, 4.0, 6.0]) == pytest.approx(3.5)
    table = np.array([[0.0, 1.0, 2.0, 99.0], [4.0, 4.0, 4.0, 4.0]])
    assert interquartile_mean(table, axis=1).tolist() == [1.5, 4.0]
    assert interquartile_mean([7.0]) == 7.0
    with pytest.raises(ValueError, match="at least one"):
        interquartile_mean([])


def test_seeds_and_instances_both_widen_the_interval():
    rng = np.random.default_rng(0)
    instances = rng.normal(size=50)
    same = np.stack([instances] * 5)
    seeds = same + 2.0 * rng.normal(size=(5, 1))
    narrow, wide = crossed_bootstrap(same), crossed_bootstrap(seeds)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    alone = bootstrap(instances)
    assert narrow.high - narrow.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert crossed_bootstrap(seeds, seed=1) == crossed_bootstrap(seeds, seed=1)
    assert crossed_bootstrap(same, interquartile_mean).mean == pytest.approx(interquartile_mean(same))


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [[]]], ids=str)
def test_what_is_no_table_is_refused(values):
    with pytest.raises(ValueError, match="table of seeds by instances"):
        crossed_bootstrap(values)
