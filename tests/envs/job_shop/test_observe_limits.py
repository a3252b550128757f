"""What policies see of setup times and windows, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.job_shop import observe
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.options import Options

seeds = st.integers(0, 2**32 - 1)


def column(features, name: str) -> int:
    return next(k for k, feature in enumerate(features) if feature.name == name)


def scaled(value: float, mean: float, share: float, most: float) -> float:
    return min(max(value / mean / share, 0.0), most)


@settings(max_examples=40)
@given(st.sampled_from(["active", "non-delay", "wait"]), st.sampled_from(["jobs", "operations"]), st.booleans(), seeds)
def test_features_follow_from_the_statement(random_shop, limited, limited_shop, dated, legal, name, kind, late, seed):
    rng = np.random.default_rng(seed)
    shop = limited(random_shop(rng, general=seed % 2 == 0, shortest=1), rng)
    shop = dated(shop, rng) if late else shop
    simulation = Simulation(Model([shop], Options(name, False, kind)), [shop], 1)
    simulation.reset()
    spec, bound = simulation.model.spec, twin(observe.sharp_bound)
    mean, shown = shop.total_work / int(shop.operations.sum()), []
    while not simulation.terminated[0]:
        plain, now = limited_shop(shop), int(simulation.engine.tensors["time"][0])
        seen = {key: tensor[0].numpy() for key, tensor in simulation.observation.items()}
        for row in sorted(simulation.schedule().entries.tolist(), key=lambda row: (row[3], row[1])):
            plain.append(row[0], row[3])
        shown.append(int(bound(simulation.engine.twin().state, 0)))
        if shop.setup is not None:
            check_setups(shop, plain, seen, spec, mean, kind)
        if shop.windows is not None:
            check_windows(shop, seen, spec, now, mean, simulation.engine.tensors)
        simulation.step(legal(simulation.mask, rng))
    assert max(shown, default=0) <= int(simulation.outcome()["makespan"][0])


def check_setups(shop, plain, seen, spec, mean, kind) -> None:
    """Setup times of the operations to come, and of the candidates."""
    setup, least = column(spec.work, "setup"), column(spec.work, "least_setup")
    excess = column(spec.candidate, "setup_excess")
    for job in range(shop.jobs):
        for step in range(shop.operations[job]):
            row = job if kind == "jobs" else job * shop.duration.shape[1] + step
            if kind == "jobs" and step != plain.step[job]:
                continue
            machine = int(shop.machine[job, step])
            low = int(shop.setup[machine, :, shop.setup_family[job]].min())
            own = plain.setup(plain.last[machine], job, machine) if step == plain.step[job] else low
            expected = [scaled(value, mean, 2, 4) * (step >= plain.step[job]) for value in (own, low)]
            assert seen["work"][row, [setup, least]].tolist() == pytest.approx(expected, abs=1e-5)
            if step == plain.step[job] and seen["action_mask"][job]:
                found = seen["candidate_attr"][job, [excess - 1, excess]].tolist()
                assert found == pytest.approx([expected[0], scaled(own - low, mean, 2, 4)], abs=1e-5)
    if kind == "jobs":
        done = [job for job in range(shop.jobs) if plain.step[job] == shop.operations[job]]
        assert not seen["work"][done].any()


def check_windows(shop, seen, spec, now, mean, tensors) -> None:
    """The next window of every machine, and of every candidate's."""

    def following(machine: int, time: int) -> tuple[float, int]:
        return next(((s, e - s) for s, e in shop.windows[machine].tolist() if e > time), (float("inf"), 0))

    first, gap = column(spec.resource, "closed_in"), column(spec.candidate, "window_gap")
    for machine in range(shop.machines):
        start, length = following(machine, now)
        expected = [scaled(start - now, mean, 4, 2), scaled(length, mean, 2, 4)]
        assert seen["resource"][machine, first : first + 2].tolist() == pytest.approx(expected, abs=1e-5)
    for job in np.flatnonzero(seen["action_mask"][: shop.jobs]):
        end = int(tensors["earliest_start"][0, job] + tensors["processing_time"][0, job])
        start, _ = following(int(tensors["next_machine"][0, job]), end)
        assert seen["candidate_attr"][job, gap] == pytest.approx(scaled(start - end, mean, 4, 2), abs=1e-5)
