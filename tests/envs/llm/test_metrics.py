"""Figures of schedules, by hand and by their definitions over what the slow play saw."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm.conditions import TOTALS
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.metrics import metrics
from dispatchgym.envs.llm.profiles import Profile

S = 10**6  # us
SECOND = Profile(10**15, kv_tokens=40, block_size=4, max_num_seqs=4, token_budget=20)
CLOSE = {"rel_tol": 1e-12, "abs_tol": 1e-12}


def figures(instance, rows, **conditions) -> dict:
    return metrics(instance, Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions))


def requests(*rows, servers=(SECOND,), **more) -> LLMInstance:
    """Requests as (arrival, prompt, output)."""
    return LLMInstance("hand", servers, *np.array(rows, dtype=int).T, **more)


TWO = requests((0, 3, 2), (0, 5, 1))
ROWS = [[0, 0, 0, 0, S], [0, 1, 0, S, 2 * S], [1, 0, 0, 0, S], [0, -1, 0, S, 2 * S]]


def test_two_requests_by_hand():
    totals = {"iterations": [2], "busy": [2 * S], "block_time": [3 * S + S], "preemptions": [0]}
    assert figures(TWO, ROWS, **totals) == {
        "ttft_mean": 1.0, "ttft_p50": 1.0, "ttft_p90": 1.0, "ttft_p99": 1.0,
        "e2e_mean": 1.5, "e2e_p50": 1.5, "e2e_p90": 1.9, "e2e_p99": 1.99,
        "tbt_mean": 1.0, "tbt_p50": 1.0, "tbt_p90": 1.0, "tbt_p99": 1.0,
        "goodput": 1.0, "miss_rate": 0.0, "flow_time_total": 3.0, "makespan": 2.0,
        "throughput": 1.0, "token_throughput": 1.5, "preemptions": 0, "iterations": 2, "rejected": 0,
        "kv_utilisation": 4 / (10 * 2), "jain": 1.0,
    }  # fmt: skip


def test_nothing_has_plain_figures():
    found = figures(TWO, [])
    assert found.pop("miss_rate") == 1.0 and set(found.values()) == {0}


@pytest.mark.parametrize(
    ("targets", "good"),
    [
        ({"ttft_target": [S, S]}, [1, 1]),
        ({"ttft_target": [S, S - 1]}, [1, 0]),
        ({"e2e_target": [2 * S, S]}, [1, 1]),
        ({"e2e_target": [2 * S - 1, 0]}, [0, 1]),
        ({"tbt_target": [S, 1]}, [1, 1]),  # who has one token has no pause
        ({"tbt_target": [S - 1, 1]}, [0, 1]),
        ({"ttft_target": [1, 0], "tbt_target": [1, 0], "e2e_target": [1, 1]}, [0, 0]),
    ],
)
def test_who_keeps_every_target_is_good(targets, good):
    found = figures(replace(TWO, **targets, priority=[1, 0]), ROWS)
    assert found["goodput"] == sum(good) / 2 and found["miss_rate"] == 1 - sum(good) / 2
    assert [found[f"goodput_class_{one}"] for one in (0, 1)] == good[::-1]


def test_classes_are_named_where_there_are_several():
    assert not any("class" in name for name in figures(replace(TWO, priority=[7, 7]), ROWS))
    assert {"goodput_class_2", "goodput_class_7"} <= set(figures(replace(TWO, priority=[7, 2]), ROWS))


@pytest.mark.parametrize(
    ("rows", "ttft", "e2e"),
    [
        ([[0, 0, 0, 3, 5], [0, 1, 0, 5, 9]], 4, 8),
        ([[0, 0, 0, 3, 5], [0, 1, 0, 5, 6], [0, 2, 0, 8, 9], [0, 3, 0, 9, 12]], 4, 11),
        ([[0, 0, 0, 3, 5], [0, 2, 0, 6, 8], [0, 3, 0, 8, 9]], 7, 8),  # preempted before its first token
        ([[0, 0, 0, 3, 5], [0, 1, 0, 5, 6], [0, 2, 0, 8, 12]], 4, 11),  # computed again for its last token
        ([[0, 0, 0, 3, 5], [0, 1, 0, 5, 5], [0, 2, 0, 8, 8], [0, 3, 0, 8, 12]], 4, 11),
    ],
)
def test_tokens_are_read_off_stays(rows, ttft, e2e):
    found = figures(requests((1, 3, 4)), rows)
    assert math.isclose(found["ttft_mean"], ttft / S, **CLOSE) and math.isclose(found["e2e_mean"], e2e / S, **CLOSE)
    shuffled = figures(requests((1, 3, 4)), rows[::-1])
    assert shuffled == found


def test_a_prefill_alone_ends_a_request_of_one_token():
    assert figures(requests((1, 3, 1)), [[0, 0, 0, 3, 5]])["ttft_mean"] == 4 / S
    assert figures(requests((1, 3, 1)), [[0, 0, 0, 3, 5], [0, 2, 0, 7, 9]])["ttft_mean"] == 8 / S
    found = figures(requests((1, 3, 2)), [[0, 0, 0, 3, 5]])  # of two tokens there would be another row
    assert found["goodput"] == 0 and found["makespan"] == 0


def test_a_follow_up_arrives_after_its_parent_is_done():
    chain = requests((0, 3, 1), (S, 6, 1), (2 * S, 9, 1), parent=[-1, 0, 1])
    rows = [[0, 0, 0, 0, S], [1, 0, 0, 2 * S, 4 * S], [2, 0, 0, 7 * S, 8 * S]]
    found = figures(chain, rows)
    assert found["flow_time_total"] == 1 + 2 + 2 and found["e2e_mean"] == 5 / 3
    rejected = figures(chain, [rows[0], rows[2], [1, -2, -1, 3 * S, 3 * S]])
    assert rejected["flow_time_total"] == 1 + 3 and rejected["rejected"] == 1 and rejected["goodput"] == 2 / 3
    lost = figures(chain, [rows[0], rows[2]])  # without the second one the third one never arrives
    assert lost["flow_time_total"] == 1 and lost["makespan"] == 1 and lost["goodput"] == 1 / 3


def test_who_is_rejected_has_missed():
    found = figures(TWO, [*ROWS, [1, -2, -1, 5, 5]])
    assert (found["rejected"], found["miss_rate"], found["e2e_mean"]) == (1, 0.5, 2.0)


def test_clients_are_served_alike_or_not():
    three = requests((0, 3, 1), (0, 3, 1), (0, 7, 1), client=[0, 4, 4])
    one, two, third = ([[q, 0, 0, 0, S]] for q in range(3))
    assert figures(three, one + two + third)["jain"] == 1.0
    assert figures(three, one)["jain"] == 0.5
    share = 4 / 12
    assert math.isclose(figures(three, one + two)["jain"], (1 + share) ** 2 / (2 * (1 + share**2)), **CLOSE)
    assert figures(three, [])["jain"] == 0.0


def test_memory_is_that_of_the_servers_of_the_world():
    servers = (SECOND, replace(SECOND, kv_tokens=80))
    found = figures(requests((0, 3, 2), (0, 5, 1), servers=servers), ROWS, block_time=[3 * S, 6 * S])
    assert found["kv_utilisation"] == 9 / (30 * 2)
    named = figures(TWO, ROWS, block_time=[3 * S], profile="serial")
    assert math.isclose(named["kv_utilisation"], 3 / (2**21 // 16 * 2), **CLOSE)


def expected(instance, world) -> dict:
    """The figures by their definitions, from what the slow play saw."""
    done = sorted(world.finished)
    times = {"ttft": [], "e2e": [], "tbt": []}
    good = [0] * instance.requests
    for q in done:
        tokens = [time for time, _ in world.tokens[q]]
        pauses = [b - a for a, b in zip(tokens, tokens[1:], strict=False)]
        first, last, pause = tokens[0] - world.arrived[q], tokens[-1] - world.arrived[q], max(pauses, default=0)
        times["ttft"].append(first)
        times["e2e"].append(last)
        times["tbt"] += [pause] if pauses else []
        limits = (instance.ttft_target[q], instance.e2e_target[q], instance.tbt_target[q])
        good[q] = all(limit == 0 or time <= limit for time, limit in zip((first, last, pause), limits, strict=True))
    makespan = max(world.finished.values(), default=0) / S
    totals = {name: sum(server.totals[name] for server in world.servers) for name in TOTALS}
    blocks = sum(server.count for server in world.servers)
    size = [int(instance.prompt[q] + instance.output[q]) for q in range(instance.requests)]
    shares = []
    for client in set(instance.client.tolist()):
        mine = [q for q in range(instance.requests) if instance.client[q] == client]
        shares.append(sum(size[q] for q in mine if q in world.finished) / sum(size[q] for q in mine))
    found = {
        "goodput": sum(good) / len(good), "miss_rate": 1 - sum(good) / len(good), "makespan": makespan,
        "flow_time_total": sum(times["e2e"]) / S, "rejected": len(world.rejected),
        "throughput": len(done) / makespan if makespan else 0,
        "token_throughput": sum(len(world.tokens[q]) for q in done) / makespan if makespan else 0,
        "preemptions": totals["preemptions"], "iterations": totals["iterations"],
        "kv_utilisation": totals["block_time"] / S / (blocks * makespan) if makespan else 0,
        "jain": sum(shares) ** 2 / (len(shares) * sum(one**2 for one in shares)) if any(shares) else 0,
    }  # fmt: skip
    for name, values in times.items():
        found[f"{name}_mean"] = sum(values) / max(len(values), 1) / S
        for percent in (50, 90, 99):
            found[f"{name}_p{percent}"] = np.percentile(values or [0], percent) / S
    classes = set(instance.priority.tolist())
    for one in classes if len(classes) > 1 else ():
        mine = [good[q] for q in range(instance.requests) if instance.priority[q] == one]
        found[f"goodput_class_{one}"] = sum(mine) / len(mine)
    return found


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_figures_follow_their_definitions(naive, cases, number):
    rng = np.random.default_rng(number)
    instance = cases.instance(rng)
    reject = instance.objective == "miss_rate" and rng.random() < 0.5
    world = naive.play(instance, cases.conditions(rng), naive.at_random(rng, reject=0.2), reject=reject)
    found, true = metrics(instance, world.schedule()), expected(instance, world)
    assert set(found) == set(true) and instance.objective in found
    for name, value in true.items():
        assert math.isclose(found[name], value, **CLOSE), name
    assert {type(value) for value in found.values()} <= {int, float}


@settings(max_examples=200)
@given(data=st.data())
def test_nonsense_has_finite_figures(naive, cases, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance, options = cases.instance(rng), cases.conditions(rng)
    number = st.one_of(st.integers(-3, 8), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63)]))
    small = st.one_of(st.integers(-2, 8), number)
    rows = data.draw(st.lists(st.tuples(small, small, small, number, number), max_size=12))
    options |= {name: data.draw(st.lists(st.integers(0, 2**63 - 1), max_size=3)) for name in TOTALS}
    found = figures(instance, rows, **options)
    assert instance.objective in found and all(math.isfinite(value) for value in found.values())
