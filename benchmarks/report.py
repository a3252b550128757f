"""Everybody on everything: writes ``docs/results.md`` and its figures from the policies that are shipped.

    python benchmarks/report.py                                   all families, about two hours on two cores
    python benchmarks/report.py job-shop llm --out /tmp/report
    python benchmarks/report.py soc --presets random-plan --runs runs --limit 10

What is measured already (same instances, policies and options) is not measured again: the lines of results lie in a
folder beside the report. ``--runs`` names a folder of trainings, ``FAMILY-PRESET-SEED`` each, whose policies take part
as further seeds; without it the shipped policy stands for itself.
"""

import argparse
import datetime
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import report_figures
import report_sections
import torch
from report_sections import LEARNED, SAMPLED, Section

from dispatchgym.agents import shipped
from dispatchgym.envs.core import registry, tables
from dispatchgym.envs.core.errors import DispatchGymError
from dispatchgym.envs.core.evaluation import evaluate
from dispatchgym.envs.core.files import write_atomic
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.solvers import Limits, resolve
from dispatchgym.envs.core.statistics import Interval, crossed_bootstrap, interquartile_mean

BUDGETS = (1, 4, 16, 64)  # attempts, for quality against time
SECONDS = (1.0, 5.0, 20.0)  # of the exact solver there
TIMED = tuple(f"ta{10 * k + 1:02d}" for k in range(8))


def learned(section: Section, runs: Path | None) -> dict[str, object]:
    """The trained policies of a section by seed: those of run folders, or the shipped one; empty without any."""
    stem = f"{section.family.replace('_', '-')}-{section.preset}"
    folders = sorted(runs.glob(f"{stem}-[0-9]*")) if runs else []
    names = {folder.name.removeprefix(f"{stem}-"): str(folder) for folder in folders}
    names = names or {"shipped": f"pretrained/{section.preset}"}
    found = {}
    for seed, name in names.items():
        try:
            found[seed] = resolve(name, section.family)
        except DispatchGymError as error:
            print(f"  no learned policy {name}: {str(error)[:100]}", flush=True)
    return found


def measure(section: Section, runs: Path | None, limit: int) -> list[Result]:
    """Let everybody play a section; learned policies carry their seed in the name, after an @."""
    instances = registry.instances(list(section.names), section.family)[: limit or None]
    policies = {name: resolve(name, section.family) for name in section.rules}
    seconds = 60.0
    if section.exact and any(registry.bounds(instance) is None for instance in instances):
        name, seconds = section.exact
        policies[name] = resolve(name, section.family)
    trained = learned(section, runs)
    policies |= {f"{LEARNED}@{seed}": policy for seed, policy in trained.items()}
    limits = Limits(options=section.options, time_limit=seconds)
    results = evaluate(policies, instances, limits)
    if section.samples > 1 and trained:
        several = {f"{SAMPLED.format(section.samples)}@{seed}": policy for seed, policy in trained.items()}
        known = {r.problem: r for r in results}
        for result in evaluate(several, instances, replace(limits, samples=section.samples)):
            same = known[result.problem]
            results.append(replace(result, lower_bound=same.lower_bound, best_known=same.best_known, gap=None))
    return tables.relative(results, section.reference) if section.reference else results


def remembered(section: Section, folder: Path, runs: Path | None, limit: int) -> list[Result]:
    """The results of a section, measured now or read back if nothing that they depend on has changed."""
    path = folder / f"{section.key}.jsonl"
    seeds = sorted(p.name for p in runs.glob("*")) if runs else []
    key = json.dumps([repr(section), limit, seeds, _shipped(section)])
    if path.exists():
        first, *lines = path.read_text("utf-8").splitlines()
        if first == key:
            return [Result.from_json(line) for line in lines]
    results = measure(section, runs, limit)
    write_atomic(path, key + "\n" + tables.to_json_lines(results))
    return results


def _shipped(section: Section) -> str:
    """The card of the shipped policy, so that a new one is measured."""
    there = section.preset in shipped.names(section.family)
    return shipped.read_card(section.family, section.preset).path.read_text("utf-8") if there else ""


def by_policy(results: list[Result]) -> dict[str, np.ndarray]:
    """Gaps in percent or points, (seeds, instances) by policy; what left an instance unsolved is not there."""
    gaps = tables.paired_gaps(results)
    grouped: dict[str, list[np.ndarray]] = {}
    for name, row in gaps.items():
        grouped.setdefault(name.split("@")[0], []).append(row)
    return {name: np.stack(rows) for name, rows in grouped.items()}


def rows_of(results: list[Result]) -> tables.Rows:
    """The table of a section: mean and interquartile mean with intervals over seeds and instances, best first."""
    gaps, unit = by_policy(results), tables.unit(results)
    seconds: dict[str, list[float]] = {}
    for result in results:
        seconds.setdefault(result.policy.split("@")[0], []).append(result.runtime_s)
    lines = [["policy", "seeds", f"mean gap, {unit}", "95 % interval", "middle half", "95 % interval", "s / instance"]]
    for name in sorted(gaps, key=lambda name: gaps[name].mean()):
        mean, middle = crossed_bootstrap(gaps[name]), crossed_bootstrap(gaps[name], interquartile_mean)
        seeds = str(len(gaps[name])) if name.startswith("learned") else ""
        lines.append([name, seeds, *_shown(mean), *_shown(middle), f"{np.mean(seconds[name]):.3g}"])
    missing = [name for name in seconds if name not in gaps]
    lines += [[name, "", "not on all instances", "", "", "", f"{np.mean(seconds[name]):.3g}"] for name in missing]
    return lines


def _shown(interval: Interval) -> list[str]:
    return [f"{interval.mean:.2f}", f"{interval.low:.2f} .. {interval.high:.2f}"]


