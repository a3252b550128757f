"""PPO: it learns, it repeats itself bit for bit, it touches nobody's generator, and it stops at a NaN."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.logger import KVWriter, Logger
from torch.testing import assert_close

from dispatchgym.agents import checkpoint
from dispatchgym.agents.callbacks import Checkpoints
from dispatchgym.agents.policy import sample
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.rollout import Stage
from dispatchgym.envs.core.errors import NumericalError, OptionError
from dispatchgym.envs.core.registry import family, instances
from dispatchgym.envs.core.solvers import Limits, resolve, solve

SMALL = {"width": 8, "heads": 2, "layers": 1, "hidden": 16}


def make_ppo(presets=("3x3", "4x3"), groups: int = 4, group: int = 4, seed: int = 0, options=None, **arguments) -> PPO:
    made = family("job_shop").make_options(**{"construction": "active", **(options or {})})
    stages = [Stage("job_shop", preset, groups, group, made, seed, "cpu") for preset in presets]
    ppo = PPO(stages, seed=seed, **{"network": SMALL, "batch_size": 64, **arguments})
    ppo.set_logger(Logger(None, []))
    return ppo


def weights(ppo: PPO) -> dict[str, torch.Tensor]:
    tensors = {f"policy.{name}": tensor for name, tensor in ppo.policy.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in ppo.average_network.state_dict().items()}
    return {name: tensor.clone() for name, tensor in tensors.items()}


def same_bits(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(one[k].numpy().tobytes() == other[k].numpy().tobytes() for k in one)


def mean_makespan(policy, shops, **options) -> float:
    limits = Limits(options=options)
    return float(np.mean([answer.schedule.metrics()["makespan"] for answer in solve(policy, shops, limits)]))


@pytest.mark.parametrize("seed", [0, 1])
def test_it_learns(seed):
    """Seconds of training must beat the untrained network, random choices, and the published rules it came from."""
    shops = instances(["6x6:0-59"], "job_shop")
    ppo = make_ppo(
        ("6x6",), 8, 8, seed, batch_size=128, learning_rate=3e-3, average=0.02,
        network={"width": 16, "heads": 2, "layers": 1, "hidden": 32},
    )  # fmt: skip
    untrained = mean_makespan(ppo.evaluator(), shops)
    ppo.learn(12_000)
    trained = mean_makespan(ppo.evaluator(), shops)
    chance = mean_makespan(resolve("random", "job_shop"), shops, construction="active")
    assert trained < 0.92 * untrained and trained < 0.88 * chance
    assert trained < mean_makespan(resolve("spt", "job_shop"), shops)


def test_gae_and_a_value_learn_too():
    ppo = make_ppo(("4x4",), 6, 6, advantage="gae", learning_rate=3e-3, average=0.05)
    assert ppo.value_weight == 0.5
    value = [p.clone() for name, p in ppo.policy.named_parameters() if "network.value" in name]
    shops = instances(["4x4:0-59"], "job_shop")
    untrained = mean_makespan(ppo.evaluator(), shops)
    ppo.learn(6000)
    assert mean_makespan(ppo.evaluator(), shops) < 0.95 * untrained
    after = [p for name, p in ppo.policy.named_parameters() if "network.value" in name]
    assert all(not torch.equal(a, b) for a, b in zip(after, value, strict=True))


@pytest.mark.parametrize("options", [{"observation": "operations"}, {"construction": "insertion"}])
def test_other_options_train(options):
    ppo = make_ppo(options=options)
    before = weights(ppo)
    ppo.learn(300)
    after = weights(ppo)
    assert not same_bits(before, after) and all(bool(torch.isfinite(t).all()) for t in after.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bits(threads):
    found = []
    for seed in (0, 0, 1):
        ppo = make_ppo(("6x6", "4x3"), 6, 6, seed, threads=threads)
        ppo.learn(1000)
        found.append(weights(ppo))
    assert same_bits(found[0], found[1])
    assert not same_bits(found[0], found[2])


def test_threads_differ_in_the_last_bits_only():
    found = []
    for threads in (1, 2):
        ppo = make_ppo(("6x6",), 4, 4, threads=threads, n_epochs=1)
        ppo.learn(1)
        found.append(weights(ppo))
    for name, tensor in found[0].items():
        assert_close(tensor, found[1][name], rtol=1e-3, atol=1e-4)


def test_no_global_generator_is_touched():
    np.random.seed(5)
    random.seed(5)
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), np.random.get_state()[2], random.getstate()
    ppo = make_ppo(threads=2)
    ppo.learn(200)
    solve(ppo.evaluator(), instances("4x3:0", "job_shop"), Limits(samples=3))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all() and np.random.get_state()[2] == before[2]
    assert random.getstate() == before[3]


def test_no_global_generator_is_read():
    found = []
    for number in (1, 2):
        torch.manual_seed(number)
        np.random.seed(number)
        random.seed(number)
        ppo = make_ppo()
        ppo.learn(200)
        found.append(weights(ppo))
    assert same_bits(*found)


class Records(KVWriter):
    """Keeps every value that is logged."""

    def __init__(self):
        self.rows = []

    def write(self, key_values, key_excluded, step=0):
        self.rows.append(dict(key_values))

    def close(self):
        pass


def test_schedules_fall_to_their_ends():
    ppo = make_ppo(("3x3",), learning_rate=0.01, final_learning_rate=0.25, entropy=0.4)
    records = Records()
    ppo.set_logger(Logger(None, [records]))
    weights_of_entropy = []
    gradient = ppo._gradient

    def spy(batch, parameters, clip, entropy_weight):
        weights_of_entropy.append((ppo.iteration, entropy_weight, ppo.policy.optimizer.param_groups[0]["lr"]))
        return gradient(batch, parameters, clip, entropy_weight)

    ppo._gradient = spy
    ppo.learn(2000, log_interval=1)
    steps = {row["time/iterations"]: row["time/total_timesteps"] for row in records.rows}
    assert len(weights_of_entropy) > 5
    for iteration, weight, rate in weights_of_entropy:
        left = 1 - steps[iteration] / 2000
        assert weight == pytest.approx(0.4 * max(0.0, left), abs=1e-9), "the last iteration ends past the total"
        assert rate == pytest.approx(0.01 * max(0.25, left))
    assert weights_of_entropy[0][2] > 0.009 and weights_of_entropy[-1][2] == pytest.approx(0.0025)
    names = {"policy_loss", "entropy", "clip_fraction", "gradient_norm", "minibatches"}
    assert {f"train/{name}" for name in names} <= records.rows[-1].keys()
    assert "train/value_loss" not in records.rows[-1]
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "rollout/makespan_3x3"} <= records.rows[-1].keys()
    assert all(np.isfinite(value) for value in records.rows[-1].values())
    assert {"time/rollout_s", "time/update_s"} <= records.rows[-1].keys()
    assert sum(row["time/rollout_s"] for row in records.rows) == pytest.approx(ppo.seconds["rollout"])


def test_entropy_is_shown_by_the_number_of_candidates():
    ppo = make_ppo(("4x3",))
    records = Records()
    ppo.set_logger(Logger(None, [records]))
    ppo.learn(100, log_interval=1)
    row = records.rows[0]
    found = {name: value for name, value in row.items() if name.startswith("entropy/")}
    assert set(found) == {"entropy/2", "entropy/3-4"}, "four jobs offer no more"
    for name, value in found.items():
        most = int(name.rpartition("-")[2].rpartition("/")[2])
        assert 0.5 * math.log(most) < value <= math.log(most) + 1e-6, "an untrained policy hardly prefers any"


@pytest.mark.parametrize(
    ("arguments", "weight"),
    [({}, 0), ({"value_weight": 0.2}, 0.2), ({"advantage": "gae"}, 0.5), ({"advantage": "gae", "value_weight": 2}, 2)],
    ids=str,
)
def test_the_value_is_trained_where_it_has_a_weight(arguments, weight):
    ppo = make_ppo(("3x3",), **arguments)
    records = Records()
    ppo.set_logger(Logger(None, [records]))
    head = [p.clone() for name, p in ppo.policy.named_parameters() if "network.value" in name]
    ppo.learn(200, log_interval=1)
    after = [p for name, p in ppo.policy.named_parameters() if "network.value" in name]
    assert ppo.value_weight == weight and len(head) > 1
    assert all(torch.equal(a, b) != (weight > 0) for a, b in zip(after, head, strict=True))
    losses = [row["train/value_loss"] for row in records.rows if "train/value_loss" in row]
    assert bool(losses) == (weight > 0) and all(loss > 0 for loss in losses)


def test_the_loss_is_the_clipped_objective():
    """Against the formula, decision by decision, in float64."""
    ppo = make_ppo(
        ("4x3",), advantage="gae", value_weight=0.5, learning_rate=0.01, final_learning_rate=1.0, n_epochs=8,
        clip_range=0.1,
    )  # fmt: skip
    kept = {}
    gradient = ppo._gradient

    def spy(batch, parameters, clip, entropy_weight):
        kept["last"] = (batch, clip, entropy_weight, [p.detach().clone() for p in parameters])
        statistics = gradient(batch, parameters, clip, entropy_weight)
        kept["statistics"] = statistics.tolist()
        kept["gradients"] = [None if p.grad is None else p.grad.clone() for p in parameters]
        return statistics

    ppo._gradient = spy
    ppo.learn(300)
    batch, clip, entropy_weight, values = kept["last"]
    assert kept["statistics"][3] > 0.1, "no ratio was clipped, so this shows little"
    network = ppo.policy.network
    for parameter, value in zip(network.parameters(), values, strict=True):
        parameter.data.copy_(value)
        parameter.grad = None
    logits, value = network(batch.observation)
    distribution = torch.distributions.Categorical(logits=logits)
    ratio = (distribution.log_prob(batch.action) - batch.log_prob).exp()
    clipped = torch.where(batch.advantage > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    policy_loss = -(clipped * batch.advantage).mean()
    legal = logits > -1e8
    p = logits.masked_fill(~legal, -torch.inf).softmax(1)
    entropy = -(p * p.clamp_min(1e-30).log()).sum(1).mean()
    value_loss = torch.nn.functional.smooth_l1_loss(value, batch.target)
    assert kept["statistics"][:3] == pytest.approx([policy_loss.item(), value_loss.item(), entropy.item()], abs=1e-5)
    (policy_loss - entropy_weight * entropy + 0.5 * value_loss).backward()
    for parameter, found in zip(network.parameters(), kept["gradients"], strict=True):
        assert_close(parameter.grad, found, rtol=1e-3, atol=1e-6)


def test_the_average_follows_the_weights():
    ppo = make_ppo(average=1.0)
    ppo.learn(100)
    for average, weight in zip(ppo.average_network.parameters(), ppo.policy.network.parameters(), strict=True):
        assert torch.equal(average, weight)
    ppo = make_ppo(average=0.0)
    before = weights(ppo)
    ppo.learn(100)
    after = weights(ppo)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("average."))
    assert not same_bits(before, after)


def test_the_average_keeps_no_history():
    """Neither a graph that grows with every step nor tensors that cannot be copied."""
    ppo = make_ppo()
    ppo.learn(100)
    assert all(p.is_leaf and not p.requires_grad and p.grad_fn is None for p in ppo.average_network.parameters())
    copy.deepcopy(ppo.average_network)


class Poison(BaseCallback):
    """Puts a NaN somewhere at the start of the third iteration."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        if self.model.iteration == 2:
            self.where(self.model)


