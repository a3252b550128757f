"""The instance of LLM request admission: requests over time, and the servers that may run them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..core.errors import InstanceError
from ..core.files import read_text
from ..core.instance import digest
from ..core.json_walk import MAX_FILE_BYTES
from . import fields, profiles, traces
from .fields import MAX_CLASSES, MAX_CLIENTS, MAX_GROUPS, MAX_REQUESTS, MAX_SERVERS, MAX_TIME
from .profiles import MAX_TOKENS, Profile
from .reader import read_fields, write

OBJECTIVES = ("miss_rate", "e2e_mean")

# Least, most, dtype and default of every array; a default of None is said by the class.
COLUMNS: dict[str, tuple[int, int, type, int | None]] = {
    "arrival": (0, MAX_TIME, np.int64, None),
    "prompt": (1, MAX_TOKENS, np.int32, None),
    "output": (1, MAX_TOKENS, np.int32, None),
    "predicted": (1, MAX_TOKENS, np.int32, None),
    "parent": (-1, MAX_REQUESTS - 2, np.int32, -1),
    "client": (0, MAX_CLIENTS - 1, np.int32, 0),
    "priority": (0, MAX_CLASSES - 1, np.int32, 0),
    "ttft_target": (0, MAX_TIME, np.int64, 0),
    "tbt_target": (0, MAX_TIME, np.int64, 0),
    "e2e_target": (0, MAX_TIME, np.int64, 0),
    "group": (-1, MAX_GROUPS - 1, np.int32, -1),
    "shared": (0, MAX_TOKENS, np.int32, 0),
}


@dataclass(frozen=True, eq=False)
class LLMInstance:
    """Requests for the text of a language model, and the servers on which it runs.

    A request is a prompt of so many tokens that is answered by so many. It may follow another one: then it comes a
    time to think after that has finished, and its prompt begins with the other's prompt and answer. Such chains are
    sessions; first requests stand in order of arrival. Requests of a group have the beginning of their prompts in
    common. Times are in us, targets of 0 are none; arrays are copies and read-only.

    Attributes:
        name: what it is called in tables, one line of printable text.
        servers: the servers, each of which could hold every request alone.
        arrival: (n,) int64, when a request arrives; of a follow-up the time to think after its parent has finished.
        prompt: (n,) int32, tokens of the prompt, at least 1; of a follow-up more than its parent's prompt and output.
        output: (n,) int32, tokens of the answer, at least 1.
        predicted: (n,) int32, what policies are told of ``output``; the truth when left out.
        parent: (n,) int32, the request that it follows, an earlier one that nobody else follows, or -1.
        client: (n,) int32, who asks; all 0 when left out.
        priority: (n,) int32, its class, 0 being the most important; all 0 when left out.
        ttft_target: (n,) int64, time to the first token.
        tbt_target: (n,) int64, longest time between two tokens.
        e2e_target: (n,) int64, time to the last token.
        group: (n,) int32, or -1; a follow-up has the one of its parent; all -1 when left out.
        shared: (n,) int32, tokens that the prompts of a group begin with, less than each of them; 0 without a group.
        objective: what is minimised, ``"miss_rate"`` (requests that miss a target, as a share) or ``"e2e_mean"``.
        server_names: one for each server, for tables; their profiles' names when left out.

    Raises:
        InstanceError: when the numbers contradict each other or are too large.
    """

    name: str
    servers: tuple[Profile, ...] = field(repr=False)
    arrival: np.ndarray = field(repr=False)  # (n,) int64
    prompt: np.ndarray = field(repr=False)  # (n,) int32
    output: np.ndarray = field(repr=False)  # (n,) int32
    predicted: np.ndarray | None = field(default=None, repr=False)  # (n,) int32
    parent: np.ndarray | None = field(default=None, repr=False)  # (n,) int32
    client: np.ndarray | None = field(default=None, repr=False)  # (n,) int32
    priority: np.ndarray | None = field(default=None, repr=False)  # (n,) int32
    ttft_target: np.ndarray | None = field(default=None, repr=False)  # (n,) int64
    tbt_target: np.ndarray | None = field(default=None, repr=False)  # (n,) int64
    e2e_target: np.ndarray | None = field(default=None, repr=False)  # (n,) int64
    group: np.ndarray | None = field(default=None, repr=False)  # (n,) int32
    shared: np.ndarray | None = field(default=None, repr=False)  # (n,) int32
    objective: str = "miss_rate"
    server_names: tuple[str, ...] = ()

    family: ClassVar[str] = "llm"

    def __post_init__(self):
        name = self.name
        fields.check_word(name, "name", "LLM instance")
        if not isinstance(self.objective, str) or self.objective not in OBJECTIVES:
            raise InstanceError(f"objective must be {' or '.join(OBJECTIVES)}, got {self.objective!r:.80}", name)
        self._set_servers()
        length = fields.count(self.arrival, "arrival", MAX_REQUESTS, name)
        for what, (least, most, dtype, default) in COLUMNS.items():
            values = getattr(self, what)
            if what == "predicted" and values is None:
                values = self.output
            if values is None and default is not None:
                values = np.full(length, default)
            array = fields.column(values, what, length, least, most, dtype, name)
            array.setflags(write=False)
            object.__setattr__(self, what, array)
        problem = self._order_problem() or self._session_problem() or self._group_problem() or self._room_problem()
        if problem:
            raise InstanceError(problem, name)

    def _set_servers(self) -> None:
        servers, names = self.servers, self.server_names
        if not isinstance(servers, tuple | list) or not all(isinstance(one, Profile) for one in servers):
            raise InstanceError(f"servers must be a tuple of Profile, got {servers!r:.80}", self.name)
        if not 1 <= len(servers) <= MAX_SERVERS:
            raise InstanceError(f"servers must be 1 to {MAX_SERVERS}, got {len(servers)}", self.name)
        if not isinstance(names, tuple | list) or len(names) not in (0, len(servers)):
            raise InstanceError(f"server_names must be {len(servers)} names or none, got {names!r:.80}", self.name)
        for index, word in enumerate(names):
            fields.check_word(word, f"server_names[{index}]", self.name)
        known = [profiles.name_of(server) or f"server {index}" for index, server in enumerate(servers)]
        object.__setattr__(self, "servers", tuple(servers))
        object.__setattr__(self, "server_names", tuple(map(str, names)) or tuple(known))

    def _order_problem(self) -> str | None:
        roots = np.flatnonzero(self.parent < 0)
        wrong = self.arrival[roots[1:]] < self.arrival[roots[:-1]]
        if wrong.any():
            late, early = roots[wrong.argmax() + 1], roots[wrong.argmax()]
            return f"arrival[{late}]: {self.arrival[late]} is before that of request {early} at {self.arrival[early]}"
        # a float is exact enough for a limit, and sums of int64 could overflow
        think = self.arrival[self.parent >= 0].sum(dtype=float)
        return f"times to think sum to more than {MAX_TIME} us" if think > MAX_TIME else None

    def _session_problem(self) -> str | None:
        wrong = self.parent >= np.arange(self.requests)
        if wrong.any():
            place = wrong.argmax()
            return f"parent[{place}]: expected an earlier request or -1, got {self.parent[place]}"
        later = np.flatnonzero(self.parent >= 0)
        parent = self.parent[later]
        unique, first = np.unique(parent, return_index=True)
        if len(unique) < len(parent):
            twice = np.setdiff1d(np.arange(len(parent)), first)[0]
            return f"parent[{later[twice]}]: request {parent[twice]} already has a follow-up"
        said = self.prompt[parent] + self.output[parent]
        wrong = self.prompt[later] <= said
        if wrong.any():
            place = later[wrong.argmax()]
            return (
                f"prompt[{place}]: {self.prompt[place]} is not more than prompt and output of its parent "
                f"{self.parent[place]}, {said[wrong.argmax()]}"
            )
        return None

    def _group_problem(self) -> str | None:
        later = np.flatnonzero(self.parent >= 0)
        wrong = self.group[later] != self.group[self.parent[later]]
        if wrong.any():
            place = later[wrong.argmax()]
            return f"group[{place}]: {self.group[place]} is not that of its parent {self.parent[place]}"
        prefix = np.zeros(self.groups + 1, dtype=np.int32)  # the last one is of those without a group
        prefix[self.group] = np.where(self.group < 0, 0, self.shared)
        wrong = self.shared != prefix[self.group]
        if wrong.any():
            place = wrong.argmax()
            expected = "0 without a group" if self.group[place] < 0 else f"one number for group {self.group[place]}"
            return f"shared[{place}]: expected {expected}, got {self.shared[place]}"
        wrong = self.shared >= self.prompt
        if wrong.any():
            place = wrong.argmax()
            return f"shared[{place}]: {self.shared[place]} is not less than the prompt of {self.prompt[place]}"
        return None

    def _room_problem(self) -> str | None:
        place = int((self.prompt + self.output).argmax())
        total = int(self.prompt[place]) + int(self.output[place])
        for index, server in enumerate(self.servers):
            # smaller ones fit where the largest one does
            if -(-total // server.block_size) > server.blocks:
                named = f"server {index} ({self.server_names[index]})"
                return f"request {place} of {total} tokens does not fit the {server.kv_tokens} tokens of {named}"
        return None

    @property
    def kind(self) -> str:
        """What a policy is trained for: the objective, and whether there are servers to choose from."""
        return f"{self.objective}, {'one server' if len(self.servers) == 1 else 'several servers'}"

    @property
    def gap_scale(self) -> float | None:
        """What differences of objectives are shares of: miss rates may be 0; mean times are not."""
        return 1.0 if self.objective == "miss_rate" else None

    @property
    def requests(self) -> int:
        """Number of requests, follow-ups included."""
        return len(self.arrival)

    @cached_property
    def groups(self) -> int:
        """One more than the highest group; 0 without any."""
        return int(self.group.max()) + 1

    @cached_property
    def clients(self) -> int:
        """One more than the highest client."""
        return int(self.client.max()) + 1

    @cached_property
    def sessions(self) -> bool:
        """Whether any request follows another one."""
        return bool((self.parent >= 0).any())

    @cached_property
    def follow_up(self) -> np.ndarray:
        """(n,) int32, read-only: the request that follows each one, or -1."""
        found = np.full(self.requests, -1, dtype=np.int32)
        later = np.flatnonzero(self.parent >= 0)
        found[self.parent[later]] = later
        found.setflags(write=False)
        return found

    @cached_property
    def root(self) -> np.ndarray:
        """(n,) int32, read-only: the first request of the session of each one, itself where there is none before."""
        found = list(range(self.requests))
        for request, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                found[request] = found[parent]
        root = np.array(found, dtype=np.int32)
        root.setflags(write=False)
        return root

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on the numbers and the objective alone, not on names."""
        servers = np.array([[int(getattr(one, what)) for what in profiles.FIELDS] for one in self.servers])
        return digest(self.family, servers, *(getattr(self, what) for what in COLUMNS), self.objective)

    @property
    def size(self) -> str:
        """Requests and servers as in ``"1500x4"``."""
        return f"{self.requests}x{len(self.servers)}"


