"""Environments that generate their instances: sizes from a few draws, and draws that fit them."""

import numpy as np
import pytest

from dispatchgym.envs.core.drawing import ATTEMPTS, draw_fitting, probe
from dispatchgym.envs.core.errors import OptionError


class AtMost:
    """A model of numbers up to one."""

    def __init__(self, most):
        self.most, self.asked = most, 0

    def fits(self, instance):
        self.asked += 1
        return instance <= self.most


def draw(generator):
    return int(generator.integers(100))


def test_probes_are_the_same_for_everybody():
    assert probe(draw, 5) == probe(draw, 5) == [draw(np.random.default_rng(k)) for k in range(5)]
    assert probe(draw, 1) == probe(draw, 5)[:1]


def test_what_does_not_fit_is_drawn_again():
    model, generator = AtMost(30), np.random.default_rng(0)
    drawn = [draw_fitting(draw, generator, model) for _ in range(50)]
    assert max(drawn) <= 30 < len(set(drawn)) + 10 and model.asked > 100
    again = np.random.default_rng(0)
    assert drawn == [draw_fitting(draw, again, AtMost(30)) for _ in range(50)]


def test_somebody_who_never_fits_is_told():
    model = AtMost(-1)
    with pytest.raises(OptionError, match=f"none of {ATTEMPTS} instances drawn fits"):
        draw_fitting(draw, np.random.default_rng(0), model)
    assert model.asked == ATTEMPTS
