"""LLM admission as the core sees it: options, padded sizes, the bank, and schedules read off the state."""

import numpy as np

from ..core.engine import Program
from ..core.errors import OptionError
from ..core.graph import GraphSpec
from ..core.schedule import Schedule
from ..core.sizes import rounded
from . import observe, profiles, simulator, simulator_state
from .instance import LLMInstance
from .options import CONTROLS, LOCALS, ORDERS, VICTIMS, Options
from .profiles import FEMTOSECONDS, Profile

LATEST = 2**60
BANK_SHAPES = {field.name: field.shape[1:] for field in simulator_state.FIELDS if field.shape[:1] == ("bank",)}
DTYPES = {field.name: field.dtype for field in simulator_state.FIELDS}
PROGRAM = Program(
    name="llm",
    fields=simulator_state.FIELDS,
    state=simulator_state.Struct,
    reset=simulator.reset,
    step=simulator.step,
    observe=observe.observe,
)
PROGRAMS = {"llm": PROGRAM}  # one for every option


class Model:
    """LLM instances of at most the given sizes, padded to them.

    Args:
        instances: what must fit; the sizes are their maxima. All have the same objective.
        options: what is decided, and the world.

    Raises:
        OptionError: if the options do not go with the instances.
    """

    columns = (
        "request_at", "server", "kind", "waited", "head", "prompt", "prefill", "hit", "predicted", "output", "service",
        "kv_time", "due_in", "slack", "late", "level", "client", "counter", "attained", "peak", "free", "free_tokens",
        "batch", "backlog", "in_queue", "ttft", "ect", "slowness", "turn", "hash_rank", "draw", "last_here",
    )  # fmt: skip
    outcome = {
        "missed": "missed", "flow_time": "flow", "finished": "finished", "rejected": "rejected",
        "preemptions": "preempted", "iterations": "iterations", "decisions": "steps",
    }  # fmt: skip
    schedule_fields = (
        "log_request", "log_server", "log_start", "log_middle", "log_end", "log_count", "status", "pause", "pause_end",
        "pause_server", "ended", "total_iterations", "total_busy", "total_block_time", "total_preemptions",
    )  # fmt: skip
    program = PROGRAM
    repeatable = False  # nobody can take back what was sent to a user
    clock = "now"

    def __init__(self, instances: list[LLMInstance], options: Options | None = None):
        self.options = options or Options()
        objectives = sorted({instance.objective for instance in instances})
        if len(objectives) > 1:
            raise OptionError(f"instances that minimise {' and '.join(objectives)} cannot be played together")
        self.counts_flow = objectives[0] == "e2e_mean"
        self.objective = "flow_time" if self.counts_flow else "missed"
        if self.options.reject and self.counts_flow:
            raise OptionError(
                "reject goes with the objective miss_rate: turning requests away would shorten flow times"
            )
        self.profile = profiles.load(self.options.profile) if self.options.profile else None
        for instance in instances:
            self.servers_of(instance)
        self._measure(instances)
        self.spec = self._spec()
        self.sizes = self._sizes()
        self.settings = self._settings()

    def servers_of(self, instance: LLMInstance) -> tuple[Profile, ...]:
        """The servers an instance is played on.

        Raises:
            OptionError: if the profile that the options ask for cannot hold one of its requests.
        """
        if self.profile is None:
            return instance.servers
        size = self.profile.block_size
        blocks = -(-(instance.prompt.astype(np.int64) + instance.output) // size)
        if blocks.max() > self.profile.blocks:
            q = int(blocks.argmax())
            raise OptionError(
                f"profile {self.options.profile} holds {self.profile.blocks * size} tokens, and request {q} of "
                f"{instance.name} needs {blocks[q] * size}"
            )
        return (self.profile,) * len(instance.servers)

    def _measure(self, instances: list[LLMInstance]) -> None:
        """The padded sizes."""
        self.requests = max(instance.requests for instance in instances)
        self.sessions = max(int((instance.parent >= 0).sum()) for instance in instances)
        self.groups = max(int(instance.group.max()) + 1 for instance in instances)
        self.clients = max(int(instance.client.max()) + 1 for instance in instances)
        every = [server for instance in instances for server in self.servers_of(instance)]
        self.servers = max(len(instance.servers) for instance in instances)
        self.slots = max(server.max_num_seqs for server in every)
        self.block = max(server.block_size for server in every)
        self.choice = min(self.options.choice or self.requests, self.requests)
        self.routing = self.options.control == "routing"
        # A request is decided about once, and whoever may go on without one may do so at every iteration.
        self.horizon = 60 * self.requests + 10_000
        self.decisions = self.requests

    @staticmethod
    def size_key(instance: LLMInstance) -> tuple:
        """Instances with equal keys share one simulation with little padding."""
        slots = max(server.max_num_seqs for server in instance.servers)
        return instance.objective, rounded(instance.requests), len(instance.servers), slots

    @property
    def actions(self) -> int:
        """Candidates of a decision at most: requests, two late ones and stopping, or servers; and two rejections."""
        most = self.servers if self.routing else self.choice + 3
        return most + (1 if self.routing else 2) * self.options.reject

    def _spec(self) -> GraphSpec:
        works = 1 if self.routing else self.actions
        if self.options.observation == "batch":
            works += self.servers * self.slots
        return GraphSpec(
            works=works, resources=self.servers, actions=self.actions, edges=works * self.servers,
            work=observe.REQUEST, resource=observe.SERVER, context=observe.CONTEXT, assignment=observe.ON,
            candidate=observe.CANDIDATE, complete=True,
        )  # fmt: skip

    def _sizes(self) -> dict[str, int]:
        spec = self.spec
        keeps = self.sessions > 0 and self.options.prefix_cache
        return {
            "request": self.requests, "server": self.servers, "slot": self.slots, "slot_offset": self.slots + 1,
            "pause": self.slots + 1,
            "pending_request": max(self.sessions, 1), "session_request": self.requests if keeps else 1,
            "group": max(self.groups, 1), "client": self.clients, "residue": self.block,
            "entry": 4 * self.requests + 2 * 512,
            "moore_request": self.requests if self.options.order == "moore-hodgson" else 0,
            "action": self.actions, "work": spec.works, "resource": spec.resources, "edge": spec.edges, "arc": 0,
            "work_feature": len(spec.work), "resource_feature": len(spec.resource),
            "context_feature": len(spec.context), "edge_feature": len(spec.assignment),
            "candidate_feature": len(spec.candidate),
        }  # fmt: skip

    def _settings(self) -> dict[str, int]:
        options = self.options
        return {
            "control": CONTROLS.index(options.control),
            "choice": self.choice,
            "order": ORDERS.index(options.order),
            "past_future": options.past_future,
            "defer": options.defer,
            "may_stop": int(options.stop),
            "may_reject": int(options.reject),
            "forced_moves": int(options.forced_moves),
            "leap": int(options.leap),
            "local": LOCALS.index(options.local),
            "victim": VICTIMS.index(options.victim),
            "swap_rate": options.swap_rate,
            "prefix_cache": int(options.prefix_cache),
            "shows_batch": int(options.observation == "batch"),
            "counts_flow": int(self.counts_flow),
        }

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank arrays of some instances, padded to this model's sizes.

        Raises:
            OptionError: if an instance is larger than the model, or minimises something else.
        """
        bank = {
            name: np.zeros([len(instances), *(self.sizes[axis] for axis in shape)], DTYPES[name])
            for name, shape in BANK_SHAPES.items()
        }
        for number, instance in enumerate(instances):
            if not self.fits(instance):
                most = f"{self.requests} requests ({self.sessions} follow-ups), {self.servers} servers of {self.slots}"
                raise OptionError(f"instance {instance.name} does not fit an environment of {most} running requests")
            for name, array in self._row(instance).items():
                bank[name][(number, *(slice(0, length) for length in np.shape(array)))] = array
        return bank

    def fits(self, instance: LLMInstance) -> bool:
        """Whether an instance minimises the same and is within the padded sizes."""
        return (
            (instance.objective == "e2e_mean") == self.counts_flow
            and instance.requests <= self.requests
            and int((instance.parent >= 0).sum()) <= self.sessions
            and int(instance.group.max()) < max(self.groups, 1)
            and int(instance.client.max()) < self.clients
            and len(instance.servers) <= self.servers
            and max(server.max_num_seqs for server in self.servers_of(instance)) <= self.slots
            and max(server.block_size for server in self.servers_of(instance)) <= self.block
        )

    def _row(self, instance: LLMInstance) -> dict[str, np.ndarray]:
        servers = self.servers_of(instance)
        roots = np.flatnonzero(instance.parent < 0)
        follow_up, session = np.full(instance.requests, -1), np.arange(instance.requests)
        for q in np.flatnonzero(instance.parent >= 0):
            follow_up[instance.parent[q]] = q
            session[q] = session[instance.parent[q]]
        return {
            "requests": instance.requests, "servers": len(servers), "roots": len(roots),
            "has_sessions": int(len(roots) < instance.requests), "root": roots, "session": session,
            "follow_up": follow_up, "parent": instance.parent, "start_time": instance.arrival,
            "prompt_tokens": instance.prompt, "output_tokens": instance.output,
            "predicted_tokens": predictions(instance, self.options), "client_of": instance.client,
            "level_of": instance.priority, "ttft_target": instance.ttft_target, "tbt_target": instance.tbt_target,
            "e2e_target": instance.e2e_target, "group_of": instance.group, "shared_tokens": instance.shared,
            "worst_flow": _worst_flow(instance, servers, self.sizes["entry"], self.options.swap_rate),
            "base": [one.base for one in servers], "per_prefill": [one.prefill for one in servers],
            "per_attention": [one.attention for one in servers], "per_decode": [one.decode for one in servers],
            "per_read": [one.read for one in servers], "per_token": [one.token for one in servers],
            "per_beyond": [one.beyond for one in servers], "knee": [one.knee for one in servers],
            "kv_tokens": [one.kv_tokens for one in servers], "blocks": [one.blocks for one in servers],
            "block_size": [one.block_size for one in servers],
            "reserve": [one.blocks * self.options.watermark // 100 for one in servers],
            "most_running": [one.max_num_seqs for one in servers], "budget": [one.token_budget for one in servers],
            "preemptive": [int(one.preemptive) for one in servers],
            "speed": [min(prefill_us(one, 1000), 2**30) for one in servers],
        }  # fmt: skip

    def schedule(self, instance: LLMInstance, row: dict[str, np.ndarray]) -> Schedule:
        """What was served so far: stays in batches, longest pauses, rejections."""
        count = int(row["log_count"])
        who, where, start, middle, end = (
            row[name][:count] for name in ("log_request", "log_server", "log_start", "log_middle", "log_end")
        )
        entries, stays = [], np.zeros(instance.requests, int)
        last = np.zeros(count, bool)
        place = np.full(instance.requests, -1)
        place[who] = np.arange(count)  # of equal indices the last one counts
        last[place[(place >= 0) & (row["status"][: instance.requests] == simulator_state.FINISHED)]] = True
        for k in range(count):
            q, stay = int(who[k]), int(stays[who[k]])
            stays[q] += 1
            running = end[k] < 0
            until = int(middle[k]) if middle[k] >= 0 else (int(end[k]) if not running else int(start[k]))
            entries.append((q, 2 * stay, int(where[k]), int(start[k]), until))
            if middle[k] >= 0 and not running and not (last[k] and middle[k] == end[k]):
                entries.append((q, 2 * stay + 1, int(where[k]), int(middle[k]), int(end[k])))
        for q in np.flatnonzero(row["pause_server"][: instance.requests] >= 0).tolist():
            gone = int(row["pause_end"][q])
            entries.append((q, -1, int(row["pause_server"][q]), gone - int(row["pause"][q]), gone))
        for q in np.flatnonzero(row["status"][: instance.requests] == simulator_state.REJECTED).tolist():
            entries.append((q, -2, -1, int(row["ended"][q]), int(row["ended"][q])))
        return Schedule(instance, np.array(entries, dtype=np.int64).reshape(-1, 5), self._conditions(instance, row))

    def _conditions(self, instance: LLMInstance, row: dict[str, np.ndarray]) -> dict[str, object]:
        options, servers = self.options, len(instance.servers)
        totals = {"iterations": "total_iterations", "busy": "total_busy", "block_time": "total_block_time"}
        totals["preemptions"] = "total_preemptions"
        return {
            "profile": options.profile, "watermark": options.watermark, "victim": options.victim,
            "swap_rate": options.swap_rate, "prefix_cache": options.prefix_cache,
        } | {name: row[source][:servers].tolist() for name, source in totals.items()}  # fmt: skip


def predictions(instance: LLMInstance, options: Options) -> np.ndarray:
    """What policies are told of the answers, (n,) tokens.

    Noise is drawn from a generator of the instance's digest: the same for everybody who meets the instance.
    """
    output = instance.output.astype(np.int64)
    if options.prediction == "given":
        return instance.predicted
    if options.prediction == "noisy":
        rng = np.random.default_rng(int(instance.digest, 16))
        told = output * np.exp(options.sigma * rng.standard_normal(len(output)))
    elif options.prediction == "class":
        totals, sizes = np.bincount(instance.priority, output), np.bincount(instance.priority)
        told = (totals / np.maximum(sizes, 1))[instance.priority]
    elif options.prediction == "none":
        told = np.full(len(output), output.mean())
    else:
        told = output
    return np.clip(np.rint(told), 1, profiles.MAX_TOKENS).astype(np.int64)


def prefill_us(server: Profile, tokens: int) -> int:
    """us that a server takes to compute a prompt of so many tokens with nothing beside it."""
    whole, rest = divmod(tokens, server.token_budget)
    chunks = [server.token_budget] * whole + [rest] * (rest > 0)
    before = np.cumsum([0, *chunks]).tolist()
    return sum(profiles.iteration_us(server, [p], [k]) for p, k in zip(chunks, before, strict=False))


def _worst_flow(instance: LLMInstance, servers: tuple[Profile, ...], stays: int, swap_rate: int) -> int:
    """us: as if everybody stayed until all had run one after the other on the slowest server.

    Where memory may run out, or a server puts its request aside, the longest runs as often as the log has rows for.
    """
    roots = instance.parent < 0
    end = int(instance.arrival[roots].max()) + int(instance.arrival[~roots].sum())
    output = instance.output.astype(np.float64)
    tokens, longest = instance.prompt + output, 0.0
    for server in servers:
        each = np.ceil(tokens / server.token_budget) + output
        femto = each * server.base + tokens * (
            server.prefill + server.token + server.beyond + server.attention * tokens
        )
        femto += output * (server.decode + server.token + server.beyond + server.read * tokens)
        if swap_rate:
            femto += 2 * (FEMTOSECONDS * 1000 * tokens / swap_rate + 1)
        took = femto / FEMTOSECONDS + each
        roomy = np.ceil(tokens / server.block_size).sum() <= server.blocks
        longest = max(longest, float(took.sum() if roomy and not server.preemptive else took.max() * stays))
    return int(min((end + longest) * instance.requests, LATEST))
