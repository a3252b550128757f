"""The Gymnasium shell of one environment; the contract suite covers what all families promise."""

import gymnasium
import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError, OptionError, UnknownNameError
from dispatchgym.instances.catalogue import load, load_many


def make(**arguments):
    return gymnasium.make("dispatchgym/JobShop-v0", **arguments).unwrapped


@pytest.mark.parametrize("action", [1.0, "1", None, [1], np.array([1]), np.array(1.0), True, 2**70, {}])
def test_an_action_that_is_no_integer_is_refused(action):
    env = make(instance="ft06")
    _, before = env.reset(seed=0)
    with pytest.raises(OptionError, match="one integer"):
        env.step(action)
    assert (env.action_masks() == before["action_mask"].astype(bool)).all()


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8, np.array])
def test_every_integer_will_do(kind):
    env = make(instance="ft06")
    _, info = env.reset(seed=0)
    *_, info = env.step(kind(int(info["action_mask"].argmax())))
    assert info["decisions"] == 1 and "illegal_action" not in info


@pytest.mark.parametrize("action", [2**32, 2**31, -(2**31), 2**63 - 1, np.uint64(2**63)])
def test_integers_beyond_32_bits_are_illegal_actions(action):
    env = make(instance="ft06")
    env.reset(seed=0)
    *_, terminated, _, info = env.step(action)
    assert terminated and info["illegal_action"]


def test_resets_draw_all_instances_of_a_set():
    instances = load_many("4x3:0-3")
    env = make(instance=instances)
    env.reset(seed=0)
    drawn = set()
    for _ in range(60):
        env.reset()
        drawn.add(env.instance.name)
    assert drawn == {instance.name for instance in instances}


def test_an_instance_may_be_chosen_by_name_or_file(tmp_path):
    path = tmp_path / "shop.txt"
    path.write_text("2 2\n0 3 1 4\n1 5 0 6\n", "utf-8")
    env = make(instance=["ft06", path])
    for chosen, name in (("ft06", "ft06"), (path, "shop"), (str(path), "shop"), (load("6x6:3"), "6x6:3")):
        env.reset(options={"instance": chosen})
        assert env.instance.name == name
    with pytest.raises(UnknownNameError):
        env.reset(options={"instance": "ta999"})
    with pytest.raises(InstanceError):
        env.reset(options={"instance": str(tmp_path / "none.txt")})
    with pytest.raises(OptionError):
        env.reset(options={"instance": 7})
    with pytest.raises(OptionError):
        env.reset(options={"instance": ["6x6:0", "6x6:1"]})


@pytest.mark.parametrize("instance", [[], 7, [None], {"ft06"}, np.zeros(3)])
def test_instances_of_another_form_are_refused(instance):
    with pytest.raises(OptionError, match="expected a job_shop instance"):
        make(instance=instance)


def test_render_without_a_mode_warns():
    env = make(instance="ft06")
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


@pytest.mark.parametrize("construction", ["active", "insertion"])
def test_the_twin_goes_on_from_where_the_environment_stands(construction):
    env = make(instance="4x3:0", construction=construction)
    _, info = env.reset(seed=0)
    rng, done = np.random.default_rng(0), False
    action = int(rng.choice(np.flatnonzero(info["action_mask"])))
    info = env.step(action)[-1]
    twin = env.twin()
    assert twin.state.steps[0] == 1
    while not done:
        assert (twin.state.action_mask[0] == info["action_mask"]).all() and twin.state.bound[0] == info["makespan"]
        action = int(rng.choice(np.flatnonzero(info["action_mask"])))
        before = twin.state.steps[0]
        _, reward, done, _, info = env.step(action)
        assert twin.state.steps[0] == before, "a twin is a copy"
        twin.step([action])
        assert twin.state.reward[0] == np.float32(reward) and bool(twin.state.terminated[0]) == done
    assert (twin.state.start == env.simulation.engine.tensors["start"].numpy()).all()


def test_a_failed_reset_keeps_the_episode():
    env = make(instance="4x3:0")
    env.reset(seed=0)
    env.step(int(env.action_masks().argmax()))
    entries = env.schedule().entries.tolist()
    with pytest.raises(OptionError, match="does not fit"):
        env.reset(options={"instance": "ft06"})
    assert env.schedule().entries.tolist() == entries and env.instance.name == "4x3:0"
