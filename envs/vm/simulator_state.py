"""The state of the VM simulator: the instances as arrays, where every VM is, and the choice that is open.

A node is one NUMA node, ``2 * host + numa``. A single VM is on one node; a double VM has half of itself on either node
of a host and is said to be on the first of them. What a VM needs of each of its nodes is its ``need``.
"""

import warp as wp

from ..core.fields import COMMON, Field, struct

LATEST = wp.constant(2**30)  # later than any horizon
SLOT = wp.constant(16)  # cores of the VM that FR-16 counts, on one node
HALF = wp.constant(32)  # cores that the VM of FR-64 needs of both nodes of a host
MEMORY_SLOT = wp.constant(65536)  # MB that fragments of memory are counted in
HARD = wp.constant(5)  # need of a node that few VMs cannot complete
BILLION = wp.constant(1_000_000_000)  # fragment rates are counted in billionths

# What an action is, the option ``moves``.
CLASS, MACRO, VM = (wp.constant(k) for k in range(3))
# What an instance asks for.
RESCHEDULE, DYNAMIC, PACK = (wp.constant(k) for k in range(3))
# Classes of nodes, see simulator_class.py: keys of single nodes, then those of hosts for double VMs.
NODE_KEYS, HOST_KEYS = 256, 1024
KEYS = NODE_KEYS + HOST_KEYS + 1
HOSTS_FROM = wp.constant(NODE_KEYS)
NOWHERE = wp.constant(KEYS - 1)  # key of VMs that are not placed
LEVELS = wp.constant(64)  # of free cores, as sinks are sorted by
PARTS = wp.constant(8)  # moves of a macro at most

