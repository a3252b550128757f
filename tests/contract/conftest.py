"""The contract every environment and policy keeps; the table below is all that a new family adds."""

import itertools
from dataclasses import dataclass, field

import gymnasium
import pytest

import dispatchgym  # noqa: F401  (registers the environments)
from dispatchgym.baselines.llm_routing import ROUTING
from dispatchgym.envs.core.registry import families


@dataclass(frozen=True)
class Setting:
    """Options, and what can be played under them.

    Attributes:
        options: of the family.
        instances: small ones by name, of different sizes; published ones have known bounds, which no schedule may beat.
        drawn: keyword arguments of environments that generate their instances.
    """

    options: dict
    instances: list[str]
    drawn: dict = field(default_factory=dict)


def product(instances: list[str], values: dict[str, list]) -> list[Setting]:
    """Every combination of option values."""
    return [Setting(dict(zip(values, row, strict=True)), instances) for row in itertools.product(*values.values())]


SHOPS = ["ft06", "la01", "6x6:0-1", "4x3:0-1", "3x5:0"]
GRAPHS = ["topcuoglu", "insertion", "random-12:0", "random-12:9", "cholesky-4-2g2c:0"]
STREAMS = ["radio-small-50x3:0", "socrates-mix-50x4:0", "topcuoglu", "random-12:0"]

LATE_SHOPS = ["tardiness-4x3:0-3", "tardiness-6x2-12:0-1", "single-9-8-2:1"]

RESTARTS = {"uptime": 9000, "repair": 300, "interrupted": "restart", "noise": "gamma", "sigma": 0.2}
DYNAMIC_SHOPS = ["dynamic-5x3:0-2", "dynamic-4x2-120:0-1"]
BUSY_SHOPS = ["dynamic-8x3-200:0-2", "dynamic-9x2-150:0-1"]  # in which there is always something to decide
LIMITED_SHOPS = ["setup-4x3:0-1", "maintenance-3x4:0-1", "setup-maintenance-4x2:0"]
CHAINS = ["revealed-6:0-1", "revealed-8-2:0", "revealed-9-1:0"]
LATE_SINGLES = ["weighted-single-7-6-4:0-1", "weighted-single-6-8-2:0"]
LIMITED_LATE_SHOPS = ["setup-tardiness-4x2:0-1", "setup-maintenance-tardiness-4x2:0"]

CLUSTERS = ["plateau", "hosts-3:0-1", "affinity-4-20:0", "hosts-6:3"]
MACROS = ["small:1", "small:3", "plateau", "hosts-8:2"]  # there are some in each, in the first two for long
CHURN = ["churn-2-4:0-1", "churn-3-6:0", "churn-2-3:0"]
PODS = ["pods-3x4:0-1", "pods-4x3:0-1"]

QUEUES = ["overload-n8:0-1", "route-prefix-n8:0", "tight-kv-n7:0", "hurry", "patience", "route-prefix-n20:0-1"]
FLOWS = [
    "serial-preemptive-n6:0-1",
    "route-prefix-n8-flow:0",
    "tight-kv-n6-flow:0",
    "two-at-once",
    "route-prefix-n30-flow:0-1",
]
FLEETS = ["route-e2e-n9-1h1a:0", "route-prefix-n9:0", "route-overload-n8:0", "route-e2e-n9-1h1a:1"]

FLEXIBLE = ["sd1-4x3:0", "sd2-3x4:0", "sd1-6x4:3", "workshop", "fast-machine", "sd2-5x4:0"]


def dated(preset: str, instances: list[str] | None = None, **options) -> Setting:
    return Setting(options, instances or [f"{preset}:0-3"], {"preset": preset})


def planned(**options) -> Setting:
    return Setting(options, GRAPHS)


def online(preset: str = "socrates-50x3", **options) -> Setting:
    return Setting(options, STREAMS, {"preset": preset})


def snapshot(**options) -> Setting:
    return Setting({"mnl": 8} | options, CLUSTERS, {"preset": "hosts-3"})


def macros(**options) -> Setting:
    return Setting({"mnl": 9, "moves": "macro"} | options, MACROS)


