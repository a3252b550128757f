"""Policies against instances: every answer validated, bounded, and turned into a Result."""

from collections.abc import Sequence

from . import registry
from .instance import Instance
from .result import Result
from .solvers import Answer, Limits, is_exact, solve


def evaluate(policies: dict[str, object], instances: Sequence[Instance], limits: Limits) -> list[Result]:
    """Let every policy answer every instance.

    For instances that are not in the catalogue, the bound is what an exact solver of this evaluation proved, and best
    known the best schedule that anybody here found, provided that an exact solver took part.

    Args:
        policies: by the name they have in the results.
        instances: of one family.
        limits: samples, seed, time, device and options.

    Returns:
        One result per policy and instance, policy by policy.
    """
    nominal = True
    for instance in instances[:1]:
        nominal = registry.family(instance.family).nominal(**limits.options)  # it also checks them, for exact solvers
    answers = {name: solve(policy, instances, limits) for name, policy in policies.items()}
    exact = [name for name, policy in policies.items() if is_exact(policy)]
    references = [
        _reference(instance, {name: row[i] for name, row in answers.items()}, exact, nominal)
        for i, instance in enumerate(instances)
    ]
    return [
        _result(name, instance, answer, reference, limits)
        for name, row in answers.items()
        for instance, answer, reference in zip(instances, row, references, strict=True)
    ]


def _reference(instance: Instance, answers: dict[str, Answer], exact: list[str], nominal: bool):
    """Lower bound and best known value, (None, None) where nobody knows."""
    entry = registry.family(instance.family)
    known = registry.bounds(instance) if nominal else None
    proven = [answers[name].lower_bound for name in exact if answers[name].lower_bound is not None]
    if known:
        return max([known.lower, *proven]), known.upper
    if not any(answers[name].schedule is not None for name in exact):
        return max(proven, default=None), None
    feasible = [
        a.schedule for a in answers.values() if a.schedule is not None and not entry.check(instance, a.schedule)
    ]
    values = [entry.metrics(instance, schedule)[instance.objective] for schedule in feasible]
    return max(proven, default=None), min(values, default=None)


def mean_metrics(metrics: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over several schedules; of one schedule its own figures."""
    if len(metrics) == 1:
        return metrics[0]
    return {name: sum(one[name] for one in metrics) / len(metrics) for name in metrics[0]}


def _result(name: str, instance: Instance, answer: Answer, reference, limits: Limits) -> Result:
    entry = registry.family(instance.family)
    violations, metrics = ["no schedule was found within the time limit"], {}
    if answer.counted:
        violations = [str(violation) for schedule in answer.counted for violation in entry.check(instance, schedule)]
        metrics = mean_metrics([entry.metrics(instance, schedule) for schedule in answer.counted])
    lower, best = reference
    return Result(
        family=instance.family,
        instance=instance.name,
        digest=instance.digest,
        policy=name,
        seed=limits.seed,
        objective=instance.objective,
        value=metrics.get(instance.objective),
        metrics=metrics,
        lower_bound=lower,
        best_known=best,
        violations=violations,
        scale=getattr(instance, "gap_scale", None),
        runtime_s=answer.runtime_s,
        device=limits.device,
        status=answer.status,
        samples=answer.tried,
        options=answer.options,
    )
