"""The network as a policy: inside stock Stable-Baselines3, and before the evaluator."""

from dataclasses import asdict

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from torch.testing import assert_close

import dispatchgym  # noqa: F401  (registers the environments)
from dispatchgym.agents.gnn import NEVER, GraphNetwork, inputs
from dispatchgym.agents.policy import GraphPolicy, NetworkPolicy, sample
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.registry import family, instances
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Limits, run
from dispatchgym.envs.job_shop.instance import JobShopInstance

SMALL = {"width": 8, "heads": 2, "layers": 1, "hidden": 16}


def make_policy(seed: int = 0, **options) -> NetworkPolicy:
    entry = family("job_shop")
    spec = entry.model(instances("3x3:0", "job_shop"), entry.make_options(**options)).spec
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NetworkPolicy(GraphNetwork(spec, **SMALL), options)


@pytest.mark.parametrize("observation", ["jobs", "operations"])
def test_stock_ppo_trains_it(observation, tmp_path):
    env = gymnasium.make("dispatchgym/JobShop-v0", instance="4x3:0", observation=observation)
    spec = env.unwrapped.model.spec
    ppo = stable_baselines3.PPO(
        GraphPolicy, env, n_steps=32, batch_size=16, n_epochs=1, seed=0, device="cpu",
        policy_kwargs={"spec": spec, "network": SMALL},
    )  # fmt: skip
    before = [parameter.clone() for parameter in ppo.policy.parameters()]
    ppo.learn(64)
    assert any(not torch.equal(p, b) for p, b in zip(ppo.policy.parameters(), before, strict=True))
    assert all(bool(torch.isfinite(p).all()) for p in ppo.policy.parameters())
    observed, _ = env.reset(seed=1)
    done = False
    while not done:
        action, _ = ppo.predict(observed)
        assert observed["action_mask"][int(action)] == 1
        observed, _, done, _, info = env.step(int(action))
    assert "illegal_action" not in info and env.unwrapped.schedule().violations() == []
    ppo.save(tmp_path / "stock")
    again = stable_baselines3.PPO.load(tmp_path / "stock", device="cpu")
    observed, _ = env.reset(seed=1)
    assert again.predict(observed, deterministic=True)[0] == ppo.predict(observed, deterministic=True)[0]


def test_its_parts_agree_with_each_other():
    env = gymnasium.make("dispatchgym/JobShop-v0", instance="4x3:0")
    ppo = stable_baselines3.PPO(
        GraphPolicy, env, n_steps=8, batch_size=8, device="cpu",
        policy_kwargs={"spec": env.unwrapped.model.spec, "network": SMALL},
    )  # fmt: skip
    observed, _ = env.reset(seed=0)
    batch, _ = ppo.policy.obs_to_tensor({key: np.stack([value] * 6) for key, value in observed.items()})
    action, value, log_prob = ppo.policy(batch)
    assert action.shape == (6,) and value.shape == (6, 1) and log_prob.shape == (6,)
    value_2, log_prob_2, entropy = ppo.policy.evaluate_actions(batch, action)
    assert_close(value, value_2)
    assert_close(value, ppo.policy.predict_values(batch))
    assert_close(log_prob, log_prob_2)
    distribution = ppo.policy.get_distribution(batch).distribution
    assert_close(entropy, distribution.entropy())
    assert bool((distribution.probs[batch["action_mask"] == 0] == 0).all())
    best, _ = ppo.predict(observed, deterministic=True)
    assert int(best) == int(distribution.probs[0].argmax())


@pytest.mark.parametrize("observation", ["jobs", "operations"])
@pytest.mark.parametrize("construction", ["active", "non-delay", "insertion"])
def test_schedules_are_feasible_for_any_shop(observation, construction, random_shop):
    rng = np.random.default_rng(5)
    shops = [random_shop(rng, general=bool(k % 2), name=f"shop {k}") for k in range(12)]
    policy = make_policy(construction=construction, observation=observation)
    for shop, answer in zip(shops, run(policy, shops, Limits(samples=3)), strict=True):
        assert answer.schedule.violations() == []
        assert len(answer.schedule) == shop.operations.sum()


def test_a_machine_may_be_visited_again():
    shop = JobShopInstance("twice", 2, [[3, 1, 4], [1, 5, 2], [2, 6, 5]], [[0, 1, 0], [1, 0, 1], [0, 1, 1]])
    answer = run(make_policy(), [shop], Limits(samples=8))[0]
    assert answer.schedule.violations() == []


