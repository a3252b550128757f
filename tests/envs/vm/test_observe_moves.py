"""Features of candidates by hand; test_observe.py and test_observe_vms.py hold all of them against computations."""

import numpy as np
import pytest
import torch

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import Model
from dispatchgym.envs.vm.observe_moves import CANDIDATE
from dispatchgym.envs.vm.options import Options

NAMES = [feature.name for feature in CANDIDATE]


def cluster(free, vms, memory=8192) -> VMInstance:
    """Hosts with so many free cores on their nodes once the VMs (cores, node[, 2 for a double]) are there."""
    capacity = np.array(free)
    for cores, node, *double in vms:
        for n in (node, node + 1) if double else (node,):
            capacity[n // 2, n % 2] += cores // 2 if double else cores
    columns = [vm[0] for vm in vms], [memory] * len(vms), [len(vm) - 1 for vm in vms], [vm[1] for vm in vms]
    return VMInstance("hand", capacity, np.full(capacity.shape, 99_999), *columns)


def shown(instance, **options) -> list[dict[str, float]]:
    """What is not 0 of every legal action, by name."""
    simulation = Simulation(Model([instance], Options(forced_moves=False, **options)), [instance], 1)
    simulation.reset()
    rows = simulation.observation["candidate_attr"][0][simulation.mask[0] == 1]
    return [{name: value for name, value in zip(NAMES, row, strict=True) if value} for row in rows.tolist()]


def test_a_move_that_completes_a_slot():
    """VM 0 of 4 cores and 8 GB leaves node 0 whole and fills node 2, of whose 6 VM 1 could free two more."""
    *moves, stop = shown(cluster([[12, 3], [4, 5]], [(4, 0), (6, 2)]), mnl=2)
    move = next(row for row in moves if row.get("target_residue") == 4 / 16 and row["cores"] == 4 / 16)
    assert move == pytest.approx({
        "cores": 4 / 16, "gain": 1 / 4, "source_gain": 12 / 16 / 4, "source_residue": 12 / 16, "source_other": 3 / 16,
        "source_other_after": 3 / 16, "target_residue": 4 / 16, "target_other": 5 / 16, "target_other_after": 5 / 16,
        "source_need": 1 / 5, "source_need_after": 1, "target_need": 1, "target_need_after": 1, "source_whole": 1,
        "target_whole": 1, "in_reach": 1, "class_size": 1 / 9, "target_size": 1 / 9, "length": 1 / 8,
        "gain_per_move": 1 / 2, "copied": 1 / 8, "gain_per_copy": 2 / 4, "used": 1 / 2, "level": 1,
    })  # fmt: skip
    assert stop == {"stop": 1, "regret": pytest.approx(1 / 2)}


def test_what_is_out_of_reach():
    """Two small VMs have to leave; with one move left neither is worth anything, with two both are."""
    instance = cluster([[9, 0], [4, 5]], [(4, 0), (3, 0)])
    for mnl, reach in ((1, 0), (2, 1)):
        for row in shown(instance, mnl=mnl)[:-1]:
            assert row.get("in_reach", 0) == reach and row.get("gain", 0) == 0 and row["used"] == 1 / mnl


def test_a_double_vm_changes_both_nodes():
    (move, _) = shown(cluster([[12, 11], [6, 4]], [(8, 0, 2)]))
    assert move["double"] == 1 and (move["source_residue"], move["source_other"]) == (12 / 16, 11 / 16)
    assert "source_after" not in move and "source_whole" not in move and move["source_other_after"] == 15 / 16
    assert (move["target_residue"], move["target_after"], move["target_other"]) == (6 / 16, 2 / 16, 4 / 16)
    assert "target_other_after" not in move and "target_whole" not in move
    assert move["gain"] == pytest.approx((12 - 0 + 11 - 15 + 4 + 4) / 16 / 4)


def test_a_macro_shows_its_moves_on_the_average():
    """VMs of 5 and 2 leave node 0, which lacks 7, for nodes of 5 and 2."""
    rows = shown(cluster([[9, 15], [5, 0], [2, 0]], [(5, 0), (2, 0)]), moves="macro", mnl=4)
    (move,) = [row for row in rows if row.get("length") == 2 / 8 and "target_after" not in row]
    assert move["cores"] == pytest.approx(3.5 / 16) and move["target_residue"] == pytest.approx(3.5 / 16)
    assert move["gain"] == 1 / 4 and move["gain_per_move"] == 1 / 4 and move["used"] == 1 / 2
    assert move["source_whole"] == move["target_whole"] == move["in_reach"] == 1 and "waste" not in move
    assert move["copied"] == pytest.approx(16 / 64) and move["gain_per_copy"] == pytest.approx(1 / 4)


def test_placing_and_evicting_say_so():
    instance = VMInstance(
        "pods", [[16, 4]], [[99, 99]], [10, 4, 9], [1] * 3, [1] * 3, [-1, 0, 0], priority=[7, 0, 7]
    )  # fmt: skip
    rows = shown(instance, moves="class")
    evict = [row for row in rows if "evict" in row]
    assert [row["level"] for row in evict] == [1 / 2] and not any("place" in row for row in rows)
    roomy = VMInstance("pods", [[16, 4]], [[99, 99]], [10, 4], [1] * 2, [1] * 2, [-1, 0], priority=[7, 0])
    place = [row for row in shown(roomy) if "place" in row]
    assert [row["level"] for row in place] == [1] and "source_residue" not in place[0]
    assert place[0]["target_residue"] == 12 / 16 and place[0]["target_after"] == 2 / 16


def test_what_is_copied_has_a_bound():
    heavy = cluster([[12, 3], [4, 5]], [(4, 0)], memory=0)
    assert all(torch.isfinite(torch.tensor(list(row.values()))).all() for row in shown(heavy))
    assert max(row.get("gain_per_copy", 0) for row in shown(heavy)) == 2  # as if it were a single MB
