"""Constraint programming for flexible job shops: proofs, limits and odd instances.

Brute force meets it in the tests of the simulator.
"""

from pathlib import Path

import numpy as np
import pytest

import dispatchgym
from dispatchgym.baselines import flexible_job_shop_cp_sat as cp_sat
from dispatchgym.baselines.flexible_job_shop import POLICIES
from dispatchgym.baselines.flexible_job_shop_cp_sat import lower_bound, solve_flexible_job_shop
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.solvers import Limits
from dispatchgym.envs.flexible_job_shop.generator import sd2
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "job_shop" / "fjsp_brandimarte"


@pytest.mark.parametrize(("name", "optimum"), [("workshop", 13), ("fast-machine", 4)])
def test_small_ones_are_proven(name, optimum):
    shop = dispatchgym.load(name, "flexible_job_shop")
    answer = solve_flexible_job_shop(shop)
    assert (answer.objective, answer.bound, answer.status) == (optimum, optimum, "optimal")
    assert answer.schedule.violations() == [] and answer.schedule.metrics()["makespan"] == optimum
    named = POLICIES["cp-sat"].solve(shop, Limits(time_limit=60, seed=2**32 - 1))
    assert (named.lower_bound, named.status) == (optimum, "optimal") and named.schedule.violations() == []


def test_the_same_seed_gives_the_same_schedule():
    shop = dispatchgym.load("workshop", "flexible_job_shop")
    first, second = (solve_flexible_job_shop(shop, seed=7).schedule.entries for _ in range(2))
    assert np.array_equal(first, second)


def test_answers_are_feasible_and_bounded_whatever_the_shop(random_flexible_shop):
    rng = np.random.default_rng(11)
    for _ in range(40):
        shop = random_flexible_shop(rng)
        answer = solve_flexible_job_shop(shop, time_limit=20)
        assert answer.status == "optimal" and answer.schedule.violations() == []
        assert lower_bound(shop) <= answer.bound == answer.objective == answer.schedule.metrics()["makespan"]


def test_operations_of_length_zero_overlap_nothing():
    shop = FlexibleJobShopInstance("zero", np.array([[[4, -1]], [[0, 9]]]))
    assert solve_flexible_job_shop(shop).objective == 4
    idle = FlexibleJobShopInstance("idle", np.zeros((2, 1, 1), int))
    answer = solve_flexible_job_shop(idle)
    assert (answer.objective, answer.bound, answer.status) == (0, 0, "optimal")


def test_the_second_search_keeps_what_the_first_found(monkeypatch):
    """What one thread has found is not lost, whatever the others find; a bound stays proven."""
    shop, seen = sd2(10, 5, np.random.default_rng(3)), []
    minimise = cp_sat.minimise

    def watch(solver, model, name, bound):
        seen.append((solver.parameters.num_workers, bound))
        return minimise(solver, model, name, bound)

    monkeypatch.setattr(cp_sat, "minimise", watch)
    answer = solve_flexible_job_shop(shop, time_limit=2.0)
    assert [threads for threads, _ in seen] == [1, cp_sat.PORTFOLIO][: len(seen)]
    assert answer.schedule.violations() == [] and answer.bound <= answer.objective
    if len(seen) > 1:
        assert lower_bound(shop) == seen[0][1] <= seen[1][1] <= answer.bound
    seen.clear()
    solve_flexible_job_shop(shop, time_limit=0.5, workers=2)
    assert [threads for threads, _ in seen] == [2]


@pytest.mark.parametrize("arguments", [{"workers": 0}, {"workers": True}, {"time_limit": 0}, {"seed": -1}])
def test_absurd_arguments_are_refused(arguments):
    with pytest.raises(OptionError, match=next(iter(arguments))):
        solve_flexible_job_shop(sd2(2, 2, np.random.default_rng(0)), **arguments)


def test_without_time_nothing_is_made_up():
    shop = sd2(30, 10, np.random.default_rng(0))
    answer = solve_flexible_job_shop(shop, time_limit=1e-9)
    assert (answer.schedule, answer.objective, answer.status) == (None, None, "unknown")
    assert answer.bound == lower_bound(shop) > 0


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the published instances are not here")
@pytest.mark.parametrize(("number", "optimum"), [(1, 40), (4, 60)])
def test_published_optima_of_brandimarte(number, optimum):
    shop = dispatchgym.load(str(DATA / f"mk{number:02d}.txt"), "flexible_job_shop")
    answer = solve_flexible_job_shop(shop, time_limit=60)
    assert answer.objective == optimum >= answer.bound and answer.schedule.violations() == []
