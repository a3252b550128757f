"""The job shop instance: jobs that visit machines in a given order, and its two text formats."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..core.errors import InstanceError, OptionError, UnknownNameError
from ..core.files import read_text
from ..core.instance import digest
from ..core.text import LineReader

MAX_OPERATIONS = 1_000_000  # jobs x longest route, so it caps the padded arrays as well
MAX_TIME = 2**28  # the sum of all durations and the latest release stay below, so int32 sums cannot overflow
MAX_FILE_BYTES = 32 * 2**20
STYLES = ("standard", "taillard")


@dataclass(frozen=True, eq=False)
class JobShopInstance:
    """A job shop: each job is a chain of operations, each on one machine for a fixed time.

    Routes are general: a job may skip machines or visit one again. Arrays are padded at the end of
    the routes, ``duration`` with 0 and ``machine`` with -1; columns that pad every job are dropped.
    The arrays are copies and read-only.

    Attributes:
        name: what it is called in tables, one line of printable text.
        machines: number of machines; machines are numbered from 0.
        duration: (jobs, longest route) int32, processing times, at least 0.
        machine: (jobs, longest route) int32, the machine of each operation.
        release: (jobs,) int32, the earliest start of each job; zeros when left out.

    Raises:
        InstanceError: when the numbers do not make a job shop, naming the job and operation.
    """

    name: str
    machines: int
    duration: np.ndarray = field(repr=False)  # (jobs, longest route) int32
    machine: np.ndarray = field(repr=False)  # (jobs, longest route) int32
    release: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32

    family: ClassVar[str] = "job_shop"
    objective: ClassVar[str] = "makespan"

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise InstanceError(f"a name is one line of printable text, got {self.name!r}", "job shop instance")
        if isinstance(self.machines, bool) or not isinstance(self.machines, int | np.integer):
            raise InstanceError(f"machines must be an integer, got {self.machines!r}", self.name)
        machines = int(self.machines)
        duration = _integers(self.duration, "duration", 2, self.name)
        machine = _integers(self.machine, "machine", 2, self.name)
        release = [0] * len(duration) if self.release is None else self.release
        release = _integers(release, "release", 1, self.name)
        if duration.shape != machine.shape or len(release) != len(duration):
            shapes = f"duration {duration.shape}, machine {machine.shape} and release {release.shape}"
            raise InstanceError(f"{shapes} do not agree on jobs and operations", self.name)
        problem = _first_problem(machines, duration, machine, release)
        if problem:
            raise InstanceError(problem[0], self.name)
        longest = int((machine >= 0).sum(axis=1).max())
        object.__setattr__(self, "machines", machines)
        fields = {"duration": duration[:, :longest], "machine": machine[:, :longest], "release": release}
        for what, values in fields.items():
            array = np.array(values, dtype=np.int32, order="C")
            array.setflags(write=False)
            object.__setattr__(self, what, array)

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return len(self.duration)

    @cached_property
    def operations(self) -> np.ndarray:
        """Length of each job's route, (jobs,) int32."""
        lengths = (self.machine >= 0).sum(axis=1, dtype=np.int32)
        lengths.setflags(write=False)
        return lengths

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on the numbers alone, not on the name."""
        return digest(self.family, self.machines, self.duration, self.machine, self.release)

    @cached_property
    def total_work(self) -> int:
        """Sum of all durations."""
        return int(self.duration.sum(dtype=np.int64))

    @property
    def size(self) -> str:
        """Jobs and machines as in ``"15x15"``."""
        return f"{self.jobs}x{self.machines}"


def _integers(values, what: str, dimensions: int, name: str) -> np.ndarray:
    """An int64 array of the right rank and of bounded size."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InstanceError(f"{what} is not a rectangular array: {error}", name) from error
    if array.ndim != dimensions or not 0 < array.size <= MAX_OPERATIONS or array.dtype.kind not in "iu":
        wanted = f"must hold 1 to {MAX_OPERATIONS} integers in {dimensions} dimensions"
        raise InstanceError(f"{what} {wanted}, got {array.dtype} of shape {array.shape}", name)
    if array.dtype.kind == "u":
        array = np.minimum(array, 2**62)  # values that int64 cannot hold must not come out negative
    return array.astype(np.int64)


