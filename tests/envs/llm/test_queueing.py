"""A server of one request at a time against formulas of queueing theory: M/G/1 under three disciplines.

Lengths are in tokens of 100 us, so an iteration is short against service times of some hundred tokens. Answers are
uniform, whose tail is as light as can be, so few requests are enough; means of several seeds are compared with their
own spread as well as with the formula.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dispatchgym.baselines.llm import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile

TOKEN = 100  # us
LONGEST = 400  # tokens
SIZES = np.arange(1, LONGEST + 1)  # all equally likely
SERIAL = Profile(TOKEN * 10**9, kv_tokens=2 * LONGEST, block_size=1, max_num_seqs=1, token_budget=LONGEST)
WARM = 1000  # requests that are not counted


def mean_response(rate: float, discipline: str) -> float:
    """In us, of Poisson arrivals of so many requests a us.

    Pollaczek and Khinchine (1930) for first come, first served; Phipps (1956) for the shortest job first, sizes being
    classes; Schrage and Miller (1966) for the shortest remaining time first.
    """
    chance, time = np.full(LONGEST, 1 / LONGEST), SIZES * float(TOKEN)
    residual = rate * (chance * time**2).sum() / 2
    load = rate * np.cumsum(chance * time)
    before = np.concatenate([[0.0], load[:-1]])
    if discipline == "fcfs":
        return (chance * time).sum() + residual / (1 - load[-1])
    if discipline == "sjf":
        return (chance * (residual / ((1 - load) * (1 - before)) + time)).sum()
    # A job of k tokens waits for those of at most as many that are left; of equal sizes the first comes first.
    served = np.cumsum(chance * time**2)
    above = (1 - np.cumsum(chance)) * time**2
    wait = rate * (served + above) / 2 / ((1 - load) * (1 - before))
    # While it has j tokens left it is interrupted by all that are shorter than j.
    busy = np.cumsum(TOKEN / (1 - before))
    return (chance * (wait + busy)).sum()


def drawn(load: float, count: int, seed: int, server: Profile) -> LLMInstance:
    rng = np.random.default_rng(seed)
    rate = load / (TOKEN * SIZES.mean())
    arrival = np.cumsum(rng.exponential(1 / rate, count)).astype(np.int64)
    return LLMInstance(
        "queue", (server,), arrival, np.ones(count, int), rng.integers(1, LONGEST + 1, count), objective="e2e_mean"
    )


def measured(instances, rule: str) -> np.ndarray:
    """Mean responses in us, one for each instance."""
    options = POLICIES[rule].options | {"prediction": "exact", "past_future": 0}
    simulation = Simulation(Model(instances, Options(**options)), instances, len(instances), observe=False)
    simulation.reset()
    never = torch.zeros(len(instances), dtype=torch.bool)
    while not (simulation.terminated + simulation.truncated).all():
        simulation.step(POLICIES[rule].act(simulation, torch.Generator(), never))
    assert not simulation.truncated.any()
    ended, arrived = (simulation.engine.tensors[name][:, WARM:].double() for name in ("ended", "arrived"))
    return (ended - arrived).mean(dim=1).numpy()


def in_turn(instance) -> float:
    """Mean response of first come, first served, by the recursion of Lindley (1952)."""
    end, total = 0, 0
    for k, (arrival, output) in enumerate(zip(instance.arrival.tolist(), instance.output.tolist(), strict=True)):
        end = max(end, arrival) + output * TOKEN
        total += (end - arrival) * (k >= WARM)
    return total / (instance.requests - WARM)


def test_first_come_first_served_is_the_recursion_of_lindley():
    instances = [drawn(load, 3000, seed, SERIAL) for seed, load in enumerate((0.3, 0.5, 0.8, 0.95))]
    assert measured(instances, "fcfs").tolist() == pytest.approx([in_turn(one) for one in instances], rel=1e-12)


LOADS = [(0.5, 0.01), (0.8, 0.02)]


@pytest.mark.slow
@pytest.mark.parametrize("load, close", LOADS)
def test_first_come_first_served_is_that_of_theory(load, close):
    instances = [drawn(load, 13_000, seed, SERIAL) for seed in range(48)]
    found = measured(instances, "fcfs").mean()
    assert found == pytest.approx(mean_response(load / (TOKEN * SIZES.mean()), "fcfs"), rel=close)


@pytest.mark.slow
@pytest.mark.parametrize("discipline, rule", [("sjf", "sjf-output"), ("srpt", "srpt")])
@pytest.mark.parametrize("load, close", LOADS)
def test_shorter_ones_first_are_those_of_theory(discipline, rule, load, close):
    """Relative to first come, first served of the same requests, which takes most of the chance out."""
    server = replace(SERIAL, preemptive=discipline == "srpt")
    instances = [drawn(load, 6000, seed, server) for seed in range(10)]
    rate = load / (TOKEN * SIZES.mean())
    found = measured(instances, rule).mean() / np.mean([in_turn(one) for one in instances])
    assert found == pytest.approx(mean_response(rate, discipline) / mean_response(rate, "fcfs"), rel=close)


def test_the_formulas_agree_where_they_must():
    """Without load a response is the service; under load the shorter first is better, and interrupting better still."""
    for discipline in ("fcfs", "sjf", "srpt"):
        assert mean_response(1e-12, discipline) == pytest.approx(TOKEN * SIZES.mean(), rel=1e-6)
    for load in (0.3, 0.8, 0.95):
        rate = load / (TOKEN * SIZES.mean())
        fcfs, sjf, srpt = (mean_response(rate, discipline) for discipline in ("fcfs", "sjf", "srpt"))
        assert fcfs > sjf > srpt > TOKEN * SIZES.mean()
