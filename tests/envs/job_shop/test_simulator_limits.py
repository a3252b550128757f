"""Setup times and windows in the dynamics, against plain Python and exhaustive search."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.draw_limits import Dress
from dispatchgym.envs.job_shop.generator import generate
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.objective import cost
from dispatchgym.envs.job_shop.options import Options
from dispatchgym.envs.job_shop.setups import keeps_triangle, least_setups

seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from([(True, False), (False, True), (True, True)])
appended = st.builds(
    Options, st.sampled_from(["active", "non-delay", 0.3, "wait"]), st.booleans(),
    st.sampled_from(["jobs", "operations"]),
)  # fmt: skip


def candidates(plain, delta: float) -> set[int]:
    """The choice of Giffler and Thompson with setups, by the statement."""
    rows = {job: (plain.start(job), *plain.next(job)) for job in plain.unfinished()}
    ends = {job: start + length for job, (start, _, length) in rows.items()}
    first = min(ends, key=lambda job: (ends[job], job))
    machine, found = rows[first][1], set()
    here = [job for job, row in rows.items() if row[1] == machine]
    setup = {job: plain.setup(plain.last[machine], job, machine) for job in here}
    turn = {job: rows[job][0] - setup[job] for job in here}
    now = min(turn.values())
    for job in here:
        ready = ends[first] + plain.setup(first, job, machine)
        soon = rows[job][0] < ready or ends[job] == ends[first]
        near = (turn[job] - now) * 1_000_000 <= (ready - setup[job] - now) * round(delta * 1_000_000)
        if turn[job] == now or (soon and near):
            found.add(job)
    return found


def bound_of_cost(shop: JobShopInstance, plain, makespan: int, hold) -> int:
    """The objective if every job went on after the least setup; of jobs with nothing to come what they have."""
    completion = list(plain.ready)
    for job in plain.unfinished():
        machine = plain.next(job)[0]
        least = 0 if shop.setup is None else int(least_setups(shop)[machine, shop.setup_family[job]])
        start = plain.start(job, int(hold[job]) if len(hold) else 0, least)
        completion[job] = start + int(shop.duration[job, plain.step[job] : shop.operations[job]].sum())
    value, latest = cost(shop, completion), max(completion)
    makespan_cost = {"makespan": 1}.get(shop.objective.split(" + ")[0].split()[-1], 0)
    if makespan_cost:
        term = shop.objective.split(" + ")[0].split()
        makespan_cost = int(term[0]) if len(term) > 1 else 1
    return value + makespan_cost * (max(latest, makespan) - latest)


@settings(max_examples=80)
@given(appended, kinds, st.booleans(), seeds)
def test_starts_choices_and_bounds_follow_from_the_statement(
    random_shop, limited, limited_shop, dated, legal, options, kind, late, seed
):
    rng = np.random.default_rng(seed)
    shop = limited(random_shop(rng, general=seed % 2 == 0, shortest=int(kind[0])), rng, *kind)
    shop = dated(shop, rng) if late else shop
    simulation, plain = Simulation(Model([shop], options), [shop], 1), limited_shop(shop)
    simulation.reset()
    tensors, before, total = simulation.engine.tensors, None, 0.0
    first = tensors["rewarded"].clone()
    while True:
        follow(simulation, plain)
        hold, makespan = tensors["hold"][0].tolist(), int(simulation.outcome()["makespan"][0])
        bound = int(simulation.outcome()[simulation.model.objective][0])
        if simulation.model.costs:
            assert bound == bound_of_cost(shop, plain, makespan, hold)
        assert before is None or bound >= before
        before = bound
        if simulation.terminated[0]:
            break
        waiting = plain.unfinished()
        starts = [plain.start(job, hold[job] if hold else 0) for job in waiting]
        assert tensors["earliest_start"][0, waiting].tolist() == starts
        if simulation.model.limits.setups:
            rows = [(plain.last[plain.next(job)[0]], job, plain.next(job)[0]) for job in waiting]
            assert simulation.columns["setup_time"][0, waiting].tolist() == [plain.setup(*row) for row in rows]
        offered = set(simulation.mask[0, : shop.jobs].nonzero().flatten().tolist())
        if options.waits:
            assert offered == {job for job, start in zip(waiting, starts, strict=True) if start == min(starts)}
        else:
            assert offered == candidates(plain, options.delta)
        simulation.step(legal(simulation.mask, rng))
        total += float(simulation.reward[0])
    if simulation.outcome()["decisions"][0] == 0:
        simulation.step(torch.tensor([0]))
        total += float(simulation.reward[0])
    schedule = simulation.schedule()
    assert schedule.entries.tolist() == sorted(plain.rows) and schedule.violations() == []
    assert schedule.metrics()[shop.objective] == before <= shop.worst_cost
    scale = shop.scale if simulation.model.costs else int(tensors["initial_bound"][0])
    started = int(first[0]) if simulation.model.costs else scale
    assert total == pytest.approx((started - before) / scale, abs=1e-4)
    assert int(simulation.outcome()["decisions"][0]) <= simulation.model.horizon


def follow(simulation, plain) -> None:
    """Append in plain Python what the simulation committed since the last time."""
    new = simulation.engine.tensors["next_operation"][0].tolist()
    rows = [row for row in simulation.schedule().entries.tolist() if row[1] >= plain.step[row[0]]]
    # in the order in which they can have been appended: by job and, on a machine, by time
    while rows:
        ready = [r for r in rows if r[1] == plain.step[r[0]]]
        row = min(ready, key=lambda r: min((o[3] for o in rows if o[2] == r[2]), default=0) != r[3])
        plain.append(row[0], row[3])
        rows.remove(row)
    assert plain.step == new[: len(plain.step)]


@settings(max_examples=20)
@given(appended, kinds, seeds)
def test_the_twin_agrees_bit_for_bit(random_shop, limited, dated, legal, options, kind, seed):
    rng = np.random.default_rng(seed)
    shops = [limited(random_shop(rng, shortest=1), rng, *kind) for _ in range(3)]
    shops[0] = random_shop(rng, shortest=1)  # one without either, beside the others
    if seed % 2:
        shops = [dated(shop, rng, "makespan + 2 total_weighted_tardiness + max_lateness") for shop in shops]
    simulation = Simulation(Model(shops, options), shops, 4, group=2, shuffled=True)
    simulation.reset()
    twin = simulation.engine.twin()
    twin.reset()
    for step in range(12):
        actions = legal(simulation.mask, rng)
        if step == 9:
            actions[0] = -1
        simulation.step(actions)
        twin.step(actions.numpy())
        simulation.restart()
        twin.restart()
        for name, tensor in simulation.engine.tensors.items():
            assert tensor.numpy().tobytes() == getattr(twin.state, name).tobytes(), name


def best_of_all(shop: JobShopInstance, construction: str) -> int:
    """The least makespan over every sequence of legal actions, all those of a length side by side."""
    model, prefixes, best = Model([shop], Options(construction)), [[]], 2**31
    while prefixes:
        simulation = Simulation(model, [shop], len(prefixes), group=len(prefixes), observe=False)
        simulation.reset()
        for step in range(len(prefixes[0])):
            simulation.step(torch.tensor([prefix[step] for prefix in prefixes]))
        assert not simulation.illegal.any()
        tensors, states, further = simulation.engine.tensors, set(), []
        for place, prefix in enumerate(prefixes):
            value = int(simulation.outcome()["makespan"][place])
            if simulation.terminated[place]:
                best = min(best, value)
                continue
            names = ("next_operation", "arrival", "free", "machine_setup", "hold")
            state = tuple(tuple(tensors[name][place].flatten().tolist()) for name in names)
            if value < best and state not in states:
                states.add(state)
                further += [[*prefix, action] for action in simulation.mask[place].nonzero().flatten().tolist()]
        prefixes = further
    return best


@pytest.mark.parametrize("setups, windows", [(True, False), (False, True), (True, True)])
def test_active_and_waiting_choices_reach_the_optimum(random_shop, limited, limited_shop, setups, windows):
    """Active ones where setups keep the triangle inequality, waiting always; non-delay ones miss some."""
    rng, missed, kept = np.random.default_rng(3), 0, 0
    for turn in range(8):
        shop = generate(3, 3, rng, high=12)
        if turn % 2:
            shop = Dress(setups, windows)(shop, rng)
        else:
            shop = limited(shop, rng, setups, windows)
        optimum = limited_shop(shop).best()
        assert best_of_all(shop, "wait") == optimum
        if shop.setup is None or keeps_triangle(shop):
            kept += 1
            assert best_of_all(shop, "active") == optimum
        missed += best_of_all(shop, "non-delay") > optimum
    assert missed >= 1 and kept >= 4


def test_setup_times_are_counted_from_the_last_family():
    """By hand: 3 units of setup to begin with, none within a family, 5 from family 0 to family 1."""
    shop = JobShopInstance(
        "hand", 1, [[2], [2], [4]], [[0], [0], [0]], setup=[[[3, 1], [0, 5], [1, 0]]], setup_family=[0, 0, 1]
    )
    simulation = Simulation(Model([shop], Options("active", False)), [shop], 1)
    simulation.reset()
    assert simulation.columns["setup_time"][0].tolist() == [3, 3, 1]
    simulation.step(torch.tensor([0]))
    assert simulation.columns["setup_time"][0].tolist()[1:] == [0, 5]
    assert simulation.engine.tensors["earliest_start"][0].tolist()[1:] == [5, 10]
    simulation.step(torch.tensor([1]))
    simulation.step(torch.tensor([2]))
    assert simulation.schedule().entries[:, 3].tolist() == [3, 5, 12]
    assert simulation.schedule().metrics()["total_setup_time"] == 8


@settings(max_examples=40)
@given(st.booleans(), st.sampled_from(["jobs", "operations"]), seeds)
def test_insertion_takes_the_first_gap_between_operations_and_windows(random_shop, limited, legal, forced, kind, seed):
    rng = np.random.default_rng(seed)
    shop = limited(random_shop(rng, general=seed % 2 == 0, shortest=1), rng, False, True)
    simulation = Simulation(Model([shop], Options("insertion", forced, kind)), [shop], 1)
    simulation.reset()
    closed = [[] if shop.windows is None else [w for w in row if w[1] > 0] for row in np.asarray(
        [[]] * shop.machines if shop.windows is None else shop.windows).tolist()]  # fmt: skip
    done, rows = [0] * shop.jobs, {}
    while True:
        for job, step, machine, start, end in simulation.schedule().entries.tolist():
            rows.setdefault((job, step), (machine, start, end))
        new = [key for key in rows if key[1] >= done[key[0]]]
        for key in new:
            done[key[0]] = max(done[key[0]], key[1] + 1)
        if simulation.terminated[0]:
            break
        for job in np.flatnonzero(np.array(done) < shop.operations):
            machine, length = int(shop.machine[job, done[job]]), int(shop.duration[job, done[job]])
            start = max([int(shop.release[job]), *(e for (j, _), (_, _, e) in rows.items() if j == job)])
            busy = [(s, e) for m, s, e in rows.values() if m == machine] + closed[machine]
            while any(start < e and start + length > s for s, e in busy):
                start += 1
            assert int(simulation.engine.tensors["earliest_start"][0, job]) == start
        simulation.step(legal(simulation.mask, rng))
    assert simulation.schedule().violations() == []


def test_insertion_with_setup_times_is_refused():
    shop = JobShopInstance("pair", 1, [[3], [4]], [[0], [0]], setup=[[[1, 2], [0, 5], [6, 0]]])
    with pytest.raises(OptionError, match="insertion knows no setup times, which pair has.*use active, non-delay"):
        Model([shop], Options("insertion"))


def test_instances_with_more_families_or_windows_do_not_fit():
    plain = JobShopInstance("plain", 1, [[3], [4]], [[0], [0]])
    pair = JobShopInstance("pair", 1, [[3], [4]], [[0], [0]], setup=[[[1, 2], [0, 5], [6, 0]]])
    shut = JobShopInstance("shut", 1, [[3], [4]], [[0], [0]], windows=[[(2, 3), (4, 5)]])
    for one, other in ((plain, pair), (plain, shut), (pair, shut), (shut, pair)):
        with pytest.raises(OptionError, match=f"{other.name} .*does not fit .*families with setup times"):
            Model([one]).pack([other])
        Model([one, other]).pack([plain, pair if other is pair else shut])
    keys = {Model.size_key(shop) for shop in (plain, pair, shut)}
    assert len(keys) == 3
