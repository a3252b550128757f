"""What a family tells the core about itself: the seam between instances and the engine."""

from typing import Protocol

import numpy as np

from .engine import Program
from .graph import GraphSpec
from .schedule import Schedule


class Model(Protocol):
    """Instances and options, ready to be simulated. ``Model(instances, options)`` fixes the padded sizes.

    Attributes:
        program: the simulator.
        spec: the observation.
        columns: the int32 fields that describe the candidates, one (B, A) tensor each; rules read these.
        objective: the figure of ``outcome`` that is minimised; the instance's objective grows with it.
        schedule_fields: the fields of one environment that ``schedule`` reads, which also finds ``seed`` there.
        outcome: fields reported in ``info``, by the name they have there, such as ``{"makespan": "bound"}``.
        repeatable: whether an attempt can be taken back, so that of several the best counts; where the world goes on
            and is not known beforehand, nobody could pick it, and what counts is their mean.
        clock: the field with the time of each environment, the same for all its rollouts; None where there is none.
        horizon: no episode takes more decisions than this.
        decisions: how many an episode takes, roughly.
        sizes: length of every axis but ``env`` and ``bank``.
        settings: value of every option field of the family.
    """

    program: Program
    spec: GraphSpec
    columns: tuple[str, ...]
    outcome: dict[str, str]
    objective: str
    schedule_fields: tuple[str, ...]
    repeatable: bool
    clock: str | None
    horizon: int
    decisions: int
    sizes: dict[str, int]
    settings: dict[str, int]

    @staticmethod
    def size_key(instance) -> tuple:
        """Instances with equal keys share one simulation without padding."""
        ...

    def fits(self, instance) -> bool:
        """Whether an instance is within the padded sizes."""
        ...

    def pack(self, instances) -> dict[str, np.ndarray]:
        """The bank: one array per field that starts with the ``bank`` axis.

        Raises:
            OptionError: if an instance does not fit the sizes.
        """
        ...

    def schedule(self, instance, row: dict[str, np.ndarray]) -> Schedule:
        """Read a schedule off the fields of one environment."""
        ...
