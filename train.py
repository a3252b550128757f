"""Train a scheduling policy and compare it with the rules and the optimum.

python train.py                                   the main job: job shop, minutes on two cores
python train.py job-shop --preset 10x10 --seed 1
python train.py job-shop --resume runs/job-shop-main-0
torchrun --nproc-per-node 4 train.py job-shop     four processes whose gradients are averaged
"""

import dataclasses
import json
import time
from pathlib import Path

if not __package__:  # run as a script: the package is this folder under its installed name
    from dispatchgym.train import main as _installed
else:
    from . import envs  # noqa: F401  (registers the families)
    from .envs.core.command import given_options, guarded, parse
    from .envs.core.errors import CheckpointError, OptionError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Flags of train.py; each line below a field is its help."""

    preset: str = ""
    """Name of the training, see evaluate.py FAMILY --list; empty takes the family's main one."""
    seed: int = 0
    """Key of weights, instances and sampling."""
    device: str = "auto"
    """auto, cpu or cuda[:n]."""
    out: str = ""
    """Run folder; empty makes runs/FAMILY-PRESET-SEED."""
    resume: str = ""
    """Run folder to go on with, bit for bit on the same machine; only --timesteps and --compare go with it."""
    timesteps: int = 0
    """Environment steps of the whole training; 0 takes the preset's."""
    threads: int = 2
    """CPU threads over which each gradient step is split; results depend on it in the last bits."""
    checkpoint_every: int = 10
    """Iterations between checkpoints."""
    evaluate_every: int = 5
    """Iterations between evaluations on held-out instances."""
    compare: bool = True
    """End with the comparison table."""

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything is made."""
        limits = {"timesteps": 0, "threads": 1, "checkpoint_every": 1, "evaluate_every": 1, "seed": 0}
        for name, least in limits.items():
            if not least <= getattr(self, name) < 2**32:
                flag = f"--{name.replace('_', '-')}"
                raise OptionError(f"{flag} must be from {least} to {2**32 - 1}, got {getattr(self, name)}")

    def check_alone(self) -> None:
        """Refuse flags that a resumed run would not heed."""
        heeded = {"resume", "timesteps", "compare"}
        for field in dataclasses.fields(self):
            if field.name not in heeded and getattr(self, field.name) != field.default:
                flag = f"--{field.name.replace('_', '-')}"
                raise OptionError(f"{flag} cannot be changed with --resume: the run goes on as it began")


def configuration(entry, arguments) -> dict:
    """Everything a run is made of, as JSON holds it, from the flags."""
    from .agents import presets

    name = arguments.preset or presets.DEFAULT[entry.name]
    preset = presets.preset(entry.name, name)
    options = preset.options | given_options(arguments, entry)
    return {
        "family": entry.name,
        "preset": name,
        "stages": list(preset.stages),
        "groups": preset.groups,
        "group": preset.group,
        "options": dataclasses.asdict(entry.make_options(**options)),
        "stage_options": preset.stage_options,
        "network": preset.network,
        "ppo": preset.ppo,
        "evolution": preset.evolution,
        "timesteps": arguments.timesteps or preset.timesteps,
        "seed": arguments.seed,
        "device": arguments.device,
        "threads": arguments.threads,
        "checkpoint_every": arguments.checkpoint_every,
        "evaluate_every": arguments.evaluate_every,
    }


def build(config: dict, ranks=None):
    """Make the trainer of a configuration, in one process or as one of several."""
    from .agents.ppo import PPO

    stages = make_stages(config)
    return PPO(
        stages,
        network=config["network"],
        threads=config["threads"],
        seed=config["seed"],
        device=stages[0].device,
        ranks=ranks,
        **config["ppo"],
    )


def make_stages(config: dict) -> list:
    """What a configuration trains on, in turn."""
    import torch

    from .agents.distributed import device_of_rank
    from .agents.rollout import Stage

    device = device_of_rank(config["device"])
    # One thread inside each operator: with more, operators wait for each other whenever the machine is busy.
    torch.set_num_threads(1)
    return [
        Stage(
            config["family"],
            name,
            _groups(name, config),
            config["group"],
            _options(name, config),
            config["seed"],
            device,
            threads=config["threads"] if device == "cpu" else None,
        )
        for name in config["stages"]
    ]


def evolve(config: dict, run: Path, first: bool = True) -> float:
    """Find the index that the training begins with, and keep it with the configuration; all processes find the same.

    Returns:
        How many seconds it took.
    """
    from tqdm import tqdm

    from .agents.evolution import Evolution
    from .agents.evolution import evolve as find_index
    from .envs.core.files import write_atomic

    settings, began = Evolution(**config["evolution"]), time.perf_counter()
    count = settings.generations
    with tqdm(total=count, desc="evolution of an index", unit="generation", leave=False, disable=not first) as bar:
        index = find_index(make_stages(config), settings, config["seed"], bar.update)
    config["network"] = config["network"] | {"prior": index}
    if first:
        write_atomic(run / "config.json", json.dumps(config, indent=1))
    return time.perf_counter() - began


def _options(stage: str, config: dict):
    """The family's options on a stage."""
    from .envs.core.registry import family

    return family(config["family"]).make_options(**config["options"] | config.get("stage_options", {}).get(stage, {}))


