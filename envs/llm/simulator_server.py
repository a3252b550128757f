"""One server: its iterations, the memory of the running requests, admission, preemption and completion.

Decoding requests take one token of the budget each, prefills take what is left of it in order of admission (chunked
prefill, Agrawal et al. 2024); memory is in blocks (Kwon et al. 2023). Where an iteration changes nothing but counters,
and no event can come between, several are run through at once.
"""

import warp as wp

from .simulator_cache import evict_one, forget_session, group_hit, keep_session, release_group, session_hit, share_prefix, use_group
from .simulator_queue import dequeue, end_request, enqueue, miss
from .simulator_state import FEMTO, FINISHED, LEAST, NEVER, PRIORITY, RUNNING, SWAP_FEMTO, State


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
    k = s.running[i, r]
    own = blocks_for(s, i, r, q)
    uses = int(0)
    if group_hit(s, i, r, q) > 0:
        uses = 1
    kept = s.kept[i, q]
    kv = kept
    left = int(0)
    if kept == 0:
        kv = take_from_cache(s, i, r, q)
        left = prefill_of(s, i, q) - kv
    else:
        left = wp.max(s.prompt_tokens[s.instance[i], q] - kept, 0)
        if s.swap_rate > 0 and s.preemptive[s.instance[i], r] == 0:
            s.swapping[i, r] = s.swapping[i, r] + swap_cost(s, i, kept)
    dequeue(s, i, q)
    forget_estimate(s, i, q)
    s.status[i, q] = RUNNING
    s.at_server[i, q] = r
    s.kept[i, q] = 0
    s.slot_request[i, r, k] = q
    s.slot_prefill[i, r, k] = left
    s.slot_chunk[i, r, k] = 0
    s.slot_kv[i, r, k] = kv
    s.slot_blocks[i, r, k] = own
    s.slot_uses[i, r, k] = uses
    s.slot_to_go[i, r, k] = s.output_tokens[s.instance[i], q] - s.emitted[i, q]
    s.slot_last[i, r, k] = s.last_token[i, q]
    s.slot_pause[i, r, k] = s.pause[i, q]
    s.slot_log[i, r, k] = open_log(s, i, r, q)
    s.running[i, r] = k + 1
    s.owned[i, r] = s.owned[i, r] + own
    s.prefilling[i, r] = s.prefilling[i, r] + left
    if left == 0:
        s.log_middle[i, s.slot_log[i, r, k]] = s.now[i]
        s.decoding[i, r] = s.decoding[i, r] + 1
        s.reading[i, r] = s.reading[i, r] + wp.int64(kv)
        s.tokens_left[i, r] = s.tokens_left[i, r] - 1
    else:
        s.tokens_left[i, r] = wp.max(s.tokens_left[i, r] - left, 0)
    while s.owned[i, r] + s.cached[i, r] > s.blocks[s.instance[i], r]:
        if evict_one(s, i, r) == 0:
            break


@wp.func
def remove_slot(s: State, i: int, r: int, k: int):
    """Close the gap that slot k leaves."""
    if s.slot_prefill[i, r, k] > 0:
        s.prefilling[i, r] = s.prefilling[i, r] - s.slot_prefill[i, r, k]
    else:
        s.decoding[i, r] = s.decoding[i, r] - 1
        s.reading[i, r] = s.reading[i, r] - wp.int64(s.slot_kv[i, r, k])
    s.owned[i, r] = s.owned[i, r] - s.slot_blocks[i, r, k]
    last = s.running[i, r] - 1
    for j in range(k, last):
        s.slot_request[i, r, j] = s.slot_request[i, r, j + 1]
        s.slot_prefill[i, r, j] = s.slot_prefill[i, r, j + 1]
        s.slot_chunk[i, r, j] = s.slot_chunk[i, r, j + 1]
        s.slot_kv[i, r, j] = s.slot_kv[i, r, j + 1]
        s.slot_blocks[i, r, j] = s.slot_blocks[i, r, j + 1]
        s.slot_uses[i, r, j] = s.slot_uses[i, r, j + 1]
        s.slot_to_go[i, r, j] = s.slot_to_go[i, r, j + 1]
        s.slot_last[i, r, j] = s.slot_last[i, r, j + 1]
        s.slot_pause[i, r, j] = s.slot_pause[i, r, j + 1]
        s.slot_log[i, r, j] = s.slot_log[i, r, j + 1]
    s.running[i, r] = last


