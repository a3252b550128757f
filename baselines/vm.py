"""Rules, search and solvers of VM rescheduling, by the name they have on the command line.

Every rule is one line over the candidates' columns. A rule moves a VM only where that frees something; where nothing
does it stops, or waits as long as the cluster lives on. Where VMs are not placed, it places them first, the most
important ones before the others, and evicts nobody. Ties go to the first candidate.
"""

import dataclasses
import time

from ..envs.core.policies import RandomRule, Rule
from ..envs.core.registry import family
from ..envs.core.solvers import Answer, Exact, Limits
from .vm_replan import Replan

FIRST = 2**20  # what comes first in a key, so that what follows only breaks ties
LEVEL = 2.0**45  # above every key: places by importance; not larger, or sums with keys would lose their last digits
NEVER = 2.0**62
STOP = 3
ROUNDING = 1e-9  # of fragment rates; a proven bound may be above the optimum by no more


def _rule(move, place, doc: str, **options) -> Rule:
    """A rule from the key of moves that free something and the key of placing a VM; both below 2**45."""

    def key(c):
        placing = c.kind == 1
        result = move(c).double() + LEVEL
        result = result.masked_fill(~placing & (c.gain <= 0), NEVER)  # it also evicts nobody
        placed = place(c).double() - LEVEL * (1 + c.importance)
        return placed.where(placing, result).masked_fill(c.kind == STOP, NEVER / 2)

    return Rule(key, doc, options=options or None)


def _largest_first(c):
    return (4096 - c.cores) * FIRST + c.room


def _per_move(c):
    return -(c.gain * 840 // c.length.clamp_min(1)) * FIRST + c.waste * 4096 + c.harm


def _per_copy(c):
    return -(c.gain * 2**20 // c.megabytes.clamp_min(1)).clamp_max(2**23) * FIRST + c.waste * 4096 + c.harm


def _conditions(instance, limits: Limits) -> dict:
    options = family(instance.family).make_options(**limits.options)
    return {name: getattr(options, name) for name in options.world}


def _plans(solve):
    """A solver from a function of (instance, conditions, limits) to a Plan."""

    def answer(instance, limits: Limits) -> Answer:
        from .vm_problem import to_schedule

        conditions = _conditions(instance, limits)
        begin = time.perf_counter()
        plan = solve(instance, conditions, limits)
        seconds = time.perf_counter() - begin
        bound = plan.bound
        if isinstance(bound, float):
            bound = max(0.0, bound - ROUNDING)
        return Answer(to_schedule(instance, plan, conditions), seconds, bound, plan.status)

    return answer


def _mip(instance, conditions, limits: Limits):
    from .vm_mip import solve_mip

    return solve_mip(instance, conditions, limits.time_limit, limits.seed % 2**31)


def _mip_reduced(instance, conditions, limits: Limits):
    from .vm_mip import solve_mip

    plan = solve_mip(instance, conditions, limits.time_limit, limits.seed % 2**31, reduced=True)
    return dataclasses.replace(plan, bound=None)


def _patterns(instance, conditions, limits: Limits):
    from .vm_patterns import solve_patterns

    return solve_patterns(instance, conditions, limits.time_limit, limits.seed % 2**31)


def _pop(instance, conditions, limits: Limits):
    from .vm_pop import solve_pop

    return solve_pop(instance, conditions, limits.time_limit, limits.seed % 2**31)


def _pack(instance, conditions, limits: Limits):
    from .vm_pack import solve_pack

    return solve_pack(instance, conditions, limits.time_limit, limits.seed % 2**31)


def _search(name: str, **options):
    def search(instance, conditions, limits: Limits):
        from . import vm_search

        return vm_search.plan_with(getattr(vm_search, name), instance, conditions, **options)

    return search


def _is_snapshot(instance, options) -> bool:
    return not instance.dynamic and not instance.pack


def _is_plain(instance, options) -> bool:
    return _is_snapshot(instance, options) and not options.weight_64 and not options.weight_memory


def _planner(solve, doc: str, accepts=_is_snapshot) -> Exact:
    return Exact(_plans(solve), doc, proves=False, accepts=accepts)


POLICIES = {
    "no-op": Rule(lambda c: c.kind != STOP, "leaves everything as it is"),
    "first-fit": _rule(
        lambda c: c.vm * FIRST + c.node,
        lambda c: c.vm * FIRST + c.node,
        "the first VM to the first node that frees something",
    ),
    "best-fit": _rule(
        lambda c: c.room * FIRST - c.gain,
        _largest_first,
        "to the node with the least free cores that frees something; the largest VM is placed first",
    ),
    "ha": _rule(
        lambda c: -c.source_gain * FIRST - c.gain,
        _largest_first,
        "the VM whose leaving frees most, then the node where that costs least: filter and score, as in VMR2L (2025)",
    ),
    "greedy": _rule(lambda c: -c.gain * FIRST + c.room, _largest_first, "the move that frees most"),
    "macro-greedy": _rule(
        _per_move,
        _largest_first,
        "the moves that complete a slot with the fewest of them; then the least waste, and the least harm elsewhere",
        moves="macro",
    ),
    "macro-quick": _rule(
        _per_copy, _largest_first, "the few moves that free most for the memory they copy: for copies that take time",
        moves="macro",
    ),
    "quick": _rule(_per_copy, _largest_first, "the move that frees most for the memory that it copies"),
    "random": RandomRule(),
    "swap": _planner(_search("swaps"), "best moves, then exchanges of two VMs, as long as they free something"),
    "beam": _planner(_search("beam"), "beam search over single moves, 16 wide, by slots and how near nodes are to one"),
    "repack": _planner(
        _search("repack"),
        "takes the VMs of the most fragmented hosts out and packs them anew; inspired by alpha-VBPP, not the same",
    ),
    "pop": _planner(_pop, "hosts split at random into 16 parts, each solved exactly (Narayanan et al. 2021)"),
    "patterns": _planner(
        _patterns, "integer program over what leaves and comes to nodes that are alike; FR-16 alone", _is_plain
    ),
    "mip-reduced": _planner(
        _mip_reduced, "integer program over the classes of VMs that change a residue; FR-16 alone", _is_plain
    ),
    "mip-replan": Replan(5, "dynamic: the reduced integer program, solved anew after every 5 moves"),
    "mip": Exact(
        _plans(_mip), "integer program over counts of VMs that are alike (OR-Tools HiGHS)", accepts=_is_snapshot
    ),
    "cp-sat": Exact(
        _plans(_pack),
        "to pack: constraint program, one priority after the other (OR-Tools CP-SAT)",
        accepts=lambda instance, options: instance.pack,
    ),
}  # fmt: skip
