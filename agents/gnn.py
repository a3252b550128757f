"""The graph network: typed message passing between work and resources, then a score for every candidate.

No part depends on the number of nodes, so one set of weights serves every size.
"""

import torch
from torch import Tensor, nn

from ..envs.core.errors import UnknownNameError
from ..envs.core.graph import GraphSpec
from .layers import Dense, ExchangeLayer, PrecedenceLayer, Sparse

MANY = 64  # candidates from which it pays to leave out the illegal ones
QUIET = 0.01  # of the usual size, weights of the last layer that begin near zero
NEVER = -1e9  # logit of what must not be chosen; finite, so that a row of nothing else stays finite


class GraphNetwork(nn.Module):
    """Scores of all candidates and the value of a state, from an observation of any size.

    Args:
        spec: names the features; sizes are read off each observation.
        width: features of a node.
        heads: attention heads.
        layers: rounds of message passing.
        hidden: width of the two heads' hidden layers.
        prior: weights of candidate features that are added to the logits from the start, by the feature's name: what is
            known to be good need not be found first.
        quiet: the network's own scores begin near zero, so that a prior decides alone at first.

    Raises:
        UnknownNameError: if a prior names no feature of the candidates.
    """

    def __init__(
        self,
        spec: GraphSpec,
        width: int = 32,
        heads: int = 4,
        layers: int = 2,
        hidden: int = 64,
        prior: dict[str, float] | None = None,
        quiet: bool = False,
    ):
        super().__init__()
        names = [feature.name for feature in spec.candidate]
        for name in prior or {}:
            if name not in names:
                raise UnknownNameError("candidate feature", name, names)
        self.feature_names = spec.feature_names()
        self.prior = {names.index(name): weight for name, weight in (prior or {}).items()}
        edge, arc = len(spec.assignment), len(spec.precedence)
        self.embed_work = nn.Linear(len(spec.work), width)
        self.embed_resource = nn.Linear(len(spec.resource), width)
        self.exchange = nn.ModuleList([ExchangeLayer(width, heads, edge) for _ in range(layers)])
        self.precede = nn.ModuleList(
            [PrecedenceLayer(width, heads, arc) for _ in range(layers if spec.precedences else 0)]
        )
        pair = 2 * width + len(spec.work) + len(spec.candidate)
        shared = 2 * width + len(spec.context)
        self.score_pair = nn.Linear(pair, hidden)
        self.score_shared = nn.Linear(shared, hidden, bias=False)
        self.score = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        if quiet:
            with torch.no_grad():
                self.score[-1].weight.mul_(QUIET)
                self.score[-1].bias.zero_()
        self.value = nn.Sequential(nn.Linear(shared + width, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, observation: dict[str, Tensor], value: bool = True):
        """Score.

        Args:
            observation: what ``inputs`` made of a batch of observations.
            value: whether the value is wanted.

        Returns:
            Logits (B, A), NEVER where the mask forbids, and values (B,) or None.
        """
        observation, places, resource, shared, hidden = self._candidates(observation)
        logits = self._logits(observation, hidden)
        if places is not None:
            logits = logits.new_full(places[1], NEVER).scatter(1, places[0], logits)
        if not value:
            return logits, None
        return logits, self.value(torch.cat([shared, _mean(resource, observation["resource"])], 1)).squeeze(1)

    def read(self, observation: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What the last layer reads of the candidates, for those who add to it.

        Args:
            observation: what ``inputs`` made of a batch of observations.

        Returns:
            Logits (B, K), NEVER where there is none, the last hidden layer (B, K, H) and the actions (B, K) int64.
        """
        observation, places, _, _, hidden = self._candidates(observation)
        logits = self._logits(observation, hidden)
        if places is None:
            return logits, hidden, torch.arange(logits.shape[1], device=logits.device).expand_as(logits)
        return logits, hidden, places[0]

    def _nodes(self, observation) -> tuple[Tensor, Tensor]:
        """Embeddings of work (B, W, D) and resources (B, R, D) after all rounds."""
        work = torch.relu(self.embed_work(observation["work"]))
        resource = torch.relu(self.embed_resource(observation["resource"]))
        form, index = (Dense, "present") if "present" in observation else (Sparse, "assignment")
        edges = form.of(observation[index], observation["assignment_attr"], (work.shape[1], resource.shape[1]))
        arcs = None
        if self.precede:
            arcs = Sparse.of(observation["precedence"], observation["precedence_attr"], (work.shape[1],) * 2)
        for position, layer in enumerate(self.exchange):
            if arcs is not None:
                work = self.precede[position](work, arcs)
            work, resource = layer(work, resource, edges)
        return work, resource

    def _pairs(self, observation, work, resource) -> Tensor:
        """``score_pair`` of every candidate's work, resource and features, (B, A, H).

        Nodes are projected before candidates gather them: there are many more candidates than nodes.
        """
        sizes = [work.shape[2], resource.shape[2], observation["work"].shape[2], observation["candidate_attr"].shape[2]]
        by_work, by_resource, by_features, by_candidate = self.score_pair.weight.split(sizes, 1)
        index = observation["candidate"]
        of_work = nn.functional.linear(work, by_work) + nn.functional.linear(observation["work"], by_features)
        of_resource = nn.functional.linear(resource, by_resource)
        of_candidate = nn.functional.linear(observation["candidate_attr"], by_candidate, self.score_pair.bias)
        return of_candidate + _rows(of_work, index[..., 0]) + _rows(of_resource, index[..., 1])

    def _candidates(self, observation):
        """The observation without padding and most illegal candidates, and what is to be scored.

        Returns:
            Observation, what ``_compact`` says of places, resources (B, R, D), what all candidates share (B, S), and
            their last hidden layer (B, K, H).
        """
        observation = observation if "present" in observation else _trim(observation)
        work, resource = self._nodes(observation)
        observation, places = _compact(observation)
        chosen = (observation["action_mask"] != 0).to(work.dtype)
        of_candidates = _mean_of_candidates(work, observation["candidate"][..., 0], chosen)
        shared = torch.cat([_mean(work, observation["work"]), of_candidates, observation["context"]], 1)
        hidden = self._pairs(observation, work, resource) + self.score_shared(shared).unsqueeze(1)
        return observation, places, resource, shared, self.score[:-1](hidden)

    def _logits(self, observation, hidden: Tensor) -> Tensor:
        """Logits (B, K) of the last hidden layer with the prior, NEVER where the mask forbids."""
        logits = self.score[-1](hidden).squeeze(2)
        for feature, weight in self.prior.items():
            logits = logits + weight * observation["candidate_attr"][..., feature]
        return logits.masked_fill(observation["action_mask"] == 0, NEVER)


def looking_is_free(tensor: Tensor) -> bool:
    """Whether what a tensor holds is known at once; a GPU would have to be waited for."""
    return tensor.device.type == "cpu"


def _trim(observation: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave trailing rows out that are padding in all of the batch, where a look at them costs no wait for a GPU.

    An index of padding then still lies beyond the rows.
    """
    if not looking_is_free(observation["work"]) or observation["work"].shape[1] < MANY:
        return observation
    works, resources = observation["work"].shape[1], observation["resource"].shape[1]
    edges = (observation["assignment"] < torch.tensor([[works], [resources]])).all(1).any(0)
    used = {"work": (observation["work"] != 0).any(2).any(0), "resource": (observation["resource"] != 0).any(2).any(0)}
    last = {key: int(rows.nonzero().amax()) + 1 if bool(rows.any()) else 1 for key, rows in used.items()}
    shorter = {key: observation[key][:, :rows] for key, rows in last.items()}
    kept = int(edges.nonzero().amax()) + 1 if bool(edges.any()) else 1
    shorter["assignment"] = observation["assignment"][:, :, :kept]
    shorter["assignment_attr"] = observation["assignment_attr"][:, :kept]
    return observation | shorter


def _compact(observation: dict[str, Tensor]):
    """Leave candidates out that are illegal, where there are many and a look at the mask costs no wait for a GPU.

    Returns:
        The observation, and None or where its candidates were, (B, K), with the shape (B, A) that they were in.
    """
    mask = observation["action_mask"] != 0
    legal = int(mask.sum(1).max()) if mask.shape[1] >= MANY and looking_is_free(mask) else mask.shape[1]
    if 2 * legal > mask.shape[1]:
        return observation, None
    places = legal_first(mask, legal)
    rows = places.unsqueeze(2)
    shorter = {
        key: observation[key].gather(1, rows.expand(-1, -1, observation[key].shape[2]))
        for key in ("candidate", "candidate_attr")
    }
    return observation | shorter | {"action_mask": mask.gather(1, places)}, (places, mask.shape)


def legal_first(mask: Tensor, count: int) -> Tensor:
    """Where the first ``count`` legal candidates of a mask (B, A) bool stand, then illegal ones: (B, count or 1)."""
    return (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, : max(count, 1)]


def _mean(nodes: Tensor, features: Tensor) -> Tensor:
    """Mean (B, D) of the nodes that are there; those without any feature are padding or done."""
    there = (features != 0).any(2, keepdim=True).to(nodes.dtype)
    return (nodes * there).sum(1) / there.sum(1).clamp_min(1)


def _mean_of_candidates(nodes: Tensor, index: Tensor, chosen: Tensor) -> Tensor:
    """Mean (B, D) of the nodes (B, N, D) that candidates (B, A) are about, each as often as it is offered."""
    count = chosen.new_zeros(chosen.shape[0], nodes.shape[1] + 1).scatter_add(
        1, index.clamp_max(nodes.shape[1]), chosen
    )
    total = (count[:, None, :-1] @ nodes).squeeze(1)
    return total / chosen.sum(1, keepdim=True).clamp_min(1)


def _rows(nodes: Tensor, index: Tensor) -> Tensor:
    """Rows (B, A, D) of nodes (B, N, D), zeros where the index says that there is none."""
    there = (index < nodes.shape[1]).unsqueeze(2)
    index = index.clamp_max(nodes.shape[1] - 1).unsqueeze(2).expand(-1, -1, nodes.shape[2])
    return nodes.gather(1, index) * there


def inputs(observation: dict[str, Tensor], complete: bool) -> dict[str, Tensor]:
    """What the network reads of an observation, in its smallest form: this is what a buffer should keep.

    A complete assignment (see GraphSpec) needs no index, only which edges are still there.
    """
    kept = dict(observation)
    if complete:
        kept["present"] = kept.pop("assignment")[:, 0] < observation["work"].shape[1]
    return kept


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from softmax(logits), (B, A) -> (B,), by the largest of logits plus Gumbel noise."""
    noise = torch.empty_like(logits).exponential_(generator=generator).clamp_min(1e-20)
    return (logits - noise.log()).argmax(1)