@wp.func
def leave(s: State, i: int, r: int, k: int):
    """The request of slot k is on its way out: what is known of it goes back to it."""
    q = s.slot_request[i, r, k]
    s.emitted[i, q] = s.output_tokens[s.instance[i], q] - s.slot_to_go[i, r, k]
    s.last_token[i, q] = s.slot_last[i, r, k]
    s.pause[i, q] = s.slot_pause[i, r, k]
    s.log_end[i, s.slot_log[i, r, k]] = s.now[i]
    if s.slot_uses[i, r, k] == 1:
        release_group(s, i, r, q)


@wp.func
def preempt(s: State, i: int, r: int, k: int, keeps: bool):
    """The request of slot k goes back to the queue; it keeps what is computed, or only its answer so far."""
    q = s.slot_request[i, r, k]
    leave(s, i, r, k)
    if keeps:
        s.kept[i, q] = s.slot_kv[i, r, k]
    remove_slot(s, i, r, k)
    enqueue(s, i, q)
    estimate_at(s, i, r, q, prefill_of(s, i, q) - s.kept[i, q])
    s.preempted[i] = s.preempted[i] + 1
    s.total_preemptions[i, r] = s.total_preemptions[i, r] + 1


@wp.func
def finish(s: State, i: int, r: int, k: int):
    """The request of slot k has emitted its last token."""
    b = s.instance[i]
    q = s.slot_request[i, r, k]
    tokens = s.slot_kv[i, r, k]
    used = s.slot_uses[i, r, k]
    leave(s, i, r, k)
    if used == 1:
        s.group_used[i, r, s.group_of[b, q]] = s.now[i]
    remove_slot(s, i, r, k)
    keep_session(s, i, r, q, tokens)
    c = s.client_of[b, q]
    s.served[i, c] = s.served[i, c] + wp.int64(s.prompt_tokens[b, q] + s.output_tokens[b, q])
    if s.e2e_target[b, q] > wp.int64(0) and s.now[i] - s.arrived[i, q] > s.e2e_target[b, q]:
        miss(s, i, q)
    end_request(s, i, q, FINISHED)


@wp.func
def victim_of(s: State, i: int, r: int):
    """The slot that is preempted where memory runs out."""
    best = s.running[i, r] - 1
    if s.victim == LEAST or s.victim == PRIORITY:
        for back in range(1, s.running[i, r]):
            k = s.running[i, r] - 1 - back
            if s.victim == LEAST:
                if s.slot_kv[i, r, k] < s.slot_kv[i, r, best]:
                    best = k
            elif s.level_of[s.instance[i], s.slot_request[i, r, k]] > s.level_of[s.instance[i], s.slot_request[i, r, best]]:
                best = k
    return best


@wp.func
def room_of(s: State, i: int, r: int, k: int):
    """KV tokens that slot k has room for without another block."""
    blocks = s.slot_blocks[i, r, k]
    if s.slot_uses[i, r, k] == 1:
        blocks += s.group_blocks[i, r, s.group_of[s.instance[i], s.slot_request[i, r, k]]]
    return blocks * s.block_size[s.instance[i], r] - s.slot_kv[i, r, k]


