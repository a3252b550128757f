"""The observation of class moves and macros: classes of VMs, classes of places, and what each move would change.

Work nodes are classes of VMs, resource nodes the keys of destinations (simulator_survey.py); an edge says where a class
is. Residue is the number of free cores modulo a slot of 16, need the fewest small VMs whose leaving completes the next
slot. Shares of counts are m / (m + 8).
"""

import warp as wp

from ..core.features import clip
from ..core.graph import Feature
from .simulator_class import node_gain
from .simulator_cluster import left, need_of, rate
from .simulator_state import BILLION, DYNAMIC, HARD, HOSTS_FROM, MACRO, NOWHERE, SLOT, State
from .simulator_survey import key_of

CLASS_OF_VMS = (
    Feature("double", "1 for VMs on both nodes of a host"),
    Feature("cores", "cores on each of its nodes / 16", 0, 4),
    Feature("size", "number of VMs, as a share"),
    Feature("residue", "residue of where they are / 16"),
    Feature("other_residue", "residue of the other node of the host / 16"),
    Feature("residue_after", "residue of where they are when one has left / 16"),
    Feature("need", "need of where they are / 5"),
    Feature("touched", "1 if VMs left there and no slot is complete yet"),
    Feature("completes", "slots that are completed there when one leaves / 4"),
    Feature("unplaced", "1 for VMs that are not placed"),
    Feature("level", "pack: priority, 1 for the highest"),
    Feature("exists", "1, or 0 for padding"),
)
CLASS_OF_PLACES = (
    Feature("host", "1 for places of double VMs"),
    Feature("residue", "residue / 16, of the fuller node of a host"),
    Feature("other_residue", "residue of the other node / 16"),
    Feature("free", "free cores of both nodes / 64", 0, 4),
    Feature("need", "need / 5, of hosts the lesser of both nodes"),
    Feature("touched", "1 if VMs left there, of hosts either node, and no slot is complete yet"),
    Feature("size", "number of places, as a share"),
    Feature("wide", "VMs of 64 cores that there is room for / 2", 0, 4),
    Feature("exists", "1, or 0 for padding"),
)
WHEREABOUTS = (Feature("size", "number of VMs, as a share"),)
CANDIDATE = (
    Feature("double", "1 for a VM on both nodes of a host"),
    Feature("cores", "cores on each of its nodes / 16; macro: mean over its moves", 0, 4),
    Feature("gain", "decrease of the fragments in slots / 4", -2, 2),
    Feature("source_gain", "its part where the VM leaves, in slots / 4", -2, 2),
    Feature("source_residue", "residue where the VM is / 16"),
    Feature("source_after", "the same after it has left"),
    Feature("source_other", "residue of the other node of that host / 16"),
    Feature("source_other_after", "the same after a double VM has left"),
    Feature("target_residue", "residue where it goes to / 16; macro: mean over its moves"),
    Feature("target_after", "the same after it has come"),
    Feature("target_other", "residue of the other node of that host / 16"),
    Feature("target_other_after", "the same after a double VM has come"),
    Feature("source_need", "need where it is / 5"),
    Feature("source_need_after", "the same after it has left"),
    Feature("target_need", "need where it goes to / 5; macro: mean over its moves"),
    Feature("target_need_after", "the same after it has come"),
    Feature("source_touched", "1 if VMs left there and no slot is complete yet"),
    Feature("target_touched", "the same where it goes to"),
    Feature("source_whole", "1 if whole slots are free there after it has left"),
    Feature("target_whole", "1 if whole slots are free where it goes to after it has come"),
    Feature("in_reach", "1 if the moves that are left could complete a slot where it leaves"),
    Feature("class_size", "number of VMs it stands for, as a share"),
    Feature("target_size", "number of places it stands for, as a share"),
    Feature("length", "moves / 8"),
    Feature("gain_per_move", "decrease of the fragments in slots / moves / 2", -2, 2),
    Feature("regret", "(the largest gain per move of all candidates - its own) in slots / 2", 0, 4),
    Feature("copied", "memory that is copied / 64 GB", 0, 4),
    Feature("gain_per_copy", "decrease of the fragments in slots / (memory that is copied / 16 GB) / 4", -2, 2),
    Feature("waste", "macro: cores freed beyond whole slots / 16", 0, 4),
    Feature("used", "moves / moves that are left"),
    Feature("place", "1 for placing a VM"),
    Feature("evict", "1 for evicting one"),
    Feature("level", "pack: priority of the VM, 1 for the highest"),
    Feature("stop", "1 for stopping"),
)
CONTEXT = (
    Feature("left", "moves that are left / 50", 0, 4),
    Feature("left_share", "moves that are left / migration number limit"),
    Feature("rate", "fragment rate"),
    Feature("narrow", "fragments of FR-16 / free cores"),
    Feature("free_share", "free cores / cores"),
    Feature("hosts", "number of hosts, h / (h + 64)"),
    Feature("wide", "slots of 64 cores / hosts"),
    Feature("time_left", "dynamic: share of the horizon that is left"),
    Feature("unplaced", "pack: VMs that are not placed / VMs"),
    *(Feature(f"residue_{k}", f"share of the nodes with residue {k}") for k in range(16)),
    *(Feature(f"need_{k}", f"share of the nodes that are not whole with need {k}") for k in range(1, 6)),
)
RESIDUES = wp.constant(9)
NEEDS = wp.constant(9 + 16 - 1)
MOST = wp.constant(1600.0)  # hundredths of cores in a slot


