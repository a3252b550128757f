"""Generated setup times and windows keep what they promise."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.job_shop.calendars import of_machine
from dispatchgym.envs.job_shop.draw_limits import undressed, with_setups, with_windows
from dispatchgym.envs.job_shop.generator import draw_instance, generate, preset_instance, training_instances
from dispatchgym.envs.job_shop.objective import makespan_bound
from dispatchgym.envs.job_shop.setups import keeps_triangle


def test_setup_times_keep_the_triangle_inequality():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shop = with_setups(generate(7, 3, rng, high=int(rng.integers(1, 100))), rng)
        longest = int(shop.duration.max())
        assert keeps_triangle(shop) and shop.setup.shape == (3, 6, 5)
        assert sorted(np.bincount(shop.setup_family).tolist()) == [1, 1, 1, 2, 2]
        between = shop.setup[shop.setup > 0]
        assert longest / 4 <= between.min() and between.max() <= max(longest / 2, 2) + 2
        assert not shop.setup[:, np.arange(5) + 1, np.arange(5)].any()
    assert with_setups(generate(2, 2, rng), rng).setup.shape == (2, 3, 2)
    with pytest.raises(OptionError, match="families must be at least 1"):
        with_setups(generate(2, 2, rng), rng, 0)


def test_windows_leave_room_for_every_operation():
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shop = with_windows(generate(10, 5, rng), rng)
        longest, until = int(shop.duration.max()), makespan_bound(generate(10, 5, np.random.default_rng(seed)))
        for k in range(5):
            windows = of_machine(shop.windows, k)
            gaps = [start - end for (_, end), (start, _) in zip(windows, windows[1:], strict=False)]
            assert min(gaps) >= longest and windows[0][0] <= 3 * longest and windows[-1][1] >= until
            shares.append(sum(end - start for start, end in windows) / windows[-1][1])
    assert 0.15 < np.mean(shares) < 0.3


def test_presets_are_the_same_everywhere_and_never_trained_on():
    for preset in ("setup-4x3", "maintenance-4x3", "setup-maintenance-tardiness-4x3", "setup-weighted-single-6"):
        one, other = preset_instance(preset, 3), preset_instance(preset, 3)
        assert one.digest == other.digest and one.name == f"{preset}:3"
        assert (one.setup is not None, one.windows is not None) == ("setup" in preset, "maintenance" in preset)
        assert (one.due is not None) == ("tardiness" in preset or "single" in preset)
        held_out = {preset_instance(preset, seed).digest for seed in range(10)}
        assert len(held_out) == 10
        trained = [shop for part in range(3) for shop in training_instances(preset, 5, 0, part)]
        assert len({shop.digest for shop in trained}) == 15 and not held_out & {shop.digest for shop in trained}
        assert draw_instance(preset, np.random.default_rng(0)).limited
    with pytest.raises(UnknownNameError, match="maintenance-setup-4x3.*setup-"):
        preset_instance("maintenance-setup-4x3", 0)


def test_the_first_words_of_a_preset():
    assert [bool(undressed(name)[0]) for name in ("10x5", "setup-10x5", "tardiness-4x3")] == [False, True, False]
    assert undressed("setup-maintenance-single-9")[1] == "single-9" and undressed("single-9")[1] == "single-9"
