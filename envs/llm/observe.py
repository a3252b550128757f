"""The graph observation of LLM admission: offered requests, servers, and what is known of every candidate.

Logarithms are those of ``log2_of``, exact on every device; times are in seconds unless said otherwise.
"""

import warp as wp

from ..core.features import clip, hide_edge
from ..core.graph import Feature
from .simulator_batch import emitted_by
from .simulator_estimate import answer_left, free_thousandths, log2_of
from .simulator_queue import in_due
from .simulator_state import ADMIT, CONTINUE, LARGEST, NEVER, REJECT, ROUTING, STOP, State

REQUEST = (
    Feature("prompt", "log2 of the tokens of the prompt / 16", 0, 2),
    Feature("predicted", "log2 of the tokens of the answer that are left, as predicted / 16", 0, 2),
    Feature("prefill", "log2 of 1 + the tokens to compute before its next token / 16", 0, 2),
    Feature("waited", "time since it arrived, w / (w + 1)", 0, 1),
    Feature("due_in", "time until it is due / 4; 4 where nothing is promised", -4, 4),
    Feature("level", "priority class / 4", 0, 4),
    Feature("begun", "share of what it has emitted, e / (e + 64)", 0, 1),
    Feature("running", "1 if it runs"),
    Feature("exists", "1, or 0 for padding"),
)
SERVER = (
    Feature("batch", "running requests / most running"),
    Feature("decoding", "those of them that decode / most running"),
    Feature("prefilling", "prefill that is left in the batch, tokens t / (t + 4096)"),
    Feature("waiting", "prefill that waits there, t / (t + 4096)"),
    Feature("queue", "requests that wait there, q / (q + 8)"),
    Feature("free", "free memory, what could be evicted included"),
    Feature("cached", "share of the memory that cached prefixes take"),
    Feature("capacity", "log2 of the tokens that fit / 24", 0, 2),
    Feature("slowness", "prefill time of the server over that of the fastest - 1, / 4", 0, 4),
    Feature("speed", "time of 1000 tokens of prefill / 0.1", 0, 4),
    Feature("wait", "time until its iteration ends / 0.1", 0, 4),
    Feature("asked", "1 for the server that is to admit; routing: 1 for all"),
    Feature("exists", "1, or 0 for padding"),
)
CONTEXT = (
    Feature("servers", "number of servers / 8", 0, 4),
    Feature("queued", "requests that wait, q / (q + 32)"),
    Feature("in_system", "requests that wait or run, q / (q + 64)"),
    Feature("overdue", "share of those that wait that are overdue"),
    Feature("missed", "requests to which a promise is broken / those that have arrived"),
    Feature("free", "least free memory of a server"),
    Feature("ahead", "share of the requests that have not arrived"),
    Feature("offered", "candidates / 32", 0, 4),
)
ON = (
    Feature("running", "1 if the request runs there"),
    Feature("hit", "share of the prompt that is cached there"),
    Feature("wait", "predicted time to its first token there / 4", 0, 4),
)
CANDIDATE = (
    Feature("admit", "1 to admit or to send there"),
    Feature("stop", "1 to go on without another request"),
    Feature("reject", "1 to turn it away"),
    Feature("resume", "1 to go on with the one that runs"),
    Feature("prompt", "log2 of the tokens of the prompt / 16", 0, 2),
    Feature("prefill", "log2 of the tokens to compute before its next token / 16", 0, 2),
    Feature("predicted", "log2 of the tokens of the answer that are left, as predicted / 16", 0, 2),
    Feature("service", "log2 of the us of server time that it adds / 32", 0, 2),
    Feature("kv_time", "log2 of tokens times tokens of the answer / 32", 0, 2),
    Feature("hit", "share of the prompt that is cached there"),
    Feature("slack", "time that would be left if it were admitted now / 2", -4, 4),
    Feature("near_slack", "the same, x / (abs(x) + 0.25)", -1, 1),
    Feature("late", "1 if it cannot be in time, or was preempted"),
    Feature("due_in", "time until it is due / 4", -4, 4),
    Feature("urgency", "index of ATC: (log2 of service + max(slack, 0) / 0.5 in units of log2 e) / 32", 0, 4),
    Feature("waited", "time since it arrived, w / (w + 1)"),
    Feature("attained", "tokens it has emitted, e / (e + 64)"),
    Feature("head", "1 if nobody who waits arrived before it"),
    Feature("level", "priority class / 4", 0, 4),
    Feature("peak", "predicted peak of the memory with it", 0, 2),
    Feature("free", "free memory of the server"),
    Feature("fair", "tokens its client has had beyond the client with the least, t / (t + 4096)"),
    Feature("ttft", "predicted time to its first token there / 4", 0, 4),
    Feature("ect", "predicted time to its last token there / 16", 0, 4),
    Feature("ttft_regret", "(ttft - the least of all candidates)", 0, 4),
    Feature("ect_regret", "(ect - the least of all candidates) / 4", 0, 4),
    Feature("slowness", "prefill time of the server over that of the fastest - 1, / 4", 0, 4),
    Feature("prefill_slowness", "log2 of the prefill / 16, times slowness", 0, 4),
    Feature("answer_slowness", "log2 of the predicted answer / 16, times slowness", 0, 4),
    Feature("batch", "running requests of the server / most running"),
    Feature("queue", "requests that wait there, q / (q + 8)"),
    Feature("backlog", "prefill ahead of it there, tokens t / (t + 4096)"),
    Feature("delays", "service times the requests that wait there / 4", 0, 4),
    Feature("slows", "service times the requests that run there / 16", 0, 4),
    Feature("same", "1 if the request before it of its session ran there"),
    Feature("first_hash", "1 if the hash of its prefix puts the server first"),
    Feature("second_hash", "1 if it puts it second"),
    Feature("in_time", "1 if it is predicted to be in time"),
    Feature("load_regret", "(requests that run or wait there - the least of all candidates) / 16", 0, 4),
    Feature("prefill_regret", "(tokens to compute there - the least of all candidates) / 1024", 0, 4),
)


