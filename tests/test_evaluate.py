"""The evaluate.py command line: exit status, formats, and errors of one line that name what was wrong."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger

import dispatchgym
from dispatchgym import evaluate
from dispatchgym.agents import checkpoint
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.rollout import Stage
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.core.solvers import Answer, Exact, Limits, resolve
from dispatchgym.envs.job_shop.instance import format as format_instance

ROOT = Path(dispatchgym.__file__).parent


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command in this process: exit status, standard output, standard error."""

    def run(*words: object, family: str = "job-shop"):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", family, *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            evaluate.main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a network that was trained for a moment."""
    folder = tmp_path_factory.mktemp("run")
    options = registry.family("job_shop").make_options(construction="active")
    network = {"width": 8, "heads": 2, "layers": 1, "hidden": 16}
    ppo = PPO([Stage("job_shop", "3x3", 4, 4, options, 0, "cpu")], network=network, batch_size=64)
    ppo.set_logger(Logger(None, []))
    ppo.learn(100)
    config = dict.fromkeys(checkpoint.CONFIG_KEYS)  # a policy needs three of them
    config |= {"family": "job_shop", "stages": ["3x3"], "options": {"construction": "active"}}
    checkpoint.save(folder, ppo, config)
    return folder


def test_a_table_of_means(call):
    status, out, _ = call("--instances", "ft06", "la01", "--policies", "spt", "cp-sat")
    assert status == 0
    rows = [line.split("│")[1].split()[0] for line in out.splitlines() if line.startswith("│")]
    assert rows == ["cp-sat", "spt"]


def test_json_is_result_lines_and_nothing_else(call):
    status, out, _ = call("--instances", "ft06", "4x3:0-1", "--policies", "spt", "mwkr", "--format=json", "--seed", 4)
    results = [Result.from_json(line) for line in out.splitlines()]
    assert status == 0 and len(results) == 6
    assert [r.policy for r in results] == ["spt"] * 3 + ["mwkr"] * 3 and {r.seed for r in results} == {4}
    assert results[0].value == 88 and results[0].violations == [] and results[0].best_known == 55


def test_csv_latex_and_detail(call):
    words = ("--instances", "ft06", "la01", "--policies", "spt", "fifo")
    rows = list(csv.reader(io.StringIO(call(*words, "--format", "csv")[1])))
    assert rows[0][:3] == ["policy", "instances", "makespan"] and len(rows) == 3
    detail = list(csv.reader(io.StringIO(call(*words, "--format", "csv", "--detail")[1])))
    assert detail[0] == ["instance", "spt", "fifo", "lower bound", "best known"]
    assert detail[1] == ["ft06", "88", detail[1][2], "55", "55"] and detail[2][0] == "la01"
    latex = call(*words, "--format", "latex")[1]
    assert latex.startswith(r"\begin{tabular}{lrrrrrr}") and r"gap \%" in latex and r"95 \% interval" in latex


def test_all_rules_are_the_default(call):
    out = call("--instances", "4x3:0", "--format", "json")[1]
    policies = registry.family("job_shop").policies
    shop = registry.instances("4x3:0", "job_shop")[0]
    rules = {name: policy for name, policy in policies.items() if not isinstance(policy, Exact)}
    options = registry.family("job_shop").make_options()
    expected = [name for name, rule in rules.items() if not hasattr(rule, "accepts") or rule.accepts(shop, options)]
    assert "edd" not in expected and {"spt", "fdd/mwkr", "random"} <= set(expected)
    assert [Result.from_json(line).policy for line in out.splitlines()] == expected


def test_gaps_of_rates_are_in_points(call):
    """An optimum may be 0, so gaps of fragment rates are differences; options of the world hold for all."""
    words = ("--instances", "plateau", "remainder", "--policies", "no-op", "mip", "--format", "json")
    status, out, _ = call(*words, family="vm")
    results = {(r.policy, r.instance): r for r in map(Result.from_json, out.splitlines())}
    assert status == 0 and len(results) == 4 and all(r.violations == [] for r in results.values())
    for name, best in (("plateau", 0.0), ("remainder", 0.2)):
        assert results["mip", name].value == pytest.approx(best) and results["mip", name].gap == pytest.approx(0)
        assert results["no-op", name].value == 1 and results["no-op", name].gap == pytest.approx(1 - best)
    out = call(*words, "--mnl", "1", family="vm")[1]
    assert {Result.from_json(line).value for line in out.splitlines()} == {1.0}


