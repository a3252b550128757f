"""The dynamics of LLM request admission, as scalar functions about one environment.

Servers work in iterations; requests arrive, join the batch of a server at the end of one of its iterations, are
prefilled in chunks, emit a token an iteration and leave. At one moment iterations end first, server by server, then
requests arrive, then every server that is not in an iteration finds memory for the tokens to come, admits, and begins
the next one. The policy decides who is admitted, or where each arrival goes.

The reward is minus the requests to which a promise is broken, as a share of all, or minus the time that requests spend
in the system, in seconds over the number of requests: the return is minus the miss rate, or minus the mean end-to-end
time, exactly.
"""

import warp as wp

from .simulator_batch import charge_everybody
from .simulator_choice import offer_nothing, offer_requests
from .simulator_estimate import hit_tokens
from .simulator_iteration import end_iteration, start
from .simulator_local import admit_locally
from .simulator_queue import (
    clear_requests,
    dequeue,
    end_request,
    enqueue,
    miss,
    next_arrival,
    take_arrival,
    update_flow,
)
from .simulator_route import offer_servers
from .simulator_server import (
    admit,
    clear_server,
    estimate_at,
    forget_estimate,
    grow,
    preempt,
)
from .simulator_state import ADMISSION, ADMIT, LOG_MARGIN, NEVER, REJECT, REJECTED, ROUTING, State


@wp.func
def next_end(s: State, i: int):
    """When the next iteration ends; NEVER if none runs."""
    result = NEVER
    for r in range(s.servers[s.instance[i]]):
        result = wp.min(result, s.busy_until[i, r])
    return result


@wp.func
def next_event_for(s: State, i: int, r: int):
    """The first moment at which something may happen that concerns server r, its own iterations aside."""
    b = s.instance[i]
    result = next_arrival(s, i)
    if s.has_sessions[b] == 1 or s.control == ADMISSION:
        for other in range(s.servers[b]):
            if other != r:
                result = wp.min(result, s.busy_until[i, other])
                if s.busy_until[i, other] == NEVER and s.queued[i] + s.running[i, other] > 0:
                    if other > r or s.declined[i, other] == 1:
                        result = s.now[i]  # it has its turn after r, or is asked again whenever an iteration ends
    return result


@wp.func
def advance(s: State, i: int):
    """Go to the next moment at which something happens: iterations end, then requests arrive. False at the end."""
    b = s.instance[i]
    moment = wp.min(next_end(s, i), next_arrival(s, i))
    if moment == NEVER:
        return False
    s.now[i] = moment
    for r in range(s.servers[b]):
        s.declined[i, r] = 0
        if s.busy_until[i, r] == moment:
            end_iteration(s, i, r)
    s.cursor[i] = 0
    return True


@wp.func
def welcome(s: State, i: int):
    """Let requests that have arrived into the queue; routing: only the next one, which is to be sent somewhere."""
    if next_arrival(s, i) <= s.now[i]:
        charge_everybody(s, i)  # who comes back starts level with clients as they are now
    q = take_arrival(s, i)
    while q >= 0:
        if s.control == ROUTING:
            s.dispatching[i] = q
            return
        enqueue(s, i, q)
        q = take_arrival(s, i)


@wp.func
def dispatch(s: State, i: int, q: int, r: int):
    """Send request q to server r."""
    enqueue(s, i, q)
    estimate_at(s, i, r, q, s.prompt_tokens[s.instance[i], q] - hit_tokens(s, i, r, q))
    s.dispatching[i] = -1


@wp.func
def begin(s: State, i: int, r: int):
    """Server r goes on with those it has; it is the next one's turn."""
    start(s, i, r, next_event_for(s, i, r))
    s.cursor[i] = r + 1


@wp.func
def has_turn(s: State, i: int, r: int):
    """Whether server r is at a boundary and may have something to do."""
    idle = s.busy_until[i, r] == NEVER
    return idle and s.declined[i, r] == 0 and (s.running[i, r] > 0 or s.queued[i] > 0)


@wp.func
def offer(s: State, i: int):
    """Run on until there are candidates; returns how many, 0 at the end of the episode."""
    b = s.instance[i]
    going = bool(True)
    while going:
        if s.log_count[i] + LOG_MARGIN >= s.log_request.shape[1]:
            s.truncated[i] = wp.int8(1)  # requests that are preempted over and over
            offer_nothing(s, i)
            return 0
        if s.control == ROUTING and s.dispatching[i] < 0:
            welcome(s, i)
        if s.dispatching[i] >= 0:
            return offer_servers(s, i, s.dispatching[i])
        if s.cursor[i] < s.servers[b]:
            r = s.cursor[i]
            if not has_turn(s, i, r):
                s.cursor[i] = r + 1
            else:
                if s.grown[i, r] == 0:
                    grow(s, i, r)
                if s.control == ROUTING:
                    admit_locally(s, i, r)
                    begin(s, i, r)
                else:
                    count = offer_requests(s, i, r)
                    if count > 0:
                        return count
                    begin(s, i, r)
        else:
            going = advance(s, i)
            if going and s.control == ADMISSION:
                welcome(s, i)
    offer_nothing(s, i)
    return 0


