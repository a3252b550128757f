"""Rules of LLM admission in regimes of load, burstiness, promises and memory: goodput over held-out workloads.

    python benchmarks/llm_regimes.py
    python benchmarks/llm_regimes.py --seeds 4 --policies fcfs edf runs/llm-admission-0

All policies meet the same workloads; the interval is the bootstrap's, over workloads.
"""

import argparse
import datetime
import os

import numpy as np
import torch

from dispatchgym.envs.core import registry
from dispatchgym.envs.core.solvers import Limits, resolve, solve
from dispatchgym.envs.core.statistics import bootstrap

REGIMES = {  # of 1,500 conversations each, on one H100 with Llama-3-8B
    "Poisson, 95 %": "steady",
    "bursts (CV 3), 90 %": "burst",
    "bursts, tighter promises": "burst-tight",
    "overload, 115 %": "overload-x115",
    "two classes, 110 %": "mixed-slo",
    "30k tokens of memory, 110 %": "tight-kv",
    "30k tokens of memory, 140 %": "tight-kv-x140",
}
POLICIES = (
    "fcfs", "fcfs-head", "edf", "sjf-output", "sjf", "sjf-feasible", "moore-hodgson", "atc", "moore-hodgson-careful",
    "atc-careful", "atc-kv-careful", "kv-feasible-careful",
)  # fmt: skip


def goodput(policy, instances, seed: int) -> np.ndarray:
    """The share of the requests of each workload whose promises are all kept, (instances,)."""
    schedules = [answer.schedule for answer in solve(policy, instances, Limits(seed=seed))]
    return np.array([schedule.metrics()["goodput"] for schedule in schedules])


def main() -> None:
    """Measure and print a table, a row for each policy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16, help="workloads of each regime")
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    parser.add_argument("--regimes", nargs="*", help="presets instead of the seven")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    regimes = {name: name for name in arguments.regimes} if arguments.regimes else REGIMES
    found = {name: [] for name in arguments.policies}
    for preset in regimes.values():
        instances = registry.instances([f"{preset}:0-{arguments.seeds - 1}"], "llm")
        for name in arguments.policies:
            found[name].append(goodput(resolve(name, "llm"), instances, 0))
    best = [max(float(row[place].mean()) for row in found.values()) for place in range(len(regimes))]
    print(f"Goodput, {arguments.seeds} workloads each, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}\n")
    print("| policy | " + " | ".join(regimes) + " |")
    print("| --- |" + " ---: |" * len(regimes))
    for name, row in found.items():
        cells = []
        for place, values in enumerate(row):
            interval = bootstrap(values)
            mark = "**" if float(values.mean()) == best[place] else ""
            cells.append(f"{mark}{values.mean():.3f}{mark} ({interval.low:.3f} .. {interval.high:.3f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
