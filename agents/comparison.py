"""The comparison that ends a training: the policy, greedy and sampled, the rules, and the optimum."""

import dataclasses
from pathlib import Path

from tqdm import tqdm

from ..envs.core import registry
from ..envs.core.evaluation import evaluate
from ..envs.core.files import write_atomic
from ..envs.core.result import Result
from ..envs.core.solvers import Limits, is_repeatable, resolve
from ..envs.core.statistics import FEWEST, bootstrap
from ..envs.core.tables import best_of, paired_gaps, relative, summary, to_json_lines, to_markdown, to_text
from .presets import Preset

GREEDY = "learned, greedy"


def compare(preset: Preset, family_name: str, policy, device: str, seed: int, run: Path) -> list[Result]:
    """Evaluate on every held-out set of a preset, print the tables, and write ``results.jsonl`` and ``table.md``.

    Args:
        preset: names the sets, the rules and the exact solver.
        family_name: the family.
        policy: the trained one.
        device: where policies run.
        seed: of sampling.
        run: folder of the files.
    """
    results, markdown = [], []
    for title, names in preset.held_out.items():
        limits = Limits(device=device, seed=seed, options=preset.world(registry.family(family_name)))
        part = _evaluate_set(preset, family_name, policy, names, limits, title)
        table, claim = summary(part, preset.reference), verdict(part, preset.rules)
        print(to_text(table, title), end="")
        print(claim + "\n", flush=True)
        markdown.append(f"## {title}\n\n{to_markdown(table)}\n{claim}\n")
        results += part
    write_atomic(run / "results.jsonl", to_json_lines(results))
    write_atomic(run / "table.md", "\n".join(markdown))
    return results


def _evaluate_set(preset: Preset, family_name: str, policy, names: list[str], limits: Limits, title: str):
    instances = registry.instances(names, family_name)
    policies = {name: resolve(name, family_name) for name in preset.rules} | {GREEDY: policy}
    if preset.exact and any(registry.bounds(instance) is None for instance in instances):
        name, seconds = preset.exact
        policies[name] = resolve(name, family_name)
        limits = dataclasses.replace(limits, time_limit=seconds)
    with tqdm(total=len(instances) * (len(policies) + 2), desc=title, unit="instance", leave=False) as bar:
        limits = dataclasses.replace(limits, progress=bar.update)
        results = evaluate(policies, instances, limits)
        references = {r.problem: r for r in results}
        if preset.reference:
            references = {r.problem: r for r in results if r.policy == preset.reference}
            results = relative(results, preset.reference)
        repeatable = is_repeatable(policy, instances, limits)
        several = f"best of {preset.samples}" if repeatable else f"mean of {preset.samples} sampled"
        # Attempts are compared with attempts: where the best one counts, the strongest rule may try as often.
        rule = strongest(results, preset.rules) if repeatable else None
        tried = {rule: policies[rule], "learned": policy} if rule else {"learned": policy}
        sampled = evaluate(
            {f"{name}, {several}": one for name, one in tried.items()},
            instances,
            dataclasses.replace(limits, samples=preset.samples),
        )
    return results + [with_reference(result, references[result.problem], preset.reference) for result in sampled]


def with_reference(result: Result, known: Result, reference: str) -> Result:
    """A later result with the bounds of the earlier ones, and its gap."""
    if reference:
        gap = registry.family(result.family).gap(result.value, known.value, result.scale)
        return dataclasses.replace(result, gap=gap)
    return dataclasses.replace(result, lower_bound=known.lower_bound, best_known=known.best_known, gap=None)


def strongest(results: list[Result], rules: tuple[str, ...]) -> str | None:
    """The rule with the smallest mean gap; None where gaps are missing."""
    return best_of(paired_gaps(results), rules)


def verdict(results: list[Result], rules: tuple[str, ...]) -> str:
    """Say whether learning won: the greedy policy against the strongest rule, instance by instance."""
    gaps = paired_gaps(results)
    best = strongest(results, rules)
    if best is None or GREEDY not in gaps:
        return "No comparison: a gap is missing."
    count = len(gaps[GREEDY])
    if count < FEWEST:
        return f"{count} instance{'s' if count > 1 else ''}: too few to compare policies on."
    return bootstrap(gaps[GREEDY] - gaps[best]).verdict("rule", best, "points of gap")
