"""Due dates by work content and by Potts and Van Wassenhove, and the presets made with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.job_shop.due_dates import dated_preset, potts_van_wassenhove, total_work_content
from dispatchgym.envs.job_shop.generator import PRESETS, draw_instance, preset_instance, training_instances
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.instances.catalogue import load, load_many


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_due_dates_are_a_multiple_of_the_work(random_shop, seed, tenths):
    shop = random_shop(np.random.default_rng(seed))
    dated = total_work_content(shop, tenths / 10)
    for job in range(shop.jobs):
        assert dated.due[job] == shop.release[job] + shop.duration[job].sum() * tenths // 10
    assert dated.objective == "total_tardiness" and not dated.weighted
    assert (dated.duration == shop.duration).all() and (dated.release == shop.release).all()


def test_weights_are_those_of_singer_and_pinedo():
    shop = total_work_content(load("la16"), 1.3, weighted=True)
    assert shop.weight.tolist() == [4, 4, 2, 2, 2, 2, 2, 2, 1, 1]
    assert shop.objective == "total_weighted_tardiness"
    assert shop.due[0] == int(1.3 * shop.duration[0].sum())


@given(st.integers(1, 30), st.sampled_from(range(0, 11)), st.sampled_from(range(0, 21)), st.integers(0, 2**32 - 1))
def test_single_machines_keep_to_their_ranges(jobs, factor, spread, seed):
    shop = potts_van_wassenhove(jobs, factor / 10, spread / 10, np.random.default_rng(seed), weighted=bool(seed % 2))
    total = int(shop.duration.sum())
    assert shop.size == f"{jobs}x1" and 1 <= shop.duration.min() and shop.duration.max() <= 100
    # twenty times the ends of the range, in whole numbers
    low, high = total * (20 - 2 * factor - spread), total * (20 - 2 * factor + spread)
    assert (20 * shop.due.astype(np.int64) >= low).all() and (20 * shop.due.astype(np.int64) < high + 20).all()
    assert not shop.release.any() and (shop.weight <= (10 if seed % 2 else 1)).all()
    assert shop.objective == ("total_weighted_tardiness" if seed % 2 else "total_tardiness")


def test_due_dates_cover_their_range():
    rng = np.random.default_rng(0)
    places = []
    for _ in range(300):
        shop = potts_van_wassenhove(20, 0.6, 0.4, rng)
        places += (shop.due / shop.duration.sum()).tolist()
    assert 0.19 < min(places) < 0.21 and 0.59 < max(places) < 0.61 and np.mean(places) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    "build",
    [
        lambda rng: total_work_content(load("ft06"), -0.1),
        lambda rng: total_work_content(load("ft06"), 101),
        lambda rng: potts_van_wassenhove(0, 0.5, 0.5, rng),
        lambda rng: potts_van_wassenhove(5, 1.1, 0.5, rng),
        lambda rng: potts_van_wassenhove(5, 0.5, 2.1, rng),
        lambda rng: potts_van_wassenhove(5, float("nan"), 0.5, rng),
    ],
)
def test_arguments_out_of_range_are_refused(build):
    with pytest.raises(OptionError, match="must be from"):
        build(np.random.default_rng(0))


def test_presets_say_what_they_are():
    found = dated_preset("weighted-tardiness-10x5-13")
    assert (found.kind, found.jobs, found.machines, found.weighted, found.tightness) == ("tardiness", 10, 5, True, 1.3)
    assert dated_preset("single-20-6-2").grid == (6, 2) and dated_preset("single-20").grid is None
    assert dated_preset("6x6") is None and dated_preset("single-0") is None
    objectives = {
        "tardiness-4x3": "total_tardiness", "weighted-tardiness-4x3": "total_weighted_tardiness",
        "flow-4x3": "total_flow_time", "weighted-flow-4x3": "total_weighted_flow_time", "lateness-4x3": "max_lateness",
        "tardy-4x3": "number_tardy", "weighted-tardy-4x3": "weighted_number_tardy", "single-4": "total_tardiness",
        "weighted-single-4": "total_weighted_tardiness",
    }  # fmt: skip
    for preset, objective in objectives.items():
        assert preset_instance(preset, 0).objective == objective
        assert {shop.objective for shop in training_instances(preset, 2, 0, 0)} == {objective}
        assert draw_instance(preset, np.random.default_rng(0)).objective == objective


@pytest.mark.parametrize(
    "preset", ["weighted-lateness-4x3", "single", "tardiness-4", "beauty-4x3", "tardiness-4x3-", "x"]
)
def test_other_names_are_refused(preset):
    with pytest.raises(UnknownNameError, match="KIND-JOBSxMACHINES"):
        preset_instance(preset, 0)


@pytest.mark.parametrize("preset", ["tardiness-4x3-1001", "single-20-11-2", "single-20-2-21", "tardiness-9999999x2"])
def test_numbers_out_of_range_are_refused(preset):
    with pytest.raises(OptionError):
        preset_instance(preset, 0)


def test_preset_instances_do_not_change():
    # These digests fix what every result on held-out instances was computed on.
    assert preset_instance("tardiness-10x5", 0).digest == "b8e3ab67a786fa98"
    assert preset_instance("weighted-single-20", 7).digest == "f04fc29e0564007e"


def test_the_published_grid_is_gone_through():
    shops = load_many("single-20:0-39")
    for place, shop in enumerate(shops):
        factor, spread = ((2, 4, 6, 8)[place // 5 % 4], (2, 4, 6, 8, 10)[place % 5])
        share = shop.due / shop.duration.sum()
        assert (
            1 - factor / 10 - spread / 20 - 0.01 <= share.min() <= share.max() <= 1 - factor / 10 + spread / 20 + 0.01
        )
    assert len({shop.digest for shop in shops}) == 40
    assert {len({tuple(shop.duration[:, 0]) for shop in training_instances("single-6", 40, 0, k)}) for k in (0, 1)} == {
        40
    }


def test_presets_of_a_size_share_their_shops():
    tight, loose, flow = (preset_instance(name, 3) for name in ("tardiness-4x3-13", "tardiness-4x3-20", "flow-4x3"))
    assert (tight.duration == loose.duration).all() and (tight.machine == flow.machine).all()
    assert (tight.due < loose.due).all()


@pytest.mark.parametrize("preset", ["tardiness-6x4", "single-12"])
def test_training_never_meets_held_out_instances(preset):
    held_out = {preset_instance(preset, seed).duration.tobytes() for seed in range(200)}
    for part in range(20):
        for seed in range(3):
            shops = training_instances(preset, 5, seed, part)
            assert not held_out & {shop.duration.tobytes() for shop in shops}
    one, other = (training_instances(preset, 3, 0, part) for part in (0, 0))
    assert [a.digest for a in one] == [b.digest for b in other]
    assert len({shop.digest for part in range(5) for shop in training_instances(preset, 5, 0, part)}) == 25


def test_presets_are_listed():
    for preset in PRESETS:
        assert isinstance(preset_instance(preset, 0), JobShopInstance)
