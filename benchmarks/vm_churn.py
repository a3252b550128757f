"""Clusters that live on: rules, replanning, learned policies, and a hint of how much there could be.

    python benchmarks/vm_churn.py --rate 12 --instances 20
    python benchmarks/vm_churn.py --rate 40 --policies runs/vm-churn-40-0

The hint looks at ten moments of the life without any migration and lets the reduced integer program move, at once, as
many VMs as the best rule has moved by then. Nobody can do that: it chooses its past anew at every moment, knows what
will come, and copies in no time. It is no proof either, since migrations change what is rejected.
"""

import argparse
import datetime
import os

import numpy as np
import torch

from dispatchgym.baselines.vm_mip import solve_mip
from dispatchgym.baselines.vm_replan import snapshot_of
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.core.solvers import Limits, resolve, solve
from dispatchgym.envs.core.statistics import bootstrap

RULES = ("no-op", "ha", "greedy", "quick", "macro-greedy", "macro-quick", "mip-replan")
REFERENCE = "macro-quick"
MOMENTS = 10


def life_without_moves(instance, options) -> list[tuple[int, np.ndarray]]:
    """When each of the moments is, and (VMs,) where every VM is then if nothing is ever moved."""
    entry = registry.family("vm")
    model = entry.model([instance], options)
    simulation = Simulation(model, [instance], 1, observe=False)
    simulation.reset()
    moments = [instance.horizon * (k + 1) // (MOMENTS + 1) for k in range(MOMENTS)]
    found, tensors = [], simulation.engine.tensors
    stop = torch.tensor([model.spec.actions - 1])
    while moments and not int(simulation.terminated[0]):
        place = tensors["place"][0].numpy().copy()
        simulation.step(stop)
        while moments and int(tensors["now"][0]) >= moments[0]:
            found.append((moments.pop(0), place))
    return found


def hindsight(instance, schedule, options) -> float:
    """Mean over the moments of the fragment rate after as many moves as the schedule has begun by then."""
    rates = []
    for moment, place in life_without_moves(instance, options):
        snapshot, _ = snapshot_of(instance, place)
        moves = int((schedule.column("start") <= moment).sum())
        plan = solve_mip(snapshot, {"mnl": moves}, 10.0, reduced=True)
        rates.append(_rate_after(snapshot, plan.moves))
    return float(np.mean(rates))


def _rate_after(snapshot, moves) -> float:
    from dispatchgym.baselines.vm_problem import Cluster, outcome

    return float(outcome(Cluster(snapshot, {"mnl": len(moves)}), moves))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=12, help="arrivals a minute, and as many departures")
    parser.add_argument("--hosts", type=int, default=280)
    parser.add_argument("--instances", type=int, default=20)
    parser.add_argument("--copy-rate", type=int, default=1000, help="MB/s")
    parser.add_argument("--latency", type=int, default=0, help="ms")
    parser.add_argument("--policies", nargs="*", default=[], help="run folders of learned policies")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    entry = registry.family("vm")
    options = {"copy_rate": arguments.copy_rate, "latency": arguments.latency}
    names = [f"churn-{arguments.hosts}-{arguments.rate}:0-{arguments.instances - 1}"]
    instances = registry.instances(names, "vm")
    values, metrics, schedules = {}, {}, {}
    for name in (*RULES, *arguments.policies):
        answers = solve(resolve(name, "vm"), instances, Limits(options=options))
        schedules[name] = [answer.schedule for answer in answers]
        assert not any(entry.check(i, s) for i, s in zip(instances, schedules[name], strict=True))
        metrics[name] = [entry.metrics(i, s) for i, s in zip(instances, schedules[name], strict=True)]
        values[name] = np.array([row["mean_fragment_rate"] for row in metrics[name]])
    made = entry.make_options(moves="class", **options)
    values["hindsight"] = np.array(
        [hindsight(i, s, made) for i, s in zip(instances, schedules[REFERENCE], strict=True)]
    )  # fmt: skip
    print(f"{names[0]}, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}\n")
    print(f"| policy | mean rate | minus {REFERENCE}, points | 95 % interval | at the end | moves | stale | rejected |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, value in values.items():
        difference = bootstrap(100 * (value - values[REFERENCE]))
        cells = [
            name,
            f"{value.mean():.4f}",
            f"{difference.mean:+.2f}",
            f"{difference.low:+.2f} .. {difference.high:+.2f}",
        ]
        for key, digits in (("fr_final", 4), ("migrations", 1), ("stale_moves", 1), ("rejected", 1)):
            cells.append(f"{np.mean([row[key] for row in metrics[name]]):.{digits}f}" if name in metrics else "-")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
