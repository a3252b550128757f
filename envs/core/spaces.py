"""The observation's specification as Gymnasium spaces."""

import gymnasium
import numpy as np

from .graph import GraphSpec


def observation_space(spec: GraphSpec) -> gymnasium.spaces.Dict:
    """A ``Dict`` of ``Box`` of fixed shape, which every library of the field takes as it is."""
    return gymnasium.spaces.Dict(
        {
            key: gymnasium.spaces.Box(np.asarray(low), np.asarray(high), shape, dtype)
            if np.ndim(low)
            else gymnasium.spaces.Box(low, high, shape, dtype)
            for key, (low, high, shape, dtype) in spec.boxes().items()
        }
    )


def action_space(spec: GraphSpec) -> gymnasium.spaces.Discrete:
    """One number per candidate row."""
    return gymnasium.spaces.Discrete(spec.actions)
