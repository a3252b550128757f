"""What observations of VM rescheduling ought to show, by the names of the features, in plain floating point."""

import numpy as np

from dispatchgym.envs.vm import observe, observe_vms, observe_wide


def share(count) -> float:
    """A count between 0 and 1."""
    return count / (count + 8)


def rows(features, dicts) -> np.ndarray:
    """(len(dicts), features) what is named, 0 for what is not, kept in the bounds that are declared."""
    names = [feature.name for feature in features]
    assert all(set(one) <= set(names) for one in dicts)
    values = np.array([[one.get(name, 0) for name in names] for one in dicts], dtype=float)
    low, high = ([getattr(feature, end) for feature in features] for end in ("low", "high"))
    return np.clip(values.reshape(-1, len(names)), low, high)


class Expected:
    """Features of an environment.

    Args:
        seen: its state, see ``recount``.
    """

    def __init__(self, seen):
        self.seen, self.count, self.cluster = seen, seen.count, seen.cluster
        self.residue = self.count.free_cores % 16 / 16
        self.needs = [self.count.need(n) for n in range(self.cluster.nodes)]
        self.levels = np.unique(self.cluster.priority).tolist()
        self.most_levels = len(seen.unplaced)
        open = np.flatnonzero(seen.action_mask[:-1])
        self.wide = seen.options.weight_64 > 0 and seen.options.moves != "vm"
        ratio = seen.gain[open] / 1600 / seen.length[open]
        self.best = max([0, *ratio])

    def level(self, vm) -> float:
        own = self.levels.index(self.cluster.priority[vm])
        return (own + self.most_levels - len(self.levels) + 1) / self.most_levels

    def after(self, n, cores) -> int:
        """Free cores modulo 16 of a node that gets so many back."""
        return int(self.count.free_cores[n] + cores) % 16

    # ------------------------------------------------------------------ classes

    def work(self) -> np.ndarray:
        found = []
        for c in range(int(self.seen.class_count)):
            vm = int(self.seen.class_vm[c])
            n, cores = int(self.count.node[vm]), int(self.count.cores[vm])
            row = {"double": self.count.double[vm], "cores": cores / 16, "size": share(int(self.seen.class_size[c]))}
            row |= {"unplaced": n < 0, "level": self.level(vm), "exists": 1}
            if n >= 0:
                completed = (self.count.free_cores[n] % 16 + cores) // 16
                row |= {
                    "residue": self.residue[n], "other_residue": self.residue[n ^ 1], "touched": self.seen.touched[n],
                    "residue_after": self.after(n, cores) / 16, "need": self.needs[n] / 5, "completes": completed / 4,
                }  # fmt: skip
            found.append(row)
        return rows(observe.CLASS_OF_VMS, found)

    def resource(self) -> np.ndarray:
        found = []
        for k in range(int(self.seen.key_count)):
            key = int(self.seen.key_list[k])
            n, is_host = int(self.seen.first_node[key]), key >= 256
            both = sorted([self.residue[n], self.residue[n ^ 1]]) if is_host else [self.residue[n], self.residue[n ^ 1]]
            free, of_it = self.count.free_cores[[n, n ^ 1]], [n, n ^ 1] if is_host else [n]
            found.append({
                "host": is_host, "residue": both[0], "other_residue": both[1], "free": free.sum() / 64,
                "need": min(self.needs[m] for m in of_it) / 5, "touched": max(self.seen.touched[of_it]),
                "size": share(int(self.seen.key_size[k])), "wide": min(free // 32) / 2, "exists": 1,
            })  # fmt: skip
        return rows(observe.CLASS_OF_PLACES, found)

    # ------------------------------------------------------------------ VMs and nodes

    def vms(self) -> np.ndarray:
        found = []
        for vm in range(self.cluster.vms):
            n, cores = int(self.count.node[vm]), int(self.count.cores[vm])
            capacity = max(int(self.cluster.node_memory[0, 0]), 1)
            row = {
                "double": self.count.double[vm], "cores": cores / 16, "memory": self.count.memory[vm] / capacity,
                "movable": self.count.movable[vm], "placed": n >= 0, "chosen": self.seen.chosen == vm,
                "level": self.level(vm), "exists": 1,
            }  # fmt: skip
            if n >= 0:
                need = self.need_after(vm, n) / 5
                row |= {"residue": self.residue[n], "residue_after": self.after(n, cores) / 16, "need_after": need}
            found.append(row)
        return rows(observe_vms.VM_NODE, found)

    def nodes(self) -> np.ndarray:
        memory = self.count.free_memory / np.maximum(self.cluster.node_memory.ravel(), 1)
        return rows(observe_vms.NUMA_NODE, [
            {
                "residue": self.residue[n], "free": self.count.free_cores[n] / 64, "free_memory": memory[n],
                "need": self.needs[n] / 5, "touched": self.seen.touched[n], "other_residue": self.residue[n ^ 1],
                "drained": self.count.drained[n // 2], "exists": 1,
            }
            for n in range(self.cluster.nodes)
        ])  # fmt: skip

    # ------------------------------------------------------------------ candidates

    def need_after(self, vm, n) -> int:
        cores = int(self.count.cores[vm])
        small = not self.count.double[vm] and cores < 16 and self.count.movable[vm]
        return self.count.need(n, self.after(n, cores), cores if small else 0)

    def source(self, vm, n) -> dict:
        cores, double = int(self.count.cores[vm]), self.count.double[vm]
        after, other = self.after(n, cores), self.after(n ^ 1, cores if double else 0)
        need = self.need_after(vm, n)
        completes = self.count.free_cores[n] % 16 + cores >= 16 > cores % 16 > 0 and after < self.residue[n] * 16
        return {
            "source_residue": self.residue[n], "source_after": after / 16, "source_other": self.residue[n ^ 1],
            "source_other_after": other / 16, "source_need": self.needs[n] / 5, "source_need_after": need / 5,
            "source_touched": self.seen.touched[n], "source_whole": after == 0 and (other == 0 or not double),
            "in_reach": completes or need < min(5, self.seen.left),
        }  # fmt: skip

    def target(self, vm, n) -> dict:
        cores, double = int(self.count.cores[vm]), self.count.double[vm]
        after, other = self.after(n, -cores), self.after(n ^ 1, -cores if double else 0)
        return {
            "target_residue": self.residue[n], "target_after": after / 16, "target_other": self.residue[n ^ 1],
            "target_other_after": other / 16, "target_need": self.needs[n] / 5,
            "target_need_after": self.count.need(n, after) / 5, "target_touched": self.seen.touched[n],
            "target_whole": after == 0 and (other == 0 or not double),
        }  # fmt: skip

    def parts(self, action) -> dict:
        """Of a macro: its moves on the average, and the node that it empties."""
        length, n = int(self.seen.length[action]), int(self.seen.source[action])
        vms, nodes = (array[action, :length].tolist() for array in (self.seen.part_vm, self.seen.part_node))
        targets = [self.target(vm, node) for vm, node in zip(vms, nodes, strict=True)]
        row = {name: np.mean([float(one[name]) for one in targets]) for name in targets[0]}
        waste = int(self.seen.waste[action])
        return row | {
            "target_touched": max(one["target_touched"] for one in targets),
            "cores": np.mean(self.count.cores[vms]) / 16, "source_residue": self.residue[n], "in_reach": 1,
            "source_after": min(waste / 16, 1), "source_other": self.residue[n ^ 1],
            "source_other_after": self.residue[n ^ 1], "source_need": self.needs[n] / 5,
            "source_touched": self.seen.touched[n], "source_whole": waste == 0,
        }  # fmt: skip

    def candidate(self, action) -> dict:
        seen, vm, node = self.seen, int(self.seen.vm[action]), int(self.seen.node[action])
        length, per_move = int(seen.length[action]), seen.gain[action] / 1600 / seen.length[action]
        copied = max(int(seen.megabytes[action]), 1) / 16384  # in units of 16 GB
        row = {
            "copied": copied / 4, "gain_per_copy": seen.gain[action] / 1600 / copied / 4,
            "double": self.count.double[vm], "cores": self.count.cores[vm] / 16, "gain": seen.gain[action] / 6400,
            "source_gain": seen.source_gain[action] / 6400, "length": length / 8, "gain_per_move": per_move / 2,
            "regret": (self.best - per_move) / 2, "waste": seen.waste[action] / 16,
            "used": min(length / max(seen.left, 1), 1), "place": seen.kind[action] == 1,
            "evict": seen.kind[action] == 2, "level": self.level(vm),
        }  # fmt: skip
        if self.wide:
            row |= self.rooms_taken(action)
        if seen.options.moves == "macro":
            return row | self.parts(action)
        if self.count.node[vm] >= 0:
            row |= self.source(vm, int(self.count.node[vm]))
        return row | (self.target(vm, node) if node >= 0 else {})

    def rooms(self, free) -> np.ndarray:
        """(nodes,) free cores beyond the VMs of 64 cores that there is room for."""
        wide = (np.maximum(free, 0).reshape(-1, 2) // 32).min(axis=1)
        return free - 32 * np.repeat(wide, 2)

    def rooms_taken(self, action) -> dict:
        """Where FR-64 counts: what all moves together take of the room on other hosts than that they make room on."""
        seen, count, length = self.seen, self.count, int(self.seen.length[action])
        moves = [(int(seen.vm[action]), int(seen.node[action]))]
        if seen.options.moves == "macro":
            moves = list(
                zip(seen.part_vm[action, :length].tolist(), seen.part_node[action, :length].tolist(), strict=True)
            )
        free, left = count.free_cores.copy(), int(seen.source[action]) // 2  # of a VM that is nowhere that is -1
        for vm, node in moves:
            for at, sign in ((int(count.node[vm]), 1), (node, -1)):
                if at >= 0:
                    free[count.spread(vm, at)] += sign * count.cores[vm]
        other = np.repeat(np.arange(self.cluster.hosts) != left, 2)
        before, after = self.rooms(count.free_cores), self.rooms(free)
        row = {f"room_{k}": ((before >= k) & other).sum() - ((after >= k) & other).sum() for k in observe_wide.ROOMS}
        away = [vm for vm, _ in moves if count.node[vm] >= 0 and count.node[vm] // 2 != left]
        return {name: lost / 4 for name, lost in row.items()} | {"elsewhere": len(away) / 8}

    def candidates(self, more) -> np.ndarray:
        """Of the legal actions in order; ``more(action)`` are those features that the kind of action has besides."""
        open = np.flatnonzero(self.seen.action_mask).tolist()
        last = len(self.seen.action_mask) - 1
        stop = {"stop": 1, "regret": self.best / 2}
        found = [stop if action == last else self.candidate(action) | more(action) for action in open]
        return rows(observe.CANDIDATE + observe_wide.WIDE_CANDIDATE * self.wide, found)

    def context(self) -> np.ndarray:
        seen, count, nodes = self.seen, self.count, self.cluster.nodes
        narrow, wide, _ = count.parts()
        free, left = int(count.free_cores.sum()), seen.left
        row = {
            "left": left / 50, "left_share": left / max(seen.options.mnl, 1), "rate": float(count.rate()),
            "narrow": narrow / max(free, 1), "free_share": free / max(int(self.cluster.node_cores.sum()), 1),
            "hosts": self.cluster.hosts / (self.cluster.hosts + 64), "wide": (free - wide) / 64 / self.cluster.hosts,
        }  # fmt: skip
        if self.cluster.dynamic:
            row["time_left"] = 1 - int(seen.now) / self.cluster.horizon
        if self.cluster.pack:
            row["unplaced"] = (count.node < 0).sum() / self.cluster.vms
        residue = count.free_cores % 16
        row |= {f"residue_{k}": (residue == k).sum() / nodes for k in range(16)}
        broken = [need for need, rest in zip(self.needs, residue, strict=True) if rest]
        row |= {f"need_{k}": broken.count(k) / nodes for k in range(1, 6)}
        if self.wide:
            rooms = self.rooms(count.free_cores)
            row |= {f"room_{k}": share(int((rooms >= k).sum())) for k in observe_wide.ROOMS}
        return rows(observe.CONTEXT + observe_wide.WIDE_CONTEXT * self.wide, [row])[0]
