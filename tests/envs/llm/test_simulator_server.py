"""A server by hand: chunks, durations, memory, preemption, swapping, and one that changes its request."""

import numpy as np
import pytest
import torch

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile, iteration_us

US = 10**9  # fs
SECOND = 10**6
SLOW = Profile(10**15, kv_tokens=1000, block_size=1, max_num_seqs=8, token_budget=8)  # a second an iteration


def first_come(instance, **options) -> Simulation:
    """Played to the end: whoever came first of those that fit."""
    options = {"order": "arrival", "past_future": 0, "stop": False, "choice": 1, "watermark": 0} | options
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1)
    simulation.reset()
    while not simulation.terminated[0]:
        simulation.step(simulation.mask.argmax(dim=1))
    assert simulation.schedule().violations() == []
    return simulation


def stays(simulation) -> list[tuple]:
    """(request, step, start, end) in seconds."""
    rows = simulation.schedule().entries.tolist()
    return [(row[0], row[1], row[3] / SECOND, row[4] / SECOND) for row in rows if row[1] >= 0]


def test_prefills_are_computed_in_chunks_in_order_of_admission():
    """A budget of 8: 8 of 12; then 1 for a token... 4 and 4 of the second, of 10; 1 + 6."""
    simulation = first_come(LLMInstance("chunks", (SLOW,), [0, 0], [12, 10], [3, 1]))
    # the second is admitted when the first leaves some budget, at 1 s: 4 + 4, then 1 + 6
    assert stays(simulation) == [(0, 0, 0, 2), (0, 1, 2, 4), (1, 0, 1, 3)]
    assert simulation.schedule().conditions["iterations"] == [4]


@pytest.mark.parametrize("linear", [True, False])
def test_durations_are_those_of_the_profile(linear):
    more = {} if linear else {"token": 7 * US, "beyond": 5 * US, "knee": 6}
    server = Profile(100 * US + 1, 20 * US, US // 7, 9 * US, US // 3, kv_tokens=99, block_size=1, max_num_seqs=4,
                     token_budget=8, **more)  # fmt: skip
    simulation = first_come(LLMInstance("long", (server,), [0, 0], [12, 10], [3, 1]))
    durations = [
        iteration_us(server, [8], [0]), iteration_us(server, [4, 4], [8, 0]), iteration_us(server, [6], [4], 1, 12),
        iteration_us(server, [], [], 1, 13),
    ]  # fmt: skip
    ends = np.cumsum(durations).tolist()
    rows = [row[3:] for row in simulation.schedule().entries.tolist() if row[1] >= 0]
    assert rows == [[0, ends[1]], [ends[1], ends[3]], [ends[0], ends[2]]]
    assert simulation.schedule().conditions["busy"] == [ends[3]]


def test_an_iteration_takes_at_least_a_microsecond():
    server = Profile(1, kv_tokens=99, block_size=1, max_num_seqs=4, token_budget=8)
    assert int(first_come(LLMInstance("quick", (server,), [5], [3], [4])).clock) == 9


def test_blocks_run_out():
    """Six blocks of one token: two of 2 tokens and answers of 4 hold 2 + 2, 3 + 3; the second then makes way."""
    server = Profile(10**15, kv_tokens=6, block_size=1, max_num_seqs=4, token_budget=8)
    simulation = first_come(LLMInstance("tight", (server,), [0, 0], [2, 2], [4, 4]))
    # two tokens each at 1 and 2 s; at 2 s both need a fourth block: the last admitted goes, and returns at 4 s
    assert stays(simulation) == [(0, 0, 0, 1), (0, 1, 1, 4), (1, 0, 0, 1), (1, 1, 1, 2), (1, 2, 4, 5), (1, 3, 5, 6)]
    assert simulation.schedule().conditions["preemptions"] == [1]
    pauses = {row[0]: row[3:] for row in simulation.schedule().entries.tolist() if row[1] == -1}
    assert pauses == {0: [SECOND, 2 * SECOND], 1: [2 * SECOND, 5 * SECOND]}


@pytest.mark.parametrize("victim, gone", [("last", 2), ("least", 1), ("priority", 0)])
def test_victims(victim, gone):
    server = Profile(10**15, kv_tokens=13, block_size=1, max_num_seqs=4, token_budget=32)
    instance = LLMInstance("three", (server,), [0] * 3, [5, 3, 4], [6, 6, 6], priority=[2, 0, 1])
    simulation = first_come(instance, victim=victim)
    ends = {q: end for q, step, _, end in stays(simulation)[::-1] if step == 1}
    assert min(ends, key=ends.get) == gone and simulation.schedule().conditions["preemptions"][0] > 0


