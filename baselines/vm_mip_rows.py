"""Integer programs of VM rescheduling: how many VMs of each kind leave which nodes and arrive where."""

from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Any

from .vm_kinds import Kind, memory_nodes, rooms
from .vm_problem import MEMORY_SLOT, Cluster


class MoveRows:
    """What can be done: variables and rows of the integer program of an optimal set of moves.

    Without rounds it only asks what is where at the end. That is a relaxation: there may be no order in which the
    moves find room. It is the program of Ding et al. (2025), who have a variable for each VM and node, in numbers of
    VMs that are alike. With rounds whatever arrives finds its room, and nobody whom it must not meet, before anything
    leaves in the same round: each solution can be carried out, and with as many rounds as migrations every sequence
    of moves is a solution.

    Args:
        cluster: the state at the start.
        kinds: the VMs that may be moved; groups hold among those of them that are told apart and those that stay.
        hosts: those where VMs may leave and arrive.
        rounds: 0 for the relaxation.
        limit: migrations at most.
        cautious: whether VMs that are not told apart are thought to stay where they are, as far as groups go; else
            they are thought to be in nobody's way.
    """

    def __init__(
        self,
        cluster: Cluster,
        kinds: list[Kind],
        hosts: Collection[int],
        rounds: int,
        limit: int,
        cautious: bool = False,
    ):
        from ortools.math_opt.python import mathopt

        self.model, self.sum = mathopt.Model(), mathopt.LinearSum
        self.cluster, self.kinds, self.hosts, self.limit = cluster, kinds, sorted(hosts), limit
        self.rounds, self.strict, self.cautious = max(rounds, 1), rounds > 0, cautious
        self.present = [Counter(cluster.node[vm] for vm in kind.members) for kind in kinds]
        self.vms = {vm: index for index, kind in enumerate(kinds) for vm in kind.members}
        self.room, self.memory_room = rooms(cluster, self.vms)
        self.binding = memory_nodes(cluster, self.vms)
        self.enter: list[list[dict[int, Any]]] = []  # variables by round, kind and node
        self.leave: list[list[dict[int, Any]]] = []
        nodes = [self._may_enter(kind) for kind in kinds]
        for step in range(self.rounds):
            self._add_round(step, nodes)
            self._add_capacities(step)
            self._add_groups(step)
        self.moved = self.sum(variable for kinds in self.enter for kind in kinds for variable in kind.values())
        self.model.add_linear_constraint(self.moved <= limit)

    def _add_round(self, step: int, may_enter: list[list[int]]) -> None:
        """How many of each kind leave and arrive in a round."""
        enter, leave = [], []
        for index, (kind, present, nodes) in enumerate(zip(self.kinds, self.present, may_enter, strict=True)):
            most = min(len(kind.members), self.limit)
            come = {
                node: self.model.add_integer_variable(
                    lb=0, ub=min(most, *(self.room[n] // kind.cores for n in kind.nodes(node)))
                )
                for node in nodes
            }
            sources = {node: min(most, count) for node, count in present.items()}
            if step:
                sources = dict.fromkeys(sorted({*present, *nodes}), most)
            go = {node: self.model.add_integer_variable(lb=0, ub=count) for node, count in sources.items()}
            for node, variable in go.items() if step else ():
                self.model.add_linear_constraint(variable <= present[node] + self._net(index, [node], step))
            self.model.add_linear_constraint(self.sum(come.values()) == self.sum(go.values()))
            enter.append(come)
            leave.append(go)
        self.enter.append(enter)
        self.leave.append(leave)

    def _may_enter(self, kind: Kind) -> list[int]:
        """Nodes where a VM of a kind may arrive at some time."""
        cluster, vm = self.cluster, kind.members[0]
        nodes = [
            node
            for host in self.hosts
            if not cluster.drained[host]
            for node in ((2 * host,) if kind.double else (2 * host, 2 * host + 1))
            if all(self.room[n] >= kind.cores and self.memory_room[n] >= kind.memory for n in kind.nodes(node))
        ]
        if not kind.alone:
            return nodes
        closed = self._closed(vm)
        own = -1 if self.strict else cluster.node[vm]
        return [n for n in nodes if n != own and n // 2 not in closed]

    def _closed(self, vm: int) -> set[int]:
        """Hosts where a VM would meet another member of a group that stays."""
        cluster, closed = self.cluster, set()
        for group in cluster.groups_of[vm]:
            at = cluster.place[group]
            for other in cluster.groups[group]:
                moves = other in self.vms and (self.kinds[self.vms[other]].alone or not self.cautious)
                if other != vm and not moves and cluster.node[other] >= 0:
                    place = at[cluster.node[other] // 2]
                    closed |= {place} if at is cluster.place_of_host else {h for h in self.hosts if at[h] == place}
        return closed

    def _net(self, index: int, nodes: Collection[int], steps: int) -> Any:
        """How many more of a kind are at some nodes after some rounds."""
        arrived = [self.enter[s][index][n] for s in range(steps) for n in nodes if n in self.enter[s][index]]
        left = [self.leave[s][index][n] for s in range(steps) for n in nodes if n in self.leave[s][index]]
        return self.sum(arrived) - self.sum(left)

    def _taken(self, steps: int, arriving: int = 0) -> tuple[dict, dict]:
        """Cores and slots of memory that each node loses in some rounds, and by what arrives in the next, as terms.

        Memory in slots, which floats hold exactly: in MB the solver's tolerance would be too small for its numbers.
        """
        cores, memory = defaultdict(list), defaultdict(list)
        for index, kind in enumerate(self.kinds):
            parts = [(self.enter[s][index], 1) for s in range(steps + arriving)]
            parts += [(self.leave[s][index], -1) for s in range(steps)]
            for variables, sign in parts:
                for node, variable in variables.items():
                    for n in kind.nodes(node):
                        cores[n].append(sign * kind.cores * variable)
                        if kind.memory:
                            memory[n].append(sign * kind.memory / MEMORY_SLOT * variable)
        return cores, memory

    def _add_capacities(self, step: int) -> None:
        """Room for what arrives: at once, or in the relaxation when all is over."""
        cores, memory = self._taken(step, arriving=1) if self.strict else self._taken(1)
        for node, terms in cores.items():
            self.model.add_linear_constraint(self.sum(terms) <= self.cluster.free_cores[node])
        for node in memory.keys() & self.binding:
            self.model.add_linear_constraint(self.sum(memory[node]) <= self.cluster.free_memory[node] / MEMORY_SLOT)

    def _add_groups(self, step: int) -> None:
        """Whoever arrives is the only member of a group at its place."""
        cluster = self.cluster
        alone = [kind.alone for kind in self.kinds]
        for group, members in enumerate(cluster.groups):
            kinds = {vm: self.vms[vm] for vm in members if vm in self.vms and alone[self.vms[vm]]}
            if len(kinds) < 2:
                continue
            arriving: dict[int, dict[int, list]] = defaultdict(lambda: defaultdict(list))
            for vm, index in kinds.items():
                for node in self.enter[step][index]:
                    arriving[cluster.place[group][node // 2]][vm].append(node)
            for place, nodes in arriving.items():
                self._add_place(step, group, place, kinds, nodes)

    def _add_place(self, step: int, group: int, place: int, kinds: dict[int, int], nodes: dict[int, list[int]]) -> None:
        """Members of a group at one place: nobody comes to where another one is, and no two come together."""
        cluster, at = self.cluster, self.cluster.place[group]
        coming = {vm: self.sum(self.enter[step][kinds[vm]][n] for n in ns) for vm, ns in nodes.items()}
        if len(coming) > 1:
            self.model.add_linear_constraint(self.sum(coming.values()) <= 1)
        for vm, index in kinds.items():
            here = at[cluster.node[vm] // 2] == place
            if not self.strict:  # those that are there now must leave, if to another node of the same place
                if here:
                    self.model.add_linear_constraint(
                        self.sum(coming.values()) <= self.leave[0][index][cluster.node[vm]]
                    )
                continue
            own = [n for n in sorted({*self.leave[step][index], *nodes.get(vm, ())}) if at[n // 2] == place]
            there = int(here) + self._net(index, own, step)
            for other, arrival in coming.items():
                if other != vm:
                    self.model.add_linear_constraint(arrival + there <= 1)
