"""What the validator says of schedules written by hand, word for word, and what it refuses."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dispatchgym.envs.llm.validator as validator
from dispatchgym.envs.core.errors import ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.profiles import Profile
from dispatchgym.envs.llm.validator import MAX_MESSAGES, check, metrics

US = 10**9  # fs
EACH = Profile(US, kv_tokens=100, block_size=1, max_num_seqs=4, token_budget=20)  # an iteration takes 1 us
SLOW = replace(EACH, base=10 * US)
TIGHT = replace(EACH, kv_tokens=8)
ALONE = replace(SLOW, max_num_seqs=1)
PREEMPTIVE = replace(ALONE, preemptive=True)


def requests(*rows, servers=(EACH,), **more) -> LLMInstance:
    """Requests as (arrival, prompt, output)."""
    return LLMInstance("hand", servers, *np.array(rows, dtype=int).T, **more)


def words(instance: LLMInstance, rows: list, **conditions) -> list[str]:
    """All but what is said of totals that are not claimed."""
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)
    found = [str(violation) for violation in check(instance, schedule)]
    return [text for text in found if " are claimed of 0 servers, " not in text]


PAIR = requests((0, 3, 2), (4, 5, 1))
A, B, C, D = [0, 0, 0, 0, 1], [0, 1, 0, 1, 2], [1, 0, 0, 4, 5], [0, -1, 0, 1, 2]
TWO = requests((0, 3, 2), (4, 5, 1), servers=(SLOW, SLOW))
SESSION = requests((0, 3, 1), (5, 6, 1), servers=(EACH, EACH), parent=[-1, 0])
SWAPPED = requests((0, 3, 5), (0, 3, 5), servers=(TIGHT, TIGHT))
SWAP = [
    [0, 0, 0, 0, 1], [0, 1, 0, 1, 9], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [1, 2, 0, 9, 9], [1, 3, 0, 9, 16],
    [0, -1, 0, 2, 7], [1, -1, 0, 2, 14],
]  # fmt: skip


@pytest.mark.parametrize(
    ("instance", "rows", "expected"),
    [
        (PAIR, [A, B, C, D], []),
        # what names nothing
        (PAIR, [A, B, C, [2, 0, 0, 6, 7], D], ["shape: row 3 names request 2, but requests run from 0 to 1"]),
        (PAIR, [A, B, C, [-1, 0, 0, 6, 7], D], ["shape: row 3 names request -1, but requests run from 0 to 1"]),
        (PAIR, [A, B, C, D, [1, -3, 0, 6, 7]], ["shape: row 4 of request 1 has step -3; the least is -2"]),
        (PAIR, [A, B, [1, 0, 1, 4, 5], D], [
            "shape: row 2 of request 1 names server 1, but servers run from 0 to 0",
            "complete: request 1 is never admitted",
        ]),
        (PAIR, [A, B, D, [1, -2, 0, 4, 4]], [
            "shape: row 3 rejects request 1 from 4 to 4 on server 0, expected one time and server -1",
            "complete: request 1 is never admitted",
        ]),
        (PAIR, [A, B, D, [1, -2, -1, 4, 5]], [
            "shape: row 3 rejects request 1 from 4 to 5 on server -1, expected one time and server -1",
            "complete: request 1 is never admitted",
        ]),
        # what is there twice, or counted otherwise
        (PAIR, [A, B, C, C, D], ["shape: row 3 is another one of step 0 of request 1"]),
        (PAIR, [A, B, B, C, D], [
            "shape: row 2 is another one of step 1 of request 0",
        ]),
        (PAIR, [A, B, C, D, D], ["shape: row 4 is another one of step -1 of request 0"]),
        (PAIR, [A, B, [1, 2, 0, 4, 5], D], [
            "shape: row 2 is step 2 of request 1, expected 0: stays are counted by twos in order of time"
        ]),
        (PAIR, [A, B, C, [1, 3, 0, 5, 6], D], ["shape: row 3 is step 3 of request 1, without step 2 before it"]),
        # order
        (PAIR, [C, A, B, D], [
            "order: row 1 belongs before the ones above it: a stay from 0 on after a stay from 4 on"
        ]),
        (PAIR, [A, C, B, D], ["order: row 2 is step 1 of request 0, but step 0 is row 0, not the one before it"]),
        (PAIR, [A, B, D, C], [
            "order: row 3 belongs before the ones above it: a stay from 4 on after the pause of request 0"
        ]),
        (requests((0, 3, 2), (0, 3, 2)), [A, B, [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [1, -1, 0, 1, 2], D], [
            "order: row 5 belongs before the ones above it: the pause of request 0 after the pause of request 1"
        ]),
        (PAIR, [[1, -2, -1, 4, 4], A, B, D], [
            "order: row 1 belongs before the ones above it: a stay from 0 on after the rejection of request 1",
            "order: row 3 belongs before the ones above it: the pause of request 0 after the rejection of request 1",
        ]),
        # who waits
        (PAIR, [A, B, C, [0, 2, 0, 6, 7], D], [
            "waiting: request 0 in row 3 is admitted at 6, but it has finished at 2"
        ]),
        (TWO, [[0, 0, 0, 0, 10], [0, 1, 0, 10, 20], [1, 0, 1, 4, 14], [0, 2, 1, 14, 24], [0, -1, 0, 10, 20]], [
            "waiting: request 0 in row 3 is admitted at 14, but it runs on server 0"
        ]),
        (PAIR, [A, B, C, D, [1, -2, -1, 3, 3]], [
            "waiting: request 1 in row 2 is admitted at 4, but it was rejected at 3",
            "reject: request 1 is rejected at 3, before it arrives at 4",
        ]),
        # arrivals
        (PAIR, [A, B, [1, 0, 0, 3, 4], D], ["arrival: request 1 in row 2 is admitted at 3, before it arrives at 4"]),
        (SESSION, [[0, 0, 0, 0, 1], [1, 0, 0, 6, 7]], []),
        (SESSION, [[0, 0, 0, 0, 1], [1, 0, 0, 5, 6]], [
            "arrival: request 1 in row 1 is admitted at 5, before it arrives at 6"
        ]),
        (SESSION, [[1, 0, 0, 0, 1], [0, 0, 1, 9, 10]], [
            "arrival: request 1 in row 0 is admitted at 0, but request 0, which it follows, is not done by then"
        ]),
        (SESSION, [[1, 0, 0, 12, 13], [0, -2, -1, 7, 7]], []),
        (SESSION, [[1, 0, 0, 11, 12], [0, -2, -1, 7, 7]], [
            "arrival: request 1 in row 0 is admitted at 11, before it arrives at 12"
        ]),
        # boundaries: it is carried out at the next one
        (TWO, [[0, 0, 0, 0, 10], [0, 1, 0, 10, 20], [1, 0, 0, 4, 20], [0, -1, 0, 10, 20]], [
            "boundary: request 1 in row 2 is admitted at 4, within an iteration of server 0 that ends at 10"
        ]),
        (TWO, [[0, 0, 0, 0, 10], [0, 1, 0, 10, 20], [1, 0, 0, 4, 14], [0, -1, 0, 10, 20]], [
            "boundary: request 1 in row 2 is admitted at 4, within an iteration of server 0 that ends at 10",
            "timing: request 1 in row 2 has its prefill done at 20, not at 14",
        ]),
        # limits of a server
        (replace(PAIR, servers=(replace(SLOW, max_num_seqs=1),)), [
            [0, 0, 0, 0, 10], [0, 1, 0, 10, 20], [1, 0, 0, 10, 20], [0, -1, 0, 10, 20]
        ], ["sequences: request 1 in row 2 is admitted at 10 to server 0, which runs 1 of at most 1 requests"]),
        (requests((0, 30, 1), (0, 5, 1)), [[0, 0, 0, 0, 2], [1, 0, 0, 0, 2]], [
            "budget: request 1 in row 1 is admitted at 0 to server 0, which has no token left of its budget of 20"
        ]),
        (requests((0, 30, 1), (0, 5, 1)), [[0, 0, 0, 0, 2], [1, 0, 0, 1, 2]], []),
        (requests((0, 1, 3), (1, 5, 1), (1, 1, 1), servers=(replace(EACH, max_num_seqs=3, token_budget=6),)), [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 3], [1, 0, 0, 1, 2], [2, 0, 0, 1, 3], [0, -1, 0, 1, 2]
        ], ["budget: request 2 in row 3 is admitted at 1 to server 0, which has no token left of its budget of 6"]),
        (requests((0, 1, 3), (1, 4, 1), (1, 1, 1), servers=(replace(EACH, max_num_seqs=3, token_budget=6),)), [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 3], [1, 0, 0, 1, 2], [2, 0, 0, 1, 2], [0, -1, 0, 1, 2]
        ], []),
        (requests((0, 3, 5), (0, 4, 1), (0, 2, 1), servers=(TIGHT,)), [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [2, 0, 0, 0, 1], [0, -1, 0, 1, 2]
        ], [
            "capacity: request 2 in row 3 is admitted at 0 to server 0, which has 7 of 8 blocks in use and keeps "
            "0 free: it needs 2"
        ]),
        # preemptions
        (requests((0, 3, 5), (0, 3, 5), (1, 1, 1), servers=(TIGHT,)), [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [2, 0, 0, 2, 3], [1, 2, 0, 5, 6],
            [1, 3, 0, 6, 8], [0, -1, 0, 1, 2], [1, -1, 0, 2, 6],
        ], ["preemption: request 2 in row 4 is admitted at 2, when others were preempted"]),
        # ends
        (PAIR, [[0, 0, 0, 0, 2], B, C, D], ["timing: request 0 in row 0 has its prefill done at 1, not at 2"]),
        (PAIR, [A, [0, 1, 0, 1, 3], C, D], [
            "timing: request 0 in row 0 finishes at 2: its decode steps are from 1 to 2 on server 0, "
            "not from 1 to 3 on server 0"
        ]),
        (PAIR, [A, C, D], ["preemption: request 0 in row 0 finishes at 2, but has no row of decode steps from 1 on"]),
        (SWAPPED, [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [1, 2, 0, 5, 6], [1, 3, 0, 6, 8],
            [0, -1, 0, 1, 2], [1, -1, 0, 2, 6],
        ], ["preemption: request 1 in row 2 is preempted at 2, but has no row of decode steps from 1 on"]),
        (PAIR, [A, B, C, [1, 1, 0, 5, 5], D], [
            "preemption: request 1 in row 2 finishes at 5, but has a row of decode steps"
        ]),
        # pauses
        (PAIR, [A, B, C], ["pause: the longest pause of request 0 is from 1 to 2 on server 0: no row says so"]),
        (PAIR, [A, B, C, [0, -1, 0, 1, 3]], [
            "pause: the longest pause of request 0 is from 1 to 2 on server 0, not from 1 to 3 on server 0"
        ]),
        (PAIR, [A, B, C, D, [1, -1, 0, 5, 6]], [
            "pause: request 1 has no two tokens, but a row says it pauses from 5 to 6 on server 0"
        ]),
        # rejections
        (PAIR, [A, B, D, [1, -2, -1, 4, 4]], []),
        (PAIR, [A, B, D, [1, -2, -1, 3, 3]], ["reject: request 1 is rejected at 3, before it arrives at 4"]),
        (replace(PAIR, objective="e2e_mean"), [A, B, D, [1, -2, -1, 4, 4]], [
            "reject: request 1 is rejected at 4, which is for the objective miss_rate alone"
        ]),
        (PAIR, [A, B, C, D, [1, -2, -1, 4, 4]], ["reject: request 1 is rejected at 4, but it finishes at 5"]),
        (SESSION, [[1, -2, -1, 9, 9]], [
            "reject: request 1 is rejected at 9, but what it follows is never done",
            "complete: request 0 is never admitted",
        ]),
        # what is left
        (PAIR, [A, B, D], ["complete: request 1 is never admitted"]),
        (PAIR, [], ["complete: request 0 is never admitted", "complete: request 1 is never admitted"]),
        (SWAPPED, [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [0, -1, 0, 1, 2], [1, -1, 0, 1, 2]
        ], ["complete: request 1 is preempted at 2 and not admitted again"]),
        (SWAPPED, [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [0, -1, 0, 1, 2], [1, -1, 0, 1, 2],
            [1, -2, -1, 2, 2]
        ], []),
        (SWAPPED, [
            [0, 0, 0, 0, 1], [0, 1, 0, 1, 5], [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [0, -1, 0, 1, 2], [1, -1, 0, 1, 2],
            [1, -2, -1, 1, 1]
        ], ["reject: request 1 is rejected at 1, but it runs until 2"]),
    ],
)  # fmt: skip
def test_words_are_exact(instance, rows, expected):
    assert words(instance, rows) == expected


def test_a_watermark_counts_while_something_runs():
    instance = requests((0, 4, 2), (0, 3, 1), servers=(TIGHT,))
    rows = [[0, 0, 0, 0, 1], [0, 1, 0, 1, 2], [1, 0, 0, 0, 1], [0, -1, 0, 1, 2]]
    assert words(instance, rows, watermark=12) == []
    assert words(instance, rows, watermark=24) == []
    assert words(instance, rows, watermark=25) == [
        "capacity: request 1 in row 2 is admitted at 0 to server 0, which has 4 of 8 blocks in use and keeps 2 free: "
        "it needs 3"
    ]
    late = [*rows[:2], [1, 0, 0, 2, 3], rows[3]]
    assert words(instance, late, watermark=100) == []


def test_entries_that_nobody_uses_make_room_and_others_do_not():
    """The first one leaves 4 blocks to its group, of 10; the next one, of the group or not, needs 7 in all."""
    tight = replace(EACH, kv_tokens=10)
    rows = [[0, 0, 0, 0, 1], [1, 0, 0, 1, 2], [2, 0, 0, 1, 2]]
    members = {"group": [0, 0, -1], "shared": [4, 4, 0]}
    assert words(requests((0, 5, 1), (0, 7, 1), (0, 3, 1), servers=(tight,), **members), rows) == []
    assert words(requests((0, 5, 1), (0, 7, 1), (0, 4, 1), servers=(tight,), **members), rows) == [
        "capacity: request 2 in row 2 is admitted at 1 to server 0, which has 7 of 10 blocks in use and keeps 0 free: "
        "it needs 4"
    ]
    # another one runs before the member comes: its group's entry, which nobody has used so far, must stay for it
    first = [rows[0], [2, 0, 0, 1, 2], [1, 0, 0, 1, 2]]
    assert words(requests((0, 5, 1), (0, 7, 1), (0, 3, 1), servers=(tight,), **members), first) == []
    assert words(requests((0, 5, 1), (0, 7, 1), (0, 4, 1), servers=(tight,), **members), first) == [
        "capacity: request 1 in row 2 is admitted at 1 to server 0, which has 8 of 10 blocks in use and keeps 0 free: "
        "it needs 3"
    ]
    others = {"group": [0, -1, -1], "shared": [4, 0, 0]}
    assert words(requests((0, 5, 1), (0, 7, 1), (0, 3, 1), servers=(tight,), **others), rows) == []


def test_what_was_swapped_out_comes_back_where_it_was():
    assert words(SWAPPED, SWAP, swap_rate=1000) == []
    rows = [*SWAP[:4], [1, 2, 1, 9, 9], [1, 3, 1, 9, 16], SWAP[6], [1, -1, 1, 2, 14]]
    assert words(SWAPPED, rows, swap_rate=1000) == [
        "server: request 1 in row 4 is admitted to server 1, but server 0 has 4 of its tokens"
    ]


def test_a_preemptive_server_takes_another_one():
    rows = [
        [0, 0, 0, 0, 10], [0, 1, 0, 10, 10], [1, 0, 0, 10, 20], [0, 2, 0, 20, 20], [0, 3, 0, 20, 60], [0, -1, 0, 10, 30]
    ]  # fmt: skip
    assert words(requests((0, 9, 5), (4, 2, 1), servers=(PREEMPTIVE,)), rows) == []
    found = words(requests((0, 9, 5), (4, 2, 1), servers=(ALONE,)), rows)
    assert found[0] == "waiting: request 0 in row 3 is admitted at 20, but it runs on server 0"
    assert found[1] == "sequences: request 1 in row 2 is admitted at 10 to server 0, which runs 1 of at most 1 requests"


def test_servers_take_turns_at_one_time():
    """Server 0 runs on while others are admitted to server 1: it does not come back to that time."""
    instance = requests((0, 3, 2), (0, 3, 2), (0, 3, 2), servers=(EACH, EACH))
    rows = [[0, 0, 0, 0, 1], [0, 1, 0, 1, 2], [1, 0, 1, 0, 1], [1, 1, 1, 1, 2], [2, 0, 0, 0, 1], [2, 1, 0, 1, 2]]
    pauses = [[one, -1, one % 2, 1, 2] for one in range(3)]
    assert words(instance, rows + pauses) == [
        "order: request 2 in row 4 is admitted to server 0 after others to server 1"
    ]
    idle = [*rows[2:4], *rows[:2], *rows[4:]]  # server 0 was idle when server 1 had its turn
    assert words(instance, idle + pauses) == []


@pytest.mark.parametrize(("name", "value"), [("iterations", 8), ("busy", 16), ("block_time", 90), ("preemptions", 1)])
def test_totals_are_those_of_the_replay(name, value):
    assert words(SWAPPED, SWAP, swap_rate=1000, **{name: [value, 0]}) == []
    assert words(SWAPPED, SWAP, swap_rate=1000, **{name: [value + 1, 2**40]}) == [
        f"totals: {name} of server 0 are {value}, not {value + 1}", f"totals: {name} of server 1 are 0, not {2**40}"
    ]  # fmt: skip
    assert words(SWAPPED, SWAP, swap_rate=1000, **{name: [value]}) == [
        f"totals: {name} are claimed of 1 servers, but there are 2"
    ]
    schedule = Schedule(SWAPPED, np.array(SWAP), {"swap_rate": 1000})
    assert f"totals: {name} are claimed of 0 servers, but there are 2" in map(str, check(SWAPPED, schedule))


@pytest.mark.parametrize("time", [2**62, 2**63 - 1, -(2**63)])
def test_any_time_is_judged(time):
    found = words(PAIR, [A, B, [1, 0, 0, time, 5], D])
    assert found[-1] == f"timing: request 1 in row 2 has its prefill done at {time + 1}, not at 5"
    early = f"arrival: request 1 in row 2 is admitted at {time}, before it arrives at 4"
    assert (early in found) == (time < 0)


def test_a_session_that_runs_backwards_is_judged():
    """What the follow-up leaves holds all of its parent's prompt, of which a token is computed all the same."""
    chain = requests((0, 3, 2), (5, 6, 2), (5, 9, 1), parent=[-1, 0, 1])
    rows = [
        [1, 0, 0, 0, 1], [1, 1, 0, 1, 2], [0, 0, 0, 3, 4], [0, 1, 0, 4, 5], [2, 0, 0, 7, 8],
        [0, -1, 0, 4, 5], [1, -1, 0, 1, 2],
    ]  # fmt: skip
    assert words(chain, rows) == [
        "arrival: request 1 in row 0 is admitted at 0, but request 0, which it follows, is not done by then"
    ]


