"""Decisions per second of the simulators by batch, threads and observation, on this machine.

    python benchmarks/engine_speed.py
    python benchmarks/engine_speed.py soc --seconds 2

Random legal actions; choosing them is not counted, restarting ended episodes is. Best of the rounds, which take turns.
"""

import argparse
import datetime
import os
import time

import torch

from dispatchgym.envs.core.machine import machine
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.simulation import Simulation

CASES = (  # batch, threads, observation, forced moves applied by the simulator
    (1024, 1, False, False),
    (1024, 1, False, True),
    (1024, 1, True, False),
    (1024, 1, True, True),
    (8192, 1, False, True),
    (8192, 2, False, True),
    (8192, 1, True, True),
    (8192, 2, True, True),
    (1, 1, True, False),
)
FEW_CASES = (CASES[0], CASES[2], CASES[8])  # a push decision is a task; forced moves would hide some
SERVER_CASES = ((1024, 1, False, False), (64, 1, False, False), (64, 1, True, False), (1, 1, True, False))
CLUSTER_CASES = ((64, 1, False, False), (64, 1, True, False), (1, 1, True, False))  # hundreds of hosts each
WORKLOADS = {  # name of the row: preset, options, cases
    "job-shop": {
        "15x15 non-delay": ("15x15", {"construction": "non-delay"}, CASES),
        "15x15 active": ("15x15", {"construction": "active"}, CASES),
    },
    "flexible-job-shop": {
        "sd1-10x5 non-delay": ("sd1-10x5", {"construction": "non-delay"}, FEW_CASES),
        "sd1-10x5 active": ("sd1-10x5", {"construction": "active"}, FEW_CASES),
        "sd1-20x10 active": ("sd1-20x10", {"construction": "active"}, FEW_CASES),
    },
    "soc": {
        "radio-small-50, push": ("radio-small-50", {"binding": "push", "choice": 1, "observation": "ready"}, FEW_CASES),
        "radio-50, push": ("radio-50", {"binding": "push", "choice": 1, "observation": "ready"}, FEW_CASES),
        "radio-50, push, 8 tasks": ("radio-50", {"binding": "push", "observation": "ready"}, FEW_CASES),
        "radio-50, pull": ("radio-50", {"observation": "ready"}, FEW_CASES),
        "radio-50, late": ("radio-50", {"binding": "late", "observation": "ready"}, FEW_CASES),
        "cholesky-8-1g3c, pull, noise": (
            "cholesky-8-1g3c", {"noise": "gaussian", "sigma": 0.5, "observation": "ready"}, FEW_CASES,
        ),
        "random-30, plan": ("random-30", {"observation": "ready"}, FEW_CASES),
        "random-30, plan, all tasks shown": ("random-30", {}, FEW_CASES),
        "random-30, plan with pilot": (
            "random-30", {"choice": 3, "pilot": "rank-oct", "observation": "ready"}, FEW_CASES,
        ),
    },
    "vm": {  # of moves in two steps, both count: a migration is two of these decisions
        "medium, moves in two steps": ("medium", {"moves": "vm"}, CLUSTER_CASES),
        "medium, class moves": ("medium", {}, CLUSTER_CASES),
        "medium, macros": ("medium", {"moves": "macro"}, CLUSTER_CASES),
        "hosts-30, class moves": ("hosts-30", {}, CLUSTER_CASES),
        "hosts-30, macros": ("hosts-30", {"moves": "macro"}, CLUSTER_CASES),
        "hosts-30, macros, FR-64": ("hosts-30", {"moves": "macro", "weight_64": 100}, CLUSTER_CASES),
        "churn-50-5, class moves": ("churn-50-5", {"copy_rate": 1000}, CLUSTER_CASES),
        "pods-16x4, class moves": ("pods-16x4", {}, CLUSTER_CASES),
    },
    "llm": {  # iterations/s stand beside: a decision is followed by several
        "steady, 32 offered": ("steady-n300", {}, SERVER_CASES),
        "steady, first come or wait": ("steady-n300", {"order": "arrival", "choice": 1}, SERVER_CASES),
        "tight-kv, 32 offered": ("tight-kv-n300", {}, SERVER_CASES),
        "serial-preemptive": ("serial-preemptive-n300", {"order": "arrival"}, SERVER_CASES),
        "route-prefix, routing": ("route-prefix-n600", {"control": "routing"}, SERVER_CASES),
    },
}  # fmt: skip


class Case:
    """One row: a simulation and the best rate seen so far."""

    def __init__(self, family_name: str, workload: str, batch: int, threads: int, observe: bool, forced_moves: bool):
        entry = family(family_name)
        preset, options, _ = WORKLOADS[family_name][workload]
        instances = entry.room("generator").training_instances(preset, min(batch, 64), 0, 0)
        model = entry.model(instances, entry.make_options(**options, forced_moves=forced_moves))
        self.simulation = Simulation(model, instances, batch, observe=observe, threads=threads)
        self.simulation.reset()
        self.draws = torch.rand(16, batch, model.spec.actions, generator=torch.Generator().manual_seed(0))
        self.row = (workload, batch, threads, "graph" if observe else "none", "applied" if forced_moves else "shown")
        self.best, self.best_iterations = 0.0, 0.0

    def measure(self, seconds: float) -> None:
        """Step for a while."""
        spent, steps, ended = 0.0, 0, 0
        counted = self.simulation.engine.tensors.get("iterations")  # of servers of language models
        before = 0 if counted is None else int(counted.sum())
        while spent < seconds:
            action = (self.draws[steps % 16] * self.simulation.mask).argmax(1)
            begin = time.perf_counter()
            self.simulation.step(action)
            if counted is not None:
                ended += int(counted[~self.simulation.going_on].sum())
            self.simulation.restart()
            spent += time.perf_counter() - begin
            steps += 1
        self.best = max(self.best, steps * self.simulation.num_envs / spent)
        if counted is not None:
            self.best_iterations = max(self.best_iterations, (ended + int(counted.sum()) - before) / spent)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", nargs="?", default="job-shop", choices=WORKLOADS)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each row and round")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    workloads = WORKLOADS[arguments.family]
    cases = [Case(arguments.family, name, *case) for name, (_, _, rows) in workloads.items() for case in rows]
    for _ in range(arguments.rounds):
        for case in cases:
            case.measure(arguments.seconds)
    load = os.getloadavg()[0]
    print(f"{arguments.family}, {machine()}, load {load:.1f}, {datetime.date.today()}\n")
    iterations = any(case.best_iterations for case in cases)
    print(
        "| workload | batch | threads | observation | forced moves | decisions/s | us a decision |"
        + " iterations/s |" * iterations
    )
    print("| --- | ---: | ---: | --- | --- | ---: | ---: |" + " ---: |" * iterations)
    for case in cases:
        more = f" {case.best_iterations:,.0f} |" * iterations
        print("| " + " | ".join(map(str, case.row)) + f" | {case.best:,.0f} | {1e6 / case.best:.3f} |{more}")


if __name__ == "__main__":
    main()