def poison_weight(ppo):
    ppo.policy.network.score[-1].bias.data.fill_(float("nan"))


def poison_reward(ppo):
    tensors = ppo.env.stage(ppo.iteration).simulation.engine.tensors
    reward = tensors["reward"]

    def spoilt(engine_run):
        def run(name):
            engine_run(name)
            reward[0] = float("inf")

        return run

    engine = ppo.env.stage(ppo.iteration).simulation.engine
    engine.run = spoilt(engine.run)


def poison_observation(ppo):
    simulation = ppo.env.stage(ppo.iteration).simulation
    engine = simulation.engine
    original = engine.run

    def run(name):
        original(name)
        simulation.observation["resource"][0, 0, 0] = float("nan")

    engine.run = run


def poison_loss(ppo):
    original = ppo._loss

    def loss(*arguments):
        total, statistics = original(*arguments)
        return total * float("inf"), statistics

    ppo._loss = loss


@pytest.mark.parametrize(
    ("where", "named"),
    [
        (poison_weight, "policy loss is nan"),
        (poison_reward, "policy loss is nan|rewards?|outcome|return"),
        (poison_observation, "observation 'resource' is not finite"),
        (poison_loss, "gradient of network"),
    ],
)
def test_a_nan_stops_the_run_and_leaves_the_checkpoint(where, named, tmp_path):
    ppo = make_ppo()
    config = {"family": "job_shop"}
    with pytest.raises(NumericalError, match=named) as caught:
        ppo.learn(4000, callback=[Checkpoints(tmp_path, config, every=1), Poison(where)])
    assert "iteration 2" in str(caught.value) or "iteration 3" in str(caught.value)
    folder = checkpoint.newest(tmp_path)
    assert folder.name == "checkpoint-00000002"
    tensors = checkpoint.read(folder)[1]
    assert all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point())


