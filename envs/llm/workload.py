"""Workloads: what arrives, how long it is, what it asks for and what is known of it, drawn into instances."""

from dataclasses import dataclass, field

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .arrivals import Process, number
from .fields import USUAL_TBT, USUAL_TTFT, USUAL_TTFT_TOKEN
from .instance import OBJECTIVES, LLMInstance
from .lengths import NAMES, lengths
from .profiles import MAX_TOKENS, Profile
from .saturation import saturation
from .sessions import Sessions, draw_sessions

__all__ = ["PREDICTIONS", "Kind", "Recipe", "Tenant", "draw", "predict", "saturation"]

PREDICTIONS = ("exact", "lognormal", "class", "mean")


@dataclass(frozen=True)
class Kind:
    """A share of the requests that is alike in what it asks for. Times are in us; targets of 0 are none.

    Attributes:
        share: of all requests; shares are relative to their sum.
        priority: the class, 0 being the most important.
        client: who asks, where there is a single tenant.
        longer: factor on the answers.
        told: factor on the predictions, such as 0.25 for answers that are four times longer than is said.
        ttft: target of the time to the first token, of any prompt.
        ttft_token: more of it for each token of the prompt that is new.
        tbt: target of the longest time between two tokens.
        e2e: target of the time to the last token.
    """

    share: float = 1.0
    priority: int = 0
    client: int = 0
    longer: float = 1.0
    told: float = 1.0
    ttft: int = USUAL_TTFT
    ttft_token: int = USUAL_TTFT_TOKEN
    tbt: int = USUAL_TBT
    e2e: int = 0

    def __post_init__(self):
        number("share", self.share, 1e-6, 1e6)
        for what in ("longer", "told"):
            number(what, getattr(self, what), 1e-3, 1e3)


@dataclass(frozen=True)
class Tenant:
    """A client with arrivals of its own.

    Attributes:
        share: of the rate, relative to the sum over all tenants.
        process: how its requests arrive.
    """

    share: float = 1.0
    process: Process = field(default_factory=Process)

    def __post_init__(self):
        number("share", self.share, 1e-6, 1e6)


@dataclass(frozen=True)
class Recipe:
    """All that a workload is drawn from.

    Attributes:
        servers: what it runs on.
        rate: requests a second; with ``sessions``, sessions that begin a second.
        requests: how many, follow-ups included.
        lengths: name of the distribution of prompts and answers; with ``sessions``, of answers.
        kinds: what requests ask for; each draws its kind by the shares.
        tenants: who asks; with several, the client of a request is its tenant's place.
        prediction: what is known of an answer's length: ``"exact"``; ``"lognormal"``, times exp(sigma * normal);
            ``"class"``, the mean of the request's priority class; ``"mean"``, that of all. The kind's ``told`` comes
            on top.
        sigma: of the lognormal prediction.
        sessions: how requests follow each other; None where they do not.
        objective: of the instance.

    Raises:
        OptionError: if a number is out of range or tenants are to hold sessions.
        UnknownNameError: if a name is not known.
    """

    servers: tuple[Profile, ...]
    rate: float
    requests: int = 1500
    lengths: str = "conversation"
    kinds: tuple[Kind, ...] = (Kind(),)
    tenants: tuple[Tenant, ...] = (Tenant(),)
    prediction: str = "lognormal"
    sigma: float = 0.5
    sessions: Sessions | None = None
    objective: str = "miss_rate"

    def __post_init__(self):
        for what, known in (("lengths", NAMES), ("prediction", PREDICTIONS), ("objective", OBJECTIVES)):
            if getattr(self, what) not in known:
                raise UnknownNameError(what, getattr(self, what), known)
        number("sigma", self.sigma, 0, 4)
        for what in ("kinds", "tenants"):
            if not getattr(self, what):
                raise OptionError(f"{what} must be at least one")
        if self.sessions and len(self.tenants) > 1:
            raise OptionError("sessions take a single tenant")


