"""Reads the numbers of a job shop from its two text formats, always knowing the line."""

import numpy as np

from ..core.errors import DispatchGymError
from ..core.text import LineReader
from .calendars import MAX_WINDOWS, first_problem
from .objective import NEED_DUE_DATES, parse_objective
from .setups import MAX_CELLS

MAX_OPERATIONS = 1_000_000  # jobs x longest route, so it caps the padded arrays as well
MAX_TIME = 2**28  # all work, done one after the other, ends before, so int32 sums cannot overflow
CLOSING = ("release", "due", "weight", "objective", "family", "setup")  # lines that may follow the jobs, once each


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
            if word == "window":
                self.window(rest, found.setdefault("windows", [[] for _ in range(self.machines)]))
                continue
            if word not in CLOSING or word in lines:
                left = ", ".join(repr(name) for name in (*CLOSING, "window") if name not in lines)
                self.fail(f"expected the end or {left} after {jobs} jobs, found another line")
            lines[word] = self.number
            if word == "setup":
                found["setup"] = self.setup(rest, jobs, found.get("setup_family"))
            elif word == "family":
                found["setup_family"] = self.family(rest, jobs, "setup" in found)
            else:
                found[word] = self.objective(rest) if word == "objective" else self.dates(rest, jobs, word)
        if "setup_family" in found and "setup" not in found:
            self.number = lines["family"]
            self.fail("families of jobs say nothing without setup times")
        if "due" not in found and NEED_DUE_DATES & set(parse_objective(found.get("objective", "makespan"))):
            self.number = lines["objective"]
            self.fail("this objective needs due dates")
        return found, lines

    def family(self, rest: str, jobs: int, late: bool) -> np.ndarray:
        """The family of each job, (jobs,) int64; it has to be known before the setup times are read."""
        if late:
            self.fail("the families of the jobs must stand before the setup times")
        return self.dates(rest, jobs, "family")

    def setup(self, rest: str, jobs: int, family: np.ndarray | None) -> np.ndarray:
        """The section of setup times, (machines, families + 1, families) int64."""
        if rest.strip():
            self.fail("expected nothing behind the word setup in this line")
        families = jobs if family is None else int(family.max()) + 1
        if self.machines * (families + 1) * families > MAX_CELLS:
            self.fail(f"{families} families on {self.machines} machines: expected at most {MAX_CELLS} setup times")
        table = np.zeros((self.machines, families + 1, families), np.int64)
        for machine in range(self.machines):
            for before in range(families + 1):
                what = f"family {before - 1}" if before else "the initial state"
                row = self.integers(self.line(f"the setup times of machine {machine} from {what}"), families)
                if len(row) != families:
                    self.fail(f"machine {machine}, from {what}: expected {families} setup times, found {len(row)}")
                if max(row) > MAX_TIME:
                    self.fail(f"machine {machine}, from {what}: setup {max(row)} is not 0 to {MAX_TIME}")
                table[machine, before] = row
        return table

    def window(self, rest: str, windows: list[list]) -> None:
        """Add the windows of one machine."""
        numbers = self.integers(rest, 2 * MAX_WINDOWS + 1)
        if len(numbers) < 3 or len(numbers) % 2 == 0:
            self.fail(f"expected a machine and pairs of start and end of its windows, found {len(numbers)} numbers")
        machine, pairs = numbers[0], list(zip(numbers[1::2], numbers[2::2], strict=True))
        if machine >= self.machines:
            self.fail(f"machine {machine} is not one of the machines 0 to {self.machines - 1}")
        if windows[machine]:
            self.fail(f"the windows of machine {machine} stand in another line already")
        problem = first_problem(pairs, MAX_TIME)
        if problem:
            self.fail(f"machine {machine}: {problem}")
        windows[machine] = pairs

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
            what = {"release": "release dates", "due": "due dates", "weight": "weights", "family": "families"}[word]
            self.fail(f"expected {jobs} {what}, found {len(numbers)}")
        return np.where(negative, -1, 1) * np.array(numbers, dtype=np.int64)
