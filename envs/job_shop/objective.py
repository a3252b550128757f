"""What a job shop is judged by: sums over jobs of what their completions cost, the makespan, and mixes of these."""

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .setups import bound as limited_bound

if TYPE_CHECKING:
    from .instance import JobShopInstance

# Each grows with every completion time (they are regular), so semi-active schedules are enough.
MEASURES = (
    "makespan",
    "total_flow_time",
    "total_weighted_flow_time",
    "total_tardiness",
    "total_weighted_tardiness",
    "max_lateness",
    "number_tardy",
    "weighted_number_tardy",
)
NEED_DUE_DATES = frozenset(MEASURES[3:])
MAX_COEFFICIENT = 1000


class Costs(NamedTuple):
    """An objective as coefficients: ``makespan * Cmax + lateness * Lmax`` and, of each job that completes at C,
    ``flow * (C - release) + tardy * max(0, C - due) + late * [C > due]``.
    """

    makespan: int
    lateness: int
    flow: np.ndarray  # (jobs,) int64
    tardy: np.ndarray  # (jobs,) int64
    late: np.ndarray  # (jobs,) int64


def parse_objective(text: str) -> dict[str, int]:
    """Read an objective: a measure, or a mix such as ``"makespan + 3 total_tardiness"``.

    Args:
        text: names of ``MEASURES``, each after a whole number from 1 to ``MAX_COEFFICIENT`` that may be left out,
            joined by plus signs.

    Returns:
        The coefficient of each measure that takes part, in the order of ``MEASURES``.

    Raises:
        UnknownNameError: for a measure that is not known.
        OptionError: for anything else than the above.

    >>> parse_objective("3 total_tardiness + makespan")
    {'makespan': 1, 'total_tardiness': 3}
    """
    if not isinstance(text, str):
        raise OptionError(f"an objective is a text such as 'makespan + 3 total_tardiness', got {text!r}")
    found: dict[str, int] = {}
    for term in text.split("+"):
        match = re.fullmatch(r"\s*(?:([0-9]{1,9})\s+)?([A-Za-z_]{1,40})\s*", term)
        if not match:
            raise OptionError(f"expected '[number] measure' between plus signs in the objective, found {term[:60]!r}")
        coefficient, name = int(match[1] or 1), match[2].lower()
        if name not in MEASURES:
            raise UnknownNameError("measure", name, MEASURES)
        if not 1 <= coefficient <= MAX_COEFFICIENT:
            raise OptionError(f"the coefficient of {name} must be from 1 to {MAX_COEFFICIENT}, got {coefficient}")
        if name in found:
            raise OptionError(f"{name} appears twice in the objective {text!r}")
        found[name] = coefficient
    return {name: found[name] for name in MEASURES if name in found}


def name_of(terms: dict[str, int]) -> str:
    """The one spelling of an objective, which ``parse_objective`` reads back.

    >>> name_of({"makespan": 1, "total_tardiness": 3})
    'makespan + 3 total_tardiness'
    """
    return " + ".join(name if coefficient == 1 else f"{coefficient} {name}" for name, coefficient in terms.items())


def costs_of(instance: "JobShopInstance") -> Costs:
    """The coefficients of an instance's objective."""
    terms = parse_objective(instance.objective)
    weight = instance.weight.astype(np.int64)

    def per_job(plain: str, weighted: str) -> np.ndarray:
        return terms.get(plain, 0) + terms.get(weighted, 0) * weight

    return Costs(
        makespan=terms.get("makespan", 0),
        lateness=terms.get("max_lateness", 0),
        flow=per_job("total_flow_time", "total_weighted_flow_time"),
        tardy=per_job("total_tardiness", "total_weighted_tardiness"),
        late=per_job("number_tardy", "weighted_number_tardy"),
    )


def cost(instance: "JobShopInstance", completion: np.ndarray) -> int:
    """The objective of given completion times.

    Args:
        instance: the problem.
        completion: (jobs,) integers, when each job completes, in time units.
    """
    costs = costs_of(instance)
    completion = np.asarray(completion, dtype=np.int64)
    total = costs.makespan * int(completion.max()) + int((costs.flow * (completion - instance.release)).sum())
    if instance.due is None:
        return total
    lateness = completion - instance.due
    total += costs.lateness * int(lateness.max()) + int((costs.tardy * lateness.clip(min=0)).sum())
    return total + int((costs.late * (lateness > 0)).sum())


def scale(instance: "JobShopInstance") -> int:
    """What rewards, and gaps of objectives that may be 0, are a share of, at least 1.

    It is the objective of an instance in which every job waits from its release, or is tardy, as long as the bound of
    the makespan: a share of it is a mean tardiness (flow time, lateness) in makespans, or a share of the jobs.
    """
    costs = costs_of(instance)
    per_time = costs.makespan + costs.lateness + int(costs.flow.sum() + costs.tardy.sum())
    return max(per_time * makespan_bound(instance) + int(costs.late.sum()), 1)


def makespan_bound(instance: "JobShopInstance") -> int:
    """Taillard's (1993) lower bound of the makespan: the longest job, or a machine between its head and tail.

    Setup times and windows add to it, see ``setups.bound``.
    """
    head, load, tail = machine_bounds(instance)
    longest = (instance.release + instance.duration.sum(axis=1, dtype=np.int64)).max()
    bound = int(max(longest, (head + load + tail).max()))
    return max(bound, limited_bound(instance, head, tail)) if instance.limited else bound


def machine_bounds(instance: "JobShopInstance") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smallest head, load and smallest tail of every machine, (machines,) int64 each; zeros where nothing runs."""
    duration, real = instance.duration.astype(np.int64), instance.machine >= 0
    before = np.cumsum(duration, axis=1) - duration
    after = duration.sum(axis=1)[:, None] - before - duration
    load = np.zeros(instance.machines, np.int64)
    np.add.at(load, instance.machine[real], duration[real])
    head, tail = np.full(instance.machines, 2**30), np.full(instance.machines, 2**30)
    np.minimum.at(head, instance.machine[real], (before + instance.release[:, None])[real])
    np.minimum.at(tail, instance.machine[real], after[real])
    unused = np.bincount(instance.machine[real], minlength=instance.machines) == 0
    head[unused] = tail[unused] = 0
    return head, load, tail
