"""The observation of whole task graphs: what is shown of each task, job and edge, and what is not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.observe_tasks import EXECUTION, TASK
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load_many

WAITING, READY, QUEUED, RUNNING, DONE = range(5)
OF_TASK = {feature.name: k for k, feature in enumerate(TASK)}
OF_PAIR = {feature.name: k for k, feature in enumerate(EXECUTION)}


class Game:
    """An environment and the plain numbers that its observation is made of."""

    def __init__(self, instance, options, seed=0):
        self.instance, self.options = instance, options
        self.simulation = Simulation(Model([instance], options), [instance], 1, seed=seed)
        self.simulation.reset()
        self.width = self.simulation.model.widest
        times = np.concatenate([graph.execution_time for graph in instance.graphs])
        self.p = max(times[times >= 0].mean(), 1.0)

    def of(self, name):
        """A tensor of the environment."""
        value = self.simulation.engine.tensors[name][0]
        return value.item() if value.ndim == 0 else value.numpy()

    @property
    def over(self) -> bool:
        return bool(self.simulation.terminated[0])

    @property
    def seen(self) -> dict[str, np.ndarray]:
        return {key: tensor[0].numpy() for key, tensor in self.simulation.observation.items()}

    @property
    def time(self) -> tuple[float, float]:
        """The decision's time and L, which are those of the other observation (see test_observe)."""
        left = self.seen["context"][7] * 16 * self.p
        if not self.simulation.model.planning:
            return self.of("now"), left
        starts = self.of("pair_start")[: self.of("rows")]
        return starts.min(), left

    def shown(self) -> list[tuple[int, int]]:
        """Tasks of the jobs in the system that are not done."""
        return [
            (job, task)
            for job in range(self.of("admitted"))
            for task in range(self.graph(job).tasks)
            if self.of("status")[job * self.width + task] != DONE
        ]

    def graph(self, job):
        return self.instance.graphs[self.instance.arrival_graph[job]]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_tasks_their_elements_and_their_edges(random_system, random_soc_options, legal, seed):
    rng = np.random.default_rng(seed)
    instance = random_system(rng, int(rng.choice([1, 4])))
    options = random_soc_options(rng, instance.static, observation="tasks")
    game = Game(instance, options, seed % 100)
    while not game.over:
        check_tasks(game)
        check_elements(game)
        check_edges(game)
        game.simulation.step(legal(game.simulation.mask, rng))
    assert not any(game.seen[key].any() for key in ("work", "assignment_attr", "resource", "context"))


def check_tasks(game: Game) -> None:
    """One row for each task in the system that is not done, all others blank."""
    work, (time, left) = game.seen["work"], game.time
    shown = {job * game.width + task: (job, task) for job, task in game.shown()}
    assert work[:, OF_TASK["exists"]].nonzero()[0].tolist() == sorted(shown)
    blank = np.ones(len(work), bool)
    blank[list(shown)] = False
    assert not work[blank].any()
    offered = {node: k for k, node in enumerate(game.of("row_node")[: game.of("rows")].tolist())}
    for node, (job, task) in shown.items():
        graph, status, row = game.graph(job), game.of("status")[node], work[node]
        times = graph.execution_time[task][graph.execution_time[task] >= 0]
        rank = ranks.upward_rank(game.instance, int(game.instance.arrival_graph[job]), game.options.rounding)[task]
        sources = graph.edges[graph.edges[:, 1] == task, 0]
        waits = sum(game.of("status")[job * game.width + int(source)] != DONE for source in sources)
        expected = [status == WAITING, status == READY, node in offered, status == QUEUED, status == RUNNING]
        expected += [times.mean() / game.p / 2, times.min() / game.p / 2]
        assert np.allclose(row[:7], np.clip(expected, 0, 4), atol=1e-5)
        assert left >= 64 * game.p or np.isclose(row[OF_TASK["rank"]], min(rank / left, 4), rtol=1e-4)
        assert row[OF_TASK["waits_for"]] == min(waits / 4, 4)
        assert row[OF_TASK["successors"]] == min((graph.edges[:, 0] == task).sum() / 4, 4)
        remaining = game.of("expected")[game.of("on")[node]] - time if status == RUNNING else 0
        assert np.isclose(row[OF_TASK["remaining"]], np.clip(remaining / game.p / 2, 0, 4), atol=1e-5)
        best = (game.of("row_best")[offered[node]] - time) / left if node in offered else 0
        assert left >= 64 * game.p or np.isclose(row[OF_TASK["best_finish"]], np.clip(best, 0, 2), atol=1e-4)
        assert row[OF_TASK["tasks_left"]] == min(game.of("job_left")[job] / 16, 4)


