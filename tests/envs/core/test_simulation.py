"""Simulations: banks, groups and the way from one episode to the next."""

import numpy as np
import pytest
import torch

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.instances.catalogue import load_many


@pytest.fixture
def shops():
    return load_many("4x3:0-4")


def play(simulation, legal, steps, seed=0):
    rng = np.random.default_rng(seed)
    simulation.reset()
    for _ in range(steps):
        simulation.step(legal(simulation.mask, rng))


def test_leaving_the_observation_out_changes_nothing_else(shops, legal):
    model = Model(shops, Options("insertion", False, "operations"))
    seeing, blind = (Simulation(model, shops, 8, observe=observe) for observe in (True, False))
    assert seeing.observation and not blind.observation
    for simulation in (seeing, blind):
        play(simulation, legal, 6)
        simulation.step(torch.full((8,), -1))
        simulation.restart()
    for name in (*model.columns, *model.outcome.values(), "start", "reward", "episode", "action_mask"):
        assert torch.equal(seeing.engine.tensors[name], blind.engine.tensors[name])
    assert blind.engine.tensors["work"].numel() == 0


def test_episodes_that_ended_stand_still_until_the_restart(shops, legal):
    simulation = Simulation(Model(shops), shops, 5)
    play(simulation, legal, 12)
    assert simulation.terminated.all()
    entries = [schedule.entries for schedule in simulation.schedules()]
    simulation.step(torch.zeros(5, dtype=torch.int64))
    assert not simulation.reward.any() and not simulation.illegal.any()
    assert all((a == b.entries).all() for a, b in zip(entries, simulation.schedules(), strict=True))
    simulation.restart()
    assert not simulation.terminated.any() and simulation.mask.any(dim=1).all()
    assert (simulation.engine.tensors["episode"] == 1).all()


def test_restart_all_begins_anew_everywhere(shops, legal):
    simulation = Simulation(Model(shops), shops, 3)
    play(simulation, legal, 2)
    simulation.restart_all()
    assert simulation.engine.tensors["instance"].tolist() == [3, 4, 0]
    assert not simulation.engine.tensors["steps"].any() and not simulation.terminated.any()


def test_schedules_are_those_of_each_environment(shops, legal):
    simulation = Simulation(Model(shops), shops, 7, group=2)
    play(simulation, legal, 4)
    for place, schedule in enumerate(simulation.schedules()):
        assert schedule.instance is simulation.instance_of(place) is shops[place // 2]
        assert (schedule.entries == simulation.schedule(place).entries).all()
        assert 0 < len(schedule) < 12 or simulation.terminated[place]
        assert {violation.rule for violation in schedule.violations()} <= {"completeness"}


def test_a_bank_is_replaced_as_a_whole(shops, legal):
    others = load_many("4x3:10-14")
    simulation = Simulation(Model(shops), shops, 5)
    simulation.load(others)
    play(simulation, legal, 12)
    assert all(
        s.instance is other and s.violations() == [] for s, other in zip(simulation.schedules(), others, strict=True)
    )
    with pytest.raises(OptionError, match="bank holds 5 instances, got 4"):
        simulation.load(others[:4])
    with pytest.raises(OptionError, match="does not fit"):
        simulation.load([*others[:4], load_many("5x3:0")[0]])
    assert simulation.instances == others


def test_a_new_seed_takes_effect_with_the_next_reset(shops):
    simulation = Simulation(Model(shops), shops, 64, seed=1, shuffled=True)
    drawn = []
    for seed in (None, 2, 1, 2**31 + 1, -1):
        if seed is not None:
            simulation.reseed(seed)
        simulation.reset()
        drawn.append(simulation.engine.tensors["instance"].tolist())
    assert drawn[0] == drawn[2] and drawn[1] != drawn[0] != drawn[4]


@pytest.mark.parametrize("num_envs, group", [(0, 1), (-1, 1), (2, 0), (2, -1)])
def test_numbers_below_one_are_refused(shops, num_envs, group):
    with pytest.raises(OptionError, match=f"got {num_envs} and {group}"):
        Simulation(Model(shops), shops, num_envs, group=group)


def test_an_empty_bank_is_refused(shops):
    with pytest.raises(OptionError, match="at least one instance"):
        Simulation(Model(shops), [], 2)


@pytest.mark.parametrize(
    "actions",
    [torch.tensor(0), torch.tensor([0]), torch.zeros(3), torch.zeros(2), torch.zeros(2, 1, dtype=torch.int64)],
)
def test_actions_of_another_form_are_refused(shops, actions):
    simulation = Simulation(Model(shops), shops, 2)
    simulation.reset()
    with pytest.raises(OptionError, match="integers of shape \\(2,\\)"):
        simulation.step(actions)
    assert not simulation.engine.tensors["steps"].any()


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8])
def test_every_integer_will_do(shops, dtype):
    simulation = Simulation(Model(shops), shops, 2)
    simulation.reset()
    simulation.step(simulation.mask.argmax(dim=1).to(dtype))
    assert not simulation.illegal.any() and (simulation.engine.tensors["steps"] == 1).all()
