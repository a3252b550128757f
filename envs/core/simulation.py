"""Many environments of one family, stepped together; the layer below Gymnasium and below every policy run."""

import numpy as np
import torch

from .engine import Engine
from .errors import OptionError
from .schedule import Schedule


class Simulation:
    """A batch of environments over a bank of instances.

    Environment ``i`` plays instance ``i // group`` of the bank first, so groups of environments share an instance.
    Episodes that have ended stand still until ``restart``.

    Args:
        model: the family's model; it fixes the padded sizes.
        instances: the bank; each must fit the model.
        num_envs: number of environments.
        device: ``"cpu"``, ``"cuda[:n]"`` or ``"auto"``.
        seed: key of all random draws.
        group: environments that share an instance.
        worlds: (B,) key of each environment's random draws; environments of a group share one unless it is given.
        shuffled: draw the next instance at random instead of in order.
        observe: False leaves the observation out, which is what rules need.
        threads: CPU threads for a large batch; None chooses.

    Attributes:
        observation: the tensors of the observation, (B, ...) each; rewritten in place by every call.
        columns: int32 tensors (B, A) that describe the candidates.
        mask: (B, A) int8, 1 for a legal action.
    """

    def __init__(
        self,
        model,
        instances,
        num_envs,
        *,
        device="cpu",
        seed=0,
        group=1,
        worlds=None,
        shuffled=False,
        observe=True,
        threads=None,
    ):
        if num_envs < 1 or group < 1:
            raise OptionError(f"num_envs and group must be at least 1, got {num_envs} and {group}")
        self.model, self.instances, self.observe = model, list(instances), observe
        if not self.instances:
            raise OptionError("a simulation needs at least one instance")
        sizes = dict(model.sizes, env=num_envs, bank=len(self.instances), two=2, one=1)
        if not observe:
            sizes.update({axis: 0 for axis in ("edge", "arc", "two", "work", "resource")})
        options = dict(
            model.settings, group=group, shuffled=int(shuffled),
            instances=len(self.instances), environments=num_envs,
        )  # fmt: skip
        self.engine = Engine(model.program, sizes, options, device, threads)
        tensors = self.engine.tensors
        self.num_envs, self.device, self.group = num_envs, self.engine.device, group
        self.observation = {key: tensors[key] for key in model.spec.boxes()} if observe else {}
        self.columns = {name: tensors[name] for name in model.columns}
        self.mask = tensors["action_mask"]
        self.load(self.instances)
        worlds = np.arange(num_envs) // group if worlds is None else np.asarray(worlds)
        tensors["world"].copy_(torch.from_numpy(worlds.astype(np.int32)))
        self.reseed(seed)

    def load(self, instances) -> None:
        """Replace the bank by as many other instances; takes effect with the next ``reset``.

        Raises:
            OptionError: if their number differs or one does not fit.
        """
        instances = list(instances)
        if len(instances) != self.engine.sizes["bank"]:
            raise OptionError(f"the bank holds {self.engine.sizes['bank']} instances, got {len(instances)}")
        for name, array in self.model.pack(instances).items():
            self.engine.tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
        self.instances = instances

    def reseed(self, seed: int) -> None:
        """Change the key of all random draws; call it before ``reset``."""
        self.engine.tensors["seed"].fill_(int(seed) % 2**31)

    def reset(self) -> None:
        """Begin episode 0 everywhere."""
        self.engine.run("reset" if self.observe else "begin")

    def step(self, actions: torch.Tensor) -> None:
        """Apply one action per environment; environments whose episode is over stand still.

        Args:
            actions: (B,) integers; one that is not a candidate ends its episode.

        Raises:
            OptionError: for another shape or dtype.
        """
        inexact = actions.dtype.is_floating_point or actions.dtype.is_complex or actions.dtype == torch.bool
        if actions.shape != (self.num_envs,) or inexact:
            raise OptionError(
                f"actions must be integers of shape ({self.num_envs},), got {actions.dtype} {tuple(actions.shape)}"
            )
        self.engine.tensors["action"].copy_(actions)
        self.engine.run("advance" if self.observe else "step")

    def restart(self) -> None:
        """Begin the next episode wherever one has ended."""
        self.engine.run("restart" if self.observe else "renew")

    def restart_all(self) -> None:
        """Begin the next episode everywhere, ended or not."""
        self.engine.tensors["terminated"].fill_(1)
        self.restart()

    @property
    def reward(self) -> torch.Tensor:
        """(B,) float32, of the last step."""
        return self.engine.tensors["reward"]

    @property
    def clock(self) -> torch.Tensor:
        """(B,) int32, the time of each environment; its steps where the model has no clock."""
        return self.engine.tensors[self.model.clock or "steps"]

    @property
    def terminated(self) -> torch.Tensor:
        """(B,) int8, 1 where the episode is over."""
        return self.engine.tensors["terminated"]

    @property
    def truncated(self) -> torch.Tensor:
        """(B,) int8, 1 where the horizon cut the episode off."""
        return self.engine.tensors["truncated"]

    @property
    def going_on(self) -> torch.Tensor:
        """(B,) bool, True where the episode is not over."""
        return (self.terminated | self.truncated) == 0

    @property
    def illegal(self) -> torch.Tensor:
        """(B,) int8, 1 where an illegal action ended the episode."""
        return self.engine.tensors["illegal"]

    def outcome(self) -> dict[str, torch.Tensor]:
        """What ``info`` reports, (B,) each: the family's figures by their names there."""
        return {name: self.engine.tensors[source] for name, source in self.model.outcome.items()}

    def instance_of(self, i: int):
        """The instance environment i is playing."""
        return self.instances[int(self.engine.tensors["instance"][i])]

    def schedule(self, i: int = 0) -> Schedule:
        """The schedule of environment i so far."""
        row = {name: self.engine.tensors[name][i].cpu().numpy() for name in self.model.schedule_fields}
        row["seed"] = self.engine.tensors["seed"][0].cpu().numpy()
        return self.model.schedule(self.instance_of(i), row)

    def schedules(self) -> list[Schedule]:
        """The schedule of every environment so far."""
        arrays = {name: self.engine.tensors[name].cpu().numpy() for name in self.model.schedule_fields}
        played = self.engine.tensors["instance"].tolist()
        seed = self.engine.tensors["seed"][0].cpu().numpy()
        return [
            self.model.schedule(self.instances[b], {name: array[i] for name, array in arrays.items()} | {"seed": seed})
            for i, b in enumerate(played)
        ]
