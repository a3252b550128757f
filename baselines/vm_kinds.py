"""VMs that are alike, and the room that they share: what programs and searches count instead of single VMs."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction

from .vm_problem import Cluster


@dataclass(frozen=True)
class Kind:
    """VMs that are alike: it makes no difference which of them is where.

    Attributes:
        cores, memory: what one takes of each of its nodes; memory is 0 where it is not told apart by it.
        double: whether it is on both nodes of a host.
        members: the VMs.
        alone: whether this is one VM that is told apart from all others.
    """

    cores: int
    memory: int
    double: bool
    members: tuple[int, ...]
    alone: bool = False

    def nodes(self, node: int) -> tuple[int, ...]:
        """The nodes that one of them takes something of when it is at a node."""
        return (node, node + 1) if self.double else (node,)


def kinds_of(cluster: Cluster, vms: Iterable[int], by_memory: bool, told_apart: Collection[int] = ()) -> list[Kind]:
    """Sort VMs into kinds.

    Args:
        cluster: the state.
        vms: those that may be moved.
        by_memory: whether VMs of different memory are of different kinds.
        told_apart: those that are kinds of their own, because of what they may not share a host with.
    """
    alike: dict[tuple, list[int]] = defaultdict(list)
    for vm in vms:
        memory = cluster.memory[vm] if by_memory else 0
        alike[cluster.cores[vm], memory, cluster.double[vm], vm if vm in told_apart else -1].append(vm)
    return [Kind(*key[:3], tuple(members), key[3] >= 0) for key, members in sorted(alike.items())]


def memory_nodes(cluster: Cluster, vms: Collection[int]) -> set[int]:
    """Nodes whose memory could run out before their cores do.

    At the others the row of memory follows from that of cores: if no VM takes more memory for each of its cores than
    the node has for each of its own, then whatever fits by cores fits by memory. What cannot move is subtracted first.

    Args:
        cluster: the state.
        vms: those that may be moved.
    """
    flavors = {(cluster.memory[vm], cluster.cores[vm]) for vm in vms}
    if not flavors:
        return set()
    most = max(Fraction(memory, cores) for memory, cores in flavors)
    room, memory_room = rooms(cluster, vms)
    return {n for n in range(len(room)) if most.numerator * room[n] > memory_room[n] * most.denominator}


def rooms(cluster: Cluster, vms: Iterable[int]) -> tuple[list[int], list[int]]:
    """Cores and memory of each node that some VMs take or could take."""
    cores, memory = list(cluster.free_cores), list(cluster.free_memory)
    for vm in vms:
        for n in cluster.nodes(vm, cluster.node[vm]):
            cores[n] += cluster.cores[vm]
            memory[n] += cluster.memory[vm]
    return cores, memory
