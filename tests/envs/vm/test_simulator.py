"""What the simulator promises whatever is to be done: feasible schedules, their figures, rewards, and edge cases."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.vm import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.generator import draw_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import TASKS, Model
from dispatchgym.envs.vm.options import MOVES, Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def begin(instances, num_envs=None, **options) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    simulation = Simulation(Model(instances, Options(**options)), instances, num_envs or len(instances))
    simulation.reset()
    return simulation


def random_end(simulation, legal, rng) -> Simulation:
    """Random legal actions to the end."""
    for _ in range(simulation.model.horizon + 1):
        if simulation.terminated.all():
            break
        simulation.step(legal(simulation.mask, rng))
    assert simulation.terminated.all() and not simulation.illegal.any()
    return simulation


def restless(simulation, legal, rng) -> torch.Tensor:
    """Random legal actions, to stop only where there is nothing else."""
    moves = simulation.mask[:, :-1]
    return torch.where(moves.any(dim=1), legal(moves, rng), simulation.model.actions - 1)


def figures(simulation, place) -> dict[str, int]:
    return {name: int(values[place]) for name, values in simulation.outcome().items()}


def agree(found: dict, schedule) -> None:
    """The simulator's figures are those of the validator; rates are kept in billionths, each part rounded down."""
    assert schedule.violations() == []
    metrics, name = schedule.metrics(), schedule.instance.objective
    assert found["migrations"] == metrics["migrations"]
    if name == "penalty":
        assert found["objective"] == metrics["penalty"]
    else:
        assert -4 < found["objective"] - metrics[name] * 1e9 < 1
    if schedule.instance.dynamic:
        assert (found["stale_moves"], found["rejected"]) == (metrics["stale_moves"], metrics["rejected"])
        assert len(schedule) == metrics["stale_moves"] + metrics["migrations"]


@settings(max_examples=120)
@given(seeds, st.sampled_from(TASKS))
def test_random_policies_make_feasible_schedules_of_known_worth(
    random_cluster, random_vm_options, legal, seed, task
):  # fmt: skip
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task) for _ in range(4)]
    simulation = Simulation(Model(instances, random_vm_options(rng, task)), instances, 8)
    simulation.reset()
    random_end(simulation, legal, rng)
    for place, schedule in enumerate(simulation.schedules()):
        agree(figures(simulation, place), schedule)
        assert len(schedule) <= simulation.model.entries


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize(
    "names", [["hosts-6:0-1", "affinity-5-20:0"], ["churn-4-20:0"], ["pods-8x4:0-1", "pods-3x9:0"]], ids=TASKS
)
def test_so_do_policies_on_presets(legal, names, moves):
    if names[0].startswith("pods") and moves == "macro":
        return  # there are none
    instances, rng, migrations = load_many(names, "vm"), np.random.default_rng(0), 0
    for more in ({}, {"weight_64": 30, "weight_memory": 20, "migration_cost": 0.001, "latency": 900, "copy_rate": 900}):
        simulation = begin(instances, 6, moves=moves, mnl=30, **more)
        while not simulation.terminated.all():
            simulation.step(restless(simulation, legal, rng))
        for place, schedule in enumerate(simulation.schedules()):
            agree(figures(simulation, place), schedule)
        migrations += int(simulation.outcome()["migrations"].sum())
    assert migrations > 5


# ---------------------------------------------------------------------- rewards


@pytest.mark.parametrize("moves", MOVES)
def test_rewards_are_decreases_of_the_fragments_in_slots_exactly(recount, random_cluster, legal, moves):
    """Of FR-16; those of moves that are forced at the reset come with the first step."""
    rng, seen = np.random.default_rng(3), set()
    instances = [random_cluster(rng, "reschedule", hosts=5) for _ in range(12)]
    simulation = begin(instances, moves=moves, mnl=30)
    first = [int((instance.free_cores % 16).sum()) for instance in instances]
    before, total = np.array(first), np.zeros(12)
    while not simulation.terminated.all():
        simulation.step(legal(simulation.mask, rng))
        now = np.array([recount.Seen(simulation, place).count.parts()[0] for place in range(12)])
        assert (simulation.reward.numpy() == (before - now) / 16).all()
        seen |= set(simulation.reward.tolist())
        before, total = now, total + simulation.reward.numpy()
    assert (total == (np.array(first) - before) / 16).all() and len(seen) > 1