@wp.func
def apply(s: State, i: int, a: int):
    """Do what legal candidate a says."""
    q = s.request_at[i, a]
    r = s.server[i, a]
    kind = s.kind[i, a]
    if kind == REJECT:
        if s.dispatching[i] == q:
            s.dispatching[i] = -1
        else:
            dequeue(s, i, q)
            forget_estimate(s, i, q)
        end_request(s, i, q, REJECTED)
    elif kind == ADMIT:
        if s.control == ROUTING:
            dispatch(s, i, q, r)
        else:
            if s.preemptive[s.instance[i], r] == 1 and s.running[i, r] == 1:
                preempt(s, i, r, 0, True)
            admit(s, i, r, q)
            s.asked[i, r] = 1
    else:
        s.asked[i, r] = 1
        if s.preemptive[s.instance[i], r] == 1:
            s.watched[i, r] = 0  # nothing changes its mind before somebody arrives or is finished
        if s.running[i, r] == 0:
            s.declined[i, r] = 1
            s.grown[i, r] = 0
            s.cursor[i] = r + 1
        else:
            begin(s, i, r)


@wp.func
def give_up(s: State, i: int):
    """The episode is cut off: who is not finished is missed."""
    for q in range(s.requests[s.instance[i]]):
        if s.ended[i, q] < wp.int64(0):
            miss(s, i, q)


@wp.func
def settle(s: State, i: int):
    """Find the candidates; apply moves without an alternative until there is a choice or the end."""
    count = offer(s, i)
    while count > 0 and s.forced_moves == 1 and count == 1:
        apply(s, i, 0)
        count = offer(s, i)
    update_flow(s, i)
    if count == 0:
        if s.truncated[i] == wp.int8(0):
            s.terminated[i] = wp.int8(1)
        else:
            give_up(s, i)
        if s.steps[i] == 0:
            # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
            s.action_mask[i, 0] = wp.int8(1)
            s.shown[i] = 1


@wp.func
def achieved(s: State, i: int):
    """What rewards are differences of."""
    result = wp.int64(s.missed[i])
    if s.counts_flow == 1:
        result = s.flow[i]
    return result


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    b = s.instance[i]
    clear_requests(s, i)
    for r in range(s.servers[b]):
        clear_server(s, i, r)
    for a in range(s.action_mask.shape[1]):
        s.action_mask[i, a] = wp.int8(0)
    for q in range(s.moore_mark.shape[1]):
        s.moore_mark[i, q] = 0
    s.moore_stamp[i] = 0
    s.shown[i] = 0
    s.offered[i] = 0
    s.dispatching[i] = -1
    s.iterations[i] = wp.int64(0)
    s.preempted[i] = 0
    s.log_count[i] = 0
    s.steps[i] = 0
    s.reward[i] = 0.0
    s.rewarded[i] = wp.int64(0)
    s.terminated[i] = wp.int8(0)
    s.truncated[i] = wp.int8(0)
    s.illegal[i] = wp.int8(0)
    s.cursor[i] = 0
    settle(s, i)


@wp.func
def fail(s: State, i: int):
    """An illegal action: the episode is over, as if every promise were broken, or nobody ever served."""
    b = s.instance[i]
    s.illegal[i] = wp.int8(1)
    s.terminated[i] = wp.int8(1)
    s.missed[i] = s.requests[b]
    s.flow[i] = s.worst_flow[b]
    offer_nothing(s, i)


@wp.func
def step(s: State, i: int, action: int):
    """Apply action ``action``; an illegal one ends the episode."""
    s.reward[i] = 0.0
    if int(s.terminated[i]) + int(s.truncated[i]) == 0:
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            apply(s, i, action)
            settle(s, i)
        else:
            fail(s, i)
    # What happened at the reset counts with the first step, so that the whole episode is accounted for.
    decrease = float(s.rewarded[i] - achieved(s, i)) / float(s.requests[s.instance[i]])
    if s.counts_flow == 1:
        decrease = decrease / 1000000.0
    s.reward[i] = decrease
    s.rewarded[i] = achieved(s, i)
