"""Actual times and shutdowns are those of the formulas, drawn one by one in plain integers."""

import math

import numpy as np
import pytest

from dispatchgym.envs.core.noise import exponential_table, table
from dispatchgym.envs.core.rng import random_bits
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.job_shop.conditions import Conditions
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator_world import MAX_SHUTDOWNS, NEVER, Shutdowns, actual_times

bits = twin(random_bits)
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # the mixing of bits wraps around on purpose


def random_instance(rng: np.random.Generator) -> JobShopInstance:
    duration = rng.integers(0, 50, (3, 4))
    duration[0, 3] = 0
    machine = rng.integers(0, 2, (3, 4))
    machine[0, 3] = -1
    return JobShopInstance("random", 2, duration, machine)


@pytest.mark.parametrize("noise", ["gaussian", "lognormal", "gamma"])
def test_actual_times_follow_their_formula(noise):
    rng = np.random.default_rng(5)
    for _ in range(5):
        instance = random_instance(rng)
        key = int(rng.integers(-(2**31), 2**31)), int(rng.integers(2**31)), int(rng.integers(9))
        found = actual_times(instance, Conditions("none", 0, 0, "resume", noise, 0.7, *key))
        quantile = table(noise, 0.7).tolist()
        for (job, step), estimate in np.ndenumerate(instance.duration):
            value = quantile[bits(*key, 4 * job + step) // 2**19]
            wanted = max((int(estimate) * value + 32768) // 65536, 1) if estimate > 0 else 0
            assert found[job, step] == wanted


def test_without_noise_estimates_are_right():
    instance = random_instance(np.random.default_rng(1))
    assert np.array_equal(actual_times(instance, Conditions(seed=5)), instance.duration)


@pytest.mark.parametrize(("uptime", "repair"), [(100, 40), (1, 1), (1000, 100_000)])
def test_shutdowns_follow_their_formula(uptime, repair):
    rng = np.random.default_rng(uptime)
    instance = random_instance(rng)
    key = int(rng.integers(-(2**31), 2**31)), int(rng.integers(2**31)), int(rng.integers(9))
    shutdowns = Shutdowns(instance, Conditions("none", uptime, repair, seed=key[0], world=key[1], episode=key[2]))
    unit, quantile = max(instance.total_work // int(instance.operations.sum()), 1), exponential_table().tolist()
    for machine in range(2):
        stream, time, expected = bits(*key, -1 - machine), 0, []
        for q in range(200):
            begin = time + max(
                1, (unit * uptime * quantile[bits(stream, 0x73687574, 0, 2 * q) // 2**19] + 3276800) // 6553600
            )
            time = begin + max(
                1, (unit * repair * quantile[bits(stream, 0x73687574, 0, 2 * q + 1) // 2**19] + 3276800) // 6553600
            )
            if begin < NEVER:
                expected.append((begin, time))
        for until in (0, expected[10][0], expected[-1][0] - 1):  # whatever was asked for before
            begin, end, whole = shutdowns.windows(machine, until)
            both = list(zip(begin.tolist(), end.tolist(), strict=True))
            assert whole and both[:200] == expected[: len(both)]
            assert len(both) == len(expected) < 200 or both[-1][0] > until


def test_means_are_as_asked_for():
    instance = JobShopInstance("one", 1, [[1000]], [[0]])
    begin, end, _ = Shutdowns(instance, Conditions(uptime=300, repair=50, seed=2)).windows(0, 2**26)
    up, down = begin - np.append(0, end[:-1]), end - begin
    assert math.isclose(up.mean(), 3000, rel_tol=0.03) and math.isclose(down.mean(), 500, rel_tol=0.03)
    assert math.isclose(up.std(), 3000, rel_tol=0.05)


def test_machines_that_never_stop():
    instance = random_instance(np.random.default_rng(1))
    begin, end, whole = Shutdowns(instance, Conditions()).windows(0, 2**62)
    assert len(begin) == len(end) == 0 and whole


def test_no_more_are_drawn_than_the_limit():
    instance = JobShopInstance("one", 1, [[1]], [[0]])
    begin, _, whole = Shutdowns(instance, Conditions(uptime=1, repair=1)).windows(0, 2**29)
    assert len(begin) == MAX_SHUTDOWNS and not whole


def test_the_longest_means_do_not_overflow():
    instance = JobShopInstance("long", 1, [[2**28 - 1]], [[0]])
    for seed in range(20):
        begin, end, whole = Shutdowns(instance, Conditions(uptime=100_000, repair=100_000, seed=seed)).windows(0, 2**30)
        assert whole and (begin > 0).all() and (end > begin).all()
