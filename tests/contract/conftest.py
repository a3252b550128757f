"""The contract every environment and policy keeps; the table below is all that a new family adds."""

import itertools
from dataclasses import dataclass, field

import gymnasium
import pytest

import dispatchgym  # noqa: F401  (registers the environments)
from dispatchgym.envs.core.registry import families

# Family: small instances by name (published ones have known bounds, which no schedule may beat), and values for every
# option.
FAMILIES = {
    "job_shop": (
        ["ft06", "la01", "6x6:0-1", "4x3:0-1", "3x5:0"],
        {
            "construction": ["active", "non-delay", "insertion", 0.3],
            "forced_moves": [True, False],
            "observation": ["jobs", "operations"],
        },
    ),
    "soc": (
        ["topcuoglu", "insertion", "random-12:0-1", "cholesky-4-2g2c:0"],
        {
            "binding": ["pull", "match", "push", "late"],
            "mode": ["auto", "online"],
            "noise": ["none", "gaussian"],
            "sigma": [0.0, 0.5],
            "observation": ["tasks", "ready"],
            "choice": [4, 0],
            "shared_bus": [False, True],
        },
    ),
}


@dataclass(frozen=True)
class Variant:
    """One environment id with one setting of the family's options."""

    family: str
    id: str
    options: dict = field(hash=False)

    def __str__(self) -> str:
        return "-".join([self.id.split("/")[-1], *map(str, self.options.values())])

    @property
    def instances(self) -> list[str]:
        return FAMILIES[self.family][0]

    def make(self, **arguments):
        """One environment, without wrappers."""
        return gymnasium.make(self.id, **self.options, **arguments).unwrapped

    def make_vec(self, num_envs: int, **arguments):
        """The vector environment."""
        return gymnasium.make_vec(self.id, num_envs=num_envs, **self.options, **arguments)


def variants(every: bool = True) -> list[Variant]:
    """Every id with every combination of option values, or with the first one of each only."""
    found = []
    for family in families():
        options = FAMILIES[family.name][1]
        for name in family.environments:
            settings = [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]
            found += [Variant(family.name, name, setting) for setting in (settings if every else settings[:1])]
    return found


def pytest_generate_tests(metafunc):
    """``variant``: everything; ``default``: each id once; ``policy``: each (family, policy name)."""
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", variants(), ids=str)
    if "default" in metafunc.fixturenames:
        metafunc.parametrize("default", variants(every=False), ids=str)
    if "policy" in metafunc.fixturenames:
        metafunc.parametrize("policy", [(f.name, name) for f in families() for name in f.policies], ids="-".join)


@pytest.fixture(scope="session")
def contract_table():
    """The table above."""
    return FAMILIES
