"""Flexible job shops of the package are what the manifest says; published files are recognised by their numbers."""

from pathlib import Path

import pytest

from dispatchgym.baselines.flexible_job_shop_cp_sat import lower_bound, solve_flexible_job_shop
from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.flexible_job_shop.instance import format
from dispatchgym.instances import catalogue
from dispatchgym.instances import flexible_job_shop as collection

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "job_shop"
FAMILY = "flexible_job_shop"


def test_the_package_ships_its_own_and_knows_the_published_ones():
    assert collection.names() == ("fast-machine", "workshop") == collection.groups()["examples"]
    rows = collection.SHELF.manifest
    assert [f"mk{number:02d}" in rows for number in range(1, 16)] == [True] * 15
    for kind in ("edata", "rdata", "vdata"):
        assert all(f"la{number:02d}_{kind}" in rows for number in range(1, 41))
    assert len(rows) == 2 + 15 + 120 and len({row["digest"] for row in rows.values()}) == len(rows)


def test_numbers_agree_with_the_manifest():
    for name in collection.names():
        shop, row = collection.load(name), collection.SHELF.manifest[name]
        assert (shop.name, shop.digest, shop.size) == (name, row["digest"], f"{row['jobs']}x{row['machines']}")
        assert collection.find(shop.digest) == name and catalogue.bounds(shop) == collection.bounds(name)
        answer = solve_flexible_job_shop(shop)
        assert answer.status == "optimal" and collection.bounds(name).lower == answer.objective == answer.bound


def test_bounds_that_others_published():
    best = {name: collection.bounds(name) for name in collection.SHELF.manifest}
    for number, optimum in {1: 40, 2: 26, 3: 204, 4: 60, 5: 172, 6: 57, 7: 139, 8: 523, 9: 307}.items():
        assert (best[f"mk{number:02d}"].lower, best[f"mk{number:02d}"].proven) == (optimum, True)
    assert (best["mk10"].lower, best["mk10"].upper, best["mk10"].proven) == (189, 193, False)
    assert (best["la01_edata"].upper, best["la01_edata"].source) == (609, "ScheduleOpt benchmarks")


def test_a_changed_number_is_noticed(monkeypatch):
    text = collection.SHELF.text("workshop.fjs")
    monkeypatch.setattr(collection.SHELF, "text", lambda file: text.replace("1 3 2 4", "1 3 2 5", 1))
    with pytest.raises(InstanceError, match="workshop.fjs was changed"):
        collection.SHELF.make("workshop")


def test_published_names_are_no_instances_without_their_files():
    with pytest.raises(LookupError, match="workshop"):
        catalogue.load("mk01", FAMILY)


def test_copies_have_the_bounds_of_the_original(tmp_path):
    path = tmp_path / "copy.txt"
    path.write_text(format(collection.load("workshop")))
    assert catalogue.bounds(catalogue.load(path, FAMILY)).upper == 13
    assert catalogue.bounds(catalogue.load("sd1-4x3:0", FAMILY)) is None


@pytest.mark.skipif(not DATA.exists(), reason="the published instances are not here")
def test_published_files_are_recognised_by_their_numbers(tmp_path):
    paths = {path.stem: path for path in sorted((DATA / "fjsp_brandimarte").glob("*.txt"))}
    for kind in ("edata", "rdata", "vdata"):
        paths |= {f"{path.stem}_{kind}": path for path in sorted((DATA / "fjsp_hurink" / kind).glob("*.txt"))}
    assert len(paths) == 135
    for name, path in paths.items():
        shop, row = collection.read(str(path)), collection.SHELF.manifest[name]
        assert collection.find(shop.digest) == name and shop.size == f"{row['jobs']}x{row['machines']}"
        known = catalogue.bounds(shop)
        assert lower_bound(shop) <= known.lower <= known.upper < shop.longest_work
    path = tmp_path / "renumbered.fjs"
    path.write_text(format(collection.read(str(paths["mk01"]))))  # from 1, as in the files of others
    assert catalogue.bounds(catalogue.load(path, FAMILY)).upper == 40
