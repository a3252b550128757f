"""Rules and bounds for one machine that may be taken away from a job."""

import heapq
from dataclasses import dataclass

import numpy as np
import torch

from ..envs.core.errors import OptionError
from ..envs.core.policies import Columns, Rule
from ..envs.core.schedule import Schedule
from ..envs.job_shop.instance import JobShopInstance

OPTIMAL = ("total_flow_time", "max_lateness")  # objectives that a preemptive rule minimises if it knows every length


@dataclass(frozen=True)
class PreemptiveRule(Rule):
    """A rule for preemptive machines."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether the machine may be taken away."""
        return options.preemptive

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        if not simulation.model.options.preemptive:
            raise OptionError("this rule is for preemptive machines: use preemptive True")
        return super().act(simulation, generator, explore)


@dataclass(frozen=True)
class ClairvoyantRule(PreemptiveRule):
    """A rule that must know what is left of a whole job."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether the machine may be taken away and all lengths are known."""
        return options.preemptive and options.known == "all"

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        if simulation.model.options.preemptive and simulation.model.options.known != "all":
            raise OptionError("this rule must know every length: use known all, or srpt/op")
        return super().act(simulation, generator, explore)


@dataclass(frozen=True)
class QuantumRule(PreemptiveRule):
    """A rule that shares the machine out, so that decisions must not wait for an event."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether the machine may be taken away after a quantum of time."""
        return options.preemptive and options.quantum > 0

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        if simulation.model.options.preemptive and simulation.model.options.quantum == 0:
            raise OptionError("this rule shares the machine out: use a quantum above 0")
        return super().act(simulation, generator, explore)


def round_robin(c: Columns) -> torch.Tensor:
    """The job that runs as long as its quantum lasts, then the one that has waited longest since it ran or came."""
    return torch.where(c.quantum_left > 0, -1, c.last_run)


def best_preemptive(instance: JobShopInstance) -> Schedule:
    """The optimal preemptive schedule of one machine, by a planner that knows everything.

    Of total flow time it is that of the shortest remaining processing time (Schrage 1968), of the maximum lateness that
    of the earliest due date (Horn 1974), each among the jobs that are released.

    Args:
        instance: one machine without setup times and windows, with one of the objectives ``OPTIMAL``.

    Raises:
        OptionError: for any other instance.
    """
    if instance.machines != 1 or instance.limited or instance.objective not in OPTIMAL:
        raise OptionError(f"{instance.name}: expected one machine and one of the objectives {', '.join(OPTIMAL)}")
    left = [row[:n] for row, n in zip(instance.duration.tolist(), instance.operations.tolist(), strict=True)]
    step = [0] * instance.jobs
    arrivals = sorted((release, job) for job, release in enumerate(instance.release.tolist()))
    rows, waiting, now = [], [], 0

    def push(job: int) -> None:
        key = sum(left[job]) if instance.objective == "total_flow_time" else int(instance.due[job])
        heapq.heappush(waiting, (key, job))

    arrivals.reverse()
    while arrivals or waiting:
        if not waiting:
            now = max(now, arrivals[-1][0])
        while arrivals and arrivals[-1][0] <= now:
            push(arrivals.pop()[1])
        _, job = heapq.heappop(waiting)
        until = arrivals[-1][0] if arrivals else None
        while step[job] < len(left[job]) and (until is None or now < until):
            length = left[job][step[job]]
            time_left = length if until is None else min(length, until - now)
            if rows and rows[-1][:2] == [job, step[job]] and rows[-1][4] == now:
                rows[-1][4] += time_left  # it goes on without a break
            else:
                rows.append([job, step[job], 0, now, now + time_left])
            now += time_left
            left[job][step[job]] -= time_left
            step[job] += left[job][step[job]] == 0
        if step[job] < len(left[job]):
            push(job)
    return Schedule(instance, np.array(rows, dtype=np.int64), {"preemptive": True})
