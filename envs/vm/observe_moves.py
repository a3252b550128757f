"""What every candidate would change: where its VM leaves, where it comes, and what that frees."""

import warp as wp

from ..core.features import clip, hide_candidate
from ..core.graph import Feature
from .simulator_class import node_gain
from .simulator_cluster import left, need_of
from .simulator_state import HARD, MACRO, SLOT
from .simulator_state import Struct as State

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
MOST = wp.constant(1600.0)  # hundredths of cores in a slot


@wp.func
def residue(s: State, i: int, n: int):
    """Residue of node n as a feature."""
    return float(s.free_cores[i, n] % SLOT) / 16.0


@wp.func
def level_share(s: State, i: int, v: int):
    """Priority of VM v as a feature."""
    return float(s.level[s.instance[i], v] + 1) / float(s.unplaced.shape[1])


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
    part = int(0)
    part_end = s.length[i, a]
    while part < part_end:
        v = s.part_vm[i, a, part]
        cores += float(s.need_cores[b, v])
        show_target(s, i, a, v, s.part_node[i, a, part], weight)
        part += 1
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
    a = int(0)
    a_end = s.action_mask.shape[1] - 1
    while a < a_end:
        if s.action_mask[i, a] == wp.int8(1):
            best = wp.max(best, per_move(s, i, a))
        a += 1
    return best


@wp.func
def show_candidate(s: State, i: int, a: int, best: float):
    """Features of action a, which is legal."""
    b = s.instance[i]
    v = s.vm[i, a]
    n = s.node[i, a]
    f = int(0)
    f_end = s.candidate_attr.shape[2]
    while f < f_end:
        s.candidate_attr[i, a, f] = 0.0
        f += 1
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
