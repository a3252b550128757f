"""The safety rule of a live job shop without buffers: no move after which the shop might never be emptied.

A finished job keeps its machine there, so jobs may come to wait for each other for ever. A job *can leave* if all of
its remaining route is on machines that are empty or its own. A state is *safe* if the jobs inside can be taken out by
this: whoever can leave is taken out, again and again; if some are left, one of them moves to its next machine, if that
is empty, lowest machine first, and so on; where it leads nowhere, moves are taken back. A state in which jobs wait for
each other in a circle leads nowhere, and so does one that was met before. No more than MOST_STATES others are looked
at. Only moves into safe states are offered. It loses nobody:

- With nobody inside, a job that enters has the whole shop to itself, so its move is safe.
- In a safe state, once the operations that run are over and the machines are up, there is a safe move. If somebody can
  leave, its next move is one: with it taken out, what is left is the same as before. If nobody can, the first of the
  moves that led out is one. From there states are met in the same order, and none that had not been met before: those
  left out then, having led nowhere, lead only to states that had all been met themselves. So they are no more than
  before, and they lead out. No deadlock is ever reached.

Without such moves it is the banker's algorithm (Dijkstra 1965) for sequential resources (Lawley, Reveliotis, Ferreira
1998); whether all jobs can be completed from a state is NP-complete to decide (Araki, Sugiyama, Kasami and Okui 1977),
so the rule, with its bound on states, is sufficient, not necessary. Where jobs may swap there is nothing to avoid: when
nothing runs, either the next machine of somebody is empty, or all who are inside wait for a machine that is held, and
some of these in a circle.
"""

import warp as wp

from .simulator_live_state import BITS, MOST_STATES, State


@wp.func
def bit_of(k: int):
    """Machine k in a set of machines; the sets have no more than BITS bits, and larger shops use them in turn."""
    return wp.int64(1) << wp.int64(k % BITS)


@wp.func
def is_open(s: State, i: int, v: int, y: int, o: int):
    """Whether job y finds its route from operation o on open in state v."""
    b = s.instance[i]
    while o < s.operations[b, y]:
        x = s.seat[i, v, s.machine[b, y, o]]
        if x >= 0 and x != y:
            return False
        o += 1
    return True


@wp.func
def can_leave(s: State, i: int, v: int, k: int, held: wp.int64):
    """Whether the job on machine k of state v finds all of its remaining route open.

    Args:
        held: the machines that somebody holds, as bits.
    """
    b = s.instance[i]
    y = s.seat[i, v, k]
    o = s.position[i, v, k]
    if o == s.operations[b, y]:
        return True
    if (s.ahead[b, y, o] & held & ~bit_of(k)) == wp.int64(0):
        return True
    if s.machines[b] <= BITS:
        return False
    return is_open(s, i, v, y, o)  # machines may share a bit


@wp.func
def take_out(s: State, i: int, v: int):
    """Take out whoever can leave state v, again and again; returns whether all are out."""
    m = s.machines[s.instance[i]]
    held = wp.int64(0)
    k = int(0)
    while k < m:
        if s.seat[i, v, k] >= 0:
            held = held | bit_of(k)
        k += 1
    turning = int(1)
    inside = int(0)
    while turning == 1:
        turning = int(0)
        inside = int(0)
        k = int(0)
        while k < m:
            if s.seat[i, v, k] >= 0:
                if can_leave(s, i, v, k, held):
                    s.seat[i, v, k] = -1
                    if m <= BITS:
                        held = held & ~bit_of(k)
                    turning = int(1)
                else:
                    inside += 1
            k += 1
    return inside == 0


@wp.func
def imagine(s: State, i: int, j: int):
    """Set up state 0, the one after job j has moved to its next machine."""
    k = int(0)
    while k < s.machines[s.instance[i]]:
        y = s.holder[i, k]
        s.seat[i, 0, k] = y
        if y >= 0:
            s.position[i, 0, k] = s.next_operation[i, y]
        k += 1
    if s.at[i, j] >= 0:
        s.seat[i, 0, s.at[i, j]] = -1
    s.seat[i, 0, s.next_machine[i, j]] = j
    s.position[i, 0, s.next_machine[i, j]] = s.next_operation[i, j] + 1


@wp.func
def in_circle(s: State, i: int, v: int, k: int):
    """Whether the job on machine k of state v waits, by way of others, for itself."""
    b = s.instance[i]
    q = int(k)
    steps = int(0)
    while steps < s.machines[b]:
        y = s.seat[i, v, q]
        if y < 0:
            return False
        if s.position[i, v, q] == s.operations[b, y]:
            return False
        q = s.machine[b, y, s.position[i, v, q]]
        steps += 1
        if q == k:
            return steps > 1  # a job that goes on where it is waits for nobody
    return False


@wp.func
def try_move(s: State, i: int, v: int, k: int, to: int):
    """Make `to` what state v is after the job on machine k has moved on; returns its machine, -1 if it cannot."""
    b = s.instance[i]
    y = s.seat[i, v, k]
    if y < 0:
        return -1
    o = s.position[i, v, k]
    q = s.machine[b, y, o]  # it has a next machine, or it could leave
    if s.seat[i, v, q] >= 0 and q != k:
        return -1
    x = int(0)
    while x < s.machines[b]:
        s.seat[i, to, x] = s.seat[i, v, x]
        s.position[i, to, x] = s.position[i, v, x]
        x += 1
    s.seat[i, to, k] = -1
    s.seat[i, to, q] = y
    s.position[i, to, q] = o + 1
    return q


@wp.func
def are_same(s: State, i: int, u: int, v: int):
    """Whether the same jobs are on the same machines in states u and v, and as far."""
    k = int(0)
    while k < s.machines[s.instance[i]]:
        if s.seat[i, u, k] != s.seat[i, v, k]:
            return False
        if s.seat[i, u, k] >= 0 and s.position[i, u, k] != s.position[i, v, k]:
            return False
        k += 1
    return True


@wp.func
def is_new(s: State, i: int, v: int):
    """Whether none of the states before v is the same; keeps its hash, which tells nearly all of them apart."""
    m = s.machines[s.instance[i]]
    code = int(0)
    k = int(0)
    while k < m:
        if s.seat[i, v, k] >= 0:
            code = (code * 31 + 97 * s.seat[i, v, k] + s.position[i, v, k]) & 0xFFFFFF
        code = (code * 31 + 1) & 0xFFFFFF
        k += 1
    s.code[i, v] = code
    u = int(0)
    while u < v:
        if s.code[i, u] == code:
            if are_same(s, i, u, v):
                return False
        u += 1
    return True


@wp.func
def is_safe(s: State, i: int, j: int):
    """Whether job j's move to its next machine leads to a safe state."""
    imagine(s, i, j)
    if in_circle(s, i, 0, s.next_machine[i, j]):
        return False
    if take_out(s, i, 0):
        return True
    m = s.machines[s.instance[i]]
    v = int(0)  # the state that is looked at
    count = int(1)  # of states that were met
    s.tried[i, 0] = 0
    s.parent[i, 0] = -1
    is_new(s, i, 0)
    while v >= 0:
        k = s.tried[i, v]
        if k == m:
            v = s.parent[i, v]
        else:
            s.tried[i, v] = k + 1
            q = try_move(s, i, v, k, count)
            if q >= 0:
                if not in_circle(s, i, count, q):
                    if take_out(s, i, count):
                        return True
                    if is_new(s, i, count):
                        if count == MOST_STATES:
                            return False
                        s.tried[i, count] = 0
                        s.parent[i, count] = v
                        v = count
                        count += 1
    return False
