"""The statement of LLM request admission played slowly: token by token, block by block, an oracle for tests.

``run(instance, conditions, choose)`` plays an instance and gives its ``Schedule``. ``choose`` is asked with a
``Choice`` whenever there is a decision to take; ``at_random`` and ``first`` make such functions, ``Recorder`` keeps the
answers of another one, ``Player`` gives recorded answers again, and ``Follower`` admits and rejects as the rows of a
schedule say. Nothing of the package is used but the instance and the schedule.
"""

from dataclasses import dataclass, field

import numpy as np

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm.profiles import profile as profile_of

STOP = None
DEFAULTS = {"profile": "", "watermark": 1, "victim": "last", "swap_rate": 0, "prefix_cache": True}


@dataclass
class Choice:
    """What is to be decided.

    Attributes:
        kind: ``"admit"`` (a request of ``options`` to ``server``, or ``STOP``) or ``"route"`` (``request`` to a server
            of ``options``). ``("reject", request)`` is an answer, too, for one of ``may_reject``.
        time: in us.
        server, request: the one that the decision is about, -1 otherwise.
        options: requests in order of arrival, or servers.
        may_reject: requests.
        last_call: STOP would leave requests waiting for ever, but for servers that are asked after this one.
        world: everything else, to be looked at.
    """

    kind: str
    time: int
    server: int
    request: int
    options: list
    may_reject: list
    last_call: bool
    world: object


@dataclass
class Entry:
    """Blocks in the cache: which, when last used, and by whom."""

    blocks: list
    used: int
    users: set = field(default_factory=set)


@dataclass
class Run:
    """A request in a batch."""

    request: int
    own: list
    kv: int
    goal: int
    group: int  # the group whose entry it uses, or -1
    log: dict  # what will be its rows

    @property
    def decodes(self):
        return self.kv >= self.goal


