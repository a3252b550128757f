"""Who may start in a live job shop: candidates, cycles of jobs that swap, and whether there is anything to wait for."""

import warp as wp

from .simulator_live_safety import is_safe
from .simulator_live_state import INTERRUPTED, NONE, RUNNING, SWAP, WAITING, State
from .simulator_live_time import next_event
from .simulator_state import LATEST


@wp.func
def could_enter(s: State, i: int, j: int):
    """Whether job j waits for a machine that is empty or its own."""
    k = s.next_machine[i, j]
    if s.released[i, j] == 0 or s.status[i, j] != WAITING or k < 0:
        return False
    return s.holder[i, k] < 0 or s.holder[i, k] == j


@wp.func
def may_start(s: State, i: int, j: int):
    """Whether job j is a candidate."""
    if not could_enter(s, i, j):
        return False
    if s.down[i, s.next_machine[i, j]] == 1:
        return False
    if s.buffers != NONE or s.safety == 0:
        return True
    return is_safe(s, i, j)


@wp.func
def is_cycle(s: State, i: int, k: int):
    """Whether machine k is the lowest of a cycle: each of its jobs waits for the machine of the next, all are up."""
    q = int(k)
    steps = int(0)
    m = s.machines[s.instance[i]]
    while steps < m:
        j = s.holder[i, q]
        if q < k or j < 0 or s.down[i, q] == 1:
            return False
        if s.status[i, j] != WAITING:
            return False
        q = s.next_machine[i, j]
        steps += 1
        if q == k:
            return steps > 1
    return False


@wp.func
def offer_jobs(s: State, i: int):
    """Mark the jobs that may start; returns their number."""
    n = s.jobs[s.instance[i]]
    count = int(0)
    focus = int(LATEST)
    j = int(0)
    while j < n:
        s.action_mask[i, j] = wp.int8(0)
        if may_start(s, i, j):
            s.action_mask[i, j] = wp.int8(1)
            focus = wp.min(focus, s.next_machine[i, j])
            if count == 0:
                s.only[i] = j
            count += 1
        j += 1
    s.focus[i] = -1
    if s.focused == 0 or count == 0:
        return count
    # What one machine takes does not matter to the others.
    s.focus[i] = focus
    count = int(0)
    j = int(0)
    while j < n:
        if s.action_mask[i, j] == wp.int8(1):
            if s.next_machine[i, j] == focus:
                if count == 0:
                    s.only[i] = j
                count += 1
            else:
                s.action_mask[i, j] = wp.int8(0)
        j += 1
    return count


@wp.func
def is_active(s: State, i: int):
    """Whether an operation runs or is interrupted, or a release is to come."""
    if s.next_release[i] < LATEST:
        return True
    k = int(0)
    while k < s.machines[s.instance[i]]:
        j = s.holder[i, k]
        if j >= 0:
            if s.status[i, j] == RUNNING or s.status[i, j] == INTERRUPTED:
                return True
        k += 1
    return False


@wp.func
def any_down(s: State, i: int):
    """Whether a machine is shut down."""
    k = int(0)
    while k < s.machines[s.instance[i]]:
        if s.down[i, k] == 1:
            return True
        k += 1
    return False


@wp.func
def has_future(s: State, i: int):
    """Whether there is anything to wait for: an end, a release, or a machine that comes up."""
    if is_active(s, i) or any_down(s, i):
        return next_event(s, i) < LATEST
    return False


@wp.func
def is_stuck(s: State, i: int):
    """Whether nobody may start now and never will."""
    if not has_future(s, i):
        return True
    if s.buffers != NONE or is_active(s, i):
        return False
    j = int(0)
    while j < s.jobs[s.instance[i]]:
        if could_enter(s, i, j):
            return False
        j += 1
    return True


@wp.func
def offer(s: State, i: int):
    """Mark the candidates of this moment; returns their number, 0 where nobody may start."""
    count = offer_jobs(s, i)
    first = s.next_operation.shape[1]
    if s.buffers == SWAP:
        k = int(0)
        while k < s.machines[s.instance[i]]:
            s.action_mask[i, first + k] = wp.int8(0)
            if is_cycle(s, i, k):
                s.action_mask[i, first + k] = wp.int8(1)
                if count == 0:
                    s.only[i] = first + k
                count += 1
            k += 1
    if s.waits == 1:
        last = s.action_mask.shape[1] - 1
        s.action_mask[i, last] = wp.int8(0)
        if count > 0 and s.waits_left[i] > 0:
            if has_future(s, i):
                s.action_mask[i, last] = wp.int8(1)
                count += 1
    return count


@wp.func
def offers_something_new(s: State, i: int):
    """Whether the candidates differ from those before the wait, and there are any."""
    last = s.action_mask.shape[1] - 1
    differs = int(0)
    found = int(0)
    a = int(0)
    while a < last:
        if s.action_mask[i, a] != s.offered[i, a]:
            differs = int(1)
        if s.action_mask[i, a] == wp.int8(1):
            found = int(1)
        a += 1
    return found == 1 and differs == 1
