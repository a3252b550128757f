"""The choices that make an LLM admission environment; imports nothing heavy, so command lines can list them at once."""

from dataclasses import dataclass
from typing import ClassVar

from ..core.errors import OptionError
from ..core.options import as_bool, as_integer, as_number, one_of, option
from .profiles import profiles

# In the order of the simulator's constants.
CONTROLS = ("admission", "routing")
ORDERS = ("deadline", "arrival", "moore-hodgson")
LOCALS = ("fcfs", "atc")
VICTIMS = ("last", "least", "priority")
PREDICTIONS = ("given", "exact", "noisy", "class", "none")
OBSERVATIONS = ("queue", "batch")
SHAPED_BY = "observation"  # the option that decides on the form of the observation
MOST_CHOICES = 100_000
MOST_RATE = 10**9


@dataclass(frozen=True)
class Options:
    """Keyword arguments of the environments, and flags of the same names on the command lines.

    Raises:
        OptionError: for a value outside of what an option accepts, or options that contradict each other.
    """

    world: ClassVar[frozenset[str]] = frozenset(
        {"profile", "local", "watermark", "victim", "swap_rate", "prefix_cache", "prediction", "sigma"}
    )

    control: str = option(
        "admission",
        "what is decided: admission (which waiting request joins the batch of a server, from one queue) or routing "
        "(the server each arrival goes to; servers admit by themselves)",
    )
    choice: int = option(32, "admission: waiting requests offered at most, besides two late ones; 0: all of them")
    order: str = option(
        "deadline",
        "admission: which are offered first: deadline (of those that can still meet it; the smallest and the oldest "
        "late one besides), arrival (late or not), moore-hodgson (those its schedule keeps, then the others)",
    )
    past_future: int = option(
        98, "percent of the memory that the predicted peak must stay within, or a request is not offered; 0: no limit"
    )
    defer: int = option(
        50, "order deadline: late requests are offered only while so many percent of the memory are free"
    )
    stop: bool = option(True, "admission: a server may also go on, or wait, without another request")
    reject: bool = option(False, "requests may be turned away")
    observation: str = option("queue", "queue (offered requests and servers) or batch (running requests as well)")
    forced_moves: bool = option(True, "the simulator applies moves that have no alternative; False shows all")
    leap: bool = option(True, "iterations that change nothing but counters are run through at once; same results")
    profile: str = option("", "server that takes the place of each of the instance's: a name or a TOML file")
    local: str = option(
        "fcfs", "routing: how servers admit: fcfs (first come of those that fit) or atc (late ones last)"
    )
    watermark: int = option(1, "percent of the memory that an admission must leave free, unless the server is empty")
    victim: str = option("last", "who is preempted where memory runs out: last (admitted), least (computed), priority")
    swap_rate: int = option(0, "tokens per ms at which preempted requests are swapped out and in; 0: recomputed")
    prefix_cache: bool = option(True, "servers keep prefixes of groups and of sessions")
    prediction: str = option(
        "given",
        "what is told of answers: given (as the instance has it), exact, noisy (lognormal, see sigma), class (the mean "
        "of the priority class), none (the mean of all)",
    )
    sigma: float = option(0.5, "prediction noisy: standard deviation of the logarithm")

    def __post_init__(self):
        for name, known in (
            ("control", CONTROLS), ("order", ORDERS), ("observation", OBSERVATIONS), ("local", LOCALS),
            ("victim", VICTIMS), ("prediction", PREDICTIONS),
        ):  # fmt: skip
            one_of(name, getattr(self, name), known)
        for name in ("stop", "reject", "forced_moves", "leap", "prefix_cache"):
            object.__setattr__(self, name, as_bool(name, getattr(self, name)))
        for name, least, most in (
            ("choice", 0, MOST_CHOICES), ("past_future", 0, 200), ("defer", 0, 100), ("watermark", 0, 50),
            ("swap_rate", 0, MOST_RATE),
        ):  # fmt: skip
            object.__setattr__(self, name, as_integer(name, getattr(self, name), least, most))
        object.__setattr__(self, "sigma", as_number("sigma", self.sigma, 0, 4))
        if not isinstance(self.profile, str):
            raise OptionError(f"profile must be a name or a file, got {self.profile!r}")
        if self.profile and not self.profile.endswith(".toml") and self.profile not in profiles():
            names = ", ".join(profiles())
            raise OptionError(
                f"no server profile is called {self.profile!r}; known: {names}, or a file that ends in .toml"
            )
