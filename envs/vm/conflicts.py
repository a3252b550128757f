"""Random conflicts: pairs of virtual machines (VMs) that may not share a host."""

import numpy as np


def draw_conflicts(node: np.ndarray, hosts: int, share: float, rng: np.random.Generator) -> tuple:
    """Draw pairs so that a VM is kept from this share of the other hosts, on average.

    Any two VMs that do not share a host are a pair with one probability, which follows from the share and from
    how many VMs each host has.

    Args:
        node: (VMs,) where each VM is.
        hosts: number of hosts.
        share: 0 to less than 1.
        rng: the source of randomness.

    Returns:
        Groups of two, as ``VMInstance`` takes them.
    """
    host = np.asarray(node) // 2
    probability = pair_probability(np.bincount(host, minlength=hosts), share)
    first, second = _pairs(len(host), probability, rng)
    apart = host[first] != host[second]
    pairs = zip(first[apart].tolist(), second[apart].tolist(), strict=True)
    return tuple(("host", pair) for pair in pairs)


def pair_probability(vms: np.ndarray, share: float) -> float:
    """Probability of a pair such that some VM of a host is paired with a given one on this share of the hosts.

    Args:
        vms: (hosts,) number of VMs of each host.
        share: 0 to less than 1; what cannot be reached since hosts are empty is cut off.

    >>> pair_probability(np.array([1, 1, 1]), 0.25)
    0.25
    """
    low, high = 0.0, 1.0
    if 1 - np.mean(vms == 0) <= share:
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - np.mean((1 - middle) ** vms) < share else (low, middle)
    return round(high, 9)


def _pairs(vms: int, probability: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each of the pairs first < second with this probability, two of (pairs,) int64, in order.

    Pairs are numbered row by row; the gaps between numbers that are drawn are geometric.
    """
    total = vms * (vms - 1) // 2
    found = [np.zeros(0, dtype=np.int64)]
    last, block = -1, max(16, int(1.1 * total * probability))
    while probability > 0 and last < total:
        numbers = last + np.cumsum(rng.geometric(probability, block))
        found.append(numbers[numbers < total])
        last = int(numbers[-1])
    numbers = np.concatenate(found)
    ends = np.cumsum(np.arange(vms - 1, 0, -1))  # the number after the last pair of each row
    first = np.searchsorted(ends, numbers, side="right")
    return first, numbers - np.concatenate([[0], ends])[first] + first + 1
