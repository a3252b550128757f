"""A live job shop in plain Python, in which time goes on by one at a time, and its rule of safe moves."""

import numpy as np

from dispatchgym.envs.core.noise import exponential_table, random_bits, table
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.options import Options

MOST_STATES = 128  # of the safety rule


class TooMany(Exception):
    """The safety rule gives up."""


def can_be_emptied(inside: dict[int, tuple[int, ...]], most: int = MOST_STATES) -> bool:
    """Whether jobs can be taken out whose routes are open, with moves in between, lowest machine first.

    Args:
        inside: of each job the machine that it holds, and those that it has still to visit.
        most: states from which moves are tried.
    """
    try:
        return leads_out(inside, set(), most)
    except TooMany:
        return False


def leads_out(inside, met: set, most: int) -> bool:
    waits = {own: rest[0] for own, *rest in inside.values() if rest and rest[0] != own}
    for first in waits:  # in a circle?
        at = first
        for _ in waits:
            at = waits.get(at)
            if at == first:
                return False
    inside = dict(inside)
    while True:
        held = [route[0] for route in inside.values()]
        out = [job for job, (own, *rest) in inside.items() if not set(rest) & set(held) - {own}]
        if not out:
            break
        del inside[out[0]]
    if not inside:
        return True
    key = frozenset(inside.items())
    if key in met:
        return False
    if len(met) == most:
        raise TooMany
    met.add(key)
    for job in sorted(inside, key=lambda one: inside[one][0]):
        own, *rest = inside[job]
        if (rest[0] == own or rest[0] not in held) and leads_out({**inside, job: tuple(rest)}, met, most):
            return True
    return False


