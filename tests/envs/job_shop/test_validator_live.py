"""The judge of live schedules accepts what a slow clockwork plays, and names the rule that each broken one breaks."""

import ast
import math
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatchgym.envs.job_shop.validator as validator
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule, Violation
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check, metrics

WORK, STEP, RESOURCE, START, END = range(5)
PLAYS = 150
RULES = {
    "completeness", "assignment", "duration", "release", "precedence",
    "shutdown", "interruption", "capacity", "blocking", "swap",
}  # fmt: skip


def mix(x: int) -> int:
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def bits(seed: int, world: int, episode: int, draw: int) -> int:
    x = mix((seed + 0x9E3779B9) % 2**32)
    x = mix((x ^ world) % 2**32)
    x = mix((x + episode) % 2**32)
    return mix((x ^ draw) % 2**32) >> 1


class Clockwork:
    """A shop played time unit by time unit, with random decisions; nothing but the statement.

    Args:
        instance: the problem.
        conditions: all of them, as a dictionary.
        rng: makes the decisions.
        patience: chance that somebody who could move does not.
    """

    def __init__(self, instance, conditions, rng, patience=0.3):
        self.instance, self.conditions, self.rng, self.patience = instance, conditions, rng, patience
        self.key = conditions["seed"], conditions["world"], conditions["episode"]
        self.blocking = conditions["buffers"] != "unlimited"
        self.rows: list[list[int]] = []
        self.rotations = self.interrupted = 0
        self.step = [0] * instance.jobs  # of the next operation
        self.at = [None] * instance.jobs  # the machine a job is at
        self.left = [None] * instance.jobs  # of the operation that runs; None for one that has finished
        self.open = [None] * instance.jobs  # when the piece that runs began
        self.down = [[] for _ in range(instance.machines)]
        self.drawn = [0] * instance.machines

    def actual(self, job: int, step: int) -> int:
        estimate, sigma = int(self.instance.duration[job, step]), self.conditions["sigma"]
        if self.conditions["noise"] == "none" or estimate == 0:
            return estimate
        share = (bits(*self.key, job * self.instance.duration.shape[1] + step) // 2**19 + 0.5) / 4096
        z = NormalDist().inv_cdf(share)
        if self.conditions["noise"] == "gaussian":
            factor = max(1 + sigma * z, 0.1)
        else:
            spread = math.sqrt(math.log1p(sigma**2))
            factor = math.exp(spread * z - spread**2 / 2)
        return max((estimate * round(65536 * min(factor, 8)) + 32768) // 65536, 1)

    def is_down(self, machine: int, now: int) -> bool:
        if self.conditions["uptime"] == 0:
            return False
        stream = bits(*self.key, -1 - machine)
        unit = max(sum(map(sum, self.instance.duration.tolist())) // int(self.instance.operations.sum()), 1)

        def lasts(percent: int, draw: int) -> int:
            share = (bits(stream, 1936225652, 0, draw) // 2**19 + 0.5) / 4096
            return max(1, (unit * percent * round(65536 * -math.log1p(-share)) + 3276800) // 6553600)

        windows = self.down[machine]
        while self.drawn[machine] <= now:
            q = 2 * len(windows)
            begin = self.drawn[machine] + lasts(self.conditions["uptime"], q)
            self.drawn[machine] = begin + lasts(self.conditions["repair"], q + 1)
            windows.append((begin, self.drawn[machine]))
        at = bisect_right(windows, (now, math.inf)) - 1
        return at >= 0 and now < windows[at][1]

    def play(self) -> Schedule:
        """The whole schedule, or what there is of it when nothing can ever move again."""
        instance, now, still = self.instance, 0, 0
        while any(s < n for s, n in zip(self.step, instance.operations, strict=True)) or any(
            left is not None for left in self.left
        ):
            self.finish(now)
            for job in range(instance.jobs):
                self.interrupt(job, now)
            moved = self.decide(now)
            busy = any(left is not None for left in self.left)
            still = 0 if busy or moved or now < instance.release.max() else still + 1
            if still > 300:  # longer than any shutdown
                break
            for job, left in enumerate(self.left):
                self.left[job] = left - 1 if left is not None and self.open[job] is not None else left
            now += 1
        entries = np.array(self.rows, np.int64).reshape(-1, 5)
        return Schedule(instance, self.rng.permutation(entries), dict(self.conditions))

    def finish(self, now: int) -> None:
        for job, left in enumerate(self.left):
            if left == 0:
                self.close(job, now)
                self.left[job] = None
                self.step[job] += 1
                if not self.blocking or self.step[job] == self.instance.operations[job]:
                    self.at[job] = None

    def close(self, job: int, now: int) -> None:
        self.rows.append([job, self.step[job], self.at[job], self.open[job], now])
        self.open[job] = None

    def interrupt(self, job: int, now: int) -> None:
        if self.left[job] is None:
            return
        down = self.is_down(self.at[job], now)
        if down and self.open[job] is not None:
            self.close(job, now)
            self.interrupted += 1
            if self.conditions["interrupted"] == "restart":
                self.left[job] = self.actual(job, self.step[job])
        elif not down and self.open[job] is None:
            self.open[job] = now

    def target(self, job: int, now: int):
        """The machine a job could go to as far as it is concerned."""
        if self.left[job] is not None or self.step[job] == self.instance.operations[job]:
            return None
        machine = int(self.instance.machine[job, self.step[job]])
        return None if now < self.instance.release[job] or self.is_down(machine, now) else machine

    def decide(self, now: int) -> bool:
        moved = False
        while self.rng.random() > self.patience / 2:
            choices = [{job} for job in range(self.instance.jobs) if self.free(job, now)]
            if self.conditions["buffers"] == "swap":
                choices += self.cycles(now)
            if not choices:
                break
            jobs = choices[self.rng.integers(len(choices))]
            self.rotations += len(jobs) > 1
            targets = {job: self.target(job, now) for job in jobs}
            for job, machine in targets.items():
                self.at[job], self.open[job] = machine, now
                self.left[job] = self.actual(job, self.step[job])
            self.finish(now)
            moved = True
        return moved

    def free(self, job: int, now: int) -> bool:
        machine = self.target(job, now)
        return machine is not None and all(at != machine or k == job for k, at in enumerate(self.at))

    def cycles(self, now: int) -> list[set[int]]:
        holder = {at: job for job, at in enumerate(self.at) if at is not None}
        found = []
        for job in range(self.instance.jobs):
            seen, k = [job], holder.get(self.target(job, now))
            while k is not None and k not in seen:
                seen.append(k)
                k = holder.get(self.target(k, now))
            if k == job and len(seen) > 1 and self.at[job] is not None and job == min(seen):
                found.append(set(seen))
        return found


def random_instance(rng: np.random.Generator, dense: bool = False) -> JobShopInstance:
    """General routes: machines skipped and revisited, lengths of 0, releases; a dense one is a classic shop."""
    if dense:
        machine = np.stack([rng.permutation(3) for _ in range(4)])
        return JobShopInstance("dense", 3, rng.integers(1, 9, (4, 3)), machine)
    jobs, machines, longest = rng.integers(1, 5), rng.integers(1, 5), rng.integers(1, 5)
    routes = rng.integers(1, longest + 1, jobs)
    routes[rng.integers(jobs)] = longest
    there = np.arange(longest) < routes[:, None]
    duration = np.where(there, rng.integers(rng.integers(2), 9, (jobs, longest)), 0)
    machine = np.where(there, rng.integers(0, machines, (jobs, longest)), -1)
    release = rng.integers(0, 15, jobs).astype(np.int32) if rng.random() < 0.5 else None
    return JobShopInstance("random", int(machines), duration.astype(np.int32), machine.astype(np.int32), release)


def random_conditions(rng: np.random.Generator) -> dict:
    stops = rng.random() < 0.6
    noise = str(rng.choice(["none", "none", "gaussian", "lognormal"]))
    return {
        "buffers": str(rng.choice(["unlimited", "none", "swap"])),
        "uptime": int(rng.integers(50, 400)) * stops, "repair": int(rng.integers(10, 200)) * stops,
        "interrupted": str(rng.choice(["resume", "restart"])),
        "noise": noise, "sigma": 0.4 * (noise != "none"),
        "seed": int(rng.integers(-(2**31), 2**31)), "world": int(rng.integers(2**31)), "episode": int(rng.integers(3)),
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
    other = Clockwork(schedule.instance, changed.conditions, rng)
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


def test_every_mutant_is_caught_and_every_original_accepted():
    rng = np.random.default_rng(7)
    caught = dict.fromkeys((mutation.__name__ for mutation, _ in MUTATIONS), 0)
    deadlocks = interrupted = 0
    for _ in range(PLAYS):
        clock = Clockwork(random_instance(rng, dense=rng.random() < 0.4), random_conditions(rng), rng)
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
def test_nonsense_is_reported_without_an_exception(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance = random_instance(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    rows = data.draw(st.lists(st.tuples(*[number] * 5), max_size=8))
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), random_conditions(rng))
    violations = check(instance, schedule)
    assert all(isinstance(violation, Violation) and violation.rule in RULES for violation in violations)
    assert isinstance(metrics(instance, schedule)["makespan"], int)
    assert violations or len(rows) >= instance.operations.sum()


def test_under_classic_conditions_it_judges_as_the_classic_validator():
    rng = np.random.default_rng(3)
    plain = {"buffers": "unlimited", "uptime": 0, "repair": 0, "noise": "none", "sigma": 0.0}
    agreed = 0
    for _ in range(80):
        instance = random_instance(rng)
        clock = Clockwork(instance, random_conditions(rng) | plain, rng)
        schedule = clock.play()
        mutants = [mutation(schedule, clock, rng) for mutation, _ in MUTATIONS]
        for mutant in [schedule, *(mutant for mutant in mutants if mutant is not None)]:
            live = {(v.rule, v.message) for v in check(instance, mutant) if v.rule != "capacity"}
            known = {(v.rule, v.message) for v in check(instance, Schedule(instance, mutant.entries))}
            assert live == {pair for pair in known if pair[0] != "capacity"}
            assert ("capacity" in rules(mutant)) == any(rule == "capacity" for rule, _ in known)
            agreed += 1
    assert agreed > 500


def test_a_condition_out_of_range_is_named():
    instance = JobShopInstance("one", 1, [[2]], [[0]])
    for conditions, words in (({"buffers": "some"}, "'buffers' must be one of"), ({"colour": 1}, "unknown condition")):
        with pytest.raises(ScheduleError, match=words):
            check(instance, Schedule(instance, [[0, 0, 0, 0, 2]], conditions))


def shop(*routes: list[tuple[int, int]], machines: int = 3) -> JobShopInstance:
    """A shop from the (machine, duration) pairs of its jobs."""
    longest = max(map(len, routes))
    machine = [[*(k for k, _ in route), *[-1] * (longest - len(route))] for route in routes]
    duration = [[*(p for _, p in route), *[0] * (longest - len(route))] for route in routes]
    return JobShopInstance("shop", machines, np.array(duration), np.array(machine))


CROSS = shop([(0, 2), (1, 2)], [(1, 2), (0, 2)])
ROUND = [[0, 0, 0, 0, 2], [1, 0, 1, 0, 2], [0, 1, 1, 2, 4], [1, 1, 0, 2, 4]]
FLOW = shop([(0, 2), (1, 5)], [(0, 2), (1, 1)])
QUEUE = [[0, 0, 0, 0, 2], [0, 1, 1, 2, 7], [1, 0, 0, 2, 4], [1, 1, 1, 7, 8]]


@pytest.mark.parametrize(
    ("instance", "conditions", "rows", "expected"),
    [
        (CROSS, {"buffers": "swap"}, ROUND, []),
        (
            CROSS,
            {"buffers": "none"},
            ROUND,
            ["swap: at 2 jobs 0, 1 move in no order in which every machine is empty when it is entered"],
        ),
        # the one behind follows the one ahead at the same moment
        (FLOW, {"buffers": "none"}, QUEUE, []),
        (
            shop([(0, 2), (1, 5)], [(0, 2), (1, 1)], [(0, 1)]),
            {"buffers": "none"},
            [*QUEUE, [2, 0, 0, 6, 7]],
            ["blocking: operation 0 of job 2 starts on machine 0 at 6, where job 1 is from 2 to 7"],
        ),
        (shop([(0, 2), (1, 5)], [(0, 2), (1, 1)], [(0, 1)]), {"buffers": "none"}, [*QUEUE, [2, 0, 0, 7, 8]], []),
        # also if it takes no time
        (
            shop([(0, 2), (1, 5)], [(0, 2), (1, 1)], [(0, 0)]),
            {"buffers": "none"},
            [*QUEUE, [2, 0, 0, 6, 6]],
            ["blocking: operation 0 of job 2 starts on machine 0 at 6, where job 1 is from 2 to 7"],
        ),
        # a job whose next operation is missing stays
        (
            shop([(0, 2), (1, 5)], [(0, 2)]),
            {"buffers": "none"},
            [[0, 0, 0, 0, 2], [1, 0, 0, 5, 7]],
            [
                "completeness: operation 1 of job 0 is missing",
                "blocking: operation 0 of job 1 starts on machine 0 at 5, where job 0 is from 0 for good",
            ],
        ),
        # the next operation on the same machine
        (shop([(0, 2), (0, 3), (1, 1)]), {"buffers": "none"}, [[0, 0, 0, 0, 2], [0, 1, 0, 4, 7], [0, 2, 1, 7, 8]], []),
        # through an operation that takes no time, and out of the way of another one
        (
            shop([(0, 1), (1, 0), (2, 1)], [(2, 1), (0, 1)]),
            {"buffers": "none"},
            [[0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 2, 2, 1, 2], [1, 0, 2, 0, 1], [1, 1, 0, 1, 2]],
            [],
        ),
        (
            shop([(0, 1), (1, 0), (2, 1)], [(2, 1), (1, 0), (0, 1)]),
            {"buffers": "swap"},
            [[0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 2, 2, 1, 2], [1, 0, 2, 0, 1], [1, 1, 1, 1, 1], [1, 2, 0, 1, 2]],
            [],
        ),
        (
            shop([(0, 1), (1, 0), (2, 1)], [(2, 1), (1, 0), (0, 1)]),
            {"buffers": "none"},
            [[0, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 2, 2, 1, 2], [1, 0, 2, 0, 1], [1, 1, 1, 1, 1], [1, 2, 0, 1, 2]],
            ["swap: at 1 jobs 0, 1 move in no order in which every machine is empty when it is entered"],
        ),
    ],
)
def test_words_of_blocking(instance, conditions, rows, expected):
    found = check(instance, Schedule(instance, np.array(rows), conditions))
    assert [str(violation) for violation in found] == expected


# machine 0 is down from 5 to 7, from 19 to 20, and later
RESUME = {"uptime": 100, "repair": 60, "seed": 1}
RESTART = RESUME | {"interrupted": "restart"}


@pytest.mark.parametrize(
    ("conditions", "rows", "expected"),
    [
        (RESUME, [[0, 0, 0, 3, 5], [0, 0, 0, 7, 10], [1, 0, 0, 10, 15]], []),
        (RESTART, [[0, 0, 0, 3, 5], [0, 0, 0, 7, 12], [1, 0, 0, 12, 17]], []),
        # what ends as the shutdown begins is not touched by it
        (RESUME, [[0, 0, 0, 0, 5], [1, 0, 0, 7, 12]], []),
        (
            RESUME,
            [[0, 0, 0, 0, 5], [1, 0, 0, 5, 10]],
            ["shutdown: operation 0 of job 1 starts at 5, while machine 0 is down from 5 to 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 8], [1, 0, 0, 8, 13]],
            ["shutdown: operation 0 of job 0 runs from 3 to 8, but machine 0 is down from 5 to 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 6, 9], [1, 0, 0, 9, 14]],
            [
                "shutdown: operation 0 of job 0 goes on at 6, while machine 0 is down from 5 to 7",
                "interruption: operation 0 of job 0 pauses from 5 to 6, but machine 0 is down from 5 to 7",
            ],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 8, 11], [1, 0, 0, 11, 16]],
            ["interruption: operation 0 of job 0 pauses from 5 to 8, but machine 0 is down from 5 to 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 7, 9], [0, 0, 0, 10, 13], [1, 0, 0, 0, 5]],
            ["interruption: operation 0 of job 0 pauses from 9 to 10, but no shutdown of machine 0 begins at 9"],
        ),
        (
            RESUME,
            [[0, 0, 0, 0, 5], [0, 0, 0, 7, 7], [1, 0, 0, 7, 12]],
            ["interruption: operation 0 of job 0 has a piece of length 0 at 7"],
        ),
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 7, 11], [1, 0, 0, 11, 16]],
            ["duration: operation 0 of job 0 runs for 6 in 2 pieces, instead of 5"],
        ),
        (
            RESTART,
            [[0, 0, 0, 3, 5], [0, 0, 0, 7, 10], [1, 0, 0, 10, 15]],
            ["duration: operation 0 of job 0 runs for 3 in its last piece, instead of 5"],
        ),
        (
            RESTART,
            [[0, 0, 0, 0, 5], [0, 0, 0, 7, 12], [1, 0, 0, 12, 17]],
            ["duration: operation 0 of job 0 runs for 5 before its last piece, but 5 completes it"],
        ),
        # what is interrupted keeps its machine
        (
            RESUME,
            [[0, 0, 0, 3, 5], [0, 0, 0, 7, 10], [1, 0, 0, 7, 12]],
            ["capacity: machine 0 has operation 0 of job 0 from 3 to 10 and operation 0 of job 1 from 7 to 12"],
        ),
    ],
)
def test_words_of_shutdowns(conditions, rows, expected):
    pair = JobShopInstance("pair", 1, np.array([[5], [5]]), np.array([[0], [0]]))
    found = check(pair, Schedule(pair, np.array(rows), conditions))
    assert [str(violation) for violation in found] == expected


def test_what_is_later_than_all_known_shutdowns_is_said():
    single = JobShopInstance("single", 1, np.array([[1]]), np.array([[0]]))
    late = Schedule(single, [[0, 0, 0, 2**29, 2**29 + 1]], {"uptime": 1, "repair": 1})
    assert [str(v).split(",")[0] for v in check(single, late)] == ["shutdown: operation 0 of job 0 ends at 536870913"]
    assert "are not known after" in str(check(single, late)[0])


@pytest.mark.parametrize("room", ["live", "claim", "order", "world"])
def test_it_imports_no_simulator(room):
    tree = ast.parse(Path(validator.__file__).with_name(f"validator_{room}.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
    allowed = {"core.checking", "core.schedule", "core.noise", "conditions", "instance"}
    assert all(name is None or name in allowed or name.startswith("validator") for name in imported)
