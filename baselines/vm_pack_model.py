"""The constraint program of packing: which VMs are placed, which are moved or evicted for them, and where all go."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .vm_problem import UNPLACED, Cluster

Where = dict[int, dict[int, Any]]  # by VM and node, whether it is there


@dataclass(frozen=True)
class Packing:
    """A solution of the program.

    Attributes:
        kept: VMs that stay where they were and are never touched, of those that may be moved.
        placed: the node of each other VM in the end, of those that are new or can be evicted, or of all without rounds.
        rounds: with rounds, where VMs migrate to in each of them.
    """

    kept: frozenset[int]
    placed: dict[int, int]
    rounds: tuple[dict[int, int], ...]


class PackModel:
    """What can be where in the end, and the room on the way there.

    VMs of a lower priority than the highest that waits can be evicted before anything else is done, and placed after
    all else is: that costs as much as a migration and needs no order. The others can only be migrated. Without rounds
    nothing is asked about how; that is a relaxation. With rounds, whatever is migrated in one finds its room, and
    nobody it must not meet, before anything leaves in the same round; with as many rounds as moves that is exact.

    Args:
        cluster: the state at the start, in which VMs wait.
        rounds: 0 for the relaxation.
        moving: whether VMs that are placed may be moved or evicted.

    Attributes:
        new, low, high: VMs that wait, that can be evicted, and that can only be migrated.
        kept: of each VM of the last two, whether it is never touched.
        placed: where the others come to be.
        moves: migrations and evictions.
    """

    def __init__(self, cluster: Cluster, rounds: int = 0, moving: bool = True):
        from ortools.sat.python import cp_model

        self.cluster, self.model, self.variables = cluster, cp_model.CpModel(), []
        vms, node = range(len(cluster.node)), cluster.node
        highest = max(cluster.priority[vm] for vm in vms if node[vm] == UNPLACED)
        old = [vm for vm in vms if node[vm] >= 0 and cluster.movable[vm]] if moving else []
        self.new = [vm for vm in vms if node[vm] == UNPLACED]
        self.low = [vm for vm in old if cluster.priority[vm] < highest]
        self.high = [vm for vm in old if cluster.priority[vm] >= highest]
        self._set_room({*self.new, *old})
        self.kept = {vm: self._bool() for vm in (old if not rounds else self.low)}
        self.placed: Where = {}
        for vm in (*self.new, *self.low, *(() if rounds else self.high)):
            nodes = [n for n in self._nodes(vm) if rounds or n != node[vm]]
            self.placed[vm] = {n: self._bool() for n in nodes}
            here = sum(self.placed[vm].values()) + self.kept.get(vm, 0)
            self.model.add(here == 1 if vm in self.high else here <= 1)
        self.at: list[Where] = [{vm: {node[vm]: 1} for vm in self.high}] if rounds else [{}]
        self.arrivals: list[Where] = []
        for _ in range(rounds):
            self._add_round()
        staying = self._where_kept() | self.at[-1]
        self._fit([*_triples(staying), *_triples(self.placed)])
        self._meet(self.placed, staying)
        self.moves = sum(1 - kept for kept in self.kept.values())
        self.moves += sum(come for round_ in self.arrivals for _, _, come in _triples(round_))
        self.model.add(self.moves <= cluster.conditions.mnl)

    def _bool(self) -> Any:
        self.variables.append(self.model.new_bool_var(f"x{len(self.variables)}"))
        return self.variables[-1]

    def _set_room(self, moving: set[int]) -> None:
        """What is left for VMs that may go somewhere when all of them are gone."""
        cluster = self.cluster
        self.staying = {vm for vm, node in enumerate(cluster.node) if node >= 0 and vm not in moving}
        self.cores, self.memory = list(cluster.free_cores), list(cluster.free_memory)
        for vm in moving:
            for n in cluster.nodes(vm, cluster.node[vm]) if cluster.node[vm] >= 0 else ():
                self.cores[n] += cluster.cores[vm]
                self.memory[n] += cluster.memory[vm]

    def _nodes(self, vm: int) -> list[int]:
        """Where a VM may arrive, as far as what always stays is concerned."""
        cluster, closed = self.cluster, set()
        cores, memory = cluster.cores[vm], cluster.memory[vm]
        for group in cluster.groups_of[vm]:
            at = cluster.place[group]
            met = {at[cluster.node[other] // 2] for other in self.staying.intersection(cluster.groups[group]) - {vm}}
            closed |= {host for host, place in enumerate(at) if place in met}
        return [
            node
            for host in range(cluster.instance.hosts)
            if host not in closed and not cluster.drained[host]
            for node in ((2 * host,) if cluster.double[vm] else (2 * host, 2 * host + 1))
            if all(self.cores[n] >= cores and self.memory[n] >= memory for n in cluster.nodes(vm, node))
        ]

    def _where_kept(self) -> Where:
        return {vm: {self.cluster.node[vm]: kept} for vm, kept in self.kept.items()}

    def _add_round(self) -> None:
        """Where the VMs that can only be migrated go next."""
        before, after, arriving = self.at[-1], {}, {}
        for vm in self.high:
            come = {node: self._bool() for node in self._nodes(vm)}
            there = {node: self._bool() for node in sorted({self.cluster.node[vm], *come})}
            self.model.add_exactly_one(there.values())
            for node, now in there.items():
                then = before[vm].get(node, 0)
                if node in come:
                    self.model.add(come[node] <= now)
                    self.model.add(come[node] >= now - then)
                    self.model.add(come[node] + then <= 1)
                else:
                    self.model.add(now <= then)
            after[vm], arriving[vm] = there, come
        present = self._where_kept() | before
        self._fit([*_triples(present), *_triples(arriving)])
        self._meet(arriving, present)
        self.at.append(after)
        self.arrivals.append(arriving)

    def _fit(self, triples: Iterable[tuple[int, int, Any]]) -> None:
        """Room for VMs at nodes."""
        cluster, cores, memory = self.cluster, defaultdict(list), defaultdict(list)
        for vm, node, there in triples:
            for n in cluster.nodes(vm, node):
                cores[n].append(cluster.cores[vm] * there)
                memory[n].append(cluster.memory[vm] * there)
        for n in cores:
            self.model.add(sum(cores[n]) <= self.cores[n])
            self.model.add(sum(memory[n]) <= self.memory[n])

    def _meet(self, arriving: Where, present: Where) -> None:
        """Nobody arrives where another member of a group is, and no two arrive together."""
        for group, members in enumerate(self.cluster.groups):
            at = self.cluster.place[group]
            coming: dict[int, dict[int, list]] = defaultdict(lambda: defaultdict(list))
            for vm, node, there in _triples({vm: arriving[vm] for vm in members if vm in arriving}):
                coming[at[node // 2]][vm].append(there)
            for place, vms in coming.items():
                self.model.add(sum(come for comes in vms.values() for come in comes) <= 1)
                for other in members:
                    here = [there for node, there in present.get(other, {}).items() if at[node // 2] == place]
                    others = [come for vm, comes in vms.items() if vm != other for come in comes]
                    if here and others:
                        self.model.add(sum(others) + sum(here) <= 1)

    def unplaced(self, priority: int) -> Any:
        """How many VMs of a priority are nowhere in the end, of those of which that is not sure."""
        vms = [vm for vm in (*self.new, *self.low) if self.cluster.priority[vm] == priority]
        return sum(1 - self.kept.get(vm, 0) - sum(self.placed[vm].values()) for vm in vms)

    def packing(self, value: Any) -> Packing:
        """The solution, by a function that says whether a variable is true."""
        return Packing(
            frozenset(vm for vm, kept in self.kept.items() if value(kept)),
            {vm: node for vm, node, there in _triples(self.placed) if value(there)},
            tuple({vm: node for vm, node, come in _triples(round_) if value(come)} for round_ in self.arrivals),
        )


def _triples(where: Where) -> Iterable[tuple[int, int, Any]]:
    return ((vm, node, there) for vm, nodes in where.items() for node, there in nodes.items())
