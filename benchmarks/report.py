"""Everybody on everything: writes ``docs/results.md`` and its figures from the policies that are shipped.

    python benchmarks/report.py --processes 2                     all families on two cores
    python benchmarks/report.py job-shop llm --out /tmp/report
    python benchmarks/report.py soc vm --presets random-plan vm/mixed --runs runs --limit 10

What is measured already (same instances, policies and options) is not measured again: the lines of results lie in a
folder beside the report, so a report that was stopped goes on where it was. Further seeds of a training are the pairs
``seeds/FAMILY/PRESET-SEED`` beside this file, or the run folders ``FAMILY-PRESET-SEED`` that ``--runs`` names.
"""

import argparse
import datetime
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import report_figures
import report_sections
import torch
from report_sections import LEARNED, SAMPLED, Section

from dispatchgym.agents import checkpoint, shipped
from dispatchgym.agents.comparison import with_reference
from dispatchgym.agents.presets import PRESETS
from dispatchgym.envs.core import registry, tables
from dispatchgym.envs.core.command import guarded
from dispatchgym.envs.core.errors import DispatchGymError, OptionError, UnknownNameError
from dispatchgym.envs.core.evaluation import evaluate
from dispatchgym.envs.core.files import write_atomic
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.solvers import Limits, is_repeatable, resolve
from dispatchgym.envs.core.statistics import FEWEST, Interval, crossed_bootstrap, interquartile_mean

BUDGETS = (1, 4, 16, 64)  # attempts, for quality against time
SECONDS = (1.0, 5.0, 20.0)  # of the exact solver there
NAIVE = ("round-robin", "random")  # where the naive rule of the family cannot play
SEEDS = Path(__file__).parent / "seeds"
TIMED = tuple(f"ta{10 * k + 1:02d}" for k in range(8))


def sources(section: Section, runs: Path | None) -> dict[str, str]:
    """Paths of a section's trained policies by seed: run folders, or cards of the shipped one and of further seeds."""
    if runs:
        stem = f"{section.family.replace('_', '-')}-{section.preset}-"
        return {folder.name.removeprefix(stem): str(folder) for folder in sorted(runs.glob(f"{stem}[0-9]*"))}
    if section.preset not in shipped.names(section.family):
        return {}
    more = sorted((SEEDS / section.family).glob(f"{section.preset}-[0-9]*.json"))
    found = {path.stem.removeprefix(f"{section.preset}-"): str(path) for path in more}
    return {"shipped": str(shipped.FOLDER / section.family / f"{section.preset}.json")} | found


def learned(section: Section, runs: Path | None) -> dict[str, object]:
    """The trained policies of a section by seed; empty without any."""
    found = {}
    for seed, name in sources(section, runs).items():
        try:
            found[seed] = resolve(name, section.family)
        except DispatchGymError as error:
            print(f"  no learned policy {name}: {str(error)[:100]}", flush=True)
    return found


def measure(section: Section, runs: Path | None, limit: int) -> list[Result]:
    """Let everybody play a section; learned policies carry their seed in the name, after an @."""
    instances = registry.instances(list(section.names), section.family)[: limit or None]
    policies = {name: resolve(name, section.family) for name in section.rules}
    if section.exact:
        policies[section.exact[0]] = resolve(section.exact[0], section.family)
    trained = learned(section, runs)
    policies |= {f"{LEARNED}@{seed}": policy for seed, policy in trained.items()}
    limits = Limits(options=section.options, time_limit=section.exact[1] if section.exact else 60.0)
    results = evaluate(policies, instances, limits)
    # Attempts in a world that goes on are not the best of several, and say nothing that the greedy ones do not.
    if section.samples > 1 and any(is_repeatable(policy, instances, limits) for policy in trained.values()):
        several = {f"{SAMPLED.format(section.samples)}@{seed}": policy for seed, policy in trained.items()}
        known = {r.problem: r for r in results}
        sampled = evaluate(several, instances, replace(limits, samples=section.samples))
        results += [with_reference(result, known[result.problem], "") for result in sampled]
    return tables.relative(results, section.reference) if section.reference else results


def remembered(section: Section, folder: Path, runs: Path | None, limit: int) -> list[Result]:
    """The results of a section, measured now or read back if nothing that they depend on has changed."""
    path = folder / f"{section.key}.jsonl"
    key = json.dumps([repr(section), limit, _stamps(section, runs)])
    if path.exists():
        first, *lines = path.read_text("utf-8").splitlines()
        if first == key:
            return [Result.from_json(line) for line in lines]
    began = time.perf_counter()
    results = measure(section, runs, limit)
    write_atomic(path, key + "\n" + tables.to_json_lines(results))
    print(f"{section.key}: {time.perf_counter() - began:.0f} s", flush=True)
    return results


