"""Rules and solvers of the job shop, by the name they have on the command line.

The published numbers of a rule mean little without the construction it dispatches in: on ta01-80 the same rules are 6
to 40 points of mean gap worse in the wider choice sets. They are run as non-delay schedules, where they are at their
best, unless told otherwise.
"""

import time

from ..envs.core.errors import OptionError
from ..envs.core.policies import RandomRule, Rule
from ..envs.core.registry import family
from ..envs.core.solvers import Answer, Exact, Limits, world_of
from . import due_date_rules as due
from . import preemptive_rules as preemptive
from . import setup_rules as setup
from .job_shop_replan import Replan

BEST = {"construction": "non-delay"}


def _never_waits(key):
    """Where waiting is an action, a rule takes it last."""
    return lambda c: key(c).double().masked_fill(c.next_machine < 0, float("inf"))


def _rule(key, doc: str, kind=Rule) -> Rule:
    return kind(_never_waits(key), doc, options=BEST)


def _due(key, doc: str) -> Rule:
    return _rule(key, doc, due.DueDateRule)


def _cp_sat(instance, limits: Limits) -> Answer:
    from .cp_sat import solve_job_shop
    from .cp_sat_live import conditions_of, solve_live

    options = _without_preemption(instance, limits)
    if options.live:
        conditions = conditions_of(options, limits.seed, world_of(instance))
        answer = solve_live(instance, conditions, time_limit=limits.time_limit, seed=limits.seed)
    else:
        answer = solve_job_shop(instance, time_limit=limits.time_limit, seed=limits.seed)
    return Answer(answer.schedule, answer.runtime_s, answer.bound, answer.status)


def _dynamic_program(instance, limits: Limits) -> Answer:
    from .single_machine import solve_single_machine

    _without_preemption(instance, limits)
    answer = solve_single_machine(instance)
    return Answer(answer.schedule, answer.runtime_s, answer.objective, "optimal")


def _no_events(instance, options) -> bool:
    return not options.live and not options.preemptive


def _one_machine(instance, options) -> bool:
    from .single_machine import why_not

    return _no_events(instance, options) and why_not(instance) is None


def _best_preemptive(instance, limits: Limits) -> Answer:
    began = time.perf_counter()
    schedule = preemptive.best_preemptive(instance)
    return Answer(schedule, time.perf_counter() - began, schedule.metrics()[instance.objective], "optimal")


def _known_optimum(instance, options) -> bool:
    one = options.preemptive and instance.machines == 1 and not instance.limited
    return one and instance.objective in preemptive.OPTIMAL


def _without_preemption(instance, limits: Limits):
    """The family's options; with preemption a schedule without would do, but its bound would be wrong."""
    options = family(instance.family).make_options(**limits.options)
    if options.preemptive:
        raise OptionError("this solver knows no preemption: leave preemptive out")
    return options


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
    "wspt": _rule(
        lambda c: c.processing_time.double() / c.weight.clamp_min(1),
        "smallest ratio of processing time to weight first (Smith 1956)",
        due.WeightRule,
    ),
    "edd": _due(lambda c: c.due_date, "earliest due date first (Jackson 1955)"),
    "odd": _due(lambda c: c.operation_due_date, "earliest operation due date first (Kanet and Hayya 1982)"),
    "mdd": _due(due.modified_due_date, "earliest modified due date first (Baker and Bertrand 1982)"),
    "mod": _due(due.modified_operation_due_date, "earliest modified operation due date (Baker and Kanet 1983)"),
    "wmdd": _due(due.weighted_modified_due_date, "smallest weighted modified due date first (Kanet and Li 2004)"),
    "psk": _due(due.panwalkar_smith_koulamas, "one pass in order of length (Panwalkar, Smith and Koulamas 1993)"),
    "mddc": _due(due.mdd_challenger, "MDD with terms found by a language model (Cetinkaya et al. 2025)"),
    "atc": _due(due.apparent_tardiness_cost, "largest apparent tardiness cost (Vepsalainen and Morton 1987)"),
    "covert": _due(due.cost_over_time, "largest expected cost of tardiness over time (Carroll 1965)"),
    "slack": _due(lambda c: c.slack, "least slack first (Conway 1965)"),
    "slack/op": _due(
        lambda c: c.slack.double() / c.remaining_operations.clamp_min(1),
        "least slack for each operation to come (Conway 1965)",
    ),
    "cr": _due(due.critical_ratio, "smallest critical ratio first (Berry and Rao 1975)"),
    "sst": _rule(lambda c: c.setup_time, "shortest setup time first (Wilbrecht and Prescott 1969)", setup.SetupRule),
    "sspt": _rule(lambda c: c.setup_time + c.processing_time, "shortest setup and processing time", setup.SetupRule),
    "atcs": _rule(
        setup.apparent_tardiness_cost_with_setups,
        "largest apparent tardiness cost with setups (Lee, Bhaskaran and Pinedo 1997)",
        setup.SetupDueDateRule,
    ),
    "random": RandomRule(options=BEST),
    "srpt": _rule(
        lambda c: c.remaining_work,
        "shortest remaining processing time first (Schrage 1968), preemptive",
        preemptive.ClairvoyantRule,
    ),
    "srpt/op": _rule(
        lambda c: c.operation_remaining,
        "shortest remaining time of the operation at hand first, preemptive",
        preemptive.PreemptiveRule,
    ),
    "srpt/served": _rule(
        lambda c: 2 * c.operation_remaining - c.completed_work,
        "remaining time of the operation at hand less half of what the job has had, preemptive",
        preemptive.PreemptiveRule,
    ),
    "setf": _rule(
        lambda c: c.completed_work,
        "shortest elapsed time first (Motwani, Phillips and Torng 1994), preemptive, with a quantum",
        preemptive.QuantumRule,
    ),
    "rr": _rule(
        preemptive.round_robin, "round robin (Kleinrock 1964), preemptive, with a quantum", preemptive.QuantumRule
    ),
    "cp-sat": Exact(
        _cp_sat,
        "constraint programming (OR-Tools); proves the optimum when given time; of noise it knows all beforehand",
        accepts=lambda instance, options: options.uptime == 0 and not options.preemptive,
    ),
    "clairvoyant": Exact(
        _best_preemptive,
        "SRPT or earliest due date that knows everything: optimal for preemptive total flow time or maximum lateness",
        accepts=_known_optimum,
    ),
    "cp-sat-replan": Replan(1.0, "in a live shop: CP-SAT's plan of all that is left, made anew at each event"),
    "dp": Exact(
        _dynamic_program,
        "dynamic program over subsets for one machine and up to 20 jobs (Held and Karp 1962); always optimal",
        accepts=_one_machine,
    ),
}