@settings(max_examples=60)
@given(seeds, st.sampled_from(TASKS))
def test_returns_are_what_was_gained(random_cluster, random_vm_options, legal, seed, task):
    """Rates: their decrease, and means over time: minus them, in slots of what was free. Penalties: by the highest."""
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task, hosts=3) for _ in range(6)]
    simulation = Simulation(Model(instances, random_vm_options(rng, task)), instances, 6)
    simulation.reset()
    total = np.zeros(6)
    while True:
        over = bool(simulation.terminated.all())
        simulation.step(legal(simulation.mask, rng))
        total += simulation.reward.numpy()
        if over:
            break
    assert not simulation.reward.any() or not simulation.outcome()["decisions"].all()
    for place, schedule in enumerate(simulation.schedules()):
        metrics, instance = schedule.metrics(), schedule.instance
        slots = int(instance.free_cores.sum()) / 16
        expected = -metrics.get("mean_fragment_rate", 0) * slots
        if task == "reschedule":
            expected = (metrics["fr_initial"] - metrics["fragment_rate"]) * slots
        if task == "pack":
            base = instance.vms + simulation.model.options.mnl + 1
            levels = np.unique(instance.priority)
            waiting = instance.priority[instance.node < 0].tolist()
            start = sum(base ** (levels.tolist().index(priority) + 1) for priority in waiting)
            expected = (start - metrics["penalty"]) / base ** len(levels)
        assert total[place] == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(max_examples=40)
@given(seeds, st.sampled_from(TASKS))
def test_an_illegal_action_is_worth_less_than_anything_legal(random_cluster, random_vm_options, legal, seed, task):
    rng = np.random.default_rng(seed)
    instance = random_cluster(rng, task, hosts=3)
    model = Model([instance], random_vm_options(rng, task))
    simulation = Simulation(model, [instance], 12)
    simulation.reset()
    if simulation.terminated.any():
        return
    total, closed = np.zeros(12), (simulation.mask[0] == 0).nonzero().flatten().tolist()
    wrong = [-1, model.actions, 2**31 - 1, rng.choice(closed) if closed else -7]
    for step in range(model.horizon + 1):
        actions = legal(simulation.mask, rng)
        for place, action in enumerate(wrong):
            actions[place] = action if step == 2 * place else actions[place]
        simulation.step(actions)
        total += simulation.reward.numpy()
    assert simulation.terminated.all() and simulation.illegal[0] == 1 and not simulation.illegal[4:].any()
    for place in range(4):
        if simulation.illegal[place]:
            assert total[place] <= total[4:].min() + 1e-5 and simulation.mask[place].sum() == 0
            assert int(simulation.outcome()["objective"][place]) >= int(simulation.outcome()["objective"][4:].max())


# ---------------------------------------------------------------------- what is kept


