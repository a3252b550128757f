"""Both ways of playing a batch collect the same decisions, and the one for a GPU never asks what the device holds."""

import copy

import pytest
import torch
from stable_baselines3.common.logger import Logger
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from dispatchgym.agents import gnn, play, ppo
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.presets import PRESETS
from dispatchgym.agents.rollout import Buffer, Stage
from dispatchgym.envs.core.registry import family

# Complete edges, edge lists with precedence, many candidates, episodes of different lengths.
TRAININGS = {
    "job-shop": ("job_shop", "3x3", {"construction": "active"}),
    "soc": ("soc", "random-12", {"observation": "ready", "choice": 3}),
    "vm": ("vm", "hosts-8", {"mnl": 6}),
    "llm": ("llm", "steady-n20", {}),
    "flexible": ("flexible_job_shop", "sd1-10x5", {}),
}
NETWORK = {"width": 8, "heads": 2, "layers": 1, "hidden": 8}


@pytest.fixture(params=TRAININGS)
def stage(request) -> Stage:
    of, preset, options = TRAININGS[request.param]
    return Stage(of, preset, 3, 2, family(of).make_options(**options), 0, "cpu")


def by_number(seen: dict) -> dict:
    """A legal candidate that only the row's own content decides."""
    mask = seen["action_mask"] != 0
    wanted = seen["context"].abs().sum(1).mul(1000).long() + mask.sum(1)
    place = wanted % mask.sum(1).clamp_min(1)
    return {"action": (mask.cumsum(1) == place.unsqueeze(1) + 1).int().argmax(1), "entropy": place.float()}


def collected(stage: Stage, way) -> Buffer:
    buffer = Buffer()
    for seen, columns in way(stage.begin(0), by_number, stage.model.horizon):
        buffer.add(seen, **columns)
    buffer.settle()
    buffer.finish()
    return buffer


class Replayed:
    """In the place of a CUDA graph, and as it is: every replay writes over what the one before returned."""

    count = 0

    def __init__(self, function, device, generators):
        type(self).count += 1
        self.function, self.result = function, None

    def replay(self):
        result = self.function()
        if self.result is None:
            self.result = copy.deepcopy(result)
        for old, new in zip(self.result, result, strict=True):
            for key, tensor in new.items():
                old[key].copy_(tensor)
        return self.result


@pytest.mark.parametrize("record", [False, True])
def test_both_ways_collect_the_same(stage, record, monkeypatch):
    monkeypatch.setattr(play, "CudaGraph", Replayed)
    monkeypatch.setattr(Replayed, "count", 0)
    expected, whole = collected(stage, play.shrinking), play.Whole(record)
    for _ in range(2):
        found = collected(stage, whole)
        assert found.columns.keys() == expected.columns.keys()
        for key, tensor in expected.columns.items():
            assert torch.equal(found.columns[key], tensor), key
        for key, tensor in expected.observation.items():
            assert torch.equal(found.observation[key], tensor), key
        assert [len(step["env"]) for step in found.steps] == [len(step["env"]) for step in expected.steps]
    assert Replayed.count == int(record and len(expected.steps) > play.WARM), "a simulation is recorded once"


def test_what_cannot_be_recorded_is_launched(stage, monkeypatch):
    def refuse(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(play, "CudaGraph", refuse)
    with pytest.warns(RuntimeWarning, match="one by one, .* not permitted"):
        found = collected(stage, play.Whole(True))
    assert torch.equal(found.columns["action"], collected(stage, play.shrinking).columns["action"])


class NothingAsked(TorchDispatchMode):
    """Refuse what would wait for a GPU, and constants that would be copied to it from the host."""

    REFUSED = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "unique", "is_nonzero", "equal.default")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        assert not any(word in name for word in self.REFUSED), f"{name} waits for the device"
        assert "index" not in name or all(i is None or i.dtype != torch.bool for i in _indices(args)), f"{name} by mask"
        return func(*args, **(kwargs or {}))


def _indices(args):
    return args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else []


def trainer(stage: Stage, **more) -> PPO:
    model = PPO([stage], network=NETWORK, **{"batch_size": 16, "advantage": "group"} | more)
    model.set_logger(Logger(None, []))
    return model


def test_a_step_asks_the_device_nothing(stage, monkeypatch):
    monkeypatch.setattr(gnn, "looking_is_free", lambda tensor: False)
    model, simulation = trainer(stage, advantage="gae"), stage.begin(0)
    with NothingAsked():
        for _ in range(3):
            play.advance(simulation, model._decide)


def test_a_gradient_step_asks_the_device_nothing(stage, monkeypatch):
    model, buffer = trainer(stage), collected(stage, play.shrinking)
    buffer.columns["log_prob"] = torch.zeros(len(buffer))
    buffer.compute_group_advantage(torch.arange(6.0), 2)
    (batch,) = buffer.minibatches(1, model.generator)
    monkeypatch.setattr(gnn, "looking_is_free", lambda tensor: False)
    with NothingAsked():
        model._gradient(batch, list(model.policy.parameters()), 0.2, 0.01)


def test_asking_is_noticed():
    tensor = torch.ones(3)
    for ask in (tensor.sum().item, tensor.nonzero, lambda: tensor[tensor > 0], lambda: torch.tensor([1])):
        with pytest.raises(AssertionError), NothingAsked():
            ask()


def test_training_is_the_same_either_way():
    """With equally long episodes even the draws are the same."""
    weights = []
    for way in (play.shrinking, play.Whole(False)):
        stage = Stage("job_shop", "3x3", 3, 2, family("job_shop").make_options(forced_moves=False), 0, "cpu")
        model = trainer(stage)
        model._play = way
        model.learn(100)
        weights.append((model.num_timesteps, model.decisions, *model.policy.parameters()))
    assert weights[0][:2] == weights[1][:2]
    for one, other in zip(weights[0][2:], weights[1][2:], strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("advantage", ["group", "gae", "aligned"])
def test_every_advantage_takes_whole_batches(advantage):
    of = "llm" if advantage == "aligned" else "job_shop"
    stage = Stage(of, {"llm": "steady-n20", "job_shop": "3x3"}[of], 3, 2, family(of).make_options(), 0, "cpu")
    model = trainer(stage, advantage=advantage)
    model._play = play.Whole(False)
    model.learn(200)
    assert model.iteration and all(bool(torch.isfinite(p).all()) for p in model.policy.parameters())


def test_a_gradient_that_broke_is_found_without_looking_each_time(monkeypatch):
    monkeypatch.setattr(ppo, "looking_is_free", lambda tensor: False)
    model = trainer(Stage("job_shop", "3x3", 3, 2, family("job_shop").make_options(), 0, "cpu"))
    model.policy.network.score[-1].bias.data.fill_(float("nan"))
    with pytest.raises(ppo.NumericalError):
        model.learn(100)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["job_shop/smoke", "soc/smoke", "vm/smoke", "llm/smoke"])
def test_a_recorded_step_is_the_step(name):
    of, _, preset = name.partition("/")
    made = PRESETS[of][preset]
    found = []
    for record in (False, True):
        stage = Stage(of, made.stages[0], 4, 4, family(of).make_options(**made.options), 0, "cuda")
        model = PPO([stage], network=NETWORK, device="cuda", batch_size=64)
        model._play = play.Whole(record, (model.generator,))
        model.set_logger(Logger(None, []))
        model.learn(600)
        found.append([parameter.cpu() for parameter in model.policy.parameters()])
    for one, other in zip(*found, strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-4)
