"""What there is to see of a schedule: who ran where and when, what went wrong, and a line that sums it up."""

from dataclasses import dataclass

import numpy as np

from ..core.schedule import Schedule
from .fields import MAX_TIME

SECOND = 1_000_000  # us
PAUSE, REJECTION = -1, -2  # steps of rows that are no stays


@dataclass(frozen=True)
class Stay:
    """A request in the batch of a server. Times are in us.

    Attributes:
        request, server: who and where.
        start: its admission.
        middle: when its prefill was complete; the end where it never was, or where it needed no other token.
        end: when it finished or was preempted.
        preempted: whether it came back later.
    """

    request: int
    server: int
    start: int
    middle: int
    end: int
    preempted: bool


class View:
    """A schedule, read for a picture. Nothing is checked: rows that name nobody, no server or no time are left out.

    Args:
        schedule: the claim.

    Attributes:
        instance: the problem.
        stays: in order of admission.
        rejected: (time, request) of those turned away, in order.
        missed: (time, server, request) of those that finished after all, but not within their targets.
        arrival: when each request arrived, in us, None where what it follows is not done.
        until: where the time axis ends, in us, at least 1.
    """

    def __init__(self, schedule: Schedule):
        self.instance = instance = schedule.instance
        request, step, server, start, end = schedule.entries.T
        known = (request >= 0) & (request < instance.requests) & (start >= 0) & (end >= start) & (end <= 4 * MAX_TIME)
        ran = known & (step >= 0) & (server >= 0) & (server < len(instance.servers))
        self._rows = schedule.entries
        self.stays = self._stays(np.flatnonzero(ran))
        turned = schedule.entries[known & (step == REJECTION)]
        self.rejected = sorted({(int(row[3]), int(row[0])) for row in turned})
        longest = schedule.entries[known & (step == PAUSE)]
        self._pause = {int(row[0]): int(row[4] - row[3]) for row in longest}
        first = self._first_tokens(np.flatnonzero(ran & (step % 2 == 1)))
        # a row that ends tells of a finish only where something tells of tokens before it, or there is but one
        done = [stay for stay in self.stays if not stay.preempted]
        done = [stay for stay in done if stay.request in first or instance.output[stay.request] == 1]
        self._last = {stay.request: stay for stay in done}
        self._first = {stay.request: first.get(stay.request, stay.end) for stay in done}
        for _, gone in self.rejected:
            self._last.pop(gone, None)
        self.arrival = self._arrivals()
        self.missed = [
            (stay.end, stay.server, stay.request) for stay in self._last.values() if self.misses(stay.request)
        ]
        times = [stay.end for stay in self.stays] + [time for time, _ in self.rejected]
        self.until = max([1, *times]) if times else max(time or 1 for time in self.arrival)

    def _stays(self, chosen: np.ndarray) -> list[Stay]:
        rows = self._rows[chosen].tolist()
        prefilled = {(row[0], row[1] // 2): row for row in rows if row[1] % 2}
        begun = {(row[0], row[1] // 2): row for row in rows if not row[1] % 2}
        last: dict[int, int] = {}
        for request, number in begun:
            last[request] = max(number, last.get(request, 0))
        found = []
        for (request, number), (_, _, server, start, end) in begun.items():
            later = prefilled.get((request, number))
            over = end if later is None else max(end, later[4])
            found.append(Stay(request, server, start, end, over, number < last[request]))
        return found

    def _first_tokens(self, chosen: np.ndarray) -> dict[int, int]:
        """When rows that follow a prefill begin, the first one of each request."""
        found: dict[int, int] = {}
        for request, _, _, start, _ in self._rows[chosen].tolist():
            found[request] = min(start, found.get(request, start))
        return found

    def _arrivals(self) -> list[int | None]:
        done = {request: stay.end for request, stay in self._last.items()}
        done |= {request: time for time, request in self.rejected}
        found: list[int | None] = []
        for time, parent in zip(self.instance.arrival.tolist(), self.instance.parent.tolist(), strict=True):
            if parent >= 0:
                time = done[parent] + time if parent in done and found[parent] is not None else None
            found.append(time)
        return found

    @property
    def finished(self) -> list[int]:
        """Requests that ran until they had their last token, as far as rows tell, in order."""
        return sorted(request for request in self._last if self.arrival[request] is not None)

    def misses(self, request: int) -> bool:
        """Whether a request that finished did not keep one of its targets."""
        arrival, instance = self.arrival[request], self.instance
        if arrival is None:
            return False
        times = (self._first[request] - arrival, self._pause.get(request, 0), self._last[request].end - arrival)
        targets = (instance.ttft_target, instance.tbt_target, instance.e2e_target)
        return any(0 < target[request] < time for target, time in zip(targets, times, strict=True))

    def running(self, server: int) -> tuple[np.ndarray, np.ndarray]:
        """How many requests prefill and how many decode on a server.

        Returns:
            Times in us at which that changes, (T,), and the numbers from then on, (2, T).
        """
        changes = [(0, 0, 0)]
        for stay in self.stays:
            if stay.server == server:
                changes += [(stay.start, 1, 0), (stay.middle, -1, 1), (stay.end, 0, -1)]
        table = np.array(sorted(changes), dtype=np.int64)
        total = np.cumsum(table[:, 1:], axis=0)
        final = np.append(table[1:, 0] != table[:-1, 0], True)  # what holds after all that happens at one time
        return table[final, 0], total[final].T

    def averages(self, server: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """What ``running`` says, or its means over so many equal spans where it changes more often than that.

        Returns:
            Times in us at which spans begin, and where the last one ends, (T + 1,), and numbers, (2, T).
        """
        times, numbers = self.running(server)
        edges = np.append(times, max(self.until, int(times[-1])))
        if len(times) <= columns:
            return edges, numbers
        area = np.column_stack([np.zeros(2), np.cumsum(numbers * np.diff(edges), axis=1)])
        spans = np.linspace(0, edges[-1], columns + 1)
        reached = np.stack([np.interp(spans, edges, row) for row in area])
        return spans, np.diff(reached, axis=1) / np.diff(spans)

    def early(self, most: int) -> list[int]:
        """The requests that came first, at most so many, in order of arrival."""
        there = [(time, request) for request, time in enumerate(self.arrival) if time is not None]
        return [request for _, request in sorted(there)[:most]]

    def horizon(self, chosen: list[int]) -> int:
        """When the last of some requests is done, in us, at least 1; of those that are not, when the schedule ends."""
        done = {stay.request: stay.end for stay in self.stays if not stay.preempted}
        done |= {request: time for time, request in self.rejected}
        return max([done.get(request, self.until) for request in chosen], default=1) or 1

    @property
    def caption(self) -> str:
        """What there is to say of it."""
        instance, done = self.instance, self.finished
        preempted = sum(stay.preempted for stay in self.stays)
        parts = [f"{preempted} preemption{'s' * (preempted != 1)}"] if preempted else []
        if self.rejected:
            parts.append(f"{len(self.rejected)} rejected")
        if len(done) + len(self.rejected) < instance.requests:
            return ", ".join([f"{len(done)} of {instance.requests} requests, until {seconds(self.until)} s", *parts])
        if done:
            mean = sum(self._last[request].end - self.arrival[request] for request in done) / len(done)
            parts = [f"mean end to end {seconds(mean)} s", *parts]
        targets = any(getattr(instance, f"{what}_target").any() for what in ("ttft", "tbt", "e2e"))
        if targets or self.rejected:
            good = len(done) - len(self.missed)
            parts = [f"goodput {100 * good / instance.requests:.1f}%", *parts]
        return ", ".join([*parts, f"makespan {seconds(self.until)} s"])


def seconds(time: float) -> str:
    """A time in us as seconds, with as many digits as tell something.

    >>> seconds(83_123_456), seconds(1_234_567), seconds(2_000_000)
    ('83.1', '1.23', '2')
    """
    value = time / SECOND
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
