"""What every single environment promises, whatever its family and options."""

import itertools
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as stable_baselines_check

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.registry import family
from dispatchgym.instances.catalogue import load_many


def rollout(env, rng, seed=None, **reset):
    """Play one random legal episode; yields (observation, reward, terminated, truncated, info) from the reset on."""
    observation, info = env.reset(seed=seed, **reset)
    yield observation, 0.0, False, False, info
    done = False
    while not done:
        action = rng.choice(np.flatnonzero(info["action_mask"]))
        observation, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        yield observation, reward, terminated, truncated, info


def same(one: dict, other: dict) -> bool:
    """Whether two observations, or infos, are equal to the bit."""
    return one.keys() == other.keys() and all(
        np.asarray(one[key]).tobytes() == np.asarray(other[key]).tobytes() for key in one
    )


def test_gymnasium_checker_is_silent(variant):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gymnasium_check(variant.make(), skip_render_check=True)
        gymnasium_check(variant.make(instance=variant.instances), skip_render_check=True)
    assert [str(warning.message) for warning in caught] == []


def test_gymnasium_checker_of_rendering_is_silent(default):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gymnasium_check(default.make(render_mode="ansi"))
    assert [str(warning.message) for warning in caught] == []


def test_stable_baselines_checker_remarks_on_nothing_but_shapes(variant):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stable_baselines_check(variant.make())
    messages = [str(warning.message) for warning in caught]
    assert [message for message in messages if "unconventional shape" not in message] == []


def test_observations_stay_in_their_space_and_masks_agree(variant):
    env, rng = variant.make(instance=variant.instances), np.random.default_rng(1)
    spec, space = env.model.spec, env.observation_space
    for episode in range(6):
        for observation, reward, terminated, _, info in rollout(env, rng, seed=episode):
            assert space.contains(observation)
            assert list(observation) == list(spec.boxes())
            assert np.isfinite(reward) and isinstance(reward, float)
            mask = observation["action_mask"]
            assert (mask == info["action_mask"]).all() and (mask.astype(bool) == env.action_masks()).all()
            assert env.action_masks().dtype == bool and mask.any() != terminated
            check_indices(spec, observation)
        assert "illegal_action" not in info


def check_indices(spec, observation) -> None:
    """Padding points at the sink with all its ends and has no features; candidates are what the mask says.

    One of them may name neither work nor resource: to wait.
    """
    works, resources = spec.works, spec.resources
    padded = (observation["assignment"] == np.array([[works], [resources]])).any(axis=0)
    assert (observation["assignment"][:, padded] == np.array([[works], [resources]])).all()
    assert not observation["assignment_attr"][padded].any()
    if spec.precedences:
        padded = (observation["precedence"] == works).any(axis=0)
        assert (observation["precedence"][:, padded] == works).all()
        assert not observation["precedence_attr"][padded].any()
    closed = observation["action_mask"] == 0
    assert (observation["candidate"][closed] == [works, resources]).all()
    assert not observation["candidate_attr"][closed].any()
    assert (observation["candidate"][~closed] == [works, resources]).all(axis=1).sum() <= 1


def test_features_keep_their_declared_bounds_and_are_alive(variant):
    env, rng = variant.make(instance=variant.instances), np.random.default_rng(2)
    spec = env.model.spec
    parts = {"work": spec.work, "resource": spec.resource, "context": spec.context}
    parts |= {"assignment_attr": spec.assignment, "candidate_attr": spec.candidate, "precedence_attr": spec.precedence}
    seen = {key: [] for key, features in parts.items() if features}
    for episode in range(10):
        for observation, *_ in rollout(env, rng, seed=episode):
            for key, rows in seen.items():
                rows.append(observation[key].reshape(-1, len(parts[key])))
    for key, rows in seen.items():
        values = np.concatenate(rows)
        assert (values >= [f.low for f in parts[key]]).all() and (values <= [f.high for f in parts[key]]).all()
        assert np.isfinite(values).all() and values.any(axis=0).sum() >= values.shape[1] // 2


def test_static_keys_do_not_change_within_an_episode(variant):
    env, rng = variant.make(instance=variant.instances), np.random.default_rng(3)
    for episode in range(3):
        observations = [observation for observation, *_ in rollout(env, rng, seed=episode)]
        for key in env.model.spec.static:
            assert all((observation[key] == observations[0][key]).all() for observation in observations)


def test_same_seed_same_trajectory(variant):
    for arguments in ({}, {"instance": variant.instances}):
        one, other = variant.make(**arguments), variant.make(**arguments)
        for _ in rollout(other, np.random.default_rng(9), seed=77):  # a past that must not matter
            pass
        for seed in (5, 6):
            pairs = zip(
                rollout(one, np.random.default_rng(seed), seed=seed),
                rollout(other, np.random.default_rng(seed), seed=seed),
                strict=True,
            )
            for (a, *middle, info), (b, *middle_too, info_too) in pairs:
                assert same(a, b) and middle == middle_too and same(info, info_too)


def test_other_seed_other_instance(default):
    env = default.make()
    digests = set()
    for seed in range(4):
        env.reset(seed=seed)
        digests.add(env.instance.digest)
    env.reset()
    digests.add(env.instance.digest)
    assert len(digests) == 5


