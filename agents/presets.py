"""Named trainings: what ``train.py FAMILY --preset NAME`` runs."""

from ..envs.core.errors import UnknownNameError
from .preset import Preset as Preset
from .presets_flexible import FLEXIBLE

_JOB_SHOP_RULES = ("spt", "lpt", "mwkr", "lwkr", "mopnr", "fdd/mwkr", "fifo", "lifo", "random")


def _job_shop(doc: str, stages: str, timesteps: int, size: str = "6x6", **more) -> Preset:
    held_out = {f"{size} held out": [f"{size}:0-99"], "ft06": ["ft06"], "ta01-10": ["ta01-10"]}
    arguments = dict(
        doc=doc, stages=tuple(stages.split()), timesteps=timesteps, held_out=held_out, watched=[f"{size}:0-99"],
        rules=_JOB_SHOP_RULES, options={"construction": "active"}, exact=("cp-sat", 10.0),
        network={"width": 32, "hidden": 32}, ppo={"n_epochs": 3},
    )  # fmt: skip
    return Preset(**(arguments | more))


_SOC_RULES = (
    "heft", "peft", "rank-oct", "cpop", "min-min", "max-min", "sufferage", "etf", "mct", "met", "olb", "stf", "random",
    "heft-static", "peft-static", "heft-replan", "peft-replan", "srpt-replan",
)  # fmt: skip
_PLANNERS = ("pilot", "lookahead", "best-rule")
_PLATFORMS = ("4-2g2c", "4-1g3c", "6-2g2c", "6-1g3c", "8-2g2c", "8-1g3c")


def _soc(doc: str, stages: str, timesteps: int, **more) -> Preset:
    arguments = dict(
        doc=doc, stages=tuple(stages.split()), timesteps=timesteps, rules=_SOC_RULES, samples=16,
        network={"width": 32, "hidden": 32}, ppo={"n_epochs": 3},
    )  # fmt: skip
    return Preset(**(arguments | more))


_SOC = {
    "smoke": _soc(
        "a few seconds, to see that everything works",
        "random-5 random-6",
        2000,
        groups=4,
        group=4,
        samples=4,
        held_out={"random-6": ["random-6:0-9"]},
        watched=["random-6:0-9"],
        exact=("cp-sat", 5.0),
        rules=(*_SOC_RULES, *_PLANNERS),
        options={"observation": "tasks"},
        network={"width": 8, "heads": 2, "layers": 1},
    ),
    "random-plan": _soc(
        "random task graphs of 10 to 50 tasks, planned with pilots; minutes on two cores",
        "random-12 random-30 random-50",
        400_000,
        held_out={f"random-{n}": [f"random-{n}:0-99"] for n in (12, 30, 50)},
        watched=["random-30:0-99"],
        reference="heft",
        rules=(*_SOC_RULES, *_PLANNERS),
        options={"choice": 3, "pilot": "rank-oct", "observation": "ready"},
        network={"width": 32, "hidden": 32, "prior": {"pilot_regret": -40.0}},
        ppo={"n_epochs": 3, "entropy": 0.0},
    ),
    "random-plain": _soc(
        "the same without pilots: what plain features reach",
        "random-12 random-30 random-50",
        600_000,
        held_out={f"random-{n}": [f"random-{n}:0-99"] for n in (12, 30, 50)},
        watched=["random-30:0-99"],
        reference="heft",
        rules=(*_SOC_RULES, *_PLANNERS),
        options={"choice": 3, "observation": "ready"},
    ),
    "cholesky-noise": _soc(
        "Cholesky factorisations on CPUs and GPUs whose times are uncertain; some eight minutes on two cores",
        " ".join(f"cholesky-{name}" for name in _PLATFORMS),
        2_500_000,
        held_out={f"cholesky-{name}": [f"cholesky-{name}:0-99"] for name in (*_PLATFORMS, "10-1g3c", "12-1g3c")},
        watched=[f"cholesky-{name}:0-9" for name in _PLATFORMS],
        reference="peft-replan",
        options={
            "mode": "online", "binding": "pull", "choice": 8, "observation": "ready", "noise": "gaussian", "sigma": 0.5,
        },
        ppo={"n_epochs": 2, "advantage": "relative", "entropy": 0.04},
    ),
    # It begins as the plan and tries what costs little: what is far worse would hide what is a little better.
    "radio-stream": _soc(
        "jobs of a radio arriving on a SoC of 16 elements near saturation; some eight minutes on two cores",
        "radio-small-15x12",
        1_200_000,
        held_out={f"radio-small-{gap}": [f"radio-small-{gap}:0-99"] for gap in (15, 25)},
        watched=["radio-small-15:0-39"],
        reference="srpt-replan",
        options={
            "mode": "online", "binding": "idle", "planner": "heft", "choice": 4, "observation": "ready",
            "noise": "gaussian", "sigma": 0.2,
        },
        network={"width": 16, "heads": 2, "layers": 1, "hidden": 32, "prior": {"planned": 2.0, "regret": -10.0}},
        ppo={"n_epochs": 3, "advantage": "aligned", "entropy": 0.0},
        groups=8,
    ),
}  # fmt: skip

