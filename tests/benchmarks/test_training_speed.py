"""The training benchmark's own arithmetic; nothing is timed."""

from dataclasses import replace

import pytest
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv


@pytest.fixture(scope="module")
def benchmark(script):
    """The module of the command."""
    return script("training")


NETWORK = {"width": 8, "heads": 2, "hidden": 8, "layers": 1}


@pytest.fixture
def shop(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "MEASURED", 2)
    small = {"stage": "3x3", "drawn": {"jobs": 3, "machines": 3}, "network": NETWORK, "minibatch": 16, "steps": 4}
    return replace(benchmark.TASKS["shop"], **small)


@pytest.fixture
def routing(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "MEASURED", 2)
    small = {"stage": "route-prefix-n40", "drawn": {"preset": "route-prefix-n40"}, "minibatch": 16, "steps": 4}
    return replace(benchmark.TASKS["routing"], **small)


@pytest.mark.parametrize("task", ["shop", "routing"])
def test_everybody_trains_the_same_network(benchmark, task, request):
    task = request.getfixturevalue(task)
    models = [
        benchmark.ours(task, 16, "gae", 1),
        benchmark.stock(task, benchmark.Face(task, 4)),
        benchmark.stock(task, benchmark.single(task, DummyVecEnv, 2)),
    ]
    shapes = [{name: p.shape for name, p in model.policy.named_parameters()} for model in models]
    assert shapes[0] == shapes[1] == shapes[2]
    for model in models:
        before = [p.detach().clone() for p in model.policy.parameters()]
        model.set_logger(Logger(None, []))
        clock = benchmark.Clock(1, 16)
        with pytest.raises(benchmark.Enough):
            model.learn(10**9, callback=clock, reset_num_timesteps=False)
        assert clock.decisions["rollout"] > 0 and 0 < clock.decisions["update"] <= clock.decisions["rollout"]
        assert all(seconds > 0 for spent in (clock.wall, clock.cpu) for seconds in spent.values())
        assert any(not torch.equal(p, q) for p, q in zip(model.policy.parameters(), before, strict=True))


def test_no_more_minibatches_than_said_are_carried_out(benchmark, shop):
    model = benchmark.ours(shop, 64, "group", 1)
    model.set_logger(Logger(None, []))
    steps, gradient = [], model._gradient
    model._gradient = lambda batch, *rest: steps.append(len(batch.action)) or gradient(batch, *rest)
    clock = benchmark.Clock(1, 16)
    with pytest.raises(benchmark.Enough):
        model.learn(10**9, callback=clock)
    assert len(steps) == 2 and clock.decisions["update"] == pytest.approx(sum(steps), rel=0.2)
    assert clock.decisions["rollout"] > 3 * clock.decisions["update"]


def row(benchmark, title: str, batch: int, rollout: float, update: float):
    case = benchmark.Case(benchmark.TASKS["shop"], title, batch, None)
    for spent in ({"rollout": rollout, "update": update}, {"rollout": 2 * rollout, "update": 3 * update}):
        case._keep(spent, spent, {"rollout": 1.0, "update": 1.0})
    return case


def test_the_table_keeps_the_best_and_compares_within_a_batch(benchmark):
    rows = [
        row(benchmark, "dispatchgym, GAE and value loss", 64, 0.001, 0.003),
        row(benchmark, "stock PPO, DummyVecEnv", 64, 0.011, 0.003),
        benchmark.Case(benchmark.TASKS["shop"], "stock PPO, DummyVecEnv", 512, None, failed="MemoryError: none left"),
    ]
    lines = benchmark.markdown(rows, 2, "0.5", 16).splitlines()
    assert "Each at its best batch" not in lines[-1]
    assert lines[-3] == "| dispatchgym, GAE and value loss | 64 | 1,000 | 333 | 100 | 1.00 | 100 |"
    assert lines[-2] == "| stock PPO, DummyVecEnv | 64 | 91 | 333 | 50 | 0.50 | 50 |"
    assert lines[-1].startswith("| stock PPO, DummyVecEnv | 512 | failed: MemoryError")


def test_both_at_their_best_are_compared(benchmark):
    rows = [
        row(benchmark, "dispatchgym, GAE and value loss", 64, 0.001, 0.003),
        row(benchmark, "dispatchgym, GAE and value loss", 512, 0.001, 0.001),
        row(benchmark, "stock PPO, SubprocVecEnv", 8, 0.013, 0.001),
    ]
    assert "dispatchgym makes 4.0 times" in benchmark.markdown(rows, 2, "0.5", 16).splitlines()[-1]


def test_the_rows_are_by_batch(benchmark):
    rows = benchmark.cases(benchmark.TASKS["shop"], [64, 4096])
    assert sum(case.batch == 4096 for case in rows) == 4 and {case.batch for case in rows} == {64, 4096, 8}
    on_gpu = benchmark.cases(benchmark.TASKS["shop"], [64, 4096], "cuda:0")
    assert [case.title for case in on_gpu] == [case.title for case in rows if "threads" not in case.title]