def test_the_objective_in_info_is_that_of_the_schedule(variant, agree):
    env, rng = variant.make(instance=variant.instances), np.random.default_rng(4)
    objective = env.model.objective
    for episode in range(6):
        *_, (_, _, terminated, truncated, info) = rollout(env, rng, seed=episode)
        assert terminated and not truncated
        schedule = env.schedule()
        assert schedule.instance is env.instance and schedule.violations() == []
        assert agree(env.model, info[objective], schedule)


def test_episodes_end_within_the_horizon(variant):
    env, rng = variant.make(instance=variant.instances), np.random.default_rng(5)
    for episode in range(4):
        assert len(list(rollout(env, rng, seed=episode))) - 1 <= env.model.horizon


@pytest.mark.parametrize("kind", ["masked", "negative", "too large", "far too large"])
def test_an_illegal_action_ends_the_episode_and_harms_nothing(variant, kind):
    env = variant.make(instance=variant.instances)
    played = [sum(step[1] for step in rollout(env, np.random.default_rng(k), seed=0)) for k in range(8)]
    first, info = env.reset(seed=0)
    total, closed = 0.0, np.flatnonzero(info["action_mask"] == 0)
    while kind == "masked" and not len(closed):
        _, reward, _, _, info = env.step(int(np.flatnonzero(info["action_mask"])[0]))
        total, closed = total + reward, np.flatnonzero(info["action_mask"] == 0)
    wrong = {"masked": closed[0] if len(closed) else 0, "negative": -1, "too large": env.action_space.n}
    observation, reward, terminated, truncated, info = env.step(wrong.get(kind, 2**31 - 1))
    assert terminated and not truncated and info["illegal_action"] is True
    assert env.observation_space.contains(observation) and not info["action_mask"].any()
    assert reward < 0 and total + reward <= min(played) + 1e-5
    again, _ = env.reset(seed=0)
    assert same(again, first)
    assert sum(step[1] for step in rollout(env, np.random.default_rng(0), seed=0)) == played[0]
    assert env.schedule().violations() == []


def test_step_before_reset_asks_for_a_reset(default):
    with pytest.raises(gymnasium.error.ResetNeeded):
        default.make().step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        default.make_vec(2).step([0, 0])


def test_a_finished_episode_stands_still(variant):
    env = variant.make(instance=variant.instances)
    *_, (last, _, _, _, info) = rollout(env, np.random.default_rng(6), seed=0)
    entries = env.schedule().entries.tolist()
    observation, reward, terminated, _, info_after = env.step(0)
    assert reward == 0.0 and terminated and same(observation, last) and same(info, info_after)
    assert env.schedule().entries.tolist() == entries


def test_what_was_handed_out_is_not_rewritten(default):
    env = default.make()
    observation, info = env.reset(seed=0)
    kept = {key: value.copy() for key, value in observation.items()}, info["action_mask"].copy()
    for _ in rollout(env, np.random.default_rng(0)):
        pass
    assert same(observation, kept[0]) and (info["action_mask"] == kept[1]).all()
    observation["action_mask"][:] = 1  # and writing to it changes nothing inside
    env.reset(seed=0)
    assert (env.action_masks() == kept[1].astype(bool)).all()


def test_a_chosen_instance_is_played_and_must_fit(default):
    instances = load_many(default.instances, default.family)
    env = default.make(instance=instances)
    for instance in instances:
        env.reset(options={"instance": instance})
        assert env.instance is instance and env.schedule().instance is instance
    smallest = min(instances, key=family(default.family).model.size_key)
    largest = max(instances, key=family(default.family).model.size_key)
    small = default.make(instance=smallest)
    with pytest.raises(OptionError, match="does not fit"):
        small.reset(options={"instance": largest})
    with pytest.raises(OptionError, match="instance"):
        small.reset(options={"colour": 3})
    observation, _ = small.reset(seed=0)
    assert small.instance is smallest and small.observation_space.contains(observation)


def test_a_reset_in_mid_episode_leaves_no_trace(variant):
    instances = load_many(variant.instances, variant.family)
    used = variant.make(instance=instances)
    for before, after in itertools.permutations(instances, 2):
        _, info = used.reset(options={"instance": before})
        for _ in range(3):
            if info["action_mask"].any():
                *_, info = used.step(int(np.flatnonzero(info["action_mask"])[-1]))
        fresh = variant.make(instance=instances)
        one, other = (env.reset(options={"instance": after}) for env in (used, fresh))
        assert same(one[0], other[0]) and same(one[1], other[1])


@pytest.mark.filterwarnings("ignore:.*not in the possible render_modes.*:UserWarning")
def test_pictures_and_charts(default):
    env = default.make(render_mode="rgb_array")
    env.reset(seed=0)
    empty = env.render()
    for _ in rollout(env, np.random.default_rng(0)):
        pass
    full = env.render()
    assert empty.dtype == full.dtype == np.uint8 and full.ndim == 3 and full.shape[2] == 3
    assert empty.shape == full.shape and (empty != full).any()
    chart = default.make(render_mode="ansi")
    chart.reset(seed=0)
    assert isinstance(chart.render(), str)
    with pytest.raises(OptionError, match="rgb_array"):
        default.make(render_mode="svg")
