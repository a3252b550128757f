"""One server of a replay: its iterations, its memory and its batch, in plain integers."""

from collections import defaultdict, deque
from dataclasses import dataclass

from .cache import PrefixCache
from .conditions import Conditions
from .life import Facts, Life, Stay
from .profiles import FEMTOSECONDS, Profile

SWAP_MS = 10**12  # fs in a ms
BEGINNING = -(2**63)  # no schedule names an earlier time


@dataclass(frozen=True, slots=True)
class Plan:
    """What an admission comes to.

    Attributes:
        goal: tokens of the prefill.
        kv: tokens that are there at once.
        blocks: its own.
        shared: blocks of its group's entry that it uses.
    """

    goal: int
    kv: int
    blocks: int
    shared: int


class Server:
    """A server that runs what is admitted to it.

    Args:
        index: which one.
        profile: what it can do.
        conditions: the options of the world.
        facts: the requests.
        lives: what has become of each request; shared by all servers.

    Attributes:
        clock: the boundary at which it is, in us.
        running: its stays by request, in order of admission.
        durations: us of every iteration.
        preempted_at: the last boundary at which somebody was preempted for want of memory.
        busy, block_time, preemptions: totals, see ``Conditions``.
    """

    def __init__(self, index: int, profile: Profile, conditions: Conditions, facts: Facts, lives: list[Life]):
        self.index, self.profile, self.conditions, self.facts, self.lives = index, profile, conditions, facts, lives
        self.watermark = profile.blocks * conditions.watermark // 100
        self.clock, self.preempted_at = BEGINNING, None
        self.running: dict[int, Stay] = {}
        self.durations: list[int] = []
        self.busy = self.block_time = self.preemptions = 0
        self.cache = PrefixCache()
        self._prefilling: deque[Stay] = deque()  # in order of admission; some may have left
        self._missing = 0  # tokens of all their prefills
        self._decoding = self._context = 0  # requests that decode, and the KV tokens they hold
        self._owned = 0  # blocks of running requests
        self._swap = 0  # fs that are added to the next iteration
        self._grown = True  # whether blocks were given out at this boundary
        # by the number of iterations before a boundary: who has emitted everything then, who needs a block then
        self._due: dict[int, list[Stay]] = defaultdict(list)
        self._needy: dict[int, list[Stay]] = defaultdict(list)

    def reach(self, time: int | None) -> None:
        """Run until the first boundary at a time or later; until nothing runs when it is left out."""
        while self.running and (time is None or self.clock < time):
            self.grow()
            if self.running:
                self._iterate()
        if not self.running and time is not None:
            self.clock = max(self.clock, time)

    def grow(self) -> None:
        """Give a block to every request that needs one for its next token, once at a boundary."""
        if self._grown:
            return
        self._grown = True
        needy = [stay for stay in self._needy.pop(len(self.durations), ()) if stay.end is None]
        while len(needy) > self.profile.blocks - self._owned - self.cache.blocks:
            if self.cache.evict():
                continue
            if not self.running:
                break
            victim = self._victim()
            self._put_out(victim, bool(self.conditions.swap_rate))
            if self.conditions.swap_rate:
                self._swap += self._swap_time(victim.kv)
            self.preempted_at = self.clock
            needy = [stay for stay in needy if stay.end is None]
        for stay in needy:
            stay.blocks += 1
            self._needy[len(self.durations) + self.profile.block_size].append(stay)
        self._owned += len(needy)

    def obstacles(self, plan: Plan, request: int) -> list[tuple[str, str]]:
        """Rules that an admission now would break, each with words for it."""
        profile, found = self.profile, []
        if len(self.running) >= profile.max_num_seqs:
            found.append(("sequences", f"runs {len(self.running)} of at most {profile.max_num_seqs} requests"))
        left = profile.token_budget - self._decoding - self._missing
        if left < 1:
            found.append(("budget", f"has no token left of its budget of {profile.token_budget}"))
        first_user = plan.shared and not self.cache.group_users(self.facts.group[request])
        used = self._owned + self.cache.pinned + (plan.shared if first_user else 0)
        watermark = self.watermark if self.running else 0
        if used + plan.blocks + watermark > profile.blocks:
            text = f"has {used} of {profile.blocks} blocks in use and keeps {watermark} free"
            found.append(("capacity", f"{text}: it needs {plan.blocks}"))
        return found

    def plan(self, request: int) -> Plan:
        """What an admission now comes to."""
        facts, life, size = self.facts, self.lives[request], self.profile.block_size
        if life.kept:
            return Plan(life.goal, life.kept, _ceil(max(life.goal, life.kept + 1), size), 0)
        goal = facts.prompt[request] + life.emitted
        shared, hit, parent = self.cache.group_blocks(facts.group[request]), 0, facts.parent[request]
        if parent >= 0 and (shared or facts.shared[request] < size):
            # an entry holds more than that only where a request came before its parent; a token is left to be computed
            said = (facts.prompt[parent] + facts.output[parent]) // size
            hit = min(self.cache.session_blocks(facts.root[request]), said - shared)
        return Plan(goal, (shared + hit) * size, _ceil(goal, size) - shared, shared)

    def replace(self) -> None:
        """Put out the one request that runs, which keeps what it holds, for another one to take its place."""
        for stay in list(self.running.values()):
            self._put_out(stay, keep=True)

    def admit(self, request: int, plan: Plan) -> Stay:
        """Carry out an admission at this boundary, allowed or not."""
        facts, life = self.facts, self.lives[request]
        if life.kept:
            self._swap += self._swap_time(life.kept) if self.conditions.swap_rate and not self.profile.preemptive else 0
        elif plan.kv > plan.shared * self.profile.block_size:
            self.cache.drop_session(facts.root[request])  # its blocks are the request's own from now on
        if plan.shared:
            self.cache.use_group(facts.group[request], self.clock)
        life.kept = 0
        self._owned += plan.blocks
        while self._owned + self.cache.blocks > self.profile.blocks and self.cache.evict():
            pass
        stay = Stay(request, self.index, self.clock, plan.goal, plan.kv, plan.blocks, plan.shared)
        life.stays.append(stay)
        self.running[request] = stay
        if stay.kv >= stay.goal:
            stay.began_prefilled, stay.prefilled = True, self.clock
            self._decode(stay)
        else:
            self._prefilling.append(stay)
            self._missing += stay.goal - stay.kv
        return stay

    def _iterate(self) -> None:
        """One iteration, with the tokens and completions at its end."""
        profile, decoding = self.profile, self._decoding
        time = profile.base + profile.decode * decoding + profile.read * self._context + self._swap
        left, prefill = profile.token_budget - decoding, 0
        for stay in self._prefilling:
            if left <= 0:
                break
            if stay.end is None:
                chunk = min(stay.goal - stay.kv, left)
                time += profile.attention * chunk * (2 * stay.kv + chunk)
                stay.kv += chunk
                left -= chunk
                prefill += chunk
        tokens = prefill + decoding
        time += profile.prefill * prefill + profile.token * tokens + profile.beyond * max(0, tokens - profile.knee)
        duration = max(1, _ceil(time, FEMTOSECONDS))
        self.durations.append(duration)
        self.busy += duration
        self.block_time += self._owned * duration
        self.clock += duration
        self._missing -= prefill
        self._context += decoding
        self._swap, self._grown = 0, False
        finished = [stay for stay in self._due.pop(len(self.durations), ()) if stay.end is None]
        if prefill:
            finished += self._complete_prefills()
        for stay in finished:
            self._finish(stay)

    def _complete_prefills(self) -> list[Stay]:
        """First tokens; the requests for which that was the last one, too."""
        finished, queue = [], self._prefilling
        while queue and (queue[0].end is not None or queue[0].kv == queue[0].goal):
            stay = queue.popleft()
            if stay.end is not None:
                continue
            life, facts = self.lives[stay.request], self.facts
            stay.prefilled, stay.emitted = self.clock, 1
            life.emitted += 1
            if life.last is not None:
                life.paused(self.index, life.last, self.clock)
            life.last = self.clock
            group, blocks = facts.group[stay.request], facts.shared[stay.request] // self.profile.block_size
            if self.conditions.prefix_cache and blocks and not self.cache.group_blocks(group):
                self.cache.make_group(group, blocks, self.clock)
                stay.blocks, stay.shared = stay.blocks - blocks, blocks
                self._owned -= blocks
            self._decode(stay)
            if life.emitted == facts.output[stay.request]:
                finished.append(stay)
        return finished

    def _decode(self, stay: Stay) -> None:
        """A request decodes from now on."""
        stay.since = len(self.durations)
        self._decoding += 1
        self._context += stay.kv
        left = self.facts.output[stay.request] - self.lives[stay.request].emitted
        self._due[stay.since + left].append(stay)
        room = (stay.blocks + stay.shared) * self.profile.block_size - stay.kv
        self._needy[stay.since + room].append(stay)

    def _victim(self) -> Stay:
        stays = list(self.running.values())
        if self.conditions.victim == "least":
            return min(reversed(stays), key=self._held)
        if self.conditions.victim == "priority":
            return max(reversed(stays), key=lambda stay: self.facts.priority[stay.request])
        return stays[-1]

    def _held(self, stay: Stay) -> int:
        """KV tokens that a running request holds."""
        return stay.kv if stay.since is None else stay.kv + len(self.durations) - stay.since

    def _finish(self, stay: Stay) -> None:
        request, size, facts = stay.request, self.profile.block_size, self.facts
        group, held = facts.group[request], self._leave(stay)
        base = self.cache.group_blocks(group)
        stay.finished, self.lives[request].finish = True, self.clock
        # what would be kept lies behind the group's entry, and is of no use without it
        keeps = self.conditions.prefix_cache and (base or facts.shared[request] < size)
        if keeps and facts.follow_up[request] >= 0 and held // size > base:
            self.cache.keep_session(facts.root[request], group, held // size - base, self.clock)
        if stay.shared:
            self.cache.leave_group(group, self.clock)

    def _put_out(self, stay: Stay, keep: bool) -> None:
        """Preempt a request; what it holds is kept outside or lost."""
        life = self.lives[stay.request]
        stay.kv = self._leave(stay)
        if keep:
            life.kept, life.goal = stay.kv, stay.goal
        if stay.shared:
            self.cache.leave_group(self.facts.group[stay.request])
        self.preemptions += 1

    def _leave(self, stay: Stay) -> int:
        """Take a stay out of the batch; the KV tokens that it held."""
        held = self._held(stay)
        if stay.since is None:
            self._missing -= stay.goal - stay.kv
        else:
            self._decoding -= 1
            self._context -= held
            self._note_steps(stay)
        self._owned -= stay.blocks
        del self.running[stay.request]
        stay.end = self.clock
        return held

    def _note_steps(self, stay: Stay) -> None:
        """Count the decode steps of a stay and look for the longest pause; each iteration was one."""
        steps = self.durations[stay.since :]
        if not steps:
            return
        life = self.lives[stay.request]
        stay.emitted += len(steps)
        life.emitted += len(steps)
        if stay.began_prefilled:
            life.paused(self.index, life.last, stay.admission + steps[0])
            del steps[0]
        if steps:
            at = steps.index(max(steps))
            start = self.clock - sum(steps[at:])
            life.paused(self.index, start, start + steps[at])
        life.last = self.clock

    def _swap_time(self, tokens: int) -> int:
        return _ceil(SWAP_MS * tokens, self.conditions.swap_rate)


def _ceil(number: int, by: int) -> int:
    return -(-number // by)