FIELDS = (
    *COMMON,
    Field("task", "", "RESCHEDULE, DYNAMIC or PACK"),
    Field("moves", "", "CLASS, MACRO or VM"),
    Field("mnl", "", "migration number limit"),
    Field("weight_16", "", "percent of FR-16 in the fragment rate"),
    Field("weight_64", "", "percent of FR-64"),
    Field("weight_memory", "", "percent of the fragments of memory"),
    Field("cost", "", "of a migration, in billionths of fragment rate"),
    Field("constraints", "", "1: pins, drained hosts and anti-affinity are honoured"),
    Field("latency", "", "dynamic: ms from a decision to its execution"),
    Field("copy_rate", "", "dynamic: MB a migration copies in a second; 0: no time at all"),
    Field("forced_moves", "", "1: moves without an alternative are applied by the simulator"),
    # The bank of instances.
    Field("hosts", "bank", "number of hosts"),
    Field("vms", "bank", "number of VMs, those included that arrive later"),
    Field("horizon", "bank", "dynamic: when the episode ends, in ms"),
    Field("node_cores", "bank node", "cores"),
    Field("node_memory", "bank node", "memory in MB"),
    Field("rack", "bank host", "rack of the host"),
    Field("drained", "bank host", "1: accepts no VM"),
    Field("need_cores", "bank vm", "cores that the VM takes of each of its nodes"),
    Field("need_memory", "bank vm", "MB that it takes of each"),
    Field("memory", "bank vm", "MB that it takes in all, which are copied"),
    Field("doubled", "bank vm", "1: on both nodes of a host"),
    Field("movable", "bank vm", "0: pinned"),
    Field("flavor", "bank vm", "VMs of one flavor are alike, priority included"),
    Field("level", "bank vm", "pack: its priority as a number from 0, the least"),
    Field("level_weight", "bank level", "pack: penalty of one unplaced VM of the level", "int64"),
    Field("start_node", "bank vm", "where it is at the start; -1 for nowhere"),
    Field("flavors", "bank", "number of flavors"),
    Field("flavor_vm", "bank flavor", "a VM of that flavor"),
    Field("member_first", "bank flavor_offset", "where the VMs of a flavor begin in the next"),
    Field("member", "bank vm", "VMs, flavor by flavor"),
    Field("conflict_first", "bank vm_offset", "where a VM's conflicts begin in the next"),
    Field("conflict", "bank conflict", "2 * VM it must not share a host with; + 1: nor a rack"),
    Field("events", "bank", "number of arrivals and departures before the horizon"),
    Field("event_time", "bank event", "when, in ms, in order"),
    Field("event", "bank event", "2 * VM; + 1: it arrives"),
    # Where everything is.
    Field("now", "env", "time in ms"),
    Field("next_event", "env", "events that have happened"),
    Field("place", "env vm", "node of the VM; -1 if it is not placed"),
    Field("node_vm", "env node", "first movable VM of the node, by number; -1 for none"),
    Field("vm_next", "env vm", "the next movable VM of the same node; -1 for none"),
    Field("flavor_count", "env node flavor", "movable VMs of each flavor at the node"),
    Field("evicted", "env vm", "pack: 1 if it was evicted once"),
    Field("free_cores", "env node", "free cores"),
    Field("free_memory", "env node", "free MB"),
    Field("small", "env node size", "movable single VMs on the node by cores, below a slot"),
    Field("need", "env node", "fewest of these whose leaving completes the next slot, 1 to HARD"),
    Field("touched", "env node", "1: a VM was moved away and a slot is not complete yet"),
    Field("copied", "env", "VM that is being copied; -1 for none"),
    Field("copied_to", "env", "where to"),
    Field("copied_at", "env", "when it will be done"),
    Field("fragments", "env", "sum of free cores modulo a slot, over nodes"),
    Field("wide_slots", "env", "VMs of 64 cores that there is room for"),
    Field("memory_fragments", "env", "sum of free MB modulo the slot of memory", "int64"),
    Field("free_total", "env", "free cores of all nodes"),
    Field("free_memory_total", "env", "free MB of all nodes", "int64"),
    Field("unplaced", "env level", "pack: VMs of the level that are not placed"),
    Field("migrations", "env", "migrations, of which the limit speaks, evictions not included"),
    Field("evictions", "env", "pack: evictions, which the limit counts as well"),
    Field("stale_moves", "env", "dynamic: moves that could no longer be carried out, which the limit counts as well"),
    Field("rejected", "env", "dynamic: VMs that found no room"),
    Field("integral", "env", "dynamic: fragment rate over time, in billionths times ms", "int64"),
    Field("objective", "env", "fragment rate (dynamic: its mean) and costs in billionths; pack: the penalty", "int64"),
    Field("rewarded", "env", "the objective as of the last reward, or in weighted fragments", "int64"),
    Field("free_at_start", "env", "free cores at the start"),
    Field("rewarded_scraps", "env", "fragments of memory as of the last reward", "int64"),
    Field("rewarded_moves", "env", "migrations as of the last reward"),
    Field("log_vm", "env entry", "what was done: the VM"),
    Field("log_node", "env entry", "where it went; -1 if it was evicted"),
    Field("log_start", "env entry", "when, in ms"),
    Field("log_end", "env entry", "when it was to be done", "int64"),
    Field("log_count", "env", "how many"),
    # The choice. Rules read the columns, (B, A) each.
    Field("chosen", "env", "moves VM: the VM for which a node is to be chosen; -1 before"),
    Field("only", "env", "highest candidate"),
    Field("offered", "env", "candidates, stopping not included"),
    Field("changed", "env host", "hosts on which something has changed since the candidates were found"),
    Field("changed_count", "env", "how many"),
    Field("stamp", "env", "number of the survey that marks are of"),
    Field("key_of_node", "env node", "key of each node; -1 where something has changed since"),
    Field("key_of_host", "env host", "key of each host"),
    Field("mark", "env key", "stamp when the key was last present"),
    Field("first_class", "env key", "first class of VMs on nodes of the key; -1 for none"),
    Field("first_node", "env key", "first node of the key, hosts by their first node; -1 for none"),
    Field("next_node", "env node", "the next node of the same key, by number; -1 for none"),
    Field("next_host", "env node", "the same for hosts"),
    Field("key_list", "env place", "keys at which there are nodes or hosts"),
    Field("key_size", "env place", "how many there are"),
    Field("key_level", "env place", "free cores modulo a slot, of hosts the lesser, and 32 for hosts"),
    Field("key_row", "env key", "place of the key in that list"),
    Field("key_count", "env", "how many keys"),
    Field("class_vm", "env source", "a VM of the class, the first on the first node"),
    Field("class_flavor", "env source", "flavor of its VMs"),
    Field("class_key", "env source", "where its VMs are"),
    Field("class_size", "env source", "how many there are"),
    Field("class_next", "env source", "next class at the same key; -1 for none"),
    Field("class_count", "env", "how many classes"),
    Field("flavor_rooms", "env flavor", "moves VM: places where it fits"),
    Field("flavor_room", "env flavor", "moves VM: the place where it fits if there is one only"),
    Field("flavor_news", "env flavor", "moves VM: 1 if a place has come or gone, and there are or were few"),
    Field("counted_cores", "env chosen_node", "moves VM: free cores as the places were counted; -1 for not yet"),
    Field("counted_memory", "env chosen_node", "moves VM: the same of memory"),
    Field("may", "env chosen_vm", "moves VM: 1 for a VM that may be chosen", "int8"),
    Field("may_count", "env", "moves VM: how many may be"),
    Field("level_first", "env level_of_room", "macro: where each level of free cores begins in the next"),
    Field("by_level", "env list_node", "macro: nodes in order of their level"),
    Field(
        "hardest", "env size rank", "macro: nodes with room for a VM of so many cores, the hardest to complete first"
    ),
    Field("set_count", "env size", "macro: VMs of each size that are to leave"),
    Field("draft_vm", "env part", "macro: the moves that are tried"),
    Field("draft_node", "env part", "where to"),
    Field("draft_from", "env part", "and from where"),
    Field("draft_harms", "env part", "how near to a whole slot the nodes are that each fills"),
    Field("draft_length", "env", "how many"),
    Field("draft_harm", "env", "how near to a whole slot the nodes are that they fill, summed"),
    Field("draft_room", "env", "free cores where the first one goes to, of both nodes for a double VM"),
    Field("macro_before", "env", "fragments before them"),
    Field("seen", "env hash", "macros that are offered, by a hash of what is alike in them"),
    Field("seen_stamp", "env hash", "the survey they are of"),
    Field("part_vm", "env action part", "macro: VMs it moves, in order"),
    Field("part_node", "env action part", "where to"),
    Field("vm", "env action", "the VM that moves, of several the first; -1 for stopping"),
    Field("node", "env action", "where to; -1 if that is open, or nowhere"),
    Field("source", "env action", "where it is; -1 for nowhere"),
    Field("cores", "env action", "what it needs of each of its nodes"),
    Field("gain", "env action", "decrease of the fragments, in hundredths of cores weighted by the weights"),
    Field("source_gain", "env action", "the part of the nodes it leaves"),
    Field("room", "env action", "free cores there before it comes, of both nodes for a double VM"),
    Field("length", "env action", "moves it stands for"),
    Field("harm", "env action", "how near to a whole slot the nodes are that it fills, summed over its moves"),
    Field("megabytes", "env action", "memory that is copied, in MB, up to 2**30"),
    Field("waste", "env action", "macro: cores it frees beyond complete slots"),
    Field("importance", "env action", "pack: level of the VM's priority, 0 the least"),
    Field("kind", "env action", "0 move, 1 place, 2 evict, 3 stop"),
    Field("action_class", "env action", "class the VM is of"),
    Field("action_key", "env action", "place of the destination's key in the list"),
    Field("action_mask", "env action", "1: legal", "int8"),
    # The observation (see observe.py).
    Field("episode_shown", "env", "the episode it is of, counted from 1"),
    Field("shown_classes", "env", "rows of the observation that are in use"),
    Field("shown_keys", "env", "the same"),
    Field("work", "env work work_feature", "features of the classes of VMs, or of the VMs", "float32"),
    Field("resource", "env resource resource_feature", "features of the classes of nodes, or of the nodes", "float32"),
    Field("context", "env context_feature", "global features", "float32"),
    Field("assignment", "env two edge", "VMs and the nodes they are on", "int64"),
    Field("assignment_attr", "env edge edge_feature", "their features", "float32"),
    Field("candidate", "env action two", "VMs and destinations", "int64"),
    Field("candidate_attr", "env action candidate_feature", "their features", "float32"),
)

Struct = struct("VMState", __name__, FIELDS)
# Simulators take the state by reference, which compiles soonest; observations by value, which reads it faster on a CPU.
State = wp.ref[Struct]
