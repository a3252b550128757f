"""The job shop instance: jobs that visit machines in a given order, and its two text formats."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..core.errors import DispatchGymError, InstanceError, OptionError, UnknownNameError
from ..core.files import read_text
from ..core.instance import digest
from . import setups
from .calendars import as_windows, last_end, of_machine
from .objective import NEED_DUE_DATES, cost, name_of, parse_objective, scale
from .reader import MAX_OPERATIONS, MAX_TIME, ShopReader

MAX_FILE_BYTES = 32 * 2**20
MAX_WEIGHT = 2**20
MAX_COST = 2**53  # objectives stay below, so that int64 sums and floats hold them exactly
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
        due: (jobs,) int32, the due date of each job, which may lie before 0; None where there are none.
        weight: (jobs,) int32, the weight of each job, at least 1; ones when left out.
        objective: what is minimised: one of ``MEASURES`` or a mix of them, see ``parse_objective``. When left out, the
            makespan; of jobs with due dates the total tardiness, weighted if there are weights.
        setup: (machines, families + 1, families) int32, setup times in time units, see ``setups.py``: ``[k, 0, g]``
            from the initial state of machine k to a job of family g, ``[k, 1 + f, g]`` from a job of family f. None
            where there are none; where all are 0, that is kept as None.
        setup_family: (jobs,) int32, the family of each job, from 0; each job is its own when left out.
        windows: (machines, most windows, 2) int32, padded with -1: [start, end) in which a machine runs nothing, in
            their order, see ``calendars.py``; lists of different lengths will do. None where there are none.

    Raises:
        InstanceError: when the numbers do not make a job shop, naming the job and operation.
    """

    name: str
    machines: int
    duration: np.ndarray = field(repr=False)  # (jobs, longest route) int32
    machine: np.ndarray = field(repr=False)  # (jobs, longest route) int32
    release: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32
    due: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32
    weight: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32
    objective: str | None = None
    setup: np.ndarray | None = field(default=None, repr=False)  # (machines, families + 1, families) int32
    setup_family: np.ndarray | None = field(default=None, repr=False)  # (jobs,) int32
    windows: np.ndarray | None = field(default=None, repr=False)  # (machines, most windows, 2) int32

    family: ClassVar[str] = "job_shop"

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise InstanceError(f"a name is one line of printable text, got {self.name!r}", "job shop instance")
        if isinstance(self.machines, bool) or not isinstance(self.machines, int | np.integer):
            raise InstanceError(f"machines must be an integer, got {self.machines!r}", self.name)
        machines = int(self.machines)
        duration = _integers(self.duration, "duration", 2, self.name)
        machine = _integers(self.machine, "machine", 2, self.name)
        release = [0] * len(duration) if self.release is None else self.release
        jobs = {"release": _integers(release, "release", 1, self.name)}
        for what in ("due", "weight"):
            if getattr(self, what) is not None:
                jobs[what] = _integers(getattr(self, what), what, 1, self.name)
        if duration.shape != machine.shape or any(len(values) != len(duration) for values in jobs.values()):
            each = ", ".join(f"{what} {values.shape}" for what, values in jobs.items())
            shapes = f"duration {duration.shape}, machine {machine.shape} and {each}"
            raise InstanceError(f"{shapes} do not agree on jobs and operations", self.name)
        problem = _first_problem(machines, duration, machine, **jobs)
        if problem:
            raise InstanceError(problem[0], self.name)
        longest = int((machine >= 0).sum(axis=1).max())
        object.__setattr__(self, "machines", machines)
        jobs.setdefault("weight", np.ones(len(duration)))
        for what, values in {"duration": duration[:, :longest], "machine": machine[:, :longest], **jobs}.items():
            array = np.array(values, dtype=np.int32, order="C")
            array.setflags(write=False)
            object.__setattr__(self, what, array)
        self._set_limits()
        self._set_objective()

    def _set_limits(self) -> None:
        """Check setup times and windows, and that all can be done in time."""
        windows = None if self.windows is None else as_windows(self.windows, self.machines, MAX_TIME, self.name)
        setup, family = self.setup, self.setup_family
        if setup is not None:
            setup = _integers(setup, "setup", 3, self.name)
            family = np.arange(self.jobs) if family is None else _integers(family, "setup_family", 1, self.name)
            problem = setups.first_problem(setup, family, self.machines, self.jobs, MAX_TIME)
            if problem:
                raise InstanceError(problem, self.name)
        elif family is not None:
            raise InstanceError("setup_family says nothing without setup", self.name)
        if setup is not None and not setup.any():
            setup = family = None
        setups.check_lengths(setup, self.duration, self.machine, self.name)
        for what, values in (("setup", setup), ("setup_family", family)):
            if values is not None:
                values = values.astype(np.int32)
                values.setflags(write=False)
            object.__setattr__(self, what, values)
        object.__setattr__(self, "windows", windows)
        if self.latest_end >= MAX_TIME:
            parts = "durations, setups and the latest release or window"
            raise InstanceError(f"{parts} sum to {self.latest_end}, limit {MAX_TIME - 1}", self.name)

    def _set_objective(self) -> None:
        """Bring the objective into its one spelling, or choose it."""
        chosen = self.objective
        if chosen is None:
            chosen = "makespan"
            if self.due is not None:
                chosen = "total_weighted_tardiness" if self.weighted else "total_tardiness"
        try:
            terms = parse_objective(chosen)
        except DispatchGymError as error:
            raise InstanceError(str(error), self.name) from error
        missing = [name for name in terms if name in NEED_DUE_DATES]
        if missing and self.due is None:
            raise InstanceError(f"the objective {missing[0]} needs due dates", self.name)
        object.__setattr__(self, "objective", name_of(terms))
        if self.worst_cost >= MAX_COST:
            raise InstanceError(f"the objective may reach {self.worst_cost}, limit {MAX_COST - 1}", self.name)

    @property
    def weighted(self) -> bool:
        """Whether weights tell the jobs apart."""
        return bool((self.weight != 1).any())

    @property
    def classic(self) -> bool:
        """Whether it is a makespan problem without due dates or weights."""
        return self.objective == "makespan" and self.due is None and not self.weighted

    @cached_property
    def worst_cost(self) -> int:
        """The objective if every job completed at ``latest_end``."""
        return cost(self, np.full(self.jobs, self.latest_end))

    @property
    def limited(self) -> bool:
        """Whether there are setup times or windows."""
        return self.setup is not None or self.windows is not None

    @cached_property
    def latest_end(self) -> int:
        """When all work is done if it is done one after the other once the last job is released and the last window is
        over, each operation after the longest setup.
        """
        longest = 0 if self.setup is None else int(self.setup.max())
        begin = max(int(self.release.max()), last_end(self.windows))
        return begin + self.total_work + longest * int(self.operations.sum())

    @cached_property
    def scale(self) -> int:
        """What rewards are a share of, see ``objective.scale``; of the makespan its lower bound."""
        return scale(self)

    @property
    def gap_scale(self) -> int | None:
        """What gaps are a share of where the objective may be 0 or less; None where gaps are relative."""
        return self.scale if NEED_DUE_DATES & set(parse_objective(self.objective)) else None

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
        parts = [self.machines, self.duration, self.machine, self.release]
        if not self.classic:  # what was published before there were due dates keeps its digest
            parts += [self.objective, self.weight, *([] if self.due is None else [self.due])]
        if self.setup is not None:
            parts += ["setup", self.setup, self.setup_family]
        if self.windows is not None:
            parts += ["windows", self.windows]
        return digest(self.family, *parts)

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


