"""What the validator says of schedules written by hand, word for word, and what it refuses."""

import ast
from pathlib import Path

import numpy as np
import pytest

import dispatchgym.envs.vm.validator as validator
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import MAX_MESSAGES, check, metrics


def cluster(*vms, hosts: int = 2, **more) -> VMInstance:
    """Hosts with two nodes of 16 cores and 1600 MB; VMs as (cores, node), whose memory is 100 MB a core."""
    cores, node = np.array(vms, dtype=int).T
    memory, numas = more.pop("memory", 100 * cores), more.pop("numas", np.ones_like(cores))
    size = (hosts, 2)
    return VMInstance("hand", np.full(size, 16), np.full(size, 1600), cores, memory, numas, node, **more)


def words(instance: VMInstance, rows: list, **conditions) -> list[str]:
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
    return [str(violation) for violation in check(instance, schedule)]


def acts(*pairs) -> list:
    """Actions of a snapshot from (VM, node)."""
    return [[vm, step, node, step, step] for step, (vm, node) in enumerate(pairs)]


THREE = cluster((8, 0), (4, 1), (9, 2))
GROUPED = cluster((1, 0), (1, 2), (1, 4), (1, 6), hosts=4, groups=(("host", (0, 1)), ("host", (0, 2))))
RACKS = cluster((1, 0), (1, 2), (1, 4), hosts=4, rack=[0, 1, 1, 2], groups=(("rack", (0, 1)), ("rack", (0, 2))))
WIDE = cluster((16, 0), (9, 3), (2, 4), hosts=3, numas=[2, 1, 1])
PACK = cluster((4, 0), (4, 1), (4, -1), (4, -1), priority=[0, 2, 1, 0])
NEED_8 = "it needs 8 cores and 800 MB"


