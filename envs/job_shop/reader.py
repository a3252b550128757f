"""Reads the numbers of a job shop from its two text formats, always knowing the line."""

import numpy as np

from ..core.errors import DispatchGymError
from ..core.text import LineReader
from .objective import NEED_DUE_DATES, parse_objective

MAX_OPERATIONS = 1_000_000  # jobs x longest route, so it caps the padded arrays as well
CLOSING = ("release", "due", "weight", "objective")  # lines that may follow the jobs


class ShopReader(LineReader):
    """The parts of a job shop text; the formats are described at ``parse`` of ``instance.py``."""

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

    def closing(self, jobs: int) -> tuple[dict, dict[str, int]]:
        """What the lines after the jobs say by its field, (jobs,) int64 each, and the line each was on."""
        found: dict = {}
        lines: dict[str, int] = {}
        while (line := self.optional()) is not None:
            word, _, rest = line.replace("\t", " ").partition(" ")
            word = word.lower()
            if word not in CLOSING or word in found:
                left = ", ".join(repr(name) for name in CLOSING if name not in found)
                self.fail(f"expected the end{f' or {left}' if left else ''} after {jobs} jobs, found another line")
            found[word] = self.objective(rest) if word == "objective" else self.dates(rest, jobs, word)
            lines[word] = self.number
        if "due" not in found and NEED_DUE_DATES & set(parse_objective(found.get("objective", "makespan"))):
            self.number = lines["objective"]
            self.fail("this objective needs due dates")
        return found, lines

    def objective(self, text: str) -> str:
        """An objective that is known."""
        try:
            parse_objective(text)
        except DispatchGymError as error:
            self.fail(str(error))
        return text

    def dates(self, rest: str, jobs: int, word: str) -> np.ndarray:
        """One number for each job, (jobs,) int64; a minus sign may stand before due dates."""
        negative = np.zeros(jobs, bool)
        if word == "due":
            tokens = rest.split(None, jobs)
            negative[: len(tokens)] = [token.startswith("-") for token in tokens[:jobs]]
            # an empty piece in the place of a lone sign would vanish
            rest = " ".join(token[1:] if token[0] == "-" and len(token) > 1 else token for token in tokens)
        numbers = self.integers(rest, jobs)
        if len(numbers) != jobs:
            what = {"release": "release dates", "due": "due dates", "weight": "weights"}[word]
            self.fail(f"expected {jobs} {what}, found {len(numbers)}")
        return np.where(negative, -1, 1) * np.array(numbers, dtype=np.int64)
