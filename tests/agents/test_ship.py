"""From a run folder to a shipped pair, by the command."""

import json
import sys

import pytest
from stable_baselines3.common.logger import Logger

import dispatchgym
from dispatchgym import train
from dispatchgym.agents import checkpoint, ship, shipped
from dispatchgym.agents.presets import preset
from dispatchgym.envs.core.errors import CheckpointError, UnknownNameError
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.solvers import Limits, resolve, solve


def config(**changes) -> dict:
    smoke = preset("job_shop", "smoke")
    options = {"construction": "active", "forced_moves": True, "observation": "jobs"}
    made = {
        "family": "job_shop", "preset": "smoke", "stages": list(smoke.stages), "groups": 4, "group": 4,
        "options": options, "stage_options": {}, "network": smoke.network, "ppo": smoke.ppo, "evolution": {},
        "timesteps": 4000, "seed": 3, "device": "cpu", "threads": 1, "checkpoint_every": 1, "evaluate_every": 1,
    }  # fmt: skip
    return made | changes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    ppo = train.build(config())
    ppo.set_logger(Logger(None, []))
    ppo.learn(200)
    checkpoint.save(folder, ppo, config())
    return folder


@pytest.fixture
def call(monkeypatch, capsys):
    def start(*words: object):
        monkeypatch.setattr(sys, "argv", ["ship.py", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            ship.main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return start


def test_the_pair_is_the_policy_of_the_run(call, run, tmp_path, monkeypatch):
    folder = tmp_path / "job_shop"
    words = (
        "--sets",
        "ft06",
        "la01-05",
        "--samples",
        2,
        "--sampled",
        "la01-05",
        "--against",
        "spt",
        "--note",
        "A test.",
        "--out",
        folder,
    )
    status, out, _ = call(run, *words)
    assert status == 0 and str(folder / "smoke.json") in out
    assert sorted(path.name for path in folder.iterdir()) == ["smoke.json", "smoke.safetensors"]
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    shop = dispatchgym.load("la01")
    mine, theirs = (solve(resolve(p, "job_shop"), [shop], Limits())[0].schedule for p in ("pretrained/smoke", run))
    assert (mine.entries == theirs.entries).all()
    card = shipped.read_card("job_shop", "smoke").content
    assert card["note"] == "A test." and card["kind"] == "makespan"
    assert card["training"]["seed"] == 3 and card["training"]["minutes"] >= 0
    assert card["command"] == "python train.py job-shop --preset smoke --seed 3 --threads 1"
    rows = {(row["set"], row["policy"], row["samples"]): row for row in card["results"]}
    greedy = [(name, policy, 1) for name in ("ft06", "la01-05") for policy in ("learned", "spt")]
    assert list(rows) == [*greedy, ("la01-05", "learned", 2)]
    assert rows["ft06", "spt", 1]["mean"] == 88 and rows["ft06", "spt", 1]["gap"] == 60.0
    assert rows["la01-05", "learned", 2]["mean"] <= rows["la01-05", "learned", 1]["mean"]
    assert rows["la01-05", "learned", 1]["interval_95"][0] <= rows["la01-05", "learned", 1]["gap"]


def test_a_card_names_its_policy_wherever_it_lies(call, run, tmp_path):
    assert call(run, "--name", "seed-3", "--no-evaluate", "--out", tmp_path)[0] == 0
    card = tmp_path / "seed-3.json"
    assert json.loads(card.read_text())["results"] == []
    shop = dispatchgym.load("la01")
    mine, theirs = (solve(resolve(str(p), "job_shop"), [shop], Limits())[0].schedule for p in (card, run))
    assert (mine.entries == theirs.entries).all()
    with pytest.raises(CheckpointError, match="of the family job_shop, not soc"):
        resolve(str(card), "soc")
    card.with_suffix(".safetensors").unlink()
    with pytest.raises(CheckpointError, match="seed-3.safetensors: cannot be read"):
        resolve(str(card), "job_shop")
    with pytest.raises(UnknownNameError, match="the card of one"):
        resolve(str(tmp_path / "seed-4.json"), "job_shop")


def test_a_name_is_not_taken_twice(call, run, tmp_path):
    words = (run, "--sets", "ft06", "--samples", 1, "--against", "spt", "--out", tmp_path, "--name", "mine-2")
    assert call(*words)[0] == 0
    before = (tmp_path / "mine-2.json").read_text()
    status, _, err = call(*words, "--note", "other")
    assert status == 2 and "mine-2.json exists" in err and err.count("\n") == 1
    assert (tmp_path / "mine-2.json").read_text() == before
    assert call(*words, "--note", "other", "--overwrite")[0] == 0
    assert json.loads((tmp_path / "mine-2.json").read_text())["note"] == "other"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("no/such/run",), ["no/such/run", "no such folder"]),
        ((), ["Missing"]),
        (("RUN", "--name", "../up"), ["--name", "'../up'"]),
        (("RUN", "--name", "Main"), ["--name", "'Main'"]),
        (("RUN", "--sets", "tb01"), ["'tb01'"]),
        (("RUN", "--sets", "ft06", "--sampled", "la01"), ["set 'la01'; known: ft06"]),
        (("RUN", "--against", "sptt"), ["'sptt'"]),
        (("RUN", "--samples", "none"), ["--samples"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_bad_arguments_are_one_line_and_leave_nothing(call, run, tmp_path, words, named):
    words = [str(run) if word == "RUN" else word for word in words]
    status, out, err = call(*words, "--out", tmp_path / "out")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert status == 2 and out == "" and len(lines) == 1 and err.endswith(lines[0] + "\n")
    for part in named:
        assert part in lines[0]
    assert not (tmp_path / "out").exists()


def test_weights_that_are_too_large_are_not_shipped(call, run, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "LARGEST_WEIGHTS", 1000)
    status, _, err = call(run, "--out", tmp_path / "out")
    assert status == 2 and "bytes of weights, limit 1000" in err and not (tmp_path / "out").exists()


def test_the_command_states_what_differs_from_the_preset():
    made = config(timesteps=999, options=config()["options"] | {"construction": "0.5"})
    command = "python train.py job-shop --preset smoke --seed 3 --threads 1 --timesteps 999 --construction 0.5"
    assert ship.command_of(made) == command
    assert family("job_shop").make_options(**made["options"])
