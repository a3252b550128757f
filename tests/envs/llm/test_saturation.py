"""The fluid balance is what servers do that are played slowly with more than they can do."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.lengths import LEVELS, Lengths, lengths
from dispatchgym.envs.llm.profiles import Profile, profile, profiles
from dispatchgym.envs.llm.saturation import saturation

H100 = profile("llama-3-8b-h100")


@pytest.mark.parametrize(
    ("kv_tokens", "lengths", "expected"),
    [
        # measured elsewhere with answers that go with their prompts: 20.0, 16.1, 11.0 and 15.75
        (411_529, "conversation", 19.32), (60_000, "conversation", 15.49), (30_000, "conversation", 10.72),
        (411_529, "code", 15.47),
    ],
)  # fmt: skip
def test_known_rates(kv_tokens, lengths, expected):
    assert saturation(replace(H100, kv_tokens=kv_tokens), lengths) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("kv_tokens", [411_529, 30_000])
def test_a_backlog_is_done_at_nearly_this_rate(plain_play, kv_tokens):
    prompt, output = lengths("conversation").draw(np.random.default_rng(5), 1000)
    server = replace(H100, kv_tokens=kv_tokens)
    played = plain_play.Play(LLMInstance("backlog", (server,), np.zeros(1000, int), prompt, output))
    rate = 1000 / (max(one.finish for one in played.done) / 1e6)
    same = Lengths("sample", np.quantile(prompt, LEVELS), np.quantile(output, LEVELS))
    # the last ones run alone, and whole requests do not fill the memory
    assert 0.88 < rate / saturation(server, same) < 1.02


def test_by_hand():
    one = Lengths("one", np.full(LEVELS.shape, 100.0), np.full(LEVELS.shape, 11.0))
    # ten decodes and a prefill of 100 tokens each: of a budget of 110, one request begins in each iteration
    server = Profile(
        10**12, prefill=10**10, decode=10**11, read=10**8, attention=10**6, token_budget=110, max_num_seqs=64
    )
    held = 100 * 10 + 10 * 10 / 2
    time = 1e-3 + 100 * 1e-5 + 10 * 1e-4 + held * 1e-7 + 100**2 * 1e-9
    assert saturation(server, one) == pytest.approx(1 / time, rel=1e-9)
    # eleven iterations each: four at a time
    few = replace(server, max_num_seqs=4)
    share = 4 / 11
    assert saturation(few, one) == pytest.approx(share / (1e-3 + share * (time - 1e-3)), rel=1e-9)
    # tokens owned: those held, the prompt while it is computed, and half a block in each decode
    tight = replace(server, kv_tokens=700)
    share = 0.99 * 700 / (held + 100 + 8 * 10)
    assert saturation(tight, one) == pytest.approx(share / (1e-3 + share * (time - 1e-3)), rel=1e-6)
    # a token costs twice as much above the knee
    bent = replace(server, token=10**10, beyond=10**10, knee=100)
    assert saturation(bent, one) == pytest.approx(1 / (time + 110e-5 + 10e-5), rel=1e-9)


def test_serial_ones_take_their_answers():
    assert saturation(profile("serial"), "conversation") == pytest.approx(1 / (0.01 * 211.103), rel=1e-3)


def test_rates_add_up_and_fall_with_longer_answers():
    a100 = profile("llama-3-8b-a100")
    both = saturation([H100, a100], "conversation")
    assert both == pytest.approx(saturation(H100, "conversation") + saturation(a100, "conversation"))
    assert saturation(H100, lengths("conversation"), 2.0) < saturation(H100, lengths("conversation"))
    assert all(saturation(server, "mooncake") > 0.04 for name, server in profiles().items() if name != "serial")


def test_nonsense_is_refused():
    with pytest.raises(UnknownNameError, match="distribution of lengths 'arxiv'"):
        saturation(H100, "arxiv")
    for longer in (0, -1, float("nan"), 1e9):
        with pytest.raises(OptionError, match="longer must be"):
            saturation(H100, "code", longer)
