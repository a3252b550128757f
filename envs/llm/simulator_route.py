"""The candidates of routing: the servers that an arrival may be sent to."""

import warp as wp

from ..core.rng import random_bits
from .simulator_batch import charge_everybody
from .simulator_choice import add_row, describe, describe_server, offer_nothing, show_request
from .simulator_estimate import clipped, due_in, measure_peaks, time_to_first, time_to_last
from .simulator_queue import mark_overdue
from .simulator_state import ADMIT, NEVER, REJECT, State

KEY = wp.constant(20261)  # of the hashes that servers are ordered by, the same in every episode


@wp.func
def key_of(s: State, i: int, q: int):
    """What requests with a common prefix share: the group, else the session, else the request itself."""
    b = s.instance[i]
    result = s.session[b, q]
    if s.group_of[b, q] >= 0:
        result = -1 - s.group_of[b, q]
    return result


@wp.func
def rank_by_hash(s: State, i: int, q: int, r: int):
    """Place of server r in the order that hashes of the prefix give (Thaler and Ravishankar 1998)."""
    mine = random_bits(KEY, key_of(s, i, q), 0, r)
    result = int(0)
    for other in range(s.servers[s.instance[i]]):
        if other != r and random_bits(KEY, key_of(s, i, q), 0, other) > mine:
            result += 1
    return result


@wp.func
def rank_by_chance(s: State, i: int, q: int, r: int):
    """Place of server r in an order that is drawn anew for each request."""
    mine = random_bits(s.seed[0], s.world[i], q, r)
    result = int(0)
    for other in range(s.servers[s.instance[i]]):
        if other != r and random_bits(s.seed[0], s.world[i], q, other) > mine:
            result += 1
    return result


@wp.func
def offer_servers(s: State, i: int, q: int):
    """Offer the servers to request q, which has just arrived; returns how many candidates there are."""
    b = s.instance[i]
    offer_nothing(s, i)
    mark_overdue(s, i)
    charge_everybody(s, i)
    sent = s.requests[b] - s.left[i] + s.in_system[i] - 1
    for r in range(s.servers[b]):
        measure_peaks(s, i, r)
        a = add_row(s, i, ADMIT, q, r)
        describe(s, i, a, q, r)
        describe_server(s, i, a, r)
        wait = wp.int64(0)
        if s.busy_until[i, r] < NEVER:
            wait = s.busy_until[i, r] - s.now[i]
        first = wait + time_to_first(s, i, r, q, s.prefill[i, a], s.backlog[i, a])
        last = time_to_last(s, i, r, q, first, s.batch[i, a] + s.in_queue[i, a])
        needed = first
        if s.ttft_target[b, q] == wp.int64(0):
            needed = last
        if s.due[i, q] < NEVER:
            s.slack[i, a] = clipped(due_in(s, i, q) - needed)
            s.late[i, a] = int(s.slack[i, a] < 0)
        s.ttft[i, a] = clipped(first)
        s.ect[i, a] = clipped(last)
        s.turn[i, a] = (r + s.servers[b] - sent % s.servers[b]) % s.servers[b]
        s.hash_rank[i, a] = rank_by_hash(s, i, q, r)
        s.draw[i, a] = rank_by_chance(s, i, q, r)
        s.last_here[i, a] = 0
        if s.parent[b, q] >= 0:
            s.last_here[i, a] = int(s.at_server[i, s.parent[b, q]] == r)
    if s.may_reject == 1:
        measure_peaks(s, i, 0)
        show_request(s, i, 0, q, REJECT)
    return s.offered[i]
