"""The job shop environments: returns, arguments and edge cases."""

import gymnasium
import numpy as np
import pytest
import torch

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import cost
from dispatchgym.instances.catalogue import load_many

NAME = "dispatchgym/JobShop-v0"


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
@pytest.mark.parametrize("construction", ["active", "non-delay", "insertion", 0.3])
def test_rewards_sum_to_the_relative_improvement_on_the_bound(random_shop, construction, forced_moves):
    rng = np.random.default_rng(0)
    shops = [random_shop(rng, general=k % 2 == 0) for k in range(60)] + load_many(["ft06", "la01", "ta01"])
    for shop in shops:
        env = make(instance=shop, construction=construction, forced_moves=forced_moves)
        bound = int(env.simulation.engine.tensors["initial_bound"][0])
        total, info = finish(env, rng)
        assert info["makespan"] == env.schedule().metrics()["makespan"]
        assert total == pytest.approx((bound - info["makespan"]) / max(bound, 1), abs=1e-4)


def test_forced_moves_before_the_first_decision_are_rewarded_too():
    """Some jobs are placed at the reset, which lets the bound grow from 101 to 120."""
    duration, machine = np.array([[1], [50], [50], [1], [1]]), np.array([[0], [0], [0], [1], [1]])
    shop = JobShopInstance("late", 2, duration, machine, np.array([0, 20, 30, 75, 75]))
    for forced_moves in (True, False):
        total, info = finish(
            make(instance=shop, construction="non-delay", forced_moves=forced_moves), np.random.default_rng(0)
        )
        assert info["makespan"] == 120 and total == pytest.approx(1 - 120 / 101, abs=1e-6)


def test_the_return_of_an_illegal_action_is_that_of_the_worst_schedule():
    rng, env = np.random.default_rng(0), make(instance="ft06", forced_moves=False)
    for limit in (0, 1, 20):
        total, info = finish(env, rng, limit)
        assert info["illegal_action"] and info["makespan"] == 197  # all work of ft06, one after the other
        assert total == pytest.approx(1 - 197 / 52, abs=1e-5)


def test_an_instance_without_a_choice():
    chain = JobShopInstance("chain", 2, np.array([[3, 4]]), np.array([[0, 1]]))
    env = make(instance=chain)
    observation, info = env.reset()
    assert info["action_mask"].tolist() == observation["action_mask"].tolist() == [1] and env.action_masks().all()
    assert info["makespan"] == 7 and env.observation_space.contains(observation)
    assert env.schedule().violations() == []
    entries = env.schedule().entries.tolist()
    _, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated) == (0.0, True, False) and "illegal_action" not in info
    assert env.schedule().entries.tolist() == entries and info["makespan"] == 7


def late_shop() -> JobShopInstance:
    """Whose non-delay schedule is all forced, which lets the bound grow from 101 to 120, beside a job to pad with."""
    duration, machine = np.array([[1], [50], [50], [1], [1]]), np.array([[0], [0], [0], [1], [1]])
    return JobShopInstance("late", 2, duration, machine, np.array([0, 20, 30, 75, 76]))


@pytest.mark.parametrize("action", [0, 1, 4, 5, -1, 2**31])
def test_any_action_ends_an_episode_without_a_choice(action):
    """With the whole reward, and without a word about it being illegal."""
    shop = late_shop()
    env = make(instance=[shop, *load_many("6x6:0")], construction="non-delay")
    env.reset(seed=0)
    _, info = env.reset(options={"instance": shop})
    assert info["action_mask"].tolist() == [1, 0, 0, 0, 0, 0], "the mask never leaves the draw without a choice"
    _, reward, terminated, _, info = env.step(action)
    assert terminated and "illegal_action" not in info and info["makespan"] == 120
    assert reward == pytest.approx(1 - 120 / 101, abs=1e-6) and env.schedule().violations() == []
    assert env.step(0)[1] == 0, "it is rewarded once"


def test_the_debuggers_twin_stands_there_too():
    env = make(instance=late_shop(), construction="non-delay")
    env.reset()
    twin = env.twin()
    twin.reset()
    assert twin.state.terminated[0] == 1 and (twin.state.action_mask[0] == env.action_masks()).all()
    twin.step([3])
    assert twin.state.reward[0] == np.float32(env.step(3)[1]) and twin.state.illegal[0] == 0


@pytest.mark.parametrize("numpy", [False, True])
def test_samplers_meet_no_empty_mask(numpy):
    """In the vector environment such episodes come and go among others, one step each."""
    shops = [late_shop(), *load_many(["4x3:0", "3x3:0-2"])]
    envs = gymnasium.make_vec(NAME, num_envs=8, instance=shops, construction="non-delay", numpy=numpy)
    generator, ended = torch.Generator().manual_seed(0), 0
    _, info = envs.reset(seed=0)
    for _ in range(60):
        mask = torch.as_tensor(info["action_mask"])
        assert mask.any(dim=1).all()
        late = [shop.name == "late" for shop in (envs.simulation.instance_of(place) for place in range(8))]
        actions = torch.multinomial(mask.float(), 1, generator=generator).squeeze(1)
        _, reward, terminated, _, info = envs.step(actions.numpy() if numpy else actions)
        for place in np.flatnonzero(late):
            assert terminated[place] and info["final_info"]["makespan"][place] == 120
            assert float(reward[place]) == pytest.approx(1 - 120 / 101, abs=1e-6)
            ended += 1
        assert not info["final_info"]["illegal_action"].any()
    assert ended > 10


