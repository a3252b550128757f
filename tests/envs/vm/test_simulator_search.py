"""What can be reached: the best over all sequences of actions is the best that a search without the simulator finds."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.vm_problem import Cluster
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.model import Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import bounds, load

POSITION = ("place", "migrations", "evictions", "evicted", "chosen", "terminated")


def best(instance, **options) -> int:
    """The least objective over all sequences of legal actions, level by level, equal positions joined."""
    model = Model([instance], Options(forced_moves=False, **options))
    level, found = Simulation(model, [instance], 1, observe=False), []
    level.reset()
    while True:
        assert not level.illegal.any() and (level.mask.any(dim=1) | (level.terminated == 1)).all()
        done = level.terminated == 1
        found += level.outcome()["objective"][done].tolist()
        place, action = ((level.mask == 1) & ~done[:, None]).nonzero().T
        if not len(place):
            return min(found)
        level = copied(model, level, place)
        level.step(action)
        tensors = level.engine.tensors
        position = torch.cat([tensors[name].reshape(len(place), -1).long() for name in POSITION], dim=1)
        _, group = torch.unique(position, dim=0, return_inverse=True)
        first = torch.full((int(group.max()) + 1,), len(place))
        level = copied(model, level, first.scatter_reduce(0, group, torch.arange(len(place)), "amin"))


def copied(model, level: Simulation, place: torch.Tensor) -> Simulation:
    """A simulation whose environments stand where those at some places do."""
    other = Simulation(model, level.instances, len(place), observe=False)
    other.engine.load_state_dict({name: tensor[place] for name, tensor in level.engine.state_dict().items()})
    return other


def searched(instance, conditions: dict) -> float:
    """The same without the simulator: every state that legal moves lead to."""
    start = Cluster(instance, conditions)
    waiting, seen, least = [start], set(), start.objective()
    while waiting:
        state = waiting.pop()
        least = min(least, state.objective())
        for vm in range(instance.vms):
            for node in range(-1 if instance.pack else 0, instance.nodes):
                counts = state.node[vm] >= 0
                if not state.legal(vm, node) or state.used + counts > state.conditions.mnl:
                    continue
                after = state.copy()
                after.play([(vm, node)])
                key = (*after.node, after.used, frozenset(after.evicted))
                if key not in seen:
                    seen.add(key)
                    waiting.append(after)
    return least


def tiny(random_cluster, rng, task, vms):
    """A cluster of two hosts with so many VMs at most, not all of them alike."""
    while True:
        instance = random_cluster(rng, task, hosts=2)
        if 2 < instance.vms <= vms and len(set(instance.cores.tolist())) > 1:
            return instance


@pytest.mark.parametrize("options", [{}, {"weight_64": 60, "weight_memory": 20}, {"migration_cost": 0.05}], ids=str)
def test_the_best_rate_can_be_reached(random_cluster, options):
    rng, better = np.random.default_rng(0), 0
    for _ in range(12):
        instance, conditions = tiny(random_cluster, rng, "reschedule", 6), {"mnl": int(rng.integers(1, 4)), **options}
        least, start = searched(instance, conditions), Cluster(instance, conditions).objective()
        assert -4 < best(instance, moves="vm", **conditions) - least * 10**9 < 1
        better += least < start
    assert better > 1


def test_the_least_penalty_can_be_reached(random_cluster):
    rng, better = np.random.default_rng(1), 0
    for _ in range(12):
        instance, conditions = tiny(random_cluster, rng, "pack", 5), {"mnl": int(rng.integers(0, 3))}
        least = searched(instance, conditions)
        assert best(instance, moves="vm", **conditions) == least
        better += least < Cluster(instance, conditions).objective()
    assert better > 1


def test_class_moves_and_macros_reach_less_or_as_much(random_cluster):
    """They leave moves out that free nothing by themselves; what they reach is never better than what there is."""
    rng, missed = np.random.default_rng(2), [0, 0]
    for _ in range(25):
        instance = tiny(random_cluster, rng, "reschedule", 7)
        least = best(instance, moves="vm", mnl=3)
        for k, moves in enumerate(("class", "macro")):
            reached = best(instance, moves=moves, mnl=3)
            assert reached >= least
            missed[k] += reached > least
    assert missed[0] <= missed[1] < 25


@pytest.mark.parametrize("name, mnl", [("plateau", 2), ("uphill", 2), ("remainder", 3)])
@pytest.mark.parametrize("moves", ["class", "vm"])
def test_examples_that_no_single_move_improves(name, mnl, moves):
    """So many moves reach the optimum of the catalogue, and one fewer does not."""
    instance, known = load(name, "vm"), bounds(name, "vm")
    reached = best(instance, moves=moves, mnl=mnl) / 10**9
    if (name, moves) == ("uphill", "class"):  # class moves never take a slot that they do not fill
        assert reached == pytest.approx(1 / 3)
        return
    assert known.proven and reached == pytest.approx(known.upper)
    assert best(instance, moves=moves, mnl=mnl - 1) / 10**9 > known.upper + 0.01