def _groups(stage: str, config: dict) -> int:
    """Instances side by side: fewer of a larger size, so that iterations stay alike in cost."""
    from .envs.core.registry import family

    entry = family(config["family"])
    instances = entry.room("generator").training_instances(stage, 1, 0, 0)
    decisions = entry.model(instances, _options(stage, config)).decisions
    return max(4, round(config["groups"] * min(1.0, (100 / decisions) ** 0.5)))


def train(config: dict, run: Path, resume_from: Path | None = None, ranks=None):
    """Train to the end of a configuration and return the trainer.

    Args:
        config: see ``configuration``.
        run: the run folder, which exists.
        resume_from: the checkpoint to go on from.
        ranks: the processes that train together (``agents.distributed.Ranks``); only the first one logs and evaluates.
    """
    from stable_baselines3.common.callbacks import CallbackList
    from stable_baselines3.common.logger import Logger, configure

    from .agents import checkpoint
    from .agents.callbacks import Checkpoints

    first = ranks is None or ranks.first
    seconds = evolve(config, run, first) if config.get("evolution") and resume_from is None else 0.0
    ppo = build(config, ranks)
    ppo.seconds["evolution"] = seconds
    if resume_from is not None:
        checkpoint.restore(resume_from, ppo)
    callbacks = observers(config, ppo) if first else []
    ppo.set_logger(configure(str(run), ["tensorboard"]) if first else Logger(None, []))
    callbacks.append(Checkpoints(run, config, config["checkpoint_every"]))
    ppo.learn(
        max(0, config["timesteps"] - ppo.num_timesteps), callback=CallbackList(callbacks), log_interval=1,
        reset_num_timesteps=False,
    )  # fmt: skip
    return ppo


def observers(config: dict, ppo) -> list:
    """The callbacks that show how a training goes."""
    from .agents import presets
    from .agents.callbacks import Hyperparameters, Progress, Watch, watched_values
    from .envs.core import registry
    from .envs.core.solvers import Limits, resolve

    preset = presets.preset(config["family"], config["preset"])
    instances = registry.instances(preset.watched, config["family"])
    best_known = watched_values(preset, instances, config["seed"])
    world = preset.world(registry.family(config["family"]))
    limits = Limits(device=str(ppo.device), seed=config["seed"], options=world)
    rules = {name: resolve(name, config["family"]) for name in preset.rules}
    watch = Watch(instances, best_known, rules, config["evaluate_every"], limits)
    return [Hyperparameters(config), watch, Progress(config["timesteps"])]


def compare(config: dict, ppo, run: Path) -> None:
    """Print and keep the comparison on held-out instances."""
    from .agents import presets
    from .agents.comparison import compare as run_comparison

    preset = presets.preset(config["family"], config["preset"])
    run_comparison(preset, config["family"], ppo.evaluator(), str(ppo.device), config["seed"], run)


def prepare(entry, arguments, first: bool = True) -> tuple[dict, Path, Path | None]:
    """The configuration, the run folder, and the checkpoint to go on from; only the first process makes the folder."""
    from .agents import checkpoint
    from .agents.distributed import device_of_rank

    if arguments.resume:
        arguments.check_alone()
        start = checkpoint.newest(Path(arguments.resume))
        config = checkpoint.configuration(start)
        if config["family"] != entry.name:
            raise CheckpointError(f"{start}: a run of the family {config['family']}, not {entry.name}")
        if arguments.timesteps:
            config["timesteps"] = arguments.timesteps
        return config, start.parent, start
    config = configuration(entry, arguments)
    device_of_rank(config["device"])  # before a folder is made for a run that cannot begin
    return config, make_folder(entry, arguments, config) if first else Path(), None


def make_folder(entry, arguments, config: dict) -> Path:
    """A new run folder with the run's configuration in it."""
    from .envs.core.files import write_atomic

    run = Path(arguments.out or f"runs/{entry.command}-{config['preset']}-{config['seed']}")
    try:
        if run.exists() and (not run.is_dir() or any(run.iterdir())):
            if arguments.out:
                raise OptionError(
                    f"--out {run} exists and is not an empty folder; go on with --resume, or name another"
                )
            run = _free_name(run)
        run.mkdir(parents=True, exist_ok=True)
        write_atomic(run / "config.json", json.dumps(config, indent=1))
    except OSError as error:
        raise OptionError(f"--out {run} cannot be written: {error}") from error
    return run


def _free_name(run: Path) -> Path:
    number = 2
    while run.with_name(f"{run.name}.{number}").exists():
        number += 1
    return run.with_name(f"{run.name}.{number}")


def run_command() -> int:
    """Parse, train, compare."""
    entry, arguments = parse(Arguments, "train.py", __doc__, "(default: the preset's)", default="job-shop")
    from .agents import distributed

    first = not distributed.started() or distributed.rank() == 0
    config, run, start = prepare(entry, arguments, first)
    if first:
        print(f"run folder {run}; curves: tensorboard --logdir {run}")
    ranks = distributed.join(config["device"])
    try:
        ppo = train(config, run, start, ranks)
    finally:
        distributed.leave(ranks)
    if arguments.compare and first:
        compare(config, ppo, run)
    return 0


def main() -> None:
    """Entry point of the command line."""
    guarded(run_command)


if __name__ == "__main__":
    (_installed if not __package__ else main)()
