"""The state of a live job shop, in which time passes: one line for each array."""

import warp as wp

from ..core.fields import COMMON, Field, struct

UNLIMITED, NONE, SWAP = (wp.constant(kind) for kind in range(3))  # kinds of buffers
WAITING, RUNNING, INTERRUPTED, DONE = (wp.constant(kind) for kind in range(4))  # kinds of status
UP, DOWN = (wp.constant(kind) for kind in range(2))  # kinds of mean_time
MOST_STATES = wp.constant(128)  # states from which the safety rule looks for a way out
STATES = MOST_STATES + 1  # and one that is in the making
BITS = wp.constant(63)  # of a set of machines
SHUTDOWN = wp.constant(0x73687574)  # tells the draws of shutdowns from all others

FIELDS = (
    *COMMON,
    Field("forced_moves", "", "1: moves without an alternative are applied by the simulator"),
    Field("waits", "", "1: waiting is an action"),
    Field("focused", "", "1: candidates of one machine at a time; without buffers' limits the others are independent"),
    Field("buffers", "", "UNLIMITED, NONE, SWAP: what happens to a finished job whose next machine is not empty"),
    Field("safety", "", "1: with NONE, only moves after which the shop can be emptied"),
    Field("restart", "", "1: an interrupted operation begins anew; 0: it goes on"),
    Field("noise", "", "1: processing times are estimates times factors from the quantile table"),
    Field("shutdowns", "", "1: machines go down now and then"),
    Field("reveal", "", "1: jobs are unknown before their release"),
    Field("makespan_cost", "", "coefficient of the makespan in the objective"),
    Field("lateness_cost", "", "coefficient of the maximum lateness"),
    Field("costs", "", "1: there are due dates, weights or another objective than the makespan; 0: none of these"),
    # The bank of instances.
    Field("jobs", "bank", "number of jobs"),
    Field("machines", "bank", "number of machines"),
    Field("operations", "bank job", "length of each job's route"),
    Field("duration", "bank job operation", "processing time, an estimate under noise"),
    Field("machine", "bank job operation", "machine of the operation"),
    Field("slot", "bank job operation", "position of the operation's edge among those of its job"),
    Field("ahead", "bank job ahead", "machines of the operations from each on, as bits, for the safety rule", "int64"),
    Field("release", "bank job", "earliest start of the job"),
    Field("work_content", "bank job", "sum of the job's processing times"),
    Field("of_machine", "bank machine machine_kind", "as in simulator_state; LEAST_TAIL is 0 where jobs are hidden"),
    Field("widest", "bank", "operations of the instance's longest route, which keys the noise"),
    Field("mean_time", "bank cost_pair", "hundred times the mean time UP and DOWN of a machine", "int64"),
    Field("most_waits", "bank", "an episode waits at most so often by choice"),
    Field("initial_bound", "bank", "lower bound of the makespan by the estimates; 0 if jobs are hidden"),
    Field("worst_makespan", "bank", "what counts as the makespan of a failed episode"),
    Field("means", "bank mean_kind", "as in simulator_state", "float32"),
    Field("job_costs", "bank job cost_kind", "as in simulator_state"),
    Field("operation_due", "bank job_cost operation", "due date of the operation, its share of the job's work"),
    Field("cost_scale", "bank cost_pair", "what rewards are a share of; the objective of a failed episode", "int64"),
    Field("quantile", "quantile", "quantiles of the noise in 65536ths"),
    Field("exponential", "exponential", "quantiles of the exponential distribution in 65536ths"),
    # Jobs.
    Field("next_operation", "env job", "operation of each job that starts next; the route's length when all started"),
    Field("status", "env job", "WAITING (outside, in a buffer or on a machine), RUNNING, INTERRUPTED, DONE"),
    Field("released", "env job", "1 once the job may start"),
    Field("at", "env job", "machine that the job holds, -1 for none"),
    Field("begun", "env job", "start of the operation that runs"),
    Field("end", "env job", "when the operation that runs will end; LATEST while it is interrupted"),
    Field("left_over", "env job", "interrupted: processing time that is left"),
    Field("expected", "env job", "running: end by the estimate; interrupted: time that is left by it"),
    Field("start", "env job operation", "start of each operation that has started"),
    # Scratch of the safety rule.
    Field("seat", "env state machine", "who holds the machine, in each of the states that are looked at"),
    Field("position", "env state machine", "operations of that job that have started"),
    Field("tried", "env state", "machines whose jobs have been tried to move"),
    Field("parent", "env state", "state from which it was reached"),
    Field("code", "env state", "hash of the state"),
    # Machines.
    Field("holder", "env machine", "job that the machine holds, -1 when it is empty"),
    Field("down", "env machine", "1 while it is shut down"),
    Field("change", "env machine", "when it goes down or comes up next; LATEST for never"),
    Field("since", "env machine", "when it went down or came up last"),
    Field("stream", "env machine", "key of its shutdowns"),
    Field("draws", "env machine", "spans drawn so far"),
    Field("free", "env machine", "when it is empty by the estimates, at the earliest"),
    Field("load", "env machine", "processing time to come of known jobs"),
    Field("queue", "env machine", "operations to come of known jobs"),
    # The episode.
    Field("time", "env", "now"),
    Field("next_release", "env", "earliest release to come; LATEST for none"),
    Field("left", "env", "operations that have not started"),
    Field("unfinished", "env", "jobs that are not done"),
    Field("waits_left", "env", "how often it may still be waited by choice"),
    Field("deadlock", "env", "1: nothing can happen any more"),
    Field("bound", "env", "makespan by the estimates, at least; the makespan itself at the end"),
    Field("cost", "env", "objective by the estimates, at least, of the known jobs; the objective at the end", "int64"),
    Field("hidden_cost", "env", "what the unknown jobs add to it at least", "int64"),
    Field("rewarded", "env", "cost and hidden cost as of the last reward", "int64"),
    # The choice: a row per job, with SWAP a row per machine, and a row for waiting. Rules read these as columns.
    Field("focus", "env", "the machine whose jobs are candidates; -1 where any may be"),
    Field("only", "env", "lowest candidate"),
    Field("offered", "env action", "waiting: the candidates before", "int8"),
    Field("next_machine", "env action", "machine of the next operation; -1 where there is none or the job is unknown"),
    Field("processing_time", "env action", "of the next operation, by the estimate"),
    Field("remaining_work", "env action", "processing time to come, the next operation included"),
    Field("remaining_operations", "env action", "operations to come, the next one included"),
    Field("completed_work", "env action", "processing time of the operations that have started"),
    Field("arrival", "env action", "release or completion of what came before; by the estimate while that runs"),
    Field("earliest_start", "env action", "of the next operation, by the estimates"),
    Field("due_date", "env action_cost", "due date of the job; DISTANT without one"),
    Field("operation_due_date", "env action_cost", "due date of the next operation"),
    Field("slack", "env action_cost", "due date minus now minus remaining work"),
    Field("weight", "env action_cost", "weight of the job"),
    Field("action_mask", "env action", "1: it may be chosen", "int8"),
    # The observation (see observe_live.py).
    Field("stale", "env", "1: the observation still shows another episode"),
    Field("shown", "env job", "operations whose edges are cleared already; -1 before there are any"),
    Field("machine_survey", "env machine survey_kind", "scratch of observe, kinds in simulator_state"),
    Field("work", "env work work_feature", "features of the jobs", "float32"),
    Field("resource", "env resource resource_feature", "features of the machines", "float32"),
    Field("context", "env context_feature", "global features", "float32"),
    Field("assignment", "env two edge", "operation edges: job, machine", "int64"),
    Field("assignment_attr", "env edge edge_feature", "their features", "float32"),
    Field("candidate", "env action two", "job and machine of each action", "int64"),
    Field("candidate_attr", "env action candidate_feature", "their features", "float32"),
    Field("precedence", "env two arc", "none", "int64"),
)

Struct = struct("JobShopLiveState", __name__, FIELDS)
# Simulators take the state by reference, which compiles soonest; observations by value, which reads it faster on a CPU.
State = wp.ref[Struct]
