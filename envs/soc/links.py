"""Transfer times between processing elements (PEs), for many edges at once."""

import numpy as np

from ..core.errors import UnknownNameError
from .instance import SoCInstance

ROUNDINGS = ("up", "down")
_TABLE_CELLS = 2**22  # of a temporary table, so that memory stays small


class Links:
    """Transfer times between PEs: latency plus volume over bandwidth, nothing within a PE.

    Args:
        instance: whose latency and bandwidth.
        rounding: ``"up"`` or ``"down"``, what becomes of a part of a microsecond.

    Raises:
        UnknownNameError: if ``rounding`` is neither.
    """

    def __init__(self, instance: SoCInstance, rounding: str = "up"):
        if rounding not in ROUNDINGS:
            raise UnknownNameError("rounding", rounding, ROUNDINGS)
        self.latency = instance.latency.astype(np.int64)  # (P, P)
        self.bandwidth = instance.bandwidth.astype(np.int64)  # (P, P)
        self.up = rounding == "up"
        # (volume + carry) // divisor rounds either way.
        self._carry = self.bandwidth - 1 if self.up else np.zeros_like(self.bandwidth)
        self._divisor = self.bandwidth.copy()
        np.fill_diagonal(self._divisor, 2**40)  # more than any volume: nothing moves within a PE

    def times(self, volume: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Time from a PE to every PE.

        Args:
            volume: (K,) data to be moved.
            source: (K,) the PE that each of them is on.

        Returns:
            (K, P) int64, in microseconds; 0 at the source.
        """
        return self.latency[source] + (volume[:, None] + self._carry[source]) // self._divisor[source]

    def total(self, volume: np.ndarray) -> np.ndarray:
        """Sum of the transfer times over all ordered pairs of different PEs, (K,) int64."""
        elements = len(self.latency)
        apart = ~np.eye(elements, dtype=bool)
        # Few bandwidths and volumes are distinct in practice, and only those need a division.
        bandwidth, count = np.unique(self.bandwidth[apart], return_counts=True)
        distinct, where = np.unique(volume.astype(np.int64), return_inverse=True)
        total = np.full(len(distinct), self.latency.sum())
        carry = bandwidth - 1 if self.up else 0
        step = max(1, _TABLE_CELLS // max(1, len(bandwidth)))
        for k in range(0, len(distinct), step):
            total[k : k + step] += (distinct[k : k + step, None] + carry) // bandwidth @ count
        return total[where]
