"""The train.py command line: what a run leaves behind, how it goes on, and errors of one line."""

import json
import shutil
import sys
from dataclasses import asdict

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import dispatchgym
from dispatchgym import train
from dispatchgym.agents import checkpoint
from dispatchgym.agents.presets import preset
from dispatchgym.envs.core.registry import families, family
from dispatchgym.envs.core.result import Result

SHORT = "--preset smoke --timesteps 600 --evaluate-every 3 --checkpoint-every 2 --device cpu".split()


OPTIONS = asdict(family("job_shop").make_options(construction="0.9"))


def run_main(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        train.main()
    return caught.value.code


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command in this process: exit status, standard output, standard error."""

    def run(*words: object):
        status = run_main(monkeypatch, *words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A smoke training that ended with its comparison."""
    folder = tmp_path_factory.mktemp("runs") / "deep" / "run"
    with pytest.MonkeyPatch.context() as patch:
        assert run_main(patch, "job-shop", *SHORT, "--out", folder, "--construction", "0.9") == 0
    return folder


def tensors_of(folder) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in checkpoint.read(checkpoint.newest(folder))[1].items()}


def test_a_run_folder_holds_what_it_should(finished):
    names = sorted(path.name.split(".")[0] for path in finished.iterdir())
    last = [name for name in names if name.startswith("checkpoint-")]
    assert len(last) == 2
    assert sorted(set(names) - set(last)) == ["config", "events", "results", "table"]
    header, _ = checkpoint.read(checkpoint.newest(finished))
    assert header["num_timesteps"] >= 600 and header["config"] == json.loads((finished / "config.json").read_text())


def test_the_configuration_says_everything(finished):
    config = json.loads((finished / "config.json").read_text())
    smoke = preset("job_shop", "smoke")
    assert config["family"] == "job_shop" and config["preset"] == "smoke" and config["timesteps"] == 600
    assert config["stages"] == list(smoke.stages) and config["network"] == smoke.network
    assert config["options"] == OPTIONS
    assert config["seed"] == 0 and config["threads"] >= 1 and config["checkpoint_every"] == 2


def test_its_results_are_read_back(finished):
    results = [Result.from_json(line) for line in (finished / "results.jsonl").read_text().splitlines()]
    smoke = preset("job_shop", "smoke")
    learned = {"learned, greedy", f"learned, best of {smoke.samples}"}
    rules = {rule: sum(r.value / r.best_known for r in results if r.policy == rule) for rule in smoke.rules}
    rival = f"{min(rules, key=rules.get)}, best of {smoke.samples}"
    assert {r.policy for r in results} == {*smoke.rules, *learned, rival, "cp-sat"}
    assert len(results) == 10 * (len(smoke.rules) + 4) and not any(r.violations for r in results)
    assert all(r.gap is not None and r.gap >= 0 for r in results)
    for r in results:
        assert r.samples == (smoke.samples if "best of" in r.policy else 1)
        if r.policy in learned:
            assert r.options == OPTIONS
        elif r.policy != "cp-sat":
            assert r.options["construction"] == "non-delay"
    table = (finished / "table.md").read_text()
    assert "## 4x3 held out" in table and "| learned, greedy |" in table and "paired 95 % interval" in table


def test_its_curves_are_there(finished):
    events = EventAccumulator(str(finished))
    events.Reload()
    shown = {"evaluation/gap", "evaluation/spt", "time/steps_per_s", "train/policy_loss"}
    assert shown <= set(events.Tags()["scalars"])
    header, _ = checkpoint.read(checkpoint.newest(finished))
    assert events.Scalars("evaluation/gap")[-1].step == header["num_timesteps"], "the policy that is kept has no point"


def test_it_is_a_policy(finished):
    schedule = dispatchgym.solve(dispatchgym.load("ft06"), str(finished))
    assert schedule.violations() == []


def test_it_prints_the_folder_and_the_table(call, tmp_path):
    status, out, err = call("job-shop", *SHORT, "--timesteps", "50", "--out", tmp_path / "run")
    assert status == 0 and str(tmp_path / "run") in out.splitlines()[0] and "tensorboard --logdir" in out
    assert "learned, greedy" in out and "Greedy policy minus the strongest rule" in out
    assert "Traceback" not in err