def test_a_nan_never_reaches_the_weights():
    ppo = make_ppo()
    ppo.learn(100)
    before = weights(ppo)
    poison_loss(ppo)
    with pytest.raises(NumericalError):
        ppo.learn(100)
    assert same_bits(before, weights(ppo))


def test_stable_baselines_callbacks_bar_and_save_work(tmp_path):
    class Count(BaseCallback):
        steps = rollouts = 0

        def _on_step(self):
            self.steps += 1
            assert {"rollout_buffer", "simulation", "columns"} <= self.locals.keys()
            return True

        def _on_rollout_end(self):
            self.rollouts += 1

    count = Count()
    ppo = make_ppo()
    ppo.learn(400, callback=[count, CheckpointCallback(5, str(tmp_path))], progress_bar=True)
    assert count.rollouts == ppo.iteration > 2 and count.steps > count.rollouts
    assert ppo.num_timesteps >= 400 and ppo.decisions > 0
    assert list(tmp_path.glob("*.zip"))


def test_a_callback_may_stop_it():
    class Stop(BaseCallback):
        def _on_step(self):
            return self.n_calls < 3

    ppo = make_ppo()
    ppo.learn(10_000, callback=Stop())
    assert ppo.num_timesteps == 3 * 16


def test_predict_is_that_of_stable_baselines():
    import gymnasium

    ppo = make_ppo(("4x3",))
    env = gymnasium.make("dispatchgym/JobShop-v0", instance="4x3:0")
    observed, info = env.reset(seed=0)
    action, _ = ppo.predict(observed, deterministic=True)
    assert info["action_mask"][int(action)] == 1


