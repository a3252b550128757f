"""The JSON format of SoC instances, read without trusting a byte of it.

A single job at time 0::

    {"family": "soc", "name": "two tasks", "execution_time": [[3, 5], [null, 2]], "edges": [[0, 1, 10]],
     "latency": 1, "bandwidth": [[1, 4], [4, 1]], "kinds": ["cpu", "gpu"], "world": 0}

``execution_time`` has a row for each task and a column for each processing element (PE), null where the
task cannot run; ``edges`` are triples of source, target and volume; ``latency`` and ``bandwidth`` are
matrices, or one number for all pairs. A stream has, in place of the first two::

    "jobs": [{"name": "a", "execution_time": ..., "edges": ...}, ...],
    "arrivals": [[0, 0], [25, 1], ...],       (time and index of jobs, in order of time)
    "warmup": 100

or ``"arrivals": {"process": "poisson", "gap": 25, "jobs": 200, "mix": [2, 1], "seed": 0}``, which is drawn
once, when it is read. ``name``, ``kinds``, ``world``, ``warmup`` and ``mix`` may be left out, ``gap`` and
``seed`` where nothing is to be drawn. All numbers are whole.
"""

import json

import numpy as np

from ..core.errors import DispatchGymError, InstanceError
from .arrivals import PROCESSES, draw_arrivals
from .job_graph import MAX_CELLS, MAX_EDGES, MAX_TASKS, MAX_TIME, JobGraph

MAX_FILE_BYTES = 32 * 2**20
MAX_LISTS = 2_000_000  # brackets and braces; an empty list is two bytes of text and sixty of memory
MAX_WHOLE = 2**31 - 1
ARRIVALS_TAG = 0x61727276  # sets the streams of arrivals apart from those of generated instances

SHARED = ("family", "name", "latency", "bandwidth", "kinds", "world")
STATIC = (*SHARED, "execution_time", "edges")
STREAM = (*SHARED, "jobs", "arrivals", "warmup")
JOB = ("name", "execution_time", "edges")
PROCESS = ("process", "gap", "jobs", "mix", "seed")


def read_fields(text: str, where: str) -> dict:
    """The fields of an instance from JSON text, as keyword arguments of ``SoCInstance``.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.

    Returns:
        graphs, latency and bandwidth, and what else the text holds; its name only if it has one.

    Raises:
        InstanceError: on anything else than the format above, naming the field. What one field says about
            another (such as kinds for each PE) is left to ``SoCInstance``.
    """
    return _Reader(where).instance(_load(text, where))


def _load(text: str, where: str) -> dict:
    """The JSON object of a text, its size capped before it is taken apart."""
    if len(text) > MAX_FILE_BYTES or text.count("[") + text.count("{") > MAX_LISTS:
        raise InstanceError(f"too large: more than {MAX_FILE_BYTES} characters or {MAX_LISTS} lists", where)

    def unique(pairs: list[tuple[str, object]]) -> dict:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InstanceError(f"the key {_shown(twice)} stands twice in one object", where)
        return found

    try:
        data = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InstanceError(f"not JSON: {error.msg} at column {error.colno}", where, error.lineno) from error
    except RecursionError as error:
        raise InstanceError("not an instance: lists are nested too deep", where) from error
    except InstanceError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise InstanceError(f"not JSON that can be read: {error}", where) from error
    if not isinstance(data, dict):
        raise InstanceError(f"expected a JSON object with the keys {', '.join(STATIC)}, found {_shown(data)}", where)
    return data


