"""Jobs, machines and their edges, against plain computations from the schedule so far."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.flexible_job_shop import observe
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance
from dispatchgym.envs.flexible_job_shop.model import Model
from dispatchgym.envs.flexible_job_shop.options import Options
from dispatchgym.instances.catalogue import load_many

ALL = ("active", "non-delay", 0.3, "wait")
COLUMN = {
    name: {feature.name: k for k, feature in enumerate(features)}
    for name, features in {"job": observe.JOB, "machine": observe.MACHINE, "edge": observe.PAIR_EDGE}.items()
}


def states(shop, options, legal, seed=0):
    """A simulation of one environment at every decision of a random episode."""
    simulation, rng = Simulation(Model([shop], options), [shop], 1), np.random.default_rng(seed)
    simulation.reset()
    while not simulation.terminated[0]:
        yield simulation
        simulation.step(legal(simulation.mask, rng))


def seen(simulation) -> dict[str, np.ndarray]:
    return {key: tensor[0].numpy() for key, tensor in simulation.observation.items()}


@pytest.mark.parametrize("construction", ALL)
@pytest.mark.parametrize("ending", ["legal", "illegal"])
def test_observation_does_not_remember_the_last_episode(legal, construction, ending):
    shop, other = load_many(["sd1-4x3:0", "sd2-3x4:1"], "flexible_job_shop")
    model = Model([shop, other], Options(construction, False))
    fresh, used, rng = Simulation(model, [shop], 1), Simulation(model, [other], 1), np.random.default_rng(1)
    used.reset()
    for _ in range(5):
        used.step(legal(used.mask, rng))
    while not used.terminated[0]:
        used.step(torch.tensor([-1]) if ending == "illegal" else legal(used.mask, rng))
    assert not any(used.observation[key].any() for key in ("work", "resource", "context", "candidate_attr"))
    used.load([shop])
    for simulation in (fresh, used):
        simulation.reset()
    while not fresh.terminated[0]:
        one, two = seen(fresh), seen(used)
        assert [key for key in one if one[key].tobytes() != two[key].tobytes()] == []
        action = legal(fresh.mask, rng)
        fresh.step(action)
        used.step(action)


@pytest.mark.parametrize("construction", ALL)
def test_nodes_and_edges_by_their_definitions(random_flexible_shop, legal, construction):
    rng = np.random.default_rng(21)
    for seed in range(12):
        shop = random_flexible_shop(rng)
        scale = np.float32(max(shop.mean.sum() / shop.operations.sum(), 1))
        for simulation in states(shop, Options(construction, False), legal, seed):
            now, tensors = seen(simulation), simulation.engine.tensors
            step = tensors["next_operation"][0].numpy()
            time, bound = int(tensors["time"][0]), int(tensors["bound"][0])
            check_jobs(shop, now, step, scale, max(bound - time, scale))
            check_edges(shop, simulation, now, step, scale)
            load = np.zeros(shop.machines)
            for job in range(shop.jobs):
                for operation in range(step[job], shop.operations[job]):
                    can = shop.compatible[job, operation]
                    load[can] += shop.duration[job, operation, can] / can.sum()
            machines = now["resource"]
            assert np.allclose(machines[:, COLUMN["machine"]["relative_load"]], load / max(load.max(), 1), atol=1e-5)
            idle = tensors["available"][0].numpy() <= time
            assert (machines[:, COLUMN["machine"]["idle"]] == idle).all()
            grid = now["action_mask"][: shop.jobs * shop.machines].reshape(shop.jobs, -1)
            rivals = machines[:, COLUMN["machine"]["rivals"]] * shop.jobs
            assert np.allclose(rivals, grid.sum(axis=0), atol=1e-5)
            assert (now["work"][:, COLUMN["job"]["candidate"]] == grid.any(axis=1)).all()


def check_jobs(shop, now, step, scale, left) -> None:
    """What is to come of every job."""
    for job, row in enumerate(now["work"]):
        here = {name: row[at] for name, at in COLUMN["job"].items()}
        rest = slice(step[job], shop.operations[job])
        assert here["unfinished"] == (step[job] < shop.operations[job])
        if not here["unfinished"]:
            assert not row.any()
            continue
        least = int(shop.shortest[job, rest].sum())
        assert here["least_work"] == pytest.approx(min(least / left, 1), abs=1e-5)
        assert here["remaining_work"] == pytest.approx(min(np.rint(shop.mean[job, rest].sum()) / left, 2), abs=1e-5)
        shortest = int(shop.shortest[job, step[job]])
        assert here["tail"] == pytest.approx(min((least - shortest) / left, 1), abs=1e-5)
        assert here["shortest_time"] == pytest.approx(min(shortest / scale / 2, 4), abs=1e-5)
        assert here["alternatives"] == pytest.approx(shop.alternatives[job, step[job]] / shop.machines)
        assert here["completed"] == pytest.approx(step[job] / shop.operations[job])


def check_edges(shop, simulation, now, step, scale) -> None:
    """Edge (job, machine) stands at job * machines + machine, where the two may yet meet."""
    for job in range(shop.jobs):
        for machine in range(shop.machines):
            at = job * shop.machines + machine
            ahead = shop.compatible[job, step[job] : shop.operations[job], machine]
            if not ahead.any():
                assert now["assignment"][:, at].tolist() == [shop.jobs, shop.machines]
                assert not now["assignment_attr"][at].any()
                continue
            assert now["assignment"][:, at].tolist() == [job, machine]
            here = {name: now["assignment_attr"][at, place] for name, place in COLUMN["edge"].items()}
            assert here["can_run"] == ahead[0] and here["candidate"] == now["action_mask"][at]
            later = ahead[1:].mean() if len(ahead) > 1 else 0
            assert here["later"] == pytest.approx(later, abs=1e-5)
            if ahead[0]:
                time = int(shop.duration[job, step[job], machine])
                excess = time - int(shop.shortest[job, step[job]])
                assert here["processing_time"] == pytest.approx(min(time / scale / 2, 4), abs=1e-5)
                assert here["excess"] == pytest.approx(min(excess / scale / 2, 2.5), abs=1e-5)
                finish = simulation.columns["earliest_finish"][0, at]
                row = slice(job * shop.machines, (job + 1) * shop.machines)
                can = simulation.columns["next_machine"][0, row] >= 0
                regret = float(finish - simulation.columns["earliest_finish"][0, row][can].min())
                assert here["finish_regret"] == pytest.approx(min(regret / scale / 2, 2.5), abs=1e-5)


@pytest.mark.parametrize("construction", ALL)
def test_the_unit_of_time_does_not_matter(random_flexible_shop, legal, construction):
    rng = np.random.default_rng(5)
    for seed in range(8):
        shop = random_flexible_shop(rng, shortest=2, releases=False)
        # by the number of machines as well, or bounds that are rounded up would not be as much larger
        unit = 8 * shop.machines
        even, slow = (
            FlexibleJobShopInstance("scaled", np.where(shop.compatible, by * shop.duration, -1))
            for by in (shop.machines * 3, unit * 3)
        )
        options = Options(construction, False)
        for one, other in zip(states(even, options, legal, seed), states(slow, options, legal, seed), strict=True):
            a, b = seen(one), seen(other)
            keys = [key for key in a if key not in ("work", "context", "resource", "candidate_attr", "assignment_attr")]
            assert all((a[key] == b[key]).all() for key in keys)
            # means of times are rounded to whole units, which matters less where units are smaller
            assert all(np.allclose(a[key], b[key], atol=0.03) for key in a)


@given(st.sampled_from(ALL), st.booleans(), st.integers(0, 2**32 - 1))
def test_padding_changes_nothing(random_flexible_shop, construction, forced_moves, seed):
    rng, options = np.random.default_rng(seed), Options(construction, forced_moves)
    small, large = (random_flexible_shop(rng, name=f"random {k}") for k in range(2))
    alone = Simulation(Model([small], options), [small], 1)
    padded = Simulation(Model([small, large], options), [small, large], 2)
    n, m, width = small.jobs, small.machines, padded.model.machines
    rows = [j * width + k for j in range(n) for k in range(m)]
    place = rows + [padded.model.actions - 1] * options.waits
    for simulation in (alone, padded):
        simulation.reset()
    while not alone.terminated[0]:
        one, other = seen(alone), seen(padded)
        assert one["work"].tobytes() == other["work"][:n].tobytes()
        assert one["resource"].tobytes() == other["resource"][:m].tobytes()
        assert one["context"].tobytes() == other["context"].tobytes()
        assert one["assignment_attr"].tobytes() == other["assignment_attr"][rows].tobytes()
        assert one["candidate_attr"].tobytes() == other["candidate_attr"][place].tobytes()
        assert other["action_mask"].sum() == one["action_mask"].sum()
        for name, column in alone.columns.items():
            assert (column[0] == padded.columns[name][0, place]).all()
        action = int(rng.choice(np.flatnonzero(one["action_mask"])))
        alone.step(torch.tensor([action]))
        padded.step(torch.tensor([place[action]]).expand(2))
        assert alone.reward[0] == padded.reward[0] and alone.terminated[0] == padded.terminated[0]
    assert (alone.schedule().entries == padded.schedule().entries).all()
