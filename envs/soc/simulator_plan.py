"""Transfers, gaps, and plans of all that is left: what tells where a task can go and how the rest would follow.

A plan is a list schedule of every task that is not yet committed or started, by the estimates: in the order of HEFT
(upward rank, Topcuoglu, Hariri and Wu 2002) or PEFT (optimistic cost, Arabnejad and Barbosa 2014), on the element with
the least earliest finish, plus optimistic cost where the planner looks ahead. It is the pilot (a rollout of a rule for
every candidate, Duin and Voss 1999) when a graph is planned, and what replanning executes when time passes.
"""

import warp as wp

from .simulator_state import DONE, FIFO, HEFT, LATEST, PEFT, RANK_OCT, RUNNING, SRPT, State, Struct


@wp.func(inline=True)
def transfer_time(s: State, b: int, g: int, k: int, source: int, target: int):
    """Time that the data of link k of graph g take from one element to another."""
    if source == target:
        return 0
    if s.uniform[b] == 1:  # a division costs more than all the rest
        return s.before_time[b, g, k]
    volume = s.before_volume[b, g, k]
    whole = volume // s.bandwidth[b, source, target]
    if s.round_up == 1 and whole * s.bandwidth[b, source, target] < volume:
        whole = whole + 1
    return s.latency[b, source, target] + whole


@wp.func
def arrival_over_bus(s: State, i: int, v: int, p: int, commit: int):
    """When the data of node v are on element p if every transfer takes its turn on the bus; optionally book them."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    result = int(s.admission[i, j])
    free = int(s.bus_free[i])
    for k in range(s.first_before[b, g, t], s.first_before[b, g, t + 1]):
        u = j * width + s.before[b, g, k]
        length = transfer_time(s, b, g, k, s.on[i, u], p)
        arrived = int(s.finish[i, u])
        if length > 0:
            begin = wp.max(wp.max(free, arrived), s.now[i])
            arrived = begin + length
            free = arrived
            if commit == 1:
                s.transfer_start[i, j, s.before_edge[b, g, k]] = begin
        result = wp.max(result, arrived)
    if commit == 1:
        s.bus_free[i] = free
    return result


@wp.func
def arrival_at(s: State, i: int, v: int, p: int):
    """When the data of node v can be on element p; all its predecessors are committed or done."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    result = int(s.admission[i, j])
    for k in range(s.first_before[b, g, t], s.first_before[b, g, t + 1]):
        u = j * width + s.before[b, g, k]
        result = wp.max(result, s.finish[i, u] + transfer_time(s, b, g, k, s.on[i, u], p))
    return result


@wp.func
def gap_start(s: State, i: int, p: int, arrival: int, length: int):
    """Planning: earliest start of a task on element p, in the first gap that fits or at the end."""
    count = s.timeline_count[i, p]
    if count == 0:
        return arrival
    last = wp.max(arrival, s.timeline_end[i, p, count - 1])
    if s.insertion == 0 or last == arrival:
        return last
    idle_from = int(0)
    for k in range(count):
        begin = wp.max(arrival, idle_from)
        if begin + length <= s.timeline_start[i, p, k]:
            return begin
        idle_from = s.timeline_end[i, p, k]
    return last


@wp.func
def take_gap(s: State, i: int, p: int, start: int, end: int):
    """Planning: put a task on element p's timeline, moving what comes after it; ends stay in order, too."""
    k = int(s.timeline_count[i, p])
    while k > 0 and s.timeline_end[i, p, wp.max(k - 1, 0)] > start:
        s.timeline_start[i, p, k] = s.timeline_start[i, p, k - 1]
        s.timeline_end[i, p, k] = s.timeline_end[i, p, k - 1]
        k -= 1
    s.timeline_start[i, p, k] = start
    s.timeline_end[i, p, k] = end
    s.timeline_count[i, p] = s.timeline_count[i, p] + 1


@wp.func(inline=True)
def planned_gap(s: State, i: int, p: int, arrival: int, length: int):
    """Earliest start of a task in the plan of element p (see gap_start)."""
    count = s.plan_count[i, p]
    if count == 0:
        return arrival
    last = wp.max(arrival, s.plan_end[i, p, count - 1])
    if s.insertion == 0 or last == arrival:
        return last
    idle_from = int(0)
    for k in range(count):
        begin = wp.max(arrival, idle_from)
        if begin + length <= s.plan_start[i, p, k]:
            return begin
        idle_from = s.plan_end[i, p, k]
    return last