@pytest.mark.parametrize(
    ("instance", "rows", "expected"),
    [
        (THREE, [], []),
        (THREE, acts((0, 1), (1, 2), (0, 3), (0, 0)), []),
        # what names nothing
        (THREE, acts((3, 0)), ["entry: action 0 names VM 3, but VMs run from 0 to 2"]),
        (THREE, acts((-1, 0)), ["entry: action 0 names VM -1, but VMs run from 0 to 2"]),
        (THREE, acts((0, 4)), ["entry: action 0 sends VM 0 to node 4, but nodes run from 0 to 3"]),
        (THREE, acts((0, -2)), ["entry: action 0 sends VM 0 to node -2, but nodes run from 0 to 3"]),
        (WIDE, acts((0, 5)), [
            "entry: action 0 sends VM 0 to node 5, but it takes both nodes of a host and goes by the even one"
        ]),
        (THREE, acts((0, -1)), [
            "evict: action 0 evicts VM 0, which is for instances with VMs that are not placed"
        ]),
        # numbers
        (THREE, [[0, 1, 3, 1, 1]], [
            "order: an action is numbered 1, but numbers run from 0 to 0", "order: no action is numbered 0"
        ]),
        (THREE, [[0, 0, 3, 0, 0], [1, 0, 2, 0, 0]], [
            "order: 2 actions are numbered 0", "order: no action is numbered 1"
        ]),
        (THREE, [[0, 0, 3, 0, 1]], ["time: action 0 is from 0 to 1, but both are 0 where no time runs"]),
        (THREE, [[0, 0, 3, 1, 1]], ["time: action 0 is from 1 to 1, but both are 0 where no time runs"]),
        # where it goes
        (THREE, acts((0, 0)), ["placed: action 0 moves VM 0 to node 0, where it is already"]),
        (THREE, acts((0, 2)), [
            f"capacity: action 0 moves VM 0 to node 2, which has 7 cores and 700 MB free: {NEED_8}"
        ]),
        (cluster((8, 0), (8, 2), memory=[100, 1501]), acts((0, 2), (0, 1)), [
            "capacity: action 0 moves VM 0 to node 2, which has 8 cores and 99 MB free: it needs 8 cores and 100 MB"
        ]),
        (cluster((8, 0), (8, 2), memory=[101, 1550], numas=[2, 1]), acts((0, 2)), [
            "capacity: action 0 moves VM 0 to node 2, which has 8 cores and 50 MB free: it needs 4 cores and 51 MB"
        ]),
        (cluster((8, 0), (8, 2), memory=[101, 1549], numas=[2, 1]), acts((0, 2)), []),
        (cluster((8, 0), (8, 1), (1, 1)), acts((0, 1)), [
            f"capacity: action 0 moves VM 0 to node 1, which has 7 cores and 700 MB free: {NEED_8}"
        ]),
        (cluster((12, 0), (11, 2), numas=[2, 1]), acts((0, 2)), [
            "capacity: action 0 moves VM 0 to node 2, which has 5 cores and 500 MB free: it needs 6 cores and 600 MB"
        ]),
        (cluster((18, 0), (18, 2), numas=[2, 2]), acts((0, 2)), [
            f"capacity: action 0 moves VM 0 to node {node}, which has 7 cores and 700 MB free: "
            "it needs 9 cores and 900 MB" for node in (2, 3)
        ]),
        (WIDE, acts((0, 2)), [
            "capacity: action 0 moves VM 0 to node 3, which has 7 cores and 700 MB free: it needs 8 cores and 800 MB"
        ]),
        # a second VM finds what the first one left, and what it took
        (cluster((8, 0), (8, 2)), acts((0, 1), (1, 0)), []),
        (cluster((8, 0), (9, 2)), acts((1, 0), (0, 1)), [
            "capacity: action 0 moves VM 1 to node 0, which has 8 cores and 800 MB free: it needs 9 cores and 900 MB"
        ]),
        (cluster((8, 0), (9, 2)), acts((1, 1), (0, 1)), [
            f"capacity: action 1 moves VM 0 to node 1, which has 7 cores and 700 MB free: {NEED_8}"
        ]),
        (cluster((9, 0), (9, 2), (1, 4), hosts=3), acts((0, 4), (1, 0), (0, 1), (0, 4)), []),
        # pins, drains and groups
        (cluster((1, 0), (1, 1), movable=[False, True]), acts((1, 0), (0, 2)), [
            "movable: action 1 moves VM 0, which is pinned"
        ]),
        (cluster((1, 0), (1, 1), drained=[False, True]), acts((1, 0), (0, 3)), [
            "drained: action 1 moves VM 0 to host 1, which is drained"
        ]),
        (cluster((1, 0), (1, 1), drained=[True, False]), acts((0, 2), (0, 1)), [
            "drained: action 1 moves VM 0 to host 0, which is drained"
        ]),
        (GROUPED, acts((0, 3)), ["affinity: action 0 moves VM 0 to host 1, where VM 1 of its groups is"]),
        (GROUPED, acts((1, 5), (2, 3), (0, 7)), []),
        (GROUPED, acts((1, 5), (0, 4)), ["affinity: action 1 moves VM 0 to host 2, where VMs 1, 2 of its groups are"]),
        (cluster(*[(1, 0)] * 5, (1, 2), groups=(("host", tuple(range(6))),)), acts((5, 1)), [
            "affinity: action 0 moves VM 5 to host 0, where VMs 0, 1, 2 and 2 more of its groups are"
        ]),
        (cluster(*[(1, 0)] * 3, (1, 2), groups=(("host", tuple(range(4))),)), acts((3, 1)), [
            "affinity: action 0 moves VM 3 to host 0, where VMs 0, 1, 2 of its groups are"
        ]),
        (cluster(*[(1, 0)] * 4, (1, 2), groups=(("host", tuple(range(5))),)), acts((4, 1)), [
            "affinity: action 0 moves VM 4 to host 0, where VMs 0, 1, 2 and 1 more of its groups are"
        ]),
        # those that are together at the start may stay, and may leave, but not move on where they are
        (cluster((1, 0), (1, 0), groups=(("host", (0, 1)),)), acts((0, 2)), []),
        (cluster((1, 0), (1, 0), groups=(("host", (0, 1)),)), acts((0, 1)), [
            "affinity: action 0 moves VM 0 to host 0, where VM 1 of its groups is"
        ]),
        (RACKS, acts((0, 6)), []),
        (RACKS, acts((0, 1)), []),
        (RACKS, acts((1, 4)), []),
        (RACKS, acts((1, 1)), ["affinity: action 0 moves VM 1 to host 0 in rack 0, where VM 0 of its groups is"]),
        (RACKS, acts((0, 4)), ["affinity: action 0 moves VM 0 to host 2 in rack 1, where VMs 1, 2 of its groups are"]),
        # packing: placing is free, evicting is not
        (PACK, acts((2, 2), (3, 0)), []),
        (PACK, acts((2, 2), (1, 3), (3, 0), (2, 3)), []),
        (PACK, acts((0, -1), (2, 0), (0, 1)), []),
        (PACK, acts((0, -1), (0, 0), (0, -1)), ["evict: action 2 evicts VM 0, which was evicted before"]),
        (PACK, acts((1, -1)), [
            "evict: action 0 evicts VM 1 of priority 2, but the highest priority of those that are not placed is 1"
        ]),
        (PACK, acts((2, 2), (0, -1)), [
            "evict: action 1 evicts VM 0 of priority 0, but the highest priority of those that are not placed is 0"
        ]),
        (PACK, acts((2, 2), (3, 3), (0, -1)), ["evict: action 2 evicts VM 0, but every VM is placed"]),
        (PACK, acts((2, -1)), ["placed: action 0 evicts VM 2, which is not placed"]),
        (cluster((4, 0), (4, -1), priority=[0, 1], movable=[False, False]), acts((1, 0), (0, 1)), [
            "movable: action 1 moves VM 0, which is pinned"
        ]),
        (cluster((4, 0), (4, -1), priority=[0, 1], movable=[False, True]), acts((0, -1)), [
            "movable: action 0 evicts VM 0, which is pinned"
        ]),
        (cluster((9, 0), (9, -1)), acts((1, 0)), [
            "capacity: action 0 places VM 1 on node 0, which has 7 cores and 700 MB free: it needs 9 cores and 900 MB"
        ]),
        (cluster((9, 0), (1, -1), drained=[True, False]), acts((1, 0)), [
            "drained: action 0 places VM 1 on host 0, which is drained"
        ]),
    ],
)  # fmt: skip
def test_words_are_exact(instance, rows, expected):
    assert words(instance, rows) == expected


