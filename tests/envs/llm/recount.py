"""What an environment of this family keeps, counted anew in plain Python from the little that cannot be derived."""

import numpy as np

NEVER = 2**60
AHEAD, WAITING, RUNNING, FINISHED, REJECTED = range(5)
ADMIT, STOP, REJECT, CONTINUE = range(4)
ROUTING = 1


class Slot:
    """A running request.

    Args:
        seen: where it runs.
        r, k: server and slot.
    """

    def __init__(self, seen, r: int, k: int):
        self.r, self.k, self.q = r, k, int(seen.slot_request[r, k])
        self.order, self.left = int(seen.slot_order[r, k]), int(seen.slot_prefill[r, k])
        self.decodes = self.left == 0
        rounds = int(seen.rounds[r]) if self.decodes else 0
        self.kv, self.to_emit = int(seen.slot_kv[r, k]) + rounds, int(seen.slot_end[r, k]) - rounds
        self.emitted = int(seen.output_tokens[self.q]) - self.to_emit
        self.uses = bool(seen.slot_uses[r, k])


class Seen:
    """One environment: its arrays, its part of the bank, and what follows from them.

    Args:
        simulation: at a decision, or at the end.
        place: the environment.
    """

    def __init__(self, simulation, place: int = 0):
        tensors, self.simulation, self.place = simulation.engine.tensors, simulation, place
        self.options, self.b = simulation.model.options, int(tensors["instance"][place])
        for field in simulation.engine.program.fields:
            if field.name in tensors and field.shape[:1] in (("env",), ("bank",)):
                at = place if field.shape[0] == "env" else self.b
                setattr(self, field.name, tensors[field.name][at].numpy().copy())
        self.n, self.count, self.now = int(self.requests), int(self.servers), int(self.now)
        self.slots = [[Slot(self, r, k) for k in range(self.running[r])] for r in range(self.count)]
        self.waiting = [q for q in range(self.n) if self.status[q] == WAITING]
        self.queue = self.queue[self.queue_first :][: self.queued]
        self.by_due = self.by_due[self.due_first :][: self.queued]
        self.routing = self.options.control == "routing"

    def place_of(self, q: int) -> tuple[int, int]:
        """Where a request stands in order of arrival."""
        return int(self.arrived[q]), q

    def whole(self, q: int, r: int) -> int:
        """Whole blocks of the prefix of a request's group."""
        return self.shared_tokens[q] // self.block_size[r] if self.prefix_cache and self.group_of[q] >= 0 else 0

    @property
    def prefix_cache(self) -> bool:
        return self.options.prefix_cache

    def entry_of(self, q: int, r: int) -> int:
        """Blocks of the entry of a request's group that it could use."""
        return int(self.group_blocks[r, self.group_of[q]]) if self.whole(q, r) else 0

    def owned_by(self, slot: Slot) -> int:
        """Blocks of its own of a running request; while an iteration is under way its next token has its place."""
        size, r = int(self.block_size[slot.r]), slot.r
        tokens = slot.kv + slot.left
        if slot.decodes:
            tokens = slot.kv + (1 if self.busy_until[r] < NEVER else int(self.grown[r]))
        return -(-tokens // size) - (self.entry_of(slot.q, r) if slot.uses else 0)

    # ------------------------------------------------------------------ checks

    def check(self) -> None:
        """Everything that is kept is what follows."""
        self.check_requests()
        for r in range(self.count):
            self.check_batch(r)
            self.check_memory(r)
            self.check_cache(r)

    def check_requests(self) -> None:
        status = self.status[: self.n]
        arriving = [int(self.dispatching)] if self.dispatching >= 0 else []
        counts = np.bincount(status, minlength=5)
        assert counts.sum() == self.n and len(counts) == 5
        assert counts[FINISHED] == self.finished and counts[REJECTED] == self.rejected
        assert counts[RUNNING] == self.running[: self.count].sum() and counts[WAITING] == self.queued
        assert self.left == self.n - self.finished - self.rejected
        present = self.waiting + [slot.q for row in self.slots for slot in row] + arriving
        assert len(set(present)) == len(present) == self.in_system and set(arriving) <= set(np.flatnonzero(status == 0))
        assert self.arrival_sum == sum(int(self.arrived[q]) for q in present)
        over = [q for q in range(self.n) if status[q] in (FINISHED, REJECTED)]
        done = sum(int(self.ended[q] - self.arrived[q]) for q in over)
        assert self.flow_done == done and self.flow == done + sum(self.now - int(self.arrived[q]) for q in present)
        assert self.missed == self.missed_one[: self.n].sum()
        assert self.queue.tolist() == sorted(self.waiting, key=self.place_of)
        due = sorted(self.waiting, key=lambda q: (int(self.due[q]), *self.place_of(q)))
        assert self.by_due.tolist() == due
        assert all(int(self.arrived[q]) <= self.now for q in present)
        for q in present:
            first, last = int(self.ttft_target[q]), int(self.e2e_target[q])
            assert int(self.due[q]) == (int(self.arrived[q]) + (first or last) if first or last else NEVER)
        coming = sorted((q for q in range(self.n) if status[q] == AHEAD and self.parent[q] >= 0), key=self.place_of)
        known = [q for q in coming if self.ended[self.parent[q]] >= 0 and q not in arriving]
        assert self.pending[: self.pending_count][::-1].tolist() == known
        clients = np.bincount([self.client_of[q] for q in present], minlength=len(self.waits_of))
        assert self.waits_of.tolist() == clients.tolist()

    def check_batch(self, r: int) -> None:
        slots = self.slots[r]
        assert sorted(slot.q for slot in slots) == [q for q in range(self.n) if self._runs_on(q, r)]
        assert len(slots) <= self.most_running[r] and sorted(self.by_left[r, : len(slots)]) == list(range(len(slots)))
        decoding = [slot for slot in slots if slot.decodes]
        prefilling = sorted((slot for slot in slots if not slot.decodes), key=lambda slot: slot.order)
        assert self.decoding[r] == len(decoding) and self.reading[r] == sum(slot.kv for slot in decoding)
        assert self.prefills[r, : self.prefill_count[r]].tolist() == [slot.k for slot in prefilling]
        assert self.prefilling[r] == sum(slot.left for slot in prefilling)
        assert self.next_end[r] == min([self.rounds[r] + slot.to_emit for slot in decoding], default=2**31 - 1)
        targets = [int(self.tbt_target[slot.q]) for slot in decoding if self.tbt_target[slot.q] > 0]
        assert self.least_target[r] <= min(targets, default=NEVER)
        for slot in slots:
            prompt = int(self.prompt_tokens[slot.q])
            assert slot.to_emit > 0 and slot.kv + slot.left in (prompt + slot.emitted, prompt + slot.emitted - 1)
            assert slot.decodes or slot.kv + slot.left >= prompt
        here = [q for q in self.waiting if self.at_server[q] == r]
        assert self.waiting_here[r] == len(here) and self.waiting_prefill[r] == sum(self.estimate[q] for q in here)
        if self.routing:
            assert all(self.at_server[q] >= 0 for q in self.waiting)
        if not slots:
            assert self.busy_until[r] == NEVER and self.owned[r] == 0
        if self.busy_until[r] < NEVER:
            assert self.began[r] <= self.now < self.busy_until[r]
        elif self.grown[r] and not self.preemptive[r]:
            left = int(self.budget[r]) - len(decoding) - int(self.prefilling[r])
            assert self.tokens_left[r] == max(left, 0)

    def _runs_on(self, q: int, r: int) -> bool:
        return self.status[q] == RUNNING and self.at_server[q] == r

    def check_memory(self, r: int) -> None:
        slots, size = self.slots[r], int(self.block_size[r])
        assert self.owned[r] == sum(self.owned_by(slot) for slot in slots)
        assert 0 <= self.owned[r] + self.cached[r] <= self.blocks_of_server(r)
        needs = np.zeros(size, int)
        for slot in slots:
            if slot.decodes:
                needs[(-slot.kv + int(self.rounds[r])) % size] += 1
        assert self.crossings[r, :size].tolist() == needs.tolist()

    def blocks_of_server(self, r: int) -> int:
        return int(self.kv_tokens[r]) // int(self.block_size[r])

    def check_cache(self, r: int) -> None:
        groups, sessions = self.group_blocks[r], self.session_blocks[r]
        cached = np.flatnonzero(sessions).tolist()
        assert sorted(self.session_list[r, : self.session_count[r]].tolist()) == cached
        assert self.cached[r] == groups.sum() + sessions.sum()
        running, beginning = np.zeros(len(groups), int), np.zeros(len(groups), int)
        for slot in self.slots[r]:
            if slot.uses:
                running[self.group_of[slot.q]] += 1
        for root in cached:
            assert self.session[root] == root
            if self.whole(root, r):
                beginning[self.group_of[root]] += 1
        assert self.group_running[r].tolist() == running.tolist()
        assert self.group_sessions[r].tolist() == beginning.tolist()
        assert not (groups[(running > 0) | (beginning > 0)] == 0).any()
        assert self.pinned[r] == groups[running > 0].sum()
        if not self.prefix_cache:
            assert self.cached[r] == 0