def measure_all(sections: list[Section], folder: Path, runs: Path | None, limit: int, processes: int) -> None:
    """Measure what is not known yet, each section in one of several processes, the first sections first."""
    one = partial(remembered, folder=folder, runs=runs, limit=limit)
    context = get_context("spawn")  # a fork inherits the locks of torch's threads
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        for _ in pool.map(one, sections):
            pass  # the lines are read back by whoever writes about them


def _stamps(section: Section, runs: Path | None) -> dict[str, str]:
    """Digests of weights, or names of the newest checkpoints of runs, by seed, so that new ones are measured."""
    found = {}
    for seed, name in sources(section, runs).items():
        path = Path(name)
        of_card = None if runs else shipped.read_card_at(path, section.family).content["sha256"]
        found[seed] = of_card or checkpoint.newest(path).name
    return found


def judged(results: list[Result]) -> tuple[list[Result], str]:
    """The results on instances of which something is known, and a remark on those that are left out."""
    known = {result.problem for result in results if result.gap is not None}
    left_out = {result.problem for result in results} - known
    note = f"Without {len(left_out)} of the instances, on which the solver found nothing in its time.\n\n"
    return [result for result in results if result.problem in known], note if left_out else ""


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


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # no minus zero


def _shown(interval: Interval) -> list[str]:
    return [_number(interval.mean), f"{_number(interval.low)} .. {_number(interval.high)}"]


def verdict(results: list[Result], section: Section) -> str:
    """Whether learning won: the greedy policy minus the best rule and the best planner, over seeds and instances."""
    gaps, found = by_policy(results), []
    rule, planner = strongest(gaps, section)
    for kind, best in (("rule", rule), ("planner", planner)):
        if LEARNED not in gaps or not best or gaps[LEARNED].shape[1] < FEWEST:
            continue
        difference = crossed_bootstrap(gaps[LEARNED] - gaps[best])
        outcome = difference.claim(kind).replace(f"the {kind} is better", f"**the {kind} is better**")
        found.append(
            f"Greedy policy minus the best {kind}, {best}: {difference.mean:+.2f} {tables.unit(results)} "
            f"({difference.low:+.2f} .. {difference.high:+.2f}): {outcome}.\n"
        )
    return "".join(found)


def strongest(gaps: dict[str, np.ndarray], section: Section) -> tuple[str, str]:
    """The rule and the planner with the smallest mean gaps on a set; empty where there is none."""
    planners = [name for name in section.rules if name in report_sections.PLANNERS]
    rules = [name for name in section.rules if name not in planners]
    return tables.best_of(gaps, rules) or "", tables.best_of(gaps, planners) or ""


