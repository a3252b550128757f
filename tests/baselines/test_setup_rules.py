"""Rules with setup times, against their formulas at every decision."""

import math

import numpy as np
import pytest
import torch

from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Limits, applies, solve
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.options import Options
from dispatchgym.instances.catalogue import load_many


def sst(shop, job, time, setup, legal):
    return setup[job]


def sspt(shop, job, time, setup, legal):
    return setup[job] + int(shop.duration[job, 0])


def atcs(shop, job, time, setup, legal):
    """The index as it is printed, on one machine."""
    length = shop.duration[:, 0]
    slack = max(int(shop.due[job]) - int(length[job]) - time, 0)
    look_ahead = 4.0 * np.mean([length[j] for j in legal])
    scale = 1.0 * max(np.mean([setup[j] for j in legal]), 1.0)
    return -math.exp(-slack / look_ahead) * math.exp(-setup[job] / scale) * int(shop.weight[job]) / int(length[job])


@pytest.mark.parametrize("name, key", [("sst", sst), ("sspt", sspt), ("atcs", atcs)])
def test_rules_take_the_least_key_of_the_jobs_that_wait(name, key):
    shops = load_many(["setup-weighted-single-8:0-5"], "job_shop")
    for shop in shops:
        simulation = Simulation(Model([shop], Options("non-delay", False)), [shop], 1)
        simulation.reset()
        last, time, generator = None, 0, torch.Generator()
        explore = torch.zeros(1, dtype=torch.bool)
        while not simulation.terminated[0]:
            legal = simulation.mask[0].nonzero().flatten().tolist()
            row = 0 if last is None else 1 + shop.setup_family[last]
            setup = shop.setup[0, row, shop.setup_family].tolist()
            keys = {job: key(shop, job, time, setup, legal) for job in legal}
            last = int(POLICIES[name].act(simulation, generator, explore))
            assert keys[last] <= min(keys.values()) + 1e-12
            simulation.step(torch.tensor([last]))
            time += setup[last] + int(shop.duration[last, 0])
        assert simulation.outcome()["makespan"][0] == time


def test_rules_apply_where_there_is_something_to_read():
    plain, timed, dated = (load_many([n], "job_shop") for n in ("4x3:0", "setup-4x3:0", "setup-tardiness-4x3:0"))
    for name, where in (("sst", [timed, dated]), ("sspt", [timed, dated]), ("atcs", [dated])):
        for shops in (plain, timed, dated):
            assert applies(POLICIES[name], shops, Limits()) == (shops in where)
    for name, shops, words in (("sst", plain, "setup times"), ("atcs", timed, "due dates")):
        with pytest.raises(OptionError, match=f"needs {words}, which .* has not"):
            solve(POLICIES[name], shops, Limits())


def test_setups_make_them_better_than_rules_that_do_not_know_them():
    shops = load_many(["setup-weighted-single-20:0-19"], "job_shop")
    mean = {}
    for name in ("atc", "atcs", "sst", "wspt"):
        answers = solve(POLICIES[name], shops, Limits())
        mean[name] = np.mean([a.schedule.metrics()[s.objective] for a, s in zip(answers, shops, strict=True)])
    assert mean["atcs"] < 0.8 * min(mean["atc"], mean["sst"], mean["wspt"])
