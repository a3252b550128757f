"""Packing finds what exhaustive search finds, and can always be carried out."""

import numpy as np
import pytest

from dispatchgym.baselines.vm_pack import _Packer, solve_pack
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
    for seed in range(20 * part, 20 * part + 20):
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


def test_equals_are_not_evicted_for_being_larger():
    instance = singles([[8, 0]], [(8, 0), (4, -1), (4, -1)])
    plan = solve_pack(instance, {"mnl": 3})
    assert plan.moves == () and plan.status == "optimal"


def test_circles_are_undone_where_that_can_be_and_no_promise_where_not(waiting_cluster, statement):
    """VMs that cannot be evicted and wait for each other's room; the last aims of the relaxation are out of reach."""
    stuck = better = 0
    for seed in (257, 315, 347, 384, 1159, 1242, 2092, 2692, 2852):
        rng = np.random.default_rng(seed)
        instance, conditions = waiting_cluster(rng, rules=bool(rng.random() < 0.5)), {"mnl": int(rng.integers(0, 4))}
        relaxed = _Packer(Cluster(instance, conditions), 60, 0)
        stuck += relaxed._attempt(0, 0.5)
        plan = solve_pack(instance, conditions)
        penalty = replayed(instance, plan, conditions)
        assert penalty == plan.bound == statement(instance, conditions).best_penalty(), seed
        better += penalty < relaxed.best[0]
    assert stuck >= 5 and better >= 2


def test_groups_hold_on_the_way_too(waiting_cluster, statement):
    """VMs of one priority, of which groups keep some from going where another one still is."""
    for seed in (231, 460, 485):
        made = waiting_cluster(np.random.default_rng(seed), rules=True)
        instance = VMInstance(
            "equals", made.node_cores, made.node_memory, made.cores, made.memory, made.numas, made.node,
            movable=made.movable, drained=made.drained, rack=made.rack, groups=made.groups,
        )  # fmt: skip
        plan = solve_pack(instance, {"mnl": 3})
        best = statement(instance, {"mnl": 3}).best_penalty()
        assert replayed(instance, plan, {"mnl": 3}) == plan.bound == best, seed


def test_only_what_is_proven_counts_towards_the_bound(monkeypatch):
    search = _Packer._search
    instance = preset_instance("pods-4x4", 1)
    best = solve_pack(instance, {"mnl": 50})
    monkeypatch.setattr(_Packer, "_search", lambda *given: (search(*given)[0], False))
    plan = solve_pack(instance, {"mnl": 50})
    assert best.status == "optimal" and plan.status == "feasible" and plan.bound < best.bound
    assert replayed(instance, plan, {"mnl": 50}) == best.bound


def test_a_bound_holds_whenever_the_time_is_up():
    instance, conditions = preset_instance("pods-4x4", 0), {"mnl": 50}
    best = solve_pack(instance, conditions)
    assert best.status == "optimal"
    for seconds in (0.005, 0.01, 0.02, 0.05, 0.1):
        plan = solve_pack(instance, conditions, time_limit=seconds)
        assert plan.bound <= best.bound <= replayed(instance, plan, conditions)


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
