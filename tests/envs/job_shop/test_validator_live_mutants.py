"""The judge of live schedules accepts what a slow clockwork plays, and names the rule that each broken one breaks."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.job_shop.validator import check, metrics

WORK, STEP, RESOURCE, START, END = range(5)
PLAYS = 150
RULES = {
    "completeness", "assignment", "duration", "release", "precedence",
    "shutdown", "interruption", "capacity", "blocking", "swap",
}  # fmt: skip


def rules(schedule: Schedule) -> set[str]:
    return {violation.rule for violation in check(schedule.instance, schedule)}


def with_rows(schedule: Schedule, entries) -> Schedule:
    return Schedule(schedule.instance, np.array(entries, np.int64).reshape(-1, 5), schedule.conditions)


def complete(schedule: Schedule) -> bool:
    named = {(job, step) for job, step, *_ in schedule.entries.tolist()}
    return len(named) == schedule.instance.operations.sum()


# Each mutation breaks the rule it is listed under, or returns None where the schedule has no room for it.


def pieces_of(schedule):
    """The rows of each operation, by its job and step, in order of time."""
    found = {}
    for row in sorted(schedule.entries.tolist(), key=lambda row: (row[START], row[END])):
        found.setdefault((row[WORK], row[STEP]), []).append(row)
    return found


def rest(schedule, operation):
    return [row for row in schedule.entries.tolist() if (row[WORK], row[STEP]) != operation]


def pick(rng, choices):
    choices = sorted(choices)
    return choices[rng.integers(len(choices))] if choices else None


def drop(schedule, clock, rng):
    return with_rows(schedule, rest(schedule, pick(rng, pieces_of(schedule))))


def unknown_machine(schedule, clock, rng):
    entries = schedule.entries.copy()
    entries[rng.integers(len(entries)), RESOURCE] = rng.choice([-1, schedule.instance.machines, 2**63 - 1])
    return with_rows(schedule, entries)


def other_machine_for_a_piece(schedule, clock, rng):
    chosen = pick(rng, [o for o, pieces in pieces_of(schedule).items() if len(pieces) > 1])
    if chosen is None or schedule.instance.machines == 1:
        return None
    first, *others = pieces_of(schedule)[chosen]
    first[RESOURCE] = (first[RESOURCE] + 1) % schedule.instance.machines
    return with_rows(schedule, [*rest(schedule, chosen), first, *others])


def longer(schedule, clock, rng):
    chosen = pick(rng, pieces_of(schedule))
    *others, last = pieces_of(schedule)[chosen]
    last[END] += int(rng.choice([1, 2, 2**40]))
    return with_rows(schedule, [*rest(schedule, chosen), *others, last])


def backwards(schedule, clock, rng):
    entries = schedule.entries.copy()
    row = rng.integers(len(entries))
    entries[row, END] = entries[row, START] - rng.integers(1, 4)
    return with_rows(schedule, entries)


def lose_a_piece(schedule, clock, rng):
    """Of what goes on where it was any piece is missed, of what begins anew the last one."""
    chosen = pick(rng, [o for o, pieces in pieces_of(schedule).items() if len(pieces) > 1])
    if chosen is None:
        return None
    pieces = pieces_of(schedule)[chosen]
    resumes = schedule.conditions["interrupted"] == "resume"
    del pieces[rng.integers(len(pieces)) if resumes else -1]
    return with_rows(schedule, [*rest(schedule, chosen), *pieces])


def other_key(schedule, clock, rng):
    if schedule.conditions["noise"] == "none":
        return None
    key = {"seed": schedule.conditions["seed"] // 2, "world": 5, "episode": 3}
    changed = replace(schedule, conditions=schedule.conditions | key)
    other = type(clock)(schedule.instance, changed.conditions, rng)
    same = all(clock.actual(*operation) == other.actual(*operation) for operation in pieces_of(schedule))
    return None if same else changed


def before_release(schedule, clock, rng):
    late = [o for o in pieces_of(schedule) if o[1] == 0 and schedule.instance.release[o[0]] > 0]
    chosen = pick(rng, late)
    if chosen is None:
        return None
    first, *others = pieces_of(schedule)[chosen]
    first[START] = int(schedule.instance.release[chosen[0]]) - 1
    return with_rows(schedule, [*rest(schedule, chosen), first, *others])


def into_predecessor(schedule, clock, rng):
    pieces = pieces_of(schedule)
    chosen = pick(rng, [o for o in pieces if o[1] > 0])
    if chosen is None:
        return None
    first, *others = pieces[chosen]
    first[START] = pieces[chosen[0], chosen[1] - 1][-1][END] - 1
    return with_rows(schedule, [*rest(schedule, chosen), first, *others])


def through_a_shutdown(schedule, clock, rng):
    """What was interrupted runs on."""
    chosen = pick(rng, [o for o, pieces in pieces_of(schedule).items() if len(pieces) > 1])
    if chosen is None:
        return None
    first = pieces_of(schedule)[chosen][0]
    first[END] = first[START] + clock.actual(*chosen)
    return with_rows(schedule, [*rest(schedule, chosen), first])


def start_while_down(schedule, clock, rng):
    """An operation moves into a shutdown, at its begin or behind it."""
    chosen = pick(rng, pieces_of(schedule))
    first = pieces_of(schedule)[chosen][0]
    windows = clock.down[first[RESOURCE]]
    if not windows:
        return None
    begin, end = windows[rng.integers(len(windows))]
    first[START] = int(rng.integers(begin, end))
    first[END] = first[START] + clock.actual(*chosen)
    return with_rows(schedule, [*rest(schedule, chosen), first])


def pause(schedule, clock, rng):
    """An operation stops for a while although its machine is up."""
    if not schedule.conditions["uptime"]:
        return None
    entries = schedule.entries.tolist()
    chosen = pick(rng, [row for row in entries if row[END] - row[START] > 1])
    if chosen is None:
        return None
    entries.remove(chosen)
    middle = int(rng.integers(chosen[START] + 1, chosen[END]))
    return with_rows(schedule, [*entries, [*chosen[:END], middle], [*chosen[:START], middle + 1, chosen[END] + 1]])


def go_on_late(schedule, clock, rng):
    chosen = pick(rng, [o for o, pieces in pieces_of(schedule).items() if len(pieces) > 1])
    if chosen is None:
        return None
    *others, last = pieces_of(schedule)[chosen]
    return with_rows(schedule, [*rest(schedule, chosen), *others, [*last[:START], last[START] + 1, last[END] + 1]])


def empty_piece(schedule, clock, rng):
    """A piece of length 0 at the end of a shutdown that begins as the operation ends."""
    for pieces in pieces_of(schedule).values():
        for begin, end in clock.down[pieces[-1][RESOURCE]]:
            if pieces[-1][END] == begin and pieces[-1][START] < begin:
                return with_rows(schedule, [*schedule.entries.tolist(), [*pieces[-1][:START], end, end]])
    return None


def overlap(schedule, clock, rng):
    """An operation starts while another one has its machine, running or interrupted."""
    pieces = pieces_of(schedule)
    pairs = [
        (a, b)
        for a in pieces
        for b in pieces
        if a != b and pieces[a][0][RESOURCE] == pieces[b][0][RESOURCE] and pieces[b][-1][END] > pieces[b][0][START]
    ]
    pair = pick(rng, [(a, b) for a, b in pairs if clock.actual(*a) > 0])
    if pair is None:
        return None
    moved, still = pair
    first = pieces[moved][0]
    first[START] = int(rng.integers(pieces[still][0][START], pieces[still][-1][END]))
    first[END] = first[START] + clock.actual(*moved)
    return with_rows(schedule, [*rest(schedule, moved), first])


def onto_a_finished_job(schedule, clock, rng):
    """An operation starts where a job has finished and is still there."""
    if not clock.blocking:
        return None
    pieces = pieces_of(schedule)
    pairs = []
    for a in pieces:
        for b in pieces:
            after = pieces.get((b[0], b[1] + 1))
            if a[0] != b[0] and pieces[a][0][RESOURCE] == pieces[b][0][RESOURCE] and after is not None:
                pairs += [(a, t) for t in range(pieces[b][-1][END] + (clock.actual(*b) == 0), after[0][START])]
    pair = pick(rng, pairs)
    if pair is None:
        return None
    moved, start = pair
    first = pieces[moved][0]
    first[START], first[END] = start, start + clock.actual(*moved)
    return with_rows(schedule, [*rest(schedule, moved), first])


def without_swaps(schedule, clock, rng):
    if not clock.rotations or (schedule.instance.duration == 0)[schedule.instance.machine >= 0].any():
        return None
    return replace(schedule, conditions=schedule.conditions | {"buffers": "none"})


MUTATIONS = [
    (drop, "completeness"),
    (unknown_machine, "assignment"),
    (other_machine_for_a_piece, "assignment"),
    (longer, "duration"),
    (backwards, "duration"),
    (lose_a_piece, "duration"),
    (other_key, "duration"),
    (before_release, "release"),
    (into_predecessor, "precedence"),
    (through_a_shutdown, "shutdown"),
    (start_while_down, "shutdown"),
    (pause, "interruption"),
    (go_on_late, "interruption"),
    (empty_piece, "interruption"),
    (overlap, "capacity"),
    (onto_a_finished_job, "blocking"),
    (without_swaps, "swap"),
]


def test_every_mutant_is_caught_and_every_original_accepted(clockwork):
    rng = np.random.default_rng(7)
    caught = dict.fromkeys((mutation.__name__ for mutation, _ in MUTATIONS), 0)
    deadlocks = interrupted = 0
    for _ in range(PLAYS):
        clock = clockwork.Clockwork(
            clockwork.random_instance(rng, dense=rng.random() < 0.4), clockwork.random_conditions(rng), rng
        )
        schedule = clock.play()
        deadlocks += not complete(schedule)
        interrupted += clock.interrupted
        found = check(schedule.instance, schedule)
        assert {violation.rule for violation in found} <= ({"completeness"} if not complete(schedule) else set()), found
        assert complete(schedule) or schedule.conditions["buffers"] == "none"
        for mutation, rule in MUTATIONS:
            mutant = mutation(schedule, clock, rng) if len(schedule) else None
            if mutant is not None:
                assert rule in rules(mutant), (mutation.__name__, schedule, mutant, clock.down)
                caught[mutation.__name__] += 1
    assert min(caught.values()) >= 5, caught
    assert deadlocks >= 5 and interrupted > 50
    assert {rule for _, rule in MUTATIONS} == RULES


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_nonsense_is_reported_without_an_exception(clockwork, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance = clockwork.random_instance(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    rows = data.draw(st.lists(st.tuples(*[number] * 5), max_size=8))
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), clockwork.random_conditions(rng))
    violations = check(instance, schedule)
    assert all(isinstance(violation, Violation) and violation.rule in RULES for violation in violations)
    assert isinstance(metrics(instance, schedule)["makespan"], int)
    assert violations or len(rows) >= instance.operations.sum()


def test_under_classic_conditions_it_judges_as_the_classic_validator(clockwork):
    rng = np.random.default_rng(3)
    plain = {"buffers": "unlimited", "uptime": 0, "repair": 0, "noise": "none", "sigma": 0.0}
    agreed = 0
    for _ in range(80):
        instance = clockwork.random_instance(rng)
        clock = clockwork.Clockwork(instance, clockwork.random_conditions(rng) | plain, rng)
        schedule = clock.play()
        mutants = [mutation(schedule, clock, rng) for mutation, _ in MUTATIONS]
        for mutant in [schedule, *(mutant for mutant in mutants if mutant is not None)]:
            live = {(v.rule, v.message) for v in check(instance, mutant) if v.rule != "capacity"}
            known = {(v.rule, v.message) for v in check(instance, Schedule(instance, mutant.entries))}
            assert live == {pair for pair in known if pair[0] != "capacity"}
            assert ("capacity" in rules(mutant)) == any(rule == "capacity" for rule, _ in known)
            agreed += 1
    assert agreed > 500
