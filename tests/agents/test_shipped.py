"""Policies that come with the package: found by name and by kind, whole or refused, and as good as their cards say."""

import json
import re
import shutil
import sys

import numpy as np
import pytest

import dispatchgym
from dispatchgym import evaluate
from dispatchgym.agents import shipped
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.errors import CheckpointError, OptionError, UnknownNameError
from dispatchgym.envs.core.result import Result
from dispatchgym.envs.core.solvers import Limits, applies, resolve, solve

SHIPPED = [(entry.name, name) for entry in registry.families() for name in shipped.names(entry.name)]
MAIN = shipped.FOLDER / "job_shop" / "main.json"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the job shop's main policy, to be changed at will."""
    (tmp_path / "job_shop").mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(MAIN.with_suffix(suffix), tmp_path / "job_shop")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    return tmp_path / "job_shop"


def rewrite(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_there_is_one_for_the_main_job():
    assert ("job_shop", "main") in SHIPPED and shipped.names("job_shop")[0] == "mixed"
    assert all(
        shipped.names(family)[0] == first for family, first in shipped.FIRST.items() if (family, first) in SHIPPED
    )


def small(family_name: str, stage: str) -> str:
    """The stage, of LLM workloads one of fewer requests: thousands take half a minute."""
    if family_name != "llm":
        return stage
    return re.sub(r"^(.*?)(-n\d+)?((-(x|s|cv)\d+|-flow|-mix)*)$", r"\1-n150\3", stage)


@pytest.mark.parametrize(("family_name", "name"), SHIPPED, ids=map("-".join, SHIPPED))
def test_every_shipped_policy_is_what_its_card_says(family_name, name):
    card = shipped.read_card(family_name, name)
    weights = card.path.with_suffix(".safetensors")
    assert weights.stat().st_size < shipped.LARGEST_WEIGHTS and card.content["preset"]
    training = card.content["training"]
    assert training["minutes"] > 0 and training["machine"] and training["seed"] >= 0 and training["date"] > "2026"
    assert card.content["command"].startswith(f"python train.py {registry.family(family_name).command} --preset ")
    policy = shipped.read_policy(card)
    entry = registry.family(family_name)
    instance = entry.room("generator").training_instances(small(family_name, card.content["stage"]), 1, 0, 7)[0]
    world = {key: value for key, value in card.options.items() if key in entry.options.world}
    assert solve(policy, [instance], Limits(options=world))[0].schedule.violations() == []
    assert solve(resolve("pretrained", family_name), [instance], Limits(options=world))[0].status.startswith(
        "pretrained/"
    )
    for row in card.content["results"]:
        assert row["instances"] > 0 and row["samples"] >= 1 and np.isfinite(row["mean"])
    assert {row["policy"] for row in card.content["results"]} > {"learned"}, "nothing to compare it with"


def test_the_main_job_achieves_what_its_card_says():
    """Ten instances, greedily; another processor may round a tie otherwise, so a little is allowed."""
    rows = shipped.read_card("job_shop", "main").content["results"]
    (row,) = [r for r in rows if (r["set"], r["policy"], r["samples"]) == ("ta01-10", "learned", 1)]
    shops = registry.instances("ta01-10", "job_shop")
    answers = solve(resolve("pretrained/main", "job_shop"), shops, Limits())
    gaps = [a.schedule.metrics()["makespan"] / registry.bounds(a.schedule.instance).upper - 1 for a in answers]
    assert 100 * np.mean(gaps) == pytest.approx(row["gap"], abs=1.0)
    (rule,) = [r for r in rows if (r["set"], r["policy"]) == ("ta01-10", "fdd/mwkr")]
    assert 100 * np.mean(gaps) < rule["gap"] - 2


def test_python_takes_the_names():
    shop = dispatchgym.load("ft06")
    for name in ("pretrained", "pretrained/main", "Pretrained/Main"):
        schedule = dispatchgym.solve(shop, name)
        assert dispatchgym.validate(shop, schedule) == []
    assert schedule.metrics()["makespan"] <= 75


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*words: str):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *words])
        with pytest.raises(SystemExit) as caught:
            evaluate.main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_the_command_takes_the_names(call):
    words = ("--instances", "ft06", "4x3:0", "--policies", "pretrained", "pretrained/mixed", "--format", "json")
    status, out, _ = call("job-shop", *words)
    results = [Result.from_json(line) for line in out.splitlines()]
    assert status == 0 and [r.policy for r in results] == ["pretrained"] * 2 + ["pretrained/mixed"] * 2
    assert [r.value for r in results[:2]] == [r.value for r in results[2:]]
    assert [r.status for r in results] == ["pretrained/mixed"] * 2 + [""] * 2
    assert "pretrained/main" in call("job-shop", "--list")[1]


def test_an_unknown_one_is_one_line(call):
    status, out, err = call("job-shop", "--instances", "ft06", "--policies", "pretrained/none")
    assert status == 2 and out == "" and err.count("\n") == 1
    assert f"'none'; known: {', '.join(sorted(shipped.names('job_shop')))}" in err


def test_a_family_without_any_says_how_to_make_one(call, folder):
    status, _, err = call("soc", "--instances", "topcuoglu", "--policies", "pretrained")
    assert status == 2 and err == "error: no trained policy of soc is shipped; make one: python train.py soc\n"
    assert "none\n" in call("soc", "--list")[1]
    with pytest.raises(UnknownNameError, match="none is shipped"):
        shipped.load("pretrained/main", "soc")


