"""Random task graphs and feasible schedules of them, for the tests of this family."""

from types import SimpleNamespace

import numpy as np
import pytest

from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.noise import KINDS, actual_times


def _random_graph(rng: np.random.Generator, elements: int, name: str) -> JobGraph:
    """Tasks in no particular order; some take no time, some cannot run everywhere, some edges carry nothing."""
    tasks = int(rng.integers(1, 7))
    times = rng.integers(0, 12, (tasks, elements))
    times[rng.random(times.shape) < 0.2] = -1
    times[(times < 0).all(axis=1), rng.integers(elements)] = 5
    order = rng.permutation(tasks)
    edges = [(order[a], order[b]) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < 0.4]
    return JobGraph(name, times, np.array(edges, dtype=int).reshape(-1, 2), rng.integers(0, 15, len(edges)))


def _random_instance(rng: np.random.Generator) -> SoCInstance:
    elements, jobs = int(rng.integers(1, 5)), int(rng.choice([1, 2, 5]))
    graphs = tuple(_random_graph(rng, elements, name) for name in "ab"[: rng.integers(1, 3)])
    square = (elements, elements)
    return SoCInstance(
        "random", graphs, rng.integers(0, 3, square), rng.integers(1, 4, square),
        tuple(rng.choice(["cpu", "gpu"], elements).tolist()), np.sort(rng.integers(0, 30, jobs)),
        rng.integers(0, len(graphs), jobs),
    )  # fmt: skip


def _random_conditions(rng: np.random.Generator) -> dict:
    """Any of the options, plain or not."""
    every = {
        "noise": str(rng.choice(KINDS)), "sigma": float(rng.choice([0.0, 0.3, 2.0])), "seed": int(rng.integers(99)),
        "world": int(rng.integers(9)), "episode": int(rng.integers(9)), "rounding": str(rng.choice(["up", "down"])),
        "shared_bus": bool(rng.random() < 0.5), "wip_cap": int(rng.integers(0, 3)),
    }  # fmt: skip
    return {key: value for key, value in every.items() if rng.random() < 0.8}


class _Lanes:
    """Free time on processing elements and the bus: work goes into the first gap, or into a later one."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.busy = rng, {}

    def book(self, lane: int, ready: int, length: int) -> int:
        """Reserve the first gap of this length after a time, and say when it begins."""
        start = ready + int(self.rng.random() < 0.2)
        if length == 0:
            return start
        for begin, end in sorted(self.busy.setdefault(lane, [])):
            if start + length <= begin:
                break
            start = max(start, end)
        self.busy[lane].append((start, start + length))
        return start


def _transfer(instance: SoCInstance, conditions: dict, volume: int, p: int, q: int) -> int:
    if p == q:
        return 0
    whole, rest = divmod(volume, int(instance.bandwidth[p, q]))
    up = conditions.get("rounding", "up") == "up" and rest > 0
    return int(instance.latency[p, q]) + whole + int(up)


def _random_schedule(instance: SoCInstance, conditions: dict, rng: np.random.Generator) -> np.ndarray:
    """A feasible schedule: random tasks on random elements in the first gap that is long enough, rows shuffled."""
    lanes, rows, completed, cap = _Lanes(rng), [], [], conditions.get("wip_cap", 0)
    times = actual_times(instance, conditions)
    admitted = instance.arrival_time.tolist()
    turns = [[job] for job in range(instance.jobs)] if cap else [list(range(instance.jobs))]
    for together in turns:  # with a cap jobs are planned one by one, so that it is known when there is room
        for job in together if cap else []:
            if job >= cap:
                admitted[job] = max(admitted[job], sorted(completed)[job - cap])
        kind = [instance.graphs[index] for index in instance.arrival_graph]
        waiting = {(job, task) for job in together for task in range(kind[job].tasks)}
        place = {}
        while waiting:
            job, task = sorted(waiting)[rng.integers(len(waiting))]
            graph = kind[job]
            before = [edge for edge in range(len(graph.edges)) if graph.edges[edge, 1] == task]
            if any((job, int(graph.edges[edge, 0])) in waiting for edge in before):
                continue
            pe = int(rng.choice(np.flatnonzero(times[job, task] >= 0)))
            ready = admitted[job]
            for edge in before:
                source, end = place[job, int(graph.edges[edge, 0])]
                length = _transfer(instance, conditions, int(graph.volume[edge]), source, pe)
                if length > 0 and conditions.get("shared_bus"):
                    end = lanes.book(instance.elements, end, length)
                    rows.append((job, instance.widest + edge, instance.elements, end, end + length))
                ready = max(ready, end + length)
            length = int(times[job, task, pe])
            start = lanes.book(pe, ready, length)
            place[job, task] = pe, start + length
            rows.append((job, task, pe, start, start + length))
            waiting.remove((job, task))
        completed += [max(end for (of, _), (_, end) in place.items() if of == job) for job in together]
    return rng.permutation(np.array(rows, dtype=np.int64))


@pytest.fixture(scope="session")
def soc():
    """Functions of a random generator: ``instance(rng)``, ``conditions(rng)``, ``entries(instance, conditions, rng)``.

    Moreover ``transfer(instance, conditions, volume, p, q)``, the time that data takes from element p to q.
    """
    return SimpleNamespace(
        instance=_random_instance, conditions=_random_conditions, entries=_random_schedule, transfer=_transfer
    )
