"""Random numbers are a fixed, even function of their key, the same in Python and in compiled code."""

import numpy as np
import pytest
import warp as wp
from hypothesis import example, given
from hypothesis import strategies as st

from dispatchgym.envs.core import rng
from dispatchgym.envs.core.twin import twin

int32 = st.integers(-(2**31), 2**31 - 1)
python_bits = twin(rng.random_bits)
python_instance = twin(rng.instance_of)


@wp.kernel(module="dispatchgym_test_rng")
def bits_kernel(keys: wp.array2d(dtype=wp.int32), out: wp.array(dtype=wp.int32)):
    i = wp.tid()
    out[i] = rng.random_bits(keys[i, 0], keys[i, 1], keys[i, 2], keys[i, 3])


@wp.kernel(module="dispatchgym_test_rng")
def instance_kernel(keys: wp.array2d(dtype=wp.int32), out: wp.array(dtype=wp.int32)):
    i = wp.tid()
    out[i] = rng.instance_of(keys[i, 0], keys[i, 1], keys[i, 2], keys[i, 3], keys[i, 4], keys[i, 5])


def compiled(kernel, keys) -> np.ndarray:
    keys = np.ascontiguousarray(keys, np.int32)
    out = wp.zeros(len(keys), dtype=wp.int32, device="cpu")
    wp.launch(kernel, dim=len(keys), inputs=[wp.array(keys, dtype=wp.int32, device="cpu"), out], device="cpu")
    return out.numpy()


def grid(position: int, count: int, start: int = 0) -> np.ndarray:
    """Keys that differ in one position only."""
    keys = np.tile(np.array([11, 22, 33, 44]), (count, 1))
    keys[:, position] = start + np.arange(count)
    return keys


def mixed(x: int) -> int:
    """The 32-bit finaliser "lowbias32" in unbounded integers, written down independently."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> shift)) * factor % 2**32
    return x ^ (x >> 16)


@given(int32, int32, int32, int32)
@example(0, 0, 0, 0)
@example(-1, -1, -1, -1)
def test_bits_follow_their_definition(seed, environment, episode, draw):
    x = mixed((seed + 0x9E3779B9) % 2**32)
    x = mixed(x ^ environment % 2**32)
    x = mixed((x + episode) % 2**32)
    expected = mixed(x ^ draw % 2**32) >> 1
    with np.errstate(over="ignore"):
        assert python_bits(seed, environment, episode, draw) == expected
    assert compiled(bits_kernel, [[seed, environment, episode, draw]])[0] == expected >= 0


@pytest.mark.parametrize("position", range(4))
def test_every_part_of_the_key_counts(position):
    drawn = compiled(bits_kernel, grid(position, 20_000))
    # of 20,000 draws from 2**31 about 0.09 pairs meet by chance
    assert len(np.unique(drawn)) >= 19_996
    others = [compiled(bits_kernel, grid(other, 20_000)) for other in range(4) if other != position]
    assert all((drawn == other).sum() < 5 for other in others)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("shift", [0, 15, 27])
def test_draws_are_even_and_independent(position, shift):
    count, buckets = 65_536, 16
    drawn = compiled(bits_kernel, grid(position, count, 1000)) >> shift & (buckets - 1)
    expected = count / buckets
    # chi-square with 15 degrees of freedom exceeds 50 once in 80,000 times
    assert ((np.bincount(drawn, minlength=buckets) - expected) ** 2 / expected).sum() < 50
    pairs = np.bincount(drawn[:-1] * buckets + drawn[1:], minlength=buckets**2)
    expected = (count - 1) / buckets**2
    # 255 degrees of freedom: mean 255, standard deviation 22.6
    assert ((pairs - expected) ** 2 / expected).sum() < 255 + 6 * 22.6


@given(st.integers(1, 1000), int32)
def test_draws_stay_below_their_bound(bound, seed):
    with np.errstate(over="ignore"):
        assert 0 <= twin(rng.random_below)(bound, seed, 1, 2, 3) < bound


@given(int32, st.data(), st.integers(1, 2**20), st.integers(0, 2**31 - 1), st.integers(1, 100_000), st.integers(0, 1))
def test_instances_are_in_the_bank(seed, data, groups, episode, instances, shuffled):
    group = data.draw(st.integers(0, groups - 1))
    key = (seed, group, groups, episode, instances, shuffled)
    with np.errstate(over="ignore"):
        python = int(python_instance(*key))
    assert python == compiled(instance_kernel, [key])[0] and 0 <= python < instances
    if not shuffled:
        assert python == (group + episode * groups) % instances


def test_large_banks_do_not_overflow():
    key = (0, 0, 65_535, 65_535, 70_000, 0)
    assert compiled(instance_kernel, [key])[0] == python_instance(*key) == 65_535**2 % 70_000


def test_groups_walk_through_the_bank_side_by_side():
    keys = [(0, group, 3, episode, 7, 0) for episode in range(7) for group in range(3)]
    assert compiled(instance_kernel, keys).tolist() == [k % 7 for k in range(21)]
