"""The Gymnasium vector environment whose observations are torch tensors where the simulator wrote them."""

from collections.abc import Callable, Sequence
from functools import cached_property

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from . import rendering
from .drawing import draw_fitting, probe
from .errors import OptionError
from .instance import Instance
from .registry import family
from .registry import instances as instances_of
from .simulation import Simulation
from .spaces import action_space, observation_space


class DispatchVectorEnv(VectorEnv):
    """Many environments stepped together, with same-step auto-reset.

    Observations, rewards and flags are torch tensors on ``device``. ``copy=False`` hands out the simulator's own
    memory, which the next call rewrites: fastest, for those who read before they step. Where an episode ends, ``info``
    holds ``final_info`` (the family's figures, with ``_final_info`` telling where) and ``final_obs``, and the
    observation is the next episode's first.

    Args:
        name: the family.
        num_envs: number of environments.
        instances: the bank the episodes are taken from.
        draw: instead of ``instances``, a function from a NumPy generator to a fresh instance; ``bank`` of them are
            drawn at every reset.
        options: the family's options.
        device: ``"cpu"``, ``"cuda[:n]"`` or ``"auto"``.
        bank: how many instances ``draw`` makes; they are played over and over until the next ``reset``.
        shuffled: draw each episode's instance from the bank at random, instead of in order.
        group: environments that share their instances.
        copy: clone observations before handing them out.
        final_observation: report ``final_obs``; each step then looks whether an episode ended, which waits for a GPU.
        final_schedules: report ``final_schedules``, (B,) objects: the schedule of every episode that ended, else None.
        numpy: the NumPy face: everything handed out is a NumPy array.
        threads: CPU threads for large batches; None chooses.
        render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``.
        probes: draws that the padded sizes are made for; more than one where drawn instances vary in size.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": rendering.MODES}

    def __init__(
        self,
        name: str,
        num_envs: int,
        instances: Sequence[Instance] | None,
        draw: Callable[[np.random.Generator], Instance] | None = None,
        options=None,
        device: str = "cpu",
        bank: int = 256,
        shuffled: bool = False,
        group: int = 1,
        copy: bool = True,
        final_observation: bool = True,
        final_schedules: bool = False,
        numpy: bool = False,
        threads: int | None = None,
        render_mode: str | None = None,
        probes: int = 1,
    ):
        if num_envs < 1 or bank < 1:
            raise OptionError(f"num_envs and bank must be at least 1, got {num_envs} and {bank}")
        rendering.check_mode(render_mode)
        self.family, self.num_envs, self.render_mode = family(name), num_envs, render_mode
        self._draw, self._bank, self._numpy = draw, bank, numpy
        self._copy, self._final_observation, self._final_schedules = copy, final_observation, final_schedules
        self.model = self.family.model(probe(draw, probes) if instances is None else list(instances), options)
        if instances is None:
            instances = self._fresh(np.random.default_rng())
        self.simulation = Simulation(
            self.model, instances, num_envs, device=device, group=group, shuffled=shuffled, threads=threads
        )
        self.simulation.reseed(int(np.random.default_rng().integers(2**31)))  # until a reset brings a seed
        self.device = self.simulation.device
        self.single_observation_space = observation_space(self.model.spec)
        self.single_action_space = action_space(self.model.spec)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.spec = None
        self._begun = False

    @cached_property
    def observation_space(self) -> gymnasium.spaces.Dict:
        """The batched space, made on demand: Gymnasium stores the bounds of every number of every environment."""
        return batch_space(self.single_observation_space, self.num_envs)

    def _fresh(self, generator: np.random.Generator) -> list[Instance]:
        return [draw_fitting(self._draw, generator, self.model) for _ in range(self._bank)]

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Begin an episode everywhere: the very first with a seed, the next one without.

        With ``draw``, every reset draws a new bank; call it now and then to train on fresh instances.

        Args:
            seed: key of the random draws.
            options: ``{"instances": [...]}`` replaces the bank by as many others, instances or names.
        """
        super().reset(seed=seed)
        unknown = set(options or ()) - {"instances"}
        if unknown:
            raise OptionError(f"reset knows the option 'instances', got {sorted(unknown)}")
        if options and "instances" in options:
            self.simulation.load(instances_of(options["instances"], self.family.name))
        elif self._draw is not None:
            self.simulation.load(self._fresh(self.np_random))
        if seed is not None:
            self.simulation.reseed(seed)
        if seed is not None or options or not self._begun:
            self.simulation.reset()
        else:
            self.simulation.restart_all()
        self._begun = True
        return self._observe(), self._info()

    def step(self, actions):
        """Apply one action per environment, (B,) integers; episodes that end are followed by the next at once."""
        if not self._begun:
            raise gymnasium.error.ResetNeeded("call reset before step")
        actions = _integers(actions, self.device)
        simulation = self.simulation
        simulation.step(actions)
        reward, terminated = simulation.reward.clone(), simulation.terminated.bool()
        truncated = simulation.truncated.bool()
        final = self._final(terminated | truncated)
        simulation.restart()
        info = self._info()
        info.update(final)
        return self._observe(), self._face(reward), self._face(terminated), self._face(truncated), info

    def _final(self, done: torch.Tensor) -> dict:
        """What to report about the episodes that just ended; read before they are begun anew."""
        figures = {key: self._face(tensor.clone()) for key, tensor in self.simulation.outcome().items()}
        figures["illegal_action"] = self._face(self.simulation.illegal.bool())
        result = {"final_info": figures, "_final_info": self._face(done)}
        if self._final_observation and bool(done.any()):
            result["final_obs"] = self._observe(clone=True)
            result["_final_obs"] = self._face(done)
        if self._final_schedules:
            schedules = np.full(self.num_envs, None, dtype=object)
            for i in done.nonzero().squeeze(1).tolist():
                schedules[i] = self.simulation.schedule(i)
            result["final_schedules"], result["_final_schedules"] = schedules, self._face(done)
        return result

    def action_masks(self) -> torch.Tensor | np.ndarray:
        """(B, A) bool, the legal actions."""
        return self._face(self.simulation.mask.bool())

    def schedules(self):
        """The schedule of every environment's current episode so far."""
        return self.simulation.schedules()

    def render(self):
        """Pictures or text charts of all environments, as ``render_mode`` says."""
        if self.render_mode is None:
            gymnasium.logger.warn(rendering.WITHOUT_MODE)
            return None
        return tuple(rendering.draw(self.family, schedule, self.render_mode) for schedule in self.schedules())

    def _face(self, tensor: torch.Tensor):
        return tensor.cpu().numpy() if self._numpy else tensor

    def _observe(self, clone: bool | None = None) -> dict:
        clone = self._copy if clone is None else clone
        return {key: self._face(t.clone() if clone else t) for key, t in self.simulation.observation.items()}

    def _info(self) -> dict:
        info = {key: self._face(tensor.clone()) for key, tensor in self.simulation.outcome().items()}
        info["action_mask"] = self._face(self.simulation.mask.clone())
        return info


def _integers(actions, device: torch.device) -> torch.Tensor:
    """Actions in any form as a tensor, without ever rounding one."""
    try:
        return torch.as_tensor(actions, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"actions must be integers, one for each environment, got {actions!r}") from error
