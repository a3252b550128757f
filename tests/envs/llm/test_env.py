"""The LLM environments: arguments, generated instances, returns and edge cases."""

import gymnasium
import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.instances.catalogue import load, load_many

NAME = "dispatchgym/LLMAdmission-v0"


def make(**arguments):
    return gymnasium.make(NAME, **arguments).unwrapped


def make_two(**arguments):
    return gymnasium.make_vec(NAME, num_envs=2, **arguments)


BUILDERS = [make, make_two]


def finish(env, rng, **reset) -> tuple[float, dict]:
    """Random legal actions to the end; the return and the last info."""
    _, info = env.reset(**reset)
    total, done = 0.0, False
    while not done:
        _, reward, done, cut, info = env.step(rng.choice(np.flatnonzero(info["action_mask"])))
        assert not cut
        total += reward
    return total, info


@pytest.mark.parametrize("options", [{}, {"reject": True}, {"order": "arrival", "past_future": 0}], ids=str)
def test_the_return_is_minus_the_miss_rate(options):
    rng = np.random.default_rng(0)
    for name in ("hurry", "overload-n15:0", "tight-kv-n9:0", "route-prefix-n12:0"):
        env = make(instance=name, **options)
        total, info = finish(env, rng)
        metrics = env.schedule().metrics()
        assert total == pytest.approx(-metrics["miss_rate"], abs=1e-6)
        assert info["missed"] == round(metrics["miss_rate"] * env.instance.requests)
        assert info["rejected"] == metrics["rejected"] and info["iterations"] == metrics["iterations"]
        assert info["preemptions"] == metrics["preemptions"] and env.schedule().violations() == []


def test_the_return_is_minus_the_mean_time_in_the_system():
    rng = np.random.default_rng(0)
    for name in ("two-at-once", "serial-preemptive-n9:0", "route-prefix-n12-flow:0"):
        for control in ("admission", "routing"):
            env = make(instance=name, control=control)
            total, info = finish(env, rng)
            metrics = env.schedule().metrics()
            assert total == pytest.approx(-metrics["e2e_mean"], rel=1e-5)
            assert info["flow_time"] == round(metrics["flow_time_total"] * 10**6)


def test_generated_instances_differ_and_fit_one_space():
    env, vector = make(preset="overload-n12"), make_two(preset="overload-n12")
    names = set()
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        names.add(env.instance.digest)
        assert env.observation_space.contains(observation) and env.model.fits(env.instance)
    assert len(names) == 5
    assert vector.single_observation_space == env.observation_space
    for _ in range(2):
        vector.reset(seed=1)
        assert all(vector.model.fits(instance) for instance in vector.simulation.instances)


def test_mixed_presets_fit_what_they_draw():
    env = make(preset="overload-n20-mix")
    sizes = set()
    for seed in range(12):
        env.reset(seed=seed)
        sizes.add(env.instance.requests)
        assert env.model.fits(env.instance)
    assert len(sizes) > 1


def test_the_default_is_a_steady_queue():
    env = make()
    env.reset(seed=0)
    assert env.instance.requests == 200 and len(env.instance.servers) == 1 and env.model.objective == "missed"
    assert make(preset="serial-n9").model.objective == "flow_time"


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(preset="chess"), UnknownNameError, "LLM preset.*overload"),
        (dict(preset=""), UnknownNameError, "preset"),
        (dict(preset="overload-n0"), OptionError, "n must be 1 to"),
        (dict(preset=12), OptionError, "preset"),
        (dict(preset=["burst"]), OptionError, "preset"),
        (dict(preset=None, instance=5), OptionError, "expected an? llm instance"),
        (dict(instance="hurry", preset="burst"), OptionError, "not both"),
        (dict(instance="ft06"), UnknownNameError, "hurry"),
        (dict(instance=[]), OptionError, "expected an? llm instance"),
        (dict(instance=load("ft06", "job_shop")), OptionError, "expected an? llm instance"),
        (dict(instance=["hurry", "two-at-once"]), OptionError, "e2e_mean and miss_rate cannot be played together"),
        (dict(instance="two-at-once", reject=True), OptionError, "reject goes with the objective miss_rate"),
        (dict(preset="serial-n9", reject=True), OptionError, "reject goes with the objective miss_rate"),
        (dict(instance="hurry", profile="abacus"), OptionError, "serial-preemptive"),
        (dict(order="chaos"), OptionError, "order must be one of"),
        (dict(choice=-1), OptionError, "choice"),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(build, arguments, error, words):
    with pytest.raises(error, match=words):
        build(**arguments)


def test_unknown_arguments_are_refused_with_the_known_ones():
    for build in BUILDERS:
        with pytest.raises(OptionError, match="colour.*known.*forced_moves"):
            build(colour="red")


def test_files_are_read(tmp_path):
    from dispatchgym.envs.llm.instance import format

    broken, whole = tmp_path / "broken.json", tmp_path / "pair.json"
    broken.write_text('{"family": "llm", "servers": [', "utf-8")
    whole.write_text(format(load("hurry", "llm")), "utf-8")
    with pytest.raises(InstanceError, match="broken.json"):
        make(instance=str(broken))
    env = make(instance=whole, forced_moves=False)
    _, info = env.reset()
    assert env.instance.digest == load("hurry", "llm").digest and info["action_mask"].sum() > 1


def test_single_instances_of_several_sizes_are_drawn():
    instances = load_many(["hurry", "patience", "overload-n5:0-1"], "llm")
    env = make(instance=instances)
    assert {env.reset(seed=seed)[1] and env.instance.name for seed in range(40)} == {one.name for one in instances}


@pytest.mark.parametrize("name, best", [("two-at-once", 1.5), ("hurry", 0.0), ("patience", 0.0)])
def test_small_optima_are_reached(name, best):
    """By trying every sequence of decisions."""
    env, found, stack = make(instance=name, order="arrival", past_future=0, forced_moves=False), [], [[]]
    while stack:
        actions = stack.pop()
        _, info = env.reset()
        total, done = 0.0, False
        for action in actions:
            _, reward, done, _, info = env.step(action)
            total += reward
        if done:
            found.append(-total)
        else:
            stack += [[*actions, action] for action in np.flatnonzero(info["action_mask"]).tolist()]
        assert len(stack) < 5000
    assert min(found) == pytest.approx(best) and max(found) > min(found)
