"""Task graphs of known programs: tiled factorisations, FFT, Gaussian elimination and fork-join.

Tasks are numbered so that every edge leads to a higher number.
"""

from collections.abc import Callable

import numpy as np

from ..core.errors import OptionError, UnknownNameError

MAX_TILES = 40
MAX_POINTS = 1024
MAX_MATRIX = 100
MAX_FORKED = 10_000  # width x stages

# Execution times of the kernels on a CPU and on a GPU, as used by READYS (Grinsztajn et al., 2021).
FACTORISATIONS = {
    "cholesky": {"potrf": (18, 11), "trsm": (52, 8), "syrk": (57, 2), "gemm": (95, 3)},
    "lu": {"lu": (18, 11), "fwd": (52, 8), "bdiv": (52, 8), "bmod": (95, 3)},
    "qr": {"geqrt": (4, 3), "ormqr": (6, 1), "tsqrt": (6, 3), "tsmqr": (10, 1)},
}


class _Graph:
    """Tasks in the order of their number, and edges between them by their labels."""

    def __init__(self):
        self.number: dict[tuple, int] = {}
        self.links: list[tuple[tuple, tuple]] = []

    def task(self, *label, after=()) -> tuple:
        """Add a task with its predecessors, which may be added later."""
        self.number[label] = len(self.number)
        self.links += [(before, label) for before in after]
        return label

    def edges(self) -> np.ndarray:
        found = [(self.number[source], self.number[target]) for source, target in self.links]
        return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def factorisation(kind: str, tiles: int) -> tuple[list[str], np.ndarray]:
    """The graph of a tiled matrix factorisation.

    Cholesky and LU without pivoting are right-looking; QR eliminates each column from top to bottom
    (Buttari et al., 2009, "A class of parallel tiled linear algebra algorithms"). There are T(T+1)(T+2)/6
    tasks in Cholesky and T(T+1)(2T+1)/6 in the others.

    Args:
        kind: ``"cholesky"``, ``"lu"`` or ``"qr"``.
        tiles: T, rows and columns of the matrix in tiles, 2 to ``MAX_TILES``.

    Returns:
        The kernel of each task, and the edges (edges, 2).

    Raises:
        UnknownNameError: if the kind is not known.
        OptionError: if there are too few or too many tiles.
    """
    if kind not in FACTORISATIONS:
        raise UnknownNameError("factorisation", kind, FACTORISATIONS)
    _check("tiles", tiles, 2, MAX_TILES)
    graph = _Graph()
    for k in range(tiles):
        _STEPS[kind](graph, k, tiles)
    return [label[0] for label in graph.number], graph.edges()


def _cholesky_step(graph: _Graph, k: int, tiles: int) -> None:
    def updated(i, j):
        """The task of the last step that wrote tile (i, j)."""
        if k == 0:
            return []
        return [("syrk", k - 1, i) if i == j else ("gemm", k - 1, i, j)]

    pivot = graph.task("potrf", k, after=updated(k, k))
    for i in range(k + 1, tiles):
        graph.task("trsm", k, i, after=[pivot, *updated(i, k)])
    for i in range(k + 1, tiles):
        graph.task("syrk", k, i, after=[("trsm", k, i), *updated(i, i)])
        for j in range(k + 1, i):
            graph.task("gemm", k, i, j, after=[("trsm", k, i), ("trsm", k, j), *updated(i, j)])


def _lu_step(graph: _Graph, k: int, tiles: int) -> None:
    def updated(i, j):
        return [("bmod", k - 1, i, j)] if k else []

    pivot = graph.task("lu", k, after=updated(k, k))
    below = range(k + 1, tiles)
    for j in below:
        graph.task("fwd", k, j, after=[pivot, *updated(k, j)])
    for i in below:
        graph.task("bdiv", k, i, after=[pivot, *updated(i, k)])
    for i in below:
        for j in below:
            graph.task("bmod", k, i, j, after=[("bdiv", k, i), ("fwd", k, j), *updated(i, j)])


