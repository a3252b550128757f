"""Profiles hold the fitted numbers exactly, iterations cost what the formula says, files are read or refused."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError, UnknownNameError
from dispatchgym.envs.llm import profiles
from dispatchgym.envs.llm.profiles import MAX_ITERATION, Profile, iteration_us, load, name_of, parse, profile, read

TABLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "llm" / "iteration_coefficients.csv"
TOML = """
a = 5986.0
b = 15.68
c = 0.001289
d = 15.7
e = 0.04591
kv_capacity_tokens = 411529
"""
BENT = """
a = 6184
c = 9.723e-4
d = 3.092
e = 0.0457
hinge = { b0 = 11.48, b1 = 8.307, knee = 432 }
kv_capacity_tokens = 1000
block_size = 8
max_num_seqs = 1
token_budget = 64
preemptive = true
"""


class TestNamed:
    def test_the_numbers_of_one(self):
        server = profile("llama-3-8b-h100")
        assert (server.base, server.prefill, server.attention) == (5_986_000_000_000, 15_680_000_000, 644_500)
        assert (server.decode, server.read, server.token, server.beyond) == (15_700_000_000, 45_910_000, 0, 0)
        assert (server.kv_tokens, server.block_size, server.blocks) == (411_529, 16, 25_720)
        assert (server.max_num_seqs, server.token_budget, server.preemptive) == (256, 512, False)
        bent = profile("llama-3-8b-h100-hinge")
        assert (bent.base, bent.prefill, bent.token, bent.beyond) == (
            6_184_000_000_000,
            0,
            11_480_000_000,
            8_307_000_000,
        )
        assert (bent.knee, bent.attention, bent.decode) == (432, 486_150, 3_092_000_000)

    @pytest.mark.skipif(not TABLE.exists(), reason="the fitted table is not here")
    def test_all_numbers_are_those_of_the_fits(self):
        rows = list(csv.DictReader(TABLE.read_text().splitlines()))
        assert len(rows) == 8
        for row in rows:
            tp = "" if row["tp"] == "1" else f"-tp{row['tp']}"
            name = f"{row['model'].lower()}-{row['hw'].split('-')[0].lower()}{tp}"
            for form, suffix, columns in (("lin", "", "a b c d e"), ("hinge", "-hinge", "a b0 b1 c d e k")):
                said = {column: float(row[f"{form}_{column}"]) for column in columns.split()}
                server = profile(name + suffix)
                found = {
                    "a": server.base, "b": server.prefill, "b0": server.token, "b1": server.beyond,
                    "c": 2 * server.attention, "d": server.decode, "e": server.read, "k": server.knee * 10**12,
                }  # fmt: skip
                assert {key: found[key] / 1e12 for key in said} == pytest.approx(said, rel=1e-12)
                assert server.kv_tokens == int(row["kv_capacity_tokens"])

    def test_names(self):
        assert len(profiles.profiles()) == 18
        for name, server in profiles.profiles().items():
            assert profile(name) is server and name_of(server) == name and load(name) is server
        assert name_of(replace(profile("serial"), kv_tokens=320, block_size=32)) == "serial"
        assert name_of(replace(profile("serial"), decode=1)) is None
        for name in ("llama-4", "", None, 3, []):
            with pytest.raises(UnknownNameError, match="serial-preemptive"):
                profile(name)

    def test_serial_ones_take_ten_ms_for_each_token(self):
        server = profile("serial")
        assert (server.max_num_seqs, server.preemptive, profile("serial-preemptive").preemptive) == (1, False, True)
        assert iteration_us(server, [8000], [0]) == 10_000 == iteration_us(server, [], [], 1, 8000)


class TestIteration:
    def test_by_hand(self):
        server = Profile(10**10, 10**9, 10**6, 3 * 10**9, 10**8, kv_tokens=10**5)
        # 10 + 30 + .001 * (10 * (2 * 5 + 10) + 20 * (0 + 20)) + 3 * 2 + .1 * 70 us
        assert iteration_us(server, [10, 20], [5, 0], 2, 70) == 54  # 53.6
        assert iteration_us(server, decoding=2, kv=70) == 23
        assert iteration_us(server, decoding=2, kv=70, swap=1) == 24
        bent = Profile(0, token=10**9, beyond=10**9, knee=25)
        assert [iteration_us(bent, [p], [0], 1) for p in (24, 25, 26)] == [25, 27, 29]
        assert iteration_us(Profile(0)) == 1

    @given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 10_000))
    def test_cutting_a_prompt_costs_no_attention(self, one, two, before):
        server = Profile(0, attention=10**9)
        parts = iteration_us(server, [one], [before]) + iteration_us(server, [two], [before + one])
        assert parts == iteration_us(server, [one + two], [before])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": -1}, f"base must be 0 to {MAX_ITERATION}, got -1"),
        ({"base": 1.5}, "base must be a whole number, got 1.5"),
        ({"base": True}, "base must be a whole number"),
        ({"base": float("nan")}, "base must be a whole number"),
        ({"base": 10**5000}, "base must be .* got a huge number"),
        ({"read": None}, "read must be a whole number"),
        ({"kv_tokens": 15}, "kv_tokens 15 hold no block of 16 tokens"),
        ({"kv_tokens": 2**26 + 1}, "kv_tokens must be 1 to 67108864"),
        ({"block_size": 0}, "block_size must be 1"),
        ({"max_num_seqs": 1025}, "max_num_seqs must be 1 to 1024"),
        ({"max_num_seqs": 10, "token_budget": 9}, "max_num_seqs 10 is more than the token_budget of 9"),
        ({"knee": -1}, "knee must be 0"),
        ({"preemptive": 1}, "preemptive must be true or false"),
        ({"preemptive": True}, "preemptive goes with max_num_seqs 1, got 256"),
        ({"attention": 2**60}, "an iteration could take"),
        ({"base": MAX_ITERATION, "decode": 1}, "an iteration could take"),
    ],
)
def test_nonsense_is_refused(changes, message):
    with pytest.raises(InstanceError, match="^profile: " + message):
        Profile(**({"base": 10} | changes))


def test_no_iteration_takes_longer_than_an_int32_of_microseconds():
    longest = Profile(0, attention=MAX_ITERATION // (2 * 64 * 2**26), kv_tokens=2**26, max_num_seqs=1, token_budget=64)
    assert iteration_us(longest, [64], [2**26 - 64]) < 2**31


class TestFiles:
    def test_a_file_in_microseconds(self, tmp_path):
        (tmp_path / "own.toml").write_text(TOML)
        assert read(tmp_path / "own.toml") == profile("llama-3-8b-h100") == load(tmp_path / "own.toml")
        bent = parse("\ufeff" + BENT)
        assert replace(
            bent, kv_tokens=411_529, block_size=16, max_num_seqs=256, token_budget=512, preemptive=False
        ) == (profile("llama-3-8b-h100-hinge"))
        assert (bent.kv_tokens, bent.block_size, bent.max_num_seqs, bent.token_budget, bent.preemptive) == (
            1000, 8, 1, 64, True,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("a = 5986.0", "", "a: missing; the keys are a, b, c"),
            ("b = 15.68", "", "b: missing"),
            ("kv_capacity_tokens = 411529", "", "kv_capacity_tokens: missing"),
            ("a = 5986.0", "a = -1", "a: expected microseconds from 0 to 1152921504, found -1"),
            ("a = 5986.0", "a = nan", "a: expected microseconds .* found nan"),
            ("a = 5986.0", "a = inf", "a: expected microseconds .* found inf"),
            ("a = 5986.0", "a = 1e300", "a: expected microseconds"),
            ("a = 5986.0", "a = " + "9" * 4000, "a: expected microseconds .* found a huge number"),
            ("a = 5986.0", "a = " + "9" * 5000, "not TOML"),
            ("a = 5986.0", "a = true", "a: expected microseconds"),
            ("a = 5986.0", 'a = "5986"', "a: expected microseconds .* found '5986'"),
            ("a = 5986.0", "a = [1]", "a: expected microseconds"),
            ("a = 5986.0", "a = 5986.0\na = 1", "not TOML: .*line 3"),
            ("a = 5986.0", "a =", "not TOML"),
            ("a = 5986.0", "a = " + "[" * 100_000, "not TOML"),
            ("c =", "kv = 3\nc =", "'kv': unknown key; known: a, b"),
            ("411529", "411529.0", "kv_capacity_tokens must be a whole number"),
            ("411529", "3", "kv_capacity_tokens 3 hold no block"),
            ("411529", "411529\nmax_num_seqs = 0", "max_num_seqs must be 1"),
            ("411529", "411529\npreemptive = 1", "preemptive must be true or false"),
            ("411529", "411529\nhinge = 3", "hinge: expected a table"),
            ("411529", "411529\nhinge = {b0 = 1, b1 = 2}", "hinge.knee: missing"),
            ("411529", "411529\nhinge = {b0 = 1, b1 = 2, knee = 3, k = 1}", "hinge.'k': unknown key"),
            ("411529", "411529\nhinge = {b0 = 1, b1 = -2, knee = 3}", "hinge.b1: expected microseconds"),
            ("411529", "411529\nhinge = {b0 = 1, b1 = 2, knee = 3.5}", "knee must be a whole number"),
        ],
    )
    def test_what_is_wrong_is_named(self, old, new, message):
        assert old in TOML
        with pytest.raises(InstanceError, match="^own.toml: " + message):
            parse(TOML.replace(old, new, 1), "own.toml")

    def test_files_that_cannot_be_read(self, tmp_path, monkeypatch):
        with pytest.raises(InstanceError, match="no such file"):
            load(tmp_path / "none.toml")
        with pytest.raises(UnknownNameError):
            load("none")
        monkeypatch.setattr(profiles, "MAX_FILE_BYTES", 20)
        (tmp_path / "own.toml").write_text(TOML)
        with pytest.raises(InstanceError, match="more than the limit of 20"):
            read(tmp_path / "own.toml")

    @given(st.integers(0, len(BENT)), st.characters())
    def test_a_changed_character_is_an_instance_error_or_none(self, place, character):
        try:
            parse(BENT[:place] + character + BENT[place + 1 :], "own.toml")
        except InstanceError as error:
            assert str(error).startswith("own.toml: ")
