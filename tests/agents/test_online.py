"""Learning where time passes: credit aligned in time, priors, and stages whose instances vary in size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from dispatchgym.agents import rollout
from dispatchgym.agents.gnn import NEVER, GraphNetwork, inputs
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.presets import PRESETS
from dispatchgym.agents.rollout import Buffer, Stage
from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.core.registry import family, instances
from dispatchgym.envs.core.simulation import Simulation

SOC = family("soc")
ONLINE = {"mode": "online", "observation": "ready", "noise": "gaussian", "sigma": 0.5}


def earned_from(moment: float, times: list[int], rewards: list[float], end: int) -> float:
    """What an episode earns from a moment on; each reward is earned evenly until the next decision."""
    total = 0.0
    for begin, until, reward in zip(times, [*times[1:], end], rewards, strict=True):
        if until > begin:
            total += reward * min(1.0, max(0.0, (until - max(moment, begin)) / (until - begin)))
    return total


@given(seed=st.integers(0, 2**31 - 1))
def test_aligned_advantage_is_what_is_to_come_less_the_groups_mean(seed):
    rng = np.random.default_rng(seed)
    group, count = 3, 6
    ends = rng.integers(20, 60, count)
    times = [sorted(rng.integers(0, end, 5).tolist()) for end in ends]
    rewards = [
        [-float(rng.integers(1, 9)) * (after > at) for at, after in zip(row, [*row[1:], end], strict=True)]
        for row, end in zip(times, ends, strict=True)
    ]
    buffer = Buffer()
    for k in range(5):
        buffer.add(
            {"work": torch.zeros(count, 1)},
            env=torch.arange(count),
            reward=torch.tensor([row[k] for row in rewards]),
            time=torch.tensor([row[k] for row in times], dtype=torch.int32),
        )
    buffer.finish()
    outcome = torch.tensor([sum(row) for row in rewards])
    buffer.compute_aligned_advantage(outcome, torch.tensor(ends), group)
    for row in range(5 * count):
        k, env = divmod(row, count)
        mates = range(env // group * group, env // group * group + group)
        mean = np.mean([earned_from(times[env][k], times[m], rewards[m], int(ends[m])) for m in mates])
        assert float(buffer.target[row]) == pytest.approx(sum(rewards[env][k:]), abs=1e-4)
        assert float(buffer.advantage[row]) == pytest.approx(sum(rewards[env][k:]) - mean, abs=0.2)


def test_relative_advantage_counts_in_shares_of_the_mean():
    buffer = Buffer()
    buffer.add({"work": torch.zeros(4, 1)}, env=torch.arange(4))
    buffer.finish()
    buffer.compute_group_advantage(torch.tensor([-9.0, -11.0, -1.0, -1.0]), 2, relative=True)
    assert_close(buffer.advantage, torch.tensor([0.1, -0.1, 0.0, 0.0]), rtol=1e-3, atol=1e-3)


def test_a_prior_speaks_until_something_is_learnt():
    shops = instances(["random-12:0-3"], "soc")
    model = SOC.model(shops, SOC.make_options(observation="ready", pilot="rank-oct", choice=3))
    simulation = Simulation(model, shops, 4)
    simulation.reset()
    network = GraphNetwork(model.spec, width=8, heads=2, layers=1, prior={"pilot_regret": -1000.0})
    logits, _ = network(inputs(simulation.observation, model.spec.complete))
    chosen = simulation.columns["pilot_makespan"].gather(1, logits.argmax(1, keepdim=True)).squeeze(1)
    least = simulation.columns["pilot_makespan"].masked_fill(simulation.mask == 0, 2**30).amin(1)
    assert torch.equal(chosen, least)
    assert bool((logits[simulation.mask == 0] == NEVER).all())
    with pytest.raises(UnknownNameError, match="unknown candidate feature 'luck'; known: .*pilot_regret"):
        GraphNetwork(model.spec, prior={"luck": 1.0})


def test_a_stage_makes_room_for_instances_larger_than_any_it_has_seen(monkeypatch):
    monkeypatch.setattr(rollout, "PROBED", 1)
    stage = Stage("soc", "random-12", 2, 2, SOC.make_options(observation="ready"), 0, "cpu")
    small, large = instances(["random-12:0-1"], "soc"), instances(["random-30:0-1"], "soc")
    stage.draw = lambda preset, count, seed, part: large if part == 1 else small
    stage.begin(0)
    before = stage.model.widest
    simulation = stage.begin(1)
    assert stage.model.widest > before and simulation.instances == large
    assert simulation.num_envs == 4 and simulation.model is stage.model


@pytest.mark.parametrize("of, name", [(of, name) for of in ("soc", "vm") for name in sorted(PRESETS[of])])
def test_every_preset_takes_a_step(of, name):
    preset = PRESETS[of][name]
    options = family(of).make_options(**preset.options | {"mnl": 6} if of == "vm" else preset.options)
    stage = Stage(of, preset.stages[0], 2, 3, options, 0, "cpu")
    ppo = PPO([stage], network=preset.network, **{"batch_size": 64} | preset.ppo)
    before = [parameter.clone() for parameter in ppo.policy.parameters()]
    ppo.learn(100)  # where all rollouts are alike, only the entropy has a gradient, and that until the end is near
    assert any(not torch.equal(a, b) for a, b in zip(before, ppo.policy.parameters(), strict=True))


def test_alignment_needs_a_clock():
    shop = family("job_shop")
    stage = Stage("job_shop", "3x3", 2, 2, shop.make_options(), 0, "cpu")
    with pytest.raises(OptionError, match="aligned: .* needs a model with a clock"):
        PPO([stage], advantage="aligned")
