"""Solvers: from instances to schedules. A policy becomes one by being run in the simulator."""

import importlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from .engine import resolve_device
from .errors import OptionError, UnknownNameError
from .instance import Instance
from .registry import Family, family
from .schedule import Schedule
from .simulation import Simulation

MOST_ENVIRONMENTS = 4096  # of one batch; more are run one batch after the other
FEWEST_SEARCHED = 3  # attempts in a round of active search: the best so far, and two to compare
WIDEST_BATCH = 400_000  # environments times edges of a batch that is observed, so that it fits in memory


@dataclass(frozen=True)
class Answer:
    """What a solver says to one instance.

    Attributes:
        schedule: the best it found; None if it found none.
        attempts: where the best of several attempts cannot be picked (``Model.repeatable``), all of them.
        runtime_s: wall time; of a batch, its share.
        lower_bound: a proven bound of the objective, where the solver has one.
        options: of the family that the policy ran with.
        status: such as ``"optimal"``, or the policy that was chosen for the instance; empty where it does not apply.
        tried: attempts that were made.
    """

    schedule: Schedule | None
    runtime_s: float
    lower_bound: int | None = None
    status: str = ""
    options: dict = field(default_factory=dict)
    attempts: tuple[Schedule, ...] = ()
    tried: int = 1

    @property
    def counted(self) -> tuple[Schedule, ...]:
        """The schedules whose mean counts: the best one alone, or every attempt."""
        return self.attempts or ((self.schedule,) if self.schedule is not None else ())


