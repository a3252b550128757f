"""The running requests of a server: slots, and what is known of them without touching each one at every iteration.

All decoding requests of a server take part in each of its iterations. So their counters are kept relative to the
rounds, the number of such iterations; who needs a block next is counted by rounds modulo the size of a block; and the
longest pause of each is read off a list of pauses that no later one exceeds.
"""

import warp as wp

from .simulator_cache import release_group, share_prefix
from .simulator_queue import miss
from .simulator_state import LEAST, NEVER, PRIORITY, State


@wp.func
def decodes(s: State, i: int, r: int, k: int):
    """Whether the request of slot k decodes."""
    return s.slot_prefill[i, r, k] == 0


@wp.func
def held_by(s: State, i: int, r: int, k: int):
    """KV tokens of slot k."""
    result = s.slot_kv[i, r, k]
    if decodes(s, i, r, k):
        result += s.rounds[i, r]
    return result


@wp.func
def left_of(s: State, i: int, r: int, k: int):
    """Tokens of the answer that are left in slot k."""
    result = s.slot_end[i, r, k]
    if decodes(s, i, r, k):
        result -= s.rounds[i, r]
    return result


@wp.func
def emitted_by(s: State, i: int, r: int, k: int):
    """Tokens of the answer that the request of slot k has emitted."""
    return s.output_tokens[s.instance[i], s.slot_request[i, r, k]] - left_of(s, i, r, k)


@wp.func
def shared_by(s: State, i: int, r: int, k: int):
    """Of these, those in the cached prefix of its group."""
    result = int(0)
    if s.slot_uses[i, r, k] == 1:
        b = s.instance[i]
        result = s.group_blocks[i, r, s.group_of[b, s.slot_request[i, r, k]]] * s.block_size[b, r]
    return result


@wp.func
def blocks_of(s: State, i: int, r: int, k: int):
    """Blocks of its own that slot k has."""
    result = s.slot_blocks[i, r, k]
    if decodes(s, i, r, k):
        size = s.block_size[s.instance[i], r]
        result = (held_by(s, i, r, k) + s.grown[i, r] + size - 1) // size
        if s.slot_uses[i, r, k] == 1:
            result -= s.group_blocks[i, r, s.group_of[s.instance[i], s.slot_request[i, r, k]]]
    return result


@wp.func
def residue_of(s: State, i: int, r: int, k: int):
    """Rounds, modulo the size of a block, at which slot k needs another block: when those it has are full."""
    size = s.block_size[s.instance[i], r]
    return (size - held_by(s, i, r, k) % size + s.rounds[i, r]) % size


@wp.func
def begin_decoding(s: State, i: int, r: int, k: int):
    """The prefill of slot k is complete; its counters become relative to the rounds."""
    s.slot_from[i, r, k] = s.rounds[i, r]
    s.slot_kv[i, r, k] = s.slot_kv[i, r, k] - s.rounds[i, r]
    s.slot_end[i, r, k] = s.slot_end[i, r, k] + s.rounds[i, r]
    s.decoding[i, r] = s.decoding[i, r] + 1
    s.reading[i, r] = s.reading[i, r] + wp.int64(held_by(s, i, r, k))
    h = residue_of(s, i, r, k)
    s.crossings[i, r, h] = s.crossings[i, r, h] + 1
    s.next_end[i, r] = wp.min(s.next_end[i, r], s.slot_end[i, r, k])
    target = s.tbt_target[s.instance[i], s.slot_request[i, r, k]]
    if target > wp.int64(0):
        s.least_target[i, r] = wp.min(s.least_target[i, r], target)


@wp.func
def charge(s: State, i: int, r: int, k: int):
    """Charge the client of slot k for what was emitted since: two for a token, as for virtual token counters."""
    emitted = emitted_by(s, i, r, k)
    c = s.client_of[s.instance[i], s.slot_request[i, r, k]]
    s.lifted[i, c] = s.lifted[i, c] + wp.int64(2 * (emitted - s.slot_counted[i, r, k]))
    s.slot_counted[i, r, k] = emitted


