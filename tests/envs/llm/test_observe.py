"""The observation against plain computations, its bounds, its padding, and what it does not depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm import observe
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)
REJECT, CONTINUE = 2, 3


def game(seed, count, random_requests, random_llm_options, **fixed):
    rng = np.random.default_rng(seed)
    objective = str(rng.choice(["miss_rate", "e2e_mean"]))
    instances = [random_requests(rng, objective) for _ in range(count)]
    simulation = Simulation(Model(instances, random_llm_options(rng, objective, **fixed)), instances, count)
    simulation.reset()
    return rng, simulation


def shown(simulation, place) -> dict[str, np.ndarray]:
    return {key: tensor[place].numpy() for key, tensor in simulation.observation.items()}


def differing(features, found, wanted) -> list[str]:
    """Names of the features of a row that are not as they should be."""
    assert found.shape == (len(features),) == np.shape(wanted)
    close = np.isclose(found, np.array(wanted, float), rtol=1e-5, atol=1e-5)
    return [f"{f.name}: {found[k]}, not {wanted[k]}" for k, f in enumerate(features) if not close[k]]


def check(recount, expected, simulation, place) -> None:
    """Everything that an environment shows."""
    seen = recount.Seen(simulation, place)
    now, right, spec = shown(simulation, place), expected.Expected(seen), simulation.model.spec
    assert differing(observe.CONTEXT, now["context"], right.context()) == []
    for r in range(spec.resources):
        wanted = right.resource_row(r) if r < seen.count else [0] * len(observe.SERVER)
        assert differing(observe.SERVER, now["resource"][r], wanted) == []
    rows = right.rows()
    requests, edges = {}, {}
    for a in range(spec.actions):
        ends = [spec.works, spec.resources]
        if a in rows:
            assert differing(observe.CANDIDATE, now["candidate_attr"][a], right.candidate_row(a, rows)) == []
            q, r, kind, w = int(seen.request_at[a]), int(seen.server[a]), int(seen.kind[a]), 0 if seen.routing else a
            ends = [w if q >= 0 else spec.works, r if kind != REJECT else spec.resources]
            if q >= 0:
                c, runs = rows[a], float(kind == CONTINUE)
                emitted = int(seen.output_tokens[q]) - c["output"]
                requests[w] = right.work_row(q, c["prefill"], c["predicted"], emitted, runs)
                hit = min(c["hit"] / int(seen.prompt_tokens[q]), 1)
                edges[w, r] = [runs, hit, min(max(c["ttft"] / 4e6, 0), 4)]
        else:
            assert not now["candidate_attr"][a].any()
        assert now["candidate"][a].tolist() == ends
    first = 1 if seen.routing else spec.actions
    if seen.options.observation == "batch":
        for slot in (slot for row in seen.slots for slot in row):
            left = right.answer(slot.q, slot.emitted)
            requests[first] = right.work_row(slot.q, slot.left, left, slot.emitted, 1.0)
            edges[first, slot.r] = [1.0, 0.0, 0.0]
            first += 1
    for w in range(spec.works):
        assert differing(observe.REQUEST, now["work"][w], requests.get(w, [0] * len(observe.REQUEST))) == []
    check_edges(now, spec, edges)


def check_edges(now, spec, edges) -> None:
    for e in range(spec.edges):
        pair = divmod(e, spec.resources)
        there = now["assignment"][:, e].tolist()
        assert there == (list(pair) if pair in edges else [spec.works, spec.resources])
        assert differing(observe.ON, now["assignment_attr"][e], edges.get(pair, [0, 0, 0])) == []


@settings(max_examples=50)
@given(seeds)
def test_features_and_columns_are_what_they_say(
    recount, expected, random_requests, random_llm_options, legal, seed
):  # fmt: skip
    rng, simulation = game(seed, 3, random_requests, random_llm_options)
    for step in range(40):
        for place in np.flatnonzero(simulation.terminated == 0).tolist()[step % 3 :][:1]:
            check_columns(recount, expected, simulation, place)
            check(recount, expected, simulation, place)
        simulation.step(legal(simulation.mask, rng))


def check_columns(recount, expected, simulation, place) -> None:
    """What rules read, of every legal candidate."""
    seen = recount.Seen(simulation, place)
    for a, row in expected.Expected(seen).rows().items():
        found = {name: int(simulation.columns[name][place, a]) for name in row}
        assert found == row, f"candidate {a} of kind {seen.kind[a]}"
    assert set(row) == set(simulation.model.columns) - {"request_at", "server", "kind"}


@settings(max_examples=25)
@given(seeds)
def test_observations_are_within_bounds_finite_and_padded(random_requests, random_llm_options, legal, seed):
    rng, simulation = game(seed, 8, random_requests, random_llm_options)
    spec = simulation.model.spec
    groups = {
        "work": spec.work, "resource": spec.resource, "context": spec.context, "assignment_attr": spec.assignment,
        "candidate_attr": spec.candidate,
    }  # fmt: skip
    for _ in range(25):
        for key, features in groups.items():
            values = simulation.observation[key].numpy()
            assert np.isfinite(values).all()
            for k, feature in enumerate(features):
                assert (values[..., k] >= feature.low).all() and (values[..., k] <= feature.high).all(), feature.name
        candidates = simulation.observation["candidate"]
        assert ((candidates >= 0) & (candidates <= torch.tensor([spec.works, spec.resources]))).all()
        open = simulation.mask == 1
        assert (candidates[~open] == torch.tensor([spec.works, spec.resources])).all()
        simulation.step(legal(simulation.mask, rng))


def test_who_is_finished_shows_nothing_but_the_context(random_requests, random_llm_options, legal):
    rng, simulation = game(3, 8, random_requests, random_llm_options, observation="batch")
    while not simulation.terminated.all():
        simulation.step(legal(simulation.mask, rng))
    assert not simulation.mask[simulation.outcome()["decisions"] > 0].any()
    for key in ("work", "candidate_attr", "assignment_attr"):
        assert not simulation.observation[key].any()


def test_servers_are_shown_alike_whatever_their_number(random_requests, legal):
    """Servers the other way round show the same rows the other way round; what is random or in turns is left out."""
    rng = np.random.default_rng(5)
    pairs = []
    while len(pairs) < 12:
        instance = random_requests(rng, "e2e_mean")
        if len(instance.servers) > 1:
            pairs.append((instance, _turned(instance)))
    for instance, turned in pairs:
        options = dict(control="routing", observation="queue", prediction="exact")
        one, other = (_begin(each, options) for each in (instance, turned))
        last = len(instance.servers) - 1
        random = [k for k, f in enumerate(observe.CANDIDATE) if f.name in ("first_hash", "second_hash")]
        while not one.terminated[0]:
            mine, its = (shown(each, 0) for each in (one, other))
            assert (mine["resource"] == its["resource"][::-1]).all() and (mine["context"] == its["context"]).all()
            fixed = np.delete(np.arange(len(observe.CANDIDATE)), random)
            assert (mine["candidate_attr"][:, fixed] == its["candidate_attr"][::-1][:, fixed]).all()
            action = legal(one.mask, rng)
            one.step(action)
            other.step(last - action)
        assert other.terminated[0] and one.outcome()["flow_time"].equal(other.outcome()["flow_time"])


def _turned(instance: LLMInstance) -> LLMInstance:
    return replace(instance, servers=instance.servers[::-1], server_names=())


def _begin(instance, options) -> Simulation:
    simulation = Simulation(Model([instance], Options(**options)), [instance], 1)
    simulation.reset()
    return simulation


@pytest.mark.parametrize("names, options", [
    (["steady-n30:0"], {}), (["overload-n40:0"], {"order": "moore-hodgson", "observation": "batch"}),
    (["tight-kv-n20:0"], {"reject": True, "order": "arrival"}), (["route-prefix-n40:0"], {"control": "routing"}),
], ids=str)  # fmt: skip
def test_features_are_what_they_say_on_presets(recount, expected, legal, names, options):
    rng, instances = np.random.default_rng(0), load_many(names, "llm")
    simulation = _begin(instances[0], options)
    for step in range(60):
        if simulation.terminated[0]:
            break
        if step % 4 == 0:
            recount.Seen(simulation).check()
            check_columns(recount, expected, simulation, 0)
            check(recount, expected, simulation, 0)
        simulation.step(legal(simulation.mask, rng))
    assert step > 10


def test_every_feature_is_said_once_and_bounded():
    for features in (observe.REQUEST, observe.SERVER, observe.CONTEXT, observe.ON, observe.CANDIDATE):
        names = [feature.name for feature in features]
        assert len(set(names)) == len(names) and all(feature.low < feature.high for feature in features)
