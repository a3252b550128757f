"""Presets: names are understood or refused, instances are reproducible and held out from training."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.llm import generator
from dispatchgym.envs.llm.generator import (
    FORMS,
    MAX_SEED,
    MAX_TRAINING_SEED,
    PRESETS,
    draw_instance,
    preset_instance,
    training_instances,
)
from dispatchgym.envs.llm.instance import format, parse
from dispatchgym.envs.llm.presets import SUFFIXES, TABLE

DIGESTS = {
    "steady": "89fb265b636247f8",
    "burst": "bc21c83bfa8c3961",
    "burst-tight": "b7ddc4492787fa64",
    "overload": "b8daf2d0465b4ace",
    "tight-kv": "28e703177f91d80e",
    "tight-kv-burst": "d3be321f7eaa33ab",
    "mixed-slo": "e46cf64549e99908",
    "multi-tenant": "995b0c8f5248fc37",
    "code": "0e4af06bd9bf606f",
    "serial": "94df0f05805a8983",
    "serial-preemptive": "57c50681688a68fe",
    "route-prefix": "472c391f25dd84ea",
    "route-e2e": "a60495ec5915bcbb",
    "route-overload": "ff3fb0a9299f8d27",
}


def numbers(instance):
    return b"".join(getattr(instance, what).tobytes() for what in ("arrival", "prompt", "output", "predicted", "group"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_listed_preset(preset):
    instance = preset_instance(preset, 3)
    assert (instance.name, instance.requests) == (f"{preset}:3", TABLE[preset].settings.n)
    assert preset_instance(preset, 3).digest == instance.digest
    assert preset_instance(preset, 4).digest != instance.digest
    assert parse(format(instance)).digest == instance.digest
    for drawn in training_instances(preset, 3, 0, 0):
        assert (drawn.name, drawn.size, drawn.objective) == (preset, instance.size, instance.objective)


def test_preset_instances_do_not_change():
    # These digests fix what every published result on held-out instances was computed on.
    assert {preset: preset_instance(preset, 7).digest for preset in PRESETS} == DIGESTS


def test_everything_that_a_name_can_say():
    instance = preset_instance("route-prefix-n300-x50-s0-cv3-g7-1h2a-flow", 0)
    assert (instance.size, instance.objective, instance.groups) == ("300x3", "e2e_mean", 7)
    assert (instance.predicted == instance.output).all()
    assert preset_instance("steady-n7", 0).requests == 7
    # what is said in other words is the same
    assert preset_instance("steady-n1500-x95-s50-cv1", 0).digest == preset_instance("steady", 0).digest
    assert preset_instance("burst-flow", 0).objective == "e2e_mean"


def test_a_mix_differs_in_size_load_and_fleet():
    drawn = training_instances("route-overload-n200-mix", 60, 0, 0)
    assert {one.name for one in drawn} == {"route-overload-n200-mix"}
    sizes = [one.requests for one in drawn]
    assert min(sizes) >= 100 and max(sizes) <= 200 and len(set(sizes)) > 30
    fleets = {one.server_names for one in drawn}
    assert {len(one) for one in fleets} == {4} and len({tuple(one.base for one in i.servers) for i in drawn}) == 3
    alone = training_instances("steady-n400-mix", 60, 0, 0)
    loads = [one.requests / one.arrival[-1] * 1e6 for one in alone]
    assert max(loads) / min(loads) > 1.2 and all(len(one.servers) == 1 for one in alone)
    said = training_instances("route-e2e-n20-1h3a-mix", 20, 0, 0)
    assert len({tuple(one.base for one in i.servers) for i in said}) == 1


@pytest.mark.parametrize(
    "preset",
    [
        "", "steady-", "steady-n", "steady-x", "steady-n007", "steady-n-5", "Steady", "steady ", "steady\n",
        "steady-n５", "steady-x95-n10", "steady-n10-n10", "steady-mix-flow", "steady-g5", "steady-2h2a",
        "multi-tenant-cv3", "serial-flow", "route", "route-prefix-h2a2", "route-e2e-g5", "burst-loose",
        "steady-n1234567890", "12",
    ],
)  # fmt: skip
def test_unknown_presets_list_the_forms(preset):
    with pytest.raises(UnknownNameError, match="route-e2e.-nN..-xLOAD.") as caught:
        preset_instance(preset, 0)
    assert caught.value.known == sorted(FORMS)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("steady-n0", "n must be 1 to 100000, got 0"),
        ("steady-n100001", "n must be 1 to 100000"),
        ("steady-x0", "load must be 1 to 1000, got 0"),
        ("steady-x1001-mix", "load must be 1 to 1000"),
        ("steady-s401", "sigma must be 0 to 400"),
        ("steady-cv0", "cv must be 1 to 20"),
        ("route-prefix-g10001", "groups must be 0 to 10000"),
        ("route-e2e-0h0a", "a fleet has 0 to 32 servers of each kind and at least one, got"),
        ("route-e2e-33h0a", "a fleet has 0 to 32 servers"),
    ],
)
def test_numbers_out_of_range_are_refused(preset, message):
    for ask in (lambda: preset_instance(preset, 0), lambda: training_instances(preset, 1, 0, 0)):
        with pytest.raises(OptionError, match=message):
            ask()


@pytest.mark.parametrize(
    "preset", ["steady-n100000-x1000", "serial-n100000-x1", "route-prefix-n100000-g10000-32h32a", "code-s400-cv20-mix"]
)
def test_extreme_presets_are_instances(preset):
    assert preset_instance(preset, MAX_SEED).requests >= 750


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("preset", ["steady-n20", "multi-tenant-n20", "route-prefix-n20", "route-e2e-n20-mix"])
def test_training_never_meets_held_out_instances(preset, count):
    held_out = {numbers(preset_instance(preset, seed)) for seed in range(40)}
    drawn = [numbers(one) for seed in range(40) for one in training_instances(preset, count, seed, 0)]
    assert len(held_out) == 40 and len(set(drawn)) == len(drawn)
    assert not held_out & set(drawn)


def test_streams_never_meet():
    others = (
        "steady-n95", "steady-x96", "steady-s95", "steady-cv2", "steady-flow", "steady-mix", "steady-n10-x50",
        "steady-n50-x10", "route-e2e-mix", "route-e2e-1h3a-mix", "route-e2e-3h1a-mix", "route-prefix-g1",
        "route-prefix-1h3a",
    )  # fmt: skip
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


def test_every_suffix_is_taken_by_some_preset_and_stands_in_the_forms():
    assert {key for preset in TABLE.values() for key in preset.takes} == set(SUFFIXES)
    assert all(list(preset.takes) == [key for key in SUFFIXES if key in preset.takes] for preset in TABLE.values())
    assert FORMS[0] == "steady[-nN][-xLOAD][-sSIGMA][-cvCV][-flow][-mix]" and len(FORMS) == len(PRESETS)


def test_instances_of_a_generator_of_the_callers():
    one, two = (draw_instance("burst-n20", np.random.default_rng(5)) for _ in range(2))
    rng = np.random.default_rng(5)
    drawn = [draw_instance("burst-n20", rng) for _ in range(20)]
    assert one.digest == two.digest == drawn[0].digest and len({other.digest for other in drawn}) == 20
    assert all(other.name == "burst-n20" for other in drawn)
    with pytest.raises(OptionError, match="a preset is a name such as 'steady', got 12"):
        draw_instance(12, rng)


def test_training_is_reproducible_and_differs_by_seed_and_part():
    def digests(*arguments):
        return [one.digest for one in training_instances("steady-n20", 4, *arguments)]

    assert digests(1, 2) == digests(1, 2)
    assert len({*digests(1, 2), *digests(2, 1), *digests(1, 3)}) == 12


def test_global_randomness_is_neither_used_nor_touched():
    np.random.seed(1)
    state = np.random.get_state()[1].tolist()
    first = preset_instance("route-prefix-n50", 0).digest
    assert np.random.get_state()[1].tolist() == state
    np.random.seed(2)
    assert preset_instance("route-prefix-n50", 0).digest == first


def test_seeds_and_counts_out_of_range_are_refused():
    for seed in (-1, MAX_SEED + 1, 0.0, True):
        with pytest.raises(OptionError, match="seed must be a whole number from 0 to 1073741823"):
            preset_instance("steady-n5", seed)
    for seed, part in [(-1, 0), (MAX_TRAINING_SEED + 1, 0), (0, -1), (0, MAX_TRAINING_SEED + 1)]:
        with pytest.raises(OptionError, match="seed|part"):
            training_instances("steady-n5", 1, seed, part)
    for count in (0, 100_001):
        with pytest.raises(OptionError, match="count must be a whole number from 1 to 100000"):
            training_instances("steady-n5", count, 0, 0)
