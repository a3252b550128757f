"""Decisions a second of PPO, rollout and update, beside stock Stable-Baselines3 on the same environment and network.

    python benchmarks/training.py                               the table training.md, some twenty minutes
    python benchmarks/training.py --tasks shop --batches 64 --rounds 1 --out -   a first look
    python benchmarks/training.py --device cuda --batches 4096 16384 --out gpu.md

Everybody trains the same network with the same minibatches: on random shops of 10 jobs and 10 machines that of the main
job, on requests to four LLM servers the smaller one of its presets. They take turns in each round; the best of the
rounds counts, so that a busy moment spoils nobody.
"""

import argparse
import itertools
import os
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import gymnasium
import torch
from stable_baselines3 import PPO as StockPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv
from training_table import markdown

from dispatchgym.agents.policy import GraphPolicy
from dispatchgym.agents.ppo import PPO
from dispatchgym.agents.presets import preset
from dispatchgym.agents.rollout import Stage
from dispatchgym.envs.core.engine import resolve_device
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.registry import family

GROUP = 16
BATCHES = (64, 512, 4096)
MOST_SINGLE = 512  # environments that are each a simulation of their own
MANY = 1024  # environments from which a stock rollout is shorter
MEASURED = 16  # minibatches of an update that are carried out: all cost the same
WORKERS = 8  # processes of SubprocVecEnv: each loads torch and the simulator, some 300 MB


@dataclass(frozen=True)
class Task:
    """What is trained on.

    Attributes:
        title: of it.
        family, stage: the generator's preset.
        environment: Gymnasium's name of the family.
        drawn: arguments that make the environment draw the same instances.
        options: of the family.
        network: keyword arguments of GraphNetwork.
        minibatch, epochs: of an update.
        advantage: that presets train with.
        steps: of stock rollouts.
    """

    title: str
    family: str
    stage: str
    environment: str
    drawn: dict
    options: dict
    network: dict
    minibatch: int
    epochs: int
    advantage: str
    steps: int = 48

    def arguments(self) -> dict:
        """Keyword arguments of ``gymnasium.make``."""
        return self.drawn | self.options


def _task(title: str, family_name: str, of: str, stage: str, environment: str, drawn: dict) -> Task:
    """A task that is trained as a preset is, but for its instances."""
    like = preset(family_name, of)
    return Task(
        title, family_name, stage, environment, drawn, like.options, like.network, like.ppo.get("batch_size", 512),
        like.ppo["n_epochs"], like.ppo.get("advantage", "group"),
    )  # fmt: skip


TASKS = {
    # An episode of this size has some 48 decisions, as many as a stock rollout has steps.
    "shop": _task(
        "shops of 10 jobs and 10 machines, active schedules", "job_shop", "main", "10x10", "JobShop",
        {"jobs": 10, "machines": 10},
    ),
    "routing": _task(
        "300 requests to four LLM servers with cached prefixes", "llm", "route-prefix", "route-prefix-n300",
        "LLMAdmission", {"preset": "route-prefix-n300"},
    ),
}  # fmt: skip


class Face(VecEnv):
    """dispatchgym's vector environment with NumPy observations, as Stable-Baselines3 wants to see it."""

    def __init__(self, task: Task, count: int):
        self.envs = gymnasium.make_vec(
            f"dispatchgym/{task.environment}-v0", num_envs=count, numpy=True, threads=1, final_observation=False,
            **task.arguments(),
        )  # fmt: skip
        super().__init__(count, self.envs.single_observation_space, self.envs.single_action_space)
        self.render_mode = None

    def reset(self):
        return self.envs.reset(seed=0)[0]

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        observation, reward, terminated, truncated, _ = self.envs.step(torch.from_numpy(self.actions))
        return observation, reward, terminated | truncated, [{}] * self.num_envs

    def close(self):
        self.envs.close()

    def get_attr(self, attr_name, indices=None):
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name, value, indices=None):
        raise NotImplementedError

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs


def make_env(task: Task):
    """One Gymnasium environment."""
    torch.set_num_threads(1)
    return gymnasium.make(f"dispatchgym:dispatchgym/{task.environment}-v0", **task.arguments())


def single(task: Task, kind: type, batch: int) -> VecEnv:
    """Single environments side by side, as Stable-Baselines3 does it."""
    return kind([partial(make_env, task)] * batch)


