"""Which candidates a decision has, in which order, and what Moore and Hodgson's schedule keeps."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.model import Model
from dispatchgym.envs.llm.options import ORDERS, Options
from dispatchgym.envs.llm.profiles import Profile

seeds = st.integers(0, 2**32 - 1)
ADMIT, STOP, REJECT, CONTINUE = range(4)
US = 10**9  # fs


def begin(instances, **options) -> Simulation:
    instances = instances if isinstance(instances, list) else [instances]
    simulation = Simulation(Model(instances, Options(**options)), instances, len(instances), observe=False)
    simulation.reset()
    return simulation


def rows(simulation, *names, place=0) -> list[tuple]:
    legal = simulation.mask[place].nonzero().flatten().tolist()
    return [tuple(int(simulation.columns[name][place, a]) for name in names) for a in legal]


class Offer:
    """What a server at a boundary is to be offered, from the state alone."""

    def __init__(self, seen, right):
        self.s, self.right, self.options, self.r = seen, right, seen.options, int(seen.cursor)
        s, r = seen, self.r
        self.serial = bool(s.preemptive[r]) and len(s.slots[r]) == 1
        self.fitting = [] if s.closed[r] else [q for q in s.by_due.tolist() if right.joins(q, r) and self.fits(q)]
        self.passing = [q for q in self.fitting if self.passes(q)]
        self.roomy = not s.slots[r] or right.free(r) >= 10 * self.options.defer

    def fits(self, q) -> bool:
        s, r = self.s, self.r
        size, kept = int(s.block_size[r]), int(s.kept[q])
        tokens = max(int(s.prompt_tokens[q]), kept + 1) if kept else self.right.whole(q)
        entry = 0 if kept else s.entry_of(q, r)
        used = {int(s.group_of[slot.q]) for slot in s.slots[r] if slot.uses} | (
            {int(s.group_of[q])} if entry else set()
        )
        pinned = sum(int(s.group_blocks[r, g]) for g in used)
        held = sum(s.owned_by(slot) for slot in s.slots[r]) + pinned + -(-tokens // size) - entry
        return held + (int(s.reserve[r]) if s.slots[r] else 0) <= int(s.blocks[r])

    def passes(self, q) -> bool:
        s, r, limit = self.s, self.r, self.options.past_future
        return not limit or not s.slots[r] or 100 * self.right.peak(r, q) <= limit * int(s.kv_tokens[r])

    def requests(self) -> list[int]:
        """Those that may be admitted, in order."""
        return getattr(self, self.options.order.replace("-", "_"))()

    @property
    def most(self) -> int:
        return self.s.simulation.model.choice

    def arrival(self) -> list[int]:
        return sorted(self.passing, key=self.s.place_of)[: self.most]

    def moore_hodgson(self) -> list[int]:
        kept = self.right.kept_by_moore_hodgson(self.r)
        first = [q for q in self.passing if q in kept]
        return (first + [q for q in self.passing if q not in kept and self.roomy])[: self.most]

    def deadline(self) -> list[int]:
        """The late ones are those that were met before as many as may be shown were found."""
        found, late = [], []
        for q in self.passing:
            if len(found) == self.most:
                break
            (late if self.right.late(q, self.right.slack(q, self.r)) else found).append(q)
        if late and self.roomy:
            smallest = min(late, key=lambda q: self.right.service(q, self.r))
            oldest = min(late, key=lambda q: int(self.s.arrived[q]))
            found += [smallest] + [oldest] * (oldest != smallest)
        return found


@settings(max_examples=60)
@given(seeds, st.sampled_from(ORDERS))
def test_offers_are_what_the_options_say(recount, expected, random_requests, random_llm_options, legal, seed, order):
    rng = np.random.default_rng(seed)
    objective = str(rng.choice(["miss_rate", "e2e_mean"]))
    instances = [random_requests(rng, objective) for _ in range(4)]
    options = random_llm_options(
        rng, objective, control="admission", order=order, forced_moves=False, observation="queue"
    )
    simulation = Simulation(Model(instances, options), instances, 4)
    simulation.reset()
    for _ in range(30):
        for place in np.flatnonzero(simulation.terminated == 0).tolist():
            seen = recount.Seen(simulation, place)
            check_offer(simulation, seen, Offer(seen, expected.Expected(seen)), place)
        simulation.step(legal(simulation.mask, rng))


def check_offer(simulation, seen, offer, place) -> None:
    found = rows(simulation, "kind", "request_at", "server", place=place)
    wanted, r = offer.requests(), offer.r
    assert [q for kind, q, _ in found if kind == ADMIT] == wanted
    assert all(server == r for kind, _, server in found if kind != REJECT)
    rejects = [q for kind, q, _ in found if kind == REJECT]
    if seen.options.reject:
        largest = max(seen.queue.tolist(), key=lambda q: offer.right.service(q, r))
        assert rejects == list(dict.fromkeys([int(seen.by_due[0]), largest]))
    else:
        assert rejects == []
    stops = [(kind, q) for kind, q, _ in found if kind in (STOP, CONTINUE)]
    if offer.serial:
        assert stops == [(CONTINUE, seen.slots[r][0].q)]
    else:
        last_call = not seen.slots[r] and nothing_comes(seen)
        may = (seen.options.stop or not wanted) and not last_call
        assert stops == ([(STOP, -1)] if may else [])


def nothing_comes(seen) -> bool:
    arriving = seen.next_root < seen.roots or seen.pending_count > 0
    return not arriving and (seen.busy_until[: seen.count] == 2**60).all()


# ---------------------------------------------------------------------- by hand


def at_once(prompts, targets, **more) -> LLMInstance:
    """Requests at 0 of which a server prefills a token a us, all at once if need be; decoding takes no time."""
    n = len(prompts)
    server = Profile(0, prefill=US, kv_tokens=10_000, block_size=1, max_num_seqs=64, token_budget=5000)
    return LLMInstance("once", (server,), [0] * n, prompts, [1] * n, ttft_target=targets, **more)


@settings(max_examples=60)
@given(seeds)
def test_as_many_are_kept_as_any_schedule_could(seed):
    """Moore (1968): against every subset, served by when they are due."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    prompts, targets = rng.integers(1, 20, n), rng.integers(1, 60, n)
    simulation = begin(at_once(prompts, targets), order="moore-hodgson", past_future=0, defer=0, choice=0, stop=False)
    found = rows(simulation, "kind", "request_at", "late")
    assert [kind for kind, *_ in found] == [ADMIT] * n
    kept = [q for _, q, late in found if not late]
    best = 0
    for size in range(1, n + 1):
        for subset in itertools.combinations(sorted(range(n), key=lambda q: targets[q]), size):
            if (np.cumsum(prompts[list(subset)]) <= targets[list(subset)]).all():
                best = size
    assert len(kept) == best
    assert kept == sorted(kept, key=lambda q: (targets[q], q)) and (np.cumsum(prompts[kept]) <= targets[kept]).all()


