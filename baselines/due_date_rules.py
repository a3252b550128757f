"""Keys of the dispatching rules that know due dates: the candidate with the smallest one goes first.

On a single machine they are the textbook rules. In a job shop a job has more to come than the operation at hand, and
the rules say by their name which of the two they judge: those of the job take its remaining work for the processing
time (``mdd``, ``psk``, ``mddc``), those of the operation its own due date (``odd``, ``mod``), and the two that price
tardiness (``atc``, ``covert``) deduct from the slack what the job's later operations are expected to wait.
"""

from dataclasses import dataclass

import torch

from ..envs.core.errors import OptionError
from ..envs.core.policies import Columns, Rule

LOOK_AHEAD = 2.0  # k of ATC and COVERT (Vepsalainen and Morton 1987): waits that count as slack
WAIT = 2.0  # b of both: an operation is expected to wait this many times its length


@dataclass(frozen=True)
class DueDateRule(Rule):
    """A rule that reads due dates, so it applies to instances that have them."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether jobs have due dates."""
        return instance.due is not None

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        for instance in simulation.instances:
            if instance.due is None:
                raise OptionError(f"this rule needs due dates, which {instance.name} has not")
        return super().act(simulation, generator, explore)


@dataclass(frozen=True)
class WeightRule(Rule):
    """A rule that reads weights, so it applies to instances that have them."""

    @staticmethod
    def accepts(instance, options) -> bool:
        """Whether weights tell the jobs apart."""
        return instance.weighted

    def act(self, simulation, generator, explore):
        """See Policy.act."""
        if "weight" not in simulation.columns:
            raise OptionError(f"this rule needs weights, which {simulation.instances[0].name} has not")
        return super().act(simulation, generator, explore)


def now(c: Columns) -> torch.Tensor:
    """The decision time, (B, A)."""
    return c.due_date - c.slack - c.remaining_work


def modified_due_date(c: Columns) -> torch.Tensor:
    """Baker and Bertrand (1982): the due date, or the earliest completion where that is later."""
    return torch.maximum(c.due_date, now(c) + c.remaining_work)


def modified_operation_due_date(c: Columns) -> torch.Tensor:
    """Baker and Kanet (1983): the same of the operation at hand, by its own due date."""
    return torch.maximum(c.operation_due_date, now(c) + c.processing_time)


def weighted_modified_due_date(c: Columns) -> torch.Tensor:
    """Kanet and Li (2004): the time until the modified due date over the weight."""
    return torch.maximum(c.due_date - now(c), c.remaining_work).double() / c.weight.clamp_min(1)


def candidates(c: Columns) -> torch.Tensor:
    """(B, A), 1 for each job that may be chosen; waiting is none."""
    return c.action_mask * (c.next_machine >= 0)


def mean_length(c: Columns) -> torch.Tensor:
    """Mean processing time of the candidates, (B, 1), at least one unit."""
    legal = candidates(c)
    count = legal.sum(dim=1, keepdim=True).clamp_min(1)
    return ((c.processing_time * legal).sum(dim=1, keepdim=True).double() / count).clamp_min(1.0)


def apparent_tardiness_cost(c: Columns) -> torch.Tensor:
    """ATC of Vepsalainen and Morton (1987), negated: weight over length, less the more slack there is.

    Logarithms are compared, so that nothing is too small to tell apart.
    """
    length = c.processing_time.clamp_min(1).double()
    later = (1 + WAIT) * (c.remaining_work - c.processing_time)
    slack = (c.due_date - now(c) - c.processing_time - later).clamp_min(0)
    return slack / (LOOK_AHEAD * mean_length(c)) - (c.weight.clamp_min(1) / length).log()


def cost_over_time(c: Columns) -> torch.Tensor:
    """COVERT of Carroll (1965), weighted as in Vepsalainen and Morton (1987), negated.

    Jobs whose slack exceeds all expected waiting cost nothing yet; among these the least slack, by that measure, goes
    first.
    """
    waiting = LOOK_AHEAD * WAIT * c.remaining_work.clamp_min(1).double()
    urgency = 1 - c.slack.clamp_min(0) / waiting
    price = c.weight.clamp_min(1) / c.processing_time.clamp_min(1).double()
    return -torch.where(urgency > 0, price * urgency, urgency)


def critical_ratio(c: Columns) -> torch.Tensor:
    """Time until the due date over remaining work (Berry and Rao 1975)."""
    return (c.slack + c.remaining_work).double() / c.remaining_work.clamp_min(1)


def mdd_challenger(c: Columns) -> torch.Tensor:
    """MDDC of Cetinkaya, Buyuktahtakin, Shojaee and Reddy (2025), Algorithm 2, over the candidates.

    Equal scores go to the shorter job, as in their list, which is sorted by length. Their EDDC is not here: as printed
    (Algorithm 1) it swaps neighbours in a list sorted by due date only where an earlier due date stands behind a later
    one, which is nowhere, so that it is EDD.
    """
    legal, time = candidates(c), now(c)
    length = c.remaining_work.double()
    longest = (c.remaining_work * legal).amax(dim=1, keepdim=True)
    mean = (c.remaining_work * legal).sum(dim=1, keepdim=True) / legal.sum(dim=1, keepdim=True).clamp_min(1)
    score = torch.maximum(1.1 * length + time, c.due_date.double())
    ratio = (length / (time + longest).clamp_min(1)).clamp_max(1)
    score = score * (1 + ratio**2 / (1 + ratio**2)) + length / (time + mean).clamp_min(1e-9)
    return _ranks(legal, score, c.remaining_work)


def panwalkar_smith_koulamas(c: Columns) -> torch.Tensor:
    """PSK of Panwalkar, Smith and Koulamas (1993): one pass over the candidates in the order of length.

    The job at hand is taken when it would be late anyway, or no more on time after the next one; a job behind it with
    an earlier due date takes its place.
    """
    legal = candidates(c)
    order = _ranks(legal, c.remaining_work, c.due_date).argsort(dim=1)
    time = now(c).gather(1, order)
    length, due = c.remaining_work.gather(1, order), c.due_date.gather(1, order)
    legal = legal.gather(1, order) == 1
    at = torch.zeros_like(order[:, 0])
    its_due, taken = due[:, 0], time[:, 0] + length[:, 0] >= due[:, 0]
    for k in range(1, order.shape[1]):
        end = time[:, k] + length[:, k]
        open_ = legal[:, k] & ~taken
        taken = taken | (open_ & (its_due <= end))
        better = open_ & ~taken & (due[:, k] < its_due)
        at, its_due = torch.where(better, k, at), torch.where(better, due[:, k], its_due)
        taken = taken | (better & (end >= its_due))
    key = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
    return key.scatter(1, order.gather(1, at.unsqueeze(1)), -1)


def _ranks(legal: torch.Tensor, key: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Places of the candidates by a key and, where that is equal, a second one; the others come last."""
    order = second.argsort(dim=1, stable=True)
    largest = torch.finfo(torch.float64).max
    first = key.double().masked_fill(legal == 0, largest).gather(1, order)
    order = order.gather(1, first.argsort(dim=1, stable=True))
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)