def ours(task: Task, batch: int, advantage: str, threads: int, device: str = "cpu") -> PPO:
    """This package's trainer."""
    options = family(task.family).make_options(**task.options)
    stage = Stage(task.family, task.stage, batch // GROUP, GROUP, options, 0, device, threads=threads)
    model = PPO(
        [stage], network=task.network, batch_size=task.minibatch, n_epochs=1, advantage=advantage, threads=threads,
        device=device,
    )  # fmt: skip
    minibatches = model._minibatches
    model._minibatches = lambda buffer, count: itertools.islice(minibatches(buffer, count), MEASURED)
    return model


def stock(task: Task, venv: VecEnv, device: str = "cpu") -> StockPPO:
    """Stable-Baselines3's trainer with the same network: ``GraphPolicy`` reads the mask off the observation."""
    entry = family(task.family)
    instances = entry.room("generator").training_instances(task.stage, 1, 0, 0)
    spec = entry.model(instances, entry.make_options(**task.options)).spec
    model = StockPPO(
        GraphPolicy, venv, n_steps=task.steps // 4 if venv.num_envs >= MANY else task.steps,
        batch_size=task.minibatch, n_epochs=1, gamma=1.0, gae_lambda=0.98, learning_rate=1e-3, device=device,
        policy_kwargs={"spec": spec, "network": task.network},
    )  # fmt: skip
    get = model.rollout_buffer.get
    model.rollout_buffer.get = lambda size: itertools.islice(get(size), MEASURED)
    return model


@dataclass
class Case:
    """One row of the table.

    Attributes:
        task: that it is trained on.
        title: of the trainer.
        batch: environments side by side.
        make: from the batch to the trainer.
        best: smallest seconds per decision by clock: rollout, update.
        processor: the same by processor time of all its processes.
        failed: why there is no measurement; empty otherwise.
    """

    task: Task
    title: str
    batch: int
    make: object
    best: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    model: object = None

    def measure(self, iterations: int) -> None:
        """Train for a few iterations and keep the fastest figures; the first round warms up by one iteration."""
        if self.failed:
            return
        try:
            if self.model is None:
                self.model = self.make(self.batch)
                self.model.set_logger(Logger(None, []))
                if self.batch < MANY or self.model.device.type != "cpu":
                    self._learn(1)
            self._keep(*self._learn(iterations))
        except (MemoryError, OSError, RuntimeError) as error:
            self.failed = f"{type(error).__name__}: {error}"[:80]

    def _learn(self, iterations: int):
        clock = Clock(iterations, self.task.minibatch)
        try:
            self.model.learn(10**12, callback=clock, reset_num_timesteps=False)
        except Enough:
            pass
        return clock.wall, clock.cpu, clock.decisions

    def _keep(self, wall: dict, cpu: dict, decisions: dict) -> None:
        for best, spent in ((self.best, wall), (self.processor, cpu)):
            rollout, update = spent["rollout"] / decisions["rollout"], spent["update"] / decisions["update"]
            for part, seconds in (
                ("rollout", rollout),
                ("update", update),
                ("both", rollout + self.task.epochs * update),
            ):
                best[part] = min(best.get(part, float("inf")), seconds)

    def close(self) -> None:
        """Free what it holds."""
        env = self.model.get_env() if self.model is not None else None
        self.model = None
        if env is not None:
            env.close()


class Enough(Exception):
    """The iterations asked for are done."""


class Clock(BaseCallback):
    """Time of rollouts and of updates, by the clock and by the processor."""

    def __init__(self, iterations: int, minibatch: int):
        super().__init__()
        self.left, self.minibatch = iterations, minibatch
        self.wall = {"rollout": 0.0, "update": 0.0}
        self.cpu = dict(self.wall)
        self.decisions, self.mark = {"rollout": 0, "update": 0}, None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._count("update")
        if self.left == 0:
            raise Enough
        self.left -= 1

    def _on_rollout_end(self) -> None:
        self._count("rollout")
        buffer = self.model.rollout_buffer
        found = len(buffer) if isinstance(self.model, PPO) else buffer.buffer_size * buffer.n_envs
        self.decisions["rollout"] += found
        self.decisions["update"] += found * min(1.0, MEASURED / max(1, round(found / self.minibatch)))

    def _count(self, part: str) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        now = time.perf_counter(), processor_seconds(self.model.env)
        if self.mark is not None:
            self.wall[part] += now[0] - self.mark[0]
            self.cpu[part] += now[1] - self.mark[1]
        self.mark = now


def processor_seconds(env) -> float:
    """Processor time of this process and of an environment's workers so far."""
    total = time.process_time()
    for process in getattr(env, "processes", ()):
        parts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
    return total


def cases(task: Task, batches: list[int], device: str = "cpu") -> list[Case]:
    """The rows of a task, batch by batch; stock environments are on the CPU wherever the network is."""
    rows = []

    def add(title: str, batch: int, make) -> None:
        rows.append(Case(task, title, batch, make))

    for batch in batches:
        add(
            f"dispatchgym, as presets train ({task.advantage} advantage)",
            batch,
            lambda b: ours(task, b, task.advantage, 1, device),
        )
        add("dispatchgym, GAE and value loss", batch, lambda b: ours(task, b, "gae", 1, device))
        if device == "cpu":
            add("dispatchgym, GAE, 2 threads", batch, lambda b: ours(task, b, "gae", 2, device))
        add("stock PPO, vector environment", batch, lambda b: stock(task, Face(task, b), device))
        if batch <= MOST_SINGLE:
            add("stock PPO, DummyVecEnv", batch, lambda b: stock(task, single(task, DummyVecEnv, b), device))
    add("stock PPO, SubprocVecEnv", WORKERS, lambda b: stock(task, single(task, SubprocVecEnv, b), device))
    return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help=f"multiples of {GROUP}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="of the networks and of dispatchgym's simulations")
    parser.add_argument("--out", default=str(Path(__file__).with_name("training.md")), help="- for none")
    arguments = parser.parse_args()
    if any(batch < GROUP or batch % GROUP for batch in arguments.batches) or arguments.rounds < 1:
        parser.error(f"--batches must be multiples of {GROUP} and --rounds at least 1")
    try:
        device = str(resolve_device(arguments.device))
    except OptionError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    load = f"{os.getloadavg()[0]:.1f}"
    rows = [row for name in arguments.tasks for row in cases(TASKS[name], arguments.batches, device)]
    for turn in range(arguments.rounds):
        for row in rows:
            print(f"round {turn + 1}: {row.task.family}, {row.title}, batch {row.batch}", file=sys.stderr, flush=True)
            row.measure(max(1, 128 // row.batch))
            if row.batch >= max(BATCHES):
                row.close()  # made anew in the next round: several of this size at a time would need much memory
    for row in rows:
        row.close()
    text = markdown(rows, arguments.rounds, load, MEASURED, device)
    print(text)
    if arguments.out != "-":
        Path(arguments.out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
