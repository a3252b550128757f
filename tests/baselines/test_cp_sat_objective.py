"""Every objective of the constraint model against every order of the operations of small shops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.cp_sat import lower_bound, solve_job_shop
from dispatchgym.baselines.cp_sat_objective import cost_bound
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import MEASURES
from dispatchgym.instances.catalogue import load_many


def best_of_all(shop: JobShopInstance) -> int:
    """The least objective over every order in which jobs may take their turns, read off by the validator's metrics."""
    routes, found, seen = shop.operations.tolist(), [], set()

    def extend(step, free_job, free_machine, rows):
        if (key := (step, free_job, free_machine, tuple(sorted(rows)))) in seen:
            return
        seen.add(key)
        if list(step) == routes:
            found.append(Schedule(shop, np.array(rows)).metrics()[shop.objective])
        for job in range(shop.jobs):
            if step[job] < routes[job]:
                machine, length = int(shop.machine[job, step[job]]), int(shop.duration[job, step[job]])
                start = max(free_job[job], free_machine[machine]) if length else free_job[job]
                jobs, machines = list(free_job), list(free_machine)
                jobs[job] = start + length
                machines[machine] = max(machines[machine], start + length) if length else machines[machine]
                steps = (*step[:job], step[job] + 1, *step[job + 1 :])
                extend(steps, tuple(jobs), tuple(machines), [*rows, (job, step[job], machine, start, start + length)])

    extend((0,) * shop.jobs, tuple(shop.release.tolist()), (0,) * shop.machines, [])
    return min(found)


@pytest.mark.parametrize("objective", [*MEASURES, "2 makespan + total_weighted_tardiness + 9 number_tardy", None])
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_order_is_better(dated, objective, seed):
    rng = np.random.default_rng(seed)
    jobs, machines, longest = 3, 2, 2
    machine = rng.integers(0, machines, (jobs, longest))
    release = rng.integers(0, 6, jobs)
    plain = JobShopInstance("tiny", machines, rng.integers(0, 8, (jobs, longest)), machine, release)
    shop = dated(plain, rng, objective)
    answer = solve_job_shop(shop)
    assert answer.status == "optimal" and answer.schedule.violations() == []
    assert answer.objective == answer.bound == answer.schedule.metrics()[shop.objective] == best_of_all(shop)
    assert cost_bound(shop, lower_bound(shop)) <= answer.objective


def test_a_hint_without_a_makespan_to_hint():
    shop = load_many("tardiness-4x3:0")[0]
    best = solve_job_shop(shop)
    again = solve_job_shop(shop, hint=best.schedule)
    assert (again.objective, again.status) == (best.objective, "optimal")


def test_a_short_limit_is_told_from_a_proof():
    shop = load_many("tardiness-10x5:0")[0]
    answer = solve_job_shop(shop, time_limit=1.0)
    assert answer.status == "feasible" and answer.bound < answer.objective
    assert answer.bound >= cost_bound(shop, lower_bound(shop)) and answer.schedule.violations() == []


def test_jobs_that_are_never_late_cost_nothing():
    shop = JobShopInstance("loose", 1, [[3], [4]], [[0], [0]], due=[100, 7], objective="total_tardiness + number_tardy")
    answer = solve_job_shop(shop)
    assert (answer.objective, answer.bound, answer.status) == (0, 0, "optimal")