def test_both_file_formats_are_read(call, tmp_path):
    shop = registry.instances("ft06", "job_shop")[0]
    for style in ("standard", "taillard"):
        (tmp_path / f"{style}.txt").write_text(format_instance(shop, style))
    status, out, _ = call("--instances", tmp_path / "*.txt", "--policies", "spt", "--format", "json")
    results = [Result.from_json(line) for line in out.splitlines()]
    assert status == 0 and [r.instance for r in results] == ["standard", "taillard"]
    assert all(r.value == 88 and r.best_known == 55 and r.digest == shop.digest for r in results)


def test_construction_changes_what_rules_dispatch_in(call):
    values = {}
    for construction in ("non-delay", "active", "insertion", "0.5"):
        out = call("--instances", "ta01", "--policies", "spt", "--construction", construction, "--format", "json")[1]
        values[construction] = Result.from_json(out).value
    assert values["non-delay"] == 1462 and values["active"] == 1966 and values["insertion"] == 2099
    assert 1462 != values["0.5"] != 1966


def test_samples_and_seed(call):
    def value(*words):
        return [
            Result.from_json(line).value
            for line in call("--instances", "6x6:0-4", "--policies", "spt", *words, "--format", "json")[1].splitlines()
        ]

    greedy, sampled = value(), value("--samples", 8, "--seed", 1)
    assert all(s <= g for s, g in zip(sampled, greedy, strict=True)) and sampled != greedy
    assert sampled == value("--samples", 8, "--seed", 1) and greedy == value("--seed", 1)


def test_out_keeps_results_and_table(call, tmp_path):
    folder = tmp_path / "a" / "b"
    status, out, _ = call("--instances", "ft06", "--policies", "spt", "lpt", "--out", folder, "--format", "json")
    assert status == 0 and (folder / "results.jsonl").read_text() == out
    table = (folder / "table.md").read_text()
    assert table.startswith("| policy |") and "| spt |" in table


def printed(text: str) -> list[list[str]]:
    """The cells of a table as it is printed."""
    rows = [line for line in text.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in rows]


def kept(folder: Path) -> list[list[str]]:
    """The cells of the table in a folder."""
    lines = (folder / "table.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if not all(set(cell) <= set("-:") and cell for cell in row)]


@pytest.mark.parametrize(
    "words",
    [
        ("--instances", "ft06", "la01", "--policies", "spt", "fifo"),
        ("--instances", "ft06", "la01", "--policies", "spt", "fifo", "--detail"),
        ("--headroom", "2x2"),
    ],
    ids=["means", "detail", "headroom"],
)
def test_the_table_that_is_kept_is_the_one_that_was_printed(call, words, tmp_path):
    status, out, _ = call(*words, "--out", tmp_path / "run")
    assert status == 0 and len(printed(out)) > 2 and kept(tmp_path / "run") == printed(out)
    if "--headroom" in words:
        assert "naive rule" in out
    if "--detail" in words:
        assert printed(out)[1][:2] == ["ft06", "88"]


@pytest.mark.parametrize("name", ["results.jsonl", "table.md"])
def test_results_are_never_overwritten(call, name, tmp_path, monkeypatch):
    (tmp_path / name).write_text("mine")
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: pytest.fail("hours were spent on what cannot be kept"))
    status, out, err = call(*GOOD, "--out", tmp_path)
    assert status == 2 and out == "" and err.count("\n") == 1
    assert err == f"error: --out {tmp_path} already holds {name}; name another folder\n"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_folder_with_other_things_in_it_will_do(call, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert call(*GOOD, "--out", tmp_path)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "results.jsonl", "table.md"]


HINT = "An exact solver among --policies, given the time, would tell; --reference takes a rule for it."


def test_a_table_without_gaps_says_what_would_give_them(call):
    words = ("--instances", "4x3:0-1", "--policies", "spt")
    status, out, _ = call(*words)
    assert status == 0 and out.splitlines()[-1].endswith(HINT) and printed(out)[1][3] == "-"
    out = call(*words, "cp-sat")[1]
    assert HINT not in out and "-" not in (row[3] for row in printed(out)[1:])
    assert HINT not in call("--instances", "ft06", "4x3:0", "--policies", "spt")[1]
    for style in ("json", "csv", "latex"):
        assert HINT not in call(*words, "--format", style)[1], "a program reads this"


def test_an_interval_of_a_handful_is_not_printed(call):
    names = [f"la{number:02d}" for number in range(1, 6)]
    assert " .. " in printed(call("--instances", *names, "--policies", "spt")[1])[1][4]
    assert printed(call("--instances", *names[:4], "--policies", "spt")[1])[1][4] == "-"


def test_list_names_everything(call):
    status, out, _ = call("--list")
    assert status == 0
    for name in ("ta01", "ft06", "6x6:0-99", "spt", "fdd/mwkr", "cp-sat", "main", "smoke"):
        assert name in out
    assert all(len(line) < 400 for line in out.splitlines())


