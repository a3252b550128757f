"""Judges schedules of requests from the problem statement alone; shares no code with any simulator."""

from ..core.checking import MAX_MESSAGES as MAX_MESSAGES
from ..core.schedule import Schedule, Violation
from .claim import Admission
from .conditions import TOTALS
from .instance import LLMInstance
from .life import Stay
from .metrics import metrics as metrics
from .replay import Replay, replay


def check(instance: LLMInstance, schedule: Schedule) -> list[Violation]:
    """Say everything that is wrong with a schedule.

    What is decided is when a request is admitted to the batch of a server, and which ones are rejected. All else
    follows, and is replayed, iteration by iteration, from the admissions that the schedule claims. The k-th stay of a
    request in a batch (k = 0, 1, ...) is row 2k, from its admission to the end of its prefill, or of the stay if that
    comes first; and row 2k + 1, from there to the end of the stay, where a token was emitted in it that was not the
    request's last, or where it began with its prefill complete. Row -1 is the longest pause between two tokens of a
    request (the first of equals) on the server of the later one, and row -2 on server -1 is its rejection. The rules,
    each reported under its own name:

    - ``shape``: rows name requests and servers that there are, each step once, and stays are counted by twos.
    - ``order``: stays stand in order of time (at one time in order of servers that run something), row 2k + 1 right
      after row 2k; then pauses, then rejections, both in order of requests.
    - ``waiting``: who is admitted does not run, has not finished and was not rejected.
    - ``arrival``: it has arrived.
    - ``boundary``: no iteration of the server is under way.
    - ``preemption``: nobody is admitted where somebody is preempted at that boundary; and a stay ends by a
      preemption, or does not, as it is claimed.
    - ``server``: who holds KV tokens from a stay before (swapped out, or replaced on a serial preemptive server) is
      admitted to that server.
    - ``sequences``: fewer than ``max_num_seqs`` run; on a preemptive server the one that runs is replaced.
    - ``budget``: after one token for each decoding request and what prefills lack, a token of the budget is left.
    - ``capacity``: what running requests own, the entries of the prefix cache that they use, what the new one needs
      and, while something runs, the watermark are no more than the blocks of the server.
    - ``reject``: only where misses are counted, and only who has arrived, does not run, has not finished and is not
      admitted later.
    - ``timing``: prefills and stays end when they do in the replay.
    - ``pause``: the longest pauses are those of the replay.
    - ``totals``: what the conditions claim of each server, iterations, busy time, block time and preemptions, is true.
    - ``complete``: every request finishes or is rejected.

    An admission that breaks a rule is carried out all the same, at the next boundary where it was at none, unless the
    request does not wait; what follows is judged by that. Not checked: whether the schedule could be better, whether
    requests were dispatched to servers when they arrived, whether a decision was asked for at that moment, and whether
    ``schedule.instance`` is the instance given. Entries may hold any integers.

    Args:
        instance: the problem.
        schedule: the claim to be judged.

    Returns:
        Every violation, in words; empty when the schedule is feasible. At most ``MAX_MESSAGES`` are
        listed for each rule, and one more then counts the rest.

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    found = replay(instance, schedule)
    for admission, stay in found.stays:
        _judge_stay(found, admission, stay)
    _judge_rejections(found)
    _judge_pauses(found)
    _judge_totals(found)
    _judge_complete(found)
    return list(found.claim.violations())


def _judge_stay(found: Replay, admission: Admission, stay: Stay) -> None:
    report = found.claim.report
    end = stay.end if stay.prefilled is None else stay.prefilled
    if admission.prefilled != end:
        what = "is preempted" if stay.prefilled is None else "has its prefill done"
        report("timing", f"{admission} {what} at {end}, not at {admission.prefilled}")
    # a token that was not the request's last one, or any where the prefill was complete before
    decodes = stay.emitted > (1 if stay.finished and not stay.began_prefilled else 0)
    claimed, true = admission.decode, (stay.server, stay.prefilled, stay.end) if decodes else None
    if claimed == true:
        return
    ends = f"{'finishes' if stay.finished else 'is preempted'} at {stay.end}"
    if true is None:
        report("preemption", f"{admission} {ends}, but has a row of decode steps")
    elif claimed is None:
        report("preemption", f"{admission} {ends}, but has no row of decode steps from {stay.prefilled} on")
    else:
        report("timing", f"{admission} {ends}: its decode steps are {_span(true)}, not {_span(claimed)}")


def _judge_rejections(found: Replay) -> None:
    claim, lives = found.claim, found.lives
    for request, time in claim.rejections.items():
        rejects = f"request {request} is rejected at {time}"
        if claim.instance.objective != "miss_rate":
            claim.report("reject", f"{rejects}, which is for the objective miss_rate alone")
        arrival = found.arrival(request)
        if arrival is None:
            claim.report("reject", f"{rejects}, but what it follows is never done")
        elif time < arrival:
            claim.report("reject", f"{rejects}, before it arrives at {arrival}")
        last = lives[request].stays[-1] if lives[request].stays else None
        if last and last.finished:
            claim.report("reject", f"{rejects}, but it finishes at {last.end}")
        elif last and time < last.end:
            claim.report("reject", f"{rejects}, but it runs until {last.end}")


def _judge_pauses(found: Replay) -> None:
    claim = found.claim
    for request, life in enumerate(found.lives):
        claimed, true = claim.pauses.get(request), life.pause and life.pause[1:]
        if claimed == true:
            continue
        text = f"the longest pause of request {request} is"
        if true is None:
            claim.report("pause", f"request {request} has no two tokens, but a row says it pauses {_span(claimed)}")
        elif claimed is None:
            claim.report("pause", f"{text} {_span(true)}: no row says so")
        else:
            claim.report("pause", f"{text} {_span(true)}, not {_span(claimed)}")


def _span(pause: tuple[int, int, int]) -> str:
    server, start, end = pause
    return f"from {start} to {end} on server {server}"


def _judge_totals(found: Replay) -> None:
    claim, servers = found.claim, found.servers
    true = {
        "iterations": [len(server.durations) for server in servers],
        **{name: [getattr(server, name) for server in servers] for name in TOTALS[1:]},
    }
    for name in TOTALS:
        claimed = getattr(claim.conditions, name)
        if len(claimed) != len(servers):
            claim.report("totals", f"{name} are claimed of {len(claimed)} servers, but there are {len(servers)}")
            continue
        for server, (said, value) in enumerate(zip(claimed, true[name], strict=True)):
            if said != value:
                claim.report("totals", f"{name} of server {server} are {value}, not {said}")


def _judge_complete(found: Replay) -> None:
    claim = found.claim
    for request, life in enumerate(found.lives):
        if life.finish is None and request not in claim.rejections:
            text = f"is preempted at {life.stays[-1].end} and not admitted again" if life.stays else "is never admitted"
            claim.report("complete", f"request {request} {text}")