def test_generated_instances_have_the_size_asked_for():
    env = make(jobs=3, machines=5)
    for seed in range(3):
        env.reset(seed=seed)
        assert env.instance.size == "3x5" and env.action_space.n == 3
    assert make().instance.size == "6x6" and make(jobs=4).instance.size == "4x6"
    assert make(machines=2).instance.size == "6x2"
    vector = gymnasium.make_vec(NAME, num_envs=2, jobs=3, machines=5, bank=4)
    assert {shop.size for shop in vector.simulation.instances} == {"3x5"} and len(vector.simulation.instances) == 4


@pytest.mark.parametrize("forced_moves", [True, False])
@pytest.mark.parametrize("construction", ["active", "non-delay", "insertion", "wait"])
@pytest.mark.parametrize(
    "preset", ["tardiness-5x3-12", "weighted-tardy-5x3", "lateness-5x3", "single-6-6-4", "flow-5x3"]
)
def test_rewards_sum_to_the_improvement_on_any_objective(preset, construction, forced_moves):
    rng = np.random.default_rng(0)
    for seed in range(6):
        env = make(preset=preset, construction=construction, forced_moves=forced_moves)
        env.reset(seed=seed)
        shop = env.instance
        total, info = finish(env, rng)
        assert shop is not env.instance  # finish began an episode of its own
        value, shop = info[env.instance.objective], env.instance
        assert value == env.schedule().metrics()[shop.objective]
        initial = cost(shop, shop.release + shop.duration.sum(axis=1))
        assert total == pytest.approx((initial - value) / shop.scale, abs=1e-5)


def test_the_return_of_an_illegal_action_is_that_of_the_worst_schedule_of_any_objective():
    env, rng = make(instance="tardiness-5x3:0"), np.random.default_rng(0)
    shop = env.instance
    initial = cost(shop, shop.release + shop.duration.sum(axis=1))
    for limit in (0, 1):
        total, info = finish(env, rng, limit)
        assert info["illegal_action"] and info["total_tardiness"] == shop.worst_cost
        assert total == pytest.approx((initial - shop.worst_cost) / shop.scale, abs=1e-5)


def test_presets_make_the_instances_they_name():
    env = make(preset="single-7")
    digests = set()
    for seed in range(5):
        env.reset(seed=seed)
        assert env.instance.size == "7x1" and env.instance.objective == "total_tardiness"
        digests.add(env.instance.digest)
    assert len(digests) == 5
    vector = gymnasium.make_vec(NAME, num_envs=2, preset="tardiness-4x3", bank=3)
    assert {shop.objective for shop in vector.simulation.instances} == {"total_tardiness"}
    for build in (make, lambda **arguments: gymnasium.make_vec(NAME, num_envs=2, **arguments)):
        with pytest.raises(UnknownNameError, match="job shop preset"):
            build(preset="beauty-4x3")
        for other in ({"jobs": 3}, {"machines": 3}, {"instance": "ft06"}):
            with pytest.raises(OptionError, match="not both"):
                build(preset="single-7", **other)


@pytest.mark.parametrize("name", ["jobs", "machines"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "6", True, 10**6])
def test_sizes_out_of_range_are_refused(name, value):
    for build in (make, lambda **arguments: gymnasium.make_vec(NAME, num_envs=2, **arguments)):
        with pytest.raises(OptionError, match=name):
            build(**{name: value})


@pytest.mark.parametrize("sizes", [{"jobs": 6}, {"machines": 6}, {"jobs": 6, "machines": 6}], ids=str)
def test_an_instance_has_its_own_size(sizes):
    """Sizes beside an instance would be ignored, so they are refused, even where they agree."""
    for build in (make, lambda **arguments: gymnasium.make_vec(NAME, num_envs=2, **arguments)):
        with pytest.raises(OptionError, match="an instance, or the jobs and machines .*not both"):
            build(instance="ft06", **sizes)


@pytest.mark.parametrize(
    "option, value",
    [
        ("construction", "fastest"), ("construction", -0.1), ("construction", 1.01), ("construction", float("nan")),
        ("construction", None), ("construction", [1]), ("forced_moves", "yes"), ("forced_moves", 1),
        ("observation", "pixels"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(option, value):
    for build in (make, lambda **arguments: gymnasium.make_vec(NAME, num_envs=2, **arguments)):
        with pytest.raises(OptionError, match=option):
            build(**{option: value})


def test_unknown_instances_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="ta01-80"):
        make(instance="ta81")
    broken = tmp_path / "broken.txt"
    broken.write_text("2 2\n0 3 1 4\n", "utf-8")
    with pytest.raises(InstanceError, match="broken.txt:"):
        make(instance=str(broken))


def test_numbers_name_the_same_constructions(random_shop):
    for number, name in ((0, "non-delay"), ("0.0", "non-delay"), (1, "active"), ("1", "active")):
        one, other = (make(instance="la01", construction=construction) for construction in (number, name))
        rng, rng_too = np.random.default_rng(0), np.random.default_rng(0)
        assert finish(one, rng)[1]["makespan"] == finish(other, rng_too)[1]["makespan"]
        assert one.schedule().entries.tolist() == other.schedule().entries.tolist()


def test_decisions_are_counted():
    env, rng = make(instance="ft06", forced_moves=False), np.random.default_rng(0)
    assert finish(env, rng)[1]["decisions"] == 36
    assert finish(make(instance="ft06"), rng)[1]["decisions"] < 36
