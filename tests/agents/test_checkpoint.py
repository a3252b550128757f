"""Checkpoints: whole or not at all, bit for bit, and never anything that runs."""

import errno
import hashlib
import json
import os
import pickle

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger

from dispatchgym.agents import checkpoint
from dispatchgym.agents.policy import load_policy
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.rollout import Stage
from dispatchgym.envs.core import files
from dispatchgym.envs.core.errors import CheckpointError
from dispatchgym.envs.core.registry import family, instances
from dispatchgym.envs.core.solvers import Limits, solve

SMALL = {"width": 8, "heads": 2, "layers": 1, "hidden": 16}
CONFIG = {
    "family": "job_shop",
    "stages": ["3x3"],
    "options": {"construction": "active", "forced_moves": True, "observation": "jobs"},
    **{"preset": "smoke", "groups": 4, "group": 4, "network": SMALL, "ppo": {}, "timesteps": 200, "seed": 0},
    **{"device": "cpu", "threads": 1, "checkpoint_every": 1, "evaluate_every": 1},
}
HEADER, TENSORS = checkpoint.HEADER, checkpoint.TENSORS


def make_ppo(seed: int = 0, network=None, **options) -> PPO:
    made = family("job_shop").make_options(**options)
    ppo = PPO([Stage("job_shop", "3x3", 4, 4, made, seed, "cpu")], network=network or SMALL, batch_size=64, seed=seed)
    ppo.set_logger(Logger(None, []))
    return ppo


def everything(ppo: PPO) -> dict[str, bytes]:
    """All bits that decide how a run goes on."""
    found = {f"policy.{name}": tensor for name, tensor in ppo.policy.state_dict().items()}
    found |= {f"average.{name}": tensor for name, tensor in ppo.average_network.state_dict().items()}
    for position, state in ppo.policy.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{position}.{name}": tensor for name, tensor in state.items()}
    found["generator"] = ppo.generator.get_state()
    counters = [ppo.iteration, ppo.decisions, ppo.num_timesteps, ppo._n_updates]
    return {k: t.detach().numpy().tobytes() for k, t in found.items()} | {"counters": repr(counters).encode()}


@pytest.fixture(scope="module")
def trained() -> PPO:
    ppo = make_ppo()
    ppo.learn(200)
    return ppo


def save_at(run, ppo: PPO, *iterations: int) -> None:
    """Checkpoints as if these were the iterations."""
    now = ppo.iteration
    for ppo.iteration in iterations:
        checkpoint.save(run, ppo, CONFIG)
    ppo.iteration = now


@pytest.fixture
def run_folder(trained, tmp_path):
    """A run with two generations, and its older one's iteration."""
    save_at(tmp_path, trained, 3, 4)
    return tmp_path


def test_round_trip_is_bit_equal(trained, tmp_path):
    folder = checkpoint.save(tmp_path, trained, CONFIG)
    assert folder == checkpoint.newest(tmp_path) == checkpoint.newest(folder)
    other = make_ppo(seed=1)
    first = "policy.network.embed_work.weight"
    assert everything(other)[first] != everything(trained)[first]
    checkpoint.restore(folder, other)
    assert everything(other) == everything(trained)
    assert any(name.startswith("optimizer.") for name in everything(other))


def test_a_restored_run_goes_on_bit_for_bit(tmp_path):
    straight = make_ppo()
    straight.learn(300)
    folder = checkpoint.save(tmp_path, straight, CONFIG)
    straight.learn(300, reset_num_timesteps=False)
    resumed = make_ppo(seed=0)
    checkpoint.restore(folder, resumed)
    resumed.learn(300, reset_num_timesteps=False)
    assert everything(resumed) == everything(straight)


def test_an_untrained_run_can_be_kept(tmp_path):
    ppo, other = make_ppo(), make_ppo(seed=1)
    checkpoint.restore(checkpoint.save(tmp_path, ppo, CONFIG), other)
    assert everything(ppo) == everything(other)


