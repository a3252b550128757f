"""Packing finds what exhaustive search finds, and can always be carried out."""

import numpy as np
import pytest

from dispatchgym.baselines.vm_pack import solve_pack
from dispatchgym.baselines.vm_problem import Cluster, Plan, outcome, to_schedule
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check, metrics


def replayed(instance: VMInstance, plan: Plan, conditions: dict) -> int:
    """The penalty of a plan, after the validator and the solvers' cluster agree that it is legal."""
    claim = to_schedule(instance, plan, conditions)
    assert check(instance, claim) == []
    penalty = metrics(instance, claim)["penalty"]
    assert penalty == outcome(Cluster(instance, conditions), plan.moves)
    assert isinstance(plan.bound, int) and plan.bound <= penalty
    return penalty


@pytest.mark.parametrize("part", range(3))
def test_it_is_as_good_as_exhaustive_search(waiting_cluster, statement, part):
    for seed in range(25 * part, 25 * part + 25):
        rng = np.random.default_rng(seed)
        instance = waiting_cluster(rng, rules=bool(rng.random() < 0.5))
        conditions = {"mnl": int(rng.integers(0, 4))}
        plan = solve_pack(instance, conditions, seed=seed)
        best = statement(instance, conditions).best_penalty()
        assert replayed(instance, plan, conditions) == best, seed
        assert plan.status == "optimal" and plan.bound == best, seed


def singles(nodes, vms, **options) -> VMInstance:
    """Single VMs, given by cores and node."""
    cores, node = np.array(vms).T
    ones = np.ones_like(cores)
    return VMInstance("singles", nodes, np.full_like(nodes, 99), cores, ones, ones, node, **options)


def test_important_vms_come_before_many():
    instance = singles([[8, 0]], [(8, -1), (4, -1), (4, -1)], priority=[1, 0, 0])
    plan = solve_pack(instance, {"mnl": 0})
    assert plan.moves == ((0, 0),) and plan.status == "optimal"


def test_what_is_less_important_makes_room():
    instance = singles([[8, 0], [4, 0]], [(8, -1), (4, 0)], priority=[1, 0])
    assert solve_pack(instance, {"mnl": 1}).moves == ((1, 2), (0, 0))  # it moves away
    assert solve_pack(instance, {"mnl": 0}).moves == ()
    full = singles([[8, 0], [4, 0]], [(8, -1), (4, 0), (4, 2)], priority=[1, 0, 0])
    plan = solve_pack(full, {"mnl": 1})
    assert plan.moves == ((1, -1), (0, 0)) and plan.status == "optimal"  # it is evicted
    equal = singles([[8, 0], [4, 0]], [(8, -1), (4, 0), (4, 2)], priority=[0, 0, 0])
    assert solve_pack(equal, {"mnl": 1}).moves == ()  # nobody is evicted for an equal


EXCHANGE = ([[10, 0], [9, 0]], [(6, 0), (4, 2), (5, -1)])  # 5 fits in if 6 and 4 change places


def test_an_exchange_goes_by_an_eviction_where_that_is_allowed():
    plan = solve_pack(singles(*EXCHANGE, priority=[0, 0, 1]), {"mnl": 2})
    assert plan.status == "optimal"
    assert metrics_of(plan, singles(*EXCHANGE, priority=[0, 0, 1]), 2)["unplaced"] == 0


def metrics_of(plan: Plan, instance: VMInstance, mnl: int) -> dict:
    claim = to_schedule(instance, plan, {"mnl": mnl})
    assert check(instance, claim) == []
    return metrics(instance, claim)


def test_a_circle_of_equals_needs_a_place_to_park(statement):
    """VMs that cannot be evicted change places only through a third node."""
    nodes, vms = [[8, 0], [7, 0], [3, 0]], [(6, 0), (3, 2), (3, 2), (4, -1)]
    for spare in range(4):
        nodes[2][0] = spare
        for mnl in range(5):
            instance = singles(nodes, vms)
            plan = solve_pack(instance, {"mnl": mnl})
            assert replayed(instance, plan, {"mnl": mnl}) == statement(instance, {"mnl": mnl}).best_penalty()
            assert plan.status == "optimal"


@pytest.mark.parametrize("seconds", [0.01, 1.0])
def test_what_is_not_proven_is_still_carried_out(seconds):
    instance, conditions = preset_instance("pods-16x4", 0), {"mnl": 10}
    plan = solve_pack(instance, conditions, time_limit=seconds)
    penalty = replayed(instance, plan, conditions)
    after = Cluster(instance, conditions)
    after.play(plan.moves)
    waiting = [vm for vm, node in enumerate(after.node) if node < 0]
    assert not any(after.legal(vm, node) for vm in waiting for node in range(instance.nodes))  # nothing more fits in
    placing = metrics_of(solve_pack(instance, {"mnl": 0}, time_limit=0.01), instance, 0)
    found = metrics_of(plan, instance, 10)
    levels = [f"unplaced_{priority}" for priority in np.unique(instance.priority)[::-1]]
    assert [found[level] for level in levels] <= [placing[level] for level in levels]
    assert plan.status == "feasible" or plan.bound == penalty


def test_the_same_seed_gives_the_same_plan():
    instance = preset_instance("pods-4x4", 1)
    assert solve_pack(instance, {"mnl": 50}, seed=3) == solve_pack(instance, {"mnl": 50}, seed=3)


def test_bad_options_are_refused(random_cluster):
    waiting = random_cluster(np.random.default_rng(0), "pack")
    for options in ({"time_limit": 0}, {"seed": -1}):
        with pytest.raises(OptionError, match=next(iter(options))):
            solve_pack(waiting, **options)
    with pytest.raises(OptionError, match="waits"):
        solve_pack(random_cluster(np.random.default_rng(0), "reschedule"))
