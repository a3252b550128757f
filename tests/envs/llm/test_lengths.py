"""Tables of lengths are those of the traces, within stated tolerances."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dispatchgym.envs.core.errors import UnknownNameError
from dispatchgym.envs.llm.lengths import LEVELS, NAMES, QUOTED, lengths, quantiles

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "llm"
FILES = {"conversation": "AzureLLMInferenceTrace_conv.csv", "code": "AzureLLMInferenceTrace_code.csv"}


def distance(one, two):
    """The largest distance of two distributions (Kolmogorov and Smirnov)."""
    values = np.union1d(one, two)
    shares = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (one, two)]
    return np.abs(shares[0] - shares[1]).max()


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_distributions(name):
    for table in (lengths(name).prompt, lengths(name).output):
        assert table.shape == LEVELS.shape and (np.diff(table) >= 0).all() and table[0] >= 1
        assert (table == table.astype(int)).all() and (np.diff(LEVELS) > 0).all()
    assert lengths(name) is lengths(name) and lengths(name).name == name


@pytest.mark.parametrize(
    ("name", "prompt", "output"),
    [
        # means and the deviations from them that are allowed
        ("conversation", (1154.0, 0.005), (211.1, 0.005)),
        ("code", (2047.8, 0.005), (27.9, 0.01)),
        ("summarisation", (2588.1, 0.04), (291.4, 0.06)),  # eight quantiles do not fix a mean
        ("mooncake", (12_035.1, 0.07), (342.6, 0.02)),
    ],
)
def test_means_are_those_of_the_traces(name, prompt, output):
    for values, (mean, tolerance) in zip(lengths(name).grid, (prompt, output), strict=True):
        assert values.mean() == pytest.approx(mean, rel=tolerance)


def test_quoted_quantiles_are_met():
    prompt, output = lengths("mooncake").grid
    for values, quoted in ((prompt, [964, 2306, 6909, 15_367, 27_367]), (output, [24, 156, 350, 472, 597])):
        assert np.quantile(values, QUOTED[1:-2]) == pytest.approx(quoted, rel=0.02, abs=1.5)


@pytest.mark.skipif(not SHARED.exists(), reason="the real traces are not here")
@pytest.mark.parametrize("name", FILES)
def test_draws_are_like_the_rows_of_the_traces(name):
    rows = list(csv.reader((SHARED / FILES[name]).read_text().splitlines()))[1:]
    real = np.array([(int(row[1]), int(row[2])) for row in rows])
    real = real[real[:, 0] <= 8000]
    drawn = lengths(name).draw(np.random.default_rng(0), 50_000)
    for column, values in enumerate(drawn):
        assert distance(values, real[:, column]) < 0.012  # of two samples of the same less than 0.012 in 95 %
        assert values.mean() == pytest.approx(real[:, column].mean(), rel=0.02)
        assert (values.astype(float) ** 2).mean() == pytest.approx((real[:, column] ** 2.0).mean(), rel=0.06)


def test_prompts_and_answers_are_independent_and_drawn_in_turn():
    of = lengths("conversation")
    prompt, output = of.draw(np.random.default_rng(3), 20_000)
    assert abs(np.corrcoef(np.argsort(np.argsort(prompt)), np.argsort(np.argsort(output)))[0, 1]) < 0.02
    rng = np.random.default_rng(3)
    assert (quantiles(of.prompt, rng.random(20_000)) == prompt).all()
    assert (of.draw_outputs(rng, 20_000) == output).all()


def test_quantiles_stay_within_the_table():
    of = lengths("code")
    assert quantiles(of.prompt, np.array([0.0, 1.0])).tolist() == [3, 7437]
    assert quantiles(of.output, np.array([0.0, 0.5, 1.0])).tolist() == [6, 13, 1899]


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match="known: code, conversation, mooncake, summarisation"):
        lengths("arxiv")
