"""The Gymnasium shell around a simulation of one environment, the same for every family."""

from collections.abc import Callable, Sequence

import gymnasium
import numpy as np

from . import rendering
from .drawing import draw_fitting, probe
from .errors import OptionError
from .instance import Instance
from .registry import family
from .registry import instances as instances_of
from .simulation import Simulation
from .spaces import action_space, observation_space


class DispatchEnv(gymnasium.Env):
    """One environment; each ``reset`` begins an episode on one instance.

    The observation is the graph of ``GraphSpec``; ``info`` holds ``action_mask`` (a copy of the one in the observation)
    and the family's figures, of which the objective is a lower bound until the episode ends. An illegal action ends the
    episode with the worst reward of the family and ``info["illegal_action"]``.

    Args:
        name: the family.
        instances: what to play; of several, each reset draws one.
        draw: instead of ``instances``, a function from a NumPy generator to a fresh instance.
        options: the family's options.
        render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``.
        probes: draws that the padded sizes are made for; more than one where drawn instances vary in size.

    Raises:
        OptionError: for an option outside of what it accepts.
    """

    metadata = {"render_modes": rendering.MODES, "render_fps": 4}

    def __init__(
        self,
        name: str,
        instances: Sequence[Instance] | None,
        draw: Callable[[np.random.Generator], Instance] | None = None,
        options=None,
        render_mode: str | None = None,
        probes: int = 1,
    ):
        rendering.check_mode(render_mode)
        self.family, self.render_mode = family(name), render_mode
        self._instances, self._draw = list(instances or ()), draw
        first = self._instances or probe(draw, probes)
        self.model = self.family.model(first, options)
        self.simulation = Simulation(self.model, first[:1], 1)
        self.observation_space = observation_space(self.model.spec)
        self.action_space = action_space(self.model.spec)
        tensors = self.simulation.engine.tensors
        # NumPy views of the state's memory: reading them after a step costs no conversion.
        self._observation = {key: tensors[key][0].numpy() for key in self.simulation.observation}
        self._mask = self._observation["action_mask"]
        self._action = tensors["action"].numpy()
        self._reward, self._terminated, self._truncated, self._illegal = (
            tensors[key].numpy() for key in ("reward", "terminated", "truncated", "illegal")
        )
        self._figures = {key: tensors[source].numpy() for key, source in self.model.outcome.items()}
        self._begun = False

    @property
    def instance(self) -> Instance:
        """The instance of the current episode."""
        return self.simulation.instances[0]

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Begin an episode.

        Args:
            seed: reseeds the generator that draws instances.
            options: ``{"instance": ...}`` plays that one, an instance, a name or a file; it must fit the padded sizes.
        """
        super().reset(seed=seed)
        unknown = set(options or ()) - {"instance"}
        if unknown:
            raise OptionError(f"reset knows the option 'instance', got {sorted(unknown)}")
        if options and "instance" in options:
            named = instances_of(options["instance"], self.family.name)
            if len(named) != 1:
                raise OptionError(f"reset plays one instance, {options['instance']!r} names {len(named)}")
            chosen = named[0]
        elif self._draw is not None:
            chosen = draw_fitting(self._draw, self.np_random, self.model)
        elif len(self._instances) > 1:
            chosen = self._instances[int(self.np_random.integers(len(self._instances)))]
        else:
            chosen = self._instances[0]
        if chosen is not self.instance:
            self.simulation.load([chosen])
        self.simulation.reseed(int(self.np_random.integers(2**31)))
        self.simulation.reset()
        self._begun = True
        return self._observe(), self._info()

    def step(self, action):
        """Commit the candidate ``action``."""
        if not self._begun:
            raise gymnasium.error.ResetNeeded("call reset before step")
        if np.ndim(action) != 0 or np.asarray(action).dtype.kind not in "iu":
            raise OptionError(f"an action is one integer, got {action!r}")
        self._action[0] = action if -1 < action < self.model.spec.actions else -1
        self.simulation.engine.run("advance")
        info = self._info()
        if self._illegal[0]:
            info["illegal_action"] = True
        return self._observe(), float(self._reward[0]), bool(self._terminated[0]), bool(self._truncated[0]), info

    def action_masks(self) -> np.ndarray:
        """(A,) bool, the legal actions; the name that sb3-contrib's MaskablePPO looks for."""
        return self._mask.astype(bool)

    def schedule(self):
        """The schedule so far."""
        return self.simulation.schedule(0)

    def twin(self):
        """A plain-Python copy of the simulator where it stands now, to step through in a debugger (see Twin)."""
        return self.simulation.engine.twin()

    def render(self):
        """The schedule so far: an (H, W, 3) uint8 picture or a text chart, as ``render_mode`` says."""
        if self.render_mode is None:
            gymnasium.logger.warn(rendering.WITHOUT_MODE)
            return None
        return rendering.draw(self.family, self.schedule(), self.render_mode)

    def _observe(self) -> dict[str, np.ndarray]:
        return {key: view.copy() for key, view in self._observation.items()}

    def _info(self) -> dict:
        info = {key: int(view[0]) for key, view in self._figures.items()}
        info["action_mask"] = self._mask.copy()
        return info
