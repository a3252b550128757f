"""The rules and solvers of the job shop."""

import numpy as np
import pytest
import torch

import dispatchgym
from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.solvers import Exact, Limits, run
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.instances.catalogue import bounds, load_many

RULES = [name for name, policy in POLICIES.items() if not isinstance(policy, Exact)]


class Stand:
    """Four waiting jobs, as a rule sees them."""

    mask = torch.ones(1, 4, dtype=torch.int8)
    columns = {
        "processing_time": torch.tensor([[4, 2, 9, 5]], dtype=torch.int32),
        "remaining_work": torch.tensor([[20, 30, 9, 25]], dtype=torch.int32),
        "remaining_operations": torch.tensor([[5, 3, 1, 6]], dtype=torch.int32),
        "completed_work": torch.tensor([[9, 50, 60, 1]], dtype=torch.int32),
        "arrival": torch.tensor([[7, 9, 3, 8]], dtype=torch.int32),
    }


# fdd/mwkr: 13/20, 52/30, 69/9 and 6/25.
CHOICES = {"spt": 1, "lpt": 2, "mwkr": 1, "lwkr": 2, "mopnr": 3, "fdd/mwkr": 3, "fifo": 2, "lifo": 1}


def test_every_rule_prefers_what_its_name_says():
    assert CHOICES.keys() | {"random"} == set(RULES)
    for name, job in CHOICES.items():
        chosen = POLICIES[name].act(Stand(), torch.Generator(), torch.zeros(1, dtype=torch.bool))
        assert (name, chosen.tolist()) == (name, [job])


@pytest.mark.parametrize("name", RULES)
def test_rules_survive_work_without_length(name):
    """Ratios of remaining work divide by zero here; an illegal choice would leave the schedule incomplete."""
    machine = np.array([[0, 0, 0]] * 3)
    shops = [
        JobShopInstance("tails", 1, np.array([[3, 0, 0], [4, 0, 0], [5, 0, 0]]), machine),
        JobShopInstance("nothing", 1, np.zeros((3, 3), int), machine),
        JobShopInstance("heads", 1, np.array([[0, 0, 3], [0, 0, 4], [0, 2, 0]]), machine),
    ]
    for construction in ("active", "non-delay", "insertion"):
        limits = Limits(samples=5, options={"construction": construction, "forced_moves": False})
        assert [answer.schedule.violations() for answer in run(POLICIES[name], shops, limits)] == [[], [], []]


@pytest.mark.parametrize("name", RULES)
def test_no_schedule_beats_a_known_lower_bound(name):
    instances = load_many(["ft", "la", "abz", "orb", "swv", "yn", "ta01-50"])
    for instance, answer in zip(instances, run(POLICIES[name], instances, Limits()), strict=True):
        assert bounds(instance).lower <= answer.schedule.metrics()["makespan"]


def test_rules_run_as_non_delay_unless_told_otherwise():
    shop = dispatchgym.load("ta01")
    assert dispatchgym.solve(shop, "spt").metrics()["makespan"] == 1462
    assert dispatchgym.solve(shop, "spt", construction="active").metrics()["makespan"] == 1966
    assert dispatchgym.solve(shop, "SPT", construction="insertion").metrics()["makespan"] == 2099


def test_random_depends_on_the_seed():
    shop = dispatchgym.load("la01")
    found = {seed: dispatchgym.solve(shop, "random", seed=seed).entries.tolist() for seed in range(4)}
    assert dispatchgym.solve(shop, "random", seed=2).entries.tolist() == found[2]
    assert len({str(entries) for entries in found.values()}) == 4


def test_many_samples_find_the_optimum_of_a_small_shop():
    assert (
        dispatchgym.solve(dispatchgym.load("ft06"), "random", samples=4000, construction="active").metrics()["makespan"]
        <= 57
    )
    assert dispatchgym.solve(dispatchgym.load("la01"), "mwkr", samples=500).metrics()["makespan"] == 666


def test_constraint_programming_proves_the_optimum():
    answer = POLICIES["cp-sat"].solve(dispatchgym.load("ft06"), Limits(time_limit=60))
    assert (answer.schedule.metrics()["makespan"], answer.lower_bound, answer.status) == (55, 55, "optimal")
    assert dispatchgym.validate(answer.schedule.instance, answer.schedule) == []


def test_options_out_of_range_are_refused():
    shop = dispatchgym.load("ft06")
    for options in ({"construction": "fastest"}, {"colour": 1}, {"samples": 0}, {"time_limit": -1}):
        with pytest.raises(OptionError, match=next(iter(options))):
            dispatchgym.solve(shop, "spt", **options)
