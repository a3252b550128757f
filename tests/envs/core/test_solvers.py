"""From policies to solvers: batches, samples and limits."""

import math
import time
from dataclasses import asdict

import pytest
import torch

from dispatchgym.envs.core import solvers
from dispatchgym.envs.core.errors import CheckpointError, OptionError, UnknownNameError
from dispatchgym.envs.core.policies import Rule
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Answer, Exact, Limits, options_of, resolve, run, solve
from dispatchgym.instances.catalogue import load_many


def makespans(answers: list[Answer]) -> list[int]:
    return [answer.schedule.metrics()["makespan"] for answer in answers]


@pytest.fixture(scope="module")
def shops():
    return load_many(["ft06", "4x3:0-2", "la01", "4x3:3-4", "6x6:0"])


def test_mixed_sizes_answer_as_each_one_alone(shops):
    policy = resolve("mopnr", "job_shop")
    assert makespans(run(policy, shops, Limits())) == [makespans(run(policy, [one], Limits()))[0] for one in shops]


@pytest.mark.parametrize("width", [1, 3, 4, 7])
def test_batches_of_any_width_keep_the_best_of_all_samples(shops, width, monkeypatch):
    monkeypatch.setattr(solvers, "MOST_ENVIRONMENTS", width)
    policy, greedy = resolve("spt", "job_shop"), makespans(run(resolve("spt", "job_shop"), shops, Limits()))
    assert makespans(run(policy, shops, Limits(samples=1))) == greedy
    sampled = makespans(run(policy, shops, Limits(samples=10)))
    assert all(a <= b for a, b in zip(sampled, greedy, strict=True)) and sum(sampled) < sum(greedy)


def test_exactly_as_many_samples_as_granted(monkeypatch):
    seen = []

    class Watch:
        observes, options = False, {}

        def act(self, simulation, generator, explore):
            if not simulation.engine.tensors["steps"].any():
                seen.append(explore.tolist())
            return resolve("spt", "job_shop").act(simulation, generator, explore)

    monkeypatch.setattr(solvers, "MOST_ENVIRONMENTS", 4)
    run(Watch(), load_many("ft06"), Limits(samples=4))
    assert seen == [[False, True, True, True]]
    seen.clear()
    run(Watch(), load_many("ft06"), Limits(samples=6))
    assert seen == [[False, True, True, True], [True, True, True, True]]  # of the second round, two count


def test_a_surplus_attempt_does_not_count(monkeypatch):
    """Of the last round only as many attempts count as were granted, however good the others are."""
    monkeypatch.setattr(solvers, "MOST_ENVIRONMENTS", 2)
    good, bad, shop = resolve("mopnr", "job_shop"), resolve("lpt", "job_shop"), load_many("la01")
    rounds = []

    class OnlyTheSurplusIsGood:
        observes, options = False, good.options

        def act(self, simulation, generator, explore):
            if not simulation.engine.tensors["steps"].any():
                rounds.append(len(rounds))
            surplus = (torch.arange(2) == 1) & (len(rounds) == 2)
            actions = [policy.act(simulation, generator, explore & False) for policy in (good, bad)]
            return torch.where(surplus, *actions)

    answers = [makespans(run(policy, shop, Limits(samples=1))) for policy in (good, bad)]
    assert answers[0] < answers[1]
    assert makespans(run(OnlyTheSurplusIsGood(), shop, Limits(samples=3))) == answers[1] and len(rounds) == 2


def test_options_of_the_user_override_those_of_the_rule(shops):
    policy = resolve("spt", "job_shop")
    chosen = {
        name: makespans(run(policy, shops, Limits(options={"construction": name}))) for name in ("active", "non-delay")
    }
    assert makespans(run(policy, shops, Limits())) == chosen["non-delay"] != chosen["active"]


def test_answers_say_with_which_options(shops):
    entry = family("job_shop")
    for options in ({}, {"construction": "0.5", "forced_moves": "False"}):
        expected = asdict(entry.make_options(**{"construction": "non-delay", **options}))
        assert all(a.options == expected for a in run(resolve("spt", "job_shop"), shops, Limits(options=options)))
    assert Answer(None, 0.0).options == {}


