"""Who is where and what is free: the book that is kept while a schedule is carried out, step by step."""

from collections.abc import Iterable

import numpy as np

from .conditions import Conditions
from .instance import VMInstance

SLOT = 16  # cores; what is free on a node beyond a multiple of it is a fragment
WIDE_SLOT = 64  # cores, half of them on each node of a host
MEMORY_SLOT = 65536  # MB
NOWHERE = -1


class Occupancy:
    """The VMs on their nodes; a VM that is being copied is on two at a time.

    Nothing is refused here: what does not fit makes free cores negative.

    Args:
        instance: the problem, at its start.
        constraints: whether drained hosts and anti-affinity groups count.
        asked: the VMs that may be sent somewhere; the groups of no others are looked up.

    Attributes:
        node: (VMs,) int64, where each VM is; ``NOWHERE`` of those that are not placed.
        target: (VMs,) int64, where each VM is being copied to; ``NOWHERE`` of the others.
        cores, memory: (hosts, 2) int64, what is free on each node; memory in MB.
    """

    def __init__(self, instance: VMInstance, constraints: bool, asked: Iterable[int]):
        self.instance, self.constraints = instance, constraints
        self.node = instance.node.astype(np.int64)
        self.target = np.full(instance.vms, NOWHERE)
        self.cores, self.memory = (
            _free(capacity, taken, instance)
            for capacity, taken in ((instance.node_cores, instance.cores), (instance.node_memory, instance.memory))
        )
        self._racks = np.append(instance.rack, NOWHERE).astype(np.int64)  # the last one is the rack of NOWHERE
        every = [_sums(*host) for host in np.hstack([self.cores, self.memory]).tolist()]
        self._sums = [sum(part) for part in zip(*every, strict=True)]
        self._groups = _memberships(instance, asked) if constraints else {}
        self._others: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def parts(self) -> tuple[float, float, float]:
        """The fragment rates FR-16, FR-64 and of memory; 0 where nothing is free."""
        small, wide, memory, free_cores, free_memory = self._sums
        wide = free_cores - WIDE_SLOT * wide
        return _share(small, free_cores), _share(wide, free_cores), _share(memory, free_memory)

    def rate(self, conditions: Conditions) -> float:
        """The fragment rate: the three parts, weighted."""
        small, wide, memory, free_cores, free_memory = self._sums
        wide = free_cores - WIDE_SLOT * wide
        weight = 100 - conditions.weight_64 - conditions.weight_memory
        # integers as long as possible: each part is rounded once
        of_cores = _share(weight * small + conditions.weight_64 * wide, 100 * free_cores)
        return of_cores + _share(conditions.weight_memory * memory, 100 * free_memory)

    def double(self, vm: int) -> bool:
        """Whether a VM takes both nodes of its host."""
        return self.instance.numas[vm] == 2

    def share(self, vm: int) -> tuple[int, int]:
        """The cores and the memory, in MB, that a VM takes from each of its nodes."""
        cores, memory = int(self.instance.cores[vm]), int(self.instance.memory[vm])
        return (cores // 2, -(-memory // 2)) if self.double(vm) else (cores, memory)

    def enter(self, vm: int, node: int) -> None:
        """Place a VM that is nowhere."""
        self._change(vm, node, -1)
        self.node[vm] = node

    def leave(self, vm: int) -> None:
        """Take a VM away, from both ends if it is being copied."""
        for node in (self.node[vm], self.target[vm]):
            if node != NOWHERE:
                self._change(vm, int(node), 1)
        self.node[vm] = self.target[vm] = NOWHERE

    def reserve(self, vm: int, node: int) -> None:
        """Begin to copy a VM to another node."""
        self._change(vm, node, -1)
        self.target[vm] = node

    def complete(self, vm: int) -> None:
        """End the copy of a VM: it is where it was copied to, and there alone."""
        self._change(vm, int(self.node[vm]), 1)
        self.node[vm], self.target[vm] = self.target[vm], NOWHERE

    def obstacles(self, vm: int, node: int) -> list[tuple[str, str]]:
        """Why a VM may not come to a node that it is not on: (rule, words) pairs; empty if it may."""
        host = node // 2
        found = [("capacity", words) for words in self._shortage(vm, node)]
        if not self.constraints:
            return found
        if self.instance.drained[host]:
            found.append(("drained", f"host {host}, which is drained"))
        for others, rack in zip(self._apart(vm), (False, True), strict=True):
            here = self._racks[host] if rack else host
            close = others[(self._around(others, rack) == here).any(axis=0)]
            if len(close):
                where = f"host {host} in rack {here}" if rack else f"host {host}"
                found.append(("affinity", f"{where}, where {_list(close)}"))
        return found

    def best_fit(self, vm: int) -> int:
        """Where an arriving VM goes: where the fewest cores are free among where it may be, the lowest of equals."""
        cores, memory = self.share(vm)
        fits = (self.cores >= cores) & (self.memory >= memory)
        if self.constraints:
            fits &= ~(self.instance.drained | self._taboo(vm))[:, None]
        free = self.cores
        if self.double(vm):
            fits, free = fits.all(axis=1), free.sum(axis=1)
        best = np.where(fits, free, np.iinfo(np.int64).max).argmin()
        if not fits.flat[best]:
            return NOWHERE
        return int(2 * best if self.double(vm) else best)

    def _change(self, vm: int, node: int, sign: int) -> None:
        host, side = divmod(node, 2)
        part = slice(None) if self.double(vm) else side
        cores, memory = self.share(vm)
        before = _sums(*self.cores[host].tolist(), *self.memory[host].tolist())
        self.cores[host, part] += sign * cores
        self.memory[host, part] += sign * memory
        after = _sums(*self.cores[host].tolist(), *self.memory[host].tolist())
        self._sums = [total + new - old for total, new, old in zip(self._sums, after, before, strict=True)]

    def _shortage(self, vm: int, node: int) -> list[str]:
        cores, memory = self.share(vm)
        found = []
        for place in (node, node + 1) if self.double(vm) else (node,):
            free, left = int(self.cores.flat[place]), int(self.memory.flat[place])
            if free < cores or left < memory:
                needs = f"it needs {cores} cores and {memory} MB"
                found.append(f"node {place}, which has {free} cores and {left} MB free: {needs}")
        return found

    def _apart(self, vm: int) -> tuple[np.ndarray, np.ndarray]:
        """The VMs that may not share a host with this one, and those that may not share a rack."""
        if vm not in self._others:
            apart: dict[str, set[int]] = {"host": set(), "rack": set()}
            for index in self._groups.get(vm, ()):
                scope, members = self.instance.groups[index]
                apart[scope].update(members)
            self._others[vm] = tuple(np.array(sorted(apart[scope] - {vm}), dtype=np.int64) for scope in apart)
        return self._others[vm]

    def _around(self, others: np.ndarray, rack: bool) -> np.ndarray:
        """The hosts or racks where VMs are and are copied to, (2, VMs) int64; ``NOWHERE`` where there is none."""
        hosts = np.stack([self.node[others], self.target[others]]) // 2  # half of NOWHERE is NOWHERE
        return self._racks[hosts] if rack else hosts

    def _taboo(self, vm: int) -> np.ndarray:
        """The hosts where a VM may not be for what else is there, (hosts,) bool."""
        hosts, racks = (self._around(others, rack) for others, rack in zip(self._apart(vm), (False, True), strict=True))
        return np.isin(np.arange(self.instance.hosts), hosts) | np.isin(self.instance.rack, racks)


def _free(capacity: np.ndarray, taken: np.ndarray, instance: VMInstance) -> np.ndarray:
    """What of a capacity no VM takes at the start, (hosts, 2) int64."""
    free = capacity.astype(np.int64)
    double = instance.numas == 2
    share = np.where(double, -(-taken.astype(np.int64) // 2), taken)
    for vms, side in ((instance.node >= 0, 0), ((instance.node >= 0) & double, 1)):
        np.subtract.at(free.reshape(-1), instance.node[vms] + side, share[vms])
    return free


def _sums(cores: int, more_cores: int, memory: int, more_memory: int) -> tuple[int, int, int, int, int]:
    """Of what is free on a host's two nodes: fragments of cores, wide slots, fragments of memory, cores and memory."""
    half = WIDE_SLOT // 2
    return (
        cores % SLOT + more_cores % SLOT,
        min(cores // half, more_cores // half),
        memory % MEMORY_SLOT + more_memory % MEMORY_SLOT,
        cores + more_cores,
        memory + more_memory,
    )


def _memberships(instance: VMInstance, asked: Iterable[int]) -> dict[int, list[int]]:
    """The groups that each of some VMs belongs to."""
    asked = set(asked)
    found: dict[int, list[int]] = {}
    for index, (_, members) in enumerate(instance.groups):
        if not asked.isdisjoint(members):  # most groups are of others, and there may be very many
            for vm in asked.intersection(members):
                found.setdefault(vm, []).append(index)
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0


def _list(vms: np.ndarray) -> str:
    if len(vms) == 1:
        return f"VM {vms[0]} of its groups is"
    more = f" and {len(vms) - 3} more" if len(vms) > 3 else ""
    return f"VMs {', '.join(map(str, vms[:3]))}{more} of its groups are"
