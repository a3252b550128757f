"""The prefix cache by hand: groups, sessions, what is taken over, and who is evicted first."""

import pytest
import torch

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile

US = 10**9  # fs
MS = 1000  # us


def server(tokens=1000, **more) -> Profile:
    """Blocks of four tokens; a prefill token takes a ms, an iteration nothing else but 1 us."""
    return Profile(0, prefill=MS * US, kv_tokens=tokens, block_size=4, max_num_seqs=4, token_budget=512, **more)


def play(instance, **options) -> Simulation:
    options = {"order": "arrival", "past_future": 0, "stop": False, "choice": 1, "watermark": 0} | options
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1)
    simulation.reset()
    while not simulation.terminated[0]:
        simulation.step(simulation.mask.argmax(dim=1))
    assert simulation.schedule().violations() == []
    return simulation


def computed(simulation) -> dict[int, int]:
    """Tokens of prefill that each request took in its first stay: they are what an iteration takes long for."""
    rows = simulation.schedule().entries.tolist()
    return {row[0]: (row[4] - row[3]) // MS for row in rows if row[1] == 0}


def test_a_group_computes_its_prefix_once():
    """A prefix of 10 tokens: two whole blocks are kept, 8 tokens."""
    far = 100 * MS
    instance = LLMInstance(
        "group", (server(),), [0, far, 2 * far], [12, 15, 12], [2] * 3, group=[0, 0, -1], shared=[10, 10, 0]
    )
    assert computed(play(instance)) == {0: 12, 1: 7, 2: 12}
    assert computed(play(instance, prefix_cache=False)) == {0: 12, 1: 15, 2: 12}


def test_who_comes_while_it_is_computed_computes_it_as_well():
    instance = LLMInstance("group", (server(),), [0, 0], [12, 15], [2] * 2, group=[0, 0], shared=[10, 10])
    simulation = play(instance)
    assert computed(simulation) == {0: 27, 1: 27}  # both in one iteration, of 12 + 15


def test_a_prefix_of_less_than_a_block_is_not_kept():
    instance = LLMInstance("group", (server(),), [0, 100 * MS], [12, 15], [2] * 2, group=[0, 0], shared=[3, 3])
    assert computed(play(instance)) == {0: 12, 1: 15}


@pytest.mark.parametrize("output, kept", [(1, 12), (2, 12), (4, 12), (5, 16), (9, 20)])
def test_sessions_go_on_from_what_was_said(output, kept):
    """The first one holds 12 + output - 1 tokens at its end; whole blocks of it are kept."""
    instance = LLMInstance("talk", (server(),), [0, 5], [12, 40], [output, 1], parent=[-1, 0])
    assert computed(play(instance)) == {0: 12, 1: 40 - kept}


def test_something_is_left_to_compute():
    """A follow-up is longer than what was said before: at least one token is always its own."""
    instance = LLMInstance("talk", (server(),), [0, 5], [12, 17], [4, 1], parent=[-1, 0])
    assert computed(play(instance)) == {0: 12, 1: 17 - 12}


def test_sessions_of_a_group_keep_what_is_beyond_its_prefix():
    far = 100 * MS
    instance = LLMInstance(
        "both", (server(),), [0, 5, far], [12, 40, 12], [5, 1, 1], parent=[-1, 0, -1], group=[0, 0, 0], shared=[8] * 3
    )
    simulation = play(instance)
    assert computed(simulation) == {0: 12, 1: 40 - 16, 2: 12 - 8}
    seen = simulation.engine.tensors
    assert seen["group_blocks"][0, 0].tolist() == [2] and not seen["session_blocks"].any()


def test_the_least_recently_used_goes_first():
    """Ten blocks: groups 0 and 1 keep two each; 0 is used again; one of 7 blocks then needs the place of 1."""
    far = 100 * MS
    instance = LLMInstance(
        "two", (server(40),), [0, far, 2 * far, 3 * far, 4 * far, 5 * far], [9, 9, 9, 28, 9, 9], [1] * 6,
        group=[0, 1, 0, -1, 0, 1], shared=[8, 8, 8, 0, 8, 8],
    )  # fmt: skip
    assert computed(play(instance)) == {0: 9, 1: 9, 2: 1, 3: 28, 4: 1, 5: 9}


def test_a_group_outlives_its_sessions():
    """Ten blocks: the prefix (two, older) and the session (three): one of six evicts the session, not the group."""
    far = 100 * MS
    instance = LLMInstance(
        "order", (server(40),), [0, 9 * far, far, 2 * far], [20, 30, 24, 9], [1, 1, 1, 1], parent=[-1, 0, -1, -1],
        group=[0, 0, -1, 0], shared=[8, 8, 0, 8],
    )  # fmt: skip
    assert computed(play(instance)) == {0: 20, 2: 24, 3: 1, 1: 30 - 8}


def test_nobody_evicts_what_is_used():
    """Six blocks: the second request uses the prefix of its group, one block, and two or three more until 50 ms; who
    needs four waits, who needs two does not.
    """
    busy = server(24, decode=5 * MS * US)
    for prompt, waits in ((16, True), (8, False)):
        instance = LLMInstance(
            "held", (busy,), [0, 10 * MS, 12 * MS], [8, 9, prompt], [1, 8, 1], group=[0, 0, -1], shared=[7, 7, 0]
        )
        simulation = play(instance)
        rows = {(row[0], row[1]): row for row in simulation.schedule().entries.tolist()}
        assert (rows[2, 0][3] >= rows[1, 1][4]) == waits and simulation.schedule().metrics()["preemptions"] == 0
        assert computed(simulation)[1] == 5  # the block of the prefix was there


def test_servers_have_caches_of_their_own():
    far = 100 * MS
    instance = LLMInstance(
        "group", (server(),) * 2, [0, far, 2 * far], [12] * 3, [2] * 3, group=[0] * 3, shared=[8] * 3
    )
    simulation = Simulation(Model([instance], Options(control="routing")), [instance], 1)
    simulation.reset()
    hits = []
    for action in (0, 1, 1):
        hits.append(simulation.columns["hit"][0].tolist())
        simulation.step(torch.tensor([action]))
    assert hits == [[0, 0], [8, 0], [8, 8]] and computed(simulation) == {0: 12, 1: 12, 2: 4}