def check_elements(game: Game) -> None:
    """An edge for each element that can run a task which is shown; padding points past the ends."""
    spec, seen, n = game.simulation.model.spec, game.seen, game.instance.elements
    ends, attr = seen["assignment"].reshape(2, -1, n), seen["assignment_attr"].reshape(-1, n, len(EXECUTION))
    shown, time = {job * game.width + task: (job, task) for job, task in game.shown()}, game.time[0]
    for node in range(spec.works):
        times = np.full(n, -1)
        if node in shown:
            job, task = shown[node]
            times = game.graph(job).execution_time[task]
        for p in range(n):
            if times[p] < 0:
                assert ends[:, node, p].tolist() == [spec.works, n] and not attr[node, p].any()
                continue
            assert ends[:, node, p].tolist() == [node, p]
            status, least = game.of("status")[node], max(times[times >= 0].min(), 1)
            bound = status in (QUEUED, RUNNING) and game.of("on")[node] == p
            late = game.of("data_ready")[game.of("slot")[node], p] - time if status == READY else 0
            row = [times[p] / game.p / 2, (times[p] / least - 1) / 4, bound, max(late, 0) / game.p / 2]
            assert np.allclose(attr[node, p], np.clip(row, 0, 4), atol=1e-5)


def check_edges(game: Game) -> None:
    """The edges between tasks that are both shown, with their mean transfer time."""
    shown, expected = set(game.shown()), {}
    for job in range(game.of("admitted")):
        g, graph = int(game.instance.arrival_graph[job]), game.graph(job)
        mean = ranks.mean_transfer(game.instance, g, game.options.rounding)
        for e, (source, target) in enumerate(graph.edges.tolist()):
            if {(job, source), (job, target)} <= shown:
                expected[job * game.width + source, job * game.width + target] = min(mean[e] / game.p / 2, 4)
    if not game.simulation.model.spec.precedences:
        assert not expected
        return
    arcs, attr = game.seen["precedence"], game.seen["precedence_attr"][:, 0]
    real = arcs[0] < game.simulation.model.spec.works
    assert (real == (arcs[1] < game.simulation.model.spec.works)).all() and not attr[~real].any()
    found = {tuple(arc): value for arc, value in zip(arcs[:, real].T.tolist(), attr[real].tolist(), strict=True)}
    assert found.keys() == expected.keys() and real.sum() == len(expected)
    assert all(np.isclose(found[arc], expected[arc], atol=1e-5) for arc in expected)


def test_nothing_is_known_of_jobs_that_have_not_arrived(legal):
    (stream,) = load_many("radio-small-50x4:0", "soc")
    game, rng, unseen = Game(stream, Options(observation="tasks")), np.random.default_rng(0), 0
    while not game.over:
        later = game.of("admitted") * game.width
        assert not game.seen["work"][later:].any() and game.seen["work"][:later].any()
        assert (game.seen["assignment"][0, later * stream.elements :] == game.simulation.model.spec.works).all()
        unseen += later < game.width * stream.jobs
        game.simulation.step(legal(game.simulation.mask, rng))
    assert unseen > 10
