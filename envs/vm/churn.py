"""Churn: virtual machines (VMs) that leave a cluster and others that arrive, at the same rate."""

import math

import numpy as np

from .fields import NEVER

MINUTE = 60_000  # ms


def draw_churn(
    cluster: dict[str, np.ndarray], rate: float, horizon: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Let the VMs of a cluster live for exponential times, and others arrive in a Poisson process.

    At first ``rate`` VMs leave in a minute on average; the lifetimes of those that arrive are of the same
    distribution, and each is a copy of a random VM of the first ones, so that the load stays about the same.

    Args:
        cluster: node_cores, node_memory, cores, memory, numas and node, all of them placed.
        rate: VMs that arrive in a minute, on average.
        horizon: ms; later arrivals and departures are left out.
        rng: the source of randomness.

    Returns:
        The same with the VMs that arrive, and with arrival and departure in ms.
    """
    vms = len(cluster["node"])
    lifetime = vms / rate * MINUTE
    arrival = _poisson(MINUTE / rate, horizon, rng)
    model = rng.integers(vms, size=len(arrival))
    arrival = np.concatenate([np.zeros(vms, dtype=np.int64), arrival])
    departure = arrival + np.ceil(rng.exponential(lifetime, len(arrival))).astype(np.int64).clip(1)
    grown = {what: np.concatenate([cluster[what], cluster[what][model]]) for what in ("cores", "memory", "numas")}
    return (
        cluster
        | grown
        | {
            "node": np.concatenate([cluster["node"], np.full(len(model), -1)]),
            "arrival": arrival,
            "departure": np.where(departure <= horizon, departure, NEVER),
        }
    )


def _poisson(gap: float, horizon: int, rng: np.random.Generator) -> np.ndarray:
    """Times of a Poisson process after 0 and before the horizon, in whole ms, rounded up."""
    expected = horizon / gap
    times, most = np.zeros(0), math.ceil(expected + 6 * math.sqrt(expected) + 10)
    while not len(times) or times[-1] < horizon:  # once around, but for one time in a billion
        start = times[-1] if len(times) else 0.0
        times = np.concatenate([times, start + np.cumsum(rng.exponential(gap, most))])
    whole = np.ceil(times).astype(np.int64).clip(1)
    return whole[whole < horizon]
