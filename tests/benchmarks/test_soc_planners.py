"""The planner benchmark's own arithmetic and problems: nothing is timed and nothing is installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def benchmark(script):
    """The module of the command."""
    return script("soc_planners")


@pytest.fixture(scope="module")
def ours(script):
    """The script that measures dispatchgym."""
    return script("run_list_scheduling")


@pytest.mark.parametrize("related", [True, False])
def test_problems_have_one_entry_and_one_exit_and_whole_times(benchmark, ours, related):
    rng = np.random.default_rng(0)
    for tasks in (3, 30, 300):
        problem = json.loads(json.dumps(benchmark.random_problem(rng, tasks, related)))
        instance = ours.convert(problem)  # refused if it were not a graph or too large
        edges, volume = instance.graphs[0].edges, instance.graphs[0].volume
        assert set(range(tasks)) - set(edges[:, 1].tolist()) == {0}
        assert set(range(tasks)) - set(edges[:, 0].tolist()) == {tasks - 1}
        assert (instance.bandwidth == instance.bandwidth.T).all()
        assert all((volume % bandwidth == 0).all() for bandwidth in instance.bandwidth.ravel())
        assert np.unique(instance.graphs[0].execution_time).size > 2 * tasks
        if related:
            speed, cost = np.array(problem["speed"]), np.array(problem["cost"])
            assert (instance.graphs[0].execution_time * speed == cost[:, None]).all()
            assert len(set(problem["speed"])) == 4


def test_problems_are_the_same_in_every_run(benchmark, tmp_path):
    options = benchmark.Options(problems=2, sizes=(5, 9))
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        compared, timed = benchmark.write_problems(options, folder)
        assert list(compared) == ["30x4 related", "30x4 unrelated"] and list(timed) == ["5x4", "9x4"]
        texts.append([file.read_text() for file in (*compared.values(), *timed.values())])
        assert [len(json.loads(text)) for text in texts[-1]] == [2, 2, 1, 1]
    assert texts[0] == texts[1]


def test_our_script_prints_plans_and_speed(benchmark, tmp_path):
    """Run as the benchmark runs it."""
    options = benchmark.Options(problems=2, sizes=(5,), seconds=1e-3)
    compared, timed = benchmark.write_problems(options, tmp_path)
    rows = benchmark.run_planner("dispatchgym", Path(sys.executable), compared | timed, options)
    assert [(row["instance"], len(row["plans"])) for row in rows if "plans" in row] == [
        ("30x4 related", 2), ("30x4 unrelated", 2), ("5x4", 1)
    ]  # fmt: skip
    assert [row["instance"] for row in rows if row.get("steps_per_s", 0) > 0] == ["5x4"]
    assert not any("failed" in row for row in rows)


def planned(peer, mode, ends, instance="30x4 related"):
    """Plans of one task each, with these ends."""
    return {"peer": peer, "mode": mode, "instance": instance, "plans": [[[0, 0, end]] for end in ends]}


def test_plans_are_compared_one_by_one(benchmark):
    rows = [
        planned("dispatchgym", "insertion", [10, 20, 40, 50]),
        planned("saga", "textbook rank", [10.0, 20.0, 40.0, 50.0]),
        planned("saga", "as released", [10.0, 30.0, 20.0, 50.0]),
        planned("saga", "as released", [1.0], "another"),
    ]
    rows[2]["plans"][3] = [[1, 0, 50.0]]  # as long, on another element
    same, other = benchmark.compare(rows)
    assert (same["same_plan"], same["same_makespan"], same["least"], same["greatest"]) == (4, 4, 1.0, 1.0)
    assert (other["problems"], other["same_plan"], other["same_makespan"]) == (4, 1, 2)
    assert (other["least"], other["mean"], other["greatest"]) == (0.5, 1.0, 1.5)


def test_the_makespan_is_the_latest_end(benchmark):
    rows = [planned("dispatchgym", "insertion", [10]), planned("saga", "textbook rank", [10])]
    for row, ends in zip(rows, ([7, 10, 9], [7, 15, 9]), strict=True):
        row["plans"] = [[[0, 0, end] for end in ends]]
    assert benchmark.compare(rows)[0]["mean"] == 1.5


def timed_row(peer, seconds, instance="50x4"):
    return {"peer": peer, "instance": instance, "steps_per_s": 1 / seconds}


def test_rounds_become_medians_and_ratios_to_ours(benchmark):
    rows = [timed_row("dispatchgym", s) for s in (0.5, 1.0, 4.0)] + [timed_row("saga", s) for s in (8.0, 32.0, 16.0)]
    ours, theirs, alone = benchmark.times([timed_row("saga", 4.0, "1000x4"), *rows])
    assert (ours["seconds"], ours["best"], ours["spread"], ours["times"]) == (1.0, 0.5, 8.0, 1.0)
    assert (theirs["seconds"], theirs["best"], theirs["times"]) == (16.0, 8.0, 16.0)
    assert (alone["instance"], alone["times"]) == ("1000x4", None)


def test_the_report_holds_every_row(benchmark):
    rows = [
        {"peer": "saga", "versions": {"anrg-saga": "2.0.2", "numpy": "2"}},
        planned("dispatchgym", "insertion", [10, 20]),
        planned("saga", "textbook rank", [10, 25]),
        timed_row("dispatchgym", 0.002), timed_row("saga", 0.02),
        {"peer": "saga", "failed": "exit status 1:\n no memory"},
    ]  # fmt: skip
    text = benchmark.report(benchmark.Options(), rows, "pinned to core 0", "0.1")
    assert "- saga: anrg-saga 2.0.2, numpy 2\n" in text
    assert "| 30x4 related | textbook rank | 2 | 1 | 1 | 1.000 | 1.125 | 1.250 |\n" in text
    assert "| 50x4 | dispatchgym | 2 | 2 | 1x | 1x |\n| 50x4 | saga | 20 | 20 | 1x | 10x |\n" in text
    assert text.endswith("- saga failed: exit status 1: no memory\n")


def test_a_planner_that_cannot_start_is_a_failed_row(benchmark, tmp_path):
    rows = benchmark.run_planner("saga", tmp_path / "no-such-python", {}, benchmark.Options())
    assert len(rows) == 1 and rows[0]["peer"] == "saga" and "no-such-python" in rows[0]["failed"]


def test_hashes_are_the_same_in_every_run(benchmark, monkeypatch):
    def run(command, env, **_):
        assert env["PYTHONHASHSEED"] == "0" and env["OMP_NUM_THREADS"] == "1"
        return subprocess.CompletedProcess(command, 3, "", "ValueError: bad\n")

    monkeypatch.setattr(benchmark.subprocess, "run", run)
    rows = benchmark.run_planner("saga", Path("python"), {}, benchmark.Options())
    assert rows == [{"peer": "saga", "failed": "exit status 3: ValueError: bad"}]


def test_names_scripts_and_pins(benchmark):
    for name, peer in benchmark.PLANNERS.items():
        assert (benchmark.HERE / peer.script).is_file()
        assert (name == "dispatchgym") == (not peer.requirements)
        assert all("==" in requirement for requirement in peer.requirements)


@pytest.mark.parametrize(("name", "value"), [("rounds", 0), ("seconds", -1.0), ("problems", 0), ("sizes", (2,))])
def test_options_that_make_no_sense_are_named(benchmark, name, value):
    with pytest.raises(ValueError, match=f"--{name}"):
        benchmark.Options(**{name: value})
