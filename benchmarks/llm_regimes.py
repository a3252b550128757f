"""Rules of LLM admission in regimes of load, burstiness, promises and memory: goodput over held-out workloads.

    python benchmarks/llm_regimes.py
    python benchmarks/llm_regimes.py --seeds 4 --policies fcfs edf runs/llm-admission-0
    python benchmarks/llm_regimes.py --prediction exact          the same rules, knowing how long answers will be
    python benchmarks/llm_regimes.py --regimes route-prefix --control routing --local fcfs --policies hit-load weighed

All policies meet the same workloads; the interval is the bootstrap's, over workloads.
"""

import argparse
import datetime

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


def measured(metric: str, policy, instances, options: dict) -> np.ndarray:
    """A metric of each workload, such as goodput, the share of requests whose promises are all kept; (instances,)."""
    schedules = [answer.schedule for answer in solve(policy, instances, Limits(seed=0, options=options))]
    return np.array([schedule.metrics()[metric] for schedule in schedules])


def main() -> None:
    """Measure and print a table, a row for each policy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16, help="workloads of each regime")
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    parser.add_argument("--regimes", nargs="*", help="presets instead of the seven")
    parser.add_argument("--metric", default="goodput", help="goodput, or a time such as e2e_mean, in seconds")
    parser.add_argument("--against", default="", help="policy to which paired intervals are given")
    for option in ("prediction", "control", "local"):
        parser.add_argument(f"--{option}", help="of the family")
    arguments = parser.parse_args()
    options = {name: getattr(arguments, name) for name in ("prediction", "control", "local")}
    options = {name: value for name, value in options.items() if value is not None}
    torch.set_num_threads(1)
    regimes = {name: name for name in arguments.regimes} if arguments.regimes else REGIMES
    found = {name: [] for name in arguments.policies}
    for preset in regimes.values():
        instances = registry.instances([f"{preset}:0-{arguments.seeds - 1}"], "llm")
        for name in arguments.policies:
            found[name].append(measured(arguments.metric, resolve(name, "llm"), instances, options))
    top = max if arguments.metric == "goodput" else min
    best = [top(float(row[place].mean()) for row in found.values()) for place in range(len(regimes))]
    print(f"{arguments.metric}, {arguments.seeds} workloads each, {options}, {datetime.date.today()}\n")
    print("| policy | " + " | ".join(regimes) + " |")
    print("| --- |" + " ---: |" * len(regimes))
    for name, row in found.items():
        cells = []
        for place, values in enumerate(row):
            mark = "**" if float(values.mean()) == best[place] else ""
            cell = f"{mark}{values.mean():.3f}{mark}"
            if arguments.against:
                values = values - found[arguments.against][place]
            interval, shape = bootstrap(values), "+.3f" if arguments.against else ".3f"
            cells.append(f"{cell} ({interval.low:{shape}} .. {interval.high:{shape}})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
