"""What a policy sees of the pairs it may choose and of the whole; and the observation itself."""

import warp as wp

from ..core.features import clip, hide_candidates
from .observe import clear, first_of, show_job, show_machine, survey
from .simulator import starts_later
from .simulator_state import Struct as State


@wp.func
def show_candidate(s: State, i: int, a: int, finish: int, most: int, longest: int, by_p: float, by_left: float):
    """Index and features of pair a.

    Its job could finish the operation at ``finish``. Of candidates, ``most`` is the largest remaining work and
    ``longest`` the largest sum of shortest times after the operation.
    """
    b = s.instance[i]
    stride = s.available.shape[1]
    j = a // stride
    k = a % stride
    start = s.earliest_start[i, a]
    end = s.earliest_finish[i, a]
    p = s.processing_time[i, a]
    tail = s.least_work[i, a] - s.shortest_time[i, a]
    s.candidate[i, a, 0] = wp.int64(j)
    s.candidate[i, a, 1] = wp.int64(k)
    s.candidate_attr[i, a, 0] = clip(float(p) * by_p * 0.5, 0.0, 4.0)
    s.candidate_attr[i, a, 1] = clip(float(start - s.time[i]) * by_p * 0.5, 0.0, 2.5)
    s.candidate_attr[i, a, 2] = clip(float(p - s.shortest_time[i, a]) * by_p * 0.5, 0.0, 2.5)
    s.candidate_attr[i, a, 3] = clip(float(end - finish) * by_p * 0.5, 0.0, 2.5)
    s.candidate_attr[i, a, 4] = clip(float(start - s.available[i, k]) * by_p * 0.5, 0.0, 2.5)
    s.candidate_attr[i, a, 5] = clip(float(s.remaining_work[i, a] - most) * by_left, -2.0, 0.0)
    s.candidate_attr[i, a, 6] = clip(float(tail - longest) * by_p * 0.25, -4.0, 0.0)
    s.candidate_attr[i, a, 7] = clip(float(end + tail - s.bound[i]) * by_left, -1.0, 1.0)
    s.candidate_attr[i, a, 8] = s.resource[i, k, 2]
    s.candidate_attr[i, a, 9] = float(s.rivals[i, k] - 1) / float(s.jobs[b])
    s.candidate_attr[i, a, 10] = float(s.chances[i, j] - 1) / float(s.machines[b])
    s.candidate_attr[i, a, 11] = 0.0
    if s.remaining_operations[i, a] == 1:
        s.candidate_attr[i, a, 11] = 1.0


@wp.func
def show_candidates(s: State, i: int, by_p: float, by_left: float):
    """Index and features of every pair, once machines are shown; returns the number of candidates."""
    b = s.instance[i]
    stride = s.available.shape[1]
    most = int(0)
    longest = int(0)
    count = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if s.chances[i, j] > 0:
            a = j * stride
            most = wp.max(most, s.remaining_work[i, a])
            longest = wp.max(longest, s.least_work[i, a] - s.shortest_time[i, a])
            count += s.chances[i, j]
        j += 1
    hide_candidates(s, i)
    j = int(0)
    while j < s.jobs[b]:
        if s.chances[i, j] > 0:
            start, finish = first_of(s, i, j)
            a = int(j * stride)
            last = a + s.machines[b]
            while a < last:
                if s.action_mask[i, a] == wp.int8(1):
                    show_candidate(s, i, a, finish, most, longest, by_p, by_left)
                a += 1
        j += 1
    return count


@wp.func
def show_wait(s: State, i: int, by_p: float):
    """The features of waiting, the last action."""
    wait = s.candidate_attr.shape[1] - 1
    last = s.candidate_attr.shape[2] - 1
    if s.action_mask[i, wait] == wp.int8(1):
        delay = starts_later(s, i, s.time[i]) - s.time[i]
        s.candidate_attr[i, wait, 1] = clip(float(delay) * by_p * 0.5, 0.0, 2.5)
        s.candidate_attr[i, wait, last] = 1.0


@wp.func
def show_context(s: State, i: int, total: int, count: int, largest: float, by_left: float):
    """Global features."""
    b = s.instance[i]
    jobs = float(s.jobs[b])
    machines = float(s.machines[b])
    unfinished = int(0)
    alternatives = int(0)
    j = int(0)
    while j < s.jobs[b]:
        if s.next_operation[i, j] < s.operations[b, j]:
            unfinished += 1
            alternatives += s.alternatives[i, j * s.available.shape[1]]
        j += 1
    idle = int(0)
    k = int(0)
    while k < s.machines[b]:
        if s.available[i, k] <= s.time[i]:
            idle += 1
        k += 1
    s.context[i, 0] = float(unfinished) / jobs
    s.context[i, 1] = clip(float(count) / jobs, 0.0, 4.0)
    s.context[i, 2] = clip(float(count) * 0.125, 0.0, 4.0)
    s.context[i, 3] = clip(largest * by_left, 0.0, 2.0)
    s.context[i, 4] = clip(float(total) * by_left / machines, 0.0, 1.0)
    s.context[i, 5] = clip(jobs / machines / 3.0, 0.0, 4.0)
    s.context[i, 6] = clip(float(alternatives) / float(wp.max(unfinished, 1)) / machines, 0.0, 1.0)
    s.context[i, 7] = float(idle) / machines


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation."""
    if s.stale[i] == 1 or s.terminated[i] == wp.int8(1):
        clear(s, i)
    if s.terminated[i] == wp.int8(0):
        b = s.instance[i]
        largest, total = survey(s, i)
        by_p = 1.0 / s.mean_time[b]
        by_left = 1.0 / wp.max(float(s.bound[i] - s.time[i]), s.mean_time[b])
        j = int(0)
        while j < s.jobs[b]:
            show_job(s, i, j, by_p, by_left)
            j += 1
        k = int(0)
        while k < s.machines[b]:
            show_machine(s, i, k, largest, by_p, by_left)
            k += 1
        count = show_candidates(s, i, by_p, by_left)
        show_context(s, i, total, count, largest, by_left)
        if s.waits == 1:
            show_wait(s, i, by_p)
