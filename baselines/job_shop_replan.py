"""A planner in a live job shop: what is left is solved anew at each event, by the estimates of that moment."""

import weakref
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import numpy as np
import torch

from ..envs.core.errors import OptionError
from ..envs.core.simulation import Simulation
from ..envs.job_shop.instance import MAX_TIME, JobShopInstance
from .cp_sat_blocking import Standing, solve_blocking


class World(Protocol):
    """What is known of a live shop beforehand; ``Conditions`` and the family's options have it."""

    buffers: str
    interrupted: str
    repair: int


@dataclass(frozen=True)
class Moment:
    """What anybody can see of a live shop at some time.

    Attributes:
        now: the time.
        rows: (N, 5) integers as in ``Schedule.entries``: the pieces that have begun; ends after ``now`` are not read.
        done: (jobs,) how many operations each job has finished.
        known: (jobs,) bool, whether a job has been revealed.
        down: (machines,) bool, whether a machine is down.
    """

    now: int
    rows: np.ndarray
    done: np.ndarray
    known: np.ndarray
    down: np.ndarray


@dataclass(frozen=True)
class Plan:
    """What to do from a moment on.

    Attributes:
        starts: when the next operation of each job is to start, by job; jobs whose operation runs are not in it.
        order: every (job, step) that runs or is to come, in an order in which they may start one by one.
    """

    starts: dict[int, int]
    order: list[tuple[int, int]]


@dataclass
class _Rest:
    """The shop that is left at a moment, with times from then on."""

    instance: JobShopInstance
    standing: Standing
    jobs: list[int]  # whose rest it is
    first: list[int]  # the step of each one's first operation in it


def replan(
    instance: JobShopInstance,
    world: World,
    moment: Moment,
    time_limit: float,
    seed: int = 0,
    before: Plan | None = None,
) -> Plan | None:
    """Plan all that is left of a live job shop.

    What runs goes on for what is left of its estimate, at least one time unit. A machine that is down returns after the
    mean time that a repair takes, however long it has lasted: repairs have no memory. Later shutdowns, and jobs that
    are not known yet, are not planned for.

    Args:
        instance: the problem, of which only known jobs are read.
        world: room between machines, what becomes of an interrupted operation, and the mean time of a repair.
        moment: where the shop stands.
        time_limit: the solver's deterministic time, roughly in seconds.
        seed: of the solver.
        before: the plan of an earlier moment, to begin with.

    Returns:
        The plan; None if none was found in time, or where no known job has anything to come. From a shop in which
        nobody can ever move on there is none.
    """
    rest = _rest(instance, world, moment)
    if rest is None:
        return None
    hint = None if before is None else _continued(rest, before)
    answer = solve_blocking(
        rest.instance, world.buffers, time_limit, seed, standing=rest.standing, hint=hint, repeatable=True
    )
    if answer.schedule is None:
        return None
    starts = {}
    for job, step, _, start, _ in answer.schedule.entries.tolist():
        known = rest.jobs[job]
        if rest.first[job] + step == moment.done[known] and not _runs(moment, known):
            starts[known] = moment.now + start
    return Plan(starts, [(rest.jobs[job], rest.first[job] + step) for job, step in answer.order])


