"""What policies are told of the future: exact where nothing else happens, and peaks of the memory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.llm import simulator_estimate
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile

seeds = st.integers(0, 2**32 - 1)
US = 10**9  # fs


def begin(instance, **options) -> Simulation:
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1, observe=False)
    simulation.reset()
    return simulation


def column(simulation, name, action=0) -> int:
    return int(simulation.columns[name][0, action])


@settings(max_examples=60)
@given(seeds)
def test_times_of_a_request_alone_are_true(seed):
    """But for the rounding of each iteration, and for what its own answer adds to what is read."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 50 * US, 7).tolist()
    size, prompt, output = int(rng.choice([1, 16])), int(rng.integers(1, 300)), int(rng.integers(1, 40))
    server = Profile(
        numbers[0] + 500 * US, *(numbers[1:4]), 0, *numbers[5:], knee=int(rng.integers(1, 65)), kv_tokens=400 * size,
        block_size=size, max_num_seqs=4, token_budget=64,
    )  # fmt: skip
    if rng.random() < 0.5:
        server = Profile(**{**vars(server), "token": 0, "beyond": 0})
    instance = LLMInstance("alone", (server,) * 2, [7], [prompt], [output])
    simulation = begin(instance, control="routing", forced_moves=False)
    told = {name: column(simulation, name) for name in ("ttft", "ect", "prefill", "hit", "backlog", "predicted")}
    assert told["prefill"] == prompt and told["hit"] == told["backlog"] == 0 and told["predicted"] == output
    simulation.step(torch.tensor([0]))
    metrics = simulation.schedule().metrics()
    first, last = (round(metrics[name] * 10**6) for name in ("ttft_mean", "e2e_mean"))
    chunks = -(-prompt // 64)
    spread = 2 * chunks + 2
    if server.beyond:  # the last chunk may stay below the knee, where an average one would not
        spread += server.beyond * 64 // US
    assert abs(told["ttft"] - first) <= spread
    assert abs((told["ect"] - told["ttft"]) - (last - first)) <= output + 1


@pytest.mark.parametrize("predicted, emitted, left", [
    (10, 0, 10), (10, 9, 1), (10, 10, 2), (10, 99, 2), (3, 3, 1), (1, 5, 1), (400, 400, 100),
])  # fmt: skip
def test_answers_that_are_overdue_go_on_for_a_while(predicted, emitted, left):
    assert twin(simulator_estimate.answer_left)(predicted, emitted) == left


def test_logarithms_are_exact_at_powers_of_two_and_straight_between():
    log2 = twin(simulator_estimate.log2_of)
    assert [int(log2(np.int64(x))) for x in (-5, 0, 1, 2, 3, 4, 6, 1024)] == [0, 0, 0, 1024, 1536, 2048, 2560, 10240]
    values = np.array([int(log2(np.int64(x))) for x in range(1, 3000)])
    assert (np.diff(values) >= 0).all() and np.abs(values / 1024 - np.log2(np.arange(1, 3000))).max() < 0.0871


def peak_of(rows) -> int:
    """By playing: every row (held, left) emits a token at a time until it ends; the memory before each leaves."""
    rows, most = [list(row) for row in rows], 0
    while rows:
        step = min(left for _, left in rows)
        rows = [[held + step, left - step] for held, left in rows]
        most = max(most, sum(held for held, _ in rows))
        rows = [row for row in rows if row[1] > 0]
    return most


def test_three_requests_peak_at_22_tokens():
    """Prompts of 3, 5 and 2 tokens with 6, 2 and 4 to come: 16 after two steps, 15 after two more, 9 at the end;
    with another of 4 tokens and 1 to come: 18, 20, 15."""
    assert peak_of([(3, 6), (5, 2), (2, 4)]) == 16 and peak_of([(3, 6), (5, 2), (2, 4), (3, 2)]) == 21
    assert peak_of([(3, 6), (5, 2), (2, 4), (4, 2)]) == 22
    server = Profile(US, kv_tokens=1000, block_size=1, max_num_seqs=8, token_budget=64)
    instance = LLMInstance("peak", (server,), [0] * 4, [3, 5, 2, 4], [6, 2, 4, 2])
    simulation = begin(instance, past_future=0, order="arrival", forced_moves=False)
    for wanted in (9, peak_of([(3, 6), (5, 2)]), 16, 22):
        assert column(simulation, "peak") == wanted
        simulation.step(torch.tensor([0]))


@settings(max_examples=40)
@given(seeds)
def test_peaks_are_those_of_a_play(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    prompt, output = rng.integers(1, 30, n), rng.integers(1, 30, n)
    server = Profile(US, kv_tokens=1000, block_size=1, max_num_seqs=8, token_budget=512)
    instance = LLMInstance("peak", (server,), [0] * n, prompt, output)
    simulation, running = begin(instance, past_future=0, order="arrival", forced_moves=False), []
    for q in range(n):
        running.append((int(prompt[q]), int(output[q])))
        assert column(simulation, "request_at") == q and column(simulation, "peak") == peak_of(running)
        simulation.step(torch.tensor([0]))


def test_a_shared_prefix_counts_once():
    """Three of one group with 8 shared tokens: 8 + 3 * 4, and 5 tokens each to come."""
    server = Profile(US, kv_tokens=1000, block_size=4, max_num_seqs=8, token_budget=64)
    instance = LLMInstance("peak", (server,), [0, 9, 9], [12] * 3, [20, 5, 5], group=[0] * 3, shared=[8] * 3)
    simulation = begin(instance, past_future=0, order="arrival", forced_moves=False)
    simulation.step(torch.tensor([0]))
    assert int(simulation.clock) == 9 and column(simulation, "request_at") == 1
    held = 12 + 8  # of the first, at 9 us: one token in each iteration but the first
    assert column(simulation, "peak") == 8 + (held - 8 + 5) + (4 + 5)


def test_predictions_are_all_that_is_told():
    """Nothing but ``output`` depends on the true answer before it is there."""
    server = Profile(US, prefill=US, kv_tokens=999, block_size=1, max_num_seqs=2, token_budget=16)
    seen = []
    for output in (3, 30):
        instance = LLMInstance("told", (server,), [0, 1], [5, 6], [output, output + 1], predicted=[7, 8])
        simulation = begin(instance, forced_moves=False)
        seen.append({name: column(simulation, name) for name in simulation.columns if name != "output"})
        assert column(simulation, "output") == output
    assert seen[0] == seen[1] and seen[0]["predicted"] == 7
