"""What every policy and solver in the registry promises, found by its name."""

import pytest
import torch

from dispatchgym.envs.core.errors import UnknownNameError
from dispatchgym.envs.core.registry import families, family
from dispatchgym.envs.core.solvers import Answer, Exact, Limits, resolve, solve
from dispatchgym.instances.catalogue import bounds, load_many


@pytest.fixture(scope="module")
def problems():
    """Small instances of a family with a proven lower bound each; bounds of unpublished ones by an exact solver."""
    found = {}

    def of(name: str, names: list[str]):
        if name not in found:
            instances = load_many(names, name)
            exact = next((p for p in family(name).policies.values() if isinstance(p, Exact)), None)
            lower = []
            for instance in instances:
                published = bounds(instance)
                if published is None and exact is not None:
                    published = exact.solve(instance, Limits(time_limit=20.0))
                    lower.append(published.lower_bound)
                else:
                    lower.append(published.lower if published else 0)
            found[name] = instances, lower
        return found[name]

    return of


@pytest.fixture
def small(problems, policy, contract_table):
    return problems(policy[0], contract_table[policy[0]][0])


def entries(answers: list[Answer]) -> list:
    return [answer.schedule.entries.tolist() for answer in answers]


def test_every_schedule_is_feasible_and_above_the_bound(policy, small):
    name = policy[0]
    for seed in (0, 1):
        answers = solve(resolve(policy[1], name), small[0], Limits(seed=seed, time_limit=20.0))
        assert len(answers) == len(small[0])
        for instance, lower, answer in zip(*small, answers, strict=True):
            assert answer.schedule.instance is instance and answer.schedule.violations() == []
            assert answer.runtime_s >= 0
            value = answer.schedule.metrics()[instance.objective]
            assert value >= lower and (answer.lower_bound is None or answer.lower_bound <= value)


def test_the_same_seed_gives_the_same_schedules(policy, small):
    limits = Limits(seed=3, samples=3, time_limit=20.0)
    solver = resolve(policy[1], policy[0])
    state = torch.random.get_rng_state()
    first = entries(solve(solver, small[0], limits))
    assert entries(solve(solver, small[0], limits)) == first
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody touches the global generator


def test_more_samples_are_never_worse(policy, small):
    solver = resolve(policy[1], policy[0])
    if isinstance(solver, Exact):
        pytest.skip("exact solvers do not sample")
    once, often = (
        [
            answer.schedule.metrics()[answer.schedule.instance.objective]
            for answer in solve(solver, small[0], Limits(samples=samples))
        ]
        for samples in (1, 32)
    )
    if policy[1] != "random":  # the first attempt of a rule is the greedy one
        assert all(a >= b for a, b in zip(once, often, strict=True))
    assert sum(once) > sum(often)


def test_answers_come_in_the_order_of_the_questions(policy, small):
    solver = resolve(policy[1], policy[0])
    backwards = solve(solver, small[0][::-1], Limits(time_limit=20.0))
    assert [answer.schedule.instance for answer in backwards] == small[0][::-1]
    if policy[1] != "random":
        assert entries(backwards[::-1]) == entries(solve(solver, small[0], Limits(time_limit=20.0)))


def test_policies_are_found_by_name_and_documented(policy):
    found = resolve(policy[1].upper(), policy[0])
    assert found is family(policy[0]).policies[policy[1]] and found.doc
    assert policy[1] == policy[1].lower()


def test_unknown_policies_are_refused_with_the_known_ones():
    for entry in families():
        with pytest.raises(UnknownNameError) as caught:
            resolve("longest beard first", entry.name)
        assert all(name in str(caught.value) for name in entry.policies)
