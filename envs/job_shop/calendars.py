"""Windows in which a machine runs nothing: maintenance, shifts, holidays.

An operation is not split by a window: it starts when it fits between two of them, or after the last one. A window keeps
operations out, not setups: what a machine is being set up for may be prepared while it stands still. An operation of
length 0 may take place at the edge of a window, but not inside it.
"""

from collections.abc import Sequence

import numpy as np

from ..core.errors import InstanceError

MAX_WINDOWS = 10_000  # of one machine


def first_problem(windows: Sequence[Sequence[int]], latest: int) -> str | None:
    """What is wrong with the windows of one machine, in words; None if nothing is.

    Args:
        windows: pairs of start and end, in time units.
        latest: the largest end that is allowed.
    """
    if len(windows) > MAX_WINDOWS:
        return f"{len(windows)} windows, limit {MAX_WINDOWS}"
    before = 0
    for start, end in windows:
        if not before <= start < end <= latest:
            return f"window {start} to {end} is not after {before}, of positive length and over by {latest}"
        before = end
    return None


def as_windows(given, machines: int, latest: int, where: str) -> np.ndarray | None:
    """Bring windows into an array.

    Args:
        given: for each machine its windows in their order, as pairs of start and end; an array may be padded with -1.
        machines: number of machines.
        latest: the largest end that is allowed, in time units.
        where: name of the instance, for messages.

    Returns:
        (machines, most windows, 2) int32, padded with -1 and read-only; None where no machine has any.

    Raises:
        InstanceError: naming the machine.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, np.ndarray)) or len(given) != machines:
        raise InstanceError(f"windows must be a list of windows for each of the {machines} machines", where)
    rows = []
    for machine, windows in enumerate(given):
        try:
            array = np.asarray(windows if len(windows) else np.zeros((0, 2), np.int64))
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
            raise InstanceError(f"windows of machine {machine} must be pairs of whole numbers, got {windows!r}", where)
        real = array[(array != -1).all(axis=1)].tolist()
        problem = first_problem(real, latest)
        if problem or (array[len(real) :] != -1).any():
            raise InstanceError(f"machine {machine}: {problem or 'padding (-1) stands before a window'}", where)
        rows.append(real)
    most = max(map(len, rows))
    if most == 0:
        return None
    result = np.full((machines, most, 2), -1, np.int32)
    for machine, windows in enumerate(rows):
        if windows:
            result[machine, : len(windows)] = windows
    result.setflags(write=False)
    return result


def of_machine(windows: np.ndarray | None, machine: int) -> list[tuple[int, int]]:
    """The windows of one machine, (start, end) each, in their order.

    Args:
        windows: as ``as_windows`` returned them.
        machine: its number.
    """
    if windows is None:
        return []
    return [(start, end) for start, end in windows[machine].tolist() if end > 0]


def last_end(windows: np.ndarray | None) -> int:
    """When the last window of any machine is over; 0 without windows."""
    return 0 if windows is None else max(int(windows.max()), 0)


def fit(windows: list[tuple[int, int]], start: int, length: int) -> int:
    """The earliest start from ``start`` on at which ``length`` time units fit between the windows of a machine.

    >>> fit([(4, 6), (9, 10)], 2, 3)
    6
    """
    for begin, end in windows:
        if start < end and start + length > begin:
            start = end
    return start


def work_until(windows: list[tuple[int, int]], start: int, work: int) -> int:
    """When a machine that works from ``start`` on, but in its windows, has done ``work`` time units at the earliest.

    >>> work_until([(4, 6), (9, 10)], 2, 6)
    11
    """
    for begin, end in windows:
        if end > start:
            if start + work <= begin:
                return start + work
            work -= max(begin - start, 0)
            start = end
    return start + work