@wp.func
def grow(s: State, i: int, r: int):
    """Find memory for the next token of every decoding request; preempt where there is none."""
    settled = bool(False)
    while not settled:
        need = int(0)
        for k in range(s.running[i, r]):
            if s.slot_prefill[i, r, k] == 0 and room_of(s, i, r, k) == 0:
                need += 1
        settled = need <= s.blocks[s.instance[i], r] - s.owned[i, r] - s.cached[i, r]
        if not settled:
            if evict_one(s, i, r) == 0:
                k = victim_of(s, i, r)
                if s.swap_rate > 0:
                    s.swapping[i, r] = s.swapping[i, r] + swap_cost(s, i, s.slot_kv[i, r, k])
                preempt(s, i, r, k, s.swap_rate > 0)
                s.closed[i, r] = 1
    for k in range(s.running[i, r]):
        if s.slot_prefill[i, r, k] == 0 and room_of(s, i, r, k) == 0:
            s.slot_blocks[i, r, k] = s.slot_blocks[i, r, k] + 1
            s.owned[i, r] = s.owned[i, r] + 1
    if s.running[i, r] == 0:
        s.closed[i, r] = 0
    s.grown[i, r] = 1
    left = s.budget[s.instance[i], r] - s.decoding[i, r] - s.prefilling[i, r]
    s.tokens_left[i, r] = wp.max(left, 0)


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
    for k in range(s.running[i, r]):
        if s.slot_prefill[i, r, k] > 0:
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
def most_steps(s: State, i: int, r: int):
    """Iterations until the first request is finished, if nothing but counters changes until then; else 1."""
    size = s.block_size[s.instance[i], r]
    if s.leap == 0 or s.prefilling[i, r] > 0 or s.swapping[i, r] > wp.int64(0) or size > s.crossings.shape[1]:
        return 1
    for h in range(size):
        s.crossings[i, h] = 0
    result = int(2147483647)
    for k in range(s.running[i, r]):
        result = wp.min(result, s.slot_to_go[i, r, k])
        if s.slot_last[i, r, k] != s.now[i]:  # its first pause is longer than the iteration
            return 1
        h = room_of(s, i, r, k) % size
        s.crossings[i, h] = s.crossings[i, h] + 1
    return result


@wp.func
def start(s: State, i: int, r: int, event: wp.int64):
    """Begin an iteration, or as many as lead up to the next event; an empty server is idle."""
    b = s.instance[i]
    s.grown[i, r] = 0
    s.closed[i, r] = 0
    if s.running[i, r] == 0:
        s.busy_until[i, r] = NEVER
        return
    femto = plan_chunks(s, i, r) + s.swapping[i, r]
    most = most_steps(s, i, r)
    s.swapping[i, r] = wp.int64(0)
    if s.watched[i, r] == 1:
        most = 1
    s.began[i, r] = s.now[i]
    size = s.block_size[b, r]
    free = s.blocks[b, r] - s.owned[i, r] - s.cached[i, r]
    owned = s.owned[i, r]
    reading = s.reading[i, r]
    end = s.now[i]
    longest = wp.int64(0)
    steps = int(0)
    while steps < most and (steps == 0 or end < event):
        if steps > 0:
            need = s.crossings[i, steps % size]
            if need > free:
                break
            free -= need
            owned += need
        took = duration(femto + s.per_read[b, r] * reading)
        end = end + took
        if took > longest:
            longest = took
            s.first_longest[i, r] = end
        s.total_block_time[i, r] = s.total_block_time[i, r] + wp.int64(owned) * took
        reading = reading + wp.int64(s.decoding[i, r])
        steps += 1
    s.last_duration[i, r] = longest
    s.steps_run[i, r] = steps
    s.busy_until[i, r] = end
    s.total_busy[i, r] = s.total_busy[i, r] + end - s.now[i]
    s.total_iterations[i, r] = s.total_iterations[i, r] + wp.int64(steps)
    s.iterations[i] = s.iterations[i] + wp.int64(steps)


@wp.func
def note_pause(s: State, i: int, r: int, k: int, pause: wp.int64, end: wp.int64):
    """A token came after a pause."""
    if pause > s.slot_pause[i, r, k]:
        q = s.slot_request[i, r, k]
        s.slot_pause[i, r, k] = pause
        s.pause_end[i, q] = end
        s.pause_server[i, q] = r
        target = s.tbt_target[s.instance[i], q]
        if target > wp.int64(0) and pause > target:
            miss(s, i, q)


