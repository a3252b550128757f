"""What there is to see of a schedule: the cluster before and after, the curve between, and a line that sums it up."""

import numpy as np

from ..core.schedule import Schedule
from .metrics import unplaced
from .occupancy import NOWHERE, SLOT, WIDE_SLOT
from .replay import replay

MINUTES = 180_000  # ms; a longer time is counted in minutes, a shorter one in seconds


class View:
    """A schedule, carried out and ready to be drawn.

    Args:
        schedule: the claim.

    Attributes:
        instance, record: the problem, and what carrying out the schedule came to.
        before, after: (hosts, 2) int64, free cores; below 0 where more is taken than there is.
        left, reached: the nodes that were left by a move, and those it went to.
        moved: the VMs that were moved, placed or evicted, in order.
        times: where the curve changes, in actions or ms, ascending.
        levels: the priorities that are told apart; empty where the curve is the fragment rate.
        heights: (levels or 1, times) float, the curve: fragment rates in percent, or VMs of each priority.
        until: where the time axis ends, in actions or ms.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """

    def __init__(self, schedule: Schedule):
        self.instance = instance = schedule.instance
        self.record = record = replay(instance, schedule)
        self.before = instance.free_cores.astype(np.int64)
        self.after = record.state.cores
        moves = [move for move in record.moves if not move.stale]
        self.left, self.reached = (self._nodes(moves, end) for end in ("source", "target"))
        self.moved = list(dict.fromkeys(move.vm for move in moves))
        self.times, self.levels = record.times, []
        self.heights = 100 * np.array([record.rates])
        if instance.pack:
            self.times, self.levels, self.heights = self._unplaced()
        self.until = instance.horizon or len(record.actions) + 1  # what the last action leaves is seen as well

    @property
    def totals(self) -> list[float]:
        """The height of the whole curve, (times,)."""
        return self.heights.sum(axis=0).tolist()

    @property
    def moments(self) -> tuple[str, str]:
        """What the two pictures of the cluster are called."""
        if self.instance.dynamic:
            return "at the start", "at the horizon"
        return "before", f"after {_count(len(self.record.actions), 'action')}"

    @property
    def curve_name(self) -> str:
        """What the curve shows."""
        if self.instance.pack:
            return "VMs that are not placed"
        wide, memory = self.record.conditions.weight_64, self.record.conditions.weight_memory
        parts = (("FR-16", 100 - wide - memory), ("FR-64", wide), ("memory", memory))
        mixed = ", ".join(f"{weight}% {name}" for name, weight in parts if weight)
        return "fragment rate" + f" ({mixed})" * (wide + memory > 0)

    def headings(self, after: bool) -> tuple[str, ...]:
        """What to say above the cluster before or after, the longest first."""
        free = (self.after if after else self.before).clip(0)
        slots, left = f"{(free // SLOT).sum()} slots of {SLOT}", f"{(free % SLOT).sum()} cores in fragments"
        if self.record.conditions.weight_64:
            slots += f" and {(2 * free // WIDE_SLOT).min(axis=1).sum()} of {WIDE_SLOT}"
        when = self.moments[after]
        return f"{when}: {slots} free, {left}", f"{when}: {left}", when

    @property
    def axis_name(self) -> str:
        """What the curve goes by."""
        return f"time ({self.scale[1]})" if self.instance.dynamic else "actions"

    @property
    def scale(self) -> tuple[float, str]:
        """How many ms, or actions, a unit of the time axis has, and what that is called."""
        if not self.instance.dynamic:
            return 1, "actions"
        return (60_000, "min") if self.until >= MINUTES else (1000, "s") if self.until >= 3000 else (1, "ms")

    @property
    def until_text(self) -> str:
        """The end of the time axis in words."""
        if not self.instance.dynamic:
            return _count(len(self.record.actions), "action")
        size, unit = self.scale
        return f"{self.until / size:g} {unit}"

    def number(self, value: float) -> str:
        """A height of the curve in words."""
        return f"{value:.3g}" if self.instance.pack else f"{value:.1f}%"

    @property
    def caption(self) -> str:
        """The schedule in a line."""
        record, instance = self.record, self.instance
        moves = _count(record.migrations, "migration")
        if instance.pack:
            text = f"{round(self.totals[0])} to {sum(unplaced(record).values())} VMs not placed, {moves}"
            return f"{text}, {_count(record.evictions, 'eviction')}"
        if instance.dynamic:
            text = f"fragment rate {100 * record.mean_rate:.1f}% on average, {moves}"
            text += f", {record.stale} stale" * (record.stale > 0)
            return text + f", {len(record.rejected)} rejected" * (len(record.rejected) > 0)
        return f"fragment rate {100 * record.initial:.1f}% to {100 * record.rates[-1]:.1f}%, {moves}"

    def _nodes(self, moves, end: str) -> np.ndarray:
        """The nodes at one end of some moves, both of a host for double VMs; each once."""
        found = set()
        for move in moves:
            node = getattr(move, end)
            if node != NOWHERE:
                found.update((node, node + 1) if self.record.state.double(move.vm) else (node,))
        return np.array(sorted(found), dtype=np.int64)

    def _unplaced(self) -> tuple[list[int], list[int], np.ndarray]:
        priority = self.instance.priority
        levels = np.unique(priority)
        change = np.zeros((len(levels), len(self.record.times)))
        np.add.at(change[:, 0], np.searchsorted(levels, priority[self.instance.node == NOWHERE]), 1)
        for move in self.record.moves:
            level = np.searchsorted(levels, priority[move.vm])
            change[level, move.time + 1] += int(move.target == NOWHERE) - int(move.source == NOWHERE)
        return self.record.times, levels.tolist(), change.cumsum(axis=1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
