"""Actual times and shutdowns follow their definition."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core import rng
from dispatchgym.envs.core.noise import exponential_table, table
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.world import Shutdowns, actual_times, mean_processing_time

engine_bits = twin(rng.random_bits)
KEY = (3, 4, 5)


def test_the_unit_is_the_mean_processing_time_rounded_down():
    shop = JobShopInstance("a", 2, np.array([[5, 6], [7, 0]]), np.array([[0, 1], [1, -1]]))
    assert mean_processing_time(shop) == 6
    assert mean_processing_time(JobShopInstance("b", 1, np.array([[0]]), np.array([[0]]))) == 1


def test_actual_times_by_hand():
    shop = JobShopInstance("a", 2, np.array([[50, 0], [7, 0]]), np.array([[0, 1], [1, -1]]))
    found = actual_times(shop, "gamma", 0.5, *KEY)
    with np.errstate(over="ignore"):
        for job, step in ((0, 0), (1, 0)):
            factor = int(table("gamma", 0.5)[engine_bits(*KEY, job * 2 + step) >> 19])
            assert found[job, step] == max((int(shop.duration[job, step]) * factor + 32768) >> 16, 1)
    assert found[0, 1] == found[1, 1] == 0
    assert (actual_times(shop, "none", 0.0, *KEY) == shop.duration).all()


def test_windows_by_hand():
    found, now = Shutdowns(70_000, 900, 2, *KEY), 0
    with np.errstate(over="ignore"):
        stream = engine_bits(*KEY, -3)
        for q in range(50):
            spans = []
            for step, mean in ((2 * q, 70_000), (2 * q + 1, 900)):
                share = int(exponential_table()[engine_bits(stream, 0x73687574, 0, step) >> 19])
                spans.append(max(1, (mean * share + 3276800) // 6553600))
            assert found.window(q) == (now + spans[0], now + sum(spans))
            now += sum(spans)


def test_spans_have_their_means():
    windows = [Shutdowns(100_000, 20_000, k, 1, 2, 3).window(999) for k in range(20)]
    assert abs(np.mean([end for _, end in windows]) / (1000 * 1200) - 1) < 0.03


@settings(max_examples=40)
@given(st.integers(0, 999), st.integers(0, 200), st.integers(0, 300), st.booleans())
def test_pieces_avoid_shutdowns(seed, start, length, restart):
    machine = Shutdowns(60_000 if restart else 3_000, 1_500, 0, seed, 0, 0)
    down = {t for q in range(300) for t in range(*machine.window(q))}
    while start in down:
        start += 1
    pieces = machine.pieces(start, length, restart)
    assert pieces[0][0] == start and pieces == sorted(pieces)
    for (_, end), (begin, _) in zip(pieces, pieces[1:], strict=False):
        assert set(range(end, begin)) <= down and begin not in down and end < begin
    lengths = [end - begin for begin, end in pieces]
    assert not down & {t for begin, end in pieces for t in range(begin, end)}
    assert (lengths[-1] == length and max(lengths) == length) if restart else sum(lengths) == length
    assert all(lengths) or length == 0
