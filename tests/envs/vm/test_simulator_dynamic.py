"""Time: events in their order, copies, stale moves, arrivals and what is minimised, against a clock that ticks."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm.fields import NEVER
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


class Places(dict):
    """Nodes by VM, that tells when a VM has left one."""

    def __init__(self, places, gone):
        super().__init__(places)
        self.gone = gone

    def pop(self, vm, *default):
        node = super().pop(vm, *default)
        if node is not None:
            self.gone(vm, node)
        return node


def witness(vm, instance, conditions):
    """A world, and a clock that says in ``world.touched`` where VMs have left and no slot is complete yet."""
    world = vm.World(instance, conditions)
    world.touched, found_place = np.zeros(instance.nodes, int), world.arrive

    def broken(node):
        return world.free(node)[0] % 16 != 0

    def mark(moved, node, left):
        for n in world.nodes(moved, node):
            world.touched[n] = left and broken(n)

    def departed(moved, node):
        for n in world.nodes(moved, node):
            world.touched[n] &= broken(n)

    def arrive(moved):
        placed = found_place(moved)
        if placed:
            mark(moved, world.at[moved], False)
        return placed

    class Witness(vm.Clock):
        def complete(self):
            moved, source = self.running[1], world.at[self.running[1]]
            super().complete()
            mark(moved, source, True)

        def carry_out(self, time, moved, node):
            if moved in world.at and not world.broken(moved, node):
                mark(moved, node, False)
            super().carry_out(time, moved, node)

    world.at, world.copied, world.arrive = Places(world.at, departed), Places(world.copied, departed), arrive
    return world, Witness


def replayed(vm, instance, conditions, rows, seen: dict):
    """The clock, deciding what was decided at the same times; ``seen`` by (time, actions) is what there was to see."""
    world, clock = witness(vm, instance, conditions)
    asked = set()

    def decide(time, done):
        if (time, done) in seen:
            asked.add((time, done))
            place, touched, free = seen[time, done]
            assert world.at == place and [world.free(n) for n in range(instance.nodes)] == free
            assert (world.touched == touched).all()
        if done < len(rows) and rows[done][3] - world.conditions["latency"] == time:
            return rows[done][0], rows[done][2]
        return None

    result = clock(world, decide)
    assert asked == seen.keys()
    return result


@settings(max_examples=120)
@given(seeds)
def test_time_passes_as_it_is_said_to(recount, vm, random_cluster, random_vm_options, legal, seed):
    """Every state that the policy sees, all that is done, and the mean of the rate, millisecond by millisecond."""
    rng = np.random.default_rng(seed)
    instance = random_cluster(rng, "dynamic") if seed % 2 else vm.instance(rng, "timeline")
    options = random_vm_options(rng, "dynamic")
    if seed % 3:
        options = Options(**{"moves": options.moves, "forced_moves": options.forced_moves} | vm.conditions(rng))
    simulation, seen = Simulation(Model([instance], options), [instance], 1), {}
    simulation.reset()
    eager = rng.random()
    while not simulation.terminated[0]:
        now = recount.Seen(simulation)
        place = {v: int(n) for v, n in enumerate(now.count.node) if n >= 0}
        free = list(zip(now.count.free_cores.tolist(), now.count.free_memory.tolist(), strict=True))
        now.check()
        seen[int(now.now), int(now.log_count)] = place, now.touched.copy(), free
        actions = legal(simulation.mask, rng)
        if rng.random() > eager and simulation.mask[0, -1]:
            actions[0] = simulation.model.actions - 1
        simulation.step(actions)
    conditions = {name: getattr(options, name) for name in options.world}
    schedule = simulation.schedule()
    clock = replayed(vm, instance, conditions, schedule.entries.tolist(), seen)
    assert clock.rows == schedule.entries.tolist()
    end = recount.Seen(simulation)
    assert clock.world.at == {v: int(n) for v, n in enumerate(end.count.node) if n >= 0}
    assert clock.world.copied == (dict([end.count.copied]) if end.count.copied else {})
    end.check()
    found = {name: int(value[0]) for name, value in simulation.outcome().items()}
    assert (found["stale_moves"], found["rejected"]) == (len(clock.stale), len(clock.rejected))
    assert found["migrations"] == len(clock.rows) - len(clock.stale) and end.now == instance.horizon
    mean = sum(clock.rates, Fraction(0)) / instance.horizon + Fraction(options.migration_cost) * found["migrations"]
    assert -4 < found["objective"] - mean * 10**9 < 1


@pytest.mark.parametrize("moves", ["class", "vm", "macro"])
def test_what_is_kept_is_what_can_be_counted_after_thousands_of_moves(recount, legal, moves):
    rng, steps, instances = np.random.default_rng(4), 0, load_many(["churn-4-20:0", "churn-4-40:1"], "vm")
    options = Options(moves=moves, mnl=10_000, copy_rate=500_000 if moves != "vm" else 0, latency=7)
    simulation = Simulation(Model(instances, options), instances, 2 if moves == "macro" else 4)
    simulation.reset()
    while not simulation.terminated.all() and int(simulation.outcome()["migrations"].sum()) < 10_000:
        if rng.random() < 0.95:
            open = simulation.mask[:, :-1]
            simulation.step(torch.where(open.any(dim=1), legal(open, rng), simulation.model.actions - 1))
        else:
            simulation.step(legal(simulation.mask, rng))
        steps += 1
        if steps % (23 if moves == "macro" else 97) == 0:
            recount.Seen(simulation, steps % simulation.num_envs).check()
    if moves == "macro":
        assert simulation.terminated.all() and int(simulation.outcome()["migrations"].sum()) > 50
    else:
        assert int(simulation.outcome()["migrations"].sum()) >= 10_000
    for place in range(simulation.num_envs):
        recount.Seen(simulation, place).check()
    if simulation.terminated.all():
        assert all(schedule.violations() == [] for schedule in simulation.schedules())


# ---------------------------------------------------------------------- by hand


def living(vms, cores=((32, 32),), horizon=100, **more) -> VMInstance:
    """VMs are (cores, node, arrival, departure), of 1000 MB, double where there is a fifth; departure 0: never."""
    columns = list(zip(*(vm[:4] for vm in vms), strict=True))
    departure = [end or NEVER for end in columns[3]]
    numas, memory = [2 if len(vm) > 4 else 1 for vm in vms], [1000] * len(vms)
    capacity = cores, np.full(np.shape(cores), 90_000)
    return VMInstance(
        "hand", *capacity, columns[0], memory, numas, columns[1], arrival=columns[2], departure=departure,
        horizon=horizon, **more,
    )  # fmt: skip


class Play:
    """One environment of moves in two steps, moved by hand."""

    def __init__(self, instance, **options):
        options = {"moves": "vm", "forced_moves": False} | options
        self.simulation = Simulation(Model([instance], Options(**options)), [instance], 1)
        self.simulation.reset()

    def move(self, vm, node):
        for action in (vm, self.simulation.model.vms + node):
            assert self.simulation.mask[0, action] == 1, "not legal"
            self.simulation.step(torch.tensor([action]))
        return self

    def wait(self, count=1):
        for _ in range(count):
            self.simulation.step(torch.tensor([self.simulation.model.actions - 1]))
        return self

    def at(self) -> list[int]:
        return self.simulation.engine.tensors["place"][0].tolist()

    def now(self) -> int:
        return int(self.simulation.clock)

    def rows(self) -> list[list[int]]:
        """(VM, node, start, end) of what was done, checked."""
        schedule = self.simulation.schedule()
        assert schedule.violations() == [] and schedule.entries[:, 1].tolist() == list(range(len(schedule)))
        return schedule.entries[:, [0, 2, 3, 4]].tolist()

    def outcome(self) -> dict[str, int]:
        return {name: int(value) for name, value in self.simulation.outcome().items()}

    @property
    def over(self) -> bool:
        return bool(self.simulation.terminated[0])


def test_a_departure_comes_before_the_end_of_its_copy():
    """VM 0 departs when its copy would be done: both ends are free, and VM 2, which comes then, finds the room."""
    play = Play(living([(20, 0, 0, 25), (9, 1, 0, 0), (24, -1, 25, 0)]), copy_rate=40_000)
    play.move(0, 1)
    assert play.now() == 25 and play.at() == [-1, 1, 0] and play.rows() == [[0, 1, 0, 25]]
    assert play.outcome()["migrations"] == 1 and play.outcome()["rejected"] == 0


def test_a_departure_cuts_a_copy_short():
    """The migration counts, its planned end is kept, and the next decision is at the departure."""
    play = Play(living([(20, 0, 0, 10), (4, 1, 0, 0)]), copy_rate=50_000, migration_cost=0.5)
    play.move(0, 1)
    assert play.now() == 10 and play.at() == [-1, 1] and play.rows() == [[0, 1, 0, 20]]
    play.move(1, 0)
    assert play.now() == 30 and play.rows() == [[0, 1, 0, 20], [1, 0, 10, 30]]
    play.wait()
    # 32 + 32 - 24 are free; with VM 0 on both nodes 12 and 8; until 30 VM 1 is on both
    parts = [(10, 12 + 8, 20), (20, 12 + 12, 28 + 28), (70, 12, 28 + 32)]
    mean = sum(Fraction(time * fragments, free) for time, fragments, free in parts) / 100
    assert play.over and abs(play.outcome()["objective"] - (mean + 1) * 10**9) < 3


def test_the_end_of_a_copy_comes_before_an_arrival():
    """VM 1 needs all of node 0, which VM 0 has left at that moment."""
    play = Play(living([(20, 0, 0, 0), (32, -1, 20, 0)]), copy_rate=50_000)
    assert play.move(0, 1).now() == 20 and play.at() == [1, 0] and play.outcome()["rejected"] == 0
    late = Play(living([(20, 0, 0, 0), (32, -1, 19, 0)]), copy_rate=50_000).move(0, 1)
    assert late.now() == 20 and late.at() == [1, -1] and late.outcome()["rejected"] == 1


def test_all_at_the_same_time():
    """At 20 VM 1 departs, VM 0 has arrived where it is copied to, then VM 3 and VM 4 come, one after the other."""
    vms = [(10, 0, 0, 0), (12, 1, 0, 20), (4, 1, 0, 0), (22, -1, 20, 0), (18, -1, 20, 0)]
    play = Play(living(vms), copy_rate=50_000).move(0, 1)
    # 32 and 32 - 10 - 4 are free when they come: VM 3 takes the 32, there is room for VM 4 on the other
    assert play.now() == 20 and play.at() == [1, -1, 1, 0, 1]
    swapped = [*vms[:3], vms[4], vms[3]]
    play = Play(living(swapped), copy_rate=50_000).move(0, 1)
    # VM 3 now takes the tighter node, and VM 4 still fits on the other
    assert play.at() == [1, -1, 1, 1, 0] and play.outcome()["rejected"] == 0


@pytest.mark.parametrize("departure, stale", [(9, 1), (10, 1), (11, 0)])
def test_a_vm_that_has_gone_meanwhile_is_stale(departure, stale):
    """Also one that departs at the very moment; the decision after it is taken then."""
    play = Play(living([(4, 0, 0, departure), (8, 1, 0, 0)]), latency=10, mnl=2).move(0, 1)
    assert play.now() == 10 and play.rows() == [[0, 1, 10, 10]]
    assert (play.outcome()["stale_moves"], play.outcome()["migrations"]) == (stale, 1 - stale)
    assert play.at() == [-1 if stale else 1, 1] and not play.over
    play.move(1, 0)
    assert play.over and play.rows()[1] == [1, 0, 20, 20]  # a stale move counts against the limit


@pytest.mark.parametrize("arrival, stale", [(5, 1), (10, 1), (11, 0)])
def test_a_node_that_was_filled_meanwhile_is_stale(arrival, stale):
    play = Play(living([(20, 0, 0, 0), (12, -1, arrival, 0)], cores=[[20, 22]]), latency=10).move(0, 1)
    assert play.now() == 10 and play.outcome()["stale_moves"] == stale
    assert play.at()[0] == (0 if stale else 1) and play.rows() == [[0, 1, 10, 10]]


def test_a_group_member_that_came_meanwhile_makes_it_stale():
    hosts = [[9, 0], [9, 0], [9, 9]]
    vms = [(4, 0, 0, 0), (4, -1, 5, 0), (5, 4, 0, 0)]
    play = Play(living(vms, cores=hosts, groups=[("host", (0, 1))]), latency=10).move(0, 4)
    assert play.at() == [0, 4, 4] and play.outcome()["stale_moves"] == 1


def test_a_vm_that_is_copied_is_on_both_hosts_for_groups():
    """VM 1 may go to neither of them while VM 0 is copied, and to the first one afterwards."""
    hosts = [[9, 0], [12, 0], [20, 0]]
    for arrival, place in ((1, 4), (19, 4), (20, 0)):
        vms = [(4, 0, 0, 0), (4, -1, arrival, 0)]
        play = Play(living(vms, cores=hosts, groups=[("host", (0, 1))]), copy_rate=50_000).move(0, 2)
        assert play.now() == 20 and play.at() == [2, place]


@pytest.mark.parametrize("latency", [99, 100, 101, 2**30])
def test_what_would_be_done_at_the_horizon_is_not(latency):
    play = Play(living([(4, 0, 0, 0), (8, 1, 0, 60)]), latency=latency, mnl=1).move(0, 1)
    assert play.over and play.outcome()["migrations"] == int(latency == 99)
    assert play.rows() == [[0, 1, 99, 99]] * (latency == 99) and play.now() == 100
    play.simulation.step(torch.tensor([0]))
    assert play.simulation.reward[0] == 0 and play.now() == 100


def test_a_copy_that_the_horizon_ends_counts():
    """Until the end the VM is on both nodes."""
    play = Play(living([(4, 0, 0, 0)], horizon=50), copy_rate=10_000, migration_cost=0.125).move(0, 1)
    assert play.over and play.rows() == [[0, 1, 0, 100]]
    assert play.outcome()["objective"] == (Fraction(24, 56) * 10**9).__floor__() + 125_000_000


def test_a_copy_may_take_longer_than_time_can_be_counted():
    instance = VMInstance("x", [[16, 16]], [[2**30] * 2], [4], [2**30], [1], [0], horizon=2**30)
    play = Play(instance, copy_rate=1).move(0, 1)
    assert play.over and play.rows() == [[0, 1, 0, 1000 * 2**30]] and play.now() == 2**30


@pytest.mark.parametrize("memory, rate, took", [(1000, 1000, 1000), (1, 1000, 1), (1, 1001, 1), (1001, 1_000_000, 2)])
def test_copies_take_whole_milliseconds_rounded_up(memory, rate, took):
    instance = VMInstance("x", [[16, 16]], [[9999] * 2], [4], [memory], [1], [0], horizon=5000)
    play = Play(instance, copy_rate=rate).move(0, 1)
    assert play.now() == took and play.rows() == [[0, 1, 0, took]]
    double = VMInstance("x", [[16, 16]] * 2, [[9999] * 2] * 2, [4], [memory], [2], [0], horizon=5000)
    assert Play(double, copy_rate=rate).move(0, 2).now() == took  # all of its memory is copied, however it is split


def test_a_horizon_of_one_millisecond():
    """Moves that take no time can be made; anything else never ends."""
    instance = living([(4, 0, 0, 0), (8, 1, 0, 0), (3, -1, 1, 0)], horizon=1)
    play = Play(instance).move(0, 1).move(1, 0)
    assert play.now() == 0 and play.wait().over and play.outcome()["rejected"] == 0 and play.at()[2] == -1
    assert abs(play.outcome()["objective"] - Fraction(8 + 12, 52) * 10**9) < 2
    play = Play(instance, copy_rate=1).move(0, 1)
    assert play.over and play.rows() == [[0, 1, 0, 1_000_000]]
    assert Play(instance, latency=1).move(0, 1).over


def test_who_waits_waits_for_the_next_event():
    """Events at the same time are one; when there are none left, to the horizon."""
    vms = [(4, 0, 0, 40), (8, 1, 0, 0), (3, -1, 7, 9), (3, -1, 40, 0), (1, -1, 99, 0), (1, -1, 100, 200)]
    play, times = Play(living(vms)), []
    while not play.over:
        times.append(play.now())
        play.wait()
    assert times == [0, 7, 9, 40, 99] and play.now() == 100 and play.at() == [-1, 1, -1, 1, 1, -1]


def test_after_the_last_move_time_runs_out():
    """What still happens counts."""
    vms = [(4, 0, 0, 0), (8, 1, 0, 50), (99, -1, 60, 70)]
    play = Play(living(vms), mnl=1).move(0, 1)
    assert play.over and play.at() == [1, -1, -1] and play.outcome()["rejected"] == 1
    mean = (50 * Fraction(20 % 16, 52) + 50 * Fraction(28 % 16, 60)) / 100
    assert abs(play.outcome()["objective"] - mean * 10**9) < 2 and play.rows() == [[0, 1, 0, 0]]


def test_arrivals_go_where_the_fewest_cores_are_free():
    """Ties to the lowest node; double ones by both nodes together; drained hosts and groups are left out."""
    cores = [[9, 7], [7, 7], [6, 20], [5, 5]]
    more = {"drained": [False, False, False, True], "groups": [("host", (0, 3))]}
    vms = [(5, -1, 1, 0), (12, -1, 2, 0, 2), (7, -1, 3, 0), (6, -1, 4, 0), (40, -1, 5, 0), (1, -1, 6, 0)]
    play = Play(living(vms, cores=cores, **more), forced_moves=False).wait(6)
    # 5 to the 6; 12 as 6 + 6 to host 1 of 7 + 7; 7 to the 7; 6 to the 9, not the 1 or 20 of its group; 40 nowhere
    assert play.at() == [4, 2, 1, 0, -1, 2] and play.outcome()["rejected"] == 1
    assert Play(living(vms, cores=cores, **more), constraints=False).wait(1).at()[0] == 6


def test_a_rejected_vm_does_not_come_back():
    """Not when there is room, nor at its departure."""
    vms = [(30, 0, 0, 20), (20, 1, 0, 0), (20, -1, 10, 30), (5, -1, 30, 0)]
    play = Play(living(vms)).wait(3)
    assert play.now() == 30 and play.at() == [-1, 1, -1, 1] and play.outcome()["rejected"] == 1


def test_everything_of_the_start_may_depart():
    play = Play(living([(4, 0, 0, 5), (8, 1, 0, 5)])).wait()
    assert play.at() == [-1, -1] and play.now() == 5
    assert play.simulation.mask[0].nonzero().flatten().tolist() == [play.simulation.model.actions - 1]
    play = Play(living([(4, 0, 0, 5), (8, 1, 0, 5)]), forced_moves=True).wait()
    assert play.over and play.now() == 100  # nothing is left to decide
    assert abs(play.outcome()["objective"] - Fraction(5 * (28 % 16 + 24 % 16), 100 * 52) * 10**9) < 2


def test_pinned_vms_come_and_go():
    """They take room and depart like the others, and are never offered."""
    vms = [(4, 0, 0, 5), (8, -1, 3, 0), (2, 0, 0, 0)]
    play = Play(living(vms, movable=[False, False, True])).wait(2)
    assert play.at() == [-1, 0, 0] and play.now() == 5
    assert play.simulation.mask[0, :3].tolist() == [0, 0, 1]
