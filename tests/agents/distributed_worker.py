"""One of the processes of test_distributed.py: trains, and says what it ended with."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import torch

from dispatchgym import train
from dispatchgym.agents import checkpoint, distributed


def digest(tensors) -> str:
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(tensor.detach().numpy().tobytes())
    return state.hexdigest()


def state_of(ppo) -> dict:
    moments = ppo.policy.optimizer.state_dict()["state"]
    names = ("iteration", "decisions", "num_timesteps", "_n_updates")
    return {
        "policy": digest(ppo.policy.state_dict().values()),
        "average": digest(ppo.average_network.state_dict().values()),
        "optimizer": digest(
            moments[position][name] for position in sorted(moments) for name in sorted(moments[position])
        ),
        "counters": {name: getattr(ppo, name) for name in names},
        "generator": digest([ppo.generator.get_state()]),
    }


def gradients(ranks) -> list:
    """Of three weights: one that all ranks have, one that nobody has, one that the second rank alone has."""
    weights = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 1, 1)]
    weights[0].grad = torch.full((2,), 1.0 + 2 * ranks.rank)
    weights[2].grad = torch.full((1,), 4.0 / 3.0) if ranks.rank else None
    ranks.average_gradients(weights, 1 + 2 * ranks.rank)
    return [weight.grad.tolist() for weight in weights]


def main() -> None:
    folder, config = Path(sys.argv[1]), json.loads(sys.argv[2])
    ranks = distributed.join("cpu")
    said = {"gradients": gradients(ranks)}
    run, again = folder / "straight", folder / "resumed"
    run.mkdir(exist_ok=True)
    ppo = train.train(config, run, None, ranks)
    said["straight"] = state_of(ppo)
    said["instances"] = [instance.digest for instance in ppo.env.stages[0].simulation.instances]
    if ranks.first:
        shutil.copytree(sorted(run.glob("checkpoint-*"))[0], again / "checkpoint-00000002")
    torch.distributed.barrier()
    said["resumed"] = state_of(train.train(config, again, checkpoint.newest(again), ranks))
    said["wrote"] = ranks.first
    distributed.leave(ranks)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
