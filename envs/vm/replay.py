"""Carries out the actions of a schedule by the statement of the problem, in order or in time."""

import heapq
import math

import numpy as np

from ..core.schedule import Schedule
from .instance import VMInstance
from .occupancy import NOWHERE
from .record import Action, Move, Record

DEPARTURE, COMPLETION, ARRIVAL = range(3)  # what happens at the same time happens in this order


def replay(instance: VMInstance, schedule: Schedule) -> Record:
    """Carry out a schedule and judge every action on the way.

    Actions that break a rule are carried out all the same wherever that can be imagined, so that what follows is
    judged by what the schedule claims. Those that name no VM or no node are left out.

    Args:
        instance: the problem.
        schedule: the claim; rows in any order, their steps say in which one they are carried out.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """
    return Timeline(instance, schedule) if instance.dynamic else Sequence(instance, schedule)


class Sequence(Record):
    """A schedule of a snapshot: actions one after another, no time runs."""

    def __init__(self, instance: VMInstance, schedule: Schedule):
        super().__init__(instance, schedule)
        self._evicted: set[int] = set()
        for done, action in enumerate(self.actions):
            if not action.start == action.end == action.step:
                both = f"{action} is from {action.start} to {action.end}"
                self.report("time", f"{both}, but both are {action.step} where no time runs")
            if self.named(action):
                self._act(action, done)
            self.times.append(done + 1)
            self.rates.append(self.state.rate(self.conditions))

    def _act(self, action: Action, done: int) -> None:
        vm, node = action.vm, action.node
        source = int(self.state.node[vm])
        if node == NOWHERE == source:
            self.report("placed", f"{action} evicts VM {vm}, which is not placed")
            return
        if node == NOWHERE:
            self.judge_eviction(action, self._evicted)
            self._evicted.add(vm)
            self.evictions += 1
        elif source == NOWHERE:
            self.judge_target(action, f"{action} places VM {vm} on")
        else:
            self.judge_migration(action)
            self.migrations += 1
        if source != NOWHERE:
            self.judge_limit(action)
            self.state.leave(vm)
        if node != NOWHERE:
            self.state.enter(vm, node)
        self.moves.append(Move(action.step, done, vm, source, node))


class Timeline(Record):
    """A schedule of an instance whose VMs arrive and depart, carried out in time.

    Nothing happens at the horizon or after it.

    Attributes:
        mean_rate: the fragment rate, averaged over time.
    """

    def __init__(self, instance: VMInstance, schedule: Schedule):
        arrives = (instance.arrival > 0) & (instance.arrival < instance.horizon)
        arriving, departing = np.flatnonzero(arrives), np.flatnonzero(instance.departure < instance.horizon)
        super().__init__(instance, schedule, arriving.tolist())
        self._events = [(time, ARRIVAL, vm) for time, vm in _timed(instance.arrival, arriving)]
        self._events += [(time, DEPARTURE, vm) for time, vm in _timed(instance.departure, departing)]
        heapq.heapify(self._events)
        self._clock = 0
        self._ready = 0  # when the next decision may be taken
        for action in self.actions:
            in_time, named = self._begins_in_time(action), self.named(action)
            if in_time and named:
                self._decide(action)
        self._advance(instance.horizon - 1)
        self._note()
        ends = [*self.times[1:], instance.horizon]
        areas = (rate * (end - time) for rate, time, end in zip(self.rates, self.times, ends, strict=True))
        self.mean_rate = math.fsum(areas) / instance.horizon

    def _begins_in_time(self, action: Action) -> bool:
        """Judge when an action starts; whether that is before the horizon."""
        if action.start >= self.instance.horizon:
            self.report("time", f"{action} starts at {action.start}, but time ends at {self.instance.horizon}")
            return False
        if action.start - self.conditions.latency < self._ready:
            self.report("time", f"{action} starts at {action.start}, {self._too_early()}")
        return True

    def _decide(self, action: Action) -> None:
        """Judge a migration when it is decided, and carry it out a latency later."""
        state, vm, start = self.state, action.vm, action.start
        decided = start - self.conditions.latency
        self._advance(decided)
        broken = self.broken
        if state.node[vm] == NOWHERE:
            self.report("placed", f"{action} moves VM {vm}, which is not there when that is decided, at {decided}")
        else:
            self.judge_migration(action, f", when that is decided, at {decided}")
        legal = self.broken == broken
        self._advance(start)
        able = state.node[vm] != NOWHERE and state.target[vm] == NOWHERE and state.node[vm] != action.node
        if able and not (legal and state.obstacles(vm, action.node)):
            self._migrate(action)
        else:
            self._drop(action, legal)
        self.judge_limit(action)

    def _migrate(self, action: Action) -> None:
        vm, start = action.vm, action.start
        took = self._copy_time(vm)
        if action.end != start + took:
            self.report("time", f"{_took(action)} instead of {took}, the time to copy VM {vm}")
        self.migrations += 1
        self.moves.append(Move(action.step, start, vm, int(self.state.node[vm]), action.node))
        self.state.reserve(vm, action.node)
        if took:
            heapq.heappush(self._events, (start + took, COMPLETION, vm))
        else:
            self.state.complete(vm)
        self._ready = min(start + took, int(self.instance.departure[vm]))

    def _drop(self, action: Action, legal: bool) -> None:
        """What was fine when it was decided cannot be carried out any more, or never could."""
        self.stale += 1
        source = int(self.state.node[action.vm])
        self.moves.append(Move(action.step, action.start, action.vm, source, action.node, stale=True))
        if legal and action.end != action.start:
            self.report("time", f"{_took(action)} instead of 0, as it could not be carried out any more")
        self._ready = action.start

    def _copy_time(self, vm: int) -> int:
        """How long it takes to copy a VM, in ms."""
        rate = self.conditions.copy_rate
        return -(-1000 * int(self.instance.memory[vm]) // rate) if rate else 0

    def _too_early(self) -> str:
        latency = self.conditions.latency
        text = f"before {self._ready + latency}"
        if self._ready:
            text += f": the action before it ends at {self._ready}"
        return f"{text}{' and' if self._ready else ':'} the latency is {latency}" if latency else text

    def _advance(self, until: int) -> None:
        """Let happen what happens until a time, and at it."""
        while self._events and self._events[0][0] <= until:
            time, kind, vm = heapq.heappop(self._events)
            self._tick(time)
            if kind == ARRIVAL:
                node = self.state.best_fit(vm)
                if node == NOWHERE:
                    self.rejected.append((time, vm))
                else:
                    self.state.enter(vm, node)
            elif kind == DEPARTURE:
                self.state.leave(vm)
            elif self.state.target[vm] != NOWHERE:
                self.state.complete(vm)
        self._tick(until)

    def _tick(self, time: int) -> None:
        if time > self._clock:
            self._note()
            self._clock = time

    def _note(self) -> None:
        """Add the rate of now to the curve, where it is another one."""
        rate = self.state.rate(self.conditions)
        if self._clock == self.times[-1]:
            self.rates[-1] = rate
        elif rate != self.rates[-1]:
            self.times.append(self._clock)
            self.rates.append(rate)


def _timed(column: np.ndarray, vms: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(column[vms].tolist(), vms.tolist(), strict=True))


def _took(action: Action) -> str:
    return f"{action} runs from {action.start} to {action.end}, that is {action.end - action.start}"
