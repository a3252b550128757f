"""Random clusters, fragmented as real ones are: some virtual machines (VMs) packed, some scattered, some gone."""

from collections.abc import Iterator

import numpy as np

from .flavors import NODE_CORES, NODE_MEMORY, Flavors

TURNOVER = 500 / 280  # VMs replaced for each host, after the cluster is full for the first time
PATIENCE = 100  # VMs in a row that fit nowhere, after which a cluster is full; the smallest are one in five or six
BLOCK = 4096
NOWHERE = 2**30


class Cluster:
    """Hosts that fill up with VMs.

    A VM goes, with probability ``scatter``, to a random host that has room for it and there to the fuller of the
    nodes that have; else to the fullest node, or the fullest host for a double VM, that has room (best fit).

    Args:
        hosts: number of hosts, each of two nodes of ``NODE_CORES``.
        flavors: what VMs are drawn from.
        scatter: 0 to 1.
        rng: the source of randomness.
    """

    def __init__(self, hosts: int, flavors: Flavors, scatter: float, rng: np.random.Generator):
        self.hosts, self.flavors, self.scatter = hosts, flavors, scatter
        self.free = np.full((hosts, 2), NODE_CORES)
        self.left, self.right, self.nodes = self.free[:, 0], self.free[:, 1], self.free.reshape(-1)
        self.vms: list[tuple[int, int]] = []  # flavor and node
        self.taken = 0
        self.sizes = list(zip(flavors.cores.tolist(), flavors.numas.tolist(), strict=True))
        self.steps = np.cumsum(flavors.share)[:-1]
        self.uniform = _uniform(rng)

    def fill(self, utilisation: float) -> None:
        """Add VMs until this share of the cores is taken, or as many as fit."""
        aim, failures = utilisation * self.hosts * 2 * NODE_CORES, 0
        while self.taken < aim and failures < PATIENCE:
            failures = 0 if self.add() else failures + 1

    def replace(self, times: int) -> None:
        """Remove a random VM and draw another one, which is dropped if it fits nowhere, so many times."""
        for _ in range(times):
            if self.vms:
                self.remove(int(next(self.uniform) * len(self.vms)))
            self.add()

    def add(self) -> bool:
        """Draw a VM and place it; False if there is no room for it."""
        flavor = int(self.steps.searchsorted(next(self.uniform), side="right"))
        cores, numas = self.sizes[flavor]
        node = (self._single if numas == 1 else self._double)(cores)
        if node >= 0:
            self._take(node, cores, numas)
            self.vms.append((flavor, node))
        return node >= 0

    def remove(self, place: int) -> None:
        """Remove one of ``vms``; the last one takes its place."""
        flavor, node = self.vms[place]
        self.vms[place] = self.vms[-1]
        self.vms.pop()
        cores, numas = self.sizes[flavor]
        self._take(node, -cores, numas)

    def _take(self, node: int, cores: int, numas: int) -> None:
        self.nodes[node : node + numas] -= cores // numas
        self.taken += cores

    def _single(self, cores: int) -> int:
        if next(self.uniform) >= self.scatter:
            return _fullest(self.nodes, self.nodes >= cores)
        host = self._any(np.maximum(self.left, self.right) >= cores)
        if host < 0:
            return -1
        left, right = self.free[host]
        return 2 * host + int(left < cores or cores <= right < left)

    def _double(self, cores: int) -> int:
        room = np.minimum(self.left, self.right) >= cores // 2
        if next(self.uniform) >= self.scatter:
            host = _fullest(self.left + self.right, room)
        else:
            host = self._any(room)
        return 2 * host if host >= 0 else -1

    def _any(self, room: np.ndarray) -> int:
        """A random place where there is room, or -1."""
        places = room.nonzero()[0]
        return int(places[int(next(self.uniform) * len(places))]) if len(places) else -1


def draw_cluster(
    hosts: int, flavors: Flavors, utilisation: float, scatter: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw a snapshot: a cluster is filled, some of its VMs are replaced by others, and it is filled again.

    Fragments are what VMs that left and VMs that did not fit leave behind. Best fit alone leaves few of them;
    with a ``scatter`` of 0.6 and a utilisation of 0.943 the fragment rate, free nodes and loads of hosts come
    near those of the mapping "Medium" of VMR2L (Ding et al. 2025).

    Args:
        hosts: number of hosts.
        flavors: what VMs are drawn from.
        utilisation: share of all cores that is taken, 0 to 1; a little less where VMs no longer fit.
        scatter: probability that a VM goes to a random host, 0 to 1.
        rng: the source of randomness.

    Returns:
        node_cores, node_memory, cores, memory, numas and node, as ``VMInstance`` takes them.
    """
    cluster = Cluster(hosts, flavors, scatter, rng)
    cluster.fill(utilisation)
    cluster.replace(round(TURNOVER * hosts))
    cluster.fill(utilisation)
    flavor, node = np.array(cluster.vms).T
    return {
        "node_cores": np.full((hosts, 2), NODE_CORES),
        "node_memory": np.full((hosts, 2), NODE_MEMORY),
        "cores": flavors.cores[flavor],
        "memory": flavors.memory[flavor],
        "numas": flavors.numas[flavor],
        "node": node,
    }


def _fullest(free: np.ndarray, room: np.ndarray) -> int:
    """The place with the fewest free cores among those that have room, the lowest one of several, or -1."""
    place = int(np.where(room, free, NOWHERE).argmin())
    return place if room[place] else -1


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    """Numbers from 0 to 1, drawn in blocks: one by one takes longer than all the rest."""
    while True:
        yield from rng.random(BLOCK).tolist()
