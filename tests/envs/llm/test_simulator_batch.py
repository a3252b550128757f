"""What is known of running requests without touching each one: tokens, longest pauses, promises between tokens."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile

SECOND = 10**6
US = 10**9


def play(instance, **options) -> Simulation:
    options = {"order": "arrival", "past_future": 0, "stop": False, "choice": 1, "watermark": 0} | options
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1)
    simulation.reset()
    while not simulation.terminated[0]:
        simulation.step(simulation.mask.argmax(dim=1))
    return simulation


def pauses(simulation) -> dict[int, tuple[int, int]]:
    return {row[0]: tuple(row[3:]) for row in simulation.schedule().entries.tolist() if row[1] == -1}


def test_prefills_beside_them_make_pauses_long():
    """A token takes 1 ms and a prefill token 1 ms more: the second prompt of 9 tokens makes one pause of 10 ms."""
    server = Profile(1000 * US, prefill=1000 * US, kv_tokens=99, block_size=1, max_num_seqs=4, token_budget=64)
    instance = LLMInstance("pause", (server,), [0, 4500], [2, 9], [9, 3])
    for leap in (True, False):
        found = pauses(play(instance, leap=leap))
        assert found == {0: (5000, 15_000), 1: (15_000, 16_000)}


def test_of_equal_pauses_the_first_is_told():
    server = Profile(1000 * US, kv_tokens=99, block_size=1, max_num_seqs=4, token_budget=64)
    assert pauses(play(LLMInstance("same", (server,), [0], [2], [9]))) == {0: (1000, 2000)}


def test_reading_makes_later_pauses_longer():
    server = Profile(1000 * US, read=10 * US, kv_tokens=99, block_size=1, max_num_seqs=4, token_budget=64)
    found = pauses(play(LLMInstance("read", (server,), [0], [2], [5])))
    ends = np.cumsum([1000, *(1000 + 10 * held for held in (2, 3, 4, 5))])
    assert found == {0: (int(ends[-2]), int(ends[-1]))}


def test_promises_between_tokens():
    server = Profile(1000 * US, prefill=1000 * US, kv_tokens=99, block_size=1, max_num_seqs=4, token_budget=64)
    for target, missed in ((10_000, 0), (9_999, 1), (0, 0)):
        for leap in (True, False):
            instance = LLMInstance("kept", (server,), [0, 4500], [2, 9], [9, 3], tbt_target=[target, 1000])
            simulation = play(instance, leap=leap)
            assert int(simulation.outcome()["missed"]) == missed
            assert simulation.schedule().metrics()["miss_rate"] == missed / 2


def test_preemption_is_a_pause():
    server = Profile(10**15, kv_tokens=6, block_size=1, max_num_seqs=4, token_budget=8)
    instance = LLMInstance("tight", (server,), [0, 0], [2, 2], [4, 4], tbt_target=[SECOND, 3 * SECOND - 1])
    for swap_rate in (0, 10**9):
        simulation = play(instance, swap_rate=swap_rate)
        start, end = pauses(simulation)[1]
        assert start == 2 * SECOND and end - start >= 3 * SECOND - 1
        assert int(simulation.outcome()["missed"]) == 1 + (swap_rate > 0)  # swapping takes a little of everybody's time


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_many_pauses_that_become_shorter_are_all_remembered(seed):
    """Prompts that become shorter and answers of all lengths: the list of pauses is as long as it may get."""
    rng = np.random.default_rng(seed)
    server = Profile(US, prefill=100 * US, kv_tokens=4000, block_size=4, max_num_seqs=3, token_budget=256)
    n = 24
    prompts = np.maximum(1, 60 - 2 * np.arange(n) - rng.integers(0, 3, n))
    instance = LLMInstance("many", (server,), np.sort(rng.integers(0, 60_000, n)), prompts, rng.integers(1, 60, n))
    found = [play(instance, leap=leap).schedule() for leap in (True, False)]
    assert found[0].violations() == [] and found[0].entries.tolist() == found[1].entries.tolist()


def test_the_state_is_kept_within_its_lists(recount, legal, random_requests):
    rng = np.random.default_rng(3)
    instances = [random_requests(rng, "miss_rate", 20) for _ in range(12)]
    simulation = Simulation(Model(instances, Options(order="arrival", past_future=0)), instances, 12)
    simulation.reset()
    while not simulation.terminated.all():
        tensors = simulation.engine.tensors
        assert (tensors["pauses"] <= tensors["pause_round"].shape[2]).all()
        lengths, count = tensors["pause_length"].numpy(), tensors["pauses"].numpy()
        for i, r in np.argwhere(count > 1):
            assert (np.diff(lengths[i, r, : count[i, r]]) <= 0).all()  # never longer than the one before
        simulation.step(legal(simulation.mask, rng))
    for place in range(12):
        recount.Seen(simulation, place).check()
    assert not torch.any(simulation.illegal)
