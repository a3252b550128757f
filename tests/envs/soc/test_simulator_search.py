"""What can be reached: the best over all sequences of actions is the optimum that constraint programming proves."""

import numpy as np
import pytest
import torch

from dispatchgym.baselines.soc_cp_sat import solve_soc
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.options import Options

QUEUED, RUNNING = 2, 3
COUNTERS = (
    "now", "admitted", "in_system", "left", "jobs_left", "status", "waits_for", "running", "queue_first", "declined",
    "became_ready", "closed", "bound", "total_latency", "action_mask", "terminated", "focus", "timeline_count",
    "job_left",
)  # fmt: skip


def tiny(rng: np.random.Generator, tasks: int, jobs: int = 1) -> SoCInstance:
    """Tasks that take a while on two elements, not all of them on both."""
    times = rng.integers(1, 10, (tasks, 2))
    times[rng.random(times.shape) < 0.1] = -1
    times[(times < 0).all(axis=1), 0] = 4
    edges = [(a, b) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < 0.45]
    graph = JobGraph("job", times, np.array(edges, int).reshape(-1, 2), rng.integers(0, 8, len(edges)))
    links = np.full((2, 2), rng.integers(0, 2)), np.ones((2, 2), int)
    time = np.sort(rng.integers(0, 6, jobs)) * (jobs > 1)
    return SoCInstance("tiny", (graph,), *links, None, time, np.zeros(jobs, int))


def positions(simulation: Simulation) -> torch.Tensor:
    """(B, ...) int64, equal for environments that stand at the same place; what is left over from before is blanked."""
    t = simulation.engine.tensors
    bound, begun, busy = t["status"] >= QUEUED, t["status"] >= RUNNING, t["running"] >= 0
    listed = torch.arange(t["ready"].shape[1]) < t["ready_count"][:, None]
    masked = {"on": bound, "arrived": bound, "start": begun, "finish": begun, "release": busy, "ready": listed}
    parts = [t[name] for name in COUNTERS] + [torch.where(mask, t[name], -1) for name, mask in masked.items()]
    return torch.cat([part.reshape(simulation.num_envs, -1).long() for part in parts], dim=1)


def best(instance: SoCInstance, figure: str, **options) -> int:
    """The least of a figure over all sequences of legal actions, level by level, equal positions joined."""
    model = Model([instance], Options(choice=0, forced_moves=False, **options))
    level, found = Simulation(model, [instance], 1, observe=False), []
    level.reset()
    while True:
        assert not level.illegal.any() and (level.mask.any(dim=1) | (level.terminated == 1)).all()
        done = level.terminated == 1
        found += level.outcome()[figure][done].tolist()
        place, action = ((level.mask == 1) & ~done[:, None]).nonzero().T
        if not len(place):
            return min(found)
        level = copied(model, level, place)
        level.step(action)
        _, group = torch.unique(positions(level), dim=0, return_inverse=True)
        first = torch.full((int(group.max()) + 1,), len(place))
        first = first.scatter_reduce(0, group, torch.arange(len(place)), "amin")
        level = copied(model, level, first)


def copied(model, level: Simulation, place: torch.Tensor) -> Simulation:
    """A simulation whose environments stand where those at some places do."""
    other = Simulation(model, level.instances, len(place), observe=False)
    other.engine.load_state_dict({name: tensor[place] for name, tensor in level.engine.state_dict().items()})
    return other


PLANS = [{"mode": "plan"}, {"mode": "plan", "insertion": False}]
TIMES = [{"mode": "online", "binding": binding} for binding in ("pull", "match", "idle", "late")]


@pytest.mark.parametrize("options", PLANS + TIMES, ids=str)
def test_the_best_makespan_is_the_optimum(options):
    """Without insertion too: of all orders one never needs a gap. Early in pull, an element leaves tasks to others."""
    rng, sizes = np.random.default_rng(0), set()
    for _ in range(10):
        instance = tiny(rng, int(rng.integers(2, 5 if options.get("binding") == "late" else 6)))
        answer = solve_soc(instance)
        assert answer.status == "optimal"
        assert best(instance, "makespan", **options) == answer.objective
        sizes.add(instance.tasks)
    assert len(sizes) > 2


@pytest.mark.parametrize("binding", ["pull", "match"])
def test_the_best_latency_is_the_optimum(binding):
    rng = np.random.default_rng(1)
    for _ in range(10):
        instance = tiny(rng, int(rng.integers(1, 4)), jobs=2)
        answer = solve_soc(instance)
        assert answer.status == "optimal"
        assert best(instance, "total_latency", binding=binding) == answer.objective * 2


def test_queues_for_good_may_miss_it():
    """Push binds before it knows: never better than the optimum, and not always as good."""
    rng, missed = np.random.default_rng(5), 0
    for _ in range(15):
        instance = tiny(rng, 3, jobs=2)
        least = best(instance, "total_latency", binding="push")
        optimum = solve_soc(instance).objective * 2
        assert least >= optimum
        missed += least > optimum
    assert 0 < missed < 15


def test_choosing_among_few_tasks_may_miss_it():
    """With one task offered at a time the plan is in the order of the option priority, whatever the elements."""
    rng, missed = np.random.default_rng(3), 0
    for _ in range(80):
        instance = tiny(rng, 5)
        model = Model([instance], Options(mode="plan", choice=1))
        assert model.actions == 2
        missed += best_in_order(instance) > best(instance, "makespan", mode="plan")
    assert missed


def best_in_order(instance) -> int:
    """Least makespan over all assignments of tasks that are taken in the order of upward rank."""
    model = Model([instance], Options(mode="plan", choice=1, forced_moves=False))
    simulation = Simulation(model, [instance], 2**instance.tasks, observe=False)
    simulation.reset()
    for step in range(instance.tasks):
        wanted = torch.arange(simulation.num_envs) >> step & 1
        legal = simulation.mask.gather(1, wanted[:, None]).squeeze(1) == 1
        simulation.step(torch.where(legal, wanted, 1 - wanted))
    assert simulation.terminated.all() and not simulation.illegal.any()
    return int(simulation.outcome()["makespan"].min())
