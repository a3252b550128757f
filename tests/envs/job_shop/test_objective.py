"""Objectives are read, spelt in one way, and are what their names say of completion times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.baselines.cp_sat import lower_bound
from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import (
    MAX_COEFFICIENT,
    MEASURES,
    cost,
    costs_of,
    makespan_bound,
    name_of,
    parse_objective,
    scale,
)
from dispatchgym.instances.catalogue import load_many

mixes = st.dictionaries(st.sampled_from(MEASURES), st.integers(1, MAX_COEFFICIENT), min_size=1)


@given(mixes, st.randoms())
def test_a_mix_has_one_spelling(terms, random):
    parts = [f" {coefficient}  {name.upper()} " for name, coefficient in terms.items()]
    random.shuffle(parts)
    found = parse_objective("+".join(parts))
    assert found == terms and list(found) == [name for name in MEASURES if name in terms]
    assert parse_objective(name_of(found)) == found and name_of(parse_objective(name_of(found))) == name_of(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found ''"),
        ("makespan +", "plus signs"),
        ("makespan total_tardiness", "plus signs"),
        ("-1 makespan", "plus signs"),
        ("1.5 makespan", "plus signs"),
        ("0 makespan", "coefficient of makespan must be from 1"),
        (f"{MAX_COEFFICIENT + 1} makespan", "coefficient of makespan"),
        ("makespan + 2 makespan", "twice"),
        (7, "an objective is a text"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        parse_objective(text)


def test_unknown_measures_list_the_known_ones():
    with pytest.raises(UnknownNameError, match="total_tardiness") as caught:
        parse_objective("tardiness")
    assert set(caught.value.known) == set(MEASURES)


def by_definition(instance, completion: list[int]) -> int:
    """The objective of completion times, job by job."""
    value = {"makespan": max(completion)}
    rows = list(
        zip(completion, instance.release.tolist(), instance.due.tolist(), instance.weight.tolist(), strict=True)
    )
    value["total_flow_time"] = sum(c - r for c, r, _, _ in rows)
    value["total_weighted_flow_time"] = sum(w * (c - r) for c, r, _, w in rows)
    value["total_tardiness"] = sum(max(c - d, 0) for c, _, d, _ in rows)
    value["total_weighted_tardiness"] = sum(w * max(c - d, 0) for c, _, d, w in rows)
    value["max_lateness"] = max(c - d for c, _, d, _ in rows)
    value["number_tardy"] = sum(c > d for c, _, d, _ in rows)
    value["weighted_number_tardy"] = sum(w for c, _, d, w in rows if c > d)
    return sum(coefficient * value[name] for name, coefficient in parse_objective(instance.objective).items())


@given(st.integers(0, 2**32 - 1))
def test_costs_of_completion_times_are_those_of_the_definitions(random_shop, dated, seed):
    rng = np.random.default_rng(seed)
    shop = dated(random_shop(rng), rng)
    completion = rng.integers(0, 60, shop.jobs)
    assert cost(shop, completion) == by_definition(shop, completion.tolist())
    worst = [int(shop.release.max()) + shop.total_work] * shop.jobs
    assert shop.worst_cost == by_definition(shop, worst)


def test_coefficients_by_hand():
    shop = JobShopInstance(
        "hand", 1, [[3], [4]], [[0], [0]], due=[5, 6], weight=[2, 7],
        objective="2 makespan + 3 total_flow_time + total_weighted_tardiness + 5 number_tardy + weighted_number_tardy",
    )  # fmt: skip
    found = costs_of(shop)
    assert (found.makespan, found.lateness) == (2, 0)
    assert [array.tolist() for array in found[2:]] == [[3, 3], [2, 7], [7, 12]]
    # 7 long: makespan 2, flow times 6, tardiness 9 for each unit of time, and 19 if both are late
    assert scale(shop) == shop.scale == (2 + 6 + 9) * 7 + 19


def test_the_bound_of_the_makespan_is_that_of_taillard(random_shop):
    rng = np.random.default_rng(0)
    for instance in [random_shop(rng, shortest=1) for _ in range(50)] + load_many(["ft", "la", "ta01-20"]):
        assert makespan_bound(instance) == lower_bound(instance) == instance.scale
