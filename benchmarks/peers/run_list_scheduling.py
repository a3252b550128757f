"""Plans and plans per second of HEFT in dispatchgym."""

import json

import numpy as np
from measure import announce, arguments, measure

from dispatchgym.baselines.list_scheduling import heft
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph


def convert(problem: dict) -> SoCInstance:
    """A problem of ``soc_planners.py`` as an instance."""
    edges = np.array(problem["edges"])
    graph = JobGraph("job", np.array(problem["execution_time"]), edges[:, :2], edges[:, 2])
    bandwidth = np.array(problem["bandwidth"])
    return SoCInstance("problem", (graph,), np.zeros_like(bandwidth), bandwidth)


def prepare(instance: SoCInstance):
    """One call is one plan; see ``measure.measure``."""

    def advance():
        heft(instance)
        return 1, instance.tasks

    return advance


def main() -> None:
    options = arguments(__doc__)
    announce("dispatchgym", ["dispatchgym", "numpy"])
    for name, file in options.instances:
        instances = [convert(problem) for problem in json.loads(file.read_text())]
        if len(instances) == 1:
            measure("dispatchgym", "HEFT", name, 1, "", lambda one=instances[0]: prepare(one), options.seconds)
        plans = [heft(instance).entries[:, 2:].tolist() for instance in instances]
        print(json.dumps({"peer": "dispatchgym", "mode": "insertion", "instance": name, "plans": plans}), flush=True)


if __name__ == "__main__":
    main()
