"""Reads the objectives of LLM request admission off a schedule."""

import numpy as np

from ..core.schedule import Schedule
from .conditions import Conditions
from .instance import LLMInstance
from .replay import servers_of

SECOND = 1_000_000  # us
PAUSE, REJECTION = -1, -2


def metrics(instance: LLMInstance, schedule: Schedule) -> dict[str, float | int]:
    """Read the objectives off a schedule.

    Nothing is checked and nothing replayed: of an infeasible schedule the figures mean little. A request has finished
    at the end of its last stay, unless it was rejected or no row says that it ever emitted a token. The arrival of a
    follow-up is when its parent finished or was rejected, and the time to think after it.

    Args:
        instance: the problem.
        schedule: what ran where and when; see ``validator.check`` for its rows.

    Returns:
        Times in seconds. Of finished requests the ``mean``, ``p50``, ``p90`` and ``p99`` of ``ttft_``, the time from
        the arrival to the first token; of ``e2e_``, to the last one; of ``tbt_``, of the longest pause between two
        tokens of those that have two (0 where nobody has any).
        ``goodput``, the share of all requests that finished and kept each target they have, and ``miss_rate``, the
        share of the others; ``goodput_class_<priority>``, likewise, where there are several classes.
        ``flow_time_total``, the sum of times to the last token; ``makespan``, when the last request finished;
        ``throughput``, finished requests, and ``token_throughput``, their output tokens, a second of that.
        ``preemptions``, ``iterations``, as the conditions claim; ``rejected``, how many requests.
        ``kv_utilisation``, blocks of running requests over those of all servers, in the mean over the makespan.
        ``jain``, the index of Jain et al. (1984) of how fair clients are served: over clients that ask, of tokens
        (prompt and output) of finished requests over tokens of all (0 where nothing finished).

    Raises:
        ScheduleError: if one of ``schedule.conditions`` is not known or out of range, naming it.
    """
    conditions = Conditions.read(schedule.conditions)
    servers = servers_of(instance, conditions)
    first, finish, pauses, rejected = _read(instance, schedule)
    arrival = _arrivals(instance, finish, rejected)
    # what follows something that is not done never arrives, whatever its rows say
    done = [request for request in sorted(finish) if arrival[request] is not None]
    ttft = {request: first[request] - arrival[request] for request in done}
    e2e = {request: finish[request] - arrival[request] for request in done}
    tbt = {request: pauses[request] for request in done if request in pauses}
    good = _good(instance, ttft, e2e, tbt)
    makespan = max((finish[request] for request in done), default=0)
    seconds = makespan / SECOND
    blocks = makespan * sum(server.blocks for server in servers)
    tokens = int(instance.output[done].sum(dtype=np.int64))
    result: dict[str, float | int] = {}
    for name, times in (("ttft", ttft), ("e2e", e2e), ("tbt", tbt)):
        result |= _statistics(name, list(times.values()))
    result |= {"goodput": float(good.mean()), "miss_rate": float((~good).mean())}
    classes = np.unique(instance.priority).tolist()
    if len(classes) > 1:
        result |= {f"goodput_class_{one}": float(good[instance.priority == one].mean()) for one in classes}
    return result | {
        "flow_time_total": sum(e2e.values()) / SECOND,
        "makespan": seconds,
        "throughput": len(done) / seconds if makespan > 0 else 0.0,
        "token_throughput": tokens / seconds if makespan > 0 else 0.0,
        "preemptions": sum(conditions.preemptions),
        "iterations": sum(conditions.iterations),
        "rejected": len(rejected),
        "kv_utilisation": sum(conditions.block_time) / blocks if makespan > 0 else 0.0,
        "jain": _jain(instance, done),
    }


def _read(instance: LLMInstance, schedule: Schedule) -> tuple[dict, dict, dict, dict]:
    """First tokens, finishes, longest pauses and rejections by request, in us."""
    rows = schedule.entries[(schedule.column("work") >= 0) & (schedule.column("work") < instance.requests)]
    request, step, _, start, end = rows.T

    def by_request(chosen: np.ndarray, values: np.ndarray) -> dict[int, int]:
        # of several rows of a request the one with the lowest step, and of those the first, is written last
        order = chosen[np.lexsort((-chosen, -step[chosen]))]
        return dict(zip(request[order].tolist(), values[order].tolist(), strict=True))

    stays, odd = np.flatnonzero(step >= 0), np.flatnonzero((step >= 0) & (step % 2 == 1))
    rejected = by_request(np.flatnonzero(step == REJECTION), start)
    first = by_request(odd, start)
    order = stays[np.lexsort((stays, step[stays]))]
    finish = dict(zip(request[order].tolist(), end[order].tolist(), strict=True))
    for one in list(finish):
        if one in rejected or (one not in first and instance.output[one] > 1):
            del finish[one]
    first = {one: first.get(one, time) for one, time in finish.items()}
    paused = np.flatnonzero(step == PAUSE)
    begun, over = by_request(paused, start), by_request(paused, end)
    # Python integers: differences of hostile 64-bit numbers must not wrap around
    return first, finish, {one: over[one] - begun[one] for one in over}, rejected


def _arrivals(instance: LLMInstance, finish: dict, rejected: dict) -> list[int | None]:
    """When each request arrives, in us; None where what it follows is never done."""
    arrival: list[int | None] = []
    for time, parent in zip(instance.arrival.tolist(), instance.parent.tolist(), strict=True):
        if parent >= 0:
            before = finish.get(parent, rejected.get(parent))
            time = None if before is None else before + time
        arrival.append(time)
    return arrival


def _good(instance: LLMInstance, ttft: dict, e2e: dict, tbt: dict) -> np.ndarray:
    """(n,) bool: who finished and kept every target."""
    good = np.zeros(instance.requests, dtype=bool)
    good[list(e2e)] = True
    targets = ((ttft, instance.ttft_target), (tbt, instance.tbt_target), (e2e, instance.e2e_target))
    for times, target in targets:
        target = target.tolist()
        for request, time in times.items():
            if target[request] and time > target[request]:
                good[request] = False
    return good


def _statistics(name: str, times: list[int]) -> dict[str, float]:
    seconds = np.array(times, dtype=float) / SECOND if times else np.zeros(1)
    points = dict(zip(("p50", "p90", "p99"), np.percentile(seconds, (50, 90, 99)).tolist(), strict=True))
    return {f"{name}_{what}": value for what, value in {"mean": float(seconds.mean()), **points}.items()}


def _jain(instance: LLMInstance, done: list[int]) -> float:
    tokens = instance.prompt.astype(np.int64) + instance.output
    demanded = np.bincount(instance.client, tokens)
    served = np.bincount(instance.client[done], tokens[done], len(demanded))
    share = served[demanded > 0] / demanded[demanded > 0]
    return float(share.sum() ** 2 / (len(share) * (share**2).sum())) if share.any() else 0.0
