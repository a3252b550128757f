"""Rules, search and solvers of VM rescheduling, by the name they have on the command line.

Every rule is one line over the candidates' columns. A rule moves a VM only where that frees something; where nothing
does it stops, or waits as long as the cluster lives on. Where VMs are not placed, it places them first, the most
important ones before the others, and evicts nobody. Ties go to the first candidate.
"""

from ..envs.core.policies import RandomRule, Rule

FIRST = 2**20  # what comes first in a key, so that what follows only breaks ties
LEVEL = 2.0**56  # above every key: places by importance
NEVER = 2.0**62
STOP = 3


def _rule(move, place, doc: str, **options) -> Rule:
    """A rule from the key of moves that free something and the key of placing a VM; both below 2**56."""

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
    return -(c.gain * 840 // c.length.clamp_min(1)) * FIRST + c.waste * 64 + c.length


POLICIES = {
    "no-op": Rule(lambda c: c.kind != STOP, "leaves everything as it is"),
    "first-fit": _rule(
        lambda c: c.vm * FIRST + c.node, lambda c: c.vm * FIRST + c.node, "the first VM to the first node that frees something"
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
        _per_move, _largest_first, "the few moves that complete a slot with the fewest of them, the least waste first",
        moves="macro",
    ),
    "random": RandomRule(),
}  # fmt: skip