def _first_problem(machines: int, duration, machine, release) -> tuple[str, str, int] | None:
    """The first thing wrong with the numbers: (message, the field it is in, the job), or None."""
    if not 1 <= machines <= MAX_OPERATIONS:
        return f"the number of machines must be 1 to {MAX_OPERATIONS}, got {machines}", "machine", 0
    real = machine >= 0
    cells = (
        ((machine < -1) | (machine >= machines), "machine", f"is not one of the machines 0 to {machines - 1}"),
        (real[:, 1:] & ~real[:, :-1], "machine", "follows the end of the route (-1)"),
        ((machine < 0)[:, :1], "machine", "leaves the job without any operation"),
        ((duration < 0) | (duration > MAX_TIME), "duration", f"is not 0 to {MAX_TIME}"),
        (~real & (duration != 0), "duration", "belongs to no operation: its machine is -1"),
    )
    for index, (wrong, what, words) in enumerate(cells):
        if wrong.any():
            job, operation = map(int, np.argwhere(wrong)[0])
            operation += index == 1  # that comparison starts at the second operation
            value = (machine if what == "machine" else duration)[job, operation]
            return f"job {job}, operation {operation}: {what} {value} {words}", what, job
    wrong = (release < 0) | (release > MAX_TIME)
    if wrong.any():
        job = int(wrong.argmax())
        return f"job {job}: release {release[job]} is not 0 to {MAX_TIME}", "release", job
    until = duration.sum(axis=1).cumsum() + release.max()
    if until[-1] >= MAX_TIME:
        job = int((until >= MAX_TIME).argmax())
        return f"job {job}: durations and latest release sum to {until[job]}, limit {MAX_TIME - 1}", "duration", job
    return None


def read(path: str | Path) -> JobShopInstance:
    """Read an instance from a text file in either format; it is named after the file.

    Raises:
        InstanceError: if the file cannot be read or is malformed, with its path and line.
    """
    return parse(read_text(path, MAX_FILE_BYTES), str(path))


def parse(text: str, where: str = "text", name: str | None = None) -> JobShopInstance:
    """Read an instance from text; the format is recognised.

    Standard format: a line ``jobs machines``, then for each job one line of ``machine duration``
    pairs, machines from 0. Each line must have exactly as many pairs as there are machines, so
    that a cut line is noticed; where routes skip or revisit machines freely, the first line is
    ``jobs machines general``.

    Taillard format: optionally the line ``Nb of jobs, Nb of Machines, ...``, a line of jobs,
    machines and up to four more numbers (which are not used), the word ``Times``, one line of
    durations for each job, the word ``Machines``, one line of machines for each job, from 1.

    Both may end in a line ``release r1 r2 ...`` with one date for each job. Empty lines and lines
    that start with ``#`` are skipped. Numbers are plain ASCII digits.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.
        name: the name of the instance; the stem of ``where`` when left out.

    Returns:
        The instance.

    Raises:
        InstanceError: on anything else than the above, with ``where`` and the line.
    """
    reader = _Reader(text, where)
    duration, machine, duration_lines, machine_lines = reader.operations()
    jobs = len(duration)
    release, release_line = reader.release(jobs), reader.number
    reader.end("the release dates")
    problem = _first_problem(reader.machines, duration, machine, release)
    if problem:
        message, what, job = problem
        lines = {"duration": duration_lines, "machine": machine_lines, "release": [release_line] * jobs}
        raise InstanceError(message, where, lines[what][job])
    return JobShopInstance(name or Path(where).stem or "instance", reader.machines, duration, machine, release)


