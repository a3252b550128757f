"""What the simulator is told about clusters: needs, flavors, levels, conflicts and events, against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.vm import tables
from dispatchgym.envs.vm.fields import NEVER
from dispatchgym.envs.vm.instance import VMInstance

seeds = st.integers(0, 2**32 - 1)
tasks = st.sampled_from(["reschedule", "dynamic", "pack"])


@given(seeds, tasks)
def test_needs_are_of_each_node(recount, random_cluster, seed, task):
    """They are what is free less at the start."""
    instance = random_cluster(np.random.default_rng(seed), task)
    cores, memory = tables.needs(instance)
    for vm in range(instance.vms):
        parts = int(instance.numas[vm])
        assert cores[vm] * parts == instance.cores[vm]
        assert 0 <= memory[vm] * parts - instance.memory[vm] < parts
    free = instance.node_cores.ravel().astype(int), instance.node_memory.ravel().astype(int)
    for vm in np.flatnonzero(instance.node >= 0).tolist():
        nodes = slice(instance.node[vm], instance.node[vm] + instance.numas[vm])
        for left, need in zip(free, (cores, memory), strict=True):
            left[nodes] -= need[vm]
    assert (free[0] == instance.free_cores.ravel()).all() and (free[1] == instance.free_memory.ravel()).all()


def test_a_double_of_odd_memory_takes_the_larger_half_twice():
    instance = VMInstance("x", [[9, 9]], [[2**30] * 2], [8, 3], [7, 7], [2, 1], [0, 1])
    assert [column.tolist() for column in tables.needs(instance)] == [[4, 3], [4, 7]]
    large = VMInstance("x", [[9, 9]], [[2**30] * 2], [8], [2**30], [2], [0])
    assert tables.needs(large)[1].tolist() == [2**29]


@given(seeds, tasks)
def test_vms_of_a_flavor_are_alike(random_cluster, seed, task):
    instance = random_cluster(np.random.default_rng(seed), task)
    number, first = tables.flavors(instance)
    kinds = list(zip(instance.cores, instance.memory, instance.numas, instance.priority, strict=True))
    assert len(first) == len(set(kinds)) and set(number.tolist()) == set(range(len(first)))
    for vm in range(instance.vms):
        assert kinds[first[number[vm]]] == kinds[vm] and first[number[vm]] <= vm


@given(seeds, tasks)
def test_levels_stand_in_the_order_of_priorities(random_cluster, seed, task):
    instance = random_cluster(np.random.default_rng(seed), task)
    level, count = tables.levels(instance)
    known = sorted(set(instance.priority.tolist()))
    assert count == len(known) and [known[k] for k in level] == instance.priority.tolist()


def test_one_vm_of_a_level_weighs_more_than_all_below():
    instance = VMInstance("x", [[9, 9]], [[9, 9]], [1] * 5, [1] * 5, [1] * 5, [-1] * 5, priority=[0, 4, 4, 9, 0])
    weights = tables.level_weights(instance, 3, mnl=7)
    assert weights == [13, 13**2, 13**3]
    for k, weight in enumerate(weights):
        assert weight > 7 + sum(5 * lower for lower in weights[:k])
    with pytest.raises(OptionError, match="x: 3 priorities of 5 VMs and mnl 50000 are more than a penalty can count"):
        tables.level_weights(instance, 3, mnl=50_000)
    assert tables.level_weights(instance, 3, mnl=2**15 - 6 - 2**12)  # just below 2**62


def test_the_limit_of_penalties_is_exact():
    instance = VMInstance("x", [[9, 9]], [[9, 9]], [1], [1], [1], [-1])
    assert tables.MAX_PENALTY == 2**62
    assert tables.level_weights(instance, 1, mnl=2**31 - 3) == [2**31 - 1]
    with pytest.raises(OptionError):
        tables.level_weights(instance, 1, mnl=2**31 - 2)


@given(seeds, tasks)
def test_conflicts_are_those_of_the_groups(random_cluster, seed, task):
    instance = random_cluster(np.random.default_rng(seed), task)
    first, code = tables.conflicts(instance)
    assert first[0] == 0 and first[-1] == len(code) and (np.diff(first) >= 0).all() and len(first) == instance.vms + 1
    for vm in range(instance.vms):
        expected = [
            2 * other + (scope == "rack")
            for scope, members in instance.groups
            for other in members
            if vm in members and other != vm
        ]
        assert sorted(code[first[vm] : first[vm + 1]].tolist()) == sorted(expected)


@given(seeds)
def test_events_stand_in_time_and_departures_come_first(random_cluster, seed):
    instance = random_cluster(np.random.default_rng(seed), "dynamic")
    time, code = tables.events(instance)
    expected = [(int(t), 0, vm) for vm, t in enumerate(instance.departure) if t < instance.horizon]
    expected += [(int(t), 1, vm) for vm, t in enumerate(instance.arrival) if 0 < t < instance.horizon]
    found = [(t, c % 2, c // 2) for t, c in zip(time.tolist(), code.tolist(), strict=True)]
    assert found == sorted(expected)


def test_what_is_beyond_the_horizon_is_no_event():
    still = VMInstance(
        "x", [[9, 9]], [[9, 9]], [1, 1], [1, 1], [1, 1], [0, -1], arrival=[0, 7], departure=[7, NEVER], horizon=7
    )
    assert [column.tolist() for column in tables.events(still)] == [[], []]
    snapshot = VMInstance("x", [[9, 9]], [[9, 9]], [1], [1], [1], [0])
    assert [column.tolist() for column in tables.events(snapshot)] == [[], []]
