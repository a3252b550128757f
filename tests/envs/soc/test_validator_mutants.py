"""Every feasible schedule passes, and every way to break one is found: thousands of random schedules and mutants."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.noise import actual_times
from dispatchgym.envs.soc.validator import check

SCHEDULES = 4000
JOB, STEP, RESOURCE, START, END = range(5)
RULES = {"completeness", "assignment", "duration", "arrival", "precedence", "capacity", "limit", "bus"}


def rules(instance: SoCInstance, entries: np.ndarray, conditions: dict) -> set[str]:
    return {violation.rule for violation in check(instance, Schedule(instance, entries, conditions))}


class Case:
    """A feasible schedule and what mutations ask about it."""

    def __init__(self, instance, entries, conditions, rng, transfer):
        self.instance, self.entries, self.conditions = instance, entries, conditions
        self.rng, self.transfer = rng, transfer
        self.times = actual_times(instance, conditions)
        self.tasks = np.flatnonzero(entries[:, STEP] < instance.widest)
        self.moves = np.flatnonzero(entries[:, STEP] >= instance.widest)
        self.place = {(row[JOB], row[STEP]): at for at, row in enumerate(entries.tolist())}

    def pick(self, rows):
        """One of these rows, or None."""
        return rows[self.rng.integers(len(rows))] if len(rows) else None

    def edges(self):
        """(edge, row of the source, row of the target, row of the transfer or None, its time) of every job's edges."""
        for job, index in enumerate(self.instance.arrival_graph.tolist()):
            graph = self.instance.graphs[index]
            for edge, (source, target) in enumerate(graph.edges.tolist()):
                first, second = self.place[job, source], self.place[job, target]
                p, q = self.entries[first, RESOURCE], self.entries[second, RESOURCE]
                time = self.transfer(self.instance, self.conditions, int(graph.volume[edge]), p, q)
                yield edge, first, second, self.place.get((job, self.instance.widest + edge)), time


def shift(entries: np.ndarray, row: int, start: int) -> np.ndarray:
    """Move one entry to another start."""
    entries[row, START:] += start - entries[row, START]
    return entries


# Each mutation breaks the rule it is listed under, or returns None where the schedule has no room for it.


def drop(entries, case):
    return np.delete(entries, case.pick(case.tasks), axis=0)


def duplicate(entries, case):
    return np.vstack([entries, entries[case.pick(case.tasks)]])


def change_job(entries, case):
    entries[case.pick(case.tasks), JOB] += case.rng.integers(1, 3)  # a duplicate or a stranger, and a gap
    return entries


def unknown_job(entries, case):
    entries[case.pick(range(len(entries))), JOB] = case.rng.choice([-1, case.instance.jobs, 2**62, -(2**63)])
    return entries


def unknown_step(entries, case):
    beyond = case.instance.widest + max(len(graph.edges) for graph in case.instance.graphs)
    entries[case.pick(range(len(entries))), STEP] = case.rng.choice([-1, beyond, 2**62, -(2**63)])
    return entries


def needless_bus(entries, case):
    """A transfer where there is no bus."""
    if case.conditions.get("shared_bus"):
        return None
    return np.vstack([entries, [0, case.instance.widest, case.instance.elements, 500, 501]])


def unknown_element(entries, case):
    entries[case.pick(case.tasks), RESOURCE] = case.rng.choice([-1, case.instance.elements, 2**63 - 1, -(2**63)])
    return entries


def infeasible_element(entries, case):
    pairs = [(at, pe) for at in case.tasks for pe in np.flatnonzero(case.times[tuple(entries[at, :2])] < 0)]
    if not pairs:
        return None
    row, pe = case.pick(pairs)
    entries[row, RESOURCE] = pe
    return entries


def transfer_off_the_bus(entries, case):
    row = case.pick(case.moves)
    if row is None:
        return None
    entries[row, RESOURCE] = case.rng.choice([0, case.instance.elements - 1, case.instance.elements + 1, -1])
    return entries


def change_end(entries, case):
    entries[case.pick(case.tasks), END] += case.rng.choice([-3, -1, 1, 2, 2**40])
    return entries


def swap_elements(entries, case):
    """Two tasks exchange their processing elements and keep their times, where that takes another time."""
    pairs = [
        (a, b) for a in case.tasks for b in case.tasks
        if case.times[(*entries[a, :2], entries[b, RESOURCE])] != entries[a, END] - entries[a, START]
        and case.times[(*entries[a, :2], entries[b, RESOURCE])] >= 0
    ]  # fmt: skip
    if not pairs:
        return None
    pair = list(case.pick(pairs))
    entries[pair, RESOURCE] = entries[pair[::-1], RESOURCE]
    return entries


