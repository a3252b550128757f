"""What every vector environment promises: the same episodes as single ones, to the bit."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.instances.catalogue import load_many


def as_arrays(tree):
    """A nested dict of tensors as one of arrays."""
    return {key: as_arrays(value) for key, value in tree.items()} if isinstance(tree, dict) else np.asarray(tree)


def equal(one, other) -> bool:
    """Whether two nested dicts of tensors or arrays are equal to the bit."""
    one, other = as_arrays(one), as_arrays(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def walk(env, steps, legal, seed=0, choose=None):
    """Random legal steps; yields what reset and step return."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    yield observation, info
    for _ in range(steps):
        actions = legal(torch.as_tensor(info["action_mask"]), rng)
        observation, *result, info = env.step(actions if choose is None else choose(actions))
        yield observation, *result, info


class Single:
    """One environment that follows one place of a vector environment through its episodes."""

    def __init__(self, variant, instances, vector, place):
        self.env, self.vector, self.place = variant.make(instance=instances), vector, place

    def begin(self):
        """Begin the episode that the vector environment is in, with the same key of the random draws."""
        self.env.reset(options={"instance": self.vector.simulation.instance_of(self.place)})
        mine, theirs = self.env.simulation.engine.tensors, self.vector.simulation.engine.tensors
        mine["seed"].copy_(theirs["seed"])
        mine["world"][0] = theirs["world"][self.place]
        mine["episode"][0] = theirs["episode"][self.place] - 1
        self.env.simulation.restart_all()
        observation = {key: tensor[0] for key, tensor in self.env.simulation.observation.items()}
        return observation, {key: tensor[0] for key, tensor in self.env.simulation.outcome().items()}

    def row(self, tree: dict) -> dict:
        return {key: value[self.place] for key, value in tree.items()}


def test_vector_equals_single_step_by_step(variant, legal):
    instances, width = load_many(variant.instances, variant.family), 5
    vector = variant.make_vec(width, instance=instances)
    singles = [Single(variant, instances, vector, place) for place in range(width)]
    rng, ended = np.random.default_rng(0), 0
    observation, info = vector.reset(seed=0)
    for single in singles:
        assert equal(single.begin()[0], single.row(observation))
    for _ in range(200):
        actions = legal(info["action_mask"], rng)
        if rng.random() < 0.03:
            actions[0] = -1  # an illegal one now and then
        observation, reward, terminated, truncated, info = vector.step(actions)
        for single in singles:
            place, action = single.place, int(actions[single.place])
            last, single_reward, single_terminated, single_truncated, last_info = single.env.step(action)
            assert single_reward == float(reward[place])
            assert single_terminated == bool(terminated[place]) and single_truncated == bool(truncated[place])
            if single_terminated:
                ended += 1
                assert info["_final_info"][place] and info["_final_obs"][place]
                assert equal(last, single.row(info["final_obs"]))
                final = single.row(info["final_info"])
                assert bool(final.pop("illegal_action")) == last_info.get("illegal_action", False)
                assert all(int(value) == last_info[key] for key, value in final.items())
                last, last_info = single.begin()
            else:
                assert not info["_final_info"][place]
            assert equal(last, single.row(observation))
            assert all((np.asarray(info[key][place]) == value).all() for key, value in last_info.items())
    assert ended > 2 * width


def test_episodes_walk_through_the_bank(default, legal):
    instances, width = load_many(default.instances, default.family), 3
    vector = default.make_vec(width, instance=instances)
    played = [[] for _ in range(width)]
    finished = torch.ones(width, dtype=torch.bool)
    for _, *result, _ in walk(vector, 200, legal):
        finished = result[1] if result else finished
        for place in finished.nonzero().flatten().tolist():
            played[place].append(vector.simulation.instance_of(place))
    for place, found in enumerate(played):
        expected = [instances[(place + width * episode) % len(instances)] for episode in range(len(found))]
        assert len(found) > 2 and all(a is b for a, b in zip(found, expected, strict=True))


def test_groups_share_their_instances(default, legal):
    instances = load_many(default.instances, default.family)
    for shuffled in (False, True):
        vector = default.make_vec(6, instance=instances, group=3, shuffled=shuffled)
        vector.reset(seed=3)
        played = [vector.simulation.instance_of(place) for place in range(6)]
        assert played[0] is played[1] is played[2] and played[3] is played[4] is played[5]
    assert {id(one) for one in played} <= {id(one) for one in instances}


def test_shuffled_draws_reach_the_whole_bank(default):
    instances = load_many(default.instances, default.family)
    vector = default.make_vec(200, instance=instances, shuffled=True)
    drawn = {}
    for seed in (1, 2, 1):
        vector.reset(seed=seed)
        drawn.setdefault(seed, []).append(vector.simulation.engine.tensors["instance"].tolist())
    assert set(drawn[1][0]) == set(range(len(instances)))
    assert drawn[1][0] == drawn[1][1] != drawn[2][0]


