"""The arithmetic of the benchmark of single machine rules, on instances small enough to be solved at once."""

import numpy as np
import pytest

import dispatchgym
from dispatchgym.baselines.single_machine import solve_single_machine
from dispatchgym.instances.catalogue import load_many


@pytest.fixture(scope="module")
def benchmark(script):
    """The module of the command."""
    return script("single_machine_rules")


def test_a_row_is_what_it_says(benchmark):
    shops = load_many("single-6:0-19")
    best = np.array([solve_single_machine(shop).objective for shop in shops])
    assert (best == 0).any() and (best > 0).any()
    rows = {row[0]: row[1:] for row in benchmark.rows(shops, best, published=True)}
    assert list(rows) == list(benchmark.RULES)
    for rule in ("edd", "mddc"):
        found = [dispatchgym.solve(shop, rule).metrics()["total_tardiness"] for shop in shops]
        percent = [100 * (value / least - 1) for value, least in zip(found, best.tolist(), strict=True) if least]
        points = [100 * (value - least) / s.scale for value, least, s in zip(found, best.tolist(), shops, strict=True)]
        optimal = sum(value == least for value, least in zip(found, best.tolist(), strict=True))
        assert float(rows[rule][0]) == pytest.approx(np.mean(percent), abs=0.006)
        assert rows[rule][1] == f"{benchmark.PUBLISHED[rule]:.2f}"
        assert float(rows[rule][2]) == pytest.approx(np.mean(points), abs=0.0006)
        assert rows[rule][3] == f"{optimal / 20:.0%}"


def test_published_figures_stand_beside_the_published_design_alone(benchmark):
    text = benchmark.table(5, 20)
    assert "published" not in text and "| edd |" in text and "`single-5:0-19`: 20 instances of 5 jobs" in text
