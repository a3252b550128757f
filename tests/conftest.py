"""Settings of the whole suite, and what several folders of tests share."""

import importlib.util
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.noise import NOISES
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.objective import MEASURES
from dispatchgym.envs.llm import options as llm_options
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.soc.conditions import ROUNDINGS
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.options import BINDINGS, MODES, OBSERVATIONS, PILOTS, PLANNERS, PRIORITIES, Options
from dispatchgym.envs.vm.fields import NEVER
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.options import Options as VMOptions

torch.set_num_threads(1)  # two threads that wait for each other on a busy machine are far slower than one

settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def load_module():
    """Loads a module that several tests share by its path, once; tests are in no package."""

    @cache
    def load(path: Path):
        name = "_".join(path.relative_to(HERE).with_suffix("").parts)
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


def _random_shop(rng: np.random.Generator, general: bool = True, shortest: int = 0, name: str = "random"):
    """A small job shop: classic (every machine once, no releases) or with general routes and releases.

    Args:
        rng: the source of randomness.
        general: machines may be skipped and visited again, jobs are released over time.
        shortest: the least processing time.
        name: its name.
    """
    jobs, machines = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    if not general:
        duration = rng.integers(max(shortest, 1), 20, (jobs, machines))
        return JobShopInstance(name, machines, duration, np.argsort(rng.random((jobs, machines)), axis=1))
    longest = int(rng.integers(1, 6))
    there = np.arange(longest) < rng.integers(1, longest + 1, jobs)[:, None]
    duration = np.where(there, rng.integers(shortest, 10, there.shape), 0)
    machine = np.where(there, rng.integers(0, machines, there.shape), -1)
    return JobShopInstance(name, machines, duration, machine, rng.integers(0, 10, jobs))


@pytest.fixture(scope="session")
def random_shop():
    """See _random_shop."""
    return _random_shop


def _dated(shop: JobShopInstance, rng: np.random.Generator, objective: str | None = None) -> JobShopInstance:
    """A job shop with due dates, some of them before 0 and some never missed, and with weights.

    Args:
        shop: jobs without due dates.
        rng: the source of randomness.
        objective: what is minimised; any measure or mix when left out.
    """
    if objective is None:
        terms = rng.choice(MEASURES, int(rng.integers(1, 4)), replace=False)
        objective = " + ".join(f"{rng.integers(1, 5)} {name}" for name in terms)
    due = rng.integers(-5, max(shop.total_work, 1) + 10, shop.jobs)
    return replace(shop, due=due, weight=rng.integers(1, 5, shop.jobs), objective=objective)


@pytest.fixture(scope="session")
def dated():
    """See _dated."""
    return _dated


def _limited(shop: JobShopInstance, rng: np.random.Generator, setups: bool = True, windows: bool = True):
    """A job shop with setup times and windows that follow no rule.

    Args:
        shop: one without, whose operations all take some time if there are to be setup times.
        rng: the source of randomness.
        setups, windows: which of the two.
    """
    if setups:
        families = int(rng.integers(1, shop.jobs + 1))
        setup = rng.integers(0, 9, (shop.machines, families + 1, families)) * (rng.random() < 0.95)
        family = rng.permutation(np.arange(shop.jobs) % families)
        shop = replace(shop, setup=setup, setup_family=family)
    if windows:
        cuts = [np.sort(rng.choice(60, 2 * int(rng.integers(0, 4)), replace=False)) for _ in range(shop.machines)]
        shop = replace(shop, windows=[row.reshape(-1, 2).tolist() for row in cuts])
    return shop


@pytest.fixture(scope="session")
def limited():
    """See _limited."""
    return _limited


@pytest.fixture(scope="session")
def limited_shop(load_module):
    """A slow player of such shops, see ``envs/job_shop/limited_shop.py``."""
    return load_module(HERE / "envs" / "job_shop" / "limited_shop.py").LimitedShop