@wp.func
def seconds(us: int):
    """us as seconds."""
    return float(us) * 0.000001


@wp.func
def share(number: float, half: float):
    """A count as a share, half of it reached at ``half``."""
    return number / (number + half)


@wp.func
def log_of(number: int):
    """log2 of a count, 0 below 1."""
    return float(int(log2_of(wp.int64(number)))) / 1024.0


@wp.func
def show_row(s: State, i: int, w: int, q: int, prefill: int, left: int, emitted: int, runs: int):
    """The features of a request."""
    b = s.instance[i]
    s.work[i, w, 0] = clip(log_of(s.prompt_tokens[b, q]) / 16.0, 0.0, 2.0)
    s.work[i, w, 1] = clip(log_of(left) / 16.0, 0.0, 2.0)
    s.work[i, w, 2] = clip(log_of(1 + prefill) / 16.0, 0.0, 2.0)
    waited = float(s.now[i] - s.arrived[i, q]) * 0.000001
    s.work[i, w, 3] = share(waited, 1.0)
    due = float(4.0)
    if s.due[i, q] < NEVER:
        due = clip(float(s.due[i, q] - s.now[i]) * 0.00000025, -4.0, 4.0)
    s.work[i, w, 4] = due
    s.work[i, w, 5] = clip(float(s.level_of[b, q]) / 4.0, 0.0, 4.0)
    s.work[i, w, 6] = share(float(emitted), 64.0)
    s.work[i, w, 7] = float(runs)
    s.work[i, w, 8] = 1.0


@wp.func
def hide_row(s: State, i: int, w: int):
    """A row that stands for nobody."""
    for k in range(s.work.shape[2]):
        s.work[i, w, k] = 0.0


