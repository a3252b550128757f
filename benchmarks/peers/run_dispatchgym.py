"""Steps per second of dispatchgym: the batched simulation with and without its graph, and single Gymnasium steps."""

import hashlib
from functools import partial
from itertools import product
from pathlib import Path

import gymnasium
import numpy as np
import torch
from measure import announce, arguments, measure

from dispatchgym import envs
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.instance import read
from dispatchgym.envs.job_shop.model import Model, Options

GRAPH = "jobs, machines, route edges, candidates, mask"


def random_action(mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random legal action for each environment.

    Args:
        mask: (B, A) int8, at least one 1 in each row.
        generator: source of the random numbers.

    Returns:
        (B,) int64.
    """
    rank = mask.cumsum(1, dtype=torch.float32)
    drawn = torch.rand(len(mask), 1, generator=generator).mul_(rank[:, -1:])
    return torch.searchsorted(rank, drawn, right=True).squeeze(1)


def prepare_batch(file, batch, options, observe):
    """A batch of copies of one instance, one call is one episode or more; see ``measure.measure``.

    Where every operation is a decision all copies end together, and a part of an episode would not cost its share.
    """
    instance = read(file)
    simulation = Simulation(Model([instance], options), [instance], batch, observe=observe)
    simulation.reset()
    generator = torch.Generator().manual_seed(0)
    tensors, length = simulation.engine.tensors, int(instance.operations.sum())

    def started() -> int:
        """Operations started since the reset: whole episodes, and what the running ones have committed."""
        return length * (int(tensors["episode"].sum()) + batch) - int(tensors["left"].sum())

    def advance():
        before = started()
        for _ in range(length):
            simulation.step(random_action(simulation.mask, generator))
            simulation.restart()
        return length * batch, started() - before

    return advance


def prepare_single(name, file, construction, forced_moves):
    """One environment behind Gymnasium's interface, one call is one episode."""
    env = gymnasium.make(
        "dispatchgym:dispatchgym/JobShop-v0", instance=name, construction=construction, forced_moves=forced_moves
    ).unwrapped  # the checks of Gymnasium's wrappers are not what is measured
    operations = int(read(file).operations.sum())
    rng = np.random.default_rng(0)

    def advance():
        _, info = env.reset(seed=0)
        steps, done = 0, False
        while not done:
            legal = np.flatnonzero(info["action_mask"])
            _, _, terminated, truncated, info = env.step(int(legal[rng.integers(len(legal))]))
            steps, done = steps + 1, terminated or truncated
        return steps, operations

    return advance


def source() -> str:
    """Eight digits that change when the environments' code does, be it between two rounds."""
    files = sorted(Path(envs.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def main() -> None:
    arguments_ = arguments(__doc__)
    torch.set_num_threads(1)
    announce("dispatchgym", ["torch", "warp-lang", "gymnasium", "numpy"], source=source())
    for construction, forced_moves in product(("non-delay", "active"), (False, True)):
        choice = f"{construction}, {'forced moves applied' if forced_moves else 'every operation'}"
        options = Options(construction=construction, forced_moves=forced_moves)
        for name, file in arguments_.instances:
            timed = partial(measure, "dispatchgym", instance=name, seconds=arguments_.seconds)
            for batch, observe in ((1024, True), (1024, False), (8192, False)):
                prepare = partial(prepare_batch, file, batch, options, observe)
                way = f"batch {'with' if observe else 'without'} graph, {choice}"
                timed(mode=way, batch=batch, observation=GRAPH if observe else "mask", prepare=prepare)
            prepare = partial(prepare_single, name, file, construction, forced_moves)
            timed(mode=f"Gymnasium step, {choice}", batch=1, observation=GRAPH, prepare=prepare)


if __name__ == "__main__":
    main()
