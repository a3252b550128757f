"""Random and regenerated job shops: valid, reproducible, uniform, and held out from training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.job_shop.generator import (
    MAX_SEED,
    PRESETS,
    demirkol,
    generate,
    generate_batch,
    preset_instance,
    preset_size,
    taillard,
    training_instances,
    training_rng,
)
from dispatchgym.envs.job_shop.instance import MAX_OPERATIONS, JobShopInstance


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 50), st.integers(0, 50), st.integers(0, 2**32))
def test_every_job_visits_every_machine_once(jobs, machines, low, spread, seed):
    instance = generate(jobs, machines, np.random.default_rng(seed), "mine", low, low + spread)
    assert (instance.jobs, instance.machines, instance.name) == (jobs, machines, "mine")
    assert (np.sort(instance.machine, axis=1) == np.arange(machines)).all()
    assert low <= instance.duration.min() and instance.duration.max() <= low + spread


def test_a_batch_is_valid_and_covers_the_range():
    duration, machine = generate_batch(500, 4, 3, np.random.default_rng(0), 2, 5)
    assert duration.shape == machine.shape == (500, 4, 3)
    assert duration.dtype == machine.dtype == np.int32
    assert np.unique(duration).tolist() == [2, 3, 4, 5]
    routes, counts = np.unique(machine.reshape(-1, 3), axis=0, return_counts=True)
    # Six permutations of 2000 routes: 333 of each on average, with a deviation of 17.
    assert len(routes) == 6 and counts.min() > 230 and counts.max() < 440
    assert len(np.unique(duration.reshape(500, -1), axis=0)) > 490
    JobShopInstance("one", 3, duration[7], machine[7])


def test_routes_through_two_sets_of_machines():
    """As dmu41 to dmu80: the first half of the machines comes first; all else is as free as before."""
    duration, machine = generate_batch(800, 3, 5, np.random.default_rng(0), 1, 200, two_sets=True)
    assert (np.sort(machine[..., :2]) == [0, 1]).all() and (np.sort(machine[..., 2:]) == [2, 3, 4]).all()
    routes, counts = np.unique(machine.reshape(-1, 5), axis=0, return_counts=True)
    assert len(routes) == 2 * 6 and counts.min() > 140 and counts.max() < 270  # 200 on average, deviation 14
    assert duration.min() == 1 and duration.max() == 200
    published, ours = demirkol(20, 15, 1, two_sets=True), preset_instance("two-sets-20x15", 0)
    for instance in (published, ours):
        assert (instance.machine[:, :7] < 7).all() and (instance.machine[:, 7:] >= 7).all()
        assert 150 < instance.duration.max() <= 200
    trained = training_instances("two-sets-20x15", 2, 0, 0)
    assert all((one.machine[:, :7] < 7).all() for one in trained)
    assert ours.digest not in {one.digest for one in trained} | {preset_instance("20x15", 0).digest}


def test_the_generator_is_the_only_source_of_randomness():
    np.random.seed(1)
    first = generate(5, 4, np.random.default_rng(3)).digest
    np.random.seed(2)
    assert generate(5, 4, np.random.default_rng(3)).digest == first
    rng = np.random.default_rng(3)
    assert generate(5, 4, rng).digest != generate(5, 4, rng).digest


@pytest.mark.parametrize(
    "arguments",
    [
        {"jobs": 0},
        {"machines": 0},
        {"jobs": MAX_OPERATIONS, "machines": 2},
        {"count": 0},
        {"low": -1},
        {"low": 5, "high": 4},
        {"high": 2**28},
    ],
)
def test_absurd_arguments_are_refused(arguments):
    with pytest.raises(OptionError):
        generate_batch(**({"count": 1, "jobs": 2, "machines": 2, "rng": np.random.default_rng(0)} | arguments))


def test_preset_sizes():
    assert preset_size("30x20") == (30, 20)
    assert preset_size("7x3") == (7, 3)
    assert all(preset_size(preset) for preset in PRESETS)
    for wrong in ("", "6", "6x", "06x6", "6X6", "6x6 ", "6x6\n", "-6x6", "６x6", "0x5", "6x6x6"):
        with pytest.raises(UnknownNameError, match="15x15"):
            preset_size(wrong)
    with pytest.raises(OptionError, match="operations"):
        preset_size("9999999x9999999")


def test_preset_instances_do_not_change():
    # These digests fix what every published result on held-out instances was computed on.
    assert preset_instance("6x6", 0).digest == "e0ab55477b7cee21"
    assert preset_instance("20x15", 7).digest == "629686be27a89b1a"


def test_preset_instances_differ_by_seed_and_size():
    instances = [preset_instance(preset, seed) for preset in ("6x6", "7x6", "6x7") for seed in range(50)]
    assert len({instance.digest for instance in instances}) == 150
    assert instances[3].name == "6x6:3" and instances[3].size == "6x6"
    assert preset_instance("6x6", MAX_SEED).digest not in {instance.digest for instance in instances}


@pytest.mark.parametrize("count", [1, 5])
def test_training_never_meets_held_out_instances(count):
    # Durations are drawn first, so streams that meet show in them whatever the size of the batch.
    held_out = {preset_instance("6x6", seed).duration.tobytes() for seed in range(200)}
    for seed in range(200):
        duration, _ = generate_batch(count, 6, 6, training_rng(6, 6, seed))
        assert not held_out & {one.tobytes() for one in duration}


def test_training_streams_are_reproducible_and_differ_by_seed_and_size():
    draws = [tuple(training_rng(*words).integers(2**60, size=4)) for words in [(6, 6, 0), (6, 6, 1), (6, 7, 0)]]
    assert len(set(draws)) == 3
    assert tuple(training_rng(6, 6, 0).integers(2**60, size=4)) == draws[0]


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_seeds_are_one_word(seed):
    with pytest.raises(OptionError, match="seed"):
        preset_instance("6x6", seed)
    with pytest.raises(OptionError, match="seed"):
        training_rng(6, 6, seed)


def test_taillard_first_job_of_ta01():
    instance = taillard(15, 15, 840612802, 398197754, "ta01")
    assert instance.duration[0].tolist() == [94, 66, 10, 53, 26, 15, 65, 82, 10, 27, 93, 92, 96, 70, 83]
    assert (instance.machine[0] + 1).tolist() == [7, 13, 5, 8, 4, 3, 11, 12, 9, 15, 10, 14, 6, 1, 2]


def test_demirkol_first_job_of_dmu41_visits_the_first_half_first():
    instance = demirkol(20, 15, 963246540, True)
    assert instance.machine[0].tolist() == [4, 2, 1, 5, 3, 0, 6, 11, 10, 12, 8, 7, 13, 9, 14]
    assert instance.duration[0].tolist() == [94, 8, 47, 195, 4, 80, 190, 75, 48, 109, 168, 165, 175, 26, 196]
    assert (np.sort(instance.machine[:, :7], axis=1) == np.arange(7)).all()


def test_demirkol_rounds_seeds_to_single_precision():
    # Double precision gives 103 in the first case, single precision throughout gives 37 in the second.
    assert demirkol(40, 20, 425341562, False).duration[12, 5] == 102
    assert demirkol(30, 20, 1122276408, True).duration[11, 7] == 36


@pytest.mark.parametrize("seed", [0, -1, 2**31 - 1])
def test_seeds_that_the_stream_cannot_hold_are_refused(seed):
    with pytest.raises(OptionError, match="seed"):
        taillard(2, 2, seed, 1)
    with pytest.raises(OptionError, match="seed"):
        taillard(2, 2, 1, seed)
    with pytest.raises(OptionError, match="seed"):
        demirkol(2, 2, seed, False)
