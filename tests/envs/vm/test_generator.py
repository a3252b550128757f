"""Presets: names are understood or refused, instances are reproducible and held out from training."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.vm import generator
from dispatchgym.envs.vm.generator import (
    FORMS,
    MAX_SEED,
    MAX_TRAINING_SEED,
    PRESETS,
    draw_instance,
    preset_instance,
    training_instances,
)
from dispatchgym.envs.vm.instance import format, parse

DIGESTS = {
    "hosts-30": "1a792578234ca7d8",
    "hosts-100": "ae96d3e0487e64e2",
    "small": "3134b5cfc1d57868",
    "medium": "b472c1ff781cd7a5",
    "multi": "0f6840dfcfe61ff0",
    "medium-low": "7f1692f64ecca68d",
    "medium-mid": "81f50f48673705eb",
    "medium-high": "91ac17643c349507",
    "affinity-50-15": "74664b98a7b5b3d0",
    "affinity-280-5": "fa14604ad679d4db",
    "churn-50-5": "84fb33de26e01d63",
    "churn-280-12": "8018bcece3a939ce",
    "churn-280-40": "62ef303d3b97e682",
    "pods-8x4": "9b045519e1214361",
    "pods-16x4": "b5bfded603616eff",
}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_listed_preset(preset):
    instance = preset_instance(preset, 3)
    assert (instance.name, instance.world) == (f"{preset}:3", 3)
    assert preset_instance(preset, 3).digest == instance.digest
    assert preset_instance(preset, 4).digest != instance.digest
    assert parse(format(instance)).digest == instance.digest
    for drawn in training_instances(preset, 3, 0, 0):
        assert (drawn.name, drawn.hosts, drawn.objective) == (preset, instance.hosts, instance.objective)


def test_preset_instances_do_not_change():
    # These digests fix what every published result on held-out instances was computed on.
    assert {preset: preset_instance(preset, 7).digest for preset in PRESETS} == DIGESTS


@pytest.mark.parametrize(
    ("preset", "hosts", "utilisation"),
    [
        ("hosts-1", 1, 0.943), ("hosts-2", 2, 0.943), ("hosts-30", 30, 0.943), ("hosts-75", 75, 0.943),
        ("small", 10, 0.85), ("medium-low", 280, 0.38), ("multi", 280, 0.568),
    ],
)  # fmt: skip
def test_snapshots(preset, hosts, utilisation):
    instances = training_instances(preset, 5, 1, 0)
    for instance in instances:
        assert instance.hosts == hosts and instance.objective == "fragment_rate" and instance.movable.all()
        assert (instance.node_cores == 44).all() and (instance.node_memory == 184_388).all()
        assert utilisation <= 1 - instance.free_cores.sum() / (88 * hosts) < utilisation + max(0.04, 1 / hosts)
    assert len({instance.digest for instance in instances}) == 5
    if hosts > 1:
        assert len({instance.vms for instance in instances}) > 1


@pytest.mark.parametrize(
    "preset",
    [
        "", "hosts", "hosts-", "hosts-x", "hosts-030", "hosts--5", "Hosts-30", "hosts-30 ", "hosts-30\n", "hosts-３０",
        "medium-", "medium-5", "medium-HIGH", "large", "affinity-50", "affinity-50-", "churn-50", "pods-8", "pods-8-4",
        "pods-x4", "12", "10x10", "hosts-1234567890",
    ],
)  # fmt: skip
def test_unknown_presets_list_the_forms(preset):
    with pytest.raises(UnknownNameError, match="affinity-HOSTS-PERCENT") as caught:
        preset_instance(preset, 0)
    assert caught.value.known == sorted(FORMS)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("hosts-0", "HOSTS must be 1 to 10000, got 0"),
        ("hosts-10001", "HOSTS must be 1 to 10000"),
        ("hosts-999999999", "HOSTS must be 1"),
        ("affinity-0-5", "HOSTS must be 1"),
        ("affinity-50-51", "PERCENT must be 0 to 50, got 51"),
        ("affinity-280-50", "50 % of 280 hosts need more than 250000 pairs"),
        ("affinity-10000-1", "1 % of 10000 hosts need more than"),
        ("churn-50-0", "RATE must be 1 to 1000, got 0"),
        ("churn-50-1001", "RATE must be 1 to 1000"),
        ("churn-10001-5", "HOSTS must be 1"),
        ("pods-1x4", "NODES must be 2 to 1000, got 1"),
        ("pods-2001x2", "NODES must be 2 to 2000"),
        ("pods-8x1", "PODS must be 2 to 64, got 1"),
        ("pods-8x65", "PODS must be 2 to 64"),
    ],
)
def test_numbers_out_of_range_are_refused(preset, message):
    for ask in (lambda: preset_instance(preset, 0), lambda: training_instances(preset, 1, 0, 0)):
        with pytest.raises(OptionError, match=message):
            ask()


@pytest.mark.parametrize("preset", ["hosts-2000", "affinity-280-40", "churn-10-1000", "pods-62x64", "pods-2000x2"])
def test_large_presets_are_instances(preset):
    instance = preset_instance(preset, MAX_SEED)
    assert instance.world == MAX_SEED and instance.hosts == int(preset.split("-")[1].split("x")[0])


def test_the_penalty_of_any_pods_fits_its_integer():
    base = generator.MAX_PODS + 50 + 1  # of a number with a digit for each of the four priorities and one for moves
    assert generator.MAX_PODS * base**4 + base < 2**62


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("preset", ["hosts-5", "small", "affinity-5-20", "churn-5-3", "pods-4x3"])
def test_training_never_meets_held_out_instances(preset, count):
    def numbers(instance):
        columns = (instance.cores, instance.memory, instance.node, instance.priority, instance.departure)
        return b"".join(column.tobytes() for column in columns)

    held_out = {numbers(preset_instance(preset, seed)) for seed in range(40)}
    drawn = [numbers(one) for seed in range(40) for one in training_instances(preset, count, seed, 0)]
    assert len(held_out) == 40 and len(set(drawn)) == len(drawn)
    assert not held_out & set(drawn)


def test_streams_never_meet():
    others = ("hosts-280", "hosts-10", "affinity-5-50", "affinity-50-5", "churn-5-50", "churn-50-50", "pods-4x8")
    parsed = [generator._parse(preset) for preset in (*PRESETS, *others)]
    seeds = [(0,), (1,), (2,), (MAX_SEED,), (0, 0), (0, 1), (1, 0), (0, 2), (2, 0), (MAX_TRAINING_SEED, 0)]
    draws = [
        tuple(generator._stream(preset, purpose, *words).integers(2**60, size=2))
        for preset in parsed
        for purpose, length in [(generator.HELD_OUT_TAG, 1), (generator.TRAINING_TAG, 2)]
        for words in seeds
        if len(words) == length
    ]
    assert len(set(draws)) == len(draws) == len(parsed) * len(seeds)


def test_worlds_of_training_are_never_held_out_ones():
    worlds = [one.world for part in range(20) for one in training_instances("pods-2x2", 20, 5, part)]
    assert min(worlds) > MAX_SEED and max(worlds) < 2**31
    assert len(set(worlds)) == 400


@pytest.mark.parametrize("preset", ["hosts-5", "churn-5-3", "affinity-5-20", "pods-4x3"])
def test_instances_of_a_generator_of_the_callers(preset):
    one, two = (draw_instance(preset, np.random.default_rng(5)) for _ in range(2))
    rng = np.random.default_rng(5)
    drawn = [draw_instance(preset, rng) for _ in range(20)]
    assert one.digest == two.digest == drawn[0].digest and len({other.digest for other in drawn}) == 20
    assert all(other.name == preset and other.world > MAX_SEED for other in drawn)
    with pytest.raises(OptionError, match="a preset is a name such as 'hosts-30', got 12"):
        draw_instance(12, rng)


def test_training_is_reproducible_and_differs_by_seed_and_part():
    def digests(*arguments):
        return [one.digest for one in training_instances("small", 4, *arguments)]

    assert digests(1, 2) == digests(1, 2)
    assert len({*digests(1, 2), *digests(2, 1), *digests(1, 3)}) == 12


def test_global_randomness_is_neither_used_nor_touched():
    np.random.seed(1)
    state = np.random.get_state()[1].tolist()
    first = preset_instance("churn-5-3", 0).digest
    assert np.random.get_state()[1].tolist() == state
    np.random.seed(2)
    assert preset_instance("churn-5-3", 0).digest == first


def test_seeds_and_counts_out_of_range_are_refused():
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(OptionError, match="seed must be 0 to 1073741823"):
            preset_instance("small", seed)
    for seed, part in [(-1, 0), (MAX_TRAINING_SEED + 1, 0), (0, -1), (0, MAX_TRAINING_SEED + 1)]:
        with pytest.raises(OptionError, match="seed|part"):
            training_instances("small", 1, seed, part)
    with pytest.raises(OptionError, match="count must be at least 1"):
        training_instances("small", 0, 0, 0)
