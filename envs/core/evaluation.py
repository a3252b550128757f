"""Policies against instances: every answer validated, bounded, and turned into a Result."""

from collections.abc import Sequence

from . import registry
from .instance import Instance
from .result import Result
from .solvers import Answer, Exact, Limits, solve


def evaluate(policies: dict[str, object], instances: Sequence[Instance], limits: Limits) -> list[Result]:
    """Let every policy answer every instance.

    For instances that are not in the catalogue, best known is the best schedule that an exact solver of this evaluation
    found, and the bound is the one it proved.

    Args:
        policies: by the name they have in the results.
        instances: of one family.
        limits: samples, seed, time, device and options.

    Returns:
        One result per policy and instance, policy by policy.
    """
    answers = {name: solve(policy, instances, limits) for name, policy in policies.items()}
    exact = [answers[name] for name, policy in policies.items() if isinstance(policy, Exact)]
    references = [_reference(instance, [row[i] for row in exact]) for i, instance in enumerate(instances)]
    return [
        _result(name, instance, answer, reference, limits)
        for name, row in answers.items()
        for instance, answer, reference in zip(instances, row, references, strict=True)
    ]


def _reference(instance: Instance, exact: list[Answer]) -> tuple[float | None, float | None]:
    """Lower bound and best known value: the catalogue's, or what exact solvers found; both where both speak."""
    entry = registry.family(instance.family)
    known = registry.bounds(instance)
    lower = [known.lower] if known else []
    upper = [known.upper] if known else []
    lower += [answer.lower_bound for answer in exact if answer.lower_bound is not None]
    for answer in exact:
        if answer.schedule is not None and not entry.check(instance, answer.schedule):
            upper.append(entry.metrics(instance, answer.schedule)[entry.objective])
    return max(lower, default=None), min(upper, default=None)


def _result(name: str, instance: Instance, answer: Answer, reference, limits: Limits) -> Result:
    entry = registry.family(instance.family)
    violations, metrics = ["no schedule was found within the time limit"], {}
    if answer.schedule is not None:
        violations = [str(violation) for violation in entry.check(instance, answer.schedule)]
        metrics = entry.metrics(instance, answer.schedule)
    lower, best = reference
    return Result(
        family=instance.family,
        instance=instance.name,
        digest=instance.digest,
        policy=name,
        seed=limits.seed,
        objective=entry.objective,
        value=metrics.get(entry.objective),
        metrics=metrics,
        lower_bound=lower,
        best_known=best,
        violations=violations,
        runtime_s=answer.runtime_s,
        device=limits.device,
        status=answer.status,
    )
