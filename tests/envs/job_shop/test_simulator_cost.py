"""Other objectives than the makespan, against what is recomputed from the schedule so far."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.options import Options
from dispatchgym.envs.job_shop.simulator_state import DISTANT

choices = st.builds(
    Options, st.sampled_from(["active", "non-delay", "insertion", 0.3]), st.booleans(),
    st.sampled_from(["jobs", "operations"]),
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def earliest_completions(shop: JobShopInstance, schedule, insertion: bool) -> np.ndarray:
    """When each job is complete at the earliest, from the schedule so far: its next operation waits for its machine."""
    done = [0] * shop.jobs
    ready, busy = shop.release.tolist(), [[] for _ in range(shop.machines)]
    for job, step, machine, start, end in schedule.entries.tolist():
        done[job] = max(done[job], step + 1)
        ready[job] = max(ready[job], end)
        busy[machine].append((start, end))
    result = []
    for job, first in enumerate(done):
        time, last = ready[job], int(shop.operations[job])
        if first < last:
            length, machine = int(shop.duration[job, first]), int(shop.machine[job, first])
            for start, end in sorted(busy[machine]):
                if insertion and time + length <= start:
                    break
                time = max(time, end)
        result.append(time + int(shop.duration[job, first:last].sum()))
    return np.array(result)


def recomputed(shop: JobShopInstance, completion: np.ndarray, makespan: int) -> int:
    """The objective of completion times, one sum for each measure, by its text."""
    late = completion - shop.due
    value = {
        "makespan": max(int(completion.max()), makespan),
        "total_flow_time": (completion - shop.release).sum(),
        "total_weighted_flow_time": (shop.weight * (completion - shop.release)).sum(),
        "total_tardiness": late[late > 0].sum(),
        "total_weighted_tardiness": (shop.weight * late)[late > 0].sum(),
        "max_lateness": late.max(),
        "number_tardy": (late > 0).sum(),
        "weighted_number_tardy": shop.weight[late > 0].sum(),
    }
    terms = [term.split() for term in shop.objective.split(" + ")]
    return int(sum(int(term[0] if len(term) > 1 else 1) * value[term[-1]] for term in terms))


@settings(max_examples=60)
@given(choices, seeds)
def test_bound_reward_and_columns_follow_from_the_schedule(random_shop, dated, legal, options, seed):
    rng = np.random.default_rng(seed)
    shop = dated(random_shop(rng, general=seed % 2 == 0), rng)
    simulation = Simulation(Model([shop], options), [shop], 1)
    simulation.reset()
    tensors, insertion = simulation.engine.tensors, options.construction == "insertion"
    name, total, before = shop.objective, 0.0, None
    first = recomputed(shop, shop.release + shop.duration.sum(axis=1), int(tensors["initial_bound"][0]))
    while True:
        schedule = simulation.schedule()
        completion = earliest_completions(shop, schedule, insertion)
        bound = int(tensors["cost"][0])
        assert bound == recomputed(shop, completion, int(simulation.outcome()["makespan"][0]))
        assert before is None or bound >= before
        before = bound
        if simulation.terminated[0]:
            break
        check_columns(shop, simulation, schedule)
        simulation.step(legal(simulation.mask, rng))
        total += float(simulation.reward[0])
    if simulation.outcome()["decisions"][0] == 0:  # over at the reset: one step brings the whole reward
        simulation.step(torch.tensor([0]))
        total += float(simulation.reward[0])
    assert schedule.violations() == [] and schedule.metrics()[name] == before == int(simulation.outcome()[name][0])
    assert total == pytest.approx((first - before) / shop.scale, abs=1e-4)


def check_columns(shop: JobShopInstance, simulation: Simulation, schedule) -> None:
    """Due dates, slack and weights as rules read them."""
    time = int(simulation.engine.tensors["time"][0])
    done = np.bincount(schedule.column("work"), minlength=shop.jobs)
    for job in np.flatnonzero(done < shop.operations).tolist():
        step, work = int(done[job]), shop.duration[job].tolist()
        column = {name: int(values[0, job]) for name, values in simulation.columns.items()}
        assert (column["due_date"], column["weight"]) == (shop.due[job], shop.weight[job])
        assert column["slack"] == shop.due[job] - time - sum(work[step:])
        release, allowed = int(shop.release[job]), int(shop.due[job]) - int(shop.release[job])
        assert column["operation_due_date"] == release + allowed * sum(work[: step + 1]) // max(sum(work), 1)


@settings(max_examples=20)
@given(choices, seeds)
def test_the_twin_agrees_bit_for_bit(random_shop, dated, legal, options, seed):
    rng = np.random.default_rng(seed)
    shops = [dated(random_shop(rng), rng, "makespan + 2 total_weighted_tardiness + max_lateness") for _ in range(3)]
    simulation = Simulation(Model(shops, options), shops, 3)
    simulation.reset()
    twin = simulation.engine.twin()
    twin.reset()
    for _ in range(12):
        actions = legal(simulation.mask, rng)
        if rng.random() < 0.1:
            actions[0] = -1
        simulation.step(actions)
        twin.step(actions.numpy())
        for name, tensor in simulation.engine.tensors.items():
            assert tensor.numpy().tobytes() == getattr(twin.state, name).tobytes(), name


@settings(max_examples=30)
@given(choices, seeds)
def test_an_illegal_action_costs_what_the_worst_schedule_does(random_shop, dated, legal, options, seed):
    rng = np.random.default_rng(seed)
    shop = dated(random_shop(rng), rng)
    simulation = Simulation(Model([shop], options), [shop], 1)
    simulation.reset()
    if simulation.terminated[0]:
        return
    first = recomputed(
        shop, shop.release + shop.duration.sum(axis=1), int(simulation.engine.tensors["initial_bound"][0])
    )
    total = 0.0
    for _ in range(int(rng.integers(3))):
        simulation.step(legal(simulation.mask, rng))
        total += float(simulation.reward[0])
    if not simulation.terminated[0]:
        simulation.step(torch.tensor([-1]))
        total += float(simulation.reward[0])
        assert int(simulation.outcome()[shop.objective][0]) == shop.worst_cost
        assert total == pytest.approx((first - shop.worst_cost) / shop.scale, abs=1e-4)


def test_due_dates_beside_the_makespan_change_no_decision(random_shop, dated, legal):
    """The choices, the schedules and the return are the same; rewards come earlier, since the bound is sharper."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        plain = random_shop(rng)
        pair = [plain, dated(plain, rng, "makespan")]
        one, other = (Simulation(Model([shop], Options()), [shop], 1) for shop in pair)
        one.reset()
        other.reset()
        assert "due_date" not in one.columns and "due_date" in other.columns
        total = [0.0, 0.0]
        while not one.terminated[0]:
            assert (one.mask == other.mask).all()
            action = legal(one.mask, rng)
            for k, simulation in enumerate((one, other)):
                simulation.step(action)
                total[k] += float(simulation.reward[0])
        assert total[0] == pytest.approx(total[1], abs=1e-5)
        assert (one.schedule().entries == other.schedule().entries).all() and other.terminated[0]


def test_objectives_do_not_mix_in_one_environment(random_shop, dated):
    rng = np.random.default_rng(0)
    shop = random_shop(rng)
    late, flow = dated(shop, rng, "total_tardiness"), dated(shop, rng, "total_flow_time")
    with pytest.raises(OptionError, match="total_tardiness, total_flow_time"):
        Model([late, flow])
    with pytest.raises(OptionError, match="does not fit .*total_tardiness"):
        Model([late]).pack([flow])
    with pytest.raises(OptionError, match="without due dates or weights"):
        Model([shop]).pack([dated(shop, rng, "makespan")])
    packed = Model([shop, dated(shop, rng, "makespan")]).pack([shop])
    assert (packed["job_costs"][0, :, 0] == DISTANT).all() and (packed["operation_due"] == DISTANT).all()
    assert Model.size_key(late) != Model.size_key(flow) != Model.size_key(shop)
