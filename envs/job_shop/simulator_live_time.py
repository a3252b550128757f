"""Time passing in a live job shop: operations start and end, machines go down and come up, jobs are released.

At one moment operations end first, then machines come up, then machines go down, then jobs are released; only then
anybody decides. An operation that ends when its machine goes down has ended.
"""

import warp as wp

from ..core.rng import random_bits
from .simulator_cost import cost_at
from .simulator_live_state import DONE, DOWN, INTERRUPTED, RUNNING, SHUTDOWN, UNLIMITED, UP, WAITING, State
from .simulator_state import LATEST


@wp.func
def actual_time(s: State, i: int, j: int, o: int):
    """The processing time that nobody is told: the estimate under the noise of (seed, world, episode, job, step)."""
    b = s.instance[i]
    estimate = s.duration[b, j, o]
    if s.noise == 0 or estimate == 0:
        return estimate
    bits = random_bits(s.seed[0], s.world[i], s.episode[i], j * s.widest[b] + o)
    factor = wp.int64(s.quantile[bits // 524288])  # the upper 12 of 31 bits
    return wp.max(int((wp.int64(estimate) * factor + wp.int64(32768)) // wp.int64(65536)), 1)


@wp.func
def next_change(s: State, i: int, k: int, kind: int):
    """When the span, UP or DOWN, ends that machine k begins now."""
    bits = random_bits(s.stream[i, k], SHUTDOWN, 0, s.draws[i, k])
    s.draws[i, k] = s.draws[i, k] + 1
    share = wp.int64(s.exponential[bits // 524288])
    span = (s.mean_time[s.instance[i], kind] * share + wp.int64(3276800)) // wp.int64(6553600)
    later = wp.int64(s.time[i]) + wp.max(span, wp.int64(1))
    return int(wp.min(later, wp.int64(LATEST)))


@wp.func
def begin_spans(s: State, i: int):
    """All machines are up at first."""
    k = int(0)
    while k < s.machines[s.instance[i]]:
        s.down[i, k] = 0
        s.since[i, k] = 0
        s.draws[i, k] = 0
        s.change[i, k] = LATEST
        if s.shutdowns == 1:
            s.stream[i, k] = random_bits(s.seed[0], s.world[i], s.episode[i], -1 - k)
            s.change[i, k] = next_change(s, i, k, UP)
        k += 1


@wp.func
def look_at(s: State, i: int, j: int):
    """Fill job j's columns for its next operation."""
    b = s.instance[i]
    o = s.next_operation[i, j]
    if o < s.operations[b, j]:
        s.next_machine[i, j] = s.machine[b, j, o]
        s.processing_time[i, j] = s.duration[b, j, o]
    else:
        s.next_machine[i, j] = -1
        s.processing_time[i, j] = 0


@wp.func
def leave(s: State, i: int, j: int):
    """Job j lets go of the machine that it holds, if any."""
    k = s.at[i, j]
    if k >= 0:
        # In a cycle of swapping jobs the next one may be there already.
        if s.holder[i, k] == j:
            s.holder[i, k] = -1
        s.at[i, j] = -1


@wp.func
def finish(s: State, i: int, j: int):
    """The operation of job j that runs ends now."""
    s.arrival[i, j] = s.time[i]
    s.status[i, j] = WAITING
    if s.next_operation[i, j] == s.operations[s.instance[i], j]:
        s.status[i, j] = DONE
        s.unfinished[i] = s.unfinished[i] - 1
    if s.buffers == UNLIMITED or s.status[i, j] == DONE:
        leave(s, i, j)


@wp.func
def begin(s: State, i: int, j: int):
    """Job j enters its next machine, where its next operation starts now."""
    o = s.next_operation[i, j]
    k = s.next_machine[i, j]
    estimate = s.processing_time[i, j]
    actual = actual_time(s, i, j, o)
    leave(s, i, j)
    s.at[i, j] = k
    s.holder[i, k] = j
    s.status[i, j] = RUNNING
    s.start[i, j, o] = s.time[i]
    s.begun[i, j] = s.time[i]
    s.expected[i, j] = s.time[i] + estimate
    s.end[i, j] = s.time[i] + actual
    s.next_operation[i, j] = o + 1
    s.remaining_work[i, j] = s.remaining_work[i, j] - estimate
    s.completed_work[i, j] = s.completed_work[i, j] + estimate
    s.remaining_operations[i, j] = s.remaining_operations[i, j] - 1
    s.load[i, k] = s.load[i, k] - estimate
    s.queue[i, k] = s.queue[i, k] - 1
    s.left[i] = s.left[i] - 1
    look_at(s, i, j)
    if actual == 0:
        finish(s, i, j)


@wp.func
def go_down(s: State, i: int, k: int):
    """A shutdown of machine k begins now and interrupts what runs there."""
    s.down[i, k] = 1
    s.since[i, k] = s.time[i]
    s.change[i, k] = next_change(s, i, k, DOWN)
    j = s.holder[i, k]
    if j >= 0:
        if s.status[i, j] == RUNNING:
            s.status[i, j] = INTERRUPTED
            if s.restart == 1:
                s.left_over[i, j] = actual_time(s, i, j, s.next_operation[i, j] - 1)
                s.expected[i, j] = s.duration[s.instance[i], j, s.next_operation[i, j] - 1]
            else:
                s.left_over[i, j] = s.end[i, j] - s.time[i]
                s.expected[i, j] = wp.max(s.expected[i, j] - s.time[i], 0)
            s.end[i, j] = LATEST


@wp.func
def come_up(s: State, i: int, k: int):
    """The shutdown of machine k is over; what was interrupted goes on at once."""
    s.down[i, k] = 0
    s.since[i, k] = s.time[i]
    s.change[i, k] = next_change(s, i, k, UP)
    j = s.holder[i, k]
    if j >= 0:
        if s.status[i, j] == INTERRUPTED:
            s.status[i, j] = RUNNING
            s.end[i, j] = s.time[i] + s.left_over[i, j]
            s.expected[i, j] = s.time[i] + s.expected[i, j]


@wp.func
def least_cost(s: State, i: int, j: int):
    """What job j costs at least, but for the makespan and the maximum lateness, if it never waits."""
    b = s.instance[i]
    return cost_at(s, b, j, s.release[b, j], s.release[b, j] + s.work_content[b, j])


@wp.func
def learn_of(s: State, i: int, j: int):
    """Job j is known from now on."""
    b = s.instance[i]
    s.arrival[i, j] = s.release[b, j]
    s.remaining_work[i, j] = s.work_content[b, j]
    s.remaining_operations[i, j] = s.operations[b, j]
    look_at(s, i, j)
    o = int(0)
    while o < s.operations[b, j]:
        k = s.machine[b, j, o]
        s.load[i, k] = s.load[i, k] + s.duration[b, j, o]
        s.queue[i, k] = s.queue[i, k] + 1
        o += 1


@wp.func
def release_jobs(s: State, i: int):
    """Release the jobs whose time has come, and find the next release."""
    b = s.instance[i]
    later = int(LATEST)
    j = int(0)
    while j < s.jobs[b]:
        if s.released[i, j] == 0:
            if s.release[b, j] <= s.time[i]:
                s.released[i, j] = 1
                if s.reveal == 1:
                    learn_of(s, i, j)
                    s.hidden_cost[i] = s.hidden_cost[i] - least_cost(s, i, j)
            else:
                later = wp.min(later, s.release[b, j])
        j += 1
    s.next_release[i] = later


@wp.func
def next_event(s: State, i: int):
    """The next time at which something happens by itself; LATEST if nothing does."""
    later = s.next_release[i]
    k = int(0)
    while k < s.machines[s.instance[i]]:
        later = wp.min(later, s.change[i, k])
        j = s.holder[i, k]
        if j >= 0:
            if s.status[i, j] == RUNNING:
                later = wp.min(later, s.end[i, j])
        k += 1
    return wp.min(later, LATEST)


@wp.func
def pass_time(s: State, i: int):
    """Let time pass until something has happened."""
    s.time[i] = next_event(s, i)
    k = int(0)
    while k < s.machines[s.instance[i]]:
        j = s.holder[i, k]
        if j >= 0:
            if s.status[i, j] == RUNNING and s.end[i, j] == s.time[i]:
                finish(s, i, j)
        if s.change[i, k] == s.time[i]:
            if s.down[i, k] == 1:
                come_up(s, i, k)
            else:
                go_down(s, i, k)
        k += 1
    if s.next_release[i] == s.time[i]:
        release_jobs(s, i)
