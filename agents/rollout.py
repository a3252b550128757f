"""Rollouts that stay on the device: whole episodes of many environments, kept as tensors for PPO.

Every iteration plays fresh instances, each in several environments side by side: the rollouts of one instance are each
other's baseline. Sizes take turns, one per iteration, so nothing is padded.
"""

from dataclasses import dataclass

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from ..envs.core.errors import OptionError
from ..envs.core.registry import family
from ..envs.core.simulation import Simulation
from ..envs.core.spaces import action_space, observation_space

MOMENTS = 4096  # steps in which the rollouts of a group are aligned
PROBED = 128  # instances drawn to learn how large they get
PROBE = 2**32 - 1  # part of the training stream that these are drawn from


class Stage:
    """One size of instances to train on.

    Args:
        family_name: the family.
        preset: name of the generator's preset, such as ``"10x10"``.
        groups: instances played side by side.
        group: rollouts of each.
        options: the family's options.
        seed: of the training run.
        device: where the simulation lives.
        threads: CPU threads of the simulation.
    """

    def __init__(
        self,
        family_name: str,
        preset: str,
        groups: int,
        group: int,
        options,
        seed: int,
        device: str,
        threads: int | None = None,
    ):
        self.preset, self.groups, self.group, self.seed = preset, groups, group, seed
        self.options, self.device, self.threads = options, device, threads
        self.entry = family(family_name)
        self.draw = self.entry.room("generator").training_instances
        # Where sizes vary, many draws show how large instances get; padding is for the largest.
        self._build(self.draw(preset, max(PROBED, groups), seed, PROBE))

    def _build(self, instances: list) -> None:
        """Make a simulation that the given instances fit."""
        self.model = self.entry.model(instances, self.options)
        self.simulation = Simulation(
            self.model, instances[: self.groups], self.groups * self.group, device=self.device, seed=self.seed,
            group=self.group, threads=self.threads,
        )  # fmt: skip

    def begin(self, iteration: int) -> Simulation:
        """Load the fresh instances of an iteration and begin their episodes."""
        instances = self.draw(self.preset, self.groups, self.seed, iteration)
        try:
            self.simulation.load(instances)
        except OptionError:  # larger than anything met so far
            self._build(instances + self.draw(self.preset, max(PROBED, self.groups), self.seed, PROBE))
            self.simulation.load(instances)
        self.simulation.reseed(self.seed * 1_000_003 + iteration)
        self.simulation.reset()
        return self.simulation


class DeviceVecEnv(VecEnv):
    """What Stable-Baselines3 holds as its environment: the stages, of which iterations take turns.

    ``PPO`` below reads the stages directly and never calls ``step``; the spaces are those of the largest stage.
    """

    def __init__(self, stages: list[Stage]):
        self.stages, self.render_mode = stages, None
        largest = max(stages, key=lambda stage: (stage.model.spec.edges, stage.model.spec.works))
        spec = largest.model.spec
        super().__init__(largest.simulation.num_envs, observation_space(spec), action_space(spec))

    def stage(self, iteration: int) -> Stage:
        """The stage whose turn it is."""
        return self.stages[iteration % len(self.stages)]

    def reset(self) -> dict[str, np.ndarray]:
        """A first observation, which Stable-Baselines3 asks for and PPO below does not use."""
        return {key: np.zeros(box.shape, box.dtype) for key, box in self.observation_space.spaces.items()}

    def step_async(self, actions):
        raise NotImplementedError("rollouts are collected on the device; use gymnasium.make_vec to step an environment")

    step_wait = env_method = set_attr = step_async

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [getattr(self, attr_name, None)] * self.num_envs

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs


@dataclass
class Minibatch:
    """Decisions to learn from; the first axis is the decision."""

    observation: dict[str, Tensor]
    action: Tensor  # (N,) int64
    log_prob: Tensor  # (N,) when it was taken
    advantage: Tensor  # (N,)
    target: Tensor  # (N,) return to go, what the value should be