def headroom(found: dict[str, list[Result]], sections: list[Section], naive: str) -> str:
    """A row for each set: what a naive rule, the best rule and planner, learning and the solver leave, and a bound."""
    rows = [
        ["set", "unit", "naive rule", "best rule", "best planner", "learned", "best of attempts", "solver", "bound"]
    ]
    for section in sections:
        results = found[section.key]
        gaps = by_policy(results)
        rule, planner = strongest(gaps, section)
        solver = section.exact[0] if section.exact else ""
        bound = tables.bound_gaps([r for r in results if r.policy == rule])
        simplest = next((name for name in (naive, *NAIVE) if name in gaps), "")

        def mean(name: str, gaps=gaps) -> str:
            return _number(gaps[name].mean()) if name in gaps else ""

        rows.append([
            f"`{section.preset}`: {section.title}", tables.unit(results),
            *(f"{name} {mean(name)}".strip() for name in (simplest, rule, planner)),
            mean(LEARNED),
            mean(SAMPLED.format(section.samples)), f"{solver} {mean(solver)}".strip(),
            _number(np.mean(bound)) if bound else "",
        ])  # fmt: skip
    return (
        "### Headroom\n\nMean gaps; the best rule and the best planner (which plays ahead, searches or solves before "
        "it acts) are those that are best on the set, with hindsight; the bound is what is proved, where it is for "
        f"every instance.\n\n{tables.to_markdown(rows)}"
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


def _quality_by_time(section: Section, runs: Path | None) -> dict[str, list]:
    """Pairs of seconds an instance and mean gap in percent, by kind of policy."""
    instances = registry.instances(list(TIMED), "job_shop")
    points: dict[str, list] = {}

    def add(kind: str, policy, limits: Limits) -> None:
        results = evaluate({kind: policy}, instances, limits)
        if all(result.gap is not None for result in results):
            gap, seconds = (np.mean([getattr(r, name) for r in results]) for name in ("gap", "runtime_s"))
            points.setdefault(kind, []).append([float(seconds), 100 * float(gap)])

    for policy in list(learned(section, runs).values())[:1]:
        for samples in BUDGETS:
            add("learned, attempts", policy, Limits(samples=samples))
    for samples in BUDGETS:
        add("fdd/mwkr, attempts", resolve("fdd/mwkr", "job_shop"), Limits(samples=samples))
    for seconds in SECONDS:
        add("CP-SAT", resolve("cp-sat", "job_shop"), Limits(time_limit=seconds))
    return points


def timed(out: Path, runs: Path | None) -> str:
    """Quality against time on one instance of each of Taillard's sizes."""
    section = Section("job_shop", "mixed", "time", TIMED, ("fdd/mwkr",))
    path, key = out / "measured" / "job-shop.time.json", json.dumps([BUDGETS, SECONDS, _stamps(section, runs)])
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if known.get("key") != key:
        known = {"key": key, "points": _quality_by_time(section, runs)}
        write_atomic(path, json.dumps(known))
    points = known["points"]
    report_figures.quality_against_time(points, "ta01, ta11, .., ta71", out / "time-job-shop.png")
    rows = [["policy", "seconds an instance", "mean gap, %"]]
    rows += [[kind, f"{seconds:.3g}", f"{gap:.1f}"] for kind, line in points.items() for seconds, gap in line]
    return f"### Quality against time\n\n![gap by seconds](time-job-shop.png)\n\n{tables.to_markdown(rows)}"


def family_text(entry, arguments, out: Path) -> str:
    """The chapter of a family."""
    lines: list[str] = []
    found: dict[str, list[Result]] = {}
    sections = report_sections.sections(entry.name, arguments.presets)
    for section in sections:
        results, note = judged(remembered(section, out / "measured", arguments.runs, arguments.limit))
        found[section.key] = results
        lines.append(f"### `{section.preset}`: {section.title}\n\n{note}{tables.to_markdown(rows_of(results))}")
        lines.append(verdict(results, section))
        everybody = {name: gaps.mean(axis=0) for name, gaps in by_policy(results).items()}
        if len({result.problem for result in results}) >= FEWEST:
            figure = f"{section.key}.png"
            report_figures.profiles(everybody, section.title, tables.unit(results), out / figure)
            lines.append(f"![performance profile]({figure})\n")
    for prefix, table in (("Taillard ", report_sections.TAILLARD), ("Demirkol ", report_sections.DMU)):
        part = {s.title: found[s.key] for s in sections if s.title.startswith(prefix)}
        if part:
            lines.append(f"### {prefix.strip()}: beside what is published\n\n{published(part, prefix, table)}")
    if any(section.title.startswith("Taillard") for section in sections):
        lines.append(timed(out, arguments.runs))
    summary = [headroom(found, sections, entry.naive)] if sections else ["No policy is shipped.\n"]
    return "\n".join([f"## {entry.command}\n", *summary, *lines])


def _words(arguments) -> str:
    """The arguments that say what is measured, as they were given."""
    words = list(arguments.families)
    words += ["--presets", *arguments.presets] if arguments.presets else []
    words += [f"--limit {arguments.limit}"] if arguments.limit else []
    return "".join(f" {word}" for word in words)


def main() -> int:
    """Measure, and write the report; the exit status.

    Raises:
        UnknownNameError: for a family or preset that is not there.
        OptionError: for a folder of runs that is not there.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="all when left out")
    parser.add_argument("--presets", nargs="*", default=[], help="NAME or FAMILY/NAME; all with a policy when left out")
    parser.add_argument("--runs", type=Path, help="folder of trainings, FAMILY-PRESET-SEED each")
    parser.add_argument("--limit", type=int, default=0, help="instances of each set, the first ones; 0 for all")
    parser.add_argument("--processes", type=int, default=1, help="that measure side by side")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    if arguments.processes < 1 or arguments.limit < 0:
        parser.error("--processes must be at least 1 and --limit not negative")
    torch.set_num_threads(1)
    entries = [registry.family(name) for name in arguments.families] or registry.families()
    known = {
        written
        for entry in entries
        for name in PRESETS.get(entry.name, {})
        for written in report_sections.spellings(entry, name)
    }
    for name in arguments.presets:
        if name not in known:
            raise UnknownNameError("preset", name, known)
    if arguments.runs and not arguments.runs.is_dir():
        raise OptionError(f"--runs must be a folder of run folders, and {arguments.runs} is none")
    (arguments.out / "measured").mkdir(parents=True, exist_ok=True)
    if arguments.processes > 1:
        todo = [section for entry in entries for section in report_sections.sections(entry.name, arguments.presets)]
        measure_all(todo, arguments.out / "measured", arguments.runs, arguments.limit, arguments.processes)
    parts = [family_text(entry, arguments, arguments.out) for entry in entries]
    head = (
        "# Results\n\nMean gaps to the best known value (to a reference policy where none is known: it then has 0), "
        "with 95 % bootstrap intervals over instances and, of learned policies, training seeds; `middle half` is the "
        "mean of the middle half. Every schedule was validated. `python benchmarks/report.py"
        f"{_words(arguments)}`, {os.cpu_count()} cores, {datetime.date.today()}.\n\n"
    )
    write_atomic(arguments.out / "results.md", head + "\n".join(parts))
    return 0


if __name__ == "__main__":
    guarded(main)
