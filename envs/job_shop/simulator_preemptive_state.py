"""The state of a machine that may be taken away from a job: one line for each array."""

import warp as wp

from ..core.fields import COMMON, Field, struct

# Kinds of piece: what ran, and when.
JOB, STEP, START, END = (wp.constant(kind) for kind in range(4))
PIECE_KINDS = 4

FIELDS = (
    *COMMON,
    Field("quantum", "", "longest time a job runs until the next decision; 0: until an event"),
    Field("all_known", "", "1: every length of a known job is known; 0: that of its operation at hand alone"),
    Field("revealed", "", "1: a job is unknown before its release"),
    Field("forced_moves", "", "1: moves without an alternative are applied by the simulator"),
    Field("makespan_cost", "", "coefficient of the makespan in the objective"),
    Field("lateness_cost", "", "coefficient of the maximum lateness"),
    Field("costs", "", "1: jobs have due dates or weights, which are shown"),
    # The bank of instances.
    Field("jobs", "bank", "number of jobs"),
    Field("operations", "bank job", "length of each job's chain"),
    Field("duration", "bank job operation", "processing time"),
    Field("release", "bank job", "earliest start of the job"),
    Field(
        "job_costs",
        "bank job cost_kind",
        "DUE date (DISTANT without one), WEIGHT, and FLOW, TARDY, LATE costs, as in simulator_state.py",
    ),  # fmt: skip
    Field("worst_makespan", "bank", "all work after the last release"),
    Field(
        "cost_scale",
        "bank cost_pair",
        "what rewards are a share of; objective of all jobs complete at the worst makespan",
        "int64",
    ),  # fmt: skip
    # What happened so far.
    Field("now", "env", "the time"),
    Field("left", "env", "jobs not yet complete"),
    Field("current", "env", "the job that ran last; -1 before the first"),
    Field("used", "env", "how much of its quantum it has used since it was picked"),
    Field("next_operation", "env job", "operation at hand of each job; the chain's length when complete"),
    Field("work_left", "env job", "processing time to come of the whole job"),
    Field("operation_left", "env job", "what is left of the operation at hand"),
    Field("ran", "env job", "when the job ran last; its release before it has"),
    Field("completion", "env job", "when it was complete, once it is"),
    Field("piece", "env piece piece_kind", "what ran when, in order: JOB, STEP, START, END"),
    Field("pieces", "env", "number of these so far"),
    Field("bound", "env", "lower bound of the makespan; the makespan itself at the end"),
    Field("cost", "env", "lower bound of the objective; the objective itself at the end", "int64"),
    Field("rewarded", "env", "that bound as of the last reward", "int64"),
    Field("only", "env", "lowest candidate"),
    # The choice: one row per job. Rules read these as columns.
    Field("next_machine", "env action", "0; -1 when the job is complete"),
    Field("processing_time", "env action", "of the operation at hand"),
    Field("operation_remaining", "env action", "what is left of the operation at hand"),
    Field("remaining_work", "env action", "what is left of all operations that are known"),
    Field("remaining_operations", "env action", "known operations to come, that at hand included"),
    Field("completed_work", "env action", "how long the job has run"),
    Field("arrival", "env action", "release of the job"),
    Field("earliest_start", "env action", "now, or its release"),
    Field("last_run", "env action", "when the job ran last; its release before it has; 0 while that is unknown"),
    Field("quantum_left", "env action", "what is left of its quantum; 0 unless it ran last"),
    Field("due_date", "env action_cost", "due date of the job; DISTANT without one"),
    Field("operation_due_date", "env action_cost", "the same: operations have none of their own"),
    Field("slack", "env action_cost", "due date minus now minus remaining work"),
    Field("weight", "env action_cost", "weight of the job"),
    Field("action_mask", "env action", "1: the job may run", "int8"),
    # The observation (see observe_preemptive.py).
    Field("work", "env work work_feature", "features of the jobs", "float32"),
    Field("resource", "env resource resource_feature", "features of the machine", "float32"),
    Field("context", "env context_feature", "global features", "float32"),
    Field("assignment", "env two edge", "edges of the jobs to the machine", "int64"),
    Field("assignment_attr", "env edge edge_feature", "their features", "float32"),
    Field("candidate", "env action two", "job and machine of each action", "int64"),
    Field("candidate_attr", "env action candidate_feature", "their features", "float32"),
)

Struct = struct("JobShopPreemptiveState", __name__, FIELDS)
# Simulators take the state by reference, which compiles soonest.
State = wp.ref[Struct]
