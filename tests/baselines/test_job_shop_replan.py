"""Plans of what is left keep to what has happened, and lead to the optimum where nothing unforeseen does."""

from types import SimpleNamespace

import numpy as np
import pytest

from dispatchgym.baselines.cp_sat_blocking import solve_blocking
from dispatchgym.baselines.job_shop import POLICIES
from dispatchgym.baselines.job_shop_replan import RUNS, Moment, mean_repair, replan
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.core.solvers import Limits, run, solve
from dispatchgym.envs.job_shop import simulator_live_state
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check, metrics


def world(buffers: str = "none", interrupted: str = "resume", repair: int = 0) -> SimpleNamespace:
    return SimpleNamespace(buffers=buffers, interrupted=interrupted, repair=repair)


def moment(instance, now, rows, known=None, down=()) -> Moment:
    """A moment in which what has ended by now is done."""
    rows = np.array(rows, np.int64).reshape(-1, 5)
    done = np.bincount(rows[rows[:, 4] <= now, 0], minlength=instance.jobs)
    is_down = np.isin(np.arange(instance.machines), down)
    return Moment(now, rows, done, np.ones(instance.jobs, bool) if known is None else known, is_down)


def follow(instance: JobShopInstance, buffers: str) -> Schedule:
    """Plan anew at every event of a world without surprises."""
    rows, now, plan = [], 0, None
    while len(rows) < instance.operations.sum() or now < max(row[4] for row in rows):
        plan = replan(instance, world(buffers), moment(instance, now, rows), 10.0, before=plan) or plan
        begun = {(job, step) for job, step, *_ in rows}
        chosen = [job for job, start in plan.starts.items() if start == now]
        for job in chosen:
            step = sum((job, k) in begun for k in range(instance.operations[job]))
            rows.append([job, step, instance.machine[job, step], now, now + int(instance.duration[job, step])])
        if not any(row[3] == row[4] == now for row in rows[len(rows) - len(chosen) :]):
            times = [row[4] for row in rows] + list(plan.starts.values()) + instance.release.tolist()
            now = min((time for time in times if time > now), default=now + 1)
    return Schedule(instance, np.array(rows), {"buffers": buffers})


def shop(seed: int, objective: str = "makespan") -> JobShopInstance:
    rng = np.random.default_rng([seed, 77])
    machine = np.stack([rng.permutation(3) for _ in range(4)])
    duration, release = rng.integers(int(seed % 2), 9, (4, 3)), rng.integers(0, 9, 4)
    due = release + np.rint(duration.sum(axis=1) * 1.3).astype(int)
    return JobShopInstance("shop", 3, duration, machine, release, due, [1, 2, 3, 1], objective)


@pytest.mark.parametrize("buffers", ["unlimited", "none", "swap"])
@pytest.mark.parametrize("objective", ["makespan", "total_weighted_tardiness"])
def test_without_surprises_it_ends_at_the_optimum(buffers, objective):
    for seed in range(3):
        instance = shop(seed, objective)
        schedule = follow(instance, buffers)
        assert check(instance, schedule) == []
        assert metrics(instance, schedule)[objective] == solve_blocking(instance, buffers).objective


def two(first=(5, 4), second=(3, 6)) -> JobShopInstance:
    """Both jobs go over machine 0 and machine 1."""
    return JobShopInstance("two", 2, [list(first), list(second)], [[0, 1], [0, 1]])


def test_what_runs_goes_on_for_the_rest_of_its_estimate():
    plan = replan(two(), world(), moment(two(), 3, [[0, 0, 0, 0, 99]]), 5.0)
    assert plan.starts == {1: 5} and plan.order[0] == (0, 0)
    # longer than its estimate: any time now
    plan = replan(two(), world(), moment(two(), 30, [[0, 0, 0, 0, 99]]), 5.0)
    assert plan.starts == {1: 31}


def test_a_finished_job_holds_its_machine():
    rows = [[0, 0, 0, 0, 5], [0, 1, 1, 5, 9], [1, 0, 0, 5, 8]]
    assert replan(two(), world("none"), moment(two(), 8, rows), 5.0).starts == {1: 9}
    three = JobShopInstance("three", 2, [[5, 4], [3, 6], [1, 0]], [[0, 1], [0, 1], [0, -1]])
    assert replan(three, world("none"), moment(three, 8, rows), 5.0).starts == {1: 9, 2: 9}
    assert replan(three, world("unlimited"), moment(three, 8, rows), 5.0).starts == {1: 9, 2: 8}


