"""Class moves: of each class of VMs the first one to the first node of each class of nodes that it may go to."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm import model as model_room
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import TASKS, Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def begin(instances, **options) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    simulation = Simulation(Model(instances, Options(**options)), instances, len(instances))
    simulation.reset()
    return simulation


def restless(simulation, legal, rng) -> torch.Tensor:
    """Random legal actions, to stop only where there is nothing else."""
    moves = simulation.mask[:, :-1]
    return torch.where(moves.any(dim=1), legal(moves, rng), simulation.model.actions - 1)


def check_offer(recount, seen) -> int:
    """What is offered stands for all that is legal; how many that is."""
    classes, shown = recount.Classes(seen), seen.shown
    pairs, evictions = classes.pairs(), classes.evictions()
    assert len(set(shown)) == len(shown) == seen.offered and set(shown) <= set(pairs) | evictions <= classes.legal
    width = seen.model.actions - 1
    assert len(shown) == min(width, len(pairs) + len(evictions))
    if len(shown) < len(pairs) and not seen.options.weight_memory and not seen.cluster.pack:
        worst = max(pairs[pair] for pair in shown)
        assert all(pair in shown for pair, band in pairs.items() if band < worst)
    if evictions & set(shown):
        assert set(pairs) <= set(shown)  # they come last
    for action in np.flatnonzero(seen.action_mask[:-1]).tolist():
        check_columns(seen, classes, action)
    return len(shown)


def check_columns(seen, classes, action) -> None:
    """What rules read of an action."""
    count, vm, node = seen.count, int(seen.vm[action]), int(seen.node[action])
    source = int(count.node[vm])
    assert seen.source[action] == source and seen.cores[action] == count.cores[vm]
    assert seen.length[action] == 1 and seen.waste[action] == 0 and seen.megabytes[action] == seen.cluster.memory[vm]
    levels = np.unique(seen.cluster.priority).tolist()
    skipped = len(seen.unplaced) - len(levels)
    assert seen.importance[action] == levels.index(seen.cluster.priority[vm]) + skipped
    assert seen.room[action] == (sum(count.free_cores[n] for n in count.spread(vm, node)) if node >= 0 else 0)
    assert seen.harm[action] == (count.harm(vm, node) if node >= 0 else 0)
    leaving = count.leaving(vm) if source >= 0 <= node else 0
    gain = count.gain([(vm, source, node)]) if source >= 0 <= node else 0
    if seen.options.weight_memory:
        assert abs(seen.gain[action] - gain) < 5 and abs(seen.source_gain[action] - leaving) < 3
    else:
        assert seen.gain[action] == gain and seen.source_gain[action] == leaving
    assert seen.class_vm[seen.action_class[action]] == vm
    if node >= 0:
        row = int(seen.action_key[action])
        assert seen.key_size[row] == len(classes.places[classes.key_of(vm, node)])


def check_survey(recount, seen, known: dict) -> None:
    """Classes and keys, and that a number stands for one key and no other, for good."""
    classes = recount.Classes(seen)
    assert seen.class_count == len(classes.members) and seen.key_count == len(classes.places)
    firsts = {vms[0]: len(vms) for vms in classes.members.values()}
    rows = range(int(seen.class_count))
    assert firsts == {int(seen.class_vm[c]): int(seen.class_size[c]) for c in rows}
    assert sorted(seen.key_size[: seen.key_count].tolist()) == sorted(map(len, classes.places.values()))
    for h in range(seen.cluster.hosts):
        for n in (2 * h, 2 * h + 1):
            assert seen.key_of_node[n] >= 0, "out of date after the survey"
            assert known.setdefault(int(seen.key_of_node[n]), classes.node_key(n)) == classes.node_key(n)
        assert known.setdefault(int(seen.key_of_host[h]), classes.host_key(h)) == classes.host_key(h)


@settings(max_examples=110)
@given(seeds, st.sampled_from(TASKS))
def test_every_class_of_moves_is_offered_once(recount, random_cluster, random_vm_options, legal, seed, task):
    rng = np.random.default_rng(seed)
    instances, known = [random_cluster(rng, task, hosts=int(rng.integers(1, 5))) for _ in range(3)], {}
    model = Model(instances, random_vm_options(rng, task, moves="class", forced_moves=bool(seed % 2)))
    simulation = Simulation(model, instances, 3)
    simulation.reset()
    for _ in range(10):
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            seen = recount.Seen(simulation, place)
            if seen.left <= 0 and task == "dynamic":
                continue
            offered = check_offer(recount, seen)
            check_survey(recount, seen, known)
            seen.check()
            assert offered or not model.options.forced_moves
        simulation.step(restless(simulation, legal, rng))
    codes = {key: code for code, key in known.items()}
    assert len(codes) == len(known), "two numbers for one key"


@pytest.mark.parametrize("choice", [1, 2, 7, 40])
@pytest.mark.parametrize("weight_64", [0, 50])
def test_if_there_are_too_many_the_first_bands_are_offered(recount, legal, choice, weight_64):
    rng, cut = np.random.default_rng(0), 0
    simulation = begin(load_many("hosts-6:0-3", "vm"), choice=choice, mnl=20, weight_64=weight_64)
    while not simulation.terminated.all():
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            seen = recount.Seen(simulation, place)
            assert check_offer(recount, seen) <= choice
            cut += len(recount.Classes(seen).pairs()) > choice
        simulation.step(restless(simulation, legal, rng))
    assert cut or choice == 40


@pytest.mark.parametrize("rows", [1, 3, 6])
@pytest.mark.parametrize("names", [["hosts-6:0"], ["churn-4-20:0"], ["pods-8x4:0"]], ids=str)
def test_more_classes_than_rows_are_left_out(recount, legal, monkeypatch, names, rows):
    """What is offered is still legal, and nothing is written where it does not belong."""
    monkeypatch.setattr(model_room, "MOST_CLASSES", rows)
    rng, instances, checked = np.random.default_rng(0), load_many(names, "vm"), 0
    for moves in ("class", "macro"):
        if names[0].startswith("pods") and moves == "macro":
            continue
        simulation = begin(instances, moves=moves, mnl=12)
        assert simulation.observation["work"].shape[1] == simulation.observation["resource"].shape[1] == rows
        twin = simulation.engine.twin()
        twin.reset()
        while not simulation.terminated[0] and checked < 60:
            seen = recount.Seen(simulation)
            seen.check()
            shown = set(seen.shown)
            assert shown <= seen.legal and seen.class_count <= rows and seen.key_count <= rows
            assert moves == "macro" or shown <= set(recount.Classes(seen).pairs()) | recount.Classes(seen).evictions()
            action = restless(simulation, legal, rng)
            simulation.step(action)
            twin.step(action.numpy())
            names_of = [name for name, mine in simulation.engine.tensors.items()
                        if mine.numpy().tobytes() != getattr(twin.state, name).tobytes()]  # fmt: skip
            assert names_of == []
            checked += len(shown) > 0
        assert simulation.schedule().violations() == []
    assert checked > 3 or rows < 6


def test_nodes_that_were_worked_on_are_told_apart(recount, legal):
    """A node that a VM has left is touched until a slot is complete there, or until a VM comes."""
    rng, different = np.random.default_rng(1), 0
    for name in ("hosts-6:0", "hosts-6:1", "affinity-5-20:0"):
        simulation = begin(load_many(name, "vm"), mnl=30)
        while not simulation.terminated[0]:
            seen = recount.Seen(simulation)
            free, touched = seen.cluster.free_cores.ravel().astype(int).copy(), np.zeros(seen.cluster.nodes, int)
            at = seen.cluster.node.copy()
            for vm, node in zip(seen.log_vm[: seen.log_count].tolist(), seen.log_node.tolist(), strict=False):
                for n in seen.count.spread(vm, at[vm]):
                    free[n] += seen.count.cores[vm]
                    touched[n] = free[n] % 16 != 0
                for n in seen.count.spread(vm, node):
                    free[n] -= seen.count.cores[vm]
                    touched[n] = 0
                at[vm] = node
            assert (seen.touched == touched).all()
            different += touched.any()
            simulation.step(restless(simulation, legal, rng))
    assert different > 20


# ---------------------------------------------------------------------- by hand


def cluster(free, vms, **more) -> VMInstance:
    """Hosts with so many free cores on their nodes once the VMs (cores, node[, 2 for a double]) are there."""
    capacity = np.array(free)
    for cores, node, *double in vms:
        for n in (node, node + 1) if double else (node,):
            capacity[n // 2, n % 2] += cores // 2 if double else cores
    columns = [vm[0] for vm in vms], [1] * len(vms), [len(vm) - 1 for vm in vms], [vm[1] for vm in vms]
    return VMInstance("hand", capacity, np.full(capacity.shape, 9999), *columns, **more)


def moves_of(simulation) -> list[tuple[int, int]]:
    open = simulation.mask[0, :-1] == 1
    return list(zip(*(simulation.columns[name][0, :-1][open].tolist() for name in ("vm", "node")), strict=True))


def test_vms_that_are_alike_are_offered_once():
    """Four VMs on two nodes that are alike; only the first may go to the one node that differs, and to its like."""
    simulation = begin(cluster([[4, 4], [8, 0]], [(4, 0), (4, 0), (4, 1), (4, 1)]))
    assert sorted(moves_of(simulation)) == [(0, 1), (0, 2)]


def test_moves_that_take_a_slot_in_vain_are_not_offered():
    """To node 1, which has 16 free cores, would break a slot for 4 of them."""
    simulation = begin(cluster([[4, 16], [20, 3]], [(4, 0), (16, 3)]))
    assert moves_of(simulation) == [(0, 2)]  # and whole slots free nothing
    wide = begin(cluster([[4, 16], [20, 3]], [(4, 0), (16, 3)]), weight_64=100)
    assert {(0, 1), (0, 2), (1, 1), (1, 2)} == set(moves_of(wide))  # where FR-16 does not count they cost nothing


def test_slots_of_sixty_four_cores_are_not_taken_in_vain():
    instance = cluster([[33, 40], [36, 9], [9, 9]], [(4, 4)])
    assert sorted(moves_of(begin(instance, weight_64=100, forced_moves=False))) == [(0, 1), (0, 2), (0, 3), (0, 5)]


def test_double_vms_go_to_hosts():
    """Of the two hosts that are alike, whichever way round, to the first; their nodes are no places of their own."""
    simulation = begin(cluster([[1, 2], [8, 4], [4, 8], [9, 9]], [(8, 0, 2)]))
    assert sorted(moves_of(simulation)) == [(0, 2), (0, 6)]


@pytest.mark.parametrize("choice", [1, 3])
def test_what_frees_most_is_offered_first(choice):
    """One VM leaves its node whole, and the others fill up what is broken anyway."""
    vms = [(2, 0), (2, 2), (1, 2), (3, 4), (3, 4)]
    simulation = begin(cluster([[14, 0], [5, 5], [7, 7]], vms), choice=choice)
    row = simulation.columns["gain"][0, : simulation.model.actions - 1]
    assert simulation.mask[0].tolist() == [1] * (choice + 1)
    assert (
        row.tolist() == sorted(row.tolist(), reverse=True) and row[0] > 0 and int(simulation.columns["vm"][0, 0]) == 0
    )