class Server:
    """A server with numbered blocks."""

    def __init__(self, index, profile):
        self.index, self.profile = index, profile
        self.free = list(range(profile.kv_tokens // profile.block_size))
        self.count = len(self.free)
        self.running = []  # in order of admission
        self.cache = {}  # ("group", g) or ("session", root): Entry
        self.ends = None  # of the iteration that is under way
        self.plan = {}  # request: tokens of its chunk in that iteration
        self.swap = 0
        self.totals = {"iterations": 0, "busy": 0, "block_time": 0, "preemptions": 0}


class World:
    """Requests, servers and a clock.

    Args:
        instance: the problem.
        conditions: options of the world, by the names of a schedule's conditions.
        choose: asked for every decision.
        control: ``"admission"`` or ``"routing"``.
        reject: whether requests may be turned away.
    """

    def __init__(self, instance, conditions, choose, control="admission", reject=False):
        self.instance, self.conditions, self.choose = instance, DEFAULTS | conditions, choose
        self.control, self.reject, self.now = control, reject, 0
        named = self.conditions["profile"]
        profiles = [profile_of(named) if named else one for one in instance.servers]
        self.servers = [Server(index, profile) for index, profile in enumerate(profiles)]
        count = len(instance.arrival)
        self.arrived = {}  # request: when
        self.coming = [(int(instance.arrival[q]), q) for q in range(count) if instance.parent[q] < 0]
        self.waiting = []
        self.home = {}  # request: its server, when routed
        self.tokens = {q: [] for q in range(count)}  # (time, server) of every token
        self.kept = {}  # request: (kv, goal, server) outside of the memory
        self.logs, self.rejected, self.finished = [], {}, {}

    # time

    def moment(self):
        """Everything that happens at the next moment; False when nothing is left."""
        times = [server.ends for server in self.servers if server.ends is not None]
        times += [time for time, _ in self.coming]
        if not times:
            assert not self.waiting, f"requests {self.waiting} wait for ever"
            return False
        self.now = min(times)
        for server in self.servers:
            if server.ends == self.now:
                self.complete(server)
        while self.coming and min(self.coming)[0] <= self.now:
            time, request = min(self.coming)
            self.coming.remove((time, request))
            self.arrive(request, time)
        for server in self.servers:
            if server.ends is None:
                self.boundary(server)
        self.audit()
        return True

    def audit(self):
        """Every block is in one place, and nobody uses what is not there."""
        for server in self.servers:
            if server.count > 5000:
                continue  # it would take for ever
            blocks = [*server.free, *(b for run in server.running for b in run.own)]
            blocks += [b for entry in server.cache.values() for b in entry.blocks]
            assert sorted(blocks) == list(range(server.count))
            for run in server.running:
                assert run.group < 0 or run.request in server.cache["group", run.group].users
                assert run.kv <= self.room(server, run)

    def arrive(self, request, time):
        self.arrived[request] = time
        self.waiting.append(request)
        if self.control == "routing":
            options = list(range(len(self.servers)))
            may_reject = [request] if self.reject else []
            answer = self.choose(Choice("route", self.now, -1, request, options, may_reject, True, self))
            if isinstance(answer, tuple):
                assert answer == ("reject", request) and may_reject
                self.turn_away(request)
            else:
                assert answer in options
                self.home[request] = answer

    def turn_away(self, request):
        self.waiting.remove(request)
        self.rejected[request] = self.now
        self.done(request)

    def done(self, request):
        """A session goes on."""
        for after in range(len(self.instance.parent)):
            if self.instance.parent[after] == request:
                self.coming.append((self.now + int(self.instance.arrival[after]), after))

    # at a boundary

    def boundary(self, server):
        preempted = self.grow(server)
        while True:
            queue = sorted((q for q in self.waiting if self.home.get(q, server.index) == server.index), key=self.place)
            blocked = preempted and server.running
            options = [] if blocked else [q for q in queue if self.allowed(server, q)]
            may_reject = queue if self.reject and self.control == "admission" else []
            if not options and not may_reject:
                break
            future = self.coming or any(other.ends is not None for other in self.servers)
            last_call = not server.running and not future
            answer = self.choose(Choice("admit", self.now, server.index, -1, options, may_reject, last_call, self))
            if answer is STOP:
                break
            if isinstance(answer, tuple):
                assert answer[0] == "reject" and answer[1] in may_reject
                self.turn_away(answer[1])
            else:
                assert answer in options
                self.admit(server, answer)
        if server.running:
            self.start(server)

    def place(self, request):
        return self.arrived[request], request

    def grow(self, server):
        preempted = False
        while True:
            needy = [run for run in server.running if run.decodes and run.kv + 1 > self.room(server, run)]
            if len(needy) <= len(server.free):
                break
            if self.evict(server):
                continue
            self.preempt(server, self.victim(server), keep=self.conditions["swap_rate"] > 0)
            preempted = True
        for run in needy:
            run.own.append(server.free.pop())
        return preempted

    def room(self, server, run):
        shared = len(server.cache["group", run.group].blocks) if run.group >= 0 else 0
        return (len(run.own) + shared) * server.profile.block_size

    def victim(self, server):
        ranked = list(enumerate(server.running))
        if self.conditions["victim"] == "least":
            ranked.sort(key=lambda pair: (-pair[1].kv, pair[0]))
        if self.conditions["victim"] == "priority":
            ranked.sort(key=lambda pair: (int(self.instance.priority[pair[1].request]), pair[0]))
        return ranked[-1][1]

    def preempt(self, server, run, keep):
        if keep and run.kv > 0:
            self.kept[run.request] = (run.kv, run.goal, server.index)
            if not server.profile.preemptive:
                server.swap += self.swap_time(run.kv)
        self.leave(server, run)
        server.totals["preemptions"] += 1
        self.waiting.append(run.request)

    def swap_time(self, tokens):
        whole, rest = divmod(10**12 * tokens, self.conditions["swap_rate"])
        return whole + (rest > 0)

    def leave(self, server, run):
        """The blocks that are left in its hands become free."""
        server.running.remove(run)
        server.free += run.own
        run.log["end"] = self.now
        if run.group >= 0:
            server.cache["group", run.group].users.discard(run.request)

    def evict(self, server):
        unused = [
            (entry.used, key[0] == "group", key[1], key) for key, entry in server.cache.items() if not entry.users
        ]
        if not unused:
            return False
        self.drop(server, min(unused)[3])
        return True

    def drop(self, server, key):
        server.free += server.cache.pop(key).blocks
        for entry in server.cache.values():
            entry.users.discard(key)

    # admission

    def lookup(self, server, request):
        """Blocks of the group's entry, blocks of the session's entry that are of use, tokens of the prefill."""
        instance, size = self.instance, server.profile.block_size
        prefill = int(instance.prompt[request]) + len(self.tokens[request])
        group, parent = int(instance.group[request]), int(instance.parent[request])
        entry = server.cache.get(("group", group)) if group >= 0 else None
        from_group, from_session = len(entry.blocks) if entry else 0, 0
        session = server.cache.get(("session", self.root(request)))
        if parent >= 0 and session and (group < 0 or instance.shared[request] // size == 0 or entry):
            known = int(instance.prompt[parent] + instance.output[parent]) // size
            from_session = min(len(session.blocks), known - from_group, (prefill - 1) // size - from_group)
        return from_group, from_session, prefill

    def root(self, request):
        while self.instance.parent[request] >= 0:
            request = int(self.instance.parent[request])
        return request

    def own_blocks(self, server, request):
        size = server.profile.block_size
        if request in self.kept:
            kv, goal, _ = self.kept[request]
            return (max(goal, kv + 1) + size - 1) // size
        from_group, _, prefill = self.lookup(server, request)
        return (prefill + size - 1) // size - from_group

    def allowed(self, server, request):
        profile, running = server.profile, server.running
        if request in self.kept and self.kept[request][2] != server.index:
            return False
        if profile.preemptive:
            running = []  # the one that runs, if any, would go
        if len(running) >= profile.max_num_seqs:
            return False
        left = profile.token_budget
        left -= sum(1 for run in running if run.decodes)
        for run in running:
            if not run.decodes:
                left -= min(left, run.goal - run.kv)
        if left < 1:
            return False
        in_use = {run.group for run in running if run.group >= 0}
        group = int(self.instance.group[request])
        if request not in self.kept and ("group", group) in server.cache:
            in_use.add(group)
        blocks = sum(len(run.own) for run in running)
        blocks += sum(len(server.cache["group", one].blocks) for one in in_use)
        blocks += self.own_blocks(server, request)
        if running:
            blocks += server.count * self.conditions["watermark"] // 100
        return blocks <= server.count

    def admit(self, server, request):
        if server.profile.preemptive and server.running:
            self.preempt(server, server.running[0], keep=True)
        own, need, group = [], self.own_blocks(server, request), -1
        k = sum(1 for log in self.logs if log["request"] == request)
        log = {"request": request, "k": k, "server": server.index, "start": self.now, "prefilled": None, "tokens": 0}
        if request in self.kept:
            kv, goal, _ = self.kept.pop(request)
            if self.conditions["swap_rate"] and not server.profile.preemptive:
                server.swap += self.swap_time(kv)
        else:
            from_group, from_session, goal = self.lookup(server, request)
            kv = (from_group + from_session) * server.profile.block_size
            if from_group:
                group = int(self.instance.group[request])
                entry = server.cache["group", group]
                entry.users.add(request)
                entry.used = self.now
            if from_session:
                key = ("session", self.root(request))
                own = [server.cache[key].blocks.pop() for _ in range(from_session)]
                self.drop(server, key)
        while len(server.free) < need - len(own):
            assert self.evict(server)
        own += [server.free.pop() for _ in range(need - len(own))]
        log["came_prefilled"] = kv >= goal
        if kv >= goal:
            log["prefilled"] = self.now
        self.waiting.remove(request)
        self.logs.append(log)
        server.running.append(Run(request, own, kv, goal, group, log))

    # an iteration

    def start(self, server):
        """Plan an iteration token by token."""
        profile = server.profile
        femto, tokens, budget = profile.base + server.swap, 0, profile.token_budget
        for run in server.running:
            if run.decodes:
                femto += profile.decode + profile.read * run.kv
                tokens, budget = tokens + 1, budget - 1
        server.plan = {}
        for run in server.running:
            if run.decodes:
                continue
            chunk = 0
            while run.kv + chunk < run.goal and budget > 0:
                femto += profile.prefill + profile.attention * (2 * (run.kv + chunk) + 1)
                tokens, budget, chunk = tokens + 1, budget - 1, chunk + 1
            server.plan[run.request] = chunk
        assert budget >= 0 and tokens > 0
        for number in range(1, tokens + 1):
            femto += profile.token + (profile.beyond if number > profile.knee else 0)
        micro = max(1, (femto + 10**9 - 1) // 10**9)
        server.swap, server.ends = 0, self.now + micro
        server.totals["iterations"] += 1
        server.totals["busy"] += micro
        server.totals["block_time"] += micro * sum(len(run.own) for run in server.running)

    def complete(self, server):
        """The tokens of an iteration, and who leaves."""
        server.ends = None
        for run in list(server.running):
            if run.request not in server.plan:
                run.kv += 1
                self.emit(server, run)
                continue
            run.kv += server.plan[run.request]
            if run.decodes:
                run.log["prefilled"] = self.now
                self.emit(server, run)
                self.share(server, run)
        for run in list(server.running):
            if len(self.tokens[run.request]) == self.instance.output[run.request]:
                self.finish(server, run)

    def emit(self, server, run):
        self.tokens[run.request].append((self.now, server.index))
        run.log["tokens"] += 1

    def share(self, server, run):
        """The first of a group on a server leaves the beginning of its prompt to the others."""
        group, blocks = int(self.instance.group[run.request]), self.whole_shared(server, run.request)
        if self.conditions["prefix_cache"] and blocks and ("group", group) not in server.cache:
            given, run.own = run.own[:blocks], run.own[blocks:]
            server.cache["group", group] = Entry(given, self.now, {run.request})
            run.group = group

    def whole_shared(self, server, request):
        return int(self.instance.shared[request]) // server.profile.block_size

    def finish(self, server, run):
        request, group = run.request, int(self.instance.group[run.request])
        held = int(self.instance.prompt[request] + self.instance.output[request]) - 1
        assert run.kv == held
        entry = server.cache.get(("group", group)) if group >= 0 else None
        keeps = held // server.profile.block_size - (len(entry.blocks) if entry else 0)
        lost = self.whole_shared(server, request) > 0 and not entry
        if self.conditions["prefix_cache"] and request in self.instance.parent and keeps > 0 and not lost:
            key = ("session", self.root(request))
            if key in server.cache:
                self.drop(server, key)
            kept, run.own = run.own[:keeps], run.own[keeps:]
            server.cache[key] = Entry(kept, self.now)
            if entry:
                entry.users.add(key)
        if run.group >= 0:
            entry.used = self.now
        self.leave(server, run)
        run.log["finished"] = True
        self.finished[request] = self.now
        self.done(request)

    # what happened

    def schedule(self):
        """The rows, and the conditions with what is claimed of the servers."""
        rows = []
        for log in self.logs:
            middle = log["end"] if log["prefilled"] is None else log["prefilled"]
            rows.append([log["request"], 2 * log["k"], log["server"], log["start"], middle])
            not_last = log["tokens"] - ("finished" in log) > 0
            if not_last or (log["came_prefilled"] and log["tokens"]):
                rows.append([log["request"], 2 * log["k"] + 1, log["server"], middle, log["end"]])
        for request, tokens in self.tokens.items():
            pauses = [(b[0] - a[0], b[1], a[0], b[0]) for a, b in zip(tokens, tokens[1:], strict=False)]
            if pauses:
                _, server, start, end = max(pauses, key=lambda pause: pause[0])
                rows.append([request, -1, server, start, end])
        rows += [[request, -2, -1, time, time] for request, time in sorted(self.rejected.items())]
        totals = {name: [server.totals[name] for server in self.servers] for name in self.servers[0].totals}
        entries = np.array(rows, dtype=np.int64).reshape(-1, 5)
        return Schedule(self.instance, entries, self.conditions | totals)


def play(instance, conditions, choose, **more):
    """The world when all is over, see ``World``."""
    world = World(instance, conditions, choose, **more)
    while world.moment():
        pass
    return world


def run(instance, conditions, choose, **more):
    """The schedule of what is chosen, see ``World``."""
    return play(instance, conditions, choose, **more).schedule()


# who chooses


def first(choice):
    """First come, first served: the first request that is allowed, and servers in turn."""
    if choice.kind == "route":
        return choice.request % len(choice.options)
    # on a preemptive server the one that runs stays
    busy = choice.world.servers[choice.server].running
    preemptive = choice.world.servers[choice.server].profile.preemptive
    return choice.options[0] if choice.options and not (busy and preemptive) else STOP


def at_random(rng, stop=0.2, reject=0.05):
    """Any decision that is allowed; where requests could replace each other for ever it stops often enough."""

    def choose(choice):
        if choice.may_reject and rng.random() < reject:
            return "reject", int(rng.choice(choice.may_reject))
        endless = choice.kind == "admit" and choice.world.servers[choice.server].profile.preemptive
        if not choice.options or (not choice.last_call and rng.random() < max(stop, 0.3 * endless)):
            return STOP
        return int(rng.choice(choice.options))

    return choose


class Recorder:
    """Asks another one, and keeps its ``answers``."""

    def __init__(self, choose):
        self.choose, self.answers = choose, []

    def __call__(self, choice):
        self.answers.append(self.choose(choice))
        return self.answers[-1]


class Player:
    """Gives recorded answers, in their order."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def __call__(self, choice):
        return next(self.answers)


class Follower:
    """Admits and rejects as the rows of a schedule say."""

    def __init__(self, schedule):
        self.admissions, self.home, self.rejections = {}, {}, {}
        for request, step, server, start, _ in schedule.entries.tolist():
            if step >= 0 and step % 2 == 0:
                self.admissions.setdefault((server, start), []).append(request)
                self.home.setdefault(request, server)
            elif step == -2:
                self.rejections[request] = start

    def __call__(self, choice):
        # who is admitted at this time, too, is rejected after that
        later = {one for (_, time), due in self.admissions.items() if time == choice.time for one in due}
        gone = [one for one in choice.may_reject if self.rejections.get(one) == choice.time and one not in later]
        if choice.kind == "route":
            return ("reject", gone[0]) if gone else self.home[choice.request]
        due = self.admissions.get((choice.server, choice.time), [])
        if due and due[0] in choice.options:
            return due.pop(0)
        return ("reject", gone[0]) if gone else STOP
