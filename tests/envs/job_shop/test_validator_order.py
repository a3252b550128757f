"""Whether moves of one moment have an order agrees with trying all of them."""

from itertools import permutations

import numpy as np

from dispatchgym.envs.job_shop.validator_order import OUTSIDE, Mover, _some_order, _stuck


def some_order_of(movers: list[Mover], cycles: bool) -> bool:
    """Try every order of moves; where cycles may move as one, every way to cut it into groups."""
    moves = [k for k, mover in enumerate(movers) for _ in mover.route]

    def plays(order) -> bool:
        at, rest = {k: mover.origin for k, mover in enumerate(movers)}, [list(mover.route) for mover in movers]
        order = list(order)

        def group(first: int, size: int) -> bool:
            jobs = order[first : first + size]
            targets = [rest[k][0] for k in jobs]
            if len(set(jobs)) < size or (size > 1 and sorted(targets) != sorted(at[k] for k in jobs)):
                return False
            if size > 1 and (OUTSIDE in targets or any(targets[i] != at[jobs[(i + 1) % size]] for i in range(size))):
                return False
            return size > 1 or all(at[j] != targets[0] or j == jobs[0] or targets[0] == OUTSIDE for j in at)

        def go(first: int) -> bool:
            if first == len(order):
                return True
            for size in range(1, len(order) - first + 1 if cycles else 2):
                if group(first, size):
                    jobs = order[first : first + size]
                    before = [at[k] for k in jobs]
                    for k in jobs:
                        at[k] = rest[k].pop(0)
                    if go(first + size):
                        return True
                    for k, place in zip(jobs, before, strict=True):
                        rest[k].insert(0, at[k])
                        at[k] = place
            return False

        return go(0)

    return any(plays(order) for order in set(permutations(moves)))


def random_movers(rng: np.random.Generator, passing: bool) -> list[Mover]:
    count, machines = int(rng.integers(2, 5 - passing)), 4
    origins = rng.permutation([*range(machines), *[OUTSIDE] * 2])[:count].tolist()
    ends = rng.permutation([*range(machines), *[OUTSIDE] * passing])[:count].tolist()
    movers = []
    for k in range(count):
        through = rng.integers(0, machines, rng.integers(0, 3) if passing else 0).tolist()
        movers.append(Mover(k, origins[k], [*through, ends[k]]))
    return movers


def test_all_orders_agree():
    rng = np.random.default_rng(11)
    answers = []
    for turn in range(400):
        movers = random_movers(rng, passing=turn % 2 == 0)
        if sum(len(mover.route) for mover in movers) > 6:
            continue
        for cycles in (False, True):
            expected = some_order_of(movers, cycles)
            assert _some_order(movers, cycles) == expected
            assert (not _stuck(movers, turn % 2 == 0, cycles)) == expected
            answers.append(expected)
    assert 50 < sum(answers) < len(answers) - 50


def test_only_jobs_of_cycles_are_named():
    movers = [Mover(0, 1, [2]), Mover(3, 2, [1]), Mover(5, OUTSIDE, [0]), Mover(7, 0, [4]), Mover(9, 3, [3])]
    assert _stuck(movers, passing=False, cycles=False) == [0, 3]
    assert _stuck(movers, passing=False, cycles=True) == []
