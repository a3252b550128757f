"""CP-SAT with setup times and windows equals exhaustive search."""

import numpy as np
import pytest

from dispatchgym.baselines.cp_sat import lower_bound, solve_job_shop
from dispatchgym.baselines.single_machine import why_not
from dispatchgym.envs.job_shop.due_dates import total_work_content
from dispatchgym.envs.job_shop.generator import generate
from dispatchgym.instances.catalogue import load_many


@pytest.mark.parametrize("setups, windows", [(True, False), (False, True), (True, True)])
def test_cp_sat_finds_the_optimum_of_exhaustive_search(random_shop, limited, limited_shop, setups, windows):
    rng, longer = np.random.default_rng(5), 0
    for turn in range(12):
        plain = random_shop(rng, general=turn % 2 == 0, shortest=1)
        if plain.operations.sum() > 8:
            continue
        shop = limited(plain, rng, setups, windows)
        best, answer = limited_shop(shop).best(), solve_job_shop(shop, 20)
        assert answer.status == "optimal" and answer.objective == answer.bound == best >= lower_bound(shop)
        assert answer.schedule.violations() == [] and answer.schedule.metrics()["makespan"] == best
        longer += best > limited_shop(plain).best()
    assert longer >= 3


def test_other_objectives_and_machines_that_are_visited_again(limited, random_shop):
    rng = np.random.default_rng(1)
    for shop in (total_work_content(generate(3, 2, rng), 1.2, weighted=True), random_shop(rng, shortest=1)):
        shop = limited(shop, rng)
        answer = solve_job_shop(shop, 20)
        assert answer.status == "optimal" and answer.schedule.violations() == []
        assert answer.schedule.metrics()[shop.objective] == answer.objective


def test_the_dynamic_program_does_without():
    (shop,) = load_many(["setup-weighted-single-6:0"], "job_shop")
    assert "setup times" in why_not(shop)