def _first_problem(machines: int, duration, machine, release, due=None, weight=None) -> tuple[str, str, int] | None:
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
    rows = (("release", release, 0, MAX_TIME), ("due", due, -MAX_TIME, MAX_TIME), ("weight", weight, 1, MAX_WEIGHT))
    for what, values, least, most in rows:
        if values is not None and ((values < least) | (values > most)).any():
            job = int(((values < least) | (values > most)).argmax())
            return f"job {job}: {what} {values[job]} is not {least} to {most}", what, job
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

    Both may end in lines ``release r1 r2 ...``, ``due d1 d2 ...`` and ``weight w1 w2 ...`` with one
    number for each job, and ``objective total_tardiness`` or another one, in any order. So may setup
    times: a line ``family f1 f2 ...`` with the family of each job, from 0, if jobs are not a family
    each, and the word ``setup``, followed, machine by machine, by one line from the initial state and
    one from each family, each line with the setup time to each family. And windows: for any machine,
    from 0, one line ``window machine start1 end1 start2 end2 ...``. Empty lines and lines that start
    with ``#`` are skipped. Numbers are plain ASCII digits; of due dates alone, they may follow a minus
    sign.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.
        name: the name of the instance; the stem of ``where`` when left out.

    Returns:
        The instance.

    Raises:
        InstanceError: on anything else than the above, with ``where`` and the line.
    """
    reader = ShopReader(text, where)
    duration, machine, duration_lines, machine_lines = reader.operations()
    jobs = len(duration)
    closing, closing_line = reader.closing(jobs)
    limits = {name: closing.pop(name, None) for name in ("objective", "setup", "setup_family", "windows")}
    problem = _first_problem(reader.machines, duration, machine, **{"release": np.zeros(jobs, int)} | closing)
    if problem:
        message, what, job = problem
        lines = {"duration": duration_lines, "machine": machine_lines}
        raise InstanceError(message, where, lines[what][job] if what in lines else closing_line[what])
    name = name or Path(where).stem or "instance"
    try:
        return JobShopInstance(name, reader.machines, duration, machine, **closing, **limits)
    except InstanceError as error:  # what is left to be wrong is how large things may get together
        raise InstanceError(str(error).removeprefix(f"{name}: "), where, reader.number) from error


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
    if instance.due is not None:
        lines.append(f"due {_joined(instance.due)}")
    if instance.weighted:
        lines.append(f"weight {_joined(instance.weight)}")
    if not instance.classic:
        lines.append(f"objective {instance.objective}")
    if instance.setup is not None:
        own = np.array_equal(instance.setup_family, np.arange(instance.jobs))
        own = own and instance.setup.shape[2] == instance.jobs
        lines += [] if own else [f"family {_joined(instance.setup_family)}"]
        lines += ["setup", *(_joined(row) for rows in instance.setup for row in rows)]
    for machine in range(instance.machines):
        windows = of_machine(instance.windows, machine)
        if windows:
            lines.append(f"window {machine} {_joined(np.array(windows).ravel())}")
    return "\n".join(lines) + "\n"


def _joined(numbers: np.ndarray) -> str:
    return " ".join(map(str, numbers.tolist()))
