"""Features of due dates and prices, recomputed from the instance and the schedule so far."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop import observe, observe_costs, observe_operations, observe_wait
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.envs.job_shop.objective import costs_of
from dispatchgym.envs.job_shop.options import Options

seeds = st.integers(0, 2**32 - 1)


def within(value: float, feature) -> float:
    return min(max(value, feature.low), feature.high)


class Plain:
    """What the features are made of, in plain numbers."""

    def __init__(self, shop, simulation):
        self.shop, self.costs = shop, costs_of(shop)
        self.done = np.bincount(simulation.schedule().column("work"), minlength=shop.jobs)
        self.time = int(simulation.engine.tensors["time"][0])
        self.start = simulation.columns["earliest_start"][0].tolist()
        self.mean = max(shop.total_work / int(shop.operations.sum()), 1.0)
        price = [self.late_price(job, 1.0) for job in range(shop.jobs)]
        self.price, self.stake = float(np.mean(price)), float(np.mean(self.costs.late))
        self.legal = simulation.mask[0].nonzero().flatten().tolist()

    def rest(self, job: int) -> list[int]:
        return self.shop.duration[job, self.done[job] : self.shop.operations[job]].tolist()

    def completion(self, job: int) -> int:
        return self.start[job] + sum(self.rest(job))

    def late_price(self, job: int, mean: float) -> float:
        c = self.costs
        return (c.makespan + c.lateness + float(c.flow[job]) + float(c.tardy[job])) / mean if mean else 0.0

    def job(self, job: int) -> list[float]:
        slack = int(self.shop.due[job]) - self.completion(job)
        c, late = self.costs, slack < 0
        price = (c.makespan + c.lateness + float(c.flow[job])) / self.price if self.price else 0.0
        late_price = self.late_price(job, self.price)
        stake = float(c.late[job]) / self.stake if self.stake and not late else 0.0
        row = [(int(self.shop.due[job]) - self.time) / self.mean / 16, slack / self.mean / 4, float(late)]
        row += [late_price if late else price, late_price, stake]
        return [within(x, feature) for x, feature in zip(row, observe_costs.JOB_COSTS, strict=True)]

    def urgency(self, job: int) -> float:
        slack = max(int(self.shop.due[job]) - self.completion(job), 0)
        share = 1 - slack / (4 * max(sum(self.rest(job)), 1))
        return self.late_price(job, self.price) / max(self.rest(job)[0], 1) * max(share, 0.0)

    def delay_cost(self, job: int) -> float:
        """What the other candidates on the machine cost more when they begin after this one."""
        end, total, worst = self.start[job] + self.rest(job)[0], 0, 0
        machine = [int(self.shop.machine[j, self.done[j]]) for j in self.legal]
        mine = machine[self.legal.index(job)]
        for other, its in zip(self.legal, machine, strict=True):
            if other != job and its == mine and end > self.start[other]:
                before, after = self.completion(other), self.completion(other) + end - self.start[other]
                due, c = int(self.shop.due[other]), self.costs
                total += int(c.flow[other]) * (after - before)
                total += int(c.tardy[other]) * (max(after - due, 0) - max(before - due, 0))
                total += int(c.late[other]) * ((after > due) - (before > due))
                worst = max(worst, end - self.start[other])
        return total + (self.costs.makespan + self.costs.lateness) * worst

    def modified(self, job: int) -> tuple[int, int]:
        """Modified due dates of the job and of its next operation."""
        release, due = int(self.shop.release[job]), int(self.shop.due[job])
        work = self.shop.duration[job].tolist()
        share = release + (due - release) * sum(work[: self.done[job] + 1]) // max(sum(work), 1)
        return max(due, self.completion(job)), max(share, self.start[job] + self.rest(job)[0])

    def candidate(self, job: int) -> list[float]:
        slack = int(self.shop.due[job]) - self.completion(job)
        first = [min(self.modified(other)[k] for other in self.legal) for k in range(2)]
        urgent = max(self.urgency(other) for other in self.legal)
        least = min(self.delay_cost(other) for other in self.legal)
        unit = self.price * self.mean * 4 if self.price else self.stake * 4
        row = [slack / self.mean / 4, self.late_price(job, self.price)]
        row += [self.late_price(job, self.price) * self.mean / max(self.rest(job)[0], 1) / 4]
        row += [(self.modified(job)[k] - first[k]) / self.mean / 4 for k in range(2)]
        row += [self.urgency(job) / urgent if urgent else 0.0, (self.delay_cost(job) - least) / unit if unit else 0.0]
        return [within(x, feature) for x, feature in zip(row, observe_costs.CANDIDATE_COSTS, strict=True)]


@settings(max_examples=40)
@given(st.sampled_from(["active", "non-delay", "insertion"]), st.sampled_from(["jobs", "operations"]), seeds)
def test_features_are_what_they_say(random_shop, dated, legal, construction, kind, seed):
    rng = np.random.default_rng(seed)
    shop = dated(random_shop(rng, general=seed % 2 == 0), rng)
    simulation = Simulation(Model([shop], Options(construction, False, kind)), [shop], 1)
    simulation.reset()
    jobs_kind, route = kind == "jobs", shop.duration.shape[1]
    first = len(observe.JOB if jobs_kind else observe_operations.OPERATION)
    while not simulation.terminated[0]:
        now, plain = {key: value[0].numpy() for key, value in simulation.observation.items()}, Plain(shop, simulation)
        for job in range(shop.jobs):
            if plain.done[job] == shop.operations[job]:
                nodes, expected = ([job] if jobs_kind else range(job * route, (job + 1) * route)), [0.0] * 6
            else:
                begin, end = job * route + plain.done[job], job * route + shop.operations[job]
                nodes, expected = ([job] if jobs_kind else range(begin, end)), plain.job(job)
            for node in nodes:
                assert now["work"][node, first:] == pytest.approx(expected, abs=2e-4)
        for job in plain.legal:
            found = now["candidate_attr"][job, len(observe.CANDIDATE) :]
            assert found == pytest.approx(plain.candidate(job), abs=2e-4)
        ends = simulation.engine.tensors["arrival"][0].tolist()
        done = plain.done == shop.operations
        completion = [ends[j] if done[j] else plain.completion(j) for j in range(shop.jobs)]
        late = np.mean([c > d for c, d in zip(completion, shop.due.tolist(), strict=True)])
        cost = within(int(simulation.engine.tensors["cost"][0]) / shop.scale, observe_costs.CONTEXT_COSTS[1])
        assert now["context"][len(observe.CONTEXT) :] == pytest.approx([late, cost], abs=2e-4)
        simulation.step(legal(simulation.mask, rng))


def test_the_page_describes_them():
    page = (Path(observe_costs.__file__).parent / "README.md").read_text("utf-8")
    page = page[page.index("### Where there are due dates") :]  # other programs' have tests of their own
    shown = re.findall(r"^\| `(\w+)` \| (.+) \| (\S+ \.\. \S+) \|$", page, re.MULTILINE)
    tables = (observe_costs.JOB_COSTS, observe_costs.CANDIDATE_COSTS, observe_costs.CONTEXT_COSTS, observe_wait.WAITING)
    assert shown == [(f.name, f.doc, f"{f.low:g} .. {f.high:g}") for table in tables for f in table]


@pytest.mark.parametrize("kind", ["jobs", "operations"])
def test_makespan_problems_do_not_have_them(random_shop, dated, kind):
    rng = np.random.default_rng(0)
    shop = random_shop(rng)
    plain, more = (Model([one], Options(observation=kind)).spec for one in (shop, dated(shop, rng, "makespan")))
    assert len(more.work) == len(plain.work) + 6 and more.work[: len(plain.work)] == plain.work
    assert len(more.candidate) == len(plain.candidate) + 7 and len(more.context) == len(plain.context) + 2
    assert plain.work == (observe.JOB if kind == "jobs" else observe_operations.OPERATION)
    assert plain.candidate == observe.CANDIDATE and plain.context == observe.CONTEXT
