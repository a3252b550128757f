"""Rules of LLM request admission, by the name they have on the command line; those that route are in ``llm_routing``.

A rule is one line over the candidates' columns. Most admit whenever somebody fits, of all that wait, and pass over what
does not fit; ties go to who came first. What counts more than the order is the choice set: whether those that are late
wait behind the others, whether the predicted peak of the memory is heeded (Past-Future), whether late ones wait until
half of the memory is free.
"""

import torch

from ..envs.core.policies import RandomRule, Rule
from .llm_routing import ROUTING

SECOND = 1e6  # us
PATIENCE = 0.5 * SECOND  # slack after which the index of ATC has fallen to 1 / e
LATE = 1e15  # behind everybody who can be in time
NEVER = 1e18
ALL = {"control": "admission", "choice": 0, "order": "arrival", "past_future": 0, "defer": 0, "stop": False}
FIRST = ALL | {"choice": 1}  # the simulator itself puts them in order
CAREFUL = {"past_future": 98, "defer": 50}


def _admits(c):
    """Candidates that let a request run, or, on a preemptive server, run on."""
    return (c.kind == 0) | (c.kind == 3)


def _rule(key, doc: str, **options) -> Rule:
    """A rule that admits by a key, first come of those that are alike; it stops and turns away only if it must."""

    def by_key(c):
        return torch.where(_admits(c), key(c).double() - c.waited.double() * 1e-10, NEVER)

    return Rule(by_key, doc, options=ALL | options)


def _first(doc: str, **options) -> Rule:
    """A rule that takes the first of those that are offered."""
    return Rule(lambda c: c.kind, doc, options=FIRST | options)


def _in_time(key, doc: str, **options) -> Rule:
    """A rule for those that can be in time; late ones come after them, the smallest first."""

    def by_key(c):
        in_order = torch.where(c.late == 1, LATE + c.service.double(), key(c).double())
        return torch.where(_admits(c), in_order, NEVER)

    return Rule(by_key, doc, options=ALL | {"order": "deadline"} | options)


def _atc(size, patience: float):
    """The logarithm of the apparent tardiness cost index, to be minimised."""
    return lambda c: size(c).clamp_min(1).double().log() + c.slack.clamp_min(0).double() / patience


def _service(c):
    return c.service


def _work(c):
    return c.prefill + c.predicted


def _past_future(c):
    """Admit the head while the predicted peak fits, or the server is empty; else go on without it."""
    fits = (c.head == 1) & ((c.peak <= 980) | (c.batch == 0))
    return torch.where(c.kind == 0, 2 - 2 * fits.long(), 1)


def _head_of_line(c):
    return torch.where(c.kind == 0, 2 - 2 * c.head, 1)


def _levels(c):
    """Queues of doubling quanta from 64 tokens on."""
    return (c.attained.double() / 64 + 1).log2().floor() * LATE - c.waited


POLICIES = {
    "fcfs": _first("first come, passing over what does not fit; prefill in chunks as in Sarathi-Serve (2024)"),
    "fcfs-head": Rule(
        _head_of_line,
        "first come, and nobody passes a head of the line that does not fit, as in vLLM (Kwon et al. 2023)",
        options=FIRST | {"stop": True},
    ),
    "past-future": _first("first come of those with whom the predicted peak of the memory fits", past_future=98),
    "past-future-stop": Rule(
        _past_future,
        "first come until the predicted peak would not fit: Past-Future (Gong et al. 2025)",
        options=FIRST | {"stop": True},
    ),
    "sjf-output": _rule(lambda c: c.predicted, "shortest predicted answer first"),
    "sjf": _rule(_work, "least prompt to compute plus predicted answer first (shortest job first, Smith 1956)"),
    "sjf-kv": _rule(lambda c: c.kv_time, "least predicted memory over time first"),
    "sjf-true": _rule(lambda c: c.output, "clairvoyant: shortest true answer first"),
    "srpt": _rule(_service, "shortest predicted remaining server time first (Schrage 1968)"),
    "srpt-true": _rule(lambda c: c.prefill + c.output, "clairvoyant: least true remaining work in tokens first"),
    "edf": _rule(lambda c: c.due_in, "earliest deadline first, the EDD of this family (Jackson 1955)"),
    "least-slack": _rule(lambda c: c.slack, "least slack first"),
    "edf-feasible": _first("earliest deadline first of those that can be in time", order="deadline"),
    "sjf-feasible": _in_time(_work, "least work first of those that can be in time"),
    "kv-feasible": _in_time(lambda c: c.kv_time, "least predicted memory over time of those that can be in time"),
    "kv-feasible-careful": _in_time(
        lambda c: c.kv_time, "the same, with Past-Future and late ones deferred", **CAREFUL
    ),
    "moore-hodgson": _first(
        "by deadline; whenever one would be late, the largest is dropped behind (Moore 1968, online)",
        order="moore-hodgson",
    ),
    "moore-hodgson-careful": _first(
        "the same, with Past-Future and late ones deferred", order="moore-hodgson", **CAREFUL
    ),
    "atc": _in_time(_atc(_service, PATIENCE), "apparent tardiness cost, 0.5 s (Vepsalainen and Morton 1987)"),
    "atc-careful": _in_time(
        _atc(_service, PATIENCE), "the same, with Past-Future and late ones deferred", **CAREFUL
    ),
    "atc-kv-careful": _in_time(
        _atc(lambda c: c.kv_time, 4 * PATIENCE), "the same by memory over time, 2 s", **CAREFUL
    ),
    "aging": _rule(
        lambda c: c.service - 0.05 * c.waited.double(), "shortest remaining time, less a twentieth of the wait"
    ),
    "priority": _rule(lambda c: c.level, "most important class first"),
    "mlfq": _rule(_levels, "least attained, in levels that double (multi-level feedback, as in FastServe 2023)"),
    "vtc": _rule(lambda c: c.counter, "client with the least virtual token counter first (Sheng et al. 2024)"),
    "wfq": _rule(
        lambda c: c.counter + c.prompt + 2 * c.predicted, "least virtual finish of the client (weighted fair queueing)"
    ),
    "random": RandomRule(options=ALL),
    **ROUTING,
}  # fmt: skip
