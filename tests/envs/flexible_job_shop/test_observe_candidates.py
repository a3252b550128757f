"""What is shown of candidates and of the whole, against plain computations."""

import numpy as np
import pytest

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.flexible_job_shop import observe
from dispatchgym.envs.flexible_job_shop.model import Model
from dispatchgym.envs.flexible_job_shop.options import Options

NAMES = [feature.name for feature in observe.CANDIDATE + observe.WAITING]
CONTEXT = [feature.name for feature in observe.CONTEXT]


def clip(x, low, high):
    return pytest.approx(min(max(x, low), high), abs=1e-5)


@pytest.mark.parametrize("construction", ["active", "non-delay", 0.3, "wait"])
def test_candidates_and_context_by_their_definitions(random_flexible_shop, legal, construction):
    rng, waits = np.random.default_rng(3), 0
    for _ in range(15):
        shop = random_flexible_shop(rng)
        simulation = Simulation(Model([shop], Options(construction, False)), [shop], 1)
        simulation.reset()
        while not simulation.terminated[0]:
            now = {key: tensor[0].numpy() for key, tensor in simulation.observation.items()}
            state = {name: tensor[0].tolist() for name, tensor in simulation.engine.tensors.items()}
            columns = {name: column[0].tolist() for name, column in simulation.columns.items()}
            chosen = np.flatnonzero(now["action_mask"]).tolist()
            pairs = [a for a in chosen if columns["next_machine"][a] >= 0]
            check_candidates(shop, now, state, columns, pairs)
            if chosen != pairs:
                waits += 1
                check_wait(now, state, columns)
            elif construction == "wait":
                assert not now["candidate_attr"][-1].any()
            check_context(shop, now, state, columns, len(pairs))
            simulation.step(legal(simulation.mask, rng))
    assert (waits > 0) == (construction == "wait")


def scales(state) -> tuple[float, float]:
    """p, and L."""
    mean = state["mean_time"]
    return mean, max(state["bound"] - state["time"], mean)


def check_candidates(shop, now, state, columns, pairs) -> None:
    p, left = scales(state)
    most = max(columns["remaining_work"][a] for a in pairs)
    longest = max(columns["least_work"][a] - columns["shortest_time"][a] for a in pairs)
    for a in pairs:
        job, machine = divmod(a, shop.machines)
        assert now["candidate"][a].tolist() == [job, machine]
        row = range(job * shop.machines, (job + 1) * shop.machines)
        first = min(columns["earliest_finish"][b] for b in row if columns["next_machine"][b] >= 0)
        c = {name: column[a] for name, column in columns.items()}
        here = dict(zip(NAMES, now["candidate_attr"][a].tolist(), strict=False))
        tail = c["least_work"] - c["shortest_time"]
        assert here["processing_time"] == clip(c["processing_time"] / p / 2, 0, 4)
        assert here["start_delay"] == clip((c["earliest_start"] - state["time"]) / p / 2, 0, 2.5)
        assert here["excess"] == clip((c["processing_time"] - c["shortest_time"]) / p / 2, 0, 2.5)
        assert here["finish_regret"] == clip((c["earliest_finish"] - first) / p / 2, 0, 2.5)
        assert here["gap"] == clip((c["earliest_start"] - c["free"]) / p / 2, 0, 2.5)
        assert here["lead"] == clip((c["remaining_work"] - most) / left, -2, 0)
        assert here["tail_lead"] == clip((tail - longest) / p / 4, -4, 0)
        assert here["bound_increase"] == clip((c["earliest_finish"] + tail - state["bound"]) / left, -1, 1)
        assert here["rivals"] == clip(sum(b % shop.machines == machine for b in pairs if b != a) / shop.jobs, 0, 1)
        assert here["chances"] == clip(sum(b // shop.machines == job for b in pairs if b != a) / shop.machines, 0, 1)
        assert here["last"] == (c["remaining_operations"] == 1)
        assert here["machine_load"] == pytest.approx(now["resource"][machine, 2], abs=1e-6)


def check_wait(now, state, columns) -> None:
    starts = {s for s, k in zip(columns["earliest_start"], columns["next_machine"], strict=True) if k >= 0}
    here = dict(zip(NAMES, now["candidate_attr"][-1].tolist(), strict=True))
    delay = sorted(starts)[1] - state["time"]
    assert here.pop("wait") == 1 and here.pop("start_delay") == clip(delay / scales(state)[0] / 2, 0, 2.5)
    assert not any(here.values())


def check_context(shop, now, state, columns, count) -> None:
    here = dict(zip(CONTEXT, now["context"].tolist(), strict=True))
    _, left = scales(state)
    step = state["next_operation"]
    open_jobs = [job for job in range(shop.jobs) if step[job] < shop.operations[job]]
    assert here["unfinished"] == pytest.approx(len(open_jobs) / shop.jobs)
    assert here["candidates"] == clip(count / shop.jobs, 0, 4) and here["choice"] == clip(count / 8, 0, 4)
    rest = sum(int(shop.shortest[job, step[job] :].sum()) for job in open_jobs)
    assert here["utilisation"] == clip(rest / shop.machines / left, 0, 1)
    assert here["shape"] == clip(shop.jobs / shop.machines / 3, 0, 4)
    flexibility = np.mean([shop.alternatives[job, step[job]] for job in open_jobs]) / shop.machines
    assert here["flexibility"] == pytest.approx(flexibility, abs=1e-6)
    idle = [time <= state["time"] for time in state["available"]]
    assert here["idle"] == pytest.approx(np.mean(idle), abs=1e-6)
