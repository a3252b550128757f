"""What is kept while a schedule is carried out: the state, what the actions came to, and every broken rule."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..core.checking import MAX_MESSAGES, listed
from ..core.schedule import Schedule, Violation
from .conditions import Conditions
from .instance import VMInstance
from .occupancy import NOWHERE, Occupancy

RULES = (
    "conditions", "entry", "order", "placed", "movable", "capacity", "drained", "affinity", "evict", "limit", "time",
)  # fmt: skip


class Action(NamedTuple):
    """One row of a schedule."""

    vm: int
    step: int
    node: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"action {self.step}"


class Move(NamedTuple):
    """What an action came to.

    Attributes:
        step: the number of the action.
        time: when it was carried out, in ms; of a snapshot how many actions were before it.
        vm: what it moved.
        source, target: the nodes from and to; ``NOWHERE`` for a VM that was placed or evicted.
        stale: it could not be carried out any more.
    """

    step: int
    time: int
    vm: int
    source: int
    target: int
    stale: bool = False


class Record:
    """A schedule beside its problem, and what was found so far.

    Args:
        instance: the problem.
        schedule: the claim; rows in any order, their steps say in which one they are carried out.
        arriving: VMs that come by themselves.

    Attributes:
        actions: the rows in the order of their steps.
        state: who is where.
        moves: what the actions came to, in their order.
        initial: the fragment rate before anything happens.
        times, rates: the curve of the fragment rate: each rate with the time, in ms, from which on it is that; of
            a snapshot with the number of actions before it.
        migrations, evictions, stale: how many there were.
        rejected: (time, VM) of the arrivals for which there was no place.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """

    def __init__(self, instance: VMInstance, schedule: Schedule, arriving: Iterator[int] = ()):
        self.instance, self.conditions = instance, Conditions.read(schedule.conditions)
        rows = schedule.entries[np.argsort(schedule.column("step"), kind="stable")].tolist()
        self.actions = [Action(*row) for row in rows]
        asked = {action.vm for action in self.actions}.union(arriving)
        self.state = Occupancy(instance, self.conditions.constraints, asked)
        self.moves: list[Move] = []
        self.initial = self.state.rate(self.conditions)
        self.times, self.rates = [0], [self.initial]
        self.migrations = self.evictions = self.stale = 0
        self.rejected: list[tuple[int, int]] = []
        self._found: dict[str, list[str]] = {rule: [] for rule in RULES}
        self._counts = dict.fromkeys(RULES, 0)
        self._judge_numbers()

    def violations(self) -> Iterator[Violation]:
        """Everything that was found, rule by rule."""
        for rule in RULES:
            yield from listed(rule, self._counts[rule], self._found[rule])

    @property
    def broken(self) -> int:
        """How many violations there are."""
        return sum(self._counts.values())

    def report(self, rule: str, message: str) -> None:
        """Note a violation."""
        self._counts[rule] += 1
        if self._counts[rule] <= MAX_MESSAGES:
            self._found[rule].append(message)

    def named(self, action: Action) -> bool:
        """Whether what an action names exists, and can happen at all; say so if not."""
        instance, (vm, _, node, *_) = self.instance, action
        if not 0 <= vm < instance.vms:
            self.report("entry", f"{action} names VM {vm}, but VMs run from 0 to {instance.vms - 1}")
        elif not NOWHERE <= node < instance.nodes:
            nodes = f"nodes run from 0 to {instance.nodes - 1}"
            self.report("entry", f"{action} sends VM {vm} to node {node}, but {nodes}")
        elif self.state.double(vm) and node % 2 == 1 and node != NOWHERE:
            even = "takes both nodes of a host and goes by the even one"
            self.report("entry", f"{action} sends VM {vm} to node {node}, but it {even}")
        elif node == NOWHERE and not instance.pack:
            self.report("evict", f"{action} evicts VM {vm}, which is for instances with VMs that are not placed")
        else:
            return True
        return False

    def judge_migration(self, action: Action, when: str = "") -> None:
        """Judge the move of a VM that is somewhere."""
        vm, node = action.vm, action.node
        moves = f"{action} moves VM {vm}"
        if self.conditions.constraints and not self.instance.movable[vm]:
            self.report("movable", f"{moves}, which is pinned")
        if self.state.node[vm] == node:
            self.report("placed", f"{moves} to node {node}, where it is already{when}")
        else:
            self.judge_target(action, f"{moves} to", when)

    def judge_target(self, action: Action, begin: str, when: str = "") -> None:
        """Judge the node that a VM is sent to, which is not its own."""
        for rule, words in self.state.obstacles(action.vm, action.node):
            self.report(rule, f"{begin} {words}{when}")

    def judge_eviction(self, action: Action, evicted: set[int]) -> None:
        """Judge the eviction of a VM that is somewhere.

        Args:
            action: which.
            evicted: the VMs that were evicted before.
        """
        vm, priority = action.vm, self.instance.priority
        evicts = f"{action} evicts VM {vm}"
        if self.conditions.constraints and not self.instance.movable[vm]:
            self.report("movable", f"{evicts}, which is pinned")
        if vm in evicted:
            self.report("evict", f"{evicts}, which was evicted before")
        waiting = priority[self.state.node == NOWHERE]
        if not len(waiting):
            self.report("evict", f"{evicts}, but every VM is placed")
        elif priority[vm] >= waiting.max():
            highest = f"the highest priority of those that are not placed is {waiting.max()}"
            self.report("evict", f"{evicts} of priority {priority[vm]}, but {highest}")

    def judge_limit(self, action: Action) -> None:
        """Say so if there have been too many moves by now."""
        used, most = self.migrations + self.evictions + self.stale, self.conditions.mnl
        if used > most:
            what = "migration or eviction" if self.instance.pack else "migration"
            self.report("limit", f"{action} is {what} number {used}, but no more than {most} are allowed")

    def _judge_numbers(self) -> None:
        steps, times = np.unique([action.step for action in self.actions], return_counts=True)
        last = len(self.actions) - 1
        for step in steps[(steps < 0) | (steps > last)].tolist():
            self.report("order", f"an action is numbered {step}, but numbers run from 0 to {last}")
        for step, count in zip(steps[times > 1].tolist(), times[times > 1].tolist(), strict=True):
            self.report("order", f"{count} actions are numbered {step}")
        for step in np.setdiff1d(np.arange(last + 1), steps).tolist():
            self.report("order", f"no action is numbered {step}")
