"""The dynamic program against every permutation, against constraint programming, and on the published example."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatchgym
from dispatchgym.baselines.cp_sat import solve_job_shop
from dispatchgym.baselines.single_machine import MAX_JOBS, MAX_TABLE, solve_single_machine
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import MEASURES
from dispatchgym.instances.catalogue import load, load_many

SUMS = [name for name in MEASURES if name != "max_lateness"]


def queue(length, due, weight=None, release=0, objective=None) -> JobShopInstance:
    """Jobs on one machine, all released at one time."""
    jobs = len(length)
    return JobShopInstance(
        "queue", 1, np.array(length)[:, None], np.zeros((jobs, 1), int), np.full(jobs, release), due, weight, objective
    )


def every_order(shop: JobShopInstance, value) -> int:
    """The least of a function of completion times over all sequences."""
    best = None
    for order in permutations(range(shop.jobs)):
        time, completion = int(shop.release[0]), [0] * shop.jobs
        for job in order:
            time += int(shop.duration[job, 0])
            completion[job] = time
        best = value(completion) if best is None else min(best, value(completion))
    return best


def measured(shop: JobShopInstance, completion: list[int]) -> int:
    """The objective of completion times, by its definition."""
    rows = list(zip(completion, shop.release.tolist(), shop.due.tolist(), shop.weight.tolist(), strict=True))
    value = {
        "makespan": max(completion),
        "total_flow_time": sum(c - r for c, r, _, _ in rows),
        "total_weighted_flow_time": sum(w * (c - r) for c, r, _, w in rows),
        "total_tardiness": sum(max(c - d, 0) for c, _, d, _ in rows),
        "total_weighted_tardiness": sum(w * max(c - d, 0) for c, _, d, w in rows),
        "number_tardy": sum(c > d for c, _, d, _ in rows),
        "weighted_number_tardy": sum(w for c, _, d, w in rows if c > d),
    }
    terms = [term.split() for term in shop.objective.split(" + ")]
    return sum(int(term[0] if len(term) > 1 else 1) * value[term[-1]] for term in terms)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.dictionaries(st.sampled_from(SUMS), st.integers(1, 5), min_size=1), st.booleans())
def test_no_sequence_is_better(seed, terms, long):
    rng, jobs = np.random.default_rng(seed), 1 + seed % 6
    unit = MAX_TABLE if long else 1  # longer than costs are tabulated for
    length = rng.integers(0, 15, jobs) * unit
    due = rng.integers(-5 * unit, int(length.sum()) + 5, jobs)
    objective = " + ".join(f"{coefficient} {name}" for name, coefficient in terms.items())
    shop = queue(length, due, rng.integers(1, 6, jobs), int(rng.integers(0, 9)), objective)
    answer = solve_single_machine(shop)
    assert answer.schedule.violations() == []
    assert answer.objective == answer.schedule.metrics()[shop.objective]
    assert answer.objective == every_order(shop, lambda completion: measured(shop, completion))


@pytest.mark.parametrize("name", ["single-8:0-9", "weighted-single-8:0-9"])
def test_constraint_programming_agrees(name):
    for shop in load_many(name):
        answer = solve_job_shop(shop)
        assert answer.status == "optimal"
        assert answer.objective == answer.bound == solve_single_machine(shop).objective


def test_the_published_example():
    """Six jobs of Cetinkaya et al. (2025), whose optimum is 141."""
    example = queue([10, 11, 10, 10, 11, 10], [15, 11, 13, 11, 12, 11])
    assert solve_single_machine(example).objective == 141


def test_twenty_jobs_are_solved_on_the_command_line():
    schedule = dispatchgym.solve("single-20:0", "dp")
    assert schedule.violations() == [] and schedule.metrics()["total_tardiness"] == 106


@pytest.mark.parametrize(
    ("shop", "message"),
    [
        (load("tardiness-4x3:0"), "one operation on one machine"),
        (queue([1] * (MAX_JOBS + 1), [1] * (MAX_JOBS + 1)), "at most 20 jobs"),
        (queue([1, 2], [3, 4], objective="max_lateness"), "maximum lateness"),
        (JobShopInstance("late", 1, [[1], [2]], [[0], [0]], [0, 1], [3, 4]), "released together"),
        (JobShopInstance("again", 1, [[1, 2]], [[0, 0]], due=[3]), "one operation on one machine"),
    ],
)
def test_other_instances_are_refused(shop, message):
    with pytest.raises(OptionError, match=f"does not take {shop.name}: .*{message}"):
        solve_single_machine(shop)
