"""CP-SAT reaches the known optimum, agrees with brute force, and says what it did not prove."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dispatchgym
from dispatchgym.baselines.cp_sat import STATUSES, CpSatAnswer, lower_bound, solve_job_shop
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check, metrics

# Fisher and Thompson (1963), 6 jobs on 6 machines: pairs of machine and processing time
FT06 = """
2 1 0 3 1 6 3 7 5 3 4 6
1 8 2 5 4 10 5 10 0 10 3 4
2 5 3 4 5 8 0 9 1 1 4 7
1 5 0 5 2 5 3 3 4 8 5 9
2 9 1 3 4 5 5 4 0 3 3 1
1 3 3 3 5 9 0 10 4 4 2 1
"""


@pytest.fixture(scope="module")
def ft06() -> JobShopInstance:
    numbers = np.array(FT06.split(), dtype=np.int32).reshape(6, 6, 2)
    return JobShopInstance("ft06", 6, numbers[:, :, 1], numbers[:, :, 0])


def random_instance(rng: np.random.Generator, jobs: int, longest: int, machines: int) -> JobShopInstance:
    """General routes of different lengths, with releases and operations of length 0."""
    routes = rng.integers(1, longest + 1, jobs)
    routes[rng.integers(jobs)] = longest
    there = np.arange(longest) < routes[:, None]
    duration = np.where(there, rng.integers(0, 8, (jobs, longest)), 0).astype(np.int32)
    machine = np.where(there, rng.integers(0, machines, (jobs, longest)), -1).astype(np.int32)
    release = rng.integers(0, 8, jobs).astype(np.int32) if rng.random() < 0.5 else None
    return JobShopInstance("tiny", machines, duration, machine, release)


def large_instance() -> JobShopInstance:
    rng = np.random.default_rng(0)
    machine = np.stack([rng.permutation(20) for _ in range(30)]).astype(np.int32)
    return JobShopInstance("large", 20, rng.integers(1, 100, (30, 20)).astype(np.int32), machine)


def brute_force(instance: JobShopInstance) -> int:
    """The least makespan over every semi-active schedule: every order in which jobs take their turns."""
    routes = instance.operations.tolist()

    def best(step: tuple[int, ...], free_job: tuple[int, ...], free_machine: tuple[int, ...]) -> int:
        found = [max(free_job)] if list(step) == routes else []
        for job in range(instance.jobs):
            if step[job] == routes[job]:
                continue
            machine, length = int(instance.machine[job, step[job]]), int(instance.duration[job, step[job]])
            jobs, machines = list(free_job), list(free_machine)
            if length > 0:
                jobs[job] = machines[machine] = max(jobs[job], machines[machine]) + length
            steps = (*step[:job], step[job] + 1, *step[job + 1 :])
            found.append(best(steps, tuple(jobs), tuple(machines)))
        return min(found)

    return best((0,) * instance.jobs, tuple(instance.release.tolist()), (0,) * instance.machines)


def test_ft06_is_proven(ft06):
    answer = solve_job_shop(ft06)
    assert (answer.objective, answer.bound, answer.status) == (55, 55, "optimal")
    assert check(ft06, answer.schedule) == []
    assert metrics(ft06, answer.schedule)["makespan"] == 55
    assert answer.runtime_s > 0


def test_the_same_seed_gives_the_same_schedule(ft06):
    first, second = (solve_job_shop(ft06, seed=7).schedule.entries for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("jobs", "longest", "machines", "count"), [(2, 2, 2, 100), (3, 2, 2, 100), (2, 3, 3, 100), (3, 3, 2, 40)]
)
def test_brute_force_agrees(jobs, longest, machines, count):
    rng = np.random.default_rng([jobs, longest])
    for _ in range(count):
        instance = random_instance(rng, jobs, longest, machines)
        answer = solve_job_shop(instance)
        assert answer.status == "optimal"
        assert answer.objective == answer.bound == brute_force(instance)
        assert lower_bound(instance) <= answer.bound
        assert check(instance, answer.schedule) == []


def test_an_operation_of_length_zero_overlaps_nothing():
    # job 1 has a visit of length 0 to machine 0 at time 2, while job 0 is on it from 0 to 4
    duration, machine = np.array([[4, 0, 0], [2, 0, 2]], np.int32), np.array([[0, -1, -1], [1, 0, 1]], np.int32)
    instance = JobShopInstance("zero", 2, duration, machine)
    answer = solve_job_shop(instance)
    assert answer.objective == 4
    assert check(instance, answer.schedule) == []


def test_nothing_to_do_takes_no_time():
    instance = JobShopInstance("idle", 1, np.zeros((2, 1), np.int32), np.zeros((2, 1), np.int32))
    answer = solve_job_shop(instance)
    assert (answer.objective, answer.bound, answer.status) == (0, 0, "optimal")


def test_no_operation_could_start_earlier_on_its_own(ft06):
    entries = solve_job_shop(ft06).schedule.entries
    for job, step, machine, start, _ in entries.tolist():
        ends = entries[((entries[:, 0] == job) & (entries[:, 1] == step - 1)) | (entries[:, 2] == machine), 4]
        assert start == max([end for end in ends.tolist() if end <= start], default=0)


def test_a_short_limit_is_told_from_a_proof():
    instance = large_instance()
    answer = solve_job_shop(instance, time_limit=0.01)
    assert answer.status in ("feasible", "unknown")
    assert answer.status in STATUSES
    assert isinstance(answer.bound, int) and answer.bound >= lower_bound(instance) > 0
    assert isinstance(answer.runtime_s, float)
    if answer.status == "unknown":
        assert answer.schedule is None and answer.objective is None
    else:
        assert isinstance(answer.objective, int) and answer.objective > answer.bound
        assert check(instance, answer.schedule) == []


def test_without_time_nothing_is_made_up():
    answer = solve_job_shop(large_instance(), time_limit=1e-9)
    assert (answer.schedule, answer.objective, answer.status) == (None, None, "unknown")
    assert isinstance(answer.bound, int) and answer.bound > 0


def test_a_hint_may_be_good_partial_or_nonsense(ft06):
    best = solve_job_shop(ft06).schedule
    rows = [[0, 0, 2, -5, 1], [0, 0, 2, 9, 10], [99, -1, 7, 0, 0], [1, 0, 1, 2**63 - 1, 0], [1, 1, 1, -(2**63), 0]]
    nonsense = Schedule(ft06, np.array(rows))
    for hint in (best, Schedule(ft06, best.entries[:10]), nonsense):
        answer = solve_job_shop(ft06, hint=hint)
        assert (answer.objective, answer.status) == (55, "optimal")
        assert check(ft06, answer.schedule) == []


def test_the_solver_is_given_the_hint(ft06, monkeypatch):
    from ortools.sat.python import cp_model

    models, solve = [], cp_model.CpSolver.solve
    monkeypatch.setattr(cp_model.CpSolver, "solve", lambda self, model: models.append(model) or solve(self, model))
    best = solve_job_shop(ft06).schedule
    solve_job_shop(ft06, hint=best)
    assert len(models[0].proto.solution_hint.vars) == 0
    given = models[1].proto.solution_hint
    hinted = {models[1].proto.variables[at].name: value for at, value in zip(given.vars, given.values, strict=True)}
    expected = {f"start_{job}_{step}": start for job, step, _, start, _ in best.entries.tolist()}
    assert hinted == expected | {"makespan": 55}


@pytest.mark.parametrize("time_limit", [0, -1.0, float("nan"), "60", None, True])
def test_a_bad_time_limit_is_refused(ft06, time_limit):
    with pytest.raises(OptionError, match="time_limit"):
        solve_job_shop(ft06, time_limit=time_limit)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("seed", 2**31), ("seed", 0.5), ("workers", 0)])
def test_bad_options_are_refused(ft06, name, value):
    with pytest.raises(OptionError, match=name):
        solve_job_shop(ft06, **{name: value})


def test_importing_does_not_import_ortools():
    code = "import sys, dispatchgym.baselines.cp_sat; sys.exit('ortools' in sys.modules)"
    root = str(Path(dispatchgym.__file__).parent.parent)
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}).returncode == 0


def test_the_answer_is_frozen():
    answer = CpSatAnswer(None, None, 3, "unknown", 0.1)
    with pytest.raises(AttributeError):
        answer.bound = 4