def _qr_step(graph: _Graph, k: int, tiles: int) -> None:
    def updated(i, j):
        return [("tsmqr", k - 1, i, j)] if k else []

    above = graph.task("geqrt", k, after=updated(k, k))
    below = range(k + 1, tiles)
    for j in below:
        graph.task("ormqr", k, j, after=[above, *updated(k, j)])
    for i in below:
        above = graph.task("tsqrt", k, i, after=[above, *updated(i, k)])
        for j in below:
            left = ("ormqr", k, j) if i == k + 1 else ("tsmqr", k, i - 1, j)
            graph.task("tsmqr", k, i, j, after=[above, left, *updated(i, j)])


_STEPS: dict[str, Callable[[_Graph, int, int], None]] = {
    "cholesky": _cholesky_step,
    "lu": _lu_step,
    "qr": _qr_step,
}


def fft(points: int) -> tuple[int, np.ndarray]:
    """The graph of the fast Fourier transform of Topcuoglu, Hariri and Wu (2002).

    A binary tree of 2 POINTS - 1 recursive calls ends in log2(POINTS) levels of POINTS butterflies.

    Args:
        points: a power of two, 2 to ``MAX_POINTS``.

    Returns:
        The number of tasks and the edges (edges, 2).

    Raises:
        OptionError: if it is no such power.
    """
    _check("points", points, 2, MAX_POINTS)
    if points & (points - 1):
        raise OptionError(f"points must be a power of two, got {points}")
    calls = 2 * points - 1
    child = np.arange(1, calls)
    edges = [np.stack([(child - 1) // 2, child], axis=1)]
    place = np.arange(points)
    for level in range(points.bit_length() - 1):
        above, below = calls - points + level * points, calls + level * points
        for partner in (place, place ^ (1 << level)):
            edges.append(np.stack([above + partner, below + place], axis=1))
    return calls + points * (points.bit_length() - 1), np.concatenate(edges)


def gauss(matrix: int) -> tuple[int, np.ndarray]:
    """The graph of Gaussian elimination of Topcuoglu, Hariri and Wu (2002).

    For each column but the last there is a pivot task, and a task that updates each later column:
    (M^2 + M - 2) / 2 tasks.

    Args:
        matrix: M, the number of columns, 2 to ``MAX_MATRIX``.

    Returns:
        The number of tasks and the edges (edges, 2).

    Raises:
        OptionError: if the matrix is too small or too large.
    """
    _check("matrix", matrix, 2, MAX_MATRIX)
    graph = _Graph()
    for k in range(matrix - 1):
        pivot = graph.task(k, k, after=[(k - 1, k)] if k else [])
        for j in range(k + 1, matrix):
            graph.task(k, j, after=[pivot, (k - 1, j)] if k else [pivot])
    return len(graph.number), graph.edges()


def fork_join(width: int, stages: int) -> tuple[int, np.ndarray]:
    """Stages of parallel tasks, each between a task that forks and one that joins and forks again.

    Args:
        width: parallel tasks of a stage.
        stages: number of stages.

    Returns:
        The number of tasks, stages x (width + 1) + 1, and the edges (edges, 2).

    Raises:
        OptionError: if width x stages is not 1 to ``MAX_FORKED``.
    """
    _check("width x stages", min(width, stages, 1) * width * stages, 1, MAX_FORKED)
    fork = np.arange(stages)[:, None] * (width + 1)
    middle = fork + np.arange(1, width + 1)
    sources, targets = np.broadcast_arrays(fork, middle)
    out = np.stack([sources, targets], axis=-1)
    back = np.stack([targets, sources + width + 1], axis=-1)
    return stages * (width + 1) + 1, np.concatenate([out.reshape(-1, 2), back.reshape(-1, 2)])


def _check(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise OptionError(f"{what} must be {least} to {most}, got {value}")
