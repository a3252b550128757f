"""Packing: as many important VMs as possible are placed, with few migrations and evictions, by OR-Tools' CP-SAT."""

import math
import time
from collections.abc import Mapping

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
        self.levels = sorted(set(cluster.priority))
        self.base = cluster.instance.vms + cluster.conditions.mnl + 1
        self.best = self._completed([])
        self.bound = 0

    @property
    def left(self) -> float:
        """Seconds until the time limit."""
        return self.end - time.perf_counter()

    def solve(self) -> Plan:
        """Search until the proof or the time limit."""
        dropped, vms = 0, len(self.cluster.node)
        moving = vms * len(self.cluster.free_cores) <= MOST_VARIABLES
        for rounds in (0, *range(2, self.cluster.conditions.mnl + 1)):
            if self.left <= 0 or max(rounds, 1) * vms * len(self.cluster.free_cores) > MOST_VARIABLES and rounds:
                break
            model = PackModel(self.cluster, rounds, moving)
            packing, bound = self._stages(model)
            if moving and rounds in (0, self.cluster.conditions.mnl):
                self.bound = max(self.bound, bound)
            moves, missing = self._moves(model, packing) if packing else ([], 0)
            found = self._completed(moves)
            if found[0] < self.best[0]:
                self.best, dropped = found, missing
            if self.best[0] <= self.bound or not (rounds or missing):
                break
        penalty, moves = self.best
        proven = penalty <= self.bound
        note = f"{dropped} migrations dropped for want of an order" if dropped else ""
        return Plan(tuple(moves), min(penalty, self.bound), "optimal" if proven else "feasible", note)

    def _stages(self, model: PackModel) -> tuple[Packing | None, int]:
        """Solve for one aim after the other; the last solution, and a bound of the penalty."""
        from ortools.sat.python import cp_model

        self._hint(model)
        aims = [(self.base ** (level + 1), model.unplaced(p)) for level, p in enumerate(self.levels)][::-1]
        packing, bound, proven = None, 0, True
        for stage, (weight, aim) in enumerate([*aims, (1, model.moves)]):
            if isinstance(aim, int):  # nothing can be done about it
                bound += weight * aim
                continue
            model.model.minimize(aim)
            solver = cp_model.CpSolver()
            solver.parameters.max_time_in_seconds = max(self.left, 0.01) / (len(aims) + 1 - stage)
            solver.parameters.random_seed = self.seed
            solver.parameters.num_workers = 1
            status = solver.solve(model.model)
            if status in (cp_model.MODEL_INVALID, cp_model.INFEASIBLE):
                raise RuntimeError(f"CP-SAT refuses the model of {self.cluster.instance.name}")
            if proven and math.isfinite(solver.best_objective_bound):
                bound += weight * max(math.ceil(solver.best_objective_bound - 1e-6), 0)
            proven = proven and status == cp_model.OPTIMAL
            if status == cp_model.UNKNOWN:
                break
            packing = model.packing(solver.boolean_value)
            model.model.add(aim <= round(solver.objective_value))
            model.model.clear_hints()
            for variable in model.variables:
                model.model.add_hint(variable, solver.boolean_value(variable))
        return packing, bound

    def _hint(self, model: PackModel) -> None:
        """The best plan so far, if it only places VMs."""
        where = dict(self.best[1])
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
