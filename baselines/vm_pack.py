"""Packing: as many important VMs as possible are placed, with few migrations and evictions, by OR-Tools' CP-SAT."""

import math
import time
from collections.abc import Mapping
from typing import Any

from ..envs.core.errors import OptionError
from ..envs.vm.instance import VMInstance
from .vm_mip import check_options
from .vm_order import order_moves
from .vm_pack_model import Packing, PackModel
from .vm_problem import UNPLACED, Cluster, Plan

MOST_VARIABLES = 400_000  # beyond that nothing that is placed is moved


def solve_pack(
    instance: VMInstance, conditions: Mapping | None = None, time_limit: float = 60.0, seed: int = 0
) -> Plan:
    """Place VMs by priority, from the highest to the lowest, then with as few migrations and evictions as possible.

    One constraint program, solved for one aim after the other, each without a loss in those before, like "Priority
    matters" (2025) packs the pods of Kubernetes. What one aim leaves of its share of the time is for the others, and
    what is nowhere in the end is placed where there is room. A plan evicts first, then migrates, then places. Where
    migrations would wait for each other's room in a circle, rounds are added to the program, in which each finds its
    room.

    Args:
        instance: a snapshot.
        conditions: as in ``Schedule.conditions``.
        time_limit: seconds.
        seed: the solver's, from 0 to 2**31 - 1.

    Returns:
        The plan. Its bound is a penalty; one that ends by its proof gives the same plan for the same seed.

    Raises:
        OptionError: if nothing waits to be placed, time runs, or an option is outside of what it accepts.
        ScheduleError: if a condition is not known or out of range, or the penalty does not fit 62 bits.
    """
    check_options(time_limit, seed)
    if not instance.pack:
        raise OptionError(f"{instance.name} has no VM that waits to be placed; see the solvers for rescheduling")
    return _Packer(Cluster(instance, conditions), time_limit, seed).solve()


