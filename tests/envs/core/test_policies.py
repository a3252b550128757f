"""Rules pick the legal candidate with the smallest key, and explore as they say."""

import pytest
import torch

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.policies import Columns, RandomRule, Rule
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.instances.catalogue import load_many


class Stand:
    """What a rule reads of a simulation."""

    def __init__(self, mask, **columns):
        self.mask = torch.tensor(mask, dtype=torch.int8)
        self.columns = {name: torch.tensor(values, dtype=torch.int32) for name, values in columns.items()}


def act(policy, stand, explore=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return policy.act(stand, generator, torch.full((len(stand.mask),), explore)).tolist()


def rule(key, **settings) -> Rule:
    return Rule(key, "test", **settings)


def test_the_smallest_legal_key_wins_and_ties_go_to_the_lowest_index():
    stand = Stand([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]], size=[[5, 3, 3, 9], [0, 4, 2, 2], [0, 0, 7, 7]])
    assert act(rule(lambda c: c.size), stand) == [1, 2, 2]
    assert act(rule(lambda c: -c.size), stand) == [3, 1, 2]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), float("-inf")])
def test_a_key_that_is_no_number_never_makes_an_action_illegal(value):
    stand = Stand([[0, 0, 1, 1]], size=[[1, 1, 1, 1]])
    policy = rule(lambda c: c.size * value)
    assert act(policy, stand) == [2]
    assert set(sum((act(policy, stand, True, seed) for seed in range(20)), [])) <= {2, 3}


def test_a_number_beats_what_is_no_number():
    stand = Stand([[1, 1, 1, 1]], size=[[0, 0, 7, 9]])
    assert act(rule(lambda c: 1.0 / c.size.masked_fill(c.size > 8, 0)), stand) == [2]
    assert act(rule(lambda c: 0.0 * c.size / c.size), stand) == [2]


def test_products_of_columns_do_not_overflow():
    stand = Stand([[1, 1]], size=[[2**30, 2**28]])
    assert act(rule(lambda c: -c.size * c.size), stand) == [0]


def test_unknown_columns_are_named():
    columns = Columns(Stand([[1]], size=[[1]], age=[[1]]))
    with pytest.raises(AttributeError, match="no column 'weight'; there are size, age"):
        columns.weight  # noqa: B018
    assert columns.size.dtype == torch.int64


@pytest.mark.parametrize(
    "key",
    [lambda c: c.size[0], lambda c: c.size[:, :1], lambda c: c.size.sum(), lambda c: c.size.T, lambda c: c.size[None]],
)
def test_a_key_of_another_shape_is_refused(key):
    """Also where it could be stretched to the right one: every candidate has a number of its own."""
    stand = Stand([[1, 1, 1], [1, 1, 1]], size=[[3, 2, 1], [1, 2, 3]])
    with pytest.raises(OptionError, match=r"one number per candidate, \(2, 3\), got \("):
        act(rule(key), stand)


@pytest.mark.parametrize("key", [lambda c: 1, lambda c: c.size.numpy(), lambda c: None])
def test_a_key_that_is_no_tensor_is_refused(key):
    with pytest.raises(OptionError, match=r"a tensor of one number per candidate, \(1, 3\)"):
        act(rule(key), Stand([[1, 1, 1]], size=[[3, 2, 1]]))


def test_a_key_is_all_that_a_rule_needs():
    bare = Rule(lambda c: c.size)
    assert act(bare, Stand([[1, 1]], size=[[2, 1]])) == [1]
    assert bare.doc == "" and bare.options is None and not bare.observes
    with pytest.raises(TypeError, match="observes"):
        Rule(lambda c: c.size, observes=True)


def test_exploration_takes_the_next_best_geometrically():
    count = 20_000
    stand = Stand([[1, 0, 1, 1]] * count, size=[[2, 0, 1, 3]] * count)
    drawn = torch.tensor(act(rule(lambda c: c.size, decay=0.5), stand, True))
    share = torch.bincount(drawn, minlength=4) / count
    # 4/7, 2/7 and 1/7, each with a standard deviation below 0.0036
    assert torch.allclose(share, torch.tensor([2 / 7, 0.0, 4 / 7, 1 / 7]), atol=0.02)


def test_environments_explore_one_by_one():
    stand = Stand([[1, 1]] * 400, size=[[1, 2]] * 400)
    explore = torch.arange(400) % 2 == 1
    drawn = rule(lambda c: c.size, decay=1.0).act(stand, torch.Generator().manual_seed(0), explore)
    assert not drawn[~explore].any() and 0.3 < drawn[explore].float().mean() < 0.7


def test_random_is_even_over_the_legal():
    count = 20_000
    stand = Stand([[0, 1, 0, 1, 1]] * count)
    share = torch.bincount(torch.tensor(act(RandomRule(), stand)), minlength=5) / count
    assert torch.allclose(share, torch.tensor([0, 1, 0, 1, 1]) / 3, atol=0.02)


@pytest.mark.parametrize("policy", [rule(lambda c: c.size), RandomRule()])
@pytest.mark.parametrize("explore", [False, True])
def test_episodes_that_are_over_need_no_special_care(policy, explore):
    stand = Stand([[0, 0], [0, 1]], size=[[1, 1], [1, 1]])
    first, second = act(policy, stand, explore)
    assert 0 <= first < 2 and second == 1


@pytest.mark.parametrize("policy", [rule(lambda c: -c.remaining_work, decay=0.3), RandomRule()])
def test_nothing_illegal_in_real_episodes(policy):
    instances = load_many("4x3:0-9")
    simulation = Simulation(Model(instances, Options("insertion", False)), instances, 40, observe=False)
    simulation.reset()
    generator = torch.Generator().manual_seed(1)
    while not simulation.terminated.all():
        simulation.step(policy.act(simulation, generator, torch.arange(40) % 3 > 0))
    assert not simulation.illegal.any()
