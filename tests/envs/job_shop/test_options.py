"""What options of the job shop accept, alone and together."""

import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.job_shop.options import Options


def test_a_shop_is_live_as_soon_as_something_happens_by_itself():
    assert not Options().live and not Options(construction="wait", safety=False).live
    for given in (
        {"buffers": "none"}, {"buffers": "swap"}, {"uptime": 500, "repair": 10}, {"noise": "gamma", "sigma": 0.1},
        {"noise": "gaussian"}, {"reveal": True},
    ):  # fmt: skip
        assert Options(**given).live and Options(**given).waits
        assert set(given) - {"safety"} <= Options.world
        assert not Options(**given, construction="non-delay").waits
    assert "safety" not in Options.world and "construction" not in Options.world


@pytest.mark.parametrize("construction", ["insertion", 0.3, 0, "1"])
def test_live_shops_know_two_constructions(construction):
    Options(construction)
    with pytest.raises(OptionError, match=r"construction in a live shop \(buffers none\) must be non-delay or wait"):
        Options(construction, buffers="none")


def test_live_shops_have_one_observation():
    with pytest.raises(OptionError, match=r"observation in a live shop \(noise gamma, reveal\) must be jobs"):
        Options(noise="gamma", sigma=0.2, reveal=True, observation="operations")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma": 0.2}, "sigma needs a noise"),
        ({"uptime": 100}, "uptime and repair go together"),
        ({"repair": 100}, "uptime and repair go together"),
        ({"interrupted": "restart"}, "restart needs shutdowns"),
        ({"noise": "ds3"}, "noise must be one of none, gaussian, lognormal, gamma"),
        ({"noise": "gamma", "sigma": 4.5}, "sigma must be a number from 0 to 4"),
        ({"uptime": 100_001, "repair": 1}, "uptime must be a number from 0 to 100000"),
        ({"uptime": 2.5, "repair": 1}, "uptime must be a whole number"),
        ({"buffers": "two"}, "buffers must be one of unlimited, none, swap"),
        ({"reveal": "perhaps"}, "reveal must be True or False"),
        ({"safety": 2}, "safety must be True or False"),
    ],
)
def test_what_makes_no_sense_is_refused(given, message):
    with pytest.raises(OptionError, match=message):
        Options(**given)
