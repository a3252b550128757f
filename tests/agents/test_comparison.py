"""The comparison that ends a training: fair references, and a sentence that claims no more than the interval does."""

import dataclasses

import pytest

from dispatchgym.agents.comparison import GREEDY, compare, strongest, verdict
from dispatchgym.agents.presets import preset
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.solvers import resolve
from dispatchgym.envs.core.statistics import FEWEST


def result_of(policy: str, number: int, gap: float) -> Result:
    return Result(
        family="job_shop", instance=f"i{number}", digest=str(number), policy=policy, seed=0, objective="makespan",
        value=100 + gap, metrics={}, lower_bound=100, best_known=100, violations=[], runtime_s=0.1,
    )  # fmt: skip


def results_of(**gaps: list[float]) -> list[Result]:
    """Results with the given gaps in percent over instances of best known 100."""
    return [result_of(p.replace("_", ", "), k, gap) for p, row in gaps.items() for k, gap in enumerate(row)]


RULES = ("spt", "mwkr")
STEADY = [5.0, 6.0, 7.0, 5.0, 6.0, 7.0]
UNSTEADY = [6.0, 5.0, 8.0, 4.0, 7.0, 6.0]


@pytest.mark.parametrize(
    ("learned", "outcome", "mean"),
    [
        ([gap - 3 for gap in STEADY], "the policy is better", "-3.00"),
        ([gap + 3 for gap in STEADY], "the rule is better", "+3.00"),
        (UNSTEADY, "no difference can be claimed", "+0.00"),
        (STEADY, "no difference can be claimed", "+0.00"),
    ],
    ids=range(4),
)
def test_the_verdict_is_that_of_the_paired_interval(learned, outcome, mean):
    text = verdict(results_of(spt=STEADY, mwkr=[20.0] * 6, learned_greedy=learned), RULES)
    assert "strongest rule (spt)" in text and mean in text and text.endswith(f": {outcome}.")


def test_only_rules_count_as_rivals():
    text = verdict(results_of(cp=[0.0] * 6, spt=STEADY, learned_greedy=STEADY), RULES)
    assert "(spt)" in text


def test_the_strongest_rule_has_the_smallest_mean_gap():
    assert (
        strongest(results_of(spt=[1.0, 9.0], mwkr=[4.0, 4.0], cp=[0.0, 0.0], learned_greedy=[0.0, 0.0]), RULES)
        == "mwkr"
    )
    assert strongest(results_of(spt=[1.0, 9.0], learned_greedy=[0.0, 0.0]), RULES) == "spt"
    assert strongest(results_of(learned_greedy=STEADY), RULES) is None


def test_without_a_gap_nothing_is_claimed():
    results = [dataclasses.replace(r, best_known=None, lower_bound=None, gap=None) for r in results_of(spt=STEADY)]
    assert strongest(results, RULES) is None
    assert verdict(results, RULES) == "No comparison: a gap is missing."
    assert verdict(results_of(spt=STEADY), RULES) == "No comparison: a gap is missing."


def test_a_handful_of_instances_is_no_verdict():
    few = FEWEST - 1
    text = verdict(results_of(spt=STEADY[:few], learned_greedy=[0.0] * few), RULES)
    assert text == f"{few} instances: too few to compare policies on."
    assert "the policy is better" in verdict(results_of(spt=STEADY[:FEWEST], learned_greedy=[0.0] * FEWEST), RULES)


@pytest.fixture(scope="module")
def small():
    sets = {"4x3 held out": ["4x3:0-5"], "published": ["ft06"]}
    return dataclasses.replace(preset("job_shop", "smoke"), held_out=sets, samples=5)


def test_compare_judges_everybody_on_the_same_instances(small, tmp_path, capsys):
    policy = resolve("random", "job_shop")
    results = compare(small, "job_shop", policy, "cpu", 0, tmp_path)
    out = capsys.readouterr().out
    learned = {GREEDY, "learned, best of 5"}
    for title, names in small.held_out.items():
        judged = {instance.digest for instance in registry.instances(names, "job_shop")}
        part = [r for r in results if r.digest in judged]
        means = {rule: sum(r.gap for r in part if r.policy == rule) for rule in small.rules}
        rival = f"{min(means, key=means.get)}, best of 5"
        expected = set(small.rules) | learned | {rival} | ({"cp-sat"} if title != "published" else set())
        assert {r.policy for r in part} == expected and len(part) == len(expected) * len(judged)
        for digest in judged:
            rows = [r for r in part if r.digest == digest]
            assert len({(r.lower_bound, r.best_known) for r in rows}) == 1, "policies are held to different references"
            assert all(r.gap == pytest.approx(r.value / r.best_known - 1) and r.gap >= 0 for r in rows)
        for r in part:
            assert r.samples == (5 if "best of" in r.policy else 1)
            assert ("construction" in r.options) == (r.policy != "cp-sat")
        assert title in out and f"## {title}" in (tmp_path / "table.md").read_text()
    assert out.count("Greedy policy minus the strongest rule") == 1 and "1 instance: too few" in out
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [Result.from_json(line) for line in lines] == results
    assert not any(r.violations for r in results)


def test_without_a_gap_only_the_policy_tries_again(small, tmp_path, capsys):
    """Where nothing is known nobody is the strongest rule."""
    unknown = dataclasses.replace(small, exact=None, held_out={"unknown": ["4x3:0-1"]})
    results = compare(unknown, "job_shop", resolve("random", "job_shop"), "cpu", 0, tmp_path)
    assert {r.policy for r in results} == {*small.rules, GREEDY, "learned, best of 5"}
    assert all(r.best_known is None for r in results) and "No comparison" in capsys.readouterr().out


def test_more_samples_are_never_worse(small, tmp_path):
    """For the policy, and for the strongest rule, which may try as often."""
    many = dataclasses.replace(small, samples=64)
    results = compare(many, "job_shop", resolve("spt", "job_shop"), "cpu", 0, tmp_path)
    values = {(r.policy, r.digest): r.value for r in results}
    rival = {}
    for (policy, digest), value in values.items():
        if policy == GREEDY:
            assert values["learned, best of 64", digest] <= value == values["spt", digest]
        elif policy.endswith(", best of 64") and not policy.startswith("learned"):
            rival[digest] = values[policy.removesuffix(", best of 64"), digest] - value
    assert len(rival) == 7 and min(rival.values()) == 0 < max(rival.values())
