"""Training in several processes at once: what ranks tell each other, and nothing where there is only one.

``torchrun --nproc-per-node N train.py ...`` starts N processes. Each plays instances of its own; gradients are averaged
over all decisions of a step, so that the weights stay equal everywhere; the first rank logs, evaluates and writes
checkpoints.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from ..envs.core.engine import resolve_device
from ..envs.core.errors import OptionError


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: number of this one.
        size: how many there are.
        device: where tensors that are exchanged live.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this one logs and writes."""
        return self.rank == 0

    def part(self, iteration: int) -> int:
        """Which part of the training stream this rank draws in an iteration; no two ever draw the same."""
        return iteration * self.size + self.rank

    def total(self, *values: float) -> list[float]:
        """Each value summed over the ranks, in double precision."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    def all(self, answer: bool) -> bool:
        """Whether every rank says yes."""
        return self.total(float(answer))[0] == self.size

    def average_gradients(self, parameters: list[Tensor], rows: int) -> None:
        """Replace gradients, each the mean over so many rows, by the mean over the rows of all ranks.

        A parameter without a gradient takes part with zeros.
        """
        if self.size == 1:
            return
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([part.flatten() for part in parts] + [parts[0].new_ones(1)]) * rows
        dist.all_reduce(flat)
        flat = flat[:-1] / flat[-1].clamp_min(1.0)
        for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = mean.view_as(parameter)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give everybody the first rank's values."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), 0)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Everybody's tensor of the same shape and type, by rank."""
        if self.size == 1:
            return [tensor]
        mine = tensor.to(self.device)
        found = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(found, mine)
        return [other.cpu() for other in found]


def started() -> bool:
    """Whether torchrun started this process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def rank() -> int:
    """The number of this process, before it has met the others."""
    return int(os.environ.get("RANK", "0"))


def device_of_rank(device: str) -> str:
    """The device of this process: of several processes each takes a GPU of its own.

    Raises:
        OptionError: if all were to share one GPU, or there are fewer GPUs than processes.
    """
    resolved = resolve_device(device)
    if not started() or resolved.type != "cuda":
        return str(resolved)
    if ":" in device:
        raise OptionError(f"--device {device}: of several processes each takes its own GPU; say cuda")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local >= torch.cuda.device_count():
        raise OptionError(f"process {local} finds {torch.cuda.device_count()} GPUs; start no more than that")
    return f"cuda:{local}"


def join(device: str) -> Ranks:
    """Meet the other processes that torchrun started, if it did.

    Args:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    if not started():
        return Ranks()
    own = device_of_rank(device)
    on_gpu = own.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    return Ranks(dist.get_rank(), dist.get_world_size(), own if on_gpu else "cpu")


def leave(ranks: Ranks) -> None:
    """Part when all are done."""
    if ranks.size > 1 and dist.is_initialized():
        dist.destroy_process_group()
