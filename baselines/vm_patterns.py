"""Plans of VM rescheduling from patterns: what leaves and what comes to nodes that are alike, counted by a program."""

import functools
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..envs.core.errors import OptionError
from ..envs.vm.instance import VMInstance
from .vm_kinds import kinds_of
from .vm_mip import best_beginning, check_options, streams_of
from .vm_mip_model import TOLERANCE, run_highs
from .vm_order import order_streams
from .vm_problem import SLOT, Cluster, Plan
from .vm_search import greedy

FEW = 3  # VMs that leave or come to one node at most
PAIR = 2  # double VMs that leave one host at most
MANY = 100  # hosts
Sizes = tuple[int, ...]  # cores of some single VMs, in descending order


@dataclass(frozen=True, order=True)
class Side:
    """A node, as far as patterns are concerned: nodes that are equal are alike.

    Attributes:
        residue: free cores modulo a slot.
        small: cores of the VMs that may leave it, below a slot, each size ``FEW`` times at most, descending.
        open: whether it accepts VMs.
    """

    residue: int
    small: Sizes
    open: bool


@dataclass(frozen=True)
class Pattern:
    """What may be done with a node, or with both nodes of a host.

    Attributes:
        sides: the nodes it is about, 0 and 1; no other pattern is for them then.
        leave: cores of the single VMs that leave each node of the host.
        doubles: cores on each node of the double VMs that leave the host.
        comes: the same of the double VM that comes to it; 0 for none.
        slots: slots that are gained.
        rooms: free cores modulo a slot of each node afterwards, which other VMs may fill; 0 for none.
    """

    sides: Sizes
    leave: tuple[Sizes, Sizes]
    doubles: Sizes
    comes: int
    slots: int
    rooms: tuple[int, int]

    @property
    def moves(self) -> int:
        """Migrations that are counted here: those of VMs that leave."""
        return len(self.leave[0]) + len(self.leave[1]) + len(self.doubles)


def _some(sizes: Sizes, most: int) -> Iterator[Sizes]:
    """Every selection of one up to so many of some sizes."""
    for count in range(1, most + 1):
        yield from sorted(set(itertools.combinations(sizes, count)))


@functools.lru_cache(4096)
def leavings(small: Sizes, missing: int, most: int = FEW) -> tuple[Sizes, ...]:
    """The least sets of small VMs whose leaving completes a slot.

    Args:
        small: cores of those that may leave.
        missing: cores that are to be freed.
        most: VMs at most.
    """
    return tuple(chosen for chosen in _some(small, most) if sum(chosen) >= missing > sum(chosen) - min(chosen))


@functools.lru_cache(256)
def fillings(residue: int, sizes: Sizes) -> tuple[Sizes, ...]:
    """The sets of small VMs that so many cores have room for, but for those within others.

    Args:
        residue: free cores.
        sizes: of VMs that there are.
    """
    every = sorted({size for size in sizes if size <= residue}, reverse=True)
    sets = [Counter(s) for n in range(1, FEW + 1) for s in itertools.combinations_with_replacement(every, n)]
    sets = [chosen for chosen in sets if sum(chosen.elements()) <= residue]
    return tuple(tuple(s.elements()) for s in sets if not any(s < other for other in sets))


def patterns(sides: tuple[Side, Side], doubles: Sizes, sizes: Iterable[int]) -> Iterator[Pattern]:
    """All that may be done with a host.

    Args:
        sides: its nodes.
        doubles: cores on each node of the double VMs that may leave it.
        sizes: the same of all double VMs there are.
    """
    for n, side in enumerate(sides):
        for leave in leavings(side.small, SLOT - side.residue):
            yield _pattern(sides, (n,), (leave, ()) if n == 0 else ((), leave))
        if side.residue and side.open:
            yield _pattern(sides, (n,), ((), ()))
    for leaving in _some(doubles, PAIR):
        yield from _of_doubles(sides, leaving)
    if sides[0].open:
        for size in sizes:
            ways = [_ways_in(side, size) for side in sides]
            for leave in itertools.product(*ways):
                if len(leave[0]) + len(leave[1]) <= 1:
                    yield _pattern(sides, (0, 1), leave, (), size)


