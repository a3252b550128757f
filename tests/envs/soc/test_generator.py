"""Presets: names are understood or refused, instances are reproducible and held out from training."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.soc import generator
from dispatchgym.envs.soc.generator import (
    FORMS,
    MAX_SEED,
    MAX_TRAINING_SEED,
    PRESETS,
    draw_instance,
    preset_instance,
    preset_size,
    training_instances,
)
from dispatchgym.envs.soc.instance import format, parse

DIGESTS = {
    "random-12": "682a5d8b19a163e5",
    "random-30": "e8a290766d87820c",
    "random-50": "bdfd717f5dcd0459",
    "cholesky-4-2g2c": "cfb295cc0b9904b5",
    "cholesky-8-1g3c": "9dac8ac25b30b1e5",
    "lu-8-2g2c": "3d1582d9d54ac316",
    "qr-6-1g3c": "332538b6e1ea87c1",
    "fft-8": "c6a95d860d66de19",
    "gauss-6": "5893d84e9b9140da",
    "forkjoin-6x4": "8ea7febf69e5e77e",
    "socrates-25": "0d5c0c1b4a933060",
    "socrates-50": "672e0dd6a94595c7",
    "socrates-mix-50": "0eb7cc72c075cec1",
    "radio-25": "b6219529d0ec6b9b",
    "radio-50": "28d7987eb7b341a9",
    "radio-100": "7af7e8a215521b10",
    "radio-small-15": "581f044e06e2800d",
    "radio-small-50": "7a8a4637d5eefdb6",
}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_listed_preset(preset):
    instance = preset_instance(preset, 3)
    assert (instance.name, instance.world) == (f"{preset}:3", 3)
    assert preset_instance(preset, 3).digest == instance.digest
    assert preset_instance(preset, 4).digest != instance.digest
    assert parse(format(instance)).digest == instance.digest
    tasks, elements = preset_size(preset)
    for drawn in [instance, *training_instances(preset, 5, 0, 0)]:
        assert drawn.widest <= tasks and drawn.elements <= elements


def test_preset_instances_do_not_change():
    # These digests fix what every published result on held-out instances was computed on.
    assert {preset: preset_instance(preset, 7).digest for preset in PRESETS} == DIGESTS


@pytest.mark.parametrize(
    ("preset", "low", "high"),
    [("random-12", 10, 12), ("random-30", 25, 35), ("random-50", 45, 50), ("random-20", 17, 23), ("random-2", 2, 2)],
)
def test_random_presets_mix_sizes(preset, low, high):
    instances = training_instances(preset, 300, 1, 0)
    assert {instance.tasks for instance in instances} == set(range(low, high + 1))
    assert {instance.elements for instance in instances} == {3, 4, 5, 6, 7, 8}
    assert len({instance.digest for instance in instances}) == 300
    assert all(instance.static and instance.name == preset for instance in instances)
    assert preset_size(preset) == (high, 8)


def test_factorisations():
    instance = preset_instance("cholesky-8-1g3c", 17)
    assert (instance.size, instance.world) == ("120 tasks x 4 PEs", 17)
    assert instance.kinds == ("gpu", "cpu", "cpu", "cpu")
    (graph,) = instance.graphs
    assert graph.execution_time[0].tolist() == [11, 18, 18, 18]
    assert set(map(tuple, graph.execution_time.tolist())) == {
        (g, c, c, c) for c, g in [(18, 11), (52, 8), (57, 2), (95, 3)]
    }
    assert not graph.volume.any() and not instance.latency.any()
    other = preset_instance("cholesky-8-1g3c", 18)
    assert other.graphs[0] is graph and other.digest != instance.digest
    assert preset_instance("qr-3-0g2c", 0).kinds == ("cpu", "cpu")
    assert preset_instance("lu-3-2g0c", 0).kinds == ("gpu", "gpu")


def test_programs_have_random_costs_on_a_fixed_graph():
    for preset, tasks in [("fft-8", 39), ("gauss-6", 20), ("forkjoin-6x4", 29)]:
        one, two = preset_instance(preset, 0), preset_instance(preset, 1)
        assert one.tasks == two.tasks == tasks
        assert (one.graphs[0].edges == two.graphs[0].edges).all()
        assert not np.array_equal(one.graphs[0].execution_time, two.graphs[0].execution_time)


@pytest.mark.parametrize(
    "preset",
    [
        "", "random", "random-", "random-x", "random-012", "random--5", "Random-12", "random-12 ", "random-12\n",
        "random-１２", "cholesky-8", "cholesky-8-1c3g", "cholesky-8-g3c", "svd-8-1g3c", "forkjoin-3", "forkjoin-3x",
        "socrates", "socrates-mix", "radio-small", "radio-2.5", "fft-8-1g3c", "12", "10x10", "random-1234567890",
    ],
)  # fmt: skip
def test_unknown_presets_list_the_forms(preset):
    with pytest.raises(UnknownNameError, match="cholesky-TILES-GgCc") as caught:
        preset_size(preset)
    assert caught.value.known == sorted(FORMS)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("random-1", "tasks must be 2 to 2000, got 1"),
        ("random-2001", "tasks must be 2"),
        ("cholesky-1-1g1c", "tiles must be 2 to 40"),
        ("lu-41-1g1c", "tiles must be 2 to 40"),
        ("qr-4-0g0c", "GPUs and CPUs must be 1 to 1024"),
        ("qr-4-1000g1000c", "GPUs and CPUs must be 1 to 1024"),
        ("lu-40-100g100c", "22140 tasks, too many for 200 PEs"),
        ("cholesky-8-0g900c", "too many for 900 PEs"),
        ("fft-12", "power of two"),
        ("gauss-1", "matrix must be 2"),
        ("forkjoin-0x3", "width x stages"),
        ("socrates-0", "SCALE must be 1 to 1000000"),
        ("socrates-mix-0", "SCALE must be 1"),
        ("radio-0", "GAP must be 1"),
        ("radio-small-1000001", "GAP must be 1 to 1000000"),
        ("radio-50x0", "JOBS must be 1 to 10000, got 0"),
        ("socrates-mix-50x10001", "JOBS must be 1 to 10000"),
        ("radio-small-0x5", "GAP must be 1"),
    ],
)
def test_numbers_out_of_range_are_refused(preset, message):
    with pytest.raises(OptionError, match=message):
        preset_size(preset)


@pytest.mark.parametrize(
    "preset", ["random-2000", "lu-40-2g2c", "fft-1024", "gauss-100", "forkjoin-100x100", "socrates-1", "radio-1000000"]
)
def test_the_largest_presets_are_instances(preset):
    instance = preset_instance(preset, MAX_SEED)
    assert instance.world == MAX_SEED and instance.widest <= preset_size(preset)[0]


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("preset", ["random-12", "gauss-6", "socrates-50", "radio-50", "radio-small-15"])
def test_training_never_meets_held_out_instances(preset, count):
    def numbers(instance):
        return instance.graphs[0].execution_time.tobytes() + instance.arrival_time.tobytes()

    held_out = {numbers(preset_instance(preset, seed)) for seed in range(60)}
    drawn = [numbers(one) for seed in range(60) for one in training_instances(preset, count, seed, 0)]
    assert len(held_out) == 60 and len(set(drawn)) == len(drawn)
    assert not held_out & set(drawn)


def test_streams_never_meet():
    parsed = [generator._parse(preset) for preset in (*PRESETS, "random-25", "socrates-12", "qr-8-1g3c", "qr-8-3g1c")]
    seeds = [(0,), (1,), (2,), (MAX_SEED,), (0, 0), (0, 1), (1, 0), (0, 2), (2, 0), (MAX_TRAINING_SEED, 0)]
    draws = [
        tuple(generator._stream(preset, purpose, *words).integers(2**60, size=2))
        for preset in parsed
        for purpose, length in [(generator.HELD_OUT_TAG, 1), (generator.TRAINING_TAG, 2)]
        for words in seeds
        if len(words) == length
    ]
    assert len(set(draws)) == len(draws) == len(parsed) * len(seeds)


def test_the_noise_of_training_is_never_a_held_out_one():
    worlds = [one.world for part in range(20) for one in training_instances("cholesky-4-2g2c", 20, 5, part)]
    assert min(worlds) > MAX_SEED and max(worlds) < 2**31
    assert len(set(worlds)) == 400


@pytest.mark.parametrize(
    ("preset", "jobs", "graphs", "elements"),
    [
        ("radio-50x7", 7, 6, 16),
        ("radio-small-15x4", 4, 4, 16),
        ("socrates-50x5", 5, 1, 3),
        ("socrates-mix-9x60", 60, 10, 3),
    ],
)
def test_streams_of_so_many_jobs(preset, jobs, graphs, elements):
    for seed in range(5):
        one = preset_instance(preset, seed)
        assert (one.jobs, len(one.graphs), one.elements, one.name) == (jobs, graphs, elements, f"{preset}:{seed}")
        assert one.widest <= preset_size(preset)[0] and not one.static
    assert {one.jobs for one in training_instances(preset, 5, 0, 0)} == {jobs}
    other = preset_instance(preset.rsplit("x", 1)[0], 0)
    assert other.jobs != jobs and (other.arrival_time[:3] != preset_instance(preset, 0).arrival_time[:3]).any()


@pytest.mark.parametrize("preset", ["random-12", "radio-small-15x4", "cholesky-4-2g2c"])
def test_instances_of_a_generator_of_the_callers(preset):
    one, two = (draw_instance(preset, np.random.default_rng(5)) for _ in range(2))
    rng = np.random.default_rng(5)
    drawn = [draw_instance(preset, rng) for _ in range(20)]
    assert one.digest == two.digest == drawn[0].digest and len({other.digest for other in drawn}) == 20
    assert all(other.name == preset and other.world > MAX_SEED for other in drawn)
    with pytest.raises(OptionError, match="a preset is a name such as 'random-12', got 12"):
        draw_instance(12, rng)


def test_training_is_reproducible_and_differs_by_seed_and_part():
    def digests(*arguments):
        return [one.digest for one in training_instances("random-12", 4, *arguments)]

    assert digests(1, 2) == digests(1, 2)
    assert len({*digests(1, 2), *digests(2, 1), *digests(1, 3)}) == 12


def test_global_randomness_is_neither_used_nor_touched():
    np.random.seed(1)
    state = np.random.get_state()[1].tolist()
    first = preset_instance("random-12", 0).digest
    assert np.random.get_state()[1].tolist() == state
    np.random.seed(2)
    assert preset_instance("random-12", 0).digest == first


def test_seeds_and_counts_out_of_range_are_refused():
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(OptionError, match="seed must be 0 to 1073741823"):
            preset_instance("random-12", seed)
    for seed, part in [(-1, 0), (MAX_TRAINING_SEED + 1, 0), (0, -1), (0, MAX_TRAINING_SEED + 1)]:
        with pytest.raises(OptionError, match="seed|part"):
            training_instances("random-12", 1, seed, part)
    with pytest.raises(OptionError, match="count must be at least 1"):
        training_instances("random-12", 0, 0, 0)