def read(path: str | Path) -> LLMInstance:
    """Read an instance from a JSON file, or from a trace of ``traces`` if the file ends in ``.csv`` or ``.jsonl``.

    It is named after the file unless it names itself.

    Raises:
        InstanceError: if the file cannot be read or is malformed, with its path and field.
    """
    if Path(path).suffix.lower() in traces.SUFFIXES:
        return _make(traces.read_fields(path), str(path))
    return parse(read_text(path, MAX_FILE_BYTES), str(path))


def parse(text: str, where: str = "text", name: str | None = None) -> LLMInstance:
    """Read an instance from JSON, as described in ``reader``.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.
        name: the name of the instance; the one in the text, or else the stem of ``where``, when left out.

    Returns:
        The instance.

    Raises:
        InstanceError: on anything else than the format, with ``where`` and the field.
    """
    found = read_fields(text, where)
    own = found.pop("name", None)
    return _make(found | {"name": name or own or Path(where).stem or "instance"}, where)


def format(instance: LLMInstance) -> str:
    """Write an instance as JSON that ``parse`` reads back to the same digest."""
    return write(instance)


def _make(found: dict, where: str) -> LLMInstance:
    try:
        return LLMInstance(**found)
    except InstanceError as error:
        raise InstanceError(str(error).removeprefix(f"{error.where}: "), where) from error