def test_same_seed_same_trajectory(variant, legal):
    one, other = variant.make_vec(4, bank=8), variant.make_vec(4, bank=8)
    for _ in walk(other, 40, legal, seed=9):  # a past that must not matter
        pass
    for seed in (1, 2):
        for a, b in zip(walk(one, 60, legal, seed), walk(other, 60, legal, seed), strict=True):
            assert all(equal(x, y) for x, y in zip(a, b, strict=True))


def digests_of(vector) -> list[str]:
    return [instance.digest for instance in vector.simulation.instances]


def test_every_reset_draws_a_new_bank(default, legal):
    """A loop that resets now and then never trains on the same instances again, and a seed makes it repeatable."""
    vector, other = default.make_vec(4, bank=8), default.make_vec(4, bank=8)
    banks = []
    for seed in (3, None, None, 3, None):
        for environment in (vector, other):
            environment.reset(seed=seed)
        assert digests_of(vector) == digests_of(other)
        banks.append(digests_of(vector))
    assert banks[0] == banks[3] and banks[1] == banks[4]
    assert len({digest for bank in banks[:3] for digest in bank}) == 24
    for _ in range(60):  # and between resets the bank stays
        vector.step(legal(vector.action_masks().int(), np.random.default_rng(0)))
    assert digests_of(vector) == banks[4]


def test_without_a_seed_instances_are_random(default):
    drawn = set()
    for _ in range(3):
        vector = default.make_vec(2, bank=4)
        drawn |= set(digests_of(vector))
        vector.reset()
        drawn |= set(digests_of(vector))
    assert len(drawn) == 3 * 2 * 4


def test_given_instances_are_never_replaced(default):
    instances = load_many(default.instances, default.family)
    vector = default.make_vec(3, instance=instances)
    for seed in (0, None, 1, None):
        vector.reset(seed=seed)
        assert vector.simulation.instances == instances


@pytest.mark.parametrize("generated", [True, False])
def test_a_chosen_bank_begins_with_its_first(default, legal, generated):
    """With a seed or without one, at first or after other episodes."""
    bank = load_many(default.instances, default.family)[:5]
    chosen = list(default.make_vec(1, bank=5).simulation.instances) if generated else bank[::-1]
    vector = default.make_vec(3, bank=5) if generated else default.make_vec(3, instance=bank)
    rng = np.random.default_rng(0)
    for seed in (None, 1, None):
        _, info = vector.reset(seed=seed, options={"instances": chosen})
        assert digests_of(vector) == [instance.digest for instance in chosen]
        assert all(vector.simulation.instance_of(place) is chosen[place] for place in range(3))
        for _ in range(40):  # episodes that the next reset must not count on from
            *_, info = vector.step(legal(info["action_mask"], rng))


@pytest.mark.parametrize("numpy", [False, True])
def test_schedules_of_episodes_that_ended(variant, legal, numpy, agree):
    """Complete, feasible, and of the value that is reported; the next episode has begun when they are handed out."""
    vector = variant.make_vec(3, instance=variant.instances, final_schedules=True, numpy=numpy)
    objective, rng, ended, illegal = vector.model.objective, np.random.default_rng(0), 0, 0
    _, info = vector.reset(seed=0)
    assert "final_schedules" not in info
    for number in range(2000):
        if ended > 5 and illegal:
            break
        played = [vector.simulation.instance_of(place) for place in range(3)]
        actions = legal(torch.as_tensor(info["action_mask"]), rng)
        actions[0] = -1 if number == 5 else actions[0]
        *_, info = vector.step(actions.numpy() if numpy else actions)
        reported = [place for place, schedule in enumerate(info["final_schedules"]) if schedule is not None]
        assert reported == np.flatnonzero(info["_final_schedules"]).tolist()
        assert reported == np.flatnonzero(info["_final_info"]).tolist()
        for place in reported:
            schedule = info["final_schedules"][place]
            assert schedule.instance is played[place]
            if info["final_info"]["illegal_action"][place]:
                illegal += 1
                assert bool(schedule.violations()) == variant.completes
                continue
            ended += 1
            assert schedule.violations() == []
            assert agree(vector.model, int(info["final_info"][objective][place]), schedule)
    assert ended > 3 and illegal == 1


def test_schedules_of_ended_episodes_cost_nothing_unless_asked_for(default, legal):
    ended = 0
    for _, *result, info in walk(default.make_vec(2, bank=2), 60, legal):
        assert "final_schedules" not in info
        ended += int(result[1].sum()) if result else 0
    assert ended


def test_other_seed_other_instances(default):
    vector = default.make_vec(4, bank=8)
    digests = []
    for seed in (0, 1, 0):
        vector.reset(seed=seed)
        digests.append([instance.digest for instance in vector.simulation.instances])
    assert digests[0] == digests[2] != digests[1] and len(set(digests[0])) == 8


