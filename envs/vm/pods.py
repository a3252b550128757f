"""Pod packing: a cluster of Kubernetes whose scheduler left some pods pending.

The set-up follows "Priority Matters" (arXiv 2511.08373): replica sets of one to four pods, random requests and
priorities, and nodes that hold exactly what is requested, so that little may be wasted. A pod is a double
virtual machine, which takes the same from both halves of a node; so a node is one bin, as it is for Kubernetes.
"""

import numpy as np

PRIORITIES = 4
REPLICAS = 4  # of one set, at most
REQUESTS = (2, 20)  # pairs of cores, and pairs of ``CHUNK`` MB
CHUNK = 2048
TRIES = 20


def draw_pods(nodes: int, pods: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw pods whose requests sum to what the nodes have, and place them as Kubernetes does.

    They come in a random order of their sets, whatever their priorities. Each goes to the node that has the most
    left, on the mean over cores and memory, of those where it fits, the lowest of several; at least one is left
    over.

    Args:
        nodes: number of nodes.
        pods: number of pods for each node, on average.
        rng: the source of randomness.

    Returns:
        node_cores, node_memory, cores, memory, numas, priority and node, as ``VMInstance`` takes them.
    """
    for _ in range(TRIES):
        request, priority = _draw_sets(nodes * pods, rng)
        capacity = -(-request.sum(axis=0) // nodes)
        node = _spread(request, np.tile(capacity, (nodes, 1)))
        if (node < 0).any():
            break
    else:
        node[-1] = -1  # of very small clusters all pods may fit every time
    return {
        "node_cores": np.full((nodes, 2), capacity[0]),
        "node_memory": np.full((nodes, 2), capacity[1] * CHUNK),
        "cores": 2 * request[:, 0],
        "memory": 2 * CHUNK * request[:, 1],
        "numas": np.full(len(node), 2),
        "priority": priority,
        "node": node,
    }


def _draw_sets(pods: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Requests, (pods, 2), for each half of a node, and priorities, (pods,); pods of a set follow one another."""
    replicas = rng.integers(1, REPLICAS, size=pods, endpoint=True)
    request = rng.integers(*REQUESTS, size=(pods, 2), endpoint=True)
    priority = rng.integers(PRIORITIES, size=pods)
    member_of = np.repeat(np.arange(pods), replicas)[:pods]
    return request[member_of], priority[member_of]


def _spread(request: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Where pods go one after another, 2 * node or -1; ``free``, (nodes, 2), is used up."""
    whole, node = free.astype(float), np.full(len(request), -1)
    for pod, need in enumerate(request):
        left = free - need
        room = (left >= 0).all(axis=1)
        if room.any():
            best = int(np.where(room, (left / whole).mean(axis=1), -1.0).argmax())
            free[best] = left[best]
            node[pod] = 2 * best
    return node
