"""The tables of the report, from results alone: nothing is measured here."""

import numpy as np
import report_sections
from report_sections import LEARNED, SAMPLED, Section

from dispatchgym.envs.core import tables
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.statistics import FEWEST, Interval, crossed_bootstrap, interquartile_mean

NAIVE = ("round-robin", "random")  # where the naive rule of the family cannot play


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
        sentence = crossed_bootstrap(gaps[LEARNED] - gaps[best]).verdict(kind, best, tables.unit(results))
        found.append(sentence.replace(f"the {kind} is better", f"**the {kind} is better**") + "\n")
    return "".join(found)


def strongest(gaps: dict[str, np.ndarray], section: Section) -> tuple[str, str]:
    """The rule and the planner with the smallest mean gaps on a set; empty where there is none."""
    planners = [name for name in section.rules if name in report_sections.PLANNERS]
    rules = [name for name in section.rules if name not in planners]
    return tables.best_of(gaps, rules) or "", tables.best_of(gaps, planners) or ""


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


HEADROOM = (
    "training", "held-out set", "gap", "naive rule", "best rule", "best planner", "learned (95 %)", "best of attempts",
    "solver (s / instance)", "bound",
)  # fmt: skip


def headroom(found: dict[str, list[Result]], sets: list[tuple[str, list[Section]]], naive: str) -> tables.Rows:
    """A row for each set: what a naive rule, the best rule and planner, learning and the solver leave, and a bound.

    Args:
        found: results by a section's key.
        sets: titles, and the sections that make one row together.
        naive: the family's naive rule.

    Returns:
        Rows below the header ``HEADROOM``.
    """
    rows = []
    for title, part in sets:
        results = [result for section in part for result in found[section.key]]
        section, alike = part[0], [by_policy(found[section.key]) for section in part]
        everywhere = [name for name in alike[0] if all(name in gaps for gaps in alike)]
        gaps = {name: np.concatenate([one[name] for one in alike], axis=1) for name in everywhere}
        seeds = len(gaps.get(LEARNED, ()))
        rule, planner = strongest(gaps, section)
        simplest = next((name for name in (naive, *NAIVE) if name in gaps), "")
        solver, seconds = section.exact or ("", 0)
        bound = tables.bound_gaps([result for result in results if result.policy == rule])
        unit = tables.unit(results)
        rows.append([
            f"`{section.preset}`, {seeds} seeds" if seeds > 1 else f"`{section.preset}`", title,
            f"{unit}, to `{section.reference}`" if section.reference else unit,
            *(_named(name, gaps) for name in (simplest, rule, planner)),
            "{} ({})".format(*_shown(crossed_bootstrap(gaps[LEARNED]))) if seeds else "",
            _mean(SAMPLED.format(section.samples), gaps),
            f"{_named(solver, gaps)} ({seconds:g})" if solver in gaps else "",
            _number(np.mean(bound)) if bound else "",
        ])  # fmt: skip
    return rows


def _mean(name: str, gaps: dict[str, np.ndarray]) -> str:
    return _number(gaps[name].mean()) if name in gaps else ""


def _named(name: str, gaps: dict[str, np.ndarray]) -> str:
    return f"{name} {_mean(name, gaps)}".strip()