def living(**options) -> Setting:
    return Setting({"mnl": 6} | options, CHURN, {"preset": "churn-2-4"})


def packing(**options) -> Setting:
    return Setting({"mnl": 4} | options, PODS, {"preset": "pods-3x4"})


def admitting(**options) -> Setting:
    return Setting({"choice": 8} | options, QUEUES, {"preset": "overload-n8"})


def flowing(**options) -> Setting:
    return Setting(options, FLOWS, {"preset": "serial-preemptive-n6"})


def flexible(preset: str = "sd1-4x3", **options) -> Setting:
    return Setting(options, FLEXIBLE, {"preset": preset})


def routing(**options) -> Setting:
    return Setting({"control": "routing"} | options, FLEETS, {"preset": "route-prefix-n9"})


# Family: its settings, the default one first. Together they take every option through all of its values.
FAMILIES = {
    "job_shop": product(
        SHOPS,
        {
            "construction": ["active", "non-delay", "insertion", 0.3, "wait"],
            "forced_moves": [True, False],
            "observation": ["jobs", "operations"],
        },
    )
    + [
        dated("tardiness-4x3", LATE_SHOPS),
        dated("tardiness-5x2-11", LATE_SHOPS, construction="insertion", observation="operations"),
        dated("weighted-single-7", construction="non-delay", observation="operations"),
        dated("weighted-tardy-4x3", construction=0.4),
        dated("lateness-3x4", forced_moves=False),
        dated("flow-4x4", construction="insertion"),
        dated("tardiness-4x3-13", construction="wait", observation="operations"),
        Setting({"buffers": "none"}, SHOPS[2:]),
        dated("dynamic-6x3-200", BUSY_SHOPS, buffers="swap", uptime=800, repair=100, noise="lognormal", sigma=0.3),
        dated("dynamic-7x3-200", BUSY_SHOPS, construction="non-delay", reveal=True, forced_moves=False),
        dated("dynamic-flow-5x3-200", ["dynamic-flow-6x3-200:0-3"], buffers="none", forced_moves=False, **RESTARTS),
        Setting({"buffers": "swap", "safety": False, "noise": "gaussian", "sigma": 0.3}, SHOPS[2:]),
        dated("setup-4x3", LIMITED_SHOPS, construction=0.2),
        dated("maintenance-4x3", construction="insertion", forced_moves=False),
        dated("setup-maintenance-tardiness-4x3", construction="wait", forced_moves=False),
        dated("setup-weighted-single-7", construction="active", observation="operations"),
        dated("revealed-6", CHAINS, preemptive=True),
        dated("revealed-6", CHAINS, preemptive=True, quantum=4, known="operations", reveal=True, forced_moves=False),
        dated("weighted-single-5", preemptive=True, quantum=30),
    ],
    "soc": [
        planned(),
        planned(insertion=False, choice=0, pilot="rank-oct", observation="ready"),
        planned(mode="plan", priority="srpt", choice=3, rounding="down", pilot="both", forced_moves=False),
        planned(mode="plan", priority="fifo", choice=0, shared_bus=True, observation="ready"),
        online(mode="auto"),
        online(choice=2, noise="readys", sigma=3.0, forced_moves=False, observation="ready"),
        online(binding="match", noise="gaussian", sigma=0.3, shared_bus=True, wip_cap=2),
        online(binding="match", priority="srpt", planner="rank-oct", insertion=False, forced_moves=False),
        online(binding="push", choice=0, priority="fifo", noise="ds3", sigma=0.2, rounding="down", wip_cap=1),
        online(binding="push", noise="lognormal", sigma=0.5, shared_bus=True, observation="ready"),
        online(binding="late", noise="gamma", sigma=0.5, planner="heft", preset="radio-small-30x2"),
        online(binding="idle", choice=4, planner="heft", noise="gaussian", sigma=0.5),
        online(binding="late", priority="rank", planner="peft", replan=False, wip_cap=2, observation="ready"),
        Setting({"mode": "online", "binding": "late", "choice": 3}, GRAPHS),
    ],
    "vm": [
        Setting({}, CLUSTERS, {"preset": "hosts-3"}),
        macros(choice=40),
        macros(weight_64=50, migration_cost=0.001, forced_moves=False),
        snapshot(moves="vm", weight_memory=30),
        snapshot(weight_64=40, weight_memory=10, choice=9, constraints=False, forced_moves=False),
        living(latency=5000, copy_rate=2000),
        living(moves="macro", copy_rate=5000),
        living(moves="vm", latency=1000, migration_cost=0.01, forced_moves=False),
        packing(),
        packing(moves="vm", forced_moves=False),
    ],
    "llm": [
        admitting(),
        admitting(order="arrival", past_future=0, reject=True, victim="least", observation="batch"),
        admitting(order="moore-hodgson", defer=0, swap_rate=1000, prediction="noisy", sigma=0.3),
        admitting(choice=2, stop=False, leap=False, watermark=10, prediction="none", forced_moves=False),
        admitting(choice=0, profile="llama-3-8b-a100", victim="priority", prediction="class"),
        flowing(),
        flowing(order="arrival", swap_rate=50, prediction="exact", observation="batch", past_future=0),
        flowing(profile="serial-preemptive", order="arrival", choice=0),
        routing(),
        routing(local="atc", reject=True, observation="batch"),
        routing(prefix_cache=False, forced_moves=False, swap_rate=200, victim="least", prediction="noisy"),
    ],
    "flexible_job_shop": [
        flexible(),
        flexible("sd2-4x3", construction="active"),
        flexible(construction=0.4, forced_moves=False),
        flexible("sd2-3x4", construction="non-delay", forced_moves=False),
        flexible("sd2-4x3", construction="wait"),
    ],
}