def mean_repair(instance: JobShopInstance, repair: int) -> int:
    """The mean time a shutdown lasts, rounded, at least 1.

    Args:
        instance: whose mean processing time is the unit.
        repair: percent of it.
    """
    unit = max(instance.total_work // int(instance.operations.sum()), 1)
    return max((unit * repair + 50) // 100, 1)


def _runs(moment: Moment, job: int) -> bool:
    """Whether the next operation of a job that is not done has begun."""
    return bool(((moment.rows[:, 0] == job) & (moment.rows[:, 1] == moment.done[job])).any())


def _rest(instance: JobShopInstance, world: World, moment: Moment) -> _Rest | None:
    """What is left, as a shop of its own that stands somewhere at time 0."""
    now, returns = moment.now, mean_repair(instance, world.repair)
    jobs, first, inside, routes = [], [], [], []
    for job in np.flatnonzero(moment.known & (moment.done < instance.operations)).tolist():
        step, length = int(moment.done[job]), int(instance.operations[job])
        route = list(zip(instance.machine[job, step:length], instance.duration[job, step:length], strict=True))
        begun = _runs(moment, job)
        if begun:
            route[0] = route[0][0], _left(instance, world, moment, job, returns)
        elif step > 0 and world.buffers != "unlimited":  # it has finished on a machine that it holds
            step, begun = step - 1, True
            route.insert(0, (instance.machine[job, step], 0))
        jobs.append(job)
        first.append(step)
        inside.append(begun)
        routes.append(route)
    if not jobs:
        return None
    longest = max(map(len, routes))
    machine = np.array([[*(k for k, _ in route), *[-1] * (longest - len(route))] for route in routes])
    duration = np.array([[*(p for _, p in route), *[0] * (longest - len(route))] for route in routes])
    release = np.maximum(instance.release[jobs].astype(np.int64) - now, 0) * ~np.array(inside)
    due = None if instance.due is None else np.clip(instance.due[jobs].astype(np.int64) - now, -MAX_TIME, MAX_TIME)
    shop = JobShopInstance(
        instance.name, instance.machines, duration, machine, release, due, instance.weight[jobs], instance.objective
    )
    return _Rest(shop, Standing(np.array(inside), np.where(moment.down, returns, 0)), jobs, first)


def _left(instance: JobShopInstance, world: World, moment: Moment, job: int, returns: int) -> int:
    """How long the operation that a job has begun may still have its machine."""
    step = int(moment.done[job])
    estimate, machine = int(instance.duration[job, step]), int(instance.machine[job, step])
    pieces = moment.rows[(moment.rows[:, 0] == job) & (moment.rows[:, 1] == step)]
    ran = np.minimum(pieces[:, 4], moment.now) - pieces[:, 3]
    if world.interrupted == "resume":
        spent = int(ran.sum())
    else:
        spent = 0 if moment.down[machine] else int(ran[pieces[:, 3].argmax()])
    return max(estimate - spent, 1) + returns * bool(moment.down[machine])


def _continued(rest: _Rest, before: Plan) -> list[tuple[int, int]]:
    """The order of an earlier plan for what is left: what runs first, and jobs that it does not know last."""
    place = {job: at for at, job in enumerate(rest.jobs)}
    count = rest.instance.operations.tolist()
    order = [(at, 0) for at in range(len(count)) if rest.standing.inside[at]]
    listed = set(order)
    for job, step in before.order:
        at = place.get(job, -1)
        if at >= 0 and step >= rest.first[at] and (at, step - rest.first[at]) not in listed:
            order.append((at, step - rest.first[at]))
            listed.add(order[-1])
    return order + [(at, k) for at in range(len(count)) for k in range(count[at]) if (at, k) not in listed]


@dataclass(frozen=True, eq=False)
class Replan:
    """Plans all that is left at each event, and starts what the plan starts now.

    What the shop does not offer is passed over: then it waits, or, where it may not, takes what the plan starts first.
    A plan that is carried out in its order cannot end in a deadlock, so the rule of safe moves, which hides many plans,
    is left out. Time spent on planning is not time of the shop.

    Attributes:
        seconds: for one plan, of the solver's deterministic time.
        doc: one line for ``--list``.
        options: under which it is at its best.
    """

    seconds: float
    doc: str = ""
    options: dict = field(default_factory=lambda: {"construction": "wait", "safety": False})
    observes: ClassVar[bool] = False
    _memory: weakref.WeakKeyDictionary = field(default_factory=weakref.WeakKeyDictionary, repr=False)

    @staticmethod
    def accepts(instance: JobShopInstance, options) -> bool:
        """Whether it can plan for an instance: in a live shop."""
        return options.live

    def act(self, simulation: Simulation, generator: torch.Generator, explore: torch.Tensor) -> torch.Tensor:
        """See Policy.act; it never explores.

        Raises:
            OptionError: in a shop that is not live.
        """
        if not simulation.model.options.live:
            raise OptionError("cp-sat-replan plans at the events of a live shop: give buffers, noise, uptime or reveal")
        state = {name: simulation.engine.tensors[name].cpu().numpy() for name in _READ}
        memory = self._memory.setdefault(simulation, {})
        made: dict[tuple, Plan | None] = {}
        actions = np.zeros(simulation.num_envs, np.int64)
        for i in np.flatnonzero(state["terminated"] == 0).tolist():
            if state["steps"][i] == 0:
                memory[i] = _Memory()
            own = {name: values[i] for name, values in state.items()}
            self._plan(simulation, i, own, memory.setdefault(i, _Memory()), made)
            actions[i] = _next(simulation.model, own, memory[i])
        return torch.from_numpy(actions).to(simulation.device)

    def _plan(self, simulation, i: int, state: dict, memory: "_Memory", made: dict) -> None:
        """Plan anew, unless all that has happened is what the plan said; equal environments share a plan."""
        instance, options = simulation.instance_of(i), simulation.model.options
        now, moved = int(state["time"]), memory.moved
        if memory.plan is not None and now == memory.now and moved and (state["status"][moved] == RUNS[0]).all():
            starts = {job: start for job, start in memory.plan.starts.items() if job not in moved}
            memory.plan = replace(memory.plan, starts=starts)
            return
        moment = moment_of(instance, options, simulation.schedule(i).entries, state)
        parts = moment.rows, moment.done, moment.known, moment.down
        key = id(instance), now, memory.plan and tuple(memory.plan.order), *(part.tobytes() for part in parts)
        if key not in made:
            made[key] = replan(instance, options, moment, self.seconds, before=memory.plan)
        memory.plan, memory.now, memory.done = made[key] or memory.plan, now, moment.done


@dataclass
class _Memory:
    """What is planned in one environment."""

    plan: Plan | None = None
    now: int = -1  # when it was made
    done: np.ndarray | None = None  # as of then
    moved: list[int] = field(default_factory=list)  # the jobs that the last action moved, if the plan said so


def _next(model, state: dict, memory: _Memory) -> int:
    """The action that the plan starts now, the first in its order; else waiting, where that is legal."""
    plan = memory.plan or Plan({}, [])
    place = {operation: k for k, operation in enumerate(plan.order)}
    legal = np.flatnonzero(state["action_mask"]).tolist()
    wait = len(state["action_mask"]) - 1 if model.options.waits else -1
    moves = {action: _jobs_of(model, state, action) for action in legal if action != wait}
    first = {action: max(plan.starts.get(job, MAX_TIME) for job in jobs) for action, jobs in moves.items()}
    turn = {a: min(place.get((j, int(memory.done[j])), MAX_TIME) for j in jobs) for a, jobs in moves.items()}
    best = min(moves, key=lambda action: (first[action], turn[action]), default=wait)
    memory.moved = []
    if wait in legal and (best == wait or first[best] > state["time"]):
        return wait
    if first[best] == state["time"]:
        memory.moved = moves[best]
    return best


_READ = (
    "terminated", "steps", "action_mask", "time", "next_operation", "status", "released", "down", "at", "next_machine",
)  # fmt: skip
RUNS = (1, 2)  # the state's numbers of RUNNING and INTERRUPTED, whose module needs Warp


def moment_of(instance: JobShopInstance, options, rows: np.ndarray, state: dict[str, np.ndarray]) -> Moment:
    """What anybody can see in one environment.

    Args:
        instance: the one it plays.
        options: of the family.
        rows: of its schedule so far; what lies behind now is left out.
        state: its fields.
    """
    jobs, now = instance.jobs, int(state["time"])
    runs = np.isin(state["status"][:jobs], RUNS)
    known = state["released"][:jobs] == 1 if options.reveal else np.ones(jobs, bool)
    done = state["next_operation"][:jobs].astype(np.int64) - runs
    return Moment(now, rows[rows[:, 3] <= now], done, known, state["down"][: instance.machines] == 1)


def _jobs_of(model, state: dict, action: int) -> list[int]:
    """The jobs that an action moves: one, or all of a cycle."""
    if action < model.jobs:
        return [action]
    machine, found = action - model.jobs, []
    holder = {int(k): job for job, k in enumerate(state["at"]) if k >= 0}
    while (job := holder[machine]) not in found:
        found.append(job)
        machine = int(state["next_machine"][job])
    return found
