"""VM rescheduling as the core sees it: sizes, the bank, what fits, and schedules read off the state."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import TASKS, Model, task_of
from dispatchgym.envs.vm.options import MOVES, Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def cluster(vms=((4, 0), (8, 1)), hosts=2, **more) -> VMInstance:
    """Hosts of 2 x 16 cores and 100 MB; VMs are (cores, node), of 1 MB each, double ones have a third number."""
    numas = [2 if len(vm) > 2 else 1 for vm in vms]
    capacity = [[16, 16]] * hosts, [[100, 100]] * hosts
    return VMInstance("hand", *capacity, [vm[0] for vm in vms], [1] * len(vms), numas, [vm[1] for vm in vms], **more)


def living(**more) -> VMInstance:
    return cluster(**{"horizon": 50, "departure": [20, 60], **more})


def waiting(**more) -> VMInstance:
    return cluster(((4, -1), (8, 1)), **more)


def test_what_is_asked_for_is_said_by_the_instance():
    assert [task_of(one) for one in (cluster(), living(), waiting())] == list(TASKS)
    for one, other in ((cluster(), living()), (living(), waiting()), (waiting(), cluster())):
        with pytest.raises(OptionError, match="instances to .* and to .* cannot be played together"):
            Model([one, other])


@pytest.mark.parametrize(
    "instance, clock, repeatable", [(cluster(), None, True), (living(), "now", False), (waiting(), None, True)]
)
def test_what_has_happened_in_time_cannot_be_taken_back(instance, clock, repeatable):
    model = Model([instance])
    assert (model.clock, model.repeatable, model.objective) == (clock, repeatable, "objective")


def test_macros_do_not_pack():
    with pytest.raises(OptionError, match="to pack, use moves class or vm"):
        Model([waiting()], Options(moves="macro"))


def test_sizes_are_the_largest_of_the_instances():
    instances = load_many(["plateau", "hosts-6:0", "affinity-5-20:0"], "vm")
    model = Model(instances)
    assert (model.hosts, model.vms) == (6, max(one.vms for one in instances)) and model.conflicts > 0
    assert Model(instances, Options(constraints=False)).conflicts == 0
    assert (model.spec.works, model.spec.resources, model.spec.edges) == (model.vms, 18, model.vms)
    two = Model(instances, Options(moves="vm")).spec
    assert (two.works, two.resources, two.edges) == (model.vms, 12, 2 * model.vms) and two.precedences == 0


@pytest.mark.parametrize(
    "options, actions",
    [
        ({}, 2 * 5 + 1), ({"choice": 3}, 4), ({"choice": 1}, 2), ({"moves": "macro", "choice": 7}, 8),
        ({"moves": "vm"}, 2 + 4 + 2), ({"moves": "vm", "choice": 1}, 2 + 4 + 2),
    ],
)  # fmt: skip
def test_actions_are_moves_and_to_stop(options, actions):
    """Of two VMs and four nodes; in two steps the VMs, the nodes, eviction."""
    model = Model([cluster()], Options(**options))
    assert model.actions == actions == model.spec.actions == model.sizes["action"]


def test_the_bank_by_hand():
    vms = ((4, 0), (8, 1), (12, 2, 2), (4, -1))
    more = {
        "priority": [3, 0, 3, 3],
        "movable": [True, False, True, True],
        "drained": [False, True, False],
        "rack": [0, 1, 1],
    }
    instance = cluster(vms, hosts=3, groups=[("rack", (0, 3)), ("host", (0, 1))], **more)
    row = {name: array[0].tolist() for name, array in Model([instance], Options(mnl=5)).pack([instance]).items()}
    assert (row["hosts"], row["vms"], row["horizon"], row["flavors"]) == (3, 4, 0, 3)
    assert row["need_cores"] == [4, 8, 6, 4] and row["need_memory"] == [1, 1, 1, 1] and row["doubled"] == [0, 0, 1, 0]
    assert row["start_node"] == [0, 1, 2, -1] and row["movable"] == [1, 0, 1, 1] and row["drained"] == [0, 1, 0]
    assert row["rack"] == [0, 1, 1] and row["level"] == [1, 0, 1, 1] and row["level_weight"] == [10, 100]
    assert row["flavor"][0] == row["flavor"][3] and len(set(row["flavor"])) == 3
    members = [row["member"][a:b] for a, b in zip(row["member_first"], row["member_first"][1:], strict=False)]
    assert sorted(map(tuple, members)) == [(0, 3), (1,), (2,)]
    assert row["conflict_first"] == [0, 2, 3, 3, 4] and row["conflict"] == [2 * 1, 2 * 3 + 1, 2 * 0, 2 * 0 + 1]
    free = Model([instance], Options(constraints=False)).pack([instance])
    assert free["movable"].all() and not free["drained"].any() and not free["conflict_first"].any()


def test_events_in_the_bank():
    vms = ((4, 0), (8, 1), (2, -1))
    instance = cluster(vms, horizon=50, departure=[20, 60, 49], arrival=[0, 0, 20])
    row = {name: array[0].tolist() for name, array in Model([instance]).pack([instance]).items()}
    assert row["events"] == 3 and row["event_time"] == [20, 20, 49] and row["event"] == [2 * 0, 2 * 2 + 1, 2 * 2]


def test_padding_of_the_bank():
    small, large = load_many(["plateau", "hosts-6:0"], "vm")
    alone, padded = (Model(instances).pack([small]) for instances in ([small], [small, large]))
    for name, array in alone.items():
        part = padded[name][tuple(slice(0, length) for length in array.shape)]
        assert (part == array).all() and padded[name].dtype == array.dtype
    assert padded["node_cores"].shape == (1, 12) and not padded["node_cores"][0, 4:].any()


@pytest.mark.parametrize(
    "one, other",
    [
        (cluster(), cluster(hosts=3)), (cluster(), cluster(((4, 0), (8, 1), (8, 2)))),
        (cluster(((4, 0), (4, 1))), cluster()), (cluster(), cluster(priority=[0, 1])),
        (cluster(), cluster(groups=[("host", (0, 1))])), (cluster(), living()),
        (living(), living(departure=[20, 30])), (waiting(), cluster(((4, -1), (8, -1)))), (waiting(), cluster()),
    ],
    ids=["hosts", "VMs", "flavors", "priorities", "conflicts", "time", "events", "unplaced", "nothing to place"],
)  # fmt: skip
def test_instances_that_do_not_fit_are_refused(one, other):
    model = Model([one])
    assert model.fits(one) and not model.fits(other)
    with pytest.raises(OptionError, match="instance hand does not fit an environment to .* of .* hosts"):
        model.pack([other])


def test_without_constraints_conflicts_take_no_room():
    model = Model([cluster()], Options(constraints=False))
    assert model.fits(cluster(groups=[("host", (0, 1))]))


@settings(max_examples=60)
@given(seeds, st.sampled_from(TASKS))
def test_places_suffice_and_episodes_end_within_the_horizon(random_cluster, random_vm_options, legal, seed, task):
    """The most moves that anybody makes, and the longest waiting for them."""
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task) for _ in range(4)]
    model = Model(instances, random_vm_options(rng, task, forced_moves=False))
    simulation, steps = Simulation(model, instances, 4, observe=False), 0
    simulation.reset()
    patience = rng.random() < 0.5
    while not simulation.terminated.all():
        open = simulation.mask[:, :-1]
        busy = torch.where(open.any(dim=1), legal(open, rng), model.actions - 1)
        simulation.step(legal(simulation.mask, rng) if patience else busy)
        steps += 1
        assert steps <= model.horizon
    assert int(simulation.engine.tensors["log_count"].max()) <= model.entries
    assert int(simulation.outcome()["decisions"].max()) <= model.horizon


def test_who_only_waits_ends_within_the_horizon():
    instances = load_many("churn-2-9:0", "vm")
    for moves in MOVES:
        model = Model(instances, Options(moves=moves, mnl=0 if moves == "vm" else 3, forced_moves=False))
        simulation, steps = Simulation(model, instances, 1, observe=False), 0
        simulation.reset()
        while not simulation.terminated[0]:
            simulation.step(torch.tensor([model.actions - 1]))
            steps += 1
        assert steps <= model.horizon and (moves == "vm" or steps > len(instances[0].cores) // 2)


def test_instances_of_a_key_share_a_simulation_with_little_padding():
    key = Model.size_key
    names = ["hosts-30:0", "hosts-30:1", "hosts-100:0", "churn-4-20:0", "pods-8x4:0"]
    keys = [key(one) for one in load_many(names, "vm")]
    assert keys[0][0] == "reschedule" and len({keys[0], *keys[2:]}) == 4 and keys[0][:2] == keys[1][:2]
    assert key(cluster()) != key(living()) != key(waiting())
    assert key(waiting(priority=[0, 1])) != key(waiting()) == key(waiting(priority=[2, 2]))
    Model([one for one in load_many("medium:0-3", "vm")])  # and such as one would train on go together


def test_schedules_are_read_off_the_state():
    instance = cluster()
    simulation = Simulation(Model([instance], Options(moves="vm", mnl=4, forced_moves=False)), [instance], 1, seed=9)
    simulation.reset()
    assert simulation.schedule().entries.shape == (0, 5)
    for action in (0, 2 + 3, 1, 2 + 0):
        simulation.step(torch.tensor([action]))
    schedule = simulation.schedule()
    assert schedule.entries.tolist() == [[0, 0, 3, 0, 0], [1, 1, 0, 1, 1]] and schedule.entries.dtype == np.int64
    assert schedule.violations() == [] and schedule.instance is instance
    assert schedule.conditions == {
        "mnl": 4, "weight_64": 0, "weight_memory": 0, "migration_cost": 0.0, "constraints": True, "latency": 0,
        "copy_rate": 0,
    }  # fmt: skip
    assert simulation.outcome().keys() == {"objective", "migrations", "stale_moves", "rejected", "decisions"}
    assert torch.equal(simulation.clock, simulation.engine.tensors["steps"])


@pytest.mark.parametrize("cost", [0.0, 1e-9, 0.123456789, 1.0])
def test_the_cost_is_counted_in_billionths(cost):
    assert Model([cluster()], Options(migration_cost=cost)).settings["cost"] == round(cost * 10**9)