def copy_as(folder, name: str, **changes) -> None:
    for suffix in (".json", ".safetensors"):
        shutil.copy(folder / f"main{suffix}", folder / f"{name}{suffix}")
    rewrite(folder / f"{name}.json", **changes)


def test_each_instance_gets_the_policy_of_its_kind(folder, monkeypatch):
    """Two kinds in one list; answers come in the list's order."""
    copy_as(folder, "a-twin", options=json.loads(MAIN.read_text())["options"] | {"construction": "non-delay"})
    copy_as(folder, "odd", kind="odd")
    monkeypatch.setattr(shipped, "FIRST", {"job_shop": "main"})
    monkeypatch.setattr(shipped, "kind_of", lambda i: "odd" if i.name.endswith("1") else i.objective)
    shops = registry.instances(["4x3:0-2", "ft06", "la01"], "job_shop")
    answers = solve(resolve("pretrained", "job_shop"), shops, Limits())
    assert [a.status for a in answers] == [f"pretrained/{n}" for n in ("main", "odd", "main", "main", "odd")]
    assert [a.schedule.instance.name for a in answers] == [shop.name for shop in shops]
    monkeypatch.setattr(shipped, "FIRST", {"job_shop": "a-twin"})
    assert solve(resolve("pretrained", "job_shop"), shops[:1], Limits())[0].status == "pretrained/a-twin"


def test_the_most_similar_world_is_preferred(folder, monkeypatch):
    entry = registry.family("job_shop")
    copy_as(folder, "operations", options=json.loads(MAIN.read_text())["options"] | {"construction": "0.5"})
    monkeypatch.setattr(entry.options, "world", frozenset({"construction"}))
    shops = registry.instances("ft06", "job_shop")
    for asked, name in (("active", "main"), ("0.5", "operations"), ("non-delay", "main")):
        answer = solve(resolve("pretrained", "job_shop"), shops, Limits(options={"construction": asked}))[0]
        assert answer.status == f"pretrained/{name}" and answer.options["construction"] == asked


@pytest.mark.parametrize(("names", "fits"), [(["ft06", "4x3:0"], True), (["ft06", "setup-10x5:0"], False)])
def test_it_applies_where_one_is_shipped_for_every_instance(names, fits):
    assert applies(resolve("pretrained", "job_shop"), registry.instances(names, "job_shop"), Limits()) == fits


def test_a_kind_nobody_was_trained_for_is_an_error(call):
    status, _, err = call("job-shop", "--instances", "setup-weighted-single-20:0", "--policies", "pretrained")
    assert status == 2 and err.count("\n") == 1
    assert "no shipped policy fits setup-weighted-single-20:0 (total_weighted_tardiness): mixed is for makespan" in err


def test_by_name_it_refuses_an_observation_it_cannot_read(call):
    status, _, err = call("job-shop", "--instances", "tardiness-10x5:0", "--policies", "pretrained/main")
    assert status == 2 and err.count("\n") == 1 and "the features of work are others (with due" in err


def test_torn_weights_are_refused(folder):
    path = folder / "main.safetensors"
    whole = path.read_bytes()
    for broken in (b"", whole[:-1], whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match="main.safetensors: torn or changed"):
            dispatchgym.solve("ft06", "pretrained")
    path.write_bytes(b"0" * (shipped.LARGEST_WEIGHTS + 1))
    with pytest.raises(CheckpointError, match="larger than"):
        dispatchgym.solve("ft06", "pretrained")
    path.unlink()
    with pytest.raises(CheckpointError, match="main.safetensors: cannot be read"):
        dispatchgym.solve("ft06", "pretrained/main")
    path.write_bytes(whole)
    assert dispatchgym.solve("ft06", "pretrained/main").violations() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"format": 2}', '{"format": 1}'], ids=range(7))
def test_a_card_that_is_none_is_refused(folder, text):
    (folder / "main.json").write_text(text)
    for name in ("pretrained", "pretrained/main"):
        with pytest.raises(CheckpointError, match="main.json"):
            resolve(name, "job_shop")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"width": 9}}, "cannot be used"),
        ({"network": {"width": 64}}, "cannot be used"),
        ({"network": {"depth": 3}}, "cannot be used"),
        ({"options": {"colour": "red"}}, "cannot be used"),
        ({"stage": "nonsense"}, "cannot be used"),
        ({"features": {}}, "does not fit this version.*train it again: python train.py"),
        ({"family": "vm"}, "of the family vm"),
        ({"results": {}}, "results must be a list"),
        ({"sha256": "0"}, "torn or changed"),
    ],
    ids=str,
)
def test_a_card_that_does_not_fit_is_refused(folder, changes, words):
    rewrite(folder / "main.json", **changes)
    with pytest.raises(CheckpointError, match=words):
        resolve("pretrained/main", "job_shop")


def test_a_card_too_large_is_not_read(folder):
    (folder / "main.json").write_text(" " * (shipped.LARGEST_CARD + 1))
    with pytest.raises(CheckpointError, match="larger than"):
        resolve("pretrained", "job_shop")


def test_another_order_of_features_is_seen(folder):
    names = json.loads(MAIN.read_text())["features"]
    rewrite(folder / "main.json", features=names | {"work": names["work"][::-1]})
    with pytest.raises(CheckpointError, match="in another order"):
        resolve("pretrained/main", "job_shop")


def test_a_policy_needs_something_to_decide_with():
    with pytest.raises(OptionError, match="a policy is a name"):
        resolve(object(), "job_shop")