def test_deadlines_and_late_ones_by_hand():
    """Due at 5, 9, 30 and 2 us, of 9, 8, 7 and 3 tokens: the first and the last one are late, the latter smaller."""
    instance = at_once([9, 8, 7, 3], [5, 9, 30, 2])
    found = rows(begin(instance, choice=0), "kind", "request_at", "late")
    assert found == [(ADMIT, 1, 0), (ADMIT, 2, 0), (ADMIT, 3, 1)]  # it is the oldest, too: ties by due
    assert rows(begin(instance, choice=1), "request_at") == [(1,), (3,)]
    assert rows(begin(instance, choice=2, order="arrival"), "request_at", "head") == [(0, 1), (1, 0)]
    assert [q for (q,) in rows(begin(instance, order="moore-hodgson"), "request_at")] == [1, 2, 3, 0]


def test_turning_away_by_hand():
    instance = at_once([9, 8, 7, 3], [5, 9, 30, 2])
    found = rows(begin(instance, reject=True, choice=1, order="arrival"), "kind", "request_at")
    assert found == [(ADMIT, 0), (REJECT, 3), (REJECT, 0)]  # the first one due, and the largest


def test_late_ones_wait_for_free_memory():
    """Of 20 tokens 12 are taken, so 40 % are free; the second one is late, and smaller than what is free."""
    server = Profile(US, kv_tokens=20, block_size=1, max_num_seqs=4, token_budget=64)
    instance = LLMInstance("late", (server,), [0, 0], [11, 4], [3, 3], ttft_target=[90, 0], e2e_target=[0, 1])
    for defer, offered in ((45, True), (46, False)):
        simulation = begin(instance, defer=defer, past_future=0, watermark=0, forced_moves=False)
        assert rows(simulation, "request_at", "late") == [(0, 0), (1, 1)]
        simulation.step(torch.tensor([0]))
        found = rows(simulation, "request_at", "late")
        assert (found == [(1, 1), (-1, 0)] and int(simulation.clock) == 0) == offered