@wp.func
def share(count: int):
    """A count as a share."""
    return float(count) / float(count + 8)


@wp.func
def residue(s: State, i: int, n: int):
    """Residue of node n as a feature."""
    return float(s.free_cores[i, n] % SLOT) / 16.0


@wp.func
def level_share(s: State, i: int, v: int):
    """Priority of VM v as a feature."""
    return float(s.level[s.instance[i], v] + 1) / float(s.unplaced.shape[1])


@wp.func
def hide_candidate(s: State, i: int, a: int):
    """Make action a padding."""
    s.candidate[i, a, 0] = wp.int64(s.work.shape[1])
    s.candidate[i, a, 1] = wp.int64(s.resource.shape[1])
    for f in range(s.candidate_attr.shape[2]):
        s.candidate_attr[i, a, f] = 0.0


@wp.func
def show_context(s: State, i: int):
    """The global features."""
    b = s.instance[i]
    nodes = 2 * s.hosts[b]
    for f in range(s.context.shape[1]):
        s.context[i, f] = 0.0
    by_nodes = 1.0 / float(nodes)
    cores = int(0)
    for n in range(nodes):
        cores += s.node_cores[b, n]
        r = s.free_cores[i, n] % SLOT
        s.context[i, RESIDUES + r] = s.context[i, RESIDUES + r] + by_nodes
        if r > 0:
            s.context[i, NEEDS + s.need[i, n]] = s.context[i, NEEDS + s.need[i, n]] + by_nodes
    for f in range(RESIDUES, s.context.shape[1]):
        s.context[i, f] = clip(s.context[i, f], 0.0, 1.0)
    s.context[i, 0] = clip(float(left(s, i)) / 50.0, 0.0, 4.0)
    s.context[i, 1] = clip(float(left(s, i)) / float(wp.max(s.mnl, 1)), 0.0, 1.0)
    s.context[i, 2] = clip(float(rate(s, i)) / float(BILLION), 0.0, 1.0)
    s.context[i, 3] = float(s.fragments[i]) / float(wp.max(s.free_total[i], 1))
    s.context[i, 4] = float(s.free_total[i]) / float(wp.max(cores, 1))
    s.context[i, 5] = float(s.hosts[b]) / float(s.hosts[b] + 64)
    s.context[i, 6] = clip(float(s.wide_slots[i]) / float(s.hosts[b]), 0.0, 1.0)
    if s.task == DYNAMIC:
        s.context[i, 7] = clip(1.0 - float(s.now[i]) / float(wp.max(s.horizon[b], 1)), 0.0, 1.0)
    unplaced = int(0)
    for k in range(s.unplaced.shape[1]):
        unplaced += s.unplaced[i, k]
    s.context[i, 8] = float(unplaced) / float(s.vms[b])


