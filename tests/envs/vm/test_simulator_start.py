"""What moves have changed step by step is what is counted anew where an episode begins from there."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.model import Model
from dispatchgym.envs.vm.options import MOVES, Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)
COUNTED = (
    "place", "free_cores", "free_memory", "small", "need", "flavor_count", "node_vm", "fragments", "wide_slots",
    "memory_fragments", "free_total", "free_memory_total", "unplaced",
)  # fmt: skip
OFFERED = ("may", "may_count", "flavor_rooms")
SHOWN = ("source", "source_gain", "kind", "vm", "cores", "megabytes", "importance")


def begin(instance, options) -> Simulation:
    simulation = Simulation(Model([instance], options), [instance], 1)
    simulation.reset()
    return simulation


def row(simulation, name) -> torch.Tensor:
    return simulation.engine.tensors[name][0]


def begin_again(simulation) -> Simulation:
    """A new episode on an instance that has every VM where it is now."""
    place = row(simulation, "place").numpy()
    return begin(dataclasses.replace(simulation.instances[0], node=place), simulation.model.options)


def compare(simulation, fresh) -> None:
    """All that is counted; next VMs only of those that are in a list."""
    for name in COUNTED:
        assert torch.equal(row(simulation, name), row(fresh, name)), name
    cluster = simulation.instances[0]
    listed = (cluster.movable | (not simulation.model.options.constraints)) & (row(simulation, "place") >= 0).numpy()
    assert torch.equal(row(simulation, "vm_next")[listed], row(fresh, "vm_next")[listed])


def check_changed(simulation) -> None:
    """The hosts that are to be looked at are those whose keys are out of date, each once."""
    waiting = row(simulation, "changed")[: int(row(simulation, "changed_count"))].tolist()
    outdated = (row(simulation, "key_of_node").reshape(-1, 2) < 0).numpy()
    assert sorted(waiting) == np.flatnonzero(outdated.any(axis=1)).tolist()
    assert (outdated.all(axis=1) == outdated.any(axis=1)).all()


@settings(max_examples=60)
@given(seeds, st.sampled_from(["reschedule", "pack"]), st.sampled_from(MOVES))
def test_moves_lead_to_what_is_counted_anew(random_cluster, random_vm_options, legal, seed, task, moves):
    rng = np.random.default_rng(seed)
    if task == "pack" and moves == "macro":
        moves = "vm"
    options = random_vm_options(rng, task, moves=moves, mnl=50, forced_moves=False)
    simulation = begin(random_cluster(rng, task, hosts=int(rng.integers(1, 5))), options)
    for _ in range(12):
        check_changed(simulation)
        fresh = begin_again(simulation)
        compare(simulation, fresh)
        if moves == "vm" and task == "reschedule" and not simulation.terminated.any():
            for name in OFFERED:
                assert torch.equal(row(simulation, name), row(fresh, name)), name
            if simulation.engine.tensors["chosen"][0] < 0:
                check_shown(simulation, fresh)
        simulation.step(legal(simulation.mask, rng))


def check_shown(simulation, fresh) -> None:
    """Before a VM is chosen: the same VMs are offered, and the same is shown of them."""
    assert torch.equal(row(simulation, "action_mask"), row(fresh, "action_mask"))
    offered = row(simulation, "action_mask") == 1
    for name in SHOWN:
        assert torch.equal(row(simulation, name)[offered], row(fresh, name)[offered]), name


def test_a_large_cluster_stays_up_to_date(legal):
    """Flavors of which few places have room come and go here."""
    options = Options(moves="vm", forced_moves=False)
    simulation, rng, few = begin(load_many("medium:3", "vm")[0], options), np.random.default_rng(0), 0
    for step in range(60):
        if step % 6 == 0:
            fresh = begin_again(simulation)
            compare(simulation, fresh)
            check_shown(simulation, fresh)
            few += int((row(fresh, "flavor_rooms") < 2).sum())
        simulation.step(legal(simulation.mask[:, :-1], rng))
    assert few > 5


@pytest.mark.parametrize("moves", MOVES)
def test_nothing_of_an_episode_is_left_in_the_next(legal, moves):
    """Clusters of different sizes in turn: each is shown as it was where it was the first."""
    instances = load_many("hosts-6:0-1", "vm") + load_many("hosts-30:2", "vm")
    model, rng, seen = Model(instances, Options(moves=moves, mnl=6)), np.random.default_rng(1), set()
    first, simulation = (Simulation(model, instances, environments) for environments in (3, 2))
    first.reset()
    simulation.reset()
    for _ in range(4):
        while not simulation.terminated.all():
            simulation.step(legal(simulation.mask, rng))
        simulation.restart()
        for place, instance in enumerate(simulation.engine.tensors["instance"].tolist()):
            seen.add((place, instance))
            assert torch.equal(simulation.mask[place], first.mask[instance])
            for name, tensor in simulation.observation.items():
                assert torch.equal(tensor[place], first.observation[name][instance]), name
    assert len(seen) > 3
