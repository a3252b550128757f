"""What is seen of a preemptive machine, against plain Python; what is hidden shows nowhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop import observe_preemptive
from dispatchgym.envs.job_shop.chains import chains
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.options import Options

seeds = st.integers(0, 2**32 - 1)
hidden = st.builds(
    Options, preemptive=st.just(True), quantum=st.sampled_from([0, 4]), known=st.sampled_from(["all", "operations"]),
    reveal=st.booleans(),
)  # fmt: skip


def column(features, name: str) -> int:
    return next(k for k, feature in enumerate(features) if feature.name == name)


@settings(max_examples=30)
@given(hidden, st.booleans(), seeds)
def test_features_follow_from_the_columns(dated, legal, options, late, seed):
    rng = np.random.default_rng(seed)
    shop = chains(int(rng.integers(2, 7)), rng)
    shop = dated(shop, rng) if late else shop
    simulation = Simulation(Model([shop], options), [shop], 1)
    simulation.reset()
    while not simulation.terminated[0]:
        seen = {key: tensor[0].numpy() for key, tensor in simulation.observation.items()}
        c = {name: values[0].numpy().astype(float) for name, values in simulation.columns.items()}
        now, step = int(simulation.engine.tensors["now"][0]), simulation.engine.tensors["next_operation"][0].tolist()
        known = [j for j in range(shop.jobs) if not options.reveal or shop.release[j] <= now]
        upto = [int(shop.operations[j]) if options.known == "all" else step[j] + 1 for j in range(shop.jobs)]
        mean = max(np.mean([p for j in known for p in shop.duration[j, : min(upto[j], shop.operations[j])]]), 1.0)
        there = c["next_machine"] == 0
        assert there.nonzero()[0].tolist() == [j for j in known if step[j] < shop.operations[j]]
        expected = {
            "operation_remaining": c["operation_remaining"] / mean / 2,
            "remaining_work": c["remaining_work"] / mean / 8,
            "completed": c["completed_work"] / mean / 8, "waiting": (now - shop.release) / mean / 32,
            "unfinished": there, "candidate": seen["action_mask"],
        }  # fmt: skip
        if late:
            expected |= {"due_slack": c["slack"] / mean / 8, "weight": c["weight"] / 8}
        for name, values in expected.items():
            feature = next(f for f in observe_preemptive.JOB + observe_preemptive.JOB_COSTS if f.name == name)
            values = np.clip(values * there, feature.low, feature.high)
            found = seen["work"][:, column(simulation.model.spec.work, name)]
            assert found == pytest.approx(values, abs=1e-4)
        legal_jobs = seen["action_mask"].nonzero()[0]
        lead = np.clip((c["remaining_work"] - c["remaining_work"][legal_jobs].min())[legal_jobs] / mean / 4, 0, 4)
        assert seen["candidate_attr"][legal_jobs, 2] == pytest.approx(lead, abs=1e-4)
        simulation.step(legal(simulation.mask, rng))
    assert not any(simulation.observation[key].any() for key in ("work", "resource", "context", "candidate_attr"))


def test_nothing_hidden_is_shown(legal):
    """Two worlds that differ only in what is not known yet look the same until it is."""
    options, rng = Options(preemptive=True, known="operations", reveal=True, quantum=5, forced_moves=False), None
    for seed in range(10):
        rng = np.random.default_rng(seed)
        shop = chains(5, rng)
        duration, release = shop.duration.copy(), shop.release.copy()
        duration[:, 1:] = np.where(shop.machine[:, 1:] >= 0, duration[:, 1:] + 7, 0)
        release[1:] += 40
        other = replace(shop, duration=duration, release=release)
        pair = [Simulation(Model([shop, other], options), [one], 1) for one in (shop, other)]
        for simulation in pair:
            simulation.reset()
        until = min(int(shop.duration[0, 0]), int(shop.release[1]))
        compared = 0
        while int(pair[0].engine.tensors["now"][0]) < until:
            for key in pair[0].observation:
                assert (pair[0].observation[key] == pair[1].observation[key]).all(), key
            for name in pair[0].columns:
                assert (pair[0].columns[name] == pair[1].columns[name]).all(), name
            compared += 1
            for simulation in pair:
                simulation.step(torch.tensor([0]))
        assert compared >= 1 or until == 0
