"""Two processes train as one: equal weights, their own instances, one log, and a resumed run goes on bit for bit."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dispatchgym.agents import checkpoint, distributed
from dispatchgym.agents.distributed import Ranks
from dispatchgym.agents.presets import preset
from dispatchgym.envs.core.errors import CheckpointError, OptionError

WORKER = Path(__file__).with_name("distributed_worker.py")


def configuration(timesteps: int) -> dict:
    smoke = preset("job_shop", "smoke")
    return {
        "family": "job_shop", "preset": "smoke", "stages": list(smoke.stages), "groups": 4, "group": 4,
        "options": {"construction": "active", "forced_moves": True, "observation": "jobs"}, "stage_options": {},
        "network": smoke.network, "ppo": smoke.ppo, "evolution": {}, "timesteps": timesteps, "seed": 0,
        "device": "cpu", "threads": 1, "checkpoint_every": 2, "evaluate_every": 1000,
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, list[dict]]:
    """What each of two processes says of a run, and of its first half gone on with."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = os.environ | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, str(WORKER), str(folder), json.dumps(configuration(700))]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    try:
        said = [json.loads(process.communicate(timeout=280)[0].splitlines()[-1]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return folder, said


def test_weights_are_equal_on_both_ranks(trained):
    _, (one, other) = trained
    for run in ("straight", "resumed"):
        for what in ("policy", "average", "optimizer", "counters"):
            assert one[run][what] == other[run][what]
    assert one["straight"]["counters"]["num_timesteps"] >= 700, "everybody's steps count"


def test_a_resumed_run_goes_on_bit_for_bit(trained):
    for said in trained[1]:
        assert said["resumed"] == said["straight"]
    numbers = sorted(int(path.name[-8:]) for path in (trained[0] / "straight").glob("checkpoint-*"))
    assert numbers[0] == 2 < numbers[-1], "nothing was left to go on with"


def test_each_rank_has_its_own_instances_and_chance(trained):
    one, other = trained[1]
    assert not set(one["instances"]) & set(other["instances"])
    assert one["straight"]["generator"] != other["straight"]["generator"]


def test_gradients_are_means_over_all_rows(trained):
    for said in trained[1]:
        assert said["gradients"] == [[2.5, 2.5], [0.0], [1.0]], "weighed by rows: (1 * 1 + 3 * 3) / 4, nobody's, one's"


def test_the_first_rank_alone_writes(trained):
    folder, (one, other) = trained
    assert len(list((folder / "straight").glob("events.*"))) == 1
    assert one["wrote"] and not other["wrote"]
    tensors = checkpoint.read(checkpoint.newest(folder / "straight"))[1]
    assert {"generator", "generator.1"} <= set(tensors)


def test_another_number_of_processes_is_refused(trained):
    from dispatchgym import train

    start = checkpoint.newest(trained[0] / "straight")
    with pytest.raises(CheckpointError, match="a run of 2 processes cannot go on with 1"):
        checkpoint.restore(start, train.build(configuration(700)))
    assert checkpoint.read_policy(start, "job_shop").options["construction"] == "active"


def test_alone_nothing_is_exchanged():
    alone = Ranks()
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.full((2,), 3.0)
    alone.average_gradients([weight], 7)
    alone.share([weight])
    assert alone.first and weight.grad.tolist() == [3.0, 3.0] and alone.total(1.5, 2.0) == [1.5, 2.0]
    assert alone.all(True) and not alone.all(False) and alone.gather(weight) == [weight]
    assert distributed.join("cpu") == alone


def test_no_two_ranks_draw_the_same_part_of_the_stream():
    parts = [Ranks(rank, 3).part(iteration) for iteration in range(5) for rank in range(3)]
    assert sorted(parts) == list(range(15)) and [Ranks().part(k) for k in range(5)] == list(range(5))


def test_each_process_needs_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(distributed, "resolve_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(OptionError, match="each takes its own GPU"):
        distributed.device_of_rank("cuda:0")
    with pytest.raises(OptionError, match="process 1 finds 1 GPUs"):
        distributed.device_of_rank("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.device_of_rank("cuda") == "cuda:1" and distributed.device_of_rank("cpu") == "cpu"
