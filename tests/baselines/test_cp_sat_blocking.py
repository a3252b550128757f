"""CP-SAT finds what trying everything finds in blocking shops, with and without swaps, and what was published."""

from functools import cache

import numpy as np
import pytest

import dispatchgym
from dispatchgym.baselines.cp_sat import solve_job_shop
from dispatchgym.baselines.cp_sat_blocking import Standing, solve_blocking
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import cost
from dispatchgym.envs.job_shop.validator import check, metrics

SIZES = [(2, 2), (2, 3), (3, 2), (3, 3)]  # jobs and machines
OBJECTIVES = [
    "makespan", "total_flow_time", "total_weighted_tardiness", "max_lateness", "weighted_number_tardy",
    "makespan + 3 total_tardiness",
]  # fmt: skip


def tiny_instance(number: int, objective: str = "makespan") -> JobShopInstance:
    """Classic routes and general ones in turn; lengths of 0 and releases in some."""
    rng = np.random.default_rng([number, 2002])
    jobs, machines = SIZES[number % 4]
    machine = np.stack([rng.permutation(machines) for _ in range(jobs)])
    if number % 8 >= 4:
        machine = rng.integers(0, machines, (jobs, machines))
        short = rng.integers(1, machines + 1, jobs)
        short[rng.integers(jobs)] = machines
        machine[np.arange(machines) >= short[:, None]] = -1
    least = int(number % 3 > 0)
    duration = np.where(machine >= 0, rng.integers(least, 8, machine.shape), 0)
    release = rng.integers(0, 6, jobs) if number % 5 == 0 else np.zeros(jobs, int)
    due = release + np.rint(duration.sum(axis=1) * rng.uniform(0.8, 1.8, jobs)).astype(int)
    return JobShopInstance("tiny", machines, duration, machine, release, due, rng.integers(1, 4, jobs), objective)


class Shop:
    """What the statement allows, with the jobs' places as tuples.

    Args:
        instance: the problem.
        buffers: ``"none"`` or ``"swap"``.
    """

    def __init__(self, instance: JobShopInstance, buffers: str):
        self.instance, self.swaps = instance, buffers == "swap"
        self.routes = [
            list(zip(machine[:length], duration[:length], strict=True))
            for machine, duration, length in zip(
                instance.machine.tolist(), instance.duration.tolist(), instance.operations.tolist(), strict=True
            )
        ]
        self.release = tuple(instance.release.tolist())

    def groups(self, step, at) -> list[list[int]]:
        """Jobs that may move as one, if they have finished: alone into an empty machine, or around a cycle."""
        holder = {machine: job for job, machine in enumerate(at) if machine is not None}
        target = {j: self.routes[j][step[j]][0] for j in range(len(at)) if step[j] < len(self.routes[j])}
        found = [[j] for j, machine in target.items() if holder.get(machine, j) == j]
        for j in target if self.swaps else ():
            cycle, k = [j], holder.get(target[j])
            while k is not None and k not in cycle and k in target:
                cycle.append(k)
                k = holder.get(target[k])
            if k == j and len(cycle) > 1 and at[j] is not None and j == min(cycle):
                found.append(cycle)
        return found

    def best(self) -> int:
        """Over all orders of moves, each as early as its order lets it: all semi-active schedules."""
        jobs, machines = self.instance.jobs, self.instance.machines

        @cache
        def least(step, at, ready, left) -> float:
            if all(s == len(route) for s, route in zip(step, self.routes, strict=True)):
                return cost(self.instance, np.array(ready))
            found = [float("inf")]
            for group in self.groups(step, at):
                after_step, after_at, after_ready, after_left = list(step), list(at), list(ready), list(left)
                start = max(ready[j] for j in group)
                if len(group) == 1:
                    start = max(start, left[self.routes[group[0]][step[group[0]]][0]])
                for j in group:
                    if at[j] is not None:
                        after_left[at[j]] = start
                for j in group:
                    machine, length = self.routes[j][step[j]]
                    after_ready[j], after_at[j] = start + length, machine
                    after_step[j] += 1
                    if after_step[j] == len(self.routes[j]):
                        after_at[j], after_left[machine] = None, start + length
                found.append(least(*map(tuple, (after_step, after_at, after_ready, after_left))))
            return min(found)

        return least((0,) * jobs, (None,) * jobs, self.release, (0,) * machines)

    def best_in_time(self, allows=lambda step, at: True) -> float:
        """Over all decisions at the events of a clock: move a group that has finished, or wait for the next event.

        Args:
            allows: from the step of each job's next operation and its machine to whether a move may lead there.
        """
        jobs = self.instance.jobs

        @cache
        def least(now, step, at, ready) -> float:
            at = tuple(
                None if step[j] == len(self.routes[j]) and ready[j] <= now else machine for j, machine in enumerate(at)
            )
            if all(s == len(route) for s, route in zip(step, self.routes, strict=True)):
                return cost(self.instance, np.array(ready))
            found = [float("inf")]
            later = [time for time in ready if time > now]
            if later:
                found.append(least(min(later), step, at, ready))
            for group in self.groups(step, at):
                if any(ready[j] > now for j in group):
                    continue
                after_step, after_at, after_ready = list(step), list(at), list(ready)
                for j in group:
                    machine, length = self.routes[j][step[j]]
                    after_step[j], after_at[j], after_ready[j] = step[j] + 1, machine, now + length
                if allows(tuple(after_step), tuple(after_at)):
                    found.append(least(now, *map(tuple, (after_step, after_at, after_ready))))
            return min(found)

        return least(0, (0,) * jobs, (None,) * jobs, self.release)

    def safe(self, step, at) -> bool:
        """Whether the jobs inside can leave one after another, each over machines that are empty by then."""
        inside = {j: self.routes[j][step[j] :] for j, machine in enumerate(at) if machine is not None}
        at = dict(enumerate(at))
        while inside:
            held = {at[j] for j in inside}
            goes = [j for j, rest in inside.items() if all(k not in held or k == at[j] for k, _ in rest)]
            if not goes:
                return False
            del inside[goes[0]]
        return True


