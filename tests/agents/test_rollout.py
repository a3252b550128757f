"""Rollouts: advantages against references written out by hand, minibatches, and the stages that take turns."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from dispatchgym.agents.rollout import Buffer, DeviceVecEnv, Stage
from dispatchgym.envs.core.registry import family

SEEDS = st.integers(0, 2**31 - 1)


def random_buffer(rng: np.random.Generator, num_envs: int, longest: int):
    """Episodes of different lengths, some of them empty; returns the buffer, and rewards and values of each episode."""
    lengths = rng.integers(0, longest + 1, num_envs)
    lengths[0] = longest
    rewards = [rng.normal(size=n).astype(np.float32) for n in lengths]
    values = [rng.normal(size=n).astype(np.float32) for n in lengths]
    buffer = Buffer()
    for t in range(longest):
        env = np.flatnonzero(lengths > t)
        column = {"reward": rewards, "value": values, "log_prob": values}
        columns = {name: torch.tensor([episodes[e][t] for e in env]) for name, episodes in column.items()}
        buffer.add(
            {"context": torch.tensor([[e, t] for e in env], dtype=torch.float32)},
            env=torch.from_numpy(env), action=torch.from_numpy(env * 100 + t), **columns,
        )  # fmt: skip
    buffer.finish()
    return buffer, rewards, values


@given(seed=SEEDS, gamma=st.sampled_from([1.0, 0.9]), lam=st.sampled_from([0.0, 0.95, 1.0]))
def test_gae_is_the_sum_it_is_defined_as(seed, gamma, lam):
    buffer, rewards, values = random_buffer(np.random.default_rng(seed), num_envs=5, longest=6)
    buffer.compute_gae(5, gamma, lam)
    for row in range(len(buffer)):
        env, t = (int(x) for x in buffer.observation["context"][row])
        reward, value = rewards[env].astype(float), np.append(values[env].astype(float), 0.0)  # worth 0 after the end
        deltas = [reward[k] + gamma * value[k + 1] - value[k] for k in range(len(reward))]
        expected = sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, len(reward)))
        assert float(buffer.advantage[row]) == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert float(buffer.target[row]) == pytest.approx(expected + value[t], rel=1e-4, abs=1e-4)


@given(seed=SEEDS)
def test_gae_with_lambda_one_is_return_minus_value(seed):
    buffer, rewards, values = random_buffer(np.random.default_rng(seed), num_envs=4, longest=5)
    buffer.compute_gae(4, 1.0, 1.0)
    for row in range(len(buffer)):
        env, t = (int(x) for x in buffer.observation["context"][row])
        to_go = float(rewards[env][t:].sum())
        assert float(buffer.target[row]) == pytest.approx(to_go, rel=1e-4, abs=1e-4)
        assert float(buffer.advantage[row]) == pytest.approx(to_go - float(values[env][t]), rel=1e-4, abs=1e-4)


@given(seed=SEEDS, group=st.sampled_from([2, 3, 6]))
def test_group_advantage_compares_rollouts_of_an_instance(seed, group):
    buffer, rewards, _ = random_buffer(np.random.default_rng(seed), num_envs=6, longest=4)
    outcome = torch.tensor([float(r.sum()) for r in rewards])
    buffer.compute_group_advantage(outcome, group)
    for row in range(len(buffer)):
        env = int(buffer.observation["context"][row, 0])
        others = outcome[env // group * group : (env // group + 1) * group].numpy().astype(float)
        expected = (others[env % group] - others.mean()) / (others.std(ddof=1) + 1e-4)
        assert float(buffer.advantage[row]) == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert float(buffer.target[row]) == pytest.approx(float(outcome[env]), rel=1e-6)


def test_rollouts_that_end_alike_have_no_advantage():
    buffer, _, _ = random_buffer(np.random.default_rng(0), num_envs=4, longest=3)
    buffer.compute_group_advantage(torch.tensor([-0.3, -0.3, -0.3, -0.3]), 4)
    assert bool((buffer.advantage == 0).all())


def test_minibatches_hold_every_decision_once():
    buffer, _, _ = random_buffer(np.random.default_rng(3), num_envs=20, longest=9)
    buffer.compute_gae(20, 1.0, 0.9)
    seen = []
    count = round(len(buffer) / 16)
    for batch in buffer.minibatches(count, torch.Generator().manual_seed(0)):
        assert 8 <= len(batch.action) <= 24
        env, t = batch.observation["context"].long().unbind(1)
        assert torch.equal(batch.action, env * 100 + t), "columns and observations fell apart"
        rows = [buffer.columns["action"].tolist().index(action) for action in batch.action.tolist()]
        assert_close(batch.advantage, buffer.advantage[rows])
        assert_close(batch.target, buffer.target[rows])
        assert_close(batch.log_prob, buffer.columns["log_prob"][rows])
        seen += batch.action.tolist()
    assert sorted(seen) == sorted(buffer.columns["action"].tolist()) and seen != sorted(seen)
    again = [b.action.tolist() for b in buffer.minibatches(count, torch.Generator().manual_seed(0))]
    assert sum(again, []) == seen
    assert len(list(buffer.minibatches(1, torch.Generator()))) == 1
    many = len(buffer) + 5
    assert len(list(buffer.minibatches(many, torch.Generator()))) == len(buffer)
    exact = [len(batch.action) for batch in buffer.minibatches(many, torch.Generator(), exactly=True)]
    assert len(exact) == many and sum(exact) == len(buffer), "ranks must make equally many steps"


def make_stage(preset: str = "3x3", groups: int = 3, group: int = 2, seed: int = 0, **options) -> Stage:
    return Stage("job_shop", preset, groups, group, family("job_shop").make_options(**options), seed, "cpu")


def test_a_stage_plays_fresh_instances_in_groups():
    stage = make_stage(groups=3, group=2)
    digests = []
    for iteration in range(3):
        simulation = stage.begin(iteration)
        played = [simulation.instance_of(i).digest for i in range(6)]
        assert played[0::2] == played[1::2] and len(set(played)) == 3
        assert not bool(simulation.terminated.all()) and simulation.mask.any(1).sum() > 0
        digests += played[0::2]
    assert len(set(digests)) == 9
    again = make_stage(groups=3, group=2)
    assert [again.begin(2).instance_of(i).digest for i in (0, 2, 4)] == digests[-3:], "depends on iterations before"
    other = make_stage(groups=3, group=2, seed=1)
    assert other.begin(2).instance_of(0).digest not in digests


def test_training_never_meets_a_held_out_instance():
    from dispatchgym.envs.core.registry import instances

    held_out = {instance.digest for instance in instances(["6x6:0-199"], "job_shop")}
    drawn = {i.digest for part in range(20) for i in make_stage("6x6", 4).draw("6x6", 10, 0, part)}
    assert len(drawn) == 200 and not held_out & drawn


def test_stages_take_turns():
    stages = [make_stage(preset) for preset in ("3x3", "4x3", "2x5")]
    env = DeviceVecEnv(stages)
    assert [env.stage(i).preset for i in range(5)] == ["3x3", "4x3", "2x5", "3x3", "4x3"]
    assert env.observation_space["work"].shape[0] == 4
    assert {key: value.shape for key, value in env.reset().items()} == {
        key: box.shape for key, box in env.observation_space.spaces.items()
    }
    with pytest.raises(NotImplementedError, match="make_vec"):
        env.step(np.zeros(6, int))
