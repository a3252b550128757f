"""The report: its sets exist, its tables follow from the results, and nothing is measured twice."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from dispatchgym.envs.core import registry
from dispatchgym.envs.core.errors import DispatchGymError
from dispatchgym.envs.core.result import Result


@pytest.fixture(scope="module")
def report(script):
    """The module of the command."""
    return script("report")


def result(policy: str, instance: str, value: int, best: int = 100) -> Result:
    return Result(
        family="job_shop", instance=instance, digest=instance, policy=policy, seed=0, objective="makespan",
        value=value, metrics={"makespan": value}, lower_bound=best, best_known=best, violations=[], runtime_s=0.5,
    )  # fmt: skip


def played(policy: str, *values: int) -> list[Result]:
    return [result(policy, f"shop{k}", value) for k, value in enumerate(values)]


def test_every_set_of_every_family_exists(report):
    for entry in registry.families():
        sections = report.report_sections.sections(entry.name, [])
        assert sections and len({section.key for section in sections}) == len(sections)
        for section in sections:
            name = section.names[0]
            assert registry.instances([f"{name.split(':')[0]}:0" if ":" in name else name], entry.name)
            assert set(section.rules) <= set(entry.policies)


def test_published_tables_are_about_the_sets_of_the_same_name(report):
    sizes = {section.title: registry.instances(list(section.names), "job_shop") for section in
             report.report_sections.job_shop_sets()}  # fmt: skip
    for prefix, table in (("Taillard ", report.report_sections.TAILLARD), ("Demirkol ", report.report_sections.DMU)):
        for column in table.columns:
            assert {instance.size for instance in sizes[prefix + column]} == {column}
            assert len(sizes[prefix + column]) == 10
        assert all(len(row) == len(table.columns) for row in table.rows.values())


def test_rows_are_means_over_seeds_and_instances(report):
    results = played("spt", 120, 140) + played("learned, greedy@0", 110, 120) + played("learned, greedy@1", 100, 110)
    header, first, second = report.rows_of(results)
    assert header[2] == "mean gap, %"
    assert first[:3] == ["learned, greedy", "2", "10.00"] and second[:3] == ["spt", "", "30.00"]
    low, high = map(float, first[3].split(" .. "))
    assert low <= 10 <= high and low < high


def test_the_verdict_says_who_is_better(report):
    section = SimpleNamespace(rules=("spt", "fifo"))
    slow, fast = [150 + k % 7 for k in range(30)], [120 + k % 5 for k in range(30)]
    text = report.verdict(played("spt", *slow) + played("fifo", *fast) + played("learned, greedy@0", *slow), section)
    assert "fifo" in text and "the rule is better" in text and "+3" in text
    text = report.verdict(played("fifo", *slow) + played("learned, greedy@0", *fast), section)
    assert "the policy is better" in text
    text = report.verdict(played("fifo", *fast) + played("learned, greedy@0", *fast), section)
    assert "no difference" in text
    assert report.verdict(played("fifo", *fast), section) == ""


def test_headroom_names_the_best_rule_and_what_is_proved(report):
    section = report.Section("job_shop", "main", "shops", (), ("cp-sat-replan", "spt", "fifo"), ("cp-sat", 1.0))
    results = [
        *played("cp-sat-replan", 105, 105),
        *played("fifo", 150, 150), *played("spt", 120, 140), *played("learned, greedy@0", 110, 110),
        *played("learned, greedy@1", 110, 130), *played("cp-sat", 101, 101),
    ]  # fmt: skip
    (row,) = report.headroom({section.key: results}, [("shops", [section])], "fifo")
    assert row[:6] == ["`main`, 2 seeds", "shops", "%", "fifo 50.00", "spt 30.00", "cp-sat-replan 5.00"]
    assert row[6].startswith("15.00 (") and row[7:] == ["", "cp-sat 1.00 (1)", "0.00"]
    section = report.replace(section, reference="spt")
    (row,) = report.headroom({section.key: results}, [("shops", [section])], "fifo")
    assert row[2] == "%, to `spt`" and len(row) == len(report.HEADROOM)


def test_the_overview_is_chosen_by_place(report):
    for entry in registry.families():
        sections = report.report_sections.sections(entry.name, [])
        rows = report.report_sections.overview(sections)
        shown = [section.preset for _, part in rows for section in part]
        assert set(shown) == {section.preset for section in sections}  # every training is there
        assert all(len(part) == 1 or part[0].preset == "mixed" for _, part in rows)
    taillard, demirkol = (part for _, part in report.report_sections.overview(report.report_sections.job_shop_sets()))
    assert len(taillard) == len(demirkol) == 8


def test_a_row_of_the_overview_pools_its_sets(report):
    sections = [
        report.Section("job_shop", "mixed", f"Taillard {size}", (), ("spt", "fifo"), ("cp-sat", 2.0))
        for size in ("a", "b")
    ]
    first = [
        *played("fifo", 150, 150), *played("spt", 120, 140), *played("cp-sat", 101, 101),
        *played("learned, greedy@0", 110, 110), *played("learned, greedy@1", 110, 130),
        *played("learned, 16 attempts@0", 104, 104),
    ]  # fmt: skip
    second = [
        *played("fifo", 110, 110), *played("spt", 120, 140), *played("learned, 16 attempts@0", 106, 106),
        *played("learned, greedy@0", 110, 110), *played("learned, greedy@1", 110, 110),
    ]  # fmt: skip
    found = dict(zip([section.key for section in sections], (first, second), strict=True))
    (row,) = report.headroom(found, report.report_sections.overview(sections), "fifo")
    assert row[:6] == ["`mixed`, 2 seeds", "ta01-80", "%", "fifo 30.00", "spt 30.00", ""]
    assert row[6].startswith("12.50 (") and row[7:] == ["5.00", "", "0.00"]  # the solver is not known everywhere
    without = [one for one in first if not one.policy.startswith("learned")]
    (row,) = report.headroom({sections[0].key: without}, [("a", sections[:1])], "fifo")
    assert row[0] == "`mixed`" and row[6:] == ["", "", "cp-sat 1.00 (2)", "0.00"]


def test_a_table_is_put_between_the_marks(report, tmp_path):
    page, (begin, end) = tmp_path / "page.md", report.MARKS
    page.write_text(f"before\n\n{begin}\nold\n{end}\nafter\n")
    assert report.with_table(page, "| new |\n") == f"before\n\n{begin}\n\n| new |\n\n{end}\nafter\n"
    for text in ("before", f"{end}\n{begin}"):
        page.write_text(text)
        with pytest.raises(DispatchGymError, match="page.md must be a page with the line <!-- written"):
            report.with_table(page, "")


def test_further_seeds_take_part(report, tmp_path, monkeypatch):
    (tmp_path / "job_shop").mkdir()
    for suffix in (".json", ".safetensors"):
        content = (report.shipped.FOLDER / "job_shop" / f"main{suffix}").read_bytes()
        (tmp_path / "job_shop" / f"main-3{suffix}").write_bytes(content)
    monkeypatch.setattr(report, "SEEDS", tmp_path)
    section = report.Section("job_shop", "main", "tiny", ("3x3:0-1",), (), samples=1)
    names = {one.policy for one in report.remembered(section, tmp_path, None, 0)}
    assert names == {"learned, greedy@shipped", "learned, greedy@3"}
    assert report.sources(report.Section("job_shop", "nobody", "tiny", (), ()), None) == {}


def test_who_left_an_instance_unsolved_has_no_mean(report):
    missing = played("mip", 120, 130)
    object.__setattr__(missing[1], "gap", None)
    rows = report.rows_of(played("spt", 120, 140) + missing)
    assert rows[-1][:3] == ["mip", "", "not on all instances"]


def test_what_nothing_is_known_of_is_left_out(report):
    results = played("spt", 120, 140) + played("fifo", 130, 150)
    assert report.judged(results) == (results, "")
    for unknown in (results[1], results[3]):
        object.__setattr__(unknown, "gap", None)
    kept, note = report.judged(results)
    assert [one.instance for one in kept] == ["shop0", "shop0"] and "Without 1 of the instances" in note


def test_our_rows_stand_beside_the_published_ones(report):
    table = report.report_sections.Published("somebody", ("2x2", "3x3"), {"theirs": (5.0, None)})
    text = report.published({"Shop 2x2": played("spt", 120, 140)}, "Shop ", table)
    assert "| spt (here) | 30.0 |  |  |" in text and "| theirs | 5.0 |  |  |" in text and "somebody" in text


def test_nothing_is_measured_twice(report, tmp_path, monkeypatch):
    section = report.Section("job_shop", "nobody", "tiny", ("3x3:0-1",), ("spt", "fifo"), samples=1)
    first = report.remembered(section, tmp_path, None, 0)
    assert len(first) == 4 and all(not one.violations for one in first)
    monkeypatch.setattr(report, "measure", lambda *arguments: pytest.fail("measured again"))
    again = report.remembered(section, tmp_path, None, 0)
    assert [one.to_json() for one in again] == [one.to_json() for one in first]
    monkeypatch.setattr(report, "measure", lambda *arguments: [])
    assert report.remembered(section, tmp_path, None, 1) == []


def test_other_processes_measure_the_same(report, tmp_path):
    tiny = [report.Section("job_shop", "nobody", f"tiny {k}", (f"3x3:{k}",), ("spt",), samples=1) for k in range(3)]
    report.measure_all(tiny, tmp_path, None, 0, 2)
    there = {section.key: report.remembered(section, tmp_path, None, 0) for section in tiny}
    for section in tiny:
        assert [one.value for one in there[section.key]] == [one.value for one in report.measure(section, None, 0)]


def test_a_preset_of_two_families_can_be_asked_for_with_its_family(report):
    def found(family: str, *presets: str) -> set[str]:
        return {section.preset for section in report.report_sections.sections(family, list(presets))}

    assert found("job_shop", "mixed") == found("vm", "mixed") == {"mixed"}
    assert found("job_shop", "vm/mixed") == set() and found("vm", "vm/mixed") == {"mixed"}
    assert found("job_shop", "job-shop/main", "vm/mixed") == {"main"}


def test_a_profile_is_drawn(report, tmp_path):
    path = tmp_path / "profile.png"
    report.report_figures.profiles({"spt": np.array([1.0, 2.0]), "learned": np.array([0.0, 3.0])}, "x", "%", path)
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("chess", "chess"),
        ("soc --presets main", "preset 'main'"),
        ("soc --runs nowhere", "nowhere"),
        ("--pages", "README.md must be a page"),
    ],
)
def test_what_is_not_there_is_an_error(report, monkeypatch, tmp_path, words, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", *words.split()])
    with pytest.raises(DispatchGymError, match=named):
        report.main()
    assert list(tmp_path.iterdir()) == []  # nothing half-written