TURNS = cluster((1, 0), (1, 1))


@pytest.mark.parametrize("mnl", [0, 1, 2, 3, 4])
def test_moves_are_counted(mnl):
    assert words(TURNS, acts((0, 1), (0, 0), (1, 2)), mnl=mnl) == [
        f"limit: action {step} is migration number {step + 1}, but no more than {mnl} are allowed"
        for step in range(mnl, 3)
    ]
    assert words(PACK, acts((0, -1), (2, 2), (1, 3)), mnl=mnl) == [
        f"limit: action {step} is migration or eviction number {number}, but no more than {mnl} are allowed"
        for step, number in ((0, 1), (2, 2))
        if number > mnl
    ]


def test_constraints_may_be_ignored_but_for_capacities():
    more = {"movable": [False] * 3, "drained": [False, True], "groups": (("host", (0, 2)), ("rack", (1, 2)))}
    strict = cluster((1, 0), (1, 1), (9, 2), **more)
    rows = acts((0, 3), (2, 0))
    assert {text.split(":")[0] for text in words(strict, rows)} == {"movable", "drained", "affinity"}
    assert words(strict, rows, constraints=False) == []
    assert len(words(strict, acts((2, 0), (2, 3), (2, 0), (1, 2), (2, 2)), constraints=False, mnl=3)) == 2
    full = words(cluster((9, 0), (9, 2), movable=[False, True]), acts((0, 2)), constraints=False)
    assert [text.split(":")[0] for text in full] == ["capacity"]
    evicted = cluster((9, 0), (9, -1), movable=[False, True], priority=[0, 1])
    assert words(evicted, acts((0, -1), (1, 0)), constraints=False) == []


