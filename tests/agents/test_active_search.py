"""Active search: what it learns belongs to one instance, repeats what is known, and is better than trying as often."""

import copy
import json

import pytest
import torch

import dispatchgym
from dispatchgym import evaluate
from dispatchgym.agents import active_search
from dispatchgym.agents.gnn import GraphNetwork, inputs
from dispatchgym.agents.policy import NetworkPolicy
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Limits, solve
from dispatchgym.instances.catalogue import load_many

SHOPS = ["6x6:0", "6x6:1"]


def network_for(model, seed: int = 0) -> GraphNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GraphNetwork(model.spec, width=16, heads=2, layers=1, hidden=16)


@pytest.fixture
def played():
    """Two shops, six attempts at each: the search, its generator's simulation and a first round."""
    instances = load_many(SHOPS, "job_shop")
    model = family("job_shop").model(instances, family("job_shop").make_options())
    simulation = Simulation(model, instances, 12, group=6)
    searching = active_search.Search(network_for(model), simulation, torch.Generator().manual_seed(0))
    return searching, *searching.play(None)


def values(simulation) -> torch.Tensor:
    return simulation.outcome()[simulation.model.objective].reshape(len(simulation.instances), -1)


def log_probs(searching, steps) -> torch.Tensor:
    """(B,) of the attempts under the layers as they are now."""
    with torch.no_grad():
        return sum(
            (step.logits + searching.layers(step.hidden, searching.last)).log_softmax(1)
            .gather(1, step.place.unsqueeze(1)).squeeze(1) * step.going
            for step in steps
        )  # fmt: skip


def test_the_layers_begin_as_nothing(played):
    searching, steps, _ = played
    assert all(not searching.layers(step.hidden, searching.last).any() for step in steps)


def test_what_is_read_is_what_the_network_says(played):
    simulation, network = played[0].simulation, played[0].network
    simulation.reset()
    seen = inputs(simulation.observation, simulation.model.spec.complete)
    with torch.no_grad():
        logits, hidden, action = network.read(seen)
        whole, _ = network(seen, False)
        again = network.score[-1](hidden).squeeze(2)
    assert torch.equal(whole.gather(1, action), logits)
    legal = simulation.mask.gather(1, action) != 0
    assert torch.equal(again[legal], logits[legal]) and legal.sum() == simulation.mask.sum()


def test_a_round_repeats_what_is_known(played):
    searching, _, actions = played
    simulation = searching.simulation
    before = values(simulation).clone()
    rows = torch.arange(2) * 6 + before.argmin(1)
    schedules = [simulation.schedule(int(row)) for row in rows]
    searching.play(actions[rows])
    after = values(simulation)
    assert torch.equal(after[:, 0], before.min(1).values)
    assert (after[:, 1:] != before[:, 1:]).any()
    for place, schedule in enumerate(schedules):
        assert (simulation.schedule(6 * place).entries == schedule.entries).all()


def test_good_attempts_become_likelier_and_bad_ones_less_likely(played):
    searching, steps, _ = played
    value = torch.tensor([[50, 60, 70, 70, 70, 90], [40, 90, 70, 70, 70, 45]])
    before = log_probs(searching, steps)
    for _ in range(3):
        searching.learn(steps, value)
    change = (log_probs(searching, steps) - before).reshape(2, 6)
    assert change[0, 1] > change[0, 5] and change[1, 5] > change[1, 1]
    assert (change[:, 0] > 0).all()


def test_an_instance_learns_from_its_own_attempts_alone(played):
    searching, steps, _ = played
    other = copy.deepcopy(searching.layers)
    value = torch.tensor([[50, 60, 70, 80, 90, 95], [40, 90, 70, 71, 70, 45]])
    searching.learn(steps, value)
    mine = [parameter[0].clone() for parameter in searching.layers.parameters()]
    searching.layers = other
    searching.optimizer = torch.optim.Adam(other.parameters(), lr=active_search.LEARNING_RATE)
    value[1] = torch.tensor([70, 71, 99, 12, 30, 44])
    searching.learn(steps, value)
    assert all(torch.equal(one, parameter[0]) for one, parameter in zip(mine, other.parameters(), strict=True))


