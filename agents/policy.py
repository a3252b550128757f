"""The network as a policy: for Stable-Baselines3's algorithms, and for the evaluator."""

from pathlib import Path

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from ..envs.core.errors import OptionError
from ..envs.core.graph import GraphSpec
from ..envs.core.schedule import Schedule
from ..envs.core.simulation import Simulation
from . import active_search
from .gnn import GraphNetwork, inputs, looking_is_free, sample


class GraphPolicy(ActorCriticPolicy):
    """An actor-critic for Stable-Baselines3 that reads the graph observation and never picks a masked action.

    The mask comes with the observation, so it works in stock PPO as it is. Pass ``policy_kwargs={"spec":
    env.unwrapped.model.spec}``.

    Args:
        spec: of the environment.
        network: keyword arguments of GraphNetwork.
    """

    def __init__(self, *args, spec: GraphSpec, network: dict | None = None, **kwargs):
        self.spec, self.network_arguments = spec, dict(network or {})
        super().__init__(*args, **kwargs)

    def make_features_extractor(self):
        """None: the default would flatten the graph."""
        extractor = nn.Identity()
        extractor.features_dim = 0
        return extractor

    def _build(self, lr_schedule):
        self.network = GraphNetwork(self.spec, **self.network_arguments)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_constructor_parameters(self):
        return super()._get_constructor_parameters() | {"spec": self.spec, "network": self.network_arguments}

    def _run(self, observation: dict[str, Tensor], value: bool = True):
        return self.network(inputs(observation, self.spec.complete), value)

    def forward(self, obs, deterministic: bool = False):
        """Actions, values and log-probabilities, (B,), (B, 1) and (B,)."""
        logits, value = self._run(obs)
        distribution = self.action_dist.proba_distribution(action_logits=logits)
        action = distribution.get_actions(deterministic=deterministic)
        return action, value.unsqueeze(1), distribution.log_prob(action)

    def evaluate_actions(self, obs, actions):
        """Values, log-probabilities and entropies of actions taken."""
        logits, value = self._run(obs)
        distribution = self.action_dist.proba_distribution(action_logits=logits)
        return value.unsqueeze(1), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs):
        """The distribution over actions."""
        return self.action_dist.proba_distribution(action_logits=self._run(obs, value=False)[0])

    def predict_values(self, obs):
        """Values (B, 1)."""
        return self._run(obs)[1].unsqueeze(1)


class NetworkPolicy:
    """A trained network as the evaluator takes it; see ``envs.core.policies.Policy``.

    Args:
        network: the weights.
        options: the family's options it was trained with.
        temperature: of the softmax it samples from when exploring.
    """

    observes = True

    def __init__(self, network: GraphNetwork, options: dict, temperature: float = 1.0):
        self.network, self.options, self.temperature = network, options, temperature
        self.doc = "a trained graph network"

    def check(self, spec: GraphSpec) -> None:
        """Refuse an observation that the network was not made for.

        Raises:
            OptionError: saying which features are others.
        """
        difference = spec.differs_from(self.network.feature_names)
        if difference:
            raise OptionError(f"the policy was trained on another observation: {difference}")

    @torch.no_grad()
    def act(self, simulation: Simulation, generator: torch.Generator, explore: Tensor) -> Tensor:
        """The most probable action, or where ``explore`` is set a sampled one."""
        self.network.to(simulation.device)
        logits = self._logits(simulation)
        best = logits.argmax(1)
        if not bool(explore.any()):
            return best
        return torch.where(explore, sample(logits / self.temperature, generator), best)

    def most_searched(self, model) -> int:
        """Attempts that active search makes at a time; see ``active_search.most_side_by_side``."""
        return active_search.most_side_by_side(self.network, model)

    def search(self, simulation: Simulation, rounds: int, generator: torch.Generator) -> list[Schedule]:
        """The best schedules of rounds of attempts and what they teach; see ``active_search.search``."""
        return active_search.search(self.network, simulation, rounds, generator)

    def _logits(self, simulation: Simulation) -> Tensor:
        """Logits (B, A); environments whose episode is over cost nothing when they are many."""
        going = simulation.going_on
        complete = simulation.model.spec.complete
        if not looking_is_free(going) or int(going.sum()) > 0.75 * len(going):
            return self.network(inputs(simulation.observation, complete), False)[0]
        rows = going.nonzero().squeeze(1)
        part = inputs({key: tensor[rows] for key, tensor in simulation.observation.items()}, complete)
        logits = torch.zeros(simulation.mask.shape, device=simulation.device)
        logits[rows] = self.network(part, False)[0]
        return logits


def load_policy(name: str, family_name: str):
    """Load a policy: shipped (``pretrained``, ``pretrained/NAME``), of a card, or of a run or checkpoint folder.

    Args:
        name: of it, or the path of a card that ``ship`` wrote, its weights beside it, or of a folder.
        family_name: the family it must be of.

    Raises:
        CheckpointError: if it is not one, or of another family.
        UnknownNameError: if no policy of this name is shipped.
    """
    from . import checkpoint, shipped

    if shipped.is_name(name):
        return shipped.load(name.lower(), family_name)
    if name.endswith(".json"):
        return shipped.read_policy(shipped.read_card_at(Path(name), family_name))
    return checkpoint.read_policy(name, family_name)
