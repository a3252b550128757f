"""One server: its iterations, the memory of the running requests, admission, preemption and completion.

Decoding requests take one token of the budget each, prefills take what is left of it in order of admission (chunked
prefill, Agrawal et al. 2024); memory is in blocks (Kwon et al. 2023). Iterations in which nothing but counters changes
are run through at once, up to the one in which something may happen: nobody can see the difference.
"""

import warp as wp

from .simulator_batch import (
    begin_decoding,
    find_next_end,
    held_by,
    leave,
    remove_slot,
    victim_of,
)
from .simulator_cache import evict_one, forget_session, group_hit, keep_session, session_hit, use_group
from .simulator_queue import dequeue, end_request, enqueue, miss
from .simulator_state import FINISHED, NEVER, RUNNING, SWAP_FEMTO, State


@wp.func
def prefill_of(s: State, i: int, q: int):
    """KV tokens that a request must have before its next token, its answer so far included."""
    return s.prompt_tokens[s.instance[i], q] + s.emitted[i, q]


@wp.func
def blocks_for(s: State, i: int, r: int, q: int):
    """Blocks of its own that a request would take on server r."""
    size = s.block_size[s.instance[i], r]
    tokens = prefill_of(s, i, q)
    if s.kept[i, q] > 0:  # what it keeps needs no prefill; while it decodes, one more token must fit
        tokens = wp.max(s.prompt_tokens[s.instance[i], q], s.kept[i, q] + 1)
    return (tokens + size - 1) // size - group_hit(s, i, r, q)


@wp.func
def fits(s: State, i: int, r: int, q: int):
    """Whether the memory of server r admits request q now."""
    b = s.instance[i]
    held = s.owned[i, r] + s.pinned[i, r] + blocks_for(s, i, r, q)
    of_group = group_hit(s, i, r, q)
    if of_group > 0:
        if s.group_running[i, r, s.group_of[b, q]] == 0:
            held += of_group
    if s.running[i, r] > 0:
        held += s.reserve[b, r]
    return held <= s.blocks[b, r]


@wp.func
def could_take(s: State, i: int, r: int):
    """Whether server r may admit anybody now, memory aside."""
    b = s.instance[i]
    return s.running[i, r] < s.most_running[b, r] and s.tokens_left[i, r] > 0 and s.closed[i, r] == 0


@wp.func
def swap_cost(s: State, i: int, tokens: int):
    """Femtoseconds that it takes to move KV tokens out or in."""
    rate = wp.int64(s.swap_rate)
    return (SWAP_FEMTO * wp.int64(tokens) + rate - wp.int64(1)) // rate


@wp.func
def estimate_at(s: State, i: int, r: int, q: int, tokens: int):
    """Request q waits at server r (or, from one queue, is offered there first) with so much prefill to do."""
    s.estimate[i, q] = tokens
    s.at_server[i, q] = r
    s.waiting_prefill[i, r] = s.waiting_prefill[i, r] + tokens
    s.waiting_here[i, r] = s.waiting_here[i, r] + 1


@wp.func
def forget_estimate(s: State, i: int, q: int):
    """It waits there no longer."""
    r = s.at_server[i, q]
    if r >= 0:
        s.waiting_prefill[i, r] = s.waiting_prefill[i, r] - s.estimate[i, q]
        s.waiting_here[i, r] = s.waiting_here[i, r] - 1


@wp.func
def open_log(s: State, i: int, r: int, q: int):
    """A stay begins; returns its row. A log that is full ends the episode before this is asked for."""
    row = wp.min(s.log_count[i], s.log_request.shape[1] - 1)
    s.log_request[i, row] = q
    s.log_server[i, row] = r
    s.log_start[i, row] = s.now[i]
    s.log_middle[i, row] = wp.int64(-1)
    s.log_end[i, row] = wp.int64(-1)
    s.log_count[i] = row + 1
    return row


@wp.func
def take_from_cache(s: State, i: int, r: int, q: int):
    """Use what is cached for q: returns the tokens of it."""
    b = s.instance[i]
    of_group = group_hit(s, i, r, q)
    of_session = session_hit(s, i, r, q)
    if of_group > 0:
        use_group(s, i, r, q)
    if of_session > 0:
        forget_session(s, i, r, s.session[b, q])  # its blocks become the request's own
    return (of_group + of_session) * s.block_size[b, r]