def test_reset_without_a_seed_goes_on(default, legal):
    vector = default.make_vec(2, instance=load_many(default.instances, default.family))
    vector.reset(seed=0)
    first = vector.simulation.engine.tensors["instance"].tolist()
    vector.reset()
    assert vector.simulation.engine.tensors["instance"].tolist() != first
    vector.reset(seed=0)
    assert vector.simulation.engine.tensors["instance"].tolist() == first


def test_spaces_and_metadata(default):
    vector = default.make_vec(3)
    assert isinstance(vector, VectorEnv) and vector.num_envs == 3
    assert vector.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    single = default.make()
    assert vector.single_observation_space == single.observation_space
    assert vector.single_action_space == single.action_space and vector.action_space.shape == (3,)
    observation, info = vector.reset(seed=0)
    assert all(isinstance(value, torch.Tensor) for value in [*observation.values(), *info.values()])
    assert vector.observation_space.contains(as_arrays(observation))
    assert (vector.action_masks() == info["action_mask"].bool()).all()


def test_the_numpy_face_is_the_torch_face(default, legal):
    faces = [default.make_vec(4, bank=8, numpy=numpy) for numpy in (False, True)]
    episodes = 0
    for torch_side, numpy_side in zip(
        walk(faces[0], 80, legal), walk(faces[1], 80, legal, choose=lambda actions: actions.numpy()), strict=True
    ):
        assert all(equal(a, b) for a, b in zip(torch_side, numpy_side, strict=True))
        arrays = [*numpy_side[0].values(), *numpy_side[1:-1], numpy_side[-1]["action_mask"]]
        assert all(isinstance(array, np.ndarray) for array in arrays if not isinstance(array, dict))
        episodes += int(numpy_side[2].sum()) if len(numpy_side) > 2 else 0
    assert episodes and isinstance(faces[1].action_masks(), np.ndarray)


def test_copies_are_kept_and_views_are_not(default, legal):
    for copy in (True, False):
        vector = default.make_vec(2, bank=2, copy=copy)
        (first, info), *rest = [
            (step[0], step[-1]) for step in walk(vector, 3, legal)
        ]  # all handed out before any is looked at
        fresh, _ = default.make_vec(2, bank=2).reset(seed=0)
        assert equal(first, fresh) == copy
        assert (info["action_mask"] == fresh["action_mask"]).all()


def test_final_observations_can_be_left_out(default, legal):
    vector = default.make_vec(2, bank=2, final_observation=False)
    ended = 0
    for _, *result, info in walk(vector, 60, legal):
        assert "final_obs" not in info
        ended += int(result[1].sum()) if result else 0
    assert ended


def test_an_illegal_action_ends_one_episode_only(variant, legal):
    vector = variant.make_vec(3, instance=variant.instances)
    _, info = vector.reset(seed=0)
    actions = info["action_mask"].long().argmax(dim=1)  # the first legal one ends nothing; a later one may be to stop
    actions[2] = vector.single_action_space.n
    before = vector.simulation.engine.state_dict()["instance"].clone()
    _, reward, terminated, truncated, info = vector.step(actions)
    assert terminated.tolist() == [False, False, True] and not truncated.any()
    assert info["final_info"]["illegal_action"].tolist() == [False, False, True]
    assert reward[2] < 0 and info["action_mask"].any(dim=1).all()
    after = vector.simulation.engine.tensors["instance"]
    assert (after != before).tolist() == [False, False, True]
    _, _, _, _, info = vector.step(legal(info["action_mask"], np.random.default_rng(0)))
    assert not info["final_info"]["illegal_action"].any()


def test_actions_of_another_form_are_refused(default):
    vector = default.make_vec(2)
    vector.reset(seed=0)
    for actions in (
        *([0], [0, 0, 0], 0, [[0, 0]], [0.0, 1.0], torch.tensor([0.0, 0.0])),
        *(["a", "b"], None, [0, None], [0j, 1j]),
    ):
        with pytest.raises(OptionError, match="actions must be integers"):
            vector.step(actions)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(num_envs=0), "num_envs"),
        (dict(num_envs=-3), "num_envs"),
        (dict(num_envs=2, bank=0), "bank"),
        (dict(num_envs=2, group=0), "group"),
        (dict(num_envs=2, threads=0), "threads"),
        (dict(num_envs=2, device="abacus"), "device"),
        (dict(num_envs=2, render_mode="svg"), "render_mode"),
    ],
)
def test_arguments_out_of_range_are_refused(default, arguments, words):
    with pytest.raises(OptionError, match=words):
        default.make_vec(**arguments)


def test_unknown_reset_options_are_refused(default):
    vector = default.make_vec(2, instance=default.instances)
    with pytest.raises(OptionError, match="instances"):
        vector.reset(options={"instance": default.instances[0]})
    with pytest.raises(OptionError, match="bank holds"):
        vector.reset(options={"instances": default.instances[:1]})


def test_pictures_of_all(default):
    vector = default.make_vec(2, render_mode="ansi")
    vector.reset(seed=0)
    assert [type(chart) for chart in vector.render()] == [str, str]
    assert [schedule.violations() != [] for schedule in vector.schedules()] == [default.completes] * 2