def timeline(*vms, hosts: int = 2, horizon: int = 100, **more) -> VMInstance:
    """As ``cluster``, of VMs as (cores, node, arrival, departure); a departure of 0 is never."""
    columns = np.array(vms, dtype=int).T
    departure = np.where(columns[3] == 0, 2**31 - 1, columns[3])
    return cluster(*columns[:2].T, hosts=hosts, horizon=horizon, arrival=columns[2], departure=departure, **more)


STAY = timeline((2, 0, 0, 0), (3, 2, 0, 0))
COPY = {"latency": 5, "copy_rate": 20_000}  # 100 MB, those of a core, take 5 ms


@pytest.mark.parametrize(
    ("rows", "conditions", "expected"),
    [
        ([[0, 0, 1, 0, 0], [1, 1, 3, 0, 0], [0, 2, 3, 99, 99]], {}, []),
        ([[0, 0, 1, -1, -1]], {}, ["time: action 0 starts at -1, before 0"]),
        ([[0, 0, 1, 100, 100]], {}, ["time: action 0 starts at 100, but time ends at 100"]),
        ([[0, 0, 1, 5, 15], [1, 1, 3, 20, 35]], COPY, []),
        ([[0, 0, 1, 95, 105]], COPY, []),
        ([[0, 0, 1, 4, 14]], COPY, ["time: action 0 starts at 4, before 5: the latency is 5"]),
        ([[0, 0, 1, 5, 15], [1, 1, 3, 19, 34]], COPY, [
            "time: action 1 starts at 19, before 20: the action before it ends at 15 and the latency is 5"
        ]),
        ([[0, 0, 1, 0, 10], [1, 1, 3, 9, 24]], {"copy_rate": 20_000}, [
            "time: action 1 starts at 9, before 10: the action before it ends at 10"
        ]),
        ([[0, 0, 1, 5, 14]], COPY, [
            "time: action 0 runs from 5 to 14, that is 9 instead of 10, the time to copy VM 0"
        ]),
        ([[0, 0, 1, 5, 15]], {"copy_rate": 19_999}, [
            "time: action 0 runs from 5 to 15, that is 10 instead of 11, the time to copy VM 0"
        ]),
        ([[0, 0, 1, 9, 9], [1, 1, 3, 3, 3]], {}, [
            "time: action 1 starts at 3, before 9: the action before it ends at 9"
        ]),
        ([[0, 0, 0, 7, 17]], COPY, [
            "placed: action 0 moves VM 0 to node 0, where it is already, when that is decided, at 2"
        ]),
        ([[0, 0, -1, 7, 7]], {}, [
            "evict: action 0 evicts VM 0, which is for instances with VMs that are not placed"
        ]),
        ([[2, 0, 0, 7, 7]], {}, ["entry: action 0 names VM 2, but VMs run from 0 to 1"]),
    ],
)  # fmt: skip
def test_words_about_time_are_exact(rows, conditions, expected):
    assert words(STAY, rows, **conditions) == expected


GOING = timeline((2, 0, 0, 20), (10, 2, 0, 0), (8, -1, 10, 40))  # the third one goes to node 0 beside the first