@pytest.mark.parametrize("more", [0, 1, 5])
def test_messages_are_capped_and_the_rest_is_counted(more):
    found = words(PAIR, [A, B, C, *[[9, 0, 0, 9, 9]] * (MAX_MESSAGES + more), D])
    assert found[0] == "shape: row 3 names request 9, but requests run from 0 to 1"
    expected = [f"shape: {more} further violations of this rule are not listed"] if more else []
    assert found[MAX_MESSAGES:] == expected


@pytest.mark.parametrize(
    "conditions",
    [{"watermark": -1}, {"victim": "first"}, {"profile": "gpu"}, {"busy": [-1]}, {"noise": 1}, 7, [1]],
)  # fmt: skip
def test_malformed_conditions_are_an_error(conditions):
    for judge in (check, metrics):
        with pytest.raises(ScheduleError, match="condition"):
            judge(PAIR, Schedule(PAIR, np.zeros((0, 5), int), conditions))


def test_it_imports_no_simulator():
    folder, imported = Path(validator.__file__).parent, set()
    own = {"validator", "metrics", "replay", "claim", "server", "cache", "life", "conditions"}
    for name in own:
        tree = ast.parse((folder / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                imported |= {node.module} if node.module else {alias.name for alias in node.names}
    assert imported <= own | {"instance", "profiles", "fields"}
