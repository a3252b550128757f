"""How a batch of episodes is played to its end: with the rows that go on, or always with all of them.

On a CPU a step is the cheaper the fewer environments it reads, and asking which episodes go on costs nothing. A GPU
would have to be waited for at every step; there all rows are read, those that have ended too, every step has the same
shapes, and simulator and policy are recorded as one CUDA graph.
"""

import warnings
import weakref
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..envs.core.cuda_graph import CudaGraph
from ..envs.core.simulation import Simulation
from .gnn import inputs

WARM = 3  # steps that are played before a graph is recorded, so that every kernel is loaded
ASKED = 32  # steps between questions whether anybody goes on
Seen = dict[str, Tensor]
Decide = Callable[[Seen], dict[str, Tensor]]


def shrinking(simulation: Simulation, decide: Decide, horizon: int) -> Iterator[tuple[Seen, dict[str, Tensor]]]:
    """Play the rows that go on.

    Args:
        simulation: at the beginning of its episodes.
        decide: from observations as the network reads them to rows of ``action`` and whatever else is to be kept.
        horizon: most steps.

    Yields:
        After each step what was seen, and columns: ``env``, what ``decide`` gave, ``time`` of the decision, ``reward``.
    """
    complete = simulation.model.spec.complete
    action = torch.zeros(simulation.num_envs, dtype=torch.int64, device=simulation.device)
    for _ in range(horizon):
        rows = simulation.going_on.nonzero().squeeze(1)
        if len(rows) == 0:
            return
        seen = inputs({key: tensor[rows] for key, tensor in simulation.observation.items()}, complete)
        decided = decide(seen)
        time = simulation.clock[rows].clone()
        action[rows] = decided["action"]
        simulation.step(action)
        yield seen, {"env": rows, **decided, "time": time, "reward": simulation.reward[rows].clone()}


class Whole:
    """Play all rows at every step; those of ended episodes are marked, for ``Buffer.settle`` to leave out.

    Args:
        record: whether a simulation's step is recorded as a CUDA graph once it has been played a few times.
        generators: that ``decide`` draws from.
    """

    def __init__(self, record: bool, generators: tuple[torch.Generator, ...] = ()):
        self.record, self.generators = record, generators
        self._graphs: weakref.WeakKeyDictionary[Simulation, CudaGraph] = weakref.WeakKeyDictionary()

    def __call__(
        self, simulation: Simulation, decide: Decide, horizon: int
    ) -> Iterator[tuple[Seen, dict[str, Tensor]]]:
        """Play; see ``shrinking``. Columns have ``alive`` besides, False where an episode was over."""
        env = torch.arange(simulation.num_envs, device=simulation.device)
        graph = self._graphs.get(simulation)
        for step in range(horizon):
            if graph is None and self.record and step == WARM:
                graph = self._recorded(simulation, decide)
            if graph is None:
                seen, columns = advance(simulation, decide)
            else:
                seen, columns = ({key: tensor.clone() for key, tensor in part.items()} for part in graph.replay())
            yield seen, {"env": env, **columns}
            if step % ASKED == ASKED - 1 and not bool(columns["alive"].any()):
                return

    def _recorded(self, simulation: Simulation, decide: Decide) -> CudaGraph | None:
        """The graph of a step; None, for good, where it cannot be recorded."""
        kept = weakref.proxy(simulation)  # a graph must not keep the simulation that it belongs to
        try:
            graph = CudaGraph(lambda: advance(kept, decide), simulation.device, self.generators)
        except RuntimeError as error:
            warnings.warn(
                f"steps are launched one by one, recording them failed: {error}", RuntimeWarning, stacklevel=2
            )
            self.record = False
            return None
        self._graphs[simulation] = graph
        return graph


@torch.no_grad()
def advance(simulation: Simulation, decide: Decide) -> tuple[Seen, dict[str, Tensor]]:
    """One step of all rows, in launches alone: no shape and no path depends on what the device holds."""
    alive = simulation.going_on
    seen = inputs(
        {key: tensor.clone() for key, tensor in simulation.observation.items()}, simulation.model.spec.complete
    )
    decided = decide(seen)
    time = simulation.clock.clone()
    simulation.step(decided["action"])
    return seen, {**decided, "time": time, "reward": simulation.reward * alive, "alive": alive}
