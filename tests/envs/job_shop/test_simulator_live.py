"""The live job shop against a clock that ticks: plain Python, one unit of time after the other."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import play
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.envs.job_shop.model_live import LiveModel
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32)


def tiny(rng: np.random.Generator, random_shop, name: str = "tiny") -> JobShopInstance:
    """A small shop with short operations, some of length 0, and releases."""
    shop = random_shop(rng, bool(rng.random() < 0.5), name=name)
    duration = np.where(shop.machine >= 0, np.minimum(shop.duration, 9), 0)
    return JobShopInstance(name, shop.machines, duration, shop.machine, rng.integers(0, 15, shop.jobs))


def world(rng: np.random.Generator) -> Options:
    """Random options of a live shop."""
    while True:
        given = {"buffers": str(rng.choice(["unlimited", "none", "swap"])), "reveal": bool(rng.random() < 0.3)}
        if rng.random() < 0.5:
            given |= {"uptime": int(rng.integers(300, 600)), "repair": int(rng.integers(1, 200))}
            if rng.random() < 0.5:
                given |= {"interrupted": "restart", "uptime": 2000}
        if rng.random() < 0.5:
            given |= {"noise": str(rng.choice(["gaussian", "lognormal", "gamma"])), "sigma": 0.3}
        options = Options(
            **given, construction=str(rng.choice(["non-delay", "wait"])), forced_moves=bool(rng.random() < 0.4),
            safety=bool(rng.random() < 0.8),
        )  # fmt: skip
        if options.live:
            return options


def shown(shop, model) -> set[int]:
    """The legal actions by the numbers that they have in a padded environment."""
    n, m, found = shop.instance.jobs, shop.instance.machines, set()
    for action in shop.legal() if not shop.over else ():
        if action == shop.wait and shop.options.waits:
            found.add(model.actions - 1)
        else:
            found.add(action if action < n else model.jobs + action - n)
    assert m <= model.machines
    return found


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_it_does_what_the_clock_does(live_shop, random_shop, seed):
    rng = np.random.default_rng(seed)
    instances = [tiny(rng, random_shop, name) for name in "abc"]
    options = world(rng)
    model = Model(instances, options)
    simulation = Simulation(model, instances, 3, seed=5, observe=False)
    simulation.reset()
    shops = [live_shop.Shop(instance, options, (5, i, 0)) for i, instance in enumerate(instances)]
    while not simulation.terminated.all():
        actions = np.zeros(3, int)
        for i, shop in enumerate(shops):
            legal = set(simulation.mask[i].nonzero().flatten().tolist())
            if shop.over:
                assert simulation.terminated[i] == 1 or simulation.engine.tensors["steps"][i] == 0
                continue
            assert legal == shown(shop, model) and not simulation.terminated[i]
            assert int(simulation.engine.tensors["time"][i]) == shop.time
            actions[i] = rng.choice(sorted(legal))
            if options.waits and actions[i] == model.actions - 1:
                shop.step(shop.wait)
            else:  # swaps stand behind the padded jobs
                shop.step(actions[i] - (actions[i] >= model.jobs) * (model.jobs - shop.instance.jobs))
        simulation.step(torch.from_numpy(actions))
    for i, shop in enumerate(shops):
        assert shop.over and bool(simulation.outcome()["deadlock"][i]) == shop.stuck
        if not shop.stuck:
            schedule = simulation.schedule(i)
            assert sorted(map(tuple, schedule.entries.tolist())) == sorted(map(tuple, shop.rows))
            assert int(simulation.outcome()["makespan"][i]) == max(shop.completion.values())


def random_play(instances, options: Options, num_envs: int, legal, seed: int = 0) -> tuple[Simulation, torch.Tensor]:
    """Every environment plays one episode of random legal actions; with their returns, in units of the scale."""
    simulation = Simulation(Model(instances, options), instances, num_envs, seed=seed, observe=False)
    rng, total = np.random.default_rng(seed), torch.zeros(num_envs, dtype=torch.float64)
    simulation.reset()
    for _ in range(simulation.model.horizon):
        simulation.step(legal(simulation.mask, rng))
        total += simulation.reward
        if simulation.terminated.all():
            return simulation, total
    raise AssertionError("an episode took more decisions than the horizon")


@pytest.mark.parametrize("construction", ["non-delay", "wait"])
@pytest.mark.parametrize("buffers", ["none", "swap"])
def test_only_safe_moves_never_end_in_a_deadlock(legal, buffers, construction):
    instances = load_many("6x6:0-49")
    options = Options(buffers=buffers, construction=construction)
    simulation, _ = random_play(instances, options, 500, legal)
    assert not simulation.outcome()["deadlock"].any() and not simulation.illegal.any()


def test_without_safety_deadlocks_are_reached_and_count_as_the_worst(legal):
    instances = load_many("6x6:0-49")
    simulation, total = random_play(instances, Options(buffers="none", safety=False), 500, legal)
    stuck = simulation.outcome()["deadlock"].bool()
    assert 100 < int(stuck.sum()) and not simulation.illegal.any()
    worst = torch.tensor([instance.total_work for instance in instances] * 10)
    assert (simulation.outcome()["makespan"][stuck] == worst[stuck]).all()
    assert total[stuck].max() < 0 and not simulation.mask.any()


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_rewards_add_up_to_the_objective(random_shop, dated, legal, seed):
    rng = np.random.default_rng(seed)
    options, objective = world(rng), str(rng.choice(["total_weighted_tardiness", "2 makespan + max_lateness"]))
    instance = dated(tiny(rng, random_shop), rng, objective)
    simulation, total = random_play([instance], options, 4, legal, seed % 1000)
    figures, objective = simulation.outcome(), instance.objective
    for i in range(4):
        if not figures["deadlock"][i]:
            assert int(figures[objective][i]) == simulation.schedule(i).metrics()[objective]
    # all four begin alike, so what their returns differ by is what their objectives differ by
    values = figures[objective].double()
    begun = total * instance.scale + values
    assert (begun - begun[0]).abs().max() < 1e-3 * instance.scale
    if not options.reveal and options.noise == "none" and objective == "total_weighted_tardiness":
        earliest = instance.release + instance.duration.sum(axis=1)
        least = int((np.maximum(earliest - instance.due, 0) * instance.weight).sum())
        assert abs(float(total[0]) * instance.scale - (least - int(values[0]))) < 1e-3 * instance.scale


STATIC_RULES = ("spt", "lpt", "mwkr", "lwkr", "mopnr", "fdd/mwkr", "fifo", "lifo")


@pytest.mark.parametrize("names", ["6x6:0-9", "10x5:0-4"])
def test_without_events_it_is_the_classic_non_delay_construction(names):
    instances, options = load_many(names), Options(construction="non-delay")
    generator = torch.Generator().manual_seed(0)
    explore = torch.zeros(len(instances), dtype=torch.bool)
    live = Simulation(LiveModel(instances, options), instances, len(instances), observe=False)
    classic = Simulation(Model(instances, options), instances, len(instances), observe=False)
    assert type(classic.model) is Model and live.model.program is not classic.model.program
    for rule in STATIC_RULES:
        for simulation in (live, classic):
            play(POLICIES[rule], simulation, generator, explore)
        for mine, theirs in zip(live.schedules(), classic.schedules(), strict=True):
            assert sorted(mine.entries.tolist()) == sorted(theirs.entries.tolist())


@cache
def reachable(routes: tuple[tuple[int, ...], ...], at: tuple[int, ...]) -> bool:
    """Whether all jobs can be completed without buffers; ``at`` counts the operations that each has started."""
    if all(step == len(route) for step, route in zip(at, routes, strict=True)):
        return True
    held = {routes[j][step - 1] for j, step in enumerate(at) if 0 < step < len(routes[j])}
    for j, step in enumerate(at):
        if step < len(routes[j]):
            own = {routes[j][step - 1]} if step else set()
            if routes[j][step] not in held - own and reachable(routes, (*at[:j], step + 1, *at[j + 1 :])):
                return True
    return False


def test_safe_states_can_be_completed_and_most_states_that_can_are_safe(live_shop):
    """By trying everything on shops of three jobs and three machines; a job on its last machine is as good as gone."""
    rng, counts = np.random.default_rng(0), np.zeros(2, int)
    for _ in range(40):
        routes = tuple(tuple(rng.permutation(3).tolist()) for _ in range(3))
        for at in np.ndindex(4, 4, 4):
            places = [routes[j][step - 1] for j, step in enumerate(at) if 0 < step < 3]
            if len(set(places)) < len(places):
                continue
            inside = {j: routes[j][step - 1 :] for j, step in enumerate(at) if 0 < step < 3}
            safe, possible = live_shop.can_be_emptied(inside), reachable(routes, at)
            assert possible or not safe
            counts += [possible, safe]
    assert 0.95 * counts[0] < counts[1]


@pytest.mark.parametrize("kind", ["none", "swap"])
def test_two_jobs_that_face_each_other(kind):
    """Each stands where the other wants to go: without buffers one must not enter, with swaps they change places."""
    instance = JobShopInstance("facing", 2, np.array([[3, 2], [3, 4]]), np.array([[0, 1], [1, 0]]))
    simulation = Simulation(Model([instance], Options(buffers=kind, construction="non-delay")), [instance], 1)
    simulation.reset()
    assert simulation.mask.tolist() == [[1, 1] + [0, 0] * (kind == "swap")]
    simulation.step(torch.tensor([1]))
    # the rest is forced: job 0 waits until job 1 has left, or they meet at 3 and swap
    assert simulation.terminated.all() and int(simulation.outcome()["makespan"]) == (12 if kind == "none" else 7)
