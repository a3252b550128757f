"""Tables: order, numbers, and characters that would break a format."""

import csv
import io
from dataclasses import replace

import pytest

from dispatchgym.envs.core import tables
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.statistics import FEWEST


def make_result(policy: str, instance: str, value, best=100, lower=90, violations=(), digest="") -> Result:
    return Result(
        family="job_shop", instance=instance, digest=digest or instance, policy=policy, seed=0, objective="makespan",
        value=value, metrics={}, lower_bound=lower, best_known=best, violations=list(violations), runtime_s=0.25,
    )  # fmt: skip


def make_results() -> list[Result]:
    rows = {"slow": (150, 170), "fast": (110, 120), "middle": (120, 140)}
    return [make_result(p, f"i{k}", value) for p, values in rows.items() for k, value in enumerate(values)]


def make_enough() -> list[Result]:
    """As many instances as an interval needs; the mean gap of "fast" is 15 %."""
    rows = {"fast": (110, 120, 115, 115, 115), "slow": (150, 160, 155, 155, 155)}
    return [make_result(p, f"i{k}", value) for p, values in rows.items() for k, value in enumerate(values)]


def test_summary_puts_the_best_first():
    header, *rows = tables.summary(make_results())
    assert header == ["policy", "instances", "makespan", "gap %", "95 % interval", "infeasible", "s / instance"]
    assert [row[0] for row in rows] == ["fast", "middle", "slow"]
    assert rows[0][1:4] == ["2", "115.0", "15.00"] and rows[0][5:] == ["0", "0.25"]


def test_an_interval_needs_some_instances():
    """Of one instance it would be a point, which looks like certainty."""
    assert FEWEST == 5
    for results in (make_results(), make_results()[::2][:1], [r for r in make_enough() if r.instance != "i4"]):
        assert {row[4] for row in tables.summary(results)[1:]} == {"-"}
    row = tables.summary(make_enough())[1]
    low, high = (float(end) for end in row[4].split(" .. "))
    assert row[:4] == ["fast", "5", "115.0", "15.00"] and 10 < low < 15 < high < 20


def test_instances_without_an_answer_do_not_count_towards_it():
    results = make_enough()[:4] + [make_result("fast", "i4", None, violations=["no schedule"])]
    assert tables.summary(results)[1][4] == "-"


def test_summary_orders_by_gap_and_not_by_value():
    """The values of large instances must not decide alone."""
    results = [make_result("a", "x", 200, best=100), make_result("a", "y", 1000, best=1000)]
    results += [make_result("b", "x", 110, best=100), make_result("b", "y", 1050, best=1000)]
    assert [row[0] for row in tables.summary(results)[1:]] == ["b", "a"]


def test_summary_puts_infeasible_and_unsolved_last():
    results = make_results()
    results += [
        make_result("cheat", "i0", 50, violations=["capacity: x"]),
        make_result("cheat", "i1", 50, violations=["y"]),
    ]
    results += [make_result("mute", f"i{k}", None, violations=["no schedule"]) for k in range(2)]
    rows = tables.summary(results)[1:]
    assert [row[0] for row in rows] == ["fast", "middle", "slow", "cheat", "mute"]
    assert [row[5] for row in rows] == ["0", "0", "0", "2", "2"]
    assert rows[-1][2:5] == ["-", "-", "-"]


def test_summary_without_best_known_shows_values():
    results = [make_result(p, "x", v, best=None, lower=None) for p, v in (("a", 12), ("b", 11))]
    rows = tables.summary(results)[1:]
    assert [row[0] for row in rows] == ["b", "a"] and rows[0][2:5] == ["11.0", "-", "-"]


def test_detail_has_a_row_per_instance():
    results = make_results()[:-1] + [make_result("mute", "i1", None, violations=["none"])]
    assert tables.detail(results) == [
        ["instance", "slow", "fast", "middle", "mute", "lower bound", "best known"],
        ["i0", "150", "110", "120", "-", "90", "100"],
        ["i1", "170", "120", "-", "-", "90", "100"],
    ]


def test_instances_of_one_name_stay_apart():
    """Two files of the same name in two folders are two problems."""
    results = [make_result("a", "shop", 110, digest="1"), make_result("a", "shop", 120, digest="2")]
    rows = tables.detail(results)
    assert [row[1] for row in rows[1:]] == ["110", "120"]
    gaps = tables.paired_gaps(results)
    assert [round(gap) for gap in gaps["a"]] == [10, 20]


