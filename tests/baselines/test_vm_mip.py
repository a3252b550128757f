"""The integer program finds what exhaustive search finds, whatever counts as a fragment and whatever may not move."""

from functools import cache

import numpy as np
import pytest

from dispatchgym.baselines.vm_mip import STATUSES, solve_mip
from dispatchgym.baselines.vm_problem import Cluster, Plan, outcome, to_schedule
from dispatchgym.envs.core.errors import OptionError, ScheduleError
from dispatchgym.envs.vm.instance import VMInstance

BIG_MEMORY = 4_000_000


def random_cluster(
    seed: int, hosts: int = 3, vms: int = 6, tight: float = 0.9, memory: bool = False, constraints: bool = False
) -> VMInstance:
    """A few VMs on hosts of a few sizes, placed at random until a share of the cores is taken."""
    rng = np.random.default_rng(seed)
    node_cores = rng.choice([16, 20, 24, 36, 44], (hosts, 1)) + np.zeros((1, 2), dtype=int)
    node_memory = rng.choice([100_000, 150_000], (hosts, 2)) if memory else np.full((hosts, 2), BIG_MEMORY)
    free, free_memory = node_cores.astype(int).copy(), node_memory.astype(int).copy()
    rows = []
    for _ in range(60):
        if len(rows) == vms or free.sum() <= (1 - tight) * node_cores.sum():
            break
        cores, double = int(rng.choice([2, 4, 8, 12, 16, 20])), rng.random() < 0.25
        need = int(cores * rng.integers(500, 6000)) if memory else 2048 * cores
        host, side = int(rng.integers(hosts)), int(rng.integers(2))
        sides = slice(None) if double else side
        share, part = (cores // 2, -(-need // 2)) if double else (cores, need)
        if (free[host, sides] >= share).all() and (free_memory[host, sides] >= part).all():
            free[host, sides] -= share
            free_memory[host, sides] -= part
            rows.append((cores, need, 1 + double, 2 * host + (0 if double else side)))
    cores, need, numas, node = np.array(rows).T
    count, options = len(rows), {}
    if constraints:
        groups = [(str(rng.choice(["host", "rack"])), sorted(rng.choice(count, size, replace=False).tolist()))
                  for size in rng.integers(2, 4, int(rng.integers(1, 4))) if size <= count]  # fmt: skip
        options = dict(movable=rng.random(count) < 0.85, drained=rng.random(hosts) < 0.2, groups=tuple(groups))
        options["rack"] = rng.integers(0, 2, hosts)
    return VMInstance(f"random-{seed}", node_cores, node_memory, cores, need, numas, node, **options)


def rate_of(instance: VMInstance, nodes: tuple[int, ...], conditions: dict) -> float:
    """The fragment rate, from the statement."""
    free, memory = instance.node_cores.astype(int).copy(), instance.node_memory.astype(int).copy()
    for vm, node in enumerate(nodes):
        sides = slice(None) if instance.numas[vm] == 2 else node % 2
        free[node // 2, sides] -= instance.cores[vm] // instance.numas[vm]
        memory[node // 2, sides] -= -(-instance.memory[vm] // instance.numas[vm])
    wide, large = conditions.get("weight_64", 0), conditions.get("weight_memory", 0)
    total, rate = free.sum(), 0.0
    if total:
        rate += (100 - wide - large) * (free % 16).sum() / total
        rate += wide * sum(f.sum() - 64 * min(f[0] // 32, f[1] // 32) for f in free) / total
    if memory.sum():
        rate += large * (memory % 65536).sum() / memory.sum()
    return rate / 100


def neighbours(instance: VMInstance, nodes: tuple[int, ...], judged: bool) -> list[tuple[int, ...]]:
    """Every placement that one legal migration leads to."""
    share = (instance.cores // instance.numas).tolist()
    part = (-(-instance.memory // instance.numas)).tolist()
    double = (instance.numas == 2).tolist()
    free, memory = instance.node_cores.ravel().tolist(), instance.node_memory.ravel().tolist()
    for vm, node in enumerate(nodes):
        for n in (node, node + 1) if double[vm] else (node,):
            free[n] -= share[vm]
            memory[n] -= part[vm]
    found = []
    for vm, here in enumerate(nodes):
        if judged and not instance.movable[vm]:
            continue
        rivals = [(s, m) for s, members in instance.groups if judged and vm in members for m in members if m != vm]
        for node in range(0, instance.nodes, 2 if double[vm] else 1):
            host = node // 2
            if node == here or (judged and instance.drained[host]):
                continue
            if any(free[n] < share[vm] or memory[n] < part[vm] for n in ((node, node + 1) if double[vm] else (node,))):
                continue
            met = (nodes[m] // 2 == host if s == "host" else instance.rack[nodes[m] // 2] == instance.rack[host]
                   for s, m in rivals)  # fmt: skip
            if not any(met):
                found.append((*nodes[:vm], node, *nodes[vm + 1 :]))
    return found


def exhaustive(instance: VMInstance, conditions: dict) -> float:
    """The best objective of all sequences of at most ``mnl`` migrations."""
    judged, cost = conditions.get("constraints", True), conditions.get("migration_cost", 0.0)
    rate = cache(lambda nodes: rate_of(instance, nodes, conditions))
    level = {tuple(instance.node.tolist())}
    seen, best = set(level), min(map(rate, level))
    for used in range(1, conditions["mnl"] + 1):
        level = {after for nodes in level for after in neighbours(instance, nodes, judged)} - seen
        seen |= level
        best = min([best, *(rate(nodes) + cost * used for nodes in level)])
    return best


def agree(instance: VMInstance, conditions: dict, **options) -> Plan:
    """Solve, replay and compare with exhaustive search."""
    plan = solve_mip(instance, conditions, **options)
    objective = outcome(Cluster(instance, conditions), plan.moves)  # raises where a move is not legal
    best = exhaustive(instance, conditions)
    assert plan.status.startswith("optimal") and plan.bound == pytest.approx(best, abs=1e-9)
    assert objective == pytest.approx(best, abs=1e-9) and plan.bound <= objective
    assert len(plan.moves) <= conditions["mnl"]
    return plan
