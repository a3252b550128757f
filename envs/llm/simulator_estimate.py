"""What a policy may know of the future: predicted answers, times to tokens, peaks of the memory."""

import warp as wp

from .simulator_batch import emitted_by, held_by, shared_by
from .simulator_cache import group_hit, session_hit
from .simulator_server import prefill_of
from .simulator_state import FEMTO, LARGEST, NEVER, State


@wp.func
def clipped(value: wp.int64):
    """A number as a column holds it."""
    return int(wp.max(wp.min(value, wp.int64(LARGEST)), wp.int64(-LARGEST)))


@wp.func
def answer_left(predicted: int, emitted: int):
    """Tokens of an answer that are left, as predicted; one that is overdue is thought to need a quarter more."""
    result = wp.max(predicted // 4, 1)
    if emitted < predicted:
        result = predicted - emitted
    return result


@wp.func
def predicted_left(s: State, i: int, q: int):
    """The same of a request that does not run."""
    return answer_left(s.predicted_tokens[s.instance[i], q], s.emitted[i, q])


@wp.func
def hit_tokens(s: State, i: int, r: int, q: int):
    """Tokens of a request that are cached on server r."""
    return (group_hit(s, i, r, q) + session_hit(s, i, r, q)) * s.block_size[s.instance[i], r]


@wp.func
def prefill_left(s: State, i: int, r: int, q: int):
    """Tokens to compute on server r before its next token."""
    result = prefill_of(s, i, q) - hit_tokens(s, i, r, q)
    if s.kept[i, q] > 0:
        result = wp.max(s.prompt_tokens[s.instance[i], q] - s.kept[i, q], 0)
    return result


@wp.func
def step_femto(s: State, i: int, r: int, decoding: int, reading: wp.int64):
    """Femtoseconds of an iteration of so many decoding requests that read so many tokens."""
    b = s.instance[i]
    each = s.per_decode[b, r] + s.per_token[b, r]
    return s.base[b, r] + each * wp.int64(decoding) + s.per_read[b, r] * reading


@wp.func
def prefill_time(s: State, i: int, r: int, tokens: int):
    """us in which server r would compute so many prefill tokens beside what it decodes now."""
    b = s.instance[i]
    share = wp.max(s.budget[b, r] - s.decoding[i, r], 1)
    iterations = wp.int64((tokens + share - 1) // share)
    femto = iterations * step_femto(s, i, r, s.decoding[i, r], s.reading[i, r])
    femto = femto + (s.per_prefill[b, r] + s.per_token[b, r]) * wp.int64(tokens)
    above = wp.int64(tokens) - iterations * (s.knee[b, r] - wp.int64(s.decoding[i, r]))
    femto = femto + s.per_beyond[b, r] * wp.max(above, wp.int64(0))
    return femto // FEMTO


@wp.func
def attention_time(s: State, i: int, r: int, tokens: int, before: int):
    """us of the attention of so many prefill tokens to each other and to those before."""
    return s.per_attention[s.instance[i], r] * wp.int64(tokens) * wp.int64(2 * before + tokens) // FEMTO


@wp.func
def service_time(s: State, i: int, r: int, q: int, prefill: int):
    """us of server time that request q adds: its prefill and its predicted answer.

    The base of iterations is shared by the whole batch and does not count, but where requests run one at a time.
    """
    b = s.instance[i]
    answer = wp.int64(predicted_left(s, i, q))
    length = wp.int64(prefill_of(s, i, q))
    femto = (s.per_prefill[b, r] + s.per_token[b, r]) * wp.int64(prefill)
    femto = femto + (s.per_decode[b, r] + s.per_token[b, r]) * answer
    femto = femto + s.per_read[b, r] * answer * (length + answer // wp.int64(2))
    if s.most_running[b, r] == 1:
        chunks = wp.int64(wp.max(prefill - 1, 0) // s.budget[b, r])
        femto = femto + s.base[b, r] * (answer + chunks)
    return femto // FEMTO + attention_time(s, i, r, prefill, prefill_of(s, i, q) - prefill)


@wp.func
def time_to_first(s: State, i: int, r: int, q: int, prefill: int, before: int):
    """us until the next token of q, if so many tokens of prefill are computed before its own."""
    length = prefill_of(s, i, q) - prefill
    return prefill_time(s, i, r, before + prefill) + attention_time(s, i, r, prefill, length)


@wp.func
def time_to_last(s: State, i: int, r: int, q: int, first: wp.int64, others: int):
    """us until its last token, if its first one comes after ``first`` and so many others decode beside it."""
    answer = wp.int64(predicted_left(s, i, q) - 1)
    beside = wp.min(others, s.most_running[s.instance[i], r] - 1)
    reading = s.reading[i, r] + wp.int64(prefill_of(s, i, q))
    return first + answer * step_femto(s, i, r, beside + 1, reading) // FEMTO


@wp.func
def measure_peaks(s: State, i: int, r: int):
    """Prepare the predicted peaks of server r's memory (Past-Future, Gong et al. 2025).

    Prefixes that running requests share stand apart (``predicted_peak``).

    With a_j the tokens held and b_j those predicted to come, sorted by b from the most, the memory peaks when one of
    them ends: at the largest sum of a_1 .. a_j plus j * b_j.
    """
    b = s.instance[i]
    count = s.running[i, r]
    for place in range(count):
        k = s.by_left[i, r, place]
        left = answer_left(s.predicted_tokens[b, s.slot_request[i, r, k]], emitted_by(s, i, r, k))
        held = held_by(s, i, r, k) + s.slot_prefill[i, r, k] - shared_by(s, i, r, k)
        j = int(place)
        while j > 0 and s.peak_left[i, wp.max(j - 1, 0)] < left:
            s.peak_left[i, j] = s.peak_left[i, j - 1]
            s.peak_held[i, j] = s.peak_held[i, j - 1]
            s.by_left[i, r, j] = s.by_left[i, r, j - 1]
            j -= 1
        s.peak_left[i, j] = left
        s.peak_held[i, j] = held
        s.by_left[i, r, j] = k
    highest = int(0)
    total = int(0)
    s.peak_before[i, 0] = 0
    for k in range(count):
        total += s.peak_held[i, k]
        s.peak_held[i, k] = total
        highest = wp.max(highest, total + (k + 1) * s.peak_left[i, k])
        s.peak_before[i, k + 1] = highest
    highest = int(0)
    s.peak_after[i, count] = 0
    for back in range(count):
        k = count - 1 - back
        highest = wp.max(highest, s.peak_held[i, k] + (k + 2) * s.peak_left[i, k])
        s.peak_after[i, k] = highest


@wp.func
def peak_with(s: State, i: int, r: int, held: int, left: int):
    """The peak in tokens if another request joins that holds so much and is to emit so much."""
    low = int(0)
    high = int(s.running[i, r])
    while low < high:  # the first that ends no later
        middle = (low + high) // 2
        if s.peak_left[i, middle] > left:
            low = middle + 1
        else:
            high = middle
    own = held + (low + 1) * left
    if low > 0:
        own += s.peak_held[i, low - 1]
    result = wp.max(s.peak_before[i, low], own)
    if s.peak_after[i, low] > 0:
        result = wp.max(result, s.peak_after[i, low] + held)
    return result


@wp.func
def predicted_peak(s: State, i: int, r: int, q: int):
    """Tokens in the memory of server r at the predicted peak, if request q joins; a shared prefix counts once."""
    size = s.block_size[s.instance[i], r]
    of_group = group_hit(s, i, r, q)
    pinned = s.pinned[i, r]
    if of_group > 0:
        if s.group_running[i, r, s.group_of[s.instance[i], q]] == 0:
            pinned += of_group
    held = prefill_of(s, i, q) - of_group * size
    return peak_with(s, i, r, held, predicted_left(s, i, q)) + pinned * size


@wp.func
def log2_of(x: wp.int64):
    """1024 times the logarithm to base 2, straight between powers of two; of numbers below 1 it is 0."""
    value = wp.max(x, wp.int64(1))
    power = int(0)
    rest = value
    while rest > wp.int64(1):
        rest = rest // wp.int64(2)
        power += 1
    bottom = wp.int64(1)
    for _k in range(power):
        bottom = bottom * wp.int64(2)
    return wp.int64(1024 * power) + (value - bottom) * wp.int64(1024) // bottom


@wp.func
def due_in(s: State, i: int, q: int):
    """us until request q is due; NEVER where nothing is promised."""
    result = NEVER
    if s.due[i, q] < NEVER:
        result = s.due[i, q] - s.now[i]
    return result


@wp.func
def slack_of(s: State, i: int, r: int, q: int, prefill: int):
    """us that are left if server r admits request q now; NEVER where nothing is promised."""
    result = due_in(s, i, q)
    if result < NEVER:
        first = time_to_first(s, i, r, q, prefill, s.prefilling[i, r])
        if s.ttft_target[s.instance[i], q] == wp.int64(0):
            first = time_to_last(s, i, r, q, first, s.running[i, r])
        result = result - first
    return result


@wp.func
def is_late(s: State, i: int, q: int, slack: wp.int64):
    """Whether the promise is as good as broken, or the request has begun before and was preempted."""
    return slack < wp.int64(0) or (s.emitted[i, q] > 0 and s.due[i, q] < NEVER)


@wp.func
def free_thousandths(s: State, i: int, r: int):
    """Free memory of a server, what could be evicted included."""
    b = s.instance[i]
    return int(wp.int64(1000) * wp.int64(s.blocks[b, r] - s.owned[i, r] - s.pinned[i, r]) // wp.int64(s.blocks[b, r]))