def _pattern(sides: tuple[Side, Side], about: Sizes, leave, doubles: Sizes = (), comes: int = 0) -> Pattern:
    ends = [side.residue + sum(chosen) + sum(doubles) - comes for side, chosen in zip(sides, leave, strict=True)]
    rooms = tuple(ends[n] % SLOT if sides[n].open and n in about else 0 for n in (0, 1))
    return Pattern(about, leave, doubles, comes, sum(ends[n] // SLOT for n in about), rooms)


def _of_doubles(sides: tuple[Side, Side], leaving: Sizes) -> Iterator[Pattern]:
    """Double VMs leave, and small VMs beside them to complete slots: where that takes two moves for a slot, or less."""
    ways = []
    for side in sides:
        rest = (side.residue + sum(leaving)) % SLOT
        ways.append([(), *(leavings(side.small, SLOT - rest, FEW - 1) if rest else ())])
    for leave in itertools.product(*ways):
        pattern = _pattern(sides, (0, 1), leave, leaving)
        if pattern.moves <= 2 * pattern.slots:
            yield pattern


def _ways_in(side: Side, size: int) -> list[Sizes]:
    """What may leave a node so that part of a double VM finds room in what is left of a slot: nothing, or one VM."""
    if side.residue >= size:
        return [()]
    return [(small,) for small in sorted(set(side.small)) if side.residue + small >= size]


def _capped(sizes: list[int], most: int) -> Sizes:
    """Some sizes, each so many times at most, the largest first."""
    return tuple(sorted((size for size, n in Counter(sizes).items() for _ in range(min(n, most))), reverse=True))


class Program:
    """The integer program: how often each pattern is used, and how the rooms are filled.

    Args:
        cluster: the state at the start; left as it is.
        limit: migrations at most.
    """

    def __init__(self, cluster: Cluster, limit: int):
        from ortools.math_opt.python import mathopt

        self.cluster, self.limit, self.model = cluster, limit, mathopt.Model()
        self.vms = [vm for vm, movable in enumerate(cluster.movable) if movable and cluster.cores[vm] < SLOT]
        self.kinds = kinds_of(cluster, self.vms, False)
        sizes = {double: [kind.cores for kind in self.kinds if kind.double == double] for double in (False, True)}
        self.hosts = self._hosts()
        self.used: list[tuple[Pattern, tuple, object]] = []
        self.filled: list[tuple[int, Sizes, object]] = []
        self._rows: dict = {}
        self._limit("moves", limit)
        for key, hosts in self.hosts.items():
            for n in (0, 1):
                self._limit((key, n), len(hosts))
            for pattern in patterns(key[:2], key[2], sizes[True]):
                self._use(key, pattern, len(hosts))
        for residue in range(1, SLOT):
            for sizes_there in fillings(residue, tuple(sizes[False])):
                self._fill(residue, sizes_there)

    def _hosts(self) -> dict[tuple, list[tuple[int, bool]]]:
        """Hosts that are alike: by their nodes, in order, and their doubles; and whether the nodes are exchanged."""
        small, doubles = defaultdict(list), defaultdict(list)
        for vm in self.vms:
            node = self.cluster.node[vm]
            if self.cluster.double[vm]:
                doubles[node // 2].append(self.cluster.cores[vm])
            else:
                small[node].append(self.cluster.cores[vm])
        result = defaultdict(list)
        for host, drained in enumerate(self.cluster.drained):
            sides = []
            for node in (2 * host, 2 * host + 1):
                sides.append(Side(self.cluster.free_cores[node] % SLOT, _capped(small[node], FEW), not drained))
            key = *sorted(sides), _capped(doubles[host], PAIR)
            result[key].append((host, sides[1] < sides[0]))
        return dict(result)

    def _limit(self, name, most: float, least: float = float("-inf")):
        """The row of this name, made with these limits where there is none."""
        if name not in self._rows:
            self._rows[name] = self.model.add_linear_constraint(lb=least, ub=most)
        return self._rows[name]

    def _use(self, key: tuple, pattern: Pattern, most: int) -> None:
        variable = self.model.add_integer_variable(lb=0, ub=most)
        terms = Counter({"moves": pattern.moves})
        terms.update({(key, n): 1 for n in pattern.sides})
        terms.update(("small", size) for sizes in pattern.leave for size in sizes)
        for room in pattern.rooms:
            terms[("room", room)] -= room > 0
        self._add(variable, terms)
        for size, count in Counter(pattern.doubles).items():
            self._limit(("double", size), 0, 0).set_coefficient(variable, count)
        if pattern.comes:
            self._limit(("double", pattern.comes), 0, 0).set_coefficient(variable, -1)
        self.model.objective.set_linear_coefficient(variable, pattern.slots)
        self.used.append((pattern, key, variable))

    def _fill(self, residue: int, sizes: Sizes) -> None:
        variable = self.model.add_integer_variable(lb=0, ub=self.limit)
        self._add(variable, {("room", residue): 1})
        for size, count in Counter(sizes).items():
            self._limit(("small", size), 0).set_coefficient(variable, -count)
        self.filled.append((residue, sizes, variable))

    def _add(self, variable, terms: Mapping) -> None:
        for name, count in terms.items():
            if count:
                self._limit(name, 0).set_coefficient(variable, count)

    def solve(self, time_limit: float, seed: int, slack: int) -> tuple[list, bool]:
        """What leaves and what comes, by kind of VMs, and whether it is so near to an optimum of the program."""
        from ortools.math_opt.python import mathopt

        self.model.objective.is_maximize = True
        # the bound is rounded down: 47.3 and 46 slots are one apart
        result = run_highs(self.model, time_limit, seed, slack + 1 - TOLERANCE)
        if not result.has_primal_feasible_solution():
            return [(Counter(), Counter()) for _ in self.kinds], False
        values = result.variable_values()
        proven = result.termination.reason == mathopt.TerminationReason.OPTIMAL
        return self._flows({variable: round(value) for variable, value in values.items()}), proven

    def _flows(self, values: dict) -> list[tuple[Counter, Counter]]:
        """The hosts and nodes that patterns are used on, those on whole hosts first."""
        leave, come = defaultdict(Counter), defaultdict(Counter)
        free = {(key, n): list(hosts) for key, hosts in self.hosts.items() for n in (0, 1)}
        rooms = defaultdict(list)
        for pattern, key, variable in sorted(self.used, key=lambda use: -len(use[0].sides)):
            for _ in range(values[variable]):
                hosts = [free[key, n].pop() for n in pattern.sides]
                host, flipped = hosts[0]
                for n in (0, 1):
                    node = 2 * host + (n ^ flipped)
                    for size in pattern.leave[n]:
                        leave[size, False][node] += 1
                    if pattern.rooms[n]:
                        rooms[pattern.rooms[n]].append(node)
                for size in pattern.doubles:
                    leave[size, True][2 * host] += 1
                if pattern.comes:
                    come[pattern.comes, True][2 * host] += 1
        for residue, sizes, variable in self.filled:
            for _ in range(values[variable]):
                node = rooms[residue].pop()
                for size in sizes:
                    if come[size, False].total() < leave[size, False].total():
                        come[size, False][node] += 1
        return [self._net(leave[kind.cores, kind.double], come[kind.cores, kind.double]) for kind in self.kinds]

    @staticmethod
    def _net(leave: Counter, come: Counter) -> tuple[Counter, Counter]:
        return leave - come, come - leave


def solve_patterns(
    instance: VMInstance,
    conditions: Mapping | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
    slack: int | None = None,
) -> Plan:
    """Complete as many slots of 16 cores as few moves can, each node being used in one way.

    Of every node either a least set of up to three VMs leaves, which completes its next slot, or up to three come to
    what is free of one; double VMs may leave a host or come to it beside. An integer program counts how often each of
    these patterns is used on nodes, or hosts, that are alike. It has hundreds of variables where the program over VMs
    and nodes has thousands, and its relaxation is nearly tight, as in cutting stock (Gilmore and Gomory 1961); but
    nodes that are used in several ways are beyond it, so it proves nothing.

    The program knows neither memory nor groups: what cannot be carried out for them is left out, and the greedy adds
    to the rest.

    Args:
        instance: the snapshot, in which all VMs are placed.
        conditions: as in ``Schedule.conditions``; weights other than of FR-16 must be 0.
        time_limit: seconds, which HiGHS may overrun.
        seed: the solver's, from 0 to 2**31 - 1.
        slack: slots below the bound of the program, at least 0, with which it is content; None for 1 where there are
            more than ``MANY`` hosts, of which the last slot takes longer than all others, else 0.

    Returns:
        The plan, without a bound.

    Raises:
        OptionError: if VMs are not placed, time runs, or an option is outside of what it accepts.
        ScheduleError: if a condition is not known or out of range.
    """
    check_options(time_limit, seed)
    if slack is None:
        slack = int(instance.hosts > MANY)
    if isinstance(slack, bool) or not isinstance(slack, int) or slack < 0:
        raise OptionError(f"slack must be an integer of at least 0, got {slack!r}")
    began = time.perf_counter()
    cluster = Cluster(instance, conditions)
    if instance.pack:
        raise OptionError(f"{instance.name} has VMs that are not placed; see the solver for packing")
    if cluster.conditions.weight_64 or cluster.conditions.weight_memory:
        raise OptionError("patterns know FR-16 alone: weight_64 and weight_memory must be 0")
    limit = cluster.conditions.mnl
    program = Program(cluster, limit)
    flows, proven = program.solve(max(0.01, time_limit - (time.perf_counter() - began)), seed, slack)
    order = order_streams(cluster, streams_of(cluster, program.kinds, flows))
    after = cluster.copy()
    after.play(order.moves)
    moves = [*order.moves, *greedy(after, limit - len(order.moves))]
    status = "restricted optimum" if proven and order.complete and not slack else "feasible"
    return Plan(best_beginning(cluster, moves)[0], None, status)
