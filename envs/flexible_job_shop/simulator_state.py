"""The state of a flexible job shop: one line for each array."""

import warp as wp

from ..core.fields import COMMON, Field, struct

LATEST = wp.constant(2**30)  # later than any time of an instance; never enters a sum
# Kinds of ahead, about an operation: its shortest time, the shortest times from it on, the mean times from it on
# (rounded once), its only machine or -1, the number of its machines.
SHORTEST, LEAST, MEAN, ONLY, ALTERNATIVES = (wp.constant(kind) for kind in range(5))
AHEAD_KINDS = 5
# Kinds of bound_to: processing time and number of operations to come that can run on this machine alone.
LOAD, NUMBER = (wp.constant(kind) for kind in range(2))
BOUND_KINDS = 2

FIELDS = (
    *COMMON,
    Field("delta", "", "width of the choice set in millionths: 0 non-delay, 1000000 active"),
    Field("waits", "", "1: all that could start now may be put off"),
    Field("forced_moves", "", "1: moves without an alternative are applied by the simulator"),
    # The bank of instances.
    Field("jobs", "bank", "number of jobs"),
    Field("machines", "bank", "number of machines"),
    Field("operations", "bank job", "length of each job's route"),
    Field("duration", "bank job operation machine", "processing time; -1 where the operation cannot run"),
    Field("ahead", "bank job operation ahead_kind", "of the operation and those after it, kinds above"),
    Field("later_count", "bank job operation machine", "operations of the job after it that can run there", "float32"),
    Field("later_share", "bank job operation machine", "work they put there if they chose at random", "float32"),
    Field("release", "bank job", "earliest start of the job"),
    Field("alone", "bank machine bound_kind", "bound_to at the start"),
    Field("least_tail", "bank machine", "least work of a job after an operation that can run on this machine alone"),
    Field("initial_bound", "bank", "lower bound of the makespan"),
    Field("initial_energy", "bank", "sum of the shortest times of all operations", "int64"),
    Field("worst_makespan", "bank", "one operation after the other on its slowest machine, after the last release"),
    Field("mean_time", "bank", "mean over operations of the mean processing time, at least 1", "float32"),
    # What happened so far.
    Field("next_operation", "env job", "operation of each job that comes next; the route's length when done"),
    Field("available", "env machine", "time from which the machine can run something else"),
    Field("bound_to", "env machine bound_kind", "what can run on this machine alone, kinds above"),
    Field("start", "env job operation", "start of each committed operation"),
    Field("ran_on", "env job operation", "machine of each committed operation"),
    Field("left", "env", "operations not yet committed"),
    Field("energy", "env", "sum of available, and of the shortest times to come", "int64"),
    Field("bound", "env", "lower bound of the makespan; the makespan itself at the end"),
    Field("rewarded", "env", "the bound as of the last reward"),
    # The choice: one row per job and machine (job * machines + machine) about the job's next operation, and one for
    # waiting, where that is an action (next_machine -1, the others 0). Rules read these as columns.
    Field("time", "env", "the decision time: smallest earliest start of a pair"),
    Field("only", "env", "lowest candidate"),
    Field("chances", "env job", "candidates of the job"),
    Field("rivals", "env machine", "candidates on the machine"),
    Field("next_machine", "env action", "the machine; -1 where the next operation cannot run or the job is done"),
    Field("processing_time", "env action", "of the next operation on this machine; 0 where it cannot run"),
    Field("shortest_time", "env action", "of the next operation on any machine"),
    Field("alternatives", "env action", "number of machines that can run the next operation"),
    Field("remaining_work", "env action", "mean processing times to come over machines, the next operation included"),
    Field("least_work", "env action", "the same of shortest processing times"),
    Field("remaining_operations", "env action", "operations to come, the next one included"),
    Field("arrival", "env action", "when the job is ready: its release, or completion of what came before"),
    Field("free", "env action", "time from which the machine can run something else"),
    Field("earliest_start", "env action", "of the next operation on this machine; 0 where it cannot run"),
    Field("earliest_finish", "env action", "of the next operation on this machine; 0 where it cannot run"),
    Field("action_mask", "env action", "1: the pair is a candidate", "int8"),
    # The observation (see observe.py).
    Field("stale", "env", "1: the observation still shows another episode"),
    Field("work", "env work work_feature", "features of the jobs", "float32"),
    Field("resource", "env resource resource_feature", "features of the machines", "float32"),
    Field("context", "env context_feature", "global features", "float32"),
    Field("assignment", "env two edge", "edges: job, machine", "int64"),
    Field("assignment_attr", "env edge edge_feature", "their features", "float32"),
    Field("candidate", "env action two", "job and machine of each action", "int64"),
    Field("candidate_attr", "env action candidate_feature", "their features", "float32"),
)

Struct = struct("FlexibleJobShopState", __name__, FIELDS)
# Simulators take the state by reference, which compiles soonest; observations by value, which reads it faster on a CPU.
State = wp.ref[Struct]
