"""Rules that send each arrival to a server, by the name they have on the command line."""

import torch

from ..envs.core.policies import RandomRule, Rule

OPTIONS = {"control": "routing"}
FAR = 1e15  # behind every other server
THRESHOLD = 8  # requests that the server with the warmest cache may have more than the emptiest one
SIZE_SPEED = 0.25e6  # us for each doubling of the prompt on a server that is half as fast


class _ForFleets:
    """With one server there is nothing to choose."""

    def accepts(self, instance, options) -> bool:
        """Whether there is more than one server."""
        return len(instance.servers) > 1


class RoutingRule(_ForFleets, Rule):
    """A rule that sends arrivals to servers."""


class RandomRouting(_ForFleets, RandomRule):
    """Any server, all equally likely."""


def _rule(key, doc: str) -> RoutingRule:
    def of_servers(c):
        return torch.where(c.kind == 0, key(c).double(), 10 * FAR)  # turns nobody away

    return RoutingRule(of_servers, doc, options=OPTIONS)


def _load(c):
    return c.batch + c.in_queue


def _least(c, key):
    """The least of a key over the servers, (B, 1)."""
    return key.masked_fill(c.kind != 0, 2**40).amin(1, keepdim=True)


def _warm(c):
    """The warmest cache among servers that are not much fuller than the emptiest one."""
    full = _load(c) > _least(c, _load(c)) + THRESHOLD
    return full.double() * FAR - c.hit.double() * 1e4 + _load(c)


def _two_hashes(c):
    """Of the two servers that the prefix hashes to: the warmer one that is in time, else the less loaded one."""
    elsewhere = (c.hash_rank > 1).double()
    late = (c.slack < 0).double()
    return elsewhere * FAR + late * 1e12 + torch.where(c.slack < 0, c.backlog, -c.hit * 1000 + _load(c)).double()


def _freeness(c):
    """Free memory, less what waits for it, for each request (Llumnix, Sun et al. 2024)."""
    return -(c.free_tokens - c.backlog).double() / _load(c).clamp_min(1)


def _weighed(c):
    """Seconds to the first token, the share that is cached and the load, in weights set by hand."""
    return 6e-6 * c.ttft - 8.0 * c.hit / c.prompt.clamp_min(1) + 3.0 / 16 * _load(c)


def _size_speed(c):
    slow = c.slowness.double() / 1000 - 1
    return c.ect + SIZE_SPEED * slow * c.prefill.clamp_min(1).double().log2()


ROUTING = {
    "round-robin": _rule(lambda c: c.turn, "routing: one after the other"),
    "random-server": RandomRouting("routing: any server, uniformly at random", options=OPTIONS),
    "jsq": _rule(_load, "routing: join the shortest queue, those that run included (Winston 1977)"),
    "jsq-speed": _rule(lambda c: (_load(c) + 1) * c.slowness, "routing: the same, times the server's slowness"),
    "power-of-two": _rule(
        lambda c: (c.draw > 1).double() * FAR + _load(c),
        "routing: the emptier of two drawn at random (Mitzenmacher 2001)",
    ),
    "least-kv": _rule(lambda c: -c.free, "routing: most free memory, as a share"),
    "freeness": _rule(_freeness, "routing: most free memory for each request (Llumnix, Sun et al. 2024)"),
    "least-ttft": _rule(lambda c: c.ttft, "routing: earliest predicted first token, caches considered"),
    "ttft-feasible": _rule(
        lambda c: torch.where(c.slack >= 0, c.ect.double(), FAR + c.ttft.double()),
        "routing: of the servers that are in time the earliest last token, else the earliest first token",
    ),
    "ect": _rule(lambda c: c.ect, "routing: earliest predicted completion"),
    "ect-size": _rule(_size_speed, "routing: the same, long prompts not to slow servers"),
    "best-fit": _rule(
        lambda c: (c.slack < 0).double() * FAR - c.ect * (1 - 2 * (c.slack < 0).long()),
        "routing: the last to complete of the servers that are in time",
    ),
    "hit-load": _rule(_warm, f"routing: warmest cache of servers with at most {THRESHOLD} requests above the least"),
    "weighed": _rule(_weighed, "routing: first token, cached share and load in weights that were tuned by hand"),
    "affinity": _rule(lambda c: c.hash_rank, "routing: by the hash of the prefix alone"),
    "two-hashes": _rule(_two_hashes, "routing: the warmer of two hashed servers while in time (DualMap, 2026)"),
    "sticky": _rule(
        lambda c: -c.last_here.double() * FAR + _load(c), "routing: where its session ran, else the shortest queue"
    ),
}  # fmt: skip