_VM_RULES = (
    "no-op", "first-fit", "best-fit", "ha", "greedy", "quick", "macro-greedy", "macro-quick", "random", "swap", "beam",
    "repack", "pop", "patterns", "mip-reduced",
)  # fmt: skip
_IN_TIME = (*_VM_RULES[:9], "mip-replan")
# What is known to be good, so that learning begins there: much for a move, nothing wasted; in time, much for a copy.
_PER_MOVE = {"width": 32, "hidden": 32, "prior": {"regret": -20.0, "waste": -10.0}}
# Where hosts are emptied: room for 16 or 32 cores elsewhere is scarce if that alone counts.
_PER_HOST = {"width": 32, "hidden": 32, "prior": {"regret": -20.0, "waste": -1.0}}
_PER_ROOM = _PER_HOST | {"prior": _PER_HOST["prior"] | {"room_16": -4.0, "room_32": -4.0}}
_PER_COPY = {"width": 32, "hidden": 32, "prior": {"gain_per_copy": 10.0, "waste": -10.0}}
# Small clusters, each with a limit that is about as tight as 50 migrations are for 280 hosts.
_CLUSTERS = {"hosts-15": {"mnl": 4}, "hosts-30": {"mnl": 7}, "hosts-60": {"mnl": 12}, "hosts-100": {"mnl": 18}}


def _vm(doc: str, timesteps: int, options: dict, **more) -> Preset:
    arguments = dict(
        doc=doc, stages=tuple(_CLUSTERS), stage_options=_CLUSTERS, timesteps=timesteps, rules=_VM_RULES, samples=16,
        held_out={"280 hosts": ["medium:0-9"]}, watched=["medium:10-19"], network={"width": 32, "hidden": 32},
        ppo={"n_epochs": 2, "entropy": 0.01, "batch_size": 128}, exact=("mip", 20.0),
        options={"choice": 256} | options,
    )  # fmt: skip
    return Preset(**(arguments | more))


def _wide(doc: str, timesteps: int, options: dict, costs: tuple[float, ...], **more) -> Preset:
    limits = {"hosts-60": 14, "hosts-100": 20, "hosts-160": 30}
    clusters = {
        name: {"mnl": mnl, "migration_cost": cost} for (name, mnl), cost in zip(limits.items(), costs, strict=True)
    }
    rules = tuple(rule for rule in _VM_RULES if rule not in ("patterns", "mip-reduced"))
    options = {"moves": "macro"} | options
    return _vm(doc, timesteps, options, stages=tuple(clusters), stage_options=clusters, rules=rules, **more)


def _churn(rate: int, gap: str, timesteps: int) -> Preset:
    # As many hosts as it is judged on, or half: what a move is worth depends on how much happens while it is made.
    clusters = {f"churn-140-{rate // 2}": {"mnl": 25}, f"churn-280-{rate}": {"mnl": 50}}
    return _vm(
        f"macros while {rate} VMs a minute come and go {gap}", timesteps, {"moves": "macro", "copy_rate": 1000},
        stages=tuple(clusters), stage_options=clusters, groups=8, rules=_IN_TIME, exact=None, reference="macro-quick",
        held_out={f"280 hosts, {rate} a minute": [f"churn-280-{rate}:0-19"]}, watched=[f"churn-280-{rate}:20-29"],
        ppo={"n_epochs": 2, "entropy": 0.0, "batch_size": 128, "advantage": "aligned"},
        network=_PER_COPY,
    )  # fmt: skip


