"""The job shop as Gymnasium environments: which instances are played, and the family's options as keyword arguments."""

import inspect
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
_OF_THE_BATCH = set(inspect.signature(DispatchVectorEnv).parameters)


def _options(construction, forced_moves, observation, more: dict) -> Options:
    """The family's options; an unknown one is refused with the known ones."""
    named = {"construction": construction, "forced_moves": forced_moves, "observation": observation}
    return registry.family("job_shop").make_options(**named, **more)


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
        construction, forced_moves, observation, options: see Options.
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
        render_mode: str | None = None,
        **options,
    ):
        chosen = _options(construction, forced_moves, observation, options)
        instances, draw = _source(instance, jobs, machines, preset)
        super().__init__("job_shop", instances, draw, chosen, render_mode)


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
        **batch,
    ):
        given = {name: batch.pop(name) for name in set(batch) - _OF_THE_BATCH}
        options = _options(construction, forced_moves, observation, given)
        instances, draw = _source(instance, jobs, machines, preset)
        super().__init__("job_shop", num_envs, instances, draw, options, **batch)
