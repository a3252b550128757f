"""The observation's specification."""

import numpy as np

from dispatchgym.envs.core.graph import Feature, GraphSpec
from dispatchgym.envs.core.spaces import action_space, observation_space

TWO, ONE = (Feature("a", "first", -1, 2), Feature("b", "second")), (Feature("c", "only", 0, 3),)
FLAT = dict(
    works=4, resources=3, actions=5, edges=6, work=TWO, resource=ONE, context=TWO, assignment=ONE, candidate=TWO
)


def test_shapes_and_types_of_the_keys():
    boxes = GraphSpec(**FLAT).boxes()
    shapes = {key: (shape, np.dtype(dtype).name) for key, (_, _, shape, dtype) in boxes.items()}
    assert shapes == {
        "work": ((4, 2), "float32"), "resource": ((3, 1), "float32"), "context": ((2,), "float32"),
        "assignment_attr": ((6, 1), "float32"), "candidate_attr": ((5, 2), "float32"),
        "assignment": ((2, 6), "int64"), "candidate": ((5, 2), "int64"), "action_mask": ((5,), "int8"),
    }  # fmt: skip


def test_precedence_is_there_when_the_family_has_any():
    boxes = GraphSpec(**FLAT, precedences=7, precedence=ONE).boxes()
    assert boxes["precedence"][2] == (2, 7) and boxes["precedence_attr"][2] == (7, 1)
    assert (boxes["precedence"][1] == 4).all()


def test_bounds_are_those_of_the_features_and_sinks():
    boxes = GraphSpec(**FLAT).boxes()
    low, high = boxes["work"][:2]
    assert (low == [-1, 0]).all() and (high == [2, 1]).all() and low.shape == (4, 2)
    assert (boxes["assignment"][1] == [[4], [3]]).all() and (boxes["candidate"][1] == [4, 3]).all()
    assert all(np.all(np.asarray(low) >= 0) for key, (low, *_) in boxes.items() if key in ("assignment", "candidate"))


def test_spaces_are_made_from_it():
    spec = GraphSpec(**FLAT)
    space = observation_space(spec)
    assert set(space.keys()) == set(spec.boxes()) and action_space(spec).n == 5
    sample = space.sample()
    assert space.contains(sample)
    sample["work"][0, 0] = 2.5
    assert not space.contains(sample)