@wp.func
def charge_everybody(s: State, i: int):
    """Bring the counters of all clients up to now."""
    for r in range(s.servers[s.instance[i]]):
        for k in range(s.running[i, r]):
            charge(s, i, r, k)


@wp.func
def note_pause(s: State, i: int, q: int, r: int, pause: wp.int64, end: wp.int64):
    """A token of request q came after a pause."""
    if pause > s.pause[i, q]:
        s.pause[i, q] = pause
        s.pause_end[i, q] = end
        s.pause_server[i, q] = r
        target = s.tbt_target[s.instance[i], q]
        if target > wp.int64(0) and pause > target:
            miss(s, i, q)


@wp.func
def find_pause(s: State, i: int, r: int, k: int):
    """The longest pause of slot k while it decoded goes to its request."""
    low = int(0)
    high = int(s.pauses[i, r])
    while low < high:  # the first in which it took part
        middle = (low + high) // 2
        if s.pause_round[i, r, middle] > s.slot_from[i, r, k]:
            high = middle
        else:
            low = middle + 1
    if low < s.pauses[i, r]:
        note_pause(s, i, s.slot_request[i, r, k], r, s.pause_length[i, r, low], s.pause_at[i, r, low])


@wp.func
def thin_pauses(s: State, i: int, r: int):
    """Keep the pauses that are the longest of some running request; others never will be of any."""
    kept = int(0)
    before = int(-1)
    for e in range(s.pauses[i, r]):
        needed = bool(False)
        for k in range(s.running[i, r]):
            if decodes(s, i, r, k):
                first = s.slot_from[i, r, k]
                needed = needed or (first < s.pause_round[i, r, e] and first >= before)
        before = s.pause_round[i, r, e]
        if needed:
            s.pause_round[i, r, kept] = s.pause_round[i, r, e]
            s.pause_length[i, r, kept] = s.pause_length[i, r, e]
            s.pause_at[i, r, kept] = s.pause_at[i, r, e]
            kept += 1
    s.pauses[i, r] = kept


@wp.func
def add_pause(s: State, i: int, r: int, length: wp.int64, end: wp.int64):
    """All decoding requests have emitted a token after a pause of that length, in the round that is now counted."""
    count = int(s.pauses[i, r])
    while count > 0 and s.pause_length[i, r, wp.max(count - 1, 0)] < length:
        count -= 1
    s.pauses[i, r] = count
    if count == s.pause_round.shape[2]:
        thin_pauses(s, i, r)
        count = s.pauses[i, r]
    s.pause_round[i, r, count] = s.rounds[i, r]
    s.pause_length[i, r, count] = length
    s.pause_at[i, r, count] = end
    s.pauses[i, r] = count + 1
    if length > s.least_target[i, r]:
        for k in range(s.running[i, r]):
            if decodes(s, i, r, k):
                q = s.slot_request[i, r, k]
                target = s.tbt_target[s.instance[i], q]
                if target > wp.int64(0) and length > target:
                    miss(s, i, q)


@wp.func
def emit_first(s: State, i: int, r: int, k: int):
    """The prefill of slot k is complete: it emits a token."""
    b = s.instance[i]
    q = s.slot_request[i, r, k]
    s.log_middle[i, s.slot_log[i, r, k]] = s.now[i]
    s.slot_end[i, r, k] = s.slot_end[i, r, k] - 1
    begin_decoding(s, i, r, k)
    share_prefix(s, i, r, k)
    if s.first_token[i, q] < wp.int64(0):
        s.first_token[i, q] = s.now[i]
        if s.ttft_target[b, q] > wp.int64(0) and s.now[i] - s.arrived[i, q] > s.ttft_target[b, q]:
            miss(s, i, q)
    else:
        note_pause(s, i, q, r, s.now[i] - s.slot_last[i, r, k], s.now[i])
    s.slot_last[i, r, k] = s.now[i]


