"""What is shown besides where FR-64 counts: the room that is left on nodes, and how much of it a candidate takes.

The room of a node is what is free there beyond the VMs of 64 cores that its host has room for: VMs may go there without
taking such a slot.
"""

import warp as wp

from ..core.features import clip
from ..core.graph import Feature
from .simulator_state import HALF, MACRO
from .simulator_state import Struct as State

ROOMS = (4, 8, 16, 32)  # cores
WIDE_CANDIDATE = (
    Feature("elsewhere", "moves of VMs of other hosts, which make room there / 8"),
    *(
        Feature(f"room_{k}", f"nodes of other hosts that lose the last room for {k} cores / 4", -2, 2)
        for k in ROOMS
    ),
)  # fmt: skip
WIDE_CONTEXT = tuple(Feature(f"room_{k}", f"nodes with room for {k} cores, as a share") for k in ROOMS)
SMALLEST = wp.constant(ROOMS[0])  # each of the others is twice the one before
NUMBER = wp.constant(len(ROOMS))


@wp.func
def count_rooms(s: State, i: int, h: int, at_0: int, at_1: int, size: int):
    """Nodes of host h with room for so many cores once its nodes get so many back."""
    free_0 = s.free_cores[i, 2 * h] + at_0
    free_1 = s.free_cores[i, 2 * h + 1] + at_1
    taken = HALF * (wp.max(wp.min(free_0, free_1), 0) // HALF)
    return int(free_0 - taken >= size) + int(free_1 - taken >= size)


@wp.func
def part_of(s: State, i: int, a: int, part: int):
    """The VM that a move of action a is about."""
    v = s.vm[i, a]
    if s.moves == MACRO:
        v = s.part_vm[i, a, part]
    return v


@wp.func
def end_of(s: State, i: int, a: int, end: int):
    """Where a move of action a leaves (even) or comes (odd), move by move; -1 for nowhere."""
    n = s.node[i, a]
    if end % 2 == 0:
        n = s.place[i, part_of(s, i, a, end // 2)]
    elif s.moves == MACRO:
        n = s.part_node[i, a, end // 2]
    return n


@wp.func
def given_back(s: State, i: int, a: int, n: int):
    """Cores that node n gets back by all moves of action a."""
    b = s.instance[i]
    result = int(0)
    for end in range(2 * s.length[i, a]):
        m = end_of(s, i, a, end)
        v = part_of(s, i, a, end // 2)
        if m >= 0 and (m == n or (s.doubled[b, v] == 1 and m == n - 1 and n % 2 == 1)):
            result += s.need_cores[b, v] * (1 - 2 * (end % 2))
    return result


@wp.func
def show_rooms(s: State, i: int, a: int, first: int):
    """The features of action a, the first of them at this column."""
    left = int(-1)
    if s.source[i, a] >= 0:
        left = s.source[i, a] // 2
    moved = int(0)
    for end in range(2 * s.length[i, a]):
        n = end_of(s, i, a, end)
        if n >= 0 and n // 2 != left:
            moved += 1 - end % 2
            h = n // 2
            new = bool(True)
            for earlier in range(end):
                m = end_of(s, i, a, earlier)
                if m >= 0 and m // 2 == h:
                    new = bool(False)
            if new:
                at_0 = given_back(s, i, a, 2 * h)
                at_1 = given_back(s, i, a, 2 * h + 1)
                size = int(SMALLEST)
                for k in range(NUMBER):
                    lost = count_rooms(s, i, h, 0, 0, size) - count_rooms(s, i, h, at_0, at_1, size)
                    now = s.candidate_attr[i, a, first + 1 + k] + float(lost) / 4.0
                    s.candidate_attr[i, a, first + 1 + k] = clip(now, -2.0, 2.0)
                    size = 2 * size
    s.candidate_attr[i, a, first] = clip(float(moved) / 8.0, 0.0, 1.0)


@wp.func
def show_all_rooms(s: State, i: int, first: int):
    """The features of the cluster, the first of them at this column."""
    size = int(SMALLEST)
    for k in range(NUMBER):
        count = int(0)
        for h in range(s.hosts[s.instance[i]]):
            count += count_rooms(s, i, h, 0, 0, size)
        s.context[i, first + k] = float(count) / float(count + 8)
        size = 2 * size