DUE_DATE_RULES = {"edd", "odd", "mdd", "mod", "wmdd", "psk", "mddc", "atc", "covert", "slack", "slack/op", "cr"}
SETUP_RULES = {"sst", "sspt", "atcs"}
PREEMPTIVE_RULES = {"srpt", "srpt/op", "srpt/served", "setf", "rr", "clairvoyant"}
NOT_PREEMPTIVE = {"cp-sat", "cp-sat-replan", "dp"}
NOT_LIVE = {*SETUP_RULES, *PREEMPTIVE_RULES, "dp"}
PLANNERS = {"pilot", "lookahead", "best-rule"}
VM_PLANNERS = {"swap", "beam", "repack", "pop", "patterns", "mip-reduced", "mip"}
MACRO_RULES = {"macro-greedy", "macro-quick"}
# Straying a little leads the first one nowhere; the second never does; the others are at their best on so few hosts.
STUBBORN = {"no-op", "mip-replan", "cp-sat-replan", *MACRO_RULES}
# With one server there is nothing to route; where the simulator offers but one request, nothing to stray to.
ROUTES = set(ROUTING)
STUBBORN |= {"fcfs", "past-future", "edf-feasible", "moore-hodgson", "moore-hodgson-careful", "random-server"}
# Family: problems for its policies, small instances and the options of a world, and who cannot take them.
PROBLEMS = {
    "job_shop": [
        (SHOPS, {}, {*DUE_DATE_RULES, *SETUP_RULES, *PREEMPTIVE_RULES, "wspt", "dp", "cp-sat-replan"}),
        (LATE_SHOPS, {}, {*SETUP_RULES, *PREEMPTIVE_RULES, "wspt", "dp", "cp-sat-replan"}),
        (LIMITED_LATE_SHOPS, {}, {*PREEMPTIVE_RULES, "wspt", "dp", "cp-sat-replan"}),
        (LATE_SINGLES, {"preemptive": True}, {*SETUP_RULES, *NOT_PREEMPTIVE, "setf", "rr", "clairvoyant"}),
        (
            CHAINS[:2],
            {"preemptive": True, "known": "operations", "reveal": True, "quantum": 3},
            {*DUE_DATE_RULES, *SETUP_RULES, *NOT_PREEMPTIVE, "wspt", "srpt"},
        ),
        (DYNAMIC_SHOPS, {"buffers": "swap", "noise": "gaussian", "sigma": 0.3}, NOT_LIVE),
    ],
    "soc": [
        (GRAPHS, {}, set()),
        (["socrates-mix-50x2:0", "topcuoglu", "socrates-50x2:1"], {"noise": "gaussian", "sigma": 0.3}, PLANNERS),
    ],
    "vm": [
        ([*CLUSTERS, "small:0"], {"mnl": 9}, {"mip-replan", "cp-sat"}),
        (["churn-3-1:0", "churn-4-1:0"], {"mnl": 4, "latency": 2000, "copy_rate": 4000}, VM_PLANNERS | {"cp-sat"}),
        (PODS, {"mnl": 3}, VM_PLANNERS | MACRO_RULES | {"mip-replan"}),
    ],
    "llm": [
        (["hurry", "patience", "overload-n9:0", "tight-kv-n7:0"], {}, ROUTES),
        (["serial-preemptive-n12-x300:0", "two-at-once"], {"prediction": "noisy", "sigma": 0.3}, ROUTES),
        (["route-prefix-n9:0", "route-overload-n8:0"], {"watermark": 5, "swap_rate": 500}, set()),
    ],
    "flexible_job_shop": [(FLEXIBLE, {}, set())],
}


