"""The choice that is open: which ready tasks may be bound to which elements, and what is known of each pair."""

import warp as wp

from .simulator_online import estimate_free, may_admit, show_plan
from .simulator_plan import arrival_over_bus, gap_start, pilot
from .simulator_state import IDLE, LATEST, MATCH, PULL, PUSH, READY, State


@wp.func
def survey_row(s: State, i: int, k: int, v: int):
    """Find where row k's node v could start and finish, on every element."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    slot = s.slot[i, v]
    best = int(LATEST)
    second = int(LATEST)
    s.row_node[i, k] = v
    for p in range(s.elements[b]):
        length = s.execution[b, g, t, p]
        start = int(LATEST)
        finish = int(LATEST)
        if length >= 0:
            if s.bus == 1:
                s.data_ready[i, slot, p] = arrival_over_bus(s, i, v, p, 0)
            if s.planning == 1:
                start = gap_start(s, i, p, s.data_ready[i, slot, p], length)
            else:
                start = wp.max(s.free[i, p], s.data_ready[i, slot, p])
            finish = start + length
            if finish < best:
                second = best
                best = finish
            elif finish < second:
                second = finish
        s.pair_start[i, k, p] = start
        s.pair_finish[i, k, p] = finish
    s.row_best[i, k] = best
    s.row_second[i, k] = second


@wp.func
def willing(s: State, i: int, p: int, pending: int):
    """Match: whether element p is idle and has not declined what is ready, or all stands still."""
    return s.running[i, p] < 0 and (pending == 0 or s.declined[i, p] != s.became_ready[i])


@wp.func
def show_pairs(s: State, i: int, k: int, first: int, last: int, a: int, pending: int):
    """Fill the actions that bind row k to elements first .. last - 1, from action a on; returns how many are legal."""
    b = s.instance[i]
    width = s.execution.shape[2]
    v = s.row_node[i, k]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    slot = s.slot[i, v]
    best = s.row_best[i, k]
    second = s.row_second[i, k]
    rank = s.rank_position[b, g, t]
    oct_rank = s.oct_position[b, g, t]
    cpop_rank = s.cpop_position[b, g, t]
    wanted = s.critical[b, g, t]
    left = s.job_left[i, j]
    since = s.since[i, v]
    count = int(0)
    for p in range(first, last):
        c = a + p - first
        legal = s.pair_finish[i, k, p] < LATEST
        if legal and s.planning == 0 and s.binding == IDLE:
            legal = s.running[i, p] < 0 and s.queue_first[i, p] < 0
        if legal and s.planning == 0 and s.binding == MATCH:
            legal = willing(s, i, p, pending)
        s.action_mask[i, c] = wp.int8(int(legal))
        if legal:
            count += 1
            s.only[i] = c
            s.job[i, c] = j
            s.task[i, c] = t
            s.element[i, c] = p
            s.execution_time[i, c] = s.execution[b, g, t, p]
            s.data_arrival[i, c] = s.data_ready[i, slot, p]
            s.earliest_start[i, c] = s.pair_start[i, k, p]
            s.earliest_finish[i, c] = s.pair_finish[i, k, p]
            s.best_finish[i, c] = best
            s.second_finish[i, c] = second
            s.optimistic_cost[i, c] = s.optimistic[b, g, t, p]
            s.upward_rank[i, c] = rank
            s.optimistic_rank[i, c] = oct_rank
            s.cpop_rank[i, c] = cpop_rank
            s.critical_element[i, c] = wanted
            s.tasks_left[i, c] = left
            s.ready_order[i, c] = since
            if s.planner > 0:
                s.planned[i, c] = int(s.plan_first[i, p] == v and s.running[i, p] < 0)
            if s.pilot > 0:
                s.pilot_makespan[i, c] = pilot(s, i, v, p, s.pair_start[i, k, p], s.execution_time[i, c])
    return count


@wp.func
def pending_event(s: State, i: int):
    """1 if something will happen without the policy."""
    pending = int(0)
    if may_admit(s, i) or s.queued_count[i] > 0:
        pending = 1
    for p in range(s.elements[s.instance[i]]):
        if s.running[i, p] >= 0:
            pending = 1
    return pending


@wp.func
def is_wanted(s: State, i: int, v: int):
    """Whether the plan wants ready node v next, on an element that is idle."""
    p = s.plan_on[i, v]
    return s.plan_first[i, p] == v and s.running[i, p] < 0


@wp.func
def choose_rows(s: State, i: int):
    """Pick the ready tasks that are offered, what a plan wants before the others; returns their number."""
    rows = wp.min(s.ready_count[i], s.row_node.shape[1])
    if s.planner == 0 or rows == s.ready_count[i]:
        for k in range(rows):
            s.row_node[i, k] = s.ready[i, k]
    else:
        count = int(0)
        for wanted in range(2):
            for r in range(s.ready_count[i]):
                v = s.ready[i, r]
                if count < rows and int(is_wanted(s, i, v)) == 1 - wanted:
                    s.row_node[i, count] = v
                    count += 1
    return rows


@wp.func
def offer_pairs(s: State, i: int, pending: int):
    """Offer the first ready tasks on all elements they may go to; returns the number of candidates."""
    wide = s.execution.shape[3]
    count = int(0)
    rows = choose_rows(s, i)
    for k in range(rows):
        survey_row(s, i, k, s.row_node[i, k])
        count += show_pairs(s, i, k, 0, s.elements[s.instance[i]], k * wide, pending)
    for a in range(rows * wide, s.cleared[i]):
        s.action_mask[i, a] = wp.int8(0)
    s.rows[i] = rows
    s.cleared[i] = rows * wide
    return count


@wp.func
def offer_element(s: State, i: int, p: int, pending: int):
    """Pull: offer the first ready tasks that idle element p can run; returns their number."""
    b = s.instance[i]
    width = s.execution.shape[2]
    count = int(0)
    first = int(-1)
    if s.planner > 0:
        first = s.plan_first[i, p]
        if first >= 0:
            if s.status[i, first] == READY:  # what the plan wants is offered in any case
                survey_row(s, i, 0, first)
                count = show_pairs(s, i, 0, p, p + 1, 0, pending)
    for r in range(s.ready_count[i]):
        v = s.ready[i, r]
        j = v // width
        feasible = s.execution[b, s.arrival_graph[b, j], v - j * width, p] >= 0
        if count < s.row_node.shape[1] and feasible and v != first:
            survey_row(s, i, count, v)
            count += show_pairs(s, i, count, p, p + 1, count, pending)
    if count > 0:
        for a in range(count, s.cleared[i]):
            s.action_mask[i, a] = wp.int8(0)
        s.rows[i] = count
        s.cleared[i] = count
        s.focus[i] = p
    return count


@wp.func
def can_take(s: State, i: int, p: int):
    """1 if some ready task can run on element p."""
    b = s.instance[i]
    width = s.execution.shape[2]
    found = int(0)
    for r in range(s.ready_count[i]):
        v = s.ready[i, r]
        j = v // width
        if s.execution[b, s.arrival_graph[b, j], v - j * width, p] >= 0:
            found = 1
    return found


@wp.func
def ask_elements(s: State, i: int, pending: int):
    """Pull: ask the first idle element that can take something and has not declined what is ready.

    Returns the number of its candidates, and 1 if another such element follows; that is not looked for where it makes
    no difference, because waiting is legal anyway.
    """
    b = s.instance[i]
    count = int(0)
    others = int(0)
    for k in range(s.elements[b]):
        p = s.speed_order[b, k]
        if s.running[i, p] < 0 and s.declined[i, p] != s.became_ready[i]:
            if count == 0:
                count = offer_element(s, i, p, pending)
            elif pending == 0 and others == 0:
                others = can_take(s, i, p)
    return count, others


@wp.func
def offer_nothing(s: State, i: int):
    """No candidates."""
    for a in range(s.cleared[i]):
        s.action_mask[i, a] = wp.int8(0)
    s.cleared[i] = 0
    s.rows[i] = 0
    s.focus[i] = -1
    s.may_wait[i] = 0
    if s.planning == 0 and s.binding != PUSH:
        s.action_mask[i, s.action_mask.shape[1] - 1] = wp.int8(0)


@wp.func
def offer_online(s: State, i: int):
    """Find what can be bound now; returns the number of candidates, waiting included, or 0 if time is to pass."""
    if s.ready_count[i] == 0:
        return 0
    pending = int(1)
    if s.binding != PUSH:
        pending = pending_event(s, i)
    if s.closed[i] == 1 and pending == 1:
        return 0
    estimate_free(s, i)
    show_plan(s, i)
    count = int(0)
    if s.binding == PULL:
        count, others = ask_elements(s, i, pending)
        if count == 0 and pending == 0:  # all stands still: everybody is asked once more
            for p in range(s.elements[s.instance[i]]):
                s.declined[i, p] = -1
            count, others = ask_elements(s, i, pending)
        pending = wp.max(pending, others)  # whoever comes after may do what this one leaves
    else:
        count = offer_pairs(s, i, pending)
    if count > 0 and s.binding != PUSH:
        wait = s.action_mask.shape[1] - 1
        s.may_wait[i] = pending
        s.action_mask[i, wait] = wp.int8(pending)
        if pending == 1:
            count += 1
    return count
