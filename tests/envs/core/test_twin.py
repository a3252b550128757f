"""The twin is the same source, run by the interpreter."""

import sys

import numpy as np
import pytest
import warp as wp

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.job_shop import simulator
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.instances.catalogue import load_many


@wp.func
def helper(x: float):
    return wp.min(wp.max(x * 3.0, 0.0), 1.0) + float(1) / x


@wp.func
def caller(x: float):
    return helper(x) + helper(x)


def test_functions_call_their_twins_in_single_precision():
    for x in np.array([0.1, 0.7, -0.3], np.float32):
        result = twin(caller)(x)
        assert result.dtype == np.float32
        assert result == np.float32(2) * (np.clip(x * np.float32(3), np.float32(0), np.float32(1)) + np.float32(1) / x)


LARGE = wp.constant(wp.int64(2**40))


@wp.func
def large(x: wp.int64):
    return wp.min(x, LARGE) // LARGE + LARGE


def test_constants_of_64_bits_are_numbers():
    assert twin(large)(np.int64(2**50)) == 2**40 + 1 and twin(large)(np.int64(7)).dtype == np.int64


def test_what_a_twin_does_not_know_is_an_error_and_not_a_guess():
    @wp.func
    def rooted(x: float):
        return wp.sqrt(x)

    with pytest.raises(AttributeError, match="sqrt"):
        twin(rooted)(np.float32(2))


def test_one_twin_for_each_function():
    memo = {}
    assert twin(helper, memo) is twin(helper, memo) and len(memo) == 1
    twin(caller, memo)
    assert set(memo) == {helper, caller}
    assert twin(caller, memo).__globals__["helper"] is memo[helper]


def test_the_original_is_left_alone():
    twin(caller)
    assert isinstance(caller, wp.Function) and isinstance(simulator.step, wp.Function)
    assert simulator.step.func.__globals__["wp"] is wp


def test_a_debugger_sees_every_line():
    instances = load_many("ft06")
    engine = Simulation(Model(instances, Options(forced_moves=False)), instances, 1).engine
    seen = set()

    def tracer(frame, event, argument):
        if frame.f_code.co_filename == simulator.__file__:
            seen.add(frame.f_code.co_name)
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        copy = engine.twin()
        copy.reset()
        copy.step([int(copy.state.action_mask[0].argmax())])
    finally:
        sys.settrace(before)
    assert {"reset", "step", "commit", "settle", "choose", "look_at"} <= seen


def test_a_twin_is_a_copy():
    instances = load_many("ft06")
    simulation = Simulation(Model(instances), instances, 2)
    simulation.reset()
    copy = simulation.engine.twin()
    assert len(copy) == 2 and copy.state.delta == 1_000_000
    copy.step(copy.state.action_mask.argmax(axis=1))
    assert (copy.state.steps == 1).all() and not simulation.engine.tensors["steps"].any()


def test_actions_of_another_shape_are_refused():
    instances = load_many("ft06")
    copy = Simulation(Model(instances), instances, 2).engine.twin()
    with pytest.raises(ValueError):
        copy.step([0, 0, 0])
