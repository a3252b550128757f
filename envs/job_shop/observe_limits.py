"""What a policy sees besides, where there are setup times or windows.

Further features of jobs (or, in the operation graph, of the operations to come), of machines and of candidates, with
``p`` and ``t`` as in observe.py.
"""

import warp as wp

from ..core.features import clip
from ..core.graph import Feature
from .simulator_limits import setup_into
from .simulator_state import LATEST
from .simulator_state import Struct as State

JOB_SETUP = (
    Feature("setup", "setup time of the next operation if it comes next on its machine / p / 2", 0, 4),
    Feature("least_setup", "least setup time into it, whatever comes before / p / 2", 0, 4),
)
CANDIDATE_SETUP = (
    Feature("setup", "setup time / p / 2", 0, 4),
    Feature("setup_excess", "setup time above the least into it / p / 2", 0, 4),
)
MACHINE_WINDOWS = (
    Feature("closed_in", "(start of the next window - t) / p / 4; 2 without one", 0, 2),
    Feature("closed_for", "length of the next window / p / 2", 0, 4),
)
CANDIDATE_WINDOWS = (
    Feature("window_gap", "(start of the next window of its machine - its end) / p / 4; 2 without one", 0, 2),
)


@wp.func
def show_job_setup(s: State, i: int, j: int, row: int, first: int, o: int, by_p: float):
    """Features of operation o of job j from column ``first`` of work node ``row`` on; zeros once it is committed."""
    s.work[i, row, first] = 0.0
    s.work[i, row, first + 1] = 0.0
    if o >= s.next_operation[i, j]:
        k = s.machine[s.instance[i], j, o]
        least = setup_into(s, i, k, s.setup.shape[2] - 1, j)
        change = int(least)
        if o == s.next_operation[i, j]:
            change = s.setup_time[i, j]
        s.work[i, row, first] = clip(float(change) * by_p * 0.5, 0.0, 4.0)
        s.work[i, row, first + 1] = clip(float(least) * by_p * 0.5, 0.0, 4.0)


@wp.func
def next_window(s: State, i: int, k: int, time: int):
    """Start and length of machine k's first window that is not over at a time; LATEST and 0 without one."""
    b = s.instance[i]
    start = int(LATEST)
    length = int(0)
    w = int(0)
    while w < s.window.shape[2]:
        if start == LATEST and s.window[b, k, w, 1] > time:
            start = s.window[b, k, w, 0]
            length = s.window[b, k, w, 1] - start
        w += 1
    return start, length


@wp.func
def show_limits(s: State, i: int, first: int, machine_first: int, by_p: float):
    """Features of candidates from column ``first`` on and of machines from ``machine_first`` on."""
    b = s.instance[i]
    k = int(0)
    while k < s.machines[b] and s.calendars == 1:
        start, length = next_window(s, i, k, s.time[i])
        s.resource[i, k, machine_first] = clip(float(start - s.time[i]) * by_p * 0.25, 0.0, 2.0)
        s.resource[i, k, machine_first + 1] = clip(float(length) * by_p * 0.5, 0.0, 4.0)
        k += 1
    j = int(0)
    while j < s.jobs[b]:
        if s.action_mask[i, j] == wp.int8(1):
            column = int(first)
            k = s.next_machine[i, j]
            if s.setups == 1:
                change = s.setup_time[i, j]
                least = setup_into(s, i, k, s.setup.shape[2] - 1, j)
                s.candidate_attr[i, j, column] = clip(float(change) * by_p * 0.5, 0.0, 4.0)
                s.candidate_attr[i, j, column + 1] = clip(float(change - least) * by_p * 0.5, 0.0, 4.0)
                column += 2
            if s.calendars == 1:
                end = s.earliest_start[i, j] + s.processing_time[i, j]
                after, lasts = next_window(s, i, k, end)
                s.candidate_attr[i, j, column] = clip(float(after - end) * by_p * 0.25, 0.0, 2.0)
        j += 1
