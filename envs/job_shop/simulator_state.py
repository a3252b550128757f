"""The state of a job shop: one line for each array."""

import warp as wp

from ..core.fields import COMMON, Field, struct

LATEST = wp.constant(2**30)  # later than any time of an instance; never enters a sum
# Kinds of of_machine: sum of the processing times on the machine, number of operations, smallest time before one can
# start and smallest time left after one.
LOAD, COUNT, HEAD, LEAST_TAIL = (wp.constant(kind) for kind in range(4))
MACHINE_KINDS = 4
# Kinds of means: the mean processing time, 1 / mean over jobs of the price of time, and of the cost of being late.
MEAN_KINDS = 3
# Kinds of timeline: start, end (both with insertion) and job * longest route + operation (with insertion or arcs).
START, END, NODE = (wp.constant(kind) for kind in range(3))
TIMELINE_KINDS = 3
# Kinds of machine_survey: first arrival of an operation to come, smallest time left after one, bound of the makespan
# through the machine, jobs that wait for it, and their processing times.
ARRIVAL, TAIL, BOUND, WAITING, WAITING_WORK = (wp.constant(kind) for kind in range(5))
SURVEY_KINDS = 5
# Kinds of job_costs: two numbers of a job, and what a unit of time in the shop, a unit of tardiness and lateness cost.
DUE, WEIGHT, FLOW, TARDY, LATE = (wp.constant(kind) for kind in range(5))
COST_KINDS = 5
# Kinds of machine_setup: the row of setup that the machine stands at, and the least setups still to come there.
TURNED, LEAST = (wp.constant(kind) for kind in range(2))
SETUP_KINDS = 2
DISTANT = 2**28  # due date of a job without one: no schedule of an instance lasts as long

