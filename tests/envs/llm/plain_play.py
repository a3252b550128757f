"""One central queue without a prefix cache, played slowly in plain Python: schedules for tests, and measured loads."""

import heapq

import numpy as np

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm.profiles import iteration_us


class Request:
    """A request on its way."""

    def __init__(self, index, arrival, instance):
        self.index, self.arrival = index, arrival
        self.prompt, self.output = int(instance.prompt[index]), int(instance.output[index])
        self.prefill = self.left = self.prompt  # of its next stay, and what of it is still to be computed
        self.kv = self.emitted = self.blocks = 0
        self.finish, self.stays, self.tokens = None, 0, []

    @property
    def decoding(self):
        return self.left == 0


class Server:
    """A server, its batch in order of admission, and its totals."""

    def __init__(self, profile):
        self.profile, self.running, self.end, self.plan = profile, [], None, []
        self.iterations = self.busy = self.block_time = self.preemptions = 0

    @property
    def owned(self):
        return sum(one.blocks for one in self.running)

    def blocks_for(self, tokens):
        return -(-tokens // self.profile.block_size)


class Play:
    """Plays an instance until everything has finished.

    Args:
        instance: what is played; groups are not looked at.
        key: a request to what it is sorted by in the queue, the smallest first, or None where it is to wait; whoever
            does not fit is passed over.
        watermark: percent.
    """

    def __init__(self, instance, key=lambda one: (one.arrival, one.index), watermark=1):
        self.instance, self.key, self.watermark = instance, key, watermark
        self.servers = [Server(profile) for profile in instance.servers]
        self.queue, self.rows, self.done = [], [], []
        self.future = [(int(instance.arrival[q]), q) for q in np.flatnonzero(instance.parent < 0).tolist()]
        heapq.heapify(self.future)
        while self.future or any(one.end is not None for one in self.servers):
            ends = [one.end for one in self.servers if one.end is not None]
            self.step(min(ends + [self.future[0][0]] if self.future else ends))

    def step(self, now):
        for number, server in enumerate(self.servers):
            if server.end == now:
                self.end(number, server, now)
        while self.future and self.future[0][0] <= now:
            arrival, q = heapq.heappop(self.future)
            self.queue.append(Request(q, arrival, self.instance))
        for number, server in enumerate(self.servers):
            if server.end is None:
                self.start(number, server, now)

    def end(self, number, server, now):
        for one, chunk in server.plan:
            one.left, one.kv = one.left - chunk, one.kv + max(chunk, one.decoding)
            if one.left == 0:
                one.emitted += 1
                one.tokens.append((now, number))
                if chunk:
                    one.rows[0][4] = now
                    if one.emitted < one.output:
                        one.rows.append([one.index, one.rows[0][1] + 1, number, now, None])
        for one in [one for one in server.running if one.emitted == one.output]:
            one.rows[-1][4] = one.finish = now
            server.running.remove(one)
            self.done.append(one)
            follow = int(self.instance.follow_up[one.index])
            if follow >= 0:
                heapq.heappush(self.future, (now + int(self.instance.arrival[follow]), follow))
        server.end = None

    def start(self, number, server, now):
        free = server.profile.blocks - server.owned
        grow = [one for one in server.running if one.decoding and one.kv + 1 > one.blocks * server.profile.block_size]
        preempted = False
        while len(grow) > free:
            victim, preempted = server.running.pop(), True
            victim.rows[-1][4] = now
            free += victim.blocks
            grow = [one for one in grow if one is not victim]
            victim.prefill = victim.left = victim.prompt + victim.emitted
            victim.kv = victim.blocks = 0
            self.queue.append(victim)
            server.preemptions += 1
        for one in grow:
            one.blocks += 1
        if not preempted or not server.running:
            self.admit(number, server, now)
        if not server.running:
            return
        decoding = [one for one in server.running if one.decoding]
        budget, server.plan = server.profile.token_budget - len(decoding), [(one, 0) for one in decoding]
        chunks = []
        for one in server.running:
            if one.left:
                chunks.append((one, min(one.left, budget)))
                budget -= chunks[-1][1]
        server.plan += [(one, chunk) for one, chunk in chunks if chunk]
        duration = iteration_us(
            server.profile, [chunk for _, chunk in chunks], [one.kv for one, _ in chunks], len(decoding),
            sum(one.kv for one in decoding),
        )  # fmt: skip
        server.iterations, server.busy = server.iterations + 1, server.busy + duration
        server.block_time += server.owned * duration
        server.end = now + duration

    def admit(self, number, server, now):
        profile = server.profile
        running = len(server.running)
        budget = profile.token_budget - sum(one.left if one.left else 1 for one in server.running)
        owned = server.owned
        for one in sorted((one for one in self.queue if self.key(one) is not None), key=self.key):
            if running >= profile.max_num_seqs or budget < 1:
                break
            spare = profile.blocks * self.watermark // 100 if running else 0
            need = server.blocks_for(one.prefill)
            if owned + need + spare > profile.blocks:
                continue
            self.queue.remove(one)
            one.blocks, owned, running, budget = need, owned + need, running + 1, budget - one.prefill
            one.rows = [[one.index, 2 * one.stays, number, now, None]]
            self.rows.append(one.rows)
            one.stays += 1
            server.running.append(one)

    def schedule(self):
        """What was played, as a claim."""
        rows = [row for stay in self.rows for row in stay]
        for one in sorted(self.done, key=lambda one: one.index):
            pauses = [(b - a, k) for k, ((a, _), (b, _)) in enumerate(zip(one.tokens, one.tokens[1:], strict=False))]
            if pauses:
                at = max(pauses, key=lambda pause: (pause[0], -pause[1]))[1]
                (start, _), (end, number) = one.tokens[at : at + 2]
                rows.append([one.index, -1, number, start, end])
        totals = {
            what: [getattr(server, what) for server in self.servers]
            for what in ("iterations", "busy", "block_time", "preemptions")
        }
        named = {"profile": "", "watermark": self.watermark, "victim": "last", "swap_rate": 0, "prefix_cache": False}
        return Schedule(self.instance, np.array(rows, dtype=np.int64), named | totals)

    def missed(self):
        """(n,) bool: whether each request missed one of its targets."""
        instance, found = self.instance, np.zeros(self.instance.requests, dtype=bool)
        for one in self.done:
            times = [time for time, _ in one.tokens]
            pause = max(np.diff(times), default=0)
            values = (times[0] - one.arrival, pause, one.finish - one.arrival)
            targets = (instance.ttft_target, instance.tbt_target, instance.e2e_target)
            found[one.index] = any(0 < target[one.index] < value for target, value in zip(targets, values, strict=True))
        return found
