"""The package as a user meets it: a few functions, doctests, and what the project file promises."""

import doctest
import importlib
import tomllib
from pathlib import Path

import pytest

import dispatchgym
from dispatchgym.envs.core.errors import DispatchGymError, InstanceError, OptionError, ScheduleError, UnknownNameError

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def modules() -> list[str]:
    """Every module of the package that imports without optional libraries."""
    folders = [name.removeprefix("dispatchgym").removeprefix(".") for name in PROJECT["tool"]["setuptools"]["packages"]]
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder.replace(".", "/")).glob("*.py")):
            parts = ["dispatchgym", *filter(None, folder.split(".")), *([path.stem] if path.stem != "__init__" else [])]
            found.append(".".join(parts))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


@pytest.mark.parametrize(
    "name", ["dispatchgym", "dispatchgym.envs.job_shop.env", "dispatchgym.envs.job_shop.generator"]
)
def test_there_are_examples(name):
    assert doctest.testmod(importlib.import_module(name)).attempted > 0


def test_every_folder_with_code_is_packaged():
    outside = {"tests", "benchmarks", "build", "dist", "runs"}
    folders = {path.parent.relative_to(ROOT) for path in ROOT.rglob("__init__.py")}
    folders = {f for f in folders if not {*f.parts} & outside and not any(part.startswith(".") for part in f.parts)}
    expected = {".".join(["dispatchgym", *folder.parts]) for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == expected


def test_one_version():
    assert dispatchgym.__version__ == PROJECT["project"]["version"]


def test_four_lines_of_python():
    instance = dispatchgym.load("ta01")
    schedule = dispatchgym.solve(instance, "fdd/mwkr")
    assert dispatchgym.validate(instance, schedule) == []
    assert schedule.metrics()["makespan"] == 1433
    assert all(hasattr(dispatchgym, name) for name in dispatchgym.__all__)
    with pytest.raises(AttributeError, match="'dispatchgym' has no attribute 'Ruler'"):
        dispatchgym.Ruler  # noqa: B018


def test_a_rule_of_ones_own():
    """With the options of the shipped rules it is the shipped rule."""
    spt = dispatchgym.Rule(lambda c: c.processing_time, options={"construction": "non-delay"})
    assert dispatchgym.solve("ta01", spt).metrics()["makespan"] == 1462
    assert dispatchgym.solve("ta01", "spt").metrics()["makespan"] == 1462
    bare = dispatchgym.Rule(lambda c: c.processing_time)
    assert bare.doc == "" and bare.options is None
    assert dispatchgym.solve("ta01", bare).metrics()["makespan"] == 1966, "alone it dispatches as environments do"
    assert dispatchgym.solve("ta01", bare, construction="insertion").metrics()["makespan"] == 2099


def test_instances_are_solved_by_name(tmp_path):
    path = tmp_path / "shop.txt"
    path.write_text("2 2\n0 3 1 4\n1 5 0 6\n", "utf-8")
    for named in ("6x6:3", str(path), str(tmp_path / "*.txt")):
        assert (
            dispatchgym.solve(named, "spt").entries.tolist()
            == dispatchgym.solve(dispatchgym.load(named), "spt").entries.tolist()
        )


def test_violations_come_in_words():
    instance = dispatchgym.load("ft06")
    schedule = dispatchgym.solve(instance, "spt")
    broken = type(schedule)(instance, schedule.entries[1:])
    words = dispatchgym.validate(instance, broken)
    assert (
        words
        and all(isinstance(word, str) for word in words)
        and "completeness: operation 0 of job 0 is missing" in words
    )


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: dispatchgym.load("ta99"), UnknownNameError, "ta01-80"),
        (lambda: dispatchgym.load("ta01", "flow_shop"), UnknownNameError, "job_shop"),
        (lambda: dispatchgym.load("./none.txt"), InstanceError, "none.txt"),
        (lambda: dispatchgym.solve("ta99", "spt"), UnknownNameError, "ta01-80"),
        (lambda: dispatchgym.solve("6x6:0-2", "spt"), OptionError, "stands for 3 instances"),
        (lambda: dispatchgym.solve("ft06", dispatchgym.Rule(lambda c: c.weight)), AttributeError, "processing_time"),
        (lambda: dispatchgym.solve("ft06", dispatchgym.Rule(lambda c: c.processing_time[0])), OptionError, "candidate"),
        (lambda: dispatchgym.solve(dispatchgym.load("ft06"), "alphabet"), UnknownNameError, "mwkr"),
        (lambda: dispatchgym.solve(dispatchgym.load("ft06"), "spt", colour=1), OptionError, "construction"),
        (lambda: dispatchgym.solve(dispatchgym.load("ft06"), "cp-sat", time_limit=0), OptionError, "time_limit"),
    ],
)
def test_errors_say_what_would_have_been_right(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_every_error_is_one_of_ours():
    for error in (InstanceError, OptionError, ScheduleError, UnknownNameError):
        assert issubclass(error, DispatchGymError)


def test_no_answer_is_an_error_and_not_a_substitute(monkeypatch):
    from dispatchgym.baselines.job_shop import POLICIES
    from dispatchgym.envs.core.solvers import Answer, Exact

    monkeypatch.setitem(POLICIES, "mute", Exact(lambda instance, limits: Answer(None, 0.0), "finds nothing"))
    with pytest.raises(DispatchGymError, match="mute found no schedule for ft06"):
        dispatchgym.solve(dispatchgym.load("ft06"), "mute")
