"""What every policy and solver in the registry promises, found by its name."""

from functools import cache

import pytest
import torch

from dispatchgym.envs.core.errors import UnknownNameError
from dispatchgym.envs.core.registry import families, family
from dispatchgym.envs.core.solvers import Answer, Exact, Limits, applies, is_exact, options_of, resolve, solve
from dispatchgym.envs.llm.conditions import TOTALS
from dispatchgym.instances.catalogue import bounds, load_many


@cache
def lower_bound(instance, seed: int, options: tuple) -> float:
    """A proven bound of an instance in a world: the published one, or that of an exact solver which knows the world."""
    published = bounds(instance)
    if published and not options:
        return published.lower
    limits = Limits(time_limit=20.0, seed=seed, options=dict(options))
    every = filter(is_exact, family(instance.family).policies.values())
    exact = next((policy for policy in every if applies(policy, [instance], limits)), None)
    return exact.solve(instance, limits).lower_bound if exact else 0


class Problem:
    """A policy before some instances in a world."""

    def __init__(self, policy, problem):
        self.family, self.name = policy
        self.solver = resolve(self.name, self.family)
        self.instances, self.world = load_many(problem[0], self.family), problem[1]

    def limits(self, **more) -> Limits:
        return Limits(time_limit=20.0, options=self.world, **more)

    def solve(self, backwards: bool = False, **more) -> list[Answer]:
        return solve(self.solver, self.instances[:: -1 if backwards else 1], self.limits(**more))

    @property
    def repeatable(self) -> bool:
        """Whether of several attempts the best counts."""
        entry = family(self.family)
        return entry.model(self.instances, options_of(self.solver, self.limits(), entry)).repeatable


@pytest.fixture
def given(policy, problem):
    return Problem(policy, problem)


def world_of(schedule) -> dict:
    """Its conditions, but for those that claim what happened."""
    return {name: value for name, value in schedule.conditions.items() if name not in TOTALS}


def entries(answers: list[Answer]) -> list:
    return [answer.schedule.entries.tolist() for answer in answers]


def test_every_schedule_is_feasible_and_above_the_bound(given):
    for seed in (0, 1) if given.world or given.name == "random" else (1,):
        answers = given.solve(seed=seed)
        assert len(answers) == len(given.instances)
        for instance, answer in zip(given.instances, answers, strict=True):
            assert answer.schedule.instance is instance and answer.schedule.violations() == []
            assert answer.runtime_s >= 0
            value = answer.schedule.metrics()[instance.objective]
            assert value >= lower_bound(instance, seed, tuple(given.world.items()))
            assert answer.lower_bound is None or answer.lower_bound <= value


def test_the_same_seed_gives_the_same_schedules(given):
    state = torch.random.get_rng_state()
    first = given.solve(seed=3, samples=3)
    again = given.solve(seed=3, samples=3)
    for one, other in zip(first, again, strict=True):
        assert all(
            (a.entries == b.entries).all() and a.conditions == b.conditions
            for a, b in zip(one.counted, other.counted, strict=True)
        )
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody touches the global generator


def test_more_samples_are_never_worse(given, stubborn):
    if isinstance(given.solver, Exact) or not given.repeatable:
        return  # exact solvers do not sample, and what has happened cannot be taken back
    once, often, more = (
        [answer.schedule.metrics()[answer.schedule.instance.objective] for answer in given.solve(samples=samples)]
        for samples in (1, 32, 256)
    )
    if given.name != "random":  # the first attempt of a rule is the greedy one
        assert all(a >= b and a >= c for a, b, c in zip(once, often, more, strict=True))
    assert sum(once) > min(sum(often), sum(more)) or given.name in stubborn


def test_where_the_best_cannot_be_picked_every_attempt_counts(given, stubborn):
    if isinstance(given.solver, Exact) or given.repeatable:
        return
    answers = given.solve(samples=9)
    for instance, answer in zip(given.instances, answers, strict=True):
        assert len(answer.counted) == 9 and all(one.instance is instance for one in answer.counted)
        assert all(one.violations() == [] for one in answer.counted)
        assert len({str(world_of(one)) for one in answer.counted}) == 1, "attempts met different worlds"
    different = any(len({one.entries.tobytes() for one in answer.counted}) > 1 for answer in answers)
    assert different or given.name in stubborn


def test_everybody_meets_the_same_world(given):
    """How long a task takes on an element does not depend on who asks; bounds of exact solvers hold for all."""
    if not given.world:
        return
    told = solve(family(given.family).policies["random"], given.instances, given.limits())
    for mine, other in zip(given.solve(), told, strict=True):
        assert world_of(mine.schedule) == world_of(other.schedule)
        if mine.schedule.instance.family in ("vm", "llm"):
            continue  # how long a copy or an iteration takes is no secret
        times = [{}, {}]
        for took, schedule in zip(times, (mine.schedule, other.schedule), strict=True):
            for *key, start, end in schedule.entries.tolist():  # of a piece, the sum with the others
                took[tuple(key)] = took.get(tuple(key), 0) + end - start
        shared = times[0].keys() & times[1].keys()
        assert shared and all(times[0][key] == times[1][key] for key in shared)


def test_answers_come_in_the_order_of_the_questions(given):
    backwards = given.solve(backwards=True)
    assert [answer.schedule.instance for answer in backwards] == given.instances[::-1]
    if given.name != "random":
        assert entries(backwards[::-1]) == entries(given.solve())


def test_policies_know_what_they_apply_to(policy, contract_problems):
    """Those that are left out of a problem, and no others, say so."""
    for names, world, without in contract_problems[policy[0]]:
        limits, instances = Limits(options=world), load_many(names, policy[0])
        assert applies(resolve(policy[1], policy[0]), instances, limits) == (policy[1] not in without)


def test_policies_are_found_by_name_and_documented(policy):
    found = resolve(policy[1].upper(), policy[0])
    assert found is family(policy[0]).policies[policy[1]] and found.doc
    assert policy[1] == policy[1].lower()


def test_unknown_policies_are_refused_with_the_known_ones():
    for entry in families():
        with pytest.raises(UnknownNameError) as caught:
            resolve("longest beard first", entry.name)
        assert all(name in str(caught.value) for name in entry.policies)
