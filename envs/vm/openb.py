"""The openb traces of Alibaba (cluster-trace-gpu-v2023; Weng et al. 2023): nodes and pods as two CSV files.

They are read as a packing problem: no pod is placed yet, since the files do not say where one was. A node is a
host of two equal NUMA nodes, with whole cores and MB, rounded down. A pod takes its cores, rounded up, and its
memory from one NUMA node; if it is larger than half of every node, from both, its cores rounded up to an even
number. Its quality of service is its priority: ``BE`` 0, ``Burstable`` 1, ``LS`` and ``Guaranteed`` 2. GPUs,
phases and times are not looked at.
"""

import csv
from pathlib import Path

import numpy as np

from ..core.errors import InstanceError
from ..core.files import read_text
from .fields import MAX_CORES, MAX_HOSTS, MAX_MEMORY, MAX_VMS

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib")
POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "qos")
PRIORITIES = {"BE": 0, "Burstable": 1, "LS": 2, "Guaranteed": 2}
MAX_FILE_BYTES = 32 * 2**20


def find_files(path: str | Path) -> tuple[Path, Path]:
    """The node list and the pod list that a path stands for.

    Args:
        path: a folder with one CSV file whose name has ``node`` in it and one with ``pod``; or one of these
            files, the other one being the only one of its kind beside it.

    Returns:
        Paths of the node list and of the pod list.

    Raises:
        InstanceError: if there is none or more than one of a kind.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    found = []
    for kind in ("node", "pod"):
        if path != folder and kind in path.name:
            found.append(path)
            continue
        try:
            files = sorted(file for file in folder.glob("*.csv") if kind in file.name and file != path)
        except OSError as error:
            raise InstanceError(f"cannot be listed: {error}", str(folder)) from error
        if len(files) != 1:
            names = ", ".join(file.name for file in files[:5]) or "none"
            raise InstanceError(f"expected one CSV file with {kind!r} in its name beside it, found {names}", str(path))
        found.append(files[0])
    if found[0] == found[1]:
        raise InstanceError("the name has both 'node' and 'pod' in it", str(path))
    return found[0], found[1]


def read_fields(nodes: str | Path, pods: str | Path) -> dict:
    """The fields of an instance from a node list and a pod list, as keyword arguments of ``VMInstance``.

    Args:
        nodes: path of the CSV file with the columns ``NODE_COLUMNS``.
        pods: path of the one with ``POD_COLUMNS``; both may have more columns.

    Raises:
        InstanceError: if a file cannot be read or is malformed, with its path, line and column.
    """
    return parse_fields(read_text(nodes, MAX_FILE_BYTES), read_text(pods, MAX_FILE_BYTES), str(nodes), str(pods))


def parse_fields(nodes: str, pods: str, nodes_where: str = "nodes", pods_where: str = "pods") -> dict:
    """As ``read_fields``, from the texts of the files.

    Args:
        nodes, pods: the texts.
        nodes_where, pods_where: their paths or descriptions, for messages.
    """
    hosts = _rows(nodes, NODE_COLUMNS, MAX_HOSTS, nodes_where)
    capacity = np.zeros((len(hosts), 2), dtype=np.int64)
    for place, (line, row) in enumerate(hosts):
        cores = _whole(row["cpu_milli"], "cpu_milli", 2000 * MAX_CORES + 1999, nodes_where, line) // 1000
        memory = _whole(row["memory_mib"], "memory_mib", 2 * MAX_MEMORY, nodes_where, line)
        capacity[place] = cores // 2, memory // 2
    largest = capacity.max(axis=0)
    columns: dict[str, list[int]] = {"cores": [], "memory": [], "numas": [], "priority": []}
    found = _rows(pods, POD_COLUMNS, MAX_VMS, pods_where)
    for line, row in found:
        cores = max(1, -(-_whole(row["cpu_milli"], "cpu_milli", 2000 * MAX_CORES, pods_where, line) // 1000))
        memory = _whole(row["memory_mib"], "memory_mib", MAX_MEMORY, pods_where, line)
        if row["qos"] not in PRIORITIES:
            wanted = f"qos: expected one of {', '.join(PRIORITIES)}, found {row['qos']!r:.40}"
            raise InstanceError(wanted, pods_where, line)
        double = cores > largest[0] or memory > largest[1]
        values = (cores + (cores % 2 if double else 0), memory, 1 + double, PRIORITIES[row["qos"]])
        for column, value in zip(columns.values(), values, strict=True):
            column.append(int(value))
    return {
        "node_cores": np.repeat(capacity[:, :1], 2, axis=1),
        "node_memory": np.repeat(capacity[:, 1:], 2, axis=1),
        "node": np.full(len(found), -1),
        "host_names": tuple(row["sn"] for _, row in hosts),
        "vm_names": tuple(row["name"] for _, row in found),
    } | {what: np.array(values) for what, values in columns.items()}


def _rows(text: str, columns: tuple[str, ...], most: int, where: str) -> list[tuple[int, dict[str, str]]]:
    """The lines of a table as (number of the line, values of these columns)."""
    lines = csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True)
    found: list[tuple[int, dict[str, str]]] = []
    try:
        head = [word.strip() for word in next(lines, [])]
        for column in columns:
            if head.count(column) != 1:
                wanted = f"expected the column {column} once in the first line, found {head.count(column)}"
                raise InstanceError(wanted, where, 1)
        places = {column: head.index(column) for column in columns}
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(head):
                raise InstanceError(f"expected {len(head)} cells, found {len(cells)}", where, lines.line_num)
            if len(found) == most:
                raise InstanceError(f"more than {most} rows", where, lines.line_num)
            found.append((lines.line_num, {column: cells[place].strip() for column, place in places.items()}))
    except csv.Error as error:
        raise InstanceError(f"not CSV: {error}", where, lines.line_num) from error
    if not found:
        raise InstanceError("no rows below the first line", where)
    return found


def _whole(text: str, what: str, most: int, where: str, line: int) -> int:
    # digits of other scripts are digits to isdigit; the length is looked at first since int() is slow on long ones
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) <= most):
        raise InstanceError(f"{what}: expected a whole number from 0 to {most}, found {text!r:.40}", where, line)
    return int(text)
