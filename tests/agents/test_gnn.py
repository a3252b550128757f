"""The graph network: what must not matter (order, padding, form) does not, and what is masked is never chosen."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from dispatchgym.agents.gnn import NEVER, GraphNetwork, inputs
from dispatchgym.envs.core.registry import family, instances
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.instance import JobShopInstance

OBSERVATIONS = ("jobs", "operations")
SEEDS = st.integers(0, 2**31 - 1)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
TWICE = JobShopInstance("twice", 2, [[3, 1, 4], [1, 5, 0], [2, 6, 5]], [[0, 1, 0], [1, 0, -1], [0, 1, 1]])


def make_model(shops, **options):
    entry = family("job_shop")
    return entry.model(shops, entry.make_options(**options))


def observe_midway(model, shops, seed: int, legal, steps: int | None = None) -> dict[str, torch.Tensor]:
    """Observations of episodes played a random way; the copies stand at different points, some at their end."""
    rng = np.random.default_rng(seed)
    simulation = Simulation(model, shops, 3 * len(shops), group=3)
    simulation.reset()
    seen = []
    for _ in range(model.horizon + 1):
        seen.append({key: tensor.clone() for key, tensor in simulation.observation.items()})
        simulation.step(legal(simulation.mask, rng))
    when = rng.integers(len(seen), size=3 * len(shops)) if steps is None else np.full(3 * len(shops), steps)
    return {key: torch.stack([seen[t][key][i] for i, t in enumerate(when)]) for key in seen[0]}


def make_network(spec, seed: int, **arguments) -> GraphNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = GraphNetwork(spec, **({"width": 16, "heads": 4, "layers": 2, "hidden": 16} | arguments))
        for parameter in network.parameters():  # so that no zero bias hides a mistake
            parameter.data += 0.2 * torch.randn_like(parameter)
    return network


def small_shops():
    return instances(["4x3:0-1", "3x3:0", "2x2:5"], "job_shop")


def permute(observation, spec, work, resource, action, rng) -> dict[str, torch.Tensor]:
    """The same graph in another order: row i is the old row ``work[i]``, and so on; edges are shuffled too."""
    new_work = torch.cat([work.argsort(), torch.tensor([spec.works])])
    new_resource = torch.cat([resource.argsort(), torch.tensor([spec.resources])])
    result = dict(observation)
    result["work"], result["resource"] = observation["work"][:, work], observation["resource"][:, resource]
    candidate = observation["candidate"][:, action]
    result["candidate"] = torch.stack([new_work[candidate[..., 0]], new_resource[candidate[..., 1]]], 2)
    for key in ("candidate_attr", "action_mask"):
        result[key] = observation[key][:, action]
    if spec.complete:
        edges = (work[:, None] * spec.resources + resource).flatten()
    else:
        edges = torch.from_numpy(rng.permutation(spec.edges))
    old = observation["assignment"][:, :, edges]
    result["assignment"] = torch.stack([new_work[old[:, 0]], new_resource[old[:, 1]]], 1)
    result["assignment_attr"] = observation["assignment_attr"][:, edges]
    if spec.precedences:
        arcs = torch.from_numpy(rng.permutation(spec.precedences))
        result["precedence"] = new_work[observation["precedence"][:, :, arcs]]
        result["precedence_attr"] = observation["precedence_attr"][:, arcs]
    return result


@pytest.mark.parametrize("form", ["dense", "sparse", "operations", "revisits"])
@given(seed=SEEDS)
def test_order_of_nodes_does_not_matter(form, legal, seed):
    rng = np.random.default_rng(seed)
    shops = [TWICE] if form == "revisits" else small_shops()
    model = make_model(shops, observation="operations" if form == "operations" else "jobs")
    spec, dense = model.spec, form == "dense"
    assert spec.complete == (form in ("dense", "sparse"))
    seen = observe_midway(model, shops, seed, legal)
    work, resource, action = (torch.from_numpy(rng.permutation(n)) for n in (spec.works, spec.resources, spec.actions))
    if form != "operations":
        action = work  # action j is job j
    network = make_network(spec, seed)
    logits, value = network(inputs(seen, dense))
    permuted, same_value = network(inputs(permute(seen, spec, work, resource, action, rng), dense))
    assert_close(permuted, logits[:, action], **CLOSE)
    assert_close(same_value, value, **CLOSE)


@given(seed=SEEDS)
def test_dense_equals_sparse(legal, seed):
    shops = small_shops()
    model = make_model(shops)
    seen = observe_midway(model, shops, seed, legal)
    assert not bool((seen["work"][..., 14] == 1).all()), "no finished job and no padding among them"
    answers = []
    for complete in (True, False):
        network = make_network(model.spec, seed)
        logits, value = network(inputs(seen, complete))
        (logits.clamp_min(-100).square().sum() + value.sum()).backward()
        answers.append((logits, value, [parameter.grad for parameter in network.parameters()]))
    (logits, value, gradients), (same_logits, same_value, same_gradients) = answers
    assert_close(logits, same_logits, **CLOSE)
    assert_close(value, same_value, **CLOSE)
    for gradient, same in zip(gradients, same_gradients, strict=True):
        assert_close(gradient, same, rtol=1e-3, atol=1e-3)


def test_dense_equals_sparse_in_double_precision(legal):
    shops = small_shops()
    model = make_model(shops)
    seen = observe_midway(model, shops, 1, legal)
    seen = {key: tensor.double() if tensor.is_floating_point() else tensor for key, tensor in seen.items()}
    network = make_network(model.spec, 1).double()
    dense, sparse = network(inputs(seen, True)), network(inputs(seen, False))
    assert_close(dense[0], sparse[0], rtol=1e-12, atol=1e-12)
    assert_close(dense[1], sparse[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("steps", [0, 3])
def test_padding_changes_nothing(observation, steps):
    alone, other = instances("4x3:0", "job_shop"), instances("6x5:0", "job_shop")
    model, padded = (make_model(shops, observation=observation) for shops in (alone, alone + other))
    network = make_network(model.spec, 0)

    def first_legal(mask, rng):
        return mask.argmax(1)  # whatever the padded number of actions is

    seen, seen_padded = (observe_midway(m, alone, 3, first_legal, steps) for m in (model, padded))
    logits, value = network(inputs(seen, model.spec.complete))
    wide, same_value = network(inputs(seen_padded, padded.spec.complete))
    assert bool((wide[:, model.spec.actions :] == NEVER).all())
    assert_close(wide[:, : model.spec.actions], logits, **CLOSE)
    assert_close(same_value, value, **CLOSE)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@given(seed=SEEDS, scale=st.sampled_from([1.0, 1e4]))
def test_masked_candidates_are_never_chosen(observation, legal, seed, scale):
    shops = small_shops()
    model = make_model(shops, observation=observation)
    seen = observe_midway(model, shops, seed, legal)
    network = make_network(model.spec, seed).requires_grad_(False)
    network.score[-1].weight.data *= scale
    logits, _ = network(inputs(seen, model.spec.complete), False)
    mask = seen["action_mask"] == 1
    assert bool((logits[~mask] == NEVER).all())
    some = mask.any(1)
    assert bool(mask[some].gather(1, logits[some].argmax(1, keepdim=True)).all())
    assert float(logits[some].softmax(1)[~mask[some]].sum()) == 0.0


@pytest.mark.parametrize("form", ["jobs", "operations", "sparse"])
def test_finished_episodes_give_finite_answers_and_gradients(form, legal):
    shops = small_shops()
    model = make_model(shops, observation="operations" if form == "operations" else "jobs")
    seen = observe_midway(model, shops, 0, legal, steps=model.horizon)
    assert not bool(seen["action_mask"].any())
    network = make_network(model.spec, 0)
    logits, value = network(inputs(seen, model.spec.complete and form != "sparse"))
    assert bool((logits == NEVER).all()) and bool(torch.isfinite(value).all())
    (logits.log_softmax(1).sum() + value.sum()).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)


def test_a_missing_edge_is_not_read(legal):
    shops = instances("4x3:0", "job_shop")
    model = make_model(shops)
    seen = inputs(observe_midway(model, shops, 2, legal, steps=3), True)
    assert not bool(seen["present"].all())
    loud = seen | {"assignment_attr": seen["assignment_attr"].masked_fill(~seen["present"].unsqueeze(2), 5.0)}
    network = make_network(model.spec, 0)
    assert_close(network(seen), network(loud))
    heard = seen | {"assignment_attr": seen["assignment_attr"].masked_fill(seen["present"].unsqueeze(2), 5.0)}
    assert not torch.allclose(network(seen)[1], network(heard)[1], rtol=1e-3)


def test_arcs_are_read_in_their_direction(legal):
    shops = instances("4x3:0", "job_shop")
    model = make_model(shops, observation="operations")
    seen = observe_midway(model, shops, 2, legal, steps=3)
    network = make_network(model.spec, 0)
    turned = seen | {"precedence": seen["precedence"].flip(1)}
    cut = seen | {"precedence": torch.full_like(seen["precedence"], model.spec.works)}
    value = network(inputs(seen, False))[1]
    for changed in (turned, cut):
        assert not torch.allclose(network(inputs(changed, False))[1], value, rtol=1e-4)


def test_inputs_loses_nothing(legal):
    shops = small_shops()
    spec = make_model(shops).spec
    seen = observe_midway(make_model(shops), shops, 0, legal)
    before = {key: tensor.clone() for key, tensor in seen.items()}
    kept = inputs(seen, True)
    assert set(kept) == set(seen) - {"assignment"} | {"present"}
    edge = torch.arange(spec.edges)
    ends = torch.stack([edge // spec.resources, edge % spec.resources])
    rebuilt = torch.where(kept["present"].unsqueeze(1), ends, torch.tensor([[spec.works], [spec.resources]]))
    assert bool((rebuilt == seen["assignment"]).all())
    assert set(inputs(seen, False)) == set(seen)
    assert all(bool((seen[key] == before[key]).all()) for key in before), "the observation itself was changed"


def test_one_set_of_weights_serves_every_size(legal):
    small, large = make_model(small_shops()), make_model(instances("7x4:0", "job_shop"))
    network = make_network(small.spec, 0)
    seen = observe_midway(large, instances("7x4:0", "job_shop"), 0, legal, steps=0)
    assert network(inputs(seen, True))[0].shape == (3, 7)
    assert GraphNetwork(large.spec).state_dict().keys() == GraphNetwork(small.spec).state_dict().keys()
    assert network(inputs(seen, True), value=False)[1] is None


BUILD = """
import dispatchgym
from dispatchgym.agents.layers import ExchangeLayer
import os, sys
ExchangeLayer(8, 2, 3), ExchangeLayer(8, 2, 3)
print(os.listdir(sys.argv[1]))
"""


def test_no_code_is_left_among_temporary_files(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert not list(tmp_path.iterdir()), f"{there} before the end"