@wp.func
def show_server(s: State, i: int, r: int):
    """The features of a server."""
    b = s.instance[i]
    most = float(s.most_running[b, r])
    s.resource[i, r, 0] = float(s.running[i, r]) / most
    s.resource[i, r, 1] = float(s.decoding[i, r]) / most
    s.resource[i, r, 2] = share(float(s.prefilling[i, r]), 4096.0)
    s.resource[i, r, 3] = share(float(s.waiting_prefill[i, r]), 4096.0)
    s.resource[i, r, 4] = share(float(s.waiting_here[i, r]), 8.0)
    s.resource[i, r, 5] = clip(float(free_thousandths(s, i, r)) / 1000.0, 0.0, 1.0)
    s.resource[i, r, 6] = float(s.cached[i, r]) / float(s.blocks[b, r])
    s.resource[i, r, 7] = clip(log_of(s.kv_tokens[b, r]) / 24.0, 0.0, 2.0)
    fastest = s.speed[b, 0]
    for other in range(1, s.servers[b]):
        fastest = wp.min(fastest, s.speed[b, other])
    s.resource[i, r, 8] = clip((float(s.speed[b, r]) / float(wp.max(fastest, 1)) - 1.0) / 4.0, 0.0, 4.0)
    s.resource[i, r, 9] = clip(seconds(s.speed[b, r]) * 10.0, 0.0, 4.0)
    wait = float(0.0)
    if s.busy_until[i, r] < NEVER:
        wait = clip(float(s.busy_until[i, r] - s.now[i]) * 0.00001, 0.0, 4.0)
    s.resource[i, r, 10] = wait
    asked = s.control == ROUTING or s.cursor[i] == r
    s.resource[i, r, 11] = float(int(asked))
    s.resource[i, r, 12] = 1.0


@wp.func
def show_context(s: State, i: int):
    """The global features."""
    b = s.instance[i]
    overdue = int(0)
    going = s.queued[i] > 0
    while going:
        going = s.due[i, in_due(s, i, overdue)] < s.now[i]
        if going:
            overdue += 1
            going = overdue < s.queued[i]
    free = int(1000)
    for r in range(s.servers[b]):
        free = wp.min(free, free_thousandths(s, i, r))
    ahead = s.left[i] - s.in_system[i]
    s.context[i, 0] = clip(float(s.servers[b]) / 8.0, 0.0, 4.0)
    s.context[i, 1] = share(float(s.queued[i]), 32.0)
    s.context[i, 2] = share(float(s.in_system[i]), 64.0)
    s.context[i, 3] = float(overdue) / float(wp.max(s.queued[i], 1))
    s.context[i, 4] = clip(float(s.missed[i]) / float(wp.max(s.requests[b] - ahead, 1)), 0.0, 1.0)
    s.context[i, 5] = clip(float(free) / 1000.0, 0.0, 1.0)
    s.context[i, 6] = float(ahead) / float(s.requests[b])
    s.context[i, 7] = clip(float(s.offered[i]) / 32.0, 0.0, 4.0)


@wp.func
def show_edge(s: State, i: int, w: int, r: int, runs: int, hit: float, wait: float):
    """An edge between a request and a server."""
    e = w * s.resource.shape[1] + r
    s.assignment[i, 0, e] = wp.int64(w)
    s.assignment[i, 1, e] = wp.int64(r)
    s.assignment_attr[i, e, 0] = float(runs)
    s.assignment_attr[i, e, 1] = hit
    s.assignment_attr[i, e, 2] = wait


