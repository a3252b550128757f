"""Judges schedules of a live job shop, where operations take what they take, machines stop and jobs block them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from ..core.checking import listed, overlaps, report
from ..core.schedule import Schedule, Violation
from .conditions import Conditions
from .instance import JobShopInstance
from .validator_claim import FOREVER, Claim
from .validator_order import moves_without_order
from .validator_world import Shutdowns, actual_times

MAX_PAIRS = 1_000_000  # of overlaps that are looked through for those to list


def check_live(instance: JobShopInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule that was made under conditions.

    The rules of ``validator.check`` hold, with these differences and additions; an operation starts with its first
    piece and ends with its last one.

    - ``completeness``: every operation is there; where machines are down at times it may have several rows, its pieces.
    - ``duration``: it takes the actual processing time: the pieces together, or, where what is interrupted begins anew,
      the last piece alone, before which no piece is as long.
    - ``shutdown``: nothing starts or runs on a machine that is down. What ends as a shutdown begins is not touched by
      it; at its end all may start.
    - ``interruption``: between two pieces there is exactly one shutdown, and no piece has length 0.
    - ``capacity``: a machine has one operation at a time, also while that is interrupted.
    - ``blocking``: with buffers ``"none"`` and ``"swap"`` a job is at a machine from the start of its operation there
      to the start of its next operation, or to the end of its last one; no other one starts there meanwhile. A job
      whose next operation is missing stays.
    - ``swap``: what starts at one time can be put in an order in which every machine is empty when a job enters it, but
      for that job; with ``"swap"`` jobs in a cycle, each at the machine that the one before it enters, may move as one.

    Args:
        instance: the problem.
        schedule: the claim to be judged; rows in any order.

    Returns:
        Every violation, in words, limited as by ``validator.check``.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    conditions = Conditions.read(schedule.conditions)
    claim = Claim(instance, schedule, conditions, actual_times(instance, conditions))
    return [
        *claim.routes.completeness(claim.lead if conditions.uptime else None),
        *claim.routes.assignment(instance.machine),
        *_duration(claim),
        *claim.routes.release(),
        *claim.routes.precedence(),
        *(_shutdowns(claim, Shutdowns(instance, conditions)) if conditions.uptime else ()),
        *_capacity(claim),
        *(_blocking(claim) if conditions.blocking else ()),
        *(_swap(claim) if conditions.blocking else ()),
    ]


def _duration(claim: Claim) -> list[Violation]:
    """Pieces, one by one where machines never stop, must take the actual time."""
    alone, resume = claim.conditions.uptime == 0, claim.conditions.interrupted == "resume"
    messages = []
    for operation, (pieces, actual) in enumerate(zip(claim.pieces, claim.actual.tolist(), strict=True)):
        name = claim.name(operation)
        for start, end in pieces:
            if end < start or ((alone or len(pieces) == 1) and end - start != actual):
                messages.append(f"{name} runs from {start} to {end}, that is {end - start} instead of {actual}")
        if alone or len(pieces) == 1:
            continue
        length = [end - start for start, end in pieces]
        if resume and sum(length) != actual:
            messages.append(f"{name} runs for {sum(length)} in {len(pieces)} pieces, instead of {actual}")
        elif not resume and length[-1] != actual:
            messages.append(f"{name} runs for {length[-1]} in its last piece, instead of {actual}")
        elif not resume and max(length[:-1]) >= actual:
            messages.append(f"{name} runs for {max(length[:-1])} before its last piece, but {actual} completes it")
    return listed("duration", len(messages), messages)


def _shutdowns(claim: Claim, shutdowns: Shutdowns) -> list[Violation]:
    """What starts, runs or pauses against the shutdowns of its machine."""
    until: dict[int, int] = {}
    for machine, last in zip(claim.machine.tolist(), claim.last.tolist(), strict=True):
        until[machine] = max(until.get(machine, 0), last)
    windows = {}
    for k in until.keys() - {-1}:
        begin, end, whole = shutdowns.windows(k, until[k])
        windows[k] = begin.tolist(), end.tolist(), whole, dict(zip(begin.tolist(), end.tolist(), strict=True))
    down, gaps = [], []
    for operation, (pieces, machine) in enumerate(zip(claim.pieces, claim.machine.tolist(), strict=True)):
        if machine >= 0:
            begin, end, whole, window = windows[machine]
            name = claim.name(operation)
            if not whole and begin[-1] < max(last for _, last in pieces):
                known = f"shutdowns of machine {machine} are not known after {begin[-1]}"
                down.append(f"{name} ends at {claim.last[operation]}, but {known}")
                continue
            down += _while_down(name, machine, pieces, begin, end)
            gaps += _pauses(name, machine, pieces, window)
    return listed("shutdown", len(down), down) + listed("interruption", len(gaps), gaps)


def _while_down(name: str, machine: int, pieces: list, begin: list[int], end: list[int]) -> Iterator[str]:
    for number, (start, stop) in enumerate(pieces):
        at = bisect_right(begin, start) - 1
        if at >= 0 and start < end[at]:
            does = "goes on" if number else "starts"
            yield f"{name} {does} at {start}, while machine {machine} is down from {begin[at]} to {end[at]}"
        elif at + 1 < len(begin) and begin[at + 1] < stop:
            window = f"from {begin[at + 1]} to {end[at + 1]}"
            yield f"{name} runs from {start} to {stop}, but machine {machine} is down {window}"


def _pauses(name: str, machine: int, pieces: list, window: dict[int, int]) -> Iterator[str]:
    for start, stop in pieces if len(pieces) > 1 else ():
        if start == stop:
            yield f"{name} has a piece of length 0 at {start}"
    for (_, stop), (again, _) in zip(pieces[:-1], pieces[1:], strict=True):
        if stop not in window:
            yield f"{name} pauses from {stop} to {again}, but no shutdown of machine {machine} begins at {stop}"
        elif window[stop] != again:
            yield f"{name} pauses from {stop} to {again}, but machine {machine} is down from {stop} to {window[stop]}"


def _capacity(claim: Claim) -> list[Violation]:
    total, pairs = overlaps(np.flatnonzero(claim.machine >= 0), claim.machine, claim.first, claim.last)

    def message(earlier: int, later: int) -> str:
        first, second = (f"{claim.name(at)} from {claim.first[at]} to {claim.last[at]}" for at in (earlier, later))
        return f"machine {claim.machine[earlier]} has {first} and {second}"

    repeated = _repeated(claim)
    both = chain((message(*pair) for pair in pairs), repeated)
    return listed("capacity", total + len(repeated), both)


def _repeated(claim: Claim) -> list[str]:
    """Pieces of one operation that run at the same time."""
    found = []
    for operation, pieces in enumerate(claim.pieces):
        for (start, stop), (again, end) in zip(pieces[:-1], pieces[1:], strict=True):
            if again < min(stop, end) and start < stop:
                found.append(f"{claim.name(operation)} runs from {start} to {stop} and from {again} to {end}")
    return found


def _blocking(claim: Claim) -> list[Violation]:
    """Starts on a machine whose last job has finished and is still there."""
    here = np.flatnonzero(claim.machine >= 0)
    run, _ = overlaps(here, claim.machine, claim.first, claim.last)
    total, pairs = overlaps(here, claim.machine, claim.first, claim.leave)
    idle = (
        (a, b)
        for a, b in islice(pairs, MAX_PAIRS)
        if max(claim.first[a], claim.first[b]) >= min(claim.last[a], claim.last[b])  # else it is one of capacity
    )
    passing = _passing(claim, here)

    def message(holder: int, entering: int) -> str:
        left = int(claim.leave[holder])
        until = "for good" if left == FOREVER else f"to {left}"
        at = f"{claim.name(entering)} starts on machine {claim.machine[holder]} at {claim.first[entering]}"
        return f"{at}, where job {claim.job[holder]} is from {claim.first[holder]} {until}"

    return listed("blocking", total - run + len(passing), (message(*pair) for pair in chain(idle, passing)))


def _passing(claim: Claim, here: np.ndarray) -> list[tuple[int, int]]:
    """Operations that take no time and no stay on a machine, while another job is there: (its operation, theirs)."""
    stays = here[claim.leave[here] > claim.first[here]]
    stays = stays[np.lexsort((claim.first[stays], claim.machine[stays]))]
    found = []
    for at in here[claim.leave[here] == claim.first[here]].tolist():
        lane = slice(*np.searchsorted(claim.machine[stays], [claim.machine[at], claim.machine[at] + 1]))
        before = stays[lane][: bisect_left(claim.first[stays[lane]].tolist(), claim.first[at])]
        over = before[claim.leave[before] > claim.first[at]]
        if len(over):
            found.append((int(over[0]), at))
    return found


def _swap(claim: Claim) -> list[Violation]:
    found = moves_without_order(claim, cycles=claim.conditions.buffers == "swap")

    def message(at: int) -> str:
        time, jobs = found[at]
        shown = ", ".join(map(str, jobs[:20])) + (", ..." if len(jobs) > 20 else "")
        return f"at {time} jobs {shown} move in no order in which every machine is empty when it is entered"

    return report("swap", np.arange(len(found)), message)
