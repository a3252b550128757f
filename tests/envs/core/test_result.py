"""Results: one JSON line that refuses to say what cannot be true."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.result import Result, versions


def make_result(**changes) -> Result:
    values = dict(
        family="job_shop", instance="ft06", digest="0" * 16, policy="spt", seed=0, objective="makespan", value=60,
        metrics={"makespan": 60}, lower_bound=55, best_known=55, violations=[], runtime_s=0.1,
    )  # fmt: skip
    return Result(**(values | changes))


def test_the_gap_is_to_the_best_known():
    assert make_result().gap == pytest.approx(60 / 55 - 1)
    assert make_result(value=55).gap == 0
    assert make_result(best_known=None).gap is None
    assert make_result(value=None, violations=["no schedule"]).gap is None
    assert make_result(best_known=0, lower_bound=0).gap is None
    assert make_result(value=54, lower_bound=50).gap < 0, "better than what is known is possible"


def test_a_gap_of_what_may_be_zero_is_a_share_of_a_scale():
    perfect = dict(objective="total_tardiness", best_known=0, lower_bound=0, metrics={})
    assert make_result(**perfect, value=30, scale=600).gap == pytest.approx(0.05)
    assert make_result(**perfect, value=0, scale=600).gap == 0
    assert make_result(**perfect, value=30).gap is None, "without a scale nothing can be relative to 0"
    early = dict(objective="max_lateness", best_known=-20, lower_bound=-25, metrics={})
    assert make_result(**early, value=-5, scale=100).gap == pytest.approx(0.15)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    "changes",
    [
        {"value": NAN},
        {"value": INFINITY},
        {"value": -INFINITY},
        {"lower_bound": NAN},
        {"best_known": INFINITY},
        {"runtime_s": -0.001},
        {"runtime_s": NAN},
        {"lower_bound": 56},
        {"value": 54},
        {"gap": NAN},
        {"metrics": {"makespan": NAN}},
    ],
    ids=str,
)
def test_numbers_that_cannot_be_true_are_refused(changes):
    with pytest.raises(ScheduleError, match="result of spt on ft06"):
        make_result(**changes)


def test_an_infeasible_schedule_may_be_below_the_bound():
    assert make_result(value=10, violations=["capacity: two at once"]).gap < 0


def test_a_line_is_read_back():
    for result in (
        make_result(),
        make_result(value=None, metrics={}, violations=["a", "b: \n ü"], status="unknown"),
        make_result(lower_bound=None, best_known=None, device="cuda:0"),
        make_result(samples=64, options={"construction": 0.5, "forced_moves": True, "observation": "jobs"}),
    ):
        line = result.to_json()
        assert "\n" not in line and Result.from_json(line) == result
        assert json.loads(line)["versions"]["numpy"]


def test_a_line_without_samples_and_options_is_read():
    line = json.loads(make_result().to_json())
    assert line.pop("samples") == 1 and line.pop("options") == {}
    assert Result.from_json(json.dumps(line)) == make_result()


@given(value=st.floats(55, 1e12), runtime=st.floats(0, 1e9))
def test_numbers_survive_the_line(value, runtime):
    result = make_result(value=value, runtime_s=runtime)
    assert Result.from_json(result.to_json()) == result


@pytest.mark.parametrize(
    "line",
    ["", "{", "3", "null", "[]", '"x"', "{}", '{"family": "job_shop"}', "[" * 100_000, "NaN"],
    ids=lambda line: line[:12],
)
def test_what_is_no_result_line_is_refused(line):
    with pytest.raises(ScheduleError, match="not a result line"):
        Result.from_json(line)


@pytest.mark.parametrize("changes", [{"value": "60"}, {"runtime_s": [1]}, {"extra": 1}, {"value": NAN}], ids=str)
def test_a_line_with_nonsense_is_refused(changes):
    line = json.dumps(dataclasses.asdict(make_result()) | changes)
    with pytest.raises(ScheduleError):
        Result.from_json(line)


def test_versions_name_what_matters():
    assert {"python", "dispatchgym", "numpy", "torch", "warp-lang", "ortools"} <= versions().keys()
