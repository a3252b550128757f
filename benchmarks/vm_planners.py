"""Rules, search and integer programs on held-out clusters: slots from the proven optimum, and seconds.

python benchmarks/vm_planners.py
python benchmarks/vm_planners.py --instances medium:0-23 --mnl 50 --weight-64 100 --policies macro-greedy mip
"""

import argparse
import datetime
import os

import numpy as np
import torch

from dispatchgym.envs.core import registry
from dispatchgym.envs.core.solvers import Limits, applies, resolve, solve

SETS = (("hosts-50:0-23", 10), ("medium:0-23", 50))
POLICIES = ("ha", "greedy", "macro-greedy", "swap", "beam", "pop", "patterns", "mip-reduced")
SLOT = 16


def table(instances, policies, options: dict, seconds: float) -> list[list[str]]:
    """A row for each policy, the optimum last."""
    entry = registry.family("vm")
    limits = Limits(options=options, time_limit=seconds)
    rates, times, proven = {}, {}, []
    for name in (*policies, "mip"):
        policy = resolve(name, "vm")
        if not applies(policy, instances, limits):
            continue
        answers = solve(policy, instances, limits)
        for instance, answer in zip(instances, answers, strict=True):
            assert not entry.check(instance, answer.schedule), f"{name} on {instance.name}"
        rates[name] = np.array([answer.schedule.metrics()["fragment_rate"] for answer in answers])
        times[name] = np.array([answer.runtime_s for answer in answers])
        proven = [answer.status == "optimal" for answer in answers]
    free = np.array([int(instance.free_cores.sum()) for instance in instances])
    rows = []
    for name, rate in rates.items():
        slots = (rate - rates["mip"]) * free / SLOT
        rows.append([
            name, f"{rate.mean():.4f}", f"{slots.mean():.2f}", f"{slots.max():.2f}",
            f"{(slots < 0.01).sum()} of {len(slots)}", f"{(slots < 1.01).sum()} of {len(slots)}",
            f"{times[name].mean():.3g}", f"{times[name].max():.3g}",
        ])  # fmt: skip
    rows[-1][0] += f", proved {sum(proven)} of {len(proven)}"
    return rows


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", help="such as medium:0-9; two sets when left out")
    parser.add_argument("--mnl", type=int, default=50)
    parser.add_argument("--weight-64", type=int, default=0, help="percent of FR-64")
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each integer program")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sets = ((arguments.instances, arguments.mnl),) if arguments.instances else SETS
    for names, mnl in sets:
        instances = registry.instances([names], "vm")
        options = {"mnl": mnl, "weight_64": arguments.weight_64}
        print(f"\n{names}, {mnl} migrations, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}\n")
        print("| policy | fragment rate | slots above the optimum | at most | optimal | within a slot | s | at most |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for row in table(instances, arguments.policies, options, arguments.seconds):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