def test_the_same_seed_gives_the_same_weights(call, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        status, out, _ = call("job-shop", *SHORT, "--no-compare", "--seed", seed, "--out", tmp_path / name)
        assert status == 0 and "learned" not in out
        assert not (tmp_path / name / "results.jsonl").exists()
    assert tensors_of(tmp_path / "a") == tensors_of(tmp_path / "b") != tensors_of(tmp_path / "c")


def test_a_run_that_ended_can_be_made_longer(call, finished, tmp_path):
    longer = tmp_path / "longer"
    shutil.copytree(finished, longer)
    before = tensors_of(longer)
    assert call("job-shop", "--resume", longer, "--no-compare")[0] == 0
    assert tensors_of(longer) == before, "nothing was left to do"
    assert call("job-shop", "--resume", longer, "--no-compare", "--timesteps", "900")[0] == 0
    header, _ = checkpoint.read(checkpoint.newest(longer))
    assert header["num_timesteps"] >= 900 and header["config"]["options"]["construction"] == "0.9"
    assert tensors_of(longer) != before


@pytest.mark.parametrize(
    "words",
    [
        ("--preset", "main"), ("--seed", "5"), ("--device", "cpu"), ("--out", "elsewhere"), ("--threads", "1"),
        ("--checkpoint-every", "3"), ("--evaluate-every", "7"), ("--construction", "active"),
        ("--forced-moves", "True"), ("--observation", "jobs"), ("--timesteps", "900", "--seed", "5"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_resumed_run_goes_on_as_it_began(call, finished, words, tmp_path, monkeypatch):
    """Flags that it would not heed are refused, and nothing is trained or made."""
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in finished.iterdir())
    status, out, err = call("job-shop", "--resume", finished, *words)
    assert status == 2 and out == "" and err.startswith(f"error: {words[-2]} cannot be changed with --resume")
    assert err.count("\n") == 1
    assert sorted(path.name for path in finished.iterdir()) == before and list(tmp_path.iterdir()) == []


def test_without_a_name_runs_do_not_overwrite_each_other(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert call("job-shop", *SHORT, "--timesteps", "50", "--no-compare")[0] == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["job-shop-smoke-0", "job-shop-smoke-0.2"]


def test_job_shop_is_the_default_family(call, tmp_path):
    assert call(*SHORT, "--timesteps", "50", "--no-compare", "--out", tmp_path / "run")[0] == 0


def test_resuming_an_empty_run_says_so(call, tmp_path):
    status, _, err = call("job-shop", "--resume", tmp_path)
    assert status == 2 and "checkpoint" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--preset", "huge"), ["preset 'huge'", "known:", "main", "smoke"]),
        (("--preset", "smoke", "--construction", "foo"), ["construction", "'foo'", "non-delay"]),
        (("--preset", "smoke", "--device", "tpu"), ["device", "tpu"]),
        (("--timesteps", "-5"), ["--timesteps", "-5"]),
        (("--threads", "0"), ["--threads", "0"]),
        (("--checkpoint-every", "0"), ["--checkpoint-every"]),
        (("--evaluate-every", "0"), ["--evaluate-every"]),
        (("--seed", "-1"), ["--seed", "-1"]),
        (("--preset", "smoke", "--seed", str(2**70)), ["seed"]),
        (("--resume", "no/such/run"), ["no/such/run", "no such folder"]),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:],
)
def test_bad_arguments_are_one_line_and_leave_nothing(call, words, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("job-shop", *words)
    assert status == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    for part in named:
        assert part in err
    assert list(tmp_path.iterdir()) == [], "a run folder was left, and the corrected command would be refused"


def test_a_missing_gpu_is_one_line_and_leaves_nothing(call, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    status, _, err = call("job-shop", "--preset", "smoke", "--device", "cuda", "--out", tmp_path / "run")
    assert status == 2 and "cuda" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_unknown_family_is_one_line(call):
    status, _, err = call("flow-shop", "--preset", "smoke")
    known = ", ".join(sorted(entry.command for entry in families()))
    assert status == 2 and err == f"error: unknown family 'flow-shop'; known: {known}\n"


@pytest.mark.parametrize("words", [("--presett", "smoke"), ("--seed", "many"), ("--seed",), ("smoke",)], ids=" ".join)
def test_flags_that_mean_nothing_are_one_line(call, words):
    status, out, err = call("job-shop", *words)
    assert status == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert words[0] in err and "train.py job-shop --help" in err


def test_help_shows_the_flags_with_and_without_a_family(call):
    shown = []
    for words in (("--help",), ("-h",), ("job-shop", "--help")):
        status, out, err = call(*words)
        assert status == 0 and err == ""
        shown.append(out)
    assert shown[0] == shown[1] == shown[2]
    for flag in ("--preset", "--resume", "--no-compare", "--construction"):
        assert flag in out
    assert "python train.py" not in out and "the preset's" in out


def test_a_folder_in_use_is_not_written_to(call, finished, tmp_path):
    before = tensors_of(finished)
    status, _, err = call("job-shop", *SHORT, "--out", finished)
    assert status == 2 and "--out" in err and "--resume" in err and tensors_of(finished) == before
    (tmp_path / "file").write_text("mine")
    for taken in (tmp_path / "file", tmp_path / "file" / "below"):
        status, _, err = call("job-shop", *SHORT, "--out", taken)
        assert status == 2 and "--out" in err and err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert call("job-shop", *SHORT, "--timesteps", "50", "--no-compare", "--out", tmp_path / "empty")[0] == 0


@pytest.mark.parametrize("change", [{"config": 3}, {"config": {}}, {"config": {"family": "vm"}}], ids=str)
def test_a_checkpoint_without_a_run_in_it_is_one_line(call, finished, tmp_path, change):
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    for path in copy.glob(f"checkpoint-*/{checkpoint.HEADER}"):
        header = json.loads(path.read_text()) | change
        path.write_text(json.dumps(checkpoint.seal(header)))
    status, _, err = call("job-shop", "--resume", copy)
    assert status == 2 and err.startswith("error: ") and err.count("\n") == 1
