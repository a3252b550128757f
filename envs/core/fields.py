"""The declaration of a simulator's state: one line per array, from which struct and tensors are made."""

from dataclasses import dataclass
from functools import cached_property

import warp as wp

DTYPES = {"int8": wp.int8, "int32": wp.int32, "int64": wp.int64, "float32": wp.float32}


@dataclass(frozen=True)
class Field:
    """One array, or one option, of a simulator's state.

    Attributes:
        name: the attribute of the struct.
        axes: names of its axes, separated by spaces; sizes are given when the engine is built. Arrays that start with
            ``env`` belong to an environment; those that start with ``bank`` to the instances. No axis: an int32 option.
        doc: what it holds, with its unit.
        dtype: ``int8``, ``int32``, ``int64`` or ``float32``.
    """

    name: str
    axes: str
    doc: str
    dtype: str = "int32"

    @cached_property
    def shape(self) -> tuple[str, ...]:
        return tuple(self.axes.split())

    @property
    def is_option(self) -> bool:
        return not self.axes


COMMON = (
    Field("seed", "one", "key of every random draw"),
    Field("group", "", "environments that share an instance, a run of this many"),
    Field("shuffled", "", "1: the next instance is drawn at random; 0: in order"),
    Field("instances", "", "number of instances in the bank"),
    Field("environments", "", "number of environments"),
    Field("instance", "env", "instance of the bank that is being played"),
    Field("episode", "env", "episodes finished so far"),
    Field("world", "env", "key of the random draws of its world, beside seed and episode"),
    Field("action", "env", "what to do next", "int64"),
    Field("reward", "env", "reward of the last step", "float32"),
    Field("terminated", "env", "1 when the episode is over", "int8"),
    Field("truncated", "env", "1 when the horizon cut the episode off", "int8"),
    Field("illegal", "env", "1 when an illegal action ended the episode", "int8"),
    Field("steps", "env", "actions taken in this episode"),
)


def struct(name: str, module: str, fields: tuple[Field, ...]):
    """Make the Warp struct of a state from its fields.

    Args:
        name: name of the struct.
        module: ``__name__`` of the module that declares it.
        fields: its members, in order.
    """
    annotations = {}
    for field in fields:
        dtype = DTYPES[field.dtype]
        annotations[field.name] = wp.int32 if field.is_option else wp.array(dtype=dtype, ndim=len(field.shape))
    return wp.struct(type(name, (), {"__annotations__": annotations, "__module__": module, "__qualname__": name}))
