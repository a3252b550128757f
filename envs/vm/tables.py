"""What the simulator wants to know of an instance, as arrays: needs, flavors, levels, conflicts, and events."""

import numpy as np

from ..core.errors import OptionError
from .instance import VMInstance

MAX_PENALTY = 2**62


def needs(instance: VMInstance) -> tuple[np.ndarray, np.ndarray]:
    """(VMs,) cores and (VMs,) MB that each VM takes of each of its nodes."""
    double = instance.numas == 2
    cores = np.where(double, instance.cores // 2, instance.cores)
    memory = np.where(double, (instance.memory.astype(np.int64) + 1) // 2, instance.memory)
    return cores, memory


def flavors(instance: VMInstance) -> tuple[np.ndarray, np.ndarray]:
    """(VMs,) number of each VM's flavor, and (flavors,) a VM of each; VMs of a flavor differ only in where they are."""
    rows = np.stack([instance.cores, instance.memory, instance.numas, instance.priority], axis=1)
    _, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return number.reshape(-1), first


def levels(instance: VMInstance) -> tuple[np.ndarray, int]:
    """(VMs,) each VM's priority as a number from 0, the least, and how many priorities there are."""
    known, number = np.unique(instance.priority, return_inverse=True)
    return number.reshape(-1), len(known)


def level_weights(instance: VMInstance, count: int, mnl: int) -> list[int]:
    """Penalty of one unplaced VM of each of so many levels: more than all that is less important together.

    Raises:
        OptionError: if the sum of all could not be counted.
    """
    base = instance.vms + mnl + 1
    if base ** (count + 1) >= MAX_PENALTY:
        raise OptionError(
            f"{instance.name}: {count} priorities of {instance.vms} VMs and mnl {mnl} are more than a penalty can count"
        )
    return [base ** (level + 1) for level in range(count)]


def conflicts(instance: VMInstance) -> tuple[np.ndarray, np.ndarray]:
    """Anti-affinity VM by VM: (VMs + 1,) where each one's conflicts begin in the (conflicts,) codes.

    A code is twice the other VM, plus 1 where they must not even share a rack.
    """
    mine, codes = [np.zeros(0, int)], [np.zeros(0, int)]
    by_size: dict[int, list] = {}
    for scope, members in instance.groups:
        by_size.setdefault(len(members), []).append((int(scope == "rack"), members))
    for size, groups in by_size.items():
        members = np.array([row for _, row in groups])
        rack = np.array([scope for scope, _ in groups])[:, None, None]
        one = np.broadcast_to(members[:, :, None], (len(groups), size, size))
        other = np.broadcast_to(members[:, None, :] * 2 + rack, (len(groups), size, size))
        apart = ~np.eye(size, dtype=bool)
        mine.append(one[:, apart].ravel())
        codes.append(other[:, apart].ravel())
    owner, code = np.concatenate(mine), np.concatenate(codes)
    order = np.lexsort((code, owner))
    first = np.searchsorted(owner[order], np.arange(instance.vms + 1))
    return first, code[order]


def events(instance: VMInstance) -> tuple[np.ndarray, np.ndarray]:
    """Arrivals and departures before the horizon: (events,) times, and codes, twice the VM, plus 1 if it arrives."""
    leaving = np.flatnonzero(instance.departure < instance.horizon)
    coming = np.flatnonzero((instance.arrival > 0) & (instance.arrival < instance.horizon))
    time = np.concatenate([instance.departure[leaving], instance.arrival[coming]])
    vm = np.concatenate([leaving, coming])
    arrives = np.repeat([0, 1], [len(leaving), len(coming)])
    order = np.lexsort((vm, arrives, time))
    return time[order], (2 * vm + arrives)[order]
