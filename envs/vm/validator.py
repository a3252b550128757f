"""Judges VM rescheduling from the problem statement alone; shares no code with any simulator."""

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.errors import ScheduleError
from ..core.schedule import Schedule, Violation
from .instance import VMInstance
from .metrics import metrics as metrics
from .metrics import penalty
from .replay import replay


def check(instance: VMInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule.

    An entry is an action: it moves a VM that is placed, places one that is not, or evicts one (to node -1). Actions
    are carried out in the order of their steps, and each is judged in the state that the ones before it left. The
    rules, each reported under its own name:

    - ``conditions``: the penalty of a packing is below 2**62, so that 64-bit integers hold it.
    - ``entry``: an action names a VM and a node that exist; a double VM goes by the even node of its host.
    - ``order``: the steps are 0, 1, 2, ..., each once.
    - ``placed``: what is moved or evicted is somewhere, and is moved to another node.
    - ``movable``: what is pinned is neither moved nor evicted.
    - ``capacity``: the cores and the memory that the VM takes are free where it goes, while it still is where it was.
    - ``drained``: nothing goes to a drained host.
    - ``affinity``: no other VM of one of its groups is on the host, or in the rack, where a VM goes.
    - ``evict``: only where VMs were not placed at the start, only a VM of a lower priority than the highest of those
      that are not placed at that moment, and each once.
    - ``limit``: no more migrations and evictions than allowed, stale ones included.
    - ``time``: in a snapshot start and end are the step. Else an action starts before the horizon, and a latency
      or more after the one before it ended; the first one, after time 0. It takes the time to copy the VM.

    Where time runs, an action is judged in the state when it is decided, a latency before its start. One that was
    right then, but cannot be carried out any more, breaks no rule: it is stale, and takes no time. A VM that departs
    while it is copied ends the action then; its entry says when it would have ended. Events at the same time happen
    in this order: departures, the end of a copy, arrivals, decisions.

    An action that breaks a rule is carried out all the same, unless it names what does not exist, moves or evicts
    what is nowhere, evicts where that is not possible, or starts at the horizon or later. Not checked: whether the
    schedule could be better, whether a decision was taken at an event, and whether ``schedule.instance`` is the
    instance given. Entries may hold any integers.

    Args:
        instance: the problem.
        schedule: the claim to be judged; rows in any order.

    Returns:
        Every violation, in words; empty when the schedule is feasible. At most ``MAX_MESSAGES`` are
        listed for each rule, and one more then counts the rest.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    record = replay(instance, schedule)
    if instance.pack:
        try:
            penalty(record)
        except ScheduleError as error:
            record.report("conditions", str(error))
    return list(record.violations())
