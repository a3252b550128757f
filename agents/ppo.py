"""PPO on the device: Stable-Baselines3's algorithm with rollouts that never leave it.

``learn``, callbacks, the logger, progress bar and TensorBoard are those of Stable-Baselines3. What is different: an
iteration is whole episodes on fresh instances, several rollouts of each; the advantage is taken within these groups (or
is GAE's); entropy and learning rate fall to their ends linearly; an exponential average of the weights is kept, and it
is the average that is evaluated.
"""

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from time import perf_counter

import stable_baselines3
import torch
from torch import Tensor

from ..envs.core.errors import NumericalError, OptionError
from .distributed import Ranks
from .gnn import looking_is_free, sample
from .play import Whole, shrinking
from .policy import GraphPolicy, NetworkPolicy
from .rollout import Buffer, DeviceVecEnv, Minibatch, Stage

ADVANTAGES = ("group", "relative", "aligned", "gae")
MANY = 2**31
CANDIDATES = ((2, 2), (3, 4), (5, 8), (9, 16), (17, 64), (65, MANY))  # how decisions are told apart in the curves
# What this trainer does in its own way.
UNUSED = {"ent_coef", "vf_coef", "target_kl", "normalize_advantage", "clip_range_vf", "use_sde", "n_steps", "gamma"}


