"""Rules that route requests: each sends them where its line says, and those that know more are better."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.llm_routing import ROUTING
from dispatchgym.envs.core.solvers import Limits, applies, resolve, solve
from dispatchgym.envs.llm.model import Model
from dispatchgym.instances.catalogue import load, load_many

SECOND = 10**6


class Offered:
    """A simulation as a rule sees it: columns by hand, one row of servers; what is not said is 0."""

    def __init__(self, **columns):
        width = len(next(iter(columns.values())))
        zero = [0] * width
        self.columns = {name: torch.tensor([columns.get(name, zero)], dtype=torch.int32) for name in Model.columns}
        self.mask = torch.ones((1, width), dtype=torch.int8)

    def choice(self, name) -> int:
        return int(ROUTING[name].act(self, torch.Generator(), torch.zeros(1, dtype=torch.bool)))


FLEET = {
    "batch": [9, 4, 1, 2], "in_queue": [0, 1, 9, 6], "slowness": [1000, 1000, 2000, 1500],
    "free": [100, 900, 500, 600], "free_tokens": [4000, 3000, 90_000, 2000], "backlog": [0, 500, 900, 1000],
    "prefill": [50, 900, 900, 400], "hit": [900, 0, 0, 500], "ttft": [800, 500, 900, 400],
    "ect": [2000, 3000, 9000, 2500], "slack": [-5, 300, 40, -2], "turn": [1, 2, 3, 0], "hash_rank": [3, 0, 1, 2],
    "draw": [2, 3, 0, 1], "last_here": [0, 0, 1, 0],
}  # fmt: skip
PICKS = {
    "round-robin": 3, "jsq": 1, "jsq-speed": 1, "power-of-two": 3, "least-kv": 1, "freeness": 2, "least-ttft": 3,
    "ttft-feasible": 1, "ect": 0, "ect-size": 0, "best-fit": 2, "hit-load": 0, "affinity": 1, "two-hashes": 1,
    "sticky": 2, "weighed": 0,
}  # fmt: skip


def test_every_rule_is_tested():
    assert set(PICKS) == set(ROUTING) - {"random-server"}


@pytest.mark.parametrize("name", sorted(PICKS))
def test_rules_send_where_they_say(name):
    assert Offered(**FLEET).choice(name) == PICKS[name]


@pytest.mark.parametrize("name", sorted(PICKS))
def test_nobody_is_turned_away(name):
    turned = {key: [value[0], *value] for key, value in FLEET.items()} | {"kind": [2, 0, 0, 0, 0]}
    assert Offered(**turned).choice(name) == PICKS[name] + 1


def test_by_hand():
    assert Offered(slack=[-9, -9], ttft=[5, 4], ect=[1, 2]).choice("ttft-feasible") == 1  # all late: first token
    assert Offered(slack=[-9, -9], ttft=[5, 4], ect=[1, 2]).choice("best-fit") == 0  # all late: first to complete
    assert Offered(slack=[9, 9], ect=[1, 2]).choice("best-fit") == 1
    # a warm cache counts as long as its server has at most eight requests more than the emptiest one
    assert Offered(batch=[8, 0], hit=[1, 0]).choice("hit-load") == 0
    assert Offered(batch=[9, 0], hit=[1, 0]).choice("hit-load") == 1
    assert Offered(batch=[5, 4], last_here=[0, 0]).choice("sticky") == 1
    # of two hashed servers that are both late the one with less to compute ahead; a third one never
    assert Offered(hash_rank=[0, 1, 2], slack=[-1, -1, 9], backlog=[7, 6, 0]).choice("two-hashes") == 1
    assert Offered(hash_rank=[0, 1, 2], slack=[1, 1, 9], hit=[5, 6, 99], batch=[1, 1, 1]).choice("two-hashes") == 1
    # a long prompt stays away from a slow server for a difference that a short one takes
    assert Offered(slowness=[1000, 2000], ect=[2 * SECOND, SECOND], prefill=[2, 2]).choice("ect-size") == 1
    assert Offered(slowness=[1000, 2000], ect=[2 * SECOND, SECOND], prefill=[9000, 9000]).choice("ect-size") == 0


def test_ties_go_to_the_first_server():
    for name in PICKS:
        assert Offered(batch=[3, 3, 3], slowness=[1000] * 3).choice(name) == 0


def test_there_is_nothing_to_route_with_one_server():
    instance = load("hurry", "llm")
    assert not applies(resolve("jsq", "llm"), [instance], Limits()) and applies(
        resolve("fcfs", "llm"), [instance], Limits()
    )
    assert applies(resolve("jsq", "llm"), load_many(["route-e2e-n9:0"], "llm"), Limits())


def missed(instances, policy) -> np.ndarray:
    answers = solve(resolve(policy, "llm"), instances, Limits())
    return np.mean([answer.schedule.metrics()["miss_rate"] for answer in answers])


def test_knowing_more_is_better_in_kind():
    instances = load_many(["route-overload-n300-x150:0-1"], "llm")
    rules = ("random-server", "jsq-speed", "ttft-feasible", "best-fit")
    found = {name: missed(instances, name) for name in rules}
    assert found["random-server"] > found["jsq-speed"] > max(found["ttft-feasible"], found["best-fit"])


def test_sessions_find_their_caches_where_they_are_sent():
    instances = load_many(["route-prefix-n150:0-1"], "llm")
    first = {}
    for name in ("random-server", "affinity", "sticky", "hit-load"):
        answers = solve(resolve(name, "llm"), instances, Limits())
        first[name] = np.mean([answer.schedule.metrics()["ttft_mean"] for answer in answers])
        homes = {}
        if name == "affinity":
            for answer in answers:
                for request, step, server, *_ in answer.schedule.entries.tolist():
                    if step == 0:
                        homes.setdefault(
                            (answer.schedule.instance.name, _key(answer.schedule.instance, request)), set()
                        ).add(server)
            assert homes and all(len(servers) == 1 for servers in homes.values())
    assert min(first["affinity"], first["sticky"], first["hit-load"]) < first["random-server"]


def _key(instance, request) -> tuple[str, int]:
    """What requests with a common prefix share."""
    group = int(instance.group[request])
    return ("group", group) if group >= 0 else ("session", int(instance.root[request]))