_VM = {
    "smoke": _vm(
        "a few seconds, to see that everything works", 1500, {"moves": "class"}, stages=("hosts-6", "hosts-8"),
        stage_options={}, groups=4, group=4, samples=4, held_out={"8 hosts": ["hosts-8:0-9"]},
        watched=["hosts-8:0-9"], network={"width": 8, "heads": 2, "layers": 1}, exact=("mip", 5.0),
    ),
    "medium": _vm("class moves, learned on 15 to 100 hosts, judged on 280; five minutes on two cores", 200_000, {}),
    "macro": _vm("the same with macros; a minute or two", 40_000, {"moves": "macro"}, network=_PER_MOVE),
    # In training a move costs a tenth of the slot of 64 cores that some four of them make: most attempts at a cluster
    # come to equally many slots, and those that spare moves are the better ones.
    "wide": _wide("macros for FR-64", 80_000, {"weight_64": 100}, (0.02, 0.0128, 0.008), network=_PER_ROOM),
    "mixed": _wide(
        "macros for FR-16 and FR-64 alike", 40_000, {"weight_64": 50, "choice": 512}, (0.0, 0.0, 0.0), network=_PER_HOST
    ),
    "affinity": _vm(
        "macros where a VM is kept from 30 % of the hosts", 60_000, {"moves": "macro"}, network=_PER_MOVE,
        stages=("affinity-15-30", "affinity-30-30", "affinity-60-30"),
        stage_options={f"affinity-{name[6:]}-30": limits for name, limits in _CLUSTERS.items()},
        held_out={"280 hosts, 30 %": ["affinity-280-30:0-9"], "280 hosts, 5 %": ["affinity-280-5:0-9"]},
        watched=["affinity-100-30:0-9"],
    ),
    # Off peak the rule leaves next to nothing to learn, and longer training drifts away from it.
    "churn-12": _churn(12, "as off peak", 40_000),
    "churn-40": _churn(40, "as in the daytime", 100_000),
}  # fmt: skip

_LLM_RULES = (
    "fcfs", "fcfs-head", "past-future", "past-future-stop", "sjf-output", "sjf", "sjf-kv", "sjf-true", "srpt",
    "srpt-true", "edf", "least-slack", "edf-feasible", "sjf-feasible", "kv-feasible", "kv-feasible-careful",
    "moore-hodgson", "moore-hodgson-careful", "atc", "atc-careful", "atc-kv-careful", "aging", "priority", "mlfq",
    "vtc", "wfq", "random",
)  # fmt: skip
_ROUTERS = (
    *_LLM_RULES,
    "round-robin", "random-server", "jsq", "jsq-speed", "power-of-two", "least-kv", "freeness", "least-ttft",
    "ttft-feasible", "ect", "ect-size", "best-fit", "hit-load", "weighed", "affinity", "two-hashes", "sticky",
)  # fmt: skip
_REGIMES = ("steady", "burst", "burst-tight", "overload", "mixed-slo", "tight-kv", "tight-kv-burst")


def _llm(doc: str, stages: tuple[str, ...], timesteps: int, options: dict, **more) -> Preset:
    arguments = dict(
        doc=doc, stages=stages, timesteps=timesteps, options=options, rules=_LLM_RULES, samples=1, groups=4, group=12,
        network={"width": 16, "heads": 2, "layers": 1, "hidden": 32, "quiet": True},
        ppo={
            "n_epochs": 3, "advantage": "aligned", "patience": 4e6, "entropy": 0.0, "learning_rate": 2e-3,
            "batch_size": 1024, "average": 0.05,
        },
    )  # fmt: skip
    return Preset(**(arguments | more))