def test_samples_never_worsen_and_follow_the_seed():
    shops, policy = instances("6x6:0-9", "job_shop"), make_policy(3)

    def makespans(**limits):
        return np.array([a.schedule.metrics()["makespan"] for a in run(policy, shops, Limits(**limits))])

    greedy, sampled = makespans(), makespans(samples=8, seed=1)
    assert (sampled <= greedy).all() and (sampled < greedy).any()
    assert (makespans(samples=8, seed=1) == sampled).all()
    assert (makespans(samples=8, seed=2) != sampled).any()
    assert (makespans(seed=5) == greedy).all()


def test_sampling_follows_the_softmax():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.5, NEVER])
    count = 40_000
    drawn = sample(logits.expand(count, 5), torch.Generator().manual_seed(0))
    expected = logits.softmax(0) * count
    found = torch.bincount(drawn, minlength=5).float()
    assert found[4] == 0
    statistic = float(((found - expected)[:4].square() / expected[:4]).sum())
    assert statistic < 16.3, "chi-square with 3 degrees of freedom exceeds this once in a thousand"
    assert torch.equal(drawn, sample(logits.expand(count, 5), torch.Generator().manual_seed(0)))


def test_temperature_sharpens_and_flattens():
    entry = family("job_shop")
    shops = instances("6x6:0", "job_shop")
    model = entry.model(shops, entry.make_options())
    simulation = Simulation(model, shops, 2000, group=2000)
    simulation.reset()
    everyone = torch.ones(2000, dtype=torch.bool)
    shares = []
    for temperature in (1e-3, 1.0):
        policy = NetworkPolicy(make_policy(1).network, {}, temperature)
        drawn = policy.act(simulation, torch.Generator().manual_seed(0), everyone)
        assert bool(simulation.mask.gather(1, drawn.unsqueeze(1)).all())
        shares.append(float((drawn == policy.act(simulation, torch.Generator(), ~everyone)).float().mean()))
    assert shares[0] == 1.0 and shares[1] < 0.95


def test_leaving_finished_episodes_out_changes_nothing():
    """Once a quarter of the batch is over, the network sees the rest only; actions must be those of the whole batch."""
    entry = family("job_shop")
    shops = instances(["2x2:0-5", "4x3:0-1"], "job_shop")
    model = entry.model(shops, entry.make_options())
    policy = make_policy(2)
    simulation = Simulation(model, shops, 24, group=3)
    simulation.reset()
    explore = torch.arange(24) % 3 > 0
    compacted = 0
    for step in range(model.horizon):
        going = simulation.terminated == 0
        if not bool(going.any()):
            break
        compacted += 0 < int(going.sum()) <= 0.75 * 24
        with torch.no_grad():
            logits = policy.network(inputs(simulation.observation, model.spec.complete), False)[0]
        action = policy.act(simulation, torch.Generator().manual_seed(step), explore)
        drawn = sample(logits, torch.Generator().manual_seed(step))
        expected = torch.where(explore, drawn, logits.argmax(1))
        assert torch.equal(action[going], expected[going])
        simulation.step(action)
    assert compacted > 1 and bool((simulation.terminated == 1).all()) and not bool(simulation.illegal.any())


@pytest.mark.parametrize(
    "own", [{"construction": "active"}, {"construction": "insertion", "forced_moves": False}, {}], ids=str
)
def test_it_runs_as_it_was_trained_whatever_the_user_asks(own):
    """Options of the user are those of rules; a network keeps its choice set, its moves and its graph."""
    shops = instances("6x6:0-9", "job_shop")
    policy = make_policy(**own)
    asked = [{}, {"construction": "non-delay"}, {"forced_moves": True}, {"observation": "operations"}]
    answers = [run(policy, shops, Limits(options=options)) for options in asked]
    entries = [[answer.schedule.entries.tolist() for answer in row] for row in answers]
    assert entries[0] == entries[1] == entries[2] == entries[3]
    trained = asdict(family("job_shop").make_options(**own))
    assert all(answer.options == trained for row in answers for answer in row), "what it ran with is what is reported"
    other = run(make_policy(construction="non-delay"), shops, Limits())
    assert [answer.schedule.entries.tolist() for answer in other] != entries[0], "so this shows little"


def test_the_graph_it_reads_is_its_own():
    shops = instances("3x3:0", "job_shop")
    policy = make_policy(construction="active", observation="operations")
    answer = run(policy, shops, Limits(options={"observation": "jobs"}))[0]
    assert answer.schedule.violations() == [] and answer.options["observation"] == "operations"


def test_options_that_do_not_exist_are_refused_all_the_same():
    for options, words in (({"colour": 1}, "known: construction"), ({"construction": "fastest"}, "fastest")):
        with pytest.raises(OptionError, match=words):
            run(make_policy(), instances("3x3:0", "job_shop"), Limits(options=options))