class Shop:
    """A live job shop in plain Python, in which time goes on by one at a time."""

    def __init__(self, instance: JobShopInstance, options: Options, key: tuple[int, int, int]):
        self.instance, self.options, self.key = instance, options, key
        shape = instance.duration.shape
        estimate = instance.duration.astype(int)
        self.actual = estimate
        if options.noise != "none":
            bits = random_bits(*key, np.arange(estimate.size).reshape(shape))
            scaled = (estimate * table(options.noise, options.sigma)[bits // 2**19].astype(int) + 2**15) // 2**16
            self.actual = np.where(estimate > 0, np.maximum(scaled, 1), 0)
        self.windows = [self._windows(k) for k in range(instance.machines)]
        self.time = 0
        self.waits = (instance.operations.sum() + instance.jobs) * (1 + bool(options.uptime))
        self.ended = [0] * instance.jobs  # operations of each job that have ended
        self.at: list[int | None] = [None] * instance.jobs
        self.worked: list[int | None] = [None] * instance.jobs  # time that the operation has run, None when none runs
        self.rows, self.completion, self.stuck = [], {}, False
        self.settle()

    def _windows(self, k: int) -> list[tuple[int, int]]:
        if not self.options.uptime:
            return []
        unit = max(int(self.instance.duration.sum()) // int(self.instance.operations.sum()), 1)
        stream = int(random_bits(*self.key, -1 - k))
        bits = random_bits(stream, 0x73687574, 0, np.arange(400))
        share = exponential_table()[bits // 2**19].astype(int)
        mean = unit * np.where(np.arange(400) % 2, self.options.repair, self.options.uptime)
        times = np.cumsum(np.maximum((mean * share + 50 * 65536) // (100 * 65536), 1)).tolist()
        return list(zip(times[::2], times[1::2], strict=True))

    def down(self, k: int, time: int) -> bool:
        return any(begin <= time < end for begin, end in self.windows[k])

    def next_machine(self, job: int) -> int | None:
        step = self.ended[job] + (self.worked[job] is not None)
        return int(self.instance.machine[job, step]) if step < self.instance.operations[job] else None

    def holder(self, k: int) -> int | None:
        return next((job for job, place in enumerate(self.at) if place == k), None)

    def enters(self, job: int) -> bool:
        """Whether it waits for a machine that is empty or its own."""
        k = self.next_machine(job)
        waits = self.worked[job] is None and k is not None and self.instance.release[job] <= self.time
        return waits and self.holder(k) in (None, job)

    def safe(self, job: int) -> bool:
        if self.options.buffers != "none" or not self.options.safety:
            return True
        inside = {}
        for other, place in enumerate(self.at):
            step = self.ended[other] + (self.worked[other] is not None)
            if other == job or place is not None:
                rest = self.instance.machine[other, step : self.instance.operations[other]].tolist()
                inside[other] = tuple(rest if other == job else [place, *rest])
        return can_be_emptied(inside)

    def cycles(self) -> dict[int, list[int]]:
        """Jobs that may swap, by the lowest of their machines."""
        found = {}
        for k in range(self.instance.machines):
            jobs, place = [], k
            while True:
                job = self.holder(place)
                if job is None or self.worked[job] is not None or self.down(place, self.time) or job in jobs:
                    break
                jobs.append(job)
                place = self.next_machine(job)
            if jobs and place == k and len(jobs) > 1 and k == min(self.at[job] for job in jobs):
                found[k] = jobs
        return found

    def legal(self) -> set[int]:
        """The actions: jobs, then swaps, then waiting."""
        n = self.instance.jobs
        ready = [job for job in range(n) if self.enters(job) and not self.down(self.next_machine(job), self.time)]
        found = {job for job in ready if self.safe(job)}
        if self.options.buffers == "unlimited" and not self.options.waits and found:
            first = min(self.next_machine(job) for job in found)
            found = {job for job in found if self.next_machine(job) == first}
        if self.options.buffers == "swap":
            found |= {n + k for k in self.cycles()}
        if self.options.waits and found and self.waits > 0 and self.future():
            found.add(self.wait)
        return found

    @property
    def wait(self) -> int:
        return self.instance.jobs + self.instance.machines * (self.options.buffers == "swap")

    def active(self) -> bool:
        return any(w is not None for w in self.worked) or (self.instance.release > self.time).any()

    def future(self) -> bool:
        return self.active() or any(self.down(k, self.time) for k in range(self.instance.machines))

    def start(self, job: int) -> None:
        self.at[job], self.worked[job] = self.next_machine(job), 0
        self.rows.append([job, self.ended[job], self.at[job], self.time, self.time])
        self.end_if_done(job)

    def end_if_done(self, job: int) -> None:
        if self.worked[job] == self.actual[job, self.ended[job]]:
            self.worked[job] = None
            self.ended[job] += 1
            if self.ended[job] == self.instance.operations[job]:
                self.completion[job] = self.time
            if self.options.buffers == "unlimited" or job in self.completion:
                self.at[job] = None

    def tick(self) -> None:
        running = [j for j, w in enumerate(self.worked) if w is not None and not self.down(self.at[j], self.time)]
        for job in running:
            own = [row for row in self.rows if row[:2] == [job, self.ended[job]]]
            if own[-1][4] < self.time:  # it was interrupted
                self.rows.append([*own[-1][:3], self.time, self.time])
                if self.options.interrupted == "restart":
                    self.worked[job] = 0
                own.append(self.rows[-1])
            own[-1][4] += 1
            self.worked[job] += 1
        self.time += 1
        for job in running:
            self.end_if_done(job)

    def apply(self, action: int) -> None:
        n = self.instance.jobs
        if action < n:
            self.start(action)
        elif action != self.wait:
            jobs = self.cycles()[action - n]
            for job in jobs:
                self.at[job] = None
            for job in jobs:
                self.start(job)
        else:
            self.waits -= 1
            before = self.legal() - {self.wait}
            while True:
                self.tick()
                now = self.legal() - {self.wait}
                if not self.future() or (now and now != before):
                    break

    def settle(self) -> None:
        while True:
            legal = self.legal()
            if self.options.forced_moves and len(legal) == 1:
                self.apply(legal.pop())
            elif legal or len(self.completion) == self.instance.jobs:
                return
            elif not self.future() or not (
                self.options.buffers != "none" or self.active() or any(map(self.enters, range(self.instance.jobs)))
            ):
                self.stuck = True
                return
            else:
                self.tick()

    def step(self, action: int) -> None:
        self.apply(action)
        self.settle()

    @property
    def over(self) -> bool:
        return self.stuck or len(self.completion) == self.instance.jobs
