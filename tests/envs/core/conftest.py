"""What the tests of the core play: every family's simulator on random instances under random options."""

from dataclasses import dataclass

import numpy as np
import pytest

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.flexible_job_shop import model as flexible
from dispatchgym.envs.flexible_job_shop.options import Options as FlexibleOptions
from dispatchgym.envs.job_shop import model as job_shop
from dispatchgym.envs.job_shop import model_live as job_shop_live
from dispatchgym.envs.job_shop.options import Options as JobShopOptions
from dispatchgym.envs.llm import model as llm
from dispatchgym.envs.soc import model as soc
from dispatchgym.envs.vm import model as vm

CONSTRUCTIONS = ("active", "non-delay", "insertion", 0.3, "wait")


@dataclass
class Game:
    """Instances that go together, and the model made for them.

    Attributes:
        instances: the bank.
        rng: the generator they came from, for whatever else is to be random.
        model: made for them under random options.
    """

    instances: list
    rng: np.random.Generator
    model: object

    def simulation(self, num_envs: int, instances=None, **arguments) -> Simulation:
        return Simulation(self.model, instances or self.instances, num_envs, **arguments)


class JobShops:
    """Job shops, classic or general, with due dates or without, under every construction."""

    name, kind = "job_shop", ""
    programs = job_shop.PROGRAMS
    bank_field, env_field = "duration", "start"

    def __init__(self, random_shop, dated):
        self.random_shop, self.dated = random_shop, dated

    def draw(self, seed: int, count: int, **fixed) -> Game:
        rng = np.random.default_rng(seed)
        general = bool(rng.random() < 0.5)
        instances = [self.random_shop(rng, general, name=f"random {k}") for k in range(count)]
        if rng.random() < 0.5:
            objective = str(rng.choice(["total_weighted_tardiness", "makespan + 2 max_lateness + number_tardy"]))
            instances = [self.dated(instance, rng, objective) for instance in instances]
        options = {
            "construction": CONSTRUCTIONS[rng.integers(len(CONSTRUCTIONS))], "forced_moves": bool(rng.random() < 0.5),
            "observation": str(rng.choice(["jobs", "operations"])),
        }  # fmt: skip
        return Game(instances, rng, job_shop.Model(instances, JobShopOptions(**options | fixed)))


class LiveJobShops(JobShops):
    """Job shops in which time passes, with everything that may happen in them."""

    kind = "live"
    programs = {"live": job_shop_live.PROGRAM}

    def draw(self, seed: int, count: int, observation: str = "", **fixed) -> Game:
        game = super().draw(seed, count, observation="jobs", construction="wait")  # one program does it all
        rng, noise = game.rng, str(game.rng.choice(["none", "gaussian", "gamma"]))
        options = {
            "construction": str(rng.choice(["non-delay", "wait"])), "forced_moves": bool(rng.random() < 0.5),
            "buffers": str(rng.choice(["unlimited", "none", "swap"])), "safety": bool(rng.random() < 0.8),
            "noise": noise, "sigma": 0.4 * (noise != "none"), "reveal": bool(rng.random() < 0.3),
        }  # fmt: skip
        if rng.random() < 0.5 or not JobShopOptions(**options).live:
            options |= {"uptime": 4000, "repair": 100, "interrupted": str(rng.choice(["resume", "restart"]))}
        return Game(game.instances, rng, job_shop.Model(game.instances, JobShopOptions(**options | fixed)))


class SoCs:
    """Task graphs, planned or streaming, under every option."""

    name, kind = "soc", ""
    programs = soc.PROGRAMS
    bank_field, env_field = "execution", "start"

    def __init__(self, random_system, random_soc_options):
        self.random_system, self.random_options = random_system, random_soc_options

    def draw(self, seed: int, count: int, **fixed) -> Game:
        rng = np.random.default_rng(seed)
        static = bool(rng.random() < 0.4)
        instances = [self.random_system(rng, 1 if static else None, f"random {k}") for k in range(count)]
        static = all(instance.static for instance in instances)
        return Game(instances, rng, soc.Model(instances, self.random_options(rng, static, **fixed)))


class VMs:
    """Clusters to be rescheduled, packed or both as time runs, under every option."""

    name, kind = "vm", ""
    programs = vm.PROGRAMS
    bank_field, env_field = "need_cores", "place"

    def __init__(self, random_cluster, random_vm_options):
        self.random_cluster, self.random_options = random_cluster, random_vm_options

    def draw(self, seed: int, count: int, observation: str = "", **fixed) -> Game:
        rng = np.random.default_rng(seed)
        task = vm.TASKS[rng.integers(3)]
        instances = [self.random_cluster(rng, task, name=f"random {k}") for k in range(count)]
        if observation:  # each has a program of its own
            fixed |= {"moves": {"classes": "class", "vms": "vm"}[observation]}
        return Game(instances, rng, vm.Model(instances, self.random_options(rng, task, **fixed)))


class Requests:
    """Requests that are admitted or routed, under every option; one program does it all."""

    name, kind = "llm", ""
    programs = {"queue": llm.PROGRAM}
    bank_field, env_field = "prompt_tokens", "ended"

    def __init__(self, random_requests, random_llm_options):
        self.random_requests, self.random_options = random_requests, random_llm_options

    def draw(self, seed: int, count: int, **fixed) -> Game:
        rng = np.random.default_rng(seed)
        objective = str(rng.choice(["miss_rate", "e2e_mean"]))
        instances = [self.random_requests(rng, objective) for _ in range(count)]
        return Game(instances, rng, llm.Model(instances, self.random_options(rng, objective, **fixed)))


class FlexibleJobShops:
    """Flexible job shops under every construction."""

    name, kind = "flexible_job_shop", ""
    programs = flexible.PROGRAMS
    bank_field, env_field = "duration", "start"

    def __init__(self, random_flexible_shop):
        self.random_shop = random_flexible_shop

    def draw(self, seed: int, count: int, observation: str = "", **fixed) -> Game:
        rng = np.random.default_rng(seed)
        instances = [self.random_shop(rng, name=f"random {k}") for k in range(count)]
        options = {
            "construction": ("active", "non-delay", 0.3, "wait")[rng.integers(4)],
            "forced_moves": bool(rng.random() < 0.5),
        }
        return Game(instances, rng, flexible.Model(instances, FlexibleOptions(**options | fixed)))


@pytest.fixture(scope="session", params=["job_shop", "job_shop-live", "soc", "vm", "llm", "flexible_job_shop"])
def subject(request):
    """Each family in turn: ``draw(seed, count, **options)`` makes a random Game."""
    if request.param == "job_shop":
        return JobShops(*map(request.getfixturevalue, ("random_shop", "dated")))
    if request.param == "job_shop-live":
        return LiveJobShops(*map(request.getfixturevalue, ("random_shop", "dated")))
    if request.param == "flexible_job_shop":
        return FlexibleJobShops(request.getfixturevalue("random_flexible_shop"))
    if request.param == "soc":
        return SoCs(*map(request.getfixturevalue, ("random_system", "random_soc_options")))
    if request.param == "vm":
        return VMs(*map(request.getfixturevalue, ("random_cluster", "random_vm_options")))
    return Requests(*map(request.getfixturevalue, ("random_requests", "random_llm_options")))