def test_past_future_holds_back_who_would_not_fit_later():
    """Together they hold 10 + 10 + 2 * 9 = 38 of 40 tokens when the shorter one ends, 95 %."""
    server = Profile(US, kv_tokens=40, block_size=1, max_num_seqs=4, token_budget=64)
    instance = LLMInstance("peak", (server,), [0, 0], [10, 10], [12, 9])
    for limit, offered in ((94, False), (95, True), (0, True)):
        simulation = begin(instance, past_future=limit, order="arrival", forced_moves=False)
        simulation.step(torch.tensor([0]))
        found = rows(simulation, "request_at", "peak")
        assert (int(simulation.clock) == 0 and found == [(1, 950), (-1, 0)]) == offered


# ---------------------------------------------------------------------- routing


def fleet(n=24, servers=3, **more) -> LLMInstance:
    server = Profile(US, prefill=US, kv_tokens=500, block_size=1, max_num_seqs=8, token_budget=64)
    return LLMInstance("fleet", (server,) * servers, range(0, 5 * n, 5), [6] * n, [4] * n, **more)


def play(simulation, action=0) -> list[list[tuple]]:
    """Columns of every arrival; everybody goes to the same candidate."""
    seen = []
    while not simulation.terminated[0]:
        seen.append(rows(simulation, "server", "turn", "hash_rank", "draw"))
        simulation.step(torch.tensor([action]))
    return seen


def test_servers_have_their_turns_and_ranks():
    seen = play(begin(fleet(), control="routing"))
    for number, found in enumerate(seen):
        servers, turns, ranks, draws = zip(*found, strict=True)
        assert servers == (0, 1, 2) and turns.index(0) == number % 3
        assert sorted(turns) == sorted(ranks) == sorted(draws) == [0, 1, 2]
    assert len(seen) == 24 and len({tuple(row[3] for row in found) for found in seen}) > 3


def test_hashes_are_of_prefixes_and_draws_of_requests():
    groups = [0, 1, 2, 3] * 6
    simulation = begin(fleet(group=groups, shared=[4] * 24), control="routing")
    seen = play(simulation)
    ranks = [tuple(row[2] for row in found) for found in seen]
    assert all(ranks[k] == ranks[groups[k]] for k in range(24)) and len(set(ranks)) > 1
    again = play(begin(fleet(group=groups, shared=[4] * 24), control="routing"))
    assert again == seen  # of one seed and world
    simulation.reseed(99)
    simulation.reset()
    other = play(simulation)
    assert [[row[:3] for row in found] for found in other] == [[row[:3] for row in found] for found in seen]
    assert other != seen


def test_sessions_know_where_they_were():
    server = Profile(US, kv_tokens=500, block_size=1, max_num_seqs=8, token_budget=64)
    instance = LLMInstance("talk", (server,) * 2, [0, 3, 3], [5, 9, 13], [2, 2, 2], parent=[-1, 0, 1])
    simulation = begin(instance, control="routing")
    places = []
    while not simulation.terminated[0]:
        places.append([found[0] for found in rows(simulation, "last_here")])
        simulation.step(torch.tensor([1]))
    assert places == [[0, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("reject", [False, True])
def test_who_arrives_is_offered_every_server(reject):
    found = rows(begin(fleet(), control="routing", reject=reject), "kind", "request_at", "server")
    assert found[:3] == [(ADMIT, 0, r) for r in range(3)] and [row[:2] for row in found[3:]] == [(REJECT, 0)] * reject
