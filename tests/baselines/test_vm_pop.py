"""POP keeps VMs in their part, shares the migrations out, and with one part is the integer program itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.vm_mip import solve_mip
from dispatchgym.baselines.vm_pop import solve_pop
from dispatchgym.baselines.vm_problem import Cluster, outcome, to_schedule
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check


@given(seed=st.integers(0, 10_000), parts=st.integers(1, 6))
def test_plans_are_legal(tight_cluster, seed, parts):
    instance = tight_cluster(np.random.default_rng(seed), hosts=4, vms=10, rules=True)
    conditions = {"mnl": 5, "weight_64": 30}
    plan = solve_pop(instance, conditions, seed=seed, parts=parts)
    assert check(instance, to_schedule(instance, plan, conditions)) == []
    assert outcome(Cluster(instance, conditions), plan.moves) <= Cluster(instance, conditions).objective()
    assert plan.bound is None and plan.status == "feasible"


def test_one_part_is_the_whole():
    instance, conditions = preset_instance("hosts-30", 0), {"mnl": 6}
    whole, one = solve_mip(instance, conditions), solve_pop(instance, conditions, parts=1)
    assert outcome(Cluster(instance, conditions), one.moves) == pytest.approx(whole.bound, abs=1e-9)
    assert one.note == "1 of 1 parts optimal"


def test_parts_are_kept_apart_and_get_their_shares():
    instance, conditions = preset_instance("hosts-30", 1), {"mnl": 10}
    plan = solve_pop(instance, conditions, seed=7, parts=3)
    part = np.empty(30, int)
    for number, hosts in enumerate(np.array_split(np.random.default_rng(7).permutation(30), 3)):
        part[hosts] = number
    place = instance.node.tolist()
    used = np.zeros(3, int)
    for vm, node in plan.moves:
        assert part[place[vm] // 2] == part[node // 2]
        place[vm] = node
        used[part[node // 2]] += 1
    assert (used <= [4, 3, 3]).all() and used.sum() > 4
    assert plan == solve_pop(instance, conditions, seed=7, parts=3)
    assert plan != solve_pop(instance, conditions, seed=8, parts=3)


def test_a_part_minds_what_those_before_it_have_done():
    """Two VMs of a group, in different parts, would both gain by going to the same rack."""
    seed = next(s for s in range(99) if set(np.random.default_rng(s).permutation(4)[:2].tolist()) in ({0, 2}, {1, 3}))
    nodes, ones = [[16, 0], [16, 0], [8, 0], [8, 0]], [1, 1]
    groups = [("rack", (0, 1))]
    instance = VMInstance(
        "racks", nodes, np.full((4, 2), 99), [8, 8], ones, ones, [0, 2], rack=[0, 1, 2, 2], groups=groups
    )
    plan = solve_pop(instance, {"mnl": 4}, seed=seed, parts=2)
    assert check(instance, to_schedule(instance, plan, {"mnl": 4})) == []
    assert len(plan.moves) == 1
    apart = solve_pop(instance, {"mnl": 4, "constraints": False}, seed=seed, parts=2)
    assert len(apart.moves) == 2


def test_more_parts_than_hosts_are_not_empty(tight_cluster):
    instance = tight_cluster(np.random.default_rng(1))
    assert "3 parts" in solve_pop(instance, {"mnl": 4}, parts=50).note


def test_bad_options_are_refused(tight_cluster, random_cluster):
    instance = tight_cluster(np.random.default_rng(1))
    for options in ({"parts": 0}, {"parts": 1.5}, {"parts": True}, {"time_limit": -1}, {"seed": "x"}):
        with pytest.raises(OptionError, match=next(iter(options))):
            solve_pop(instance, **options)
    with pytest.raises(OptionError, match="not placed"):
        solve_pop(random_cluster(np.random.default_rng(0), "pack"))
