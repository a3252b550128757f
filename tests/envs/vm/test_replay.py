"""What is recorded while a schedule is carried out: moves, the curve, and how often messages are listed."""

import math

import numpy as np

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.record import Move
from dispatchgym.envs.vm.replay import Sequence, Timeline, replay

NEVER = 2**31 - 1


def record(instance: VMInstance, rows, **conditions):
    return replay(instance, Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions))


def test_a_snapshot_is_a_sequence_of_moves():
    instance = VMInstance("two", [[16, 16]], [[99, 99]], [8, 4, 8], [1] * 3, [1] * 3, [0, 1, -1], priority=[0, 0, 1])
    found = record(instance, [[1, 1, -1, 1, 1], [0, 0, 1, 0, 0], [2, 2, 0, 2, 2], [9, 3, 0, 3, 3]])
    assert isinstance(found, Sequence) and found.initial == (8 + 12) / 20
    assert found.moves == [Move(0, 0, 0, 0, 1), Move(1, 1, 1, 1, -1), Move(2, 2, 2, -1, 0)]
    assert found.times == [0, 1, 2, 3, 4]
    assert found.rates == [1.0, 4 / 20, 8 / 24, 1.0, 1.0]
    assert (found.migrations, found.evictions, found.stale, found.rejected) == (1, 1, 0, [])


def timeline(**more) -> VMInstance:
    """VM 0 stays, VM 1 leaves at 40, VM 2 comes at 60 and finds a place, VM 3 comes at 60 and does not."""
    return VMInstance(
        "time", [[32, 32]], [[9000, 9000]], [4, 8, 12, 40], [1000] * 4, [1] * 4, [0, 1, -1, -1],
        arrival=[0, 0, 60, 60], departure=[NEVER, 40, NEVER, NEVER], horizon=100, **more,
    )  # fmt: skip


def test_time_is_a_curve_of_rates():
    found = record(timeline(), [])
    assert isinstance(found, Timeline)
    assert found.times == [0, 40, 60] and found.rates == [20 / 52, 12 / 60, 0.0]
    assert found.rejected == [(60, 3)] and found.moves == []
    assert math.isclose(found.mean_rate, (40 * 20 / 52 + 20 * 12 / 60) / 100, rel_tol=1e-15)


def test_a_copy_is_on_the_curve():
    found = record(timeline(), [[1, 0, 0, 10, 20], [0, 1, 1, 20, 30]], copy_rate=100_000)
    assert found.moves == [Move(0, 10, 1, 1, 0), Move(1, 20, 0, 0, 1)]
    # free are 28 and 24; with VM 1 on both 20 and 24; then, with VM 0 on both, 20 and 28; in the end 24 and 28
    assert found.times == [0, 10, 20, 30, 40, 60]
    assert found.rates == [20 / 52, 12 / 44, 16 / 48, 20 / 52, 12 / 60, 0.0]


def test_moves_that_come_too_late_are_recorded_as_stale():
    found = record(timeline(), [[1, 0, 0, 44, 44]], latency=5)
    assert found.moves == [Move(0, 44, 1, -1, 0, stale=True)] and (found.migrations, found.stale) == (0, 1)


def test_what_would_begin_at_the_horizon_does_not_happen():
    found = record(timeline(), [[0, 0, 1, 100, 100]])
    assert found.moves == [] and found.broken == 1 and found.state.node[0] == 0


def test_an_action_that_breaks_a_rule_is_carried_out_all_the_same():
    pinned = timeline(movable=[False, True, True, True])
    found = record(pinned, [[0, 0, 1, 5, 5], [0, 1, 0, 7, 7]])
    assert found.broken == 2 and [move.target for move in found.moves] == [1, 0] and found.migrations == 2
    full = VMInstance("full", [[16, 16]], [[9, 9]], [16, 16], [1, 1], [1, 1], [0, 1])
    found = record(full, [[0, 0, 1, 0, 0], [0, 1, 0, 1, 1]])
    assert found.broken == 1 and found.state.cores.tolist() == [[0, 0]]


def test_what_is_done_at_once_begins_the_curve():
    found = record(timeline(), [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 2, 0, 0, 0]])
    assert found.times == [0, 40, 60] and found.initial == 20 / 52
    assert found.rates == [(20 % 16 + 32 % 16) / 52, 12 / 60, 0.0]
