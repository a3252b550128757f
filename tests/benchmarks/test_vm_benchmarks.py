"""The arithmetic of the benchmarks of VM rescheduling, on clusters small enough to be seen through."""

import numpy as np
import pytest

from dispatchgym.envs.core import registry
from dispatchgym.envs.core.solvers import Limits, resolve, solve


def test_slots_are_counted_from_the_optimum(script):
    instances = registry.instances(["plateau", "remainder"], "vm")
    rows = {row[0]: row[1:] for row in script("vm_planners").table(instances, ("no-op", "greedy"), {"mnl": 50}, 10.0)}
    last = rows["mip, proved 2 of 2"]
    assert last[:5] == ["0.1000", "0.00", "0.00", "2 of 2", "2 of 2"]
    start = [i.free_cores for i in instances]
    over = [((cores % 16).sum() / cores.sum() - best) * cores.sum() / 16 for cores, best in zip(start, (0, 0.2))]  # noqa: B905
    assert float(rows["no-op"][1]) == pytest.approx(np.mean(over), abs=0.01)
    assert rows["no-op"] [:5] == rows["greedy"][:5], "no single move frees anything on these"  # fmt: skip


def test_policies_that_do_not_apply_are_left_out(script):
    instances = registry.instances(["plateau"], "vm")
    rows = script("vm_planners").table(instances, ("mip-reduced", "greedy"), {"weight_64": 100}, 10.0)
    assert [row[0].split(",")[0] for row in rows] == ["greedy", "mip"]


def test_without_moves_the_hint_is_the_life_itself(script):
    churn = script("vm_churn")
    instance = registry.instances(["churn-8-6:0"], "vm")[0]
    options = registry.family("vm").make_options()
    moments = churn.life_without_moves(instance, options)
    assert [moment for moment, _ in moments] == [instance.horizon * k // 11 for k in range(1, 11)]
    schedule = solve(resolve("no-op", "vm"), [instance], Limits())[0].schedule
    hint = churn.hindsight(instance, schedule, options)
    assert hint == pytest.approx(schedule.metrics()["mean_fragment_rate"], abs=0.1)  # ten moments of a curve
    moved = solve(resolve("macro-quick", "vm"), [instance], Limits())[0].schedule
    assert churn.hindsight(instance, moved, options) < hint