def _random_flexible_shop(
    rng: np.random.Generator, shortest: int = 0, releases: bool = True, name: str = "random"
) -> FlexibleJobShopInstance:
    """A small flexible job shop with routes of any length and operations with one or more machines.

    Args:
        rng: the source of randomness.
        shortest: the least processing time.
        releases: whether jobs may be released after time 0.
        name: its name.
    """
    jobs, machines, longest = (int(rng.integers(1, most)) for most in (6, 5, 6))
    there = np.arange(longest) < rng.integers(1, longest + 1, jobs)[:, None]
    can = rng.random((jobs, longest, machines)) < rng.choice([0.2, 0.6, 1.0])
    can[np.arange(jobs)[:, None], np.arange(longest), rng.integers(0, machines, (jobs, longest))] = True
    duration = np.where(can & there[:, :, None], rng.integers(shortest, 10, can.shape), -1)
    release = rng.integers(0, 10, jobs) if releases and rng.random() < 0.5 else None
    return FlexibleJobShopInstance(name, duration, release)


@pytest.fixture(scope="session")
def random_flexible_shop():
    """See _random_flexible_shop."""
    return _random_flexible_shop


def _random_graph(rng: np.random.Generator, elements: int, name: str) -> JobGraph:
    """Tasks in no particular order; some take no time, some cannot run everywhere, some edges carry nothing."""
    tasks = int(rng.integers(1, 7))
    times = rng.integers(0, 12, (tasks, elements))
    times[rng.random(times.shape) < 0.2] = -1
    times[(times < 0).all(axis=1), rng.integers(elements)] = 5
    order = rng.permutation(tasks)
    edges = [(order[a], order[b]) for a in range(tasks) for b in range(a + 1, tasks) if rng.random() < 0.4]
    return JobGraph(name, times, np.array(edges, dtype=int).reshape(-1, 2), rng.integers(0, 15, len(edges)))


