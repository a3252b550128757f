"""Random task graphs and feasible schedules of them, for the tests of this family."""

from types import SimpleNamespace

import numpy as np
import pytest

from dispatchgym.envs.core.noise import NOISES
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.noise import actual_times


def _random_conditions(rng: np.random.Generator) -> dict:
    """Any of the options, plain or not."""
    every = {
        "noise": str(rng.choice(NOISES)), "sigma": float(rng.choice([0.0, 0.3, 2.0])), "seed": int(rng.integers(99)),
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
def soc(random_system):
    """Functions of a random generator: ``instance(rng)``, ``conditions(rng)``, ``entries(instance, conditions, rng)``.

    Moreover ``transfer(instance, conditions, volume, p, q)``, the time that data takes from element p to q.
    """
    return SimpleNamespace(
        instance=random_system, conditions=_random_conditions, entries=_random_schedule, transfer=_transfer
    )