class _Reader(LineReader):
    """The parts of a job shop text."""

    def operations(self):
        """Durations, machines (from 0), both (jobs, longest route), and the line each job has them from."""
        header = self.line("a first line 'jobs machines'")
        titled = header.lower().startswith("nb of jobs")
        if titled:
            header = self.line("the numbers of jobs and machines")
        words = header.split(None, 6)
        general = not titled and len(words) == 3 and words[2].lower() == "general"
        counts = self.integers(" ".join(words[:2]) if general else header, 6)
        jobs, self.machines = self.size(counts, general)
        taillard = titled or len(counts) > 2
        first = self.line("the word Times" if taillard else "the line of job 0")
        if general or (first.lower() != "times" and not taillard):
            duration, machine, lines = self.routes(jobs, self.machines, general, first)
            return duration, machine, lines, lines
        if first.lower() != "times":
            self.fail("expected the word Times after this first line")
        duration, duration_lines = self.table(jobs, self.machines, "duration")
        if self.line("the word Machines").lower() != "machines":
            self.fail("expected the word Machines")
        machine, machine_lines = self.table(jobs, self.machines, "machine")
        return duration, machine, duration_lines, machine_lines

    def size(self, counts: list[int], general: bool) -> tuple[int, int]:
        if len(counts) < 2:
            self.fail(f"expected the numbers of jobs and machines, found {len(counts)} number")
        jobs, machines = counts[:2]
        largest = max(jobs, machines) if general else jobs * machines
        if jobs < 1 or machines < 1 or largest > MAX_OPERATIONS:
            self.fail(f"{jobs} jobs on {machines} machines: expected 1 to {MAX_OPERATIONS} operations")
        return jobs, machines

    def table(self, jobs: int, machines: int, what: str) -> tuple[np.ndarray, list[int]]:
        """One row of a Taillard section for each job, (jobs, machines), and the line of each."""
        rows, lines = [], []
        for job in range(jobs):
            row = self.integers(self.line(f"the {what} row of job {job}"), machines)
            if len(row) != machines:
                self.fail(f"job {job}: expected {machines} numbers, found {len(row)}")
            if what == "machine" and 0 in row:  # 0 - 1 would pass for padding
                self.fail(f"job {job}: machines are numbered from 1 in this format, found 0")
            rows.append(np.array(row, dtype=np.int64) - (what == "machine"))
            lines.append(self.number)
        return np.stack(rows), lines

    def routes(self, jobs: int, machines: int, general: bool, line: str):
        """The lines of pairs: durations and machines, (jobs, longest route), and the line of each job."""
        most = 2 * (MAX_OPERATIONS // jobs) if general else 2 * machines
        rows, lines = [], []
        for job in range(jobs):
            line = line if job == 0 else self.line(f"the line of job {job} of {jobs}")
            row = self.integers(line, most)
            if len(row) % 2 or (len(row) != most and not general):
                wanted = "pairs" if general else f"{machines} pairs"
                self.fail(f"job {job}: expected {wanted} of machine and duration, found {len(row)} numbers")
            rows.append(np.array(row, dtype=np.int64).reshape(-1, 2))
            lines.append(self.number)
        longest = max(map(len, rows))
        duration = np.zeros((jobs, longest), dtype=np.int64)
        machine = np.full((jobs, longest), -1, dtype=np.int64)
        for job, row in enumerate(rows):
            machine[job, : len(row)], duration[job, : len(row)] = row.T
        return duration, machine, lines

    def release(self, jobs: int) -> np.ndarray:
        """The release dates of the closing line, (jobs,), zeros when there is none."""
        line, dates = self.optional(), [0] * jobs
        if line is not None:
            word, _, rest = line.replace("\t", " ").partition(" ")
            if word.lower() != "release":
                self.fail(f"expected the end or 'release' after {jobs} jobs, found another line")
            dates = self.integers(rest, jobs)
            if len(dates) != jobs:
                self.fail(f"expected {jobs} release dates, found {len(dates)}")
        return np.array(dates, dtype=np.int64)


def format(instance: JobShopInstance, style: str = "standard") -> str:
    """Write an instance as text that ``parse`` reads back to the same digest.

    Args:
        instance: the instance; its name is not written.
        style: ``"standard"`` or ``"taillard"``, the formats described at ``parse``.

    Raises:
        UnknownNameError: if the style is not known.
        OptionError: if the style is ``"taillard"`` and some route is not as long as there are machines.
    """
    if style not in STYLES:
        raise UnknownNameError("style", style, STYLES)
    general = bool((instance.operations != instance.machines).any())
    if style == "taillard":
        if general:
            raise OptionError("style 'taillard' cannot hold routes that are not as long as there are machines")
        lines = [f"{instance.jobs} {instance.machines}", "Times", *map(_joined, instance.duration)]
        lines += ["Machines", *map(_joined, instance.machine + 1)]
    else:
        lines = [f"{instance.jobs} {instance.machines}{' general' if general else ''}"]
        for duration, machine, length in zip(instance.duration, instance.machine, instance.operations, strict=True):
            lines.append(_joined(np.stack([machine, duration], axis=1)[:length].ravel()))
    if instance.release.any():
        lines.append(f"release {_joined(instance.release)}")
    return "\n".join(lines) + "\n"


def _joined(numbers: np.ndarray) -> str:
    return " ".join(map(str, numbers.tolist()))
