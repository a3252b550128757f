"""Searches give legal plans that gain, in their order of strength, and the published ones reach known figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_problem import Cluster, outcome, to_schedule
from dispatchgym.baselines.vm_search import beam, greedy, plan_with, repack, swaps
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check

SEARCHES = (greedy, swaps, beam, repack)


@pytest.mark.parametrize("search", SEARCHES)
@given(seed=st.integers(0, 10_000), mixed=st.booleans())
def test_plans_are_legal_and_no_worse_than_nothing(tight_cluster, search, seed, mixed):
    rng = np.random.default_rng(seed)
    instance = tight_cluster(rng, hosts=4, vms=12, memory=mixed, rules=True)
    conditions = {"mnl": int(rng.integers(0, 6)), "migration_cost": float(rng.choice([0, 0.03]))}
    conditions |= {"weight_64": 40, "weight_memory": 20} if mixed else {}
    plan = plan_with(search, instance, conditions)
    assert check(instance, to_schedule(instance, plan, conditions)) == []
    assert outcome(Cluster(instance, conditions), plan.moves) <= Cluster(instance, conditions).objective()
    assert len(plan.moves) <= conditions["mnl"] and plan.bound is None
    assert plan == plan_with(search, instance, conditions)


@given(seed=st.integers(0, 10_000), cost=st.sampled_from([0.0, 0.1, 0.3]))
def test_the_greedy_takes_the_best_move_and_stops_where_none_gains(tight_cluster, statement, seed, cost):
    instance = tight_cluster(np.random.default_rng(seed), rules=True)
    conditions = {"mnl": 3, "migration_cost": cost}
    said = statement(instance, conditions)
    nodes = said.start
    for vm, node in plan_with(greedy, instance, conditions).moves:
        best = min(map(said.rate, said.migrations(nodes)))
        before, nodes = said.rate(nodes), (*nodes[:vm], node, *nodes[vm + 1 :])
        assert said.rate(nodes) == pytest.approx(best) and best < before - cost
    if len(plan_with(greedy, instance, conditions).moves) < 3:
        assert all(said.rate(after) >= said.rate(nodes) - cost - 1e-9 for after in said.migrations(nodes))


@given(seed=st.integers(0, 10_000))
def test_a_beam_that_keeps_everything_is_exhaustive(statement, seed):
    """Of nodes that are all different, so that no two moves gain the same."""
    rng = np.random.default_rng(seed)
    cores = rng.choice([3, 5, 9, 17], 4, replace=False)
    capacity = np.array([cores[0], cores[1], cores[2], cores[3], 0, 0]) + rng.choice(23, 6, replace=False)
    ones = np.ones(4, int)
    instance = VMInstance("different", capacity.reshape(3, 2), np.full((3, 2), 99), cores, ones, ones, np.arange(4))
    conditions = {"mnl": 2}
    found = outcome(Cluster(instance, conditions), plan_with(beam, instance, conditions, width=1000).moves)
    assert found == pytest.approx(statement(instance, conditions).best_rate(), abs=1e-9)


def test_exchanges_go_where_single_moves_do_not():
    """Either VM alone would take as much away as it gives."""
    cores, node = np.array([[8, 4, 1, 1], [0, 2, 1, 3]])
    ones = np.ones(4, int)
    instance = VMInstance(
        "exchange", [[20, 1], [8, 1]], np.full((2, 2), 99), cores, ones, ones, node, movable=[True, True, False, False]
    )
    assert plan_with(greedy, instance, {"mnl": 5}).moves == ()
    plan = plan_with(swaps, instance, {"mnl": 5})
    assert plan.moves == ((1, 0), (0, 2)) and outcome(Cluster(instance), plan.moves) == 0
    assert plan_with(swaps, instance, {"mnl": 1}).moves == ()
    assert plan_with(swaps, instance, {"mnl": 5, "migration_cost": 0.6}).moves == ()


def test_an_exchange_may_need_a_place_to_park():
    cores, node = np.array([[15, 4, 5, 1, 1], [0, 2, 2, 1, 3]])
    ones = np.ones(5, int)
    nodes = [[16 + 4, 1], [15 + 5, 1], [15, 0]]
    instance = VMInstance(
        "parking", nodes, np.full((3, 2), 99), cores, ones, ones, node, movable=[True, True, False, False, False]
    )
    plan = plan_with(swaps, instance, {"mnl": 3})
    assert check(instance, to_schedule(instance, plan, {"mnl": 3})) == []
    assert outcome(Cluster(instance), plan.moves) < Cluster(instance).rate()


def test_stronger_searches_are_stronger_where_it_counts():
    means = {}
    for name, search, options in (
        ("greedy", greedy, {}), ("beam 1", beam, {"width": 1}), ("beam 8", beam, {"width": 8}), ("repack", repack, {}),
    ):  # fmt: skip
        rates = []
        for seed in range(4):
            instance = preset_instance("small", seed)
            plan = plan_with(search, instance, {"mnl": 10}, **options)
            rates.append(outcome(Cluster(instance, {"mnl": 10}), plan.moves))
        means[name] = np.mean(rates)
    assert means["beam 8"] <= means["beam 1"] < means["greedy"] and means["repack"] < means["greedy"], means


def test_a_beam_out_of_time_keeps_what_it_has():
    instance = preset_instance("hosts-30", 0)
    assert plan_with(beam, instance, {"mnl": 9}, time_limit=0.0).moves == ()


def test_vms_that_wait_are_not_for_searches(random_cluster):
    with pytest.raises(OptionError, match="greedy"):
        plan_with(greedy, random_cluster(np.random.default_rng(0), "pack"))