@wp.func(inline=True)
def take_planned_gap(s: State, i: int, p: int, start: int, end: int):
    """Put a task into the plan of element p, moving what comes after it."""
    k = int(s.plan_count[i, p])
    while k > 0 and s.plan_end[i, p, wp.max(k - 1, 0)] > start:
        s.plan_start[i, p, k] = s.plan_start[i, p, k - 1]
        s.plan_end[i, p, k] = s.plan_end[i, p, k - 1]
        k -= 1
    s.plan_start[i, p, k] = start
    s.plan_end[i, p, k] = end
    s.plan_count[i, p] = s.plan_count[i, p] + 1


@wp.func(inline=True)
def place(s: State, i: int, v: int, p: int, start: int, length: int):
    """Write node v into the plan."""
    take_planned_gap(s, i, p, start, start + length)
    s.plan_on[i, v] = p
    s.plan_begin[i, v] = start
    s.plan_finish[i, v] = start + length


@wp.func(inline=True)
def planned_arrival(s: State, i: int, v: int, p: int):
    """When the data of node v would be on element p, its predecessors being done, running or planned."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    result = int(wp.max(s.admission[i, j], s.now[i]))
    for k in range(s.first_before[b, g, t], s.first_before[b, g, t + 1]):
        u = j * width + s.before[b, g, k]
        source = s.on[i, u]
        finish = s.finish[i, u]
        if s.status[i, u] == RUNNING:  # nobody knows yet when it really ends
            finish = s.expected[i, source]
        elif s.status[i, u] != DONE:
            source = s.plan_on[i, u]
            finish = s.plan_finish[i, u]
        result = wp.max(result, finish + transfer_time(s, b, g, k, source, p))
    return result


@wp.func(inline=True)
def plan_task(s: State, i: int, v: int, planner: int):
    """Put node v where the planner wants it; returns its finish."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    least = int(2147483647)
    where = int(0)
    when = int(0)
    for p in range(s.elements[b]):
        length = s.execution[b, g, t, p]
        if length >= 0:
            start = planned_gap(s, i, p, planned_arrival(s, i, v, p), length)
            value = start + length
            if planner != HEFT:
                value = value + s.optimistic[b, g, t, p]
            if value < least:
                least = value
                where = p
                when = start
    place(s, i, v, where, when, s.execution[b, g, t, where])
    return s.plan_finish[i, v]


@wp.func(inline=True)
def sequence(s: State, i: int, j: int, k: int, planner: int):
    """Node at place k of job j's sequence."""
    b = s.instance[i]
    g = s.arrival_graph[b, j]
    if planner == PEFT:
        return j * s.execution.shape[2] + s.oct_sequence[b, g, k]
    return j * s.execution.shape[2] + s.rank_sequence[b, g, k]


@wp.func(inline=True)
def is_free(s: State, i: int, v: int):
    """Whether node v is neither planned nor begun."""
    return s.status[i, v] < RUNNING and s.plan_on[i, v] < 0


@wp.func(inline=True)
def count_waits(s: State, i: int, j: int):
    """PEFT takes whichever task is ready: count for each task of job j the predecessors still to be planned."""
    b = s.instance[i]
    width = s.execution.shape[2]
    g = s.arrival_graph[b, j]
    for t in range(s.tasks[b, g]):
        if is_free(s, i, j * width + t):
            waits = int(0)
            for k in range(s.first_before[b, g, t], s.first_before[b, g, t + 1]):
                if is_free(s, i, j * width + s.before[b, g, k]):
                    waits += 1
            s.plan_waits[i, j * width + t] = waits


@wp.func(inline=True)
def release_planned(s: State, i: int, v: int):
    """Node v is planned: its successors wait for one less."""
    b = s.instance[i]
    width = s.execution.shape[2]
    j = v // width
    t = v - j * width
    g = s.arrival_graph[b, j]
    for k in range(s.first_after[b, g, t], s.first_after[b, g, t + 1]):
        u = j * width + s.after[b, g, k]
        s.plan_waits[i, u] = s.plan_waits[i, u] - 1


@wp.func(inline=True)
def next_planned(s: State, i: int, j: int, planner: int):
    """First node of job j's sequence that can be planned; -1 if none is left."""
    b = s.instance[i]
    last = s.tasks[b, s.arrival_graph[b, j]]
    k = int(s.plan_next[i, j])
    while k < last and not is_free(s, i, sequence(s, i, j, wp.min(k, last - 1), planner)):
        k += 1
    s.plan_next[i, j] = k
    found = int(-1)
    while found < 0 and k < last:
        v = sequence(s, i, j, k, planner)
        # Upward ranks fall along every edge, so in their order nothing waits.
        if planner != PEFT or (is_free(s, i, v) and s.plan_waits[i, v] == 0):
            found = v
        k += 1
    return found


