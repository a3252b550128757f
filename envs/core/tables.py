"""Results as text: a table for the eye, CSV, LaTeX, Markdown and JSON lines."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .errors import OptionError
from .registry import family
from .result import Result
from .statistics import FEWEST, bootstrap

FORMATS = ("table", "json", "csv", "latex")
Rows = list[list[str]]


def relative(results: Sequence[Result], reference: str) -> list[Result]:
    """The results with gaps to what one policy reached on the same instance; they may be negative.

    Args:
        results: of several policies.
        reference: one of them.

    Raises:
        OptionError: if it is not among them, or left an instance unsolved.
    """
    value = {result.problem: result.value for result in results if result.policy == reference}
    for result in results:
        if value.get(result.problem) is None:
            raise OptionError(f"{reference} has no value on {result.instance}; a reference must be one of the policies")
    return [
        result
        if result.value is None
        else replace(result, gap=family(result.family).gap(result.value, value[result.problem], result.scale))
        for result in results
    ]


def summary(results: Sequence[Result], reference: str = "") -> Rows:
    """Mean per policy, best first: the header and a row each.

    The interval is a bootstrap over instances. Policies without a feasible schedule everywhere come last.

    Args:
        results: of several policies.
        reference: the policy that gaps are relative to, for the header; the best known value when left out.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.policy, []).append(result)
    has_gap = all(result.gap is not None for result in results if result.value is not None)
    lines = []
    for policy, rows in groups.items():
        solved = [row for row in rows if row.value is not None]
        infeasible = sum(bool(row.violations) for row in rows)
        if not solved:
            lines.append((float("inf"), [policy, str(len(rows)), "-", "-", "-", str(infeasible), _seconds(rows)]))
            continue
        value = bootstrap([row.value for row in solved])
        gap = bootstrap([100 * row.gap for row in solved]) if has_gap else None
        shown = f"{gap.mean:.2f}" if gap else "-"
        interval = f"{gap.low:.2f} .. {gap.high:.2f}" if gap and len(solved) >= FEWEST else "-"
        order = (gap or value).mean + (1e12 if infeasible else 0)
        mean = f"{value.mean:.{4 if family(rows[0].family).differences else 1}f}"
        cells = [policy, str(len(rows)), mean, shown, interval, str(infeasible), _seconds(rows)]
        lines.append((order, cells))
    gap_name = f"{f'minus {reference}' if reference else 'gap'} {unit(results)}"
    header = ["policy", "instances", results[0].objective, gap_name, "95 % interval", "infeasible", "s / instance"]
    return [header, *(cells for _, cells in sorted(lines, key=lambda line: line[0]))]


def detail(results: Sequence[Result]) -> Rows:
    """One row per instance, one column per policy, the bounds last."""
    policies = list(dict.fromkeys(result.policy for result in results))
    instances: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        instances.setdefault(result.problem, {})[result.policy] = result
    rows = [["instance", *policies, "lower bound", "best known"]]
    for (name, _), row in instances.items():
        first = next(iter(row.values()))
        values = [_number(row[policy].value) if policy in row else "-" for policy in policies]
        rows.append([name, *values, _number(first.lower_bound), _number(first.best_known)])
    return rows


def paired_gaps(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Gap in percent of every policy, (N,) in the same order of instances; policies that lack one are left out."""
    instances = list(dict.fromkeys(result.problem for result in results))
    gaps: dict[str, dict[tuple[str, str], float]] = {}
    for result in results:
        if result.gap is not None:
            gaps.setdefault(result.policy, {})[result.problem] = 100 * result.gap
    return {
        policy: np.array([row[name] for name in instances])
        for policy, row in gaps.items()
        if len(row) == len(instances)
    }


def headroom(results: Sequence[Result], naive: str, rules: Sequence[str], exact: Sequence[str]) -> Rows:
    """How much there is to gain: naive rule, best rule, learned policies, exact solvers and the proven bound.

    Differences are to the best rule on the same instances, with paired 95 % intervals.
    """
    gaps = paired_gaps(results)
    best = best_of(gaps, rules)
    if best is None:
        raise OptionError("headroom needs the gap of at least one rule; give the exact solver more --time-limit")
    roles = {naive: "naive rule"} | {best: "naive and best rule" if best == naive else "best rule"}
    roles |= {name: "exact" if name in exact else "learned" for name in gaps if name not in rules}
    bounds = bound_gaps([r for r in results if r.policy == best])
    if bounds:
        gaps["lower bound"] = np.array(bounds)
        roles["lower bound"] = "proven"
    rows = [["role", "policy", f"gap {unit(results)}", "95 % interval", "minus best rule", "paired 95 % interval"]]
    for policy in sorted((name for name in roles if name in gaps), key=lambda name: -gaps[name].mean()):
        mean, difference = bootstrap(gaps[policy]), bootstrap(gaps[policy] - gaps[best])
        rows.append([
            roles[policy], policy, f"{mean.mean:.2f}", f"{mean.low:.2f} .. {mean.high:.2f}",
            f"{difference.mean:+.2f}", f"{difference.low:+.2f} .. {difference.high:+.2f}",
        ])  # fmt: skip
    return rows


def best_of(gaps: Mapping[str, np.ndarray], names: Iterable[str]) -> str | None:
    """Of some policies the one with the smallest mean gap, the first of equals; None where no gap is known."""
    known = [name for name in names if name in gaps]
    return min(known, key=lambda name: float(gaps[name].mean()), default=None)


def bound_gaps(results: Sequence[Result]) -> list[float]:
    """Gaps of the lower bounds of a policy's results, in hundredths; empty unless every instance has one."""
    known = [result for result in results if result.lower_bound is not None]
    return [_bound_gap(result) for result in known] if len(known) == len(results) else []


def _bound_gap(result: Result) -> float:
    """Gap of the lower bound, in hundredths, to what the gap of the result is to."""
    if result.scale is not None:
        return 100 * ((result.lower_bound - result.value) / result.scale + result.gap)
    if family(result.family).differences:
        return 100 * (result.lower_bound - result.value + result.gap)
    return 100 * (result.lower_bound * (1 + result.gap) / result.value - 1)


def unit(results: Sequence[Result]) -> str:
    """What gaps are in."""
    return "points" if family(results[0].family).differences or results[0].scale is not None else "%"


def to_json_lines(results: Sequence[Result]) -> str:
    """One JSON object a line."""
    return "".join(result.to_json() + "\n" for result in results)


def to_csv(rows: Rows) -> str:
    """Comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def to_markdown(rows: Rows) -> str:
    """A table as Markdown writes it."""
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def to_latex(rows: Rows) -> str:
    """A booktabs table."""
    escape = str.maketrans(
        {character: "\\" + character for character in "%_&#${}"}
        | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    )
    lines = [" & ".join(cell.translate(escape) for cell in row) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def to_text(rows: Rows, title: str = "") -> str:
    """A table for the terminal, as wide as it has to be: a terminal wraps better than a cut number reads."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left")
    for position, name in enumerate(rows[0]):
        table.add_column(Text(name), justify="left" if position == 0 else "right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    text = io.StringIO()
    widest = sum(max(len(row[i]) for row in rows) + 3 for i in range(len(rows[0]))) + 1
    Console(file=text, width=max(widest, len(title)), color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _seconds(rows: Sequence[Result]) -> str:
    return f"{sum(row.runtime_s for row in rows) / len(rows):.3g}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"
