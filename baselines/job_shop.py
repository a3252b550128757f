"""Rules and solvers of the job shop, by the name they have on the command line.

The published numbers of a rule mean little without the construction it dispatches in: on ta01-80 the same rules are 6
to 40 points of mean gap worse in the wider choice sets. They are run as non-delay schedules, where they are at their
best, unless told otherwise.
"""

from ..envs.core.policies import RandomRule, Rule
from ..envs.core.solvers import Answer, Exact, Limits

BEST = {"construction": "non-delay"}


def _rule(key, doc: str) -> Rule:
    return Rule(key, doc, options=BEST)


def _cp_sat(instance, limits: Limits) -> Answer:
    from .cp_sat import solve_job_shop

    answer = solve_job_shop(instance, time_limit=limits.time_limit, seed=limits.seed)
    return Answer(answer.schedule, answer.runtime_s, answer.bound, answer.status)


POLICIES = {
    "spt": _rule(lambda c: c.processing_time, "shortest processing time first (Smith 1956)"),
    "lpt": _rule(lambda c: -c.processing_time, "longest processing time first"),
    "mwkr": _rule(lambda c: -c.remaining_work, "most work remaining first, the next operation included (Haupt 1989)"),
    "lwkr": _rule(lambda c: c.remaining_work, "least work remaining first (Haupt 1989)"),
    "mopnr": _rule(lambda c: -c.remaining_operations, "most operations remaining first (Haupt 1989)"),
    "fdd/mwkr": _rule(
        lambda c: (c.completed_work + c.processing_time).double() / c.remaining_work.clamp_min(1),
        "smallest ratio of flow due date to work remaining (Sels, Gheysen and Vanhoucke 2012)",
    ),
    "fifo": _rule(lambda c: c.arrival, "first to arrive at the machine first"),
    "lifo": _rule(lambda c: -c.arrival, "last to arrive at the machine first"),
    "random": RandomRule(options=BEST),
    "cp-sat": Exact(_cp_sat, "constraint programming (OR-Tools CP-SAT); proves the optimum when given time"),
}
