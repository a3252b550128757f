"""Both observations of the job shop, against plain computations from the schedule so far."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.twin import twin
from dispatchgym.envs.job_shop import observe, observe_operations
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.instances.catalogue import load_many

ALL = ("active", "non-delay", "insertion", 0.3)
COLUMN = {
    name: {feature.name: k for k, feature in enumerate(features)}
    for name, features in {
        "job": observe.JOB, "machine": observe.MACHINE, "edge": observe.OPERATION_EDGE, "candidate": observe.CANDIDATE,
        "context": observe.CONTEXT, "operation": observe_operations.OPERATION, "arc": observe_operations.ARC,
    }.items()
}  # fmt: skip


def states(instance, options, legal, seed=0):
    """A simulation of one environment at every decision of a random episode, then at its end."""
    simulation, rng = Simulation(Model([instance], options), [instance], 1), np.random.default_rng(seed)
    simulation.reset()
    while not simulation.terminated[0]:
        yield simulation
        simulation.step(legal(simulation.mask, rng))
    yield simulation


def seen(simulation) -> dict[str, np.ndarray]:
    return {key: tensor[0].numpy() for key, tensor in simulation.observation.items()}


def several(random_shop, count, **settings):
    rng = np.random.default_rng(21)
    return [random_shop(rng, general=k % 2 == 0, **settings) for k in range(count)]


@pytest.mark.parametrize("kind", ["jobs", "operations"])
@pytest.mark.parametrize("construction", ALL)
@pytest.mark.parametrize("ending", ["legal", "illegal"])
def test_observation_does_not_remember_the_last_episode(legal, kind, construction, ending):
    shop, other = load_many(["4x3:0", "3x4:1"])
    model = Model([shop, other], Options(construction, False, kind))
    fresh, used = Simulation(model, [shop], 1), Simulation(model, [other], 1)
    used.reset()
    for _ in range(5 if ending == "illegal" else 12):
        used.step(legal(used.mask, np.random.default_rng(0)))
    if ending == "illegal":
        used.step(torch.tensor([-1]))
    assert used.terminated[0]
    used.load([shop])
    for simulation in (fresh, used):
        simulation.reset()
    rng = np.random.default_rng(1)
    while not fresh.terminated[0]:
        one, two = seen(fresh), seen(used)
        assert [key for key in one if one[key].tobytes() != two[key].tobytes()] == []
        action = legal(fresh.mask, rng)
        fresh.step(action)
        used.step(action)


@pytest.mark.parametrize("construction", ALL)
def test_the_bound_shown_is_a_bound(random_shop, legal, construction):
    """The bound that scales the features is never above the makespan; when operations are appended, it is not below the
    reward's."""
    sharp = twin(observe.sharp_bound)
    for k, instance in enumerate(several(random_shop, 60)):
        shown, rewarded = [], []
        for simulation in states(instance, Options(construction, False), legal, k):
            rewarded.append(int(simulation.outcome()["makespan"][0]))
            if not simulation.terminated[0]:
                shown.append(int(sharp(simulation.engine.twin().state, 0)))
        assert max(shown) <= rewarded[-1]
        if construction != "insertion":
            assert all(a >= b for a, b in zip(shown, rewarded, strict=False))


@pytest.mark.parametrize("construction", ALL)
def test_jobs_and_their_operations_to_come(random_shop, legal, construction):
    for k, instance in enumerate(several(random_shop, 40)):
        mean = max(instance.total_work / instance.operations.sum(), 1.0)
        for simulation in states(instance, Options(construction, False), legal, k):
            if simulation.terminated[0]:
                continue
            now, step = seen(simulation), simulation.engine.tensors["next_operation"][0].tolist()
            unfinished = [j for j, n in enumerate(instance.operations) if step[j] < n]
            assert now["work"][:, COLUMN["job"]["unfinished"]].nonzero()[0].tolist() == unfinished
            assert (now["work"][:, COLUMN["job"]["candidate"]] == now["action_mask"]).all()
            expected = sorted(
                (j, int(instance.machine[j, o]), np.float32(min(instance.duration[j, o] / mean / 2, 4)), o == step[j])
                for j in unfinished
                for o in range(step[j], instance.operations[j])
            )
            real = now["assignment"][0] < instance.jobs
            found = sorted(
                (j, m, attr[COLUMN["edge"]["processing_time"]], attr[COLUMN["edge"]["next"]] == 1)
                for j, m, attr in zip(*now["assignment"][:, real].tolist(), now["assignment_attr"][real], strict=True)
            )
            assert [row[:2] + row[3:] for row in found] == [row[:2] + row[3:] for row in expected]
            assert np.allclose([row[2] for row in found], [row[2] for row in expected], atol=1e-6)
            share = [instance.duration[j, : step[j]].sum() / max(instance.duration[j].sum(), 1) for j in unfinished]
            assert np.allclose(now["work"][unfinished, COLUMN["job"]["completed"]], share, atol=1e-6)
            context = now["context"][[COLUMN["context"]["unfinished"], COLUMN["context"]["candidates"]]]
            assert np.allclose(context * instance.jobs, [len(unfinished), now["action_mask"].sum()], atol=1e-4)


