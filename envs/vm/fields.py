"""Checks of the fields of an instance, each naming the field and the place that is wrong."""

import numpy as np

from ..core.errors import InstanceError

MAX_HOSTS = 10_000
MAX_VMS = 100_000
MAX_CORES = 1024  # of one NUMA node
MAX_MEMORY = 2**30  # MB, of one NUMA node or one VM
MAX_PAIRS = 1_000_000  # sum over the groups of members x members: whoever looks for conflicts walks over them
MAX_TIME = 2**30  # ms
MAX_WHOLE = 2**31 - 1  # of priorities and worlds
NEVER = 2**31 - 1  # the departure of a VM that stays, in ms
SCOPES = ("host", "rack")


def check_word(value: object, what: str, where: str) -> None:
    """Refuse text that would break a table.

    Raises:
        InstanceError: if it is not one line of printable text.
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InstanceError(f"{what}: expected one line of printable text, got {value!r:.80}", where)


def number(value: object, what: str, most: int, where: str) -> int:
    """A whole number from 0 to ``most``.

    Raises:
        InstanceError: if it is anything else.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise InstanceError(f"{what} must be an integer, got {value!r:.80}", where)
    if not 0 <= value <= most:
        raise InstanceError(f"{what} must be 0 to {most}, got {_short(value)}", where)
    return int(value)


def count(values: object, what: str, most: int, where: str) -> int:
    """The number of entries of a column, 1 to ``most``.

    Raises:
        InstanceError: if it has no length, none or too many.
    """
    length = _length(values, what, where)
    if not 1 <= length <= most:
        raise InstanceError(f"{what} must have 1 to {most} entries, got {length}", where)
    return length


def column(
    values: object, what: str, length: int, least: int, most: int, where: str, default: int | None = None
) -> np.ndarray:
    """A copy of a column of integers within a range, (length,) int32; all ``default`` for None.

    Raises:
        InstanceError: if it has another shape or dtype, or a value is out of range.
    """
    if values is None and default is not None:
        return np.full(length, default, dtype=np.int32)
    array = _array(values, what, length, where)
    if array.shape != (length,) or array.dtype.kind not in "iu":
        raise InstanceError(f"{what} must be {length} integers, got {array.dtype} of shape {array.shape}", where)
    wrong = (array < least) | (array > most)
    if wrong.any():
        place = wrong.argmax()
        raise InstanceError(f"{what}[{place}]: {array[place]} is not {least} to {most}", where)
    return array.astype(np.int32)


def pairs(values: object, what: str, hosts: int, most: int, where: str) -> np.ndarray:
    """A copy of two integers for each host, 0 to ``most``, (hosts, 2) int32.

    Raises:
        InstanceError: if it has another shape or dtype, or a value is out of range.
    """
    array = _array(values, what, hosts, where)
    if array.shape != (hosts, 2) or array.dtype.kind not in "iu":
        found = f"got {array.dtype} of shape {array.shape}"
        raise InstanceError(f"{what} must be two integers for each of {hosts} hosts, {found}", where)
    wrong = (array < 0) | (array > most)
    if wrong.any():
        host, numa = np.argwhere(wrong)[0]
        raise InstanceError(f"{what}[{host}][{numa}]: {array[host, numa]} is not 0 to {most}", where)
    return array.astype(np.int32)


def flags(values: object, what: str, length: int, default: bool, where: str) -> np.ndarray:
    """A copy of a column of truth values, (length,) bool; all ``default`` for None.

    Raises:
        InstanceError: if it has another shape, or entries that are neither truth values nor 0 and 1.
    """
    if values is None:
        return np.full(length, default)
    array = _array(values, what, length, where)
    fine = array.dtype.kind == "b" or (array.dtype.kind in "iu" and not ((array != 0) & (array != 1)).any())
    if array.shape != (length,) or not fine:
        raise InstanceError(f"{what} must be {length} truth values, got {array.dtype} of shape {array.shape}", where)
    return array.astype(bool)


def words(values: object, what: str, length: int, where: str) -> tuple[str, ...]:
    """Names, one for each of ``length`` things, or none at all.

    Raises:
        InstanceError: if there is another number of them or one is not printable.
    """
    if not isinstance(values, tuple | list) or len(values) not in (0, length):
        raise InstanceError(f"{what} must be {length} names or none, got {_kind(values)}", where)
    for index, word in enumerate(values):
        check_word(word, f"{what}[{index}]", where)
    return tuple(map(str, values))


def groups(
    values: object, vms: int, scopes: tuple[str, ...], limit: int, where: str
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Groups of VMs as (scope, members), members in ascending order.

    Raises:
        InstanceError: if one has another scope, fewer than two members, one twice, one that does not exist, or
            if members x members summed over the groups exceed ``limit``.
    """
    if not isinstance(values, tuple | list):
        raise InstanceError(f"groups must be pairs of a scope and VMs, got {_kind(values)}", where)
    found, total = [], 0
    for index, group in enumerate(values):
        if not isinstance(group, tuple | list) or len(group) != 2 or not isinstance(group[1], tuple | list):
            raise InstanceError(f"groups[{index}]: expected a scope and a tuple of VMs, got {group!r:.80}", where)
        scope, members = group
        if not isinstance(scope, str) or scope not in scopes:
            raise InstanceError(f"groups[{index}].scope: expected {' or '.join(scopes)}, got {scope!r:.80}", where)
        total += len(members) ** 2
        if total > limit:
            raise InstanceError(f"groups[{index}]: members x members of all groups is more than {limit}", where)
        found.append((scope, _members(members, vms, f"groups[{index}].vms", where)))
    return tuple(found)


def _members(members, vms: int, what: str, where: str) -> tuple[int, ...]:
    for place, vm in enumerate(members):
        whole = isinstance(vm, int | np.integer) and not isinstance(vm, bool)
        if not whole or not 0 <= vm < vms:
            raise InstanceError(f"{what}[{place}]: expected a VM, 0 to {vms - 1}, got {_short(vm)}", where)
    distinct = sorted({int(vm) for vm in members})
    if len(distinct) < max(2, len(members)):
        raise InstanceError(f"{what}: expected at least two VMs, none of them twice, got {members!r:.80}", where)
    return tuple(distinct)


def _length(values: object, what: str, where: str) -> int:
    try:
        return len(values)
    except TypeError as error:
        raise InstanceError(f"{what} must be a list of integers, got {values!r:.80}", where) from error


def _array(values: object, what: str, length: int, where: str) -> np.ndarray:
    """The array of a column, its length looked at before anything is allocated."""
    if _length(values, what, where) != length:
        raise InstanceError(f"{what} must have {length} entries, got {len(values)}", where)
    try:
        return np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InstanceError(f"{what} is not a rectangular array of integers: {error}", where) from error


def _short(value) -> str:
    # printing an integer of more than 4300 digits is an error in itself
    return "a huge number" if isinstance(value, int) and abs(value) >= 2**64 else f"{value!r:.80}"


def _kind(value) -> str:
    return f"{len(value)}" if isinstance(value, tuple | list) else f"{value!r:.80}"
