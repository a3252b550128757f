"""The flexible job shop as Gymnasium environments: which instances are played, and the family's options as keywords."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..core import registry
from ..core.env import DispatchEnv
from ..core.errors import OptionError
from ..core.vector_env import DispatchVectorEnv
from .generator import draw_instance
from .instance import FlexibleJobShopInstance
from .options import Options

DEFAULT_PRESET = "sd1-10x5"
PROBES = 16  # draws that show how long routes get


def _source(instance, preset: str | None):
    """Turn the arguments into (instances, draw), one of them None."""
    if instance is not None:
        if preset is not None:
            raise OptionError("give an instance, or the preset of generated ones, not both")
        return registry.instances(instance, "flexible_job_shop"), None
    preset = DEFAULT_PRESET if preset is None else preset
    draw_instance(preset, np.random.default_rng(0))  # an unknown preset is refused here and not at the first reset
    return None, partial(draw_instance, preset)


class Env(DispatchEnv):
    """One flexible job shop (see DispatchEnv).

    Args:
        instance: a catalogue name or file, an instance, or a sequence of these; None generates random ones.
        preset: of the generated instances, such as ``"sd2-10x5"``; ``"sd1-10x5"`` when left out.
        construction, forced_moves: see Options.
        render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``.

    >>> import gymnasium, dispatchgym
    >>> env = gymnasium.make("dispatchgym/FlexibleJobShop-v0", instance="sd1-10x5:0")
    >>> observation, info = env.reset(seed=0)
    >>> observation["work"].shape, info["action_mask"].shape
    ((10, 13), (50,))
    """

    def __init__(
        self,
        instance: str | FlexibleJobShopInstance | Sequence | None = None,
        preset: str | None = None,
        construction: str | float = "non-delay",
        forced_moves: bool = True,
        render_mode: str | None = None,
    ):
        options = Options(construction, forced_moves)
        instances, draw = _source(instance, preset)
        super().__init__("flexible_job_shop", instances, draw, options, render_mode, PROBES)


class VectorEnv(DispatchVectorEnv):
    """Many of them stepped together (see DispatchVectorEnv); arguments as for Env, and those of the batch."""

    def __init__(
        self,
        num_envs: int = 1,
        instance: str | FlexibleJobShopInstance | Sequence | None = None,
        preset: str | None = None,
        construction: str | float = "non-delay",
        forced_moves: bool = True,
        **batch,
    ):
        options = Options(construction, forced_moves)
        instances, draw = _source(instance, preset)
        super().__init__("flexible_job_shop", num_envs, instances, draw, options, probes=PROBES, **batch)
