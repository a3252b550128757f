"""The safety rule of a live job shop without buffers: no move after which the shop might never be emptied.

A finished job keeps its machine there, so jobs may come to wait for each other for ever. A job *can leave* if all of
its remaining route is on machines that are empty or its own. A state is *safe* if the jobs inside can be taken out by
this: whoever can leave is taken out, again and again; if some are left, one of them moves to its next machine, if that
is empty, lowest machine first, and so on; where it leads nowhere, moves are taken back. No more than MOST_MOVES of them
are tried. Only moves into safe states are offered. It loses nobody:

- With nobody inside, a job that enters has the whole shop to itself, so its move is safe.
- In a safe state, once the operations that run are over and the machines are up, there is a safe move. If somebody can
  leave, its next move is one: it can leave still, and the others are as they were without it. If nobody can, the first
  of the moves that led out is one: from there the same ones are tried in the same order, without those that were
  taken back before it. So no deadlock is ever reached.

Without such moves it is the banker's algorithm (Dijkstra 1965) for sequential resources (Lawley, Reveliotis, Ferreira
1998); whether all jobs can be completed from a state is NP-complete to decide (Araki, Sugiyama, Kasami and Okui 1977),
so the rule is sufficient, not necessary. Where jobs may swap there is nothing to avoid: when nothing runs, either the
next machine of somebody is empty, or all who are inside wait for a machine that is held, and some of these in a circle.
"""

import warp as wp

from .simulator_live_state import MOST_MOVES, State


@wp.func
def can_leave(s: State, i: int, level: int, y: int):
    """Whether job y finds all of its remaining route open."""
    b = s.instance[i]
    o = s.position[i, y]
    while o < s.operations[b, y]:
        x = s.seat[i, level, s.machine[b, y, o]]
        if x >= 0 and x != y:
            return False
        o += 1
    return True


@wp.func
def take_out(s: State, i: int, level: int):
    """Take out whoever can leave, again and again; returns whether all are out."""
    m = s.machines[s.instance[i]]
    turning = int(1)
    inside = int(0)
    while turning == 1:
        turning = int(0)
        inside = int(0)
        k = int(0)
        while k < m:
            y = s.seat[i, level, k]
            if y >= 0:
                if can_leave(s, i, level, y):
                    s.seat[i, level, k] = -1
                    turning = int(1)
                else:
                    inside += 1
            k += 1
    return inside == 0


@wp.func
def imagine(s: State, i: int, j: int):
    """Set up the state after job j has moved to its next machine."""
    k = int(0)
    while k < s.machines[s.instance[i]]:
        y = s.holder[i, k]
        s.seat[i, 0, k] = y
        if y >= 0:
            s.position[i, y] = s.next_operation[i, y]
        k += 1
    if s.at[i, j] >= 0:
        s.seat[i, 0, s.at[i, j]] = -1
    s.seat[i, 0, s.next_machine[i, j]] = j
    s.position[i, j] = s.next_operation[i, j] + 1


@wp.func
def try_move(s: State, i: int, level: int, k: int):
    """Move the job on machine k on, one level up, if its next machine is open; returns whether it did."""
    b = s.instance[i]
    y = s.seat[i, level, k]
    if y < 0:
        return False
    q = s.machine[b, y, s.position[i, y]]  # it has a next machine, or it could leave
    if s.seat[i, level, q] >= 0 and q != k:
        return False
    x = int(0)
    while x < s.machines[b]:
        s.seat[i, level + 1, x] = s.seat[i, level, x]
        x += 1
    s.seat[i, level + 1, k] = -1
    s.seat[i, level + 1, q] = y
    s.position[i, y] = s.position[i, y] + 1
    s.moved[i, level] = y
    return True


@wp.func
def is_safe(s: State, i: int, j: int):
    """Whether job j's move to its next machine leads from a safe state to a safe one."""
    imagine(s, i, j)
    # If it can leave at once, what remains is what was safe before, without it.
    if can_leave(s, i, 0, j):
        return True
    if take_out(s, i, 0):
        return True
    m = s.machines[s.instance[i]]
    level = int(0)
    moves = int(0)
    s.tried[i, 0] = 0
    while level >= 0 and moves < MOST_MOVES:
        k = s.tried[i, level]
        if k == m:
            level -= 1
            if level >= 0:
                y = s.moved[i, level]
                s.position[i, y] = s.position[i, y] - 1
        else:
            s.tried[i, level] = k + 1
            if try_move(s, i, level, k):
                level += 1
                moves += 1
                s.tried[i, level] = 0
                if take_out(s, i, level):
                    return True
    return False
