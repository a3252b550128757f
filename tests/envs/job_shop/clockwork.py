"""A live shop played time unit by time unit, from the statement alone; random shops and conditions for it."""

import math
from bisect import bisect_right
from statistics import NormalDist

import numpy as np

from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.instance import JobShopInstance


def mix(x: int) -> int:
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def bits(seed: int, world: int, episode: int, draw: int) -> int:
    x = mix((seed + 0x9E3779B9) % 2**32)
    x = mix((x ^ world) % 2**32)
    x = mix((x + episode) % 2**32)
    return mix((x ^ draw) % 2**32) >> 1


class Clockwork:
    """A shop played time unit by time unit, with random decisions; nothing but the statement.

    Args:
        instance: the problem.
        conditions: all of them, as a dictionary.
        rng: makes the decisions.
        patience: chance that somebody who could move does not.
    """

    def __init__(self, instance, conditions, rng, patience=0.3):
        self.instance, self.conditions, self.rng, self.patience = instance, conditions, rng, patience
        self.key = conditions["seed"], conditions["world"], conditions["episode"]
        self.blocking = conditions["buffers"] != "unlimited"
        self.rows: list[list[int]] = []
        self.rotations = self.interrupted = 0
        self.step = [0] * instance.jobs  # of the next operation
        self.at = [None] * instance.jobs  # the machine a job is at
        self.left = [None] * instance.jobs  # of the operation that runs; None for one that has finished
        self.open = [None] * instance.jobs  # when the piece that runs began
        self.down = [[] for _ in range(instance.machines)]
        self.drawn = [0] * instance.machines

    def actual(self, job: int, step: int) -> int:
        estimate, sigma = int(self.instance.duration[job, step]), self.conditions["sigma"]
        if self.conditions["noise"] == "none" or estimate == 0:
            return estimate
        share = (bits(*self.key, job * self.instance.duration.shape[1] + step) // 2**19 + 0.5) / 4096
        z = NormalDist().inv_cdf(share)
        if self.conditions["noise"] == "gaussian":
            factor = max(1 + sigma * z, 0.1)
        else:
            spread = math.sqrt(math.log1p(sigma**2))
            factor = math.exp(spread * z - spread**2 / 2)
        return max((estimate * round(65536 * min(factor, 8)) + 32768) // 65536, 1)

    def is_down(self, machine: int, now: int) -> bool:
        if self.conditions["uptime"] == 0:
            return False
        stream = bits(*self.key, -1 - machine)
        unit = max(sum(map(sum, self.instance.duration.tolist())) // int(self.instance.operations.sum()), 1)

        def lasts(percent: int, draw: int) -> int:
            share = (bits(stream, 1936225652, 0, draw) // 2**19 + 0.5) / 4096
            return max(1, (unit * percent * round(65536 * -math.log1p(-share)) + 3276800) // 6553600)

        windows = self.down[machine]
        while self.drawn[machine] <= now:
            q = 2 * len(windows)
            begin = self.drawn[machine] + lasts(self.conditions["uptime"], q)
            self.drawn[machine] = begin + lasts(self.conditions["repair"], q + 1)
            windows.append((begin, self.drawn[machine]))
        at = bisect_right(windows, (now, math.inf)) - 1
        return at >= 0 and now < windows[at][1]

    def play(self) -> Schedule:
        """The whole schedule, or what there is of it when nothing can ever move again."""
        instance, now, still = self.instance, 0, 0
        while any(s < n for s, n in zip(self.step, instance.operations, strict=True)) or any(
            left is not None for left in self.left
        ):
            self.finish(now)
            for job in range(instance.jobs):
                self.interrupt(job, now)
            moved = self.decide(now)
            busy = any(left is not None for left in self.left)
            still = 0 if busy or moved or now < instance.release.max() else still + 1
            if still > 300:  # longer than any shutdown
                break
            for job, left in enumerate(self.left):
                self.left[job] = left - 1 if left is not None and self.open[job] is not None else left
            now += 1
        entries = np.array(self.rows, np.int64).reshape(-1, 5)
        return Schedule(instance, self.rng.permutation(entries), dict(self.conditions))

    def finish(self, now: int) -> None:
        for job, left in enumerate(self.left):
            if left == 0:
                self.close(job, now)
                self.left[job] = None
                self.step[job] += 1
                if not self.blocking or self.step[job] == self.instance.operations[job]:
                    self.at[job] = None

    def close(self, job: int, now: int) -> None:
        self.rows.append([job, self.step[job], self.at[job], self.open[job], now])
        self.open[job] = None

    def interrupt(self, job: int, now: int) -> None:
        if self.left[job] is None:
            return
        down = self.is_down(self.at[job], now)
        if down and self.open[job] is not None:
            self.close(job, now)
            self.interrupted += 1
            if self.conditions["interrupted"] == "restart":
                self.left[job] = self.actual(job, self.step[job])
        elif not down and self.open[job] is None:
            self.open[job] = now

    def target(self, job: int, now: int):
        """The machine a job could go to as far as it is concerned."""
        if self.left[job] is not None or self.step[job] == self.instance.operations[job]:
            return None
        machine = int(self.instance.machine[job, self.step[job]])
        return None if now < self.instance.release[job] or self.is_down(machine, now) else machine

    def decide(self, now: int) -> bool:
        moved = False
        while self.rng.random() > self.patience / 2:
            choices = [{job} for job in range(self.instance.jobs) if self.free(job, now)]
            if self.conditions["buffers"] == "swap":
                choices += self.cycles(now)
            if not choices:
                break
            jobs = choices[self.rng.integers(len(choices))]
            self.rotations += len(jobs) > 1
            targets = {job: self.target(job, now) for job in jobs}
            for job, machine in targets.items():
                self.at[job], self.open[job] = machine, now
                self.left[job] = self.actual(job, self.step[job])
            self.finish(now)
            moved = True
        return moved

    def free(self, job: int, now: int) -> bool:
        machine = self.target(job, now)
        return machine is not None and all(at != machine or k == job for k, at in enumerate(self.at))

    def cycles(self, now: int) -> list[set[int]]:
        holder = {at: job for job, at in enumerate(self.at) if at is not None}
        found = []
        for job in range(self.instance.jobs):
            seen, k = [job], holder.get(self.target(job, now))
            while k is not None and k not in seen:
                seen.append(k)
                k = holder.get(self.target(k, now))
            if k == job and len(seen) > 1 and self.at[job] is not None and job == min(seen):
                found.append(set(seen))
        return found


def random_instance(rng: np.random.Generator, dense: bool = False) -> JobShopInstance:
    """General routes: machines skipped and revisited, lengths of 0, releases; a dense one is a classic shop."""
    if dense:
        machine = np.stack([rng.permutation(3) for _ in range(4)])
        return JobShopInstance("dense", 3, rng.integers(1, 9, (4, 3)), machine)
    jobs, machines, longest = rng.integers(1, 5), rng.integers(1, 5), rng.integers(1, 5)
    routes = rng.integers(1, longest + 1, jobs)
    routes[rng.integers(jobs)] = longest
    there = np.arange(longest) < routes[:, None]
    duration = np.where(there, rng.integers(rng.integers(2), 9, (jobs, longest)), 0)
    machine = np.where(there, rng.integers(0, machines, (jobs, longest)), -1)
    release = rng.integers(0, 15, jobs).astype(np.int32) if rng.random() < 0.5 else None
    return JobShopInstance("random", int(machines), duration.astype(np.int32), machine.astype(np.int32), release)


def random_conditions(rng: np.random.Generator) -> dict:
    stops = rng.random() < 0.6
    noise = str(rng.choice(["none", "none", "gaussian", "lognormal"]))
    return {
        "buffers": str(rng.choice(["unlimited", "none", "swap"])),
        "uptime": int(rng.integers(50, 400)) * stops, "repair": int(rng.integers(10, 200)) * stops,
        "interrupted": str(rng.choice(["resume", "restart"])),
        "noise": noise, "sigma": 0.4 * (noise != "none"),
        "seed": int(rng.integers(-(2**31), 2**31)), "world": int(rng.integers(2**31)), "episode": int(rng.integers(3)),
    }  # fmt: skip
