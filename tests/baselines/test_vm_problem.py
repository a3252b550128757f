"""The solvers' own cluster judges and values moves like the validator, which is written from the statement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_problem import UNPLACED, Cluster, Plan, fragment_rate, outcome, to_schedule
from dispatchgym.envs.core.errors import OptionError, ScheduleError
from dispatchgym.envs.vm.conditions import Conditions
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check, metrics


@given(seed=st.integers(0, 10_000), task=st.sampled_from(["reschedule", "pack"]), judged=st.booleans())
def test_a_move_is_legal_where_the_validator_says_so(random_cluster, seed, task, judged):
    rng = np.random.default_rng(seed)
    instance = random_cluster(rng, task)
    conditions = {"constraints": judged, "mnl": 3, "weight_64": 20, "weight_memory": 30, "migration_cost": 0.01}
    cluster, moves = Cluster(instance, conditions), []
    for _ in range(25):
        vm, node = int(rng.integers(instance.vms)), int(rng.integers(-1, instance.nodes))
        claim = to_schedule(instance, Plan((*moves, (vm, node)), None, "feasible"), conditions)
        after = cluster.copy()
        try:
            after.play([(vm, node)])
        except ScheduleError:
            assert check(instance, claim)
            continue
        assert check(instance, claim) == []
        cluster, moves = after, [*moves, (vm, node)]
    claim = to_schedule(instance, Plan(tuple(moves), None, "feasible"), conditions)
    assert cluster.objective() == pytest.approx(metrics(instance, claim)[instance.objective], rel=1e-12)
    assert cluster.rate() == pytest.approx(metrics(instance, claim)["fr_final"], rel=1e-12)
    assert outcome(Cluster(instance, conditions), moves) == cluster.objective()


def test_a_vm_is_evicted_once_and_only_for_one_that_is_more_important():
    ones = np.ones(3, int)
    instance = VMInstance("pack", [[4, 4]], [[9, 9]], [2, 9, 2], ones, ones, [0, -1, 0], priority=[0, 1, 1])
    cluster = Cluster(instance, {"mnl": 5})
    assert not cluster.legal(2, UNPLACED)
    cluster.play([(0, UNPLACED), (0, 1)])
    assert cluster.used == 1 and not cluster.legal(0, UNPLACED) and cluster.legal(0, 0)


def test_putting_back_restores_everything(tight_cluster):
    instance = tight_cluster(np.random.default_rng(3), rules=True)
    cluster = Cluster(instance)
    before = cluster.copy()
    for vm, node in enumerate(instance.node.tolist()):
        cluster.put(vm, UNPLACED)
        assert cluster.waiting[0] == 1
        cluster.put(vm, node)
    assert (cluster.free_cores, cluster.free_memory) == (before.free_cores, before.free_memory)
    assert [+members for members in cluster.members] == [+members for members in before.members]


def test_a_copy_is_its_own(tight_cluster):
    cluster = Cluster(tight_cluster(np.random.default_rng(5), rules=True))
    other = cluster.copy()
    other.put(0, UNPLACED)
    assert cluster.node[0] >= 0 and cluster.free_cores != other.free_cores and not +cluster.waiting


def test_a_double_vm_rounds_its_memory_up_and_goes_by_even_nodes():
    instance = VMInstance("two", [[8, 8], [8, 8]], [[10, 10], [3, 10]], [8], [7], [2], [0])
    cluster = Cluster(instance)
    assert (cluster.cores[0], cluster.memory[0]) == (4, 4)
    assert not cluster.legal(0, 2) and not cluster.legal(0, 3)


def test_nothing_free_is_no_fragment():
    conditions = Conditions(weight_64=30, weight_memory=30)
    assert fragment_rate(np.zeros(4, int), np.zeros(4, int), conditions) == 0
    assert fragment_rate(np.array([32, 32, 1, 0]), np.array([0, 65536, 0, 0]), conditions) == pytest.approx(
        0.4 * 1 / 65 + 0.3 * 1 / 65
    )


def test_the_penalty_must_fit():
    vms = 13
    instance = VMInstance(
        "many", [[1, 1]], [[9, 9]], np.ones(vms, int), np.ones(vms, int), np.ones(vms, int), np.full(vms, -1),
        priority=np.arange(vms),
    )  # fmt: skip
    assert Cluster(instance, {"mnl": 1}).penalty() == sum(15 ** (level + 1) for level in range(vms))
    with pytest.raises(ScheduleError, match="62 bits"):
        Cluster(instance, {"mnl": 30}).penalty()


def test_a_cluster_that_lives_on_is_refused(random_cluster):
    with pytest.raises(OptionError, match="horizon"):
        Cluster(random_cluster(np.random.default_rng(0), "dynamic"))


def test_the_limit_of_migrations_holds(tight_cluster, statement):
    instance = tight_cluster(np.random.default_rng(1))
    vm, node = next((v, n) for v in range(instance.vms) for n in statement(instance, {}).targets(instance.node, v))
    Cluster(instance, {"mnl": 1}).play([(vm, node)])
    with pytest.raises(ScheduleError, match=f"move 0: VM {vm} "):
        Cluster(instance, {"mnl": 0}).play([(vm, node)])