def test_headroom(call, trained):
    status, out, _ = call("--headroom", "3x3", "--policies", trained, "--format", "csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert status == 0
    roles = [row[0] for row in rows[1:]]
    assert sorted(roles) == sorted(["naive rule", "best rule", "learned", "exact", "proven"])
    gaps = [float(row[2]) for row in rows[1:]]
    assert gaps == sorted(gaps, reverse=True)
    by_role = {row[0]: row for row in rows[1:]}
    assert float(by_role["exact"][2]) == float(by_role["proven"][2]) == 0 and by_role["best rule"][4] == "+0.00"
    out = call("--headroom", "3x3:0-4")[1]  # with a shipped policy that fits
    assert "headroom of 3x3:0-4" in out and "pretrained" in out


def test_headroom_where_no_bound_is_known(call):
    status, out, told = call("--headroom", "mixed-slo-n20:0-1", "--format", "csv", family="llm")
    assert status == 0 and "relative to fcfs" in told
    rows = [row[:3] for row in csv.reader(io.StringIO(out))][1:]
    assert sorted(rows) == [["learned", "pretrained", "0.00"], ["naive and best rule", "fcfs", "0.00"]]


def test_a_trained_folder_is_a_policy(call, trained):
    for folder in (trained, checkpoint.newest(trained)):
        status, out, _ = call("--instances", "ft06", "4x3:0", "--policies", folder, "spt", "--format", "json")
        results = [Result.from_json(line) for line in out.splitlines()]
        assert status == 0 and [r.policy for r in results] == [str(folder)] * 2 + ["spt"] * 2
        assert not any(r.violations for r in results)
    for folder in (str(trained), trained):
        schedule = dispatchgym.solve("ft06", folder, samples=4)
        assert dispatchgym.validate(dispatchgym.load("ft06"), schedule) == []


def test_a_trained_policy_keeps_the_options_it_was_trained_with(call, trained):
    """While the rules beside it dispatch in what the user asks for, and each line says in what."""
    found = {}
    for construction in ("active", "non-delay", "insertion"):
        words = ("--instances", "la01-03", "--policies", trained, "spt", "cp-sat", "--construction", construction)
        status, out, _ = call(*words, "--samples", 2, "--format", "json")
        results = [Result.from_json(line) for line in out.splitlines()]
        assert status == 0
        for policy, chosen, samples in (("spt", construction, 2), (str(trained), "active", 2), ("cp-sat", None, 1)):
            rows = [r for r in results if r.policy == policy]
            assert {r.options.get("construction") for r in rows} == {chosen} and {r.samples for r in rows} == {samples}
            found.setdefault(policy, set()).add(tuple(r.value for r in rows))
    assert len(found[str(trained)]) == 1 and len(found["spt"]) == 3


def overlapping(instance, limits) -> Answer:
    good = resolve("spt", "job_shop")
    from dispatchgym.envs.core.solvers import run

    entries = np.array(run(good, [instance], Limits())[0].schedule.entries)
    entries[:, 3:5] -= entries[:, 3:4]
    return Answer(Schedule(instance, entries), 0.0)


def test_an_infeasible_schedule_is_status_one(call, monkeypatch):
    policies = registry.family("job_shop").policies
    monkeypatch.setitem(policies, "cheat", Exact(overlapping, "everything at once"))
    status, out, err = call("--instances", "ft06", "--policies", "spt", "cheat", "--format", "json")
    results = {r.policy: r for r in map(Result.from_json, out.splitlines())}
    assert status == 1 and results["cheat"].violations and not results["spt"].violations
    assert "cheat on ft06: " in err and err.count("\n") == 1
    assert "cheat" in call("--instances", "ft06", "--policies", "spt", "cheat")[1]


def test_no_schedule_is_status_one(call, monkeypatch):
    policies = registry.family("job_shop").policies
    monkeypatch.setitem(policies, "mute", Exact(lambda instance, limits: Answer(None, 0.0), "never finds anything"))
    status, out, err = call("--instances", "ft06", "--policies", "mute")
    assert status == 1 and "mute" in out and "no schedule" in err


GOOD = ("--instances", "ft06", "--policies", "spt")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--policies", "spt"), ["--instances"]),
        (("--instances", "tb01"), ["instance 'tb01'", "known:", "ta01"]),
        (("--instances", "6by6:0"), ["'6by6'", "known:", "6x6"]),
        (("--instances", "ta09-01"), ["ta09-01"]),
        (("--instances", "none.txt"), ["none.txt", "no such file"]),
        (("--instances", "no/*.txt"), ["no/*.txt"]),
        (("--instances", "ft06", "--policies", "sptt"), ["policy 'sptt'", "known:", "spt", "folder of a"]),
        (("--instances", "ft06", "--policies", "."), ["checkpoint"]),
        ((*GOOD, "--construction", "foo"), ["construction", "'foo'", "non-delay", "active", "insertion"]),
        ((*GOOD, "--construction", "1.5"), ["construction", "1.5"]),
        (("--instances", "ft06", "--policies", "cp-sat", "--construction", "foo"), ["construction", "'foo'"]),
        ((*GOOD, "--observation", "graph"), ["observation", "jobs, operations"]),
        ((*GOOD, "--forced-moves", "maybe"), ["forced_moves", "True or False"]),
        ((*GOOD, "--samples", "0"), ["samples", "1"]),
        ((*GOOD, "--time-limit", "-1"), ["time", "-1"]),
        ((*GOOD, "--time-limit", "nan"), ["time", "nan"]),
        ((*GOOD, "--device", "tpu"), ["device", "tpu"]),
        ((*GOOD, "--seed", str(2**70)), ["seed"]),
        ((*GOOD, "--seed", "-1"), ["seed"]),
        (("--headroom", "6x6", "--instances", "ft06"), ["--headroom", "--instances"]),
        (("--headroom", "huge"), ["'huge'", "known:"]),
        (("--headroom", "6x6:9-3"), ["9-3"]),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:],
)
def test_bad_arguments_are_one_line(call, words, named):
    status, out, err = call(*words)
    assert status == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    for part in named:
        assert part in err