@wp.func(inline=True)
def urgency(s: State, i: int, j: int, v: int, planner: int):
    """What job j's next node is compared by; the smallest is planned first, ties to the lowest job."""
    b = s.instance[i]
    t = v - j * s.execution.shape[2]
    g = s.arrival_graph[b, j]
    if s.priority == SRPT:
        return s.job_left[i, j]
    if s.priority == FIFO:
        return j
    if planner == PEFT:
        return s.oct_position[b, g, t]
    return s.rank_position[b, g, t]


@wp.func(inline=True)
def plan_rest(s: State, i: int, planner: int):
    """Plan every task of the admitted jobs that is neither planned nor begun; returns the latest planned finish."""
    latest = int(0)
    for j in range(s.admitted[i]):
        s.plan_next[i, j] = 0
        if planner == PEFT and s.job_left[i, j] > 0:
            count_waits(s, i, j)
    going = int(1)
    while going == 1:
        best = int(-1)
        least = int(LATEST)
        for j in range(s.admitted[i]):
            if s.job_left[i, j] > 0:
                v = next_planned(s, i, j, planner)
                if v >= 0:
                    value = urgency(s, i, j, v, planner)
                    if value < least:
                        least = value
                        best = v
        if best >= 0:
            latest = wp.max(latest, plan_task(s, i, best, planner))
            if planner == PEFT:
                release_planned(s, i, best)
        else:
            going = 0
    return latest


@wp.func(inline=True)
def forget_plan(s: State, i: int):
    """Nothing is planned; elements are taken by what is committed or runs on them."""
    b = s.instance[i]
    width = s.execution.shape[2]
    for j in range(s.admitted[i]):
        if s.job_left[i, j] > 0:
            for t in range(s.tasks[b, s.arrival_graph[b, j]]):
                s.plan_on[i, j * width + t] = -1
    for p in range(s.elements[b]):
        if s.planning == 1:
            s.plan_count[i, p] = s.timeline_count[i, p]
            for k in range(s.timeline_count[i, p]):
                s.plan_start[i, p, k] = s.timeline_start[i, p, k]
                s.plan_end[i, p, k] = s.timeline_end[i, p, k]
        else:
            s.plan_count[i, p] = 0
            if s.running[i, p] >= 0:
                s.plan_count[i, p] = 1
                s.plan_start[i, p, 0] = 0
                s.plan_end[i, p, 0] = s.free[i, p]


@wp.func
def complete(s: Struct, i: int, v: int, p: int, start: int, length: int, planner: int):
    """Makespan if node v runs on element p at ``start`` and the planner does the rest."""
    forget_plan(s, i)
    place(s, i, v, p, start, length)
    reached = int(start + length)
    for q in range(s.elements[s.instance[i]]):
        if s.timeline_count[i, q] > 0:
            reached = wp.max(reached, s.timeline_end[i, q, s.timeline_count[i, q] - 1])
    return wp.max(reached, plan_rest(s, i, planner))


@wp.func
def pilot(s: State, i: int, v: int, p: int, start: int, length: int):
    """Makespan if node v runs on element p at ``start`` and the option ``pilot`` does the rest."""
    result = complete(s, i, v, p, start, length, RANK_OCT)
    if s.pilot == PEFT:
        result = wp.min(result, complete(s, i, v, p, start, length, PEFT))
    return result


@wp.func
def find_planned(s: State, i: int):
    """For each element, the node that the plan has there first among those not begun."""
    b = s.instance[i]
    for p in range(s.elements[b]):
        s.plan_first[i, p] = -1
    for j in range(s.admitted[i]):
        if s.job_left[i, j] > 0:
            for k in range(s.tasks[b, s.arrival_graph[b, j]]):
                # Predecessors come first by upward rank, so of tasks of length zero that start together they win.
                v = sequence(s, i, j, k, HEFT)
                if s.status[i, v] < RUNNING and s.plan_on[i, v] >= 0:
                    where = s.plan_on[i, v]
                    first = s.plan_first[i, where]
                    if first < 0:
                        s.plan_first[i, where] = v
                    elif s.plan_begin[i, v] < s.plan_begin[i, first] or (
                        s.plan_begin[i, v] == s.plan_begin[i, first] and s.plan_finish[i, v] < s.plan_finish[i, first]
                    ):
                        s.plan_first[i, where] = v
