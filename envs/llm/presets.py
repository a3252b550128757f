"""The presets as a table: of each its usual settings, which of them may be changed, and what it is drawn from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..core.errors import OptionError
from .arrivals import Process
from .profiles import Profile, profile
from .saturation import saturation
from .sessions import Sessions
from .workload import Kind, Recipe, Tenant

MILLISECONDS = 1000  # in us
MAX_REQUESTS = 100_000
MAX_LOAD = 1000  # percent
MAX_SIGMA = 400  # percent
MAX_CV = 20
MAX_GROUPS = 10_000
MAX_SERVERS = 32  # of one kind
TIGHT_KV = 30_000  # tokens, some 22 conversations
LOOSER = 2  # targets of the second class of mixed-slo over those of the first; first come first served keeps about half
TENANTS = 8
BURSTING = 1  # of the tenants, counted from the one that asks most
FLEET = (2, 2)  # servers on H100 and on A100
MIXED_FLEETS = (FLEET, (1, 3), (3, 1))
ROUTE_SEQS = 128
PREFIX_RATE, E2E_RATE, OVERLOAD_RATE = 16.0, 24.0, 66.0  # sessions or requests a second
PREFIX_KV, E2E_KV = (150_000, 100_000), (40_000, 30_000)  # tokens on H100 and on A100
LONG, LONGER = 0.3, 3.0  # the share of long answers in route-e2e, and by how much they are longer
SHORT_DEADLINE, LONG_DEADLINE = 8000 * MILLISECONDS, 30_000 * MILLISECONDS
ROUTE_TBT = 150 * MILLISECONDS

H100, A100 = "llama-3-8b-h100", "llama-3-8b-a100"


@dataclass(frozen=True)
class Settings:
    """What can be said in the name of a preset.

    Attributes:
        n: requests.
        load: percent.
        sigma: percent, of the logarithm of errors of predictions.
        cv: coefficient of variation of gaps between arrivals; 1 is Poisson.
        groups: of prompts.
        fleet: servers on H100 and on A100; None where there is but one server.
        flow: whether the objective is the mean end-to-end time.
        mix: 0 where instances are alike, 1 where they differ in size and load, 2 where in the fleet as well.
        scale: factor on the load, of one instance of a mix.
    """

    n: int = 1500
    load: int = 100
    sigma: int = 50
    cv: int = 1
    groups: int = 0
    fleet: tuple[int, int] | None = None
    flow: bool = False
    mix: int = 0
    scale: float = 1.0

    def __post_init__(self):
        for what, least, most in (
            ("n", 1, MAX_REQUESTS), ("load", 1, MAX_LOAD), ("sigma", 0, MAX_SIGMA), ("cv", 1, MAX_CV),
            ("groups", 0, MAX_GROUPS),
        ):  # fmt: skip
            if not least <= getattr(self, what) <= most:
                raise OptionError(f"{what} must be {least} to {most}, got {getattr(self, what)}")
        if self.fleet is not None and not (sum(self.fleet) and max(self.fleet) <= MAX_SERVERS):
            raise OptionError(f"a fleet has 0 to {MAX_SERVERS} servers of each kind and at least one, got {self.fleet}")

    def changed(self, **changes) -> "Settings":
        """The same with other values.

        Raises:
            OptionError: if one is out of range.
        """
        return replace(self, **changes)

    @property
    def words(self) -> list[int]:
        """All that a name can say as 32-bit words."""
        fleet = self.fleet or (0, 0)
        return [self.n, self.load, self.sigma, self.cv, self.groups, *fleet, self.flow, self.mix]

    @property
    def share(self) -> float:
        """The load as a share."""
        return self.scale * self.load / 100

    @property
    def process(self) -> Process:
        """How requests arrive."""
        return Process() if self.cv == 1 else Process("gamma", cv=float(self.cv))

    @property
    def objective(self) -> str:
        """Of the instances."""
        return "e2e_mean" if self.flow else "miss_rate"


@dataclass(frozen=True)
class Suffix:
    """A part of a name.

    Attributes:
        form: for lists.
        pattern: a regular expression with one group for each of its numbers.
        read: what these groups say.
        numbers: how many groups.
    """

    form: str
    pattern: str
    read: Callable[[list[str]], object]
    numbers: int = 1


_NUMBER = "(0|[1-9][0-9]{0,8})"


def _first(values: list[str]) -> int:
    return int(values[0])


SUFFIXES: dict[str, Suffix] = {
    "n": Suffix("-nN", f"n{_NUMBER}", _first),
    "load": Suffix("-xLOAD", f"x{_NUMBER}", _first),
    "sigma": Suffix("-sSIGMA", f"s{_NUMBER}", _first),
    "cv": Suffix("-cvCV", f"cv{_NUMBER}", _first),
    "groups": Suffix("-gGROUPS", f"g{_NUMBER}", _first),
    "fleet": Suffix("-HhAa", f"{_NUMBER}h{_NUMBER}a", lambda values: (int(values[0]), int(values[1])), 2),
    "flow": Suffix("-flow", "(flow)", bool),
    "mix": Suffix("-mix", "(mix)", lambda _: 1),
}


@dataclass(frozen=True)
class Preset:
    """A preset of the table.

    Attributes:
        settings: the usual ones.
        recipe: what an instance with certain settings is drawn from.
        takes: which settings a name may change, keys of ``SUFFIXES`` in their order.
    """

    settings: Settings
    recipe: Callable[[Settings], Recipe]
    takes: tuple[str, ...] = ("n", "load", "sigma", "cv", "flow", "mix")


def _admission(
    lengths: str = "conversation",
    kinds: tuple[Kind, ...] = (Kind(),),
    kv_tokens: int | None = None,
    tenants: bool = False,
) -> Callable[[Settings], Recipe]:
    """One server; the load is a share of its saturation."""

    def recipe(settings: Settings) -> Recipe:
        server = profile(H100) if kv_tokens is None else replace(profile(H100), kv_tokens=kv_tokens)
        asking = (Tenant(process=settings.process),)
        if tenants:
            bursts = (Process("on-off") if place == BURSTING else Process() for place in range(TENANTS))
            asking = tuple(Tenant(1 / (place + 1), process) for place, process in enumerate(bursts))
        return Recipe(
            (server,), settings.share * saturation(server, lengths), settings.n, lengths, kinds, asking,
            sigma=settings.sigma / 100, objective=settings.objective,
        )  # fmt: skip

    return recipe


def _serial(name: str) -> Callable[[Settings], Recipe]:
    """One request at a time, all that counts is how long answers are."""

    def recipe(settings: Settings) -> Recipe:
        server = profile(name)
        return Recipe(
            (server,), settings.share * saturation(server, "conversation"), settings.n, "conversation", _UNHURRIED,
            (Tenant(process=settings.process),), sigma=settings.sigma / 100, objective="e2e_mean",
        )  # fmt: skip

    return recipe


def _fleet(count: tuple[int, int], kv_tokens: tuple[int, int] | None) -> tuple[Profile, ...]:
    kinds = [replace(profile(name), max_num_seqs=ROUTE_SEQS) for name in (H100, A100)]
    if kv_tokens:
        kinds = [replace(kind, kv_tokens=tokens) for kind, tokens in zip(kinds, kv_tokens, strict=True)]
    return (kinds[0],) * count[0] + (kinds[1],) * count[1]


def _route(
    rate: float, kinds: tuple[Kind, ...], kv_tokens: tuple[int, int] | None = None, sessions: bool = False
) -> Callable[[Settings], Recipe]:
    """Several servers that are not alike; the rate is that of ``FLEET``, and changes as the saturation does."""
    longer = sum(kind.share * kind.longer for kind in kinds) / sum(kind.share for kind in kinds)

    def recipe(settings: Settings) -> Recipe:
        servers = _fleet(settings.fleet, kv_tokens)
        usual = rate / saturation(_fleet(FLEET, kv_tokens), "conversation", longer)
        now = settings.share * usual * saturation(servers, "conversation", longer)
        return Recipe(
            servers, now, settings.n, "conversation", kinds, (Tenant(process=settings.process),),
            sigma=settings.sigma / 100, sessions=Sessions(groups=settings.groups) if sessions else None,
            objective=settings.objective,
        )  # fmt: skip

    return recipe


_UNHURRIED = (Kind(ttft=0, ttft_token=0, tbt=0),)
_TIGHT = Kind(ttft=300 * MILLISECONDS, ttft_token=MILLISECONDS // 2)
_MIXED = (
    Kind(0.5, priority=0),
    Kind(0.5, priority=1, ttft=LOOSER * Kind.ttft, ttft_token=LOOSER * Kind.ttft_token),
)
# A deadline for the last token is a class, an answer that is longer than is said a client.
_DEADLINES = tuple(
    Kind(
        share / 2, priority, client, 1.0 + (LONGER - 1) * client, 0.25 if client else 1.0, ttft=0, ttft_token=0, tbt=0,
        e2e=deadline,
    )
    for priority, deadline in enumerate((SHORT_DEADLINE, LONG_DEADLINE))
    for client, share in enumerate((1 - LONG, LONG))
)  # fmt: skip
_ROUTED = (Kind(tbt=ROUTE_TBT),)

_ONE_SERIES = ("n", "load", "sigma", "cv", "mix")
_ROUTES = ("n", "load", "sigma", "cv", "fleet", "flow", "mix")

# The place of a preset is a word of its streams: new ones go to the end.
TABLE: dict[str, Preset] = {
    "steady": Preset(Settings(load=95), _admission()),
    "burst": Preset(Settings(load=90, cv=3), _admission()),
    "burst-tight": Preset(Settings(load=90, cv=3), _admission(kinds=(_TIGHT,))),
    "overload": Preset(Settings(load=110), _admission()),
    "tight-kv": Preset(Settings(load=110), _admission(kv_tokens=TIGHT_KV)),
    "tight-kv-burst": Preset(Settings(load=90, cv=3), _admission(kv_tokens=TIGHT_KV)),
    "mixed-slo": Preset(Settings(load=110), _admission(kinds=_MIXED)),
    "multi-tenant": Preset(Settings(load=100), _admission(tenants=True), ("n", "load", "sigma", "flow", "mix")),
    "code": Preset(Settings(load=110), _admission("code")),
    "serial": Preset(Settings(load=80, sigma=0), _serial("serial"), _ONE_SERIES),
    "serial-preemptive": Preset(Settings(load=80, sigma=0), _serial("serial-preemptive"), _ONE_SERIES),
    "route-prefix": Preset(
        Settings(n=3500, groups=60, fleet=FLEET),
        _route(PREFIX_RATE, _ROUTED, PREFIX_KV, sessions=True),
        ("n", "load", "sigma", "cv", "groups", "fleet", "flow", "mix"),
    ),
    "route-e2e": Preset(Settings(n=2500, fleet=FLEET), _route(E2E_RATE, _DEADLINES, E2E_KV), _ROUTES),
    "route-overload": Preset(Settings(n=5000, cv=2, fleet=FLEET), _route(OVERLOAD_RATE, _ROUTED), _ROUTES),
}
PRESETS = tuple(TABLE)
