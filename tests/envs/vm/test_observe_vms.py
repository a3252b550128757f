"""The observation of moves in two steps: every VM, every node and who is where, against plain computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.vm import observe, observe_vms
from dispatchgym.envs.vm.model import TASKS, Model
from dispatchgym.envs.vm.options import Options
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def differing(features, a, b) -> list[str]:
    """Names of the features whose columns differ."""
    assert a.shape == b.shape
    return [f.name for k, f in enumerate(features) if not np.allclose(a[..., k], b[..., k], rtol=1e-5, atol=1e-5)]


def check(recount, features, simulation, place) -> None:
    """Everything that an environment shows."""
    seen, spec = recount.Seen(simulation, place), simulation.model.spec
    now = {key: tensor[place].numpy() for key, tensor in simulation.observation.items()}
    expected, vms, nodes = features.Expected(seen), seen.cluster.vms, seen.cluster.nodes
    assert differing(observe_vms.VM_NODE, now["work"][:vms], expected.vms()) == [] and not now["work"][vms:].any()
    assert differing(observe_vms.NUMA_NODE, now["resource"][:nodes], expected.nodes()) == []
    assert not now["resource"][nodes:].any()
    assert differing(observe.CONTEXT, now["context"], expected.context()) == []
    legal = now["action_mask"] == 1
    assert differing(observe.CANDIDATE, now["candidate_attr"][legal], expected.candidates(lambda action: {})) == []
    assert not now["candidate_attr"][~legal].any()
    for action in range(simulation.model.actions):
        ends = [spec.works, spec.resources]
        if legal[action] and seen.vm[action] >= 0:
            node = int(seen.node[action])
            ends = [int(seen.vm[action]), node if node >= 0 else spec.resources]
        assert now["candidate"][action].tolist() == ends
    edges = []
    for vm in range(spec.works):
        at = int(seen.count.node[vm]) if vm < vms else -1
        on = seen.count.spread(vm, at) if at >= 0 else []
        edges += [(vm, n, min(seen.count.cores[vm] / 16, 4)) for n in on]
        edges += [(spec.works, spec.resources, 0)] * (2 - len(on))
    assert now["assignment"].T.tolist() == [list(edge[:2]) for edge in edges]
    assert np.allclose(now["assignment_attr"][:, 0], [edge[2] for edge in edges])


@settings(max_examples=70)
@given(seeds, st.sampled_from(TASKS))
def test_features_are_what_they_say(recount, features, random_cluster, random_vm_options, legal, seed, task):
    rng = np.random.default_rng(seed)
    instances = [random_cluster(rng, task, hosts=int(rng.integers(1, 5))) for _ in range(3)]
    simulation = Simulation(Model(instances, random_vm_options(rng, task, moves="vm")), instances, 3)
    simulation.reset()
    for _ in range(10):
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            check(recount, features, simulation, place)
        simulation.step(legal(simulation.mask, rng))


@pytest.mark.parametrize("names", [["hosts-6:0"], ["churn-4-20:0"], ["pods-8x4:0"], ["affinity-5-20:0"]], ids=str)
def test_features_are_what_they_say_on_presets(recount, features, legal, names):
    rng, instances = np.random.default_rng(0), load_many(names, "vm")
    simulation = Simulation(Model(instances, Options(moves="vm", mnl=9, weight_memory=20)), instances, 1)
    simulation.reset()
    for _ in range(16):
        if not simulation.terminated[0]:
            check(recount, features, simulation, 0)
        simulation.step(legal(simulation.mask, rng))
        simulation.restart()


def test_who_is_chosen_is_shown():
    instances = load_many("plateau", "vm")
    simulation = Simulation(Model(instances, Options(moves="vm", forced_moves=False)), instances, 1)
    simulation.reset()
    names = [feature.name for feature in observe_vms.VM_NODE]
    chosen = simulation.observation["work"][0, :, names.index("chosen")]
    assert not chosen.any()
    action = simulation.mask[0].nonzero()[0]
    simulation.step(action)
    assert chosen.nonzero().flatten().tolist() == action.tolist()
    simulation.step(simulation.mask[0].nonzero()[0])
    assert not chosen.any()
