"""Evaluations in worlds that go on: attempts that count together, the same world for everybody, gaps to a reference."""

import pytest
import torch

from dispatchgym.envs.core import tables
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.evaluation import evaluate
from dispatchgym.envs.core.registry import family, instances
from dispatchgym.envs.core.solvers import Limits, applies, is_exact, options_of, resolve, rules_of, run, solve

NOISE = {"noise": "gaussian", "sigma": 0.5}
SOC = family("soc")


@pytest.fixture(scope="module")
def graphs():
    return instances(["cholesky-4-2g2c:0-2", "topcuoglu"], "soc")


def durations(schedule) -> dict:
    """Actual time of each (task, element) that occurred."""
    return {(row[1], row[2]): row[4] - row[3] for row in schedule.entries.tolist()}


def test_attempts_that_cannot_be_repeated_are_averaged(graphs):
    answers = solve(resolve("random", "soc"), graphs, Limits(samples=5, options=NOISE))
    results = evaluate({"random": resolve("random", "soc")}, graphs, Limits(samples=5, options=NOISE))
    for answer, result in zip(answers, results, strict=True):
        values = [schedule.metrics()["makespan"] for schedule in answer.attempts]
        assert len(values) == 5 and len(set(values)) > 1
        assert result.value == pytest.approx(sum(values) / 5) and result.violations == []
    (planned,) = solve(resolve("random", "soc"), graphs[-1:], Limits(samples=5))
    assert planned.attempts == () and planned.counted == (planned.schedule,)


def test_every_policy_meets_the_same_world_in_any_company(graphs):
    together = run(resolve("mct", "soc"), graphs, Limits(options=NOISE))
    alone = run(resolve("min-min", "soc"), graphs[1:2], Limits(options=NOISE))[0]
    other = durations(together[1].schedule)
    shared = durations(alone.schedule).items() & other.items()
    met = durations(alone.schedule).keys() & other.keys()
    assert len(met) >= 5 and len(shared) == len(met)
    another = run(resolve("mct", "soc"), graphs[1:2], Limits(seed=1, options=NOISE))[0]
    assert durations(another.schedule) != other


def test_worlds_of_instances_differ(graphs):
    first, second = run(resolve("mct", "soc"), graphs[:2], Limits(options=NOISE))
    assert durations(first.schedule) != durations(second.schedule)


def test_published_bounds_do_not_hold_in_other_worlds(graphs):
    plain = evaluate({"heft": resolve("heft", "soc")}, graphs[-1:], Limits())
    noisy = evaluate({"heft": resolve("heft", "soc")}, graphs[-1:], Limits(options=NOISE))
    assert plain[0].best_known == 73 and noisy[0].best_known is None and noisy[0].lower_bound is None


def test_a_trained_policy_keeps_its_ways_but_not_its_world():
    class Trained:
        observes, doc = True, ""
        options = {"binding": "match", "choice": 3, "noise": "gamma", "sigma": 0.2}

    options = options_of(Trained(), Limits(options={**NOISE, "choice": 5}), SOC)
    assert (options.binding, options.choice, options.noise, options.sigma) == ("match", 3, "gaussian", 0.5)
    assert options_of(Trained(), Limits(), SOC).noise == "none"


def test_rules_that_make_no_sense_somewhere_are_known(graphs):
    stream = instances(["socrates-50x3:0"], "soc")
    for name, where, sense in (
        ("pilot", graphs, True), ("pilot", stream, False), ("lookahead", stream, False), ("lookahead", graphs, True),
        ("mct", stream, True), ("cp-sat", stream, True),
    ):  # fmt: skip
        assert applies(resolve(name, "soc"), where, Limits()) == sense, name
    assert not applies(resolve("cp-sat", "soc"), graphs, Limits(options={"shared_bus": True}))
    assert not is_exact(resolve("lookahead", "soc")) and "lookahead" in rules_of(SOC) and "cp-sat" not in rules_of(SOC)


def test_gaps_to_a_reference(graphs):
    policies = {name: resolve(name, "soc") for name in ("heft", "peft")}
    results = tables.relative(evaluate(policies, graphs, Limits()), "heft")
    gaps = {(result.policy, result.instance): result.gap for result in results}
    assert gaps["heft", "topcuoglu"] == 0 and gaps["peft", "topcuoglu"] == pytest.approx(85 / 80 - 1)
    assert tables.summary(results, "heft")[0][3] == "minus heft %"
    with pytest.raises(OptionError, match="mct has no value"):
        tables.relative(results, "mct")


def test_attempts_leave_the_global_generator_alone(graphs):
    state = torch.random.get_rng_state()
    solve(resolve("random", "soc"), graphs[:1], Limits(samples=3, options=NOISE))
    assert torch.equal(torch.random.get_rng_state(), state)
