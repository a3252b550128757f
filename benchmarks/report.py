"""Everybody on everything: writes ``docs/results.md`` and its figures from the policies that are shipped.

    python benchmarks/report.py --processes 2 --pages             all families on two cores, and the tables of READMEs
    python benchmarks/report.py job-shop llm --out /tmp/report
    python benchmarks/report.py soc vm --presets random-plan vm/mixed --runs runs --limit 10

What is measured already (same instances, policies and options) is not measured again: the lines of results lie in a
folder beside the report, so a report that was stopped goes on where it was. Further seeds of a training are the pairs
``seeds/FAMILY/PRESET-SEED`` beside this file, or the run folders ``FAMILY-PRESET-SEED`` that ``--runs`` names.
"""

import argparse
import datetime
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import report_figures
import report_sections
import torch
from report_sections import LEARNED, SAMPLED, Section
from report_tables import HEADROOM, by_policy, headroom, judged, published, rows_of, verdict

from dispatchgym.agents import checkpoint, shipped
from dispatchgym.agents.comparison import with_reference
from dispatchgym.agents.presets import PRESETS
from dispatchgym.envs.core import registry, tables
from dispatchgym.envs.core.command import guarded
from dispatchgym.envs.core.errors import DispatchGymError, OptionError, UnknownNameError
from dispatchgym.envs.core.evaluation import evaluate
from dispatchgym.envs.core.files import write_atomic
from dispatchgym.envs.core.machine import machine
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.solvers import Limits, is_repeatable, resolve
from dispatchgym.envs.core.statistics import FEWEST

BUDGETS = (1, 4, 16, 64)  # attempts, for quality against time
SEARCHED = (16, (3, 7))  # attempts in a round of active search there, and rounds after the first one
SECONDS = (1.0, 5.0, 20.0)  # of the exact solver there
MARKS = ("<!-- written by benchmarks/report.py -->", "<!-- to here -->")
EXPLAINED = (
    "Mean gaps in %, or in points where an objective may be 0, to the best known value or to the rule that is named, "
    "on instances that no training meets. The best rule and the best planner, which plays ahead, searches or solves "
    "before it acts, are those that are best on the set, with hindsight; the bound is what is proved, where it is for "
    "every instance. Intervals are 95 % over instances and, of a family's default training, five seeds."
)
CHOSEN = "All held-out sets of each family's default training, and the first of every other one."
ROOT = Path(__file__).parents[1]
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
        for rounds in SEARCHED[1]:
            add("learned, active search", policy, Limits(samples=SEARCHED[0], active_search=rounds))
    for samples in BUDGETS:
        add("fdd/mwkr, attempts", resolve("fdd/mwkr", "job_shop"), Limits(samples=samples))
    for seconds in SECONDS:
        add("CP-SAT", resolve("cp-sat", "job_shop"), Limits(time_limit=seconds))
    return points


def timed(out: Path, runs: Path | None) -> str:
    """Quality against time on one instance of each of Taillard's sizes."""
    section = Section("job_shop", "mixed", "time", TIMED, ("fdd/mwkr",))
    path, key = (
        out / "measured" / "job-shop.time.json",
        json.dumps([BUDGETS, SEARCHED, SECONDS, _stamps(section, runs)]),
    )
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if known.get("key") != key:
        known = {"key": key, "points": _quality_by_time(section, runs)}
        write_atomic(path, json.dumps(known))
    points = known["points"]
    report_figures.quality_against_time(points, "ta01, ta11, .., ta71", out / "time-job-shop.png")
    rows = [["policy", "seconds an instance", "mean gap, %"]]
    rows += [[kind, f"{seconds:.3g}", f"{gap:.1f}"] for kind, line in points.items() for seconds, gap in line]
    return f"### Quality against time\n\n![gap by seconds](time-job-shop.png)\n\n{tables.to_markdown(rows)}"


@dataclass(frozen=True)
class Chapter:
    """What is written about a family.

    Attributes:
        text: the chapter of the report.
        headroom: the table of all sets, Markdown, that its page shows too.
        chosen: rows of the overview.
    """

    text: str
    headroom: str
    chosen: tables.Rows


