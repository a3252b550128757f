"""Random flexible job shops: within their ranges, reproducible, and held out from training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.flexible_job_shop.generator import (
    MAX_SEED,
    PRESETS,
    draw_instance,
    preset_instance,
    preset_size,
    sd1,
    sd2,
    training_instances,
)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_sd1_keeps_to_its_ranges(jobs, machines, seed):
    shop = sd1(jobs, machines, np.random.default_rng(seed), "mine")
    assert (shop.jobs, shop.machines, shop.name) == (jobs, machines, "mine")
    assert max(1, int(0.8 * machines)) <= shop.operations.min() and shop.operations.max() <= max(1, 6 * machines // 5)
    real = shop.alternatives > 0
    times = np.where(shop.compatible, shop.duration, -1)[real]
    lowest = np.where(shop.compatible, shop.duration, 99)[real].min(axis=1)
    assert 1 <= lowest.min() and times.max() <= 20
    # of some mean: times of an operation are rounded from four fifths to six fifths of it
    means = np.arange(1, 21)[:, None]
    fits = (np.rint(0.8 * means) <= lowest) & (times.max(axis=1) <= np.rint(1.2 * means))
    assert fits.any(axis=0).all()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_sd2_keeps_to_its_ranges(jobs, machines, seed):
    shop = sd2(jobs, machines, np.random.default_rng(seed))
    assert (shop.operations == machines).all() and shop.size == f"{jobs}x{machines}"
    assert shop.duration.max() <= 99 and shop.duration[shop.compatible].min() >= 1


def test_draws_cover_their_ranges_evenly():
    rng = np.random.default_rng(0)
    many = [sd1(40, 5, rng) for _ in range(20)]
    lengths = np.bincount(np.concatenate([shop.operations for shop in many]))
    assert (lengths[:4] == 0).all() and (lengths[4:7] > 200).all() and len(lengths) == 7
    machines = np.bincount(np.concatenate([shop.alternatives[shop.alternatives > 0] for shop in many]))
    assert machines[0] == 0 and (machines[1:6] > 600).all()
    used = np.mean([shop.compatible[shop.alternatives > 0].mean(axis=0) for shop in many], axis=0)
    assert np.allclose(used, 0.6, atol=0.03)
    wide = sd2(60, 10, rng)
    assert np.isin(np.arange(1, 100), wide.duration).all() and (np.bincount(wide.alternatives.ravel())[1:] > 30).all()


def test_presets():
    assert preset_size("sd1-20x10") == ("sd1", 20, 10) and all(preset_size(preset) for preset in PRESETS)
    for wrong in ("", "sd1", "sd3-10x5", "sd1-10", "sd1-010x5", "SD1-10x5", "sd1-10x5 ", "sd1-10x0", "10x5"):
        with pytest.raises(UnknownNameError, match="sd1-10x5"):
            preset_size(wrong)
    with pytest.raises(OptionError, match="must be 1 to"):
        preset_size("sd1-1000000x1000")
    for kind in (sd1, sd2):
        with pytest.raises(OptionError, match="must be 1 to"):
            kind(0, 5, np.random.default_rng(0))
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(OptionError, match="seed"):
            preset_instance("sd1-10x5", seed)


def test_preset_instances_do_not_change():
    # These digests fix what every result on held-out instances was computed on.
    assert preset_instance("sd1-10x5", 0).digest == "4e2f85f5e56c9ab4"
    assert preset_instance("sd2-15x10", 7).digest == "8d69bec03e8fa72f"
    assert preset_instance("sd1-10x5", 3).name == "sd1-10x5:3"


def test_instances_differ_by_kind_seed_and_size():
    names = [f"{kind}-{size}" for kind in ("sd1", "sd2") for size in ("4x3", "3x4", "4x4")]
    assert len({preset_instance(name, seed).digest for name in names for seed in range(20)}) == 120
    rng = np.random.default_rng(0)
    assert draw_instance("sd2-4x3", rng).digest != draw_instance("sd2-4x3", rng).digest
    assert draw_instance("sd2-4x3", np.random.default_rng(1)).name == "sd2-4x3"


@pytest.mark.parametrize("preset", ["sd1-6x4", "sd2-6x4"])
def test_training_never_meets_held_out_instances(preset):
    held_out = {preset_instance(preset, seed).digest for seed in range(100)}
    for part in range(20):
        made = [shop.digest for shop in training_instances(preset, 5, 0, part)]
        assert not held_out & set(made) and len(set(made)) == 5
    first, again = ([shop.digest for shop in training_instances(preset, 3, 1, 2)] for _ in range(2))
    assert first == again
    other = [shop.digest for shop in training_instances(preset, 3, 2, 2)]
    assert not set(first) & set(other)
