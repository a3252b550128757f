"""Iterations of a server: how long they take, what is computed in them, and who is finished when they end.

Those in which nothing but counters changes are run through at once, up to the one in which something may happen: nobody
can see the difference.
"""

import warp as wp

from .simulator_batch import add_pause, emit_first, find_next_end, note_pause
from .simulator_server import finish
from .simulator_state import FEMTO, NEVER, State


@wp.func
def duration(femto: wp.int64):
    """Of an iteration, in us."""
    return wp.max((femto + FEMTO - wp.int64(1)) // FEMTO, wp.int64(1))


@wp.func
def plan_chunks(s: State, i: int, r: int):
    """Share the budget out; returns the femtoseconds of the iteration that follow from it, but for the reading."""
    b = s.instance[i]
    left = s.budget[b, r] - s.decoding[i, r]
    tokens = int(0)
    attended = wp.int64(0)
    for j in range(s.prefill_count[i, r]):
        k = s.prefills[i, r, j]
        chunk = wp.min(s.slot_prefill[i, r, k], left)
        s.slot_chunk[i, r, k] = chunk
        left -= chunk
        tokens += chunk
        attended = attended + wp.int64(chunk) * wp.int64(2 * s.slot_kv[i, r, k] + chunk)
    both = wp.int64(tokens + s.decoding[i, r])
    femto = s.base[b, r] + s.per_prefill[b, r] * wp.int64(tokens) + s.per_attention[b, r] * attended
    femto = femto + s.per_decode[b, r] * wp.int64(s.decoding[i, r]) + s.per_token[b, r] * both
    return femto + s.per_beyond[b, r] * wp.max(both - s.knee[b, r], wp.int64(0))


@wp.func
def run_ahead(s: State, i: int, r: int, femto: wp.int64, event: wp.int64):
    """Complete the iterations that end before the next event and change nothing but counters; returns their end."""
    b = s.instance[i]
    size = s.block_size[b, r]
    end = s.now[i]
    longest = wp.int64(0)
    first = end
    steps = int(0)
    going = s.rounds[i, r] + 1 < s.next_end[i, r]
    while going:
        took = duration(femto + s.per_read[b, r] * s.reading[i, r])
        need = s.crossings[i, r, (s.rounds[i, r] + 1) % size]
        going = end + took < event and need <= s.blocks[b, r] - s.owned[i, r] - s.cached[i, r]
        if going:
            end = end + took
            s.total_block_time[i, r] = s.total_block_time[i, r] + wp.int64(s.owned[i, r]) * took
            s.owned[i, r] = s.owned[i, r] + need
            s.rounds[i, r] = s.rounds[i, r] + 1
            s.reading[i, r] = s.reading[i, r] + wp.int64(s.decoding[i, r])
            steps += 1
            if took > longest:  # they become longer and longer, so the last of these is the longest of all
                longest = took
                first = end
                add_pause(s, i, r, longest, first)
            going = s.rounds[i, r] + 1 < s.next_end[i, r]
    if steps > 0:
        s.last_end[i, r] = end
    s.total_iterations[i, r] = s.total_iterations[i, r] + wp.int64(steps)
    s.iterations[i] = s.iterations[i] + wp.int64(steps)
    return end


@wp.func
def start(s: State, i: int, r: int, event: wp.int64):
    """Begin an iteration, after those that nobody need see; an empty server is idle."""
    b = s.instance[i]
    s.closed[i, r] = 0
    if s.running[i, r] == 0:
        s.grown[i, r] = 0
        s.busy_until[i, r] = NEVER
        return
    femto = plan_chunks(s, i, r)
    begin = s.now[i]
    alone = s.prefilling[i, r] == 0 and s.swapping[i, r] == wp.int64(0) and s.resumed[i, r] == 0
    if s.leap == 1 and alone and s.watched[i, r] == 0:
        begin = run_ahead(s, i, r, femto, event)
    took = duration(femto + s.per_read[b, r] * s.reading[i, r] + s.swapping[i, r])
    s.swapping[i, r] = wp.int64(0)
    s.began[i, r] = begin
    s.busy_until[i, r] = begin + took
    s.grown[i, r] = 0
    s.total_busy[i, r] = s.total_busy[i, r] + begin + took - s.now[i]
    s.total_block_time[i, r] = s.total_block_time[i, r] + wp.int64(s.owned[i, r]) * took
    s.total_iterations[i, r] = s.total_iterations[i, r] + wp.int64(1)
    s.iterations[i] = s.iterations[i] + wp.int64(1)


@wp.func
def emit_next(s: State, i: int, r: int):
    """Every decoding request emits a token."""
    if s.decoding[i, r] > 0:
        s.rounds[i, r] = s.rounds[i, r] + 1
        s.reading[i, r] = s.reading[i, r] + wp.int64(s.decoding[i, r])
        add_pause(s, i, r, s.now[i] - s.began[i, r], s.now[i])
        s.last_end[i, r] = s.now[i]
    if s.resumed[i, r] == 1:  # of some the first pause began before this iteration
        for k in range(s.running[i, r]):
            if s.slot_prefill[i, r, k] == 0 and s.slot_from[i, r, k] + 1 == s.rounds[i, r]:
                note_pause(s, i, s.slot_request[i, r, k], r, s.now[i] - s.slot_last[i, r, k], s.now[i])
        s.resumed[i, r] = 0


@wp.func
def compute_chunks(s: State, i: int, r: int):
    """Prefills go on; those that are complete emit a token."""
    before = s.prefill_count[i, r]
    open = int(0)
    for j in range(before):
        k = s.prefills[i, r, j]
        chunk = s.slot_chunk[i, r, k]
        s.slot_chunk[i, r, k] = 0
        s.slot_kv[i, r, k] = s.slot_kv[i, r, k] + chunk
        s.slot_prefill[i, r, k] = s.slot_prefill[i, r, k] - chunk
        s.prefilling[i, r] = s.prefilling[i, r] - chunk
        if s.slot_prefill[i, r, k] == 0:
            emit_first(s, i, r, k)
        else:
            s.prefills[i, r, open] = k
            open += 1
    s.prefill_count[i, r] = open


@wp.func
def end_iteration(s: State, i: int, r: int):
    """The iteration of server r that ends now: tokens, then completions."""
    emit_next(s, i, r)
    compute_chunks(s, i, r)
    s.busy_until[i, r] = NEVER
    if s.next_end[i, r] <= s.rounds[i, r]:
        k = int(0)
        while k < s.running[i, r]:
            if s.slot_prefill[i, r, k] == 0 and s.slot_end[i, r, k] == s.rounds[i, r]:
                finish(s, i, r, k)
                s.asked[i, r] = 0
            else:
                k += 1
        find_next_end(s, i, r)
