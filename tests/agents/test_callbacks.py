"""What a training shows while it runs, read back as TensorBoard reads it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Logger, configure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from dispatchgym.agents import callbacks, checkpoint
from dispatchgym.agents.callbacks import Checkpoints, Hyperparameters, Progress, Watch, watched_values
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.presets import preset
from dispatchgym.agents.rollout import Stage
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.solvers import Limits, resolve, solve

RULES = ("spt", "fdd/mwkr")
SMALL = {"width": 8, "heads": 2, "layers": 1, "hidden": 16}


def make_ppo() -> PPO:
    options = registry.family("job_shop").make_options(construction="active")
    ppo = PPO([Stage("job_shop", "4x3", 4, 4, options, 0, "cpu")], network=SMALL, batch_size=64)
    ppo.set_logger(Logger(None, []))
    return ppo


def make_watch(every: int) -> Watch:
    shops = registry.instances(["4x3:0-4"], "job_shop")
    best = watched_values(preset("job_shop", "smoke"), shops, seed=0)
    return Watch(shops, best, {rule: resolve(rule, "job_shop") for rule in RULES}, every, Limits())


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    ppo, watch = make_ppo(), make_watch(every=4)
    ppo.set_logger(configure(str(folder), ["tensorboard"]))
    gaps = []
    evaluate = watch._evaluate

    def spy():
        gaps.append((ppo.iteration, ppo.num_timesteps, watch._gap(ppo.evaluator())[0]))
        evaluate()

    watch._evaluate = spy
    ppo.learn(1000, callback=CallbackList([watch, Progress(1000)]), log_interval=1)
    ppo.logger.close()
    events = EventAccumulator(str(folder), {"images": 0, "scalars": 0})
    events.Reload()
    return ppo, watch, gaps, events


def test_the_gap_is_shown_as_it_was(watched):
    ppo, _, gaps, events = watched
    assert [i for i, *_ in gaps] == [*(i for i in range(1, ppo.iteration + 1) if i % 4 == 1), ppo.iteration]
    shown = [(event.step, event.value) for event in events.Scalars("evaluation/gap")]
    assert len(shown) == len(gaps) > 1
    for (step, value), (_, steps, gap) in zip(shown, gaps, strict=True):
        assert step == steps and value == pytest.approx(gap, rel=1e-5) and 0 <= gap < 2


def test_the_last_point_is_that_of_the_policy_that_is_kept(watched):
    """Not of the one before the last gradient steps, nor of some iterations ago."""
    ppo, watch, gaps, events = watched
    last = events.Scalars("evaluation/gap")[-1]
    assert last.step == ppo.num_timesteps and last.value == pytest.approx(watch._gap(ppo.evaluator())[0], rel=1e-5)
    assert events.Scalars("evaluation/spt")[-1].step == last.step


def test_every_rule_is_a_horizontal_line(watched):
    _, watch, gaps, events = watched
    for rule in RULES:
        values = [event.value for event in events.Scalars(f"evaluation/{rule.replace('/', '-')}")]
        assert len(values) == len(gaps) and len(set(values)) == 1
        answers = solve(resolve(rule, "job_shop"), watch.instances, Limits())
        makespans = np.array([answer.schedule.metrics()["makespan"] for answer in answers])
        assert values[0] == pytest.approx((makespans / watch.best_known - 1).mean(), rel=1e-5)


def test_speed_and_losses_are_shown(watched):
    ppo, _, _, events = watched
    tags = set(events.Tags()["scalars"])
    train = {f"train/{name}" for name in ("policy_loss", "entropy", "clip_fraction", "gradient_norm")}
    assert train | {"time/steps_per_s", "rollout/ep_rew_mean", "rollout/decisions", "rollout/makespan_4x3"} <= tags
    assert "train/value_loss" not in tags, "a loss that is not minimised has no curve"
    speeds = [event.value for event in events.Scalars("time/steps_per_s")]
    assert len(speeds) == ppo.iteration and min(speeds) > 0
    steps = [event.step for event in events.Scalars("train/policy_loss")]
    assert steps == sorted(steps) and steps[-1] == ppo.num_timesteps and len(steps) == ppo.iteration


def test_charts_are_laid_out_together(watched):
    _, watch, _, events = watched
    (layout,) = events.Tensors("custom_scalars__config__")
    text = layout.tensor_proto.string_val[0].decode(errors="replace")
    for name in ("evaluation/gap", "evaluation/fdd-mwkr", "train/policy_loss", "time/steps_per_s", "entropy/3-4"):
        assert name in text
    shown = set(events.Tags()["scalars"])
    charts = [tags for category in callbacks.layout(list(watch.lines)).values() for _, tags in category.values()]
    assert all(shown & {tag.replace("fdd/mwkr", "fdd-mwkr") for tag in tags} for tags in charts), "a chart stays empty"


def test_the_configuration_is_among_the_hyperparameters(tmp_path):
    ppo = make_ppo()
    ppo.set_logger(configure(str(tmp_path), ["tensorboard"]))
    config = {"seed": 3, "ppo": {"entropy": 0.5, "advantage": "group"}, "stages": ["3x3", "4x3"], "options": {}}
    ppo.learn(100, callback=Hyperparameters(config | {"groups": None}))
    ppo.logger.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    metadata = events.summary_metadata["_hparams_/session_start_info"]
    start = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    found = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert found == {
        "seed": 3, "ppo.entropy": 0.5, "ppo.advantage": "group", "stages": "3x3 4x3", "groups": "None",
    }  # fmt: skip
    content = events.summary_metadata["_hparams_/experiment"].plugin_data.content
    experiment = plugin_data_pb2.HParamsPluginData.FromString(content).experiment
    assert {info.name.tag for info in experiment.metric_infos} == set(Hyperparameters.METRICS)


@pytest.mark.parametrize("name", [entry.name for entry in registry.families()])
def test_every_family_has_its_picture(name, tmp_path):
    entry = registry.family(name)
    smoke = preset(name, "smoke")
    held_out = registry.instances(smoke.watched, name)[:1]
    rule = resolve(entry.naive, name)
    watch = Watch(held_out, np.ones(1), {entry.naive: rule}, 1, Limits(options=smoke.world(entry)))
    watch.model = SimpleNamespace(logger=configure(str(tmp_path), ["tensorboard"]), evaluator=lambda: rule)
    watch._evaluate()
    watch.logger.dump(7)
    watch.logger.close()
    events = EventAccumulator(str(tmp_path), {"images": 0})
    events.Reload()
    (tag,) = events.Tags()["images"]
    (picture,) = events.Images(tag)
    assert picture.encoded_image_string.startswith(b"\x89PNG") and min(picture.width, picture.height) > 100
    assert events.Scalars("evaluation/gap")[0].step == 7


def test_a_schedule_is_drawn_at_each_evaluation(watched):
    _, _, gaps, events = watched
    (tag,) = events.Tags()["images"]
    images = events.Images(tag)
    assert tag.split("/")[:2] == ["evaluation", "schedule"] and len(images) == len(gaps)
    assert all(image.encoded_image_string.startswith(b"\x89PNG") and image.width > 100 for image in images)


def test_watching_changes_nothing_in_the_training():
    found = []
    for every in (1, 1000):
        ppo = make_ppo()
        ppo.learn(500, callback=make_watch(every))
        found.append([parameter.detach().clone() for parameter in ppo.policy.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_the_optimum_of_generated_instances_is_solved_for():
    shops = registry.instances(["4x3:0-2", "ft06"], "job_shop")
    values = watched_values(preset("job_shop", "smoke"), shops, seed=0)
    exact = resolve("cp-sat", "job_shop")
    assert values.tolist() == [exact.solve(shop, Limits()).schedule.metrics()["makespan"] for shop in shops]
    assert values[3] == 55


def test_checkpoints_come_every_so_often_and_at_the_end(tmp_path):
    saved = []
    ppo = make_ppo()

    class Spy(Checkpoints):
        def _on_rollout_start(self):
            super()._on_rollout_start()
            saved.append(sorted(path.name[-2:] for path in tmp_path.glob("checkpoint-*")))

    ppo.learn(1200, callback=Spy(tmp_path, {"family": "job_shop"}, every=3))
    assert ppo.iteration >= 7
    assert saved[:7] == [[], [], [], ["03"], ["03"], ["03"], ["03", "06"]]
    last = checkpoint.newest(tmp_path)
    assert checkpoint.read(last)[0]["iteration"] == ppo.iteration


def test_progress_ends_at_its_total(capsys):
    ppo = make_ppo()
    progress = Progress(300)
    ppo.learn(300, callback=progress)
    assert progress.bar.n == progress.bar.total == 300 and progress.bar.disable
    captured = capsys.readouterr()
    assert captured.out == "" and "300/300" in captured.err
