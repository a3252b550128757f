"""Setup times: what they must be, and what they add to the bound of the makespan."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.job_shop.instance import MAX_TIME, JobShopInstance
from dispatchgym.envs.job_shop.objective import makespan_bound
from dispatchgym.envs.job_shop.setups import keeps_triangle, least_setups, setup_times

PAIR = JobShopInstance("pair", 1, [[3], [4]], [[0], [0]])
TABLE = np.array([[[1, 2], [0, 5], [6, 0]]])


def test_setup_times_between_jobs_by_hand():
    shop = replace(PAIR, setup=TABLE)
    assert shop.setup_family.tolist() == [0, 1] and shop.limited and not PAIR.limited
    assert setup_times(shop, 0) == [[1, 2], [0, 5], [6, 0]]
    assert setup_times(PAIR, 0) == [[0, 0]] * 3
    alike = replace(PAIR, setup=TABLE[:, :2, :1], setup_family=[0, 0])
    assert setup_times(alike, 0) == [[1, 1], [0, 0], [0, 0]]
    assert least_setups(shop).tolist() == [[0, 0]]
    # all work, and the longest setup before each of the two
    assert (shop.latest_end, PAIR.latest_end, alike.latest_end) == (7 + 12, 7, 7 + 2)


def test_no_setup_times_are_none_at_all():
    shop = replace(PAIR, setup=TABLE * 0)
    assert shop.setup is None and shop.setup_family is None and shop.digest == PAIR.digest
    assert replace(PAIR, windows=[[]]).digest == PAIR.digest
    assert len({PAIR.digest, replace(PAIR, setup=TABLE).digest, replace(PAIR, windows=[[(1, 2)]]).digest}) == 3


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"setup": TABLE[0]}, "3 dimensions"),
        ({"setup": TABLE.astype(float)}, "integers"),
        ({"setup": TABLE[:, :2]}, r"\(machines, families \+ 1, families\), got \(1, 2, 2\)"),
        ({"setup": np.concatenate([TABLE, TABLE])}, "for 1 machines"),
        ({"setup": TABLE, "setup_family": [0]}, r"a family for each of the 2 jobs, got shape \(1,\)"),
        (
            {"setup": TABLE, "setup_family": [0, 2]},
            "job 1: setup_family 2 is not one of the families 0 to 1|2 families",
        ),
        ({"setup": TABLE, "setup_family": [0, -1]}, "2 families, but the last one with a job is 0|job 1"),
        ({"setup": TABLE, "setup_family": [0, 0]}, "2 families, but the last one with a job is 0"),
        ({"setup_family": [0, 0]}, "says nothing without setup"),
        ({"setup": -TABLE}, "machine 0: setup -1 from the initial state to family 0"),
        ({"setup": TABLE * [[[1, 1], [1, MAX_TIME], [1, 1]]]}, "from family 0 to family 1"),
        ({"setup": TABLE * (MAX_TIME // 8)}, "setups and the latest release or window sum to"),
        ({"setup": TABLE, "duration": [[3], [0]]}, "job 1, operation 0: with setup times a duration is at least 1"),
    ],
)
def test_nonsense_is_refused(changes, words):
    with pytest.raises(InstanceError, match=f"pair: .*({words})"):
        replace(PAIR, **changes)


def test_the_triangle_inequality_is_that_between_all_operations(random_shop, limited):
    rng, found = np.random.default_rng(0), set()
    for turn in range(100):
        shop = limited(random_shop(rng, general=turn % 2 == 0, shortest=1), rng, windows=False)
        if shop.setup is None:
            continue
        holds = True
        for k in range(shop.machines):
            table, here = setup_times(shop, k), np.argwhere(shop.machine == k).tolist()
            for j, o in here:
                for row in table:
                    for other, _ in here:
                        holds &= row[other] <= row[j] + int(shop.duration[j, o]) + table[1 + j][other]
        assert holds or not keeps_triangle(shop)
        if turn % 2:  # every family is on every machine
            assert keeps_triangle(shop) == holds
        found.add(keeps_triangle(shop))
    assert found == {True, False}


@pytest.mark.parametrize("setups, windows", [(True, False), (False, True), (True, True)])
def test_the_bound_is_one(random_shop, limited, limited_shop, setups, windows):
    rng, tight = np.random.default_rng(1), 0
    for k in range(40):
        plain = random_shop(rng, general=k % 2 == 0, shortest=1)
        if plain.operations.sum() > 7:
            continue
        shop = limited(plain, rng, setups, windows)
        best = limited_shop(shop).best()
        assert makespan_bound(plain) <= makespan_bound(shop) <= best <= shop.latest_end
        tight += makespan_bound(shop) == best > makespan_bound(plain)
    assert tight >= 3
