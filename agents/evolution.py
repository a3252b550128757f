"""A linear index of the candidates' features, found by evolution: where PPO may begin.

Where thousands of decisions lead to one figure and each of them hardly matters, gradients of single decisions drown in
chance. A few dozen weights can be found from whole episodes instead: every sample of weights plays the same instances,
greedily, and better ones pull the mean towards themselves (natural evolution strategies, Schaul et al. 2011, mirrored
samples). The weights become ``prior`` of the network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..envs.core.errors import OptionError, UnknownNameError
from ..envs.core.simulation import Simulation
from .rollout import Stage

PART = 2**31  # the parts of the training stream that evolution draws from begin here
PROBED = 16  # every so many decisions of an episode the sharpness is measured


@dataclass(frozen=True)
class Evolution:
    """How an index is evolved.

    Attributes:
        generations: how often weights are sampled.
        pairs: mirrored pairs of samples in each.
        episodes: instances that every sample plays.
        start: weights to begin with, by feature; 0 where nothing is said.
        spread: standard deviation of the samples at the start.
        rate: how far the mean moves; 1 is the natural step.
        spread_rate: how fast spreads adapt.
        entropy: of the softmax over the candidates, as a share of the most there could be, that the index is scaled to.

    Raises:
        OptionError: for numbers out of range.
    """

    generations: int = 40
    pairs: int = 16
    episodes: int = 6
    start: dict[str, float] | None = None
    spread: float = 0.4
    rate: float = 1.0
    spread_rate: float = 0.2
    entropy: float = 0.06

    def __post_init__(self):
        for name in ("generations", "pairs", "episodes"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} of an evolution must be at least 1, got {getattr(self, name)}")
        for name in ("spread", "rate"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} of an evolution must be positive, got {getattr(self, name)}")
        if not 0 < self.entropy < 1:
            raise OptionError(f"entropy of an evolution must be between 0 and 1, got {self.entropy}")


def play(simulation: Simulation, weights: Tensor) -> Tensor:
    """Play an episode everywhere with an index of its own each, greedily.

    Args:
        simulation: observed.
        weights: (B, F), one row for each environment.

    Returns:
        (B,) float64, the objective reached.
    """
    simulation.reset()
    for _ in range(simulation.model.horizon):
        if not bool(simulation.going_on.any()):
            break
        simulation.step(_index(simulation, weights).argmax(1))
    return simulation.outcome()[simulation.model.objective].double()


def _index(simulation: Simulation, weights: Tensor) -> Tensor:
    """(B, A) the index of every candidate, minus infinity where it is illegal."""
    observation = simulation.observation
    index = torch.bmm(observation["candidate_attr"], weights.unsqueeze(2)).squeeze(2)
    return index.masked_fill(observation["action_mask"] == 0, -torch.inf)


def utilities(losses: Tensor) -> Tensor:
    """Weights of the samples by rank, those of the better half larger than zero; they sum to zero."""
    count = len(losses)
    rank = losses.argsort().argsort().double()
    shares = (torch.log(torch.tensor(count / 2 + 1.0)) - torch.log(rank + 1)).clamp_min(0)
    return (shares / shares.sum() - 1 / count).float()


def evolve(stages: list[Stage], settings: Evolution, seed: int, progress=lambda count: None) -> dict[str, float]:
    """Find an index.

    Args:
        stages: what to train on, in turn; their options, device and threads are used.
        settings: how.
        seed: of samples and instances.
        progress: called with 1 after each generation.

    Returns:
        Weights by feature, scaled to the entropy asked for; features of no weight are left out.

    Raises:
        UnknownNameError: if ``start`` names no feature of the candidates.
    """
    spec = stages[0].model.spec
    names = [feature.name for feature in spec.candidate]
    mean = torch.zeros(len(names))
    for name, weight in (settings.start or {}).items():
        if name not in names:
            raise UnknownNameError("candidate feature", name, names)
        mean[names.index(name)] = weight
    spread = torch.full((len(names),), settings.spread)
    generator = torch.Generator().manual_seed(seed)
    for generation in range(settings.generations):
        simulation = _simulation(stages[generation % len(stages)], settings, seed, generation)
        noise = torch.randn(settings.pairs, len(names), generator=generator)
        noise = torch.cat([noise, -noise])
        samples = (mean + spread * noise).repeat_interleave(settings.episodes, 0)
        losses = play(simulation, samples.to(simulation.device)).cpu().reshape(-1, settings.episodes).mean(1)
        useful = utilities(losses)
        mean = mean + settings.rate * spread * (useful.unsqueeze(1) * noise).sum(0)
        steps = (useful.unsqueeze(1) * (noise**2 - 1)).sum(0)
        spread = spread * torch.exp(0.5 * settings.spread_rate * steps)
        progress(1)
    factor = _sharpness(_simulation(stages[0], settings, seed, settings.generations), mean, settings.entropy)
    return {name: round(float(weight * factor), 6) for name, weight in zip(names, mean, strict=True) if weight != 0}


def _simulation(stage: Stage, settings: Evolution, seed: int, generation: int) -> Simulation:
    """Every sample plays the same few instances: environment i plays instance i modulo their number."""
    instances = stage.draw(stage.preset, settings.episodes, seed, PART + generation)
    model = stage.entry.model(instances, stage.options)
    count = 2 * settings.pairs * settings.episodes
    simulation = Simulation(model, instances, count, device=stage.device, seed=seed, threads=stage.threads)
    worlds = torch.arange(count, dtype=torch.int32) % settings.episodes
    simulation.engine.tensors["world"].copy_(worlds)  # the same chance for every sample
    return simulation


def _sharpness(simulation: Simulation, weights: Tensor, share: float) -> float:
    """The factor by which an index is multiplied so that its softmax has so much of the largest entropy."""
    simulation.reset()
    rows = weights.to(simulation.device).expand(simulation.num_envs, -1).contiguous()
    seen = []
    for step in range(simulation.model.horizon):
        if not bool(simulation.going_on.any()):
            break
        index = _index(simulation, rows)
        if step % PROBED == 0:
            seen.append(index[(simulation.mask != 0).sum(1) > 1])
        simulation.step(index.argmax(1))
    index = torch.cat(seen)
    if not len(index):
        return 1.0
    most = (index > -torch.inf).sum(1).double().log()
    low, high = 1e-3, 1e4
    for _ in range(30):
        factor = (low * high) ** 0.5
        log_share = (index * factor).log_softmax(1)
        entropy = -(log_share.exp() * log_share.clamp_min(-80)).sum(1)
        if float((entropy / most).mean()) > share:
            low = factor
        else:
            high = factor
    return factor
