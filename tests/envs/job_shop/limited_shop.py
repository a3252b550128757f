"""Job shops with setup times and windows, played slowly."""

from dispatchgym.envs.job_shop.instance import JobShopInstance


class LimitedShop:
    """A job shop with setup times and windows in plain Python, from the statement alone: operations are appended.

    Args:
        shop: the instance.
    """

    def __init__(self, shop: JobShopInstance):
        self.shop = shop
        self.step, self.ready = [0] * shop.jobs, shop.release.tolist()
        self.free, self.last = [0] * shop.machines, [None] * shop.machines
        self.rows: list[list[int]] = []

    def setup(self, before: int | None, job: int, machine: int) -> int:
        """Setup time between two jobs; from the initial state if the first one is None."""
        if self.shop.setup is None:
            return 0
        family = self.shop.setup_family
        return int(self.shop.setup[machine, 0 if before is None else 1 + family[before], family[job]])

    def open_at(self, machine: int, start: int, length: int) -> int:
        """The first time from a start on, one after the other, at which no window is in the way."""
        windows = [] if self.shop.windows is None else self.shop.windows[machine].tolist()
        while any(start < end and start + length > begin for begin, end in windows):
            start += 1
        return start

    def start(self, job: int, not_before: int = 0, setup: int | None = None) -> int:
        """Earliest start of a job's next operation; with another setup time than its own if need be."""
        machine, length = self.next(job)
        setup = self.setup(self.last[machine], job, machine) if setup is None else setup
        return self.open_at(machine, max(self.ready[job], self.free[machine] + setup, not_before), length)

    def next(self, job: int) -> tuple[int, int]:
        """Machine and length of a job's next operation."""
        return int(self.shop.machine[job, self.step[job]]), int(self.shop.duration[job, self.step[job]])

    def unfinished(self) -> list[int]:
        """The jobs with operations to come."""
        return [job for job in range(self.shop.jobs) if self.step[job] < self.shop.operations[job]]

    def append(self, job: int, not_before: int = 0) -> None:
        """Let a job's next operation run as early as it can."""
        machine, length = self.next(job)
        start = self.start(job, not_before)
        self.rows.append([job, self.step[job], machine, start, start + length])
        self.ready[job] = self.free[machine] = start + length
        self.last[machine], self.step[job] = job, self.step[job] + 1

    def best(self) -> int:
        """The least makespan over all orders in which operations can be appended."""
        best, seen = [2**31], set()

        def go():
            key = (*self.step, *self.ready, *self.free, *self.last)
            if key in seen or max(self.ready) >= best[0]:
                return
            seen.add(key)
            if not self.unfinished():
                best[0] = max(self.ready)
            for job in self.unfinished():
                kept = [list(values) for values in (self.step, self.ready, self.free, self.last, self.rows)]
                self.append(job)
                go()
                self.step, self.ready, self.free, self.last, self.rows = kept

        go()
        return best[0]
