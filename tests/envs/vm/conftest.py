"""Random small clusters, and the statement of the problem played slowly, for the tests of this family."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dispatchgym.envs.vm.fields import NEVER
from dispatchgym.envs.vm.instance import VMInstance

HERE = Path(__file__).parent
DEFAULTS = {
    "mnl": 50, "weight_64": 0, "weight_memory": 0, "migration_cost": 0.0, "constraints": True, "latency": 0,
    "copy_rate": 0,
}  # fmt: skip


class World:
    """Who is where, and the statement word by word: nothing else is kept, all is counted anew whenever it is asked."""

    def __init__(self, instance: VMInstance, conditions: dict):
        self.instance, self.conditions = instance, DEFAULTS | conditions
        self.at = {vm: int(node) for vm, node in enumerate(instance.node) if node >= 0}
        self.copied = {}  # VM: the node it is being copied to
        self.evicted, self.used = set(), 0

    def nodes(self, vm, node):
        return (node, node + 1) if self.instance.numas[vm] == 2 else (node,)

    def share(self, vm):
        cores, memory = int(self.instance.cores[vm]), int(self.instance.memory[vm])
        return (cores // 2, (memory + 1) // 2) if self.instance.numas[vm] == 2 else (cores, memory)

    def free(self, node):
        cores, memory = (int(column[node // 2, node % 2]) for column in self.capacities)
        for vm, place in [*self.at.items(), *self.copied.items()]:
            if node in self.nodes(vm, place):
                cores, memory = cores - self.share(vm)[0], memory - self.share(vm)[1]
        return cores, memory

    @property
    def capacities(self):
        return self.instance.node_cores, self.instance.node_memory

    def parts(self):
        free = [self.free(node) for node in range(self.instance.nodes)]
        cores, memory = sum(f for f, _ in free), sum(g for _, g in free)
        wide = cores
        for host in range(self.instance.hosts):
            wide -= 64 * min(free[2 * host][0] // 32, free[2 * host + 1][0] // 32)
        sixteen, of_memory = sum(f % 16 for f, _ in free), sum(g % 65536 for _, g in free)
        pairs = ((sixteen, cores), (wide, cores), (of_memory, memory))
        return [Fraction(part, whole) if whole else Fraction(0) for part, whole in pairs]

    def rate(self):
        wide, memory = self.conditions["weight_64"], self.conditions["weight_memory"]
        weights = (100 - wide - memory, wide, memory)
        return sum(weight * part for weight, part in zip(weights, self.parts(), strict=True)) / 100

    def hosts_of(self, vm):
        return {place[vm] // 2 for place in (self.at, self.copied) if vm in place}

    def broken(self, vm, node):
        """The rules that a VM breaks by coming to a node."""
        instance, host, found = self.instance, node // 2, set()
        for each in self.nodes(vm, node):
            if any(free < needed for free, needed in zip(self.free(each), self.share(vm), strict=True)):
                found.add("capacity")
        if not self.conditions["constraints"]:
            return found
        if instance.drained[host]:
            found.add("drained")
        for scope, members in instance.groups:
            for other in members if vm in members else ():
                for place in self.hosts_of(other) if other != vm else ():
                    if place == host or (scope == "rack" and instance.rack[place] == instance.rack[host]):
                        found.add("affinity")
        return found

    def judge(self, vm, node):
        """The rules that an action breaks now, all of them but order and time."""
        instance = self.instance
        if not 0 <= vm < instance.vms or not -1 <= node < instance.nodes:
            return {"entry"}
        if instance.numas[vm] == 2 and node >= 0 and node % 2:
            return {"entry"}
        if node == -1 and not instance.pack:
            return {"evict"}
        found = {"limit"} if self.used >= self.conditions["mnl"] else set()
        if vm not in self.at and instance.dynamic:
            return found | {"placed"}
        if vm not in self.at:
            return {"placed"} if node == -1 else self.broken(vm, node)
        if self.conditions["constraints"] and not instance.movable[vm]:
            found.add("movable")
        if node == -1:
            waiting = [instance.priority[other] for other in range(instance.vms) if other not in self.at]
            if vm in self.evicted or not waiting or instance.priority[vm] >= max(waiting):
                found.add("evict")
            return found
        return found | ({"placed"} if self.at[vm] == node else self.broken(vm, node))

    def act(self, vm, node):
        """Carry out an action of a snapshot."""
        self.used += vm in self.at
        if node == -1:
            self.evicted.add(vm)
            del self.at[vm]
        else:
            self.at[vm] = node

    def arrive(self, vm):
        """Place an arriving VM best-fit; whether there is a place."""
        step = int(self.instance.numas[vm])
        places = [node for node in range(0, self.instance.nodes, step) if not self.broken(vm, node)]
        free = {node: sum(self.free(each)[0] for each in self.nodes(vm, node)) for node in places}
        if places:
            self.at[vm] = min(places, key=lambda node: (free[node], node))
        return bool(places)


def pick(world: World, rng: np.random.Generator):
    """A random action that is legal now, or None where a few attempts found none."""
    least = -1 if world.instance.pack else 0
    for _ in range(15):
        action = int(rng.integers(world.instance.vms)), int(rng.integers(least, world.instance.nodes))
        if not world.judge(*action):
            return action
    return None


def _play_snapshot(instance, conditions, rng):
    world, rows = World(instance, conditions), []
    rates = [world.rate()]
    for step in range(rng.integers(0, 9)):
        action = pick(world, rng)
        if action is not None:
            step = len(rows)
            rows.append([action[0], step, action[1], step, step])
            world.act(*action)
            rates.append(world.rate())
    return SimpleNamespace(rows=rows, world=world, rates=rates)


class Clock:
    """Time, millisecond by millisecond.

    Args:
        world: at time 0.
        decide: from (the time, the number of migrations begun or dropped) to an action or None, asked when a decision
            may be taken.

    Attributes:
        rows: the actions as entries of a schedule; stale ones too.
        rates: of each millisecond.
    """

    def __init__(self, world: World, decide):
        self.world, self.decide = world, decide
        self.rows, self.rates, self.rejected, self.stale, self.cut = [], [], [], [], []
        self.pending = self.running = None  # (time, VM, node) and (time, VM)
        for time in range(world.instance.horizon):
            self.tick(time)
            self.rates.append(world.rate())

    def tick(self, time):
        world, instance = self.world, self.world.instance
        for vm in np.flatnonzero(instance.departure == time).tolist():
            world.at.pop(vm, None)
            if world.copied.pop(vm, None) is not None:
                self.running = None
                self.cut.append(vm)
        if self.running and self.running[0] == time:
            self.complete()
        for vm in np.flatnonzero((instance.arrival == time) & (instance.arrival > 0)).tolist():
            if not world.arrive(vm):
                self.rejected.append(vm)
        while not self.running:
            if self.pending and self.pending[0] == time:
                self.carry_out(*self.pending)
            elif self.pending:
                return
            else:
                action = self.decide(time, len(self.rows))
                if action is None:
                    return
                self.pending = time + world.conditions["latency"], *action

    def complete(self):
        vm = self.running[1]
        self.world.at[vm], self.running = self.world.copied.pop(vm), None

    def carry_out(self, time, vm, node):
        world, self.pending = self.world, None
        stale = vm not in world.at or bool(world.broken(vm, node))
        rate, took = world.conditions["copy_rate"], 0
        if rate and not stale:
            took = -(-1000 * int(world.instance.memory[vm]) // rate)
        self.rows.append([vm, len(self.rows), node, time, time + took])
        world.used += 1
        if stale:
            self.stale.append(len(self.rows) - 1)
        else:
            world.copied[vm], self.running = node, (time + took, vm)
            if took == 0:
                self.complete()


def _play_timeline(instance, conditions, rng):
    world = World(instance, conditions)
    eager = rng.random()
    return Clock(world, lambda time, done: pick(world, rng) if rng.random() < eager else None)


def _play(instance, conditions, rng):
    return (_play_timeline if instance.dynamic else _play_snapshot)(instance, conditions, rng)


def _random_groups(rng, vms):
    return tuple(
        (str(rng.choice(["host", "rack"])), tuple(rng.choice(vms, rng.integers(2, min(vms, 4) + 1), replace=False)))
        for _ in range(rng.integers(0, 4))
    )


def _random_instance(rng: np.random.Generator, kind: str) -> VMInstance:
    """A small cluster: a ``"snapshot"``, a ``"pack"`` or a ``"timeline"``."""
    hosts, vms = int(rng.integers(2, 5)), int(rng.integers(3, 13))
    node_cores, node_memory = rng.choice([16, 20, 44, 70], (hosts, 2)), rng.choice([90_000, 200_000], (hosts, 2))
    numas = rng.choice([1, 1, 1, 2], vms)
    cores = rng.choice([1, 2, 3, 4, 8, 10, 16], vms) * numas
    memory = rng.choice([0, 1, 1000, 20_001, 70_000], vms)
    free = np.stack([node_cores, node_memory], axis=2).reshape(-1, 2)
    node = np.full(vms, -1)
    wanted = rng.random(vms) < (1.0 if kind == "snapshot" else 0.6)
    for vm in np.flatnonzero(wanted):
        need = np.array([cores[vm], memory[vm] + numas[vm] - 1]) // numas[vm]
        step = numas[vm]
        places = [at for at in range(0, 2 * hosts, step) if (free[at : at + step] >= need).all()]
        if places:
            node[vm] = rng.choice(places)
            free[node[vm] : node[vm] + step] -= need
    if kind == "snapshot":
        kept = node >= 0
        kept[0] |= not kept.any()
        numas, cores, memory, node = (column[kept] for column in (numas, cores, memory, node))
        if node[0] < 0:  # the first one never fits: a smaller one does
            numas[0], cores[0], memory[0], node[0] = 1, 1, 1, 0
    vms = len(node)
    more = {"priority": rng.integers(0, 3, vms) * 5}
    if kind == "timeline":
        horizon = int(rng.integers(20, 70))
        arrival = np.where(node < 0, rng.integers(1, horizon + 3, vms), 0)
        leaves = rng.random(vms) < 0.5
        departure = np.where(leaves, arrival + rng.integers(1, horizon, vms), NEVER)
        more |= {"horizon": horizon, "arrival": arrival, "departure": departure}
    return VMInstance(
        "random", node_cores, node_memory, cores, memory, numas, node, movable=rng.random(vms) < 0.85,
        rack=rng.integers(0, 2, hosts), drained=rng.random(hosts) < 0.15,
        groups=_random_groups(rng, vms) if vms > 1 else (), **more,
    )  # fmt: skip


def _random_conditions(rng: np.random.Generator) -> dict:
    """Any of the conditions, plain or not; copies take from 0 to 70 ms."""
    wide = int(rng.choice([0, 30, 100]))
    every = {
        "mnl": int(rng.choice([0, 1, 3, 50])), "weight_64": wide,
        "weight_memory": int(rng.choice([0, 100 - wide, 20 * (wide < 80)])),
        "migration_cost": float(rng.choice([0.0, 0.25])), "constraints": bool(rng.random() < 0.8),
        "latency": int(rng.choice([0, 1, 7])), "copy_rate": int(rng.choice([0, 1_000_000, 10_000_000])),
    }  # fmt: skip
    return {key: value for key, value in every.items() if rng.random() < 0.8}


@pytest.fixture(scope="session")
def vm():
    """``World``, ``Clock``, and functions of a random generator.

    ``instance(rng, kind)`` of kind ``"snapshot"``, ``"pack"`` or ``"timeline"``; ``conditions(rng)``; and
    ``play(instance, conditions, rng)``, random legal actions, with the ``rows`` that they are and the ``world`` that
    they end in.
    """
    return SimpleNamespace(
        World=World, Clock=Clock, instance=_random_instance, conditions=_random_conditions, play=_play,
        kinds=("snapshot", "pack", "timeline"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def recount(load_module):
    """What follows from who is where, see the file of this name."""
    return load_module(HERE / "recount.py")


@pytest.fixture(scope="session")
def features(load_module):
    """What observations ought to show, see the file of this name."""
    return load_module(HERE / "features.py")