@dataclass(frozen=True)
class Variant:
    """One environment id with one setting of the family's options."""

    family: str
    id: str
    setting: Setting = field(hash=False)

    def __str__(self) -> str:
        return "-".join([self.id.split("/")[-1], *map(str, self.options.values())])

    @property
    def options(self) -> dict:
        return self.setting.options

    @property
    def instances(self) -> list[str]:
        return self.setting.instances

    @property
    def completes(self) -> bool:
        """Whether a schedule has to be complete to be feasible; moving nothing at all is fine."""
        return self.family != "vm"

    def _arguments(self, arguments: dict) -> dict:
        return self.options | ({} if "instance" in arguments else self.setting.drawn) | arguments

    def make(self, **arguments):
        """One environment, without wrappers."""
        return gymnasium.make(self.id, **self._arguments(arguments)).unwrapped

    def make_vec(self, num_envs: int, **arguments):
        """The vector environment."""
        return gymnasium.make_vec(self.id, num_envs=num_envs, **self._arguments(arguments))


def variants(every: bool = True) -> list[Variant]:
    """Every id under every setting of its family, or under the first one only."""
    return [
        Variant(family.name, name, setting)
        for family in families()
        for name in family.environments
        for setting in FAMILIES[family.name][: None if every else 1]
    ]


def pytest_generate_tests(metafunc):
    """``variant``: everything; ``default``: each id once; ``policy``: each (family, name); ``problem``: on each."""
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", variants(), ids=str)
    if "default" in metafunc.fixturenames:
        metafunc.parametrize("default", variants(every=False), ids=str)
    policies = [(f.name, name) for f in families() for name in f.policies]
    if "problem" in metafunc.fixturenames:
        pairs = [(policy, row) for policy in policies for row in PROBLEMS[policy[0]] if policy[1] not in row[2]]
        names = ["-".join([*policy, *map(str, row[1].values())]) for policy, row in pairs]
        metafunc.parametrize("policy, problem", pairs, ids=names)
    elif "policy" in metafunc.fixturenames:
        metafunc.parametrize("policy", policies, ids="-".join)


@pytest.fixture(scope="session")
def agree():
    """Whether the objective that a model reports is that of a schedule.

    Rates are reported in billionths, each part of them rounded down.
    """

    def compare(model, reported, schedule) -> bool:
        metrics = schedule.metrics()
        if model.objective in ("missed", "flow_time"):  # in requests and in us, of a share and a mean in seconds
            unit = 1 if model.objective == "missed" else 10**6
            return reported == round(metrics[schedule.instance.objective] * schedule.instance.requests * unit)
        if model.objective in metrics:
            return reported == metrics[model.objective]
        value = metrics[schedule.instance.objective]
        return -4 < int(reported) - value * 1e9 < 1 if isinstance(value, float) else int(reported) == value

    return compare


@pytest.fixture(scope="session")
def contract_table():
    """The settings of each family."""
    return FAMILIES


@pytest.fixture(scope="session")
def stubborn():
    """Policies that more attempts do not help."""
    return STUBBORN


@pytest.fixture(scope="session")
def contract_problems():
    """The problems of each family's policies."""
    return PROBLEMS