def check_seed(seed: int) -> None:
    """Refuse a seed that not every generator takes.

    Raises:
        OptionError: outside of 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise OptionError(f"seed must be from 0 to {2**32 - 1}, got {seed}")


@dataclass(frozen=True)
class Limits:
    """What an evaluation grants every solver.

    Attributes:
        samples: attempts per instance; the first is greedy, the best counts. Of attempts that cannot be repeated none
            is greedy if there are several, and their mean counts.
        active_search: rounds of ``samples`` further attempts, before each of which a trained policy learns on the
            instance what the attempts so far have shown; rules do not.
        seed: key of everything random.
        time_limit: seconds per instance, for exact solvers.
        device: where policies run.
        options: the family's options the user asked for; they override those of a rule, while a trained policy keeps
            the ones it was trained with, but for those of the world (``Options.world``).
        progress: called with the number of instances solved since the last call.
    """

    samples: int = 1
    active_search: int = 0
    seed: int = 0
    time_limit: float = 60.0
    device: str = "cpu"
    options: dict = field(default_factory=dict)
    progress: Callable[[int], None] = lambda count: None

    def __post_init__(self):
        if not 1 <= self.samples <= 1_000_000:
            raise OptionError(f"samples must be from 1 to 1000000, got {self.samples}")
        if not 0 <= self.active_search <= 1_000_000:
            raise OptionError(f"active_search must be from 0 to 1000000 rounds, got {self.active_search}")
        if self.active_search and self.samples < FEWEST_SEARCHED:
            raise OptionError(
                f"active_search learns from attempts that are compared, so samples must be at least {FEWEST_SEARCHED}, "
                f"got {self.samples}"
            )
        check_seed(self.seed)
        if not (self.time_limit > 0 and math.isfinite(self.time_limit)):
            raise OptionError(f"time_limit must be a positive number of seconds, got {self.time_limit}")


@dataclass(frozen=True)
class Exact:
    """A solver that works on one instance at a time: an exact one, or a planner that dispatches in no simulator.

    Attributes:
        solve: from (instance, limits) to an Answer.
        doc: what it is, with its source.
        proves: whether it proves bounds; planners that do not are compared like rules.
        accepts: from (instance, the family's options) to whether it can answer.
    """

    solve: Callable[[Instance, Limits], Answer]
    doc: str
    proves: bool = True
    accepts: Callable[[Instance, object], bool] = lambda instance, options: True


def rules_of(entry: Family) -> list[str]:
    """Names of a family's policies that prove nothing: rules and planners, in contrast to its exact solvers."""
    return [name for name, policy in entry.policies.items() if not is_exact(policy)]


def is_exact(policy) -> bool:
    """Whether a policy proves bounds."""
    return isinstance(policy, Exact) and policy.proves


def applies(policy, instances: Sequence[Instance], limits: Limits) -> bool:
    """Whether a policy can run on instances under the options asked for; a pilot cannot undo what happened, for one."""
    entry = family(instances[0].family)
    accepts = getattr(policy, "accepts", None)
    try:
        if hasattr(policy, "choose"):
            return all(policy.choose(instance, limits) for instance in instances)
        options = entry.make_options(**limits.options)
        if accepts is not None and not all(accepts(instance, options) for instance in instances):
            return False
        if isinstance(policy, Exact):
            return True
        options = options_of(policy, limits, entry)
        groups = {entry.model.size_key(instance): instance for instance in instances}
        for instance in groups.values():
            entry.model([instance], options)
    except OptionError:
        return False
    return True


def solve(policy, instances: Sequence[Instance], limits: Limits) -> list[Answer]:
    """Let a policy or an exact solver answer instances of one family, in their order.

    Args:
        policy: an entry of a family's ``POLICIES``, or what ``resolve`` returned.
        instances: the problems.
        limits: samples, seed, time, device and options.
    """
    if hasattr(policy, "choose"):
        return _run_chosen(policy, instances, limits)
    if not isinstance(policy, Exact):
        return run(policy, instances, limits)
    answers = []
    for instance in instances:
        answers.append(policy.solve(instance, limits))
        limits.progress(1)
    return answers


def _run_chosen(chooser, instances: Sequence[Instance], limits: Limits) -> list[Answer]:
    """Run the policy that ``chooser.choose(instance, limits)`` names for each instance; their status says which."""
    positions: dict[str, list[int]] = {}
    policies = {}
    for position, instance in enumerate(instances):
        name, policies[name] = chooser.choose(instance, limits)
        positions.setdefault(name, []).append(position)
    answers: list[Answer | None] = [None] * len(instances)
    for name, part in positions.items():
        for position, answer in zip(part, run(policies[name], [instances[p] for p in part], limits), strict=True):
            answers[position] = replace(answer, status=name)
    return answers


def run(policy, instances: Sequence[Instance], limits: Limits) -> list[Answer]:
    """Run a policy in the simulator, all instances of a size side by side, and keep each one's best schedule.

    Random choices depend on the seed and on the instances of the same size that are run together.
    """
    if not instances:
        return []
    entry = family(instances[0].family)
    options = options_of(policy, limits, entry)
    groups: dict[tuple, list[int]] = {}
    for position, instance in enumerate(instances):
        groups.setdefault(entry.model.size_key(instance), []).append(position)
    answers: list[Answer | None] = [None] * len(instances)
    for positions in groups.values():
        generator = torch.Generator(device=resolve_device(limits.device)).manual_seed(limits.seed)
        model = entry.model([instances[p] for p in positions], options)
        if hasattr(policy, "check"):
            policy.check(model.spec)
        width = MOST_ENVIRONMENTS
        if policy.observes:
            width = max(1, min(width, WIDEST_BATCH // max(model.spec.edges, 1)))
        attempt = _best_of if model.repeatable or limits.samples == 1 else _all_of
        if limits.active_search and hasattr(policy, "search"):
            width, attempt = max(FEWEST_SEARCHED, min(width, policy.most_searched(model))), _searched
        samples = min(limits.samples, width)
        chunk = max(1, width // samples)
        for begin in range(0, len(positions), chunk):
            part = positions[begin : begin + chunk]
            found = attempt(policy, model, [instances[p] for p in part], limits, samples, generator)
            for position, answer in zip(part, found, strict=True):
                answers[position] = replace(answer, options=asdict(options))
            limits.progress(len(part))
    return answers


def options_of(policy, limits: Limits, entry):
    """The options a policy runs with: a trained one's own, a rule's as the user overrides them.

    What belongs to the world is the evaluation's for everybody, or policies would not meet the same one.
    """
    own, world = policy.options or {}, entry.options.world
    asked = entry.make_options(**{**own, **limits.options})
    if not policy.observes:
        return asked
    kept = {name: value for name, value in own.items() if name not in world}
    return entry.make_options(**kept, **{name: value for name, value in limits.options.items() if name in world})


def is_repeatable(policy, instances: Sequence[Instance], limits: Limits) -> bool:
    """Whether of several attempts of a policy the best counts (``Model.repeatable``); where not, their mean does."""
    entry = family(instances[0].family)
    return entry.model(instances, options_of(policy, limits, entry)).repeatable


def _side_by_side(policy, model, instances, limits: Limits, samples: int) -> Simulation:
    """A simulation in which every instance is played ``samples`` times, in the same world."""
    simulation = Simulation(
        model, instances, len(instances) * samples, device=limits.device, seed=limits.seed, group=samples,
        worlds=[world_of(instance) for instance in instances for _ in range(samples)], observe=policy.observes,
    )  # fmt: skip
    simulation.reset()  # loads the compiled simulator, which is not the policy's time
    return simulation


def _searched(policy, model, instances, limits: Limits, samples: int, generator) -> list[Answer]:
    """Best schedule of each instance over rounds of ``samples`` attempts between which the policy learns on it."""
    simulation = _side_by_side(policy, model, instances, limits, samples)
    begin = time.perf_counter()
    rounds = -(-limits.samples * (limits.active_search + 1) // samples)  # all attempts, if fewer are made at a time
    schedules = policy.search(simulation, rounds, generator)
    share = (time.perf_counter() - begin) / len(instances)
    return [Answer(schedule, share, tried=samples * rounds) for schedule in schedules]


def _all_of(policy, model, instances, limits: Limits, samples: int, generator) -> list[Answer]:
    """``limits.samples`` randomised attempts at each instance, at most ``samples`` of them side by side."""
    simulation = _side_by_side(policy, model, instances, limits, samples)
    attempts: list[list[Schedule]] = [[] for _ in instances]
    begin = time.perf_counter()
    for _ in range(0, limits.samples, samples):
        play(policy, simulation, generator, torch.ones(simulation.num_envs, dtype=torch.bool, device=simulation.device))
        schedules = simulation.schedules()
        for b, kept in enumerate(attempts):
            kept += schedules[b * samples : (b + 1) * samples]
    share = (time.perf_counter() - begin) / len(instances)
    return [Answer(kept[0], share, attempts=tuple(kept[: limits.samples]), tried=limits.samples) for kept in attempts]


def _best_of(policy, model, instances, limits: Limits, samples: int, generator) -> list[Answer]:
    """Best schedule of each instance over ``limits.samples`` attempts, at most ``samples`` of them side by side."""
    best: list[tuple[float, Schedule] | None] = [None] * len(instances)
    simulation = _side_by_side(policy, model, instances, limits, samples)
    begin = time.perf_counter()
    done = 0
    while done < limits.samples:
        explore = torch.arange(simulation.num_envs, device=simulation.device) % samples + done > 0
        play(policy, simulation, generator, explore)
        value = simulation.outcome()[model.objective].reshape(len(instances), samples)
        keep_best(best, simulation, value[:, : limits.samples - done])
        done += samples
    share = (time.perf_counter() - begin) / len(instances)
    return [Answer(schedule, share, tried=limits.samples) for _, schedule in best]


def keep_best(best: list[tuple[float, Schedule] | None], simulation: Simulation, value: torch.Tensor) -> torch.Tensor:
    """Replace what attempts have improved on.

    Args:
        best: of each instance the value and the schedule, None before the first attempt; changed in place.
        simulation: in which the attempts at an instance, ``simulation.group`` of them, stand next to each other.
        value: (instances, attempts that count) what they reached.

    Returns:
        (instances,) int64, where the best of these attempts stand in the simulation.
    """
    least, winner = value.min(dim=1)
    rows = torch.arange(len(best), device=value.device) * simulation.group + winner
    for b, (reached, row) in enumerate(zip(least.tolist(), rows.tolist(), strict=True)):
        if best[b] is None or reached < best[b][0]:
            best[b] = (reached, simulation.schedule(row))
    return rows


def world_of(instance: Instance) -> int:
    """Key of an instance's random draws in an evaluation: the same for every policy and in any company."""
    return int(instance.digest[:7], 16)


@torch.no_grad()
def play(policy, simulation: Simulation, generator: torch.Generator, explore: torch.Tensor) -> None:
    """Run one episode in every environment, from a reset to the end."""
    simulation.reset()
    for _ in range(simulation.model.horizon):
        if not bool(simulation.going_on.any()):
            return
        simulation.step(policy.act(simulation, generator, explore))


def resolve(name, family_name: str):
    """Find a policy by its name, or load a shipped one or that of a folder; a policy itself is returned as it is.

    Raises:
        UnknownNameError: listing the names of the family.
        CheckpointError: if the folder does not hold a policy of this family.
    """
    policies = family(family_name).policies
    if not isinstance(name, str | os.PathLike):
        if not isinstance(name, Exact) and not any(callable(getattr(name, do, None)) for do in ("act", "choose")):
            raise OptionError(f"a policy is a name, a folder, a Rule or an object with act(), got {name!r}")
        return name
    name = os.fspath(name)
    if name.lower() in policies:
        return policies[name.lower()]
    if name.lower().partition("/")[0] == "pretrained" or Path(name).exists():
        # Networks stand above the environments, so they are found by name here and not imported.
        return importlib.import_module("dispatchgym.agents.policy").load_policy(name, family_name)
    known = [*policies, "pretrained", "pretrained/NAME", "a folder of a trained policy", "the card of one"]
    raise UnknownNameError("policy", name, known)
