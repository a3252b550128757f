"""The flexible job shop environments: returns, arguments and edge cases."""

import gymnasium
import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance
from dispatchgym.instances.catalogue import load_many

NAME = "dispatchgym/FlexibleJobShop-v0"


def make(**arguments):
    return gymnasium.make(NAME, **arguments).unwrapped


def finish(env, rng, limit=10**6) -> tuple[float, dict]:
    """Random legal actions, at most ``limit``, then an illegal one; the return and the last info."""
    _, info = env.reset()
    total, done, steps = 0.0, False, 0
    while not done:
        action = rng.choice(np.flatnonzero(info["action_mask"])) if steps < limit else -1
        _, reward, done, _, info = env.step(action)
        total, steps = total + reward, steps + 1
    return total, info


@pytest.mark.parametrize("forced_moves", [True, False])
@pytest.mark.parametrize("construction", ["active", "non-delay", "wait"])
def test_rewards_sum_to_the_relative_improvement_on_the_bound(random_flexible_shop, construction, forced_moves):
    rng = np.random.default_rng(0)
    shops = [random_flexible_shop(rng) for _ in range(25)] + load_many(["sd1-10x5:0", "sd2-5x4:0"], "flexible_job_shop")
    for shop in shops:
        env = make(instance=shop, construction=construction, forced_moves=forced_moves)
        bound = int(env.simulation.engine.tensors["initial_bound"][0])
        total, info = finish(env, rng)
        assert info["makespan"] == env.schedule().metrics()["makespan"]
        assert total == pytest.approx((bound - info["makespan"]) / max(bound, 1), abs=1e-4)


def test_the_return_of_an_illegal_action_is_that_of_the_worst_schedule():
    rng, env = np.random.default_rng(0), make(instance="workshop", forced_moves=False)
    bound, worst = (int(env.simulation.engine.tensors[name][0]) for name in ("initial_bound", "worst_makespan"))
    for limit in (0, 1, 5):
        total, info = finish(env, rng, limit)
        assert info["illegal_action"] and info["makespan"] == worst
        assert total == pytest.approx(1 - worst / bound, abs=1e-5)


@pytest.mark.parametrize("action", [0, 3, -1, 2**31])
def test_any_action_ends_an_episode_without_a_choice(action):
    """Where operations have one machine each, all is played at the reset and rewarded at the first step."""
    shop = FlexibleJobShopInstance("chains", np.array([[[3, -1], [-1, 4]], [[-1, 2], [-1, 9]]]), np.array([0, 5]))
    env = make(instance=shop, construction="non-delay")
    observation, info = env.reset()
    assert info["action_mask"].tolist() == [1, 0, 0, 0] and env.observation_space.contains(observation)
    makespan, bound = info["makespan"], int(env.simulation.engine.tensors["initial_bound"][0])
    assert makespan == 18 and env.schedule().violations() == []
    _, reward, terminated, _, info = env.step(action)
    assert terminated and "illegal_action" not in info
    assert reward == pytest.approx(1 - makespan / bound, abs=1e-6) and env.step(0)[1] == 0


def test_generated_instances_are_of_the_preset():
    env = make(preset="sd2-3x5")
    for seed in range(3):
        env.reset(seed=seed)
        assert env.instance.size == "3x5" and env.action_space.n == 15 and (env.instance.operations == 5).all()
    assert make().instance.size == "10x5"
    vector = gymnasium.make_vec(NAME, num_envs=2, preset="sd1-4x3", bank=4)
    assert {shop.size for shop in vector.simulation.instances} == {"4x3"} and len(vector.simulation.instances) == 4


def test_arguments_that_do_not_go_together_are_refused():
    with pytest.raises(OptionError, match="not both"):
        make(instance="workshop", preset="sd1-4x3")
    with pytest.raises(UnknownNameError, match="sd1-10x5"):
        make(preset="6x6")
    with pytest.raises(UnknownNameError, match="workshop"):
        make(instance="ft06")
    with pytest.raises(OptionError, match="construction"):
        make(construction="insertion")
