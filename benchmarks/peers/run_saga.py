"""Plans and plans per second of HEFT in anrg-saga, as released and with the mean transfer time of the paper."""

import json
import logging

import saga.schedulers.heft
from measure import announce, arguments, measure
from saga import Network, TaskGraph, TaskGraphNode
from saga.schedulers import HeftScheduler
from saga.schedulers.cpop import upward_rank


class Lookup:
    """The cost of a task on unrelated machines: divided by the speed of node p, which is p + 1, it is the time there.

    The library knows related machines only, where a time is a cost divided by a speed.
    """

    def __init__(self, times: list[int]):
        self.times = times

    def __truediv__(self, speed: float) -> float:
        return float(self.times[int(speed) - 1])


def textbook_rank(network: Network, task_graph: TaskGraph) -> dict[str, float]:
    """The library's upward rank with mean transfer times over different nodes, as Topcuoglu et al. (2002) have them.

    The library averages over the links of nodes to themselves as well, which take no time.
    """
    links = frozenset(link for link in network.edges if link.source != link.target)
    return upward_rank(Network(nodes=network.nodes, edges=links), task_graph)


def convert(problem: dict) -> tuple[Network, TaskGraph]:
    """A problem of ``soc_planners.py`` as the library wants it; task t is named ``t``, node p is named ``p``."""
    elements = range(len(problem["bandwidth"]))
    related = "cost" in problem
    speeds = problem["speed"] if related else [p + 1 for p in elements]
    costs = problem["cost"] if related else map(Lookup, problem["execution_time"])
    network = Network.create(
        [(str(p), float(speeds[p])) for p in elements],
        [(str(p), str(q), float(problem["bandwidth"][p][q])) for p in elements for q in elements if p < q],
    )
    tasks = [TaskGraphNode.model_construct(name=str(t), cost=cost) for t, cost in enumerate(costs)]
    return network, TaskGraph.create(tasks, [(str(s), str(t), float(volume)) for s, t, volume in problem["edges"]])


def plan(network: Network, task_graph: TaskGraph, tasks: int) -> list[list[float]]:
    """Node, start and end of each task as HEFT plans it."""
    mapping = HeftScheduler().schedule(network, task_graph).mapping
    placed = {row.name: [int(node), row.start, row.end] for node, rows in mapping.items() for row in rows}
    return [placed[str(t)] for t in range(tasks)]


def prepare(network: Network, task_graph: TaskGraph, tasks: int):
    """One call is one plan; see ``measure.measure``."""

    def advance():
        HeftScheduler().schedule(network, task_graph)
        return 1, tasks

    return advance


def main() -> None:
    options = arguments(__doc__)
    logging.disable(logging.WARNING)
    announce("saga", ["anrg-saga", "networkx", "numpy", "pydantic"])
    for name, file in options.instances:
        problems = [(*convert(problem), len(problem["execution_time"])) for problem in json.loads(file.read_text())]
        ranks = {"textbook rank": textbook_rank, "as released": upward_rank}
        if len(problems) == 1:  # one to be timed, with the rank that gives the same plan
            del ranks["as released"]
            saga.schedulers.heft.upward_rank = textbook_rank
            measure("saga", "HEFT", name, 1, "", lambda problem=problems[0]: prepare(*problem), options.seconds)
        for mode, rank in ranks.items():
            saga.schedulers.heft.upward_rank = rank
            plans = [plan(*problem) for problem in problems]
            print(json.dumps({"peer": "saga", "mode": mode, "instance": name, "plans": plans}), flush=True)


if __name__ == "__main__":
    main()