def test_options_are_the_users_for_rules_and_its_own_for_a_network():
    class Trained:
        observes, options = True, {"construction": "insertion"}

    entry, limits = family("job_shop"), Limits(options={"construction": "active", "forced_moves": "False"})
    assert options_of(Trained(), limits, entry) == entry.make_options(construction="insertion")
    asked = entry.make_options(construction="active", forced_moves=False)
    assert options_of(resolve("spt", "job_shop"), limits, entry) == asked
    assert options_of(Rule(lambda c: c.processing_time), Limits(), entry) == entry.make_options()
    for policy in (Trained(), resolve("spt", "job_shop")):
        with pytest.raises(OptionError, match="colour"):
            options_of(policy, Limits(options={"colour": 1}), entry)


def test_random_answers_depend_on_their_own_size_only(shops):
    """What of other sizes is evaluated beside them must not matter."""
    random, limits = resolve("random", "job_shop"), Limits(seed=3, samples=2)
    together = makespans(run(random, shops, limits))
    sizes = {}
    for place, shop in enumerate(shops):
        sizes.setdefault(shop.size, []).append(place)
    assert len(sizes) == 3
    for places in sizes.values():
        assert makespans(run(random, [shops[p] for p in places], limits)) == [together[p] for p in places]
    assert makespans(run(random, shops, Limits(seed=4, samples=2))) != together


def test_the_clock_starts_after_loading(shops, monkeypatch):
    """The first policy of an evaluation must not pay for what all of them use."""
    order = []
    reset, clock = Simulation.reset, time.perf_counter
    monkeypatch.setattr(Simulation, "reset", lambda self: (order.append("reset"), reset(self))[1])
    monkeypatch.setattr(solvers.time, "perf_counter", lambda: (order.append("clock"), clock())[1])
    run(resolve("spt", "job_shop"), shops[:1], Limits())
    assert order == ["reset", "clock", "reset", "clock"]


def test_a_policy_is_found_by_name_and_by_path_or_is_one_already(tmp_path):
    assert resolve("SPT", "job_shop") is resolve("spt", "job_shop")
    for policy in (resolve("spt", "job_shop"), resolve("cp-sat", "job_shop"), Rule(lambda c: c.processing_time)):
        assert resolve(policy, "job_shop") is policy
    with pytest.raises(CheckpointError, match="checkpoint"):
        resolve(tmp_path, "job_shop")
    for absent in ("nobody", tmp_path / "nobody"):
        with pytest.raises(UnknownNameError, match="nobody.*folder of a trained policy.*spt"):
            resolve(absent, "job_shop")


def test_unknown_options_list_the_known_ones(shops):
    with pytest.raises(OptionError, match="'colour'.*construction"):
        run(resolve("spt", "job_shop"), shops, Limits(options={"colour": 1}))


def test_progress_counts_every_instance(shops):
    for policy in (resolve("spt", "job_shop"), Exact(lambda instance, limits: Answer(None, 0.0), "says nothing")):
        counts = []
        solve(policy, shops, Limits(progress=counts.append))
        assert sum(counts) == len(shops)


def test_nothing_asked_nothing_answered():
    assert solve(resolve("spt", "job_shop"), [], Limits()) == []
    assert solve(resolve("cp-sat", "job_shop"), [], Limits()) == []


def test_the_device_may_be_left_to_the_machine(shops):
    policy = resolve("spt", "job_shop")
    assert makespans(run(policy, shops, Limits(device="auto"))) == makespans(run(policy, shops, Limits()))
    with pytest.raises(OptionError, match="device"):
        run(policy, shops, Limits(device="abacus"))


@pytest.mark.parametrize("samples", [0, -1, 10**7])
def test_samples_out_of_range(samples):
    with pytest.raises(OptionError, match="samples"):
        Limits(samples=samples)


@pytest.mark.parametrize("time_limit", [0, -1.0, math.inf, math.nan])
def test_time_limits_out_of_range(time_limit):
    with pytest.raises(OptionError, match="time_limit"):
        Limits(time_limit=time_limit)


@pytest.mark.parametrize("policy", [5, None, lambda c: c.processing_time])
def test_what_is_no_policy_is_refused(policy):
    with pytest.raises(OptionError, match="a policy is a name, a folder, a Rule"):
        resolve(policy, "job_shop")
