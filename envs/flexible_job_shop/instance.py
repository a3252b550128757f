"""The flexible job shop instance: operations that run on one of several machines, and its text format."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..core.errors import InstanceError
from ..core.files import read_text
from ..core.instance import digest
from .reader import MAX_CELLS, MAX_TIME, FjsReader

MAX_FILE_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class FlexibleJobShopInstance:
    """A flexible job shop: each job is a chain of operations, each on one of the machines that can run it.

    Arrays are padded at the end of the routes with -1; columns that pad every job are dropped. The arrays are copies
    and read-only.

    Attributes:
        name: what it is called in tables, one line of printable text.
        duration: (jobs, longest route, machines) int32, the processing time of an operation on a machine, at least 0;
            -1 where it cannot run there. Machines are numbered from 0.
        release: (jobs,) int32, the earliest start of each job; zeros when left out.

    Raises:
        InstanceError: when the numbers do not make a flexible job shop, naming the job and operation.
    """

    name: str
    duration: np.ndarray = field(repr=False)  # (jobs, longest route, machines) int32
    release: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32

    family: ClassVar[str] = "flexible_job_shop"
    objective: ClassVar[str] = "makespan"

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise InstanceError(
                f"a name is one line of printable text, got {self.name!r}", "flexible job shop instance"
            )
        duration = _integers(self.duration, "duration", 3, self.name)
        release = np.zeros(len(duration), np.int64) if self.release is None else self.release
        release = _integers(release, "release", 1, self.name)
        if len(release) != len(duration):
            raise InstanceError(f"{len(release)} releases for {len(duration)} jobs", self.name)
        problem = first_problem(duration, release)
        if problem:
            raise InstanceError(problem[0], self.name)
        longest = int((duration >= 0).any(axis=2).sum(axis=1).max())
        for what, values in {"duration": duration[:, :longest], "release": release}.items():
            array = np.array(values, dtype=np.int32, order="C")
            array.setflags(write=False)
            object.__setattr__(self, what, array)

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return self.duration.shape[0]

    @property
    def machines(self) -> int:
        """Number of machines."""
        return self.duration.shape[2]

    @property
    def route(self) -> int:
        """Operations of the longest job."""
        return self.duration.shape[1]

    @property
    def size(self) -> str:
        """Jobs and machines as in ``"10x5"``."""
        return f"{self.jobs}x{self.machines}"

    @cached_property
    def compatible(self) -> np.ndarray:
        """Where operations can run, (jobs, longest route, machines) bool."""
        return _kept(self.duration >= 0)

    @cached_property
    def alternatives(self) -> np.ndarray:
        """Number of machines that can run each operation, (jobs, longest route) int32; 0 for padding."""
        return _kept(self.compatible.sum(axis=2, dtype=np.int32))

    @cached_property
    def operations(self) -> np.ndarray:
        """Length of each job's route, (jobs,) int32."""
        return _kept((self.alternatives > 0).sum(axis=1, dtype=np.int32))

    @cached_property
    def shortest(self) -> np.ndarray:
        """Shortest processing time of each operation, (jobs, longest route) int32; 0 for padding."""
        least = np.where(self.compatible, self.duration, MAX_TIME).min(axis=2)
        return _kept(np.where(self.alternatives > 0, least, 0).astype(np.int32))

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean processing time of each operation over its machines, (jobs, longest route) float64; 0 for padding."""
        total = np.where(self.compatible, self.duration, 0).sum(axis=2, dtype=np.int64)
        return _kept(total / np.maximum(self.alternatives, 1))

    @cached_property
    def longest_work(self) -> int:
        """Sum over operations of the longest processing time."""
        return int(np.maximum(self.duration, 0).max(axis=2).sum(dtype=np.int64))

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on the numbers alone, not on the name."""
        return digest(self.family, self.duration, self.release)


