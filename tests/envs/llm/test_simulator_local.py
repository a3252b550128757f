"""How servers admit by themselves: first come of those that fit, or by the index of ATC, by hand."""

import pytest
import torch

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile

US = 10**9  # fs
MS = 1000  # us


def order_of(instance, local, **options) -> list[int]:
    """Requests as they were admitted, all sent to server 0."""
    simulation = Simulation(Model([instance], Options(control="routing", local=local, **options)), [instance], 1)
    simulation.reset()
    while not simulation.terminated[0]:
        simulation.step(torch.tensor([0]))
    schedule = simulation.schedule()
    assert schedule.violations() == []
    return [row[0] for row in schedule.entries.tolist() if row[1] >= 0 and row[1] % 2 == 0]


def one_by_one(prompt, output, due, arrival=None, **more) -> LLMInstance:
    """A server that runs one at a time and takes 10 ms a token; the first request keeps it busy while others come."""
    server = Profile(10 * MS * US, kv_tokens=2000, block_size=1, max_num_seqs=1, token_budget=64, **more)
    n = len(prompt)
    arrival = arrival or [0] + list(range(1, n))
    return LLMInstance("line", (server, server), arrival, prompt, output, ttft_target=due)


def test_first_come_first_served():
    assert order_of(one_by_one([5] * 4, [9, 3, 8, 1], [0, 900, 1, 10]), "fcfs") == [0, 1, 2, 3]


def test_the_index_by_hand():
    """Without deadlines by size; half a second of slack makes up for a service that is e times longer.

    Answers of 40 and 20 ms stand even where the shorter one has 0.5 s * log 2 = 347 ms more time. They are admitted at
    90 ms, and first tokens take 10 ms.
    """
    assert order_of(one_by_one([5] * 4, [9, 4, 8, 2], [0] * 4), "atc") == [0, 3, 1, 2]
    for slack, order in ((330, [0, 2, 1]), (365, [0, 1, 2])):
        due = [0, 100 * MS - 1, (100 + slack) * MS - 2]  # after they have arrived
        assert order_of(one_by_one([5] * 3, [9, 4, 2], due), "atc") == order


def test_late_ones_come_last_the_smallest_first():
    due = [0, 20 * MS, 20 * MS, 900 * MS]  # at 90 ms the second and the third are late
    assert order_of(one_by_one([5] * 4, [9, 5, 4, 6], due), "atc") == [0, 3, 2, 1]


@pytest.mark.parametrize("local", ["fcfs", "atc"])
def test_who_does_not_fit_is_passed_over(local):
    """The first holds 60 of 100 tokens: 50 do not fit beside it, 10 do."""
    server = Profile(MS * US, kv_tokens=100, block_size=1, max_num_seqs=8, token_budget=64)
    instance = LLMInstance("tight", (server,) * 2, [0, 1, 2], [50, 40, 8], [10, 10, 2])
    assert order_of(instance, local) == [0, 2, 1]


@pytest.mark.parametrize("local", ["fcfs", "atc"])
def test_the_predicted_peak_is_heeded(local):
    """They fit now, but not at the end: 20 + 20 + 2 * 30 tokens are 100 %, above the 97 that are heeded."""
    server = Profile(MS * US, kv_tokens=100, block_size=1, max_num_seqs=8, token_budget=64)
    for output, together in ((30, False), (28, True)):
        instance = LLMInstance("peak", (server,) * 2, [0, 0], [20, 20], [output, output])
        simulation = Simulation(Model([instance], Options(control="routing", local=local)), [instance], 1)
        simulation.reset()
        while not simulation.terminated[0]:
            simulation.step(torch.tensor([0]))
        starts = [row[3] for row in simulation.schedule().entries.tolist() if row[1] == 0]
        assert (starts == [0, 0]) == together and simulation.schedule().metrics()["preemptions"] == 0


def test_late_ones_wait_for_half_of_the_memory():
    server = Profile(MS * US, kv_tokens=100, block_size=1, max_num_seqs=8, token_budget=128)
    for prompt, waits in ((45, False), (55, True)):
        instance = LLMInstance(
            "late", (server,) * 2, [0, 10], [prompt, 5], [9, 2], predicted=[9, 2], ttft_target=[0, 1]
        )
        simulation = Simulation(Model([instance], Options(control="routing", local="atc")), [instance], 1)
        simulation.reset()
        while not simulation.terminated[0]:
            simulation.step(torch.tensor([0]))
        starts = {row[0]: row[3] for row in simulation.schedule().entries.tolist() if row[1] == 0}
        assert (starts[1] == 9 * MS) == waits and starts[1] in (MS, 9 * MS)
