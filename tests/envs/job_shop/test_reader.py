"""Setup times and windows in text: they round-trip, and damage is reported with its line."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.job_shop.instance import JobShopInstance, format, parse

TEXT = """2 2
0 5 1 6
1 2 0 3
family 0 0
release 0 4
setup
3
0
1
2
window 1 3 9 12 13
"""


def test_the_format_by_hand():
    shop = parse(TEXT)
    assert shop.setup.tolist() == [[[3], [0]], [[1], [2]]] and shop.setup_family.tolist() == [0, 0]
    assert shop.windows.tolist() == [[[-1, -1], [-1, -1]], [[3, 9], [12, 13]]] and shop.release.tolist() == [0, 4]
    each = parse(TEXT.replace("family 0 0\n", "").replace("3\n0\n1\n2\n", "1 2\n0 3\n4 0\n5 6\n0 7\n8 0\n"))
    assert each.setup.shape == (2, 3, 2) and each.setup_family.tolist() == [0, 1]
    assert "family" not in format(each) and format(each).count("\n") == format(shop).count("\n") + 1
    assert parse("# \n" + TEXT.upper().replace("\n", "\n\n")).digest == shop.digest


@settings(max_examples=50)
@given(st.booleans(), st.booleans(), st.sampled_from(["standard", "taillard"]), st.integers(0, 2**32 - 1))
def test_texts_are_read_back(random_shop, limited, dated, setups, windows, style, seed):
    rng = np.random.default_rng(seed)
    shop = random_shop(rng, general=style == "standard", shortest=1)
    shop = limited(dated(shop, rng) if seed % 2 else shop, rng, setups, windows)
    back = parse(format(shop, style))
    assert back.digest == shop.digest and back.objective == shop.objective
    for name in ("setup", "setup_family", "windows"):
        one, other = getattr(shop, name), getattr(back, name)
        assert (one is None and other is None) or (one == other).all()


@pytest.mark.parametrize(
    "old, new, line, words",
    [
        ("family 0 0", "family 0", 4, "expected 2 families, found 1"),
        ("family 0 0", "family 0 -1", 4, "whole number"),
        ("family 0 0", "family 1 1", 7, "machine 0, from the initial state: expected 2 setup times, found 1"),
        ("setup\n", "setup 3\n", 6, "expected nothing behind the word setup"),
        ("1\n2\nwindow", "1\nwindow", 10, "at most 1 numbers"),
        ("setup\n3\n0\n1\n2\n", "", 4, "families of jobs say nothing without setup times"),
        ("3\n0\n", "3 4\n0\n", 7, "at most 1 numbers"),
        ("3\n0\n", "300000000\n0\n", 7, "setup 300000000 is not 0 to"),
        ("window 1", "window 2", 11, "machine 2 is not one of the machines 0 to 1"),
        ("window 1 3", "window 1", 11, "pairs of start and end of its windows, found 4 numbers"),
        ("window 1 3 9 12 13", "window", 11, "found 0 numbers"),
        ("12 13", "8 13", 11, "machine 1: window 8 to 13 is not after 9"),
        ("12 13", "12 999999999", 11, "over by"),
        ("12 13\n", "12 13\nwindow 1 20 21\n", 12, "machine 1 stand in another line"),
        ("12 13\n", "12 13\nfamily 0 0\n", 12, "expected the end or 'due', 'weight', 'objective', 'window'"),
        ("family 0 0\n", "", 6, "expected 2 setup times, found 1"),
        ("0 5 1 6", "0 0 1 6", 11, "job 0, operation 0: with setup times a duration is at least 1"),
    ],
)
def test_damage_is_reported_with_its_line(old, new, line, words):
    assert TEXT.count(old) == 1
    with pytest.raises(InstanceError, match=words) as caught:
        parse(TEXT.replace(old, new), "shop.txt")
    assert caught.value.line == line and caught.value.where == "shop.txt"


def test_families_after_their_setup_times_come_too_late():
    text = TEXT.replace("family 0 0\n", "").replace("3\n0\n1\n2\n", "1 2\n0 3\n4 0\n5 6\n0 7\n8 0\n")
    with pytest.raises(InstanceError, match=r"shop.txt:13: the families of the jobs must stand before"):
        parse(text + "family 0 0\n", "shop.txt")


def test_a_section_that_is_too_large_is_refused_before_it_is_read():
    wide = JobShopInstance("wide", 1, np.ones((1100, 1), int), np.zeros((1100, 1), int))
    with pytest.raises(InstanceError, match="1100 families on 1 machines: expected at most 1000000 setup times"):
        parse(format(wide) + "setup\n", "shop.txt")
    assert parse(format(replace(wide, windows=[[(1, 2)]]))).limited