@wp.func
def show_candidate(
    s: State, i: int, a: int, least_ttft: int, least_ect: int, least_counter: int, least_load: int, least_prefill: int
):
    """The features of a candidate."""
    b = s.instance[i]
    r = wp.max(s.server[i, a], 0)
    kind = s.kind[i, a]
    service = s.service[i, a]
    slow = float(s.slowness[i, a]) / 1000.0 - 1.0
    slack = seconds(s.slack[i, a])
    s.candidate_attr[i, a, 0] = float(int(kind == ADMIT))
    s.candidate_attr[i, a, 1] = float(int(kind == STOP))
    s.candidate_attr[i, a, 2] = float(int(kind == REJECT))
    s.candidate_attr[i, a, 3] = float(int(kind == CONTINUE))
    s.candidate_attr[i, a, 4] = clip(log_of(s.prompt[i, a]) / 16.0, 0.0, 2.0)
    s.candidate_attr[i, a, 5] = clip(log_of(s.prefill[i, a]) / 16.0, 0.0, 2.0)
    s.candidate_attr[i, a, 6] = clip(log_of(s.predicted[i, a]) / 16.0, 0.0, 2.0)
    s.candidate_attr[i, a, 7] = clip(log_of(service) / 32.0, 0.0, 2.0)
    s.candidate_attr[i, a, 8] = clip(log_of(s.kv_time[i, a]) / 32.0, 0.0, 2.0)
    s.candidate_attr[i, a, 9] = clip(float(s.hit[i, a]) / float(wp.max(s.prompt[i, a], 1)), 0.0, 1.0)
    s.candidate_attr[i, a, 10] = clip(slack * 0.5, -4.0, 4.0)
    s.candidate_attr[i, a, 11] = slack / (wp.max(slack, -slack) + 0.25)
    s.candidate_attr[i, a, 12] = float(s.late[i, a])
    s.candidate_attr[i, a, 13] = clip(seconds(s.due_in[i, a]) * 0.25, -4.0, 4.0)
    urgency = log_of(service) + wp.max(slack, 0.0) * 2.885
    s.candidate_attr[i, a, 14] = clip(urgency / 32.0, 0.0, 4.0)
    s.candidate_attr[i, a, 15] = share(seconds(s.waited[i, a]), 1.0)
    s.candidate_attr[i, a, 16] = share(float(s.attained[i, a]), 64.0)
    s.candidate_attr[i, a, 17] = float(s.head[i, a])
    s.candidate_attr[i, a, 18] = clip(float(s.level[i, a]) / 4.0, 0.0, 4.0)
    s.candidate_attr[i, a, 19] = clip(float(s.peak[i, a]) / 1000.0, 0.0, 2.0)
    s.candidate_attr[i, a, 20] = clip(float(s.free[i, a]) / 1000.0, 0.0, 1.0)
    s.candidate_attr[i, a, 21] = share(float(wp.max(s.counter[i, a] - least_counter, 0)), 4096.0)
    s.candidate_attr[i, a, 22] = clip(seconds(s.ttft[i, a]) * 0.25, 0.0, 4.0)
    s.candidate_attr[i, a, 23] = clip(seconds(s.ect[i, a]) / 16.0, 0.0, 4.0)
    s.candidate_attr[i, a, 24] = clip(seconds(s.ttft[i, a] - least_ttft), 0.0, 4.0)
    s.candidate_attr[i, a, 25] = clip(seconds(s.ect[i, a] - least_ect) * 0.25, 0.0, 4.0)
    s.candidate_attr[i, a, 26] = clip(slow * 0.25, 0.0, 4.0)
    s.candidate_attr[i, a, 27] = clip(log_of(s.prefill[i, a]) / 16.0 * slow, 0.0, 4.0)
    s.candidate_attr[i, a, 28] = clip(log_of(s.predicted[i, a]) / 16.0 * slow, 0.0, 4.0)
    s.candidate_attr[i, a, 29] = float(s.batch[i, a]) / float(s.most_running[b, r])
    s.candidate_attr[i, a, 30] = share(float(s.in_queue[i, a]), 8.0)
    s.candidate_attr[i, a, 31] = share(float(s.backlog[i, a]), 4096.0)
    s.candidate_attr[i, a, 32] = clip(seconds(service) * float(s.in_queue[i, a]) * 0.25, 0.0, 4.0)
    s.candidate_attr[i, a, 33] = clip(seconds(service) * float(s.batch[i, a]) / 16.0, 0.0, 4.0)
    s.candidate_attr[i, a, 34] = float(s.last_here[i, a])
    s.candidate_attr[i, a, 35] = float(int(kind == ADMIT and s.control == ROUTING and s.hash_rank[i, a] == 0))
    s.candidate_attr[i, a, 36] = float(int(kind == ADMIT and s.control == ROUTING and s.hash_rank[i, a] == 1))
    s.candidate_attr[i, a, 37] = float(int(s.slack[i, a] >= 0))
    s.candidate_attr[i, a, 38] = clip(float(s.batch[i, a] + s.in_queue[i, a] - least_load) / 16.0, 0.0, 4.0)
    s.candidate_attr[i, a, 39] = clip(float(s.prefill[i, a] - least_prefill) / 1024.0, 0.0, 4.0)


