"""The observation of class moves and macros against plain computations, and what both forms of it have in common."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm import model as model_room
from dispatchgym.envs.vm import observe, observe_vms, observe_wide
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.model import TASKS, Model
from dispatchgym.envs.vm.options import MOVES, Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def shown(simulation, place=0) -> dict[str, np.ndarray]:
    return {key: tensor[place].numpy() for key, tensor in simulation.observation.items()}


def close(a, b) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-5)


def differing(features, a, b) -> list[str]:
    """Names of the features whose columns differ."""
    assert a.shape == b.shape
    return [f.name for k, f in enumerate(features) if not np.allclose(a[..., k], b[..., k], rtol=1e-5, atol=1e-5)]


def check(recount, features, simulation, place) -> None:
    """Everything that an environment shows."""
    seen = recount.Seen(simulation, place)
    now, expected, classes = shown(simulation, place), features.Expected(seen), recount.Classes(seen)
    spec, c, k = simulation.model.spec, int(seen.class_count), int(seen.key_count)
    assert differing(observe.CLASS_OF_VMS, now["work"][:c], expected.work()) == [] and not now["work"][c:].any()
    assert differing(observe.CLASS_OF_PLACES, now["resource"][:k], expected.resource()) == []
    assert not now["resource"][k:].any()
    assert differing(spec.context, now["context"], expected.context()) == []
    firsts = [int(seen.first_node[key]) for key in seen.key_list[:k]]
    row_of = {}
    for row, n in enumerate(firsts):
        key = classes.host_key(n // 2) if seen.key_list[row] >= 256 else classes.node_key(n)
        assert classes.places[key][0] == n
        row_of[key] = row
    class_of = {members[0]: key for (key, _), members in classes.members.items()}
    member_of = {vm: members[0] for members in classes.members.values() for vm in members}
    sizes = {members[0]: len(members) for members in classes.members.values()}
    check_edges(features, seen, now, spec, class_of, row_of)

    def more(action):
        vm, node = int(seen.vm[action]), int(seen.node[action])
        at = int(seen.source[action]) if seen.options.moves == "macro" else node
        row = row_of.get(classes.key_of(vm, at), spec.resources) if at >= 0 else spec.resources
        first = member_of.get(vm)
        number = seen.class_vm[:c].tolist().index(first) if first is not None else spec.works
        assert now["candidate"][action].tolist() == [number, row]
        size = len(classes.places[classes.key_of(vm, at)]) if row < spec.resources else 0
        return {"class_size": features.share(sizes.get(first, 0)), "target_size": features.share(size)}

    legal = now["action_mask"] == 1
    assert differing(spec.candidate, now["candidate_attr"][legal], expected.candidates(more)) == []
    assert not now["candidate_attr"][~legal].any()
    assert (now["candidate"][~legal] == [spec.works, spec.resources]).all()


def check_edges(features, seen, now, spec, class_of, row_of) -> None:
    """From each class of VMs to the class of nodes where it is; none where that accepts no VM, or is nowhere."""
    for c in range(spec.edges):
        ends, size = [spec.works, spec.resources], 0
        if c < seen.class_count:
            key = class_of[int(seen.class_vm[c])]
            if key in row_of:
                ends, size = [c, row_of[key]], features.share(int(seen.class_size[c]))
        assert now["assignment"][:, c].tolist() == ends and abs(now["assignment_attr"][c, 0] - size) < 1e-6


@settings(max_examples=70)
@given(seeds, st.sampled_from(TASKS), st.sampled_from(["class", "macro"]))
def test_features_are_what_they_say(
    recount, features, random_cluster, random_vm_options, legal, seed, task, moves
):  # fmt: skip
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task, hosts=int(rng.integers(1, 6))) for _ in range(3)]
    model = Model(instances, random_vm_options(rng, task, moves="class" if task == "pack" else moves))
    simulation = Simulation(model, instances, 3)
    simulation.reset()
    for _ in range(9):
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            check(recount, features, simulation, place)
        simulation.step(legal(simulation.mask, rng))


@pytest.mark.parametrize("names", [["hosts-6:0"], ["churn-4-20:0"], ["pods-8x4:0"], ["affinity-5-20:0"]], ids=str)
@pytest.mark.parametrize("moves", ["class", "macro"])
def test_features_are_what_they_say_on_presets(recount, features, legal, names, moves):
    if names[0].startswith("pods") and moves == "macro":
        return  # there are none
    rng, instances = np.random.default_rng(0), load_many(names, "vm")
    for more in ({}, {"weight_64": 40}):
        simulation = Simulation(Model(instances, Options(moves=moves, mnl=9, **more)), instances, 1)
        simulation.reset()
        for _ in range(12):
            if not simulation.terminated[0]:
                check(recount, features, simulation, 0)
            simulation.step(legal(simulation.mask, rng))
            simulation.restart()


# ---------------------------------------------------------------------- both observations


def real_part(simulation, place, instance) -> dict[str, np.ndarray]:
    """What an environment shows of an instance without the padding, which is checked to be blank."""
    now, spec, model = shown(simulation, place), simulation.model.spec, simulation.model
    works, resources, edges = instance.vms, instance.nodes, 2 * instance.vms
    open = np.flatnonzero(now["action_mask"])
    if model.options.moves != "vm":
        works = edges = int(simulation.engine.tensors["class_count"][place])
        resources = int(simulation.engine.tensors["key_count"][place])
    assert not now["work"][works:].any() and not now["resource"][resources:].any()
    padded = [[spec.works], [spec.resources]]
    assert (now["assignment"][:, edges:] == padded).all() and not now["assignment_attr"][edges:].any()
    ends = now["assignment"][:, :edges]
    candidate = now["candidate"][open]
    return {
        "work": now["work"][:works], "resource": now["resource"][:resources], "context": now["context"],
        "ends": np.where(ends == padded, -1, ends), "size": now["assignment_attr"][:edges],
        "candidate": np.where(candidate == [spec.works, spec.resources], -1, candidate),
        "candidate_attr": now["candidate_attr"][open],
    }  # fmt: skip


def of_one_priority(instance: VMInstance) -> VMInstance:
    """Levels are counted from the highest one of the batch; with one of them alone there is nothing to count."""
    columns = ("node_cores", "node_memory", "cores", "memory", "numas", "node", "movable")
    more = ("arrival", "departure", "rack", "drained", "groups", "horizon")
    return VMInstance("one", *(getattr(instance, name) for name in columns),
                      **{name: getattr(instance, name) for name in more})  # fmt: skip


@settings(max_examples=40)
@given(seeds, st.sampled_from(TASKS), st.sampled_from(MOVES))
def test_padding_changes_nothing(random_cluster, random_vm_options, legal, seed, task, moves):
    """Features, candidates and rewards of an instance are the same to the bit alone and in larger company."""
    rng = np.random.default_rng(seed)
    small, large = (of_one_priority(random_cluster(rng, task, hosts=k)) for k in (2, 4))
    options = random_vm_options(rng, task, moves="vm" if (task, moves) == ("pack", "macro") else moves, choice=512)
    alone = Simulation(Model([small], options), [small], 1)
    padded = Simulation(Model([small, large], options), [large, small], 2)
    for simulation in (alone, padded):
        simulation.reset()
    while not alone.terminated[0]:
        one, other = real_part(alone, 0, small), real_part(padded, 1, small)
        assert [key for key in one if one[key].tobytes() != np.ascontiguousarray(other[key]).tobytes()] == []
        k = int(rng.integers(len(one["candidate"])))
        action = [simulation.mask[place].nonzero()[k, 0] for simulation, place in ((alone, 0), (padded, 1))]
        alone.step(action[0][None])
        padded.step(torch.stack([legal(padded.mask, rng)[0], action[1]]))
        assert alone.reward[0] == padded.reward[1] and alone.terminated[0] == padded.terminated[1]


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("ending", ["legal", "illegal", "in the middle"])
@pytest.mark.parametrize(
    "names", [["small:0", "plateau"], ["churn-4-20:0", "churn-2-9:0"], ["pods-8x4:0", "pods-3x3:0"]]
)
def test_observation_does_not_remember_the_last_episode(legal, moves, ending, names):
    if names[0].startswith("pods") and moves == "macro":
        return  # there are none
    other, one = load_many(names, "vm")
    model, rng, steps = Model([one, other], Options(moves=moves, mnl=6)), np.random.default_rng(1), 0
    fresh, used = Simulation(model, [one], 1), Simulation(model, [other], 1)
    used.reset()
    while not used.terminated[0] and (ending == "legal" or steps < 5):
        open = used.mask[:, :-1]
        used.step(torch.where(open.any(dim=1), legal(open, rng), model.actions - 1))
        steps += 1
    if ending == "illegal":
        over = bool(used.terminated[0])  # already, for want of anything to do
        used.step(torch.tensor([-1]))
        assert over or not shown(used)["candidate_attr"].any() and not shown(used)["action_mask"].any()
    used.load([one])
    for simulation in (fresh, used):
        simulation.reset()
    while not fresh.terminated[0]:
        a, b = shown(fresh), shown(used)
        assert [key for key in a if a[key].tobytes() != b[key].tobytes()] == []
        action = legal(fresh.mask, rng)
        for simulation in (fresh, used):
            simulation.step(action)


@pytest.mark.parametrize("moves", MOVES)
def test_without_an_observation_the_same_is_done(legal, moves):
    instances, rng = load_many(["hosts-6:0-1", "affinity-5-20:0"], "vm"), np.random.default_rng(0)
    model = Model(instances, Options(moves=moves, mnl=9))
    seeing, blind = (Simulation(model, instances, 3, observe=sight) for sight in (True, False))
    for simulation in (seeing, blind):
        simulation.reset()
    assert blind.engine.tensors["work"].numel() == 0
    while not seeing.terminated.all():
        names = [*model.columns, *model.outcome.values(), "reward", "place", "action_mask"]
        assert [
            name for name in names if not torch.equal(seeing.engine.tensors[name], blind.engine.tensors[name])
        ] == []
        action = legal(seeing.mask, rng)
        for simulation in (seeing, blind):
            simulation.step(action)


def test_classes_without_a_row_are_shown_as_padding(recount, features, legal, monkeypatch):
    monkeypatch.setattr(model_room, "MOST_CLASSES", 4)
    rng, instances = np.random.default_rng(0), load_many("hosts-6:0", "vm")
    for moves in ("class", "macro"):
        simulation = Simulation(Model(instances, Options(moves=moves, mnl=9)), instances, 1)
        simulation.reset()
        while not simulation.terminated[0]:
            now = shown(simulation)
            assert now["work"].shape[0] == now["resource"].shape[0] == 4 and now["work"][:, -1].all()
            legal_ones = now["action_mask"] == 1
            assert (now["candidate"] <= 4).all() and simulation.observation["work"].isfinite().all()
            if moves == "class":
                assert (now["candidate"][legal_ones][:-1] < 4).all()  # only what has a row is offered
            simulation.step(legal(simulation.mask, rng))


def test_every_feature_is_described():
    every = [observe.CLASS_OF_VMS, observe.CLASS_OF_PLACES, observe.WHEREABOUTS, observe.CANDIDATE, observe.CONTEXT]
    every += [observe_wide.WIDE_CANDIDATE, observe_wide.WIDE_CONTEXT]
    for features in [*every, observe_vms.VM_NODE, observe_vms.NUMA_NODE, observe_vms.ON]:
        assert len({f.name for f in features}) == len(features) and all(f.doc and f.low < f.high for f in features)


def test_what_is_shown_besides_where_fr_64_counts():
    """It comes last, where classes and macros are chosen from, and the page of the family lists it."""
    page = (Path(observe.__file__).parent / "README.md").read_text(encoding="utf-8")
    instances = load_many("hosts-6:0", "vm")
    for moves in MOVES:
        plain, wide = (Model(instances, Options(moves=moves, weight_64=w)).spec for w in (0, 1))
        for part in ("context", "candidate"):
            more = {"context": observe_wide.WIDE_CONTEXT, "candidate": observe_wide.WIDE_CANDIDATE}[part]
            assert getattr(wide, part) == getattr(plain, part) + (more if moves != "vm" else ())
            assert all(f"| `{f.name}` | {f.doc} | {f.low:g} .. {f.high:g} |" in page for f in more)
