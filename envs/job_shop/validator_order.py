"""Whether the moves of one moment of a blocking job shop can be put in an order."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .validator_claim import Claim

MAX_STATES = 100_000  # of a moment in which operations take no time; more than that is taken for no order
OUTSIDE = -1


@dataclass
class Mover:
    """A job that moves at some moment.

    Attributes:
        job: its number.
        origin: the machine it leaves first, or ``OUTSIDE``.
        route: the machines it enters, one after the other, and ``OUTSIDE`` if it completes within the moment.
    """

    job: int
    origin: int
    route: list[int]


def moves_without_order(claim: Claim, cycles: bool) -> list[tuple[int, list[int]]]:
    """Find the moments whose moves cannot be put in an order in which every machine is empty when it is entered.

    A machine that the job itself leaves counts as empty. Jobs that stay put are not looked at: who enters their machine
    breaks another rule. So do two jobs that enter the same machine to stay, and that moment is left out.

    Args:
        claim: what is claimed.
        cycles: whether jobs, each at the machine that the one before it enters, may move as one.

    Returns:
        The moments, ascending, each with the jobs that cannot move.
    """
    order = np.lexsort((claim.step, claim.job, claim.first))
    times, begin = np.unique(claim.first[order], return_index=True)
    found = []
    for time, (a, b) in zip(times.tolist(), pairwise([*begin.tolist(), len(order)]), strict=True):
        rows = order[a:b]
        if len(rows) > 1 and (claim.machine[rows] >= 0).all():
            stuck = _stuck(_movers(claim, rows), _passing(claim, rows), cycles)
            if stuck:
                found.append((time, stuck))
    return found


def _movers(claim: Claim, rows: np.ndarray) -> list[Mover]:
    """Who moves, of the operations that start at one moment, ordered by job and step."""
    movers: list[Mover] = []
    for at in rows.tolist():
        job, before = int(claim.job[at]), at - 1
        if movers and movers[-1].job == job:
            movers[-1].route.append(int(claim.machine[at]))
        else:
            same = before >= 0 and claim.job[before] == job and claim.leave[before] == claim.first[at]
            movers.append(Mover(job, int(claim.machine[before]) if same else OUTSIDE, [int(claim.machine[at])]))
        if claim.step[at] == claim.instance.operations[job] - 1 and claim.leave[at] == claim.first[at]:
            movers[-1].route.append(OUTSIDE)
    return movers


def _passing(claim: Claim, rows: np.ndarray) -> bool:
    """Whether a job enters and leaves a machine within the moment."""
    return bool((claim.leave[rows] == claim.first[rows]).any())


def _stuck(movers: list[Mover], passing: bool, cycles: bool) -> list[int]:
    """Jobs that cannot move in any order; empty if all can."""
    final = [mover.route[-1] for mover in movers if mover.route[-1] != OUTSIDE]
    if len(set(final)) < len(final):
        return []
    if not passing:
        return [] if cycles else _on_a_cycle(movers)
    return [] if _some_order(movers, cycles) else [mover.job for mover in movers]


def _on_a_cycle(movers: list[Mover]) -> list[int]:
    """Jobs of the cycles of two and more, where each enters the machine that the next one leaves."""
    at = {mover.origin: k for k, mover in enumerate(movers) if mover.origin != OUTSIDE}
    ahead = [at.get(mover.route[0], -1) for mover in movers]
    waits = [0] * len(movers)
    for k in ahead:
        waits[k] += k >= 0
    free = [k for k in range(len(movers)) if waits[k] == 0]
    left = set(range(len(movers)))
    while free:  # whom nobody waits for is on no cycle
        k = free.pop()
        left.discard(k)
        if ahead[k] >= 0:
            waits[ahead[k]] -= 1
            if waits[ahead[k]] == 0:
                free.append(ahead[k])
    return [movers[k].job for k in sorted(left) if ahead[k] != k]


def _some_order(movers: list[Mover], cycles: bool) -> bool:
    """Search for an order, move by move."""
    places = [[mover.origin, *mover.route] for mover in movers]
    done = tuple(len(mover.route) for mover in movers)
    stack, seen = [(0,) * len(movers)], set()
    while stack and len(seen) < MAX_STATES:
        state = stack.pop()
        if state == done:
            return True
        if state in seen:
            continue
        seen.add(state)
        holder = {places[k][at]: k for k, at in enumerate(state) if places[k][at] != OUTSIDE}
        enters = {k: places[k][at + 1] for k, at in enumerate(state) if at < done[k]}
        for k, machine in enters.items():
            together = {k} if machine not in holder or holder[machine] == k else set()
            if cycles and not together:
                together = _cycle_of(k, enters, holder)
            if together:
                stack.append(tuple(at + (j in together) for j, at in enumerate(state)))
    return False


def _cycle_of(k: int, enters: dict[int, int], holder: dict[int, int]) -> set[int]:
    """Movers of the cycle that k is on: each enters the machine that the next one holds; empty if it is on none."""
    found, j = {k}, holder.get(enters[k], -1)
    while j != k:
        if j < 0 or j in found or j not in enters:
            return set()
        found.add(j)
        j = holder.get(enters[j], -1)
    return found
