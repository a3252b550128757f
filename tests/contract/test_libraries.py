"""The training libraries of the field take the environments as they are."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces.utils import flatdim
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

SMALL = dict(n_steps=64, batch_size=32, n_epochs=2, seed=0, device="cpu", policy_kwargs=dict(net_arch=[16]))


class CountIllegal(BaseCallback):
    """Counts the illegal actions of a training run."""

    illegal = 0
    episodes = 0

    def _on_step(self) -> bool:
        self.illegal += sum("illegal_action" in info for info in self.locals["infos"])
        self.episodes += int(self.locals["dones"].sum())
        return True


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
def test_stable_baselines_trains(default, algorithm):
    env = gymnasium.make(default.id, instance=default.instances)
    model, watch = algorithm("MultiInputPolicy", env, **SMALL), CountIllegal()
    before = weights(model.policy)
    model.learn(256, callback=watch)
    after = weights(model.policy)
    assert after.isfinite().all() and not torch.equal(before, after)
    assert watch.episodes > 3 and (watch.illegal == 0) == (algorithm is MaskablePPO)


def test_a_masked_policy_finishes_its_episodes(default):
    env = gymnasium.make(default.id, instance=default.instances)
    model = MaskablePPO("MultiInputPolicy", env, **SMALL).learn(64)
    observation, info = env.reset(seed=1)
    done = False
    while not done:
        masks = get_action_masks(env)
        assert (masks == info["action_mask"].astype(bool)).all()
        action, _ = model.predict(observation, action_masks=masks)
        observation, _, done, _, info = env.step(action)
    assert "illegal_action" not in info and env.unwrapped.schedule().violations() == []


def test_stable_baselines_predicts_for_many(default):
    env = gymnasium.make(default.id, instance=default.instances, **default.options)
    model = PPO("MultiInputPolicy", env, **SMALL)
    vector = default.make_vec(3, instance=default.instances, numpy=True)
    observation, _ = vector.reset(seed=0)
    actions, _ = model.predict(observation)
    assert actions.shape == (3,)
    vector.step(actions)


def test_gymnasium_wrappers_of_vector_environments(default):
    vector = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        default.make_vec(3, instance=default.instances, numpy=True)
    )
    _, info = vector.reset(seed=0)
    rng, returns, totals = np.random.default_rng(0), [], np.zeros(3)
    for _ in range(80):
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]])
        _, reward, terminated, _, info = vector.step(actions)
        totals += reward
        if terminated.any():
            assert np.allclose(info["episode"]["r"][terminated], totals[terminated], atol=1e-5)
            returns += totals[terminated].tolist()
            totals[terminated] = 0
    assert len(returns) >= 3


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_vectorises_single_environments(default, mode):
    vector = gymnasium.make_vec(default.id, num_envs=2, vectorization_mode=mode, instance=default.instances)
    try:
        _, info = vector.reset(seed=0)
        for _ in range(5):
            actions = [int(np.flatnonzero(mask)[0]) for mask in info["action_mask"]]
            observation, reward, _, _, info = vector.step(np.array(actions))
        assert vector.observation_space.contains(observation) and np.isfinite(reward).all()
    finally:
        vector.close()


class Actor(nn.Module):
    """Scores and a value from the flattened observation, in the manner of a single-file script."""

    def __init__(self, space: gymnasium.spaces.Dict, actions: int):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(flatdim(space), 32), nn.Tanh(), nn.Linear(32, actions + 1))

    def forward(self, observation: dict):
        flat = torch.cat([value.flatten(1).float() for value in observation.values()], dim=1)
        scores, value = self.body(flat).split([self.body[-1].out_features - 1, 1], dim=1)
        scores = scores.masked_fill(observation["action_mask"] == 0, -1e9)
        return torch.distributions.Categorical(logits=scores), value.squeeze(1)


def collect(vector, actor, observation, steps: int) -> tuple[list, list, dict]:
    """Some steps: (observation, action, log probability, value) each, (reward, done) each, and what is seen next."""
    taken, came = [], []
    for _ in range(steps):
        with torch.no_grad():
            choice, value = actor(observation)
            action = choice.sample()
        taken.append((observation, action, choice.log_prob(action), value))
        observation, reward, terminated, truncated, info = vector.step(action)
        assert not info["final_info"]["illegal_action"].any()
        came.append((reward, terminated | truncated))
    return taken, came, observation


def improve(actor, optimiser, taken, came) -> list[float]:
    """Two epochs of clipped policy gradient on discounted returns within the rollout; returns the losses."""
    returns, tail = [], torch.zeros_like(came[0][0])
    for reward, done in reversed(came):
        tail = reward + tail * ~done
        returns.append(tail)
    losses = []
    for _ in range(2):
        for (observation, action, old, value), target in zip(taken, reversed(returns), strict=True):
            choice, guess = actor(observation)
            ratio, advantage = (choice.log_prob(action) - old).exp(), target - value
            clipped = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            loss = -clipped.mean() + (guess - target).square().mean() - 0.01 * choice.entropy().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return losses


def test_a_single_file_loop_trains_on_tensors(default):
    torch.manual_seed(0)
    vector = default.make_vec(8, instance=default.instances)
    actor = Actor(vector.single_observation_space, vector.single_action_space.n)
    optimiser = torch.optim.Adam(actor.parameters(), lr=1e-3)
    before, losses, finished = weights(actor), [], 0
    observation, _ = vector.reset(seed=0)
    for _ in range(3):
        taken, came, observation = collect(vector, actor, observation, 16)
        losses += improve(actor, optimiser, taken, came)
        finished += sum(int(done.sum()) for _, done in came)
    after = weights(actor)
    assert np.isfinite(losses).all() and after.isfinite().all() and not torch.equal(before, after)
    assert finished > 0