class _Reader:
    """Walks over decoded JSON; every method takes the path of what it looks at, for messages."""

    def __init__(self, where: str):
        self.where = where

    def fail(self, path: str, message: str):
        raise InstanceError(f"{path}: {message}", self.where)

    def instance(self, data: dict) -> dict:
        stream = "jobs" in data or "arrivals" in data
        optional = ("name", "kinds", "world", "warmup")
        self.keys("", data, STREAM if stream else STATIC, optional)
        if data["family"] != "soc":
            self.fail("family", f'expected "soc", found {_shown(data["family"])}')
        name = self.word("name", data["name"]) if "name" in data else None
        found = self.stream(data) if stream else {"graphs": (self.graph("", data, name or "job"),)}
        elements = found["graphs"][0].execution_time.shape[1]
        for what, least in (("latency", 0), ("bandwidth", 1)):
            found[what] = self.matrix(what, data[what], elements, least)
        if "kinds" in data:
            kinds = self.rows("kinds", data["kinds"], elements)
            found["kinds"] = tuple(self.word(f"kinds[{i}]", kind) for i, kind in enumerate(kinds))
        for what in ("warmup", "world"):
            if what in data:
                found[what] = self.whole(what, data[what], 0, MAX_WHOLE)
        return found | ({} if name is None else {"name": name})

    def stream(self, data: dict) -> dict:
        jobs = self.rows("jobs", data["jobs"], MAX_LISTS)
        if not jobs:
            self.fail("jobs", "expected at least one kind of job")
        graphs = []
        for index, job in enumerate(jobs):
            path = f"jobs[{index}]"
            if not isinstance(job, dict):
                self.fail(path, f"expected an object with the keys {', '.join(JOB)}, found {_shown(job)}")
            self.keys(f"{path}.", job, JOB, ("name",))
            name = self.word(f"{path}.name", job["name"]) if "name" in job else f"job{index}"
            graphs.append(self.graph(f"{path}.", job, name))
        time, graph = self.arrivals(data["arrivals"], len(graphs))
        return {"graphs": tuple(graphs), "arrival_time": time, "arrival_graph": graph}

    def graph(self, path: str, data: dict, name: str) -> JobGraph:
        where = f"{path}execution_time"
        rows = self.rows(where, data["execution_time"], MAX_TASKS)
        width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
        if not width or len(rows) * width > MAX_CELLS:
            self.fail(where, f"expected a row for each task, a column for each PE, at most {MAX_CELLS} entries in all")
        times = np.full((len(rows), width), -1, dtype=np.int64)
        for task, row in enumerate(rows):
            for element, value in enumerate(self.rows(f"{where}[{task}]", row, width, exact=True)):
                if value is not None:
                    place = f"{where}[{task}][{element}]"
                    times[task, element] = self.whole(place, value, 0, MAX_TIME, " or null")
        where = f"{path}edges"
        table = self.table(where, data["edges"], ("source", "target", "volume"), MAX_EDGES, MAX_TIME)
        try:
            return JobGraph(name, times, table[:, :2], table[:, 2])
        except InstanceError as error:
            raise InstanceError(path + str(error).removeprefix(f"{error.where}: "), self.where) from error

    def arrivals(self, data, graphs: int):
        if isinstance(data, list):
            table = self.table("arrivals", data, ("time", "job"), MAX_EDGES, MAX_TIME)
            return table[:, 0], table[:, 1]
        if not isinstance(data, dict):
            self.fail("arrivals", f"expected a list of [time, job] or an object, found {_shown(data)}")
        self.keys("arrivals.", data, PROCESS, ("gap", "mix", "seed"))
        jobs = self.whole("arrivals.jobs", data["jobs"], 1, MAX_EDGES)
        gap = self.whole("arrivals.gap", data.get("gap", 0), 0, MAX_TIME)
        seed = self.whole("arrivals.seed", data.get("seed", 0), 0, 2**32 - 1)
        mix = data.get("mix")
        if mix is not None:
            rows = self.rows("arrivals.mix", mix, graphs, exact=True)
            mix = [self.whole(f"arrivals.mix[{i}]", weight, 0, MAX_WHOLE) for i, weight in enumerate(rows)]
        if data["process"] not in PROCESSES:
            self.fail("arrivals.process", f"expected one of {', '.join(PROCESSES)}, found {_shown(data['process'])}")
        rng = np.random.default_rng(np.random.SeedSequence([ARRIVALS_TAG, seed]))
        try:
            return draw_arrivals(data["process"], rng, gap, jobs, graphs=graphs, mix=mix)
        except DispatchGymError as error:
            raise InstanceError(f"arrivals: {error}", self.where) from error

    def keys(self, path: str, data: dict, known: tuple[str, ...], optional: tuple[str, ...]) -> None:
        for key in data:
            if key not in known:
                self.fail(
                    f"{path}{key}" if key.isidentifier() else _shown(key), f"unknown key; known: {', '.join(known)}"
                )
        for key in known:
            if key not in data and key not in optional:
                self.fail(f"{path}{key}", f"missing; the keys are {', '.join(known)}")

    def rows(self, path: str, data, most: int, exact: bool = False) -> list:
        if not isinstance(data, list):
            self.fail(path, f"expected a list, found {_shown(data)}")
        if len(data) > most or (exact and len(data) < most):
            self.fail(path, f"expected {'' if exact else 'at most '}{most} entries, found {len(data)}")
        return data

    def whole(self, path: str, value, least: int, most: int, or_else: str = "") -> int:
        if type(value) is not int or not least <= value <= most:  # True is an int to isinstance
            self.fail(path, f"expected a whole number from {least} to {most}{or_else}, found {_shown(value)}")
        return value

    def word(self, path: str, value) -> str:
        if not isinstance(value, str) or not value or not value.isprintable():
            self.fail(path, f"expected one line of printable text, found {_shown(value)}")
        return value

    def table(self, path: str, data, columns: tuple[str, ...], most: int, limit: int) -> np.ndarray:
        """Rows of whole numbers, (rows, columns) int64."""
        rows = self.rows(path, data, most)
        table = np.zeros((len(rows), len(columns)), dtype=np.int64)
        for index, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(columns):
                self.fail(f"{path}[{index}]", f"expected [{', '.join(columns)}], found {_shown(row)}")
            for column, value in enumerate(row):
                place = f"{path}[{index}].{columns[column]}"
                table[index, column] = self.whole(place, value, 0, limit)
        return table

    def matrix(self, path: str, data, elements: int, least: int) -> np.ndarray:
        """One number for each pair of PEs, (PEs, PEs) int64; the diagonal is not looked at."""
        if not isinstance(data, list):
            return np.full((elements, elements), self.whole(path, data, least, MAX_TIME, " or a matrix"))
        matrix = np.zeros((elements, elements), dtype=np.int64)
        for source, row in enumerate(self.rows(path, data, elements, exact=True)):
            for target, value in enumerate(self.rows(f"{path}[{source}]", row, elements, exact=True)):
                lowest = 0 if source == target else least
                matrix[source, target] = self.whole(f"{path}[{source}][{target}]", value, lowest, MAX_TIME)
        return matrix


def _shown(value) -> str:
    """A piece of JSON in few characters; what is inside lists is not rendered."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**64:
        return "a number of more than 19 digits"
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:40] + "..."
