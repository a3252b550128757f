"""Policies: what picks an action for every environment of a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from .errors import OptionError
from .simulation import Simulation

_LARGEST = torch.finfo(torch.float64).max


class Columns:
    """The candidates' int32 columns by name, such as ``c.processing_time``, (B, A) each.

    They come as int64, so that products and differences cannot overflow.
    """

    def __init__(self, simulation: Simulation):
        self._columns = simulation.columns

    def __getattr__(self, name: str) -> torch.Tensor:
        try:
            return self._columns[name].long()
        except KeyError:
            raise AttributeError(f"no column {name!r}; there are {', '.join(self._columns)}") from None


class Policy(Protocol):
    """Picks actions for a batch of environments.

    One that reads the observation may have a ``check(spec)``, which raises an OptionError where it cannot read it.

    Attributes:
        observes: whether it reads the observation; rules read columns and do without.
        options: the family's options it was made for, as keyword arguments that override the defaults.
        doc: one line for ``--list``.
    """

    observes: bool
    options: dict | None
    doc: str

    def act(self, simulation: Simulation, generator: torch.Generator, explore: torch.Tensor) -> torch.Tensor:
        """Choose.

        Args:
            simulation: where the environments stand; read only.
            generator: source of every random choice.
            explore: (B,) bool, True where the choice is to be randomised.

        Returns:
            (B,) int64 actions; anything where the episode is over.
        """
        ...


@dataclass(frozen=True)
class Rule:
    """A dispatching rule: the legal candidate with the smallest key, ties to the lowest index.

    Where it is to explore, it takes the r-th best candidate with probability proportional to ``decay ** r``.

    Attributes:
        key: from the columns to a (B, A) tensor; computed exactly in int64 or float64.
        doc: what it prefers, with its source.
        decay: how far exploration strays.
        options: the family's options under which the rule is at its best, used unless the user says otherwise; None
            takes the environment's defaults.
    """

    key: Callable[[Columns], torch.Tensor]
    doc: str = ""
    decay: float = 0.1
    options: dict | None = None
    observes: ClassVar[bool] = False

    def act(self, simulation: Simulation, generator: torch.Generator, explore: torch.Tensor) -> torch.Tensor:
        """See Policy.act."""
        # Legal keys are made finite first, so that no illegal one can ever be the smallest.
        key = self.key(Columns(simulation))
        if not isinstance(key, torch.Tensor) or key.shape != simulation.mask.shape:
            raise OptionError(
                f"the key of a rule is a tensor of one number per candidate, {tuple(simulation.mask.shape)}, "
                f"got {tuple(key.shape) if isinstance(key, torch.Tensor) else key!r}"
            )
        key = key.double().nan_to_num(nan=_LARGEST).clamp(-_LARGEST, _LARGEST)
        key = key.masked_fill(simulation.mask == 0, float("inf"))
        best = key.argmin(dim=1)  # torch returns the first of equal minima
        if not bool(explore.any()):
            return best
        order = key.argsort(dim=1, stable=True)
        legal = (simulation.mask != 0).gather(1, order)
        weight = legal * self.decay ** torch.arange(key.shape[1], device=key.device)
        weight[:, 0] = weight[:, 0].clamp_min(1e-30)  # environments whose episode is over still need a row to draw from
        rank = torch.multinomial(weight.float(), 1, generator=generator)
        return torch.where(explore, order.gather(1, rank).squeeze(1), best)


@dataclass(frozen=True)
class RandomRule:
    """Any legal candidate, all equally likely."""

    doc: str = "any candidate, uniformly at random"
    options: dict | None = None
    observes: ClassVar[bool] = False

    def act(self, simulation: Simulation, generator: torch.Generator, explore: torch.Tensor) -> torch.Tensor:
        """See Policy.act; it always explores."""
        weight = simulation.mask.float()
        weight[:, 0] += (weight.sum(dim=1) == 0).float()
        return torch.multinomial(weight, 1, generator=generator).squeeze(1)