def verdict(results: list[Result], section: Section) -> str:
    """Whether learning won, in a sentence: the greedy policy minus the best rule, over seeds and instances."""
    gaps = by_policy(results)
    rules = [name for name in section.rules if name in gaps]
    if LEARNED not in gaps or not rules:
        return ""
    best = min(rules, key=lambda name: gaps[name].mean())
    difference = crossed_bootstrap(gaps[LEARNED] - gaps[best])
    if not difference.excludes_zero:
        outcome = "no difference can be claimed"
    else:
        outcome = "the policy is better" if difference.mean < 0 else "**the rule is better**"
    return (
        f"Greedy policy minus the best rule, {best}: {difference.mean:+.2f} {tables.unit(results)} "
        f"({difference.low:+.2f} .. {difference.high:+.2f}): {outcome}.\n"
    )


def published(results: dict[str, list[Result]], prefix: str, table: report_sections.Published) -> str:
    """Our rows beside those of others, by size."""
    columns = {title.removeprefix(prefix): by_policy(part) for title, part in results.items()}
    names = dict.fromkeys(name for gaps in columns.values() for name in gaps)
    rows = [["method", *table.columns, "mean"]]

    def row(name: str, numbers: list) -> list[str]:
        mean = f"{np.mean(numbers):.1f}" if None not in numbers else ""
        return [name, *("" if number is None else f"{number:.1f}" for number in numbers), mean]

    ours = [
        (name, [float(columns[size][name].mean()) if name in columns.get(size, {}) else None for size in table.columns])
        for name in names
    ]
    rows += [row(f"{name} (here)", numbers) for name, numbers in ours]
    rows += [row(name, list(numbers)) for name, numbers in table.rows.items()]
    return f"{tables.to_markdown(rows)}\nRows without (here): {table.source}.\n"


def timed(out: Path, runs: Path | None) -> str:
    """Quality against time on one instance of each of Taillard's sizes."""
    section = Section("job_shop", "mixed", "time", TIMED, ("fdd/mwkr",))
    instances = registry.instances(list(TIMED), "job_shop")
    points: dict[str, list[tuple[float, float]]] = {}

    def add(kind: str, policy, limits: Limits) -> None:
        results = evaluate({kind: policy}, instances, limits)
        if all(result.gap is not None for result in results):
            gap, seconds = (np.mean([getattr(r, name) for r in results]) for name in ("gap", "runtime_s"))
            points.setdefault(kind, []).append((float(seconds), 100 * float(gap)))

    for policy in list(learned(section, runs).values())[:1]:
        for samples in BUDGETS:
            add("learned, attempts", policy, Limits(samples=samples))
    for samples in BUDGETS:
        add("fdd/mwkr, attempts", resolve("fdd/mwkr", "job_shop"), Limits(samples=samples))
    for seconds in SECONDS:
        add("CP-SAT", resolve("cp-sat", "job_shop"), Limits(time_limit=seconds))
    report_figures.quality_against_time(points, "ta01, ta11, .., ta71", out / "time-job-shop.png")
    rows = [["policy", "seconds an instance", "mean gap, %"]]
    rows += [[kind, f"{seconds:.3g}", f"{gap:.1f}"] for kind, line in points.items() for seconds, gap in line]
    return f"### Quality against time\n\n![gap by seconds](time-job-shop.png)\n\n{tables.to_markdown(rows)}"


def family_text(entry, arguments, out: Path) -> str:
    """The chapter of a family."""
    lines = [f"## {entry.command}\n"]
    found: dict[str, list[Result]] = {}
    for section in report_sections.sections(entry.name, arguments.presets):
        print(f"{section.key}", flush=True)
        results = remembered(section, out / "measured", arguments.runs, arguments.limit)
        found[section.title] = results
        lines.append(f"### `{section.preset}`: {section.title}\n\n{tables.to_markdown(rows_of(results))}")
        lines.append(verdict(results, section))
        everybody = {name: gaps.mean(axis=0) for name, gaps in by_policy(results).items()}
        figure = f"{section.key}.png"
        report_figures.profiles(everybody, section.title, tables.unit(results), out / figure)
        lines.append(f"![performance profile]({figure})\n")
    for prefix, table in (("Taillard ", report_sections.TAILLARD), ("Demirkol ", report_sections.DMU)):
        part = {title: rows for title, rows in found.items() if title.startswith(prefix)}
        if part:
            lines.append(f"### {prefix.strip()}: beside what is published\n\n{published(part, prefix, table)}")
    if any(title.startswith("Taillard") for title in found):
        lines.append(timed(out, arguments.runs))
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="all when left out")
    parser.add_argument("--presets", nargs="*", default=[], help="of these families; all when left out")
    parser.add_argument("--runs", type=Path, help="folder of trainings, FAMILY-PRESET-SEED each")
    parser.add_argument("--limit", type=int, default=0, help="instances of each set, the first ones; 0 for all")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    entries = [registry.family(name) for name in arguments.families] or registry.families()
    (arguments.out / "measured").mkdir(parents=True, exist_ok=True)
    parts = [family_text(entry, arguments, arguments.out) for entry in entries]
    head = (
        "# Results\n\nMean gaps to the best known value (to a reference policy where none is known: it then has 0), "
        "with 95 % bootstrap intervals over instances and, of learned policies, training seeds; `middle half` is the "
        "mean of the middle half. Every schedule was validated. `python benchmarks/report.py "
        f"{' '.join(arguments.families)}`, {os.cpu_count()} cores, {datetime.date.today()}.\n\n"
    )
    write_atomic(arguments.out / "results.md", head + "\n".join(parts))


if __name__ == "__main__":
    main()
