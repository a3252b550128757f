"""Evaluation: every answer is judged by the validator, and bounds come from where they may come from."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from dispatchgym.envs.core import registry
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.evaluation import evaluate
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.core.solvers import Answer, Exact, Limits, resolve


def named(*names: str) -> dict[str, object]:
    return {name: resolve(name, "job_shop") for name in names}


def answering(schedule_of, lower=None, status="") -> Exact:
    return Exact(lambda instance, limits: Answer(schedule_of(instance), 0.5, lower, status), "made up")


def shifted(instance) -> Schedule:
    """A feasible schedule with one operation moved into another."""
    good = resolve("cp-sat", "job_shop").solve(instance, Limits()).schedule
    entries = np.array(good.entries)
    entries[entries[:, 3].argmax(), 3:5] -= 5
    return Schedule(instance, entries)


def test_one_result_per_policy_and_instance_in_order():
    shops = registry.instances(["ft06", "la01", "4x3:0"], "job_shop")
    results = evaluate(named("spt", "cp-sat"), shops, Limits(seed=7))
    assert [(r.policy, r.instance) for r in results] == [
        (p, i) for p in ("spt", "cp-sat") for i in ("ft06", "la01", "4x3:0")
    ]
    for result, shop in zip(results, shops * 2, strict=True):
        assert result.digest == shop.digest and result.family == "job_shop" and result.objective == "makespan"
        assert result.seed == 7 and result.violations == [] and result.runtime_s >= 0
        assert result.value == result.metrics["makespan"]
    assert results[0].value == 88 and results[3].value == 55 and results[3].status == "optimal"
    assert results[0].gap == pytest.approx(88 / 55 - 1)


def test_bounds_of_the_catalogue_are_used():
    shops = registry.instances(["ta01", "ta40"], "job_shop")
    for result, shop in zip(evaluate(named("spt"), shops, Limits()), shops, strict=True):
        known = registry.bounds(shop)
        assert (result.lower_bound, result.best_known) == (known.lower, known.upper)


def test_without_an_exact_solver_nothing_is_known_of_other_instances():
    result = evaluate(named("spt"), registry.instances("4x3:0", "job_shop"), Limits())[0]
    assert result.lower_bound is result.best_known is result.gap is None


def test_an_exact_solver_gives_bound_and_best_known_to_all():
    shops = registry.instances("4x3:0-2", "job_shop")
    results = evaluate(named("spt", "cp-sat"), shops, Limits())
    for spt, exact in zip(results[:3], results[3:], strict=True):
        assert spt.lower_bound == exact.lower_bound == spt.best_known == exact.value
        assert exact.gap == 0 and spt.gap >= 0


def test_a_policy_that_cheats_is_found_out():
    shop = registry.instances("ft06", "job_shop")[0]
    result = evaluate({"cheat": answering(shifted)}, [shop], Limits())[0]
    assert result.violations and all(isinstance(v, str) and len(v) > 10 for v in result.violations)
    assert result.value is not None


def at_once(instance) -> Schedule:
    """Everything at time zero."""
    entries = np.array(resolve("cp-sat", "job_shop").solve(instance, Limits()).schedule.entries)
    entries[:, 3:5] -= entries[:, 3:4]
    return Schedule(instance, entries)


def test_a_cheat_does_not_become_the_best_known():
    shops = registry.instances("4x3:0", "job_shop")
    results = {r.policy: r for r in evaluate(named("cp-sat") | {"cheat": answering(at_once)}, shops, Limits())}
    assert results["cheat"].violations and results["cheat"].value < results["cp-sat"].value
    assert results["cheat"].best_known == results["cp-sat"].value


def test_no_answer_is_a_violation():
    shop = registry.instances("ft06", "job_shop")[0]
    result = evaluate({"mute": answering(lambda instance: None, lower=50, status="unknown")}, [shop], Limits())[0]
    assert result.value is None and result.gap is None and result.metrics == {}
    assert "time limit" in result.violations[0] and result.status == "unknown"


def test_a_bound_that_a_schedule_beats_is_an_error():
    shop = registry.instances("4x3:0", "job_shop")[0]
    liar = answering(lambda instance: resolve("cp-sat", "job_shop").solve(instance, Limits()).schedule, lower=10**6)
    with pytest.raises(ScheduleError):
        evaluate({"liar": liar}, [shop], Limits())


@dataclass(frozen=True)
class Illegal:
    """Picks actions that are not allowed."""

    observes: bool = False
    doc: str = ""
    options: dict = field(default_factory=dict)

    def act(self, simulation, generator, explore):
        return torch.full((simulation.num_envs,), 99)


def test_a_policy_that_breaks_off_is_infeasible():
    result = evaluate({"illegal": Illegal()}, registry.instances("ft06", "job_shop"), Limits())[0]
    assert any("operation" in violation for violation in result.violations)


def test_progress_counts_every_answer():
    counts = []
    shops = registry.instances(["4x3:0-4", "3x3:0-1"], "job_shop")
    evaluate(named("spt", "cp-sat"), shops, Limits(progress=counts.append))
    assert sum(counts) == 14


def test_the_same_seed_gives_the_same_results():
    shops = registry.instances("6x6:0-9", "job_shop")
    found = [
        [r.value for r in evaluate(named("random", "spt"), shops, Limits(seed=seed, samples=4))] for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]
