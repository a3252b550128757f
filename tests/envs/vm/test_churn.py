"""Churn: who leaves and arrives, when, and that the load stays about the same."""

import numpy as np
import pytest

from dispatchgym.envs.vm import churn
from dispatchgym.envs.vm.fields import NEVER
from dispatchgym.envs.vm.generator import HORIZON, preset_instance


def first(vms=1000):
    """A cluster whose VMs can be told apart by their memory."""
    return {
        "node_cores": np.full((50, 2), 44),
        "cores": np.full(vms, 2),
        "memory": np.arange(vms),
        "numas": np.ones(vms, int),
        "node": np.arange(vms) % 100,
    }


def test_rates():
    rng = np.random.default_rng(0)
    drawn = churn.draw_churn(first(), 100, 600_000, rng)
    arrival, departure, node = drawn["arrival"], drawn["departure"], drawn["node"]
    late = arrival > 0
    assert late.sum() == len(arrival) - 1000 == pytest.approx(1000, abs=130)  # 4 standard deviations
    # of the first ones a share of 1 - 1/e leaves in ten minutes, in which as many arrive as there are
    assert (departure[~late] <= 600_000).sum() == pytest.approx(632, abs=65)
    assert (departure[~late] <= 60_000).sum() == pytest.approx(95, abs=40)
    gone = departure != NEVER
    assert (departure > arrival).all() and departure[gone].max() <= 600_000 and arrival.max() < 600_000
    assert (np.diff(arrival[late]) >= 0).all()
    assert (node[late] == -1).all() and (node[~late] == first()["node"]).all()
    assert drawn["memory"][:1000].tolist() == list(range(1000))
    copies = drawn["memory"][late]
    assert len(set(copies.tolist())) > 500 and abs(copies.mean() - 500) < 45  # copies of all of the first ones
    assert set(drawn) == {"node_cores", "cores", "memory", "numas", "node", "arrival", "departure"}


def test_later_ones_live_as_long():
    drawn = churn.draw_churn(first(), 2000, 600_000, np.random.default_rng(1))
    late = drawn["arrival"] > 0
    early = late & (drawn["arrival"] < 300_000)  # a mean life is 30 s, so nearly all of these leave in time
    life = (drawn["departure"] - drawn["arrival"])[early & (drawn["departure"] != NEVER)]
    assert len(life) > 9000 and life.mean() == pytest.approx(30_000, rel=0.05)


def test_a_process_that_needs_more_than_was_drawn_first():
    class Short:
        """Gaps that are far shorter than expected."""

        def exponential(self, gap, count):
            return np.full(count, gap / 4)

    assert churn._poisson(40.0, 400, Short()).tolist() == list(range(10, 400, 10))


def test_the_process_has_no_memory_of_its_blocks():
    times = churn._poisson(10.0, 10**6, np.random.default_rng(2))
    assert len(times) == pytest.approx(100_000, abs=1300) and times.min() >= 1 and times.max() < 10**6
    counts = np.bincount(times // 1000, minlength=1000)
    assert counts.var() == pytest.approx(100, rel=0.2)  # as of a Poisson distribution


def test_presets():
    counts = [preset_instance("churn-50-20", seed) for seed in range(5)]
    for instance in counts:
        assert instance.dynamic and instance.horizon == HORIZON == 600_000 and instance.hosts == 50
    arrivals = np.mean([(instance.arrival > 0).sum() for instance in counts])
    assert arrivals == pytest.approx(200, abs=26)
    left = np.mean([((instance.departure != NEVER) & (instance.arrival == 0)).sum() for instance in counts])
    assert left == pytest.approx(160, abs=30)  # 20 a minute at first, fewer as they become fewer
