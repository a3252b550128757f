"""Workloads are what their recipes say: rates, kinds, tenants, predictions and sessions."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.llm.arrivals import Process
from dispatchgym.envs.llm.profiles import profile
from dispatchgym.envs.llm.sessions import Sessions
from dispatchgym.envs.llm.workload import PREDICTIONS, Kind, Recipe, Tenant, draw, predict

SERVERS = (profile("llama-3-8b-h100"),)
PLAIN = Recipe(SERVERS, rate=10.0, requests=4000)


def drawn(recipe, seed=0):
    return draw(recipe, np.random.default_rng(seed))


def test_a_plain_one():
    instance = drawn(PLAIN)
    assert (instance.name, instance.size, instance.objective, instance.servers) == (
        "workload",
        "4000x1",
        "miss_rate",
        SERVERS,
    )
    assert instance.arrival[-1] / 1e6 == pytest.approx(400, rel=0.05)
    assert instance.prompt.mean() == pytest.approx(1154, rel=0.05) and instance.output.mean() == pytest.approx(
        211, rel=0.05
    )
    assert (instance.ttft_target == 500_000 + 2000 * instance.prompt).all() and (instance.tbt_target == 100_000).all()
    assert not (instance.e2e_target.any() or instance.priority.any() or instance.client.any() or instance.sessions)
    error = np.log(instance.predicted / instance.output)[instance.output > 50]  # rounding blurs short ones
    assert np.median(error) == pytest.approx(0, abs=0.03) and error.std() == pytest.approx(0.5, rel=0.05)


def test_kinds():
    kinds = (
        Kind(3.0, priority=1, client=2, ttft=7, ttft_token=1, tbt=5, e2e=9),
        Kind(1.0, longer=3.0, told=0.25, ttft=0, ttft_token=0, tbt=0),
    )
    instance = drawn(replace(PLAIN, kinds=kinds, sigma=0.0))
    first = instance.priority == 1
    assert first.mean() == pytest.approx(0.75, abs=0.03)
    assert (instance.client == 2 * first).all() and (instance.tbt_target == 5 * first).all()
    assert (instance.e2e_target == 9 * first).all()
    assert (instance.ttft_target == (7 + instance.prompt) * first).all()
    assert instance.output[~first].mean() == pytest.approx(3 * 211, rel=0.08)
    assert (instance.predicted[first] == instance.output[first]).all()
    assert np.abs(instance.predicted[~first] - instance.output[~first] / 4).max() <= 0.5


def test_tenants():
    tenants = (Tenant(3.0), Tenant(1.0, Process("on-off", on=2.0, off=8.0)))
    instance = drawn(replace(PLAIN, tenants=tenants))
    assert instance.arrival[0] == 0 and instance.clients == 2
    assert instance.client.mean() == pytest.approx(0.25, abs=0.08)
    counts = [np.bincount(instance.arrival[instance.client == one] // 10**6) for one in (0, 1)]
    spread = [each.var() / each.mean() for each in counts]  # of Poisson 1
    assert spread[0] == pytest.approx(1, abs=0.25) and spread[1] > 3
    with pytest.raises(OptionError, match="sessions take a single tenant"):
        replace(PLAIN, tenants=tenants, sessions=Sessions())


def test_sessions():
    instance = drawn(replace(PLAIN, sessions=Sessions()))
    roots = instance.parent < 0
    assert instance.arrival[roots][-1] / 1e6 == pytest.approx(roots.sum() / 10, rel=0.08)
    assert instance.sessions and instance.groups == 60
    parent = instance.parent[~roots]
    new = instance.prompt - instance.shared
    new[~roots] = instance.prompt[~roots] - instance.prompt[parent] - instance.output[parent]
    assert (instance.ttft_target == 500_000 + 2000 * new).all()


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_predictions(prediction):
    output, priority = np.array([10, 20, 60, 1]), np.array([0, 0, 2, 2])
    found = predict(prediction, output, np.random.default_rng(0), 0.5, priority)
    expected = {"exact": [10, 20, 60, 1], "class": [15, 15, 30, 30], "mean": [23] * 4}
    assert found.tolist() == expected.get(prediction, found.tolist()) and found.min() >= 1
    halved = predict(prediction, output, np.random.default_rng(0), 0.5, priority, 0.5)
    assert np.abs(halved - np.maximum(found / 2, 1)).max() <= 0.75
    if prediction == "lognormal":
        assert found.tolist() != output.tolist()
        assert predict(prediction, output, np.random.default_rng(0), 0.0).tolist() == output.tolist()


def test_a_request_that_does_not_fit_is_an_error():
    tight = (replace(SERVERS[0], kv_tokens=2000),)
    with pytest.raises(InstanceError, match="does not fit the 2000 tokens of server 0"):
        drawn(replace(PLAIN, servers=tight))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"lengths": "arxiv"}, UnknownNameError, "unknown lengths 'arxiv'"),
        ({"prediction": "oracle"}, UnknownNameError, "unknown prediction 'oracle'"),
        ({"objective": "goodput"}, UnknownNameError, "unknown objective 'goodput'"),
        ({"sigma": -1.0}, OptionError, "sigma must be"),
        ({"kinds": ()}, OptionError, "kinds must be at least one"),
        ({"tenants": ()}, OptionError, "tenants must be at least one"),
    ],
)
def test_nonsense_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        replace(PLAIN, **changes)
    for share in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match="share must be"):
            Kind(share)
        with pytest.raises(OptionError, match="share must be"):
            Tenant(share)
    with pytest.raises(OptionError, match="told must be"):
        Kind(told=0.0)
    for rate, requests, name in ((0.0, 5, "rate"), (1.0, 0, "count")):
        with pytest.raises(OptionError, match=f"{name} must be"):
            drawn(replace(PLAIN, rate=rate, requests=requests))
    with pytest.raises(UnknownNameError, match="prediction"):
        predict("oracle", np.array([1]), np.random.default_rng(0))
