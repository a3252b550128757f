"""LLM admission as Gymnasium environments: which instances are played, and the family's options as arguments."""

import inspect
from collections.abc import Sequence

import numpy as np

from ..core import registry
from ..core.env import DispatchEnv
from ..core.errors import OptionError
from ..core.vector_env import DispatchVectorEnv
from .generator import draw_instance
from .instance import LLMInstance

DEFAULT_PRESET = "steady-n200"
PROBES = 8  # drawn instances may vary in size
_OF_THE_BATCH = set(inspect.signature(DispatchVectorEnv).parameters)


def _source(instance, preset: str | None):
    """Turn the arguments into (instances, draw), one of them None."""
    if instance is not None:
        if preset is not None:
            raise OptionError("give an instance, or the preset of generated ones, not both")
        return registry.instances(instance, "llm"), None
    preset = DEFAULT_PRESET if preset is None else preset

    def draw(generator: np.random.Generator) -> LLMInstance:
        return draw_instance(preset, generator)

    draw(np.random.default_rng(0))  # an unknown preset is refused here and not at the first reset
    return None, draw


class Env(DispatchEnv):
    """Requests to servers of a language model (see DispatchEnv).

    Args:
        instance: a catalogue name or file, an instance, or a sequence of these; None generates random ones.
        preset: of the generated instances, such as ``"burst"`` or ``"route-prefix"``; ``"steady-n200"`` when left out.
        render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``.
        options: see Options.

    >>> import gymnasium, dispatchgym
    >>> env = gymnasium.make("dispatchgym/LLMAdmission-v0", preset="overload-n50")
    >>> observation, info = env.reset(seed=0)
    >>> observation["candidate_attr"].shape[1], info["missed"]
    (40, 0)
    """

    def __init__(
        self,
        instance: str | LLMInstance | Sequence | None = None,
        preset: str | None = None,
        render_mode: str | None = None,
        **options,
    ):
        instances, draw = _source(instance, preset)
        made = registry.family("llm").make_options(**options)
        super().__init__("llm", instances, draw, made, render_mode, PROBES)


class VectorEnv(DispatchVectorEnv):
    """Many of them stepped together (see DispatchVectorEnv); arguments as for Env, and those of the batch."""

    def __init__(
        self,
        num_envs: int = 1,
        instance: str | LLMInstance | Sequence | None = None,
        preset: str | None = None,
        **arguments,
    ):
        given = {name: arguments.pop(name) for name in set(arguments) - _OF_THE_BATCH}
        instances, draw = _source(instance, preset)
        options = registry.family("llm").make_options(**given)
        super().__init__("llm", num_envs, instances, draw, options, probes=PROBES, **arguments)
