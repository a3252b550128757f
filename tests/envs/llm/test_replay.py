"""Schedules worked out by hand, which the replay and the slow play of the statement both arrive at."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.profiles import Profile
from dispatchgym.envs.llm.replay import replay
from dispatchgym.envs.llm.validator import check

US = 10**9  # fs
SECOND = 10**15
EACH = Profile(US, kv_tokens=100, block_size=1, max_num_seqs=4, token_budget=20)  # an iteration takes 1 us
TIGHT = replace(EACH, kv_tokens=8)
PREFILL = Profile(0, prefill=US, kv_tokens=100, block_size=2, max_num_seqs=4, token_budget=20)


def requests(*rows, servers=(EACH,), **more) -> LLMInstance:
    """Requests as (arrival, prompt, output)."""
    return LLMInstance("hand", servers, *np.array(rows, dtype=int).T, **more)


def case(instance, rows, totals=None, **conditions):
    """An instance, the rows that must come out, and what servers did: iterations, busy, block time, preemptions."""
    return instance, conditions, rows, totals


CASES = {
    "two requests, a second each iteration": case(
        requests((0, 3, 2), (0, 5, 1), servers=(replace(EACH, base=SECOND),)),
        [[0, 0, 0, 0, 10**6], [0, 1, 0, 10**6, 2 * 10**6], [1, 0, 0, 0, 10**6], [0, -1, 0, 10**6, 2 * 10**6]],
        [[2], [2 * 10**6], [8 * 10**6 + 4 * 10**6], [0]],
    ),
    "every coefficient, in chunks of 3": case(
        # 1000 + 3 * 100 + 3 * 3, then 1000 + 100 + 1 * (2 * 3 + 1); decoding 1000 + 10 + 2 * 4, then 2 * 5
        requests((7, 4, 3), servers=(
            Profile(1000 * US, 100 * US, US, 10 * US, 2 * US, kv_tokens=9, block_size=1, max_num_seqs=1,
                    token_budget=3),
        )),
        [[0, 0, 0, 7, 2423], [0, 1, 0, 2423, 4461], [0, -1, 0, 3441, 4461]],
        [[4], [4454], [2416 * 4 + 1018 * 5 + 1020 * 6], [0]],
    ),
    "a hinge, and fractions that are rounded up": case(
        # four tokens of 2.5 us and two above the knee of 0.1 us more; then one token
        requests((0, 4, 2), servers=(replace(EACH, base=0, token=5 * US // 2, beyond=US // 10, knee=2),)),
        [[0, 0, 0, 0, 11], [0, 1, 0, 11, 14], [0, -1, 0, 11, 14]],
        [[2], [14], [11 * 4 + 3 * 5], [0]],
    ),
    "nothing takes less than a us": case(
        requests((3, 4, 2), servers=(replace(EACH, base=0),)),
        [[0, 0, 0, 3, 4], [0, 1, 0, 4, 5], [0, -1, 0, 4, 5]],
    ),
    "the budget goes to decoding first, then in order of admission": case(
        # of 5 tokens: 3 and 2; then 1 and 4 of the 5 that are left; then 1 and 1; the third is admitted at 3
        requests((0, 3, 3), (0, 7, 1), (2, 1, 1), servers=(replace(EACH, token_budget=5),)),
        [[0, 0, 0, 0, 1], [0, 1, 0, 1, 3], [1, 0, 0, 0, 3], [2, 0, 0, 2, 3], [0, -1, 0, 1, 2]],
    ),
    "a preemption, and the tokens are computed again": case(
        # at 2 both need a ninth block; the second one leaves with 2 tokens and comes back for a prefill of 5
        requests((0, 3, 5), (0, 3, 5), servers=(TIGHT,)),
        [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [1, 2, 0, 5, 6], [1, 3, 0, 6, 8],
            [0, -1, 0, 1, 2], [1, -1, 0, 2, 6],
        ],
        [[8], [8], [6 + 8 + 5 + 6 + 7 + 5 + 6 + 7], [1]],
    ),
    "a preemption of the less important one": case(
        requests((0, 3, 5), (0, 3, 5), servers=(TIGHT,), priority=[1, 0]),
        [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 2], [1, 0, 0, 0, 1], [1, 1, 0, 1, 5], [0, 2, 0, 5, 6], [0, 3, 0, 6, 8],
            [0, -1, 0, 2, 6], [1, -1, 0, 1, 2],
        ],
        victim="priority",
    ),
    "a swap": case(
        # 4 tokens at 1000 tokens a ms are 4 us on the way out, in the iteration from 2 on, and on the way in, from 9 on
        requests((0, 3, 5), (0, 3, 5), servers=(TIGHT,)),
        [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 9], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [1, 2, 0, 9, 9], [1, 3, 0, 9, 16],
            [0, -1, 0, 2, 7], [1, -1, 0, 2, 14],
        ],
        [[8], [16], [6 + 8 + 5 * 5 + 6 + 7 + 5 * 5 + 6 + 7], [1]],
        swap_rate=1000,
    ),
    "a group's prefix": case(
        # 2 blocks of 2 tokens are left for the second one, which computes 2 of its 6
        requests((0, 5, 1), (10, 6, 1), servers=(PREFILL,), group=[3, 3], shared=[4, 4]),
        [[0, 0, 0, 0, 5], [1, 0, 0, 10, 12]],
        [[2], [7], [5 * 3 + 2 * 1], [0]],
    ),
    "a group's prefix, without the cache": case(
        requests((0, 5, 1), (10, 6, 1), servers=(PREFILL,), group=[3, 3], shared=[4, 4]),
        [[0, 0, 0, 0, 5], [1, 0, 0, 10, 16]],
        prefix_cache=False,
    ),
    "a session": case(
        # 6 tokens are kept, 3 blocks; the follow-up comes at 6 + 3 and computes 2 of its 8
        requests((0, 5, 2), (3, 8, 1), servers=(PREFILL,), parent=[-1, 0]),
        [[0, 0, 0, 0, 5], [0, 1, 0, 5, 6], [1, 0, 0, 9, 11], [0, -1, 0, 5, 6]],
        [[3], [8], [5 * 3 + 3 + 2 * 4], [0]],
    ),
    "a session of a group": case(
        # of 6 tokens 4 are the group's, 1 block the session's; both are used
        requests((0, 5, 2), (3, 8, 1), servers=(PREFILL,), parent=[-1, 0], group=[0, 0], shared=[4, 4]),
        [[0, 0, 0, 0, 5], [0, 1, 0, 5, 6], [1, 0, 0, 9, 11], [0, -1, 0, 5, 6]],
        [[3], [8], [5 * 3 + 1 + 2 * 2], [0]],
    ),
    "an entry is evicted for a larger request": case(
        # 5 blocks in all; the second session needs 3 of them, 3 are in the cache: the first one starts anew
        requests(
            (0, 5, 2), (0, 5, 1), (20, 8, 1), servers=(replace(PREFILL, kv_tokens=10),), parent=[-1, -1, 0],
        ),
        [[0, 0, 0, 0, 5], [0, 1, 0, 5, 6], [1, 0, 0, 6, 11], [2, 0, 0, 26, 34], [0, -1, 0, 5, 6]],
    ),
    "a session that lost its group's entry is not kept": case(
        # both compute their prompts, the first one leaves an entry of 1 block, and the third one needs that block;
        # when the second one finishes there is no entry, and its follow-up computes 8 tokens, not 2
        requests(
            (0, 3, 1), (0, 3, 4), (8, 3, 1), (10, 8, 1), servers=(replace(PREFILL, kv_tokens=10),),
            parent=[-1, -1, -1, 1], group=[0, 0, -1, 0], shared=[2, 2, 0, 2],
        ),
        [
            [0, 0, 0, 0, 6], [1, 0, 0, 0, 6], [1, 1, 0, 6, 11], [2, 0, 0, 8, 11], [3, 0, 0, 21, 29],
            [1, -1, 0, 8, 11],
        ],
        [[5], [19], [4 * 6 + 2 + 3 + 5 * 3 + 4 * 8], [0]],
    ),
    "a serial server that preempts": case(
        # the second one arrives in the first iteration; the first one goes on where it was
        requests((0, 9, 5), (4, 2, 1), servers=(replace(EACH, base=10 * US, max_num_seqs=1, preemptive=True),)),
        [
            [0, 0, 0, 0, 10], [0, 1, 0, 10, 10], [1, 0, 0, 10, 20], [0, 2, 0, 20, 20], [0, 3, 0, 20, 60],
            [0, -1, 0, 10, 30],
        ],
        [[6], [60], [10 * (9 + 2 + 10 + 11 + 12 + 13)], [1]],
    ),
    "its last token in a stay of its own": case(
        requests((0, 9, 2), (4, 2, 1), servers=(replace(EACH, base=10 * US, max_num_seqs=1, preemptive=True),)),
        [
            [0, 0, 0, 0, 10], [0, 1, 0, 10, 10], [1, 0, 0, 10, 20], [0, 2, 0, 20, 20], [0, 3, 0, 20, 30],
            [0, -1, 0, 10, 30],
        ],
    ),
    "a follow-up on another server": case(
        requests((0, 5, 2), (3, 8, 2), servers=(PREFILL, PREFILL), parent=[-1, 0]),
        [
            [0, 0, 0, 0, 5], [0, 1, 0, 5, 6], [1, 0, 1, 9, 17], [1, 1, 1, 17, 18],
            [0, -1, 0, 5, 6], [1, -1, 1, 17, 18],
        ],
        [[2, 2], [6, 9], [5 * 3 + 3, 8 * 4 + 5], [0, 0]],
    ),
    "a rejection, and the session goes on": case(
        requests((4, 5, 2), (3, 8, 1), servers=(PREFILL,), parent=[-1, 0]),
        [[1, 0, 0, 7, 15], [0, -2, -1, 4, 4]],
        [[1], [8], [8 * 4], [0]],
    ),
}  # fmt: skip


def totals_of(found) -> list:
    servers = found.servers
    names = ("busy", "block_time", "preemptions")
    return [[len(one.durations) for one in servers], *([getattr(one, name) for one in servers] for name in names)]


@pytest.mark.parametrize("name", CASES)
def test_hand_cases(naive, name):
    instance, conditions, rows, totals = CASES[name]
    played = naive.run(instance, conditions, naive.Follower(Schedule(instance, np.array(rows))), reject=True)
    assert played.entries.tolist() == rows
    assert check(instance, played) == []
    found = replay(instance, Schedule(instance, np.array(rows), conditions))
    assert totals_of(found) == (totals or totals_of(found))
    assert [played.conditions[key] for key in ("iterations", "busy", "block_time", "preemptions")] == totals_of(found)


def test_what_becomes_of_requests_is_kept():
    instance, conditions, rows, _ = CASES["a swap"]
    found = replay(instance, Schedule(instance, np.array(rows), conditions))
    assert [life.finish for life in found.lives] == [9, 16] and [life.emitted for life in found.lives] == [5, 5]
    assert [life.pause for life in found.lives] == [(5, 0, 2, 7), (12, 0, 2, 14)]
    assert [(found.arrival(one), len(found.lives[one].stays)) for one in (0, 1)] == [(0, 1), (0, 2)]
    assert [(stay.admission, stay.prefilled, stay.end, stay.finished) for stay in found.lives[1].stays] == [
        (0, 1, 2, False), (9, 9, 16, True)
    ]  # fmt: skip
    assert found.servers[0].durations == [1, 1, 5, 1, 1, 5, 1, 1]


def test_a_named_profile_takes_the_place_of_every_server():
    instance = requests((0, 3, 2), (0, 5, 1), servers=(EACH, EACH))
    rows = np.array([[0, 0, 0, 0, 10_000], [1, 0, 1, 0, 10_000]])
    found = replay(instance, Schedule(instance, rows, {"profile": "serial"}))
    assert [stay.end for _, stay in found.stays] == [20_000, 10_000]
    large = requests((0, 120_000, 2), servers=(replace(EACH, kv_tokens=200_000),))
    schedule = Schedule(large, np.zeros((0, 5), int), {"profile": "llama-2-7b-h100"})
    with pytest.raises(ScheduleError, match="'profile': a request of 120002 tokens does not fit the 107810 tokens of"):
        replay(large, schedule)


def world_of(naive, cases, number: int):
    rng = np.random.default_rng(number)
    instance, conditions = cases.instance(rng), cases.conditions(rng)
    reject = instance.objective == "miss_rate" and rng.random() < 0.4
    choose = naive.Recorder(naive.at_random(rng, stop=float(rng.choice([0, 0.2, 0.6]))))
    more = {"control": ("admission", "routing")[number % 2], "reject": reject}
    return instance, conditions, choose, more, naive.play(instance, conditions, choose, **more)


@settings(max_examples=1000)
@given(st.integers(0, 2**32))
def test_the_replay_and_the_slow_play_agree(naive, cases, number):
    instance, _, _, _, world = world_of(naive, cases, number)
    found = replay(instance, world.schedule())
    assert list(found.claim.violations()) == []
    for request, life in enumerate(found.lives):
        assert life.emitted == len(world.tokens[request]) and life.finish == world.finished.get(request)
        if request in world.arrived:
            assert found.arrival(request) == world.arrived[request]
    for server, other in zip(found.servers, world.servers, strict=True):
        entries = {key: len(entry.blocks) for key, entry in other.cache.items()}
        assert server.cache.blocks == sum(entries.values()) and server.cache.pinned == 0
        for (kind, number), blocks in entries.items():
            count = server.cache.group_blocks if kind == "group" else server.cache.session_blocks
            assert count(number) == blocks


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_recorded_answers_and_rows_lead_to_the_same_schedule(naive, cases, number):
    instance, conditions, choose, more, world = world_of(naive, cases, number)
    schedule = world.schedule()
    for again in (naive.Player(choose.answers), naive.Follower(schedule)):
        other = naive.run(instance, conditions, again, **more)
        assert other.entries.tolist() == schedule.entries.tolist() and other.conditions == schedule.conditions


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_a_player_of_one_queue_is_found_to_be_right(plain_play, cases, number):
    rng = np.random.default_rng(number)
    instance = cases.instance(rng)
    instance = replace(instance, servers=tuple(replace(one, preemptive=False) for one in instance.servers))
    watermark = int(rng.choice([0, 1, 30]))
    assert check(instance, plain_play.Play(instance, watermark=watermark).schedule()) == []