def chapter(entry, arguments, out: Path) -> Chapter:
    """Measure what is not known yet, draw its figures and write about it."""
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
    table = headroom_table(headroom(found, [(section.title, [section]) for section in sections], entry.naive))
    summary = f"### Headroom\n\n{table}" if sections else "No policy is shipped.\n"
    chosen = headroom(found, report_sections.overview(sections), entry.naive)
    return Chapter("\n".join([f"## {entry.command}\n", summary, *lines]), table, chosen)


def headroom_table(rows: tables.Rows) -> str:
    """Rows of ``headroom`` below their header, Markdown."""
    return tables.to_markdown([list(HEADROOM), *rows])


def with_table(page: Path, table: str) -> str:
    """The text of a page with another table between the two marks.

    Raises:
        OptionError: for a page that is not there or has no such marks.
    """
    begin, end = MARKS
    text = page.read_text("utf-8") if page.is_file() else ""
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise OptionError(f"{page} must be a page with the line {begin} and, below it, {end}: the table stands between")
    return f"{before}{begin}\n\n{table}\n{end}{after}"


def write(entries, pages: dict[str, Path], arguments) -> None:
    """Write the report and, if they are asked for, the tables of pages.

    Args:
        entries: the families.
        pages: by family, and that of the overview by an empty name.
        arguments: of the command.
    """
    parts = {entry.name: chapter(entry, arguments, arguments.out) for entry in entries}
    overview = headroom_table([row for part in parts.values() for row in part.chosen])
    made = f"`python benchmarks/report.py{_words(arguments)}`, {machine()}, {datetime.date.today()}."
    head = (
        f"# Results\n\n{EXPLAINED} Of every set: every rule, planner and solver; `middle half` is the mean of the "
        f"middle half of the gaps. Every schedule was validated. {made}\n\n## Overview\n\n{CHOSEN}\n\n{overview}"
    )
    write_atomic(arguments.out / "results.md", "\n".join([head, *(part.text for part in parts.values())]))
    for name, page in pages.items() if arguments.pages else ():
        table = parts[name].headroom if name else f"{CHOSEN}\n\n{overview}"
        write_atomic(page, with_table(page, f"{EXPLAINED} {made}\n\n{table}"))


def _words(arguments) -> str:
    """The arguments that change what is measured or written, as they were given."""
    words = list(arguments.families)
    words += ["--presets", *arguments.presets] if arguments.presets else []
    words += [f"--limit {arguments.limit}"] if arguments.limit else []
    words += [f"--processes {arguments.processes}"] if arguments.processes > 1 else []
    words += ["--pages"] if arguments.pages else []
    return "".join(f" {word}" for word in words)


def main() -> int:
    """Measure, and write the report; the exit status.

    Raises:
        UnknownNameError: for a family or preset that is not there.
        OptionError: for a folder of runs that is not there, and for a page without a place for its table.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="all when left out")
    parser.add_argument("--presets", nargs="*", default=[], help="NAME or FAMILY/NAME; all with a policy when left out")
    parser.add_argument("--runs", type=Path, help="folder of trainings, FAMILY-PRESET-SEED each")
    parser.add_argument("--limit", type=int, default=0, help="instances of each set, the first ones; 0 for all")
    parser.add_argument("--processes", type=int, default=1, help="that measure side by side")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--pages", action="store_true", help="also write the tables of README and the families' pages")
    arguments = parser.parse_args()
    if arguments.processes < 1 or arguments.limit < 0:
        parser.error("--processes must be at least 1 and --limit not negative")
    if arguments.pages and (arguments.families or arguments.presets or arguments.limit or arguments.runs):
        parser.error("--pages is for the whole report: without families, --presets, --limit and --runs")
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
    pages = {entry.name: ROOT / "envs" / entry.name / "README.md" for entry in entries} | {"": ROOT / "README.md"}
    for page in pages.values() if arguments.pages else ():
        with_table(page, "")  # no hour is spent on what cannot be written
    (arguments.out / "measured").mkdir(parents=True, exist_ok=True)
    if arguments.processes > 1:
        todo = [section for entry in entries for section in report_sections.sections(entry.name, arguments.presets)]
        measure_all(todo, arguments.out / "measured", arguments.runs, arguments.limit, arguments.processes)
    write(entries, pages, arguments)
    return 0


if __name__ == "__main__":
    guarded(main)
