"""What the tests of the core play: every family's simulator on random instances under random options."""

from dataclasses import dataclass

import numpy as np
import pytest

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop import model as job_shop
from dispatchgym.envs.job_shop.options import Options as JobShopOptions
from dispatchgym.envs.soc import model as soc

CONSTRUCTIONS = ("active", "non-delay", "insertion", 0.3)


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
    """Job shops, classic or general, under every construction."""

    name = "job_shop"
    programs = job_shop.PROGRAMS
    bank_field = "duration"
    optimisation = None  # a state that is passed by value takes the compiler longer without

    def __init__(self, random_shop):
        self.random_shop = random_shop

    def draw(self, seed: int, count: int, **fixed) -> Game:
        rng = np.random.default_rng(seed)
        general = bool(rng.random() < 0.5)
        instances = [self.random_shop(rng, general, name=f"random {k}") for k in range(count)]
        options = {
            "construction": CONSTRUCTIONS[rng.integers(len(CONSTRUCTIONS))], "forced_moves": bool(rng.random() < 0.5),
            "observation": str(rng.choice(["jobs", "operations"])),
        }  # fmt: skip
        return Game(instances, rng, job_shop.Model(instances, JobShopOptions(**options | fixed)))


class SoCs:
    """Task graphs, planned or streaming, under every option."""

    name = "soc"
    programs = soc.PROGRAMS
    bank_field = "execution"
    optimisation = 0

    def __init__(self, random_system, random_soc_options):
        self.random_system, self.random_options = random_system, random_soc_options

    def draw(self, seed: int, count: int, **fixed) -> Game:
        rng = np.random.default_rng(seed)
        static = bool(rng.random() < 0.4)
        instances = [self.random_system(rng, 1 if static else None, f"random {k}") for k in range(count)]
        static = all(instance.static for instance in instances)
        return Game(instances, rng, soc.Model(instances, self.random_options(rng, static, **fixed)))


@pytest.fixture(scope="session", params=["job_shop", "soc"])
def subject(request, random_shop, random_system, random_soc_options):
    """Each family in turn: ``draw(seed, count, **options)`` makes a random Game."""
    if request.param == "job_shop":
        return JobShops(random_shop)
    return SoCs(random_system, random_soc_options)
