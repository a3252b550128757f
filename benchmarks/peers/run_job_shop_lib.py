"""Steps per second of job-shop-lib: its graph environment on two graphs, and its Dispatcher without any observation."""

import random

from job_shop_lib import JobShopInstance
from job_shop_lib.dispatching import Dispatcher, DispatcherObserverConfig
from job_shop_lib.dispatching.feature_observers import FeatureObserverType, FeatureType
from job_shop_lib.graphs import build_disjunctive_graph, build_resource_task_graph
from job_shop_lib.reinforcement_learning import SingleJobShopGraphEnv
from measure import announce, arguments, measure


def prepare_environment(file, build_graph):
    """The environment as its README sets it up, one call is one episode; see ``measure.measure``."""
    ready = DispatcherObserverConfig(FeatureObserverType.IS_READY, kwargs={"feature_types": [FeatureType.JOBS]})
    env = SingleJobShopGraphEnv(build_graph(JobShopInstance.from_taillard_file(file)), [ready])
    rng = random.Random(0)

    def advance():
        (_, info), steps, done = env.reset(), 0, False
        while not done:
            _, machine, job = rng.choice(info["available_operations_with_ids"])
            _, _, done, _, info = env.step((job, machine))
            steps += 1
        return steps, steps  # every step starts one operation

    return advance


def prepare_dispatcher(file):
    """The bare Dispatcher, one call is one episode: any next operation of a job, appended to its machine."""
    dispatcher = Dispatcher(JobShopInstance.from_taillard_file(file))
    rng = random.Random(0)

    def advance():
        dispatcher.reset()
        steps = 0
        while ready := dispatcher.available_operations():
            dispatcher.dispatch(rng.choice(ready))
            steps += 1
        return steps, steps

    return advance


def main() -> None:
    options = arguments(__doc__)
    announce("job-shop-lib", ["job-shop-lib", "gymnasium", "networkx", "numpy"])
    graphs = {"disjunctive graph": build_disjunctive_graph, "resource-task graph": build_resource_task_graph}
    for name, file in options.instances:
        for graph, build in graphs.items():
            made = lambda file=file, build=build: prepare_environment(file, build)  # noqa: E731
            observation = "edges of the graph, readiness of each job"
            measure("job-shop-lib", f"single, {graph}", name, 1, observation, made, options.seconds)
        made = lambda file=file: prepare_dispatcher(file)  # noqa: E731
        measure("job-shop-lib", "Dispatcher alone", name, 1, "none", made, options.seconds)


if __name__ == "__main__":
    main()
