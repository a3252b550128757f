"""Macros: few moves that together complete a slot, each of them legal in its turn, found without a trace."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.vm import simulator
from dispatchgym.envs.vm.generator import draw_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)
WEIGHTS = [{}, {"weight_64": 100}, {"weight_64": 30, "weight_memory": 20}, {"weight_memory": 60}]


def begin(instances, num_envs=None, **options) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    simulation = Simulation(Model(instances, Options(moves="macro", **options)), instances, num_envs or len(instances))
    simulation.reset()
    return simulation


def restless(simulation, legal, rng) -> torch.Tensor:
    """Random legal actions, to stop only where there is nothing else."""
    moves = simulation.mask[:, :-1]
    return torch.where(moves.any(dim=1), legal(moves, rng), simulation.model.actions - 1)


def parts(seen, action) -> list[tuple[int, int]]:
    """The moves of a macro, (VM, node) each."""
    length = int(seen.length[action])
    return list(zip(seen.part_vm[action, :length].tolist(), seen.part_node[action, :length].tolist(), strict=True))


def check_macro(recount, seen, action) -> None:
    """It can be carried out move by move, frees what it says, and completes a slot where it says."""
    moves, count, node, left = parts(seen, action), seen.count, seen.count.node.copy(), seen.left
    wide = seen.options.weight_64 > 0
    assert 1 <= len(moves) <= min(8 if wide else 5, left)
    path, harm = [], 0
    for vm, target in moves:
        now = recount.Count(seen.cluster, seen.options, node)
        assert (vm, target, 0) in now.legal(left)
        path.append((vm, int(node[vm]), target))
        harm += now.harm(vm, target)
        node[vm], left = target, left - 1
    after = recount.Count(seen.cluster, seen.options, node)
    gain = count.value(count.free_cores, count.free_memory) - after.value(after.free_cores, after.free_memory)
    assert seen.gain[action] > 0 and abs(seen.gain[action] - gain) <= (1 if seen.options.weight_memory else 0)
    assert (seen.vm[action], seen.node[action]) == moves[0] and seen.cores[action] == count.cores[moves[0][0]]
    assert seen.kind[action] == 0 and seen.source_gain[action] == seen.gain[action]
    assert seen.harm[action] == harm
    assert seen.megabytes[action] == sum(int(seen.cluster.memory[vm]) for vm, _ in moves)
    assert seen.room[action] == sum(count.free_cores[n] for n in count.spread(*moves[0]))
    emptied = int(seen.source[action])
    host = slice(2 * (emptied // 2), 2 * (emptied // 2) + 2)
    freed = (after.free_cores[host] // 32).min() - (count.free_cores[host] // 32).min()
    if wide and freed == 1 and seen.waste[action] == (after.free_cores[host] % 32).sum():
        check_evacuation(path, emptied // 2)
        return
    assert seen.options.weight_64 + seen.options.weight_memory < 100 and len(moves) <= 5
    assert seen.waste[action] == after.free_cores[emptied] % 16
    assert after.free_cores[emptied] // 16 > count.free_cores[emptied] // 16
    check_least(seen, path, emptied)


def check_evacuation(path, emptied) -> None:
    """VMs leave the host that is emptied, or else make room for the one that comes next from there."""
    for (_, source, target), (_, *after) in zip(path, [*path[1:], (0, -1, -1)], strict=True):
        assert target // 2 != emptied
        if source // 2 != emptied:
            assert after[0] // 2 == emptied and after[1] // 2 == source // 2


def check_least(seen, path, emptied) -> None:
    """Of small VMs on the node that is emptied none leaves in vain; nobody comes to its host."""
    count = seen.count
    assert all(target // 2 != emptied // 2 for *_, target in path)
    double = [vm for vm, source, _ in path if count.double[vm]]
    small = [vm for vm, source, _ in path if source == emptied and not count.double[vm]]
    assert len(double) <= 1 and all(count.node[vm] == emptied // 2 * 2 for vm in double)
    assert all(count.cores[vm] < 16 for vm in small)
    missing = 16 - count.free_cores[emptied] % 16
    if double and missing == 16:
        missing = 0  # it was whole, and so it is when a double VM of whole slots or other ones have left
    if double:
        return
    cores = [int(count.cores[vm]) for vm in small]
    assert sum(cores) >= missing > sum(cores) - min(cores)


def check_single_moves(seen) -> None:
    """Wherever one small VM completes a slot and can go elsewhere, a macro of one move says so, to the tightest place.

    Of VMs of a size on nodes of a residue the first one is meant.
    """
    count, first = seen.count, {}
    residue = count.free_cores % 16
    for vm, node, _ in seen.legal:
        source = int(count.node[vm])
        narrow = not count.double[vm] and count.cores[vm] < 16 and node // 2 != source // 2
        if narrow and residue[source] + count.cores[vm] >= 16 and residue[node] >= count.cores[vm]:
            alike = int(residue[source]), int(count.cores[vm])
            first[alike] = min(first.get(alike, (999,)), (source, vm, int(residue[node]), node))
    found = {tuple(parts(seen, action)) for action in np.flatnonzero(seen.action_mask[:-1]).tolist()}
    assert {((vm, node),) for _, vm, _, node in first.values()} <= found


@settings(max_examples=70)
@given(seeds, st.sampled_from(WEIGHTS))
def test_every_macro_can_be_carried_out_and_frees_what_it_says(recount, random_cluster, legal, seed, weights):
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, "reschedule", hosts=int(rng.integers(2, 9))) for _ in range(2)]
    instances.append(draw_instance("hosts-8", rng))
    more = {"mnl": int(rng.choice([1, 3, 50])), "constraints": bool(rng.random() < 0.8)}
    simulation = begin(instances, **weights, **more)
    for _ in range(6):
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            seen = recount.Seen(simulation, place)
            actions = np.flatnonzero(seen.action_mask[:-1]).tolist()
            assert actions == list(range(len(actions))) and len(actions) == seen.offered
            for action in actions:
                check_macro(recount, seen, action)
            if not weights:
                check_single_moves(seen)
            every = [tuple(parts(seen, action)) for action in actions]
            assert len(set(every)) == len(every), "offered twice"
        simulation.step(restless(simulation, legal, rng))


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_playing_one_does_what_it_says(recount, legal, weights):
    rng, instances, played = np.random.default_rng(0), load_many("small:0-3", "vm"), 0
    simulation = begin(instances, **weights, mnl=9)
    while not simulation.terminated.all():
        before = [recount.Seen(simulation, place) for place in range(4)]
        kept = [(seen.count.node.copy(), int(seen.log_count), seen.action_mask.any()) for seen in before]
        actions = restless(simulation, legal, rng)
        moves = [parts(seen, int(action)) for seen, action in zip(before, actions, strict=True)]
        gains = [int(seen.gain[action]) for seen, action in zip(before, actions, strict=True)]
        simulation.step(actions)
        for place, (node, logged, open) in enumerate(kept):
            if open and int(actions[place]) < simulation.model.actions - 1:
                after = recount.Seen(simulation, place)
                for vm, target in moves[place]:
                    node[vm] = target
                assert (after.count.node == node).all() and after.log_count == logged + len(moves[place])
                assert abs(float(simulation.reward[place]) - gains[place] / 1600) <= 1 / 1600 * bool(weights)
                played += 1
    assert played > 3


@pytest.mark.parametrize("more", [{}, {"latency": 3000}, {"copy_rate": 3000}], ids=str)
def test_where_time_runs_the_first_move_is_made_and_then_it_is_decided_anew(recount, legal, more):
    rng, longer = np.random.default_rng(0), 0
    simulation = begin(load_many(["churn-4-4:0", "churn-6-3:0"], "vm"), mnl=20, **more)
    while not simulation.terminated.all():
        actions = restless(simulation, legal, rng)
        seen = [recount.Seen(simulation, place) for place in range(2)]
        done = [int(one.log_count) for one in seen]
        first = [parts(one, action)[:1] for one, action in zip(seen, actions.tolist(), strict=True)]
        longer += sum(int(one.length[action]) > 1 for one, action in zip(seen, actions.tolist(), strict=True))
        simulation.step(actions)
        for place in range(2):
            now = recount.Seen(simulation, place)
            made = list(zip(now.log_vm.tolist(), now.log_node.tolist(), strict=True))[done[place] : int(now.log_count)]
            assert made in ([], first[place])
    assert longer and all(schedule.violations() == [] for schedule in simulation.schedules())


@settings(max_examples=20)
@given(seeds, st.sampled_from(WEIGHTS), st.sampled_from(["reschedule", "dynamic"]))
def test_looking_for_macros_leaves_no_trace(recount, random_cluster, legal, seed, weights, task):
    """In the plain-Python twin: every array but those of drafts is the same before and after, and so is the offer."""
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task, hosts=5) for _ in range(3)]
    simulation = begin(instances, forced_moves=False, choice=64, **weights)
    offer = twin(simulator.offer_macros)
    for _ in range(4):
        copy = simulation.engine.twin().state
        before = {name: array.copy() for name, array in vars(copy).items() if isinstance(array, np.ndarray)}
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            copy.offered[place] = 0
            with np.errstate(over="ignore"):
                assert offer(copy, place) == before["offered"][place] or copy.mnl == 0
        same = {name for name, array in before.items() if (array == getattr(copy, name)).all()}
        assert before.keys() - same <= {"stamp", "mark", "seen", "seen_stamp", "draft_vm", "draft_node", "draft_from"}
        assert {"free_cores", "free_memory", "place", "small", "need", "key_of_node", "vm", "part_node", "gain"} <= same
        simulation.step(legal(simulation.mask, rng))


@pytest.mark.parametrize("choice", [1, 2, 5])
@pytest.mark.parametrize("weights", WEIGHTS[:2], ids=str)
def test_no_more_than_the_choice_are_offered(recount, choice, weights):
    all_of_them, few = (recount.Seen(begin(load_many("hosts-100:0", "vm"), choice=k, **weights)) for k in (512, choice))
    assert 9 < all_of_them.offered and few.offered == choice == few.action_mask[:-1].sum()
    for action in range(choice):
        assert parts(few, action) == parts(all_of_them, action)


# ---------------------------------------------------------------------- by hand


def cluster(free, vms, **more) -> VMInstance:
    """Hosts with so many free cores on their nodes once the VMs (cores, node[, 2 for a double]) are there."""
    capacity = np.array(free)
    for cores, node, *double in vms:
        for n in (node, node + 1) if double else (node,):
            capacity[n // 2, n % 2] += cores // 2 if double else cores
    columns = [vm[0] for vm in vms], [1] * len(vms), [len(vm) - 1 for vm in vms], [vm[1] for vm in vms]
    return VMInstance("hand", capacity, np.full(capacity.shape, 9999), *columns, **more)


def offered(recount, instance, **options) -> list[list[tuple[int, int]]]:
    seen = recount.Seen(begin(instance, forced_moves=False, **options))
    return [parts(seen, action) for action in np.flatnonzero(seen.action_mask[:-1]).tolist()]


def test_the_tightest_and_the_hardest_sink(recount):
    """VM 0 completes its node. The tightest place is node 2; hardest to complete is node 4, where nothing is small."""
    instance = cluster([[12, 0], [4, 0], [8, 0]], [(4, 0), (2, 2), (10, 2), (16, 4)])
    found = offered(recount, instance)
    assert [(0, 2)] in found and [(0, 4)] in found
    assert all(len({vm for vm, _ in moves}) == len(moves) for moves in found)


def test_the_tightest_sink_need_not_be_filled(recount):
    """Node 3 has one core more than VM 0 needs, nodes 2 and 4 more; the last one is the hardest to complete."""
    instance = cluster([[12, 0], [9, 5], [8, 0]], [(4, 0), (7, 2), (11, 3), (16, 4)])
    assert {((0, 3),), ((0, 4),)} <= {tuple(moves) for moves in offered(recount, instance)}


def test_a_double_vm_goes_where_both_nodes_are_tightest(recount):
    """Host 1 has the tighter first node, host 2 the fewer cores beyond slots in all."""
    assert offered(recount, cluster([[10, 10], [6, 15], [7, 7]], [(12, 0, 2)])) == [[(0, 4)]]


def test_every_size_of_double_vms_is_tried(recount):
    """VM 0 leaves nothing whole, nor does VM 1 that is as large; VM 2 does."""
    instance = cluster([[10, 10], [6, 7]], [(6, 0, 2), (6, 0, 2), (12, 0, 2)])
    assert offered(recount, instance) == [[(2, 2)]]


def test_one_vm_makes_room_for_another(recount):
    """No node has room for VM 0 without breaking a slot, but node 2 has when VM 1 has gone to node 4."""
    assert offered(recount, cluster([[12, 0], [3, 0], [1, 0]], [(4, 0), (1, 2)])) == [[(1, 4), (0, 2)]]
    assert offered(recount, cluster([[12, 0], [3, 0], [1, 0]], [(4, 0), (1, 2)]), mnl=1) == []
    pinned = cluster([[12, 0], [3, 0], [1, 0]], [(4, 0), (1, 2)], movable=[True, False])
    assert offered(recount, pinned) == []
    assert offered(recount, pinned, constraints=False) == [[(1, 4), (0, 2)]]
    apart = cluster([[12, 0], [3, 0], [1, 0]], [(4, 0), (1, 2), (16, 3)], groups=[("host", (0, 2))])
    assert offered(recount, apart) == []  # VM 2 on the other node keeps VM 0 away


def test_several_leave_together_the_largest_first(recount):
    """Node 0 lacks 7: VMs of 5 and 2 leave, not that of 1; nobody goes to the other node of the host."""
    instance = cluster([[9, 15], [5, 0], [2, 0]], [(5, 0), (2, 0), (1, 0)])
    assert [(0, 2), (1, 4)] in offered(recount, instance)
    assert all(node // 2 != 0 for moves in offered(recount, instance) for _, node in moves)


def test_a_double_vm_leaves_first(recount):
    """It completes node 0 by itself, and node 1 when VM 1 goes as well, to the core that the double VM has left."""
    instance = cluster([[10, 9], [6, 7], [1, 0]], [(12, 0, 2), (1, 1)])
    found = offered(recount, instance)
    assert [(0, 2)] in found and [(0, 2), (1, 3)] in found


def test_a_drained_host_is_no_sink(recount):
    instance = cluster([[12, 0], [4, 0]], [(4, 0)])
    assert offered(recount, instance) == [[(0, 2)]]
    drained = cluster([[12, 0], [4, 0]], [(4, 0)], drained=[False, True])
    assert offered(recount, drained) == [] and offered(recount, drained, constraints=False) == [[(0, 2)]]


def test_a_host_is_emptied_for_a_vm_of_sixty_four_cores(recount):
    """One more VM of 64 cores fits on host 0 when VM 0 has gone, or when the double VM 1 has."""
    instance = cluster([[33, 20], [13, 13]], [(12, 1), (26, 0, 2)])
    assert sorted(offered(recount, instance, weight_64=100)) == [[(0, 2)], [(1, 2)]]
    assert offered(recount, cluster([[33, 20], [11, 11]], [(12, 1), (26, 0, 2)]), weight_64=100) == []


def test_the_smallest_vm_that_is_enough_or_the_largest_leaves(recount):
    instance = cluster([[33, 20], [22, 22]], [(16, 1), (12, 1), (20, 1)])
    assert sorted(offered(recount, instance, weight_64=100)) == [[(1, 2)], [(2, 2)]]


def test_both_nodes_of_a_host_are_emptied_by_at_most_eight_moves(recount):
    """Eight VMs of 4 cores leave sixteen on either node of 32; nine would have to."""
    vms = [(4, 0)] * 4 + [(4, 1)] * 4
    instance = cluster([[16, 16], [31, 31]], vms)
    (moves,) = offered(recount, instance, weight_64=100)
    assert len(moves) == 8 and sorted(vm for vm, _ in moves) == list(range(8))
    assert offered(recount, instance, weight_64=100, mnl=7) == []
    assert offered(recount, cluster([[12, 16], [31, 31]], [(4, 0), *vms]), weight_64=100) == []


def test_where_a_host_is_emptied_one_vm_makes_room_for_another(recount):
    """Node 2 lacks two cores for VM 0 until VM 1 has gone to node 4, where there is no room for VM 0."""
    instance = cluster([[32, 20], [10, 0], [2, 0]], [(12, 1), (2, 2)])
    assert offered(recount, instance, weight_64=100) == [[(1, 4), (0, 2)]]
    assert offered(recount, instance, weight_64=100, mnl=1) == []
    pinned = cluster([[32, 20], [10, 0], [2, 0]], [(12, 1), (2, 2)], movable=[True, False])
    assert offered(recount, pinned, weight_64=100) == []
    apart = cluster([[32, 20], [10, 0], [2, 0]], [(12, 1), (2, 2), (16, 3)], groups=[("host", (0, 2))])
    assert offered(recount, apart, weight_64=100) == []  # VM 2 on the other node keeps VM 0 away


def test_a_double_vm_gets_room_on_both_nodes(recount):
    """VM 0 takes six cores of either node; host 1 has them when the double VM 1 has gone to host 2."""
    instance = cluster([[26, 26], [5, 4], [2, 2]], [(12, 0, 2), (4, 2, 2)])
    assert offered(recount, instance, weight_64=100) == [[(1, 4), (0, 2)]]
    half = cluster([[26, 26], [6, 4], [0, 2]], [(12, 0, 2), (2, 3)])  # only node 3 lacks any
    assert offered(recount, half, weight_64=100) == [[(1, 5), (0, 2)]]


def test_two_small_vms_go_where_a_large_one_cannot(recount):
    """No node has room for the sixteen cores of VM 0, so VMs 1 and 2 leave."""
    instance = cluster([[16, 32], [8, 8], [0, 0]], [(16, 0), (8, 0), (8, 0)])
    assert offered(recount, instance, weight_64=100) == [[(1, 2), (2, 3)]]


def test_a_double_vm_that_takes_as_much_as_it_frees_stays(recount):
    """VM 0 is one of 64 cores itself; VM 1 leaves."""
    instance = cluster([[20, 20], [12, 12]], [(64, 0, 2), (24, 0, 2)])
    assert offered(recount, instance, weight_64=100) == [[(1, 2)]]