@wp.func
def show_candidates(s: State, i: int):
    """All candidates, and the rows and edges of the requests they are about."""
    b = s.instance[i]
    least_ttft = int(LARGEST)
    least_ect = int(LARGEST)
    least_counter = int(LARGEST)
    least_load = int(LARGEST)
    least_prefill = int(LARGEST)
    for a in range(s.shown[i]):
        if s.kind[i, a] == ADMIT:
            least_ttft = wp.min(least_ttft, s.ttft[i, a])
            least_ect = wp.min(least_ect, s.ect[i, a])
            least_counter = wp.min(least_counter, s.counter[i, a])
            least_load = wp.min(least_load, s.batch[i, a] + s.in_queue[i, a])
            least_prefill = wp.min(least_prefill, s.prefill[i, a])
    for a in range(s.action_mask.shape[1]):
        w = int(a)
        if s.control == ROUTING:
            w = 0
        s.candidate[i, a, 0] = wp.int64(s.work.shape[1])
        s.candidate[i, a, 1] = wp.int64(s.resource.shape[1])
        if a < s.shown[i] and s.left[i] > 0:
            show_candidate(s, i, a, least_ttft, least_ect, least_counter, least_load, least_prefill)
            q = s.request_at[i, a]
            r = s.server[i, a]
            if s.kind[i, a] != REJECT:
                s.candidate[i, a, 1] = wp.int64(r)
            if q >= 0:
                s.candidate[i, a, 0] = wp.int64(w)
                runs = int(s.kind[i, a] == CONTINUE)
                emitted = s.output_tokens[b, q] - s.output[i, a]
                show_row(s, i, w, q, s.prefill[i, a], s.predicted[i, a], emitted, runs)
                hit = clip(float(s.hit[i, a]) / float(s.prompt_tokens[b, q]), 0.0, 1.0)
                show_edge(s, i, w, r, runs, hit, clip(seconds(s.ttft[i, a]) * 0.25, 0.0, 4.0))
        else:
            for k in range(s.candidate_attr.shape[2]):
                s.candidate_attr[i, a, k] = 0.0


@wp.func
def show_batch(s: State, i: int, first: int):
    """The running requests, from row ``first`` on, as many as there are rows for."""
    b = s.instance[i]
    w = int(first)
    for r in range(s.servers[b]):
        for k in range(s.running[i, r]):
            if w < s.work.shape[1]:
                q = s.slot_request[i, r, k]
                emitted = emitted_by(s, i, r, k)
                left = answer_left(s.predicted_tokens[b, q], emitted)
                show_row(s, i, w, q, s.slot_prefill[i, r, k], left, emitted, 1)
                show_edge(s, i, w, r, 1, 0.0, 0.0)
                w += 1


@wp.func
def observe(s: State, i: int):
    """Write the observation of environment i."""
    b = s.instance[i]
    for w in range(s.work.shape[1]):
        hide_row(s, i, w)
    for e in range(s.assignment.shape[2]):
        hide_edge(s, i, e)
    for r in range(s.resource.shape[1]):
        if r < s.servers[b]:
            show_server(s, i, r)
        else:
            for k in range(s.resource.shape[2]):
                s.resource[i, r, k] = 0.0
    show_context(s, i)
    show_candidates(s, i)
    if s.shows_batch == 1 and s.left[i] > 0:
        first = int(s.action_mask.shape[1])
        if s.control == ROUTING:
            first = 1
        show_batch(s, i, first)
