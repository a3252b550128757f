"""What follows from who is where, counted anew in NumPy; nothing of the simulator or the validator is used."""

from fractions import Fraction

import numpy as np

NEVER = 2**31 - 1
MIGRATE, PLACE, EVICT, STOP = range(4)


class Count:
    """Who is where, and all that is counted from it whenever it is asked for.

    Args:
        instance: the cluster.
        options: what counts.
        node: (VMs,) node of each VM, -1 for nowhere.
        copied: the VM that is being copied and the node it is copied to, or None.
    """

    def __init__(self, instance, options, node, copied=None):
        self.instance, self.options, self.node, self.copied = instance, options, np.array(node), copied
        self.double = instance.numas == 2
        self.cores = np.where(self.double, instance.cores // 2, instance.cores).astype(int)
        self.memory = np.where(self.double, (instance.memory + 1) // 2, instance.memory).astype(int)
        judged = options.constraints
        self.movable = instance.movable if judged else np.ones(instance.vms, bool)
        self.drained = instance.drained if judged else np.zeros(instance.hosts, bool)
        self.groups = instance.groups if judged else ()
        self.free_cores, self.free_memory = instance.node_cores.ravel().astype(int), instance.node_memory.ravel() * 1
        for vm, at in self.whereabouts():
            self.take(self.free_cores, self.free_memory, vm, at)

    def whereabouts(self) -> list[tuple[int, int]]:
        """Every VM with its node; one that is being copied with both."""
        found = [(vm, int(at)) for vm, at in enumerate(self.node) if at >= 0]
        return found + ([self.copied] if self.copied else [])

    def spread(self, vm, at) -> list[int]:
        """The nodes that a VM takes something of."""
        return [at, at + 1] if self.double[vm] else [at]

    def take(self, cores, memory, vm, at, sign=1) -> None:
        """Subtract what a VM takes from free cores and memory."""
        for n in self.spread(vm, at):
            cores[n] -= sign * self.cores[vm]
            memory[n] -= sign * self.memory[vm]

    # ------------------------------------------------------------------ fragments

    def parts(self, cores=None, memory=None) -> tuple[int, int, int]:
        """Fragments of FR-16, of FR-64 and of memory."""
        cores = self.free_cores if cores is None else cores
        memory = self.free_memory if memory is None else memory
        wide = (cores.reshape(-1, 2) // 32).min(axis=1).sum()
        return int((cores % 16).sum()), int(cores.sum() - 64 * wide), int((memory % 65536).sum())

    @property
    def weights(self) -> tuple[int, int, int]:
        """Percent of FR-16, FR-64 and memory."""
        wide, memory = self.options.weight_64, self.options.weight_memory
        return 100 - wide - memory, wide, memory

    def rate(self) -> Fraction:
        """The fragment rate."""
        wholes = (int(self.free_cores.sum()),) * 2 + (int(self.free_memory.sum()),)
        rows = zip(self.weights, self.parts(), wholes, strict=True)
        return sum((Fraction(weight * part, whole) for weight, part, whole in rows if whole), Fraction(0)) / 100

    def value(self, cores, memory) -> Fraction:
        """Weighted fragments in hundredths of cores: the fragment rate times 100 and the free cores that there are."""
        narrow, wide, scraps = self.parts(cores, memory)
        total, memory_total = int(self.free_cores.sum()), int(self.free_memory.sum())
        more = Fraction(self.weights[2] * scraps * total, memory_total) if memory_total else 0
        return self.weights[0] * narrow + self.weights[1] * wide + more

    def gain(self, moves) -> Fraction:
        """Decrease of the weighted fragments by moves (VM, from, to), with None for nowhere; no cores are given."""
        cores, memory = self.free_cores.copy(), self.free_memory.copy()
        for vm, source, target in moves:
            if source is not None:
                self.take(cores, memory, vm, source, -1)
            if target is not None:
                self.take(cores, memory, vm, target)
        return self.value(self.free_cores, self.free_memory) - self.value(cores, memory)

    def leaving(self, vm) -> Fraction:
        """The part of it where a VM leaves: what it brings in free cores is not counted as fragments of FR-64."""
        brought = len(self.spread(vm, 0)) * int(self.cores[vm])
        return self.gain([(vm, int(self.node[vm]), None)]) + self.weights[1] * brought

    # ------------------------------------------------------------------ small VMs, flavors and lists

    def small(self) -> np.ndarray:
        """(nodes, 16) movable single VMs by their cores, below 16."""
        found = np.zeros((self.instance.nodes, 16), int)
        for vm, at in self.whereabouts():
            if self.movable[vm] and not self.double[vm] and self.cores[vm] < 16:
                found[at, self.cores[vm]] += 1
        return found

    def need(self, n, residue=None, without=0) -> int:
        """Fewest small VMs of a node that together have what is missing to a slot; 5 for more of them, and for none."""
        missing = 16 - (int(self.free_cores[n]) % 16 if residue is None else residue)
        sizes = sorted(np.repeat(np.arange(16), self.small()[n]).tolist(), reverse=True)
        if without:
            sizes.remove(without)
        enough = [count for count in range(1, len(sizes) + 1) if sum(sizes[:count]) >= missing]
        return min([*enough, 5])

    def harm(self, vm, n) -> int:
        """How near to a whole slot the nodes are that a VM fills."""
        return sum(5 - self.need(k) for k in self.spread(vm, n))

    def flavors(self) -> list[int]:
        """Number of each VM's flavor: what it takes, and its priority."""
        instance = self.instance
        rows = [instance.cores, instance.memory, instance.numas, instance.priority]
        kinds = list(zip(*(row.tolist() for row in rows), strict=True))
        known = sorted(set(kinds))
        return [known.index(kind) for kind in kinds]

    def listed(self, n) -> list[int]:
        """Movable VMs at a node, double ones at the first of theirs."""
        return [vm for vm in range(self.instance.vms) if self.node[vm] == n and self.movable[vm]]

    # ------------------------------------------------------------------ what is legal

    def kept_away(self, vm) -> np.ndarray:
        """(hosts,) whether a constraint keeps a VM from a host."""
        found, rack = self.drained.copy(), self.instance.rack
        for scope, members in self.groups:
            for other, at in self.whereabouts() if vm in members else ():
                if other != vm and other in members:
                    found |= rack == rack[at // 2] if scope == "rack" else np.arange(len(rack)) == at // 2
        return found

    def room(self, vm) -> np.ndarray:
        """(nodes,) whether there is room for a VM; double ones have theirs at the first node of a host."""
        fits = (self.free_cores >= self.cores[vm]) & (self.free_memory >= self.memory[vm])
        if self.double[vm]:
            both = fits.reshape(-1, 2).all(axis=1)
            fits = np.stack([both, np.zeros_like(both)], axis=1).ravel()
        return fits

    def targets(self, vm) -> list[int]:
        """The nodes that a VM may go to, whatever is said of it itself."""
        fine = self.room(vm) & ~np.repeat(self.kept_away(vm), 2)
        return [n for n in np.flatnonzero(fine).tolist() if n != self.node[vm]]

    def legal(self, left: int, evicted=()) -> set[tuple[int, int, int]]:
        """All legal actions (VM, node, kind), while so many moves are left; evictions are to node -1."""
        found, pack = set(), self.instance.pack
        waiting = [self.instance.priority[vm] for vm in range(self.instance.vms) if self.node[vm] < 0]
        for vm in range(self.instance.vms):
            placed = self.node[vm] >= 0
            if not placed and not pack or placed and (left <= 0 or not self.movable[vm]):
                continue
            found |= {(vm, n, MIGRATE if placed else PLACE) for n in self.targets(vm)}
            lower = pack and placed and waiting and self.instance.priority[vm] < max(waiting)
            if lower and vm not in evicted:
                found.add((vm, -1, EVICT))
        return found

    def best_fit(self, vm) -> int:
        """Where an arriving VM goes: fewest free cores, of both nodes for a double one; -1 for nowhere."""
        free = {n: int(sum(self.free_cores[k] for k in self.spread(vm, n))) for n in self.targets(vm)}
        return min(free, key=lambda n: (free[n], n), default=-1)


class Seen:
    """The state of one environment: its fields as attributes, and what they ought to be as ``count``."""

    def __init__(self, simulation, place=0):
        self.model, self.options, self.cluster = (
            simulation.model,
            simulation.model.options,
            simulation.instance_of(place),
        )
        tensors = simulation.engine.tensors
        for field in simulation.engine.program.fields:
            if field.shape[:1] == ("env",):
                setattr(self, field.name, tensors[field.name][place].numpy())
        copied = (int(self.copied), int(self.copied_to)) if self.copied >= 0 else None
        self.count = Count(self.cluster, self.options, self.place[: self.cluster.vms], copied)

    @property
    def left(self) -> int:
        """Moves that the limit still allows."""
        return self.options.mnl - int(self.migrations + self.evictions + self.stale_moves)

    @property
    def legal(self) -> set[tuple[int, int, int]]:
        """All legal actions but stopping, whatever is offered."""
        done = slice(0, int(self.log_count))
        return self.count.legal(self.left, set(self.log_vm[done][self.log_node[done] < 0].tolist()))

    @property
    def shown(self) -> list[tuple[int, int, int]]:
        """(VM, node, kind) of every action that is offered, in order, but for stopping."""
        open = np.flatnonzero(self.action_mask[:-1])
        return list(zip(self.vm[open].tolist(), self.node[open].tolist(), self.kind[open].tolist(), strict=True))

    def check(self) -> None:
        """Everything that is kept from step to step is what follows from who is where."""
        count, instance = self.count, self.cluster
        nodes = slice(0, instance.nodes)
        assert (self.free_cores[nodes] == count.free_cores).all() and (count.free_cores >= 0).all()
        assert (self.free_memory[nodes] == count.free_memory).all() and (count.free_memory >= 0).all()
        narrow, wide, scraps = count.parts()
        total = int(count.free_cores.sum())
        assert (self.fragments, self.free_total, self.wide_slots) == (narrow, total, (total - wide) // 64)
        assert (self.memory_fragments, self.free_memory_total) == (scraps, int(count.free_memory.sum()))
        assert (self.small[nodes, 1:] == count.small()[:, 1:]).all()
        assert self.need[nodes].tolist() == [count.need(n) for n in range(instance.nodes)]
        self.check_lists()
        if instance.pack:
            waiting = instance.priority[count.node < 0]
            levels = np.unique(instance.priority).tolist()
            expected = [0] * (len(self.unplaced) - len(levels)) + [int((waiting == level).sum()) for level in levels]
            assert self.unplaced.tolist() == expected

    def check_lists(self) -> None:
        """The lists of VMs of each node, and how many there are of each flavor."""
        count, flavor = self.count, self.count.flavors()
        for n in range(self.cluster.nodes):
            vms = count.listed(n)
            chain, vm = [], int(self.node_vm[n])
            while vm >= 0 and len(chain) <= len(vms):
                chain.append(vm)
                vm = int(self.vm_next[vm])
            assert chain == vms
            expected = np.bincount([flavor[vm] for vm in vms], minlength=self.flavor_count.shape[1])
            assert (self.flavor_count[n] == expected).all()


class Classes:
    """The classes of a state as the statement of class moves has them, and the moves that stand for all the others."""

    def __init__(self, seen):
        self.seen, self.count, self.cluster, self.options = seen, seen.count, seen.cluster, seen.options
        self.coarse = self.options.weight_64 > 0 or self.cluster.pack
        self.legal = seen.legal
        self.flavor = self.count.flavors()
        open = np.flatnonzero(~self.count.drained).tolist()
        self.places: dict[tuple, list[int]] = {}
        for h in open:
            self.places.setdefault(self.host_key(h), []).append(2 * h)
            for n in (2 * h, 2 * h + 1):
                self.places.setdefault(self.node_key(n), []).append(n)
        self.members: dict[tuple, list[int]] = {}
        for n in range(self.cluster.nodes):
            for vm in self.count.listed(n):
                if (
                    self.options.weight_64
                    or self.options.weight_memory
                    or self.cluster.pack
                    or self.count.cores[vm] % 16
                ):
                    self.members.setdefault((self.key_of(vm, n), self.flavor[vm]), []).append(vm)
        for vm in np.flatnonzero(self.count.node < 0).tolist() if self.cluster.pack else ():
            self.members.setdefault((None, self.flavor[vm]), []).append(vm)

    def node_key(self, n) -> tuple:
        free, touched = self.count.free_cores, int(self.seen.touched[n])
        if self.coarse:
            return "node", min(free[n], 63), bool(free[n ^ 1] >= 32), touched
        return "node", free[n] % 16, int(self.seen.need[n]), touched

    def host_key(self, h) -> tuple:
        free = self.count.free_cores[2 * h : 2 * h + 2]
        if self.coarse:
            return ("host", *sorted(np.minimum(free // 2, 31).tolist()))
        return ("host", *sorted((free % 16).tolist()), int(self.seen.touched[2 * h : 2 * h + 2].max()))

    def key_of(self, vm, n) -> tuple:
        return self.host_key(n // 2) if self.count.double[vm] else self.node_key(n)

    def spares(self, vm, n) -> bool:
        """Whether a VM takes no slot at a node that it does not fill."""
        weight, cores = self.count.weights, self.count.cores[vm]
        after = self.count.free_cores.copy()
        fine = True
        for k in self.count.spread(vm, n):
            fine &= weight[0] == 0 or after[k] % 16 >= cores % 16
            after[k] = max(after[k] - cores, 0)
        wide = (self.count.free_cores.reshape(-1, 2) // 32).min(axis=1)
        return bool(fine and (weight[1] == 0 or (wide == (after.reshape(-1, 2) // 32).min(axis=1)).all()))

    def band(self, vm, n) -> int:
        """Which of all pairs come first; n is the first node of its class, room or not."""
        source = int(self.count.node[vm])
        if self.cluster.pack or source < 0:
            return 0
        cores = self.count.cores[vm]
        after = self.count.free_cores.copy()
        for k in self.count.spread(vm, n):
            after[k] -= cores
        narrow = (self.count.free_cores % 16).sum() - (after % 16).sum()
        wide = [(free.clip(0).reshape(-1, 2) // 32).min(axis=1).sum() for free in (self.count.free_cores, after)]
        gain = (
            self.count.leaving(vm) + self.count.weights[0] * narrow + self.count.weights[1] * 64 * (wide[1] - wide[0])
        )
        close = after[n] % 16 == 0 or self.seen.touched[source] or self.seen.need[source] <= 2
        return 0 if gain > 0 else 1 if close else 2

    def pairs(self) -> dict[tuple[int, int, int], int]:
        """Every move that stands for others, with its band, in no order."""
        found = {}
        for (key, _), vms in self.members.items():
            vm, double = vms[0], self.count.double[vms[0]]
            for place, nodes in self.places.items():
                if (place[0] == "host") == double and (self.cluster.pack or self.spares(vm, nodes[0])):
                    kind = PLACE if key is None else 0
                    fine = [(vm, n, kind) for n in nodes if (vm, n, kind) in self.legal]
                    if fine:
                        found[fine[0]] = self.band(vm, nodes[0])
        return found

    def evictions(self) -> set[tuple[int, int, int]]:
        """To evict the first VM of each class."""
        return {(vms[0], -1, EVICT) for vms in self.members.values()} & self.legal
