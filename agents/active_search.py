"""Active search: a trained policy goes on learning on the one instance that it is to solve.

Of the network only a small layer is tuned, which is put before its last one and belongs to the instance (EAS-Lay of
Hottung, Kwon and Tierney 2022, after Bello et al. 2017): what the rest of the network makes of a state is read once,
and instances are searched side by side, each with a layer of its own. A round's attempts are each other's baseline, and
the gradient is PPO's, so that a round pays for several steps.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.core.simulation import Simulation
from ..envs.core.solvers import FEWEST_SEARCHED, keep_best
from .gnn import NEVER, GraphNetwork, inputs, legal_first, sample

MOST_KEPT = 2**28  # numbers of hidden layers that a round keeps
LEARNING_RATE = 0.01
EPOCHS = 3  # gradient steps after each round
CLIP = 0.2  # of the ratio of probabilities, as in PPO
IMITATION = 0.1  # weight of making the best attempt so far likelier, beside the gradient of the others


class OwnLayers(nn.Module):
    """A residual layer for each instance, which begins as nothing.

    Args:
        instances: how many.
        width: of the layer that it reads, H.
        generator: of its weights.
    """

    def __init__(self, instances: int, width: int, generator: torch.Generator):
        super().__init__()
        bound, device = math.sqrt(3 / width), generator.device
        first = torch.empty(instances, width, width, device=device).uniform_(-bound, bound, generator=generator)
        self.first = nn.Parameter(first)
        self.first_bias = nn.Parameter(torch.zeros(instances, 1, width, device=device))
        self.second = nn.Parameter(torch.zeros(instances, width, width, device=device))
        self.second_bias = nn.Parameter(torch.zeros(instances, 1, width, device=device))

    def forward(self, hidden: Tensor, last: Tensor) -> Tensor:
        """What is added to the logits.

        Args:
            hidden: (B, K, H), the attempts at an instance next to each other.
            last: (H,) weights of the network's last layer.

        Returns:
            (B, K).
        """
        rows = hidden.reshape(len(self.first), -1, hidden.shape[2])
        inner = torch.relu(torch.baddbmm(self.first_bias, rows, self.first))
        return (torch.baddbmm(self.second_bias, inner, self.second) @ last).reshape(hidden.shape[:2])


@dataclass
class Step:
    """One decision of every environment.

    Attributes:
        logits: (B, K) of the network as it was trained.
        hidden: (B, K, H), what its last layer read.
        place: (B,) which of the K was taken.
        log_prob: (B,) of it, when it was taken.
        going: (B,) 1 where there was something to decide, as a float.
    """

    logits: Tensor
    hidden: Tensor
    place: Tensor
    log_prob: Tensor
    going: Tensor


class Search:
    """Rounds of attempts at some instances, and what is learnt between them.

    Args:
        network: as it was trained; it stays as it is.
        simulation: that plays each instance ``simulation.group`` times.
        generator: of weights and attempts.
    """

    def __init__(self, network: GraphNetwork, simulation: Simulation, generator: torch.Generator):
        self.network, self.simulation, self.generator = network.to(simulation.device), simulation, generator
        self.last = network.score[-1].weight.detach()[0]
        self.layers = OwnLayers(len(simulation.instances), len(self.last), generator)
        self.optimizer = torch.optim.Adam(self.layers.parameters(), lr=LEARNING_RATE)

    @torch.no_grad()
    def play(self, known: Tensor | None) -> tuple[list[Step], Tensor]:
        """An attempt in every environment.

        Args:
            known: (I, T) actions that the first attempt at each instance repeats; it is greedy without.

        Returns:
            What was decided, and the actions (B, T).
        """
        simulation, steps, actions = self.simulation, [], []
        first = torch.arange(simulation.num_envs, device=simulation.device) % simulation.group == 0
        simulation.reset()
        for number in range(simulation.model.horizon):
            going = simulation.going_on
            if not bool(going.any()):
                break
            seen = inputs(simulation.observation, simulation.model.spec.complete)
            logits, hidden, action = _legal(*self.network.read(seen))
            now = logits + self.layers(hidden, self.last)
            place = torch.where(first, now.argmax(1), sample(now, self.generator))
            if known is not None and number < known.shape[1]:
                repeated = (action[first] == known[:, number : number + 1]).to(torch.uint8).argmax(1)
                place = place.masked_scatter(first, repeated)
            taken, log_prob = (table.gather(1, place.unsqueeze(1)).squeeze(1) for table in (action, now.log_softmax(1)))
            simulation.step(taken)
            steps.append(Step(logits, hidden, place, log_prob, going.to(logits.dtype)))
            actions.append(taken)
        return steps, torch.stack(actions, 1) if actions else first.new_zeros(len(first), 0, dtype=torch.int64)

    def learn(self, steps: list[Step], value: Tensor) -> None:
        """Make attempts that were better than the others on their instance likelier, and the best so far.

        Args:
            steps: of an attempt in every environment.
            value: (I, S) objectives of the attempts, the first of which is greedy, or the best of earlier rounds.
        """
        tried = value[:, 1:].float()
        advantage = (tried.mean(1, keepdim=True) - tried) / (tried.std(1, keepdim=True) + 1e-4)
        weight = torch.cat([torch.full_like(value[:, :1], IMITATION, dtype=torch.float), advantage / tried.shape[1]], 1)
        weight = weight.reshape(-1) / max(len(steps), 1)
        for _ in range(EPOCHS):
            self.optimizer.zero_grad()
            for step in steps:
                log_probs = (step.logits + self.layers(step.hidden, self.last)).log_softmax(1)
                taken = log_probs.gather(1, step.place.unsqueeze(1)).squeeze(1)
                ratio = (taken - step.log_prob).exp()
                gain = torch.minimum(weight * ratio, weight * ratio.clamp(1 - CLIP, 1 + CLIP))
                (-(gain * step.going).sum()).backward()  # a step at a time: the whole round would take much memory
            self.optimizer.step()


def _legal(logits: Tensor, hidden: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same of legal candidates alone, as many as the environment with the most of them has."""
    legal = logits > NEVER / 2
    place = legal_first(legal, int(legal.sum(1).max()))
    rows = place.unsqueeze(2).expand(-1, -1, hidden.shape[2])
    return logits.gather(1, place), hidden.gather(1, rows), action.gather(1, place)