@pytest.mark.parametrize(("interrupted", "start"), [("resume", 2 + 3 + 4), ("restart", 2 + 5 + 4)])
def test_a_machine_that_is_down_returns_after_the_mean_repair(interrupted, start):
    # the mean processing time is (5 + 4 + 3 + 6) // 4 = 4, a repair takes as long; 2 of 5 have been done
    assert mean_repair(two(), 100) == 4
    here = moment(two(), 2, [[0, 0, 0, 0, 2]], down=[0])
    here.done[0] = 0
    assert replan(two(), world("none", interrupted, 100), here, 5.0).starts == {1: start}
    # nobody is there: it may start when the machine is back
    assert replan(two(), world("none", interrupted, 100), moment(two(), 2, [], down=[0]), 5.0).starts[1] == 6


def test_an_operation_that_began_anew_has_most_to_come():
    rows = [[0, 0, 0, 0, 2], [0, 0, 0, 6, 11]]
    for interrupted, start in (("resume", 8 + 1), ("restart", 8 + 3)):
        here = moment(two(), 8, rows)
        here.done[0] = 0
        assert replan(two(), world("none", interrupted, 100), here, 5.0).starts == {1: start}


def test_jobs_that_are_not_known_are_not_planned():
    assert replan(two(), world(), moment(two(), 0, [], np.array([False, True])), 5.0).starts == {1: 0}
    assert replan(two(), world(), moment(two(), 0, [], np.array([False, False])), 5.0) is None


def test_where_nobody_can_move_there_is_no_plan():
    cross = JobShopInstance("cross", 2, [[2, 3], [4, 1]], [[0, 1], [1, 0]])
    here = moment(cross, 4, [[0, 0, 0, 0, 2], [1, 0, 1, 0, 4]])
    assert replan(cross, world("none"), here, 5.0) is None
    assert replan(cross, world("swap"), here, 5.0).starts == {0: 4, 1: 4}


WORLDS = [
    {"buffers": "none"},
    {"buffers": "swap"},
    {"buffers": "none", "noise": "lognormal", "sigma": 0.5, "uptime": 400, "repair": 100},
    {"buffers": "swap", "uptime": 800, "repair": 100, "interrupted": "restart"},
    {"noise": "gamma", "sigma": 0.3, "reveal": True},
    {"buffers": "none", "noise": "gaussian", "sigma": 0.3, "reveal": True, "safety": True},
    {"buffers": "none", "noise": "gaussian", "sigma": 0.3, "construction": "non-delay", "safety": True},
]


@pytest.mark.parametrize("options", WORLDS, ids=lambda options: "-".join(map(str, options.values())))
def test_it_completes_every_world(options):
    for objective in ("makespan", "total_weighted_tardiness"):
        instances = [shop(seed, objective) for seed in range(1, 4)]
        policy = POLICIES["cp-sat-replan"]
        answers = run(policy, instances, Limits(options=options))
        for instance, answer in zip(instances, answers, strict=True):
            assert check(instance, answer.schedule) == []
            found = metrics(instance, answer.schedule)[objective]
            if set(options) == {"buffers"}:  # nothing is unforeseen
                assert found == solve_blocking(instance, options["buffers"]).objective
            assert answer.options["construction"] == options.get("construction", "wait")


def test_it_plans_in_live_shops_only():
    policy = POLICIES["cp-sat-replan"]
    entry = family("job_shop")
    assert policy.accepts(shop(0), entry.make_options(buffers="swap"))
    assert not policy.accepts(shop(0), entry.make_options())
    with pytest.raises(OptionError, match="live shop"):
        run(policy, [shop(0)], Limits())


def test_the_states_of_running_jobs_are_those_of_the_simulator():
    assert RUNS == (int(simulator_live_state.RUNNING), int(simulator_live_state.INTERRUPTED))


def test_cp_sat_answers_in_the_world_of_the_policies():
    options = {"buffers": "none", "noise": "lognormal", "sigma": 0.5}
    instances = [shop(seed) for seed in range(1, 4)]
    exact = solve(POLICIES["cp-sat"], instances, Limits(seed=4, options=options))
    for name in ("spt", "cp-sat-replan"):
        for best, answer in zip(exact, solve(POLICIES[name], instances, Limits(seed=4, options=options)), strict=True):
            assert best.schedule.conditions == answer.schedule.conditions
            assert best.lower_bound == best.schedule.metrics()["makespan"] <= answer.schedule.metrics()["makespan"]
            assert best.status == "optimal" and best.schedule.violations() == []


@pytest.mark.parametrize(
    ("options", "accepts"),
    [({}, True), ({"buffers": "none"}, True), ({"reveal": True}, True), ({"uptime": 500, "repair": 50}, False)],
)
def test_cp_sat_is_told_where_machines_stop(options, accepts):
    assert POLICIES["cp-sat"].accepts(shop(0), family("job_shop").make_options(**options)) == accepts
