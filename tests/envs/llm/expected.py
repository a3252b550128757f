"""What candidates' columns and the observation of this family ought to show, computed anew from ``recount.Seen``."""

import numpy as np

NEVER, LARGEST = 2**60, 2**30
FEMTO = 10**9
ADMIT, STOP, REJECT, CONTINUE = range(4)


def clip(value, low, high):
    return min(max(value, low), high)


def clipped(value: int) -> int:
    """As a column holds it."""
    return int(clip(value, -LARGEST, LARGEST))


def share(value, half):
    return value / (value + half)


def log2(value) -> float:
    """Straight between powers of two, in 1024ths."""
    value = max(int(value), 1)
    power = value.bit_length() - 1
    return (1024 * power + (value - 2**power) * 1024 // 2**power) / 1024


def ceil(a, b):
    return -(-a // b)


class Expected:
    """What is known of a world.

    Args:
        seen: a ``recount.Seen``.
    """

    def __init__(self, seen):
        self.s = seen

    # ------------------------------------------------------------------ requests on servers

    def whole(self, q) -> int:
        """Tokens to have before its next one."""
        return int(self.s.prompt_tokens[q] + self.s.emitted[q])

    def answer(self, q, emitted) -> int:
        predicted = int(self.s.predicted_tokens[q])
        return predicted - emitted if emitted < predicted else max(predicted // 4, 1)

    def hit(self, q, r) -> int:
        """Tokens in the cache."""
        s, size = self.s, int(self.s.block_size[r])
        if s.kept[q] > 0:
            return 0
        of_group, parent, of_session = s.entry_of(q, r), int(s.parent[q]), 0
        if parent >= 0 and s.options.prefix_cache and (of_group or not s.whole(q, r)):
            said = int(s.prompt_tokens[parent] + s.output_tokens[parent]) // size
            of_session = max(min(int(s.session_blocks[r, s.session[q]]), said - of_group), 0)
        return (of_group + of_session) * size

    def prefill(self, q, r) -> int:
        kept = int(self.s.kept[q])
        return max(int(self.s.prompt_tokens[q]) - kept, 0) if kept else self.whole(q) - self.hit(q, r)

    def step_fs(self, r, decoding, reading) -> int:
        s = self.s
        each = int(s.per_decode[r] + s.per_token[r])
        return int(s.base[r]) + each * decoding + int(s.per_read[r]) * reading

    def prefill_us(self, r, tokens) -> int:
        """Iterations of full chunks beside what decodes now."""
        s, decoding = self.s, int(self.s.decoding[r])
        iterations = ceil(tokens, max(int(s.budget[r]) - decoding, 1))
        fs = iterations * self.step_fs(r, decoding, int(s.reading[r]))
        fs += int(s.per_prefill[r] + s.per_token[r]) * tokens
        fs += int(s.per_beyond[r]) * max(tokens - iterations * (int(s.knee[r]) - decoding), 0)
        return fs // FEMTO

    def attention_us(self, r, tokens, before) -> int:
        return int(self.s.per_attention[r]) * tokens * (2 * before + tokens) // FEMTO

    def service(self, q, r) -> int:
        """Server time that it adds."""
        s, prefill, whole = self.s, self.prefill(q, r), self.whole(q)
        answer = self.answer(q, int(s.emitted[q]))
        fs = int(s.per_prefill[r] + s.per_token[r]) * prefill + int(s.per_decode[r] + s.per_token[r]) * answer
        fs += int(s.per_read[r]) * answer * (whole + answer // 2)
        if s.most_running[r] == 1:
            fs += int(s.base[r]) * (answer + max(prefill - 1, 0) // int(s.budget[r]))
        return fs // FEMTO + self.attention_us(r, prefill, whole - prefill)

    def first(self, q, r, before) -> int:
        """us to its next token behind so many tokens of prefill."""
        prefill = self.prefill(q, r)
        return self.prefill_us(r, before + prefill) + self.attention_us(r, prefill, self.whole(q) - prefill)

    def last(self, q, r, first, others) -> int:
        s = self.s
        beside = min(others, int(s.most_running[r]) - 1)
        step = self.step_fs(r, beside + 1, int(s.reading[r]) + self.whole(q))
        return first + (self.answer(q, int(s.emitted[q])) - 1) * step // FEMTO

    def due_in(self, q) -> int:
        due = int(self.s.due[q])
        return due - self.s.now if due < NEVER else NEVER

    def slack(self, q, r) -> int:
        """us left if it were admitted now."""
        due = self.due_in(q)
        if due == NEVER:
            return NEVER
        needed = self.first(q, r, int(self.s.prefilling[r]))
        if not self.s.ttft_target[q]:
            needed = self.last(q, r, needed, int(self.s.running[r]))
        return due - needed

    def late(self, q, slack) -> bool:
        return slack < 0 or (self.s.emitted[q] > 0 and self.s.due[q] < NEVER)

    def peak(self, r, q=None) -> int:
        """Tokens at the worst moment, with q or without.

        Whenever somebody ends, all that have not ended hold what they then do; a prefix that is shared counts once.
        """
        s, rows, size = self.s, [], int(self.s.block_size[r])
        groups = {int(s.group_of[slot.q]) for slot in s.slots[r] if slot.uses}
        for slot in s.slots[r]:
            apart = s.entry_of(slot.q, r) * size if slot.uses else 0
            rows.append((self.answer(slot.q, slot.emitted), slot.kv + slot.left - apart))
        if q is not None:
            entry = s.entry_of(q, r) if s.kept[q] == 0 else 0
            groups |= {int(s.group_of[q])} if entry else set()
            rows.append((self.answer(q, int(s.emitted[q])), self.whole(q) - entry * size))
        shared = sum(int(s.group_blocks[r, g]) for g in groups) * size
        return shared + max((sum(h + end for more, h in rows if more >= end) for end, _ in rows), default=0)

    def free(self, r) -> int:
        s = self.s
        return 1000 * int(s.blocks[r] - s.owned[r] - s.pinned[r]) // int(s.blocks[r])

    def slowness(self, r) -> int:
        speed = self.s.speed[: self.s.count]
        return 1000 * int(speed[r]) // max(int(speed.min()), 1)

    # ------------------------------------------------------------------ columns

    def column(self, a) -> dict[str, int]:
        """All columns of candidate a."""
        s = self.s
        kind, q, r = int(s.kind[a]), int(s.request_at[a]), int(s.server[a])
        names = (
            "waited", "head", "prompt", "prefill", "hit", "predicted", "output", "service", "kv_time", "late", "level",
            "counter", "attained", "peak", "ttft", "ect", "turn", "hash_rank", "draw", "last_here",
        )  # fmt: skip
        row = dict.fromkeys(names, 0) | {"due_in": LARGEST, "slack": LARGEST, "client": -1} | self.of_server(r)
        if q < 0:
            return row
        if kind == CONTINUE:
            row |= self.of_running(s.slots[r][0])
            return row
        row |= self.of_request(q, r)
        if s.queued and s.queue[0] == q:
            row["head"] = 1
        if s.options.order == "moore-hodgson" and not s.routing and kind == ADMIT:
            row["late"] = int(q not in self.kept_by_moore_hodgson(r))
        if s.routing and kind == ADMIT:
            row |= self.of_route(q, r, row)
        return row

    def joins(self, q, r) -> bool:
        """Whether it may be on that server at all."""
        s = self.s
        return not (s.routing or s.kept[q] > 0) or s.at_server[q] == r

    def kept_by_moore_hodgson(self, r) -> set[int]:
        """By when they are due; whenever one comes too late, the first of the largest is dropped."""
        s, kept = self.s, []
        for q in s.by_due.tolist():
            if self.joins(q, r) and s.emitted[q] == 0:
                kept.append(q)
                tokens = int(s.prefilling[r]) + sum(self.prefill(each, r) for each in kept)
                if s.due[q] < NEVER and self.prefill_us(r, tokens) > self.due_in(q):
                    kept.remove(max(kept, key=lambda each: self.service(each, r)))
        return set(kept)

    def of_server(self, r) -> dict[str, int]:
        s = self.s
        return {
            "free": self.free(r), "free_tokens": int(s.blocks[r] - s.owned[r] - s.pinned[r]) * int(s.block_size[r]),
            "batch": len(s.slots[r]), "backlog": int(s.prefilling[r] + s.waiting_prefill[r]),
            "in_queue": int(s.waiting_here[r]), "slowness": self.slowness(r),
        }  # fmt: skip

    def of_request(self, q, r) -> dict[str, int]:
        s, whole = self.s, self.whole(q)
        answer, slack = self.answer(q, int(s.emitted[q])), self.slack(q, r)
        return {
            "waited": clipped(s.now - int(s.arrived[q])), "prompt": int(s.prompt_tokens[q]),
            "prefill": self.prefill(q, r), "hit": self.hit(q, r), "predicted": answer,
            "output": int(s.output_tokens[q] - s.emitted[q]), "service": clipped(self.service(q, r)),
            "kv_time": clipped(answer * (whole + answer // 2)), "due_in": clipped(self.due_in(q)),
            "slack": clipped(slack), "late": int(self.late(q, slack)), "level": int(s.level_of[q]),
            "client": int(s.client_of[q]), "counter": clipped(int(s.lifted[s.client_of[q]])),
            "attained": int(s.emitted[q] + s.kept[q]),
            "peak": 1000 * self.peak(r, q) // int(s.kv_tokens[r]),
        }  # fmt: skip

    def of_running(self, slot) -> dict[str, int]:
        """Of the one that runs on a serial server: as if it were put aside now."""
        s, q = self.s, slot.q
        s.emitted[q], s.kept[q], before = slot.emitted, slot.kv, (s.emitted[q], s.kept[q])
        row = self.of_request(q, slot.r)
        s.emitted[q], s.kept[q] = before
        assert (row["output"], row["prefill"], row["attained"]) == (slot.to_emit, slot.left, slot.emitted + slot.kv)
        return row | {"peak": 1000 * self.peak(slot.r) // int(s.kv_tokens[slot.r])}

    def of_route(self, q, r, row) -> dict[str, int]:
        s, more = self.s, {}
        wait = int(s.busy_until[r]) - s.now if s.busy_until[r] < NEVER else 0
        first = wait + self.first(q, r, row["backlog"])
        last = self.last(q, r, first, row["batch"] + row["in_queue"])
        if s.due[q] < NEVER:
            slack = self.due_in(q) - (first if s.ttft_target[q] else last)
            more = {"slack": clipped(slack), "late": int(clipped(slack) < 0)}
        sent = int(s.finished + s.rejected) + int(s.in_system) - 1  # that have arrived before
        more |= {"ttft": clipped(first), "ect": clipped(last), "turn": (r - sent) % s.count}
        parent = int(s.parent[q])
        more["last_here"] = int(parent >= 0 and s.at_server[parent] == r)
        return more | {name: int(getattr(s, name)[self.row_of(r)]) for name in ("hash_rank", "draw")}

    def row_of(self, r) -> int:
        """Routing: the candidate of server r."""
        return r

    # ------------------------------------------------------------------ observation

    def work_row(self, q, prefill, left, emitted, runs) -> list[float]:
        s = self.s
        due = clip((int(s.due[q]) - s.now) / 4e6, -4, 4) if s.due[q] < NEVER else 4
        waited = (s.now - int(s.arrived[q])) / 1e6
        return [
            clip(log2(s.prompt_tokens[q]) / 16, 0, 2), clip(log2(left) / 16, 0, 2), clip(log2(1 + prefill) / 16, 0, 2),
            share(waited, 1), due, clip(s.level_of[q] / 4, 0, 4), share(emitted, 64), runs, 1,
        ]  # fmt: skip

    def resource_row(self, r) -> list[float]:
        s, most = self.s, int(self.s.most_running[r])
        slots, speed = s.slots[r], s.speed[: s.count]
        wait = clip((int(s.busy_until[r]) - s.now) / 1e5, 0, 4) if s.busy_until[r] < NEVER else 0
        return [
            len(slots) / most, sum(slot.decodes for slot in slots) / most, share(int(s.prefilling[r]), 4096),
            share(int(s.waiting_prefill[r]), 4096), share(int(s.waiting_here[r]), 8), self.free(r) / 1000,
            s.cached[r] / s.blocks[r], clip(log2(s.kv_tokens[r]) / 24, 0, 2),
            clip((speed[r] / max(speed.min(), 1) - 1) / 4, 0, 4), clip(speed[r] / 1e5, 0, 4), wait,
            float(s.routing or s.cursor == r), 1,
        ]  # fmt: skip

    def context(self) -> list[float]:
        s = self.s
        ahead = int(s.left - s.in_system)
        overdue = sum(int(s.due[q]) < s.now for q in s.waiting)
        free = min([1000, *(self.free(r) for r in range(s.count))]) / 1000
        return [
            clip(s.count / 8, 0, 4), share(len(s.waiting), 32), share(int(s.in_system), 64),
            overdue / max(len(s.waiting), 1), clip(s.missed / max(s.n - ahead, 1), 0, 1), free, ahead / s.n,
            clip(s.action_mask.sum() / 32, 0, 4),
        ]  # fmt: skip

    def candidate_row(self, a, rows) -> list[float]:
        """Features of candidate a.

        Args:
            a: the candidate.
            rows: columns of all candidates by number, with their kinds.
        """
        s, c, kind = self.s, rows[a], int(self.s.kind[a])
        r = max(int(s.server[a]), 0)
        admits = [row for b, row in rows.items() if s.kind[b] == ADMIT]
        least = {name: min([LARGEST, *(row[name] for row in admits)]) for name in ("ttft", "ect", "counter", "prefill")}
        load = min([LARGEST, *(row["batch"] + row["in_queue"] for row in admits)])
        slack, slow, service = c["slack"] / 1e6, c["slowness"] / 1000 - 1, c["service"] / 1e6
        urgency = log2(c["service"]) + max(slack, 0) * 2.885  # 1 / 0.5 in units of log2 e, rounded
        hashed = [float(kind == ADMIT and s.routing and c["hash_rank"] == rank) for rank in (0, 1)]
        return [
            *(float(kind == one) for one in (ADMIT, STOP, REJECT, CONTINUE)), clip(log2(c["prompt"]) / 16, 0, 2),
            clip(log2(c["prefill"]) / 16, 0, 2), clip(log2(c["predicted"]) / 16, 0, 2),
            clip(log2(c["service"]) / 32, 0, 2), clip(log2(c["kv_time"]) / 32, 0, 2),
            clip(c["hit"] / max(c["prompt"], 1), 0, 1), clip(slack / 2, -4, 4), slack / (abs(slack) + 0.25),
            c["late"], clip(c["due_in"] / 4e6, -4, 4), clip(urgency / 32, 0, 4), share(c["waited"] / 1e6, 1),
            share(c["attained"], 64), c["head"], clip(c["level"] / 4, 0, 4), clip(c["peak"] / 1000, 0, 2),
            clip(c["free"] / 1000, 0, 1), share(max(c["counter"] - least["counter"], 0), 4096),
            clip(c["ttft"] / 4e6, 0, 4), clip(c["ect"] / 16e6, 0, 4), clip((c["ttft"] - least["ttft"]) / 1e6, 0, 4),
            clip((c["ect"] - least["ect"]) / 4e6, 0, 4), clip(slow / 4, 0, 4),
            clip(log2(c["prefill"]) / 16 * slow, 0, 4), clip(log2(c["predicted"]) / 16 * slow, 0, 4),
            c["batch"] / s.most_running[r], share(c["in_queue"], 8), share(c["backlog"], 4096),
            clip(service * c["in_queue"] / 4, 0, 4), clip(service * c["batch"] / 16, 0, 4), c["last_here"], *hashed,
            float(c["slack"] >= 0), clip((c["batch"] + c["in_queue"] - load) / 16, 0, 4),
            clip((c["prefill"] - least["prefill"]) / 1024, 0, 4),
        ]  # fmt: skip

    def rows(self) -> dict[int, dict[str, int]]:
        """Columns of every candidate."""
        return {a: self.column(a) for a in np.flatnonzero(self.s.action_mask).tolist()}