def most_side_by_side(network: GraphNetwork, model) -> int:
    """Attempts that may be made at a time, so that what is kept of them fits in memory.

    Raises:
        OptionError: where attempts cannot be taken back, or too much would have to be kept.
    """
    if not model.repeatable:
        raise OptionError("active search makes many attempts and keeps the best one; in a world that goes on none can")
    each = model.horizon * model.spec.actions * network.score[-1].in_features
    most = MOST_KEPT // max(each, 1)
    if most < FEWEST_SEARCHED:
        raise OptionError(
            f"active search keeps what it saw of {model.horizon} decisions of up to {model.spec.actions} candidates, "
            "which is too much for an instance of this size"
        )
    return most


def search(network: GraphNetwork, simulation: Simulation, rounds: int, generator: torch.Generator) -> list[Schedule]:
    """The best schedule of each instance over rounds of attempts, after each of which its own layer learns.

    Args:
        network: as it was trained; it stays as it is.
        simulation: of the instances, each several times; the first attempt of a round repeats the best so far.
        rounds: how many.
        generator: of everything random.
    """
    instances = len(simulation.instances)
    searching = Search(network, simulation, generator)
    best: list[tuple[float, Schedule] | None] = [None] * instances
    known = None
    for left in reversed(range(rounds)):
        steps, actions = searching.play(known)
        value = simulation.outcome()[simulation.model.objective].reshape(instances, -1)
        rows = keep_best(best, simulation, value)
        if left:
            searching.learn(steps, value)
            known = actions[rows]
    return [schedule for _, schedule in best]
