"""What a named training is made of."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """A training and how it is judged.

    Attributes:
        doc: one line for ``--list``.
        stages: presets of the instance generator; used in turn, one per iteration.
        timesteps: environment steps of the whole training, all environments counted.
        groups: instances played side by side at 10x10; larger sizes take fewer.
        group: rollouts of each instance.
        options: the family's options it is trained with.
        stage_options: what is different on a stage, by its name: a budget that goes with its size, for one.
        network: keyword arguments of GraphNetwork.
        ppo: keyword arguments of PPO.
        evolution: keyword arguments of Evolution, where an index is evolved first and becomes the network's prior.
        held_out: instances of the final comparison, as ``evaluate.py --instances`` takes them, by the title of their
            table.
        watched: instances evaluated while training.
        rules: policies it is compared with.
        exact: the solver that bounds held-out instances, proving the optimum where it can, with seconds per instance.
        reference: where no exact solver helps, the policy that gaps are relative to.
        samples: attempts of the sampled evaluation.
    """

    doc: str
    stages: tuple[str, ...]
    timesteps: int
    held_out: dict[str, list[str]]
    watched: list[str]
    rules: tuple[str, ...]
    groups: int = 20
    group: int = 16
    options: dict = field(default_factory=dict)
    stage_options: dict[str, dict] = field(default_factory=dict)
    network: dict = field(default_factory=dict)
    ppo: dict = field(default_factory=dict)
    evolution: dict = field(default_factory=dict)
    exact: tuple[str, float] | None = None
    reference: str = ""
    samples: int = 64

    def world(self, entry) -> dict:
        """Those of its options that belong to the world, under which everybody is evaluated."""
        return {name: value for name, value in self.options.items() if name in entry.options.world}
