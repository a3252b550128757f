"""Figures are those of the definitions, exact, and finite whatever the schedule says."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import metrics

CLOSE = {"rel_tol": 1e-14, "abs_tol": 1e-15}


def figures(instance: VMInstance, rows, **conditions) -> dict:
    return metrics(instance, Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions))


def cluster(node_cores, cores, node, **more) -> VMInstance:
    """VMs of a GB each on nodes of 70,000 MB."""
    node_cores = np.array(node_cores)
    numas = more.pop("numas", np.ones(len(cores), int))
    memory = np.full(len(cores), 1000)
    return VMInstance("hand", node_cores, np.full(node_cores.shape, 70_000), cores, memory, numas, node, **more)


def acts(*pairs) -> list:
    return [[vm, step, node, step, step] for step, (vm, node) in enumerate(pairs)]


def test_figures_of_a_snapshot_by_hand():
    instance = cluster([[44, 44], [44, 44]], [8, 4], [0, 2])
    # free: 36 44 | 40 44, that is 4 + 12 + 8 + 12 fragments, and room for one VM of 64 on each host
    before = {"fr_initial": 36 / 164}
    assert figures(instance, []) == before | {
        "fragment_rate": 36 / 164, "fr_final": 36 / 164, "migrations": 0, "fr16": 36 / 164,
        "fr64": (164 - 128) / 164, "fr_memory": (2 * 4464 + 2 * 3464) / 278_000,
    }  # fmt: skip
    # VM 1 to node 3, and VM 0 beside it: free 44 44 | 44 32
    found = figures(instance, acts((1, 3), (0, 3)), migration_cost=0.5)
    assert found["fr_final"] == found["fr16"] == 36 / 164 and found["fragment_rate"] == 36 / 164 + 1
    assert (found["migrations"], found["fr64"]) == (2, 36 / 164)
    # memory: two nodes of 70,000 and one of 68,000 leave 4464, 4464, 4464 and 2464 over 65,536
    assert figures(instance, acts((1, 3), (0, 3)))["fr_memory"] == (3 * 4464 + 2464) / 278_000


def test_parts_are_weighted():
    instance = cluster([[44, 30]], [4], [0])  # free 40 and 30: 8 + 14 fragments, no room for 64 and none of 64 GB
    parts = {"fr16": 22 / 70, "fr64": 1.0, "fr_memory": (69_000 - 65_536 + 4464) / 139_000}
    for wide, memory in ((0, 0), (100, 0), (0, 100), (30, 50)):
        found = figures(instance, [], weight_64=wide, weight_memory=memory)
        assert {name: found[name] for name in parts} == parts
        weights = dict(zip(parts, (100 - wide - memory, wide, memory), strict=True))
        assert math.isclose(found["fr_final"], sum(weights[name] * parts[name] for name in parts) / 100, **CLOSE)


def test_wide_slots_are_as_many_as_the_fuller_node_has_halves():
    for free, slots in (((32, 32), 1), ((31, 100), 0), ((64, 100), 2), ((127, 95), 2)):
        found = figures(cluster([free], [1], [-1]), [], weight_64=100)
        assert found["fr_final"] == (sum(free) - 64 * slots) / sum(free)


def test_nothing_free_is_no_fragment():
    full = VMInstance("full", [[4, 4]], [[5, 5]], [8], [10], [2], [0])
    assert set(figures(full, []).values()) == {0}
    assert figures(VMInstance("almost", [[4, 4]], [[1, 0]], [3, 4], [0, 0], [1, 1], [0, 1]), [])["fr16"] == 1
    no_memory = VMInstance("bare", [[4, 4]], [[0, 0]], [1], [0], [1], [0])
    found = figures(no_memory, [], weight_memory=50)
    assert (found["fr16"], found["fr_memory"], found["fr_final"]) == (1, 0, 0.5)


def test_figures_of_a_packing_by_hand():
    instance = cluster([[16, 16]], [10, 10, 3, 3], [0, -1, 1, -1], priority=[0, 7, 7, 3])
    base = 4 + 50 + 1
    start = {"fr_initial": 19 / 19, "unplaced": 2, "unplaced_0": 0, "unplaced_3": 1, "unplaced_7": 1}
    assert figures(instance, []) == start | {
        "penalty": base**2 + base**3, "migrations": 0, "evictions": 0, "fr_final": 19 / 19
    }  # fmt: skip
    rows = acts((0, -1), (1, 0), (2, 0), (3, 1))
    assert figures(instance, rows, migration_cost=1) == start | {
        "penalty": base + 2, "unplaced": 1, "unplaced_0": 1, "unplaced_3": 0, "unplaced_7": 0, "migrations": 1,
        "evictions": 1, "fr_final": 1.0,
    }  # fmt: skip
    assert figures(instance, rows[:2], mnl=3)["penalty"] == 8 + 8**2 + 1


def test_the_penalty_is_an_exact_integer():
    cores = np.ones(30, int)
    instance = cluster([[16, 16]], cores, -np.ones(30, int), priority=np.arange(30) % 7)
    found = figures(instance, acts((6, 0), (13, 0), (20, 1)), mnl=400)["penalty"]
    counts = [5, 5, 4, 4, 4, 4, 1]
    assert type(found) is int and found == sum(n * 431 ** (k + 1) for k, n in enumerate(counts)) > 2**60
    assert found != int(float(found))


def timeline(vms, **more) -> VMInstance:
    """Two hosts of 16 and 16 cores for 100 ms; VMs as (cores, node, arrival, departure or 0)."""
    cores, node, arrival, departure = np.array(vms).T
    departure = np.where(departure == 0, 2**31 - 1, departure)
    return cluster([[16, 16], [16, 16]], cores, node, arrival=arrival, departure=departure, horizon=100, **more)


def test_figures_over_time_by_hand():
    # 8 on node 0 till 40; 12 come at 20 and find node 1 to be the first of the empty ones
    instance = timeline([(8, 0, 0, 40), (12, -1, 20, 0)])
    first, both, last = 8 / 56, (8 + 4) / 44, 4 / 52
    mean = (20 * first + 20 * both + 60 * last) / 100
    expected = {"fr_initial": first, "fr_final": last, "migrations": 0, "stale_moves": 0, "rejected": 0}
    found = figures(instance, [])
    assert math.isclose(found.pop("mean_fragment_rate"), mean, **CLOSE)
    assert found == expected | {"rejected_cores": 0}
    # from 10 to 35 the first VM, of 1000 MB, is on node 2 as well
    copied = (8 + 8) / 48, (8 + 8 + 4) / 36
    mean = (10 * first + 10 * copied[0] + 15 * copied[1] + 5 * both + 60 * last) / 100
    found = figures(instance, [[0, 0, 2, 10, 35]], copy_rate=40_000, migration_cost=0.25)
    assert math.isclose(found["mean_fragment_rate"], mean + 0.25, **CLOSE) and found["migrations"] == 1
    # a move that is stale costs nothing
    stale = figures(instance, [[0, 0, 2, 40, 40]], latency=1, migration_cost=0.25)
    assert (stale["migrations"], stale["stale_moves"]) == (0, 1)
    assert math.isclose(stale["mean_fragment_rate"], figures(instance, [])["mean_fragment_rate"], **CLOSE)
    # what is done at time 0 is not there at the start, but counts from then on
    at_once = figures(instance, [[0, 0, 2, 0, 0]])
    assert (
        at_once["fr_initial"] == first and at_once["mean_fragment_rate"] == figures(instance, [])["mean_fragment_rate"]
    )
    # a copy that does not end in time counts, and both ends are taken at the horizon
    late = figures(instance, [[1, 0, 2, 99, 124]], copy_rate=40_000)
    assert late["migrations"] == 1 and late["fr_final"] == (4 + 4) / 40


@pytest.mark.parametrize(
    ("cores", "numas", "node", "more"),
    [
        (3, 1, 0, {}),  # the node with the fewest free cores that has room
        (6, 1, 1, {}),
        (9, 1, 2, {}),
        (13, 1, 3, {}),
        (17, 1, None, {}),
        (8, 2, 0, {}),  # 4 and 4 fit beside 12 and 6
        (10, 2, 2, {}),
        (24, 2, 2, {}),
        (26, 2, None, {}),
        (3, 1, 2, {"drained": [True, False]}),
        (3, 1, 2, {"groups": (("host", (0, 3)),)}),
        (3, 1, 0, {"groups": (("host", (2, 3)),)}),
        (3, 1, 2, {"groups": (("rack", (1, 3)),), "rack": [0, 1]}),
        (3, 1, None, {"groups": (("rack", (1, 3)),)}),
    ],
)
def test_arrivals_go_where_they_fit_best(cores, numas, node, more):
    """Free are 4, 10 | 12 and 16 cores; where the last VM has come to is seen by where it leaves from."""
    vms = [(12, 0, 0, 0), (6, 1, 0, 0), (4, 2, 0, 0), (cores, -1, 10, 0)]
    instance = timeline(vms, numas=[1, 1, 1, numas], **more)
    found = figures(instance, [])
    assert (found["rejected"], found["rejected_cores"]) == ((1, cores) if node is None else (0, 0))
    free = [4, 10, 12, 16]
    for at in range(numas if node is not None else 0):
        free[node + at] -= cores // numas
    assert found["fr_final"] == sum(cores % 16 for cores in free) / sum(free)
    ignored = figures(instance, [], constraints=False)
    assert ignored["rejected"] == (cores > 16 if numas == 1 else cores > 24)


@pytest.mark.parametrize(("memory", "rejected"), [(69_000, 0), (69_001, 1)])
def test_arrivals_need_memory(memory, rejected):
    instance = VMInstance(
        "memory", [[16, 16]], [[70_000, 50]], [1, 1], [1000, memory], [1, 1], [0, -1], arrival=[0, 5], horizon=9
    )  # fmt: skip
    assert figures(instance, [])["rejected"] == rejected


def test_ties_go_to_the_lowest():
    instance = timeline([(4, -1, 1, 0), (4, -1, 1, 50), (24, -1, 2, 0), (16, -1, 3, 0)], numas=[1, 1, 2, 1])
    # nodes 0 and 0, then host 1 for the double one, and node 1
    assert figures(instance, [])["fr_final"] == (12 + 0 + 4 + 4) / 20
    assert figures(instance, [[0, 0, 1, 2, 2]])["rejected"] == 1  # of host 0 both nodes are in use then


@settings(max_examples=150)
@given(number=st.integers(0, 2**32), kind=st.sampled_from(["snapshot", "pack"]))
def test_figures_of_snapshots_follow_their_definitions(vm, number, kind):
    rng = np.random.default_rng(number)
    instance, conditions = vm.instance(rng, kind), vm.conditions(rng)
    played = vm.play(instance, conditions, rng)
    found, world = figures(instance, played.rows, **conditions), played.world
    assert math.isclose(found["fr_initial"], played.rates[0], **CLOSE)
    assert math.isclose(found["fr_final"], played.rates[-1], **CLOSE)
    left = [vm for vm in range(instance.vms) if vm not in world.at]
    if not instance.pack:
        assert found["migrations"] == len(played.rows) and not left
        value = world.rate() + Fraction(world.conditions["migration_cost"]) * len(played.rows)
        assert math.isclose(found["fragment_rate"], value, **CLOSE)
        for name, part in zip(("fr16", "fr64", "fr_memory"), world.parts(), strict=True):
            assert math.isclose(found[name], part, **CLOSE)
        return
    assert found["evictions"] == len(world.evicted) and found["unplaced"] == len(left)
    assert found["migrations"] == world.used - len(world.evicted)
    digits = [found["migrations"] + found["evictions"]]
    for level in sorted(set(instance.priority.tolist())):
        digits.append(sum(int(instance.priority[vm]) == level for vm in left))
        assert found[f"unplaced_{level}"] == digits[-1]
    base = instance.vms + world.conditions["mnl"] + 1
    assert max(digits) < base and found["penalty"] == sum(n * base**k for k, n in enumerate(digits))
    assert set(found) == {"penalty", "unplaced", "migrations", "evictions", "fr_initial", "fr_final"} | {
        f"unplaced_{level}" for level in set(instance.priority.tolist())
    }


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_figures_over_time_follow_their_definitions(vm, number):
    rng = np.random.default_rng(number)
    instance, conditions = vm.instance(rng, "timeline"), vm.conditions(rng)
    played = vm.play(instance, conditions, rng)
    found = figures(instance, played.rows, **conditions)
    moved = len(played.rows) - len(played.stale)
    cost = Fraction(played.world.conditions["migration_cost"]) * moved
    assert math.isclose(found["mean_fragment_rate"], sum(played.rates) / instance.horizon + cost, **CLOSE)
    assert math.isclose(found["fr_final"], played.rates[-1], **CLOSE)
    assert math.isclose(found["fr_initial"], vm.World(instance, conditions).rate(), **CLOSE)
    assert (found["migrations"], found["stale_moves"]) == (moved, len(played.stale))
    assert found["rejected"] == len(played.rejected)
    assert found["rejected_cores"] == sum(instance.cores[played.rejected].tolist())
    assert {type(value) for value in found.values()} == {int, float}


@settings(max_examples=100)
@given(data=st.data())
def test_nonsense_has_finite_figures(vm, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance, conditions = vm.instance(rng, data.draw(st.sampled_from(vm.kinds))), vm.conditions(rng)
    number = st.one_of(st.integers(-1, 12), st.sampled_from([2**63 - 1, -(2**63), 2**40]))
    rows = data.draw(st.lists(st.tuples(*[number] * 5), max_size=10))
    found = figures(instance, rows, **conditions)
    assert instance.objective in found and all(math.isfinite(value) for value in found.values())
