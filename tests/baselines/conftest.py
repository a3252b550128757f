"""Small clusters with little room, and exhaustive search over what may be done in them, from the statement alone."""

from functools import cache

import numpy as np
import pytest

from dispatchgym.envs.vm.instance import VMInstance

PLENTY = 4_000_000  # MB that never run out


def _fill(rng, node_cores, node_memory, draw, vms: int, tight: float) -> list[tuple[int, int, int, int]]:
    """Cores, memory, nodes and node of VMs that are put wherever they fit, until a share of the cores is taken."""
    free, free_memory, rows = node_cores.copy(), node_memory.copy(), []
    for _ in range(100):
        if len(rows) == vms or free.sum() <= (1 - tight) * node_cores.sum():
            break
        cores, memory, double = draw()
        host, side = int(rng.integers(len(free))), int(rng.integers(2))
        sides = slice(None) if double else slice(side, side + 1)
        share, part = (cores // 2, -(-memory // 2)) if double else (cores, memory)
        if (free[host, sides] >= share).all() and (free_memory[host, sides] >= part).all():
            free[host, sides] -= share
            free_memory[host, sides] -= part
            rows.append((cores, memory, 1 + double, 2 * host + side * (not double)))
    return rows


def _rules(rng, hosts: int, vms: int) -> dict:
    """Pins, drained hosts, racks and groups."""
    sizes = [size for size in rng.integers(2, 4, int(rng.integers(1, 4))).tolist() if size <= vms]
    groups = [(str(rng.choice(["host", "rack"])), rng.choice(vms, size, replace=False).tolist()) for size in sizes]
    return {
        "movable": rng.random(vms) < 0.85, "drained": rng.random(hosts) < 0.2, "rack": rng.integers(0, 2, hosts),
        "groups": tuple(groups),
    }  # fmt: skip


def _tight_cluster(
    rng: np.random.Generator, hosts: int = 3, vms: int = 6, memory: bool = False, rules: bool = False
) -> VMInstance:
    """A snapshot in which all VMs are placed, with little room.

    Args:
        rng: the source of randomness.
        hosts: how many.
        vms: how many at most.
        memory: whether memory may run out before cores do.
        rules: whether there are pins, drained hosts and groups.
    """
    node_cores = np.repeat(rng.choice([16, 20, 24, 36, 44], (hosts, 1)), 2, axis=1)
    node_memory = rng.choice([100_000, 150_000], (hosts, 2)) if memory else np.full((hosts, 2), PLENTY)

    def draw():
        cores = int(rng.choice([2, 4, 8, 12, 16, 20]))
        return cores, int(cores * (rng.integers(500, 6000) if memory else 2048)), bool(rng.random() < 0.25)

    rows = _fill(rng, node_cores, node_memory, draw, vms, float(rng.choice([0.7, 0.9, 1.0])))
    options = _rules(rng, hosts, len(rows)) if rules else {}
    return VMInstance("tight", node_cores, node_memory, *np.array(rows).T, **options)


@pytest.fixture(scope="session")
def tight_cluster():
    """See _tight_cluster."""
    return _tight_cluster


def _waiting_cluster(rng: np.random.Generator, rules: bool = False) -> VMInstance:
    """A snapshot of two or three small hosts in which up to three VMs wait.

    Args:
        rng: the source of randomness.
        rules: whether there are pins, drained hosts and groups.
    """
    hosts = int(rng.integers(2, 4))
    node_cores = np.repeat(rng.choice([4, 6, 8], (hosts, 1)), 2, axis=1)
    node_memory = rng.choice([6, 10], (hosts, 2))

    def draw():
        return int(rng.choice([2, 4, 6])), int(rng.integers(1, 7)), bool(rng.random() < 0.2)

    rows = _fill(rng, node_cores, node_memory, draw, int(rng.integers(3, 7)), 1.0)
    for cores, memory, double in (draw() for _ in range(int(rng.integers(1, 4)))):
        rows.append((cores, memory, 1 + double, -1))
    rows = [rows[i] for i in rng.permutation(len(rows))]
    options = _rules(rng, hosts, len(rows)) if rules else {}
    priority = rng.integers(0, int(rng.integers(1, 4)), len(rows))
    return VMInstance("waiting", node_cores, node_memory, *np.array(rows).T, priority=priority, **options)


@pytest.fixture(scope="session")
def waiting_cluster():
    """See _waiting_cluster."""
    return _waiting_cluster


class Statement:
    """What the statement of the problem allows, played with tuples of nodes; nothing is kept.

    Args:
        instance: a snapshot.
        conditions: of a schedule.
    """

    def __init__(self, instance: VMInstance, conditions: dict):
        self.instance, self.conditions = instance, conditions
        self.judged = conditions.get("constraints", True)
        self.share = (instance.cores // instance.numas).tolist()
        self.part = (-(-instance.memory // instance.numas)).tolist()
        self.width = instance.numas.tolist()
        self.start = tuple(instance.node.tolist())

    def free(self, nodes) -> tuple[list[int], list[int]]:
        """Cores and memory that are free at each node."""
        free, memory = (a.ravel().tolist() for a in (self.instance.node_cores, self.instance.node_memory))
        for vm, node in enumerate(nodes):
            for n in range(node, node + self.width[vm]) if node >= 0 else ():
                free[n] -= self.share[vm]
                memory[n] -= self.part[vm]
        return free, memory

    def rate(self, nodes) -> float:
        """The fragment rate."""
        free, memory = map(np.array, self.free(nodes))
        wide, large = self.conditions.get("weight_64", 0), self.conditions.get("weight_memory", 0)
        total, rate = free.sum(), 0.0
        if total:
            rate += (100 - wide - large) * (free % 16).sum() / total
            rate += wide * (total - 64 * sum(min(a // 32, b // 32) for a, b in free.reshape(-1, 2))) / total
        if memory.sum():
            rate += large * (memory % 65536).sum() / memory.sum()
        return rate / 100

    def targets(self, nodes, vm: int, room=None) -> list[int]:
        """Where a VM may go now."""
        instance, here = self.instance, nodes[vm]
        if self.judged and here >= 0 and not instance.movable[vm]:
            return []
        (free, memory), found = room or self.free(nodes), []
        groups = instance.groups if self.judged else ()
        rivals = [(s, m) for s, members in groups if vm in members for m in members if m != vm and nodes[m] >= 0]
        for node in range(0, instance.nodes, self.width[vm]):
            host, both = node // 2, range(node, node + self.width[vm])
            if node == here or (self.judged and instance.drained[host]):
                continue
            if any(free[n] < self.share[vm] or memory[n] < self.part[vm] for n in both):
                continue
            place = {"host": host, "rack": instance.rack[host]}
            if all(place[s] != (nodes[m] // 2 if s == "host" else instance.rack[nodes[m] // 2]) for s, m in rivals):
                found.append(node)
        return found

    def migrations(self, nodes) -> list[tuple[int, ...]]:
        """Every state that one migration leads to."""
        room = self.free(nodes)
        return [
            (*nodes[:vm], node, *nodes[vm + 1 :])
            for vm, here in enumerate(nodes)
            if here >= 0
            for node in self.targets(nodes, vm, room)
        ]

    def best_rate(self) -> float:
        """The best objective of rescheduling, over all sequences of migrations."""
        rate, cost = cache(self.rate), self.conditions.get("migration_cost", 0.0)
        level = {self.start}
        seen, best = set(level), rate(self.start)
        for used in range(1, self.conditions["mnl"] + 1):
            level = {after for nodes in level for after in self.migrations(nodes)} - seen
            seen |= level
            best = min([best, *(rate(nodes) + cost * used for nodes in level)])
        return best

    def best_penalty(self) -> int:
        """The best penalty of packing, over all sequences of actions."""
        priority, mnl = self.instance.priority.tolist(), self.conditions["mnl"]
        base = self.instance.vms + mnl + 1
        weight = {p: base ** (level + 1) for level, p in enumerate(sorted(set(priority)))}
        level, done, best = {(self.start, frozenset())}, set(), []
        for used in range(mnl + 1):
            stack, after = list(level), set()
            while stack:
                nodes, evicted = stack.pop()
                if (nodes, evicted) in done:
                    continue
                done.add((nodes, evicted))
                waiting = [vm for vm, node in enumerate(nodes) if node < 0]
                best.append(used + sum(weight[priority[vm]] for vm in waiting))
                for vm in waiting:
                    stack += [((*nodes[:vm], n, *nodes[vm + 1 :]), evicted) for n in self.targets(nodes, vm)]
                after |= {(moved, evicted) for moved in self.migrations(nodes)}
                for vm in set(range(len(nodes))) - set(waiting) - evicted:
                    if self.instance.movable[vm] and any(priority[w] > priority[vm] for w in waiting):
                        after.add(((*nodes[:vm], -1, *nodes[vm + 1 :]), evicted | {vm}))
            level = after
        return min(best)


@pytest.fixture(scope="session")
def statement():
    """See Statement."""
    return Statement