@wp.func
def show_class(s: State, i: int, c: int):
    """Features of class c of VMs, and the edge to where it is."""
    b = s.instance[i]
    v = s.class_vm[i, c]
    n = s.place[i, v]
    cores = s.need_cores[b, v]
    key = s.class_key[i, c]
    for f in range(s.work.shape[2]):
        s.work[i, c, f] = 0.0
    s.work[i, c, 0] = float(s.doubled[b, v])
    s.work[i, c, 1] = clip(float(cores) / 16.0, 0.0, 4.0)
    s.work[i, c, 2] = share(s.class_size[i, c])
    if n >= 0:
        other = n + 1 - 2 * (n % 2)
        s.work[i, c, 3] = residue(s, i, n)
        s.work[i, c, 4] = residue(s, i, other)
        s.work[i, c, 5] = float((s.free_cores[i, n] + cores) % SLOT) / 16.0
        s.work[i, c, 6] = float(s.need[i, n]) / 5.0
        s.work[i, c, 7] = float(s.touched[i, n])
        s.work[i, c, 8] = clip(float((s.free_cores[i, n] % SLOT + cores) // SLOT) / 4.0, 0.0, 1.0)
    s.work[i, c, 9] = float(key == NOWHERE)
    s.work[i, c, 10] = level_share(s, i, v)
    s.work[i, c, 11] = 1.0
    s.assignment[i, 0, c] = wp.int64(s.work.shape[1])
    s.assignment[i, 1, c] = wp.int64(s.resource.shape[1])
    s.assignment_attr[i, c, 0] = 0.0
    if key != NOWHERE:
        if s.key_row[i, key] >= 0:
            s.assignment[i, 0, c] = wp.int64(c)
            s.assignment[i, 1, c] = wp.int64(s.key_row[i, key])
            s.assignment_attr[i, c, 0] = share(s.class_size[i, c])


@wp.func
def show_key(s: State, i: int, row: int):
    """Features of the places of a key."""
    key = s.key_list[i, row]
    n = s.first_node[i, key]
    other = n + 1 - 2 * (n % 2)
    is_host = key >= HOSTS_FROM
    one = residue(s, i, n)
    two = residue(s, i, other)
    if is_host and two < one:
        one = residue(s, i, other)
        two = residue(s, i, n)
    s.resource[i, row, 0] = float(is_host)
    s.resource[i, row, 1] = one
    s.resource[i, row, 2] = two
    s.resource[i, row, 3] = clip(float(s.free_cores[i, n] + s.free_cores[i, other]) / 64.0, 0.0, 4.0)
    need = s.need[i, n]
    touched = s.touched[i, n]
    if is_host:
        need = wp.min(need, s.need[i, other])
        touched = wp.max(touched, s.touched[i, other])
    s.resource[i, row, 4] = float(need) / 5.0
    s.resource[i, row, 5] = float(touched)
    s.resource[i, row, 6] = share(s.key_size[i, row])
    s.resource[i, row, 7] = clip(float(wp.min(s.free_cores[i, n], s.free_cores[i, other]) // 32) / 2.0, 0.0, 4.0)
    s.resource[i, row, 8] = 1.0


@wp.func
def need_feature(s: State, i: int, n: int, cores: int, without: int):
    """Need of node n after so many cores have become free, a small VM of this size having left."""
    return float(need_of(s, i, n, (s.free_cores[i, n] + cores) % SLOT, without)) / 5.0


@wp.func
def show_source(s: State, i: int, a: int, v: int, n: int):
    """What changes where VM v leaves node n."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    other = n + 1 - 2 * (n % 2)
    after = (s.free_cores[i, n] + cores) % SLOT
    s.candidate_attr[i, a, 4] = residue(s, i, n)
    s.candidate_attr[i, a, 5] = float(after) / 16.0
    s.candidate_attr[i, a, 6] = residue(s, i, other)
    s.candidate_attr[i, a, 7] = residue(s, i, other)
    whole = after == 0
    without = int(0)
    if s.doubled[b, v] == 1:
        s.candidate_attr[i, a, 7] = float((s.free_cores[i, other] + cores) % SLOT) / 16.0
        whole = whole and (s.free_cores[i, other] + cores) % SLOT == 0
    elif cores < SLOT and s.movable[b, v] == 1:
        without = cores
    need_after = need_feature(s, i, n, cores, without)
    s.candidate_attr[i, a, 12] = float(s.need[i, n]) / 5.0
    s.candidate_attr[i, a, 13] = need_after
    s.candidate_attr[i, a, 16] = float(s.touched[i, n])
    s.candidate_attr[i, a, 18] = float(whole)
    moves = int(need_after * 5.0 + 0.5)
    completes = node_gain(s, i, n, cores) > 0 or (moves < HARD and moves < left(s, i))
    s.candidate_attr[i, a, 20] = float(completes)


@wp.func
def show_target(s: State, i: int, a: int, v: int, n: int, weight: float):
    """What changes where VM v comes to node n, added with this weight."""
    b = s.instance[i]
    cores = s.need_cores[b, v]
    other = n + 1 - 2 * (n % 2)
    after = (s.free_cores[i, n] + SLOT * 64 - cores) % SLOT
    other_after = residue(s, i, other)
    whole = after == 0
    if s.doubled[b, v] == 1:
        rest = (s.free_cores[i, other] + SLOT * 64 - cores) % SLOT
        other_after = float(rest) / 16.0
        whole = whole and rest == 0
    touched = wp.max(s.candidate_attr[i, a, 17], float(s.touched[i, n]))
    s.candidate_attr[i, a, 8] = clip(s.candidate_attr[i, a, 8] + weight * residue(s, i, n), 0.0, 1.0)
    s.candidate_attr[i, a, 9] = clip(s.candidate_attr[i, a, 9] + weight * float(after) / 16.0, 0.0, 1.0)
    s.candidate_attr[i, a, 10] = clip(s.candidate_attr[i, a, 10] + weight * residue(s, i, other), 0.0, 1.0)
    s.candidate_attr[i, a, 11] = clip(s.candidate_attr[i, a, 11] + weight * other_after, 0.0, 1.0)
    need = s.candidate_attr[i, a, 14] + weight * float(s.need[i, n]) / 5.0
    s.candidate_attr[i, a, 14] = clip(need, 0.0, 1.0)
    need_after = float(need_of(s, i, n, after, 0)) / 5.0
    s.candidate_attr[i, a, 15] = clip(s.candidate_attr[i, a, 15] + weight * need_after, 0.0, 1.0)
    s.candidate_attr[i, a, 17] = touched
    s.candidate_attr[i, a, 19] = clip(s.candidate_attr[i, a, 19] + weight * float(whole), 0.0, 1.0)


@wp.func
def show_parts(s: State, i: int, a: int):
    """What the moves of a macro change, where they go to on the average."""
    b = s.instance[i]
    weight = 1.0 / float(s.length[i, a])
    cores = float(0.0)
    for part in range(s.length[i, a]):
        v = s.part_vm[i, a, part]
        cores += float(s.need_cores[b, v])
        show_target(s, i, a, v, s.part_node[i, a, part], weight)
    s.candidate_attr[i, a, 1] = clip(cores * weight / 16.0, 0.0, 4.0)
    n = s.source[i, a]
    other = n + 1 - 2 * (n % 2)
    s.candidate_attr[i, a, 4] = residue(s, i, n)
    s.candidate_attr[i, a, 5] = clip(float(s.waste[i, a]) / 16.0, 0.0, 1.0)
    s.candidate_attr[i, a, 6] = residue(s, i, other)
    s.candidate_attr[i, a, 7] = residue(s, i, other)
    s.candidate_attr[i, a, 12] = float(s.need[i, n]) / 5.0
    s.candidate_attr[i, a, 16] = float(s.touched[i, n])
    s.candidate_attr[i, a, 18] = float(s.waste[i, a] == 0)
    s.candidate_attr[i, a, 20] = 1.0


@wp.func
def per_move(s: State, i: int, a: int):
    """Decrease of the fragments per move, in slots."""
    return float(s.gain[i, a]) / MOST / float(s.length[i, a])


@wp.func
def best_ratio(s: State, i: int):
    """The largest decrease per move of all candidates, in slots; none is the least."""
    best = float(0.0)
    for a in range(s.action_mask.shape[1] - 1):
        if s.action_mask[i, a] == wp.int8(1):
            best = wp.max(best, per_move(s, i, a))
    return best


@wp.func
def show_candidate(s: State, i: int, a: int, best: float):
    """Features of action a, which is legal."""
    b = s.instance[i]
    v = s.vm[i, a]
    n = s.node[i, a]
    for f in range(s.candidate_attr.shape[2]):
        s.candidate_attr[i, a, f] = 0.0
    s.candidate_attr[i, a, 0] = float(s.doubled[b, v])
    s.candidate_attr[i, a, 1] = clip(float(s.need_cores[b, v]) / 16.0, 0.0, 4.0)
    s.candidate_attr[i, a, 2] = clip(float(s.gain[i, a]) / MOST * 0.25, -2.0, 2.0)
    s.candidate_attr[i, a, 3] = clip(float(s.source_gain[i, a]) / MOST * 0.25, -2.0, 2.0)
    if s.moves == MACRO:
        show_parts(s, i, a)
    else:
        if s.place[i, v] >= 0:
            show_source(s, i, a, v, s.place[i, v])
        if n >= 0:
            show_target(s, i, a, v, n, 1.0)
    s.candidate_attr[i, a, 23] = float(s.length[i, a]) / 8.0
    s.candidate_attr[i, a, 24] = clip(per_move(s, i, a) * 0.5, -2.0, 2.0)
    s.candidate_attr[i, a, 25] = clip((best - per_move(s, i, a)) * 0.5, 0.0, 4.0)
    copied = float(wp.max(s.megabytes[i, a], 1)) / 65536.0
    s.candidate_attr[i, a, 26] = clip(copied, 0.0, 4.0)
    s.candidate_attr[i, a, 27] = clip(float(s.gain[i, a]) / MOST / (copied * 4.0) * 0.25, -2.0, 2.0)
    s.candidate_attr[i, a, 28] = clip(float(s.waste[i, a]) / 16.0, 0.0, 4.0)
    s.candidate_attr[i, a, 29] = clip(float(s.length[i, a]) / float(wp.max(left(s, i), 1)), 0.0, 1.0)
    s.candidate_attr[i, a, 30] = float(s.kind[i, a] == 1)
    s.candidate_attr[i, a, 31] = float(s.kind[i, a] == 2)
    s.candidate_attr[i, a, 32] = level_share(s, i, v)


@wp.func
def show_stop(s: State, i: int, best: float):
    """The candidate to stop."""
    a = s.action_mask.shape[1] - 1
    hide_candidate(s, i, a)
    if s.action_mask[i, a] == wp.int8(1):
        s.candidate_attr[i, a, 25] = clip(best * 0.5, 0.0, 4.0)
        s.candidate_attr[i, a, 33] = 1.0


@wp.func
def class_of(s: State, i: int, v: int):
    """The class that VM v is of; -1 if it has none."""
    b = s.instance[i]
    key = key_of(s, i, v, s.place[i, v])
    c = int(-1)
    if s.mark[i, key] == s.stamp[i]:
        c = s.first_class[i, key]
        found = bool(False)
        while c >= 0 and not found:
            found = s.class_flavor[i, c] == s.flavor[b, v]
            if not found:
                c = s.class_next[i, c]
    return c


@wp.func
def place_row(s: State, i: int, v: int, n: int):
    """Row of the key of node n, as a place of VM v; the row of padding if it has none."""
    row = int(s.resource.shape[1])
    if n >= 0:
        key = key_of(s, i, v, n)
        if s.mark[i, key] == s.stamp[i]:
            if s.key_row[i, key] >= 0:
                row = s.key_row[i, key]
    return row


@wp.func
def show_class_candidate(s: State, i: int, a: int, best: float):
    """Action a with the class and the place it is about."""
    show_candidate(s, i, a, best)
    c = class_of(s, i, s.vm[i, a])
    row = place_row(s, i, s.vm[i, a], s.node[i, a])
    if s.moves == MACRO:
        row = place_row(s, i, s.vm[i, a], s.source[i, a])
    s.candidate[i, a, 0] = wp.int64(s.work.shape[1])
    if c >= 0:
        s.candidate[i, a, 0] = wp.int64(c)
        s.candidate_attr[i, a, 21] = share(s.class_size[i, c])
    s.candidate[i, a, 1] = wp.int64(row)
    if row < s.resource.shape[1]:
        s.candidate_attr[i, a, 22] = share(s.key_size[i, row])


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of class moves or macros."""
    if s.episode_shown[i] != s.episode[i] + 1:
        s.shown_classes[i] = s.work.shape[1]
        s.shown_keys[i] = s.resource.shape[1]
        s.episode_shown[i] = s.episode[i] + 1
    for c in range(s.class_count[i]):
        show_class(s, i, c)
    for c in range(s.class_count[i], s.shown_classes[i]):
        for f in range(s.work.shape[2]):
            s.work[i, c, f] = 0.0
        s.assignment[i, 0, c] = wp.int64(s.work.shape[1])
        s.assignment[i, 1, c] = wp.int64(s.resource.shape[1])
        s.assignment_attr[i, c, 0] = 0.0
    s.shown_classes[i] = s.class_count[i]
    for row in range(s.key_count[i]):
        show_key(s, i, row)
    for row in range(s.key_count[i], s.shown_keys[i]):
        for f in range(s.resource.shape[2]):
            s.resource[i, row, f] = 0.0
    s.shown_keys[i] = s.key_count[i]
    best = best_ratio(s, i)
    for a in range(s.action_mask.shape[1] - 1):
        if s.action_mask[i, a] == wp.int8(1):
            show_class_candidate(s, i, a, best)
        else:
            hide_candidate(s, i, a)
    show_stop(s, i, best)
    show_context(s, i)
