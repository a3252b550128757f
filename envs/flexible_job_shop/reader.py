"""Reads the numbers of a flexible job shop from text, always knowing the line."""

import re

import numpy as np

from ..core.text import LineReader

MAX_CELLS = 1_000_000  # jobs x longest route x machines, so it caps the padded arrays
MAX_TIME = 2**28  # longest times and latest release sum to less, so that int32 sums cannot overflow


class FjsReader(LineReader):
    """The parts of an ``.fjs`` text; the format is described at ``parse`` of ``instance.py``."""

    def jobs(self) -> tuple[np.ndarray, list[int]]:
        """Processing times (jobs, longest route, machines) int64, -1 where there are none, and the line of each job."""
        jobs, machines = self.size()
        self.machines, self.seen = machines, {}
        most = MAX_CELLS // (jobs * machines)
        rows, lines = [], []
        for job in range(jobs):
            numbers = self.integers(self.line(f"the line of job {job} of {jobs}"), 1 + most * (1 + 2 * machines))
            rows.append(self.operations(job, numbers, most))
            lines.append(self.number)
        first = 0 if 0 in self.seen else 1
        if first == 0 and machines in self.seen:
            self.number = max(self.seen[0], self.seen[machines])
            self.fail(
                f"machines 0 (line {self.seen[0]}) and {machines} (line {self.seen[machines]}) do not go together: "
                f"there are {machines}, numbered from 0 or from 1"
            )
        duration = np.full((jobs, max(map(len, rows)), machines), -1, np.int64)
        for job, operations in enumerate(rows):
            for operation, pairs in enumerate(operations):
                duration[job, operation, [machine - first for machine, _ in pairs]] = [time for _, time in pairs]
        return duration, lines

    def size(self) -> tuple[int, int]:
        """The numbers of jobs and machines."""
        header = self.line("a first line 'jobs machines'").split(None, 3)
        if len(header) == 3 and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,30})?", header[2]):
            header.pop()
        numbers = self.integers(" ".join(header), 3)
        if len(numbers) != 2:
            self.fail(
                f"expected 'jobs machines' and perhaps the mean number of machines of an operation, "
                f"found {len(numbers)} number{'s' * (len(numbers) != 1)}"
            )
        jobs, machines = numbers
        if jobs < 1 or machines < 1 or jobs * machines > MAX_CELLS:
            self.fail(f"{jobs} jobs on {machines} machines: expected at least 1 of each and at most {MAX_CELLS} pairs")
        return jobs, machines

    def operations(self, job: int, numbers: list[int], most: int) -> list[list[tuple[int, int]]]:
        """The pairs of machine and time of each operation of a job."""
        count, place, found = numbers[0], 1, []
        if not 1 <= count <= most:
            self.fail(f"job {job}: {count} operations, expected 1 to {most}")
        for operation in range(count):
            where = f"job {job}, operation {operation}"
            pairs = self.pairs(where, numbers, place)
            found.append(pairs)
            place += 1 + 2 * len(pairs)
        if place != len(numbers):
            self.fail(f"job {job}: {len(numbers) - place} numbers too many after its {count} operations")
        return found

    def pairs(self, where: str, numbers: list[int], place: int) -> list[tuple[int, int]]:
        """The pairs of an operation that begins at a place of the line."""
        if place >= len(numbers):
            self.fail(f"{where}: the line ends where its number of machines was expected")
        count = numbers[place]
        if not 1 <= count <= self.machines:
            self.fail(f"{where}: {count} machines, expected 1 to {self.machines}")
        row = numbers[place + 1 : place + 1 + 2 * count]
        if len(row) < 2 * count:
            self.fail(f"{where}: expected {count} pairs of machine and time, the line ends after {len(row)} numbers")
        pairs = list(zip(row[::2], row[1::2], strict=True))
        for machine, time in pairs:
            if machine > self.machines:
                self.fail(f"{where}: machine {machine}, but there are {self.machines}")
            if time > MAX_TIME:
                self.fail(f"{where}: time {time} on machine {machine} is not 0 to {MAX_TIME}")
            if machine in (0, self.machines):
                self.seen.setdefault(machine, self.number)
        if len({machine for machine, _ in pairs}) < count:
            self.fail(f"{where}: a machine is named twice")
        return pairs

    def release(self, jobs: int) -> np.ndarray:
        """The release of each job, (jobs,) int64, from a last line, if there is one."""
        line = self.optional()
        if line is None:
            return np.zeros(jobs, np.int64)
        word, _, rest = line.replace("\t", " ").partition(" ")
        if word.lower() != "release":
            self.fail(f"expected the end or 'release' after {jobs} jobs, found another line")
        numbers = self.integers(rest, jobs)
        if len(numbers) != jobs:
            self.fail(f"expected {jobs} releases, found {len(numbers)}")
        number = self.number
        self.end("the releases")
        self.number = number
        return np.array(numbers, np.int64)
