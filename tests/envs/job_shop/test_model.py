"""The job shop as the core sees it: sizes, the bank and schedules read off the state."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.cp_sat import lower_bound
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.instances.catalogue import load_many


def shop(duration, machine, machines=2, release=None) -> JobShopInstance:
    return JobShopInstance("hand", machines, np.array(duration), np.array(machine), release)


def test_options_have_the_widths_they_name():
    assert [Options(c).delta for c in ("non-delay", "active", "insertion", 0.25, "0.25", 1, np.float64(0.5))] == [
        0.0, 1.0, None, 0.25, 0.25, 1.0, 0.5,
    ]  # fmt: skip
    assert Model(load_many("4x3:0"), Options(0.25)).settings["delta"] == 250_000


def test_sizes_are_the_largest_of_the_instances():
    model = Model(load_many(["4x3:0", "3x5:0"]))
    assert (model.jobs, model.machines, model.route) == (4, 5, 5) and model.horizon == 15
    assert (model.spec.works, model.spec.resources, model.spec.edges, model.spec.actions) == (4, 5, 20, 4)
    graph = Model(load_many(["4x3:0", "3x5:0"]), Options(observation="operations")).spec
    assert (graph.works, graph.resources, graph.edges, graph.precedences) == (20, 5, 20, 40)


def test_the_bank_by_hand():
    one = shop([[3, 5, 0], [4, 0, 2]], [[0, 1, -1], [1, 0, 1]], release=np.array([2, 0]))
    row = {name: array[0] for name, array in Model([one]).pack([one]).items()}
    assert row["operations"].tolist() == [2, 3] and row["work_content"].tolist() == [8, 6]
    # load, operations, head and tail of either machine
    assert row["of_machine"].tolist() == [[3, 2, 2, 2], [11, 3, 0, 0]]
    # the job of 8 that is released at 2, or machine 1: nothing before, 11, nothing after
    assert row["initial_bound"] == 11 and row["worst_makespan"] == 16
    assert row["machine"].tolist() == [[0, 1, -1], [1, 0, 1]]
    assert row["means"].tolist() == [np.float32(14 / 5), 1.0, 0.0]


def test_every_bound_is_that_of_taillard(random_shop):
    rng = np.random.default_rng(0)
    for instance in [random_shop(rng, shortest=1) for _ in range(100)] + load_many(["ft", "la", "ta01-20"]):
        packed = Model([instance]).pack([instance])
        assert packed["initial_bound"][0] == lower_bound(instance) <= packed["worst_makespan"][0]


def test_padding_of_the_bank():
    small, large = load_many(["3x2:0", "4x3:0"])
    packed = Model([small, large]).pack([small])
    assert packed["jobs"][0] == 3 and packed["machines"][0] == 2
    assert (packed["machine"][0, 3:] == -1).all() and (packed["machine"][0, :, 2:] == -1).all()
    for name in ("duration", "operations", "release", "work_content", "of_machine"):
        assert packed[name].sum() == Model([small]).pack([small])[name].sum()


@pytest.mark.parametrize(
    "other",
    [
        shop([[1, 1]] * 3, [[0, 1]] * 3),  # more jobs
        shop([[1, 1, 1]] * 2, [[0, 1, 2]] * 2, machines=3),  # more machines
        shop([[1, 1, 1]] * 2, [[0, 1, 0]] * 2),  # longer routes
        shop([[1, 1]] * 2, [[0, 0]] * 2),  # a machine visited again, where each has one edge for each job
    ],
)
def test_instances_that_do_not_fit_are_refused(other):
    model = Model([shop([[1, 1]] * 2, [[0, 1]] * 2)])
    with pytest.raises(OptionError, match="hand.*does not fit.*2 jobs, 2 machines"):
        model.pack([other])


def test_longer_queues_do_not_fit_where_order_is_kept():
    """With insertion a machine's timeline has one place for each of its operations."""
    even, crowded = shop([[1, 1], [1, 1]], [[0, 1], [1, 0]]), shop([[1, 1], [1, 1]], [[0, 0], [0, 1]])
    model = Model([even, shop([[1], [1]], [[0], [0]])], Options("insertion"))
    with pytest.raises(OptionError, match="does not fit"):
        model.pack([crowded])


def test_instances_of_a_key_share_a_simulation_without_padding():
    key = Model.size_key
    assert len({key(instance) for instance in load_many("4x3:0-3")}) == 1
    assert key(shop([[1, 1]], [[0, 1]])) != key(shop([[1, 1]], [[0, 0]]))
    assert len(set(map(key, load_many(["4x3:0", "3x4:0", "4x4:0"])))) == 3


def test_schedules_are_read_off_the_state():
    one = shop([[3, 5], [4, 2]], [[0, 1], [1, 0]])
    simulation = Simulation(Model([one], Options("insertion", False)), [one], 1)
    simulation.reset()
    assert len(simulation.schedule()) == 0
    for action in (1, 0, 0):
        simulation.step(torch.tensor([action]))
    assert simulation.schedule().entries.tolist() == [[0, 0, 0, 0, 3], [0, 1, 1, 4, 9], [1, 0, 1, 0, 4]]
    simulation.step(torch.tensor([1]))
    assert simulation.schedule().entries[-1].tolist() == [1, 1, 0, 4, 6] and simulation.terminated[0]
