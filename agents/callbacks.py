"""What happens while a policy trains: progress, checkpoints, evaluations and what TensorBoard shows."""

import time
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, HParam, TensorBoardOutputFormat
from tqdm import tqdm

from ..envs.core import registry
from ..envs.core.registry import family
from ..envs.core.solvers import Exact, Limits, is_exact, resolve, solve
from . import checkpoint
from .ppo import CANDIDATES, entropy_tag
from .presets import Preset


class Progress(BaseCallback):
    """A bar over environment steps, with what matters most beside it."""

    def __init__(self, total: int):
        super().__init__()
        self.total, self.bar = total, None

    def _on_training_start(self) -> None:
        self.bar = tqdm(total=self.total, initial=self.num_timesteps, unit="step", unit_scale=True, smoothing=0.05)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        # The last iteration ends with its episodes, a little past the total.
        self.bar.update(min(self.model.num_timesteps, self.total) - self.bar.n)
        gap = self.model.logger.name_to_value.get("evaluation/gap")  # there only after an evaluation
        if gap is not None:
            self.bar.set_postfix_str(f"gap {100 * gap:.1f} %")

    def _on_training_end(self) -> None:
        self.bar.close()


class Checkpoints(BaseCallback):
    """Save every so many iterations, and at the end."""

    def __init__(self, run: Path, config: dict, every: int):
        super().__init__()
        self.run, self.config, self.every = run, config, every

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Here the last iteration is complete: its episodes are played and learnt from.
        if self.model.iteration and self.model.iteration % self.every == 0:
            checkpoint.save(self.run, self.model, self.config)

    def _on_training_end(self) -> None:
        checkpoint.save(self.run, self.model, self.config)


class Watch(BaseCallback):
    """Evaluate the averaged policy on held-out instances now and then.

    TensorBoard gets its gap and the gap of every rule as a horizontal line, also together in one chart under Custom
    Scalars, and the schedule of the first instance.

    Args:
        instances: to evaluate on.
        best_known: (N,) their best known objectives, or those of the preset's reference.
        rules: (name, policy) pairs to draw as lines.
        every: iterations between evaluations.
        limits: device and seed.
    """

    def __init__(self, instances, best_known: np.ndarray, rules: dict[str, object], every: int, limits: Limits):
        super().__init__()
        self.gap = float("nan")  # of the last evaluation
        self.instances, self.best_known, self.every, self.limits = instances, best_known, every, limits
        self.entry = family(instances[0].family)
        # Planners that search on their own would hold the training up; the final comparison has them all.
        lines = {name: policy for name, policy in rules.items() if not isinstance(policy, Exact)}
        self.lines = {name: self._gap(policy)[0] for name, policy in lines.items()}

    def _gap(self, policy) -> tuple[float, list]:
        schedules = [answer.schedule for answer in solve(policy, self.instances, self.limits)]
        values = np.array([schedule.metrics()[schedule.instance.objective] for schedule in schedules])
        scales = [getattr(instance, "gap_scale", None) for instance in self.instances]
        gaps = [self.entry.gap(*row) for row in zip(values, self.best_known, scales, strict=True)]
        return float(np.mean(gaps)), schedules

    def _on_training_start(self) -> None:
        self.begin, self.steps_before = time.perf_counter(), self.num_timesteps
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                output.writer.add_custom_scalars(layout([_tag(name) for name in self.lines]))

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        elapsed = time.perf_counter() - self.begin
        self.logger.record("time/steps_per_s", (self.model.num_timesteps - self.steps_before) / max(elapsed, 1e-9))
        if self.model.iteration % self.every == 1 or self.every == 1:
            self._evaluate()

    def _on_training_end(self) -> None:
        self._evaluate()  # what is kept is what the last point of the curve shows
        self.logger.dump(self.num_timesteps)

    def _evaluate(self) -> None:
        gap, schedules = self._gap(self.model.evaluator())
        self.gap = gap
        self.logger.record("evaluation/gap", gap)
        for name, line in self.lines.items():
            self.logger.record(f"evaluation/{_tag(name)}", line)
        figure = self.entry.room("render").gantt(schedules[0], f"{self.instances[0].name}, step {self.num_timesteps}")
        self.logger.record("evaluation/schedule", Figure(figure, close=False), exclude=("stdout", "log", "json", "csv"))


def layout(rules: list[str]) -> dict:
    """What TensorBoard shows together under Custom Scalars: category, chart, tags.

    Args:
        rules: tags of the rules that are drawn as lines.
    """
    charts = {
        "gap": {"policy and rules": [f"evaluation/{name}" for name in ("gap", *rules)]},
        "losses": {
            "losses": ["train/policy_loss", "train/value_loss"],
            "gradient norm before clipping": ["train/gradient_norm"],
            "share of clipped ratios": ["train/clip_fraction"],
        },
        "speed": {
            "environment steps a second": ["time/steps_per_s"],
            "seconds of an iteration": ["time/rollout_s", "time/update_s"],
        },
        "entropy": {
            "by number of candidates": [entropy_tag(*ends) for ends in CANDIDATES],
            "mean in updates": ["train/entropy"],
        },
    }
    return {
        category: {chart: ["Multiline", tags] for chart, tags in found.items()} for category, found in charts.items()
    }


class Hyperparameters(BaseCallback):
    """Tell TensorBoard's HParams what a run was made of; its metrics are the curves' last points.

    Args:
        config: of the run, see ``train.py``.
    """

    METRICS = ("evaluation/gap", "time/steps_per_s", "rollout/decisions", "train/entropy")

    def __init__(self, config: dict):
        super().__init__()
        self.config = config

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        record = HParam(flat(self.config), dict.fromkeys(self.METRICS, float("nan")))
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                output.write({"hparams": record}, {"hparams": ()}, self.num_timesteps)


def flat(config: dict, prefix: str = "") -> dict[str, bool | str | float]:
    """A nested configuration with dotted names and values that TensorBoard takes; lists become words."""
    found: dict[str, bool | str | float] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            simple = isinstance(value, bool | int | float | str)
            found[prefix + name] = value if simple else " ".join(map(str, value)) if value else str(value)
    return found


def _tag(name: str) -> str:
    """A policy's name without the slash that TensorBoard would group by."""
    return name.replace("/", "-")


def watched_values(preset: Preset, instances, seed: int) -> np.ndarray:
    """Best known objectives of held-out instances: the catalogue's, or the preset's exact solver's or reference's.

    Args:
        preset: names the reference, or the solver and its seconds per instance.
        instances: the held-out ones.
        seed: of the solver.
    """
    entry = family(instances[0].family)
    if preset.reference:
        limits = Limits(seed=seed, options=preset.world(entry))
        answers = solve(resolve(preset.reference, entry.name), instances, limits)
        return np.array([answer.schedule.metrics()[answer.schedule.instance.objective] for answer in answers])
    values = []
    for instance in tqdm(instances, desc="optimum of held-out instances", leave=False):
        known = registry.bounds(instance)
        if known:
            values.append(known.upper)
            continue
        name, seconds = preset.exact
        policy = resolve(name, entry.name)
        assert is_exact(policy)
        answer = policy.solve(instance, Limits(time_limit=seconds, seed=seed, options=preset.world(entry)))
        values.append(answer.schedule.metrics()[instance.objective])
    return np.array(values)
