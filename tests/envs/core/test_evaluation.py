"""Evaluation: every answer is judged by the validator, and bounds come from where they may come from."""

from dataclasses import asdict, dataclass, field

import numpy as np
import pytest
import torch

from dispatchgym.envs.core import registry
from dispatchgym.envs.core.errors import OptionError, ScheduleError
from dispatchgym.envs.core.evaluation import evaluate
from dispatchgym.envs.core.policies import Rule
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.core.solvers import Answer, Exact, Limits, resolve, solve


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


@pytest.mark.parametrize("weak", [True, False])
def test_best_known_is_the_best_of_anybody_where_an_exact_solver_took_part(weak):
    """Under a short time limit it may be a rule's schedule that is the best there is, and no gap is negative."""
    shops = registry.instances(["6x6:0-3", "ft06"], "job_shop")
    worst = answering(lambda instance: solve(resolve("lpt", "job_shop"), [instance], Limits())[0].schedule, lower=1)
    policies = named("spt", "mopnr", "lpt") | ({"exact": worst} if weak else named("cp-sat"))
    results = evaluate(policies, shops, Limits())
    for shop in shops[:-1]:
        rows = [r for r in results if r.digest == shop.digest]
        best = min(r.value for r in rows)
        assert {r.best_known for r in rows} == {best} and min(r.gap for r in rows) == 0
        assert {r.lower_bound for r in rows} == {1 if weak else best}
        if weak:
            assert best < next(r.value for r in rows if r.policy == "exact")
    assert {r.best_known for r in results if r.instance == "ft06"} == {55}, "the catalogue speaks for its own"


def test_an_exact_solver_without_an_answer_makes_nothing_known():
    mute = answering(lambda instance: None, lower=5)
    result = evaluate(named("spt") | {"mute": mute}, registry.instances("4x3:0", "job_shop"), Limits())[0]
    assert result.best_known is result.gap is None and result.lower_bound == 5


@pytest.mark.parametrize("options", [{"colour": 1}, {"construction": "foo"}, {"forced_moves": "maybe"}], ids=str)
@pytest.mark.parametrize("names", [("cp-sat",), ("spt", "cp-sat"), ()], ids=str)
def test_options_are_looked_at_whoever_answers(options, names):
    """Exact solvers do not dispatch, but a misspelt option is one all the same; nothing is solved before."""
    policies = named(*names) | {"costly": answering(lambda instance: pytest.fail("solved for nothing"))}
    with pytest.raises(OptionError, match=next(iter(options))):
        evaluate(policies, registry.instances("ft06", "job_shop"), Limits(options=options))


def test_results_say_what_they_were_made_with():
    shops = registry.instances(["ft06", "4x3:0"], "job_shop")
    limits = Limits(samples=3, seed=5, options={"construction": "insertion"})
    entry = registry.family("job_shop")
    bare = Rule(lambda c: c.processing_time)
    for result in evaluate(named("spt", "random", "cp-sat") | {"bare": bare}, shops, limits):
        exact = result.policy == "cp-sat"
        assert result.samples == (1 if exact else 3) and result.seed == 5
        assert result.options == ({} if exact else asdict(entry.make_options(construction="insertion")))
    by_policy = {r.policy: r.options["construction"] for r in evaluate(named("spt") | {"bare": bare}, shops, Limits())}
    assert by_policy == {"spt": "non-delay", "bare": "active"}


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
