"""What the report is about: for each family, the held-out sets of its presets, and what others have published."""

from dataclasses import dataclass, field

from dispatchgym.agents import shipped
from dispatchgym.agents.presets import DEFAULT, PRESETS, Preset
from dispatchgym.envs.core import registry

LEARNED, SAMPLED = "learned, greedy", "learned, {} attempts"


@dataclass(frozen=True)
class Section:
    """A set of instances and who is compared on it.

    Attributes:
        family, preset: whose learned policies take part.
        title: of the set.
        names: of its instances, as ``evaluate.py --instances`` takes them.
        rules: policies that take part.
        exact: solver and seconds for each instance, or None.
        options: of the world.
        reference: policy that gaps are relative to, where no exact solver helps.
        samples: attempts of the learned policies beside the greedy one.
    """

    family: str
    preset: str
    title: str
    names: tuple[str, ...]
    rules: tuple[str, ...]
    exact: tuple[str, float] | None = None
    options: dict = field(default_factory=dict)
    reference: str = ""
    samples: int = 16

    @property
    def key(self) -> str:
        """Its name in file names."""
        title = "-".join("".join(letter if letter.isalnum() else " " for letter in self.title).split())
        return f"{self.family}.{self.preset}.{title}".lower().replace("_", "-")


@dataclass(frozen=True)
class Published:
    """Mean gaps, in percent, that others report on a set.

    Attributes:
        source: where they stand.
        columns: the groups of instances they are about.
        rows: one number for each column, by method; None where there is none.
    """

    source: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]


_SIZES = ("15x15", "20x15", "20x20", "30x15", "30x20", "50x15", "50x20", "100x20")
_DMU_SIZES = ("20x15", "20x20", "30x15", "30x20", "40x15", "40x20", "50x15", "50x20")
TAILLARD = Published(
    "Corsini et al. 2024, their results sheet; all size-agnostic",
    _SIZES,
    {
        "L2D, greedy": (24.4, 30.2, 28.6, 30.1, 34.5, 19.6, 23.1, 13.4),
        "L2D, 128 samples": (17.1, 23.7, 22.6, 24.4, 28.4, 17.1, 20.4, 10.3),
        "self-labeling, greedy": (13.8, 15.0, 15.2, 17.1, 18.5, 10.1, 11.6, 5.9),
        "self-labeling, 128 samples": (7.3, 9.3, 10.0, 11.0, 13.4, 5.5, 8.4, 2.3),
        "shifting bottleneck": (11.6, 10.9, 13.6, 15.1, 17.7, 13.2, 20.8, 15.6),
        "CP-SAT (time not said)": (0.02, 0.25, 0.71, 2.06, 2.84, 0.0, 2.83, 3.95),
    },
)
DMU = Published(
    "Corsini et al. 2024, their results sheet",
    _DMU_SIZES,
    {
        "L2D, greedy": (38.2, 36.0, 42.5, 36.9, 38.4, 40.0, 37.9, 39.9),
        "self-labeling, greedy": (18.0, 19.4, 21.8, 25.7, 17.5, 22.2, 15.7, 19.7),
        "self-labeling, 128 samples": (12.0, 13.5, 14.4, 17.1, 11.7, 16.0, 11.2, 15.7),
    },
)
SHOP_RULES = ("spt", "mwkr", "mopnr", "fdd/mwkr", "fifo")


# Where a preset has no use for a solver while it trains, and a reader of the report has.
EXACT = {("soc", "random-plan"): ("cp-sat", 2.0)}
MOST_SAMPLES = 16
# More instances where differences are small and planners too slow for them; without those watched in training.
WITHOUT_PLANNERS = {
    ("job_shop", "dynamic-10x5"): {
        f"{load} %, 200 shops": tuple(f"{name}:{part}" for part in ("0-49", "70-219"))
        for load, name in (("90", "dynamic-10x5"), ("150", "dynamic-10x5-150"))
    }
}
# What plays ahead, searches or solves before it acts, in contrast to rules that look at the candidates once.
PLANNERS = frozenset(
    "cp-sat-replan pilot lookahead best-rule swap beam repack pop patterns mip-reduced mip-replan".split()
)


