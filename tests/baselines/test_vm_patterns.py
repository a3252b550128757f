"""Plans from patterns are legal, within what they promise of the optimum, and the patterns are what they say."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_mip import solve_mip
from dispatchgym.baselines.vm_patterns import FEW, PAIR, Side, fillings, leavings, patterns, solve_patterns
from dispatchgym.baselines.vm_problem import Cluster, outcome, to_schedule
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check

sizes = st.lists(st.integers(1, 15), max_size=6).map(lambda some: tuple(sorted(some, reverse=True)))
sides = st.builds(Side, st.integers(0, 15), sizes, st.booleans())


@given(sizes, st.integers(1, 16))
def test_leavings_are_the_least_sets(small, missing):
    every = {
        tuple(sorted(chosen, reverse=True))
        for count in range(1, FEW + 1)
        for chosen in itertools.combinations(small, count)
        if sum(chosen) >= missing
    }
    least = {chosen for chosen in every if all(sum(chosen) - size < missing for size in chosen)}
    found = leavings(small, missing)
    assert set(found) == least and len(found) == len(least)


@given(st.integers(1, 15), st.sets(st.integers(1, 15), max_size=4).map(lambda some: tuple(sorted(some))))
def test_fillings_are_all_but_for_those_within_others(residue, known):
    found = fillings(residue, known)
    assert all(sum(some) <= residue and len(some) <= FEW for some in found)
    for count in range(1, FEW + 1):
        for some in itertools.combinations_with_replacement(known, count):
            if sum(some) <= residue:
                assert any(not (set(some) - set(other)) and _within(some, other) for other in found)
    assert not any(_within(one, other) for one, other in itertools.permutations(found, 2))


def _within(some, other) -> bool:
    return all(some.count(size) <= other.count(size) for size in set(some))


@given(sides, sides, st.lists(st.integers(1, 15), max_size=3).map(tuple), st.sets(st.integers(1, 15), max_size=2))
def test_patterns_gain_what_they_say(one, other, doubles, known):
    for pattern in patterns((one, other), doubles, known):
        assert len(pattern.doubles) <= PAIR and _within(pattern.doubles, doubles)
        assert pattern.comes == 0 or pattern.comes in known
        assert pattern.sides == (0, 1) or not (pattern.doubles or pattern.comes)
        assert pattern.slots > 0 or pattern.comes or not pattern.moves
        slots = 0
        for n, side in enumerate((one, other)):
            free = side.residue + sum(pattern.leave[n]) + sum(pattern.doubles) - pattern.comes
            assert _within(pattern.leave[n], side.small) and free >= 0
            slots += free // 16
            assert pattern.rooms[n] == (free % 16 if side.open and n in pattern.sides else 0)
        assert pattern.slots == slots


@given(seed=st.integers(0, 10_000))
def test_plans_are_legal(tight_cluster, seed):
    instance = tight_cluster(np.random.default_rng(seed), hosts=4, vms=10, rules=True)
    conditions = {"mnl": 5, "migration_cost": 0.01 * (seed % 2)}
    plan = solve_patterns(instance, conditions)
    assert check(instance, to_schedule(instance, plan, conditions)) == []
    assert outcome(Cluster(instance, conditions), plan.moves) <= Cluster(instance, conditions).objective()
    assert plan.bound is None and plan == solve_patterns(instance, conditions)


@pytest.mark.parametrize("slack", [0, 1])
def test_clusters_are_planned_within_a_slot_of_the_optimum(slack):
    """In the third one two VMs wait for each other's room: what the program wants cannot be carried out."""
    proven = []
    for seed in range(4):
        instance, conditions = preset_instance("hosts-30", seed), {"mnl": 8}
        plan = solve_patterns(instance, conditions, slack=slack)
        best = solve_mip(instance, conditions)
        assert best.status == "optimal"
        slot = 16 / int(instance.free_cores.sum())
        lost = (outcome(Cluster(instance, conditions), plan.moves) - best.bound) / slot
        assert -1e-6 < lost < 1 + 1e-6
        proven.append(plan.status == "restricted optimum")
    assert proven == [not slack, not slack, False, not slack]


def test_a_double_that_completes_both_nodes_needs_one_move():
    """It leaves residues of 8 and 8 for as much elsewhere; no single VM could do so."""
    instance = VMInstance("pair", [[16, 16], [8, 8]], np.full((2, 2), 99_999), [16], [4], [2], [0], movable=[True])
    plan = solve_patterns(instance, {"mnl": 3}, slack=0)
    assert plan.moves == ((0, 2),)
    assert outcome(Cluster(instance, {"mnl": 3}), plan.moves) == 0


def test_two_doubles_of_a_host_may_leave_together():
    """12 cores of both nodes go to two other hosts, where they fit exactly: two slots for two moves."""
    nodes = [[16, 16], [8, 8], [4, 4]]
    instance = VMInstance("two", nodes, np.full((3, 2), 99_999), [16, 8], [4, 4], [2, 2], [0, 0])
    plan = solve_patterns(instance, {"mnl": 2}, slack=0)
    assert sorted(plan.moves) == [(0, 2), (1, 4)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conditions": {"weight_64": 10}}, "FR-16 alone"),
        ({"conditions": {"weight_memory": 10}}, "FR-16 alone"),
        ({"slack": -1}, "slack"),
        ({"slack": True}, "slack"),
        ({"time_limit": 0}, "time_limit"),
    ],
)
def test_options_are_judged(options, words):
    with pytest.raises(OptionError, match=words):
        solve_patterns(preset_instance("small", 0), **options)


def test_what_is_not_placed_is_refused():
    with pytest.raises(OptionError, match="not placed"):
        solve_patterns(preset_instance("pods-3x4", 0))
