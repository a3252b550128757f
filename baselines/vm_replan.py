"""A planner in a cluster that lives on: an integer program for the state of the moment, solved anew after a while."""

import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from ..envs.core.errors import OptionError
from ..envs.core.simulation import Simulation
from ..envs.vm.instance import VMInstance

SECONDS = 5.0  # for one plan; the episode does not wait for it


@dataclass
class _Memory:
    """What is planned in one environment."""

    moves: list[tuple[int, int]] = field(default_factory=list)
    made: int = 0
    node: int = -1  # where the VM of the first step is to go


@dataclass(frozen=True, eq=False)
class Replan:
    """Follows a plan of the reduced integer program for some moves, then plans anew.

    What can no longer be done is left out. Time spent on planning is not time of the cluster; the option ``latency``
    is there for that.

    Attributes:
        every: moves after which it plans anew.
        doc: one line for ``--list``.
    """

    every: int
    doc: str = ""
    options: dict = field(default_factory=lambda: {"moves": "vm"})
    observes: ClassVar[bool] = False
    _memory: weakref.WeakKeyDictionary = field(default_factory=weakref.WeakKeyDictionary, repr=False)

    @staticmethod
    def accepts(instance: VMInstance, options) -> bool:
        """Whether it can plan for an instance: a cluster that lives on, by FR-16."""
        return instance.dynamic and not options.weight_64 and not options.weight_memory

    def act(self, simulation: Simulation, generator: torch.Generator, explore: torch.Tensor) -> torch.Tensor:
        """See Policy.act; it never explores.

        Raises:
            OptionError: for other moves than in two steps, and other weights than FR-16.
        """
        options = simulation.model.options
        if options.moves != "vm" or options.weight_64 or options.weight_memory or simulation.model.task == "pack":
            raise OptionError("mip-replan moves VMs in two steps (moves vm), by FR-16, where all are placed")
        state = {name: simulation.engine.tensors[name].cpu().numpy() for name in _READ}
        memory = self._memory.setdefault(simulation, {})
        stop = simulation.mask.shape[1] - 1
        actions = np.full(simulation.num_envs, stop, np.int64)
        for i in np.flatnonzero(state["terminated"] == 0):
            if state["steps"][i] == 0:
                memory[i] = _Memory()
            actions[i] = self._action(simulation, state, i, memory.setdefault(i, _Memory()), stop)
        return torch.from_numpy(actions).to(simulation.device)

    def _action(self, simulation, state: dict, i: int, memory: _Memory, stop: int) -> int:
        if state["chosen"][i] >= 0:
            action = simulation.model.vms + memory.node
            if state["action_mask"][i, action]:
                return action
            return int(
                np.flatnonzero(state["action_mask"][i])[0]
            )  # forced to go somewhere: cannot happen between steps
        done = int(state["migrations"][i] + state["stale_moves"][i])
        if not memory.moves or done - memory.made >= self.every:
            memory.moves, memory.made = self._plan(simulation, state, i, done), done
        instance = simulation.instance_of(i)
        for position, (vm, node) in enumerate(memory.moves):
            if state["action_mask"][i, vm] and _fits(instance, state, i, vm, node):
                del memory.moves[position]
                memory.node = node
                return vm
        return stop

    def _plan(self, simulation, state: dict, i: int, done: int) -> list[tuple[int, int]]:
        from .vm_mip import solve_mip

        options = simulation.model.options
        snapshot, present = snapshot_of(simulation.instance_of(i), state["place"][i])
        conditions = {"mnl": options.mnl - done, "constraints": options.constraints}
        plan = solve_mip(snapshot, conditions, SECONDS, reduced=True)
        return _soonest_first([(int(present[vm]), node) for vm, node in plan.moves], state["place"][i])


_READ = (
    "terminated", "steps", "chosen", "action_mask", "migrations", "stale_moves", "place", "free_cores", "free_memory",
)  # fmt: skip


def _soonest_first(moves: list[tuple[int, int]], place: np.ndarray) -> list[tuple[int, int]]:
    """The moves by the host they leave, those first that complete theirs with the fewest: the rate counts meanwhile."""
    size = Counter(int(place[vm]) // 2 for vm, _ in moves)
    return sorted(moves, key=lambda move: (size[int(place[move[0]]) // 2], int(place[move[0]]) // 2))


def snapshot_of(instance: VMInstance, place: np.ndarray) -> tuple[VMInstance, np.ndarray]:
    """The VMs that are there now as an instance, and (VMs,) their numbers."""
    place = place[: instance.vms]
    present = np.flatnonzero(place >= 0)
    number = {vm: k for k, vm in enumerate(present.tolist())}
    groups = []
    for scope, members in instance.groups:
        left = tuple(number[vm] for vm in members if vm in number)
        if len(left) > 1:
            groups.append((scope, left))
    rows = {
        name: getattr(instance, name)[present] for name in ("cores", "memory", "numas", "movable")
    }  # fmt: skip
    snapshot = VMInstance(
        instance.name, instance.node_cores, instance.node_memory, node=place[present], rack=instance.rack,
        drained=instance.drained, groups=tuple(groups), **rows,
    )  # fmt: skip
    return snapshot, present


def _fits(instance: VMInstance, state: dict, i: int, vm: int, node: int) -> bool:
    """Whether there is room for a VM at a node it is not at, as far as one can tell without its groups."""
    double = instance.numas[vm] == 2
    nodes = [node, node + 1] if double else [node]
    cores = instance.cores[vm] // len(nodes)
    memory = -(-int(instance.memory[vm]) // len(nodes))
    roomy = all(state["free_cores"][i, n] >= cores and state["free_memory"][i, n] >= memory for n in nodes)
    return bool(roomy and state["place"][i, vm] != node)
