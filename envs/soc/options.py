"""The choices that make a SoC environment; imports nothing heavy, so that a command line can list them at once."""

from dataclasses import dataclass, fields
from typing import ClassVar

from ..core.errors import OptionError
from ..core.noise import MAX_SIGMA, MAX_SIGMA_READYS, NOISES
from ..core.options import as_bool, as_integer, as_number, one_of, option
from .conditions import ROUNDINGS

MODES = ("auto", "plan", "online")
BINDINGS = ("pull", "match", "push", "late", "idle")  # in the order of the simulator's constants
PRIORITIES = ("rank", "srpt", "fifo")
PLANNERS = ("none", "heft", "peft", "rank-oct")
PILOTS = ("none", "rank-oct", "both")
OBSERVATIONS = ("tasks", "ready")
MOST_CHOICES = 100_000
MOST_JOBS = 1_000_000


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts, or options that contradict each other.
    """

    world: ClassVar[frozenset[str]] = frozenset({"noise", "sigma", "rounding", "shared_bus", "wip_cap"})

    mode: str = option(
        "auto", "plan (one graph, element by element in time), online (time passes), or auto: plan where it can be"
    )
    binding: str = option(
        "pull",
        "online, when tasks are bound: pull, match (idle elements), push (queue), late (taken back), idle (both)",
    )
    insertion: bool = option(True, "plans use the first gap that fits; False appends")
    choice: int = option(8, "ready tasks that are offered, the first by priority; 0 offers all")
    priority: str = option(
        "auto",
        "order of ready tasks: rank (upward), srpt (job with fewest tasks left), fifo; auto: rank, srpt for streams",
    )
    noise: str = option("none", "on execution times: none, gaussian, lognormal, gamma, ds3, readys")
    sigma: float = option(0.0, "spread of the noise, a share of the estimate (readys: microseconds)")
    rounding: str = option("up", "of transfer times to whole microseconds: up, or down as DS3 does")
    shared_bus: bool = option(False, "one transfer at a time")
    wip_cap: int = option(0, "most jobs in the system, the others wait outside; 0 for no limit")
    planner: str = option("none", "online: plan the rest by heft, peft or rank-oct, for rules that follow a plan")
    replan: bool = option(True, "plan anew at each event; False plans each job once")
    pilot: str = option("none", "plan: complete the schedule for every candidate, by rank-oct, or both (and peft)")
    forced_moves: bool = option(True, "the simulator applies moves that have no alternative; False shows all")
    observation: str = option("tasks", "the graph: tasks (all of them, with their edges) or ready (those offered now)")

    def __post_init__(self):
        for name, known in (
            ("mode", MODES), ("binding", BINDINGS), ("priority", ("auto", *PRIORITIES)), ("noise", NOISES),
            ("rounding", ROUNDINGS), ("planner", PLANNERS), ("pilot", PILOTS), ("observation", OBSERVATIONS),
        ):  # fmt: skip
            one_of(name, getattr(self, name), known)
        for name in ("insertion", "shared_bus", "replan", "forced_moves"):
            object.__setattr__(self, name, as_bool(name, getattr(self, name)))
        object.__setattr__(self, "choice", as_integer("choice", self.choice, 0, MOST_CHOICES))
        object.__setattr__(self, "wip_cap", as_integer("wip_cap", self.wip_cap, 0, MOST_JOBS))
        highest = MAX_SIGMA_READYS if self.noise == "readys" else MAX_SIGMA
        object.__setattr__(self, "sigma", as_number("sigma", self.sigma, 0, highest))
        self._check_together()

    def _check_together(self) -> None:
        """Refuse what cannot be had at the same time."""
        if self.sigma > 0 and self.noise == "none":
            raise OptionError("sigma needs a noise: give --noise gaussian, or another")
        if self.shared_bus and self.binding in ("late", "idle"):
            raise OptionError(f"binding {self.binding} takes back what a shared_bus has moved; use pull, match or push")
        if self.mode == "plan":
            for name in ("noise", "planner"):
                if getattr(self, name) != "none":
                    raise OptionError(f"{name} {getattr(self, name)} needs mode online: a plan knows no surprises")
        if self.pilot != "none" and (self.mode == "online" or self.noise != "none"):
            raise OptionError("pilot completes a plan: it needs mode plan, without noise")
        if self.planner != "none" and self.shared_bus:
            raise OptionError("planner knows nothing of a shared_bus")
        if self.pilot != "none" and self.shared_bus:
            raise OptionError("pilot knows nothing of a shared_bus")

    @classmethod
    def names(cls) -> set[str]:
        """Names of all options."""
        return {field.name for field in fields(cls)}

    def plans(self, static: bool) -> bool:
        """Whether the environment plans, given whether every instance is one graph at time 0."""
        if self.mode != "auto":
            return self.mode == "plan"
        return static and self.noise == "none" and self.planner == "none"