def forget_the_noise(entries, case):
    """The actual times are those of another world."""
    conditions = case.conditions | {"episode": 77}
    times = actual_times(case.instance, conditions)
    lengths = times[tuple(entries[case.tasks, :3].T)]
    if (lengths == entries[case.tasks, END] - entries[case.tasks, START]).all():
        return None
    return entries, conditions


def wrap_around(entries, case):
    """The difference of start and end is right in 64 bits and wrong in truth."""
    row = case.pick(case.tasks)
    length = entries[row, END] - entries[row, START]
    if length == 0:
        return None
    entries[row, START:] = 2**63 - 1, -(2**63) + length - 1
    return entries


def negative_start(entries, case):
    return shift(entries, case.pick(range(len(entries))), -case.rng.integers(1, 5))


def before_arrival(entries, case):
    late = np.flatnonzero(case.instance.arrival_time[entries[:, JOB]] > 0)
    row = case.pick(late)
    return None if row is None else shift(entries, row, case.instance.arrival_time[entries[row, JOB]] - 1)


def before_predecessor(entries, case):
    edge = case.pick(list(case.edges()))
    return None if edge is None else shift(entries, edge[2], entries[edge[1], END] - case.rng.integers(1, 4))


def ignore_the_transfer(entries, case):
    """The successor starts when its predecessor ends, or a little later, but before its data is there."""
    late = [(first, second, time) for _, first, second, _, time in case.edges() if time > 0]
    if not late:
        return None
    first, second, time = case.pick(late)
    return shift(entries, second, entries[first, END] + case.rng.integers(time))


def during_the_transfer(entries, case):
    used = [(row, second) for _, _, second, row, _ in case.edges() if row is not None]
    if not used:
        return None
    row, second = case.pick(used)
    return shift(entries, second, case.rng.integers(entries[row, START], entries[row, END]))


def late_predecessor(entries, case):
    edge = case.pick(list(case.edges()))
    return None if edge is None else shift(entries, edge[1], entries[edge[2], START] + 1)


def other_rounding(entries, case):
    """Transfers that were rounded down are judged by those that are rounded up."""
    if case.conditions.get("rounding") != "down" or case.conditions.get("shared_bus"):
        return None
    up = case.conditions | {"rounding": "up"}
    times = [time for *_, time in Case(case.instance, entries, up, case.rng, case.transfer).edges()]
    room = [entries[second, START] - entries[first, END] for _, first, second, _, _ in case.edges()]
    return (entries, up) if any(left < time for left, time in zip(room, times, strict=True)) else None


def overlap(entries, case):
    busy = [at for at in case.tasks if entries[at, END] > entries[at, START]]
    pairs = [(a, b) for a in busy for b in busy if a != b and entries[a, RESOURCE] == entries[b, RESOURCE]]
    if not pairs:
        return None
    moved, still = case.pick(pairs)
    length = entries[moved, END] - entries[moved, START]
    # any start that shares at least one time unit with the other task
    return shift(entries, moved, case.rng.integers(entries[still, START] - length + 1, entries[still, END]))


def onto_a_busy_element(entries, case):
    """The task keeps its time and goes where another runs then."""
    pairs = [
        (a, b) for a in case.tasks for b in case.tasks
        if entries[a, RESOURCE] != entries[b, RESOURCE]
        and max(entries[a, START], entries[b, START]) < min(entries[a, END], entries[b, END])
    ]  # fmt: skip
    if not pairs:
        return None
    moved, still = case.pick(pairs)
    entries[moved, RESOURCE] = entries[still, RESOURCE]
    return entries


def before_admission(entries, case):
    """A task of a job that had to wait starts before there was room for it."""
    cap = case.conditions.get("wip_cap", 0)
    if not 0 < cap < case.instance.jobs:
        return None
    rows = entries[case.tasks]
    job = int(case.rng.integers(cap, case.instance.jobs))
    admitted = sorted(rows[rows[:, JOB] == before, END].max() for before in range(job))[job - cap]
    row = case.pick(case.tasks[rows[:, JOB] == job])
    return shift(entries, row, admitted - 1) if admitted > case.instance.arrival_time[job] else None


def smaller_cap(entries, case):
    """More jobs are in the system than a smaller cap allows."""
    rows = entries[case.tasks]
    for job in range(1, case.instance.jobs):
        if rows[rows[:, JOB] == job, START].min() < rows[rows[:, JOB] == job - 1, END].max():
            if rows[rows[:, JOB] < job - 1].size == 0:  # the first two jobs are in the system together
                return entries, case.conditions | {"wip_cap": 1}
    return None


def drop_transfer(entries, case):
    return np.delete(entries, case.pick(case.moves), axis=0) if len(case.moves) else None


def duplicate_transfer(entries, case):
    return np.vstack([entries, entries[case.pick(case.moves)]]) if len(case.moves) else None


