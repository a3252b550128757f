"""The observation of moves in two steps: every VM, every NUMA node, and which VM is on which node."""

import warp as wp

from ..core.features import clip, hide_candidate
from ..core.graph import Feature
from .observe import show_context
from .observe_moves import (
    best_ratio,
    level_share,
    need_feature,
    residue,
    show_candidate,
    show_stop,
)  # fmt: skip
from .simulator_state import SLOT
from .simulator_state import Struct as State

VM_NODE = (
    Feature("double", "1 for a VM on both nodes of a host"),
    Feature("cores", "cores on each of its nodes / 16", 0, 4),
    Feature("memory", "memory on each of its nodes / memory of the first node of the first host", 0, 4),
    Feature("movable", "0 for a pinned VM"),
    Feature("placed", "1 if it is somewhere"),
    Feature("chosen", "1 for the VM that a node is to be chosen for"),
    Feature("residue", "residue of its node / 16"),
    Feature("residue_after", "the same when it has left"),
    Feature("need_after", "need of its node / 5 when it has left"),
    Feature("level", "pack: priority, 1 for the highest"),
    Feature("exists", "1, or 0 for padding"),
)
NUMA_NODE = (
    Feature("residue", "residue / 16"),
    Feature("free", "free cores / 64", 0, 4),
    Feature("free_memory", "free memory / memory"),
    Feature("need", "need / 5"),
    Feature("touched", "1 if VMs left there and no slot is complete yet"),
    Feature("other_residue", "residue of the other node of the host / 16"),
    Feature("drained", "1 for a host that accepts no VM"),
    Feature("exists", "1, or 0 for padding"),
)
ON = (Feature("cores", "cores of the VM there / 16", 0, 4),)


@wp.func
def show_edge(s: State, i: int, e: int, v: int, n: int):
    """Edge e: VM v is on node n; padding where it is not placed."""
    s.assignment[i, 0, e] = wp.int64(s.work.shape[1])
    s.assignment[i, 1, e] = wp.int64(s.resource.shape[1])
    s.assignment_attr[i, e, 0] = 0.0
    if n >= 0:
        s.assignment[i, 0, e] = wp.int64(v)
        s.assignment[i, 1, e] = wp.int64(n)
        s.assignment_attr[i, e, 0] = clip(float(s.need_cores[s.instance[i], v]) / 16.0, 0.0, 4.0)


@wp.func
def show_vm(s: State, i: int, v: int):
    """Features of VM v, and the edges to where it is."""
    b = s.instance[i]
    n = s.place[i, v]
    cores = s.need_cores[b, v]
    f = int(0)
    f_end = s.work.shape[2]
    while f < f_end:
        s.work[i, v, f] = 0.0
        f += 1
    s.work[i, v, 0] = float(s.doubled[b, v])
    s.work[i, v, 1] = clip(float(cores) / 16.0, 0.0, 4.0)
    s.work[i, v, 2] = clip(float(s.need_memory[b, v]) / float(wp.max(s.node_memory[b, 0], 1)), 0.0, 4.0)
    s.work[i, v, 3] = float(s.movable[b, v])
    s.work[i, v, 4] = float(n >= 0)
    s.work[i, v, 5] = float(s.chosen[i] == v)
    if n >= 0:
        s.work[i, v, 6] = residue(s, i, n)
        s.work[i, v, 7] = float((s.free_cores[i, n] + cores) % SLOT) / 16.0
        without = int(0)
        if s.doubled[b, v] == 0 and cores < SLOT and s.movable[b, v] == 1:
            without = cores
        s.work[i, v, 8] = need_feature(s, i, n, cores, without)
    s.work[i, v, 9] = level_share(s, i, v)
    s.work[i, v, 10] = 1.0
    second = int(-1)
    if n >= 0 and s.doubled[b, v] == 1:
        second = n + 1
    show_edge(s, i, 2 * v, v, n)
    show_edge(s, i, 2 * v + 1, v, second)


@wp.func
def show_node(s: State, i: int, n: int):
    """Features of node n."""
    b = s.instance[i]
    s.resource[i, n, 0] = residue(s, i, n)
    s.resource[i, n, 1] = clip(float(s.free_cores[i, n]) / 64.0, 0.0, 4.0)
    s.resource[i, n, 2] = clip(float(s.free_memory[i, n]) / float(wp.max(s.node_memory[b, n], 1)), 0.0, 1.0)
    s.resource[i, n, 3] = float(s.need[i, n]) / 5.0
    s.resource[i, n, 4] = float(s.touched[i, n])
    s.resource[i, n, 5] = residue(s, i, n + 1 - 2 * (n % 2))
    s.resource[i, n, 6] = float(s.drained[b, n // 2])
    s.resource[i, n, 7] = 1.0


@wp.func
def observe(s: State, i: int):
    """Write environment i's observation of moves in two steps."""
    b = s.instance[i]
    v = int(0)
    v_end = s.vms[b]
    while v < v_end:
        show_vm(s, i, v)
        v += 1
    v = int(s.vms[b])
    v_end = s.work.shape[1]
    while v < v_end:
        f = int(0)
        f_end = s.work.shape[2]
        while f < f_end:
            s.work[i, v, f] = 0.0
            f += 1
        show_edge(s, i, 2 * v, v, -1)
        show_edge(s, i, 2 * v + 1, v, -1)
        v += 1
    n = int(0)
    n_end = 2 * s.hosts[b]
    while n < n_end:
        show_node(s, i, n)
        n += 1
    n = int(2 * s.hosts[b])
    n_end = s.resource.shape[1]
    while n < n_end:
        f = int(0)
        f_end = s.resource.shape[2]
        while f < f_end:
            s.resource[i, n, f] = 0.0
            f += 1
        n += 1
    best = best_ratio(s, i)
    a = int(0)
    a_end = s.action_mask.shape[1] - 1
    while a < a_end:
        hide_candidate(s, i, a)
        if s.action_mask[i, a] == wp.int8(1):
            show_candidate(s, i, a, best)
            s.candidate[i, a, 0] = wp.int64(s.vm[i, a])
            if s.node[i, a] >= 0:
                s.candidate[i, a, 1] = wp.int64(s.node[i, a])
        a += 1
    show_stop(s, i, best)
    show_context(s, i)
