"""Packing: who may be placed, moved and evicted, what that counts, and what is left over."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)
KINDS = ["class", "vm"]


def begin(instances, num_envs=None, **options) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    simulation = Simulation(Model(instances, Options(**options)), instances, num_envs or len(instances))
    simulation.reset()
    return simulation


def pods(vms, cores=((16, 16),), memory=9999, **more) -> VMInstance:
    """VMs are (cores, node, priority), of 1 MB each, double ones have a fourth number."""
    columns = list(zip(*(vm[:3] for vm in vms), strict=True))
    numas = [2 if len(vm) > 3 else 1 for vm in vms]
    capacity = cores, np.full(np.shape(cores), memory)
    return VMInstance("hand", *capacity, columns[0], [1] * len(vms), numas, columns[1], priority=columns[2], **more)


class Play:
    """One environment of moves in two steps, moved by hand."""

    def __init__(self, instance, **options):
        self.simulation = begin(instance, moves="vm", forced_moves=False, **options)
        self.vms = self.simulation.model.vms

    def choices(self) -> list[int]:
        """VMs that may be chosen."""
        return self.simulation.mask[0, : self.vms].nonzero().flatten().tolist()

    def targets(self, vm) -> list[int]:
        """The nodes that a VM may go to, -1 for eviction; afterwards it is chosen."""
        self.simulation.step(torch.tensor([vm]))
        found = self.simulation.mask[0, self.vms : -2].nonzero().flatten().tolist()
        return [-1] * int(self.simulation.mask[0, -2]) + found

    def go(self, node):
        """Where the chosen VM goes."""
        action = self.simulation.model.actions - 2 if node < 0 else self.vms + node
        assert self.simulation.mask[0, action] == 1, "not legal"
        self.simulation.step(torch.tensor([action]))
        return self

    def move(self, vm, node):
        assert vm in self.choices() and node in self.targets(vm)
        return self.go(node)

    def penalty(self) -> int:
        schedule, value = self.simulation.schedule(), int(self.simulation.outcome()["objective"])
        assert schedule.violations() == [] and schedule.metrics()["penalty"] == value
        return value


def test_the_penalty_counts_the_most_important_first():
    """Digits in base 4 VMs + 9 moves + 1: moves, then those of priority 3, then those of 8."""
    play = Play(pods([(8, -1, 3), (8, 0, 3), (9, -1, 8), (30, -1, 8)]), mnl=9)
    base = 4 + 9 + 1
    assert play.penalty() == base + 2 * base**2
    assert play.move(2, 1).penalty() == base + base**2 and float(play.simulation.reward) == 1
    assert play.move(1, -1).penalty() == 1 + 2 * base + base**2
    assert float(play.simulation.reward) == pytest.approx(-(1 + base) / base**2)
    play.move(0, 0).move(1, 0)
    assert play.penalty() == 1 + base**2
    assert int(play.simulation.outcome()["migrations"]) == 0
    assert play.simulation.schedule().entries[:, [0, 2]].tolist() == [[2, 1], [1, -1], [0, 0], [1, 0]]


def test_who_may_be_evicted():
    """Movable ones of a lower priority than some VM that is not placed, each once, while moves are left."""
    vms = [(99, -1, 5), (4, 0, 5), (4, 0, 4), (4, 1, 0), (4, 1, 9)]
    play = Play(pods(vms, movable=[True, True, True, False, True]), mnl=3)
    assert play.choices() == [1, 2, 4]
    assert play.targets(1) == [1] and play.go(1).targets(2) == [-1, 1]
    play.go(-1)
    assert play.choices() == [1, 2, 4] and play.targets(2) == [0, 1]
    assert play.go(0).targets(2) == [1]  # not a second time
    assert play.go(1).choices() == [] and play.simulation.mask[0, -1] == 1  # three moves: one of VM 1, two of VM 2
    free = Play(pods(vms, movable=[True, True, True, False, True]), constraints=False)
    assert free.targets(3) == [-1, 0]


def test_in_the_next_episode_everybody_may_be_evicted_again(recount, legal):
    rng, evicted = np.random.default_rng(0), 0
    simulation = begin(load_many("pods-3x9:0", "vm"), moves="vm", mnl=3)
    for _ in range(60):
        seen = recount.Seen(simulation)
        chosen = int(seen.chosen)
        if chosen < 0:
            assert {vm for vm, _, _ in seen.shown} == {vm for vm, _, _ in seen.legal}
        else:
            assert set(seen.shown) == {action for action in seen.legal if action[0] == chosen}
        evicted += int(seen.evictions)
        simulation.step(legal(simulation.mask[:, :-1], rng))
        simulation.restart()
    assert evicted


def test_nobody_is_evicted_for_what_is_placed():
    play = Play(pods([(4, -1, 5), (4, 0, 0)], cores=[[16, 16], [16, 16]]))
    assert play.targets(1) == [-1, 1, 2, 3]
    play.go(1).move(0, 0)
    assert play.targets(1) == [0, 2, 3]


def test_placing_is_free_and_not_limited():
    """Pinned VMs may be placed too, once and for all."""
    play = Play(pods([(4, -1, 0), (4, -1, 0), (4, 0, 0)], movable=[False, True, True]), mnl=0)
    assert play.choices() == [0, 1]
    play.move(0, 1).move(1, 1)
    assert play.penalty() == 0 and play.choices() == [] and not play.simulation.terminated[0]
    play = Play(pods([(4, -1, 0), (4, -1, 0), (4, 0, 0)], movable=[False, True, True]), mnl=2)
    assert play.move(0, 1).choices() == [1, 2]  # VM 0 is pinned where it was placed


def test_a_move_makes_room():
    """VM 0 of 16 cores needs all of a node: VM 1 moves over to VM 2."""
    for moves in KINDS:
        simulation = begin(pods([(16, -1, 1), (4, 0, 0), (4, 1, 0)]), moves=moves, mnl=1, forced_moves=False)
        assert int(simulation.mask[0].sum()) > 1
    play = Play(pods([(16, -1, 1), (4, 0, 0), (4, 1, 0)]), mnl=1)
    assert play.choices() == [1, 2]
    assert play.move(1, 1).targets(0) == [0]
    assert play.go(0).penalty() == 1 and play.choices() == []


@pytest.mark.parametrize("moves", KINDS)
def test_groups_and_drained_hosts_hold_for_placing(moves):
    vms = [(4, -1, 0), (4, 0, 0), (4, -1, 0)]
    hosts = [[16, 16]] * 4
    more = {"groups": [("rack", (0, 1))], "rack": [0, 0, 1, 1], "drained": [False, False, False, True]}
    for constraints in (True, False):
        simulation = begin(pods(vms, cores=hosts, **more), moves=moves, forced_moves=False, constraints=constraints)
        if moves == "vm":
            simulation.step(torch.tensor([0]))
        c = {name: column[0][simulation.mask[0] == 1].tolist() for name, column in simulation.columns.items()}
        found = {node for vm, node in zip(c["vm"], c["node"], strict=True) if vm == 0}
        assert found <= set(range(8)) and (found <= {4, 5}) == constraints and found & {4, 0}


def test_a_vm_of_another_memory_needs_its_room():
    tight = VMInstance("x", [[16, 16]], [[100, 50]], [1, 1, 2], [60, 51, 100], [1, 1, 2], [-1, 0, -1])
    play = Play(tight)
    assert play.choices() == []  # 49 MB are left on node 0 and 50 on node 1; the double needs 50 of each
    roomy = VMInstance("x", [[16, 16]], [[101, 60]], [1, 1, 2], [60, 51, 100], [1, 1, 2], [-1, 0, -1])
    assert Play(roomy).choices() == [0, 1, 2]


@pytest.mark.parametrize("moves", KINDS)
@pytest.mark.parametrize("forced_moves", [True, False])
def test_where_nothing_fits_everything_stays_unplaced(moves, forced_moves):
    instance = pods([(20, -1, 0), (40, -1, 7, 2), (17, -1, 7)])
    simulation = begin(instance, moves=moves, forced_moves=forced_moves)
    stop = simulation.model.actions - 1
    assert simulation.mask[0].nonzero().flatten().tolist() == [stop] and bool(simulation.terminated[0]) == forced_moves
    base = 3 + 50 + 1
    assert int(simulation.outcome()["objective"]) == base + 2 * base**2
    simulation.step(torch.tensor([stop]))
    assert simulation.terminated[0] and simulation.reward[0] == 0 and simulation.schedule().violations() == []


@pytest.mark.parametrize("moves", KINDS)
def test_an_episode_that_places_all_ends_when_nothing_is_left_to_do(moves):
    simulation = begin(pods([(4, -1, 0), (4, -1, 2)], movable=[False, False]), moves=moves)
    while not simulation.terminated[0]:
        simulation.step(simulation.mask.argmax(dim=1))
    assert int(simulation.outcome()["objective"]) == 0 and len(simulation.schedule()) == 2


@pytest.mark.parametrize("moves", KINDS)
def test_what_is_kept_is_what_can_be_counted_after_thousands_of_moves(recount, legal, moves):
    rng, steps, total = np.random.default_rng(4), 0, 0
    simulation = begin(load_many(["pods-8x4:0-1", "pods-6x5:0-2", "pods-3x9:0"], "vm"), moves=moves, mnl=4000)
    while total < 10_000:
        open = simulation.mask[:, :-1]
        simulation.step(torch.where(open.any(dim=1), legal(open, rng), simulation.model.actions - 1))
        steps += 1
        if steps % 31 == 0:
            recount.Seen(simulation, steps // 31 % 6).check()
        for place in simulation.terminated.nonzero().flatten().tolist():
            recount.Seen(simulation, place).check()
            schedule, metrics = simulation.schedule(place), simulation.schedule(place).metrics()
            assert schedule.violations() == []
            assert metrics["penalty"] == int(simulation.outcome()["objective"][place])
            total += metrics["evictions"] + metrics["migrations"]
        simulation.restart()


@settings(max_examples=30)
@given(seeds, st.sampled_from(KINDS))
def test_fewer_priorities_than_the_others_of_the_bank_change_nothing(random_cluster, legal, seed, moves):
    """The highest is the last level; alone and in company the same is done, and is worth the same."""
    rng = np.random.default_rng(seed)
    few, many = (random_cluster(rng, "pack", hosts=2) for _ in range(2))
    alone, together = (begin(instances, moves=moves, mnl=4) for instances in ([few], [many, few]))
    while not alone.terminated[0]:
        names = ("vm", "node", "source", "cores", "gain", "room", "kind")
        open = [simulation.mask[place].nonzero().flatten() for simulation, place in ((alone, 0), (together, 1))]
        kinds = [
            torch.stack([simulation.columns[name][place, rows] for name in names])
            for simulation, place, rows in zip((alone, together), (0, 1), open, strict=True)
        ]
        assert torch.equal(*(rows if moves == "class" else rows[[0, 2, 3, 4, 5, 6]] for rows in kinds))
        k = int(rng.integers(len(open[0])))
        alone.step(open[0][k][None])
        together.step(torch.stack([legal(together.mask, rng)[0], open[1][k]]))
        assert torch.equal(alone.reward, together.reward[1:])
    assert together.terminated[1] and together.outcome()["objective"][1] == alone.outcome()["objective"][0]
    assert (together.schedule(1).entries == alone.schedule(0).entries).all()


def test_penalties_that_cannot_be_counted_are_refused():
    many = pods([(1, -1, priority) for priority in range(11)])
    assert Model([many], Options(mnl=10)).pack([many])["level_weight"].max() == 22**11
    with pytest.raises(OptionError, match="11 priorities of 11 VMs and mnl 50 are more than a penalty can count"):
        Model([many], Options(mnl=50)).pack([many])