FIELDS = (
    *COMMON,
    Field("delta", "", "width of the choice set in millionths: 0 non-delay, 1000000 active"),
    Field("insertion", "", "1: any job, first gap that fits; 0: focus machine and delta"),
    Field("waits", "", "1: all that could start now may be put off, and candidates are on any machine"),
    Field("forced_moves", "", "1: moves without an alternative are applied by the simulator"),
    Field("arcs", "", "1: keep track of the order on the machines for the operation graph"),
    Field("makespan_cost", "", "coefficient of the makespan in the objective"),
    Field("lateness_cost", "", "coefficient of the maximum lateness"),
    Field("costs", "", "1: there are due dates, weights or another objective than the makespan; 0: none of these"),
    Field("limited", "", "1: there are setup times or windows"),
    Field("setups", "", "1: there are setup times"),
    Field("calendars", "", "1: there are windows"),
    # The bank of instances.
    Field("jobs", "bank", "number of jobs"),
    Field("machines", "bank", "number of machines"),
    Field("operations", "bank job", "length of each job's route"),
    Field("duration", "bank job operation", "processing time"),
    Field("machine", "bank job operation", "machine of the operation"),
    Field("slot", "bank job operation", "position of the operation's edge among those of its job"),
    Field("release", "bank job", "earliest start of the job"),
    Field("work_content", "bank job", "sum of the job's processing times"),
    Field(
        "of_machine", "bank machine machine_kind", "LOAD, COUNT, least HEAD and LEAST_TAIL of the machine, kinds above"
    ),
    Field("initial_bound", "bank", "lower bound of the makespan"),
    Field("worst_makespan", "bank", "one operation after the other, after the last release"),
    Field("means", "bank mean_kind", "mean processing time, at least 1, and what else is above MEAN_KINDS", "float32"),
    # What the objective is made of. Few arrays, since functions that are not inlined are handed a copy of the struct;
    # of length 0 without costs.
    Field(
        "job_costs", "bank job_cost cost_kind", "DUE date (DISTANT without one), WEIGHT, and FLOW, TARDY, LATE costs"
    ),
    Field("operation_due", "bank job_cost operation", "due date of the operation, its share of the job's work"),
    Field(
        "cost_scale",
        "bank cost_pair",
        "what rewards are a share of; objective of the schedule of worst_makespan",
        "int64",
    ),
    # Setup times and windows; of length 0 without them.
    Field(
        "setup",
        "bank setup_machine setup_row family",
        "setup time into a job of a family: row 0 from the initial state, 1 + f from family f, the last one the least",
    ),
    Field("setup_family", "bank setup_job", "family of the job"),
    Field("window", "bank window_machine window cost_pair", "start and end of the windows in order; -1 for none"),
    # What happened so far.
    Field("next_operation", "env job", "operation of each job that comes next; the route's length when done"),
    Field("free", "env machine", "completion of the last operation on the machine"),
    Field("load", "env machine", "processing time still to come on the machine"),
    Field("queue", "env machine", "operations still to come on the machine"),
    Field("machine_setup", "env setup_machine setup_kind", "TURNED and LEAST of the machine, kinds above"),
    Field("start", "env job operation", "start of each committed operation"),
    Field("left", "env", "operations not yet committed"),
    Field("bound", "env", "lower bound of the makespan; the makespan itself at the end"),
    Field("rewarded", "env", "the bound as of the last reward: with costs that of the objective", "int64"),
    Field("cost", "env", "lower bound of the objective; the objective itself at the end", "int64"),
    Field(
        "timeline",
        "env machine place timeline_kind",
        "what stands on the machine in order: START, END, NODE; kinds above",
    ),
    Field("predecessor", "env node", "arcs: node before this one on its machine, -1 for none"),
    # The choice: one row per job, about its next operation, and one for waiting, where that is an action (next_machine
    # -1, the others 0). Rules read these as columns.
    Field("focus", "env", "the focus machine; -1 with insertion and at the end"),
    Field("time", "env", "the decision time: smallest earliest start of a candidate"),
    Field("only", "env", "lowest candidate"),
    Field("hold", "env held", "waiting: the job's next operation was put off until here"),
    Field("next_machine", "env action", "machine of the next operation; -1 when the job is done"),
    Field("processing_time", "env action", "of the next operation"),
    Field("remaining_work", "env action", "processing time to come, the next operation included"),
    Field("remaining_operations", "env action", "operations to come, the next one included"),
    Field("completed_work", "env action", "processing time of the committed operations"),
    Field("arrival", "env action", "when the job reaches its next machine: release or completion of what came before"),
    Field("earliest_start", "env action", "of the next operation"),
    Field("due_date", "env action_cost", "due date of the job; DISTANT without one"),
    Field("operation_due_date", "env action_cost", "due date of the next operation"),
    Field("slack", "env action_cost", "due date minus decision time minus remaining work"),
    Field("weight", "env action_cost", "weight of the job"),
    Field("setup_time", "env action_setup", "of the next operation if it comes next on its machine"),
    Field("action_mask", "env action", "1: the job is a candidate", "int8"),
    # The observation (see observe.py).
    Field("stale", "env", "1: the observation still shows another episode"),
    Field("shown", "env job", "operations whose edges are cleared already"),
    Field("machine_survey", "env machine survey_kind", "scratch of observe, kinds above"),
    Field("work", "env work work_feature", "features of the work nodes", "float32"),
    Field("resource", "env resource resource_feature", "features of the machines", "float32"),
    Field("context", "env context_feature", "global features", "float32"),
    Field("assignment", "env two edge", "operation edges: work node, machine", "int64"),
    Field("assignment_attr", "env edge edge_feature", "their features", "float32"),
    Field("candidate", "env action two", "work node and machine of each action", "int64"),
    Field("candidate_attr", "env action candidate_feature", "their features", "float32"),
    Field("precedence", "env two arc", "operation graph: arcs between work nodes", "int64"),
    Field("precedence_attr", "env arc arc_feature", "their features", "float32"),
)

Struct = struct("JobShopState", __name__, FIELDS)
# Simulators take the state by reference, which compiles soonest; observations by value, which reads it faster on a CPU.
State = wp.ref[Struct]
