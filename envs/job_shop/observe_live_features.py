"""The features of a live job shop; see observe_live."""

from ..core.graph import Feature

JOB = (
    Feature("remaining_work", "processing time to come / L"),
    Feature("remaining_operations", "operations to come / machines", 0, 4),
    Feature("ready", "(arrival at the next machine - t) / p / 2", -2.5, 2.5),
    Feature("processing_time", "of the next operation / p / 2", 0, 4),
    Feature("candidate", "1 if it may be chosen now"),
    Feature("slack", "(bound - earliest start - remaining work) / L"),
    Feature("completed", "share of the job's work that has started"),
    Feature("progress", "share of the job's work done after the next operation"),
    Feature("tail", "work after the next operation / L"),
    Feature("second_duration", "processing time of the operation after the next / p / 2", 0, 4),
    Feature("running", "1 while an operation of it runs"),
    Feature("elapsed", "(t - start of that operation) / p / 2", 0, 4),
    Feature("interrupted", "1 while its operation is interrupted"),
    Feature("holding", "1 if it is finished on a machine and holds it"),
    Feature("next_held", "1 if its next machine is not empty"),
    Feature("next_down", "1 if its next machine is shut down"),
    Feature("unfinished", "1 until the job is done"),
)
MACHINE = (
    Feature("free", "(empty from - t) / p / 2", 0, 2.5),
    Feature("load", "work to come / L"),
    Feature("operations", "operations to come / jobs", 0, 4),
    Feature("waiting", "3 * jobs waiting / jobs", 0, 3),
    Feature("waiting_work", "their work / p / 4", 0, 2),
    Feature("slack", "(bound - bound through this machine) / L"),
    Feature("relative_load", "work to come / the largest of any machine"),
    Feature("tail", "smallest work left after an operation to come / L"),
    Feature("earliest_arrival", "(first arrival - t) / p / 2", 0, 2.5),
    Feature("running", "1 while an operation runs"),
    Feature("held", "1 while a finished job holds it"),
    Feature("down", "1 while it is shut down"),
    Feature("since", "(t - when it went down or came up) / p / 8", 0, 4),
    Feature("exists", "1, or 0 for padding"),
)
OPERATION_EDGE = (
    Feature("processing_time", "/ p / 2", 0, 4),
    Feature("steps", "operations of the job before it / machines", 0, 2),
    Feature("head", "work of the job before it / L"),
    Feature("tail", "work of the job after it / L"),
    Feature("next", "1 if it is the job's next operation"),
    Feature("arrival", "(earliest arrival - machine empty) / p / 5", -1, 1),
    Feature("here", "1 if the job is on the machine"),
)
CANDIDATE = (
    Feature("processing_time", "/ p / 2", 0, 4),
    Feature("start_delay", "of waiting: (next event by the estimates - t) / p / 2", 0, 2.5),
    Feature("bound_increase", "(t + processing time + largest remaining work of another candidate - bound) / L", -3, 3),
    Feature("lead", "(remaining work - longest candidate) / L", -2, 2),
    Feature("next_free", "(next machine empty - t) / p / 2", 0, 2.5),
    Feature("next_load", "work to come on the next machine / largest"),
    Feature("next_waiting", "work waiting at the next machine / p / 4", 0, 2),
    Feature("last", "1 if it is the job's last operation"),
    Feature("next_held", "1 if the machine after this one is not empty"),
    Feature("next_down", "1 if the machine after this one is shut down"),
    Feature("leaves", "1 if the job leaves a machine that it holds"),
    Feature("leaves_waiting", "work waiting for the machine that it leaves / p / 4", 0, 2),
    Feature("swap", "jobs that swap machines / machines"),
)
CONTEXT = (
    Feature("unfinished", "share of the known jobs that are unfinished"),
    Feature("candidates", "candidates / jobs"),
    Feature("choice", "candidates / 8", 0, 4),
    Feature("bottleneck", "largest load of a machine / L"),
    Feature("utilisation", "work to come / (machines * L)"),
    Feature("shape", "known unfinished jobs / machines / 3", 0, 4),
    Feature("running", "share of the machines that run"),
    Feature("held", "share of the machines that finished jobs hold"),
    Feature("down", "share of the machines that are shut down"),
)
