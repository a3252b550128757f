"""The classic view: the disjunctive graph, one work node per operation.

Job arcs lead from each operation to the next one of its job. Of the disjunctive arcs, those that are decided are
present: from each committed operation's predecessor on its machine. What is not decided is carried by the assignment
edges to the machines, which join all operations that compete. Scaling as in observe.py.
"""

import warp as wp

from ..core.features import clip
from ..core.graph import Feature
from .observe import clear_ended, show_rest, survey
from .observe_costs import show_job_costs
from .observe_limits import show_job_setup
from .simulator_state import Struct as State

OPERATION = (
    Feature("committed", "1 once it is scheduled"),
    Feature("candidate", "1 if it may be chosen now"),
    Feature("next", "1 if it is its job's next operation"),
    Feature("processing_time", "/ p / 2", 0, 4),
    Feature("completion_bound", "(earliest completion - t) / L", -1, 2),
    Feature("tail", "work of the job after it / L", 0, 2),
    Feature("slack", "(bound - earliest completion - tail) / L"),
    Feature("position", "operations of the job before it / machines", 0, 4),
    Feature("exists", "1, or 0 for padding"),
)
MACHINE_EDGE = (Feature("processing_time", "/ p / 2", 0, 4),)
ARC = (
    Feature("job", "1 for an arc of the job's route"),
    Feature("machine", "1 for a decided arc of a machine"),
)


@wp.func
def lay_out(s: State, i: int, by_p: float):
    """Write what does not change in an episode: job arcs and machine edges."""
    b = s.instance[i]
    route = s.duration.shape[2]
    nodes = s.work.shape[1]
    for a in range(s.precedence.shape[2]):
        s.precedence[i, 0, a] = wp.int64(nodes)
        s.precedence[i, 1, a] = wp.int64(nodes)
        s.precedence_attr[i, a, 0] = 0.0
        s.precedence_attr[i, a, 1] = 0.0
    for j in range(s.jobs[b]):
        for o in range(s.operations[b, j]):
            v = j * route + o
            s.assignment[i, 0, v] = wp.int64(v)
            s.assignment[i, 1, v] = wp.int64(s.machine[b, j, o])
            s.assignment_attr[i, v, 0] = clip(float(s.duration[b, j, o]) * by_p * 0.5, 0.0, 4.0)
            if o > 0:
                s.precedence[i, 0, v] = wp.int64(v - 1)
                s.precedence[i, 1, v] = wp.int64(v)
                s.precedence_attr[i, v, 0] = 1.0


@wp.func
def show_arc(s: State, i: int, v: int):
    """The decided arc into committed node v, if it has one."""
    arc = s.work.shape[1] + v
    before = s.predecessor[i, v]
    if before >= 0:
        s.precedence[i, 0, arc] = wp.int64(before)
        s.precedence[i, 1, arc] = wp.int64(v)
        s.precedence_attr[i, arc, 1] = 1.0


@wp.func
def show_route(s: State, i: int, j: int, bound: int, by_p: float, by_left: float):
    """Features of all operations of job j."""
    b = s.instance[i]
    t = s.time[i]
    first = s.next_operation[i, j]
    rest = s.work_content[b, j]
    completion = int(0)
    for o in range(s.operations[b, j]):
        v = j * s.duration.shape[2] + o
        duration = s.duration[b, j, o]
        rest -= duration
        if o < first:
            completion = s.start[i, j, o] + duration
            show_arc(s, i, v)
        elif o == first:
            completion = s.earliest_start[i, j] + duration
        else:
            completion += duration
        s.work[i, v, 0] = float(int(o < first))
        s.work[i, v, 1] = 0.0
        if o == first:
            s.work[i, v, 1] = float(int(s.action_mask[i, j]))
        s.work[i, v, 2] = float(int(o == first))
        s.work[i, v, 3] = clip(float(duration) * by_p * 0.5, 0.0, 4.0)
        s.work[i, v, 4] = clip(float(completion - t) * by_left, -1.0, 2.0)
        s.work[i, v, 5] = clip(float(rest) * by_left, 0.0, 2.0)
        s.work[i, v, 6] = clip(float(bound - completion - rest) * by_left, 0.0, 1.0)
        s.work[i, v, 7] = clip(float(o) / float(s.machines[b]), 0.0, 4.0)
        s.work[i, v, 8] = 1.0
        if s.costs == 1:
            if o >= first:
                show_job_costs(s, i, j, v, 9, by_p)
            else:
                for f in range(9, s.work.shape[2]):
                    s.work[i, v, f] = 0.0
        if s.setups == 1:
            show_job_setup(s, i, j, v, 9 + 6 * s.costs, o, by_p)


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of the disjunctive graph."""
    if s.stale[i] == 1 or s.terminated[i] == wp.int8(1):
        clear_ended(s, i)
        lay_out(s, i, 1.0 / s.means[s.instance[i], 0])
    if s.terminated[i] == wp.int8(1):
        return
    total, bound, largest, by_p, by_left = survey(s, i)
    for j in range(s.jobs[s.instance[i]]):
        show_route(s, i, j, bound, by_p, by_left)
    show_rest(s, i, total, bound, largest, by_p, by_left)
