"""Heuristics of VM rescheduling that look at single moves: fast, without bounds."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from ..envs.core.errors import OptionError
from ..envs.vm.instance import VMInstance
from .vm_landscape import POTENTIAL, Landscape, descending
from .vm_order import order_moves
from .vm_problem import Cluster, Plan

Moves = list[tuple[int, int]]
SMALL = 1e-9  # gains below this are noise of floats


def plan_with(search: Callable, instance: VMInstance, conditions: Mapping | None = None, **options) -> Plan:
    """Let a search of this module plan for a snapshot.

    Args:
        search: such as ``greedy``; called with a cluster, a number of migrations and the options.
        instance: the snapshot, in which all VMs are placed.
        conditions: as in ``Schedule.conditions``.
        options: of the search.

    Returns:
        The plan, without a bound.

    Raises:
        OptionError: if VMs are not placed, or time runs.
    """
    if instance.pack:
        raise OptionError(f"{instance.name}: {search.__name__} moves VMs that are placed, and some are not")
    cluster = Cluster(instance, conditions)
    return Plan(tuple(search(cluster, cluster.conditions.mnl, **options)), None, "feasible")


def greedy(cluster: Cluster, limit: int, hosts: Collection[int] | None = None) -> Moves:
    """Carry out the best single move as long as there is one that gains more than it costs.

    Args:
        cluster: the state; left as it is.
        limit: migrations at most.
        hosts: those whose VMs may be moved, and moved to; all when left out.

    Returns:
        The moves, in order; ties go to the smallest kind of VMs, then to the lowest nodes.
    """
    return _climb(Landscape(cluster, hosts), limit)


def _climb(state: Landscape, limit: int) -> Moves:
    """The greedy, which leaves the state changed."""
    moves: Moves = []
    while len(moves) < limit:
        gain, vm, node = next(state.moves(), (0.0, -1, -1))
        if gain <= state.cost + SMALL:
            break
        state.move(vm, node)
        moves.append((vm, node))
    return moves


def swaps(cluster: Cluster, limit: int) -> Moves:
    """Exchange VMs of different kinds as well, where the greedy ends; whatever gains most for each migration is first.

    An exchange takes two migrations where one of the VMs finds room beside the other, or else a third one that parks
    it elsewhere meanwhile.

    Args:
        cluster: the state; left as it is.
        limit: migrations at most.

    Returns:
        The moves, in order.
    """
    state, moves = Landscape(cluster), []
    while True:
        moves += _climb(state, limit - len(moves))
        found = _exchange(state, limit - len(moves))
        if not found:
            return moves
        moves += found


def _exchange(state: Landscape, limit: int) -> Moves:
    """Carry out the exchange that gains most for each migration, if any gains more than it costs."""
    best: tuple[float, Moves] = (state.cost + SMALL, [])
    for parked, length in ((False, 2), (True, 3)):
        if length > limit:
            continue
        for gain, first, second in state.exchanges(direct=not parked):
            if gain / length <= best[0]:
                break
            moves = _swap(state, first, second, parked)
            if moves:
                best = gain / length, moves
                break
    for move in best[1]:
        state.move(*move)
    return best[1]


def _swap(state: Landscape, first: tuple[int, int], second: tuple[int, int], parked: bool) -> Moves:
    """The moves that exchange a VM of the first kind and node with one of the second; none if that is illegal.

    The second VM goes first: it has room beside the other one, unless that is parked elsewhere before.
    """
    one, other = (next(iter(state.present(*place)), -1) for place in (first, second))
    moves = [(other, first[1]), (one, second[1])]
    if parked:
        _, enter = state.gains()
        hosts = {first[1] // 2, second[1] // 2}
        fits = (n for n in descending(enter[first[0]]) if n // 2 not in hosts)
        park = next((n for n in fits if not state.conflicts(one, n)), None)
        if park is None:
            return []
        moves.insert(0, (one, park))
    return moves if _legal(state.copy(), moves) else []


def _legal(state: Landscape, moves: Moves) -> bool:
    for vm, node in moves:
        if not state.legal(vm, node):
            return False
        state.move(vm, node)
    return True


def beam(cluster: Cluster, limit: int, width: int = 16, time_limit: float = float("inf")) -> Moves:
    """Beam search over single moves, guided by slots and by how near the next ones are.

    Args:
        cluster: the state; left as it is.
        limit: migrations at most.
        width: states that are kept after each move.
        time_limit: in seconds; no further move is looked at when they are over.

    Returns:
        The moves to the best state that was met, in order.
    """
    began = time.perf_counter()
    states: list[tuple[Landscape, Moves]] = [(Landscape(cluster), [])]
    best, moves = states[0][0].value(), []
    while states and len(states[0][1]) < limit and time.perf_counter() - began < time_limit:
        children: list[tuple[float, int, int, int]] = []
        for index, (state, _) in enumerate(states):
            now = float(state.worth(state.free, POTENTIAL).sum())
            children += [(now + gain, index, vm, node) for gain, vm, node in _different(state, width)]
        children.sort(key=lambda child: (-child[0], *child[1:]))
        kept: dict[bytes, tuple[Landscape, Moves]] = {}
        for _, index, vm, node in children:
            state = states[index][0].copy()
            state.move(vm, node)
            kept.setdefault(state.signature(), (state, [*states[index][1], (vm, node)]))
            if len(kept) == width:
                break
        states = list(kept.values())
        for state, path in states:
            value = state.value() - state.cost * len(path)
            if value > best + SMALL:
                best, moves = value, path
    return moves


def _different(state: Landscape, width: int) -> Iterator[tuple[float, int, int]]:
    """The best moves, one for each gain and kind: others of the same gain lead to states that are much alike."""
    seen: set[tuple[float, int]] = set()
    for gain, vm, node in state.moves(POTENTIAL, alike=2):
        key = (round(gain, 6), int(state.kind[vm]))
        if key not in seen:
            seen.add(key)
            yield gain, vm, node
            if len(seen) == width:
                return


def repack(cluster: Cluster, limit: int, batch: int = 2) -> Moves:
    """Take out some VMs at once and pack them anew by decreasing size; keep that where it gains anything.

    A rule in the spirit of alpha-VBPP, vector bin packing of alpha VMs at a time, which Ding et al. (2025) compare
    with; it is not theirs: VMs are taken by what their leaving gains and packed by what their arriving gains.

    Args:
        cluster: the state; left as it is.
        limit: migrations at most.
        batch: VMs taken out at once.

    Returns:
        The moves, in order.
    """
    state, now, moves = Landscape(cluster), cluster.copy(), []
    tried, gained = np.zeros(state.count.shape, dtype=bool), True
    while len(moves) < limit:
        targets = _repacked(state.copy(), tried, min(batch, limit - len(moves)))
        if not targets and not gained:
            break
        if not targets:
            tried[:], gained = False, False  # once more from the start, as something has changed
            continue
        after = _gaining(state, now, targets)
        if after:
            state, done = after
            moves, gained = moves + done, True
            for vm, node in done:
                now.put(vm, node)
    return moves


def _gaining(state: Landscape, now: Cluster, targets: dict[int, int]) -> tuple[Landscape, Moves] | None:
    """The state after what can be carried out of some targets, and the moves, if that gains more than it costs."""
    for promised in (True, False):
        after, moves = state.copy(), list(targets.items())
        if promised:  # is it worth looking for an order?
            for vm, _ in moves:
                after.take(vm)
            for vm, node in moves:
                after.put(vm, node)
        else:
            moves = list(order_moves(now, targets)[0].moves)
            for vm, node in moves:
                after.move(vm, node)
        changed = sum(state.node[vm] != node for vm, node in moves)
        if after.value() - state.value() <= state.cost * changed + SMALL:
            return None
    return after, moves


def _repacked(state: Landscape, tried: np.ndarray, batch: int) -> dict[int, int]:
    """Where the VMs of a batch go, none of which was tried before; the state is spoiled."""
    taken: list[int] = []
    before = tried.copy()
    while len(taken) < batch:
        leave = np.where(before, -np.inf, state.gains()[0])
        kind, node = np.unravel_index(int(leave.argmax()), leave.shape) if leave.size else (0, 0)
        if not leave.size or leave[kind, node] == -np.inf:
            break
        tried[kind, node] = True
        taken.append(state.present(kind, node)[0])
        state.take(taken[-1])
    targets = {}
    for vm in sorted(taken, key=lambda vm: (-state.cores[state.kind[vm]], vm)):
        enter = state.gains(POTENTIAL)[1][state.kind[vm]]
        node = next((n for n in descending(enter) if not state.conflicts(vm, n)), None)
        if node is None:
            break
        targets[vm] = node
        state.put(vm, node)
    return targets