def test_a_missing_gpu_is_one_line(call):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    status, out, err = call(*GOOD, "--device", "cuda")
    assert status == 2 and out == "" and "cuda" in err and err.count("\n") == 1


def test_an_unknown_family_is_one_line(call):
    status, _, err = call("--list", family="flow-shop")
    known = ", ".join(sorted(entry.command for entry in registry.families()))
    assert status == 2 and err == f"error: unknown family 'flow-shop'; known: {known}\n"


@pytest.mark.parametrize("words", [("--format", "yaml"), ("--wrong", "1"), ("--samples", "many")], ids=str)
def test_flags_that_mean_nothing_name_themselves(call, words):
    status, out, err = call(*GOOD, *words)
    assert status == 2 and out == "" and words[0] in err
    assert err.startswith("error: ") and err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line(call, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: pytest.fail("hours were spent on what cannot be kept"))
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        status, out, err = call(*GOOD, "--out", folder)
        assert status == 2 and out == "" and err.startswith("error: --out") and err.count("\n") == 1


def test_a_malformed_file_is_one_line_with_its_line(call, tmp_path):
    (tmp_path / "shop.txt").write_text("2 2\n0 1 1 2\n0 1 1\n")
    status, _, err = call("--instances", tmp_path / "shop.txt", "--policies", "spt")
    assert status == 2 and "shop.txt:3:" in err and err.count("\n") == 1


def test_a_torn_checkpoint_is_one_line(call, trained, tmp_path):
    torn = tmp_path / "checkpoint-00000001"
    torn.mkdir()
    for file in checkpoint.newest(trained).iterdir():
        (torn / file.name).write_bytes(file.read_bytes()[:-3])
    status, _, err = call("--instances", "ft06", "--policies", tmp_path)
    assert status == 2 and "checkpoint-00000001" in err and err.count("\n") == 1


RUNNER = """
import json, runpy, sys
script, words = sys.argv[1], sys.argv[2:]
sys.argv = [script, *words]
status = None
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as end:
    status = end.code
print(json.dumps([status, sorted({name.split(".")[0] for name in sys.modules})]), file=sys.stderr)
"""
HEAVY = {"torch", "warp", "stable_baselines3", "torch_geometric", "ortools", "matplotlib", "tensorboard"}


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
@pytest.mark.parametrize("words", [["--help"], ["job-shop", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(script, words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(ROOT / script), *words],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    status, loaded = json.loads(done.stderr.splitlines()[-1])
    assert status == 0 and "usage: " in done.stdout
    assert not HEAVY & set(loaded)


def test_the_script_and_the_module_are_the_same_command(tmp_path):
    words = ["job-shop", "--instances", "ft06", "--policies", "spt", "cp-sat", "--format", "json"]
    found = []
    for command in ([str(ROOT / "evaluate.py")], ["-m", "dispatchgym.evaluate"]):
        done = subprocess.run(
            [sys.executable, *command, *words], capture_output=True, text=True, cwd=tmp_path, timeout=120
        )
        assert done.returncode == 0, done.stderr
        found.append([replace(Result.from_json(line), runtime_s=0) for line in done.stdout.splitlines()])
    assert found[0] == found[1] and [r.value for r in found[0]] == [88, 55]
