"""Random small worlds: a few servers with little memory, sessions, groups and every option."""

import numpy as np

from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.profiles import Profile

TIME = 10**9  # fs in a us


def server(rng: np.random.Generator, tokens: int, preemptive: bool, crowded: bool) -> Profile:
    """A server whose iterations take some us, and which holds the largest request and perhaps little more.

    Args:
        rng: the source of randomness.
        tokens: of the largest request.
        preemptive: whether it may be one that runs a single request and puts it aside for another.
        crowded: whether its memory is what counts.
    """
    size = int(rng.choice([1, 2, 4] if crowded else [1, 2, 4, 16]))
    blocks = -(-tokens // size) + int(rng.choice([0, 1, 3, 6] if crowded else [0, 1, 6, 10, 1000]))
    alone = preemptive and rng.random() < 0.3
    most = 1 if alone else 8 if crowded else int(rng.choice([1, 2, 3, 8]))
    coefficients = [int(value * rng.choice([0, 1])) for value in rng.integers(0, 3 * TIME, 6)]
    return Profile(
        int(rng.integers(0, 5 * TIME)), *coefficients, knee=int(rng.integers(0, 8)), kv_tokens=blocks * size,
        block_size=size, max_num_seqs=most, token_budget=most + int(rng.choice([0, 1, 4, 30])), preemptive=bool(alone),
    )  # fmt: skip


def instance(rng: np.random.Generator, most: int = 9, objective: str | None = None) -> LLMInstance:
    """A few requests that meet on one to three servers."""
    kind = str(rng.choice(["plain", "crowded", "cached"]))
    count = int(rng.integers(1, most + 1)) + (5 if kind == "cached" else 0)
    crowded, tied, groups = kind == "crowded", rng.random() < 0.3, int(rng.integers(0, 4))
    prefix = rng.integers(0, 12, groups)
    longest = 3 if kind != "plain" else int(rng.choice([1, 5, 20]))
    parent, group, prompt, output, arrival = [], [], [], [], []
    follow, answer = rng.choice([0.0, 0.5]) if kind == "plain" else 0.5, 30 if crowded else int(rng.choice([3, 12]))
    for request in range(count):
        free = [one for one in range(request) if one not in parent]
        before = int(rng.choice(free)) if free and rng.random() < follow else -1
        mine = group[before] if before >= 0 else int(rng.integers(-1, groups))
        least = prompt[before] + output[before] if before >= 0 else (int(prefix[mine]) if mine >= 0 else 0)
        parent.append(before)
        group.append(mine)
        prompt.append(least + int(rng.integers(1, longest + 1)))
        output.append(int(rng.choice([1, 2, *rng.integers(1, answer + 1, 3)])))
        arrival.append(int(rng.integers(0, 400 if kind == "cached" else 2 if tied or crowded else 40)))
    roots = [request for request in range(count) if parent[request] < 0]
    for request, time in zip(roots, sorted(arrival[request] for request in roots), strict=True):
        arrival[request] = time
    shared = [int(prefix[one]) if one >= 0 else 0 for one in group]
    tokens = max(p + o for p, o in zip(prompt, output, strict=True))
    serial = rng.random() < 0.3
    servers = tuple(
        server(rng, tokens, serial, kind != "plain") for _ in range(int(rng.integers(1, 4 if kind == "plain" else 3)))
    )
    targets = {f"{name}_target": rng.integers(0, 60, count) for name in ("ttft", "tbt", "e2e")}
    return LLMInstance(
        "case", servers, arrival, prompt, output, parent=parent, group=group, shared=shared,
        client=rng.integers(0, 3, count), priority=rng.integers(0, 3, count), **targets,
        objective=objective or str(rng.choice(["miss_rate", "e2e_mean"])),
    )  # fmt: skip


def conditions(rng: np.random.Generator) -> dict:
    """Any of the options, plain or not."""
    every = {
        "watermark": int(rng.choice([0, 1, 10, 40])), "victim": str(rng.choice(["last", "least", "priority"])),
        "swap_rate": int(rng.choice([0, 1, 700, 10**6])), "prefix_cache": bool(rng.random() < 0.8),
    }  # fmt: skip
    return {key: value for key, value in every.items() if rng.random() < 0.7}
