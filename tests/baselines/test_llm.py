"""Rules of LLM admission: each picks what its line says, and the better ones are better where there is too much."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.llm import POLICIES
from dispatchgym.baselines.llm_routing import ROUTING
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Limits, resolve, solve
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile
from dispatchgym.instances.catalogue import load_many

SECOND = 10**6
NEVER = 2**30
ADMISSION = sorted(set(POLICIES) - set(ROUTING))


class Offered:
    """A simulation as a rule sees it: columns by hand, one row of candidates; what is not said is 0."""

    def __init__(self, kind, **columns):
        width = len(kind)
        given = {"kind": kind} | {name: value for name, value in columns.items()}
        zero = [0] * width
        self.columns = {name: torch.tensor([given.get(name, zero)], dtype=torch.int32) for name in Model.columns}
        self.mask = torch.ones((1, width), dtype=torch.int8)

    def choice(self, name) -> int:
        return int(POLICIES[name].act(self, torch.Generator(), torch.zeros(1, dtype=torch.bool)))


# Three requests and to stop. Each of the first three is the best of something.
QUEUE = {
    "kind": [0, 0, 0, 1],
    "waited": [9, 5, 7, 0], "head": [1, 0, 0, 0], "prompt": [50, 10, 90, 0], "prefill": [50, 10, 90, 0],
    "predicted": [20, 30, 5, 0], "output": [25, 3, 40, 0], "service": [700, 400, 900, 0],
    "kv_time": [1200, 900, 800, 0], "due_in": [300, 700, 200, NEVER], "slack": [-400, 300, 9 * SECOND, NEVER],
    "late": [1, 0, 0, 0], "level": [1, 2, 0, 0], "client": [0, 1, 2, -1], "counter": [9000, 9010, 9050, 0],
    "attained": [80, 0, 40, 0], "peak": [990, 500, 700, 0], "batch": [2, 2, 2, 2],
}  # fmt: skip
PICKS = {
    "fcfs": 0, "fcfs-head": 0, "past-future": 0, "past-future-stop": 3, "sjf-output": 2, "sjf": 1, "sjf-kv": 2,
    "sjf-true": 1, "srpt": 1, "srpt-true": 1, "edf": 2, "least-slack": 0, "edf-feasible": 0, "sjf-feasible": 1,
    "kv-feasible": 2, "kv-feasible-careful": 2, "moore-hodgson": 0, "moore-hodgson-careful": 0, "atc": 1,
    "atc-careful": 1, "atc-kv-careful": 1, "aging": 1, "priority": 2, "mlfq": 2, "vtc": 0, "wfq": 1,
}  # fmt: skip


def test_every_rule_is_tested():
    assert set(PICKS) == set(ADMISSION) - {"random"}


@pytest.mark.parametrize("name", sorted(PICKS))
def test_rules_pick_what_they_say(name):
    assert Offered(**QUEUE).choice(name) == PICKS[name]


@pytest.mark.parametrize("name", sorted(set(PICKS) - {"fcfs-head", "past-future-stop"}))
def test_rules_stop_and_turn_away_only_if_they_must(name):
    rows = {key: [value[3], value[0]] for key, value in QUEUE.items()}
    assert Offered(**rows).choice(name) == 1  # to admit comes after to stop
    rows["kind"] = [2, 1]
    rows |= {key: [value[1], value[3]] for key, value in QUEUE.items() if key != "kind"}
    assert POLICIES[name].options["stop"] is False  # nobody asks them whether to stop while somebody fits


def test_nobody_passes_the_head_of_the_line():
    rows = QUEUE | {"head": [0, 0, 0, 0]}
    assert Offered(**rows).choice("fcfs-head") == 3 and Offered(**rows).choice("fcfs") == 0


def test_past_future_admits_to_an_empty_server_and_while_the_peak_fits():
    assert Offered(**QUEUE | {"batch": [0] * 4}).choice("past-future-stop") == 0
    assert Offered(**QUEUE | {"peak": [980, 0, 0, 0]}).choice("past-future-stop") == 0
    assert Offered(**QUEUE | {"peak": [981, 0, 0, 0]}).choice("past-future-stop") == 3


def test_late_ones_come_last_the_smallest_first():
    rows = QUEUE | {"late": [1, 1, 1, 0]}
    for name in ("sjf-feasible", "kv-feasible", "atc", "atc-careful"):
        assert Offered(**rows).choice(name) == 1  # by server time


def test_atc_weighs_slack_against_size():
    """Half a second of slack is worth as much as a service that is e times longer."""

    def pick(slack):
        return Offered([0, 0], service=[1000, int(1000 * np.e)], slack=[slack, 0], waited=[1, 0]).choice("atc")

    assert pick(SECOND // 2 - 2000) == 0 and pick(SECOND // 2 + 2000) == 1


def test_aging_lets_nobody_starve():
    assert Offered([0, 0], service=[100, 1000], waited=[0, 17_000]).choice("aging") == 0
    assert Offered([0, 0], service=[100, 1000], waited=[0, 19_000]).choice("aging") == 1


def test_levels_of_the_feedback_queue_double():
    for attained, level in ((0, 0), (63, 0), (64, 1), (191, 1), (192, 2), (447, 2), (448, 3)):
        lower = Offered([0, 0], attained=[attained, [0, 64, 192, 448][level]], waited=[0, 5])
        assert lower.choice("mlfq") == 1  # of one level the first come
        if level:
            assert Offered([0, 0], attained=[attained, [0, 64, 192][level - 1]], waited=[5, 0]).choice("mlfq") == 1


def test_the_one_that_runs_may_go_on():
    """On a preemptive server: shortest remaining time first, and feasible ones change."""
    rows = {"kind": [0, 3], "service": [500, 400], "predicted": [5, 4], "prefill": [0, 0], "output": [5, 4]}
    for name in ("srpt", "srpt-true", "sjf-output", "sjf-true"):
        assert Offered(**rows).choice(name) == 1
        assert (
            Offered(**{key: value[::-1] for key, value in rows.items() if key != "kind"}, kind=[0, 3]).choice(name) == 0
        )


def test_ties_go_to_who_came_first():
    for name in ("sjf", "srpt", "edf", "priority", "vtc", "wfq", "sjf-kv"):
        assert Offered([0, 0, 0], waited=[3, 9, 4]).choice(name) == 1


# ---------------------------------------------------------------------- in kind


def missed(names, policy, **world) -> np.ndarray:
    answers = solve(resolve(policy, "llm"), load_many(names, "llm"), Limits(options=world))
    assert all(answer.schedule.violations() == [] for answer in answers[:1])
    return np.array([answer.schedule.metrics()["miss_rate"] for answer in answers])


def test_where_there_is_too_much_late_ones_must_wait():
    names = ["overload-n300-x400:0-1"]
    rules = ("fcfs", "edf", "edf-feasible", "moore-hodgson", "atc", "srpt")
    found = {name: missed(names, name).mean() for name in rules}
    assert max(found[name] for name in rules[2:5]) < min(found[name] for name in ("fcfs", "edf", "srpt"))
    assert found["moore-hodgson"] <= found["edf-feasible"] and found["edf"] < found["fcfs"]


def test_shorter_ones_first_are_faster_on_a_serial_server():
    instances = load_many(["serial-n150:0-3", "serial-preemptive-n150:0-3"], "llm")
    mean = {}
    for name in ("fcfs", "sjf-true", "srpt-true"):
        answers = solve(resolve(name, "llm"), instances, Limits())
        mean[name] = [np.mean([a.schedule.metrics()["e2e_mean"] for a in part]) for part in (answers[:4], answers[4:])]
    assert mean["sjf-true"][0] < mean["fcfs"][0]
    assert mean["srpt-true"][1] < mean["fcfs"][1]


def test_fair_queueing_serves_clients_alike():
    """One client asks for twenty requests at once, another for two a moment later: it does not wait for all of them."""
    server = Profile(10**12, kv_tokens=4000, block_size=1, max_num_seqs=1, token_budget=64)
    instance = LLMInstance(
        "greedy", (server,), [0] * 20 + [5] * 2, [8] * 22, [10] * 22, client=[0] * 20 + [1] * 2, objective="e2e_mean"
    )
    wait = {}
    for name in ("fcfs", "vtc", "wfq"):
        simulation = Simulation(Model([instance], Options(**POLICIES[name].options)), [instance], 1)
        simulation.reset()
        while not simulation.terminated[0]:
            action = POLICIES[name].act(simulation, torch.Generator(), torch.zeros(1, dtype=torch.bool))
            simulation.step(action)
        wait[name] = int((simulation.engine.tensors["ended"][0, 20:]).max())
    assert wait["vtc"] < wait["fcfs"] / 2 and wait["wfq"] < wait["fcfs"] / 2
