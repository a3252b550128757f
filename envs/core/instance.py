"""What every family's instance has in common, and how its digest is made."""

import hashlib
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Instance(Protocol):
    """A problem as frozen, validated numbers.

    Where its objective may be 0, so that no gap can be relative to it, an instance also has a ``gap_scale``: a number
    that differences of objectives are shares of. Where the objective alone does not say what a policy is trained for,
    it has a ``kind``: a phrase that does.
    """

    family: ClassVar[str]
    name: str
    objective: str  # the metric of its schedules that is minimised

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on the numbers alone, not on the name."""
        ...


def digest(family: str, *parts) -> str:
    """Hash numbers and arrays into the sixteen hexadecimal digits of an instance's digest.

    Args:
        family: the family's name.
        parts: integers, strings and integer arrays, in a fixed order; shapes count, dtypes do not.
    """
    state = hashlib.sha256(family.encode())
    after_scalar = False
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(str(part.shape).encode())
            state.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
            after_scalar = False
        else:
            # Without a mark between them, 1 and 11 would read as 11 and 1.
            state.update((b"\x00" if after_scalar else b"") + repr(part).encode())
            after_scalar = True
    return state.hexdigest()[:16]
