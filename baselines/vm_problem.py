"""A cluster for solvers: where every VM of a snapshot is, which moves are legal now, and what it is worth."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..envs.core.errors import OptionError, ScheduleError
from ..envs.core.schedule import Schedule
from ..envs.vm.conditions import Conditions
from ..envs.vm.instance import VMInstance

UNPLACED = -1  # the node of a VM that is nowhere
SLOT, HALF, MEMORY_SLOT = 16, 32, 65536  # of FR-16 in cores, of FR-64 in cores of each node, of memory in MB
LARGEST_PENALTY = 2**62


@dataclass(frozen=True)
class Plan:
    """What a solver wants done.

    Attributes:
        moves: pairs of a VM and the node it goes to (2 * host for a double VM, ``UNPLACED`` for an eviction), in an
            order in which each is legal when it is carried out.
        bound: nothing that is legal has a smaller objective; None where nothing is proven.
        status: ``"optimal"`` where the objective equals the bound, ``"restricted optimum"`` where it is that of a
            smaller problem, else ``"feasible"``.
        note: how the plan came about, in words, where that is not the usual way.
    """

    moves: tuple[tuple[int, int], ...]
    bound: float | int | None
    status: str
    note: str = ""


class Cluster:
    """Where every VM of a snapshot is. Moves are judged one by one, by the state they meet.

    Args:
        instance: the snapshot.
        conditions: as in ``Schedule.conditions``.

    Attributes:
        instance, conditions: what it was made from.
        node: the node of each VM, ``UNPLACED`` where it has none.
        cores, memory: what each VM takes of each of its nodes, in cores and MB.
        double: whether it is on both nodes of a host.
        movable: whether it may be moved.
        free_cores, free_memory: of each node, in cores and MB.
        drained: of each host, whether it accepts no VM.
        groups: the members of each anti-affinity group.
        groups_of: the groups that each VM is in, by their numbers.
        place: of each group, what counts as one place for it: ``place_of_host``, or the racks by host.
        members: of each group, how many members are at each place.
        used: migrations and evictions so far.
        evicted: VMs that were evicted.

    Raises:
        OptionError: if time runs in the instance.
        ScheduleError: if a condition is not known or out of range.
    """

    def __init__(self, instance: VMInstance, conditions: Mapping | Conditions | None = None):
        if instance.dynamic:
            raise OptionError(f"{instance.name} has a horizon; this is for snapshots")
        self.instance, self.conditions = instance, Conditions.read(conditions)
        self.node: list[int] = instance.node.tolist()
        self.double: list[bool] = (instance.numas == 2).tolist()
        self.cores: list[int] = (instance.cores // instance.numas).tolist()
        self.memory: list[int] = (-(-instance.memory // instance.numas)).tolist()
        self.free_cores: list[int] = instance.free_cores.ravel().tolist()
        self.free_memory: list[int] = instance.free_memory.ravel().tolist()
        self.priority: list[int] = instance.priority.tolist()
        judged = self.conditions.constraints
        self.movable: list[bool] = instance.movable.tolist() if judged else [True] * instance.vms
        self.drained: list[bool] = instance.drained.tolist() if judged else [False] * instance.hosts
        groups = instance.groups if judged else ()
        self.groups = [members for _, members in groups]
        self.place_of_host = list(range(instance.hosts))
        places = {"host": self.place_of_host, "rack": instance.rack.tolist()}
        self.place = [places[scope] for scope, _ in groups]
        self.groups_of: list[list[int]] = [[] for _ in range(instance.vms)]
        for group, members in enumerate(self.groups):
            for vm in members:
                self.groups_of[vm].append(group)
        placed = [[vm for vm in members if self.node[vm] >= 0] for members in self.groups]
        self.members = [
            Counter(at[self.node[vm] // 2] for vm in vms) for at, vms in zip(self.place, placed, strict=True)
        ]
        self.waiting = Counter(p for p, n in zip(self.priority, self.node, strict=True) if n < 0)
        self.used, self.evicted = 0, set()

    def copy(self) -> Self:
        """A cluster in the same state that can be changed on its own."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        for name in ("node", "free_cores", "free_memory"):
            setattr(other, name, list(getattr(self, name)))
        other.members = [Counter(members) for members in self.members]
        other.waiting, other.evicted = Counter(self.waiting), set(self.evicted)
        return other

    def nodes(self, vm: int, node: int) -> tuple[int, ...]:
        """The nodes that a VM takes something of when it is at a node."""
        return (node, node + 1) if self.double[vm] else (node,)

    def fits(self, vm: int, node: int) -> bool:
        """Whether a node, or both nodes of its host for a double VM, have room for one VM more."""
        cores, memory = self.cores[vm], self.memory[vm]
        return all(self.free_cores[n] >= cores and self.free_memory[n] >= memory for n in self.nodes(vm, node))

    def conflicts(self, vm: int, node: int) -> bool:
        """Whether another member of one of its groups is where the VM would go."""
        for group in self.groups_of[vm]:
            at = self.place[group]
            others = self.members[group][at[node // 2]]
            if self.node[vm] >= 0 and at[self.node[vm] // 2] == at[node // 2]:
                others -= 1
            if others:
                return True
        return False

    def legal(self, vm: int, node: int) -> bool:
        """Whether a VM may be migrated or placed there, or evicted, now; the limit of migrations is not asked for."""
        here = self.node[vm]
        if node == UNPLACED:
            highest = max((p for p, count in self.waiting.items() if count), default=-1)
            return here >= 0 and self.movable[vm] and vm not in self.evicted and self.priority[vm] < highest
        if node == here or (self.double[vm] and node % 2) or (here >= 0 and not self.movable[vm]):
            return False
        return not self.drained[node // 2] and self.fits(vm, node) and not self.conflicts(vm, node)

    def put(self, vm: int, node: int) -> None:
        """Move a VM without asking whether that is legal or counting it."""
        for at, sign in ((self.node[vm], 1), (node, -1)):
            if at == UNPLACED:
                self.waiting[self.priority[vm]] += sign * -1
                continue
            for n in self.nodes(vm, at):
                self.free_cores[n] += sign * self.cores[vm]
                self.free_memory[n] += sign * self.memory[vm]
            for group in self.groups_of[vm]:
                self.members[group][self.place[group][at // 2]] -= sign
        self.node[vm] = node

    def play(self, moves: Iterable[tuple[int, int]]) -> None:
        """Carry out moves, each as the rules have it.

        Raises:
            ScheduleError: at the first that is not legal, or beyond the limit of migrations.
        """
        for step, (vm, node) in enumerate(moves):
            counts = self.node[vm] >= 0
            if not self.legal(vm, node) or self.used + counts > self.conditions.mnl:
                raise ScheduleError(f"move {step}: VM {vm} may not go from node {self.node[vm]} to node {node}")
            if node == UNPLACED:
                self.evicted.add(vm)
            self.put(vm, node)
            self.used += counts

    def rate(self) -> float:
        """The fragment rate now: FR-16, FR-64 and memory by their weights."""
        return fragment_rate(np.array(self.free_cores), np.array(self.free_memory), self.conditions)

    def objective(self) -> float | int:
        """What is minimised: the penalty where VMs wait at the start, else rate and cost of the migrations so far."""
        if self.instance.pack:
            return self.penalty()
        return self.rate() + self.conditions.migration_cost * self.used

    def penalty(self) -> int:
        """Unplaced VMs from the highest priority to the lowest, then migrations and evictions, as one number.

        Raises:
            ScheduleError: if it does not fit 62 bits.
        """
        base = self.instance.vms + self.conditions.mnl + 1
        levels = enumerate(sorted(set(self.priority)))
        penalty = self.used + sum(self.waiting[priority] * base ** (level + 1) for level, priority in levels)
        if penalty >= LARGEST_PENALTY:
            raise ScheduleError(f"{self.instance.name}: a penalty of {penalty} does not fit 62 bits")
        return penalty


def fragment_rate(free_cores: np.ndarray, free_memory: np.ndarray, conditions: Conditions) -> float:
    """The fragment rate of free cores and memory.

    Args:
        free_cores: (nodes,) free cores of each node.
        free_memory: (nodes,) free MB.
        conditions: its weights.

    Returns:
        The share of what is free that is in fragments, weighted.

    Example:
        >>> round(fragment_rate(np.array([16, 8]), np.array([0, 0]), Conditions()), 4)
        0.3333
    """
    cores, memory = free_cores.astype(np.int64), free_memory.astype(np.int64)
    wide = (cores.reshape(-1, 2) // HALF).min(axis=1)
    fragments = (int((cores % SLOT).sum()), int(cores.sum()) - 2 * HALF * int(wide.sum()))
    total, memory_total = int(cores.sum()), int(memory.sum())
    plain = 100 - conditions.weight_64 - conditions.weight_memory
    rate = (plain * fragments[0] + conditions.weight_64 * fragments[1]) / total if total else 0.0
    if memory_total:
        rate += conditions.weight_memory * int((memory % MEMORY_SLOT).sum()) / memory_total
    return rate / 100


def to_schedule(instance: VMInstance, plan: Plan, conditions: Mapping | Conditions | None = None) -> Schedule:
    """A plan as a schedule, in which time is the number of the action.

    Args:
        instance: the snapshot that was planned for.
        plan: its moves.
        conditions: those it was planned under.

    Returns:
        The schedule, which nobody has checked yet.
    """
    entries = [(vm, step, node, step, step) for step, (vm, node) in enumerate(plan.moves)]
    return Schedule(instance, np.array(entries, dtype=np.int64), Conditions.read(conditions).as_dict())


def outcome(cluster: Cluster, moves: Iterable[tuple[int, int]]) -> float | int:
    """The objective after some moves, of a copy of the cluster.

    Raises:
        ScheduleError: if one of them is not legal.
    """
    after = cluster.copy()
    after.play(moves)
    return after.objective()