def hidden(number: int, buffers: str) -> bool:
    """Whether safety hides every optimum of an instance."""
    found = Shop(tiny_instance(number), buffers)
    return found.best_in_time(found.safe) > found.best_in_time()


@pytest.mark.parametrize("buffers", ["none", "swap"])
def test_trying_everything_agrees(buffers):
    for number in range(40):
        instance = tiny_instance(number, OBJECTIVES[number % len(OBJECTIVES)])
        answer, best = solve_blocking(instance, buffers), Shop(instance, buffers).best()
        assert answer.status == "optimal"
        assert answer.objective == answer.bound == best, number
        assert check(instance, answer.schedule) == [], number
        assert metrics(instance, answer.schedule)[instance.objective] == best


@pytest.mark.parametrize("buffers", ["none", "swap"])
def test_events_are_moments_enough(buffers):
    for number in range(24):
        shop = Shop(tiny_instance(number, OBJECTIVES[number % len(OBJECTIVES)]), buffers)
        assert shop.best_in_time() == shop.best()


def test_safe_moves_hide_the_optimum_of_some_shops():
    assert [number for number in range(40) if hidden(number, "none")] == [3, 19, 35]


@pytest.mark.parametrize(("name", "swap", "none"), [("ft06", 63, 69), ("la01", None, 881)])
def test_published_optima(name, swap, none):
    # la01: Pranzo and Pacciarelli (2016), blocking without swap
    instance = dispatchgym.load(name)
    for buffers, optimum in (("swap", swap), ("none", none)):
        if optimum is not None:
            answer = solve_blocking(instance, buffers)
            assert (answer.objective, answer.bound, answer.status) == (optimum, optimum, "optimal")
            assert answer.schedule.conditions == {"buffers": buffers}
            assert check(instance, answer.schedule) == []


def test_with_unlimited_room_it_is_the_classic_shop():
    for number in range(12):
        instance = tiny_instance(number, OBJECTIVES[number % len(OBJECTIVES)])
        answer, classic = solve_blocking(instance, "unlimited"), solve_job_shop(instance)
        assert answer.objective == answer.bound == classic.objective
        assert answer.schedule.conditions == {} and check(instance, answer.schedule) == []


def test_there_is_a_schedule_however_little_time():
    rng = np.random.default_rng(0)
    machine = np.stack([rng.permutation(10) for _ in range(12)])
    instance = JobShopInstance("larger", 10, rng.integers(1, 100, (12, 10)), machine)
    for buffers in ("none", "swap"):
        answer = solve_blocking(instance, buffers, time_limit=0.2)
        assert answer.status == "feasible" and answer.bound < answer.objective
        assert check(instance, answer.schedule) == []


def cross() -> JobShopInstance:
    """Two jobs that want each other's machine."""
    return JobShopInstance("cross", 2, [[2, 3], [4, 1]], [[0, 1], [1, 0]])


@pytest.mark.parametrize(("buffers", "makespan"), [("none", None), ("swap", 7), ("unlimited", 7)])
def test_from_where_nobody_can_move_there_is_no_schedule(buffers, makespan):
    standing = Standing(np.array([True, True]), np.zeros(2, np.int64))
    answer = solve_blocking(cross(), buffers, standing=standing)
    assert (answer.status, answer.objective) == ("optimal" if makespan else "infeasible", makespan)
    assert (answer.schedule is None) == (makespan is None)


def test_nobody_starts_before_a_machine_returns():
    standing = Standing(np.array([True, False]), np.array([0, 5]))
    answer = solve_blocking(cross(), "none", standing=standing)
    starts = {(job, step): start for job, step, _, start, _ in answer.schedule.entries.tolist()}
    # job 0 is on machine 0, and enters machine 1 as it returns; job 1 follows as job 0 completes
    assert starts == {(0, 0): 0, (0, 1): 5, (1, 0): 8, (1, 1): 12}


def test_a_finished_job_at_its_machine_leaves_before_another_enters():
    # job 0 has finished on machine 0 (nothing left of it) and needs machine 1, where job 1 runs for 3 more
    instance = JobShopInstance("rest", 2, [[0, 1], [3, 0], [2, 0]], [[0, 1], [1, -1], [0, -1]])
    standing = Standing(np.array([True, True, False]), np.zeros(2, np.int64))
    for buffers, start in (("none", 3), ("swap", 3), ("unlimited", 0)):
        entries = solve_blocking(instance, buffers, standing=standing).schedule.entries.tolist()
        assert [row[3] for row in entries if row[0] == 2] == [start]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"buffers": "some"}, "buffers must be one of unlimited, none, swap"), ({"time_limit": 0}, "time_limit"),
     ({"seed": -1}, "seed"), ({"workers": 0}, "workers")],
)  # fmt: skip
def test_what_is_wrong_is_named(given, words):
    with pytest.raises(OptionError, match=words):
        solve_blocking(cross(), **{"buffers": "none"} | given)