def test_complete_edges_stand_in_a_matrix(legal):
    instance = load_many("4x3:0")[0]
    simulation = next(states(instance, Options(), legal))
    assert simulation.model.spec.complete
    found = seen(simulation)["assignment"].reshape(2, 4, 3)
    assert (found[0] == np.arange(4)[:, None])[found[0] < 4].all() and (found[1] == np.arange(3))[found[1] < 3].all()
    again = JobShopInstance("again", 1, np.array([[1, 2]]), np.array([[0, 0]]))
    assert not Model([instance, again]).spec.complete


@pytest.mark.parametrize("construction", ALL)
def test_machines_and_candidates(random_shop, legal, construction):
    for k, instance in enumerate(several(random_shop, 40)):
        for simulation in states(instance, Options(construction, False), legal, k):
            if simulation.terminated[0]:
                continue
            now, tensors = seen(simulation), simulation.engine.tensors
            step, focus = tensors["next_operation"][0].tolist(), int(tensors["focus"][0])
            route = np.arange(instance.duration.shape[1])
            ahead = (route >= np.array(step)[:, None]) & (route < instance.operations[:, None])
            to_come = np.bincount(instance.machine[ahead], instance.duration[ahead], instance.machines)
            load = now["resource"][:, COLUMN["machine"]["relative_load"]]
            assert np.allclose(load, to_come / max(to_come.max(), 1), atol=1e-6)
            flag = now["resource"][:, COLUMN["machine"]["focus"]].nonzero()[0].tolist()
            assert flag == ([] if construction == "insertion" else [focus])
            for job in now["action_mask"].nonzero()[0]:
                machine = int(instance.machine[job, step[job]])
                assert now["candidate"][job].tolist() == [job, machine] and focus in (-1, machine)
                last = now["candidate_attr"][job, COLUMN["candidate"]["last"]]
                assert last == (step[job] + 1 == instance.operations[job])


@pytest.mark.parametrize("construction", ALL)
def test_the_disjunctive_graph(random_shop, legal, construction):
    """Nodes are operations; arcs are the routes and, of what is committed, each machine's order."""
    for k, instance in enumerate(several(random_shop, 40, shortest=1)):
        route = instance.duration.shape[1]
        chain = {(j * route + o - 1, j * route + o) for j, n in enumerate(instance.operations) for o in range(1, n)}
        for simulation in states(instance, Options(construction, False, "operations"), legal, k):
            now, nodes = seen(simulation), instance.jobs * route
            if simulation.terminated[0]:
                assert not now["work"].any()
                continue
            order = {}
            for j, o, machine, start, _ in simulation.schedule().entries.tolist():
                order.setdefault(machine, []).append((start, j * route + o))
            decided = {
                (a, b) for row in order.values() for (_, a), (_, b) in zip(sorted(row), sorted(row)[1:], strict=False)
            }
            real = now["precedence"][0] < nodes
            arcs = [
                (int(a), int(b), attr[COLUMN["arc"]["job"]] == 1, attr[COLUMN["arc"]["machine"]] == 1)
                for a, b, attr in zip(*now["precedence"][:, real], now["precedence_attr"][real], strict=True)
            ]
            assert {(a, b) for a, b, job, _ in arcs if job} == chain
            assert {(a, b) for a, b, _, machine in arcs if machine} == decided
            assert len(arcs) == len(chain) + len(decided) and all(job != machine for *_, job, machine in arcs)
            check_nodes(instance, simulation, now, route)


