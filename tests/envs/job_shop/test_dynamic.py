"""Dynamic shops arrive as their load says."""

import doctest

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop import dynamic
from dispatchgym.envs.job_shop.dynamic import RUSH_TIGHTNESS, RUSH_WEIGHT, TIGHTNESS, arrive, dynamic_preset
from dispatchgym.envs.job_shop.generator import generate, preset_instance, training_instances


def test_presets_are_read():
    found = dynamic_preset("dynamic-30x5")
    assert (found.jobs, found.machines, found.load, found.objective) == (30, 5, 90, "total_weighted_tardiness")
    assert dynamic_preset("dynamic-flow-4x3-120").objective == "total_flow_time"
    assert dynamic_preset("dynamic-flow-4x3-120").load == 120
    for name in ("10x5", "dynamic", "dynamic-10", "dynamic-10x5-", "dynamic-10x5-12345", "tardiness-10x5"):
        assert dynamic_preset(name) is None
    for name in ("dynamic-10x5-0", "dynamic-10x5-1001"):
        with pytest.raises(OptionError, match="load"):
            dynamic_preset(name)
    assert doctest.testmod(dynamic).failed == 0


@pytest.mark.parametrize("load", [50, 90, 150])
def test_the_bottleneck_is_as_busy_as_asked_for(load):
    shops = [preset_instance(f"dynamic-400x3-{load}", seed) for seed in range(10)]
    busy = [
        100 * np.bincount(shop.machine.ravel(), weights=shop.duration.ravel()).max() / shop.release.max()
        for shop in shops
    ]
    assert abs(np.mean(busy) / load - 1) < 0.05
    gaps = np.concatenate([np.diff(shop.release) for shop in shops])
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05  # as exponential ones
    assert all(shop.release[0] == 0 for shop in shops)


def test_one_job_in_five_is_in_a_rush():
    for jobs, rushed in ((3, 1), (10, 2), (30, 6)):
        shop = preset_instance(f"dynamic-{jobs}x5", 3)
        rush = shop.weight == RUSH_WEIGHT
        assert rush.sum() == rushed and set(shop.weight[~rush]) == {1} and shop.weighted
        tightness = np.where(rush, RUSH_TIGHTNESS, TIGHTNESS)
        assert (shop.due == shop.release + (shop.duration.sum(axis=1) * tightness).astype(int)).all()


def test_they_are_the_same_for_the_same_seed_and_never_those_of_training():
    held_out = {preset_instance("dynamic-6x3", seed).digest for seed in range(50)}
    assert len(held_out) == 50 and preset_instance("dynamic-6x3", 7).digest in held_out
    drawn = [shop.digest for part in range(3) for shop in training_instances("dynamic-6x3", 20, 0, part)]
    assert len(set(drawn)) == 60 and not held_out & set(drawn)
    assert [s.digest for s in training_instances("dynamic-6x3", 20, 0, 2)] == drawn[40:]


@pytest.mark.parametrize("load", [0, -1, 1001, float("nan")])
def test_loads_out_of_range_are_refused(load):
    with pytest.raises(OptionError, match="load"):
        arrive(generate(3, 3, np.random.default_rng(0)), load, np.random.default_rng(0))
