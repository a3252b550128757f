"""Requests by hand: who is due when, what is overdue, sessions, and clients that come back."""

import numpy as np
import torch

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile

SECOND = 10**6
ONE = Profile(10**15, kv_tokens=1000, block_size=1, max_num_seqs=1, token_budget=64)  # a second a token


def begin(instance, **options) -> Simulation:
    options = {"order": "arrival", "past_future": 0, "forced_moves": False} | options
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1)
    simulation.reset()
    return simulation


def columns(simulation, *names) -> list[tuple]:
    legal = simulation.mask[0].nonzero().flatten().tolist()
    return [tuple(int(simulation.columns[name][0, a]) for name in names) for a in legal]


def test_the_first_token_is_due_or_else_the_last_one():
    instance = LLMInstance(
        "due",
        (ONE,),
        [3, 3, 3, 3],
        [2] * 4,
        [1] * 4,
        ttft_target=[9, 0, 7, 0],
        e2e_target=[5, 8, 0, 0],
        tbt_target=[1] * 4,
    )
    found = columns(begin(instance), "request_at", "due_in")
    assert found == [(0, 9), (1, 8), (2, 7), (3, 2**30)]


def test_who_waits_for_what_is_overdue_has_missed_already():
    """At 1 s the second one's time is over, though it has not run: it counts from the next decision on."""
    instance = LLMInstance("late", (ONE,), [0, 0, 0], [2] * 3, [1, 1, 1], ttft_target=[0, SECOND - 1, 0])
    simulation = begin(instance)
    assert int(simulation.outcome()["missed"]) == 0
    simulation.step(torch.tensor([0]))
    assert int(simulation.clock) == SECOND and int(simulation.outcome()["missed"]) == 1
    assert float(simulation.reward) == -np.float32(1 / 3)
    total = float(simulation.reward)
    while not simulation.terminated[0]:
        simulation.step(torch.tensor([0]))
        total += float(simulation.reward)
    assert total == -np.float32(1 / 3)  # once is enough


def test_follow_ups_come_a_while_after_the_end():
    instance = LLMInstance("talk", (ONE,), [5, SECOND // 2], [2, 9], [3, 1], parent=[-1, 0])
    simulation = begin(instance)
    assert columns(simulation, "request_at") == [(0,)] and int(simulation.clock) == 5
    simulation.step(torch.tensor([0]))
    assert columns(simulation, "request_at", "waited") == [(1, 0)]
    assert int(simulation.clock) == 5 + 3 * SECOND + SECOND // 2


def test_arrivals_at_one_time_come_by_number():
    """A follow-up that comes at the time of a root stands by its number."""
    instance = LLMInstance("tie", (ONE,), [0, 2 * SECOND, 0], [2, 2, 9], [2, 1, 1], parent=[-1, -1, 0])
    simulation = begin(instance)
    simulation.step(torch.tensor([0]))
    assert columns(simulation, "request_at", "head") == [(1, 1), (2, 0)] and int(simulation.clock) == 2 * SECOND


def test_an_idle_server_that_waits_is_asked_at_the_next_event():
    instance = LLMInstance("wait", (ONE,), [0, 7], [2, 2], [1, 1])
    simulation = begin(instance)
    assert columns(simulation, "kind") == [(0,), (1,)]
    simulation.step(torch.tensor([1]))
    assert int(simulation.clock) == 7 and columns(simulation, "kind", "request_at") == [
        (0, 0),
        (0, 1),
    ]  # no more to come


def test_clients_are_charged_for_prompts_and_twice_for_answers():
    """And one that comes back is not better off than those that are there."""
    instance = LLMInstance("fair", (ONE,), [0, 0, 0, 5 * SECOND], [10, 4, 3, 2], [2, 1, 1, 1], client=[0, 1, 1, 2])
    simulation = begin(instance)
    assert columns(simulation, "client", "counter") == [(0, 0), (1, 0), (1, 0), (-1, 0)]
    simulation.step(torch.tensor([0]))  # until 2 s: 10 + 2 * 2
    assert columns(simulation, "client", "counter") == [(1, 0), (1, 0), (-1, 0)]
    assert simulation.engine.tensors["lifted"][0].tolist() == [14, 0, 0]
    simulation.step(torch.tensor([0]))  # until 3 s: 4 + 2 * 1
    assert columns(simulation, "client", "counter") == [(1, 6), (-1, 0)]
    simulation.step(torch.tensor([1]))  # it waits; at 5 s the third client comes
    assert columns(simulation, "client", "counter") == [(1, 6), (2, 6)]


def test_counters_are_up_to_date_while_they_run():
    """One of the second client comes at 2.5 s, when the first has had 5 + 2 * 2 tokens on a server for two."""
    two = Profile(10**15, kv_tokens=1000, block_size=1, max_num_seqs=2, token_budget=64)
    instance = LLMInstance("live", (two,), [0, 5 * SECOND // 2], [5, 4], [9, 1], client=[0, 1])
    for leap in (True, False):
        simulation = begin(instance, leap=leap)
        simulation.step(torch.tensor([0]))
        assert int(simulation.clock) == 3 * SECOND
        assert simulation.engine.tensors["lifted"][0].tolist() == [5 + 2 * 3, 5 + 2 * 2]
