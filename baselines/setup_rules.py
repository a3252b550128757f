"""Dispatching rules that know setup times."""

from dataclasses import dataclass

import torch

from ..envs.core.errors import OptionError
from ..envs.core.policies import Columns, Rule
from .due_date_rules import WAIT, candidates, mean_length, now

# k1 and k2 of ATCS. The functions of tardiness factor, due date range and setup severity that were published with it
# are about a whole instance on one machine; taken anew at each decision they do no better than these.
LOOK_AHEAD = 4.0
SETUP_SCALE = 1.0


@dataclass(frozen=True)
class SetupRule(Rule):
    """A rule that reads setup times, so it applies to instances that have them."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether there are setup times."""
        return instance.setup is not None

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        if "setup_time" not in simulation.columns:
            raise OptionError(f"this rule needs setup times, which {simulation.instances[0].name} has not")
        return super().act(simulation, generator, explore)


@dataclass(frozen=True)
class SetupDueDateRule(SetupRule):
    """A rule that reads setup times and due dates."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether there are setup times and due dates."""
        return instance.setup is not None and instance.due is not None

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        for instance in simulation.instances:
            if instance.due is None:
                raise OptionError(f"this rule needs due dates, which {instance.name} has not")
        return super().act(simulation, generator, explore)


def _mean_setup(c: Columns) -> torch.Tensor:
    """Mean setup time of the candidates, (B, 1), at least one unit."""
    legal = candidates(c)
    count = legal.sum(dim=1, keepdim=True).clamp_min(1)
    return ((c.setup_time * legal).sum(dim=1, keepdim=True).double() / count).clamp_min(1.0)


def apparent_tardiness_cost_with_setups(c: Columns) -> torch.Tensor:
    """ATCS of Lee, Bhaskaran and Pinedo (1997), negated: weight over length, less with slack and with setup time.

    Logarithms are compared. As in ATC, what a job's later operations may wait is deducted from its slack.
    """
    length = c.processing_time.clamp_min(1).double()
    later = (1 + WAIT) * (c.remaining_work - c.processing_time)
    slack = (c.due_date - now(c) - c.processing_time - later).clamp_min(0)
    early = slack / (LOOK_AHEAD * mean_length(c)) + c.setup_time / (SETUP_SCALE * _mean_setup(c))
    return early - (c.weight.clamp_min(1) / length).log()