def _route(
    name: str,
    doc: str,
    local: str,
    reference: str,
    start: dict,
    transfer: tuple[str, ...],
    trained: str = "",
    timesteps: int = 2_000_000,
    episodes: int = 4,
) -> Preset:
    held_out = {name: [f"{name}:0-15"]} | {other: [f"{other}:0-9"] for other in transfer}
    trained = trained or name
    return _llm(
        doc, (trained, f"{trained}-mix"), timesteps, {"control": "routing", "local": local}, rules=_ROUTERS,
        reference=reference, held_out=held_out, watched=[f"{name}:16-25"],
        evolution={"generations": 60, "pairs": 24, "episodes": episodes, "spread": 0.3, "start": start},
    )  # fmt: skip


_LLM = {
    "smoke": _llm(
        "a few seconds, to see that everything works", ("overload-n30", "tight-kv-n30"), 1500, {}, groups=2, group=4,
        held_out={"overload, 60 requests": ["overload-n60:0-9"]}, watched=["overload-n60:0-9"],
        reference="moore-hodgson",
        network={"width": 8, "heads": 2, "layers": 1},
        evolution={"generations": 2, "pairs": 2, "episodes": 2, "start": {"urgency": -10.0}},
    ),
    "admission": _llm(
        "one network for every regime of one server: bursts, overload, tight memory, two classes",
        tuple(f"{name}-mix" for name in _REGIMES), 1_200_000, {},
        held_out={name: [f"{name}:0-15"] for name in _REGIMES},
        watched=[f"{name}:{seed}" for name in _REGIMES for seed in (16, 17)], reference="moore-hodgson-careful",
        evolution={"generations": 70, "pairs": 12, "episodes": 6}
        | {"start": {"urgency": -10.0, "late": -2.0, "stop": -20.0}},
    ),
    "serial": _llm(
        "one request at a time, with the right to change one's mind: where shortest remaining time is optimal",
        ("serial-preemptive-n500-mix",), 100_000, {"order": "arrival", "past_future": 0, "stop": False},
        held_out={"serial-preemptive": ["serial-preemptive:0-15"]}, watched=["serial-preemptive:16-25"],
        reference="srpt", evolution={"generations": 12, "pairs": 12, "episodes": 8}
        | {"start": {"service": -5.0}},
    ),
    "route-prefix": _route(
        "route-prefix", "four servers, two of them slower; sessions whose prefixes are cached; servers are first come",
        "fcfs", "hit-load", {"ttft_regret": -6.0, "hit": 4.0, "load_regret": -1.0},
        transfer=("route-prefix-x80", "route-prefix-g200", "route-prefix-s100", "route-prefix-1h3a"),
        timesteps=1_000_000, episodes=2,
    ),
    "route-e2e": _route(
        "route-e2e", "the same with deadlines from end to end, long answers being underestimated", "atc", "ect",
        {"ect_regret": -6.0}, transfer=("route-e2e-x83", "route-e2e-x117", "route-e2e-1h3a"),
    ),
    "route-overload": _route(
        "route-overload", "the same in overload, without prefixes", "atc", "jsq",
        {"ttft_regret": -3.0, "free": 5.0}, transfer=("route-overload-x112", "route-overload-1h3a"),
        trained="route-overload-n1500",  # as crowded as its 5,000 requests, and three times as many workloads a minute
    ),
    "route-flow": _route(
        "route-overload-x88-flow", "the same short of overload, for the mean time from end to end", "atc", "ect",
        {"ect_regret": -6.0}, transfer=(),
    ),
}  # fmt: skip