def test_paired_gaps_leave_incomplete_policies_out():
    results = make_results()[:-1]
    gaps = tables.paired_gaps(results)
    assert set(gaps) == {"slow", "fast"} and gaps["fast"].tolist() == pytest.approx([10, 20])


def test_headroom_names_the_roles():
    results = make_results() + [make_result("cp-sat", f"i{k}", 100) for k in range(2)]
    results += [make_result("runs/x", f"i{k}", 105) for k in range(2)]
    rows = tables.headroom(results, "slow", ["slow", "fast", "middle"], ["cp-sat"])
    assert [row[:3] for row in rows[1:]] == [
        ["naive rule", "slow", "60.00"],
        ["best rule", "fast", "15.00"],
        ["learned", "runs/x", "5.00"],
        ["exact", "cp-sat", "0.00"],
        ["proven", "lower bound", "-10.00"],
    ]
    assert rows[2][4:] == ["+0.00", "+0.00 .. +0.00"] and rows[3][4] == "-10.00" and rows[3][5] == "-15.00 .. -5.00"


def test_gaps_of_what_may_be_zero_are_points_of_a_scale():
    rows = {"slow": (30, 50), "fast": (0, 20), "cp-sat": (0, 10)}
    results = [
        replace(
            make_result(p, f"i{k}", value, best=10 * k, lower=5 * k), objective="total_tardiness", scale=200, gap=None
        )
        for p, values in rows.items()
        for k, value in enumerate(values)
    ]
    assert tables.summary(results)[0][3] == "gap points"
    assert [row[3] for row in tables.summary(results)[1:]] == ["0.00", "2.50", "17.50"]
    assert [r.gap for r in tables.relative(results, "slow") if r.policy == "fast"] == [-0.15, -0.15]
    head = tables.headroom(results, "slow", ["slow", "fast"], ["cp-sat"])
    assert [row[:3] for row in head[1:]] == [
        ["naive rule", "slow", "17.50"],
        ["best rule", "fast", "2.50"],
        ["exact", "cp-sat", "0.00"],
        ["proven", "lower bound", "-1.25"],
    ]


def test_headroom_without_a_gap_says_what_to_do():
    with pytest.raises(OptionError, match="--time-limit"):
        tables.headroom([make_result("spt", "x", 5, best=None, lower=None)], "spt", ["spt"], [])


def test_formats_hold_every_cell():
    rows = tables.summary(make_enough())
    interval = rows[1][4]
    assert " .. " in interval
    for text in (tables.to_csv(rows), tables.to_markdown(rows), tables.to_latex(rows), tables.to_text(rows, "title")):
        assert text.endswith("\n")
        for cell in ("fast", "15.00", interval):
            assert cell in text
    assert list(csv.reader(io.StringIO(tables.to_csv(rows)))) == rows
    assert tables.to_text(rows, "over it").startswith("over it")
    markdown = tables.to_markdown(rows).splitlines()
    assert len({line.count("|") for line in markdown}) == 1 and len(markdown) == len(rows) + 1


def test_awkward_names_do_not_break_a_format():
    name = r"runs/a_b|50%,$x^2~{&}\#1"
    rows = [["policy", "gap %"], [name, "1"]]
    assert list(csv.reader(io.StringIO(tables.to_csv(rows)))) == rows
    latex = tables.to_latex(rows).splitlines()[4]
    bare = latex.removesuffix(r"\\")
    for escaped in (r"\textbackslash{}", r"\textasciicircum{}", r"\textasciitilde{}", *(rf"\{c}" for c in r"_%${}&#")):
        bare = bare.replace(escaped, "")
    assert not set(bare.replace("&", "", 1)) & set(r"_%$^~{}&\#"), latex
    assert tables.to_markdown(rows).splitlines()[2].replace(r"\|", "").count("|") == 3


def test_a_wide_table_is_not_cut():
    rows = [["policy", *(f"column {k}" for k in range(30))], ["p" * 60, *("123456.7" for _ in range(30))]]
    text = tables.to_text(rows)
    assert "p" * 60 in text and text.count("123456.7") == 30 and "…" not in text
