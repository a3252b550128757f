"""The SoC environments: arguments, generated instances, returns and edge cases."""

import gymnasium
import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.instances.catalogue import load, load_many

NAME = "dispatchgym/SoC-v0"


def make(**arguments):
    return gymnasium.make(NAME, **arguments).unwrapped


def make_two(**arguments):
    return gymnasium.make_vec(NAME, num_envs=2, **arguments)


BUILDERS = [make, make_two]


def finish(env, rng, limit=10**6, **reset) -> tuple[float, dict]:
    """Random legal actions, at most ``limit``, then an illegal one; the return and the last info."""
    _, info = env.reset(**reset)
    total, done, steps = 0.0, False, 0
    while not done:
        action = rng.choice(np.flatnonzero(info["action_mask"])) if steps < limit else -1
        _, reward, done, _, info = env.step(action)
        total, steps = total + reward, steps + 1
    return total, info


def test_the_return_of_a_plan_is_one_less_the_makespan_by_the_bound():
    rng = np.random.default_rng(0)
    for name in ("topcuoglu", "insertion", "random-12:0", "cholesky-4-2g2c:0"):
        for forced_moves in (True, False):
            env = make(instance=name, forced_moves=forced_moves)
            bound = int(env.simulation.engine.tensors["initial_bound"][0])
            total, info = finish(env, rng)
            assert total == pytest.approx(1 - info["makespan"] / bound, abs=1e-5)
            assert info["makespan"] == env.schedule().metrics()["makespan"]


def test_the_return_of_a_stream_is_minus_the_latencies_by_their_bound():
    rng = np.random.default_rng(0)
    for name in ("radio-small-50x4:0", "socrates-50x5:0"):
        env = make(instance=name, noise="gaussian", sigma=0.3)
        bound = int(env.simulation.engine.tensors["initial_bound"][0])
        total, info = finish(env, rng)
        assert total == pytest.approx(-info["total_latency"] / bound, abs=1e-4)
        assert info["total_latency"] == env.schedule().metrics()["total_latency"]


def test_the_bound_shown_after_the_reset_is_the_longest_path():
    assert make(instance="topcuoglu", forced_moves=False).reset(seed=0)[1]["makespan"] == 41


def test_every_reset_brings_another_world():
    env, seen = make(instance="topcuoglu", noise="gamma", sigma=0.5), []
    for seed in (0, None, 1, 0, None):
        finish(env, np.random.default_rng(0), seed=seed)
        schedule = env.schedule()
        assert schedule.violations() == []
        seen.append((schedule.conditions["seed"], tuple(schedule.entries[:, 4] - schedule.entries[:, 3])))
    assert seen[0] == seen[3] and seen[1] == seen[4] and len(set(seen)) == 3


@pytest.mark.parametrize("preset", ["random-12", "random-30", "radio-small-50x3", "socrates-50x4", "cholesky-4-1g3c"])
def test_generated_instances_fit_and_differ(preset):
    """Their sizes vary, the shapes of the observation do not; single and vector environments have the same."""
    env, digests = make(preset=preset), set()
    space = env.observation_space
    for seed in range(40):
        observation, _ = env.reset(seed=seed)
        assert space.contains(observation) and env.model.fits(env.instance)
        digests.add(env.instance.digest)
    assert len(digests) == 40
    vector = make_two(preset=preset, bank=30)
    assert vector.single_observation_space == space
    for _ in range(3):
        vector.reset(seed=1)
        assert all(vector.model.fits(instance) for instance in vector.simulation.instances)


def test_the_default_is_a_small_random_graph():
    env = make()
    env.reset(seed=0)
    assert env.instance.static and 10 <= env.instance.tasks <= 12 and env.model.planning
    assert not make(preset="socrates-50x3").model.planning


def test_an_instance_without_a_choice():
    """One task and one element: over at the reset; any action ends it, and the mask lets one be drawn."""
    graph = JobGraph("one", np.array([[7]]), np.zeros((0, 2), int), np.zeros(0, int))
    one = SoCInstance("one", (graph,), np.zeros((1, 1), int), np.ones((1, 1), int))
    for mode, value in (("plan", 0.0), ("online", -1.0)):
        for action in (0, 5, -1):
            env = make(instance=one, mode=mode)
            observation, info = env.reset()
            assert info["action_mask"].sum() == 1 and env.observation_space.contains(observation)
            assert env.schedule().violations() == [] and info["makespan"] == 7
            _, reward, terminated, _, info = env.step(action)
            assert terminated and reward == value and "illegal_action" not in info
            assert env.step(0)[1] == 0


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(preset="chess"), UnknownNameError, "SoC preset.*random-TASKS"),
        (dict(preset=""), UnknownNameError, "preset"),
        (dict(preset="random-1"), OptionError, "tasks must be 2 to 2000"),
        (dict(preset="socrates-50x0"), OptionError, "JOBS must be 1 to"),
        (dict(preset=12), OptionError, "preset"),
        (dict(preset=["random-12"]), OptionError, "preset"),
        (dict(preset=None, instance=5), OptionError, "expected a soc instance"),
        (dict(instance="topcuoglu", preset="random-12"), OptionError, "not both"),
        (dict(instance="ft06"), UnknownNameError, "topcuoglu"),
        (dict(instance=[]), OptionError, "expected a soc instance"),
        (dict(instance=load("ft06", "job_shop")), OptionError, "expected a soc instance"),
        (dict(instance=["topcuoglu", "radio-small-50x3:0"], mode="plan"), OptionError, "is a stream"),
        (dict(instance="radio-small-50x3:0", pilot="both"), OptionError, "pilot"),
        (dict(preset="radio-small-50x3", mode="plan"), OptionError, "is a stream"),
        (dict(binding="shove"), OptionError, "binding must be one of"),
        (dict(choice=-1), OptionError, "choice"),
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
    broken.write_text('{"family": "soc", "execution_time": [[1]]', "utf-8")
    whole.write_text(
        '{"family": "soc", "execution_time": [[3, null], [2, 2]], "edges": [[0, 1, 5]], "latency": 1, "bandwidth": 2}',
        "utf-8",
    )
    with pytest.raises(InstanceError, match="broken.json"):
        make(instance=str(broken))
    env = make(instance=whole)
    _, info = env.reset()
    assert env.instance.name == "pair" and info["action_mask"].sum() == 2


def test_single_instances_of_several_sizes_are_drawn():
    instances = load_many(["topcuoglu", "insertion", "random-12:0-1"], "soc")
    env = make(instance=instances)
    assert {env.reset(seed=seed)[1] and env.instance.name for seed in range(40)} == {one.name for one in instances}
