"""The published job shop instances; where their numbers come from stands in ``data/job_shop/SOURCES.md``."""

from functools import cache, cached_property

from ..envs.job_shop.generator import PRESETS, demirkol, preset_instance, taillard
from ..envs.job_shop.instance import JobShopInstance, parse
from ..envs.job_shop.instance import read as read
from .shelf import Shelf, Table


class _Shelf(Shelf):
    """Instances that are read from files, and those that are made from published seeds."""

    @cached_property
    def seeds(self) -> Table:
        """The rows of ``seeds.csv`` by name."""
        return self.table("seeds.csv")

    def made_from(self, row: dict[str, str], name: str) -> JobShopInstance:
        """The instance of a row."""
        if row["data"] != "seeds.csv":
            return super().made_from(row, name)
        row = self.seeds[name]
        jobs, machines, seed = int(row["jobs"]), int(row["machines"]), int(row["seed"])
        if row["rule"] == "taillard":
            return taillard(jobs, machines, seed, int(row["machine_seed"]), name)
        return demirkol(jobs, machines, seed, row["rule"] == "demirkol-two-sets", name)


SHELF = _Shelf("job_shop", parse)  # ft, la, abz, orb, swv, yn, ta, dmu; bounds of the makespan
names, load, bounds, find = SHELF.names, SHELF.load, SHELF.bounds, SHELF.find
preset = preset_instance


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """The sets that the instances were published in: ``ta`` to ``ta01`` ... ``ta80``."""
    found: dict[str, list[str]] = {}
    for name in names():
        found.setdefault(name.rstrip("0123456789"), []).append(name)
    return {group: tuple(members) for group, members in found.items()}


def presets() -> tuple[str, ...]:
    """The customary sizes; ``preset`` takes any."""
    return PRESETS