def draw(recipe: Recipe, rng: np.random.Generator, name: str = "workload") -> LLMInstance:
    """Draw an instance; arrivals come first, then kinds, lengths and sessions, then predictions.

    Args:
        recipe: what it is drawn from.
        rng: the source of randomness.
        name: its name.

    Raises:
        OptionError, InstanceError: if a number is out of range, or a request does not fit a server.
    """
    count = recipe.requests
    arrival, tenant = _arrivals(recipe, rng)
    kind = np.zeros(count, dtype=np.int64)
    if len(recipe.kinds) > 1:
        ends = np.cumsum([one.share for one in recipe.kinds])
        kind = np.minimum(ends.searchsorted(rng.random(count) * ends[-1], side="right"), len(ends) - 1)

    def each(what: str, dtype: type = np.int64) -> np.ndarray:
        return np.array([getattr(one, what) for one in recipe.kinds], dtype=dtype)[kind]

    found = _lengths(recipe, each("longer", float), rng)
    new = found.pop("new")
    if recipe.sessions:
        root = found["parent"] < 0
        found["arrival"] = np.where(root, arrival[np.cumsum(root) - 1], found.pop("think"))
    else:
        found["arrival"] = arrival
    priority = each("priority")
    predicted = predict(recipe.prediction, found["output"], rng, recipe.sigma, priority, each("told", float))
    return LLMInstance(
        name, recipe.servers, **found, predicted=predicted, priority=priority,
        client=tenant if len(recipe.tenants) > 1 else each("client"),
        ttft_target=each("ttft") + each("ttft_token") * new, tbt_target=each("tbt"), e2e_target=each("e2e"),
        objective=recipe.objective,
    )  # fmt: skip


def predict(
    prediction: str,
    output: np.ndarray,
    rng: np.random.Generator,
    sigma: float = 0.5,
    priority: np.ndarray | None = None,
    told: np.ndarray | float = 1.0,
) -> np.ndarray:
    """What policies are told of the answers.

    Args:
        prediction: one of ``PREDICTIONS``.
        output: (n,) tokens of the answers.
        rng: the source of randomness; only ``"lognormal"`` draws from it.
        sigma: standard deviation of the logarithm of the error, whose median is 1.
        priority: (n,) classes, for ``"class"``.
        told: (n,) or one factor on top of it.

    Returns:
        (n,) int64, 1 to ``MAX_TOKENS``.

    Raises:
        UnknownNameError: if the prediction is not known.
    """
    if prediction not in PREDICTIONS:
        raise UnknownNameError("prediction", prediction, PREDICTIONS)
    guess = output.astype(float)
    if prediction == "lognormal":
        guess = guess * rng.lognormal(0.0, sigma, len(output))
    elif prediction == "mean" or (prediction == "class" and priority is None):
        guess = np.full(len(output), output.mean())
    elif prediction == "class":
        means = np.bincount(priority, weights=output) / np.maximum(np.bincount(priority), 1)
        guess = means[priority]
    return np.clip(np.rint(guess * told), 1, MAX_TOKENS).astype(np.int64)


def _arrivals(recipe: Recipe, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Arrival times of all tenants in order, and whose they are, (requests,) int64 each."""
    total, times = sum(one.share for one in recipe.tenants), []
    for one in recipe.tenants:
        rate = recipe.rate * one.share / total
        begin = round(rng.exponential(1e6 / rate)) if len(recipe.tenants) > 1 else 0  # not all of them at once
        times.append(begin + one.process.times(rng, rate, recipe.requests))
    every, whose = np.concatenate(times), np.repeat(np.arange(len(times)), recipe.requests)
    order = np.argsort(every, kind="stable")[: recipe.requests]
    return every[order] - every[order[0]], whose[order]


def _lengths(recipe: Recipe, longer: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Prompts and answers, which tokens of the prompts are new, and what sessions say of requests."""
    of = lengths(recipe.lengths)
    if recipe.sessions is None:
        prompt, output = of.draw(rng, recipe.requests)
        return {"prompt": prompt, "output": _longer(output, longer), "new": prompt}
    return draw_sessions(recipe.sessions, _longer(of.draw_outputs(rng, recipe.requests), longer), rng)


def _longer(output: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(output * factor), 1, MAX_TOKENS).astype(np.int64)
