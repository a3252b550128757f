"""Moves in two steps: always all that is legal is offered and nothing else, first the VMs, then the nodes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import TASKS, Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def check_first_step(seen) -> None:
    """Every VM that may go anywhere, with what is known of it; and to stop."""
    legal = seen.legal
    assert [vm for vm, _, _ in seen.shown] == sorted({vm for vm, _, _ in legal})
    assert all(action == (action[0], -1, int(seen.count.node[action[0]] < 0)) for action in seen.shown)
    nodes = slice(seen.model.vms, -1)
    assert not seen.action_mask[nodes].any() and seen.action_mask[-1] == 1
    for vm in range(seen.cluster.vms):
        if seen.action_mask[vm]:
            assert seen.source[vm] == seen.count.node[vm] and seen.cores[vm] == seen.count.cores[vm]
            assert seen.gain[vm] == seen.room[vm] == seen.waste[vm] == seen.harm[vm] == 0 and seen.length[vm] == 1
            assert seen.megabytes[vm] == seen.cluster.memory[vm]
            levels = np.unique(seen.cluster.priority).tolist()
            skipped = len(seen.unplaced) - len(levels)  # the highest one is always the last
            assert seen.importance[vm] == levels.index(seen.cluster.priority[vm]) + skipped
            assert -2 < seen.source_gain[vm] - (seen.count.leaving(vm) if seen.count.node[vm] >= 0 else 0) < 2


def check_second_step(seen) -> None:
    """Every node that the chosen VM may go to, and eviction; there is no way back."""
    chosen, count = int(seen.chosen), seen.count
    assert set(seen.shown) == {action for action in seen.legal if action[0] == chosen}
    assert len(seen.shown) == len(set(seen.shown)) and not seen.action_mask[: seen.model.vms].any()
    assert seen.action_mask[-1] == 0
    for action in np.flatnonzero(seen.action_mask).tolist():
        node, source = int(seen.node[action]), int(count.node[chosen])
        assert action == (seen.model.vms + node if node >= 0 else seen.model.actions - 2)
        assert seen.room[action] == (sum(count.free_cores[n] for n in count.spread(chosen, node)) if node >= 0 else 0)
        gain = count.gain([(chosen, source, node)]) if node >= 0 <= source else 0
        exact = seen.options.weight_memory == 0
        assert seen.gain[action] == gain if exact else abs(seen.gain[action] - gain) < 5
        assert seen.source[action] == source and seen.cores[action] == count.cores[chosen]
        assert seen.length[action] == 1 and seen.waste[action] == 0
        assert seen.megabytes[action] == seen.cluster.memory[chosen]
        assert seen.harm[action] == (count.harm(chosen, node) if node >= 0 else 0)


@settings(max_examples=90)
@given(seeds, st.sampled_from(TASKS))
def test_all_that_is_legal_is_offered(recount, random_cluster, random_vm_options, legal, seed, task):
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task, hosts=int(rng.integers(1, 5))) for _ in range(3)]
    simulation = Simulation(Model(instances[:1] if seed % 2 else instances, random_vm_options(rng, task, moves="vm")),
                            instances[:1] if seed % 2 else instances, 1 if seed % 2 else 3)  # fmt: skip
    simulation.reset()
    for _ in range(40):
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            seen = recount.Seen(simulation, place)
            padded = seen.cluster.vms < seen.model.vms
            assert not padded or not seen.action_mask[seen.cluster.vms : seen.model.vms].any()
            check_first_step(seen) if seen.chosen < 0 else check_second_step(seen)
            seen.check()
            at_limit = seen.left <= 0 and task != "pack"
            assert not at_limit or seen.chosen >= 0
            if seen.options.forced_moves:
                assert len(seen.shown) > int(seen.chosen >= 0)
        simulation.step(legal(simulation.mask, rng))
        simulation.restart()


@pytest.mark.parametrize("kind", ["snapshot", "pack", "timeline"])
def test_nothing_else_is_legal_in_the_words_of_the_statement(recount, vm, legal, kind):
    """The same against the statement that the validator is tested with."""
    rng, asked = np.random.default_rng(0), 0
    for _ in range(12):
        instance, conditions = vm.instance(rng, kind), vm.conditions(rng)
        if kind == "pack" and not instance.pack:
            continue
        simulation = Simulation(Model([instance], Options(moves="vm", forced_moves=False, **conditions)), [instance], 1)
        simulation.reset()
        for _ in range(12):
            seen, world = recount.Seen(simulation), vm.World(instance, conditions)
            if simulation.terminated[0] or kind == "timeline" and seen.left <= 0:
                break
            world.at = {v: int(n) for v, n in enumerate(seen.count.node) if n >= 0}
            world.used, world.evicted = seen.options.mnl - seen.left, set(np.flatnonzero(seen.evicted).tolist())
            right = {(v, n) for v in range(instance.vms) for n in range(-1, instance.nodes) if not world.judge(v, n)}
            if seen.chosen < 0:
                assert {v for v, _ in right} == {v for v, _, _ in seen.shown}
            else:
                assert {pair for pair in right if pair[0] == seen.chosen} == {(v, n) for v, n, _ in seen.shown}
            asked += len(right)
            simulation.step(legal(simulation.mask, rng))
    assert asked > 300


@pytest.mark.parametrize("names", [["hosts-6:0"], ["churn-4-20:0"], ["pods-8x4:0"], ["affinity-5-20:0"]], ids=str)
def test_all_that_is_legal_is_offered_on_presets(recount, legal, names):
    rng, instances = np.random.default_rng(0), load_many(names, "vm")
    simulation = Simulation(Model(instances, Options(moves="vm", mnl=40, copy_rate=2000)), instances, 1)
    simulation.reset()
    for step in range(70):
        if step % 5 < 2:
            seen = recount.Seen(simulation)
            check_first_step(seen) if seen.chosen < 0 else check_second_step(seen)
        moves = simulation.mask[:, :-1]
        simulation.step(torch.where(moves.any(dim=1), legal(moves, rng), simulation.model.actions - 1))
        simulation.restart()


def test_a_node_filled_by_another_is_offered_no_more():
    """VM 1 takes the last room that VM 2 has; VM 2 leaves and VM 0, which has stayed where it was, has a room again."""
    instance = VMInstance("x", [[16, 4], [4, 4]], [[99, 99]] * 2, [4, 4, 4], [1] * 3, [1] * 3, [0, 0, 2])
    simulation = Simulation(Model([instance], Options(moves="vm", forced_moves=False)), [instance], 1)
    simulation.reset()

    def act(vm, node) -> list[int]:
        simulation.step(torch.tensor([vm]))
        assert simulation.mask[0, 3 + node] == 1
        simulation.step(torch.tensor([3 + node]))
        return simulation.mask[0, :3].nonzero().flatten().tolist()

    assert simulation.mask[0].nonzero().flatten().tolist() == [0, 1, 2, 3 + 4 + 1]
    assert act(1, 1) == [0, 1, 2] and act(2, 3) == [0, 1, 2] and act(0, 2) == [0, 1, 2]
    assert simulation.mask[0, 3:7].sum() == 0
    simulation.step(torch.tensor([0]))
    assert simulation.mask[0].nonzero().flatten().tolist() == [3 + 0]  # nodes 1 and 3 are full


def test_a_new_episode_forgets_the_last_one(legal):
    """Also where it was left in mid-episode, with a VM chosen, for a smaller cluster."""
    large, small = load_many(["hosts-6:0", "plateau"], "vm")
    model, rng = Model([large, small], Options(moves="vm")), np.random.default_rng(0)
    fresh, used = Simulation(model, [small], 1), Simulation(model, [large], 1)
    used.reset()
    for _ in range(9):
        used.step(legal(used.mask[:, :-1], rng))
    used.load([small])
    for simulation in (fresh, used):
        simulation.reset()
    for _ in range(12):
        assert torch.equal(fresh.mask, used.mask)
        action = legal(fresh.mask, rng)
        for simulation in (fresh, used):
            simulation.step(action)
