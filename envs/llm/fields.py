"""Checks of the arrays of an instance, each naming the array and the place that is wrong."""

import numpy as np

from ..core.errors import InstanceError

MAX_REQUESTS = 1_000_000
MAX_SERVERS = 256
MAX_TIME = 2**50  # us, 35 years: of an arrival, of a target and of all times to think together
MAX_GROUPS = 65_536
MAX_CLIENTS = 65_536
MAX_CLASSES = 100
USUAL_TTFT, USUAL_TTFT_TOKEN, USUAL_TBT = 500_000, 2000, 100_000  # us: any prompt, each of its tokens, every pause


def check_word(value: object, what: str, where: str) -> None:
    """Refuse text that would break a table.

    Raises:
        InstanceError: if it is not one line of printable text.
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InstanceError(f"{what}: expected one line of printable text, got {value!r:.80}", where)


def count(values: object, what: str, most: int, where: str) -> int:
    """The number of entries of an array, 1 to ``most``.

    Raises:
        InstanceError: if it has no length, none or too many.
    """
    length = _length(values, what, where)
    if not 1 <= length <= most:
        raise InstanceError(f"{what} must have 1 to {most} entries, got {length}", where)
    return length


def column(values: object, what: str, length: int, least: int, most: int, dtype: type, where: str) -> np.ndarray:
    """A copy of an array of integers within a range, (length,) of a dtype.

    Raises:
        InstanceError: if it has another shape or holds no integers, or one is out of range.
    """
    # the length is looked at before anything is allocated
    if _length(values, what, where) != length:
        raise InstanceError(f"{what} must have {length} entries, got {len(values)}", where)
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InstanceError(f"{what} is not an array of integers: {error}", where) from error
    if array.shape != (length,) or array.dtype.kind not in "iu":
        raise InstanceError(f"{what} must be {length} integers, got {array.dtype} of shape {array.shape}", where)
    wrong = (array < least) | (array > most)
    if wrong.any():
        place = wrong.argmax()
        raise InstanceError(f"{what}[{place}]: {array[place]} is not {least} to {most}", where)
    return array.astype(dtype)


def _length(values: object, what: str, where: str) -> int:
    try:
        return len(values)
    except TypeError as error:
        raise InstanceError(f"{what} must be a list of integers, got {values!r:.80}", where) from error
