"""The VM rescheduling instance: virtual machines on hosts of two NUMA nodes each."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..core.errors import InstanceError
from ..core.files import read_text
from ..core.instance import digest
from ..core.json_walk import MAX_FILE_BYTES
from . import fields, openb
from .fields import MAX_CORES, MAX_HOSTS, MAX_MEMORY, MAX_PAIRS, MAX_TIME, MAX_VMS, MAX_WHOLE, NEVER, SCOPES
from .reader import read_fields, write


@dataclass(frozen=True, eq=False)
class VMInstance:
    """Virtual machines (VMs) on hosts, each of which has two NUMA nodes; node 2 * host + numa.

    A single VM takes its cores and memory from one node. A double VM takes half its cores and half its memory,
    rounded up, from both nodes of a host. A start may violate anti-affinity groups, as real ones do; it never
    exceeds a capacity. Arrays are copies and read-only; memory is in MB and time in ms.

    Attributes:
        name: what it is called in tables, one line of printable text.
        node_cores: (hosts, 2) int32, cores of each NUMA node.
        node_memory: (hosts, 2) int32, memory of each NUMA node.
        cores: (VMs,) int32, what each VM takes in all, at least 1; even where it is a double.
        memory: (VMs,) int32, likewise.
        numas: (VMs,) int32, 1 for a single, 2 for a double.
        node: (VMs,) int32, where it is: a node, 2 * host for a double, -1 for one that is not placed.
        movable: (VMs,) bool, False for one that is pinned; all movable when left out.
        priority: (VMs,) int32, higher is more important; all 0 when left out.
        arrival: (VMs,) int32, 0 for those that are there from the start; all 0 when left out.
        departure: (VMs,) int32, ``NEVER`` for those that stay; all stay when left out.
        rack: (hosts,) int32, the rack of each host, all 0 when left out.
        drained: (hosts,) bool, whether a host accepts no VM; none when left out.
        groups: anti-affinity, pairs of a scope (``"host"`` or ``"rack"``) and the VMs no two of which may share one.
        horizon: 0 for a snapshot, else the time at which it ends.
        world: number of a realisation, 0 to 2**31 - 1; nothing in this family is random but the instance itself.
        host_names, vm_names: one for each, or empty; the digest does not depend on them.

    Raises:
        InstanceError: when the numbers contradict each other or are too large.
    """

    name: str
    node_cores: np.ndarray = field(repr=False)  # (hosts, 2) int32
    node_memory: np.ndarray = field(repr=False)  # (hosts, 2) int32
    cores: np.ndarray = field(repr=False)  # (VMs,) int32
    memory: np.ndarray = field(repr=False)  # (VMs,) int32
    numas: np.ndarray = field(repr=False)  # (VMs,) int32
    node: np.ndarray = field(repr=False)  # (VMs,) int32
    movable: np.ndarray | None = field(default=None, repr=False)  # (VMs,) bool
    priority: np.ndarray | None = field(default=None, repr=False)  # (VMs,) int32
    arrival: np.ndarray | None = field(default=None, repr=False)  # (VMs,) int32
    departure: np.ndarray | None = field(default=None, repr=False)  # (VMs,) int32
    rack: np.ndarray | None = field(default=None, repr=False)  # (hosts,) int32
    drained: np.ndarray | None = field(default=None, repr=False)  # (hosts,) bool
    groups: tuple[tuple[str, tuple[int, ...]], ...] = field(default=(), repr=False)
    horizon: int = 0
    world: int = 0
    host_names: tuple[str, ...] = field(default=(), repr=False)
    vm_names: tuple[str, ...] = field(default=(), repr=False)

    family: ClassVar[str] = "vm"

    def __post_init__(self):
        name = self.name
        fields.check_word(name, "name", "VM instance")
        self._set("horizon", fields.number(self.horizon, "horizon", MAX_TIME, name))
        self._set("world", fields.number(self.world, "world", MAX_WHOLE, name))
        self._set_hosts(name)
        self._set_vms(name)
        self._set("host_names", fields.words(self.host_names, "host_names", self.hosts, name))
        self._set("vm_names", fields.words(self.vm_names, "vm_names", self.vms, name))
        self._set("groups", fields.groups(self.groups, self.vms, SCOPES, MAX_PAIRS, name))
        problem = self._time_problem() or self._place_problem() or self._capacity_problem()
        if problem:
            raise InstanceError(problem, name)

    def _set(self, what: str, value) -> None:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(self, what, value)

    def _set_hosts(self, name: str) -> None:
        hosts = fields.count(self.node_cores, "node_cores", MAX_HOSTS, name)
        self._set("node_cores", fields.pairs(self.node_cores, "node_cores", hosts, MAX_CORES, name))
        self._set("node_memory", fields.pairs(self.node_memory, "node_memory", hosts, MAX_MEMORY, name))
        self._set("rack", fields.column(self.rack, "rack", hosts, 0, MAX_HOSTS - 1, name, default=0))
        self._set("drained", fields.flags(self.drained, "drained", hosts, False, name))

    def _set_vms(self, name: str) -> None:
        vms = fields.count(self.cores, "cores", MAX_VMS, name)
        columns = {
            "cores": (1, 2 * MAX_CORES, None),
            "memory": (0, MAX_MEMORY, None),
            "numas": (1, 2, None),
            "node": (-1, self.nodes - 1, None),
            "priority": (0, MAX_WHOLE, 0),
            "arrival": (0, MAX_TIME, 0),
            "departure": (1, NEVER, NEVER),
        }
        for what, (least, most, default) in columns.items():
            self._set(what, fields.column(getattr(self, what), what, vms, least, most, name, default=default))
        self._set("movable", fields.flags(self.movable, "movable", vms, True, name))
        odd = (self.numas == 2) & (self.cores % 2 == 1)
        if odd.any():
            vm = odd.argmax()
            raise InstanceError(f"cores[{vm}]: a double VM has an even number of cores, got {self.cores[vm]}", name)

    def _time_problem(self) -> str | None:
        timed = (self.arrival > 0) | (self.departure != NEVER)
        if not self.horizon and timed.any():
            return f"VM {timed.argmax()} arrives or departs, so horizon must be more than 0"
        wrong = self.departure <= self.arrival
        if wrong.any():
            vm = wrong.argmax()
            return f"departure[{vm}]: {self.departure[vm]} is not after the arrival of VM {vm} at {self.arrival[vm]}"
        return None

    def _place_problem(self) -> str | None:
        wrong = (self.numas == 2) & (self.node >= 0) & (self.node % 2 == 1)
        if wrong.any():
            vm = wrong.argmax()
            return f"node[{vm}]: a double VM is at node 2 * host, got {self.node[vm]}"
        wrong = (self.arrival > 0) & (self.node >= 0)
        if wrong.any():
            vm = wrong.argmax()
            return f"node[{vm}]: VM {vm} arrives at {self.arrival[vm]}, so it is at -1, got {self.node[vm]}"
        wrong = (self.arrival == 0) & (self.node < 0)
        if self.horizon and wrong.any():
            return f"node[{wrong.argmax()}]: not placed, but there from the start and horizon is more than 0"
        return None

    def _capacity_problem(self) -> str | None:
        for what, taken, capacity in zip(("cores", "memory"), self._taken, self._capacities, strict=True):
            over = taken > capacity
            if over.any():
                host, numa = np.argwhere(over)[0]
                has = f"has {capacity[host, numa]} and its VMs take {taken[host, numa]}"
                return f"node_{what}[{host}][{numa}]: NUMA node {numa} of host {host} {has}"
        return None

    @cached_property
    def _taken(self) -> tuple[np.ndarray, np.ndarray]:
        """Cores and memory that the VMs take at the start, two of (hosts, 2) int64."""
        placed, double = self.node >= 0, self.numas == 2
        taken = np.zeros((2, self.nodes), dtype=np.int64)
        for row, amount in enumerate((self.cores, self.memory)):
            share = np.where(double, -(-amount // 2), amount)
            for chosen, side in ((placed, 0), (placed & double, 1)):
                # sums of int32 stay far below 2**53, so that the float weights of bincount are exact
                sums = np.bincount(self.node[chosen] + side, weights=share[chosen], minlength=self.nodes)
                taken[row] += sums.astype(np.int64)
        return taken[0].reshape(-1, 2), taken[1].reshape(-1, 2)

    @property
    def _capacities(self) -> tuple[np.ndarray, np.ndarray]:
        return self.node_cores, self.node_memory

    @property
    def hosts(self) -> int:
        """Number of hosts."""
        return len(self.node_cores)

    @property
    def nodes(self) -> int:
        """Number of NUMA nodes, two for each host."""
        return 2 * self.hosts

    @property
    def vms(self) -> int:
        """Number of VMs, placed or not, arrived or not."""
        return len(self.cores)

    @property
    def dynamic(self) -> bool:
        """Whether time runs."""
        return self.horizon > 0

    @cached_property
    def pack(self) -> bool:
        """Whether it is a snapshot in which some VM is not placed."""
        return not self.horizon and bool((self.node < 0).any())

    @cached_property
    def free_cores(self) -> np.ndarray:
        """(hosts, 2) int32, read-only: cores of each node that no VM takes at the start."""
        return _left(self.node_cores, self._taken[0])

    @cached_property
    def free_memory(self) -> np.ndarray:
        """(hosts, 2) int32, read-only: memory of each node that no VM takes at the start."""
        return _left(self.node_memory, self._taken[1])

    @property
    def objective(self) -> str:
        """What is minimised: ``"penalty"``, ``"mean_fragment_rate"`` or ``"fragment_rate"``."""
        return "penalty" if self.pack else "mean_fragment_rate" if self.dynamic else "fragment_rate"

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on the numbers alone, not on names."""
        hosts = (self.node_cores, self.node_memory, self.rack, self.drained)
        vms = (self.cores, self.memory, self.numas, self.node, self.movable, self.priority)
        members = [vm for _, group in self.groups for vm in group]
        scopes = [(SCOPES.index(scope), len(group)) for scope, group in self.groups]
        groups = (np.array(scopes, dtype=np.int64), np.array(members, dtype=np.int64))
        return digest(self.family, *hosts, *vms, self.arrival, self.departure, *groups, self.horizon, self.world)

    @property
    def size(self) -> str:
        """Hosts and VMs as in ``"280x2089"``."""
        return f"{self.hosts}x{self.vms}"