@wp.func
def admit(s: State, i: int, r: int, q: int):
    """Waiting request q, which fits, joins the batch of server r."""
    b = s.instance[i]
    k = s.running[i, r]
    own = blocks_for(s, i, r, q)
    uses = int(0)
    if group_hit(s, i, r, q) > 0:
        uses = 1
    kv = s.kept[i, q]
    left = int(0)
    if kv == 0:
        kv = take_from_cache(s, i, r, q)
        left = prefill_of(s, i, q) - kv
    else:
        left = wp.max(s.prompt_tokens[b, q] - kv, 0)
        if s.swap_rate > 0 and s.preemptive[b, r] == 0:
            s.swapping[i, r] = s.swapping[i, r] + swap_cost(s, i, kv)
    dequeue(s, i, q)
    forget_estimate(s, i, q)
    s.status[i, q] = RUNNING
    s.at_server[i, q] = r
    s.kept[i, q] = 0
    s.slot_request[i, r, k] = q
    s.slot_order[i, r, k] = s.orders[i, r]
    s.orders[i, r] = s.orders[i, r] + 1
    s.slot_prefill[i, r, k] = left
    s.slot_chunk[i, r, k] = 0
    s.slot_kv[i, r, k] = kv
    s.slot_blocks[i, r, k] = own
    s.slot_uses[i, r, k] = uses
    s.slot_end[i, r, k] = s.output_tokens[b, q] - s.emitted[i, q]
    s.slot_last[i, r, k] = s.last_token[i, q]
    s.slot_counted[i, r, k] = s.emitted[i, q]
    s.slot_log[i, r, k] = open_log(s, i, r, q)
    s.by_left[i, r, k] = k
    s.running[i, r] = k + 1
    s.owned[i, r] = s.owned[i, r] + own
    c = s.client_of[b, q]
    s.lifted[i, c] = s.lifted[i, c] + wp.int64(left)
    if left == 0:
        s.log_middle[i, s.slot_log[i, r, k]] = s.now[i]
        begin_decoding(s, i, r, k)
        s.resumed[i, r] = 1
        s.tokens_left[i, r] = s.tokens_left[i, r] - 1
    else:
        s.prefills[i, r, s.prefill_count[i, r]] = k
        s.prefill_count[i, r] = s.prefill_count[i, r] + 1
        s.prefilling[i, r] = s.prefilling[i, r] + left
        s.tokens_left[i, r] = wp.max(s.tokens_left[i, r] - left, 0)
    while s.owned[i, r] + s.cached[i, r] > s.blocks[b, r]:
        if evict_one(s, i, r) == 0:
            break


@wp.func
def preempt(s: State, i: int, r: int, k: int, keeps: bool):
    """The request of slot k goes back to the queue; it keeps what is computed, or only its answer so far."""
    q = s.slot_request[i, r, k]
    tokens = held_by(s, i, r, k)
    leave(s, i, r, k)
    if keeps:
        s.kept[i, q] = tokens
    remove_slot(s, i, r, k)
    enqueue(s, i, q)
    estimate_at(s, i, r, q, prefill_of(s, i, q) - s.kept[i, q])
    find_next_end(s, i, r)
    s.preempted[i] = s.preempted[i] + 1
    s.total_preemptions[i, r] = s.total_preemptions[i, r] + 1


@wp.func
def finish(s: State, i: int, r: int, k: int):
    """The request of slot k has emitted its last token."""
    b = s.instance[i]
    q = s.slot_request[i, r, k]
    tokens = held_by(s, i, r, k)
    used = s.slot_uses[i, r, k]
    leave(s, i, r, k)
    if used == 1:
        s.group_used[i, r, s.group_of[b, q]] = s.now[i]
    remove_slot(s, i, r, k)
    keep_session(s, i, r, q, tokens)
    if s.e2e_target[b, q] > wp.int64(0) and s.now[i] - s.arrived[i, q] > s.e2e_target[b, q]:
        miss(s, i, q)
    end_request(s, i, q, FINISHED)


@wp.func
def grow(s: State, i: int, r: int):
    """Find memory for the next token of every decoding request; preempt where there is none."""
    b = s.instance[i]
    settled = bool(False)
    while not settled:
        need = s.crossings[i, r, s.rounds[i, r] % s.block_size[b, r]]
        settled = need <= s.blocks[b, r] - s.owned[i, r] - s.cached[i, r]
        if settled:
            s.owned[i, r] = s.owned[i, r] + need
        elif evict_one(s, i, r) == 0:
            k = victim_of(s, i, r)
            if s.swap_rate > 0:
                s.swapping[i, r] = s.swapping[i, r] + swap_cost(s, i, held_by(s, i, r, k))
            preempt(s, i, r, k, s.swap_rate > 0)
            s.closed[i, r] = 1
    if s.running[i, r] == 0:
        s.closed[i, r] = 0
    s.grown[i, r] = 1
    left = s.budget[b, r] - s.decoding[i, r] - s.prefilling[i, r]
    s.tokens_left[i, r] = wp.max(left, 0)


@wp.func
def clear_server(s: State, i: int, r: int):
    """An empty server."""
    s.busy_until[i, r] = NEVER
    s.began[i, r] = wp.int64(0)
    s.last_end[i, r] = wp.int64(0)
    s.swapping[i, r] = wp.int64(0)
    s.grown[i, r] = 0
    s.closed[i, r] = 0
    s.declined[i, r] = 0
    s.asked[i, r] = 0
    s.watched[i, r] = 0
    s.running[i, r] = 0
    s.decoding[i, r] = 0
    s.owned[i, r] = 0
    s.prefilling[i, r] = 0
    s.reading[i, r] = wp.int64(0)
    s.tokens_left[i, r] = 0
    s.waiting_prefill[i, r] = 0
    s.waiting_here[i, r] = 0
    s.rounds[i, r] = 0
    s.next_end[i, r] = 2147483647
    s.least_target[i, r] = NEVER
    s.resumed[i, r] = 0
    s.orders[i, r] = 0
    s.prefill_count[i, r] = 0
    s.pauses[i, r] = 0
    for h in range(s.crossings.shape[2]):
        s.crossings[i, r, h] = 0
    s.cached[i, r] = 0
    s.pinned[i, r] = 0
    s.session_count[i, r] = 0
    for g in range(s.group_blocks.shape[2]):
        s.group_blocks[i, r, g] = 0
        s.group_running[i, r, g] = 0
        s.group_sessions[i, r, g] = 0
        s.group_used[i, r, g] = wp.int64(-1)
    for q in range(s.session_blocks.shape[2]):
        s.session_blocks[i, r, q] = 0
    s.total_iterations[i, r] = wp.int64(0)
    s.total_busy[i, r] = wp.int64(0)
    s.total_block_time[i, r] = wp.int64(0)
    s.total_preemptions[i, r] = 0
