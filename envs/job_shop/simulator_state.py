"""The state of a job shop: one line for each array."""

import warp as wp

from ..core.fields import COMMON, Field, struct

LATEST = wp.constant(2**30)  # later than any time of an instance; never enters a sum
DISTANT = 2**28  # due date of a job without one: no schedule of an instance lasts as long

FIELDS = (
    *COMMON,
    Field("delta", "", "width of the choice set in millionths: 0 non-delay, 1000000 active"),
    Field("insertion", "", "1: any job, first gap that fits; 0: focus machine and delta"),
    Field("forced_moves", "", "1: moves without an alternative are applied by the simulator"),
    Field("arcs", "", "1: keep track of the order on the machines for the operation graph"),
    Field("costs", "", "1: there are due dates, weights or another objective than the makespan; 0: none of these"),
    # The bank of instances.
    Field("jobs", "bank", "number of jobs"),
    Field("machines", "bank", "number of machines"),
    Field("operations", "bank job", "length of each job's route"),
    Field("duration", "bank job operation", "processing time"),
    Field("machine", "bank job operation", "machine of the operation"),
    Field("slot", "bank job operation", "position of the operation's edge among those of its job"),
    Field("release", "bank job", "earliest start of the job"),
    Field("work_content", "bank job", "sum of the job's processing times"),
    Field("machine_load", "bank machine", "sum of the processing times on the machine"),
    Field("machine_operations", "bank machine", "number of operations on the machine"),
    Field("head", "bank machine", "smallest time before an operation of the machine can start"),
    Field("tail", "bank machine", "smallest time left after an operation of the machine"),
    Field("initial_bound", "bank", "lower bound of the makespan"),
    Field("worst_makespan", "bank", "one operation after the other, after the last release"),
    Field("mean_duration", "bank", "mean processing time, at least one", "float32"),
    # What the objective is made of; of length 0 without costs, like all fields of the axis job_cost or cost.
    Field("makespan_cost", "bank", "coefficient of the makespan"),
    Field("lateness_cost", "bank", "coefficient of the maximum lateness"),
    Field("flow_cost", "bank job_cost", "cost of a unit of time between the job's release and its completion"),
    Field("tardy_cost", "bank job_cost", "cost of a unit of time between its due date and its completion"),
    Field("late_cost", "bank job_cost", "cost of completing after the due date at all"),
    Field("due", "bank job_cost", "due date; DISTANT where the job has none"),
    Field("operation_due", "bank job_cost operation", "due date of the operation, its share of the job's work"),
    Field("job_weight", "bank job_cost", "weight of the job"),
    Field("cost_scale", "bank", "what rewards are a share of", "int64"),
    Field("worst_cost", "bank", "objective of the schedule of worst_makespan", "int64"),
    # What happened so far.
    Field("next_operation", "env job", "operation of each job that comes next; the route's length when done"),
    Field("free", "env machine", "completion of the last operation on the machine"),
    Field("load", "env machine", "processing time still to come on the machine"),
    Field("queue", "env machine", "operations still to come on the machine"),
    Field("start", "env job operation", "start of each committed operation"),
    Field("left", "env", "operations not yet committed"),
    Field("bound", "env", "lower bound of the makespan; the makespan itself at the end"),
    Field("rewarded", "env", "the bound as of the last reward"),
    Field("cost", "env", "lower bound of the objective; the objective itself at the end", "int64"),
    Field("rewarded_cost", "env", "that bound as of the last reward", "int64"),
    Field("timeline_start", "env machine place", "insertion: starts on the machine in order"),
    Field("timeline_end", "env machine place", "insertion: their ends"),
    Field("timeline_node", "env machine place", "insertion or arcs: job * longest route + operation, in order"),
    Field("predecessor", "env node", "arcs: node before this one on its machine, -1 for none"),
    # The choice: one row per job, about its next operation. Rules read these as columns.
    Field("focus", "env", "the focus machine; -1 with insertion and at the end"),
    Field("time", "env", "the decision time: smallest earliest start of a candidate"),
    Field("only", "env", "lowest candidate"),
    Field("next_machine", "env job", "machine of the next operation; -1 when the job is done"),
    Field("processing_time", "env job", "of the next operation"),
    Field("remaining_work", "env job", "processing time to come, the next operation included"),
    Field("remaining_operations", "env job", "operations to come, the next one included"),
    Field("completed_work", "env job", "processing time of the committed operations"),
    Field("arrival", "env job", "when the job reaches its next machine: release or completion of what came before"),
    Field("earliest_start", "env job", "of the next operation"),
    Field("due_date", "env job_cost", "due date of the job; DISTANT without one"),
    Field("operation_due_date", "env job_cost", "due date of the next operation"),
    Field("slack", "env job_cost", "due date minus decision time minus remaining work"),
    Field("weight", "env job_cost", "weight of the job"),
    Field("action_mask", "env job", "1: the job is a candidate", "int8"),
    # The observation (see observe.py).
    Field("stale", "env", "1: the observation still shows another episode"),
    Field("shown", "env job", "operations whose edges are cleared already"),
    Field("earliest_arrival", "env machine", "scratch of observe: first arrival of an operation to come"),
    Field("least_tail", "env machine", "scratch of observe: smallest time left after an operation to come"),
    Field("machine_bound", "env machine", "scratch of observe: bound of the makespan through this machine"),
    Field("waiting", "env machine", "scratch of observe: jobs that wait for the machine"),
    Field("waiting_work", "env machine", "scratch of observe: their processing times"),
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

State = struct("JobShopState", __name__, FIELDS)