def _left(capacity: np.ndarray, taken: np.ndarray) -> np.ndarray:
    left = (capacity - taken).astype(np.int32)
    left.setflags(write=False)
    return left


def read(path: str | Path) -> VMInstance:
    """Read an instance from a JSON file of this package or of VMR2L, or from the CSV files of openb.

    Args:
        path: a JSON file; or a folder, a node list or a pod list of openb, see ``openb.find_files``.

    Raises:
        InstanceError: if a file cannot be read or is malformed, with its path and field.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv" and not path.is_dir():
        return parse(read_text(path, MAX_FILE_BYTES), str(path))
    nodes, pods = openb.find_files(path)
    return _make(path.stem, openb.read_fields(nodes, pods), str(path))


def parse(text: str, where: str = "text", name: str | None = None) -> VMInstance:
    """Read an instance from JSON, as described in ``reader`` and ``vmr2l``.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.
        name: the name of the instance; the one in the text, or else the stem of ``where``, when left out.

    Returns:
        The instance.

    Raises:
        InstanceError: on anything else than the formats, with ``where`` and the field.
    """
    found = read_fields(text, where)
    own = found.pop("name", None)
    return _make(name or own or Path(where).stem or "instance", found, where)


def format(instance: VMInstance) -> str:
    """Write an instance as JSON that ``parse`` reads back to the same digest."""
    return write(instance)


def _make(name: str, found: dict, where: str) -> VMInstance:
    try:
        return VMInstance(name, **found)
    except InstanceError as error:
        raise InstanceError(str(error).removeprefix(f"{error.where}: "), where) from error
