"""LLM admission as the core sees it: sizes, the bank, what fits, predictions, and schedules read off the state."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dispatchgym.envs.core.errors import InstanceError, OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm import simulator_state
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model, predictions, prefill_us
from dispatchgym.envs.llm.options import Options
from dispatchgym.envs.llm.profiles import Profile
from dispatchgym.instances.catalogue import load_many

SECOND = 10**6
SLOW = Profile(10**15, kv_tokens=40, block_size=4, max_num_seqs=3, token_budget=8)  # a second an iteration


def hand(arrival=(0, 5), prompt=(4, 9), output=(3, 2), servers=(SLOW,), **more) -> LLMInstance:
    return LLMInstance("hand", servers, arrival, prompt, output, **more)


def test_objectives_do_not_mix():
    with pytest.raises(OptionError, match="minimise e2e_mean and miss_rate cannot be played together"):
        Model([hand(), hand(objective="e2e_mean")])
    assert (Model([hand()]).objective, Model([hand(objective="e2e_mean")]).objective) == ("missed", "flow_time")
    with pytest.raises(OptionError, match="reject goes with the objective miss_rate"):
        Model([hand(objective="e2e_mean")], Options(reject=True))


def test_what_was_sent_cannot_be_taken_back():
    assert Model([hand()]).repeatable is False and Model([hand()]).clock == "now"


@pytest.mark.parametrize(
    "options, actions, works",
    [
        ({}, 5, 5), ({"choice": 1}, 4, 4), ({"choice": 1, "reject": True}, 6, 6), ({"choice": 0}, 5, 5),
        ({"control": "routing"}, 2, 1), ({"control": "routing", "reject": True}, 3, 1),
        ({"observation": "batch"}, 5, 5 + 6), ({"control": "routing", "observation": "batch"}, 2, 1 + 6),
    ],
    ids=str,
)  # fmt: skip
def test_actions_are_requests_or_servers_to_stop_and_to_turn_away(options, actions, works):
    """Of two requests and two servers of three slots; two late ones besides."""
    model = Model([hand(servers=(SLOW, SLOW))], Options(**options))
    assert model.actions == actions == model.spec.actions == model.sizes["action"]
    assert (model.spec.works, model.spec.resources, model.spec.edges) == (works, 2, 2 * works)


def test_the_bank_by_hand():
    other = Profile(7, 1, 2, 3, 4, 5, 6, knee=9, kv_tokens=50, block_size=5, max_num_seqs=1, token_budget=16)
    instance = hand(
        (0, 5, 8, 2), (6, 9, 7, 12), (3, 2, 4, 1), (SLOW, other), parent=[-1, -1, -1, 0], group=[1, -1, 0, 1],
        shared=[5, 0, 2, 5], client=[0, 2, 1, 0], priority=[1, 0, 0, 1], ttft_target=[5, 0, 0, 0],
        tbt_target=[0, 6, 0, 0], e2e_target=[0, 0, 7, 0], predicted=[9, 9, 9, 8],
    )  # fmt: skip
    row = {name: array[0].tolist() for name, array in Model([instance], Options(watermark=20)).pack([instance]).items()}
    assert (row["requests"], row["servers"], row["roots"], row["has_sessions"]) == (4, 2, 3, 1)
    assert row["root"][:3] == [0, 1, 2] and row["session"] == [0, 1, 2, 0] and row["follow_up"] == [3, -1, -1, -1]
    assert row["parent"] == [-1, -1, -1, 0] and row["start_time"] == [0, 5, 8, 2] and row["group_of"] == [1, -1, 0, 1]
    assert row["prompt_tokens"] == [6, 9, 7, 12] and row["output_tokens"] == [3, 2, 4, 1]
    assert row["predicted_tokens"] == [9, 9, 9, 8] and row["shared_tokens"] == [5, 0, 2, 5]
    assert row["client_of"] == [0, 2, 1, 0] and row["level_of"] == [1, 0, 0, 1]
    assert [row[f"{name}_target"] for name in ("ttft", "tbt", "e2e")] == [[5, 0, 0, 0], [0, 6, 0, 0], [0, 0, 7, 0]]
    assert row["base"] == [10**15, 7] and row["knee"] == [0, 9] and row["kv_tokens"] == [40, 50]
    coefficients = ("per_prefill", "per_attention", "per_decode", "per_read", "per_token", "per_beyond")
    assert [row[name][1] for name in coefficients] == [1, 2, 3, 4, 5, 6]
    assert row["blocks"] == [10, 10] and row["block_size"] == [4, 5] and row["reserve"] == [2, 2]
    assert row["most_running"] == [3, 1] and row["budget"] == [8, 16] and row["preemptive"] == [0, 0]
    assert row["speed"] == [125 * SECOND, prefill_us(other, 1000)]


def test_a_prefill_is_computed_in_chunks():
    """Of a linear server, with and without attention: iterations, tokens, and pairs of tokens."""
    server = Profile(10**9, prefill=2 * 10**9, kv_tokens=99, block_size=1, max_num_seqs=1, token_budget=8)
    assert prefill_us(server, 16) == 2 + 32 and prefill_us(server, 17) == 3 + 34
    assert prefill_us(replace(server, attention=10**9), 16) == 2 + 32 + 64 + 8 * (2 * 8 + 8)


def test_padding_of_the_bank():
    small, large = hand(), hand((0, 5, 6), (4, 9, 3), (3, 2, 1), (SLOW, SLOW), client=[0, 0, 1])
    alone, padded = (Model(instances).pack([small]) for instances in ([small], [small, large]))
    for name, array in alone.items():
        part = padded[name][tuple(slice(0, length) for length in array.shape)]
        assert (part == array).all() and padded[name].dtype == array.dtype
    assert padded["base"].tolist() == [[10**15, 0]]


@pytest.mark.parametrize(
    "other",
    [
        hand((0, 5, 6), (4, 9, 3), (3, 2, 1)), hand(servers=(SLOW, SLOW)), hand(objective="e2e_mean"),
        hand(parent=[-1, 0]), hand(group=[0, -1]), hand(client=[0, 1]),
        hand(servers=(replace(SLOW, max_num_seqs=4),)), hand(servers=(replace(SLOW, block_size=5),)),
    ],
    ids=["requests", "servers", "objective", "sessions", "groups", "clients", "slots", "block size"],
)  # fmt: skip
def test_instances_that_do_not_fit_are_refused(other):
    model = Model([hand()])
    fits = model.fits(other)
    assert model.fits(hand()) and model.fits(hand((0,), (4,), (3,)))
    if other.group.max() == 0:
        assert fits  # a group has a place where there are none
        return
    assert not fits
    with pytest.raises(OptionError, match="instance hand does not fit an environment of 2 requests"):
        model.pack([other])


def test_a_profile_takes_the_place_of_every_server():
    instance = hand(servers=(SLOW, replace(SLOW, max_num_seqs=1)))
    model = Model([instance], Options(profile="serial"))
    assert model.pack([instance])["most_running"].tolist() == [[1, 1]] and model.slots == 1
    assert model.servers_of(instance)[0] == model.servers_of(instance)[1] != SLOW
    with pytest.raises(OptionError, match="no server profile is called 'abacus'; known: llama"):
        Model([instance], Options(profile="abacus"))


def test_a_profile_of_a_file_must_hold_every_request(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text("a = 5\nb = 1\nc = 0\nd = 1\ne = 0\nkv_capacity_tokens = 10\nblock_size = 2\nmax_num_seqs = 2\n")
    assert Model([hand((0,), (4,), (6,))], Options(profile=str(path))).slots == 2
    with pytest.raises(OptionError, match="holds 10 tokens, and request 1 of hand needs 12"):
        Model([hand()], Options(profile=str(path)))
    path.write_text("a = 5")
    with pytest.raises((InstanceError, OptionError), match="small.toml"):
        Model([hand()], Options(profile=str(path)))


def test_instances_of_a_key_share_a_simulation_with_little_padding():
    key = Model.size_key
    keys = [key(one) for one in load_many(["overload-n40:0", "overload-n40:1", "steady-n900:0", "serial-n40:0"], "llm")]
    assert keys[0] == keys[1] and len(set(keys)) == 3
    Model(load_many(["overload-n40:0-3"], "llm"))


def test_predictions():
    instance = hand((0, 1, 2, 3), (4,) * 4, (3, 9, 2, 6), predicted=(1, 2, 3, 4), priority=[0, 0, 1, 1])

    def told(prediction, **more):
        return predictions(instance, Options(prediction=prediction, **more)).tolist()

    assert told("given") == [1, 2, 3, 4] and told("exact") == [3, 9, 2, 6] == told("noisy", sigma=0)
    assert told("class") == [6, 6, 4, 4] and told("none") == [5] * 4
    assert told("noisy", sigma=1.0) == told("noisy", sigma=1.0) and min(told("noisy", sigma=4)) >= 1
    other = replace(instance, arrival=[0, 1, 2, 4])
    assert told("noisy", sigma=1.0) != predictions(other, Options(prediction="noisy", sigma=1.0)).tolist()


def test_noise_is_lognormal():
    n = 20_000
    instance = LLMInstance("many", (SLOW,), [0] * n, [1] * n, [20] * n)
    big = replace(instance, output=[30] * n)
    noise = np.log(predictions(big, Options(prediction="noisy", sigma=0.3)) / 30)
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 0.3) < 0.01


def test_schedules_are_read_off_the_state():
    instance = hand((0, 0), (4, 4), (3, 1))
    simulation = Simulation(Model([instance], Options(order="arrival", past_future=0)), [instance], 1)
    simulation.reset()
    assert simulation.schedule().entries.shape == (0, 5)
    simulation.step(torch.tensor([0]))
    assert simulation.schedule().entries.tolist() == [[0, 0, 0, 0, 0]]  # it has been admitted and no more
    simulation.step(torch.tensor([0]))
    schedule = simulation.schedule()
    assert simulation.terminated[0] and schedule.violations() == [] and schedule.instance is instance
    assert schedule.entries.tolist() == [
        [0, 0, 0, 0, SECOND], [0, 1, 0, SECOND, 3 * SECOND], [1, 0, 0, 0, SECOND], [0, -1, 0, SECOND, 2 * SECOND],
    ]  # fmt: skip
    assert schedule.conditions == {
        "profile": "", "watermark": 1, "victim": "last", "swap_rate": 0, "prefix_cache": True, "iterations": [3],
        "busy": [3 * SECOND], "block_time": [(1 + 1 + 2 + 2) * SECOND], "preemptions": [0],
    }  # fmt: skip
    assert list(simulation.outcome()) == [
        "missed", "flow_time", "finished", "rejected", "preemptions", "iterations", "decisions",
    ]  # fmt: skip
    assert torch.equal(simulation.clock, simulation.engine.tensors["now"])


def test_every_field_is_said_and_used_once():
    names = [field.name for field in simulator_state.FIELDS]
    assert len(set(names)) == len(names) and set(Model.columns) <= set(names)
