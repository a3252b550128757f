"""Rules and solvers of the flexible job shop, by the name they have on the command line.

A rule is a choice of job and a choice of machine: of the candidates of the job that comes first, the machine is the one
that finishes the operation first (``/eft``), or runs it in the shortest time (``/spt``), or has been free the longest
(``/free``, which does not look at times). Where candidates all start at once, as in non-delay schedules, the first two
are the same. ``tail-excess`` weighs both choices in one number: what the job has to come after the operation, against
the time by which the machine takes longer than the fastest one. Ties that are left go to the lowest job, then to the
lowest machine.
"""

from collections.abc import Callable

import torch

from ..envs.core.policies import Columns, RandomRule, Rule
from ..envs.core.solvers import Answer, Exact, Limits

Key = Callable[[Columns], torch.Tensor]


def lexicographic(*keys: torch.Tensor) -> torch.Tensor:
    """Rank rows by the first key, ties by the second one, and so on; what is left by position.

    Args:
        keys: (B, A) each.

    Returns:
        (B, A) int64, 0 for the first of a row.
    """
    place = torch.arange(keys[0].shape[1], device=keys[0].device).expand(keys[0].shape)
    order = place
    for key in reversed(keys):
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return torch.zeros_like(order).scatter(1, order, place)


def _waiting(c: Columns) -> torch.Tensor:
    """1 for waiting, where that is an action: rules take it last."""
    return (c.next_machine < 0).long()


def tail_excess(c: Columns) -> torch.Tensor:
    """A late start and an excess time count against what is to come after the operation, 4 and 5 to 1, all in time."""
    return 4 * c.earliest_start + 5 * (c.processing_time - c.shortest_time) - (c.least_work - c.shortest_time)


JOBS: dict[str, tuple[Key, str]] = {
    "fifo": (lambda c: c.arrival, "first job to be ready first"),
    "mopnr": (lambda c: -c.remaining_operations, "most operations remaining first"),
    "mwkr": (lambda c: -c.remaining_work, "most work remaining first, mean times over machines"),
}
MACHINES: dict[str, tuple[Key, str]] = {
    "eft": (lambda c: c.earliest_finish, "where it finishes first"),
    "spt": (lambda c: c.processing_time, "where it takes the shortest time"),
    "free": (lambda c: c.free, "on the machine that has been free the longest"),
}


def _rule(*keys: Key, doc: str, construction: str = "non-delay") -> Rule:
    options = {"construction": construction}
    return Rule(lambda c: lexicographic(_waiting(c), *(key(c) for key in keys)), doc, options=options)


def _cp_sat(instance, limits: Limits) -> Answer:
    from .flexible_job_shop_cp_sat import solve_flexible_job_shop

    answer = solve_flexible_job_shop(instance, time_limit=limits.time_limit, seed=limits.seed % 2**31)
    return Answer(answer.schedule, answer.runtime_s, answer.bound, answer.status)


POLICIES = {
    f"{job}/{machine}": _rule(JOBS[job][0], MACHINES[machine][0], doc=f"{JOBS[job][1]}, {MACHINES[machine][1]}")
    for job in JOBS
    for machine in MACHINES
} | {
    "spt": _rule(lambda c: c.processing_time, doc="the pair with the shortest processing time first"),
    "eft": _rule(lambda c: c.earliest_finish, doc="the pair that finishes first"),
    "tail-excess": _rule(tail_excess, doc="most work after it, less five times the excess over the shortest time"),
    "tail-excess-active": _rule(
        tail_excess,
        doc="the same and four times the start, where pairs may be waited for: better the more machines differ",
        construction="active",
    ),
    "random": RandomRule(options={"construction": "non-delay"}),
    "cp-sat": Exact(_cp_sat, "constraint programming (OR-Tools CP-SAT); proves the optimum when given time"),
}
