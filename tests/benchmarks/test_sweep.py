"""The search: what a trial is, what it reports, and what the table says; Ray itself only where it is installed."""

import builtins
import importlib.util
import json
import math
import subprocess
import sys

import pytest

from dispatchgym.agents import checkpoint
from dispatchgym.envs.core.errors import OptionError

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.fixture(scope="module")
def sweep(script):
    """The module of the command."""
    return script("sweep")


def parse(sweep, *words: str):
    return sweep.parser().parse_args(["job-shop", "--preset", "smoke", "--device", "cpu", *words])


def test_a_trial_differs_in_what_is_searched_alone(sweep):
    config = sweep.configuration(parse(sweep, "--timesteps", "300"))
    before = json.dumps(config)
    changed = sweep.with_settings(config, {"ppo.entropy": 0.5, "network.width": 4, "group": 8})
    assert json.dumps(config) == before
    assert changed["ppo"] == config["ppo"] | {"entropy": 0.5} and changed["network"]["width"] == 4
    assert changed["group"] == 8 and changed["options"] == config["options"] and config["timesteps"] == 300


def test_every_name_is_a_setting_of_a_run(sweep):
    config = sweep.configuration(parse(sweep))
    for name, (kind, *values) in sweep.SPACE.items():
        changed = [sweep.with_settings(config, {name: value}) for value in values]
        assert kind in ("log", "choice") and any(other != config for other in changed)
        assert all(set(other) == set(config) for other in changed)


def test_a_trial_reports_each_evaluation_and_goes_on_where_it_was(sweep, tmp_path):
    arguments = parse(sweep, "--timesteps", "400", "--evaluate-every", "2")
    config = sweep.with_settings(sweep.configuration(arguments), {"ppo.learning_rate": 3e-3})
    rows = []
    sweep.run_trial(config, tmp_path / "whole", rows.append)
    assert [row["iteration"] for row in rows] == [1, 3, 5][: len(rows) - 1] + [rows[-1]["iteration"]]
    assert all(0 <= row["gap"] < 5 for row in rows) and rows[-1]["steps"] >= 400
    whole = checkpoint.read(checkpoint.newest(tmp_path / "whole"))[1]

    class Interrupted(Exception):
        pass

    def stop(row):
        raise Interrupted

    with pytest.raises(Interrupted):
        sweep.run_trial(config, tmp_path / "broken", stop)
    again = []
    sweep.run_trial(config, tmp_path / "broken", again.append, checkpoint.newest(tmp_path / "broken"))
    assert again == rows[1:]
    mended = checkpoint.read(checkpoint.newest(tmp_path / "broken"))[1]
    assert all((mended[name] == whole[name]).all() for name in whole)


def test_without_ray_the_error_says_which_extra(sweep, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "ray":
            raise ImportError("No module named 'ray'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "job-shop"])
    with pytest.raises(SystemExit) as caught:
        sweep.main()
    err = capsys.readouterr().err
    assert caught.value.code == 2 and err.startswith("error: Ray Tune is not installed") and ".[sweep]" in err
    assert err.count("\n") == 1


def test_the_table_has_the_best_first_and_failures_last(sweep):
    config = sweep.configuration(parse(sweep))
    rows = [
        sweep.row_of({"base": config, "ppo.entropy": 0.01}, {"gap": 0.2, "steps": 100}, None),
        sweep.row_of({"base": config, "ppo.entropy": 0.02}, {}, RuntimeError("no memory")),
        sweep.row_of({"base": config, "ppo.entropy": 0.03}, {"gap": 0.1, "steps": 400}, None),
    ]
    lines = sweep.table(rows, config).splitlines()
    assert lines[4] == "| gap % | steps | ppo.entropy |"
    assert [line.split(" | ")[0].strip("| ") for line in lines[6:]] == ["10.00", "20.00", "failed: no memory"]
    assert lines[6].endswith("| 400 | 0.03 |")


def test_an_unknown_setting_lists_the_known_ones(sweep):
    class Tune:
        loguniform, choice = staticmethod(lambda *values: values), staticmethod(list)

    assert sweep.domains(Tune, ["group"]) == {"group": [8, 16, 32]}
    assert set(sweep.domains(Tune, [])) == set(sweep.SPACE)
    with pytest.raises(OptionError, match="--search colour is not known; known: ppo.learning_rate"):
        sweep.domains(Tune, ["colour"])


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")
def test_a_search_with_ray_ends_and_can_be_gone_on_with(sweep, tmp_path):
    folder = tmp_path / "search"
    words = [
        "job-shop",
        "--preset",
        "smoke",
        "--device",
        "cpu",
        "--timesteps",
        "300",
        "--trials",
        "2",
        "--parallel",
        "1",
    ]
    words += ["--search", "ppo.entropy", "--out", str(folder)]

    def start(*more: str):
        command = [sys.executable, sweep.__file__, *words, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=280)

    def rows() -> list[dict]:
        return [json.loads(line) for line in (folder / "sweep.jsonl").read_text().splitlines()]

    done = start()
    assert done.returncode == 0, done.stderr[-2000:]
    found = rows()
    assert len(found) == 2 and all(math.isfinite(row["gap"]) and row["steps"] > 0 for row in found)
    assert found[0]["ppo.entropy"] != found[1]["ppo.entropy"] and (folder / "sweep.md").exists()
    again = start("--resume")
    assert again.returncode == 0 and rows() == found, "nothing was left to do"
    refused = start()
    assert refused.returncode == 2 and "is not empty" in refused.stderr