@pytest.mark.parametrize("moves", ["class", "vm"])
def test_what_is_kept_is_what_can_be_counted_after_ten_thousand_moves(recount, random_cluster, legal, moves):
    rng, steps = np.random.default_rng(5), 0
    instances = [random_cluster(rng, "reschedule", hosts=4) for _ in range(8)]
    simulation = begin(instances, moves=moves, mnl=10_000)
    while int(simulation.outcome()["migrations"].sum()) < 10_000 and not simulation.terminated.all():
        simulation.step(restless(simulation, legal, rng))
        steps += 1
        if steps % 12 == 0:
            recount.Seen(simulation, steps // 12 % 8).check()
    assert int(simulation.outcome()["migrations"].sum()) >= 10_000
    for place in range(8):
        recount.Seen(simulation, place).check()
        agree(figures(simulation, place), simulation.schedule(place))


@pytest.mark.parametrize("weights", [{}, {"weight_64": 100}, {"weight_64": 30, "weight_memory": 30}], ids=str)
def test_so_it_is_after_ten_thousand_moves_of_macros(recount, random_cluster, legal, weights):
    """Every macro frees something, so there are few in a row: many clusters are played."""
    rng, moves = np.random.default_rng(5), 0
    while moves < 3400:
        instances = [random_cluster(rng, "reschedule", hosts=6) for _ in range(4)]
        instances += [draw_instance("small", rng) for _ in range(28)]
        simulation = begin(instances, moves="macro", choice=64, **weights)
        while not simulation.terminated.all():
            simulation.step(restless(simulation, legal, rng))
        moves += int(simulation.outcome()["migrations"].sum())
        for place in (*range(4), *rng.integers(4, 32, 3)):
            recount.Seen(simulation, place).check()


@pytest.mark.parametrize("moves", ["class", "vm"])
def test_a_cluster_that_lives_for_no_change_is_a_snapshot(random_cluster, legal, moves):
    """Without arrivals, departures, latency and copies everything is the same, step for step, but for the reward.

    Not of macros, of which only the first move is made where time runs.
    """
    rng = np.random.default_rng(1)
    still = [random_cluster(rng, "reschedule", hosts=4) for _ in range(10)]
    columns = (
        "node_cores",
        "node_memory",
        "cores",
        "memory",
        "numas",
        "node",
        "movable",
        "priority",
        "rack",
        "drained",
    )
    lively = [
        VMInstance("lively", *(getattr(one, name) for name in columns[:6]), groups=one.groups, horizon=int(time),
                   **{name: getattr(one, name) for name in columns[6:]})
        for one, time in zip(still, rng.integers(1, 2**30, 10), strict=True)
    ]  # fmt: skip
    other = {"task", "horizon", "reward", "rewarded", "log_start", "log_end", "objective", "integral", "now", "context"}
    other |= {"copied_to", "copied_at", "changed"}  # the last: hosts to look at, in another order
    for more in ({}, {"weight_64": 40, "weight_memory": 10}, {"forced_moves": False, "choice": 3}):
        one, two = (begin(instances, moves=moves, mnl=7, migration_cost=0.01, **more) for instances in (still, lively))
        names = [name for name in one.engine.tensors if name not in other]
        while not one.terminated.all():
            assert [n for n in names if not torch.equal(one.engine.tensors[n], two.engine.tensors[n])] == []
            seen = [simulation.observation["context"] for simulation in (one, two)]
            assert [
                k for k in range(seen[0].shape[1]) if k != 7 and not torch.equal(seen[0][:, k], seen[1][:, k])
            ] == []
            actions = legal(one.mask, rng)
            one.step(actions)
            two.step(actions)
        assert [n for n in names if not torch.equal(one.engine.tensors[n], two.engine.tensors[n])] == []
        assert torch.equal(one.outcome()["objective"], two.outcome()["objective"])


# ---------------------------------------------------------------------- edges


def host(cores=(44, 44), vms=((4, 0), (8, 1)), memory=99_999, hosts=1, **more) -> VMInstance:
    """Hosts that are alike; VMs are (cores, node), of 1000 MB each, double ones have a third number."""
    numas = [2 if len(vm) > 2 else 1 for vm in vms]
    capacity = [list(cores)] * hosts, [[memory, memory]] * hosts
    return VMInstance("hand", *capacity, [vm[0] for vm in vms], [1000] * len(vms), numas, [vm[1] for vm in vms], **more)


HOPELESS = {
    "no moves left": (host(hosts=2), {"mnl": 0}),
    "one node without room": (host(cores=(4, 8)), {}),
    "a double on one host": (host(vms=((8, 0, 2),)), {}),
    "all pinned": (host(hosts=2, movable=[False, False]), {}),
    "all drained": (host(hosts=2, drained=[True, True]), {}),
    "kept apart": (host(hosts=1, vms=((4, 0), (8, 1)), groups=[("host", (0, 1))]), {}),
    "kept apart by rack": (host(hosts=3, vms=((4, 0), (8, 2)), groups=[("rack", (0, 1))]), {}),
    "no memory": (host(hosts=2, memory=1000, vms=((4, 0), (4, 1), (4, 2), (4, 3))), {}),
}


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("name", HOPELESS)
@pytest.mark.parametrize("forced_moves", [True, False])
def test_where_nothing_can_be_moved_there_is_nothing_but_to_stop(name, moves, forced_moves):
    instance, options = HOPELESS[name]
    simulation = begin(instance, moves=moves, forced_moves=forced_moves, **options)
    stop = simulation.model.actions - 1
    assert simulation.mask[0].nonzero().flatten().tolist() == [stop]
    assert bool(simulation.terminated[0]) == (forced_moves or "mnl" in options)
    rate = int(simulation.outcome()["objective"])
    for action in (stop, 0, -1):  # an episode that is over takes any action
        simulation.step(torch.tensor([action]))
        assert simulation.terminated[0] and not simulation.illegal[0] and simulation.reward[0] == 0
    assert int(simulation.outcome()["objective"]) == rate and len(simulation.schedule()) == 0
    agree(figures(simulation, 0), simulation.schedule())
    if "mnl" not in options and name not in ("no memory", "one node without room", "a double on one host"):
        free = begin(instance, moves="vm", constraints=False)
        assert free.mask[0, :-1].any()


@pytest.mark.parametrize("moves", MOVES)
def test_stopping_ends_a_snapshot_at_once(moves):
    simulation = begin(load_many("small:0", "vm"), moves=moves)
    stop, before = simulation.model.actions - 1, int(simulation.outcome()["objective"])
    assert simulation.mask[0, stop] == 1 and simulation.mask[0].sum() > 3
    row = {name: int(column[0, stop]) for name, column in simulation.columns.items()}
    assert row == {
        "vm": -1, "node": -1, "source": -1, "cores": 0, "gain": 0, "source_gain": 0, "room": 0, "length": 1, "waste": 0,
        "megabytes": 0, "harm": 0, "importance": -1, "kind": 3,
    }  # fmt: skip
    simulation.step(torch.tensor([stop]))
    assert simulation.terminated[0] and simulation.reward[0] == 0 and len(simulation.schedule()) == 0
    assert int(simulation.outcome()["objective"]) == before and not simulation.mask.any()


def test_the_rate_of_a_full_cluster_is_zero():
    """Nothing is free, so nothing is in fragments; with nothing but memory to count, that has a rate."""
    full = host(cores=(4, 8), memory=1000)
    assert int(begin(full).outcome()["objective"]) == 0
    assert int(begin(full, weight_memory=100).outcome()["objective"]) == 0
    roomy = host(cores=(4, 8), memory=1000 + 65536 + 16384)
    assert int(begin(roomy, weight_memory=100).outcome()["objective"]) == 200_000_000
    assert int(begin(roomy, weight_memory=50).outcome()["objective"]) == 100_000_000
    assert int(begin(roomy).outcome()["objective"]) == 0


@pytest.mark.parametrize("cost", [0.0, 1e-9, 0.25, 1.0])
def test_each_migration_costs(cost):
    """A VM moves to the other node and back: it leaves nothing but its cost."""
    simulation = begin(host(), moves="vm", forced_moves=False, migration_cost=cost, mnl=9)
    total, free = 0.0, 88 - 12
    for action in (0, 2 + 1, 0, 2 + 0):
        simulation.step(torch.tensor([action]))
        total += float(simulation.reward)
    expected = Fraction(40 % 16 + 36 % 16, free) + 2 * Fraction(cost)
    assert abs(int(simulation.outcome()["objective"]) - expected * 10**9) < 2
    assert total == pytest.approx(-2 * cost * free / 16)


def test_the_limit_ends_the_episode():
    for moves in MOVES:
        simulation = begin(load_many("small:0", "vm"), moves=moves, mnl=3)
        while not simulation.terminated[0]:
            simulation.step(simulation.mask.argmax(dim=1))
        assert int(simulation.outcome()["migrations"]) == 3 == len(simulation.schedule())


@pytest.mark.parametrize("name", ["greedy", "ha", "best-fit", "first-fit", "random", "no-op"])
@pytest.mark.parametrize("moves", MOVES)
def test_forced_moves_do_not_change_what_a_rule_does(random_cluster, name, moves):
    """They only spare it decisions: a VM with one place to go, and to stop where nothing can be done."""
    rng, found, decisions = np.random.default_rng(2), [], []
    instances = [random_cluster(rng, "reschedule", hosts=2) for _ in range(60)]
    for forced_moves in (True, False):
        simulation = begin(instances, moves=moves, forced_moves=forced_moves, mnl=5)
        never, generator = torch.zeros(60, dtype=torch.bool), torch.Generator().manual_seed(0)
        while not simulation.terminated.all():
            simulation.step(POLICIES[name].act(simulation, generator, never))
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        decisions.append(int(simulation.outcome()["decisions"].sum()))
    assert decisions[0] < decisions[1] and (name == "random" or found[0] == found[1])


def test_first_steps_of_moves_in_two_steps_are_no_migrations():
    simulation = begin(host(), moves="vm", forced_moves=False)
    simulation.step(torch.tensor([1]))
    assert int(simulation.outcome()["migrations"]) == 0 == len(simulation.schedule()) and simulation.reward[0] == 0
    assert simulation.mask[0].nonzero().flatten().tolist() == [2]  # to the other node: it cannot stop halfway
    simulation.step(torch.tensor([2]))
    assert simulation.schedule().entries.tolist() == [[1, 0, 0, 0, 0]]