def test_sampled_probabilities_are_those_it_learns_from():
    ppo = make_ppo(("6x6",), threads=2)
    simulation = ppo.env.stages[0].begin(0)
    from dispatchgym.agents.gnn import inputs

    seen = inputs(simulation.observation, True)
    logits = ppo.policy.network(seen, False)[0].log_softmax(1)
    expected = sample(logits, torch.Generator().manual_seed(0))
    decided = ppo._decide(seen)
    taken, log_prob, entropy = decided["action"], decided["log_prob"], decided["entropy"]
    assert torch.equal(taken, expected) and bool(simulation.mask.gather(1, taken.unsqueeze(1)).all())
    assert_close(log_prob, logits.gather(1, taken.unsqueeze(1)).squeeze(1).detach())
    assert_close(entropy, -(logits.exp() * logits.clamp_min(-1e3)).sum(1).detach())


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(OptionError, match="advantage must be one of group, relative, aligned, gae"):
        make_ppo(advantage="montecarlo")


@pytest.mark.parametrize("weight", [0, 0.0, -1.0, float("nan")])
def test_gae_without_a_value_is_refused(weight):
    with pytest.raises(OptionError, match="value_weight must be positive with advantage 'gae'"):
        make_ppo(advantage="gae", value_weight=weight)


@pytest.mark.parametrize(
    "name",
    ["ent_coef", "vf_coef", "target_kl", "normalize_advantage", "clip_range_vf", "use_sde", "n_steps", "gamma"],
)
def test_keywords_without_effect_are_refused(name):
    """Stable-Baselines3 knows them, so a user would believe that they are heeded."""
    with pytest.raises(OptionError, match=f"{name} .*no effect"):
        make_ppo(**{name: None})


def test_keywords_with_an_effect_are_passed_on(tmp_path):
    ppo = make_ppo(tensorboard_log=str(tmp_path), verbose=0, stats_window_size=7)
    assert ppo.tensorboard_log == str(tmp_path) and ppo._stats_window_size == 7


def test_a_group_of_one_has_no_baseline():
    with pytest.raises(OptionError, match="group"):
        make_ppo(group=1).learn(50)


def test_instances_without_any_choice_do_not_crash_it():
    """One job is no decision; an iteration of such instances teaches nothing and must not stop the run."""
    ppo = make_ppo(("1x3", "3x3"))
    ppo.learn(100)
    assert ppo.iteration >= 2
