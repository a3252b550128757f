"""Orders in which moves can be carried out: each finds room when its turn comes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .vm_problem import Cluster

STEPS = 4000  # states a search for an order looks at before it gives up


@dataclass
class Stream:
    """VMs of one kind that leave some nodes and arrive at as many others; who goes where is open.

    Attributes:
        members: the VMs that may leave each node.
        leaving: how many leave each node.
        arriving: how many arrive at each.
        alike: whether it makes no difference which of the members at a node leaves.
    """

    members: dict[int, list[int]]
    leaving: Counter = field(default_factory=Counter)
    arriving: Counter = field(default_factory=Counter)
    alike: bool = True


@dataclass(frozen=True)
class Order:
    """What a search for an order found.

    Attributes:
        moves: VMs and the nodes they go to, in an order in which each is legal: all, or as many as were possible.
        complete: whether all could be carried out.
        exhausted: whether it is proven that no order of direct moves carries out more than some.
    """

    moves: tuple[tuple[int, int], ...]
    complete: bool
    exhausted: bool = False


def order_moves(cluster: Cluster, targets: dict[int, int], steps: int = STEPS) -> tuple[Order, dict[int, int]]:
    """Put moves into an order in which each is legal when it is carried out.

    Args:
        cluster: the state they start from; left as it is.
        targets: the node that each VM is to go to.
        steps: states to look at before giving up.

    Returns:
        The order, and the targets that are not reached by it: where VMs wait for each other's room in a circle.
    """
    streams = [
        Stream({cluster.node[vm]: [vm]}, Counter([cluster.node[vm]]), Counter([node]))
        for vm, node in targets.items()
        if node != cluster.node[vm]
    ]
    order = order_streams(cluster, streams, steps)
    done = {vm for vm, _ in order.moves}
    return order, {vm: node for vm, node in targets.items() if vm not in done and node != cluster.node[vm]}


def order_streams(cluster: Cluster, streams: list[Stream], steps: int = STEPS) -> Order:
    """Choose who goes where, and when.

    Depth first with the states remembered that led nowhere; whatever goes where there is room for all that are still
    to come is moved first, since it can stand in nobody's way. Without a limit of ``steps`` the search is complete
    for moves that go straight to where they end and, of VMs that are alike, for any of them.

    Args:
        cluster: the state they start from; left as it is.
        streams: what leaves and what arrives.
        steps: states to look at before giving up.

    Returns:
        The order, or the longest beginning that was found.
    """
    return _Search(cluster.copy(), streams).run(steps)


class _Search:
    """The state of a search: a cluster, what is left to do, and what was done."""

    def __init__(self, cluster: Cluster, streams: list[Stream]):
        self.cluster, self.streams = cluster, streams
        self.done: list[tuple[int, int, int, int]] = []  # stream, VM, from, to
        self.left = sum(stream.leaving.total() for stream in streams)
        nodes = len(cluster.free_cores)
        self.cores, self.memory = [0] * nodes, [0] * nodes  # of all that is still to arrive
        self.sample = [next((vm for vms in stream.members.values() for vm in vms), -1) for stream in streams]
        for index, stream in enumerate(streams):
            for node, count in stream.arriving.items():
                self._expect(index, node, count)

    def _expect(self, index: int, node: int, count: int) -> None:
        vm = self.sample[index]
        for n in self.cluster.nodes(vm, node):
            self.cores[n] += count * self.cluster.cores[vm]
            self.memory[n] += count * self.cluster.memory[vm]

    def run(self, steps: int) -> Order:
        """Search; see ``order_streams``."""
        best: tuple[tuple[int, int], ...] = ()
        dead: set = set()
        stack = [self._choices()]
        left = steps + 2 * self.left
        while stack:
            if len(self.done) > len(best):
                best = tuple((vm, node) for _, vm, _, node in self.done)
            if not self.left or not left:
                return Order(best, not self.left)
            choice = next(stack[-1], None)
            if choice is None:
                dead.add(self._key())
                stack.pop()
                if stack:
                    self._undo()
                continue
            self._do(*choice)
            left -= 1
            if self._key() in dead:
                self._undo()
            else:
                stack.append(self._choices())
        return Order(best, False, exhausted=True)

    def _choices(self) -> Iterator[tuple[int, int, int]]:
        """Stream, VM and node of what can be done next: one that is surely right, or else every alternative."""
        safe = [self._safe_nodes(index) for index in range(len(self.streams))]
        for index, stream in enumerate(self.streams):
            if stream.leaving and sum(stream.arriving[node] for node in safe[index]) >= stream.leaving.total():
                sure = next(self._pairs(index, safe[index]), None)
                if sure is not None:
                    yield sure
                    if stream.alike:
                        return
        for is_safe in (True, False):
            for index, stream in enumerate(self.streams):
                nodes = safe[index] if is_safe else [n for n in stream.arriving if n not in safe[index]]
                yield from self._pairs(index, nodes)

    def _safe_nodes(self, index: int) -> list[int]:
        """Nodes of a stream with room for everything that is still to arrive there."""
        cluster, vm = self.cluster, self.sample[index]
        return [
            node
            for node in self.streams[index].arriving
            if all(
                cluster.free_cores[n] >= self.cores[n] and cluster.free_memory[n] >= self.memory[n]
                for n in cluster.nodes(vm, node)
            )
        ]

    def _pairs(self, index: int, nodes: list[int]) -> Iterator[tuple[int, int, int]]:
        """What can go to some nodes now, from where others wait for room first."""
        stream, cluster = self.streams[index], self.cluster
        sources = sorted(stream.leaving, key=lambda node: not self._wanted(node))
        for node in nodes:
            for source in sources:
                present = [vm for vm in stream.members[source] if cluster.node[vm] == source]
                for vm in present[:1] if stream.alike else present:
                    if cluster.legal(vm, node):
                        yield index, vm, node

    def _wanted(self, node: int) -> bool:
        return any(self.cores[n] > 0 for n in (node, node ^ 1))

    def _do(self, index: int, vm: int, node: int) -> None:
        stream, source = self.streams[index], self.cluster.node[vm]
        self._count(stream.leaving, source, -1)
        self._count(stream.arriving, node, -1)
        self._expect(index, node, -1)
        self.cluster.put(vm, node)
        self.done.append((index, vm, source, node))
        self.left -= 1

    def _undo(self) -> None:
        index, vm, source, node = self.done.pop()
        stream = self.streams[index]
        self.cluster.put(vm, source)
        self._expect(index, node, 1)
        self._count(stream.leaving, source, 1)
        self._count(stream.arriving, node, 1)
        self.left += 1

    @staticmethod
    def _count(counter: Counter, node: int, change: int) -> None:
        counter[node] += change
        if not counter[node]:
            del counter[node]

    def _key(self) -> tuple:
        """What is left to do, and by whom where that makes a difference."""
        left = tuple((frozenset(s.leaving.items()), frozenset(s.arriving.items())) for s in self.streams)
        return left, frozenset((vm, node) for index, vm, _, node in self.done if not self.streams[index].alike)
