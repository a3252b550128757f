"""The job shop as Gymnasium environments: which instances are played, and the family's options as keyword arguments."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..core import registry
from ..core.env import DispatchEnv
from ..core.errors import OptionError
from ..core.vector_env import DispatchVectorEnv
from .generator import draw_instance, generate
from .instance import JobShopInstance
from .options import Options

LARGEST = 1000  # jobs or machines of a generated instance
DEFAULT_SIZE = 6


def _source(instance, jobs: int | None, machines: int | None, preset: str | None):
    """Turn the arguments into (instances, draw), one of them None."""
    if instance is not None:
        if jobs is not None or machines is not None or preset is not None:
            raise OptionError("give an instance, or the jobs and machines of generated ones or a preset, not both")
        return registry.instances(instance, "job_shop"), None
    if preset is not None:
        if jobs is not None or machines is not None:
            raise OptionError("give the jobs and machines of generated instances, or a preset, not both")
        draw_instance(preset, np.random.default_rng(0))  # an unknown preset is refused here and not at the first reset
        return None, partial(draw_instance, preset)
    jobs = DEFAULT_SIZE if jobs is None else jobs
    machines = DEFAULT_SIZE if machines is None else machines
    for name, value in (("jobs", jobs), ("machines", machines)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= LARGEST:
            raise OptionError(f"{name} must be a whole number from 1 to {LARGEST}, got {value!r}")

    def draw(generator: np.random.Generator) -> JobShopInstance:
        return generate(jobs, machines, generator)

    return None, draw


class Env(DispatchEnv):
    """One job shop (see DispatchEnv).

    Args:
        instance: a catalogue name or file, an instance, or a sequence of these; None generates random ones.
        jobs, machines: size of the generated instances, 6 each when left out.
        preset: of the generated instances instead, such as ``"tardiness-10x5"`` or ``"single-20"``.
        construction, forced_moves, observation: see Options.
        buffers, uptime, repair, interrupted, noise, sigma, reveal, safety: of a live shop, see Options.
        render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``.

    >>> import gymnasium, dispatchgym
    >>> env = gymnasium.make("dispatchgym/JobShop-v0", instance="ft06")
    >>> observation, info = env.reset(seed=0)
    >>> observation["work"].shape, int(info["makespan"])
    ((6, 15), 52)
    """

    def __init__(
        self,
        instance: str | JobShopInstance | Sequence | None = None,
        jobs: int | None = None,
        machines: int | None = None,
        preset: str | None = None,
        construction: str | float = "active",
        forced_moves: bool = True,
        observation: str = "jobs",
        buffers: str = "unlimited",
        uptime: int = 0,
        repair: int = 0,
        interrupted: str = "resume",
        noise: str = "none",
        sigma: float = 0.0,
        reveal: bool = False,
        safety: bool = True,
        render_mode: str | None = None,
    ):
        options = Options(
            construction, forced_moves, observation, buffers, uptime, repair, interrupted, noise, sigma, reveal, safety
        )
        instances, draw = _source(instance, jobs, machines, preset)
        super().__init__("job_shop", instances, draw, options, render_mode)


class VectorEnv(DispatchVectorEnv):
    """Many job shops stepped together (see DispatchVectorEnv); arguments as for Env, and those of the batch."""

    def __init__(
        self,
        num_envs: int = 1,
        instance: str | JobShopInstance | Sequence | None = None,
        jobs: int | None = None,
        machines: int | None = None,
        preset: str | None = None,
        construction: str | float = "active",
        forced_moves: bool = True,
        observation: str = "jobs",
        buffers: str = "unlimited",
        uptime: int = 0,
        repair: int = 0,
        interrupted: str = "resume",
        noise: str = "none",
        sigma: float = 0.0,
        reveal: bool = False,
        safety: bool = True,
        **batch,
    ):
        options = Options(
            construction, forced_moves, observation, buffers, uptime, repair, interrupted, noise, sigma, reveal, safety
        )
        instances, draw = _source(instance, jobs, machines, preset)
        super().__init__("job_shop", num_envs, instances, draw, options, **batch)
