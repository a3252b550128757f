"""What validators of different families share: putting violations into words, and finding what overlaps."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from .schedule import Violation

MAX_MESSAGES = 1000  # listed for each rule; one more message then says how many were left out


def listed(rule: str, total: int, messages: Iterable[str]) -> list[Violation]:
    """List the first violations of a rule, and count the rest.

    Args:
        rule: the rule that is broken.
        total: how many violations there are.
        messages: their words; no more are made than are listed.

    Returns:
        At most ``MAX_MESSAGES`` violations, and one more that counts the rest.
    """
    violations = [Violation(rule, message) for message in islice(messages, MAX_MESSAGES)]
    if total > MAX_MESSAGES:
        violations.append(Violation(rule, f"{total - MAX_MESSAGES} further violations of this rule are not listed"))
    return violations


def report(rule: str, found: np.ndarray, message: Callable[[int], str]) -> list[Violation]:
    """List the first of what was found, and count the rest.

    Args:
        rule: the rule that is broken.
        found: (N,) integers, whatever ``message`` understands, one for each violation.
        message: the words for one of them.
    """
    return listed(rule, len(found), map(message, found[:MAX_MESSAGES].tolist()))


def overlaps(
    rows: np.ndarray, lane: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[int, Iterator[tuple[int, int]]]:
    """Find every pair of entries that are in the same lane at the same time.

    Args:
        rows: the entries to look at; those that end no later than they start occupy nothing.
        lane, start, end: (N,) int64, of every entry; any numbers.

    Returns:
        How many pairs there are, and the pairs: the row that starts no later, then the other one.
    """
    rows = rows[end[rows] > start[rows]]
    rows = rows[np.lexsort((start[rows], lane[rows]))]
    lane, start, end = lane[rows], start[rows], end[rows]
    # sweep over each lane's events, ends before starts at equal times: what is open at a start overlaps it
    count = len(rows)
    opens = np.repeat([1, 0], count)
    order = np.lexsort((opens, np.concatenate([start, end]), np.tile(lane, 2)))
    before = np.zeros(2 * count, dtype=np.int64)
    before[order] = np.cumsum(np.where(opens[order] == 1, 1, -1)) - 1
    before = before[:count]
    lane_begin = np.searchsorted(lane, lane)

    def pairs() -> Iterator[tuple[int, int]]:
        for later in np.flatnonzero(before).tolist():
            begin = int(lane_begin[later])
            for earlier in np.flatnonzero(end[begin:later] > start[later]).tolist():
                yield int(rows[begin + earlier]), int(rows[later])

    return int(before.sum()), pairs()
