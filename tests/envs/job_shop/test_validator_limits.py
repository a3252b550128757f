"""Setup times and windows are judged: feasible schedules pass, and each broken one names its rule."""

import re

import numpy as np
import pytest

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.validator import check, metrics

WORK, STEP, MACHINE, START, END = range(5)
HAND = JobShopInstance(
    "hand", 2, [[2, 3], [4, 0]], [[0, 1], [0, -1]], setup=[[[1, 2], [0, 5], [6, 0]], [[0, 0], [0, 0], [0, 0]]],
    windows=[[], [(10, 12)]],
)  # fmt: skip


def rules(shop, rows) -> set[str]:
    return {violation.rule for violation in check(shop, Schedule(shop, np.array(rows)))}


def random_schedule(shop, plain, rng) -> np.ndarray:
    """Operations appended in a random order, some later than need be."""
    while plain.unfinished():
        job = int(rng.choice(plain.unfinished()))
        plain.append(job, plain.start(job) + int(rng.random() < 0.2))
    return rng.permutation(np.array(plain.rows))


def earlier(rows, shop, rng):
    """Something that waited for a setup begins one time unit too early."""
    row = int(rng.integers(len(rows)))
    rows[row, START:] -= 1
    return rows


def into_window(rows, shop, rng):
    """An operation runs in a window of its machine."""
    row = int(rng.integers(len(rows)))
    windows = shop.windows[rows[row, MACHINE]].tolist()
    begin, end = windows[int(rng.integers(len(windows)))]
    length = rows[row, END] - rows[row, START]
    rows[row, START] = max(rng.integers(begin - length + 1, end), 0) if end > 0 else 10**6
    rows[row, END] = rows[row, START] + length
    return rows


def broken(shop, rows) -> set[str]:
    """Which of the two rules a schedule breaks, counted one pair and one time unit after the other."""
    found = set()
    for machine in range(shop.machines):
        here = sorted(rows[rows[:, MACHINE] == machine].tolist(), key=lambda r: (r[START], r[END]))
        for k, row in enumerate(here):
            family, free, before = shop.setup_family, 0, 0
            if k:
                free, before = here[k - 1][END], 1 + family[here[k - 1][WORK]]
            if free <= row[START] < free + shop.setup[machine, before, family[row[WORK]]]:
                found.add("setup")
            for begin, end in shop.windows[machine].tolist():
                if set(range(row[START], row[END])) & set(range(begin, max(end, 0))):
                    found.add("window")
    return found


def test_every_feasible_schedule_passes_and_every_broken_one_is_named(random_shop, limited, limited_shop):
    rng, seen = np.random.default_rng(0), {"setup": 0, "window": 0}
    for turn in range(150):
        shop = limited(random_shop(rng, general=turn % 2 == 0, shortest=1), rng)
        if shop.setup is None or shop.windows is None:
            continue
        rows = random_schedule(shop, limited_shop(shop), rng)
        assert rules(shop, rows) == set()
        for _ in range(5):
            for mutate in (earlier, into_window):
                mutant = mutate(rows.copy(), shop, rng)
                expected = broken(shop, mutant)
                assert rules(shop, mutant) & {"setup", "window"} == expected
                for rule in expected:
                    seen[rule] += 1
    assert min(seen.values()) > 50


@pytest.mark.parametrize(
    "rows, words",
    [
        ([[0, 0, 0, 0, 2], [0, 1, 1, 2, 5], [1, 0, 0, 7, 11]], "starts on machine 0 at 0, 0 after time 0.*takes 1"),
        ([[0, 0, 0, 1, 3], [0, 1, 1, 3, 6], [1, 0, 0, 7, 11]], "at 7, 4 after operation 0 of job 0 ends at 3.*takes 5"),
        ([[0, 0, 0, 1, 3], [0, 1, 1, 8, 11], [1, 0, 0, 8, 12]], "from 8 to 11, which is closed from 10 to 12"),
    ],
)
def test_violations_in_words(rows, words):
    (violation,) = check(HAND, Schedule(HAND, np.array(rows)))
    assert re.search(words, violation.message)


def test_a_feasible_schedule_by_hand():
    rows = [[0, 0, 0, 1, 3], [0, 1, 1, 12, 15], [1, 0, 0, 8, 12]]
    assert rules(HAND, rows) == set()
    assert metrics(HAND, Schedule(HAND, np.array(rows)))["total_setup_time"] == 1 + 5
    # strangers break other rules, and nothing here
    strange = [*rows, [-1, 0, 0, 0, 2**62], [9, 9, 7, -5, 3], [0, 5, 1, 30, 29]]
    assert not rules(HAND, strange) & {"setup"}
    assert metrics(HAND, Schedule(HAND, np.zeros((0, 5), np.int64)))["total_setup_time"] == 0
