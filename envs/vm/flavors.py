"""The flavors that virtual machines (VMs) come in, with how many of each real clusters run."""

from dataclasses import dataclass

import numpy as np

NODE_CORES = 44  # of each of the two NUMA nodes of a host
NODE_MEMORY = 184_388  # MB, likewise
GIGABYTE = 1024  # MB


@dataclass(frozen=True)
class Flavors:
    """A mix of flavors; no node of ``NODE_CORES`` runs out of memory before it runs out of cores.

    Attributes:
        cores: (flavors,) int64, in all.
        memory: (flavors,) int64, in all, in MB.
        numas: (flavors,) int64, 1 for a single VM, 2 for a double.
        share: (flavors,) float64, of the VMs, summing to 1.
    """

    cores: np.ndarray
    memory: np.ndarray
    numas: np.ndarray
    share: np.ndarray


def _mix(*rows: tuple[int, int, int, int]) -> Flavors:
    """A mix from rows of cores, GB, NUMA nodes and number of VMs."""
    table = np.array(rows)
    return Flavors(table[:, 0], table[:, 1] * GIGABYTE, table[:, 2], table[:, 3] / table[:, 3].sum())


# 2 GB a core: the VMs of the mapping "Medium" of VMR2L (Ding et al. 2025), 2,089 of them on 279 hosts.
COMPUTE = _mix(
    (2, 4, 1, 337),
    (4, 8, 1, 906),
    (4, 8, 2, 3),
    (8, 16, 1, 311),
    (8, 16, 2, 57),
    (16, 32, 1, 184),
    (16, 32, 2, 46),
    (32, 64, 1, 61),
    (32, 64, 2, 50),
    (64, 128, 2, 130),
    (88, 176, 2, 4),
)

# 4 GB a core and a little more: the VMs of the mapping "multi-resource" of VMR2L, 3,000 of them on 1,264 hosts.
GENERAL = _mix(
    (2, 8, 1, 604),
    (4, 16, 1, 359),
    (8, 32, 1, 390),
    (16, 64, 1, 871),
    (32, 128, 2, 267),
    (64, 256, 2, 394),
    (84, 342, 2, 104),
    (88, 352, 2, 11),
)