PRESETS: dict[str, dict[str, Preset]] = {
    "job_shop": {
        "main": _job_shop(
            "the main job: small mixed sizes, minutes on two cores", "6x6 10x10 15x10 15x15 20x10", 400_000
        ),
        "6x6": _job_shop("6 jobs, 6 machines; some three minutes on two cores", "6x6", 1_000_000),
        "10x10": _job_shop("10 jobs, 10 machines; some five minutes on two cores", "10x10", 1_000_000, "10x10"),
        "15x15": _job_shop(
            "15 jobs, 15 machines; some fifteen minutes on two cores",
            "15x15",
            1_000_000,
            # CP-SAT needs minutes to prove this size: few held-out instances, and bounds that are known while training.
            held_out={"15x15 held out": ["15x15:0-19"], "ta01-10": ["ta01-10"]},
            watched=["ta01-10"],
            exact=("cp-sat", 5.0),
        ),
        "mixed": _job_shop(
            "6x6 to 20x15, free routes and two sets; half an hour on two cores; judged on ta01-80, dmu01-80",
            "6x6 10x10 15x10 15x15 20x10 20x15 two-sets-10x10 two-sets-15x10 two-sets-20x10 two-sets-20x15",
            3_000_000,
            "10x10",
            held_out={
                f"{group}{first:02d}-{first + 9}": [f"{group}{first:02d}-{first + 9}"]
                for group in ("ta", "dmu")
                for first in range(1, 81, 10)
            },
            samples=16,
        ),
        "smoke": _job_shop(
            "a few seconds, to see that everything works",
            "3x3 4x3",
            4000,
            "4x3",
            groups=4,
            group=4,
            samples=4,
            held_out={"4x3 held out": ["4x3:0-9"]},
            watched=["4x3:0-9"],
            network={"width": 8, "heads": 2, "layers": 1},
        ),
    },
    "soc": _SOC,
    "vm": _VM,
    "llm": _LLM,
    "flexible_job_shop": FLEXIBLE,
}
_DUE_DATE_RULES = ("edd", "odd", "mdd", "mod", "wmdd", "psk", "mddc", "atc", "covert", "slack", "slack/op", "cr")
# It begins near the rules at their best: what starts first, and of these the modified operation due date.
PRESETS["job_shop"]["tardiness-10x5"] = _job_shop(
    "total tardiness of 10 jobs on 5 machines, due dates tight and less tight; some five minutes on two cores",
    "tardiness-10x5 tardiness-10x5-20",
    600_000,
    held_out={"k = 1.5": ["tardiness-10x5:0-49"], "k = 2": ["tardiness-10x5-20:0-49"]},
    watched=["tardiness-10x5-20:50-99"],
    rules=(*_JOB_SHOP_RULES, *_DUE_DATE_RULES),
    network={
        "width": 32,
        "hidden": 32,
        "prior": {"start_delay": -10.0, "modified_operation_due": -6.0, "urgency": 3.0, "delay_cost": -3.0},
    },
    exact=("cp-sat", 5.0),
    reference="atc",
    samples=16,
)
PRESETS["job_shop"]["blocking-6x6"] = _job_shop(
    "6 jobs on 6 machines without buffers between them; some minutes on two cores",
    "6x6",
    300_000,
    held_out={"6x6 held out": ["6x6:0-39"], "ft06": ["ft06"]},
    watched=["6x6:40-59"],
    rules=(*_JOB_SHOP_RULES, "cp-sat-replan"),
    options={"construction": "wait", "buffers": "none"},
)
PRESETS["job_shop"]["dynamic-10x5"] = _job_shop(
    "10 jobs that arrive one after the other at 5 machines that break down, times being uncertain",
    "dynamic-10x5 dynamic-10x5-150",
    1_000_000,
    held_out={"90 %": ["dynamic-10x5:0-19"], "150 %": ["dynamic-10x5-150:0-19"]},
    watched=["dynamic-10x5:50-69"],
    rules=(*_JOB_SHOP_RULES, "wspt", *_DUE_DATE_RULES, "cp-sat-replan"),
    options={
        "construction": "non-delay",
        "reveal": True,
        "noise": "gamma",
        "sigma": 0.2,
        "uptime": 2000,
        "repair": 200,
    },
    ppo={"n_epochs": 3, "advantage": "aligned"},
    exact=None,
    reference="covert",
    samples=16,
)
DEFAULT = {
    "job_shop": "main",
    "soc": "random-plan",
    "vm": "macro",
    "llm": "route-prefix",
    "flexible_job_shop": "fjsp-10x5",
}


def preset(family_name: str, name: str) -> Preset:
    """Look a preset up.

    Raises:
        UnknownNameError: listing the presets of the family.
    """
    known = PRESETS.get(family_name, {})
    if name not in known:
        raise UnknownNameError(f"{family_name} preset", name, known)
    return known[name]
