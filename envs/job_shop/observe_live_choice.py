"""What a policy sees of the candidates of a live job shop: jobs that may start, cycles that may swap, and waiting."""

import warp as wp

from ..core.features import clip, hide_candidate
from .observe_costs import completion_at, price_per_time, price_when_late, show_candidate_costs
from .simulator_live_state import INTERRUPTED, RUNNING, SWAP
from .simulator_live_state import Struct as State
from .simulator_state import DUE, LATEST, WAITING_WORK


@wp.func
def show_next(s: State, i: int, a: int, j: int, largest: int, by_p: float):
    """Features 4 to 9 of action a: where job j goes after its next operation."""
    b = s.instance[i]
    f = int(4)
    while f < 10:
        s.candidate_attr[i, a, f] = 0.0
        f += 1
    o = s.next_operation[i, j] + 1
    if o == s.operations[b, j]:
        s.candidate_attr[i, a, 7] = 1.0
        return
    k = s.machine[b, j, o]
    s.candidate_attr[i, a, 4] = clip(float(s.free[i, k] - s.time[i]) * by_p * 0.5, 0.0, 2.5)
    s.candidate_attr[i, a, 5] = float(s.load[i, k]) / float(largest)
    s.candidate_attr[i, a, 6] = clip(float(s.machine_survey[i, k, WAITING_WORK]) * by_p * 0.25, 0.0, 2.0)
    if s.holder[i, k] >= 0 and s.holder[i, k] != j:
        s.candidate_attr[i, a, 8] = 1.0
    s.candidate_attr[i, a, 9] = float(s.down[i, k])


@wp.func
def show_move(s: State, i: int, a: int, j: int, others: int, longest: int, bound: int, by_p: float, by_left: float):
    """Features of action a, which moves job j, but for 4 to 9."""
    duration = s.processing_time[i, j]
    s.candidate[i, a, 0] = wp.int64(j)
    s.candidate[i, a, 1] = wp.int64(s.next_machine[i, j])
    s.candidate_attr[i, a, 0] = clip(float(duration) * by_p * 0.5, 0.0, 4.0)
    s.candidate_attr[i, a, 1] = 0.0
    after = s.time[i] + duration + wp.max(others, 0)
    s.candidate_attr[i, a, 2] = clip(float(after - bound) * by_left, -3.0, 3.0)
    s.candidate_attr[i, a, 3] = clip(float(s.remaining_work[i, j] - longest) * by_left, -2.0, 2.0)
    s.candidate_attr[i, a, 10] = 0.0
    s.candidate_attr[i, a, 11] = 0.0
    s.candidate_attr[i, a, 12] = 0.0
    k = s.at[i, j]
    if k >= 0:
        s.candidate_attr[i, a, 10] = 1.0
        s.candidate_attr[i, a, 11] = clip(float(s.machine_survey[i, k, WAITING_WORK]) * by_p * 0.25, 0.0, 2.0)


@wp.func
def show_swap_costs(s: State, i: int, a: int, j: int, by_p: float):
    """Features about costs of a swap in which job j takes part."""
    first = int(13)
    slack = s.job_costs[s.instance[i], j, DUE] - completion_at(s, i, j)
    s.candidate_attr[i, a, first] = clip(float(slack) * by_p * 0.25, -2.0, 2.0)
    s.candidate_attr[i, a, first + 1] = clip(price_when_late(s, s.instance[i], j), 0.0, 4.0)
    s.candidate_attr[i, a, first + 2] = clip(price_per_time(s, i, j) / by_p * 0.25, 0.0, 2.0)


@wp.func
def show_swaps(s: State, i: int, longest: int, bound: int, largest: int, by_p: float, by_left: float):
    """Index and features of the swaps; returns their number."""
    count = int(0)
    k = int(0)
    while k < s.machines[s.instance[i]]:
        a = s.next_operation.shape[1] + k
        if s.action_mask[i, a] == wp.int8(1):
            count += 1
            j = s.holder[i, k]
            show_move(s, i, a, j, longest, longest, bound, by_p, by_left)
            show_next(s, i, a, j, largest, by_p)
            length = int(1)
            q = s.next_machine[i, j]
            while q != k:
                q = s.next_machine[i, s.holder[i, q]]
                length += 1
            s.candidate_attr[i, a, 12] = float(length) / float(s.machines[s.instance[i]])
            if s.costs == 1:
                show_swap_costs(s, i, a, j, by_p)
        else:
            hide_candidate(s, i, a)
        k += 1
    return count


@wp.func
def next_expected(s: State, i: int):
    """The next event by the estimates, of what is known: an end or a release."""
    later = int(LATEST)
    j = int(0)
    while j < s.jobs[s.instance[i]]:
        if s.status[i, j] == RUNNING or s.status[i, j] == INTERRUPTED:
            later = wp.min(later, s.arrival[i, j])
        if s.reveal == 0 and s.released[i, j] == 0:
            later = wp.min(later, s.release[s.instance[i], j])
        j += 1
    return later


@wp.func
def show_waiting(s: State, i: int, by_p: float):
    """The features of waiting, the last action."""
    a = s.action_mask.shape[1] - 1
    last = s.candidate_attr.shape[2] - 1
    s.candidate_attr[i, a, 1] = 0.0
    s.candidate_attr[i, a, last] = 0.0
    if s.action_mask[i, a] == wp.int8(1):
        s.candidate_attr[i, a, 1] = clip(float(next_expected(s, i) - s.time[i]) * by_p * 0.5, 0.0, 2.5)
        s.candidate_attr[i, a, last] = 1.0


@wp.func
def show_candidates(s: State, i: int, bound: int, largest: int, by_p: float, by_left: float):
    """Index and features of every action; returns the number of moves."""
    n = s.jobs[s.instance[i]]
    longest = int(-1)
    second = int(-1)
    count = int(0)
    j = int(0)
    while j < n:
        if s.action_mask[i, j] == wp.int8(1):
            count += 1
            remaining = s.remaining_work[i, j]
            if remaining > longest:
                second = longest
                longest = remaining
            else:
                second = wp.max(second, remaining)
        j += 1
    j = int(0)
    while j < n:
        if s.action_mask[i, j] == wp.int8(1):
            others = int(longest)
            if s.remaining_work[i, j] == longest:
                others = second
            show_move(s, i, j, j, others, longest, bound, by_p, by_left)
            show_next(s, i, j, j, largest, by_p)
        else:
            hide_candidate(s, i, j)
        j += 1
    if s.costs == 1:
        show_candidate_costs(s, i, 13, by_p)
    if s.buffers == SWAP:
        count += show_swaps(s, i, wp.max(longest, 0), bound, largest, by_p, by_left)
    if s.waits == 1:
        show_waiting(s, i, by_p)
    return count
