"""The objective of the integer programs of VM rescheduling, and their solution by HiGHS."""

import ctypes
import datetime
import math
import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .vm_kinds import Kind
from .vm_mip_rows import MoveRows
from .vm_problem import HALF, MEMORY_SLOT, SLOT, Cluster, fragment_rate

TOLERANCE = 1e-6  # within which the solver calls a number an integer
Flow = tuple[Counter, Counter]  # of one kind: how many leave each node, and how many arrive at each


@dataclass(frozen=True)
class Solution:
    """What the solver of a model found.

    Attributes:
        rounds: for each round, the flow of each kind; empty where nothing was found.
        objective: fragment rate at the end and cost of the migrations; infinite where nothing was found.
        bound: no solution of the model has a smaller objective.
    """

    rounds: tuple[tuple[Flow, ...], ...]
    objective: float
    bound: float

    @property
    def optimal(self) -> bool:
        """Whether the model has nothing better."""
        return self.objective <= self.bound + 1e-9


class MoveModel(MoveRows):
    """The integer program with its objective; see ``MoveRows``.

    What is not in fragments is in whole slots: of 16 cores on a node, of 32 cores on both nodes of a host, of 64 GiB
    of memory on a node. These are maximised, less the cost of the migrations, in hundredths of a free core.
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
        super().__init__(cluster, kinds, hosts, rounds, limit, cautious)
        conditions = cluster.conditions
        free, free_memory = sum(cluster.free_cores), sum(cluster.free_memory)
        weight_16 = 100 - conditions.weight_64 - conditions.weight_memory
        weight_memory = conditions.weight_memory * free / free_memory if free_memory else 0
        counted = [
            (SLOT * weight_16, self._slots),
            (2 * HALF * conditions.weight_64, self._wide_slots),
            (MEMORY_SLOT * weight_memory, self._memory_slots),
        ]
        counted = [(weight, slots()) for weight, slots in counted if weight]
        self.whole = not weight_memory and not conditions.migration_cost
        self.step = math.gcd(*(weight for weight, _ in counted)) if self.whole and counted else 1
        self.scale = 100 * max(free, 1)
        self.start = sum(weight * count for weight, slots in counted for _, count in slots)
        gain = self.sum(weight / self.step * slot for weight, slots in counted for slot, _ in slots)
        cost = conditions.migration_cost * self.scale
        self.model.maximize(gain - cost * self.moved if cost else gain)

    def _slots(self) -> list[tuple[Any, int]]:
        """Slots of 16 cores on each node where anything may change: the variable, and how many there are now."""
        return [
            (self._count([(terms, self.cluster.free_cores[n])], SLOT, self.room[n]), self.cluster.free_cores[n] // SLOT)
            for n, terms in self._taken(self.rounds)[0].items()
        ]

    def _wide_slots(self) -> list[tuple[Any, int]]:
        """Slots of 32 cores on both nodes, likewise for each host."""
        cores, free = self._taken(self.rounds)[0], self.cluster.free_cores
        slots = []
        for host in sorted({n // 2 for n in cores}):
            nodes = (2 * host, 2 * host + 1)
            rows = [(cores.get(n, ()), free[n]) for n in nodes]
            most = min(self.room[n] for n in nodes)
            slots.append((self._count(rows, HALF, most), min(free[n] // HALF for n in nodes)))
        return slots

    def _memory_slots(self) -> list[tuple[Any, int]]:
        """Slots of memory on each node, likewise."""
        slots = []
        for n, terms in self._taken(self.rounds)[1].items():
            free = self.cluster.free_memory[n]
            most = self.memory_room[n] // MEMORY_SLOT
            slots.append((self._count([(terms, free / MEMORY_SLOT)], 1, most), free // MEMORY_SLOT))
        return slots

    def _count(self, rows: list[tuple[Any, float]], size: int, most: int) -> Any:
        """A variable for the slots that what is free in the end has room for, in each row."""
        slots = self.model.add_integer_variable(lb=0, ub=most // size)
        for taken, free in rows:
            self.model.add_linear_constraint(size * slots + self.sum(taken) <= free)
        return slots

    def solve(self, time_limit: float, seed: int) -> Solution:
        """Search with one thread.

        Args:
            time_limit: in seconds; HiGHS may overrun it, as it looks at its watch now and then.
            seed: the solver's, from 0 to 2**31 - 1.
        """
        from ortools.math_opt.python import mathopt

        result = run_highs(self.model, time_limit, seed)
        now = self.cluster.rate() + self.cluster.conditions.migration_cost * self.cluster.used
        bound = result.termination.objective_bounds.dual_bound
        if math.isfinite(bound):
            # whole slots: the tolerance keeps 54.9999999 from becoming a bound of 54
            bound = (math.floor(bound + TOLERANCE) if self.whole else bound + TOLERANCE * 1e-3) * self.step
            bound = max(now - (bound - self.start) / self.scale, 0.0)
        else:
            bound = 0.0
        if not result.has_primal_feasible_solution():
            if result.termination.reason != mathopt.TerminationReason.NO_SOLUTION_FOUND:
                raise RuntimeError(f"HiGHS refuses the model of {self.cluster.instance.name}: {result.termination}")
            return Solution((), math.inf, bound)
        rounds = self._flows(result.variable_values())
        return Solution(rounds, self._objective(rounds), bound)

    def _flows(self, values: dict) -> tuple[tuple[Flow, ...], ...]:
        """What leaves and arrives; what does both at one node stays there."""
        rounds = []
        for enter, leave in zip(self.enter, self.leave, strict=True):
            flows = []
            for come, go in zip(enter, leave, strict=True):
                net = Counter({node: round(values[variable]) for node, variable in come.items()})
                net.subtract({node: round(values[variable]) for node, variable in go.items()})
                flows.append((-net, +net))
            rounds.append(tuple(flows))
        return tuple(rounds)

    def _objective(self, rounds: tuple[tuple[Flow, ...], ...]) -> float:
        """What is promised: the solver's numbers are rounded, so it is computed anew."""
        cores, memory = np.array(self.cluster.free_cores), np.array(self.cluster.free_memory)
        moved = 0
        for flows in rounds:
            for kind, (left, arrived) in zip(self.kinds, flows, strict=True):
                moved += arrived.total()
                for counts, sign in ((left, 1), (arrived, -1)):
                    for node, count in counts.items():
                        for n in kind.nodes(node):
                            cores[n] += sign * count * kind.cores
                            memory[n] += sign * count * kind.memory
        conditions = self.cluster.conditions
        return fragment_rate(cores, memory, conditions) + conditions.migration_cost * (moved + self.cluster.used)


def run_highs(model: Any, time_limit: float, seed: int, gap: float = 0.0) -> Any:
    """One thread, and no gap that counts as closed before it is, unless it is this small."""
    from ortools.math_opt.python import mathopt
    from ortools.math_opt.solvers import highs_pb2

    parameters = mathopt.SolveParameters(
        time_limit=datetime.timedelta(seconds=time_limit),
        relative_gap_tolerance=0.0,
        absolute_gap_tolerance=gap or None,
        random_seed=seed,
        highs=highs_pb2.HighsOptionsProto(int_options={"threads": 1}),
    )
    with _quiet():
        return mathopt.solve(model, mathopt.SolverType.HIGHS, params=parameters)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off stdout what HiGHS prints of its own accord: stdout is for results."""
    flush = ctypes.CDLL(None).fflush if os.name == "posix" else lambda stream: None
    try:
        flush(None)
        kept = os.dup(1)
    except OSError:  # there is no stdout
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        flush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
