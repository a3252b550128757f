"""The VM environments: arguments, generated instances, returns and edge cases."""

import gymnasium
import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.instances.catalogue import load, load_many

NAME = "dispatchgym/VMRescheduling-v0"


def make(**arguments):
    return gymnasium.make(NAME, **arguments).unwrapped


def make_two(**arguments):
    return gymnasium.make_vec(NAME, num_envs=2, **arguments)


BUILDERS = [make, make_two]


def finish(env, rng, **reset) -> tuple[float, dict]:
    """Random legal actions to the end, to stop only where there is nothing else; the return and the last info."""
    _, info = env.reset(**reset)
    total, done = 0.0, False
    while not done:
        open = np.flatnonzero(info["action_mask"])
        _, reward, done, _, info = env.step(rng.choice(open[:-1] if len(open) > 1 else open))
        total += reward
    return total, info


def test_the_return_of_a_snapshot_is_in_slots():
    rng = np.random.default_rng(0)
    for name in ("plateau", "hosts-6:0", "affinity-5-20:0"):
        for moves in ("class", "macro", "vm"):
            env = make(instance=name, moves=moves, mnl=12)
            total, info = finish(env, rng)
            metrics, free = env.schedule().metrics(), int(env.instance.free_cores.sum())
            assert total == pytest.approx((metrics["fr_initial"] - metrics["fr_final"]) * free / 16, abs=1e-9)
            assert total == round(total) and info["migrations"] == metrics["migrations"]


def test_the_return_over_time_is_minus_the_mean_rate_in_slots():
    rng = np.random.default_rng(0)
    for moves in ("class", "macro", "vm"):
        env = make(instance="churn-4-20:0", moves=moves, mnl=9, latency=500, copy_rate=5000, migration_cost=0.01)
        total, info = finish(env, rng)
        slots = int(env.instance.free_cores.sum()) / 16
        assert total == pytest.approx(-env.schedule().metrics()["mean_fragment_rate"] * slots, rel=1e-4)
        assert info["rejected"] == env.schedule().metrics()["rejected"]


def test_the_return_of_packing_is_in_vms_of_the_highest_priority():
    env, rng = make(instance="pods-8x4:0", mnl=5), np.random.default_rng(0)
    start = env.reset()[1]["objective"]
    total, info = finish(env, rng)
    weight = (env.instance.vms + 5 + 1) ** len(np.unique(env.instance.priority))
    assert total == pytest.approx((start - info["objective"]) / weight, rel=1e-5) and total > 0


def test_the_rate_shown_after_the_reset_is_that_of_the_start():
    env = make(instance="remainder", forced_moves=False)
    assert env.reset(seed=0)[1]["objective"] == 10**9
    assert env.schedule().metrics()["fr_initial"] == 1


def test_an_episode_over_time_that_is_over_at_the_reset_is_rewarded_by_any_action():
    instance = VMInstance("x", [[20, 20]], [[9, 9]], [4], [1], [1], [0], horizon=100)
    for action in (0, -1, 3):
        env = make(instance=instance, mnl=0)
        observation, info = env.reset()
        assert info["action_mask"].sum() == 1 and env.observation_space.contains(observation)
        _, reward, terminated, _, info = env.step(action)
        assert terminated and "illegal_action" not in info and reward == pytest.approx(-4 / 16)
        assert env.step(0)[1] == 0


@pytest.mark.parametrize("preset", ["hosts-5", "small", "affinity-6-10", "churn-3-6", "pods-4x4"])
def test_generated_instances_fit_and_differ(preset):
    """Their sizes vary, the shapes of the observation do not; single and vector environments have the same."""
    env, digests = make(preset=preset), set()
    space = env.observation_space
    for seed in range(25):
        observation, _ = env.reset(seed=seed)
        assert space.contains(observation) and env.model.fits(env.instance)
        digests.add(env.instance.digest)
    assert len(digests) == 25
    vector = make_two(preset=preset, bank=9)
    assert vector.single_observation_space == space
    for _ in range(2):
        vector.reset(seed=1)
        assert all(vector.model.fits(instance) for instance in vector.simulation.instances)


def test_the_default_is_a_small_cluster():
    env = make()
    env.reset(seed=0)
    assert env.instance.hosts == 10 and env.model.task == "reschedule" and env.model.options.mnl == 50
    assert make(preset="churn-3-6").model.task == "dynamic" and make(preset="pods-4x4").model.task == "pack"


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(preset="chess"), UnknownNameError, "VM preset.*hosts-HOSTS"),
        (dict(preset=""), UnknownNameError, "preset"),
        (dict(preset="hosts-0"), OptionError, "HOSTS must be 1 to"),
        (dict(preset="churn-3-0"), OptionError, "RATE must be 1 to"),
        (dict(preset=12), OptionError, "preset"),
        (dict(preset=["small"]), OptionError, "preset"),
        (dict(preset=None, instance=5), OptionError, "expected a vm instance"),
        (dict(instance="plateau", preset="small"), OptionError, "not both"),
        (dict(instance="ft06"), UnknownNameError, "plateau"),
        (dict(instance=[]), OptionError, "expected a vm instance"),
        (dict(instance=load("ft06", "job_shop")), OptionError, "expected a vm instance"),
        (dict(instance=["plateau", "churn-3-6:0"]), OptionError, "dynamic and to reschedule cannot be played together"),
        (dict(instance="pods-4x4:0", moves="macro"), OptionError, "to pack, use moves class or vm"),
        (dict(instance="pods-16x4:0", mnl=10_000), OptionError, "more than a penalty can count"),
        (dict(preset="pods-4x4", moves="macro"), OptionError, "to pack, use moves class or vm"),
        (dict(moves="jump"), OptionError, "moves must be one of"),
        (dict(mnl=-1), OptionError, "mnl"),
    ],
)
def test_arguments_out_of_range_are_refused(build, arguments, error, words):
    with pytest.raises(error, match=words):
        build(**arguments)


def test_unknown_arguments_are_refused_with_the_known_ones():
    for build in BUILDERS:
        with pytest.raises(OptionError, match="colour.*known.*forced_moves"):
            build(colour="red")


def test_files_are_read(tmp_path):
    broken, whole = tmp_path / "broken.json", tmp_path / "pair.json"
    broken.write_text('{"family": "vm", "hosts": [', "utf-8")
    whole.write_text(
        '{"family": "vm", "hosts": [{"cores": [16, 16], "memory": [99, 99]}, {"cores": [16, 16], "memory": [99, 99]}],'
        ' "vms": [{"cores": 4, "memory": 1, "numas": 1, "host": 0, "numa": 0},'
        ' {"cores": 12, "memory": 1, "numas": 1, "host": 1, "numa": 1}]}',
        "utf-8",
    )
    with pytest.raises(InstanceError, match="broken.json"):
        make(instance=str(broken))
    env = make(instance=whole)
    _, info = env.reset()
    assert env.instance.name == "pair" and info["action_mask"].sum() > 1


def test_single_instances_of_several_sizes_are_drawn():
    instances = load_many(["plateau", "uphill", "hosts-3:0-1"], "vm")
    env = make(instance=instances)
    assert {env.reset(seed=seed)[1] and env.instance.name for seed in range(40)} == {one.name for one in instances}
