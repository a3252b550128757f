"""Every feasible schedule passes, and every way to break one is found: many random schedules and mutants.

A mutant is a schedule with rows or claims changed, or one of a world that is not the instance's, such as one with
more memory. Whether it is still feasible says the slow play of the statement, which follows its admissions.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.llm.claim import RULES
from dispatchgym.envs.llm.conditions import TOTALS
from dispatchgym.envs.llm.validator import check, metrics

SCHEDULES = 600
Q, STEP, SERVER, START, END = range(5)
ODD = [-1, 2**62, 2**63 - 1, -(2**63)]


class Case:
    """A feasible schedule, and what mutations ask about it."""

    def __init__(self, naive, cases, number):
        self.naive, self.rng = naive, np.random.default_rng(number)
        self.instance, self.options = cases.instance(self.rng), cases.conditions(self.rng)
        self.reject = self.instance.objective == "miss_rate" and bool(self.rng.random() < 0.6)
        self.seed, self.stop = int(self.rng.integers(2**32)), float(self.rng.choice([0, 0.2, 0.6]))
        self.schedule = self.play(self.instance, self.options)
        self.rows = self.schedule.entries.tolist()

    def play(self, instance, options, cheat=None):
        """A schedule of random decisions in some world."""
        world = (cheat or self.naive.World)(
            instance,
            options,
            self.naive.at_random(np.random.default_rng(self.seed), self.stop, 0.15),
            reject=self.reject,
        )
        moments = 0
        while world.moment():
            moments += 1
            assert moments < 500, "some worlds get nowhere"
        return world.schedule()

    def pick(self, some):
        """One of these, or None."""
        some = list(some)
        return some[self.rng.integers(len(some))] if some else None

    def where(self, kind):
        """The rows of prefills, of decode steps, of pauses or of rejections."""
        tests = {"prefill": lambda s: s >= 0 and s % 2 == 0, "decode": lambda s: s >= 0 and s % 2 == 1,
                 "pause": lambda s: s == -1, "rejection": lambda s: s == -2}  # fmt: skip
        return [at for at, row in enumerate(self.rows) if tests[kind](row[STEP])]

    def servers(self, **more):
        """The instance with other servers."""
        return replace(self.instance, servers=tuple(replace(one, **more) for one in self.instance.servers))

    def claims(self, rows, **totals):
        """Rows with other claims."""
        return Schedule(self.instance, np.array(rows, dtype=np.int64).reshape(-1, 5), self.schedule.conditions | totals)

    def relabelled(self, instance=None, cheat=None, **options):
        """What was played in another world, said to be of this one."""
        try:
            played = self.play(instance or self.instance, self.options | options, cheat)
        except AssertionError:  # the decisions do not lead anywhere there
            return None
        return Schedule(self.instance, played.entries, played.conditions | self.schedule.conditions | {
            name: played.conditions[name] for name in TOTALS
        })  # fmt: skip


def feasible(case, schedule) -> bool:
    """Whether the slow play, admitting and rejecting what a schedule says, arrives at the same."""
    for request, step, server, _, _ in schedule.entries.tolist():
        admits = step >= 0 and step % 2 == 0
        if not 0 <= request < case.instance.requests or (admits and not 0 <= server < len(case.instance.servers)):
            return False
    options = {key: value for key, value in schedule.conditions.items() if key not in TOTALS}
    follow = case.naive.Follower(schedule)
    try:
        played = case.naive.run(case.instance, options, follow, reject=case.instance.objective == "miss_rate")
    except AssertionError:
        return False
    return played.entries.tolist() == schedule.entries.tolist() and played.conditions == schedule.conditions


# Each mutation returns rows or a schedule, or None where there is nothing to change.


def drop_prefill(rows, case):
    rows.pop(case.pick(case.where("prefill")))
    return rows


def drop_decode(rows, case):
    at = case.pick(case.where("decode"))
    return at and rows[:at] + rows[at + 1 :]


def drop_request(rows, case):
    gone = case.pick(range(case.instance.requests))
    return [row for row in rows if row[Q] != gone]


def duplicate(rows, case):
    at = case.pick(range(len(rows)))
    return rows[: at + 1] + rows[at:]


def unknown_request(rows, case):
    rows[case.pick(range(len(rows)))][Q] = case.pick([*ODD, case.instance.requests])
    return rows


def unknown_server(rows, case):
    rows[case.pick(case.where("prefill") + case.where("decode") + case.where("pause"))][SERVER] = case.pick(
        [*ODD, len(case.instance.servers)]
    )
    return rows


def unknown_step(rows, case):
    rows[case.pick(range(len(rows)))][STEP] = case.pick([-3, 2**62, 2**63 - 1, -(2**63)])
    return rows


def later_stay(rows, case):
    """A stay is numbered as if there had been one before."""
    at = case.pick(case.where("prefill"))
    rows[at][STEP] += 2
    return rows


def swap_rows(rows, case):
    at = case.pick(at for at in range(len(rows) - 1) if rows[at][STEP] < 0 or rows[at][START] != rows[at + 1][START])
    if at is None:
        return None
    rows[at], rows[at + 1] = rows[at + 1], rows[at]
    return rows


def pauses_first(rows, case):
    return rows[::-1] if len(rows) > 1 else None


def admit_at_another_time(rows, case):
    rows[case.pick(case.where("prefill"))][START] += case.pick([-5, -1, 1, 2**40])
    return rows


def admit_before_arrival(rows, case):
    """What follows at the same times, but a request came later."""
    first = [at for at in case.where("prefill") if rows[at][STEP] == 0 and case.instance.parent[rows[at][Q]] < 0]
    at = case.pick(first)
    if at is None or case.instance.parent.max() >= 0:
        return None
    arrival = case.instance.arrival.copy()
    last = rows[at][Q] == case.instance.requests - 1
    arrival[rows[at][Q]] = rows[at][START] + 1 if last else min(rows[at][START] + 1, arrival[rows[at][Q] + 1])
    if arrival[rows[at][Q]] <= rows[at][START]:
        return None
    return case.claims(rows), replace(case.instance, arrival=arrival)


def admit_to_another_server(rows, case):
    at = case.pick(case.where("prefill"))
    other = case.pick(one for one in range(len(case.instance.servers)) if one != rows[at][SERVER])
    if other is None:
        return None
    rows[at][SERVER] = other
    if at + 1 < len(rows) and rows[at + 1][STEP] == rows[at][STEP] + 1:
        rows[at + 1][SERVER] = other
    return rows


def admit_twice(rows, case):
    """A request that runs, or has finished, once more."""
    at = case.pick(case.where("prefill"))
    request, step, server, start, end = rows[at]
    more = max(row[STEP] // 2 for row in rows if row[Q] == request) + 1
    last = max(case.where("prefill") + case.where("decode"))
    time = max(rows[last][START], case.pick([start, end]))
    return [*rows[: last + 1], [request, 2 * more, server, time, time + 1], *rows[last + 1 :]]


def prefill_ends(rows, case):
    rows[case.pick(case.where("prefill"))][END] += case.pick([-1, 1, 2**40])
    return rows


def stay_ends(rows, case):
    at = case.pick(case.where("decode"))
    if at is not None:
        rows[at][END] += case.pick([-1, 1, 2**40])
    return at is not None and rows


def decode_starts(rows, case):
    at = case.pick(case.where("decode"))
    if at is not None:
        rows[at][START] += case.pick([-1, 1])
    return at is not None and rows


def decode_elsewhere(rows, case):
    at = case.pick(case.where("decode"))
    if at is None or len(case.instance.servers) == 1:
        return None
    rows[at][SERVER] = (rows[at][SERVER] + 1) % len(case.instance.servers)
    return rows


def needless_decode(rows, case):
    """Decode steps of a stay that has none."""
    at = case.pick(set(case.where("prefill")) - {at - 1 for at in case.where("decode")})
    if at is None:
        return None
    request, step, server, _, end = rows[at]
    return [*rows[: at + 1], [request, step + 1, server, end, end + int(case.rng.integers(2))], *rows[at + 1 :]]


def other_pause(rows, case):
    at = case.pick(case.where("pause"))
    if at is None:
        return None
    shift = case.pick([-1, 1])
    for column in case.pick([[START], [END], [START, END]]):
        rows[at][column] += shift
    return rows


def no_pause(rows, case):
    at = case.pick(case.where("pause"))
    return None if at is None else rows[:at] + rows[at + 1 :]


def needless_pause(rows, case):
    one = case.pick(set(range(case.instance.requests)) - {rows[at][Q] for at in case.where("pause")})
    if one is None:
        return None
    before = [row for row in rows if row[STEP] >= 0 or (row[STEP] == -1 and row[Q] < one)]
    return [*before, [one, -1, 0, 1, 2], *rows[len(before) :]]


def reject_finished(rows, case):
    one = case.pick(set(range(case.instance.requests)) - {rows[at][Q] for at in case.where("rejection")})
    if one is None:
        return None
    time = case.pick([row[END] for row in rows if row[Q] == one])
    before = [row for row in rows if row[STEP] >= -1 or row[Q] < one]
    return [*before, [one, -2, -1, time, time], *rows[len(before) :]]


def reject_too_early(rows, case):
    at = case.pick(case.where("rejection"))
    if at is None:
        return None
    rows[at][START] = rows[at][END] = case.pick([-1, -(2**63), int(case.instance.arrival[rows[at][Q]]) - 1])
    return rows


def reject_for_some_time(rows, case):
    at = case.pick(case.where("rejection"))
    if at is None:
        return None
    rows[at][END] += 1
    return rows


def reject_nobody(rows, case):
    at = case.pick(case.where("rejection"))
    return None if at is None else rows[:at] + rows[at + 1 :]


def reject_where_that_is_not_possible(rows, case):
    if not case.where("rejection"):
        return None
    return case.claims(rows), replace(case.instance, objective="e2e_mean")


def other_total(rows, case):
    name = case.pick(TOTALS)
    totals = list(case.schedule.conditions[name])
    totals[int(case.rng.integers(len(totals)))] += case.pick([1, 2**40])
    return case.claims(rows, **{name: totals})


def missing_totals(rows, case):
    name = case.pick(TOTALS)
    return case.claims(rows, **{name: case.pick([[], [*case.schedule.conditions[name], 0]])})


def more_memory(rows, case):
    return case.relabelled(case.servers(kv_tokens=600))


def smaller_blocks(rows, case):
    return case.relabelled(
        replace(case.instance, servers=tuple(
            replace(one, block_size=1, kv_tokens=one.blocks * one.block_size) for one in case.instance.servers
        ))
    )  # fmt: skip


def more_seqs(rows, case):
    if any(one.preemptive for one in case.instance.servers):
        return None
    return case.relabelled(case.servers(max_num_seqs=20, token_budget=50))


def more_budget(rows, case):
    return case.relabelled(case.servers(token_budget=100))


def slower(rows, case):
    name = case.pick(["base", "prefill", "attention", "decode", "read", "token", "beyond"])
    return case.relabelled(case.servers(**{name: getattr(case.instance.servers[0], name) + 10**9}))


def preemptive(rows, case):
    alone = tuple(replace(one, preemptive=one.max_num_seqs == 1) for one in case.instance.servers)
    return case.relabelled(replace(case.instance, servers=alone))


def not_preemptive(rows, case):
    """What replaces another one would not have been possible."""
    if not any(one.preemptive for one in case.instance.servers):
        return None
    return case.claims(rows), case.servers(preemptive=False)


def no_watermark(rows, case):
    return case.relabelled(watermark=0)


def other_victim(rows, case):
    return case.relabelled(victim=case.pick({"last", "least", "priority"} - {case.options.get("victim", "last")}))


def other_swap(rows, case):
    return case.relabelled(swap_rate=case.pick({0, 1, 1000} - {case.options.get("swap_rate", 0)}))


def no_cache(rows, case):
    return case.relabelled(prefix_cache=not case.options.get("prefix_cache", True))


def no_groups(rows, case):
    alone = np.full(case.instance.requests, -1)
    return case.relabelled(replace(case.instance, group=alone, shared=np.zeros_like(alone)))


def no_sessions(rows, case):
    """Follow-ups come by themselves, at times that they would not have come."""
    if case.instance.parent.max() < 0:
        return None
    alone = np.full(case.instance.requests, -1)
    return case.relabelled(replace(case.instance, parent=alone, arrival=np.sort(case.instance.arrival)))


def longer_output(rows, case):
    output = case.instance.output.copy()
    if case.instance.parent.max() >= 0:
        return None
    output[case.pick(range(len(output)))] -= 1
    if output.min() < 1:
        return None
    return case.relabelled(replace(case.instance, output=output))


def cheat_preempted(rows, case):
    class Cheat(case.naive.World):
        def grow(self, server):
            super().grow(server)
            return False

    return case.relabelled(cheat=Cheat)


def cheat_home(rows, case):
    class Cheat(case.naive.World):
        def allowed(self, server, request):
            if request in self.kept:
                self.kept[request] = (*self.kept[request][:2], server.index)
            return super().allowed(server, request)

    return case.relabelled(cheat=Cheat)


def cheat_progress(rows, case):
    """Who is replaced on a serial server loses what it had."""

    class Cheat(case.naive.World):
        def preempt(self, server, run, keep):
            super().preempt(server, run, keep and not server.profile.preemptive)

    return case.relabelled(cheat=Cheat)


def cheat_least_recently_used(rows, case):
    class Cheat(case.naive.World):
        def evict(self, server):
            unused = [(entry.used, key) for key, entry in server.cache.items() if not entry.users]
            if unused:
                self.drop(server, max(unused)[1])
            return bool(unused)

    return case.relabelled(cheat=Cheat)


def cheat_last_pause(rows, case):
    class Cheat(case.naive.World):
        def schedule(self):
            self.tokens = {one: list(tokens) for one, tokens in self.tokens.items()}
            schedule = super().schedule()
            rows = schedule.entries.tolist()
            for row in rows:
                if row[STEP] == -1:
                    tokens = self.tokens[row[Q]]
                    pairs = list(zip(tokens, tokens[1:], strict=False))
                    a, b = max(reversed(pairs), key=lambda pair: pair[1][0] - pair[0][0])
                    row[SERVER:] = [b[1], a[0], b[0]]
            return Schedule(schedule.instance, np.array(rows, dtype=np.int64).reshape(-1, 5), schedule.conditions)

    return case.relabelled(cheat=Cheat)


def cheat_prefill_first(rows, case):
    """Prefills in the reverse order of admission."""

    class Cheat(case.naive.World):
        def start(self, server):
            server.running.sort(key=lambda run: run.decodes)
            server.running.reverse()
            super().start(server)

    return case.relabelled(cheat=Cheat)


ANY = set(RULES)
MUTATIONS = {
    drop_prefill: {"shape", "complete", "waiting", "preemption", "totals"},
    drop_decode: {"preemption"},
    drop_request: {"complete"},
    duplicate: {"shape"},
    unknown_request: {"shape"},
    unknown_server: {"shape"},
    unknown_step: {"shape"},
    later_stay: {"shape"},
    swap_rows: {"order", "shape"},
    pauses_first: {"order"},
    admit_at_another_time: {"boundary", "arrival", "timing", "shape", "order", "waiting", "totals"},
    admit_before_arrival: {"arrival"},
    admit_to_another_server: ANY - {"shape", "reject", "complete"},
    admit_twice: {"waiting", "shape", "boundary", "preemption"},
    prefill_ends: {"timing"},
    stay_ends: {"timing"},
    decode_starts: {"timing"},
    decode_elsewhere: {"timing"},
    needless_decode: {"preemption"},
    other_pause: {"pause"},
    no_pause: {"pause"},
    needless_pause: {"pause"},
    reject_finished: {"reject", "waiting"},
    reject_too_early: {"reject"},
    reject_for_some_time: {"shape"},
    reject_nobody: {"complete"},
    reject_where_that_is_not_possible: {"reject"},
    other_total: {"totals"},
    missing_totals: {"totals"},
    more_memory: {"capacity", "preemption", "timing", "totals", "waiting"},
    smaller_blocks: {"capacity", "preemption", "timing", "totals"},
    more_seqs: {"sequences", "budget", "timing", "totals"},
    more_budget: {"budget", "timing", "totals"},
    slower: {"timing", "boundary", "totals"},
    preemptive: {"sequences"},
    not_preemptive: {"sequences"},
    no_watermark: {"capacity"},
    other_victim: {"preemption", "timing", "waiting", "boundary"},
    other_swap: {"timing", "boundary"},
    no_cache: {"timing", "totals", "capacity", "boundary", "preemption"},
    no_groups: {"timing", "totals", "capacity", "boundary", "preemption"},
    no_sessions: {"arrival", "timing", "boundary", "totals", "reject"},
    longer_output: {"timing", "preemption", "complete", "totals"},
    cheat_preempted: {"preemption"},
    cheat_home: {"server"},
    cheat_progress: {"preemption", "timing"},
    cheat_least_recently_used: {"timing", "capacity", "boundary", "preemption", "totals"},
    cheat_last_pause: {"pause"},
    cheat_prefill_first: {"timing", "boundary", "preemption", "totals"},
}
RARE = {
    "preemptive": 20,
    "not_preemptive": 20,
    "cheat_home": 5,
    "cheat_preempted": 5,
    "cheat_least_recently_used": 3,
    "other_victim": 5,
    "cheat_progress": 10,
    "no_watermark": 10,
}


@pytest.fixture(scope="module")
def played(naive, cases):
    """Random feasible schedules."""
    return [Case(naive, cases, number) for number in range(SCHEDULES)]


def test_every_feasible_schedule_passes(played):
    for case in played:
        assert check(case.instance, case.schedule) == []
        assert feasible(case, case.schedule)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_every_mutant_is_found(played, mutate):
    caught, seen = 0, Counter()
    needed = RARE.get(mutate.__name__, 20)
    for case in played[: 200 if mutate.__name__ not in RARE else SCHEDULES]:
        if caught == 2 * needed:
            break
        if not case.where("prefill"):
            continue
        mutant = mutate([list(row) for row in case.rows], case)
        if mutant is None or mutant is False:
            continue
        instance = case.instance
        if isinstance(mutant, tuple):
            mutant, instance = mutant
        elif isinstance(mutant, list):
            mutant = case.claims(mutant)
        rules = {violation.rule for violation in check(instance, mutant)}
        home, case.instance = case.instance, instance
        assert (rules == set()) == feasible(case, mutant), (rules, case.rows, mutant.entries.tolist())
        case.instance = home
        if rules:
            assert rules & MUTATIONS[mutate], rules
            caught, seen = caught + 1, seen + Counter(rules)
    assert caught >= needed, caught
    assert max(seen[rule] for rule in MUTATIONS[mutate]) > caught // 4


@settings(max_examples=300)
@given(data=st.data())
def test_nonsense_is_reported_without_an_exception(naive, cases, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance, options = cases.instance(rng), cases.conditions(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    small = st.one_of(st.integers(-2, 8), number)
    rows = data.draw(st.lists(st.tuples(small, small, small, number, number), max_size=12))
    totals = st.lists(st.integers(0, 2**63 - 1), max_size=3)
    options |= {name: data.draw(totals) for name in TOTALS}
    violations = check(instance, Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), options))
    assert all(isinstance(one, Violation) and one.rule in RULES for one in violations)


@settings(max_examples=150)
@given(number=st.integers(0, 2**32))
def test_rows_changed_anyhow_pass_only_if_they_are_feasible(naive, cases, number):
    case = Case(naive, cases, number)
    rows, rng = [list(row) for row in case.rows], case.rng
    for _ in range(int(rng.integers(1, 4))):
        row = rows[int(rng.integers(len(rows)))] if rows else [0] * 5
        row[int(rng.integers(5))] += int(rng.choice([-2, -1, 1, 2]))
    mutant = case.claims(rows)
    assert (check(case.instance, mutant) == []) == feasible(case, mutant)


@settings(max_examples=300)
@given(number=st.integers(0, 2**32))
def test_decisions_taken_anyhow_are_judged(naive, cases, number):
    """Any request to any server, often, at times that mean something: what is carried out breaks rules all the time."""
    rng = np.random.default_rng(number)
    instance, options = cases.instance(rng), cases.conditions(rng)
    rows = []
    for time in np.sort(rng.integers(0, int(rng.choice([3, 30, 300])), int(rng.integers(1, 40)))).tolist():
        request, server = int(rng.integers(instance.requests)), int(rng.integers(len(instance.servers)))
        rows.append([request, 2 * sum(row[Q] == request for row in rows), server, time, time + 1])
    gone = np.flatnonzero(rng.random(instance.requests) < rng.choice([0, 0.3])).tolist()
    rows += [[request, -2, -1, time, time] for request in gone for time in [int(rng.integers(300))]]
    schedule = Schedule(instance, np.array(rows, dtype=np.int64), options)
    assert {violation.rule for violation in check(instance, schedule)} <= ANY
    assert all(np.isfinite(value) for value in metrics(instance, schedule).values())


@settings(max_examples=50)
@given(number=st.integers(0, 2**32))
def test_the_beginning_of_a_schedule_lacks_only_what_is_missing(naive, cases, number):
    case = Case(naive, cases, number)
    stays = [row for row in case.rows if row[STEP] >= 0]
    for length in range(len(stays)):
        found = {one.rule for one in check(case.instance, case.claims(stays[:length]))}
        assert found - {"complete", "totals", "pause", "timing", "preemption"} <= {"arrival"}