def check_nodes(instance, simulation, now, route) -> None:
    """Flags of the operation nodes, their edges to the machines, and the nodes that candidates name."""
    there = (np.arange(route) < instance.operations[:, None]).ravel()
    step = simulation.engine.tensors["next_operation"][0].numpy()
    flag = {name: now["work"][:, COLUMN["operation"][name]] for name in ("exists", "committed", "next", "candidate")}
    assert (flag["exists"] == there).all()
    assert (flag["committed"] == (np.arange(route) < step[:, None]).ravel()).all()
    assert (flag["next"] == ((np.arange(route) == step[:, None]).ravel() & there)).all()
    real = now["assignment"][0] < len(there)
    assert (real == there).all() and (now["assignment"][1][real] == instance.machine.ravel()[there]).all()
    chosen = now["action_mask"].nonzero()[0]
    assert (now["candidate"][chosen, 0] == chosen * route + step[chosen]).all()
    assert sorted(flag["candidate"].nonzero()[0].tolist()) == sorted((chosen * route + step[chosen]).tolist())


@pytest.mark.parametrize("kind", ["jobs", "operations"])
@pytest.mark.parametrize("construction", ALL)
def test_the_unit_of_time_does_not_matter(random_shop, legal, construction, kind):
    for k, instance in enumerate(several(random_shop, 15, shortest=2)):
        slow = JobShopInstance("slow", instance.machines, 8 * instance.duration, instance.machine, 8 * instance.release)
        options = Options(construction, False, kind)
        both = zip(states(instance, options, legal, k), states(slow, options, legal, k), strict=True)
        for one, other in both:
            a, b = seen(one), seen(other)
            assert all(np.allclose(a[key], b[key], atol=1e-5) for key in a)


choices = st.builds(Options, st.sampled_from(ALL), st.booleans(), st.sampled_from(["jobs", "operations"]))


def real_part(simulation: Simulation, instance, options: Options) -> dict[str, np.ndarray]:
    """What environment 0 shows of an instance, without the padding."""
    n, m, route = instance.jobs, instance.machines, instance.duration.shape[1]
    model, seen = simulation.model, {key: value[0].numpy() for key, value in simulation.observation.items()}
    slots = model.machines if model.spec.complete else model.route
    wanted = m if model.spec.complete else route
    edges = seen["assignment_attr"].reshape(model.jobs, slots, -1)[:n, :wanted]
    work = seen["work"].reshape(model.jobs, -1, seen["work"].shape[-1])[:n]
    work = work[:, :route] if options.observation == "operations" else work
    part = {"edges": edges, "work": work, "resource": seen["resource"][:m], "context": seen["context"]}
    part |= {"candidate_attr": seen["candidate_attr"][:n], "mask": seen["action_mask"][:n]}
    part |= {name: column[0, :n].numpy() for name, column in simulation.columns.items()}
    padding = [
        simulation.mask[0, n:],
        simulation.observation["resource"][0, m:],
        simulation.observation["candidate_attr"][0, n:],
    ]
    assert not any(tensor.any() for tensor in padding)
    return part


@settings(max_examples=30)
@given(choices, st.booleans(), st.integers(0, 2**32 - 1))
def test_padding_changes_nothing(random_shop, options, general, seed):
    rng = np.random.default_rng(seed)
    small, large = (random_shop(rng, general, name=f"random {k}") for k in range(2))
    if Model([small]).complete != Model([small, large]).complete:
        return  # the layout of the edges follows from the whole bank
    alone = Simulation(Model([small], options), [small], 1)
    padded = Simulation(Model([small, large], options), [small, large], 2)
    for simulation in (alone, padded):
        simulation.reset()
    while not alone.terminated[0]:
        one, other = real_part(alone, small, options), real_part(padded, small, options)
        assert [key for key in one if one[key].tobytes() != np.ascontiguousarray(other[key]).tobytes()] == []
        candidates = alone.mask[0].nonzero().flatten()
        action = candidates[rng.integers(len(candidates))]
        alone.step(action[None])
        padded.step(action.expand(2))
        assert alone.reward[0] == padded.reward[0] and alone.terminated[0] == padded.terminated[0]
    assert alone.outcome()["makespan"][0] == padded.outcome()["makespan"][0]
    assert (alone.schedule().entries == padded.schedule().entries).all()
