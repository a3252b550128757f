"""The SoC as Gymnasium environments: which instances are played, and the family's options as keyword arguments."""

import inspect
from collections.abc import Sequence

import numpy as np

from ..core import registry
from ..core.env import DispatchEnv
from ..core.errors import OptionError
from ..core.vector_env import DispatchVectorEnv
from .generator import draw_instance
from .instance import SoCInstance

DEFAULT_PRESET = "random-12"
PROBES = 32  # drawn instances vary in size
_OF_THE_BATCH = set(inspect.signature(DispatchVectorEnv).parameters)


def _source(instance, preset: str | None):
    """Turn the arguments into (instances, draw), one of them None."""
    if instance is not None:
        if preset is not None:
            raise OptionError("give an instance, or the preset of generated ones, not both")
        return registry.instances(instance, "soc"), None
    preset = DEFAULT_PRESET if preset is None else preset

    def draw(generator: np.random.Generator) -> SoCInstance:
        return draw_instance(preset, generator)

    draw(np.random.default_rng(0))  # an unknown preset is refused here and not at the first reset
    return None, draw


class Env(DispatchEnv):
    """Task graphs on heterogeneous processing elements (see DispatchEnv).

    Args:
        instance: a catalogue name or file, an instance, or a sequence of these; None generates random ones.
        preset: of the generated instances, such as ``"random-30"`` or ``"radio-50"``; ``"random-12"`` when left out.
        render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``.
        options: see Options.

    >>> import gymnasium, dispatchgym
    >>> env = gymnasium.make("dispatchgym/SoC-v0", instance="topcuoglu")
    >>> observation, info = env.reset(seed=0)
    >>> observation["work"].shape, int(info["makespan"])
    ((10, 14), 41)
    """

    def __init__(
        self,
        instance: str | SoCInstance | Sequence | None = None,
        preset: str | None = None,
        render_mode: str | None = None,
        **options,
    ):
        instances, draw = _source(instance, preset)
        made = registry.family("soc").make_options(**options)
        super().__init__("soc", instances, draw, made, render_mode, PROBES)


class VectorEnv(DispatchVectorEnv):
    """Many of them stepped together (see DispatchVectorEnv); arguments as for Env, and those of the batch."""

    def __init__(
        self,
        num_envs: int = 1,
        instance: str | SoCInstance | Sequence | None = None,
        preset: str | None = None,
        **arguments,
    ):
        given = {name: arguments.pop(name) for name in set(arguments) - _OF_THE_BATCH}
        instances, draw = _source(instance, preset)
        options = registry.family("soc").make_options(**given)
        super().__init__("soc", num_envs, instances, draw, options, probes=PROBES, **arguments)