def test_what_cannot_be_carried_out_any_more_is_stale():
    def judged(*row, **more):
        return words(GOING, [list(row)], **({"latency": 5} | more))

    assert judged(0, 0, 1, 19, 19) == []
    assert judged(0, 0, 1, 24, 24) == []  # decided at 19, gone at 20
    assert judged(0, 0, 1, 25, 25) == ["placed: action 0 moves VM 0, which is not there when that is decided, at 20"]
    assert judged(0, 0, 1, 24, 34, copy_rate=20_000) == [
        "time: action 0 runs from 24 to 34, that is 10 instead of 0, as it could not be carried out any more"
    ]
    assert judged(0, 0, 1, 24, 24, copy_rate=20_000, mnl=0) == [
        "limit: action 0 is migration number 1, but no more than 0 are allowed"
    ]
    assert judged(2, 0, 1, 14, 14) == ["placed: action 0 moves VM 2, which is not there when that is decided, at 9"]
    assert judged(2, 0, 1, 15, 15) == []
    # VM 1 does not fit where the third one has come to, neither now nor a moment later
    assert judged(1, 0, 0, 14, 14) == []
    assert judged(1, 0, 0, 15, 15) == [
        "capacity: action 0 moves VM 1 to node 0, which has 6 cores and 600 MB free: it needs 10 cores and 1000 MB, "
        "when that is decided, at 10"
    ]
    schedule = Schedule(GOING, np.array([[1, 0, 0, 14, 14]]), {"latency": 5})
    assert metrics(GOING, schedule)["stale_moves"] == 1 and metrics(GOING, schedule)["migrations"] == 0


@pytest.mark.parametrize(
    ("arrives", "begins", "stale"),
    [(14, 15, True), (15, 15, True), (16, 15, False)],  # what happens when the move is carried out happens before it
)
def test_what_comes_in_between_comes_first(arrives, begins, stale):
    instance = timeline((10, 2, 0, 0), (2, 0, 0, 0), (8, -1, arrives, 0))
    took = 0 if stale else 50
    assert words(instance, [[0, 0, 0, begins, begins + took]], latency=5, copy_rate=20_000) == []
    assert words(instance, [[0, 0, 0, begins, begins + 50 - took]], latency=5, copy_rate=20_000) != []


@pytest.mark.parametrize(("departs", "ready"), [(12, 12), (15, 15), (16, 15)])
def test_a_departure_ends_a_copy_and_frees_both_ends(departs, ready):
    """VM 0 is copied from 5 to 15 and may depart on the way; VM 1 needs an empty node and takes 75 ms."""
    instance = timeline((2, 0, 0, departs), (15, 3, 0, 0))
    first = [0, 0, 2, 5, 15]
    assert words(instance, [first, [1, 1, 0, ready + 5, ready + 80]], **COPY) == []
    onto = words(instance, [first, [1, 1, 2, ready + 5, ready + 80]], **COPY)
    assert [text.split(":")[0] for text in onto] == ["capacity"] * (departs > 15)
    early = words(instance, [first, [1, 1, 0, ready + 4, ready + 79]], **COPY)
    assert early[-1].startswith(f"time: action 1 starts at {ready + 4}, before {ready + 5}: the action before it ends")


@pytest.mark.parametrize(("arrives", "rejected"), [(11, 1), (59, 1), (60, 0), (61, 0)])
def test_a_copy_is_in_two_places(arrives, rejected):
    """VM 0 is copied from node 0 to 2, from 10 to 60 ms; till then the last one cannot come to either of its hosts."""
    apart = timeline((10, 0, 0, 0), (1, -1, arrives, 0), groups=(("host", (0, 1)),))
    tight = timeline((10, 0, 0, 0), (16, 1, 0, 0), (16, 3, 0, 0), (7, -1, arrives, 0))
    for instance in (apart, tight):
        schedule = Schedule(instance, np.array([[0, 0, 2, 10, 60]]), {"copy_rate": 20_000})
        assert check(instance, schedule) == []
        assert metrics(instance, schedule)["rejected"] == rejected


