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
        self.cluster, self.limit = cluster, limit
        self.vms = [vm for vm, movable in enumerate(cluster.movable) if movable and cluster.cores[vm] < SLOT]
        self.kinds = kinds_of(cluster, self.vms, False)
        sizes = {double: [kind.cores for kind in self.kinds if kind.double == double] for double in (False, True)}
        self.hosts = self._hosts()
        self.used: list[tuple[Pattern, tuple]] = []  # the first variables
        self.filled: list[tuple[int, Sizes]] = []  # those that follow
        self.most: list[int] = []  # of each variable
        self.rows: dict[tuple, tuple[int, float, float]] = {}  # by name: number and limits
        self.entries: list[tuple[int, int, int]] = []  # row, variable and coefficient
        for key, hosts in self.hosts.items():
            for pattern in patterns(key[:2], key[2], sizes[True]):
                self._use(key, pattern, len(hosts))
        for residue in range(1, SLOT):
            for chosen in fillings(residue, tuple(sizes[False])):
                self._fill(residue, chosen)

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

    def _add(self, name: tuple, coefficient: int, most: float, least: float = float("-inf")) -> None:
        """The newest variable is in the row of this name, which has these limits."""
        row = self.rows.setdefault(name, (len(self.rows), least, most))[0]
        self.entries.append((row, len(self.most) - 1, coefficient))

    def _use(self, key: tuple, pattern: Pattern, hosts: int) -> None:
        """A variable: on how many of the hosts that are alike this pattern is used."""
        self.used.append((pattern, key))
        self.most.append(hosts)
        if pattern.moves:
            self._add(("moves",), pattern.moves, self.limit)
        for n in pattern.sides:
            self._add(("side", key, n), 1, hosts)
        for size, count in Counter(pattern.leave[0] + pattern.leave[1]).items():
            self._add(("small", size), count, 0)
        for room, count in Counter(pattern.rooms).items():
            if room:
                self._add(("room", room), -count, 0)
        doubles = Counter(pattern.doubles)
        doubles.subtract([pattern.comes] * (pattern.comes > 0))
        for size, count in doubles.items():
            if count:
                self._add(("double", size), count, 0, 0)

    def _fill(self, residue: int, sizes: Sizes) -> None:
        """A variable: how many rooms of so many cores are filled like this."""
        self.filled.append((residue, sizes))
        self.most.append(self.limit)
        self._add(("room", residue), 1, 0)
        for size, count in Counter(sizes).items():
            self._add(("small", size), -count, 0)

    def _model(self):
        """The program for the solver; written as a message, which is several times as fast as term by term."""
        from ortools.math_opt import model_pb2
        from ortools.math_opt.python import mathopt

        message, count = model_pb2.ModelProto(), len(self.most)
        message.variables.ids.extend(range(count))
        message.variables.lower_bounds.extend([0.0] * count)
        message.variables.upper_bounds.extend(self.most)
        message.variables.integers.extend([True] * count)
        slots = [(index, pattern.slots) for index, (pattern, _) in enumerate(self.used) if pattern.slots]
        message.objective.maximize = True
        message.objective.linear_coefficients.ids.extend(index for index, _ in slots)
        message.objective.linear_coefficients.values.extend(gain for _, gain in slots)
        rows = self.rows.values()
        message.linear_constraints.ids.extend(row for row, _, _ in rows)
        message.linear_constraints.lower_bounds.extend(least for _, least, _ in rows)
        message.linear_constraints.upper_bounds.extend(most for _, _, most in rows)
        entries = sorted(self.entries)
        message.linear_constraint_matrix.row_ids.extend(row for row, _, _ in entries)
        message.linear_constraint_matrix.column_ids.extend(column for _, column, _ in entries)
        message.linear_constraint_matrix.coefficients.extend(value for _, _, value in entries)
        return mathopt.Model.from_model_proto(message)

    def solve(self, time_limit: float, seed: int, slack: int) -> tuple[list, bool]:
        """What leaves and what comes, by kind of VMs, and whether it is so near to an optimum of the program."""
        from ortools.math_opt.python import mathopt

        # the bound is rounded down: 47.3 and 46 slots are one apart
        result = run_highs(self._model(), time_limit, seed, slack + 1 - TOLERANCE)
        if not result.has_primal_feasible_solution():
            return [(Counter(), Counter()) for _ in self.kinds], False
        values = [0] * len(self.most)
        for variable, value in result.variable_values().items():
            values[variable.id] = round(value)
        return self._flows(values), result.termination.reason == mathopt.TerminationReason.OPTIMAL

    def _flows(self, values: list[int]) -> list[tuple[Counter, Counter]]:
        """The hosts and nodes that patterns are used on, those on whole hosts first."""
        leave, come = defaultdict(Counter), defaultdict(Counter)
        free = {(key, n): list(hosts) for key, hosts in self.hosts.items() for n in (0, 1)}
        rooms = defaultdict(list)
        uses = [(pattern, key) for (pattern, key), n in zip(self.used, values, strict=False) for _ in range(n)]
        for pattern, key in sorted(uses, key=lambda use: -len(use[0].sides)):
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
        for (residue, sizes), count in zip(self.filled, values[len(self.used) :], strict=True):
            for _ in range(count):
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
