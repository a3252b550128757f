"""What the simulator promises whatever is decided: feasible schedules, figures, rewards, leaps, and edge cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.baselines.llm import POLICIES
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import LOCALS, ORDERS, Options
from dispatchgym.envs.llm.profiles import Profile

seeds = st.integers(0, 2**32 - 1)
OBJECTIVES = ("miss_rate", "e2e_mean")
SECOND = 10**6
WORLD = ("profile", "watermark", "victim", "swap_rate", "prefix_cache")
MOST_STEPS = 5000


def begin(instances, num_envs=None, options=None, **more) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    model = Model(instances, options or Options(**more))
    simulation = Simulation(model, instances, num_envs or len(instances))
    simulation.reset()
    return simulation


def figures(simulation, place=0) -> dict[str, int]:
    return {name: int(values[place]) for name, values in simulation.outcome().items()}


def agree(simulation, place, naive) -> None:
    """A schedule is feasible, the slow play of its decisions is the same, and its figures are those of the info."""
    schedule, options = simulation.schedule(place), simulation.model.options
    assert schedule.violations() == []
    instance, world = schedule.instance, {name: getattr(options, name) for name in WORLD}
    slow = naive.run(
        instance, world, naive.Follower(schedule), control=options.control, reject=options.reject
    )  # fmt: skip
    assert slow.entries.tolist() == schedule.entries.tolist()
    assert {name: slow.conditions[name] for name in schedule.conditions} == schedule.conditions
    found, metrics = figures(simulation, place), schedule.metrics()
    assert found["missed"] == round(metrics["miss_rate"] * instance.requests)
    assert found["finished"] + found["rejected"] == instance.requests
    assert {name: found[name] for name in ("rejected", "preemptions", "iterations")} == {
        name: metrics[name] for name in ("rejected", "preemptions", "iterations")
    }
    if not found["rejected"]:
        assert found["flow_time"] == round(metrics["flow_time_total"] * SECOND)
    if simulation.model.counts_flow:
        assert found["flow_time"] / SECOND / instance.requests == pytest.approx(metrics["e2e_mean"])


def objective_of(simulation) -> np.ndarray:
    """(B,) what the return is minus of: missed requests, or us, of each environment."""
    return simulation.outcome()[simulation.model.objective].numpy().astype(np.int64)


def random_game(seed, count, random_requests, random_llm_options, **fixed):
    rng = np.random.default_rng(seed)
    objective = str(rng.choice(OBJECTIVES))
    instances = [random_requests(rng, objective) for _ in range(count)]
    return rng, instances, random_llm_options(rng, objective, **fixed)


# ---------------------------------------------------------------------- random play


@settings(max_examples=60)
@given(seeds)
def test_random_play_is_feasible_and_the_same_as_a_slow_play(
    naive, random_requests, random_llm_options, legal, seed
):  # fmt: skip
    rng, instances, options = random_game(seed, 8, random_requests, random_llm_options)
    simulation, total = begin(instances, options=options), np.zeros(8)
    for _ in range(MOST_STEPS):
        over = bool(simulation.terminated.all())
        before = objective_of(simulation)
        simulation.step(legal(simulation.mask, rng))
        total += simulation.reward.numpy()
        assert (objective_of(simulation) >= before).all()
        if over:
            break
    assert simulation.terminated.all() and not simulation.truncated.any() and not simulation.illegal.any()
    rewarded = simulation.engine.tensors["rewarded"].numpy()
    assert (rewarded == objective_of(simulation)).all()  # in whole numbers: rewards are its decreases, to the last one
    unit = SECOND if simulation.model.counts_flow else 1
    size = np.array([instance.requests for instance in instances])
    assert total == pytest.approx(-rewarded / unit / size, rel=1e-5, abs=1e-6)
    for place in range(8):
        agree(simulation, place, naive)


@settings(max_examples=40)
@given(seeds)
def test_what_is_kept_is_what_can_be_counted(recount, random_requests, random_llm_options, legal, seed):
    rng, instances, options = random_game(seed, 6, random_requests, random_llm_options)
    simulation = begin(instances, options=options)
    for _ in range(MOST_STEPS):
        for place in range(6):
            if not simulation.terminated[place]:
                recount.Seen(simulation, place).check()
        if simulation.terminated.all():
            break
        simulation.step(legal(simulation.mask, rng))
    for place in range(6):
        seen = recount.Seen(simulation, place)
        seen.check()
        assert seen.left == 0 == seen.queued and not any(seen.slots)
        assert not seen.owned.any() and not seen.pinned.any() and not seen.prefilling.any()


def different(one, other) -> list[str]:
    """Names of what two simulations show differently."""
    shown = one.mask == 1
    pairs = {"mask": (one.mask, other.mask), "reward": (one.reward, other.reward), "clock": (one.clock, other.clock)}
    pairs |= {name: (column[shown], other.columns[name][shown]) for name, column in one.columns.items()}
    pairs |= {name: (value, other.outcome()[name]) for name, value in one.outcome().items()}
    pairs |= {f"observed {name}": (value, other.observation[name]) for name, value in one.observation.items()}
    return [name for name, (mine, its) in pairs.items() if not torch.equal(mine, its)]


@settings(max_examples=60)
@given(seeds)
def test_leaps_change_nothing(random_requests, random_llm_options, legal, seed):
    rng, instances, options = random_game(seed, 32, random_requests, random_llm_options, leap=True)
    leaps, steps = (begin(instances, options=replace(options, leap=leap)) for leap in (True, False))
    for _ in range(MOST_STEPS):
        assert different(leaps, steps) == []
        if leaps.terminated.all():
            break
        actions = legal(leaps.mask, rng)
        leaps.step(actions)
        steps.step(actions)
    assert leaps.terminated.all()
    for mine, its in zip(leaps.schedules(), steps.schedules(), strict=True):
        assert mine.entries.tolist() == its.entries.tolist() and mine.conditions == its.conditions


RULES = sorted(POLICIES)


@settings(max_examples=60)
@given(seeds, st.sampled_from(RULES))
def test_rules_play_feasibly_and_leaps_change_nothing_for_them(naive, random_requests, seed, name):
    rng = np.random.default_rng(seed)
    objective, found = str(rng.choice(OBJECTIVES)), []
    instances = [random_requests(rng, objective) for _ in range(8)]
    for leap in (True, False):
        simulation = begin(instances, **POLICIES[name].options | {"leap": leap, "prediction": "exact"})
        generator, never = torch.Generator().manual_seed(0), torch.zeros(8, dtype=torch.bool)
        for _ in range(MOST_STEPS):
            if simulation.terminated.all():
                break
            simulation.step(POLICIES[name].act(simulation, generator, never))
        assert simulation.terminated.all() and not simulation.illegal.any()
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        for place in range(0, 8, 3):
            agree(simulation, place, naive)
    assert found[0] == found[1]


@settings(max_examples=25)
@given(seeds, st.sampled_from([name for name in RULES if not name.startswith("random")]))
def test_forced_moves_do_not_change_what_a_rule_does(random_requests, seed, name):
    """They only spare it decisions."""
    rng, found, decisions = np.random.default_rng(seed), [], []
    instances = [random_requests(rng, "miss_rate") for _ in range(16)]
    for forced_moves in (True, False):
        simulation = begin(instances, **POLICIES[name].options | {"forced_moves": forced_moves})
        never = torch.zeros(16, dtype=torch.bool)
        for _ in range(MOST_STEPS):
            if simulation.terminated.all():
                break
            if forced_moves:
                assert (simulation.mask.sum(dim=1)[simulation.terminated == 0] > 1).all()
            simulation.step(POLICIES[name].act(simulation, torch.Generator(), never))
        found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
        decisions.append(int(simulation.outcome()["decisions"].sum()))
    assert found[0] == found[1] and decisions[0] < decisions[1]


# ---------------------------------------------------------------------- illegal actions, the log, restarts


@settings(max_examples=30)
@given(seeds)
def test_an_illegal_action_is_worth_no_more_than_anything_legal(random_requests, random_llm_options, legal, seed):
    rng, instances, options = random_game(seed, 1, random_requests, random_llm_options, forced_moves=False)
    simulation, total = begin(instances, 12, options), np.zeros(12)
    closed = (simulation.mask[0] == 0).nonzero().flatten().tolist()
    wrong = [-1, simulation.model.actions, 2**31 - 1, int(rng.choice(closed)) if closed else -7]
    for step in range(MOST_STEPS):
        over, actions = bool(simulation.terminated.all()), legal(simulation.mask, rng)
        for place, action in enumerate(wrong):
            actions[place] = action if step == 2 * place else actions[place]
        simulation.step(actions)
        total += simulation.reward.numpy()
        if over:
            break
    assert simulation.terminated.all() and simulation.illegal[0] == 1 and not simulation.illegal[4:].any()
    worst = objective_of(simulation)
    for place in range(4):
        if simulation.illegal[place]:
            assert worst[place] >= worst[4:].max() and not simulation.mask[place].any()
            assert total[place] <= total[4:].min() + 1e-6 and figures(simulation, place)["finished"] <= 9


def plain(arrival, prompt, output, servers=1, **more) -> LLMInstance:
    """Requests on servers with room for all, whose iterations take a second unless ``profile`` says otherwise."""
    profile = more.pop("profile", Profile(10**15, kv_tokens=1000, block_size=1, max_num_seqs=8, token_budget=64))
    return LLMInstance("hand", (profile,) * servers, arrival, prompt, output, **more)


def restless(simulation) -> torch.Tensor:
    """The first request that may join, whoever runs."""
    kind = simulation.columns["kind"].masked_fill(simulation.mask == 0, 9)
    return kind.argmin(dim=1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_who_admits_without_end_is_cut_off(objective):
    """Eight servers that change their request whenever another one arrives: more stays than the log has rows for."""
    n, token = 400, Profile(10**12, kv_tokens=9000, max_num_seqs=1, token_budget=8192, preemptive=True)
    instance = plain(range(0, 1000 * n, 1000), [1] * n, [60] * n, servers=8, profile=token, objective=objective)
    simulation, total = begin(instance, order="arrival", past_future=0), 0.0
    steps = 0
    while not simulation.truncated[0]:
        simulation.step(restless(simulation))
        total += float(simulation.reward)
        steps += 1
        assert steps < 20 * n and not simulation.terminated[0]
    found = figures(simulation)
    assert not simulation.mask.any() and found["finished"] < n and int(simulation.engine.tensors["log_count"]) > 4 * n
    assert total * n == pytest.approx(-found["flow_time"] / SECOND if objective == "e2e_mean" else -found["missed"])
    assert found["missed"] == n - found["finished"] if objective == "miss_rate" else found["flow_time"] > 0
    told = {violation.rule for violation in simulation.schedule().violations()}
    assert "complete" in told and told <= {"complete", "timing", "pause", "preemption", "totals"}


def test_a_restart_begins_anew():
    instances = [plain([0, 0, 2], [3, 4, 5], [6, 5, k + 2]) for k in range(3)]
    simulation = begin(instances, 3, past_future=0, order="arrival")
    kept = {name: value.clone() for name, value in simulation.observation.items()}
    for _ in range(3):
        while not simulation.terminated.all():
            simulation.step(restless(simulation))
        assert simulation.outcome()["finished"].tolist() == [3, 3, 3]
        simulation.restart()
        assert not simulation.terminated.any() and not simulation.outcome()["iterations"].any()
    assert all(torch.equal(kept[name], value) for name, value in simulation.observation.items())


# ---------------------------------------------------------------------- by hand


def test_two_requests_by_hand():
    """At 0, iterations of 1 s, answers of 2 and 1 tokens: both have their first token at 1 s."""
    for objective in OBJECTIVES:
        simulation = begin(plain([0, 0], [4, 4], [2, 1], objective=objective), stop=False, order="arrival")
        assert simulation.mask.sum() == 2
        simulation.step(torch.tensor([0]))
        assert simulation.terminated[0]  # the other one comes by itself
        metrics = simulation.schedule().metrics()
        assert (metrics["e2e_mean"], metrics["ttft_mean"], metrics["e2e_p99"]) == (1.5, 1.0, pytest.approx(1.99))
        assert metrics["tbt_p50"] == 1.0 and metrics["makespan"] == 2.0 and metrics["iterations"] == 2
        assert figures(simulation) == {
            "missed": 0, "flow_time": 3_000_000, "finished": 2, "rejected": 0, "preemptions": 0, "iterations": 2,
            "decisions": 1,
        }  # fmt: skip
        assert float(simulation.reward) == (-1.5 if objective == "e2e_mean" else 0.0)
        assert simulation.schedule().entries.tolist() == [
            [0, 0, 0, 0, SECOND], [0, 1, 0, SECOND, 2 * SECOND], [1, 0, 0, 0, SECOND], [0, -1, 0, SECOND, 2 * SECOND],
        ]  # fmt: skip


def test_missed_promises_by_hand():
    """The second one waits behind the first, which takes a server of one request for 3 s."""
    one = Profile(10**15, kv_tokens=1000, block_size=1, max_num_seqs=1, token_budget=64)
    for ttft, e2e, missed in ((4 * SECOND, 0, 0), (4 * SECOND - 1, 0, 1), (0, 5 * SECOND, 0), (0, 5 * SECOND - 1, 1)):
        instance = plain([0, 0], [4, 4], [3, 2], profile=one, ttft_target=[0, ttft], e2e_target=[0, e2e])
        simulation = begin(instance, order="arrival", stop=False)
        simulation.step(torch.tensor([0]))
        assert simulation.terminated[0] and figures(simulation)["missed"] == missed
        assert float(simulation.reward) == -missed / 2


def test_rejecting_is_missing_and_a_session_goes_on():
    instance = plain([0, 5], [4, 9], [3, 2], parent=[-1, 0])
    simulation = begin(instance, reject=True, order="arrival")
    kinds = simulation.columns["kind"][0][simulation.mask[0] == 1].tolist()
    assert kinds == [0, 2]  # admit or turn away: with nothing else to come it cannot wait
    simulation.step(torch.tensor([1]))
    assert figures(simulation)["rejected"] == 1 == figures(simulation)["missed"] and int(simulation.clock) == 5
    simulation.step(torch.tensor([0]))
    assert simulation.terminated[0] and simulation.schedule().violations() == []
    assert simulation.schedule().entries[-1].tolist() == [0, -2, -1, 0, 0]


@pytest.mark.parametrize("control", ["admission", "routing"])
def test_instances_without_a_choice_are_over_at_once(control):
    simulation = begin(plain([3], [4], [2]), control=control, stop=False)
    assert simulation.terminated[0] and figures(simulation)["finished"] == 1 and simulation.mask[0].tolist()[0] == 1
    simulation.step(torch.tensor([0]))
    assert simulation.reward[0] == 0 and figures(simulation)["decisions"] == 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("local", LOCALS)
def test_options_of_the_other_control_change_nothing(random_requests, order, local):
    """``local`` is for routing, ``order`` and the others that offer are for admission."""
    rng = np.random.default_rng(4)
    instances = [random_requests(rng, "miss_rate") for _ in range(24)]
    for control, other in (("admission", {"local": local}), ("routing", {"order": order, "choice": 1, "defer": 0})):
        found = []
        for more in ({}, other):
            simulation = begin(instances, control=control, **more)
            for _ in range(MOST_STEPS):
                if simulation.terminated.all():
                    break
                simulation.step(simulation.mask.argmax(dim=1))
            found.append([schedule.entries.tolist() for schedule in simulation.schedules()])
            assert simulation.terminated.all()
        assert found[0] == found[1]
