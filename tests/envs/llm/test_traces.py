"""Traces are read as they are published, and what is wrong with one is named by file and line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError, UnknownNameError
from dispatchgym.envs.llm import traces
from dispatchgym.envs.llm.instance import LLMInstance, format, parse, read
from dispatchgym.envs.llm.traces import parse_fields

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "llm"

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 23:59:59.9799600,4808,10
2023-11-17 00:00:00,110,27
2023-11-17 00:00:01.5,3180,8
"""
BURST = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,GPT-4,1087,0,1087,"API log"
45.25,ChatGPT,0,0,0,Conversation log
118.5,GPT-4,417,276,693,Conversation log
"""
VIDUR = """arrived_at,num_prefill_tokens,num_decode_tokens,pd_ratio
0.25,120,30,4.0
1.5e-1,50.0,7,7.1

0.25,9,1,9.0
"""
MOONCAKE = """{"timestamp": 0, "input_length": 1600, "output_length": 500, "hash_ids": [0, 1, 2, 3]}
{"timestamp": 27.5, "input_length": 2000, "output_length": 1, "hash_ids": [0, 1, 5, 6]}
{"timestamp": 27, "input_length": 700, "output_length": 0, "hash_ids": [0, 9]}
{"timestamp": 3052, "input_length": 600, "output_length": 40, "hash_ids": [7, 8]}
"""


def made(text, where="trace.csv"):
    return LLMInstance(**parse_fields(text, where))


def test_azure():
    instance = made("\ufeff" + AZURE, "folder/conv.csv")
    assert (instance.name, instance.server_names, instance.size) == ("conv", ("llama-3-8b-h100",), "3x1")
    assert instance.arrival.tolist() == [0, 20_040, 1_520_040]
    assert instance.prompt.tolist() == [4808, 110, 3180] and instance.output.tolist() == [10, 27, 8]
    assert instance.ttft_target.tolist() == [500_000 + 2000 * p for p in (4808, 110, 3180)]
    assert instance.tbt_target.tolist() == [100_000] * 3 and not instance.e2e_target.any()
    assert (instance.predicted == instance.output).all() and instance.objective == "miss_rate"
    assert parse(format(instance)).digest == instance.digest


def test_zones_are_taken_off():
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-12T02:00:00.000001+02:00,1,1\n2024-05-11 23:30:01-0030,1,1\n"
    )
    assert made(text).arrival.tolist() == [0, 999_999]


def test_burstgpt_leaves_failures_out():
    instance = made(BURST, "BurstGPT_1.csv")
    assert instance.name == "BurstGPT_1 less 2 failures"
    assert instance.arrival.tolist() == [0, 113_500_000]
    assert instance.prompt.tolist() == [472, 417] and instance.output.tolist() == [18, 276]
    assert made(BURST.replace("1087,0", "1087,3"), "x.csv").name == "x less 1 failure"


def test_vidur_in_any_order():
    instance = made(VIDUR)
    assert instance.arrival.tolist() == [0, 100_000, 100_000]  # those at the same time stay as they stand
    assert instance.prompt.tolist() == [50, 120, 9] and instance.output.tolist() == [7, 30, 1]


class TestMooncake:
    def test_what_a_first_block_has_in_common_is_a_group(self):
        instance = made(MOONCAKE, "mooncake.jsonl")
        assert instance.name == "mooncake less 1 failure"
        assert instance.arrival.tolist() == [0, 27_500, 3_052_000]
        assert instance.prompt.tolist() == [1600, 2000, 600] and instance.output.tolist() == [500, 1, 40]
        assert instance.group.tolist() == [0, 0, -1] and instance.shared.tolist() == [1024, 1024, 0]
        assert not instance.sessions

    @pytest.mark.parametrize(
        ("prompt", "shared"), [(1025, 1024), (1024, 512), (1023, 512), (513, 512), (512, 0), (5, 0)]
    )
    def test_the_last_token_of_a_prompt_is_never_shared(self, prompt, shared):
        line = '{"timestamp": 0, "input_length": %d, "output_length": 1, "hash_ids": [3, 4, 5]}\n'
        instance = made(line % prompt + line % 5000)
        assert instance.shared.tolist() == [shared] * 2
        assert instance.group.tolist() == ([0, 0] if shared else [-1, -1])

    def test_hashes_may_be_missing(self):
        instance = made('{"timestamp": 3, "input_length": 9, "output_length": 1}')
        assert instance.group.tolist() == [-1] and instance.arrival.tolist() == [0]

    @given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=6))
    def test_shared_tokens_are_shared(self, chains):
        lines = [
            f'{{"timestamp": 0, "input_length": {512 * len(chain)}, "output_length": 1, "hash_ids": {chain}}}'
            for chain in chains
        ]
        instance = made("\n".join(lines))
        whole = [chain[:-1] for chain in chains]  # the last block is not told apart from one that is not full
        for one, two in np.argwhere((instance.group[:, None] == instance.group) & (instance.group >= 0)).tolist():
            blocks = instance.shared[one] // 512
            assert blocks >= 1 and whole[one][:blocks] == whole[two][:blocks] and len(whole[one]) >= blocks
        for group in set(instance.group.tolist()) - {-1}:
            members = [whole[k] for k in np.flatnonzero(instance.group == group)]
            blocks = instance.shared[instance.group == group][0] // 512
            assert len(members) > 1
            # one block more is not in common
            assert min(map(len, members)) == blocks or len({chain[blocks] for chain in members}) > 1


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (
            AZURE,
            "TIMESTAMP",
            "Time",
            "1: expected a first line with the columns TIMESTAMP, .*; arrived_at, .* 'Time,Context",
        ),
        (AZURE, "GeneratedTokens", "ContextTokens", "1: expected a first line"),
        (AZURE, "TIMESTAMP,", "TIMESTAMP,TIMESTAMP,", "1: the column TIMESTAMP stands twice"),
        (AZURE, AZURE, "", "1: expected a first line with the columns"),
        (AZURE, "\n2023-11-17 00:00:00,110,27", "\n2023-11-17 00:00:00,110", "3: expected 3 cells, found 2"),
        (AZURE, "4808,10", "4808,10,3", "2: expected 3 cells, found 4"),
        (AZURE, "2023-11-17 00:00:00,", "yesterday,", "3: TIMESTAMP: expected a date and time, found 'yesterday'"),
        (AZURE, "2023-11-17 00:00:00,", "2023-02-30 00:00:00,", "3: TIMESTAMP: expected a date and time"),
        (AZURE, "2023-11-17 00:00:00,", "5.5,", "3: TIMESTAMP: expected a date and time"),
        (AZURE, "2023-11-17 00:00:00,", "2023-11-17 00:00:00." + "9" * 10_000 + ",", "3: TIMESTAMP: expected a date"),
        (
            AZURE,
            "2023-11-17 00:00:00,",
            "1923-11-17 00:00:00,",
            ": the last request arrives .* us after the first, limit",
        ),
        (AZURE, "110,", "-110,", "3: ContextTokens: expected a whole number from 0 to 1048576, found '-110'"),
        (AZURE, "110,", "nan,", "3: ContextTokens: .* found 'nan'"),
        (AZURE, "110,", "1e3,", "3: ContextTokens: .* found '1e3'"),
        (AZURE, "110,", "1_0,", "3: ContextTokens: .* found '1_0'"),
        (AZURE, "110,", "１１０,", "3: ContextTokens: .* found"),
        (AZURE, "110,", ",", "3: ContextTokens: .* found ''"),
        (AZURE, "110,", "9" * 5000 + ",", "3: ContextTokens: .* found '999"),
        (AZURE, "110,", "1048577,", "3: ContextTokens: .* found '1048577'"),
        (AZURE, "110,", "0,", "3: expected a prompt of at least one token for an answer of 27"),
        (
            AZURE,
            "110,",
            "420000,",
            "3: 420027 tokens of prompt and answer do not fit llama-3-8b-h100; profiles that would hold them: "
            "llama-3-70b-h100-tp4, .*serial-preemptive",
        ),
        (BURST, "118.5", "nan", "5: Timestamp: expected seconds, found 'nan'"),
        (BURST, "118.5", "inf", "5: Timestamp: expected seconds, found 'inf'"),
        (BURST, "118.5", "-1", "5: Timestamp: expected seconds, found '-1'"),
        (BURST, "118.5", "9" * 15, "5: Timestamp: expected a time of at most"),
        (BURST, '"API log"', '"API log', "5: not CSV: unexpected end of data"),
        (VIDUR, "120,30,4.0", "120,30.5,4.0", "2: num_decode_tokens: expected a whole number .* found '30.5'"),
        (VIDUR, "0.25,9", "0x1,9", "5: arrived_at: expected seconds, found '0x1'"),
        (MOONCAKE, '"timestamp": 3052', '"time": 3052', "4: timestamp: missing"),
        (MOONCAKE, '"timestamp": 3052', '"timestamp": -1', "4: timestamp: expected ms from 0 to"),
        (MOONCAKE, '"timestamp": 3052', '"timestamp": NaN', "4: timestamp: expected ms from 0 to"),
        (MOONCAKE, '"timestamp": 3052', '"timestamp": 1e15', "4: timestamp: expected a time of at most"),
        (MOONCAKE, '"timestamp": 3052', '"timestamp": true', "4: timestamp: expected ms"),
        (MOONCAKE, '"timestamp": 3052', '"timestamp": 1, "timestamp": 2', '4: the key "timestamp" stands twice'),
        (MOONCAKE, '"input_length": 600', '"input_length": 600.0', "4: input_length: expected a whole number"),
        (MOONCAKE, '"input_length": 600', '"input_length": 0', "4: expected a prompt of at least one token"),
        (MOONCAKE, "[7, 8]", "[7, -8]", r"4: hash_ids\[1\]: expected a whole number"),
        (MOONCAKE, "[7, 8]", '"7 8"', "4: hash_ids: expected a list"),
        (MOONCAKE, "[7, 8]}", "[7, 8]", "4: not JSON"),
        (MOONCAKE, "[7, 8]}", "[7, 8]} 3", "4: not JSON"),
        (
            MOONCAKE,
            '{"timestamp": 3052',
            "[" * 100_000 + '{"timestamp": 3052',
            "4: not an instance: lists are nested too",
        ),
    ],
)
def test_what_is_wrong_is_named(text, old, new, message):
    assert old in text
    with pytest.raises(InstanceError, match="^trace.csv:" + message.removeprefix(":")):
        made(text.replace(old, new, 1))


def test_other_servers():
    assert parse_fields(AZURE, server="serial")["server_names"] == ("serial",)
    with pytest.raises(UnknownNameError, match="server profile 'gpu'"):
        parse_fields(AZURE, server="gpu")
    text = AZURE.replace("4808", "1000000")
    with pytest.raises(InstanceError, match="profiles that would hold them: llama-3-70b-h100-tp8, "):
        parse_fields(text)
    assert LLMInstance(**parse_fields(text, server="llama-3-70b-h100-tp8")).prompt.max() == 10**6


def test_sizes_are_capped(monkeypatch, tmp_path):
    monkeypatch.setattr(traces, "MAX_GROUPS", 0)
    with pytest.raises(InstanceError, match="1 first blocks are shared, limit 0"):
        made(MOONCAKE)
    monkeypatch.setattr(traces, "MAX_REQUESTS", 2)
    with pytest.raises(InstanceError, match="trace.csv:4: more than 2 requests; take a part of the trace"):
        made(AZURE)
    monkeypatch.setattr(traces, "MAX_FILE_BYTES", 20)
    (tmp_path / "conv.csv").write_text(AZURE)
    with pytest.raises(InstanceError, match="conv.csv: .* more than the limit of 20"):
        read(tmp_path / "conv.csv")


def test_failures_alone_are_no_instance():
    for rows, message in (("", "of 0"), ("5,1,0\n6,0,0\n", "of 2")):
        with pytest.raises(InstanceError, match="^trace.csv: no request that was answered, " + message):
            made("arrived_at,num_prefill_tokens,num_decode_tokens\n" + rows)


@given(st.sampled_from([AZURE, BURST, VIDUR, MOONCAKE]), st.integers(0, 300), st.characters())
def test_a_changed_character_is_an_instance_error_or_none(text, place, character):
    try:
        made(text[:place] + character + text[place + 1 :], "trace.csv")
    except InstanceError as error:
        assert str(error).startswith("trace.csv:")


@given(st.sampled_from([AZURE, BURST, VIDUR, MOONCAKE]), st.integers(0, 400))
def test_a_cut_text_is_an_instance_error_or_fewer_requests(text, place):
    try:
        assert made(text[:place]).requests <= made(text).requests
    except InstanceError as error:
        assert str(error).startswith("trace.csv:")


@pytest.mark.skipif(not SHARED.exists(), reason="the real traces are not here")
@pytest.mark.parametrize(
    ("kind", "requests", "seconds", "prompt", "output"),
    [("conv", 19_366, 3502, 1154.7, 211.1), ("code", 8819, 3436, 2047.8, 27.9)],
)
def test_the_real_ones(kind, requests, seconds, prompt, output):
    instance = read(SHARED / f"AzureLLMInferenceTrace_{kind}.csv")
    assert instance.requests == requests and round(instance.arrival[-1] / 1e6) == seconds
    assert round(instance.prompt.mean(), 1) == prompt and round(instance.output.mean(), 1) == output
