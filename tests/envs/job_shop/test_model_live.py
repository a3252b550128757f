"""The live job shop as the core sees it: which program runs, what is refused, schedules and their conditions."""

import numpy as np
import pytest
import torch

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import PROGRAMS, Model, Options
from dispatchgym.envs.job_shop.model_live import PROGRAM, LiveModel
from dispatchgym.envs.job_shop.world import actual_times
from dispatchgym.instances.catalogue import load_many


def test_options_choose_the_program():
    shops = load_many("4x3:0")
    for options in (None, Options(), Options("wait", safety=False)):
        assert type(Model(shops, options)) is Model and Model(shops, options).program is PROGRAMS["jobs"]
    for given in ({"buffers": "swap"}, {"noise": "gamma"}, {"reveal": True}, {"uptime": 900, "repair": 9}):
        model = Model(shops, Options(**given))
        assert type(model) is LiveModel and model.program is PROGRAM
        assert model.repeatable == ("buffers" in given) and model.clock == "time"
        assert model.actions == 4 + 3 * (given.get("buffers") == "swap") + 1


def test_the_worst_makespan_by_hand():
    shop = JobShopInstance("hand", 2, np.array([[3, 5], [4, 2]]), np.array([[0, 1], [1, 0]]), np.array([2, 0]))
    worst = {
        options: int(Model([shop], options).pack([shop])["worst_makespan"][0])
        for options in (Options(buffers="none"), Options(noise="gaussian", sigma=4.0), Options(uptime=100, repair=50))
    }
    # 14 of work after 2; 8 times that, each rounded up; twice 14 * 1.5 and twice a mean shutdown of 1.5
    assert list(worst.values()) == [16, 2 + 8 * 14 + 4, 2 + 42 + 3]


def test_worlds_in_which_nothing_would_be_completed_are_refused():
    long = JobShopInstance("long", 1, np.array([[1], [1], [100]]), np.array([[0], [0], [0]]))
    with pytest.raises(OptionError, match="may last 100, and begins anew after 17 on average"):
        Model([long], Options(uptime=50, repair=5, interrupted="restart")).pack([long])
    Model([long], Options(uptime=50, repair=5)).pack([long])
    huge = JobShopInstance("huge", 1, np.array([[2**27]]), np.array([[0]]))
    with pytest.raises(OptionError, match="huge could last"):
        Model([huge], Options(noise="lognormal", sigma=4.0)).pack([huge])


def finish(simulation: Simulation, legal) -> None:
    rng = np.random.default_rng(0)
    simulation.reset()
    while not simulation.terminated.all():
        simulation.step(legal(simulation.mask, rng))


def test_schedules_carry_their_conditions(legal):
    shops = load_many("4x3:0-1")
    options = Options(buffers="swap", noise="gamma", sigma=0.25, uptime=900, repair=30)
    simulation = Simulation(Model(shops, options), shops, 2, seed=9, worlds=[4, 70])
    finish(simulation, legal)
    expected = {
        "buffers": "swap", "uptime": 900, "repair": 30, "interrupted": "resume", "noise": "gamma", "sigma": 0.25,
        "seed": 9, "episode": 0,
    }  # fmt: skip
    for world, schedule in zip((4, 70), simulation.schedules(), strict=True):
        assert schedule.conditions == expected | {"world": world}
        actual = actual_times(schedule.instance, "gamma", 0.25, 9, world, 0)
        for job, step in np.ndindex(actual.shape):
            own = schedule.entries[(schedule.column("work") == job) & (schedule.column("step") == step)]
            assert (own[:, 4] - own[:, 3]).sum() == actual[job, step]


def test_every_episode_is_another_world_and_the_seed_brings_it_back(legal):
    shops = load_many("6x6:0")
    simulation = Simulation(Model(shops, Options(noise="gamma", sigma=0.3, construction="non-delay")), shops, 1, seed=1)
    seen = []
    for seed in (1, 2, 1):
        simulation.reseed(seed)
        finish(simulation, legal)
        seen.append(simulation.schedule().entries.tolist())
    assert seen[0] == seen[2] != seen[1]
    simulation.restart()
    assert simulation.schedule().conditions["episode"] == 1


def test_an_illegal_action_counts_as_the_worst(legal):
    shops = load_many("4x3:0")
    simulation = Simulation(Model(shops, Options(buffers="none")), shops, 1)
    simulation.reset()
    simulation.step(torch.tensor([-1]))
    assert simulation.illegal.all() and simulation.terminated.all() and not simulation.outcome()["deadlock"].any()
    assert int(simulation.outcome()["makespan"]) == shops[0].total_work
    initial = int(simulation.model.pack(shops)["initial_bound"][0])
    assert float(simulation.reward) == pytest.approx(1 - shops[0].total_work / initial)