def test_where_all_are_alike_only_the_best_so_far_becomes_likelier(played):
    searching, steps, _ = played
    before = log_probs(searching, steps)
    searching.learn(steps, torch.full((2, 6), 70))
    assert ((log_probs(searching, steps) - before).reshape(2, 6)[:, 0] > 0).all()


def test_it_is_better_than_trying_as_often():
    """A network that knows nothing learns on the instance."""
    instances = load_many([f"10x10:{k}" for k in range(4)], "job_shop")
    model = family("job_shop").model(instances, family("job_shop").make_options())
    policy = NetworkPolicy(network_for(model), {})
    before = copy.deepcopy(policy.network.state_dict())
    state = torch.random.get_rng_state()
    means = []
    for limits in (Limits(samples=640), Limits(samples=32, active_search=19)):
        answers = solve(policy, instances, limits)
        assert all(answer.tried == 640 and answer.schedule.violations() == [] for answer in answers)
        means.append(sum(answer.schedule.metrics()["makespan"] for answer in answers) / 4)
    assert means[1] < means[0]
    assert all(torch.equal(tensor, policy.network.state_dict()[name]) for name, tensor in before.items())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("family_name", "name", "policy"),
    [
        ("job_shop", "ft06", "main"), ("flexible_job_shop", "sd1-10x5:0", "fjsp-10x5"),
        ("soc", "random-12:0", "random-plan"), ("vm", "hosts-20:0", "macro"),
    ],
)  # fmt: skip
def test_every_family_whose_world_can_be_repeated(family_name, name, policy):
    (instance,) = load_many([name], family_name)
    greedy = dispatchgym.solve(instance, f"pretrained/{policy}")
    found = dispatchgym.solve(instance, f"pretrained/{policy}", samples=4, active_search=2)
    again = dispatchgym.solve(instance, f"pretrained/{policy}", samples=4, active_search=2)
    objective = instance.objective
    assert found.violations() == [] and found.metrics()[objective] <= greedy.metrics()[objective]
    assert (found.entries == again.entries).all()


def test_fewer_at_a_time_are_as_many_attempts(monkeypatch):
    instances = load_many(SHOPS, "job_shop")
    policy = dispatchgym.envs.core.solvers.resolve("pretrained/main", "job_shop")
    monkeypatch.setattr(policy, "most_searched", lambda model: 4)
    for answer in solve(policy, instances, Limits(samples=8, active_search=1)):
        assert answer.tried == 16 and answer.schedule.violations() == []


def test_what_cannot_be_searched_is_an_error(monkeypatch):
    with pytest.raises(OptionError, match="world that goes on"):
        (requests,) = load_many(["route-prefix-n40:0"], "llm")
        dispatchgym.solve(requests, "pretrained/route-prefix", samples=4, active_search=1)
    for given in ({"samples": 2}, {}):
        with pytest.raises(OptionError, match="samples must be at least 3"):
            dispatchgym.solve("ft06", "pretrained/main", active_search=1, **given)
    with pytest.raises(OptionError, match="active_search must be from 0"):
        Limits(samples=4, active_search=-1)
    monkeypatch.setattr(active_search, "MOST_KEPT", 2**10)
    with pytest.raises(OptionError, match="too much"):
        dispatchgym.solve("ft06", "pretrained/main", samples=4, active_search=1)


def test_on_the_command_line_rules_go_on_as_they_do(monkeypatch, capsys):
    words = "job-shop --instances ft06 --policies spt pretrained/main --samples 4 --active-search 2 --format json"
    monkeypatch.setattr("sys.argv", ["evaluate.py", *words.split()])
    with pytest.raises(SystemExit, match="0"):
        evaluate.main()
    found = {one["policy"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["spt"]["samples"] == 4 and found["pretrained/main"]["samples"] == 12