def _kept(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _integers(values, what: str, dimensions: int, name: str) -> np.ndarray:
    """An int64 array of the right rank and of bounded size."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InstanceError(f"{what} is not a rectangular array: {error}", name) from error
    if array.ndim != dimensions or not 0 < array.size <= MAX_CELLS or array.dtype.kind not in "iu":
        wanted = f"must hold 1 to {MAX_CELLS} integers in {dimensions} dimensions"
        raise InstanceError(f"{what} {wanted}, got {array.dtype} of shape {array.shape}", name)
    if array.dtype.kind == "u":
        array = np.minimum(array, 2**62)  # values that int64 cannot hold must not come out negative
    return array.astype(np.int64)


def first_problem(duration: np.ndarray, release: np.ndarray) -> tuple[str, int] | None:
    """The first thing wrong with the numbers.

    Args:
        duration: (jobs, longest route, machines) int64, as of an instance.
        release: (jobs,) int64.

    Returns:
        What it is and the job it is about, or None.
    """
    wrong = (duration < -1) | (duration > MAX_TIME)
    if wrong.any():
        job, operation, machine = map(int, np.argwhere(wrong)[0])
        value = duration[job, operation, machine]
        return f"job {job}, operation {operation}: time {value} on machine {machine} is not 0 to {MAX_TIME}", job
    real = (duration >= 0).any(axis=2)
    if not real[:, 0].all():
        job = int((~real[:, 0]).argmax())
        return f"job {job}, operation 0 can run on no machine", job
    gap = real[:, 1:] & ~real[:, :-1]
    if gap.any():
        job, operation = map(int, np.argwhere(gap)[0])
        return f"job {job}, operation {operation} can run on no machine, but the one after it can", job
    wrong = (release < 0) | (release > MAX_TIME)
    if wrong.any():
        job = int(wrong.argmax())
        return f"job {job}: release {release[job]} is not 0 to {MAX_TIME}", job
    until = np.maximum(duration, 0).max(axis=2).sum(axis=1).cumsum() + release.max()
    if until[-1] >= MAX_TIME:
        job = int((until >= MAX_TIME).argmax())
        return f"job {job}: the longest times and the latest release sum to {until[job]}, limit {MAX_TIME - 1}", job
    return None


def read(path: str | Path) -> FlexibleJobShopInstance:
    """Read an instance from a text file; it is named after the file.

    Raises:
        InstanceError: if the file cannot be read or is malformed, with its path and line.
    """
    return parse(read_text(path, MAX_FILE_BYTES), str(path))


def parse(text: str, where: str = "text", name: str | None = None) -> FlexibleJobShopInstance:
    """Read an instance from text in the format of ``.fjs`` files (Brandimarte 1993, Hurink et al. 1994).

    A line ``jobs machines``, which may go on with the mean number of machines of an operation (not used). Then one line
    for each job: its number of operations, and for each of them the number of machines that can run it and as many
    pairs of machine and processing time.

    Machines are numbered from 1. Collections that number them from 0 are read as well: a file in which a machine 0
    appears is taken as one of them. Where neither 0 nor the highest number appears, the first machine is 1.

    The text may end in a line ``release r1 r2 ...`` with one number for each job, an extension of this package. Empty
    lines and lines that start with ``#`` are skipped. Numbers are plain ASCII digits.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.
        name: the name of the instance; the stem of ``where`` when left out.

    Raises:
        InstanceError: on anything else than the above, with ``where`` and the line.
    """
    reader = FjsReader(text, where)
    duration, lines = reader.jobs()
    release = reader.release(len(duration))
    problem = first_problem(duration, np.zeros(len(duration), np.int64))
    if problem:
        raise InstanceError(problem[0], where, lines[problem[1]])
    problem = first_problem(duration, release)
    if problem:
        raise InstanceError(problem[0], where, reader.number)
    return FlexibleJobShopInstance(name or Path(where).stem or "instance", duration, release)


def format(instance: FlexibleJobShopInstance) -> str:
    """Write an instance as text that ``parse`` reads back to the same digest; machines are numbered from 1.

    Args:
        instance: the instance; its name is not written.
    """
    average = instance.alternatives.sum() / instance.operations.sum()
    lines = [f"{instance.jobs} {instance.machines} {average:.6g}"]
    for job, operations in enumerate(instance.operations.tolist()):
        numbers = [operations]
        for times in instance.duration[job, :operations].tolist():
            pairs = [(machine + 1, time) for machine, time in enumerate(times) if time >= 0]
            numbers += [len(pairs), *(number for pair in pairs for number in pair)]
        lines.append(" ".join(map(str, numbers)))
    if instance.release.any():
        lines.append("release " + " ".join(map(str, instance.release.tolist())))
    return "\n".join(lines) + "\n"
