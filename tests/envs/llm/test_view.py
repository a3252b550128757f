"""What a picture is made of is what the rows say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm.generator import preset_instance
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.profiles import Profile
from dispatchgym.envs.llm.view import Stay, View, seconds

S = 1_000_000
SERVER = Profile(10**15, kv_tokens=160, max_num_seqs=8, token_budget=64)
# The first one is preempted once, the second follows it, the third answers with one token, the fourth is turned away.
PLAIN = LLMInstance(
    "plain", (SERVER, SERVER), [0, S, 2 * S, 3 * S], [10, 20, 9, 9], [4, 2, 1, 3], parent=[-1, 0, -1, -1],
    ttft_target=[S, S, S, S], tbt_target=[3 * S] * 4, server_names=("left", "right"),
)  # fmt: skip
ROWS = [
    [0, 0, 0, 0, S], [0, 1, 0, S, 2 * S], [2, 0, 1, 3 * S, 4 * S], [0, 2, 0, 4 * S, 5 * S], [0, 3, 0, 5 * S, 6 * S],
    [1, 0, 1, 7 * S, 9 * S], [1, 1, 1, 9 * S, 10 * S],
    [0, -1, 0, 2 * S, 5 * S], [1, -1, 1, 9 * S, 10 * S], [3, -2, -1, 5 * S, 5 * S],
]  # fmt: skip


def view(rows, instance=PLAIN):
    return View(Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5)))


def test_stays():
    seen = view(ROWS)
    assert seen.stays == [
        Stay(0, 0, 0, S, 2 * S, True),
        Stay(2, 1, 3 * S, 4 * S, 4 * S, False),
        Stay(0, 0, 4 * S, 5 * S, 6 * S, False),
        Stay(1, 1, 7 * S, 9 * S, 10 * S, False),
    ]
    assert seen.rejected == [(5 * S, 3)] and seen.until == 10 * S


def test_who_missed():
    seen = view(ROWS)
    assert seen.arrival == [0, 7 * S, 2 * S, 3 * S]  # the second thinks for a second after the first has finished
    # the first keeps its first token and pauses for just three seconds; the second takes two to the first token
    assert seen.missed == [(4 * S, 1, 2), (10 * S, 1, 1)] and seen.finished == [0, 1, 2]
    assert seen.caption == "goodput 25.0%, mean end to end 3.67 s, 1 preemption, 1 rejected, makespan 10 s"
    late = LLMInstance("late", (SERVER,) * 2, [0], [10], [4], e2e_target=[6 * S])
    assert view(ROWS[:5], late).missed == []
    late = LLMInstance("late", (SERVER,) * 2, [0], [10], [4], e2e_target=[6 * S - 1])
    assert view([row for row in ROWS if row[0] == 0], late).missed == [(6 * S, 0, 0)]
    paused = LLMInstance("paused", (SERVER,) * 2, [0], [10], [4], tbt_target=[3 * S - 1])
    assert view([row for row in ROWS if row[0] == 0], paused).missed == [(6 * S, 0, 0)]


def test_what_runs():
    seen = view(ROWS)
    times, numbers = seen.running(0)
    assert times.tolist() == [0, S, 2 * S, 4 * S, 5 * S, 6 * S]
    assert numbers.tolist() == [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0]]
    edges, same = seen.averages(0, 100)
    assert edges.tolist() == [*times.tolist(), 10 * S] and (same == numbers).all()
    edges, means = seen.averages(0, 2)
    assert edges.tolist() == [0, 5 * S, 10 * S] and means.tolist() == pytest.approx(np.array([[0.4, 0], [0.2, 0.2]]))


def test_a_part_and_nothing():
    assert view([]).caption == "0 of 4 requests, until 3 s"
    assert view([]).stays == [] and view([]).arrival == [0, None, 2 * S, 3 * S] and view([]).early(9) == [0, 2, 3]
    assert view(ROWS[:3]).caption == "2 of 4 requests, until 4 s"
    assert view(ROWS).early(2) == [0, 2] and view(ROWS).horizon([0, 2]) == 6 * S and view(ROWS).horizon([]) == 1
    assert view(ROWS[:3]).horizon([3]) == 4 * S


def test_rows_that_cannot_be_drawn_are_left_out():
    nonsense = [
        [4, 0, 0, 0, 1], [-1, 0, 0, 0, 1], [0, 0, 2, 0, 1], [0, 0, -1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, -5, 1],
        [0, 0, 0, 0, 2**62], [0, -3, 0, 0, 1], [0, 1, 0, 0, 1],
    ]  # fmt: skip
    assert view(nonsense).stays == []
    assert view(ROWS + nonsense[:-1]).stays == view(ROWS).stays


@pytest.mark.parametrize("preset", ["tight-kv-n150", "route-overload-n150", "route-prefix-n100"])
def test_everything_that_was_played_is_seen(plain_play, preset):
    instance = preset_instance(preset, 1)
    played = plain_play.Play(instance)
    seen = View(played.schedule())
    assert seen.until == max(one.finish for one in played.done) and len(seen.finished) == instance.requests
    assert {request for *_, request in seen.missed} == set(np.flatnonzero(played.missed()).tolist())
    assert seen.arrival == [one.arrival for one in sorted(played.done, key=lambda one: one.index)]
    assert sum(stay.preempted for stay in seen.stays) == sum(server.preemptions for server in played.servers)
    for number in range(len(instance.servers)):
        times, numbers = seen.running(number)
        assert (np.diff(times) > 0).all() and (numbers >= 0).all() and (numbers[:, -1] == 0).all()
        spans, means = seen.averages(number, 7)
        whole = (numbers * np.diff(np.append(times, seen.until))).sum(axis=1)
        assert (means * np.diff(spans)).sum(axis=1) == pytest.approx(whole)


@given(
    st.lists(
        st.tuples(*[st.one_of(st.integers(-3, 12), st.sampled_from([2**63 - 1, -(2**63), 2**40]))] * 5), max_size=8
    )
)
def test_nonsense_is_read_without_an_exception(rows):
    seen = view(rows)
    assert seen.until >= 1 and isinstance(seen.caption, str)
    for server in (0, 1):
        assert (seen.running(server)[1].sum(axis=0) >= 0).all()


def test_seconds():
    assert [seconds(time) for time in (0, 500, 12_340_000, 999_600_000, 1234 * S)] == [
        "0",
        "0.0005",
        "12.3",
        "1000",
        "1234",
    ]
