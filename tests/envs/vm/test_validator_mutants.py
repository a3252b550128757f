"""Every feasible schedule passes, and every way to break one is found: many random schedules and mutants."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check

SCHEDULES = 500
VM, STEP, NODE, START, END = range(5)
RULES = {
    "conditions", "entry", "order", "placed", "movable", "capacity", "drained", "affinity", "evict", "limit", "time",
}  # fmt: skip


def rules(instance: VMInstance, rows, conditions: dict) -> set[str]:
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
    return {violation.rule for violation in check(instance, schedule)}


class Case:
    """A feasible schedule of at least one action, and what mutations ask about it."""

    def __init__(self, instance, conditions, played, rng, make):
        self.instance, self.conditions, self.rng, self.make = instance, conditions, rng, make
        self.rows, self.stale = played.rows, getattr(played, "stale", [])
        self.full = played.world.conditions

    def pick(self, some):
        """One of these, or None."""
        some = list(some)
        return some[self.rng.integers(len(some))] if some else None

    def carried(self):
        """The rows that send a VM to a node and are not stale."""
        return [at for at, row in enumerate(self.rows) if row[NODE] >= 0 and at not in self.stale]

    def worlds(self):
        """The world before each action of a snapshot, and after the last one."""
        world = self.make(self.instance, self.conditions)
        for row in self.rows:
            yield world
            world.act(row[VM], row[NODE])
        yield world

    def before(self, at):
        """Where each VM is before an action: exact in a snapshot."""
        worlds = self.worlds()
        for _ in range(at):
            next(worlds)
        return next(worlds)

    def source(self, at):
        """The node that a VM leaves, as earlier actions or the start say; None where it arrived later."""
        mine = [to for to in range(at) if self.rows[to][VM] == self.rows[at][VM] and to not in self.stale]
        earlier = [self.rows[to][NODE] for to in mine]
        return (earlier or [int(self.instance.node[self.rows[at][VM]])])[-1]

    def resumed(self, at, row):
        """The rows with another one at a place and none after it, numbered and timed as they must be."""
        if not self.instance.dynamic:
            row = [row[VM], at, row[NODE], at, at]
        return [*self.rows[:at], row]


# Each mutation breaks the rule it is listed under, or returns None where the schedule has no room for it. It returns
# rows, or rows with other conditions or another instance.


def unknown_vm(rows, case):
    rows[case.pick(range(len(rows)))][VM] = case.pick([-1, case.instance.vms, 2**62, -(2**63)])
    return rows


def unknown_node(rows, case):
    rows[case.pick(range(len(rows)))][NODE] = case.pick([-2, case.instance.nodes, 2**62, -(2**63)])
    return rows


def odd_double(rows, case):
    at = case.pick(at for at in case.carried() if case.instance.numas[rows[at][VM]] == 2)
    if at is None:
        return None
    rows[at][NODE] += 1
    return rows


def drop(rows, case):
    return rows[:-2] + rows[-1:] if len(rows) > 1 else None


def same_number(rows, case):
    if len(rows) < 2:
        return None
    rows[1][STEP] = 0
    return rows


def other_number(rows, case):
    rows[case.pick(range(len(rows)))][STEP] = case.pick([-1, len(rows), 2**62, -(2**63)])
    return rows


def stay(rows, case):
    """A VM is sent to where it is."""
    at = case.pick(at for at in case.carried() if case.source(at) >= 0)
    if at is None:
        return None
    rows[at][NODE] = case.source(at)
    return rows


def evict_nothing(rows, case):
    if not case.instance.pack:
        return None
    at = case.pick(range(len(rows) + 1))
    vm = case.pick(vm for vm in range(case.instance.vms) if vm not in case.before(at).at)
    return None if vm is None else case.resumed(at, [vm, 0, -1])


def move_before_arrival(rows, case):
    """A VM is sent off that has not arrived, or that has departed."""
    if not case.instance.dynamic:
        return None
    at = case.pick(range(len(rows)))
    decided = rows[at][START] - case.full["latency"]
    away = (case.instance.arrival > decided) | (case.instance.departure <= decided)
    vm = case.pick(np.flatnonzero(away).tolist())
    if vm is None:
        return None
    rows[at][VM], rows[at][NODE] = vm, 0
    return rows


def pin(rows, case):
    if not case.full["constraints"]:
        return None
    at = case.pick(at for at in case.carried() if case.source(at) >= 0)
    return None if at is None else (rows, {"movable": np.arange(case.instance.vms) != rows[at][VM]})


def pin_evicted(rows, case):
    at = case.pick(at for at, row in enumerate(rows) if row[NODE] < 0)
    if at is None or not case.full["constraints"]:
        return None
    return rows, {"movable": np.arange(case.instance.vms) != rows[at][VM]}


def too_large(rows, case):
    """A VM goes where too few cores or too little memory are free."""
    if case.instance.dynamic:
        return None
    at = case.pick(range(len(rows) + 1))
    world = case.before(at)
    tight = [
        (vm, node) for vm in range(case.instance.vms) for node in range(0, case.instance.nodes, 2)
        if world.at.get(vm, -1) != node and "capacity" in world.broken(vm, node)
    ]  # fmt: skip
    pair = case.pick(tight)
    return None if pair is None else case.resumed(at, [pair[0], 0, pair[1]])


def no_room(rows, case):
    """Where the first action goes, a core or a MB is missing."""
    if 0 not in case.carried() or rows[0][START] > 0:
        return None
    vm, node = rows[0][VM], rows[0][NODE]
    which = int(case.rng.integers(2))
    world, column = case.make(case.instance, case.conditions), ["node_cores", "node_memory"][which]
    need = world.share(vm)[which]
    if need == 0:
        return None
    capacity = getattr(case.instance, column).copy()
    capacity[node // 2, node % 2] -= world.free(node)[which] - need + 1
    return rows, {column: capacity}


def drain(rows, case):
    at = case.pick(case.carried())
    if at is None or not case.full["constraints"] or case.instance.dynamic:
        return None
    drained = case.instance.drained.copy()
    drained[rows[at][NODE] // 2] = True
    return rows, {"drained": drained}


def forbid(rows, case, scope):
    """The VM becomes part of a group with one that is where it goes."""
    at = case.pick(case.carried())
    if at is None or not case.full["constraints"] or case.instance.dynamic:
        return None
    vm, host = rows[at][VM], rows[at][NODE] // 2
    rack = case.instance.rack
    there = case.before(at).at.items()
    alike = [
        other for other, node in there
        if other != vm and (node // 2 == host or (scope == "rack" and rack[node // 2] == rack[host]))
    ]  # fmt: skip
    if not alike:
        return None
    return rows, {"groups": (*case.instance.groups, (scope, (vm, case.pick(alike))))}


def share_a_host(rows, case):
    return forbid(rows, case, "host")


def share_a_rack(rows, case):
    return forbid(rows, case, "rack")


def evict_anyway(rows, case):
    if case.instance.pack:
        return None
    rows[case.pick(range(len(rows)))][NODE] = -1
    return rows


def evict_the_important(rows, case):
    if not case.instance.pack:
        return None
    at = case.pick(range(len(rows) + 1))
    world, priority = case.before(at), case.instance.priority
    waiting = [priority[vm] for vm in range(case.instance.vms) if vm not in world.at]
    vm = case.pick(vm for vm in world.at if priority[vm] >= max(waiting, default=0))
    return None if vm is None else case.resumed(at, [vm, 0, -1])


def evict_again(rows, case):
    """A VM that was evicted is put back in its place, and evicted again."""
    at = case.pick(at for at, row in enumerate(rows) if row[NODE] < 0)
    if at is None:
        return None
    vm, back = rows[at][VM], case.source(at)
    rows = [*rows[: at + 1], [vm, 0, back], [vm, 0, -1]]
    return [[row[VM], step, row[NODE], step, step] for step, row in enumerate(rows)]


def allow_fewer(rows, case):
    used = sum(case.instance.dynamic or case.source(at) >= 0 for at in range(len(rows)))
    return (rows, {}, {"mnl": int(case.rng.integers(used))}) if used else None


def other_time(rows, case):
    """In a snapshot start and end are the step."""
    if case.instance.dynamic:
        return None
    rows[case.pick(range(len(rows)))][case.pick([START, END])] += case.pick([-1, 1, 2**40])
    return rows


def other_end(rows, case):
    rows[case.pick(range(len(rows)))][END] += case.pick([-1, 1, 2**40])
    return rows


def too_early(rows, case):
    """An action starts a moment before the one before it has ended and the latency has passed."""
    if not case.instance.dynamic or len(rows) < 2:
        return None
    at = int(case.rng.integers(1, len(rows)))
    ready = min(rows[at - 1][END], int(case.instance.departure[rows[at - 1][VM]]))
    shift = rows[at][START] - (ready + case.full["latency"] - 1)
    rows[at][START], rows[at][END] = rows[at][START] - shift, rows[at][END] - shift
    return rows


def within_the_latency(rows, case):
    if not case.instance.dynamic:
        return None
    rows[0][END] -= rows[0][START] - case.full["latency"] + 1
    rows[0][START] = case.full["latency"] - 1
    return rows


def after_the_horizon(rows, case):
    if not case.instance.dynamic:
        return None
    late = case.instance.horizon + case.pick([0, 1, 2**61]) - rows[-1][START]
    rows[-1][START], rows[-1][END] = rows[-1][START] + late, rows[-1][END] + late
    return rows


def backwards(rows, case):
    if not case.instance.dynamic or rows[0][START] == rows[-1][START]:
        return None
    rows[0][START:], rows[-1][START:] = rows[-1][START:], rows[0][START:]
    return rows


def other_copy_rate(rows, case):
    at = case.pick(case.carried())
    if at is None or not case.instance.dynamic or rows[at][END] == rows[at][START]:
        return None
    return rows, {}, {"copy_rate": 1}


def more_latency(rows, case):
    """There was not enough time to decide."""
    return (rows, {}, {"latency": rows[0][START] + 1}) if case.instance.dynamic else None


def huge_penalty(rows, case):
    """As many priorities as VMs, so that the most important one does not fit into 64 bits."""
    vms = case.instance.vms
    if not case.instance.pack or vms < 5 or vms - 1 in case.before(len(rows)).at:
        return None
    return rows, {"priority": np.arange(vms)}, {"mnl": 10_000}


MUTATIONS = [
    (unknown_vm, "entry"), (unknown_node, "entry"), (odd_double, "entry"),
    (drop, "order"), (same_number, "order"), (other_number, "order"),
    (stay, "placed"), (evict_nothing, "placed"), (move_before_arrival, "placed"),
    (pin, "movable"), (pin_evicted, "movable"),
    (too_large, "capacity"), (no_room, "capacity"),
    (drain, "drained"), (share_a_host, "affinity"), (share_a_rack, "affinity"),
    (evict_anyway, "evict"), (evict_the_important, "evict"), (evict_again, "evict"),
    (allow_fewer, "limit"),
    (other_time, "time"), (other_end, "time"), (too_early, "time"), (within_the_latency, "time"),
    (after_the_horizon, "time"), (backwards, "time"), (other_copy_rate, "time"), (more_latency, "time"),
    (huge_penalty, "conditions"),
]  # fmt: skip


def mutate(case, mutation):
    """The instance, rows and conditions that a mutation makes, or None."""
    made = mutation([list(row) for row in case.rows], case)
    if made is None:
        return None
    rows, changed, under = (*made, {}, {})[:3] if isinstance(made, tuple) else (made, {}, {})
    return replace(case.instance, **changed), rows, case.conditions | under


def test_every_mutant_is_caught_and_every_original_accepted(vm):
    rng = np.random.default_rng(20240)
    caught = Counter({mutation.__name__: 0 for mutation, _ in MUTATIONS})
    for turn in range(SCHEDULES):
        instance, conditions = vm.instance(rng, vm.kinds[turn % 3]), vm.conditions(rng)
        played = vm.play(instance, conditions, rng)
        assert rules(instance, played.rows, conditions) == set()
        case = Case(instance, conditions, played, rng, vm.World)
        for mutation, rule in MUTATIONS[turn % 2 :: 2] if played.rows else ():
            made = mutate(case, mutation)
            if made is not None:  # the schedule has room for this one
                assert rule in rules(*made), (mutation.__name__, made, played.rows)
                caught[mutation.__name__] += 1
    assert min(caught.values()) >= 6, caught
    assert {rule for _, rule in MUTATIONS} == RULES


def first_broken(vm, instance, conditions: dict, rows):
    """The first action that breaks a rule, played slowly: its step and its rules; None where all is well."""
    world = vm.World(instance, conditions)
    if not instance.dynamic:
        for row in rows:
            broken = world.judge(row[VM], row[NODE])
            if not row[STEP] == row[START] == row[END]:
                broken.add("time")
            if broken:
                return row[STEP], broken
            world.act(row[VM], row[NODE])
        return None
    found = []

    def decide(time, done):
        if found or done == len(rows):
            return None
        decided = rows[done][START] - world.conditions["latency"]
        if decided == time and rows[done][START] < instance.horizon:
            found.append((done, world.judge(rows[done][VM], rows[done][NODE])))
            if not found[0][1]:
                found.clear()
                return rows[done][VM], rows[done][NODE]
        elif decided < time or rows[done][START] >= instance.horizon:
            found.append((done, {"time"}))
        return None

    done = vm.Clock(world, decide).rows
    found += [(row[STEP], {"time"}) for row, claim in zip(done, rows, strict=False) if row != list(claim)]
    found += [(row[STEP], {"time"}) for row in rows[len(done) :] if not found]
    return min(found, default=None, key=lambda one: one[0])


def perturb(rows, instance, rng):
    """Some entries changed a little, or to anything small; steps stay."""
    rows = [list(row) for row in rows]
    for row in rows:
        if rng.random() < 0.2:
            row[VM] = int(rng.integers(0, instance.vms))
        if rng.random() < 0.2:
            row[NODE] = int(rng.integers(-1, instance.nodes))
        if rng.random() < 0.04:
            row[VM if rng.random() < 0.5 else NODE] = int(rng.choice([-2, -1, instance.vms, instance.nodes]))
        shift = int(rng.choice([-5, -1, 1, 5])) if rng.random() < 0.05 else 0
        row[START], row[END] = row[START] + shift * (rng.random() < 0.8), row[END] + shift * (rng.random() < 0.8)
    return rows


def test_the_first_broken_rules_are_those_of_the_statement(vm):
    rng = np.random.default_rng(77)
    seen = Counter()
    for turn in range(900):
        kind = vm.kinds[turn % 3]
        instance, conditions = vm.instance(rng, kind), vm.conditions(rng)
        rows = perturb(vm.play(instance, conditions, rng).rows, instance, rng)
        if rng.random() < 0.15:
            conditions["mnl"] = int(rng.integers(len(rows) + 1))
        expected = first_broken(vm, instance, conditions, rows)
        schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
        violations = check(instance, schedule)
        if expected is None:
            assert violations == [], rows
            continue
        step, broken = expected
        found: dict[int, set] = {}
        for violation in violations:
            found.setdefault(int(violation.message.split()[1]), set()).add(violation.rule)
        assert min(found) == step, (violations, expected)
        if kind == "timeline":  # what goes wrong when it is decided may go on for a time that is wrong, too
            assert broken <= found[step] and (found[step] <= broken | {"time"} or "time" in broken), violations
        else:
            assert broken == found[step], violations
        seen.update((kind, rule) for rule in broken)
    for kind in vm.kinds:
        asked = {"entry", "placed", "movable", "capacity", "drained", "affinity", "evict", "limit", "time"}
        assert all(seen[kind, rule] >= 2 for rule in asked), seen


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_nonsense_is_reported_without_an_exception(vm, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance, conditions = vm.instance(rng, data.draw(st.sampled_from(vm.kinds))), vm.conditions(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    small = st.one_of(st.integers(-1, 8), number)
    rows = data.draw(st.lists(st.tuples(small, small, small, number, number), max_size=10))
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
    violations = check(instance, schedule)
    assert all(isinstance(violation, Violation) and violation.rule in RULES for violation in violations)
    assert violations or sorted(row[STEP] for row in rows) == list(range(len(rows)))


@given(st.integers(0, 2**32))
def test_the_order_of_rows_does_not_matter(vm, number):
    rng = np.random.default_rng(number)
    instance, conditions = vm.instance(rng, vm.kinds[number % 3]), vm.conditions(rng)
    rows = np.array(perturb(vm.play(instance, conditions, rng).rows, instance, rng), dtype=np.int64).reshape(-1, 5)
    one, other = (check(instance, Schedule(instance, some, conditions)) for some in (rows, rng.permutation(rows)))
    assert one == other


@given(st.integers(0, 2**32))
def test_the_beginning_of_a_feasible_schedule_is_one(vm, number):
    rng = np.random.default_rng(number)
    instance, conditions = vm.instance(rng, vm.kinds[number % 3]), vm.conditions(rng)
    rows = vm.play(instance, conditions, rng).rows
    for length in range(len(rows)):
        assert rules(instance, rows[:length], conditions) == set()