class _Packer:
    """One search for a plan."""

    def __init__(self, cluster: Cluster, time_limit: float, seed: int):
        self.end = time.perf_counter() + time_limit
        self.cluster, self.seed = cluster, seed
        self.levels = sorted(set(cluster.priority), reverse=True)
        self.base = cluster.instance.vms + cluster.conditions.mnl + 1
        self.best, self.dropped = self._completed([]), 0
        self.bound = 0
        self.proven: list[int] = []  # the best values of the first aims, as proven by the relaxation
        self.hints: list[bool] = []  # the last solution of the relaxation
        self.size = len(cluster.node) * len(cluster.free_cores)
        self.moving = self.size <= MOST_VARIABLES

    @property
    def left(self) -> float:
        """Seconds until the time limit."""
        return self.end - time.perf_counter()

    @property
    def optimal(self) -> bool:
        """Whether the best plan is as good as the bound."""
        return self.best[0] <= self.bound

    def solve(self) -> Plan:
        """Search until the proof or the time limit."""
        if self._attempt(0, 0.5):
            for rounds in range(1, self.cluster.conditions.mnl + 1):
                if self.optimal or self.left <= 0 or rounds * self.size > MOST_VARIABLES:
                    break
                self._attempt(rounds, 0.5)
        elif not self.optimal and self.left > 0:
            self._attempt(0, 1.0)
        note = f"{self.dropped} migrations dropped for want of an order" if self.dropped else ""
        status = "optimal" if self.optimal else "feasible"
        return Plan(tuple(self.best[1]), min(self.best[0], self.bound), status, note)

    def _attempt(self, rounds: int, share: float) -> bool:
        """Solve the program in a share of the time that is left; whether some of the migrations have no order."""
        end = time.perf_counter() + share * self.left
        model = PackModel(self.cluster, rounds, self.moving)
        packing, bound = self._stages(model, rounds == 0, end)
        if self.moving and rounds in (0, self.cluster.conditions.mnl):
            self.bound = max(self.bound, bound)
        moves, missing = self._moves(model, packing) if packing else ([], 0)
        found = self._completed(moves)
        if found[0] < self.best[0]:
            self.best, self.dropped = found, missing
        return missing > 0

    def _stages(self, model: PackModel, relaxed: bool, end: float) -> tuple[Packing | None, int]:
        """Solve for one aim after the other; the last solution, and a bound of the penalty."""
        self._hint(model, relaxed)
        aims = [(self.base ** (len(self.levels) - i), model.unplaced(p)) for i, p in enumerate(self.levels)]
        packing, bound, proven = None, 0, True
        for stage, (weight, aim) in enumerate([*aims, (1, model.moves)]):
            if isinstance(aim, int):  # nothing can be done about it
                bound += weight * aim
                value, optimal = aim, True
            elif relaxed and stage < len(self.proven):
                value, optimal = self.proven[stage], True
                bound += weight * value
                model.model.add(aim <= value)
            else:
                model.model.minimize(aim)
                left = (end - time.perf_counter()) / (len(aims) + 1 - stage)
                solver, optimal = self._search(model, max(left, 0.01))
                if solver is None:
                    break
                value, packing = round(solver.objective_value), model.packing(solver.boolean_value)
                if proven:  # whole numbers: the tolerance keeps 2.0000001 from becoming a bound of 3
                    bound += weight * max(math.ceil(solver.best_objective_bound - 1e-6), 0)
                model.model.add(aim <= value)
                self._keep(model, relaxed, [solver.boolean_value(variable) for variable in model.variables])
            proven = proven and optimal
            if relaxed and proven and stage == len(self.proven):
                self.proven.append(value)
        return packing, bound

    def _search(self, model: PackModel, time_limit: float) -> tuple[Any, bool]:
        """Run CP-SAT; None if it found nothing, and whether it has proven that nothing is better."""
        from ortools.sat.python import cp_model

        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = time_limit
        solver.parameters.random_seed = self.seed
        solver.parameters.num_workers = 1
        status = solver.solve(model.model)
        if status in (cp_model.MODEL_INVALID, cp_model.INFEASIBLE):
            raise RuntimeError(f"CP-SAT refuses the model of {self.cluster.instance.name}: {model.model.validate()}")
        return (None if status == cp_model.UNKNOWN else solver), status == cp_model.OPTIMAL

    def _keep(self, model: PackModel, relaxed: bool, values: list[bool]) -> None:
        """Start the next search from a solution."""
        model.model.clear_hints()
        for variable, value in zip(model.variables, values, strict=True):
            model.model.add_hint(variable, value)
        if relaxed:
            self.hints = values

    def _hint(self, model: PackModel, relaxed: bool) -> None:
        """Start from the last solution of the same program, or by only placing VMs."""
        if relaxed and self.hints:
            self._keep(model, relaxed, self.hints)
            return
        where = dict(self._completed([])[1])
        for kept in model.kept.values():
            model.model.add_hint(kept, True)
        for vm, nodes in model.placed.items():
            for node, there in nodes.items():
                model.model.add_hint(there, vm in model.new and where.get(vm) == node)

    def _completed(self, moves: list[tuple[int, int]]) -> tuple[int, list[tuple[int, int]]]:
        """The penalty of moves, and the moves, after which what waits is placed best fit, the most important first."""
        after, moves = self.cluster.copy(), list(moves)
        after.play(moves)
        waiting = [vm for vm, node in enumerate(after.node) if node == UNPLACED]
        for vm in sorted(waiting, key=lambda vm: (-after.priority[vm], -after.cores[vm], vm)):
            nodes = [node for node in range(len(after.free_cores)) if after.legal(vm, node)]
            if nodes:
                node = min(nodes, key=lambda node: (sum(after.free_cores[n] for n in after.nodes(vm, node)), node))
                after.play([(vm, node)])
                moves.append((vm, node))
        return after.penalty(), moves

    def _moves(self, model: PackModel, packing: Packing) -> tuple[list[tuple[int, int]], int]:
        """A solution as actions, and how many of its migrations have no order."""
        goes = [vm for vm in model.low if vm not in packing.kept]
        if packing.rounds:
            now, moves = self._evicted(goes)
            for targets in packing.rounds:
                order, _ = order_moves(now, targets)
                now.play(order.moves)
                moves += order.moves
            missing = {}
        else:
            targets = {vm: node for vm, node in packing.placed.items() if vm not in set(model.new)}
            # rather migrate than evict, but what can be evicted stands in nobody's way
            for evicted in ([vm for vm in goes if vm not in targets], goes):
                now, moves = self._evicted(evicted)
                order, missing = order_moves(now, {vm: n for vm, n in targets.items() if now.node[vm] != UNPLACED})
                if order.complete:
                    break
            now.play(order.moves)
            moves += order.moves
        waiting = [vm for vm in packing.placed if now.node[vm] == UNPLACED]
        for vm in sorted(waiting, key=lambda vm: (-now.priority[vm], vm)):
            if now.legal(vm, packing.placed[vm]):  # it is, unless some migrations have no order
                now.play([(vm, packing.placed[vm])])
                moves.append((vm, packing.placed[vm]))
        return moves, len(missing)

    def _evicted(self, vms: list[int]) -> tuple[Cluster, list[tuple[int, int]]]:
        """The cluster after some VMs were evicted, and the moves."""
        now, moves = self.cluster.copy(), [(vm, UNPLACED) for vm in vms]
        now.play(moves)
        return now, moves
