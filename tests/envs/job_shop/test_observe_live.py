"""What a policy sees of a live job shop, and what it does not."""

from pathlib import Path

import numpy as np
import torch

import dispatchgym
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop import observe, observe_live_features
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model, Options

JOB, MACHINE, EDGE, CANDIDATE, CONTEXT = (
    {feature.name: k for k, feature in enumerate(getattr(observe_live_features, part))}
    for part in ("JOB", "MACHINE", "OPERATION_EDGE", "CANDIDATE", "CONTEXT")
)


def begin(instance, seed=0, **options) -> Simulation:
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1, seed=seed)
    simulation.reset()
    return simulation


def seen(simulation: Simulation) -> dict[str, np.ndarray]:
    return {key: tensor[0].clone().numpy() for key, tensor in simulation.observation.items()}


def same(one: dict, other: dict) -> bool:
    return all(one[key].tobytes() == other[key].tobytes() for key in one)


def test_the_page_lists_the_columns_that_live_shops_add():
    text = Path(dispatchgym.__file__).parent.joinpath("envs/job_shop/README.md").read_text("utf-8")
    section = text[text.index("## Live shops") : text.index("## Objective")]
    rows = [line for line in section.splitlines() if line.startswith("| `") and " .. " in line]
    expected = []
    for part in ("JOB", "MACHINE", "OPERATION_EDGE", "CANDIDATE", "CONTEXT"):
        known = getattr(observe, part)
        new = [feature for feature in getattr(observe_live_features, part) if feature not in known]
        expected += [f"| `{f.name}` | {f.doc} | {f.low:g} .. {f.high:g} |" for f in new]
    assert rows == expected


def shop(hidden: list[int], route: list[int], release: int = 20) -> JobShopInstance:
    """Two jobs that are known, and one that comes later."""
    duration, machine = [[5, 4, 3], [2, 6, 4], hidden], [[0, 1, 2], [1, 0, 2], route]
    return JobShopInstance("late", 3, np.array(duration), np.array(machine), np.array([0, 0, release]))


def test_hidden_jobs_leave_no_trace_before_their_release():
    one, other = shop([7, 1, 1], [2, 0, 1]), shop([1, 2, 6], [1, 2, 0], release=30)
    given = {"reveal": True, "forced_moves": False}
    pair = [begin(instance, **given) for instance in (one, other)]
    for _ in range(4):
        assert same(*map(seen, pair)) and pair[0].outcome()["makespan"] == pair[1].outcome()["makespan"]
        assert not seen(pair[0])["work"][2].any() and (seen(pair[0])["assignment"][:, 6:] == 3).all()
        for simulation in pair:
            assert all(int(column[0, 2]) in (0, -1) for column in simulation.columns.values())
            simulation.step(simulation.mask.argmax(dim=1))
    while not pair[0].engine.tensors["released"][0, 2]:
        pair[0].step(pair[0].mask.argmax(dim=1))
    assert seen(pair[0])["work"][2, JOB["unfinished"]] == 1.0
    assert (seen(pair[0])["assignment"][0, 6:] == 2).all()


def test_known_jobs_show_before_their_release():
    simulation = begin(shop([7, 1, 1], [2, 0, 1]), noise="gaussian", sigma=0.1, forced_moves=False)
    row = seen(simulation)["work"][2]
    assert row[JOB["unfinished"]] == 1.0 and row[JOB["ready"]] > 0 and row[JOB["candidate"]] == 0


def test_actual_times_show_when_operations_have_ended():
    """Operations that start together look alike in every world, until one of them is over."""
    given = {"noise": "lognormal", "sigma": 1.0, "forced_moves": False}
    pair = [begin(shop([7, 1, 1], [2, 0, 1], 0), seed, **given) for seed in (1, 2)]
    for _ in range(3):
        assert same(*map(seen, pair))
        for simulation in pair:
            simulation.step(simulation.mask.argmax(dim=1))
    assert not same(*map(seen, pair))


def test_who_holds_what_without_buffers():
    """Job 0 is finished on machine 0 at 2 and waits for machine 1, where job 1 is until 9; job 2 comes at 5."""
    duration, machine = np.array([[2, 3], [9, 1], [4, 1]]), np.array([[0, 1], [1, 2], [2, 0]])
    instance = JobShopInstance("held", 3, duration, machine, np.array([0, 0, 5]))
    simulation = begin(instance, buffers="none", safety=False, forced_moves=False)
    for job in range(2):
        simulation.step(torch.tensor([job]))
    assert int(simulation.engine.tensors["time"]) == 5 and simulation.mask.tolist() == [[0, 0, 1, 1]]
    now = seen(simulation)
    for name, values in {"holding": [1, 0, 0], "running": [0, 1, 0], "next_held": [1, 0, 0]}.items():
        assert now["work"][:, JOB[name]].tolist() == values
    assert now["resource"][:, MACHINE["held"]].tolist() == [1, 0, 0]
    assert now["resource"][:, MACHINE["running"]].tolist() == [0, 1, 0]
    here = now["assignment_attr"][:, EDGE["here"]] == 1.0
    assert sorted(map(tuple, now["assignment"][:, here].T.tolist())) == [(0, 0), (1, 1)]
    # after job 2 comes machine 0, which job 0 holds; waiting lasts until 9 by the estimates
    attributes = now["candidate_attr"]
    assert attributes[2, CANDIDATE["next_held"]] == 1.0 and attributes[2, CANDIDATE["leaves"]] == 0.0
    assert abs(attributes[3, CANDIDATE["start_delay"]] - 4 / (20 / 6) / 2) < 1e-6


def test_machines_show_that_they_are_down():
    instance = JobShopInstance("down", 1, np.array([[40], [40], [40]]), np.array([[0], [0], [0]]))
    simulation = begin(instance, uptime=20, repair=200, forced_moves=False)
    found = set()
    while not simulation.terminated.all():
        row = seen(simulation)["resource"][0]
        found.add((row[MACHINE["down"]], row[MACHINE["running"]]))
        assert row[MACHINE["down"]] == 0 or not simulation.mask[0, :3].any()
        simulation.step(simulation.mask.argmax(dim=1))
    assert found == {(0.0, 0.0)}  # nobody is asked while the only machine is down or busy


def test_swaps_show_how_many_take_part():
    routes = np.array([[0, 1], [1, 2], [2, 0]])
    instance = JobShopInstance("ring", 3, np.array([[2, 3], [2, 3], [2, 3]]), routes)
    simulation = begin(instance, buffers="swap", construction="wait", forced_moves=False)
    for job in range(3):
        simulation.step(torch.tensor([job]))
    assert simulation.mask.tolist() == [[0, 0, 0, 1, 0, 0, 0]]  # nothing else is to come, so no waiting
    now = seen(simulation)
    assert now["candidate"][3].tolist() == [0, 1] and now["candidate_attr"][3, CANDIDATE["swap"]] == 1.0
    assert now["context"][CONTEXT["held"]] == 1.0
    simulation.step(torch.tensor([3]))
    assert simulation.terminated.all() and int(simulation.outcome()["makespan"]) == 5
