"""The flexible job shop as the core sees it: sizes, the bank and schedules read off the state."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.flexible_job_shop_cp_sat import lower_bound
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance
from dispatchgym.envs.flexible_job_shop.model import Model
from dispatchgym.envs.flexible_job_shop.options import Options
from dispatchgym.instances.catalogue import load_many


def shop(times, release=None) -> FlexibleJobShopInstance:
    return FlexibleJobShopInstance("hand", np.array(times), release)


HAND = [[[3, -1], [5, 2], [-1, -1]], [[-1, 4], [6, 6], [1, -1]]]


def test_options_have_the_widths_they_name():
    values = ("non-delay", "active", "wait", 0.25, "0.25", 1, np.float64(0.5))
    assert [Options(value).delta for value in values] == [0.0, 1.0, 0.0, 0.25, 0.25, 1.0, 0.5]
    assert [Options(value).waits for value in values[:4]] == [False, False, True, False]
    for value in ("insertion", True, -0.1, 1.1, None, "nan"):
        with pytest.raises(OptionError, match="construction must be non-delay, active, wait or a number"):
            Options(value)
    with pytest.raises(OptionError, match="forced_moves"):
        Options(forced_moves="perhaps")


def test_sizes_are_the_largest_of_the_instances():
    model = Model([shop(HAND), shop(np.ones((3, 5, 4), int))])
    assert (model.jobs, model.machines, model.route) == (3, 4, 6) and model.horizon == 18
    spec = model.spec
    assert (spec.works, spec.resources, spec.edges, spec.actions, spec.complete) == (3, 4, 12, 12, True)
    waiting = Model([shop(HAND)], Options("wait"))
    assert waiting.spec.actions == 5 and waiting.horizon == 14
    assert waiting.spec.candidate[-1].name == "wait" and len(waiting.spec.candidate) == len(spec.candidate) + 1


def test_the_bank_by_hand():
    one = shop(HAND, np.array([2, 0]))
    row = {name: array[0] for name, array in Model([one]).pack([one]).items()}
    assert row["operations"].tolist() == [2, 3] and row["release"].tolist() == [2, 0]
    # shortest, shortest and mean from here on, only machine, number of machines
    assert row["ahead"][0].tolist()[:2] == [[3, 5, 6, 0, 1], [2, 2, 4, -1, 2]]
    assert row["ahead"][1].tolist() == [[4, 11, 11, 1, 1], [6, 7, 7, -1, 2], [1, 1, 1, 0, 1]]
    assert row["later_count"][1].tolist() == [[2, 1], [1, 0], [0, 0]]
    assert row["later_share"][1].tolist() == [[4, 3], [1, 0], [0, 0]]
    # machine 0 alone runs 3 and 1, machine 1 alone 4; after them 2 and 0, or 7
    assert row["alone"].tolist() == [[4, 2], [4, 1]] and row["least_tail"].tolist() == [0, 7]
    # jobs of 2 + 5 and 11, work of 16 on two machines, machine 1: 0 + 4 + 7
    assert row["initial_bound"] == 11 and row["initial_energy"] == 16
    assert row["worst_makespan"] == 2 + 3 + 5 + 4 + 6 + 1
    assert row["mean_time"] == np.float32((3 + 3.5 + 4 + 6 + 1) / 5)


def test_bounds_at_the_start(random_flexible_shop):
    rng, larger = np.random.default_rng(0), 0
    for one in [random_flexible_shop(rng) for _ in range(80)]:
        packed = Model([one]).pack([one])
        assert lower_bound(one) <= packed["initial_bound"][0] <= packed["worst_makespan"][0]
        larger += lower_bound(one) < packed["initial_bound"][0]
    assert larger > 5


def test_padding_of_the_bank():
    small, large = load_many(["sd2-2x2:0", "sd1-4x3:0"], "flexible_job_shop")
    packed = Model([small, large]).pack([small])
    assert packed["jobs"][0] == 2 and packed["machines"][0] == 2
    assert (packed["duration"][0, 2:] == -1).all() and (packed["duration"][0, :, :, 2:] == -1).all()
    for name in ("ahead", "later_share", "operations", "alone"):
        assert packed[name].sum() == Model([small]).pack([small])[name].sum()


@pytest.mark.parametrize("other", [np.ones((3, 2, 2), int), np.ones((2, 2, 3), int), np.ones((2, 5, 2), int)])
def test_instances_that_do_not_fit_are_refused(other):
    model = Model([shop(HAND)])
    assert not model.fits(shop(other))
    with pytest.raises(OptionError, match="hand.*does not fit.*2 jobs, 2 machines"):
        model.pack([shop(other)])


def test_instances_of_a_key_share_a_simulation():
    keys = [Model.size_key(one) for one in load_many("sd1-10x5:0-29", "flexible_job_shop")]
    assert set(keys) == {(10, 5, 6)}
    assert Model.size_key(shop(HAND)) != Model.size_key(shop(np.ones((2, 3, 3), int)))


def test_schedules_are_read_off_the_state():
    one = shop(HAND)
    simulation = Simulation(Model([one], Options("active", False)), [one], 1)
    simulation.reset()
    assert len(simulation.schedule()) == 0
    for action in (0, 3, 1, 2):  # pairs (0, 0), (1, 1), (0, 1) and (1, 0)
        simulation.step(torch.tensor([action]))
    assert simulation.schedule().entries.tolist() == [
        [0, 0, 0, 0, 3],
        [0, 1, 1, 4, 6],
        [1, 0, 1, 0, 4],
        [1, 1, 0, 4, 10],
    ]
    simulation.step(torch.tensor([2]))
    assert simulation.schedule().entries[-1].tolist() == [1, 2, 0, 10, 11] and simulation.terminated[0]