def test_the_horizon_ends_everything():
    instance = timeline((2, 0, 0, 0), (16, 1, 0, 100), (16, 2, 0, 0), (16, 3, 0, 99))
    assert words(instance, [[0, 0, 3, 99, 99]]) == []
    assert words(instance, [[0, 0, 1, 99, 99]])[0].startswith("capacity")


@pytest.mark.parametrize("more", [0, 1, 5])
def test_messages_are_capped_and_the_rest_is_counted(more):
    found = words(TURNS, acts(*[(0, step % 2) for step in range(1, MAX_MESSAGES + 4 + more)]), mnl=3)
    assert found[0] == "limit: action 3 is migration number 4, but no more than 3 are allowed"
    expected = [f"limit: {more} further violations of this rule are not listed"] if more else []
    assert found[MAX_MESSAGES:] == expected


def test_every_rule_is_capped():
    count = MAX_MESSAGES + 7
    broken = cluster((1, 0), (1, 2), (16, 3), movable=[False, True, True], drained=[False, True],
                     groups=(("host", (0, 1)),))  # fmt: skip
    rows = [[5, 0, 0, 0, 0]] * count + [[0, 7, 0, 9, 9]] * count + [[0, 8, 3, 8, 8], [0, 8, 0, 8, 8]] * count
    found = words(broken, rows + [[0, 9, -1, 9, 9]] * count, mnl=0)
    rules = [text.split(":")[0] for text in found]
    for rule in ("entry", "order", "placed", "movable", "capacity", "drained", "affinity", "evict", "limit", "time"):
        assert rules.count(rule) == MAX_MESSAGES + 1, rule
    listed = {text.split()[0]: int(text.split()[1]) for text in found if text.endswith("are not listed")}
    assert listed["capacity:"] == listed["drained:"] == listed["affinity:"] == listed["evict:"] == 7
    assert listed["order:"] == 4 + 5 * count - 4 - MAX_MESSAGES


def test_the_penalty_of_a_packing_must_fit():
    priority = list(range(9))
    few = cluster(*[(1, -1)] * 9, priority=priority)
    assert words(few, [], mnl=50) == []  # 60 ** 9 and less is below 2 ** 62
    assert words(few, [], mnl=200) == [
        "conditions: the penalty is not below 2**62 with 9 VMs, 9 priorities and mnl 200"
    ]
    rows = acts((8, 0), (7, 1), (6, 2))
    assert words(few, rows, mnl=200) == []
    assert metrics(few, Schedule(few, np.array(rows), {"mnl": 200}))["penalty"] == sum(210**k for k in range(1, 7))
    exact = cluster(*[(1, 0)] * 5, *[(1, -1)] * 4, priority=[0, 1, 2, 3, 4, 5, 5, 5, 5])  # 4 * 1024**6
    assert [len(words(exact, rows, mnl=1014)) for rows in ([], acts((5, 0)))] == [1, 0]
    with pytest.raises(ScheduleError, match="not below 2.*62"):
        metrics(few, Schedule(few, np.zeros((0, 5), int), {"mnl": 200}))


@pytest.mark.parametrize(
    "conditions", [{"mnl": -1}, {"weight_64": "much"}, {"weight_64": 60, "weight_memory": 41}, {"noise": 1}, 7, [1]]
)
def test_malformed_conditions_are_an_error(conditions):
    for judge in (check, metrics):
        with pytest.raises(ScheduleError, match="condition"):
            judge(THREE, Schedule(THREE, np.zeros((0, 5), int), conditions))


def test_it_imports_no_simulator():
    folder, imported = Path(validator.__file__).parent, set()
    own = {"validator", "metrics", "replay", "record", "occupancy", "conditions"}
    for name in own:
        tree = ast.parse((folder / f"{name}.py").read_text())
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1}
    assert imported <= own | {"instance"}
