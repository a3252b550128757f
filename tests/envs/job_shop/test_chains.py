"""Generated chains keep what they promise."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop.chains import chain_preset, chains
from dispatchgym.envs.job_shop.generator import draw_instance, preset_instance, training_instances


def test_lengths_releases_and_load_are_as_said():
    shop = chains(4000, np.random.default_rng(0), "many", operations=4, longest=10, load=0.5)
    assert shop.name == "many" and shop.objective == "total_flow_time" and shop.machines == 1
    assert np.bincount(shop.operations, minlength=5)[1:].min() > 900
    real = shop.duration[shop.machine >= 0]
    assert (real.min(), real.max()) == (1, 10)
    assert shop.release[0] == 0 and (np.diff(shop.release) >= 0).all()
    assert 0.47 < shop.total_work / shop.release[-1] < 0.53
    assert chains(1, np.random.default_rng(0)).release.tolist() == [0]


@pytest.mark.parametrize("arguments", [{"jobs": 0}, {"operations": 0}, {"longest": 0}, {"load": 0}])
def test_nonsense_is_refused(arguments):
    with pytest.raises(OptionError):
        chains(**({"jobs": 3, "rng": np.random.default_rng(0)} | arguments))


def test_presets_are_the_same_everywhere_and_never_trained_on():
    one, other = preset_instance("revealed-6-3", 2), preset_instance("revealed-6-3", 2)
    assert one.digest == other.digest and one.jobs == 6 and one.operations.max() <= 3
    held_out = {preset_instance("revealed-6", seed).digest for seed in range(20)}
    trained = {shop.digest for part in range(4) for shop in training_instances("revealed-6", 5, 0, part)}
    assert len(held_out) == 20 and len(trained) == 20 and not held_out & trained
    assert draw_instance("revealed-6", np.random.default_rng(0)).jobs == 6
    assert chain_preset("revealed-0") is None and chain_preset("setup-revealed-6") is None