class PPO(stable_baselines3.PPO):
    """Proximal policy optimisation (Schulman et al. 2017) over stages, which are used in turn.

    Args:
        stages: sizes to train on; iterations take turns.
        network: keyword arguments of GraphNetwork.
        learning_rate: at the start; it falls linearly to ``final_learning_rate`` times as much.
        batch_size: decisions of a gradient step; small ones stay in the processor's cache.
        n_epochs: passes over an iteration's decisions.
        entropy: weight of the entropy bonus at the start; it falls linearly to zero.
        advantage: ``"group"`` (deviations within the rollouts of an instance), ``"relative"`` (their differences over
            the mean return: groups that hardly differ then hardly count), ``"aligned"`` (what is to come, less the mean
            of the group from that moment on; for models with a clock) or ``"gae"``.
        patience: with ``"aligned"``, units of the clock after which what is to come counts 1 / e; 0 counts all alike.
        value_weight: weight of the value loss; None takes 0.5 with ``"gae"`` and 0 with ``"group"``, which reads no
            value.
        average: share of the new weights in the running average, after every gradient step.
        threads: on a CPU, gradient steps are split over this many Python threads, results added in order.
        seed: of weights, sampling and instances; no global generator is touched.
        ranks: the processes that train together; this one alone when left out.
        kwargs: passed on to Stable-Baselines3's PPO.
    """

    def __init__(
        self,
        stages: list[Stage],
        *,
        network: dict | None = None,
        learning_rate: float = 1e-3,
        final_learning_rate: float = 0.05,
        batch_size: int = 512,
        n_epochs: int = 2,
        clip_range: float = 0.2,
        entropy: float = 0.03,
        advantage: str = "group",
        patience: float = 0.0,
        gae_lambda: float = 0.98,
        value_weight: float | None = None,
        max_grad_norm: float = 0.5,
        average: float = 0.005,
        threads: int = 1,
        seed: int = 0,
        device: str = "cpu",
        ranks: Ranks | None = None,
        **kwargs,
    ):
        if advantage not in ADVANTAGES:
            raise OptionError(f"advantage must be one of {', '.join(ADVANTAGES)}, got {advantage!r}")
        if advantage != "gae" and any(stage.simulation.group < 2 for stage in stages):
            raise OptionError(
                f"{advantage}: the advantage within a group needs at least 2 rollouts of an instance, got 1"
            )
        self.advantage, self.entropy, self.average = advantage, entropy, average
        if advantage == "aligned" and any(stage.model.clock is None for stage in stages):
            raise OptionError(
                "aligned: the advantage from a moment on needs a model with a clock, such as one that runs online"
            )
        if not (patience >= 0 and math.isfinite(patience)) or (patience and advantage != "aligned"):
            raise OptionError(f"patience must be at least 0, and goes with advantage aligned alone, got {patience}")
        self.patience = patience
        self.value_weight = value_weight if value_weight is not None else (0.5 if advantage == "gae" else 0.0)
        if advantage == "gae" and not self.value_weight > 0:
            raise OptionError(f"value_weight must be positive with advantage 'gae', got {value_weight}")
        unused = sorted(UNUSED & set(kwargs))
        if unused:
            raise OptionError(
                f"{unused[0]} of Stable-Baselines3's PPO has no effect here; see entropy and value_weight"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for the initial weights only; the fork puts the caller's generator back
            super().__init__(
                GraphPolicy,
                DeviceVecEnv(stages),
                learning_rate=lambda left: learning_rate * max(final_learning_rate, left),
                n_steps=batch_size,  # not used: an iteration is whole episodes
                batch_size=batch_size,
                n_epochs=n_epochs,
                gamma=1.0,
                gae_lambda=gae_lambda,
                clip_range=clip_range,
                max_grad_norm=max_grad_norm,
                rollout_buffer_class=Buffer,
                policy_kwargs={
                    "spec": stages[0].model.spec,
                    "network": network or {},
                    "optimizer_kwargs": {"eps": 1e-5},
                },
                device=device,
                **kwargs,
            )
        self.ranks = ranks or Ranks()
        self.ranks.share(self.policy.parameters())
        self.average_network = copy.deepcopy(self.policy.network).requires_grad_(False)
        self.generator = torch.Generator(device=self.device).manual_seed(seed + 2**32 * self.ranks.rank)
        self.iteration = 0
        self.decisions = 0
        self.seconds = {"rollout": 0.0, "update": 0.0}
        on_gpu = self.device.type == "cuda"
        self.threads = 1 if on_gpu else threads
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None
        self._play = Whole(True, (self.generator,)) if on_gpu else shrinking

    def evaluator(self) -> NetworkPolicy:
        """The averaged network as a policy for ``envs.core.solvers``."""
        return NetworkPolicy(self.average_network, asdict(self.env.stages[0].model.options))

    # ------------------------------------------------------------------ collecting

    def collect_rollouts(self, env: DeviceVecEnv, callback, rollout_buffer: Buffer, n_rollout_steps: int) -> bool:
        """Play every environment of the stage whose turn it is to the end of its episode."""
        begin = perf_counter()
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        stage = env.stage(self.iteration)
        simulation = stage.begin(self.ranks.part(self.iteration))
        before, go_on = self.num_timesteps, True
        env.num_envs = simulation.num_envs
        outcome = torch.zeros(simulation.num_envs, device=self.device)
        for seen, columns in self._play(simulation, self._decide, stage.model.horizon):
            outcome.index_add_(0, columns["env"], columns["reward"])  # each environment once
            rollout_buffer.add(seen, **columns)
            self.num_timesteps += simulation.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                go_on = False
                break
        rollout_buffer.settle()
        self.num_timesteps = before + len(rollout_buffer.steps) * simulation.num_envs
        # Everybody's steps count, and nobody goes on alone.
        if not self.ranks.all(go_on):
            return False
        if rollout_buffer.steps:
            self._conclude(rollout_buffer, stage, simulation, outcome)
        else:  # not one of the instances left anything to decide
            self.num_timesteps += simulation.num_envs
        steps, decisions = self.ranks.total(self.num_timesteps - before, len(rollout_buffer))
        self.num_timesteps, self.decisions = before + int(steps), self.decisions + int(decisions)
        self.logger.record("rollout/decisions", self.decisions)
        self.iteration += 1
        self._count_time("rollout", begin)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    @torch.no_grad()
    def _decide(self, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        """Actions with their log-probabilities, values and entropies, the batch split over the threads."""
        parts = self._split(len(seen["work"]))

        def run(rows: slice):
            return self.policy.network({k: t[rows] for k, t in seen.items()}, self.advantage == "gae")

        results = self._over_threads(run, parts)
        logits = torch.cat([logits for logits, _ in results])
        log_probs = logits.log_softmax(1)
        taken = sample(logits, self.generator)
        value = torch.cat([value for _, value in results]) if self.advantage == "gae" else logits.new_zeros(len(taken))
        log_prob = log_probs.gather(1, taken.unsqueeze(1)).squeeze(1)
        return {"action": taken, "log_prob": log_prob, "value": value, "entropy": _entropy(log_probs)}

    def _conclude(self, buffer: Buffer, stage: Stage, simulation, outcome: Tensor) -> None:
        """Advantages, and the statistics that Stable-Baselines3 logs."""
        buffer.finish()
        for key, tensor in buffer.observation.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise NumericalError(f"observation {key!r} is not finite in iteration {self.iteration}")
        if self.advantage == "gae":
            buffer.compute_gae(simulation.num_envs, self.gamma, self.gae_lambda)
        elif self.advantage == "aligned":
            buffer.compute_aligned_advantage(outcome, simulation.clock, simulation.group, self.patience)
        else:
            buffer.compute_group_advantage(outcome, simulation.group, self.advantage == "relative")
        lengths = simulation.engine.tensors["steps"].tolist()
        self.ep_info_buffer.extend(
            {"r": r, "l": length, "t": 0.0} for r, length in zip(outcome.tolist()[-100:], lengths[-100:], strict=True)
        )
        for name, entropy in entropies(buffer.observation["action_mask"], buffer.columns["entropy"]).items():
            self.logger.record(name, entropy)
        objective = stage.model.objective
        mean = simulation.outcome()[objective].float().mean().item()
        self.logger.record(f"rollout/{objective}_{stage.preset}", mean)

    # ------------------------------------------------------------------ learning

    def train(self) -> None:
        """Update the network from the decisions of the last iteration."""
        buffer: Buffer = self.rollout_buffer
        (decisions,) = self.ranks.total(len(buffer))
        if not decisions:
            return
        begin = perf_counter()
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        left = max(0.0, self._current_progress_remaining)  # the last iteration goes past the end
        clip, entropy_weight = self.clip_range(left), self.entropy * left
        self._normalise_advantage(buffer, decisions)
        # A gradient step is a minibatch on each rank, so all make equally many.
        count = max(1, round(decisions / self.ranks.size / self.batch_size))
        parameters = list(self.policy.parameters())
        averages = list(self.average_network.parameters())
        sums = torch.zeros(5, device=self.device)
        steps = 0
        for _ in range(self.n_epochs):
            for batch in self._minibatches(buffer, count):
                statistics = self._gradient(batch, parameters, clip, entropy_weight)
                self.ranks.average_gradients(parameters, len(batch.action))
                norm = torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                if looking_is_free(norm) and not math.isfinite(norm.item()):
                    self._name_what_broke(statistics)
                self.policy.optimizer.step()
                with torch.no_grad():
                    torch._foreach_lerp_(averages, list(self.policy.network.parameters()), self.average)
                sums += torch.cat([statistics, norm.detach().view(1)])
                steps += 1
        if not bool(torch.isfinite(sums).all()):  # on a GPU, which is not waited for before
            self._name_what_broke(sums[:4] / steps)
        self._n_updates += self.n_epochs
        names = ("policy_loss", "value_loss", "entropy", "clip_fraction", "gradient_norm")
        for name, mean in zip(names, (sums / steps).tolist(), strict=True):
            if name != "value_loss" or self.value_weight > 0:
                self.logger.record(f"train/{name}", mean)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/minibatches", steps)
        self._count_time("update", begin)

    def _normalise_advantage(self, buffer: Buffer, decisions: float) -> None:
        """Mean 0 and deviation 1 over the decisions of all ranks."""
        if self.ranks.size == 1:
            buffer.advantage = (buffer.advantage - buffer.advantage.mean()) / (buffer.advantage.std() + 1e-6)
        else:
            own = buffer.advantage if buffer.steps else torch.zeros(0)
            (total,) = self.ranks.total(float(own.double().sum()))
            mean = total / decisions
            (squares,) = self.ranks.total(float((own.double() - mean).square().sum()))
            buffer.advantage = (own - mean) / ((squares / max(decisions - 1, 1)) ** 0.5 + 1e-6)

    def _minibatches(self, buffer: Buffer, count: int):
        """Minibatches of an epoch; of a rank that had nothing to decide, as many empty ones as the others make."""
        if buffer.steps:
            return buffer.minibatches(count, self.generator, self.ranks.size > 1)
        nothing = torch.zeros(0)
        return [Minibatch({}, nothing, nothing, nothing, nothing)] * count

    def _count_time(self, part: str, begin: float) -> None:
        """Add what has passed since ``begin`` to the seconds spent on rollouts or updates."""
        spent = perf_counter() - begin
        self.seconds[part] += spent
        self.logger.record(f"time/{part}_s", spent)

    def _gradient(self, batch: Minibatch, parameters: list, clip: float, entropy_weight: float) -> Tensor:
        """Set the parameters' gradients to those of a minibatch, and return its mean statistics (4,)."""
        size = len(batch.action)
        if not size:
            for parameter in parameters:
                parameter.grad = None
            return torch.zeros(4, device=self.device)

        def run(rows: slice):
            loss, statistics = self._loss(batch, rows, clip, entropy_weight)
            gradients = torch.autograd.grad(loss / size, parameters, allow_unused=True)
            return gradients, statistics

        results = self._over_threads(run, self._split(size))
        for position, parameter in enumerate(parameters):
            parts = [gradients[position] for gradients, _ in results]
            parameter.grad = None if parts[0] is None else torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        return torch.stack([statistics for _, statistics in results]).sum(0) / size

    def _loss(self, batch: Minibatch, rows: slice, clip: float, entropy_weight: float):
        """The clipped objective summed over some rows of a minibatch, and sums of what is logged."""
        seen = {key: tensor[rows] for key, tensor in batch.observation.items()}
        logits, value = self.policy.network(seen, self.value_weight > 0)
        log_probs = logits.log_softmax(1)
        taken = log_probs.gather(1, batch.action[rows].unsqueeze(1)).squeeze(1)
        ratio = (taken - batch.log_prob[rows]).exp()
        advantage = batch.advantage[rows]
        policy_loss = -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).sum()
        entropy = _entropy(log_probs).sum()
        value_loss = policy_loss.new_zeros(())
        if value is not None:
            value_loss = torch.nn.functional.smooth_l1_loss(value, batch.target[rows], reduction="sum")
        loss = policy_loss - entropy_weight * entropy + self.value_weight * value_loss
        clipped = ((ratio - 1).abs() > clip).float().sum()
        return loss, torch.stack([policy_loss, value_loss, entropy, clipped]).detach()

    def _name_what_broke(self, statistics: Tensor) -> None:
        """Stop the run, naming the first tensor that is not finite."""
        where = f"iteration {self.iteration}, after {self.num_timesteps} steps"
        for name, mean in zip(("policy loss", "value loss", "entropy"), statistics.tolist(), strict=False):
            if not math.isfinite(mean):
                raise NumericalError(f"the {name} is {mean} in {where}")
        for name, parameter in self.policy.named_parameters():
            if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                raise NumericalError(f"the gradient of {name} is not finite in {where}")
        raise NumericalError(f"the gradient norm is not finite in {where}")

    # ------------------------------------------------------------------ threads

    def _split(self, size: int) -> list[slice]:
        """Ranges of rows, one per thread; results are added in this order, so a run can be repeated bit for bit."""
        parts = min(self.threads, max(1, size // 32))
        return [slice(size * part // parts, size * (part + 1) // parts) for part in range(parts)]

    def _over_threads(self, function, parts: list[slice]) -> list:
        if self._pool is None or len(parts) == 1:
            return [function(part) for part in parts]
        waiting = [self._pool.submit(function, part) for part in parts[1:]]
        return [function(parts[0]), *(future.result() for future in waiting)]

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_pool", "_play", "generator", "average_network"]


def _entropy(log_probs: Tensor) -> Tensor:
    """Entropies (B,) of log-probabilities (B, A) in nats; of masked actions 0 * -50 is counted."""
    return -(log_probs.exp() * log_probs.clamp_min(-50)).sum(1)


def entropies(mask: Tensor, entropy: Tensor) -> dict[str, float]:
    """Mean entropy of decisions by how many candidates there were, ``"entropy/3-4"``; without those that never came.

    Args:
        mask: (N, A) legal candidates of each decision.
        entropy: (N,) in nats.
    """
    count = (mask != 0).sum(1)
    found = {}
    for low, high in CANDIDATES:
        there = (count >= low) & (count <= high)
        if bool(there.any()):
            found[entropy_tag(low, high)] = entropy[there].mean().item()
    return found


def entropy_tag(low: int, high: int) -> str:
    """The curve of decisions with so many candidates."""
    return f"entropy/{low}" if low == high else f"entropy/{low}-{high}" if high < MANY else f"entropy/{low} and more"