def _taillard(number: int) -> str:
    return f"ta{number:02d}-{number + 9:02d}"


def job_shop_sets() -> list[Section]:
    """Taillard's and Demirkol's instances by size, played by the policy of ``mixed``."""
    found = [
        Section("job_shop", "mixed", f"Taillard {size}", (_taillard(10 * k + 1),), SHOP_RULES)
        for k, size in enumerate(_SIZES)
    ]
    # Demirkol's instances come in two kinds of routes: the first 40 are plain, the others visit half of the machines
    # before the rest. Sizes alternate within each kind as in the columns above, five at a time.
    found += [
        Section(
            "job_shop", "mixed", f"Demirkol {size}",
            (f"dmu{5 * k + 1:02d}-{5 * k + 5:02d}", f"dmu{5 * k + 41}-{5 * k + 45}"), SHOP_RULES,
        )
        for k, size in enumerate(_DMU_SIZES)
    ]  # fmt: skip
    return found


def _sets(family_name: str, name: str, preset: Preset) -> list[Section]:
    world = preset.world(registry.family(family_name))
    exact = preset.exact or EXACT.get((family_name, name))
    samples = min(preset.samples, MOST_SAMPLES)
    rules = preset.rules
    if preset.options.get("control") == "routing":  # who admits for all servers at once plays another game
        known = registry.family(family_name).policies
        rules = tuple(rule for rule in rules if known[rule].options.get("control") == "routing")
    found = [
        Section(family_name, name, title, tuple(names), rules, exact, world, preset.reference, samples)
        for title, names in preset.held_out.items()
    ]
    quick = tuple(rule for rule in rules if rule not in PLANNERS)
    return found + [
        Section(family_name, name, title, names, quick, None, world, preset.reference, samples)
        for title, names in WITHOUT_PLANNERS.get((family_name, name), {}).items()
    ]


def spellings(family: registry.Family, name: str) -> tuple[str, str]:
    """How a preset may be asked for: by its name, or with its family where another has one of the same name."""
    return name, f"{family.command}/{name}"


def sections(family_name: str, presets: list[str]) -> list[Section]:
    """The sets of a family: those of its presets, and of the job shop what is published.

    Args:
        family_name: of the family.
        presets: names as in ``spellings``, of which those of other families are passed over; empty takes all that a
            policy is shipped for.
    """
    known, entry = PRESETS.get(family_name, {}), registry.family(family_name)
    asked = presets or shipped.names(family_name)
    names = [name for name in known if not set(asked).isdisjoint(spellings(entry, name))]
    found: list[Section] = []
    for name in names:
        if (family_name, name) == ("job_shop", "mixed"):
            found += job_shop_sets()
        else:
            found += _sets(family_name, name, known[name])
    return found


def overview(sections: list[Section]) -> list[tuple[str, list[Section]]]:
    """What a page shows that has no room for all: titles, and the sections that make one row together.

    Chosen by place, not by outcome: all sets of a family's default training, the first of every other one, and the
    published instances of one author in one row.
    """
    found: list[tuple[str, list[Section]]] = []
    for preset in dict.fromkeys(section.preset for section in sections):
        mine = [section for section in sections if section.preset == preset and section.names != ("ft06",)]
        for prefix, title in (("Taillard ", "ta01-80"), ("Demirkol ", "dmu01-80")):
            if part := [section for section in mine if section.title.startswith(prefix)]:
                found.append((title, part))
                mine = [section for section in mine if section not in part]
        shown = mine if mine and preset == DEFAULT[mine[0].family] else mine[:1]
        found += [(section.title, [section]) for section in shown]
    return found
