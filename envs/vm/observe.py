"""The observation of class moves and macros: classes of VMs, classes of places, and what each move would change.

Work nodes are classes of VMs, resource nodes the keys of destinations (simulator_survey.py); an edge says where a class
is. Residue is the number of free cores modulo a slot of 16, need the fewest small VMs whose leaving completes the next
slot. Shares of counts are m / (m + 8).
"""

import warp as wp

from ..core.features import clip, hide_candidate
from ..core.graph import Feature
from .observe_moves import CANDIDATE, best_ratio, level_share, residue, show_candidate, show_stop
from .observe_wide import show_all_rooms, show_rooms
from .simulator_cluster import left, rate
from .simulator_state import BILLION, DYNAMIC, HOSTS_FROM, MACRO, NOWHERE, SLOT
from .simulator_state import Struct as State
from .simulator_survey import key_of

__all__ = ["CANDIDATE", "CLASS_OF_PLACES", "CLASS_OF_VMS", "CONTEXT", "WHEREABOUTS", "observe", "show_context"]

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
PLAIN = wp.constant(len(CANDIDATE))  # where FR-64 counts, more features follow; so they do here
PLAIN_CONTEXT = wp.constant(len(CONTEXT))


@wp.func
def share(count: int):
    """A count as a share."""
    return float(count) / float(count + 8)


@wp.func
def show_context(s: State, i: int):
    """The global features."""
    b = s.instance[i]
    nodes = 2 * s.hosts[b]
    f = int(0)
    f_end = s.context.shape[1]
    while f < f_end:
        s.context[i, f] = 0.0
        f += 1
    by_nodes = 1.0 / float(nodes)
    cores = int(0)
    n = int(0)
    while n < nodes:
        cores += s.node_cores[b, n]
        r = s.free_cores[i, n] % SLOT
        s.context[i, RESIDUES + r] = s.context[i, RESIDUES + r] + by_nodes
        if r > 0:
            s.context[i, NEEDS + s.need[i, n]] = s.context[i, NEEDS + s.need[i, n]] + by_nodes
        n += 1
    f = int(RESIDUES)
    f_end = PLAIN_CONTEXT
    while f < f_end:
        s.context[i, f] = clip(s.context[i, f], 0.0, 1.0)
        f += 1
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
    k = int(0)
    k_end = s.unplaced.shape[1]
    while k < k_end:
        unplaced += s.unplaced[i, k]
        k += 1
    s.context[i, 8] = float(unplaced) / float(s.vms[b])
    if s.context.shape[1] > PLAIN_CONTEXT:
        show_all_rooms(s, i, PLAIN_CONTEXT)


@wp.func
def show_class(s: State, i: int, c: int):
    """Features of class c of VMs, and the edge to where it is."""
    b = s.instance[i]
    v = s.class_vm[i, c]
    n = s.place[i, v]
    cores = s.need_cores[b, v]
    key = s.class_key[i, c]
    f = int(0)
    f_end = s.work.shape[2]
    while f < f_end:
        s.work[i, c, f] = 0.0
        f += 1
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
    if s.candidate_attr.shape[2] > PLAIN:
        show_rooms(s, i, a, PLAIN)


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of class moves or macros."""
    if s.episode_shown[i] != s.episode[i] + 1:
        s.shown_classes[i] = s.work.shape[1]
        s.shown_keys[i] = s.resource.shape[1]
        s.episode_shown[i] = s.episode[i] + 1
    c = int(0)
    c_end = s.class_count[i]
    while c < c_end:
        show_class(s, i, c)
        c += 1
    c = int(s.class_count[i])
    c_end = s.shown_classes[i]
    while c < c_end:
        f = int(0)
        f_end = s.work.shape[2]
        while f < f_end:
            s.work[i, c, f] = 0.0
            f += 1
        s.assignment[i, 0, c] = wp.int64(s.work.shape[1])
        s.assignment[i, 1, c] = wp.int64(s.resource.shape[1])
        s.assignment_attr[i, c, 0] = 0.0
        c += 1
    s.shown_classes[i] = s.class_count[i]
    row = int(0)
    row_end = s.key_count[i]
    while row < row_end:
        show_key(s, i, row)
        row += 1
    row = int(s.key_count[i])
    row_end = s.shown_keys[i]
    while row < row_end:
        f = int(0)
        f_end = s.resource.shape[2]
        while f < f_end:
            s.resource[i, row, f] = 0.0
            f += 1
        row += 1
    s.shown_keys[i] = s.key_count[i]
    best = best_ratio(s, i)
    a = int(0)
    a_end = s.action_mask.shape[1] - 1
    while a < a_end:
        if s.action_mask[i, a] == wp.int8(1):
            show_class_candidate(s, i, a, best)
        else:
            hide_candidate(s, i, a)
        a += 1
    show_stop(s, i, best)
    show_context(s, i)
