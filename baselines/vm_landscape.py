"""What every single move of a cluster would gain, for all kinds of VMs and all nodes at once."""

import heapq
from collections.abc import Collection, Iterator
from typing import Self

import numpy as np

from .vm_problem import HALF, MEMORY_SLOT, SLOT, UNPLACED, Cluster

POTENTIAL = 0.3  # worth of a slot that is nearly there, against a whole one


def descending(gains: np.ndarray) -> list[int]:
    """Places of gains from the largest to the smallest, of equal ones the first; minus infinity is no gain."""
    places = np.flatnonzero(gains > -np.inf)
    return places[np.argsort(-gains[places], kind="stable")].tolist()


def best_pairs(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[float, int, int]]:
    """Pairs of nodes on different hosts by the sum of what they gain, the largest first.

    Args:
        first: (nodes,) gains, minus infinity where there is none.
        second: (nodes,) likewise.

    Yields:
        The sum, the node of the first and the node of the second.
    """
    ones, others = descending(first), descending(second)
    heap = [(-float(first[ones[0]] + second[others[0]]), 0, 0)] if ones and others else []
    while heap:
        loss, i, j = heapq.heappop(heap)
        if ones[i] // 2 != others[j] // 2:
            yield -loss, ones[i], others[j]
        if j + 1 < len(others):
            heapq.heappush(heap, (-float(first[ones[i]] + second[others[j + 1]]), i, j + 1))
        if j == 0 and i + 1 < len(ones):
            heapq.heappush(heap, (-float(first[ones[i + 1]] + second[others[0]]), i + 1, 0))


def _labelled(label: object, first: np.ndarray, second: np.ndarray) -> Iterator[tuple]:
    for gain, one, other in best_pairs(first, second):
        yield -gain, label, one, other