def test_swapping_takes_its_time_out_and_in():
    """The same two requests: 3 tokens at 1 a ms are 3 ms out, in the iteration from 2 s on, and 3 ms in, at 4 s."""
    server = Profile(10**15, kv_tokens=6, block_size=1, max_num_seqs=4, token_budget=8)
    simulation = first_come(LLMInstance("tight", (server,), [0, 0], [2, 2], [4, 4]), swap_rate=1)
    assert stays(simulation) == [
        (0, 0, 0, 1), (0, 1, 1, 4.003), (1, 0, 0, 1), (1, 1, 1, 2), (1, 2, 4.003, 4.003), (1, 3, 4.003, 6.006),
    ]  # fmt: skip


def test_the_watermark_is_left_free_unless_the_server_is_empty():
    server = Profile(10**15, kv_tokens=20, block_size=1, max_num_seqs=4, token_budget=64)
    for prompts, together in (([10, 8], True), ([10, 9], False), ([19, 1], False)):
        simulation = first_come(LLMInstance("free", (server,), [0, 0], prompts, [1, 1]), watermark=10)
        starts = [start for _, step, start, _ in stays(simulation) if step == 0]
        assert starts == ([0, 0] if together else [0, 1])


def test_only_so_many_run():
    server = Profile(10**15, kv_tokens=20, block_size=1, max_num_seqs=2, token_budget=64)
    simulation = first_come(LLMInstance("many", (server,), [0] * 3, [2] * 3, [1, 3, 1]))
    assert stays(simulation) == [(0, 0, 0, 1), (1, 0, 0, 1), (1, 1, 1, 3), (2, 0, 1, 2)]


def serial(arrival, output, **more) -> LLMInstance:
    server = Profile(10**15, kv_tokens=99, block_size=1, max_num_seqs=1, token_budget=64, preemptive=True)
    return LLMInstance("serial", (server,), arrival, [2] * len(arrival), output, objective="e2e_mean", **more)


def test_a_serial_server_puts_its_request_aside_and_takes_it_up_again():
    instance = serial([0, SECOND], [3, 1])
    simulation = Simulation(Model([instance], Options(order="arrival", past_future=0)), [instance], 1)
    simulation.reset()
    simulation.step(torch.tensor([0]))
    first = float(simulation.reward)
    row = {
        name: int(simulation.columns[name][0, 1]) for name in ("kind", "request_at", "predicted", "attained", "prefill")
    }
    assert int(simulation.clock) == SECOND
    assert row == {"kind": 3, "request_at": 0, "predicted": 2, "attained": 1 + 2, "prefill": 0}
    simulation.step(torch.tensor([0]))  # the new one
    assert simulation.terminated[0]
    assert stays(simulation) == [(0, 0, 0, 1), (0, 1, 1, 1), (1, 0, 1, 2), (0, 2, 2, 2), (0, 3, 2, 4)]
    assert simulation.schedule().violations() == [] and first + float(simulation.reward) == -(4 + 1) / 2


def test_it_is_asked_when_somebody_comes_or_leaves_and_not_at_every_token():
    instance = serial([0, SECOND, 3 * SECOND], [9, 9, 9])
    simulation = Simulation(Model([instance], Options(order="arrival", past_future=0)), [instance], 1)
    simulation.reset()
    times = []
    while not simulation.terminated[0]:
        times.append(int(simulation.clock) // SECOND)
        goes_on = (simulation.columns["kind"][0] == 3) & (simulation.mask[0] == 1)
        simulation.step(goes_on.int().argmax()[None])  # where nobody runs the first one is admitted
    assert times == [0, 1, 3, 9]


def test_totals_of_blocks_over_time():
    """A request of 3 tokens and 3 to emit: blocks of two tokens, 2, 2 and 3 of them for a second each."""
    server = Profile(10**15, kv_tokens=20, block_size=2, max_num_seqs=2, token_budget=64)
    simulation = first_come(LLMInstance("one", (server,), [0], [3], [3]))
    assert simulation.schedule().conditions["block_time"] == [(2 + 2 + 3) * SECOND]
