"""A schedule of requests read beside its problem: stays, pauses and rejections, and what is wrong with its rows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..core.checking import MAX_MESSAGES, listed
from ..core.schedule import Schedule, Violation
from .conditions import Conditions
from .instance import LLMInstance

RULES = (
    "shape", "order", "waiting", "arrival", "boundary", "preemption", "server", "sequences", "budget", "capacity",
    "reject", "timing", "pause", "totals", "complete",
)  # fmt: skip
PAUSE, REJECTION = -1, -2  # steps of rows that are no part of a stay


@dataclass(slots=True, eq=False)
class Admission:
    """A stay as the schedule claims it.

    Attributes:
        row: of the schedule.
        request, step, server: as in that row.
        time: of the admission, in us.
        prefilled: end of the row: of the prefill, or of the stay if that came first.
        decode: (server, start, end) of the row of its decode steps, or None.
    """

    row: int
    request: int
    step: int
    server: int
    time: int
    prefilled: int
    decode: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        return f"request {self.request} in row {self.row}"


class Claim:
    """A schedule and its problem. Rows may hold any 64-bit integers; what they name may not exist.

    Args:
        instance: the problem.
        schedule: the claim.

    Attributes:
        instance, conditions: what the schedule answers, and under which conditions.
        admissions: in order of time, and of rows.
        pauses: (server, start, end) by request.
        rejections: times by request, in us.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """

    def __init__(self, instance: LLMInstance, schedule: Schedule):
        self.instance, self.conditions = instance, Conditions.read(schedule.conditions)
        self.admissions: list[Admission] = []
        self.pauses: dict[int, tuple[int, int, int]] = {}
        self.rejections: dict[int, int] = {}
        self._found: dict[str, list[str]] = {rule: [] for rule in RULES}
        self._counts = Counter()
        rows = schedule.entries.tolist()
        by_step: dict[tuple[int, int], Admission] = {}
        for at, row in enumerate(rows):
            if self._named(at, row):
                self._read(at, row, by_step)
        self._judge_order(rows)
        self.admissions.sort(key=lambda one: one.time)
        self._judge_numbers()

    def report(self, rule: str, message: str) -> None:
        """Note a violation."""
        self._counts[rule] += 1
        if self._counts[rule] <= MAX_MESSAGES:
            self._found[rule].append(message)

    def violations(self) -> Iterator[Violation]:
        """Everything that was found, rule by rule."""
        for rule in RULES:
            yield from listed(rule, self._counts[rule], self._found[rule])

    def _named(self, at: int, row: list[int]) -> bool:
        """Whether a row is about a request and a server that there are; say so if not."""
        request, step, server, start, end = row
        requests, servers = self.instance.requests, len(self.instance.servers)
        if not 0 <= request < requests:
            self.report("shape", f"row {at} names request {request}, but requests run from 0 to {requests - 1}")
        elif step < REJECTION:
            self.report("shape", f"row {at} of request {request} has step {step}; the least is {REJECTION}")
        elif step == REJECTION and not (server == -1 and start == end):
            text = f"from {start} to {end} on server {server}"
            self.report("shape", f"row {at} rejects request {request} {text}, expected one time and server -1")
        elif step != REJECTION and not 0 <= server < servers:
            text = f"row {at} of request {request} names server {server}"
            self.report("shape", f"{text}, but servers run from 0 to {servers - 1}")
        else:
            return True
        return False

    def _read(self, at: int, row: list[int], by_step: dict[tuple[int, int], Admission]) -> None:
        request, step, server, start, end = row
        if step == PAUSE:
            again = request in self.pauses
            self.pauses.setdefault(request, (server, start, end))
        elif step == REJECTION:
            again = request in self.rejections
            self.rejections.setdefault(request, start)
        elif step % 2 == 0:
            again = (request, step) in by_step
            if not again:
                admission = Admission(at, request, step, server, start, end)
                by_step[request, step] = admission
                self.admissions.append(admission)
        else:
            admission = by_step.get((request, step - 1))
            if admission is None:
                self.report("shape", f"row {at} is step {step} of request {request}, without step {step - 1} before it")
                return
            again = admission.decode is not None
            admission.decode = admission.decode or (server, start, end)
            if not again and at != admission.row + 1:
                text = f"row {at} is step {step} of request {request}"
                self.report("order", f"{text}, but step {step - 1} is row {admission.row}, not the one before it")
        if again:
            self.report("shape", f"row {at} is another one of step {step} of request {request}")

    def _judge_order(self, rows: list[list[int]]) -> None:
        """Stays come first, in order of time, then pauses and rejections, each in order of requests."""
        last = (0, -(2**63))
        for at, (request, step, _, start, _) in enumerate(rows):
            if step < REJECTION or step % 2 and step != PAUSE:
                continue
            here = (0, start) if step >= 0 else (-step, request)
            if here < last:
                self.report("order", f"row {at} belongs before the ones above it: {_place(here)} after {_place(last)}")
            last = max(here, last)

    def _judge_numbers(self) -> None:
        """The stays of a request are steps 0, 2, 4, ..., in order of time."""
        counts = Counter()
        for admission in self.admissions:
            expected = 2 * counts[admission.request]
            counts[admission.request] += 1
            if admission.step != expected:
                text = f"row {admission.row} is step {admission.step} of request {admission.request}"
                self.report("shape", f"{text}, expected {expected}: stays are counted by twos in order of time")


def _place(here: tuple[int, int]) -> str:
    kind, number = here
    return [f"a stay from {number} on", f"the pause of request {number}", f"the rejection of request {number}"][kind]
