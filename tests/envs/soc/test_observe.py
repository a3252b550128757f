"""The observation of the offered tasks, against plain computations, and what both forms of it have in common."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.soc import observe, observe_tasks, ranks
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.model import Model
from dispatchgym.envs.soc.options import Options
from dispatchgym.instances.catalogue import load_many

NEVER = 2**30
seeds = st.integers(0, 2**32 - 1)


def names(features) -> list[str]:
    return [feature.name for feature in features]


def seen(simulation, place=0) -> dict[str, np.ndarray]:
    return {key: tensor[place].numpy() for key, tensor in simulation.observation.items()}


def read(simulation, name, place=0) -> np.ndarray:
    """A tensor of the state."""
    return simulation.engine.tensors[name][place].numpy()


def states(instance, options, legal, rng, seed=0):
    """A simulation of one environment at every decision of a random episode."""
    simulation = Simulation(Model([instance], options), [instance], 1, seed=seed)
    simulation.reset()
    while not simulation.terminated[0]:
        yield simulation
        simulation.step(legal(simulation.mask, rng))


class Expected:
    """Features of an environment in plain floating point."""

    def __init__(self, simulation, instance, options):
        self.instance, self.options, self.planning = instance, options, simulation.model.planning
        of_env = [field.name for field in simulation.engine.program.fields if field.shape[:1] == ("env",)]
        self.s = {name: read(simulation, name) for name in of_env}
        self.rows = int(self.s["rows"])
        self.node = self.s["row_node"][: self.rows].tolist()
        self.width = simulation.model.widest
        self.start = self.s["pair_start"][: self.rows, : instance.elements].astype(float)
        self.finish = self.s["pair_finish"][: self.rows, : instance.elements].astype(float)
        self.able = self.finish < NEVER
        times = np.concatenate([graph.execution_time for graph in instance.graphs])
        self.p = max(times[times >= 0].mean(), 1.0)
        self.oct = np.array([self.cost(v) for v in self.node]).reshape(self.rows, instance.elements)
        total = np.where(self.able, self.finish + self.oct, np.inf)
        self.total, self.least_total = total, total.min(axis=1)
        now, bound = (self.start[self.able].min(), self.s["bound"]) if self.planning else [self.s["now"]] * 2
        self.t, self.bound = float(now), max(float(bound), self.least_total.max())
        self.left = max(self.bound - self.t, self.p)

    def task(self, v) -> tuple[int, int, int]:
        job, task = divmod(v, self.width)
        return job, task, int(self.instance.arrival_graph[job])

    def cost(self, v):
        _, task, g = self.task(v)
        table = ranks.optimistic_cost_table(self.instance, g, self.options.rounding)[task]
        return np.rint(np.where(np.isfinite(table), table, 0))

    def execution(self, v) -> np.ndarray:
        _, task, g = self.task(v)
        return self.instance.graphs[g].execution_time[task].astype(float)

    def work(self) -> np.ndarray:
        rank = [ranks.upward_rank(self.instance, g, self.options.rounding) for g in range(len(self.instance.graphs))]
        of = [rank[g][task] for _, task, g in map(self.task, self.node)]
        result = []
        for k, v in enumerate(self.node):
            job, task, g = self.task(v)
            times = self.execution(v)
            times, finishes = times[times >= 0], sorted([*self.finish[k][self.able[k]], NEVER])
            sufferage = (finishes[1] - finishes[0]) / self.p / 2 if finishes[1] < NEVER else 4
            successors = int((self.instance.graphs[g].edges[:, 0] == task).sum())
            row = [
                times.mean() / self.p / 2, times.min() / self.p / 2, of[k] / self.left, (of[k] - max(of)) / self.p / 4,
                (finishes[0] - self.t) / self.left, (self.least_total[k] - self.t) / self.left,
                (self.bound - self.least_total[k]) / self.left, sufferage, successors / 4,
                self.s["job_left"][job] / 16, (self.t - self.s["admission"][job]) / self.p / 8, 1,
            ]  # fmt: skip
            result.append(row)
        return clipped(result, observe.READY_TASK)

    def pair(self, k, p) -> list[float]:
        times = self.execution(self.node[k])
        least = max(times[times >= 0].min(), 1)
        finish, best, p_total = self.finish[k, p], self.finish[k][self.able[k]].min(), self.total[k, p]
        return [
            times[p] / self.p / 2, (times[p] / least - 1) / 4, (self.start[k, p] - self.t) / self.p / 2,
            (finish - best) / self.p / 2, (p_total - self.least_total[k]) / self.p / 2,
            (p_total - self.bound) / self.left, finish == best, p_total == self.least_total[k],
        ]  # fmt: skip

    def resource(self) -> np.ndarray:
        result = []
        for p in range(self.instance.elements):
            free, busy = float(self.s["free"][p]), self.s["running"][p] >= 0
            if self.planning:
                count = self.s["timeline_count"][p]
                free = float(self.s["timeline_end"][p, :count].max(initial=0))
                busy = free > self.t
            times = np.concatenate([graph.execution_time for graph in self.instance.graphs]).astype(float)
            able = times[:, p] >= 0
            least = np.where(times >= 0, times, np.inf).min(axis=1)
            slow = (np.maximum(times[:, p], 1) / np.maximum(least, 1))[able].mean() if able.any() else 1
            asked = [self.execution(v)[p] for k, v in enumerate(self.node) if self.finish[k, p] == min(self.finish[k])]
            result.append([
                max(free - self.t, 0) / self.p / 2, not busy, self.s["focus"] == p, (slow - 1) / 4,
                len(asked) / max(self.rows, 1), sum(asked) / self.p / 4, 1,
            ])  # fmt: skip
        return clipped(result, observe.ELEMENT)

    def candidates(self) -> np.ndarray:
        result, first = [], self.finish[self.able].min() if self.rows else 0
        legal = self.s["action_mask"].nonzero()[0]
        pilots = self.s["pilot_makespan"][legal].astype(float)
        wanted = self.s["planned"][legal] if self.options.planner != "none" else np.zeros(len(legal))
        wanted[self.s["task"][legal] < 0] = 0
        for a, pilot, planned in zip(legal.tolist(), pilots, wanted, strict=True):
            task, p = self.s["task"][a], self.s["element"][a]
            if task < 0:
                busy = [self.s["free"][q] for q in range(self.instance.elements) if self.s["running"][q] >= 0]
                soon = max(min(busy, default=NEVER) - self.t, 0) / self.p / 2
                nothing = self.options.planner != "none" and not wanted.any()
                result.append([0] * (len(observe.PAIR) + 3) + [nothing, 1, soon])
                continue
            k = self.node.index(self.s["job"][a] * self.width + task)
            above = pilot - pilots.min() if self.options.pilot != "none" else 0
            more = [(self.finish[k, p] - first) / self.p / 2, above / self.p / 2, above / self.left, planned, 0, 0]
            result.append(self.pair(k, p) + more)
        return clipped(result, observe.CANDIDATE)

    def context(self) -> np.ndarray:
        resource = dict(zip(names(observe.ELEMENT), self.resource().T, strict=True))
        n, ready = self.instance.elements, float(self.s["ready_count"])
        free = np.array([float(f) for f in self.s["free"][:n]])
        if self.planning:
            counts = self.s["timeline_count"][:n]
            free = np.array([self.s["timeline_end"][p, : counts[p]].max(initial=0) for p in range(n)])
        row = [
            self.s["left"] / self.instance.tasks, ready / n / 2, self.rows / max(ready, 1), resource["idle"].mean(),
            self.s["in_system"] / 8, n / 8, self.s["may_wait"], self.left / self.p / 16,
            np.maximum(free - self.t, 0).mean() / self.p / 2,
        ]  # fmt: skip
        return clipped([row], observe.CONTEXT)[0]


def clipped(rows, features) -> np.ndarray:
    low, high = ([getattr(feature, end) for feature in features] for end in ("low", "high"))
    return np.clip(np.array(rows, dtype=float).reshape(-1, len(features)), low, high)


def close(a, b) -> bool:
    return np.allclose(a, b, rtol=1e-4, atol=1e-5)


@settings(max_examples=60)
@given(seeds)
def test_features_are_what_they_say(random_system, random_soc_options, legal, seed):
    rng = np.random.default_rng(seed)
    instance = random_system(rng, int(rng.choice([1, 4])))
    options = random_soc_options(rng, instance.static, observation="ready")
    for simulation in states(instance, options, legal, rng):
        now, expected = seen(simulation), Expected(simulation, instance, options)
        rows, n = expected.rows, instance.elements
        assert close(now["work"][:rows], expected.work()) and not now["work"][rows:].any()
        assert close(now["resource"], expected.resource())
        assert close(now["context"], expected.context())
        assert close(now["candidate_attr"][now["action_mask"] == 1], expected.candidates())
        edges = now["assignment_attr"].reshape(-1, n, len(observe.PAIR))
        ends = now["assignment"].reshape(2, -1, n)
        for k in range(len(edges)):
            for p in range(n):
                if k < rows and expected.able[k, p]:
                    assert ends[:, k, p].tolist() == [k, p]
                    assert close(edges[k, p], clipped([expected.pair(k, p)], observe.PAIR)[0])
                else:
                    assert ends[:, k, p].tolist() == [simulation.model.spec.works, n] and not edges[k, p].any()


@settings(max_examples=25)
@given(seeds, st.sampled_from(["tasks", "ready"]))
def test_candidates_name_their_task_and_element(random_system, random_soc_options, legal, seed, kind):
    rng = np.random.default_rng(seed)
    instance = random_system(rng, int(rng.choice([1, 4])))
    options = random_soc_options(rng, instance.static, observation=kind)
    for simulation in states(instance, options, legal, rng):
        now, spec = seen(simulation), simulation.model.spec
        for a in now["action_mask"].nonzero()[0].tolist():
            job, task, element = (int(read(simulation, name)[a]) for name in ("job", "task", "element"))
            node = job * simulation.model.widest + task
            row = read(simulation, "row_node").tolist()[: int(read(simulation, "rows"))]
            work = node if kind == "tasks" else row.index(node) if job >= 0 else -1
            assert now["candidate"][a].tolist() == ([work, element] if job >= 0 else [spec.works, spec.resources])
            if job >= 0:
                assert now["assignment"][:, work * spec.resources + element].tolist() == [work, element]


# ---------------------------------------------------------------------- both observations

OPTIONS = [
    Options(),
    Options(pilot="both", choice=0, insertion=False),
    Options(mode="online"),
    Options(mode="online", binding="match", planner="peft"),
    Options(mode="online", binding="late", planner="heft", choice=2),
    Options(mode="online", binding="idle", planner="rank-oct", choice=3),
    Options(mode="online", binding="push", choice=0),
]
IDS = ["plan", "pilot", *(options.binding for options in OPTIONS[2:])]


def observed(options: Options, kind: str, **more) -> Options:
    return Options(**{**vars(options), "observation": kind, "forced_moves": False, **more})


def real_part(simulation, place, instance) -> dict[str, np.ndarray]:
    """What an environment shows of an instance, without the padding, which is checked to be blank."""
    model, now, n = simulation.model, seen(simulation, place), instance.elements
    spec, wide = model.spec, model.elements
    nodes = np.arange(spec.works)
    if model.options.observation == "tasks":  # padded jobs, and padded tasks in each
        nodes = nodes.reshape(model.jobs, model.widest)[: instance.jobs, : instance.widest].ravel()
    else:
        nodes = nodes[: int(read(simulation, "rows", place))]
    work, edges = now["work"][nodes], now["assignment_attr"].reshape(spec.works, wide, -1)[nodes, :n]
    legal = now["action_mask"].nonzero()[0]
    pairs = [tuple(int(read(simulation, name, place)[a]) for name in ("job", "task", "element")) for a in legal]
    blank = np.ones(spec.works, bool)
    blank[nodes] = False
    assert not now["work"][blank].any() and not now["resource"][n:].any()
    padded = now["assignment"].reshape(2, spec.works, wide)
    assert (padded[0, blank] == spec.works).all() and (padded[1, :, n:] == wide).all()
    assert not now["assignment_attr"].reshape(spec.works, wide, -1)[:, n:].any()
    closed = now["action_mask"] == 0
    assert (now["candidate"][closed] == [spec.works, wide]).all() and not now["candidate_attr"][closed].any()
    part = {"work": work, "edges": edges, "resource": now["resource"][:n], "context": now["context"]}
    part |= {"candidate_attr": now["candidate_attr"][legal], "pairs": np.array(pairs)}
    if model.options.observation == "tasks":
        now = {"precedence": np.zeros((2, 0), int), "precedence_attr": np.zeros((0, 1), np.float32)} | now
        real = now["precedence"][0] < spec.works
        source, target = (divmod(now["precedence"][end][real], model.widest) for end in (0, 1))
        part["arcs"] = np.stack([*source, *target], axis=1)
        part["arc_attr"] = now["precedence_attr"][real]
    return part


@settings(max_examples=25)
@given(seeds, st.sampled_from(OPTIONS), st.sampled_from(["tasks", "ready"]))
def test_padding_changes_nothing(random_system, legal, seed, options, kind):
    """Features, candidates and rewards of an instance are the same to the bit alone and in larger company."""
    rng = np.random.default_rng(seed)
    plans = options.plans(True)
    small, large = random_system(rng, 1 if plans else int(rng.integers(1, 5))), random_system(rng, 1 if plans else 5)
    options = observed(options, kind, **({} if plans else {"noise": "lognormal", "sigma": 0.6}))
    alone = Simulation(Model([small], options), [small], 1, seed=3)
    padded = Simulation(Model([small, large], options), [large, small], 2, seed=3, worlds=[5, 0])
    for simulation in (alone, padded):
        simulation.reset()
    while not alone.terminated[0]:
        one, other = real_part(alone, 0, small), real_part(padded, 1, small)
        assert one.keys() == other.keys()
        assert [key for key in one if one[key].tobytes() != np.ascontiguousarray(other[key]).tobytes()] == []
        k = int(rng.integers(len(one["pairs"])))
        action = [simulation.mask[place].nonzero()[k, 0] for simulation, place in ((alone, 0), (padded, 1))]
        alone.step(action[0][None])
        padded.step(torch.stack([legal(padded.mask, rng)[0], action[1]]))
        assert alone.reward[0] == padded.reward[1] and alone.terminated[0] == padded.terminated[1]
    assert (alone.schedule().entries == padded.schedule(1).entries).all()


def distinct(rng, jobs: int) -> SoCInstance:
    """Times so different that nothing ties."""
    tasks, elements = 6, 4
    times = rng.integers(1000, 100_000, (tasks, elements))
    times[rng.random(times.shape) < 0.15] = -1
    times[(times < 0).all(axis=1), 0] = 5555
    edges = [(a, b) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < 0.4]
    graph = JobGraph("job", times, np.array(edges, int).reshape(-1, 2), rng.integers(1, 90_000, len(edges)))
    links = rng.integers(0, 900, (elements, elements)), rng.integers(1, 4, (elements, elements))
    time = np.sort(rng.integers(0, 99_999, jobs)) * (jobs > 1)
    return SoCInstance("distinct", (graph,), *links, None, time, np.zeros(jobs, int))


def renumbered(instance: SoCInstance, order: np.ndarray) -> SoCInstance:
    """The same with its elements in another order."""
    graphs = tuple(JobGraph(g.name, g.execution_time[:, order], g.edges, g.volume) for g in instance.graphs)
    links = (matrix[np.ix_(order, order)] for matrix in (instance.latency, instance.bandwidth))
    return SoCInstance("renumbered", graphs, *links, None, instance.arrival_time, instance.arrival_graph)


@pytest.mark.parametrize("kind", ["tasks", "ready"])
@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
def test_elements_in_another_order_give_the_observation_in_that_order(options, kind):
    rng = np.random.default_rng(5)
    for _ in range(4):
        instance = distinct(rng, 1 if options.plans(True) else 3)
        order = rng.permutation(instance.elements)
        place = np.argsort(order)
        both = []
        for one in (instance, renumbered(instance, order)):
            both.append(Simulation(Model([one], observed(options, kind)), [one], 1))
            both[-1].reset()
        while not both[0].terminated[0]:
            parts = [real_part(simulation, 0, instance) for simulation in both]
            named = [
                {tuple(pair): attr for pair, attr in zip(part["pairs"].tolist(), part["candidate_attr"], strict=True)}
                for part in parts
            ]
            moved = {(j, t, int(place[p]) if j >= 0 else -1): attr for (j, t, p), attr in named[0].items()}
            assert moved.keys() == named[1].keys() and all(close(moved[key], named[1][key]) for key in moved)
            assert close(parts[0]["resource"][order], parts[1]["resource"])
            assert close(parts[0]["edges"][:, order], parts[1]["edges"]) and close(parts[0]["work"], parts[1]["work"])
            assert close(parts[0]["context"], parts[1]["context"])
            chosen = list(moved)[int(rng.integers(len(moved)))]
            original = next(key for key in named[0] if (*key[:2], int(place[key[2]]) if key[0] >= 0 else -1) == chosen)
            for simulation, part, key in zip(both, parts, (original, chosen), strict=True):
                simulation.step(simulation.mask[0].nonzero()[part["pairs"].tolist().index(list(key))])


@pytest.mark.parametrize("kind", ["tasks", "ready"])
@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
def test_the_unit_of_time_does_not_matter(legal, options, kind):
    rng = np.random.default_rng(8)
    for seed in range(3):
        one = distinct(rng, 1 if options.plans(True) else 3)
        graph = one.graphs[0]
        times = np.where(graph.execution_time < 0, -1, graph.execution_time * 6)
        slow = SoCInstance(
            "slow", (JobGraph("job", times, graph.edges, graph.volume * 6),), one.latency * 6,
            np.ones_like(one.bandwidth), None, one.arrival_time * 6, one.arrival_graph,
        )  # fmt: skip
        one = SoCInstance("one", one.graphs, one.latency, slow.bandwidth, None, one.arrival_time, one.arrival_graph)
        games = (states(x, observed(options, kind), legal, np.random.default_rng(seed)) for x in (one, slow))
        for a, b in zip(*games, strict=True):
            assert all(close(seen(a)[key], seen(b)[key]) for key in seen(a))


@pytest.mark.parametrize("kind", ["tasks", "ready"])
@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
@pytest.mark.parametrize("ending", ["legal", "illegal", "in the middle"])
def test_observation_does_not_remember_the_last_episode(legal, kind, options, ending):
    names = ["random-12:0", "topcuoglu"] if options.plans(True) else ["radio-small-50x3:0", "socrates-50x2:0"]
    other, one = load_many(names, "soc")
    model = Model([one, other], observed(options, kind))
    fresh, used = Simulation(model, [one], 1), Simulation(model, [other], 1)
    used.reset()
    rng, steps = np.random.default_rng(1), 0
    while not used.terminated[0] and (ending == "legal" or steps < 9):
        used.step(legal(used.mask, rng))
        steps += 1
    if ending == "illegal":
        used.step(torch.tensor([-1]))
        assert not any(seen(used)[key].any() for key in ("work", "resource", "context", "candidate_attr"))
    used.load([one])
    for simulation in (fresh, used):
        simulation.reset()
    while not fresh.terminated[0]:
        a, b = seen(fresh), seen(used)
        assert [key for key in a if a[key].tobytes() != b[key].tobytes()] == []
        action = legal(fresh.mask, rng)
        fresh.step(action)
        used.step(action)


def test_every_feature_is_described():
    every = [observe.READY_TASK, observe.ELEMENT, observe.PAIR, observe.CANDIDATE, observe.CONTEXT, observe_tasks.TASK]
    for features in [*every, observe_tasks.EXECUTION, observe_tasks.EDGE]:
        assert len(set(names(features))) == len(features) and all(f.doc and f.low < f.high for f in features)
