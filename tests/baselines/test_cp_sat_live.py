"""In a live shop CP-SAT knows the actual times, keeps to the conditions, and refuses what it cannot know."""

import numpy as np
import pytest

from dispatchgym.baselines.cp_sat import solve_job_shop
from dispatchgym.baselines.cp_sat_live import solve_live
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop.conditions import BUFFERS, NOISES, Conditions
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check, metrics


def shop(seed: int) -> JobShopInstance:
    rng = np.random.default_rng(seed)
    machine = np.stack([rng.permutation(3) for _ in range(4)])
    return JobShopInstance("shop", 3, rng.integers(1, 20, (4, 3)), machine, rng.integers(0, 20, 4))


@pytest.mark.parametrize("buffers", BUFFERS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_schedule_is_what_happens(buffers, noise):
    for seed in range(3):
        instance, sigma = shop(seed), 0.5 * (noise != "none")
        conditions = Conditions(buffers, noise=noise, sigma=sigma, seed=seed, world=3, episode=1)
        answer = solve_live(instance, conditions)
        assert answer.schedule.conditions == conditions.as_dict() and answer.schedule.instance is instance
        assert check(instance, answer.schedule) == []
        assert metrics(instance, answer.schedule)["makespan"] == answer.objective == answer.bound


def test_less_room_makes_it_no_shorter():
    for seed in range(6):
        instance = shop(seed)
        values = [solve_live(instance, Conditions(buffers)).objective for buffers in ("unlimited", "swap", "none")]
        assert values == sorted(values) and values[0] == solve_job_shop(instance).objective


def test_machines_that_stop_are_refused():
    with pytest.raises(OptionError, match="needs uptime 0, got 200"):
        solve_live(shop(0), Conditions(uptime=200, repair=50))