def _few(gains: np.ndarray, most: int) -> np.ndarray:
    """Gains of which, in each row, no more than some are equal; the others become minus infinity."""
    order = np.argsort(gains, axis=1, kind="stable")
    ranked = np.take_along_axis(gains, order, axis=1)
    place = np.arange(gains.shape[1])
    new = np.ones(gains.shape, dtype=bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    first = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    few = np.empty_like(gains)
    np.put_along_axis(few, order, np.where(place - first < most, ranked, -np.inf), axis=1)
    return few


class Landscape:
    """A cluster as arrays: a search's state, cheap to copy.

    A gain is counted in hundredths of a free core that is no fragment any more; it is separable into what a VM's
    leaving gains and what its arrival gains, but for moves between the nodes of one host.

    Args:
        cluster: the state to begin with.
        hosts: those whose VMs may be moved, and moved to; all when left out.

    Attributes:
        cluster: that state, for what never changes.
        cores, memory, double: (kinds,) what a VM of a kind takes of each of its nodes; whether it is on two.
        kind: (VMs,) the kind of each VM that may be moved, -1 for the others.
        free: (hosts, 2, 2) free cores, then free memory, of each node.
        count: (kinds, nodes) VMs of a kind that may be moved, by where they are.
        node: (VMs,) where each VM is.
        closed: (hosts,) whether a host accepts no VM.
        cost: of a migration.
        scale: to divide a gain by for a difference of objectives.
    """

    def __init__(self, cluster: Cluster, hosts: Collection[int] | None = None):
        conditions, instance = cluster.conditions, cluster.instance
        self.cluster = cluster
        self.node = np.array(cluster.node)
        flavors = np.stack([cluster.cores, cluster.memory, cluster.double], axis=1)
        closed = np.zeros(instance.hosts, dtype=bool)
        if hosts is not None:
            closed[:] = True
            closed[list(hosts)] = False
        movable = np.array(cluster.movable) & (self.node >= 0) & ~closed[self.node // 2]
        known, kind = np.unique(flavors[movable], axis=0, return_inverse=True)
        self.cores, self.memory, self.double = known[:, 0], known[:, 1], known[:, 2] == 1
        self.kind = np.full(instance.vms, -1)
        self.kind[movable] = kind.ravel()
        self.free = np.stack([cluster.free_cores, cluster.free_memory], axis=1).reshape(-1, 2, 2).astype(np.int64)
        self.count = np.zeros((len(known), instance.nodes), dtype=np.int32)
        np.add.at(self.count, (self.kind[movable], self.node[movable]), 1)
        self.closed = closed | np.array(cluster.drained)
        total, memory = int(self.free[..., 0].sum()), int(self.free[..., 1].sum())
        self.scale = 100 * max(total, 1)
        self.weights = (
            SLOT * (100 - conditions.weight_64 - conditions.weight_memory),
            2 * HALF * conditions.weight_64,
            MEMORY_SLOT * conditions.weight_memory * total / memory if memory else 0.0,
        )
        self.cost = conditions.migration_cost * self.scale

    def copy(self) -> Self:
        """The same state, to be changed on its own."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        other.free, other.count, other.node = self.free.copy(), self.count.copy(), self.node.copy()
        return other

    def worth(self, free: np.ndarray, potential: float = 0.0) -> np.ndarray:
        """What hosts are worth: the slots on them, and a share of those that are nearly there.

        Args:
            free: (..., 2, 2) free cores and memory of both nodes.
            potential: that share.

        Returns:
            (...,) worth of each host.
        """
        plain, wide, memory = self.weights
        total = 0.0
        parts = (
            (plain, SLOT, free[..., 0], True),
            (wide, HALF, free[..., 0].min(axis=-1) if wide else free, False),
            (memory, MEMORY_SLOT, free[..., 1], True),
        )
        for weight, size, amount, each_node in parts:
            if weight:
                slots = amount // size
                if potential:
                    slots = slots + potential * ((amount % size) / size) ** 2
                total = total + weight * (slots.sum(axis=-1) if each_node else slots)
        return total if isinstance(total, np.ndarray) else np.zeros(free.shape[:-2])

    def gains(self, potential: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """What each kind gains by leaving each node, and by arriving there; minus infinity where it cannot.

        Args:
            potential: the share of slots that are nearly there.

        Returns:
            Two of (kinds, nodes).
        """
        kinds, hosts = len(self.cores), len(self.free)
        taken = self._taken()
        now = self.worth(self.free, potential)
        free = self.free[None, :, None]  # kinds, hosts, where the VM is, node, cores and memory
        leave = self.worth(free + taken[:, None], potential) - now[:, None]
        after = free - taken[:, None]
        enter = self.worth(after, potential) - now[:, None]
        legal = (after >= 0).all(axis=(-1, -2)) & ~self.closed[:, None]
        legal[self.double, :, 1] = False
        leave = np.where(self.count.reshape(kinds, hosts, 2) > 0, leave, -np.inf)
        return leave.reshape(kinds, -1), np.where(legal, enter, -np.inf).reshape(kinds, -1)

    def _taken(self) -> np.ndarray:
        """(kinds, 2, 2, 2): what a kind takes when it is at node 0 or 1, of each node, in cores and memory."""
        size = np.stack([self.cores, self.memory], axis=1)
        taken = np.zeros((len(size), 2, 2, 2), dtype=np.int64)
        for side in (0, 1):
            taken[:, side, side] = size
        taken[self.double] = size[self.double][:, None, None]
        return taken

    def across(self, potential: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Moves of singles to the other node of their host: gains, kinds and the nodes they leave."""
        kinds, nodes = np.nonzero((self.count > 0) & ~self.double[:, None])
        hosts, sides = nodes // 2, nodes % 2
        before = self.free[hosts]
        after = before.copy()
        size = np.stack([self.cores, self.memory], axis=1)[kinds]
        rows = np.arange(len(kinds))
        after[rows, sides] += size
        after[rows, 1 - sides] -= size
        gain = self.worth(after, potential) - self.worth(before, potential)
        legal = (after >= 0).all(axis=(-1, -2)) & ~self.closed[hosts]
        return gain[legal], kinds[legal], nodes[legal]

    def moves(self, potential: float = 0.0, alike: int | None = None) -> Iterator[tuple[float, int, int]]:
        """Every legal move, the best first: gain, VM and node. Of VMs that are alike the lowest stands for all.

        Args:
            potential: the share of slots that are nearly there.
            alike: of nodes where the same is gained, only so many are looked at; all when left out.
        """
        leave, enter = self.gains(potential)
        if alike is not None:
            leave, enter = _few(leave, alike), _few(enter, alike)
        streams = [_labelled(kind, leave[kind], enter[kind]) for kind in range(len(leave))]
        gains, kinds, nodes = self.across(potential)
        order = np.argsort(-gains, kind="stable")
        streams.append((-gains[i], int(kinds[i]), int(nodes[i]), int(nodes[i]) ^ 1) for i in order.tolist())
        for loss, kind, source, node in heapq.merge(*streams):
            for vm in self.present(kind, source):
                if not self.conflicts(vm, node):
                    yield -float(loss), vm, node
                    break

    def exchanges(self, direct: bool) -> Iterator[tuple[float, tuple[int, int], tuple[int, int]]]:
        """Exchanges of two VMs of different kinds by their gain: the kind and node of one, and of the other.

        Args:
            direct: whether the second VM must find room beside the first.
        """
        kinds, hosts = len(self.cores), len(self.free)
        taken = self._taken()
        change = taken[:, None] - taken[None]  # kind that leaves, kind that comes, side, node, cores and memory
        after = self.free[:, None] + change[:, :, None]
        gain = self.worth(after) - self.worth(self.free)[:, None]
        legal = (after >= 0).all(axis=(-1, -2)) & (self.count.reshape(kinds, 1, hosts, 2) > 0) & ~self.closed[:, None]
        alike = self.double[:, None] == self.double[None]
        gain = np.where(legal & alike[:, :, None, None], gain, -np.inf).reshape(kinds, kinds, -1)
        room = self.gains()[1] > -np.inf
        streams = []
        for one in range(kinds):
            for other in range(kinds):
                if alike[one, other] and one != other and (direct or one < other):
                    here = np.where(room[other], gain[one, other], -np.inf) if direct else gain[one, other]
                    streams.append(_labelled((one, other), here, gain[other, one]))
        for loss, (one, other), source, node in heapq.merge(*streams):
            yield -float(loss), (one, source), (other, node)

    def present(self, kind: int, node: int) -> list[int]:
        """VMs of a kind that may be moved and are at a node."""
        return np.flatnonzero((self.node == node) & (self.kind == kind)).tolist()

    def conflicts(self, vm: int, node: int) -> bool:
        """Whether another member of one of its groups is where the VM would go."""
        cluster = self.cluster
        for group in cluster.groups_of[vm]:
            at = cluster.place[group]
            for other in cluster.groups[group]:
                if other != vm and self.node[other] >= 0 and at[self.node[other] // 2] == at[node // 2]:
                    return True
        return False

    def legal(self, vm: int, node: int) -> bool:
        """Whether a VM that may be moved can go to a node now."""
        kind, host = self.kind[vm], node // 2
        if node == self.node[vm] or self.closed[host] or (self.double[kind] and node % 2):
            return False
        sides = slice(None) if self.double[kind] else slice(node % 2, node % 2 + 1)
        fits = (self.free[host, sides] >= (self.cores[kind], self.memory[kind])).all()
        return bool(fits) and not self.conflicts(vm, node)

    def move(self, vm: int, node: int) -> None:
        """Carry out a move that is legal."""
        self.take(vm)
        self.put(vm, node)

    def take(self, vm: int) -> None:
        """Take a VM out of the cluster."""
        self._change(vm, int(self.node[vm]), 1)
        self.node[vm] = UNPLACED

    def put(self, vm: int, node: int) -> None:
        """Put a VM that was taken out somewhere."""
        self._change(vm, node, -1)
        self.node[vm] = node

    def _change(self, vm: int, node: int, sign: int) -> None:
        kind = self.kind[vm]
        sides = slice(None) if self.double[kind] else node % 2
        self.free[node // 2, sides] += sign * np.array([self.cores[kind], self.memory[kind]])
        self.count[kind, node] -= sign

    def signature(self) -> bytes:
        """The same for states that differ by the numbers of hosts and nodes alone, as far as what is free goes."""
        cores = np.sort(self.free[..., 0], axis=1) if self.free.shape[1] else self.free[..., 0]
        return cores[np.lexsort(cores.T)].tobytes()

    def value(self) -> float:
        """What all hosts are worth."""
        return float(self.worth(self.free).sum())