@wp.func
def end_prefill(s: State, i: int, r: int, k: int):
    """The prefill of slot k is complete: it emits a token."""
    b = s.instance[i]
    q = s.slot_request[i, r, k]
    s.log_middle[i, s.slot_log[i, r, k]] = s.now[i]
    s.decoding[i, r] = s.decoding[i, r] + 1
    s.reading[i, r] = s.reading[i, r] + wp.int64(s.slot_kv[i, r, k])
    share_prefix(s, i, r, k)
    if s.first_token[i, q] < wp.int64(0):
        s.first_token[i, q] = s.now[i]
        if s.ttft_target[b, q] > wp.int64(0) and s.now[i] - s.arrived[i, q] > s.ttft_target[b, q]:
            miss(s, i, q)
    else:
        note_pause(s, i, r, k, s.now[i] - s.slot_last[i, r, k], s.now[i])
    s.slot_to_go[i, r, k] = s.slot_to_go[i, r, k] - 1
    s.slot_last[i, r, k] = s.now[i]
    s.lifted[i, s.client_of[b, q]] = s.lifted[i, s.client_of[b, q]] + wp.int64(2)


@wp.func
def decode(s: State, i: int, r: int, k: int):
    """Slot k emits a token in each of the iterations that were run."""
    steps = s.steps_run[i, r]
    if steps == 1:
        note_pause(s, i, r, k, s.now[i] - s.slot_last[i, r, k], s.now[i])
    else:
        note_pause(s, i, r, k, s.last_duration[i, r], s.first_longest[i, r])
    lack = steps - room_of(s, i, r, k)
    if lack > 0:
        size = s.block_size[s.instance[i], r]
        more = (lack + size - 1) // size
        s.slot_blocks[i, r, k] = s.slot_blocks[i, r, k] + more
        s.owned[i, r] = s.owned[i, r] + more
    s.slot_kv[i, r, k] = s.slot_kv[i, r, k] + steps
    s.reading[i, r] = s.reading[i, r] + wp.int64(steps)
    s.slot_to_go[i, r, k] = s.slot_to_go[i, r, k] - steps
    s.slot_last[i, r, k] = s.now[i]
    c = s.client_of[s.instance[i], s.slot_request[i, r, k]]
    s.lifted[i, c] = s.lifted[i, c] + wp.int64(2 * steps)


@wp.func
def end_iteration(s: State, i: int, r: int):
    """The iterations of server r that end now: tokens and completions."""
    for k in range(s.running[i, r]):
        if s.slot_prefill[i, r, k] > 0:
            chunk = s.slot_chunk[i, r, k]
            s.slot_chunk[i, r, k] = 0
            s.slot_kv[i, r, k] = s.slot_kv[i, r, k] + chunk
            s.slot_prefill[i, r, k] = s.slot_prefill[i, r, k] - chunk
            s.prefilling[i, r] = s.prefilling[i, r] - chunk
            c = s.client_of[s.instance[i], s.slot_request[i, r, k]]
            s.lifted[i, c] = s.lifted[i, c] + wp.int64(chunk)
            if s.slot_prefill[i, r, k] == 0:
                end_prefill(s, i, r, k)
        else:
            decode(s, i, r, k)
    k = int(0)
    while k < s.running[i, r]:
        if s.slot_to_go[i, r, k] == 0:
            finish(s, i, r, k)
            s.asked[i, r] = 0
        else:
            k += 1
    s.busy_until[i, r] = NEVER
    s.steps_run[i, r] = 0


@wp.func
def clear_server(s: State, i: int, r: int):
    """An empty server."""
    s.busy_until[i, r] = NEVER
    s.began[i, r] = wp.int64(0)
    s.steps_run[i, r] = 0
    s.last_duration[i, r] = wp.int64(0)
    s.first_longest[i, r] = wp.int64(0)
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
