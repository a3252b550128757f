"""Optimal plans of VM rescheduling by integer programming, with OR-Tools' HiGHS."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.vm.instance import VMInstance
from .vm_kinds import Kind, kinds_of, memory_nodes
from .vm_mip_model import Flow, MoveModel, Solution
from .vm_order import Order, Stream, order_streams
from .vm_problem import SLOT, Cluster, Plan
from .vm_search import greedy

MOST_APART = 60_000  # VMs that are told apart, times nodes: beyond that their variables would be too many
CLOSE = 1e-9  # fragment rates nearer than that are the same


def solve_mip(
    instance: VMInstance,
    conditions: Mapping | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
    reduced: bool = False,
) -> Plan:
    """Minimise the fragment rate that migrations can reach, and what they cost.

    The program counts VMs that are alike (Ding et al., 2025, decide on each of them) and does not ask for an order, so
    its bound holds for every sequence of moves. Its solution is then put into an order. Where VMs would wait for each
    other's room in a circle, rounds are added to the program, in which every move finds room; with as many rounds as
    migrations it is exact again. VMs in anti-affinity groups are told apart where a solution fails for them.

    The reduced program only moves VMs whose size is no multiple of 16 cores, among hosts that have fragments. It is
    much smaller, and what it finds is mostly an optimum, but not always, so it proves nothing.

    Whatever the program comes to, the plan is no worse than the greedy one. A run that ends by its proof gives the
    same plan for the same seed; one that ends by its time limit need not.

    Args:
        instance: the snapshot, in which all VMs are placed.
        conditions: as in ``Schedule.conditions``.
        time_limit: seconds, which HiGHS may overrun.
        seed: the solver's, from 0 to 2**31 - 1.
        reduced: whether to solve the reduced program; it knows FR-16 alone.

    Returns:
        The plan. Of a reduced program that left something out it has no bound.

    Raises:
        OptionError: if VMs are not placed, time runs, or an option is outside of what it accepts.
        ScheduleError: if a condition is not known or out of range.
    """
    check_options(time_limit, seed)
    cluster = Cluster(instance, conditions)
    if instance.pack:
        raise OptionError(f"{instance.name} has VMs that are not placed; see the solver for packing")
    if reduced and (cluster.conditions.weight_64 or cluster.conditions.weight_memory):
        raise OptionError("the reduced program knows FR-16 alone: weight_64 and weight_memory must be 0")
    hosts, limit = range(instance.hosts), cluster.conditions.mnl
    return Rescheduling(cluster, hosts, limit, time_limit, seed, reduced).solve()


def check_options(time_limit: float, seed: int) -> None:
    """Refuse options of the solvers.

    Raises:
        OptionError: naming the option.
    """
    if isinstance(time_limit, bool) or not isinstance(time_limit, int | float | np.number) or not time_limit > 0:
        raise OptionError(f"time_limit must be a number of seconds above 0, got {time_limit!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
        raise OptionError(f"seed must be an integer from 0 to {2**31 - 1}, got {seed!r}")


@dataclass(frozen=True)
class _Found:
    """Moves that can be carried out, what they lead to, and how they were found."""

    moves: tuple[tuple[int, int], ...]
    objective: float
    how: str


class Rescheduling:
    """One search for a plan, on some hosts of a cluster.

    Args:
        cluster: the state at the start; left as it is.
        hosts: those whose VMs may be moved, and moved to.
        limit: migrations at most.
        time_limit: in seconds.
        seed: the solver's.
        reduced: whether to solve the reduced program.
    """

    def __init__(
        self, cluster: Cluster, hosts: Collection[int], limit: int, time_limit: float, seed: int, reduced: bool = False
    ):
        self.end = time.perf_counter() + time_limit
        self.cluster, self.hosts, self.limit, self.seed = cluster, set(hosts), limit, seed
        here = [vm for vm, node in enumerate(cluster.node) if cluster.movable[vm] and node // 2 in self.hosts]
        self.by_memory = bool(cluster.conditions.weight_memory or memory_nodes(cluster, here))
        self.vms, self.restricted, self.all_hosts = here, False, set(self.hosts)
        if reduced:
            self._reduce()
        self.grouped = {vm for vm in self.vms if cluster.groups_of[vm]}
        self.told_apart: set[int] = set()
        self.best = self._try([], "")
        self.bound, self.proven = 0.0, False

    def _reduce(self) -> None:
        """Keep the VMs that change what is left over of a slot, on hosts where anything is."""
        free = self.cluster.free_cores
        hosts = {h for h in self.hosts if free[2 * h] % SLOT or free[2 * h + 1] % SLOT}
        vms = [vm for vm in self.vms if self.cluster.cores[vm] % SLOT and self.cluster.node[vm] // 2 in hosts]
        self.restricted = hosts != self.hosts or len(vms) < len(self.vms)
        self.hosts, self.vms = hosts, vms

    def _affordable(self, vms: Collection[int]) -> bool:
        return len(vms) * 2 * len(self.hosts) <= MOST_APART

    @property
    def left(self) -> float:
        """Seconds until the time limit."""
        return self.end - time.perf_counter()

    @property
    def optimal(self) -> bool:
        """Whether the best plan is as good as the bound."""
        return self.best.objective <= self.bound + CLOSE

    def solve(self) -> Plan:
        """Search until the proof or the time limit."""
        if not self.limit or not self.vms:
            self.bound, self.proven = self.best.objective, True
        else:
            self._keep(self._try(greedy(self.cluster, self.limit, self.all_hosts), "the greedy"))
            stuck = self._relax(cautious=True)
            if self.grouped and not self.optimal and self.left > 0:
                self.told_apart = self.grouped if self._affordable(self.grouped) else self._partners(self.told_apart)
                stuck = self._affordable(self.told_apart) and self._relax(cautious=False)
            if stuck and self.grouped <= self.told_apart:
                self._add_rounds()
        proven = self.proven and self.optimal if self.restricted else self.optimal
        status = ("restricted optimum" if self.restricted else "optimal") if proven else "feasible"
        bound = None if self.restricted else min(self.bound, self.best.objective)
        return Plan(self.best.moves, bound, status, self.best.how)

    def _relax(self, cautious: bool) -> bool:
        """Solve the program without an order; again, while there are VMs to tell apart.

        Args:
            cautious: whether VMs that are not told apart are thought to stay where they are, as far as groups go, once
                there are others; that needs to tell fewer apart, but is no relaxation any more.

        Returns:
            Whether some moves have no order, and that is not for groups.
        """
        while self.left > 0:
            kinds, solution = self._program(0, cautious)
            if not cautious or not self.told_apart:
                self.bound, self.proven = max(self.bound, solution.bound), solution.optimal
            if not solution.rounds:
                return False
            order = order_streams(self.cluster, streams_of(self.cluster, kinds, solution.rounds[0]))
            self._keep(self._try(self._completed(order), _dropped(order, solution)))
            if order.complete or self.optimal:
                return False
            missing = self._missing(kinds, solution, order)
            if missing <= self.told_apart:
                return True
            wanted = self.told_apart | (missing if cautious else self._partners(missing))
            if not self._affordable(wanted):
                return False
            self.told_apart = wanted
        return False

    def _add_rounds(self) -> None:
        """Solve the program with more and more rounds, which gives every move its room."""
        for rounds in range(2, self.limit + 1):
            if self.left <= 0 or self.optimal:
                return
            kinds, solution = self._program(rounds)
            after, moves = self.cluster.copy(), []
            for flows in solution.rounds:
                order = order_streams(after, streams_of(after, kinds, flows))
                after.play(order.moves)
                moves += order.moves
            self._keep(self._try(moves, f"in {rounds} rounds"))
            if rounds == self.limit:
                self.bound = max(self.bound, solution.bound)

    def _program(self, rounds: int, cautious: bool = False) -> tuple[list[Kind], Solution]:
        kinds = kinds_of(self.cluster, self.vms, self.by_memory, self.told_apart)
        model = MoveModel(self.cluster, kinds, self.hosts, rounds, self.limit, cautious)
        return kinds, model.solve(max(self.left, 0.01), self.seed)

    def _missing(self, kinds: list[Kind], solution: Solution, order: Order) -> set[int]:
        """VMs in groups of which the solution moves some that the order does not."""
        cluster, done, missing = self.cluster, {vm for vm, _ in order.moves}, set()
        for kind, (left, arrived) in zip(kinds, solution.rounds[0], strict=True):
            if arrived.total() > len(done.intersection(kind.members)):
                missing |= {vm for vm in kind.members if cluster.node[vm] in left and cluster.groups_of[vm]}
        return missing

    def _partners(self, vms: set[int]) -> set[int]:
        """All in the groups of some VMs that may be moved."""
        groups = {group for vm in vms for group in self.cluster.groups_of[vm]}
        return self.grouped.intersection(vm for group in groups for vm in self.cluster.groups[group])

    def _completed(self, order: Order) -> list[tuple[int, int]]:
        """The moves that have an order, and what the greedy adds to them."""
        moves = list(order.moves)
        if not order.complete:
            after = self.cluster.copy()
            after.play(moves)
            moves += greedy(after, self.limit - len(moves), self.all_hosts)
        return moves

    def _try(self, moves: list[tuple[int, int]], how: str) -> _Found:
        """The best beginning of some moves."""
        kept, objective = best_beginning(self.cluster, moves)
        return _Found(kept, objective, how if kept else "")

    def _keep(self, found: _Found) -> None:
        if found.objective < self.best.objective - CLOSE or not self.best.moves:
            self.best = found


def best_beginning(cluster: Cluster, moves: list[tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], float]:
    """The beginning of some moves after which the objective is least, the shortest of those, and that objective."""
    after = cluster.copy()
    best, length = after.objective(), 0
    for step, move in enumerate(moves):
        after.play([move])
        objective = after.objective()
        if objective < best - CLOSE:
            best, length = objective, step + 1
    return tuple(moves[:length]), best


def _dropped(order: Order, solution: Solution) -> str:
    planned = sum(arrived.total() for _, arrived in solution.rounds[0])
    return "" if order.complete else f"{planned - len(order.moves)} of {planned} moves dropped for want of an order"


def streams_of(cluster: Cluster, kinds: list[Kind], flows: tuple[Flow, ...]) -> list[Stream]:
    """The flows of a solution as streams of the VMs that are there."""
    streams = []
    for kind, (left, arrived) in zip(kinds, flows, strict=True):
        if left:
            members: dict[int, list[int]] = {node: [] for node in left}
            for vm in kind.members:
                if cluster.node[vm] in members:
                    members[cluster.node[vm]].append(vm)
            alike = kind.alone or not any(cluster.groups_of[vm] for vms in members.values() for vm in vms)
            streams.append(Stream(members, Counter(left), Counter(arrived), alike))
    return streams