def test_the_files_are_safetensors_and_json(run_folder):
    assert sorted(path.name for path in run_folder.iterdir()) == ["checkpoint-00000003", "checkpoint-00000004"]
    folder = checkpoint.newest(run_folder)
    assert folder.name == "checkpoint-00000004"
    assert sorted(path.name for path in folder.iterdir()) == [HEADER, TENSORS]
    header = json.loads((folder / HEADER).read_text())
    assert header["config"] == CONFIG and header["iteration"] == 4 and header["versions"]["torch"]
    from safetensors.torch import load_file

    assert "average.embed_work.weight" in load_file(folder / TENSORS)


def test_only_the_last_generations_remain(trained, tmp_path):
    save_at(tmp_path, trained, 1, 2, 3, 10, 100)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-00000010", "checkpoint-00000100"]


def lengths(size: int) -> list[int]:
    return sorted({0, 1, 7, 8, 9, 64, size // 4, size // 2, size - 100, size - 2, size - 1} & set(range(size)))


@pytest.mark.parametrize("name", [TENSORS, HEADER])
def test_a_torn_file_falls_back_to_the_generation_before(run_folder, name):
    newest, older = (run_folder / f"checkpoint-0000000{k}" for k in (4, 3))
    whole = (newest / name).read_bytes()
    for length in lengths(len(whole)):
        (newest / name).write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            checkpoint.read(newest)
        assert checkpoint.newest(run_folder) == older
        load_policy(str(run_folder), "job_shop")
        with pytest.raises(CheckpointError):
            load_policy(str(newest), "job_shop")
    (newest / name).unlink()
    assert checkpoint.newest(run_folder) == older
    (newest / name).write_bytes(whole)
    assert checkpoint.newest(run_folder) == newest


@pytest.mark.parametrize("name", [TENSORS, HEADER])
def test_no_flipped_byte_is_loaded_silently(run_folder, trained, name):
    newest = checkpoint.newest(run_folder)
    whole = (newest / name).read_bytes()
    original = checkpoint.read(newest)[0]
    rng = np.random.default_rng(0)
    places = range(0, len(whole), 3) if name == HEADER else rng.integers(len(whole), size=60)
    silent = []
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        (newest / name).write_bytes(broken)
        try:
            header = checkpoint.read(newest)[0]
        except CheckpointError:
            continue
        if name == TENSORS or header != original:  # white space between words of JSON carries nothing
            silent.append(whole[max(0, place - 30) : place + 10].decode(errors="replace"))
    assert silent == []


def test_two_torn_generations_are_an_error_that_names_both(run_folder):
    for folder in run_folder.iterdir():
        (folder / TENSORS).write_bytes(b"")
    with pytest.raises(CheckpointError, match="00000004.*torn.*00000003.*torn"):
        checkpoint.newest(run_folder)


def test_files_of_two_generations_do_not_mix(run_folder, trained):
    first = make_ppo(seed=7)
    first.iteration = 5
    folder = checkpoint.save(run_folder, first, CONFIG)
    (folder / TENSORS).write_bytes((run_folder / "checkpoint-00000004" / TENSORS).read_bytes())
    assert checkpoint.newest(run_folder).name == "checkpoint-00000004"


class FullDisk(OSError):
    def __init__(self):
        super().__init__(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
@pytest.mark.parametrize("moment", [1, 2])
def test_a_full_disk_leaves_the_last_generation(run_folder, trained, monkeypatch, call, moment):
    """The failure comes with the first or the second file of a checkpoint."""
    calls = []

    def fail(original):
        def wrapped(*arguments, **options):
            calls.append(arguments)
            if len(calls) >= moment:
                raise FullDisk
            return original(*arguments, **options)

        return wrapped

    monkeypatch.setattr(trained, "iteration", 5)
    before = everything(trained)
    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(checkpoint, "write_atomic", fail(files.write_atomic))
        else:
            patch.setattr(os, call, fail(getattr(os, call)))
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(run_folder, trained, CONFIG)
    assert calls and everything(trained) == before
    assert checkpoint.newest(run_folder).name == "checkpoint-00000004"
    assert not [path for path in run_folder.rglob("*.tmp")]
    folder = checkpoint.save(run_folder, trained, CONFIG)
    assert checkpoint.newest(run_folder) == folder


def test_a_broken_folder_does_not_take_a_generations_place(run_folder, trained):
    """After a crash while saving, two whole generations are kept again, not one and the ruin."""
    (run_folder / "checkpoint-00000005").mkdir()
    save_at(run_folder, trained, 6)
    (run_folder / "checkpoint-00000006" / TENSORS).write_bytes(b"torn")
    assert checkpoint.newest(run_folder).name == "checkpoint-00000004"


class Payload:
    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return (open, (self.canary, "w"))


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_nothing_in_a_checkpoint_is_run(run_folder, tmp_path, kind):
    canary = tmp_path / "canary"
    folder = checkpoint.newest(run_folder)
    if kind == "pickle":
        (folder / TENSORS).write_bytes(pickle.dumps(Payload(canary)))
    else:
        torch.save({"policy": Payload(canary)}, folder / TENSORS)
    header = json.loads((folder / HEADER).read_text())
    header["sha256"] = hashlib.sha256((folder / TENSORS).read_bytes()).hexdigest()  # an attacker can do that much
    (folder / HEADER).write_text(json.dumps(checkpoint.seal(header)))
    for attempt in (checkpoint.read, lambda path: load_policy(str(path), "job_shop")):
        with pytest.raises(CheckpointError):
            attempt(folder)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Payload(canary)))
    assert canary.exists(), "the payload itself does not work, so this test shows nothing"


def rewrite(folder, **changes) -> None:
    """Change a header in the way somebody would who knows the format."""
    header = json.loads((folder / HEADER).read_text())
    header.update(changes)
    (folder / HEADER).write_text(json.dumps(checkpoint.seal(header)))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": "1"},
        {"sha256": None},
        {"config": CONFIG | {"family": "vm"}},
        {"config": None},
        {"config": []},
        {"config": {}},
        {"config": CONFIG | {"options": {"construction": "foo"}}},
        {"config": CONFIG | {"options": {"colour": "red"}}},
        {"config": CONFIG | {"options": 3}},
        {"config": CONFIG | {"stages": []}},
        {"config": CONFIG | {"stages": ["nonsense"]}},
        {"config": CONFIG | {"stages": ["9999999x9999999"]}},
        {"network": {"width": 16}},
        {"network": {"depth": 3}},
        {"network": None},
        {"network": {**SMALL, "width": 9}},
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_is_refused(run_folder, changes):
    folder = checkpoint.newest(run_folder)
    rewrite(folder, **changes)
    with pytest.raises(CheckpointError, match="checkpoint-00000004"):
        load_policy(str(folder), "job_shop")


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", "[" * 100_000, '{"format": 1}', "\xff\xfe"], ids=range(8))
def test_a_header_that_is_none_is_refused(run_folder, text):
    folder = checkpoint.newest(run_folder)
    (folder / HEADER).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError):
        checkpoint.read(folder)
    assert checkpoint.newest(run_folder).name == "checkpoint-00000003"


def test_a_header_too_large_is_not_read(run_folder):
    folder = checkpoint.newest(run_folder)
    (folder / HEADER).write_text(" " * (checkpoint.LARGEST_HEADER + 1))
    with pytest.raises(CheckpointError, match="larger than"):
        checkpoint.read(folder)


@pytest.mark.parametrize("network", [{**SMALL, "width": 16}, {**SMALL, "layers": 2}])
def test_a_checkpoint_of_another_network_is_refused(run_folder, network):
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.restore(checkpoint.newest(run_folder), make_ppo(network=network))


def test_a_checkpoint_of_another_observation_is_refused(run_folder):
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.restore(checkpoint.newest(run_folder), make_ppo(observation="operations"))


def test_folders_without_a_checkpoint_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        checkpoint.newest(tmp_path / "none")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint.newest(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="no such folder"):
        checkpoint.newest(tmp_path / "file")


def test_the_policy_read_back_is_the_averaged_network(trained, run_folder):
    shops = instances("4x3:0-9", "job_shop")
    policy = load_policy(str(run_folder), "job_shop")
    assert policy.options == CONFIG["options"] and policy.observes
    for name, tensor in trained.average_network.state_dict().items():
        assert torch.equal(policy.network.state_dict()[name], tensor)
    for mine, theirs in zip(*(solve(p, shops, Limits(samples=2)) for p in (policy, trained.evaluator())), strict=True):
        assert (mine.schedule.entries == theirs.schedule.entries).all()