def _random_system(rng: np.random.Generator, jobs: int | None = None, name: str = "random") -> SoCInstance:
    """A small SoC, or a plan: jobs of one or two graphs on up to four processing elements.

    Args:
        rng: the source of randomness.
        jobs: how many arrive; one is there at time 0; 1, 2 or 5 when left out, at any time.
        name: its name.
    """
    elements, count = int(rng.integers(1, 5)), int(rng.choice([1, 2, 5]))
    graphs = tuple(_random_graph(rng, elements, name) for name in "ab"[: rng.integers(1, 3)])
    square = (elements, elements) if rng.random() < 0.6 else (1, 1)  # links all alike, or not
    links = [np.broadcast_to(rng.integers(*row, square), (elements, elements)) for row in ((0, 3), (1, 4))]
    kinds, count = tuple(rng.choice(["cpu", "gpu"], elements).tolist()), jobs or count
    time = np.sort(rng.integers(0, 30, count)) * (jobs != 1)
    warmup = int(rng.choice([0, time[count // 2]]))
    return SoCInstance(name, graphs, *links, kinds, time, rng.integers(0, len(graphs), count), warmup)


@pytest.fixture(scope="session")
def random_system():
    """See _random_system."""
    return _random_system


def _random_soc_options(rng: np.random.Generator, static: bool, **fixed) -> Options:
    """Options of the SoC that go together.

    Args:
        rng: the source of randomness.
        static: whether all instances are one graph at time 0.
        fixed: what is not left to chance.
    """
    while True:
        noise = str(rng.choice(NOISES))
        every = {
            "mode": str(rng.choice(MODES)), "binding": str(rng.choice(BINDINGS)), "insertion": bool(rng.random() < 0.5),
            "choice": int(rng.choice([0, 1, 3])), "priority": str(rng.choice(PRIORITIES)), "noise": noise,
            "sigma": float(rng.choice([0.2, 1.0, 3.0])) * (noise != "none"), "rounding": str(rng.choice(ROUNDINGS)),
            "shared_bus": bool(rng.random() < 0.3), "wip_cap": int(rng.integers(0, 3)),
            "planner": str(rng.choice(PLANNERS)), "replan": bool(rng.random() < 0.5), "pilot": str(rng.choice(PILOTS)),
            "forced_moves": bool(rng.random() < 0.5), "observation": str(rng.choice(OBSERVATIONS)),
        }  # fmt: skip
        try:
            options = Options(**{name: value for name, value in every.items() if rng.random() < 0.7} | fixed)
        except OptionError:
            continue
        planned = options.plans(static)
        if (planned and static) or (not planned and options.pilot == "none"):
            return options


@pytest.fixture(scope="session")
def random_soc_options():
    """See _random_soc_options."""
    return _random_soc_options


def _random_columns(rng: np.random.Generator, hosts: int, vms: int) -> dict[str, np.ndarray]:
    """Hosts, and VMs that are on them wherever they fit; about one in six is not placed."""
    node_cores = rng.choice([16, 24, 44, 64, 90], (hosts, 2))
    node_memory = rng.choice([60_000, 150_000, 262_144], (hosts, 2))
    numas = rng.choice([1, 1, 1, 2], vms)
    cores, memory = rng.choice([1, 2, 3, 4, 6, 8, 10, 16, 20], vms) * numas, rng.choice([0, 501, 8192, 40_000], vms)
    node, free = np.full(vms, -1), np.stack([node_cores, node_memory], axis=2).reshape(-1, 2)
    for vm in np.flatnonzero(rng.random(vms) < 0.85):
        step, need = numas[vm], -(-np.array([cores[vm], memory[vm]]) // numas[vm])
        places = [at for at in range(0, 2 * hosts, step) if (free[at : at + step] >= need).all()]
        if places:
            node[vm] = rng.choice(places)
            free[node[vm] : node[vm] + step] -= need
    return {
        "node_cores": node_cores, "node_memory": node_memory, "cores": cores, "memory": memory, "numas": numas,
        "node": node,
    }  # fmt: skip


def _random_cluster(rng: np.random.Generator, task: str, hosts: int | None = None, name: str = "random") -> VMInstance:
    """A small cluster with everything that can be said of one, though not everywhere.

    Args:
        rng: the source of randomness.
        task: ``"reschedule"``, ``"dynamic"`` or ``"pack"``, what it asks for.
        hosts: how many; up to four when left out.
        name: its name.
    """
    hosts = hosts or int(rng.integers(1, 5))
    made = _random_columns(rng, hosts, int(rng.integers(1, 4 * hosts + 2)))
    if task == "reschedule":
        kept = made["node"] >= 0
        if not kept.any():
            return _random_cluster(rng, task, hosts, name)
        made |= {key: made[key][kept] for key in ("cores", "memory", "numas", "node")}
    vms, rough = len(made["node"]), bool(rng.random() < 0.5)
    if task == "pack":
        made["node"][int(rng.integers(vms))] = -1
    if task == "dynamic":
        horizon = int(rng.choice([1, 20, 60]))
        arrival = np.where(made["node"] < 0, rng.integers(1, horizon + 3, vms), 0)
        leaves = rng.random(vms) < 0.5
        departure = np.where(leaves, arrival + rng.integers(1, horizon + 2, vms), NEVER)
        made |= {"horizon": horizon, "arrival": arrival, "departure": departure}
    groups = []
    for _ in range(int(rng.integers(0, 4)) if rough and vms > 1 else 0):
        members = rng.choice(vms, int(rng.integers(2, min(vms, 4) + 1)), replace=False)
        groups.append((str(rng.choice(["host", "rack"])), tuple(members)))
    return VMInstance(
        name, **made, movable=rng.random(vms) < (0.8 if rough else 1.0), priority=rng.choice([0, 0, 5, 7], vms),
        rack=rng.integers(0, 2, hosts), drained=rng.random(hosts) < (0.2 if rough else 0.0), groups=tuple(groups),
    )  # fmt: skip


@pytest.fixture(scope="session")
def random_cluster():
    """See _random_cluster."""
    return _random_cluster


def _random_vm_options(rng: np.random.Generator, task: str, **fixed) -> VMOptions:
    """Options of VM rescheduling that go with a task.

    Args:
        rng: the source of randomness.
        task: what the instances ask for.
        fixed: what is not left to chance.
    """
    wide = int(rng.choice([0, 40, 100]))
    every = {
        "mnl": int(rng.choice([0, 1, 4, 50])), "moves": str(rng.choice(["class", "macro", "vm"])),
        "choice": int(rng.choice([1, 4, 512])), "weight_64": wide,
        "weight_memory": int(rng.choice([0, 100 - wide, 20 * (wide < 80)])),
        "migration_cost": float(rng.choice([0.0, 0.01, 1.0])), "constraints": bool(rng.random() < 0.7),
        "latency": int(rng.choice([0, 1, 9])), "copy_rate": int(rng.choice([0, 1_000_000, 5_000_000])),
        "forced_moves": bool(rng.random() < 0.5),
    }  # fmt: skip
    chosen = {name: value for name, value in every.items() if rng.random() < 0.6} | fixed
    if task == "pack" and chosen.get("moves") == "macro":
        chosen["moves"] = "class"
    return VMOptions(**chosen)


@pytest.fixture(scope="session")
def random_vm_options():
    """See _random_vm_options."""
    return _random_vm_options


@pytest.fixture(scope="session")
def random_requests(load_module):
    """A few requests on one to three small servers: ``random_requests(rng, objective)``, see ``envs/llm/cases.py``."""
    module = load_module(HERE / "envs" / "llm" / "cases.py")

    def draw(rng: np.random.Generator, objective: str | None = None, most: int = 9) -> LLMInstance:
        return module.instance(rng, most, objective)

    return draw


def _random_llm_options(rng: np.random.Generator, objective: str, **fixed) -> llm_options.Options:
    """Options of LLM admission that go with an objective.

    Args:
        rng: the source of randomness.
        objective: of the instances.
        fixed: what is not left to chance.
    """
    every = {
        "control": str(rng.choice(["admission", "admission", "routing"])), "choice": int(rng.choice([0, 1, 3])),
        "order": str(rng.choice(llm_options.ORDERS)), "past_future": int(rng.choice([0, 60, 98])),
        "defer": int(rng.choice([0, 50, 100])), "stop": bool(rng.random() < 0.5), "reject": bool(rng.random() < 0.4),
        "observation": str(rng.choice(llm_options.OBSERVATIONS)), "forced_moves": bool(rng.random() < 0.5),
        "leap": bool(rng.random() < 0.7), "profile": str(rng.choice(["", "", "", "serial", "serial-preemptive"])),
        "local": str(rng.choice(llm_options.LOCALS)), "watermark": int(rng.choice([0, 1, 10, 40])),
        "victim": str(rng.choice(llm_options.VICTIMS)), "swap_rate": int(rng.choice([0, 1, 700, 10**6])),
        "prefix_cache": bool(rng.random() < 0.8), "prediction": str(rng.choice(llm_options.PREDICTIONS)),
        "sigma": float(rng.choice([0.0, 0.5, 2.0])),
    }  # fmt: skip
    chosen = {name: value for name, value in every.items() if rng.random() < 0.7} | fixed
    if objective == "e2e_mean":
        chosen["reject"] = False
    return llm_options.Options(**chosen)


@pytest.fixture(scope="session")
def random_llm_options():
    """See _random_llm_options."""
    return _random_llm_options


def _legal(mask: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One legal action for each row of a mask, (B,) int64; 0 where there is none."""
    weight = torch.from_numpy(rng.random(tuple(mask.shape))) * (mask.cpu() == 1)
    return weight.argmax(dim=1)


@pytest.fixture(scope="session")
def legal():
    """See _legal."""
    return _legal
