"""Search over a training's settings with Ray Tune: learning rate, entropy, width and what else matters.

    python benchmarks/sweep.py job-shop --preset main --trials 24 --timesteps 200000
    python benchmarks/sweep.py job-shop --preset main --trials 24 --timesteps 200000 --resume

Needs the extra: pip install -e ".[sweep]". Every trial is a training like that of train.py on one thread; its gap on
the preset's watched instances goes to asynchronous successive halving (Li et al. 2020), which stops what falls behind.
The folder of the search holds a checkpoint and the curves of each trial; a search that was interrupted goes on with
--resume. The table sweep.md lists the trials, best first.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

from dispatchgym import train
from dispatchgym.envs.core.errors import OptionError

METRIC = "gap"
# What is searched: a dotted name in the run's configuration, and how values are drawn.
SPACE: dict[str, tuple] = {
    "ppo.learning_rate": ("log", 1e-4, 5e-3),
    "ppo.entropy": ("log", 1e-3, 1e-1),
    "ppo.n_epochs": ("choice", 1, 2, 3, 4),
    "ppo.batch_size": ("choice", 128, 256, 512, 1024),
    "network.width": ("choice", 16, 32, 64),
    "network.layers": ("choice", 1, 2, 3),
    "group": ("choice", 8, 16, 32),
}


def load_tune():
    """Ray Tune.

    Raises:
        OptionError: saying which extra brings it.
    """
    try:
        from ray import tune
    except ImportError as error:
        raise OptionError(f'Ray Tune is not installed; pip install -e ".[sweep]" brings it ({error})') from error
    return tune


def domains(tune, names: list[str]) -> dict[str, object]:
    """Ray's distributions of the settings that are searched.

    Raises:
        OptionError: for a name that is not among them.
    """
    found = {}
    for name in names or SPACE:
        if name not in SPACE:
            raise OptionError(f"--search {name} is not known; known: {', '.join(SPACE)}")
        kind, *values = SPACE[name]
        found[name] = tune.loguniform(*values) if kind == "log" else tune.choice(values)
    return found


def with_settings(config: dict, settings: dict[str, object]) -> dict:
    """A run's configuration with some settings changed, by their dotted names; the original stays as it is.

    >>> with_settings({"ppo": {"entropy": 0.1, "n_epochs": 3}, "group": 16}, {"ppo.entropy": 0.2, "group": 8})
    {'ppo': {'entropy': 0.2, 'n_epochs': 3}, 'group': 8}
    """
    changed = dict(config)
    for name, value in settings.items():
        head, _, rest = name.partition(".")
        changed[head] = with_settings(changed[head], {rest: value}) if rest else value
    return changed


def run_trial(config: dict, folder: Path, report: Callable[[dict], None], resume_from: Path | None = None) -> None:
    """Train as one trial does, and report each evaluation.

    Args:
        config: of the run, see ``train.py``.
        folder: the run folder.
        report: called with the gap, the steps and the iteration; it may raise to stop the trial.
        resume_from: a checkpoint to go on from.
    """
    from stable_baselines3.common.callbacks import CallbackList
    from stable_baselines3.common.logger import configure

    from dispatchgym.agents import checkpoint

    ppo = train.build(config)
    if resume_from is not None:
        checkpoint.restore(resume_from, ppo)
    shown, watch, _ = train.observers(config, ppo)
    ppo.set_logger(configure(str(folder), ["tensorboard"]))
    left = max(0, config["timesteps"] - ppo.num_timesteps)
    callbacks = CallbackList([shown, watch, reporter(watch, folder, config, report)])
    ppo.learn(left, callback=callbacks, log_interval=1, reset_num_timesteps=False)


def reporter(watch, folder: Path, config: dict, report: Callable[[dict], None]):
    """A callback that keeps a checkpoint and reports after each evaluation, as soon as its iteration is complete."""
    from stable_baselines3.common.callbacks import BaseCallback

    from dispatchgym.agents import checkpoint

    class Report(BaseCallback):
        due = False

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            self.due = "evaluation/gap" in self.logger.name_to_value

        def _on_rollout_start(self) -> None:
            if self.due:
                self.tell()

        def _on_training_end(self) -> None:
            self.tell()

        def tell(self) -> None:
            self.due = False
            checkpoint.save(folder, self.model, config)
            report({METRIC: watch.gap, "steps": self.num_timesteps, "iteration": self.model.iteration})

    return Report()


def trainable(settings: dict) -> None:
    """One trial, as Ray calls it in a process of its own."""
    import torch
    from ray import tune

    torch.set_num_threads(1)
    base = settings.pop("base")
    config = with_settings(base, settings)
    folder = Path(tune.get_context().get_trial_dir())
    before = tune.get_checkpoint()

    def report(row: dict) -> None:
        newest = max(folder.glob("checkpoint-*"))
        tune.report(row, checkpoint=tune.Checkpoint.from_directory(newest))

    run_trial(config, folder, report, Path(before.path) if before else None)


def configuration(arguments) -> dict:
    """The run that trials vary."""
    from dispatchgym.envs.core.registry import family

    entry = family(arguments.family)
    flags = train.Arguments(
        preset=arguments.preset, seed=arguments.seed, device=arguments.device, timesteps=arguments.timesteps, threads=1,
        evaluate_every=arguments.evaluate_every,
    )  # fmt: skip
    flags.check()
    options = dict.fromkeys(field.name for field in dataclasses.fields(entry.options))  # the preset's
    return train.configuration(entry, argparse.Namespace(**dataclasses.asdict(flags), **options))


def search(arguments) -> list[dict]:
    """Run the trials and return a row for each: settings, gap and steps."""
    tune = load_tune()
    from ray.tune.schedulers import ASHAScheduler

    config = configuration(arguments)
    space = domains(tune, arguments.search) | {"base": config}
    folder = Path(arguments.out).resolve()
    resources = {"cpu": 1, "gpu": arguments.gpus_per_trial}
    scheduler = ASHAScheduler(
        time_attr="steps", max_t=config["timesteps"], grace_period=max(1, config["timesteps"] // 8), reduction_factor=2
    )
    run = tune.with_resources(trainable, resources)
    if arguments.resume:
        if not tune.Tuner.can_restore(str(folder)):
            raise OptionError(f"--resume: {folder} holds no search")
        tuner = tune.Tuner.restore(str(folder), run, resume_errored=True)  # settings are those drawn
    else:
        if folder.exists() and any(folder.iterdir()):
            raise OptionError(f"--out {folder} is not empty; go on with --resume, or name another folder")
        tuner = tune.Tuner(
            run,
            param_space=space,
            tune_config=tune.TuneConfig(
                metric=METRIC, mode="min", num_samples=arguments.trials, scheduler=scheduler,
                max_concurrent_trials=arguments.parallel or None,
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            ),
        )  # fmt: skip
    return [row_of(result.config or {}, result.metrics or {}, result.error) for result in tuner.fit()]


def row_of(settings: dict, metrics: dict, error) -> dict:
    """A trial as a row."""
    shown = {name: value for name, value in settings.items() if name != "base"}
    return shown | {METRIC: metrics.get(METRIC), "steps": metrics.get("steps"), "error": str(error or "")[:80]}


def table(rows: list[dict], config: dict) -> str:
    """The trials as Markdown, best first; those that failed last."""
    names = sorted({name for row in rows for name in row} - {METRIC, "steps", "error"})
    rows = sorted(rows, key=lambda row: (row[METRIC] is None, row[METRIC] or 0.0))
    lines = [
        f"# Search: {config['family']}, {config['preset']}, {config['timesteps']} steps, seed {config['seed']}", "",
        "Mean gap on the watched instances at a trial's last evaluation; what fell behind was stopped early.", "",
        f"| gap % | steps | {' | '.join(names)} |",
        f"| ---: | ---: |{' ---: |' * len(names)}",
    ]  # fmt: skip
    for row in rows:
        gap = f"failed: {row['error']}" if row[METRIC] is None else f"{100 * row[METRIC]:.2f}"
        values = [f"{row[n]:.4g}" if isinstance(row.get(n), float) else str(row.get(n, "-")) for n in names]
        lines.append(f"| {gap} | {row['steps'] or 0} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("family", help="job-shop, soc, vm or llm")
    flags.add_argument("--preset", default="", help="training that is varied; empty takes the family's main one")
    flags.add_argument("--trials", type=int, default=16)
    flags.add_argument("--timesteps", type=int, default=0, help="of a trial; 0 takes the preset's")
    flags.add_argument(
        "--search", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(SPACE)}; all if left out"
    )
    flags.add_argument("--parallel", type=int, default=0, help="trials at a time; 0: as many as there are cores")
    flags.add_argument("--gpus-per-trial", type=float, default=0.0, help="share of a GPU, such as 0.25")
    flags.add_argument("--device", default="auto")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--evaluate-every", type=int, default=5, help="iterations between evaluations")
    flags.add_argument("--out", default="runs/sweep", help="folder of the search")
    flags.add_argument("--resume", action="store_true", help="go on with the search in --out")
    return flags


def main() -> None:
    """Search, print and keep the table."""
    arguments = parser().parse_args()
    try:
        rows = search(arguments)
        text = table(rows, configuration(arguments))
    except (OptionError, LookupError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    print(text)
    Path(arguments.out, "sweep.md").write_text(text, encoding="utf-8")
    Path(arguments.out, "sweep.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
