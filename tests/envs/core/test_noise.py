"""Noise follows its distributions, and is drawn as the engine draws."""

import doctest
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatchgym.envs.core import noise, rng
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.noise import HIGHEST, NOISES, ONE, QUANTILES, exponential_table, random_bits, table
from dispatchgym.envs.core.twin import twin

engine_bits = twin(rng.random_bits)
int32 = st.integers(-(2**31), 2**31 - 1)
SHARE = (np.arange(QUANTILES) + 0.5) / QUANTILES
Z = np.array([NormalDist().inv_cdf(share) for share in SHARE])
MULTIPLICATIVE = ("gaussian", "lognormal", "gamma", "ds3")


def factors(kind: str, sigma: float) -> np.ndarray:
    return table(kind, sigma) / ONE


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0])
def test_normal_quantiles_are_those_of_the_distribution(sigma):
    step = 0.5 / ONE + 1e-9
    assert np.abs(factors("gaussian", sigma) - np.clip(1 + sigma * Z, 0.1, 8)).max() <= step
    assert np.abs(factors("ds3", sigma) - np.minimum(1 + sigma * Z, 8)).max() <= step
    expected = np.minimum(np.exp(math.sqrt(math.log(1 + sigma**2)) * Z) / math.sqrt(1 + sigma**2), 8)
    assert np.abs(factors("lognormal", sigma) - expected).max() <= step
    assert np.array_equal(table("readys", sigma), np.round(np.maximum(sigma * Z, -2)))


@pytest.mark.parametrize(
    ("shape", "share_of"),
    [
        (0.5, lambda x: 2 * np.array([NormalDist().cdf(math.sqrt(2 * v)) for v in x]) - 1),  # chi-square, 1 degree
        (1, lambda x: 1 - np.exp(-x)),  # exponential
        (2, lambda x: 1 - np.exp(-x) * (1 + x)),  # Erlang
        (5, lambda x: 1 - np.exp(-x) * sum(x**k / math.factorial(k) for k in range(5))),
        (50, lambda x: 1 - np.exp(-x) * sum(x**k / math.factorial(k) for k in range(50))),
    ],
)
def test_gamma_quantiles_solve_the_closed_form(shape, share_of):
    tabulated = table("gamma", shape**-0.5)
    free = (tabulated < HIGHEST * ONE) & (tabulated > 0)
    lower, upper = (share_of(shape * (tabulated[free] + half) / ONE) for half in (-0.51, 0.51))
    assert free.mean() > 0.95
    assert ((lower <= SHARE[free]) & (upper >= SHARE[free])).all()
    assert share_of(shape * np.array([8.0]))[0] <= SHARE[tabulated == HIGHEST * ONE].min(initial=1)


@pytest.mark.parametrize("kind", MULTIPLICATIVE)
@pytest.mark.parametrize("sigma", [1e-5, 1e-4, 1e-3, 0.05, 0.2, 0.3])
def test_mean_is_one_and_spread_is_sigma(kind, sigma):
    values = factors(kind, sigma)
    assert np.isclose(values.mean(), 1, atol=max(1e-4, 1 / ONE))
    assert np.isclose(values.std(), sigma, rtol=0.005, atol=0.5 / ONE)
    assert (np.diff(values) >= 0).all()


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("sigma", [0, 1e-300, 1e-9, 0.3, 4.0])
def test_tables_are_sorted_bounded_and_fixed(kind, sigma):
    values = table(kind, sigma)
    assert values.shape == (QUANTILES,) and values.dtype == np.int32 and not values.flags.writeable
    assert (np.diff(values) >= 0).all()
    if kind != "readys":
        assert values.max() <= HIGHEST * ONE
    if sigma < 1e-6 or kind == "none":
        assert set(values.tolist()) == {0 if kind == "readys" else ONE}
    if kind == "gaussian":
        assert values.min() >= round(0.1 * ONE)


@pytest.mark.parametrize(
    ("kind", "sigma", "names"),
    [
        ("weibull", 0.1, "gaussian.*weibull"),
        ("gamma", -0.1, "sigma"),
        ("gamma", 4.1, "sigma"),
        ("readys", 1001, "sigma"),
        ("gamma", math.nan, "sigma"),
        ("gamma", math.inf, "sigma"),
        ("gamma", "0.1", "sigma"),
        ("gamma", True, "sigma"),
    ],
)
def test_bad_tables_are_refused(kind, sigma, names):
    with pytest.raises(OptionError, match=names):
        table(kind, sigma)


@given(int32, int32, int32, st.lists(int32, min_size=1, max_size=20))
@example(0, 0, 0, [0])
@example(-1, 2**31 - 1, -(2**31), [2**31 - 1])
def test_bits_are_those_of_the_engine(seed, world, episode, draws):
    with np.errstate(over="ignore"):
        expected = [engine_bits(seed, world, episode, draw) for draw in draws]
    found = random_bits(seed, world, episode, np.array(draws))
    assert found.tolist() == expected and found.dtype == np.int64
    assert random_bits(seed, world, episode, draws[0]) == expected[0]


def test_exponential_quantiles_are_those_of_the_distribution():
    values = exponential_table()
    assert values.shape == (QUANTILES,) and values.dtype == np.int32 and not values.flags.writeable
    assert exponential_table() is values
    lower, upper = (1 - np.exp(-(values + half) / ONE) for half in (-0.51, 0.51))
    assert ((lower <= SHARE) & (upper >= SHARE)).all()
    assert np.isclose(values.mean(), ONE, rtol=2e-4) and np.isclose(values.std(), ONE, rtol=2e-3)


def test_the_examples_run():
    assert doctest.testmod(noise).failed == 0 and doctest.testmod(noise).attempted > 0