class Buffer:
    """The decisions of one iteration, in the order they were taken.

    Stable-Baselines3's buffers are rectangles of steps by environments; episodes of whole iterations end at different
    times, so this one keeps rows, each with the environment it came from.
    """

    def __init__(self, *_, **__):
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.steps: list[dict[str, Tensor]] = []
        self.observations: list[dict[str, Tensor]] = []
        self.advantage = self.target = None

    def add(self, observation: dict[str, Tensor], **columns: Tensor) -> None:
        """Keep one step: the observation as the network reads it, and ``env action log_prob value reward`` rows."""
        self.observations.append(observation)
        self.steps.append(columns)

    def __len__(self) -> int:
        return sum(len(step["action"]) for step in self.steps)

    def settle(self) -> None:
        """Leave out the rows of episodes that were over, if ``alive`` marks them; the device is asked only here."""
        if not self.steps or "alive" not in self.steps[0]:
            return
        alive = torch.stack([step.pop("alive") for step in self.steps])
        rows = alive.nonzero()[:, 1].split(alive.sum(1).tolist())
        kept = [step for step, those in enumerate(rows) if len(those)]
        self.steps, self.observations = (
            [{key: tensor[rows[step]] for key, tensor in part[step].items()} for step in kept]
            for part in (self.steps, self.observations)
        )

    def finish(self) -> None:
        """Join the steps into columns."""
        keys = self.observations[0]
        self.observation = {key: torch.cat([o[key] for o in self.observations]) for key in keys}
        self.columns = {key: torch.cat([s[key] for s in self.steps]) for key in self.steps[0]}

    def compute_group_advantage(self, outcome: Tensor, group: int, relative: bool = False) -> None:
        """Advantage of every decision of an episode: how far its return lies above its group's mean, in deviations.

        Rollouts of one instance share a baseline (Kwon et al. 2020, POMO), so no value is needed and its scale cancels.

        Args:
            outcome: (B,) return of each environment's episode.
            group: environments that played the same instance, next to each other.
            relative: count it in shares of the mean return instead, so that chance differences stay small ones.
        """
        grouped = outcome.reshape(-1, group)
        mean = grouped.mean(1, keepdim=True)
        scale = mean.abs() if relative else grouped.std(1, keepdim=True)
        score = (grouped - mean) / (scale + 1e-4)
        self.advantage = score.reshape(-1)[self.columns["env"]]
        self.target = outcome[self.columns["env"]]

    def compute_aligned_advantage(self, outcome: Tensor, end: Tensor, group: int, patience: float = 0.0) -> None:
        """Advantage of a decision: the return from its moment on, less the mean of its group from the same moment on.

        The rollouts of a group meet the same arrivals and the same noise, so what they differ in after a moment is what
        their decisions did, those before it included; a decision is not blamed for what had already happened.

        Args:
            outcome: (B,) return of each environment's episode.
            end: (B,) when it was over.
            group: environments that played the same instance, next to each other.
            patience: units of the clock after which what is to come counts 1 / e; where an episode goes on for long
                after all that a decision does, the rest is chance. 0 counts everything alike.
        """
        own, until = torch.zeros_like(outcome), end.double()
        to_come, rates, ends = [], [], []
        for step in reversed(self.steps):
            env, length = step["env"], until[step["env"]] - step["time"]
            own[env] += step["reward"]
            to_come.append(own[env])
            rates.append(step["reward"].double() / length.clamp_min(1.0))  # where no time passes nothing is earned
            ends.append(until[env].clone())
            until[env] = step["time"].double()
        self.target = torch.cat(to_come[::-1])
        span = end.reshape(-1, group).amax(1).clamp_min(1).double().repeat_interleave(group)
        env, time, rate = self.columns["env"], self.columns["time"].double(), torch.cat(rates[::-1])
        moment, last = ((t / span[env] * MOMENTS).long() for t in (time, torch.cat(ends[::-1])))
        change = torch.zeros(len(outcome), MOMENTS + 1, dtype=torch.float64, device=outcome.device)
        change.index_put_((env, moment), rate, accumulate=True)
        change.index_put_((env, last), -rate, accumulate=True)
        earned = change.cumsum(1) * (span / MOMENTS).unsqueeze(1)  # in each step of time
        if patience > 0:
            self._fade(earned, (-span / MOMENTS / patience).exp())
            later, self.target = earned, earned[env, moment].float()
        else:
            later = earned.flip(1).cumsum(1).flip(1)
        mean = later.reshape(-1, group, MOMENTS + 1).mean(1).repeat_interleave(group, 0)
        self.advantage = self.target - mean[env, moment].float()

    @staticmethod
    def _fade(earned: Tensor, kept: Tensor) -> None:
        """Turn what is earned in each step of time, (B, M), into what is to come from it on, of which (B,) is kept."""
        for moment in range(earned.shape[1] - 2, -1, -1):
            earned[:, moment] += kept * earned[:, moment + 1]

    def compute_gae(self, num_envs: int, gamma: float, gae_lambda: float) -> None:
        """Generalised advantage estimation (Schulman et al. 2016) over episodes that have all ended."""
        advantage = torch.zeros(num_envs, device=self.steps[0]["value"].device)
        value = torch.zeros_like(advantage)
        rows = []
        for step in reversed(self.steps):
            env = step["env"]
            delta = step["reward"] + gamma * value[env] - step["value"]
            advantage[env] = delta + gamma * gae_lambda * advantage[env]
            value[env] = step["value"]
            rows.append(advantage[env])
        self.advantage = torch.cat(rows[::-1])
        self.target = self.advantage + self.columns["value"]

    def minibatches(self, count: int, generator: torch.Generator, exactly: bool = False):
        """Shuffled minibatches, each decision once.

        Args:
            count: how many minibatches, at most.
            generator: of the order.
            exactly: neither are there fewer; some may then be empty.
        """
        decisions = len(self.columns["action"])
        order = torch.randperm(decisions, generator=generator, device=self.columns["action"].device)
        for rows in order.tensor_split(count) if exactly else order.chunk(count):
            yield Minibatch(
                {key: tensor[rows] for key, tensor in self.observation.items()},
                self.columns["action"][rows],
                self.columns["log_prob"][rows],
                self.advantage[rows],
                self.target[rows],
            )