@wp.func
def leave(s: State, i: int, r: int, k: int):
    """The request of slot k is on its way out: what is known of it goes back to it."""
    q = s.slot_request[i, r, k]
    charge(s, i, r, k)
    s.emitted[i, q] = emitted_by(s, i, r, k)
    s.last_token[i, q] = s.slot_last[i, r, k]
    if decodes(s, i, r, k):
        find_pause(s, i, r, k)
        if s.rounds[i, r] > s.slot_from[i, r, k]:
            s.last_token[i, q] = s.last_end[i, r]
    s.log_end[i, s.slot_log[i, r, k]] = s.now[i]
    if s.slot_uses[i, r, k] == 1:
        release_group(s, i, r, q)


@wp.func
def unlist(s: State, i: int, r: int, k: int):
    """Take slot k out of the lists, where the last slot takes its number."""
    last = s.running[i, r] - 1
    shift = int(0)
    for j in range(s.running[i, r]):
        slot = s.by_left[i, r, j]
        if slot == k:
            shift = 1
        else:
            if slot == last:
                slot = k
            s.by_left[i, r, j - shift] = slot
    shift = int(0)
    for j in range(s.prefill_count[i, r]):
        slot = s.prefills[i, r, j]
        if slot == k:
            shift = 1
        else:
            if slot == last:
                slot = k
            s.prefills[i, r, j - shift] = slot
    s.prefill_count[i, r] = s.prefill_count[i, r] - shift


@wp.func
def remove_slot(s: State, i: int, r: int, k: int):
    """Empty slot k; the last one takes its place."""
    s.owned[i, r] = s.owned[i, r] - blocks_of(s, i, r, k)
    if decodes(s, i, r, k):
        h = residue_of(s, i, r, k)
        s.crossings[i, r, h] = s.crossings[i, r, h] - 1
        s.decoding[i, r] = s.decoding[i, r] - 1
        s.reading[i, r] = s.reading[i, r] - wp.int64(held_by(s, i, r, k))
        if s.decoding[i, r] == 0:
            s.pauses[i, r] = 0
            s.least_target[i, r] = NEVER
    else:
        s.prefilling[i, r] = s.prefilling[i, r] - s.slot_prefill[i, r, k]
    unlist(s, i, r, k)
    last = s.running[i, r] - 1
    if k < last:
        s.slot_request[i, r, k] = s.slot_request[i, r, last]
        s.slot_order[i, r, k] = s.slot_order[i, r, last]
        s.slot_prefill[i, r, k] = s.slot_prefill[i, r, last]
        s.slot_chunk[i, r, k] = s.slot_chunk[i, r, last]
        s.slot_kv[i, r, k] = s.slot_kv[i, r, last]
        s.slot_blocks[i, r, k] = s.slot_blocks[i, r, last]
        s.slot_uses[i, r, k] = s.slot_uses[i, r, last]
        s.slot_end[i, r, k] = s.slot_end[i, r, last]
        s.slot_from[i, r, k] = s.slot_from[i, r, last]
        s.slot_last[i, r, k] = s.slot_last[i, r, last]
        s.slot_counted[i, r, k] = s.slot_counted[i, r, last]
        s.slot_log[i, r, k] = s.slot_log[i, r, last]
    s.running[i, r] = last


@wp.func
def find_next_end(s: State, i: int, r: int):
    """When the next decoding request will be finished."""
    result = int(2147483647)
    for k in range(s.running[i, r]):
        if decodes(s, i, r, k):
            result = wp.min(result, s.slot_end[i, r, k])
    s.next_end[i, r] = result


@wp.func
def victim_of(s: State, i: int, r: int):
    """The slot that is preempted where memory runs out: of those alike the last admitted."""
    b = s.instance[i]
    best = int(0)
    for k in range(1, s.running[i, r]):
        difference = int(0)
        if s.victim == LEAST:
            difference = held_by(s, i, r, best) - held_by(s, i, r, k)
        elif s.victim == PRIORITY:
            difference = s.level_of[b, s.slot_request[i, r, k]] - s.level_of[b, s.slot_request[i, r, best]]
        if difference > 0 or (difference == 0 and s.slot_order[i, r, k] > s.slot_order[i, r, best]):
            best = k
    return best
