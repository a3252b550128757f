"""Rules, planners and solvers of the SoC, by the name they have on the command line.

Every rule is one line over the candidates' columns and runs in every mode: planning, it is the list scheduler of that
name; online, it binds late (what has not started is taken back at each event), at its best, unless told otherwise. Ties
go to the first ready task by the option ``priority``, then to the lowest element.
"""

import dataclasses
import time

from ..envs.core.policies import RandomRule, Rule
from ..envs.core.registry import family
from ..envs.core.solvers import Answer, Exact, Limits, run, world_of

LATE = {"binding": "late", "choice": 0}
FIRST = 2**31  # what comes first in a key, so that what follows only breaks ties
NEVER = 2.0**62


def _rule(key, doc: str, **options) -> Rule:
    """A rule that waits only where nothing else is legal."""

    def with_waiting(c):
        return key(c).double().masked_fill(c.job < 0, NEVER)

    return Rule(with_waiting, doc, options=LATE | options)


def _follow(planner: str, replan: bool, doc: str, **options) -> Rule:
    """A rule that does what a plan says and waits where it says nothing: online, also where one could plan."""
    options = LATE | {"mode": "online", "planner": planner, "replan": replan} | options
    return Rule(lambda c: 1 - 2 * c.planned + (c.job >= 0), doc, options=options)


def _path(c):
    return c.earliest_finish + c.optimistic_cost


def _cpop(c):
    elsewhere = (c.critical_element >= 0) & (c.critical_element != c.element)  # second to where it belongs, if it can
    return (2 * c.cpop_rank + elsewhere) * FIRST + c.earliest_finish


def _cp_sat(instance, limits: Limits) -> Answer:
    from .soc_cp_sat import solve_soc

    options = _options(instance, limits)
    conditions = {name: getattr(options, name) for name in options.world} | {"seed": limits.seed % 2**31}
    conditions["world"] = world_of(instance)
    answer = solve_soc(instance, time_limit=limits.time_limit, seed=limits.seed, conditions=conditions)
    return Answer(answer.schedule, answer.runtime_s, answer.bound, answer.status)


def _options(instance, limits: Limits):
    return family(instance.family).make_options(**limits.options)


def _lookahead(instance, limits: Limits) -> Answer:
    from .list_scheduling import lookahead_heft

    options = _options(instance, limits)
    begin = time.perf_counter()
    schedule = lookahead_heft(instance, options.insertion, options.rounding)
    return Answer(schedule, time.perf_counter() - begin)


def _best_rule(instance, limits: Limits) -> Answer:
    """The best of the one-pass rules' schedules: what everybody can have for nothing."""
    once = dataclasses.replace(limits, samples=1, progress=lambda count: None)
    answers = [run(POLICIES[name], [instance], once)[0] for name in ONE_PASS]
    best = min(answers, key=lambda answer: answer.schedule.metrics()["makespan"])
    return Answer(best.schedule, sum(answer.runtime_s for answer in answers))


def _plans(instance, options) -> bool:
    return options.plans(instance.static) and instance.static and not options.shared_bus


ONE_PASS = ("heft", "cpop", "peft", "rank-oct", "min-min", "max-min", "sufferage", "etf", "mct", "met", "olb", "stf")
POLICIES = {
    "heft": _rule(
        lambda c: c.upward_rank * FIRST + c.earliest_finish,
        "by upward rank, to the earliest finish (Topcuoglu, Hariri and Wu 2002)",
    ),
    "cpop": _rule(_cpop, "by upward plus downward rank, the critical path on one element (Topcuoglu et al. 2002)"),
    "peft": _rule(
        lambda c: c.optimistic_rank * FIRST + _path(c),
        "by mean optimistic cost, to the earliest finish plus optimistic cost (Arabnejad and Barbosa 2014)",
    ),
    "rank-oct": _rule(lambda c: c.upward_rank * FIRST + _path(c), "order of HEFT, elements of PEFT"),
    "min-min": _rule(lambda c: c.earliest_finish, "the pair that finishes first (Ibarra and Kim 1977)"),
    "max-min": _rule(
        lambda c: -c.best_finish * FIRST + c.earliest_finish,
        "the task whose earliest finish is latest, to its best element (Ibarra and Kim 1977)",
    ),
    "sufferage": _rule(
        lambda c: (c.best_finish - c.second_finish) * FIRST + c.earliest_finish,
        "the task that loses most on its second best element (Maheswaran et al. 1999)",
    ),
    "etf": _rule(
        lambda c: c.earliest_start * FIRST + c.upward_rank,
        "the pair that starts first, ties by upward rank (Hwang, Chow, Anger and Lee 1989)",
    ),
    "mct": _rule(
        lambda c: c.ready_order * FIRST + c.earliest_finish, "first come, to the earliest finish (Braun et al. 2001)"
    ),
    "met": _rule(
        lambda c: c.ready_order * FIRST + c.execution_time, "first come, to the fastest element (Braun et al. 2001)"
    ),
    "olb": _rule(
        lambda c: c.ready_order * FIRST + c.earliest_start,
        "first come, to the element that is free first (Braun et al. 2001)",
    ),
    "stf": _rule(
        lambda c: c.execution_time * FIRST + c.earliest_finish, "the shortest pair first, as in DS3 (Arda et al. 2020)"
    ),
    "pilot": _rule(
        lambda c: c.pilot_makespan * FIRST + c.earliest_finish,
        "plan only: the pair after which planning the rest gives the least makespan (pilot method, Duin and Voss 1999)",
        pilot="both",
    ),
    "random": RandomRule(options=LATE),
    "heft-static": _follow("heft", False, "HEFT's plan of each job, kept whatever happens"),
    "peft-static": _follow("peft", False, "PEFT's plan of each job, kept whatever happens"),
    "heft-replan": _follow("heft", True, "HEFT's plan of all that is left, made anew at each event"),
    "peft-replan": _follow("peft", True, "PEFT's plan of all that is left, made anew at each event"),
    "srpt-replan": _follow("heft", True, "the same, the job with the fewest tasks left first", priority="srpt"),
    "lookahead": Exact(
        _lookahead,
        "plan only: HEFT that looks at the children (Bittencourt, Sakellariou and Madeira 2010)",
        proves=False,
        accepts=_plans,
    ),
    "best-rule": Exact(
        _best_rule, "plan only: the best schedule of the rules of one pass", proves=False, accepts=_plans
    ),
    "cp-sat": Exact(
        _cp_sat,
        "constraint programming (OR-Tools); of noise and arrivals it knows all beforehand",
        accepts=lambda instance, options: not options.shared_bus and not options.wip_cap,
    ),
}