def shorten_transfer(entries, case):
    if not len(case.moves):
        return None
    entries[case.pick(case.moves), END] += case.rng.choice([-1, 1])
    return entries


def early_transfer(entries, case):
    used = [(first, row) for _, first, _, row, _ in case.edges() if row is not None]
    if not used:
        return None
    first, row = case.pick(used)
    return shift(entries, row, entries[first, END] - 1)


def useless_transfer(entries, case):
    none = [(edge, first) for edge, first, _, row, _ in case.edges() if row is None]
    if not none or not case.conditions.get("shared_bus"):
        return None
    edge, first = case.pick(none)
    row = [entries[first, JOB], case.instance.widest + edge, case.instance.elements, entries[first, END]]
    return np.vstack([entries, [*row, row[-1] + case.rng.integers(0, 2)]])


def two_on_the_bus(entries, case):
    if len(case.moves) < 2:
        return None
    moved, still = case.rng.choice(case.moves, 2, replace=False)
    return shift(entries, moved, entries[still, START])


MUTATIONS = [
    (drop, "completeness"), (duplicate, "completeness"), (change_job, "completeness"), (unknown_job, "completeness"),
    (unknown_step, "completeness"), (needless_bus, "completeness"),
    (unknown_element, "assignment"), (infeasible_element, "assignment"), (transfer_off_the_bus, "assignment"),
    (change_end, "duration"), (swap_elements, "duration"), (forget_the_noise, "duration"), (wrap_around, "duration"),
    (negative_start, "arrival"), (before_arrival, "arrival"),
    (before_predecessor, "precedence"), (ignore_the_transfer, "precedence"), (during_the_transfer, "precedence"),
    (late_predecessor, "precedence"), (other_rounding, "precedence"),
    (overlap, "capacity"), (onto_a_busy_element, "capacity"),
    (before_admission, "limit"), (smaller_cap, "limit"),
    (drop_transfer, "bus"), (duplicate_transfer, "bus"), (shorten_transfer, "bus"), (early_transfer, "bus"),
    (useless_transfer, "bus"), (two_on_the_bus, "bus"),
]  # fmt: skip


def test_every_mutant_is_caught_and_every_original_accepted(soc):
    rng = np.random.default_rng(20240)
    caught = dict.fromkeys((mutation.__name__ for mutation, _ in MUTATIONS), 0)
    for turn in range(SCHEDULES):
        instance, conditions = soc.instance(rng), soc.conditions(rng)
        entries = soc.entries(instance, conditions, rng)
        assert check(instance, Schedule(instance, entries, conditions)) == []
        case = Case(instance, entries, conditions, rng, soc.transfer)
        for step in range(3):
            mutation, rule = MUTATIONS[(turn + 10 * step) % len(MUTATIONS)]
            made = mutation(entries.copy(), case)
            if made is not None:  # the schedule has room for this one
                mutant, under = made if isinstance(made, tuple) else (made, conditions)
                assert rule in rules(instance, mutant, under), (mutation.__name__, under, entries, mutant)
                caught[mutation.__name__] += 1
    assert min(caught.values()) >= 20, caught
    assert {rule for _, rule in MUTATIONS} == RULES


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_nonsense_is_reported_without_an_exception(soc, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance, conditions = soc.instance(rng), soc.conditions(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    small = st.one_of(st.integers(-1, 8), number)
    rows = data.draw(st.lists(st.tuples(small, small, small, number, number), max_size=10))
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
    violations = check(instance, schedule)
    assert all(isinstance(violation, Violation) and violation.rule in RULES for violation in violations)
    assert violations or len(rows) >= instance.tasks


@given(st.integers(0, 2**32))
def test_the_order_of_rows_does_not_matter(soc, number):
    rng = np.random.default_rng(number)
    instance, conditions = soc.instance(rng), soc.conditions(rng)
    entries = soc.entries(instance, conditions, rng)
    broken = entries + rng.integers(-1, 2, entries.shape) * (rng.random(entries.shape) < 0.1)
    found = [check(instance, Schedule(instance, rng.permutation(broken), conditions)) for _ in range(2)]
    first, second = (sorted(v.rule for v in some) for some in found)
    assert first == second


@given(st.integers(0, 2**32))
def test_a_partial_schedule_lacks_nothing_but_the_rest(soc, number):
    """What an episode has committed so far is feasible but for what is missing."""
    rng = np.random.default_rng(number)
    instance, conditions = soc.instance(rng), soc.conditions(rng) | {"wip_cap": 0}
    entries = soc.entries(instance, conditions, rng)
    order = entries[np.lexsort((-entries[:, STEP], entries[:, START]))]
    part = order[: rng.integers(len(order) + 1)]
    assert rules(instance, part, conditions) <= {"completeness"}
