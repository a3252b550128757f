"""Setup times that depend on the sequence: what a machine needs between a job of one family and a job of another.

Between the end of an operation and the start of the next one on its machine lies at least the setup time from the
family of the first job to that of the second; the first operation of a machine starts no earlier than the setup time
from its initial state. A setup needs the machine and not the job, so it may be over before the job arrives.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import InstanceError
from .calendars import fit, of_machine, work_until

if TYPE_CHECKING:
    from .instance import JobShopInstance

MAX_CELLS = 1_000_000  # machines x (families + 1) x families


def first_problem(setup: np.ndarray, family: np.ndarray, machines: int, jobs: int, latest: int) -> str | None:
    """What is wrong with setup times, in words; None if nothing is.

    Args:
        setup: (machines, families + 1, families), row 0 from the initial state.
        family: (jobs,) the family of each job.
        machines, jobs: the size of the shop.
        latest: no setup time is longer.
    """
    families = setup.shape[-1]
    if family.shape != (jobs,):
        return f"setup_family must hold a family for each of the {jobs} jobs, got shape {family.shape}"
    if setup.shape != (machines, families + 1, families):
        return (
            f"setup must have the shape (machines, families + 1, families), got {setup.shape} for {machines} machines"
        )
    if ((family < 0) | (family >= families)).any():
        job = int(((family < 0) | (family >= families)).argmax())
        return f"job {job}: setup_family {family[job]} is not one of the families 0 to {families - 1}"
    if family.max() + 1 != families:
        return f"setup is about {families} families, but the last one with a job is {family.max()}"
    if ((setup < 0) | (setup > latest)).any():
        machine, before, after = np.argwhere((setup < 0) | (setup > latest))[0].tolist()
        value = setup[machine, before, after]
        source = f"family {before - 1}" if before else "the initial state"
        return f"machine {machine}: setup {value} from {source} to family {after} is not 0 to {latest}"
    return None


def check_lengths(setup: np.ndarray | None, duration: np.ndarray, machine: np.ndarray, name: str) -> None:
    """Refuse operations of no length beside setup times: whether they need a setup would be anybody's guess.

    Raises:
        InstanceError: naming the first one.
    """
    if setup is None:
        return
    empty = np.argwhere((machine >= 0) & (duration == 0))
    if len(empty):
        job, step = empty[0].tolist()
        raise InstanceError(f"job {job}, operation {step}: with setup times a duration is at least 1, got 0", name)


def least_setups(instance: "JobShopInstance") -> np.ndarray:
    """The least setup time into each family on each machine, whatever comes before, (machines, families) int64."""
    return instance.setup.min(axis=1).astype(np.int64)


def keeps_triangle(instance: "JobShopInstance") -> bool:
    """Whether no setup, from a job or the initial state, is longer than going there by way of another job.

    Where it holds, taking an operation out of a machine's sequence never delays what comes behind, and ``active``
    schedules contain an optimal one.
    """
    setup, machine = instance.setup.astype(np.int64), instance.machine
    for k in range(instance.machines):
        here = [
            (int(instance.setup_family[j]), int(instance.duration[j, o])) for j, o in np.argwhere(machine == k).tolist()
        ]
        for way in sorted(set(here)):
            detour = setup[k][:, way[0], None] + way[1] + setup[k][None, 1 + way[0], :]
            if (setup[k] > detour).any():
                return False
    return True


def setup_times(instance: "JobShopInstance", k: int) -> list[list[int]]:
    """Setup times of machine k between jobs: [0][j] from the initial state to job j, [1 + i][j] from job i to job j."""
    if instance.setup is None:
        return [[0] * instance.jobs] * (instance.jobs + 1)
    family = instance.setup_family
    return instance.setup[k][np.concatenate([[0], 1 + family])][:, family].tolist()


def bound(instance: "JobShopInstance", heads: np.ndarray, tails: np.ndarray) -> int:
    """A lower bound of the makespan of a shop with setup times or windows.

    It is the longest job, each operation after the least setup and between the windows; or a machine that does its work
    between its windows, or with the least setups into all of its operations, from its smallest head, without the
    largest of these, or from time 0, to its smallest tail.

    Args:
        instance: the shop.
        heads, tails: smallest head and tail of every machine, (machines,).
    """
    least = None if instance.setup is None else least_setups(instance)
    windows = [of_machine(instance.windows, k) for k in range(instance.machines)]
    found = 0
    into: list[list[int]] = [[] for _ in windows]
    work = [0] * instance.machines
    for job, operations in enumerate(instance.operations.tolist()):
        time = int(instance.release[job])
        for step in range(operations):
            k, length = int(instance.machine[job, step]), int(instance.duration[job, step])
            setup = 0 if least is None else int(least[k, instance.setup_family[job]])
            time = fit(windows[k], max(time, setup), length) + length
            into[k].append(setup)
            work[k] += length
        found = max(found, time)
    for k, setups in enumerate(into):
        if setups:
            head, tail = int(heads[k]), int(tails[k])
            ends = (work_until(windows[k], head, work[k]), head + work[k] + sum(setups) - max(setups))
            found = max(found, max(*ends, work[k] + sum(setups)) + tail)
    return found
